#include "onnx/reduction.h"
#include "onnx/number.h"

/* The loops of one type: element type, type that computes without overflow, and the four operations. */
#define LOOP(name, type, expression)                        \
    static void name(void *to, const void *from, int64_t n) \
    {                                                       \
        type *t = to;                                       \
        const type *f = from;                               \
        for (int64_t i = 0; i < n; i++) {                   \
            type a = t[i], b = f[i];                        \
            t[i] = (type)(expression);                      \
        }                                                   \
    }
#define INTEGER(label, type, wide)             \
    LOOP(add_##label, type, (wide)a + (wide)b) \
    LOOP(mul_##label, type, (wide)a *(wide)b)  \
    LOOP(max_##label, type, a > b ? a : b)     \
    LOOP(min_##label, type, a < b ? a : b)
#define FLOATING(label, type)                        \
    LOOP(add_##label, type, a + b)                   \
    LOOP(mul_##label, type, a *b)                    \
    LOOP(max_##label, type, a > b || a != a ? a : b) \
    LOOP(min_##label, type, a < b || a != a ? a : b)
#define HALF_LOOP(name, half, expression)                                                                         \
    static void name(void *to, const void *from, int64_t n)                                                       \
    {                                                                                                             \
        for (int64_t i = 0; i < n; i++) {                                                                         \
            float a = op_load_half(half, (uint16_t *)to + i), b = op_load_half(half, (const uint16_t *)from + i); \
            op_store_half(half, expression, (uint16_t *)to + i);                                                  \
        }                                                                                                         \
    }
#define HALF(label, half)                                 \
    HALF_LOOP(add_##label, half, a + b)                   \
    HALF_LOOP(mul_##label, half, a *b)                    \
    HALF_LOOP(max_##label, half, a > b || a != a ? a : b) \
    HALF_LOOP(min_##label, half, a < b || a != a ? a : b)
#define COMPLEX(label, type)                                       \
    static void add_##label(void *to, const void *from, int64_t n) \
    {                                                              \
        for (int64_t i = 0; i < 2 * n; i++)                        \
            ((type *)to)[i] += ((const type *)from)[i];            \
    }                                                              \
    static void mul_##label(void *to, const void *from, int64_t n) \
    {                                                              \
        type *t = to;                                              \
        const type *f = from;                                      \
        for (int64_t i = 0; i < 2 * n; i += 2) {                   \
            type real = t[i] * f[i] - t[i + 1] * f[i + 1];         \
            t[i + 1] = t[i] * f[i + 1] + t[i + 1] * f[i];          \
            t[i] = real;                                           \
        }                                                          \
    }

INTEGER(int8, int8_t, int32_t)
INTEGER(uint8, uint8_t, uint32_t)
INTEGER(int16, int16_t, int32_t)
INTEGER(uint16, uint16_t, uint32_t)
INTEGER(int32, int32_t, uint32_t)
INTEGER(uint32, uint32_t, uint32_t)
INTEGER(int64, int64_t, uint64_t)
INTEGER(uint64, uint64_t, uint64_t)
FLOATING(float, float)
FLOATING(double, double)
HALF(float16, TL_FLOAT16)
HALF(bfloat16, TL_BFLOAT16)
COMPLEX(complex64, float)
COMPLEX(complex128, double)
LOOP(or_bool, uint8_t, a || b)
LOOP(and_bool, uint8_t, a &&b)

op_combine op_combine_for(op_reduction reduction, tl_type type)
{
#define ORDERED(TYPE, label) [TYPE] = { add_##label, mul_##label, max_##label, min_##label }
    static const op_combine table[TL_TYPE_COUNT][4] = {
        ORDERED(TL_INT8, int8),
        ORDERED(TL_UINT8, uint8),
        ORDERED(TL_INT16, int16),
        ORDERED(TL_UINT16, uint16),
        ORDERED(TL_INT32, int32),
        ORDERED(TL_UINT32, uint32),
        ORDERED(TL_INT64, int64),
        ORDERED(TL_UINT64, uint64),
        ORDERED(TL_FLOAT, float),
        ORDERED(TL_DOUBLE, double),
        ORDERED(TL_FLOAT16, float16),
        ORDERED(TL_BFLOAT16, bfloat16),
        [TL_COMPLEX64] = {add_complex64, mul_complex64},
        [TL_COMPLEX128] = {add_complex128, mul_complex128},
        [TL_BOOL] = {or_bool, and_bool, or_bool, and_bool},
    };
    return (unsigned)type < TL_TYPE_COUNT ? table[type][reduction] : NULL;
}
