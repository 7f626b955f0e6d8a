/* A plugin of one operator, as an example: example::ExponentialAverage, which smooths a signal over time.
 *
 *     Y[n, 0, c] = X[n, 0, c]
 *     Y[n, t, c] = alpha * X[n, t, c] + (1 - alpha) * Y[n, t-1, c]
 *
 * X is (N, T, C), float; Y has its shape. alpha, a float attribute, lies in (0, 1].
 *
 * It shows the whole of what an operator is: a schema, which the runtime checks; four functions; a descriptor that
 * names them; an entry that registers the descriptor. */
#include <tapline/plugin.h>

/* What create finds out once for all runs. The runtime hands it to reshape and run, and shares it between threads:
 * nothing writes to it after create. */
typedef struct average {
    float alpha;
} average;

/* Checks the attributes. Reached for every node of the operator when a model is loaded. */
static tl_status create(tl_call *call)
{
    float alpha = call->host->attribute_float(call->node, "alpha");
    if (!(alpha > 0.0f && alpha <= 1.0f)) /* so written, NaN fails too */
        return tl_fail(call, TL_INVALID_MODEL, "alpha is %g, but must lie in (0, 1]", (double)alpha);
    average *state = call->host->alloc(call->host, sizeof *state, sizeof(float));
    if (!state)
        return tl_fail(call, TL_NO_MEMORY, "no memory for %zu bytes", sizeof *state);
    state->alpha = alpha;
    call->state = state;
    return TL_OK;
}

static void destroy(const tl_host *host, void *state)
{
    host->free(host, state);
}

/* The output's shape from the input's. Also called when the model is loaded, with as much as is known then: rank or
 * dimensions may be unknown, and copying a dimension copies that too. */
static tl_status reshape(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    if (in->rank != TL_RANK_UNKNOWN && in->rank != 3)
        return tl_fail(call, TL_INVALID_MODEL, "X has rank %d, but must be (N, T, C)", in->rank);
    out->rank = in->rank;
    for (int32_t i = 0; i < in->rank; i++)
        out->dims[i] = in->dims[i];
    return TL_OK;
}

/* One piece of the work: the sequences begin <= n < end. */
static void smooth(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const tl_call *call = context;
    const tl_tensor *in = call->inputs[0];
    const average *state = call->state;
    const float alpha = state->alpha;
    const int64_t steps = in->dims[1], channels = in->dims[2];
    (void)thread;
    for (int64_t n = begin; n < end; n++) {
        const float *x = (const float *)in->data + n * steps * channels;
        float *y = (float *)call->outputs[0]->data + n * steps * channels;
        for (int64_t i = 0; i < steps * channels; i++)
            y[i] = i < channels ? x[i] : alpha * x[i] + (1.0f - alpha) * y[i - channels];
    }
}

/* Computes. No allocation, no lock, no system call here: reshape has asked for all that is needed. The runtime has
 * made sure that sizes and their products fit, and that the output's memory is there. */
static tl_status run(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    if (in->dims[1] > 0 && in->dims[2] > 0)
        call->host->parallel_for(call, smooth, call, in->dims[0], 1);
    return TL_OK;
}

static const tl_param inputs[] = {{.name = "X", .types = TL_T(TL_FLOAT), .type_variable = 'T'}};
static const tl_param outputs[] = {{.name = "Y", .types = TL_T(TL_FLOAT), .type_variable = 'T'}};
static const tl_attribute_spec attributes[] = {{.name = "alpha", .kind = TL_ATTR_FLOAT, .f = 0.5f}};

static const tl_operator exponential_average = {
    .size = sizeof(tl_operator),
    .domain = "example",
    .name = "ExponentialAverage",
    .since_version = 1,
    .inputs = inputs,
    .input_count = 1,
    .outputs = outputs,
    .output_count = 1,
    .attributes = attributes,
    .attribute_count = 1,
    .create = create,
    .reshape = reshape,
    .run = run,
    .destroy = destroy,
};

static tl_status enter(const tl_host *host, tl_registrar *registrar)
{
    tl_status status = host->register_domain(registrar, "example", 1);
    if (status == TL_OK)
        status = host->register_operator(registrar, &exponential_average);
    return status;
}

TL_PLUGIN_EXPORT(enter);
