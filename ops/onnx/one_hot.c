/* OneHot. */
#include "onnx/number.h"
#include "onnx/tensor.h"

#define INDEX_TYPES (TL_T_INTEGERS | TL_T(TL_FLOAT) | TL_T(TL_DOUBLE) | TL_T(TL_FLOAT16))
static const tl_param ins[] = {OP_IN("indices", INDEX_TYPES, 0), OP_IN("depth", INDEX_TYPES, 0),
                               OP_IN("values", OP_T_CLASSIC, 'V')};
static const tl_param outs[] = {OP_IN("output", OP_T_CLASSIC, 'V')};
static const tl_attribute_spec attrs[] = {OP_INT("axis", -1)};

/* An element as int64, cut to whole; integers exactly, and what does not fit as the nearest that does. */
static int64_t load_whole(const tl_tensor *tensor, int64_t i)
{
    if (tensor->type == TL_INT64)
        return ((const int64_t *)tensor->data)[i];
    if (tensor->type == TL_UINT64) {
        uint64_t number = ((const uint64_t *)tensor->data)[i];
        return number > INT64_MAX ? INT64_MAX : (int64_t)number;
    }
    int64_t whole;
    tl_tensor to = {.data = &whole, .type = TL_INT64};
    op_store_number(&to, 0, op_load_number(tensor, i));
    return whole;
}

static tl_status one_hot_reshape(tl_call *call)
{
    const tl_tensor *indices = call->inputs[0], *depth = call->inputs[1], *values = call->inputs[2];
    tl_tensor *out = call->outputs[0];
    int32_t axis;
    out->rank = TL_RANK_UNKNOWN;
    if (op_shape_known(depth) && op_elements(depth) != 1)
        return tl_fail(call, TL_INVALID_INPUT, "depth has %lld elements, but must be a scalar",
                       (long long)op_elements(depth));
    if (op_shape_known(values) && (values->rank != 1 || values->dims[0] != 2))
        return tl_fail(call, TL_INVALID_INPUT, "values must be a list of two: off and on");
    if (indices->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    if (indices->rank == TL_MAX_RANK)
        return tl_fail(call, TL_UNSUPPORTED, "the result has rank %d, but at most %d is supported", TL_MAX_RANK + 1,
                       TL_MAX_RANK);
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), indices->rank + 1, &axis);
    if (status)
        return status;
    tl_dim classes = TL_DIM_UNKNOWN;
    if (op_shape_known(depth) && depth->data) {
        classes = load_whole(depth, 0);
        if (classes < 1)
            return tl_fail(call, TL_INVALID_INPUT, "depth is %lld", (long long)classes);
    }
    out->rank = indices->rank + 1;
    for (int32_t i = 0; i < out->rank; i++)
        out->dims[i] = i == axis ? classes : indices->dims[i - (i > axis)];
    return TL_OK;
}

static tl_status one_hot_run(tl_call *call)
{
    const tl_tensor *indices = call->inputs[0], *out = call->outputs[0];
    size_t size = op_type_size(out->type);
    const char *off = call->inputs[2]->data, *on = off + size;
    int32_t axis;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), out->rank, &axis);
    if (status || op_elements(out) == 0)
        return status;
    bool from_end = call->host->node_version(call->node) >= 11;
    int64_t depth = out->dims[axis], inner = op_product(out, axis + 1, out->rank), n = op_elements(indices);
    op_fill(out->data, off, size, op_elements(out));
    for (int64_t i = 0; i < n; i++) {
        int64_t index = load_whole(indices, i);
        if (index < 0 && from_end && index >= -depth)
            index += depth;
        if (index >= 0 && index < depth)
            memcpy((char *)out->data + (size_t)((i / inner * depth + index) * inner + i % inner) * size, on, size);
    }
    return TL_OK;
}

OP_DESCRIPTOR(OneHot, 9) = {OP_HEAD(OneHot, 9),          OP_PARAMS(input, ins),      OP_PARAMS(output, outs),
                            OP_PARAMS(attribute, attrs), .reshape = one_hot_reshape, .run = one_hot_run};
