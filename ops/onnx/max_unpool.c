/* MaxUnpool: puts elements back where MaxPool's indices say that they were, among zeros. */
#include "onnx/conv_shape.h"
#include "onnx/tensor.h"

enum { IN_X, IN_INDICES, IN_SHAPE };

/* The shape that the indices count in, by the attributes, and the output's, which may be larger: the standard's own
 * case puts the smaller one into its corner. (ONNX Runtime counts in the larger one.) */
static tl_status unpool_shape(const tl_call *call, tl_tensor *inner, tl_tensor *outer)
{
    const tl_tensor *x = call->inputs[IN_X], *shape = op_input(call, IN_SHAPE);
    conv_window window;
    int64_t count = 0, size;
    tl_status status = conv_window_parse(call, CONV_NO_AUTO_PAD, &window);
    inner->rank = outer->rank = TL_RANK_UNKNOWN;
    if (status == TL_OK)
        status = nn_check_rank(call, IN_X, 3, TL_MAX_RANK);
    if (status != TL_OK || x->rank == TL_RANK_UNKNOWN)
        return status;
    const int32_t rank = x->rank, spatial = rank - 2;
    status = conv_window_check(call, &window, spatial);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_INDICES, rank, rank);
    for (int32_t i = 0; i < rank && status == TL_OK; i++)
        status = nn_check_dim(call, IN_INDICES, i, x->dims[i], "the shape of X");
    if (status == TL_OK && shape)
        status = op_index_list(call, IN_SHAPE, outer->dims, rank, &count);
    if (status != TL_OK)
        return status;
    op_copy_shape(inner, x);
    for (int32_t i = 0; i < spatial; i++) {
        if (x->dims[i + 2] < 0) {
            inner->dims[i + 2] = TL_DIM_UNKNOWN;
            continue;
        }
        if (!nn_mul(x->dims[i + 2] - 1, window.strides[i], &size) || !nn_add(size, window.kernel[i], &size) ||
            !nn_add(size, -window.pads_begin[i], &size) || !nn_add(size, -window.pads_end[i], &size))
            return tl_fail(call, TL_INVALID_MODEL, "sizes along spatial axis %d are too large", i);
        if (size < 0)
            return tl_fail(call, TL_INVALID_INPUT, "spatial axis %d would have size %lld", i, (long long)size);
        inner->dims[i + 2] = size;
    }
    outer->rank = rank;
    if (!shape)
        op_copy_shape(outer, inner);
    for (int32_t i = 0; shape && i < rank; i++) {
        if (count < 0)
            outer->dims[i] = TL_DIM_UNKNOWN;
        else if (count != rank || outer->dims[i] < inner->dims[i])
            return tl_fail(call, TL_INVALID_INPUT,
                           "output_shape must have %d numbers, none below what the window gives", rank);
    }
    return TL_OK;
}

static tl_status unpool_reshape(tl_call *call)
{
    tl_tensor inner = {.rank = 0}, outer = {.rank = 0};
    tl_status status = unpool_shape(call, &inner, &outer);
    op_copy_shape(call->outputs[0], &outer);
    return status;
}

/* Where element `index` of the inner shape lies in the outer one. */
static int64_t widen_index(const tl_tensor *inner, const tl_tensor *outer, int64_t index)
{
    int64_t at = 0, stride = 1;
    for (int32_t i = inner->rank - 1; i >= 0; i--) {
        at += index % inner->dims[i] * stride;
        index /= inner->dims[i];
        stride *= outer->dims[i];
    }
    return at;
}

static tl_status unpool_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[IN_X];
    const int64_t *indices = call->inputs[IN_INDICES]->data;
    tl_tensor inner = {.rank = 0}, outer = {.rank = 0}, *y = call->outputs[0];
    tl_status status = unpool_shape(call, &inner, &outer);
    if (status != TL_OK)
        return status;
    const size_t element = op_type_size(x->type);
    const int64_t n = op_elements(x), limit = op_elements(&inner);
    bool same = true;
    for (int32_t i = 1; i < inner.rank; i++)
        same = same && inner.dims[i] == outer.dims[i];
    if (op_elements(y) > 0)
        memset(y->data, 0, (size_t)op_elements(y) * element);
    for (int64_t i = 0; i < n; i++) {
        if (indices[i] < 0 || indices[i] >= limit)
            return tl_fail(call, TL_INVALID_INPUT, "index %lld (element %lld) is not in [0, %lld)",
                           (long long)indices[i], (long long)i, (long long)limit);
        const int64_t at = same ? indices[i] : widen_index(&inner, &outer, indices[i]);
        if (element == 4)
            memcpy((char *)y->data + at * 4, (const char *)x->data + i * 4, 4);
        else
            memcpy((char *)y->data + (size_t)at * element, (const char *)x->data + (size_t)i * element, element);
    }
    return TL_OK;
}

static const tl_param unpool_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("I", OP_T_INT64, 0),
                                        OP_OPT("output_shape", OP_T_INT64, 0)};
static const tl_param unpool_output[] = {OP_IN("output", TL_T_FLOATS, 'T')};
static const tl_attribute_spec unpool_attribute[] = {
    {.name = "kernel_shape", .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED}, OP_INTS("pads"), OP_INTS("strides")};

OP_DESCRIPTOR(MaxUnpool, 9) = {OP_HEAD(MaxUnpool, 9),
                               OP_PARAMS(input, unpool_input),
                               OP_PARAMS(output, unpool_output),
                               OP_PARAMS(attribute, unpool_attribute),
                               .reshape = unpool_reshape,
                               .run = unpool_run};
