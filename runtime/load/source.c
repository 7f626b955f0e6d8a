#include "load/source.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_COMPONENT 255

/* Why a call failed, by errno. strerror's buffer may be shared between threads. */
static tl_status cannot_be(const char *done, tl_error *error)
{
    char text[128];
#if defined __GLIBC__
    const char *why = strerror_r(errno, text, sizeof text);
#else
    const char *why = strerror_r(errno, text, sizeof text) == 0 ? text : "unknown error";
#endif
    return tl_error_set(error, TL_IO, "cannot be %s: %s", done, why);
}

static tl_status read_all(tl_source *source, int file, tl_error *error)
{
    size_t done = 0;
    while (done < source->mapping.size) {
        ssize_t got = read(file, (char *)source->mapping.data + done, source->mapping.size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cannot_be("read", error);
        if (got == 0)
            return tl_error_set(error, TL_IO, "ended after %zu of %zu bytes", done, source->mapping.size);
        done += (size_t)got;
    }
    return TL_OK;
}

/* Takes the open file's bytes; the descriptor stays the caller's. */
static tl_status take(tl_source *source, const tl_allocator *allocator, int file, const struct stat *info,
                      tl_error *error)
{
    if (info->st_size < 0 || (uintmax_t)info->st_size > SIZE_MAX / 2)
        return tl_error_set(error, TL_IO, "has a size that does not fit memory");
    source->mapping = (tl_mapping){.size = (size_t)info->st_size};
    source->copied = false;
    if (source->mapping.size == 0)
        return TL_OK;
    void *data = mmap(NULL, source->mapping.size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data != MAP_FAILED) {
        source->mapping.data = data;
        return TL_OK;
    }
    source->mapping.data = tl_memory_alloc(allocator, source->mapping.size, TL_ALIGNMENT);
    if (!source->mapping.data)
        return tl_error_no_memory(error);
    source->allocator = allocator;
    source->copied = true;
    tl_status status = read_all(source, file, error);
    if (status != TL_OK)
        tl_source_close(&source->mapping);
    return status;
}

static tl_status take_regular(tl_source *source, const tl_allocator *allocator, int file, bool single_link,
                              tl_error *error)
{
    struct stat info;
    if (fstat(file, &info) != 0)
        return cannot_be("examined", error);
    if (!S_ISREG(info.st_mode))
        return tl_error_set(error, TL_IO, "is not a regular file");
    if (single_link && info.st_nlink > 1)
        return tl_error_set(error, TL_IO, "has %llu hard links: it may be another file under this name",
                            (unsigned long long)info.st_nlink);
    return take(source, allocator, file, &info, error);
}

tl_status tl_source_open(tl_source *source, const tl_allocator *allocator, const char *path, tl_error *error)
{
    *source = (tl_source){.allocator = NULL};
    /* Not to wait for a writer where the path is a FIFO's. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return cannot_be("opened", error);
    tl_status status = take_regular(source, allocator, file, false, error);
    close(file);
    return status;
}

/* The next component of a relative path, without "." and empty ones; false at the end. */
static bool next_component(const char **rest, const char **begin, size_t *length)
{
    do {
        *begin = *rest + strspn(*rest, "/");
        *length = strcspn(*begin, "/");
        *rest = *begin + *length;
    } while (*length == 1 && **begin == '.');
    return *length > 0;
}

static tl_status open_component(int folder, const char *begin, size_t length, bool last, int *file, tl_error *error)
{
    char name[MAX_COMPONENT + 1];
    if (length > MAX_COMPONENT)
        return tl_error_set(error, TL_IO, "has a path component of more than %d bytes", MAX_COMPONENT);
    memcpy(name, begin, length);
    name[length] = 0;
    if (strcmp(name, "..") == 0)
        return tl_error_set(error, TL_INVALID_MODEL, "leaves the model's folder by \"..\"");
    *file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | (last ? 0 : O_DIRECTORY));
    if (*file >= 0)
        return TL_OK;
    struct stat info;
    int number = errno;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode))
        return tl_error_set(error, TL_IO, "'%s' is a symbolic link, which may lead out of the model's folder", name);
    errno = number;
    const tl_status status = cannot_be("opened", error);
    if (!last)
        tl_error_prefix(error, "'%s'", name);
    return status;
}

tl_status tl_source_open_inside(tl_source *source, const tl_allocator *allocator, const char *folder,
                                const char *location, tl_error *error)
{
    *source = (tl_source){.allocator = NULL};
    if (location[0] == '/')
        return tl_error_set(error, TL_INVALID_MODEL, "is an absolute path");
    const char *rest = location, *begin, *next_begin;
    size_t length, next_length;
    if (!next_component(&rest, &begin, &length))
        return tl_error_set(error, TL_INVALID_MODEL, "names no file");
    int at = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    tl_status status;
    if (at < 0) {
        status = cannot_be("opened", error);
        tl_error_prefix(error, "the folder '%s'", folder);
        return status;
    }
    bool last;
    do {
        last = !next_component(&rest, &next_begin, &next_length);
        int file = -1;
        status = open_component(at, begin, length, last, &file, error);
        close(at);
        at = file;
        begin = next_begin;
        length = next_length;
    } while (status == TL_OK && !last);
    if (status == TL_OK)
        status = take_regular(source, allocator, at, true, error);
    if (at >= 0)
        close(at);
    return status;
}

static bool leaves_folder(const char *location)
{
    const char *rest = location, *begin;
    size_t length;
    while (next_component(&rest, &begin, &length))
        if (length == 2 && memcmp(begin, "..", 2) == 0)
            return true;
    return location[0] == '/';
}

/* What is left of `path` inside `folder`, both without links, or NULL: it lies elsewhere. */
static const char *inside(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    if (strncmp(path, folder, length) != 0)
        return NULL;
    return length == 1 ? path + 1 : path[length] == '/' ? path + length + 1 : NULL;
}

tl_status tl_source_open_linked(tl_source *source, const tl_allocator *allocator, const char *base, const char *folder,
                                const char *location, tl_error *error)
{
    *source = (tl_source){.allocator = NULL};
    if (leaves_folder(location))
        return tl_error_set(error, TL_INVALID_MODEL, "leaves the model's folder");
    size_t size = strlen(base) + strlen(location) + 2;
    char *path = tl_memory_alloc(allocator, size, 1);
    if (!path)
        return tl_error_no_memory(error);
    snprintf(path, size, "%s/%s", base, location);
    char *real_folder = realpath(folder, NULL), *real_file = real_folder ? realpath(path, NULL) : NULL;
    const char *rest = real_file ? inside(real_file, real_folder) : NULL;
    tl_status status = real_file ? TL_OK : cannot_be("opened", error);
    if (!real_file)
        tl_error_prefix(error, real_folder ? "'%s'" : "the folder '%s'", real_folder ? path : folder);
    else if (!rest)
        status = tl_error_set(error, TL_IO, "it is a link to '%s', outside the folder '%s'", real_file, folder);
    else
        status = tl_source_open_inside(source, allocator, real_folder, rest, error);
    free(real_folder);
    free(real_file);
    tl_memory_free(allocator, path);
    return status;
}

bool tl_source_is_mapped(const tl_source *source)
{
    return source->mapping.data && !source->copied;
}

void tl_source_close(tl_mapping *mapping)
{
    tl_source *source = (tl_source *)(void *)mapping; /* its first member */
    if (source->copied)
        tl_memory_free(source->allocator, mapping->data);
    else if (mapping->data)
        munmap(mapping->data, mapping->size);
    mapping->data = NULL;
}
