/* Loading for a rewrite, and the rewrites. */
#include "save/edit.h"
#include "load/load.h"

bool tl_edit_has(const tl_names *names, const char *text)
{
    return tl_names_find(names, text, strlen(text)) != NULL;
}

bool tl_edit_note(tl_names *names, tl_arena *arena, const char *text)
{
    if (tl_edit_has(names, text))
        return true;
    const char *copy = tl_arena_string(arena, text);
    return copy && tl_names_add(names, copy, strlen(copy), NULL);
}

/* ---- Opening */

/* Values are known by their addresses. */
static bool is_files(const tl_edit *edit, const tl_value *value)
{
    return tl_names_find(&edit->values, (const char *)&value, sizeof value) != NULL;
}

static bool note_values(tl_edit *edit, const tl_graph *graph)
{
    for (size_t i = 0; i < graph->value_count; i++) {
        tl_value *value = graph->values[i];
        const char *address = tl_arena_bytes(&edit->arena, (const char *)&value, sizeof value);
        if (!address || !tl_names_add(&edit->values, address, sizeof value, NULL) ||
            !tl_edit_note(&edit->names, &edit->arena, value->name))
            return false;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_graph *inner;
        if (graph->nodes[i]->source < 0)
            graph->nodes[i]->source = TL_SOURCE_LOADER;
        else if (!tl_edit_note(&edit->nodes, &edit->arena, graph->nodes[i]->name))
            return false;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            if (!note_values(edit, inner))
                return false;
    }
    return true;
}

static tl_status prepare(tl_edit *edit, tl_error *error)
{
    tl_graph *graph = edit->model->graph;
    const tl_host *host = &edit->runtime->host;
    if (!note_values(edit, graph))
        return tl_error_no_memory(error);
    tl_status status = tl_graph_check(graph, error);
    if (status == TL_OK)
        status = tl_graph_resolve(graph, &edit->runtime->registry, error);
    if (status == TL_OK)
        status = tl_graph_infer(graph, host, error);
    if (status == TL_OK)
        status = tl_graph_check_types(graph, error);
    if (status == TL_OK && !tl_graph_link(graph, false))
        status = tl_error_no_memory(error);
    return status;
}

tl_status tl_edit_open(tl_runtime *runtime, const char *path, tl_edit **out, tl_error *error)
{
    *out = NULL;
    tl_edit *edit = tl_memory_alloc(&runtime->allocator, sizeof *edit, _Alignof(tl_edit));
    if (!edit)
        return tl_error_no_memory(error);
    *edit = (tl_edit){.runtime = runtime};
    tl_arena_init(&edit->arena, &runtime->allocator, 0);
    edit->names.arena = edit->values.arena = edit->lowered.arena = &edit->arena;
    edit->nodes.arena = edit->freed.arena = &edit->arena;
    tl_status status = tl_load_file(&runtime->allocator, &runtime->registry, path, NULL, &edit->model, error);
    if (status == TL_OK) {
        const tl_mapping *file = edit->model->mappings;
        while (file->next) /* external files come in front */
            file = file->next;
        edit->file = (tl_span){file->data, file->size};
        status = prepare(edit, error);
        if (status != TL_OK)
            tl_error_prefix(error, "%.300s", path);
    }
    if (status != TL_OK) {
        tl_edit_close(edit);
        return status;
    }
    *out = edit;
    return TL_OK;
}

void tl_edit_close(tl_edit *edit)
{
    if (!edit)
        return;
    const tl_allocator *allocator = &edit->runtime->allocator;
    tl_model_free(edit->model);
    tl_arena_free(&edit->arena);
    tl_memory_free(allocator, edit);
}

/* ---- Rewriting */

typedef struct pass {
    tl_edit *edit;
    const tl_rule *rule; /* NULL: decompose */
    size_t done;
    size_t failed; /* nodes that could not be decomposed */
    tl_error *error;
} pass;

static tl_apply apply_to(const pass *p, const tl_node *node)
{
    if (!p->rule)
        return node->op->decompose;
    bool fits = strcmp(node->op_type, p->rule->anchor_name) == 0 && strcmp(node->domain, p->rule->anchor_domain) == 0;
    return fits ? p->rule->apply : NULL;
}

static tl_status attempt(pass *p, tl_graph *graph, tl_node *node)
{
    tl_apply apply = apply_to(p, node);
    if (!apply)
        return TL_OK;
    char where[300];
    tl_node_describe(node, where, sizeof where);
    bool changed;
    tl_error why = {TL_OK, ""};
    tl_status status = tl_graph_attempt(graph, &p->edit->runtime->host, 0, apply, node, &changed, &why);
    if (changed && status == TL_OK) {
        p->done++;
        p->edit->changes++;
        if (node->removed && !tl_edit_note(&p->edit->freed, &p->edit->arena, node->name))
            return tl_error_no_memory(p->error);
        return TL_OK;
    }
    if (changed)
        return tl_error_set(p->error, status, "%s", why.message);
    if (!p->rule) {
        p->failed++;
        tl_error_set(p->error, TL_UNSUPPORTED, "%s cannot be written as simpler operators: %.600s", where, why.message);
    }
    return TL_OK;
}

static tl_status sweep(pass *p, tl_graph *graph)
{
    size_t count = graph->node_count;
    const tl_allocator *allocator = graph->model->allocator;
    tl_node **nodes = tl_memory_alloc(allocator, count * sizeof(tl_node *), _Alignof(tl_node *));
    if (!nodes)
        return tl_error_no_memory(p->error);
    if (count)
        memcpy(nodes, graph->nodes, count * sizeof(tl_node *));
    tl_status status = TL_OK;
    for (size_t i = 0; i < count && status == TL_OK; i++) {
        tl_graph *inner;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(nodes[i], g)); g++)
            status = sweep(p, inner);
        if (status == TL_OK && !nodes[i]->removed)
            status = attempt(p, graph, nodes[i]);
    }
    tl_memory_free(allocator, nodes);
    return status;
}

static tl_status fold(tl_edit *edit, tl_error *error)
{
    tl_graph *graph = edit->model->graph;
    tl_status status = tl_graph_fold(graph, &edit->runtime->host, error);
    return status != TL_OK || tl_graph_link(graph, false) ? status : tl_error_no_memory(error);
}

static size_t count_loaded(const tl_graph *graph)
{
    size_t count = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_graph *inner;
        count += graph->nodes[i]->source == TL_SOURCE_LOADER;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            count += count_loaded(inner);
    }
    return count;
}

/* Names of new values are new in the whole file, not in their graph alone. */
static bool rename_values(tl_edit *edit, tl_graph *graph)
{
    for (size_t i = 0; i < graph->value_count; i++) {
        tl_value *value = graph->values[i];
        if (value->flags & TL_VALUE_CAPTURE || is_files(edit, value))
            continue;
        const char *name = value->name;
        for (size_t k = 1; name && tl_edit_has(&edit->names, name); k++)
            name = tl_arena_format(&edit->model->arena, "%s_%zu", value->name, k);
        const char *address = tl_arena_bytes(&edit->arena, (const char *)&value, sizeof value);
        if (!name || !address || !tl_edit_note(&edit->names, &edit->arena, name) ||
            !tl_names_add(&edit->values, address, sizeof value, NULL))
            return false;
        value->name = name;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            if (!rename_values(edit, inner))
                return false;
    }
    return true;
}

/* The same for nodes, which have names of their own: ONNX Runtime refuses equal ones. */
static bool rename_nodes(tl_edit *edit, tl_names *used, tl_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_node *node = graph->nodes[i];
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(node, g)); g++)
            if (!rename_nodes(edit, used, inner))
                return false;
        if (node->source >= 0 || !*node->name)
            continue;
        const char *name = node->name;
        for (size_t k = 1;
             name && (tl_edit_has(used, name) || (tl_edit_has(&edit->nodes, name) && !tl_edit_has(&edit->freed, name)));
             k++)
            name = tl_arena_format(&edit->model->arena, "%s_%zu", node->name, k);
        if (!name || !tl_edit_note(used, &edit->arena, name))
            return false;
        node->name = name;
    }
    return true;
}

static bool has_operator(const tl_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_graph *inner;
        if (graph->nodes[i]->op->decompose)
            return true;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            if (has_operator(inner))
                return true;
    }
    return false;
}

/* A model without the standard's operators gets those of opset 18. */
static tl_status import_standard(tl_edit *edit, tl_error *error)
{
    enum { OPSET = 18 };
    tl_model *model = edit->model;
    if (tl_model_opset(model, "") || !has_operator(model->graph))
        return TL_OK;
    tl_opset *wider = TL_NEW(&model->arena, tl_opset, model->opset_count + 1);
    if (!wider)
        return tl_error_no_memory(error);
    if (model->opset_count)
        memcpy(wider, model->opsets, model->opset_count * sizeof *wider);
    wider[model->opset_count++] = (tl_opset){"", OPSET};
    model->opsets = wider;
    return TL_OK;
}

static tl_status finish(tl_edit *edit, size_t loaded, tl_error *error)
{
    tl_graph *graph = edit->model->graph;
    if (count_loaded(graph) != loaded)
        edit->inline_calls = true; /* something inside a function has changed */
    tl_names used = {.arena = &edit->arena};
    return rename_values(edit, graph) && rename_nodes(edit, &used, graph) ? TL_OK : tl_error_no_memory(error);
}

/* Dead nodes and functions that nobody calls must not keep the operators either. */
static tl_status note_lowered(tl_edit *edit, tl_error *error)
{
    const tl_registry *registry = &edit->runtime->registry;
    for (size_t k = 0; k < registry->operator_count; k++)
        if (registry->operators[k]->decompose &&
            !tl_edit_note(&edit->lowered, &edit->arena, registry->operators[k]->domain))
            return tl_error_no_memory(error);
    return TL_OK;
}

tl_status tl_edit_lower(tl_edit *edit, size_t *count, tl_error *error)
{
    tl_graph *graph = edit->model->graph;
    size_t loaded = count_loaded(graph);
    pass p = {.edit = edit, .error = error};
    tl_status status = note_lowered(edit, error);
    if (status == TL_OK)
        status = import_standard(edit, error);
    if (status == TL_OK)
        status = sweep(&p, graph);
    if (status == TL_OK && p.failed) { /* computed kernels may be known once they are computed */
        p.failed = 0;
        status = fold(edit, error);
        if (status == TL_OK)
            status = sweep(&p, graph);
        if (status == TL_OK && p.failed)
            status = TL_UNSUPPORTED; /* sweep has left the message */
    }
    *count = p.done;
    if (status == TL_OK)
        status = finish(edit, loaded, error);
    if (status != TL_OK)
        tl_error_prefix(error, "%.300s", edit->model->path);
    return status;
}

static const tl_rule *find_rule(const tl_registry *registry, const char *name)
{
    for (size_t r = 0; r < registry->rule_count; r++)
        if (strcmp(registry->rules[r]->name, name) == 0)
            return registry->rules[r];
    return NULL;
}

tl_status tl_edit_apply(tl_edit *edit, const char *name, size_t *count, tl_error *error)
{
    tl_graph *graph = edit->model->graph;
    pass p = {.edit = edit, .rule = find_rule(&edit->runtime->registry, name), .error = error};
    *count = 0;
    if (!p.rule)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "there is no rule '%.100s'; is its plugin loaded?", name);
    edit->keep_folded = true;
    tl_status status = fold(edit, error);
    size_t loaded = count_loaded(graph), before;
    do {
        before = p.done;
        if (status == TL_OK)
            status = sweep(&p, graph);
        if (status == TL_OK && p.done > before)
            status = fold(edit, error);
    } while (status == TL_OK && p.done > before);
    *count = p.done;
    if (status == TL_OK)
        status = finish(edit, p.done ? loaded : count_loaded(graph), error);
    if (status != TL_OK)
        tl_error_prefix(error, "%.300s", edit->model->path);
    return status;
}
