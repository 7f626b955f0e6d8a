/* What Resize's two files share: resize.c reads the node and finds sizes, resize_run.c computes. */
#ifndef TL_OP_RESIZE_H
#define TL_OP_RESIZE_H

#include "onnx/tensor.h"

typedef enum resize_mode { RESIZE_NEAREST, RESIZE_LINEAR, RESIZE_CUBIC } resize_mode;

typedef enum resize_nearest {
    RESIZE_ROUND_PREFER_FLOOR,
    RESIZE_ROUND_PREFER_CEIL,
    RESIZE_FLOOR,
    RESIZE_CEIL
} resize_nearest;

/* Where an output's coordinate lies in the input: coordinate_transformation_mode. */
typedef enum resize_map {
    RESIZE_HALF_PIXEL,
    RESIZE_HALF_PIXEL_SYMMETRIC,
    RESIZE_PYTORCH_HALF_PIXEL,
    RESIZE_ALIGN_CORNERS,
    RESIZE_ASYMMETRIC,
    RESIZE_TF_CROP_AND_RESIZE,
    RESIZE_TF_HALF_PIXEL_FOR_NN /* in versions 11 and 12 only */
} resize_map;

typedef struct resize_axis {
    int64_t in, out;
    double scale;
    double begin, end; /* region of interest, as parts of the input's length */
    int64_t taps;      /* elements of the input that make one of the output */
    bool same;         /* nothing to do */
} resize_axis;

typedef struct resize_plan {
    resize_mode mode;
    resize_nearest nearest;
    resize_map map;
    bool simple_nearest; /* before version 11: floor when it grows, ceil when it shrinks */
    bool antialias, exclude_outside;
    double cubic_a, extrapolation;
    int32_t rank;
    resize_axis axes[TL_MAX_RANK];
    size_t tables;         /* bytes of workspace in front of the buffers */
    int64_t most_elements; /* of the tensors between two passes */
} resize_plan;

/* The type that linear and cubic modes compute in: float, or double for types that float does not hold. */
tl_type resize_compute_type(tl_type type);
/* Fills in taps, tables and most_elements, and asks for the workspace. */
tl_status resize_prepare(tl_call *call, resize_plan *plan);
tl_status resize_compute(tl_call *call, const resize_plan *plan);

#endif
