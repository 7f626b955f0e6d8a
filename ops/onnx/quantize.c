#include "onnx/quantize.h"

static tl_status block_shapes(const tl_call *call, int32_t axis, int64_t block, quantize_plan *plan)
{
    const tl_tensor *x = call->inputs[0], *scale = call->inputs[1];
    if (scale->rank != x->rank)
        return tl_fail(call, TL_INVALID_INPUT, "with block_size the scale must have the input's rank %d, not %d",
                       x->rank, scale->rank);
    for (int32_t i = 0; i < x->rank; i++) {
        int64_t want = x->dims[i];
        if (want >= 0 && i == axis)
            want = want / block + (want % block != 0);
        if (want >= 0 && scale->dims[i] >= 0 && scale->dims[i] != want)
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of the scale is %lld, but must be %lld", i,
                           (long long)scale->dims[i], (long long)want);
    }
    plan->block = block;
    plan->blocks = scale->dims[axis];
    return TL_OK;
}

tl_status quantize_shapes(const tl_call *call, int64_t axis, int64_t block_size, quantize_plan *plan)
{
    const tl_tensor *x = call->inputs[0], *scale = call->inputs[1], *zero = op_input(call, 2);
    int32_t at = 0;
    *plan = (quantize_plan){.single = true};
    if (block_size < 0)
        return tl_fail(call, TL_INVALID_MODEL, "block_size is %lld", (long long)block_size);
    if (zero && op_shape_known(zero) && op_shape_known(scale) && op_elements(zero) != op_elements(scale))
        return tl_fail(call, TL_INVALID_INPUT, "the zero point has %lld elements, the scale %lld",
                       (long long)op_elements(zero), (long long)op_elements(scale));
    if (x->rank == TL_RANK_UNKNOWN || scale->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    /* A list of one is a single scale, whatever the axis; so may be one of unknown length. */
    if (scale->rank == 0 || (block_size == 0 && scale->rank == 1 && (scale->dims[0] == 1 || scale->dims[0] < 0)))
        return TL_OK;
    tl_status status = op_axis(call, "axis", axis, x->rank, &at);
    if (status)
        return status;
    plan->single = false;
    plan->length = x->dims[at];
    plan->inner = op_product(x, at + 1, x->rank);
    if (block_size > 0)
        return block_shapes(call, at, block_size, plan);
    if (scale->rank != 1)
        return tl_fail(call, TL_INVALID_INPUT, "the scale has rank %d, but must be a scalar or a list", scale->rank);
    if (scale->dims[0] >= 0 && x->dims[at] >= 0 && scale->dims[0] != x->dims[at])
        return tl_fail(call, TL_INVALID_INPUT, "the scale has %lld elements, but axis %d has %lld",
                       (long long)scale->dims[0], at, (long long)x->dims[at]);
    return TL_OK;
}

int64_t quantize_run(const quantize_plan *plan, int64_t at, int64_t n, int64_t *scale, int64_t *step)
{
    int64_t run = n;
    *scale = *step = 0;
    if (plan->single)
        return n;
    int64_t row = at / plan->inner, inside = at % plan->inner, a = row % plan->length;
    if (plan->block == 0 && plan->inner == 1) {
        *scale = a;
        *step = 1;
        run = plan->length - a;
    } else if (plan->block == 0) {
        *scale = a;
        run = plan->inner - inside;
    } else {
        *scale = (row / plan->length * plan->blocks + a / plan->block) * plan->inner + inside;
        *step = plan->inner > 1;
        int64_t rest = plan->block - a % plan->block;
        run = plan->inner > 1 ? plan->inner - inside : rest < plan->length - a ? rest : plan->length - a;
    }
    return run < n ? run : n;
}

#define WIDEN(TYPE, T)                                      \
    case TYPE:                                              \
        for (int64_t i = 0; i < n; i++)                     \
            to[i] = (float)((const T *)from->data)[at + i]; \
        return;

void quantize_load(const tl_tensor *from, int64_t at, int64_t step, int64_t n, float *to)
{
    op_block buffer;
    op_domain domain = op_domain_of(from->type);
    if (step == 0 && n > 1) {
        float one;
        quantize_load(from, at, 1, 1, &one);
        op_fill(to, &one, sizeof one, n);
        return;
    }
    switch ((int)from->type) {
        OP_CASES_INT32(WIDEN)
    default:
        break;
    }
    const void *block = op_load_block(from->type, from->data, at, n, &buffer);
    if (domain == OP_F32)
        memcpy(to, block, (size_t)n * sizeof *to);
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = (float)((const int64_t *)block)[i];
}
