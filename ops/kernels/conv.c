/* Dense convolution as a matrix product: filters [F][depth] times patches [depth][outputs], where depth runs over
 * (kh, kw, c) and the patches of one panel of outputs are packed just before they are used. */
#include "kernels/conv.h"

#include "kernels/block.h"
#include "kernels/check.h"
#include "kernels/isa.h"
#include "kernels/output.h"
#include "kernels/rowblocks.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Panels that are packed before the filters run over them, so that the filters are read less often. */
#define PANELS 4

static size_t depth_of(const tlk_conv *conv)
{
    return tlk_size_mul(tlk_size_mul((size_t)conv->kernel[0], (size_t)conv->kernel[1]), (size_t)conv->channels);
}

static size_t packed_size(const tlk_conv *conv)
{
    const size_t bias = tlk_size_round_up((size_t)conv->filters, VW);
    const size_t weights = tlk_size_mul(depth_of(conv), (size_t)conv->filters);
    const size_t bytes = tlk_size_mul(tlk_size_add(bias, weights), sizeof(real));
    return bytes > INT64_MAX || !tlk_conv_reach_fits(conv) ? SIZE_MAX : bytes;
}

static size_t workspace_size(const tlk_conv *conv)
{
    const size_t bytes = tlk_size_add(tlk_size_mul(depth_of(conv), PANELS * TLK_NR * sizeof(real)), 64);
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

static void pack(const tlk_conv *conv, const void *weights, const void *bias, void *packed)
{
    real *biases = packed;
    const int64_t padded = (conv->filters + VW - 1) / VW * VW;
    for (int64_t f = 0; f < padded; f++)
        biases[f] = bias != NULL && f < conv->filters ? e_get((const elem *)bias + f) : 0;
    real *out = biases + padded;
    const int64_t taps = conv->kernel[0] * conv->kernel[1];
    for (int64_t b = 0; b < rowblock_count(conv->filters); b++)
        for (int64_t k = 0; k < taps; k++)
            for (int64_t c = 0; c < conv->channels; c++)
                for (int64_t f = rowblock_begin(conv->filters, b); f < rowblock_begin(conv->filters, b + 1); f++)
                    *out++ = e_get((const elem *)weights + (f * conv->channels + c) * taps + k);
}

static int64_t pieces(const tlk_conv *conv, const tlk_conv_data *data)
{
    (void)conv;
    return (data->out_size[0] * data->out_size[1] + TLK_NR - 1) / TLK_NR;
}

/* Neighbouring outputs of one row, part of a panel, for one tap. */
struct run {
    int lane, lanes; /* in the panel */
    int64_t row;     /* of x; may lie outside */
    int64_t column;  /* of x, for the first lane; may lie outside */
    int64_t step;    /* from lane to lane */
};

/* Lanes of the run for one channel whose row of x begins at `x`; lanes outside begin <= lane < end are zero. */
static void copy_run(const struct run *run, const elem *x, int begin, int end, real *panel)
{
    real *out = panel + run->lane;
    if (run->step != 1) {
        for (int i = 0; i < run->lanes; i++)
            out[i] = i >= begin && i < end ? e_get(x + run->column + i * run->step) : 0;
        return;
    }
    for (int i = 0; i < run->lanes; i += VW) {
        const int n = MIN(VW, run->lanes - i);
        const int from = MIN(MAX(begin - i, 0), n);
        const int to = MIN(MAX(end - i, from), n);
        const elem *data = e_outside(x, run->column + i);
        const vec value = from == 0 && to == VW ? e_load(data) : from < to ? e_load_range(data, from, to) : v_zero();
        if (n == VW)
            v_store(out + i, value);
        else
            v_store_n(out + i, value, n);
    }
}

/* How many lanes lie before `position`, counted from column on. */
static int lanes_before(const struct run *run, int64_t position)
{
    const int64_t distance = position - run->column;
    return distance <= 0 ? 0 : (int)MIN((distance - 1) / run->step + 1, run->lanes);
}

/* One panel: [tap][channel][TLK_NR] of the outputs from `first` on. */
static void pack_patches(const tlk_conv *conv, const tlk_conv_data *data, int64_t first, int lanes, real *panel)
{
    const int64_t width = data->out_size[1];
    const int64_t plane = data->size[0] * data->size[1];
    for (int64_t kh = 0; kh < conv->kernel[0]; kh++)
        for (int64_t kw = 0; kw < conv->kernel[1]; kw++, panel += conv->channels * TLK_NR) {
            for (int lane = 0; lane < lanes;) {
                const int64_t oh = (first + lane) / width;
                const int64_t ow = (first + lane) % width;
                const struct run run = {.lane = lane,
                                        .lanes = (int)MIN(lanes - lane, width - ow),
                                        .row = oh * conv->stride[0] + kh * conv->dilation[0] - data->pad[0],
                                        .column = ow * conv->stride[1] + kw * conv->dilation[1] - data->pad[1],
                                        .step = conv->stride[1]};
                const bool inside = run.row >= 0 && run.row < data->size[0];
                const int begin = inside ? lanes_before(&run, 0) : 0;
                const int end = inside ? lanes_before(&run, data->size[1]) : 0;
                const elem *x = (const elem *)data->x + (inside ? run.row * data->size[1] : 0);
                for (int64_t c = 0; c < conv->channels; c++)
                    copy_run(&run, x + c * plane, begin, end, panel + c * TLK_NR);
                lane += run.lanes;
            }
            if (lanes < TLK_NR)
                for (int64_t c = 0; c < conv->channels; c++)
                    for (int lane = lanes; lane < TLK_NR; lane++)
                        panel[c * TLK_NR + lane] = 0;
        }
}

static void run(const tlk_conv *conv, const void *packed, const tlk_conv_data *data, int64_t begin, int64_t end,
                void *workspace)
{
    real *patches = (real *)(((uintptr_t)workspace + 63) / 64 * 64);
    const int64_t depth = (int64_t)depth_of(conv);
    const int64_t outputs = data->out_size[0] * data->out_size[1];
    const real *biases = packed;
    const real *weights = biases + (conv->filters + VW - 1) / VW * VW;
    tlk_output output = {.y = data->y,
                         .row_step = outputs,
                         .lane_step = 1,
                         .scale = 1,
                         .activation = &conv->activation,
                         .steps = data->steps};
    output_prepare(&output);
    for (int64_t piece = begin; piece < end; piece += PANELS) {
        const int64_t first = piece * TLK_NR;
        const int64_t last = MIN(MIN(piece + PANELS, end) * TLK_NR, outputs);
        for (int64_t o = first; o < last; o += TLK_NR)
            pack_patches(conv, data, o, (int)MIN(TLK_NR, last - o), patches + (o - first) * depth);
        for (int64_t b = 0; b < rowblock_count(conv->filters); b++) {
            const int64_t f = rowblock_begin(conv->filters, b);
            const int rows = (int)(rowblock_begin(conv->filters, b + 1) - f);
            for (int64_t o = first; o < last; o += TLK_NR) {
                tlk_block block = {
                    .depth = depth, .a = weights + f * depth, .b = patches + (o - first) * depth, .bias = biases + f};
                output_block(&output, TLK_REAL_FN(tlk_block_by_rows), &block, f, o, rows, (int)MIN(TLK_NR, last - o));
            }
        }
    }
}

const tlk_conv_kernel TLK_ELEMENT_FN(tlk_conv) = {packed_size, workspace_size, pack, pieces, run};
