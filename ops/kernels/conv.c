/* Convolution as a matrix product that packs nothing but its edges: filters [F][kh][kw][c] times views of the data, one
 * row of the register block's b for each (kh, kw, c).
 *
 * The outputs of a group are cut into tiles whose data, the window, stays in the second-level cache. Lanes are
 * neighbouring outputs. Where a row is no multiple of a vector, they run on over the gap between rows of the window
 * into the next row, and what falls into the gap is left out on the way to y. */
#include "kernels/conv.h"

#include "kernels/block.h"
#include "kernels/check.h"
#include "kernels/isa.h"
#include "kernels/output.h"
#include "kernels/plane.h"
#include "kernels/rowblocks.h"
#include "kernels/window.h"

#define WINDOW      ((int64_t)(262144 / sizeof(real))) /* elements, roughly; of one channel, an eighth */
#define COLUMNS     (16 * TLK_NR)                      /* outputs of a longer row are cut into tiles, of half as many */
#define LEAST_LANES (4 * TLK_NR)                       /* of a tile, for which the filters are read once */
#define PIECES      8                                  /* of one sample, at least, if there are filters enough */
/* Filters, and elements from channel to channel, from which on it pays to copy what could be read where it is: two
 * pages. */
#define PANELS   112
#define FAR_ROWS ((int64_t)(8192 / sizeof(real)))

/* ---- weights: biases, then for each group its blocks of filters, each [kh][kw][c][rows] ---- */

static size_t depth_of(const tlk_conv *conv)
{
    return tlk_size_mul(tlk_size_mul((size_t)conv->kernel[0], (size_t)conv->kernel[1]), (size_t)conv->channels);
}

static size_t padded_filters(const tlk_conv *conv)
{
    return tlk_size_round_up(tlk_size_mul((size_t)conv->groups, (size_t)conv->filters), VW);
}

static size_t packed_size(const tlk_conv *conv)
{
    const size_t elements = tlk_size_add(tlk_size_mul(tlk_size_add(depth_of(conv), 1), padded_filters(conv)), 2 * VW);
    const size_t bytes = tlk_size_mul(elements, sizeof(real));
    return bytes > INT64_MAX || !tlk_conv_reach_fits(conv) ? SIZE_MAX : bytes;
}

/* One or two filters are computed one by one, on wide blocks: depthwise convolutions above all. */
static int64_t block_count(const tlk_conv *conv)
{
    return conv->filters <= 2 ? conv->filters : rowblock_count(conv->filters);
}

static int64_t block_begin(const tlk_conv *conv, int64_t block)
{
    return conv->filters <= 2 ? block : rowblock_begin(conv->filters, block);
}

static void pack(const tlk_conv *conv, const void *weights, const void *bias, void *packed)
{
    real *out = packed;
    for (int64_t f = 0; f < (int64_t)padded_filters(conv); f++)
        *out++ = bias != NULL && f < conv->groups * conv->filters ? ((const real *)bias)[f] : 0;
    const int64_t taps = conv->kernel[0] * conv->kernel[1];
    const int64_t row = conv->channels * taps;
    const real *group = weights;
    for (int64_t g = 0; g < conv->groups; g++, group += conv->filters * row)
        for (int64_t b = 0; b < block_count(conv); b++) {
            const int64_t f = block_begin(conv, b), filters = block_begin(conv, b + 1) - f;
            for (int64_t k = 0; k < taps; k++, out += conv->channels * filters)
                pack_lines(group + f * row + k, row, taps, filters, filters, conv->channels, out);
        }
    for (int i = 0; i < VW; i++) /* what tlk_block_few_columns reads beyond the last block */
        *out++ = 0;
}

/* ---- tiles ---- */

/* Runs of b for the register block: each tap one of `channels` rows; of one channel, each row of taps if it can be. */
struct runs {
    int64_t count, depth, step;
    int64_t *offsets;
};

struct job {
    const tlk_conv *conv;
    tlk_conv_data data;
    int64_t threads;
    int64_t rows, columns; /* of a tile, at most */
    int64_t down, across;  /* tiles, as equal as can be */
    int64_t lanes;         /* of whose multiples are columns, but for the last tile */
    int64_t chunks;        /* that the blocks of filters are cut into */
    int64_t strips;        /* in which VW channels are computed together, or 0 */
    int64_t near;          /* strips of the same channels that come one after the other */
    window window;         /* of one tile */
    bool panels;           /* the window of single elements is [panel][channel][TLK_NR], as the product likes it best;
                            * less code, less speed where there are no TLK_PLANES */
    real *elements;        /* its memory */
    real padding;
    struct runs in_window, directly; /* directly: of x itself, if strides are 1 */
    const real *biases, *weights;    /* no weights: pooling, from the same bias for all */
    tlk_block_function *multiply;
    tlk_output output;
};

static bool window_fits(const tlk_conv *conv, int64_t rows, int64_t columns)
{
    const size_t size = window_size(conv, rows, columns);
    return size <= (size_t)WINDOW && size <= tlk_size_mul((size_t)WINDOW / 8, (size_t)conv->channels);
}

static void choose_tiles(struct job *job)
{
    const tlk_conv *conv = job->conv;
    const int64_t out[2] = {MAX(job->data.out_size[0], 1), MAX(job->data.out_size[1], 1)};
    job->columns = out[1] <= COLUMNS ? out[1] : COLUMNS / 2;
    while (job->columns > TLK_NR && !window_fits(conv, 1, job->columns))
        job->columns = (job->columns / 2 + TLK_NR - 1) / TLK_NR * TLK_NR;
    const int64_t least = MIN(out[0], (LEAST_LANES + job->columns - 1) / job->columns);
    const int64_t rows = window_most_rows(conv, least, out[0], job->columns, window_fits);
    job->down = (out[0] + rows - 1) / rows;
    job->across = (out[1] + job->columns - 1) / job->columns;
    /* Threads share the tiles evenly. */
    job->lanes = out[1] >= 8 * TLK_NR * job->threads ? TLK_NR : VW;
    const int64_t units = (out[1] + job->lanes - 1) / job->lanes;
    if (conv->groups == 1) {
        int64_t *count = job->across > 1 ? &job->across : &job->down;
        *count = (*count + job->threads - 1) / job->threads * job->threads;
    }
    job->down = MIN(job->down, out[0]);
    job->across = MIN(job->across, units);
    job->rows = (out[0] + job->down - 1) / job->down;
    job->columns = MIN(out[1], (units + job->across - 1) / job->across * job->lanes);
    const int64_t tiles = conv->groups * job->down * job->across;
    job->chunks = tiles >= PIECES ? 1 : MIN((PIECES + tiles - 1) / tiles, (block_count(conv) + 1) / 2);
    job->window = window_of(conv, job->rows, job->columns);
}

#if TLK_PLANES
/* Threads cut large planes where a convolution of single elements behind this one cuts them, others between channels.
 */
static void choose_strips(struct job *job)
{
    const int64_t rows = job->data.out_size[0];
    job->strips = TLK_FN(tlk_planes_strips)(job->conv, &job->data);
    job->near = job->strips;
    const int64_t each = (job->strips + job->threads - 1) / job->threads;
    if (each * job->threads > rows || tlk_conv_shared_by_filters(job->conv, &job->data))
        return;
    job->near = each;
    job->strips = each * job->threads;
}
#endif

static struct job job_of(const tlk_conv *conv, const tlk_conv_data *data)
{
    struct job job = {.conv = conv, .data = *data, .threads = MAX(data->threads, 1)};
    const bool single = window_flatten(conv, &job.data);
    choose_tiles(&job);
    job.panels = TLK_PLANES && single && job.across > 1 && conv->filters >= PANELS && job.data.size[1] > FAR_ROWS;
#if TLK_PLANES
    choose_strips(&job);
#endif
    return job;
}

static size_t workspace_size(const tlk_conv *conv, const tlk_conv_data *data)
{
    const struct job job = job_of(conv, data);
#if TLK_PLANES
    if (job.strips > 0)
        return TLK_FN(tlk_planes_size)(conv, &job.data, job.strips) + 64;
#endif
    const size_t size = window_size(conv, job.rows, job.columns);
    const size_t gaps = tlk_size_mul((size_t)conv->channels, (size_t)WINDOW_GAP);
    const size_t elements = tlk_size_add(tlk_size_add(size, gaps), VW);
    const size_t offsets = tlk_size_mul(depth_of(conv), 2 * sizeof(int64_t));
    const size_t bytes = tlk_size_add(tlk_size_add(tlk_size_mul(elements, sizeof(real)), offsets), 128);
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

static int64_t pieces(const tlk_conv *conv, const tlk_conv_data *data)
{
    if (data->out_size[0] == 0 || data->out_size[1] == 0)
        return 0;
    const struct job job = job_of(conv, data);
    if (job.strips > 0)
        return (conv->groups + VW - 1) / VW * job.strips;
    return conv->groups * job.down * job.across * job.chunks;
}

static void make_runs(const struct job *job, const window *w, int64_t channel, int64_t *offsets, struct runs *runs)
{
    const tlk_conv *conv = job->conv;
    const bool by_rows = conv->channels == 1 && (conv->stride[1] == 1 || !w->axis[1].shared);
    const int64_t together = by_rows ? conv->kernel[1] : 1;
    runs->count = 0;
    runs->offsets = offsets;
    for (int64_t kh = 0; kh < conv->kernel[0]; kh++)
        for (int64_t kw = 0; kw < conv->kernel[1]; kw += together)
            offsets[runs->count++] = window_offset(conv, w, kh, kw);
    runs->depth = by_rows ? together : conv->channels;
    runs->step = by_rows && together > 1 ? window_offset(conv, w, 0, 1) - window_offset(conv, w, 0, 0) : channel;
}

static void prepare(struct job *job, const void *packed)
{
    const tlk_conv *conv = job->conv;
    static const real lowest = -(real)INFINITY;
    static const real zero = 0;
    job->padding = conv->kind == TLK_CONV_MAXIMUM ? lowest : zero;
    job->biases = packed;
    job->multiply = TLK_REAL_FN(tlk_block_by_rows);
    if (conv->kind == TLK_CONV_PRODUCTS) {
        job->weights = job->biases + padded_filters(conv);
    } else {
        job->biases = conv->kind == TLK_CONV_MAXIMUM ? &lowest : &zero;
        job->multiply = conv->kind == TLK_CONV_MAXIMUM ? TLK_REAL_FN(tlk_block_maximum) : TLK_REAL_FN(tlk_block_sum);
    }
    job->output =
        output_rows(job->data.y, job->data.out_size[0] * job->data.out_size[1], &conv->activation, job->data.steps);
}

static void prepare_window(struct job *job, void *workspace)
{
    int64_t *offsets = (int64_t *)(((uintptr_t)workspace + 63) / 64 * 64);
    make_runs(job, &job->window, job->panels ? TLK_NR : job->window.channel, offsets, &job->in_window);
    offsets += job->in_window.count;
    if (job->conv->stride[0] == 1 && job->conv->stride[1] == 1) {
        window whole = {.axis = {{.shared = true, .phases = 1}, {.shared = true, .phases = 1}}};
        whole.axis[1].steps = job->data.size[1];
        make_runs(job, &whole, job->data.size[0] * job->data.size[1], offsets, &job->directly);
        offsets += job->directly.count;
    }
    job->elements = (real *)(((uintptr_t)offsets + 63) / 64 * 64);
}

/* ---- run ---- */

/* Outputs whose data are at hand. */
struct tile {
    int64_t group, row, column; /* the first output */
    int64_t rows, columns;
    const real *data;
    int64_t pitch;
    int64_t lane_step; /* from lane to lane, where a block begins */
    const struct runs *runs;
};

/* Sums that follow each other in y, from `at` on. */
static TLK_NOINLINE void store_sums(const struct job *job, real *sums, int64_t filter, int rows, int64_t at, int lanes)
{
    const tlk_output *output = &job->output;
    if (!output->direct) {
        TLK_ELEMENT_FN(tlk_output_finish)(output, sums, TLK_NR, filter, at, rows, lanes);
        return;
    }
    const vec low = v_set1(output->low), high = v_set1(output->high);
    real *y = (real *)output->y + filter * output->row_step + at;
    for (int r = 0; r < rows; r++, y += output->row_step)
        for (int i = 0; i < lanes; i += VW)
            v_store_n(y + i, v_max(low, v_min(high, v_load(sums + r * TLK_NR + i))), MIN(VW, lanes - i));
}

/* Lanes of a block that begins at (row, column) of the tile: what lies between rows is left out, and what then follows
 * each other in y goes there together. */
static TLK_NOINLINE void store_across(const struct job *job, const struct tile *tile, real *sums, int64_t filter,
                                      int rows, int64_t row, int64_t column, int lanes)
{
    const int64_t width = job->data.out_size[1];
    if (column + lanes <= tile->columns) {
        store_sums(job, sums, filter, rows, (tile->row + row) * width + tile->column + column, lanes);
        return;
    }
    real part[TLK_MR * TLK_NR + VW];
    for (int lane = 0, next = 0; lane < lanes; lane = next, row++, column = 0) {
        const int64_t at = (tile->row + row) * width + tile->column + MIN(column, tile->columns);
        int count = 0;
        for (int r = 0; r < rows; r++) {
            int64_t from = column;
            count = 0;
            next = lane;
            do {
                const int piece = (int)MIN(lanes - next, tile->columns - from);
                for (int i = 0; i < piece; i += VW)
                    v_store(part + r * TLK_NR + count + i, v_load(sums + r * TLK_NR + next + i));
                count += MAX(piece, 0);
                next += (int)MIN(lanes - next, tile->pitch - from);
                from = 0;
            } while (next < lanes && tile->columns == width);
        }
        if (count > 0)
            store_sums(job, part, filter, rows, at, count);
    }
}

/* Filters times lanes, from `lane` of the strip on that begins with `row` of the tile. */
static void multiply(const struct job *job, const struct tile *tile, tlk_block *block, int64_t filter, int rows,
                     int64_t row, int64_t lane, int lanes)
{
    const int64_t width = job->data.out_size[1];
    const int64_t down = lane < tile->pitch ? 0 : lane / tile->pitch;
    const int64_t column = lane - down * tile->pitch;
    const bool gaps = tile->pitch > tile->columns || tile->columns < width; /* between rows */
    block->b = tile->data + row * tile->pitch + lane * tile->lane_step;
    if (column + lanes <= tile->columns || !gaps) {
        output_block(&job->output, job->multiply, block, filter,
                     (tile->row + row + down) * width + tile->column + column, rows, lanes);
        return;
    }
    real sums[TLK_MR * TLK_NR + VW] __attribute__((aligned(64)));
    block->y = sums;
    block->y_stride = TLK_NR;
    block->low = -(real)INFINITY;
    block->high = (real)INFINITY;
    job->multiply(block, rows, (lanes + VW - 1) / VW);
    block->y = NULL;
    store_across(job, tile, sums, filter, rows, row + down, column, lanes);
}

/* Too few lanes of a strip to fill a vector: there the lanes are filters. Blocks begin <= b < end. */
static void multiply_few(const struct job *job, const struct tile *tile, tlk_block *block, int64_t begin, int64_t end,
                         int64_t row, int lanes)
{
    const tlk_conv *conv = job->conv;
    const int64_t filter = tile->group * conv->filters, depth = (int64_t)depth_of(conv);
    const int most = tlk_few_blocks(lanes);
    block->b = tile->data + row * tile->pitch;
    for (int64_t b = begin; b < end; b += most) {
        const rowblock_few few =
            rowblock_gather(conv->filters, b, end, most, depth, job->weights + filter * depth, job->biases + filter);
        real sums[TLK_FEW_BLOCKS][TLK_MR * TLK_NR + VW];
        vec sum[16];
        TLK_REAL_FN(tlk_block_few_columns)(block, few.a, few.rows, few.bias, lanes, sum);
        for (int s = 0; s < lanes; s++)
            for (int i = 0; i < few.count; i++)
                for (int r = 0; r < few.rows[i]; r++)
                    sums[i][r * TLK_NR + s] = sum[s * most + i][r];
        for (int i = 0; i < few.count; i++)
            store_across(job, tile, sums[i], filter + few.begin[i], few.rows[i], row, 0, lanes);
    }
}

/* Lanes of the next block, of `left` ones. */
static int block_lanes(bool one_row, int64_t left)
{
    const int64_t vectors = (left + VW - 1) / VW;
    if (one_row && vectors >= TLK_WIDE / 2)
        return (int)MIN(left, vectors >= TLK_WIDE ? TLK_WIDE * VW : TLK_WIDE / 2 * VW);
    return (int)MIN(left, TLK_NR);
}

/* Blocks begin <= b < end of filters. */
static void run_tile(const struct job *job, const struct tile *tile, int64_t begin, int64_t end)
{
    const tlk_conv *conv = job->conv;
    const int64_t depth = (int64_t)depth_of(conv);
    const int64_t padded = (tile->columns + VW - 1) / VW * VW;
    const bool one_strip = tile->rows > 1 && tile->pitch <= padded;
    const int64_t lanes = one_strip ? (tile->rows - 1) * tile->pitch + tile->columns : tile->columns;
    const int64_t strips = one_strip ? 1 : tile->rows;
    tlk_block block = {.depth = tile->runs->depth,
                       .taps = tile->runs->count,
                       .offsets = tile->runs->offsets,
                       .b_step = tile->runs->step};
    if (TLK_MR <= VW && lanes <= TLK_FEW_STEPS && conv->filters > 2) {
        for (int64_t row = 0; row < strips; row++)
            multiply_few(job, tile, &block, begin, end, row, (int)lanes);
        return;
    }
    for (int64_t b = begin; b < end; b++) {
        const int rows = (int)(block_begin(conv, b + 1) - block_begin(conv, b));
        const int64_t filter = tile->group * conv->filters + block_begin(conv, b);
        block.a = job->weights == NULL ? NULL : job->weights + filter * depth;
        block.bias = job->weights == NULL ? job->biases : job->biases + filter;
        const int64_t next = tile->group * conv->filters + block_begin(conv, b + 1 < end ? b + 1 : begin);
        int64_t product = 0;
        for (int64_t row = 0; row < strips; row++)
            for (int64_t lane = 0; lane < lanes;) {
                const int count = block_lanes(rows == 1, lanes - lane);
                block.ahead = job->weights == NULL
                                  ? NULL
                                  : tlk_block_ahead(job->weights + next * depth, rows * depth, depth, product++);
                multiply(job, tile, &block, filter, rows, row, lane, count);
                lane += count;
            }
    }
}

/* How many columns of the tile can be read from x itself, in whole vectors if they are not all. */
static int64_t direct_columns(const struct job *job, const struct tile *tile)
{
    const tlk_conv *conv = job->conv;
    const tlk_conv_data *data = &job->data;
    int64_t begin[2];
    int64_t end[2];
    if (job->directly.count == 0 || job->panels)
        return 0;
    for (int i = 0; i < 2; i++) {
        begin[i] = (i == 0 ? tile->row : tile->column) - data->pad[i];
        end[i] = begin[i] + (i == 0 ? tile->rows : tile->columns) + (conv->kernel[i] - 1) * conv->dilation[i];
    }
    if (begin[0] < 0 || end[0] > data->size[0] || begin[1] < 0)
        return 0;
    /* The last vector may run on into the rows behind, as far as there are any. */
    const int64_t behind = (data->size[0] - end[0] + 1) * data->size[1] - end[1], beyond = VW - 1 - behind;
    if (end[1] <= data->size[1] && (beyond <= 0 || tile->columns % VW == 0))
        return tile->columns;
    const int64_t inside = tile->columns - MAX(0, end[1] - data->size[1]);
    return tile->rows > 1 || inside < VW ? 0 : inside / VW * VW;
}

/* Copies what the tile reads of x. */
static void fill(const struct job *job, const struct tile *tile, const real *x)
{
    const tlk_conv *conv = job->conv;
    if (!TLK_PLANES || !job->panels) {
        window_fill(conv, &job->window, &job->data, x, (const int64_t[2]){tile->row, tile->column},
                    (const int64_t[2]){job->rows - tile->rows, job->columns - tile->columns}, job->padding,
                    job->elements);
        return;
    }
    for (int64_t lane = 0; lane < tile->columns; lane += TLK_NR)
        pack_lines(x + tile->column + lane, 1, job->data.size[1], MIN(TLK_NR, tile->columns - lane), TLK_NR,
                   conv->channels, job->elements + lane * conv->channels);
}

/* Filters of one tile, from x itself as far as that goes. */
static void run_piece(const struct job *job, struct tile *tile, int64_t columns, int64_t begin, int64_t end,
                      bool filled)
{
    const tlk_conv *conv = job->conv;
    const tlk_conv_data *data = &job->data;
    const real *x = (const real *)data->x + tile->group * conv->channels * data->size[0] * data->size[1];
    for (; columns > 0; columns -= tile->columns, tile->column += tile->columns) {
        tile->columns = columns;
        tile->lane_step = job->panels ? conv->channels : 1;
        const int64_t direct = direct_columns(job, tile);
        if (direct > 0) {
            tile->columns = direct;
            tile->pitch = data->size[1];
            tile->data = (const void *)(x + (tile->row - data->pad[0]) * data->size[1] + tile->column - data->pad[1]);
            tile->runs = &job->directly;
        } else {
            tile->pitch = job->window.axis[1].steps;
            tile->data = job->elements;
            tile->runs = &job->in_window;
            if (!filled)
                fill(job, tile, x);
        }
        run_tile(job, tile, begin, end);
    }
}

#if TLK_PLANES
static void run_planes(const struct job *job, int64_t begin, int64_t end, void *workspace)
{
    const tlk_conv *conv = job->conv;
    const int64_t *out = job->data.out_size;
    const int64_t blocks = (conv->groups + VW - 1) / VW;
    const int axis = out[0] == 1; /* that is cut */
    tlk_planes planes = {.conv = conv,
                         .data = &job->data,
                         .output = &job->output,
                         .count = {out[0], out[1]},
                         .window = (real *)(((uintptr_t)workspace + 63) / 64 * 64)};
    for (int64_t piece = begin; piece < end; piece++) {
        const int64_t strip = piece / (blocks * job->near) * job->near + piece % job->near;
        planes.at[axis] = window_part(out[axis], job->strips, strip);
        planes.count[axis] = window_part(out[axis], job->strips, strip + 1) - planes.at[axis];
        planes.channel = piece / job->near % blocks * VW;
        planes.channels = (int)MIN(VW, conv->groups - planes.channel);
        if (job->weights != NULL) {
            planes.biases = job->biases + planes.channel;
            planes.weights = job->weights + planes.channel * (int64_t)depth_of(conv);
        }
        TLK_FN(tlk_planes_run)(&planes);
    }
}
#endif

static void run(const tlk_conv *conv, const void *packed, const tlk_conv_data *data, int64_t begin, int64_t end,
                void *workspace)
{
    struct job job = job_of(conv, data);
    prepare(&job, packed);
#if TLK_PLANES
    if (job.strips > 0) {
        run_planes(&job, begin, end, workspace);
        return;
    }
#endif
    prepare_window(&job, workspace);
    const int64_t blocks = block_count(conv);
    const int64_t units = (job.data.out_size[1] + job.lanes - 1) / job.lanes;
    int64_t chunk = begin % job.chunks;
    int64_t across = begin / job.chunks % job.across;
    int64_t down = begin / job.chunks / job.across % job.down;
    int64_t group = begin / job.chunks / job.across / job.down;
    for (int64_t piece = begin; piece < end; piece++) {
        struct tile tile = {.group = group,
                            .row = window_part(job.data.out_size[0], job.down, down),
                            .column = window_part(units, job.across, across) * job.lanes};
        const int64_t behind = window_part(units, job.across, across + 1) * job.lanes;
        tile.rows = window_part(job.data.out_size[0], job.down, down + 1) - tile.row;
        const int64_t first = chunk == 0 ? 0 : blocks * chunk / job.chunks;
        const int64_t last = chunk == job.chunks - 1 ? blocks : blocks * (chunk + 1) / job.chunks;
        run_piece(&job, &tile, MIN(behind, job.data.out_size[1]) - tile.column, first, last,
                  piece > begin && chunk > 0);
        if (++chunk < job.chunks)
            continue;
        chunk = 0;
        if (++across < job.across)
            continue;
        across = 0;
        if (++down < job.down)
            continue;
        down = 0;
        group++;
    }
}

const tlk_conv_kernel TLK_REAL_FN(tlk_conv) = {packed_size, workspace_size, pack, pieces, run};
