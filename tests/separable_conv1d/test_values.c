/* Values: against a naive reference in double, with forbidden pages around every buffer. */
#include "layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The reference */

static double activate(const char *name, double x)
{
    const double limited = x > 700 ? 700 : x;
    const double softplus = x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    if (strcmp(name, "relu") == 0)
        return x > 0 ? x : 0;
    if (strcmp(name, "relu6") == 0)
        return x < 0 ? 0 : x > 6 ? 6 : x;
    if (strcmp(name, "leaky_relu") == 0)
        return x < 0 ? 0.2 * x : x;
    if (strcmp(name, "elu") == 0)
        return x < 0 ? expm1(x) : x;
    if (strcmp(name, "selu") == 0)
        return 1.0507009873554804934 * (x < 0 ? 1.6732632423543772848 * expm1(x) : x);
    if (strcmp(name, "exponential") == 0)
        return exp(limited);
    if (strcmp(name, "gelu") == 0)
        return 0.5 * x * erfc(-x / sqrt(2));
    if (strcmp(name, "gelu_tanh") == 0)
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    if (strcmp(name, "hard_sigmoid") == 0)
        return fmin(fmax(0.2 * x + 0.5, 0), 1);
    if (strcmp(name, "hard_sigmoid_v3") == 0)
        return fmin(fmax(x / 6 + 0.5, 0), 1);
    if (strcmp(name, "mish") == 0)
        return x * tanh(softplus);
    if (strcmp(name, "sigmoid") == 0)
        return 1 / (1 + exp(-x));
    if (strcmp(name, "softplus") == 0)
        return softplus;
    if (strcmp(name, "softsign") == 0)
        return x / (1 + fabs(x));
    if (strcmp(name, "swish") == 0 || strcmp(name, "silu") == 0)
        return x / (1 + exp(-x));
    if (strcmp(name, "tanh") == 0)
        return tanh(x);
    ck_assert_str_eq(name, "linear");
    return x;
}

/* Y before the activation as (N, L', F), and the sum of the sizes of what was added up for each element. */
static void convolve(const layer *l, int64_t out, int64_t left, double *y, double *sizes)
{
    const int64_t rows = l->channels * l->multiplier;
    for (int64_t i = 0; i < l->batch * out; i++)
        for (int64_t f = 0; f < l->filters; f++) {
            const int64_t n = i / out;
            double sum = l->has_bias ? l->bias[f] : 0;
            double size = fabs(sum);
            for (int64_t j = 0; j < rows; j++)
                for (int64_t k = 0; k < l->kernel_size; k++) {
                    const int64_t t = i % out * l->strides - left + k * l->dilation_rate;
                    if (t < 0 || t >= l->length)
                        continue;
                    const double term = l->x[at(true, n, t, j / l->multiplier, l->length, l->channels)] *
                                        l->depthwise[j * l->kernel_size + k] * l->pointwise[f * rows + j];
                    sum += term;
                    size += fabs(term);
                }
            y[i * l->filters + f] = sum;
            sizes[i * l->filters + f] = size;
        }
}

/* Softmax along an axis: `count` elements, `step` apart. */
static void softmax(double *y, int64_t count, int64_t step, bool logarithm)
{
    double top = -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        top = fmax(top, y[i * step]);
    for (int64_t i = 0; i < count; i++)
        sum += exp(y[i * step] - top);
    for (int64_t i = 0; i < count; i++)
        y[i * step] = logarithm ? y[i * step] - top - log(sum) : exp(y[i * step] - top) / sum;
}

static void apply_activation(const layer *l, int64_t out, double *y)
{
    const bool logarithm = strcmp(l->activation, "log_softmax") == 0;
    if (strcmp(l->activation, "softmax") != 0 && !logarithm) {
        for (int64_t i = 0; i < l->batch * out * l->filters; i++)
            y[i] = activate(l->activation, y[i]);
    } else if (l->last) {
        for (int64_t i = 0; i < l->batch * out; i++)
            softmax(y + i * l->filters, l->filters, 1, logarithm);
    } else {
        for (int64_t i = 0; i < l->batch * l->filters; i++)
            softmax(y + i / l->filters * out * l->filters + i % l->filters, out, l->filters, logarithm);
    }
}

/* ---- The grid */

/* How far a result may be from the exact one: a sum of m terms has an error of about sqrt(m) to m roundings of its
 * terms' sizes, which the activation passes on with its slope; then the result is rounded. */
static double allowed(const layer *l, double size, double before, double exact)
{
    const bool softmax_like = strstr(l->activation, "softmax") != NULL;
    const double terms = (double)(l->channels * l->multiplier + l->kernel_size + 8);
    const double slope = strcmp(l->activation, "exponential") == 0 ? exp(before)
                         : strcmp(l->activation, "selu") == 0      ? 1.8
                         : softmax_like                            ? 4
                                                                   : 1.2;
    const double smallest = l->type == TL_FLOAT16 ? 0x1p-24 : 0;
    const double sum = (size + 1) * unit(l->type, true) * (sqrt(terms) + 4);
    /* What the activations themselves may lose: the vector functions are good to a few units in the last place. */
    const double function = strcmp(l->activation, "linear") == 0 ? 0 : 4 * unit(l->type, true) * (fabs(exact) + 0.5);
    return slope * sum + function + fabs(exact) * unit(l->type, false) + smallest;
}

static double worst[TL_TYPE_COUNT];

static void check_layer(const layer *l, int number)
{
    int64_t left = 0;
    const int64_t out = output_length(l, &left);
    const int64_t count = l->batch * out * l->filters;
    double *before = calloc((size_t)count + 1, sizeof *before);
    double *sizes = calloc((size_t)count + 1, sizeof *sizes);
    double *wanted = calloc((size_t)count + 1, sizeof *wanted);
    ck_assert(before != NULL && sizes != NULL && wanted != NULL);
    convolve(l, out, left, before, sizes);
    memcpy(wanted, before, (size_t)count * sizeof *wanted);
    apply_activation(l, out, wanted);
    double *got = run_layer(l, 1);
    /* A softmax mixes the errors of its whole axis. */
    double largest = 0;
    for (int64_t i = 0; i < count && strstr(l->activation, "softmax") != NULL; i++)
        largest = fmax(largest, sizes[i]);
    for (int64_t i = 0; i < count; i++) {
        const int64_t n = i / l->filters / out;
        const int64_t t = i / l->filters % out;
        const int64_t f = i % l->filters;
        const double y = got[at(l->last, n, t, f, out, l->filters)];
        const double error = fabs(y - wanted[i]);
        const double limit = allowed(l, fmax(sizes[i], largest), before[i], wanted[i]);
        worst[l->type] = fmax(worst[l->type], error / fmax(1, fabs(wanted[i])));
        ck_assert_msg(error <= limit,
                      "case %d: N%lld L%lld C%lld K%lld D%lld F%lld s%lld d%lld %s %s %s %s%s%s at (%lld,%lld,%lld): "
                      "%.9g, not %.9g; off by %g, allowed %g",
                      number, (long long)l->batch, (long long)l->length, (long long)l->channels,
                      (long long)l->kernel_size, (long long)l->multiplier, (long long)l->filters, (long long)l->strides,
                      (long long)l->dilation_rate, padding_names[l->padding], l->last ? "last" : "first",
                      tl_type_name(l->type), l->activation, l->has_bias ? " bias" : "", l->computed ? " computed" : "",
                      (long long)n, (long long)t, (long long)f, y, wanted[i], error, limit);
    }
    free(before);
    free(sizes);
    free(wanted);
    free(got);
}

enum { GRID_CASES = 3000 };

START_TEST(grid)
{
    uint64_t state = 20;
    for (int i = 0; i < GRID_CASES; i++) {
        layer l = random_layer(&state);
        fill_layer(&l, &state);
        check_layer(&l, i);
        free_layer(&l);
    }
    printf("%d layers; largest error against double arithmetic, relative above 1:", GRID_CASES);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        printf(" %s %.2g", tl_type_name(types[i]), worst[types[i]]);
    printf("\n");
}
END_TEST

/* Huge results stay finite or become infinite, but never NaN. */
START_TEST(no_nan_from_finite_input)
{
    uint64_t state = 3;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        for (int type = 0; type < 4; type++)
            for (int sign = 0; sign < 4; sign++) {
                layer l = {.batch = 1,
                           .length = 20,
                           .channels = 1,
                           .kernel_size = 1,
                           .multiplier = 1,
                           .filters = 1,
                           .strides = 1,
                           .dilation_rate = 1,
                           .last = sign % 2 == 0,
                           .type = types[type],
                           .activation = activations[i]};
                const double top = l.type == TL_DOUBLE    ? 0x1.fffffffffffffp1023
                                   : l.type == TL_FLOAT16 ? 65504
                                   : l.type == TL_FLOAT   ? (double)0x1.fffffep127F
                                                          : 0x1.fep127;
                fill_layer(&l, &state);
                l.depthwise[0] = sign < 2 ? 1 : -1;
                l.pointwise[0] = 1;
                for (int t = 0; t < 20; t++)
                    l.x[t] = t == 0 ? 0 : t % 2 == 0 ? top / pow(10, 2 * t - 4) : -top / pow(3, t);
                for (int t = 0; t < 20; t++) { /* as the type can hold them */
                    double room = 0;
                    set_number(l.type, &room, 0, l.x[t]);
                    l.x[t] = get_number(l.type, &room, 0);
                }
                double *y = run_layer(&l, 1);
                for (int t = 0; t < 20; t++)
                    ck_assert_msg(!isnan(y[t]), "%s of %g in %s", l.activation, l.x[t], tl_type_name(l.type));
                free(y);
                free_layer(&l);
            }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("separable_conv1d.values");
    TCase *tests = tcase_create("values");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, grid);
    tcase_add_test(tests, no_nan_from_finite_input);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
