/* Whole numbers. Plain functions, which compilers make vectors of where they know that x and y are apart. */
#include <stdbool.h>
#include <string.h>

#include "kernels/isa.h"

#define CONVERT(name, from, to, expression)                                          \
    static TLK_NOINLINE void name(const from *restrict x, to *restrict y, int64_t n) \
    {                                                                                \
        for (int64_t i = 0; i < n; i++) {                                            \
            const from u = x[i];                                                     \
            y[i] = (to)(expression);                                                 \
        }                                                                            \
    }
CONVERT(from_int8, int8_t, int32_t, u)
CONVERT(from_uint8, uint8_t, int32_t, u)
CONVERT(from_int16, int16_t, int32_t, u)
CONVERT(from_uint16, uint16_t, int32_t, u)
CONVERT(to_8_bits, int32_t, uint8_t, u)
CONVERT(to_16_bits, int32_t, uint16_t, u)
CONVERT(to_int64, int32_t, int64_t, u)
CONVERT(to_float, int32_t, float, u)
CONVERT(to_double, int32_t, double, u)
CONVERT(to_truth, int32_t, uint8_t, u != 0)
CONVERT(float_truth, uint32_t, uint8_t, u << 1 != 0) /* all but the sign */

static void widen(tlk_number from, const void *x, int32_t *y, int64_t n)
{
    if (from == TLK_AS_INT8)
        from_int8(x, y, n);
    else if (from == TLK_AS_UINT8)
        from_uint8(x, y, n);
    else if (from == TLK_AS_INT16)
        from_int16(x, y, n);
    else
        from_uint16(x, y, n);
}

static void narrow(tlk_number to, const int32_t *x, void *y, int64_t n)
{
    switch (to) {
    case TLK_AS_INT8:
    case TLK_AS_UINT8:
        to_8_bits(x, y, n);
        break;
    case TLK_AS_INT16:
    case TLK_AS_UINT16:
        to_16_bits(x, y, n);
        break;
    case TLK_AS_INT64:
        to_int64(x, y, n);
        break;
    case TLK_AS_FLOAT:
        to_float(x, y, n);
        break;
    case TLK_AS_DOUBLE:
        to_double(x, y, n);
        break;
    case TLK_AS_TRUTH:
        to_truth(x, y, n);
        break;
    case TLK_AS_FLOAT_TRUTH:
        float_truth((const uint32_t *)x, y, n);
        break;
    }
}

/* By the exponent, because comparisons of floats may trap, and then compilers make no vectors. */
static int truncate_doubles(const double *restrict x, int32_t *restrict y, int64_t n)
{
    int64_t outside = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t bits;
        double held;
        memcpy(&bits, x + i, sizeof bits);
        const int64_t beyond = (int64_t)((uint64_t)bits << 1 >> 53) > 1023 + 30 ? -1 : 0;
        outside |= beyond;
        bits &= ~beyond;
        memcpy(&held, &bits, sizeof held);
        y[i] = (int32_t)held;
    }
    return outside == 0;
}

/* Floats order like their bits, but for the sign: negative ones backwards. */
static void float_keys(const float *restrict x, int32_t *restrict y, int64_t n, int32_t turned)
{
    for (int64_t i = 0; i < n; i++) {
        const float number = x[i] + 0.0F; /* -0 becomes 0 */
        int32_t bits;
        memcpy(&bits, &number, sizeof bits);
        const int32_t key = bits ^ (bits >> 31 & INT32_MAX);
        y[i] = turned ^ ((bits & INT32_MAX) > 0x7f800000 ? INT32_MAX : key);
    }
}

static int64_t find_below(const int32_t *x, int64_t n, int32_t bound)
{
    int64_t i = 0;
    for (int32_t below = 0; i + TLK_SCAN <= n; i += TLK_SCAN) {
        for (int k = 0; k < TLK_SCAN; k++)
            below |= x[i + k] < bound;
        if (below)
            break;
    }
    return i;
}

/* With `kept`, results are turned back. */
#define REDUCE(name, from, to, kept, expression)                                                                    \
    static TLK_NOINLINE void name(const from *restrict x, int64_t rows, int64_t n, int64_t stride, int64_t columns, \
                                  from turned, to *restrict y)                                                      \
    {                                                                                                               \
        const from back = (kept) ? turned : 0;                                                                      \
        for (int64_t row = 0; row < rows && stride == 1; row++, x += n) {                                           \
            to a = y[row] ^ back;                                                                                   \
            for (int64_t i = 0; i < n; i++) {                                                                       \
                const to u = (from)(x[i] ^ turned);                                                                 \
                a = (to)(expression);                                                                               \
            }                                                                                                       \
            y[row] = a ^ back;                                                                                      \
        }                                                                                                           \
        for (int64_t i = 0; i < n && stride > 1; i++, x += stride)                                                  \
            for (int64_t c = 0; c < columns; c++) {                                                                 \
                const to a = y[c] ^ back, u = (from)(x[c] ^ turned);                                                \
                y[c] = (to)(expression) ^ back;                                                                     \
            }                                                                                                       \
    }
REDUCE(sum_int32, int32_t, int64_t, false, (uint64_t)a + (uint64_t)u)
REDUCE(sum_int64, int64_t, int64_t, false, (uint64_t)a + (uint64_t)u)
REDUCE(product_int32, int32_t, int64_t, false, (uint64_t)a *(uint64_t)u)
REDUCE(product_int64, int64_t, int64_t, false, (uint64_t)a *(uint64_t)u)
REDUCE(maximum_int8, int8_t, int8_t, true, a > u ? a : u)
REDUCE(maximum_int32, int32_t, int32_t, true, a > u ? a : u)
REDUCE(maximum_int64, int64_t, int64_t, true, a > u ? a : u)

static void reduce(tlk_reduction what, int size, const void *x, int64_t rows, int64_t n, int64_t stride,
                   int64_t columns, int64_t turned, void *y)
{
#define CALL(name, T)                                    \
    do {                                                 \
        name(x, rows, n, stride, columns, (T)turned, y); \
        return;                                          \
    } while (0)
    if (size == 1)
        CALL(maximum_int8, int8_t);
    if (what == TLK_SUM && size == 4)
        CALL(sum_int32, int32_t);
    if (what == TLK_SUM)
        CALL(sum_int64, int64_t);
    if (what == TLK_PRODUCT && size == 4)
        CALL(product_int32, int32_t);
    if (what == TLK_PRODUCT)
        CALL(product_int64, int64_t);
    if (size == 4)
        CALL(maximum_int32, int32_t);
    CALL(maximum_int64, int64_t);
}

const tlk_whole_kernel TLK_FN(tlk_whole) = {widen, narrow, truncate_doubles, float_keys, find_below, reduce};
