/* Expand, Tile: the same elements again and again. */
#include "onnx/tensor.h"

static const tl_param expand_ins[] = {OP_IN("input", OP_T_WHOLE, 'T'), OP_SHAPE("shape", OP_T_INT64, 0, 0)};
static const tl_param tile_ins[] = {OP_IN("input", OP_T_WHOLE, 'T'), OP_IN("repeats", OP_T_INT64, 0)};
static const tl_param outs[] = {OP_IN("output", OP_T_WHOLE, 'T')};

/* ---- Expand: broadcasting in both directions */

static void expand_prepare(const tl_tensor *in, const tl_tensor *out, op_copy *copy)
{
    size_t size = op_type_size(in->type);
    int64_t to[TL_MAX_RANK], dense[TL_MAX_RANK], from[TL_MAX_RANK];
    op_strides(out, size, to);
    op_strides(in, size, dense);
    for (int32_t i = 0; i < out->rank; i++) {
        int32_t k = i - (out->rank - in->rank);
        from[i] = k >= 0 && in->dims[k] != 1 ? dense[k] : 0;
    }
    op_copy_init(copy, size, out->rank, out->dims, to, from);
}

static tl_status expand_reshape(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int64_t shape[TL_MAX_RANK], count;
    tl_status status = op_index_list(call, 1, shape, TL_MAX_RANK, &count);
    if (status)
        return status;
    if (count < 0 || in->rank == TL_RANK_UNKNOWN) {
        op_rank_from_list(call->inputs[1], 0, out);
        bool longer = in->rank == TL_RANK_UNKNOWN || in->rank > out->rank;
        if (out->rank != TL_RANK_UNKNOWN && longer) {
            out->rank = in->rank;
            for (int32_t i = 0; i < out->rank; i++)
                out->dims[i] = TL_DIM_UNKNOWN;
        }
        return TL_OK;
    }
    out->rank = in->rank > count ? in->rank : (int32_t)count;
    for (int32_t i = 0; i < out->rank; i++) {
        int32_t a = i - (out->rank - in->rank), b = i - (out->rank - (int32_t)count);
        tl_dim from = a >= 0 ? in->dims[a] : 1, to = b >= 0 ? shape[b] : 1;
        if (to < 0)
            return tl_fail(call, TL_INVALID_INPUT, "shape[%d] is %lld", b, (long long)to);
        if (from >= 0 && from != to && from != 1 && to != 1)
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of the input is %lld, which does not expand to %lld",
                           a, (long long)from, (long long)to);
        out->dims[i] = to == 1 ? from : to;
    }
    if (call->plan && op_plannable(out))
        expand_prepare(in, out, call->plan);
    return TL_OK;
}

static tl_status copy_run(tl_call *call)
{
    op_copy_run(call, call->plan, call->outputs[0]->data, call->inputs[0]->data);
    return TL_OK;
}

OP_DESCRIPTOR(Expand, 8) = {OP_HEAD(Expand, 8),           OP_PARAMS(input, expand_ins), OP_PARAMS(output, outs),
                            .plan_size = sizeof(op_copy), .reshape = expand_reshape,    .run = copy_run,
                            .reach = op_reach_first};

/* ---- Tile: each axis is two, the repeats and the elements */

static void tile_prepare(const tl_tensor *in, const tl_tensor *out, const int64_t *repeats, op_copy *copy)
{
    size_t size = op_type_size(in->type);
    int64_t strides_to[TL_MAX_RANK], strides_from[TL_MAX_RANK];
    int64_t dims[OP_COPY_RANK], to[OP_COPY_RANK], from[OP_COPY_RANK];
    op_strides(out, size, strides_to);
    op_strides(in, size, strides_from);
    for (int32_t i = 0; i < in->rank; i++) {
        dims[2 * i] = repeats[i];
        to[2 * i] = strides_to[i] * in->dims[i];
        from[2 * i] = 0;
        dims[2 * i + 1] = in->dims[i];
        to[2 * i + 1] = strides_to[i];
        from[2 * i + 1] = strides_from[i];
    }
    op_copy_init(copy, size, 2 * in->rank, dims, to, from);
}

static tl_status tile_reshape(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int64_t repeats[TL_MAX_RANK], count;
    tl_status status = op_index_list(call, 1, repeats, TL_MAX_RANK, &count);
    if (status)
        return status;
    if (in->rank == TL_RANK_UNKNOWN) {
        op_rank_from_list(call->inputs[1], 0, out);
        return TL_OK;
    }
    out->rank = in->rank;
    if (count >= 0 && count != in->rank)
        return tl_fail(call, TL_INVALID_MODEL, "repeats has %lld elements for an input of rank %d", (long long)count,
                       in->rank);
    for (int32_t i = 0; i < in->rank; i++) {
        out->dims[i] = TL_DIM_UNKNOWN;
        if (count < 0)
            continue;
        if (repeats[i] < 0)
            return tl_fail(call, TL_INVALID_INPUT, "repeats[%d] is %lld", i, (long long)repeats[i]);
        if (repeats[i] == 1)
            out->dims[i] = in->dims[i];
        else if (in->dims[i] >= 0 && __builtin_mul_overflow(in->dims[i], repeats[i], &out->dims[i]))
            return tl_fail(call, TL_NO_MEMORY, "the size of axis %d overflows", i);
    }
    if (call->plan && count >= 0 && op_plannable(out))
        tile_prepare(in, out, repeats, call->plan);
    return TL_OK;
}

OP_DESCRIPTOR(Tile, 6) = {OP_HEAD(Tile, 6),        OP_PARAMS(input, tile_ins),
                          OP_PARAMS(output, outs), .plan_size = sizeof(op_copy),
                          .reshape = tile_reshape, .run = copy_run,
                          .reach = op_reach_first};
