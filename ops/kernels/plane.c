/* Depthwise convolution, and pooling, with lanes of channels. */
#include "kernels/plane.h"

#include "kernels/check.h"
#include "kernels/isa.h"
#include "kernels/kernels.h"
#include "kernels/vmath.h"

#if TLK_PLANES

#define MIN(a, b)        ((a) < (b) ? (a) : (b))
#define MAX(a, b)        ((a) > (b) ? (a) : (b))
#define CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))

/* Vectors, roughly: for the second-level cache. The more rows at a time, the fewer are read twice. */
#define WINDOW (131072 / (VW * (int64_t)sizeof(real)))
#if defined TLK_ISA_AVX2
#define COLUMNS 8 /* outputs of a block, a register each */
#else
#define COLUMNS 16
#endif
#define MAX_SIDE_BY_SIDE 5

/* What `outputs` neighbouring ones of an axis read. */
static size_t reach(const tlk_conv *conv, int axis, int64_t outputs)
{
    return tlk_size_add(tlk_size_mul((size_t)(outputs - 1), (size_t)conv->stride[axis]),
                        tlk_size_mul((size_t)(conv->kernel[axis] - 1), (size_t)conv->dilation[axis]) + 1);
}

/* Outputs of a strip on each axis, at most. */
typedef struct extent {
    int64_t rows, columns;
} extent;

static extent extent_of(const tlk_conv_data *data, int64_t strips)
{
    const int64_t rows = data->out_size[0], columns = data->out_size[1];
    return rows == 1 ? (extent){1, (columns + strips - 1) / strips} : (extent){(rows + strips - 1) / strips, columns};
}

/* In vectors, with what the last blocks and squares have too many. */
static size_t window_vectors(const tlk_conv *conv, extent strip)
{
    return tlk_size_add(tlk_size_mul(reach(conv, 0, strip.rows), reach(conv, 1, strip.columns)),
                        tlk_size_add(tlk_size_mul(COLUMNS, (size_t)conv->stride[1]), VW));
}

static size_t sum_vectors(extent strip)
{
    return tlk_size_add(tlk_size_mul((size_t)strip.rows, (size_t)strip.columns), COLUMNS + VW);
}

size_t TLK_FN(tlk_planes_size)(const tlk_conv *conv, const tlk_conv_data *data, int64_t strips)
{
    const extent strip = extent_of(data, strips);
    const size_t taps = tlk_size_round_up(tlk_size_mul((size_t)conv->kernel[0], (size_t)conv->kernel[1]), VW);
    const size_t vectors = tlk_size_add(tlk_size_add(window_vectors(conv, strip), sum_vectors(strip)), taps);
    return tlk_size_mul(vectors, sizeof(vec));
}

/* Whether channels fill enough lanes. Products along one axis have no fast way beside: each channel costs as much as
 * some 30 vectors of outputs, before anything is multiplied. But where one port does all shuffles, few taps over long
 * rows cost less than two transposes. */
static bool has_lanes(const tlk_conv *conv, const tlk_conv_data *data)
{
    const int64_t lanes = (conv->groups + VW - 1) / VW * VW;
    const bool one_axis = conv->kind == TLK_CONV_PRODUCTS && data->out_size[0] == 1 && conv->kernel[0] == 1;
    if (one_axis && data->out_size[1] <= 16 * VW)
        return conv->groups * 2 >= lanes;
    return conv->groups * 4 >= lanes * 3 && (!one_axis || conv->kernel[1] > 6 || tlk_shuffles_apart());
}

int64_t TLK_FN(tlk_planes_strips)(const tlk_conv *conv, const tlk_conv_data *data)
{
    const int64_t rows = data->out_size[0], columns = data->out_size[1], most = rows > 1 ? rows : columns;
    if (conv->channels != 1 || conv->filters != 1 || rows < 1 || columns < 1 || !has_lanes(conv, data) ||
        conv->stride[0] > conv->kernel[0] || conv->stride[1] > conv->kernel[1])
        return 0;
    int64_t strips = 1;
    while (window_vectors(conv, extent_of(data, strips)) > WINDOW) {
        if (strips == most)
            return 0;
        strips = MIN(2 * strips, most);
    }
    return strips;
}

/* `size` neighbours of x of all channels, from place `first` on, of a line of `width`; those beyond it are left out.
 * Returns where there was a NaN, if anybody wants to know. */
static vec_mask fill_line(const tlk_planes *p, const real *x, int64_t first, int64_t size, int64_t width, real *out)
{
    const int64_t area = p->data->size[0] * p->data->size[1];
    const int64_t begin = CLAMP(first, 0, width);
    const int64_t end = CLAMP(first + size, begin, width);
    const bool maximum = p->conv->kind == TLK_CONV_MAXIMUM;
    const vec padding = v_set1(maximum ? -(real)INFINITY : 0);
    vec_mask nan = {0};
    for (int64_t i = 0; i < begin; i++)
        v_store(out + i * VW, padding);
    for (int64_t i = begin; i < end; i += VW) {
        const int n = (int)MIN(VW, end - i);
        const real *from = x + i - first;
        vec square[VW];
        TLK_UNROLL
        for (int c = 0; c < VW; c++) {
            square[c] = n == VW ? v_load(from) : v_load_n(from, n);
            from += c + 1 < p->channels ? area : 0;
        }
        TLK_UNROLL
        for (int c = 0; c < VW && maximum; c++)
            nan |= square[c] != square[c];
        v_transpose(square);
        TLK_UNROLL
        for (int j = 0; j < VW; j++)
            v_store(out + (i + j) * VW, square[j]);
    }
    for (int64_t i = end; i < width; i++)
        v_store(out + i * VW, padding);
    return nan;
}

/* Rows without padding, as wide as those of x, are one line. */
static bool fill(const tlk_planes *p, int64_t height, int64_t width)
{
    const tlk_conv_data *data = p->data;
    const real *x = (const real *)data->x + p->channel * data->size[0] * data->size[1];
    const int64_t first = data->pad[1] - p->at[1] * p->conv->stride[1];
    const bool joined = first == 0 && width == data->size[1];
    vec_mask nan = {0};
    for (int64_t r = 0, rows = 1; r < height; r += rows) {
        const int64_t row = p->at[0] * p->conv->stride[0] - data->pad[0] + r;
        const bool inside = row >= 0 && row < data->size[0];
        rows = inside && joined ? MIN(height - r, data->size[0] - row) : 1;
        nan |= fill_line(p, inside ? x + row * data->size[1] : x, first, inside ? rows * data->size[1] : 0,
                         rows * width, p->window + r * width * VW);
    }
    return vf_any_nan((vec)nan);
}

/* [tap][channel] */
static void fill_weights(const tlk_planes *p, int64_t taps, real *weights)
{
    for (int64_t t = 0; t < taps && p->conv->kind == TLK_CONV_SUM; t++)
        v_store(weights + t * VW, v_set1(1));
    if (p->weights == NULL)
        return;
    for (int64_t t = 0; t < taps; t += VW) {
        vec square[VW];
        for (int c = 0; c < VW; c++)
            square[c] = v_load_n(p->weights + MIN(c, p->channels - 1) * taps + t, (int)MIN(VW, taps - t));
        v_transpose(square);
        for (int j = 0; j < VW; j++)
            v_store(weights + (t + j) * VW, square[j]);
    }
}

typedef void sum_function(const tlk_conv *conv, int64_t width, const real *weights, vec bias, const real *x, real *y);

/* `count` neighbouring outputs, a constant. */
TLK_INLINE void sum_any(int count, const tlk_conv *conv, int64_t width, const real *weights, vec bias, const real *x,
                        real *y)
{
    const int64_t column = conv->stride[1] * VW;
    vec sum[COLUMNS];
    TLK_UNROLL
    for (int i = 0; i < count; i++)
        sum[i] = bias;
    for (int64_t kh = 0; kh < conv->kernel[0]; kh++, x += conv->dilation[0] * width * VW) {
        const real *tap = x;
        for (int64_t kw = 0; kw < conv->kernel[1]; kw++, tap += conv->dilation[1] * VW, weights += VW) {
            const vec weight = v_load(weights);
            TLK_UNROLL
            for (int i = 0; i < count; i++)
                sum[i] = v_fma(weight, v_load(tap + i * column), sum[i]);
        }
    }
    TLK_UNROLL
    for (int i = 0; i < count; i++)
        v_store(y + i * VW, sum[i]);
}

/* The same for strides and dilations of 1 and so many taps in a row, a constant: data are loaded once for all. */
TLK_INLINE void sum_side_by_side(int taps, const tlk_conv *conv, int64_t width, const real *weights, vec bias,
                                 const real *x, real *y)
{
    vec sum[COLUMNS];
    TLK_UNROLL
    for (int i = 0; i < COLUMNS; i++)
        sum[i] = bias;
    for (int64_t kh = 0; kh < conv->kernel[0]; kh++, x += conv->dilation[0] * width * VW) {
        vec weight[MAX_SIDE_BY_SIDE];
        TLK_UNROLL
        for (int kw = 0; kw < taps; kw++, weights += VW)
            weight[kw] = v_load(weights);
        TLK_UNROLL
        for (int i = 0; i < COLUMNS + taps - 1; i++) {
            vec data = v_load(x + i * VW);
            TLK_IN_REGISTER(data);
            TLK_UNROLL
            for (int kw = taps - 1; kw >= 0; kw--)
                if (i >= kw && i - kw < COLUMNS)
                    sum[i - kw] = v_fma(weight[kw], data, sum[i - kw]);
        }
    }
    TLK_UNROLL
    for (int i = 0; i < COLUMNS; i++)
        v_store(y + i * VW, sum[i]);
}

/* The greatest of `count` neighbouring outputs. `nan`, a constant: there may be one. */
TLK_INLINE void most_any(int count, bool nan, const tlk_conv *conv, int64_t width, const real *x, real *y)
{
    const int64_t column = conv->stride[1] * VW;
    vec most[COLUMNS];
    vec_mask is_nan[COLUMNS] = {0};
    TLK_UNROLL
    for (int i = 0; i < count; i++)
        most[i] = v_set1(-(real)INFINITY);
    for (int64_t kh = 0; kh < conv->kernel[0]; kh++, x += conv->dilation[0] * width * VW) {
        const real *tap = x;
        for (int64_t kw = 0; kw < conv->kernel[1]; kw++, tap += conv->dilation[1] * VW)
            TLK_UNROLL
        for (int i = 0; i < count; i++) {
            const vec data = v_load(tap + i * column);
            most[i] = v_max(most[i], data);
            if (nan)
                is_nan[i] |= data != data;
        }
    }
    TLK_UNROLL
    for (int i = 0; i < count; i++)
        v_store(y + i * VW, nan ? v_select(is_nan[i], v_set1((real)NAN), most[i]) : most[i]);
}

#define INSTANCE(name, call)                                                                                         \
    static TLK_NOINLINE void name(const tlk_conv *conv, int64_t width, const real *weights, vec bias, const real *x, \
                                  real *y)                                                                           \
    {                                                                                                                \
        (void)weights, (void)bias;                                                                                   \
        call;                                                                                                        \
    }
INSTANCE(sum_3, sum_side_by_side(3, conv, width, weights, bias, x, y))
INSTANCE(sum_5, sum_side_by_side(5, conv, width, weights, bias, x, y))
INSTANCE(sum_many, sum_any(COLUMNS, conv, width, weights, bias, x, y))
INSTANCE(sum_half, sum_any(COLUMNS / 2, conv, width, weights, bias, x, y))
INSTANCE(sum_few, sum_any(COLUMNS / 4, conv, width, weights, bias, x, y))
INSTANCE(most_many, most_any(COLUMNS, false, conv, width, x, y))
INSTANCE(most_half, most_any(COLUMNS / 2, false, conv, width, x, y))
INSTANCE(most_few, most_any(COLUMNS / 4, false, conv, width, x, y))
INSTANCE(most_nan, most_any(COLUMNS / 4, true, conv, width, x, y))

/* Blocks run on over the end of a row into the next one's place, which comes later. */
static void sum_rows(const tlk_planes *p, bool nan, int64_t width, const real *weights, real *sums)
{
    const tlk_conv *conv = p->conv;
    const vec bias = p->weights == NULL ? v_zero() : v_load(p->biases);
    const int64_t columns = p->count[1];
    const bool maximum = conv->kind == TLK_CONV_MAXIMUM;
    sum_function *many = maximum ? most_many : sum_many, *half = maximum ? most_half : sum_half;
    sum_function *few = nan ? most_nan : maximum ? most_few : sum_few;
    if (!maximum && conv->stride[1] == 1 && conv->dilation[1] == 1 && (conv->kernel[1] == 3 || conv->kernel[1] == 5))
        many = conv->kernel[1] == 3 ? sum_3 : sum_5;
    for (int64_t r = 0; r < p->count[0]; r++)
        for (int64_t c = 0; c < columns;) {
            const real *x = p->window + (r * conv->stride[0] * width + c * conv->stride[1]) * VW;
            real *y = sums + (r * columns + c) * VW;
            const int64_t left = nan ? 1 : columns - c;
            const int count = left > COLUMNS * 3 / 4 ? COLUMNS : left > COLUMNS / 4 ? COLUMNS / 2 : COLUMNS / 4;
            (count == COLUMNS ? many : count == COLUMNS / 2 ? half : few)(conv, width, weights, bias, x, y);
            c += count;
        }
}

/* Sums of VW positions to all channels, or to a column of the stage. */
TLK_INLINE void turn(const real *sums, vec low, vec high, real *y, int64_t step)
{
    vec square[VW];
    TLK_UNROLL
    for (int j = 0; j < VW; j++)
        square[j] = v_load(sums + j * VW);
    v_transpose(square);
    TLK_UNROLL
    for (int c = 0; c < VW; c++, y += step)
        v_store(y, v_max(low, v_min(high, square[c])));
}

static void store(const tlk_planes *p, const real *sums)
{
    const tlk_output *output = p->output;
    const int64_t first = p->at[0] * p->data->out_size[1] + p->at[1];
    const int64_t count = p->count[0] * p->count[1];
    const vec low = v_set1(output->direct ? output->low : -(real)INFINITY);
    const vec high = v_set1(output->direct ? output->high : (real)INFINITY);
    for (int64_t i = 0; i < count; i += 2 * VW) {
        real stage[VW * 2 * VW] __attribute__((aligned(64)));
        const int n = (int)MIN(2 * VW, count - i);
        const bool whole = output->direct && n == 2 * VW && p->channels == VW;
        real *y = whole ? output->y + p->channel * output->row_step + first + i : stage;
        for (int half = 0; half < n; half += VW)
            turn(sums + (i + half) * VW, low, high, y + half, whole ? output->row_step : 2 * VW);
        if (!whole)
            TLK_ELEMENT_FN(tlk_output_finish)(output, stage, (int64_t)2 * VW, p->channel, first + i, p->channels, n);
    }
}

void TLK_FN(tlk_planes_run)(const tlk_planes *p)
{
    const tlk_conv *conv = p->conv;
    const extent strip = {p->count[0], p->count[1]};
    const int64_t height = (int64_t)reach(conv, 0, strip.rows);
    const int64_t width = (int64_t)reach(conv, 1, strip.columns);
    real *sums = p->window + window_vectors(conv, strip) * VW;
    real *weights = sums + sum_vectors(strip) * VW;
    const bool nan = fill(p, height, width);
    fill_weights(p, conv->kernel[0] * conv->kernel[1], weights);
    sum_rows(p, nan, width, weights, sums);
    store(p, sums);
}
#endif
