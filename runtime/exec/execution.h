/* What an operator's call reaches through its host: memory for outputs, strings, threads. */
#ifndef TL_EXECUTION_H
#define TL_EXECUTION_H

#include "exec/runtime.h"
#include "graph/graph.h"
#include "plugin/host.h"

typedef struct tl_execution tl_execution;
struct tl_execution {
    tl_runtime *runtime;
    tl_arena *heap; /* bytes of string elements, and sequences, that the run makes */
    /* Memory for output k of the node that runs; NULL: refused. */
    void *(*allocate)(tl_execution *execution, const tl_call *call, size_t k, size_t bytes);
};

/* Runs a node once, now: its state is made if it has none, outputs[k] (with the type set; NULL: not wanted) get shape
 * and freshly allocated data, which the caller frees with tl_memory_free. `heap` takes string elements' bytes. */
tl_status tl_evaluate(tl_node *node, tl_runtime *runtime, const tl_tensor *const *inputs, tl_tensor *const *outputs,
                      tl_arena *heap, size_t limit, tl_error *error);

/* Makes the operator's state (once). Inputs as known ahead; *packed tells which inputs' data run no longer needs. */
tl_status tl_node_create(tl_node *node, const tl_host *host, const tl_tensor *const *inputs, uint64_t *packed,
                         tl_error *error);
void tl_node_destroy(tl_node *node, const tl_host *host);
/* Adds the node to the front of the message. Returns status. */
tl_status tl_node_blame(const tl_node *node, tl_status status, tl_error *error);
/* Calls reshape, or does what stands for it, and checks what it wrote. */
tl_status tl_call_reshape(tl_call_frame *frame, tl_node *node);
/* Calls run, and checks that every output has memory. */
tl_status tl_call_run(tl_call_frame *frame, const tl_node *node);

/* exec/threads.c */
tl_status tl_threads_start(tl_runtime *runtime, int32_t threads, tl_error *error);
void tl_threads_stop(tl_runtime *runtime);
/* Around a context's run: between them idle threads look for work before they sleep. */
void tl_threads_begin_run(const tl_runtime *runtime);
void tl_threads_end_run(const tl_runtime *runtime);
void tl_parallel_for(tl_call *call, tl_task task, void *context, int64_t range, int64_t grain);
/* Flushes denormals to zero on this thread; gives back what tl_denormals_restore() needs. */
uint64_t tl_denormals_flush(void);
void tl_denormals_restore(uint64_t before);

#endif
