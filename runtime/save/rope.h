/* The protobuf wire format, read field by field and written as a rope: a list of pieces, most of which are still where
 * they were in the model's file. What nobody touched is so written byte for byte, fields of later versions included,
 * and weights are never copied in memory. */
#ifndef TL_SAVE_ROPE_H
#define TL_SAVE_ROPE_H

#include "base/base.h"

/* Bytes of one message. */
typedef struct tl_span {
    const uint8_t *data;
    size_t size;
} tl_span;

/* One field of a message; `whole` with its tag. */
typedef struct tl_field {
    uint32_t number;
    int type; /* the wire type */
    tl_span whole, payload;
    uint64_t value; /* of a varint */
} tl_field;

enum { TL_FIELD_VARINT = 0, TL_FIELD_64BIT = 1, TL_FIELD_LENGTH = 2, TL_FIELD_32BIT = 5 };

/* Takes the next field off `rest`. False at the end, or where the bytes are no field: then `rest` is not empty. */
bool tl_field_next(tl_span *rest, tl_field *field);
/* The payload of the first field with this number that holds bytes; {NULL, 0}: there is none. */
tl_span tl_field_find(tl_span message, uint32_t number);

typedef struct tl_piece {
    const void *data;
    size_t size;
    struct tl_piece *next;
} tl_piece;

typedef struct tl_rope {
    tl_piece *first, *last;
    uint64_t size;
} tl_rope;

/* Where pieces come from. `failed` is set when memory is refused; then the ropes are not to be used. */
typedef struct tl_rope_maker {
    tl_arena *arena;
    bool failed;
} tl_rope_maker;

/* The bytes are not copied and must outlive the rope, in all functions. */
void tl_rope_add(tl_rope_maker *maker, tl_rope *rope, const void *data, size_t size);
void tl_rope_number(tl_rope_maker *maker, tl_rope *rope, uint32_t field, int64_t value);
void tl_rope_float(tl_rope_maker *maker, tl_rope *rope, uint32_t field, float value);
void tl_rope_bytes(tl_rope_maker *maker, tl_rope *rope, uint32_t field, const void *data, size_t size);
void tl_rope_text(tl_rope_maker *maker, tl_rope *rope, uint32_t field, const char *text);
/* A message as a field; its pieces become the rope's. */
void tl_rope_message(tl_rope_maker *maker, tl_rope *rope, uint32_t field, tl_rope message);
void tl_rope_join(tl_rope *rope, tl_rope more);

#endif
