/* What the files of the standard's operators share. An operator includes this, and reads top to bottom: parameters,
 * reshape, run, descriptor. Each descriptor is called tl_op_NAME_SINCE and stands in operators.def; it covers all
 * versions from SINCE up to the next one of its name. Names of other domains than the default one must differ from its
 * names, or in SINCE. */
#ifndef TL_OP_H
#define TL_OP_H

#include <math.h>
#include <string.h>
#include "tapline/plugin.h"

/* ---- Schemas */

/* Begins a descriptor: OP_DESCRIPTOR(Relu, 6) = {OP_HEAD(Relu, 6), ...}; and its line in operators.def is
 * TL_OPERATOR(Relu, 6). */
#define OP_DESCRIPTOR(name, since)                   \
    extern const tl_operator tl_op_##name##_##since; \
    const tl_operator tl_op_##name##_##since
#define OP_HEAD(op, since) OP_HEAD_IN("", op, since)
#define OP_HEAD_IN(domain_, op, since) \
    .size = sizeof(tl_operator), .domain = domain_, .name = #op, .since_version = since

#define OP_IN(name, types, variable) \
    {                                \
        name, types, variable, 0     \
    }
#define OP_OPT(name, types, variable)            \
    {                                            \
        name, types, variable, TL_PARAM_OPTIONAL \
    }
#define OP_SHAPE(name, types, variable, other_flags)          \
    {                                                         \
        name, types, variable, TL_PARAM_SHAPE | (other_flags) \
    }
#define OP_VAR(name, types, variable)            \
    {                                            \
        name, types, variable, TL_PARAM_VARIADIC \
    }
#define OP_INT(label, value)                           \
    {                                                  \
        .name = label, .kind = TL_ATTR_INT, .i = value \
    }
#define OP_FLOAT(label, value)                           \
    {                                                    \
        .name = label, .kind = TL_ATTR_FLOAT, .f = value \
    }
#define OP_STRING(label, value)                           \
    {                                                     \
        .name = label, .kind = TL_ATTR_STRING, .s = value \
    }
#define OP_INTS(label)                      \
    {                                       \
        .name = label, .kind = TL_ATTR_INTS \
    }
#define OP_REQUIRED_INT(label)                                        \
    {                                                                 \
        .name = label, .kind = TL_ATTR_INT, .flags = TL_ATTR_REQUIRED \
    }
#define OP_PARAMS(field, table) .field##s = table, .field##_count = sizeof(table) / sizeof((table)[0])

/* ---- Attributes of the call's node */

static inline int64_t op_int(const tl_call *call, const char *name)
{
    return call->host->attribute_int(call->node, name);
}
static inline float op_float(const tl_call *call, const char *name)
{
    return call->host->attribute_float(call->node, name);
}
static inline const char *op_string(const tl_call *call, const char *name)
{
    return call->host->attribute_string(call->node, name, NULL);
}
static inline const int64_t *op_ints(const tl_call *call, const char *name, size_t *count)
{
    return call->host->attribute_ints(call->node, name, count);
}
static inline bool op_given(const tl_call *call, const char *name)
{
    return call->host->attribute_given(call->node, name);
}

/* Which of `words`, which have spaces in between, a string attribute is, counted from 0; else TL_INVALID_MODEL, and an
 * error that names them all. */
tl_status op_word(const tl_call *call, const char *attribute, const char *words, int *which);

/* ---- Tensors */

static inline const tl_tensor *op_input(const tl_call *call, size_t k)
{
    return k < call->input_count ? call->inputs[k] : NULL;
}
static inline tl_tensor *op_output(const tl_call *call, size_t k)
{
    return k < call->output_count ? call->outputs[k] : NULL;
}
/* Strings by their bytes, the shorter of two that begin alike first: negative, 0 or positive. */
int op_compare_strings(const tl_string *a, const tl_string *b);
static inline bool op_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
/* Product of dims[begin..end), all known. Of a tensor without elements it may be any number, because the dims beside
 * the 0 can be huge; of all others the runtime has checked that it fits. */
static inline int64_t op_product(const tl_tensor *tensor, int32_t begin, int32_t end)
{
    uint64_t n = 1;
    for (int32_t i = begin; i < end; i++)
        n *= (uint64_t)tensor->dims[i];
    return (int64_t)n;
}
/* A parallel loop's grain, at most `grain`, with which all threads get equally many of its pieces. */
static inline int64_t op_even_grain(const tl_call *call, int64_t range, int64_t grain)
{
    const int64_t rounds = (range - 1) / grain / call->thread_count + 1;
    return range <= grain ? grain : (range - 1) / (rounds * call->thread_count) + 1;
}
/* Elements of a tensor whose dims are all known. */
static inline int64_t op_elements(const tl_tensor *tensor)
{
    return op_product(tensor, 0, tensor->rank);
}
static inline void op_copy_shape(tl_tensor *to, const tl_tensor *from)
{
    to->rank = from->rank;
    if (from->rank > 0)
        memcpy(to->dims, from->dims, (size_t)from->rank * sizeof to->dims[0]);
}
/* Where the extreme of n > 0 elements stands, the first or the last time; NaN is found, too. */
#define OP_FIND(name, T)                                                              \
    static int64_t name(const T *x, int64_t n, T extreme, bool last)                  \
    {                                                                                 \
        const int64_t step = last ? -1 : 1, end = last ? 0 : n - 1;                   \
        int64_t at = last ? n - 1 : 0;                                                \
        while (at != end && (extreme == extreme ? x[at] != extreme : x[at] == x[at])) \
            at += step;                                                               \
        return at;                                                                    \
    }
/* Output 0 (and type, where the schema leaves it open) of unknown shape: nothing more can be said ahead. */
static inline tl_status op_unknown_shape(tl_call *call)
{
    for (size_t k = 0; k < call->output_count; k++)
        if (call->outputs[k])
            call->outputs[k]->rank = TL_RANK_UNKNOWN;
    return TL_OK;
}

/* ---- In op.c */

/* destroy of a state that is one allocation, or NULL. */
void op_free_state(const tl_host *host, void *state);
/* An axis of a tensor of `rank` dimensions, counted from the end if negative; else an error that names it. */
tl_status op_axis(const tl_call *call, const char *what, int64_t axis, int32_t rank, int32_t *result);
/* The standard's multidirectional broadcasting of the shapes of inputs[0..count), the call's or others, into `out`
 * (rank and dims). An unknown dimension against a known one > 1 gives the known one. */
tl_status op_broadcast(const tl_call *call, const tl_tensor *const *inputs, size_t count, tl_tensor *out);
/* reach of operators that are local along every axis, or along every one but the attribute `axis` of input 0; or along
 * those of input 0 that are as long in the output, and along none of another input; or along all of these but the last.
 */
bool op_reach_all(const tl_call *call, size_t k, int32_t axis, tl_reach *reach);
bool op_reach_first(const tl_call *call, size_t k, int32_t axis, tl_reach *reach);
bool op_reach_beside(const tl_call *call, size_t k, int32_t axis, tl_reach *reach);
bool op_reach_rows(const tl_call *call, size_t k, int32_t axis, tl_reach *reach);
/* The elements of a 1-D (or 0-D) int32 or int64 input as int64: at most `capacity`; *count is -1 if not known now. */
tl_status op_index_list(const tl_call *call, size_t k, int64_t *values, int64_t capacity, int64_t *count);

#endif
