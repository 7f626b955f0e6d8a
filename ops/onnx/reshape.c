/* Operators that give a tensor another shape and leave its elements alone: Reshape, Flatten, Squeeze, Unsqueeze,
 * Identity. */
#include "onnx/tensor.h"

static const tl_param view_ins[] = {OP_IN("data", TL_T_ALL, 'T')};
static const tl_param view_outs[] = {OP_IN("output", TL_T_ALL, 'T')};

#define VIEW_HEAD(name, since) \
    OP_HEAD(name, since), .flags = TL_OP_VIEW, OP_PARAMS(input, view_ins), OP_PARAMS(output, view_outs)
#define VIEW_HEAD_WITH(name, since, ins) \
    OP_HEAD(name, since), .flags = TL_OP_VIEW, OP_PARAMS(input, ins), OP_PARAMS(output, view_outs)

/* ---- Reshape */

static const tl_param reshape_ins[] = {OP_IN("data", TL_T_ALL, 'T'), OP_IN("shape", OP_T_INT64, 0)};
static const tl_attribute_spec reshape_attrs[] = {OP_INT("allowzero", 0)};

/* What is left of the input's dimensions for the one that is -1: those that a 0 copies are left out on both sides. */
typedef struct reshape_rest {
    int64_t product; /* of the known ones */
    int unknown;     /* how many are not */
    tl_dim symbol;   /* the last of these */
} reshape_rest;

static tl_status rest_of_input(const tl_call *call, const tl_tensor *data, uint32_t copied, reshape_rest *rest)
{
    *rest = (reshape_rest){.product = 1, .symbol = TL_DIM_UNKNOWN};
    for (int32_t i = 0; i < data->rank; i++) {
        if (copied >> i & 1)
            continue;
        if (data->dims[i] < 0) {
            rest->unknown++;
            rest->symbol = data->dims[i];
        } else if (__builtin_mul_overflow(rest->product, data->dims[i], &rest->product)) {
            return tl_fail(call, TL_NO_MEMORY, "the input's size overflows");
        }
    }
    return TL_OK;
}

/* Fills in the dimension that is -1 (at `free_axis`, or -1: none) where the input says enough; else checks sizes. */
static tl_status settle(const tl_call *call, const tl_tensor *data, uint32_t copied, int64_t product, int free_axis,
                        tl_tensor *out)
{
    reshape_rest rest;
    tl_status status = rest_of_input(call, data, copied, &rest);
    if (status)
        return status;
    if (rest.unknown == 0 && free_axis < 0 && rest.product != product)
        return tl_fail(call, TL_INVALID_INPUT, "%lld elements cannot take a shape of %lld", (long long)rest.product,
                       (long long)product);
    if (free_axis < 0)
        return TL_OK;
    if (rest.unknown == 0) {
        if (product == 0 || rest.product % product != 0)
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d is -1, but %lld elements are no multiple of %lld",
                           free_axis, (long long)rest.product, (long long)product);
        out->dims[free_axis] = rest.product / product;
    } else if (rest.unknown == 1 && rest.product == product && product != 0) {
        out->dims[free_axis] = rest.symbol;
    }
    return TL_OK;
}

static tl_status reshape_to(const tl_call *call, const tl_tensor *data, const int64_t *shape, int32_t rank,
                            bool allow_zero, tl_tensor *out)
{
    int64_t product = 1;
    int free_axis = -1;
    uint32_t copied = 0;
    bool zero = false;
    out->rank = rank;
    for (int32_t i = 0; i < rank; i++) {
        out->dims[i] = shape[i];
        if (shape[i] == -1) {
            if (free_axis >= 0)
                return tl_fail(call, TL_INVALID_MODEL, "shape has -1 at %d and at %d", free_axis, i);
            free_axis = i;
            out->dims[i] = TL_DIM_UNKNOWN;
        } else if (shape[i] < 0) {
            return tl_fail(call, TL_INVALID_MODEL, "shape[%d] is %lld", i, (long long)shape[i]);
        } else if (shape[i] == 0 && !allow_zero) {
            if (data->rank != TL_RANK_UNKNOWN && i >= data->rank)
                return tl_fail(call, TL_INVALID_MODEL, "shape[%d] is 0, but the input has rank %d", i, data->rank);
            copied |= (uint32_t)1 << i;
            out->dims[i] = data->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : data->dims[i];
        } else if (__builtin_mul_overflow(product, shape[i], &product)) {
            return tl_fail(call, TL_NO_MEMORY, "the size of shape overflows");
        } else if (shape[i] == 0) {
            zero = true;
        }
    }
    if (zero && free_axis >= 0)
        return tl_fail(call, TL_INVALID_MODEL, "with allowzero, shape must not have both 0 and -1");
    return data->rank == TL_RANK_UNKNOWN ? TL_OK : settle(call, data, copied, product, free_axis, out);
}

static tl_status reshape_reshape(tl_call *call)
{
    int64_t shape[TL_MAX_RANK], count;
    tl_status status = op_index_list(call, 1, shape, TL_MAX_RANK, &count);
    if (status)
        return status;
    if (count < 0) {
        op_rank_from_list(call->inputs[1], 0, call->outputs[0]);
        return TL_OK;
    }
    bool allow_zero = call->host->node_version(call->node) >= 14 && op_int(call, "allowzero") != 0;
    return reshape_to(call, call->inputs[0], shape, (int32_t)count, allow_zero, call->outputs[0]);
}

OP_DESCRIPTOR(Reshape, 5) = {VIEW_HEAD_WITH(Reshape, 5, reshape_ins), .reshape = reshape_reshape};
OP_DESCRIPTOR(Reshape, 14) = {VIEW_HEAD_WITH(Reshape, 14, reshape_ins), OP_PARAMS(attribute, reshape_attrs),
                              .reshape = reshape_reshape};

/* ---- Flatten */

static const tl_attribute_spec flatten_attrs[] = {OP_INT("axis", 1)};

/* The product of dims[begin..end), a symbol if that is all there is. */
static tl_status joined(const tl_call *call, const tl_tensor *tensor, int32_t begin, int32_t end, tl_dim *result)
{
    int64_t product = 1;
    int unknown = 0;
    tl_dim symbol = TL_DIM_UNKNOWN;
    for (int32_t i = begin; i < end; i++) {
        if (tensor->dims[i] < 0) {
            unknown++;
            symbol = tensor->dims[i];
        } else if (__builtin_mul_overflow(product, tensor->dims[i], &product)) {
            return tl_fail(call, TL_NO_MEMORY, "the input's size overflows");
        }
    }
    *result = unknown == 0 || product == 0 ? product : unknown == 1 && product == 1 ? symbol : TL_DIM_UNKNOWN;
    return TL_OK;
}

static tl_status flatten_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int64_t axis = op_int(call, "axis");
    out->rank = 2;
    out->dims[0] = out->dims[1] = TL_DIM_UNKNOWN;
    if (data->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    if (axis < -(int64_t)data->rank || axis > data->rank)
        return tl_fail(call, TL_INVALID_MODEL, "axis is %lld, but must be in [%d, %d]", (long long)axis, -data->rank,
                       data->rank);
    int32_t cut = (int32_t)(axis < 0 ? axis + data->rank : axis);
    tl_status status = joined(call, data, 0, cut, &out->dims[0]);
    return status ? status : joined(call, data, cut, data->rank, &out->dims[1]);
}

OP_DESCRIPTOR(Flatten, 1) = {VIEW_HEAD(Flatten, 1), OP_PARAMS(attribute, flatten_attrs), .reshape = flatten_reshape};

/* ---- Identity: also of what is no tensor */

OP_DESCRIPTOR(Identity, 1) = {VIEW_HEAD(Identity, 1)};

/* ---- Squeeze, Unsqueeze: axes were an attribute before version 13 */

static const tl_param squeeze_ins[] = {OP_IN("data", TL_T_ALL, 'T'), OP_OPT("axes", OP_T_INT64, 0)};
static const tl_param unsqueeze_ins[] = {OP_IN("data", TL_T_ALL, 'T'), OP_IN("axes", OP_T_INT64, 0)};
static const tl_attribute_spec squeeze_attrs[] = {OP_INTS("axes")};
static const tl_attribute_spec unsqueeze_attrs[] = {{.name = "axes", .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED}};

/* *given says whether there are axes at all; *count is -1 where they are not known yet. */
static tl_status read_axes(const tl_call *call, int64_t *axes, int64_t *count, bool *given)
{
    if (call->host->node_version(call->node) >= 13) {
        *given = op_input(call, 1) != NULL;
        *count = 0;
        return *given ? op_index_list(call, 1, axes, TL_MAX_RANK, count) : TL_OK;
    }
    size_t n = 0;
    const int64_t *list = op_ints(call, "axes", &n);
    *given = op_given(call, "axes");
    *count = (int64_t)n;
    if (n > TL_MAX_RANK)
        return tl_fail(call, TL_INVALID_MODEL, "axes has %zu elements, but at most %d make sense here", n, TL_MAX_RANK);
    if (n > 0)
        memcpy(axes, list, n * sizeof axes[0]);
    return TL_OK;
}

static tl_status squeeze_ones(const tl_tensor *data, tl_tensor *out)
{
    out->rank = 0;
    for (int32_t i = 0; i < data->rank; i++) {
        if (data->dims[i] < 0) {
            out->rank = TL_RANK_UNKNOWN;
            return TL_OK;
        }
        if (data->dims[i] != 1)
            out->dims[out->rank++] = data->dims[i];
    }
    return TL_OK;
}

static tl_status squeeze_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int64_t list[TL_MAX_RANK], count;
    int32_t axes[TL_MAX_RANK];
    bool given, gone[TL_MAX_RANK] = {false};
    tl_status status = read_axes(call, list, &count, &given);
    if (status || data->rank == TL_RANK_UNKNOWN || count < 0) {
        out->rank = TL_RANK_UNKNOWN;
        return status;
    }
    if (!given)
        return squeeze_ones(data, out);
    status = op_axes(call, list, count, data->rank, axes);
    if (status)
        return status;
    for (int64_t k = 0; k < count; k++) {
        tl_dim dim = data->dims[axes[k]];
        if (dim >= 0 && dim != 1)
            return tl_fail(call, TL_INVALID_INPUT, "axis %d has dimension %lld, and only 1 can be squeezed", axes[k],
                           (long long)dim);
        gone[axes[k]] = true;
    }
    out->rank = 0;
    for (int32_t i = 0; i < data->rank; i++)
        if (!gone[i])
            out->dims[out->rank++] = data->dims[i];
    return TL_OK;
}

static tl_status unsqueeze_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int64_t list[TL_MAX_RANK], count;
    int32_t axes[TL_MAX_RANK];
    bool given, made[TL_MAX_RANK] = {false};
    out->rank = TL_RANK_UNKNOWN;
    tl_status status = read_axes(call, list, &count, &given);
    if (status || data->rank == TL_RANK_UNKNOWN)
        return status;
    if (count < 0) {
        op_rank_from_list(call->inputs[1], data->rank, out);
        return TL_OK;
    }
    if (data->rank + count > TL_MAX_RANK)
        return tl_fail(call, TL_UNSUPPORTED, "the result has rank %lld, but at most %d is supported",
                       (long long)(data->rank + count), TL_MAX_RANK);
    int32_t rank = data->rank + (int32_t)count;
    status = op_axes(call, list, count, rank, axes);
    if (status)
        return status;
    for (int64_t k = 0; k < count; k++)
        made[axes[k]] = true;
    out->rank = rank;
    for (int32_t i = 0, from = 0; i < rank; i++)
        out->dims[i] = made[i] ? 1 : data->dims[from++];
    return TL_OK;
}

OP_DESCRIPTOR(Squeeze, 1) = {VIEW_HEAD(Squeeze, 1), OP_PARAMS(attribute, squeeze_attrs), .reshape = squeeze_reshape};
OP_DESCRIPTOR(Squeeze, 13) = {VIEW_HEAD_WITH(Squeeze, 13, squeeze_ins), .reshape = squeeze_reshape};
OP_DESCRIPTOR(Unsqueeze, 1) = {VIEW_HEAD(Unsqueeze, 1), OP_PARAMS(attribute, unsqueeze_attrs),
                               .reshape = unsqueeze_reshape};
OP_DESCRIPTOR(Unsqueeze, 13) = {VIEW_HEAD_WITH(Unsqueeze, 13, unsqueeze_ins), .reshape = unsqueeze_reshape};
