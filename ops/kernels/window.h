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
#include "kernels/vreal.h"

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

/* As many rows of outputs, at least `least` and at most `most`, as make a window that `fits`. */
static int64_t window_most_rows(const tlk_conv *conv, int64_t least, int64_t most, int64_t columns,
                                bool (*fits)(const tlk_conv *conv, int64_t rows, int64_t columns))
{
    int64_t rows = least;
    for (int64_t beyond = most + 1; rows + 1 < beyond;) {
        const int64_t middle = rows + (beyond - rows) / 2;
        if (fits(conv, middle, columns))
            rows = middle;
        else
            beyond = middle;
    }
    return rows;
}

/* A convolution of single elements knows no rows: x and y become one long one. Returns whether it is one. */
static bool window_flatten(const tlk_conv *conv, tlk_conv_data *data)
{
    for (int i = 0; i < 2; i++)
        if (conv->kernel[i] != 1 || conv->stride[i] != 1 || data->pad[i] != 0 || data->size[i] != data->out_size[i])
            return false;
    data->size[1] *= data->size[0];
    data->out_size[1] = data->size[1];
    data->size[0] = data->out_size[0] = 1;
    return true;
}

/* Where part i of `parts` begins, which are as equal as can be, and so are halves and quarters of all. */
static int64_t window_part(int64_t all, int64_t parts, int64_t i)
{
    __extension__ typedef __int128 wide;
    return (int64_t)((wide)i * all / parts);
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

/* How far a line of the window lies in x: steps [begin, end) do, step i at start + i * step. */
typedef struct window_line {
    int64_t start, step, steps;
    int64_t begin, end;
} window_line;

/* n / step, rounded up, for n >= 0; mostly without a division. */
TLK_INLINE int64_t window_steps(int64_t n, int64_t step)
{
    if (step <= 2)
        return step == 1 ? n : n / 2 + n % 2;
    return n / step + (n % step != 0);
}

static window_line window_line_of(int64_t start, int64_t step, int64_t steps, int64_t size)
{
    window_line line = {.start = start, .step = step, .steps = steps};
    line.begin = start < 0 ? MIN(window_steps(-start, step), steps) : 0;
    line.end = CLAMP(start < size ? window_steps(size - start, step) : 0, line.begin, steps);
    return line;
}

/* What is copied for each channel. */
typedef struct window_copy {
    window_line rows, columns; /* of x */
    int64_t width;             /* from row to row in x */
    int64_t pitch;             /* and in the window */
} window_copy;

/* Elements [at, at + VW) of a row of x, of which those inside [0, width) exist; the others are 0. */
TLK_INLINE vec window_load(const real *x, int64_t at, int64_t width)
{
    const int64_t begin = CLAMP(-at, 0, VW);
    return v_load_range(v_outside(x, at), (int)begin, (int)CLAMP(width - at, begin, VW));
}

/* For a step of 1 or 2. */
TLK_INLINE void window_copy_vectors(int step, const window_line *line, const real *x, int64_t width, real *out)
{
    int64_t i = 0;
    int64_t at = line->start;
    while (i < line->steps) {
        for (; at >= 0 && at + step * VW <= width && i < line->steps; i += VW, at += step * VW)
            v_store(out + i, step == 1 ? v_load(x + at) : v_even(v_load(x + at), v_load(x + at + VW)));
        if (i < line->steps) {
            const vec data = window_load(x, at, width);
            v_store(out + i, step == 1 ? data : v_even(data, window_load(x, at + VW, width)));
            i += VW;
            at += step * VW;
        }
    }
}

/* For a longer step: whole vectors of every step-th element, from the first step inside x on; each of as many vectors
 * of x gives those that it has. Returns the first step that is left. */
static int64_t window_pick_vectors(const window_line *line, const real *x, int64_t width, real *out)
{
    int64_t i = line->begin;
#if !defined TLK_DOUBLE && (defined TLK_ISA_AVX512 || defined TLK_ISA_AVX2)
    const int step = (int)MIN(line->step, VW);
    const veci places = vi_iota() * step;
    int64_t at = line->start + i * line->step;
    for (; step <= VW / 2 && i + VW <= line->end && at + step * VW <= width; i += VW, at += step * VW) {
        vec picked = vf_permute(v_load(x + at), places);
        for (int k = 1; k < step; k++)
            picked = vf_select(places >= k * VW, vf_permute(v_load(x + at + k * VW), places), picked);
        v_store(out + i, picked);
    }
#else
    (void)x, (void)width, (void)out;
#endif
    return i;
}

/* A row of x, up to a vector too far. */
static void window_copy_row(const window_line *line, const real *x, int64_t width, real padding, real *out)
{
    if (line->step == 1)
        window_copy_vectors(1, line, x, width, out);
    else if (line->step == 2)
        window_copy_vectors(2, line, x, width, out);
    else
        for (int64_t i = window_pick_vectors(line, x, width, out); i < line->end; i++)
            out[i] = x[line->start + i * line->step];
    if (padding == 0 && line->step <= 2)
        return;
    for (int64_t i = 0; i < line->begin; i++)
        out[i] = padding;
    for (int64_t i = line->end; i < line->steps; i++)
        out[i] = padding;
}

static void window_pad(real padding, int64_t n, real *out)
{
    for (int64_t i = 0; i < n; i += VW)
        v_store(out + i, v_set1(padding));
}

/* One phase of one channel, each row after the one into which it reaches. */
static void window_copy_plane(const window_copy *copy, const real *x, real padding, real *out)
{
    const window_line *rows = &copy->rows;
    window_pad(padding, rows->begin * copy->pitch, out);
    for (int64_t row = rows->begin; row < rows->end; row++)
        window_copy_row(&copy->columns, x + (rows->start + row * rows->step) * copy->width, copy->width, padding,
                        out + row * copy->pitch);
    window_pad(padding, (rows->steps - rows->end) * copy->pitch, out + rows->end * copy->pitch);
}

/* All channels of a group, for the tile whose first output on each axis is `first`, and that lacks `less` outputs of a
 * whole one. */
static inline void window_fill(const tlk_conv *conv, const window *w, const tlk_conv_data *data, const real *x,
                               const int64_t first[2], const int64_t less[2], real padding, real *out)
{
    window_copy copy = {.width = data->size[1], .pitch = w->axis[1].steps};
    for (int64_t p = 0; p < w->axis[0].phases; p++)
        for (int64_t q = 0; q < w->axis[1].phases; q++, out += w->plane) {
            const int64_t top = first[0] * conv->stride[0] - data->pad[0] + p * w->axis[0].phase_step;
            const int64_t left = first[1] * conv->stride[1] - data->pad[1] + q * w->axis[1].phase_step;
            copy.rows = window_line_of(top, conv->stride[0], w->axis[0].steps - less[0], data->size[0]);
            copy.columns = window_line_of(left, conv->stride[1], w->axis[1].steps - less[1], data->size[1]);
            for (int64_t c = 0; c < conv->channels; c++)
                window_copy_plane(&copy, x + c * data->size[0] * data->size[1], padding, out + c * w->channel);
        }
}

#endif
