/* Reading between the elements: positions on spatial axes that are real numbers become taps, elements with a weight
 * along each axis. What GridSample and DeformConv share. */
#ifndef TL_SAMPLE_H
#define TL_SAMPLE_H

#include "onnx/conv.h"

#define SAMPLE_BLOCK 64 /* positions that are read together */
#define SAMPLE_TAPS  4  /* most taps along an axis */

typedef enum sample_mode { SAMPLE_NEAREST, SAMPLE_LINEAR, SAMPLE_CUBIC } sample_mode;
typedef enum sample_padding { SAMPLE_ZEROS, SAMPLE_BORDER, SAMPLE_REFLECTION } sample_padding;

typedef struct sample_axis {
    int64_t size, stride; /* in elements */
    sample_mode mode;
    sample_padding padding;
    bool align_corners; /* reflect at the outermost elements' centres, else at their outer edges */
} sample_axis;

static const int64_t sample_taps_of[] = {1, 2, SAMPLE_TAPS};

/* The element that index i, inside or out, stands for; -1: none, its value is zero. */
static inline int64_t sample_index(const sample_axis *axis, int64_t i)
{
    const int64_t last = axis->size - 1;
    if (i >= 0 && i <= last)
        return i;
    if (axis->padding == SAMPLE_ZEROS || last < 0)
        return -1;
    if (axis->padding == SAMPLE_BORDER)
        return i < 0 ? 0 : last;
    if (last == 0)
        return 0;
    const int64_t period = axis->align_corners ? 2 * last : 2 * axis->size;
    i %= period;
    if (i < 0)
        i += period;
    return i <= last ? i : axis->align_corners ? period - i : period - 1 - i;
}

/* For each type, of elements and positions:
 *
 * sample_inside: a position that may lie outside, moved to where the padding has it. What is not a number lies before
 * the first element.
 *
 * sample_begin: planes have these axes, none of which is empty. On one axis taps are neighbours in memory and read in
 * pairs: the last one that has neighbours.
 *
 * sample_place: the taps along axis i for positions at[0], at[step], ..., of which there are n <= SAMPLE_BLOCK.
 *
 * sample_read: y[c * y_step + p] = scale[p] times what planes x + c * x_step hold at position p, for all channels c.
 * `scale` may be NULL. */
#define SAMPLE_FUNCTIONS(suffix, real)                                                                              \
    typedef struct sample_taps_##suffix {                                                                           \
        const sample_axis *axes;                                                                                    \
        int32_t spatial, paired;                                                                                    \
        int64_t counts[CONV_MAX_SPATIAL]; /* of taps; on the paired axis of pairs, whose offset is their first's */ \
        int64_t offsets[CONV_MAX_SPATIAL][SAMPLE_TAPS][SAMPLE_BLOCK];                                               \
        real weights[CONV_MAX_SPATIAL][SAMPLE_TAPS][SAMPLE_BLOCK]; /* of taps; 0: it is not read */                 \
    } sample_taps_##suffix;                                                                                         \
    real sample_inside_##suffix(const sample_axis *axis, real at);                                                  \
    void sample_begin_##suffix(sample_taps_##suffix *taps, const sample_axis *axes, int32_t spatial);               \
    void sample_place_##suffix(sample_taps_##suffix *taps, int32_t i, const real *at, int64_t step, int64_t n);     \
    void sample_read_##suffix(const sample_taps_##suffix *taps, int64_t n, const real *scale, int64_t channels,     \
                              const real *x, int64_t x_step, real *y, int64_t y_step);
SAMPLE_FUNCTIONS(f32, float)
SAMPLE_FUNCTIONS(f64, double)

#endif
