/* MaxPool, AveragePool and LpPool: over one or two axes by the convolution's kernel, all else by plain loops. */
#include "kernels/kernels.h"
#include "onnx/conv.h"

typedef enum pool_kind { POOL_MAX, POOL_AVERAGE, POOL_LP } pool_kind;

/* ---- State and shapes */

typedef struct pool_state {
    conv_window window;
    int64_t p;
    bool count_pads, column_major;
} pool_state;

typedef struct pool_plan {
    conv_geometry g;
    pool_kind kind;
    int64_t p;
    bool count_pads, column_major;
    int64_t padded[CONV_MAX_SPATIAL];         /* input sizes with both pads */
    int64_t column_strides[CONV_MAX_SPATIAL]; /* of an input plane whose first axis is contiguous */
    const tlk_conv_kernel *kernel;            /* NULL: plain loops; computes maxima and sums */
    tlk_conv conv;
    tlk_conv_data data; /* x and y still open; channels of all samples are groups of one */
    size_t scratch, scratch_size;
    size_t counts; /* of an average, in the workspace */
} pool_plan;

static tl_status pool_parse(const tl_call *call, pool_kind kind, pool_state *state)
{
    const int32_t version = call->host->node_version(call->node);
    const int32_t dilations = kind == POOL_MAX ? 10 : kind == POOL_AVERAGE ? 19 : 18;
    const int32_t ceil_mode = kind == POOL_LP ? 18 : 10;
    memset(state, 0, sizeof *state);
    tl_status status = conv_window_parse(
        call, (version >= dilations ? CONV_DILATIONS : 0) | (version >= ceil_mode ? CONV_CEIL_MODE : 0),
        &state->window);
    if (status != TL_OK)
        return status;
    if (!state->window.kernel_given)
        return tl_fail(call, TL_INVALID_MODEL, "kernel_shape is empty");
    state->p = kind == POOL_LP ? op_int(call, "p") : 0;
    if (kind == POOL_LP && state->p < 1)
        return tl_fail(call, TL_INVALID_MODEL, "p is %lld, but must be at least 1", (long long)state->p);
    state->count_pads = kind == POOL_AVERAGE && version >= 7 && op_int(call, "count_include_pad") != 0;
    state->column_major = kind == POOL_MAX && version >= 8 && op_int(call, "storage_order") != 0;
    return TL_OK;
}

static tl_status pool_create(tl_call *call, pool_kind kind)
{
    pool_state *state = nn_new_state(call, sizeof *state);
    if (!state)
        return TL_NO_MEMORY;
    tl_status status = pool_parse(call, kind, state);
    if (status != TL_OK)
        call->host->free(call->host, state);
    else
        call->state = state;
    return status;
}

static void pool_make_plan(pool_plan *plan, pool_kind kind, const pool_state *state, const tl_tensor *x,
                           const tl_tensor *y, const int64_t *begin, const int64_t *end)
{
    conv_geometry *g = &plan->g;
    int64_t stride = 1;
    plan->kind = kind;
    plan->p = state->p;
    plan->count_pads = state->count_pads;
    plan->column_major = state->column_major;
    g->spatial = x->rank - 2;
    g->batch = x->dims[0];
    g->group = x->dims[1];
    g->in_area = op_product(x, 2, x->rank);
    g->out_area = op_product(y, 2, y->rank);
    for (int32_t i = 0; i < g->spatial; i++) {
        g->in_size[i] = x->dims[i + 2];
        g->out_size[i] = y->dims[i + 2];
        g->kernel[i] = state->window.kernel[i];
        g->strides[i] = state->window.strides[i];
        g->dilations[i] = state->window.dilations[i];
        g->pads[i] = begin[i];
        plan->padded[i] = g->in_size[i] + begin[i] + end[i];
        plan->column_strides[i] = stride;
        stride *= g->in_size[i];
    }
}

enum { MOST_TAPS = 1024 }; /* for the kernel, which has a list of them */

static void choose_kernel(tl_call *call, pool_plan *plan)
{
    const conv_geometry *g = &plan->g;
    const tl_type type = call->inputs[0]->type;
    plan->kernel = NULL;
    plan->conv = (tlk_conv){.type = type == TL_DOUBLE ? TLK_F64 : TLK_F32,
                            .kind = plan->kind == POOL_MAX ? TLK_CONV_MAXIMUM : TLK_CONV_SUM,
                            .groups = g->batch * g->group,
                            .channels = 1,
                            .filters = 1,
                            .kernel = {1, 1},
                            .stride = {1, 1},
                            .dilation = {1, 1}};
    plan->data = (tlk_conv_data){.size = {1, 1}, .out_size = {1, 1}};
    if (plan->kind == POOL_LP || op_output(call, 1) || g->spatial > 2 || g->batch < 1 || g->group < 1 ||
        g->out_area < 1)
        return;
    int64_t taps = 1;
    for (int32_t i = 0; i < g->spatial; i++) {
        const int32_t axis = 2 - g->spatial + i;
        if (g->kernel[i] > MOST_TAPS || (taps *= g->kernel[i]) > MOST_TAPS)
            return;
        plan->conv.kernel[axis] = g->kernel[i];
        plan->conv.stride[axis] = g->strides[i];
        plan->conv.dilation[axis] = g->dilations[i];
        plan->data.size[axis] = g->in_size[i];
        plan->data.out_size[axis] = g->out_size[i];
        plan->data.pad[axis] = g->pads[i];
    }
    if (!tlk_conv_reach_fits(&plan->conv))
        return;
    plan->kernel = tlk_get()->conv[plan->conv.type];
    plan->scratch_size = (plan->kernel->workspace_size(&plan->conv, &plan->data) + 63) / 64 * 64;
    plan->scratch = nn_place(call, call->thread_count, plan->scratch_size);
    plan->counts = nn_place(call, plan->kind == POOL_AVERAGE ? g->out_area : 0,
                            type == TL_DOUBLE ? sizeof(double) : sizeof(float));
}

static tl_status pool_reshape(tl_call *call, pool_kind kind)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *y = call->outputs[0], *indices = op_output(call, 1);
    int64_t begin[CONV_MAX_SPATIAL], end[CONV_MAX_SPATIAL];
    pool_state local;
    if (call->state)
        local = *(const pool_state *)call->state;
    else {
        tl_status status = pool_parse(call, kind, &local);
        if (status != TL_OK)
            return status;
    }
    if (x->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    tl_status status = nn_check_rank(call, 0, 3, TL_MAX_RANK);
    if (status == TL_OK)
        status = conv_window_check(call, &local.window, x->rank - 2);
    y->rank = x->rank;
    y->dims[0] = x->dims[0];
    y->dims[1] = x->dims[1];
    for (int32_t i = 0; i < x->rank - 2 && status == TL_OK; i++)
        status = conv_axis(call, &local.window, i, x->dims[i + 2], &y->dims[i + 2], &begin[i], &end[i]);
    if (status != TL_OK)
        return status;
    if (indices)
        op_copy_shape(indices, y);
    if (call->plan)
        pool_make_plan(call->plan, kind, &local, x, y, begin, end);
    call->workspace_size = 0;
    nn_widen_place(call, NN_WIDEN_BYTES);
    if (call->plan)
        choose_kernel(call, call->plan);
    return TL_OK;
}

/* ---- Run */

typedef struct pool_job {
    const tl_call *call;
    const pool_plan *plan;
    const void *x;
    void *y;
    int64_t *indices;
} pool_job;

/* Elements that an average along axis i divides by. Where pads count, what hangs over them does not. */
static int64_t pool_count(const pool_plan *plan, int32_t i, int64_t t)
{
    const conv_geometry *g = &plan->g;
    const int64_t at = t * g->strides[i] - (plan->count_pads ? 0 : g->pads[i]);
    const int64_t size = plan->count_pads ? plan->padded[i] : g->in_size[i];
    int64_t first, last;
    conv_taps(at, g->dilations[i], g->kernel[i], size, &first, &last);
    return last - first;
}

#define REAL    float
#define T(name) name##_f32
#include "onnx/pool_template.h"

#define REAL    double
#define T(name) name##_f64
#include "onnx/pool_template.h"

static void pool_pieces(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const pool_job *job = context;
    const pool_plan *plan = job->plan;
    void *scratch = (char *)nn_at(job->call, plan->scratch) + (size_t)thread * plan->scratch_size;
    const tlk_step divide = {.kind = TLK_STEP_DIV, .operand = nn_at(job->call, plan->counts), .lane_step = 1};
    tlk_conv_data data = plan->data;
    data.x = job->x;
    data.y = job->y;
    data.steps = (tlk_steps){&divide, plan->kind == POOL_AVERAGE};
    plan->kernel->run(&plan->conv, NULL, &data, begin, end, scratch);
}

static tl_status pool_real(tl_call *call)
{
    const pool_plan *plan = call->plan;
    const conv_geometry *g = &plan->g;
    const tl_tensor *x = call->inputs[0], *indices = op_output(call, 1);
    pool_job job = {call, plan, x->data, call->outputs[0]->data, indices ? indices->data : NULL};
    tl_task task = x->type == TL_DOUBLE ? pool_task_f64 : pool_task_f32;
    if (op_elements(call->outputs[0]) == 0)
        return TL_OK;
    if (plan->kernel) {
        if (plan->kind == POOL_AVERAGE && x->type == TL_DOUBLE)
            pool_counts_f64(plan, nn_at(call, plan->counts));
        else if (plan->kind == POOL_AVERAGE)
            pool_counts_f32(plan, nn_at(call, plan->counts));
        const int64_t all = plan->kernel->pieces(&plan->conv, &plan->data);
        const double cost = (double)(plan->conv.groups * g->out_area) * ((double)g->taps + 16) / (double)all;
        call->host->parallel_for(call, pool_pieces, &job, all, nn_even_grain(call->thread_count, all, cost));
        return TL_OK;
    }
    call->host->parallel_for(call, task, &job, g->batch * g->group, nn_grain(g->out_area, 1 << 13));
    return TL_OK;
}

static tl_status pool_run(tl_call *call)
{
    return nn_widen_run(call, NN_WIDEN_BYTES, pool_real);
}

#define POOL_STEPS(name, kind)                     \
    static tl_status name##_create(tl_call *call)  \
    {                                              \
        return pool_create(call, kind);            \
    }                                              \
    static tl_status name##_reshape(tl_call *call) \
    {                                              \
        return pool_reshape(call, kind);           \
    }
POOL_STEPS(max, POOL_MAX)
POOL_STEPS(average, POOL_AVERAGE)
POOL_STEPS(lp, POOL_LP)

/* An index tells where in the whole a maximum lies. */
static bool pool_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const pool_state *state = call->state;
    (void)k;
    return !op_output(call, 1) &&
           (axis < 2 || conv_reach_axis(call, &state->window, state->window.kernel[axis - 2], axis, reach));
}

/* ---- Schemas */

#define MAX_TYPES (TL_T_FLOATS | TL_T(TL_INT8) | TL_T(TL_UINT8))
static const tl_param max_input[] = {OP_IN("X", MAX_TYPES, 'T')};
static const tl_param max_output_1[] = {OP_IN("Y", MAX_TYPES, 'T')};
static const tl_param max_output_8[] = {OP_IN("Y", MAX_TYPES, 'T'), OP_OPT("Indices", TL_T(TL_INT64), 'I')};
static const tl_param float_input[] = {OP_IN("X", TL_T_FLOATS, 'T')};
static const tl_param float_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};

#define KERNEL_SHAPE                                                            \
    {                                                                           \
        .name = "kernel_shape", .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED \
    }
#define WINDOW_ATTRIBUTES OP_STRING("auto_pad", "NOTSET"), KERNEL_SHAPE, OP_INTS("pads"), OP_INTS("strides")
static const tl_attribute_spec max_attribute_1[] = {WINDOW_ATTRIBUTES};
static const tl_attribute_spec max_attribute_8[] = {WINDOW_ATTRIBUTES, OP_INT("storage_order", 0)};
static const tl_attribute_spec max_attribute_10[] = {WINDOW_ATTRIBUTES, OP_INT("storage_order", 0),
                                                     OP_INT("ceil_mode", 0), OP_INTS("dilations")};
static const tl_attribute_spec average_attribute_1[] = {WINDOW_ATTRIBUTES};
static const tl_attribute_spec average_attribute_7[] = {WINDOW_ATTRIBUTES, OP_INT("count_include_pad", 0)};
static const tl_attribute_spec average_attribute_10[] = {WINDOW_ATTRIBUTES, OP_INT("count_include_pad", 0),
                                                         OP_INT("ceil_mode", 0)};
static const tl_attribute_spec average_attribute_19[] = {WINDOW_ATTRIBUTES, OP_INT("count_include_pad", 0),
                                                         OP_INT("ceil_mode", 0), OP_INTS("dilations")};
static const tl_attribute_spec lp_attribute_2[] = {WINDOW_ATTRIBUTES, OP_INT("p", 2)};
static const tl_attribute_spec lp_attribute_18[] = {WINDOW_ATTRIBUTES, OP_INT("p", 2), OP_INT("ceil_mode", 0),
                                                    OP_INTS("dilations")};

#define POOL_REST(steps)                                                                        \
    .flags = TL_OP_LONG, .create = steps##_create, .reshape = steps##_reshape, .run = pool_run, \
    .destroy = op_free_state, .plan_size = sizeof(pool_plan), .reach = pool_reach

OP_DESCRIPTOR(MaxPool, 1) = {OP_HEAD(MaxPool, 1), OP_PARAMS(input, max_input), OP_PARAMS(output, max_output_1),
                             OP_PARAMS(attribute, max_attribute_1), POOL_REST(max)};
OP_DESCRIPTOR(MaxPool, 8) = {OP_HEAD(MaxPool, 8), OP_PARAMS(input, max_input), OP_PARAMS(output, max_output_8),
                             OP_PARAMS(attribute, max_attribute_8), POOL_REST(max)};
OP_DESCRIPTOR(MaxPool, 10) = {OP_HEAD(MaxPool, 10), OP_PARAMS(input, max_input), OP_PARAMS(output, max_output_8),
                              OP_PARAMS(attribute, max_attribute_10), POOL_REST(max)};

OP_DESCRIPTOR(AveragePool, 1) = {OP_HEAD(AveragePool, 1), OP_PARAMS(input, float_input),
                                 OP_PARAMS(output, float_output), OP_PARAMS(attribute, average_attribute_1),
                                 POOL_REST(average)};
OP_DESCRIPTOR(AveragePool, 7) = {OP_HEAD(AveragePool, 7), OP_PARAMS(input, float_input),
                                 OP_PARAMS(output, float_output), OP_PARAMS(attribute, average_attribute_7),
                                 POOL_REST(average)};
OP_DESCRIPTOR(AveragePool, 10) = {OP_HEAD(AveragePool, 10), OP_PARAMS(input, float_input),
                                  OP_PARAMS(output, float_output), OP_PARAMS(attribute, average_attribute_10),
                                  POOL_REST(average)};
OP_DESCRIPTOR(AveragePool, 19) = {OP_HEAD(AveragePool, 19), OP_PARAMS(input, float_input),
                                  OP_PARAMS(output, float_output), OP_PARAMS(attribute, average_attribute_19),
                                  POOL_REST(average)};

OP_DESCRIPTOR(LpPool, 2) = {OP_HEAD(LpPool, 2), OP_PARAMS(input, float_input), OP_PARAMS(output, float_output),
                            OP_PARAMS(attribute, lp_attribute_2), POOL_REST(lp)};
OP_DESCRIPTOR(LpPool, 18) = {OP_HEAD(LpPool, 18), OP_PARAMS(input, float_input), OP_PARAMS(output, float_output),
                             OP_PARAMS(attribute, lp_attribute_18), POOL_REST(lp)};
