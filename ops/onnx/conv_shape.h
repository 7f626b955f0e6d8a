/* Windows that slide over the spatial axes of (N, C, D1, ..., Dn): their attributes, output sizes and pads, the same
 * for convolutions and pools. */
#ifndef TL_CONV_SHAPE_H
#define TL_CONV_SHAPE_H

#include "onnx/nn.h"

#define CONV_MAX_SPATIAL (TL_MAX_RANK - 2)

typedef enum conv_auto_pad { CONV_NOTSET, CONV_VALID, CONV_SAME_UPPER, CONV_SAME_LOWER } conv_auto_pad;

/* The attributes. Where none of the lists is given, `spatial` is -1 and every axis has the defaults. */
typedef struct conv_window {
    conv_auto_pad auto_pad;
    int32_t spatial;
    bool kernel_given;
    bool ceil_mode; /* pools only */
    int64_t kernel[CONV_MAX_SPATIAL];
    int64_t strides[CONV_MAX_SPATIAL];
    int64_t dilations[CONV_MAX_SPATIAL];
    int64_t pads_begin[CONV_MAX_SPATIAL];
    int64_t pads_end[CONV_MAX_SPATIAL];
} conv_window;

enum {
    CONV_DILATIONS = 1, /* the operator's version has the attribute */
    CONV_CEIL_MODE = 2,
    CONV_NO_AUTO_PAD = 4, /* the operator lacks the attribute */
    CONV_NO_KERNEL = 8
};

/* Reads kernel_shape, strides, dilations, pads, auto_pad, ceil_mode. Lists must agree in length, sizes be >= 1 and pads
 * >= 0. Pads beside an auto_pad other than NOTSET are ignored. */
tl_status conv_window_parse(const tl_call *call, uint32_t has, conv_window *window);

/* Checks that the lists fit `spatial` axes. */
tl_status conv_window_check(const tl_call *call, const conv_window *window, int32_t spatial);

/* Pixels that the window of axis i spans: dilation * (kernel - 1) + 1. Fails on overflow. */
tl_status conv_extent(const tl_call *call, const conv_window *window, int32_t i, int64_t *extent);

/* The output size of spatial axis i and its pads, for input size `in`. An `in` that is not known gives a size that is
 * not known, or `in` itself where the size does not change; the pads are then zero. An input shorter than the window
 * is an error. All positions that the window reaches (before the pads are subtracted) fit an int64. */
tl_status conv_axis(const tl_call *call, const conv_window *window, int32_t i, tl_dim in, tl_dim *out, int64_t *begin,
                    int64_t *end);

/* reach of input 0 along one of its axes; `kernel` is the window's size there. */
bool conv_reach_axis(const tl_call *call, const conv_window *window, int64_t kernel, int32_t axis, tl_reach *reach);

/* The taps k of a window [0, kernel) for which 0 <= at + k * dilation < size; `at` is where tap 0 lies. The last tap's
 * position must fit an int64. */
static inline void conv_taps(int64_t at, int64_t dilation, int64_t kernel, int64_t size, int64_t *first, int64_t *last)
{
    *first = 0;
    *last = kernel;
    if (at >= 0 && at + (kernel - 1) * dilation < size)
        return; /* the usual case, without divisions */
    *first = at < 0 ? nn_min(kernel, nn_ceil_div(-at, dilation)) : 0;
    *last = at >= size ? 0 : nn_min(kernel, nn_ceil_div(size - at, dilation));
    if (*last < *first)
        *last = *first;
}

#endif
