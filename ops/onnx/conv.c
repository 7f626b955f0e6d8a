/* Conv: versions 1, 11 and 22 say the same; 22 adds bfloat16. Over one or two axes by the kernels of ops/kernels, over
 * more by plain loops; half types in float. FusedConv of the domain com.microsoft, which ONNX Runtime writes into the
 * models that it optimizes, adds Z and applies an activation; the private one does any steps. */
#include "onnx/conv.h"

#include "onnx/conv_batch.h"
#include "onnx/steps.h"

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

/* ---- Kernels */

/* A convolution as the kernels have it. */
typedef struct conv_kernel {
    const tlk_conv_kernel *kernel; /* NULL: none computes this */
    tlk_conv conv;
    size_t packed; /* bytes of packed weights */
} conv_kernel;

static bool round_size(size_t *size)
{
    *size = *size > SIZE_MAX / 4 ? SIZE_MAX : (*size + 63) & ~(size_t)63;
    return *size != SIZE_MAX;
}

/* Chooses by the shape of W, which must be known, and its type. */
static conv_kernel choose_kernel(const conv_window *window, int64_t group, const tl_tensor *w)
{
    const int32_t spatial = w->rank - 2;
    const conv_kernel none = {0};
    conv_kernel k = {.conv = {.type = w->type == TL_DOUBLE ? TLK_F64 : TLK_F32,
                              .groups = group,
                              .kernel = {1, 1},
                              .stride = {1, 1},
                              .dilation = {1, 1}}};
    if (spatial < 1 || spatial > 2 || group < 1 || w->dims[0] % group != 0 || nn_product(w, 0, w->rank) < 1)
        return none;
    for (int32_t i = 0; i < spatial; i++) {
        k.conv.kernel[2 - spatial + i] = w->dims[i + 2];
        k.conv.stride[2 - spatial + i] = window->strides[i];
        k.conv.dilation[2 - spatial + i] = window->dilations[i];
    }
    k.kernel = tlk_get()->conv[k.conv.type];
    k.conv.channels = w->dims[1];
    k.conv.filters = w->dims[0] / group;
    if (!tlk_conv_reach_fits(&k.conv))
        return none;
    k.packed = k.kernel->packed_size(&k.conv);
    return round_size(&k.packed) ? k : none;
}

/* ---- State and plan */

enum { IN_X, IN_W, IN_B, IN_OPERANDS };

typedef struct conv_state {
    conv_window window;
    int64_t group;
    conv_kernel kernel; /* of constant weights and bias, packed; none if they are not */
    void *packed;
    tlk_activation activation; /* the first of the steps, if it is one, which kernels do at less cost */
    steps_program steps;       /* the others */
} conv_state;

typedef struct conv_steps {
    conv_plan general;      /* the geometry, for both ways */
    conv_kernel kernel;     /* none: the general way */
    tlk_conv_data data;     /* of one sample, x and y still open */
    size_t packed, scratch; /* where they lie in the workspace; scratch of one thread after the other */
    size_t scratch_size;
    conv_batch batch; /* of many small samples */
    steps_place places[TLK_MAX_STEPS];
} conv_steps;

static tl_status conv_parse(const tl_call *call, conv_state *state)
{
    memset(state, 0, sizeof *state);
    state->group = op_int(call, "group");
    return conv_window_parse(call, CONV_DILATIONS, &state->window);
}

/* Those that a run does not read. */
static uint64_t packed_inputs(const conv_state *state)
{
    return state->packed ? 1 << IN_W | 1 << IN_B : 0;
}

static const void *data_of(const tl_tensor *tensor)
{
    return tensor ? tensor->data : NULL;
}

/* Shapes that do not fit each other are not packed: reshape reports them. */
static tl_status conv_pack(tl_call *call, conv_state *state)
{
    const tl_tensor *w = call->inputs[IN_W], *bias = op_input(call, IN_B);
    if (!w->data || (bias && (!bias->data || bias->rank != 1 || bias->dims[0] != w->dims[0])))
        return TL_OK;
    conv_kernel kernel = choose_kernel(&state->window, state->group, w);
    if (!kernel.kernel)
        return TL_OK;
    float *w_floats, *bias_floats = NULL;
    tl_status status = nn_pack_half(call, IN_W, &w_floats);
    if (status == TL_OK)
        status = nn_pack_half(call, IN_B, &bias_floats);
    if (status == TL_OK && !(state->packed = call->host->alloc(call->host, kernel.packed, 64)))
        status = tl_fail(call, TL_NO_MEMORY, "no memory for the packed weights");
    if (status == TL_OK)
        kernel.kernel->pack(&kernel.conv, w_floats ? w_floats : w->data, bias_floats ? bias_floats : data_of(bias),
                            state->packed);
    if (w_floats)
        call->host->free(call->host, w_floats);
    if (bias_floats)
        call->host->free(call->host, bias_floats);
    state->kernel = kernel;
    call->packed = bias ? 1 << IN_W | 1 << IN_B : 1 << IN_W;
    return status;
}

/* com.microsoft's attributes: Z is added first. */
static tl_status parse_activation(const tl_call *call, steps_program *steps)
{
    size_t size, count;
    const char *name = call->host->attribute_string(call->node, "activation", &size);
    const float *given = call->host->attribute_floats(call->node, "activation_params", &count);
    double parameters[2];
    for (size_t k = 0; k < count && k < 2; k++)
        parameters[k] = (double)given[k];
    if (op_input(call, IN_OPERANDS))
        steps->steps[steps->count++].kind = TLK_STEP_ADD;
    if (size > 0 && !steps_add_activation(steps, name, size, parameters, count))
        return tl_fail(call, TL_INVALID_MODEL, "activation '%.40s' with %zu parameters is not there", name, count);
    return TL_OK;
}

typedef tl_status (*conv_parse_steps)(const tl_call *call, steps_program *steps);

static tl_status conv_create_with(tl_call *call, conv_parse_steps parse)
{
    conv_state *state = nn_new_state(call, sizeof *state);
    if (!state)
        return TL_NO_MEMORY;
    tl_status status = conv_parse(call, state);
    if (status == TL_OK && parse)
        status = parse(call, &state->steps);
    if (state->steps.count > 0 && state->steps.steps[0].kind == TLK_STEP_ACTIVATE) {
        state->activation = state->steps.steps[0].activation;
        memmove(state->steps.steps, state->steps.steps + 1, (size_t)--state->steps.count * sizeof(tlk_step));
    }
    if (status == TL_OK)
        status = conv_pack(call, state);
    if (status != TL_OK)
        call->host->free(call->host, state);
    else
        call->state = state;
    return status;
}

static tl_status conv_create(tl_call *call)
{
    return conv_create_with(call, NULL);
}

static tl_status conv_create_activated(tl_call *call)
{
    return conv_create_with(call, parse_activation);
}

static tl_status parse_steps(const tl_call *call, steps_program *steps)
{
    return steps_parse(call, IN_OPERANDS, steps);
}

static tl_status conv_create_fused(tl_call *call)
{
    return conv_create_with(call, parse_steps);
}

static void conv_destroy(const tl_host *host, void *memory)
{
    conv_state *state = memory;
    if (state->packed)
        host->free(host, state->packed);
    host->free(host, state);
}

static tlk_conv_data conv_data(const conv_geometry *g)
{
    tlk_conv_data data = {.size = {1, 1}, .out_size = {1, 1}};
    for (int32_t i = 0; i < g->spatial; i++) {
        data.size[2 - g->spatial + i] = g->in_size[i];
        data.out_size[2 - g->spatial + i] = g->out_size[i];
        data.pad[2 - g->spatial + i] = g->pads[i];
    }
    return data;
}

static void conv_plan_steps(tl_call *call, const conv_state *state, conv_steps *steps)
{
    const tl_tensor *x = call->inputs[IN_X];
    call->workspace_size = 0;
    nn_widen_place(call, packed_inputs(state));
    steps->kernel = state->packed ? state->kernel : choose_kernel(&state->window, state->group, call->inputs[IN_W]);
    steps->kernel.conv.activation = state->activation;
    if (steps->kernel.kernel && x->dims[0] > 0 && steps->general.g.out_area > 0) {
        steps->data = conv_data(&steps->general.g);
        steps->data.threads = call->thread_count;
        steps->scratch_size = steps->kernel.kernel->workspace_size(&steps->kernel.conv, &steps->data);
        (void)round_size(&steps->scratch_size); /* a size that does not exist is refused below */
    }
    if (!steps->kernel.kernel) {
        conv_make_plan(call, &steps->general, x->type == TL_DOUBLE ? CONV_F64 : CONV_F32);
        return;
    }
    if (!state->packed)
        steps->packed = nn_place(call, 1, steps->kernel.packed);
    if (x->type != TL_DOUBLE && state->steps.count == 0 && steps->scratch_size > 0)
        conv_batch_plan(call, &steps->batch, &steps->general.g, steps->kernel.kernel, &steps->kernel.conv);
    if (steps->batch.samples == 0)
        steps->scratch = nn_place(call, call->thread_count, steps->scratch_size);
}

static tl_status conv_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[IN_X], *w = call->inputs[IN_W];
    int64_t pads[CONV_MAX_SPATIAL] = {0};
    conv_state local;
    tl_status status = TL_OK;
    if (call->state)
        local = *(const conv_state *)call->state;
    else
        status = conv_parse(call, &local);
    if (status == TL_OK)
        status = conv_output_shape(call, &local.window, local.group, x, w, call->outputs[0], pads);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_B, 1, 1);
    if (status == TL_OK && w->rank != TL_RANK_UNKNOWN)
        status = nn_check_dim(call, IN_B, 0, w->dims[0], "one bias for each filter");
    if (status != TL_OK || !call->plan)
        return status;
    conv_steps *steps = call->plan;
    conv_geometry_set(&steps->general.g, &local.window, x, w, call->outputs[0], local.group, pads);
    conv_plan_steps(call, &local, steps);
    return steps_set_places(call, &local.steps, IN_OPERANDS, call->outputs[0], 1, 2, steps->places);
}

/* ---- Run */

typedef struct conv_job {
    const tl_call *call;
    const conv_steps *steps;
    const char *packed;
    int64_t pieces; /* of one sample */
} conv_job;

static void conv_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const conv_job *job = context;
    const conv_steps *steps = job->steps;
    const conv_geometry *g = &steps->general.g;
    const size_t size = nn_type_size(job->call->inputs[IN_X]->type);
    const size_t in = (size_t)(g->group * g->channels * g->in_area) * size;
    const size_t out = (size_t)(g->group * g->filters * g->out_area) * size;
    void *scratch = (char *)nn_at(job->call, steps->scratch) + (size_t)thread * steps->scratch_size;
    while (begin < end) {
        const nn_run run = nn_take_run(&begin, end, job->pieces);
        tlk_step bound[TLK_MAX_STEPS];
        tlk_conv_data data = steps->data;
        data.x = (const char *)job->call->inputs[IN_X]->data + (size_t)run.sample * in;
        data.y = (char *)job->call->outputs[0]->data + (size_t)run.sample * out;
        data.steps = steps_bind(job->call, &((const conv_state *)job->call->state)->steps, IN_OPERANDS, steps->places,
                                run.sample, 0, false, bound);
        steps->kernel.kernel->run(&steps->kernel.conv, job->packed, &data, run.first, run.last, scratch);
    }
}

/* The general way knows of no steps. */
static tl_status run_general(tl_call *call, const conv_state *state, const conv_steps *steps)
{
    const tl_tensor *x = call->inputs[IN_X];
    steps_program first = {.count = state->activation.kind != TLK_LINEAR};
    first.steps[0].activation = state->activation;
    conv_execute(call, &steps->general, x->type == TL_DOUBLE ? CONV_F64 : CONV_F32, x->data, call->inputs[IN_W]->data,
                 data_of(op_input(call, IN_B)), call->outputs[0]->data);
    steps_run(call, &first, IN_OPERANDS, steps->places, 1, 2);
    steps_run(call, &state->steps, IN_OPERANDS, steps->places, 1, 2);
    return TL_OK;
}

static tl_status conv_real(tl_call *call)
{
    const conv_state *state = call->state;
    const conv_steps *steps = call->plan;
    const conv_geometry *g = &steps->general.g;
    const conv_kernel *k = &steps->kernel;
    conv_job job = {.call = call, .steps = steps, .packed = state->packed};
    if (!k->kernel)
        return run_general(call, state, steps);
    if (g->batch == 0 || g->out_area == 0)
        return TL_OK;
    if (!state->packed) {
        job.packed = nn_at(call, steps->packed);
        k->kernel->pack(&k->conv, call->inputs[IN_W]->data, data_of(op_input(call, IN_B)), nn_at(call, steps->packed));
    }
    if (steps->batch.samples > 0) {
        conv_batch_run(call, &steps->batch, g, k->kernel, job.packed, call->inputs[IN_X]->data, call->outputs[0]->data);
        return TL_OK;
    }
    job.pieces = k->kernel->pieces(&k->conv, &steps->data);
    /* Neighbouring pieces share what the kernel prepares. An output costs some multiply-adds besides its own. */
    const double cost = (double)(g->group * g->filters * g->out_area) * ((double)g->channels * (double)g->taps + 16) /
                        (double)job.pieces;
    const int64_t all = g->batch * job.pieces;
    call->host->parallel_for(call, conv_task, &job, all, nn_even_grain(call->thread_count, all, cost));
    return TL_OK;
}

static tl_status conv_run(tl_call *call)
{
    return nn_is_half(call->outputs[0]->type) ? nn_widen_run(call, packed_inputs(call->state), conv_real)
                                              : conv_real(call);
}

/* Along batches, and under the window; operands of the steps are added where they lie. */
static bool conv_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    if (k != IN_X || axis < 2)
        return k >= IN_OPERANDS || (k == IN_X && axis == 0);
    const conv_state *state = call->state;
    return conv_reach_axis(call, &state->window, call->inputs[IN_W]->dims[axis], axis, reach);
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
                          .flags = TL_OP_LONG,
                          .plan_size = sizeof(conv_steps),
                          .create = conv_create,
                          .reshape = conv_reshape,
                          .run = conv_run,
                          .destroy = conv_destroy,
                          .reach = conv_reach};

static const tl_param activated_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("W", TL_T_FLOATS, 'T'),
                                           OP_OPT("B", TL_T_FLOATS, 'T'), OP_OPT("Z", TL_T_FLOATS, 'T')};
static const tl_attribute_spec activated_attribute[] = {OP_STRING("auto_pad", "NOTSET"),
                                                        OP_INTS("dilations"),
                                                        OP_INT("group", 1),
                                                        OP_INTS("kernel_shape"),
                                                        OP_INTS("pads"),
                                                        OP_INTS("strides"),
                                                        OP_STRING("activation", ""),
                                                        {.name = "activation_params", .kind = TL_ATTR_FLOATS}};

extern const tl_operator tl_op_MicrosoftFusedConv_1;
const tl_operator tl_op_MicrosoftFusedConv_1 = {.size = sizeof(tl_operator),
                                                .domain = "com.microsoft",
                                                .name = "FusedConv",
                                                .since_version = 1,
                                                OP_PARAMS(input, activated_input),
                                                OP_PARAMS(output, conv_output),
                                                OP_PARAMS(attribute, activated_attribute),
                                                .plan_size = sizeof(conv_steps),
                                                .create = conv_create_activated,
                                                .reshape = conv_reshape,
                                                .run = conv_run,
                                                .destroy = conv_destroy,
                                                .reach = conv_reach};

static const tl_param fused_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("W", TL_T_FLOATS, 'T'),
                                       OP_OPT("B", TL_T_FLOATS, 'T'), STEPS_OPERANDS(TL_T_FLOATS)};
static const tl_attribute_spec fused_attribute[] = {OP_STRING("auto_pad", "NOTSET"),
                                                    OP_INTS("dilations"),
                                                    OP_INT("group", 1),
                                                    OP_INTS("kernel_shape"),
                                                    OP_INTS("pads"),
                                                    OP_INTS("strides"),
                                                    STEPS_ATTRIBUTES};

OP_DESCRIPTOR(FusedConv, 1) = {.size = sizeof(tl_operator),
                               .domain = STEPS_DOMAIN,
                               .name = "FusedConv",
                               .since_version = 1,
                               OP_PARAMS(input, fused_input),
                               OP_PARAMS(output, conv_output),
                               OP_PARAMS(attribute, fused_attribute),
                               .flags = TL_OP_LONG,
                               .plan_size = sizeof(conv_steps),
                               .create = conv_create_fused,
                               .reshape = conv_reshape,
                               .run = conv_run,
                               .destroy = conv_destroy,
                               .reach = conv_reach};
