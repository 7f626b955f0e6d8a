/* What a run promises whatever the operators do: shapes, memory, the processor's mode. */
#include "fixture.h"

#include <string.h>

START_TEST(runs_a_chain)
{
    chain();
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
    const long before = test_memory.calls;
    for (int64_t n = 6; n <= 9; n++) {
        set_input(0, x, 1, n, 0);
        run();
        ck_assert_int_eq(result(0).dims[0], n);
    }
    ck_assert_int_eq(test_memory.calls, before);
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
    const long before = test_memory.calls;
    for (int i = 0; i < 3; i++)
        run();
    ck_assert_int_eq(test_memory.calls, before);
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
    ck_assert_int_eq(tl_context_set_input(context, 0, &none, &test_error), TL_OK);
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

START_TEST(all_outputs_of_a_view_are_the_input)
{
    /* In a run, and folded. */
    float w[] = {7, 8};
    input("x", 1, any_length);
    initializer("w", 2, w);
    const char *const names[] = {"a", "b", "c", "d"};
    for (size_t k = 0; k < 4; k++)
        output(names[k]);
    add("Twice", "x", "a b");
    add("Twice", "w", "c d");
    open_with(0);
    float x[] = {1, 2, 3};
    set_input(0, x, 1, 3, 0);
    run();
    for (size_t k = 0; k < 4; k++)
        expect(result(k), k < 2 ? 3 : 2, k < 2 ? x : w);
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
    ck_assert_int_eq(tl_context_bind_output(context, 2, y, sizeof y, &test_error), TL_OK);
    ck_assert_int_eq(tl_context_bind_output(context, 1, v, sizeof v, &test_error), TL_OK);
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
        refuse_after(most, false);
        tl_session *s = NULL;
        tl_context *c = NULL;
        const long before = test_memory.live;
        status = tl_session_open_memory(runtime, model_message.bytes, model_message.size, NULL, &s, &test_error);
        if (status == TL_OK)
            status = tl_context_create(s, &c, &test_error);
        tl_tensor t = {x, TL_FLOAT, 1, {4}};
        if (status == TL_OK)
            status = tl_context_set_input(c, 0, &t, &test_error);
        if (status == TL_OK)
            status = tl_context_run(c, &test_error);
        ck_assert_msg(status == TL_OK || status == TL_NO_MEMORY, "%s", test_error.message);
        if (status == TL_OK) {
            ck_assert_int_eq(tl_context_output(c, 0, &t, &test_error), TL_OK);
            expect(t, 4, (float[]){5, 6, 7, 8});
        }
        tl_context_destroy(c);
        tl_session_destroy(s);
        ck_assert_int_eq(test_memory.live, before);
    }
    refuse_nothing();
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
                                  all_outputs_of_a_view_are_the_input,
                                  outputs_may_be_inputs_and_initializers,
                                  equal_nodes_share_what_they_have_packed,
                                  memory_may_be_refused_at_any_moment};
    Suite *suite = suite_of("run", tests, TL_COUNT(tests));
    /* A mode of the processor that valgrind does not have: it leaves this tag out. */
    TCase *processor = tcase_create("processor");
    tcase_set_tags(processor, "processor");
    tcase_add_checked_fixture(processor, setup, teardown);
    tcase_add_test(processor, denormals_are_flushed_and_the_mode_comes_back);
    suite_add_tcase(suite, processor);
    return run_suite(suite);
}
