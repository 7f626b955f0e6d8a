#include "load/wire.h"
#include "graph/graph.h"
#include "onnx.pb-c.h"

/* Bytes of structs per byte of the message, at most. An ordinary model needs about 8; empty attributes alone would need
 * 130. */
#define MEMORY_FACTOR   32
#define MEMORY_CONSTANT ((size_t)1 << 20)
#define DEFAULT_MAX     ((size_t)256 << 20)

enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_LENGTH = 2, WIRE_GROUP = 3, WIRE_GROUP_END = 4, WIRE_32BIT = 5 };

typedef struct reader {
    const uint8_t *data;
    tl_arena *arena;
    size_t read, max; /* bytes of fields, without what they refer to */
    tl_error *error;
} reader;

/* Where the reader stands: in a message of one type, of which bytes [at, end) are left. */
typedef struct level {
    const ProtobufCMessageDescriptor *type;
    char *message; /* the struct that is being filled */
    size_t at, end;
    int depth;
    int graphs; /* GraphProtos around, this one included */
} level;

/* What stands behind a tag: bytes [at, end), which are a number where they are not of the length-delimited wire type.
 */
typedef struct payload {
    size_t at, end;
    uint64_t number;
} payload;

static tl_status read_message(reader *r, level *l);

static tl_status bad(const reader *r, const level *l, size_t at, const char *rule)
{
    return tl_error_set(r->error, TL_INVALID_MODEL, "byte %zu, in %s: %s", at, l->type->short_name, rule);
}

static tl_status bad_field(const reader *r, const level *l, size_t at, const ProtobufCFieldDescriptor *field,
                           const char *rule)
{
    return tl_error_set(r->error, TL_INVALID_MODEL, "byte %zu, in %s.%s: %s", at, l->type->short_name, field->name,
                        rule);
}

static tl_status too_deep(const reader *r, const level *l, size_t at, const ProtobufCFieldDescriptor *field, int most,
                          const char *what)
{
    return tl_error_set(r->error, TL_INVALID_MODEL, "byte %zu, in %s.%s: more than %d %s inside each other", at,
                        l->type->short_name, field->name, most, what);
}

static tl_status no_memory(const reader *r)
{
    return tl_error_set(r->error, TL_NO_MEMORY, "no memory for %zu bytes of a message (limit %zu bytes)", r->read,
                        r->arena->limit);
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

/* ---- What a descriptor says of a field. The schema has neither zigzag numbers nor bools: the low bytes of a number on
 * the wire are the element. */

const ProtobufCFieldDescriptor *tl_wire_field(const ProtobufCMessageDescriptor *type, uint64_t number)
{
    for (unsigned k = 0; k < type->n_fields; k++)
        if (type->fields[k].id == number)
            return &type->fields[k];
    return NULL;
}

/* The wire type of one element; length-delimited ones have no packed form. */
static int wire_type_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32BIT;
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

/* Bytes of one element in the struct. */
static size_t element_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    default:
        return 8;
    }
}

/* ---- Filling the struct */

/* Whether a field that is not repeated, or another member of its oneof, is there already. */
static bool is_set(const level *l, const ProtobufCFieldDescriptor *field)
{
    uint32_t quantifier = 0; /* has_..., or the member of the oneof */
    const void *pointer = NULL;
    if (field->quantifier_offset) {
        memcpy(&quantifier, l->message + field->quantifier_offset, sizeof quantifier);
        return quantifier != 0;
    }
    memcpy(&pointer, l->message + field->offset, sizeof pointer);
    return pointer != NULL;
}

/* How many elements an array of `count` has room for: a power of two, so that nobody has to note it. */
static size_t room_of(size_t count)
{
    size_t room = count > 0;
    while (room < count)
        room *= 2;
    return room;
}

/* `more` > 0 elements at the end of a repeated field, to be filled. NULL: memory refused. */
static char *append(const reader *r, const level *l, const ProtobufCFieldDescriptor *field, size_t more)
{
    size_t *count = (size_t *)(void *)(l->message + field->quantifier_offset);
    char **array = (char **)(void *)(l->message + field->offset);
    const size_t size = element_size(field), room = room_of(*count + more);
    if (room > room_of(*count)) {
        char *larger = tl_arena_alloc(r->arena, room, size, _Alignof(max_align_t));
        if (!larger)
            return NULL;
        if (*count > 0)
            memcpy(larger, *array, *count * size);
        *array = larger;
    }
    char *end = *array + *count * size;
    *count += more;
    return end;
}

/* Where the next element of a field goes. NULL: memory refused. */
static char *place(const reader *r, const level *l, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return append(r, l, field, 1);
    const uint32_t quantifier = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF ? field->id : 1;
    if (field->quantifier_offset)
        memcpy(l->message + field->quantifier_offset, &quantifier, sizeof quantifier);
    return l->message + field->offset;
}

static tl_status read_packed(const reader *r, const level *l, payload p, const ProtobufCFieldDescriptor *field)
{
    const bool fixed = wire_type_of(field) != WIRE_VARINT;
    const size_t size = element_size(field), bytes = p.end - p.at;
    size_t count = fixed ? bytes / size : 0;
    if (fixed && count * size != bytes)
        return bad_field(r, l, p.at, field, "packed elements of the wrong total size");
    for (size_t k = p.at; !fixed && k < p.end; k++)
        count += r->data[k] < 0x80; /* the last byte of a number */
    char *elements = count > 0 ? append(r, l, field, count) : NULL;
    if (count > 0 && !elements)
        return no_memory(r);
    if (fixed && count > 0)
        memcpy(elements, r->data + p.at, bytes);
    for (; !fixed && p.at < p.end; count--, elements += size) {
        const size_t start = p.at;
        if (count == 0 || !read_varint(r->data, &p.at, p.end, &p.number))
            return bad_field(r, l, start, field, "a number is cut off or too long");
        memcpy(elements, &p.number, size);
    }
    return TL_OK;
}

static tl_status read_submessage(reader *r, const level *l, payload p, const ProtobufCFieldDescriptor *field,
                                 char **message)
{
    level inner = {.type = field->descriptor, .at = p.at, .end = p.end, .depth = l->depth + 1, .graphs = l->graphs};
    if (inner.depth > TL_WIRE_MAX_DEPTH)
        return too_deep(r, l, p.at, field, TL_WIRE_MAX_DEPTH, "messages");
    if (inner.type == &onnx__graph_proto__descriptor && ++inner.graphs > TL_MAX_DEPTH + 1)
        return too_deep(r, l, p.at, field, TL_MAX_DEPTH, "subgraphs");
    tl_status status = read_message(r, &inner);
    *message = inner.message;
    return status;
}

/* One element. */
static tl_status read_element(reader *r, const level *l, payload p, const ProtobufCFieldDescriptor *field)
{
    const size_t size = p.end - p.at;
    ProtobufCBinaryData bytes = {size, (uint8_t *)(uintptr_t)(r->data + p.at)}; /* nobody writes there */
    char *pointer = NULL;
    const void *element = &pointer;
    tl_status status = TL_OK;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        status = read_submessage(r, l, p, field, &pointer);
    } else if (field->type == PROTOBUF_C_TYPE_STRING) {
        if (memchr(bytes.data, 0, size))
            return bad_field(r, l, p.at, field, "a NUL in a string");
        pointer = tl_arena_bytes(r->arena, (const char *)bytes.data, size);
        status = pointer ? TL_OK : no_memory(r);
    } else {
        element = field->type == PROTOBUF_C_TYPE_BYTES ? (const void *)&bytes : &p.number;
    }
    char *to = status == TL_OK ? place(r, l, field) : NULL;
    if (to)
        memcpy(to, element, element_size(field));
    return status == TL_OK && !to ? no_memory(r) : status;
}

/* ---- Walking */

/* Lets memory grow with what has been read. */
static tl_status charge(reader *r, size_t bytes)
{
    size_t more;
    r->read += bytes;
    if (r->read > r->max)
        return tl_error_set(r->error, TL_NO_MEMORY, "its bytes without tensors are more than the limit of %zu", r->max);
    if (!tl_mul_size(bytes, MEMORY_FACTOR, &more) || !tl_add_size(r->arena->limit, more, &r->arena->limit))
        return tl_error_no_memory(r->error);
    return TL_OK;
}

/* Moves behind the payload of a field whose tag has just been read. */
static tl_status find_payload(const reader *r, level *l, int wire_type, payload *p)
{
    const size_t begin = l->at;
    *p = (payload){.at = begin};
    switch (wire_type) {
    case WIRE_VARINT:
        if (!read_varint(r->data, &l->at, l->end, &p->number))
            return bad(r, l, begin, "a number is cut off or too long");
        break;
    case WIRE_32BIT:
    case WIRE_64BIT: {
        size_t size = wire_type == WIRE_32BIT ? 4 : 8;
        if (l->end - begin < size)
            return bad(r, l, begin, "a number is cut off");
        memcpy(&p->number, r->data + begin, size);
        l->at += size;
        break;
    }
    case WIRE_LENGTH: {
        uint64_t length;
        if (!read_varint(r->data, &l->at, l->end, &length))
            return bad(r, l, begin, "a length is cut off or too long");
        if (length > l->end - l->at)
            return tl_error_set(r->error, TL_INVALID_MODEL, "byte %zu, in %s: a length of %llu, but %zu bytes are left",
                                begin, l->type->short_name, (unsigned long long)length, l->end - l->at);
        p->at = l->at;
        l->at += (size_t)length;
        break;
    }
    case WIRE_GROUP:
    case WIRE_GROUP_END:
        return bad(r, l, begin, "a group, which ONNX does not use");
    default:
        return bad(r, l, begin, "an unknown wire type");
    }
    p->end = l->at;
    return TL_OK;
}

static tl_status read_field(reader *r, level *l)
{
    const size_t tag_at = l->at;
    uint64_t tag;
    if (!read_varint(r->data, &l->at, l->end, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return bad(r, l, tag_at, "not a field");
    const int wire_type = (int)(tag & 7);
    payload p;
    tl_status status = find_payload(r, l, wire_type, &p);
    const ProtobufCFieldDescriptor *field = tl_wire_field(l->type, tag >> 3);
    if (status != TL_OK || !field)
        return status; /* a field of a later version is left out */
    const int expected = wire_type_of(field);
    const bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    const bool packed = wire_type == WIRE_LENGTH && expected != WIRE_LENGTH && repeated;
    if (wire_type != expected && !packed)
        return bad_field(r, l, tag_at, field, "a value of another kind than the field's");
    /* Protobuf would take the last, or merge messages; two readers of such a file may see two models. */
    if (!repeated && is_set(l, field))
        return bad_field(r, l, tag_at, field, "the field is there twice");
    const bool referred = field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_BYTES;
    status = charge(r, (referred ? p.at : p.end) - tag_at);
    if (status != TL_OK)
        return status;
    return packed ? read_packed(r, l, p, field) : read_element(r, l, p, field);
}

static tl_status read_message(reader *r, level *l)
{
    l->message = tl_arena_alloc(r->arena, 1, l->type->sizeof_message, _Alignof(max_align_t));
    if (!l->message)
        return no_memory(r);
    l->type->message_init((ProtobufCMessage *)(void *)l->message);
    tl_status status = TL_OK;
    while (status == TL_OK && l->at < l->end)
        status = read_field(r, l);
    return status;
}

tl_status tl_wire_unpack(const void *data, size_t size, const ProtobufCMessageDescriptor *root, size_t max_bytes,
                         tl_arena *arena, ProtobufCMessage **message, tl_error *error)
{
    reader r = {.data = data, .arena = arena, .max = max_bytes ? max_bytes : DEFAULT_MAX, .error = error};
    level top = {.type = root, .end = size, .depth = 1};
    arena->limit = arena->used + MEMORY_CONSTANT;
    tl_status status = read_message(&r, &top);
    *message = status == TL_OK ? (ProtobufCMessage *)(void *)top.message : NULL;
    return status;
}
