/* Momentum, Adagrad and Adam step by step in double; Dropout in training by its statistics. */
#include <math.h>
#include <string.h>
#include "support.h"

extern const tl_operator tl_op_Momentum_1, tl_op_Adagrad_1, tl_op_Adam_1, tl_op_Dropout_6, tl_op_Dropout_12;

/* ---- Optimisers */

enum { COUNT = 2, MOST = 2 + 4 * COUNT };

typedef struct values {
    double x, g, a, b;
} values;

static values momentum(values v, double rate, int64_t t, bool nesterov)
{
    const double slope = 0.01 * v.x + v.g;
    v.a = 0.95 * v.a + (t > 0 ? 0.1 : 1) * slope;
    v.x -= rate * (nesterov ? slope + 0.95 * v.a : v.a);
    return v;
}

static values adagrad(values v, double rate, int64_t t)
{
    const double slope = 0.01 * v.x + v.g;
    v.a += slope * slope;
    v.x -= rate / (1 + 0.1 * (double)t) * slope / (sqrt(v.a) + 1e-3);
    return v;
}

static values adam(values v, double rate, int64_t t)
{
    const double slope = 0.01 * v.x + v.g;
    v.a = 0.95 * v.a + 0.05 * slope;
    v.b = 0.9 * v.b + 0.1 * slope * slope;
    if (t > 0)
        rate *= sqrt(1 - pow(0.9, (double)t)) / (1 - pow(0.95, (double)t));
    v.x = 0.98 * (v.x - rate * v.a / (sqrt(v.b) + 1e-3));
    return v;
}

static const fake_attribute momentum_standard[] = {ATTR_F("alpha", 0.95F), ATTR_F("beta", 0.1F),
                                                   ATTR_S("mode", "standard"), ATTR_F("norm_coefficient", 0.01F)};
static const fake_attribute momentum_nesterov[] = {ATTR_F("alpha", 0.95F), ATTR_F("beta", 0.1F),
                                                   ATTR_S("mode", "nesterov"), ATTR_F("norm_coefficient", 0.01F)};
static const fake_attribute adagrad_attributes[] = {ATTR_F("decay_factor", 0.1F), ATTR_F("epsilon", 1e-3F),
                                                    ATTR_F("norm_coefficient", 0.01F)};
static const fake_attribute adam_attributes[] = {ATTR_F("alpha", 0.95F), ATTR_F("beta", 0.9F), ATTR_F("epsilon", 1e-3F),
                                                 ATTR_F("norm_coefficient", 0.01F),
                                                 ATTR_F("norm_coefficient_post", 0.02F)};

/* kind: Momentum, Nesterov's, Adagrad, Adam */
static void check_step(int kind, int64_t t, tl_type rate_type)
{
    static const tl_operator *const ops[] = {&tl_op_Momentum_1, &tl_op_Momentum_1, &tl_op_Adagrad_1, &tl_op_Adam_1};
    static const fake_attribute *const attributes[] = {momentum_standard, momentum_nesterov, adagrad_attributes,
                                                       adam_attributes};
    static const size_t attribute_counts[] = {4, 4, 3, 5};
    static const tl_type types[COUNT] = {TL_FLOAT, TL_DOUBLE};
    const size_t each = kind == 3 ? 4 : 3;
    tl_tensor inputs[MOST] = {new_tensor(rate_type, 0, NULL), new_tensor(TL_INT64, DIMS(1))};
    fake_case test = {.op = ops[kind],
                      .attributes = attributes[kind],
                      .attribute_count = attribute_counts[kind],
                      .input_count = 2 + each * COUNT,
                      .output_count = (each - 1) * COUNT};
    set(&inputs[0], 0, 0.25);
    set(&inputs[1], 0, (double)t);
    for (size_t k = 0; k < test.input_count; k++) {
        if (k >= 2)
            inputs[k] = random_tensor(types[k % COUNT], DIMS(3, k % COUNT ? 1000 : 5));
        for (int64_t i = 0; k >= 2 + 2 * COUNT && kind > 1 && i < elements(&inputs[k]); i++)
            set(&inputs[k], i, fabs(get(&inputs[k], i))); /* squares */
        test.inputs[k] = &inputs[k];
    }
    run_ok(&test);
    for (size_t n = 0; n < COUNT; n++) {
        const int64_t size = elements(&inputs[2 + n]);
        double *want[3];
        for (size_t k = 0; k < 3; k++)
            want[k] = calloc((size_t)size, sizeof(double));
        for (int64_t i = 0; i < size; i++) {
            values v = {get(&inputs[2 + n], i), get(&inputs[2 + COUNT + n], i), get(&inputs[2 + 2 * COUNT + n], i),
                        kind == 3 ? get(&inputs[2 + 3 * COUNT + n], i) : 0};
            v = kind < 2 ? momentum(v, 0.25, t, kind == 1) : kind == 2 ? adagrad(v, 0.25, t) : adam(v, 0.25, t);
            want[0][i] = v.x;
            want[1][i] = v.a;
            want[2][i] = v.b;
        }
        for (size_t k = 0; k < each - 1; k++) {
            const tl_tensor *out = &test.outputs[k * COUNT + n];
            ck_assert_int_eq(out->type, types[n]);
            for (int64_t i = 0; i < size; i++) /* attributes are floats: 0.1F is not 0.1 */
                ck_assert_double_eq_tol(get(out, i), want[k][i], 1e-5 * (1 + fabs(want[k][i])));
        }
        for (size_t k = 0; k < 3; k++)
            free(want[k]);
    }
    fake_free(&test);
    for (size_t k = 0; k < test.input_count; k++)
        free_tensor(&inputs[k]);
}

START_TEST(optimisers)
{
    random_seed(81);
    for (int kind = 0; kind < 4; kind++)
        for (int64_t t = 0; t < 3; t++)
            check_step(kind, t, t & 1 ? TL_FLOAT : TL_DOUBLE);
}
END_TEST

START_TEST(optimisers_unwanted_outputs)
{
    tl_tensor rate = new_tensor(TL_FLOAT, 0, NULL), steps = new_tensor(TL_INT64, 0, NULL);
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(700));
    fake_case all = {
        .op = &tl_op_Adam_1, .inputs = {&rate, &steps, &x, &x, &x, &x}, .input_count = 6, .output_count = 3};
    fake_case one = all;
    one.absent = 5; /* only V_new */
    set(&rate, 0, 0.5);
    run_ok(&all);
    run_ok(&one);
    ck_assert_mem_eq(all.outputs[1].data, one.outputs[1].data, 700 * sizeof(float));
    fake_free(&all);
    fake_free(&one);
    free_tensor(&rate);
    free_tensor(&steps);
    free_tensor(&x);
}
END_TEST

START_TEST(optimisers_refuse)
{
    tl_tensor rate = new_tensor(TL_FLOAT, 0, NULL), rates = new_tensor(TL_FLOAT, DIMS(2));
    tl_tensor steps = new_tensor(TL_INT64, 0, NULL), none = new_tensor(TL_INT64, DIMS(0));
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(3)), other = new_tensor(TL_FLOAT, DIMS(4));
    tl_tensor wide = new_tensor(TL_DOUBLE, DIMS(3));
    static const fake_attribute mode[] = {ATTR_F("alpha", 0), ATTR_F("beta", 0), ATTR_S("mode", "other"),
                                          ATTR_F("norm_coefficient", 0)};
    const struct {
        const tl_operator *op;
        const tl_tensor *inputs[6];
        size_t count;
        tl_status status;
    } cases[] = {
        {&tl_op_Adagrad_1, {&rate, &steps, &x, &x}, 4, TL_INVALID_MODEL},
        {&tl_op_Adagrad_1, {&rate, &steps, &x, &other, &x}, 5, TL_INVALID_INPUT},
        {&tl_op_Adagrad_1, {&rate, &steps, &x, &x, &wide}, 5, TL_INVALID_MODEL},
        {&tl_op_Adagrad_1, {&rates, &steps, &x, &x, &x}, 5, TL_INVALID_INPUT},
        {&tl_op_Adagrad_1, {&rate, &none, &x, &x, &x}, 5, TL_INVALID_INPUT},
        {&tl_op_Momentum_1, {&rate, &steps, &x, &x, &x}, 5, TL_INVALID_MODEL},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        fake_case test = {.op = cases[k].op, .input_count = cases[k].count, .output_count = 2};
        memcpy(test.inputs, cases[k].inputs, sizeof cases[k].inputs);
        test.attributes = test.op == &tl_op_Momentum_1 ? mode : NULL;
        test.attribute_count = test.attributes ? 4 : 0;
        run_fails(&test, cases[k].status, NULL);
    }
    free_tensor(&rate);
    free_tensor(&rates);
    free_tensor(&steps);
    free_tensor(&none);
    free_tensor(&x);
    free_tensor(&other);
    free_tensor(&wide);
}
END_TEST

/* ---- Dropout */

/* Each element is dropped or scaled, as the mask says, and about `ratio` of them are dropped. */
static void check_dropped(const tl_tensor *x, const tl_tensor *y, const tl_tensor *mask, double ratio)
{
    const int64_t n = elements(x);
    int64_t dropped = 0, pairs = 0;
    for (int64_t i = 0; i < n; i++) {
        const double keep = get(mask, i);
        ck_assert(keep == 0 || keep == 1);
        ck_assert_double_eq_tol(get(y, i), keep * get(x, i) / (1 - ratio), 4 * tolerance(x->type) + 1e-15);
        dropped += keep == 0;
        pairs += i > 0 && keep == 0 && get(mask, i - 1) == 0;
    }
    /* Within five standard deviations, and neighbours are independent. */
    ck_assert_double_le(fabs((double)dropped - ratio * (double)n), 5 * sqrt((double)n * ratio * (1 - ratio)));
    ck_assert_double_le(fabs((double)pairs - ratio * ratio * (double)n), 10 * sqrt((double)n * ratio));
}

START_TEST(dropout_training)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    static const double ratios[] = {0.5, 0.1, 0.75};
    tl_tensor training = new_tensor(TL_BOOL, 0, NULL);
    set(&training, 0, 1);
    for (size_t k = 0; k < 12; k++) {
        tl_tensor x = random_tensor(types[k % 4], DIMS(100, 200)), ratio = new_tensor(types[k / 4], 0, NULL);
        set(&ratio, 0, ratios[k / 4]);
        fake_attribute seed[] = {ATTR_I("seed", (int64_t)k)};
        fake_case test = {.op = &tl_op_Dropout_12,
                          .attributes = seed,
                          .attribute_count = 1,
                          .inputs = {&x, &ratio, &training},
                          .input_count = 3};
        fake_case again = test, unseeded = test, another;
        unseeded.attribute_count = 0;
        another = unseeded;
        again.threads = 1;
        run_ok(&test);
        run_ok(&again);
        run_ok(&unseeded);
        run_ok(&another);
        check_dropped(&x, &test.outputs[0], &test.outputs[1], get(&ratio, 0));
        check_dropped(&x, &unseeded.outputs[0], &unseeded.outputs[1], get(&ratio, 0));
        ck_assert_mem_eq(test.outputs[1].data, again.outputs[1].data, 20000);
        ck_assert_mem_ne(test.outputs[1].data, unseeded.outputs[1].data, 20000);
        ck_assert_mem_ne(another.outputs[1].data, unseeded.outputs[1].data, 20000);
        fake_free(&test);
        fake_free(&again);
        fake_free(&unseeded);
        fake_free(&another);
        free_tensor(&x);
        free_tensor(&ratio);
    }
    free_tensor(&training);
}
END_TEST

/* Version 6 trains unless told otherwise, and its mask is of the data's type. */
START_TEST(dropout_by_attributes)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(9000));
    fake_attribute ratio[] = {ATTR_F("ratio", 0.25F)}, test_mode[] = {ATTR_I("is_test", 1)};
    fake_case training = {
        .op = &tl_op_Dropout_6, .attributes = ratio, .attribute_count = 1, .inputs = {&x}, .input_count = 1};
    fake_case inference = {
        .op = &tl_op_Dropout_6, .attributes = test_mode, .attribute_count = 1, .inputs = {&x}, .input_count = 1};
    run_ok(&training);
    run_ok(&inference);
    ck_assert_int_eq(training.outputs[1].type, TL_FLOAT);
    check_dropped(&x, &training.outputs[0], &training.outputs[1], 0.25);
    ck_assert_mem_eq(inference.outputs[0].data, x.data, 9000 * sizeof(float));
    fake_free(&training);
    fake_free(&inference);
    free_tensor(&x);
}
END_TEST

/* Numbers of 8 bits: 1 becomes 2, or 0. */
START_TEST(dropout_small_floats)
{
    tl_tensor x = new_tensor(TL_FLOAT8E4M3FN, DIMS(4000)), training = new_tensor(TL_BOOL, 0, NULL);
    int64_t dropped = 0;
    set(&training, 0, 1);
    memset(x.data, 0x38, 4000);
    fake_case test = {.op = &tl_op_Dropout_12, .inputs = {&x, NULL, &training}, .input_count = 3};
    run_ok(&test);
    for (int64_t i = 0; i < 4000; i++) {
        const uint8_t bits = ((const uint8_t *)test.outputs[0].data)[i];
        ck_assert(bits == (get(&test.outputs[1], i) == 1 ? 0x40 : 0));
        dropped += bits == 0;
    }
    ck_assert(dropped > 1800 && dropped < 2200);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&training);
}
END_TEST

START_TEST(dropout_refuses)
{
    static const double bad[] = {1, -0.1, 2, NAN, INFINITY};
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(4)), ratio = new_tensor(TL_FLOAT, 0, NULL);
    tl_tensor training = new_tensor(TL_BOOL, 0, NULL);
    for (size_t k = 0; k < 2 * sizeof bad / sizeof bad[0]; k++) {
        set(&ratio, 0, bad[k / 2]);
        set(&training, 0, k % 2);
        fake_case test = {.op = &tl_op_Dropout_12, .inputs = {&x, &ratio, &training}, .input_count = 3};
        if (k % 2)
            run_fails(&test, TL_INVALID_INPUT, "ratio");
        else { /* inference ignores it */
            run_ok(&test);
            fake_free(&test);
        }
    }
    free_tensor(&x);
    free_tensor(&ratio);
    free_tensor(&training);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training");
    ADD_TEST(suite, optimisers);
    ADD_TEST(suite, optimisers_unwanted_outputs);
    ADD_TEST(suite, optimisers_refuse);
    ADD_TEST(suite, dropout_training);
    ADD_TEST(suite, dropout_by_attributes);
    ADD_TEST(suite, dropout_small_floats);
    ADD_TEST(suite, dropout_refuses);
    return run_suite(suite);
}
