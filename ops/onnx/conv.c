/* Conv: versions 1, 11 and 22 say the same; 22 adds bfloat16. */
#include "onnx/conv.h"
#include "onnx/gemm.h"

/* ---- Shapes */

void conv_geometry_set(conv_geometry *g, const conv_window *window, const tl_tensor *x, const tl_tensor *w,
                       const tl_tensor *y, int64_t group, const int64_t *pads)
{
    g->spatial = x->rank - 2;
    g->batch = x->dims[0];
    g->group = group;
    g->channels = w->dims[1];
    g->filters = w->dims[0] / group;
    g->in_area = op_product(x, 2, x->rank);
    g->out_area = op_product(y, 2, y->rank);
    g->taps = op_product(w, 2, w->rank);
    for (int32_t i = 0; i < g->spatial; i++) {
        g->in_size[i] = x->dims[i + 2];
        g->out_size[i] = y->dims[i + 2];
        g->kernel[i] = window->kernel[i];
        g->strides[i] = window->strides[i];
        g->dilations[i] = window->dilations[i];
        g->pads[i] = pads[i];
    }
}

static tl_status check_channels(const tl_call *call, int64_t group, const tl_tensor *x, const tl_tensor *w)
{
    int64_t channels;
    if (group < 1)
        return tl_fail(call, TL_INVALID_MODEL, "group is %lld, but must be at least 1", (long long)group);
    if (w->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    if (w->dims[0] >= 0 && w->dims[0] % group != 0)
        return tl_fail(call, TL_INVALID_MODEL, "%lld filters do not divide into %lld groups", (long long)w->dims[0],
                       (long long)group);
    if (x->rank == TL_RANK_UNKNOWN || x->dims[1] < 0 || w->dims[1] < 0)
        return TL_OK;
    if (!nn_mul(w->dims[1], group, &channels) || channels != x->dims[1])
        return tl_fail(call, TL_INVALID_INPUT, "X has %lld channels, but the filters read %lld in each of %lld groups",
                       (long long)x->dims[1], (long long)w->dims[1], (long long)group);
    return TL_OK;
}

/* Kernel sizes: W has them; kernel_shape, where it is given, must agree. */
static tl_status take_kernel(const tl_call *call, conv_window *window, const tl_tensor *w, int32_t i)
{
    tl_dim size = w->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : w->dims[i + 2];
    if (size < 0)
        return TL_OK;
    if (window->kernel_given && size != window->kernel[i])
        return tl_fail(call, TL_INVALID_MODEL, "kernel_shape[%d] is %lld, but W's kernel has size %lld there", i,
                       (long long)window->kernel[i], (long long)size);
    if (size < 1)
        return tl_fail(call, TL_INVALID_INPUT, "dimension %d of W is 0, but a kernel has at least one tap", i + 2);
    window->kernel[i] = size;
    return TL_OK;
}

tl_status conv_output_shape(const tl_call *call, conv_window *window, int64_t group, const tl_tensor *x,
                            const tl_tensor *w, tl_tensor *y, int64_t *pads)
{
    int32_t rank = x->rank != TL_RANK_UNKNOWN ? x->rank : w->rank;
    tl_status status = TL_OK;
    if (rank == TL_RANK_UNKNOWN) {
        y->rank = TL_RANK_UNKNOWN;
        return TL_OK;
    }
    if (rank < 3 || (w->rank != TL_RANK_UNKNOWN && w->rank != rank))
        return tl_fail(call, TL_INVALID_INPUT, "X has rank %d and W rank %d, but they must have the same, at least 3",
                       x->rank, w->rank);
    status = conv_window_check(call, window, rank - 2);
    if (status == TL_OK)
        status = check_channels(call, group, x, w);
    y->rank = rank;
    y->dims[0] = x->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : x->dims[0];
    y->dims[1] = w->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : w->dims[0];
    for (int32_t i = 0; i < rank - 2 && status == TL_OK; i++) {
        int64_t end;
        bool known = window->kernel_given || (w->rank != TL_RANK_UNKNOWN && w->dims[i + 2] >= 0);
        tl_dim in = x->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : x->dims[i + 2];
        y->dims[i + 2] = TL_DIM_UNKNOWN;
        status = take_kernel(call, window, w, i);
        if (status == TL_OK && known)
            status = conv_axis(call, window, i, in, &y->dims[i + 2], &pads[i], &end);
    }
    return status;
}

/* ---- State and plan */

typedef struct conv_state {
    conv_window window;
    int64_t group;
    float *weights; /* a constant half-typed W in float; NULL: read W */
} conv_state;

static tl_status conv_parse(const tl_call *call, conv_state *state)
{
    state->weights = NULL;
    state->group = op_int(call, "group");
    return conv_window_parse(call, CONV_DILATIONS, &state->window);
}

static tl_status conv_create(tl_call *call)
{
    conv_state *state = nn_new_state(call, sizeof *state);
    if (!state)
        return TL_NO_MEMORY;
    tl_status status = conv_parse(call, state);
    if (status == TL_OK)
        status = nn_pack_half(call, 1, &state->weights);
    if (status != TL_OK) {
        call->host->free(call->host, state);
        return status;
    }
    call->state = state;
    call->packed = state->weights ? 1 << 1 : 0;
    return TL_OK;
}

static void conv_destroy(const tl_host *host, void *memory)
{
    conv_state *state = memory;
    if (state->weights)
        host->free(host, state->weights);
    host->free(host, state);
}

static uint64_t conv_packed(const tl_call *call)
{
    const conv_state *state = call->state;
    return state && state->weights ? 1 << 1 : 0;
}

void conv_make_plan(tl_call *call, conv_plan *plan, conv_type type)
{
    const conv_geometry *g = &plan->g;
    int64_t rows;
    plan->depthwise = g->channels == 1;
    plan->direct = g->taps == 1;
    for (int32_t i = 0; i < g->spatial; i++)
        plan->direct = plan->direct && g->strides[i] == 1 && g->in_size[i] == g->out_size[i] && g->pads[i] == 0;
    if (!nn_mul(g->channels, g->taps, &rows))
        rows = INT64_MAX;
    plan->tile = nn_max(16, nn_min(256, (int64_t)(1 << 16) / nn_max(rows, 1) / 8 * 8));
    plan->columns_each = 0;
    if (!plan->depthwise && !plan->direct && g->out_area > 0 && g->batch > 0) {
        int64_t total;
        int64_t tile = nn_min(plan->tile, g->out_area);
        if (!nn_mul(rows, tile, &plan->columns_each) || !nn_mul(plan->columns_each, call->thread_count, &total))
            total = INT64_MAX;
        plan->columns = nn_place(call, total, type == CONV_F64 ? sizeof(double) : sizeof(float));
    }
}

static tl_status conv_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *w = call->inputs[1];
    const conv_state *state = call->state;
    int64_t pads[CONV_MAX_SPATIAL] = {0};
    conv_state local;
    if (state)
        local = *state;
    else {
        tl_status status = conv_parse(call, &local);
        if (status != TL_OK)
            return status;
    }
    tl_status status = conv_output_shape(call, &local.window, local.group, x, w, call->outputs[0], pads);
    if (status == TL_OK)
        status = nn_check_rank(call, 2, 1, 1);
    if (status == TL_OK && w->rank != TL_RANK_UNKNOWN)
        status = nn_check_dim(call, 2, 0, w->dims[0], "one bias for each filter");
    if (status != TL_OK || !call->plan)
        return status;
    conv_plan *plan = call->plan;
    conv_geometry_set(&plan->g, &local.window, x, w, call->outputs[0], local.group, pads);
    call->workspace_size = 0;
    nn_widen_place(call, conv_packed(call));
    conv_make_plan(call, plan, x->type == TL_DOUBLE ? CONV_F64 : CONV_F32);
    return TL_OK;
}

/* ---- Run */

typedef struct conv_job {
    const conv_geometry *g;
    const void *x, *w, *bias;
    void *y, *columns;
    int64_t tile, columns_each;
    bool direct;
} conv_job;

#define REAL      float
#define REAL_GEMM gemm_f32
#define T(name)   name##_f32
#include "onnx/conv_template.h"

#define REAL      double
#define REAL_GEMM gemm_f64
#define T(name)   name##_f64
#include "onnx/conv_template.h"

#define REAL      uint32_t
#define REAL_GEMM gemm_u32
#define T(name)   name##_u32
#include "onnx/conv_template.h"

void conv_execute(tl_call *call, const conv_plan *plan, conv_type type, const void *x, const void *w, const void *bias,
                  void *y)
{
    static const tl_task depthwise[] = {depthwise_task_f32, depthwise_task_f64, depthwise_task_u32};
    static const tl_task dense[] = {dense_task_f32, dense_task_f64, dense_task_u32};
    const conv_geometry *g = &plan->g;
    conv_job job = {.g = g,
                    .x = x,
                    .w = w,
                    .bias = bias,
                    .y = y,
                    .columns = nn_at(call, plan->columns),
                    .tile = plan->tile,
                    .columns_each = plan->columns_each,
                    .direct = plan->direct};
    if (g->batch * g->group * g->filters == 0 || g->out_area == 0)
        return;
    if (plan->depthwise)
        call->host->parallel_for(call, depthwise[type], &job, g->batch * g->group * g->filters,
                                 nn_grain(g->out_area * g->taps, 1 << 15));
    else
        call->host->parallel_for(call, dense[type], &job, g->batch * g->group * nn_ceil_div(g->out_area, plan->tile),
                                 1);
}

static tl_status conv_real(tl_call *call)
{
    const conv_state *state = call->state;
    const tl_tensor *x = call->inputs[0], *bias = op_input(call, 2);
    conv_execute(call, call->plan, x->type == TL_DOUBLE ? CONV_F64 : CONV_F32, x->data,
                 state && state->weights ? state->weights : call->inputs[1]->data, bias ? bias->data : NULL,
                 call->outputs[0]->data);
    return TL_OK;
}

static tl_status conv_run(tl_call *call)
{
    return nn_widen_run(call, conv_packed(call), conv_real);
}

/* ---- Schema */

static const tl_param conv_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("W", TL_T_FLOATS, 'T'),
                                      OP_OPT("B", TL_T_FLOATS, 'T')};
static const tl_param conv_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec conv_attribute[] = {
    OP_STRING("auto_pad", "NOTSET"), OP_INTS("dilations"), OP_INT("group", 1),
    OP_INTS("kernel_shape"),         OP_INTS("pads"),      OP_INTS("strides")};

OP_DESCRIPTOR(Conv, 1) = {OP_HEAD(Conv, 1),
                          OP_PARAMS(input, conv_input),
                          OP_PARAMS(output, conv_output),
                          OP_PARAMS(attribute, conv_attribute),
                          .plan_size = sizeof(conv_plan),
                          .create = conv_create,
                          .reshape = conv_reshape,
                          .run = conv_run,
                          .destroy = conv_destroy};
