/* Bodies of functions as graphs of their own, and what their values are where calls are written out. */
#include "load/loader.h"

/* ---- Nodes that mean something else at each call */

static tl_status leave_open(tl_call *call)
{
    (void)call;
    return TL_OK;
}

/* Any values in, any values out: their types are those of the calls. */
static const tl_param anything[] = {
    {"any", TL_T_ALL, 0, TL_PARAM_OPTIONAL | TL_PARAM_VARIADIC | TL_PARAM_MIXED | TL_PARAM_LIST}};
static const tl_operator opaque = {
    .size = sizeof opaque,
    .domain = TL_DOMAIN_INTERNAL,
    .name = "Opaque",
    .since_version = 1,
    .flags = TL_OP_RUNTIME | TL_OP_NONDETERMINISTIC,
    .inputs = anything,
    .input_count = TL_COUNT(anything),
    .outputs = anything,
    .output_count = TL_COUNT(anything),
    .reshape = leave_open,
};

bool tl_is_opaque(const tl_scope *scope, const Onnx__NodeProto *proto, bool is_call)
{
    bool refers = is_call;
    for (size_t k = 0; k < proto->n_attribute && !refers; k++)
        refers = *tl_text(proto->attribute[k]->ref_attr_name);
    return refers && scope->function && !scope->frame;
}

tl_status tl_load_opaque(tl_loader *loader, const tl_scope *scope, const Onnx__NodeProto *proto, tl_node **node)
{
    for (size_t k = 0; k < proto->n_attribute; k++)
        if (proto->attribute[k]->g || proto->attribute[k]->n_graphs)
            return tl_error_set(loader->error, TL_UNSUPPORTED, "what its graph reads depends on the function's call");
    *node = tl_graph_add_node(scope->graph, tl_text(proto->name), opaque.domain, opaque.name, proto->n_input,
                              proto->n_output, 0);
    if (!*node)
        return tl_load_no_memory(loader);
    (*node)->op = &opaque;
    (*node)->version = 1;
    return TL_OK;
}

/* ---- Bodies */

static tl_status load_inputs(tl_loader *loader, tl_scope *scope)
{
    tl_status status = TL_OK;
    for (size_t k = 0; k < scope->function->n_input && status == TL_OK; k++) {
        tl_value *value;
        status = tl_scope_define(loader, scope, scope->function->input[k], &value);
        if (status == TL_OK && !tl_graph_add_input(scope->graph, value))
            status = tl_load_no_memory(loader);
    }
    return status;
}

static tl_status load_outputs(tl_loader *loader, tl_scope *scope)
{
    tl_status status = TL_OK;
    for (size_t k = 0; k < scope->function->n_output && status == TL_OK; k++) {
        tl_value *value;
        status = tl_scope_find(loader, scope, scope->function->output[k], "the function's output", &value);
        if (status == TL_OK && !tl_graph_add_output(scope->graph, value))
            status = tl_load_no_memory(loader);
    }
    return status;
}

static tl_status load_body(tl_loader *loader, tl_function *function, const Onnx__FunctionProto *proto)
{
    tl_graph *graph = tl_graph_new(loader->model, NULL, tl_text(proto->name));
    if (!graph)
        return tl_load_no_memory(loader);
    graph->function = function;
    tl_scope scope;
    tl_scope_init(&scope, loader, NULL, graph, NULL);
    scope.function = proto;
    tl_status status = tl_load_note_body(loader, &scope, proto);
    if (status == TL_OK)
        status = tl_load_imports(loader, proto->opset_import, proto->n_opset_import, &function->opsets,
                                 &function->opset_count);
    if (status == TL_OK)
        status = load_inputs(loader, &scope);
    if (status == TL_OK)
        status = tl_define_nodes(loader, &scope, proto->node, proto->n_node);
    if (status == TL_OK)
        status = tl_make_nodes(loader, &scope, proto->node, proto->n_node);
    if (status == TL_OK)
        status = load_outputs(loader, &scope);
    tl_scope_free(&scope);
    if (status == TL_OK)
        function->graph = graph;
    return status;
}

tl_status tl_load_bodies(tl_loader *loader)
{
    tl_model *model = loader->model;
    const int64_t budget = loader->tensors.dense_budget; /* all of it is the calls' */
    tl_error *error = loader->error, why;
    model->functions = TL_NEW(&model->arena, tl_function, loader->proto->n_functions);
    if (!model->functions)
        return tl_load_no_memory(loader);
    model->function_count = loader->proto->n_functions;
    /* A body that is wrong is an error where it is called, and only there. */
    tl_status status = TL_OK;
    loader->error = loader->tensors.error = &why;
    for (size_t k = 0; k < model->function_count && status != TL_NO_MEMORY; k++) {
        status = load_body(loader, &model->functions[k], loader->proto->functions[k]);
        loader->located = false;
        loader->tensors.dense_budget = budget;
    }
    loader->error = loader->tensors.error = error;
    return status == TL_NO_MEMORY ? tl_load_no_memory(loader) : TL_OK;
}

/* ---- Instances */

/* Messages are known by their addresses. */
tl_status tl_load_note_body(tl_loader *loader, const tl_scope *scope, const void *proto)
{
    uintptr_t address = (uintptr_t)proto;
    if (!scope->function || scope->frame)
        return TL_OK;
    const char *key = tl_arena_bytes(loader->scratch, (const char *)&address, sizeof address);
    return key && tl_names_add(&loader->bodies, key, sizeof address, scope->graph) ? TL_OK : tl_load_no_memory(loader);
}

tl_status tl_load_note_instance(tl_loader *loader, const tl_scope *scope, const void *proto)
{
    uintptr_t address = (uintptr_t)proto;
    const tl_names_entry *found =
        scope->frame ? tl_names_find(&loader->bodies, (const char *)&address, sizeof address) : NULL;
    const tl_graph *body = found ? found->value : NULL;
    tl_function *function = body ? body->function : NULL;
    for (size_t k = 0; function && k < scope->values.capacity; k++) {
        const tl_names_entry *entry = &scope->values.entries[k];
        tl_value *value = entry->key && entry->value ? tl_graph_find(body, entry->key) : NULL;
        if (!value)
            continue;
        if (!tl_arena_grow(&loader->model->arena, (void **)&function->instances, function->instance_count,
                           &function->instance_capacity, sizeof *function->instances))
            return tl_load_no_memory(loader);
        function->instances[function->instance_count].value = value;
        function->instances[function->instance_count++].instance = entry->value;
    }
    return TL_OK;
}
