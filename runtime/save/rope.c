#include "save/rope.h"

#include "load/wire.h"

static bool take_varint(tl_span *rest, uint64_t *value)
{
    *value = 0;
    for (unsigned k = 0; k < 10 && rest->size; k++) {
        uint8_t byte = *rest->data++;
        rest->size--;
        *value |= (uint64_t)(byte & 0x7f) << (7 * k);
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool take_payload(tl_span *rest, tl_field *field)
{
    const uint8_t *begin = rest->data;
    uint64_t size = 0;
    switch (field->type) {
    case TL_FIELD_VARINT:
        if (!take_varint(rest, &field->value))
            return false;
        field->payload = (tl_span){begin, (size_t)(rest->data - begin)};
        return true;
    case TL_FIELD_64BIT:
        size = 8;
        break;
    case TL_FIELD_32BIT:
        size = 4;
        break;
    case TL_FIELD_LENGTH:
        if (!take_varint(rest, &size))
            return false;
        break;
    default:
        return false;
    }
    if (size > rest->size)
        return false;
    field->payload = (tl_span){rest->data, (size_t)size};
    rest->data += size;
    rest->size -= (size_t)size;
    return true;
}

bool tl_field_next(tl_span *rest, tl_field *field)
{
    tl_span at = *rest;
    uint64_t tag;
    if (!at.size || !take_varint(&at, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return false;
    *field = (tl_field){.number = (uint32_t)(tag >> 3), .type = (int)(tag & 7)};
    if (!take_payload(&at, field))
        return false;
    field->whole = (tl_span){rest->data, rest->size - at.size};
    *rest = at;
    return true;
}

tl_span tl_field_find(tl_span message, uint32_t number)
{
    tl_field field;
    while (tl_field_next(&message, &field))
        if (field.number == number && field.type == TL_FIELD_LENGTH)
            return field.payload;
    return (tl_span){NULL, 0};
}

void tl_rope_add(tl_rope_maker *maker, tl_rope *rope, const void *data, size_t size)
{
    if (!size || maker->failed)
        return;
    tl_piece *piece = TL_NEW(maker->arena, tl_piece, 1);
    if (!piece) {
        maker->failed = true;
        return;
    }
    *piece = (tl_piece){.data = data, .size = size};
    tl_rope_join(rope, (tl_rope){piece, piece, size});
}

void tl_rope_join(tl_rope *rope, tl_rope more)
{
    if (!more.first)
        return;
    if (rope->last)
        rope->last->next = more.first;
    else
        rope->first = more.first;
    rope->last = more.last;
    rope->size += more.size;
}

static void add_varints(tl_rope_maker *maker, tl_rope *rope, const uint64_t *values, size_t count)
{
    uint8_t bytes[20];
    size_t size = 0;
    for (size_t k = 0; k < count && k < 2; k++)
        size += tl_wire_varint(values[k], bytes + size);
    char *copy = tl_arena_bytes(maker->arena, (const char *)bytes, size);
    if (!copy)
        maker->failed = true;
    else
        tl_rope_add(maker, rope, copy, size);
}

void tl_rope_number(tl_rope_maker *maker, tl_rope *rope, uint32_t field, int64_t value)
{
    const uint64_t numbers[] = {(uint64_t)field << 3, (uint64_t)value};
    add_varints(maker, rope, numbers, 2);
}

void tl_rope_float(tl_rope_maker *maker, tl_rope *rope, uint32_t field, float value)
{
    const uint64_t tag = (uint64_t)field << 3 | TL_FIELD_32BIT;
    add_varints(maker, rope, &tag, 1);
    char *copy = tl_arena_bytes(maker->arena, (const char *)&value, sizeof value);
    if (!copy)
        maker->failed = true;
    else
        tl_rope_add(maker, rope, copy, sizeof value);
}

void tl_rope_bytes(tl_rope_maker *maker, tl_rope *rope, uint32_t field, const void *data, size_t size)
{
    const uint64_t numbers[] = {(uint64_t)field << 3 | TL_FIELD_LENGTH, size};
    add_varints(maker, rope, numbers, 2);
    tl_rope_add(maker, rope, data, size);
}

void tl_rope_text(tl_rope_maker *maker, tl_rope *rope, uint32_t field, const char *text)
{
    tl_rope_bytes(maker, rope, field, text, strlen(text));
}

void tl_rope_message(tl_rope_maker *maker, tl_rope *rope, uint32_t field, tl_rope message)
{
    const uint64_t numbers[] = {(uint64_t)field << 3 | TL_FIELD_LENGTH, message.size};
    add_varints(maker, rope, numbers, 2);
    tl_rope_join(rope, message);
}
