/* What a tensor's shape says: Shape, Size. */
#include "onnx/tensor.h"

static const tl_param shape_ins[] = {OP_IN("data", TL_T_ALL, 'T')};
static const tl_param shape_outs[] = {OP_IN("shape", OP_T_INT64, 0)};
static const tl_attribute_spec shape_attrs[] = {OP_INT("start", 0), OP_INT("end", 0)};

/* The axes that the output lists: begin <= i < end. Out of range is clamped, as the standard has it. */
static void shape_range(const tl_call *call, int32_t rank, int32_t *begin, int32_t *end)
{
    *begin = 0;
    *end = rank;
    if (call->host->node_version(call->node) < 15)
        return;
    int64_t start = op_int(call, "start");
    int64_t stop = op_given(call, "end") ? op_int(call, "end") : rank;
    start = start < -(int64_t)rank ? 0 : start < 0 ? start + rank : start > rank ? rank : start;
    stop = stop < -(int64_t)rank ? 0 : stop < 0 ? stop + rank : stop > rank ? rank : stop;
    *begin = (int32_t)start;
    *end = (int32_t)(stop < start ? start : stop);
}

static tl_status shape_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int32_t begin, end;
    out->rank = 1;
    out->dims[0] = TL_DIM_UNKNOWN;
    if (data->rank != TL_RANK_UNKNOWN) {
        shape_range(call, data->rank, &begin, &end);
        out->dims[0] = end - begin;
    }
    return TL_OK;
}

static tl_status shape_run(tl_call *call)
{
    const tl_tensor *data = call->inputs[0];
    int64_t *out = call->outputs[0]->data;
    int32_t begin, end;
    shape_range(call, data->rank, &begin, &end);
    for (int32_t i = begin; i < end; i++)
        out[i - begin] = data->dims[i];
    return TL_OK;
}

OP_DESCRIPTOR(Shape, 1) = {OP_HEAD(Shape, 1),           .flags = TL_OP_SHAPE_ONLY,
                           OP_PARAMS(input, shape_ins), OP_PARAMS(output, shape_outs),
                           .reshape = shape_reshape,    .run = shape_run};
OP_DESCRIPTOR(Shape, 15) = {OP_HEAD(Shape, 15),
                            .flags = TL_OP_SHAPE_ONLY,
                            OP_PARAMS(input, shape_ins),
                            OP_PARAMS(output, shape_outs),
                            OP_PARAMS(attribute, shape_attrs),
                            .reshape = shape_reshape,
                            .run = shape_run};

static tl_status size_reshape(tl_call *call)
{
    call->outputs[0]->rank = 0;
    return TL_OK;
}

static tl_status size_run(tl_call *call)
{
    *(int64_t *)call->outputs[0]->data = op_elements(call->inputs[0]);
    return TL_OK;
}

OP_DESCRIPTOR(Size, 1) = {OP_HEAD(Size, 1),
                          .flags = TL_OP_SHAPE_ONLY,
                          OP_PARAMS(input, shape_ins),
                          OP_PARAMS(output, shape_outs),
                          .reshape = size_reshape,
                          .run = size_run};
