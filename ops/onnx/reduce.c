/* ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2, ReduceLogSum, ReduceLogSumExp,
 * ReduceSumSquare. The axes are an attribute up to version 12 (ReduceSum) or 17 (the others), then an input. */
#include "onnx/reduce.h"

#include "onnx/tensor.h"

#define PIECE 16384 /* elements that make a piece of a parallel loop worth it */

typedef struct plan {
    op_reduce_plan axes;
    size_t staged; /* bytes of the input's copy in float: 0 if it is reduced where it is; the output's follows */
} plan;

/* ---- Shapes */

/* Bit i: axis i is reduced. */
static tl_status reduced_axes(const tl_call *call, const int64_t *list, int64_t count, uint32_t *mask)
{
    const int32_t rank = call->inputs[0]->rank;
    *mask = 0;
    for (int64_t i = 0; i < count; i++) {
        int32_t axis = 0;
        tl_status status = op_axis(call, "axis", list[i], rank, &axis);
        if (status)
            return status;
        *mask |= (uint32_t)1 << axis;
    }
    return TL_OK;
}

static bool has(uint32_t mask, int32_t axis)
{
    return (mask >> (axis & 31) & 1) != 0;
}

/* Sorts the axes, innermost first. */
static void plan_axes(const tl_tensor *x, uint32_t mask, op_reduce_plan *p)
{
    memset(p, 0, sizeof *p);
    p->n = p->columns = p->rows = p->count = 1;
    int64_t stride = 1;
    int32_t kept = 0, reduced = 0; /* axes so far, innermost first */
    int64_t dims[2][TL_MAX_RANK] = {{0}}, strides[2][TL_MAX_RANK] = {{0}};
    int last = -1;
    for (int32_t i = x->rank - 1; i >= 0; stride *= x->dims[i], i--) {
        const int is_reduced = has(mask, i);
        int32_t *count = is_reduced ? &reduced : &kept;
        if (x->dims[i] == 1)
            continue;
        if (last != is_reduced) {
            strides[is_reduced][*count] = stride;
            dims[is_reduced][(*count)++] = x->dims[i];
        } else {
            dims[is_reduced][*count - 1] *= x->dims[i];
        }
        last = is_reduced;
    }
    /* the innermost of both kinds make the kernel's loops, if they are neighbours in memory */
    const bool columns = kept > 0 && strides[0][0] == 1;
    int32_t from_kept = 0, from_reduced = 0;
    if (columns)
        p->columns = dims[0][from_kept++];
    if (reduced > 0)
        p->n = dims[1][from_reduced++];
    for (int32_t i = kept - 1; i >= from_kept; i--) {
        p->rows *= dims[0][i];
        p->kept_dims[p->kept] = dims[0][i];
        p->kept_strides[p->kept++] = strides[0][i];
    }
    p->count = p->n;
    for (int32_t i = reduced - 1; i >= from_reduced; i--) {
        p->count *= dims[1][i];
        p->reduced_dims[p->reduced] = dims[1][i];
        p->reduced_strides[p->reduced++] = strides[1][i];
    }
}

static tl_status shape(tl_call *call, uint32_t mask)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    const bool keep = op_int(call, "keepdims") != 0;
    out->rank = 0;
    for (int32_t i = 0; i < x->rank; i++)
        if (!has(mask, i))
            out->dims[out->rank++] = x->dims[i];
        else if (keep)
            out->dims[out->rank++] = 1;
    if (!call->plan || !op_plannable(out))
        return TL_OK;
    plan *p = call->plan;
    memset(p, 0, sizeof *p);
    if (!op_shape_known(x) || op_elements(x) == 0) /* every output is of no elements: run sees that count is 0 */
        return TL_OK;
    plan_axes(x, mask, &p->axes);
    if (!(TL_T(x->type) & TL_T_HALFS))
        return TL_OK;
    p->staged = (op_staged_bytes(x->type, op_elements(x)) + 63) & ~(size_t)63;
    call->workspace_size = p->staged + op_staged_bytes(x->type, op_elements(out));
    return TL_OK;
}

static uint32_t all_axes(const tl_tensor *x)
{
    return x->rank >= 32 ? UINT32_MAX : ((uint32_t)1 << x->rank) - 1;
}

static tl_status reshape_attribute(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    if (x->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    size_t count = 0;
    const int64_t *axes = op_ints(call, "axes", &count);
    uint32_t mask = 0;
    tl_status status = reduced_axes(call, axes, (int64_t)count, &mask);
    return status ? status : shape(call, count ? mask : all_axes(x));
}

static tl_status reshape_input(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int64_t axes[TL_MAX_RANK], count = 0;
    if (x->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    if (op_input(call, 1)) {
        tl_status status = op_index_list(call, 1, axes, TL_MAX_RANK, &count);
        if (status)
            return status;
    }
    if (count < 0) { /* not known yet */
        /* A scalar has no dimension to tell that it is open whether there are such axes. */
        out->rank = op_int(call, "keepdims") && x->rank > 0 ? x->rank : TL_RANK_UNKNOWN;
        for (int32_t i = 0; i < out->rank; i++)
            out->dims[i] = TL_DIM_UNKNOWN;
        return TL_OK;
    }
    uint32_t mask = 0;
    tl_status status = reduced_axes(call, axes, count, &mask);
    if (count == 0 && !op_int(call, "noop_with_empty_axes"))
        mask = all_axes(x);
    return status ? status : shape(call, mask);
}

/* ---- Runs */

/* What no elements give: the neutral element, cut to the type's range. */
static void run_empty(const tl_tensor *out, op_reduce_kind kind)
{
    static const int8_t bits[TL_TYPE_COUNT] = {
        [TL_UINT8] = 8,  [TL_INT8] = 8,    [TL_UINT16] = 16, [TL_INT16] = 16, [TL_UINT32] = 32,
        [TL_INT32] = 32, [TL_UINT64] = 64, [TL_INT64] = 64,  [TL_BOOL] = 1};
    const bool is_signed = (TL_T(out->type) & TL_T_SIGNED) != 0;
    const bool least = kind == OP_REDUCE_MAX || kind == OP_REDUCE_LOG_SUM || kind == OP_REDUCE_LOG_SUM_EXP;
    const int64_t n = op_elements(out);
    op_block value;
    double real = least ? -INFINITY : kind == OP_REDUCE_MIN ? INFINITY : kind == OP_REDUCE_PRODUCT ? 1.0 : 0.0;
    if (kind == OP_REDUCE_MEAN)
        real = NAN;
    const op_domain domain = op_domain_of(out->type);
    for (int64_t i = 0; i < OP_BLOCK; i++) {
        if (domain == OP_F32) {
            value.f32[i] = (float)real;
        } else if (domain == OP_F64) {
            value.f64[i] = real;
        } else {
            const uint64_t top = UINT64_MAX >> (64 - bits[out->type] + is_signed);
            value.u64[i] = least                       ? (is_signed ? ~top : 0)
                           : kind == OP_REDUCE_MIN     ? top
                           : kind == OP_REDUCE_PRODUCT ? 1
                                                       : 0;
        }
    }
    for (int64_t i = 0; i < n; i += OP_BLOCK) {
        const int64_t m = n - i < OP_BLOCK ? n - i : OP_BLOCK;
        op_block scratch;
        void *y = op_result_block(out->type, out->data, i, &scratch);
        memcpy(y, &value, op_staged_bytes(out->type, m));
        op_store_block(out->type, out->data, i, m, &scratch);
    }
}

static tl_status run(tl_call *call, op_reduce_kind kind)
{
    static const tl_task tasks[OP_DOMAIN_COUNT] = {op_reduce_f32, op_reduce_f64, op_reduce_integers,
                                                   op_reduce_integers};
    const plan *p = call->plan;
    const tl_tensor *x = call->inputs[0];
    const tl_tensor *out = call->outputs[0];
    if (p->axes.count == 0) {
        run_empty(out, kind);
        return TL_OK;
    }
    void *staged_out = p->staged ? (char *)call->workspace + p->staged : NULL;
    op_reduce_job job = {
        .plan = &p->axes,
        .kind = kind,
        .x = p->staged ? op_stage(x->type, x->data, op_elements(x), call->workspace) : x->data,
        .y = p->staged ? staged_out : out->data,
        .blocks = (p->axes.columns + OP_REDUCE_COLUMNS - 1) / OP_REDUCE_COLUMNS,
        .type = x->type,
    };
    const int64_t units = p->axes.rows * job.blocks;
    const int64_t width = p->axes.columns < OP_REDUCE_COLUMNS ? p->axes.columns : OP_REDUCE_COLUMNS;
    const int64_t grain = p->axes.count < PIECE ? PIECE / (p->axes.count * width) + 1 : 1;
    const tl_task task = tasks[op_domain_of(x->type)];
    if (units <= grain || call->thread_count <= 1)
        task(&job, 0, units, 0);
    else
        call->host->parallel_for(call, task, &job, units, op_even_grain(call, units, grain));
    if (p->staged)
        op_unstage(out->type, out->data, op_elements(out), staged_out);
    for (int64_t i = 0, n = out->type == TL_BOOL ? op_elements(out) : 0; i < n; i++) /* any number but 0 is true */
        ((uint8_t *)out->data)[i] = ((uint8_t *)out->data)[i] != 0;
    return TL_OK;
}

/* ---- Descriptors */

#define T_SUM     (TL_T_FLOATS | TL_T_INDEX | TL_T(TL_UINT32) | TL_T(TL_UINT64))
#define T_EXTREME (T_SUM | TL_T(TL_INT8) | TL_T(TL_UINT8))

static const tl_param sum_ins[] = {OP_IN("data", T_SUM, 'T'), OP_OPT("axes", TL_T(TL_INT64), 0)};
static const tl_param sum_outs[] = {OP_IN("reduced", T_SUM, 'T')};
static const tl_param float_ins[] = {OP_IN("data", TL_T_FLOATS, 'T'), OP_OPT("axes", TL_T(TL_INT64), 0)};
static const tl_param float_outs[] = {OP_IN("reduced", TL_T_FLOATS, 'T')};
static const tl_param extreme_ins[] = {OP_IN("data", T_EXTREME, 'T'), OP_OPT("axes", TL_T(TL_INT64), 0)};
static const tl_param extreme_outs[] = {OP_IN("reduced", T_EXTREME, 'T')};
static const tl_param bool_ins[] = {OP_IN("data", T_EXTREME | OP_T_BOOL, 'T'), OP_OPT("axes", TL_T(TL_INT64), 0)};
static const tl_param bool_outs[] = {OP_IN("reduced", T_EXTREME | OP_T_BOOL, 'T')};
static const tl_attribute_spec attrs_1[] = {OP_INTS("axes"), OP_INT("keepdims", 1)};
static const tl_attribute_spec attrs_18[] = {OP_INT("keepdims", 1), OP_INT("noop_with_empty_axes", 0)};

#define AXES_ATTRIBUTE(name, since, ins, outs, run_function)     \
    OP_DESCRIPTOR(name, since) = {OP_HEAD(name, since),          \
                                  .inputs = ins,                 \
                                  .input_count = 1,              \
                                  OP_PARAMS(output, outs),       \
                                  OP_PARAMS(attribute, attrs_1), \
                                  .plan_size = sizeof(plan),     \
                                  .reshape = reshape_attribute,  \
                                  .run = (run_function),         \
                                  .reach = op_reach_first};
#define AXES_INPUT(name, since, ins, outs, run_function)                                                               \
    OP_DESCRIPTOR(name, since) = {OP_HEAD(name, since),           OP_PARAMS(input, ins),     OP_PARAMS(output, outs),  \
                                  OP_PARAMS(attribute, attrs_18), .plan_size = sizeof(plan), .reshape = reshape_input, \
                                  .run = (run_function),          .reach = op_reach_first};
#define RUN(name, kind)                  \
    static tl_status name(tl_call *call) \
    {                                    \
        return run(call, kind);          \
    }
RUN(run_sum, OP_REDUCE_SUM)
RUN(run_mean, OP_REDUCE_MEAN)
RUN(run_max, OP_REDUCE_MAX)
RUN(run_min, OP_REDUCE_MIN)
RUN(run_prod, OP_REDUCE_PRODUCT)
RUN(run_l1, OP_REDUCE_L1)
RUN(run_l2, OP_REDUCE_L2)
RUN(run_log_sum, OP_REDUCE_LOG_SUM)
RUN(run_log_sum_exp, OP_REDUCE_LOG_SUM_EXP)
RUN(run_sum_square, OP_REDUCE_SUM_SQUARE)

AXES_ATTRIBUTE(ReduceSum, 1, sum_ins, sum_outs, run_sum)
AXES_INPUT(ReduceSum, 13, sum_ins, sum_outs, run_sum)
AXES_ATTRIBUTE(ReduceMean, 1, sum_ins, sum_outs, run_mean)
AXES_INPUT(ReduceMean, 18, sum_ins, sum_outs, run_mean)
AXES_ATTRIBUTE(ReduceMax, 1, extreme_ins, extreme_outs, run_max)
AXES_INPUT(ReduceMax, 18, extreme_ins, extreme_outs, run_max)
AXES_INPUT(ReduceMax, 20, bool_ins, bool_outs, run_max)
AXES_ATTRIBUTE(ReduceMin, 1, extreme_ins, extreme_outs, run_min)
AXES_INPUT(ReduceMin, 18, extreme_ins, extreme_outs, run_min)
AXES_INPUT(ReduceMin, 20, bool_ins, bool_outs, run_min)
AXES_ATTRIBUTE(ReduceProd, 1, sum_ins, sum_outs, run_prod)
AXES_INPUT(ReduceProd, 18, sum_ins, sum_outs, run_prod)
AXES_ATTRIBUTE(ReduceL1, 1, sum_ins, sum_outs, run_l1)
AXES_INPUT(ReduceL1, 18, sum_ins, sum_outs, run_l1)
AXES_ATTRIBUTE(ReduceL2, 1, sum_ins, sum_outs, run_l2)
AXES_INPUT(ReduceL2, 18, sum_ins, sum_outs, run_l2)
AXES_ATTRIBUTE(ReduceLogSum, 1, sum_ins, sum_outs, run_log_sum)
AXES_INPUT(ReduceLogSum, 18, sum_ins, sum_outs, run_log_sum)
AXES_INPUT(ReduceLogSum, 28, float_ins, float_outs, run_log_sum)
AXES_ATTRIBUTE(ReduceLogSumExp, 1, sum_ins, sum_outs, run_log_sum_exp)
AXES_INPUT(ReduceLogSumExp, 18, sum_ins, sum_outs, run_log_sum_exp)
AXES_INPUT(ReduceLogSumExp, 28, float_ins, float_outs, run_log_sum_exp)
AXES_ATTRIBUTE(ReduceSumSquare, 1, sum_ins, sum_outs, run_sum_square)
AXES_INPUT(ReduceSumSquare, 18, sum_ins, sum_outs, run_sum_square)
