/* Statistics over contiguous elements, for the normalizations: in double. */
#ifndef TL_NORM_H
#define TL_NORM_H

#include "kernels/kernels.h"
#include "onnx/nn.h"

/* Mean, and mean of squares around `*mean` (which is zero if not `centred`), of a row of floats or doubles. */
void norm_statistics_f64(const double *x, int64_t n, bool centred, double *mean, double *variance); /* norm.c */
static inline void norm_statistics(const tl_tensor *x, int64_t at, int64_t n, bool centred, double *mean,
                                   double *variance)
{
    if (x->type == TL_FLOAT)
        tlk_get()->moments((const float *)x->data + at, n, centred, mean, variance);
    else
        norm_statistics_f64((const double *)x->data + at, n, centred, mean, variance);
}

/* Mean and variance of parts, joined one by one: `part` is this one's share in the elements so far, its own included.
 */
static inline void norm_join(double part, double part_mean, double part_variance, double *mean, double *variance)
{
    const double apart = part_mean - *mean;
    *mean += apart * part;
    *variance += (part_variance - *variance) * part + apart * apart * part * (1 - part);
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
        tlk_get()->normalize((const float *)x->data + at, (float *)y->data + at, n, (float)mean, (float)factor, NULL,
                             NULL, (float)shift);
    }
}

#endif
