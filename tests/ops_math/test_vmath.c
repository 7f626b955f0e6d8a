/* The vector functions: accuracy on a sample of all floats (bench/vmath_ulp.c takes all), special values, and that an
 * element's result does not depend on where it lies. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "../ops_nn/support.h"

#define MOST_ULPS 2.0

static double swish(double x)
{
    return x < -1000 ? -0.0 : x / (1 + exp(-x));
}
static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double softplus(double x)
{
    return x > 40 ? x : log1p(exp(x));
}
static double softsign(double x)
{
    return isinf(x) ? copysign(1, x) : x / (1 + fabs(x));
}
static double gelu(double x)
{
    return x < -100 ? -0.0 : x / 2 * erfc(-x / sqrt(2));
}
static double gelu_tanh(double x)
{
    return x < -100  ? -0.0
           : x > 100 ? x
                     : x / (1 + exp(-2 * sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}
static double mish(double x)
{
    return x < -1000 ? -0.0 : x > 100 ? x : x * tanh(log1p(exp(x)));
}
static double elu(double x)
{
    return x < 0 ? expm1(x) : x;
}
static double absolute(double x)
{
    return fabs(x);
}
static double reciprocal(double x)
{
    return 1 / x;
}

typedef struct function {
    const char *name;
    double (*exact)(double);
    enum { UNARY, ACTIVATION, SINE } kind;
    int which;
} function;

static const function functions[] = {
    {"abs", absolute, UNARY, TLK_ABS},
    {"sqrt", sqrt, UNARY, TLK_SQRT},
    {"reciprocal", reciprocal, UNARY, TLK_RECIPROCAL},
    {"floor", floor, UNARY, TLK_FLOOR},
    {"ceil", ceil, UNARY, TLK_CEIL},
    {"round", rint, UNARY, TLK_ROUND},
    {"exp", exp, UNARY, TLK_EXP},
    {"expm1", expm1, UNARY, TLK_EXPM1},
    {"log", log, UNARY, TLK_LOG},
    {"erf", erf, UNARY, TLK_ERF},
    {"atan", atan, UNARY, TLK_ATAN},
    {"asin", asin, UNARY, TLK_ASIN},
    {"acos", acos, UNARY, TLK_ACOS},
    {"elu", elu, ACTIVATION, TLK_ELU},
    {"exponential", exp, ACTIVATION, TLK_EXPONENTIAL},
    {"gelu", gelu, ACTIVATION, TLK_GELU},
    {"gelu_tanh", gelu_tanh, ACTIVATION, TLK_GELU_TANH},
    {"mish", mish, ACTIVATION, TLK_MISH},
    {"sigmoid", sigmoid, ACTIVATION, TLK_SIGMOID},
    {"softplus", softplus, ACTIVATION, TLK_SOFTPLUS},
    {"softsign", softsign, ACTIVATION, TLK_SOFTSIGN},
    {"swish", swish, ACTIVATION, TLK_SWISH},
    {"tanh", tanh, ACTIVATION, TLK_TANH},
    {"sin", sin, SINE, 0},
    {"cos", cos, SINE, 1},
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

static void apply(const tlk_kernels *kernels, const function *f, const float *x, float *y, int64_t n)
{
    const tlk_activation activation = {(tlk_activation_kind)f->which, 1.0F, 1.0F};
    if (f->kind == UNARY)
        kernels->unary((tlk_unary)f->which, x, y, n);
    else if (f->kind == SINE)
        kernels->sine(x, y, n, f->which);
    else
        kernels->activate(&activation, x, y, n);
}

static void check_one(const char *name, float x, float got, double exact)
{
    if (isnan(exact)) {
        ck_assert_msg(isnan(got), "%s(%.9g) is %.9g, not NaN", name, (double)x, (double)got);
        return;
    }
    if ((float)exact == got)
        return;
    int exponent = 0;
    frexp(exact, &exponent);
    const double unit = ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
    const double value = isinf(got) ? copysign(0x1p128, (double)got) : (double)got;
    ck_assert_msg(!isinf(exact) && fabs(value - exact) <= MOST_ULPS * unit, "%s(%.9g) is %.9g, but exactly %.9g", name,
                  (double)x, (double)got, exact);
}

#define SAMPLE 4096

START_TEST(accuracy)
{
    float x[SAMPLE], y[SAMPLE];
    random_seed(1);
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (size_t f = 0; kernels && f < FUNCTIONS; f++)
            for (int round = 0; round < 60; round++) {
                for (int i = 0; i < SAMPLE; i++) {
                    uint32_t bits = random_bits();
                    if (round % 2) /* where the functions change */
                        bits = (bits & 0x80ffffff) | (uint32_t)random_int(0x33, 0x43) << 24;
                    memcpy(&x[i], &bits, sizeof bits);
                }
                apply(kernels, &functions[f], x, y, SAMPLE);
                for (int i = 0; i < SAMPLE; i++)
                    check_one(functions[f].name, x[i], y[i], functions[f].exact((double)x[i]));
            }
    }
}
END_TEST

START_TEST(special_values)
{
    static const float x[] = {
        0.0F,        -0.0F,       INFINITY,        -INFINITY,        NAN,     -NAN,   0x1p-149F, -0x1p-149F, 0x1p-126F,
        -0x1p-126F,  0x1p-127F,   0x1.fffffep127F, -0x1.fffffep127F, 1.0F,    -1.0F,  88.72284F, 88.72283F,  -87.33655F,
        -103.97208F, -103.97207F, -88.0F,          104.0F,           9.01F,   -9.02F, 0.625F,    0.92F,      -0.92F,
        0.70710678F, 1.41421356F, 16777216.0F,     3.875F,           -3.875F, 7.75F,  -7.75F,    9.5F};
    enum { COUNT = sizeof x / sizeof x[0] };
    float y[COUNT];
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (size_t f = 0; kernels && f < FUNCTIONS; f++) {
            apply(kernels, &functions[f], x, y, COUNT);
            for (int i = 0; i < COUNT; i++) {
                const double exact = functions[f].exact((double)x[i]);
                check_one(functions[f].name, x[i], y[i], exact);
                if (x[i] == 0.0F && exact == 0)
                    ck_assert_msg(!signbit(exact) == !signbit(y[i]), "%s(%g) has the wrong sign", functions[f].name,
                                  (double)x[i]);
            }
        }
    }
}
END_TEST

/* Every prefix and every start of a list gives the same bits, and nothing beyond it is written. */
START_TEST(position)
{
    enum { COUNT = 40, GUARD = 16 };
    float x[COUNT], whole[COUNT], part[COUNT + GUARD];
    random_seed(2);
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)random_real() * 12.0F;
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (size_t f = 0; kernels && f < FUNCTIONS; f++) {
            apply(kernels, &functions[f], x, whole, COUNT);
            for (int begin = 0; begin < COUNT; begin++)
                for (int end = begin; end <= COUNT; end++) {
                    memset(part, 0x5a, sizeof part);
                    apply(kernels, &functions[f], x + begin, part, end - begin);
                    ck_assert_mem_eq(part, whole + begin, (size_t)(end - begin) * sizeof part[0]);
                    for (int i = 0; i < GUARD; i++)
                        ck_assert_int_eq(((const uint8_t *)&part[end - begin + i])[0], 0x5a);
                }
        }
    }
}
END_TEST

START_TEST(reductions)
{
    enum { COUNT = 5000 };
    static float x[COUNT];
    random_seed(3);
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)random_real() + 0.25F;
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (int64_t n = 0; kernels && n <= COUNT; n = n < 80 ? n + 1 : n + 617) {
            double sum = 0, absolutes = 0, squares = 0, exps = 0, least = INFINITY, most = -INFINITY;
            for (int64_t i = 0; i < n; i++) {
                const double u = (double)x[i];
                sum += u, absolutes += fabs(u), squares += u * u, exps += exp(u - 1), least = fmin(least, u);
                most = fmax(most, u);
            }
            const double slack = 1e-6 * (absolutes + 1);
            ck_assert_double_eq_tol((double)kernels->reduce(TLK_SUM, x, n, 0), sum, slack);
            ck_assert_double_eq_tol((double)kernels->reduce(TLK_SUM_ABS, x, n, 0), absolutes, slack);
            ck_assert_double_eq_tol((double)kernels->reduce(TLK_SUM_SQUARE, x, n, 0), squares, slack);
            ck_assert_double_eq_tol((double)kernels->reduce(TLK_SUM_EXP, x, n, 1), exps, 2e-6 * (exps + 1));
            ck_assert(kernels->reduce(TLK_MINIMUM, x, n, 0) == (float)least);
            ck_assert(kernels->reduce(TLK_MAXIMUM, x, n, 0) == (float)most);
            if (n == 0)
                ck_assert(kernels->reduce(TLK_PRODUCT, x, n, 0) == 1.0F);
            /* NaN anywhere comes through, and wins over what follows */
            for (int64_t at = 0; at < n && n < 80; at++) {
                const float kept = x[at];
                x[at] = NAN;
                ck_assert(isnan(kernels->reduce(TLK_MINIMUM, x, n, 0)));
                ck_assert(isnan(kernels->reduce(TLK_MAXIMUM, x, n, 0)));
                ck_assert(isnan(kernels->reduce(TLK_SUM, x, n, 0)));
                x[at] = kept;
            }
        }
    }
}
END_TEST

/* Every pair of special numbers, and random ones. */
/* An exponent that is one of many gives what the only one does: the operator takes products for that. */
START_TEST(squares_and_cubes)
{
    enum { COUNT = 1000 };
    static float a[COUNT], b[COUNT], y[COUNT];
    random_seed(7);
    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)(random_real() * 20);
        b[i] = i % 2 ? 2.0F : 3.0F;
    }
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        if (!kernels)
            continue;
        kernels->power(a, 1, b, 1, y, COUNT);
        for (int i = 0; i < COUNT; i++)
            ck_assert_float_eq(y[i], i % 2 ? a[i] * a[i] : a[i] * a[i] * a[i]);
    }
}
END_TEST

START_TEST(powers)
{
    static const float special[] = {0.0F,     -0.0F,     1.0F,  -1.0F,  2.0F,         -2.0F,   3.0F,
                                    -3.0F,    0.5F,      -0.5F, 2.5F,   0x1p-149F,    1e-40F,  3e38F,
                                    -3e38F,   16777215,  -5.0F, 1e30F,  -16777217.0F, 0x1p24F, 33554434.0F,
                                    INFINITY, -INFINITY, NAN,   0.999F, 1.001F,       100.0F,  8388607.0F};
    enum { SPECIALS = sizeof special / sizeof special[0], COUNT = 50000 };
    static float a[COUNT], b[COUNT], y[COUNT];
    random_seed(6);
    for (int i = 0; i < COUNT; i++) {
        const uint32_t bits = random_bits();
        memcpy(&a[i], &bits, sizeof bits);
        if (i % 2 || isnan(a[i])) /* a NaN that signals need not give 1 to the power of 0 */
            a[i] = (float)exp(random_real() * 20);
        b[i] = (float)(random_real() * (i % 3 ? 20 : 3));
        if (i < SPECIALS * SPECIALS) {
            a[i] = special[i / SPECIALS];
            b[i] = special[i % SPECIALS];
        }
    }
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        if (!kernels)
            continue;
        kernels->power(a, 1, b, 1, y, COUNT);
        for (int i = 0; i < COUNT; i++)
            check_one("pow", a[i], y[i], pow((double)a[i], (double)b[i]));
        for (int i = 0; i < SPECIALS; i++) {
            kernels->power(a + i, 0, b, 1, y, SPECIALS);
            for (int k = 0; k < SPECIALS; k++)
                check_one("pow of one", a[i], y[k], pow((double)a[i], (double)b[k]));
            kernels->power(b, 1, b + i, 0, y, SPECIALS);
            for (int k = 0; k < SPECIALS; k++)
                check_one("pow by one", b[k], y[k], pow((double)b[k], (double)b[i]));
        }
    }
}
END_TEST

START_TEST(normalization)
{
    enum { MOST = 70 };
    float x[MOST], scale[MOST], shift[MOST], y[MOST + 1];
    random_seed(7);
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (int n = 1; kernels && n <= MOST; n++)
            for (int centred = 0; centred < 2; centred++) {
                double sum = 0, squares = 0, mean, variance;
                for (int i = 0; i < n; i++) {
                    x[i] = (float)random_real() + 1000;
                    scale[i] = (float)random_real();
                    shift[i] = (float)random_real();
                    sum += (double)x[i] * centred;
                }
                for (int i = 0; i < n; i++)
                    squares += pow((double)x[i] - sum / n, 2);
                kernels->moments(x, n, centred, &mean, &variance);
                ck_assert_double_eq_tol(mean, sum / n, 1e-10);
                ck_assert_double_eq_tol(variance, squares / n, 1e-9 * (squares / n + 1));
                for (int given = 0; given < 4; given++) {
                    y[n] = 5;
                    kernels->normalize(x, y, n, 1000, 3, given & 1 ? scale : NULL, given & 2 ? shift : NULL, 0.5F);
                    for (int i = 0; i < n; i++) {
                        const double want = ((double)x[i] - 1000) * 3 * (given & 1 ? (double)scale[i] : 1) +
                                            (given & 2 ? (double)shift[i] : 0.5);
                        ck_assert_double_eq_tol((double)y[i], want, 1e-6);
                    }
                    ck_assert(y[n] == 5);
                }
            }
    }
}
END_TEST

START_TEST(truncation)
{
    enum { COUNT = 40 };
    static const float beyond[] = {0x1p31F, -0x1.000002p31F, 1e20F, (float)INFINITY, (float)-INFINITY, (float)NAN};
    float x[COUNT];
    int32_t y[COUNT + 1];
    random_seed(8);
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (int n = 0; kernels && n <= COUNT; n++) {
            for (int i = 0; i < n; i++)
                x[i] = (float)(random_real() * (i % 2 ? 5.0 : 0x1p31));
            if (n > 2) {
                x[0] = -0x1p31F;
                x[n - 1] = 0x1.fffffep30F;
            }
            y[n] = 77;
            ck_assert_int_eq(kernels->truncate(x, y, n), 1);
            for (int i = 0; i < n; i++)
                ck_assert_int_eq(y[i], (int32_t)x[i]);
            for (int at = 0; at < n; at++)
                for (size_t k = 0; k < sizeof beyond / sizeof beyond[0]; k++) {
                    const float kept = x[at];
                    x[at] = beyond[k];
                    ck_assert_int_eq(kernels->truncate(x, y, n), 0);
                    x[at] = kept;
                }
            ck_assert_int_eq(y[n], 77);
        }
    }
}
END_TEST

START_TEST(two_operands)
{
    enum { COUNT = 37 };
    float a[COUNT], b[COUNT], y[COUNT];
    random_seed(4);
    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)random_real();
        b[i] = (float)random_real() + 1.5F;
    }
    a[5] = NAN;
    b[7] = NAN;
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (int steps = 0; kernels && steps < 4; steps++)
            for (int n = 0; n <= COUNT; n++)
                for (int f = TLK_ADD; f <= TLK_PRELU; f++) {
                    const int as = steps & 1, bs = steps >> 1;
                    kernels->binary((tlk_binary)f, a, as, b, bs, y, n);
                    for (int i = 0; i < n; i++) {
                        const float u = a[i * as], v = b[i * bs];
                        const float nan = isnan(u) ? u : v;
                        const bool has_nan = isnan(u) || isnan(v);
                        const float want[] = {u + v,
                                              u - v,
                                              u * v,
                                              u / v,
                                              has_nan ? nan : fminf(u, v),
                                              has_nan ? nan : fmaxf(u, v),
                                              u < 0 ? u * v : u};
                        ck_assert(y[i] == want[f] || (isnan(y[i]) && isnan(want[f])));
                    }
                }
    }
}
END_TEST

/* Rows of y are neighbours; those of the operands overlap, are the same, or lie apart. What follows y stays. */
START_TEST(rows_of_two_operands)
{
    enum { COUNT = 37, ROWS = 3, APART = 40 };
    float a[ROWS * APART], b[ROWS * APART], y[ROWS * COUNT + 1];
    random_seed(5);
    for (int i = 0; i < ROWS * APART; i++) {
        a[i] = (float)random_real();
        b[i] = (float)random_real();
    }
    static const int apart[] = {0, 1, APART};
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (int way = 0; kernels && way < 4 * 9 * (ROWS + 1); way++)
            for (int n = 0; n <= COUNT; n++) {
                const int as = way & 1, bs = way >> 1 & 1, rows = way / 36;
                const int a_row = apart[way / 4 % 3], b_row = apart[way / 12 % 3];
                y[rows * n] = 77;
                kernels->binary_rows(TLK_SUB, a, a_row, as, b, b_row, bs, y, rows, n);
                for (int r = 0; r < rows; r++)
                    for (int i = 0; i < n; i++)
                        ck_assert(y[r * n + i] == a[r * a_row + i * as] - b[r * b_row + i * bs]);
                ck_assert(y[rows * n] == 77);
            }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vmath");
    ADD_TEST(suite, accuracy);
    ADD_TEST(suite, special_values);
    ADD_TEST(suite, position);
    ADD_TEST(suite, reductions);
    ADD_TEST(suite, powers);
    ADD_TEST(suite, squares_and_cubes);
    ADD_TEST(suite, normalization);
    ADD_TEST(suite, truncation);
    ADD_TEST(suite, two_operands);
    ADD_TEST(suite, rows_of_two_operands);
    return run_suite(suite);
}
