#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "save/file.h"

static tl_status blame_system(const char *path, tl_error *error)
{
    char text[128];
    return tl_error_set(error, TL_IO, "%.300s: cannot be written: %s", path, strerror_r(errno, text, sizeof text));
}

static bool write_all(int file, const void *data, size_t size)
{
    const char *at = data;
    while (size) {
        ssize_t done = write(file, at, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += done;
        size -= (size_t)done;
    }
    return true;
}

static bool write_rope(int file, const tl_rope *rope)
{
    enum { SMALL = 1 << 16 };
    char *buffer = malloc(SMALL);
    size_t used = 0;
    bool fine = buffer != NULL;
    for (const tl_piece *piece = rope->first; piece && fine; piece = piece->next) {
        if (piece->size > SMALL - used) {
            fine = write_all(file, buffer, used);
            used = 0;
        }
        if (piece->size > SMALL) {
            fine = fine && write_all(file, piece->data, piece->size);
        } else {
            memcpy(buffer + used, piece->data, piece->size);
            used += piece->size;
        }
    }
    fine = fine && write_all(file, buffer, used);
    free(buffer);
    return fine;
}

/* `beside` is the new file's name, to be free()d. */
static tl_status create_beside(const char *path, char **beside, int *file, tl_error *error)
{
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return tl_error_set(error, TL_IO, "%.300s: is there and is not a regular file", path);
    const size_t size = strlen(path) + sizeof ".XXXXXX";
    *beside = malloc(size);
    if (!*beside)
        return tl_error_no_memory(error);
    snprintf(*beside, size, "%s.XXXXXX", path);
    *file = mkstemp(*beside);
    if (*file < 0)
        return blame_system(path, error);
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(*file, 0666 & ~mask) == 0)
        return TL_OK;
    tl_status status = blame_system(path, error);
    close(*file);
    unlink(*beside);
    return status;
}

tl_status tl_file_replace(const char *path, const tl_rope *rope, tl_file_check check, void *context, tl_error *error)
{
    char *beside = NULL;
    int file = -1;
    if (rope->size > TL_FILE_MOST)
        return tl_error_set(error, TL_UNSUPPORTED, "%.300s: it would be larger than the 2 GiB that a model may have",
                            path);
    tl_status status = create_beside(path, &beside, &file, error);
    if (status != TL_OK || !beside) {
        free(beside);
        return status;
    }
    bool fine = write_rope(file, rope) && fsync(file) == 0;
    if (!fine)
        status = blame_system(path, error);
    if (close(file) != 0 && status == TL_OK)
        status = blame_system(path, error);
    if (status == TL_OK)
        status = check(context, beside, error);
    if (status == TL_OK && rename(beside, path) != 0)
        status = blame_system(path, error);
    if (status != TL_OK)
        unlink(beside);
    free(beside);
    return status;
}
