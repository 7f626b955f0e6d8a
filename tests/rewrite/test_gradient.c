/* Gradient: what it is written out as computes, in double, what finite differences say. */
#include "separable_conv1d/model.h"
#include "tapline/plugin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct step {
    const char *op, *inputs, *outputs, *attributes;
} step;

/* y as a function of a and b, which are between 0.5 and 1.5; `one` is 1.03, `two` is 2 */
typedef struct function {
    const char *name, *a, *b;
    step steps[8];
    int64_t opset; /* 0: 17 */
} function;

static const function functions[] = {
    {"sum", "2,3", "2,3", {{"Add", "a b", "y", ""}}, 0},
    {"difference, broadcast both ways", "2,1,3", "4,1", {{"Sub", "a b", "y", ""}}, 0},
    {"product, broadcast", "2,3", "3", {{"Mul", "a b", "y", ""}}, 0},
    {"quotient by a scalar", "2,3", "", {{"Div", "a b", "y", ""}}, 12},
    {"symbols", "N,3", "3", {{"Mul", "a b", "s", ""}, {"Add", "s a", "y", ""}}, 0},
    {"power", "2,3", "2,1", {{"Pow", "a b", "y", ""}}, 0},
    {"several", "5", "1", {{"Sum", "a b a", "s", ""}, {"Mul", "s s", "y", ""}}, 0},
    {"roots and logarithms",
     "6",
     "6",
     {{"Log", "a", "s", ""}, {"Sqrt", "b", "t", ""}, {"Mul", "s t", "u", ""}, {"Exp", "u", "y", ""}},
     0},
    {"kinks",
     "6",
     "6",
     {{"Sub", "a one", "s", ""},
      {"Sub", "b one", "t", ""},
      {"Relu", "s", "u", ""},
      {"Abs", "t", "v", ""},
      {"Sub", "u v", "w", ""},
      {"Mul", "w b", "y", ""}},
     0},
    {"curves",
     "6",
     "6",
     {{"Sigmoid", "a", "s", ""},
      {"Tanh", "b", "t", ""},
      {"Mul", "s t", "u", ""},
      {"Softplus", "u", "v", ""},
      {"Reciprocal", "v", "w", ""},
      {"Neg", "w", "y", ""}},
     0},
    {"waves",
     "6",
     "6",
     {{"Sin", "a", "s", ""}, {"Cos", "b", "t", ""}, {"Mul", "s t", "u", ""}, {"Identity", "u", "y", ""}},
     0},
    {"matrices", "2,3", "3,4", {{"MatMul", "a b", "s", ""}, {"Mul", "s s", "y", ""}}, 0},
    {"batches of matrices", "5,1,2,3", "2,3,4", {{"MatMul", "a b", "s", ""}, {"Mul", "s s", "y", ""}}, 0},
    {"vector by matrices", "3", "2,3,4", {{"MatMul", "a b", "s", ""}, {"Mul", "s s", "y", ""}}, 0},
    {"matrices by vector", "2,4,3", "3", {{"MatMul", "a b", "s", ""}, {"Mul", "s s", "y", ""}}, 0},
    {"vectors", "3", "3", {{"MatMul", "a b", "s", ""}, {"Mul", "s s", "y", ""}}, 0},
    {"Gemm", "2,3", "3,4", {{"Gemm", "a b", "s", "alpha=0.5"}, {"Mul", "s s", "y", ""}}, 0},
    {"Gemm of transposed",
     "3,2",
     "4,3",
     {{"Gemm", "a b two", "s", "transA=1 transB=1 beta=0.25"}, {"Mul", "s s", "y", ""}},
     0},
    {"Gemm's sum",
     "2,3",
     "3",
     {{"Transpose", "a", "t", ""}, {"Gemm", "a t b3", "s", "beta=0.5"}, {"Mul", "s s", "y", ""}},
     0},
    {"shapes",
     "2,3,4",
     "4,3,2",
     {{"Transpose", "a", "s", ""},
      {"Mul", "s b", "t", ""},
      {"Transpose", "t", "u", "perm=[1,2,0]"},
      {"Reshape", "u six", "v", ""},
      {"Mul", "v v", "y", ""}},
     0},
    {"reductions",
     "2,3,4",
     "2,4",
     {{"ReduceSum", "a middle", "s", "keepdims=0"},
      {"Mul", "s b", "t", ""},
      {"ReduceMean", "t", "u", "axes=[1]"},
      {"Mul", "u b", "v", ""},
      {"Exp", "v", "y", ""}},
     0},
    {"mean over all",
     "N,3",
     "1",
     {{"ReduceMean", "a", "s", "keepdims=0"}, {"Mul", "s b", "t", ""}, {"Mul", "t a", "y", ""}},
     0},
    {"older reductions",
     "2,3",
     "3",
     {{"Mul", "a b", "s", ""}, {"ReduceSum", "s", "t", "axes=[0]"}, {"Exp", "t", "y", ""}},
     11},
};

static void put_strings(message *node, const char *name, const char *words, int kind)
{
    message attribute = {0};
    char one[32];
    put_text(&attribute, 1, name);
    put_int(&attribute, 20, kind);
    for (size_t n = 0; *words; words += n + (words[n] == ' ')) {
        n = strcspn(words, " ");
        snprintf(one, sizeof one, "%.*s", (int)n, words);
        put_text(&attribute, kind == TL_ATTR_STRING ? 4 : 9, one);
    }
    put_message(node, 5, &attribute);
}

static void add_gradient(model *m, const char *inputs, const char *xs, const char *zs, const char *y, const char *out)
{
    message gradient = node("Gradient", "ai.onnx.preview.training", inputs, out);
    put_strings(&gradient, "xs", xs, TL_ATTR_STRINGS);
    if (*zs)
        put_strings(&gradient, "zs", zs, TL_ATTR_STRINGS);
    put_strings(&gradient, "y", y, TL_ATTR_STRING);
    put_message(&m->graph, 1, &gradient);
}

static void add_function(model *m, const function *f)
{
    static const double one = 1.03, two = 2;
    m->opset = f->opset ? f->opset : 17;
    add_input(m, "a", TL_DOUBLE, f->a);
    add_input(m, "b", TL_DOUBLE, f->b);
    add_constant(m, "one", TL_DOUBLE, "", &one);
    add_constant(m, "two", TL_DOUBLE, "", &two);
    add_numbers(m, "six", "6,4");
    add_numbers(m, "middle", "1");
    for (const step *s = f->steps; s->op; s++) {
        /* b3: the sum of b, so that Gemm gets something of the size 1 to broadcast */
        if (strstr(s->inputs, "b3"))
            add_node(m, "ReduceSum", "b", "b3", "");
        add_node(m, s->op, s->inputs, s->outputs, s->attributes);
    }
}

/* Runs the model with an import of the operator's domain. */
static outcome run(const model *m, bool rewrites, const tl_tensor *inputs)
{
    static const uint8_t import[] = "\x42\x1c\x0a\x18"
                                    "ai.onnx.preview.training\x10\x01";
    outcome r = {.status = TL_OK};
    size_t size, more = sizeof import - 1;
    tl_session *session = NULL;
    tl_context *context = NULL;
    const tl_session_options options = {.size = sizeof options, .flags = rewrites ? 0 : TL_SESSION_NO_REWRITES};
    uint8_t *bytes = finish_model(m, &size), *both = malloc(size + more);
    memcpy(both, bytes, size);
    memcpy(both + size, import, more);
    r.status = tl_session_open_memory(runtime_of(1), both, size + more, &options, &session, &r.error);
    if (r.status == TL_OK)
        r.status = tl_context_create(session, &context, &r.error);
    for (size_t k = 0; k < 2 && r.status == TL_OK; k++)
        r.status = tl_context_set_input(context, k, &inputs[k], &r.error);
    if (r.status == TL_OK)
        r.status = tl_context_run(context, &r.error);
    if (r.status == TL_OK) {
        ck_assert_int_eq(tl_context_output(context, 0, &r.tensor, &r.error), TL_OK);
        const size_t bytes_out = (size_t)tl_tensor_bytes(&r.tensor);
        r.tensor.data = memcpy(malloc(bytes_out + 1), r.tensor.data, bytes_out);
    }
    tl_context_destroy(context);
    tl_session_destroy(session);
    free(bytes);
    free(both);
    return r;
}

static outcome run_ok(const model *m, bool rewrites, const tl_tensor *inputs, const char *name)
{
    outcome r = run(m, rewrites, inputs);
    ck_assert_msg(r.status == TL_OK, "%s: %s", name, r.error.message);
    return r;
}

static double sum_of(const function *f, const tl_tensor *inputs)
{
    model m = {0};
    add_function(&m, f);
    add_output(&m, "y", TL_DOUBLE);
    outcome r = run_ok(&m, true, inputs, f->name);
    double sum = 0;
    for (int64_t i = 0; i < tl_tensor_elements(&r.tensor); i++)
        sum += ((double *)r.tensor.data)[i];
    free(r.tensor.data);
    return sum;
}

static tl_tensor arbitrary(const char *dims, uint64_t seed)
{
    tl_tensor t = {.type = TL_DOUBLE};
    t.rank = parse_dims(dims, 4, t.dims);
    const int64_t count = tl_tensor_elements(&t);
    double *x = malloc((size_t)count * sizeof *x + 1);
    for (int64_t i = 0; i < count; i++)
        x[i] = 1 + noise(&seed) / 2;
    t.data = x;
    return t;
}

/* Input k's derivative by differences against `got`. */
static void check_differences(const function *f, tl_tensor *inputs, int k, const tl_tensor *got)
{
    const double h = 1e-5;
    double *x = inputs[k].data;
    ck_assert_int_eq(got->rank, inputs[k].rank);
    ck_assert_int_eq(tl_tensor_elements(got), tl_tensor_elements(&inputs[k]));
    for (int64_t i = 0; i < tl_tensor_elements(got); i++) {
        const double there = x[i], have = ((double *)got->data)[i];
        x[i] = there + h;
        const double above = sum_of(f, inputs);
        x[i] = there - h;
        const double want = (above - sum_of(f, inputs)) / (2 * h);
        x[i] = there;
        ck_assert_msg(fabs(have - want) <= 1e-7 * (1 + fabs(want)), "%s by %c: element %lld is %.12g, not %.12g",
                      f->name, "ab"[k], (long long)i, have, want);
    }
}

START_TEST(finite_differences)
{
    for (size_t n = 0; n < sizeof functions / sizeof functions[0]; n++) {
        const function *f = &functions[n];
        tl_tensor inputs[2] = {arbitrary(f->a, n), arbitrary(f->b, n + 100)};
        for (int k = 0; k < 2; k++)
            for (int rewrites = 0; rewrites < 2; rewrites++) {
                model m = {0};
                add_function(&m, f);
                add_gradient(&m, "a b", "a b", "", "y", "da db");
                add_output(&m, k ? "db" : "da", TL_DOUBLE);
                outcome r = run_ok(&m, rewrites, inputs, f->name);
                check_differences(f, inputs, k, &r.tensor);
                free(r.tensor.data);
            }
        free(inputs[0].data);
        free(inputs[1].data);
    }
}
END_TEST

/* y = a a b: the second derivative by a, then b, is 2 a; one Gradient stands in front of what it is computed from. */
START_TEST(second_order)
{
    static const function f = {"", "3", "3", {{"Mul", "a a", "s", ""}, {"Mul", "s b", "y", ""}}, 0};
    tl_tensor inputs[2] = {arbitrary("3", 1), arbitrary("3", 2)};
    model m = {0};
    add_gradient(&m, "b", "b", "", "da", "dab");
    add_function(&m, &f);
    add_gradient(&m, "a b", "a", "b", "y", "da");
    add_output(&m, "dab", TL_DOUBLE);
    outcome r = run_ok(&m, true, inputs, "second order");
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq_tol(((double *)r.tensor.data)[i], 2 * ((double *)inputs[0].data)[i], 1e-12);
    free(r.tensor.data);
    free(inputs[0].data);
    free(inputs[1].data);
}
END_TEST

/* The function of the graph at another place: y = a a at a = b. And an x on which y does not depend. */
START_TEST(other_values)
{
    static const function f = {"", "3", "3", {{"Mul", "a a", "y", ""}}, 0};
    tl_tensor inputs[2] = {arbitrary("3", 1), arbitrary("3", 2)};
    for (int k = 0; k < 2; k++) {
        model m = {0};
        add_function(&m, &f);
        add_gradient(&m, "b a", "a b", "", "y", "da db");
        add_output(&m, k ? "db" : "da", TL_DOUBLE);
        outcome r = run_ok(&m, true, inputs, "other values");
        for (int i = 0; i < 3; i++)
            ck_assert_double_eq_tol(((double *)r.tensor.data)[i], k ? 0 : 2 * ((double *)inputs[1].data)[i], 1e-12);
        free(r.tensor.data);
    }
    free(inputs[0].data);
    free(inputs[1].data);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        function f;
        const char *inputs, *xs, *y, *says;
    } cases[] = {
        {{"", "3", "3", {{"Mul", "a b", "s", ""}, {"Erf", "s", "y", ""}}, 0},
         "a",
         "a",
         "y",
         "(Erf): there is no derivative"},
        {{"", "N,3", "M,3", {{"Mul", "a b", "y", ""}}, 0}, "a", "a", "y", "must be known"},
        {{"", "3", "3", {{"Mul", "a b", "y", ""}}, 0}, "a", "a", "u", "'u' is no value"},
        {{"", "3", "3", {{"Mul", "a b", "y", ""}}, 0}, "a", "c", "y", "'c' is no value"},
        {{"", "3", "3", {{"Mul", "a b", "y", ""}}, 0}, "a", "a b", "y", "1 inputs and 1 outputs, but xs and zs name 2"},
        {{"", "3", "3", {{"Mul", "a b", "y", ""}}, 0}, "six", "six", "y", "'Outputs' has type int64"},
        {{"", "3", "3", {{"Mul", "a da", "y", ""}}, 0}, "a", "a", "y", "cycle"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        model m = {0};
        add_function(&m, &cases[k].f);
        add_gradient(&m, cases[k].inputs, cases[k].xs, "", cases[k].y, "da");
        add_output(&m, "da", TL_DOUBLE);
        outcome r = run(&m, true, NULL);
        ck_assert_msg(r.status == TL_UNSUPPORTED || r.status == TL_INVALID_MODEL, "case %zu: status %d", k, r.status);
        ck_assert_msg(strstr(r.error.message, cases[k].says) != NULL, "case %zu: %s", k, r.error.message);
    }
}
END_TEST

/* Each derivative of a derivative is some times as long as what it is of: a file of a few nodes must not fill memory.
 */
START_TEST(bounded)
{
    static const char *const names[] = {"y", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12"};
    static const function f = {"", "3", "3", {{"Mul", "a b", "s", ""}, {"Sigmoid", "s", "y", ""}}, 0};
    model m = {0};
    add_function(&m, &f);
    for (int k = 1; k <= 12; k++)
        add_gradient(&m, "a", "a", "", names[k - 1], names[k]);
    add_output(&m, "d12", TL_DOUBLE);
    outcome r = run(&m, true, NULL);
    ck_assert_int_eq(r.status, TL_UNSUPPORTED);
    ck_assert_msg(strstr(r.error.message, "more than 4096") != NULL, "%s", r.error.message);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gradient");
    TCase *tests = tcase_create("gradient");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, finite_differences);
    tcase_add_test(tests, second_order);
    tcase_add_test(tests, other_values);
    tcase_add_test(tests, refused);
    tcase_add_test(tests, bounded);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
