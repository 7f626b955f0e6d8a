/* DeformConv: a convolution whose taps are moved by offsets, for any number of spatial axes. For a tile of output
 * positions the moved taps of all channels become the columns of a matrix, which the weights multiply. */
#include "kernels/kernels.h"
#include "onnx/sample.h"

enum { IN_X, IN_W, IN_OFFSET, IN_B, IN_MASK };

typedef struct deform_plan {
    conv_geometry g;
    sample_axis axes[CONV_MAX_SPATIAL];
    int64_t offset_groups, depth;
    const tlk_gemm_kernel *kernel;
    /* In the workspace, behind the widened: packed weights of each group, and each thread's columns, behind them packed
     * those that fill no panel. */
    size_t weights, weights_each, columns, columns_each, rest;
} deform_plan;

/* ---- Shapes */

/* A dimension that must be a * b, where all are known. */
static tl_status check_product(const tl_call *call, size_t k, tl_dim a, tl_dim b, const char *why)
{
    int64_t product;
    if (a < 0 || b < 0)
        return TL_OK;
    if (!nn_mul(a, b, &product))
        return tl_fail(call, TL_INVALID_INPUT, "input %zu cannot be so large: %s", k, why);
    return nn_check_dim(call, k, 1, product, why);
}

/* What offsets and mask must be like beside the output. */
static tl_status check_offsets(const tl_call *call, const tl_tensor *y, const conv_window *window, int64_t groups)
{
    const tl_tensor *x = call->inputs[IN_X], *w = call->inputs[IN_W];
    const int32_t spatial = x->rank - 2;
    int64_t taps = groups;
    for (int32_t i = 0; i < spatial; i++)
        if (w->rank == TL_RANK_UNKNOWN || w->dims[i + 2] < 0 || (taps >= 0 && !nn_mul(taps, window->kernel[i], &taps)))
            taps = -1;
    if (x->dims[1] >= 0 && x->dims[1] % groups != 0)
        return tl_fail(call, TL_INVALID_INPUT, "%lld channels cannot be in %lld groups of offsets",
                       (long long)x->dims[1], (long long)groups);
    tl_status status = check_product(call, IN_OFFSET, taps, spatial, "a number for each tap and axis");
    if (status == TL_OK && op_input(call, IN_MASK))
        status = check_product(call, IN_MASK, taps, 1, "a number for each tap");
    for (size_t k = IN_OFFSET; k <= IN_MASK && status == TL_OK; k += IN_MASK - IN_OFFSET) {
        status = nn_check_dim(call, k, 0, x->dims[0], "the batch of X");
        for (int32_t i = 0; i < spatial && status == TL_OK; i++)
            status = nn_check_dim(call, k, i + 2, y->dims[i + 2], "the output's size");
    }
    return status;
}

/* Bytes up to where a cache line ends. */
static size_t whole_lines(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static void make_plan(tl_call *call, const conv_window *window, int64_t group, int64_t offset_groups,
                      const int64_t *pads)
{
    const tl_tensor *x = call->inputs[IN_X];
    deform_plan *plan = call->plan;
    conv_geometry *g = &plan->g;
    int64_t stride = 1, rows;
    conv_geometry_set(g, window, x, call->inputs[IN_W], call->outputs[0], group, pads);
    plan->offset_groups = offset_groups;
    for (int32_t i = g->spatial - 1; i >= 0; i--) {
        plan->axes[i] = (sample_axis){g->in_size[i], stride, SAMPLE_LINEAR, SAMPLE_ZEROS, true};
        stride *= g->in_size[i];
    }
    const size_t size = x->type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    plan->kernel = tlk_get()->gemm[x->type == TL_DOUBLE ? TLK_F64 : TLK_F32];
    if (g->filters < 1 || g->out_area < 1)
        return;
    if (!nn_mul(g->channels * g->group, g->taps, &rows) || rows > INT64_MAX / 1024)
        rows = INT64_MAX / 1024; /* more than anybody has */
    plan->depth = g->channels * g->taps;
    plan->weights_each = whole_lines(plan->kernel->packed_a_size(g->filters, nn_max(plan->depth, 1)));
    plan->weights = nn_place(call, group, plan->weights_each);
    plan->rest = (size_t)nn_max(rows, group) * SAMPLE_BLOCK * size;
    plan->columns_each = plan->rest + whole_lines(plan->kernel->packed_b_size(1, nn_max(plan->depth, 1)));
    plan->columns = nn_place(call, call->thread_count, plan->columns_each);
}

static tl_status deform_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[IN_X], *w = call->inputs[IN_W];
    tl_tensor *y = call->outputs[0];
    const int64_t group = op_int(call, "group"), offset_groups = op_int(call, "offset_group");
    int64_t pads[CONV_MAX_SPATIAL];
    conv_window window;
    if (group < 1 || offset_groups < 1)
        return tl_fail(call, TL_INVALID_MODEL, "group is %lld and offset_group %lld, but they must be at least 1",
                       (long long)group, (long long)offset_groups);
    tl_status status = conv_window_parse(call, CONV_DILATIONS | CONV_NO_AUTO_PAD, &window);
    if (status == TL_OK)
        status = conv_output_shape(call, &window, group, x, w, y, pads);
    if (status != TL_OK || x->rank == TL_RANK_UNKNOWN)
        return status;
    for (size_t k = IN_OFFSET; k <= IN_MASK && status == TL_OK; k += IN_MASK - IN_OFFSET)
        status = nn_check_rank(call, k, x->rank, x->rank);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_B, 1, 1);
    if (status == TL_OK && w->rank != TL_RANK_UNKNOWN)
        status = nn_check_dim(call, IN_B, 0, w->dims[0], "a bias for each filter");
    if (status == TL_OK)
        status = check_offsets(call, y, &window, offset_groups);
    if (status != TL_OK)
        return status;
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    if (call->plan)
        make_plan(call, &window, group, offset_groups, pads);
    return TL_OK;
}

/* ---- Run */

typedef struct deform_job {
    const deform_plan *plan;
    const void *x, *offset, *bias, *mask;
    char *y, *weights, *columns;
    int64_t tiles; /* of an image */
    size_t size;   /* of an element */
} deform_job;

/* Columns of n output positions: rows are ordered as the weights, channel and tap. */
#define READ_COLUMNS(suffix, real)                                                                                   \
    static void read_columns_##suffix(const deform_job *job, int64_t image, int64_t first, int64_t n, real *columns) \
    {                                                                                                                \
        const deform_plan *plan = job->plan;                                                                         \
        const conv_geometry *g = &plan->g;                                                                           \
        const int64_t channels = g->group * g->channels, each = channels / plan->offset_groups;                      \
        const real *x = (const real *)job->x + image * channels * g->in_area;                                        \
        sample_taps_##suffix taps;                                                                                   \
        real at[SAMPLE_BLOCK];                                                                                       \
        sample_begin_##suffix(&taps, plan->axes, g->spatial);                                                        \
        for (int64_t group = 0; group < plan->offset_groups; group++) {                                              \
            int64_t tap[CONV_MAX_SPATIAL] = {0};                                                                     \
            for (int64_t k = 0; k < g->taps; k++) {                                                                  \
                const int64_t row = (image * plan->offset_groups + group) * g->taps + k;                             \
                const real *offset = (const real *)job->offset + row * g->spatial * g->out_area + first;             \
                const real *mask = job->mask ? (const real *)job->mask + row * g->out_area + first : NULL;           \
                int64_t index[CONV_MAX_SPATIAL], rest = first;                                                       \
                for (int32_t i = g->spatial - 1; i >= 0; i--) {                                                      \
                    index[i] = rest % g->out_size[i];                                                                \
                    rest /= g->out_size[i];                                                                          \
                }                                                                                                    \
                for (int32_t i = 0; i < g->spatial; i++) {                                                           \
                    int64_t here[CONV_MAX_SPATIAL];                                                                  \
                    memcpy(here, index, sizeof here);                                                                \
                    for (int64_t p = 0; p < n; p++) {                                                                \
                        const int64_t corner = here[i] * g->strides[i] - g->pads[i];                                 \
                        at[p] = (real)(corner + tap[i] * g->dilations[i]) + offset[i * g->out_area + p];             \
                        conv_step(here, g->out_size, g->spatial);                                                    \
                    }                                                                                                \
                    sample_place_##suffix(&taps, i, at, 1, n);                                                       \
                }                                                                                                    \
                sample_read_##suffix(&taps, n, mask, each, x + group * each * g->in_area, g->in_area,                \
                                     columns + (group * each * g->taps + k) * n, g->taps * n);                       \
                conv_step(tap, g->kernel, g->spatial);                                                               \
            }                                                                                                        \
        }                                                                                                            \
    }
READ_COLUMNS(f32, float)
READ_COLUMNS(f64, double)

/* A task takes tiles of output positions. */
static void deform_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const deform_job *job = context;
    const deform_plan *plan = job->plan;
    const conv_geometry *g = &plan->g;
    const tlk_gemm_kernel *kernel = plan->kernel;
    const int64_t depth = nn_max(plan->depth, 1);
    char *columns = job->columns + (size_t)thread * plan->columns_each, *rest = columns + plan->rest;
    for (int64_t tile = begin; tile < end; tile++) {
        const int64_t image = tile / job->tiles, first = tile % job->tiles * SAMPLE_BLOCK;
        const int64_t n = nn_min(SAMPLE_BLOCK, g->out_area - first), over = n % kernel->panel_columns;
        if (g->in_area == 0 || plan->depth == 0) /* nothing but pads */
            memset(columns, 0, plan->rest);
        else if (job->size == sizeof(double))
            read_columns_f64(job, image, first, n, (double *)(void *)columns);
        else
            read_columns_f32(job, image, first, n, (float *)(void *)columns);
        for (int64_t group = 0; group < g->group; group++) {
            const int64_t filter = group * g->filters;
            const char *from = columns + (size_t)(group * depth * n) * job->size;
            const size_t at = (size_t)((image * g->group * g->filters + filter) * g->out_area + first) * job->size;
            const tlk_gemm gemm = {.m = g->filters,
                                   .n = n,
                                   .depth = depth,
                                   .c = job->y + at,
                                   .c_row_step = g->out_area,
                                   .c_column_step = 1,
                                   .add = job->bias ? (const char *)job->bias + (size_t)filter * job->size : NULL,
                                   .add_row_step = 1,
                                   .alpha = 1,
                                   .beta = 1,
                                   .activation = {.kind = TLK_LINEAR},
                                   .b_in_place = from,
                                   .b_row_step = n};
            if (over > 0)
                kernel->pack_b(from + (size_t)(n - over) * job->size, n, 1, over, depth, 0, 1, rest);
            kernel->run(&gemm, job->weights + (size_t)group * plan->weights_each, rest, 0, kernel->blocks(g->filters),
                        0, kernel->panels(n));
        }
    }
}

static const void *data_of(const tl_tensor *tensor)
{
    return tensor ? tensor->data : NULL;
}

static tl_status deform_real(tl_call *call)
{
    const deform_plan *plan = call->plan;
    const conv_geometry *g = &plan->g;
    const tl_tensor *x = call->inputs[IN_X], *y = call->outputs[0];
    const size_t size = x->type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    deform_job job = {plan,
                      x->data,
                      call->inputs[IN_OFFSET]->data,
                      data_of(op_input(call, IN_B)),
                      data_of(op_input(call, IN_MASK)),
                      y->data,
                      nn_at(call, plan->weights),
                      nn_at(call, plan->columns),
                      nn_ceil_div(g->out_area, SAMPLE_BLOCK),
                      size};
    const int64_t each = (g->filters + 4) * g->channels * g->taps; /* for an output position, in a group */
    if (op_elements(y) == 0)
        return TL_OK;
    for (int64_t group = 0; group < g->group; group++) {
        char *packed = job.weights + (size_t)group * plan->weights_each;
        const char *w = (const char *)call->inputs[IN_W]->data + (size_t)(group * g->filters * plan->depth) * size;
        if (plan->depth == 0)
            memset(packed, 0, plan->weights_each);
        else
            plan->kernel->pack_a(w, plan->depth, 1, g->filters, plan->depth, 0, plan->kernel->blocks(g->filters),
                                 packed);
    }
    call->host->parallel_for(call, deform_task, &job, g->batch * job.tiles,
                             nn_grain(nn_min(each, 1 << 20) * SAMPLE_BLOCK, 1 << 16));
    return TL_OK;
}

static tl_status deform_run(tl_call *call)
{
    return nn_widen_run(call, 0, deform_real);
}

static const tl_param deform_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("W", TL_T_FLOATS, 'T'),
                                        OP_IN("offset", TL_T_FLOATS, 'T'), OP_OPT("B", TL_T_FLOATS, 'T'),
                                        OP_OPT("mask", TL_T_FLOATS, 'T')};
static const tl_param deform_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec deform_attribute[] = {OP_INTS("dilations"),    OP_INT("group", 1),
                                                     OP_INTS("kernel_shape"), OP_INT("offset_group", 1),
                                                     OP_INTS("pads"),         OP_INTS("strides")};

OP_DESCRIPTOR(DeformConv, 19) = {OP_HEAD(DeformConv, 19),
                                 OP_PARAMS(input, deform_input),
                                 OP_PARAMS(output, deform_output),
                                 OP_PARAMS(attribute, deform_attribute),
                                 .flags = TL_OP_LONG,
                                 .plan_size = sizeof(deform_plan),
                                 .reshape = deform_reshape,
                                 .run = deform_run};
