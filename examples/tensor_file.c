#include "tensor_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fields of TensorProto that matter here, and the wire types of protobuf. */
enum { FIELD_DIMS = 1, FIELD_DATA_TYPE = 2, FIELD_FLOAT_DATA = 4, FIELD_RAW_DATA = 9 };
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

typedef struct reader {
    const unsigned char *at, *end;
} reader;

static bool fail(tl_error *error, const char *path, const char *why)
{
    error->status = TL_IO;
    snprintf(error->message, sizeof error->message, "%s: %s", path, why);
    return false;
}

static bool read_varint(reader *r, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        unsigned char byte = *r->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* One field: a number in *value, or bytes in *piece. */
static bool read_field(reader *r, uint64_t *field, uint64_t *value, reader *piece)
{
    uint64_t tag, size;
    if (!read_varint(r, &tag))
        return false;
    *field = tag >> 3;
    *piece = (reader){NULL, NULL};
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(r, value);
    case WIRE_BYTES:
        if (!read_varint(r, &size))
            return false;
        break;
    case WIRE_FIXED64:
        size = 8;
        break;
    case WIRE_FIXED32:
        size = 4;
        break;
    default:
        return false;
    }
    if (size > (uint64_t)(r->end - r->at))
        return false;
    *piece = (reader){r->at, r->at + size};
    r->at += size;
    return true;
}

static bool add_dim(tl_tensor *tensor, uint64_t dim)
{
    if (tensor->rank == TL_MAX_RANK || dim > INT64_MAX)
        return false;
    tensor->dims[tensor->rank++] = (int64_t)dim;
    return true;
}

/* The dims and where the elements lie; false: not such a message. */
static bool read_tensor(reader r, tl_tensor *tensor, reader *elements)
{
    uint64_t field, value = 0;
    reader piece;
    *tensor = (tl_tensor){.type = TL_UNDEFINED};
    *elements = (reader){NULL, NULL};
    while (r.at < r.end) {
        if (!read_field(&r, &field, &value, &piece))
            return false;
        if (field == FIELD_DIMS && !piece.at) {
            if (!add_dim(tensor, value))
                return false;
        } else if (field == FIELD_DIMS) { /* several in one piece */
            while (piece.at < piece.end)
                if (!read_varint(&piece, &value) || !add_dim(tensor, value))
                    return false;
        } else if (field == FIELD_DATA_TYPE && !piece.at) {
            tensor->type = value == TL_FLOAT ? TL_FLOAT : TL_UNDEFINED;
        } else if ((field == FIELD_RAW_DATA || field == FIELD_FLOAT_DATA) && piece.at) {
            *elements = piece;
        }
    }
    return tensor->type == TL_FLOAT;
}

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    unsigned char *bytes = NULL;
    long length = -1;
    if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0)
        bytes = malloc((size_t)length + 1);
    if (bytes && fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    *size = (size_t)length;
    return bytes;
}

bool tensor_file_read(const char *path, tl_tensor *tensor, tl_error *error)
{
    size_t size;
    unsigned char *bytes = read_file(path, &size);
    if (!bytes)
        return fail(error, path, "cannot be read");
    reader elements;
    bool read = read_tensor((reader){bytes, bytes + size}, tensor, &elements);
    int64_t expected = read ? tl_tensor_bytes(tensor) : -1;
    if (expected < 0 || expected != elements.end - elements.at) {
        free(bytes);
        return fail(error, path, "does not hold one tensor of floats");
    }
    /* In place of the message: the elements, moved to where they are aligned. */
    if (expected > 0)
        memmove(bytes, elements.at, (size_t)expected);
    tensor->data = bytes;
    return true;
}
