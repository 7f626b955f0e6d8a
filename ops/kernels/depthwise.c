/* The depthwise stage: the order of the taps, windows, and edges. */
#include "kernels/depthwise.h"

#include "kernels/check.h"
#include "kernels/kernels.h"

#define FAR        ((int64_t)(524288 / sizeof(real))) /* elements of x, beyond which the second-level cache has lost them */
#define MAX_WINDOW 2048 /* positions; beyond that most of them would be copied for nothing */
/* So few taps are faster with lanes of steps; more, where two outputs share what is selected, or selecting takes no
 * port from multiply-adds. */
#define NEAR_TAPS(s) ((s)->stride == 1 && (s)->multiplier == 1 && !tlk_shuffles_apart() ? 14 : 17)
#if defined TLK_ISA_AVX512
#define ROW_TAPS 6 /* though nearly every load crosses a cache line */
#else
#define ROW_TAPS 24 /* fewer loads of shorter vectors do */
#endif
#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))

/* ---- order of the taps ---- */

static int64_t period(const tlk_sepconv *s)
{
    return s->stride % s->dilation == 0 ? MIN(s->stride / s->dilation, s->kernel_size) : s->kernel_size;
}

/* How many taps (first, first + period, ...) share their loads, where the block of taps begins at `begin`. */
static int64_t group_size(const tlk_sepconv *s, int64_t begin, int64_t apart, int64_t first)
{
    int64_t taps = 0;
    for (int64_t k = first; k < s->kernel_size && k < begin + TLK_SHARED_TAPS * apart; k += apart)
        taps++;
    return taps;
}

#define FOR_EACH_GROUP(s, apart, first, taps)                                                                     \
    for (int64_t begin_ = 0; begin_ < (s)->kernel_size; begin_ += TLK_SHARED_TAPS * (apart))                      \
        for (int64_t first = begin_, taps;                                                                        \
             first < MIN(begin_ + (apart), (s)->kernel_size) && (taps = group_size(s, begin_, apart, first)) > 0; \
             first++)

/* ---- sizes ---- */

/* Positions in each phase of the window of one tile; SIZE_MAX if the window would be too large. */
static size_t phase_length(const tlk_sepconv *s)
{
    const size_t tile = tlk_size_mul((size_t)tile_steps(s) - 1, (size_t)s->stride);
    const size_t reach = tlk_size_mul((size_t)s->kernel_size - 1, (size_t)s->dilation);
    const size_t span = tlk_size_add(tlk_size_add(tile, reach), 1);
    if (span > MAX_WINDOW)
        return SIZE_MAX;
    return tlk_size_round_up((span + (size_t)s->stride - 1) / (size_t)s->stride, VW);
}

/* Whether some tiles are computed with lanes of steps: where that is faster, or all, where no window can be had. Lanes
 * of channels cost 9/20 as much a tap, and what ROW_TAPS taps save for transposing, whether there are channels for all
 * lanes or not; near taps cost less. */
static bool has_rows(const tlk_sepconv *s)
{
    const double taps = (double)s->kernel_size;
    const double lanes = (double)(s->channels / VW + (s->channels % VW != 0)) * VW;
    const bool few = s->stride == 1 && 20 * taps * (double)s->channels <= lanes * (9 * taps + 11 * ROW_TAPS);
    const bool faster = few || (tlk_taps_are_near(s) && s->kernel_size <= NEAR_TAPS(s));
    return !is_last(s) && (faster || phase_length(s) == SIZE_MAX);
}

size_t TLK_REAL_FN(tlk_depthwise_weights)(const tlk_sepconv *s)
{
    const size_t taps = tlk_size_mul((size_t)s->multiplier, (size_t)s->kernel_size);
    const size_t by_lanes = tlk_size_mul(tlk_size_round_up((size_t)s->channels, VW), taps);
    return tlk_size_add(by_lanes, has_rows(s) ? tlk_size_mul((size_t)s->channels, taps) : 0);
}

/* By lanes, then by rows. */
void TLK_REAL_FN(tlk_depthwise_pack)(const tlk_sepconv *s, const real *depthwise, real *weights)
{
    const int64_t apart = period(s);
    for (int64_t m = 0; m < s->multiplier; m++)
        for (int64_t c = 0; c < s->channels; c += VW)
            FOR_EACH_GROUP(s, apart, first, taps)
    for (int64_t q = 0; q < taps; q++)
        for (int64_t lane = 0; lane < VW; lane++) {
            const int64_t row = (c + lane) * s->multiplier + m;
            *weights++ = c + lane < s->channels ? depthwise[row * s->kernel_size + first + q * apart] : 0;
        }
    for (int64_t m = 0; m < s->multiplier && has_rows(s); m++)
        for (int64_t c = 0; c < s->channels; c++)
            for (int64_t k = 0; k < s->kernel_size; k++)
                *weights++ = depthwise[(c * s->multiplier + m) * s->kernel_size + k];
}

size_t TLK_REAL_FN(tlk_depthwise_workspace)(const tlk_sepconv *s)
{
    /* What the taps reach, in bytes, so that no address computed from it overflows. */
    const size_t reach = tlk_size_mul((size_t)s->kernel_size, (size_t)s->dilation);
    const size_t bytes = tlk_size_mul(tlk_size_mul(reach, (size_t)s->channels), sizeof(real));
    if (bytes > INT64_MAX / 2)
        return SIZE_MAX;
    size_t size = tlk_size_mul((size_t)s->kernel_size, sizeof(tlk_tap_group));
    if (phase_length(s) != SIZE_MAX) /* one vector of steps more than asked for is read */
        size = tlk_size_add(size, ((size_t)s->stride * phase_length(s) + TLK_LANE_STEPS) * VW * sizeof(real) + 64);
    return tlk_size_round_up(size, 64);
}

void TLK_REAL_FN(tlk_depthwise_prepare)(tlk_depthwise *depthwise, const tlk_sepconv *s, const real *weights,
                                        void *workspace)
{
    const int64_t apart = period(s);
    const int64_t channels = (int64_t)tlk_size_round_up((size_t)s->channels, VW);
    depthwise->sepconv = s;
    depthwise->by_lanes = weights;
    depthwise->by_rows = weights + channels * s->multiplier * s->kernel_size;
    depthwise->has_rows = has_rows(s);
    depthwise->groups = workspace;
    depthwise->phase_length = 0;
    if (phase_length(s) != SIZE_MAX) {
        depthwise->phase_length = (int64_t)phase_length(s);
        depthwise->window = (real *)(((uintptr_t)(depthwise->groups + s->kernel_size) + 63) / 64 * 64);
    }
    tlk_tap_group *group = depthwise->groups;
    FOR_EACH_GROUP(s, apart, first, taps)
    {
        const int64_t at = first * s->dilation;
        const int64_t phase = at % s->stride;
        *group++ = (tlk_tap_group){at, (phase * depthwise->phase_length + at / s->stride) * VW, taps};
    }
    depthwise->group_count = group - depthwise->groups;
}

/* ---- one tile ---- */

struct tile {
    const tlk_depthwise *depthwise;
    const real *x;
    int64_t length;
    int64_t start; /* where in x the first tap of the first step lies; may be negative */
    int64_t span;  /* from there on, positions that taps of the tile read */
    int steps;
};

static struct tile tile_at(const tlk_depthwise *depthwise, const real *x, int64_t length, int64_t start, int steps)
{
    const tlk_sepconv *s = depthwise->sepconv;
    return (struct tile){
        depthwise,     x, length, start, .span = (steps - 1) * s->stride + (s->kernel_size - 1) * s->dilation + 1,
        .steps = steps};
}

/* ---- channels_first ---- */

/* VW positions of VW channels, from position `from` and channel c on; zero where there are none. */
TLK_INLINE void load_square(const struct tile *tile, int64_t c, int64_t from, vec square[VW])
{
    const int64_t channels = tile->depthwise->sepconv->channels - c;
    const int begin = (int)CLAMP(-from, 0, VW);
    const int end = (int)CLAMP(tile->length - from, 0, VW);
    const real *x = v_outside(tile->x, c * tile->length + from);
    if (begin >= end) {
        TLK_UNROLL
        for (int r = 0; r < VW; r++)
            square[r] = v_zero();
    } else if (channels < VW) {
        TLK_UNROLL
        for (int r = 0; r < VW; r++)
            square[r] = r < channels ? v_load_range(v_outside(x, r * tile->length), begin, end) : v_zero();
    } else if (end - begin < VW) {
        TLK_UNROLL
        for (int r = 0; r < VW; r++)
            square[r] = v_load_range(v_outside(x, r * tile->length), begin, end);
    } else {
        TLK_UNROLL
        for (int r = 0; r < VW; r++)
            square[r] = v_load(x + r * tile->length);
    }
}

/* The window of VW channels from c on. */
static void fill_first(const struct tile *tile, int64_t c)
{
    const int64_t stride = tile->depthwise->sepconv->stride;
    const int64_t next_phase = tile->depthwise->phase_length * VW;
    real *at = tile->depthwise->window;
    int64_t phase = 0;
    for (int64_t i = 0; i < tile->span; i += VW) {
        vec square[VW];
        load_square(tile, c, tile->start + i, square);
        v_transpose(square);
        if (stride == 1) {
            TLK_UNROLL
            for (int r = 0; r < VW; r++, at += VW)
                v_store(at, square[r]);
        } else if (stride == 2) {
            TLK_UNROLL
            for (int r = 0; r < VW; r += 2, at += VW) {
                v_store(at, square[r]);
                v_store(at + next_phase, square[r + 1]);
            }
        } else {
            for (int r = 0; r < VW; r++) {
                v_store(at + phase * next_phase, square[r]);
                if (++phase == stride) {
                    phase = 0;
                    at += VW;
                }
            }
        }
    }
}

/* Asks for a share of what the window of the VW channels from c on is filled from, while steps [t, t + TLK_LANE_STEPS)
 * of others are summed: nothing reads ahead in so many rows. */
TLK_INLINE void ask(const struct tile *tile, int64_t c, int t)
{
    const int64_t begin = CLAMP(tile->start, 0, tile->length);
    const int64_t end = CLAMP(tile->start + tile->span, 0, tile->length);
    const int64_t last = MIN(c + (int64_t)VW * (t + TLK_LANE_STEPS) / tile->steps, tile->depthwise->sepconv->channels);
    for (int64_t row = c + (int64_t)VW * t / tile->steps; row < last; row++)
        for (int64_t i = begin; i < end; i += 64 / (int64_t)sizeof(real))
            __builtin_prefetch(tile->x + row * tile->length + i, 0, 2);
}

static void first_windows(const struct tile *tile, const tlk_row_tile *rows)
{
    const tlk_depthwise *depthwise = tile->depthwise;
    const tlk_sepconv *s = depthwise->sepconv;
    const real *weights = depthwise->by_lanes;
    const int64_t next_output = (s->channels + VW - 1) / VW * VW * s->kernel_size;
    const bool far = s->channels * tile->length > FAR;
    for (int64_t c = 0; c < s->channels; c += VW, weights += VW * s->kernel_size) {
        const int lanes = (int)MIN(VW, s->channels - c);
        fill_first(tile, c);
        for (int t = 0; t < tile->steps; t += TLK_LANE_STEPS) {
            if (far)
                ask(tile, c + VW, t);
            for (int64_t m = 0; m < s->multiplier; m++)
                TLK_REAL_FN(tlk_depthwise_steps)
            (depthwise, depthwise->window + t * VW, weights + m * next_output, lanes, rows, m * s->channels + c, t,
             tile->steps - t);
        }
    }
}

/* VW steps of one tap, the first of them at `start`: zero outside x. */
static vec first_lanes(const struct tile *tile, const real *x, int64_t start)
{
    const int64_t stride = tile->depthwise->sepconv->stride;
    if (stride == 1) {
        const int begin = (int)CLAMP(-start, 0, VW);
        const int end = (int)CLAMP(tile->length - start, 0, VW);
        return begin < end ? v_load_range(v_outside(x, start), begin, end) : v_zero();
    }
    real lanes[VW];
    for (int lane = 0; lane < VW; lane++) {
        const int64_t i = tlk_wrapping_at(start, lane, stride);
        lanes[lane] = i >= 0 && i < tile->length ? x[i] : 0;
    }
    return v_load(lanes);
}

/* Tap by tap, where a window would be too large. */
static void first_far(const struct tile *tile, const tlk_row_tile *rows)
{
    const tlk_sepconv *s = tile->depthwise->sepconv;
    const real *weights = tile->depthwise->by_rows;
    for (int64_t m = 0; m < s->multiplier; m++)
        for (int64_t c = 0; c < s->channels; c++, weights += s->kernel_size)
            for (int v = 0; v * VW < tile->steps; v++) {
                const int64_t start = tlk_wrapping_at(tile->start, (int64_t)v * VW, s->stride);
                vec sum = v_zero();
                for (int64_t k = 0; k < s->kernel_size; k++)
                    sum = v_fma(first_lanes(tile, tile->x + c * tile->length, start + k * s->dilation),
                                v_set1(weights[k]), sum);
                v_store(tlk_h_vector(rows, m * s->channels + c, v), sum);
            }
}

void TLK_REAL_FN(tlk_depthwise_first)(const tlk_depthwise *depthwise, const real *x, int64_t length, int64_t pad_left,
                                      int64_t t, int steps, real *h)
{
    const tlk_sepconv *s = depthwise->sepconv;
    const struct tile tile = tile_at(depthwise, x, length, t * s->stride - pad_left, steps);
    const tlk_row_tile rows = {.depthwise = depthwise,
                               .h = h,
                               .panel = s->channels * s->multiplier * TLK_NR,
                               .vectors = steps <= VW       ? 1
                                          : steps <= 4 * VW ? 4
                                                            : 8};
    const int64_t read = rows.vectors * VW + (s->kernel_size - 1) * s->dilation;
    const bool inside = tile.start >= 0 && tile.start + read <= length;
    if (depthwise->has_rows && (tlk_taps_are_near(s) || (inside && s->stride == 1))) {
        TLK_REAL_FN(tlk_depthwise_rows)(&rows, x, length, tile.start, 0, s->channels);
        return;
    }
    if (depthwise->phase_length > 0)
        first_windows(&tile, &rows);
    else
        first_far(&tile, &rows);
}

/* ---- channels_last ---- */

/* The window of VW channels from c on. */
static void fill_last(const struct tile *tile, int64_t c, int lanes)
{
    const tlk_sepconv *s = tile->depthwise->sepconv;
    const int64_t end = tile->start + tile->span;
    for (int64_t phase = 0; phase < s->stride; phase++) {
        real *at = tile->depthwise->window + phase * tile->depthwise->phase_length * VW;
        for (int64_t i = tile->start + phase; i < end; i += s->stride, at += VW) {
            const bool inside = i >= 0 && i < tile->length;
            const real *x = tile->x + (inside ? i : 0) * s->channels + c;
            v_store(at, !inside ? v_zero() : lanes == VW ? v_load(x) : v_load_n(x, lanes));
        }
    }
}

/* Step by step, where a window would be too large. */
static void last_far(const struct tile *tile, int64_t c, int lanes, const real *weights, real *h)
{
    const tlk_depthwise *depthwise = tile->depthwise;
    const tlk_sepconv *s = depthwise->sepconv;
    for (int t = 0; t < tile->steps; t++) {
        const real *weight = weights;
        vec sum = v_zero();
        for (int64_t g = 0; g < depthwise->group_count; g++)
            for (int64_t q = 0; q < depthwise->groups[g].taps; q++, weight += VW) {
                const int64_t i = tlk_wrapping_at(tile->start + depthwise->groups[g].position, t + q, s->stride);
                const bool inside = i >= 0 && i < tile->length;
                const real *x = tile->x + (inside ? i : 0) * s->channels + c;
                sum = v_fma(inside ? v_load_n(x, lanes) : v_zero(), v_load(weight), sum);
            }
        v_store(h + t * VW, sum);
    }
}

/* Up to TLK_LANE_STEPS steps of all channels. */
static void last_steps(const struct tile *tile, real *h)
{
    const tlk_depthwise *depthwise = tile->depthwise;
    const tlk_sepconv *s = depthwise->sepconv;
    const bool inside = tile->start >= 0 && s->stride <= tile->length &&
                        tile->start + tile->span + (TLK_LANE_STEPS - tile->steps) * s->stride <= tile->length;
    const real *weights = depthwise->by_lanes;
    const int64_t vectors = (s->channels + VW - 1) / VW;
    for (int64_t c = 0; c < s->channels; c += VW, h += (TLK_LAST_TILE + 1) * VW, weights += s->kernel_size * VW) {
        const int lanes = (int)MIN(VW, s->channels - c);
        const bool direct = inside && lanes == VW;
        if (!direct && depthwise->phase_length > 0)
            fill_last(tile, c, lanes);
        for (int64_t m = 0; m < s->multiplier; m++) {
            const real *taps = weights + m * vectors * s->kernel_size * VW;
            real *out = h + m * vectors * (TLK_LAST_TILE + 1) * VW;
            if (direct)
                TLK_REAL_FN(tlk_depthwise_direct)
            (depthwise, (const void *)(tile->x + tile->start * s->channels + c), taps, out);
            else if (depthwise->phase_length > 0)
                TLK_REAL_FN(tlk_depthwise_lanes)(depthwise, depthwise->window, taps, out);
            else last_far(tile, c, lanes, taps, out);
        }
    }
}

void TLK_REAL_FN(tlk_depthwise_last)(const tlk_depthwise *depthwise, const real *x, int64_t length, int64_t pad_left,
                                     int64_t t, int steps, real *h)
{
    const int64_t stride = depthwise->sepconv->stride;
    for (int i = 0; i < steps; i += TLK_LANE_STEPS) {
        const struct tile tile =
            tile_at(depthwise, x, length, (t + i) * stride - pad_left, MIN(TLK_LANE_STEPS, steps - i));
        last_steps(&tile, h + i * VW);
    }
}
