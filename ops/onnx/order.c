#include "onnx/order.h"

#include "onnx/convert.h"
#include "onnx/number.h"

/* As the kernel `float_keys`. */
static inline int64_t double_key(double number)
{
    int64_t bits;
    number += 0.0;
    memcpy(&bits, &number, sizeof bits);
    const int64_t key = bits ^ (bits >> 63 & INT64_MAX);
    return (bits & INT64_MAX) > INT64_C(0x7ff0000000000000) ? INT64_MAX : key;
}

static void half_keys(tl_type type, const uint16_t *from, int64_t n, int32_t *keys, int32_t turned)
{
    float floats[OP_BLOCK];
    for (int64_t i = 0; i < n; i += OP_BLOCK) {
        const int64_t m = n - i < OP_BLOCK ? n - i : OP_BLOCK;
        op_load_floats(type, from + i, floats, m);
        tlk_get()->whole->float_keys(floats, keys + i, m, turned);
    }
}

#define LOOP(element, key, expression)                             \
    for (int64_t i = 0; i < n; i++) {                              \
        const element x = ((const element *)from)[i];              \
        ((key *)keys)[i] = (key)((key)(expression) ^ (key)turned); \
    }                                                              \
    break

void op_order_keys(tl_type type, const void *from, int64_t n, void *keys, int64_t turned)
{
    switch ((int)type) {
    case TL_FLOAT:
        tlk_get()->whole->float_keys(from, keys, n, (int32_t)turned);
        break;
    case TL_DOUBLE:
        LOOP(double, int64_t, double_key(x));
    case TL_FLOAT16:
    case TL_BFLOAT16:
        half_keys(type, from, n, keys, (int32_t)turned);
        break;
    case TL_INT8:
        LOOP(int8_t, int32_t, x);
    case TL_INT16:
        LOOP(int16_t, int32_t, x);
    case TL_INT32:
        LOOP(int32_t, int32_t, x);
    case TL_INT64:
        LOOP(int64_t, int64_t, x);
    case TL_UINT8:
    case TL_BOOL:
        LOOP(uint8_t, int32_t, x);
    case TL_UINT16:
        LOOP(uint16_t, int32_t, x);
    case TL_UINT32:
        LOOP(uint32_t, int32_t, x ^ (uint32_t)INT32_MIN);
    case TL_UINT64:
        LOOP(uint64_t, int64_t, x ^ (uint64_t)INT64_MIN);
    default:
        memset(keys, 0, (size_t)n * sizeof(int32_t));
    }
}

/* By one byte of the keys after the other, the last one first; those in which all agree are left out. */
op_entry *op_sort_entries(op_entry *from, op_entry *to, int64_t n)
{
    uint64_t differing = 0;
    for (int64_t i = 1; i < n; i++)
        differing |= (uint64_t)(from[i].key ^ from[0].key);
    for (unsigned shift = 0; shift < 64; shift += 8) {
        int64_t starts[257] = {0};
        const unsigned flip = shift == 56 ? 0x80 : 0; /* negative keys first */
        if (!(differing >> shift & 0xff))
            continue;
        for (int64_t i = 0; i < n; i++)
            starts[(((uint64_t)from[i].key >> shift & 0xff) ^ flip) + 1]++;
        for (int k = 1; k < 256; k++)
            starts[k] += starts[k - 1];
        for (int64_t i = 0; i < n; i++)
            to[starts[((uint64_t)from[i].key >> shift & 0xff) ^ flip]++] = from[i];
        op_entry *swap = from;
        from = to;
        to = swap;
    }
    return from;
}
