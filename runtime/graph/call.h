/* Calls of a node's operator: what it gets, what it reaches through its host, and what is checked behind it. */
#ifndef TL_CALL_H
#define TL_CALL_H

#include "graph/graph.h"
#include "plugin/runtime.h"

/* Where a run has memory from. */
typedef struct tl_execution tl_execution;
struct tl_execution {
    tl_runtime *runtime;
    tl_arena *heap; /* bytes of string elements, and sequences, that the run makes */
    /* Memory for output k of the node that runs; NULL: refused. */
    void *(*allocate)(tl_execution *execution, const tl_call *call, size_t k, size_t bytes);
};

/* Every tl_call that a callback gets is the beginning of one of these. */
typedef struct tl_call_frame {
    tl_call call;
    tl_error *error;         /* where host->fail writes; may be NULL */
    tl_execution *execution; /* NULL outside a run */
    bool ahead;              /* reshape at load: nothing runs yet */
} tl_call_frame;

static inline tl_call_frame *tl_call_frame_of(const tl_call *call)
{
    return (tl_call_frame *)(uintptr_t)call;
}

/* A call of a node on one thread, without a state. `inputs` and `outputs` have room for tl_node_call_inputs() and
 * tl_node_call_outputs() of it, and live as long as the frame. */
static inline tl_call_frame tl_call_frame_for(const tl_node *node, const tl_host *host, const tl_tensor *const *inputs,
                                              tl_tensor *const *outputs, tl_error *error)
{
    return (tl_call_frame){.call = {.size = sizeof(tl_call),
                                    .host = host,
                                    .node = node,
                                    .inputs = inputs,
                                    .input_count = tl_node_call_inputs(node),
                                    .outputs = outputs,
                                    .output_count = tl_node_call_outputs(node),
                                    .thread_count = 1},
                           .error = error};
}

/* What is known of a node's inputs at load, in the arena: types and shapes; elements of constants of at most `most`
 * bytes. NULL: memory refused. */
const tl_tensor **tl_node_known_inputs(const tl_node *node, int64_t most, tl_arena *arena);

/* Runs a node once, now: its state is made if it has none, outputs[k] (with the type set; NULL: not wanted) get shape
 * and freshly allocated data, at most `limit` bytes each, which the caller frees with tl_memory_free. `heap` takes
 * string elements' bytes, at most as many. On failure no output has data, and the message begins with the node. */
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

#endif
