/* CumSum, CumProd: running sums and products along an axis. */
#include "onnx/convert.h"
#include "onnx/tensor.h"

#define COLUMNS 64   /* of the axes behind, that are computed together */
#define PIECE   8192 /* elements that make a piece of a parallel loop worth it */

static tl_status reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *axis = call->inputs[1];
    op_copy_shape(call->outputs[0], x);
    int64_t value = 0, count = 0;
    int32_t checked = 0;
    if (axis->rank > 1 || (axis->rank == 1 && axis->dims[0] >= 0 && axis->dims[0] != 1))
        return tl_fail(call, TL_INVALID_INPUT, "axis must be a scalar");
    if (x->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    tl_status status = op_index_list(call, 1, &value, 1, &count);
    if (!status && count == 1)
        status = op_axis(call, "axis", value, x->rank, &checked);
    if (status || !op_plannable(x))
        return status;
    /* half types and narrow integers are computed in wider ones */
    call->workspace_size = op_is_native(x->type) ? 0 : op_staged_bytes(x->type, op_elements(x));
    return TL_OK;
}

typedef struct job {
    int64_t outer, n, inner;
    const void *x;
    void *y;
    bool exclusive, reverse;
    int64_t blocks; /* of columns */
} job;

#define TASK(name, T, neutral, combine)                                                  \
    static void name(void *context, int64_t begin, int64_t end, int32_t thread)          \
    {                                                                                    \
        const job *j = context;                                                          \
        (void)thread;                                                                    \
        for (int64_t unit = begin; unit < end; unit++) {                                 \
            const int64_t outer = unit / j->blocks, from = unit % j->blocks * COLUMNS;   \
            const int64_t width = j->inner - from < COLUMNS ? j->inner - from : COLUMNS; \
            const int64_t base = outer * j->n * j->inner + from;                         \
            T total[COLUMNS];                                                            \
            for (int64_t c = 0; c < width; c++)                                          \
                total[c] = (neutral);                                                    \
            for (int64_t k = 0; k < j->n; k++) {                                         \
                const int64_t at = base + (j->reverse ? j->n - 1 - k : k) * j->inner;    \
                for (int64_t c = 0; c < width; c++) {                                    \
                    const T before = total[c], u = ((const T *)j->x)[at + c];            \
                    total[c] = before combine u;                                         \
                    ((T *)j->y)[at + c] = j->exclusive ? before : total[c];              \
                }                                                                        \
            }                                                                            \
        }                                                                                \
    }
/* Integers are added and multiplied as unsigned numbers, modulo 2^64. */
TASK(sum_f32, float, 0.0F, +)
TASK(sum_f64, double, 0.0, +)
TASK(sum_u64, uint64_t, 0, +)
TASK(product_f32, float, 1.0F, *)
TASK(product_f64, double, 1.0, *)
TASK(product_u64, uint64_t, 1, *)

static tl_status run(tl_call *call, const tl_task *tasks)
{
    const tl_tensor *x = call->inputs[0];
    const tl_tensor *y = call->outputs[0];
    int32_t axis = 0;
    tl_status status = op_axis(call, "axis", op_index(call->inputs[1], 0), x->rank, &axis);
    const int64_t n = op_elements(x);
    if (status || n == 0)
        return status;
    const bool native = op_is_native(x->type);
    job j = {
        .outer = op_product(x, 0, axis),
        .n = x->dims[axis],
        .inner = op_product(x, axis + 1, x->rank),
        .x = op_stage(x->type, x->data, n, call->workspace),
        .y = native ? y->data : call->workspace,
        .exclusive = op_int(call, "exclusive") != 0,
        .reverse = op_int(call, "reverse") != 0,
    };
    j.blocks = (j.inner + COLUMNS - 1) / COLUMNS;
    const int64_t units = j.outer * j.blocks, width = j.inner < COLUMNS ? j.inner : COLUMNS;
    const int64_t grain = j.n < PIECE ? PIECE / (j.n * width) + 1 : 1;
    const tl_task task = tasks[op_domain_of(x->type)];
    if (units <= grain || call->thread_count <= 1)
        task(&j, 0, units, 0);
    else
        call->host->parallel_for(call, task, &j, units, grain);
    if (!native)
        op_unstage(y->type, y->data, n, call->workspace);
    return TL_OK;
}

static tl_status run_sum(tl_call *call)
{
    static const tl_task tasks[OP_DOMAIN_COUNT] = {sum_f32, sum_f64, sum_u64, sum_u64};
    return run(call, tasks);
}
static tl_status run_product(tl_call *call)
{
    static const tl_task tasks[OP_DOMAIN_COUNT] = {product_f32, product_f64, product_u64, product_u64};
    return run(call, tasks);
}

#define T_CUMULATIVE (TL_T_FLOATS | TL_T_INDEX | TL_T(TL_UINT32) | TL_T(TL_UINT64))

static const tl_param ins[] = {OP_IN("x", T_CUMULATIVE, 'T'), OP_IN("axis", TL_T_INDEX, 0)};
static const tl_param outs[] = {OP_IN("y", T_CUMULATIVE, 'T')};
static const tl_attribute_spec attrs[] = {OP_INT("exclusive", 0), OP_INT("reverse", 0)};

#define OPERATOR(name, since, run_function)                                                                    \
    OP_DESCRIPTOR(name, since) = {OP_HEAD(name, since),        OP_PARAMS(input, ins), OP_PARAMS(output, outs), \
                                  OP_PARAMS(attribute, attrs), .reshape = reshape,    .run = (run_function)};
OPERATOR(CumSum, 11, run_sum)
OPERATOR(CumProd, 26, run_product)
