#include "onnx/order.h"
#include "onnx/number.h"

/* Floats order like their bits, but for the sign: negative ones backwards. */
static inline uint64_t float_key(float number)
{
    uint32_t bits;
    if (number != number)
        return UINT32_MAX;
    number += 0.0f; /* -0 becomes 0 */
    memcpy(&bits, &number, sizeof bits);
    return bits >> 31 ? ~bits : bits | (uint32_t)1 << 31;
}

static inline uint64_t double_key(double number)
{
    uint64_t bits;
    if (number != number)
        return UINT64_MAX;
    number += 0.0;
    memcpy(&bits, &number, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

#define SIGN ((uint64_t)1 << 63)
#define LOOP(element, expression)                      \
    for (int64_t i = 0; i < n; i++) {                  \
        element x = ((const element *)from)[i * step]; \
        keys[i] = (expression);                        \
    }                                                  \
    break

void op_order_keys(tl_type type, const void *from, int64_t step, int64_t n, uint64_t *keys)
{
    switch ((int)type) {
    case TL_FLOAT:
        LOOP(float, float_key(x));
    case TL_DOUBLE:
        LOOP(double, double_key(x));
    case TL_FLOAT16:
    case TL_BFLOAT16:
        LOOP(uint16_t, float_key(op_load_half(type, &x)));
    case TL_INT8:
        LOOP(int8_t, (uint64_t)x ^ SIGN);
    case TL_INT16:
        LOOP(int16_t, (uint64_t)x ^ SIGN);
    case TL_INT32:
        LOOP(int32_t, (uint64_t)x ^ SIGN);
    case TL_INT64:
        LOOP(int64_t, (uint64_t)x ^ SIGN);
    case TL_UINT8:
    case TL_BOOL:
        LOOP(uint8_t, x);
    case TL_UINT16:
        LOOP(uint16_t, x);
    case TL_UINT32:
        LOOP(uint32_t, x);
    case TL_UINT64:
        LOOP(uint64_t, x);
    default:
        memset(keys, 0, (size_t)n * sizeof *keys);
    }
}
