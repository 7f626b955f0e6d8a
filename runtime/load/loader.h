/* What the files of this folder share while they turn one ModelProto into a tl_model. */
#ifndef TL_LOAD_LOADER_H
#define TL_LOAD_LOADER_H

#include "graph/graph.h"
#include "load/names.h"
#include "load/tensor.h"
#include "onnx.pb-c.h"

typedef struct tl_scope tl_scope;

/* A function that is being inlined. */
typedef struct tl_frame {
    const Onnx__FunctionProto *function;
    const Onnx__NodeProto *call;
    tl_scope *caller;   /* where the call stands: its attributes mean values there */
    const char *prefix; /* of names made here */
    tl_names outputs;   /* function output -> tl_value of the call */
    int32_t source;     /* tl_node.source of its nodes */
    int depth;
} tl_frame;

/* What names mean in one graph, or in one function body, whose nodes go into the graph of the call. */
struct tl_scope {
    tl_scope *parent; /* the graph around; NULL: the main graph or a function body */
    tl_graph *graph;
    tl_frame *frame;                     /* NULL: not in a function, or in one that is loaded for itself */
    const Onnx__FunctionProto *function; /* NULL: not in one */
    tl_names values;                     /* tl_value *; NULL: an absent argument of a function */
    tl_arena arena;                      /* of `values` */
};

typedef struct tl_loader {
    tl_model *model;
    tl_arena *scratch; /* what is only needed while loading */
    const Onnx__ModelProto *proto;
    tl_tensor_reader tensors;
    tl_names functions; /* domain, name and overload -> where proto->functions has it */
    tl_names bodies;    /* address of a FunctionProto, or a GraphProto in one -> tl_graph of the function for itself */
    tl_names symbols;   /* name of a dimension -> its number in the model, + 1 */
    tl_names read;      /* address of a TensorProto in a function -> the tl_read_tensor made of it */
    size_t inlined;     /* nodes that came from functions */
    size_t steps;       /* work that inlining did */
    bool located;       /* the message names a node already */
    bool node_metadata; /* as tl_load_options has it */
    bool with_bodies;   /* the same as its `functions` */
    tl_error *error;
} tl_loader;

typedef struct tl_read_tensor {
    tl_tensor tensor;
    bool mapped;
} tl_read_tensor;

/* "" where a string field is absent. */
static inline const char *tl_text(const char *text)
{
    return text ? text : "";
}
/* The default domain has two names. */
static inline const char *tl_domain(const char *domain)
{
    return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}
static inline tl_status tl_load_no_memory(tl_loader *loader)
{
    return tl_error_no_memory(loader->error);
}

/* load.c: metadata, copied. */
tl_status tl_load_metadata(tl_loader *loader, Onnx__StringStringEntryProto *const *entries, size_t count,
                           const tl_text_pair **pairs);

/* scope.c */
void tl_scope_init(tl_scope *scope, const tl_loader *loader, tl_scope *parent, tl_graph *graph, tl_frame *frame);
void tl_scope_free(tl_scope *scope);
/* Makes the value that `name` means in this scope from now on. */
tl_status tl_scope_define(tl_loader *loader, tl_scope *scope, const char *name, tl_value **value);
/* What a name means here: *value is a value of scope->graph, captured if it comes from around; NULL for an absent
 * argument. A name that means nothing is an error; `what` says what it was wanted for. */
tl_status tl_scope_find(tl_loader *loader, tl_scope *scope, const char *name, const char *what, tl_value **value);

/* type.c */
/* Sets what a TypeProto says about a value whose type is not known yet. Types that values here cannot have are an error
 * if `required`, else ignored. */
tl_status tl_load_value_type(tl_loader *loader, const tl_scope *scope, tl_value *value, const Onnx__TypeProto *proto,
                             bool required);
tl_status tl_load_type(tl_loader *loader, const tl_scope *scope, const Onnx__TypeProto *proto, tl_type_info *info);

/* attribute.c */
/* Every attribute has a name of its own. */
tl_status tl_load_check_attributes(tl_loader *loader, const Onnx__NodeProto *proto);
/* Fills node->attributes from the NodeProto's; subgraphs are built. */
tl_status tl_load_attributes(tl_loader *loader, tl_scope *scope, tl_node *node, const Onnx__NodeProto *proto);
/* Reads a tensor, once however often the function that it stands in is inlined. */
tl_status tl_load_tensor(tl_loader *loader, const tl_scope *scope, const Onnx__TensorProto *proto, tl_tensor *tensor,
                         bool *mapped);

/* build.c */
tl_status tl_load_graph(tl_loader *loader, tl_scope *scope, const Onnx__GraphProto *proto);
/* First the values that the nodes make, then the nodes: a file need not have them in order. */
tl_status tl_define_nodes(tl_loader *loader, tl_scope *scope, Onnx__NodeProto *const *nodes, size_t count);
tl_status tl_make_nodes(tl_loader *loader, tl_scope *scope, Onnx__NodeProto *const *nodes, size_t count);
/* An Identity node that gives `from` the place of `to`. */
tl_status tl_load_identity(tl_loader *loader, const tl_scope *scope, tl_value *from, tl_value *to);

/* function.c */
tl_status tl_load_functions(tl_loader *loader);
/* The function that a node calls, as proto->functions has it, or NULL. */
tl_status tl_function_of(tl_loader *loader, const Onnx__NodeProto *node, Onnx__FunctionProto *const **function);
tl_status tl_function_inline(tl_loader *loader, tl_scope *scope, const Onnx__NodeProto *call,
                             Onnx__FunctionProto *const *function);
/* Counts work done for inlining; too much is an error. */
tl_status tl_load_charge(tl_loader *loader, size_t nodes, size_t steps);
/* The operator sets that the model imports; the highest version where a domain comes twice. */
tl_status tl_load_opsets(tl_loader *loader);
tl_status tl_load_imports(tl_loader *loader, Onnx__OperatorSetIdProto *const *imports, size_t count, tl_opset **opsets,
                          size_t *opset_count);
/* The version of a domain that counts for nodes in this scope. */
tl_status tl_load_version(tl_loader *loader, const tl_scope *scope, const char *domain, int32_t *version);

/* body.c */
/* Fills model->functions; before any call is written out. Fails only where memory is refused. */
tl_status tl_load_bodies(tl_loader *loader);
/* A node that means something else at each call, in a function that is loaded for itself. */
bool tl_is_opaque(const tl_scope *scope, const Onnx__NodeProto *proto, bool is_call);
tl_status tl_load_opaque(tl_loader *loader, const tl_scope *scope, const Onnx__NodeProto *proto, tl_node **node);
/* `scope` is a function's, or that of a graph in one, and `proto` its message: for itself, and where one call of it is
 * written out, once that is done. */
tl_status tl_load_note_body(tl_loader *loader, const tl_scope *scope, const void *proto);
tl_status tl_load_note_instance(tl_loader *loader, const tl_scope *scope, const void *proto);

#endif
