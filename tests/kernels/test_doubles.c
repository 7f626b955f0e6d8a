/* Functions of doubles and sums over them against long double and plain loops, next to forbidden pages. */
#include <check.h>
#include <float.h>
#include <math.h>

#include "common/run.h"
#include "element.h"
#include "guard.h"
#include "kernels/kernels.h"

/* Calls check(doubles, state) for every instruction set. */
static void for_all(void (*check)(const tlk_doubles_kernel *doubles, uint32_t *state))
{
    uint32_t state = 5;
    const tlk_doubles_kernel *last = NULL;
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        if (kernels != NULL && kernels->doubles != last)
            check(last = kernels->doubles, &state);
    }
}

static double ulp(long double x)
{
    return ldexp(1, (int)fmax(x == 0 ? -1074 : ilogbl(x) - 52, -1074));
}

/* Where long double is no more than double (as valgrind has it), the reference is not exact either. */
static void check_near(const char *name, double x, double got, long double exact, double ulps)
{
    const volatile long double one = 1;
    const double bound = one + 0x1p-60L == one ? ulps + 8 : ulps;
    const double least = ulps > 3 ? 0x1p-1063 : 0; /* where a factor is subnormal */
    if (isnan(exact) || fabsl(exact) > (long double)DBL_MAX)
        ck_assert_msg(isnan(exact) ? isnan(got) : got == (double)exact, "%s of %a is %a, not %La", name, x, got, exact);
    else
        ck_assert_msg(fabsl((long double)got - exact) <= (long double)(bound * ulp(exact) + least),
                      "%s of %a is %a, not %La", name, x, got, exact);
}

static long double sigmoid(long double x)
{
    return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}

static long double elu(long double x)
{
    return x < 0 ? 0.75L * expm1l(x) : x;
}

static long double mish(long double x)
{
    return isinf(x) ? (x < 0 ? 0 : x) : x * tanhl(x > 30 ? x + expl(-x) : log1pl(expl(x)));
}

static long double swish(long double x)
{
    return isinf(x) && x < 0 ? 0 : x * sigmoid(x);
}

/* Its argument is rounded, which costs digits where the result is near 0. */
static long double gelu_tanh(long double x)
{
    return isinf(x) && x < 0 ? 0 : x * sigmoid(2 * 0.79788456080286535588L * (x + 0.044715L * x * x * x));
}

static long double root(long double x)
{
    return (long double)sqrt((double)x);
}

typedef struct function {
    const char *name;
    int unary; /* or -1 */
    tlk_activation activation;
    long double (*exact)(long double x);
    double ulps;
} function;

static const function functions[] = {
    {"sqrt", TLK_SQRT, {0}, root, 0},
    {"floor", TLK_FLOOR, {0}, floorl, 0},
    {"ceil", TLK_CEIL, {0}, ceill, 0},
    {"round", TLK_ROUND, {0}, rintl, 0},
    {"exp", TLK_EXP, {0}, expl, 3},
    {"expm1", TLK_EXPM1, {0}, expm1l, 3},
    {"exponential", -1, {.kind = TLK_EXPONENTIAL}, expl, 3},
    {"tanh", -1, {.kind = TLK_TANH}, tanhl, 3},
    {"sigmoid", -1, {.kind = TLK_SIGMOID}, sigmoid, 3},
    {"elu", -1, {.kind = TLK_ELU, .a = 0.75}, elu, 4},
    {"selu", -1, {.kind = TLK_SELU, .a = 0.75, .b = 1}, elu, 4},
    {"swish", -1, {.kind = TLK_SWISH}, swish, 4},
    {"mish", -1, {.kind = TLK_MISH}, mish, 6},
    {"gelu_tanh", -1, {.kind = TLK_GELU_TANH}, gelu_tanh, 4000},
};

static void apply(const tlk_doubles_kernel *doubles, const function *f, const double *x, double *y, int64_t n)
{
    if (f->unary >= 0)
        doubles->unary((tlk_unary)f->unary, x, y, n);
    else
        doubles->activate(&f->activation, x, y, n);
}

static void check_functions(const tlk_doubles_kernel *doubles, uint32_t *state)
{
    enum { COUNT = 1500 };
    static const double special[] = {0.0,      -0.0,    INFINITY, -INFINITY, NAN,     0x1p-1074, -0x1p-1022,
                                     709.78,   709.79,  -708.4,   -744.4,    -745.14, -746,      DBL_MAX,
                                     -DBL_MAX, 0.34657, -0.34658, 1.03972,   0x1p-30, -0x1p-54,  36.5,
                                     -37,      19.1,    22,       0.5,       -0.5};
    enum { SPECIAL = sizeof special / sizeof special[0] };
    static double x[COUNT], y[COUNT];
    static const double ranges[] = {760, 40, 3, 0.7, 1e-5};
    for (int i = 0; i < COUNT; i++)
        x[i] = i < SPECIAL ? special[i] : random_number(state) * ranges[i % 5];
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        const function *f = &functions[k];
        apply(doubles, f, x, y, COUNT);
        for (int i = 0; i < COUNT; i++)
            check_near(f->name, x[i], y[i], f->exact((long double)x[i]), f->ulps);
    }
}

START_TEST(test_functions)
{
    for_all(check_functions);
}
END_TEST

/* Of any length, in place, the bits are those of one element alone. */
static void check_tails(const tlk_doubles_kernel *doubles, uint32_t *state)
{
    for (int64_t n = 1; n <= 11; n++)
        for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
            guarded x = guarded_alloc((size_t)n * sizeof(double), n % 2);
            double *at = x.data, alone[11];
            for (int64_t i = 0; i < n; i++) {
                at[i] = random_number(state) * 3;
                apply(doubles, &functions[k], at + i, alone + i, 1);
            }
            apply(doubles, &functions[k], at, at, n);
            ck_assert_mem_eq(at, alone, x.size);
            guarded_free(&x);
        }
}

START_TEST(test_tails)
{
    for_all(check_tails);
}
END_TEST

static const tlk_reduction reductions[] = {TLK_SUM, TLK_SUM_ABS, TLK_SUM_SQUARE, TLK_PRODUCT, TLK_MINIMUM, TLK_MAXIMUM};

static long double step(tlk_reduction reduction, long double so_far, long double x)
{
    switch (reduction) {
    case TLK_SUM_ABS:
        return so_far + fabsl(x);
    case TLK_SUM_SQUARE:
        return so_far + x * x;
    case TLK_PRODUCT:
        return so_far * x;
    case TLK_MINIMUM:
        return isnan(so_far) || so_far < x ? so_far : x;
    case TLK_MAXIMUM:
        return isnan(so_far) || so_far > x ? so_far : x;
    default:
        return so_far + x;
    }
}

static void check_reduced(tlk_reduction reduction, const double *x, int64_t n, int64_t stride, double got)
{
    long double exact = reduction == TLK_PRODUCT ? 1 : 0, magnitude = 0;
    if (reduction >= TLK_MINIMUM)
        exact = reduction == TLK_MINIMUM ? (long double)INFINITY : -(long double)INFINITY;
    for (int64_t i = 0; i < n; i++) {
        exact = step(reduction, exact, (long double)x[i * stride]);
        magnitude += fabsl((long double)x[i * stride]);
    }
    magnitude = reduction < TLK_PRODUCT ? magnitude + fabsl(exact) : fabsl(exact);
    if (isnan(exact) || isinf(exact) || reduction >= TLK_MINIMUM)
        ck_assert_msg(isnan(exact) ? isnan(got) : got == (double)exact, "%d of %d: %a, not %La", (int)reduction, (int)n,
                      got, exact);
    else
        ck_assert_msg(fabsl((long double)got - exact) <= 1e-14L * magnitude, "%d of %d: %a, not %La", (int)reduction,
                      (int)n, got, exact);
}

/* `odd`: 0 numbers, 1 with a NaN, 2 with infinities of both signs */
static guarded numbers(int64_t n, int odd, int before, uint32_t *state)
{
    guarded memory = guarded_alloc((size_t)n * sizeof(double), before);
    double *x = memory.data;
    for (int64_t i = 0; i < n; i++)
        x[i] = random_number(state) * 3;
    if (n > 0 && odd > 0)
        x[random_below(state, n)] = odd == 1 ? (double)NAN : (double)INFINITY;
    if (n > 0 && odd == 2)
        x[random_below(state, n)] = -(double)INFINITY;
    return memory;
}

static void check_rows(const tlk_doubles_kernel *doubles, uint32_t *state)
{
    for (int64_t n = 0; n <= 41; n++)
        for (int odd = 0; odd < 3; odd++) {
            const int64_t rows = n % 4;
            guarded x = numbers(n * rows, odd, (int)n % 2, state);
            guarded y = guarded_alloc((size_t)rows * sizeof(double), (int)n % 2);
            for (size_t k = 0; k < sizeof reductions / sizeof reductions[0]; k++) {
                doubles->reduce_rows(reductions[k], x.data, y.data, rows, n);
                for (int64_t row = 0; row < rows; row++)
                    check_reduced(reductions[k], (double *)x.data + row * n, n, 1, ((double *)y.data)[row]);
            }
            guarded_free(&x);
            guarded_free(&y);
        }
}

START_TEST(test_rows)
{
    for_all(check_rows);
}
END_TEST

static void check_columns(const tlk_doubles_kernel *doubles, uint32_t *state)
{
    for (int64_t columns = 1; columns <= 41; columns++)
        for (int odd = 0; odd < 3; odd++) {
            const int64_t n = columns % 7, stride = columns + columns % 3;
            const int64_t elements = n > 0 ? (n - 1) * stride + columns : 0;
            guarded x = numbers(elements, odd, (int)n % 2, state);
            guarded y = guarded_alloc((size_t)columns * sizeof(double), (int)n % 2);
            for (size_t k = 0; k < sizeof reductions / sizeof reductions[0]; k++) {
                doubles->reduce_strided(reductions[k], x.data, y.data, n, stride, columns);
                for (int64_t c = 0; c < columns; c++)
                    check_reduced(reductions[k], (double *)x.data + c, n, stride, ((double *)y.data)[c]);
            }
            guarded_free(&x);
            guarded_free(&y);
        }
}

START_TEST(test_columns)
{
    for_all(check_columns);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("doubles");
    TCase *tests = tcase_create("doubles");
    tcase_add_test(tests, test_functions);
    tcase_add_test(tests, test_tails);
    tcase_add_test(tests, test_rows);
    tcase_add_test(tests, test_columns);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
