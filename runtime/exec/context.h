/* A context: one run at a time of a session. */
#ifndef TL_CONTEXT_H
#define TL_CONTEXT_H

#include <stdatomic.h>
#include "exec/plan.h"
#include "exec/session.h"

typedef struct tl_bound_output {
    void *buffer; /* the caller's, or NULL */
    size_t capacity;
    tl_tensor result; /* of the last run */
} tl_bound_output;

/* Called before (`begin`) and after each step of a run. */
typedef void (*tl_trace)(void *user, const tl_node *node, bool begin);

struct tl_context {
    tl_session *session;
    tl_arena memory;
    tl_tensor *inputs;
    bool *given;
    tl_bound_output *outputs;
    tl_output_mode *modes; /* for the run at hand */
    tl_plan *plans;        /* the first is that of the last run */
    void *arena;
    size_t arena_bytes;
    tl_execution execution;
    atomic_bool cancelled;
    bool finished; /* the last run succeeded */
    tl_trace trace;
    void *trace_user;
};

#endif
