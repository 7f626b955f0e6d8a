/* PRelu: x, or slope * x where x < 0. */
#include "onnx/elementwise.h"

OP_KERNEL2(prelu_f64, double, double, u < 0 ? u * v : u)
OP_KERNEL2(prelu_i64, int64_t, int64_t, u < 0 ? (int64_t)((uint64_t)u * (uint64_t)v) : u)
OP_KERNEL2(prelu_u64, uint64_t, uint64_t, u + 0 * v) /* never negative */

static const op_binary prelu = {
    .kernels = {NULL, prelu_f64, prelu_i64, prelu_u64}, .vectorised = true, .function = TLK_PRELU};

static tl_status run(tl_call *call)
{
    return op_binary_run(call, &prelu, NULL);
}

/* The slope is broadcast, X is not. */
static tl_status finish(tl_call *call, const tl_tensor *slope)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    op_copy_shape(out, x);
    if (x->rank == TL_RANK_UNKNOWN || slope->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    for (int32_t i = 0; i < slope->rank; i++) {
        const int32_t at = x->rank - slope->rank + i;
        const tl_dim under = at >= 0 ? x->dims[at] : 1, dim = slope->dims[i];
        if (dim >= 0 && dim != 1 && under >= 0 && dim != under)
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of slope is %lld, which does not broadcast to %lld", i,
                           (long long)dim, (long long)under);
    }
    if (!call->plan)
        return TL_OK;
    tl_tensor placed = *slope;
    if (slope->rank > x->rank) { /* only axes of size 1 are too many */
        placed.rank = x->rank;
        memmove(placed.dims, slope->dims + (slope->rank - x->rank), (size_t)x->rank * sizeof placed.dims[0]);
    }
    op_map_init(call->plan, out, (const tl_tensor *const[]){x, &placed}, 2, 1);
    return TL_OK;
}

static tl_status reshape_7(tl_call *call)
{
    return finish(call, call->inputs[1]);
}

/* Before version 7 a slope of one axis belongs to the channels, axis 1. */
static tl_status reshape_6(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *slope = call->inputs[1];
    tl_tensor placed = *slope;
    if (slope->rank == 1 && x->rank > 2) {
        placed.rank = x->rank - 1;
        for (int32_t i = 1; i < placed.rank; i++)
            placed.dims[i] = 1;
    }
    return finish(call, &placed);
}

#define T_PRELU (TL_T_FLOATS | TL_T_INDEX | TL_T(TL_UINT32) | TL_T(TL_UINT64))

static const tl_param ins_6[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("slope", TL_T_FLOATS, 'T')};
static const tl_param ins_7[] = {OP_IN("X", T_PRELU, 'T'), OP_IN("slope", T_PRELU, 'T')};
static const tl_param outs[] = {OP_IN("Y", T_PRELU, 'T')};

OP_DESCRIPTOR(PRelu, 6) = {OP_HEAD(PRelu, 6),           OP_PARAMS(input, ins_6), OP_PARAMS(output, outs),
                           .plan_size = OP_PLAN_BINARY, .reshape = reshape_6,    .run = run};
OP_DESCRIPTOR(PRelu, 7) = {OP_HEAD(PRelu, 7),
                           OP_PARAMS(input, ins_7),
                           OP_PARAMS(output, outs),
                           .flags = TL_OP_ELEMENTWISE,
                           .plan_size = OP_PLAN_BINARY,
                           .reshape = reshape_7,
                           .run = run};
