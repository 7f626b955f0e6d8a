#include "fixture.h"

#include <stdlib.h>
#include <string.h>

tl_runtime *runtime;
tl_session *session;
tl_context *context;
tl_error test_error;

/* ---- Models */

message graph_message;
message model_message;
const int64_t any_length[] = {-1};

static void begin_model(void)
{
    memset(&graph_message, 0, sizeof graph_message);
}

void add(const char *op, const char *inputs, const char *outputs)
{
    message n = node(op, "test", inputs, outputs);
    put_message(&graph_message, 1, &n);
}

void input(const char *name, int rank, const int64_t *dims)
{
    message info = value_info(name, rank, dims);
    put_message(&graph_message, 11, &info);
}

void output(const char *name)
{
    message info = value_info(name, -1, NULL);
    put_message(&graph_message, 12, &info);
}

void initializer(const char *name, int64_t count, const float *values)
{
    static message t;
    memset(&t, 0, sizeof t);
    put_tensor(&t, name, TL_FLOAT, &count, 1);
    put_blob(&t, 9, values, (size_t)count * sizeof *values);
    put_message(&graph_message, 5, &t);
}

void chain(void)
{
    input("x", 1, any_length);
    output("y");
    add("AddOne", "x", "a");
    add("Half", "a", "b");
    add("AddOne", "b", "y");
}

void end_model(void)
{
    model_message = model_of(&graph_message);
    static message opset;
    memset(&opset, 0, sizeof opset);
    put_text(&opset, 1, "test");
    put_int(&opset, 2, 1);
    put_message(&model_message, 8, &opset);
}

/* ---- Runs */

void setup(void)
{
    const tl_runtime_options options = {.size = sizeof options, .allocator = test_allocator};
    ck_assert_int_eq(tl_runtime_create(&options, &runtime, &test_error), TL_OK);
    ck_assert_msg(tl_plugin_register(runtime, register_operators, &test_error) == TL_OK, "%s", test_error.message);
    begin_model();
}

void teardown(void)
{
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    context = NULL;
    session = NULL;
    ck_assert_int_eq(test_memory.live, 0);
}

void open_with(uint32_t flags)
{
    end_model();
    tl_session_options options = {.size = sizeof options, .flags = flags};
    tl_status status =
        tl_session_open_memory(runtime, model_message.bytes, model_message.size, &options, &session, &test_error);
    ck_assert_msg(status == TL_OK, "%s", test_error.message);
    ck_assert_int_eq(tl_context_create(session, &context, &test_error), TL_OK);
}

void set_input(size_t k, float *data, int rank, int64_t a, int64_t b)
{
    tl_tensor t = {.data = data, .type = TL_FLOAT, .rank = rank, .dims = {a, b}};
    ck_assert_msg(tl_context_set_input(context, k, &t, &test_error) == TL_OK, "%s", test_error.message);
}

void run(void)
{
    tl_status status = tl_context_run(context, &test_error);
    ck_assert_msg(status == TL_OK, "%s", test_error.message);
}

tl_tensor result(size_t k)
{
    tl_tensor t;
    ck_assert_int_eq(tl_context_output(context, k, &t, &test_error), TL_OK);
    return t;
}

void expect(tl_tensor t, int64_t count, const float *values)
{
    ck_assert_int_eq(tl_tensor_elements(&t), count);
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(((const float *)t.data)[i] == values[i], "element %ld is %g, expected %g", (long)i,
                      (double)((const float *)t.data)[i], (double)values[i]);
}

Suite *suite_of(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, teardown);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(cases, tests[i]);
    suite_add_tcase(suite, cases);
    return suite;
}
