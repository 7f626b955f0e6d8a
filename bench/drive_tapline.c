/* Tapline, by its C API. */
#include <string.h>

#include <tapline/tapline.h>

#include "driver.h"

static tl_runtime *runtime;
static tl_session *session;
static tl_context *context;
static tl_error error;

static void check(tl_status status)
{
    if (status != TL_OK)
        fail("%s", error.message);
}

static void open_engine(const char *library, int threads)
{
    (void)library; /* linked */
    const tl_runtime_options options = {.size = sizeof options, .threads = threads};
    check(tl_runtime_create(&options, &runtime, &error));
    check(tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error));
}

static void load(const char *model)
{
    check(tl_session_open(runtime, model, NULL, &session, &error));
    check(tl_context_create(session, &context, &error));
}

static size_t index_of(const char *name)
{
    tl_value_info info;
    size_t index = 0;
    while (tl_session_input(session, index, &info))
        if (strcmp(info.name, name) == 0)
            return index;
        else
            index++;
    fail("the model has no input %s", name);
}

static void bind_inputs(const tensor *inputs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tl_tensor input = {.data = inputs[i].data, .type = (tl_type)inputs[i].type, .rank = inputs[i].rank};
        memcpy(input.dims, inputs[i].dims, sizeof inputs[i].dims);
        check(tl_context_set_input(context, index_of(inputs[i].name), &input, &error));
    }
}

static void run(void)
{
    check(tl_context_run(context, &error));
}

static void output(const void **data, size_t *bytes)
{
    tl_tensor first;
    check(tl_context_output(context, 0, &first, &error));
    *data = first.data;
    *bytes = (size_t)tl_tensor_bytes(&first);
}

const engine driven = {open_engine, load, bind_inputs, run, output};
