/* SeparableConv1D as an operator of Tapline: create, reshape, run. */
#include <string.h>
#include "separable_conv1d/compute.h"
#include "separable_conv1d/plugin.h"

/* What a node keeps: its checked attributes, and its weights in the kernel's order if they are constants. */
typedef struct sepconv_state {
    sepconv_params params;
    void *packed;        /* or NULL: each run packs */
    tlk_activation last; /* of the private form: behind slope and residual */
} sepconv_state;

/* What a plan keeps. */
typedef struct sepconv_plan {
    sepconv_shape shape;
    sepconv_engine engine;
} sepconv_plan;

static sepconv_weights get_weights(const tl_tensor *const *inputs)
{
    return (sepconv_weights){inputs[SEPCONV_DEPTHWISE]->data, inputs[SEPCONV_POINTWISE]->data,
                             inputs[SEPCONV_BIAS] != NULL ? inputs[SEPCONV_BIAS]->data : NULL};
}

static bool are_constant(const tl_tensor *const *inputs)
{
    return inputs[SEPCONV_DEPTHWISE]->data != NULL && inputs[SEPCONV_POINTWISE]->data != NULL &&
           (inputs[SEPCONV_BIAS] == NULL || inputs[SEPCONV_BIAS]->data != NULL);
}

/* Packs constant weights into the state. */
static tl_status pack(tl_call *call, sepconv_state *state, const sepconv_shape *shape, const tl_tensor *const *inputs)
{
    const tl_host *host = call->host;
    const sepconv_weights weights = get_weights(inputs);
    sepconv_engine engine;
    sepconv_engine_init(&engine, &state->params, shape, inputs[SEPCONV_X]->type);
    const sepconv_size packed = sepconv_packed_size(&engine);
    const sepconv_size packing = sepconv_packing_size(&engine);
    if (packed.overflow || packing.overflow)
        return tl_fail(call, TL_NO_MEMORY, "the size of the packed weights overflows");
    void *scratch = NULL;
    if (packing.bytes > 0) {
        scratch = host->alloc(host, packing.bytes, 64);
        if (scratch == NULL)
            return tl_fail(call, TL_NO_MEMORY, "no memory for %zu bytes to pack weights", packing.bytes);
    }
    state->packed = host->alloc(host, packed.bytes, 64);
    if (state->packed != NULL)
        sepconv_pack(&engine, &weights, state->packed, scratch);
    if (scratch != NULL)
        host->free(host, scratch);
    if (state->packed == NULL)
        return tl_fail(call, TL_NO_MEMORY, "no memory for %zu bytes of packed weights", packed.bytes);
    call->packed = 1U << SEPCONV_DEPTHWISE | 1U << SEPCONV_POINTWISE | 1U << SEPCONV_BIAS;
    return TL_OK;
}

static void destroy(const tl_host *host, void *state)
{
    sepconv_state *own = state;
    if (own->packed != NULL)
        host->free(host, own->packed);
    host->free(host, own);
}

static tl_status create(tl_call *call)
{
    const tl_host *host = call->host;
    sepconv_text why = {""};
    sepconv_params params;
    sepconv_shape shape;
    const tl_tensor *const *inputs = call->inputs;
    tl_status status = sepconv_read(host, call->node, &params, &why);
    if (status == TL_OK)
        status = sepconv_shape_find(&params, inputs, TL_INVALID_MODEL, &shape, &why);
    if (status != TL_OK)
        return tl_fail(call, status, "%s", why.line);
    sepconv_state *state = host->alloc(host, sizeof *state, _Alignof(sepconv_state));
    if (state == NULL)
        return tl_fail(call, TL_NO_MEMORY, "no memory for the operator's state");
    *state = (sepconv_state){.params = params};
    if (call->input_count > SEPCONV_INPUTS) {
        size_t size = 0;
        const char *last = host->attribute_string(call->node, "last", &size);
        const sepconv_activation *found = sepconv_activation_find(last, size);
        state->last = found != NULL ? found->element : (tlk_activation){.kind = TLK_LINEAR};
    }
    if (are_constant(inputs))
        status = pack(call, state, &shape, inputs);
    if (status != TL_OK) {
        destroy(host, state);
        return status;
    }
    call->state = state;
    return TL_OK;
}

static const tl_tensor *get_operand(const tl_call *call, size_t k)
{
    return k < call->input_count ? call->inputs[k] : NULL;
}

/* What the private form has besides must fit the output. */
static tl_status check_operands(const tl_call *call, const sepconv_shape *shape)
{
    const tl_tensor *slope = get_operand(call, SEPCONV_SLOPE), *residual = get_operand(call, SEPCONV_RESIDUAL);
    const tl_tensor *y = call->outputs[0];
    bool fits = slope == NULL || (slope->rank == 1 && (slope->dims[0] == 1 || slope->dims[0] == shape->filters));
    fits &= residual == NULL || residual->rank == y->rank;
    for (int32_t i = 0; residual != NULL && fits && i < y->rank; i++)
        fits = residual->dims[i] == y->dims[i];
    return fits ? TL_OK : tl_fail(call, TL_INVALID_INPUT, "an operand does not fit the output");
}

static tl_status reshape(tl_call *call)
{
    const sepconv_state *state = call->state;
    const bool loading = state == NULL;
    sepconv_text why = {""};
    sepconv_params params;
    sepconv_shape shape;
    const tl_tensor *const *inputs = call->inputs;
    tl_status status = TL_OK;
    if (loading)
        status = sepconv_read(call->host, call->node, &params, &why);
    else
        params = state->params;
    if (status == TL_OK)
        status = sepconv_shape_find(&params, inputs, loading ? TL_INVALID_MODEL : TL_INVALID_INPUT, &shape, &why);
    if (status != TL_OK)
        return tl_fail(call, status, "%s", why.line);
    sepconv_output(&params, &shape, call->outputs[0]);
    if (loading)
        return TL_OK;
    status = check_operands(call, &shape);
    if (status != TL_OK)
        return status;
    if (shape.batch < 0 || shape.output_length < 0 || shape.channels < 0 || shape.kernel_size < 0 || shape.filters < 0)
        return TL_OK; /* X is shaped during the run: the call comes again then */
    sepconv_plan *plan = call->plan;
    plan->shape = shape;
    sepconv_engine_init(&plan->engine, &params, &shape, inputs[SEPCONV_X]->type);
    const sepconv_size size = sepconv_workspace_size(&plan->engine, &shape, call->thread_count, state->packed != NULL);
    if (size.overflow)
        return tl_fail(call, TL_NO_MEMORY, "the size of the working memory overflows");
    call->workspace_size = size.bytes;
    return TL_OK;
}

static void parallel(void *host, tl_task task, void *context, int64_t range, int64_t grain)
{
    tl_call *call = host;
    call->host->parallel_for(call, task, context, range, grain);
}

/* PReLU, a residual and an activation, as far as the private form has them. */
static tlk_steps make_steps(const tl_call *call, const sepconv_state *state, const sepconv_shape *shape,
                            tlk_step *steps, int64_t *sample_step)
{
    const tl_tensor *slope = get_operand(call, SEPCONV_SLOPE), *residual = get_operand(call, SEPCONV_RESIDUAL);
    const bool last = state->params.layout == TLK_CHANNELS_LAST;
    int count = 0;
    if (slope != NULL) {
        const int64_t step = slope->dims[0] > 1;
        sample_step[count] = 0;
        steps[count++] = (tlk_step){
            .kind = TLK_STEP_PRELU, .operand = slope->data, .row_step = last ? 0 : step, .lane_step = last ? step : 0};
    }
    if (residual != NULL) {
        sample_step[count] = shape->filters * shape->output_length;
        steps[count++] = (tlk_step){.kind = TLK_STEP_ADD,
                                    .operand = residual->data,
                                    .row_step = last ? shape->filters : shape->output_length,
                                    .lane_step = 1};
    }
    if (state->last.kind != TLK_LINEAR)
        steps[count++] = (tlk_step){.kind = TLK_STEP_ACTIVATE, .activation = state->last};
    return (tlk_steps){steps, count};
}

static tl_status run(tl_call *call)
{
    tlk_step steps[3];
    int64_t sample_step[3];
    const sepconv_state *state = call->state;
    const sepconv_plan *plan = call->plan;
    const tl_tensor *const *inputs = call->inputs;
    const sepconv_job job = {
        .engine = &plan->engine,
        .shape = &plan->shape,
        .packed = state->packed,
        .weights = get_weights(inputs),
        .x = inputs[SEPCONV_X]->data,
        .y = call->outputs[0]->data,
        .steps = make_steps(call, state, &plan->shape, steps, sample_step),
        .sample_step = sample_step,
        .workspace = call->workspace,
        .threads = call->thread_count,
    };
    sepconv_compute(&job, parallel, call);
    return TL_OK;
}

/* Along batches, and under the window where no softmax goes over time; the residual is added where it lies. */
static bool find_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const sepconv_plan *plan = call->plan;
    const sepconv_params *params = &((const sepconv_state *)call->state)->params;
    if (k != SEPCONV_X || axis == 0)
        return k == SEPCONV_X || k == SEPCONV_RESIDUAL;
    *reach = (tl_reach){params->strides, plan->shape.left, plan->shape.extent - 1 - plan->shape.left};
    return params->layout == TLK_CHANNELS_LAST ? axis == 1 : axis == 2 && params->activation.over == SEPCONV_ELEMENT;
}

/* What the operator and its fused form share. */
#define SEPCONV_SHARED                                                                                             \
    .size = sizeof(tl_operator), .name = SEPCONV_NAME, .flags = TL_OP_LONG, .outputs = sepconv_outputs,            \
    .output_count = 1, .attributes = sepconv_attribute_specs, .plan_size = sizeof(sepconv_plan), .create = create, \
    .reshape = reshape, .run = run, .destroy = destroy, .reach = find_reach

const tl_operator sepconv_operator = {
    SEPCONV_SHARED,
    .domain = SEPCONV_DOMAIN,
    .since_version = SEPCONV_VERSION,
    .inputs = sepconv_inputs,
    .input_count = SEPCONV_INPUTS,
    .attribute_count = SEPCONV_ATTRIBUTES,
    .decompose = sepconv_decompose,
    .permute = sepconv_permute,
};

const tl_operator sepconv_fused_operator = {
    SEPCONV_SHARED,
    .domain = SEPCONV_INTERNAL,
    .since_version = 1,
    .inputs = sepconv_fused_inputs,
    .input_count = SEPCONV_FUSED_INPUTS,
    .attribute_count = SEPCONV_FUSED_ATTRIBUTES,
};
