/* What the runtime puts around the ABI's calls, and who fills which part of the host's table. */
#ifndef TL_HOST_H
#define TL_HOST_H

#include "base/base.h"
#include "tapline/plugin.h"

/* Every tl_call that a callback gets is the beginning of one of these. */
typedef struct tl_call_frame {
    tl_call call;
    tl_error *error; /* where host->fail writes; may be NULL */
    void *execution; /* exec/'s own; NULL outside a plan or run */
    bool ahead;      /* reshape at load: nothing runs yet */
} tl_call_frame;

static inline tl_call_frame *tl_call_frame_of(const tl_call *call)
{
    return (tl_call_frame *)(uintptr_t)call;
}

/* exec/: output, string, parallel_for. */
void tl_host_init_exec(tl_host *host);
/* graph/rewrite.c: all that looks at a graph or changes it. */
void tl_host_init_rewrite(tl_host *host);

/* An attribute's default by the schema of the node's operator, or NULL: no such attribute, or no operator yet. */
const tl_attribute_spec *tl_node_attribute_spec(const tl_node *node, const char *name);

#endif
