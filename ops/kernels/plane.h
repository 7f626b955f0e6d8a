/* Depthwise convolution, and pooling: there is nothing to multiply a vector with but a number, and rows are short,
 * unless the lanes are channels. So VW channels are transposed into a window, [row][column][channel], in which
 * every tap begins where a vector begins, at any stride and dilation; the sums are transposed back on their way out.
 * Sums run over the taps in the order of tlk_block, from the bias. */
#ifndef TLK_PLANE_H
#define TLK_PLANE_H

#include <stdbool.h>

#include "kernels/conv.h"
#include "kernels/output.h"

/* Doubles and the portable kernels do without: less code, less speed, the same bits. */
#if defined TLK_DOUBLE || defined TLK_ISA_PORTABLE
#define TLK_PLANES 0
#else
#define TLK_PLANES 1
#endif

/* Outputs from `at` on, `count` of them on each axis, of `channels` <= VW neighbouring channels. */
typedef struct tlk_planes {
    const tlk_conv *conv;
    const tlk_conv_data *data;
    const tlk_output *output;
    int64_t at[2], count[2];
    int64_t channel;
    int channels;
    const real *weights, *biases; /* of the first channel: [taps], one behind the other; a vector of biases. Or NULL: */
                                  /* what lies under the taps is added */
    real *window;                 /* aligned memory of tlk_planes_size() */
} tlk_planes;

/* How many strips the outputs are best cut into, as equal as can be, of rows, or of a single row's columns; 0 if other
 * ways are better. */
int64_t TLK_FN(tlk_planes_strips)(const tlk_conv *conv, const tlk_conv_data *data);

/* Bytes for one of so many. */
size_t TLK_FN(tlk_planes_size)(const tlk_conv *conv, const tlk_conv_data *data, int64_t strips);

void TLK_FN(tlk_planes_run)(const tlk_planes *planes);

#endif
