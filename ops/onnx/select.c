/* Elements that a condition selects, so that the output's size depends on data: NonZero, Compress. */
#include "onnx/tensor.h"

/* ---- NonZero: the indices of elements that are not zero, one row for each axis */

static const tl_param nonzero_ins[] = {OP_IN("X", OP_T_CLASSIC, 0)};
static const tl_param nonzero_outs[] = {OP_IN("Y", OP_T_INT64, 0)};

static tl_status nonzero_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    out->rank = 2;
    /* A scalar counts as a list of one. */
    out->dims[0] = x->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : x->rank == 0 ? 1 : x->rank;
    out->dims[1] = TL_DIM_UNKNOWN;
    return TL_OK;
}

/* Whether an element is true: floats by all bits but the sign, strings by having a length. */
static inline bool is_set(tl_type type, const void *data, int64_t i)
{
    switch ((int)type) {
    case TL_BOOL:
    case TL_INT8:
    case TL_UINT8:
        return ((const uint8_t *)data)[i] != 0;
    case TL_INT16:
    case TL_UINT16:
        return ((const uint16_t *)data)[i] != 0;
    case TL_FLOAT16:
    case TL_BFLOAT16:
        return (((const uint16_t *)data)[i] & 0x7fff) != 0;
    case TL_FLOAT:
        return ((const float *)data)[i] != 0;
    case TL_DOUBLE:
        return ((const double *)data)[i] != 0;
    case TL_INT32:
    case TL_UINT32:
        return ((const uint32_t *)data)[i] != 0;
    case TL_INT64:
    case TL_UINT64:
        return ((const uint64_t *)data)[i] != 0;
    case TL_COMPLEX64:
        return ((const float *)data)[2 * i] != 0 || ((const float *)data)[2 * i + 1] != 0;
    case TL_COMPLEX128:
        return ((const double *)data)[2 * i] != 0 || ((const double *)data)[2 * i + 1] != 0;
    default:
        return ((const tl_string *)data)[i].size != 0;
    }
}

static tl_status nonzero_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    int64_t n = op_elements(x), dims[2] = {x->rank == 0 ? 1 : x->rank, 0}, at[TL_MAX_RANK] = {0};
    for (int64_t i = 0; i < n; i++)
        dims[1] += is_set(x->type, x->data, i);
    int64_t *to = call->host->output(call, 0, 2, dims);
    if (!to)
        return TL_NO_MEMORY;
    int64_t *end = to + dims[1];
    for (int64_t i = 0; i < n && to < end; i++) {
        if (is_set(x->type, x->data, i)) {
            to[0] = 0;
            for (int32_t k = 0; k < x->rank; k++)
                to[k * dims[1]] = at[k];
            to++;
        }
        for (int32_t k = x->rank - 1; k >= 0 && ++at[k] == x->dims[k]; k--)
            at[k] = 0;
    }
    return TL_OK;
}

OP_DESCRIPTOR(NonZero, 9) = {OP_HEAD(NonZero, 9), OP_PARAMS(input, nonzero_ins), OP_PARAMS(output, nonzero_outs),
                             .reshape = nonzero_reshape, .run = nonzero_run};

/* ---- Compress: slices of an axis, or elements, where the condition is true */

static const tl_param compress_ins[] = {OP_IN("input", OP_T_CLASSIC, 'T'), OP_IN("condition", OP_T_BOOL, 0)};
static const tl_param compress_outs[] = {OP_IN("output", OP_T_CLASSIC, 'T')};
static const tl_attribute_spec compress_attrs[] = {OP_INT("axis", 0)};

static tl_status compress_reshape(tl_call *call)
{
    const tl_tensor *in = call->inputs[0], *condition = call->inputs[1];
    tl_tensor *out = call->outputs[0];
    int32_t axis;
    if (condition->rank != TL_RANK_UNKNOWN && condition->rank != 1)
        return tl_fail(call, TL_INVALID_INPUT, "condition has rank %d, but must be a list", condition->rank);
    if (!op_given(call, "axis")) {
        out->rank = 1;
        out->dims[0] = TL_DIM_UNKNOWN;
        return TL_OK;
    }
    op_copy_shape(out, in);
    if (in->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), in->rank, &axis);
    if (!status)
        out->dims[axis] = TL_DIM_UNKNOWN;
    return status;
}

static tl_status compress_run(tl_call *call)
{
    const tl_tensor *in = call->inputs[0], *condition = call->inputs[1];
    const uint8_t *set = condition->data;
    int64_t dims[TL_MAX_RANK], n = op_elements(in), outer = 1, inner = 1, kept = 0;
    int32_t rank = 1, axis = 0;
    if (op_given(call, "axis")) {
        tl_status status = op_axis(call, "axis", op_int(call, "axis"), in->rank, &axis);
        if (status)
            return status;
        rank = in->rank;
        memcpy(dims, in->dims, (size_t)rank * sizeof dims[0]);
        n = in->dims[axis];
        outer = op_product(in, 0, axis);
        inner = op_product(in, axis + 1, in->rank);
    }
    /* The condition may be shorter: the rest is not selected. */
    int64_t tested = condition->dims[0] < n ? condition->dims[0] : n;
    for (int64_t i = 0; i < tested; i++)
        kept += set[i] != 0;
    dims[axis] = kept;
    char *to = call->host->output(call, 0, rank, dims);
    if (!to)
        return TL_NO_MEMORY;
    if (op_elements(in) == 0 || kept == 0)
        return TL_OK;
    size_t bytes = (size_t)inner * op_type_size(in->type);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < tested; i++)
            if (set[i]) {
                memcpy(to, (const char *)in->data + (size_t)(o * n + i) * bytes, bytes);
                to += bytes;
            }
    return TL_OK;
}

OP_DESCRIPTOR(Compress, 9) = {OP_HEAD(Compress, 9),
                              OP_PARAMS(input, compress_ins),
                              OP_PARAMS(output, compress_outs),
                              OP_PARAMS(attribute, compress_attrs),
                              .reshape = compress_reshape,
                              .run = compress_run};
