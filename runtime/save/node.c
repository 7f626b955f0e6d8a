/* NodeProto, AttributeProto and what is in them, from the graph. Field numbers are those of proto/onnx.proto. */
#include "save/edit.h"

static tl_rope_maker *maker_of(tl_edit *edit)
{
    return &edit->maker;
}

static const char *symbol(const tl_edit *edit, tl_dim dim)
{
    return tl_model_symbol_name(edit->model, dim);
}

/* ---- Tensors */

tl_status tl_save_raw_data(tl_edit *edit, const tl_tensor *tensor, const void *data, tl_rope *rope)
{
    enum { RAW_DATA = 9 };
    const int64_t count = tl_tensor_elements(tensor), bytes = tl_stored_bytes(tensor->type, count);
    if (tl_is_six_bits(tensor->type) && count > 0) {
        uint8_t *packed = tl_arena_alloc(&edit->arena, (size_t)bytes, 1, 1);
        if (!packed)
            return tl_error_no_memory(edit->error);
        tl_pack_six(data, count, packed);
        data = packed;
    }
    tl_rope_bytes(maker_of(edit), rope, RAW_DATA, data, (size_t)bytes);
    return TL_OK;
}

static tl_status save_tensor(tl_edit *edit, const char *name, const tl_tensor *tensor, const void *data, tl_rope *rope)
{
    tl_rope_maker *maker = maker_of(edit);
    int64_t bytes = tl_tensor_bytes(tensor);
    if (bytes < 0 || (bytes > 0 && !data))
        return tl_error_set(edit->error, TL_INTERNAL, "a constant '%.200s' without elements", name);
    for (int32_t k = 0; k < tensor->rank; k++)
        tl_rope_number(maker, rope, 1, tensor->dims[k]);
    tl_rope_number(maker, rope, 2, tensor->type);
    if (*name)
        tl_rope_text(maker, rope, 8, name);
    if (tensor->type != TL_STRING)
        return tl_save_raw_data(edit, tensor, data, rope);
    const tl_string *strings = data;
    int64_t count = tl_tensor_elements(tensor);
    for (int64_t k = 0; strings && k < count; k++)
        tl_rope_bytes(maker, rope, 6, strings[k].data, strings[k].size);
    return TL_OK;
}

tl_status tl_save_constant(tl_edit *edit, tl_value *value, tl_rope *rope)
{
    const void *data = tl_value_data(value);
    if (!data && value->constant->bytes)
        return tl_error_no_memory(edit->error);
    return save_tensor(edit, value->name, &value->tensor, data, rope);
}

tl_status tl_save_constant_node(tl_edit *edit, tl_value *value, tl_rope *rope)
{
    tl_rope_maker *maker = maker_of(edit);
    tl_rope tensor = {0}, attribute = {0};
    tl_status status = tl_save_constant(edit, value, &tensor);
    tl_rope_text(maker, &attribute, 1, "value");
    tl_rope_message(maker, &attribute, 5, tensor);
    tl_rope_number(maker, &attribute, 20, TL_ATTR_TENSOR);
    tl_rope_text(maker, rope, 2, value->name);
    tl_rope_text(maker, rope, 4, "Constant");
    tl_rope_message(maker, rope, 5, attribute);
    return status;
}

/* ---- Types */

static void save_tensor_type(tl_edit *edit, const tl_tensor *tensor, tl_rope *rope)
{
    tl_rope_maker *maker = maker_of(edit);
    tl_rope_number(maker, rope, 1, tensor->type);
    if (tensor->rank == TL_RANK_UNKNOWN)
        return;
    tl_rope shape = {0};
    for (int32_t k = 0; k < tensor->rank; k++) {
        tl_rope dim = {0};
        const char *name = symbol(edit, tensor->dims[k]);
        if (tensor->dims[k] >= 0)
            tl_rope_number(maker, &dim, 1, tensor->dims[k]);
        else if (name)
            tl_rope_text(maker, &dim, 2, name);
        tl_rope_message(maker, &shape, 1, dim);
    }
    tl_rope_message(maker, rope, 2, shape);
}

static void save_type(tl_edit *edit, const tl_type_info *type, tl_rope *rope)
{
    tl_rope_maker *maker = maker_of(edit);
    tl_rope inner = {0}, element = {0};
    if (type->kind == TL_KIND_TENSOR) {
        save_tensor_type(edit, &type->tensor, &inner);
        tl_rope_message(maker, rope, 1, inner);
        return;
    }
    if (type->element)
        save_type(edit, type->element, &element);
    if (type->kind == TL_KIND_MAP)
        tl_rope_number(maker, &inner, 1, type->tensor.type);
    if (type->element)
        tl_rope_message(maker, &inner, type->kind == TL_KIND_MAP ? 2 : 1, element);
    tl_rope_message(maker, rope, type->kind == TL_KIND_SEQUENCE ? 4 : type->kind == TL_KIND_MAP ? 5 : 9, inner);
}

static void save_value_info(tl_edit *edit, const tl_value *value, tl_rope *rope)
{
    tl_rope_maker *maker = maker_of(edit);
    tl_rope_text(maker, rope, 1, value->name);
    tl_type_info tensor = {.kind = TL_KIND_TENSOR, .tensor = value->tensor};
    const tl_type_info *type = value->kind == TL_KIND_TENSOR ? &tensor : value->type;
    if (!type || (type->kind == TL_KIND_TENSOR && type->tensor.type == TL_UNDEFINED))
        return;
    tl_rope message = {0};
    save_type(edit, type, &message);
    tl_rope_message(maker, rope, 2, message);
}

/* ---- Graphs inside functions that are opened: nothing of theirs is in the file as it will be. */

static tl_status save_whole_graph(tl_edit *edit, const tl_graph *graph, tl_rope *rope)
{
    tl_rope_maker *maker = maker_of(edit);
    tl_status status = TL_OK;
    for (size_t i = 0; i < graph->node_count && status == TL_OK; i++) {
        tl_rope node = {0};
        status = tl_save_node(edit, graph->nodes[i], &node);
        tl_rope_message(maker, rope, 1, node);
    }
    tl_rope_text(maker, rope, 2, graph->name);
    for (size_t i = 0; i < graph->value_count && status == TL_OK; i++) {
        if (!graph->values[i]->constant)
            continue;
        tl_rope tensor = {0};
        status = tl_save_constant(edit, graph->values[i], &tensor);
        tl_rope_message(maker, rope, 5, tensor);
    }
    for (size_t i = 0; i < graph->input_count; i++) {
        tl_rope info = {0};
        save_value_info(edit, graph->inputs[i], &info);
        tl_rope_message(maker, rope, 11, info);
    }
    for (size_t i = 0; i < graph->output_count; i++) {
        tl_rope info = {0};
        save_value_info(edit, graph->outputs[i], &info);
        tl_rope_message(maker, rope, 12, info);
    }
    return status;
}

/* ---- Attributes */

static void save_lists(tl_edit *edit, const tl_attribute *a, tl_rope *rope)
{
    tl_rope_maker *maker = maker_of(edit);
    for (size_t k = 0; k < a->count; k++) {
        if (a->kind == TL_ATTR_FLOATS)
            tl_rope_float(maker, rope, 7, a->u.floats[k]);
        else if (a->kind == TL_ATTR_INTS)
            tl_rope_number(maker, rope, 8, a->u.ints[k]);
        else
            tl_rope_bytes(maker, rope, 9, a->u.strings[k].data, a->u.strings[k].size);
    }
}

static tl_status save_message(tl_edit *edit, const tl_attribute *a, size_t k, uint32_t field, tl_rope *rope)
{
    tl_rope message = {0};
    tl_status status = TL_OK;
    if (a->kind == TL_ATTR_GRAPH || a->kind == TL_ATTR_GRAPHS) {
        status = save_whole_graph(edit, a->kind == TL_ATTR_GRAPH ? a->u.graph : a->u.graphs[k], &message);
    } else if (a->kind == TL_ATTR_TYPE_PROTO) {
        save_type(edit, a->u.type, &message);
    } else {
        const tl_tensor *tensor = field == 5 ? a->u.tensor : a->u.tensors[k];
        status = save_tensor(edit, "", tensor, tensor->data, &message);
    }
    tl_rope_message(maker_of(edit), rope, field, message);
    return status;
}

static tl_status save_attribute(tl_edit *edit, const tl_attribute *a, tl_rope *rope)
{
    enum { TENSORS = 9 };
    tl_rope_maker *maker = maker_of(edit);
    tl_status status = TL_OK;
    int type = a->kind == TL_ATTR_SPARSE_TENSOR ? TL_ATTR_TENSOR : a->kind; /* dense by now */
    tl_rope_text(maker, rope, 1, a->name);
    tl_rope_number(maker, rope, 20, type);
    switch (type) {
    case TL_ATTR_FLOAT:
        tl_rope_float(maker, rope, 2, a->u.f);
        return TL_OK;
    case TL_ATTR_INT:
        tl_rope_number(maker, rope, 3, a->u.i);
        return TL_OK;
    case TL_ATTR_STRING:
        tl_rope_bytes(maker, rope, 4, a->u.s.data, a->u.s.size);
        return TL_OK;
    case TL_ATTR_FLOATS:
    case TL_ATTR_INTS:
    case TL_ATTR_STRINGS:
        save_lists(edit, a, rope);
        return TL_OK;
    case TL_ATTR_TENSOR:
        return save_message(edit, a, 0, 5, rope);
    case TL_ATTR_GRAPH:
        return save_message(edit, a, 0, 6, rope);
    case TL_ATTR_TYPE_PROTO:
        return save_message(edit, a, 0, 14, rope);
    case TL_ATTR_GRAPHS:
    case TENSORS:
        for (size_t k = 0; k < a->count && status == TL_OK; k++)
            status = save_message(edit, a, k, type == TENSORS ? 10 : 11, rope);
        return status;
    default:
        return tl_error_set(edit->error, TL_UNSUPPORTED, "attribute '%.100s' of kind %d cannot be written", a->name,
                            a->kind);
    }
}

/* ---- Nodes */

/* The import of a domain must mean the operator that the node has. */
static tl_status check_version(tl_edit *edit, const tl_node *node)
{
    char where[512];
    tl_error why;
    int64_t version = tl_graph_opset(node->graph, node->domain);
    if (strcmp(node->domain, TL_DOMAIN_INTERNAL) == 0)
        return tl_error_set(edit->error, TL_INTERNAL, "%s: an operator of the runtime's own cannot be written",
                            tl_node_describe(node, where, sizeof where));
    if (!version || version == node->version ||
        tl_registry_find(&edit->runtime->registry, node->domain, node->op_type, version, &why) == node->op)
        return TL_OK;
    return tl_error_set(edit->error, TL_UNSUPPORTED,
                        "%s is of a function that imports version %d of its domain, but the model imports %lld: it "
                        "cannot be written outside of the function",
                        tl_node_describe(node, where, sizeof where), (int)node->version, (long long)version);
}

tl_status tl_save_node(tl_edit *edit, const tl_node *node, tl_rope *rope)
{
    tl_rope_maker *maker = maker_of(edit);
    tl_status status = check_version(edit, node);
    for (size_t k = 0; k < node->input_count; k++)
        tl_rope_text(maker, rope, 1, node->inputs[k] ? tl_value_origin(node->inputs[k])->name : "");
    for (size_t k = 0; k < node->output_count; k++)
        tl_rope_text(maker, rope, 2, node->outputs[k] ? node->outputs[k]->name : "");
    if (*node->name)
        tl_rope_text(maker, rope, 3, node->name);
    tl_rope_text(maker, rope, 4, node->op_type);
    for (size_t k = 0; k < node->attribute_count && status == TL_OK; k++) {
        tl_rope attribute = {0};
        status = save_attribute(edit, &node->attributes[k], &attribute);
        tl_rope_message(maker, rope, 5, attribute);
    }
    if (*node->domain)
        tl_rope_text(maker, rope, 7, node->domain);
    if (status == TL_OK && !tl_edit_note(&edit->domains, &edit->arena, node->domain))
        status = tl_error_no_memory(edit->error);
    return status;
}
