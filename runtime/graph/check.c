/* Validation and running order. */
#include "graph/gradient.h"

/* ---- Order: depth first, so that a graph that is in order stays as it is. */

typedef struct visit {
    tl_node *node;
    tl_dependency next;
} visit;

typedef struct ordering {
    visit *stack;
    tl_node **ordered;
    size_t count;
} ordering;

enum { NEW = 0, OPEN = 1, DONE = 2 };

#define SPACING ((int64_t)1 << 20) /* of positions: room for what comes between */

static tl_status visit_from(tl_node *root, ordering *o, tl_error *error)
{
    size_t top = 0;
    o->stack[top++] = (visit){root, {0}};
    root->visit = OPEN;
    while (top) {
        visit *v = &o->stack[top - 1];
        tl_value *value;
        if (!tl_node_dependency(v->node, &v->next, &value)) {
            v->node->visit = DONE;
            o->ordered[o->count++] = v->node;
            top--;
            continue;
        }
        tl_node *producer = value ? value->producer : NULL;
        if (!producer || producer->visit == DONE)
            continue;
        if (producer->visit == OPEN) {
            char where[512];
            return tl_error_set(error, TL_INVALID_MODEL, "%s: value '%.200s' depends on itself: the graph has a cycle",
                                tl_node_describe(v->node, where, sizeof where), value->name);
        }
        producer->visit = OPEN;
        o->stack[top++] = (visit){producer, {0}};
    }
    return TL_OK;
}

static tl_status order_nodes(tl_graph *graph, tl_error *error)
{
    const tl_allocator *allocator = graph->model->allocator;
    size_t count = graph->node_count;
    ordering o = {tl_memory_alloc(allocator, count * sizeof(visit), _Alignof(visit)),
                  tl_memory_alloc(allocator, count * sizeof(tl_node *), _Alignof(tl_node *)), 0};
    tl_status status = o.stack && o.ordered ? TL_OK : tl_error_no_memory(error);
    for (size_t i = 0; i < count; i++)
        graph->nodes[i]->visit = NEW;
    for (size_t i = 0; i < count && status == TL_OK; i++)
        if (graph->nodes[i]->visit == NEW)
            status = visit_from(graph->nodes[i], &o, error);
    for (size_t i = 0; i < count && status == TL_OK; i++) {
        graph->nodes[i] = o.ordered[i];
        graph->nodes[i]->position = (int64_t)(i + 1) * SPACING;
    }
    tl_memory_free(allocator, o.stack);
    tl_memory_free(allocator, o.ordered);
    return status;
}

tl_status tl_graph_order(tl_graph *graph, tl_error *error)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++) {
            tl_status status = tl_graph_order(inner, error);
            if (status != TL_OK)
                return status;
        }
    }
    return order_nodes(graph, error);
}

bool tl_graph_place(const tl_graph *graph, size_t first, int64_t before)
{
    const int64_t count = (int64_t)(graph->node_count - first);
    int64_t after = 0;
    for (size_t i = first; i < graph->node_count; i++) {
        tl_value *value;
        for (tl_dependency at = {0}; tl_node_dependency(graph->nodes[i], &at, &value);) {
            const tl_node *producer = value ? value->producer : NULL;
            if (!producer || producer->position < 0)
                continue;
            if (producer->position == 0)
                return false; /* itself, or one that was made behind it */
            if (producer->position > after)
                after = producer->position;
        }
        graph->nodes[i]->position = -1;
    }
    if (before - after < count)
        return false;
    for (int64_t i = 0; i < count; i++)
        graph->nodes[first + (size_t)i]->position = before - (before - after) / count * (count - 1 - i);
    return true;
}

/* ---- Validation */

static bool is_defined(const tl_value *value)
{
    return value->producer || value->flags & (TL_VALUE_INPUT | TL_VALUE_CONSTANT | TL_VALUE_CAPTURE);
}

static tl_status check_values(const tl_graph *graph, tl_error *error)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_node *node = graph->nodes[i];
        for (size_t k = 0; k < node->input_count; k++) {
            if (node->inputs[k] && !is_defined(node->inputs[k])) {
                char where[512];
                return tl_error_set(error, TL_INVALID_MODEL,
                                    "%s: input %zu, '%.200s', is made by no node, input or initializer",
                                    tl_node_describe(node, where, sizeof where), k, node->inputs[k]->name);
            }
        }
    }
    for (size_t i = 0; i < graph->output_count; i++)
        if (!is_defined(graph->outputs[i]))
            return tl_error_set(error, TL_INVALID_MODEL,
                                "graph output %zu, '%.200s', is made by no node, input or initializer", i,
                                graph->outputs[i]->name);
    return TL_OK;
}

tl_status tl_graph_check(tl_graph *graph, tl_error *error)
{
    tl_status status = check_values(graph, error);
    for (size_t i = 0; i < graph->node_count && status == TL_OK; i++) {
        tl_graph *inner;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            status = tl_graph_check(inner, error);
        if (status == TL_OK)
            status = tl_gradient_bind(graph->nodes[i], error);
    }
    return status == TL_OK ? order_nodes(graph, error) : status;
}
