/* What a loop hands on unchanged becomes a capture of its body, and nothing else does. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/run.h"
#include "exec/inspect.h"
#include "load/message.h"

static tl_runtime *runtime;
static tl_session *session;
static tl_error error;

static void add(message *graph, const char *op, const char *inputs, const char *outputs)
{
    message n = node(op, "", inputs, outputs);
    put_message(graph, 1, &n);
}

static message typed(const char *name, int type)
{
    message tensor = {0}, kind = {0}, info = {0}, shape = {0};
    put_int(&tensor, 1, type);
    put_message(&tensor, 2, &shape);
    put_message(&kind, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &kind);
    return info;
}

static void declare(message *graph, unsigned field, const char *name, int type)
{
    message info = typed(name, type);
    put_message(graph, field, &info);
}

/* s grows by w each round. w comes back through an Identity, u as it is, but u is asked for behind the loop. */
static message loop_model(void)
{
    static message body, graph;
    memset(&body, 0, sizeof body);
    memset(&graph, 0, sizeof graph);
    const char *const states[] = {"w_in", "s_in", "u_in"}, *const results[] = {"w_out", "s_out", "u_in"};
    add(&body, "Add", "s_in w_in", "s_out");
    add(&body, "Identity", "w_in", "w_out");
    add(&body, "Identity", "c_in", "c_out");
    put_text(&body, 2, "body");
    declare(&body, 11, "i", TL_INT64);
    declare(&body, 11, "c_in", TL_BOOL);
    declare(&body, 12, "c_out", TL_BOOL);
    for (int k = 0; k < 3; k++) {
        declare(&body, 11, states[k], TL_FLOAT);
        declare(&body, 12, results[k], TL_FLOAT);
    }
    message attribute = {0}, loop = node("Loop", "", "m - w s u", "w_after s_after u_after");
    put_text(&attribute, 1, "body");
    put_int(&attribute, 20, TL_ATTR_GRAPH);
    put_message(&attribute, 6, &body);
    put_message(&loop, 5, &attribute);
    put_message(&graph, 1, &loop);
    declare(&graph, 11, "m", TL_INT64);
    const char *const inputs[] = {"w", "s", "u"};
    for (int k = 0; k < 3; k++)
        declare(&graph, 11, inputs[k], TL_FLOAT);
    declare(&graph, 12, "s_after", TL_FLOAT);
    declare(&graph, 12, "u_after", TL_FLOAT);
    return model_of(&graph);
}

static void setup(void)
{
    ck_assert_int_eq(tl_runtime_create(NULL, &runtime, &error), TL_OK);
}

static void teardown(void)
{
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    session = NULL;
}

static void open_with(uint32_t flags)
{
    message model = loop_model();
    tl_session_options options = {.size = sizeof options, .flags = flags};
    tl_status status = tl_session_open_memory(runtime, model.bytes, model.size, &options, &session, &error);
    ck_assert_msg(status == TL_OK, "%s", error.message);
}

static void expect(int64_t rounds, float s_after)
{
    float numbers[] = {2, 1, 5};
    tl_context *context;
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    tl_tensor m = {.data = &rounds, .type = TL_INT64};
    ck_assert_int_eq(tl_context_set_input(context, 0, &m, &error), TL_OK);
    for (size_t k = 0; k < 3; k++) {
        tl_tensor t = {.data = &numbers[k], .type = TL_FLOAT};
        ck_assert_int_eq(tl_context_set_input(context, k + 1, &t, &error), TL_OK);
    }
    ck_assert_msg(tl_context_run(context, &error) == TL_OK, "%s", error.message);
    tl_tensor s, u;
    ck_assert_int_eq(tl_context_output(context, 0, &s, &error), TL_OK);
    ck_assert_int_eq(tl_context_output(context, 1, &u, &error), TL_OK);
    ck_assert_float_eq(*(const float *)s.data, s_after);
    ck_assert_float_eq(*(const float *)u.data, 5);
    tl_context_destroy(context);
}

START_TEST(unchanged_states_become_captures)
{
    open_with(0);
    const tl_node *loop = session->graph->nodes[0];
    const tl_graph *body = tl_node_subgraph(loop, 0);
    ck_assert_uint_eq(loop->input_count, 4); /* m, no condition, s, u */
    ck_assert_uint_eq(loop->output_count, 2);
    ck_assert_uint_eq(body->input_count, 4);
    ck_assert_uint_eq(body->output_count, 3);
    ck_assert_uint_eq(body->capture_count, 1);
    ck_assert_str_eq(body->captures[0]->outer->name, "w");
    expect(4, 9);
    expect(0, 1);
}
END_TEST

START_TEST(without_rewrites_the_loop_stays_as_it_is)
{
    open_with(TL_SESSION_NO_REWRITES);
    ck_assert_uint_eq(session->graph->nodes[0]->input_count, 5);
    expect(4, 9);
    expect(0, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("invariant");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, unchanged_states_become_captures);
    tcase_add_test(tests, without_rewrites_the_loop_stays_as_it_is);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
