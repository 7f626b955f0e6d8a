/* CenterCropPad: the middle of what is too long, zeros around what is too short. */
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("input_data", OP_T_CLASSIC, 'T'), OP_IN("shape", TL_T_INDEX, 0)};
static const tl_param outs[] = {OP_IN("output_data", OP_T_CLASSIC, 'T')};
static const tl_attribute_spec attrs[] = {OP_INTS("axes")};

typedef struct crop_plan {
    op_copy copy;
    int64_t to, from; /* bytes in front of the first element copied */
    bool pads;
} crop_plan;

static void prepare(const tl_tensor *in, const tl_tensor *out, crop_plan *plan)
{
    size_t size = op_type_size(in->type);
    int64_t to[TL_MAX_RANK], from[TL_MAX_RANK], dims[TL_MAX_RANK];
    *plan = (crop_plan){.pads = false};
    op_strides(out, size, to);
    op_strides(in, size, from);
    for (int32_t i = 0; i < in->rank; i++) {
        int64_t more = out->dims[i] - in->dims[i];
        dims[i] = more > 0 ? in->dims[i] : out->dims[i];
        plan->pads = plan->pads || more > 0;
        plan->to += more > 0 ? more / 2 * to[i] : 0;
        plan->from += more < 0 ? -more / 2 * from[i] : 0;
    }
    op_copy_init(&plan->copy, size, in->rank, dims, to, from);
}

static tl_status crop_reshape(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int64_t shape[TL_MAX_RANK], count;
    int32_t axes[TL_MAX_RANK];
    size_t axis_count;
    const int64_t *list = op_ints(call, "axes", &axis_count);
    op_copy_shape(out, in);
    if (in->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    tl_status status = op_index_list(call, 1, shape, TL_MAX_RANK, &count);
    if (!status && op_given(call, "axes"))
        status = op_axes(call, list, (int64_t)axis_count, in->rank, axes);
    else
        for (axis_count = 0; axis_count < (size_t)in->rank; axis_count++)
            axes[axis_count] = (int32_t)axis_count;
    if (!status && count >= 0 && count != (int64_t)axis_count)
        status = tl_fail(call, TL_INVALID_MODEL, "shape has %lld elements for %zu axes", (long long)count, axis_count);
    if (status)
        return status;
    for (size_t k = 0; k < axis_count; k++) {
        if (count >= 0 && shape[k] < 0)
            return tl_fail(call, TL_INVALID_INPUT, "shape[%zu] is %lld", k, (long long)shape[k]);
        out->dims[axes[k]] = count >= 0 ? shape[k] : TL_DIM_UNKNOWN;
    }
    if (call->plan && op_plannable(out) && op_shape_known(in))
        prepare(in, out, call->plan);
    return TL_OK;
}

static tl_status crop_run(tl_call *call)
{
    const crop_plan *plan = call->plan;
    const tl_tensor *in = call->inputs[0], *out = call->outputs[0];
    if (op_elements(out) == 0)
        return TL_OK;
    if (plan->pads)
        memset(out->data, 0, (size_t)op_bytes(out->type, op_elements(out)));
    if (op_elements(in) > 0)
        op_copy_run(call, &plan->copy, (char *)out->data + plan->to, (const char *)in->data + plan->from);
    return TL_OK;
}

OP_DESCRIPTOR(CenterCropPad, 18) = {
    OP_HEAD(CenterCropPad, 18),     OP_PARAMS(input, ins),   OP_PARAMS(output, outs), OP_PARAMS(attribute, attrs),
    .plan_size = sizeof(crop_plan), .reshape = crop_reshape, .run = crop_run};
