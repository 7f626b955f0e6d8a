/* The kernels of vmath.c and reduce.c: part of TLK_KERNEL_LIST. */
#ifndef TLK_VMATH_LIST_H
#define TLK_VMATH_LIST_H

#include "kernels/types.h"

/* Functions of one float. */
typedef enum tlk_unary {
    TLK_ABS,
    TLK_NEG,
    TLK_SQRT,
    TLK_RECIPROCAL,
    TLK_FLOOR,
    TLK_CEIL,
    TLK_ROUND, /* halves to even */
    TLK_EXP,
    TLK_EXPM1,
    TLK_LOG,
    TLK_ERF,
    TLK_ATAN,
    TLK_ASIN,
    TLK_ACOS
} tlk_unary;

/* Functions of two floats. Minimum and maximum give NaN where either operand is NaN. */
typedef enum tlk_binary {
    TLK_ADD,
    TLK_SUB,
    TLK_MUL,
    TLK_DIV,
    TLK_MIN,
    TLK_MAX,
    TLK_PRELU /* a < 0 ? a b : a */
} tlk_binary;

/* What is gathered over many floats; the empty set gives 0, for products 1, for minimum inf, for maximum -inf. */
typedef enum tlk_reduction {
    TLK_SUM,
    TLK_SUM_ABS,
    TLK_SUM_SQUARE,
    TLK_SUM_EXP, /* of exp(x - bound) */
    TLK_PRODUCT,
    TLK_MINIMUM, /* NaN if there is one */
    TLK_MAXIMUM
} tlk_reduction;

/* What is made of a GRU's cell. */
typedef enum tlk_gru {
    TLK_GRU_RESET,       /* the reset state, which the hidden gate is to be multiplied with */
    TLK_GRU_AFTER_RESET, /* the next state from that */
    TLK_GRU_LINEAR       /* the next state, where the reset comes after the product: all at once */
} tlk_gru;

#define TLK_VMATH_LIST(KERNEL)                                                                                       \
    /* n elements of x to y, which may be x */                                                                       \
    KERNEL(void, unary, (tlk_unary function, const float *x, float *y, int64_t n))                                   \
    KERNEL(void, activate, (const tlk_activation *activation, const float *x, float *y, int64_t n))                  \
    /* y[i] from a[i * a_step] and b[i * b_step]; steps are 0 or 1; y may be a or b */                               \
    KERNEL(void, binary,                                                                                             \
           (tlk_binary function, const float *a, int a_step, const float *b, int b_step, float *y, int64_t n))       \
    /* the same of `rows` rows of n elements, which in y follow each other, and which a and b have so far apart */   \
    KERNEL(void, binary_rows,                                                                                        \
           (tlk_binary function, const float *a, int64_t a_row_step, int a_step, const float *b, int64_t b_row_step, \
            int b_step, float *y, int64_t rows, int64_t n))                                                          \
    /* Integers of `size` bytes, 1 or 2: x / scale + zero, rounded to even and held in [low, high], both in the      \
     * range of their type; NaN gives low. */                                                                        \
    KERNEL(void, quantize,                                                                                           \
           (const float *x, void *y, int size, int64_t n, float scale, int32_t zero, int32_t low, int32_t high))     \
    /* And back, (x[i] - zero[i / row]) * scale[i / row], of 1, 2, or 4 bytes, those always signed; y is not x. */   \
    KERNEL(void, dequantize,                                                                                         \
           (const void *x, int size, int is_signed, float *y, int64_t n, int64_t row, const float *scale,            \
            const float *zero))                                                                                      \
    /* What a table of 256 bytes has for `rows` rows of n bytes, which in y are y_row_step apart; y is not x. */     \
    KERNEL(void, lookup,                                                                                             \
           (const uint8_t *table, const uint8_t *x, int64_t rows, int64_t n, uint8_t *y, int64_t y_row_step))        \
    /* The least and the largest of n numbers and 0; NaN counts as 0. */                                             \
    KERNEL(void, extremes, (const float *x, int64_t n, float *low, float *high))                                     \
    /* n floats cut to whole numbers, towards 0; 0 is returned if one does not fit, and then y is undefined. */      \
    KERNEL(int, truncate, (const float *x, int32_t *y, int64_t n))                                                   \
    /* Over each of `rows` rows of n contiguous elements; y may be x. */                                             \
    KERNEL(void, softmax, (const float *x, float *y, int64_t rows, int64_t n, int logarithm))                        \
    /* Over n elements that lie `stride` apart, for each of `columns` <= stride columns; y may be x. */              \
    KERNEL(void, softmax_strided,                                                                                    \
           (const float *x, float *y, int64_t n, int64_t stride, int64_t columns, int logarithm))                    \
    /* Over n contiguous elements; the order of additions is a matter of n alone. */                                 \
    KERNEL(float, reduce, (tlk_reduction reduction, const float *x, int64_t n, float bound))                         \
    /* The same for each of `rows` rows into y[rows]; bounds[rows] is read by TLK_SUM_EXP only. */                   \
    KERNEL(void, reduce_rows,                                                                                        \
           (tlk_reduction reduction, const float *x, float *y, int64_t rows, int64_t n, const float *bounds))        \
    /* Over n elements that lie `stride` apart, in order, for each of `columns` <= stride columns, into y[columns];  \
     * bounds[columns] is read by TLK_SUM_EXP only. */                                                               \
    KERNEL(void, reduce_strided,                                                                                     \
           (tlk_reduction reduction, const float *x, float *y, int64_t n, int64_t stride, int64_t columns,           \
            const float *bounds))                                                                                    \
    /* The mean of n floats, or 0 if they are not to be centred, and the mean square of their distance from it. */   \
    KERNEL(void, moments, (const float *x, int64_t n, int centred, double *mean, double *variance))                  \
    /* y = (x - mean) * factor * scale + shift; without scale that is 1, without shift it is offset; y may be x */   \
    KERNEL(void, normalize,                                                                                          \
           (const float *x, float *y, int64_t n, float mean, float factor, const float *scale, const float *shift,   \
            float offset))                                                                                           \
    /* y[i] = a[i * a_step] to the power of b[i * b_step]; steps are 0 or 1; y may be a or b; squares and cubes are  \
     * products */                                                                                                   \
    KERNEL(void, power, (const float *a, int a_step, const float *b, int b_step, float *y, int64_t n))               \
    /* n cells of an LSTM with its usual functions. What the gates i, o, f and c get from the state and from x lies  \
     * `step` apart; h may be one of them. */                                                                        \
    KERNEL(void, lstm, (const float *state, const float *x, int64_t step, float *cell, float *h, int64_t n))         \
    /* The same of a GRU, whose gates are the update, the reset and the hidden one; what the last one gets from the  \
     * state is `hidden` + `bias`, which may be NULL; h is the state. */                                             \
    KERNEL(void, gru,                                                                                                \
           (tlk_gru part, const float *state, const float *hidden, const float *bias, const float *x, int64_t step,  \
            const float *h, float *next, int64_t n))                                                                 \
    /* Sine and cosine */                                                                                            \
    KERNEL(void, sine, (const float *x, float *y, int64_t n, int cosine))

#endif
