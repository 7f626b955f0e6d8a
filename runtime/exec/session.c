#include "exec/session.h"
#include "exec/create.h"
#include "graph/gradient.h"
#include "load/load.h"

static tl_session_options options_of(const tl_session_options *given)
{
    tl_session_options options = {.size = sizeof options};
    if (given)
        memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    return options;
}

/* A name that is written wrongly would else leave its rule on, unnoticed. */
static tl_status check_disabled(const tl_registry *registry, const char *const *names, tl_error *error)
{
    for (; names && *names; names++)
        if (!tl_registry_has_rule(registry, *names))
            return tl_error_set(error, TL_INVALID_ARGUMENT, "there is no rewrite '%.100s' to disable", *names);
    return TL_OK;
}

/* What is given out must be there to give. */
static void need_outputs(const tl_graph *graph)
{
    for (size_t i = 0; i < graph->output_count; i++) {
        tl_value *origin = tl_value_origin(graph->outputs[i]);
        if (origin->constant)
            origin->constant->needed = true;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            need_outputs(inner);
    }
}

/* Contexts of several threads read constants: all that a run may ask for must lie ready. */
static bool ready_constants(tl_graph *graph)
{
    for (size_t i = 0; i < graph->value_count; i++) {
        tl_value *value = graph->values[i];
        if (value->constant && value->constant->needed && !tl_value_data(value))
            return false;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            if (!ready_constants(inner))
                return false;
    }
    return true;
}

static tl_status prepare(tl_session *session, const tl_session_options *options, tl_error *error)
{
    tl_graph *graph = session->graph;
    tl_runtime *runtime = session->runtime;
    const tl_host *host = &runtime->host;
    session->keep_values = options->flags & TL_SESSION_KEEP_VALUES;
    bool as_is = session->keep_values || options->flags & TL_SESSION_NO_REWRITES;
    tl_model_limit_folding(session->model, options->fold_limit);
    tl_status status = tl_graph_check(graph, error);
    if (status == TL_OK)
        status = tl_graph_resolve(graph, &runtime->registry, error);
    if (status == TL_OK)
        status = tl_graph_infer(graph, host, error);
    if (status == TL_OK)
        status = tl_graph_check_types(graph, error);
    if (status == TL_OK)
        status = tl_graph_write_out(graph, host, error);
    if (status == TL_OK && !as_is)
        status = tl_graph_fold(graph, host, TL_OP_EXPANDS, error);
    if (status == TL_OK && !tl_graph_link(graph, session->keep_values))
        status = tl_error_no_memory(error);
    if (status == TL_OK && !as_is && !tl_graph_free_invariants(graph))
        status = tl_error_no_memory(error);
    if (status == TL_OK && !as_is)
        status =
            tl_graph_rewrite(graph, host, options->disabled_rules, &session->rewrites, &session->rewrite_count, error);
    if (status == TL_OK)
        status = tl_graph_create_states(graph, host, error);
    if (status == TL_OK)
        need_outputs(graph);
    if (status == TL_OK && !ready_constants(graph))
        status = tl_error_no_memory(error);
    return status;
}

static tl_status open_model(tl_runtime *runtime, const char *path, const void *data, size_t size,
                            const tl_session_options *given, tl_session **session, tl_error *error)
{
    tl_session_options options = options_of(given);
    tl_load_options load = {
        .external_data_path = options.external_data_path,
        .no_external_data = options.flags & TL_SESSION_NO_EXTERNAL_DATA,
        .max_model_bytes = options.max_model_bytes,
        .max_tensor_bytes = options.max_tensor_bytes,
    };
    tl_error own;
    tl_error *why = error ? error : &own;
    tl_status status = check_disabled(&runtime->registry, options.disabled_rules, why);
    if (status != TL_OK)
        return status;
    tl_session *opened = tl_memory_alloc(&runtime->allocator, sizeof *opened, _Alignof(tl_session));
    if (!opened)
        return tl_error_no_memory(error);
    *opened = (tl_session){.runtime = runtime};
    status = path ? tl_load_file(&runtime->allocator, &runtime->registry, path, &load, &opened->model, why)
                  : tl_load_memory(&runtime->allocator, &runtime->registry, data, size, &load, &opened->model, why);
    if (status == TL_OK) {
        opened->graph = opened->model->graph;
        status = prepare(opened, &options, why);
        if (status != TL_OK)
            tl_error_prefix(why, "%.300s", opened->model->path);
    }
    if (status != TL_OK) {
        tl_session_destroy(opened);
        return status;
    }
    *session = opened;
    return TL_OK;
}

tl_status tl_session_open(tl_runtime *runtime, const char *path, const tl_session_options *options,
                          tl_session **session, tl_error *error)
{
    if (session)
        *session = NULL;
    if (!runtime || !path || !session)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "tl_session_open: runtime, path or session is NULL");
    return open_model(runtime, path, NULL, 0, options, session, error);
}

tl_status tl_session_open_memory(tl_runtime *runtime, const void *data, size_t size, const tl_session_options *options,
                                 tl_session **session, tl_error *error)
{
    if (session)
        *session = NULL;
    if (!runtime || !data || !session)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "tl_session_open_memory: runtime, data or session is NULL");
    return open_model(runtime, NULL, data, size, options, session, error);
}

void tl_session_destroy(tl_session *session)
{
    if (!session)
        return;
    const tl_allocator *allocator = &session->runtime->allocator;
    if (session->graph)
        tl_graph_destroy_states(session->graph, &session->runtime->host);
    tl_model_free(session->model);
    tl_memory_free(allocator, session);
}

static bool describe(tl_value *const *values, size_t count, size_t index, tl_value_info *info)
{
    if (index >= count)
        return false;
    const tl_value *value = values[index];
    *info = (tl_value_info){.name = value->name, .kind = value->kind, .tensor = value->tensor};
    for (const tl_type_info *type = value->type; value->kind != TL_KIND_TENSOR && type; type = type->element)
        if (type->kind == TL_KIND_TENSOR)
            info->tensor = type->tensor;
    info->tensor.data = NULL;
    return true;
}

size_t tl_session_input_count(const tl_session *session)
{
    return session->graph->input_count;
}

bool tl_session_input(const tl_session *session, size_t index, tl_value_info *info)
{
    return describe(session->graph->inputs, session->graph->input_count, index, info);
}

size_t tl_session_output_count(const tl_session *session)
{
    return session->graph->output_count;
}

bool tl_session_output(const tl_session *session, size_t index, tl_value_info *info)
{
    return describe(session->graph->outputs, session->graph->output_count, index, info);
}

const char *tl_session_symbol(const tl_session *session, tl_dim dim)
{
    return tl_model_symbol_name(session->model, dim);
}
