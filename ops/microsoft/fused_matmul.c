/* FusedMatMul of com.microsoft: alpha times the product of two tensors, either of them transposed. */
#include "microsoft/microsoft.h"
#include "onnx/matmul.h"
#include "onnx/product.h"
#include "onnx/tensor.h"

typedef struct fused_plan {
    product_plan product;
    bool moved[2]; /* factors that are copied in another order first */
    op_copy copies[2];
    size_t factors[2]; /* where to, in the workspace */
} fused_plan;

/* transBatchX moves the first axis behind those of the batch, transX then exchanges the last two. */
static void make_order(const tl_call *call, size_t k, int32_t rank, int32_t *order)
{
    const bool batch = rank > 2 && op_int(call, k ? "transBatchB" : "transBatchA") != 0;
    for (int32_t i = 0; i < rank; i++)
        order[i] = !batch || i == rank - 1 ? i : i == rank - 2 ? 0 : i + 1;
    if (rank > 1 && op_int(call, k ? "transB" : "transA") != 0) {
        const int32_t last = order[rank - 1];
        order[rank - 1] = order[rank - 2];
        order[rank - 2] = last;
    }
}

/* The factor as it is multiplied. */
static tl_tensor factor_shape(const tl_call *call, size_t k)
{
    const tl_tensor *in = call->inputs[k];
    tl_tensor shape = product_operand(in);
    int32_t order[TL_MAX_RANK];
    make_order(call, k, in->rank, order);
    for (int32_t i = 0; i < in->rank; i++)
        shape.dims[i] = in->dims[order[i]];
    return shape;
}

static void place_factor(tl_call *call, fused_plan *plan, size_t k)
{
    const tl_tensor *in = call->inputs[k], to = factor_shape(call, k);
    int32_t order[TL_MAX_RANK];
    int64_t strides[TL_MAX_RANK], from_strides[TL_MAX_RANK], to_strides[TL_MAX_RANK];
    plan->moved[k] = false;
    make_order(call, k, in->rank, order);
    for (int32_t i = 0; i < in->rank; i++)
        plan->moved[k] = plan->moved[k] || order[i] != i;
    if (!plan->moved[k] || !op_plannable(in))
        return;
    const size_t size = nn_type_size(to.type);
    op_strides(in, size, strides);
    op_strides(&to, size, to_strides);
    for (int32_t i = 0; i < in->rank; i++)
        from_strides[i] = strides[order[i]];
    op_copy_init(&plan->copies[k], size, in->rank, to.dims, to_strides, from_strides);
    plan->factors[k] = nn_place(call, op_elements(in), size);
}

static tl_status fused_reshape(tl_call *call)
{
    tl_tensor *out = call->outputs[0];
    if (call->inputs[0]->rank == TL_RANK_UNKNOWN || call->inputs[1]->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    const tl_tensor a = factor_shape(call, 0), b = factor_shape(call, 1);
    tl_status status = matmul_output_shape(call, &a, &b, out);
    fused_plan *plan = call->plan;
    if (status != TL_OK || !plan)
        return status;
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    place_factor(call, plan, 0);
    place_factor(call, plan, 1);
    product_set(&plan->product, a.type, product_factor_a(&a, false), product_factor_b(&b, false, false));
    product_batch(&plan->product, &a, &b, out);
    product_place(call, &plan->product, false);
    return TL_OK;
}

static tl_status fused_real(tl_call *call)
{
    const fused_plan *plan = call->plan;
    const product_result result = {.c = call->outputs[0]->data, .alpha = op_float(call, "alpha")};
    const void *factors[2];
    if (product_is_empty(&plan->product))
        return TL_OK;
    for (size_t k = 0; k < 2; k++) {
        factors[k] = call->inputs[k]->data;
        if (plan->moved[k] && op_elements(call->inputs[k]) > 0) {
            op_copy_run(call, &plan->copies[k], nn_at(call, plan->factors[k]), factors[k]);
            factors[k] = nn_at(call, plan->factors[k]);
        }
    }
    product_run(call, &plan->product, factors[0], factors[1], NULL, &result);
    return TL_OK;
}

static tl_status fused_run(tl_call *call)
{
    return nn_widen_run(call, 0, fused_real);
}

static const tl_param fused_input[] = {OP_IN("A", MICROSOFT_FLOATS, 'T'), OP_IN("B", MICROSOFT_FLOATS, 'T')};
static const tl_param fused_output[] = {OP_IN("Y", MICROSOFT_FLOATS, 'T')};
static const tl_attribute_spec fused_attribute[] = {OP_FLOAT("alpha", 1), OP_INT("transA", 0), OP_INT("transB", 0),
                                                    OP_INT("transBatchA", 0), OP_INT("transBatchB", 0)};

/* There is a FusedMatMul of the runtime's own. */
OP_DESCRIPTOR(MicrosoftFusedMatMul, 1) = {MICROSOFT_HEAD(FusedMatMul, 1),
                                          OP_PARAMS(input, fused_input),
                                          OP_PARAMS(output, fused_output),
                                          OP_PARAMS(attribute, fused_attribute),
                                          .plan_size = sizeof(fused_plan),
                                          .reshape = fused_reshape,
                                          .run = fused_run};
