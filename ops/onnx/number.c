#include "onnx/number.h"

void op_load_floats(tl_type type, const void *from, float *to, int64_t n)
{
    if (type == TL_FLOAT)
        memcpy(to, from, (size_t)n * sizeof *to);
    else if (type == TL_FLOAT16)
        tlk_get()->f16_to_f32(from, to, n);
    else if (type == TL_BFLOAT16)
        tlk_get()->bf16_to_f32(from, to, n);
    else if (type == TL_INT8 || type == TL_UINT8)
        tlk_get()->dequantize(from, 1, type == TL_INT8, to, n, n, (float[]){1}, (float[]){0});
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = (float)((const double *)from)[i];
}

void op_store_floats(tl_type type, const float *from, void *to, int64_t n)
{
    if (type == TL_FLOAT)
        memcpy(to, from, (size_t)n * sizeof *from);
    else if (type == TL_FLOAT16)
        tlk_get()->f32_to_f16(from, to, n);
    else if (type == TL_BFLOAT16)
        tlk_get()->f32_to_bf16(from, to, n);
    else if (type == TL_INT8 || type == TL_UINT8)
        tlk_get()->quantize(from, to, 1, n, 1, 0, type == TL_INT8 ? INT8_MIN : 0,
                            type == TL_INT8 ? INT8_MAX : UINT8_MAX);
    else
        for (int64_t i = 0; i < n; i++)
            ((double *)to)[i] = from[i];
}

double op_load_number(const tl_tensor *tensor, int64_t i)
{
    const void *data = tensor->data;
    switch ((int)tensor->type) {
    case TL_FLOAT:
        return ((const float *)data)[i];
    case TL_DOUBLE:
        return ((const double *)data)[i];
    case TL_FLOAT16:
    case TL_BFLOAT16:
        return op_load_half(tensor->type, (const uint16_t *)data + i);
    case TL_INT8:
        return ((const int8_t *)data)[i];
    case TL_UINT8:
    case TL_BOOL:
        return ((const uint8_t *)data)[i];
    case TL_INT16:
        return ((const int16_t *)data)[i];
    case TL_UINT16:
        return ((const uint16_t *)data)[i];
    case TL_INT32:
        return ((const int32_t *)data)[i];
    case TL_UINT32:
        return ((const uint32_t *)data)[i];
    case TL_INT64:
        return (double)((const int64_t *)data)[i];
    case TL_UINT64:
        return (double)((const uint64_t *)data)[i];
    default:
        return 0;
    }
}

/* 2^63 and 2^64 as doubles: the first numbers that no longer fit. */
#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

static int64_t to_signed(double number, int64_t low, int64_t high)
{
    if (number != number)
        return 0;
    if (number >= TWO_63)
        return high;
    if (number < -TWO_63)
        return low;
    int64_t whole = (int64_t)number;
    return whole < low ? low : whole > high ? high : whole;
}

static uint64_t to_unsigned(double number, uint64_t high)
{
    if (!(number > 0))
        return 0;
    if (number >= TWO_64)
        return high;
    uint64_t whole = (uint64_t)number;
    return whole > high ? high : whole;
}

void op_store_number(const tl_tensor *tensor, int64_t i, double number)
{
    void *data = tensor->data;
    switch ((int)tensor->type) {
    case TL_FLOAT:
        ((float *)data)[i] = (float)number;
        break;
    case TL_DOUBLE:
        ((double *)data)[i] = number;
        break;
    case TL_FLOAT16:
    case TL_BFLOAT16:
        op_store_half(tensor->type, (float)number, (uint16_t *)data + i);
        break;
    case TL_INT8:
        ((int8_t *)data)[i] = (int8_t)to_signed(number, INT8_MIN, INT8_MAX);
        break;
    case TL_INT16:
        ((int16_t *)data)[i] = (int16_t)to_signed(number, INT16_MIN, INT16_MAX);
        break;
    case TL_INT32:
        ((int32_t *)data)[i] = (int32_t)to_signed(number, INT32_MIN, INT32_MAX);
        break;
    case TL_INT64:
        ((int64_t *)data)[i] = to_signed(number, INT64_MIN, INT64_MAX);
        break;
    case TL_UINT8:
        ((uint8_t *)data)[i] = (uint8_t)to_unsigned(number, UINT8_MAX);
        break;
    case TL_UINT16:
        ((uint16_t *)data)[i] = (uint16_t)to_unsigned(number, UINT16_MAX);
        break;
    case TL_UINT32:
        ((uint32_t *)data)[i] = (uint32_t)to_unsigned(number, UINT32_MAX);
        break;
    case TL_UINT64:
        ((uint64_t *)data)[i] = to_unsigned(number, UINT64_MAX);
        break;
    case TL_BOOL:
        ((uint8_t *)data)[i] = number != 0;
        break;
    default:
        break;
    }
}
