/* Convolutions with few outputs and many samples, windows of a signal above all: one sample's outputs do not fill a
 * vector, those of many do. */
#ifndef TL_CONV_BATCH_H
#define TL_CONV_BATCH_H

#include "kernels/kernels.h"
#include "onnx/conv.h"

/* Samples become lanes, [channels][elements][samples], so that what a tap reads for an output is a whole row. Rows make
 * columns, [taps][channels][outputs][samples], which a convolution of single elements multiplies with the same packed
 * weights: the same sums in the same order, so that the bits do not depend on it. */
typedef struct conv_batch {
    int64_t samples;                                       /* at a time; 0: this is not for such a convolution */
    tlk_conv conv;                                         /* of single elements */
    size_t lanes, columns, results, scratch, scratch_size; /* in the workspace */
} conv_batch;

/* In reshape. `conv` is what would compute sample by sample. */
void conv_batch_plan(tl_call *call, conv_batch *batch, const conv_geometry *g, const tlk_conv_kernel *kernel,
                     const tlk_conv *conv);
/* In run: all samples of float x into y. */
void conv_batch_run(tl_call *call, const conv_batch *batch, const conv_geometry *g, const tlk_conv_kernel *kernel,
                    const void *packed, const float *x, float *y);

#endif
