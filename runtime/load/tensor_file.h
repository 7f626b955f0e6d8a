/* Files of one value: TensorProto, SequenceProto and OptionalProto, as test data and the program's `run` have them. */
#ifndef TL_LOAD_TENSOR_FILE_H
#define TL_LOAD_TENSOR_FILE_H

#include "base/base.h"

/* A value with all that is in it. */
typedef struct tl_file_value {
    tl_kind kind;
    const char *name; /* "" where the file gives none */
    tl_tensor tensor; /* TL_KIND_TENSOR: the value, aligned; TL_KIND_MAP: its keys, [count], int64 or what they are */
    size_t count;     /* SEQUENCE: elements; MAP: values; OPTIONAL: 1, or 0 if it is empty */
    struct tl_file_value *elements;
} tl_file_value;

typedef struct tl_tensor_file tl_tensor_file;

/* Reads a file whose message is of the given kind (a protobuf file does not say what it is). Sparse tensors become
 * dense, external data is refused. On success *file is the caller's and holds *value. */
tl_status tl_tensor_file_read(const tl_allocator *allocator, const char *path, tl_kind kind, tl_tensor_file **file,
                              const tl_file_value **value, tl_error *error);
/* The same from memory, which must stay until the file is freed. `name` stands for it in messages. */
tl_status tl_tensor_file_parse(const tl_allocator *allocator, const char *name, const void *data, size_t size,
                               tl_kind kind, tl_tensor_file **file, const tl_file_value **value, tl_error *error);
void tl_tensor_file_free(tl_tensor_file *file);

/* Writes a value of any kind; tensors as raw_data, strings as string_data. A file that could not be written whole is
 * removed. */
tl_status tl_tensor_file_write(const char *path, const tl_file_value *value, tl_error *error);

#endif
