/* Values that are stretches of others, as Split and Slice leave them where they lie: random graphs of these and of
 * operators that may write over what they read, while other operands lie in the same memory, against plain loops. */
#include "strips.h"

#include <stdio.h>

enum { CHANNELS = 24, STEPS = 16, OPERATORS = 14, MOST_VALUES = 2 + 2 * OPERATORS };

/* [1, channels, steps] */
typedef struct block {
    int channels, steps;
    float at[CHANNELS * STEPS];
} block;

static block values[MOST_VALUES];
static int count;

static int below(int n)
{
    return (int)((noise(&seed) + 1) / 2 * n) % n;
}

static block *new_value(int channels, int steps)
{
    values[count].channels = channels;
    values[count].steps = steps;
    return &values[count++];
}

/* Channels from `c` on and steps from `t` on of x. */
static void cut(const block *x, int c, int channels, int t, int steps)
{
    block *y = new_value(channels, steps);
    for (int i = 0; i < channels * steps; i++)
        y->at[i] = x->at[(c + i / steps) * x->steps + t + i % steps];
}

static void add_named(const char *op, const char *attributes, const char *form, int a, int b)
{
    char inputs[64], output[16];
    snprintf(inputs, sizeof inputs, form, a, b);
    snprintf(output, sizeof output, "v%d", count - 1);
    add(op, inputs, output, attributes);
}

static void add_list(const char *form, const char *numbers_form, int a, int b)
{
    char name[16], numbers[32];
    snprintf(name, sizeof name, form, count);
    snprintf(numbers, sizeof numbers, numbers_form, a, b);
    add_numbers(&network, name, numbers);
}

static void add_split(int k)
{
    const block *x = &values[k];
    const int first = below(x->channels + 1), rest = x->channels - first;
    char inputs[32], outputs[32];
    add_list("lengths%d", "%d,%d", first, rest);
    snprintf(inputs, sizeof inputs, "v%d lengths%d", k, count);
    snprintf(outputs, sizeof outputs, "v%d v%d", count, count + 1);
    cut(x, 0, first, 0, x->steps);
    cut(x, first, rest, 0, x->steps);
    add("Split", inputs, outputs, "axis=1");
}

/* Of at most `most` channels or steps. */
static void add_slice(int k, int most)
{
    const block *x = &values[k];
    const int axis = 1 + below(2), length = axis == 1 ? x->channels : x->steps;
    const int from = below(length), to = from + 1 + below(length - from < most ? length - from : most);
    char inputs[80], output[16];
    add_list("from%d", "%d", from, 0);
    add_list("to%d", "%d", to, 0);
    add_list("axis%d", "%d", axis, 0);
    snprintf(inputs, sizeof inputs, "v%d from%d to%d axis%d", k, count, count, count);
    snprintf(output, sizeof output, "v%d", count);
    if (axis == 1)
        cut(x, from, to - from, 0, x->steps);
    else
        cut(x, 0, x->channels, from, to - from);
    add("Slice", inputs, output, "");
}

static float combine(int kind, float a, float b)
{
    return kind == 0 ? a + b : kind == 1 ? a - b : a > b ? a : b;
}

/* Of x and `other`, or the next value before it that broadcasts to x, on either side. */
static void add_pair(int k, int other)
{
    static const char *const names[] = {"Add", "Sub", "Max"};
    const block *x = &values[k], *v;
    const int kind = below(3), swapped = below(2);
    for (;; other = (other + count - 1) % count) {
        v = &values[other];
        if ((v->channels == 1 || v->channels == x->channels) && (v->steps == 1 || v->steps == x->steps))
            break;
    }
    block *y = new_value(x->channels, x->steps);
    for (int i = 0; i < x->channels * x->steps; i++) {
        const int c = v->channels == 1 ? 0 : i / x->steps, t = v->steps == 1 ? 0 : i % x->steps;
        const float a = x->at[i], b = v->at[c * v->steps + t];
        y->at[i] = swapped ? combine(kind, b, a) : combine(kind, a, b);
    }
    add_named(names[kind], "", "v%d v%d", swapped ? other : k, swapped ? k : other);
}

/* Mostly of the last ones, so that others are read for the last time; none without elements. */
static int some_value(void)
{
    for (;;) {
        const int k = below(8) ? count - 1 - below(count < 3 ? count : 3) : below(count);
        if (values[k].channels)
            return k;
    }
}

static void make_graph(void)
{
    block *x = new_value(CHANNELS, STEPS);
    for (int i = 0; i < CHANNELS * STEPS; i++)
        x->at[i] = (float)noise(&seed);
    block *v = new_value(CHANNELS, STEPS);
    for (int i = 0; i < CHANNELS * STEPS; i++)
        v->at[i] = -x->at[i];
    add("Neg", "v0", "v1", "");
    for (int i = 0; i < OPERATORS; i += 2) {
        const int k = some_value(), kind = below(4);
        if (kind == 0)
            add_split(k);
        else if (kind == 1)
            add_slice(k, CHANNELS);
        else if (kind == 2)
            add_slice(k, 1); /* which the pair then reads, and may not write over */
        add_pair(kind == 2 ? k : some_value(), kind == 2 ? count - 1 : below(count));
    }
}

static void check_runs(uint32_t flags, const char *dims)
{
    static float buffer[CHANNELS * STEPS] __attribute__((aligned(64)));
    const block *expected = &values[count - 1];
    const size_t bytes = (size_t)(expected->channels * expected->steps) * sizeof(float);
    const tl_runtime_options options = {.size = sizeof options, .threads = 1};
    tl_runtime *runtime = open_runtime(&options);
    tl_session *session = open_session(runtime, flags);
    tl_context *context = open_context(session);
    tl_tensor x = floats(3, 1, CHANNELS, STEPS, 0), y;
    x.data = values[0].at;
    for (int bound = 0; bound < 2; bound++) {
        if (bound)
            ck_assert_int_eq(tl_context_bind_output(context, 0, buffer, bytes, &test_error), TL_OK);
        run_once(context, &x, &y);
        ck_assert_int_eq(tl_tensor_bytes(&y), (int64_t)bytes);
        for (size_t i = 0; i < bytes / sizeof(float); i++)
            ck_assert_msg(((float *)y.data)[i] == expected->at[i], "graph %s: element %zu", dims, i);
    }
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
}

START_TEST(test_graphs)
{
    for (int i = 0; i < 12; i++) {
        begin();
        seed = (uint64_t)(12 * _i + i) + 1;
        count = 0;
        do {
            network = (model){.opset = 17};
            count = 0;
            make_graph();
        } while (!values[count - 1].channels);
        char last[16];
        snprintf(last, sizeof last, "v%d", count - 1);
        add("Identity", last, "y", "");
        finish_from("v0", "1,C,T");
        check_runs(0, last);
        check_runs(TL_SESSION_NO_REWRITES, last);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parts");
    TCase *tcase = tcase_create("parts");
    tcase_add_loop_test(tcase, test_graphs, 0, 12);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
