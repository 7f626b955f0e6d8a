/* vmath_ulp: how far the vector functions are from the exact value, over all 2^32 floats.
 *
 *     vmath_ulp [-s STRIDE] [-t THREADS] [FUNCTION...]
 *
 * For each function and instruction set that this CPU has: the largest error in units in the last place, and where.
 * The reference is the C library's double; errors up to half a unit, which is rounding it, are shown as 0. Exits with 1
 * if an error is above 2, or NaN comes where none belongs or is lacking where one does. STRIDE > 1 takes every so
 * manyth float only. */
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/kernels.h"

#define BLOCK   4096
#define BOUND   2.0
#define THREADS 64

/* ---- the functions, and what they should give ---- */

static double identity_of_abs(double x)
{
    return fabs(x);
}
static double reciprocal(double x)
{
    return 1.0 / x;
}
static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}
static double swish(double x)
{
    return x < -1000.0 ? -0.0 : x / (1.0 + exp(-x));
}
static double softplus(double x)
{
    return x > 40.0 ? x : log1p(exp(x));
}
static double softsign(double x)
{
    return isinf(x) ? copysign(1.0, x) : x / (1.0 + fabs(x));
}
static double gelu(double x)
{
    return x < -100.0 ? -0.0 : x * 0.5 * erfc(-x * 0.70710678118654752440);
}
static double gelu_tanh(double x)
{
    const double u = 0.79788456080286535588 * (x + 0.044715 * x * x * x);
    return x < -100.0 ? -0.0 : x > 100.0 ? x : x / (1.0 + exp(-2.0 * u));
}
static double mish(double x)
{
    return x < -1000.0 ? -0.0 : x > 100.0 ? x : x * tanh(log1p(exp(x)));
}
static double elu(double x)
{
    return x < 0.0 ? expm1(x) : x;
}

typedef struct function {
    const char *name;
    double (*exact)(double);
    bool is_activation;
    tlk_unary unary;
    tlk_activation activation;
} function;

static const function functions[] = {
    {"abs", identity_of_abs, false, TLK_ABS, {0}},
    {"sqrt", sqrt, false, TLK_SQRT, {0}},
    {"reciprocal", reciprocal, false, TLK_RECIPROCAL, {0}},
    {"floor", floor, false, TLK_FLOOR, {0}},
    {"ceil", ceil, false, TLK_CEIL, {0}},
    {"round", rint, false, TLK_ROUND, {0}},
    {"exp", exp, false, TLK_EXP, {0}},
    {"expm1", expm1, false, TLK_EXPM1, {0}},
    {"log", log, false, TLK_LOG, {0}},
    {"erf", erf, false, TLK_ERF, {0}},
    {"atan", atan, false, TLK_ATAN, {0}},
    {"asin", asin, false, TLK_ASIN, {0}},
    {"acos", acos, false, TLK_ACOS, {0}},
    {"elu", elu, true, TLK_ABS, {TLK_ELU, 1.0F, 0.0F}},
    {"gelu", gelu, true, TLK_ABS, {TLK_GELU, 0.0F, 0.0F}},
    {"gelu_tanh", gelu_tanh, true, TLK_ABS, {TLK_GELU_TANH, 0.0F, 0.0F}},
    {"mish", mish, true, TLK_ABS, {TLK_MISH, 0.0F, 0.0F}},
    {"sigmoid", sigmoid, true, TLK_ABS, {TLK_SIGMOID, 0.0F, 0.0F}},
    {"softplus", softplus, true, TLK_ABS, {TLK_SOFTPLUS, 0.0F, 0.0F}},
    {"softsign", softsign, true, TLK_ABS, {TLK_SOFTSIGN, 0.0F, 0.0F}},
    {"swish", swish, true, TLK_ABS, {TLK_SWISH, 0.0F, 0.0F}},
    {"tanh", tanh, true, TLK_ABS, {TLK_TANH, 0.0F, 0.0F}},
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

/* ---- measuring ---- */

typedef struct worst {
    double ulps;
    uint32_t at;
    uint64_t bad_nan;
} worst;

typedef struct job {
    const function *function;
    uint64_t stride;
    _Atomic uint64_t next; /* the first float that no thread has taken, in units of `stride` */
    pthread_mutex_t lock;  /* of `total` */
    worst total[TLK_ISA_COUNT];
} job;

/* Distance in units in the last place of a float near `exact`; an infinity counts as 2^128. */
static double distance(float got, double exact)
{
    if (isinf(got) && isinf(exact) && signbit(got) == signbit(exact))
        return 0.0;
    const double value = isinf(got) ? copysign(0x1p128, (double)got) : (double)got;
    if (isinf(exact) || fabs(exact) > 0x1.ffffffp127)
        return isinf(got) && signbit(got) == signbit(exact) ? 0.0 : fabs(value - copysign(0x1p128, exact)) / 0x1p104;
    int exponent = 0;
    (void)frexp(exact, &exponent);
    return fabs(value - exact) / ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
}

static void check(float x, float got, double exact, worst *w)
{
    if (isnan(got) != isnan(exact)) {
        w->bad_nan++;
        memcpy(&w->at, &x, sizeof x);
    } else if (got != (float)exact && !isnan(exact)) {
        const double ulps = distance(got, exact);
        if (ulps > w->ulps) {
            w->ulps = ulps;
            memcpy(&w->at, &x, sizeof x);
        }
    }
}

static void *measure(void *argument)
{
    job *j = argument;
    const uint64_t count = ((UINT64_C(1) << 32) + j->stride - 1) / j->stride;
    worst mine[TLK_ISA_COUNT] = {{0}};
    static _Thread_local float x[BLOCK];
    static _Thread_local float y[BLOCK];
    static _Thread_local double exact[BLOCK];
    for (uint64_t begin = atomic_fetch_add(&j->next, BLOCK); begin < count; begin = atomic_fetch_add(&j->next, BLOCK)) {
        const int n = count - begin < BLOCK ? (int)(count - begin) : BLOCK;
        for (int i = 0; i < n; i++) {
            const uint32_t bits = (uint32_t)((begin + (uint64_t)i) * j->stride);
            memcpy(&x[i], &bits, sizeof bits);
            exact[i] = j->function->exact((double)x[i]);
        }
        for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
            const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
            if (kernels == NULL)
                continue;
            if (j->function->is_activation)
                kernels->activate(&j->function->activation, x, y, n);
            else
                kernels->unary(j->function->unary, x, y, n);
            for (int i = 0; i < n; i++)
                check(x[i], y[i], exact[i], &mine[isa]);
        }
    }
    pthread_mutex_lock(&j->lock);
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        if (mine[isa].bad_nan != 0 || mine[isa].ulps > j->total[isa].ulps) {
            j->total[isa].at = mine[isa].at;
            j->total[isa].ulps = fmax(j->total[isa].ulps, mine[isa].ulps);
        }
        j->total[isa].bad_nan += mine[isa].bad_nan;
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

static bool run(const function *f, uint64_t stride, long threads)
{
    static const char *const names[TLK_ISA_COUNT] = {"portable", "neon", "avx2", "avx512", "amx"};
    static job j;
    memset(&j, 0, sizeof j);
    j.function = f;
    j.stride = stride;
    pthread_mutex_init(&j.lock, NULL);
    pthread_t workers[THREADS];
    long started = 0;
    while (started < threads - 1 && pthread_create(&workers[started], NULL, measure, &j) == 0)
        started++;
    measure(&j);
    while (started > 0)
        pthread_join(workers[--started], NULL);
    pthread_mutex_destroy(&j.lock);
    bool good = true;
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const worst *w = &j.total[isa];
        if (tlk_get_isa((tlk_isa)isa) == NULL)
            continue;
        float x = 0.0F;
        memcpy(&x, &w->at, sizeof x);
        const bool within = w->ulps <= BOUND && w->bad_nan == 0;
        printf("%-10s %-8s %9.4f ulp at %.9g (0x%08" PRIx32 ")%s\n", f->name, names[isa], w->ulps, (double)x, w->at,
               within       ? ""
               : w->bad_nan ? "  NaN MISMATCH"
                            : "  TOO FAR");
        good = good && within;
    }
    fflush(stdout);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t stride = 1;
    long threads = sysconf(_SC_NPROCESSORS_ONLN);
    int option = 0;
    while ((option = getopt(argc, argv, "s:t:")) != -1) {
        if (option == 's')
            stride = strtoull(optarg, NULL, 10);
        else if (option == 't')
            threads = strtol(optarg, NULL, 10);
        else
            return 2;
    }
    if (stride == 0 || threads < 1) {
        fputs("usage: vmath_ulp [-s STRIDE] [-t THREADS] [FUNCTION...]\n", stderr);
        return 2;
    }
    if (threads > THREADS)
        threads = THREADS;
    bool good = true;
    bool known = optind == argc;
    for (size_t k = 0; k < FUNCTIONS; k++) {
        bool wanted = optind == argc;
        for (int i = optind; i < argc; i++)
            wanted = wanted || strcmp(argv[i], functions[k].name) == 0;
        known = known || wanted;
        if (wanted)
            good = run(&functions[k], stride, threads) && good;
    }
    if (!known) {
        fputs("vmath_ulp: no such function\n", stderr);
        return 2;
    }
    return good ? 0 : 1;
}
