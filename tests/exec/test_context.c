/* What a context does with inputs, outputs and values, and after errors. */
#include "fixture.h"

#include <pthread.h>
#include <string.h>

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
    ck_assert_int_eq(tl_context_bind_output(context, 0, y, sizeof y, &test_error), TL_OK);
    ck_assert_int_eq(tl_context_bind_output(context, 1, z, sizeof z, &test_error), TL_OK);
    run();
    ck_assert_ptr_eq(result(0).data, y);
    ck_assert_uint_eq(tl_context_last_plan(context)->copy_count, 0);
    expect(result(0), 2, (float[]){2, 4});
    expect(result(1), 2, (float[]){1, 2});
    ck_assert_int_eq(tl_context_bind_output(context, 1, z, 4, &test_error), TL_OK);
    ck_assert_int_eq(tl_context_run(context, &test_error), TL_INVALID_ARGUMENT);
    ck_assert_msg(strstr(test_error.message, "'z'") && strstr(test_error.message, "8 bytes"), "%s", test_error.message);
    ck_assert_int_eq(tl_context_bind_output(context, 1, (char *)z + 4, 4, &test_error), TL_INVALID_ARGUMENT);
    ck_assert_int_eq(tl_context_bind_output(context, 1, NULL, 0, &test_error), TL_OK);
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
    ck_assert_int_eq(tl_context_bind_output(context, 0, s, sizeof s, &test_error), TL_OK);
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
    ck_assert_int_eq(tl_context_bind_output(context, 0, a, sizeof a, &test_error), TL_OK);
    ck_assert_int_eq(tl_context_bind_output(context, 1, b, sizeof b, &test_error), TL_OK);
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
    ck_assert_int_eq(tl_context_value(context, "a", &t, &test_error), TL_INVALID_ARGUMENT); /* no run yet */
    run();
    ck_assert_int_eq(tl_context_value(context, "a", &t, &test_error), TL_OK);
    expect(t, 2, (float[]){2, 4});
    ck_assert_int_eq(tl_context_value(context, "b", &t, &test_error), TL_OK);
    expect(t, 2, (float[]){3, 5});
    ck_assert_int_eq(tl_context_value(context, "w", &t, &test_error), TL_OK);
    expect(t, 2, w);
    ck_assert_int_eq(tl_context_value(context, "nobody", &t, &test_error), TL_INVALID_ARGUMENT);
    ck_assert_msg(strstr(test_error.message, "nobody") != NULL, "%s", test_error.message);
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
    ck_assert_int_eq(tl_context_value(context, "a", &t, &test_error), TL_INVALID_ARGUMENT);
    ck_assert_msg(strstr(test_error.message, "TL_SESSION_KEEP_VALUES") != NULL, "%s", test_error.message);
    ck_assert_int_eq(tl_context_value(context, "y", &t, &test_error), TL_OK);
    ck_assert_int_eq(tl_context_value(context, "x", &t, &test_error), TL_OK);
}
END_TEST

START_TEST(wrong_inputs_are_named)
{
    static const int64_t dims[] = {-1, 3};
    input("x", 2, dims);
    output("y");
    add("AddOne", "x", "y");
    open_with(0);
    ck_assert_int_eq(tl_context_run(context, &test_error), TL_INVALID_INPUT);
    ck_assert_msg(strstr(test_error.message, "'x' is missing") && strstr(test_error.message, "float[?,3]"), "%s",
                  test_error.message);
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
        tl_status status = tl_context_set_input(context, 0, &wrong[i].tensor, &test_error);
        ck_assert_msg(status == wrong[i].status, "case %zu: %d, %s", i, status, test_error.message);
        ck_assert_msg(strstr(test_error.message, "'x'") != NULL, "%s", test_error.message);
    }
    ck_assert_int_eq(tl_context_set_input(context, 1, &wrong[0].tensor, &test_error), TL_INVALID_ARGUMENT);
    ck_assert_int_eq(tl_context_bind_output(context, 1, x, 4, &test_error), TL_INVALID_ARGUMENT);
    tl_tensor t;
    ck_assert_int_eq(tl_context_output(context, 0, &t, &test_error), TL_INVALID_ARGUMENT);
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
    ck_assert_int_eq(tl_context_run(context, &test_error), TL_INVALID_INPUT);
    ck_assert_msg(strstr(test_error.message, "test::Picky") && strstr(test_error.message, "element 0 is -1"), "%s",
                  test_error.message);
    tl_tensor t;
    ck_assert_int_eq(tl_context_output(context, 0, &t, &test_error), TL_INVALID_ARGUMENT);
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
    ck_assert_int_eq(tl_context_run(context, &test_error), TL_CANCELLED);
    run();
    expect(result(0), 1, (float[]){2});
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
    ck_assert_int_eq(tl_runtime_create(&options, &runtime, &test_error), TL_OK);
    ck_assert_int_eq(tl_plugin_register(runtime, register_operators, &test_error), TL_OK);
    chain();
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
    const TTest *const tests[] = {bound_outputs_are_written_directly,
                                  state_goes_round,
                                  states_may_swap,
                                  any_value_can_be_asked_for,
                                  values_are_not_kept_unless_asked,
                                  wrong_inputs_are_named,
                                  a_failed_run_leaves_the_context_usable,
                                  a_run_can_be_cancelled,
                                  contexts_share_a_session};
    return run_suite(suite_of("context", tests, TL_COUNT(tests)));
}
