/* Gelu, BiasGelu, FastGelu and QuickGelu of com.microsoft. */
#include "microsoft/microsoft.h"
#include "onnx/elementwise.h"

/* QuickGelu's factor of the sigmoid's argument; the others have none. */
static float alpha_of(const void *parameter)
{
    return *(const float *)parameter;
}

static double gelu(double x)
{
    return x * 0.5 * erfc(x * -0.70710678118654752440);
}
static double fast_gelu(double x)
{
    return x * op_logistic(2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x));
}

static void activate(tlk_activation_kind kind, const float *x, float *y, int64_t n)
{
    const tlk_activation activation = {.kind = kind};
    tlk_get()->activate(&activation, x, y, n);
}

/* One operand: x. */
static void gelu_f32(const void *x, void *y, int64_t n, const void *parameter)
{
    (void)parameter;
    activate(TLK_GELU, x, y, n);
}
static void fast_gelu_f32(const void *x, void *y, int64_t n, const void *parameter)
{
    (void)parameter;
    activate(TLK_GELU_TANH, x, y, n);
}
static void quick_gelu_f32(const void *px, void *py, int64_t n, const void *parameter)
{
    const float *x = px;
    float *y = py, gate[OP_BLOCK];
    for (int64_t i = 0; i < n; i += OP_BLOCK) {
        const int64_t m = nn_min(OP_BLOCK, n - i);
        for (int64_t j = 0; j < m; j++)
            gate[j] = alpha_of(parameter) * x[i + j];
        activate(TLK_SIGMOID, gate, gate, m);
        for (int64_t j = 0; j < m; j++)
            y[i + j] = x[i + j] * gate[j];
    }
}
OP_KERNEL1(gelu_f64, double, double, gelu(u))
OP_KERNEL1(fast_gelu_f64, double, double, fast_gelu(u))

static void quick_gelu_f64(const void *px, void *py, int64_t n, const void *parameter)
{
    const double *x = px;
    double *y = py;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * op_logistic((double)alpha_of(parameter) * x[i]);
}

/* Two operands: x and what is added first. */
static void bias_f32(tlk_activation_kind kind, const float *x, const float *bias, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] + bias[i];
    activate(kind, y, y, n);
}
static void bias_gelu_f32(const void *x, const void *bias, void *y, int64_t n, const void *parameter)
{
    (void)parameter;
    bias_f32(TLK_GELU, x, bias, y, n);
}
static void bias_fast_gelu_f32(const void *x, const void *bias, void *y, int64_t n, const void *parameter)
{
    (void)parameter;
    bias_f32(TLK_GELU_TANH, x, bias, y, n);
}
OP_KERNEL2(bias_gelu_f64, double, double, gelu(u + v))
OP_KERNEL2(bias_fast_gelu_f64, double, double, fast_gelu(u + v))

/* The bias is one row of X. */
static tl_status bias_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *bias = op_input(call, 1);
    tl_status status = nn_check_rank(call, 1, 1, 1);
    op_copy_shape(call->outputs[0], x);
    if (status != TL_OK || !bias || x->rank == TL_RANK_UNKNOWN)
        return status;
    status = nn_check_rank(call, 0, 1, TL_MAX_RANK);
    if (status == TL_OK)
        status = nn_check_dim(call, 1, 0, x->dims[x->rank - 1], "the last dimension of X");
    if (status == TL_OK && call->plan)
        op_map_init(call->plan, call->outputs[0], call->inputs, 2, 16);
    return status;
}

static const op_unary gelu_kernels = {.kernels = {gelu_f32, gelu_f64}, .cost = 20};
static const op_unary fast_gelu_kernels = {.kernels = {fast_gelu_f32, fast_gelu_f64}, .cost = 16};
static const op_unary quick_gelu_kernels = {.kernels = {quick_gelu_f32, quick_gelu_f64}, .cost = 8};
static const op_binary bias_gelu_kernels = {.kernels = {bias_gelu_f32, bias_gelu_f64}};
static const op_binary bias_fast_gelu_kernels = {.kernels = {bias_fast_gelu_f32, bias_fast_gelu_f64}};

static tl_status gelu_run(tl_call *call)
{
    return op_unary_run(call, &gelu_kernels, NULL);
}
static tl_status quick_gelu_run(tl_call *call)
{
    const float alpha = op_float(call, "alpha");
    return op_unary_run(call, &quick_gelu_kernels, &alpha);
}
static tl_status bias_gelu_run(tl_call *call)
{
    return op_binary_run(call, &bias_gelu_kernels, NULL);
}
static tl_status fast_gelu_run(tl_call *call)
{
    return op_input(call, 1) ? op_binary_run(call, &bias_fast_gelu_kernels, NULL)
                             : op_unary_run(call, &fast_gelu_kernels, NULL);
}

static const tl_param gelu_input[] = {OP_IN("X", MICROSOFT_FLOATS, 'T')};
static const tl_param bias_gelu_input[] = {OP_IN("A", MICROSOFT_FLOATS, 'T'), OP_IN("B", MICROSOFT_FLOATS, 'T')};
static const tl_param fast_gelu_input[] = {OP_IN("X", MICROSOFT_FLOATS, 'T'), OP_OPT("bias", MICROSOFT_FLOATS, 'T')};
static const tl_param gelu_output[] = {OP_IN("Y", MICROSOFT_FLOATS, 'T')};
static const tl_attribute_spec quick_gelu_attribute[] = {OP_FLOAT("alpha", 1.702F)};

OP_DESCRIPTOR(Gelu, 1) = {MICROSOFT_HEAD(Gelu, 1), .flags = TL_OP_ELEMENTWISE, OP_PARAMS(input, gelu_input),
                          OP_PARAMS(output, gelu_output), .run = gelu_run};
OP_DESCRIPTOR(QuickGelu, 1) = {MICROSOFT_HEAD(QuickGelu, 1),
                               .flags = TL_OP_ELEMENTWISE,
                               OP_PARAMS(input, gelu_input),
                               OP_PARAMS(output, gelu_output),
                               OP_PARAMS(attribute, quick_gelu_attribute),
                               .run = quick_gelu_run};
OP_DESCRIPTOR(BiasGelu, 1) = {MICROSOFT_HEAD(BiasGelu, 1),
                              .flags = TL_OP_ELEMENTWISE,
                              OP_PARAMS(input, bias_gelu_input),
                              OP_PARAMS(output, gelu_output),
                              .plan_size = OP_PLAN_BINARY,
                              .reshape = bias_reshape,
                              .run = bias_gelu_run};
OP_DESCRIPTOR(FastGelu, 1) = {MICROSOFT_HEAD(FastGelu, 1),
                              .flags = TL_OP_ELEMENTWISE,
                              OP_PARAMS(input, fast_gelu_input),
                              OP_PARAMS(output, gelu_output),
                              .plan_size = OP_PLAN_BINARY,
                              .reshape = bias_reshape,
                              .run = fast_gelu_run};
