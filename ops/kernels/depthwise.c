/* The depthwise stage: the order of the taps, and channels_first with its edges. */
#include "kernels/depthwise.h"

#include "kernels/check.h"

#define MAX_WINDOW       65536 /* elements; beyond that lanes are gathered one by one */
#define CHANNELS         8 /* that many are prefetched, and their windows filled, before the first of them is needed */
#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))

/* ---- order of the taps ---- */

static int64_t shared_taps(const tlk_sepconv *s)
{
    return s->layout == TLK_CHANNELS_LAST ? TLK_SHARED_TAPS_LAST : TLK_SHARED_TAPS;
}

static int64_t period(const tlk_sepconv *s)
{
    int64_t result = s->kernel_size;
    if (s->layout == TLK_CHANNELS_LAST && s->stride % s->dilation == 0)
        result = s->stride / s->dilation;
    if (s->layout == TLK_CHANNELS_FIRST && s->stride == 1 && VW % s->dilation == 0)
        result = VW / s->dilation;
    return MIN(result, s->kernel_size);
}

/* How many taps (first, first + period, ...) share their loads, where the block of taps begins at `begin`. */
static int64_t group_size(const tlk_sepconv *s, int64_t begin, int64_t apart, int64_t first)
{
    int64_t taps = 0;
    for (int64_t k = first; k < s->kernel_size && k < begin + shared_taps(s) * apart; k += apart)
        taps++;
    return taps;
}

#define FOR_EACH_GROUP(s, apart, first, taps)                                                                     \
    for (int64_t begin_ = 0; begin_ < (s)->kernel_size; begin_ += shared_taps(s) * (apart))                       \
        for (int64_t first = begin_, taps;                                                                        \
             first < MIN(begin_ + (apart), (s)->kernel_size) && (taps = group_size(s, begin_, apart, first)) > 0; \
             first++)

void TLK_ELEMENT_FN(tlk_depthwise_pack)(const tlk_sepconv *s, const elem *depthwise, real *weights)
{
    const int64_t lanes = s->layout == TLK_CHANNELS_LAST ? VW : 1;
    const int64_t apart = period(s);
    for (int64_t m = 0; m < s->multiplier; m++)
        for (int64_t c = 0; c < s->channels; c += lanes)
            FOR_EACH_GROUP(s, apart, first, taps)
    for (int64_t q = 0; q < taps; q++)
        for (int64_t lane = 0; lane < lanes; lane++) {
            const int64_t row = (c + lane) * s->multiplier + m;
            const int64_t k = first + q * apart;
            *weights++ = c + lane < s->channels ? e_get(depthwise + row * s->kernel_size + k) : 0;
        }
}

/* ---- sizes ---- */

/* Elements of each phase of the window of one tile; SIZE_MAX if the window would be too large. */
static size_t phase_length(const tlk_sepconv *s)
{
    const size_t tile = tlk_size_mul(TLK_FIRST_TILE - 1, (size_t)s->stride);
    const size_t reach = tlk_size_mul((size_t)s->kernel_size - 1, (size_t)s->dilation);
    const size_t span = tlk_size_add(tlk_size_add(tile, reach), 1);
    if (span > MAX_WINDOW)
        return SIZE_MAX;
    const size_t phase = (span + (size_t)s->stride - 1) / (size_t)s->stride;
    return tlk_size_round_up(phase, VW);
}

size_t TLK_ELEMENT_FN(tlk_depthwise_weights)(const tlk_sepconv *s)
{
    size_t channels = (size_t)s->channels;
    if (s->layout == TLK_CHANNELS_LAST)
        channels = tlk_size_round_up(channels, VW);
    return tlk_size_mul(tlk_size_mul(channels, (size_t)s->multiplier), (size_t)s->kernel_size);
}

size_t TLK_ELEMENT_FN(tlk_depthwise_workspace)(const tlk_sepconv *s)
{
    /* The positions in bytes, so that no address computed from them overflows. */
    const size_t reach = tlk_size_mul((size_t)s->kernel_size, (size_t)s->dilation);
    const size_t bytes = tlk_size_mul(tlk_size_mul(reach, (size_t)s->channels), sizeof(elem));
    if (bytes > INT64_MAX / 2)
        return SIZE_MAX;
    size_t size = tlk_size_mul((size_t)s->kernel_size, sizeof(int64_t) + sizeof(tlk_tap_group));
    if (s->layout == TLK_CHANNELS_FIRST && phase_length(s) != SIZE_MAX)
        size = tlk_size_add(size, (CHANNELS + 1) * (size_t)s->stride * phase_length(s) * sizeof(real) + 64);
    return tlk_size_round_up(size, 64);
}

void TLK_ELEMENT_FN(tlk_depthwise_prepare)(tlk_depthwise *depthwise, const tlk_sepconv *s, const real *weights,
                                           void *workspace)
{
    const int64_t apart = period(s);
    depthwise->sepconv = s;
    depthwise->weights = weights;
    depthwise->groups = workspace;
    depthwise->positions = (int64_t *)(depthwise->groups + s->kernel_size);
    depthwise->phase_length = 0;
    if (s->layout == TLK_CHANNELS_FIRST && phase_length(s) != SIZE_MAX) {
        depthwise->phase_length = (int64_t)phase_length(s);
        depthwise->windows = (real *)(((uintptr_t)(depthwise->positions + s->kernel_size) + 63) / 64 * 64);
        depthwise->line = depthwise->windows + CHANNELS * s->stride * depthwise->phase_length;
    }
    tlk_tap_group *group = depthwise->groups;
    int64_t *position = depthwise->positions;
    FOR_EACH_GROUP(s, apart, first, taps)
    {
        group->taps = taps;
        group->offset = first * s->dilation;
        if (s->layout == TLK_CHANNELS_LAST)
            group->offset *= s->channels;
        else if (depthwise->phase_length > 0)
            group->offset = group->offset % s->stride * depthwise->phase_length + group->offset / s->stride;
        for (int64_t q = 0; q < taps; q++)
            *position++ = (first + q * apart) * s->dilation;
        group++;
    }
    depthwise->group_count = group - depthwise->groups;
}

/* ---- channels_first: lanes are time steps ---- */

/* One tile of one sample. */
struct tile {
    const elem *x;
    int64_t length;
    int64_t start; /* where in x the first tap of the first step lies; may be negative */
    tlk_row_tile rows;
};

/* What this tile of each of these channels has and the tile before had not. A channel is too short a
 * run for the hardware to see where the next one lies. */
static void prefetch_channels(const struct tile *tile, int64_t c, int64_t count)
{
    const tlk_sepconv *s = tile->rows.depthwise->sepconv;
    const int64_t line = 64 / (int64_t)sizeof(elem);
    const int64_t begin = CLAMP(tile->start + (s->kernel_size - 1) * s->dilation, 0, tile->length);
    const int64_t end = MIN(begin + tile->rows.vectors * VW * s->stride, tile->length);
    for (int64_t i = 0; i < count; i++)
        for (int64_t t = begin; t < end; t += line)
            __builtin_prefetch(tile->x + (c + i) * tile->length + t);
}

/* n elements from `start` on, zero outside x, as `real`; n is a multiple of VW. */
static void copy_line(const elem *x, int64_t length, int64_t start, int64_t n, real *line)
{
    for (int64_t i = 0; i < n;) {
        const int64_t from = start + i;
        const int begin = (int)CLAMP(-from, 0, VW);
        const int end = (int)CLAMP(length - from, 0, VW);
        v_store(line + i, begin < end ? e_load_range(e_outside(x, from), begin, end) : v_zero());
        i += VW;
        if (from + VW >= 0)
            for (; i + VW <= n && start + i + VW <= length; i += VW)
                v_store(line + i, e_load(x + start + i));
    }
}

/* window[phase][i] = line[i * stride + phase]: so the taps of a strided convolution read whole vectors. */
static void split_phases(const real *line, int64_t stride, int64_t used, int64_t phase_length, real *window)
{
    if (stride == 2) {
        for (int64_t i = 0; i < used; i += VW) {
            const vec low = v_load(line + 2 * i);
            const vec high = v_load(line + 2 * i + VW);
            v_store(window + i, v_even(low, high));
            v_store(window + phase_length + i, v_odd(low, high));
        }
        return;
    }
    for (int64_t phase = 0; phase < stride; phase++)
        for (int64_t i = 0; i < used; i++)
            window[phase * phase_length + i] = line[i * stride + phase];
}

/* By way of a window of each channel in the workspace: edges, half types, strides. */
static void first_windows(const struct tile *tile)
{
    const tlk_depthwise *depthwise = tile->rows.depthwise;
    const tlk_sepconv *s = depthwise->sepconv;
    const int64_t window_length = s->stride * depthwise->phase_length;
    const int64_t reach = (s->kernel_size - 1) * s->dilation;
    const int64_t used = (tile->rows.vectors * VW + reach / s->stride + VW - 1) / VW * VW; /* of each phase */
    const bool inside = E_IS_REAL && s->stride > 1 && tile->start >= 0 &&
                        used * s->stride <= tile->length - tile->start; /* x is the line itself */
    for (int64_t c = 0; c < s->channels; c += CHANNELS) {
        const int64_t count = MIN(CHANNELS, s->channels - c);
        prefetch_channels(tile, c + count, MIN(CHANNELS, s->channels - c - count));
        for (int64_t i = 0; i < count; i++) {
            const elem *x = tile->x + (c + i) * tile->length;
            real *window = depthwise->windows + i * window_length;
            real *line = s->stride == 1 ? window : depthwise->line;
            if (!inside)
                copy_line(x, tile->length, tile->start, used * s->stride, line);
            if (s->stride > 1)
                split_phases(inside ? (const void *)(x + tile->start) : line, s->stride, used, depthwise->phase_length,
                             window);
        }
        TLK_REAL_FN(tlk_depthwise_rows)(&tile->rows, depthwise->windows, window_length, c, count);
    }
}

/* Straight from x, where no tap of the tile lies outside. */
static void first_direct(const struct tile *tile)
{
    const int64_t channels = tile->rows.depthwise->sepconv->channels;
    for (int64_t c = 0; c < channels; c += CHANNELS) {
        const int64_t count = MIN(CHANNELS, channels - c);
        prefetch_channels(tile, c + count, MIN(CHANNELS, channels - c - count));
        TLK_REAL_FN(tlk_depthwise_rows)
        (&tile->rows, (const void *)(tile->x + c * tile->length + tile->start), tile->length, c, count);
    }
}

/* Lane by lane: where a window would be too large. */
static void first_gathered(const struct tile *tile)
{
    const tlk_sepconv *s = tile->rows.depthwise->sepconv;
    const real *weights = tile->rows.depthwise->weights;
    for (int64_t m = 0; m < s->multiplier; m++)
        for (int64_t c = 0; c < s->channels; c++, weights += s->kernel_size)
            for (int v = 0; v < tile->rows.vectors; v++) {
                vec sum = v_zero();
                for (int64_t k = 0; k < s->kernel_size; k++) {
                    const int64_t start = tile->start + tile->rows.depthwise->positions[k];
                    real lanes[VW];
                    for (int lane = 0; lane < VW; lane++) {
                        const int64_t i = tlk_wrapping_at(start, v * VW + lane, s->stride);
                        lanes[lane] = i >= 0 && i < tile->length ? e_get(tile->x + c * tile->length + i) : 0;
                    }
                    sum = v_fma(v_load(lanes), v_set1(weights[k]), sum);
                }
                v_store(tlk_h_vector(&tile->rows, m * s->channels + c, v), sum);
            }
}

void TLK_ELEMENT_FN(tlk_depthwise_first)(const tlk_depthwise *depthwise, const elem *x, int64_t length,
                                         int64_t pad_left, int64_t t, int steps, real *h)
{
    const tlk_sepconv *s = depthwise->sepconv;
    const struct tile tile = {.x = x,
                              .length = length,
                              .start = t * s->stride - pad_left,
                              .rows = {.depthwise = depthwise,
                                       .h = h,
                                       .panel = s->channels * s->multiplier * TLK_NR,
                                       .vectors = steps <= VW       ? 1
                                                  : steps <= 4 * VW ? 4
                                                                    : 8}};
    const int64_t reach = (s->kernel_size - 1) * s->dilation;
    if (E_IS_REAL && s->stride == 1 && tile.start >= 0 && tile.start + tile.rows.vectors * VW + reach <= length)
        first_direct(&tile);
    else if (depthwise->phase_length > 0)
        first_windows(&tile);
    else
        first_gathered(&tile);
}
