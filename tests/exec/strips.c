#include "strips.h"

#include <stdio.h>

tl_error test_error;
model network;
uint64_t seed;

void begin(void)
{
    network = (model){.opset = 17};
    seed = 1;
}

void add(const char *op, const char *inputs, const char *outputs, const char *attributes)
{
    add_node(&network, op, inputs, outputs, attributes);
}

void conv(const char *inputs, const char *outputs, const char *name, int filters, int channels, int kernel,
          const char *attributes)
{
    char text[64];
    snprintf(text, sizeof text, "%d,%d,%d", filters, channels, kernel);
    add_weights(&network, name, text);
    snprintf(text, sizeof text, "%s %s", inputs, name);
    add("Conv", text, outputs, attributes);
}

static void *file; /* of the network: sessions read from it */
static size_t file_size;

void finish_from(const char *input, const char *dims)
{
    add_input(&network, input, TL_FLOAT, dims);
    add_output(&network, "y", TL_FLOAT);
    free(file);
    file = finish_model(&network, &file_size);
}

void finish(const char *dims)
{
    finish_from("x", dims);
}

tl_tensor floats(int32_t rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (tl_tensor){.type = TL_FLOAT, .rank = rank, .dims = {a, b, c, d}};
}

float *signal_of(const tl_tensor *x)
{
    int64_t count = tl_tensor_elements(x);
    float *data = malloc((size_t)count * sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (int64_t i = 0; i < count; i++)
        data[i] = (float)noise(&seed);
    return data;
}

tl_runtime *open_runtime(const tl_runtime_options *options)
{
    tl_runtime *runtime;
    ck_assert_int_eq(tl_runtime_create(options, &runtime, &test_error), TL_OK);
    return runtime;
}

tl_status try_session(tl_runtime *runtime, uint32_t flags, tl_session **session)
{
    const tl_session_options options = {.size = sizeof options, .flags = flags};
    return tl_session_open_memory(runtime, file, file_size, &options, session, &test_error);
}

tl_session *open_session(tl_runtime *runtime, uint32_t flags)
{
    tl_session *session;
    ck_assert_msg(try_session(runtime, flags, &session) == TL_OK, "%s", test_error.message);
    return session;
}

tl_context *open_context(tl_session *session)
{
    tl_context *context;
    ck_assert_int_eq(tl_context_create(session, &context, &test_error), TL_OK);
    return context;
}

void run_once(tl_context *context, const tl_tensor *x, tl_tensor *y)
{
    ck_assert_msg(tl_context_set_input(context, 0, x, &test_error) == TL_OK, "%s", test_error.message);
    ck_assert_msg(tl_context_run(context, &test_error) == TL_OK, "%s", test_error.message);
    ck_assert_msg(tl_context_output(context, 0, y, &test_error) == TL_OK, "%s", test_error.message);
}

bool is_cut(const tl_context *context)
{
    return tl_context_last_plan(context)->strips != NULL;
}
