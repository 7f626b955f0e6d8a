/* Discrete Fourier transforms of any length: mixed radix, or by a convolution (Bluestein's) where a prime factor is
 * large. In double, exponents exact to the last bit of sin and cos for every term; or, on request, in float. */
#ifndef TL_FFT_H
#define TL_FFT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fft_complex {
    double re, im;
} fft_complex;

/* A transform by mixed radix: `length` is the product of the factors. */
typedef struct fft_factors {
    int64_t length;
    int32_t count;
    int64_t largest, factors[64];
} fft_factors;

typedef struct fft_plan {
    int64_t n;          /* length of the signal */
    fft_factors core;   /* the transform inside: of n / 2 for even real signals, else of n */
    fft_factors circle; /* that of a cyclic convolution, of a power of 2; length 0: there is none */
    bool single;        /* computed in float: set after fft_plan_set, of plans that are not for real signals */
} fft_plan;

/* Sets up for length n >= 1; `real`: only fft_real_run will be called, which is twice as fast where n is even. */
void fft_plan_set(fft_plan *plan, int64_t n, bool real);
/* Complex numbers in the table of a length, and in the scratch memory of one thread. n up to 2^58 fits. */
int64_t fft_table_size(const fft_plan *plan);
int64_t fft_scratch_size(const fft_plan *plan);
/* The table: exp(-2 pi i k / n), and more. The scratch memory is one thread's. */
void fft_table_set(const fft_plan *plan, void *table, fft_complex *scratch);

/* Sums over j of in[j] * exp(-2 pi i j k / n) for k = 0 to n - 1; with `inverse` the sign is plus (and nothing is
 * divided). Returns where they are: `in`, or `other`, which has room for n and must not overlap it. */
fft_complex *fft_complex_run(const fft_plan *plan, const void *table, bool inverse, fft_complex *in, fft_complex *other,
                             fft_complex *scratch);
/* The first n / 2 + 1 of a real signal's; `in` is n real numbers, `out` has room for n / 2 + 1. */
void fft_real_run(const fft_plan *plan, const void *table, const double *in, fft_complex *out, fft_complex *scratch);

#endif
