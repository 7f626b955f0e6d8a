/* QuantizeLinear: y = saturate(round(x / y_scale) + y_zero_point). DynamicQuantizeLinear: the same, with a scale and a
 * zero point that fit the input. */
#include "kernels/kernels.h"
#include "onnx/cast.h"
#include "onnx/number.h"
#include "onnx/quantize.h"

#define SCALES (TL_T(TL_FLOAT) | TL_T_HALFS | TL_T(TL_INT32) | TL_T(TL_FLOAT8E8M0))
#define QUANTIZED \
    (TL_T(TL_INT8) | TL_T(TL_UINT8) | TL_T(TL_INT16) | TL_T(TL_UINT16) | OP_T_FLOAT8 | OP_T_FLOAT6 | OP_T_PACKED)
static const tl_param ins[] = {OP_IN("x", TL_T(TL_FLOAT) | TL_T_HALFS | TL_T(TL_INT32), 0), OP_IN("y_scale", SCALES, 0),
                               OP_OPT("y_zero_point", QUANTIZED, 0)};
static const tl_param outs[] = {OP_IN("y", QUANTIZED, 0)};
#define AXIS    OP_INT("axis", 1)
#define ATTRS21 AXIS, OP_INT("saturate", 1), OP_INT("block_size", 0), OP_INT("output_dtype", 0)
static const tl_attribute_spec attrs_13[] = {AXIS};
static const tl_attribute_spec attrs_19[] = {AXIS, OP_INT("saturate", 1)};
static const tl_attribute_spec attrs_21[] = {ATTRS21};
static const tl_attribute_spec attrs_23[] = {ATTRS21, OP_INT("precision", 0)};

static tl_status output_type(const tl_call *call, int32_t version, tl_type *type)
{
    const tl_tensor *zero = op_input(call, 2);
    int64_t named = version >= 21 ? op_int(call, "output_dtype") : 0;
    *type = zero ? zero->type : TL_UINT8;
    if (named == 0)
        return TL_OK;
    if (named < 0 || named >= TL_TYPE_COUNT || !(TL_T(named) & QUANTIZED))
        return tl_fail(call, TL_INVALID_MODEL, "output_dtype is %lld, which is no quantized type", (long long)named);
    if (zero && zero->type != TL_UNDEFINED && (tl_type)named != zero->type)
        return tl_fail(call, TL_INVALID_MODEL, "output_dtype is %lld, but y_zero_point has type %d", (long long)named,
                       (int)zero->type);
    *type = (tl_type)named;
    return TL_OK;
}

static tl_status quantize_reshape(tl_call *call)
{
    int32_t version = call->host->node_version(call->node);
    quantize_plan plan;
    op_copy_shape(call->outputs[0], call->inputs[0]);
    tl_status status = output_type(call, version, &call->outputs[0]->type);
    if (!status && version >= 23) {
        int64_t precision = op_int(call, "precision");
        if (precision != 0 && precision != TL_FLOAT && precision != TL_FLOAT16 && precision != TL_BFLOAT16)
            status = tl_fail(call, TL_INVALID_MODEL, "precision is %lld, which is no floating type for it",
                             (long long)precision);
    }
    if (!status)
        status = quantize_shapes(call, version >= 13 ? op_int(call, "axis") : 1,
                                 version >= 21 ? op_int(call, "block_size") : 0, &plan);
    if (!status && call->plan)
        memcpy(call->plan, &plan, sizeof plan);
    return status;
}

typedef struct quantize_job {
    const tl_tensor *x, *scale, *zero, *y;
    const quantize_plan *plan;
    tl_type precision; /* that the quotient is rounded to; TL_FLOAT: as it is */
    bool saturate;
    int32_t low, high;
} quantize_job;

static bool is_integer(tl_type type)
{
    return !(TL_T(type) & (OP_T_FLOAT8 | OP_T_FLOAT6 | TL_T(TL_FLOAT4E2M1)));
}

static void set_range(quantize_job *job)
{
    unsigned bits = op_type_bits(job->y->type);
    bool is_signed = (TL_T(job->y->type) & (TL_T_SIGNED | TL_T(TL_INT4) | TL_T(TL_INT2))) != 0;
    int32_t count = (int32_t)1 << bits;
    job->low = is_signed ? -count / 2 : 0;
    job->high = is_signed ? count / 2 - 1 : count - 1;
}

/* Rounds to nearest even and holds the sum in range. NaN becomes the lowest. In terms of integers, because comparisons
 * of floats may trap, and then a loop of them is not vectorised. */
static inline int32_t to_integer(float quotient, int32_t zero, int32_t low, int32_t high)
{
    const int32_t bound = 0x48800000, infinity = 0x7f800000, sign_bit = INT32_MIN; /* bound: 2^18, beyond all ranges */
    const float magic = 12582912; /* 1.5 * 2^23: adding it leaves the whole number in the lowest bits */
    int32_t bits, sign;
    memcpy(&bits, &quotient, sizeof bits);
    sign = bits & sign_bit;
    bits &= INT32_MAX;
    sign = bits > infinity ? sign_bit : sign;
    bits = bits > bound ? bound : bits;
    bits |= sign;
    memcpy(&quotient, &bits, sizeof bits);
    quotient += magic;
    memcpy(&bits, &quotient, sizeof bits);
    bits = bits - 0x4b400000 + zero; /* the bits of magic */
    bits = bits > low ? bits : low;
    return bits < high ? bits : high;
}

static void to_integers(const quantize_job *job, const float *quotients, const float *zeros, int64_t n, int32_t *to)
{
    const int32_t low = job->low, high = job->high;
    for (int64_t i = 0; i < n; i++)
        to[i] = to_integer(quotients[i], (int32_t)zeros[i], low, high);
}

static void store_integers(const tl_tensor *y, int64_t at, int64_t n, const int32_t *from)
{
    if (op_type_bits(y->type) >= 8)
        tlk_get()->whole->narrow(op_type_bits(y->type) == 8 ? TLK_AS_INT8 : TLK_AS_INT16, from,
                                 (char *)y->data + op_bytes(y->type, at), n);
    else
        for (int64_t i = 0; i < n; i++)
            quantize_put_packed(op_type_bits(y->type), y->data, at + i, (unsigned)from[i]);
}

static void store_small_floats(const quantize_job *job, int64_t at, int64_t n, const float *quotients,
                               const float *zeros)
{
    const tl_tensor *y = job->y;
    const bool shifted = !(TL_T(y->type) & OP_T_FLOAT8); /* as ONNX's reference: a zero point moves no float8 */
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)(shifted ? quotients[i] + zeros[i] : quotients[i]);
        const unsigned bits = op_encode_small(y->type, x, job->saturate, OP_ROUND_NEAREST);
        if (y->type == TL_FLOAT4E2M1)
            quantize_put_packed(4, y->data, at + i, bits);
        else
            ((uint8_t *)y->data)[at + i] = (uint8_t)bits;
    }
}

/* Elements of any types. */
static void quantize_chunk(const quantize_job *job, int64_t at, int64_t n, const float *scales, const float *zeros)
{
    float quotients[OP_BLOCK];
    int32_t integers[OP_BLOCK];
    uint16_t halves[OP_BLOCK];
    const float *x = quantize_load(job->x, at, n, quotients);
    for (int64_t i = 0; i < n; i++)
        quotients[i] = x[i] / scales[i];
    if (job->precision != TL_FLOAT) {
        op_store_floats(job->precision, quotients, halves, n);
        op_load_floats(job->precision, halves, quotients, n);
    }
    if (!is_integer(job->y->type)) {
        store_small_floats(job, at, n, quotients, zeros);
        return;
    }
    to_integers(job, quotients, zeros, n, integers);
    store_integers(job->y, at, n, integers);
}

static void quantize_range(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const quantize_job *job = context;
    const int size = (int)op_type_size(job->y->type);
    const bool plain = size > 0 && is_integer(job->y->type) && job->precision == TL_FLOAT;
    const int64_t most = plain && job->x->type == TL_FLOAT ? end - begin : OP_BLOCK;
    quantize_walk walk;
    (void)thread;
    quantize_start(&walk, job->plan, job->scale, job->zero, begin);
    while (begin < end) {
        quantize_run run = quantize_next(&walk, most < end - begin ? most : end - begin);
        float numbers[OP_BLOCK], zeros[OP_BLOCK];
        for (int64_t i = 0, n; i < run.n && run.row > 1; i += n, run.scale++, run.zero++) {
            n = run.row < run.n - i ? run.row : run.n - i;
            if (plain)
                tlk_get()->quantize(quantize_load(job->x, begin + i, n, numbers),
                                    (char *)job->y->data + (begin + i) * size, size, n, *run.scale, (int32_t)*run.zero,
                                    job->low, job->high);
            else {
                op_fill(numbers + i, run.scale, sizeof *numbers, n);
                op_fill(zeros + i, run.zero, sizeof *zeros, n);
            }
        }
        if (!plain || run.row <= 1)
            quantize_chunk(job, begin, run.n, run.row > 1 ? numbers : run.scale, run.row > 1 ? zeros : run.zero);
        begin += run.n;
    }
}

static tl_status quantize_all(tl_call *call)
{
    int32_t version = call->host->node_version(call->node);
    const tl_tensor *y = call->outputs[0];
    quantize_job job = {.x = call->inputs[0],
                        .scale = call->inputs[1],
                        .zero = op_input(call, 2),
                        .y = y,
                        .plan = call->plan,
                        .precision = TL_FLOAT,
                        .saturate = version < 19 || op_int(call, "saturate") != 0};
    int64_t n = op_elements(y);
    if (TL_T(job.scale->type) & TL_T_HALFS)
        job.precision = job.scale->type;
    if (version >= 23 && op_int(call, "precision") != 0)
        job.precision = (tl_type)op_int(call, "precision");
    if (n == 0)
        return TL_OK;
    bool packed = op_type_size(y->type) == 0;
    if (packed)
        memset(y->data, 0, (size_t)op_bytes(y->type, n));
    if (is_integer(y->type))
        set_range(&job);
    if (n > 16384 && call->thread_count > 1 && !packed)
        call->host->parallel_for(call, quantize_range, &job, n, 8192);
    else
        quantize_range(&job, 0, n, 0);
    return TL_OK;
}

#define QUANTIZE(since)                                                             \
    OP_HEAD(QuantizeLinear, since), OP_PARAMS(input, ins), OP_PARAMS(output, outs), \
        .plan_size = sizeof(quantize_plan), .reshape = quantize_reshape, .run = quantize_all, .reach = op_reach_first
OP_DESCRIPTOR(QuantizeLinear, 10) = {QUANTIZE(10)};
OP_DESCRIPTOR(QuantizeLinear, 13) = {QUANTIZE(13), OP_PARAMS(attribute, attrs_13)};
OP_DESCRIPTOR(QuantizeLinear, 19) = {QUANTIZE(19), OP_PARAMS(attribute, attrs_19)};
OP_DESCRIPTOR(QuantizeLinear, 21) = {QUANTIZE(21), OP_PARAMS(attribute, attrs_21)};
OP_DESCRIPTOR(QuantizeLinear, 23) = {QUANTIZE(23), OP_PARAMS(attribute, attrs_23)};

/* ---- DynamicQuantizeLinear */

static const tl_param dynamic_ins[] = {OP_IN("x", TL_T(TL_FLOAT), 0)};
static const tl_param dynamic_outs[] = {OP_IN("y", TL_T(TL_UINT8), 0), OP_IN("y_scale", TL_T(TL_FLOAT), 0),
                                        OP_IN("y_zero_point", TL_T(TL_UINT8), 0)};

static tl_status dynamic_reshape(tl_call *call)
{
    if (op_output(call, 0))
        op_copy_shape(call->outputs[0], call->inputs[0]);
    for (size_t k = 1; k < 3; k++)
        if (op_output(call, k))
            call->outputs[k]->rank = 0;
    return TL_OK;
}

static tl_status dynamic_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    const float *from = x->data;
    float low, high, zero;
    int64_t n = op_elements(x);
    tlk_get()->extremes(from, n, &low, &high);
    float scale = low == high ? 1 : (high - low) / 255;
    zero = rintf(fminf(fmaxf(0 - low / scale, 0), 255));
    uint8_t zero_point = (uint8_t)(zero == zero ? zero : 0);
    if (op_output(call, 1))
        *(float *)call->outputs[1]->data = scale;
    if (op_output(call, 2))
        *(uint8_t *)call->outputs[2]->data = zero_point;
    if (!op_output(call, 0) || n == 0)
        return TL_OK;
    static const quantize_plan single = {.single = true};
    tl_tensor scale_tensor = {.data = &scale, .type = TL_FLOAT}, zero_tensor = {.data = &zero_point, .type = TL_UINT8};
    quantize_job job = {.x = x,
                        .scale = &scale_tensor,
                        .zero = &zero_tensor,
                        .y = call->outputs[0],
                        .plan = &single,
                        .precision = TL_FLOAT,
                        .saturate = true};
    set_range(&job);
    if (n > 16384 && call->thread_count > 1)
        call->host->parallel_for(call, quantize_range, &job, n, 8192);
    else
        quantize_range(&job, 0, n, 0);
    return TL_OK;
}

OP_DESCRIPTOR(DynamicQuantizeLinear, 11) = {OP_HEAD(DynamicQuantizeLinear, 11), OP_PARAMS(input, dynamic_ins),
                                            OP_PARAMS(output, dynamic_outs), .reshape = dynamic_reshape,
                                            .run = dynamic_run};
