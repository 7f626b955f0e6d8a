/* The fused separable convolution with its product on AMX's tiles. The depthwise stage is sepconv.c's; what it leaves
 * is split into parts, for more steps than one tile of it has.
 *
 * A few weights are split when they are packed, and kept as sepconv.c packs them, too: short signals are faster there.
 * Many weights would take half as much memory again, and are split in each run, 32 filters after the other. */
#include "kernels/sepconv.h"

#include "kernels/check.h"
#include "kernels/depthwise.h"
#include "kernels/isa.h"
#include "kernels/output.h"
#include "kernels/rowblocks.h"
#include "kernels/tiles.h"

#define MIN(a, b)   ((a) < (b) ? (a) : (b))
#define LINES       TLK_TILE_LINES
#define BLOCK       (2 * LINES) /* steps, and filters, of a block of sums */
#define LEAST_DEPTH 32          /* for which tiles pay */
#define LEAST_LINES 64
#define FEW_WEIGHTS 32768
#define MOST_STEPS  512
#define SUMS_BYTES  (2 * BLOCK * BLOCK * sizeof(real))

static const tlk_sepconv_kernel *vectors(void)
{
    return &TLK_REAL_FN(tlk_sepconv);
}

/* Rows of h, each channel's vector whole in channels_last; SIZE_MAX if there are too many. */
static size_t depth_of(const tlk_sepconv *s)
{
    const size_t channels = is_last(s) ? tlk_size_round_up((size_t)s->channels, VW) : (size_t)s->channels;
    return tlk_size_mul(channels, (size_t)s->multiplier);
}

static size_t weights_of(const tlk_sepconv *s)
{
    return tlk_size_mul(tlk_size_mul((size_t)s->channels, (size_t)s->multiplier), (size_t)s->filters);
}

typedef enum form { VECTORS, BOTH, TILES } form;

static form form_of(const tlk_sepconv *s)
{
    if (weights_of(s) / (size_t)s->filters < LEAST_DEPTH || s->filters < LEAST_LINES)
        return VECTORS;
    return weights_of(s) <= FEW_WEIGHTS ? BOTH : TILES;
}

/* Steps of a signal for which tiles pay; a strip has at least 96 (runtime/exec/strips.c). Vectors go over weights that
 * lie along the depth a few steps at a time. */
static int64_t least_steps(const tlk_sepconv *s, form own)
{
    return own == TILES && !is_last(s) ? 16 : 64;
}

/* ---- packed weights ----
 * Depthwise and bias lie where sepconv.c has them. Behind them, of VECTORS and BOTH, the rest of what it packs; of
 * TILES the pointwise weights: [F][depth], or [F / 32][depth][32] in channels_last. Of BOTH then all filters in tiles,
 * and for each 16 of them the special ones. */

static size_t padded_filters(const tlk_sepconv *s)
{
    return tlk_size_round_up((size_t)s->filters, TLK_NR);
}

static size_t pointwise_at(const tlk_sepconv *s)
{
    return tlk_size_add(bias_at(s), padded_filters(s));
}

static int64_t filter_groups(const tlk_sepconv *s)
{
    return (s->filters + LINES - 1) / LINES;
}

static size_t pointwise_size(const tlk_sepconv *s)
{
    return tlk_size_mul(depth_of(s), is_last(s) ? padded_filters(s) : (size_t)s->filters);
}

static size_t tiles_size(const tlk_sepconv *s, int64_t groups)
{
    const size_t group = tlk_size_mul((size_t)tlk_tile_steps((int64_t)depth_of(s)), sizeof(tlk_tile));
    return tlk_size_mul(group, (size_t)groups);
}

static size_t packed_size(const tlk_sepconv *s)
{
    size_t bytes = vectors()->packed_size(s);
    if (form_of(s) == TILES)
        bytes = tlk_size_mul(tlk_size_add(pointwise_at(s), pointwise_size(s)), sizeof(real));
    if (form_of(s) == BOTH)
        bytes = tlk_size_add(tlk_size_add(bytes, 64), tlk_size_add(tiles_size(s, filter_groups(s)),
                                                                   (size_t)filter_groups(s) * sizeof(unsigned)));
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

/* Of BOTH. */
static tlk_tile *packed_tiles(const tlk_sepconv *s, const void *packed)
{
    return (tlk_tile *)(((uintptr_t)packed + vectors()->packed_size(s) + 63) / 64 * 64);
}

static unsigned *packed_special(const tlk_sepconv *s, const void *packed)
{
    return (unsigned *)((char *)packed_tiles(s, packed) + tiles_size(s, filter_groups(s)));
}

/* Row j of h is that of channel j % C and output j / C of it. */
static void pack_pointwise(const tlk_sepconv *s, const real *pointwise, real *packed)
{
    const int64_t depth = (int64_t)depth_of(s), rows = s->channels * s->multiplier;
    const int64_t channels = depth / s->multiplier;
    if (is_last(s) && channels > s->channels)
        memset(packed, 0, pointwise_size(s) * sizeof(real));
    for (int64_t m = 0; m < s->multiplier; m++)
        if (is_last(s))
            for (int64_t f = 0; f < s->filters; f += TLK_NR)
                pack_lines(pointwise + f * rows + m, rows, s->multiplier, MIN(TLK_NR, s->filters - f), TLK_NR,
                           s->channels, packed + f * depth + m * channels * TLK_NR);
        else
            for (int64_t f = 0; f < s->filters; f++)
                for (int64_t c = 0; c < s->channels; c++)
                    packed[f * depth + m * channels + c] = pointwise[f * rows + c * s->multiplier + m];
}

static void pack_tiles(const tlk_sepconv *s, const real *pointwise, tlk_tile *tiles, unsigned *special)
{
    const int64_t depth = (int64_t)depth_of(s), rows = s->channels * s->multiplier;
    const int64_t channels = depth / s->multiplier;
    for (int64_t f = 0; f < s->filters; f += LINES) {
        const int count = (int)MIN(LINES, s->filters - f);
        special[f / LINES] = 0;
        for (int64_t j = 0; j < depth; j += TLK_TILE_DEPTH) {
            real step[LINES][TLK_TILE_DEPTH] = {{0}};
            const tlk_lines lines = {step[0], TLK_TILE_DEPTH, 1, VW, TLK_TILE_DEPTH};
            for (int i = 0; i < count; i++)
                for (int k = 0; k < TLK_TILE_DEPTH && j + k < depth; k++) {
                    const int64_t c = (j + k) % channels;
                    if (c < s->channels)
                        step[i][k] = pointwise[(f + i) * rows + c * s->multiplier + (j + k) / channels];
                }
            special[f / LINES] |= TLK_FN(tlk_tiles_split)(&lines, !is_last(s), LINES, tiles++);
        }
    }
}

static void pack(const tlk_sepconv *s, const void *depthwise, const void *pointwise, const void *bias, void *packed)
{
    if (form_of(s) != TILES) {
        vectors()->pack(s, depthwise, pointwise, bias, packed);
        if (form_of(s) == BOTH)
            pack_tiles(s, pointwise, packed_tiles(s, packed), packed_special(s, packed));
        return;
    }
    real *weights = packed;
    real *biases = weights + bias_at(s);
    TLK_REAL_FN(tlk_depthwise_pack)(s, depthwise, weights);
    memset(biases, 0, padded_filters(s) * sizeof(real));
    if (bias != NULL)
        memcpy(biases, bias, (size_t)s->filters * sizeof(real));
    pack_pointwise(s, pointwise, weights + pointwise_at(s));
}

/* ---- workspace: what the depthwise stage needs; h; its parts; the parts of 32 filters; sums of two blocks ---- */

/* Steps whose products are made together, in whole tiles of lines: their parts stay in the second-level cache, and many
 * of them share what has to be split of the weights. */
static int64_t most_steps(const tlk_sepconv *s)
{
    const size_t bytes = form_of(s) == TILES ? 1280 * 1024 : 384 * 1024;
    const size_t line = tlk_size_mul((size_t)tlk_tile_steps((int64_t)depth_of(s)), sizeof(tlk_tile) / LINES);
    const int64_t steps = (int64_t)(bytes / line) / LINES * LINES;
    return steps < tile_steps(s) ? tile_steps(s) : MIN(steps, MOST_STEPS);
}

static int64_t piece_steps(const tlk_sepconv *s)
{
    return form_of(s) == TILES ? most_steps(s) : tile_steps(s);
}

/* Steps of each part, when parts of at most `most` are as equal as can be. */
static int64_t even_part(int64_t steps, int64_t most)
{
    const int64_t parts = (steps + most - 1) / most;
    return ((steps + parts - 1) / parts + LINES - 1) / LINES * LINES;
}

static size_t h_size(const tlk_sepconv *s)
{
    const size_t row_bytes = (size_t)(is_last(s) ? TLK_LAST_TILE + 1 : TLK_FIRST_TILE) * sizeof(real);
    return tlk_size_round_up(tlk_size_mul(depth_of(s), row_bytes), 64);
}

static size_t workspace_size(const tlk_sepconv *s)
{
    const size_t needed = vectors()->workspace_size(s);
    if (form_of(s) == VECTORS || depth_of(s) > INT64_MAX / 2)
        return needed;
    const size_t depthwise = tlk_size_round_up(TLK_REAL_FN(tlk_depthwise_workspace)(s), 64);
    const size_t bytes = tlk_size_add(tlk_size_add(depthwise, h_size(s)),
                                      tlk_size_add(tiles_size(s, most_steps(s) / LINES + 2), SUMS_BYTES + 64));
    return bytes > INT64_MAX || needed == SIZE_MAX ? SIZE_MAX : bytes > needed ? bytes : needed;
}

/* ---- products ---- */

struct job {
    const tlk_sepconv *s;
    const tlk_sepconv_data *data;
    const real *x;                  /* one sample */
    const real *biases, *pointwise; /* of TILES */
    const tlk_tile *packed;         /* of BOTH */
    const unsigned *packed_special;
    int64_t depth, tile_steps; /* of h, and of a line in tiles */
    tlk_depthwise depthwise;
    real *h;
    tlk_tile *lines, *filters; /* [line / 16][tile_steps] */
    unsigned special[MOST_STEPS / LINES];
    real *sums;    /* of two blocks */
    tlk_sums last; /* go to y while the next block is multiplied */
    tlk_tile_pending pending;
    tlk_output output;
};

/* h of steps from t on, no more than a tile has. */
static void fill_h(const struct job *job, int64_t t, int steps)
{
    (is_last(job->s) ? TLK_REAL_FN(tlk_depthwise_last) : TLK_REAL_FN(tlk_depthwise_first))(
        &job->depthwise, job->x, job->data->length, job->data->pad_left, t, steps, job->h);
}

/* h's steps into tiles from `line` on. */
static void split_h(struct job *job, int64_t line, int steps)
{
    for (int i = 0; i < steps; i += LINES) {
        tlk_tile *tiles = job->lines + (line + i) / LINES * job->tile_steps;
        const int count = MIN(LINES, steps - i);
        unsigned *special = &job->special[(line + i) / LINES];
        if (is_last(job->s)) {
            const tlk_lines lines = {job->h + i * VW, VW, 1, (TLK_LAST_TILE + 1) * VW, job->depth};
            *special = TLK_FN(tlk_tiles_split)(&lines, true, count, tiles);
        } else {
            const tlk_lines lines = {job->h + i / TLK_NR * TLK_NR * job->depth + i % TLK_NR, 1, TLK_NR, VW * TLK_NR,
                                     job->depth};
            *special = TLK_FN(tlk_tiles_split)(&lines, false, count, tiles);
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
        return TLK_FN(tlk_tiles_split)(&lines, false, LINES, tiles);
    }
    const tlk_lines lines = {job->pointwise + f * job->depth, job->depth, 1, VW, job->depth};
    return TLK_FN(tlk_tiles_split)(&lines, true, count, tiles);
}

/* Up to 32 filters from f on, of all steps whose lines are there. */
static void multiply(struct job *job, int64_t f, int64_t t, int64_t steps)
{
    const bool last = is_last(job->s);
    const int side = last ? 1 : 0; /* of the filters */
    const int filters = (int)MIN(BLOCK, job->s->filters - f);
    real start[BLOCK][LINES] __attribute__((aligned(64)));
    tlk_tile_block block = {.steps = job->tile_steps,
                            .start = last ? job->biases + f : start[0],
                            .start_row = last ? 0 : LINES,
                            .start_left = last ? 0 : LINES * LINES,
                            .start_right = last ? LINES : 0,
                            .pending = &job->pending,
                            .meanwhile = output_quarter,
                            .context = &job->last};
    for (int i = 0; i < 2 && i * LINES < filters; i++) {
        const int64_t group = f / LINES + i;
        if (job->packed != NULL) {
            block.lines[side][i] = job->packed + group * job->tile_steps;
            block.special[side][i] = job->packed_special[group];
            continue;
        }
        tlk_tile *tiles = job->filters + i * job->tile_steps;
        block.special[side][i] = split_filters(job, group * LINES, tiles);
        block.lines[side][i] = tiles;
    }
    for (int64_t i = 0; i < BLOCK && !last; i++)
        v_store(start[i], v_set1(job->biases[f + MIN(i, filters - 1)]));
    for (int64_t step = 0; step < steps; step += BLOCK) {
        const int count = (int)MIN(BLOCK, steps - step);
        const tlk_sums next = {.output = &job->output,
                               .at = job->sums + (job->last.at == job->sums ? BLOCK * BLOCK : 0),
                               .step = BLOCK,
                               .row = last ? t + step : f,
                               .lane = last ? f : t + step,
                               .rows = last ? count : filters,
                               .lanes = last ? filters : count};
        for (int i = 0; i < 2; i++) {
            const int64_t line = step / LINES + i;
            const bool there = count > i * LINES;
            block.lines[1 - side][i] = there ? job->lines + line * job->tile_steps : NULL;
            block.special[1 - side][i] = there ? job->special[line] : 0;
        }
        block.sums = next.at;
        TLK_FN(tlk_tiles_multiply)(&block);
        job->last = next;
    }
}

/* ---- few steps of many weights: vectors, in the order in which the weights are packed ---- */

static void few_last(const struct job *job, int64_t t, int steps)
{
    const int64_t filters = job->s->filters;
    for (int64_t f = 0; f < filters; f += TLK_NR)
        for (int step = 0; step < steps; step += TLK_MR) {
            tlk_block block = {.depth = job->depth,
                               .a = job->h + step * VW,
                               .a_stride = (TLK_LAST_TILE + 1) * VW,
                               .groups = 1,
                               .group_size = VW,
                               .b = job->pointwise + f * job->depth,
                               .bias = job->biases + f};
            output_block(&job->output, TLK_REAL_FN(tlk_block_by_lanes), &block, t + step, f, MIN(TLK_MR, steps - step),
                         (int)MIN(TLK_NR, filters - f));
        }
}

/* Rows of the product are steps, as it likes a few of them: h is turned. */
static void few_first(const struct job *job, int64_t t, int steps)
{
    const tlk_output *output = &job->output;
    real *rows = (real *)job->lines;
    tlk_step turned[TLK_MAX_STEPS];
    for (int i = 0; i < output->steps.count; i++) {
        turned[i] = output->steps.steps[i];
        turned[i].row_step = output->steps.steps[i].lane_step;
        turned[i].lane_step = output->steps.steps[i].row_step;
        if (tlk_step_has_operand(&turned[i]))
            turned[i].operand = (const real *)turned[i].operand + t * turned[i].row_step;
    }
    for (int step = 0; step < steps; step += TLK_FEW) {
        const int count = MIN(TLK_FEW, steps - step);
        for (int i = 0; i < count; i++)
            for (int64_t j = 0; j < job->depth; j++)
                rows[i * job->depth + j] =
                    job->h[((step + i) / TLK_NR * job->depth + j) * TLK_NR + (step + i) % TLK_NR];
        const tlk_gemm gemm = {.m = count,
                               .n = job->s->filters,
                               .depth = job->depth,
                               .c = output->y + t + step,
                               .c_row_step = 1,
                               .c_column_step = output->row_step,
                               .add = job->biases,
                               .add_column_step = 1,
                               .alpha = 1,
                               .beta = 1,
                               .activation = *output->activation,
                               .steps = {turned, output->steps.count}};
        TLK_REAL_FN(tlk_gemm).run_few(&gemm, rows, job->depth, job->pointwise, job->depth, 0, job->s->filters);
        for (int i = 0; i < output->steps.count; i++)
            if (tlk_step_has_operand(&turned[i]))
                turned[i].operand = (const real *)turned[i].operand + count * turned[i].row_step;
    }
}

/* ---- run ---- */

/* Steps of a signal that has fewer than a tile. */
static void run_few(const struct job *job, int64_t begin, int64_t end)
{
    fill_h(job, begin, (int)(end - begin));
    (is_last(job->s) ? few_last : few_first)(job, begin, (int)(end - begin));
}

static void run_tiles(struct job *job, int64_t begin, int64_t end)
{
    const int64_t together = even_part(end - begin, most_steps(job->s));
    TLK_FN(tlk_tiles_begin)();
    for (int64_t t = begin; t < end; t += together) {
        const int64_t steps = MIN(together, end - t), tile = even_part(steps, tile_steps(job->s));
        for (int64_t i = 0; i < steps; i += tile) {
            const int count = (int)MIN(tile, steps - i);
            fill_h(job, t + i, count);
            split_h(job, i, count);
        }
        for (int64_t f = 0; f < job->s->filters; f += BLOCK)
            multiply(job, f, t, steps);
    }
    TLK_FN(tlk_tiles_finish)(&job->pending);
    output_all(&job->last);
    TLK_FN(tlk_tiles_end)();
}

static void run(const tlk_sepconv *s, const void *packed, const tlk_sepconv_data *data, int64_t n, int64_t t_begin,
                int64_t t_end, void *workspace)
{
    const form own = form_of(s);
    const bool few = data->out_length < least_steps(s, own);
    if (own == VECTORS || (own == BOTH && few)) {
        vectors()->run(s, packed, data, n, t_begin, t_end, workspace);
        return;
    }
    char *room = (char *)(((uintptr_t)workspace + 63) / 64 * 64);
    const real *weights = packed;
    struct job job = {.s = s,
                      .data = data,
                      .x = (const real *)data->x + n * s->channels * data->length,
                      .biases = weights + bias_at(s),
                      .pointwise = weights + pointwise_at(s),
                      .depth = (int64_t)depth_of(s),
                      .tile_steps = tlk_tile_steps((int64_t)depth_of(s)),
                      .output = output_rows((real *)data->y + n * s->filters * data->out_length,
                                            is_last(s) ? s->filters : data->out_length, &s->activation, data->steps)};
    if (own == BOTH) {
        job.packed = packed_tiles(s, packed);
        job.packed_special = packed_special(s, packed);
    }
    TLK_REAL_FN(tlk_depthwise_prepare)(&job.depthwise, s, weights, room);
    room += tlk_size_round_up(TLK_REAL_FN(tlk_depthwise_workspace)(s), 64);
    job.h = (real *)room;
    job.lines = (tlk_tile *)(room + h_size(s));
    job.filters = job.lines + most_steps(s) / LINES * job.tile_steps;
    job.sums = (real *)(job.filters + 2 * job.tile_steps);
    if (few)
        run_few(&job, t_begin, t_end);
    else
        run_tiles(&job, t_begin, t_end);
}

const tlk_sepconv_kernel tlk_sepconv_f32_amx = {packed_size, workspace_size, pack, run, tile_steps, piece_steps};
