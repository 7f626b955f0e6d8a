/* ArgMax, ArgMin: the index of the largest or smallest element along an axis, of the first or last such. NaN counts as
 * larger and smaller than all else. */
#include "kernels/kernels.h"
#include "onnx/convert.h"
#include "onnx/tensor.h"

#define COLUMNS 64   /* of the axes behind, that are searched together */
#define PIECE   8192 /* elements that make a piece of a parallel loop worth it */

/* The tensor is outer x n x inner. */
typedef struct plan {
    int64_t outer, n, inner;
} plan;

static tl_status reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    if (x->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    int32_t axis = 0;
    /* a scalar has one element, number 0 */
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), x->rank ? x->rank : 1, &axis);
    if (status)
        return status;
    const bool keep = op_int(call, "keepdims") != 0;
    out->rank = 0;
    for (int32_t i = 0; i < x->rank; i++)
        if (i != axis)
            out->dims[out->rank++] = x->dims[i];
        else if (keep)
            out->dims[out->rank++] = 1;
    if (!call->plan)
        return TL_OK;
    plan *p = call->plan;
    memset(p, 0, sizeof *p);
    if (!op_plannable(out) || !op_shape_known(x))
        return TL_OK;
    p->n = x->rank ? x->dims[axis] : 1;
    if (p->n == 0)
        return tl_fail(call, TL_INVALID_INPUT, "axis %d has no elements to choose from", axis);
    if (p->n > INT32_MAX)
        return tl_fail(call, TL_UNSUPPORTED, "axis %d has 2^31 elements or more", axis);
    p->outer = x->rank ? op_product(x, 0, axis) : 1;
    p->inner = x->rank ? op_product(x, axis + 1, x->rank) : 1;
    call->workspace_size = op_is_native(x->type) ? 0 : op_staged_bytes(x->type, op_elements(x));
    return TL_OK;
}

typedef struct job {
    const plan *p;
    const void *x;
    int64_t *y;
    bool smallest, last;
    int64_t blocks; /* of columns */
} job;

/* Whether u goes before the best so far, v. */
#define BEATS(u, v) (j->smallest ? (u) < (v) : (u) > (v))

/* Along the last axis, and along others for some columns side by side */
#define TASK(name, T)                                                                    \
    OP_FIND(find_##T, T)                                                                 \
    static int64_t row_##T(const job *j, const T *x)                                     \
    {                                                                                    \
        T best = x[0];                                                                   \
        for (int64_t i = 1; i < j->p->n; i++)                                            \
            best = BEATS(x[i], best) || x[i] != x[i] ? x[i] : best;                      \
        return find_##T(x, j->p->n, best, j->last);                                      \
    }                                                                                    \
    static void name(void *context, int64_t begin, int64_t end, int32_t thread)          \
    {                                                                                    \
        const job *j = context;                                                          \
        const plan *p = j->p;                                                            \
        (void)thread;                                                                    \
        for (int64_t unit = begin; unit < end; unit++) {                                 \
            const int64_t outer = unit / j->blocks, from = unit % j->blocks * COLUMNS;   \
            const int64_t width = p->inner - from < COLUMNS ? p->inner - from : COLUMNS; \
            const T *x = (const T *)j->x + outer * p->n * p->inner + from;               \
            int64_t *y = j->y + outer * p->inner + from;                                 \
            T best[COLUMNS];                                                             \
            for (int64_t c = 0; c < width; c++) {                                        \
                best[c] = x[c];                                                          \
                y[c] = p->inner == 1 ? row_##T(j, x) : 0;                                \
            }                                                                            \
            for (int64_t i = 1; i < p->n && p->inner > 1; i++)                           \
                for (int64_t c = 0; c < width; c++) {                                    \
                    const T u = x[i * p->inner + c], v = best[c];                        \
                    const bool u_nan = u != u, v_nan = v != v;                           \
                    const bool equal = u == v || (u_nan && v_nan);                       \
                    if (equal ? j->last : u_nan || (!v_nan && BEATS(u, v))) {            \
                        best[c] = u;                                                     \
                        y[c] = i;                                                        \
                    }                                                                    \
                }                                                                        \
        }                                                                                \
    }
TASK(search_i64, int64_t)
TASK(search_u64, uint64_t)

/* Floats and doubles: rows by the kernels, columns side by side, from the end that wins a draw. I is what indices, less
 * than 2^31, are held in: as wide as T, so that both are selected alike. */
#define REAL_TASKS(label, T, I, REDUCE_ROWS)                                               \
    OP_FIND(find_##T, T)                                                                   \
    static void rows_##label(void *context, int64_t begin, int64_t end, int32_t thread)    \
    {                                                                                      \
        const job *j = context;                                                            \
        const tlk_reduction reduction = j->smallest ? TLK_MINIMUM : TLK_MAXIMUM;           \
        const int64_t n = j->p->n;                                                         \
        T best[COLUMNS];                                                                   \
        (void)thread;                                                                      \
        for (int64_t row = begin; row < end; row += COLUMNS) {                             \
            const int64_t rows = end - row < COLUMNS ? end - row : COLUMNS;                \
            const T *x = (const T *)j->x + row * n;                                        \
            REDUCE_ROWS;                                                                   \
            for (int64_t i = 0; i < rows; i++)                                             \
                j->y[row + i] = find_##T(x + i * n, n, best[i], j->last);                  \
        }                                                                                  \
    }                                                                                      \
    static void columns_##label(void *context, int64_t begin, int64_t end, int32_t thread) \
    {                                                                                      \
        const job *j = context;                                                            \
        const plan *p = j->p;                                                              \
        const T sign = j->smallest ? -1 : 1;                                               \
        (void)thread;                                                                      \
        for (int64_t unit = begin; unit < end; unit++) {                                   \
            const int64_t outer = unit / j->blocks, from = unit % j->blocks * COLUMNS;     \
            const int64_t width = p->inner - from < COLUMNS ? p->inner - from : COLUMNS;   \
            const T *x = (const T *)j->x + outer * p->n * p->inner + from;                 \
            T best[COLUMNS];                                                               \
            I at[COLUMNS];                                                                 \
            for (int64_t c = 0; c < width; c++) {                                          \
                best[c] = -(T)INFINITY;                                                    \
                at[c] = (I)(j->last ? p->n - 1 : 0);                                       \
            }                                                                              \
            for (int64_t i = 0; i < p->n; i++) {                                           \
                const int64_t k = j->last ? p->n - 1 - i : i;                              \
                const I index = (I)k;                                                      \
                const T *line = x + k * p->inner;                                          \
                for (int64_t c = 0; c < width; c++) {                                      \
                    const T u = sign * line[c];                                            \
                    const bool better = (u > best[c]) | ((u != u) & (best[c] == best[c])); \
                    best[c] = better ? u : best[c];                                        \
                    at[c] = better ? index : at[c];                                        \
                }                                                                          \
            }                                                                              \
            for (int64_t c = 0; c < width; c++)                                            \
                j->y[outer * p->inner + from + c] = (int64_t)at[c];                        \
        }                                                                                  \
    }
REAL_TASKS(f32, float, int32_t, tlk_get()->reduce_rows(reduction, x, best, rows, n, NULL))
REAL_TASKS(f64, double, double, tlk_get()->doubles->reduce_rows(reduction, x, best, rows, n))

static tl_status run(tl_call *call, bool smallest, bool last)
{
    static const tl_task rows[OP_DOMAIN_COUNT] = {rows_f32, rows_f64, search_i64, search_u64};
    static const tl_task columns[OP_DOMAIN_COUNT] = {columns_f32, columns_f64, search_i64, search_u64};
    const plan *p = call->plan;
    const tl_tensor *x = call->inputs[0];
    if (p->outer == 0)
        return TL_OK;
    job j = {
        .p = p,
        .x = op_stage(x->type, x->data, op_elements(x), call->workspace),
        .y = call->outputs[0]->data,
        .smallest = smallest,
        .last = last,
        .blocks = (p->inner + COLUMNS - 1) / COLUMNS,
    };
    const int64_t units = p->outer * j.blocks;
    const int64_t width = p->inner < COLUMNS ? p->inner : COLUMNS;
    const int64_t grain = p->n < PIECE ? PIECE / (p->n * width) + 1 : 1;
    const tl_task task = (p->inner == 1 ? rows : columns)[op_domain_of(x->type)];
    if (units <= grain || call->thread_count <= 1)
        task(&j, 0, units, 0);
    else
        call->host->parallel_for(call, task, &j, units, grain);
    return TL_OK;
}

static tl_status run_max_1(tl_call *call)
{
    return run(call, false, false);
}
static tl_status run_min_1(tl_call *call)
{
    return run(call, true, false);
}
static tl_status run_max_12(tl_call *call)
{
    return run(call, false, op_int(call, "select_last_index") != 0);
}
static tl_status run_min_12(tl_call *call)
{
    return run(call, true, op_int(call, "select_last_index") != 0);
}

static const tl_param ins[] = {OP_IN("data", TL_T_NUMERIC, 'T')};
static const tl_param outs[] = {OP_IN("reduced", TL_T(TL_INT64), 0)};
static const tl_attribute_spec attrs_1[] = {OP_INT("axis", 0), OP_INT("keepdims", 1)};
static const tl_attribute_spec attrs_12[] = {OP_INT("axis", 0), OP_INT("keepdims", 1), OP_INT("select_last_index", 0)};

#define OPERATOR(name, since, attrs, run_function)                                                                 \
    OP_DESCRIPTOR(name, since) = {OP_HEAD(name, since),        OP_PARAMS(input, ins),     OP_PARAMS(output, outs), \
                                  OP_PARAMS(attribute, attrs), .plan_size = sizeof(plan), .reshape = reshape,      \
                                  .run = (run_function),       .reach = op_reach_first};
OPERATOR(ArgMax, 1, attrs_1, run_max_1)
OPERATOR(ArgMax, 12, attrs_12, run_max_12)
OPERATOR(ArgMin, 1, attrs_1, run_min_1)
OPERATOR(ArgMin, 12, attrs_12, run_min_12)
