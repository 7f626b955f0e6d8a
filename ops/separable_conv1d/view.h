/* Which axis of a value is which, followed through the operators that only move axes about. */
#ifndef SEPARABLE_CONV1D_VIEW_H
#define SEPARABLE_CONV1D_VIEW_H

#include "tapline/plugin.h"

typedef enum sepconv_axis {
    AXIS_UNIT, /* of size 1, whatever else it may be called */
    AXIS_BATCH,
    AXIS_CHANNEL,
    AXIS_TIME
} sepconv_axis;

/* A value's axes by meaning. Axes known to be of size 1 are always AXIS_UNIT. */
typedef struct sepconv_view {
    int32_t rank;
    sepconv_axis axes[TL_MAX_RANK];
} sepconv_view;

/* Which layouts of rank 3 a view is; bits, as a value with one time step is both. */
enum { LAYOUT_CHANNELS_FIRST = 1, LAYOUT_CHANNELS_LAST = 2 };

/* True where the node only moves axes: Identity, Transpose, Squeeze, Unsqueeze, Reshape. */
bool sepconv_is_view(const tl_host *host, const tl_node *node);
/* The view of the node's output 0 becomes that of its input 0, or the other way round. False: the axes lose their
 * meaning, or it cannot be known. */
bool sepconv_view_back(const tl_host *host, const tl_node *node, sepconv_view *view);
bool sepconv_view_forward(const tl_host *host, const tl_node *node, sepconv_view *view);
/* The view of a Conv's input or output, (N, C, T) or (N, C, 1, T) or (N, C, T, 1). `time` is the axis that is T. */
bool sepconv_view_of(const tl_host *host, const tl_value *value, int32_t time, sepconv_view *view);
/* Sets the axes that the value has with size 1. */
void sepconv_view_normalize(const tl_host *host, const tl_value *value, sepconv_view *view);
bool sepconv_view_equal(const sepconv_view *a, const sepconv_view *b);
/* LAYOUT_... bits; 0: neither. */
unsigned sepconv_view_layouts(const sepconv_view *view);
/* The axis that is `axis`, or -1. */
int32_t sepconv_view_find(const sepconv_view *view, sepconv_axis axis);

/* Numbers that an operator takes as an attribute or, since a later version, as a constant input (-1: never): int64 or
 * int32, at most TL_MAX_RANK. False: neither is there, or not constant. */
bool sepconv_numbers(const tl_host *host, const tl_node *node, const char *attribute, int input, int64_t *numbers,
                     size_t *count);
/* Axis numbers by sepconv_numbers, as 0 <= axis < rank. */
bool sepconv_axes(const tl_host *host, const tl_node *node, const char *attribute, int input, int32_t rank,
                  int64_t *axes, size_t *count);
bool sepconv_is(const tl_host *host, const tl_node *node, const char *op);

#endif
