/* LabelEncoder, ArrayFeatureExtractor, Binarizer. */
#include <math.h>
#include "tensors.h"

OPERATOR(LabelEncoder, 1);
OPERATOR(LabelEncoder, 2);
OPERATOR(LabelEncoder, 4);
OPERATOR(ArrayFeatureExtractor, 1);
OPERATOR(Binarizer, 1);

#define TEXTS(label, list)                                                            \
    {                                                                                 \
        .name = label, .kind = TL_ATTR_STRINGS, .strings = list, .count = COUNT(list) \
    }
#define TENSOR(label, value)                                   \
    {                                                          \
        .name = label, .kind = TL_ATTR_TENSOR, .tensor = value \
    }

static const tl_string names[] = {{"b", 1}, {"", 0}, {"ba", 2}, {"a", 1}};

static tl_tensor texts(void)
{
    tl_tensor x = new_tensor(TL_STRING, DIMS(2, 3));
    const tl_string all[] = {names[3], names[0], {"bab", 3}, names[2], names[1], {"B", 1}};
    memcpy(x.data, all, sizeof all);
    return x;
}

static void assert_text(const tl_tensor *y, int64_t i, const char *want)
{
    const tl_string *have = &((const tl_string *)y->data)[i];
    ck_assert_uint_eq(have->size, strlen(want));
    ck_assert_mem_eq(have->data, want, have->size);
}

START_TEST(strings_to_numbers)
{
    static const int64_t want[] = {40, 10, -7, 30, 20, -7};
    const fake_attribute a[] = {TEXTS("keys_strings", names), ATTR_IS("values_int64s", 10, 20, 30, 40),
                                ATTR_I("default_int64", -7)};
    tl_tensor x = texts();
    fake_case test = CASE(&tl_op_LabelEncoder_2, a, &x);
    run_ok(&test);
    ck_assert_int_eq(test.outputs[0].type, TL_INT64);
    assert_shape(&test.outputs[0], DIMS(2, 3));
    ck_assert_mem_eq(test.outputs[0].data, want, sizeof want);
    fake_free(&test);
    free_tensor(&x);
}
END_TEST

START_TEST(version_1_knows_classes)
{
    static const int64_t want[] = {3, 0, -1, 2, 1, -1}, back[] = {-1, 0, 3, 4, INT64_MIN, INT64_MAX};
    const fake_attribute a[] = {TEXTS("classes_strings", names)};
    tl_tensor x = texts(), numbers = int64_list(6, back);
    fake_case test = CASE(&tl_op_LabelEncoder_1, a, &x), reverse = CASE(&tl_op_LabelEncoder_1, a, &numbers);
    run_ok(&test);
    ck_assert_mem_eq(test.outputs[0].data, want, sizeof want);
    fake_free(&test);
    run_ok(&reverse);
    ck_assert_int_eq(reverse.outputs[0].type, TL_STRING);
    for (int64_t i = 0; i < 6; i++)
        assert_text(&reverse.outputs[0], i, i == 1 ? "b" : i == 2 ? "a" : "_Unused");
    fake_free(&reverse);
    free_tensor(&x);
    free_tensor(&numbers);
}
END_TEST

/* Version 2 compares bits, version 4 values; there the last of equal keys counts. */
START_TEST(float_keys)
{
    const float inputs[] = {-NAN, -0.0F, 1.5F, 2.0F, 0.0F};
    const fake_attribute a[] = {ATTR_FS("keys_floats", NAN, 0.0F, 1.5F, 1.5F), ATTR_FS("values_floats", 1, 2, 3, 4),
                                ATTR_F("default_float", 9)};
    static const float old[] = {9, 9, 4, 9, 2}, now[] = {1, 2, 4, 9, 2};
    tl_tensor x = float_list(5, inputs);
    fake_case test = CASE(&tl_op_LabelEncoder_2, a, &x);
    run_ok(&test);
    ck_assert_mem_eq(test.outputs[0].data, old, sizeof old);
    fake_free(&test);
    test.op = &tl_op_LabelEncoder_4;
    run_ok(&test);
    ck_assert_mem_eq(test.outputs[0].data, now, sizeof now);
    fake_free(&test);
    free_tensor(&x);
}
END_TEST

START_TEST(tensors_as_lists)
{
    static const tl_type types[] = {TL_DOUBLE, TL_INT32, TL_INT64, TL_FLOAT};
    for (size_t from = 0; from < COUNT(types); from++)
        for (size_t to = 0; to < COUNT(types); to++) {
            tl_tensor keys = new_tensor(types[from], DIMS(3)), values = new_tensor(types[to], DIMS(3)),
                      other = new_tensor(types[to], DIMS(1)), x = new_tensor(types[from], DIMS(4));
            for (int64_t i = 0; i < 3; i++) {
                set(&keys, i, (double)(5 - i));
                set(&values, i, (double)(10 * i));
            }
            set(&other, 0, 77);
            for (int64_t i = 0; i < 4; i++)
                set(&x, i, (double)(i + 2));
            const fake_attribute a[] = {TENSOR("keys_tensor", &keys), TENSOR("values_tensor", &values),
                                        TENSOR("default_tensor", &other)};
            fake_case test = CASE(&tl_op_LabelEncoder_4, a, &x);
            for (int plain = 0; plain < 2; plain++) {
                test.attribute_count = plain ? 2 : 3;
                run_ok(&test);
                ck_assert_int_eq(test.outputs[0].type, types[to]);
                const double missing = !plain ? 77 : types[to] == TL_FLOAT || types[to] == TL_DOUBLE ? 0 : -1;
                const double want[] = {missing, 20, 10, 0};
                for (int64_t i = 0; i < 4; i++)
                    ck_assert(get(&test.outputs[0], i) == want[i]);
                fake_free(&test);
            }
            tl_tensor *all[] = {&keys, &values, &other, &x};
            for (size_t k = 0; k < COUNT(all); k++)
                free_tensor(all[k]);
        }
}
END_TEST

START_TEST(short_integers)
{
    int16_t numbers[] = {-5, 300, 7, -5}, values[] = {-1, 2, 30000, 4}, want[] = {4, -1, 2};
    int16_t inputs[] = {-5, 0, 300};
    const tl_tensor keys = {.data = numbers, .type = TL_INT16, .rank = 1, .dims = {4}};
    const tl_tensor to = {.data = values, .type = TL_INT16, .rank = 1, .dims = {4}};
    const tl_tensor x = {.data = inputs, .type = TL_INT16, .rank = 1, .dims = {3}};
    const fake_attribute a[] = {TENSOR("keys_tensor", &keys), TENSOR("values_tensor", &to)};
    fake_case test = CASE(&tl_op_LabelEncoder_4, a, &x);
    run_ok(&test);
    ck_assert_mem_eq(test.outputs[0].data, want, sizeof want);
    fake_free(&test);
}
END_TEST

START_TEST(encoder_refuses)
{
    tl_tensor x = texts(), number = int64_scalar(3);
    const fake_attribute none[] = {TEXTS("keys_strings", names)};
    const fake_attribute two[] = {TEXTS("keys_strings", names), ATTR_IS("keys_int64s", 1, 2, 3, 4),
                                  ATTR_IS("values_int64s", 1, 2, 3, 4)};
    const fake_attribute uneven[] = {TEXTS("keys_strings", names), ATTR_IS("values_int64s", 1, 2, 3)};
    const fake_attribute good[] = {TEXTS("keys_strings", names), ATTR_IS("values_int64s", 1, 2, 3, 4)};
    const fake_attribute wrong[] = {TEXTS("keys_strings", names), ATTR_FS("values_floats", 1, 2, 3, 4),
                                    TENSOR("default_tensor", &number)};
    fake_case test = CASE(&tl_op_LabelEncoder_4, none, &x);
    run_fails(&test, TL_INVALID_MODEL, "no values");
    test = CASE(&tl_op_LabelEncoder_4, two, &x);
    run_fails(&test, TL_INVALID_MODEL, "both");
    test = CASE(&tl_op_LabelEncoder_4, uneven, &x);
    run_fails(&test, TL_INVALID_MODEL, "4 keys, but 3 values");
    test = CASE(&tl_op_LabelEncoder_4, good, &number);
    run_fails(&test, TL_INVALID_MODEL, "the keys");
    test = CASE(&tl_op_LabelEncoder_4, wrong, &x);
    run_fails(&test, TL_INVALID_MODEL, "default_tensor");
    free_tensor(&x);
    free_tensor(&number);
}
END_TEST

START_TEST(feature_extractor)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_INT32, TL_INT64, TL_STRING};
    random_seed(5);
    for (int i = 0; i < 60; i++) {
        int64_t dims[4], at[8] = {0};
        const int32_t rank = (int32_t)random_int(1, 3);
        random_dims(rank, 1, 5, dims);
        const int64_t n = random_int(0, 8), width = dims[rank - 1];
        for (int64_t k = 0; k < n; k++)
            at[k] = random_int(0, width - 1);
        tl_tensor x = random_bytes(types[i % 5], rank, dims), indices = int64_list(n, at);
        fake_case test = PLAIN_CASE(&tl_op_ArrayFeatureExtractor_1, &x, &indices);
        run_ok(&test);
        const tl_tensor *y = &test.outputs[0];
        ck_assert_int_eq(y->rank, rank == 1 ? 2 : rank);
        ck_assert_int_eq(y->dims[y->rank - 1], n);
        ck_assert_int_eq(elements(y), elements(&x) / width * n);
        for (int64_t k = 0; k < elements(y); k++)
            ck_assert(same_element(y, k, &x, k / n * width + at[k % n]));
        fake_free(&test);
        if (n > 0) {
            ((int64_t *)indices.data)[n - 1] = i % 2 ? width : -1;
            run_fails(&test, TL_INVALID_INPUT, "must be in");
        }
        free_tensor(&x);
        free_tensor(&indices);
    }
}
END_TEST

START_TEST(binarizer)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_INT32, TL_INT64};
    const fake_attribute a[] = {ATTR_F("threshold", 0.25F)};
    for (size_t t = 0; t < COUNT(types); t++) {
        tl_tensor x = random_tensor(types[t], DIMS(7, 100));
        fake_case test = CASE(&tl_op_Binarizer_1, a, &x);
        run_ok(&test);
        for (int64_t i = 0; i < 700; i++)
            ck_assert(get(&test.outputs[0], i) == (get(&x, i) > 0.25 ? 1 : 0));
        fake_free(&test);
        free_tensor(&x);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("labels");
    ADD_TEST(suite, strings_to_numbers);
    ADD_TEST(suite, version_1_knows_classes);
    ADD_TEST(suite, float_keys);
    ADD_TEST(suite, tensors_as_lists);
    ADD_TEST(suite, short_integers);
    ADD_TEST(suite, encoder_refuses);
    ADD_TEST(suite, feature_extractor);
    ADD_TEST(suite, binarizer);
    return run_suite(suite);
}
