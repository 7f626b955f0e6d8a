/* The host's functions that know of no graph. */
#include "plugin/registrar.h"
#include "plugin/runtime.h"

static void *host_alloc(const tl_host *host, size_t size, size_t alignment)
{
    if (alignment == 0 || alignment > 4096 || (alignment & (alignment - 1)))
        return NULL;
    void *pooled = tl_pool_take(size, alignment);
    return pooled ? pooled : tl_memory_alloc(&tl_host_runtime(host)->allocator, size, alignment);
}

static void host_free(const tl_host *host, void *memory)
{
    tl_memory_free(&tl_host_runtime(host)->allocator, memory);
}

void tl_host_init(tl_host *host)
{
    *host = (tl_host){
        .size = sizeof *host,
        .abi_version = TL_ABI_VERSION,
        .register_operator = tl_registrar_operator,
        .register_rule = tl_registrar_rule,
        .register_domain = tl_registrar_domain,
        .alloc = host_alloc,
        .free = host_free,
    };
}
