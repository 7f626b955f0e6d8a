/* Transpose. */
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("data", TL_T_ALL, 'T')};
static const tl_param outs[] = {OP_IN("transposed", TL_T_ALL, 'T')};
static const tl_attribute_spec attrs[] = {OP_INTS("perm")};

/* Reads perm, whose default turns the axes round. */
static tl_status read_perm(const tl_call *call, int32_t rank, int32_t *perm)
{
    size_t count;
    const int64_t *list = op_ints(call, "perm", &count);
    if (!op_given(call, "perm")) {
        for (int32_t i = 0; i < rank; i++)
            perm[i] = rank - 1 - i;
        return TL_OK;
    }
    if (count != (size_t)rank)
        return tl_fail(call, TL_INVALID_MODEL, "perm has %zu elements for an input of rank %d", count, rank);
    for (int32_t i = 0; i < rank; i++)
        if (list[i] < 0)
            return tl_fail(call, TL_INVALID_MODEL, "perm[%d] is %lld", i, (long long)list[i]);
    return op_axes(call, list, rank, rank, perm);
}

static void prepare(const tl_tensor *data, const tl_tensor *out, const int32_t *perm, op_copy *copy)
{
    size_t size = op_type_size(data->type);
    int64_t to[TL_MAX_RANK], dense[TL_MAX_RANK], from[TL_MAX_RANK];
    op_strides(out, size, to);
    op_strides(data, size, dense);
    for (int32_t i = 0; i < out->rank; i++)
        from[i] = dense[perm[i]];
    op_copy_init(copy, size, out->rank, out->dims, to, from);
}

/* Whether only axes of length 1 change places. */
static bool keeps_order(const tl_tensor *data, const int32_t *perm)
{
    int32_t last = -1;
    for (int32_t i = 0; i < data->rank; i++) {
        if (data->dims[perm[i]] == 1)
            continue;
        if (perm[i] < last)
            return false;
        last = perm[i];
    }
    return true;
}

static tl_status transpose_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int32_t perm[TL_MAX_RANK] = {0};
    if (data->rank == TL_RANK_UNKNOWN) {
        size_t count;
        op_ints(call, "perm", &count);
        bool known = op_given(call, "perm") && count <= TL_MAX_RANK;
        out->rank = known ? (int32_t)count : TL_RANK_UNKNOWN;
        for (int32_t i = 0; i < out->rank; i++)
            out->dims[i] = TL_DIM_UNKNOWN;
        return TL_OK;
    }
    tl_status status = read_perm(call, data->rank, perm);
    if (status)
        return status;
    out->rank = data->rank;
    for (int32_t i = 0; i < out->rank; i++)
        out->dims[i] = data->dims[perm[i]];
    call->view = keeps_order(data, perm);
    if (call->plan && op_plannable(out) && op_type_size(data->type) > 0)
        prepare(data, out, perm, call->plan);
    return TL_OK;
}

static tl_status transpose_packed(const tl_call *call)
{
    const tl_tensor *data = call->inputs[0];
    int32_t perm[TL_MAX_RANK] = {0};
    int64_t dense[TL_MAX_RANK], from[TL_MAX_RANK];
    tl_status status = read_perm(call, data->rank, perm);
    if (status)
        return status;
    op_strides(data, 1, dense);
    for (int32_t i = 0; i < data->rank; i++)
        from[i] = dense[perm[i]];
    op_copy_packed(op_type_bits(data->type), data->rank, call->outputs[0]->dims, call->outputs[0]->data, data->data,
                   from);
    return TL_OK;
}

static tl_status transpose_run(tl_call *call)
{
    if (op_type_size(call->inputs[0]->type) == 0)
        return transpose_packed(call);
    op_copy_run(call, call->plan, call->outputs[0]->data, call->inputs[0]->data);
    return TL_OK;
}

OP_DESCRIPTOR(Transpose, 1) = {OP_HEAD(Transpose, 1),       OP_PARAMS(input, ins),        OP_PARAMS(output, outs),
                               OP_PARAMS(attribute, attrs), .plan_size = sizeof(op_copy), .reshape = transpose_reshape,
                               .run = transpose_run,        .reach = op_reach_all};
