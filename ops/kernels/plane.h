/* The register block of a convolution that reads one channel, depthwise ones above all: there is nothing to multiply a
 * vector with but a number, and a tap of several rows of outputs reads the same data. So a block is four rows of
 * outputs, several of which are computed at once. Sums run over the taps in the order of tlk_block, from the bias. */
#ifndef TLK_PLANE_H
#define TLK_PLANE_H

#include <stdbool.h>

#include "kernels/vreal.h"

#define TLK_PLANE_ROWS 4

/* Doubles and the portable kernels do without: less code, less speed, the same bits. */
#if defined TLK_DOUBLE || defined TLK_ISA_PORTABLE
#define TLK_PLANES 0
#else
#define TLK_PLANES 1
#endif

/* y[row][column] = clamp(bias + sum_t sum_j weights[t * depth + j] * data[row * pitch + column + offsets[t] + j *
 * step])
 *
 * Of at least TLK_PLANE_ROWS rows and VW columns all that they read must be there, even if there are fewer of them. */
typedef struct tlk_plane {
    int64_t rows, columns;
    const real *weights, *data;
    int64_t taps, depth, step, pitch;
    const int64_t *offsets;
    bool shared; /* offsets[t] is t * pitch: rows share what they read */
    real bias, low, high;
    real *y;
    int64_t y_pitch;
} tlk_plane;

void TLK_FN(tlk_plane_multiply)(const tlk_plane *plane);

#endif
