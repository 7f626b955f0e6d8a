/* Validation, running order, users, dead code. */
#include "graph/gradient.h"

tl_graph *tl_node_subgraph(const tl_node *node, size_t k)
{
    for (size_t i = 0; i < node->attribute_count; i++) {
        const tl_attribute *attribute = &node->attributes[i];
        if (attribute->kind == TL_ATTR_GRAPH && k-- == 0)
            return attribute->u.graph;
        if (attribute->kind == TL_ATTR_GRAPHS) {
            if (k < attribute->count)
                return attribute->u.graphs[k];
            k -= attribute->count;
        }
    }
    return NULL;
}

/* ---- Order: depth first, so that a graph that is in order stays as it is. */

typedef struct visit {
    tl_node *node;
    size_t next; /* dependency to look at */
} visit;

/* The k-th value that a node reads, its own inputs first, then what its subgraphs capture; false beyond the last. */
static bool dependency(const tl_node *node, size_t k, tl_value **value)
{
    if (k < node->input_count) {
        *value = node->inputs[k];
        return true;
    }
    k -= node->input_count;
    tl_graph *inner;
    for (size_t g = 0; (inner = tl_node_subgraph(node, g)); g++) {
        if (k < inner->capture_count) {
            *value = inner->captures[k]->outer;
            return true;
        }
        k -= inner->capture_count;
    }
    return false;
}

typedef struct ordering {
    visit *stack;
    tl_node **ordered;
    size_t count;
} ordering;

enum { NEW = 0, OPEN = 1, DONE = 2 };

static tl_status visit_from(tl_node *root, ordering *o, tl_error *error)
{
    size_t top = 0;
    o->stack[top++] = (visit){root, 0};
    root->visit = OPEN;
    while (top) {
        visit *v = &o->stack[top - 1];
        tl_value *value;
        if (!dependency(v->node, v->next++, &value)) {
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
        o->stack[top++] = (visit){producer, 0};
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
    if (status == TL_OK && count)
        memcpy(graph->nodes, o.ordered, count * sizeof(tl_node *));
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

/* ---- Users and dead code */

/* An output that became a constant has lost its producer, and needs the node no more. */
static bool is_needed(const tl_node *node)
{
    for (size_t k = 0; k < node->output_count; k++) {
        const tl_value *value = node->outputs[k];
        if (value && value->producer == node && (value->user_count || value->flags & TL_VALUE_OUTPUT))
            return true;
    }
    return false;
}

static void count_use(tl_value *value)
{
    if (value)
        value->user_count++;
}

/* Counts uses from the last node to the first, so that a dead node's inputs are not counted. */
static void sweep_nodes(tl_graph *graph, bool keep_dead)
{
    for (size_t i = 0; i < graph->value_count; i++)
        graph->values[i]->user_count = 0;
    size_t kept = graph->node_count;
    for (size_t i = graph->node_count; i-- > 0;) {
        tl_node *node = graph->nodes[i];
        if (!keep_dead && !is_needed(node)) {
            node->removed = true;
            for (size_t k = 0; k < node->output_count; k++)
                if (node->outputs[k] && node->outputs[k]->producer == node)
                    node->outputs[k]->producer = NULL;
            continue;
        }
        tl_value *value;
        for (size_t k = 0; dependency(node, k, &value); k++)
            count_use(value);
        graph->nodes[--kept] = node;
    }
    if (kept)
        memmove(graph->nodes, graph->nodes + kept, (graph->node_count - kept) * sizeof(tl_node *));
    graph->node_count -= kept;
}

static bool is_kept(const tl_value *value)
{
    return value->user_count || value->producer || value->flags & (TL_VALUE_OUTPUT | TL_VALUE_INPUT);
}

static void sweep_values(tl_graph *graph)
{
    size_t kept = 0;
    memset(graph->buckets, 0, graph->bucket_count * sizeof graph->buckets[0]);
    for (size_t i = 0; i < graph->value_count; i++) {
        tl_value *value = graph->values[i];
        if (!is_kept(value)) {
            tl_value_drop(value);
            continue;
        }
        value->index = (int32_t)kept;
        graph->values[kept++] = value;
        tl_graph_index(graph, value);
    }
    graph->value_count = kept;
    size_t captures = 0;
    for (size_t i = 0; i < graph->capture_count; i++)
        if (graph->captures[i]->user_count || graph->captures[i]->flags & TL_VALUE_OUTPUT)
            graph->captures[captures++] = graph->captures[i];
    graph->capture_count = captures;
}

static bool list_users(tl_graph *graph)
{
    for (size_t i = 0; i < graph->value_count; i++) {
        tl_value *value = graph->values[i];
        if (value->user_count > value->user_capacity) {
            value->users = TL_NEW(&graph->model->arena, tl_node *, value->user_count);
            if (!value->users)
                return false;
            value->user_capacity = value->user_count;
        }
        value->user_count = 0;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_value *value;
        for (size_t k = 0; dependency(graph->nodes[i], k, &value); k++)
            if (value)
                value->users[value->user_count++] = graph->nodes[i];
    }
    return true;
}

bool tl_graph_link(tl_graph *graph, bool keep_dead)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            if (!tl_graph_link(inner, keep_dead))
                return false;
    }
    sweep_nodes(graph, keep_dead);
    if (graph->bucket_count)
        sweep_values(graph);
    return list_users(graph);
}
