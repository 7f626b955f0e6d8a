/* Tapline: runs exported ONNX models. The embedding API, version 0.1; all of it is there since then.
 *
 *     runtime   operators, plugins, allocator, logger, threads      one per process, usually
 *     session   one model, loaded and packed: immutable             shared by any number of threads
 *     context   one run at a time: bindings, plans, working memory  one per thread
 *
 * Errors: every call that can fail returns a tl_status and, where `error` is not NULL, writes one line that says what,
 * where and why; where it succeeds, error->status stays as it was. After a failure the outputs of the call are NULL or
 * unchanged, and nothing is half-made. A NULL that such a call does not allow is TL_INVALID_ARGUMENT; calls that return
 * no status must not be given one.
 * Ownership: what a call creates is given back by the matching destroy, in the order context, session, runtime; every
 * destroy accepts NULL, and is not called while another thread uses the handle. Strings and infos that a handle returns
 * live as long as the handle. */
#ifndef TAPLINE_H
#define TAPLINE_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined __GNUC__
#define TL_API __attribute__((visibility("default")))
#else
#define TL_API
#endif

#define TL_VERSION_MAJOR 0
#define TL_VERSION_MINOR 1
#define TL_VERSION_PATCH 0

typedef struct tl_runtime tl_runtime;
typedef struct tl_session tl_session;
typedef struct tl_context tl_context;
struct tl_host;
struct tl_registrar;

/* ---- General; all thread-safe ------------------------------------------------------------------------------------ */

/* The library's version, "major.minor.patch". */
TL_API const char *tl_version(void);
/* The instruction set that the kernels use: "amx", "avx512", "avx2", "neon" or "portable". The best one that the
 * machine has, or the one that the environment variable TAPLINE_ISA names if it has that, chosen at the first need. For
 * "amx" the process asks Linux for tiles; from then on alternate signal stacks must be as large as
 * sysconf(_SC_MINSIGSTKSZ) says, some 12 KB. Where a smaller one is in use already, it is "avx512". */
TL_API const char *tl_isa(void);
/* A status in words, "invalid model". Never NULL. */
TL_API const char *tl_status_name(tl_status status);
/* A type by the standard's name in lower case, "float", "int64". Never NULL. */
TL_API const char *tl_type_name(tl_type type);
/* Bits that one element takes in memory; 0 for TL_UNDEFINED and numbers out of range. */
TL_API size_t tl_type_bits(tl_type type);
/* Elements of a tensor with known dimensions, and its bytes in memory; -1 where rank or a dimension is unknown, the
 * product overflows, or that of the dimensions beside a 0 is more than 2^28. For the bytes also if the type is none. */
TL_API int64_t tl_tensor_elements(const tl_tensor *tensor);
TL_API int64_t tl_tensor_bytes(const tl_tensor *tensor);

/* ---- Runtime ----------------------------------------------------------------------------------------------------- */

/* The application's memory. Calls may come from any thread, several at once. `alloc` returns NULL to refuse; size is at
 * least 1, alignment a power of two, at most 4096. `free` is never given NULL. Both functions or neither. */
typedef struct tl_allocator {
    void *(*alloc)(void *user, size_t size, size_t alignment);
    void (*free)(void *user, void *memory);
    void *user;
} tl_allocator;

typedef enum tl_log_level { TL_LOG_ERROR = 1, TL_LOG_WARNING = 2, TL_LOG_INFO = 3 } tl_log_level;

/* One line without a newline, which lives during the call. Calls may come from any thread, several at once. */
typedef void (*tl_logger)(void *user, tl_log_level level, const char *message);

/* The application's threads: calls task(context, begin, end, thread) for all pieces of 0 <= i < range, each at most
 * `grain` long and beginning at a multiple of it, with 0 <= thread < thread_count, never two at once with the same
 * number, and returns when all are done. Runs of several contexts call it at once; a task never calls it. */
typedef struct tl_thread_pool {
    void (*parallel_for)(void *user, void (*task)(void *context, int64_t begin, int64_t end, int32_t thread),
                         void *context, int64_t range, int64_t grain);
    int32_t thread_count;
    void *user;
} tl_thread_pool;

/* Set size = sizeof; every other field may be zero. */
typedef struct tl_runtime_options {
    size_t size;
    tl_allocator allocator; /* default: the C library's */
    tl_logger logger;       /* default: none */
    void *logger_user;
    int32_t threads;     /* of the runtime's own pool, the caller's included; at most 1024; 0: 1 */
    tl_thread_pool pool; /* instead of an own pool, if parallel_for is not NULL; thread_count >= 1 */
} tl_runtime_options;

/* Makes a runtime with the standard's operators. `options` may be NULL. */
TL_API tl_status tl_runtime_create(const tl_runtime_options *options, tl_runtime **runtime, tl_error *error);
/* Frees it, and unloads its plugins. Its sessions must be gone. */
TL_API void tl_runtime_destroy(tl_runtime *runtime);

/* Loads the plugin in the shared object at `path`, which is code and must be trusted. Not at the same time as any
 * other use of the runtime. On failure nothing of it stays. */
TL_API tl_status tl_plugin_load(tl_runtime *runtime, const char *path, tl_error *error);
/* The same for a plugin that is linked in. */
TL_API tl_status tl_plugin_register(tl_runtime *runtime,
                                    tl_status (*entry)(const struct tl_host *host, struct tl_registrar *registrar),
                                    tl_error *error);
/* SeparableConv1D (domain "tapline"), as linked into the library; the same as plugins/separable_conv1d.so. */
TL_API tl_status tl_plugin_separable_conv1d(const struct tl_host *host, struct tl_registrar *registrar);

/* An operator that a runtime knows. */
typedef struct tl_operator_info {
    const char *domain;
    const char *name;
    int32_t since_version;
    int32_t until_version; /* 0: still there */
} tl_operator_info;
/* Operator number `index`, sorted by domain, name, version; false beyond the last. Several threads may ask at once. */
TL_API bool tl_runtime_operator(const tl_runtime *runtime, size_t index, tl_operator_info *info);

/* ---- Session ----------------------------------------------------------------------------------------------------- */

enum {
    TL_SESSION_NO_EXTERNAL_DATA = 1, /* refuse tensors that lie in other files */
    TL_SESSION_NO_REWRITES = 2,      /* run the graph as the file has it */
    TL_SESSION_KEEP_VALUES = 4       /* any intermediate value can be asked for: nothing is fused or shared */
};

/* Set size = sizeof; every other field may be zero. Pointers need to live only during the call. */
typedef struct tl_session_options {
    size_t size;
    uint32_t flags; /* TL_SESSION_... */
    /* The folder of external tensors; default: the model file's, in which symlinks are refused; a model from memory has
     * none. If given, symlinks in it and beside the model are followed as long as they end inside it, as in a cache of
     * downloaded models. Files with several hard links are refused. */
    const char *external_data_path;
    /* Rewrites to leave out, by name; NULL-terminated. A name that no rule of the runtime has: TL_INVALID_ARGUMENT. */
    const char *const *disabled_rules;
    size_t max_model_bytes;  /* of the file without tensors; 0: 256 MiB */
    size_t max_tensor_bytes; /* of one tensor in the file or folded; 0: 16 GiB */
    size_t fold_limit;       /* bytes of all constants folded; 0: 16 MiB more than eight times what the file's hold */
} tl_session_options;

/* Loads a model file. On success *session is the caller's. `options` may be NULL. The file may be mapped: it must not
 * be truncated while the session lives. Several threads may open sessions of a runtime at once. */
TL_API tl_status tl_session_open(tl_runtime *runtime, const char *path, const tl_session_options *options,
                                 tl_session **session, tl_error *error);
/* The same from memory, which must stay as it is until the session is destroyed. */
TL_API tl_status tl_session_open_memory(tl_runtime *runtime, const void *data, size_t size,
                                        const tl_session_options *options, tl_session **session, tl_error *error);
/* Its contexts must be gone. */
TL_API void tl_session_destroy(tl_session *session);

typedef enum tl_kind { TL_KIND_TENSOR = 1, TL_KIND_SEQUENCE = 2, TL_KIND_OPTIONAL = 3, TL_KIND_MAP = 4 } tl_kind;

/* A graph input, output or intermediate value as known ahead of a run: unknown dims are < 0 (equal numbers are equal
 * symbols), rank may be TL_RANK_UNKNOWN, `tensor.data` is NULL. */
typedef struct tl_value_info {
    const char *name;
    tl_kind kind;
    tl_tensor tensor; /* of a sequence or optional: its elements, of a map: its values */
} tl_value_info;

/* Inputs that a run needs (initializers that are also listed as inputs don't count) and outputs. False beyond the
 * last. Thread-safe, as everything on a session. */
TL_API size_t tl_session_input_count(const tl_session *session);
TL_API bool tl_session_input(const tl_session *session, size_t index, tl_value_info *info);
TL_API size_t tl_session_output_count(const tl_session *session);
TL_API bool tl_session_output(const tl_session *session, size_t index, tl_value_info *info);
/* The name of the symbol that a negative dimension stands for, or NULL. */
TL_API const char *tl_session_symbol(const tl_session *session, tl_dim dim);

/* ---- Context ----------------------------------------------------------------------------------------------------- */

/* On success *context is the caller's: for one thread at a time, but for tl_context_cancel. Several threads may make
 * contexts of a session at once. */
TL_API tl_status tl_context_create(tl_session *session, tl_context **context, tl_error *error);
TL_API void tl_context_destroy(tl_context *context);

/* Input `index` for the next runs: type, shape and data of `tensor`, whose struct is copied and whose buffer stays the
 * caller's, must hold the data during each run, and is not written, unless an output is bound to it too. What the model
 * does not take is TL_INVALID_INPUT. Inputs that are no tensors cannot be set: TL_UNSUPPORTED. */
TL_API tl_status tl_context_set_input(tl_context *context, size_t index, const tl_tensor *tensor, tl_error *error);
/* Where output `index` goes in the next runs: a buffer of `capacity` bytes, the caller's, aligned to 16; NULL: the
 * context's own memory. A run whose output needs more fails. The buffer may be that of an input, for state that goes
 * round: exactly the same address, and an output with the input's type and shape; the run then writes it after the
 * last read of the input. Any other overlap between bound buffers is the caller's mistake. */
TL_API tl_status tl_context_bind_output(tl_context *context, size_t index, void *buffer, size_t capacity,
                                        tl_error *error);
/* Runs the model. Any number of times; the first with new input shapes makes a plan and allocates, later ones don't:
 * the context keeps the plans of the last four shapes. After a failure it can be used again. Denormal numbers count as
 * zero meanwhile, where the processor can do that. */
TL_API tl_status tl_context_run(tl_context *context, tl_error *error);
/* Output `index` of the last run: *tensor is a view, valid until the next run or binding of the context, of the
 * context's memory, or the buffer bound to it; of an input's buffer where the model hands that on, and strings may be
 * an input's. Before a successful run: TL_INVALID_ARGUMENT; an output that is no tensor: TL_UNSUPPORTED. */
TL_API tl_status tl_context_output(const tl_context *context, size_t index, tl_tensor *tensor, tl_error *error);
/* The value called `name` of the last run, as tl_context_output; the session needs TL_SESSION_KEEP_VALUES for those
 * that are neither inputs nor outputs, and for constants that operators have packed. */
TL_API tl_status tl_context_value(const tl_context *context, const char *name, tl_tensor *tensor, tl_error *error);
/* Asks a run of the context to stop: it returns TL_CANCELLED between two operators, unless it ends before that. Any
 * thread, any time; a call between two runs counts for the next one. NULL: nothing. */
TL_API void tl_context_cancel(tl_context *context);

#ifdef __cplusplus
}
#endif
#endif
