/* Separable convolution over time, fused: depthwise, pointwise, bias, activation.
 *
 *     H[n,t,c*D+m] = sum_k Xpad[n, t*stride + k*dilation, c] * depthwise[c*D+m, k]
 *     Y[n,t,f]     = activation(sum_j H[n,t,j] * pointwise[f,j] + bias[f])
 *
 * X is (N,L,C) and Y (N,L',F) for channels_last, (N,C,L) and (N,F,L') for channels_first. Xpad is X with pad_left
 * zeros before it and as many behind it as L' asks for.
 *
 *     const tlk_sepconv_kernel *kernel = tlk_get()->sepconv[sepconv.type];
 *     kernel->pack(&sepconv, depthwise, pointwise, bias, packed);               once
 *     kernel->run(&sepconv, packed, &data, n, t_begin, t_end, workspace);       for pieces, from any threads
 *
 * A result does not depend on how n and t are cut into pieces, nor on N, L or alignment: not one bit. For each output
 * element both sums run in an order that the attributes and the instruction set alone decide.
 */
#ifndef TLK_SEPCONV_H
#define TLK_SEPCONV_H

#include <stdbool.h>

#include "kernels/steps.h"

typedef struct tlk_sepconv {
    tlk_type type; /* of X, Y and all weights */
    tlk_layout layout;
    int64_t channels;    /* C >= 1 */
    int64_t multiplier;  /* D >= 1 */
    int64_t filters;     /* F >= 1 */
    int64_t kernel_size; /* K >= 1 */
    int64_t stride;      /* >= 1 */
    int64_t dilation;    /* >= 1; may go together with a stride */
    tlk_activation activation;
} tlk_sepconv;

typedef struct tlk_sepconv_data {
    const void *x;
    int64_t length; /* L >= 0 */
    int64_t pad_left;
    void *y;            /* overlaps nothing else */
    int64_t out_length; /* L' */
    tlk_steps steps;    /* behind all that; rows are filters in channels_first, lanes in channels_last, and lanes or
                                rows are t; operands are this sample's */
} tlk_sepconv_data;

typedef struct tlk_sepconv_kernel {
    /* Bytes, or SIZE_MAX if that is more than a size_t can say. Both buffers are best aligned to 64 bytes, and must be
     * aligned for double. */
    size_t (*packed_size)(const tlk_sepconv *sepconv);
    size_t (*workspace_size)(const tlk_sepconv *sepconv); /* for each thread */

    /* Weights into the kernel's own order. depthwise is (C*D, 1, K), pointwise (F, C*D, 1), bias (F) or NULL. */
    void (*pack)(const tlk_sepconv *sepconv, const void *depthwise, const void *pointwise, const void *bias,
                 void *packed);

    /* Y[n, t_begin <= t < t_end, :]. Pieces of less than `tile` steps waste much. What each of them does anew with the
     * weights is no longer worth a thought if it has `piece` steps. */
    void (*run)(const tlk_sepconv *sepconv, const void *packed, const tlk_sepconv_data *data, int64_t n,
                int64_t t_begin, int64_t t_end, void *workspace);
    int64_t (*tile)(const tlk_sepconv *sepconv);
    int64_t (*piece)(const tlk_sepconv *sepconv);
} tlk_sepconv_kernel;

#endif
