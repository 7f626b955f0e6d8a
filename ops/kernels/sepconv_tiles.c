/* The fused separable convolution with its product on AMX's tiles. The depthwise stage is sepconv.c's; what it leaves
 * is split into parts, for more steps than one tile of it has, and so are 32 filters after the other. */
#include "kernels/sepconv.h"

#include "kernels/check.h"
#include "kernels/depthwise.h"
#include "kernels/isa.h"
#include "kernels/output.h"
#include "kernels/tiles.h"

#define MIN(a, b)   ((a) < (b) ? (a) : (b))
#define LINES       TLK_TILE_LINES
#define LEAST_DEPTH 24 /* where it pays */
#define LEAST_LINES 16
#define DATA_BYTES  (1280 * 1024) /* of a piece of the data in parts: well inside the second-level cache */
#define MOST_STEPS  512

static const tlk_sepconv_kernel *narrow(void)
{
    return &TLK_ELEMENT_FN(tlk_sepconv);
}

static bool is_last(const tlk_sepconv *s)
{
    return s->layout == TLK_CHANNELS_LAST;
}

static bool is_narrow(const tlk_sepconv *s)
{
    return tlk_size_mul((size_t)s->channels, (size_t)s->multiplier) < LEAST_DEPTH || s->filters < LEAST_LINES;
}

/* Rows of h, each channel's vector whole in channels_last; SIZE_MAX if there are too many. */
static size_t depth_of(const tlk_sepconv *s)
{
    const size_t channels = is_last(s) ? tlk_size_round_up((size_t)s->channels, VW) : (size_t)s->channels;
    return tlk_size_mul(channels, (size_t)s->multiplier);
}

/* ---- packed weights: depthwise; bias; pointwise, [F][depth], or [F / TLK_NR][depth][TLK_NR] in channels_last ---- */

static size_t bias_at(const tlk_sepconv *s)
{
    return tlk_size_round_up(TLK_ELEMENT_FN(tlk_depthwise_weights)(s), VW);
}

static size_t padded_filters(const tlk_sepconv *s)
{
    return tlk_size_round_up((size_t)s->filters, TLK_NR);
}

static size_t pointwise_at(const tlk_sepconv *s)
{
    return tlk_size_add(bias_at(s), padded_filters(s));
}

static size_t packed_size(const tlk_sepconv *s)
{
    if (is_narrow(s))
        return narrow()->packed_size(s);
    const size_t filters = is_last(s) ? padded_filters(s) : (size_t)s->filters;
    const size_t elements = tlk_size_add(pointwise_at(s), tlk_size_mul(depth_of(s), filters));
    const size_t bytes = tlk_size_mul(elements, sizeof(real));
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

/* Element j of filter f, in the order of the depthwise stage: j = m * C + c. */
static void pack_pointwise(const tlk_sepconv *s, const elem *pointwise, real *packed)
{
    const int64_t depth = (int64_t)depth_of(s), rows = s->channels * s->multiplier;
    const int64_t channels = depth / s->multiplier;
    if (is_last(s))
        memset(packed, 0, padded_filters(s) * (size_t)depth * sizeof(real));
    for (int64_t f = 0; f < s->filters; f++)
        for (int64_t m = 0; m < s->multiplier; m++)
            for (int64_t c = 0; c < s->channels; c++) {
                const int64_t j = m * channels + c;
                const int64_t at = is_last(s) ? (f / TLK_NR * depth + j) * TLK_NR + f % TLK_NR : f * depth + j;
                packed[at] = pointwise[f * rows + c * s->multiplier + m];
            }
}

static void pack(const tlk_sepconv *s, const void *depthwise, const void *pointwise, const void *bias, void *packed)
{
    if (is_narrow(s)) {
        narrow()->pack(s, depthwise, pointwise, bias, packed);
        return;
    }
    real *weights = packed;
    real *biases = weights + bias_at(s);
    TLK_ELEMENT_FN(tlk_depthwise_pack)(s, depthwise, weights);
    memset(biases, 0, padded_filters(s) * sizeof(real));
    if (bias != NULL)
        memcpy(biases, bias, (size_t)s->filters * sizeof(real));
    pack_pointwise(s, pointwise, weights + pointwise_at(s));
}

/* ---- workspace: what the depthwise stage needs; h; its parts; the parts of 32 filters ---- */

static int64_t tile_steps(const tlk_sepconv *s)
{
    return is_last(s) ? TLK_LAST_TILE : TLK_FIRST_TILE;
}

/* Steps whose products are made together, a multiple of the depthwise stage's. */
static int64_t most_steps(const tlk_sepconv *s)
{
    const size_t line = tlk_size_mul((size_t)tlk_tile_steps((int64_t)depth_of(s)), sizeof(tlk_tile) / LINES);
    const int64_t steps = (int64_t)(DATA_BYTES / line) / tile_steps(s) * tile_steps(s);
    return steps < tile_steps(s) ? tile_steps(s) : MIN(steps, MOST_STEPS / tile_steps(s) * tile_steps(s));
}

static size_t h_size(const tlk_sepconv *s)
{
    const size_t row_bytes = (size_t)(is_last(s) ? TLK_LAST_TILE + 1 : TLK_FIRST_TILE) * sizeof(real);
    return tlk_size_round_up(tlk_size_mul(depth_of(s), row_bytes), 64);
}

static size_t tiles_size(const tlk_sepconv *s, int64_t lines)
{
    return tlk_size_mul(tlk_size_mul((size_t)tlk_tile_steps((int64_t)depth_of(s)), (size_t)(lines / LINES)),
                        sizeof(tlk_tile));
}

static size_t workspace_size(const tlk_sepconv *s)
{
    if (is_narrow(s))
        return narrow()->workspace_size(s);
    const size_t depthwise = tlk_size_round_up(TLK_ELEMENT_FN(tlk_depthwise_workspace)(s), 64);
    if (depth_of(s) > INT64_MAX / 2)
        return SIZE_MAX;
    const size_t bytes =
        tlk_size_add(tlk_size_add(depthwise, h_size(s)), tlk_size_add(tiles_size(s, most_steps(s) + 2 * LINES), 64));
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

/* ---- run ---- */

struct job {
    const tlk_sepconv *s;
    const real *biases, *pointwise;
    int64_t depth, tile_steps; /* of h, and of a line in tiles */
    tlk_depthwise depthwise;
    real *h;
    tlk_tile *data, *filters; /* [line / 16][tile_steps] */
    unsigned special[MOST_STEPS / LINES];
    tlk_output output;
};

/* h's steps into tiles from `line` on. */
static void split_data(struct job *job, int64_t line, int steps)
{
    for (int i = 0; i < steps; i += LINES) {
        tlk_tile *tiles = job->data + (line + i) / LINES * job->tile_steps;
        const int count = MIN(LINES, steps - i);
        unsigned *special = &job->special[(line + i) / LINES];
        if (is_last(job->s)) {
            const tlk_lines lines = {job->h + i * VW, VW, 1, (TLK_LAST_TILE + 1) * VW, job->depth};
            *special = TLK_FN(tlk_tiles_left)(&lines, count, tiles);
        } else {
            const tlk_lines lines = {job->h + i / TLK_NR * TLK_NR * job->depth + i % TLK_NR, 1, TLK_NR, VW * TLK_NR,
                                     job->depth};
            *special = TLK_FN(tlk_tiles_right)(&lines, count, tiles);
        }
    }
}

/* Up to 16 filters from f on. */
static unsigned split_filters(const struct job *job, int64_t f, tlk_tile *tiles)
{
    const int count = (int)MIN(LINES, job->s->filters - f);
    if (is_last(job->s)) {
        const tlk_lines lines = {job->pointwise + f / TLK_NR * TLK_NR * job->depth + f % TLK_NR, 1, TLK_NR, VW * TLK_NR,
                                 job->depth};
        return TLK_FN(tlk_tiles_right)(&lines, LINES, tiles);
    }
    const tlk_lines lines = {job->pointwise + f * job->depth, job->depth, 1, VW, job->depth};
    return TLK_FN(tlk_tiles_left)(&lines, count, tiles);
}

/* Sums on their way to y. They wait for the next block's products to be under way: what tiles store cannot be loaded at
 * once. */
struct sums {
    int64_t row, lane;
    int rows, lanes;
    real sums[4 * LINES * LINES] __attribute__((aligned(64)));
};

static void put(const tlk_output *output, struct sums *sums)
{
    if (sums->rows > 0)
        output_sums(output, sums->sums, 2 * LINES, sums->row, sums->lane, sums->rows, sums->lanes);
}

/* Up to 32 filters from f on, of all steps of the data; sums[*next] is the older one. */
static void multiply(const struct job *job, int64_t f, int64_t t, int64_t steps, struct sums sums[2], int *next)
{
    const bool last = is_last(job->s);
    const int side = last ? 1 : 0; /* of the filters */
    const int64_t filters = MIN(2 * LINES, job->s->filters - f);
    real start[2 * LINES][LINES] __attribute__((aligned(64)));
    tlk_tile_block block = {.steps = job->tile_steps,
                            .start = last ? job->biases + f : start[0],
                            .start_row = last ? 0 : LINES,
                            .start_left = last ? 0 : LINES * LINES,
                            .start_right = last ? LINES : 0};
    for (int i = 0; i < 2 && i * LINES < filters; i++) {
        tlk_tile *tiles = job->filters + i * job->tile_steps;
        block.special[side][i] = split_filters(job, f + i * LINES, tiles);
        block.lines[side][i] = tiles;
    }
    for (int64_t i = 0; i < 2 * LINES && !last; i++)
        v_store(start[i], v_set1(job->biases[f + MIN(i, filters - 1)]));
    for (int64_t step = 0; step < steps; step += 2 * LINES, *next = 1 - *next) {
        struct sums *to = &sums[*next];
        const int64_t count = MIN(2 * LINES, steps - step);
        for (int i = 0; i < 2; i++) {
            const int64_t line = step / LINES + i;
            const bool there = count > i * LINES;
            block.lines[1 - side][i] = there ? job->data + line * job->tile_steps : NULL;
            block.special[1 - side][i] = there ? job->special[line] : 0;
        }
        block.sums = to->sums;
        TLK_FN(tlk_tiles_multiply)(&block);
        to->row = last ? t + step : f;
        to->lane = last ? f : t + step;
        to->rows = (int)(last ? count : filters);
        to->lanes = (int)(last ? filters : count);
        put(&job->output, last ? &sums[1 - *next] : to);
    }
}

static void run(const tlk_sepconv *s, const void *packed, const tlk_sepconv_data *data, int64_t n, int64_t t_begin,
                int64_t t_end, void *workspace)
{
    if (is_narrow(s)) {
        narrow()->run(s, packed, data, n, t_begin, t_end, workspace);
        return;
    }
    char *room = (char *)(((uintptr_t)workspace + 63) / 64 * 64);
    const real *weights = packed;
    const elem *x = (const elem *)data->x + n * s->channels * data->length;
    struct job job = {.s = s,
                      .biases = weights + bias_at(s),
                      .pointwise = weights + pointwise_at(s),
                      .depth = (int64_t)depth_of(s),
                      .tile_steps = tlk_tile_steps((int64_t)depth_of(s)),
                      .output = {.y = (elem *)data->y + n * s->filters * data->out_length,
                                 .row_step = is_last(s) ? s->filters : data->out_length,
                                 .lane_step = 1,
                                 .scale = 1,
                                 .activation = &s->activation,
                                 .steps = data->steps}};
    output_prepare(&job.output);
    TLK_ELEMENT_FN(tlk_depthwise_prepare)(&job.depthwise, s, weights, room);
    room += tlk_size_round_up(TLK_ELEMENT_FN(tlk_depthwise_workspace)(s), 64);
    job.h = (real *)room;
    job.data = (tlk_tile *)(room + h_size(s));
    job.filters = job.data + most_steps(s) / LINES * job.tile_steps;
    TLK_FN(tlk_tiles_begin)();
    for (int64_t t = t_begin, steps; t < t_end; t += steps) {
        steps = MIN(most_steps(s), t_end - t);
        for (int64_t i = 0; i < steps; i += tile_steps(s)) {
            const int count = (int)MIN(tile_steps(s), steps - i);
            (is_last(s) ? TLK_ELEMENT_FN(tlk_depthwise_last) : TLK_ELEMENT_FN(tlk_depthwise_first))(
                &job.depthwise, x, data->length, data->pad_left, t + i, count, job.h);
            split_data(&job, i, count);
        }
        struct sums sums[2];
        int next = 0;
        sums[0].rows = sums[1].rows = 0;
        for (int64_t f = 0; f < s->filters; f += 2 * LINES)
            multiply(&job, f, t, steps, sums, &next);
        if (is_last(s))
            put(&job.output, &sums[1 - next]);
    }
    TLK_FN(tlk_tiles_end)();
}

const tlk_sepconv_kernel tlk_sepconv_f32_amx = {packed_size, workspace_size, pack, run, tile_steps};
