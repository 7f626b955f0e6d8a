/* Who reads what, and what nobody reads: for the whole graph, or for what one rewrite changed. */
#include "graph/graph.h"

bool tl_node_dependency(const tl_node *node, tl_dependency *at, tl_value **value)
{
    for (;; *at = (tl_dependency){at->graph + 1, 0}) {
        const tl_graph *inner = at->graph ? node->graphs[at->graph - 1] : NULL;
        if (at->k < (inner ? inner->capture_count : node->input_count)) {
            *value = inner ? inner->captures[at->k]->outer : node->inputs[at->k];
            at->k++;
            return true;
        }
        if (at->graph == node->graph_count)
            return false;
    }
}

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
        if (node->removed || (!keep_dead && !is_needed(node))) {
            node->removed = true;
            for (size_t k = 0; k < node->output_count; k++)
                if (node->outputs[k] && node->outputs[k]->producer == node)
                    node->outputs[k]->producer = NULL;
            continue;
        }
        tl_value *value;
        for (tl_dependency at = {0}; tl_node_dependency(node, &at, &value);)
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
        value->listed_count = value->user_count;
        value->user_count = 0;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_value *value;
        for (tl_dependency at = {0}; tl_node_dependency(graph->nodes[i], &at, &value);)
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

/* ---- What one rewrite changed */

tl_node *tl_value_user(tl_value *value, size_t k)
{
    size_t live = 0, seen = 0;
    if (k >= value->user_count)
        return NULL;
    if (value->listed_count == value->user_count)
        return value->users[k];
    while (live <= k)
        live += !value->users[seen++]->removed;
    /* Removed ones leave their places in front, so that nobody passes them again. */
    size_t kept = seen;
    for (size_t i = seen; i-- > 0;)
        if (!value->users[i]->removed)
            value->users[--kept] = value->users[i];
    value->users += kept;
    value->listed_count -= kept;
    value->user_capacity -= kept;
    return value->users[k];
}

static bool add_user(tl_value *value, tl_node *user)
{
    if (!tl_arena_grow(&user->graph->model->arena, (void **)&value->users, value->listed_count, &value->user_capacity,
                       sizeof(tl_node *)))
        return false;
    value->users[value->listed_count++] = user;
    value->user_count++;
    return true;
}

bool tl_node_list_add(tl_node_list *list, tl_node *node)
{
    if (!node)
        return true;
    if (!tl_arena_grow(list->arena, (void **)&list->nodes, list->count, &list->capacity, sizeof(tl_node *)))
        return false;
    node->tried = 0;
    list->nodes[list->count++] = node;
    return true;
}

#define NEAR 8 /* users of a value that a rewrite touches: of one that many read, each would touch them all */

static bool add_uses(tl_node *node, tl_node_list *touched)
{
    bool added = true;
    tl_value *value;
    for (tl_dependency at = {0}; added && tl_node_dependency(node, &at, &value);)
        added = !value || (add_user(value, node) && tl_node_list_add(touched, value->producer));
    for (size_t k = 0; k < node->output_count; k++)
        for (size_t i = 0; added && node->outputs[k] && i < NEAR; i++)
            added = tl_node_list_add(touched, tl_value_user(node->outputs[k], i));
    return added;
}

static bool remove_node(tl_node *node, tl_node_list *touched)
{
    bool added = true;
    tl_value *value;
    node->removed = true;
    for (size_t k = 0; k < node->output_count; k++)
        if (node->outputs[k] && node->outputs[k]->producer == node)
            node->outputs[k]->producer = NULL;
    for (tl_dependency at = {0}; tl_node_dependency(node, &at, &value);)
        if (value)
            value->user_count--;
    for (tl_dependency at = {0}; added && tl_node_dependency(node, &at, &value);) {
        if (!value)
            continue;
        if (!is_kept(value))
            tl_value_drop(value);
        added = tl_node_list_add(touched, value->producer) &&
                (value->user_count != 1 || tl_node_list_add(touched, tl_value_user(value, 0)));
    }
    return added;
}

bool tl_graph_relink(tl_node_list *touched, size_t first, size_t made)
{
    bool added = true;
    for (size_t i = first; i < first + made && added; i++)
        added = add_uses(touched->nodes[i], touched);
    for (size_t i = first; i < touched->count && added; i++)
        if (!touched->nodes[i]->removed && !is_needed(touched->nodes[i]))
            added = remove_node(touched->nodes[i], touched);
    return added;
}
