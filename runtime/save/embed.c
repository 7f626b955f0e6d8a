/* Takes external tensors into the file. The only part that sees the generated header: the schema says where in a model
 * tensors can be. */
#include "load/tensor.h"
#include "load/wire.h"
#include "onnx.pb-c.h"
#include "save/edit.h"

typedef struct embedding {
    tl_edit *edit;
    tl_tensor_reader reader;
    int depth;
} embedding;

static tl_status embed(embedding *e, tl_span message, const ProtobufCMessageDescriptor *type, tl_rope *rope,
                       bool *changed);

/* Everything of the TensorProto but where its elements were, and the elements. */
static tl_status embed_tensor(embedding *e, tl_span message, tl_rope *rope)
{
    enum { RAW_DATA = 9, EXTERNAL_DATA = 13, DATA_LOCATION = 14 };
    tl_edit *edit = e->edit;
    tl_arena *scratch = TL_NEW(&edit->arena, tl_arena, 1);
    if (!scratch)
        return tl_error_no_memory(edit->error);
    tl_arena_init(scratch, &edit->runtime->allocator, 0);
    ProtobufCMessage *proto;
    tl_status status =
        tl_wire_unpack(message.data, message.size, &onnx__tensor_proto__descriptor, 0, scratch, &proto, edit->error);
    tl_tensor tensor;
    bool mapped;
    if (status == TL_OK)
        status = tl_tensor_read(&e->reader, (const Onnx__TensorProto *)(void *)proto, &tensor, &mapped);
    tl_arena_free(scratch);
    if (status != TL_OK)
        return status;
    tl_field field;
    while (tl_field_next(&message, &field))
        if (field.number != RAW_DATA && field.number != EXTERNAL_DATA && field.number != DATA_LOCATION)
            tl_rope_add(&edit->maker, rope, field.whole.data, field.whole.size);
    return tl_save_raw_data(edit, &tensor, tensor.data, rope);
}

static bool is_external(tl_span message)
{
    tl_field field;
    while (tl_field_next(&message, &field))
        if (field.number == 14 && field.type == TL_FIELD_VARINT)
            return field.value == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    return false;
}

static tl_status embed_field(embedding *e, tl_field field, const ProtobufCMessageDescriptor *type, tl_rope *rope,
                             bool *changed)
{
    const ProtobufCFieldDescriptor *known = tl_wire_field(type, field.number);
    tl_rope inner = {0};
    bool differs = false;
    if (known && known->type == PROTOBUF_C_TYPE_MESSAGE && field.type == TL_FIELD_LENGTH) {
        tl_status status = embed(e, field.payload, known->descriptor, &inner, &differs);
        if (status != TL_OK)
            return status;
    }
    *changed |= differs;
    if (differs)
        tl_rope_message(&e->edit->maker, rope, field.number, inner);
    else
        tl_rope_add(&e->edit->maker, rope, field.whole.data, field.whole.size);
    return TL_OK;
}

static tl_status embed(embedding *e, tl_span message, const ProtobufCMessageDescriptor *type, tl_rope *rope,
                       bool *changed)
{
    if (type == &onnx__tensor_proto__descriptor) {
        *changed = is_external(message);
        return *changed ? embed_tensor(e, message, rope) : TL_OK;
    }
    if (e->depth >= TL_WIRE_MAX_DEPTH)
        return tl_error_set(e->edit->error, TL_INVALID_MODEL, "more than %d messages inside each other",
                            TL_WIRE_MAX_DEPTH);
    e->depth++;
    tl_field field;
    tl_status status = TL_OK;
    while (status == TL_OK && tl_field_next(&message, &field))
        status = embed_field(e, field, type, rope, changed);
    e->depth--;
    return status;
}

tl_status tl_save_embed(tl_edit *edit, tl_span model, const char *folder, tl_rope *rope, bool *changed)
{
    embedding e = {.edit = edit,
                   .reader = {.arena = &edit->model->arena,
                              .max_bytes = edit->model->max_tensor_bytes,
                              .folder = folder,
                              .mappings = &edit->model->mappings,
                              .error = edit->error}};
    e.reader.files.arena = &edit->arena;
    *changed = false;
    return embed(&e, model, &onnx__model_proto__descriptor, rope, changed);
}
