/* Functions of doubles and sums over them. AVX-512 machines run AVX2's (isa.h). */
#include "kernels/doubles.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/isa.h"

/* ---- exp and what is made of it ---- */

#define LOG2E  0x1.71547652b82fep+0
#define LN2_HI 0x1.62e42fep-1 /* 28 bits: a product with |n| < 2^25 is exact */
#define LN2_LO 0x1.f473de6af278fp-30

typedef uint64_t bits __attribute__((vector_size(TLK_VBYTES)));

/* x log2(e) as the whole number next to it, and what x is away from n log(2), for |x| < 2^20 */
typedef struct reduced {
    bits n;
    vecd r;
} reduced;

TLK_INLINE reduced reduce_exp(vecd x)
{
    const vecd magic = vd_set1(0x1.8p52); /* adding it rounds to an integer, which the lowest bits then hold */
    const vecd shifted = vd_fma(x, vd_set1(LOG2E), magic);
    const vecd k = shifted - magic;
    const vecd r = vd_fma(k, vd_set1(-LN2_HI), x);
    return (reduced){(bits)shifted - (bits)magic, vd_fma(k, vd_set1(-LN2_LO), r)};
}

/* 2^n for -1022 <= n <= 1023 */
TLK_INLINE vecd pow2(bits n)
{
    return (vecd)((n + 1023U) << 52);
}

/* exp(r) - 1 for |r| <= 0.3467: r + r^2 times the series of 13 terms, the rest of which is below 2^-57 */
TLK_LONG vecd expm1_reduced(vecd r)
{
    static const double inverse_factorials[] = {
        1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0, 1.0 / 362880.0, 1.0 / 40320.0,
        1.0 / 5040.0,       1.0 / 720.0,       1.0 / 120.0,      1.0 / 24.0,      1.0 / 6.0,      1.0 / 2.0};
    vecd q = vd_set1(inverse_factorials[0]);
    TLK_UNROLL
    for (int i = 1; i < 12; i++)
        q = vd_fma(q, r, vd_set1(inverse_factorials[i]));
    return vd_fma(r * r, q, r);
}

static TLK_NOINLINE vecd vd_exp(vecd x)
{
    const reduced by = reduce_exp(vd_max(vd_set1(-746), vd_min(vd_set1(710), x)));
    const bits half = ((by.n + 2048U) >> 1) - 1024U; /* two steps, as 2^n alone may be out of range */
    return (expm1_reduced(by.r) + 1.0) * pow2(half) * pow2(by.n - half);
}

/* exp(x) - 1 */
static TLK_NOINLINE vecd vd_expm1(vecd x)
{
    const reduced by = reduce_exp(vd_max(vd_set1(-40), vd_min(vd_set1(710), x)));
    const vecd p = expm1_reduced(by.r);
    const vecd half = pow2(by.n - 1U); /* half of 2^n, which may be out of range */
    const vecd sum = vd_fma(half, p, half - 0.5);
    return vd_select((vecl)(by.n == 0), vd_select(x == 0.0, x, p), sum + sum);
}

TLK_INLINE vecd vd_tanh(vecd x)
{
    const vecd e = vd_expm1(2.0 * vd_min(vd_set1(20), vd_abs(x)));
    return (vecd)((vecl)(e / (e + 2.0)) | ((vecl)x & INT64_MIN));
}

static TLK_NOINLINE vecd vd_sigmoid(vecd x)
{
    const vecd e = vd_exp(-vd_abs(x));
    return vd_select(x < 0.0, e, vd_set1(1)) / (1.0 + e);
}

/* At minus infinity products with what tends to 0 would be NaN. */
TLK_INLINE vecd bounded(vecd x)
{
    return vd_max(vd_set1(-1000), x);
}

TLK_INLINE vecd vd_gelu_tanh(vecd x)
{
    const vecd cube = 0.044715 * x * x * x; /* may overflow, as it should */
    return bounded(x) * vd_sigmoid(2 * 0.79788456080286535588 * (x + cube));
}

/* The hyperbolic tangent of log(1 + e) is n / (n + 2), where n = e (e + 2). */
TLK_INLINE vecd vd_mish(vecd x)
{
    const vecd e = vd_exp(vd_min(vd_set1(40), x));
    const vecd n = e * (e + 2.0);
    return bounded(x) * (n / (n + 2.0));
}

/* Of whole vectors */
#define MAP(expression)                           \
    do {                                          \
        for (int64_t i = 0; i < n; i += TLK_WD) { \
            const vecd v = vd_load(x + i);        \
            vd_store(y + i, expression);          \
        }                                         \
    } while (0)

#define MAP_LIBRARY(function)           \
    do {                                \
        for (int64_t i = 0; i < n; i++) \
            y[i] = function(x[i]);      \
    } while (0)

static void unary(tlk_unary function, const double *x, double *y, int64_t n)
{
    switch (function) {
    case TLK_ABS:
        MAP(vd_abs(v));
        break;
    case TLK_NEG:
        MAP(-v);
        break;
    case TLK_SQRT:
        MAP(vd_sqrt(v));
        break;
    case TLK_RECIPROCAL:
        MAP(1.0 / v);
        break;
    case TLK_FLOOR:
        MAP(vd_floor(v));
        break;
    case TLK_CEIL:
        MAP(vd_ceil(v));
        break;
    case TLK_ROUND:
        MAP(vd_round(v));
        break;
    case TLK_EXP:
        MAP(vd_exp(v));
        break;
    case TLK_EXPM1:
        MAP(vd_expm1(v));
        break;
    case TLK_LOG:
        MAP_LIBRARY(log);
        break;
    case TLK_ERF:
        MAP_LIBRARY(erf);
        break;
    case TLK_ATAN:
        MAP_LIBRARY(atan);
        break;
    case TLK_ASIN:
        MAP_LIBRARY(asin);
        break;
    case TLK_ACOS:
        MAP_LIBRARY(acos);
        break;
    }
}

static double gelu(double x)
{
    return (x < -1000 ? -1000 : x) * 0.5 * erfc(x * -0.70710678118654752440);
}

static double softplus(double x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

static double softsign(double x)
{
    return isinf(x) ? copysign(1, x) : x / (1 + fabs(x));
}

static void activate(const tlk_activation *activation, const double *x, double *y, int64_t n)
{
    const double a = activation->a;
    const double b = activation->kind == TLK_ELU ? 1 : activation->b;
    switch (activation->kind) {
    case TLK_ELU:
    case TLK_SELU:
        MAP(b * vd_select(v < 0.0, a * vd_expm1(v), v));
        break;
    case TLK_EXPONENTIAL:
        unary(TLK_EXP, x, y, n);
        break;
    case TLK_GELU:
        MAP_LIBRARY(gelu);
        break;
    case TLK_GELU_TANH:
        MAP(vd_gelu_tanh(v));
        break;
    case TLK_MISH:
        MAP(vd_mish(v));
        break;
    case TLK_SIGMOID:
        MAP(vd_sigmoid(v));
        break;
    case TLK_SOFTPLUS:
        MAP_LIBRARY(softplus);
        break;
    case TLK_SOFTSIGN:
        MAP_LIBRARY(softsign);
        break;
    case TLK_SWISH:
        MAP(bounded(v) * vd_sigmoid(v));
        break;
    case TLK_TANH:
        MAP(vd_tanh(v));
        break;
    default: /* arithmetic */
        break;
    }
}

/* Tails go through the same instructions as whole vectors, so that a result does not depend on where it lies. */
#define WITH_TAIL(function, what)                          \
    do {                                                   \
        const int left = (int)(n % TLK_WD);                \
        double tail[TLK_WD];                               \
        function(what, x, y, n - left);                    \
        if (left > 0) {                                    \
            vd_store(tail, vd_load_n(x + n - left, left)); \
            function(what, tail, tail, TLK_WD);            \
            vd_store_n(y + n - left, vd_load(tail), left); \
        }                                                  \
    } while (0)

void TLK_FN(tlk_unary_f64)(tlk_unary function, const double *x, double *y, int64_t n)
{
    WITH_TAIL(unary, function);
}

void TLK_FN(tlk_activate_f64)(const tlk_activation *activation, const double *x, double *y, int64_t n)
{
    WITH_TAIL(activate, activation);
}

/* ---- sums, products, extremes ---- */

#if defined TLK_ISA_PORTABLE
#define LANES 1
#else
#define LANES 4 /* vectors that are added to in turn, to hide an addition's latency */
#endif

/* What is done to an element before it is gathered. */
typedef struct preparation {
    vecl keep, turn, square, one; /* square: all ones, to multiply it by itself, else by `one` */
} preparation;

static TLK_NOINLINE preparation preparation_of(tlk_reduction reduction)
{
    const vecl none = {0};
    const vecd one = vd_set1(1);
    return (preparation){.keep = reduction == TLK_SUM_ABS ? none + INT64_MAX : ~none,
                         .turn = reduction == TLK_MINIMUM ? none + INT64_MIN : none,
                         .square = reduction == TLK_SUM_SQUARE ? ~none : none,
                         .one = reduction == TLK_SUM_SQUARE ? none : (vecl)one};
}

/* The extreme's instruction forgets NaN, a sum does not. */
typedef struct part {
    vecd value, sum;
} part;

TLK_INLINE part start(bool extreme)
{
    return (part){vd_set1(extreme ? -__builtin_inf() : 0), vd_zero()};
}

TLK_INLINE part joined(bool extreme, part a, part b)
{
    return (part){extreme ? vd_max(a.value, b.value) : a.value + b.value, a.sum + b.sum};
}

TLK_INLINE part gather(bool extreme, const preparation *by, vecd v, part to)
{
    const vecl u = (vecl)v & by->keep;
    const vecd value = extreme ? (vecd)((vecl)v ^ by->turn) : (vecd)u * (vecd)((u & by->square) | by->one);
    return joined(extreme, to, (part){value, v});
}

/* Infinities, too, can make the sum NaN: the elements are looked at again. */
static TLK_NOINLINE void put_nan(const double *x, double *y, int64_t n, int64_t stride, int64_t columns)
{
    for (int64_t i = 0; i < n; i++, x += stride)
        for (int64_t c = 0; c < columns; c++)
            if (x[c] != x[c])
                y[c] = x[c];
}

TLK_INLINE bool any_nan(vecd sum)
{
    const double total = vd_sum(sum);
    return total != total;
}

TLK_INLINE void rows_of(bool extreme, const preparation *by, const double *x, double *y, int64_t rows, int64_t n)
{
    for (; rows > 0; rows--, x += n, y++) {
        part parts[LANES];
        TLK_UNROLL
        for (int k = 0; k < LANES; k++)
            parts[k] = start(extreme);
        int64_t i = 0;
        for (; i + LANES * TLK_WD <= n; i += LANES * TLK_WD) {
            TLK_UNROLL
            for (int k = 0; k < LANES; k++)
                parts[k] = gather(extreme, by, vd_load(x + i + (int64_t)k * TLK_WD), parts[k]);
        }
        for (; i + TLK_WD <= n; i += TLK_WD)
            parts[0] = gather(extreme, by, vd_load(x + i), parts[0]);
        TLK_UNROLL
        for (int k = LANES / 2; k > 0; k /= 2)
            TLK_UNROLL
        for (int j = 0; j < k; j++)
            parts[j] = joined(extreme, parts[j], parts[j + k]);
        part all = parts[0];
        TLK_UNROLL
        for (int w = TLK_WD; w > 1; w /= 2)
            all = joined(extreme, (part){vd_even(all.value, all.value), vd_even(all.sum, all.sum)},
                         (part){vd_odd(all.value, all.value), vd_odd(all.sum, all.sum)});
        for (; i < n; i++)
            all = gather(extreme, by, vd_set1(x[i]), all);
        *y = ((vecd)((vecl)all.value ^ by->turn))[0];
        if (extreme && all.sum[0] != all.sum[0])
            put_nan(x, y, n, 1, 1);
    }
}

static TLK_NOINLINE void products(const double *x, double *y, int64_t n, int64_t stride, int64_t columns)
{
    for (int64_t c = 0; c < columns; c++)
        y[c] = 1;
    for (int64_t i = 0; i < n; i++, x += stride)
        for (int64_t c = 0; c < columns; c++)
            y[c] *= x[c];
}

static void reduce_rows(tlk_reduction reduction, const double *x, double *y, int64_t rows, int64_t n)
{
    const preparation by = preparation_of(reduction);
    if (reduction > TLK_PRODUCT)
        rows_of(true, &by, x, y, rows, n);
    else if (reduction < TLK_PRODUCT)
        rows_of(false, &by, x, y, rows, n);
    else
        for (int64_t i = 0; i < rows; i++, x += n) { /* in lanes, for the same reason */
            double lanes[8];
            products(x, lanes, n / 8, 8, 8);
            products(lanes, y + i, 8, 1, 1);
            for (int64_t k = n / 8 * 8; k < n; k++)
                y[i] *= x[k];
        }
}

/* Of `vectors` vectors of columns, or of one with the first `width` lanes. */
TLK_INLINE void columns_of(bool extreme, int vectors, const preparation *by, const double *x, double *y, int64_t n,
                           int64_t stride, int width)
{
    const double *from = x;
    part parts[LANES];
    TLK_UNROLL
    for (int k = 0; k < vectors; k++)
        parts[k] = start(extreme);
    for (int64_t i = 0; i < n; i++, from += stride) {
        TLK_UNROLL
        for (int k = 0; k < vectors; k++)
            parts[k] = gather(extreme, by, vectors > 1 ? vd_load(from + (int64_t)k * TLK_WD) : vd_load_n(from, width),
                              parts[k]);
    }
    TLK_UNROLL
    for (int k = 0; k < vectors; k++)
        vd_store_n(y + (int64_t)k * TLK_WD, (vecd)((vecl)parts[k].value ^ by->turn), width);
    for (int k = 1; k < vectors; k++)
        parts[0].sum = parts[0].sum + parts[k].sum;
    const double sum = extreme ? vd_sum(parts[0].sum) : 0;
    if (sum != sum)
        put_nan(x, y, n, stride, vectors > 1 ? vectors * TLK_WD : width);
}

TLK_INLINE void all_columns(bool extreme, const preparation *by, const double *x, double *y, int64_t n, int64_t stride,
                            int64_t columns)
{
    for (; LANES > 1 && columns >= LANES * TLK_WD; columns -= LANES * TLK_WD, x += LANES * TLK_WD, y += LANES * TLK_WD)
        columns_of(extreme, LANES, by, x, y, n, stride, TLK_WD);
    for (; columns > 0; columns -= TLK_WD, x += TLK_WD, y += TLK_WD)
        columns_of(extreme, 1, by, x, y, n, stride, (int)(columns < TLK_WD ? columns : TLK_WD));
}

static void reduce_strided(tlk_reduction reduction, const double *x, double *y, int64_t n, int64_t stride,
                           int64_t columns)
{
    const preparation by = preparation_of(reduction);
    if (reduction > TLK_PRODUCT)
        all_columns(true, &by, x, y, n, stride, columns);
    else if (reduction < TLK_PRODUCT)
        all_columns(false, &by, x, y, n, stride, columns);
    else
        products(x, y, n, stride, columns);
}

const tlk_doubles_kernel TLK_FN(tlk_doubles) = {TLK_FN(tlk_unary_f64), TLK_FN(tlk_activate_f64), reduce_rows,
                                                reduce_strided};
