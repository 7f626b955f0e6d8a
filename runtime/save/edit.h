/* What the files of this folder share. */
#ifndef TL_SAVE_EDIT_H
#define TL_SAVE_EDIT_H

#include "load/names.h"
#include "save/rope.h"
#include "save/save.h"

/* A value that a new node reads and that is not in the file. */
typedef struct tl_bake {
    tl_value *value; /* a constant */
    struct tl_bake *next;
} tl_bake;

/* A function of the file. */
typedef struct tl_edit_function {
    tl_span message;
    const char *key; /* domain, name and overload, each with a NUL behind */
    size_t *calls;   /* numbers of functions that its nodes call */
    size_t call_count, call_capacity;
    size_t loaded, counted; /* nodes of it that the main graph has: before, and now */
    bool holds;             /* an operator that is to be decomposed, by itself or by what it calls */
    bool opened;            /* it is written out where the main graph calls it */
    bool called;            /* by what is written */
} tl_edit_function;

/* Names that the file has, of the main graph or of one function, with the graphs inside. */
typedef struct tl_edit_names {
    tl_names values;
    tl_names nodes;
    tl_names freed; /* those of nodes that a rewrite has replaced */
} tl_edit_names;

struct tl_edit {
    tl_runtime *runtime;
    tl_model *model;
    const char *path;
    tl_span file;
    bool external;   /* some tensors are in other files */
    tl_arena arena;  /* lives as long as the edit */
    tl_names values; /* those of the file, by address */
    tl_edit_names names;
    tl_names lowered; /* domains of operators that are decomposed */
    tl_edit_function *functions;
    size_t function_count;
    tl_names function_keys; /* -> tl_edit_function * */
    size_t changes;         /* attempts that succeeded */
    bool keep_folded;       /* what folding computed may be written where new nodes read it */
    bool opens;             /* some function is opened */
    /* While writing: */
    tl_rope_maker maker;
    tl_names domains;  /* that nodes of the written graph have */
    tl_bake *bakes;    /* wanted by graphs inside, from graphs around */
    int32_t must_open; /* tl_node.source in a function that a new node reads from, which must be opened; 0: none */
    tl_error *error;
};

/* A key of the map that is there once. False: memory refused. `text` is copied. */
bool tl_edit_note(tl_names *names, tl_arena *arena, const char *text);
bool tl_edit_has(const tl_names *names, const char *text);
/* The folder that a file lies in; NULL: memory refused. */
char *tl_edit_folder(tl_edit *edit, const char *path);

/* node.c: messages made from the graph. */
tl_status tl_save_node(tl_edit *edit, const tl_node *node, tl_rope *rope);
/* TensorProto.raw_data with the elements of a tensor whose `data` they are; not of strings. */
tl_status tl_save_raw_data(tl_edit *edit, const tl_tensor *tensor, const void *data, tl_rope *rope);
/* A TensorProto with a constant's elements. */
tl_status tl_save_constant(tl_edit *edit, tl_value *value, tl_rope *rope);
/* The same as a node. */
tl_status tl_save_constant_node(tl_edit *edit, tl_value *value, tl_rope *rope);

/* graph.c: the main graph's GraphProto, or a FunctionProto but for its imports, rewritten, with the graphs inside. */
tl_status tl_save_graph(tl_edit *edit, tl_span message, tl_graph *graph, tl_rope *rope);
/* True if something in a graph, or inside its nodes, is not as the file has it. */
bool tl_save_is_changed(const tl_edit *edit, const tl_graph *graph);

/* functions.c */
/* Calls `visit` for a node, or for all nodes that a message has as field number `nodes`, and for the nodes inside them,
 * until it returns true. */
typedef bool (*tl_node_visit)(tl_edit *edit, tl_span node, void *context);
bool tl_save_visit_node(tl_edit *edit, tl_span node, tl_node_visit visit, void *context);
bool tl_save_visit(tl_edit *edit, tl_span message, uint32_t nodes, tl_node_visit visit, void *context);
/* Fills edit->functions from the file. */
tl_status tl_edit_read_functions(tl_edit *edit, tl_error *error);
void tl_edit_open_function(tl_edit *edit, size_t k);
/* The values of a function's body get what their types and shapes have in common at all calls. */
void tl_edit_merge_calls(const tl_function *function);
/* The function that a node calls, or NULL. */
tl_edit_function *tl_save_called(tl_edit *edit, tl_span node);
/* A node of the file, or one that a message has as field number `nodes`, is or has inside one of a domain whose
 * operators are decomposed, or a call of a function that is opened. */
bool tl_save_goes(tl_edit *edit, tl_span node);
bool tl_save_goes_inside(tl_edit *edit, tl_span message, uint32_t nodes);
/* Before the main graph is written: opens all functions that hold what is to be decomposed. After it: counts what the
 * functions that stay call. */
void tl_save_open_functions(tl_edit *edit);
void tl_save_count_calls(tl_edit *edit);
bool tl_save_is_gone(const tl_edit_function *function);

/* save.c: the file with its functions as they are now; the same bytes where none has changed. */
tl_status tl_save_functions(tl_edit *edit, tl_span *file, tl_error *error);

/* embed.c: a message in which no tensor is external any more. `descriptor` is protobuf-c's of the message. */
tl_status tl_save_embed(tl_edit *edit, tl_span message, const char *folder, tl_rope *rope, bool *changed);

#endif
