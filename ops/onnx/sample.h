/* Reading between the elements: positions on spatial axes that are real numbers become taps, elements with a weight
 * along each axis. What GridSample and DeformConv share; sample_template.h has the functions. */
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

#endif
