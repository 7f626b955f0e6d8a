#include "load/wire.h"
#include "graph/graph.h"
#include "onnx.pb-c.h"

/* Unpacked bytes per byte of the rewritten message, at most. An ordinary model needs about 8; empty nodes and
 * attributes alone would need 50. */
#define MEMORY_FACTOR   32
#define MEMORY_CONSTANT ((size_t)1 << 20)
#define DEFAULT_MAX     ((size_t)256 << 20)

/* A message's length in the rewritten bytes always takes this many, so that it can be filled in afterwards; 35 bits. */
#define LENGTH_BYTES 5

enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_LENGTH = 2, WIRE_GROUP = 3, WIRE_GROUP_END = 4, WIRE_32BIT = 5 };

typedef struct scan {
    const uint8_t *data;
    uint8_t *out; /* NULL while only measuring */
    size_t out_size, out_capacity;
    bool changed; /* the second walk found more than the first: somebody writes to the mapped file */
    tl_error *error;
} scan;

/* Where the scan stands: a message of one type, of which bytes [at, end) are left. */
typedef struct level {
    const ProtobufCMessageDescriptor *type;
    size_t at, end;
    int depth;
    int graphs;    /* GraphProtos around, this one included */
    bool emit;     /* false inside fields that are checked but left out */
    uint64_t seen; /* singular fields, by their index in the descriptor */
} level;

static tl_status scan_message(scan *s, level *l);

static tl_status bad(scan *s, const level *l, size_t at, const char *rule)
{
    return tl_error_set(s->error, TL_INVALID_MODEL, "byte %zu, in %s: %s", at, l->type->short_name, rule);
}

static tl_status bad_field(scan *s, const level *l, size_t at, const ProtobufCFieldDescriptor *field, const char *rule)
{
    return tl_error_set(s->error, TL_INVALID_MODEL, "byte %zu, in %s.%s: %s", at, l->type->short_name, field->name,
                        rule);
}

static bool read_varint(const uint8_t *data, size_t *at, size_t end, uint64_t *value)
{
    *value = 0;
    for (unsigned k = 0; k < 10 && *at < end; k++) {
        uint8_t byte = data[(*at)++];
        if (k == 9 && byte > 1)
            return false;
        *value |= (uint64_t)(byte & 0x7f) << (7 * k);
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* ---- Writing. Sizes cannot overflow: a rewritten message is at most nine times its source, a size that fits memory.
 */

static void put(scan *s, const void *bytes, size_t size)
{
    if (s->out && size > s->out_capacity - s->out_size) {
        s->changed = true;
        return;
    }
    if (s->out && size)
        memcpy(s->out + s->out_size, bytes, size);
    s->out_size += size;
}

static void put_varint(scan *s, uint64_t value)
{
    uint8_t bytes[10];
    put(s, bytes, tl_wire_varint(value, bytes));
}

static void put_length_at(scan *s, size_t at, uint64_t length)
{
    if (!s->out || s->changed)
        return;
    for (int k = 0; k < LENGTH_BYTES; k++)
        s->out[at + (size_t)k] = (uint8_t)((length >> (7 * k) & 0x7f) | (k + 1 < LENGTH_BYTES ? 0x80 : 0));
}

/* ---- One field */

/* The wire type of one element; length-delimited ones have no packed form. */
static int wire_type_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32BIT;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_LENGTH;
    default:
        return WIRE_VARINT;
    }
}

static bool is_raw_data(const level *l, const ProtobufCFieldDescriptor *field)
{
    return l->type == &onnx__tensor_proto__descriptor && field->id == 9;
}

/* Fields that inference has no use for. They are checked like the others and then left out. */
static bool is_left_out(const level *l, const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *type = l->type;
    return (type == &onnx__model_proto__descriptor && (field->id == 20 || field->id == 26)) ||
           (type == &onnx__graph_proto__descriptor && field->id == 14) ||
           (type == &onnx__node_proto__descriptor && field->id == 10);
}

/* A field that is not repeated must not come twice, nor two members of a oneof. Protobuf would take the last, or merge
 * messages; two readers of such a file may see two models. */
static tl_status check_single(scan *s, level *l, size_t at, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return TL_OK;
    uint64_t bits = 0;
    for (unsigned k = 0; k < l->type->n_fields; k++) {
        const ProtobufCFieldDescriptor *other = &l->type->fields[k];
        bool same_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                          (other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                          field->quantifier_offset == other->quantifier_offset;
        if (other == field || same_oneof)
            bits |= (uint64_t)1 << k;
    }
    if (l->seen & bits)
        return bad_field(s, l, at, field, "the field is there twice");
    l->seen |= bits;
    return TL_OK;
}

/* Elements of a packed field fill it exactly. */
static tl_status check_packed(scan *s, const level *l, size_t at, size_t end, const ProtobufCFieldDescriptor *field)
{
    int type = wire_type_of(field);
    size_t size = type == WIRE_64BIT ? 8 : 4;
    if (type != WIRE_VARINT)
        return (end - at) % size == 0 ? TL_OK : bad_field(s, l, at, field, "packed elements of the wrong total size");
    while (at < end) {
        size_t start = at;
        uint64_t value;
        if (!read_varint(s->data, &at, end, &value))
            return bad_field(s, l, start, field, "a number is cut off or too long");
    }
    return TL_OK;
}

static tl_status scan_submessage(scan *s, const level *l, size_t at, size_t end, const ProtobufCFieldDescriptor *field)
{
    level inner = {.type = field->descriptor, .at = at, .end = end, .depth = l->depth + 1, .graphs = l->graphs};
    inner.emit = l->emit && !is_left_out(l, field);
    if (inner.depth > TL_WIRE_MAX_DEPTH)
        return tl_error_set(s->error, TL_INVALID_MODEL, "byte %zu, in %s.%s: more than %d messages inside each other",
                            at, l->type->short_name, field->name, TL_WIRE_MAX_DEPTH);
    if (inner.type == &onnx__graph_proto__descriptor && ++inner.graphs > TL_MAX_DEPTH + 1)
        return tl_error_set(s->error, TL_INVALID_MODEL, "byte %zu, in %s.%s: more than %d subgraphs inside each other",
                            at, l->type->short_name, field->name, TL_MAX_DEPTH);
    size_t length_at = s->out_size;
    static const uint8_t later[LENGTH_BYTES];
    if (inner.emit)
        put(s, later, sizeof later);
    tl_status status = scan_message(s, &inner);
    if (status == TL_OK && inner.emit)
        put_length_at(s, length_at, s->out_size - length_at - LENGTH_BYTES);
    return status;
}

static tl_status scan_length_field(scan *s, level *l, size_t at, size_t end, const ProtobufCFieldDescriptor *field)
{
    if (l->emit && !is_left_out(l, field))
        put_varint(s, (uint64_t)field->id << 3 | WIRE_LENGTH);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return scan_submessage(s, l, at, end, field);
    if (field->type == PROTOBUF_C_TYPE_STRING && memchr(s->data + at, 0, end - at))
        return bad_field(s, l, at, field, "a NUL in a string");
    if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_BYTES) {
        tl_status status = check_packed(s, l, at, end, field);
        if (status != TL_OK)
            return status;
    }
    if (!l->emit)
        return TL_OK;
    if (is_raw_data(l, field)) {
        tl_wire_reference reference = {at, end - at};
        put_varint(s, sizeof reference);
        put(s, &reference, sizeof reference);
        return TL_OK;
    }
    put_varint(s, end - at);
    put(s, s->data + at, end - at);
    return TL_OK;
}

/* The payload of a field, [l->at, *end), whose tag has just been read; l->at is where it begins. */
static tl_status find_payload(scan *s, level *l, int wire_type, size_t *end)
{
    uint64_t value;
    size_t at = l->at;
    switch (wire_type) {
    case WIRE_VARINT:
        if (!read_varint(s->data, &at, l->end, &value))
            return bad(s, l, l->at, "a number is cut off or too long");
        *end = at;
        return TL_OK;
    case WIRE_32BIT:
    case WIRE_64BIT: {
        size_t size = wire_type == WIRE_32BIT ? 4 : 8;
        if (l->end - at < size)
            return bad(s, l, l->at, "a number is cut off");
        *end = at + size;
        return TL_OK;
    }
    case WIRE_LENGTH:
        if (!read_varint(s->data, &at, l->end, &value))
            return bad(s, l, l->at, "a length is cut off or too long");
        if (value > l->end - at)
            return tl_error_set(s->error, TL_INVALID_MODEL, "byte %zu, in %s: a length of %llu, but %zu bytes are left",
                                l->at, l->type->short_name, (unsigned long long)value, l->end - at);
        l->at = at;
        *end = at + (size_t)value;
        return TL_OK;
    case WIRE_GROUP:
    case WIRE_GROUP_END:
        return bad(s, l, l->at, "a group, which ONNX does not use");
    default:
        return bad(s, l, l->at, "an unknown wire type");
    }
}

static tl_status scan_field(scan *s, level *l)
{
    size_t tag_at = l->at;
    uint64_t tag;
    if (!read_varint(s->data, &l->at, l->end, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return bad(s, l, tag_at, "not a field");
    int wire_type = (int)(tag & 7);
    size_t end = 0;
    tl_status status = find_payload(s, l, wire_type, &end);
    if (status != TL_OK)
        return status;
    size_t at = l->at;
    l->at = end;
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(l->type, (unsigned)(tag >> 3));
    if (!field)
        return TL_OK; /* of a later version: left out */
    int expected = wire_type_of(field);
    bool packed = wire_type == WIRE_LENGTH && expected != WIRE_LENGTH && field->label == PROTOBUF_C_LABEL_REPEATED;
    if (wire_type != expected && !packed)
        return bad_field(s, l, tag_at, field, "a value of another kind than the field's");
    status = check_single(s, l, tag_at, field);
    if (status != TL_OK)
        return status;
    if (wire_type == WIRE_LENGTH)
        return scan_length_field(s, l, at, end, field);
    if (l->emit) {
        put_varint(s, tag);
        put(s, s->data + at, end - at);
    }
    return TL_OK;
}

static tl_status scan_message(scan *s, level *l)
{
    while (l->at < l->end) {
        tl_status status = scan_field(s, l);
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

/* ---- Unpacking */

typedef struct bounded {
    tl_arena *arena;
    bool refused;
} bounded;

static void *bounded_alloc(void *context, size_t size)
{
    bounded *memory = context;
    void *result = tl_arena_alloc(memory->arena, 1, size, 16);
    if (!result)
        memory->refused = true;
    return result;
}

/* The arena goes as a whole. */
static void bounded_free(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

static tl_status unpack(const scan *s, const ProtobufCMessageDescriptor *root, tl_arena *arena,
                        ProtobufCMessage **message)
{
    size_t limit;
    if (!tl_mul_size(s->out_size, MEMORY_FACTOR, &limit) || !tl_add_size(limit, MEMORY_CONSTANT, &limit))
        return tl_error_no_memory(s->error);
    arena->limit = arena->used + limit;
    bounded memory = {.arena = arena};
    ProtobufCAllocator allocator = {.alloc = bounded_alloc, .free = bounded_free, .allocator_data = &memory};
    *message = protobuf_c_message_unpack(root, &allocator, s->out_size, s->out);
    if (*message)
        return TL_OK;
    if (memory.refused)
        return tl_error_set(s->error, TL_NO_MEMORY, "no memory to unpack %zu bytes of %s (limit %zu bytes)",
                            s->out_size, root->short_name, limit);
    return tl_error_set(s->error, TL_INVALID_MODEL, "protobuf-c cannot read it as %s", root->short_name);
}

tl_status tl_wire_unpack(const void *data, size_t size, const ProtobufCMessageDescriptor *root, size_t max_bytes,
                         tl_arena *arena, ProtobufCMessage **message, tl_error *error)
{
    *message = NULL;
    scan s = {.data = data, .error = error};
    level top = {.type = root, .end = size, .depth = 1, .emit = true};
    level again = top;
    tl_status status = scan_message(&s, &top);
    if (status != TL_OK)
        return status;
    size_t limit = max_bytes ? max_bytes : DEFAULT_MAX;
    if (s.out_size > limit)
        return tl_error_set(error, TL_NO_MEMORY, "%zu bytes without tensors, more than the limit of %zu", s.out_size,
                            limit);
    uint8_t *slim = tl_memory_alloc(arena->allocator, s.out_size, 16);
    if (!slim)
        return tl_error_no_memory(error);
    s.out = slim;
    s.out_capacity = s.out_size;
    s.out_size = 0;
    status = scan_message(&s, &again);
    if (status == TL_OK && (s.changed || s.out_size != s.out_capacity))
        status = tl_error_set(error, TL_IO, "the file changed while it was read");
    if (status == TL_OK)
        status = unpack(&s, root, arena, message);
    tl_memory_free(arena->allocator, slim);
    return status;
}

tl_wire_reference tl_wire_raw(const ProtobufCBinaryData *raw_data)
{
    tl_wire_reference reference = {0, 0};
    if (raw_data->len == sizeof reference)
        memcpy(&reference, raw_data->data, sizeof reference);
    return reference;
}
