/* The protobuf wire format, into the structs that protobuf-c generates from the schema.
 *
 * protobuf-c's own reader recurses without a limit, loses the lengths of strings, merges messages that come twice and
 * copies everything, weights included. This one goes by the same descriptors: in one walk each field is checked, and
 * what the schema knows is kept; depth and memory are limited. */
#ifndef TL_LOAD_WIRE_H
#define TL_LOAD_WIRE_H

#include "base/base.h"
#include <protobuf-c/protobuf-c.h>

/* Messages inside messages. The official parser stops at 100; this leaves room for TL_MAX_DEPTH subgraphs, each of
 * which takes three (graph, node, attribute), and the types and tensors of the innermost. */
#define TL_WIRE_MAX_DEPTH 112

/* Reads `size` bytes as a message of the type `root` into `arena`, whose limit is set here: to a multiple of the bytes
 * read. `max_bytes` limits those (0: 256 MiB). Fields of the type bytes, raw_data among them, are not copied, nor do
 * they count: they point into `data`. On success *message and all else that it points to lie in the arena.
 * TL_INVALID_MODEL names the byte and the field; TL_NO_MEMORY names the limit. */
tl_status tl_wire_unpack(const void *data, size_t size, const ProtobufCMessageDescriptor *root, size_t max_bytes,
                         tl_arena *arena, ProtobufCMessage **message, tl_error *error);

/* The field with this number, or NULL: of a later version of the schema. */
const ProtobufCFieldDescriptor *tl_wire_field(const ProtobufCMessageDescriptor *type, uint64_t number);

/* A number as the format has it, at most 10 bytes; returns how many. */
static inline size_t tl_wire_varint(uint64_t value, uint8_t *bytes)
{
    size_t count = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[count++] = (uint8_t)(value | 0x80);
    bytes[count++] = (uint8_t)value;
    return count;
}

#endif
