/* What the files of this folder share. */
#ifndef TL_SAVE_EDIT_H
#define TL_SAVE_EDIT_H

#include "load/names.h"
#include "save/rope.h"
#include "save/save.h"

/* tl_node.source, beside positions in the file: made by a rewrite, or by the loader (out of a function, mostly). */
enum { TL_SOURCE_NEW = -1, TL_SOURCE_LOADER = -2 };

/* A value that a new node reads and that is not in the file. */
typedef struct tl_bake {
    tl_value *value; /* a constant */
    struct tl_bake *next;
} tl_bake;

struct tl_edit {
    tl_runtime *runtime;
    tl_model *model;
    tl_span file;
    tl_arena arena;    /* lives as long as the edit */
    tl_names names;    /* every name of a value that the file has: nothing behind it */
    tl_names values;   /* the values themselves, by address */
    tl_names nodes;    /* names of the file's nodes */
    tl_names freed;    /* those of them whose node a rewrite has replaced */
    tl_names lowered;  /* domains of operators that are decomposed */
    size_t changes;    /* attempts that succeeded */
    bool keep_folded;  /* what folding computed may be written where new nodes read it */
    bool inline_calls; /* functions are written out where they are called */
    /* While writing: */
    tl_rope_maker maker;
    tl_names functions; /* domain, name and overload, each with a NUL behind */
    tl_names function_domains;
    tl_names domains; /* that nodes of the written model have */
    tl_bake *bakes;   /* wanted by graphs inside, from graphs around */
    bool must_inline; /* a new node reads what only exists inside a function */
    tl_error *error;
};

/* A key of the map that is there once. False: memory refused. `text` is copied. */
bool tl_edit_note(tl_names *names, tl_arena *arena, const char *text);
bool tl_edit_has(const tl_names *names, const char *text);

/* node.c: messages made from the graph. */
tl_status tl_save_node(tl_edit *edit, const tl_node *node, tl_rope *rope);
/* TensorProto.raw_data with the elements of a tensor whose `data` they are; not of strings. */
tl_status tl_save_raw_data(tl_edit *edit, const tl_tensor *tensor, const void *data, tl_rope *rope);
/* A TensorProto with a constant's elements. */
tl_status tl_save_constant(tl_edit *edit, tl_value *value, tl_rope *rope);
/* The same as a node. */
tl_status tl_save_constant_node(tl_edit *edit, tl_value *value, tl_rope *rope);
/* What a new node's subgraphs take from around, and its inputs: k = 0, 1, ...; false beyond the last. */
bool tl_save_reads(const tl_node *node, size_t k, tl_value **value);

/* graph.c: the main graph's GraphProto, rewritten, with the graphs inside. */
tl_status tl_save_graph(tl_edit *edit, tl_span message, tl_graph *graph, tl_rope *rope);
/* True if a rewrite made something in a graph, or inside its nodes. */
bool tl_save_is_changed(const tl_edit *edit, const tl_graph *graph);

/* A node of the file is, or has inside, one of a domain whose operators are decomposed. */
bool tl_save_is_lowered(const tl_edit *edit, tl_span node);

/* embed.c: a message in which no tensor is external any more. `descriptor` is protobuf-c's of the message. */
tl_status tl_save_embed(tl_edit *edit, tl_span message, const char *folder, tl_rope *rope, bool *changed);

#endif
