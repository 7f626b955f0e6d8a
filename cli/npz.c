#include "npz.h"

#if TAPLINE_LIBZIP
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zip.h>
#include "npy.h"

struct cli_npz {
    const char *path;
    zip_t *zip;
    char **names;
    size_t count;
};

static tl_status open_zip(cli_npz *npz, tl_error *error)
{
    int code = 0;
    npz->zip = zip_open(npz->path, ZIP_RDONLY, &code);
    if (npz->zip)
        return TL_OK;
    zip_error_t reason;
    zip_error_init_with_code(&reason, code);
    tl_status status = tl_error_set(error, code == ZIP_ER_NOZIP ? TL_INVALID_INPUT : TL_IO, "%.300s: %s", npz->path,
                                    code == ZIP_ER_NOZIP ? "not a .npz file" : zip_error_strerror(&reason));
    zip_error_fini(&reason);
    return status;
}

static tl_status read_names(cli_npz *npz, tl_error *error)
{
    zip_int64_t count = zip_get_num_entries(npz->zip, 0);
    npz->names = calloc(count > 0 ? (size_t)count : 1, sizeof npz->names[0]);
    if (!npz->names)
        return tl_error_no_memory(error);
    for (zip_int64_t k = 0; k < count; k++) {
        const char *name = zip_get_name(npz->zip, (zip_uint64_t)k, 0);
        size_t length = name ? strlen(name) : 0;
        if (length > 4 && strcmp(name + length - 4, ".npy") == 0)
            length -= 4;
        npz->names[k] = strndup(name ? name : "", length);
        if (!npz->names[k])
            return tl_error_no_memory(error);
        npz->count++;
    }
    return TL_OK;
}

tl_status cli_npz_open(const char *path, cli_npz **out, tl_error *error)
{
    cli_npz *npz = calloc(1, sizeof *npz);
    *out = NULL;
    if (!npz)
        return tl_error_no_memory(error);
    npz->path = path;
    tl_status status = open_zip(npz, error);
    if (status == TL_OK)
        status = read_names(npz, error);
    if (status != TL_OK) {
        cli_npz_close(npz);
        return status;
    }
    *out = npz;
    return TL_OK;
}

void cli_npz_close(cli_npz *npz)
{
    if (!npz)
        return;
    for (size_t k = 0; k < npz->count; k++)
        free(npz->names[k]);
    free(npz->names);
    if (npz->zip)
        zip_discard(npz->zip);
    free(npz);
}

const char *cli_npz_name(const cli_npz *npz, size_t index)
{
    return index < npz->count ? npz->names[index] : NULL;
}

static tl_status unpack(cli_npz *npz, size_t index, void *bytes, zip_uint64_t size, tl_error *error)
{
    zip_file_t *file = zip_fopen_index(npz->zip, index, 0);
    if (!file)
        return tl_error_set(error, TL_INVALID_INPUT, "%.300s: %s", npz->path, zip_strerror(npz->zip));
    /* One more than there is: only then is the checksum looked at. */
    zip_int64_t got = zip_fread(file, bytes, size + 1);
    tl_status status = TL_OK;
    if (got < 0)
        status = tl_error_set(error, TL_INVALID_INPUT, "%.300s: %s", npz->path, zip_file_strerror(file));
    else if ((zip_uint64_t)got != size)
        status = tl_error_set(error, TL_INVALID_INPUT, "%.300s: an array's size is not the one that the archive says",
                              npz->path);
    zip_fclose(file);
    return status;
}

tl_status cli_npz_read(cli_npz *npz, size_t index, int64_t most, tl_tensor *tensor, tl_error *error)
{
    zip_stat_t info;
    char name[400];
    snprintf(name, sizeof name, "%.200s: %.100s", npz->path, cli_npz_name(npz, index));
    if (zip_stat_index(npz->zip, index, 0, &info) != 0 || !(info.valid & ZIP_STAT_SIZE))
        return tl_error_set(error, TL_INVALID_INPUT, "%s: the archive does not say how large it is", name);
    if (info.size > (zip_uint64_t)most)
        return tl_error_set(error, TL_INVALID_INPUT, "%s: it has %llu bytes, which is too much for this layer", name,
                            (unsigned long long)info.size);
    char *bytes = malloc((size_t)info.size + 1);
    if (!bytes)
        return tl_error_no_memory(error);
    tl_status status = unpack(npz, index, bytes, info.size, error);
    FILE *stream = status == TL_OK ? fmemopen(bytes, (size_t)info.size, "rb") : NULL;
    if (stream)
        status = cli_npy_read_stream(stream, name, tensor, error);
    else if (status == TL_OK)
        status = tl_error_set(error, TL_INVALID_INPUT, "%s: %s", name, strerror(errno));
    if (stream)
        fclose(stream);
    free(bytes);
    return status;
}

#else

tl_status cli_npz_open(const char *path, cli_npz **npz, tl_error *error)
{
    *npz = NULL;
    return tl_error_set(error, TL_UNSUPPORTED,
                        "%.300s: this program was built without libzip, which reads .npz files (Debian package "
                        "libzip-dev)",
                        path);
}

void cli_npz_close(cli_npz *npz)
{
    (void)npz;
}

const char *cli_npz_name(const cli_npz *npz, size_t index)
{
    (void)npz;
    (void)index;
    return NULL;
}

tl_status cli_npz_read(cli_npz *npz, size_t index, int64_t most, tl_tensor *tensor, tl_error *error)
{
    (void)npz;
    (void)index;
    (void)most;
    (void)tensor;
    return tl_error_set(error, TL_UNSUPPORTED, "there is no libzip");
}
#endif
