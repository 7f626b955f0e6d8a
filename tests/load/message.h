/* Hand-made protobuf messages, also such as no library would write. */
#ifndef TEST_MESSAGE_H
#define TEST_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/* A message under construction, at most this long; longer ones fail the test. */
typedef struct message {
    size_t size;
    uint8_t bytes[1 << 16];
} message;

void put_byte(message *m, uint8_t byte);
void put_bytes(message *m, const void *bytes, size_t size);
void put_varint(message *m, uint64_t value);
void put_tag(message *m, unsigned field, unsigned wire_type);
/* Whole fields. */
void put_int(message *m, unsigned field, int64_t value);
void put_float(message *m, unsigned field, float value);
void put_blob(message *m, unsigned field, const void *bytes, size_t size);
void put_text(message *m, unsigned field, const char *text);
/* A submessage. */
void put_message(message *m, unsigned field, const message *inner);

/* ---- ONNX; fields of value 0 or NULL are left out */

/* A TensorProto: name, type, dims. Elements are the caller's to put. */
void put_tensor(message *m, const char *name, int type, const int64_t *dims, size_t rank);
/* A float ValueInfoProto; rank < 0: without a shape. */
message value_info(const char *name, int rank, const int64_t *dims);
/* A NodeProto; names separated by spaces, "-" for an absent one. */
message node(const char *op, const char *domain, const char *inputs, const char *outputs);
/* A ModelProto of one graph, with ir_version and the default opset 17. */
message model_of(const message *graph);

#endif
