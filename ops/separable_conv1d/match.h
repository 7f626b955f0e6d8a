/* Finding a depthwise Conv and a pointwise Conv that are one SeparableConv1D, with what belongs to it around them. */
#ifndef SEPARABLE_CONV1D_MATCH_H
#define SEPARABLE_CONV1D_MATCH_H

#include "separable_conv1d/separable_conv1d.h"
#include "separable_conv1d/view.h"

enum {
    MOST_STEPS = 24, /* nodes followed in one direction */
    MOST_FACTORS = 8 /* scalings and shifts folded at one place */
};

/* A Conv over time with constant or computed weights. */
typedef struct sepconv_conv {
    const tl_node *node;
    tl_value *x, *weights, *bias, *y;
    int32_t time;                    /* axis of x and of the weights */
    int64_t rows, per_group, kernel; /* of the weights: (rows, per_group, kernel) */
    int64_t group, strides, dilation_rate;
    bool same_upper, same_lower; /* auto_pad; else left and right count */
    int64_t left, right;
} sepconv_conv;

/* scale * value + shift, of each channel: nodes between or behind the convolutions, to be folded into the weights. */
typedef struct sepconv_affine {
    const tl_node *node; /* Add, Sub, Mul, Div, BatchNormalization */
    tl_value *constant;  /* of the first four */
} sepconv_affine;

/* A place where the operator's input or output could be. */
typedef struct sepconv_end {
    tl_value *value;
    unsigned layouts; /* LAYOUT_... */
    int removed;      /* nodes that nobody else needs, on the way here */
    tl_dim length;
    int64_t left, right; /* input: zeros added on the way here; output: steps cut off on the way here */
    size_t affines;      /* output: how many are folded */
    bool activated;      /* output: the activation is behind us */
} sepconv_end;

typedef struct sepconv_match {
    sepconv_conv depthwise, pointwise;
    sepconv_affine middle[MOST_FACTORS]; /* from the pointwise convolution backwards */
    size_t middle_count;
    int middle_removed;
    int64_t middle_left, middle_right; /* steps cut off between the convolutions */
    sepconv_end inputs[MOST_STEPS], outputs[MOST_STEPS];
    size_t input_count, output_count;
    sepconv_affine behind[MOST_FACTORS];
    sepconv_activation activation; /* of the outputs that say `activated` */
    sepconv_axis softmax_axis;     /* what a softmax runs over: channels or time */
} sepconv_match;

/* Reads a Conv that works along one axis; false: it doesn't. */
bool sepconv_read_conv(const tl_host *host, const tl_node *node, sepconv_conv *conv);
/* Looks for the pair whose pointwise convolution is `anchor`. */
bool sepconv_find_pair(const tl_host *host, const tl_node *anchor, sepconv_match *match);

/* The activation that begins at `x`: *result is the value behind it, *removed the number of its nodes. `view` is x's;
 * *axis is what a softmax runs over. False: there is none. (match_activation.c) */
bool sepconv_match_activation(const tl_host *host, tl_value *x, const sepconv_view *view,
                              sepconv_activation *activation, sepconv_axis *axis, tl_value **result, int *removed);
/* The one node that reads a value, if it does so once and the graph does not give the value out. */
tl_node *sepconv_only_user(const tl_host *host, const tl_value *value);
/* Input `k` of a node is a constant with one element: its value. */
bool sepconv_scalar_input(const tl_host *host, const tl_node *node, size_t k, double *value);
/* The number of the input of a binary operator that is not `value`; -1: `value` is neither or both. */
int sepconv_other_input(const tl_host *host, const tl_node *node, const tl_value *value);

#endif
