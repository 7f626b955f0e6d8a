#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_ConvTranspose_1;

typedef struct problem {
    tl_type type;
    int32_t spatial;
    int64_t batch, group, channels, filters; /* of one group */
    int64_t in[3], kernel[3], strides[3], dilations[3], pads[6], padding[3], shape[3];
    const char *auto_pad;
    bool bias, shape_given;
    uint64_t constant;
} problem;

/* Output size and the pad at the beginning, as the standard's text has them. */
static int64_t axis_size(const problem *p, int i, int64_t *begin)
{
    int64_t full = p->strides[i] * (p->in[i] - 1) + p->padding[i] + (p->kernel[i] - 1) * p->dilations[i] + 1;
    bool same = strncmp(p->auto_pad, "SAME", 4) == 0, set_pads = strcmp(p->auto_pad, "NOTSET") == 0;
    if (!same && !p->shape_given) {
        *begin = set_pads ? p->pads[i] : 0;
        return full - *begin - (set_pads ? p->pads[p->spatial + i] : 0);
    }
    int64_t out = p->shape_given ? p->shape[i] : p->in[i] * p->strides[i];
    int64_t total = full > out ? full - out : 0;
    *begin = strcmp(p->auto_pad, "SAME_UPPER") == 0 ? total / 2 : total - total / 2;
    return out;
}

/* Every input element times every tap, added where it lands. */
static void naive(const problem *p, const tl_tensor *x, const tl_tensor *w, const int64_t *out, const int64_t *begin,
                  double *y)
{
    int64_t in_area = 1, taps = 1, out_area = 1;
    for (int i = 0; i < p->spatial; i++)
        in_area *= p->in[i], taps *= p->kernel[i], out_area *= out[i];
    for (int64_t n = 0; n < p->batch; n++)
        for (int64_t c = 0; c < p->group * p->channels; c++)
            for (int64_t f = 0; f < p->filters; f++)
                for (int64_t i = 0; i < in_area; i++)
                    for (int64_t k = 0; k < taps; k++) {
                        int64_t at = 0, stride = 1, ri = i, rk = k;
                        bool inside = true;
                        for (int d = p->spatial - 1; d >= 0; d--) {
                            int64_t o = ri % p->in[d] * p->strides[d] + rk % p->kernel[d] * p->dilations[d] - begin[d];
                            ri /= p->in[d], rk /= p->kernel[d];
                            inside = inside && o >= 0 && o < out[d];
                            at += o * stride;
                            stride *= out[d];
                        }
                        int64_t m = c / p->channels * p->filters + f;
                        if (inside)
                            y[(n * p->group * p->filters + m) * out_area + at] +=
                                get(x, (n * p->group * p->channels + c) * in_area + i) *
                                get(w, (c * p->filters + f) * taps + k);
                    }
}

static void check_problem(const problem *p)
{
    int64_t out[5] = {p->batch, p->group * p->filters}, begin[3] = {0}, xd[5] = {p->batch, p->group * p->channels};
    int64_t wd[5] = {p->group * p->channels, p->filters};
    for (int i = 0; i < p->spatial; i++) {
        xd[i + 2] = p->in[i];
        wd[i + 2] = p->kernel[i];
        if ((out[i + 2] = axis_size(p, i, &begin[i])) < 0)
            return;
    }
    tl_tensor x = random_tensor(p->type, p->spatial + 2, xd), w = random_tensor(p->type, p->spatial + 2, wd);
    tl_tensor b = random_tensor(p->type, 1, &out[1]);
    fake_attribute a[8];
    size_t count = 0, n = (size_t)p->spatial;
    a[count++] = (fake_attribute)ATTR_I("group", p->group);
    a[count++] = (fake_attribute){.name = "strides", .kind = TL_ATTR_INTS, .ints = p->strides, .count = n};
    a[count++] = (fake_attribute){.name = "dilations", .kind = TL_ATTR_INTS, .ints = p->dilations, .count = n};
    a[count++] = (fake_attribute){.name = "output_padding", .kind = TL_ATTR_INTS, .ints = p->padding, .count = n};
    if (p->shape_given)
        a[count++] = (fake_attribute){.name = "output_shape", .kind = TL_ATTR_INTS, .ints = p->shape, .count = n};
    if (strcmp(p->auto_pad, "NOTSET") == 0)
        a[count++] = (fake_attribute){.name = "pads", .kind = TL_ATTR_INTS, .ints = p->pads, .count = 2 * n};
    else
        a[count++] = (fake_attribute)ATTR_S("auto_pad", p->auto_pad);
    fake_case test = {.op = &tl_op_ConvTranspose_1,
                      .attributes = a,
                      .attribute_count = count,
                      .inputs = {&x, &w, p->bias ? &b : NULL},
                      .input_count = 3,
                      .constant = p->constant & (p->bias ? 6 : 2)};
    run_ok(&test);
    assert_shape(&test.outputs[0], p->spatial + 2, out);
    int64_t total = elements(&test.outputs[0]), area = total / (p->batch ? out[0] * out[1] : 1);
    double *want = calloc((size_t)total + 1, sizeof *want);
    for (int64_t i = 0; i < total && p->bias; i++)
        want[i] = get(&b, i / area % out[1]);
    naive(p, &x, &w, out + 2, begin, want);
    assert_near(&test.outputs[0], want, sqrt((double)(p->channels * elements(&w))) + 1, "ConvTranspose");
    free(want);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&w);
    free_tensor(&b);
}

static problem random_problem(int32_t spatial)
{
    static const char *const auto_pads[] = {"NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    problem p = {.type = types[random_int(0, 3)],
                 .spatial = spatial,
                 .batch = random_int(0, 9) == 0 ? 0 : random_int(1, 2),
                 .group = random_int(1, 3),
                 .channels = random_int(1, 4),
                 .filters = random_int(1, 3),
                 .auto_pad = auto_pads[random_int(0, 5)],
                 .bias = random_int(0, 1) != 0,
                 .shape_given = random_int(0, 3) == 0,
                 .constant = (uint64_t)random_int(0, 7)};
    for (int i = 0; i < spatial; i++) {
        p.in[i] = random_int(1, spatial == 1 ? 300 : 6);
        p.kernel[i] = random_int(1, spatial == 1 ? 7 : 3);
        p.strides[i] = random_int(1, 4);
        p.dilations[i] = random_int(0, 1) ? 1 : random_int(1, 3);
        p.pads[i] = random_int(0, 2);
        p.pads[spatial + i] = random_int(0, 2);
        p.padding[i] = random_int(0, p.strides[i] - 1);
        p.shape[i] = p.in[i] * p.strides[i] + random_int(0, 3) - 1;
    }
    return p;
}

START_TEST(random_problems)
{
    random_seed(3);
    for (int i = 0; i < 450; i++) {
        problem p = random_problem(1 + i % 3);
        check_problem(&p);
    }
}
END_TEST

static void fails(tl_status status, const char *text, const fake_attribute *attributes, size_t count)
{
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(1, 4, 5)), w = new_tensor(TL_FLOAT, DIMS(4, 2, 3));
    fake_case test = {.op = &tl_op_ConvTranspose_1,
                      .attributes = attributes,
                      .attribute_count = count,
                      .inputs = {&x, &w},
                      .input_count = 2};
    run_fails(&test, status, text);
    free_tensor(&x);
    free_tensor(&w);
}
#define FAILS(status, text, ...) fails(status, text, ATTRIBUTES(__VA_ARGS__))

START_TEST(hostile_attributes)
{
    const int64_t far = INT64_C(1) << 61;
    FAILS(TL_INVALID_MODEL, "group", ATTR_I("group", -1));
    FAILS(TL_INVALID_MODEL, "groups", ATTR_I("group", 3));
    FAILS(TL_INVALID_MODEL, "kernel_shape", ATTR_IS("kernel_shape", 2));
    FAILS(TL_INVALID_MODEL, "spatial axes", ATTR_IS("output_shape", 2, 2));
    FAILS(TL_INVALID_MODEL, "output_padding[0]", ATTR_IS("output_padding", -1));
    FAILS(TL_INVALID_INPUT, "pads", ATTR_IS("pads", 7, 7));
    FAILS(TL_INVALID_MODEL, "too large", ATTR_IS("strides", INT64_MAX));
    FAILS(TL_INVALID_MODEL, "too large", ATTR_IS("dilations", INT64_MAX));
    FAILS(TL_INVALID_MODEL, "too large", ATTR_IS("output_padding", INT64_MAX));
    FAILS(TL_INVALID_MODEL, "too large", ATTR_IS("pads", INT64_MAX, INT64_MAX));
    FAILS(TL_NO_MEMORY, NULL, ATTR_IS("strides", far / 4));
    FAILS(TL_NO_MEMORY, NULL, ATTR_IS("output_shape", far));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ConvTranspose");
    ADD_TEST(suite, random_problems);
    ADD_TEST(suite, hostile_attributes);
    return run_suite(suite);
}
