/* DequantizeLinear: y = (x - x_zero_point) * x_scale. */
#include "kernels/kernels.h"
#include "onnx/number.h"
#include "onnx/quantize.h"

#define REALS (TL_T(TL_FLOAT) | TL_T_HALFS)
#define QUANTIZED                                                                                                     \
    (TL_T(TL_INT8) | TL_T(TL_UINT8) | TL_T(TL_INT16) | TL_T(TL_UINT16) | TL_T(TL_INT32) | OP_T_FLOAT8 | OP_T_FLOAT6 | \
     OP_T_PACKED)
static const tl_param ins[] = {OP_IN("x", QUANTIZED, 'T'), OP_IN("x_scale", REALS | TL_T(TL_FLOAT8E8M0), 0),
                               OP_OPT("x_zero_point", QUANTIZED, 'T')};
static const tl_param outs[] = {OP_IN("y", REALS, 0)};
#define AXIS OP_INT("axis", 1)
static const tl_attribute_spec attrs_13[] = {AXIS};
static const tl_attribute_spec attrs_21[] = {AXIS, OP_INT("block_size", 0)};
static const tl_attribute_spec attrs_23[] = {AXIS, OP_INT("block_size", 0), OP_INT("output_dtype", 0)};

static tl_status dequantize_reshape(tl_call *call)
{
    int32_t version = call->host->node_version(call->node);
    int64_t type = version >= 23 ? op_int(call, "output_dtype") : 0;
    quantize_plan plan;
    op_copy_shape(call->outputs[0], call->inputs[0]);
    if (type == 0)
        type = (int64_t)call->inputs[1]->type;
    if (type < 0 || type >= TL_TYPE_COUNT || (type > 0 && !(TL_T(type) & REALS)))
        return tl_fail(call, TL_INVALID_MODEL, "the output cannot have type %lld; output_dtype can change it",
                       (long long)type);
    call->outputs[0]->type = (tl_type)type;
    tl_status status = quantize_shapes(call, version >= 13 ? op_int(call, "axis") : 1,
                                       version >= 21 ? op_int(call, "block_size") : 0, &plan);
    if (!status && call->plan)
        memcpy(call->plan, &plan, sizeof plan);
    return status;
}

typedef struct dequantize_job {
    const tl_tensor *x, *scale, *zero, *y;
    const quantize_plan *plan;
} dequantize_job;

static void dequantize_range(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const dequantize_job *job = context;
    const tl_type type = job->y->type;
    const bool whole = quantize_is_whole(job->x->type);
    const int64_t most = whole && type == TL_FLOAT ? end - begin : OP_BLOCK;
    float numbers[OP_BLOCK];
    quantize_walk walk;
    (void)thread;
    quantize_start(&walk, job->plan, job->scale, job->zero, begin);
    while (begin < end) {
        quantize_run run = quantize_next(&walk, most < end - begin ? most : end - begin);
        char *y = (char *)job->y->data + begin * (int64_t)op_type_size(type);
        float *results = type == TL_FLOAT ? (float *)(void *)y : numbers;
        if (whole && run.row > 1) {
            quantize_back(job->x, begin, run.n, run.row, run.scale, run.zero, results);
        } else {
            const float *x = quantize_load(job->x, begin, run.n, numbers);
            for (int64_t i = 0; i < run.n && run.row == 1; i++)
                results[i] = (x[i] - run.zero[i]) * run.scale[i];
            for (int64_t i = 0; i < run.n && run.row > 1; i += run.row, run.scale++, run.zero++)
                tlk_get()->normalize(x + i, results + i, run.row < run.n - i ? run.row : run.n - i, *run.zero,
                                     *run.scale, NULL, NULL, -0.0F);
        }
        if (results == numbers)
            op_store_floats(type, numbers, y, run.n);
        begin += run.n;
    }
}

static tl_status dequantize_run(tl_call *call)
{
    dequantize_job job = {call->inputs[0], call->inputs[1], op_input(call, 2), call->outputs[0], call->plan};
    int64_t n = op_elements(job.y);
    if (n == 0)
        return TL_OK;
    if (n > 16384 && call->thread_count > 1)
        call->host->parallel_for(call, dequantize_range, &job, n, 8192);
    else
        dequantize_range(&job, 0, n, 0);
    return TL_OK;
}

#define DEQUANTIZE(since)                                                                          \
    OP_HEAD(DequantizeLinear, since), OP_PARAMS(input, ins), OP_PARAMS(output, outs),              \
        .flags = TL_OP_EXPANDS, .plan_size = sizeof(quantize_plan), .reshape = dequantize_reshape, \
        .run = dequantize_run, .reach = op_reach_first
OP_DESCRIPTOR(DequantizeLinear, 10) = {DEQUANTIZE(10)};
OP_DESCRIPTOR(DequantizeLinear, 13) = {DEQUANTIZE(13), OP_PARAMS(attribute, attrs_13)};
OP_DESCRIPTOR(DequantizeLinear, 21) = {DEQUANTIZE(21), OP_PARAMS(attribute, attrs_21)};
OP_DESCRIPTOR(DequantizeLinear, 23) = {DEQUANTIZE(23), OP_PARAMS(attribute, attrs_23)};
