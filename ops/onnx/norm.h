/* Statistics over contiguous elements, for the normalizations: in double, summed in eight interleaved parts, so that
 * the compiler can use vectors in an order that never changes. */
#ifndef TL_NORM_H
#define TL_NORM_H

#include "onnx/nn.h"

#define NORM_SUM(name, type, term)                                                                                \
    static inline double name(const type *x, int64_t n, double mean)                                              \
    {                                                                                                             \
        double parts[8] = {0};                                                                                    \
        int64_t i = 0;                                                                                            \
        (void)mean;                                                                                               \
        for (; i + 8 <= n; i += 8)                                                                                \
            for (int64_t l = 0; l < 8; l++) {                                                                     \
                double v = x[i + l];                                                                              \
                parts[l] += term;                                                                                 \
            }                                                                                                     \
        for (; i < n; i++) {                                                                                      \
            double v = x[i];                                                                                      \
            parts[i % 8] += term;                                                                                 \
        }                                                                                                         \
        return ((parts[0] + parts[4]) + (parts[2] + parts[6])) + ((parts[1] + parts[5]) + (parts[3] + parts[7])); \
    }

NORM_SUM(norm_sum_f32, float, v)
NORM_SUM(norm_sum_f64, double, v)
NORM_SUM(norm_square_f32, float, ((v - mean) * (v - mean)))
NORM_SUM(norm_square_f64, double, ((v - mean) * (v - mean)))

/* Mean, and mean of squares around `*mean` (which is zero if not `centred`), of a row of floats or doubles. */
static inline void norm_statistics(const tl_tensor *x, int64_t at, int64_t n, bool centred, double *mean,
                                   double *variance)
{
    const float *f = (const float *)x->data + at;
    const double *d = (const double *)x->data + at;
    bool is_double = x->type == TL_DOUBLE;
    *mean = !centred ? 0 : (is_double ? norm_sum_f64(d, n, 0) : norm_sum_f32(f, n, 0)) / (double)n;
    *variance = (is_double ? norm_square_f64(d, n, *mean) : norm_square_f32(f, n, *mean)) / (double)n;
}

/* y = (x - mean) * factor + shift, over n contiguous elements. */
static inline void norm_affine(const tl_tensor *x, const tl_tensor *y, int64_t at, int64_t n, double mean,
                               double factor, double shift)
{
    if (x->type == TL_DOUBLE) {
        const double *from = (const double *)x->data + at;
        double *to = (double *)y->data + at;
        for (int64_t i = 0; i < n; i++)
            to[i] = (from[i] - mean) * factor + shift;
    } else {
        const float *from = (const float *)x->data + at;
        float *to = (float *)y->data + at;
        float m = (float)mean, f = (float)factor, s = (float)shift;
        for (int64_t i = 0; i < n; i++)
            to[i] = (from[i] - m) * f + s;
    }
}

/* Element i of a floating tensor of type float or double. */
static inline void norm_store(const tl_tensor *y, int64_t i, double value)
{
    if (y->type == TL_DOUBLE)
        ((double *)y->data)[i] = value;
    else
        ((float *)y->data)[i] = (float)value;
}

#endif
