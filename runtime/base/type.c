#include <stdio.h>
#include "base/base.h"

static const struct {
    const char *name;
    uint8_t bits;
} types[TL_TYPE_COUNT] = {
    [TL_UNDEFINED] = {"undefined", 0},
    [TL_FLOAT] = {"float", 32},
    [TL_UINT8] = {"uint8", 8},
    [TL_INT8] = {"int8", 8},
    [TL_UINT16] = {"uint16", 16},
    [TL_INT16] = {"int16", 16},
    [TL_INT32] = {"int32", 32},
    [TL_INT64] = {"int64", 64},
    [TL_STRING] = {"string", 8 * sizeof(tl_string)},
    [TL_BOOL] = {"bool", 8},
    [TL_FLOAT16] = {"float16", 16},
    [TL_DOUBLE] = {"double", 64},
    [TL_UINT32] = {"uint32", 32},
    [TL_UINT64] = {"uint64", 64},
    [TL_COMPLEX64] = {"complex64", 64},
    [TL_COMPLEX128] = {"complex128", 128},
    [TL_BFLOAT16] = {"bfloat16", 16},
    [TL_FLOAT8E4M3FN] = {"float8e4m3fn", 8},
    [TL_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", 8},
    [TL_FLOAT8E5M2] = {"float8e5m2", 8},
    [TL_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", 8},
    [TL_UINT4] = {"uint4", 4},
    [TL_INT4] = {"int4", 4},
    [TL_FLOAT4E2M1] = {"float4e2m1", 4},
    [TL_FLOAT8E8M0] = {"float8e8m0", 8},
    [TL_UINT2] = {"uint2", 2},
    [TL_INT2] = {"int2", 2},
    [TL_FLOAT6E2M3] = {"float6e2m3", 8},
    [TL_FLOAT6E3M2] = {"float6e3m2", 8},
};

const char *tl_type_name(tl_type type)
{
    return (size_t)type < TL_TYPE_COUNT ? types[type].name : "unknown";
}

size_t tl_type_bits(tl_type type)
{
    return (size_t)type < TL_TYPE_COUNT ? types[type].bits : 0;
}

int64_t tl_type_bytes(tl_type type, int64_t elements)
{
    int64_t bits = (int64_t)tl_type_bits(type);
    if (elements < 0 || bits == 0)
        return -1;
    if (bits >= 8)
        return tl_mul(elements, bits / 8, &elements) ? elements : -1;
    int64_t in_a_byte = 8 / bits;
    return elements / in_a_byte + (elements % in_a_byte != 0);
}

int64_t tl_stored_bytes(tl_type type, int64_t elements)
{
    if (!tl_is_six_bits(type) || elements < 0)
        return tl_type_bytes(type, elements);
    return elements / 4 * 3 + elements % 4; /* 6, 12 or 18 bits of a last group: 1, 2 or 3 bytes */
}

void tl_pack_six(const uint8_t *elements, int64_t count, uint8_t *packed)
{
    for (int64_t i = 0; i < count; i += 4) {
        uint32_t group = 0;
        int64_t rest = count - i < 4 ? count - i : 4;
        for (int64_t k = 0; k < rest; k++)
            group |= (elements[i + k] & 63U) << 6 * k;
        for (int64_t k = 0; k < rest && k < 3; k++)
            *packed++ = (uint8_t)(group >> 8 * k);
    }
}

void tl_unpack_six(const uint8_t *packed, int64_t count, uint8_t *elements)
{
    for (int64_t i = 0; i < count; i += 4) {
        uint32_t group = 0;
        int64_t rest = count - i < 4 ? count - i : 4;
        for (int64_t k = 0; k < rest && k < 3; k++)
            group |= (uint32_t)*packed++ << 8 * k;
        for (int64_t k = 0; k < rest; k++)
            elements[i + k] = (uint8_t)(group >> 6 * k & 63U);
    }
}

/* A kernel goes through rows of nothing, too, and must come to an end. */
#define MOST_BESIDE_ZERO ((int64_t)1 << 28)

int64_t tl_tensor_elements(const tl_tensor *tensor)
{
    if (tensor->rank < 0 || tensor->rank > TL_MAX_RANK)
        return -1;
    int64_t elements = 1;
    bool overflow = false, empty = false;
    for (int32_t i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] < 0)
            return -1;
        if (tensor->dims[i] == 0)
            empty = true;
        else
            overflow |= !tl_mul(elements, tensor->dims[i], &elements);
    }
    return overflow || (empty && elements > MOST_BESIDE_ZERO) ? -1 : empty ? 0 : elements;
}

int64_t tl_tensor_bytes(const tl_tensor *tensor)
{
    return tl_type_bytes(tensor->type, tl_tensor_elements(tensor));
}

char *tl_tensor_describe(const tl_tensor *tensor, tl_symbol_name symbol, const void *context, char *buffer, size_t size)
{
    size_t used = (size_t)snprintf(buffer, size, "%s%s", tl_type_name(tensor->type),
                                   tensor->rank == TL_RANK_UNKNOWN ? "[...]" : "[");
    for (int32_t i = 0; i < tensor->rank && used < size; i++) {
        tl_dim dim = tensor->dims[i];
        const char *name = dim < TL_DIM_UNKNOWN && symbol ? symbol(context, dim) : NULL;
        const char *comma = i ? "," : "";
        if (dim >= 0)
            used += (size_t)snprintf(buffer + used, size - used, "%s%lld", comma, (long long)dim);
        else
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", comma, name ? name : "?");
    }
    if (tensor->rank != TL_RANK_UNKNOWN && used < size)
        snprintf(buffer + used, size - used, "]");
    return buffer;
}
