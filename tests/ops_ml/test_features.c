/* Scaler, Normalizer, Imputer, OneHotEncoder, LinearRegressor, LinearClassifier, SVMRegressor, SVMClassifier. */
#include <math.h>
#include "tensors.h"

OPERATOR(Scaler, 1);
OPERATOR(Normalizer, 1);
OPERATOR(Imputer, 1);
OPERATOR(OneHotEncoder, 1);
OPERATOR(LinearRegressor, 1);
OPERATOR(LinearClassifier, 1);
OPERATOR(SVMClassifier, 1);
OPERATOR(SVMRegressor, 1);

#define TEXTS(label, list)                                                            \
    {                                                                                 \
        .name = label, .kind = TL_ATTR_STRINGS, .strings = list, .count = COUNT(list) \
    }

static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_INT32, TL_INT64};

START_TEST(scaler)
{
    const float offset[] = {1, -2, 0.5F}, scale[] = {2, 4, -1};
    const fake_attribute a[] = {ATTR_FS("offset", 1, -2, 0.5F), ATTR_FS("scale", 2, 4, -1)};
    for (size_t t = 0; t < COUNT(types); t++) {
        tl_tensor x = random_tensor(types[t], DIMS(5, 3)), narrow = random_tensor(types[t], DIMS(5, 2));
        fake_case test = CASE(&tl_op_Scaler_1, a, &x);
        run_ok(&test);
        for (int64_t i = 0; i < 15; i++)
            ck_assert_double_eq_tol(get(&test.outputs[0], i),
                                    (get(&x, i) - (double)offset[i % 3]) * (double)scale[i % 3], 1e-4);
        fake_free(&test);
        test.inputs[0] = &narrow;
        run_fails(&test, TL_INVALID_INPUT, "3 elements for 2 features");
        free_tensor(&x);
        free_tensor(&narrow);
    }
}
END_TEST

START_TEST(normalizer)
{
    static const char *const norms[] = {"MAX", "L1", "L2"};
    for (size_t t = 0; t < COUNT(types); t++)
        for (int k = 0; k < 3; k++) {
            fake_attribute a[] = {ATTR_S("norm", norms[k])};
            tl_tensor x = random_tensor(types[t], DIMS(4, 6));
            for (int64_t i = 0; i < 6; i++)
                set(&x, i, 0);
            fake_case test = CASE(&tl_op_Normalizer_1, a, &x);
            run_ok(&test);
            for (int64_t i = 0; i < 24; i++) {
                double norm = 0;
                for (int64_t j = i / 6 * 6; j < i / 6 * 6 + 6; j++)
                    norm = k == 0   ? fmax(norm, fabs(get(&x, j)))
                           : k == 1 ? norm + fabs(get(&x, j))
                                    : sqrt(norm * norm + get(&x, j) * get(&x, j));
                ck_assert_double_eq_tol(get(&test.outputs[0], i), i < 6 ? 0 : get(&x, i) / norm, 1e-6);
            }
            fake_free(&test);
            a[0].s = "L3";
            run_fails(&test, TL_INVALID_MODEL, "L3");
            free_tensor(&x);
        }
}
END_TEST

START_TEST(imputer)
{
    const fake_attribute a[] = {ATTR_FS("imputed_value_floats", 7, 8), ATTR_IS("imputed_value_int64s", 5, INT64_MAX),
                                ATTR_F("replaced_value_float", NAN), ATTR_I("replaced_value_int64", -3)};
    for (size_t t = 0; t < COUNT(types); t++) {
        const bool real = t < 2;
        tl_tensor x = random_tensor(types[t], DIMS(2, 2));
        set(&x, 0, real ? NAN : -3);
        set(&x, 1, 1);
        set(&x, 2, 2);
        set(&x, 3, real ? NAN : -3);
        fake_case test = CASE(&tl_op_Imputer_1, a, &x);
        run_ok(&test);
        const double last = real ? 8 : types[t] == TL_INT32 ? INT32_MAX : (double)INT64_MAX;
        const double want[] = {real ? 7 : 5, 1, 2, last};
        for (int64_t i = 0; i < 4; i++)
            ck_assert(get(&test.outputs[0], i) == want[i]);
        fake_free(&test);
        test.attribute_count = real ? 0 : 1;
        run_fails(&test, TL_INVALID_MODEL, "imputed");
        free_tensor(&x);
    }
}
END_TEST

START_TEST(one_hot)
{
    static const tl_string names[] = {{"a", 1}, {"", 0}, {"bc", 2}};
    fake_attribute numbers[] = {ATTR_IS("cats_int64s", 4, -2, 0), ATTR_I("zeros", 1)};
    const fake_attribute words[] = {TEXTS("cats_strings", names)};
    const double values[] = {0, -2, 4, 9};
    for (size_t t = 0; t < COUNT(types); t++) {
        tl_tensor x = new_tensor(types[t], DIMS(2, 2));
        for (int64_t i = 0; i < 4; i++)
            set(&x, i, values[i]);
        fake_case test = CASE(&tl_op_OneHotEncoder_1, numbers, &x);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(2, 2, 3));
        for (int64_t i = 0; i < 12; i++)
            ck_assert(get(&test.outputs[0], i) == (i == 2 || i == 4 || i == 6 ? 1 : 0));
        fake_free(&test);
        numbers[1].i = 0;
        run_fails(&test, TL_INVALID_INPUT, "element 3");
        numbers[1].i = 1;
        test = CASE(&tl_op_OneHotEncoder_1, words, &x);
        run_fails(&test, TL_INVALID_MODEL, "strings");
        free_tensor(&x);
    }
    tl_tensor x = new_tensor(TL_STRING, DIMS(2));
    memcpy(x.data, (const tl_string[]){{"bc", 2}, {"b", 1}}, 2 * sizeof(tl_string));
    fake_case test = CASE(&tl_op_OneHotEncoder_1, words, &x);
    run_ok(&test);
    for (int64_t i = 0; i < 6; i++)
        ck_assert(get(&test.outputs[0], i) == (i == 2 ? 1 : 0));
    fake_free(&test);
    free_tensor(&x);
}
END_TEST

START_TEST(linear)
{
    static const float weights[] = {1, -2, 0.5F, 3, 0, -1}, shifts[] = {0.25F, -1};
    fake_attribute regressor[] = {ATTR_FS("coefficients", 1, -2, 0.5F, 3, 0, -1), ATTR_FS("intercepts", 0.25F, -1),
                                  ATTR_I("targets", 2)};
    fake_attribute classifier[] = {ATTR_FS("coefficients", 1, -2, 0.5F, 3, 0, -1), ATTR_FS("intercepts", 0.25F, -1),
                                   ATTR_IS("classlabels_ints", 30, -40), ATTR_S("post_transform", "LOGISTIC")};
    for (size_t t = 0; t < COUNT(types); t++) {
        tl_tensor x = random_tensor(types[t], DIMS(8, 3));
        fake_case sums = CASE(&tl_op_LinearRegressor_1, regressor, &x),
                  classes = CASE(&tl_op_LinearClassifier_1, classifier, &x);
        run_ok(&sums);
        run_ok(&classes);
        for (int64_t row = 0; row < 8; row++) {
            double want[2];
            for (int64_t k = 0; k < 2; k++) {
                want[k] = (double)shifts[k];
                for (int64_t f = 0; f < 3; f++)
                    want[k] += get(&x, row * 3 + f) * (double)weights[k * 3 + f];
                ck_assert_double_eq_tol(get(&sums.outputs[0], row * 2 + k), want[k], 1e-4);
                ck_assert_double_eq_tol(get(&classes.outputs[1], row * 2 + k), 1 / (1 + exp(-want[k])), 1e-6);
            }
            ck_assert(get(&classes.outputs[0], row) == (want[1] > want[0] ? -40 : 30));
        }
        fake_free(&sums);
        fake_free(&classes);
        regressor[2].i = 3;
        run_fails(&sums, TL_INVALID_MODEL, "intercepts");
        regressor[2].i = INT64_MIN;
        run_fails(&sums, TL_INVALID_MODEL, "targets");
        regressor[2].i = 2;
        sums.attributes = regressor + 1;
        sums.attribute_count = 2;
        run_fails(&sums, TL_INVALID_INPUT, "coefficients has 0 elements");
        classes.attribute_count = 2;
        run_fails(&classes, TL_INVALID_MODEL, "no class labels");
        free_tensor(&x);
    }
}
END_TEST

START_TEST(support_vectors)
{
    static const char *const kernels[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    static const float vectors[] = {1, -2, 0.5F, 3}, weights[] = {0.5F, -1};
    for (int k = 0; k < 8; k++) {
        fake_attribute a[] = {ATTR_S("kernel_type", kernels[k / 2]),
                              ATTR_FS("kernel_params", 0.5F, 0.25F, 3),
                              ATTR_I("n_supports", 2),
                              ATTR_FS("coefficients", 0.5F, -1),
                              ATTR_FS("support_vectors", 1, -2, 0.5F, 3),
                              ATTR_FS("rho", 0.125F),
                              ATTR_I("one_class", k % 2)};
        tl_tensor x = random_tensor(TL_DOUBLE, DIMS(9, 2)), wide = random_tensor(TL_DOUBLE, DIMS(9, 3));
        fake_case test = CASE(&tl_op_SVMRegressor_1, a, &x);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(9, 1));
        for (int64_t row = 0; row < 9; row++) {
            double want = 0.125;
            for (int64_t s = 0; s < 2; s++) {
                double dot = 0, far = 0;
                for (int64_t f = 0; f < 2; f++) {
                    dot += get(&x, row * 2 + f) * (double)vectors[s * 2 + f];
                    far += pow(get(&x, row * 2 + f) - (double)vectors[s * 2 + f], 2);
                }
                const double values[] = {dot, pow(0.5 * dot + 0.25, 3), exp(-0.5 * far), tanh(0.5 * dot + 0.25)};
                want += (double)weights[s] * values[k / 2];
            }
            ck_assert_double_eq_tol(get(&test.outputs[0], row), k % 2 ? (want > 0 ? 1 : -1) : want, 1e-5);
        }
        fake_free(&test);
        test.inputs[0] = &wide;
        run_fails(&test, TL_INVALID_INPUT, "support_vectors");
        a[2].i = INT64_MAX;
        run_fails(&test, TL_INVALID_MODEL, "coefficients");
        a[0].s = "CUBIC";
        run_fails(&test, TL_INVALID_MODEL, "CUBIC");
        free_tensor(&x);
        free_tensor(&wide);
    }
}
END_TEST

/* Three classes of a support vector each, as linear kernels: a pair's score is a plain formula of x. */
START_TEST(classes_by_votes)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(20, 1)), wide = random_tensor(TL_FLOAT, DIMS(2, 3));
    fake_attribute a[] = {ATTR_IS("classlabels_ints", 5, 6, 7), ATTR_IS("vectors_per_class", 1, 1, 1),
                          ATTR_FS("support_vectors", 1, 2, 4),
                          ATTR_FS("coefficients", 1, 0.5F, -1, 0.25F, 2, -0.5F), /* (classes - 1, vectors) */
                          ATTR_FS("rho", 0.125F, -0.25F, 0.5F)};
    fake_case test = CASE(&tl_op_SVMClassifier_1, a, &x);
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(20));
    assert_shape(&test.outputs[1], DIMS(20, 3));
    for (int64_t i = 0; i < 20; i++) {
        const double v = get(&x, i);
        const double want[] = {v * (1 * 1 + 0.5 * 2) + 0.125, v * (0.25 * 1 - 1 * 4) - 0.25,
                               v * (2 * 2 - 0.5 * 4) + 0.5};
        int votes[3] = {0}, best = 0;
        votes[want[0] > 0 ? 0 : 1]++;
        votes[want[1] > 0 ? 0 : 2]++;
        votes[want[2] > 0 ? 1 : 2]++;
        for (int k = 0; k < 3; k++) {
            ck_assert_double_eq_tol(get(&test.outputs[1], 3 * i + k), want[k], 1e-5);
            best = votes[k] > votes[best] ? k : best;
        }
        ck_assert_double_eq(get(&test.outputs[0], i), 5 + best);
    }
    fake_free(&test);
    test.inputs[0] = &wide;
    run_fails(&test, TL_INVALID_INPUT, "support_vectors has 3 elements, which do not fit 3 features");
    test.inputs[0] = &x;
    const fake_attribute wrong[][2] = {
        {ATTR_IS("classlabels_ints", 5, 6), ATTR_IS("vectors_per_class", 1, 1, 1)},
        {ATTR_IS("classlabels_ints", 5), ATTR_IS("vectors_per_class", 3)},
        {ATTR_IS("classlabels_ints", 5, 6, 7), ATTR_IS("vectors_per_class", -1, 1, 3)},
        {ATTR_IS("classlabels_ints", 5, 6, 7), ATTR_IS("vectors_per_class", INT64_MAX, 1, 1)},
        {ATTR_IS("classlabels_ints", 5, 6, 7), ATTR_IS("vectors_per_class", INT64_MAX, 0, 0)},
        {ATTR_IS("classlabels_ints", 5, 6), ATTR_IS("vectors_per_class", 2, 4)}};
    static const char *const why[] = {"vectors_per_class has 3 elements, but must have 2",
                                      "two at least",
                                      "vectors_per_class has -1",
                                      "vectors_per_class has 1",
                                      "coefficients",
                                      "rho"};
    for (size_t k = 0; k < COUNT(why); k++) {
        a[0] = wrong[k][0];
        a[1] = wrong[k][1];
        run_fails(&test, TL_INVALID_MODEL, why[k]);
    }
    free_tensor(&x);
    free_tensor(&wide);
}
END_TEST

/* Two classes: the probability is the sigmoid itself, for n = 2 needs no search. Without support vectors: a linear
 * model for each class. */
START_TEST(probabilities_of_classes)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(20, 1));
    fake_attribute a[] = {ATTR_IS("classlabels_ints", 5, 6),
                          ATTR_IS("vectors_per_class", 1, 1),
                          ATTR_FS("support_vectors", 1, 2),
                          ATTR_FS("coefficients", 1, -2),
                          ATTR_FS("rho", 0.125F),
                          ATTR_FS("prob_a", -1.5F),
                          ATTR_FS("prob_b", 0.25F)};
    fake_case test = CASE(&tl_op_SVMClassifier_1, a, &x);
    run_ok(&test);
    for (int64_t i = 0; i < 20; i++) {
        const double score = get(&x, i) * (1 - 4) + 0.125, p = 1 / (1 + exp(-1.5 * score + 0.25));
        ck_assert_double_eq_tol(get(&test.outputs[1], 2 * i), p, 5e-3); /* coupling stops there */
        ck_assert_double_eq_tol(get(&test.outputs[1], 2 * i) + get(&test.outputs[1], 2 * i + 1), 1, 1e-6);
        ck_assert_double_eq(get(&test.outputs[0], i), score > 0 ? 5 : 6);
    }
    fake_free(&test);
    a[6] = (fake_attribute)ATTR_FS("prob_b", 1, 2);
    run_fails(&test, TL_INVALID_MODEL, "prob_b has 2 elements, but must have 1");
    a[1] = a[4]; /* rho, and no vectors_per_class */
    test.attribute_count = 4;
    run_ok(&test);
    for (int64_t i = 0; i < 20; i++) {
        const double first = get(&x, i) + 0.125, second = -2 * get(&x, i) + 0.125;
        ck_assert_double_eq_tol(get(&test.outputs[1], 2 * i), first, 1e-6);
        ck_assert_double_eq_tol(get(&test.outputs[1], 2 * i + 1), second, 1e-6);
        ck_assert_double_eq(get(&test.outputs[0], i), second > first ? 6 : 5);
    }
    fake_free(&test);
    free_tensor(&x);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("features");
    random_seed(12);
    ADD_TEST(suite, scaler);
    ADD_TEST(suite, normalizer);
    ADD_TEST(suite, imputer);
    ADD_TEST(suite, one_hot);
    ADD_TEST(suite, linear);
    ADD_TEST(suite, support_vectors);
    ADD_TEST(suite, classes_by_votes);
    ADD_TEST(suite, probabilities_of_classes);
    return run_suite(suite);
}
