/* A model file -> the graph. Everything protobuf stays inside this folder. */
#ifndef TL_LOAD_H
#define TL_LOAD_H

#include "graph/graph.h"

/* All zero: the defaults. Pointers need to live only during the call. */
typedef struct tl_load_options {
    /* Folder of external tensors; default: the model file's own, where links are refused; from memory: none. Given,
     * links are followed, in it and from beside the model, as long as the files that they end at lie inside it. */
    const char *external_data_path;
    bool no_external_data;
    bool functions;          /* model->functions, for rewriting them */
    bool node_metadata;      /* nodes keep their metadata: exporters put whole stack traces there */
    size_t max_model_bytes;  /* of the file without raw tensor data; 0: 256 MiB */
    size_t max_tensor_bytes; /* of one tensor; 0: 16 GiB */
} tl_load_options;

/* Reads a model: IR versions 3 to 14, functions inlined, names resolved; nodes in the file's order. Not yet checked
 * against operators: tl_graph_check() and tl_graph_resolve() are next. On success *model is the caller's, and keeps the
 * file mapped. On failure *model is NULL, nothing stays, and the message begins with the path. */
tl_status tl_load_file(const tl_allocator *allocator, const tl_registry *registry, const char *path,
                       const tl_load_options *options, tl_model **model, tl_error *error);
/* The same from memory, which must stay as it is until the model is freed. */
tl_status tl_load_memory(const tl_allocator *allocator, const tl_registry *registry, const void *data, size_t size,
                         const tl_load_options *options, tl_model **model, tl_error *error);

#endif
