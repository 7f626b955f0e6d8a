#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_Conv_1;

typedef struct problem {
    tl_type type;
    int32_t spatial;
    int64_t batch, group, channels, filters; /* of one group */
    int64_t in[3], kernel[3], strides[3], dilations[3], pads[6];
    const char *auto_pad;
    bool bias, kernel_given;
    uint64_t constant;
} problem;

/* Output size and pads of an axis, as the standard's text has them. */
static int64_t axis_size(const problem *p, int i, int64_t *begin)
{
    int64_t extent = (p->kernel[i] - 1) * p->dilations[i] + 1;
    if (strcmp(p->auto_pad, "SAME_UPPER") == 0 || strcmp(p->auto_pad, "SAME_LOWER") == 0) {
        int64_t out = (p->in[i] + p->strides[i] - 1) / p->strides[i];
        int64_t total = (out - 1) * p->strides[i] + extent - p->in[i];
        total = total > 0 ? total : 0;
        *begin = strcmp(p->auto_pad, "SAME_UPPER") == 0 ? total / 2 : (total + 1) / 2;
        return out;
    }
    *begin = strcmp(p->auto_pad, "VALID") == 0 ? 0 : p->pads[i];
    int64_t end = strcmp(p->auto_pad, "VALID") == 0 ? 0 : p->pads[p->spatial + i];
    int64_t space = p->in[i] + *begin + end - extent;
    return space < 0 ? -1 : space / p->strides[i] + 1;
}

static double naive_element(const problem *p, const tl_tensor *x, const tl_tensor *w, int64_t n, int64_t m,
                            const int64_t *at, const int64_t *begin)
{
    double sum = 0;
    int64_t in[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, out[3] = {0}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1},
            pad[3] = {0};
    for (int i = 0; i < p->spatial; i++) {
        in[i] = p->in[i], kernel[i] = p->kernel[i], out[i] = at[i], stride[i] = p->strides[i];
        dilation[i] = p->dilations[i], pad[i] = begin[i];
    }
    for (int64_t c = 0; c < p->channels; c++)
        for (int64_t k0 = 0; k0 < kernel[0]; k0++)
            for (int64_t k1 = 0; k1 < kernel[1]; k1++)
                for (int64_t k2 = 0; k2 < kernel[2]; k2++) {
                    int64_t i0 = out[0] * stride[0] + k0 * dilation[0] - pad[0];
                    int64_t i1 = out[1] * stride[1] + k1 * dilation[1] - pad[1];
                    int64_t i2 = out[2] * stride[2] + k2 * dilation[2] - pad[2];
                    if (i0 < 0 || i0 >= in[0] || i1 < 0 || i1 >= in[1] || i2 < 0 || i2 >= in[2])
                        continue;
                    int64_t channel = m / p->filters * p->channels + c;
                    int64_t xi =
                        ((n * p->group * p->channels + channel) * in[0] + i0) * in[1] * in[2] + i1 * in[2] + i2;
                    int64_t wi = ((m * p->channels + c) * kernel[0] + k0) * kernel[1] * kernel[2] + k1 * kernel[2] + k2;
                    sum += get(x, xi) * get(w, wi);
                }
    return sum;
}

static void check_problem(const problem *p)
{
    int64_t out[5] = {p->batch, p->group * p->filters, 1, 1, 1}, begin[3] = {0}, xd[5], wd[5];
    xd[0] = p->batch;
    xd[1] = p->group * p->channels;
    wd[0] = p->group * p->filters;
    wd[1] = p->channels;
    for (int i = 0; i < p->spatial; i++) {
        xd[i + 2] = p->in[i];
        wd[i + 2] = p->kernel[i];
        out[i + 2] = axis_size(p, i, &begin[i]);
        if (out[i + 2] < 0)
            return; /* shorter than the window; the errors have a test of their own */
    }
    tl_tensor x = random_tensor(p->type, p->spatial + 2, xd), w = random_tensor(p->type, p->spatial + 2, wd);
    tl_tensor b = random_tensor(p->type, 1, &wd[0]);
    fake_attribute attributes[8];
    size_t count = 0, n = (size_t)p->spatial;
    attributes[count++] = (fake_attribute)ATTR_I("group", p->group);
    attributes[count++] = (fake_attribute){.name = "strides", .kind = TL_ATTR_INTS, .ints = p->strides, .count = n};
    attributes[count++] = (fake_attribute){.name = "dilations", .kind = TL_ATTR_INTS, .ints = p->dilations, .count = n};
    if (strcmp(p->auto_pad, "NOTSET") == 0)
        attributes[count++] = (fake_attribute){.name = "pads", .kind = TL_ATTR_INTS, .ints = p->pads, .count = 2 * n};
    else
        attributes[count++] = (fake_attribute)ATTR_S("auto_pad", p->auto_pad);
    if (p->kernel_given)
        attributes[count++] =
            (fake_attribute){.name = "kernel_shape", .kind = TL_ATTR_INTS, .ints = p->kernel, .count = n};
    fake_case test = {.op = &tl_op_Conv_1,
                      .attributes = attributes,
                      .attribute_count = count,
                      .inputs = {&x, &w, p->bias ? &b : NULL},
                      .input_count = 3,
                      .constant = p->bias ? p->constant : p->constant & 3};
    run_ok(&test);
    assert_shape(&test.outputs[0], p->spatial + 2, out);
    int64_t total = elements(&test.outputs[0]);
    double *want = malloc((size_t)total * sizeof *want + 1);
    for (int64_t i = 0; i < total; i++) {
        int64_t at[3] = {0}, rest = i;
        for (int d = p->spatial - 1; d >= 0; d--) {
            at[d] = rest % out[d + 2];
            rest /= out[d + 2];
        }
        int64_t m = rest % out[1];
        want[i] = naive_element(p, &x, &w, rest / out[1], m, at, begin) + (p->bias ? get(&b, m) : 0);
    }
    assert_near(&test.outputs[0], want, sqrt((double)(p->channels * wd[2])) + 1, "Conv");
    free(want);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&w);
    free_tensor(&b);
}

static problem random_problem(int32_t spatial)
{
    static const char *const auto_pads[] = {"NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    static const tl_type types[] = {TL_FLOAT, TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    problem p = {.type = types[random_int(0, 4)],
                 .spatial = spatial,
                 .batch = random_int(0, 9) == 0 ? 0 : random_int(1, 3),
                 .group = random_int(1, 4),
                 .channels = random_int(1, 5),
                 .filters = random_int(1, 6),
                 .auto_pad = auto_pads[random_int(0, 5)],
                 .bias = random_int(0, 1) != 0,
                 .kernel_given = random_int(0, 1) != 0,
                 .constant = (uint64_t)random_int(0, 3) << 1};
    if (random_int(0, 2) == 0)
        p.channels = 1;
    for (int i = 0; i < spatial; i++) {
        p.in[i] = random_int(1, spatial == 1 ? 300 : spatial == 2 ? 20 : 9);
        p.kernel[i] = random_int(1, spatial == 1 ? 9 : 4);
        p.strides[i] = random_int(0, 1) ? 1 : random_int(1, 4);
        p.dilations[i] = random_int(0, 1) ? 1 : random_int(1, 3);
        p.pads[i] = random_int(0, 1) ? 0 : random_int(0, 5);
        p.pads[spatial + i] = random_int(0, 1) ? 0 : random_int(0, 5);
    }
    return p;
}

START_TEST(random_problems)
{
    random_seed(7);
    for (int i = 0; i < 500; i++) {
        problem p = random_problem(1);
        check_problem(&p);
    }
    for (int i = 0; i < 150; i++) {
        problem p = random_problem(2);
        check_problem(&p);
    }
    for (int i = 0; i < 80; i++) {
        problem p = random_problem(3);
        check_problem(&p);
    }
}
END_TEST

/* Samples with few outputs are computed together: the same numbers, and the same bits as one by one. */
START_TEST(many_small_samples)
{
    random_seed(8);
    for (int i = 0; i < 60; i++) {
        problem p = random_problem(1 + i % 2);
        p.type = TL_FLOAT;
        p.group = 1;
        p.batch = random_int(2, 70);
        p.filters = random_int(3, 40);
        for (int d = 0; d < p.spatial; d++)
            p.in[d] = random_int(1, p.spatial == 1 ? 12 : 5);
        check_problem(&p);
    }
    enum { BATCH = 50, FILTERS = 20, OUT = 5 }; /* several times what is taken at once */
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(BATCH, 40, 64)), w = random_tensor(TL_FLOAT, DIMS(FILTERS, 40, 60));
    fake_case all = {.op = &tl_op_Conv_1, .inputs = {&x, &w}, .input_count = 2};
    run_ok(&all);
    for (int64_t n = 0; n < BATCH; n++) {
        tl_tensor sample = x;
        sample.dims[0] = 1;
        sample.data = (float *)x.data + n * 40 * 64;
        fake_case one = {.op = &tl_op_Conv_1, .inputs = {&sample, &w}, .input_count = 2};
        run_ok(&one);
        ck_assert_mem_eq((const float *)all.outputs[0].data + n * FILTERS * OUT, one.outputs[0].data,
                         FILTERS * OUT * sizeof(float));
        fake_free(&one);
    }
    fake_free(&all);
    free_tensor(&x);
    free_tensor(&w);
}
END_TEST

START_TEST(no_channels_gives_the_bias)
{
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(2, 0, 5)), w = new_tensor(TL_FLOAT, DIMS(3, 0, 2));
    tl_tensor b = random_tensor(TL_FLOAT, DIMS(3));
    fake_case test = {.op = &tl_op_Conv_1, .inputs = {&x, &w, &b}, .input_count = 3};
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(2, 3, 4));
    for (int64_t i = 0; i < 24; i++)
        ck_assert(get(&test.outputs[0], i) == get(&b, i / 4 % 3));
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&w);
    free_tensor(&b);
}
END_TEST

/* More spatial axes than anybody has a fast path for: a 6-D convolution with kernels of 1 is a matrix product. */
START_TEST(many_axes)
{
    tl_tensor x = random_tensor(TL_DOUBLE, DIMS(1, 2, 2, 1, 3, 2, 2, 2)),
              w = random_tensor(TL_DOUBLE, DIMS(3, 2, 2, 1, 1, 1, 1, 2));
    fake_case test = {.op = &tl_op_Conv_1, .inputs = {&x, &w}, .input_count = 2};
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(1, 3, 1, 1, 3, 2, 2, 1));
    for (int64_t m = 0; m < 3; m++)
        for (int64_t j = 0; j < 12; j++) {
            double sum = 0;
            for (int64_t c = 0; c < 2; c++)
                for (int64_t a = 0; a < 2; a++)
                    for (int64_t z = 0; z < 2; z++)
                        sum += get(&x, ((c * 2 + a) * 12 + j) * 2 + z) * get(&w, ((m * 2 + c) * 2 + a) * 2 + z);
            ck_assert(fabs(get(&test.outputs[0], m * 12 + j) - sum) < 1e-12);
        }
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&w);
}
END_TEST

/* With strides larger than the kernel the pads of SAME are 0, not less than that: the standard says "pad" (Conv, since
 * version 1), and so its reference implementation and TensorFlow have it. Taken as a formula it would leave elements
 * out at the beginning, as ONNX Runtime does with SAME_UPPER, though not with SAME_LOWER. */
START_TEST(same_never_crops)
{
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(1, 1, 12)), w = new_tensor(TL_FLOAT, DIMS(1, 1, 1));
    static const char *const same[] = {"SAME_UPPER", "SAME_LOWER"};
    for (int64_t i = 0; i < 12; i++)
        set(&x, i, (double)i);
    set(&w, 0, 1);
    for (size_t k = 0; k < 2; k++) {
        const fake_attribute attributes[] = {ATTR_IS("strides", 4), ATTR_S("auto_pad", same[k])};
        fake_case test = {
            .op = &tl_op_Conv_1, .attributes = attributes, .attribute_count = 2, .inputs = {&x, &w}, .input_count = 2};
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(1, 1, 3));
        for (int64_t i = 0; i < 3; i++)
            ck_assert_double_eq(get(&test.outputs[0], i), (double)(4 * i));
        fake_free(&test);
    }
    free_tensor(&x);
    free_tensor(&w);
}
END_TEST

static void fails(tl_status status, const char *text, const fake_attribute *attributes, size_t count)
{
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(1, 2, 5)), w = new_tensor(TL_FLOAT, DIMS(4, 2, 3));
    fake_case test = {
        .op = &tl_op_Conv_1, .attributes = attributes, .attribute_count = count, .inputs = {&x, &w}, .input_count = 2};
    run_fails(&test, status, text);
    free_tensor(&x);
    free_tensor(&w);
}
#define FAILS(status, text, ...) fails(status, text, ATTRIBUTES(__VA_ARGS__))

START_TEST(hostile_attributes)
{
    FAILS(TL_INVALID_MODEL, "group", ATTR_I("group", 0));
    FAILS(TL_INVALID_MODEL, "groups", ATTR_I("group", 3));
    FAILS(TL_INVALID_INPUT, "channels", ATTR_I("group", 2));
    FAILS(TL_INVALID_MODEL, "4611686018427387904", ATTR_I("group", INT64_C(1) << 62));
    FAILS(TL_INVALID_MODEL, "kernel_shape", ATTR_IS("kernel_shape", 4));
    FAILS(TL_INVALID_MODEL, "spatial", ATTR_IS("kernel_shape", 3, 3));
    FAILS(TL_INVALID_MODEL, "strides[0]", ATTR_IS("strides", 0));
    FAILS(TL_INVALID_MODEL, "dilations[0]", ATTR_IS("dilations", -1));
    FAILS(TL_INVALID_MODEL, "pads[1]", ATTR_IS("pads", 0, -1));
    FAILS(TL_INVALID_MODEL, "pads has 3", ATTR_IS("pads", 0, 1, 1));
    FAILS(TL_INVALID_MODEL, "auto_pad is 'SAME', but must be one of: NOTSET VALID", ATTR_S("auto_pad", "SAME"));
    FAILS(TL_INVALID_MODEL, "auto_pad is 'VALID S", ATTR_S("auto_pad", "VALID SAME_UPPER"));
    FAILS(TL_INVALID_MODEL, "auto_pad is 'VALID '", ATTR_S("auto_pad", "VALID "));
    FAILS(TL_INVALID_MODEL, "another attribute", ATTR_IS("pads", 0, 1), ATTR_IS("strides", 1, 1));
    FAILS(TL_INVALID_MODEL, "too large", ATTR_IS("dilations", INT64_MAX));
    FAILS(TL_INVALID_MODEL, "too large", ATTR_IS("pads", INT64_MAX, INT64_MAX));
    FAILS(TL_INVALID_MODEL, "too large", ATTR_IS("pads", INT64_MAX, 0));
    FAILS(TL_INVALID_INPUT, "spans", ATTR_IS("dilations", 3));
    FAILS(TL_NO_MEMORY, NULL, ATTR_IS("pads", INT64_C(1) << 61, INT64_C(1) << 61));
}
END_TEST

/* Sizes at the edge of what fits: huge strides, dilations and pads that leave a small output are plain problems. */
START_TEST(huge_but_valid)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 1, 5)), w = random_tensor(TL_FLOAT, DIMS(1, 1, 2));
    const int64_t far = INT64_C(1) << 61;
    const fake_attribute attributes[] = {ATTR_IS("strides", INT64_MAX), ATTR_IS("dilations", far),
                                         ATTR_IS("pads", 0, far)};
    fake_case test = {
        .op = &tl_op_Conv_1, .attributes = attributes, .attribute_count = 3, .inputs = {&x, &w}, .input_count = 2};
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(1, 1, 1));
    ck_assert(get(&test.outputs[0], 0) == (float)(get(&x, 0) * get(&w, 0)));
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Conv");
    ADD_TEST(suite, random_problems);
    ADD_TEST(suite, many_small_samples);
    ADD_TEST(suite, no_channels_gives_the_bias);
    ADD_TEST(suite, many_axes);
    ADD_TEST(suite, same_never_crops);
    ADD_TEST(suite, hostile_attributes);
    ADD_TEST(suite, huge_but_valid);
    return run_suite(suite);
}
