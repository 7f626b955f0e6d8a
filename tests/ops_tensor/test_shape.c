/* Operators on shapes: results, what they say of symbols ahead of the run, and what they refuse. */
#include "tensors.h"

OPERATOR(Reshape, 5);
OPERATOR(Reshape, 14);
OPERATOR(Flatten, 1);
OPERATOR(Identity, 1);
OPERATOR(Squeeze, 1);
OPERATOR(Squeeze, 13);
OPERATOR(Unsqueeze, 1);
OPERATOR(Unsqueeze, 13);
OPERATOR(Shape, 1);
OPERATOR(Shape, 15);
OPERATOR(Size, 1);
OPERATOR(ConstantOfShape, 9);

typedef struct shape_list {
    int32_t rank;
    int64_t dims[5];
} shape_list;

static tl_tensor tensor_of(shape_list shape)
{
    tl_tensor tensor = random_bytes(TL_FLOAT16, shape.rank, shape.dims);
    return tensor;
}

START_TEST(reshape_any)
{
    static const struct {
        shape_list in, to, out;
        bool allow_zero;
    } cases[] = {
        {{3, {2, 3, 4}}, {2, {4, 6}}, {2, {4, 6}}, false},
        {{3, {2, 3, 4}}, {2, {-1, 4}}, {2, {6, 4}}, false},
        {{3, {2, 3, 4}}, {3, {0, -1, 2}}, {3, {2, 6, 2}}, false},
        {{3, {2, 3, 4}}, {1, {-1}}, {1, {24}}, false},
        {{2, {1, 1}}, {0, {0}}, {0, {0}}, false},
        {{0, {0}}, {3, {1, 1, -1}}, {3, {1, 1, 1}}, false},
        {{3, {0, 3, 4}}, {2, {0, -1}}, {2, {0, 12}}, false},
        {{2, {0, 3}}, {3, {3, 0, 7}}, {3, {3, 0, 7}}, true},
        {{2, {0, 3}}, {2, {-1, 3}}, {2, {0, 3}}, false},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        tl_tensor in = tensor_of(cases[c].in), to = int64_list(cases[c].to.rank, cases[c].to.dims);
        fake_attribute attributes[] = {ATTR_I("allowzero", cases[c].allow_zero)};
        fake_case test = CASE(&tl_op_Reshape_14, attributes, &in, &to);
        test.constant = c & 1 ? UINT64_MAX : 0;
        run_ok(&test);
        assert_shape(&test.outputs[0], cases[c].out.rank, cases[c].out.dims);
        for (int64_t i = 0; i < elements(&in); i++)
            ck_assert(same_element(&test.outputs[0], i, &in, i));
        fake_free(&test);
        free_tensor(&in);
        free_tensor(&to);
    }
}
END_TEST

START_TEST(reshape_refuses)
{
    static const struct {
        shape_list to;
        bool allow_zero;
    } bad[] = {{{2, {-1, -1}}, false},       {{2, {5, 5}}, false},        {{2, {-1, 5}}, false},
               {{2, {-2, 12}}, false},       {{3, {24, 1, 0}}, false},    {{2, {0, -1}}, true},
               {{2, {INT64_MAX, 4}}, false}, {{2, {INT64_MIN, 4}}, false}};
    tl_tensor in = tensor_of((shape_list){2, {4, 6}});
    for (size_t k = 0; k < COUNT(bad); k++) {
        tl_tensor to = int64_list(bad[k].to.rank, bad[k].to.dims);
        fake_attribute attributes[] = {ATTR_I("allowzero", bad[k].allow_zero)};
        fake_case test = CASE(&tl_op_Reshape_14, attributes, &in, &to);
        ck_assert_msg(fake_run(&test) != TL_OK, "case %zu was taken", k);
        free_tensor(&to);
    }
    tl_tensor many = int64_list(17, (int64_t[17]){1});
    fake_case test = PLAIN_CASE(&tl_op_Reshape_5, &in, &many);
    run_fails(&test, TL_INVALID_MODEL, "17");
    free_tensor(&many);
    free_tensor(&in);
}
END_TEST

START_TEST(flatten_any)
{
    static const int64_t want[][2] = {{1, 24}, {2, 12}, {6, 4}, {24, 1}};
    tl_tensor in = tensor_of((shape_list){3, {2, 3, 4}}), scalar = tensor_of((shape_list){0, {0}});
    for (int64_t axis = -3; axis <= 3; axis++) {
        fake_attribute attributes[] = {ATTR_I("axis", axis)};
        fake_case test = CASE(&tl_op_Flatten_1, attributes, &in);
        run_ok(&test);
        assert_shape(&test.outputs[0], 2, want[axis < 0 ? axis + 3 : axis]);
        fake_free(&test);
    }
    fake_attribute zero[] = {ATTR_I("axis", 0)}, beyond[] = {ATTR_I("axis", 4)}, far[] = {ATTR_I("axis", INT64_MIN)};
    fake_case one = CASE(&tl_op_Flatten_1, zero, &scalar);
    run_ok(&one);
    assert_shape(&one.outputs[0], DIMS(1, 1));
    fake_free(&one);
    fake_case bad[] = {CASE(&tl_op_Flatten_1, beyond, &in), CASE(&tl_op_Flatten_1, far, &in)};
    run_fails(&bad[0], TL_INVALID_MODEL, "axis is 4");
    run_fails(&bad[1], TL_INVALID_MODEL, "axis is -");
    free_tensor(&in);
    free_tensor(&scalar);
}
END_TEST

START_TEST(squeeze_and_unsqueeze)
{
    tl_tensor in = tensor_of((shape_list){4, {1, 3, 1, 5}}), axes = int64_list(2, (int64_t[]){-2, 0});
    tl_tensor narrow = tensor_of((shape_list){2, {3, 5}}), wrong = int64_list(1, (int64_t[]){1});
    tl_tensor twice = int64_list(2, (int64_t[]){0, -4}), far = int64_list(1, (int64_t[]){INT64_MIN});
    fake_attribute attributes[] = {ATTR_IS("axes", 0, 2)};
    fake_case squeezes[] = {PLAIN_CASE(&tl_op_Squeeze_13, &in), PLAIN_CASE(&tl_op_Squeeze_13, &in, &axes),
                            PLAIN_CASE(&tl_op_Squeeze_1, &in), CASE(&tl_op_Squeeze_1, attributes, &in)};
    for (size_t k = 0; k < COUNT(squeezes); k++) {
        run_ok(&squeezes[k]);
        assert_shape(&squeezes[k].outputs[0], DIMS(3, 5));
        fake_free(&squeezes[k]);
    }
    fake_case unsqueezes[] = {PLAIN_CASE(&tl_op_Unsqueeze_13, &narrow, &axes),
                              CASE(&tl_op_Unsqueeze_1, attributes, &narrow)};
    for (size_t k = 0; k < COUNT(unsqueezes); k++) {
        unsqueezes[k].constant = 0;
        run_ok(&unsqueezes[k]);
        assert_shape(&unsqueezes[k].outputs[0], DIMS(1, 3, 1, 5));
        fake_free(&unsqueezes[k]);
    }
    fake_case bad[] = {PLAIN_CASE(&tl_op_Squeeze_13, &in, &wrong), PLAIN_CASE(&tl_op_Squeeze_13, &in, &twice),
                       PLAIN_CASE(&tl_op_Squeeze_13, &in, &far), PLAIN_CASE(&tl_op_Unsqueeze_13, &narrow, &twice),
                       PLAIN_CASE(&tl_op_Unsqueeze_13, &narrow, &far)};
    static const char *const words[] = {"dimension 3", "twice", "axis is -", "twice", "axis is -"};
    for (size_t k = 0; k < COUNT(bad); k++)
        run_fails(&bad[k], k == 0 ? TL_INVALID_INPUT : TL_INVALID_MODEL, words[k]);
    tl_tensor *all[] = {&in, &axes, &narrow, &wrong, &twice, &far};
    for (size_t k = 0; k < COUNT(all); k++)
        free_tensor(all[k]);
}
END_TEST

START_TEST(shape_and_size)
{
    tl_tensor in = tensor_of((shape_list){3, {2, 0, 4}});
    for (int64_t start = -5; start <= 5; start++)
        for (int64_t end = -5; end <= 5; end++) {
            fake_attribute attributes[] = {ATTR_I("start", start), ATTR_I("end", end)};
            fake_case test = CASE(&tl_op_Shape_15, attributes, &in);
            run_ok(&test);
            int64_t first = start < 0 ? start + 3 : start, last = end < 0 ? end + 3 : end, n = 0;
            for (int64_t i = 0; i < 3; i++)
                if (i >= first && i < last)
                    ck_assert_int_eq(((int64_t *)test.outputs[0].data)[n++], in.dims[i]);
            assert_shape(&test.outputs[0], DIMS(n));
            fake_free(&test);
        }
    fake_case shape = PLAIN_CASE(&tl_op_Shape_1, &in), size = PLAIN_CASE(&tl_op_Size_1, &in);
    run_ok(&shape);
    run_ok(&size);
    assert_shape(&shape.outputs[0], DIMS(3));
    ck_assert_int_eq(*(int64_t *)size.outputs[0].data, 0);
    fake_free(&shape);
    fake_free(&size);
    fake_case identity = PLAIN_CASE(&tl_op_Identity_1, &in);
    run_ok(&identity);
    assert_shape(&identity.outputs[0], DIMS(2, 0, 4));
    fake_free(&identity);
    free_tensor(&in);
}
END_TEST

START_TEST(constant_of_shape)
{
    tl_tensor list = int64_list(2, (int64_t[]){3, 2}), negative = int64_list(2, (int64_t[]){3, -1});
    for (size_t t = 0; t < 4; t++) {
        tl_tensor value = random_bytes(sized_types[t], DIMS(1)), two = random_bytes(sized_types[t], DIMS(2));
        fake_attribute given[] = {{.name = "value", .kind = TL_ATTR_TENSOR, .tensor = &value}};
        fake_attribute many[] = {{.name = "value", .kind = TL_ATTR_TENSOR, .tensor = &two}};
        fake_case test = CASE(&tl_op_ConstantOfShape_9, given, &list);
        test.constant = t & 1 ? UINT64_MAX : 0;
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(3, 2));
        ck_assert_int_eq(test.outputs[0].type, value.type);
        for (int64_t i = 0; i < 6; i++)
            ck_assert(same_element(&test.outputs[0], i, &value, 0));
        fake_free(&test);
        fake_case wrong = CASE(&tl_op_ConstantOfShape_9, many, &list);
        run_fails(&wrong, TL_INVALID_MODEL, "one element");
        free_tensor(&value);
        free_tensor(&two);
    }
    fake_case zero = PLAIN_CASE(&tl_op_ConstantOfShape_9, &list),
              below = PLAIN_CASE(&tl_op_ConstantOfShape_9, &negative);
    run_ok(&zero);
    ck_assert_int_eq(zero.outputs[0].type, TL_FLOAT);
    ck_assert_double_eq(get(&zero.outputs[0], 5), 0);
    fake_free(&zero);
    run_fails(&below, TL_INVALID_INPUT, "dimension 1 is -1");
    free_tensor(&list);
    free_tensor(&negative);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shape");
    ADD_TEST(suite, reshape_any);
    ADD_TEST(suite, reshape_refuses);
    ADD_TEST(suite, flatten_any);
    ADD_TEST(suite, squeeze_and_unsqueeze);
    ADD_TEST(suite, shape_and_size);
    ADD_TEST(suite, constant_of_shape);
    return run_suite(suite);
}
