/* QuantizeLinear and DequantizeLinear by the standard's formula, element by element; CenterCropPad; NonMaxSuppression
 * on boxes whose overlaps are plain to see. */
#include "tensors.h"
#include <math.h>

OPERATOR(QuantizeLinear, 21);
OPERATOR(QuantizeLinear, 23);
OPERATOR(DequantizeLinear, 21);
OPERATOR(DynamicQuantizeLinear, 11);
OPERATOR(CenterCropPad, 18);
OPERATOR(NonMaxSuppression, 10);

/* Which scale element i has: a single one, one per index of the axis, or one per block. */
static int64_t scale_of(const tl_tensor *x, const tl_tensor *scale, int64_t axis, int64_t block, int64_t i)
{
    int64_t at[3];
    coordinates(x, i, at);
    if (scale->rank == 0)
        return 0;
    if (block == 0)
        return at[axis];
    at[axis] /= block;
    return index_of(scale, at);
}

static tl_tensor random_scales(const tl_tensor *x, int kind, int64_t axis, int64_t block)
{
    int64_t dims[3];
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = (dims[axis] + block - 1) / (block ? block : 1);
    tl_tensor scale = kind == 0   ? new_tensor(TL_FLOAT, 0, NULL)
                      : kind == 1 ? new_tensor(TL_FLOAT, DIMS(x->dims[axis]))
                                  : new_tensor(TL_FLOAT, x->rank, dims);
    for (int64_t i = 0; i < elements(&scale); i++)
        set(&scale, i, (double)random_int(1, 16) / 16);
    return scale;
}

START_TEST(quantize_and_dequantize)
{
    static const tl_type types[] = {TL_INT8, TL_UINT8, TL_INT16, TL_UINT16};
    static const double low[] = {-128, 0, -32768, 0}, high[] = {127, 255, 32767, 65535};
    random_seed(41);
    for (int round = 0; round < 300; round++) {
        int32_t rank = (int32_t)random_int(1, 3);
        int64_t dims[3], axis = random_int(0, rank - 1), block = random_int(1, 3);
        int kind = round % 3, t = (int)random_int(0, 3);
        if (kind != 2)
            block = 0;
        random_dims(rank, round % 20 == 0 ? 1 : 2, round % 50 == 0 ? 40 : 7, dims);
        if (round % 30 >= 27) /* more scales than are taken at a time */
            dims[axis] = 1100;
        tl_tensor x = random_tensor(TL_FLOAT, rank, dims), scale = random_scales(&x, kind, axis, block);
        tl_tensor zero = new_tensor(types[t], scale.rank, scale.dims);
        for (int64_t i = 0; i < elements(&x); i++)
            set(&x, i, (double)random_int(-4000, 4000) / 32 * (t < 2 ? 1 : 256));
        for (int64_t i = 0; i < elements(&zero); i++)
            set(&zero, i, (double)random_int(t % 2 ? 0 : -20, 20));
        fake_attribute attributes[] = {ATTR_I("axis", axis - (round & 1) * rank), ATTR_I("block_size", block)};
        fake_case quantize = CASE(&tl_op_QuantizeLinear_21, attributes, &x, &scale, &zero);
        run_ok(&quantize);
        const tl_tensor *y = &quantize.outputs[0];
        fake_case dequantize = CASE(&tl_op_DequantizeLinear_21, attributes, y, &scale, &zero);
        run_ok(&dequantize);
        for (int64_t i = 0; i < elements(&x); i++) {
            int64_t s = scale_of(&x, &scale, axis, block, i);
            double want = nearbyint((double)((float)get(&x, i) / (float)get(&scale, s))) + get(&zero, s);
            want = fmin(fmax(want, low[t]), high[t]);
            ck_assert_double_eq(get(y, i), want);
            ck_assert_double_eq(get(&dequantize.outputs[0], i),
                                (double)((float)(want - get(&zero, s)) * (float)get(&scale, s)));
        }
        fake_free(&quantize);
        fake_free(&dequantize);
        free_tensor(&x);
        free_tensor(&scale);
        free_tensor(&zero);
    }
}
END_TEST

/* int32 has no other way but back, and is rounded to float first. */
START_TEST(dequantize_integers)
{
    tl_tensor x = new_tensor(TL_INT32, DIMS(2, 3)), scale = float_list(2, (float[]){0.5f, 3}),
              zero = new_tensor(TL_INT32, DIMS(2));
    static const double values[] = {INT32_MIN, INT32_MAX, 16777217, -1, 0, 7};
    for (int64_t i = 0; i < 6; i++)
        set(&x, i, values[i]);
    fake_attribute axis[] = {ATTR_I("axis", 0)};
    fake_case test = CASE(&tl_op_DequantizeLinear_21, axis, &x, &scale, &zero);
    run_ok(&test);
    for (int64_t i = 0; i < 6; i++)
        ck_assert_double_eq(get(&test.outputs[0], i), (double)((float)values[i] * (i < 3 ? 0.5f : 3)));
    fake_free(&test);
    free_tensor(&x);
    tl_tensor none = new_tensor(TL_INT32, DIMS(2, 0));
    fake_case empty = CASE(&tl_op_DequantizeLinear_21, axis, &none, &scale, &zero);
    run_ok(&empty);
    ck_assert_int_eq(elements(&empty.outputs[0]), 0);
    fake_free(&empty);
    free_tensor(&none);
    free_tensor(&scale);
    free_tensor(&zero);
}
END_TEST

START_TEST(quantize_extremes)
{
    static const float values[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 0.5f, 1.5f, 2.5f, -0.5f};
    static const double want[] = {127, -128, -128, 127, -128, 0, 2, 2, 0};
    tl_tensor x = float_list(9, values), scale = float_list(1, (float[]){1});
    fake_attribute type[] = {ATTR_I("output_dtype", TL_INT8)};
    fake_case test = CASE(&tl_op_QuantizeLinear_23, type, &x, &scale);
    run_ok(&test);
    for (int64_t i = 0; i < 9; i++)
        ck_assert_double_eq(get(&test.outputs[0], i), want[i]);
    fake_free(&test);
    tl_tensor wrong = float_list(3, values), zero = new_tensor(TL_UINT8, DIMS(2));
    fake_case count = PLAIN_CASE(&tl_op_QuantizeLinear_21, &x, &wrong);
    run_fails(&count, TL_INVALID_MODEL, "axis");
    fake_attribute first[] = {ATTR_I("axis", 0)};
    fake_case axis = CASE(&tl_op_QuantizeLinear_21, first, &x, &wrong);
    run_fails(&axis, TL_INVALID_INPUT, "3 elements, but axis 0 has 9");
    fake_case zeros = CASE(&tl_op_QuantizeLinear_21, first, &x, &scale, &zero);
    run_fails(&zeros, TL_INVALID_INPUT, "zero point");
    fake_attribute bad_type[] = {ATTR_I("output_dtype", TL_FLOAT)}, block[] = {ATTR_I("block_size", -1)};
    fake_case named = CASE(&tl_op_QuantizeLinear_23, bad_type, &x, &scale);
    run_fails(&named, TL_INVALID_MODEL, "output_dtype");
    fake_case blocks = CASE(&tl_op_QuantizeLinear_23, block, &x, &scale);
    run_fails(&blocks, TL_INVALID_MODEL, "block_size is -1");
    free_tensor(&x);
    free_tensor(&scale);
    free_tensor(&wrong);
    free_tensor(&zero);
}
END_TEST

/* What onnx.reference says, with a scale of 0.5, without a zero point and with 1.5. */
START_TEST(quantize_six_bits)
{
    static const float values[] = {-100, -3.1f, -0.02f, 0, 0.05f, 0.0625f, 0.3f, 1.4f, 2.125f, 3.3f, 7.6f, 1000};
    static const struct {
        tl_type type;
        uint8_t zero;
        uint8_t codes[12];
        float back[12];
    } cases[] = {{TL_FLOAT6E2M3,
                  0,
                  {63, 60, 32, 0, 1, 1, 5, 19, 24, 29, 31, 31},
                  {-3.75f, -3, 0, 0, 0.0625f, 0.0625f, 0.3125f, 1.375f, 2, 3.25f, 3.75f, 3.75f}},
                 {TL_FLOAT6E2M3,
                  12,
                  {63, 57, 12, 12, 13, 13, 16, 25, 28, 31, 31, 31},
                  {-4.5f, -3, 0, 0, 0.0625f, 0.0625f, 0.25f, 1.5f, 2.25f, 3, 3, 3}},
                 {TL_FLOAT6E3M2,
                  0,
                  {63, 54, 33, 0, 2, 2, 9, 18, 20, 23, 28, 31},
                  {-14, -3, -0.03125f, 0, 0.0625f, 0.0625f, 0.3125f, 1.5f, 2, 3.5f, 8, 14}},
                 {TL_FLOAT6E3M2,
                  14,
                  {63, 53, 14, 14, 14, 14, 16, 20, 22, 24, 28, 31},
                  {-14.75f, -3.25f, 0, 0, 0, 0, 0.25f, 1.25f, 2.25f, 3.25f, 7.25f, 13.25f}}};
    tl_tensor x = float_list(12, values), scale = float_list(1, (float[]){0.5f});
    for (size_t k = 0; k < COUNT(cases); k++)
        for (int saturate = 0; saturate < 2; saturate++) { /* nothing else that they could do */
            tl_tensor zero = new_tensor(cases[k].type, DIMS(1));
            *(uint8_t *)zero.data = cases[k].zero;
            fake_attribute attributes[] = {ATTR_I("output_dtype", cases[k].type), ATTR_I("saturate", saturate)};
            fake_case quantize = CASE(&tl_op_QuantizeLinear_23, attributes, &x, &scale, cases[k].zero ? &zero : NULL);
            run_ok(&quantize);
            ck_assert_int_eq(quantize.outputs[0].type, cases[k].type);
            ck_assert_mem_eq(quantize.outputs[0].data, cases[k].codes, 12);
            fake_case dequantize = PLAIN_CASE(&tl_op_DequantizeLinear_21, &quantize.outputs[0], &scale, &zero);
            run_ok(&dequantize);
            for (int64_t i = 0; i < 12; i++)
                ck_assert_double_eq(get(&dequantize.outputs[0], i), (double)cases[k].back[i]);
            fake_free(&quantize);
            fake_free(&dequantize);
            free_tensor(&zero);
        }
    free_tensor(&x);
    free_tensor(&scale);
}
END_TEST

START_TEST(dynamic_quantize)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(700));
    for (int64_t i = 0; i < 700; i++)
        set(&x, i, (double)random_int(-300, 700) / 100);
    fake_case test = PLAIN_CASE(&tl_op_DynamicQuantizeLinear_11, &x);
    run_ok(&test);
    double scale = get(&test.outputs[1], 0), zero = get(&test.outputs[2], 0);
    for (int64_t i = 0; i < 700; i++)
        ck_assert_double_le(fabs((get(&test.outputs[0], i) - zero) * scale - get(&x, i)), scale * 1.01);
    fake_free(&test);
    free_tensor(&x);
}
END_TEST

START_TEST(center_crop_pad)
{
    random_seed(42);
    for (int round = 0; round < 100; round++) {
        int64_t dims[3], shape[3];
        random_dims(3, 1, 6, dims);
        random_dims(3, 0, 8, shape);
        tl_tensor x = random_bytes(sized_types[round % 5], 3, dims), list = int64_list(3, shape);
        fake_case test = PLAIN_CASE(&tl_op_CenterCropPad_18, &x, &list);
        test.constant = round & 1 ? UINT64_MAX : 0;
        run_ok(&test);
        assert_shape(&test.outputs[0], 3, shape);
        for (int64_t i = 0; i < elements(&test.outputs[0]); i++) {
            int64_t at[3];
            bool inside = true;
            coordinates(&test.outputs[0], i, at);
            for (int k = 0; k < 3; k++) {
                at[k] += dims[k] > shape[k] ? (dims[k] - shape[k]) / 2 : -((shape[k] - dims[k]) / 2);
                inside = inside && at[k] >= 0 && at[k] < dims[k];
            }
            ck_assert(same_element(&test.outputs[0], i, &x, inside ? index_of(&x, at) : -1));
        }
        fake_free(&test);
        free_tensor(&x);
        free_tensor(&list);
    }
}
END_TEST

START_TEST(boxes)
{
    /* Box k covers [k, k + 2) both ways: neighbours share a quarter of a box, 1/7 of their union. */
    tl_tensor box_list = new_tensor(TL_FLOAT, DIMS(1, 5, 4)), scores = new_tensor(TL_FLOAT, DIMS(1, 2, 5));
    static const double list[2][5] = {{0.1, 0.9, 0.5, 0.9, 0.2}, {0.5, 0.4, 0.3, 0.2, 0.1}};
    for (int64_t k = 0; k < 5; k++) {
        for (int64_t i = 0; i < 4; i++) /* every other one by its other diagonal */
            set(&box_list, 4 * k + i, (double)(k + ((i < 2) == (k & 1) ? 2 : 0)));
        set(&scores, k, list[0][k]);
        set(&scores, 5 + k, list[1][k]);
    }
    static const struct {
        int64_t most;
        float iou, score;
        int64_t count, boxes[8];
    } cases[] = {{3, 0.1f, 0, 5, {1, 3, 0, 2, 4}},
                 {2, 0.2f, 0, 4, {1, 3, 0, 1}},
                 {9, 0.1f, 0.45f, 3, {1, 3, 0}},
                 {0, 1, 0, 0, {0}}};
    for (size_t c = 0; c < COUNT(cases); c++) {
        tl_tensor most = int64_scalar(cases[c].most), iou = float_list(1, &cases[c].iou);
        tl_tensor score = float_list(1, &cases[c].score);
        fake_case test = PLAIN_CASE(&tl_op_NonMaxSuppression_10, &box_list, &scores, &most, &iou, &score);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(cases[c].count, 3));
        for (int64_t i = 0; i < cases[c].count; i++)
            ck_assert_int_eq((int64_t)get(&test.outputs[0], 3 * i + 2), cases[c].boxes[i]);
        fake_free(&test);
        free_tensor(&most);
        free_tensor(&iou);
        free_tensor(&score);
    }
    free_tensor(&box_list);
    free_tensor(&scores);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantize");
    ADD_TEST(suite, quantize_and_dequantize);
    ADD_TEST(suite, dequantize_integers);
    ADD_TEST(suite, quantize_extremes);
    ADD_TEST(suite, quantize_six_bits);
    ADD_TEST(suite, dynamic_quantize);
    ADD_TEST(suite, center_crop_pad);
    ADD_TEST(suite, boxes);
    return run_suite(suite);
}
