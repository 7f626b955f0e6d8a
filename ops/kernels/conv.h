/* Convolution over one or two axes, channels first: dense, in groups, depthwise; bias and activation fused. Pooling,
 * which is the same but for what is done with the elements.
 *
 *     y[g][f][oh][ow] = activation(bias[g][f] + sum_{kh,kw,c} xpad[g][c][oh*stride[0] + kh*dilation[0]]
 *                                                    [ow*stride[1] + kw*dilation[1]] * weights[g][f][c][kh][kw])
 *
 * One axis is a height of 1. Pack weights once, then run pieces from any threads; the bits don't depend on the pieces.
 */
#ifndef TLK_CONV_H
#define TLK_CONV_H

#include <stdbool.h>

#include "kernels/steps.h"

/* What is gathered over a window. Pooling has no weights, one channel and one filter in each group, and starts from
 * the identity; NaN is greater than every number. */
typedef enum tlk_conv_kind { TLK_CONV_PRODUCTS, TLK_CONV_MAXIMUM, TLK_CONV_SUM } tlk_conv_kind;

typedef struct tlk_conv {
    tlk_type type; /* of x, y and all weights */
    tlk_conv_kind kind;
    int64_t groups;
    int64_t channels, filters; /* of one group */
    int64_t kernel[2], stride[2], dilation[2];
    tlk_activation activation;
} tlk_conv;

/* Whether positions in x can be computed without overflow; packed_size says SIZE_MAX where not. */
static inline bool tlk_conv_reach_fits(const tlk_conv *conv)
{
    return conv->dilation[0] <= (INT64_MAX >> 3) / conv->kernel[0] &&
           conv->dilation[1] <= (INT64_MAX >> 3) / conv->kernel[1];
}

/* One sample. */
typedef struct tlk_conv_data {
    const void *x; /* [groups][channels][size[0]][size[1]] */
    int64_t size[2];
    int64_t pad[2]; /* zeros before x, on each axis; as many behind it as out_size asks for */
    void *y;        /* [groups][filters][out_size[0]][out_size[1]] */
    int64_t out_size[2];
    int32_t threads; /* that share the pieces; 0: 1 */
    bool by_vectors; /* the bits are to be those of few outputs */
    tlk_steps steps; /* behind the activation; rows are filters of all groups, lanes positions in out_size */
} tlk_conv_data;

/* Whether threads share single elements by filters, and depthwise images by channels, rather than by positions: where
 * there are few positions, whose rows are short. Neighbours must agree, because what one core has just written comes
 * slowly to the other. */
static inline bool tlk_conv_shared_by_filters(const tlk_conv *conv, const tlk_conv_data *data)
{
    return data->out_size[0] * data->out_size[1] / 8 <= conv->groups * conv->filters;
}

typedef struct tlk_conv_kernel {
    size_t (*packed_size)(const tlk_conv *conv); /* bytes; SIZE_MAX if a size_t cannot say it */
    /* For data of these sizes; x and y are not looked at. */
    size_t (*workspace_size)(const tlk_conv *conv, const tlk_conv_data *data);

    /* Of products only. weights: [groups][filters][channels][kernel[0]][kernel[1]]; bias: [groups][filters] or NULL. */
    void (*pack)(const tlk_conv *conv, const void *weights, const void *bias, void *packed);

    /* Pieces that the work can be cut into: filters of a tile of outputs of a group. */
    int64_t (*pieces)(const tlk_conv *conv, const tlk_conv_data *data);
    void (*run)(const tlk_conv *conv, const void *packed, const tlk_conv_data *data, int64_t begin, int64_t end,
                void *workspace);
} tlk_conv_kernel;

#endif
