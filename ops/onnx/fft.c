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

/* The transform's input or output beside the caller's, and what one butterfly needs. */
int64_t fft_scratch_size(const fft_plan *plan)
{
    return 2 * plan->core + plan->largest;
}

void fft_table_set(const fft_plan *plan, fft_complex *table)
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
        table[k].re = eighth >= 2 && eighth < 6 ? -c : c;
        table[k].im = eighth < 4 ? -s : s;
    }
}

static inline fft_complex multiply(fft_complex a, fft_complex b)
{
    return (fft_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

typedef struct transform {
    const fft_plan *plan;
    const fft_complex *table;
    fft_complex *scratch; /* largest factor */
    int64_t scale;        /* table entries per step of core: n / core */
    bool inverse;
} transform;

static inline fft_complex twiddle(const transform *t, int64_t index)
{
    fft_complex w = t->table[index];
    w.im = t->inverse ? -w.im : w.im;
    return w;
}

static void butterfly_2(const transform *t, fft_complex *out, int64_t m, int64_t step)
{
    for (int64_t k = 0; k < m; k++) {
        fft_complex a = out[k], b = multiply(out[k + m], twiddle(t, k * step));
        out[k] = (fft_complex){a.re + b.re, a.im + b.im};
        out[k + m] = (fft_complex){a.re - b.re, a.im - b.im};
    }
}

static void butterfly_4(const transform *t, fft_complex *out, int64_t m, int64_t step)
{
    const double sign = t->inverse ? -1 : 1;
    for (int64_t k = 0; k < m; k++) {
        fft_complex a = out[k], b = multiply(out[k + m], twiddle(t, k * step));
        fft_complex c = multiply(out[k + 2 * m], twiddle(t, 2 * k * step));
        fft_complex d = multiply(out[k + 3 * m], twiddle(t, 3 * k * step));
        fft_complex s = {a.re + c.re, a.im + c.im}, u = {a.re - c.re, a.im - c.im};
        fft_complex v = {b.re + d.re, b.im + d.im}, w = {sign * (b.im - d.im), sign * (d.re - b.re)};
        out[k] = (fft_complex){s.re + v.re, s.im + v.im};
        out[k + m] = (fft_complex){u.re + w.re, u.im + w.im};
        out[k + 2 * m] = (fft_complex){s.re - v.re, s.im - v.im};
        out[k + 3 * m] = (fft_complex){u.re - w.re, u.im - w.im};
    }
}

static void butterfly(const transform *t, fft_complex *out, int64_t p, int64_t m, int64_t step)
{
    fft_complex *parts = t->scratch;
    const int64_t whole = p * m; /* step * whole is a full turn of the table */
    for (int64_t k = 0; k < m; k++) {
        for (int64_t r = 0; r < p; r++)
            parts[r] = multiply(out[k + r * m], twiddle(t, r * k * step));
        for (int64_t q = 0; q < p; q++) {
            fft_complex sum = parts[0];
            for (int64_t r = 1, at = 0; r < p; r++) {
                at += q * m;
                at -= at >= whole ? whole : 0;
                fft_complex v = multiply(parts[r], twiddle(t, at * step));
                sum.re += v.re;
                sum.im += v.im;
            }
            out[k + q * m] = sum;
        }
    }
}

/* The transform of n numbers in[0], in[stride], ... by factors from `level` on. */
static void run(const transform *t, int32_t level, int64_t n, const fft_complex *in, int64_t stride, fft_complex *out)
{
    if (n == 1) {
        *out = *in;
        return;
    }
    const int64_t p = t->plan->factors[level], m = n / p, step = stride * t->scale;
    for (int64_t r = 0; r < p; r++)
        run(t, level + 1, m, in + r * stride, stride * p, out + r * m);
    if (p == 2)
        butterfly_2(t, out, m, step);
    else if (p == 4)
        butterfly_4(t, out, m, step);
    else
        butterfly(t, out, p, m, step);
}

void fft_complex_run(const fft_plan *plan, const fft_complex *table, bool inverse, const fft_complex *in,
                     fft_complex *out, fft_complex *scratch)
{
    transform t = {plan, table, scratch, plan->n / plan->core, inverse};
    run(&t, 0, plan->core, in, 1, out);
}

void fft_real_run(const fft_plan *plan, const fft_complex *table, const double *in, fft_complex *out,
                  fft_complex *scratch)
{
    const int64_t n = plan->n, half = n / 2;
    fft_complex *packed = scratch + plan->largest, *z = packed + plan->core;
    if (plan->core == n) {
        for (int64_t j = 0; j < n; j++)
            packed[j] = (fft_complex){in[j], 0};
        fft_complex_run(plan, table, false, packed, z, scratch);
        memcpy(out, z, (size_t)(half + 1) * sizeof *out);
        return;
    }
    /* Even elements are the real parts, odd ones the imaginary parts, of a signal of half the length. */
    for (int64_t j = 0; j < half; j++)
        packed[j] = (fft_complex){in[2 * j], in[2 * j + 1]};
    fft_complex_run(plan, table, false, packed, z, scratch);
    for (int64_t k = 0; k <= half; k++) {
        fft_complex a = z[k == half ? 0 : k], b = z[k == 0 ? 0 : half - k];
        fft_complex even = {(a.re + b.re) / 2, (a.im - b.im) / 2}, odd = {(a.im + b.im) / 2, (b.re - a.re) / 2};
        fft_complex turned = multiply(odd, table[k]);
        out[k] = (fft_complex){even.re + turned.re, even.im + turned.im};
    }
}
