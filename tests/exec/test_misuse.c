/* Applications that call in the wrong order, with nothing, or with what cannot be: an error that says so. */
#include "fixture.h"

#include <pthread.h>
#include <string.h>

static void wrong(tl_status status)
{
    ck_assert_msg(status == TL_INVALID_ARGUMENT && test_error.status == status, "%d: %s", (int)status,
                  test_error.message);
    ck_assert(*test_error.message && !strchr(test_error.message, '\n'));
    test_error = (tl_error){TL_OK, ""};
}

static tl_status enter_nothing(const tl_host *host, tl_registrar *registrar)
{
    (void)host, (void)registrar;
    return (tl_status)77;
}

START_TEST(runtimes)
{
    tl_runtime *made = (void *)&made;
    wrong(tl_runtime_create(NULL, NULL, &test_error));
    const tl_runtime_options impossible[] = {
        {.size = sizeof *impossible, .threads = -1},
        {.size = sizeof *impossible, .threads = INT32_MAX},
        {.size = sizeof *impossible, .allocator = {.alloc = (void *(*)(void *, size_t, size_t))(uintptr_t)1}},
        {.size = sizeof *impossible, .allocator = {.free = (void (*)(void *, void *))(uintptr_t)1}},
        {.size = sizeof *impossible,
         .pool = {.parallel_for = (void (*)(void *, void (*)(void *, int64_t, int64_t, int32_t), void *, int64_t,
                                            int64_t))(uintptr_t)1}},
    };
    for (size_t i = 0; i < TL_COUNT(impossible); i++) {
        wrong(tl_runtime_create(&impossible[i], &made, &test_error));
        ck_assert_ptr_null(made);
    }
    /* What lies beyond the size counts as zero, and what is newer is not read. */
    tl_runtime_options options = {.size = offsetof(tl_runtime_options, threads), .threads = -1};
    ck_assert_int_eq(tl_runtime_create(&options, &made, NULL), TL_OK);
    tl_runtime_destroy(made);
    options = (tl_runtime_options){.size = sizeof options + 1000};
    ck_assert_int_eq(tl_runtime_create(&options, &made, NULL), TL_OK);
    wrong(tl_plugin_load(NULL, "x", &test_error));
    wrong(tl_plugin_load(made, NULL, &test_error));
    wrong(tl_plugin_register(NULL, enter_nothing, &test_error));
    wrong(tl_plugin_register(made, NULL, &test_error));
    ck_assert_int_eq(tl_plugin_register(made, enter_nothing, &test_error), (tl_status)77);
    tl_operator_info info;
    ck_assert(!tl_runtime_operator(made, SIZE_MAX, &info));
    tl_runtime_destroy(made);
    tl_runtime_destroy(NULL);
}
END_TEST

START_TEST(numbers_out_of_range)
{
    ck_assert_str_eq(tl_type_name((tl_type)-1), "unknown");
    ck_assert_str_eq(tl_type_name(TL_TYPE_COUNT), "unknown");
    ck_assert_uint_eq(tl_type_bits((tl_type)1000), 0);
    ck_assert_ptr_nonnull(tl_status_name((tl_status)-5));
    ck_assert_ptr_nonnull(tl_status_name((tl_status)1000));
    static const tl_tensor odd[] = {{NULL, TL_FLOAT, 17, {1}},
                                    {NULL, TL_FLOAT, INT32_MIN, {1}},
                                    {NULL, TL_FLOAT, 2, {INT64_MAX, INT64_MAX}},
                                    {NULL, TL_FLOAT, 3, {INT64_MAX, 2, 0}}, /* no elements, in rows without end */
                                    {NULL, TL_FLOAT, 3, {1 << 20, 0, (1 << 8) + 1}},
                                    {NULL, TL_FLOAT, 1, {INT64_MIN}}};
    for (size_t i = 0; i < TL_COUNT(odd); i++)
        ck_assert(tl_tensor_elements(&odd[i]) == -1 && tl_tensor_bytes(&odd[i]) == -1);
    const tl_tensor empty = {NULL, TL_FLOAT, 3, {1 << 20, 0, 1 << 8}};
    ck_assert(tl_tensor_elements(&empty) == 0 && tl_tensor_bytes(&empty) == 0);
    const tl_tensor no_type = {NULL, (tl_type)99, 1, {1}}, overflow = {NULL, TL_DOUBLE, 1, {INT64_MAX}};
    ck_assert(tl_tensor_bytes(&no_type) == -1 && tl_tensor_bytes(&overflow) == -1);
}
END_TEST

static void small_model(void)
{
    input("x", 1, any_length);
    output("y");
    add("AddOne", "x", "a");
    add("Half", "a", "y");
}

START_TEST(sessions)
{
    tl_session *made = (void *)&made;
    small_model();
    end_model();
    const void *bytes = model_message.bytes;
    wrong(tl_session_open(NULL, "x", NULL, &made, &test_error));
    ck_assert_ptr_null(made);
    wrong(tl_session_open(runtime, NULL, NULL, &made, &test_error));
    wrong(tl_session_open(runtime, "x", NULL, NULL, &test_error));
    wrong(tl_session_open_memory(NULL, bytes, 1, NULL, &made, &test_error));
    wrong(tl_session_open_memory(runtime, NULL, 0, NULL, &made, &test_error));
    wrong(tl_session_open_memory(runtime, bytes, 1, NULL, NULL, &test_error));
    for (size_t size = 0; size < model_message.size; size++)
        ck_assert_int_ne(tl_session_open_memory(runtime, bytes, size, NULL, &made, NULL), TL_OK);
    static const char *const unknown[] = {"nobody", "", "onnx.fuse_conv.", "onnx.fuse_con"};
    for (size_t i = 0; i < TL_COUNT(unknown); i++)
        for (uint32_t flags = 0; flags <= TL_SESSION_NO_REWRITES; flags += TL_SESSION_NO_REWRITES) {
            const tl_session_options typo = {.size = sizeof typo,
                                             .flags = flags,
                                             .disabled_rules =
                                                 (const char *const[]){"onnx.fuse_conv", unknown[i], NULL}};
            made = (void *)&made;
            wrong(tl_session_open_memory(runtime, bytes, model_message.size, &typo, &made, &test_error));
            ck_assert_ptr_null(made);
        }
    const tl_session_options odd = {.size = sizeof odd + 1000,
                                    .flags = UINT32_MAX & ~(uint32_t)TL_SESSION_NO_EXTERNAL_DATA,
                                    .disabled_rules = (const char *const[]){"onnx.fuse_conv", NULL},
                                    .external_data_path = "nowhere"};
    ck_assert_msg(tl_session_open_memory(runtime, bytes, model_message.size, &odd, &made, &test_error) == TL_OK, "%s",
                  test_error.message);
    tl_value_info info;
    ck_assert(!tl_session_input(made, 1, &info) && !tl_session_input(made, SIZE_MAX, &info) &&
              !tl_session_output(made, 1, &info));
    static const tl_dim dims[] = {INT64_MIN, INT64_MIN + 1, -1000, TL_DIM_UNKNOWN, 0, INT64_MAX};
    for (size_t i = 0; i < TL_COUNT(dims); i++)
        ck_assert_ptr_null(tl_session_symbol(made, dims[i]));
    tl_session_destroy(made);
    tl_session_destroy(NULL);
}
END_TEST

START_TEST(contexts)
{
    small_model();
    open_with(0);
    tl_context *made = (void *)&made;
    tl_tensor t;
    float x[] = {1, 3};
    const tl_tensor good = {x, TL_FLOAT, 1, {2}};
    wrong(tl_context_create(NULL, &made, &test_error));
    wrong(tl_context_create(session, NULL, &test_error));
    wrong(tl_context_set_input(NULL, 0, &good, &test_error));
    wrong(tl_context_set_input(context, 0, NULL, &test_error));
    wrong(tl_context_set_input(context, SIZE_MAX, &good, &test_error));
    wrong(tl_context_bind_output(NULL, 0, x, 8, &test_error));
    wrong(tl_context_bind_output(context, SIZE_MAX, x, 8, &test_error));
    wrong(tl_context_run(NULL, &test_error));
    wrong(tl_context_output(NULL, 0, &t, &test_error));
    wrong(tl_context_output(context, 0, &t, &test_error)); /* before a run */
    wrong(tl_context_value(NULL, "y", &t, &test_error));
    wrong(tl_context_value(context, NULL, &t, &test_error));
    wrong(tl_context_value(context, "y", NULL, &test_error));
    ck_assert_int_eq(tl_context_run(context, NULL), TL_INVALID_INPUT); /* nowhere to say why */
    ck_assert_int_eq(tl_context_set_input(context, 0, &good, NULL), TL_OK);
    ck_assert_int_eq(tl_context_run(context, NULL), TL_OK);
    wrong(tl_context_output(context, 1, &t, &test_error));
    wrong(tl_context_output(context, 0, NULL, &test_error));
    expect(result(0), 2, (float[]){1, 2});
    tl_context_cancel(NULL);
    tl_context_destroy(NULL);
}
END_TEST

static void *cancel(void *unused)
{
    tl_context_cancel(context);
    return unused;
}

/* An operator during which another thread cancels. */
static tl_status be_cancelled(tl_call *call)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, cancel, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return tl_fail(call, TL_INTERNAL, "no thread");
    return TL_OK;
}

static const tl_param one[] = {{"X", TL_T(TL_FLOAT), 'T', 0}};
static const tl_operator cancelled = {.size = sizeof cancelled,
                                      .domain = "test",
                                      .name = "Cancelled",
                                      .since_version = 1,
                                      .inputs = one,
                                      .input_count = 1,
                                      .outputs = one,
                                      .output_count = 1,
                                      .run = be_cancelled};

static tl_status register_cancelled(const tl_host *host, tl_registrar *registrar)
{
    return host->register_operator(registrar, &cancelled);
}

START_TEST(cancelled_from_another_thread)
{
    ck_assert_int_eq(tl_plugin_register(runtime, register_cancelled, &test_error), TL_OK);
    input("x", 1, any_length);
    output("y");
    add("Cancelled", "x", "a");
    add("Half", "a", "y");
    open_with(0);
    float x[] = {1, 3};
    set_input(0, x, 1, 2, 0);
    for (int turn = 0; turn < 3; turn++)
        ck_assert_int_eq(tl_context_run(context, &test_error), TL_CANCELLED);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {runtimes, numbers_out_of_range, sessions, contexts, cancelled_from_another_thread};
    return run_suite(suite_of("misuse", tests, TL_COUNT(tests)));
}
