/* Range: start, start + delta, ... as long as it lies before limit. */
#include "onnx/number.h"
#include "onnx/tensor.h"

#define RANGE_TYPES (TL_T_FLOATS | TL_T(TL_INT16) | TL_T(TL_INT32) | TL_T(TL_INT64))
static const tl_param ins[] = {OP_IN("start", RANGE_TYPES, 'T'), OP_IN("limit", RANGE_TYPES, 'T'),
                               OP_IN("delta", RANGE_TYPES, 'T')};
static const tl_param outs[] = {OP_IN("output", RANGE_TYPES, 'T')};
static const tl_attribute_spec attrs_27[] = {OP_INT("stash_type", 1)};

static bool is_float(tl_type type)
{
    return (TL_T(type) & TL_T_FLOATS) != 0;
}

static int64_t load_integer(const tl_tensor *tensor)
{
    return tensor->type == TL_INT16 ? *(const int16_t *)tensor->data : op_index(tensor, 0);
}

static tl_status count_floats(const tl_call *call, int64_t *count)
{
    double start = op_load_number(call->inputs[0], 0), limit = op_load_number(call->inputs[1], 0);
    double delta = op_load_number(call->inputs[2], 0);
    double steps = ceil((limit - start) / delta);
    if (delta == 0 || !isfinite(steps) || steps > (double)((int64_t)1 << 62))
        return tl_fail(call, TL_INVALID_INPUT, "no range from %g to %g by %g", start, limit, delta);
    *count = steps > 0 ? (int64_t)steps : 0;
    return TL_OK;
}

static tl_status count_integers(const tl_call *call, int64_t *count)
{
    int64_t start = load_integer(call->inputs[0]), limit = load_integer(call->inputs[1]);
    int64_t delta = load_integer(call->inputs[2]);
    if (delta == 0)
        return tl_fail(call, TL_INVALID_INPUT, "delta is 0");
    uint64_t distance = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    bool empty = delta > 0 ? start >= limit : start <= limit;
    uint64_t steps = empty ? 0 : (distance - 1) / step + 1;
    if (steps > INT64_MAX)
        return tl_fail(call, TL_NO_MEMORY, "a range of %llu elements", (unsigned long long)steps);
    *count = (int64_t)steps;
    return TL_OK;
}

static tl_status range_reshape(tl_call *call)
{
    tl_tensor *out = call->outputs[0];
    bool known = true;
    out->rank = 1;
    out->dims[0] = TL_DIM_UNKNOWN;
    for (size_t k = 0; k < 3; k++) {
        const tl_tensor *in = call->inputs[k];
        if (op_shape_known(in) && op_elements(in) != 1)
            return tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld elements, but must be a scalar", k,
                           (long long)op_elements(in));
        known = known && op_shape_known(in) && in->data;
    }
    if (!known)
        return TL_OK;
    return is_float(out->type) ? count_floats(call, &out->dims[0]) : count_integers(call, &out->dims[0]);
}

static tl_status range_run(tl_call *call)
{
    const tl_tensor *out = call->outputs[0];
    int64_t n = out->dims[0];
    if (out->type == TL_DOUBLE) {
        double start = *(const double *)call->inputs[0]->data, delta = *(const double *)call->inputs[2]->data;
        for (int64_t i = 0; i < n; i++)
            ((double *)out->data)[i] = start + (double)i * delta;
    } else if (out->type == TL_FLOAT) {
        float start = *(const float *)call->inputs[0]->data, delta = *(const float *)call->inputs[2]->data;
        for (int64_t i = 0; i < n; i++)
            ((float *)out->data)[i] = start + (float)i * delta;
    } else if (is_float(out->type)) {
        float start = op_load_half(out->type, call->inputs[0]->data);
        float delta = op_load_half(out->type, call->inputs[2]->data);
        for (int64_t i = 0; i < n; i++)
            op_store_half(out->type, start + (float)i * delta, (uint16_t *)out->data + i);
    } else {
        uint64_t start = (uint64_t)load_integer(call->inputs[0]), delta = (uint64_t)load_integer(call->inputs[2]);
        for (int64_t i = 0; i < n; i++, start += delta) {
            if (out->type == TL_INT64)
                ((int64_t *)out->data)[i] = (int64_t)start;
            else if (out->type == TL_INT32)
                ((int32_t *)out->data)[i] = (int32_t)start;
            else
                ((int16_t *)out->data)[i] = (int16_t)start;
        }
    }
    return TL_OK;
}

OP_DESCRIPTOR(Range, 11) = {OP_HEAD(Range, 11), OP_PARAMS(input, ins), OP_PARAMS(output, outs),
                            .reshape = range_reshape, .run = range_run};
OP_DESCRIPTOR(Range, 27) = {OP_HEAD(Range, 27),       OP_PARAMS(input, ins),
                            OP_PARAMS(output, outs),  OP_PARAMS(attribute, attrs_27),
                            .reshape = range_reshape, .run = range_run};
