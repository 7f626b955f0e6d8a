/* Depthwise convolution over one or two axes: each output row is a sum of shifted rows of its channel. */
#include "kernels/conv.h"

#include "kernels/check.h"
#include "kernels/isa.h"
#include "kernels/output.h"

#define MIN(a, b)  ((a) < (b) ? (a) : (b))
#define MAX(a, b)  ((a) > (b) ? (a) : (b))
#define VECTORS    8 /* of outputs of one row at a time */
#define MAX_WINDOW 16384

/* Elements of the padded piece of a row that VECTORS vectors read, in phases of the stride: [stride][length]; 0 if that
 * is too much to copy. */
static int64_t phase_length(const tlk_conv *conv)
{
    const size_t reach = tlk_size_mul((size_t)conv->kernel[1] - 1, (size_t)conv->dilation[1]);
    const size_t tile = tlk_size_mul(VECTORS * VW, (size_t)conv->stride[1]);
    if (tlk_size_add(reach, tile) > MAX_WINDOW)
        return 0;
    return ((int64_t)reach / conv->stride[1] + VECTORS * VW + VW) / VW * VW;
}

static size_t packed_size(const tlk_conv *conv)
{
    const size_t taps = tlk_size_mul((size_t)conv->kernel[0], (size_t)conv->kernel[1]);
    const size_t filters = tlk_size_mul((size_t)conv->channels, (size_t)conv->filters);
    const size_t bytes = tlk_size_mul(tlk_size_mul(filters, tlk_size_add(taps, 1)), sizeof(real));
    return bytes > INT64_MAX || !tlk_conv_reach_fits(conv) ? SIZE_MAX : bytes;
}

static size_t workspace_size(const tlk_conv *conv)
{
    return (size_t)(phase_length(conv) * conv->stride[1]) * sizeof(real) + 64;
}

/* For each filter the bias, then the taps. */
static void pack(const tlk_conv *conv, const void *weights, const void *bias, void *packed)
{
    const int64_t taps = conv->kernel[0] * conv->kernel[1];
    const elem *from = weights;
    real *out = packed;
    for (int64_t f = 0; f < conv->channels * conv->filters; f++) {
        *out++ = bias != NULL ? e_get((const elem *)bias + f) : 0;
        for (int64_t k = 0; k < taps; k++)
            *out++ = e_get(from++);
    }
}

static int64_t pieces(const tlk_conv *conv, const tlk_conv_data *data)
{
    (void)data;
    return conv->channels;
}

/* sum += taps of one row of the kernel; data is where the first tap of the first output lies. */
TLK_INLINE void add_row(int vectors, const tlk_conv *conv, const real *data, int64_t phases, const real *taps,
                        vec sum[VECTORS])
{
    for (int64_t kw = 0; kw < conv->kernel[1]; kw++) {
        const int64_t offset = kw * conv->dilation[1];
        const real *at = data + offset;
        if (conv->stride[1] > 1)
            at = data + offset % conv->stride[1] * phases + offset / conv->stride[1];
        const vec weight = v_set1(taps[kw]);
        TLK_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[v] = v_fma(v_load(at + v * VW), weight, sum[v]);
    }
}

/* The padded piece of a row that begins at column `start`, in phases. */
static void fill_window(const tlk_conv *conv, const elem *row, int64_t width, int64_t start, int64_t phases,
                        real *window)
{
    const int64_t stride = conv->stride[1];
    if (stride == 1) {
        for (int64_t i = 0; i < phases; i += VW) {
            const int64_t from = start + i;
            const int begin = (int)MIN(MAX(-from, 0), VW);
            const int end = (int)MIN(MAX(width - from, 0), VW);
            v_store(window + i, begin < end ? e_load_range(e_outside(row, from), begin, end) : v_zero());
        }
        return;
    }
    for (int64_t phase = 0; phase < stride; phase++)
        for (int64_t i = 0; i < phases; i++) {
            const int64_t from = start + i * stride + phase;
            window[phase * phases + i] = from >= 0 && from < width ? e_get(row + from) : 0;
        }
}

/* The same as add_row, lane by lane, where a kernel reaches too far for a window. */
static void add_row_gathered(const tlk_conv *conv, const elem *row, int64_t width, int64_t start, const real *taps,
                             vec sum[VECTORS])
{
    for (int64_t kw = 0; kw < conv->kernel[1]; kw++)
        for (int v = 0; v < VECTORS; v++) {
            real lanes[VW];
            for (int lane = 0; lane < VW; lane++) {
                const int64_t from = tlk_wrapping_at(start + kw * conv->dilation[1], v * VW + lane, conv->stride[1]);
                lanes[lane] = from >= 0 && from < width ? e_get(row + from) : 0;
            }
            sum[v] = v_fma(v_load(lanes), v_set1(taps[kw]), sum[v]);
        }
}

/* VECTORS vectors of output row oh from ow on, before scale and activation. */
static void sum_outputs(const tlk_conv *conv, const tlk_conv_data *data, const elem *x, const real *weights, int64_t oh,
                        int64_t ow, real *window, real *stage)
{
    const int64_t phases = phase_length(conv);
    const int64_t width = data->size[1];
    const int64_t start = ow * conv->stride[1] - data->pad[1];
    const int64_t reach = (conv->kernel[1] - 1) * conv->dilation[1];
    const bool direct = E_IS_REAL && conv->stride[1] == 1 && start >= 0 && start + reach + VECTORS * VW <= width;
    vec sum[VECTORS];
    TLK_UNROLL
    for (int v = 0; v < VECTORS; v++)
        sum[v] = v_set1(weights[0]);
    for (int64_t kh = 0; kh < conv->kernel[0]; kh++) {
        const int64_t row = oh * conv->stride[0] + kh * conv->dilation[0] - data->pad[0];
        const real *taps = weights + 1 + kh * conv->kernel[1];
        if (row < 0 || row >= data->size[0])
            continue;
        const elem *from = x + row * width;
        if (direct) {
            add_row(VECTORS, conv, (const void *)(from + start), phases, taps, sum);
        } else if (phases > 0) {
            fill_window(conv, from, width, start, phases, window);
            add_row(VECTORS, conv, window, phases, taps, sum);
        } else {
            add_row_gathered(conv, from, width, start, taps, sum);
        }
    }
    TLK_UNROLL
    for (int v = 0; v < VECTORS; v++)
        v_store(stage + v * VW, sum[v]);
}

static void run(const tlk_conv *conv, const void *packed, const tlk_conv_data *data, int64_t begin, int64_t end,
                void *workspace)
{
    real *window = (real *)(((uintptr_t)workspace + 63) / 64 * 64);
    const int64_t filter_size = 1 + conv->kernel[0] * conv->kernel[1];
    const int64_t height = data->out_size[0];
    const int64_t width = data->out_size[1];
    tlk_output output = {.y = data->y,
                         .row_step = height * width,
                         .lane_step = 1,
                         .scale = 1,
                         .activation = &conv->activation,
                         .steps = data->steps};
    output_prepare(&output);
    for (int64_t f = begin * conv->filters; f < end * conv->filters; f++) {
        const elem *x = (const elem *)data->x + f / conv->filters * data->size[0] * data->size[1];
        for (int64_t oh = 0; oh < height; oh++)
            for (int64_t ow = 0; ow < width; ow += VECTORS * VW) {
                real stage[VECTORS * VW] __attribute__((aligned(64)));
                sum_outputs(conv, data, x, (const real *)packed + f * filter_size, oh, ow, window, stage);
                output_finish(&output, stage, VECTORS * VW, f, oh * width + ow, 1, (int)MIN(VECTORS * VW, width - ow));
            }
    }
}

const tlk_conv_kernel TLK_ELEMENT_FN(tlk_conv_depthwise) = {packed_size, workspace_size, pack, pieces, run};
