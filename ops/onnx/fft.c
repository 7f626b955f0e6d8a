#include <math.h>
#include <string.h>

#include "onnx/fft.h"

void fft_plan_set(fft_plan *plan, int64_t n, bool real)
{
    memset(plan, 0, sizeof *plan);
    plan->n = n;
    plan->core = real && n % 2 == 0 ? n / 2 : n;
    plan->largest = 1;
    int64_t rest = plan->core;
    for (int64_t p = 4; rest > 1;) {
        if (rest % p == 0) {
            plan->factors[plan->factor_count++] = p;
            plan->largest = p > plan->largest ? p : plan->largest;
            rest /= p;
        } else if (p == 4)
            p = 2;
        else if (p == 2)
            p = 3;
        else
            p = p > rest / p ? rest : p + 2;
    }
}

int64_t fft_table_size(const fft_plan *plan)
{
    return plan->n;
}

/* Two more of the transform's arrays (or, for one in float, both of its own), and what one butterfly needs. */
int64_t fft_scratch_size(const fft_plan *plan)
{
    return 2 * plan->core + plan->largest;
}

typedef struct fft_single {
    float re, im;
} fft_single;

void fft_table_set(const fft_plan *plan, void *table)
{
    const double turn = 6.283185307179586476925286766559;
    for (int64_t k = 0; k < plan->n; k++) {
        /* By symmetry into the first eighth, so that halves, quarters and eighths are exact. */
        int64_t at = 8 * k, eighth = at / plan->n, part = at % plan->n;
        if (eighth % 2)
            part = plan->n - part;
        double angle = turn / 8 * ((double)part / (double)plan->n), c = cos(angle), s = sin(angle);
        if ((eighth + 1) / 2 % 2) {
            double swap = c;
            c = s;
            s = swap;
        }
        c = eighth >= 2 && eighth < 6 ? -c : c;
        s = eighth < 4 ? -s : s;
        if (plan->single)
            ((fft_single *)table)[k] = (fft_single){(float)c, (float)s};
        else
            ((fft_complex *)table)[k] = (fft_complex){c, s};
    }
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

fft_complex *fft_complex_run(const fft_plan *plan, const void *table, bool inverse, fft_complex *in, fft_complex *other,
                             fft_complex *scratch)
{
    if (!plan->single)
        return run_f64(plan, table, inverse, in, other, scratch);
    fft_single *small = (fft_single *)scratch, *next = small + plan->n, *parts = next + plan->n;
    for (int64_t k = 0; k < plan->n; k++)
        small[k] = (fft_single){(float)in[k].re, (float)in[k].im};
    small = run_f32(plan, table, inverse, small, next, parts);
    for (int64_t k = 0; k < plan->n; k++)
        in[k] = (fft_complex){small[k].re, small[k].im};
    return in;
}

void fft_real_run(const fft_plan *plan, const void *table, const double *in, fft_complex *out, fft_complex *scratch)
{
    const int64_t n = plan->n, half = n / 2;
    const fft_complex *roots = table;
    fft_complex *packed = scratch + plan->largest, *z = packed + plan->core;
    if (plan->core == n) {
        for (int64_t j = 0; j < n; j++)
            packed[j] = (fft_complex){in[j], 0};
        z = run_f64(plan, roots, false, packed, z, scratch);
        memcpy(out, z, (size_t)(half + 1) * sizeof *out);
        return;
    }
    /* Even elements are the real parts, odd ones the imaginary parts, of a signal of half the length. */
    for (int64_t j = 0; j < half; j++)
        packed[j] = (fft_complex){in[2 * j], in[2 * j + 1]};
    z = run_f64(plan, roots, false, packed, z, scratch);
    for (int64_t k = 0; k <= half; k++) {
        fft_complex a = z[k == half ? 0 : k], b = z[k == 0 ? 0 : half - k];
        fft_complex even = {(a.re + b.re) / 2, (a.im - b.im) / 2}, odd = {(a.im + b.im) / 2, (b.re - a.re) / 2};
        const fft_complex w = roots[k], turned = {odd.re * w.re - odd.im * w.im, odd.re * w.im + odd.im * w.re};
        out[k] = (fft_complex){even.re + turned.re, even.im + turned.im};
    }
}
