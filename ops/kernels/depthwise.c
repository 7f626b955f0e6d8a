#include "kernels/depthwise.h"

#include "kernels/block.h"
#include "kernels/check.h"

#define MAX_WINDOW  65536 /* elements; beyond that lanes are gathered one by one */
#define CHANNELS    8     /* that many are prefetched, and their windows filled, before the first of them is needed */
#define MAX_VECTORS 8
#if defined TLK_ISA_AVX512 || defined TLK_ISA_NEON
#define MAX_ROWS 2 /* of 32 registers, 16 sums, 8 weights and the data */
#else
#define MAX_ROWS 1
#endif
#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))

/* ---- order of the taps ---- */

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
static int64_t group_size(int64_t kernel_size, int64_t begin, int64_t apart, int64_t first)
{
    int64_t taps = 0;
    for (int64_t k = first; k < kernel_size && k < begin + TLK_SHARED_TAPS * apart; k += apart)
        taps++;
    return taps;
}

#define FOR_EACH_GROUP(kernel_size, apart, first, taps)                                                \
    for (int64_t begin_ = 0; begin_ < (kernel_size); begin_ += TLK_SHARED_TAPS * (apart))              \
        for (int64_t first = begin_, taps; first < MIN(begin_ + (apart), (kernel_size)) &&             \
                                           (taps = group_size(kernel_size, begin_, apart, first)) > 0; \
             first++)

void TLK_ELEMENT_FN(tlk_depthwise_pack)(const tlk_sepconv *s, const elem *depthwise, real *weights)
{
    const int64_t lanes = s->layout == TLK_CHANNELS_LAST ? VW : 1;
    const int64_t apart = period(s);
    for (int64_t m = 0; m < s->multiplier; m++)
        for (int64_t c = 0; c < s->channels; c += lanes)
            FOR_EACH_GROUP(s->kernel_size, apart, first, taps)
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
    FOR_EACH_GROUP(s->kernel_size, apart, first, taps)
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

/* ---- register blocks: neighbouring vectors of output ---- */

/* In channels_first the lanes are steps, a tap is one number for all of them, and data is `real` already; in
 * channels_last (`last`) the lanes are channels, each with a tap of its own, and data is as stored. */
TLK_INLINE const void *data_at(bool last, const void *x, int64_t offset)
{
    return last ? (const void *)((const elem *)x + offset) : (const void *)((const real *)x + offset);
}

TLK_INLINE vec load_data(bool last, const void *x, int lanes)
{
    if (!last)
        return v_load(x);
    return lanes == VW ? e_load(x) : e_load_n(x, lanes);
}

TLK_INLINE vec load_weight(bool last, const real *weights, int64_t tap)
{
    return last ? v_load(weights + tap * VW) : v_set1(weights[tap]);
}

/* Where the rows of a register block lie: neighbouring channels, or outputs of the same channel (`same`). */
struct rows {
    int64_t data_step; /* from row to row in the data, and in the weights */
    int64_t weights_step;
    int64_t vector_step; /* from vector to vector in the data */
    int lanes;
    bool same; /* all rows read the same data */
};

/* Taps that read the same vectors, each one vector further than the one before: every vector is loaded once. */
TLK_INLINE void shared_taps(bool last, int rows, int vectors, int taps, const struct rows *at, const void *x,
                            int64_t offset, const real *weights, vec sum[MAX_ROWS][MAX_VECTORS])
{
    vec weight[MAX_ROWS][TLK_SHARED_TAPS];
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int q = 0; q < taps; q++)
        weight[r][q] = load_weight(last, weights + r * at->weights_step, q);
    const void *row[MAX_ROWS];
    TLK_UNROLL
    for (int r = 0; r < rows; r++) {
        row[r] = data_at(last, x, offset + r * at->data_step);
        TLK_IN_POINTER(row[r]);
    }
    TLK_UNROLL
    for (int u = 0; u < vectors + taps - 1; u++) {
        vec data = v_zero();
        TLK_UNROLL
        for (int r = 0; r < rows; r++) {
            if (r == 0 || !at->same)
                data = load_data(last, row[r], at->lanes);
            row[r] = data_at(last, row[r], at->vector_step);
            if (taps > 1)
                TLK_IN_REGISTER(data);
            TLK_UNROLL
            for (int q = 0; q < taps; q++)
                if (u - q >= 0 && u - q < vectors)
                    sum[r][u - q] = v_fma(data, weight[r][q], sum[r][u - q]);
        }
    }
}

/* All taps: rows * vectors sums in registers, enough of them to hide the latency of a multiply-add. */
TLK_INLINE void sum_taps(bool last, int rows, int vectors, const struct rows *at, const tlk_depthwise *depthwise,
                         const void *x, const real *weights, vec sum[MAX_ROWS][MAX_VECTORS])
{
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[r][v] = v_zero();
    const tlk_tap_group *group = depthwise->groups;
    const tlk_tap_group *const end = group + depthwise->group_count;
    TLK_UNROLL
    for (int taps = TLK_SHARED_TAPS; taps > 0; taps--) /* no group is larger than the one before */
        for (; group < end && group->taps == taps; group++, weights += taps * (last ? VW : 1))
            shared_taps(last, rows, vectors, taps, at, x, group->offset, weights, sum);
}

/* ---- channels_first: lanes are time steps ---- */

/* One tile of one sample. */
struct tile {
    const tlk_depthwise *depthwise;
    const elem *x;
    int64_t length;
    int64_t start; /* where in x the first tap of the first step lies; may be negative */
    real *h;
    int64_t panel; /* channels_first: from one panel of h to the next */
    int vectors;   /* channels_first: 1, 2, 4 or 8, at least as many as hold the steps */
};

TLK_INLINE real *h_vector(const struct tile *tile, int64_t j, int v)
{
    return tile->h + v / TLK_NV * tile->panel + j * TLK_NR + v % TLK_NV * VW;
}

/* Rows j, j + j_step... of h; data is where the first tap of the tile's first step lies. */
TLK_INLINE void whole_vectors(bool same, int rows, int vectors, const struct tile *tile, const real *data,
                              int64_t data_step, int64_t j, int64_t j_step)
{
    const int64_t taps = tile->depthwise->sepconv->kernel_size;
    const struct rows at = {
        .data_step = data_step, .weights_step = j_step * taps, .vector_step = VW, .lanes = VW, .same = same};
    vec sum[MAX_ROWS][MAX_VECTORS];
    sum_taps(false, rows, vectors, &at, tile->depthwise, data, tile->depthwise->weights + j * taps, sum);
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        v_store(h_vector(tile, j + r * j_step, v), sum[r][v]);
}

TLK_INLINE void whole_rows(bool same, int rows, const struct tile *tile, const real *data, int64_t data_step, int64_t j,
                           int64_t j_step)
{
    if (tile->vectors == 8)
        whole_vectors(same, rows, 8, tile, data, data_step, j, j_step);
    else if (tile->vectors == 4)
        whole_vectors(same, rows, 4, tile, data, data_step, j, j_step);
    else if (tile->vectors == 2)
        whole_vectors(same, rows, 2, tile, data, data_step, j, j_step);
    else
        whole_vectors(same, rows, 1, tile, data, data_step, j, j_step);
}

static TLK_NOINLINE void one_row(const struct tile *tile, const real *data, int64_t j)
{
    whole_rows(false, 1, tile, data, 0, j, 0);
}

static TLK_NOINLINE void two_channels(const struct tile *tile, const real *data, int64_t data_step, int64_t j)
{
    whole_rows(false, MAX_ROWS, tile, data, data_step, j, 1);
}

static TLK_NOINLINE void two_outputs(const struct tile *tile, const real *data, int64_t j)
{
    whole_rows(true, MAX_ROWS, tile, data, 0, j, tile->depthwise->sepconv->channels);
}

/* All outputs of `count` channels from c on, whose data is data_step apart. */
static void whole_channels(const struct tile *tile, const real *data, int64_t data_step, int64_t c, int64_t count)
{
    const tlk_sepconv *s = tile->depthwise->sepconv;
    int64_t m = 0;
    for (; MAX_ROWS > 1 && m + 2 <= s->multiplier; m += 2)
        for (int64_t i = 0; i < count; i++)
            two_outputs(tile, data + i * data_step, m * s->channels + c + i);
    for (; m < s->multiplier; m++) {
        int64_t i = 0;
        for (; MAX_ROWS > 1 && i + 2 <= count; i += 2)
            two_channels(tile, data + i * data_step, data_step, m * s->channels + c + i);
        for (; i < count; i++)
            one_row(tile, data + i * data_step, m * s->channels + c + i);
    }
}

/* What this tile of each of these channels has and the tile before had not. A channel is too short a
 * run for the hardware to see where the next one lies. */
static void prefetch_channels(const struct tile *tile, int64_t c, int64_t count)
{
    const tlk_sepconv *s = tile->depthwise->sepconv;
    const int64_t line = 64 / (int64_t)sizeof(elem);
    const int64_t begin = CLAMP(tile->start + (s->kernel_size - 1) * s->dilation, 0, tile->length);
    const int64_t end = MIN(begin + tile->vectors * VW * s->stride, tile->length);
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
    const tlk_depthwise *depthwise = tile->depthwise;
    const tlk_sepconv *s = depthwise->sepconv;
    const int64_t window_length = s->stride * depthwise->phase_length;
    const int64_t reach = (s->kernel_size - 1) * s->dilation;
    const int64_t used = (tile->vectors * VW + reach / s->stride + VW - 1) / VW * VW; /* of each phase */
    for (int64_t c = 0; c < s->channels; c += CHANNELS) {
        const int64_t count = MIN(CHANNELS, s->channels - c);
        prefetch_channels(tile, c + count, MIN(CHANNELS, s->channels - c - count));
        for (int64_t i = 0; i < count; i++) {
            const elem *x = tile->x + (c + i) * tile->length;
            real *window = depthwise->windows + i * window_length;
            copy_line(x, tile->length, tile->start, used * s->stride, s->stride == 1 ? window : depthwise->line);
            if (s->stride > 1)
                split_phases(depthwise->line, s->stride, used, depthwise->phase_length, window);
        }
        whole_channels(tile, depthwise->windows, window_length, c, count);
    }
}

/* Straight from x, where no tap of the tile lies outside. */
static void first_direct(const struct tile *tile)
{
    const int64_t channels = tile->depthwise->sepconv->channels;
    for (int64_t c = 0; c < channels; c += CHANNELS) {
        const int64_t count = MIN(CHANNELS, channels - c);
        prefetch_channels(tile, c + count, MIN(CHANNELS, channels - c - count));
        whole_channels(tile, (const void *)(tile->x + c * tile->length + tile->start), tile->length, c, count);
    }
}

/* Lane by lane: where a window would be too large. */
static void first_gathered(const struct tile *tile)
{
    const tlk_sepconv *s = tile->depthwise->sepconv;
    const real *weights = tile->depthwise->weights;
    for (int64_t m = 0; m < s->multiplier; m++)
        for (int64_t c = 0; c < s->channels; c++, weights += s->kernel_size)
            for (int v = 0; v < tile->vectors; v++) {
                vec sum = v_zero();
                for (int64_t k = 0; k < s->kernel_size; k++) {
                    const int64_t start = tile->start + tile->depthwise->positions[k];
                    real lanes[VW];
                    for (int lane = 0; lane < VW; lane++) {
                        const int64_t i = tlk_wrapping_at(start, v * VW + lane, s->stride);
                        lanes[lane] = i >= 0 && i < tile->length ? e_get(tile->x + c * tile->length + i) : 0;
                    }
                    sum = v_fma(v_load(lanes), v_set1(weights[k]), sum);
                }
                v_store(h_vector(tile, m * s->channels + c, v), sum);
            }
}

void TLK_ELEMENT_FN(tlk_depthwise_first)(const tlk_depthwise *depthwise, const elem *x, int64_t length,
                                         int64_t pad_left, int64_t t, int steps, real *h)
{
    const tlk_sepconv *s = depthwise->sepconv;
    const struct tile tile = {.depthwise = depthwise,
                              .x = x,
                              .length = length,
                              .start = t * s->stride - pad_left,
                              .h = h,
                              .panel = s->channels * s->multiplier * TLK_NR,
                              .vectors = steps <= VW       ? 1
                                         : steps <= 2 * VW ? 2
                                         : steps <= 4 * VW ? 4
                                                           : 8};
    const int64_t reach = (s->kernel_size - 1) * s->dilation;
    if (E_IS_REAL && s->stride == 1 && tile.start >= 0 && tile.start + tile.vectors * VW + reach <= length)
        first_direct(&tile);
    else if (depthwise->phase_length > 0)
        first_windows(&tile);
    else
        first_gathered(&tile);
}

/* ---- channels_last: lanes are channels ---- */

/* Steps whose taps all lie inside x, of one or two vectors of channels; x is where the first tap of the first step
 * lies, h_step leads from one vector of channels to the next. */
TLK_INLINE void whole_steps(int columns, int steps, const tlk_depthwise *depthwise, const elem *x, int lanes,
                            const real *weights, real *h)
{
    const tlk_sepconv *s = depthwise->sepconv;
    const struct rows at = {
        .data_step = VW, .weights_step = s->kernel_size * VW, .vector_step = s->stride * s->channels, .lanes = lanes};
    vec sum[MAX_ROWS][MAX_VECTORS];
    sum_taps(true, columns, steps, &at, depthwise, x, weights, sum);
    TLK_UNROLL
    for (int r = 0; r < columns; r++)
        TLK_UNROLL
    for (int i = 0; i < steps; i++)
        v_store(h + (r * (TLK_LAST_TILE + 1) + i) * VW, sum[r][i]);
}

/* Steps at the edges: taps outside x read zeros. */
static void edge_steps(int steps, const struct tile *tile, int64_t start, int64_t c, int lanes, const real *weights,
                       real *h)
{
    static const elem zeros[VW];
    const tlk_sepconv *s = tile->depthwise->sepconv;
    vec sum[8];
    TLK_UNROLL
    for (int i = 0; i < 8; i++)
        sum[i] = v_zero();
    for (int64_t k = 0; k < s->kernel_size; k++) {
        const vec weight = v_load(weights + k * VW);
        const int64_t from = start + tile->depthwise->positions[k];
        TLK_UNROLL
        for (int i = 0; i < 8; i++) {
            const int64_t row = tlk_wrapping_at(from, i, s->stride);
            const bool inside = i < steps && row >= 0 && row < tile->length;
            const elem *data = inside ? tile->x + row * s->channels + c : zeros;
            sum[i] = v_fma(lanes == VW ? e_load(data) : e_load_n(data, lanes), weight, sum[i]);
        }
    }
    for (int i = 0; i < steps; i++)
        v_store(h + i * VW, sum[i]);
}

/* One or two vectors of channels from c on, all steps of the tile. */
TLK_INLINE void last_columns(int columns, bool full, const struct tile *tile, int64_t c, int steps, const real *weights,
                             real *h)
{
    const tlk_depthwise *depthwise = tile->depthwise;
    const tlk_sepconv *s = depthwise->sepconv;
    const int lanes = full ? VW : (int)(s->channels - c);
    const int64_t reach = (s->kernel_size - 1) * s->dilation;
    for (int t = 0, count; t < steps; t += count) {
        count = steps - t >= 8 ? 8 : steps - t >= 4 ? 4 : steps - t;
        const int64_t start = tile->start + t * s->stride;
        const elem *x = e_outside(tile->x, start * s->channels + c);
        const bool inside = start >= 0 && start + (count - 1) * s->stride + reach < tile->length;
        if (inside && count == 8)
            whole_steps(columns, 8, depthwise, x, lanes, weights, h + t * VW);
        else if (inside && count == 4)
            whole_steps(columns, 4, depthwise, x, lanes, weights, h + t * VW);
        else
            for (int r = 0; r < columns; r++)
                edge_steps(count, tile, start, c + r * VW, lanes, weights + r * s->kernel_size * VW,
                           h + (r * (TLK_LAST_TILE + 1) + t) * VW);
    }
}

static TLK_NOINLINE void two_columns(const struct tile *tile, int64_t c, int steps, const real *weights, real *h)
{
    last_columns(MAX_ROWS, true, tile, c, steps, weights, h);
}

static TLK_NOINLINE void one_column(const struct tile *tile, int64_t c, int steps, const real *weights, real *h)
{
    last_columns(1, true, tile, c, steps, weights, h);
}

static TLK_NOINLINE void part_column(const struct tile *tile, int64_t c, int steps, const real *weights, real *h)
{
    last_columns(1, false, tile, c, steps, weights, h);
}

void TLK_ELEMENT_FN(tlk_depthwise_last)(const tlk_depthwise *depthwise, const elem *x, int64_t length, int64_t pad_left,
                                        int64_t t, int steps, real *h)
{
    const tlk_sepconv *s = depthwise->sepconv;
    const real *weights = depthwise->weights;
    const struct tile tile = {
        .depthwise = depthwise, .x = x, .length = length, .start = t * s->stride - pad_left, .h = h};
    for (int64_t m = 0; m < s->multiplier; m++)
        for (int64_t c = 0, columns; c < s->channels; c += columns * VW) {
            columns = s->channels - c >= MAX_ROWS * VW ? MAX_ROWS : 1;
            if (columns == 2)
                two_columns(&tile, c, steps, weights, h);
            else if (s->channels - c >= VW)
                one_column(&tile, c, steps, weights, h);
            else
                part_column(&tile, c, steps, weights, h);
            weights += columns * s->kernel_size * VW;
            h += columns * (TLK_LAST_TILE + 1) * VW;
        }
}
