/* Relu, LeakyRelu, ThresholdedRelu, Elu, Selu, Celu, Sigmoid, HardSigmoid, HardSwish, Softplus, Softsign, Tanh, Gelu,
 * Mish, Swish, Shrink. None gives NaN or infinity for a finite input whose result is finite. */
#include "onnx/elementwise.h"
#include "onnx/number.h"

/* What kernels get as parameter: the vector function for float, if there is one, and the attributes for all. */
typedef struct activation {
    tlk_activation f32;
    double a, b;
} activation;

static void vector_f32(const void *x, void *y, int64_t n, const void *parameter)
{
    const activation *p = parameter;
    tlk_get()->activate(&p->f32, x, y, n);
}

static void vector_f64(const void *x, void *y, int64_t n, const void *parameter)
{
    const activation *p = parameter;
    tlk_get()->doubles->activate(&p->f32, x, y, n);
}

#define KERNEL(name, T, expression)                                              \
    static void name(const void *px, void *py, int64_t n, const void *parameter) \
    {                                                                            \
        const activation *p = parameter;                                         \
        const T a = (T)p->a, b = (T)p->b;                                        \
        const T *x = px;                                                         \
        T *y = py;                                                               \
        (void)a;                                                                 \
        (void)b;                                                                 \
        OP_INDEPENDENT for (int64_t i = 0; i < n; i++)                           \
        {                                                                        \
            const T u = x[i];                                                    \
            y[i] = (T)(expression);                                              \
        }                                                                        \
    }

/* At minus infinity the products below tend to 0, but would be NaN. */
static double bounded(double x)
{
    return x < -1000.0 ? -1000.0 : x;
}
static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

KERNEL(relu_f64, double, u < 0.0 ? 0.0 : u)
KERNEL(relu_i64, int64_t, u < 0 ? 0 : u)
KERNEL(leaky_f64, double, u < 0.0 ? a * u : u)
KERNEL(thresholded_f32, float, u > a || u != u ? u : 0.0F)
KERNEL(thresholded_f64, double, u > a || u != u ? u : 0.0)
KERNEL(celu_f64, double, (u < 0.0 ? 0.0 : u) + fmin(0.0, a *expm1(u / a)))
KERNEL(hard_sigmoid_f64, double, clamp(a *u + b, 0.0, 1.0))
KERNEL(hard_swish_f64, double, u *clamp(u / 6.0 + 0.5, 0.0, 1.0))
KERNEL(swish_f64, double, (a > 0.0 ? bounded(u) : u) * op_logistic(a * u))
KERNEL(shrink_f32, float, u<-b ? u + a : u> b ? u - a : u == u ? 0.0F : u)
KERNEL(shrink_f64, double, u<-b ? u + a : u> b ? u - a : u == u ? 0.0 : u)

/* Composed of a vector function of scaled elements, block by block. */
static void celu_f32(const void *px, void *py, int64_t n, const void *parameter)
{
    const activation *p = parameter;
    const float a = (float)p->a;
    const float *x = px;
    float *y = py;
    float e[OP_BLOCK];
    for (int64_t i = 0; i < n; i += OP_BLOCK) {
        const int64_t m = n - i < OP_BLOCK ? n - i : OP_BLOCK;
        for (int64_t j = 0; j < m; j++)
            e[j] = x[i + j] / a;
        tlk_get()->unary(TLK_EXPM1, e, e, m);
        for (int64_t j = 0; j < m; j++) {
            const float u = x[i + j], scaled = a * e[j];
            y[i + j] = (u < 0.0F ? 0.0F : u) + (scaled < 0.0F ? scaled : 0.0F);
        }
    }
}
static void swish_f32(const void *px, void *py, int64_t n, const void *parameter)
{
    const activation *p = parameter;
    const tlk_activation sigmoid = {TLK_SIGMOID, 0.0F, 0.0F};
    const float a = (float)p->a;
    const float *x = px;
    float *y = py;
    float e[OP_BLOCK];
    if (p->a == 1.0) {
        vector_f32(px, py, n, parameter);
        return;
    }
    for (int64_t i = 0; i < n; i += OP_BLOCK) {
        const int64_t m = n - i < OP_BLOCK ? n - i : OP_BLOCK;
        for (int64_t j = 0; j < m; j++)
            e[j] = a * x[i + j];
        tlk_get()->activate(&sigmoid, e, e, m);
        for (int64_t j = 0; j < m; j++)
            y[i + j] = x[i + j] * e[j];
    }
}

/* Integers, as the formula gives them when it is computed in double. */
static void shrink_i64(const void *px, void *py, int64_t n, const void *parameter)
{
    const activation *p = parameter;
    const int64_t *x = px;
    int64_t *y = py;
    for (int64_t i = 0; i < n; i++) {
        const double u = (double)x[i];
        const bool low = u<-p->b, high = u> p->b;
        const double moved = low ? u + p->a : u - p->a;
        y[i] = !low && !high ? 0 : p->a == 0.0 ? x[i] : op_to_int64(moved);
    }
}
static void shrink_u64(const void *px, void *py, int64_t n, const void *parameter)
{
    const activation *p = parameter;
    const uint64_t *x = px;
    uint64_t *y = py;
    for (int64_t i = 0; i < n; i++) {
        const double u = (double)x[i];
        const bool low = u<-p->b, high = u> p->b;
        const double moved = low ? u + p->a : u - p->a;
        y[i] = !low && !high ? 0 : p->a == 0.0 ? x[i] : op_to_uint64(moved);
    }
}

/* ---- Runs */

static tl_status run(tl_call *call, const op_unary *rule, tlk_activation_kind kind, float a, float b)
{
    const activation p = {{kind, a, b}, (double)a, (double)b};
    return op_unary_run(call, rule, &p);
}

#define RUN(name, kind, first, second, cost_of_one, ...)                                \
    static tl_status run_##name(tl_call *call)                                          \
    {                                                                                   \
        static const op_unary rule = {.kernels = {__VA_ARGS__}, .cost = (cost_of_one)}; \
        return run(call, &rule, kind, first, second);                                   \
    }
#define ALPHA op_float(call, "alpha")
#define BETA  op_float(call, "beta")
#define GAMMA op_float(call, "gamma")

RUN(relu, TLK_RELU, 0.0F, 0.0F, 1, vector_f32, relu_f64, relu_i64)
RUN(leaky_relu, TLK_LEAKY_RELU, ALPHA, 0.0F, 1, vector_f32, leaky_f64)
RUN(thresholded_relu, TLK_LINEAR, ALPHA, 0.0F, 1, thresholded_f32, thresholded_f64)
RUN(elu, TLK_ELU, ALPHA, 0.0F, 6, vector_f32, vector_f64)
RUN(selu, TLK_SELU, ALPHA, GAMMA, 6, vector_f32, vector_f64)
RUN(celu, TLK_LINEAR, ALPHA, 0.0F, 8, celu_f32, celu_f64)
RUN(sigmoid, TLK_SIGMOID, 0.0F, 0.0F, 8, vector_f32, vector_f64)
RUN(hard_sigmoid, TLK_HARD_SIGMOID, ALPHA, BETA, 1, vector_f32, hard_sigmoid_f64)
RUN(hard_swish, TLK_HARD_SWISH, 0.0F, 0.0F, 2, vector_f32, hard_swish_f64)
RUN(softplus, TLK_SOFTPLUS, 0.0F, 0.0F, 8, vector_f32, vector_f64)
RUN(softsign, TLK_SOFTSIGN, 0.0F, 0.0F, 2, vector_f32, vector_f64)
RUN(tanh, TLK_TANH, 0.0F, 0.0F, 8, vector_f32, vector_f64)
RUN(mish, TLK_MISH, 0.0F, 0.0F, 16, vector_f32, vector_f64)
RUN(swish, TLK_SWISH, ALPHA, 0.0F, 8, swish_f32, swish_f64)
RUN(shrink, TLK_LINEAR, op_float(call, "bias"), op_float(call, "lambd"), 2, shrink_f32, shrink_f64, shrink_i64,
    shrink_u64)

static bool is_tanh(const tl_call *call)
{
    return strcmp(op_string(call, "approximate"), "tanh") == 0;
}
static tl_status reshape_gelu(tl_call *call)
{
    int approximate;
    op_copy_shape(call->outputs[0], call->inputs[0]);
    return op_word(call, "approximate", "none tanh", &approximate);
}
static tl_status run_gelu(tl_call *call)
{
    static const op_unary exact = {.kernels = {vector_f32, vector_f64}, .cost = 20};
    static const op_unary approximate = {.kernels = {vector_f32, vector_f64}, .cost = 16};
    return is_tanh(call) ? run(call, &approximate, TLK_GELU_TANH, 0.0F, 0.0F) : run(call, &exact, TLK_GELU, 0.0F, 0.0F);
}

/* ---- Descriptors */

#define T_RELU (TL_T_FLOATS | TL_T_SIGNED)

static const tl_param float_ins[] = {OP_IN("X", TL_T_FLOATS, 'T')};
static const tl_param float_outs[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_param relu_ins[] = {OP_IN("X", T_RELU, 'T')};
static const tl_param relu_outs[] = {OP_IN("Y", T_RELU, 'T')};
static const tl_param shrink_ins[] = {OP_IN("input", TL_T_NUMERIC, 'T')};
static const tl_param shrink_outs[] = {OP_IN("output", TL_T_NUMERIC, 'T')};

static const tl_attribute_spec alpha_leaky[] = {OP_FLOAT("alpha", 0.01F)};
static const tl_attribute_spec alpha_1[] = {OP_FLOAT("alpha", 1.0F)};
static const tl_attribute_spec selu_attrs[] = {OP_FLOAT("alpha", 1.67326319217681884765625F),
                                               OP_FLOAT("gamma", 1.05070102214813232421875F)};
static const tl_attribute_spec hard_sigmoid_attrs[] = {OP_FLOAT("alpha", 0.2F), OP_FLOAT("beta", 0.5F)};
static const tl_attribute_spec gelu_attrs[] = {OP_STRING("approximate", "none")};
static const tl_attribute_spec shrink_attrs[] = {OP_FLOAT("bias", 0.0F), OP_FLOAT("lambd", 0.5F)};

#define OPERATOR(name, since, in_table, out_table, ...)                                                           \
    OP_DESCRIPTOR(name, since) = {OP_HEAD(name, since), OP_PARAMS(input, in_table), OP_PARAMS(output, out_table), \
                                  .flags = TL_OP_ELEMENTWISE, __VA_ARGS__};

OPERATOR(Relu, 6, relu_ins, relu_outs, .run = run_relu)
OPERATOR(LeakyRelu, 6, float_ins, float_outs, .run = run_leaky_relu, OP_PARAMS(attribute, alpha_leaky))
OPERATOR(ThresholdedRelu, 10, float_ins, float_outs, .run = run_thresholded_relu, OP_PARAMS(attribute, alpha_1))
OPERATOR(Elu, 6, float_ins, float_outs, .run = run_elu, OP_PARAMS(attribute, alpha_1))
OPERATOR(Selu, 6, float_ins, float_outs, .run = run_selu, OP_PARAMS(attribute, selu_attrs))
OPERATOR(Celu, 12, float_ins, float_outs, .run = run_celu, OP_PARAMS(attribute, alpha_1))
OPERATOR(Sigmoid, 6, float_ins, float_outs, .run = run_sigmoid)
OPERATOR(HardSigmoid, 6, float_ins, float_outs, .run = run_hard_sigmoid, OP_PARAMS(attribute, hard_sigmoid_attrs))
OPERATOR(HardSwish, 14, float_ins, float_outs, .run = run_hard_swish)
OPERATOR(Softplus, 1, float_ins, float_outs, .run = run_softplus)
OPERATOR(Softsign, 1, float_ins, float_outs, .run = run_softsign)
OPERATOR(Tanh, 6, float_ins, float_outs, .run = run_tanh)
OPERATOR(Gelu, 20, float_ins, float_outs, .run = run_gelu, .reshape = reshape_gelu, OP_PARAMS(attribute, gelu_attrs))
OPERATOR(Mish, 18, float_ins, float_outs, .run = run_mish)
OPERATOR(Swish, 24, float_ins, float_outs, .run = run_swish, OP_PARAMS(attribute, alpha_1))
OPERATOR(Shrink, 9, shrink_ins, shrink_outs, .run = run_shrink, OP_PARAMS(attribute, shrink_attrs))
