/* The protobuf wire format, walked before protobuf-c sees a byte of it.
 *
 * protobuf-c recurses without a limit, loses the lengths of strings, merges messages that come twice and copies
 * everything, weights included. So the whole message is scanned first and rewritten: only fields that the schema knows,
 * each checked; depth limited; tensors' raw_data replaced by a reference to where it lies. What protobuf-c then unpacks
 * is well-formed, without unknown fields, and small. */
#ifndef TL_LOAD_WIRE_H
#define TL_LOAD_WIRE_H

#include "base/base.h"
#include <protobuf-c/protobuf-c.h>

/* Messages inside messages. The official parser stops at 100; this leaves room for TL_MAX_DEPTH subgraphs, each of
 * which takes three (graph, node, attribute), and the types and tensors of the innermost. */
#define TL_WIRE_MAX_DEPTH 112

/* What TensorProto.raw_data holds after the scan, always, also for short ones. */
typedef struct tl_wire_reference {
    uint64_t offset; /* from the beginning of the scanned bytes */
    uint64_t length;
} tl_wire_reference;

/* Scans `size` bytes as a message of the type `root` and unpacks it into `arena`, whose limit is set here: to a
 * multiple of the rewritten size. `max_bytes` limits that size itself (0: 256 MiB). On success *message and all it
 * points to lie in the arena. TL_INVALID_MODEL names the byte and the field; TL_NO_MEMORY names the limit. */
tl_status tl_wire_unpack(const void *data, size_t size, const ProtobufCMessageDescriptor *root, size_t max_bytes,
                         tl_arena *arena, ProtobufCMessage **message, tl_error *error);

/* A number as the format has it, at most 10 bytes; returns how many. */
static inline size_t tl_wire_varint(uint64_t value, uint8_t *bytes)
{
    size_t count = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[count++] = (uint8_t)(value | 0x80);
    bytes[count++] = (uint8_t)value;
    return count;
}

/* The reference in an unpacked raw_data. */
tl_wire_reference tl_wire_raw(const ProtobufCBinaryData *raw_data);

#endif
