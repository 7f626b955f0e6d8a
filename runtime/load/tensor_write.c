#include <errno.h>
#include <stdio.h>
#include "load/tensor_file.h"
#include "load/wire.h"
#include "tapline/plugin.h"

/* Written by hand: protobuf-c would want a second copy of every tensor, and packs lengths of 32 bits. Field numbers are
 * those of proto/onnx.proto and proto/onnx-data.proto. */

/* Counts what it would write while `file` is NULL. */
typedef struct sink {
    FILE *file;
    uint64_t size;
    bool failed;
} sink;

typedef void (*writer)(sink *s, const tl_file_value *value);

static void put(sink *s, const void *bytes, size_t size)
{
    s->size += size;
    if (s->file && size && fwrite(bytes, 1, size, s->file) != size)
        s->failed = true;
}

static void put_varint(sink *s, uint64_t value)
{
    uint8_t bytes[10];
    put(s, bytes, tl_wire_varint(value, bytes));
}

static void put_number(sink *s, unsigned field, int64_t value)
{
    put_varint(s, (uint64_t)field << 3);
    put_varint(s, (uint64_t)value);
}

static void put_bytes(sink *s, unsigned field, const void *bytes, size_t size)
{
    put_varint(s, (uint64_t)field << 3 | 2);
    put_varint(s, size);
    put(s, bytes, size);
}

static void put_message(sink *s, unsigned field, writer write, const tl_file_value *value)
{
    sink count = {.file = NULL};
    write(&count, value);
    put_varint(s, (uint64_t)field << 3 | 2);
    put_varint(s, count.size);
    write(s, value);
}

static void put_name(sink *s, unsigned field, const char *name)
{
    if (name && *name)
        put_bytes(s, field, name, strlen(name));
}

/* raw_data of a type of six bits, packed piece by piece. */
static void put_six_bits(sink *s, unsigned field, const tl_tensor *tensor)
{
    enum { PIECE = 1024 }; /* whole groups of four */
    const uint8_t *elements = tensor->data;
    int64_t count = tl_tensor_elements(tensor);
    uint8_t packed[PIECE / 4 * 3];
    put_varint(s, (uint64_t)field << 3 | 2);
    put_varint(s, (uint64_t)tl_stored_bytes(tensor->type, count));
    for (int64_t at = 0; at < count; at += PIECE) {
        int64_t piece = count - at < PIECE ? count - at : PIECE;
        tl_pack_six(elements + at, piece, packed);
        put(s, packed, (size_t)tl_stored_bytes(tensor->type, piece));
    }
}

static void write_tensor(sink *s, const tl_file_value *value)
{
    const tl_tensor *tensor = &value->tensor;
    for (int32_t k = 0; k < tensor->rank; k++)
        put_number(s, 1, tensor->dims[k]);
    put_number(s, 2, tensor->type);
    if (tensor->type == TL_STRING) {
        const tl_string *strings = tensor->data;
        int64_t elements = tl_tensor_elements(tensor);
        for (int64_t k = 0; k < elements; k++)
            put_bytes(s, 6, strings[k].data, strings[k].size);
    }
    put_name(s, 8, value->name);
    if (tl_is_six_bits(tensor->type))
        put_six_bits(s, 9, tensor);
    else if (tensor->type != TL_STRING)
        put_bytes(s, 9, tensor->data, (size_t)tl_tensor_bytes(tensor));
}

static void write_sequence(sink *s, const tl_file_value *value);
static void write_map(sink *s, const tl_file_value *value);
static void write_optional(sink *s, const tl_file_value *value);

/* SequenceProto.DataType and OptionalProto.DataType of a kind; the field with such values is two above it. */
static unsigned element_type(tl_kind kind)
{
    switch (kind) {
    case TL_KIND_SEQUENCE:
        return 3;
    case TL_KIND_MAP:
        return 4;
    case TL_KIND_OPTIONAL:
        return 5;
    default:
        return 1;
    }
}

static writer writer_of(tl_kind kind)
{
    switch (kind) {
    case TL_KIND_SEQUENCE:
        return write_sequence;
    case TL_KIND_MAP:
        return write_map;
    case TL_KIND_OPTIONAL:
        return write_optional;
    default:
        return write_tensor;
    }
}

/* Name, element type and elements: the same numbers in sequences and optionals. An empty sequence says TENSOR. */
static void write_elements(sink *s, const tl_file_value *value, unsigned type_if_empty)
{
    put_name(s, 1, value->name);
    unsigned type = value->count ? element_type(value->elements[0].kind) : type_if_empty;
    put_number(s, 2, type);
    for (size_t k = 0; k < value->count; k++)
        put_message(s, type + 2, writer_of(value->elements[k].kind), &value->elements[k]);
}

static void write_sequence(sink *s, const tl_file_value *value)
{
    write_elements(s, value, 1);
}

static void write_optional(sink *s, const tl_file_value *value)
{
    write_elements(s, value, 0);
}

/* A key as the int64 that MapProto.keys holds. */
static int64_t widen_key(const tl_tensor *keys, size_t k)
{
    size_t size = tl_type_bits(keys->type) / 8;
    uint64_t bits = 0;
    memcpy(&bits, (const char *)keys->data + k * size, size);
    bool is_signed = (TL_T(keys->type) & TL_T_SIGNED) != 0;
    if (is_signed && size < 8 && bits >> (8 * size - 1))
        bits |= UINT64_MAX << (8 * size);
    return (int64_t)bits;
}

static void write_map(sink *s, const tl_file_value *value)
{
    const tl_tensor *keys = &value->tensor;
    put_name(s, 1, value->name);
    put_number(s, 2, keys->type);
    for (size_t k = 0; k < value->count; k++) {
        if (keys->type == TL_STRING) {
            const tl_string *strings = keys->data;
            put_bytes(s, 4, strings[k].data, strings[k].size);
        } else {
            put_number(s, 3, widen_key(keys, k));
        }
    }
    tl_file_value values = {.kind = TL_KIND_SEQUENCE, .count = value->count, .elements = value->elements};
    put_message(s, 5, write_sequence, &values);
}

/* Elements of a list are of one kind, tensors have their size. */
static tl_status check(const tl_file_value *value, tl_error *error)
{
    bool keyed = value->kind == TL_KIND_MAP;
    if ((value->kind == TL_KIND_TENSOR || keyed) && tl_tensor_bytes(&value->tensor) < 0)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "a tensor without a known size");
    if (keyed && tl_tensor_elements(&value->tensor) != (int64_t)value->count)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "a map with more keys than values, or fewer");
    if (value->kind == TL_KIND_OPTIONAL && value->count > 1)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "an optional of more than one value");
    tl_status status = TL_OK;
    for (size_t k = 0; value->kind != TL_KIND_TENSOR && k < value->count && status == TL_OK; k++) {
        if (value->elements[k].kind != value->elements[0].kind)
            return tl_error_set(error, TL_INVALID_ARGUMENT, "elements of different kinds");
        status = check(&value->elements[k], error);
    }
    return status;
}

tl_status tl_tensor_file_write(const char *path, const tl_file_value *value, tl_error *error)
{
    tl_status status = check(value, error);
    if (status != TL_OK) {
        tl_error_prefix(error, "%.300s", path);
        return status;
    }
    sink s = {.file = fopen(path, "wb")};
    if (!s.file)
        return tl_error_set(error, TL_IO, "%.300s: cannot be created (error %d)", path, errno);
    writer_of(value->kind)(&s, value);
    if (fclose(s.file) != 0)
        s.failed = true;
    if (!s.failed)
        return TL_OK;
    remove(path);
    return tl_error_set(error, TL_IO, "%.300s: cannot be written whole", path);
}
