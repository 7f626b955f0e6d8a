#include "load/tensor.h"

/* The fields of a TensorProto that can hold elements. */
typedef enum field {
    FIELD_RAW,
    FIELD_FLOAT,
    FIELD_INT32,
    FIELD_INT64,
    FIELD_DOUBLE,
    FIELD_UINT64,
    FIELD_STRING,
    FIELD_EXTERNAL,
    FIELD_COUNT
} field;

static const char *const field_names[FIELD_COUNT] = {"raw_data",    "float_data",  "int32_data",  "int64_data",
                                                     "double_data", "uint64_data", "string_data", "external_data"};

tl_status tl_tensor_type(int32_t data_type, tl_type *type, tl_error *error)
{
    if (data_type <= TL_UNDEFINED || data_type >= TL_TYPE_COUNT)
        return tl_error_set(error, TL_INVALID_MODEL, "%d is no element type", (int)data_type);
    *type = (tl_type)data_type;
    return TL_OK;
}

/* The typed field that the standard names for an element type. */
static field typed_field(tl_type type)
{
    switch (type) {
    case TL_FLOAT:
    case TL_COMPLEX64:
        return FIELD_FLOAT;
    case TL_DOUBLE:
    case TL_COMPLEX128:
        return FIELD_DOUBLE;
    case TL_INT64:
        return FIELD_INT64;
    case TL_UINT32:
    case TL_UINT64:
        return FIELD_UINT64;
    case TL_STRING:
        return FIELD_STRING;
    default:
        return FIELD_INT32;
    }
}

static size_t field_size(const Onnx__TensorProto *proto, field which)
{
    switch (which) {
    case FIELD_RAW:
        return proto->raw_data.len;
    case FIELD_FLOAT:
        return proto->n_float_data;
    case FIELD_INT32:
        return proto->n_int32_data;
    case FIELD_INT64:
        return proto->n_int64_data;
    case FIELD_DOUBLE:
        return proto->n_double_data;
    case FIELD_UINT64:
        return proto->n_uint64_data;
    case FIELD_STRING:
        return proto->n_string_data;
    default:
        return proto->n_external_data;
    }
}

/* The field that holds the elements: one has any, or none. */
static tl_status find_field(const Onnx__TensorProto *proto, tl_type type, field *which, tl_error *error)
{
    bool external = proto->has_data_location && proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    if (proto->has_data_location && proto->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL &&
        proto->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT)
        return tl_error_set(error, TL_INVALID_MODEL, "%d is no data_location", (int)proto->data_location);
    *which = external ? FIELD_EXTERNAL : typed_field(type);
    if (*which == FIELD_EXTERNAL && type == TL_STRING)
        return tl_error_set(error, TL_INVALID_MODEL, "strings cannot be external data");
    bool found = external;
    for (field k = FIELD_RAW; k < FIELD_EXTERNAL; k++) {
        if (field_size(proto, k) == 0)
            continue;
        if (found)
            return tl_error_set(error, TL_INVALID_MODEL, "elements both in %s and in %s", field_names[*which],
                                field_names[k]);
        if (k != FIELD_RAW && k != typed_field(type))
            return tl_error_set(error, TL_INVALID_MODEL, "%s elements in %s", tl_type_name(type), field_names[k]);
        if (k == FIELD_RAW && type == TL_STRING)
            return tl_error_set(error, TL_INVALID_MODEL, "strings cannot be raw_data");
        found = true;
        *which = k;
    }
    return TL_OK;
}

static tl_status read_dims(const tl_tensor_reader *reader, const int64_t *dims, size_t count, tl_tensor *tensor,
                           int64_t *bytes)
{
    if (count > TL_MAX_RANK)
        return tl_error_set(reader->error, TL_UNSUPPORTED, "rank %zu, more than %d", count, TL_MAX_RANK);
    tensor->rank = (int32_t)count;
    for (size_t k = 0; k < count; k++) {
        if (dims[k] < 0)
            return tl_error_set(reader->error, TL_INVALID_MODEL, "dimension %zu is %lld", k, (long long)dims[k]);
        tensor->dims[k] = dims[k];
    }
    *bytes = tl_tensor_bytes(tensor);
    if (*bytes < 0)
        return tl_error_set(reader->error, TL_INVALID_MODEL, "the product of its dimensions overflows");
    if ((uint64_t)*bytes > reader->max_bytes)
        return tl_error_set(reader->error, TL_NO_MEMORY, "%lld bytes, more than the limit of %zu", (long long)*bytes,
                            reader->max_bytes);
    return TL_OK;
}

/* ---- Typed fields */

/* What int32_data may hold for a type: the type's values, or its bits as an unsigned number. Bytes of packed types may
 * also have been written as signed. */
static void int32_range(tl_type type, int32_t *least, int32_t *most)
{
    size_t bits = tl_is_six_bits(type) ? 6 : tl_type_bits(type);
    switch (type) {
    case TL_INT32:
        *least = INT32_MIN;
        *most = INT32_MAX;
        return;
    case TL_INT8:
    case TL_INT16:
        *least = -(1 << (bits - 1));
        *most = (1 << (bits - 1)) - 1;
        return;
    case TL_BOOL:
        *least = 0;
        *most = 1;
        return;
    case TL_UINT4:
    case TL_INT4:
    case TL_FLOAT4E2M1:
    case TL_UINT2:
    case TL_INT2:
        *least = INT8_MIN;
        *most = UINT8_MAX;
        return;
    default:
        *least = 0;
        *most = (1 << bits) - 1;
    }
}

static tl_status read_int32(const tl_tensor_reader *reader, const Onnx__TensorProto *proto, tl_tensor *tensor)
{
    int32_t least, most;
    int32_range(tensor->type, &least, &most);
    size_t size = tl_type_bits(tensor->type) / 8;
    for (size_t k = 0; k < proto->n_int32_data; k++) {
        int32_t value = proto->int32_data[k];
        if (value < least || value > most)
            return tl_error_set(reader->error, TL_INVALID_MODEL, "int32_data[%zu] is %d, which does not fit %s", k,
                                (int)value, tl_type_name(tensor->type));
        size_t wide = size ? size : 1; /* packed types: whole bytes */
        memcpy((char *)tensor->data + k * wide, &value, wide);
    }
    return TL_OK;
}

static tl_status read_uint64(const tl_tensor_reader *reader, const Onnx__TensorProto *proto, tl_tensor *tensor)
{
    size_t size = tl_type_bits(tensor->type) / 8;
    for (size_t k = 0; k < proto->n_uint64_data; k++) {
        uint64_t value = proto->uint64_data[k];
        if (size == 4 && value > UINT32_MAX)
            return tl_error_set(reader->error, TL_INVALID_MODEL, "uint64_data[%zu] is %llu, which does not fit uint32",
                                k, (unsigned long long)value);
        memcpy((char *)tensor->data + k * size, &value, size);
    }
    return TL_OK;
}

bool tl_copy_bytes(tl_arena *arena, const ProtobufCBinaryData *bytes, tl_string *copy)
{
    copy->size = bytes->len;
    copy->data = tl_arena_bytes(arena, (const char *)bytes->data, bytes->len);
    return copy->data != NULL;
}

static tl_status read_strings(tl_tensor_reader *reader, const Onnx__TensorProto *proto, tl_tensor *tensor)
{
    tl_string *strings = tensor->data;
    for (size_t k = 0; k < proto->n_string_data; k++)
        if (!tl_copy_bytes(reader->arena, &proto->string_data[k], &strings[k]))
            return tl_error_no_memory(reader->error);
    return TL_OK;
}

/* How many entries a typed field must have: the packed types' bytes, two for a complex number, else one each. */
static int64_t typed_count(const tl_tensor *tensor, int64_t bytes)
{
    size_t bits = tl_type_bits(tensor->type);
    int64_t elements = tl_tensor_elements(tensor);
    if (bits < 8)
        return bytes;
    /* Cannot overflow: there are more bytes than that. */
    return tensor->type == TL_COMPLEX64 || tensor->type == TL_COMPLEX128 ? elements * 2 : elements;
}

static tl_status read_typed(tl_tensor_reader *reader, const Onnx__TensorProto *proto, field which, int64_t bytes,
                            tl_tensor *tensor)
{
    int64_t count = typed_count(tensor, bytes);
    if ((uint64_t)count != field_size(proto, which))
        return tl_error_set(reader->error, TL_INVALID_MODEL, "%zu entries in %s where type and shape take %lld",
                            field_size(proto, which), field_names[which], (long long)count);
    if (bytes == 0)
        return TL_OK;
    tensor->data = tl_arena_alloc(reader->arena, (size_t)bytes, 1, TL_ALIGNMENT);
    if (!tensor->data)
        return tl_error_no_memory(reader->error);
    switch (which) {
    case FIELD_FLOAT:
        memcpy(tensor->data, proto->float_data, (size_t)bytes);
        return TL_OK;
    case FIELD_DOUBLE:
        memcpy(tensor->data, proto->double_data, (size_t)bytes);
        return TL_OK;
    case FIELD_INT64:
        memcpy(tensor->data, proto->int64_data, (size_t)bytes);
        return TL_OK;
    case FIELD_UINT64:
        return read_uint64(reader, proto, tensor);
    case FIELD_STRING:
        return read_strings(reader, proto, tensor);
    default:
        return read_int32(reader, proto, tensor);
    }
}

/* ---- Raw bytes */

/* A C bool that is neither 0 nor 1 is undefined behaviour for whoever reads it as one. */
static tl_status check_bools(const tl_tensor_reader *reader, const tl_tensor *tensor, int64_t bytes)
{
    const uint8_t *data = tensor->data;
    for (int64_t k = 0; data && k < bytes; k++)
        if (data[k] > 1)
            return tl_error_set(reader->error, TL_INVALID_MODEL, "element %lld of a bool tensor is the byte %d",
                                (long long)k, (int)data[k]);
    return TL_OK;
}

static tl_status read_raw(const tl_tensor_reader *reader, const Onnx__TensorProto *proto, int64_t bytes,
                          tl_tensor *tensor)
{
    if (proto->raw_data.len != (uint64_t)bytes)
        return tl_error_set(reader->error, TL_INVALID_MODEL, "%zu bytes of raw_data where type and shape take %lld",
                            proto->raw_data.len, (long long)bytes);
    tensor->data = proto->raw_data.data;
    return TL_OK;
}

/* Room for elements that are in a file as they are. The arena's limit is about what a small file can grow to. */
static void *copy_room(const tl_tensor_reader *reader, size_t bytes)
{
    if (reader->arena->limit && !tl_add_size(reader->arena->limit, bytes, &reader->arena->limit))
        return NULL;
    return tl_arena_alloc(reader->arena, bytes, 1, TL_ALIGNMENT);
}

/* Elements of six bits, from the file's bytes to one in a byte. */
static tl_status unpack(const tl_tensor_reader *reader, tl_tensor *tensor, int64_t bytes)
{
    if (!tensor->data)
        return TL_OK;
    void *elements = copy_room(reader, (size_t)bytes);
    if (!elements)
        return tl_error_no_memory(reader->error);
    tl_unpack_six(tensor->data, bytes, elements);
    tensor->data = elements;
    return TL_OK;
}

tl_status tl_tensor_read(tl_tensor_reader *reader, const Onnx__TensorProto *proto, tl_tensor *tensor, bool *mapped)
{
    *tensor = (tl_tensor){.data = NULL};
    *mapped = false;
    tl_status status = tl_tensor_type(proto->data_type, &tensor->type, reader->error);
    if (status != TL_OK)
        return status;
    if (proto->segment)
        return tl_error_set(reader->error, TL_UNSUPPORTED, "a tensor stored in segments");
    int64_t bytes = 0;
    status = read_dims(reader, proto->dims, proto->n_dims, tensor, &bytes);
    field which = FIELD_RAW;
    if (status == TL_OK)
        status = find_field(proto, tensor->type, &which, reader->error);
    if (status != TL_OK)
        return status;
    const int64_t stored = tl_stored_bytes(tensor->type, tl_tensor_elements(tensor));
    if (which == FIELD_EXTERNAL) {
        const void *data = NULL;
        status = tl_external_find(reader, proto, stored, &data, mapped);
        tensor->data = (void *)(uintptr_t)data;
    } else if (which == FIELD_RAW) {
        *mapped = reader->mapped;
        status = read_raw(reader, proto, stored, tensor);
    } else {
        status = read_typed(reader, proto, which, bytes, tensor);
    }
    if (status == TL_OK && tl_is_six_bits(tensor->type) && (which == FIELD_EXTERNAL || which == FIELD_RAW)) {
        *mapped = false;
        status = unpack(reader, tensor, bytes);
    }
    if (status == TL_OK && tensor->type == TL_BOOL)
        status = check_bools(reader, tensor, bytes);
    return status;
}

tl_status tl_tensor_align(tl_tensor_reader *reader, tl_tensor *tensor)
{
    size_t alignment = tl_type_bits(tensor->type) / 8;
    if (!tensor->data || tensor->type == TL_STRING || alignment <= 1 || (uintptr_t)tensor->data % alignment == 0)
        return TL_OK;
    size_t bytes = (size_t)tl_tensor_bytes(tensor);
    void *copy = copy_room(reader, bytes);
    if (!copy)
        return tl_error_no_memory(reader->error);
    memcpy(copy, tensor->data, bytes);
    tensor->data = copy;
    return TL_OK;
}

/* ---- Sparse */

/* Flat index of the k-th value, checked to lie in the tensor. */
static tl_status flat_index(const tl_tensor_reader *reader, const tl_tensor *dense, const tl_tensor *indices, int64_t k,
                            int64_t *flat)
{
    const int64_t *index = indices->data;
    bool linear = indices->rank == 1;
    int64_t elements = tl_tensor_elements(dense);
    *flat = linear ? index[k] : 0;
    bool inside = *flat >= 0 && *flat < elements;
    for (int32_t axis = 0; !linear && inside && axis < dense->rank; axis++) {
        int64_t i = index[k * dense->rank + axis];
        inside = i >= 0 && i < dense->dims[axis];
        *flat = *flat * dense->dims[axis] + (inside ? i : 0);
    }
    return inside ? TL_OK
                  : tl_error_set(reader->error, TL_INVALID_MODEL, "sparse index %lld lies outside of the dense shape",
                                 (long long)k);
}

static tl_status check_sparse(const tl_tensor_reader *reader, const tl_tensor *dense, const tl_tensor *values,
                              const tl_tensor *indices)
{
    if (values->rank != 1)
        return tl_error_set(reader->error, TL_INVALID_MODEL, "values of a sparse tensor of rank %d, not 1",
                            (int)values->rank);
    if (tl_type_bits(values->type) < 8)
        return tl_error_set(reader->error, TL_UNSUPPORTED, "a sparse tensor of %s", tl_type_name(values->type));
    bool shaped = (indices->rank == 1 || (indices->rank == 2 && indices->dims[1] == dense->rank)) &&
                  indices->dims[0] == values->dims[0];
    if (indices->type != TL_INT64 || !shaped)
        return tl_error_set(reader->error, TL_INVALID_MODEL,
                            "indices of a sparse tensor must be int64, [count] or [count, rank], as many as values");
    return TL_OK;
}

static tl_status scatter(const tl_tensor_reader *reader, tl_tensor *dense, const tl_tensor *values,
                         const tl_tensor *indices)
{
    size_t size = tl_type_bits(values->type) / 8;
    int64_t last = -1;
    for (int64_t k = 0; k < values->dims[0]; k++) {
        int64_t flat;
        tl_status status = flat_index(reader, dense, indices, k, &flat);
        if (status != TL_OK)
            return status;
        if (flat <= last)
            return tl_error_set(reader->error, TL_INVALID_MODEL, "sparse index %lld is not above the one before it",
                                (long long)k);
        memcpy((char *)dense->data + (size_t)flat * size, (const char *)values->data + (size_t)k * size, size);
        last = flat;
    }
    return TL_OK;
}

tl_status tl_tensor_read_sparse(tl_tensor_reader *reader, const Onnx__SparseTensorProto *proto, tl_tensor *tensor)
{
    *tensor = (tl_tensor){.data = NULL};
    if (!proto->values || !proto->indices)
        return tl_error_set(reader->error, TL_INVALID_MODEL, "a sparse tensor without values or indices");
    tl_tensor values = {.data = NULL}, indices = {.data = NULL};
    bool mapped;
    tl_status status = tl_tensor_read(reader, proto->values, &values, &mapped);
    if (status == TL_OK)
        status = tl_tensor_read(reader, proto->indices, &indices, &mapped);
    if (status == TL_OK)
        status = tl_tensor_align(reader, &indices);
    int64_t bytes = 0;
    if (status == TL_OK) {
        tensor->type = values.type;
        status = read_dims(reader, proto->dims, proto->n_dims, tensor, &bytes);
    }
    if (status == TL_OK)
        status = check_sparse(reader, tensor, &values, &indices);
    if (status != TL_OK)
        return status;
    if (bytes > reader->dense_budget)
        return tl_error_set(reader->error, TL_NO_MEMORY,
                            "sparse tensors grow to more than a file of this size may (%lld more bytes)",
                            (long long)bytes);
    reader->dense_budget -= bytes;
    if (reader->arena->limit && !tl_add_size(reader->arena->limit, (size_t)bytes, &reader->arena->limit))
        return tl_error_no_memory(reader->error);
    if (bytes == 0) /* also keeps an index out of an empty tensor from being looked for */
        return values.dims[0] == 0 ? TL_OK
                                   : tl_error_set(reader->error, TL_INVALID_MODEL, "sparse values of an empty tensor");
    tensor->data = tl_arena_alloc(reader->arena, (size_t)bytes, 1, TL_ALIGNMENT);
    return tensor->data ? scatter(reader, tensor, &values, &indices) : tl_error_no_memory(reader->error);
}
