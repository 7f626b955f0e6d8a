/* The decomposition: a grouped Conv, a 1x1 Conv and the activation give the same values, for every type, activation,
 * padding and layout, in operators that the model's opset has; and recognition finds the operator again. */
#include "separable_conv1d/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "save/save.h"
#include "separable_conv1d/plugin.h"

/* ---- Decomposition as a rule, in a runtime of its own
 * ------------------------------------------------------------------ */

static const tl_rule lower = {.size = sizeof(tl_rule),
                              .name = "test.lower",
                              .phase = TL_PHASE_PLUGIN,
                              .anchor_domain = "tapline",
                              .anchor_name = "SeparableConv1D",
                              .apply = sepconv_decompose};
static const tl_rule lower_late = {.size = sizeof(tl_rule),
                                   .name = "test.lower",
                                   .phase = TL_PHASE_LAYOUT,
                                   .anchor_domain = "tapline",
                                   .anchor_name = "SeparableConv1D",
                                   .apply = sepconv_decompose};

static tl_status register_lower(const struct tl_host *host, struct tl_registrar *registrar)
{
    return host->register_rule(registrar, &lower);
}

/* In the phase before recognition, so that what it makes is recognised. */
static tl_status register_lower_first(const struct tl_host *host, struct tl_registrar *registrar)
{
    return host->register_rule(registrar, &lower_late);
}

static tl_runtime *runtime_with(tl_plugin_entry entry)
{
    static const tl_runtime_options options = {.size = sizeof options, .threads = 1};
    tl_runtime *runtime = NULL;
    tl_error error;
    ck_assert_int_eq(tl_runtime_create(&options, &runtime, &error), TL_OK);
    ck_assert_int_eq(tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error), TL_OK);
    ck_assert_msg(tl_plugin_register(runtime, entry, &error) == TL_OK, "%s", error.message);
    return runtime;
}

/* ---- Models
 * ---------------------------------------------------------------------------------------------------------------- */

typedef struct variant {
    int64_t opset; /* 0: no import of the default domain */
    tl_type type;
    const char *x, *at_run;
    bool last, has_bias;
    const char *attributes, *activation;
} variant;

enum { CHANNELS = 3, MULTIPLIER = 2, TAPS = 4, FILTERS = 5 };

static void add_random(model *m, const char *name, tl_type type, const char *dims, uint64_t *state)
{
    char room[8 * 256];
    int64_t sizes[TL_MAX_RANK];
    const int32_t rank = parse_dims(dims, 1, sizes);
    int64_t count = 1;
    for (int32_t i = 0; i < rank; i++)
        count *= sizes[i];
    for (int64_t i = 0; i < count; i++)
        set_number(type, room, i, noise(state));
    add_constant(m, name, type, dims, room);
}

static model build(const variant *v)
{
    model m = {.opset = v->opset, .tapline = 1};
    uint64_t state = 4;
    char attributes[256];
    add_input(&m, "x", v->type, v->x);
    add_random(&m, "w", v->type, "6,1,4", &state);
    add_random(&m, "p", v->type, "5,6,1", &state);
    if (v->has_bias)
        add_random(&m, "b", v->type, "5", &state);
    snprintf(attributes, sizeof attributes, "depth_multiplier=2 data_format='%s' activation='%s'%s%s",
             v->last ? "channels_last" : "channels_first", v->activation, v->attributes[0] != '\0' ? " " : "",
             v->attributes);
    add_node(&m, "tapline:SeparableConv1D", v->has_bias ? "x w p b" : "x w p", "y", attributes);
    add_output(&m, "y", v->type);
    return m;
}

static tl_tensor input_of(const variant *v, void *room)
{
    tl_tensor x = {.data = room, .type = v->type};
    uint64_t state = 9;
    x.rank = parse_dims(v->at_run, 0, x.dims);
    for (int64_t i = 0; i < tl_tensor_elements(&x); i++)
        set_number(v->type, room, i, 3 * noise(&state));
    return x;
}

static double tolerance(tl_type type)
{
    switch (type) {
    case TL_DOUBLE:
        return 1e-7; /* operators have their parameters as floats */
    case TL_FLOAT16:
        return 0.02;
    case TL_BFLOAT16:
        return 0.15;
    default:
        return 1e-5;
    }
}

static void assert_near(const variant *v, const outcome *a, const outcome *b)
{
    ck_assert_int_eq(a->tensor.rank, b->tensor.rank);
    for (int32_t i = 0; i < a->tensor.rank; i++)
        ck_assert_int_eq(a->tensor.dims[i], b->tensor.dims[i]);
    for (int64_t i = 0; i < tl_tensor_elements(&a->tensor); i++) {
        const double x = get_number(v->type, a->tensor.data, i);
        const double y = get_number(v->type, b->tensor.data, i);
        ck_assert_msg(fabs(x - y) <= tolerance(v->type) * fmax(1, fabs(x)), "opset %lld %s %s %s %s: %g and %g",
                      (long long)v->opset, tl_type_name(v->type), v->activation, v->attributes,
                      v->last ? "last" : "first", x, y);
    }
}

/* Runs it whole, lowered, and lowered and recognised again. */
static void check_variant(const variant *v, char *ops, size_t size)
{
    static tl_runtime *lowering;
    static tl_runtime *back;
    double room[1024];
    const model m = build(v);
    const tl_tensor x = input_of(v, room);
    if (lowering == NULL) {
        lowering = runtime_with(register_lower);
        back = runtime_with(register_lower_first);
    }
    outcome whole = run_model(&m, 1, false, &x, 1);
    ck_assert_msg(whole.status == TL_OK && whole.fused == 1, "%s", whole.error.message);
    outcome lowered = run_model_in(lowering, &m, rules_to_disable(lowering, "separable_conv1d.fuse"), true, &x, 1);
    ck_assert_msg(lowered.status == TL_OK, "%s", lowered.error.message);
    ck_assert_msg(lowered.fused == 0, "opset %lld %s %s stays", (long long)v->opset, v->activation, lowered.ops);
    assert_near(v, &whole, &lowered);
    snprintf(ops, size, "%s", lowered.ops);
    if (v->type == TL_FLOAT || v->type == TL_DOUBLE) {
        outcome again = run_model_in(back, &m, NULL, true, &x, 1);
        ck_assert_msg(again.status == TL_OK, "%s", again.error.message);
        ck_assert_msg(again.fused == 1 && again.nodes == 1, "opset %lld %s %s: %s after %s", (long long)v->opset,
                      v->activation, v->attributes, again.ops, lowered.ops);
        assert_near(v, &whole, &again);
        free_outcome(&again);
    }
    free_outcome(&whole);
    free_outcome(&lowered);
}

static const char *const activations[] = {
    "linear",      "relu",      "relu6",        "leaky_relu",      "elu",  "selu",    "exponential",
    "gelu",        "gelu_tanh", "hard_sigmoid", "hard_sigmoid_v3", "mish", "sigmoid", "softmax",
    "log_softmax", "softplus",  "softsign",     "swish",           "silu", "tanh"};

/* Every activation, in every version in which it is written differently. */
START_TEST(each_activation)
{
    static const int64_t opsets[] = {0, 6, 9, 11, 13, 17, 18, 20, 22, 24};
    char ops[1024];
    for (size_t i = 0; i < sizeof opsets / sizeof *opsets; i++)
        for (int last = 0; last < 2; last++) {
            const variant v = {opsets[i], TL_FLOAT,   last ? "N,L,3" : "N,3,L", last ? "2,11,3" : "2,3,11",
                               last,      i % 2 == 0, "padding='causal'",       activations[_i]};
            if (strcmp(v.activation, "gelu") == 0 && v.opset != 0 && v.opset < 9)
                continue; /* Erf came with 9: see gelu_without_erf */
            check_variant(&v, ops, sizeof ops);
        }
}
END_TEST

START_TEST(each_type)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    static const int64_t opsets[] = {13, 18, 22};
    char ops[1024];
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 3; k++) {
            const variant v = {opsets[k], types[i], "N,L,3", "2,11,3", true, true, "padding='same'", activations[_i]};
            check_variant(&v, ops, sizeof ops);
            const bool casts = strstr(ops, "Cast") != NULL;
            ck_assert_int_eq(casts, types[i] == TL_BFLOAT16 && opsets[k] < 22);
        }
}
END_TEST

START_TEST(each_padding)
{
    static const char *const attributes[] = {"padding='valid'",
                                             "padding='same'",
                                             "padding='causal'",
                                             "padding='valid' strides=2",
                                             "padding='same' strides=3",
                                             "padding='causal' strides=2",
                                             "padding='valid' dilation_rate=3",
                                             "padding='same' dilation_rate=2",
                                             "padding='causal' dilation_rate=3"};
    static const char *const lengths[][2] = {{"N,L,3", "2,11,3"}, {"2,11,3", "2,11,3"}, {"N,10,3", "3,10,3"}};
    char ops[1024];
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const variant v = {18, TL_FLOAT, lengths[i][0], lengths[i][1], true, true, attributes[_i], "tanh"};
        check_variant(&v, ops, sizeof ops);
        ck_assert_str_eq(ops, "Transpose Conv Conv Tanh Transpose");
    }
}
END_TEST

/* Exactly the contract's operators. */
START_TEST(operators)
{
    static const struct {
        variant v;
        const char *ops;
    } cases[] = {
        {{18, TL_FLOAT, "N,3,L", "1,3,9", false, false, "", "linear"}, "Conv Conv"},
        {{18, TL_FLOAT, "N,L,3", "1,9,3", true, false, "", "linear"}, "Transpose Conv Conv Transpose"},
        {{18, TL_FLOAT, "N,L,3", "1,9,3", true, false, "", "softmax"}, "Transpose Conv Conv Transpose Softmax"},
        {{18, TL_FLOAT, "N,3,L", "1,3,9", false, false, "", "log_softmax"}, "Conv Conv LogSoftmax"},
        {{18, TL_FLOAT, "N,3,L", "1,3,9", false, false, "", "swish"}, "Conv Conv Sigmoid Mul"},
        {{20, TL_FLOAT, "N,3,L", "1,3,9", false, false, "", "gelu"}, "Conv Conv Gelu"},
        {{18, TL_FLOAT, "N,3,L", "1,3,9", false, false, "", "relu6"}, "Conv Conv Clip"},
        {{22, TL_BFLOAT16, "N,3,L", "1,3,9", false, false, "", "relu"}, "Conv Conv Relu"},
    };
    char ops[1024];
    check_variant(&cases[_i].v, ops, sizeof ops);
    ck_assert_str_eq(ops, cases[_i].ops);
}
END_TEST

/* What cannot be written in the model's opset stays as it is. */
START_TEST(gelu_without_erf)
{
    const variant v = {8, TL_FLOAT, "N,3,L", "1,3,9", false, false, "", "gelu"};
    double room[64];
    const model m = build(&v);
    const tl_tensor x = input_of(&v, room);
    tl_runtime *runtime = runtime_with(register_lower);
    outcome got = run_model_in(runtime, &m, rules_to_disable(runtime, "separable_conv1d.fuse"), true, &x, 1);
    ck_assert_msg(got.status == TL_OK, "%s", got.error.message);
    ck_assert_int_eq(got.fused, 1);
    free_outcome(&got);
    tl_runtime_destroy(runtime);
}
END_TEST

/* ---- Why it is left, for whoever asked for it by name */

static const struct {
    int64_t opset;
    tl_type type;
    const char *x, *depthwise, *attributes, *says;
} refusals[] = {
    {8, TL_FLOAT, "N,L,3", "3,1,2", "activation='gelu'", "gelu needs 9"},
    {12, TL_BFLOAT16, "N,L,3", "3,1,2", "", "bfloat16 needs 13"},
    {18, TL_FLOAT, "N,L,C", "M,1,2", "", "number of channels"},
    {18, TL_FLOAT, "N,L,3", "3,1,K", "padding='causal'", "size of the depthwise kernel"},
};

START_TEST(says_why)
{
    static const tl_runtime_options options = {.size = sizeof options, .threads = 1};
    model m = {.opset = refusals[_i].opset, .tapline = 1};
    add_input(&m, "x", refusals[_i].type, refusals[_i].x);
    add_input(&m, "d", refusals[_i].type, refusals[_i].depthwise);
    add_input(&m, "p", refusals[_i].type, "F,M,1");
    add_node(&m, "tapline:SeparableConv1D", "x d p", "y", refusals[_i].attributes);
    add_output(&m, "y", refusals[_i].type);
    char path[40];
    size_t size, count;
    tl_runtime *runtime = NULL;
    tl_edit *edit = NULL;
    tl_error error = {TL_OK, ""};
    void *bytes = finish_model(&m, &size);
    const int file = memfd_create("model", 0);
    ck_assert(file >= 0 && write(file, bytes, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    free(bytes);
    ck_assert_int_eq(tl_runtime_create(&options, &runtime, &error), TL_OK);
    ck_assert_int_eq(tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error), TL_OK);
    const tl_status opened = tl_edit_open(runtime, path, &edit, &error);
    close(file);
    ck_assert_msg(opened == TL_OK, "%s", error.message);
    ck_assert_int_eq(tl_edit_lower(edit, &count, &error), TL_UNSUPPORTED);
    ck_assert_msg(strstr(error.message, refusals[_i].says) != NULL, "%s", error.message);
    tl_edit_close(edit);
    tl_runtime_destroy(runtime);
}
END_TEST

/* ---- How much work it is: memory tells, as whatever looks at a whole graph asks for some
 * -------------------------------------------------------------------------------------------------------------- */

typedef struct chain_cost {
    size_t fuse, lower; /* bytes asked for */
} chain_cost;

static void *count_bytes(void *user, size_t size, size_t alignment)
{
    *(size_t *)user += size;
    return aligned_alloc(alignment < 64 ? 64 : alignment, (size + 63) / 64 * 64 + (size == 0 ? 64 : 0));
}

static void count_nothing(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static int chain_file(int layers)
{
    model m = {.opset = 17};
    add_input(&m, "x0", TL_FLOAT, "1,2,8");
    add_weights(&m, "d", "2,1,3");
    add_weights(&m, "p", "2,2,1");
    for (int i = 0; i < layers; i++) {
        char from[16], between[16], to[16], inputs[40];
        snprintf(from, sizeof from, "x%d", i);
        snprintf(between, sizeof between, "h%d", i);
        snprintf(to, sizeof to, "x%d", i + 1);
        snprintf(inputs, sizeof inputs, "%s d", from);
        add_node(&m, "Conv", inputs, between, "group=2 pads=[1,1]");
        snprintf(inputs, sizeof inputs, "%s p", between);
        add_node(&m, "Conv", inputs, to, "");
        if (i + 1 == layers)
            add_output(&m, to, TL_FLOAT);
    }
    size_t size;
    void *bytes = finish_model(&m, &size);
    const int file = memfd_create("chain", 0);
    ck_assert_int_eq(write(file, bytes, size), (ssize_t)size);
    free(bytes);
    return file;
}

static chain_cost cost_of(int layers)
{
    size_t asked = 0, count, before;
    const tl_runtime_options options = {.size = sizeof options, .allocator = {count_bytes, count_nothing, &asked}};
    tl_runtime *of = NULL;
    tl_edit *edit = NULL;
    tl_error error;
    chain_cost cost;
    char path[64];
    const int file = chain_file(layers);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    ck_assert_int_eq(tl_runtime_create(&options, &of, &error), TL_OK);
    ck_assert_int_eq(tl_plugin_register(of, tl_plugin_separable_conv1d, &error), TL_OK);
    ck_assert_msg(tl_edit_open(of, path, &edit, &error) == TL_OK, "%s", error.message);
    before = asked;
    ck_assert_msg(tl_edit_apply(edit, "separable_conv1d.fuse", &count, &error) == TL_OK, "%s", error.message);
    ck_assert_int_eq(count, layers);
    cost.fuse = asked - before;
    before = asked;
    ck_assert_msg(tl_edit_lower(edit, &count, &error) == TL_OK, "%s", error.message);
    ck_assert_int_eq(count, layers);
    cost.lower = asked - before;
    tl_edit_close(edit);
    tl_runtime_destroy(of);
    close(file);
    return cost;
}

START_TEST(work_is_linear)
{
    const chain_cost once = cost_of(400), twice = cost_of(800);
    ck_assert_msg(twice.fuse < once.fuse * 5 / 2, "%zu, %zu", once.fuse, twice.fuse);
    ck_assert_msg(twice.lower < once.lower * 5 / 2, "%zu, %zu", once.lower, twice.lower);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("separable_conv1d.lower");
    TCase *tests = tcase_create("lower");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each_activation, 0, 20);
    tcase_add_loop_test(tests, each_type, 0, 20);
    tcase_add_loop_test(tests, each_padding, 0, 9);
    tcase_add_loop_test(tests, operators, 0, 8);
    tcase_add_test(tests, gelu_without_erf);
    tcase_add_loop_test(tests, says_why, 0, TL_COUNT(refusals));
    tcase_add_test(tests, work_is_linear);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
