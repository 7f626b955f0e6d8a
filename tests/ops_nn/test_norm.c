#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_BatchNormalization_9, tl_op_BatchNormalization_14, tl_op_InstanceNormalization_6;
extern const tl_operator tl_op_GroupNormalization_18, tl_op_GroupNormalization_21, tl_op_LayerNormalization_17;
extern const tl_operator tl_op_RMSNormalization_23, tl_op_LpNormalization_1, tl_op_MeanVarianceNormalization_9;
extern const tl_operator tl_op_LRN_1, tl_op_Dropout_7, tl_op_Dropout_12;

static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};

static tl_tensor positive(tl_type type, int64_t n)
{
    tl_tensor t = random_tensor(type, DIMS(n));
    for (int64_t i = 0; i < n; i++)
        set(&t, i, fabs(get(&t, i)) + 0.5);
    return t;
}

/* (x - mean) / sqrt(variance + epsilon) over elements first, first + step, ..., into want. */
static void standardize(const tl_tensor *x, int64_t first, int64_t step, int64_t n, double epsilon, double *want)
{
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < n; i++)
        mean += get(x, first + i * step) / (double)n;
    for (int64_t i = 0; i < n; i++)
        variance += pow(get(x, first + i * step) - mean, 2) / (double)n;
    for (int64_t i = 0; i < n; i++)
        want[first + i * step] = (get(x, first + i * step) - mean) / sqrt(variance + epsilon);
}

START_TEST(batch)
{
    for (size_t t = 0; t < 4; t++)
        for (int training = 0; training < 2; training++) {
            tl_tensor x = random_tensor(types[t], DIMS(3, 4, 5, 3)), scale = random_tensor(types[t], DIMS(4));
            tl_tensor shift = random_tensor(types[t], DIMS(4)), mean = random_tensor(types[t], DIMS(4));
            tl_tensor variance = positive(types[t], 4);
            const fake_attribute attributes[] = {ATTR_F("epsilon", 0.125F), ATTR_I("training_mode", training),
                                                 ATTR_F("momentum", 0.75F)};
            fake_case test = {.op = &tl_op_BatchNormalization_14,
                              .attributes = attributes,
                              .attribute_count = 3,
                              .inputs = {&x, &scale, &shift, &mean, &variance},
                              .input_count = 5,
                              .output_count = training ? 3 : 1};
            run_ok(&test);
            double want[180], now_mean[4], now_variance[4];
            for (int64_t c = 0; c < 4; c++) {
                double m = 0, v = 0;
                for (int64_t i = 0; i < 45; i++)
                    m += get(&x, i / 15 * 60 + c * 15 + i % 15) / 45;
                for (int64_t i = 0; i < 45; i++)
                    v += pow(get(&x, i / 15 * 60 + c * 15 + i % 15) - m, 2) / 45;
                now_mean[c] = get(&mean, c) * 0.75 + m * 0.25;
                now_variance[c] = get(&variance, c) * 0.75 + v * 0.25;
                m = training ? m : get(&mean, c);
                v = training ? v : get(&variance, c);
                for (int64_t i = 0; i < 45; i++) {
                    int64_t at = i / 15 * 60 + c * 15 + i % 15;
                    want[at] = (get(&x, at) - m) / sqrt(v + 0.125) * get(&scale, c) + get(&shift, c);
                }
            }
            assert_near(&test.outputs[0], want, 4, "BatchNormalization");
            if (training) {
                assert_near(&test.outputs[1], now_mean, 1, "running mean");
                assert_near(&test.outputs[2], now_variance, 1, "running variance");
            }
            fake_free(&test);
            test.op = &tl_op_BatchNormalization_9;
            test.attribute_count = 1;
            test.output_count = 2;
            run_fails(&test, TL_UNSUPPORTED, "training");
            free_tensor(&x);
            free_tensor(&scale);
            free_tensor(&shift);
            free_tensor(&mean);
            free_tensor(&variance);
        }
}
END_TEST

/* groups 0: InstanceNormalization */
static void check_group(const tl_operator *op, tl_type type, int64_t channels, int64_t groups, int64_t area)
{
    int64_t n = groups ? channels / groups : 1, parameters = op == &tl_op_GroupNormalization_18 ? groups : channels;
    tl_tensor x = random_tensor(type, DIMS(2, channels, area)), scale = random_tensor(type, DIMS(parameters));
    tl_tensor shift = random_tensor(type, DIMS(parameters));
    const fake_attribute attributes[] = {ATTR_F("epsilon", 0.01F), ATTR_I("num_groups", groups)};
    fake_case test = {.op = op,
                      .attributes = attributes,
                      .attribute_count = groups ? 2 : 1,
                      .inputs = {&x, &scale, &shift},
                      .input_count = 3};
    run_ok(&test);
    double *want = malloc((size_t)elements(&x) * sizeof *want);
    for (int64_t g = 0; g < 2 * channels / n; g++)
        standardize(&x, g * n * area, 1, n * area, 0.01F, want);
    for (int64_t i = 0; i < elements(&x); i++) {
        int64_t c = i / area % channels, k = op == &tl_op_GroupNormalization_18 ? c / n : c;
        want[i] = want[i] * get(&scale, k) + get(&shift, k);
    }
    assert_near(&test.outputs[0], want, 4, op->name);
    free(want);
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&scale);
    free_tensor(&shift);
}

/* One element for each channel of an example */
START_TEST(batch_of_rows)
{
    const tl_tensor x = random_tensor(TL_FLOAT, DIMS(5, 300)), scale = random_tensor(TL_FLOAT, DIMS(300));
    const tl_tensor shift = random_tensor(TL_FLOAT, DIMS(300)), mean = random_tensor(TL_FLOAT, DIMS(300));
    const tl_tensor variance = positive(TL_FLOAT, 300);
    fake_case test = {.op = &tl_op_BatchNormalization_9,
                      .inputs = {&x, &scale, &shift, &mean, &variance},
                      .input_count = 5,
                      .output_count = 1};
    double want[1500];
    run_ok(&test);
    for (int64_t i = 0; i < 1500; i++)
        want[i] = (get(&x, i) - get(&mean, i % 300)) / sqrt(get(&variance, i % 300) + 1e-5) * get(&scale, i % 300) +
                  get(&shift, i % 300);
    assert_near(&test.outputs[0], want, 4, "BatchNormalization");
    fake_free(&test);
    tl_tensor all[] = {x, scale, shift, mean, variance};
    for (int k = 0; k < 5; k++)
        free_tensor(&all[k]);
}
END_TEST

START_TEST(groups)
{
    for (size_t t = 0; t < 4; t++) {
        check_group(&tl_op_InstanceNormalization_6, types[t], 3, 0, 21);
        check_group(&tl_op_GroupNormalization_18, types[t], 6, 2, 7);
        check_group(&tl_op_GroupNormalization_21, types[t], 6, 3, 9);
        check_group(&tl_op_GroupNormalization_21, types[t], 4, 1, 5);
    }
}
END_TEST

static void check_layer(tl_type type, int64_t axis, int32_t scale_rank, const int64_t *scale_dims, bool centred)
{
    const int64_t dims[] = {2, 3, 4, 5};
    tl_tensor x = random_tensor(type, 4, dims), scale = random_tensor(type, scale_rank, scale_dims);
    tl_tensor shift = random_tensor(type, scale_rank, scale_dims);
    const fake_attribute attributes[] = {ATTR_I("axis", axis), ATTR_F("epsilon", 0.03125F)};
    fake_case test = {.op = centred ? &tl_op_LayerNormalization_17 : &tl_op_RMSNormalization_23,
                      .attributes = attributes,
                      .attribute_count = 2,
                      .inputs = {&x, &scale, centred ? &shift : NULL},
                      .input_count = centred ? 3 : 2};
    run_ok(&test);
    int64_t width = 1;
    for (int64_t i = axis < 0 ? axis + 4 : axis; i < 4; i++)
        width *= dims[i];
    double want[120], means[120], inverses[120];
    for (int64_t row = 0; row < 120 / width; row++) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < width && centred; i++)
            mean += get(&x, row * width + i) / (double)width;
        for (int64_t i = 0; i < width; i++)
            variance += pow(get(&x, row * width + i) - mean, 2) / (double)width;
        means[row] = mean;
        inverses[row] = 1 / sqrt(variance + 0.03125);
        for (int64_t i = 0; i < width; i++)
            want[row * width + i] = (get(&x, row * width + i) - mean) * inverses[row];
    }
    for (int64_t i = 0; i < 120; i++) {
        const int64_t index[] = {i / 60, i / 20 % 3, i / 5 % 4, i % 5};
        int64_t k = 0;
        for (int32_t d = 0; d < scale_rank; d++)
            k = k * scale_dims[d] + (scale_dims[d] == 1 ? 0 : index[4 - scale_rank + d]);
        want[i] = want[i] * get(&scale, k) + (centred ? get(&shift, k) : 0);
    }
    assert_near(&test.outputs[0], want, 4, test.op->name);
    if (centred) {
        ck_assert_int_eq(test.outputs[1].type, TL_FLOAT);
        ck_assert_int_eq(elements(&test.outputs[1]), 120 / width);
        assert_near(&test.outputs[1], means, 1, "Mean");
        assert_near(&test.outputs[2], inverses, 4, "InvStdDev");
    }
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&scale);
    free_tensor(&shift);
}

START_TEST(layers)
{
    for (size_t t = 0; t < 4; t++)
        for (int centred = 0; centred < 2; centred++) {
            check_layer(types[t], -1, DIMS(5), centred);
            check_layer(types[t], 1, DIMS(3, 4, 5), centred);
            check_layer(types[t], 0, DIMS(2, 3, 4, 5), centred);
            check_layer(types[t], 2, DIMS(4, 1), centred);
            check_layer(types[t], -2, DIMS(3, 1, 5), centred);
            check_layer(types[t], 3, DIMS(2, 1, 4, 5), centred);
            check_layer(types[t], 3, DIMS(1), centred);
            check_layer(types[t], 1, DIMS(3, 1, 1), centred);
            check_layer(types[t], 0, DIMS(1, 1), centred);
        }
}
END_TEST

START_TEST(lp)
{
    for (size_t t = 0; t < 4; t++)
        for (int64_t axis = -3; axis < 3; axis++)
            for (int64_t p = 1; p <= 2; p++) {
                const int64_t dims[] = {2, 3, 260};
                tl_tensor x = random_tensor(types[t], 3, dims);
                const fake_attribute attributes[] = {ATTR_I("axis", axis), ATTR_I("p", p)};
                int64_t a = axis < 0 ? axis + 3 : axis, step = a == 0 ? 780 : a == 1 ? 260 : 1, n = dims[a];
                for (int64_t i = 0; i < n; i++) /* one zero vector */
                    set(&x, i * step, 0);
                fake_case test = {.op = &tl_op_LpNormalization_1,
                                  .attributes = attributes,
                                  .attribute_count = 2,
                                  .inputs = {&x},
                                  .input_count = 1};
                run_ok(&test);
                double want[1560];
                for (int64_t i = 0; i < 1560; i++) {
                    int64_t first = i - i / step % n * step;
                    double norm = 0;
                    for (int64_t k = 0; k < n; k++)
                        norm += pow(fabs(get(&x, first + k * step)), (double)p);
                    norm = p == 1 ? norm : sqrt(norm);
                    want[i] = norm == 0 ? 0 : get(&x, i) / norm;
                }
                assert_near(&test.outputs[0], want, 1, "LpNormalization");
                fake_free(&test);
                free_tensor(&x);
            }
}
END_TEST

START_TEST(mean_variance)
{
    for (size_t t = 0; t < 4; t++) {
        tl_tensor x = random_tensor(types[t], DIMS(3, 4, 10));
        const fake_attribute axes[] = {ATTR_IS("axes", 1)}, both[] = {ATTR_IS("axes", 0, -1)};
        const fake_attribute rows[] = {ATTR_IS("axes", 1, 2)};
        fake_case test = {.op = &tl_op_MeanVarianceNormalization_9,
                          .attributes = axes,
                          .attribute_count = 1,
                          .inputs = {&x},
                          .input_count = 1};
        double want[120];
        /* The standard adds 1e-9 to the deviation, which double can tell from nothing. */
        const double scale = types[t] == TL_DOUBLE ? 1e6 : 4;
        run_ok(&test);
        for (int64_t i = 0; i < 3; i++)
            for (int64_t j = 0; j < 10; j++)
                standardize(&x, i * 40 + j, 10, 4, 0, want);
        assert_near(&test.outputs[0], want, scale, "MeanVarianceNormalization");
        fake_free(&test);
        test.attributes = both;
        run_ok(&test);
        for (int64_t c = 0; c < 4; c++) {
            tl_tensor copy = new_tensor(TL_DOUBLE, DIMS(30));
            double part[30];
            for (int64_t i = 0; i < 30; i++)
                set(&copy, i, get(&x, i / 10 * 40 + c * 10 + i % 10));
            standardize(&copy, 0, 1, 30, 0, part);
            for (int64_t i = 0; i < 30; i++)
                want[i / 10 * 40 + c * 10 + i % 10] = part[i];
            free_tensor(&copy);
        }
        assert_near(&test.outputs[0], want, scale, "MeanVarianceNormalization");
        fake_free(&test);
        test.attributes = rows;
        run_ok(&test);
        for (int64_t i = 0; i < 3; i++)
            standardize(&x, i * 40, 1, 40, 0, want);
        assert_near(&test.outputs[0], want, scale, "MeanVarianceNormalization");
        fake_free(&test);
        free_tensor(&x);
    }
}
END_TEST

/* Columns that are summed over one axis or two, with one element far from the rest. */
START_TEST(mean_variance_of_columns)
{
    static const int64_t dims[] = {2, 150, 1, 7, 40};
    const int64_t columns = 280;
    for (size_t t = 0; t < 2; t++)
        for (int over = 1; over <= 2; over++) {
            tl_tensor x = random_tensor(types[t], 5, dims);
            const fake_attribute axes =
                over == 1 ? (fake_attribute)ATTR_IS("axes", 1) : (fake_attribute)ATTR_IS("axes", 0, 1);
            const int64_t n = over == 1 ? 150 : 300;
            fake_case test = {.op = &tl_op_MeanVarianceNormalization_9,
                              .attributes = &axes,
                              .attribute_count = 1,
                              .inputs = {&x},
                              .input_count = 1};
            double *want = malloc((size_t)elements(&x) * sizeof *want);
            set(&x, 3, 1000);
            run_ok(&test);
            for (int64_t i = 0; i < elements(&x) / n; i++)
                standardize(&x, i / columns * n * columns + i % columns, columns, n, 0, want);
            assert_near(&test.outputs[0], want, types[t] == TL_DOUBLE ? 1e6 : 40, "MeanVarianceNormalization");
            fake_free(&test);
            free(want);
            free_tensor(&x);
        }
}
END_TEST

START_TEST(lrn)
{
    for (size_t t = 0; t < 4; t++)
        for (int64_t size = 1; size < 14; size++) {
            tl_tensor x = random_tensor(types[t], DIMS(2, 6, 70));
            const fake_attribute attributes[] = {ATTR_I("size", size), ATTR_F("alpha", 0.5F), ATTR_F("beta", 0.75F),
                                                 ATTR_F("bias", 2)};
            fake_case test = {
                .op = &tl_op_LRN_1, .attributes = attributes, .attribute_count = 4, .inputs = {&x}, .input_count = 1};
            run_ok(&test);
            double want[840];
            for (int64_t i = 0; i < 840; i++) {
                int64_t c = i / 70 % 6, low = c - (size - 1) / 2, high = c + size / 2;
                double sum = 0;
                for (int64_t k = low < 0 ? 0 : low; k <= high && k < 6; k++)
                    sum += pow(get(&x, i + (k - c) * 70), 2);
                want[i] = get(&x, i) / pow(2 + 0.5 / (double)size * sum, 0.75);
            }
            assert_near(&test.outputs[0], want, 1, "LRN");
            fake_free(&test);
            free_tensor(&x);
        }
}
END_TEST

START_TEST(dropout)
{
    tl_tensor x = random_tensor(TL_FLOAT16, DIMS(4, 3)), ratio = new_tensor(TL_FLOAT, 0, NULL);
    tl_tensor training = new_tensor(TL_BOOL, 0, NULL);
    fake_case test = {.op = &tl_op_Dropout_12, .inputs = {&x, &ratio, &training}, .input_count = 3};
    for (int on = 0; on < 2; on++) { /* ratio 0: training changes nothing */
        set(&training, 0, on);
        run_ok(&test);
        ck_assert_int_eq(test.outputs[1].type, TL_BOOL);
        for (int64_t i = 0; i < 12; i++)
            ck_assert(get(&test.outputs[0], i) == get(&x, i) && get(&test.outputs[1], i) == 1);
        fake_free(&test);
    }
    fake_case old = {.op = &tl_op_Dropout_7, .inputs = {&x}, .input_count = 1};
    run_ok(&old);
    for (int64_t i = 0; i < 12; i++)
        ck_assert(get(&old.outputs[0], i) == get(&x, i) && get(&old.outputs[1], i) == 1);
    fake_free(&old);
    free_tensor(&x);
    free_tensor(&ratio);
    free_tensor(&training);
}
END_TEST

static void fails(const tl_operator *op, const tl_tensor *second, tl_status status, const char *text,
                  const fake_attribute *attributes, size_t count)
{
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(1, 4, 5));
    fake_case test = {.op = op,
                      .attributes = attributes,
                      .attribute_count = count,
                      .inputs = {&x, second, second},
                      .input_count = second ? op->input_count : 1};
    run_fails(&test, status, text);
    free_tensor(&x);
}
#define FAILS(op, second, status, text, ...) fails(&(op), second, status, text, ATTRIBUTES(__VA_ARGS__))

START_TEST(hostile_attributes)
{
    tl_tensor two = new_tensor(TL_FLOAT, DIMS(2));
    FAILS(tl_op_LpNormalization_1, NULL, TL_INVALID_MODEL, "p is 3", ATTR_I("p", 3));
    FAILS(tl_op_LpNormalization_1, NULL, TL_INVALID_MODEL, "axis is 3", ATTR_I("axis", 3));
    FAILS(tl_op_LRN_1, NULL, TL_INVALID_MODEL, "size is 0", ATTR_I("size", 0));
    FAILS(tl_op_MeanVarianceNormalization_9, NULL, TL_INVALID_MODEL, "axes", ATTR_IS("axes", 0, 7));
    FAILS(tl_op_GroupNormalization_21, &two, TL_INVALID_MODEL, "num_groups is 0", ATTR_I("num_groups", 0));
    FAILS(tl_op_GroupNormalization_21, &two, TL_INVALID_INPUT, "groups", ATTR_I("num_groups", 3));
    FAILS(tl_op_GroupNormalization_21, &two, TL_INVALID_INPUT, "one for each channel", ATTR_I("num_groups", 2));
    FAILS(tl_op_LayerNormalization_17, &two, TL_INVALID_INPUT, "broadcast", ATTR_I("axis", -1));
    FAILS(tl_op_LayerNormalization_17, &two, TL_INVALID_MODEL, "stash_type", ATTR_I("stash_type", 2));
    FAILS(tl_op_LayerNormalization_17, &two, TL_INVALID_MODEL, "axis", ATTR_I("axis", INT64_MIN));
    free_tensor(&two);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Normalizations");
    ADD_TEST(suite, batch);
    ADD_TEST(suite, batch_of_rows);
    ADD_TEST(suite, groups);
    ADD_TEST(suite, layers);
    ADD_TEST(suite, lp);
    ADD_TEST(suite, mean_variance);
    ADD_TEST(suite, mean_variance_of_columns);
    ADD_TEST(suite, lrn);
    ADD_TEST(suite, dropout);
    ADD_TEST(suite, hostile_attributes);
    return run_suite(suite);
}
