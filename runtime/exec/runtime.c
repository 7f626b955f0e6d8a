#include "exec/threads.h"
#include "kernels/kernels.h"

#define TEXT(x)         #x
#define DOTTED(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *tl_version(void)
{
    return DOTTED(TL_VERSION_MAJOR, TL_VERSION_MINOR, TL_VERSION_PATCH);
}

const char *tl_isa(void)
{
    return tlk_isa_name();
}

static tl_status check_options(const tl_runtime_options *options, tl_error *error)
{
    if (!options->allocator.alloc != !options->allocator.free)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "the allocator needs both alloc and free, or neither");
    if (options->threads < 0 || options->threads > 1024)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "threads is %d, but must be in [0, 1024]", options->threads);
    if (options->pool.parallel_for && options->pool.thread_count < 1)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "the thread pool's thread_count is %d, but must be at least 1",
                            options->pool.thread_count);
    return TL_OK;
}

tl_status tl_runtime_create(const tl_runtime_options *given, tl_runtime **runtime, tl_error *error)
{
    if (!runtime)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "tl_runtime_create: runtime is NULL");
    *runtime = NULL;
    tl_runtime_options options = {.size = sizeof options};
    if (given)
        memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    tl_status status = check_options(&options, error);
    if (status != TL_OK)
        return status;
    tl_runtime *made = tl_memory_alloc(&options.allocator, sizeof *made, _Alignof(tl_runtime));
    if (!made)
        return tl_error_no_memory(error);
    *made = (tl_runtime){
        .allocator = options.allocator,
        .logger = options.logger,
        .logger_user = options.logger_user,
        .pool = options.pool,
    };
    tl_host_init(&made->host);
    tl_host_init_attributes(&made->host);
    tl_host_init_calls(&made->host);
    tl_host_init_rewrite(&made->host);
    made->host.parallel_for = tl_parallel_for;
    status = tl_registry_init(&made->registry, &made->allocator, &made->host, error);
    if (status == TL_OK && !made->pool.parallel_for)
        status = tl_threads_start(made, options.threads ? options.threads : 1, error);
    if (status != TL_OK) {
        tl_runtime_destroy(made);
        return status;
    }
    *runtime = made;
    return TL_OK;
}

void tl_runtime_destroy(tl_runtime *runtime)
{
    if (!runtime)
        return;
    tl_threads_stop(runtime);
    tl_registry_free(&runtime->registry);
    tl_allocator allocator = runtime->allocator;
    tl_memory_free(&allocator, runtime);
}

tl_status tl_plugin_load(tl_runtime *runtime, const char *path, tl_error *error)
{
    if (!runtime || !path)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "tl_plugin_load: runtime or path is NULL");
    return tl_registry_load(&runtime->registry, path, &runtime->host, error);
}

tl_status tl_plugin_register(tl_runtime *runtime, tl_status (*entry)(const tl_host *, tl_registrar *), tl_error *error)
{
    if (!runtime || !entry)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "tl_plugin_register: runtime or entry is NULL");
    return tl_registry_enter(&runtime->registry, entry, "static plugin", &runtime->host, error);
}

bool tl_runtime_operator(const tl_runtime *runtime, size_t index, tl_operator_info *info)
{
    if (index >= runtime->registry.operator_count)
        return false;
    const tl_operator *op = runtime->registry.operators[index];
    *info = (tl_operator_info){op->domain, op->name, op->since_version, op->until_version};
    return true;
}
