/* StringConcat, element by element, with broadcasting. */
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("X", OP_T_STRING, 0), OP_IN("Y", OP_T_STRING, 0)};
static const tl_param outs[] = {OP_IN("Z", OP_T_STRING, 0)};

static tl_status concat_reshape(tl_call *call)
{
    return op_broadcast(call, call->inputs, 2, call->outputs[0]);
}

/* Strides in elements, 0 where the input is broadcast. */
static void broadcast_strides(const tl_tensor *in, const tl_tensor *out, int64_t *strides)
{
    int64_t dense[TL_MAX_RANK] = {0};
    op_strides(in, 1, dense);
    for (int32_t i = 0; i < out->rank; i++) {
        int32_t k = i - (out->rank - in->rank);
        strides[i] = k >= 0 && in->dims[k] != 1 ? dense[k] : 0;
    }
}

static tl_status concat_run(tl_call *call)
{
    const tl_tensor *out = call->outputs[0];
    const tl_string *x = call->inputs[0]->data, *y = call->inputs[1]->data;
    tl_string *z = out->data;
    int64_t n = op_elements(out), at[TL_MAX_RANK] = {0}, x_strides[TL_MAX_RANK] = {0}, y_strides[TL_MAX_RANK] = {0};
    broadcast_strides(call->inputs[0], out, x_strides);
    broadcast_strides(call->inputs[1], out, y_strides);
    for (int64_t i = 0; i < n; i++) {
        size_t size;
        if (__builtin_add_overflow(x->size, y->size, &size))
            return tl_fail(call, TL_NO_MEMORY, "the size of element %lld overflows", (long long)i);
        char *text = call->host->string(call, size);
        if (!text)
            return TL_NO_MEMORY;
        if (x->size > 0)
            memcpy(text, x->data, x->size);
        if (y->size > 0)
            memcpy(text + x->size, y->data, y->size);
        z[i] = (tl_string){text, size};
        for (int32_t k = out->rank - 1; k >= 0; k--) {
            x += x_strides[k];
            y += y_strides[k];
            if (++at[k] < out->dims[k])
                break;
            x -= at[k] * x_strides[k];
            y -= at[k] * y_strides[k];
            at[k] = 0;
        }
    }
    return TL_OK;
}

OP_DESCRIPTOR(StringConcat, 20) = {OP_HEAD(StringConcat, 20), OP_PARAMS(input, ins), OP_PARAMS(output, outs),
                                   .reshape = concat_reshape, .run = concat_run};
