/* The passes of a transform in REAL, with COMPLEX of two of them and names by NAME(). Included by fft.c.
 *
 * Each pass takes a factor p off by decimation in frequency: butterflies of p numbers that lie `ido` apart, then the
 * twiddles; l1 is the product of the factors before. Products and sums come in the order of pocketfft, so that lengths
 * without a factor 8 have its very rounding errors, and what is 0 but for them compares equal. */

typedef struct NAME(pass) {
    int64_t p, l1, ido, step; /* step: table entries to a root's argument of 1 / (p * ido) */
    const COMPLEX *table;
    bool inverse;
} NAME(pass);

/* v times the root of unity, for the inverse its conjugate. */
static inline COMPLEX NAME(turn)(const NAME(pass) * t, COMPLEX v, int64_t root)
{
    COMPLEX w = t->table[root];
    w.im = t->inverse ? -w.im : w.im;
    return (COMPLEX){v.re * w.re - v.im * w.im, v.re * w.im + v.im * w.re};
}

static void NAME(pass_2)(const NAME(pass) * t, const COMPLEX *in, COMPLEX *out)
{
    const int64_t ido = t->ido, far = t->l1 * ido;
    for (int64_t c = 0; c < t->l1; c++, in += 2 * ido, out += ido)
        for (int64_t a = 0; a < ido; a++) {
            const COMPLEX x = in[a], y = in[a + ido];
            out[a] = (COMPLEX){x.re + y.re, x.im + y.im};
            out[a + far] = NAME(turn)(t, (COMPLEX){x.re - y.re, x.im - y.im}, a * t->step);
        }
}

static void NAME(pass_4)(const NAME(pass) * t, const COMPLEX *in, COMPLEX *out)
{
    const int64_t ido = t->ido, far = t->l1 * ido;
    const REAL sign = t->inverse ? -1 : 1;
    for (int64_t c = 0; c < t->l1; c++, in += 4 * ido, out += ido)
        for (int64_t a = 0; a < ido; a++) {
            const COMPLEX w = in[a], x = in[a + ido], y = in[a + 2 * ido], z = in[a + 3 * ido];
            const COMPLEX s = {w.re + y.re, w.im + y.im}, u = {w.re - y.re, w.im - y.im};
            const COMPLEX v = {x.re + z.re, x.im + z.im}, r = {sign * (x.im - z.im), sign * (z.re - x.re)};
            out[a] = (COMPLEX){s.re + v.re, s.im + v.im};
            out[a + far] = NAME(turn)(t, (COMPLEX){u.re + r.re, u.im + r.im}, a * t->step);
            out[a + 2 * far] = NAME(turn)(t, (COMPLEX){s.re - v.re, s.im - v.im}, 2 * a * t->step);
            out[a + 3 * far] = NAME(turn)(t, (COMPLEX){u.re - r.re, u.im - r.im}, 3 * a * t->step);
        }
}

/* Outputs q and p - q together: they differ in the sign of what the differences contribute. */
static void NAME(pass_odd)(const NAME(pass) * t, const COMPLEX *in, COMPLEX *out, COMPLEX *scratch)
{
    const int64_t p = t->p, half = p / 2, ido = t->ido, far = t->l1 * ido, whole = p * ido;
    COMPLEX *sums = scratch, *differences = scratch + half;
    for (int64_t c = 0; c < t->l1; c++, in += whole, out += ido)
        for (int64_t a = 0; a < ido; a++) {
            const COMPLEX first = in[a];
            COMPLEX all = first;
            for (int64_t j = 0; j < half; j++) {
                const COMPLEX x = in[a + (j + 1) * ido], y = in[a + (p - 1 - j) * ido];
                sums[j] = (COMPLEX){x.re + y.re, x.im + y.im};
                differences[j] = (COMPLEX){x.re - y.re, x.im - y.im};
                all.re += sums[j].re;
                all.im += sums[j].im;
            }
            out[a] = all;
            for (int64_t q = 1; q <= half; q++) {
                COMPLEX even = first, odd = {0, 0};
                for (int64_t j = 0, at = 0; j < half; j++) {
                    at += q * ido;
                    at -= at >= whole ? whole : 0;
                    COMPLEX w = t->table[at * t->step];
                    w.im = t->inverse ? -w.im : w.im;
                    even.re += w.re * sums[j].re;
                    even.im += w.re * sums[j].im;
                    odd.re += w.im * differences[j].im;
                    odd.im += w.im * differences[j].re;
                }
                const COMPLEX up = {even.re - odd.re, even.im + odd.im}, down = {even.re + odd.re, even.im - odd.im};
                out[a + q * far] = NAME(turn)(t, up, q * a * t->step);
                out[a + (p - q) * far] = NAME(turn)(t, down, (p - q) * a * t->step);
            }
        }
}

/* The table has the roots of `step` times the length. */
static COMPLEX *NAME(run)(const fft_factors *f, int64_t step, const COMPLEX *table, bool inverse, COMPLEX *in,
                          COMPLEX *other, COMPLEX *scratch)
{
    NAME(pass) t = {.l1 = 1, .ido = f->length, .table = table, .inverse = inverse};
    for (int32_t k = 0; k < f->count; k++, t.l1 *= t.p) {
        t.p = f->factors[k];
        t.ido /= t.p;
        t.step = t.l1 * step;
        if (t.p == 2)
            NAME(pass_2)(&t, in, other);
        else if (t.p == 4)
            NAME(pass_4)(&t, in, other);
        else
            NAME(pass_odd)(&t, in, other, scratch);
        COMPLEX *swap = in;
        in = other;
        other = swap;
    }
    return in;
}
