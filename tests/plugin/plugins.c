/* The shared objects that test_loader.c loads: this file is compiled once for each, with PLUGIN_name defined. */
#include "tapline/plugin.h"

#include <string.h>

static tl_status copy_run(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    int64_t count = 1;
    for (int32_t i = 0; i < in->rank; i++)
        count *= in->dims[i];
    if (count > 0)
        memcpy(call->outputs[0]->data, in->data, (size_t)count * sizeof(float));
    return TL_OK;
}

static const tl_param one_float[] = {{"X", TL_T(TL_FLOAT), 'T', 0}};

#define OPERATOR(op)                                                                                        \
    {                                                                                                       \
        .size = sizeof(tl_operator), .domain = "test", .name = op, .since_version = 1, .inputs = one_float, \
        .input_count = 1, .outputs = one_float, .output_count = 1, .run = copy_run                          \
    }

#if !defined PLUGIN_shorter && !defined PLUGIN_longer
static const tl_operator copy = OPERATOR("Copy");

static tl_status register_copy(const tl_host *host, tl_registrar *registrar)
{
    tl_status status = host->register_domain(registrar, "test", 1);
    return status == TL_OK ? host->register_operator(registrar, &copy) : status;
}
#endif

#if defined PLUGIN_good || defined PLUGIN_duplicate
static tl_status enter(const tl_host *host, tl_registrar *registrar)
{
    return register_copy(host, registrar);
}
TL_PLUGIN_EXPORT(enter);

#elif defined PLUGIN_wrong_abi
TL_PLUGIN_VISIBLE extern const uint32_t tapline_plugin_abi;
const uint32_t tapline_plugin_abi = TL_ABI_VERSION + 98;
TL_PLUGIN_VISIBLE tl_status tapline_plugin(const tl_host *host, tl_registrar *registrar);
tl_status tapline_plugin(const tl_host *host, tl_registrar *registrar)
{
    return register_copy(host, registrar);
}

#elif defined PLUGIN_no_abi
TL_PLUGIN_VISIBLE tl_status tapline_plugin(const tl_host *host, tl_registrar *registrar);
tl_status tapline_plugin(const tl_host *host, tl_registrar *registrar)
{
    return register_copy(host, registrar);
}

#elif defined PLUGIN_no_entry
TL_PLUGIN_VISIBLE extern const uint32_t tapline_plugin_abi;
const uint32_t tapline_plugin_abi = TL_ABI_VERSION;
TL_PLUGIN_VISIBLE tl_status some_other_function(const tl_host *host, tl_registrar *registrar);
tl_status some_other_function(const tl_host *host, tl_registrar *registrar)
{
    return register_copy(host, registrar);
}

#elif defined PLUGIN_gives_up
static tl_status enter(const tl_host *host, tl_registrar *registrar)
{
    tl_status status = register_copy(host, registrar);
    return status == TL_OK ? TL_UNSUPPORTED : status;
}
TL_PLUGIN_EXPORT(enter);

#elif defined PLUGIN_half_way
/* Registers something good, something bad, looks at neither, and something good again. */
static const tl_operator bad = {.size = sizeof(tl_operator), .domain = "test", .name = "Bad", .since_version = 1};
static const tl_operator late = OPERATOR("Late");
static tl_status enter(const tl_host *host, tl_registrar *registrar)
{
    register_copy(host, registrar);
    host->register_operator(registrar, &bad);
    host->register_operator(registrar, &late);
    return TL_OK;
}
TL_PLUGIN_EXPORT(enter);

#elif defined PLUGIN_shorter
/* A descriptor of a time before the fields behind `destroy`: what follows it in memory is not to be read. */
static struct {
    tl_operator op;
} old = {OPERATOR("Old")};
static tl_status enter(const tl_host *host, tl_registrar *registrar)
{
    tl_status status = host->register_domain(registrar, "test", 1);
    old.op.size = offsetof(tl_operator, decompose);
    memset((char *)&old.op + old.op.size, 0x5a, sizeof old.op - old.op.size);
    return status == TL_OK ? host->register_operator(registrar, &old.op) : status;
}
TL_PLUGIN_EXPORT(enter);

#elif defined PLUGIN_longer
/* A descriptor of a time to come. */
static const struct {
    tl_operator op;
    void (*stream)(void);
    size_t another;
} later = {{.size = sizeof(tl_operator) + sizeof(void (*)(void)) + sizeof(size_t),
            .domain = "test",
            .name = "Later",
            .since_version = 1,
            .inputs = one_float,
            .input_count = 1,
            .outputs = one_float,
            .output_count = 1,
            .run = copy_run},
           NULL,
           7};
static tl_status enter(const tl_host *host, tl_registrar *registrar)
{
    tl_status status = host->register_domain(registrar, "test", 1);
    return status == TL_OK ? host->register_operator(registrar, &later.op) : status;
}
TL_PLUGIN_EXPORT(enter);

#elif defined PLUGIN_unresolved
/* RTLD_NOW finds out while loading, not when a model runs. */
void nobody_has_this_function(void);
static tl_status enter(const tl_host *host, tl_registrar *registrar)
{
    nobody_has_this_function();
    return register_copy(host, registrar);
}
TL_PLUGIN_EXPORT(enter);

#elif defined PLUGIN_failing
/* One operator for each callback, which fails in it. */
static tl_status fail_create(tl_call *call)
{
    return tl_fail(call, TL_INVALID_MODEL, "create says %d", 11);
}
static tl_status good_create(tl_call *call)
{
    call->state = call->host->alloc(call->host, 16, 16);
    return call->state ? TL_OK : tl_fail(call, TL_NO_MEMORY, "no state");
}
static tl_status fail_reshape(tl_call *call)
{
    return tl_fail(call, TL_INVALID_MODEL, "reshape says %d", 22);
}
/* Only once shapes are known: at load it passes. */
static tl_status fail_plan(tl_call *call)
{
    if (call->inputs[0]->rank != 1)
        return tl_fail(call, TL_INVALID_INPUT, "rank must be 1");
    call->outputs[0]->rank = 1;
    call->outputs[0]->dims[0] = call->inputs[0]->dims[0];
    return call->inputs[0]->dims[0] == 3 ? tl_fail(call, TL_INVALID_INPUT, "plan says %d", 33) : TL_OK;
}
/* Fails on a negative first element only, so that the same context can run again. */
static tl_status fail_run(tl_call *call)
{
    const float *in = call->inputs[0]->data;
    return in[0] < 0 ? tl_fail(call, TL_INVALID_INPUT, "run says %d", 44) : copy_run(call);
}
/* A status without a word. */
static tl_status mute_run(tl_call *call)
{
    (void)call;
    return TL_UNSUPPORTED;
}
static void destroy(const tl_host *host, void *state)
{
    host->free(host, state);
}

#define FAILING(op, ...)                                                                                    \
    {                                                                                                       \
        .size = sizeof(tl_operator), .domain = "test", .name = op, .since_version = 1, .inputs = one_float, \
        .input_count = 1, .outputs = one_float, .output_count = 1, __VA_ARGS__                              \
    }
static const tl_operator operators[] = {
    FAILING("FailCreate", .create = fail_create, .run = copy_run, .destroy = destroy),
    FAILING("FailReshape", .create = good_create, .reshape = fail_reshape, .run = copy_run, .destroy = destroy),
    FAILING("FailPlan", .create = good_create, .reshape = fail_plan, .run = copy_run, .destroy = destroy),
    FAILING("FailRun", .create = good_create, .run = fail_run, .destroy = destroy),
    FAILING("MuteRun", .run = mute_run),
};
static tl_status enter(const tl_host *host, tl_registrar *registrar)
{
    tl_status status = register_copy(host, registrar);
    for (size_t k = 0; k < sizeof operators / sizeof operators[0] && status == TL_OK; k++)
        status = host->register_operator(registrar, &operators[k]);
    return status;
}
TL_PLUGIN_EXPORT(enter);
#endif
