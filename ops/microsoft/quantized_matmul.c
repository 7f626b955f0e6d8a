/* MatMulIntegerToFloat and DynamicQuantizeMatMul of com.microsoft: products of bytes less their zero points, scaled to
 * floats, plus a bias; the second one rounds A to bytes as DynamicQuantizeLinear does. */
#include "microsoft/microsoft.h"
#include "onnx/byte_product.h"
#include "onnx/matmul.h"
#include "onnx/quant.h"

/* Where an operator has its inputs; 0: nowhere. */
typedef struct matmul_inputs {
    size_t a_scale, b_scale, a_zero, b_zero, bias;
} matmul_inputs;
enum { IN_A, IN_B };
static const matmul_inputs integer_inputs = {2, 3, 4, 5, 6};
static const matmul_inputs dynamic_inputs = {.b_scale = 2, .b_zero = 3, .bias = 4};

typedef struct matmul_plan {
    byte_plan bytes;
    size_t a, a_zeros, b_zeros, scales; /* in the workspace */
} matmul_plan;

static tl_status create(tl_call *call)
{
    return byte_create(call, IN_B);
}

/* One for all, or one for each column; unknown shapes pass. */
static tl_status check_columns(const tl_call *call, size_t k, bool single)
{
    const tl_tensor *in = k > 0 ? op_input(call, k) : NULL, *b = call->inputs[IN_B];
    const int64_t n = in ? nn_product(in, 0, in->rank) : -1;
    const tl_dim columns = b->rank > 1 ? b->dims[b->rank - 1] : b->rank == 1 ? 1 : TL_DIM_UNKNOWN;
    if (n < 0 || columns < 0 || n == columns || (single && n == 1))
        return TL_OK;
    return tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld elements, but B has %lld columns", k, (long long)n,
                   (long long)columns);
}

static tl_status reshape(tl_call *call, const matmul_inputs *in)
{
    const tl_tensor *b = call->inputs[IN_B];
    tl_tensor a = *call->inputs[IN_A];
    const tl_tensor rows = quant_rows(&a), columns = quant_columns(b);
    tl_status status = matmul_output_shape(call, &a, b, call->outputs[0]);
    if (status == TL_OK)
        status = check_columns(call, in->b_scale, true);
    if (status == TL_OK)
        status = check_columns(call, in->bias, false);
    if (status == TL_OK && in->a_scale)
        status = quant_check(call, in->a_zero, &rows, rows.rank > 1 ? rows.rank - 2 : 0);
    if (status == TL_OK && in->a_scale && nn_product(call->inputs[in->a_scale], 0, call->inputs[in->a_scale]->rank) > 1)
        status = tl_fail(call, TL_INVALID_INPUT, "A must have one scale");
    if (status == TL_OK)
        status = quant_check(call, in->b_zero, &columns, columns.rank - 1);
    if (status != TL_OK || !call->plan)
        return status;
    matmul_plan *plan = call->plan;
    call->workspace_size = 0;
    if (!in->a_scale) {
        a.type = TL_UINT8;
        plan->a = nn_place(call, op_elements(&a), 1);
    }
    byte_plan_product(call, &plan->bytes, &a, b, call->outputs[0], call->state != NULL);
    plan->a_zeros = nn_place(call, nn_max(1, op_elements(&rows)), sizeof(int32_t));
    plan->b_zeros = nn_place(call, nn_max(1, op_elements(&columns)), sizeof(int32_t));
    plan->scales = nn_place(call, nn_max(1, op_elements(call->inputs[in->b_scale])), sizeof(float));
    return TL_OK;
}

static tl_status run(tl_call *call, const matmul_inputs *in)
{
    const matmul_plan *plan = call->plan;
    const tl_tensor *a = call->inputs[IN_A], *b_scale = call->inputs[in->b_scale], *bias = op_input(call, in->bias);
    const tl_tensor rows = quant_rows(a), columns = quant_columns(call->inputs[IN_B]);
    const int64_t n = op_elements(b_scale);
    int32_t *a_zeros = nn_at(call, plan->a_zeros), *b_zeros = nn_at(call, plan->b_zeros);
    float *scales = nn_at(call, plan->scales), scale;
    const void *bytes = a->data;
    byte_result result = {.form = TLK_BYTES_FLOATS,
                          .c = call->outputs[0]->data,
                          .a_zeros = a_zeros,
                          .b_zeros = b_zeros,
                          .scale = scales,
                          .scale_step = n > 1,
                          .add = bias ? bias->data : NULL};
    if (op_elements(call->outputs[0]) == 0)
        return TL_OK;
    if (in->a_scale) {
        scale = op_elements(call->inputs[in->a_scale]) > 0 ? *(const float *)call->inputs[in->a_scale]->data : 0;
        result.a_zero_step = quant_zeros(op_input(call, in->a_zero), &rows, rows.rank > 1 ? rows.rank - 2 : 0, a_zeros);
    } else {
        byte_quantize(a->data, nn_at(call, plan->a), op_elements(a), &scale, a_zeros);
        bytes = nn_at(call, plan->a);
    }
    result.b_zero_step = quant_zeros(op_input(call, in->b_zero), &columns, columns.rank - 1, b_zeros);
    for (int64_t j = 0; j < n; j++)
        scales[j] = scale * ((const float *)b_scale->data)[j];
    byte_product_run(call, &plan->bytes, bytes, call->inputs[IN_B]->data, call->state, &result);
    return TL_OK;
}

#define FLOAT TL_T(TL_FLOAT)
static const tl_param integer_input[] = {OP_IN("A", QUANT_BYTES, 'A'),
                                         OP_IN("B", QUANT_BYTES, 'B'),
                                         OP_IN("a_scale", FLOAT, 0),
                                         OP_IN("b_scale", FLOAT, 0),
                                         OP_OPT("a_zero_point", QUANT_BYTES, 'A'),
                                         OP_OPT("b_zero_point", QUANT_BYTES, 'B'),
                                         OP_OPT("bias", FLOAT, 0)};
static const tl_param dynamic_input[] = {OP_IN("A", FLOAT, 0), OP_IN("B", QUANT_BYTES, 'B'), OP_IN("b_scale", FLOAT, 0),
                                         OP_OPT("b_zero_point", QUANT_BYTES, 'B'), OP_OPT("bias", FLOAT, 0)};
static const tl_param output[] = {OP_IN("Y", FLOAT, 0)};

#define MATMUL(op, name, local)                               \
    static tl_status name##_reshape(tl_call *call)            \
    {                                                         \
        return reshape(call, &name##_inputs);                 \
    }                                                         \
    static tl_status name##_run(tl_call *call)                \
    {                                                         \
        return run(call, &name##_inputs);                     \
    }                                                         \
    OP_DESCRIPTOR(op, 1) = {MICROSOFT_HEAD(op, 1),            \
                            OP_PARAMS(input, name##_input),   \
                            OP_PARAMS(output, output),        \
                            .plan_size = sizeof(matmul_plan), \
                            .create = create,                 \
                            .reshape = name##_reshape,        \
                            .run = name##_run,                \
                            .destroy = op_free_state,         \
                            .reach = local}
MATMUL(MatMulIntegerToFloat, integer, op_reach_rows);
MATMUL(DynamicQuantizeMatMul, dynamic, NULL); /* A's extremes are those of all rows */
