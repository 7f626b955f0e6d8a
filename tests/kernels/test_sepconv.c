/* The fused separable convolution against a naive one in double: all instruction sets of this machine, both types, both
 * layouts, shapes around every block size, each buffer with a forbidden page right behind (or before) it; and the same
 * bits however the work is cut. */
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
    tlk_sepconv s;
    int64_t batch, length, pad_left, out_length;
    bool bias;
    int residual; /* 0 none, 1 before, 2 after the activation */
} problem;

typedef struct buffers {
    guarded x, y, depthwise, pointwise, bias, residual;
} buffers;

static buffers make_buffers(const problem *p, uint32_t seed)
{
    uint32_t state = seed;
    const int before = seed % 2 == 1;
    const int64_t depth = p->s.channels * p->s.multiplier;
    const int64_t y = p->batch * p->out_length * p->s.filters;
    return (buffers){.x = filled(p->s.type, p->batch * p->length * p->s.channels, before, &state),
                     .depthwise = filled(p->s.type, depth * p->s.kernel_size, before, &state),
                     .pointwise = filled(p->s.type, depth * p->s.filters, before, &state),
                     .bias = filled(p->s.type, p->s.filters, before, &state),
                     .residual = filled(p->s.type, y, before, &state),
                     .y = guarded_alloc((size_t)y * element_size(p->s.type), before)};
}

static void free_buffers(buffers *b)
{
    guarded_free(&b->x);
    guarded_free(&b->depthwise);
    guarded_free(&b->pointwise);
    guarded_free(&b->bias);
    guarded_free(&b->residual);
    guarded_free(&b->y);
}

static double activate(const tlk_activation *activation, double x)
{
    switch (activation->kind) {
    case TLK_LINEAR:
        return x;
    case TLK_RELU:
        return fmax(x, 0);
    case TLK_CLIP:
        return fmin(fmax(x, activation->a), activation->b);
    case TLK_LEAKY_RELU:
        return x < 0 ? (double)activation->a * x : x;
    case TLK_HARD_SIGMOID:
        return fmin(fmax((double)activation->a * x + (double)activation->b, 0), 1);
    case TLK_ELU:
        return x < 0 ? (double)activation->a * expm1(x) : x;
    case TLK_SIGMOID:
        return 1 / (1 + exp(-x));
    case TLK_TANH:
        return tanh(x);
    default:
        ck_abort_msg("an activation that this test does not know");
        return NAN;
    }
}

static int64_t x_at(const problem *p, int64_t n, int64_t c, int64_t t)
{
    return p->s.layout == TLK_CHANNELS_LAST ? (n * p->length + t) * p->s.channels + c
                                            : (n * p->s.channels + c) * p->length + t;
}

static int64_t y_at(const problem *p, int64_t n, int64_t f, int64_t t)
{
    return p->s.layout == TLK_CHANNELS_LAST ? (n * p->out_length + t) * p->s.filters + f
                                            : (n * p->s.filters + f) * p->out_length + t;
}

/* The sum that the depthwise convolution gives; *scale gets the sum of magnitudes. */
static double naive_depthwise(const problem *p, const buffers *b, int64_t n, int64_t t, int64_t j, double *scale)
{
    double sum = 0;
    *scale = 0;
    for (int64_t k = 0; k < p->s.kernel_size; k++) {
        const int64_t i = t * p->s.stride + k * p->s.dilation - p->pad_left;
        if (i < 0 || i >= p->length)
            continue;
        const double product = element_get(p->s.type, b->x.data, x_at(p, n, j / p->s.multiplier, i)) *
                               element_get(p->s.type, b->depthwise.data, j * p->s.kernel_size + k);
        sum += product;
        *scale += fabs(product);
    }
    return sum;
}

static int64_t results(const problem *p)
{
    return p->batch * p->out_length * p->s.filters;
}

/* What y must be, where it lies; free() it. */
static wanted *reference(const problem *p, const buffers *b)
{
    const int64_t depth = p->s.channels * p->s.multiplier;
    const tlk_type type = p->s.type;
    wanted *want = new_wanted(results(p)), *h = new_wanted(depth);
    const double epsilon = type == TLK_F64 ? 0x1p-52 : 0x1p-23;
    for (int64_t n = 0; n < p->batch; n++)
        for (int64_t t = 0; t < p->out_length; t++) {
            for (int64_t j = 0; j < depth; j++)
                h[j].value = naive_depthwise(p, b, n, t, j, &h[j].allowed);
            for (int64_t f = 0; f < p->s.filters; f++) {
                double sum = p->bias ? element_get(type, b->bias.data, f) : 0;
                double scale = fabs(sum) + 1;
                for (int64_t j = 0; j < depth; j++) {
                    const double weight = element_get(type, b->pointwise.data, f * depth + j);
                    sum += h[j].value * weight;
                    scale += h[j].allowed * fabs(weight);
                }
                const int64_t at = y_at(p, n, f, t);
                const double residual = element_get(type, b->residual.data, at);
                double expected = activate(&p->s.activation, sum + (p->residual == 1 ? residual : 0));
                expected += p->residual == 2 ? residual : 0;
                want[at] = (wanted){expected, scale * epsilon * (double)(p->s.kernel_size + depth + 8) * 0.5 +
                                                  element_ulp(type, expected) + 8 * epsilon * fabs(expected)};
            }
        }
    free(h);
    return want;
}

static void check_results(const problem *p, const buffers *b, const wanted *want, const char *isa)
{
    const int64_t i = first_wrong(p->s.type, b->y.data, want, results(p));
    if (i >= 0)
        ck_abort_msg("%s %s %s N%d C%d L%d K%d s%d d%d D%d F%d pad%d act%d: element %d of %d is %.9g, not %.9g", isa,
                     element_name(p->s.type), p->s.layout == TLK_CHANNELS_LAST ? "last" : "first", (int)p->batch,
                     (int)p->s.channels, (int)p->length, (int)p->s.kernel_size, (int)p->s.stride, (int)p->s.dilation,
                     (int)p->s.multiplier, (int)p->s.filters, (int)p->pad_left, (int)p->s.activation.kind, (int)i,
                     (int)results(p), element_get(p->s.type, b->y.data, i), want[i].value);
}

/* Runs all samples in pieces of at most `piece` steps. */
static void run(const tlk_kernels *kernels, const problem *p, const buffers *b, int64_t piece)
{
    const tlk_sepconv_kernel *kernel = kernels->sepconv[p->s.type];
    const int before = piece % 2 == 0;
    tlk_sepconv s = p->s;
    tlk_step steps[2] = {
        {.kind = TLK_STEP_ADD, .row_step = s.layout == TLK_CHANNELS_LAST ? s.filters : p->out_length, .lane_step = 1},
        {.kind = TLK_STEP_ACTIVATE, .activation = s.activation},
    };
    if (p->residual == 1) /* the activation is behind it */
        s.activation.kind = TLK_LINEAR;
    guarded packed = guarded_alloc(kernel->packed_size(&s), before);
    guarded workspace = guarded_alloc(kernel->workspace_size(&s), before);
    kernel->pack(&s, b->depthwise.data, b->pointwise.data, p->bias ? b->bias.data : NULL, packed.data);
    const tlk_sepconv_data data = {.x = b->x.data,
                                   .length = p->length,
                                   .pad_left = p->pad_left,
                                   .y = b->y.data,
                                   .out_length = p->out_length,
                                   .steps = {steps, p->residual == 0 ? 0 : 3 - p->residual}};
    memset(b->y.data, 0xff, b->y.size);
    for (int64_t n = p->batch; n-- > 0;) {
        steps[0].operand =
            (const char *)b->residual.data + (size_t)(n * s.filters * p->out_length) * element_size(s.type);
        for (int64_t t = 0; t < p->out_length; t += piece)
            kernel->run(&s, packed.data, &data, n, t, t + piece < p->out_length ? t + piece : p->out_length,
                        workspace.data);
    }
    guarded_free(&packed);
    guarded_free(&workspace);
}

static void check_problem(const problem *p, uint32_t seed)
{
    buffers b = make_buffers(p, seed);
    guarded first = guarded_alloc(b.y.size, 0);
    wanted *want = reference(p, &b);
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        if (kernels == NULL)
            continue;
        char name[16];
        snprintf(name, sizeof name, "isa %d", isa);
        run(kernels, p, &b, INT64_MAX / 2);
        check_results(p, &b, want, name);
        memcpy(first.data, b.y.data, b.y.size);
        static const int64_t pieces[] = {1, 7, 17, 64, 130};
        run(kernels, p, &b, pieces[seed % 5]);
        ck_assert_msg(memcmp(first.data, b.y.data, b.y.size) == 0, "%s: other bits in pieces of %d", name,
                      (int)pieces[seed % 5]);
    }
    free(want);
    guarded_free(&first);
    free_buffers(&b);
}

/* Causal, same or valid; lengths longer than the signal come out as 0. */
static void pad_randomly(problem *p, uint32_t *state)
{
    const int64_t extent = (p->s.kernel_size - 1) * p->s.dilation + 1;
    const int64_t kind = random_below(state, 3);
    p->pad_left = kind == 0 ? extent - 1 : kind == 1 ? (extent - 1) / 2 : 0;
    p->out_length = (p->length + p->s.stride - 1) / p->s.stride;
    if (kind == 2)
        p->out_length = p->length < extent ? 0 : (p->length - extent) / p->s.stride + 1;
}

static problem random_problem(uint32_t *state)
{
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 28, 31, 32, 33, 40, 64, 70};
    static const int64_t kernel_sizes[] = {1, 2, 3, 5, 9, 16, 17, 33, 70};
    static const int64_t dilations[] = {1, 1, 1, 2, 3, 4, 8, 16, 20};
    static const int64_t strides[] = {1, 1, 1, 2, 2, 3, 5};
    static const int64_t lengths[] = {1, 2, 6, 15, 16, 17, 30, 33, 49, 64, 100, 129, 150, 260, 300};
    static const tlk_activation activations[] = {
        {TLK_LINEAR, 0, 0}, {TLK_RELU, 0, 0},          {TLK_CLIP, 0, 6},
        {TLK_RELU, 0, 0},   {TLK_LEAKY_RELU, 0.2F, 0}, {TLK_HARD_SIGMOID, 0.2F, 0.5F},
        {TLK_ELU, 1, 0},    {TLK_SIGMOID, 0, 0},       {TLK_TANH, 0, 0},
    };
#define PICK(list) (list)[random_below(state, (int64_t)(sizeof(list) / sizeof((list)[0])))]
    problem p = {.s = {.channels = PICK(sizes),
                       .filters = PICK(sizes),
                       .kernel_size = PICK(kernel_sizes),
                       .dilation = PICK(dilations),
                       .stride = PICK(strides),
                       .multiplier = 1 + random_below(state, 4) % 3,
                       .activation = PICK(activations)},
                 .batch = 1 + random_below(state, 2),
                 .length = PICK(lengths),
                 .bias = random_below(state, 4) != 0,
                 .residual = (int)random_below(state, 6) % 3};
    pad_randomly(&p, state);
    return p;
}

static void check_type(tlk_type type, tlk_layout layout, int count)
{
    uint32_t state = 7U + (uint32_t)type * 2U + (uint32_t)layout;
    for (int i = 0; i < count; i++) {
        problem p = random_problem(&state);
        p.s.type = type;
        p.s.layout = layout;
        check_problem(&p, (uint32_t)i);
    }
}

START_TEST(test_random_shapes)
{
    check_type((tlk_type)(_i / 2), (tlk_layout)(_i % 2), 150 / TEST_SHARE);
}
END_TEST

/* As many weights as make a kernel take its products another way, and signals too short for that. */
START_TEST(test_many_weights)
{
    static const int64_t channels[] = {31, 32, 33, 40, 64, 100, 130, 260};
    static const int64_t filters[] = {63, 64, 65, 80, 96, 128, 141};
    static const int64_t lengths[] = {1, 5, 16, 63, 64, 65, 127, 128, 130, 150, 300, 600};
    static const tlk_activation activations[] = {{TLK_LINEAR, 0, 0}, {TLK_RELU, 0, 0}, {TLK_SIGMOID, 0, 0}};
    uint32_t number = 77U + (uint32_t)_i, *state = &number;
    for (int i = 0; i < 20 / TEST_SHARE; i++) {
        problem p = {.s = {.type = TLK_F32,
                           .layout = (tlk_layout)_i,
                           .channels = PICK(channels),
                           .filters = PICK(filters),
                           .kernel_size = 1 + 2 * random_below(state, 3),
                           .dilation = 1 + random_below(state, 2),
                           .stride = 1 + random_below(state, 2),
                           .multiplier = 1 + random_below(state, 5) / 4,
                           .activation = activations[i % 3]},
                     .batch = 1,
                     .length = PICK(lengths),
                     .bias = i % 4 != 0,
                     .residual = i % 5 % 3};
        pad_randomly(&p, state);
        check_problem(&p, (uint32_t)i);
    }
}
END_TEST

/* More than the second-level cache keeps: what the next tile needs is asked for, if there is one. */
START_TEST(test_far_data)
{
    for (int64_t stride = 1; stride <= 2; stride++) {
        const problem p = {.s = {.type = (tlk_type)(_i / 2),
                                 .layout = (tlk_layout)(_i % 2),
                                 .channels = 20,
                                 .multiplier = 1,
                                 .filters = 45,
                                 .kernel_size = 3,
                                 .stride = stride,
                                 .dilation = 8},
                           .batch = 1,
                           .length = 9000 * stride,
                           .pad_left = 16,
                           .out_length = 9000,
                           .bias = true};
        check_problem(&p, (uint32_t)stride);
    }
}
END_TEST

/* How a float is not finite: 0 finite, 1 NaN, 2 +infinity, 3 -infinity. */
static int kind_of(double x)
{
    return isnan(x) ? 1 : !isinf(x) ? 0 : x > 0 ? 2 : 3;
}

/* An infinity or NaN in the signal or the weights reaches what it would reach in a plain sum, as what it is; all else
 * keeps its bits. */
START_TEST(test_not_finite)
{
    static const float strange[] = {INFINITY, -INFINITY, NAN};
    problem p = {.s = {.type = TLK_F32,
                       .layout = (tlk_layout)(_i % 2),
                       .channels = 40,
                       .filters = _i < 2 ? 70 : 900, /* few weights, many */
                       .kernel_size = 3,
                       .dilation = 1,
                       .stride = 1,
                       .multiplier = 1},
                 .batch = 1,
                 .length = 150,
                 .pad_left = 2,
                 .out_length = 150,
                 .bias = true};
    buffers b = make_buffers(&p, 5);
    float *clean = malloc(b.y.size), *x = b.x.data, *pointwise = b.pointwise.data, *y = b.y.data;
    ck_assert_ptr_nonnull(clean);
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        if (kernels == NULL)
            continue;
        run(kernels, &p, &b, INT64_MAX / 2);
        memcpy(clean, y, b.y.size);
        for (int which = 0; which < 6; which++) {
            const int64_t f = 67, c = 37, t = 141;
            float *place = which < 3 ? &x[x_at(&p, 0, c, t)] : &pointwise[f * p.s.channels + c];
            const float before = *place;
            *place = strange[which % 3];
            run(kernels, &p, &b, INT64_MAX / 2);
            for (int64_t i = 0; i < p.out_length; i++) {
                double scale;
                const double h = naive_depthwise(&p, &b, 0, i, c, &scale);
                for (int64_t k = 0; k < p.s.filters; k++) {
                    const int64_t at = y_at(&p, 0, k, i);
                    const double product = h * (double)pointwise[k * p.s.channels + c];
                    if (kind_of(product) == 0)
                        ck_assert_msg(memcmp(&y[at], &clean[at], sizeof *y) == 0,
                                      "isa %d case %d: [f %d, t %d] changed", isa, which, (int)k, (int)i);
                    else
                        ck_assert_msg(kind_of((double)y[at]) == kind_of(product), "isa %d case %d: [f %d, t %d] is %g",
                                      isa, which, (int)k, (int)i, (double)y[at]);
                }
            }
            *place = before;
        }
    }
    free(clean);
    free_buffers(&b);
}
END_TEST

/* Taps near each other, in tiles inside of x as well as at its edges: short kernels have paths of their own. */
START_TEST(test_near_taps)
{
    static const int64_t kernel_sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 14, 15, 16, 17, 18, 33};
    const problem near = {.s = {.type = TLK_F32, .channels = 9, .filters = 5}, .batch = 1};
    for (size_t i = 0; i < sizeof kernel_sizes / sizeof kernel_sizes[0]; i++)
        for (int64_t dilation = 1; dilation <= 3; dilation++)
            for (int64_t pad = 0; pad < 2; pad++) {
                problem p = near;
                const int64_t extent = (kernel_sizes[i] - 1) * dilation + 1;
                p.s.kernel_size = kernel_sizes[i];
                p.s.multiplier = 1 + ((int64_t)i + dilation) % 3; /* two outputs of a channel go together */
                p.s.dilation = dilation;
                p.s.stride = _i;
                p.pad_left = pad * (extent / 2);
                p.length = 200 * _i + extent + 17 * pad; /* a whole tile, and less */
                p.out_length = (p.length + 2 * p.pad_left - extent) / _i + 1;
                check_problem(&p, (uint32_t)(i + (size_t)pad));
            }
}
END_TEST

/* At a stride of 1 taps are summed in ascending order, whichever way a CPU takes: bit by bit what a chain of
 * multiply-adds gives, seen through a pointwise convolution that changes nothing. */
START_TEST(test_order_of_taps)
{
    enum { CHANNELS = 16, LENGTH = 300 };
    for (int64_t taps = 1; taps <= 20; taps++) {
        const problem p = {.s = {.type = TLK_F32,
                                 .channels = CHANNELS,
                                 .multiplier = 1,
                                 .filters = CHANNELS,
                                 .kernel_size = taps,
                                 .stride = 1,
                                 .dilation = 1},
                           .batch = 1,
                           .length = LENGTH,
                           .pad_left = taps / 2,
                           .out_length = LENGTH};
        buffers b = make_buffers(&p, (uint32_t)taps);
        const float *x = b.x.data, *depthwise = b.depthwise.data, *y = b.y.data;
        for (int64_t i = 0; i < CHANNELS * CHANNELS; i++)
            ((float *)b.pointwise.data)[i] = i % (CHANNELS + 1) == 0;
        for (int isa = TLK_PORTABLE + 1; isa < TLK_ISA_COUNT; isa++) { /* the portable one has no multiply-add */
            const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
            if (kernels == NULL)
                continue;
            run(kernels, &p, &b, INT64_MAX / 2);
            for (int64_t c = 0; c < CHANNELS; c++)
                for (int64_t t = 0; t < LENGTH; t++) {
                    float sum = 0;
                    for (int64_t k = 0; k < taps; k++) {
                        const int64_t i = t + k - p.pad_left;
                        if (i >= 0 && i < LENGTH)
                            sum = fmaf(x[c * LENGTH + i], depthwise[c * taps + k], sum);
                    }
                    ck_assert_msg(y[c * LENGTH + t] == sum, "isa %d, %d taps: y[%d][%d] is %.9g, not %.9g", isa,
                                  (int)taps, (int)c, (int)t, (double)y[c * LENGTH + t], (double)sum);
                }
        }
        free_buffers(&b);
    }
}
END_TEST

/* A dilation far longer than the signal, alone and with a stride: most taps see only padding, nothing overflows. */
START_TEST(test_far_taps)
{
    for (int type = TLK_F32; type <= TLK_F64; type++)
        for (int64_t stride = 1; stride <= 3; stride++) {
            problem p = {.s = {.type = (tlk_type)type,
                               .layout = (tlk_layout)_i,
                               .channels = 5,
                               .multiplier = 2,
                               .filters = 18,
                               .kernel_size = 3,
                               .stride = stride,
                               .dilation = 1000000007},
                         .batch = 1,
                         .length = 40,
                         .out_length = 40 / stride,
                         .bias = true};
            for (int64_t k = 0; k < 3; k++) { /* the tap that sees the signal */
                p.pad_left = k * p.s.dilation + 3;
                check_problem(&p, (uint32_t)k);
            }
        }
}
END_TEST

START_TEST(test_sizes_that_do_not_exist)
{
    const tlk_kernels *kernels = tlk_get();
    for (int type = TLK_F32; type <= TLK_F64; type++)
        for (int layout = 0; layout < 2; layout++) {
            const tlk_sepconv_kernel *kernel = kernels->sepconv[type];
            const tlk_sepconv small = {.type = (tlk_type)type,
                                       .layout = (tlk_layout)layout,
                                       .channels = 1,
                                       .multiplier = 1,
                                       .filters = 1,
                                       .kernel_size = 1,
                                       .stride = 1,
                                       .dilation = 1};
            tlk_sepconv s = small;
            s.channels = INT64_MAX;
            ck_assert_uint_eq(kernel->packed_size(&s), SIZE_MAX);
            ck_assert_uint_eq(kernel->workspace_size(&s), SIZE_MAX);
            s = small;
            s.channels = INT64_C(1) << 32;
            s.multiplier = INT64_C(1) << 32;
            ck_assert_uint_eq(kernel->packed_size(&s), SIZE_MAX);
            ck_assert_uint_eq(kernel->workspace_size(&s), SIZE_MAX);
            s = small;
            s.filters = INT64_MAX;
            ck_assert_uint_eq(kernel->packed_size(&s), SIZE_MAX);
            s = small;
            s.channels = INT64_C(1) << 31;
            s.filters = INT64_C(1) << 31;
            ck_assert_uint_eq(kernel->packed_size(&s), SIZE_MAX);
            s = small;
            s.kernel_size = INT64_MAX;
            ck_assert_uint_eq(kernel->packed_size(&s), SIZE_MAX);
            ck_assert_uint_eq(kernel->workspace_size(&s), SIZE_MAX);
            s = small;
            s.kernel_size = INT64_C(1) << 20;
            s.dilation = INT64_C(1) << 50;
            ck_assert_uint_eq(kernel->workspace_size(&s), SIZE_MAX);
            s = small;
            s.stride = INT64_MAX; /* takes one step: no size depends on it */
            ck_assert_uint_lt(kernel->workspace_size(&s), 1U << 20);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sepconv");
    TCase *tests = tcase_create("sepconv");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, test_random_shapes, 0, 4);
    tcase_add_loop_test(tests, test_many_weights, 0, 2);
    tcase_add_loop_test(tests, test_far_data, 0, 4);
    tcase_add_loop_test(tests, test_not_finite, 0, 4);
    tcase_add_loop_test(tests, test_near_taps, 1, 3);
    tcase_add_test(tests, test_order_of_taps);
    tcase_add_loop_test(tests, test_far_taps, 0, 2);
    tcase_add_test(tests, test_sizes_that_do_not_exist);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
