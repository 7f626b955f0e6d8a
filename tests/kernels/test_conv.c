/* Convolutions over one and two axes, dense, in groups and depthwise, against naive ones in double. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/run.h"
#include "element.h"
#include "guard.h"
#include "kernels/kernels.h"

typedef struct problem {
    bool bias;
    tlk_conv conv;
    int steps; /* behind the activation: the first ones of times what the gate has, tanh */
    int64_t size[2], pad[2], out_size[2];
} problem;

typedef struct buffers {
    guarded x, weights, bias, gate, y;
} buffers;

/* Of input channel c of all groups, weights row `row`; pooled without weights. */
static double naive_sum(const problem *p, const buffers *b, int64_t c, int64_t row, int64_t oh, int64_t ow,
                        double *scale)
{
    const tlk_conv *conv = &p->conv;
    double sum = conv->kind == TLK_CONV_MAXIMUM ? -INFINITY : 0;
    for (int64_t kh = 0; kh < conv->kernel[0]; kh++)
        for (int64_t kw = 0; kw < conv->kernel[1]; kw++) {
            const int64_t h = oh * conv->stride[0] + kh * conv->dilation[0] - p->pad[0];
            const int64_t w = ow * conv->stride[1] + kw * conv->dilation[1] - p->pad[1];
            if (h < 0 || h >= p->size[0] || w < 0 || w >= p->size[1])
                continue;
            const double x = element_get(p->conv.type, b->x.data, (c * p->size[0] + h) * p->size[1] + w);
            if (conv->kind == TLK_CONV_MAXIMUM) {
                sum = isnan(x) || x > sum ? x : sum;
                continue;
            }
            double product = x;
            if (conv->kind == TLK_CONV_PRODUCTS)
                product *=
                    element_get(p->conv.type, b->weights.data, (row * conv->kernel[0] + kh) * conv->kernel[1] + kw);
            sum += product;
            *scale += fabs(product);
        }
    return sum;
}

static int64_t results(const problem *p)
{
    return p->conv.groups * p->conv.filters * p->out_size[0] * p->out_size[1];
}

/* What y must be; free() it. */
static wanted *reference(const problem *p, const buffers *b)
{
    const tlk_conv *conv = &p->conv;
    const double epsilon = p->conv.type == TLK_F64 ? 0x1p-51 : 0x1p-22;
    const double terms = (double)(conv->channels * conv->kernel[0] * conv->kernel[1] + 8);
    wanted *want = new_wanted(results(p));
    for (int64_t i = 0; i < results(p); i++) {
        const int64_t f = i / p->out_size[1] / p->out_size[0], oh = i / p->out_size[1] % p->out_size[0];
        double sum = p->bias ? element_get(p->conv.type, b->bias.data, f) : 0;
        double scale = fabs(sum) + 1;
        for (int64_t c = 0; c < conv->channels; c++)
            sum += naive_sum(p, b, f / conv->filters * conv->channels + c, f * conv->channels + c, oh,
                             i % p->out_size[1], &scale);
        if (conv->activation.kind == TLK_RELU)
            sum = fmax(sum, 0);
        if (conv->activation.kind == TLK_HARD_SWISH)
            sum *= fmin(fmax(sum / 6 + 0.5, 0), 1);
        if (conv->activation.kind == TLK_TANH)
            sum = tanh(sum);
        const double gate = p->steps > 0 ? element_get(p->conv.type, b->gate.data, i) : 1;
        sum = p->steps > 1 ? tanh(sum * gate) : sum * gate;
        want[i] = (wanted){sum, fabs(gate) * scale * epsilon * terms + element_ulp(p->conv.type, sum)};
    }
    return want;
}

static void check_results(const problem *p, const buffers *b, const wanted *want, int isa)
{
    const tlk_conv *conv = &p->conv;
    const int64_t i = first_wrong(p->conv.type, b->y.data, want, results(p));
    if (i >= 0)
        ck_abort_msg("isa %d %s kind %d G%d C%d F%d k%dx%d s%d,%d d%d,%d size %dx%d: y[%d][%d][%d] is %.9g, not %.9g",
                     isa, element_name(p->conv.type), (int)conv->kind, (int)conv->groups, (int)conv->channels,
                     (int)conv->filters, (int)conv->kernel[0], (int)conv->kernel[1], (int)conv->stride[0],
                     (int)conv->stride[1], (int)conv->dilation[0], (int)conv->dilation[1], (int)p->size[0],
                     (int)p->size[1], (int)(i / p->out_size[1] / p->out_size[0]),
                     (int)(i / p->out_size[1] % p->out_size[0]), (int)(i % p->out_size[1]),
                     element_get(p->conv.type, b->y.data, i), want[i].value);
}

static void run(const tlk_kernels *kernels, const problem *p, const buffers *b, int64_t piece, int32_t threads)
{
    const tlk_conv_kernel *kernel = kernels->conv[p->conv.type];
    guarded packed = guarded_alloc(kernel->packed_size(&p->conv), 0);
    kernel->pack(&p->conv, b->weights.data, p->bias ? b->bias.data : NULL, packed.data);
    const tlk_step steps[] = {
        {.kind = TLK_STEP_MUL, .operand = b->gate.data, .row_step = p->out_size[0] * p->out_size[1], .lane_step = 1},
        {.kind = TLK_STEP_ACTIVATE, .activation = {.kind = TLK_TANH}}};
    const tlk_conv_data data = {.x = b->x.data,
                                .size = {p->size[0], p->size[1]},
                                .pad = {p->pad[0], p->pad[1]},
                                .y = b->y.data,
                                .out_size = {p->out_size[0], p->out_size[1]},
                                .steps = {steps, p->steps},
                                .threads = threads};
    guarded workspace = guarded_alloc(kernel->workspace_size(&p->conv, &data), 0);
    const int64_t pieces = kernel->pieces(&p->conv, &data);
    memset(b->y.data, 0xff, b->y.size);
    for (int64_t i = 0; i < pieces; i += piece)
        kernel->run(&p->conv, packed.data, &data, i, i + piece < pieces ? i + piece : pieces, workspace.data);
    guarded_free(&packed);
    guarded_free(&workspace);
}

static void check_problem(const problem *p, uint32_t seed)
{
    uint32_t state = seed;
    const int before = seed % 2 == 1;
    const int64_t channels = p->conv.groups * p->conv.channels;
    const int64_t filters = p->conv.groups * p->conv.filters;
    const int64_t weights = p->conv.channels * filters * p->conv.kernel[0] * p->conv.kernel[1];
    buffers b = {
        .x = filled(p->conv.type, channels * p->size[0] * p->size[1], before, &state),
        .weights = filled(p->conv.type, weights, before, &state),
        .bias = filled(p->conv.type, filters, before, &state),
        .gate = filled(p->conv.type, p->steps > 0 ? results(p) : 0, before, &state),
        .y = guarded_alloc((size_t)(filters * p->out_size[0] * p->out_size[1]) * element_size(p->conv.type), before)};
    guarded first = guarded_alloc(b.y.size, 0);
    wanted *want = reference(p, &b);
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        if (kernels == NULL)
            continue;
        run(kernels, p, &b, 1000000, 0);
        check_results(p, &b, want, isa);
        memcpy(first.data, b.y.data, b.y.size);
        run(kernels, p, &b, 1, 2 + (int32_t)(seed % 3));
        ck_assert_msg(memcmp(first.data, b.y.data, b.y.size) == 0, "isa %d: other bits in pieces", isa);
    }
    free(want);
    guarded_free(&first);
    guarded_free(&b.gate);
    guarded_free(&b.x);
    guarded_free(&b.weights);
    guarded_free(&b.bias);
    guarded_free(&b.y);
}

static int64_t out_size(int64_t size, int64_t pads, int64_t kernel, int64_t stride, int64_t dilation)
{
    const int64_t extent = (kernel - 1) * dilation + 1;
    return size + pads < extent ? 0 : (size + pads - extent) / stride + 1;
}

START_TEST(test_random_shapes)
{
    static const int64_t heights[] = {1, 1, 1, 2, 3, 5, 8, 11};
    static const int64_t widths[] = {1, 2, 5, 7, 8, 15, 16, 17, 31, 33, 40, 64, 150, 290};
    static const int64_t kernels[] = {1, 1, 2, 3, 3, 5, 9};
    static const int64_t strides[] = {1, 1, 1, 2, 3, 5};
    static const int64_t dilations[] = {1, 1, 2, 3, 5000};
    static const int64_t channels[] = {1, 2, 3, 5, 8, 16, 17};
    static const int64_t depthwise[] = {6, 7, 8, 12, 14, 16, 31, 40}; /* about a vector of channels */
    static const tlk_activation_kind activations[] = {TLK_LINEAR, TLK_RELU, TLK_HARD_SWISH, TLK_TANH};
    uint32_t state = 11U + (uint32_t)_i;
#define PICK(list) (list)[random_below(&state, (int64_t)(sizeof(list) / sizeof((list)[0])))]
    for (int i = 0; i < 150 / TEST_SHARE; i++) {
        problem p = {.bias = random_below(&state, 4) != 0,
                     .steps = i % 3 == 2 ? i / 3 % 3 : 0,
                     .conv = {.type = (tlk_type)(_i / 2),
                              .groups = _i % 2 == 1 ? PICK(channels) : 1,
                              .channels = _i % 2 == 1 && random_below(&state, 4) != 0 ? 1 : PICK(channels),
                              .filters = PICK(channels),
                              .activation = {.kind = PICK(activations)}},
                     .size = {PICK(heights), PICK(widths)}};
        if (_i % 2 == 1 && i % 3 == 0) {
            p.conv.kind = i % 2 == 0 ? TLK_CONV_MAXIMUM : TLK_CONV_SUM;
            p.conv.channels = p.conv.filters = 1;
            p.conv.activation.kind = TLK_LINEAR;
            p.bias = false;
        }
        if (_i % 2 == 1 && i % 3 == 1) {
            p.conv.groups = PICK(depthwise);
            p.conv.channels = p.conv.filters = 1;
        }
        for (int axis = 0; axis < 2; axis++) {
            p.conv.kernel[axis] = axis == 0 && p.size[0] == 1 ? 1 : PICK(kernels);
            p.conv.stride[axis] = PICK(strides);
            p.conv.dilation[axis] = PICK(dilations);
            const int64_t extent = (p.conv.kernel[axis] - 1) * p.conv.dilation[axis] + 1;
            p.pad[axis] = random_below(&state, 2) == 1 ? extent / 2 : random_below(&state, 3);
            p.out_size[axis] = out_size(p.size[axis], p.pad[axis] + extent / 2, p.conv.kernel[axis],
                                        p.conv.stride[axis], p.conv.dilation[axis]);
        }
        check_problem(&p, (uint32_t)i);
    }
}
END_TEST

/* Planes of few columns, where the last vector of a tile would reach beyond all of x. */
START_TEST(test_narrow_planes)
{
    for (int i = 0; i < 96; i++) {
        problem p = {.conv = {.groups = 1,
                              .channels = 1 + i % 3,
                              .filters = 1 + i % 5,
                              .kernel = {1 + i % 2, 1},
                              .stride = {1, 1},
                              .dilation = {1, 1},
                              .activation = {.kind = TLK_LINEAR}},
                     .size = {2 + i / 4, 1 + i % 4}};
        p.out_size[0] = out_size(p.size[0], i % 3, p.conv.kernel[0], 1, 1);
        p.out_size[1] = p.size[1];
        check_problem(&p, (uint32_t)i);
    }
}
END_TEST

/* Single elements of many filters, in more columns than a tile has, and channels so far apart that they are copied. */
START_TEST(test_panels)
{
    static const int64_t sizes[][2] = {{1, 2080}, {3, 711}, {46, 46}, {1, 2111}};
    for (int i = 0; i < 4; i++) {
        const problem p = {.bias = true,
                           .conv = {.type = (tlk_type)_i,
                                    .groups = 1 + i % 2,
                                    .channels = i == 3   ? 32
                                                : i == 2 ? 1
                                                         : 5,
                                    .filters = 112 + i,
                                    .kernel = {1, 1},
                                    .stride = {1, 1},
                                    .dilation = {1, 1},
                                    .activation = {.kind = i == 0 ? TLK_RELU : TLK_HARD_SWISH}},
                           .size = {sizes[i][0], sizes[i][1]},
                           .out_size = {sizes[i][0], sizes[i][1]}};
        check_problem(&p, (uint32_t)i);
    }
}
END_TEST

/* Channels, filters and outputs enough for tiles: whole ones and not, more steps than are summed at once, more outputs
 * than a tile of them has. */
START_TEST(test_dense_shapes)
{
    static const int64_t channels[] = {20, 31, 32, 33, 40, 64, 96};
    static const int64_t filters[] = {16, 17, 30, 32, 47, 48, 64, 80};
    static const int64_t sizes[][2] = {{1, 64},  {1, 127}, {1, 128}, {1, 300}, {7, 9},   {7, 11},
                                       {14, 14}, {8, 40},  {3, 200}, {30, 1},  {12, 33}, {1, 90}};
    static const int64_t kernels[] = {1, 2, 3, 3};
    static const tlk_activation_kind activations[] = {TLK_LINEAR, TLK_RELU, TLK_HARD_SWISH, TLK_TANH};
    uint32_t state = 5U + (uint32_t)_i;
    for (int i = 0; i < 15 / TEST_SHARE; i++) {
        const int size = (int)random_below(&state, 12);
        problem p = {.bias = i % 4 != 0,
                     .steps = (i + _i) % 3,
                     .conv = {.groups = i % 8 == 3 ? 2 : 1,
                              .channels = PICK(channels),
                              .filters = PICK(filters),
                              .activation = {.kind = PICK(activations)}},
                     .size = {sizes[size][0], sizes[size][1]}};
        for (int axis = 0; axis < 2; axis++) {
            p.conv.kernel[axis] = p.size[axis] == 1 || i % 3 == 0 ? 1 : PICK(kernels);
            p.conv.stride[axis] = i % 4 == 1 ? 1 + random_below(&state, 3) : 1;
            p.conv.dilation[axis] = i % 4 == 2 ? 1 + random_below(&state, 3) : 1;
            const int64_t extent = (p.conv.kernel[axis] - 1) * p.conv.dilation[axis] + 1;
            p.pad[axis] = i % 3 == 0 ? 0 : random_below(&state, extent);
            p.out_size[axis] = out_size(p.size[axis], 2 * p.pad[axis], p.conv.kernel[axis], p.conv.stride[axis],
                                        p.conv.dilation[axis]);
        }
        check_problem(&p, (uint32_t)i);
    }
}
END_TEST

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* What an infinity or NaN reaches is infinite or NaN; all else keeps its bits. */
static void check_special(const problem *p, const buffers *b, guarded *changed, int64_t at, float value)
{
    float *y = b->y.data, *place = (float *)changed->data + at, *finite = malloc(b->y.size);
    const float before = *place;
    const bool in_x = changed->data == b->x.data;
    ck_assert_ptr_nonnull(finite);
    *place = value;
    wanted *want = reference(p, b);
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        if (kernels == NULL)
            continue;
        *place = before;
        run(kernels, p, b, 1000000, 0);
        memcpy(finite, y, b->y.size);
        *place = value;
        run(kernels, p, b, 1, 2);
        int64_t reached = 0;
        for (int64_t i = 0; i < results(p); i++) {
            const double expected = want[i].value;
            const bool same = bits_of(y[i]) == bits_of(finite[i]);
            if (isnan(expected))
                ck_assert_msg(isnan(y[i]), "isa %d: y[%d] is %g, not NaN", isa, (int)i, (double)y[i]);
            else if (isinf(expected)) /* what is read of the pads is zero, and times infinity NaN */
                ck_assert_msg((double)y[i] == expected || (!in_x && isnan(y[i])), "isa %d: y[%d] is %g", isa, (int)i,
                              (double)y[i]);
            else
                ck_assert_msg(same || (!in_x && isnan(y[i])), "isa %d: y[%d] is no longer %g", isa, (int)i,
                              (double)finite[i]);
            reached += !same;
        }
        ck_assert(reached > 0);
        ck_assert(reached < results(p));
    }
    *place = before;
    free(want);
    free(finite);
}

START_TEST(test_infinities)
{
    static const float values[] = {INFINITY, -INFINITY, NAN};
    uint32_t state = 3;
    const bool single = _i == 0;
    const int64_t kernel = single ? 1 : 3, height = _i == 2 ? 1 : 9;
    problem p = {.bias = true,
                 .conv = {.groups = 1,
                          .channels = _i == 2 ? 288 : 64, /* sums stop in between */
                          .filters = 50,
                          .kernel = {height == 1 ? 1 : kernel, kernel},
                          .stride = {1, 1},
                          .dilation = {1, 1}},
                 .size = {height, 150},
                 .pad = {height == 1 ? 0 : kernel / 2, kernel / 2},
                 .out_size = {height, 150}};
    const int64_t weights = p.conv.channels * p.conv.filters * p.conv.kernel[0] * p.conv.kernel[1];
    buffers b = {.x = filled(TLK_F32, p.conv.channels * height * 150, 0, &state),
                 .weights = filled(TLK_F32, weights, 0, &state),
                 .bias = filled(TLK_F32, p.conv.filters, 0, &state),
                 .y = guarded_alloc((size_t)(p.conv.filters * height * 150) * sizeof(float), 0)};
    for (int v = 0; v < 3; v++) {
        check_special(&p, &b, &b.x, random_below(&state, p.conv.channels * height * 150), values[v]);
        check_special(&p, &b, &b.weights, random_below(&state, weights), values[v]);
    }
    guarded_free(&b.x);
    guarded_free(&b.weights);
    guarded_free(&b.bias);
    guarded_free(&b.y);
}
END_TEST

/* By lanes of channels and not, whole rows as one line and not, in strips of rows, and of a single row's columns. */
START_TEST(test_channels_apart)
{
    static const problem problems[] = {
        {.conv = {.groups = 16, .kernel = {1, 5}, .stride = {1, 3}, .dilation = {1, 1}},
         .size = {1, 5003},
         .pad = {0, 2}},
        {.conv = {.groups = 23, .kernel = {2, 3}, .stride = {2, 2}, .dilation = {1, 1}},
         .size = {10, 7},
         .pad = {0, 1}},
        {.conv = {.groups = 31, .kernel = {3, 2}, .stride = {3, 2}, .dilation = {1, 1}}, .size = {9, 4}},
        {.conv = {.groups = 15, .kernel = {4, 1}, .stride = {1, 1}, .dilation = {2, 1}},
         .size = {300, 40},
         .pad = {3, 0}},
        {.conv = {.groups = 9, .kernel = {1, 3}, .stride = {1, 4}, .dilation = {1, 2}}, .size = {1, 33}},
        {.conv = {.groups = 20, .kernel = {1, 9}, .stride = {1, 1}, .dilation = {1, 3}},
         .size = {1, 130},
         .pad = {0, 12}},
        {.conv = {.groups = 33, .kernel = {1, 3}, .stride = {1, 1}, .dilation = {1, 1}}, .size = {1, 600}},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        problem p = problems[i];
        uint32_t state = (uint32_t)i;
        p.conv.kind = (tlk_conv_kind)_i;
        p.conv.channels = p.conv.filters = 1;
        for (int axis = 0; axis < 2; axis++)
            p.out_size[axis] = out_size(p.size[axis], 2 * p.pad[axis], p.conv.kernel[axis], p.conv.stride[axis],
                                        p.conv.dilation[axis]);
        check_problem(&p, state);
        const int64_t area = p.size[0] * p.size[1];
        buffers b = {.x = filled(TLK_F32, p.conv.groups * area, 0, &state),
                     .weights = filled(TLK_F32, p.conv.groups * p.conv.kernel[0] * p.conv.kernel[1], 0, &state),
                     .y = guarded_alloc((size_t)results(&p) * sizeof(float), 0)};
        check_special(&p, &b, &b.x, 2 * area + p.conv.kernel[1] - 1, NAN);
        check_special(&p, &b, &b.x, area + p.conv.kernel[1] - 1, INFINITY);
        guarded_free(&b.x);
        guarded_free(&b.weights);
        guarded_free(&b.y);
    }
}
END_TEST

/* Rows shorter than a block, so that its outputs are of several: one behind the other, with a gap in between, and in
 * one that begins in a gap. */
START_TEST(test_short_rows)
{
    static const problem problems[] = {
        {.conv = {.kernel = {5, 1}}, .size = {70, 1}},
        {.conv = {.kernel = {3, 1}}, .size = {9, 8}},
        {.conv = {.kernel = {3, 1}}, .size = {9, 8}, .pad = {1, 0}},
        {.conv = {.kernel = {1, 3}}, .size = {9, 8}, .pad = {0, 1}},
        {.conv = {.kernel = {1, 3}}, .size = {5, 31}, .pad = {0, 1}},
        {.conv = {.kernel = {3, 3}}, .size = {7, 15}, .pad = {1, 1}},
    };
    static const tlk_activation_kind activations[] = {TLK_LINEAR, TLK_RELU, TLK_HARD_SWISH};
    for (int i = 0; i < 6; i++) {
        problem p = problems[i];
        p.steps = _i % 2;
        p.conv.groups = p.conv.stride[0] = p.conv.stride[1] = p.conv.dilation[0] = p.conv.dilation[1] = 1;
        p.conv.channels = 5;
        p.conv.filters = 19;
        p.conv.activation.kind = activations[_i];
        for (int axis = 0; axis < 2; axis++)
            p.out_size[axis] = out_size(p.size[axis], 2 * p.pad[axis], p.conv.kernel[axis], 1, 1);
        check_problem(&p, (uint32_t)i);
    }
}
END_TEST

START_TEST(test_sizes_that_do_not_exist)
{
    for (int type = TLK_F32; type <= TLK_F64; type++) {
        const tlk_conv_kernel *kernel = tlk_get()->conv[type];
        const tlk_conv_data data = {.size = {1, 1}, .out_size = {1, 1}};
        const tlk_conv small = {.type = (tlk_type)type,
                                .groups = 1,
                                .channels = 1,
                                .filters = 1,
                                .kernel = {1, 1},
                                .stride = {1, 1},
                                .dilation = {1, 1}};
        tlk_conv conv = small;
        conv.channels = INT64_MAX;
        ck_assert_uint_eq(kernel->packed_size(&conv), SIZE_MAX);
        conv = small;
        conv.groups = INT64_MAX / 2;
        conv.filters = INT64_MAX / 2;
        ck_assert_uint_eq(kernel->packed_size(&conv), SIZE_MAX);
        conv = small;
        conv.kernel[0] = INT64_C(1) << 32;
        conv.kernel[1] = INT64_C(1) << 31;
        ck_assert_uint_eq(kernel->packed_size(&conv), SIZE_MAX);
        conv = small;
        conv.dilation[1] = INT64_MAX;
        conv.kernel[1] = 3;
        ck_assert_uint_eq(kernel->packed_size(&conv), SIZE_MAX);
        conv.dilation[1] = INT64_MAX >> 5;
        ck_assert_uint_lt(kernel->workspace_size(&conv, &data), 1U << 20);
        conv = small;
        conv.stride[1] = INT64_MAX;
        ck_assert_uint_lt(kernel->workspace_size(&conv, &data), 1U << 20);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv");
    TCase *tests = tcase_create("conv");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, test_random_shapes, 0, 4); /* of both types */
    tcase_add_loop_test(tests, test_panels, TLK_F32, TLK_F64 + 1);
    tcase_add_test(tests, test_narrow_planes);
    tcase_add_loop_test(tests, test_dense_shapes, TLK_F32, TLK_F64 + 1);
    tcase_add_loop_test(tests, test_infinities, 0, 3);
    tcase_add_loop_test(tests, test_channels_apart, 0, 3);
    tcase_add_loop_test(tests, test_short_rows, 0, 3);
    tcase_add_test(tests, test_sizes_that_do_not_exist);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
