/* The geometry of one convolution, all sizes known and checked: shared by Conv and the operators that compute as it
 * does. */
#ifndef TL_CONV_H
#define TL_CONV_H

#include "onnx/conv_shape.h"

typedef struct conv_geometry {
    int32_t spatial;
    int64_t batch, group;
    int64_t channels, filters; /* of one group */
    int64_t in_area, out_area, taps;
    int64_t in_size[CONV_MAX_SPATIAL], out_size[CONV_MAX_SPATIAL];
    int64_t kernel[CONV_MAX_SPATIAL], strides[CONV_MAX_SPATIAL], dilations[CONV_MAX_SPATIAL];
    int64_t pads[CONV_MAX_SPATIAL]; /* at the beginning of each axis */
} conv_geometry;

/* Fills in the sizes from (N, C, ...) X, (M, C/group, ...) W and the output, whose shapes are known and agree. */
void conv_geometry_set(conv_geometry *g, const conv_window *window, const tl_tensor *x, const tl_tensor *w,
                       const tl_tensor *y, int64_t group, const int64_t *pads);

/* The output shape of Conv and its relatives from X, W (shapes as far as known) and the attributes; writes the kernel
 * sizes and the pads at the beginning of each axis. `window` gets W's kernel sizes. */
tl_status conv_output_shape(const tl_call *call, conv_window *window, int64_t group, const tl_tensor *x,
                            const tl_tensor *w, tl_tensor *y, int64_t *pads);

/* Steps an index through `sizes`, the last axis fastest, over axes [0, rank); false when it is back at the beginning.
 */
static inline bool conv_step(int64_t *index, const int64_t *sizes, int32_t rank)
{
    for (int32_t i = rank - 1; i >= 0; i--) {
        if (++index[i] < sizes[i])
            return true;
        index[i] = 0;
    }
    return false;
}

#endif
