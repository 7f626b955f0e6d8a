#include "load/loader.h"

#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name

#define FEW          16   /* attributes that are compared with each other one by one */
#define LEAST_MAPPED 4096 /* bytes of a tensor that is not worth a copy */

tl_status tl_load_tensor(tl_loader *loader, const tl_scope *scope, const Onnx__TensorProto *proto, tl_tensor *tensor,
                         bool *mapped)
{
    if (!scope->function)
        return tl_tensor_read(&loader->tensors, proto, tensor, mapped);
    /* Each inlining of a function would convert it again. */
    uintptr_t address = (uintptr_t)proto;
    tl_names_entry *known = tl_names_find(&loader->read, (const char *)&address, sizeof address);
    if (known) {
        const tl_read_tensor *read = known->value;
        *tensor = read->tensor;
        *mapped = read->mapped;
        return TL_OK;
    }
    tl_status status = tl_tensor_read(&loader->tensors, proto, tensor, mapped);
    if (status != TL_OK)
        return status;
    tl_read_tensor *read = TL_NEW(loader->scratch, tl_read_tensor, 1);
    char *key = tl_arena_bytes(loader->scratch, (const char *)&address, sizeof address);
    if (!read || !key || !tl_names_add(&loader->read, key, sizeof address, read))
        return tl_load_no_memory(loader);
    *read = (tl_read_tensor){*tensor, *mapped};
    return TL_OK;
}

/* ---- References to a call's attributes */

static const Onnx__AttributeProto *find(Onnx__AttributeProto *const *attributes, size_t count, const char *name)
{
    for (size_t k = 0; k < count; k++)
        if (strcmp(tl_text(attributes[k]->name), name) == 0)
            return attributes[k];
    return NULL;
}

static bool is_declared(const Onnx__FunctionProto *function, const char *name)
{
    for (size_t k = 0; k < function->n_attribute; k++)
        if (strcmp(function->attribute[k], name) == 0)
            return true;
    return false;
}

/* The attribute of the call, or the default, that `name` means in a function's body; NULL: neither is there. */
static tl_status look_up(tl_loader *loader, const tl_frame *frame, const char *name, const Onnx__AttributeProto **given,
                         const Onnx__AttributeProto **standard)
{
    const Onnx__FunctionProto *function = frame->function;
    *given = find(frame->call->attribute, frame->call->n_attribute, name);
    *standard = find(function->attribute_proto, function->n_attribute_proto, name);
    if (!*given && !*standard && !is_declared(function, name))
        return tl_error_set(loader->error, TL_INVALID_MODEL, "the function %.100s declares no attribute '%.100s'",
                            tl_text(function->name), name);
    if (*standard && *tl_text((*standard)->ref_attr_name))
        return tl_error_set(loader->error, TL_INVALID_MODEL, "the default of '%.100s' refers to an attribute", name);
    return tl_load_charge(loader, 0, frame->call->n_attribute + function->n_attribute_proto + function->n_attribute);
}

/* Follows ref_attr_name through the calls around. *attribute becomes the one that holds the value, and *scope where its
 * subgraphs look names up; NULL: the call gives none and there is no default, so that it is absent here too. A call's
 * own attribute may turn out absent in the same way: then its function's default counts. */
static tl_status follow(tl_loader *loader, tl_scope **scope, const Onnx__AttributeProto **attribute)
{
    const char *name = tl_text((*attribute)->ref_attr_name);
    if (!*name)
        return TL_OK;
    const tl_frame *frame = (*scope)->frame;
    if (!frame)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "ref_attr_name '%.100s' outside of a function", name);
    const Onnx__AttributeProto *given, *standard, *referring = *attribute;
    tl_status status = look_up(loader, frame, name, &given, &standard);
    if (status != TL_OK)
        return status;
    *attribute = standard;
    if (given) {
        tl_scope *caller = frame->caller;
        status = follow(loader, &caller, &given);
        if (status == TL_OK && given) {
            *attribute = given;
            *scope = caller;
        }
    }
    if (status == TL_OK && *attribute && referring->has_type && referring->type != (*attribute)->type)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "it is of type %d, the attribute '%.100s' of type %d",
                            (int)referring->type, name, (int)(*attribute)->type);
    return status;
}

/* ---- Values */

/* No value but the one that `type` announces. An absent scalar is zero: some writers leave zeros out. */
static tl_status check_fields(tl_loader *loader, const Onnx__AttributeProto *a)
{
    const struct {
        int type;
        bool present;
    } fields[] = {
        {KIND(FLOAT), a->has_f},
        {KIND(INT), a->has_i},
        {KIND(STRING), a->has_s},
        {KIND(TENSOR), a->t != NULL},
        {KIND(GRAPH), a->g != NULL},
        {KIND(SPARSE_TENSOR), a->sparse_tensor != NULL},
        {KIND(TYPE_PROTO), a->tp != NULL},
        {KIND(FLOATS), a->n_floats > 0},
        {KIND(INTS), a->n_ints > 0},
        {KIND(STRINGS), a->n_strings > 0},
        {KIND(TENSORS), a->n_tensors > 0},
        {KIND(GRAPHS), a->n_graphs > 0},
        {KIND(SPARSE_TENSORS), a->n_sparse_tensors > 0},
        {KIND(TYPE_PROTOS), a->n_type_protos > 0},
    };
    bool needs_value = a->type == KIND(TENSOR) || a->type == KIND(GRAPH) || a->type == KIND(SPARSE_TENSOR) ||
                       a->type == KIND(TYPE_PROTO);
    bool known = false;
    for (size_t k = 0; k < TL_COUNT(fields); k++) {
        bool meant = (int)a->type == fields[k].type;
        known |= meant;
        /* Old writers fill scalar fields in with zero beside the one that counts. */
        bool harmless = (fields[k].type == KIND(FLOAT) && a->f == 0) || (fields[k].type == KIND(INT) && a->i == 0) ||
                        (fields[k].type == KIND(STRING) && a->s.len == 0);
        if (fields[k].present && !meant && !harmless)
            return tl_error_set(loader->error, TL_INVALID_MODEL, "it has a value of type %d beside its type %d",
                                fields[k].type, (int)a->type);
        if (meant && needs_value && !fields[k].present)
            return tl_error_set(loader->error, TL_INVALID_MODEL, "it has no value of its type %d", (int)a->type);
    }
    return known ? TL_OK : tl_error_set(loader->error, TL_INVALID_MODEL, "its type is %d", (int)a->type);
}

static tl_status load_lists(tl_loader *loader, const Onnx__AttributeProto *a, tl_attribute *out)
{
    tl_arena *arena = &loader->model->arena;
    if (a->type == KIND(INTS)) {
        int64_t *ints = TL_NEW(arena, int64_t, a->n_ints);
        if (ints && a->n_ints)
            memcpy(ints, a->ints, a->n_ints * sizeof *ints);
        out->u.ints = ints;
        out->count = a->n_ints;
        return ints ? TL_OK : tl_load_no_memory(loader);
    }
    if (a->type == KIND(FLOATS)) {
        float *floats = TL_NEW(arena, float, a->n_floats);
        if (floats && a->n_floats)
            memcpy(floats, a->floats, a->n_floats * sizeof *floats);
        out->u.floats = floats;
        out->count = a->n_floats;
        return floats ? TL_OK : tl_load_no_memory(loader);
    }
    tl_string *strings = TL_NEW(arena, tl_string, a->n_strings);
    for (size_t k = 0; strings && k < a->n_strings; k++)
        if (!tl_copy_bytes(arena, &a->strings[k], &strings[k]))
            return tl_load_no_memory(loader);
    out->u.strings = strings;
    out->count = a->n_strings;
    return strings ? TL_OK : tl_load_no_memory(loader);
}

/* `mapped`: NULL, or a large tensor may stay in the file, and it is said here that it did. */
static tl_status load_tensor(tl_loader *loader, const tl_scope *scope, const Onnx__TensorProto *proto,
                             const tl_tensor **out, bool *mapped)
{
    tl_tensor *tensor = TL_NEW(&loader->model->arena, tl_tensor, 1);
    if (!tensor)
        return tl_load_no_memory(loader);
    bool in_file;
    tl_status status = tl_load_tensor(loader, scope, proto, tensor, &in_file);
    const bool stays = status == TL_OK && mapped && in_file && tl_tensor_bytes(tensor) >= LEAST_MAPPED;
    if (stays)
        *mapped = true;
    else if (status == TL_OK)
        status = tl_tensor_align(&loader->tensors, tensor);
    *out = tensor;
    return status;
}

static tl_status load_tensors(tl_loader *loader, const tl_scope *scope, const Onnx__AttributeProto *a,
                              tl_attribute *out)
{
    const tl_tensor **tensors = TL_NEW(&loader->model->arena, const tl_tensor *, a->n_tensors);
    if (!tensors)
        return tl_load_no_memory(loader);
    out->u.tensors = tensors;
    tl_status status = TL_OK;
    for (size_t k = 0; k < a->n_tensors && status == TL_OK; k++) {
        status = load_tensor(loader, scope, a->tensors[k], &tensors[k], NULL);
        out->count = k + 1;
    }
    return status;
}

static tl_status load_subgraph(tl_loader *loader, tl_scope *scope, tl_node *node, const Onnx__GraphProto *proto,
                               tl_graph **out)
{
    if (node->graph->depth >= TL_MAX_DEPTH)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "more than %d subgraphs inside each other", TL_MAX_DEPTH);
    tl_graph *graph = tl_graph_new(loader->model, node->graph, tl_text(proto->name));
    if (!graph)
        return tl_load_no_memory(loader);
    *out = graph;
    tl_scope inner;
    tl_scope_init(&inner, loader, scope, graph, scope->frame);
    tl_status status = tl_load_note_body(loader, &inner, proto);
    if (status == TL_OK)
        status = tl_load_graph(loader, &inner, proto);
    if (status == TL_OK)
        status = tl_load_note_instance(loader, &inner, proto);
    tl_scope_free(&inner);
    return status;
}

static tl_status load_subgraphs(tl_loader *loader, tl_scope *scope, tl_node *node, const Onnx__AttributeProto *a,
                                tl_attribute *out)
{
    tl_graph **graphs = TL_NEW(&loader->model->arena, tl_graph *, a->n_graphs);
    if (!graphs)
        return tl_load_no_memory(loader);
    out->u.graphs = graphs;
    tl_status status = TL_OK;
    for (size_t k = 0; k < a->n_graphs && status == TL_OK; k++) {
        status = load_subgraph(loader, scope, node, a->graphs[k], &graphs[k]);
        out->count = k + 1;
    }
    return status;
}

static tl_status load_type(tl_loader *loader, const tl_scope *scope, const Onnx__TypeProto *proto, tl_attribute *out)
{
    tl_type_info *info = TL_NEW(&loader->model->arena, tl_type_info, 1);
    if (!info)
        return tl_load_no_memory(loader);
    out->u.type = info;
    return tl_load_type(loader, scope, proto, info);
}

static tl_status load_sparse(tl_loader *loader, const Onnx__SparseTensorProto *proto, tl_attribute *out)
{
    tl_tensor *tensor = TL_NEW(&loader->model->arena, tl_tensor, 1);
    if (!tensor)
        return tl_load_no_memory(loader);
    out->kind = TL_ATTR_TENSOR;
    out->u.tensor = tensor;
    return tl_tensor_read_sparse(&loader->tensors, proto, tensor);
}

static bool is_constant(const tl_node *node)
{
    return !*node->domain && strcmp(node->op_type, "Constant") == 0;
}

static tl_status load_value(tl_loader *loader, tl_scope *scope, tl_node *node, const Onnx__AttributeProto *a,
                            tl_attribute *out)
{
    tl_status status = check_fields(loader, a);
    if (status != TL_OK)
        return status;
    out->kind = (int)a->type;
    out->count = 1;
    switch (a->type) {
    case KIND(FLOAT):
        out->u.f = a->f;
        return TL_OK;
    case KIND(INT):
        out->u.i = a->i;
        return TL_OK;
    case KIND(STRING):
        return tl_copy_bytes(&loader->model->arena, &a->s, &out->u.s) ? TL_OK : tl_load_no_memory(loader);
    case KIND(INTS):
    case KIND(FLOATS):
    case KIND(STRINGS):
        return load_lists(loader, a, out);
    case KIND(TENSOR):
        return load_tensor(loader, scope, a->t, &out->u.tensor, is_constant(node) ? &out->mapped : NULL);
    case KIND(SPARSE_TENSOR):
        return load_sparse(loader, a->sparse_tensor, out);
    case KIND(TENSORS):
        out->count = 0;
        return load_tensors(loader, scope, a, out);
    case KIND(GRAPH):
        return load_subgraph(loader, scope, node, a->g, &out->u.graph);
    case KIND(GRAPHS):
        out->count = 0;
        return load_subgraphs(loader, scope, node, a, out);
    case KIND(TYPE_PROTO):
        return load_type(loader, scope, a->tp, out);
    default:
        return tl_error_set(loader->error, TL_UNSUPPORTED, "attributes of type %d", (int)a->type);
    }
}

tl_status tl_load_check_attributes(tl_loader *loader, const Onnx__NodeProto *proto)
{
    tl_arena arena;
    tl_arena_init(&arena, loader->model->allocator, 0);
    tl_names seen = {.arena = &arena};
    tl_status status = TL_OK;
    for (size_t k = 0; k < proto->n_attribute && status == TL_OK; k++) {
        const char *name = tl_text(proto->attribute[k]->name);
        if (!*name)
            status = tl_error_set(loader->error, TL_INVALID_MODEL, "attribute number %zu has no name", k);
        else if (proto->n_attribute <= FEW ? find(proto->attribute, k, name) != NULL
                                           : tl_names_find(&seen, name, strlen(name)) != NULL)
            status = tl_error_set(loader->error, TL_INVALID_MODEL, "the attribute '%.100s' is there twice", name);
        else if (proto->n_attribute > FEW && !tl_names_add(&seen, name, strlen(name), NULL))
            status = tl_load_no_memory(loader);
    }
    tl_arena_free(&arena);
    return status;
}

tl_status tl_load_attributes(tl_loader *loader, tl_scope *scope, tl_node *node, const Onnx__NodeProto *proto)
{
    node->attribute_count = 0;
    for (size_t k = 0; k < proto->n_attribute; k++) {
        const Onnx__AttributeProto *value = proto->attribute[k];
        const char *name = value->name;
        tl_scope *value_scope = scope;
        tl_status status = follow(loader, &value_scope, &value);
        if (status == TL_OK && value) {
            tl_attribute *out = &node->attributes[node->attribute_count++];
            out->name = tl_arena_string(&loader->model->arena, name);
            status = out->name ? load_value(loader, value_scope, node, value, out) : tl_load_no_memory(loader);
        }
        if (status != TL_OK && !loader->located)
            tl_error_prefix(loader->error, "attribute '%.100s'", name);
        if (status != TL_OK)
            return status;
    }
    return tl_node_list_graphs(node) ? TL_OK : tl_load_no_memory(loader);
}
