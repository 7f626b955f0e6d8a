/* Tapline's plugin ABI, version 1: all that an operator needs. A plugin links against nothing.
 *
 * A plugin is a shared object that exports
 *
 *     tl_status tapline_plugin(const tl_host *host, tl_registrar *registrar);
 *
 * and registers its operators and rewrite rules from there, and
 *
 *     const uint32_t tapline_plugin_abi = TL_ABI_VERSION;
 *
 * which is the ABI that it was built for: a runtime of any other is not entered. TL_PLUGIN_EXPORT(entry) writes both.
 * The entry can also be handed to tl_plugin_register(), for a plugin that is linked in statically.
 *
 * Rules that hold everywhere:
 *   - Structs that cross the border begin with `size`, set by the side that fills them to its own sizeof. Fields that
 *     lie beyond the size are not read and count as zero. New fields are only ever added at the end.
 *   - Descriptors, names and tables stay the plugin's and must live until the runtime is destroyed: make them const
 *     statics.
 *   - Whoever allocates frees. What a callback takes from host->alloc it gives back with host->free.
 *   - Callbacks may run on any thread; never two at once with the same `tl_call`, but `run` with the same state may
 *     run at the same time from several contexts: state is read-only after `create`.
 *   - A callback reports failure with `return tl_fail(call, status, "...")`. The runtime puts node, operator and file
 *     in front of the text.
 *   - Version 1 carries tensors only. */
#ifndef TAPLINE_PLUGIN_H
#define TAPLINE_PLUGIN_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TL_ABI_VERSION  1
#define TL_PLUGIN_ENTRY "tapline_plugin"
#define TL_PLUGIN_ABI   "tapline_plugin_abi"

typedef struct tl_host tl_host;
typedef struct tl_node tl_node;           /* a node of a graph, with its attributes */
typedef struct tl_value tl_value;         /* what travels along an edge of a graph */
typedef struct tl_registrar tl_registrar; /* where a plugin's registrations go */
typedef struct tl_rewrite tl_rewrite;     /* one attempt to change a graph */

/* ---- Schema: what the runtime checks so that operators need not --------------------------------------------- */

/* A set of element types. */
typedef uint64_t tl_types;
#define TL_T(type)    ((tl_types)1 << (type))
#define TL_T_HALFS    (TL_T(TL_FLOAT16) | TL_T(TL_BFLOAT16))
#define TL_T_FLOATS   (TL_T(TL_FLOAT) | TL_T(TL_DOUBLE) | TL_T_HALFS)
#define TL_T_SIGNED   (TL_T(TL_INT8) | TL_T(TL_INT16) | TL_T(TL_INT32) | TL_T(TL_INT64))
#define TL_T_UNSIGNED (TL_T(TL_UINT8) | TL_T(TL_UINT16) | TL_T(TL_UINT32) | TL_T(TL_UINT64))
#define TL_T_INTEGERS (TL_T_SIGNED | TL_T_UNSIGNED)
#define TL_T_NUMERIC  (TL_T_FLOATS | TL_T_INTEGERS)
#define TL_T_ALL      ((((tl_types)1 << TL_TYPE_COUNT) - 1) & ~(tl_types)1)
#define TL_T_INDEX    (TL_T(TL_INT32) | TL_T(TL_INT64))

enum {
    TL_PARAM_OPTIONAL = 1, /* may be absent: an empty name, or beyond the last */
    TL_PARAM_VARIADIC = 2, /* the last parameter only: any number of them; with OPTIONAL also none */
    TL_PARAM_MIXED = 4,    /* variadic: the types need not agree with each other */
    TL_PARAM_SHAPE = 8     /* an input: its elements decide the outputs' shapes, and nothing else */
};

/* One input or output of an operator. */
typedef struct tl_param {
    const char *name;
    tl_types types;
    char type_variable; /* parameters with the same letter have the same element type; 0: on its own */
    uint8_t flags;      /* TL_PARAM_... */
} tl_param;

/* Kinds of attribute; the numbers are AttributeProto.AttributeType's. */
typedef enum tl_attribute_kind {
    TL_ATTR_FLOAT = 1,
    TL_ATTR_INT = 2,
    TL_ATTR_STRING = 3,
    TL_ATTR_TENSOR = 4,
    TL_ATTR_GRAPH = 5, /* built-in operators only, like the kinds that follow without a name here */
    TL_ATTR_FLOATS = 6,
    TL_ATTR_INTS = 7,
    TL_ATTR_STRINGS = 8
} tl_attribute_kind;

enum { TL_ATTR_REQUIRED = 1 };

/* One attribute. The default counts where the kind is FLOAT (f), INT (i) or STRING (s) and it is not required. */
typedef struct tl_attribute_spec {
    const char *name;
    tl_attribute_kind kind;
    uint32_t flags;
    int64_t i;
    float f;
    const char *s;
} tl_attribute_spec;

/* ---- Calls ----------------------------------------------------------------------------------------------------- */

/* What a callback of an operator gets. Owned by the runtime, valid during the call.
 *
 * inputs[k] is NULL where an optional input is absent; there are input_count of them: one for each parameter of the
 * schema, whether the node has it or not, but of a variadic one as many as the node has. Likewise outputs[k]: NULL
 * where nobody asked for an optional output.
 *
 *            | create              | reshape                              | run
 *  inputs    | type; shape where   | type, shape; data where known now,   | type, shape, data
 *            | known; data where   | else NULL. At load (state NULL) the  |
 *            | constant            | rank or dims may be unknown          |
 *  outputs   | -                   | write rank, dims (and type, where the| type, shape, data to fill (NULL:
 *            |                     | schema leaves it open)               | take it from host->output)
 *  state     | write               | read; NULL at load                   | read
 *  plan      | -                   | write; NULL at load                  | read, write
 *  workspace | -                   | write workspace_size                 | read, write
 *  parts     | -                   | write; NULL at load                  | -
 *
 * A reshape that cannot know an output dimension ahead leaves it TL_DIM_UNKNOWN (the rank too, if it must). If it is
 * still unknown during a run, `run` must allocate that output by host->output. */
typedef struct tl_call {
    size_t size;
    const tl_host *host;
    const tl_node *node;
    const tl_tensor *const *inputs;
    size_t input_count;
    tl_tensor *const *outputs;
    size_t output_count;
    void *state;
    void *plan;            /* plan_size bytes of the descriptor, zeroed before reshape, aligned to 64 */
    void *workspace;       /* workspace_size bytes, aligned to 64, undefined contents */
    size_t workspace_size; /* reshape asks; bytes */
    int32_t thread_count;  /* most threads that parallel_for uses at once; >= 1; the same in reshape and run */
    uint64_t packed;       /* create: bit k set = run reads nothing of input k's data, so that it may be dropped */
    bool view; /* reshape: output 0 is input 0's elements, in the same order: as TL_OP_VIEW, for this shape */
    /* reshape, at a plan; NULL: at load, and where the operator is going to run all the same. Every output is a stretch
     * of input 0's elements, in the same order, if `view` is set and parts[k] is where output k begins in it, in bytes,
     * a multiple of an element's. They are 0 before. */
    int64_t *parts;
} tl_call;

/* ---- Operators ------------------------------------------------------------------------------------------------- */

enum {
    TL_OP_VIEW = 1,             /* output 0 is input 0's elements under another shape: never run, shares the buffer */
    TL_OP_ELEMENTWISE = 2,      /* output 0's element i depends on the inputs' elements i alone, under the standard's
                                   multidirectional broadcasting, and is written after they are read by the same thread:
                                   output 0 may lie over an input of the same size, and transposes move through */
    TL_OP_NONDETERMINISTIC = 4, /* not folded: the result differs from call to call */
    TL_OP_SHAPE_ONLY = 8,       /* run reads only the inputs' shapes, not their data, which may be NULL */
    TL_OP_EXPANDS = 16,         /* writes small numbers as larger ones: of constants only when the rules of
                                   TL_PHASE_QUANTIZED have seen them */
    TL_OP_LONG = 32 /* may take far longer than it takes to read the inputs and to write the outputs: left to
                       a run, which can be cancelled, even where all inputs are constant */
};

/* How far an operator sees along an axis: its outputs at t depend on the input's elements from t * stride - before to
 * t * stride + after alone. A negative stride says that there are -stride outputs for each element: those at t depend
 * on elements i with t - before <= i * -stride <= t + after. */
typedef struct tl_reach {
    int64_t stride, before, after;
} tl_reach;

/* An operator, at a range of versions of its domain. */
typedef struct tl_operator {
    size_t size;
    const char *domain; /* "" is the standard's default domain */
    const char *name;
    int32_t since_version; /* the resolved operator has the largest since_version <= the model's import */
    int32_t until_version; /* first version at which it no longer exists, or 0 */
    uint32_t flags;        /* TL_OP_... */
    const tl_param *inputs;
    size_t input_count;
    const tl_param *outputs;
    size_t output_count;
    const tl_attribute_spec *attributes; /* any attribute not listed is an error */
    size_t attribute_count;
    size_t plan_size; /* bytes per node and plan */

    /* Checks attributes, and constant inputs, and makes the immutable state. May be NULL: no state. Nodes that were
     * given the same attributes, the same constants, and inputs of the same types and shapes may share one. */
    tl_status (*create)(tl_call *call);
    /* Shapes and types. Called at load with what is known then, and per plan. NULL: every output is shaped like
     * input 0. */
    tl_status (*reshape)(tl_call *call);
    /* Computes. With planned shapes it must not allocate, lock, or call the system. NULL only with TL_OP_VIEW. */
    tl_status (*run)(tl_call *call);
    /* Frees the state, which create made; never called with NULL. May be NULL. */
    void (*destroy)(const tl_host *host, void *state);

    /* Optional: rewrites the node into simpler operators, for `tapline lower` and other runtimes. Like a rule's apply.
     */
    tl_status (*decompose)(const tl_host *host, tl_rewrite *rewrite, tl_node *node);
    /* Optional: how a transpose travels through. Makes the node that does the same to `inputs`, which are what the
     * node's inputs of rank `rank` were before a Transpose by `perm` (constants, weights among them, and inputs of
     * another rank are the node's own), and writes the Transpose that its output 0 needs to `output_perm`. NULL: it
     * cannot. */
    tl_node *(*permute)(const tl_host *host, tl_rewrite *rewrite, const tl_node *node, tl_value *const *inputs,
                        const int32_t *perm, int32_t rank, int32_t *output_perm);
    /* Optional: whether the operator is local along `axis` of input k, of which the outputs have as many steps, but for
     * a stride and edges, at the axis where it goes; then writes what it sees to `reach`, which is {1, 0, 0} before.
     * Beyond the edges it reads nothing but pads, and these are made of elements in reach. It computes an output in the
     * same way wherever on the axis it lies, and however long that is. The call is a reshaped one, with no data. NULL:
     * it cannot tell. The runtime asks so as to cut long signals into pieces, and not where TL_OP_ELEMENTWISE or
     * TL_OP_VIEW says it already. */
    bool (*reach)(const tl_call *call, size_t k, int32_t axis, tl_reach *reach);
} tl_operator;

/* ---- Rewrite rules --------------------------------------------------------------------------------------------- */

typedef enum tl_phase {
    TL_PHASE_LAYOUT = 1,
    TL_PHASE_PLUGIN = 2,
    TL_PHASE_EPILOGUE = 3,
    TL_PHASE_QUANTIZED = 4 /* before all others, in all graphs of the model */
} tl_phase;

/* A rule looks at one node, the anchor, and may change the graph around it, with the functions of the host below.
 * Changes count when apply returns TL_OK and called host->commit; else the graph stays as it was. Every commit must
 * lower the number of nodes, or of nodes of the anchor's operator. Values that the graph gives out keep their names. */
typedef struct tl_rule {
    size_t size;
    const char *name; /* the switch that turns it off: "plugin.rule" */
    tl_phase phase;
    const char *anchor_domain;
    const char *anchor_name; /* "*": any operator of the domain */
    tl_status (*apply)(const tl_host *host, tl_rewrite *rewrite, tl_node *anchor);
} tl_rule;

/* ---- The host -------------------------------------------------------------------------------------------------- */

/* A piece of a parallel loop: indices begin <= i < end, on thread number `thread`, 0 <= thread < thread_count. */
typedef void (*tl_task)(void *context, int64_t begin, int64_t end, int32_t thread);

/* Functions of the runtime. Thread-safe unless said otherwise. Append-only. */
struct tl_host {
    size_t size;
    uint32_t abi_version;

    /* Registration; only inside tapline_plugin(), on its thread. Copies no names or tables. After the first failure
     * every further call fails for the same reason, and the plugin is refused whole.
     * An operator's domain must be registered, before it or by another plugin; only the standard's are there from the
     * start. (domain, name, since_version) and a rule's name must be new. "ai.onnx" is another name of domain "". */
    tl_status (*register_operator)(tl_registrar *registrar, const tl_operator *op);
    tl_status (*register_rule)(tl_registrar *registrar, const tl_rule *rule);
    /* The newest version of a domain that this plugin knows; a model that imports a newer one is refused. Where several
     * plugins share a domain the largest counts. The standard's domains are not a plugin's to register. */
    tl_status (*register_domain)(tl_registrar *registrar, const char *domain, int32_t newest_version);

    /* Memory, by the application's allocator; alignment a power of two, at most 4096. NULL when refused. */
    void *(*alloc)(const tl_host *host, size_t size, size_t alignment);
    void (*free)(const tl_host *host, void *memory);

    /* Records why a callback fails; returns `status`. One line, cut at 1000 bytes. */
    tl_status (*fail)(const tl_call *call, tl_status status, const char *format, ...)
#if defined __GNUC__
        __attribute__((format(printf, 3, 4)))
#endif
        ;

    /* Attributes of a node, checked against the schema; a missing one gives the schema's default, or NULL and count 0.
     * The memory stays the node's. */
    bool (*attribute_given)(const tl_node *node, const char *name);
    int64_t (*attribute_int)(const tl_node *node, const char *name);
    float (*attribute_float)(const tl_node *node, const char *name);
    const char *(*attribute_string)(const tl_node *node, const char *name, size_t *size); /* NUL behind its end */
    const int64_t *(*attribute_ints)(const tl_node *node, const char *name, size_t *count);
    const float *(*attribute_floats)(const tl_node *node, const char *name, size_t *count);
    const tl_string *(*attribute_strings)(const tl_node *node, const char *name, size_t *count);
    const tl_tensor *(*attribute_tensor)(const tl_node *node, const char *name);

    /* The version of the operator's domain that the model imports. */
    int32_t (*node_version)(const tl_node *node);

    /* Run only. Gives output k its shape and memory, where reshape could not. NULL: refused, already reported. */
    void *(*output)(tl_call *call, size_t k, int32_t rank, const int64_t *dims);
    /* Run only. Bytes for an element of a string output; they live as long as the run's results. NULL: refused. */
    char *(*string)(tl_call *call, size_t size);
    /* Run only. Calls task for pieces of 0 <= i < range, each of at most `grain` indices and starting at a multiple of
     * it, and returns when all are done. */
    void (*parallel_for)(tl_call *call, tl_task task, void *context, int64_t range, int64_t grain);

    /* Rewriting; only inside a rule's apply, or decompose. */
    const char *(*node_domain)(const tl_node *node);
    const char *(*node_operator)(const tl_node *node);
    const char *(*node_name)(const tl_node *node);
    /* The operator that the node resolved to: its flags, facets and parameters. */
    const tl_operator *(*node_descriptor)(const tl_node *node);
    size_t (*node_input_count)(const tl_node *node);
    tl_value *(*node_input)(const tl_node *node, size_t k); /* NULL: absent */
    size_t (*node_output_count)(const tl_node *node);
    tl_value *(*node_output)(const tl_node *node, size_t k); /* NULL: absent */
    tl_node *(*value_producer)(const tl_value *value);       /* NULL: an input or a constant */
    size_t (*value_use_count)(
        const tl_value *value); /* inputs that read it, in subgraphs too, +1 if the graph gives it out */
    tl_node *(*value_user)(const tl_value *value, size_t k); /* k < use_count; NULL for the graph itself */
    /* Type, rank and dims as far as known (rank TL_RANK_UNKNOWN, dims < 0). Data only for a constant of at most 4096
     * bytes (axes, pads, ...), or one that value_data was asked for. */
    const tl_tensor *(*value_tensor)(const tl_value *value);
    bool (*value_is_constant)(const tl_value *value);
    /* A constant's elements, at any size, until the end of the attempt; NULL: no constant, or memory refused. Large
     * ones may have to be copied out of the file: ask only once everything else fits. */
    const void *(*value_data)(tl_value *value);

    /* New things of the attempt; NULL when refused (then the attempt fails at commit). Names are made unique.
     * new_constant copies the tensor; where that has no data, apply writes it, at value_data. new_node's outputs[k] is
     * a value of the graph, which the new node takes over from its old producer, or NULL for a new one. Nodes whose
     * outputs nobody needs any more go at the commit. */
    tl_value *(*new_constant)(tl_rewrite *rewrite, const char *name, const tl_tensor *tensor);
    tl_node *(*new_node)(tl_rewrite *rewrite, const char *domain, const char *op, const char *name,
                         tl_value *const *inputs, size_t input_count, tl_value *const *outputs, size_t output_count);
    /* Attributes of a node that this attempt made; of any other: TL_INVALID_ARGUMENT, and the attempt fails. */
    tl_status (*copy_attributes)(tl_rewrite *rewrite, tl_node *node, const tl_node *from);
    tl_status (*set_int)(tl_rewrite *rewrite, tl_node *node, const char *name, int64_t value);
    tl_status (*set_float)(tl_rewrite *rewrite, tl_node *node, const char *name, float value);
    tl_status (*set_string)(tl_rewrite *rewrite, tl_node *node, const char *name, const char *value);
    tl_status (*set_ints)(tl_rewrite *rewrite, tl_node *node, const char *name, const int64_t *values, size_t count);
    /* Gives the attempt up and says why, for whoever asked for it by name (`tapline lower`); returns `status`. */
    tl_status (*refuse)(tl_rewrite *rewrite, tl_status status, const char *format, ...)
#if defined __GNUC__
        __attribute__((format(printf, 3, 4)))
#endif
        ;
    /* Checks the attempt and makes it the graph. */
    tl_status (*commit)(tl_rewrite *rewrite);
    /* The version at which new nodes of a domain resolve in this model; 0: not imported. */
    int32_t (*domain_version)(const tl_rewrite *rewrite, const char *domain);
};

/* The signature of a plugin's entry. `host` stays valid until the runtime is destroyed. A status other than TL_OK
 * unwinds all that was registered by this call. */
typedef tl_status (*tl_plugin_entry)(const tl_host *host, tl_registrar *registrar);

/* Once, at file scope, in a plugin that is a shared object: exports `entry` under the names that the runtime looks for.
 *     static tl_status enter(const tl_host *host, tl_registrar *registrar) { ... }
 *     TL_PLUGIN_EXPORT(enter); */
#if defined __GNUC__
#define TL_PLUGIN_VISIBLE __attribute__((visibility("default")))
#else
#define TL_PLUGIN_VISIBLE
#endif
#if defined __cplusplus
#define TL_PLUGIN_LINKAGE extern "C"
#else
#define TL_PLUGIN_LINKAGE extern
#endif
#define TL_PLUGIN_EXPORT(entry)                                                                                 \
    TL_PLUGIN_LINKAGE TL_PLUGIN_VISIBLE tl_status tapline_plugin(const tl_host *host, tl_registrar *registrar); \
    tl_status tapline_plugin(const tl_host *host, tl_registrar *registrar)                                      \
    {                                                                                                           \
        return entry(host, registrar);                                                                          \
    }                                                                                                           \
    TL_PLUGIN_LINKAGE TL_PLUGIN_VISIBLE const uint32_t tapline_plugin_abi;                                      \
    const uint32_t tapline_plugin_abi = TL_ABI_VERSION

/* Reports a failure from a callback: `return tl_fail(call, TL_INVALID_MODEL, "kernel_shape is %d, ...", n);` */
#define tl_fail(call, ...) ((call)->host->fail((call), __VA_ARGS__))

#ifdef __cplusplus
}
#endif
#endif
