/* ReverseSequence. */
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("input", OP_T_CLASSIC, 'T'), OP_IN("sequence_lens", OP_T_INT64, 0)};
static const tl_param outs[] = {OP_IN("Y", OP_T_CLASSIC, 'T')};
static const tl_attribute_spec attrs[] = {OP_INT("batch_axis", 1), OP_INT("time_axis", 0)};

static tl_status reverse_reshape(tl_call *call)
{
    const tl_tensor *in = call->inputs[0], *lengths = call->inputs[1];
    int64_t batch = op_int(call, "batch_axis"), time = op_int(call, "time_axis");
    op_copy_shape(call->outputs[0], in);
    if (!(batch == 0 && time == 1) && !(batch == 1 && time == 0))
        return tl_fail(call, TL_INVALID_MODEL, "batch_axis is %lld and time_axis %lld; they must be 0 and 1",
                       (long long)batch, (long long)time);
    if (in->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    if (in->rank < 2)
        return tl_fail(call, TL_INVALID_INPUT, "the input has rank %d, but must have 2 or more", in->rank);
    if (lengths->rank != TL_RANK_UNKNOWN &&
        (lengths->rank != 1 || (lengths->dims[0] >= 0 && in->dims[batch] >= 0 && lengths->dims[0] != in->dims[batch])))
        return tl_fail(call, TL_INVALID_INPUT, "sequence_lens must have one element per batch item");
    return TL_OK;
}

static tl_status reverse_run(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    const int64_t *lengths = call->inputs[1]->data;
    int32_t batch = (int32_t)op_int(call, "batch_axis"), time = 1 - batch;
    if (op_elements(in) == 0)
        return TL_OK;
    int64_t items = in->dims[batch], steps = in->dims[time];
    for (int64_t n = 0; n < items; n++)
        if (lengths[n] < 0 || lengths[n] > steps)
            return tl_fail(call, TL_INVALID_INPUT, "sequence_lens[%lld] is %lld, but there are %lld steps",
                           (long long)n, (long long)lengths[n], (long long)steps);
    int64_t bytes = op_product(in, 2, in->rank) * (int64_t)op_type_size(in->type);
    int64_t item_stride = batch == 0 ? steps * bytes : bytes, step_stride = time == 0 ? items * bytes : bytes;
    for (int64_t n = 0; n < items; n++) {
        const char *from = (const char *)in->data + n * item_stride;
        char *to = (char *)call->outputs[0]->data + n * item_stride;
        for (int64_t t = 0; t < steps; t++) {
            int64_t source = t < lengths[n] ? lengths[n] - 1 - t : t;
            memcpy(to + t * step_stride, from + source * step_stride, (size_t)bytes);
        }
    }
    return TL_OK;
}

OP_DESCRIPTOR(ReverseSequence, 10) = {OP_HEAD(ReverseSequence, 10), OP_PARAMS(input, ins),      OP_PARAMS(output, outs),
                                      OP_PARAMS(attribute, attrs),  .reshape = reverse_reshape, .run = reverse_run};
