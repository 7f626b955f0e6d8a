/* Functions of doubles and sums over them.
 *
 * On vectors are computed exp, expm1, tanh and Sigmoid, within 3 units in the last place of the exact value, and what
 * is made of them: Elu, Selu and Swish within 4, Mish within 6, and Gelu by tanh, whose argument is rounded before it
 * is looked at. Roots, quotients and whole numbers are correctly rounded. The rest is the C library's. NaN gives NaN,
 * and no finite number does. */
#ifndef TLK_DOUBLES_H
#define TLK_DOUBLES_H

#include "kernels/vmath_list.h"

typedef struct tlk_doubles_kernel {
    /* n elements of x to y, which may be x */
    void (*unary)(tlk_unary function, const double *x, double *y, int64_t n);
    /* the same, of a kind from TLK_FIRST_VMATH on; at minus infinity it is the limit */
    void (*activate)(const tlk_activation *activation, const double *x, double *y, int64_t n);
    /* Any but TLK_SUM_EXP, of n elements: of each of `rows` rows of neighbours into y[rows]. The order of additions is
     * a matter of n alone. NaN is the least and the greatest. */
    void (*reduce_rows)(tlk_reduction reduction, const double *x, double *y, int64_t rows, int64_t n);
    /* The same of n elements that lie `stride` apart, in order, for each of `columns` columns into y[columns]. */
    void (*reduce_strided)(tlk_reduction reduction, const double *x, double *y, int64_t n, int64_t stride,
                           int64_t columns);
} tlk_doubles_kernel;

#endif
