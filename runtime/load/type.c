#include "load/loader.h"

static tl_status load_symbol(tl_loader *loader, const char *name, tl_dim *dim)
{
    size_t size = strlen(name);
    tl_names_entry *known = tl_names_find(&loader->symbols, name, size);
    if (known) {
        *dim = -1 - (tl_dim)(uintptr_t)known->value;
        return TL_OK;
    }
    *dim = tl_model_symbol(loader->model, name);
    if (*dim == TL_DIM_UNKNOWN)
        return tl_load_no_memory(loader);
    const char *copy = tl_model_symbol_name(loader->model, *dim);
    void *number = (void *)(uintptr_t)(-1 - *dim);
    return tl_names_add(&loader->symbols, copy, size, number) ? TL_OK : tl_load_no_memory(loader);
}

/* Symbols hold for a run of the main graph. A body runs many times, and a function in many places: there they are only
 * unknown sizes. Many exporters write a negative size for an unknown one. */
static tl_status load_dim(tl_loader *loader, const tl_scope *scope, const Onnx__TensorShapeProto__Dimension *proto,
                          tl_dim *dim)
{
    *dim = TL_DIM_UNKNOWN;
    if (proto->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) {
        if (proto->dim_value >= 0)
            *dim = proto->dim_value;
        return TL_OK;
    }
    bool named =
        proto->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && *tl_text(proto->dim_param);
    if (!named || scope->function || scope->parent)
        return TL_OK;
    return load_symbol(loader, proto->dim_param, dim);
}

static tl_status load_tensor_type(tl_loader *loader, const tl_scope *scope, const Onnx__TypeProto__Tensor *proto,
                                  tl_tensor *tensor)
{
    *tensor = (tl_tensor){.rank = TL_RANK_UNKNOWN};
    tl_status status = tl_tensor_type(proto->elem_type, &tensor->type, loader->error);
    if (status != TL_OK || !proto->shape)
        return status;
    if (proto->shape->n_dim > TL_MAX_RANK)
        return tl_error_set(loader->error, TL_UNSUPPORTED, "rank %zu, more than %d", proto->shape->n_dim, TL_MAX_RANK);
    tensor->rank = (int32_t)proto->shape->n_dim;
    for (int32_t k = 0; k < tensor->rank && status == TL_OK; k++)
        status = load_dim(loader, scope, proto->shape->dim[k], &tensor->dims[k]);
    return status;
}

static tl_status load_element(tl_loader *loader, const tl_scope *scope, const Onnx__TypeProto *proto,
                              const tl_type_info **element)
{
    if (!proto)
        return TL_OK;
    tl_type_info *info = TL_NEW(&loader->model->arena, tl_type_info, 1);
    if (!info)
        return tl_load_no_memory(loader);
    *element = info;
    return tl_load_type(loader, scope, proto, info);
}

tl_status tl_load_type(tl_loader *loader, const tl_scope *scope, const Onnx__TypeProto *proto, tl_type_info *info)
{
    *info = (tl_type_info){.kind = TL_KIND_TENSOR, .tensor = {.rank = TL_RANK_UNKNOWN}};
    switch (proto->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        return load_tensor_type(loader, scope, proto->tensor_type, &info->tensor);
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        info->kind = TL_KIND_SEQUENCE;
        return load_element(loader, scope, proto->sequence_type->elem_type, &info->element);
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        info->kind = TL_KIND_OPTIONAL;
        return load_element(loader, scope, proto->optional_type->elem_type, &info->element);
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE: {
        info->kind = TL_KIND_MAP;
        tl_status status = tl_tensor_type(proto->map_type->key_type, &info->tensor.type, loader->error);
        return status == TL_OK ? load_element(loader, scope, proto->map_type->value_type, &info->element) : status;
    }
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        return tl_error_set(loader->error, TL_UNSUPPORTED, "a value that is a sparse tensor");
    case ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE:
        return tl_error_set(loader->error, TL_UNSUPPORTED, "a value of an opaque type");
    default:
        return tl_error_set(loader->error, TL_INVALID_MODEL, "a type that says nothing");
    }
}

tl_status tl_load_value_type(tl_loader *loader, const tl_scope *scope, tl_value *value, const Onnx__TypeProto *proto,
                             bool required)
{
    bool known = value->type || value->tensor.type != TL_UNDEFINED || value->kind != TL_KIND_TENSOR;
    if (known || (!proto && !required))
        return TL_OK;
    if (!proto)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "it has no type");
    tl_type_info info;
    tl_status status = tl_load_type(loader, scope, proto, &info);
    if (status == TL_NO_MEMORY || (status != TL_OK && required))
        return status;
    if (status != TL_OK)
        return TL_OK;
    value->kind = info.kind;
    if (info.kind == TL_KIND_TENSOR) {
        value->tensor = info.tensor;
        return TL_OK;
    }
    tl_type_info *copy = TL_NEW(&loader->model->arena, tl_type_info, 1);
    if (!copy)
        return tl_load_no_memory(loader);
    *copy = info;
    value->type = copy;
    if (info.element && info.element->kind == TL_KIND_TENSOR)
        value->tensor = info.element->tensor;
    return TL_OK;
}
