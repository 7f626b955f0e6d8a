/* What a separable convolution is, whatever its numbers: causal, linear, the same for shifts, layouts, batches and
 * threads. */
#include "layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PROPERTY_CASES = 120 };

static int64_t count_of(const layer *l)
{
    int64_t left = 0;
    return l->batch * output_length(l, &left) * l->filters;
}

static bool same_bits(double a, double b)
{
    uint64_t bits[2];
    memcpy(&bits[0], &a, sizeof a);
    memcpy(&bits[1], &b, sizeof b);
    return bits[0] == bits[1];
}

static void assert_same_bits(const double *a, const double *b, int64_t count, const char *what, int number)
{
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(same_bits(a[i], b[i]), "%s, case %d, element %lld: %.17g and %.17g", what, number, (long long)i,
                      a[i], b[i]);
}

/* A causal layer for one sample. Its activation is no softmax, which in channels_first goes over time. */
static layer causal_layer(uint64_t *state, int64_t *out)
{
    int64_t left = 0;
    layer l = random_layer(state);
    l.padding = PADDING_CAUSAL;
    l.batch = 1;
    if (strstr(l.activation, "softmax") != NULL)
        l.activation = "tanh";
    fill_layer(&l, state);
    *out = output_length(&l, &left);
    return l;
}

/* Changing the future changes nothing before it, not one bit. */
START_TEST(causality)
{
    uint64_t state = 5;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        int64_t out;
        layer l = causal_layer(&state, &out);
        double *before = run_layer(&l, 1);
        const int64_t now = pick(&state, 0, l.length - 1);
        for (int64_t k = (now + 1) * l.channels; k < l.length * l.channels; k++)
            l.x[k] = 1 - l.x[k];
        double *after = run_layer(&l, 1);
        for (int64_t t = 0; t < out && t * l.strides <= now; t++)
            for (int64_t f = 0; f < l.filters; f++) {
                const int64_t k = at(l.last, 0, t, f, out, l.filters);
                ck_assert_msg(same_bits(before[k], after[k]), "case %d: output %lld depends on input after %lld", i,
                              (long long)t, (long long)now);
            }
        free(before);
        free(after);
        free_layer(&l);
    }
}
END_TEST

/* Before bias and activation: f(a x + y) = a f(x) + f(y). */
START_TEST(linearity)
{
    uint64_t state = 6;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        l.type = i % 2 == 0 ? TL_FLOAT : TL_DOUBLE;
        l.activation = "linear";
        l.has_bias = false;
        fill_layer(&l, &state);
        const int64_t x_count = l.batch * l.length * l.channels;
        const int64_t count = count_of(&l);
        double *x = l.x;
        double *other = random_numbers(&state, l.type, x_count, 2);
        double *mixed = malloc((size_t)(x_count + 1) * sizeof *mixed);
        ck_assert_ptr_nonnull(mixed);
        for (int64_t k = 0; k < x_count; k++)
            mixed[k] = 0.5 * x[k] + other[k];
        double *fx = run_layer(&l, 1);
        l.x = other;
        double *fy = run_layer(&l, 1);
        l.x = mixed;
        double *both = run_layer(&l, 1);
        for (int64_t k = 0; k < count; k++)
            ck_assert_msg(fabs(both[k] - 0.5 * fx[k] - fy[k]) <= (l.type == TL_FLOAT ? 3e-5 : 1e-12),
                          "case %d: %.17g, not %.17g", i, both[k], 0.5 * fx[k] + fy[k]);
        l.x = x;
        free(other);
        free(mixed);
        free(fx);
        free(fy);
        free(both);
        free_layer(&l);
    }
}
END_TEST

/* X of a layer with `front` zero steps before it and `behind` after it. */
static layer with_zeros(const layer *l, int64_t front, int64_t behind)
{
    layer wide = *l;
    wide.length += front + behind;
    wide.x = calloc((size_t)(wide.batch * wide.length * l->channels) + 1, sizeof *wide.x);
    ck_assert_ptr_nonnull(wide.x);
    for (int64_t n = 0; n < l->batch; n++)
        memcpy(wide.x + (n * wide.length + front) * l->channels, l->x + n * l->length * l->channels,
               (size_t)(l->length * l->channels) * sizeof *wide.x);
    return wide;
}

/* Causal: s steps of silence in front move the output by one step. */
START_TEST(shift_equivariance)
{
    uint64_t state = 7;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        int64_t out;
        layer l = causal_layer(&state, &out);
        layer late = with_zeros(&l, l.strides, 0);
        double *y = run_layer(&l, 1);
        double *moved = run_layer(&late, 1);
        for (int64_t k = 0; k < out * l.filters; k++)
            ck_assert_double_eq(y[at(l.last, 0, k / l.filters, k % l.filters, out, l.filters)],
                                moved[at(l.last, 0, k / l.filters + 1, k % l.filters, out + 1, l.filters)]);
        free(y);
        free(moved);
        free(late.x);
        free_layer(&l);
    }
}
END_TEST

/* same and causal are valid on input with the zeros written out, bit for bit. */
START_TEST(padding_is_zeros)
{
    uint64_t state = 8;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        l.padding = i % 2 == 0 ? PADDING_SAME : PADDING_CAUSAL;
        fill_layer(&l, &state);
        int64_t left = 0;
        const int64_t out = output_length(&l, &left);
        const int64_t need = (out - 1) * l.strides + l.dilation_rate * (l.kernel_size - 1) + 1 - l.length - left;
        layer padded = with_zeros(&l, left, need > 0 ? need : 0);
        padded.padding = PADDING_VALID;
        ck_assert_int_eq(count_of(&padded), count_of(&l));
        double *a = run_layer(&l, 1);
        double *b = run_layer(&padded, 1);
        assert_same_bits(a, b, count_of(&l), "zeros", i);
        free(a);
        free(b);
        free(padded.x);
        free_layer(&l);
    }
}
END_TEST

/* channels_first is channels_last transposed. */
START_TEST(layouts_agree)
{
    uint64_t state = 9;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        if (strstr(l.activation, "softmax") != NULL)
            l.activation = "selu";
        fill_layer(&l, &state);
        int64_t left = 0;
        const int64_t out = output_length(&l, &left);
        l.last = true;
        double *a = run_layer(&l, 1);
        l.last = false;
        double *b = run_layer(&l, 1);
        for (int64_t k = 0; k < count_of(&l); k++) {
            const double other = b[at(false, k / l.filters / out, k / l.filters % out, k % l.filters, out, l.filters)];
            const double size = fabs(a[k]) + 1;
            ck_assert_msg(fabs(a[k] - other) <= size * (2 * unit(l.type, false) + 64 * unit(l.type, true)),
                          "case %d: %.17g and %.17g", i, a[k], other);
        }
        free(a);
        free(b);
        free_layer(&l);
    }
}
END_TEST

/* A batch of n is n runs of one, bit for bit. */
START_TEST(batch_is_single_runs)
{
    uint64_t state = 10;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        l.batch = pick(&state, 2, 5);
        fill_layer(&l, &state);
        double *all = run_layer(&l, 1);
        layer one = l;
        one.batch = 1;
        for (int64_t n = 0; n < l.batch; n++) {
            one.x = l.x + n * l.length * l.channels;
            double *single = run_layer(&one, 1);
            assert_same_bits(all + n * count_of(&one), single, count_of(&one), "batch", i);
            free(single);
        }
        free(all);
        free_layer(&l);
    }
}
END_TEST

/* Any number of threads, bit for bit. */
START_TEST(threads_agree)
{
    uint64_t state = 11;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        l.length += pick(&state, 0, 300);
        fill_layer(&l, &state);
        double *one = run_layer(&l, 1);
        for (int threads = 2; threads <= 8; threads += 3) {
            double *more = run_layer(&l, threads);
            assert_same_bits(one, more, count_of(&l), "threads", i);
            free(more);
        }
        free(one);
        free_layer(&l);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("separable_conv1d.properties");
    TCase *tests = tcase_create("properties");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, causality);
    tcase_add_test(tests, linearity);
    tcase_add_test(tests, shift_equivariance);
    tcase_add_test(tests, padding_is_zeros);
    tcase_add_test(tests, layouts_agree);
    tcase_add_test(tests, batch_is_single_runs);
    tcase_add_test(tests, threads_agree);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
