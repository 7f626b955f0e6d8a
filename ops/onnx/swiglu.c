/* SwiGLU (28): Swish of one input, times the other. */
#include "onnx/elementwise.h"
#include "onnx/nn.h"

static void swiglu_f32(const void *pa, const void *pb, void *py, int64_t n, const void *parameter)
{
    const tlk_activation sigmoid = {.kind = TLK_SIGMOID};
    const float alpha = *(const float *)parameter;
    const float *a = pa, *b = pb;
    float *y = py;
    float gate[OP_BLOCK];
    for (int64_t i = 0; i < n; i += OP_BLOCK) {
        const int64_t m = nn_min(OP_BLOCK, n - i);
        for (int64_t j = 0; j < m; j++)
            gate[j] = alpha * a[i + j];
        tlk_get()->activate(&sigmoid, gate, gate, m);
        for (int64_t j = 0; j < m; j++)
            y[i + j] = a[i + j] * gate[j] * b[i + j];
    }
}

static void swiglu_f64(const void *pa, const void *pb, void *py, int64_t n, const void *parameter)
{
    const double alpha = (double)*(const float *)parameter;
    const double *a = pa, *b = pb;
    double *y = py;
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] / (1 + exp(-alpha * a[i])) * b[i];
}

/* The inputs have the same shape; nothing is broadcast. */
static tl_status swiglu_reshape(tl_call *call)
{
    const tl_tensor *a = call->inputs[0], *b = call->inputs[1];
    if (a->rank != TL_RANK_UNKNOWN) {
        tl_status status = nn_check_rank(call, 1, a->rank, a->rank);
        for (int32_t i = 0; i < a->rank && status == TL_OK; i++)
            status = nn_check_dim(call, 1, i, a->dims[i], "as A has it");
        if (status != TL_OK)
            return status;
    }
    op_copy_shape(call->outputs[0], a->rank == TL_RANK_UNKNOWN ? b : a);
    if (call->plan)
        op_map_init(call->plan, call->outputs[0], call->inputs, 2, 8);
    return TL_OK;
}

static tl_status swiglu_run(tl_call *call)
{
    static const op_binary swiglu = {.kernels = {swiglu_f32, swiglu_f64}};
    const float alpha = op_float(call, "alpha");
    return op_binary_run(call, &swiglu, &alpha);
}

static const tl_param swiglu_input[] = {OP_IN("A", TL_T_FLOATS, 'T'), OP_IN("B", TL_T_FLOATS, 'T')};
static const tl_param swiglu_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec swiglu_attribute[] = {OP_FLOAT("alpha", 1)};

OP_DESCRIPTOR(SwiGLU, 28) = {OP_HEAD(SwiGLU, 28),
                             .flags = TL_OP_ELEMENTWISE,
                             OP_PARAMS(input, swiglu_input),
                             OP_PARAMS(output, swiglu_output),
                             OP_PARAMS(attribute, swiglu_attribute),
                             .plan_size = OP_PLAN_BINARY,
                             .reshape = swiglu_reshape,
                             .run = swiglu_run};
