#include <math.h>
#include <string.h>

#include "onnx/fft.h"

/* A pass takes time by the square of a factor; with a larger one a convolution is faster. */
#define LARGEST 160

static void factorize(fft_factors *f, int64_t length)
{
    f->length = length;
    f->largest = 1;
    int64_t rest = length;
    for (int64_t p = 4; rest > 1;) {
        if (rest % p == 0) {
            f->factors[f->count++] = p;
            f->largest = p > f->largest ? p : f->largest;
            rest /= p;
        } else if (p == 4)
            p = 2;
        else if (p == 2)
            p = 3;
        else
            p = p > rest / p ? rest : p + 2;
    }
}

void fft_plan_set(fft_plan *plan, int64_t n, bool real)
{
    memset(plan, 0, sizeof *plan);
    plan->n = n;
    factorize(&plan->core, real && n % 2 == 0 ? n / 2 : n);
    if (plan->core.largest <= LARGEST)
        return;
    int64_t length = 1;
    while (length < 2 * plan->core.length - 1)
        length *= 2;
    factorize(&plan->circle, length);
}

/* The roots; for a convolution, those of its length and what is convolved with. */
int64_t fft_table_size(const fft_plan *plan)
{
    return plan->n + 2 * plan->circle.length;
}

/* What a transform needs beside its own two arrays: one butterfly's numbers, or the convolution's two. */
static int64_t inside_size(const fft_plan *plan)
{
    return plan->circle.length ? 2 * plan->circle.length : plan->core.largest;
}

/* Two more of the transform's arrays (or, for one in float, both of its own), and what is needed inside. */
int64_t fft_scratch_size(const fft_plan *plan)
{
    return 2 * plan->core.length + inside_size(plan);
}

typedef struct fft_single {
    float re, im;
} fft_single;

/* exp(-2 pi i k / n) */
static fft_complex root_of_unity(int64_t k, int64_t n)
{
    const double turn = 6.283185307179586476925286766559;
    /* By symmetry into the first eighth, so that halves, quarters and eighths are exact. */
    int64_t at = 8 * k, eighth = at / n, part = at % n;
    if (eighth % 2)
        part = n - part;
    double angle = turn / 8 * ((double)part / (double)n), c = cos(angle), s = sin(angle);
    if ((eighth + 1) / 2 % 2) {
        double swap = c;
        c = s;
        s = swap;
    }
    return (fft_complex){eighth >= 2 && eighth < 6 ? -c : c, eighth < 4 ? -s : s};
}

/* As many of them as have no mirror image before them are computed. */
static void set_roots(fft_complex *roots, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        if (2 * k > n)
            roots[k] = (fft_complex){roots[n - k].re, -roots[n - k].im};
        else if (n % 2 == 0 && 4 * k > n)
            roots[k] = (fft_complex){-roots[n / 2 - k].re, roots[n / 2 - k].im};
        else if (n % 4 == 0 && 8 * k > n)
            roots[k] = (fft_complex){-roots[n / 4 - k].im, -roots[n / 4 - k].re};
        else
            roots[k] = root_of_unity(k, n);
}

#define REAL       double
#define COMPLEX    fft_complex
#define NAME(name) name##_f64
#include "onnx/fft_template.h"
#undef REAL
#undef COMPLEX
#undef NAME
#define REAL       float
#define COMPLEX    fft_single
#define NAME(name) name##_f32
#include "onnx/fft_template.h"

static fft_complex times(fft_complex a, fft_complex b)
{
    return (fft_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static fft_complex swapped(fft_complex a)
{
    return (fft_complex){a.im, a.re};
}

/* The transform of a convolution's length, which has no odd factors, for which there would have to be scratch memory.
 */
static fft_complex *circle_run(const fft_plan *plan, const fft_complex *table, bool inverse, fft_complex *in,
                               fft_complex *other)
{
    return run_f64(&plan->circle, 1, table + plan->n, inverse, in, other, other);
}

void fft_table_set(const fft_plan *plan, void *table, fft_complex *scratch)
{
    const int64_t core = plan->core.length, length = plan->circle.length;
    fft_complex *const roots = table, *const other = roots + plan->n + length;
    if (plan->single) {
        for (int64_t k = 0; k < plan->n; k++) {
            const fft_complex root = root_of_unity(k, plan->n);
            ((fft_single *)table)[k] = (fft_single){(float)root.re, (float)root.im};
        }
        return;
    }
    set_roots(roots, plan->n);
    if (!length)
        return;
    set_roots(roots + plan->n, length);
    memset(scratch, 0, (size_t)length * sizeof *scratch);
    for (int64_t m = 0, power = 0; m < 2 * core - 1; power = (power + m++) % core)
        scratch[m] = roots[power * (plan->n / core)];
    memcpy(other, circle_run(plan, roots, false, scratch, scratch + length), (size_t)length * sizeof *other);
}

/* T(m + 1) mod core, for the convolution below. */
static int64_t next_power(int64_t power, int64_t m, int64_t core)
{
    power += m;
    return power < core ? power : power - core;
}

/* Of j k = T(j + k) - T(j) - T(k), where T(m) = m (m - 1) / 2, comes
 *
 *     X[k] = w^-T(k) sum over j of x[j] w^-T(j) * w^T(j + k),     w = exp(-2 pi i / core),
 *
 * a convolution with x backwards. The inverse transform is this one with real and imaginary parts swapped. */
static fft_complex *convolve(const fft_plan *plan, const fft_complex *roots, bool inverse, fft_complex *in,
                             fft_complex *scratch)
{
    const int64_t core = plan->core.length, step = plan->n / core, length = plan->circle.length;
    const fft_complex *const other = roots + plan->n + length;
    fft_complex *z = scratch;
    memset(z, 0, (size_t)length * sizeof *z);
    for (int64_t j = 0, power = 0; j < core; power = next_power(power, j++, core)) {
        const fft_complex w = roots[power * step];
        z[j == 0 ? 0 : length - j] = times(inverse ? swapped(in[j]) : in[j], (fft_complex){w.re, -w.im});
    }
    z = circle_run(plan, roots, false, z, scratch + length);
    for (int64_t k = 0; k < length; k++)
        z[k] = times(z[k], other[k]);
    z = circle_run(plan, roots, true, z, z == scratch ? scratch + length : scratch);
    for (int64_t k = 0, power = 0; k < core; power = next_power(power, k++, core)) {
        const fft_complex w = roots[power * step],
                          x = times(z[k], (fft_complex){w.re / (double)length, -w.im / (double)length});
        in[k] = inverse ? swapped(x) : x;
    }
    return in;
}

static fft_complex *transform(const fft_plan *plan, const fft_complex *roots, bool inverse, fft_complex *in,
                              fft_complex *other, fft_complex *scratch)
{
    return plan->circle.length ? convolve(plan, roots, inverse, in, scratch)
                               : run_f64(&plan->core, plan->n / plan->core.length, roots, inverse, in, other, scratch);
}

fft_complex *fft_complex_run(const fft_plan *plan, const void *table, bool inverse, fft_complex *in, fft_complex *other,
                             fft_complex *scratch)
{
    if (!plan->single)
        return transform(plan, table, inverse, in, other, scratch);
    fft_single *small = (fft_single *)scratch, *next = small + plan->n, *parts = next + plan->n;
    for (int64_t k = 0; k < plan->n; k++)
        small[k] = (fft_single){(float)in[k].re, (float)in[k].im};
    small = run_f32(&plan->core, 1, table, inverse, small, next, parts);
    for (int64_t k = 0; k < plan->n; k++)
        in[k] = (fft_complex){small[k].re, small[k].im};
    return in;
}

void fft_real_run(const fft_plan *plan, const void *table, const double *in, fft_complex *out, fft_complex *scratch)
{
    const int64_t n = plan->n, half = n / 2;
    const fft_complex *roots = table;
    fft_complex *packed = scratch + inside_size(plan), *z = packed + plan->core.length;
    if (plan->core.length == n) {
        for (int64_t j = 0; j < n; j++)
            packed[j] = (fft_complex){in[j], 0};
        z = transform(plan, roots, false, packed, z, scratch);
        memcpy(out, z, (size_t)(half + 1) * sizeof *out);
        return;
    }
    /* Even elements are the real parts, odd ones the imaginary parts, of a signal of half the length. */
    for (int64_t j = 0; j < half; j++)
        packed[j] = (fft_complex){in[2 * j], in[2 * j + 1]};
    z = transform(plan, roots, false, packed, z, scratch);
    for (int64_t k = 0; k <= half; k++) {
        fft_complex a = z[k == half ? 0 : k], b = z[k == 0 ? 0 : half - k];
        fft_complex even = {(a.re + b.re) / 2, (a.im - b.im) / 2}, odd = {(a.im + b.im) / 2, (b.re - a.re) / 2};
        const fft_complex w = roots[k], turned = {odd.re * w.re - odd.im * w.im, odd.re * w.im + odd.im * w.re};
        out[k] = (fft_complex){even.re + turned.re, even.im + turned.im};
    }
}
