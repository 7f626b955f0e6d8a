/* What is known of Keras' layer against Keras: data/ has the expected numbers. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/run.h"
#include "separable_conv1d/keras.h"

/* ---- Expected data */

static cJSON *read_json(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s cannot be opened", path);
    enum { MOST = 1 << 20 };
    char *text = malloc(MOST);
    size_t size = fread(text, 1, MOST - 1, file);
    text[size] = 0;
    fclose(file);
    cJSON *json = cJSON_Parse(text);
    ck_assert_msg(cJSON_GetArraySize(json) > 0, "%s has no list", path);
    free(text);
    return json;
}

static const cJSON *member(const cJSON *item, const char *name)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(item, name);
    ck_assert_msg(found != NULL, "%s is missing", name);
    return found;
}

static double number(const cJSON *item, const char *name)
{
    return member(item, name)->valuedouble;
}

static int64_t read_shape(const cJSON *item, keras_shape *shape)
{
    int64_t count = 1;
    *shape = (keras_shape){0};
    const cJSON *dim;
    cJSON_ArrayForEach(dim, member(item, "shape"))
    {
        shape->dims[shape->rank++] = (int64_t)dim->valuedouble;
        count *= (int64_t)dim->valuedouble;
    }
    return count;
}

static keras_object read_object(const cJSON *item, const char *name)
{
    keras_object object;
    sepconv_text why = {""};
    ck_assert_msg(keras_object_read(member(item, name), (int)number(item, "keras"), &object, &why) == TL_OK, "%s",
                  why.line);
    return object;
}

/* ---- Configurations that Keras takes or refuses */

static tl_status make(const cJSON *item, sepconv_text *why)
{
    keras_layer layer;
    const int version = (int)number(item, "keras");
    tl_status status = keras_layer_read(member(item, "config"), version, &layer, why);
    if (status == TL_OK)
        status = keras_check_input(&layer, 3, 10, why);
    for (int k = 0; k < KERAS_WEIGHTS && status == TL_OK; k++) {
        const keras_shape shape = keras_weight_shape(&layer, k, 3);
        double values[1024];
        status = keras_initialize(&layer.initializers[k], &shape, 1, (uint64_t)k, values, why);
        if (status == TL_OK)
            status = keras_constrain(&layer.constraints[k], &shape, values, why);
        if (status != TL_OK) {
            const sepconv_text inner = *why;
            snprintf(why->line, sizeof why->line, "%s_initializer: %.400s", keras_parts[k], inner.line);
        }
    }
    return status;
}

START_TEST(takes_and_refuses_what_keras_does)
{
    cJSON *json = read_json("data/configs.json");
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        sepconv_text why = {""};
        const cJSON *says = member(item, "says");
        const tl_status status = make(item, &why);
        char *config = cJSON_PrintUnformatted(member(item, "config"));
        if (cJSON_IsNull(says))
            ck_assert_msg(status == TL_OK, "Keras %g takes %s: %s", number(item, "keras"), config, why.line);
        else
            ck_assert_msg(status == TL_INVALID_INPUT && strstr(why.line, says->valuestring) != NULL,
                          "Keras %g refuses %s: status %d, '%s' without '%s'", number(item, "keras"), config, status,
                          why.line, says->valuestring);
        cJSON_free(config);
    }
    cJSON_Delete(json);
}
END_TEST

/* ---- Distributions */

static int part_of(const cJSON *item)
{
    for (int k = 0; k < KERAS_WEIGHTS; k++)
        if (strcmp(member(item, "part")->valuestring, keras_parts[k]) == 0)
            return k;
    ck_abort_msg("no such part");
}

static void check_moments(const cJSON *item, const double *values, int64_t count)
{
    const double mean = number(item, "mean"), variance = number(item, "variance");
    const double width = number(item, "maximum") - number(item, "minimum");
    double sum = 0, square = 0, least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        sum += values[i];
        least = fmin(least, values[i]);
        most = fmax(most, values[i]);
    }
    sum /= (double)count;
    for (int64_t i = 0; i < count; i++)
        square += (values[i] - sum) * (values[i] - sum);
    square /= (double)count;
    /* Both are samples of this size: five standard errors of their difference. */
    ck_assert_msg(fabs(sum - mean) <= 5 * sqrt(2 * variance / (double)count) + 1e-7, "mean %g, Keras' is %g", sum,
                  mean);
    ck_assert_msg(fabs(square - variance) <= 5 * variance * sqrt(4 / (double)count) + 1e-12,
                  "variance %g, Keras' is %g", square, variance);
    /* The extremes of a normal distribution's samples vary; bounds, as others have them, do not. */
    const bool bounded = width < 4.7 * sqrt(variance);
    ck_assert_msg(fabs(least - number(item, "minimum")) <= (bounded ? 0.003 : 0.25) * width + 1e-7,
                  "minimum %g, Keras' is %g", least, number(item, "minimum"));
    ck_assert_msg(fabs(most - number(item, "maximum")) <= (bounded ? 0.003 : 0.25) * width + 1e-7,
                  "maximum %g, Keras' is %g", most, number(item, "maximum"));
}

static void check_quantiles(const cJSON *item, const double *values, int64_t count)
{
    const cJSON *pair;
    if (number(item, "variance") == 0)
        return;
    cJSON_ArrayForEach(pair, member(item, "quantiles"))
    {
        const double q = cJSON_GetArrayItem(pair, 0)->valuedouble, at = cJSON_GetArrayItem(pair, 1)->valuedouble;
        int64_t below = 0;
        for (int64_t i = 0; i < count; i++)
            below += values[i] < at;
        ck_assert_msg(fabs((double)below / (double)count - q) <= 5 * sqrt(2 * q * (1 - q) / (double)count),
                      "%g of the values lie below %g, with Keras %g do", (double)below / (double)count, at, q);
    }
}

static void check_product(const cJSON *item, const keras_shape *shape, const double *values)
{
    const double expected = cJSON_GetObjectItemCaseSensitive(item, "orthogonal")->valuedouble;
    const int64_t columns = shape->dims[2], rows = shape->dims[0] * shape->dims[1];
    const bool wide = rows < columns;
    const int64_t count = wide ? rows : columns, length = wide ? columns : rows;
    for (int64_t a = 0; a < count; a++)
        for (int64_t b = 0; b < count; b++) {
            double sum = 0;
            for (int64_t i = 0; i < length; i++)
                sum += wide ? values[a * columns + i] * values[b * columns + i]
                            : values[i * columns + a] * values[i * columns + b];
            ck_assert_msg(fabs(sum - (a == b ? expected : 0)) < 1e-5, "product at %d, %d is %g", (int)a, (int)b, sum);
        }
}

START_TEST(initializers_have_keras_distributions)
{
    cJSON *json = read_json("data/distributions.json");
    const cJSON *item;
    uint64_t seed = 0;
    cJSON_ArrayForEach(item, json)
    {
        keras_shape shape;
        keras_initializer initializer;
        sepconv_text why = {""};
        const int64_t count = read_shape(item, &shape);
        const keras_object object = read_object(item, "initializer");
        double *values = malloc((size_t)count * sizeof *values);
        ck_assert_msg(keras_initializer_read(&object, &initializer, &why) == TL_OK, "%s", why.line);
        ck_assert_int_eq(keras_initialize(&initializer, &shape, ++seed, (uint64_t)part_of(item), values, &why), TL_OK);
        printf("%s of Keras %g, %s\n", object.class_name, number(item, "keras"), member(item, "part")->valuestring);
        check_moments(item, values, count);
        check_quantiles(item, values, count);
        if (cJSON_GetObjectItemCaseSensitive(item, "orthogonal"))
            check_product(item, &shape, values);
        free(values);
    }
    cJSON_Delete(json);
}
END_TEST

START_TEST(a_seed_decides_the_numbers)
{
    const keras_shape shape = {1, {64}};
    keras_initializer initializer = {.kind = KERAS_NORMAL, .b = 1};
    sepconv_text why;
    double a[64], b[64];
    keras_initialize(&initializer, &shape, 1, 0, a, &why);
    keras_initialize(&initializer, &shape, 1, 0, b, &why);
    ck_assert_mem_eq(a, b, sizeof a);
    keras_initialize(&initializer, &shape, 2, 0, b, &why);
    ck_assert_mem_ne(a, b, sizeof a);
    keras_initialize(&initializer, &shape, 1, 1, b, &why); /* another weight of the layer */
    ck_assert_mem_ne(a, b, sizeof a);
    initializer.seeded = true; /* the configuration's own counts */
    initializer.seed = 1;
    keras_initialize(&initializer, &shape, 77, 0, b, &why);
    ck_assert_mem_eq(a, b, sizeof a);
}
END_TEST

/* ---- Constraints */

START_TEST(constraints_project_as_keras_does)
{
    cJSON *json = read_json("data/projections.json");
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        keras_shape shape;
        keras_constraint constraint;
        sepconv_text why = {""};
        double values[64];
        const int64_t count = read_shape(item, &shape);
        const keras_object object = read_object(item, "constraint");
        for (int i = 0; i < count; i++)
            values[i] = cJSON_GetArrayItem(member(item, "values"), i)->valuedouble;
        ck_assert_msg(keras_constraint_read(&object, &constraint, &why) == TL_OK, "%s", why.line);
        ck_assert_msg(keras_constrain(&constraint, &shape, values, &why) == TL_OK, "%s", why.line);
        for (int i = 0; i < count; i++) {
            const double expected = cJSON_GetArrayItem(member(item, "expected"), i)->valuedouble;
            ck_assert_msg(fabs(values[i] - expected) < 1e-6, "%s, rank %d: %d is %g, Keras' is %g", object.class_name,
                          shape.rank, i, values[i], expected);
        }
    }
    cJSON_Delete(json);
}
END_TEST

/* ---- What no Keras writes */

static const struct {
    const char *config, *says;
} broken[] = {
    {"[]", "this is no configuration"},
    {"{\"class_name\": \"Dense\", \"config\": {}}", "'Dense'"},
    {"{\"class_name\": \"SeparableConv1D\"}", "this is no configuration"},
    {"{}", "filters"},
    {"{\"filters\": 4}", "kernel_size"},
    {"{\"filters\": 1e30, \"kernel_size\": 1}", "filters"},
    {"{\"filters\": \"4\", \"kernel_size\": 1}", "'4'"},
    {"{\"filters\": 4, \"kernel_size\": {}}", "kernel_size"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"use_bias\": 2}", "use_bias"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"strides\": 2, \"dilation_rate\": 2}", "dilation_rate"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"dtype\": {\"class_name\": \"DTypePolicy\", \"config\": {}}}", NULL},
    {"{\"filters\": 4, \"kernel_size\": 3, \"dtype\": {\"class_name\": \"Other\", \"config\": {}}}", "dtype"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"activation\": []}", "activation"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"activation\": \"celu\"}", "'celu'"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"activation\": {\"class_name\": \"PReLU\", \"config\": {}}}", "PReLU"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"activation\": {\"class_name\": \"Softmax\", \"config\": {\"axis\": 1}}}",
     "last axis"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"activation\": {\"class_name\": \"ReLU\", \"config\": {\"max_value\": 3}}}",
     "max_value 3"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"activation\": {\"module\": \"mine\", \"class_name\": \"ReLU\", "
     "\"config\": {}}}",
     "'mine'"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"bias_initializer\": {\"class_name\": \"Constant\", \"config\": "
     "{\"value\": "
     "[1, 2]}}}",
     "'value'"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"bias_initializer\": {\"class_name\": \"Zeros\", \"config\": []}}",
     "a list"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"bias_constraint\": {\"class_name\": \"MaxNorm\", \"config\": {\"axis\": "
     "[0,0,0,0,0,0,0,0,0,0]}}}",
     "'axis'"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"batch_input_shape\": [null, 5]}", "input shape"},
    {"{\"filters\": 4, \"kernel_size\": 3, \"batch_input_shape\": [null, 5, null]}", "channels"},
};

START_TEST(refuses_what_nobody_wrote)
{
    keras_layer layer;
    sepconv_text why = {""};
    cJSON *json = cJSON_Parse(broken[_i].config);
    ck_assert_ptr_nonnull(json);
    const tl_status status = keras_layer_read(json, 0, &layer, &why);
    cJSON_Delete(json);
    if (broken[_i].says == NULL)
        ck_assert_msg(status == TL_OK, "%s", why.line);
    else
        ck_assert_msg(status != TL_OK && strstr(why.line, broken[_i].says) != NULL, "'%s' without '%s'", why.line,
                      broken[_i].says);
}
END_TEST

START_TEST(refuses_axes_that_a_weight_has_not)
{
    const keras_shape shape = {3, {2, 2, 2}};
    double values[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    sepconv_text why = {""};
    keras_constraint constraint = {.kind = KERAS_UNIT_NORM, .axes = {true, 1, {3}}};
    ck_assert_int_eq(keras_constrain(&constraint, &shape, values, &why), TL_INVALID_INPUT);
    constraint.axes = (keras_axes){true, 2, {0, -3}};
    ck_assert_int_eq(keras_constrain(&constraint, &shape, values, &why), TL_INVALID_INPUT);
    keras_initializer initializer = {
        .kind = KERAS_SCALED, .a = 1, .input_axes = {true, 1, {-4}}, .output_axes = {true, 1, {0}}};
    ck_assert_int_eq(keras_initialize(&initializer, &shape, 1, 0, values, &why), TL_INVALID_INPUT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keras");
    TCase *tests = tcase_create("keras");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, takes_and_refuses_what_keras_does);
    tcase_add_test(tests, initializers_have_keras_distributions);
    tcase_add_test(tests, a_seed_decides_the_numbers);
    tcase_add_test(tests, constraints_project_as_keras_does);
    tcase_add_loop_test(tests, refuses_what_nobody_wrote, 0, sizeof broken / sizeof *broken);
    tcase_add_test(tests, refuses_axes_that_a_weight_has_not);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
