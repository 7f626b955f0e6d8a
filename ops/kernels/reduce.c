/* Sums, products, minimum and maximum of many floats. */
#include <math.h>

#include "kernels/isa.h"
#include "kernels/vmath.h"

/* Sums of so many elements are taken in float, in a fixed pattern of lanes, and added in double: as exact as is of use
 * with the last digits of the elements in doubt, at full speed. */
#define SEGMENT     2048
#define LANES_COUNT 4 /* vectors that are added to in turn, to hide an addition's latency */

#define COMBINE_SUM(sum, v)   ((sum) + (v))
#define COMBINE_PRODUCT(p, v) ((p) * (v))
#define COMBINE_MINIMUM(m, v) vf_select(((m) < (v)) | ((m) != (m)), (m), (v))
#define COMBINE_MAXIMUM(m, v) vf_select(((m) > (v)) | ((m) != (m)), (m), (v))

/* name: of n <= SEGMENT elements, a vector of partial results. Lanes beyond the end hold the neutral element. */
#define SEGMENT_OF(name, neutral, combine, function)                                       \
    TLK_INLINE vecf name(const float *x, int64_t n, float bound)                           \
    {                                                                                      \
        const vecf top = vf_set1(bound);                                                   \
        vecf part[LANES_COUNT];                                                            \
        (void)top;                                                                         \
        for (int k = 0; k < LANES_COUNT; k++)                                              \
            part[k] = vf_set1(neutral);                                                    \
        int64_t i = 0;                                                                     \
        for (; i + (int64_t)LANES_COUNT * TLK_W <= n; i += (int64_t)LANES_COUNT * TLK_W) { \
            TLK_UNROLL                                                                     \
            for (int k = 0; k < LANES_COUNT; k++) {                                        \
                const vecf v = vf_load(x + i + (int64_t)k * TLK_W);                        \
                part[k] = combine(part[k], function);                                      \
            }                                                                              \
        }                                                                                  \
        for (; i + TLK_W <= n; i += TLK_W) {                                               \
            const vecf v = vf_load(x + i);                                                 \
            part[0] = combine(part[0], function);                                          \
        }                                                                                  \
        if (i < n) {                                                                       \
            const vecf v = vf_load_n(x + i, (int)(n - i));                                 \
            const veci inside = vi_iota() < (int32_t)(n - i);                              \
            part[1] = combine(part[1], vf_select(inside, function, vf_set1(neutral)));     \
        }                                                                                  \
        for (int k = LANES_COUNT / 2; k > 0; k /= 2)                                       \
            for (int j = 0; j < k; j++)                                                    \
                part[j] = combine(part[j], part[j + k]);                                   \
        return part[0];                                                                    \
    }

SEGMENT_OF(sum_segment, 0.0F, COMBINE_SUM, v)
SEGMENT_OF(sum_abs_segment, 0.0F, COMBINE_SUM, vf_abs(v))
SEGMENT_OF(sum_square_segment, 0.0F, COMBINE_SUM, v *v)
SEGMENT_OF(sum_exp_segment, 0.0F, COMBINE_SUM, vf_exp(v - top))
SEGMENT_OF(product_segment, 1.0F, COMBINE_PRODUCT, v)
SEGMENT_OF(minimum_segment, __builtin_inff(), COMBINE_MINIMUM, v)
SEGMENT_OF(maximum_segment, -__builtin_inff(), COMBINE_MAXIMUM, v)

#define SUM_OF(segment)                                                                      \
    do {                                                                                     \
        if (n <= SEGMENT)                                                                    \
            return vf_sum(segment(x, n, bound));                                             \
        double sum = 0.0;                                                                    \
        for (int64_t i = 0; i < n; i += SEGMENT)                                             \
            sum += (double)vf_sum(segment(x + i, n - i < SEGMENT ? n - i : SEGMENT, bound)); \
        return (float)sum;                                                                   \
    } while (0)

static float lanes_product(vecf v)
{
    double product = 1.0;
    for (int i = 0; i < TLK_W; i++)
        product *= (double)v[i];
    return (float)product;
}
static float lanes_minimum(vecf v)
{
    float m = v[0];
    for (int i = 1; i < TLK_W; i++)
        m = m < v[i] || m != m ? m : v[i];
    return m;
}
static float lanes_maximum(vecf v)
{
    float m = v[0];
    for (int i = 1; i < TLK_W; i++)
        m = m > v[i] || m != m ? m : v[i];
    return m;
}

float TLK_FN(tlk_reduce)(tlk_reduction reduction, const float *x, int64_t n, float bound)
{
    switch (reduction) {
    case TLK_SUM:
        SUM_OF(sum_segment);
    case TLK_SUM_ABS:
        SUM_OF(sum_abs_segment);
    case TLK_SUM_SQUARE:
        SUM_OF(sum_square_segment);
    case TLK_SUM_EXP:
        SUM_OF(sum_exp_segment);
    case TLK_PRODUCT:
        return lanes_product(product_segment(x, n, bound));
    case TLK_MINIMUM:
        return lanes_minimum(minimum_segment(x, n, bound));
    case TLK_MAXIMUM:
        return lanes_maximum(maximum_segment(x, n, bound));
    }
    return 0.0F;
}

/* ---- over strided elements: whole vectors of columns, elements in order ---- */

/* Long sums are cut as above: what has gathered in float is moved to double every SEGMENT elements. */
#define STRIDED_SUM(function)                                                                  \
    do {                                                                                       \
        vecf part = vf_zero();                                                                 \
        vecd low = vd_zero();                                                                  \
        vecd high = vd_zero();                                                                 \
        for (int64_t i = 0; i < n; i++) {                                                      \
            const vecf v = whole ? vf_load(x + i * stride) : vf_load_n(x + i * stride, width); \
            part = part + (function);                                                          \
            if ((i + 1) % SEGMENT == 0 && n > SEGMENT) {                                       \
                low = low + vd_from_low(part);                                                 \
                high = high + vd_from_high(part);                                              \
                part = vf_zero();                                                              \
            }                                                                                  \
        }                                                                                      \
        if (n > SEGMENT)                                                                       \
            part = vf_from_halves(low + vd_from_low(part), high + vd_from_high(part));         \
        return part;                                                                           \
    } while (0)
#define STRIDED(neutral, combine)                                                              \
    do {                                                                                       \
        vecf part = vf_set1(neutral);                                                          \
        for (int64_t i = 0; i < n; i++) {                                                      \
            const vecf v = whole ? vf_load(x + i * stride) : vf_load_n(x + i * stride, width); \
            part = combine(part, v);                                                           \
        }                                                                                      \
        return part;                                                                           \
    } while (0)

TLK_INLINE vecf reduce_columns(tlk_reduction reduction, const float *x, int64_t n, int64_t stride, int whole, int width,
                               vecf top)
{
    switch (reduction) {
    case TLK_SUM:
        STRIDED_SUM(v);
    case TLK_SUM_ABS:
        STRIDED_SUM(vf_abs(v));
    case TLK_SUM_SQUARE:
        STRIDED_SUM(v * v);
    case TLK_SUM_EXP:
        STRIDED_SUM(vf_exp(v - top));
    case TLK_PRODUCT:
        STRIDED(1.0F, COMBINE_PRODUCT);
    case TLK_MINIMUM:
        STRIDED(__builtin_inff(), COMBINE_MINIMUM);
    case TLK_MAXIMUM:
        STRIDED(-__builtin_inff(), COMBINE_MAXIMUM);
    }
    return vf_zero();
}

void TLK_FN(tlk_reduce_strided)(tlk_reduction reduction, const float *x, float *y, int64_t n, int64_t stride,
                                int64_t columns, const float *bounds)
{
    const int bounded = reduction == TLK_SUM_EXP;
    int64_t column = 0;
    for (; column + TLK_W <= columns; column += TLK_W) {
        const vecf top = bounded ? vf_load(bounds + column) : vf_zero();
        vf_store(y + column, reduce_columns(reduction, x + column, n, stride, 1, TLK_W, top));
    }
    if (column < columns) {
        const int width = (int)(columns - column);
        const vecf top = bounded ? vf_load_n(bounds + column, width) : vf_zero();
        vf_store_n(y + column, reduce_columns(reduction, x + column, n, stride, 0, width, top), width);
    }
}
