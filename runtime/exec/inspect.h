/* What the program looks at beyond the public API. Internal, and not stable. */
#ifndef TL_INSPECT_H
#define TL_INSPECT_H

#include "exec/context.h"
#include "exec/list.h"
#include "exec/session.h"

/* The graph as it runs: after folding and rewriting. tl_session's other fields are open to readers too. */
static inline const tl_graph *tl_session_graph(const tl_session *session)
{
    return session->graph;
}

/* Calls `trace` around each operator of the context's runs; NULL: none. */
static inline void tl_context_set_trace(tl_context *context, tl_trace trace, void *user)
{
    context->run.trace = trace;
    context->run.trace_user = user;
}

/* An input that is no tensor. The list and its items must live as long as runs use them. */
tl_status tl_context_set_list(tl_context *context, size_t index, const tl_list *list, tl_error *error);
/* Output `index` of the last run as a list, which lives until the next run; NULL: it is a tensor, or there was no run.
 */
const tl_list *tl_context_output_list(const tl_context *context, size_t index);

/* Cuts every signal that can be cut into strips whose arenas take so many bytes for each thread; 0: none. For plans
 * that are not made yet. */
static inline void tl_context_set_strips(tl_context *context, size_t bytes)
{
    context->main->strip_bytes = bytes;
    context->main->strips_above = 0;
}

/* Plans for the inputs that are set, without running; a run does so by itself. */
tl_status tl_context_plan(tl_context *context, tl_error *error);
/* The plan of the last run or tl_context_plan(); NULL: none yet. Its slots tell shapes by tl_value's index. */
static inline const tl_plan *tl_context_last_plan(const tl_context *context)
{
    return context->main->plans;
}

#endif
