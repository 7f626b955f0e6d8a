/* LpNormalization, MeanVarianceNormalization and LRN. */
#include "onnx/norm.h"

#define BLOCK 256 /* neighbouring elements that are summed side by side */

/* ---- Statistics of doubles, for the others, too */

/* The sum of n numbers less `mean`, or of their squares: in lanes, so that no addition waits for the one before. */
static double norm_sum(const double *x, int64_t n, double mean, bool squares)
{
    double lanes[8] = {0}, sum = 0;
    for (int64_t i = 0; i < n; i += 8)
        for (int64_t k = 0; k < 8 && k < n - i; k++) {
            const double apart = x[i + k] - mean;
            lanes[k] += squares ? apart * apart : apart;
        }
    for (int k = 0; k < 8; k++)
        sum += lanes[k];
    return sum;
}

void norm_statistics_f64(const double *x, int64_t n, bool centred, double *mean, double *variance)
{
    *mean = centred ? norm_sum(x, n, 0, false) / (double)n : 0;
    *variance = norm_sum(x, n, *mean, true) / (double)n;
}

/* ---- LpNormalization: x / norm along one axis */

typedef struct axis_job {
    const tl_tensor *x, *y;
    int64_t n, inner; /* elements along the axis, and after it */
    int64_t p;
} axis_job;

static tl_status lp_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    int64_t p = op_int(call, "p");
    int32_t axis;
    op_copy_shape(call->outputs[0], x);
    if (p != 1 && p != 2)
        return tl_fail(call, TL_INVALID_MODEL, "p is %lld, but must be 1 or 2", (long long)p);
    if (x->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    return op_axis(call, "axis", op_int(call, "axis"), x->rank, &axis);
}

/* What is divided by the norms of its columns: a norm of 0 leaves 0. */
#define LP_DIVIDE(name, type)                                                                              \
    static void name(const type *x, type *y, int64_t n, int64_t inner, int64_t width, const double *norms) \
    {                                                                                                      \
        for (int64_t k = 0; k < n; k++)                                                                    \
            for (int64_t i = 0; i < width; i++)                                                            \
                y[k * inner + i] = norms[i] == 0 ? 0 : (type)((double)x[k * inner + i] / norms[i]);        \
    }
LP_DIVIDE(lp_divide_f32, float)
LP_DIVIDE(lp_divide_f64, double)

/* Floats whose squares may leave the range of float. */
static void lp_far(const float *x, float *y, int64_t n, int64_t inner, int64_t width, int64_t p)
{
    double norms[BLOCK] = {0};
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < width; i++) {
            const double v = x[k * inner + i];
            norms[i] += p == 1 ? fabs(v) : v * v;
        }
    for (int64_t i = 0; i < width && p == 2; i++)
        norms[i] = sqrt(norms[i]);
    lp_divide_f32(x, y, n, inner, width, norms);
}

static bool lp_is_far(float norm)
{
    return !(norm > 1e-20F && norm < 1e30F);
}

/* Of `count` <= BLOCK rows of n neighbours. */
static void lp_rows_f32(const float *x, float *y, int64_t n, int64_t count, int64_t p)
{
    const tlk_kernels *kernels = tlk_get();
    float norms[BLOCK], roots[BLOCK];
    kernels->reduce_rows(p == 1 ? TLK_SUM_ABS : TLK_SUM_SQUARE, x, norms, count, n, NULL);
    if (p == 2)
        kernels->unary(TLK_SQRT, norms, roots, count);
    for (int64_t i = 0; i < count; i++, x += n, y += n)
        if (lp_is_far(norms[i]))
            lp_far(x, y, n, 1, 1, p);
        else
            kernels->binary(TLK_DIV, x, 1, p == 2 ? roots + i : norms + i, 0, y, n);
}

/* Of `width` <= BLOCK columns of n elements that lie `inner` apart. */
static void lp_columns_f32(const float *x, float *y, int64_t n, int64_t inner, int64_t width, int64_t p)
{
    const tlk_kernels *kernels = tlk_get();
    float norms[BLOCK];
    bool far = false;
    kernels->reduce_strided(p == 1 ? TLK_SUM_ABS : TLK_SUM_SQUARE, x, norms, n, inner, width, NULL);
    for (int64_t i = 0; i < width; i++)
        far = far || lp_is_far(norms[i]);
    if (far) {
        lp_far(x, y, n, inner, width, p);
        return;
    }
    if (p == 2)
        kernels->unary(TLK_SQRT, norms, norms, width);
    for (int64_t k = 0; k < n; k++)
        kernels->binary(TLK_DIV, x + k * inner, 1, norms, 1, y + k * inner, width);
}

/* The same of doubles; of `width` rows of n neighbours if `inner` is 1. */
static void lp_f64(const double *x, double *y, int64_t n, int64_t inner, int64_t width, int64_t p)
{
    const tlk_doubles_kernel *doubles = tlk_get()->doubles;
    const tlk_reduction norm = p == 1 ? TLK_SUM_ABS : TLK_SUM_SQUARE;
    double norms[BLOCK];
    if (inner == 1)
        doubles->reduce_rows(norm, x, norms, width, n);
    else
        doubles->reduce_strided(norm, x, norms, n, inner, width);
    if (p == 2)
        doubles->unary(TLK_SQRT, norms, norms, width);
    for (int64_t i = 0; i < width && inner == 1; i++)
        lp_divide_f64(x + i * n, y + i * n, n, 1, 1, norms + i);
    if (inner > 1)
        lp_divide_f64(x, y, n, inner, width, norms);
}

static void lp_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const axis_job *job = context;
    const int64_t blocks = nn_ceil_div(job->inner, BLOCK);
    const bool rows = job->inner == 1;
    (void)thread;
    for (int64_t b = begin, count; b < end; b += count) {
        const int64_t first = b % blocks * BLOCK, at = b / blocks * job->n * job->inner + first;
        const int64_t width = nn_min(BLOCK, rows ? end - b : job->inner - first);
        const float *x = (const float *)job->x->data + at;
        float *y = (float *)job->y->data + at;
        count = rows ? width : 1;
        if (job->x->type == TL_DOUBLE)
            lp_f64((const double *)job->x->data + at, (double *)job->y->data + at, job->n, job->inner, width, job->p);
        else if (rows)
            lp_rows_f32(x, y, job->n, width, job->p);
        else
            lp_columns_f32(x, y, job->n, job->inner, width, job->p);
    }
}

static tl_status lp_real(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    int32_t axis;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), x->rank, &axis);
    if (status != TL_OK || op_elements(x) == 0)
        return status;
    axis_job job = {x, call->outputs[0], x->dims[axis], op_product(x, axis + 1, x->rank), op_int(call, "p")};
    call->host->parallel_for(call, lp_task, &job, op_product(x, 0, axis) * nn_ceil_div(job.inner, BLOCK),
                             nn_grain(job.n * nn_min(job.inner, BLOCK), 1 << 12));
    return TL_OK;
}

static tl_status lp_run(tl_call *call)
{
    return nn_widen_run(call, 0, lp_real);
}

/* ---- MeanVarianceNormalization: (X - mean) / (deviation + 1e-9) over any set of axes */

typedef struct mean_variance_plan {
    /* Axes that are kept, and those that are summed over, with X's strides; neighbours of a kind are joined. */
    int32_t kept, summed;
    int64_t kept_dims[TL_MAX_RANK], kept_strides[TL_MAX_RANK];
    int64_t summed_dims[TL_MAX_RANK], summed_strides[TL_MAX_RANK];
} mean_variance_plan;

static tl_status mean_variance_axes(const tl_call *call, int32_t rank, bool *over)
{
    static const int64_t usual[] = {0, 2, 3};
    size_t count;
    const int64_t *axes = op_ints(call, "axes", &count);
    if (!op_given(call, "axes")) {
        axes = usual;
        count = sizeof usual / sizeof usual[0];
    }
    for (int32_t i = 0; i < rank; i++)
        over[i] = count == 0; /* as for the reductions of the standard's definition: none given means all */
    for (size_t k = 0; k < count; k++) {
        int32_t axis;
        tl_status status = op_axis(call, "an element of axes", axes[k], rank, &axis);
        if (status != TL_OK)
            return status;
        over[axis] = true;
    }
    return TL_OK;
}

static tl_status mean_variance_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    bool over[TL_MAX_RANK];
    op_copy_shape(call->outputs[0], x);
    if (x->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    tl_status status = mean_variance_axes(call, x->rank, over);
    if (status != TL_OK || !call->plan)
        return status;
    mean_variance_plan *plan = call->plan;
    int64_t strides[TL_MAX_RANK], stride = 1;
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    if (op_elements(x) == 0)
        return TL_OK;
    for (int32_t i = x->rank - 1; i >= 0; stride *= x->dims[i--])
        strides[i] = stride;
    int before = -1; /* of which kind the axis before was */
    for (int32_t i = 0; i < x->rank; i++) {
        int32_t *const count = over[i] ? &plan->summed : &plan->kept;
        int64_t *const dims = over[i] ? plan->summed_dims : plan->kept_dims;
        if (x->dims[i] == 1)
            continue;
        if (before != over[i])
            dims[(*count)++] = 1;
        before = over[i];
        dims[*count - 1] *= x->dims[i];
        (over[i] ? plan->summed_strides : plan->kept_strides)[*count - 1] = strides[i];
    }
    return TL_OK;
}

/* To the next part of a set, that is, elements along the innermost of its axes: false after the last. */
static bool next_part(const mean_variance_plan *plan, int64_t *index, int64_t *at)
{
    for (int32_t d = plan->summed - 2; d >= 0; d--) {
        *at += plan->summed_strides[d];
        if (++index[d] < plan->summed_dims[d])
            return true;
        *at -= plan->summed_strides[d] * index[d];
        index[d] = 0;
    }
    return false;
}

static double mean_variance_factor(double variance)
{
    return 1 / (sqrt(variance) + 1e-9);
}

/* A set of contiguous parts. */
static void mean_variance_set(const mean_variance_plan *plan, const tl_tensor *x, const tl_tensor *y, int64_t at)
{
    const int64_t n = plan->summed == 0 ? 1 : plan->summed_dims[plan->summed - 1];
    int64_t index[TL_MAX_RANK] = {0}, parts = 0;
    double mean = 0, variance = 0, part_mean, part_variance;
    do {
        norm_statistics(x, at, n, true, &part_mean, &part_variance);
        norm_join(1 / (double)++parts, part_mean, part_variance, &mean, &variance);
    } while (next_part(plan, index, &at));
    const double factor = mean_variance_factor(variance);
    do
        norm_affine(x, y, at, n, mean, factor, 0);
    while (next_part(plan, index, &at));
}

/* Sets side by side. So many rows are summed in their own type, as distances from the mean of the first few: it lies at
 * most sqrt(rows / FEW) deviations from that of all, so that their variance is exact but for the last few bits. */
#define SEGMENT 64
#define FEW     8

#define MEAN_VARIANCE_BLOCK(name, type)                                                                              \
    static void name(const mean_variance_plan *plan, const type *x, type *restrict y, int64_t width)                 \
    {                                                                                                                \
        const int64_t n = plan->summed_dims[plan->summed - 1], step = plan->summed_strides[plan->summed - 1];        \
        int64_t index[TL_MAX_RANK] = {0}, at = 0, count = 0;                                                         \
        double mean[BLOCK] = {0}, variance[BLOCK] = {0};                                                             \
        type centre[BLOCK], factor[BLOCK];                                                                           \
        do {                                                                                                         \
            for (int64_t begin = 0, rows; begin < n; begin += rows) {                                                \
                const type *from = x + at + begin * step;                                                            \
                type near[BLOCK], sums[BLOCK] = {0}, squares[BLOCK] = {0};                                           \
                rows = nn_min(SEGMENT, n - begin);                                                                   \
                count += rows;                                                                                       \
                memcpy(near, from, (size_t)width * sizeof *near);                                                    \
                for (int64_t k = 1; k < nn_min(FEW, rows); k++)                                                      \
                    for (int64_t i = 0; i < width; i++)                                                              \
                        near[i] += (from[k * step + i] - from[i]) / (type)nn_min(FEW, rows);                         \
                for (int64_t k = 0; k < rows; k++)                                                                   \
                    for (int64_t i = 0; i < width; i++) {                                                            \
                        const type apart = from[k * step + i] - near[i];                                             \
                        sums[i] += apart;                                                                            \
                        squares[i] += apart * apart;                                                                 \
                    }                                                                                                \
                const double each = 1 / (double)rows, part = (double)rows / (double)count;                           \
                for (int64_t i = 0; i < width; i++) {                                                                \
                    const double apart = (double)sums[i] * each, square = (double)squares[i] * each - apart * apart; \
                    norm_join(part, (double)near[i] + apart, square > 0 ? square : 0, mean + i, variance + i);       \
                }                                                                                                    \
            }                                                                                                        \
        } while (next_part(plan, index, &at));                                                                       \
        for (int64_t i = 0; i < width; i++) {                                                                        \
            centre[i] = (type)mean[i];                                                                               \
            factor[i] = (type)mean_variance_factor(variance[i]);                                                     \
        }                                                                                                            \
        do                                                                                                           \
            for (int64_t k = 0; k < n; k++)                                                                          \
                for (int64_t i = 0; i < width; i++)                                                                  \
                    y[at + k * step + i] = (x[at + k * step + i] - centre[i]) * factor[i];                           \
        while (next_part(plan, index, &at));                                                                         \
    }
MEAN_VARIANCE_BLOCK(mean_variance_f32, float)
MEAN_VARIANCE_BLOCK(mean_variance_f64, double)

typedef struct mean_variance_job {
    const mean_variance_plan *plan;
    const tl_tensor *x, *y;
    int64_t columns, blocks; /* sets side by side, or 1, and the blocks that they are cut into */
} mean_variance_job;

static void mean_variance_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const mean_variance_job *job = context;
    const mean_variance_plan *plan = job->plan;
    (void)thread;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t first = unit % job->blocks * BLOCK, width = nn_min(BLOCK, job->columns - first);
        int64_t at = first, rest = unit / job->blocks;
        for (int32_t d = plan->kept - (job->columns > 1 ? 2 : 1); d > 0; d--) {
            at += rest % plan->kept_dims[d] * plan->kept_strides[d];
            rest /= plan->kept_dims[d];
        }
        at += rest * plan->kept_strides[0];
        if (job->columns == 1)
            mean_variance_set(plan, job->x, job->y, at);
        else if (job->x->type == TL_DOUBLE)
            mean_variance_f64(plan, (const double *)job->x->data + at, (double *)job->y->data + at, width);
        else
            mean_variance_f32(plan, (const float *)job->x->data + at, (float *)job->y->data + at, width);
    }
}

static tl_status mean_variance_real(tl_call *call)
{
    const mean_variance_plan *plan = call->plan;
    mean_variance_job job = {plan, call->inputs[0], call->outputs[0], 1, 1};
    const int64_t elements = op_elements(job.x);
    const int32_t last = plan->kept - 1;
    if (elements == 0)
        return TL_OK;
    if (plan->summed > 0 && last >= 0 && plan->kept_strides[last] == 1)
        job.columns = plan->kept_dims[last];
    job.blocks = nn_ceil_div(job.columns, BLOCK);
    int64_t units = job.blocks;
    for (int32_t d = 0; d <= last; d++)
        units *= d == last && job.columns > 1 ? 1 : plan->kept_dims[d];
    call->host->parallel_for(call, mean_variance_task, &job, units, nn_grain(elements / units, 1 << 12));
    return TL_OK;
}

static tl_status mean_variance_run(tl_call *call)
{
    return nn_widen_run(call, 0, mean_variance_real);
}

/* ---- LRN: divided by a power of the squares of neighbouring channels */

typedef struct lrn_job {
    const tl_tensor *x, *y;
    int64_t channels, area, before, after;
    double scale, beta, bias;
} lrn_job;

static tl_status lrn_reshape(tl_call *call)
{
    op_copy_shape(call->outputs[0], call->inputs[0]);
    if (op_int(call, "size") < 1)
        return tl_fail(call, TL_INVALID_MODEL, "size is %lld, but must be at least 1", (long long)op_int(call, "size"));
    call->workspace_size = 0;
    if (call->inputs[0]->rank != TL_RANK_UNKNOWN)
        nn_widen_place(call, 0);
    return nn_check_rank(call, 0, 2, TL_MAX_RANK);
}

#define LRN_BLOCK(name, type)                                                                       \
    static void name(const lrn_job *job, const type *x, type *y, int64_t c, int64_t width)          \
    {                                                                                               \
        double sums[BLOCK] = {0};                                                                   \
        int64_t first = nn_max(-job->before, -c), last = nn_min(job->after, job->channels - 1 - c); \
        for (int64_t k = first; k <= last; k++)                                                     \
            for (int64_t i = 0; i < width; i++)                                                     \
                sums[i] += (double)x[k * job->area + i] * (double)x[k * job->area + i];             \
        for (int64_t i = 0; i < width; i++)                                                         \
            y[i] = (type)((double)x[i] * pow(job->bias + job->scale * sums[i], -job->beta));        \
    }
LRN_BLOCK(lrn_block_f32, float)
LRN_BLOCK(lrn_block_f64, double)

static void lrn_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const lrn_job *job = context;
    const int64_t blocks = nn_ceil_div(job->area, BLOCK);
    (void)thread;
    for (int64_t b = begin; b < end; b++) {
        int64_t first = b % blocks * BLOCK, at = b / blocks * job->area + first, c = b / blocks % job->channels;
        int64_t width = nn_min(BLOCK, job->area - first);
        if (job->x->type == TL_DOUBLE)
            lrn_block_f64(job, (const double *)job->x->data + at, (double *)job->y->data + at, c, width);
        else
            lrn_block_f32(job, (const float *)job->x->data + at, (float *)job->y->data + at, c, width);
    }
}

static tl_status lrn_real(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    int64_t size = op_int(call, "size");
    lrn_job job = {.x = x,
                   .y = call->outputs[0],
                   .channels = x->dims[1],
                   .area = op_product(x, 2, x->rank),
                   .before = (size - 1) / 2,
                   .after = (size - 1) / 2 + (size - 1) % 2,
                   .scale = op_float(call, "alpha") / (double)size,
                   .beta = op_float(call, "beta"),
                   .bias = op_float(call, "bias")};
    if (op_elements(x) > 0)
        call->host->parallel_for(call, lrn_task, &job, x->dims[0] * job.channels * nn_ceil_div(job.area, BLOCK), 8);
    return TL_OK;
}

static tl_status lrn_run(tl_call *call)
{
    return nn_widen_run(call, 0, lrn_real);
}

/* Sums go over neighbouring channels. */
static bool lrn_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    (void)call, (void)k, (void)reach;
    return axis != 1;
}

/* ---- Schemas */

static const tl_param norm_input[] = {OP_IN("X", TL_T_FLOATS, 'T')};
static const tl_param norm_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec lp_attribute[] = {OP_INT("axis", -1), OP_INT("p", 2)};
static const tl_attribute_spec mean_variance_attribute[] = {OP_INTS("axes")};
static const tl_attribute_spec lrn_attribute[] = {OP_FLOAT("alpha", 1e-4F), OP_FLOAT("beta", 0.75F),
                                                  OP_FLOAT("bias", 1), OP_REQUIRED_INT("size")};

OP_DESCRIPTOR(LpNormalization, 1) = {OP_HEAD(LpNormalization, 1),    OP_PARAMS(input, norm_input),
                                     OP_PARAMS(output, norm_output), OP_PARAMS(attribute, lp_attribute),
                                     .reshape = lp_reshape,          .run = lp_run,
                                     .reach = op_reach_beside};
OP_DESCRIPTOR(MeanVarianceNormalization, 9) = {OP_HEAD(MeanVarianceNormalization, 9),
                                               OP_PARAMS(input, norm_input),
                                               OP_PARAMS(output, norm_output),
                                               OP_PARAMS(attribute, mean_variance_attribute),
                                               .plan_size = sizeof(mean_variance_plan),
                                               .reshape = mean_variance_reshape,
                                               .run = mean_variance_run};
OP_DESCRIPTOR(LRN, 1) = {OP_HEAD(LRN, 1),
                         OP_PARAMS(input, norm_input),
                         OP_PARAMS(output, norm_output),
                         OP_PARAMS(attribute, lrn_attribute),
                         .flags = TL_OP_LONG,
                         .reshape = lrn_reshape,
                         .run = lrn_run,
                         .reach = lrn_reach};
