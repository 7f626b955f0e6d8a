/* Sums, products, minimum and maximum of many floats. */
#include "kernels/isa.h"
#include "kernels/vmath.h"

/* Sums of so many elements are taken in float, in a fixed pattern of lanes, and added in double: as exact as is of use
 * with the last digits of the elements in doubt, at full speed. */
#define SEGMENT     2048
#define LANES_COUNT 4 /* vectors that are added to in turn, to hide an addition's latency */

#define COMBINE_SUM(sum, v)   ((sum) + (v))
#define COMBINE_PRODUCT(p, v) ((p) * (v))

/* name: of n <= SEGMENT elements, a vector of partial results. Lanes beyond the end hold the neutral element. */
#define SEGMENT_OF(kind, name, neutral, combine, function)                                 \
    kind vecf name(const float *x, int64_t n, float bound)                                 \
    {                                                                                      \
        const vecf top = vf_set1(bound);                                                   \
        vecf part[LANES_COUNT];                                                            \
        (void)top;                                                                         \
        TLK_UNROLL                                                                         \
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
        return combine(combine(part[0], part[2]), combine(part[1], part[3]));              \
    }

SEGMENT_OF(TLK_INLINE, sum_segment, 0.0F, COMBINE_SUM, v)
SEGMENT_OF(TLK_INLINE, sum_abs_segment, 0.0F, COMBINE_SUM, vf_abs(v))
SEGMENT_OF(TLK_INLINE, sum_square_segment, 0.0F, COMBINE_SUM, v *v)
SEGMENT_OF(static TLK_NOINLINE, sum_exp_segment, 0.0F, COMBINE_SUM, vf_exp(v - top))
SEGMENT_OF(TLK_INLINE, product_segment, 1.0F, COMBINE_PRODUCT, v)

/* The minimum is the maximum of what has the other sign. */
TLK_INLINE vecf flipped(vecf v, int minimum)
{
    return (vecf)((veci)v ^ vi_set1(minimum ? INT32_MIN : 0));
}

/* The maximum's instruction forgets NaN; a sum does not. Only where that is NaN, too, for which infinities may be to
 * blame, the elements are looked at again. */
TLK_INLINE float extreme_of(const float *x, int64_t n, int minimum)
{
    vecf most[LANES_COUNT];
    vecf sum[LANES_COUNT] = {vf_zero()};
    TLK_UNROLL
    for (int k = 0; k < LANES_COUNT; k++)
        most[k] = vf_set1(-__builtin_inff());
    int64_t i = 0;
    for (; i + (int64_t)LANES_COUNT * TLK_W <= n; i += (int64_t)LANES_COUNT * TLK_W) {
        TLK_UNROLL
        for (int k = 0; k < LANES_COUNT; k++) {
            const vecf v = flipped(vf_load(x + i + (int64_t)k * TLK_W), minimum);
            most[k] = vf_max(most[k], v);
            sum[k] = sum[k] + v;
        }
    }
    for (; i + TLK_W <= n; i += TLK_W) {
        const vecf v = flipped(vf_load(x + i), minimum);
        most[0] = vf_max(most[0], v);
        sum[0] = sum[0] + v;
    }
    if (i < n) {
        const int left = (int)(n - i);
        const vecf v = flipped(vf_load_n(x + i, left), minimum);
        most[1] = vf_max(most[1], vf_select(vi_iota() < left, v, most[1]));
        sum[1] = sum[1] + v;
    }
    if (vf_any_nan((sum[0] + sum[1]) + (sum[2] + sum[3])))
        for (i = 0; i < n; i++)
            if (x[i] != x[i])
                return x[i];
    const float result = vf_max_across(vf_max(vf_max(most[0], most[1]), vf_max(most[2], most[3])));
    return minimum ? -result : result;
}

#define SUM_OF(name, segment)                                                                       \
    TLK_INLINE float name(const float *x, int64_t n, float bound)                                   \
    {                                                                                               \
        if (n <= SEGMENT)                                                                           \
            return vf_sum_across(segment(x, n, bound));                                             \
        double sum = 0.0;                                                                           \
        for (int64_t i = 0; i < n; i += SEGMENT)                                                    \
            sum += (double)vf_sum_across(segment(x + i, n - i < SEGMENT ? n - i : SEGMENT, bound)); \
        return (float)sum;                                                                          \
    }
SUM_OF(sum_up_to, sum_segment)
SUM_OF(sum_abs_up_to, sum_abs_segment)
SUM_OF(sum_square_up_to, sum_square_segment)
SUM_OF(sum_exp_of, sum_exp_segment)
#define sum_of(x, n)        sum_up_to(x, n, 0.0F)
#define sum_abs_of(x, n)    sum_abs_up_to(x, n, 0.0F)
#define sum_square_of(x, n) sum_square_up_to(x, n, 0.0F)

static float lanes_product(vecf v)
{
    double product = 1.0;
    TLK_UNROLL
    for (int i = 0; i < TLK_W; i++)
        product *= (double)v[i];
    return (float)product;
}

/* Rows of two elements, the parts of complex numbers above all. */
static void sum_pairs(const float *from, float *y, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++)
        y[row] = (0.0F + from[2 * row]) + (0.0F + from[2 * row + 1]); /* as long ones: of -0 it is 0 */
}

#define ROWS(value)                            \
    for (int64_t row = 0; row < rows; row++) { \
        const float *x = from + row * n;       \
        y[row] = (value);                      \
    }

void TLK_FN(tlk_reduce_rows)(tlk_reduction reduction, const float *from, float *y, int64_t rows, int64_t n,
                             const float *bounds)
{
    if (n == 2 && reduction == TLK_SUM) {
        sum_pairs(from, y, rows);
        return;
    }
    switch (reduction) {
    case TLK_SUM:
        ROWS(sum_of(x, n));
        break;
    case TLK_SUM_ABS:
        ROWS(sum_abs_of(x, n));
        break;
    case TLK_SUM_SQUARE:
        ROWS(sum_square_of(x, n));
        break;
    case TLK_SUM_EXP:
        ROWS(sum_exp_of(x, n, bounds[row]));
        break;
    case TLK_PRODUCT:
        ROWS(lanes_product(product_segment(x, n, 0.0F)));
        break;
    case TLK_MINIMUM:
        ROWS(extreme_of(x, n, 1));
        break;
    case TLK_MAXIMUM:
        ROWS(extreme_of(x, n, 0));
        break;
    }
}

float TLK_FN(tlk_reduce)(tlk_reduction reduction, const float *x, int64_t n, float bound)
{
    float result;
    TLK_FN(tlk_reduce_rows)(reduction, x, &result, 1, n, &bound);
    return result;
}

/* ---- softmax: exp(x - max) / sum, so that nothing overflows ---- */

/* The greatest of n elements; where one is NaN, any of them. */
TLK_INLINE float greatest(const float *x, int64_t n)
{
    const vecf lowest = vf_set1(-__builtin_inff());
    vecf part[LANES_COUNT];
    TLK_UNROLL
    for (int k = 0; k < LANES_COUNT; k++)
        part[k] = lowest;
    int64_t i = 0;
    for (; i + (int64_t)LANES_COUNT * TLK_W <= n; i += (int64_t)LANES_COUNT * TLK_W) {
        TLK_UNROLL
        for (int k = 0; k < LANES_COUNT; k++)
            part[k] = vf_max(part[k], vf_load(x + i + (int64_t)k * TLK_W));
    }
    for (; i + TLK_W <= n; i += TLK_W)
        part[0] = vf_max(part[0], vf_load(x + i));
    if (i < n) {
        const vecf v = vf_load_n(x + i, (int)(n - i));
        part[1] = vf_max(part[1], vf_select(vi_iota() < (int32_t)(n - i), v, lowest));
    }
    return vf_max_across(vf_max(vf_max(part[0], part[1]), vf_max(part[2], part[3])));
}

/* exp(x - bound) into y, but for the lanes of the last vector, if it is not a whole one: processors are slow to load
 * what they have just stored in part. Returns the sum, in segments as above. */
TLK_INLINE float exponentials(const float *x, float *y, int64_t n, vecf top, vecf *last)
{
    double total = 0.0;
    for (int64_t begin = 0; begin < n; begin += SEGMENT) {
        const int64_t end = n - begin < SEGMENT ? n : begin + SEGMENT;
        vecf sum = vf_zero();
        int64_t i = begin;
        for (; i + TLK_W <= end; i += TLK_W) {
            const vecf e = vf_exp(vf_load(x + i) - top);
            vf_store(y + i, e);
            sum = sum + e;
        }
        if (i < end) {
            *last = vf_exp(vf_load_n(x + i, (int)(end - i)) - top);
            sum = sum + (vecf)((vi_iota() < (int32_t)(end - i)) & (veci)*last);
        }
        total += (double)vf_sum_across(sum);
    }
    return (float)total;
}

static TLK_NOINLINE void softmax_row(const float *x, float *y, int64_t n)
{
    const vecf top = vf_set1(greatest(x, n)); /* NaN makes the sum NaN, and all that is left */
    vecf last = vf_zero();
    int64_t i = 0;
    const vecf scale = vf_set1(1.0F / exponentials(x, y, n, top, &last));
    for (; i + TLK_W <= n; i += TLK_W)
        vf_store(y + i, vf_load(y + i) * scale);
    if (i < n)
        vf_store_n(y + i, last * scale, (int)(n - i));
}

/* Of `rows` <= TLK_W rows, so that one logarithm serves all. */
static TLK_NOINLINE void log_softmax_rows(const float *x, float *y, int64_t rows, int64_t n)
{
    float tops[TLK_W];
    float shifts[TLK_W];
    vf_store(shifts, vf_set1(1.0F));
    for (int64_t row = 0; row < rows; row++) {
        tops[row] = greatest(x + row * n, n);
        shifts[row] = sum_exp_of(x + row * n, n, tops[row]);
    }
    vf_store(shifts, vf_log(vf_load(shifts)));
    for (int64_t row = 0; row < rows; row++, x += n, y += n) {
        const vecf top = vf_set1(tops[row]);
        const vecf shift = vf_set1(shifts[row]);
        int64_t i = 0;
        for (; i + TLK_W <= n; i += TLK_W)
            vf_store(y + i, (vf_load(x + i) - top) - shift);
        if (i < n)
            vf_store_n(y + i, (vf_load_n(x + i, (int)(n - i)) - top) - shift, (int)(n - i));
    }
}

void TLK_FN(tlk_softmax)(const float *x, float *y, int64_t rows, int64_t n, int logarithm)
{
    if (logarithm) {
        for (int64_t row = 0; row < rows; row += TLK_W)
            log_softmax_rows(x + row * n, y + row * n, rows - row < TLK_W ? rows - row : TLK_W, n);
        return;
    }
    for (int64_t row = 0; row < rows; row++)
        softmax_row(x + row * n, y + row * n, n);
}

/* ---- over strided elements: whole vectors of columns, elements in order ---- */

/* Long sums are cut as above: what has gathered in float is added in double every SEGMENT elements. */
#define STRIDED_SUM(function)                                                                      \
    do {                                                                                           \
        vecd low = vd_zero();                                                                      \
        vecd high = vd_zero();                                                                     \
        for (int64_t begin = 0; begin < n; begin += SEGMENT) {                                     \
            const int64_t end = n - begin < SEGMENT ? n : begin + SEGMENT;                         \
            vecf part = vf_zero();                                                                 \
            for (int64_t i = begin; i < end; i++) {                                                \
                const vecf v = whole ? vf_load(x + i * stride) : vf_load_n(x + i * stride, width); \
                part = part + (function);                                                          \
            }                                                                                      \
            if (n <= SEGMENT)                                                                      \
                return part;                                                                       \
            low = low + vd_from_low(part);                                                         \
            high = high + vd_from_high(part);                                                      \
        }                                                                                          \
        return vf_from_halves(low, high);                                                          \
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
    default:
        break;
    }
    vecf product = vf_set1(1.0F);
    for (int64_t i = 0; i < n; i++)
        product = product * (whole ? vf_load(x + i * stride) : vf_load_n(x + i * stride, width));
    return product;
}

/* Of `vectors` vectors of columns, the last one of `width` columns; NaN as in extreme_of. */
TLK_INLINE void extreme_columns(int vectors, const float *x, float *y, int64_t n, int64_t stride, int width,
                                int minimum)
{
    vecf most[LANES_COUNT];
    vecf sum[LANES_COUNT] = {vf_zero()};
    TLK_UNROLL
    for (int k = 0; k < vectors; k++)
        most[k] = vf_set1(-__builtin_inff());
    for (int64_t i = 0; i < n; i++)
        TLK_UNROLL
    for (int k = 0; k < vectors; k++) {
        const float *at = x + i * stride + (int64_t)k * TLK_W;
        const vecf v = flipped(vectors > 1 ? vf_load(at) : vf_load_n(at, width), minimum);
        most[k] = vf_max(most[k], v);
        sum[k] = sum[k] + v;
    }
    TLK_UNROLL
    for (int k = 0; k < vectors; k++)
        vf_store_n(y + (int64_t)k * TLK_W, flipped(most[k], minimum), vectors > 1 ? TLK_W : width);
    TLK_UNROLL
    for (int k = 1; k < vectors; k++)
        sum[0] = sum[0] + sum[k];
    if (vf_any_nan(sum[0]))
        for (int64_t i = 0; i < n; i++)
            for (int64_t c = 0; c < (vectors - 1) * TLK_W + width; c++)
                y[c] = x[i * stride + c] != x[i * stride + c] ? __builtin_nanf("") : y[c];
}

static TLK_NOINLINE void extremes_strided(const float *x, float *y, int64_t n, int64_t stride, int64_t columns,
                                          int minimum)
{
    const int64_t wide = (int64_t)LANES_COUNT * TLK_W;
    int64_t column = 0;
    for (; column + wide <= columns; column += wide)
        extreme_columns(LANES_COUNT, x + column, y + column, n, stride, TLK_W, minimum);
    for (; column < columns; column += TLK_W)
        extreme_columns(1, x + column, y + column, n, stride,
                        columns - column < TLK_W ? (int)(columns - column) : TLK_W, minimum);
}

void TLK_FN(tlk_reduce_strided)(tlk_reduction reduction, const float *x, float *y, int64_t n, int64_t stride,
                                int64_t columns, const float *bounds)
{
    const int bounded = reduction == TLK_SUM_EXP;
    int64_t column = 0;
    if (reduction == TLK_MINIMUM || reduction == TLK_MAXIMUM) {
        extremes_strided(x, y, n, stride, columns, reduction == TLK_MINIMUM);
        return;
    }
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

/* ---- normalization ---- */

/* The mean of (x - centre), or of its square, in double. */
TLK_INLINE double mean_around(const float *x, int64_t n, double centre, int squares)
{
    const vecd c = vd_set1(centre);
    vecd sum[4] = {vd_zero()};
    int64_t i = 0;
#define ADD(k, v)                                                                  \
    do {                                                                           \
        const vecd low = vd_from_low(v) - c;                                       \
        const vecd high = vd_from_high(v) - c;                                     \
        sum[k] = squares ? vd_fma(low, low, sum[k]) : sum[k] + low;                \
        sum[k + 1] = squares ? vd_fma(high, high, sum[k + 1]) : sum[k + 1] + high; \
    } while (0)
    for (; i + 2 * TLK_W <= n; i += 2 * TLK_W) {
        ADD(0, vf_load(x + i));
        ADD(2, vf_load(x + i + TLK_W));
    }
    if (i + TLK_W <= n) {
        ADD(0, vf_load(x + i));
        i += TLK_W;
    }
    double total = vd_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; i < n; i++) {
        const double apart = (double)x[i] - centre;
        total += squares ? apart * apart : apart;
    }
    return total / (double)n;
}

void TLK_FN(tlk_moments)(const float *x, int64_t n, int centred, double *mean, double *variance)
{
    *mean = centred ? mean_around(x, n, 0, 0) : 0;
    *variance = mean_around(x, n, *mean, 1);
}

void TLK_FN(tlk_normalize)(const float *x, float *y, int64_t n, float mean, float factor, const float *scale,
                           const float *shift, float offset)
{
    const vecf m = vf_set1(mean);
    const vecf f = vf_set1(factor);
    int64_t i = 0;
    for (; i + TLK_W <= n; i += TLK_W) {
        const vecf v = (vf_load(x + i) - m) * f;
        const vecf s = shift ? vf_load(shift + i) : vf_set1(offset);
        vf_store(y + i, scale ? vf_fma(v, vf_load(scale + i), s) : v + s);
    }
    if (i < n) {
        const int left = (int)(n - i);
        const vecf v = (vf_load_n(x + i, left) - m) * f;
        const vecf s = shift ? vf_load_n(shift + i, left) : vf_set1(offset);
        vf_store_n(y + i, scale ? vf_fma(v, vf_load_n(scale + i, left), s) : v + s, left);
    }
}
