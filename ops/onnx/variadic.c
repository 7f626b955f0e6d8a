/* Min, Max, Sum, Mean: any number of inputs, broadcast. */
#include "onnx/elementwise.h"
#include "onnx/tensor.h"

OP_KERNEL2(min_f64, double, double, u < v || u != u ? u : v)
OP_KERNEL2(min_i64, int64_t, int64_t, u < v ? u : v)
OP_KERNEL2(min_int32, int32_t, int32_t, u < v ? u : v)
OP_KERNEL2(min_uint8, uint8_t, uint8_t, u < v ? u : v)
OP_KERNEL2(min_int8, int8_t, int8_t, u < v ? u : v)
OP_KERNEL2(min_u64, uint64_t, uint64_t, u < v ? u : v)
OP_KERNEL2(max_f64, double, double, u > v || u != u ? u : v)
OP_KERNEL2(max_i64, int64_t, int64_t, u > v ? u : v)
OP_KERNEL2(max_int32, int32_t, int32_t, u > v ? u : v)
OP_KERNEL2(max_uint8, uint8_t, uint8_t, u > v ? u : v)
OP_KERNEL2(max_int8, int8_t, int8_t, u > v ? u : v)
OP_KERNEL2(max_u64, uint64_t, uint64_t, u > v ? u : v)
OP_KERNEL2(sum_f64, double, double, u + v)

static const op_binary minimum = {.kernels = {NULL, min_f64, min_i64, min_u64, min_int32, min_uint8, min_int8},
                                  .vectorised = true,
                                  .function = TLK_MIN};
static const op_binary maximum = {.kernels = {NULL, max_f64, max_i64, max_u64, max_int32, max_uint8, max_int8},
                                  .vectorised = true,
                                  .function = TLK_MAX};
static const op_binary sum = {.kernels = {NULL, sum_f64, NULL, NULL}, .vectorised = true, .function = TLK_ADD};

/* With more than two inputs: rows of the output on which each input moves along or stands still throughout, that is,
 * the innermost axes up to the first where an input begins or ceases to be broadcast. */
typedef struct plan {
    op_map map;    /* of two inputs; stands first, where op_binary_run looks for it */
    int32_t outer; /* axes around the rows */
    int64_t row, rows;
    int64_t tiles; /* into which a row is cut, so that threads can share it */
} plan;

#define TILE 8192 /* elements; a multiple of OP_BLOCK */

static bool stands(const tl_tensor *out, const tl_tensor *in, int32_t axis)
{
    const int32_t at = axis - (out->rank - in->rank);
    return at < 0 || in->dims[at] == 1;
}

static void plan_rows(const tl_call *call, plan *p)
{
    const tl_tensor *out = call->outputs[0];
    int32_t last = out->rank - 1;
    while (last >= 0 && out->dims[last] == 1)
        last--;
    p->row = 1;
    for (; last >= 0; last--) {
        if (out->dims[last] != 1 && p->row > 1) {
            bool same = true; /* as the axes inside */
            for (size_t k = 0; k < call->input_count && same; k++) {
                int32_t inside = last + 1;
                while (out->dims[inside] == 1)
                    inside++;
                same = stands(out, call->inputs[k], last) == stands(out, call->inputs[k], inside);
            }
            if (!same)
                break;
        }
        p->row *= out->dims[last];
    }
    p->outer = last + 1;
    p->rows = op_product(out, 0, p->outer);
    p->tiles = (p->row + TILE - 1) / TILE;
}

static tl_status reshape(tl_call *call)
{
    tl_tensor *out = call->outputs[0];
    tl_status status = op_broadcast(call, call->inputs, call->input_count, out);
    if (status || !call->plan)
        return status;
    plan *p = call->plan;
    memset(p, 0, sizeof *p);
    if (call->input_count == 2)
        op_map_init(&p->map, out, call->inputs, 2, 1);
    if (op_plannable(out))
        plan_rows(call, p);
    return TL_OK;
}

typedef struct job {
    const tl_call *call;
    const plan *plan;
    const op_binary *binary;
    op_kernel2 kernel;
    bool mean;
} job;

/* The element of an input under index[0..outer) of the output, and whether it moves along a row. */
static int64_t input_start(const job *j, const tl_tensor *in, const int64_t *index, bool *moves)
{
    const tl_tensor *out = j->call->outputs[0];
    int64_t at = 0, stride = 1;
    *moves = false;
    for (int32_t i = out->rank - 1; i >= 0; i--) {
        const int32_t axis = i - (out->rank - in->rank);
        if (axis < 0)
            break;
        if (in->dims[axis] == 1)
            continue;
        if (i < j->plan->outer)
            at += index[i] * stride;
        else
            *moves = true;
        stride *= in->dims[axis];
    }
    return at;
}

/* Elements at .. at + n of a row: all inputs are gathered before anything is written, as the output may lie over one.
 */
static void gather(const job *j, const int64_t *index, int64_t row_at, int64_t at, int64_t n)
{
    const tl_call *call = j->call;
    const tl_tensor *out = call->outputs[0];
    const tl_type type = out->type;
    op_block total, block;
    memset(&total, 0, op_staged_bytes(type, n));
    for (size_t k = 0; k < call->input_count; k++) {
        const tl_tensor *in = call->inputs[k];
        bool moves = false;
        const int64_t start = input_start(j, in, index, &moves);
        const void *x = moves ? op_load_block(type, in->data, start + at, n, &block)
                              : op_fill_block(type, in->data, start, n, &block);
        if (k == 0)
            memcpy(&total, x, (size_t)n * (op_domain_of(type) == OP_F32 ? sizeof(float) : sizeof(double)));
        else if (j->kernel)
            j->kernel(&total, x, &total, n, NULL);
        else
            tlk_get()->binary(j->binary->function, total.f32, 1, x, 1, total.f32, n);
    }
    const double count = (double)call->input_count;
    if (j->mean && op_domain_of(type) == OP_F32)
        for (int64_t i = 0; i < n; i++)
            total.f32[i] /= (float)count;
    else if (j->mean)
        for (int64_t i = 0; i < n; i++)
            total.f64[i] /= count;
    void *y = op_result_block(type, out->data, row_at + at, &total);
    if (y != &total)
        memcpy(y, &total, (size_t)n * (type == TL_FLOAT ? sizeof(float) : sizeof(double)));
    op_store_block(type, out->data, row_at + at, n, &total);
}

static void units(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const job *j = context;
    const plan *p = j->plan;
    (void)thread;
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t index[TL_MAX_RANK];
        const int64_t row = unit / p->tiles, from = unit % p->tiles * TILE;
        int64_t rest = row;
        for (int32_t i = p->outer - 1; i >= 0; i--) {
            index[i] = rest % j->call->outputs[0]->dims[i];
            rest /= j->call->outputs[0]->dims[i];
        }
        const int64_t to = p->row - from < TILE ? p->row : from + TILE;
        for (int64_t at = from; at < to; at += OP_BLOCK)
            gather(j, index, row * p->row, at, to - at < OP_BLOCK ? to - at : OP_BLOCK);
    }
}

static tl_status run(tl_call *call, const op_binary *binary, bool mean)
{
    const plan *p = call->plan;
    if (call->input_count == 2 && !mean)
        return op_binary_run(call, binary, NULL);
    const op_domain domain = op_domain_of(call->outputs[0]->type);
    const op_kernel2 kernel = binary->kernels[domain];
    job j = {call, p, binary, !kernel && domain == OP_U64 ? binary->kernels[OP_I64] : kernel, mean};
    if (call->thread_count > 1 && p->rows * p->tiles > 1)
        call->host->parallel_for(call, units, &j, p->rows * p->tiles, 1 + TILE / (p->row < TILE ? p->row : TILE));
    else
        units(&j, 0, p->rows * p->tiles, 0);
    return TL_OK;
}

static tl_status run_min(tl_call *call)
{
    return run(call, &minimum, false);
}
static tl_status run_max(tl_call *call)
{
    return run(call, &maximum, false);
}
static tl_status run_sum(tl_call *call)
{
    return run(call, &sum, false);
}
static tl_status run_mean(tl_call *call)
{
    return run(call, &sum, true);
}

/* Before version 8 all inputs have one shape. */
static tl_status reshape_6(tl_call *call)
{
    for (size_t k = 1; k < call->input_count; k++) {
        const tl_tensor *a = call->inputs[0], *b = call->inputs[k];
        bool same = a->rank == b->rank || a->rank < 0 || b->rank < 0;
        for (int32_t i = 0; same && a->rank == b->rank && i < a->rank; i++)
            same = a->dims[i] == b->dims[i] || a->dims[i] < 0 || b->dims[i] < 0;
        if (!same)
            return tl_fail(call, TL_INVALID_INPUT, "input %zu has another shape than input 0", k);
    }
    return reshape(call);
}

static const tl_param numeric_ins[] = {OP_VAR("data_0", TL_T_NUMERIC, 'T')};
static const tl_param float_ins[] = {OP_VAR("data_0", TL_T_FLOATS, 'T')};
static const tl_param numeric_outs[] = {OP_IN("result", TL_T_NUMERIC, 'T')};
static const tl_param float_outs[] = {OP_IN("result", TL_T_FLOATS, 'T')};

#define BOTH(name, ins, outs, run_function)                                                                   \
    OP_DESCRIPTOR(name, 6) = {OP_HEAD(name, 6),           OP_PARAMS(input, ins),     OP_PARAMS(output, outs), \
                              .flags = TL_OP_ELEMENTWISE, .plan_size = sizeof(plan), .reshape = reshape_6,    \
                              .run = (run_function)};                                                         \
    OP_DESCRIPTOR(name, 8) = {OP_HEAD(name, 8),           OP_PARAMS(input, ins),     OP_PARAMS(output, outs), \
                              .flags = TL_OP_ELEMENTWISE, .plan_size = sizeof(plan), .reshape = reshape,      \
                              .run = (run_function)};

BOTH(Min, numeric_ins, numeric_outs, run_min)
BOTH(Max, numeric_ins, numeric_outs, run_max)
BOTH(Sum, float_ins, float_outs, run_sum)
BOTH(Mean, float_ins, float_outs, run_mean)
