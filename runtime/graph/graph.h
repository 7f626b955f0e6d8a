/* The graph: what a model file says, without protobuf.
 *
 * A tl_model owns everything, in one arena: graphs, nodes, values, attributes, names. Nodes and values are handles that
 * stay where they are; a graph lists them. The loader builds a graph with the tl_graph_add_* functions; then, in this
 * order, each stage turns the model into the next form of itself:
 *
 *     tl_graph_check    names, single assignment, cycles; puts the nodes in order
 *     tl_graph_resolve  every node gets its operator; arity, attributes checked against the schema
 *     tl_graph_infer    types and shapes, as far as known
 *     tl_graph_fold     constants computed, dead nodes removed
 *     tl_graph_rewrite  the rules, phase by phase
 *
 * Everything here is internal and single-threaded; after loading, a model is only read. */
#ifndef TL_GRAPH_H
#define TL_GRAPH_H

#include "base/base.h"
#include "plugin/registry.h"
#include "tapline/plugin.h"

typedef struct tl_graph tl_graph;
typedef struct tl_model tl_model;

#define TL_MAX_DEPTH 32 /* of subgraphs and of functions */

/* Kinds of attribute beyond the ABI's; the numbers are AttributeProto.AttributeType's. */
enum {
    TL_ATTR_GRAPHS = 10,
    TL_ATTR_SPARSE_TENSOR = 11, /* the loader makes it a dense TL_ATTR_TENSOR */
    TL_ATTR_TYPE_PROTO = 13
};

/* The type of a value that is more than a tensor: sequence(element), optional(element), map(key, element). */
typedef struct tl_type_info {
    tl_kind kind;
    tl_tensor tensor;                   /* TL_KIND_TENSOR: type, rank, dims; TL_KIND_MAP: type is the key's */
    const struct tl_type_info *element; /* other kinds; NULL where not known */
} tl_type_info;

typedef struct tl_attribute {
    const char *name;
    int kind;    /* tl_attribute_kind and above */
    bool mapped; /* a Constant's tensor that was left where it is in the file, at any alignment */
    size_t count;
    union {
        int64_t i;
        float f;
        tl_string s;
        const int64_t *ints;
        const float *floats;
        const tl_string *strings;
        const tl_tensor *tensor;
        const tl_tensor *const *tensors;
        tl_graph *graph;
        tl_graph *const *graphs;
        const tl_type_info *type;
    } u;
} tl_attribute;

/* Where a constant's elements are. `source` is the file's map or the caller's memory, and need not be aligned;
 * `aligned` is where they can be read as elements, made when first asked for. */
typedef struct tl_constant {
    const void *source;
    void *aligned;
    void *copied; /* == aligned where it is a copy of this model's own, to be freed */
    int64_t bytes;
    bool mapped;              /* source lies in a mapped file: its pages can be dropped once read */
    bool needed;              /* some operator reads it at each run: it did not pack it */
    struct tl_constant *next; /* of the model's, for freeing */
} tl_constant;

enum {
    TL_VALUE_INPUT = 1,    /* of its graph */
    TL_VALUE_OUTPUT = 2,   /* of its graph */
    TL_VALUE_CONSTANT = 4, /* tensor and `constant` are set; never changes */
    TL_VALUE_CAPTURE = 8   /* stands for a value of the graph around */
};

struct tl_value {
    const char *name; /* unique in its graph; never "" */
    tl_graph *graph;
    tl_kind kind;
    tl_tensor tensor;         /* type, rank, dims as known; data NULL until tl_value_data() */
    const tl_type_info *type; /* where kind is not a tensor's; may be NULL: not known */
    uint32_t flags;           /* TL_VALUE_... */
    tl_node *producer;        /* NULL: input, constant, capture */
    tl_value *outer;          /* of a capture */
    tl_constant *constant;
    tl_node *
        *users; /* one entry for each input that reads it, by tl_graph_link(); behind a rewrite removed ones, too */
    size_t user_count, listed_count, user_capacity; /* listed: with removed ones */
    int32_t index;                                  /* in graph->values, after tl_graph_link() */
    struct tl_value *next_by_name;
};

typedef struct tl_text_pair {
    const char *key, *value;
} tl_text_pair;

struct tl_node {
    const char *name;   /* "" if the file gives none */
    const char *domain; /* "" for "ai.onnx" too */
    const char *op_type;
    tl_graph *graph;
    tl_value **inputs; /* NULL: absent */
    size_t input_count;
    tl_value **outputs; /* NULL: absent */
    size_t output_count;
    tl_attribute *attributes;
    size_t attribute_count;
    tl_graph **graphs; /* those of its attributes, by tl_node_list_graphs() */
    size_t graph_count;
    const tl_text_pair *metadata; /* of the NodeProto, if the loader was asked to keep it */
    size_t metadata_count;
    const tl_operator *op; /* after tl_graph_resolve() */
    int32_t version;       /* of the domain, as the model (or the function that the node comes from) imports it */
    int32_t source;        /* position of the NodeProto in the file's graph, or a TL_SOURCE_... */
    void *state;           /* made by op->create for the session */
    const tl_node *twin;   /* whose state that is; NULL: this node's own */
    bool created;          /* op->create has run; it may have made no state */
    uint8_t visit;         /* scratch of tl_graph_order() */
    bool removed;          /* no longer in the graph: dead, or rewritten */
    int64_t position;      /* greater than those of the nodes that it reads from; 0: not placed */
    size_t tried;          /* the last of graph->tries that looked at it; 0: something near it has changed since */
};

/* Nodes in an arena. */
typedef struct tl_node_list {
    tl_arena *arena;
    tl_node **nodes;
    size_t count, capacity;
} tl_node_list;

/* tl_node.source of nodes that the file's graph does not have. */
enum {
    TL_SOURCE_NEW = -1,     /* made by a rewrite */
    TL_SOURCE_LOADER = -2,  /* by the loader */
    TL_SOURCE_FUNCTION = -3 /* and below: out of function number -3 - source, which the graph's own node calls */
};

typedef struct tl_function tl_function;

struct tl_graph {
    const char *name;
    tl_model *model;
    tl_graph *parent;      /* NULL: the main graph, or a function's body */
    tl_function *function; /* that this graph is, or is inside, the body of; NULL: none */
    size_t number;         /* in the model: 0 is the main graph */
    int depth;
    tl_node **nodes; /* in the file's order; in running order after tl_graph_check() */
    size_t node_count, node_capacity;
    size_t tries; /* times that a rule looked for nodes */
    tl_value **values;
    size_t value_count, value_capacity;
    tl_value **inputs; /* as listed, without those that are also initializers */
    size_t input_count, input_capacity;
    tl_value **outputs; /* a value may stand here twice */
    size_t output_count, output_capacity;
    tl_value **captures; /* values with TL_VALUE_CAPTURE */
    size_t capture_count, capture_capacity;
    tl_value **buckets; /* names */
    size_t bucket_count;
};

typedef struct tl_opset {
    const char *domain; /* "" for "ai.onnx" too */
    int64_t version;
} tl_opset;

/* A function whose body was loaded for itself, to be rewritten: a graph in which nodes that are calls, or have
 * attributes of the function's call, are opaque. Their operator is not looked up, and says nothing of what they do. */
struct tl_function {
    tl_graph *graph; /* NULL: it cannot be looked into */
    tl_opset *opsets;
    size_t opset_count;
    struct tl_instance {
        tl_value *value, *instance; /* a value of the body, and the same value where a call was written out */
    } * instances;
    size_t instance_count, instance_capacity;
};

/* A file or memory that tensors lie in. */
typedef struct tl_mapping {
    void *data;
    size_t size;
    struct tl_mapping *next;
} tl_mapping;

struct tl_model {
    tl_arena arena;
    const tl_allocator *allocator;
    const tl_registry *registry;
    const char *path; /* for messages; "(memory)" */
    int64_t ir_version;
    const char *producer_name, *producer_version, *domain, *doc_string;
    int64_t model_version;
    tl_opset *opsets;
    size_t opset_count;
    tl_function *functions; /* in the file's order; NULL unless they were asked for */
    size_t function_count;
    const tl_text_pair *metadata;
    size_t metadata_count;
    const char **symbols; /* dims -2, -3, ... by name; anonymous ones have NULL */
    size_t symbol_count, symbol_capacity;
    tl_mapping *mappings;
    tl_constant *constants;
    void *spare; /* the last copy of a constant that was given back, or NULL: for the next of that size */
    int64_t spare_bytes;
    size_t graph_count;
    tl_graph *graph;
    size_t max_tensor_bytes;
    int64_t fold_budget; /* bytes that results of folding may still take */
    int64_t unique;      /* numbers for made names */
    void (*unmap)(tl_mapping *mapping);
};

/* ---- Building. Every function that returns a pointer returns NULL when memory is refused. */

tl_model *tl_model_new(const tl_allocator *allocator, const tl_registry *registry);
void tl_model_free(tl_model *model); /* everything: states by their operators, mappings, arena. NULL: nothing */

tl_graph *tl_graph_new(tl_model *model, tl_graph *parent, const char *name);
/* The value of this name in this graph (not around it), or NULL. */
tl_value *tl_graph_find(const tl_graph *graph, const char *name);
/* Puts a value under its name again, after the table was cleared. */
void tl_graph_index(tl_graph *graph, tl_value *value);
/* A new value; the name (copied) must be new in the graph. kind TENSOR, type undefined, rank unknown. */
tl_value *tl_graph_add_value(tl_graph *graph, const char *name);
/* A new value with a name that nobody has, made from `base`. */
tl_value *tl_graph_add_unique(tl_graph *graph, const char *base);
/* A value's source becomes a constant. `tensor` (copied) gives type and dims; `source` must outlive the model and hold
 * tl_tensor_bytes(tensor) bytes, at any alignment. */
bool tl_value_set_constant(tl_value *value, const tl_tensor *tensor, const void *source, bool mapped);
/* The element type of a value of any kind: that of the tensors in it; of a map its values'. */
tl_type tl_value_element_type(const tl_value *value);
/* What a value of a kind may be given to: both tensors, or the same kind; a difference in element types that are known
 * counts. */
bool tl_value_matches(const tl_value *from, const tl_value *to);
/* Gives `to` the kind and type (not the shape) of `from`. */
void tl_value_copy_kind(tl_value *to, const tl_value *from);
/* Where a captured value comes from: the value of an outer graph; any other value is its own origin. */
tl_value *tl_value_origin(tl_value *value);
/* The constant's elements, aligned; NULL: not a constant, or memory refused. */
const void *tl_value_data(tl_value *value);
/* The same with elements that the model takes over: `data` comes from the model's allocator and is freed with it. */
bool tl_value_take_constant(tl_value *value, const tl_tensor *tensor, void *data);
/* After a node took (packed) its constants: gives back pages and copies that nobody needs for now. */
void tl_value_release(tl_value *value);
/* The same for a constant that nobody will ever read again, computed ones too. */
void tl_value_drop(tl_value *value);
void tl_model_drop_spare(tl_model *model);
/* A new node with room for inputs and outputs, which the caller fills (NULL: absent) and attributes (names, copied). */
tl_node *tl_graph_add_node(tl_graph *graph, const char *name, const char *domain, const char *op_type,
                           size_t input_count, size_t output_count, size_t attribute_count);
/* What a graph gets from outside: its inputs, then its captures. */
static inline size_t tl_graph_given_count(const tl_graph *graph)
{
    return graph->input_count + graph->capture_count;
}
static inline tl_value *tl_graph_given(const tl_graph *graph, size_t k)
{
    return k < graph->input_count ? graph->inputs[k] : graph->captures[k - graph->input_count];
}
bool tl_graph_add_input(tl_graph *graph, tl_value *value);
bool tl_graph_add_output(tl_graph *graph, tl_value *value);
/* A new symbol, of a name that is copied, or anonymous (NULL). TL_DIM_UNKNOWN when refused. */
tl_dim tl_model_symbol(tl_model *model, const char *name);
const char *tl_model_symbol_name(const void *model, tl_dim dim);
/* The imported version of a domain, or 0. */
int64_t tl_model_opset(const tl_model *model, const char *domain);
/* The version that counts in a graph: a function's own import before the model's. */
int64_t tl_graph_opset(const tl_graph *graph, const char *domain);
const tl_attribute *tl_node_attribute(const tl_node *node, const char *name);
/* What the schema of the node's operator says of an attribute; NULL: there is none, or no operator yet. */
const tl_attribute_spec *tl_node_attribute_spec(const tl_node *node, const char *name);
/* Lists the graphs inside, once the attributes are there. False: memory refused. */
bool tl_node_list_graphs(tl_node *node);
/* The graphs inside a node, k = 0, 1, ...; NULL beyond the last. */
static inline tl_graph *tl_node_subgraph(const tl_node *node, size_t k)
{
    return k < node->graph_count ? node->graphs[k] : NULL;
}
/* "node 'name' (Conv)", or "node #3 (Conv)" where it has no name. Returns buffer. */
char *tl_node_describe(const tl_node *node, char *buffer, size_t size);

/* ---- Stages */

/* These work on a graph and the graphs inside it. */

tl_status tl_graph_check(tl_graph *graph, tl_error *error);
/* Running order, cycles refused: part of the check, and again after rewrites. */
tl_status tl_graph_order(tl_graph *graph, tl_error *error);
/* Gives nodes from number `first` on, which are new, positions up to `before`, that of what they replace. False: they
 * would not be in order, or a position is wanted where none is left: then only tl_graph_order() tells. */
bool tl_graph_place(const tl_graph *graph, size_t first, int64_t before);
tl_status tl_graph_resolve(tl_graph *graph, const tl_registry *registry, tl_error *error);
/* The same for one node, without what is inside it. */
tl_status tl_node_resolve(tl_node *node, const tl_registry *registry, tl_error *error);
tl_status tl_graph_infer(tl_graph *graph, const tl_host *host, tl_error *error);
/* Every tensor that a node makes or a graph takes has a known element type: what kernels rely on. */
tl_status tl_graph_check_types(const tl_graph *graph, tl_error *error);
/* How much folding may add in all, in bytes; 0: a multiple of what the file's constants hold. */
void tl_model_limit_folding(tl_model *model, size_t limit);
/* Leaves alone operators with any of the flags `keep`. */
tl_status tl_graph_fold(tl_graph *graph, const tl_host *host, uint32_t keep, tl_error *error);
/* Removes nodes whose outputs nobody needs (unless keep_dead), and values without use; sets users and indices anew.
 * The graph must be in order. False: memory refused. */
bool tl_graph_link(tl_graph *graph, bool keep_dead);
/* The same after a rewrite, with what it changed only: `made` nodes in `touched` from number `first` on are new, those
 * behind them have lost outputs. Adds nodes next to what has changed. The graph's lists keep what is removed until it
 * is linked. False: memory refused. */
bool tl_graph_relink(tl_node_list *touched, size_t first, size_t made);
bool tl_node_list_add(tl_node_list *list, tl_node *node);
/* The k-th node that reads a value, or NULL. */
tl_node *tl_value_user(tl_value *value, size_t k);
/* Of a linked graph and the graphs inside: makes captures of what loops hand on unchanged. False: memory refused. */
bool tl_graph_free_invariants(tl_graph *graph);
/* Types and shapes of one node's outputs, from its inputs. */
tl_status tl_node_infer(tl_node *node, const tl_host *host, tl_error *error);
/* Inputs and outputs in a call of the node: its own, and absent ones for the rest of the operator's parameters. */
static inline size_t tl_call_values(size_t given, const tl_param *params, size_t count)
{
    if (count > 0 && params[count - 1].flags & TL_PARAM_VARIADIC)
        count--;
    return given > count ? given : count;
}
static inline size_t tl_node_call_inputs(const tl_node *node)
{
    return tl_call_values(node->input_count, node->op->inputs, node->op->input_count);
}
static inline size_t tl_node_call_outputs(const tl_node *node)
{
    return tl_call_values(node->output_count, node->op->outputs, node->op->output_count);
}
/* Where a walk over what a node reads has come; all zero: nowhere. */
typedef struct tl_dependency {
    size_t graph, k; /* 0: its inputs; 1, 2, ...: the captures of a graph inside */
} tl_dependency;
/* The next value that a node reads: its own inputs (NULL: absent), then what the graphs inside capture. False at the
 * end. */
bool tl_node_dependency(const tl_node *node, tl_dependency *at, tl_value **value);

/* One attempt on one node: a rule's apply in its phase, or what changes a file (phase 0). *changed: it was committed,
 * and the graph is to be settled before anything but an attempt looks at its lists. Otherwise the graph is as before,
 * and the status says why. */
typedef tl_status (*tl_apply)(const tl_host *host, tl_rewrite *rewrite, tl_node *node);
tl_status tl_graph_attempt(tl_graph *graph, const tl_host *host, tl_phase phase, tl_apply apply, tl_node *node,
                           bool *changed, tl_error *error);
/* Orders and links the graph behind any number of attempts. */
tl_status tl_graph_settle(tl_graph *graph, tl_error *error);

/* What rewriting did, for `inspect`. */
typedef struct tl_rewrite_log {
    const char *rule;
    size_t count;
} tl_rewrite_log;
tl_status tl_graph_rewrite(tl_graph *graph, const tl_host *host, const char *const *disabled, tl_rewrite_log **log,
                           size_t *log_count, tl_error *error);

#endif
