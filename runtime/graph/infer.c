/* Types and shapes ahead of the run. */
#include "graph/call.h"

/* Bytes of constants that are lists of axes and the like, which shapes depend on; bigger ones are weights. */
#define MOST_LISTED 4096

static const tl_param *parameter(const tl_param *params, size_t count, size_t k)
{
    return k < count ? &params[k] : count ? &params[count - 1] : NULL; /* beyond the last: the variadic one */
}

static tl_status wrong_type(const tl_node *node, const char *role, const tl_param *param, tl_type found,
                            tl_error *error)
{
    char where[512], list[256] = "";
    size_t used = 0;
    for (int t = 1; t < TL_TYPE_COUNT && used + 20 < sizeof list; t++)
        if (param->types & TL_T(t)) {
            size_t length = strlen(tl_type_name(t));
            memcpy(list + used, used ? " " : "", used ? 1 : 0);
            used += used ? 1 : 0;
            memcpy(list + used, tl_type_name(t), length + 1);
            used += length;
        }
    return tl_error_set(error, TL_UNSUPPORTED, "%s: %s '%s' has type %s, but this operator has %s",
                        tl_node_describe(node, where, sizeof where), role, param->name, tl_type_name(found), list);
}

/* The types that type variables stand for in one node. */
typedef struct bindings {
    tl_type types[128];
} bindings;

/* What a node hands on as it is, as Identity does, although it is no tensor; NULL: nothing. */
static const tl_value *passed_list(const tl_node *node)
{
    const bool identity = node->op->flags & TL_OP_VIEW && !node->op->reshape && node->input_count == 1;
    const tl_value *value = identity && node->output_count ? node->inputs[0] : NULL;
    return value && value->kind != TL_KIND_TENSOR && node->outputs[0] ? value : NULL;
}

static tl_status check_inputs(const tl_node *node, bindings *bound, tl_error *error)
{
    for (size_t k = 0; k < node->input_count; k++) {
        const tl_value *value = node->inputs[k];
        const tl_param *param = parameter(node->op->inputs, node->op->input_count, k);
        bool takes_lists = (param && param->flags & TL_PARAM_LIST) || value == passed_list(node);
        if (value && value->kind != TL_KIND_TENSOR && !takes_lists) {
            char where[512];
            return tl_error_set(error, TL_INVALID_MODEL, "%s: input '%.200s' is no tensor",
                                tl_node_describe(node, where, sizeof where), value->name);
        }
        if (!value || !param || value->kind != TL_KIND_TENSOR || value->tensor.type == TL_UNDEFINED)
            continue;
        if (!(param->types & TL_T(value->tensor.type)))
            return wrong_type(node, "input", param, value->tensor.type, error);
        if (!param->type_variable || param->flags & TL_PARAM_MIXED)
            continue;
        tl_type *variable = &bound->types[param->type_variable & 127];
        if (*variable != TL_UNDEFINED && *variable != value->tensor.type) {
            char where[512];
            return tl_error_set(error, TL_INVALID_MODEL,
                                "%s: input '%s' has type %s, but the same type is needed as "
                                "before: %s",
                                tl_node_describe(node, where, sizeof where), param->name,
                                tl_type_name(value->tensor.type), tl_type_name(*variable));
        }
        *variable = value->tensor.type;
    }
    return TL_OK;
}

static tl_type output_type(const tl_node *node, size_t k, const bindings *bound)
{
    const tl_param *param = parameter(node->op->outputs, node->op->output_count, k);
    if (!param)
        return TL_UNDEFINED;
    if (param->type_variable && bound->types[param->type_variable & 127] != TL_UNDEFINED)
        return bound->types[param->type_variable & 127];
    for (int t = 1; t < TL_TYPE_COUNT; t++)
        if (param->types == TL_T(t))
            return t;
    return TL_UNDEFINED;
}

/* What inference found, joined with what the file says: found wins, the file fills the gaps. */
static tl_status settle(const tl_node *node, size_t k, const tl_tensor *found, tl_error *error)
{
    tl_value *value = node->outputs[k];
    tl_tensor *known = &value->tensor;
    const tl_param *param = parameter(node->op->outputs, node->op->output_count, k);
    if (found->type != TL_UNDEFINED && param && !(param->types & TL_T(found->type)))
        return wrong_type(node, "output", param, found->type, error);
    if (found->type != TL_UNDEFINED && known->type != TL_UNDEFINED && known->type != found->type) {
        char where[512];
        return tl_error_set(error, TL_INVALID_MODEL, "%s: output '%.200s' is %s, but the file says %s",
                            tl_node_describe(node, where, sizeof where), value->name, tl_type_name(found->type),
                            tl_type_name(known->type));
    }
    if (found->type != TL_UNDEFINED)
        known->type = found->type;
    if (found->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    bool same_rank = known->rank == found->rank;
    known->rank = found->rank;
    for (int32_t i = 0; i < found->rank; i++)
        if (!same_rank || found->dims[i] != TL_DIM_UNKNOWN)
            known->dims[i] = found->dims[i];
    return TL_OK;
}

static tl_status reshape(tl_node *node, const tl_host *host, const tl_tensor **inputs, tl_tensor **outputs,
                         tl_error *error)
{
    tl_call_frame frame = tl_call_frame_for(node, host, inputs, outputs, error);
    frame.ahead = true;
    const tl_status status = tl_call_reshape(&frame, node);
    if (status != TL_OK) {
        char where[512];
        tl_error_prefix(error, "%s", tl_node_describe(node, where, sizeof where));
    }
    return status;
}

/* A dimension that is not known ahead is some number: the same one wherever it travels. In the graphs inside, it may
 * be another one each time. */
static bool name_made_dims(const tl_node *node)
{
    for (size_t k = 0; k < node->output_count && !tl_node_subgraph(node, 0) && !node->graph->parent; k++) {
        tl_tensor *tensor = node->outputs[k] ? &node->outputs[k]->tensor : NULL;
        for (int32_t d = 0; tensor && d < tensor->rank; d++)
            if (tensor->dims[d] == TL_DIM_UNKNOWN &&
                (tensor->dims[d] = tl_model_symbol(node->graph->model, NULL)) == TL_DIM_UNKNOWN)
                return false;
    }
    return true;
}

/* What only the file calls a list is an error: the operator will make a tensor of it. */
static tl_status check_kind(const tl_node *node, size_t k, tl_kind declared, tl_error *error)
{
    char where[512];
    if (declared == TL_KIND_TENSOR || node->outputs[k]->kind != TL_KIND_TENSOR)
        return TL_OK;
    return tl_error_set(error, TL_INVALID_MODEL, "%s: output '%.200s' is a tensor, but the file says otherwise",
                        tl_node_describe(node, where, sizeof where), node->outputs[k]->name);
}

/* reshape(), of which those operators that make lists tell so. Nodes of any kind keep what the file says. */
static tl_status reshape_kinds(tl_node *node, const tl_host *host, const tl_tensor **inputs, tl_tensor **outputs,
                               tl_kind *declared, tl_error *error)
{
    for (size_t k = 0; k < node->output_count; k++)
        if (node->outputs[k]) {
            declared[k] = node->outputs[k]->kind;
            node->outputs[k]->kind = node->op->run ? TL_KIND_TENSOR : declared[k];
        }
    tl_status status = reshape(node, host, inputs, outputs, error);
    for (size_t k = 0; k < node->output_count && status == TL_OK; k++)
        if (node->outputs[k])
            status = check_kind(node, k, declared[k], error);
    for (size_t k = 0; k < node->output_count && status != TL_OK; k++)
        if (node->outputs[k])
            node->outputs[k]->kind = declared[k];
    return status;
}

tl_status tl_node_infer(tl_node *node, const tl_host *host, tl_error *error)
{
    tl_arena scratch;
    tl_arena_init(&scratch, node->graph->model->allocator, 0);
    const tl_tensor **inputs = tl_node_known_inputs(node, MOST_LISTED, &scratch);
    tl_tensor **outputs = TL_NEW(&scratch, tl_tensor *, tl_node_call_outputs(node) + 1);
    tl_tensor *found = TL_NEW(&scratch, tl_tensor, node->output_count + 1);
    tl_kind *declared = TL_NEW(&scratch, tl_kind, node->output_count + 1);
    tl_status status = inputs && outputs && found && declared ? TL_OK : tl_error_no_memory(error);
    bindings bound = {{TL_UNDEFINED}};
    if (status == TL_OK)
        status = check_inputs(node, &bound, error);
    for (size_t k = 0; k < node->output_count && status == TL_OK; k++) {
        if (!node->outputs[k])
            continue;
        found[k].type = output_type(node, k, &bound);
        found[k].rank = TL_RANK_UNKNOWN;
        for (int32_t i = 0; i < TL_MAX_RANK; i++)
            found[k].dims[i] = TL_DIM_UNKNOWN;
        outputs[k] = &found[k];
    }
    const tl_value *list = passed_list(node);
    tl_value *same = list ? node->outputs[0] : NULL;
    if (status == TL_OK && same) {
        same->kind = list->kind;
        same->type = list->type;
    } else if (status == TL_OK) {
        status = reshape_kinds(node, host, inputs, outputs, declared, error);
    }
    for (size_t k = 0; k < node->output_count && status == TL_OK && !same; k++)
        if (node->outputs[k] && node->outputs[k]->kind == TL_KIND_TENSOR)
            status = settle(node, k, &found[k], error);
    if (status == TL_OK && !same && !name_made_dims(node))
        status = tl_error_no_memory(error);
    tl_arena_free(&scratch);
    return status;
}

/* An unknown dimension of an input is some number: the same one wherever it travels. */
static bool name_unknown_dims(tl_graph *graph)
{
    for (size_t i = 0; i < graph->input_count; i++) {
        tl_tensor *tensor = &graph->inputs[i]->tensor;
        for (int32_t d = 0; d < tensor->rank; d++)
            if (tensor->dims[d] == TL_DIM_UNKNOWN &&
                (tensor->dims[d] = tl_model_symbol(graph->model, NULL)) == TL_DIM_UNKNOWN)
                return false;
    }
    return true;
}

tl_status tl_graph_infer(tl_graph *graph, const tl_host *host, tl_error *error)
{
    if (!graph->parent && !name_unknown_dims(graph))
        return tl_error_no_memory(error);
    for (size_t i = 0; i < graph->capture_count; i++) {
        tl_value *value = graph->captures[i];
        value->kind = value->outer->kind;
        value->type = value->outer->type;
        value->tensor = value->outer->tensor;
        value->tensor.data = NULL;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_node *node = graph->nodes[i];
        tl_status status = tl_node_infer(node, host, error);
        tl_graph *inner;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(node, g)); g++)
            status = tl_graph_infer(inner, host, error);
        /* The node told the graphs inside what they get; now they tell it what they give. */
        if (status == TL_OK && tl_node_subgraph(node, 0))
            status = tl_node_infer(node, host, error);
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

static tl_status unknown_type(const tl_value *value, tl_error *error)
{
    return tl_error_set(error, TL_INVALID_MODEL, "the element type of '%.200s' is neither given nor to be found out",
                        value->name);
}

tl_status tl_graph_check_types(const tl_graph *graph, tl_error *error)
{
    for (size_t i = 0; i < graph->input_count; i++)
        if (graph->inputs[i]->kind == TL_KIND_TENSOR && graph->inputs[i]->tensor.type == TL_UNDEFINED)
            return unknown_type(graph->inputs[i], error);
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_node *node = graph->nodes[i];
        for (size_t k = 0; k < node->output_count; k++) {
            const tl_value *value = node->outputs[k];
            if (value && value->kind == TL_KIND_TENSOR && value->tensor.type == TL_UNDEFINED)
                return unknown_type(value, error);
        }
        const tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(node, g)); g++) {
            tl_status status = tl_graph_check_types(inner, error);
            if (status != TL_OK)
                return status;
        }
    }
    return TL_OK;
}
