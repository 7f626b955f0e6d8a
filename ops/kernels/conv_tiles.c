/* Dense convolutions on AMX's tiles. The data of a tile of outputs is split into parts once, for all filters; 32
 * filters after the other are taken from what conv.c packs and split in each run.
 *
 * Mostly the data is the window (window.h), whose positions are left lines along the channels, [32 channels][position]:
 * 16 lines from any position on are a tile of AMX, so that every tap reads the same lines from its own offset on. Sums
 * are [output][filter] then, and turned on their way to y. Where single elements are multiplied, columns of x are right
 * lines instead, and nothing of it is turned.
 *
 * Sums go over the taps, and for each over the channels; they stop after some steps, whose weights stay in the
 * second-level cache while all outputs of the tile take them. */
#include "kernels/conv.h"

#include "kernels/check.h"
#include "kernels/isa.h"
#include "kernels/output.h"
#include "kernels/rowblocks.h"
#include "kernels/tiles.h"
#include "kernels/window.h"

#define LINES          TLK_TILE_LINES
#define BLOCK          (2 * LINES)  /* filters, and outputs, of a block of sums */
#define WINDOW_BYTES   (896 * 1024) /* in parts: with weights and sums, inside the second-level cache */
#define MOST_POSITIONS 2048
#define STEPS          24  /* of weights at a time */
#define BAND           128 /* positions that are copied from x, to be split */
#define BAND_CHANNEL   (BAND + 3 * VW)
#define STAGE_STEP     (BLOCK + VW) /* at most: a vector that begins in a row ends in it */

static const tlk_conv_kernel *vectors(void)
{
    return &TLK_REAL_FN(tlk_conv);
}

struct job {
    const tlk_conv *conv;
    tlk_conv_data data;
    bool single;                  /* elements of x: its columns are right lines */
    int64_t channel_steps, steps; /* of a tap; of all */
    int64_t rows, columns;        /* of a tile of outputs, at most */
    int64_t down, across;         /* tiles, as equal as can be */
    int64_t chunks;               /* that the filters are cut into */
    bool one_strip;               /* lanes run on from row to row of the window */
    window window;
    int64_t positions; /* of the window, with those written and read too far */
    const real *biases, *weights;
    tlk_output output;
    /* in the workspace */
    int64_t *offsets; /* of each step, in bytes */
    uint8_t *special; /* positions, or of single elements 16 columns */
    bool any_special;
    tlk_tile *lines;   /* window: [channel_steps][positions]; single elements: [column / 16][steps] */
    tlk_tile *filters; /* [2][STEPS] */
    real *sums;        /* [outputs / 32][32][32] */
    real *band;        /* [TLK_TILE_DEPTH][BAND_CHANNEL] */
};

/* ---- tiles of outputs ---- */

/* A tile's lanes are in one strip, or one for each row. */
static int64_t strips_of(const struct job *job, int64_t rows)
{
    return job->one_strip ? 1 : rows;
}

static int64_t lanes_of(const struct job *job, int64_t rows, int64_t columns)
{
    return job->one_strip ? (rows - 1) * job->window.axis[1].steps + columns : columns;
}

static bool fits(const tlk_conv *conv, int64_t rows, int64_t columns)
{
    const size_t line = (size_t)tlk_tile_steps(conv->channels) * TLK_LINE_BYTES;
    const size_t most = (size_t)conv->channels * MIN(MOST_POSITIONS, WINDOW_BYTES / line);
    return window_size(conv, rows, columns) <= most;
}

/* For which splitting the weights pays: measured. With one tap the data is split for that alone. */
static int64_t least_outputs(const tlk_conv *conv, bool single, bool image)
{
    if (!single)
        return 64;
    return image ? 128 : conv->channels < 512 ? 96 : 80;
}

/* Tiles pay where splitting the weights and the data costs less than the products save, and little of them is zeros. It
 * is a matter of the attributes, and of whether there are few outputs in all; never of what a piece has of them. A
 * strip of a signal has at least 96 (runtime/exec/strips.c), one of an image so many rows or columns. */
static bool pays(const tlk_conv *conv, const tlk_conv_data *data)
{
    tlk_conv_data flat = *data;
    const bool single = window_flatten(conv, &flat);
    const int64_t *out = data->out_size;
    const bool image = out[0] > 1 && out[1] > 1;
    const int64_t least = least_outputs(conv, single, image);
    const int64_t filters = (conv->filters + LINES - 1) / LINES * LINES;
    const double weights = (double)conv->channels * (double)conv->filters;
    const double share = weights / ((double)(tlk_tile_steps(conv->channels) * TLK_TILE_DEPTH) * (double)filters);
    if (conv->kind != TLK_CONV_PRODUCTS || data->by_vectors || share < (single ? 0.85 : 0.6) ||
        (single && (filters < 3 * LINES || (!image && weights < 65536))) || out[0] < 1 || out[1] < 1 ||
        out[0] < (least + out[1] - 1) / out[1])
        return false;
    const int64_t columns = MIN(2 * BLOCK, out[1]);
    return fits(conv, (2 * BLOCK + columns - 1) / columns, columns);
}

static void choose_tiles(struct job *job)
{
    const tlk_conv *conv = job->conv;
    const int64_t *out = job->data.out_size;
    job->columns = out[1];
    while (job->columns > BLOCK && !fits(conv, 1, job->columns))
        job->columns = (job->columns / 2 + LINES - 1) / LINES * LINES;
    const int64_t rows = window_most_rows(conv, 1, out[0], job->columns, fits);
    job->down = (out[0] + rows - 1) / rows;
    job->across = (out[1] + job->columns - 1) / job->columns;
    job->chunks = 1;
    /* Threads share the tiles evenly, or the filters, if these are even and splitting them for each costs more than the
     * data, or if neighbours are shared so. */
    const int64_t threads = MAX(job->data.threads, 1);
    const int64_t taps = conv->kernel[0] * conv->kernel[1];
    const int64_t share = (conv->filters + BLOCK * threads - 1) / (BLOCK * threads) * BLOCK;
    const bool few =
        job->single ? tlk_conv_shared_by_filters(conv, &job->data) : conv->filters > out[0] * out[1] / taps;
    if (conv->groups * job->down * job->across % threads != 0) {
        int64_t *count = job->across > 1 || out[0] < threads ? &job->across : &job->down;
        if (!few || share * threads > conv->filters + conv->filters / 8)
            *count = (*count + threads - 1) / threads * threads;
        else
            job->chunks = MIN(threads, (conv->filters + BLOCK - 1) / BLOCK);
    }
    const int64_t units = (out[1] + LINES - 1) / LINES;
    job->across = MIN(job->across, units);
    job->rows = (out[0] + job->down - 1) / job->down;
    job->columns = MIN(out[1], (units + job->across - 1) / job->across * LINES);
    job->window = window_of(conv, job->rows, job->columns);
    job->one_strip = true;
    job->one_strip = lanes_of(job, job->rows, job->columns) <= job->rows * ((job->columns + LINES - 1) / LINES * LINES);
    job->positions = (int64_t)window_size(conv, job->rows, job->columns) / conv->channels + LINES;
}

static struct job job_of(const tlk_conv *conv, const tlk_conv_data *data)
{
    struct job job = {.conv = conv, .data = *data};
    job.single = window_flatten(conv, &job.data);
    job.channel_steps = tlk_tile_steps(conv->channels);
    job.steps = conv->kernel[0] * conv->kernel[1] * job.channel_steps;
    choose_tiles(&job);
    return job;
}

static size_t packed_size(const tlk_conv *conv)
{
    return vectors()->packed_size(conv);
}

static void pack(const tlk_conv *conv, const void *weights, const void *bias, void *packed)
{
    vectors()->pack(conv, weights, bias, packed);
}

static int64_t pieces(const tlk_conv *conv, const tlk_conv_data *data)
{
    if (!pays(conv, data))
        return vectors()->pieces(conv, data);
    const struct job job = job_of(conv, data);
    return conv->groups * job.down * job.across * job.chunks;
}

/* Lays out the workspace from `at` on; returns where it ends. */
static uintptr_t place(struct job *job, uintptr_t at)
{
    const int64_t blocks = job->steps <= STEPS ? 2
                                               : strips_of(job, job->rows) *
                                                     ((lanes_of(job, job->rows, job->columns) + BLOCK - 1) / BLOCK);
    at = (at + 63) / 64 * 64;
    job->lines = (tlk_tile *)at;
    at += (uintptr_t)(job->positions * job->channel_steps * TLK_LINE_BYTES);
    job->filters = (tlk_tile *)at;
    at += 2 * STEPS * sizeof(tlk_tile);
    job->sums = (real *)at;
    at += (uintptr_t)blocks * BLOCK * BLOCK * sizeof(real);
    job->band = (real *)at;
    at += TLK_TILE_DEPTH * BAND_CHANNEL * sizeof(real);
    job->offsets = (int64_t *)at;
    at += (uintptr_t)job->steps * sizeof(int64_t);
    job->special = (uint8_t *)at;
    return at + (uintptr_t)job->positions;
}

static size_t workspace_size(const tlk_conv *conv, const tlk_conv_data *data)
{
    if (!pays(conv, data))
        return vectors()->workspace_size(conv, data);
    struct job job = job_of(conv, data);
    return (size_t)place(&job, 0) + 64;
}

/* ---- operands ---- */

struct tile {
    int64_t group, row, column; /* the first output */
    int64_t rows, columns;
};

static tlk_tile *window_lines(const struct job *job, int64_t position)
{
    return (tlk_tile *)(void *)((char *)job->lines + position * TLK_LINE_BYTES);
}

static void mark_special(struct job *job, int64_t position, int64_t count, unsigned special)
{
    job->any_special = job->any_special || special != 0;
    for (int64_t i = 0; special != 0 && i < count; i++)
        job->special[position + i] |= (uint8_t)(special >> i & 1);
}

/* Positions of the window that lie next to each other, of one plane: some of a row, or some rows. */
static void split_band(struct job *job, window_copy *copy, const real *x, int64_t to)
{
    const tlk_conv *conv = job->conv;
    const int64_t count = copy->rows.steps * copy->columns.steps;
    const int64_t area = job->data.size[0] * job->data.size[1];
    copy->pitch = copy->columns.steps;
    for (int64_t s = 0; s < job->channel_steps; s++) {
        const int64_t channels = MIN(TLK_TILE_DEPTH, conv->channels - s * TLK_TILE_DEPTH);
        for (int64_t c = 0; c < channels; c++)
            window_copy_plane(copy, x + (s * TLK_TILE_DEPTH + c) * area, 0, job->band + c * BAND_CHANNEL);
        for (int64_t i = 0; i < count; i += LINES) {
            const tlk_lines columns = {job->band + i, 1, BAND_CHANNEL, LINES * BAND_CHANNEL, channels};
            const unsigned special =
                TLK_FN(tlk_tiles_split)(&columns, true, LINES, window_lines(job, s * job->positions + to + i));
            mark_special(job, to + i, MIN(LINES, count - i), special);
        }
    }
}

/* Rows [0, end) of one plane of the window, from position `to` on. */
static void split_plane(struct job *job, const int64_t start[2], const real *x, int64_t to)
{
    const int64_t pitch = job->window.axis[1].steps, end = job->window.axis[0].steps;
    const int64_t *size = job->data.size, *stride = job->conv->stride;
    for (int64_t row = 0, rows; row < end; row += rows) {
        rows = MIN(end - row, MAX(1, BAND / pitch));
        for (int64_t column = 0, columns; column < pitch; column += columns) {
            columns = MIN(BAND, pitch - column);
            window_copy copy = {.rows = window_line_of(start[0] + row * stride[0], stride[0], rows, size[0]),
                                .columns = window_line_of(start[1] + column * stride[1], stride[1], columns, size[1]),
                                .width = size[1]};
            split_band(job, &copy, x, to + row * pitch + column);
        }
    }
}

static void split_window(struct job *job, const struct tile *tile, const real *x)
{
    const tlk_conv *conv = job->conv;
    const window *w = &job->window;
    for (int64_t p = 0; p < w->axis[0].phases; p++)
        for (int64_t q = 0; q < w->axis[1].phases; q++) {
            const int64_t start[2] = {
                tile->row * conv->stride[0] - job->data.pad[0] + p * w->axis[0].phase_step,
                tile->column * conv->stride[1] - job->data.pad[1] + q * w->axis[1].phase_step,
            };
            split_plane(job, start, x, (p * w->axis[1].phases + q) * w->plane);
        }
}

/* Few rows at a time: the processor fetches ahead what they read. */
static void split_columns(struct job *job, const struct tile *tile, const real *x)
{
    const int64_t area = job->data.size[1];
    for (int64_t s = 0; s < job->steps; s++, x += TLK_TILE_DEPTH * area)
        for (int64_t i = 0; i < tile->columns; i += LINES) {
            const tlk_lines columns = {x + tile->column + i, 1, area, LINES * area,
                                       MIN(TLK_TILE_DEPTH, job->conv->channels - s * TLK_TILE_DEPTH)};
            const unsigned special = TLK_FN(tlk_tiles_split)(&columns, false, (int)MIN(LINES, tile->columns - i),
                                                             job->lines + i / LINES * job->steps + s);
            mark_special(job, i, LINES, special);
        }
}

/* 16 filters of a group from `filter` on, as many as there are: channels of one tap, into [channel][16]. */
static void gather_filters(const struct job *job, const real *group, int64_t filter, int64_t k, int64_t channels,
                           real *panel)
{
    const int64_t filters = job->conv->filters;
    const int64_t depth = job->conv->channels * job->conv->kernel[0] * job->conv->kernel[1];
    const real *from[3] = {group, group, group}; /* of so many blocks; elements [begin, end) of a vector */
    int64_t rows[3] = {0}, begin[3] = {0}, end[3] = {0};
    int i = 0;
    for (int64_t block = filter / TLK_MR; i < 3 && block < rowblock_count(filters); block++) {
        const int64_t first = rowblock_begin(filters, block), next = rowblock_begin(filters, block + 1);
        if (next <= filter)
            continue;
        if (first >= filter + LINES)
            break;
        rows[i] = next - first;
        begin[i] = MAX(0, first - filter);
        end[i] = MIN(LINES, next - filter);
        from[i] = v_outside(group, first * depth + k * rows[i] - (first - filter));
        i++;
    }
    for (int64_t c = 0; c < channels; c++) {
        veci v = (veci)v_zero();
        TLK_UNROLL
        for (int b = 0; b < 3; b++)
            v |= (veci)v_load_range(v_outside(from[b], c * rows[b]), (int)begin[b], (int)end[b]);
        TLK_UNROLL
        for (int b = 0; b < 2; b++)
            __builtin_prefetch(v_outside(from[b], (c + 2 * TLK_TILE_DEPTH) * rows[b] + begin[b]));
        v_store(panel + c * LINES, (vec)v);
    }
}

/* `steps` steps of them from `step` on. */
static unsigned split_filters(const struct job *job, int64_t group, int64_t filter, int64_t step, int64_t steps,
                              tlk_tile *tiles)
{
    const tlk_conv *conv = job->conv;
    const real *weights = job->weights + group * conv->filters * conv->kernel[0] * conv->kernel[1] * conv->channels;
    unsigned special = 0;
    for (int64_t s = step; s < step + steps; s++) {
        real panel[TLK_TILE_DEPTH * LINES] __attribute__((aligned(64)));
        const int64_t tap = s / job->channel_steps, channel = s % job->channel_steps * TLK_TILE_DEPTH;
        const int64_t channels = MIN(TLK_TILE_DEPTH, conv->channels - channel);
        const tlk_lines lines = {panel, 1, LINES, LINES * LINES, channels};
        gather_filters(job, weights, filter, tap * conv->channels + channel, channels, panel);
        special |= TLK_FN(tlk_tiles_split)(&lines, job->single, LINES, tiles++);
    }
    return special;
}

/* ---- products ---- */

/* Sums of `filters` filters from `filter` of all groups on, for outputs from `lane` of a strip on that begins with
 * `row` of the tile. */
struct block {
    const struct job *job;
    const struct tile *tile;
    real *sums, *stage;
    int64_t filter, row, lane;
    int filters, lanes;
};

/* Filters from f on, as many as a vector has lanes, row by row to y. The last row first: what finishes sums goes over
 * whole vectors. */
static void put_rows(const struct block *block, int64_t step, int f)
{
    const struct job *job = block->job;
    const struct tile *tile = block->tile;
    const int64_t pitch = job->window.axis[1].steps;
    for (int64_t end = block->lane + block->lanes; end > block->lane;) {
        const int64_t row = (end - 1) / pitch, begin = MAX(row * pitch, block->lane);
        const int64_t count = MIN(end, row * pitch + tile->columns) - begin;
        const int64_t at = (tile->row + block->row + row) * job->data.out_size[1] + tile->column + begin - row * pitch;
        if (count > 0)
            output_sums(&job->output, block->stage + f * step + begin - block->lane, step, block->filter + f, at,
                        MIN(VW, block->filters - f), (int)count);
        end = begin;
    }
}

/* From [output][filter] to [filter][output] on the stage: a square in each quarter. Where there is but one row of
 * outputs, filters are left no gap in between: functions take them all at once. */
static void put_turned(const struct block *block, int quarter)
{
    const int64_t pitch = block->job->window.axis[1].steps;
    const int64_t step = block->lane % pitch + block->lanes <= pitch ? BLOCK : STAGE_STEP;
    const int f = quarter % 2 * VW, i = quarter / 2 * VW;
    if (f >= block->filters)
        return;
    if (i < block->lanes) {
        vec v[VW];
        TLK_UNROLL
        for (int k = 0; k < VW; k++)
            v[k] = v_load(block->sums + (i + k) * BLOCK + f);
        v_transpose(v);
        real *to = block->stage + f * step + i;
        TLK_UNROLL
        for (int k = 0; k < VW; k++, to += step)
            v_store(to, v[k]);
    }
    if (i > 0)
        put_rows(block, step, f);
}

static void put(const void *context, int quarter)
{
    const struct block *block = context;
    if (block->lanes == 0)
        return;
    if (!block->job->single) {
        put_turned(block, quarter);
        return;
    }
    const tlk_sums sums = {&block->job->output, block->sums, BLOCK, block->filter, block->tile->column + block->lane,
                           block->filters,      block->lanes};
    output_quarter(&sums, quarter);
}

/* Of 16 positions from `position` on, those whose taps read an infinity or NaN. */
static unsigned special_positions(const struct job *job, int64_t position)
{
    unsigned special = 0;
    for (int64_t s = 0; s < job->steps && job->any_special; s += job->channel_steps)
        for (int i = 0; i < LINES; i++)
            special |= (unsigned)job->special[position + job->offsets[s] / TLK_LINE_BYTES + i] << i;
    return special;
}

static bool has_special(const tlk_tile_block *block)
{
    return (block->special[0][0] | block->special[0][1] | block->special[1][0] | block->special[1][1]) != 0;
}

/* Up to 32 outputs from `position` on, where they are in the window. */
static void set_data(const struct job *job, int64_t position, int64_t lanes, int64_t step, tlk_tile_block *block)
{
    const int side = job->single ? 1 : 0;
    for (int i = 0; i < 2; i++, position += LINES) {
        const bool there = i * LINES < lanes;
        const tlk_tile *tiles =
            job->single ? job->lines + position / LINES * job->steps + step : window_lines(job, position);
        block->lines[side][i] = there ? tiles : NULL;
        block->special[side][i] = there ? special_positions(job, position) : 0;
    }
}

/* Up to 32 filters from f of a group on; returns how many. */
static int set_filters(const struct job *job, int64_t group, int64_t f, int64_t step, tlk_tile_block *block)
{
    const int side = job->single ? 0 : 1, filters = (int)MIN(BLOCK, job->conv->filters - f);
    for (int i = 0; i < 2 && i * LINES < filters; i++) {
        block->lines[side][i] = job->filters + i * STEPS;
        block->special[side][i] =
            split_filters(job, group, f + i * LINES, step, block->steps, job->filters + i * STEPS);
    }
    return filters;
}

/* One block of filters, with all outputs of the tile. */
static void run_block(const struct job *job, const struct tile *tile, int64_t f)
{
    const int64_t strips = strips_of(job, tile->rows), lanes = lanes_of(job, tile->rows, tile->columns);
    const int64_t blocks = (lanes + BLOCK - 1) / BLOCK; /* of a strip */
    real stage[BLOCK * STAGE_STEP] __attribute__((aligned(64)));
    tlk_tile_pending pending = {.sums = NULL};
    struct block next = {.job = job, .tile = tile, .stage = stage, .filter = tile->group * job->conv->filters + f};
    struct block last = {.lanes = 0}; /* whose sums go to y while the next one is multiplied */
    const real *biases = job->biases + next.filter;
    real bias_rows[BLOCK][LINES] __attribute__((aligned(64)));
    for (int i = 0; i < BLOCK; i++)
        v_store(bias_rows[i], v_set1(biases[MIN(i, job->conv->filters - f - 1)]));
    for (int64_t step = 0; step < job->steps; step += STEPS) {
        const bool begins = step == 0, ends = job->steps - step <= STEPS;
        tlk_tile_block block = {.steps = MIN(STEPS, job->steps - step),
                                .offsets = job->single ? NULL : job->offsets + step,
                                .start = job->single ? bias_rows[0] : biases,
                                .start_row = begins ? (job->single ? LINES : 0) : BLOCK,
                                .start_right = begins && job->single ? 0 : LINES,
                                .pending = &pending,
                                .meanwhile = put,
                                .context = &last};
        block.start_left = LINES * block.start_row;
        next.filters = set_filters(job, tile->group, f, step, &block);
        for (int64_t b = 0; b < strips * blocks; b++) {
            real before[BLOCK * BLOCK] __attribute__((aligned(64)));
            next.row = b / blocks;
            next.lane = b % blocks * BLOCK;
            next.lanes = (int)MIN(BLOCK, lanes - next.lane);
            next.sums = job->sums + (begins && ends ? b % 2 : b) * BLOCK * BLOCK;
            set_data(job, next.row * job->window.axis[1].steps + next.lane, next.lanes, step, &block);
            block.sums = next.sums;
            if (!begins) /* special sums start once more */
                block.start = has_special(&block) ? memcpy(before, next.sums, sizeof before) : next.sums;
            TLK_FN(tlk_tiles_multiply)(&block);
            if (ends)
                last = next;
        }
        TLK_FN(tlk_tiles_finish)(&pending);
    }
    for (int quarter = 0; quarter < 4; quarter++)
        put(&last, quarter);
}

/* ---- run ---- */

static void prepare(struct job *job, const void *packed, void *workspace)
{
    const tlk_conv *conv = job->conv;
    job->biases = packed;
    job->weights = job->biases + tlk_size_round_up((size_t)(conv->groups * conv->filters), VW);
    job->output =
        output_rows(job->data.y, job->data.out_size[0] * job->data.out_size[1], &conv->activation, job->data.steps);
    place(job, (uintptr_t)workspace);
    int64_t *offset = job->offsets;
    for (int64_t kh = 0; kh < conv->kernel[0]; kh++)
        for (int64_t kw = 0; kw < conv->kernel[1]; kw++)
            for (int64_t s = 0; s < job->channel_steps; s++)
                *offset++ = (s * job->positions + window_offset(conv, &job->window, kh, kw)) * TLK_LINE_BYTES;
}

static struct tile tile_of(const struct job *job, int64_t i)
{
    const int64_t *out = job->data.out_size;
    const int64_t units = (out[1] + LINES - 1) / LINES;
    const int64_t across = i % job->across, down = i / job->across % job->down;
    struct tile tile = {.group = i / job->across / job->down,
                        .row = window_part(out[0], job->down, down),
                        .column = window_part(units, job->across, across) * LINES};
    tile.rows = window_part(out[0], job->down, down + 1) - tile.row;
    tile.columns = MIN(out[1], window_part(units, job->across, across + 1) * LINES) - tile.column;
    return tile;
}

static void run(const tlk_conv *conv, const void *packed, const tlk_conv_data *data, int64_t begin, int64_t end,
                void *workspace)
{
    if (!pays(conv, data)) {
        vectors()->run(conv, packed, data, begin, end, workspace);
        return;
    }
    struct job job = job_of(conv, data);
    prepare(&job, packed, workspace);
    const int64_t blocks = (conv->filters + BLOCK - 1) / BLOCK;
    TLK_FN(tlk_tiles_begin)();
    for (int64_t piece = begin; piece < end; piece++) {
        const int64_t chunk = piece % job.chunks;
        const struct tile tile = tile_of(&job, piece / job.chunks);
        if (piece == begin || chunk == 0) {
            memset(job.special, 0, (size_t)job.positions);
            job.any_special = false;
            (job.single ? split_columns : split_window)(
                &job, &tile, (const real *)data->x + tile.group * conv->channels * data->size[0] * data->size[1]);
        }
        for (int64_t b = window_part(blocks, job.chunks, chunk); b < window_part(blocks, job.chunks, chunk + 1); b++)
            run_block(&job, &tile, b * BLOCK);
    }
    TLK_FN(tlk_tiles_end)();
}

const tlk_conv_kernel tlk_conv_f32_amx = {packed_size, workspace_size, pack, pieces, run};
