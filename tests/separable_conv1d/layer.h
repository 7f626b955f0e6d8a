/* Layers at random, and running one with forbidden pages around every buffer. */
#ifndef TEST_LAYER_H
#define TEST_LAYER_H

#include "separable_conv1d/model.h"

enum { PADDING_VALID, PADDING_SAME, PADDING_CAUSAL };

/* One layer. */
typedef struct layer {
    int64_t batch, length, channels, kernel_size, multiplier, filters, strides, dilation_rate;
    int padding;
    bool last; /* channels_last */
    bool has_bias;
    bool computed; /* the weights are inputs of the graph, not initializers */
    tl_type type;
    const char *activation;
    double *x, *depthwise, *pointwise, *bias; /* as the type can hold them; X is (N, L, C) here */
} layer;

extern const char *const padding_names[3]; /* by PADDING_... */
extern const char *const activations[20];
extern const tl_type types[4];

/* Time steps of Y; *left: zeros in front of X. */
int64_t output_length(const layer *l, int64_t *left);
/* Where (n, t, c) lies. */
int64_t at(bool last, int64_t n, int64_t t, int64_t c, int64_t length, int64_t channels);
/* A number in [low, high], and numbers in (-size, size) as the type can hold them, from a counter. */
int64_t pick(uint64_t *state, int64_t low, int64_t high);
double *random_numbers(uint64_t *state, tl_type type, int64_t count, double size);
/* Any layer of moderate size, without its numbers; its numbers; and an end to them. */
layer random_layer(uint64_t *state);
void fill_layer(layer *l, uint64_t *state);
void free_layer(layer *l);
/* Y as numbers in the order of the layer's own layout; the caller frees it. */
double *run_layer(const layer *l, int threads);
/* Rounding of one result, and of each sum in the type that accumulates. */
double unit(tl_type type, bool accumulates);

#endif
