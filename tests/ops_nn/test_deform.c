/* DeformConv against one sum per element in double. */
#include <math.h>
#include <string.h>
#include "support.h"

extern const tl_operator tl_op_DeformConv_19, tl_op_Conv_1;

typedef struct shape {
    int64_t group, offset_groups, strides[3], dilations[3], pads[6];
} shape;

static int64_t at_index(const tl_tensor *tensor, const int64_t *at)
{
    int64_t i = 0;
    for (int32_t k = 0; k < tensor->rank; k++)
        i = i * tensor->dims[k] + at[k];
    return i;
}

/* X at a real position, between elements by linear interpolation, zero outside. */
static double between(const tl_tensor *x, int64_t image, int64_t channel, const double *position, int32_t spatial)
{
    double sum = 0;
    for (int corner = 0; corner < 1 << spatial; corner++) {
        int64_t at[5] = {image, channel};
        double weight = 1;
        for (int32_t i = 0; i < spatial && weight != 0; i++) {
            const double low = floor(position[i]), part = position[i] - low;
            weight *= corner >> i & 1 ? part : 1 - part;
            at[i + 2] = (int64_t)low + (corner >> i & 1);
            weight = at[i + 2] < 0 || at[i + 2] >= x->dims[i + 2] ? 0 : weight;
        }
        sum += weight == 0 ? 0 : weight * get(x, at_index(x, at));
    }
    return sum;
}

static double naive(const shape *s, const tl_tensor *x, const tl_tensor *w, const tl_tensor *offset,
                    const tl_tensor *mask, const int64_t *out)
{
    const int32_t spatial = x->rank - 2;
    const int64_t channels = w->dims[1], filters = w->dims[0] / s->group;
    int64_t taps = 1;
    double sum = 0;
    for (int32_t i = 0; i < spatial; i++)
        taps *= w->dims[i + 2];
    for (int64_t c = 0; c < channels; c++)
        for (int64_t tap = 0; tap < taps; tap++) {
            const int64_t channel = out[1] / filters * channels + c;
            const int64_t group = channel / (x->dims[1] / s->offset_groups);
            int64_t weight[5] = {out[1], c}, from[5], rest = tap;
            double position[3];
            memcpy(from, out, sizeof from);
            for (int32_t i = spatial - 1; i >= 0; i--) {
                weight[i + 2] = rest % w->dims[i + 2];
                rest /= w->dims[i + 2];
                from[1] = (group * taps + tap) * spatial + i;
                position[i] = (double)(out[i + 2] * s->strides[i] - s->pads[i] + weight[i + 2] * s->dilations[i]) +
                              get(offset, at_index(offset, from));
            }
            from[1] = group * taps + tap;
            sum += get(w, at_index(w, weight)) * between(x, out[0], channel, position, spatial) *
                   (mask ? get(mask, at_index(mask, from)) : 1);
        }
    return sum;
}

#define LIST(label, list, length)                                                    \
    {                                                                                \
        .name = label, .kind = TL_ATTR_INTS, .ints = list, .count = (size_t)(length) \
    }

static void check(tl_type type, int32_t spatial)
{
    shape s = {.group = random_int(1, 2), .offset_groups = random_int(1, 2)};
    int64_t x_dims[5] = {2, 4}, w_dims[5] = {4, 4 / s.group}, o_dims[5] = {2}, taps = s.offset_groups;
    for (int32_t i = 0; i < spatial; i++) {
        s.strides[i] = random_int(1, 2);
        s.dilations[i] = random_int(1, 2);
        s.pads[i] = random_int(0, 2);
        s.pads[spatial + i] = random_int(0, 2);
        x_dims[i + 2] = random_int(spatial == 1 ? 60 : 4, spatial == 1 ? 150 : 12 - 2 * spatial);
        w_dims[i + 2] = random_int(1, 2);
        if (random_int(0, 3) == 0) /* nothing lies beside it */
            x_dims[i + 2] = w_dims[i + 2] = 1;
        o_dims[i + 2] = (x_dims[i + 2] + s.pads[i] + s.pads[spatial + i] - s.dilations[i] * (w_dims[i + 2] - 1) - 1) /
                            s.strides[i] +
                        1;
        taps *= w_dims[i + 2];
    }
    tl_tensor x = random_tensor(type, spatial + 2, x_dims), w = random_tensor(type, spatial + 2, w_dims);
    o_dims[1] = taps * spatial;
    tl_tensor offset = random_tensor(type, spatial + 2, o_dims), bias = random_tensor(type, DIMS(4));
    o_dims[1] = taps;
    tl_tensor mask = random_tensor(type, spatial + 2, o_dims);
    for (int64_t i = 0; i < elements(&offset); i++)
        set(&offset, i, 2 * random_real());
    const bool has_bias = random_int(0, 1), has_mask = random_int(0, 1);
    fake_attribute attributes[] = {ATTR_I("group", s.group), ATTR_I("offset_group", s.offset_groups),
                                   LIST("strides", s.strides, spatial), LIST("dilations", s.dilations, spatial),
                                   LIST("pads", s.pads, 2 * spatial)};
    fake_case test = {.op = &tl_op_DeformConv_19,
                      .attributes = attributes,
                      .attribute_count = 5,
                      .inputs = {&x, &w, &offset, has_bias ? &bias : NULL, has_mask ? &mask : NULL},
                      .input_count = 5};
    run_ok(&test);
    const tl_tensor *y = &test.outputs[0];
    double *want = calloc((size_t)elements(y), sizeof *want);
    for (int64_t i = 0; i < elements(y); i++) {
        int64_t at[5], rest = i;
        for (int32_t k = spatial + 1; k >= 0; k--) {
            at[k] = rest % y->dims[k];
            rest /= y->dims[k];
        }
        want[i] = naive(&s, &x, &w, &offset, has_mask ? &mask : NULL, at) + (has_bias ? get(&bias, at[1]) : 0);
    }
    assert_near(y, want, 8, "DeformConv");
    free(want);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&w);
    free_tensor(&offset);
    free_tensor(&bias);
    free_tensor(&mask);
}

START_TEST(deform_any)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    random_seed(71);
    for (int turn = 0; turn < 120; turn++)
        check(types[turn % 4], 1 + turn / 4 % 3);
}
END_TEST

/* Without offsets it is Conv. */
START_TEST(deform_without_offsets)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 3, 9, 8)), w = random_tensor(TL_FLOAT, DIMS(2, 3, 3, 3));
    tl_tensor offset = new_tensor(TL_FLOAT, DIMS(1, 18, 9, 8));
    fake_attribute pads[] = {ATTR_IS("pads", 1, 1, 1, 1)};
    fake_case moved = {.op = &tl_op_DeformConv_19,
                       .attributes = pads,
                       .attribute_count = 1,
                       .inputs = {&x, &w, &offset},
                       .input_count = 3};
    fake_case plain = {
        .op = &tl_op_Conv_1, .attributes = pads, .attribute_count = 1, .inputs = {&x, &w}, .input_count = 2};
    run_ok(&moved);
    run_ok(&plain);
    double want[144];
    for (int64_t i = 0; i < 144; i++)
        want[i] = get(&plain.outputs[0], i);
    assert_near(&moved.outputs[0], want, 8, "DeformConv without offsets");
    fake_free(&moved);
    fake_free(&plain);
    free_tensor(&x);
    free_tensor(&w);
    free_tensor(&offset);
}
END_TEST

START_TEST(deform_hostile)
{
    static const double far[] = {NAN, INFINITY, -INFINITY, 3e38, -3e38};
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 2, 4)), w = random_tensor(TL_FLOAT, DIMS(2, 2, 1));
    tl_tensor offset = new_tensor(TL_FLOAT, DIMS(1, 1, 4)), empty = new_tensor(TL_FLOAT, DIMS(1, 2, 0));
    tl_tensor few = new_tensor(TL_FLOAT, DIMS(1, 1, 3)), many = new_tensor(TL_FLOAT, DIMS(1, 2, 4));
    for (size_t k = 0; k < sizeof far / sizeof far[0]; k++) {
        for (int64_t i = 0; i < 4; i++)
            set(&offset, i, far[k]);
        fake_case test = {.op = &tl_op_DeformConv_19, .inputs = {&x, &w, &offset}, .input_count = 3};
        run_ok(&test);
        ck_assert_double_eq(get(&test.outputs[0], 3), 0);
        fake_free(&test);
    }
    fake_attribute pads[] = {ATTR_IS("pads", 2, 2)};
    fake_case none = {.op = &tl_op_DeformConv_19,
                      .attributes = pads,
                      .attribute_count = 1,
                      .inputs = {&empty, &w, &offset},
                      .input_count = 3};
    run_ok(&none);
    ck_assert_double_eq(get(&none.outputs[0], 0), 0);
    fake_free(&none);
    fake_case short_offsets = {.op = &tl_op_DeformConv_19, .inputs = {&x, &w, &few}, .input_count = 3};
    fake_case more_offsets = {.op = &tl_op_DeformConv_19, .inputs = {&x, &w, &many}, .input_count = 3};
    run_fails(&short_offsets, TL_INVALID_INPUT, "output's size");
    run_fails(&more_offsets, TL_INVALID_INPUT, "each tap and axis");
    const fake_attribute wrong[] = {ATTR_I("group", 0),         ATTR_I("offset_group", 0),
                                    ATTR_I("offset_group", 3),  ATTR_I("offset_group", INT64_MAX),
                                    ATTR_I("group", INT64_MAX), ATTR_IS("dilations", 0),
                                    ATTR_IS("kernel_shape", 2), ATTR_IS("pads", INT64_MAX, INT64_MAX)};
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
        fake_case test = {.op = &tl_op_DeformConv_19,
                          .attributes = &wrong[k],
                          .attribute_count = 1,
                          .inputs = {&x, &w, &offset},
                          .input_count = 3};
        tl_status status = fake_run(&test);
        ck_assert_msg(status == TL_INVALID_MODEL || status == TL_INVALID_INPUT, "case %zu gave %d", k, status);
    }
    free_tensor(&x);
    free_tensor(&w);
    free_tensor(&offset);
    free_tensor(&empty);
    free_tensor(&few);
    free_tensor(&many);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("deform");
    ADD_TEST(suite, deform_any);
    ADD_TEST(suite, deform_without_offsets);
    ADD_TEST(suite, deform_hostile);
    return run_suite(suite);
}
