/* Loop invariants: what a Loop hands from round to round unchanged (exporters pass a recurrent cell's weights so) its
 * body captures instead. Then constants are constants there too, packed once, and nothing is copied each round. */
#include "graph/graph.h"

/* By value index: what each value of a body was before it went through Identity. */
static tl_value **find_sources(const tl_graph *body, tl_arena *scratch)
{
    tl_value **sources = TL_NEW(scratch, tl_value *, body->value_count);
    if (!sources)
        return NULL;
    for (size_t i = 0; i < body->value_count; i++)
        sources[i] = body->values[i];
    for (size_t i = 0; i < body->node_count; i++) {
        const tl_node *node = body->nodes[i];
        if (strcmp(node->op_type, "Identity") == 0 && !*node->domain && node->outputs[0]->producer == node)
            sources[node->outputs[0]->index] = sources[node->inputs[0]->index];
    }
    return sources;
}

/* State k of a Loop: is the body's output its input, and does nobody ask for it behind the loop? */
static bool is_invariant(const tl_node *loop, const tl_graph *body, tl_value *const *sources, size_t k)
{
    const tl_value *in = body->inputs[k + 2], *outer = loop->inputs[k + 2];
    const tl_value *after = k < loop->output_count ? loop->outputs[k] : NULL;
    return outer && sources[body->outputs[k + 1]->index] == in && tl_value_matches(in, outer) &&
           !(after && (after->user_count || after->flags & TL_VALUE_OUTPUT));
}

static bool make_capture(tl_graph *body, tl_value *value, tl_value *outer)
{
    if (!tl_arena_grow(&body->model->arena, (void **)&body->captures, body->capture_count, &body->capture_capacity,
                       sizeof(tl_value *)))
        return false;
    body->captures[body->capture_count++] = value;
    value->flags = (value->flags & ~(uint32_t)TL_VALUE_INPUT) | TL_VALUE_CAPTURE;
    value->outer = outer;
    value->tensor = outer->tensor;
    value->tensor.data = NULL;
    return true;
}

/* Closes the gaps of the states that are gone; state 0 stands at `first`. */
static void close_gaps(tl_value **values, size_t *count, size_t first, const bool *gone, size_t states)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (i < first || i - first >= states || !gone[i - first])
            values[kept++] = values[i];
    *count = kept;
}

static bool free_states(tl_node *loop, tl_arena *scratch, bool *changed)
{
    tl_graph *body = tl_node_subgraph(loop, 0);
    const size_t states = body->input_count - 2;
    tl_value **sources = find_sources(body, scratch);
    bool *gone = TL_NEW(scratch, bool, states);
    if (!sources || !gone)
        return false;
    for (size_t k = 0; k < states; k++) {
        gone[k] = is_invariant(loop, body, sources, k);
        *changed |= gone[k];
        if (gone[k] && !make_capture(body, body->inputs[k + 2], loop->inputs[k + 2]))
            return false;
        if (gone[k])
            body->outputs[k + 1]->flags &= ~(uint32_t)TL_VALUE_OUTPUT;
    }
    close_gaps(body->inputs, &body->input_count, 2, gone, states);
    close_gaps(body->outputs, &body->output_count, 1, gone, states);
    close_gaps(loop->inputs, &loop->input_count, 2, gone, states);
    close_gaps(loop->outputs, &loop->output_count, 0, gone, states);
    for (size_t i = 0; i < body->output_count; i++) /* one may stand in several places */
        body->outputs[i]->flags |= TL_VALUE_OUTPUT;
    return true;
}

/* What the operator's shape inference has checked already, or cannot know yet. */
static bool is_regular_loop(const tl_node *node)
{
    const tl_graph *body = strcmp(node->op_type, "Loop") == 0 && !*node->domain ? tl_node_subgraph(node, 0) : NULL;
    return body && body->input_count >= 2 && node->input_count == body->input_count &&
           body->output_count >= body->input_count - 1;
}

static bool free_graph(tl_graph *graph, tl_arena *scratch, bool *changed)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            if (!free_graph(inner, scratch, changed))
                return false;
        if (is_regular_loop(graph->nodes[i]) && !free_states(graph->nodes[i], scratch, changed))
            return false;
    }
    return true;
}

bool tl_graph_free_invariants(tl_graph *graph)
{
    bool changed = false;
    tl_arena scratch;
    tl_arena_init(&scratch, graph->model->allocator, 0);
    const bool freed = free_graph(graph, &scratch, &changed);
    tl_arena_free(&scratch);
    return freed && (!changed || tl_graph_link(graph, false));
}
