/* The runtime: what all sessions of an application share. */
#ifndef TL_RUNTIME_H
#define TL_RUNTIME_H

#include "base/base.h"
#include "plugin/registry.h"
#include "tapline/plugin.h"

struct tl_runtime {
    tl_host host; /* first: a const tl_host * that a plugin holds is the runtime */
    tl_allocator allocator;
    tl_logger logger;
    void *logger_user;
    tl_registry registry;
    tl_thread_pool pool; /* thread_count 1 and no function: everything on the caller's thread */
    void *own_pool;      /* exec/threads.c: behind `pool`, or NULL */
};

static inline tl_runtime *tl_host_runtime(const tl_host *host)
{
    return (tl_runtime *)(uintptr_t)host;
}

/* Who fills which part of the host's table. host.c: registration and memory; graph/: attributes, calls, rewriting;
 * exec/ adds parallel_for. */
void tl_host_init(tl_host *host);
void tl_host_init_attributes(tl_host *host);
void tl_host_init_calls(tl_host *host);
void tl_host_init_rewrite(tl_host *host);

#endif
