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

/* How a geometry is computed, for elements of one type. */
typedef struct conv_plan {
    conv_geometry g;
    bool depthwise; /* every filter reads one channel */
    bool direct;    /* the window reads X as it stands: one tap, stride 1, no pads */
    int64_t tile;   /* output positions at a time */
    int64_t columns_each;
    size_t columns; /* in the workspace */
} conv_plan;

typedef enum conv_type { CONV_F32, CONV_F64 } conv_type;

/* In reshape, when plan->g is set: asks for the workspace too. */
void conv_make_plan(tl_call *call, conv_plan *plan, conv_type type);
/* In run: y = conv(x, w) + bias; bias may be NULL. Elements are dense and of the plan's type. */
void conv_execute(tl_call *call, const conv_plan *plan, conv_type type, const void *x, const void *w, const void *bias,
                  void *y);

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
