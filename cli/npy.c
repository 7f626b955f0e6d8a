#include <errno.h>
#include <stdlib.h>
#include "cli.h"
#include "npy.h"

#define MAGIC "\x93NUMPY"
enum { MAGIC_SIZE = 6, MOST_HEADER = 65536 };

static const struct {
    tl_type type;
    const char *descr;
} names[] = {
    {TL_BOOL, "|b1"},  {TL_INT8, "|i1"},   {TL_UINT8, "|u1"},     {TL_INT16, "<i2"},       {TL_UINT16, "<u2"},
    {TL_INT32, "<i4"}, {TL_UINT32, "<u4"}, {TL_INT64, "<i8"},     {TL_UINT64, "<u8"},      {TL_FLOAT16, "<f2"},
    {TL_FLOAT, "<f4"}, {TL_DOUBLE, "<f8"}, {TL_COMPLEX64, "<c8"}, {TL_COMPLEX128, "<c16"},
};

const char *cli_npy_descr(tl_type type)
{
    for (size_t k = 0; k < TL_COUNT(names); k++)
        if (names[k].type == type)
            return names[k].descr;
    return NULL;
}

/* ---- The header: a Python literal, {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } */

typedef struct header {
    const char *path;
    const char *at, *end;
    tl_tensor *tensor;
    bool fortran;
    bool have_descr, have_order, have_shape;
    tl_error *error;
} header;

static tl_status malformed(const header *h, const char *what)
{
    return tl_error_set(h->error, TL_INVALID_INPUT, "%s: the .npy header %s", h->path, what);
}

static void skip_space(header *h)
{
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\t' || *h->at == '\n' || *h->at == '\r'))
        h->at++;
}

/* Takes `c` if it comes next. */
static bool take(header *h, char c)
{
    skip_space(h);
    if (h->at >= h->end || *h->at != c)
        return false;
    h->at++;
    return true;
}

static bool take_word(header *h, const char *word)
{
    skip_space(h);
    size_t length = strlen(word);
    if ((size_t)(h->end - h->at) < length || memcmp(h->at, word, length) != 0)
        return false;
    h->at += length;
    return true;
}

/* A quoted string without escapes. */
static bool take_string(header *h, char *buffer, size_t size)
{
    skip_space(h);
    if (h->at >= h->end || (*h->at != '\'' && *h->at != '"'))
        return false;
    char quote = *h->at++;
    size_t used = 0;
    while (h->at < h->end && *h->at != quote) {
        if (*h->at == '\\' || used + 1 >= size)
            return false;
        buffer[used++] = *h->at++;
    }
    if (h->at >= h->end)
        return false;
    h->at++;
    buffer[used] = 0;
    return true;
}

/* A whole number >= 0, with the L that Python 2 wrote behind it. */
static bool take_number(header *h, int64_t *number)
{
    skip_space(h);
    const char *begin = h->at;
    *number = 0;
    for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++)
        if (!tl_mul(*number, 10, number) || !tl_add(*number, *h->at - '0', number))
            return false;
    if (h->at == begin)
        return false;
    if (h->at < h->end && *h->at == 'L')
        h->at++;
    return true;
}

static tl_status refuse_descr(const header *h, const char *descr)
{
    const char *advice = "";
    if (descr[0] == '>')
        advice = ": big-endian; save it with astype(dtype.newbyteorder('<'))";
    else if (descr[0] && descr[1] && strchr("SUa", descr[1]))
        advice = ": text; give strings as a .pb tensor";
    else if (descr[0] && descr[1] == 'V')
        advice = ": raw bytes; give bfloat16, float8 and int4 as a .pb tensor";
    else if (descr[0] && descr[1] == 'O')
        advice = ": Python objects, which are never read";
    return tl_error_set(h->error, TL_UNSUPPORTED, "%s: element type '%s' cannot be read%s", h->path, descr, advice);
}

static tl_status parse_descr(header *h)
{
    char descr[32];
    if (take(h, '['))
        return tl_error_set(h->error, TL_UNSUPPORTED, "%s: a structured array; only plain numbers can be read",
                            h->path);
    if (!take_string(h, descr, sizeof descr))
        return malformed(h, "has no string as 'descr'");
    char order = descr[0];
    if (order == '=' || (order == '|' && descr[1]))
        descr[0] = '<';
    for (size_t k = 0; k < TL_COUNT(names); k++) {
        bool one_byte = names[k].descr[0] == '|'; /* byte order means nothing: any mark will do */
        if (strcmp(descr + (one_byte && *descr ? 1 : 0), names[k].descr + one_byte) == 0) {
            h->tensor->type = names[k].type;
            return TL_OK;
        }
    }
    descr[0] = order;
    return refuse_descr(h, descr);
}

static tl_status parse_shape(header *h)
{
    if (!take(h, '('))
        return malformed(h, "has no tuple as 'shape'");
    h->tensor->rank = 0;
    while (!take(h, ')')) {
        int64_t dim;
        if (!take_number(h, &dim))
            return malformed(h, "has a 'shape' with something other than whole numbers from 0 to 2^63 - 1");
        if (h->tensor->rank == TL_MAX_RANK)
            return tl_error_set(h->error, TL_UNSUPPORTED, "%s: more than %d dimensions", h->path, TL_MAX_RANK);
        h->tensor->dims[h->tensor->rank++] = dim;
        if (!take(h, ',')) {
            if (!take(h, ')'))
                return malformed(h, "has a 'shape' that is not closed");
            break;
        }
    }
    return TL_OK;
}

static tl_status parse_entry(header *h)
{
    char key[32];
    if (!take_string(h, key, sizeof key) || !take(h, ':'))
        return malformed(h, "is not a dictionary of strings");
    bool *have = strcmp(key, "descr") == 0           ? &h->have_descr
                 : strcmp(key, "fortran_order") == 0 ? &h->have_order
                 : strcmp(key, "shape") == 0         ? &h->have_shape
                                                     : NULL;
    if (!have)
        return malformed(h, "has a key other than 'descr', 'fortran_order' and 'shape'");
    if (*have)
        return malformed(h, "has a key twice");
    *have = true;
    if (have == &h->have_descr)
        return parse_descr(h);
    if (have == &h->have_shape)
        return parse_shape(h);
    h->fortran = take_word(h, "True");
    return h->fortran || take_word(h, "False") ? TL_OK
                                               : malformed(h, "has a 'fortran_order' that is neither True nor False");
}

static tl_status parse_header(header *h)
{
    if (!take(h, '{'))
        return malformed(h, "is not a dictionary");
    while (!take(h, '}')) {
        tl_status status = parse_entry(h);
        if (status != TL_OK)
            return status;
        if (!take(h, ',')) {
            if (!take(h, '}'))
                return malformed(h, "is not closed");
            break;
        }
    }
    skip_space(h);
    if (h->at != h->end)
        return malformed(h, "goes on behind its end");
    if (!h->have_descr || !h->have_order || !h->have_shape)
        return malformed(h, "lacks one of 'descr', 'fortran_order' and 'shape'");
    return TL_OK;
}

/* ---- The file */

static tl_status read_header(FILE *file, const char *path, tl_tensor *tensor, bool *fortran, tl_error *error)
{
    unsigned char start[MAGIC_SIZE + 2 + 4];
    if (fread(start, 1, MAGIC_SIZE + 2, file) != MAGIC_SIZE + 2 || memcmp(start, MAGIC, MAGIC_SIZE) != 0)
        return tl_error_set(error, TL_INVALID_INPUT, "%s: not a .npy file", path);
    unsigned major = start[MAGIC_SIZE], minor = start[MAGIC_SIZE + 1];
    if (major < 1 || major > 3 || minor != 0)
        return tl_error_set(error, TL_UNSUPPORTED, "%s: .npy format version %u.%u; known are 1.0, 2.0 and 3.0", path,
                            major, minor);
    unsigned char *length = start + MAGIC_SIZE + 2;
    size_t length_size = major == 1 ? 2 : 4;
    if (fread(length, 1, length_size, file) != length_size)
        return tl_error_set(error, TL_INVALID_INPUT, "%s: the file ends inside the .npy header", path);
    size_t size = (size_t)length[0] | (size_t)length[1] << 8;
    if (major > 1)
        size |= (size_t)length[2] << 16 | (size_t)length[3] << 24;
    if (size > MOST_HEADER)
        return tl_error_set(error, TL_INVALID_INPUT, "%s: the .npy header has %zu bytes, more than %d", path, size,
                            MOST_HEADER);
    char *text = malloc(size + 1);
    if (!text)
        return tl_error_no_memory(error);
    header h = {.path = path, .at = text, .end = text + size, .tensor = tensor, .error = error};
    tl_status status = TL_OK;
    if (fread(text, 1, size, file) != size)
        status = tl_error_set(error, TL_INVALID_INPUT, "%s: the file ends inside the .npy header", path);
    else
        status = parse_header(&h);
    *fortran = h.fortran;
    free(text);
    return status;
}

/* Reads exactly `bytes` bytes, into memory that grows with what has come. */
static tl_status read_elements(FILE *file, const char *path, size_t bytes, void **data, tl_error *error)
{
    size_t capacity = bytes < (1U << 20) ? bytes : 1U << 20, used = 0;
    char *buffer = malloc(capacity ? capacity : 1);
    while (buffer) {
        size_t got = fread(buffer + used, 1, capacity - used, file);
        used += got;
        if (used < capacity) {
            int reason = ferror(file) ? errno : 0;
            free(buffer);
            if (reason)
                return tl_error_set(error, TL_IO, "%s: cannot be read: %s", path, strerror(reason));
            return tl_error_set(error, TL_INVALID_INPUT, "%s: the file ends after %zu of %zu bytes of data", path, used,
                                bytes);
        }
        if (used == bytes)
            break;
        capacity = bytes - used > used ? 2 * used : bytes;
        char *grown = realloc(buffer, capacity);
        if (!grown)
            free(buffer);
        buffer = grown;
    }
    if (!buffer)
        return tl_error_no_memory(error);
    *data = buffer;
    if (fgetc(file) == EOF)
        return TL_OK;
    free(buffer);
    *data = NULL;
    return tl_error_set(error, TL_INVALID_INPUT, "%s: the file goes on behind its %zu bytes of data", path, bytes);
}

/* Elements in Fortran order (first dimension fastest) to C order. */
static tl_status reorder(tl_tensor *tensor, tl_error *error)
{
    int64_t count = tl_tensor_elements(tensor), bytes = tl_tensor_bytes(tensor);
    size_t size = tl_type_bits(tensor->type) / 8;
    if (tensor->rank < 2 || count == 0 || !tensor->data)
        return TL_OK;
    char *to = malloc((size_t)bytes);
    if (!to)
        return tl_error_no_memory(error);
    int64_t index[TL_MAX_RANK] = {0}, strides[TL_MAX_RANK];
    int64_t stride = 1;
    for (int32_t d = tensor->rank - 1; d >= 0; d--) {
        strides[d] = stride;
        stride *= tensor->dims[d];
    }
    const char *from = tensor->data;
    int64_t target = 0;
    for (int64_t i = 0; i < count; i++) {
        memcpy(to + (size_t)target * size, from + (size_t)i * size, size);
        for (int32_t d = 0; d < tensor->rank; d++) {
            target += strides[d];
            if (++index[d] < tensor->dims[d])
                break;
            target -= strides[d] * tensor->dims[d];
            index[d] = 0;
        }
    }
    free(tensor->data);
    tensor->data = to;
    return TL_OK;
}

static tl_status check_bools(const tl_tensor *tensor, const char *path, tl_error *error)
{
    const unsigned char *bytes = tensor->data;
    int64_t count = tensor->type == TL_BOOL ? tl_tensor_elements(tensor) : 0;
    for (int64_t i = 0; i < count; i++)
        if (bytes[i] > 1)
            return tl_error_set(error, TL_INVALID_INPUT, "%s: element %lld of type bool is %d, neither 0 nor 1", path,
                                (long long)i, bytes[i]);
    return TL_OK;
}

tl_status cli_npy_read_stream(FILE *file, const char *name, tl_tensor *tensor, tl_error *error)
{
    memset(tensor, 0, sizeof *tensor);
    bool fortran = false;
    tl_tensor read = {0};
    tl_status status = read_header(file, name, &read, &fortran, error);
    int64_t bytes = status == TL_OK ? tl_tensor_bytes(&read) : 0;
    if (bytes < 0)
        status = tl_error_set(error, TL_INVALID_INPUT, "%s: the size of the array overflows", name);
    if (status == TL_OK)
        status = read_elements(file, name, (size_t)bytes, &read.data, error);
    if (status == TL_OK && fortran)
        status = reorder(&read, error);
    if (status == TL_OK)
        status = check_bools(&read, name, error);
    if (status != TL_OK) {
        free(read.data);
        return status;
    }
    *tensor = read;
    return TL_OK;
}

tl_status cli_npy_read(const char *path, tl_tensor *tensor, tl_error *error)
{
    memset(tensor, 0, sizeof *tensor);
    FILE *file = fopen(path, "rb");
    if (!file)
        return tl_error_set(error, TL_IO, "%s: cannot be opened: %s", path, strerror(errno));
    tl_status status = cli_npy_read_stream(file, path, tensor, error);
    fclose(file);
    return status;
}

tl_status cli_npy_write(const char *path, const tl_tensor *tensor, tl_error *error)
{
    const char *descr = cli_npy_descr(tensor->type);
    if (!descr)
        return tl_error_set(error, TL_UNSUPPORTED, "%s: .npy has no type %s; use --format pb", path,
                            tl_type_name(tensor->type));
    char shape[TL_MAX_RANK * 22 + 4] = "(";
    size_t used = 1;
    for (int32_t i = 0; i < tensor->rank; i++)
        used +=
            (size_t)snprintf(shape + used, sizeof shape - used, "%s%lld", i ? ", " : "", (long long)tensor->dims[i]);
    snprintf(shape + used, sizeof shape - used, tensor->rank == 1 ? ",)" : ")");
    char text[sizeof shape + 128];
    size_t length = (size_t)snprintf(text, sizeof text - 64, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                                     descr, shape);
    size_t start = MAGIC_SIZE + 2 + 2; /* the data begins at a multiple of 64 */
    while ((start + length + 1) % 64)
        text[length++] = ' ';
    text[length++] = '\n';
    FILE *file = cli_create(path, error);
    if (!file)
        return TL_IO;
    unsigned char head[] = {1, 0, (unsigned char)(length & 255), (unsigned char)(length >> 8)};
    fwrite(MAGIC, 1, MAGIC_SIZE, file);
    fwrite(head, 1, sizeof head, file);
    fwrite(text, 1, length, file);
    int64_t bytes = tl_tensor_bytes(tensor);
    if (bytes > 0)
        fwrite(tensor->data, 1, (size_t)bytes, file);
    return cli_close(file, path, error);
}
