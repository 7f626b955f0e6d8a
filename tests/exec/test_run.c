/* Sessions and contexts, with small operators of the tests' own: what a run promises whatever the operators do. */
#include <check.h>
#undef fail /* Check's old name for ck_abort, and the host's function */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "exec/inspect.h"
#include "load/message.h"
#include "tapline/plugin.h"

/* ---- Operators */

static const tl_param floats[] = {{"X", TL_T(TL_FLOAT), 'T', 0}};
static const tl_param two[] = {{"X", TL_T(TL_FLOAT), 'T', 0}, {"Y", TL_T(TL_FLOAT), 'T', TL_PARAM_OPTIONAL}};
static const tl_param maybe[] = {{"Y", TL_T(TL_FLOAT), 'T', 0}, {"Z", TL_T(TL_FLOAT), 'T', TL_PARAM_OPTIONAL}};

static int64_t elements(const tl_tensor *t)
{
    return tl_tensor_elements(t);
}

static tl_status run_add_one(tl_call *call)
{
    for (int64_t i = 0; i < elements(call->inputs[0]); i++)
        ((float *)call->outputs[0]->data)[i] = ((const float *)call->inputs[0]->data)[i] + 1;
    return TL_OK;
}

static tl_status run_half(tl_call *call)
{
    for (int64_t i = 0; i < elements(call->inputs[0]); i++)
        ((volatile float *)call->outputs[0]->data)[i] = ((const float *)call->inputs[0]->data)[i] * 0.5f;
    return TL_OK;
}

/* Y = X + (Y or 0), and Z = X - that, if wanted. */
static tl_status run_both(tl_call *call)
{
    const float *x = call->inputs[0]->data, *y = call->inputs[1] ? call->inputs[1]->data : NULL;
    for (int64_t i = 0; i < elements(call->inputs[0]); i++) {
        float other = y ? y[i] : 0;
        ((float *)call->outputs[0]->data)[i] = x[i] + other;
        if (call->output_count > 1 && call->outputs[1])
            ((float *)call->outputs[1]->data)[i] = x[i] - other;
    }
    return TL_OK;
}

/* The positive elements: a shape that only the data knows. */
static tl_status reshape_positive(tl_call *call)
{
    call->outputs[0]->rank = 1;
    call->outputs[0]->dims[0] = TL_DIM_UNKNOWN;
    return TL_OK;
}

static tl_status run_positive(tl_call *call)
{
    const float *x = call->inputs[0]->data;
    int64_t count = 0;
    for (int64_t i = 0; i < elements(call->inputs[0]); i++)
        count += x[i] > 0;
    float *y = call->host->output(call, 0, 1, &count);
    if (!y)
        return TL_NO_MEMORY;
    for (int64_t i = 0; i < elements(call->inputs[0]); i++)
        if (x[i] > 0)
            *y++ = x[i];
    return TL_OK;
}

static tl_status reshape_flat(tl_call *call)
{
    int64_t n = tl_tensor_elements(call->inputs[0]);
    call->outputs[0]->rank = 1;
    call->outputs[0]->dims[0] = n < 0 ? TL_DIM_UNKNOWN : n;
    return TL_OK;
}

static tl_status run_negative_is_wrong(tl_call *call)
{
    const float *x = call->inputs[0]->data;
    if (elements(call->inputs[0]) > 0 && x[0] < 0)
        return tl_fail(call, TL_INVALID_INPUT, "element 0 is %g, but must not be negative", (double)x[0]);
    return run_add_one(call);
}

/* X plus the first element of Y, a constant, which its state keeps. */
static int created, destroyed;

static tl_status create_packed(tl_call *call)
{
    const float *y = call->inputs[1]->data;
    float *state = y ? call->host->alloc(call->host, sizeof *state, sizeof *state) : NULL;
    if (!state)
        return tl_fail(call, TL_NO_MEMORY, "no constant, or no memory");
    created++;
    *state = *y;
    call->state = state;
    call->packed = 2;
    return TL_OK;
}

static tl_status run_packed(tl_call *call)
{
    for (int64_t i = 0; i < elements(call->inputs[0]); i++)
        ((float *)call->outputs[0]->data)[i] = ((const float *)call->inputs[0]->data)[i] + *(float *)call->state;
    return TL_OK;
}

static void destroy_packed(const tl_host *host, void *state)
{
    destroyed++;
    host->free(host, state);
}

#define OP(op, ins, outs, what, reshape_function, run_function)                                       \
    {                                                                                                 \
        .size = sizeof(tl_operator), .domain = "test", .name = op, .since_version = 1, .inputs = ins, \
        .input_count = TL_COUNT(ins), .outputs = outs, .output_count = TL_COUNT(outs), .flags = what, \
        .reshape = reshape_function, .run = run_function                                              \
    }
static const tl_operator operators[] = {
    OP("AddOne", floats, floats, TL_OP_ELEMENTWISE, NULL, run_add_one),
    OP("Half", floats, floats, 0, NULL, run_half),
    OP("Both", two, maybe, 0, NULL, run_both),
    OP("Positive", floats, floats, 0, reshape_positive, run_positive),
    OP("Flat", floats, floats, TL_OP_VIEW, reshape_flat, NULL),
    OP("Picky", floats, floats, 0, NULL, run_negative_is_wrong),
    {.size = sizeof(tl_operator),
     .domain = "test",
     .name = "Packed",
     .since_version = 1,
     .inputs = two,
     .input_count = 2,
     .outputs = floats,
     .output_count = 1,
     .create = create_packed,
     .run = run_packed,
     .destroy = destroy_packed},
};

static tl_status entry(const tl_host *host, tl_registrar *registrar)
{
    tl_status status = host->register_domain(registrar, "test", 1);
    for (size_t i = 0; i < TL_COUNT(operators) && status == TL_OK; i++)
        status = host->register_operator(registrar, &operators[i]);
    return status;
}

/* ---- Models: nodes as text, "Op inputs -> outputs; ...". All values are float[...]. */

static message graph_message, model_message;

static void begin_model(void)
{
    memset(&graph_message, 0, sizeof graph_message);
}

static void add(const char *op, const char *inputs, const char *outputs)
{
    message n = node(op, "test", inputs, outputs);
    put_message(&graph_message, 1, &n);
}

static void input(const char *name, int rank, const int64_t *dims)
{
    message info = value_info(name, rank, dims);
    put_message(&graph_message, 11, &info);
}

static void output(const char *name)
{
    message info = value_info(name, -1, NULL);
    put_message(&graph_message, 12, &info);
}

static void initializer(const char *name, int64_t count, const float *values)
{
    static message t;
    memset(&t, 0, sizeof t);
    put_tensor(&t, name, TL_FLOAT, &count, 1);
    put_blob(&t, 9, values, (size_t)count * sizeof *values);
    put_message(&graph_message, 5, &t);
}

static void end_model(void)
{
    model_message = model_of(&graph_message);
    static message opset;
    memset(&opset, 0, sizeof opset);
    put_text(&opset, 1, "test");
    put_int(&opset, 2, 1);
    put_message(&model_message, 8, &opset);
}

/* ---- Fixture */

static tl_runtime *runtime;
static tl_session *session;
static tl_context *context;
static tl_error error;

/* An allocator that counts, and refuses after so many. */
static long allocations, live, budget;

static void *count_alloc(void *user, size_t size, size_t alignment)
{
    (void)user;
    if (budget-- <= 0)
        return NULL;
    allocations++;
    live++;
    size = (size + alignment - 1) / alignment * alignment;
    return aligned_alloc(alignment, size);
}

static void count_free(void *user, void *memory)
{
    (void)user;
    live--;
    free(memory);
}

static void setup(void)
{
    budget = 1L << 40;
    live = 0;
    tl_runtime_options options = {.size = sizeof options, .allocator = {count_alloc, count_free, NULL}};
    ck_assert_int_eq(tl_runtime_create(&options, &runtime, &error), TL_OK);
    ck_assert_msg(tl_plugin_register(runtime, entry, &error) == TL_OK, "%s", error.message);
    begin_model();
}

static void teardown(void)
{
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    context = NULL;
    session = NULL;
    ck_assert_int_eq(live, 0);
}

static void open_with(uint32_t flags)
{
    end_model();
    tl_session_options options = {.size = sizeof options, .flags = flags};
    tl_status status =
        tl_session_open_memory(runtime, model_message.bytes, model_message.size, &options, &session, &error);
    ck_assert_msg(status == TL_OK, "%s", error.message);
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
}

static void set_input(size_t k, float *data, int rank, int64_t a, int64_t b)
{
    tl_tensor t = {.data = data, .type = TL_FLOAT, .rank = rank, .dims = {a, b}};
    ck_assert_msg(tl_context_set_input(context, k, &t, &error) == TL_OK, "%s", error.message);
}

static void run(void)
{
    tl_status status = tl_context_run(context, &error);
    ck_assert_msg(status == TL_OK, "%s", error.message);
}

static tl_tensor result(size_t k)
{
    tl_tensor t;
    ck_assert_int_eq(tl_context_output(context, k, &t, &error), TL_OK);
    return t;
}

static void expect(tl_tensor t, int64_t count, const float *values)
{
    ck_assert_int_eq(tl_tensor_elements(&t), count);
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(((const float *)t.data)[i] == values[i], "element %ld is %g, expected %g", (long)i,
                      (double)((const float *)t.data)[i], (double)values[i]);
}

static const int64_t any_length[] = {-1}; /* a dimension without a number */

/* ---- Tests */

START_TEST(runs_a_chain)
{
    input("x", 1, any_length);
    output("y");
    add("AddOne", "x", "a");
    add("Half", "a", "b");
    add("AddOne", "b", "y");
    open_with(0);
    float x[] = {1, 3, 5};
    set_input(0, x, 1, 3, 0);
    run();
    expect(result(0), 3, (float[]){2, 3, 4});
    expect((tl_tensor){x, TL_FLOAT, 1, {3}}, 3, (float[]){1, 3, 5});
}
END_TEST

START_TEST(plans_again_for_new_shapes_and_keeps_the_last_few)
{
    input("x", 1, any_length);
    output("y");
    add("AddOne", "x", "y");
    open_with(0);
    float x[64] = {0};
    for (int64_t n = 1; n <= 9; n++) {
        set_input(0, x, 1, n, 0);
        run();
        ck_assert_int_eq(result(0).dims[0], n);
    }
    size_t plans = 0;
    for (const tl_plan *p = tl_context_last_plan(context); p; p = p->next)
        plans++;
    ck_assert_uint_eq(plans, 4);
    long before = allocations;
    for (int64_t n = 6; n <= 9; n++) {
        set_input(0, x, 1, n, 0);
        run();
        ck_assert_int_eq(result(0).dims[0], n);
    }
    ck_assert_int_eq(allocations, before);
}
END_TEST

START_TEST(second_run_allocates_nothing)
{
    input("x", 1, any_length);
    output("y");
    add("AddOne", "x", "a");
    add("Positive", "a", "b");
    add("Flat", "b", "c");
    add("Half", "c", "y");
    open_with(0);
    float x[] = {1, -3, 5, -8};
    set_input(0, x, 1, 4, 0);
    run();
    long before = allocations;
    for (int i = 0; i < 3; i++)
        run();
    ck_assert_int_eq(allocations, before);
    expect(result(0), 2, (float[]){1, 3});
}
END_TEST

START_TEST(shapes_that_depend_on_data_may_change)
{
    input("x", 1, any_length);
    output("y");
    output("b");
    add("Positive", "x", "b");
    add("AddOne", "b", "y");
    open_with(0);
    float x[] = {1, -3, 5, -8};
    set_input(0, x, 1, 4, 0);
    run();
    expect(result(0), 2, (float[]){2, 6});
    x[1] = 3;
    x[3] = 8;
    run();
    expect(result(0), 4, (float[]){2, 4, 6, 9});
    memset(x, 0, sizeof x);
    run();
    expect(result(0), 0, NULL);
    ck_assert_int_eq(result(1).dims[0], 0);
}
END_TEST

START_TEST(empty_tensors_and_scalars)
{
    static const int64_t empty[] = {-1, 3};
    input("x", 2, empty);
    input("s", 0, NULL);
    output("y");
    output("z");
    output("s");
    add("AddOne", "x", "y");
    add("AddOne", "s", "z");
    open_with(0);
    float s = 4;
    tl_tensor none = {.type = TL_FLOAT, .rank = 2, .dims = {0, 3}};
    ck_assert_int_eq(tl_context_set_input(context, 0, &none, &error), TL_OK);
    set_input(1, &s, 0, 0, 0);
    run();
    ck_assert_int_eq(result(0).rank, 2);
    ck_assert_int_eq(result(0).dims[0], 0);
    ck_assert_int_eq(result(0).dims[1], 3);
    expect(result(1), 1, (float[]){5});
    expect(result(2), 1, (float[]){4});
}
END_TEST

START_TEST(optional_inputs_and_outputs)
{
    input("x", 1, any_length);
    output("a");
    output("c");
    add("Both", "x", "a");
    add("Both", "x x", "b c");
    open_with(0);
    float x[] = {1, 2};
    set_input(0, x, 1, 2, 0);
    run();
    expect(result(0), 2, x);
    expect(result(1), 2, (float[]){0, 0});
}
END_TEST

START_TEST(a_required_output_may_go_unnamed)
{
    /* The operator writes it all the same. */
    input("x", 1, any_length);
    output("c");
    add("Both", "x x", "- c");
    open_with(0);
    float x[] = {1, 2};
    set_input(0, x, 1, 2, 0);
    run();
    expect(result(0), 2, (float[]){0, 0});
}
END_TEST

START_TEST(outputs_may_be_inputs_and_initializers)
{
    float w[] = {7, 8};
    input("x", 1, any_length);
    initializer("w", 2, w);
    output("x");
    output("w");
    output("x");
    open_with(0);
    float x[] = {1, 2, 3};
    set_input(0, x, 1, 3, 0);
    run();
    expect(result(0), 3, x);
    expect(result(1), 2, w);
    expect(result(2), 3, x);
    _Alignas(16) float y[4] = {0}, v[4] = {0};
    ck_assert_int_eq(tl_context_bind_output(context, 2, y, sizeof y, &error), TL_OK);
    ck_assert_int_eq(tl_context_bind_output(context, 1, v, sizeof v, &error), TL_OK);
    run();
    ck_assert_ptr_eq(result(2).data, y);
    expect(result(2), 3, x);
    expect(result(1), 2, w);
    ck_assert_ptr_eq(result(1).data, v);
}
END_TEST

/* As in an unrolled recurrent network: the same weights, used time and again. */
START_TEST(equal_nodes_share_what_they_have_packed)
{
    float w[] = {7}, v[] = {5};
    created = destroyed = 0;
    input("x", 1, any_length);
    initializer("w", 1, w);
    initializer("v", 1, v);
    output("y");
    add("Packed", "x w", "a");
    add("Packed", "a w", "b");
    add("Packed", "b v", "c");
    add("AddOne", "c", "d");
    add("Packed", "d w", "y");
    open_with(0);
    float x[] = {1, 2, 3};
    set_input(0, x, 1, 3, 0);
    run();
    expect(result(0), 3, (float[]){28, 29, 30});
    ck_assert_int_eq(created, 2);
    tl_context_destroy(context);
    tl_session_destroy(session);
    context = NULL;
    session = NULL;
    ck_assert_int_eq(destroyed, 2);
}
END_TEST

START_TEST(bound_outputs_are_written_directly)
{
    input("x", 1, any_length);
    output("y");
    output("z");
    add("AddOne", "x", "y");
    add("Half", "y", "z");
    open_with(0);
    float x[] = {1, 3};
    _Alignas(16) float y[2], z[2];
    set_input(0, x, 1, 2, 0);
    ck_assert_int_eq(tl_context_bind_output(context, 0, y, sizeof y, &error), TL_OK);
    ck_assert_int_eq(tl_context_bind_output(context, 1, z, sizeof z, &error), TL_OK);
    run();
    ck_assert_ptr_eq(result(0).data, y);
    ck_assert_uint_eq(tl_context_last_plan(context)->copy_count, 0);
    expect(result(0), 2, (float[]){2, 4});
    expect(result(1), 2, (float[]){1, 2});
    ck_assert_int_eq(tl_context_bind_output(context, 1, z, 4, &error), TL_OK);
    ck_assert_int_eq(tl_context_run(context, &error), TL_INVALID_ARGUMENT);
    ck_assert_msg(strstr(error.message, "'z'") && strstr(error.message, "8 bytes"), "%s", error.message);
    ck_assert_int_eq(tl_context_bind_output(context, 1, (char *)z + 4, 4, &error), TL_INVALID_ARGUMENT);
    ck_assert_int_eq(tl_context_bind_output(context, 1, NULL, 0, &error), TL_OK);
    run();
    expect(result(1), 2, (float[]){1, 2});
}
END_TEST

START_TEST(state_goes_round)
{
    /* s' = x + s, written to s; y = x - s needs the old s. */
    input("x", 1, any_length);
    input("s", 1, any_length);
    output("t");
    output("y");
    add("Both", "x s", "t y");
    open_with(0);
    float x[] = {1, 2};
    _Alignas(16) float s[] = {0, 0};
    set_input(0, x, 1, 2, 0);
    set_input(1, s, 1, 2, 0);
    ck_assert_int_eq(tl_context_bind_output(context, 0, s, sizeof s, &error), TL_OK);
    for (int i = 1; i <= 4; i++) {
        run();
        expect(result(0), 2, (float[]){(float)i, 2.0f * (float)i});
        expect(result(1), 2, (float[]){1.0f - (float)(i - 1), 2.0f - 2.0f * (float)(i - 1)});
        ck_assert(s[0] == (float)i);
    }
}
END_TEST

START_TEST(states_may_swap)
{
    input("a", 1, any_length);
    input("b", 1, any_length);
    output("b");
    output("a");
    open_with(0);
    _Alignas(16) float a[] = {1, 2};
    _Alignas(16) float b[] = {3, 4};
    set_input(0, a, 1, 2, 0);
    set_input(1, b, 1, 2, 0);
    ck_assert_int_eq(tl_context_bind_output(context, 0, a, sizeof a, &error), TL_OK);
    ck_assert_int_eq(tl_context_bind_output(context, 1, b, sizeof b, &error), TL_OK);
    run();
    ck_assert(a[0] == 3 && a[1] == 4 && b[0] == 1 && b[1] == 2);
}
END_TEST

START_TEST(any_value_can_be_asked_for)
{
    float w[] = {7, 8};
    input("x", 1, any_length);
    initializer("w", 2, w);
    output("y");
    add("AddOne", "x", "a");
    add("AddOne", "a", "b");
    add("Both", "b w", "y");
    open_with(TL_SESSION_KEEP_VALUES);
    float x[] = {1, 3};
    set_input(0, x, 1, 2, 0);
    tl_tensor t;
    ck_assert_int_eq(tl_context_value(context, "a", &t, &error), TL_INVALID_ARGUMENT); /* no run yet */
    run();
    ck_assert_int_eq(tl_context_value(context, "a", &t, &error), TL_OK);
    expect(t, 2, (float[]){2, 4});
    ck_assert_int_eq(tl_context_value(context, "b", &t, &error), TL_OK);
    expect(t, 2, (float[]){3, 5});
    ck_assert_int_eq(tl_context_value(context, "w", &t, &error), TL_OK);
    expect(t, 2, w);
    ck_assert_int_eq(tl_context_value(context, "nobody", &t, &error), TL_INVALID_ARGUMENT);
    ck_assert_msg(strstr(error.message, "nobody") != NULL, "%s", error.message);
}
END_TEST

START_TEST(values_are_not_kept_unless_asked)
{
    input("x", 1, any_length);
    output("y");
    add("AddOne", "x", "a");
    add("AddOne", "a", "y");
    open_with(0);
    float x[] = {1};
    set_input(0, x, 1, 1, 0);
    run();
    tl_tensor t;
    ck_assert_int_eq(tl_context_value(context, "a", &t, &error), TL_INVALID_ARGUMENT);
    ck_assert_msg(strstr(error.message, "TL_SESSION_KEEP_VALUES") != NULL, "%s", error.message);
    ck_assert_int_eq(tl_context_value(context, "y", &t, &error), TL_OK);
    ck_assert_int_eq(tl_context_value(context, "x", &t, &error), TL_OK);
}
END_TEST

START_TEST(wrong_inputs_are_named)
{
    static const int64_t dims[] = {-1, 3};
    input("x", 2, dims);
    output("y");
    add("AddOne", "x", "y");
    open_with(0);
    ck_assert_int_eq(tl_context_run(context, &error), TL_INVALID_INPUT);
    ck_assert_msg(strstr(error.message, "'x' is missing") && strstr(error.message, "float[?,3]"), "%s", error.message);
    float x[12] = {0};
    static const struct {
        tl_tensor tensor;
        tl_status status;
    } wrong[] = {
        {{NULL, TL_FLOAT, 2, {4, 3}}, TL_INVALID_ARGUMENT},
        {{(void *)1, TL_INT32, 2, {4, 3}}, TL_INVALID_INPUT},
        {{(void *)1, TL_FLOAT, 1, {4}}, TL_INVALID_INPUT},
        {{(void *)1, TL_FLOAT, 2, {3, 4}}, TL_INVALID_INPUT},
        {{(void *)1, TL_FLOAT, 2, {-1, 3}}, TL_INVALID_INPUT},
        {{(void *)1, TL_FLOAT, 17, {1}}, TL_INVALID_INPUT},
        {{(void *)1, TL_FLOAT, -1, {1}}, TL_INVALID_INPUT},
        {{(void *)1, (tl_type)99, 2, {4, 3}}, TL_INVALID_INPUT},
        {{(void *)1, TL_FLOAT, 2, {INT64_MAX, 3}}, TL_INVALID_INPUT},
    };
    for (size_t i = 0; i < TL_COUNT(wrong); i++) {
        tl_status status = tl_context_set_input(context, 0, &wrong[i].tensor, &error);
        ck_assert_msg(status == wrong[i].status, "case %zu: %d, %s", i, status, error.message);
        ck_assert_msg(strstr(error.message, "'x'") != NULL, "%s", error.message);
    }
    ck_assert_int_eq(tl_context_set_input(context, 1, &wrong[0].tensor, &error), TL_INVALID_ARGUMENT);
    ck_assert_int_eq(tl_context_bind_output(context, 1, x, 4, &error), TL_INVALID_ARGUMENT);
    tl_tensor t;
    ck_assert_int_eq(tl_context_output(context, 0, &t, &error), TL_INVALID_ARGUMENT);
    set_input(0, x, 2, 4, 3);
    run();
}
END_TEST

START_TEST(a_failed_run_leaves_the_context_usable)
{
    input("x", 1, any_length);
    output("y");
    add("Picky", "x", "y");
    open_with(0);
    float x[] = {-1};
    set_input(0, x, 1, 1, 0);
    ck_assert_int_eq(tl_context_run(context, &error), TL_INVALID_INPUT);
    ck_assert_msg(strstr(error.message, "test::Picky") && strstr(error.message, "element 0 is -1"), "%s",
                  error.message);
    tl_tensor t;
    ck_assert_int_eq(tl_context_output(context, 0, &t, &error), TL_INVALID_ARGUMENT);
    x[0] = 1;
    run();
    expect(result(0), 1, (float[]){2});
}
END_TEST

START_TEST(a_run_can_be_cancelled)
{
    input("x", 1, any_length);
    output("y");
    add("AddOne", "x", "y");
    open_with(0);
    float x[] = {1};
    set_input(0, x, 1, 1, 0);
    tl_context_cancel(context);
    ck_assert_int_eq(tl_context_run(context, &error), TL_CANCELLED);
    run();
    expect(result(0), 1, (float[]){2});
}
END_TEST

START_TEST(denormals_are_flushed_and_the_mode_comes_back)
{
    input("x", 1, any_length);
    output("y");
    add("Half", "x", "y");
    open_with(0);
    float x[] = {1.17549435e-38f}; /* the smallest normal number */
    set_input(0, x, 1, 1, 0);
    run();
#if defined __x86_64__ || defined __aarch64__
    expect(result(0), 1, (float[]){0});
#endif
    volatile float half = x[0];
    half = half * 0.5f;
    ck_assert(half > 0);
}
END_TEST

START_TEST(memory_may_be_refused_at_any_moment)
{
    float w[] = {7, 8, 9, 10};
    input("x", 1, any_length);
    initializer("w", 4, w);
    output("y");
    output("b");
    add("AddOne", "x", "a");
    add("AddOne", "w", "v");
    add("Both", "a v", "c");
    add("Positive", "c", "b");
    add("Flat", "c", "d");
    add("Half", "d", "y");
    end_model();
    float x[] = {1, 2, 3, 4};
    tl_status status = TL_NO_MEMORY;
    for (long most = 0; status != TL_OK; most++) {
        ck_assert_int_lt(most, 10000);
        budget = most;
        tl_session *s = NULL;
        tl_context *c = NULL;
        long before = live;
        status = tl_session_open_memory(runtime, model_message.bytes, model_message.size, NULL, &s, &error);
        if (status == TL_OK)
            status = tl_context_create(s, &c, &error);
        tl_tensor t = {x, TL_FLOAT, 1, {4}};
        if (status == TL_OK)
            status = tl_context_set_input(c, 0, &t, &error);
        if (status == TL_OK)
            status = tl_context_run(c, &error);
        ck_assert_msg(status == TL_OK || status == TL_NO_MEMORY, "%s", error.message);
        if (status == TL_OK) {
            ck_assert_int_eq(tl_context_output(c, 0, &t, &error), TL_OK);
            expect(t, 4, (float[]){5, 6, 7, 8});
        }
        tl_context_destroy(c);
        tl_session_destroy(s);
        ck_assert_int_eq(live, before);
    }
    budget = 1L << 40;
}
END_TEST

static void *run_often(void *unused)
{
    (void)unused;
    tl_context *c;
    tl_error why;
    if (tl_context_create(session, &c, &why) != TL_OK)
        return "create";
    const char *wrong = NULL;
    for (int i = 1; i <= 50 && !wrong; i++) {
        float x[20] = {(float)i};
        tl_tensor t = {x, TL_FLOAT, 1, {i % 7 + 1}};
        if (tl_context_set_input(c, 0, &t, &why) != TL_OK || tl_context_run(c, &why) != TL_OK ||
            tl_context_output(c, 0, &t, &why) != TL_OK || ((float *)t.data)[0] != ((float)i + 1) / 2 + 1)
            wrong = "run";
    }
    tl_context_destroy(c);
    return (void *)(uintptr_t)wrong;
}

START_TEST(contexts_share_a_session)
{
    /* The counting allocator is not for several threads. */
    tl_runtime_destroy(runtime);
    tl_runtime_options options = {.size = sizeof options, .threads = 2};
    ck_assert_int_eq(tl_runtime_create(&options, &runtime, &error), TL_OK);
    ck_assert_int_eq(tl_plugin_register(runtime, entry, &error), TL_OK);
    input("x", 1, any_length);
    output("y");
    add("AddOne", "x", "a");
    add("Half", "a", "b");
    add("AddOne", "b", "y");
    open_with(0);
    pthread_t threads[4];
    for (size_t i = 0; i < TL_COUNT(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_often, NULL), 0);
    for (size_t i = 0; i < TL_COUNT(threads); i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        ck_assert_msg(!wrong, "%s", (char *)wrong);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {runs_a_chain,
                                  plans_again_for_new_shapes_and_keeps_the_last_few,
                                  second_run_allocates_nothing,
                                  shapes_that_depend_on_data_may_change,
                                  empty_tensors_and_scalars,
                                  optional_inputs_and_outputs,
                                  a_required_output_may_go_unnamed,
                                  outputs_may_be_inputs_and_initializers,
                                  equal_nodes_share_what_they_have_packed,
                                  bound_outputs_are_written_directly,
                                  state_goes_round,
                                  states_may_swap,
                                  any_value_can_be_asked_for,
                                  values_are_not_kept_unless_asked,
                                  wrong_inputs_are_named,
                                  a_failed_run_leaves_the_context_usable,
                                  a_run_can_be_cancelled,
                                  memory_may_be_refused_at_any_moment,
                                  contexts_share_a_session};
    Suite *suite = suite_create("run");
    TCase *tcase = tcase_create("run");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < TL_COUNT(tests); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    /* A mode of the processor that valgrind does not have: it leaves this tag out. */
    TCase *processor = tcase_create("processor");
    tcase_set_tags(processor, "processor");
    tcase_add_checked_fixture(processor, setup, teardown);
    tcase_add_test(processor, denormals_are_flushed_and_the_mode_comes_back);
    suite_add_tcase(suite, processor);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
