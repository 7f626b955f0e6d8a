/* What a context that runs in strips does, and when it does not. */
#include "common/memory.h"
#include "strips.h"

static void small_network(void)
{
    begin();
    conv("x", "a", "w0", 4, 4, 3, "pads=[2,0]");
    add("Relu", "a", "b", "");
    conv("b", "c", "w1", 4, 4, 3, "pads=[2,0]");
    add("Tanh", "c", "y", "");
    finish("A,B,C");
}

/* However few samples of so many channels fill a strip: no value in it has fewer than 96 steps. */
START_TEST(test_least_steps)
{
    tl_tensor x = floats(3, 1, 160, 16000, 0), y;
    begin();
    conv("x", "a", "w0", 160, 1, 2, "group=160 strides=[2]");
    add("Relu", "a", "b", "");
    conv("b", "c", "w1", 160, 1, 2, "group=160 strides=[2]");
    add("Relu", "c", "y", "");
    finish("A,B,C");
    tl_runtime *runtime = open_runtime(NULL);
    tl_session *session = open_session(runtime, 0);
    tl_context *context = open_context(session);
    x.data = signal_of(&x);
    tl_context_set_strips(context, 1 << 16);
    run_once(context, &x, &y);
    ck_assert(is_cut(context));
    const tl_graph *graph = tl_session_graph(session);
    const tl_plan *plan = context->main->runner->plans;
    for (size_t i = 0; i < graph->value_count; i++)
        if (!(graph->values[i]->flags & TL_VALUE_CONSTANT))
            ck_assert_int_ge(plan->slots[i].dims[2], 96);
    ck_assert_int_le(plan->slots[graph->outputs[0]->index].dims[2], 112);
    tl_context_destroy(context);
    context = open_context(session);
    tl_context_set_strips(context, 1 << 12); /* 96 steps are too many */
    run_once(context, &x, &y);
    ck_assert(!is_cut(context));
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    free(x.data);
}
END_TEST

/* An output in the input's buffer; values that are kept; short signals, as everything was before. */
START_TEST(test_left_alone)
{
    small_network();
    tl_runtime *runtime = open_runtime(NULL);
    tl_tensor x = floats(3, 1, 4, 4000, 0), y, z;
    x.data = aligned_alloc(64, (size_t)tl_tensor_bytes(&x));
    ck_assert_ptr_nonnull(x.data);
    for (int64_t i = 0; i < 16000; i++)
        ((float *)x.data)[i] = (float)noise(&seed);
    tl_session *session = open_session(runtime, 0), *keeping = open_session(runtime, TL_SESSION_KEEP_VALUES);
    tl_context *context = open_context(keeping);
    run_once(context, &x, &y);
    ck_assert(!is_cut(context));
    tl_context_destroy(context);
    context = open_context(session);
    run_once(context, &x, &y);
    ck_assert(!is_cut(context));
    float *before = malloc((size_t)tl_tensor_bytes(&y));
    ck_assert_ptr_nonnull(before);
    memcpy(before, y.data, (size_t)tl_tensor_bytes(&y));
    tl_context_destroy(context);
    context = open_context(session);
    tl_context_set_strips(context, 4096);
    ck_assert_int_eq(tl_context_bind_output(context, 0, x.data, (size_t)tl_tensor_bytes(&x), &test_error), TL_OK);
    run_once(context, &x, &z);
    ck_assert(!is_cut(context));
    ck_assert_ptr_eq(z.data, x.data);
    ck_assert(memcmp(z.data, before, (size_t)tl_tensor_bytes(&y)) == 0);
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_session_destroy(keeping);
    tl_runtime_destroy(runtime);
    free(before);
    free(x.data);
}
END_TEST

static tl_context *cancelled;
static int traced;

static void cancel_soon(void *user, const tl_node *node, bool begins)
{
    (void)user, (void)node;
    if (begins && ++traced == 5)
        tl_context_cancel(cancelled);
}

/* Nothing is allocated from the second run on; the whole signal's values never are. A run can be cancelled between
 * strips, and the next one is right. */
START_TEST(test_steady)
{
    const tl_runtime_options options = {.size = sizeof options, .threads = 1, .allocator = test_allocator};
    tl_tensor x = floats(3, 1, 4, 40000, 0), y, again;
    small_network();
    tl_runtime *runtime = open_runtime(&options);
    tl_session *session = open_session(runtime, 0);
    cancelled = open_context(session);
    tl_context_set_strips(cancelled, 4096);
    x.data = signal_of(&x);
    run_once(cancelled, &x, &y);
    ck_assert(is_cut(cancelled));
    ck_assert_uint_le(tl_context_last_plan(cancelled)->arena_bytes, (size_t)tl_tensor_bytes(&y));
    float *first = malloc((size_t)tl_tensor_bytes(&y));
    ck_assert_ptr_nonnull(first);
    memcpy(first, y.data, (size_t)tl_tensor_bytes(&y));
    const long before = test_memory.calls;
    run_once(cancelled, &x, &again);
    ck_assert_int_eq(test_memory.calls, before);
    tl_context_set_trace(cancelled, cancel_soon, NULL);
    ck_assert_int_eq(tl_context_run(cancelled, &test_error), TL_CANCELLED);
    ck_assert_int_eq(traced, 5);
    run_once(cancelled, &x, &again);
    ck_assert_int_gt(traced, 50);
    ck_assert(memcmp(again.data, first, (size_t)tl_tensor_bytes(&y)) == 0);
    tl_context_destroy(cancelled);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    free(first);
    free(x.data);
}
END_TEST

/* Memory refused from any moment on: "no memory", or the result, and nothing is left. Wide enough for tiles. */
START_TEST(test_refused_memory)
{
    const tl_runtime_options options = {.size = sizeof options, .threads = 1, .allocator = test_allocator};
    tl_tensor x = floats(3, 1, 64, 2000, 0), y;
    begin();
    conv("x", "a", "w0", 64, 64, 1, "pads=[2,0]");
    add("Relu", "a", "b", "");
    conv("b", "c", "w1", 64, 64, 1, "");
    add("Tanh", "c", "y", "");
    finish("A,B,C");
    x.data = signal_of(&x);
    tl_runtime *runtime = open_runtime(&options);
    const long before = test_memory.live;
    tl_status status = TL_NO_MEMORY;
    for (long most = 0; status == TL_NO_MEMORY; most++) {
        tl_session *session = NULL;
        tl_context *context = NULL;
        ck_assert_int_lt(most, 10000);
        refuse_after(most, false);
        status = try_session(runtime, 0, &session);
        if (status == TL_OK)
            status = tl_context_create(session, &context, &test_error);
        if (status == TL_OK) {
            tl_context_set_strips(context, 1 << 15);
            status = tl_context_set_input(context, 0, &x, &test_error);
        }
        if (status == TL_OK)
            status = tl_context_run(context, &test_error);
        refuse_nothing();
        if (context) { /* it can be used again */
            run_once(context, &x, &y);
            ck_assert(status != TL_OK || is_cut(context)); /* without memory for a trial, the plan is for all at once */
        }
        tl_context_destroy(context);
        tl_session_destroy(session);
        ck_assert_int_eq(test_memory.live, before);
    }
    ck_assert_int_eq(status, TL_OK);
    tl_runtime_destroy(runtime);
    free(x.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("strip_context");
    TCase *tcase = tcase_create("strip_context");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_least_steps);
    tcase_add_test(tcase, test_left_alone);
    tcase_add_test(tcase, test_steady);
    tcase_add_test(tcase, test_refused_memory);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
