#include "load/tensor_file.h"
#include "load/source.h"
#include "load/tensor.h"
#include "load/wire.h"
#include "onnx-data.pb-c.h"

#define MAX_TENSOR ((size_t)16 << 30)
/* Sparse tensors may grow to so much. */
#define DENSE_BUDGET ((int64_t)256 << 20)

/* The numbers of SequenceProto.DataType and OptionalProto.DataType. */
#define ELEMENT(name) ((int)ONNX__SEQUENCE_PROTO__DATA_TYPE__##name)

struct tl_tensor_file {
    const tl_allocator *allocator;
    tl_arena arena;
    tl_source source;
    tl_mapping *mappings; /* stays NULL: nothing external */
    tl_file_value value;
};

static tl_status read_sequence(tl_tensor_reader *reader, const Onnx__SequenceProto *proto, tl_file_value *value);
static tl_status read_map(tl_tensor_reader *reader, const Onnx__MapProto *proto, tl_file_value *value);
static tl_status read_optional(tl_tensor_reader *reader, const Onnx__OptionalProto *proto, tl_file_value *value);

static tl_status start(tl_tensor_reader *reader, tl_file_value *value, tl_kind kind, const char *name)
{
    *value = (tl_file_value){.kind = kind};
    value->name = tl_arena_string(reader->arena, name ? name : "");
    return value->name ? TL_OK : tl_error_no_memory(reader->error);
}

static tl_status read_tensor(tl_tensor_reader *reader, const Onnx__TensorProto *proto, tl_file_value *value)
{
    bool mapped;
    tl_status status = start(reader, value, TL_KIND_TENSOR, proto->name);
    if (status == TL_OK)
        status = tl_tensor_read(reader, proto, &value->tensor, &mapped);
    return status == TL_OK ? tl_tensor_align(reader, &value->tensor) : status;
}

static tl_status read_sparse(tl_tensor_reader *reader, const Onnx__SparseTensorProto *proto, tl_file_value *value)
{
    tl_status status = start(reader, value, TL_KIND_TENSOR, proto->values ? proto->values->name : NULL);
    return status == TL_OK ? tl_tensor_read_sparse(reader, proto, &value->tensor) : status;
}

/* The k-th element of the list that elem_type names. */
static tl_status read_element(tl_tensor_reader *reader, const Onnx__SequenceProto *proto, size_t k,
                              tl_file_value *value)
{
    if (proto->elem_type == ELEMENT(TENSOR))
        return read_tensor(reader, proto->tensor_values[k], value);
    if (proto->elem_type == ELEMENT(SPARSE_TENSOR))
        return read_sparse(reader, proto->sparse_tensor_values[k], value);
    if (proto->elem_type == ELEMENT(SEQUENCE))
        return read_sequence(reader, proto->sequence_values[k], value);
    if (proto->elem_type == ELEMENT(MAP))
        return read_map(reader, proto->map_values[k], value);
    return read_optional(reader, proto->optional_values[k], value);
}

static tl_status read_sequence(tl_tensor_reader *reader, const Onnx__SequenceProto *proto, tl_file_value *value)
{
    const size_t counts[] = {0,
                             proto->n_tensor_values,
                             proto->n_sparse_tensor_values,
                             proto->n_sequence_values,
                             proto->n_map_values,
                             proto->n_optional_values};
    tl_status status = start(reader, value, TL_KIND_SEQUENCE, proto->name);
    if (status != TL_OK)
        return status;
    int type = proto->elem_type;
    if (type < 0 || (size_t)type >= TL_COUNT(counts))
        return tl_error_set(reader->error, TL_INVALID_MODEL, "%d is no element type of a sequence", type);
    for (int k = 0; k < (int)TL_COUNT(counts); k++)
        if (counts[k] && k != type)
            return tl_error_set(reader->error, TL_INVALID_MODEL, "a sequence of type %d has elements of type %d", type,
                                k);
    value->elements = TL_NEW(reader->arena, tl_file_value, counts[type]);
    if (!value->elements)
        return tl_error_no_memory(reader->error);
    value->count = counts[type];
    for (size_t k = 0; k < value->count && status == TL_OK; k++) {
        status = read_element(reader, proto, k, &value->elements[k]);
        if (status != TL_OK)
            tl_error_prefix(reader->error, "element %zu", k);
    }
    return status;
}

/* Keys of every integer type are stored as int64; those of uint64 as its bits. */
static bool key_fits(tl_type type, int64_t key)
{
    size_t bits = tl_type_bits(type);
    if (bits == 64)
        return true;
    if (TL_T(type) & TL_T_UNSIGNED)
        return key >= 0 && key < (int64_t)1 << bits;
    return key >= -((int64_t)1 << (bits - 1)) && key < (int64_t)1 << (bits - 1);
}

static tl_status read_keys(tl_tensor_reader *reader, const Onnx__MapProto *proto, tl_tensor *keys)
{
    *keys = (tl_tensor){.rank = 1};
    tl_status status = tl_tensor_type(proto->key_type, &keys->type, reader->error);
    if (status != TL_OK)
        return status;
    bool strings = keys->type == TL_STRING;
    if (!strings && !(TL_T(keys->type) & TL_T_INTEGERS))
        return tl_error_set(reader->error, TL_INVALID_MODEL, "a map with keys of type %s", tl_type_name(keys->type));
    if (strings ? proto->n_keys > 0 : proto->n_string_keys > 0)
        return tl_error_set(reader->error, TL_INVALID_MODEL, "keys of a map that are not of its key_type");
    size_t count = strings ? proto->n_string_keys : proto->n_keys;
    size_t size = tl_type_bits(keys->type) / 8;
    keys->dims[0] = (tl_dim)count;
    char *data = tl_arena_alloc(reader->arena, count, size, TL_ALIGNMENT);
    if (!data)
        return tl_error_no_memory(reader->error);
    keys->data = data;
    for (size_t k = 0; k < count; k++) {
        if (strings) {
            if (!tl_copy_bytes(reader->arena, &proto->string_keys[k], (tl_string *)keys->data + k))
                return tl_error_no_memory(reader->error);
        } else if (!key_fits(keys->type, proto->keys[k])) {
            return tl_error_set(reader->error, TL_INVALID_MODEL, "the key %lld does not fit %s",
                                (long long)proto->keys[k], tl_type_name(keys->type));
        } else {
            memcpy(data + k * size, &proto->keys[k], size); /* the low bytes */
        }
    }
    return TL_OK;
}

static tl_status read_map(tl_tensor_reader *reader, const Onnx__MapProto *proto, tl_file_value *value)
{
    tl_status status = start(reader, value, TL_KIND_MAP, proto->name);
    if (status == TL_OK)
        status = read_keys(reader, proto, &value->tensor);
    if (status != TL_OK)
        return status;
    tl_file_value values = {.count = 0};
    if (proto->values)
        status = read_sequence(reader, proto->values, &values);
    if (status != TL_OK)
        return status;
    if (values.count != (size_t)value->tensor.dims[0])
        return tl_error_set(reader->error, TL_INVALID_MODEL, "a map of %zu values for %lld keys", values.count,
                            (long long)value->tensor.dims[0]);
    value->count = values.count;
    value->elements = values.elements;
    return TL_OK;
}

static tl_status read_optional(tl_tensor_reader *reader, const Onnx__OptionalProto *proto, tl_file_value *value)
{
    const bool present[] = {false,
                            proto->tensor_value,
                            proto->sparse_tensor_value,
                            proto->sequence_value,
                            proto->map_value,
                            proto->optional_value};
    tl_status status = start(reader, value, TL_KIND_OPTIONAL, proto->name);
    if (status != TL_OK)
        return status;
    int type = proto->elem_type;
    if (type < 0 || (size_t)type >= TL_COUNT(present))
        return tl_error_set(reader->error, TL_INVALID_MODEL, "%d is no element type of an optional", type);
    for (int k = 0; k < (int)TL_COUNT(present); k++)
        if (present[k] && k != type)
            return tl_error_set(reader->error, TL_INVALID_MODEL, "an optional of type %d has a value of type %d", type,
                                k);
    if (!present[type])
        return TL_OK;
    value->elements = TL_NEW(reader->arena, tl_file_value, 1);
    if (!value->elements)
        return tl_error_no_memory(reader->error);
    value->count = 1;
    if (type == ELEMENT(TENSOR))
        return read_tensor(reader, proto->tensor_value, value->elements);
    if (type == ELEMENT(SPARSE_TENSOR))
        return read_sparse(reader, proto->sparse_tensor_value, value->elements);
    if (type == ELEMENT(SEQUENCE))
        return read_sequence(reader, proto->sequence_value, value->elements);
    if (type == ELEMENT(MAP))
        return read_map(reader, proto->map_value, value->elements);
    return read_optional(reader, proto->optional_value, value->elements);
}

static const ProtobufCMessageDescriptor *descriptor_of(tl_kind kind)
{
    switch (kind) {
    case TL_KIND_SEQUENCE:
        return &onnx__sequence_proto__descriptor;
    case TL_KIND_OPTIONAL:
        return &onnx__optional_proto__descriptor;
    case TL_KIND_MAP:
        return &onnx__map_proto__descriptor;
    default:
        return &onnx__tensor_proto__descriptor;
    }
}

static tl_status read_value(tl_tensor_reader *reader, const ProtobufCMessage *message, tl_kind kind,
                            tl_file_value *value)
{
    const void *proto = message;
    switch (kind) {
    case TL_KIND_SEQUENCE:
        return read_sequence(reader, proto, value);
    case TL_KIND_OPTIONAL:
        return read_optional(reader, proto, value);
    case TL_KIND_MAP:
        return read_map(reader, proto, value);
    default:
        return read_tensor(reader, proto, value);
    }
}

static tl_status parse(tl_tensor_file *file, const void *data, size_t size, tl_kind kind, tl_error *error)
{
    tl_arena scratch;
    tl_arena_init(&scratch, file->allocator, 0);
    tl_tensor_reader reader = {.arena = &file->arena,
                               .max_bytes = MAX_TENSOR,
                               .no_folder = "files of one value have none",
                               .files = {.arena = &scratch},
                               .mappings = &file->mappings,
                               .dense_budget = DENSE_BUDGET,
                               .error = error};
    ProtobufCMessage *message;
    /* Typed fields count here, and a file of one value is little else. */
    tl_status status = tl_wire_unpack(data, size, descriptor_of(kind), MAX_TENSOR, &scratch, &message, error);
    if (status == TL_OK)
        status = read_value(&reader, message, kind, &file->value);
    tl_arena_free(&scratch);
    return status;
}

static tl_tensor_file *new_file(const tl_allocator *allocator)
{
    tl_tensor_file *file = tl_memory_alloc(allocator, sizeof *file, _Alignof(tl_tensor_file));
    if (file) {
        *file = (tl_tensor_file){.allocator = allocator};
        tl_arena_init(&file->arena, allocator, 0);
    }
    return file;
}

/* Hands the file over, or frees it. */
static tl_status deliver(tl_status status, const char *name, tl_tensor_file *read, tl_tensor_file **file,
                         const tl_file_value **value, tl_error *error)
{
    if (status == TL_OK) {
        *file = read;
        *value = &read->value;
        return TL_OK;
    }
    tl_error_prefix(error, "%.300s", name);
    tl_tensor_file_free(read);
    return status;
}

tl_status tl_tensor_file_parse(const tl_allocator *allocator, const char *name, const void *data, size_t size,
                               tl_kind kind, tl_tensor_file **file, const tl_file_value **value, tl_error *error)
{
    *file = NULL;
    *value = NULL;
    tl_tensor_file *read = new_file(allocator);
    tl_status status = read ? parse(read, data, size, kind, error) : tl_error_no_memory(error);
    return deliver(status, name, read, file, value, error);
}

tl_status tl_tensor_file_read(const tl_allocator *allocator, const char *path, tl_kind kind, tl_tensor_file **file,
                              const tl_file_value **value, tl_error *error)
{
    *file = NULL;
    *value = NULL;
    tl_tensor_file *read = new_file(allocator);
    tl_status status = read ? tl_source_open(&read->source, allocator, path, error) : tl_error_no_memory(error);
    if (status == TL_OK)
        status = parse(read, read->source.mapping.data, read->source.mapping.size, kind, error);
    return deliver(status, path, read, file, value, error);
}

void tl_tensor_file_free(tl_tensor_file *file)
{
    if (!file)
        return;
    tl_source_close(&file->source.mapping);
    tl_arena_free(&file->arena);
    tl_memory_free(file->allocator, file);
}
