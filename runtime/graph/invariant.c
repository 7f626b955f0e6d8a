/* Loop invariants: what a Loop hands from round to round unchanged (exporters pass a recurrent cell's weights so) its
 * body captures instead. Then constants are constants there too, packed once, and nothing is copied each round. */
#include "exec/list.h"

/* The value that a body gives out, before it went through Identity. */
static const tl_value *before_identity(const tl_value *value)
{
    while (value->producer && strcmp(value->producer->op_type, "Identity") == 0 && !*value->producer->domain)
        value = value->producer->inputs[0];
    return value;
}

/* State k of a Loop: is the body's output its input, and does nobody ask for it behind the loop? */
static bool is_invariant(const tl_node *loop, const tl_graph *body, size_t k)
{
    const tl_value *in = body->inputs[k + 2], *outer = loop->inputs[k + 2];
    const tl_value *after = k < loop->output_count ? loop->outputs[k] : NULL;
    return outer && before_identity(body->outputs[k + 1]) == in && tl_value_matches(in, outer) &&
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

static void remove_at(tl_value **values, size_t *count, size_t k)
{
    if (k >= *count)
        return;
    memmove(values + k, values + k + 1, (*count - k - 1) * sizeof(tl_value *));
    --*count;
}

static void remove_output(tl_graph *body, size_t k)
{
    tl_value *value = body->outputs[k];
    remove_at(body->outputs, &body->output_count, k);
    for (size_t i = 0; i < body->output_count; i++)
        if (body->outputs[i] == value)
            return;
    value->flags &= ~(uint32_t)TL_VALUE_OUTPUT;
}

static bool free_states(tl_node *loop, bool *changed)
{
    tl_graph *body = tl_node_subgraph(loop, 0);
    for (size_t k = body->input_count - 2; k-- > 0;) {
        if (!is_invariant(loop, body, k))
            continue;
        if (!make_capture(body, body->inputs[k + 2], loop->inputs[k + 2]))
            return false;
        remove_at(body->inputs, &body->input_count, k + 2);
        remove_output(body, k + 1);
        remove_at(loop->inputs, &loop->input_count, k + 2);
        remove_at(loop->outputs, &loop->output_count, k);
        *changed = true;
    }
    return true;
}

/* What the operator's shape inference has checked already, or cannot know yet. */
static bool is_regular_loop(const tl_node *node)
{
    const tl_graph *body = strcmp(node->op_type, "Loop") == 0 && !*node->domain ? tl_node_subgraph(node, 0) : NULL;
    return body && body->input_count >= 2 && node->input_count == body->input_count &&
           body->output_count >= body->input_count - 1;
}

static bool free_graph(tl_graph *graph, bool *changed)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            if (!free_graph(inner, changed))
                return false;
        if (is_regular_loop(graph->nodes[i]) && !free_states(graph->nodes[i], changed))
            return false;
    }
    return true;
}

bool tl_graph_free_invariants(tl_graph *graph)
{
    bool changed = false;
    return free_graph(graph, &changed) && (!changed || tl_graph_link(graph, false));
}
