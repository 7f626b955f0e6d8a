/* The window of a convolution: what a tile of outputs reads of one group's channels, padded, and ordered so that the
 * data of every tap is one shifted view of it.
 *
 *     output (r, c) of the tile reads, for tap (kh, kw), the element  offset(kh, kw) + r * pitch + c
 *
 * so that neighbouring outputs are neighbouring elements for any stride and dilation. On each axis, step i of phase p
 * holds the element of x at i * stride + p * phase_step, from the tile's first tap on. Mostly the phases are the
 * stride's, and taps share them: tap k is in phase k*dilation % stride, from step k*dilation / stride on. Where a
 * dilation or stride leaves gaps that no tap reads, each tap has a phase of its own.
 *
 * With strides of 1 x itself is such a window, with its width as the pitch, where no tap of the tile lies outside. */
#ifndef TLK_WINDOW_H
#define TLK_WINDOW_H

#include "kernels/check.h"
#include "kernels/conv.h"
#include "kernels/velem.h"

#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define MAX(a, b)        ((a) > (b) ? (a) : (b))
#define CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))

typedef struct window_axis {
    bool shared; /* phases, by the taps */
    int64_t phases, phase_step;
    int64_t steps; /* of each phase */
} window_axis;

typedef struct window {
    window_axis axis[2];
    int64_t plane;   /* elements of one phase of both axes */
    int64_t channel; /* elements from one channel to the next */
} window;

/* For `outputs` neighbouring outputs on this axis. */
static window_axis window_axis_of(const tlk_conv *conv, int axis, int64_t outputs)
{
    const int64_t taps = conv->kernel[axis];
    const int64_t reach = (taps - 1) * conv->dilation[axis];
    const int64_t phases = MIN(conv->stride[axis], reach + 1);
    const int64_t steps = reach / conv->stride[axis];
    const size_t shared = tlk_size_mul((size_t)phases, (size_t)steps + (size_t)outputs);
    if (shared <= tlk_size_mul((size_t)taps, (size_t)outputs))
        return (window_axis){.shared = true, .phases = phases, .phase_step = 1, .steps = steps + outputs};
    return (window_axis){.phases = taps, .phase_step = conv->dilation[axis], .steps = outputs};
}

static window window_of(const tlk_conv *conv, int64_t rows, int64_t columns)
{
    window w = {.axis = {window_axis_of(conv, 0, rows), window_axis_of(conv, 1, columns)}};
    w.plane = w.axis[0].steps * w.axis[1].steps;
    /* Lines are written up to a vector too far. An odd number of cache lines keeps the channels out of each other's
     * sets. */
    const int64_t line = 64 / (int64_t)sizeof(real);
    w.channel = w.axis[0].phases * w.axis[1].phases * w.plane + VW;
    w.channel = (w.channel + line - 1) / line / 2 * 2 * line + line;
    return w;
}

/* Elements of the window without what window_of adds to a channel, less than WINDOW_GAP; SIZE_MAX if a size_t cannot
 * say it. */
#define WINDOW_GAP (VW + 2 * 64 / (int64_t)sizeof(real))
static size_t window_size(const tlk_conv *conv, int64_t rows, int64_t columns)
{
    size_t size = (size_t)conv->channels;
    for (int i = 0; i < 2; i++) {
        const window_axis axis = window_axis_of(conv, i, i == 0 ? rows : columns);
        size = tlk_size_mul(size, tlk_size_mul((size_t)axis.phases, (size_t)axis.steps));
    }
    return size;
}

/* Where tap k of an axis begins: phase and step. */
static void window_tap(const tlk_conv *conv, const window *w, int axis, int64_t k, int64_t *phase, int64_t *step)
{
    const int64_t at = k * conv->dilation[axis];
    const int64_t stride = conv->stride[axis];
    *phase = w->axis[axis].shared ? (stride == 1 ? 0 : at % stride) : k;
    *step = w->axis[axis].shared ? (stride == 1 ? at : at / stride) : 0;
}

static int64_t window_offset(const tlk_conv *conv, const window *w, int64_t kh, int64_t kw)
{
    int64_t phase[2];
    int64_t step[2];
    window_tap(conv, w, 0, kh, &phase[0], &step[0]);
    window_tap(conv, w, 1, kw, &phase[1], &step[1]);
    return (phase[0] * w->axis[1].phases + phase[1]) * w->plane + step[0] * w->axis[1].steps + step[1];
}

/* One line of the window: steps [0, begin) lie before x, [end, steps) behind it. The same for all rows of a phase. */
typedef struct window_line {
    int64_t start, step; /* in x */
    int64_t begin, end, steps;
} window_line;

static window_line window_line_of(int64_t start, int64_t step, int64_t steps, int64_t width)
{
    window_line line = {.start = start, .step = step, .steps = steps, .begin = steps, .end = steps};
    const int64_t before = start < 0 ? (-start - 1) / step + 1 : 0;
    const int64_t inside = start < width ? (width - start - 1) / step + 1 : 0; /* counted from step 0 */
    line.begin = MIN(before, steps);
    line.end = CLAMP(inside, line.begin, steps);
    return line;
}

TLK_INLINE void window_pad(real padding, int64_t n, real *out)
{
    for (int64_t i = 0; i < n; i += VW)
        v_store(out + i, v_set1(padding));
}

/* n elements, `step` apart. */
TLK_INLINE void window_copy(const elem *x, int64_t step, int64_t n, real *out)
{
    int64_t i = 0;
    if (step == 1) {
        for (; i + VW <= n; i += VW)
            v_store(out + i, e_load(x + i));
        if (i < n)
            v_store(out + i, e_load_n(x + i, (int)(n - i)));
    } else if (step == 2) {
        for (; i + VW < n; i += VW) /* so that the element behind the last one exists */
            v_store(out + i, v_even(e_load(x + 2 * i), e_load(x + 2 * i + VW)));
        const int left = (int)(2 * (n - i) - 1);
        if (left > 0)
            v_store(out + i, v_even(e_load_n(x + 2 * i, MIN(left, VW)), e_load_n(x + 2 * i + VW, MAX(left - VW, 0))));
    } else {
        for (; i < n; i++)
            out[i] = e_get(x + i * step);
    }
}

/* From a row of x, or NULL for one outside; writes up to a vector too far. */
static void window_line_fill(const window_line *line, const elem *x, real padding, real *out)
{
    if (x == NULL) {
        window_pad(padding, line->steps, out);
        return;
    }
    window_pad(padding, line->begin, out);
    if (line->begin < line->end)
        window_copy(x + (line->start + line->begin * line->step), line->step, line->end - line->begin,
                    out + line->begin);
    window_pad(padding, line->steps - line->end, out + line->end);
}

/* All channels of a group, for the tile whose first output on each axis is `first`, and that lacks `less` outputs of a
 * whole one. */
static void window_fill(const tlk_conv *conv, const window *w, const tlk_conv_data *data, const elem *x,
                        const int64_t first[2], const int64_t less[2], real padding, real *out)
{
    const window_axis *rows = &w->axis[0];
    const window_axis *columns = &w->axis[1];
    const int64_t top = first[0] * conv->stride[0] - data->pad[0];
    const int64_t left = first[1] * conv->stride[1] - data->pad[1];
    for (int64_t plane = 0; plane < rows->phases * columns->phases; plane++) {
        const int64_t p = plane / columns->phases;
        const int64_t q = plane % columns->phases;
        const window_line line =
            window_line_of(left + q * columns->phase_step, conv->stride[1], columns->steps - less[1], data->size[1]);
        for (int64_t c = 0; c < conv->channels; c++)
            for (int64_t i = 0; i < rows->steps - less[0]; i++) {
                const int64_t row = top + i * conv->stride[0] + p * rows->phase_step;
                const bool inside = row >= 0 && row < data->size[0];
                window_line_fill(&line, inside ? x + (c * data->size[0] + row) * data->size[1] : NULL, padding,
                                 out + c * w->channel + plane * w->plane + i * columns->steps);
            }
    }
}

#endif
