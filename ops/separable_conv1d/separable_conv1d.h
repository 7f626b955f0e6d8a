/* SeparableConv1D, domain "tapline", version 1: a depthwise convolution over time, a pointwise convolution, a bias, an
 * activation.
 *
 *     H[n, t, c*D + m] = sum_k  Xpad[n, t*strides + k*dilation_rate, c] * depthwise_kernel[c*D + m, 0, k]
 *     Y[n, t, f]       = activation( sum_j H[n, t, j] * pointwise_kernel[f, j, 0] + bias[f] )
 *
 * What is in this file is free of any host: schema.c, shape.c and activation.c serve Tapline's plugin and the
 * ONNX Runtime library alike. A function that can fail returns a status and then leaves one line in *why, which names
 * the attribute or input, the value found and the rule. Everything is thread-safe. */
#ifndef SEPARABLE_CONV1D_H
#define SEPARABLE_CONV1D_H

#include "tapline/plugin.h"
#include "kernels/kernels.h"

#define SEPCONV_DOMAIN   "tapline"
#define SEPCONV_INTERNAL "tapline.internal" /* never written to a file */
#define SEPCONV_NAME     "SeparableConv1D"
#define SEPCONV_VERSION  1

/* Inputs by number. */
enum {
    SEPCONV_X = 0,         /* (N, L, C) or (N, C, L) */
    SEPCONV_DEPTHWISE = 1, /* (C*D, 1, K) */
    SEPCONV_POINTWISE = 2, /* (F, C*D, 1) */
    SEPCONV_BIAS = 3,      /* (F), optional */
    SEPCONV_INPUTS = 4,
    SEPCONV_SLOPE = 4,    /* of the private form: of PReLU, (F) or one number, optional */
    SEPCONV_RESIDUAL = 5, /* of the private form: added behind that, of Y's shape, optional */
    SEPCONV_FUSED_INPUTS = 6,
    SEPCONV_ATTRIBUTES = 10,
    SEPCONV_FUSED_ATTRIBUTES = 11
};

/* One line that says what is wrong. */
typedef struct sepconv_text {
    char line[480];
} sepconv_text;

/* Writes the line; returns the status. */
tl_status sepconv_fail(sepconv_text *why, tl_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- Activations (activation.c) ---------------------------------------------------------------------------------- */

/* How an activation is computed: of each element alone, or over the last axis of the output. */
typedef enum sepconv_over { SEPCONV_ELEMENT, SEPCONV_SOFTMAX, SEPCONV_LOG_SOFTMAX } sepconv_over;

typedef struct sepconv_activation {
    const char *name;
    sepconv_over over;
    bool has_alpha;         /* `activation_alpha` is its parameter */
    tlk_activation element; /* `over` is SEPCONV_ELEMENT */
} sepconv_activation;

/* The activation called name[0..size), with the default alpha; "" is linear. NULL: unknown. Lives forever. */
const sepconv_activation *sepconv_activation_find(const char *name, size_t size);
/* All names, separated by ", ", for messages. */
#define SEPCONV_ACTIVATIONS                                                                                           \
    "linear, relu, relu6, leaky_relu, elu, selu, exponential, gelu, gelu_tanh, hard_sigmoid, hard_sigmoid_v3, mish, " \
    "sigmoid, softmax, log_softmax, softplus, softsign, swish, silu, tanh"

/* ---- Attributes (schema.c) --------------------------------------------------------------------------------------- */

typedef enum sepconv_padding { SEPCONV_VALID, SEPCONV_SAME, SEPCONV_CAUSAL } sepconv_padding;

/* The attributes as a file gives them: what is not given has the default. */
typedef struct sepconv_attributes {
    tl_string padding, data_format, activation;
    int64_t strides, dilation_rate, depth_multiplier;
    bool has_filters, has_kernel_size, has_use_bias, has_alpha;
    int64_t filters, kernel_size, use_bias;
    float activation_alpha;
} sepconv_attributes;

/* Checked attributes. */
typedef struct sepconv_params {
    sepconv_padding padding;
    tlk_layout layout;
    int64_t strides, dilation_rate, depth_multiplier; /* >= 1 */
    int64_t filters, kernel_size;                     /* 0: by the weights */
    int use_bias;                                     /* -1: by presence */
    sepconv_activation activation;
} sepconv_params;

extern const tl_param sepconv_inputs[SEPCONV_INPUTS];
extern const tl_param sepconv_outputs[1];
extern const tl_attribute_spec sepconv_attribute_specs[SEPCONV_FUSED_ATTRIBUTES]; /* the last one: private form */
extern const tl_param sepconv_fused_inputs[SEPCONV_FUSED_INPUTS];

/* Every default. */
sepconv_attributes sepconv_attributes_default(void);
/* TL_INVALID_MODEL where a rule is broken. */
tl_status sepconv_parse(const sepconv_attributes *attributes, sepconv_params *params, sepconv_text *why);
/* Reads and checks a node's attributes. */
tl_status sepconv_read(const tl_host *host, const tl_node *node, sepconv_params *params, sepconv_text *why);
const char *sepconv_padding_name(sepconv_padding padding);
const char *sepconv_layout_name(tlk_layout layout);

/* ---- Shapes (shape.c) -------------------------------------------------------------------------------------------- */

/* Sizes; a tl_dim may be unknown or a symbol, as in tl_tensor, while something is not known yet. */
typedef struct sepconv_shape {
    tl_dim batch, length, channels; /* of X */
    tl_dim kernel_size, filters;
    tl_dim depthwise_channels; /* C*D */
    tl_dim output_length;
    int64_t extent;      /* E = dilation_rate*(K-1) + 1, or -1 */
    int64_t left, right; /* zeros in front of and behind X, or -1: not known yet */
} sepconv_shape;

/* Checks the inputs that are there against the attributes and each other, and finds all sizes. inputs[k] is NULL where
 * an input is absent; ranks and dims may be unknown. A broken rule gives `broken` (TL_INVALID_MODEL at load,
 * TL_INVALID_INPUT during a run), a size that does not fit TL_NO_MEMORY. */
tl_status sepconv_shape_find(const sepconv_params *params, const tl_tensor *const inputs[SEPCONV_INPUTS],
                             tl_status broken, sepconv_shape *shape, sepconv_text *why);
/* The length of the output and the zeros around the input by the table of paddings; false: `valid` with length <
 * extent, or a size overflows. All numbers >= 0; extent, strides >= 1. */
bool sepconv_pad(sepconv_padding padding, int64_t length, int64_t extent, int64_t strides, int64_t *output_length,
                 int64_t *left, int64_t *right);
/* Rank and dims of the output. */
void sepconv_output(const sepconv_params *params, const sepconv_shape *shape, tl_tensor *output);

#endif
