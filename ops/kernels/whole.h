/* Whole numbers: conversions by way of int32_t, and sums, products and maxima. */
#ifndef TLK_WHOLE_H
#define TLK_WHOLE_H

#include "kernels/vmath_list.h"

/* Element types that int32_t numbers are made of, or made to. */
typedef enum tlk_number {
    TLK_AS_INT8,
    TLK_AS_UINT8,
    TLK_AS_INT16,
    TLK_AS_UINT16,
    TLK_AS_INT64, /* from here on only made to */
    TLK_AS_FLOAT,
    TLK_AS_DOUBLE,
    TLK_AS_TRUTH,      /* a byte, 1 for all but 0 */
    TLK_AS_FLOAT_TRUTH /* the same where x has the bits of floats */
} tlk_number;

enum { TLK_SCAN = 32 };

typedef struct tlk_whole_kernel {
    /* n elements, x and y apart; integers lose their high bits */
    void (*widen)(tlk_number from, const void *x, int32_t *y, int64_t n);
    void (*narrow)(tlk_number to, const int32_t *x, void *y, int64_t n);
    /* as the kernel `truncate` */
    int (*truncate_doubles)(const double *x, int32_t *y, int64_t n);
    /* Numbers that order as floats do, with the bits `turned` turned: -0 equals 0, NaN is above all and equals itself.
     */
    void (*float_keys)(const float *x, int32_t *y, int64_t n, int32_t turned);
    /* The multiple of TLK_SCAN at which the first numbers begin that have one below the bound, or are fewer. */
    int64_t (*find_below)(const int32_t *x, int64_t n, int32_t bound);
    /* Of integers of `size` bytes, 4 or 8, with the bits `turned` turned, as signed numbers: TLK_SUM or TLK_PRODUCT, of
     * int64_t and modulo 2^64; or TLK_MAXIMUM, in their own type, turned back, for which size may be 1. What is in y
     * takes part. Of each of `rows` rows of n neighbours if `stride` is 1; else of n lines `stride` apart, for each of
     * `columns`. */
    void (*reduce)(tlk_reduction what, int size, const void *x, int64_t rows, int64_t n, int64_t stride,
                   int64_t columns, int64_t turned, void *y);
} tlk_whole_kernel;

#endif
