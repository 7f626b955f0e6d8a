#include "onnx/quantize.h"

#include "kernels/kernels.h"

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

void quantize_back(const tl_tensor *from, int64_t at, int64_t n, int64_t row, const float *scale, const float *zero,
                   float *to)
{
    const int size = (int)op_type_size(from->type);
    tlk_get()->dequantize((const char *)from->data + at * size, size, (TL_T(from->type) & TL_T_SIGNED) != 0, to, n, row,
                          scale, zero);
}

const float *quantize_load(const tl_tensor *from, int64_t at, int64_t n, float *buffer)
{
    op_block block;
    if (quantize_is_whole(from->type)) {
        quantize_back(from, at, n, n, (float[]){1}, (float[]){0}, buffer);
        return buffer;
    }
    const void *numbers = op_load_block(from->type, from->data, at, n, &block);
    if (from->type == TL_FLOAT)
        return numbers;
    if (op_domain_of(from->type) == OP_F32)
        return memcpy(buffer, numbers, (size_t)n * sizeof *buffer);
    for (int64_t i = 0; i < n; i++)
        buffer[i] = (float)((const int64_t *)numbers)[i];
    return buffer;
}

/* Sees to it that scales at .. at + n are at hand, and those behind them that there is place for. */
static void load_scales(quantize_walk *walk, int64_t at, int64_t n)
{
    if (at >= walk->first && at + n <= walk->first + walk->count)
        return;
    const int64_t left = op_elements(walk->scale) - at;
    walk->first = at;
    walk->count = left < OP_BLOCK ? left : OP_BLOCK;
    walk->scales = quantize_load(walk->scale, at, walk->count, walk->buffers[0]);
    walk->zeros = walk->zero ? quantize_load(walk->zero, at, walk->count, walk->buffers[1])
                             : memset(walk->buffers[1], 0, (size_t)walk->count * sizeof(float));
}

void quantize_start(quantize_walk *walk, const quantize_plan *plan, const tl_tensor *scale, const tl_tensor *zero,
                    int64_t at)
{
    walk->plan = plan;
    walk->scale = scale;
    walk->zero = zero;
    walk->first = walk->count = 0;
    if (plan->single)
        return;
    walk->inside = at % plan->inner;
    walk->a = at / plan->inner % plan->length;
    walk->outer = at / plan->inner / plan->length;
    if (plan->inner > 1 || plan->block > 0 || plan->length > OP_BLOCK / 2)
        return;
    /* Rows of few elements go by as many as there is place for their scales, again and again. */
    load_scales(walk, 0, plan->length);
    walk->scales = memmove(walk->buffers[0], walk->scales, (size_t)plan->length * sizeof(float));
    walk->zeros = memmove(walk->buffers[1], walk->zeros, (size_t)plan->length * sizeof(float));
    for (; walk->count <= OP_BLOCK - plan->length; walk->count += plan->length)
        for (int k = 0; k < 2; k++)
            memcpy(walk->buffers[k] + walk->count, walk->buffers[k], (size_t)plan->length * sizeof(float));
}

static void advance(quantize_walk *walk, int64_t n)
{
    const quantize_plan *plan = walk->plan;
    walk->inside += n;
    walk->a += walk->inside / plan->inner;
    walk->inside %= plan->inner;
    walk->outer += walk->a / plan->length;
    walk->a %= plan->length;
}

quantize_run quantize_next(quantize_walk *walk, int64_t n)
{
    const quantize_plan *plan = walk->plan;
    const int64_t inner = plan->inner;
    quantize_run run = {.row = n};
    int64_t at = 0, most = n;
    if (plan->block > 0) {
        const int64_t rest = plan->block - walk->a % plan->block;
        at = (walk->outer * plan->blocks + walk->a / plan->block) * inner + walk->inside;
        run.row = inner > 1 ? 1 : n;
        most = inner > 1 ? inner - walk->inside : rest < plan->length - walk->a ? rest : plan->length - walk->a;
    } else if (!plan->single) {
        at = walk->a;
        run.row = inner;
        most = walk->inside > 0 || n < inner                  ? inner - walk->inside
               : inner == 1 && walk->first + walk->count > at ? walk->first + walk->count - at
               : n / inner < plan->length - at                ? n / inner * inner
                                                              : (plan->length - at) * inner;
    }
    if (most / run.row > OP_BLOCK)
        most = OP_BLOCK * run.row;
    run.n = most < n ? most : n;
    load_scales(walk, at, run.n / run.row + (run.n % run.row != 0));
    run.scale = walk->scales + (at - walk->first);
    run.zero = walk->zeros + (at - walk->first);
    if (!plan->single)
        advance(walk, run.n);
    return run;
}
