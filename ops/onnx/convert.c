#include "onnx/convert.h"

#include "kernels/kernels.h"
#include "onnx/tensor.h"

op_domain op_domain_of(tl_type type)
{
    switch (type) {
    case TL_DOUBLE:
        return OP_F64;
    case TL_UINT64:
        return OP_U64;
    case TL_FLOAT:
    case TL_FLOAT16:
    case TL_BFLOAT16:
    case TL_FLOAT8E4M3FN:
    case TL_FLOAT8E4M3FNUZ:
    case TL_FLOAT8E5M2:
    case TL_FLOAT8E5M2FNUZ:
    case TL_FLOAT8E8M0:
    case TL_FLOAT4E2M1:
    case TL_FLOAT6E2M3:
    case TL_FLOAT6E3M2:
        return OP_F32;
    default:
        return OP_I64;
    }
}

bool op_is_native(tl_type type)
{
    return type == TL_FLOAT || type == TL_DOUBLE || type == TL_INT64 || type == TL_UINT64;
}

/* ---- floating types of 8, 6 and 4 bits: sign, exponent, fraction; a few bit patterns are special */

typedef struct layout {
    int exponent_bits, fraction_bits, bias;
} layout;

static layout layout_of(tl_type type)
{
    switch (type) {
    case TL_FLOAT8E4M3FN:
        return (layout){4, 3, 7};
    case TL_FLOAT8E4M3FNUZ:
        return (layout){4, 3, 8};
    case TL_FLOAT8E5M2:
        return (layout){5, 2, 15};
    case TL_FLOAT8E5M2FNUZ:
        return (layout){5, 2, 16};
    case TL_FLOAT6E2M3:
        return (layout){2, 3, 1};
    case TL_FLOAT6E3M2:
        return (layout){3, 2, 3};
    default: /* TL_FLOAT4E2M1 */
        return (layout){2, 1, 1};
    }
}

float op_small_float(tl_type type, unsigned bits)
{
    if (type == TL_FLOAT8E8M0) /* an exponent alone */
        return bits == 0xff ? NAN : ldexpf(1.0F, (int)bits - 127);
    layout l = layout_of(type);
    unsigned exponent_mask = (1U << l.exponent_bits) - 1, fraction_mask = (1U << l.fraction_bits) - 1;
    unsigned exponent = bits >> l.fraction_bits & exponent_mask, fraction = bits & fraction_mask;
    bool negative = (bits >> (l.exponent_bits + l.fraction_bits) & 1) != 0;
    if ((type == TL_FLOAT8E4M3FNUZ || type == TL_FLOAT8E5M2FNUZ) && bits == 0x80)
        return NAN;
    if (type == TL_FLOAT8E4M3FN && (bits & 0x7f) == 0x7f)
        return negative ? -NAN : NAN;
    if (type == TL_FLOAT8E5M2 && exponent == exponent_mask) {
        float special = fraction ? NAN : INFINITY;
        return negative ? -special : special;
    }
    unsigned significand = exponent ? fraction | (1U << l.fraction_bits) : fraction;
    float value = ldexpf((float)significand, (exponent ? (int)exponent : 1) - l.bias - l.fraction_bits);
    return negative ? -value : value;
}

/* Element `at` of a type that shares bytes, or of a type of a byte each */
static float load_small_float(tl_type type, const uint8_t *data, int64_t at)
{
    if (type == TL_FLOAT4E2M1)
        return op_small_float(type, data[at / 2] >> 4 * (at % 2) & 15U);
    return op_small_float(type, data[at]);
}

/* Sub-byte integers, signed ones from two's complement */
static int64_t load_packed(tl_type type, const uint8_t *data, int64_t at)
{
    const unsigned bits = op_type_bits(type);
    const unsigned per_byte = 8 / bits;
    const unsigned value = (unsigned)data[at / per_byte] >> (bits * (unsigned)(at % per_byte)) & ((1U << bits) - 1);
    const bool is_signed = type == TL_INT4 || type == TL_INT2;
    return is_signed && value >> (bits - 1) ? (int64_t)value - (1 << bits) : (int64_t)value;
}

/* ---- blocks */

#define WIDEN(TYPE, T)                                               \
    case TYPE:                                                       \
        for (int64_t i = 0; i < n; i++)                              \
            buffer->i64[i] = ((const T *)data)[at + i] + INT64_C(0); \
        break;

const void *op_load_block(tl_type type, const void *data, int64_t at, int64_t n, op_block *buffer)
{
    switch (type) {
    case TL_FLOAT:
        return (const float *)data + at;
    case TL_DOUBLE:
        return (const double *)data + at;
    case TL_INT64:
        return (const int64_t *)data + at;
    case TL_UINT64:
        return (const uint64_t *)data + at;
    case TL_FLOAT16:
        tlk_get()->f16_to_f32((const uint16_t *)data + at, buffer->f32, n);
        break;
    case TL_BFLOAT16:
        tlk_get()->bf16_to_f32((const uint16_t *)data + at, buffer->f32, n);
        break;
        OP_CASES_INT32(WIDEN)
        WIDEN(TL_UINT32, uint32_t)
    case TL_BOOL:
        for (int64_t i = 0; i < n; i++)
            buffer->i64[i] = ((const uint8_t *)data)[at + i] != 0;
        break;
    case TL_UINT4:
    case TL_INT4:
    case TL_UINT2:
    case TL_INT2:
        for (int64_t i = 0; i < n; i++)
            buffer->i64[i] = load_packed(type, data, at + i);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            buffer->f32[i] = load_small_float(type, data, at + i);
        break;
    }
    return buffer;
}

const void *op_fill_block(tl_type type, const void *data, int64_t at, int64_t n, op_block *buffer)
{
    op_block one;
    const void *value = op_load_block(type, data, at, 1, &one);
    if (op_domain_of(type) == OP_F32) {
        const float x = *(const float *)value;
        for (int64_t i = 0; i < n; i++)
            buffer->f32[i] = x;
    } else {
        uint64_t x = 0; /* any 8 bytes */
        memcpy(&x, value, sizeof x);
        for (int64_t i = 0; i < n; i++)
            buffer->u64[i] = x;
    }
    return buffer;
}

void *op_result_block(tl_type type, void *data, int64_t at, op_block *buffer)
{
    if (type == TL_FLOAT)
        return (float *)data + at;
    return op_is_native(type) ? (void *)((uint64_t *)data + at) : buffer;
}

#define NARROW(T)                                      \
    do {                                               \
        T *to = (T *)data + at;                        \
        for (int64_t i = 0; i < n; i++)                \
            to[i] = (T)((const uint64_t *)results)[i]; \
    } while (0)

void op_store_block(tl_type type, void *data, int64_t at, int64_t n, const void *results)
{
    switch (type) {
    case TL_FLOAT16:
        tlk_get()->f32_to_f16(results, (uint16_t *)data + at, n);
        break;
    case TL_BFLOAT16:
        tlk_get()->f32_to_bf16(results, (uint16_t *)data + at, n);
        break;
    case TL_INT8:
    case TL_UINT8:
        NARROW(uint8_t);
        break;
    case TL_INT16:
    case TL_UINT16:
        NARROW(uint16_t);
        break;
    case TL_INT32:
    case TL_UINT32:
        NARROW(uint32_t);
        break;
    case TL_BOOL:
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)data)[at + i] = ((const uint64_t *)results)[i] != 0;
        break;
    default: /* native: already there */
        break;
    }
}

const uint8_t op_number_of[TL_TYPE_COUNT] = {
    [TL_INT8] = TLK_AS_INT8,     [TL_UINT8] = TLK_AS_UINT8,   [TL_INT16] = TLK_AS_INT16,
    [TL_UINT16] = TLK_AS_UINT16, [TL_INT64] = TLK_AS_INT64,   [TL_UINT64] = TLK_AS_INT64,
    [TL_FLOAT] = TLK_AS_FLOAT,   [TL_DOUBLE] = TLK_AS_DOUBLE, [TL_BOOL] = TLK_AS_TRUTH};

/* ---- whole tensors */

static size_t domain_size(tl_type type)
{
    return op_domain_of(type) == OP_F32 ? sizeof(float) : sizeof(double);
}

const void *op_stage(tl_type type, const void *data, int64_t n, void *memory)
{
    if (op_is_native(type))
        return data;
    for (int64_t i = 0; i < n; i += OP_BLOCK)
        op_load_block(type, data, i, n - i < OP_BLOCK ? n - i : OP_BLOCK,
                      (op_block *)(void *)((char *)memory + (size_t)i * domain_size(type)));
    return memory;
}

void op_unstage(tl_type type, void *data, int64_t n, const void *memory)
{
    for (int64_t i = 0; i < n; i += OP_BLOCK)
        op_store_block(type, data, i, n - i < OP_BLOCK ? n - i : OP_BLOCK,
                       (const char *)memory + (size_t)i * domain_size(type));
}
