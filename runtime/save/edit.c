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

char *tl_edit_folder(tl_edit *edit, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return tl_arena_string(&edit->arena, ".");
    return slash == path ? tl_arena_string(&edit->arena, "/")
                         : tl_arena_bytes(&edit->arena, path, (size_t)(slash - path));
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
            !tl_edit_note(&edit->names.values, &edit->arena, value->name))
            return false;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_graph *inner;
        if (graph->nodes[i]->source >= 0 && !tl_edit_note(&edit->names.nodes, &edit->arena, graph->nodes[i]->name))
            return false;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            if (!note_values(edit, inner))
                return false;
    }
    return true;
}

static tl_edit_names no_names(tl_edit *edit)
{
    const tl_names none = {.arena = &edit->arena};
    return (tl_edit_names){none, none, none};
}

/* The main graph, or a function's body. */
static tl_status prepare(tl_edit *edit, tl_graph *graph, tl_error *error)
{
    edit->names = no_names(edit);
    if (!note_values(edit, graph))
        return tl_error_no_memory(error);
    tl_status status = tl_graph_check(graph, error);
    if (status == TL_OK)
        status = tl_graph_resolve(graph, &edit->runtime->registry, error);
    if (status == TL_OK)
        status = tl_graph_infer(graph, &edit->runtime->host, error);
    if (status == TL_OK)
        status = tl_graph_check_types(graph, error);
    if (status == TL_OK && !tl_graph_link(graph, false))
        status = tl_error_no_memory(error);
    return status;
}

/* Goes on with a loaded model, whose bytes are edit->file. */
static tl_status take_model(tl_edit *edit, tl_model *model, tl_error *error)
{
    tl_model_free(edit->model);
    edit->model = model;
    edit->changes = 0;
    edit->values = (tl_names){.arena = &edit->arena};
    tl_model_limit_folding(model, 0);
    tl_status status = tl_edit_read_functions(edit, error);
    if (status == TL_OK)
        status = prepare(edit, model->graph, error);
    if (status != TL_OK)
        tl_error_prefix(error, "%.300s", edit->path);
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
    edit->lowered.arena = edit->maker.arena = &edit->arena;
    edit->path = tl_arena_string(&edit->arena, path);
    tl_model *model = NULL;
    tl_status status = edit->path ? tl_load_file(&runtime->allocator, &runtime->registry, path,
                                                 &(tl_load_options){.functions = true}, &model, error)
                                  : tl_error_no_memory(error);
    if (status == TL_OK && model) {
        const tl_mapping *file = model->mappings;
        edit->external = file->next != NULL;
        while (file->next) /* external files come in front */
            file = file->next;
        edit->file = (tl_span){file->data, file->size};
        status = take_model(edit, model, error);
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

static void count_nodes(tl_edit *edit, const tl_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_graph *inner;
        if (graph->nodes[i]->source <= TL_SOURCE_FUNCTION)
            edit->functions[TL_SOURCE_FUNCTION - graph->nodes[i]->source].counted++;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            count_nodes(edit, inner);
    }
}

/* Counts what the main graph has out of each function. One of which a rewrite took something is opened. */
static void count_loaded(tl_edit *edit, const tl_graph *graph, bool rewritten)
{
    if (graph->function || !edit->function_count)
        return;
    for (size_t k = 0; k < edit->function_count; k++)
        edit->functions[k].counted = 0;
    count_nodes(edit, edit->model->graph);
    for (size_t k = 0; k < edit->function_count; k++) {
        if (rewritten && edit->functions[k].counted != edit->functions[k].loaded)
            tl_edit_open_function(edit, k);
        edit->functions[k].loaded = edit->functions[k].counted;
    }
}

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
        if (node->removed && !tl_edit_note(&p->edit->names.freed, &p->edit->arena, node->name))
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
    const size_t inside_from = p->done;
    for (size_t i = 0; i < count && status == TL_OK; i++) {
        tl_graph *inner;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(nodes[i], g)); g++)
            status = sweep(p, inner);
    }
    const size_t before = p->done;
    for (size_t i = 0; i < count && status == TL_OK; i++)
        if (!nodes[i]->removed)
            status = attempt(p, graph, nodes[i]);
    tl_memory_free(allocator, nodes);
    if (status == TL_OK && p->done > before)
        status = tl_graph_settle(graph, p->error);
    if (p->done > inside_from)
        count_loaded(p->edit, graph, true);
    return status;
}

static tl_status fold(const pass *p, tl_graph *graph)
{
    tl_status status = tl_graph_fold(graph, &p->edit->runtime->host, 0, p->error);
    if (status == TL_OK && !tl_graph_link(graph, false))
        status = tl_error_no_memory(p->error);
    count_loaded(p->edit, graph, false);
    return status;
}

static tl_status decompose(pass *p, tl_graph *graph)
{
    count_loaded(p->edit, graph, false);
    p->failed = 0;
    tl_status status = sweep(p, graph);
    if (status != TL_OK || !p->failed)
        return status;
    p->failed = 0; /* computed kernels may be known once they are computed */
    status = fold(p, graph);
    return status == TL_OK ? sweep(p, graph) : status;
}

static tl_status apply_rule(pass *p, tl_graph *graph)
{
    size_t before;
    tl_status status = fold(p, graph);
    do {
        before = p->done;
        if (status == TL_OK)
            status = sweep(p, graph);
        if (status == TL_OK && p->done > before)
            status = fold(p, graph);
    } while (status == TL_OK && p->done > before);
    return status;
}

/* The next name of those with a number behind `name`; NULL: memory refused. All that were made before are taken, and so
 * each is tried once, of however many nodes have one name. `numbers`: by name, the last number. */
static const char *number_name(tl_edit *edit, tl_names *numbers, const char *name)
{
    tl_names_entry *entry = tl_names_find(numbers, name, strlen(name));
    size_t *number = entry ? entry->value : TL_NEW(&edit->arena, size_t, 1);
    if (!number)
        return NULL;
    if (!entry) {
        const char *key = tl_arena_string(&edit->arena, name);
        *number = 0;
        if (!key || !tl_names_add(numbers, key, strlen(key), number))
            return NULL;
    }
    return tl_arena_format(&edit->model->arena, "%s_%zu", name, ++*number);
}

/* Names of new values are new in the whole graph, with the graphs inside. */
static bool rename_values(tl_edit *edit, tl_names *numbers, tl_graph *graph)
{
    for (size_t i = 0; i < graph->value_count; i++) {
        tl_value *value = graph->values[i];
        if (value->flags & TL_VALUE_CAPTURE || is_files(edit, value))
            continue;
        const char *name = value->name;
        while (name && tl_edit_has(&edit->names.values, name))
            name = number_name(edit, numbers, value->name);
        const char *address = tl_arena_bytes(&edit->arena, (const char *)&value, sizeof value);
        if (!name || !address || !tl_edit_note(&edit->names.values, &edit->arena, name) ||
            !tl_names_add(&edit->values, address, sizeof value, NULL))
            return false;
        value->name = name;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            if (!rename_values(edit, numbers, inner))
                return false;
    }
    return true;
}

/* The same for nodes, which have names of their own: ONNX Runtime refuses equal ones. */
static bool rename_nodes(tl_edit *edit, tl_names *used, tl_names *numbers, tl_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_node *node = graph->nodes[i];
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(node, g)); g++)
            if (!rename_nodes(edit, used, numbers, inner))
                return false;
        if (node->source >= 0 || !*node->name)
            continue;
        const char *name = node->name;
        while (name && (tl_edit_has(used, name) ||
                        (tl_edit_has(&edit->names.nodes, name) && !tl_edit_has(&edit->names.freed, name))))
            name = number_name(edit, numbers, node->name);
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

/* The main graph, or a function's body. */
static tl_status rewrite(pass *p, tl_graph *graph)
{
    tl_names used = {.arena = &p->edit->arena};
    tl_names value_numbers = used, node_numbers = used;
    tl_status status = p->rule ? apply_rule(p, graph) : decompose(p, graph);
    if (status != TL_OK)
        return status;
    return rename_values(p->edit, &value_numbers, graph) && rename_nodes(p->edit, &used, &node_numbers, graph)
               ? TL_OK
               : tl_error_no_memory(p->error);
}

/* Goes on with the file in which the functions are as they are now. */
static tl_status reload(tl_edit *edit, tl_error *error)
{
    tl_span file = edit->file;
    tl_model *model;
    const tl_load_options options = {.external_data_path = tl_edit_folder(edit, edit->path)};
    tl_status status = options.external_data_path ? tl_save_functions(edit, &file, error) : tl_error_no_memory(error);
    if (status != TL_OK || file.data == edit->file.data)
        return status;
    status = tl_load_memory(&edit->runtime->allocator, &edit->runtime->registry, file.data, file.size, &options, &model,
                            error);
    edit->file = file;
    return status == TL_OK ? take_model(edit, model, error) : status;
}

/* Functions first, each in its own place: what can be rewritten there is no more to be rewritten where it is called. */
static tl_status rewrite_functions(pass *p)
{
    tl_edit *edit = p->edit;
    const tl_edit_names names = edit->names;
    tl_status status = TL_OK;
    for (size_t k = 0; k < edit->model->function_count && status == TL_OK; k++) {
        tl_function *function = &edit->model->functions[k];
        tl_error why;
        if (!function->graph)
            continue;
        tl_edit_merge_calls(function);
        status = prepare(edit, function->graph, &why);
        if (status == TL_OK) {
            status = rewrite(p, function->graph);
        } else if (status == TL_NO_MEMORY) {
            tl_error_no_memory(p->error);
        } else {
            function->graph = NULL; /* its calls have too little in common */
            status = TL_OK;
        }
    }
    edit->names = names;
    return status == TL_OK && edit->model->function_count ? reload(edit, p->error) : status;
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

static tl_status finish(const pass *p, tl_status status, size_t *count)
{
    *count = p->done;
    if (status != TL_OK)
        tl_error_prefix(p->error, "%.300s", p->edit->path);
    return status;
}

tl_status tl_edit_lower(tl_edit *edit, size_t *count, tl_error *error)
{
    pass p = {.edit = edit, .error = error};
    tl_status status = note_lowered(edit, error);
    if (status == TL_OK)
        status = import_standard(edit, error);
    if (status == TL_OK)
        status = rewrite_functions(&p);
    if (status == TL_OK)
        status = import_standard(edit, error);
    if (status == TL_OK)
        status = rewrite(&p, edit->model->graph);
    if (status == TL_OK && p.failed)
        status = TL_UNSUPPORTED; /* sweep has left the message */
    return finish(&p, status, count);
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
    pass p = {.edit = edit, .rule = find_rule(&edit->runtime->registry, name), .error = error};
    *count = 0;
    if (!p.rule)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "there is no rule '%.100s'; is its plugin loaded?", name);
    edit->keep_folded = true;
    tl_status status = rewrite_functions(&p);
    if (status == TL_OK)
        status = rewrite(&p, edit->model->graph);
    return finish(&p, status, count);
}
