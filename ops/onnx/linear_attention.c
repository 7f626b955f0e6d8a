/* LinearAttention (27): attention whose keys and values are summed up in one matrix for each head, the state:
 *
 *     S = exp(g) S + k (x) u        u = v, or by the delta rules beta (v - S'k) with the decayed S
 *     o = scale q S                 for each query head of the group
 *
 * Computed in float, token by token; columns of the state do not depend on each other. */
#include "onnx/nn.h"

enum { IN_Q, IN_K, IN_V, IN_PAST, IN_DECAY, IN_BETA };
enum { OUT_Y, OUT_PRESENT };

#define COLUMNS 64 /* of a state, at a time: what one index of the parallel loop computes */

typedef struct linear_plan {
    int64_t batch, length, query_heads, heads, key_size, value_size;
} linear_plan;

static tl_status split_heads(const tl_call *call, size_t k, int64_t heads, tl_dim *size)
{
    const tl_tensor *in = call->inputs[k];
    *size = TL_DIM_UNKNOWN;
    if (in->rank == TL_RANK_UNKNOWN || in->dims[2] < 0)
        return TL_OK;
    if (in->dims[2] % heads != 0)
        return tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld features, which do not divide into %lld heads", k,
                       (long long)in->dims[2], (long long)heads);
    *size = in->dims[2] / heads;
    return TL_OK;
}

static tl_dim known(tl_dim a, tl_dim b)
{
    return a >= 0 ? a : b;
}

static tl_status read_sizes(const tl_call *call, linear_plan *plan)
{
    tl_dim size = TL_DIM_UNKNOWN;
    tl_status status = TL_OK;
    plan->query_heads = op_int(call, "q_num_heads");
    plan->heads = op_int(call, "kv_num_heads");
    plan->batch = plan->length = TL_DIM_UNKNOWN;
    if (plan->heads < 1 || plan->query_heads < 1 || plan->query_heads % plan->heads != 0)
        return tl_fail(call, TL_INVALID_MODEL,
                       "q_num_heads is %lld, but must be a positive multiple of kv_num_heads, %lld",
                       (long long)plan->query_heads, (long long)plan->heads);
    for (size_t k = IN_Q; k <= IN_V && status == TL_OK; k++) {
        status = nn_check_rank(call, k, 3, 3);
        if (status == TL_OK)
            status = nn_check_dim(call, k, 0, plan->batch, "the batch of query");
        if (status == TL_OK)
            status = nn_check_dim(call, k, 1, plan->length, "the length of query");
        if (status == TL_OK && call->inputs[k]->rank == 3) {
            plan->batch = known(plan->batch, call->inputs[k]->dims[0]);
            plan->length = known(plan->length, call->inputs[k]->dims[1]);
        }
    }
    if (status == TL_OK)
        status = split_heads(call, IN_Q, plan->query_heads, &plan->key_size);
    if (status == TL_OK)
        status = split_heads(call, IN_K, plan->heads, &size);
    if (status == TL_OK && size >= 0 && plan->key_size >= 0 && size != plan->key_size)
        return tl_fail(call, TL_INVALID_INPUT, "the heads of query have size %lld, those of key %lld",
                       (long long)plan->key_size, (long long)size);
    plan->key_size = known(plan->key_size, size);
    return status == TL_OK ? split_heads(call, IN_V, plan->heads, &plan->value_size) : status;
}

static bool has_decay(const char *rule)
{
    return strstr(rule, "gated") != NULL;
}
static bool has_delta(const char *rule)
{
    return strstr(rule, "delta") != NULL;
}

static tl_status check_rule(const tl_call *call)
{
    const char *rule = op_string(call, "update_rule");
    int which;
    tl_status status = op_word(call, "update_rule", "linear gated delta gated_delta", &which);
    if (status != TL_OK)
        return status;
    if (has_decay(rule) != (op_input(call, IN_DECAY) != NULL))
        return tl_fail(call, TL_INVALID_MODEL, "update_rule \"%s\" goes %s decay", rule,
                       has_decay(rule) ? "with" : "without");
    if (has_delta(rule) != (op_input(call, IN_BETA) != NULL))
        return tl_fail(call, TL_INVALID_MODEL, "update_rule \"%s\" goes %s beta", rule,
                       has_delta(rule) ? "with" : "without");
    return TL_OK;
}

/* Decay and beta: (batch, length, one of two widths). */
static tl_status check_gate(const tl_call *call, size_t k, const linear_plan *plan, tl_dim first, tl_dim second)
{
    const tl_tensor *in = op_input(call, k);
    tl_status status = nn_check_rank(call, k, 3, 3);
    if (status == TL_OK)
        status = nn_check_dim(call, k, 0, plan->batch, "the batch of query");
    if (status == TL_OK)
        status = nn_check_dim(call, k, 1, plan->length, "the length of query");
    if (status != TL_OK || !in || in->rank != 3 || in->dims[2] < 0 || in->dims[2] == first || second < 0 ||
        in->dims[2] == second)
        return status;
    return tl_fail(call, TL_INVALID_INPUT, "dimension 2 of input %zu is %lld, but must be %lld or %lld", k,
                   (long long)in->dims[2], (long long)first, (long long)second);
}

static tl_status check_sizes(const tl_call *call, const linear_plan *plan)
{
    const tl_dim state[] = {plan->batch, plan->heads, plan->key_size, plan->value_size};
    tl_status status = nn_check_rank(call, IN_PAST, 4, 4);
    for (int32_t i = 0; i < 4 && status == TL_OK; i++)
        status = nn_check_dim(call, IN_PAST, i, state[i], "as query, key and value have it");
    const tl_tensor *key = call->inputs[IN_K];
    if (status == TL_OK)
        status = check_gate(call, IN_DECAY, plan, plan->heads, key->rank == 3 ? key->dims[2] : TL_DIM_UNKNOWN);
    return status == TL_OK ? check_gate(call, IN_BETA, plan, plan->heads, 1) : status;
}

static tl_status linear_reshape(tl_call *call)
{
    const tl_tensor *past = op_input(call, IN_PAST);
    tl_tensor *y = call->outputs[OUT_Y], *present = call->outputs[OUT_PRESENT];
    linear_plan plan = {0};
    tl_status status = check_rule(call);
    if (status == TL_OK)
        status = read_sizes(call, &plan);
    if (status == TL_OK)
        status = check_sizes(call, &plan);
    if (status != TL_OK)
        return status;
    y->rank = 3;
    y->dims[0] = plan.batch;
    y->dims[1] = plan.length;
    y->dims[2] = TL_DIM_UNKNOWN;
    if (plan.value_size >= 0 && !nn_mul(plan.query_heads, plan.value_size, &y->dims[2]))
        return tl_fail(call, TL_INVALID_MODEL, "q_num_heads is %lld, which is too large", (long long)plan.query_heads);
    present->rank = 4;
    present->dims[0] = plan.batch;
    present->dims[1] = plan.heads;
    present->dims[2] = plan.key_size;
    present->dims[3] = plan.value_size;
    if (!past) /* nothing else says what a state is made of */
        present->type = call->inputs[IN_Q]->type;
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    if (call->plan)
        *(linear_plan *)call->plan = plan;
    return TL_OK;
}

typedef struct linear_job {
    const tl_call *call;
    const linear_plan *plan;
    float scale;
    int64_t decay_width, beta_width; /* 0: none */
    int64_t blocks;                  /* of columns, in each state */
} linear_job;

/* One token of one head, for n <= COLUMNS columns: rows of `state` are value_size apart, `u` comes as v. */
static void step(const linear_job *job, const float *k, const float *decay, bool decays_by_row, const float *beta,
                 float *state, float *u, int64_t n)
{
    const int64_t size = job->plan->key_size, next = job->plan->value_size;
    float found[COLUMNS] = {0};
    float factor = decay && !decays_by_row ? expf(*decay) : 1;
    for (int64_t d = 0; decay && d < size; d++) {
        if (decays_by_row)
            factor = expf(decay[d]);
        for (int64_t c = 0; c < n; c++)
            state[d * next + c] *= factor;
    }
    for (int64_t d = 0; beta && d < size; d++)
        for (int64_t c = 0; c < n; c++)
            found[c] += k[d] * state[d * next + c];
    for (int64_t c = 0; beta && c < n; c++)
        u[c] = *beta * (u[c] - found[c]);
    for (int64_t d = 0; d < size; d++)
        for (int64_t c = 0; c < n; c++)
            state[d * next + c] += k[d] * u[c];
}

static void read_out(const linear_job *job, const float *q, const float *state, float *y, int64_t n)
{
    const int64_t next = job->plan->value_size;
    float sum[COLUMNS] = {0};
    for (int64_t d = 0; d < job->plan->key_size; d++)
        for (int64_t c = 0; c < n; c++)
            sum[c] += q[d] * state[d * next + c];
    for (int64_t c = 0; c < n; c++)
        y[c] = job->scale * sum[c];
}

/* All tokens, for a block of columns of the state of one head. */
static void run_columns(const linear_job *job, int64_t b, int64_t h, int64_t first)
{
    const linear_plan *p = job->plan;
    const tl_call *call = job->call;
    const tl_tensor *past = op_input(call, IN_PAST), *decays = op_input(call, IN_DECAY),
                    *betas = op_input(call, IN_BETA);
    const int64_t n = nn_min(COLUMNS, p->value_size - first), group = p->query_heads / p->heads;
    const bool by_row = job->decay_width != p->heads;
    const int64_t state_at = (b * p->heads + h) * p->key_size * p->value_size + first;
    float *state = (float *)call->outputs[OUT_PRESENT]->data + state_at;
    for (int64_t d = 0; d < p->key_size; d++)
        for (int64_t c = 0; c < n; c++)
            state[d * p->value_size + c] = past ? ((const float *)past->data)[state_at + d * p->value_size + c] : 0;
    for (int64_t t = 0; t < p->length; t++) {
        const int64_t token = b * p->length + t, kv = token * p->heads + h, q = token * p->query_heads + h * group;
        const float *decay = decays ? (const float *)decays->data + token * job->decay_width : NULL;
        const float *beta = betas ? (const float *)betas->data + token * job->beta_width : NULL;
        float u[COLUMNS];
        if (decay)
            decay += by_row ? h * p->key_size : h;
        if (beta && job->beta_width > 1)
            beta += h;
        memcpy(u, (const float *)call->inputs[IN_V]->data + kv * p->value_size + first, (size_t)n * sizeof u[0]);
        step(job, (const float *)call->inputs[IN_K]->data + kv * p->key_size, decay, by_row, beta, state, u, n);
        for (int64_t g = 0; g < group; g++)
            read_out(job, (const float *)call->inputs[IN_Q]->data + (q + g) * p->key_size, state,
                     (float *)call->outputs[OUT_Y]->data + (q + g) * p->value_size + first, n);
    }
}

static void linear_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const linear_job *job = context;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        const int64_t head = i / job->blocks;
        run_columns(job, head / job->plan->heads, head % job->plan->heads, i % job->blocks * COLUMNS);
    }
}

static tl_status linear_real(tl_call *call)
{
    const linear_plan *plan = call->plan;
    const tl_tensor *decay = op_input(call, IN_DECAY), *beta = op_input(call, IN_BETA);
    linear_job job = {.call = call,
                      .plan = plan,
                      .scale = op_float(call, "scale"),
                      .decay_width = decay ? decay->dims[2] : 0,
                      .beta_width = beta ? beta->dims[2] : 0,
                      .blocks = nn_ceil_div(plan->value_size, COLUMNS)};
    if (job.scale == 0)
        job.scale = (float)(1 / sqrt((double)plan->key_size));
    if (op_elements(call->outputs[OUT_Y]) == 0 && op_elements(call->outputs[OUT_PRESENT]) == 0)
        return TL_OK;
    call->host->parallel_for(call, linear_task, &job, plan->batch * plan->heads * job.blocks,
                             nn_grain(plan->length * plan->key_size * COLUMNS, 1 << 14));
    return TL_OK;
}

static tl_status linear_run(tl_call *call)
{
    return nn_widen_run(call, 0, linear_real);
}

#define REALS (TL_T(TL_FLOAT) | TL_T_HALFS)
static const tl_param linear_input[] = {OP_IN("query", REALS, 'T'),  OP_IN("key", REALS, 'T'),
                                        OP_IN("value", REALS, 'T'),  OP_OPT("past_state", REALS, 'S'),
                                        OP_OPT("decay", REALS, 'T'), OP_OPT("beta", REALS, 'T')};
static const tl_param linear_output[] = {OP_IN("output", REALS, 'T'), OP_IN("present_state", REALS, 'S')};
static const tl_attribute_spec linear_attribute[] = {OP_INT("chunk_size", 64), OP_REQUIRED_INT("kv_num_heads"),
                                                     OP_REQUIRED_INT("q_num_heads"), OP_FLOAT("scale", 0),
                                                     OP_STRING("update_rule", "gated_delta")};

OP_DESCRIPTOR(LinearAttention, 27) = {OP_HEAD(LinearAttention, 27),
                                      OP_PARAMS(input, linear_input),
                                      OP_PARAMS(output, linear_output),
                                      OP_PARAMS(attribute, linear_attribute),
                                      .flags = TL_OP_LONG,
                                      .plan_size = sizeof(linear_plan),
                                      .reshape = linear_reshape,
                                      .run = linear_run};
