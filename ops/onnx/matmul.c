/* MatMul and Gemm, and the private forms with steps. Floating types by the kernels of ops/kernels, halves as float;
 * integers by plain loops. */
#include "onnx/matmul.h"
#include "onnx/product.h"
#include "onnx/steps.h"

/* ---- State: a constant B, packed */

typedef struct matrix_state {
    product_factor b;
    void *packed;        /* or NULL, where there are steps */
    steps_program steps; /* of the private forms */
} matrix_state;

static tl_status matrix_create(tl_call *call, bool transposed, bool a_transposed)
{
    tl_tensor b = product_operand(call->inputs[1]);
    float *floats;
    size_t bytes;
    if (!b.data || b.rank < 1 || !(TL_T(b.type) & TL_T_FLOATS))
        return TL_OK;
    product_factor factor = product_factor_b(&b, transposed, a_transposed);
    if (factor.lines < 1 || factor.depth < 1 || factor.matrices < 1)
        return TL_OK;
    matrix_state *state = nn_new_state(call, sizeof *state);
    if (!state)
        return TL_NO_MEMORY;
    tl_status status = nn_pack_half(call, 1, &floats);
    if (status == TL_OK && factor.each != SIZE_MAX &&
        !__builtin_mul_overflow((size_t)factor.matrices, factor.each, &bytes))
        state->packed = call->host->alloc(call->host, bytes, 64);
    if (state->packed)
        product_pack(&factor, b.type, floats ? floats : b.data, 0, factor.matrices * factor.pieces, state->packed);
    if (floats)
        call->host->free(call->host, floats);
    if (!state->packed) {
        call->host->free(call->host, state);
        return status != TL_OK ? status : tl_fail(call, TL_NO_MEMORY, "no memory for packed weights");
    }
    state->b = factor;
    call->state = state;
    call->packed = 1 << 1;
    return TL_OK;
}

static void matrix_destroy(const tl_host *host, void *memory)
{
    matrix_state *state = memory;
    if (state->packed)
        host->free(host, state->packed);
    host->free(host, state);
}

/* What product_run takes for a B packed at create; NULL: it packs input 1. */
static const void *packed_b(const tl_call *call)
{
    const matrix_state *state = call->state;
    return state ? state->packed : NULL;
}

/* A factor packed at create is none of the inputs to be widened. */
static uint64_t unread(const tl_call *call)
{
    return packed_b(call) ? 1 << 1 : 0;
}

static bool is_float(const tl_tensor *tensor)
{
    return (TL_T(tensor->type) & TL_T_FLOATS) != 0;
}

/* ---- MatMul: numpy's rules for shapes, in the standard's text since version 1 */

tl_status matmul_output_shape(const tl_call *call, const tl_tensor *a, const tl_tensor *b, tl_tensor *out)
{
    tl_tensor batch_a = *a, batch_b = *b;
    const tl_tensor *batches[2] = {&batch_a, &batch_b};
    out->rank = TL_RANK_UNKNOWN;
    if (a->rank == TL_RANK_UNKNOWN || b->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    if (a->rank == 0 || b->rank == 0)
        return tl_fail(call, TL_INVALID_INPUT, "a factor is a scalar, but must be a vector or matrix");
    tl_dim inner_a = a->dims[a->rank - 1], inner_b = b->dims[b->rank == 1 ? 0 : b->rank - 2];
    if (inner_a >= 0 && inner_b >= 0 && inner_a != inner_b)
        return tl_fail(call, TL_INVALID_INPUT, "the factors' inner sizes are %lld and %lld, but must be the same",
                       (long long)inner_a, (long long)inner_b);
    batch_a.rank = a->rank > 2 ? a->rank - 2 : 0;
    batch_b.rank = b->rank > 2 ? b->rank - 2 : 0;
    tl_status status = op_broadcast(call, batches, 2, out);
    if (status != TL_OK)
        return status;
    if (a->rank > 1)
        out->dims[out->rank++] = a->dims[a->rank - 2];
    if (b->rank > 1)
        out->dims[out->rank++] = b->dims[b->rank - 1];
    return TL_OK;
}

static tl_status matmul_reshape(tl_call *call)
{
    const tl_tensor *a = call->inputs[0], *b = call->inputs[1];
    tl_tensor *out = call->outputs[0];
    tl_status status = matmul_output_shape(call, a, b, out);
    if (status != TL_OK || !call->plan)
        return status;
    call->workspace_size = 0;
    if (!is_float(a))
        return TL_OK;
    product_plan *plan = call->plan;
    const tl_tensor real = product_operand(b);
    nn_widen_place(call, unread(call));
    product_set(plan, real.type, product_factor_a(a, false), product_factor_b(&real, false, false));
    product_batch(plan, a, b, out);
    product_place(call, plan, packed_b(call) != NULL);
    return TL_OK;
}

static tl_status matmul_real(tl_call *call)
{
    const tl_tensor *a = call->inputs[0], *b = call->inputs[1], *out = call->outputs[0];
    const product_result result = {.c = out->data, .alpha = 1};
    if (is_float(out))
        product_run(call, call->plan, a->data, b->data, packed_b(call), &result);
    else
        matmul_integers(call, a, b, out);
    return TL_OK;
}

static tl_status matmul_run(tl_call *call)
{
    return nn_is_half(call->outputs[0]->type) ? nn_widen_run(call, unread(call), matmul_real) : matmul_real(call);
}

static tl_status matmul_create(tl_call *call)
{
    return matrix_create(call, false, false);
}

/* ---- Gemm: alpha * A' * B' + beta * C */

typedef struct gemm_plan {
    product_plan product;
    size_t transposed; /* of an integer B, in the workspace */
} gemm_plan;

static tl_status gemm_create(tl_call *call)
{
    return call->inputs[1]->rank == 2 ? matrix_create(call, op_int(call, "transB") != 0, op_int(call, "transA") != 0)
                                      : TL_OK;
}

static tl_status check_bias(const tl_call *call, const tl_tensor *out)
{
    const tl_tensor *c = op_input(call, 2);
    if (!c || c->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    for (int32_t i = 0; c->rank <= 2 && i < c->rank; i++) {
        tl_dim have = c->dims[i], want = out->dims[2 - c->rank + i];
        if (have >= 0 && want >= 0 && have != 1 && have != want)
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of C is %lld, which does not broadcast to %lld", i,
                           (long long)have, (long long)want);
    }
    return nn_check_rank(call, 2, 0, 2);
}

static tl_status gemm_reshape(tl_call *call)
{
    const tl_tensor *a = call->inputs[0], *b = call->inputs[1];
    tl_tensor *out = call->outputs[0];
    const bool trans_a = op_int(call, "transA") != 0, trans_b = op_int(call, "transB") != 0;
    tl_status status = nn_check_rank(call, 0, 2, 2);
    if (status == TL_OK)
        status = nn_check_rank(call, 1, 2, 2);
    if (status != TL_OK)
        return status;
    out->rank = 2;
    out->dims[0] = a->rank == 2 ? a->dims[trans_a] : TL_DIM_UNKNOWN;
    out->dims[1] = b->rank == 2 ? b->dims[!trans_b] : TL_DIM_UNKNOWN;
    if (a->rank == 2)
        status = nn_check_dim(call, 1, trans_b, a->dims[!trans_a], "the inner size of A");
    if (status == TL_OK)
        status = check_bias(call, out);
    if (status != TL_OK || !call->plan)
        return status;
    gemm_plan *plan = call->plan;
    call->workspace_size = 0;
    if (is_float(a)) {
        const tl_tensor real = product_operand(b);
        nn_widen_place(call, unread(call));
        product_set(&plan->product, real.type, product_factor_a(a, trans_a), product_factor_b(&real, trans_b, trans_a));
        product_place(call, &plan->product, packed_b(call) != NULL);
    } else if (trans_b)
        plan->transposed = nn_place(call, nn_product(b, 0, 2), nn_type_size(b->type));
    return TL_OK;
}

/* Of floating types. */
static product_result gemm_result(const tl_call *call)
{
    const tl_tensor *c = op_input(call, 2);
    product_result result = {
        .c = call->outputs[0]->data, .alpha = op_float(call, "alpha"), .beta = op_float(call, "beta")};
    int64_t strides[2];
    if (c && result.beta != 0) {
        nn_broadcast_strides(c, 2, strides);
        result.add = c->data;
        result.add_row_step = strides[0];
        result.add_column_step = strides[1];
    }
    return result;
}

static tl_status gemm_real(tl_call *call)
{
    const tl_tensor *c = op_input(call, 2), *out = call->outputs[0];
    const gemm_plan *plan = call->plan;
    const gemm_factors factors = {.a = call->inputs[0],
                                  .b = call->inputs[1],
                                  .c = c,
                                  .trans_a = op_int(call, "transA") != 0,
                                  .trans_b = op_int(call, "transB") != 0,
                                  .alpha = op_float(call, "alpha"),
                                  .beta = op_float(call, "beta"),
                                  .transposed = nn_at(call, plan->transposed)};
    if (!is_float(out)) {
        gemm_integers(call, &factors, out);
        return TL_OK;
    }
    const product_result result = gemm_result(call);
    product_run(call, &plan->product, call->inputs[0]->data, call->inputs[1]->data, packed_b(call), &result);
    return TL_OK;
}

static tl_status gemm_run(tl_call *call)
{
    return nn_is_half(call->outputs[0]->type) ? nn_widen_run(call, unread(call), gemm_real) : gemm_real(call);
}

/* ---- Either of them with steps behind it */

typedef struct fused_plan {
    gemm_plan gemm;
    steps_place places[TLK_MAX_STEPS];
} fused_plan;

static bool is_gemm(const tl_call *call)
{
    return strcmp(call->host->node_operator(call->node), "FusedGemm") == 0;
}

/* A Gemm has C between the factors and the operands. */
static size_t first_operand(const tl_call *call)
{
    return is_gemm(call) ? 3 : 2;
}

static tl_status fused_create(tl_call *call)
{
    steps_program steps;
    tl_status status = steps_parse(call, first_operand(call), &steps);
    if (status == TL_OK)
        status = is_gemm(call) ? gemm_create(call) : matmul_create(call);
    if (status == TL_OK && !call->state && !(call->state = nn_new_state(call, sizeof(matrix_state))))
        status = TL_NO_MEMORY;
    if (status == TL_OK)
        ((matrix_state *)call->state)->steps = steps;
    return status;
}

static tl_status fused_reshape(tl_call *call)
{
    tl_status status = is_gemm(call) ? gemm_reshape(call) : matmul_reshape(call);
    if (status != TL_OK || !call->plan)
        return status;
    const matrix_state *state = call->state;
    fused_plan *plan = call->plan;
    const tl_tensor *out = call->outputs[0];
    if (out->rank < 2)
        return tl_fail(call, TL_INVALID_INPUT, "the output has rank %d, but must have 2 or more", out->rank);
    return steps_set_places(call, &state->steps, first_operand(call), out, 0, out->rank - 1, plan->places);
}

static tl_status fused_real(tl_call *call)
{
    const matrix_state *state = call->state;
    const fused_plan *plan = call->plan;
    const tl_tensor *out = call->outputs[0];
    tlk_step steps[TLK_MAX_STEPS];
    int64_t matrix_steps[TLK_MAX_STEPS];
    product_result result = is_gemm(call) ? gemm_result(call) : (product_result){.c = out->data, .alpha = 1};
    result.step_count = steps_bind(call, &state->steps, first_operand(call), plan->places, 0, 0, false, steps).count;
    for (int s = 0; s < result.step_count; s++)
        matrix_steps[s] = out->dims[out->rank - 2] * plan->places[s].row;
    result.steps = steps;
    result.matrix_steps = matrix_steps;
    product_run(call, &plan->gemm.product, call->inputs[0]->data, call->inputs[1]->data, packed_b(call), &result);
    return TL_OK;
}

static tl_status fused_run(tl_call *call)
{
    return nn_is_half(call->outputs[0]->type) ? nn_widen_run(call, unread(call), fused_real) : fused_real(call);
}

/* Along A's rows, and batches; an operand of the steps, and C, are added where they lie. */
static bool matrix_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const bool gemm = strstr(call->host->node_operator(call->node), "Gemm") != NULL;
    (void)reach;
    return k > 1 || (k == 0 && (gemm ? axis == (op_int(call, "transA") != 0) : axis < call->inputs[0]->rank - 1));
}

/* ---- Schemas */

#define MATRIX_TYPES (TL_T_FLOATS | TL_T(TL_INT32) | TL_T(TL_INT64) | TL_T(TL_UINT32) | TL_T(TL_UINT64))

static const tl_param matmul_input[] = {OP_IN("A", MATRIX_TYPES, 'T'), OP_IN("B", MATRIX_TYPES, 'T')};
static const tl_param matmul_output[] = {OP_IN("Y", MATRIX_TYPES, 'T')};
static const tl_param gemm_input[] = {OP_IN("A", MATRIX_TYPES, 'T'), OP_IN("B", MATRIX_TYPES, 'T'),
                                      OP_OPT("C", MATRIX_TYPES, 'T')};
static const tl_attribute_spec gemm_attribute[] = {OP_FLOAT("alpha", 1), OP_FLOAT("beta", 1), OP_INT("transA", 0),
                                                   OP_INT("transB", 0)};
/* Until version 6 C was broadcast only if the attribute said so; every such model means the same under the later rule.
 */
static const tl_attribute_spec gemm_attribute_1[] = {OP_FLOAT("alpha", 1), OP_FLOAT("beta", 1), OP_INT("transA", 0),
                                                     OP_INT("transB", 0), OP_INT("broadcast", 0)};

OP_DESCRIPTOR(MatMul, 1) = {OP_HEAD(MatMul, 1),
                            OP_PARAMS(input, matmul_input),
                            OP_PARAMS(output, matmul_output),

                            .plan_size = sizeof(product_plan),
                            .create = matmul_create,
                            .reshape = matmul_reshape,
                            .run = matmul_run,
                            .destroy = matrix_destroy,
                            .reach = matrix_reach};

OP_DESCRIPTOR(Gemm, 1) = {OP_HEAD(Gemm, 1),
                          OP_PARAMS(input, gemm_input),
                          OP_PARAMS(output, matmul_output),
                          OP_PARAMS(attribute, gemm_attribute_1),
                          .plan_size = sizeof(gemm_plan),
                          .create = gemm_create,
                          .reshape = gemm_reshape,
                          .run = gemm_run,
                          .destroy = matrix_destroy,
                          .reach = matrix_reach};

OP_DESCRIPTOR(Gemm, 7) = {OP_HEAD(Gemm, 7),
                          OP_PARAMS(input, gemm_input),
                          OP_PARAMS(output, matmul_output),
                          OP_PARAMS(attribute, gemm_attribute),
                          .plan_size = sizeof(gemm_plan),
                          .create = gemm_create,
                          .reshape = gemm_reshape,
                          .run = gemm_run,
                          .destroy = matrix_destroy,
                          .reach = matrix_reach};

static const tl_param fused_matmul_input[] = {OP_IN("A", TL_T_FLOATS, 'T'), OP_IN("B", TL_T_FLOATS, 'T'),
                                              STEPS_OPERANDS(TL_T_FLOATS)};
static const tl_param fused_gemm_input[] = {OP_IN("A", TL_T_FLOATS, 'T'), OP_IN("B", TL_T_FLOATS, 'T'),
                                            OP_OPT("C", TL_T_FLOATS, 'T'), STEPS_OPERANDS(TL_T_FLOATS)};
static const tl_param fused_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec fused_matmul_attribute[] = {STEPS_ATTRIBUTES};
static const tl_attribute_spec fused_gemm_attribute[] = {OP_FLOAT("alpha", 1), OP_FLOAT("beta", 1), OP_INT("transA", 0),
                                                         OP_INT("transB", 0), STEPS_ATTRIBUTES};

#define FUSED(op, ins, attributes)                            \
    OP_DESCRIPTOR(op, 1) = {.size = sizeof(tl_operator),      \
                            .domain = STEPS_DOMAIN,           \
                            .name = #op,                      \
                            .since_version = 1,               \
                            OP_PARAMS(input, ins),            \
                            OP_PARAMS(output, fused_output),  \
                            OP_PARAMS(attribute, attributes), \
                            .plan_size = sizeof(fused_plan),  \
                            .create = fused_create,           \
                            .reshape = fused_reshape,         \
                            .run = fused_run,                 \
                            .destroy = matrix_destroy,        \
                            .reach = matrix_reach}
FUSED(FusedMatMul, fused_matmul_input, fused_matmul_attribute);
FUSED(FusedGemm, fused_gemm_input, fused_gemm_attribute);
