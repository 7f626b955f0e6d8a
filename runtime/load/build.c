#include "load/loader.h"

#define IDENTITY_VERSION 13 /* where nothing says which default opset counts; any type, and like every later one */

/* Names what the message is about, if it does not name something more exact already. */
static tl_status locate(tl_loader *loader, tl_status status, const char *what, const char *name)
{
    if (status != TL_OK && !loader->located)
        tl_error_prefix(loader->error, "%s '%.200s'", what, name);
    loader->located |= status != TL_OK;
    return status;
}

/* ---- Initializers and inputs */

static tl_status define_constant(tl_loader *loader, tl_scope *scope, const char *name, const tl_tensor *tensor,
                                 bool mapped)
{
    if (!*name)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "an initializer has no name");
    tl_value *value;
    tl_status status = tl_scope_define(loader, scope, name, &value);
    if (status != TL_OK)
        return status;
    return tl_value_set_constant(value, tensor, tensor->data, mapped) ? TL_OK : tl_load_no_memory(loader);
}

static tl_status load_initializers(tl_loader *loader, tl_scope *scope, const Onnx__GraphProto *proto)
{
    tl_status status = TL_OK;
    for (size_t k = 0; k < proto->n_initializer && status == TL_OK; k++) {
        const Onnx__TensorProto *initializer = proto->initializer[k];
        tl_tensor tensor;
        bool mapped;
        status = tl_load_tensor(loader, scope, initializer, &tensor, &mapped);
        if (status == TL_OK)
            status = define_constant(loader, scope, tl_text(initializer->name), &tensor, mapped);
        status = locate(loader, status, "initializer", tl_text(initializer->name));
    }
    for (size_t k = 0; k < proto->n_sparse_initializer && status == TL_OK; k++) {
        const Onnx__SparseTensorProto *initializer = proto->sparse_initializer[k];
        const char *name = initializer->values ? tl_text(initializer->values->name) : "";
        tl_tensor tensor;
        status = tl_tensor_read_sparse(&loader->tensors, initializer, &tensor);
        if (status == TL_OK)
            status = define_constant(loader, scope, name, &tensor, false);
        status = locate(loader, status, "sparse initializer", name);
    }
    return status;
}

/* An input that has an initializer is a constant here; what the file says of its type must agree. */
static tl_status check_default(tl_loader *loader, const tl_scope *scope, const tl_value *value,
                               const Onnx__TypeProto *proto)
{
    if (!proto)
        return TL_OK;
    tl_type_info info;
    tl_status status = tl_load_type(loader, scope, proto, &info);
    if (status != TL_OK)
        return status;
    const tl_tensor *given = &info.tensor, *constant = &value->tensor;
    bool agree = info.kind == TL_KIND_TENSOR && given->type == constant->type &&
                 (given->rank == TL_RANK_UNKNOWN || given->rank == constant->rank);
    for (int32_t k = 0; agree && k < given->rank; k++)
        agree = given->dims[k] < 0 || given->dims[k] == constant->dims[k];
    if (agree)
        return TL_OK;
    char is[160], said[160];
    return tl_error_set(loader->error, TL_INVALID_MODEL, "its initializer is %s, but the input is declared as %s",
                        tl_tensor_describe(constant, NULL, NULL, is, sizeof is),
                        tl_tensor_describe(given, NULL, NULL, said, sizeof said));
}

static tl_status load_input(tl_loader *loader, tl_scope *scope, const Onnx__ValueInfoProto *input, tl_names *seen)
{
    const char *name = tl_text(input->name);
    if (!*name)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "a graph input has no name");
    if (tl_names_find(seen, name, strlen(name)))
        return tl_error_set(loader->error, TL_INVALID_MODEL, "the input is listed twice");
    if (!tl_names_add(seen, name, strlen(name), NULL))
        return tl_load_no_memory(loader);
    tl_names_entry *initializer = tl_names_find(&scope->values, name, strlen(name));
    if (initializer)
        return check_default(loader, scope, initializer->value, input->type);
    tl_value *value;
    tl_status status = tl_scope_define(loader, scope, name, &value);
    if (status == TL_OK)
        status = tl_load_value_type(loader, scope, value, input->type, !scope->graph->parent);
    if (status != TL_OK)
        return status;
    return tl_graph_add_input(scope->graph, value) ? TL_OK : tl_load_no_memory(loader);
}

static tl_status load_inputs(tl_loader *loader, tl_scope *scope, const Onnx__GraphProto *proto)
{
    tl_names seen = {.arena = &scope->arena};
    tl_status status = TL_OK;
    for (size_t k = 0; k < proto->n_input && status == TL_OK; k++) {
        status = load_input(loader, scope, proto->input[k], &seen);
        status = locate(loader, status, "input", tl_text(proto->input[k]->name));
    }
    return status;
}

/* ---- Nodes */

static tl_status define_outputs(tl_loader *loader, tl_scope *scope, const Onnx__NodeProto *proto)
{
    for (size_t k = 0; k < proto->n_output; k++) {
        tl_value *value;
        if (!*proto->output[k])
            continue;
        tl_status status = tl_scope_define(loader, scope, proto->output[k], &value);
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

static tl_node *new_node(tl_loader *loader, const tl_scope *scope, const Onnx__NodeProto *proto)
{
    const char *name = tl_text(proto->name);
    if (scope->frame)
        name = tl_arena_format(&loader->model->arena, "%s/%s", scope->frame->prefix,
                               *name ? name : tl_text(proto->op_type));
    return name ? tl_graph_add_node(scope->graph, name, tl_domain(proto->domain), proto->op_type, proto->n_input,
                                    proto->n_output, proto->n_attribute)
                : NULL;
}

static tl_status load_operator(tl_loader *loader, tl_scope *scope, const Onnx__NodeProto *proto, size_t position,
                               bool is_opaque)
{
    tl_node *node = NULL;
    tl_status status = TL_OK;
    if (is_opaque)
        status = tl_load_opaque(loader, scope, proto, &node);
    else if (!(node = new_node(loader, scope, proto)))
        status = tl_load_no_memory(loader);
    if (status != TL_OK || !node)
        return status;
    node->source = scope->frame ? scope->frame->source : position > INT32_MAX ? TL_SOURCE_LOADER : (int32_t)position;
    if (!is_opaque)
        status = tl_load_version(loader, scope, node->domain, &node->version);
    for (size_t k = 0; k < proto->n_input && status == TL_OK; k++)
        if (*proto->input[k])
            status = tl_scope_find(loader, scope, proto->input[k], "input", &node->inputs[k]);
    for (size_t k = 0; k < proto->n_output && status == TL_OK; k++) {
        if (!*proto->output[k])
            continue;
        status = tl_scope_find(loader, scope, proto->output[k], "output", &node->outputs[k]);
        if (status == TL_OK)
            node->outputs[k]->producer = node;
    }
    if (status == TL_OK && loader->node_metadata && !scope->frame) {
        node->metadata_count = proto->n_metadata_props;
        status = tl_load_metadata(loader, proto->metadata_props, node->metadata_count, &node->metadata);
    }
    return status == TL_OK && !is_opaque ? tl_load_attributes(loader, scope, node, proto) : status;
}

static tl_status load_node(tl_loader *loader, tl_scope *scope, const Onnx__NodeProto *proto, size_t position)
{
    if (!*tl_text(proto->op_type))
        return tl_error_set(loader->error, TL_INVALID_MODEL, "it has no op_type");
    Onnx__FunctionProto *const *function = NULL;
    tl_status status = tl_load_check_attributes(loader, proto);
    if (status == TL_OK)
        status = tl_function_of(loader, proto, &function);
    if (status != TL_OK)
        return status;
    const bool is_opaque = tl_is_opaque(scope, proto, function != NULL);
    return function && !is_opaque ? tl_function_inline(loader, scope, proto, function)
                                  : load_operator(loader, scope, proto, position, is_opaque);
}

/* Before more exact words exist: the node as the file has it. */
static tl_status locate_node(tl_loader *loader, tl_status status, const Onnx__NodeProto *proto, size_t position)
{
    if (status != TL_OK && !loader->located) {
        const char *domain = tl_domain(proto->domain);
        tl_error_prefix(loader->error, "node %zu '%.100s' (%.60s%s%.100s)", position, tl_text(proto->name), domain,
                        *domain ? "::" : "", tl_text(proto->op_type));
    }
    loader->located |= status != TL_OK;
    return status;
}

tl_status tl_define_nodes(tl_loader *loader, tl_scope *scope, Onnx__NodeProto *const *nodes, size_t count)
{
    tl_status status = TL_OK;
    for (size_t k = 0; k < count && status == TL_OK; k++)
        status = locate_node(loader, define_outputs(loader, scope, nodes[k]), nodes[k], k);
    return status;
}

tl_status tl_make_nodes(tl_loader *loader, tl_scope *scope, Onnx__NodeProto *const *nodes, size_t count)
{
    tl_status status = TL_OK;
    for (size_t k = 0; k < count && status == TL_OK; k++)
        status = locate_node(loader, load_node(loader, scope, nodes[k], k), nodes[k], k);
    return status;
}

tl_status tl_load_identity(tl_loader *loader, const tl_scope *scope, tl_value *from, tl_value *to)
{
    tl_node *node = tl_graph_add_node(scope->graph, to->name, "", "Identity", 1, 1, 0);
    if (!node)
        return tl_load_no_memory(loader);
    node->source = scope->frame ? scope->frame->source : TL_SOURCE_LOADER;
    int64_t version = tl_model_opset(loader->model, "");
    node->version = version ? (int32_t)version : IDENTITY_VERSION;
    node->inputs[0] = from;
    node->outputs[0] = to;
    to->producer = node;
    return TL_OK;
}

/* ---- Types and outputs */

static tl_status load_types(tl_loader *loader, const tl_scope *scope, Onnx__ValueInfoProto *const *infos, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const char *name = tl_text(infos[k]->name);
        tl_names_entry *entry = tl_names_find(&scope->values, name, strlen(name));
        if (!entry || !entry->value || !infos[k]->type)
            continue;
        tl_status status = tl_load_value_type(loader, scope, entry->value, infos[k]->type, false);
        if (status != TL_OK)
            return locate(loader, status, "value", name);
    }
    return TL_OK;
}

/* A value of a graph around that a body gives out gets a node of the body, so that outputs are always its own. */
static tl_status load_output(tl_loader *loader, tl_scope *scope, const Onnx__ValueInfoProto *output)
{
    const char *name = tl_text(output->name);
    if (!*name)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "a graph output has no name");
    tl_value *value;
    tl_status status = tl_scope_find(loader, scope, name, "output", &value);
    if (status != TL_OK)
        return status;
    if (!value)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "it is an argument that the function's call leaves out");
    if (value->flags & TL_VALUE_CAPTURE || value->graph != scope->graph) {
        tl_value *copy = tl_graph_add_unique(scope->graph, name);
        if (!copy)
            return tl_load_no_memory(loader);
        status = tl_load_identity(loader, scope, value, copy);
        value = copy;
    }
    if (status == TL_OK && !tl_graph_add_output(scope->graph, value))
        status = tl_load_no_memory(loader);
    return status;
}

tl_status tl_load_graph(tl_loader *loader, tl_scope *scope, const Onnx__GraphProto *proto)
{
    tl_status status = load_initializers(loader, scope, proto);
    if (status == TL_OK)
        status = load_inputs(loader, scope, proto);
    if (status == TL_OK && scope->frame) /* a body inside a function: counted where the function's nodes are */
        status = tl_load_charge(loader, proto->n_node, proto->n_input + proto->n_initializer + proto->n_output);
    if (status != TL_OK)
        return status;
    /* Types before nodes: what a body captures is copied with its type. */
    status = tl_define_nodes(loader, scope, proto->node, proto->n_node);
    if (status == TL_OK)
        status = load_types(loader, scope, proto->value_info, proto->n_value_info);
    if (status == TL_OK)
        status = load_types(loader, scope, proto->output, proto->n_output);
    if (status == TL_OK)
        status = tl_make_nodes(loader, scope, proto->node, proto->n_node);
    for (size_t k = 0; k < proto->n_output && status == TL_OK; k++)
        status =
            locate(loader, load_output(loader, scope, proto->output[k]), "output", tl_text(proto->output[k]->name));
    return status;
}
