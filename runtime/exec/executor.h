/* An executor runs one graph: it has the graph's plans and their memory. A context has one for the model's graph, and,
 * made when first needed, one for each graph inside it. */
#ifndef TL_EXECUTOR_H
#define TL_EXECUTOR_H

#include <stdatomic.h>
#include "exec/plan.h"

typedef struct tl_executor tl_executor;

/* Called before (`begin`) and after each step of a run. */
typedef void (*tl_trace)(void *user, const tl_node *node, bool begin);

/* What all executors of a context share. */
typedef struct tl_run_state {
    tl_runtime *runtime;
    tl_arena heap;       /* strings and sequences of the run; emptied when the next one begins */
    tl_executor **inner; /* by tl_graph's number */
    size_t inner_count;
    atomic_bool cancelled;
    tl_trace trace;
    void *trace_user;
} tl_run_state;

/* An output on its way out. */
typedef struct tl_bound_output {
    void *buffer; /* the caller's, or NULL */
    size_t capacity;
    tl_tensor result; /* of the last run */
} tl_bound_output;

struct tl_executor {
    tl_execution execution; /* first: what an operator's call reaches */
    tl_run_state *run;
    tl_graph *graph;
    bool keep;
    tl_arena memory;
    tl_tensor *given; /* inputs, then captures: set by the caller before each run */
    tl_bound_output *outputs;
    tl_output_mode *modes;
    tl_plan *plans; /* the first is that of the last run */
    void *arena;
    size_t arena_bytes;
    tl_reserve *buffers; /* for whoever runs an inner graph, or a strip, again and again */
    size_t buffer_count;
    size_t strip_bytes;  /* of the arena of a strip, for each thread; 0: signals are not cut into strips */
    size_t strips_above; /* bytes of an arena from which on they are */
    tl_executor *runner; /* of the same graph, for the strips; NULL: not yet needed */
};

/* Whose step an operator's run is; only of operators with TL_OP_RUNTIME, which nothing else calls. */
static inline tl_executor *tl_executor_of(const tl_call *call)
{
    return (tl_executor *)(void *)tl_call_frame_of(call)->execution;
}

tl_status tl_executor_create(tl_run_state *run, tl_graph *graph, bool keep, tl_executor **executor, tl_error *error);
void tl_executor_destroy(tl_executor *executor);
/* A plan for the inputs that are set: found among the last few, or made. */
tl_status tl_executor_plan(tl_executor *executor, tl_error *error);
/* TL_CANCELLED once tl_context_cancel() has been called, else TL_OK. */
tl_status tl_executor_go_on(const tl_executor *executor, tl_error *error);
/* Plans and runs, unless cancelled, even where there is nothing to run. Results are in outputs[k].result until the next
 * run. */
tl_status tl_executor_run(tl_executor *executor, tl_error *error);
/* Memory that grows and is kept; NULL: refused. */
void *tl_reserve_bytes(const tl_executor *executor, tl_reserve *reserve, size_t bytes);
/* The executor of a graph inside this executor's, with its captures set from the plan at hand. */
tl_status tl_executor_inner(tl_executor *outer, tl_graph *graph, tl_executor **inner, tl_error *error);

#endif
