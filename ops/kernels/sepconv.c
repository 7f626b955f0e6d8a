/* The fused separable convolution: a tile of the depthwise stage, then the pointwise product over it. */
#include "kernels/sepconv.h"

#include "kernels/block.h"
#include "kernels/check.h"
#include "kernels/depthwise.h"
#include "kernels/isa.h"
#include "kernels/output.h"
#include "kernels/rowblocks.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
/* A sample's x and y of more elements come from beyond the second-level cache; no more weights than these stay in it
 * meanwhile. */
#define FAR_DATA     ((int64_t)(2097152 / sizeof(real)))
#define NEAR_WEIGHTS ((int64_t)(131072 / sizeof(real)))

/* ---- packed weights: depthwise, bias, pointwise, each at a whole vector ---- */

/* Elements before the pointwise weights; SIZE_MAX stays. */
static size_t pointwise_at(const tlk_sepconv *s)
{
    return tlk_size_add(bias_at(s), tlk_size_add(tlk_size_round_up((size_t)s->filters, TLK_NR), VW));
}

static size_t packed_size(const tlk_sepconv *s)
{
    const size_t depth = tlk_size_mul((size_t)s->channels, (size_t)s->multiplier);
    size_t filters = (size_t)s->filters;
    if (is_last(s))
        filters = tlk_size_round_up(filters, TLK_NR);
    const size_t pointwise = tlk_size_add(tlk_size_mul(depth, filters), VW);
    const size_t bytes = tlk_size_mul(tlk_size_add(pointwise_at(s), pointwise), sizeof(real));
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

/* `width` filters from f on, as [depth][stride], the rest zero; depth in the order of the depthwise stage. */
static void pack_filters(const tlk_sepconv *s, const real *pointwise, int64_t f, int64_t width, int64_t stride,
                         real *packed)
{
    const int64_t depth = s->channels * s->multiplier;
    for (int64_t m = 0; m < s->multiplier; m++, packed += s->channels * stride)
        pack_lines(pointwise + f * depth + m, depth, s->multiplier, width, stride, s->channels, packed);
}

static void pack(const tlk_sepconv *s, const void *depthwise, const void *pointwise, const void *bias, void *packed)
{
    real *weights = packed;
    real *biases = weights + bias_at(s);
    real *blocks = weights + pointwise_at(s);
    const int64_t depth = s->channels * s->multiplier;
    TLK_REAL_FN(tlk_depthwise_pack)(s, depthwise, weights);
    for (real *b = biases; b < blocks; b++)
        *b = bias != NULL && b - biases < s->filters ? ((const real *)bias)[b - biases] : 0;
    if (is_last(s)) {
        for (int64_t f = 0; f < s->filters; f += TLK_NR, blocks += depth * TLK_NR)
            pack_filters(s, pointwise, f, MIN(TLK_NR, s->filters - f), TLK_NR, blocks);
    } else {
        for (int64_t b = 0; b < rowblock_count(s->filters); b++) {
            const int64_t f = rowblock_begin(s->filters, b);
            const int64_t rows = rowblock_begin(s->filters, b + 1) - f;
            pack_filters(s, pointwise, f, rows, rows, blocks + f * depth);
        }
        blocks += s->filters * depth;
    }
    for (int i = 0; i < VW; i++) /* what tlk_block_few_columns reads beyond the last block */
        blocks[i] = 0;
}

/* ---- workspace: what the depthwise stage needs, then h ---- */

static size_t workspace_size(const tlk_sepconv *s)
{
    size_t channels = (size_t)s->channels;
    if (is_last(s))
        channels = tlk_size_round_up(channels, VW);
    const size_t rows = tlk_size_mul(channels, (size_t)s->multiplier);
    const size_t row_bytes = (size_t)(is_last(s) ? TLK_LAST_TILE + 1 : TLK_FIRST_TILE) * sizeof(real);
    const size_t bytes =
        tlk_size_add(TLK_REAL_FN(tlk_depthwise_workspace)(s), tlk_size_add(tlk_size_mul(rows, row_bytes), 128));
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

/* ---- run ---- */

struct job {
    const tlk_sepconv *s;
    const real *biases;
    const real *pointwise;
    const real *h;
    int64_t depth;
    tlk_output output; /* of this sample; rows are filters in channels_first, steps in channels_last */
    const real *x;     /* of this sample */
    const tlk_sepconv_data *data;
};

/* `rows` lanes of the sums of `steps` steps, sums `apart` apart, to y's rows from f on. */
static void store_few(const tlk_output *output, const vec *sum, int apart, int64_t f, int64_t t, int rows, int steps)
{
    real stage[TLK_MR * VW];
    if (output->direct) {
        real *y = output->y + f * output->row_step + t;
        for (int s = 0; s < steps; s++) {
            v_store(stage, v_max(v_set1(output->low), v_min(v_set1(output->high), sum[s * apart])));
            for (int r = 0; r < rows; r++)
                y[r * output->row_step + s] = stage[r];
        }
        return;
    }
    memset(stage, 0, sizeof stage);
    for (int s = 0; s < steps; s++)
        for (int r = 0; r < rows; r++)
            stage[r * VW + s] = sum[s * apart][r];
    TLK_ELEMENT_FN(tlk_output_finish)(output, stage, VW, f, t, rows, steps);
}

/* channels_first, the last few steps of a tile: whole vectors of steps would be mostly empty, so the lanes are filters,
 * those of tlk_few_blocks from b on. Steps at h's column on; t is the first one's place in y. */
static void few_steps(const struct job *job, int64_t b, const real *h, int64_t t, int steps)
{
    const tlk_block block = {.depth = job->depth, .b = h, TLK_BLOCK_PANEL};
    const int64_t filters = job->s->filters;
    const int most = tlk_few_blocks(steps);
    const rowblock_few few =
        rowblock_gather(filters, b, rowblock_count(filters), most, job->depth, job->pointwise, job->biases);
    vec sum[16];
    TLK_REAL_FN(tlk_block_few_columns)(&block, few.a, few.rows, few.bias, steps, sum);
    for (int i = 0; i < few.count; i++)
        store_few(&job->output, sum + i, most, few.begin[i], t, few.rows[i], steps);
}

static const real *column_of(const struct job *job, int step)
{
    return job->h + step / TLK_NR * TLK_NR * job->depth + step % TLK_NR;
}

/* One block of filters, all panels. Of the `beside` steps behind them each panel takes one with it. */
static void panels_first(const struct job *job, int64_t b, int64_t t, int whole, int beside)
{
    const int64_t filters = job->s->filters;
    const int64_t f = rowblock_begin(filters, b);
    const int64_t end = rowblock_begin(filters, b + 1);
    const int rows = (int)(end - f);
    const real *next = job->pointwise + end % filters * job->depth; /* behind the last one, for the next tile */
    tlk_block block = {
        .depth = job->depth, .a = job->pointwise + f * job->depth, .bias = job->biases + f, TLK_BLOCK_PANEL};
    for (int step = 0, last = whole; step < whole; step += TLK_NR, last++) {
        vec sum;
        block.b = job->h + step * job->depth;
        block.ahead = tlk_block_ahead(next, rows * job->depth, job->depth, step / TLK_NR);
        block.column = NULL;
        if (last < whole + beside) {
            block.column = column_of(job, last);
            block.column_sums = &sum;
        }
        output_block(&job->output, TLK_REAL_FN(tlk_block_by_rows), &block, f, t + step, rows,
                     MIN(TLK_NR, whole - step));
        if (block.column)
            store_few(&job->output, &sum, 1, f, t + last, rows, 1);
    }
}

/* The last few steps go with the whole panels, one with each; what is left of them comes behind, for a few blocks at a
 * time, whose weights are near then. */
static void pointwise_first(const struct job *job, int64_t t, int steps)
{
    const int64_t filters = job->s->filters;
    const int64_t blocks = rowblock_count(filters);
    const int tail = steps % VW;
    const int few = TLK_MR <= VW && tail <= TLK_FEW_STEPS ? tail : 0;
    const int whole = steps - few;
    const int beside = filters / blocks < TLK_COLUMN_ROWS ? 0 : MIN(few, whole / TLK_NR);
    const int rest = few - beside;
    const int together = tlk_few_blocks(rest);
    for (int64_t first = 0; first < blocks; first += together) {
        for (int64_t b = first; b < MIN(first + together, blocks); b++)
            panels_first(job, b, t, whole, beside);
        if (rest > 0)
            few_steps(job, first, column_of(job, steps - rest), t + steps - rest, rest);
    }
}

static bool is_far(const struct job *job)
{
    const tlk_sepconv *s = job->s;
    const int64_t x = s->channels * job->data->length, y = s->filters * job->data->out_length;
    return s->filters * job->depth <= NEAR_WEIGHTS && x + y > FAR_DATA;
}

/* What the i-th product of a tile asks for: of `steps` steps from t on, lines of y, then of x, as tlk_block_ahead. */
static const real *ahead_in_time(const struct job *job, int64_t t, int64_t steps, int64_t i)
{
    const tlk_sepconv *s = job->s;
    const int64_t size = s->filters * steps, each = tlk_block_asked(job->depth);
    if (each * i < size)
        return job->output.y + t * s->filters + each * i;
    const int64_t begin = MIN(t * s->stride, job->data->length), count = steps * MIN(s->stride, job->data->length);
    return tlk_block_ahead(job->x + begin * s->channels, count * s->channels, job->depth, i - (size + each - 1) / each);
}

static void pointwise_last(const struct job *job, int64_t t, int steps)
{
    const tlk_sepconv *s = job->s;
    const int64_t end = t + steps, next_steps = MIN(tile_steps(s), job->data->out_length - end);
    const bool in_time = next_steps > 0 && is_far(job);
    const int64_t groups = (s->channels + VW - 1) / VW;
    const int strips = (steps + TLK_MR - 1) / TLK_MR;
    for (int64_t f = 0; f < s->filters; f += TLK_NR) {
        const int64_t next = f + TLK_NR < s->filters ? f + TLK_NR : 0; /* behind the last one, for the next tile */
        for (int strip = 0; strip < strips; strip++) {
            const int step = steps * strip / strips;
            const int rows = steps * (strip + 1) / strips - step;
            const real *ahead =
                in_time ? ahead_in_time(job, end, next_steps, f / TLK_NR * strips + strip)
                        : tlk_block_ahead(job->pointwise + next * job->depth, TLK_NR * job->depth, job->depth, strip);
            tlk_block block = {.depth = job->depth,
                               .a = job->h + step * VW,
                               .a_stride = (TLK_LAST_TILE + 1) * VW,
                               .groups = groups,
                               .group_size = s->channels - (groups - 1) * VW,
                               .b = job->pointwise + f * job->depth,
                               .bias = job->biases + f,
                               .ahead = ahead};
            output_block(&job->output, TLK_REAL_FN(tlk_block_by_lanes), &block, t + step, f, rows,
                         (int)MIN(TLK_NR, s->filters - f));
        }
    }
}

static void run(const tlk_sepconv *s, const void *packed, const tlk_sepconv_data *data, int64_t n, int64_t t_begin,
                int64_t t_end, void *workspace)
{
    const uintptr_t scratch = ((uintptr_t)workspace + 63) / 64 * 64;
    real *h = (real *)((scratch + TLK_REAL_FN(tlk_depthwise_workspace)(s) + 63) / 64 * 64);
    const real *weights = packed;
    const int64_t y_begin = n * s->filters * data->out_length;
    const int64_t row_step = is_last(s) ? s->filters : data->out_length;
    struct job job = {.s = s,
                      .biases = weights + bias_at(s),
                      .pointwise = weights + pointwise_at(s),
                      .h = h,
                      .depth = s->channels * s->multiplier,
                      .output = output_rows((real *)data->y + y_begin, row_step, &s->activation, data->steps),
                      .x = (const real *)data->x + n * s->channels * data->length,
                      .data = data};
    tlk_depthwise depthwise = {0};
    TLK_REAL_FN(tlk_depthwise_prepare)(&depthwise, s, weights, (void *)scratch);
    for (int64_t t = t_begin; t < t_end; t += tile_steps(s)) {
        const int steps = (int)MIN(tile_steps(s), t_end - t);
        if (is_last(s)) {
            TLK_REAL_FN(tlk_depthwise_last)(&depthwise, job.x, data->length, data->pad_left, t, steps, h);
            pointwise_last(&job, t, steps);
        } else {
            TLK_REAL_FN(tlk_depthwise_first)(&depthwise, job.x, data->length, data->pad_left, t, steps, h);
            pointwise_first(&job, t, steps);
        }
    }
}

const tlk_sepconv_kernel TLK_REAL_FN(tlk_sepconv) = {packed_size, workspace_size, pack, run, tile_steps, tile_steps};
