/* TensorProto and SparseTensorProto -> tl_tensor: every element type, every way to store it. */
#ifndef TL_LOAD_TENSOR_H
#define TL_LOAD_TENSOR_H

#include "graph/graph.h"
#include "load/names.h"
#include "onnx.pb-c.h"

/* Where tensors come from and go to. */
typedef struct tl_tensor_reader {
    tl_arena *arena;      /* for elements that must be converted, and for names of files */
    const uint8_t *bytes; /* the file */
    size_t size;
    bool mapped;        /* `bytes` are a file's map */
    size_t max_bytes;   /* of one tensor */
    const char *folder; /* of external data; NULL: refused, because of `no_folder` */
    const char *no_folder;
    const char *cache;     /* the caller's folder, whose files links may lead to; NULL: none */
    tl_names files;        /* external files by location: tl_source * */
    tl_mapping **mappings; /* where opened files are noted, for their owner to close */
    int64_t dense_budget;  /* bytes that sparse tensors may still grow to */
    tl_error *error;
} tl_tensor_reader;

/* Reads a tensor. On success tensor->data points to its elements, in the file's bytes (at any alignment), in an
 * external file (the same) or in the arena; *mapped says that they lie in a map. NULL where there are no elements and
 * no place. On failure the message says which rule is broken; the caller puts the tensor's name in front. */
tl_status tl_tensor_read(tl_tensor_reader *reader, const Onnx__TensorProto *proto, tl_tensor *tensor, bool *mapped);
/* The same, dense. */
tl_status tl_tensor_read_sparse(tl_tensor_reader *reader, const Onnx__SparseTensorProto *proto, tl_tensor *tensor);
/* Copies elements that are not aligned for their type into the arena. */
tl_status tl_tensor_align(tl_tensor_reader *reader, tl_tensor *tensor);

/* Copies bytes of a message; false: memory refused. */
bool tl_copy_bytes(tl_arena *arena, const ProtobufCBinaryData *bytes, tl_string *copy);

/* A TensorProto.data_type as an element type that tensors here can have. */
tl_status tl_tensor_type(int32_t data_type, tl_type *type, tl_error *error);

/* external.c: where an external tensor's `bytes` bytes lie. */
tl_status tl_external_find(tl_tensor_reader *reader, const Onnx__TensorProto *proto, int64_t bytes, const void **data,
                           bool *mapped);

#endif
