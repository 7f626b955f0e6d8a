/* CausalConvWithState (27): every channel convolved over time by itself, from the end of what came before. */
#include "onnx/nn.h"

enum { CAUSAL_X, CAUSAL_WEIGHT, CAUSAL_BIAS, CAUSAL_PAST };

typedef struct causal_plan {
    int64_t batch, channels, length, kernel;
    size_t sequence; /* past and input of one channel, for each thread */
} causal_plan;

static tl_status causal_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[CAUSAL_X], *w = call->inputs[CAUSAL_WEIGHT], *past = op_input(call, CAUSAL_PAST);
    tl_tensor *present = op_output(call, 1);
    const size_t threes[] = {CAUSAL_X, CAUSAL_WEIGHT, CAUSAL_PAST};
    int activation;
    tl_status status = op_word(call, "activation", "none silu swish", &activation);
    if (status == TL_OK)
        status = nn_check_rank(call, CAUSAL_BIAS, 1, 1);
    for (size_t i = 0; i < 3 && status == TL_OK; i++)
        status = nn_check_rank(call, threes[i], 3, 3);
    if (status != TL_OK)
        return status;
    const tl_dim batch = x->rank == 3 ? x->dims[0] : TL_DIM_UNKNOWN,
                 channels = x->rank == 3 ? x->dims[1] : TL_DIM_UNKNOWN;
    const tl_dim kernel = w->rank == 3 ? w->dims[2] : TL_DIM_UNKNOWN;
    tl_dim state = kernel > 0 ? kernel - 1 : TL_DIM_UNKNOWN;
    if (kernel == 0)
        return tl_fail(call, TL_INVALID_INPUT, "the kernel is empty");
    status = nn_check_dim(call, CAUSAL_WEIGHT, 0, channels, "the channels of the input");
    if (status == TL_OK)
        status = nn_check_dim(call, CAUSAL_WEIGHT, 1, 1, "the convolution is depthwise");
    if (status == TL_OK)
        status = nn_check_dim(call, CAUSAL_BIAS, 0, channels, "one bias for each channel");
    if (status == TL_OK)
        status = nn_check_dim(call, CAUSAL_PAST, 0, batch, "the batch of the input");
    if (status == TL_OK)
        status = nn_check_dim(call, CAUSAL_PAST, 1, channels, "the channels of the input");
    if (status == TL_OK)
        status = nn_check_dim(call, CAUSAL_PAST, 2, state, "one less than the kernel");
    if (status != TL_OK)
        return status;
    op_copy_shape(call->outputs[0], x);
    if (present) {
        present->rank = 3;
        present->dims[0] = batch;
        present->dims[1] = channels;
        present->dims[2] = state < 0 && past && past->rank == 3 ? past->dims[2] : state;
    }
    if (!call->plan)
        return TL_OK;
    causal_plan *plan = call->plan;
    int64_t all;
    plan->batch = batch;
    plan->channels = channels;
    plan->length = x->dims[2];
    plan->kernel = kernel;
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    if (!nn_add(plan->length, state, &all) || !nn_mul(all, call->thread_count, &all))
        all = INT64_MAX;
    plan->sequence = nn_place(call, all, sizeof(double));
    return TL_OK;
}

typedef struct causal_job {
    const tl_call *call;
    const causal_plan *plan;
    bool silu;
} causal_job;

#define CAUSAL(name, type, exponential)                                                                                \
    static void name(void *context, int64_t begin, int64_t end, int32_t thread)                                        \
    {                                                                                                                  \
        const causal_job *job = context;                                                                               \
        const causal_plan *plan = job->plan;                                                                           \
        const int64_t length = plan->length, state = plan->kernel - 1;                                                 \
        const tl_tensor *bias = op_input(job->call, CAUSAL_BIAS), *past = op_input(job->call, CAUSAL_PAST);            \
        const tl_tensor *present = op_output(job->call, 1);                                                            \
        type *sequence = (type *)nn_at(job->call, plan->sequence) + thread * (length + state);                         \
        for (int64_t at = begin; at < end; at++) {                                                                     \
            const type *x = (const type *)job->call->inputs[CAUSAL_X]->data + at * length;                             \
            const type *w = (const type *)job->call->inputs[CAUSAL_WEIGHT]->data + at % plan->channels * plan->kernel; \
            type *y = (type *)job->call->outputs[0]->data + at * length;                                               \
            type start = bias ? ((const type *)bias->data)[at % plan->channels] : 0;                                   \
            for (int64_t t = 0; t < state; t++)                                                                        \
                sequence[t] = past ? ((const type *)past->data)[at * state + t] : 0;                                   \
            for (int64_t t = 0; t < length; t++) {                                                                     \
                sequence[state + t] = x[t];                                                                            \
                y[t] = start;                                                                                          \
            }                                                                                                          \
            for (int64_t k = 0; k < plan->kernel; k++)                                                                 \
                for (int64_t t = 0; t < length; t++)                                                                   \
                    y[t] += w[k] * sequence[t + k];                                                                    \
            for (int64_t t = 0; job->silu && t < length; t++)                                                          \
                y[t] /= 1 + exponential(-y[t]);                                                                        \
            for (int64_t t = 0; present && t < state; t++)                                                             \
                ((type *)present->data)[at * state + t] = sequence[length + t];                                        \
        }                                                                                                              \
    }
CAUSAL(causal_task_f32, float, expf)
CAUSAL(causal_task_f64, double, exp)

static tl_status causal_real(tl_call *call)
{
    const causal_plan *plan = call->plan;
    causal_job job = {call, plan, strcmp(op_string(call, "activation"), "none") != 0};
    call->host->parallel_for(call, call->inputs[CAUSAL_X]->type == TL_DOUBLE ? causal_task_f64 : causal_task_f32, &job,
                             plan->batch * plan->channels,
                             nn_grain(plan->length * plan->kernel + plan->kernel, 1 << 14));
    return TL_OK;
}

static tl_status causal_run(tl_call *call)
{
    return nn_widen_run(call, 0, causal_real);
}

/* The standard has no double here; there is no reason to refuse it. */
static const tl_param causal_input[] = {OP_IN("input", TL_T_FLOATS, 'T'), OP_IN("weight", TL_T_FLOATS, 'T'),
                                        OP_OPT("bias", TL_T_FLOATS, 'T'), OP_OPT("past_state", TL_T_FLOATS, 'T')};
static const tl_param causal_output[] = {OP_IN("output", TL_T_FLOATS, 'T'), OP_OPT("present_state", TL_T_FLOATS, 'T')};
static const tl_attribute_spec causal_attribute[] = {OP_STRING("activation", "none")};

OP_DESCRIPTOR(CausalConvWithState, 27) = {OP_HEAD(CausalConvWithState, 27),
                                          OP_PARAMS(input, causal_input),
                                          OP_PARAMS(output, causal_output),
                                          OP_PARAMS(attribute, causal_attribute),
                                          .flags = TL_OP_LONG,
                                          .plan_size = sizeof(causal_plan),
                                          .reshape = causal_reshape,
                                          .run = causal_run};
