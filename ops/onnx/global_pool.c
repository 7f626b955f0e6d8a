/* GlobalAveragePool, GlobalMaxPool and GlobalLpPool: one number for each channel, over all spatial axes. */
#include "kernels/kernels.h"
#include "onnx/nn.h"

typedef enum global_kind { GLOBAL_AVERAGE, GLOBAL_MAX, GLOBAL_LP } global_kind;

typedef struct global_job {
    const void *x;
    void *y;
    int64_t area, p;
    global_kind kind;
} global_job;

static tl_status global_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *y = call->outputs[0];
    if (x->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    tl_status status = nn_check_rank(call, 0, 2, TL_MAX_RANK);
    if (status != TL_OK)
        return status;
    op_copy_shape(y, x);
    for (int32_t i = 2; i < y->rank; i++)
        y->dims[i] = 1;
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    return TL_OK;
}

static tl_status global_lp_reshape(tl_call *call)
{
    if (op_int(call, "p") < 1)
        return tl_fail(call, TL_INVALID_MODEL, "p is %lld, but must be at least 1", (long long)op_int(call, "p"));
    return global_reshape(call);
}

/* Sums in double, in eight interleaved parts, so that the compiler can use vectors in a fixed order. */
#define GLOBAL(suffix, type)                                                                                      \
    static double sum_##suffix(const type *x, int64_t n, int64_t p)                                               \
    {                                                                                                             \
        double parts[8] = {0};                                                                                    \
        int64_t whole = n / 8 * 8;                                                                                \
        for (int64_t i = 0; p == 0 && i < whole; i += 8)                                                          \
            for (int64_t l = 0; l < 8; l++)                                                                       \
                parts[l] += (double)x[i + l];                                                                     \
        for (int64_t i = 0; p == 2 && i < whole; i += 8)                                                          \
            for (int64_t l = 0; l < 8; l++)                                                                       \
                parts[l] += (double)x[i + l] * (double)x[i + l];                                                  \
        for (int64_t i = p == 0 || p == 2 ? whole : 0; i < n; i++) {                                              \
            double v = x[i], size = fabs(v);                                                                      \
            parts[i % 8] += p == 0 ? v : p == 1 ? size : p == 2 ? v * v : pow(size, (double)p);                   \
        }                                                                                                         \
        return ((parts[0] + parts[4]) + (parts[2] + parts[6])) + ((parts[1] + parts[5]) + (parts[3] + parts[7])); \
    }                                                                                                             \
    static type max_##suffix(const type *x, int64_t n)                                                            \
    {                                                                                                             \
        type parts[8];                                                                                            \
        for (int l = 0; l < 8; l++)                                                                               \
            parts[l] = (type)-INFINITY;                                                                           \
        for (int64_t i = 0; i < n / 8 * 8; i += 8)                                                                \
            for (int64_t l = 0; l < 8; l++)                                                                       \
                parts[l] = ((x[i + l] > parts[l]) | (x[i + l] != x[i + l])) ? x[i + l] : parts[l];                \
        for (int64_t i = n / 8 * 8; i < n; i++)                                                                   \
            parts[i % 8] = ((x[i] > parts[i % 8]) | (x[i] != x[i])) ? x[i] : parts[i % 8];                        \
        for (int l = 1; l < 8; l++)                                                                               \
            parts[0] = ((parts[l] > parts[0]) | (parts[l] != parts[l])) ? parts[l] : parts[0];                    \
        return parts[0];                                                                                          \
    }                                                                                                             \
    static void task_##suffix(void *context, int64_t begin, int64_t end, int32_t thread)                          \
    {                                                                                                             \
        const global_job *job = context;                                                                          \
        (void)thread;                                                                                             \
        for (int64_t i = begin; i < end; i++) {                                                                   \
            const type *x = (const type *)job->x + i * job->area;                                                 \
            type *y = (type *)job->y + i;                                                                         \
            if (job->kind == GLOBAL_MAX)                                                                          \
                *y = max_##suffix(x, job->area);                                                                  \
            else if (job->kind == GLOBAL_AVERAGE)                                                                 \
                *y = (type)(sum_##suffix(x, job->area, 0) / (double)job->area);                                   \
            else                                                                                                  \
                *y = (type)pow(sum_##suffix(x, job->area, job->p), 1.0 / (double)job->p);                         \
        }                                                                                                         \
    }
GLOBAL(f32, float)
GLOBAL(f64, double)

/* Averages and maxima of floats. */
static void rows_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const global_job *job = context;
    float *y = (float *)job->y + begin;
    (void)thread;
    tlk_get()->reduce_rows(job->kind == GLOBAL_MAX ? TLK_MAXIMUM : TLK_SUM, (const float *)job->x + begin * job->area,
                           y, end - begin, job->area, NULL);
    for (int64_t i = 0; i < end - begin && job->kind == GLOBAL_AVERAGE; i++)
        y[i] /= (float)job->area;
}

static tl_status global_real(tl_call *call, global_kind kind, int64_t p)
{
    const tl_tensor *x = call->inputs[0], *y = call->outputs[0];
    global_job job = {x->data, y->data, op_product(x, 2, x->rank), p, kind};
    const tl_task task = x->type == TL_DOUBLE ? task_f64 : kind == GLOBAL_LP || job.area == 0 ? task_f32 : rows_task;
    const int64_t rows = op_elements(y);
    call->host->parallel_for(call, task, &job, rows, op_even_grain(call, rows, nn_grain(job.area, 1 << 14)));
    return TL_OK;
}

static tl_status average_real(tl_call *call)
{
    return global_real(call, GLOBAL_AVERAGE, 0);
}

static tl_status max_real(tl_call *call)
{
    return global_real(call, GLOBAL_MAX, 0);
}

static tl_status lp_real(tl_call *call)
{
    return global_real(call, GLOBAL_LP, op_int(call, "p"));
}

static tl_status average_run(tl_call *call)
{
    return nn_widen_run(call, 0, average_real);
}

static tl_status max_run(tl_call *call)
{
    return nn_widen_run(call, 0, max_real);
}

static tl_status lp_run(tl_call *call)
{
    return nn_widen_run(call, 0, lp_real);
}

static const tl_param global_input[] = {OP_IN("X", TL_T_FLOATS, 'T')};
static const tl_param global_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec lp_attribute[] = {OP_INT("p", 2)};

OP_DESCRIPTOR(GlobalAveragePool, 1) = {OP_HEAD(GlobalAveragePool, 1),
                                       OP_PARAMS(input, global_input),
                                       OP_PARAMS(output, global_output),
                                       .reshape = global_reshape,
                                       .run = average_run,
                                       .reach = op_reach_first};
OP_DESCRIPTOR(GlobalMaxPool, 1) = {OP_HEAD(GlobalMaxPool, 1),
                                   OP_PARAMS(input, global_input),
                                   OP_PARAMS(output, global_output),
                                   .reshape = global_reshape,
                                   .run = max_run,
                                   .reach = op_reach_first};
OP_DESCRIPTOR(GlobalLpPool, 2) = {OP_HEAD(GlobalLpPool, 2),         OP_PARAMS(input, global_input),
                                  OP_PARAMS(output, global_output), OP_PARAMS(attribute, lp_attribute),
                                  .reshape = global_lp_reshape,     .run = lp_run,
                                  .reach = op_reach_first};
