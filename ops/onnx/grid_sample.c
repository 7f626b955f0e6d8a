/* GridSample: reads X at the places that a grid names, for any number of spatial axes.
 *
 * Linear and cubic modes compute in float, or in double for types of 32 bits and more that are not float; complex
 * numbers are two real planes. What is neither float nor double is converted as a whole, in the workspace. Nearest
 * moves elements of any type. */
#include "onnx/number.h"
#include "onnx/sample.h"
#include "onnx/tensor.h"

#define COMPLEX_TYPES (TL_T(TL_COMPLEX64) | TL_T(TL_COMPLEX128))
#define LINEAR_TYPES  (OP_T_CLASSIC & ~OP_T_STRING)

typedef struct grid_plan {
    sample_axis axes[CONV_MAX_SPATIAL];
    int32_t spatial;
    int64_t batch, channels, in_area, out_area; /* channels: twice as many if complex */
    tl_type type;                               /* to compute in */
    bool converted;
    size_t x, y; /* in the workspace, if converted */
} grid_plan;

/* ---- Attributes and shapes */

static tl_status parse_modes(const tl_call *call, sample_mode *mode, sample_padding *padding)
{
    const bool first = call->host->node_version(call->node) < 20;
    int m = 0, p = 0;
    tl_status status = op_word(call, "mode", first ? "nearest bilinear bicubic" : "nearest linear cubic", &m);
    if (status == TL_OK)
        status = op_word(call, "padding_mode", "zeros border reflection", &p);
    *mode = (sample_mode)m;
    *padding = (sample_padding)p;
    return status;
}

static void make_plan(tl_call *call, sample_mode mode, sample_padding padding)
{
    const tl_tensor *x = call->inputs[0], *y = call->outputs[0];
    grid_plan *plan = call->plan;
    const bool complex = (TL_T(x->type) & COMPLEX_TYPES) != 0;
    int64_t stride = 1;
    plan->spatial = x->rank - 2;
    plan->batch = x->dims[0];
    plan->channels = x->dims[1] * (complex ? 2 : 1);
    plan->in_area = op_product(x, 2, x->rank);
    plan->out_area = op_product(y, 2, y->rank);
    for (int32_t i = plan->spatial - 1; i >= 0; i--) {
        plan->axes[i] = (sample_axis){x->dims[i + 2], stride, mode, padding, op_int(call, "align_corners") != 0};
        stride *= x->dims[i + 2];
    }
    if (mode == SAMPLE_NEAREST)
        return;
    const bool narrow = (TL_T(x->type) & (TL_T(TL_FLOAT) | TL_T(TL_COMPLEX64))) || op_type_size(x->type) < 4;
    plan->type = narrow ? TL_FLOAT : TL_DOUBLE;
    plan->converted = plan->type != x->type;
    if (plan->converted) {
        plan->x = nn_place(call, op_elements(x) * (complex ? 2 : 1), op_type_size(plan->type));
        plan->y = nn_place(call, op_elements(y) * (complex ? 2 : 1), op_type_size(plan->type));
    }
}

static tl_status grid_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *grid = call->inputs[1];
    tl_tensor *y = call->outputs[0];
    const bool only_images = call->host->node_version(call->node) < 20;
    sample_mode mode = SAMPLE_NEAREST;
    sample_padding padding = SAMPLE_ZEROS;
    tl_status status = parse_modes(call, &mode, &padding);
    if (status == TL_OK && mode != SAMPLE_NEAREST && !(TL_T(x->type) & LINEAR_TYPES))
        status = tl_fail(call, TL_UNSUPPORTED, "strings can only be moved: mode must be nearest");
    for (size_t k = 0; k < 2 && status == TL_OK; k++)
        status = nn_check_rank(call, k, only_images ? 4 : 3, only_images ? 4 : TL_MAX_RANK);
    if (status != TL_OK)
        return status;
    if (x->rank == TL_RANK_UNKNOWN || grid->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    const int32_t spatial = x->rank - 2;
    if (grid->rank != x->rank)
        return tl_fail(call, TL_INVALID_INPUT, "the grid has rank %d, but must have that of X, which is %d", grid->rank,
                       x->rank);
    status = nn_check_dim(call, 1, 0, x->dims[0], "the batch of X");
    if (status == TL_OK)
        status = nn_check_dim(call, 1, spatial + 1, spatial, "a coordinate for each spatial axis");
    if (status != TL_OK)
        return status;
    y->rank = x->rank;
    y->dims[0] = x->dims[0] >= 0 ? x->dims[0] : grid->dims[0];
    y->dims[1] = x->dims[1];
    for (int32_t i = 0; i < spatial; i++)
        y->dims[i + 2] = grid->dims[i + 1];
    call->workspace_size = 0;
    if (call->plan && op_plannable(x) && op_plannable(y))
        make_plan(call, mode, padding);
    return TL_OK;
}

/* ---- Run */

typedef struct grid_job {
    const grid_plan *plan;
    const tl_tensor *grid;
    const void *x;
    void *y;
    int64_t blocks, element; /* of an image; bytes */
} grid_job;

/* Where coordinate n in [-1, 1] lies on an axis, in elements. */
#define PLACE(real, name)                                                                                         \
    static real name(const sample_axis *axis, real n)                                                             \
    {                                                                                                             \
        return axis->align_corners ? (n + 1) / 2 * (real)(axis->size - 1) : ((n + 1) * (real)axis->size - 1) / 2; \
    }
PLACE(float, place_float)
PLACE(double, place_double)

/* The coordinates of n positions, `spatial` numbers each, innermost axis first. */
static void load_float(const tl_tensor *grid, int64_t at, float *to, int64_t n)
{
    op_load_floats(grid->type, (const char *)grid->data + op_bytes(grid->type, at), to, n);
}
static void load_double(const tl_tensor *grid, int64_t at, double *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = op_load_number(grid, at + i);
}

/* A task takes blocks of positions, and all channels. */
#define SAMPLE_TASK(suffix, real)                                                                              \
    static void sample_task_##suffix(void *context, int64_t begin, int64_t end, int32_t thread)                \
    {                                                                                                          \
        const grid_job *job = context;                                                                         \
        const grid_plan *plan = job->plan;                                                                     \
        const int32_t spatial = plan->spatial;                                                                 \
        sample_taps_##suffix taps;                                                                             \
        real at[CONV_MAX_SPATIAL * SAMPLE_BLOCK];                                                              \
        (void)thread;                                                                                          \
        sample_begin_##suffix(&taps, plan->axes, spatial);                                                     \
        for (int64_t block = begin; block < end; block++) {                                                    \
            const int64_t image = block / job->blocks, first = block % job->blocks * SAMPLE_BLOCK;             \
            const int64_t n = nn_min(SAMPLE_BLOCK, plan->out_area - first);                                    \
            const real *x = (const real *)job->x + image * plan->channels * plan->in_area;                     \
            real *y = (real *)job->y + image * plan->channels * plan->out_area + first;                        \
            load_##real(job->grid, (image * plan->out_area + first) * spatial, at, n * spatial);               \
            for (int32_t i = 0; i < spatial; i++) {                                                            \
                const sample_axis *axis = &plan->axes[i];                                                      \
                for (int64_t p = 0; p < n; p++)                                                                \
                    at[p * spatial + spatial - 1 - i] = place_##real(axis, at[p * spatial + spatial - 1 - i]); \
                sample_place_##suffix(&taps, i, at + spatial - 1 - i, spatial, n);                             \
            }                                                                                                  \
            sample_read_##suffix(&taps, n, NULL, plan->channels, x, plan->in_area, y, plan->out_area);         \
        }                                                                                                      \
    }
SAMPLE_TASK(f32, float)
SAMPLE_TASK(f64, double)

/* The index along an axis of the element that is nearest to coordinate n, between two the even one; -1: none. In the
 * precision of the grid. */
static int64_t nearest_index(const sample_axis *axis, tl_type type, double n)
{
    double at = type == TL_DOUBLE ? place_double(axis, n) : (double)place_float(axis, (float)n);
    at = sample_inside_f64(axis, rint(at));
    return at >= -1 && at <= (double)axis->size ? sample_index(axis, (int64_t)at) : -1;
}

static void move(char *to, int64_t to_step, const char *from, const int64_t *offsets, int64_t n, int64_t element)
{
    for (int64_t p = 0; p < n; p++)
        if (offsets[p] < 0)
            memset(to + p * to_step, 0, (size_t)element);
        else
            memcpy(to + p * to_step, from + offsets[p] * element, (size_t)element);
}

static void nearest_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const grid_job *job = context;
    const grid_plan *plan = job->plan;
    const int32_t spatial = plan->spatial;
    int64_t offsets[SAMPLE_BLOCK];
    (void)thread;
    for (int64_t block = begin; block < end; block++) {
        const int64_t image = block / job->blocks, first = block % job->blocks * SAMPLE_BLOCK;
        const int64_t n = nn_min(SAMPLE_BLOCK, plan->out_area - first);
        for (int64_t p = 0; p < n; p++) {
            const int64_t at = (image * plan->out_area + first + p) * spatial;
            offsets[p] = 0;
            for (int32_t i = 0; i < spatial && offsets[p] >= 0; i++) {
                const sample_axis *axis = &plan->axes[i];
                int64_t index = nearest_index(axis, job->grid->type, op_load_number(job->grid, at + spatial - 1 - i));
                offsets[p] = index < 0 ? -1 : offsets[p] + index * axis->stride;
            }
        }
        const char *from = (const char *)job->x + image * plan->channels * plan->in_area * job->element;
        char *to = (char *)job->y + (image * plan->channels * plan->out_area + first) * job->element;
        for (int64_t c = 0; c < plan->channels; c++) {
            if (job->element == 4)
                move(to, 4, from, offsets, n, 4);
            else if (job->element == 2)
                move(to, 2, from, offsets, n, 2);
            else
                move(to, job->element, from, offsets, n, job->element);
            from += plan->in_area * job->element;
            to += plan->out_area * job->element;
        }
    }
}

/* A tensor's numbers to and from the type that is computed in; of complex planes the real part comes first. */
static void convert(const tl_tensor *tensor, const grid_plan *plan, int64_t area, void *reals, bool load)
{
    const bool complex = (TL_T(tensor->type) & COMPLEX_TYPES) != 0;
    tl_tensor parts = *tensor, other = {.data = reals, .type = plan->type};
    if (TL_T(tensor->type) & TL_T_HALFS) {
        if (load)
            op_load_floats(tensor->type, tensor->data, reals, op_elements(tensor));
        else
            op_store_floats(tensor->type, reals, tensor->data, op_elements(tensor));
        return;
    }
    if (complex)
        parts.type = plan->type;
    for (int64_t plane = 0; plane < plan->batch * plan->channels; plane++)
        for (int64_t i = 0; i < area; i++) {
            int64_t at = complex ? (plane / 2 * area + i) * 2 + plane % 2 : plane * area + i;
            if (load)
                op_store_number(&other, plane * area + i, op_load_number(&parts, at));
            else
                op_store_number(&parts, at, op_load_number(&other, plane * area + i));
        }
}

static tl_status grid_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *y = call->outputs[0];
    const grid_plan *plan = call->plan;
    if (op_elements(y) == 0)
        return TL_OK;
    if (op_elements(x) == 0) {
        memset(y->data, 0, (size_t)op_bytes(y->type, op_elements(y)));
        return TL_OK;
    }
    grid_job job = {plan,
                    call->inputs[1],
                    x->data,
                    y->data,
                    nn_ceil_div(plan->out_area, SAMPLE_BLOCK),
                    (int64_t)op_type_size(x->type)};
    tl_task task = nearest_task;
    int64_t taps = 1;
    if (plan->axes[0].mode != SAMPLE_NEAREST) {
        task = plan->type == TL_FLOAT ? sample_task_f32 : sample_task_f64;
        for (int32_t i = 0; i < plan->spatial; i++)
            taps *= sample_taps_of[plan->axes[i].mode];
    }
    if (plan->converted) {
        job.x = nn_at(call, plan->x);
        job.y = nn_at(call, plan->y);
        convert(x, plan, plan->in_area, nn_at(call, plan->x), true);
    }
    const int64_t each = SAMPLE_BLOCK * nn_min(plan->channels, 1 << 20) * taps;
    call->host->parallel_for(call, task, &job, plan->batch * job.blocks, nn_grain(each, 1 << 15));
    if (plan->converted)
        convert(y, plan, plan->out_area, job.y, false);
    return TL_OK;
}

/* ---- Schemas */

static const tl_param grid_input[] = {OP_IN("X", OP_T_CLASSIC, 'T'), OP_IN("grid", TL_T_FLOATS, 0)};
static const tl_param grid_output[] = {OP_IN("Y", OP_T_CLASSIC, 'T')};
static const tl_attribute_spec grid_attribute_16[] = {OP_STRING("mode", "bilinear"), OP_STRING("padding_mode", "zeros"),
                                                      OP_INT("align_corners", 0)};
static const tl_attribute_spec grid_attribute_20[] = {OP_STRING("mode", "linear"), OP_STRING("padding_mode", "zeros"),
                                                      OP_INT("align_corners", 0)};

OP_DESCRIPTOR(GridSample, 16) = {OP_HEAD(GridSample, 16),
                                 OP_PARAMS(input, grid_input),
                                 OP_PARAMS(output, grid_output),
                                 OP_PARAMS(attribute, grid_attribute_16),
                                 .plan_size = sizeof(grid_plan),
                                 .reshape = grid_reshape,
                                 .run = grid_run};
OP_DESCRIPTOR(GridSample, 20) = {OP_HEAD(GridSample, 20),
                                 OP_PARAMS(input, grid_input),
                                 OP_PARAMS(output, grid_output),
                                 OP_PARAMS(attribute, grid_attribute_20),
                                 .plan_size = sizeof(grid_plan),
                                 .reshape = grid_reshape,
                                 .run = grid_run};
