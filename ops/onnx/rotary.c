/* RotaryEmbedding (23): pairs of features turned by angles whose cosines and sines are given. */
#include "onnx/nn.h"

enum { IN_X, IN_COS, IN_SIN, IN_POSITIONS };

typedef struct rotary_plan {
    int64_t batch, heads, length, size, turned; /* features of a head, and how many of them are turned */
    bool packed_heads;                          /* (batch, length, heads * size) */
} rotary_plan;

static tl_status rotary_sizes(const tl_call *call, rotary_plan *plan)
{
    const tl_tensor *x = call->inputs[IN_X];
    plan->packed_heads = x->rank == 3;
    plan->batch = x->dims[0];
    plan->heads = plan->packed_heads ? op_int(call, "num_heads") : x->dims[1];
    plan->length = x->dims[plan->packed_heads ? 1 : 2];
    plan->size = x->dims[x->rank - 1];
    if (plan->packed_heads && plan->heads < 1)
        return tl_fail(call, TL_INVALID_MODEL, "num_heads is %lld, but a 3-D input needs at least 1",
                       (long long)plan->heads);
    if (plan->packed_heads && plan->size >= 0 && plan->size % plan->heads != 0)
        return tl_fail(call, TL_INVALID_INPUT, "%lld features do not divide into %lld heads", (long long)plan->size,
                       (long long)plan->heads);
    if (plan->packed_heads && plan->size >= 0)
        plan->size /= plan->heads;
    plan->turned = op_int(call, "rotary_embedding_dim");
    plan->turned = plan->turned == 0 ? plan->size : plan->turned;
    if (plan->size >= 0 && (plan->turned < 0 || plan->turned > plan->size || plan->turned % 2 != 0))
        return tl_fail(call, TL_INVALID_MODEL,
                       "%lld features are to be turned, but a head has %lld, and pairs are turned",
                       (long long)plan->turned, (long long)plan->size);
    return TL_OK;
}

static tl_status rotary_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[IN_X];
    const int32_t cache_rank = op_input(call, IN_POSITIONS) ? 2 : 3;
    rotary_plan plan = {0};
    op_copy_shape(call->outputs[0], x);
    tl_status status = nn_check_rank(call, IN_X, 3, 4);
    for (size_t k = IN_COS; k <= IN_SIN && status == TL_OK; k++)
        status = nn_check_rank(call, k, cache_rank, cache_rank);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_POSITIONS, 2, 2);
    if (status != TL_OK || x->rank == TL_RANK_UNKNOWN)
        return status;
    status = rotary_sizes(call, &plan);
    for (size_t k = IN_COS; k <= IN_SIN && status == TL_OK; k++) {
        if (plan.size >= 0)
            status = nn_check_dim(call, k, cache_rank - 1, plan.turned / 2, "half of the features that are turned");
        if (status == TL_OK && cache_rank == 3)
            status = nn_check_dim(call, k, 0, plan.batch, "the batch of X");
        if (status == TL_OK && cache_rank == 3)
            status = nn_check_dim(call, k, 1, plan.length, "the length of X");
    }
    if (status == TL_OK && cache_rank == 2 && call->inputs[IN_COS]->rank == 2)
        status = nn_check_dim(call, IN_SIN, 0, call->inputs[IN_COS]->dims[0], "as many positions as cos_cache has");
    if (status == TL_OK)
        status = nn_check_dim(call, IN_POSITIONS, 0, plan.batch, "the batch of X");
    if (status == TL_OK)
        status = nn_check_dim(call, IN_POSITIONS, 1, plan.length, "the length of X");
    if (status != TL_OK || !call->plan)
        return status;
    *(rotary_plan *)call->plan = plan;
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    return TL_OK;
}

#define ROTATE(name, type)                                                                                           \
    static void name(const type *x, const type *cosine, const type *sine, type *restrict y, const rotary_plan *plan, \
                     bool interleaved)                                                                               \
    {                                                                                                                \
        const int64_t half = plan->turned / 2;                                                                       \
        for (int64_t i = 0; i < half && interleaved; i++) {                                                          \
            const type a = x[2 * i], b = x[2 * i + 1];                                                               \
            y[2 * i] = cosine[i] * a - sine[i] * b;                                                                  \
            y[2 * i + 1] = sine[i] * a + cosine[i] * b;                                                              \
        }                                                                                                            \
        for (int64_t i = 0; i < half && !interleaved; i++) {                                                         \
            const type a = x[i], b = x[half + i];                                                                    \
            y[i] = cosine[i] * a - sine[i] * b;                                                                      \
            y[half + i] = sine[i] * a + cosine[i] * b;                                                               \
        }                                                                                                            \
        for (int64_t i = plan->turned; i < plan->size; i++)                                                          \
            y[i] = x[i];                                                                                             \
    }
ROTATE(rotate_f32, float)
ROTATE(rotate_f64, double)

typedef struct rotary_job {
    const tl_call *call;
    const rotary_plan *plan;
    bool interleaved;
} rotary_job;

/* Heads of tokens, as they lie in X: (batch, position, head) or (batch, head, position). */
static void rotary_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const rotary_job *job = context;
    const rotary_plan *p = job->plan;
    const tl_tensor *x = job->call->inputs[IN_X], *positions = op_input(job->call, IN_POSITIONS);
    const tl_tensor *cosine = job->call->inputs[IN_COS], *sine = job->call->inputs[IN_SIN];
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = i * p->size,
                      token = p->packed_heads ? i / p->heads : i / (p->heads * p->length) * p->length + i % p->length;
        const int64_t angle = (positions ? ((const int64_t *)positions->data)[token] : token) * (p->turned / 2);
        if (x->type == TL_DOUBLE)
            rotate_f64((const double *)x->data + at, (const double *)cosine->data + angle,
                       (const double *)sine->data + angle, (double *)job->call->outputs[0]->data + at, p,
                       job->interleaved);
        else
            rotate_f32((const float *)x->data + at, (const float *)cosine->data + angle,
                       (const float *)sine->data + angle, (float *)job->call->outputs[0]->data + at, p,
                       job->interleaved);
    }
}

static tl_status rotary_real(tl_call *call)
{
    const rotary_plan *plan = call->plan;
    const tl_tensor *positions = op_input(call, IN_POSITIONS);
    const int64_t known = call->inputs[IN_COS]->dims[0];
    rotary_job job = {call, plan, op_int(call, "interleaved") != 0};
    for (int64_t i = 0; positions && i < op_elements(positions); i++) {
        int64_t position = ((const int64_t *)positions->data)[i];
        if (position < 0 || position >= known)
            return tl_fail(call, TL_INVALID_INPUT, "position %lld is %lld, but must be in [0, %lld)", (long long)i,
                           (long long)position, (long long)known);
    }
    if (op_elements(call->inputs[IN_X]) > 0)
        call->host->parallel_for(call, rotary_task, &job, plan->batch * plan->length * plan->heads,
                                 nn_grain(plan->size, 1 << 14));
    return TL_OK;
}

static tl_status rotary_run(tl_call *call)
{
    return nn_widen_run(call, 0, rotary_real);
}

/* The standard has no double here; there is no reason to refuse it. */
static const tl_param rotary_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("cos_cache", TL_T_FLOATS, 'T'),
                                        OP_IN("sin_cache", TL_T_FLOATS, 'T'),
                                        OP_OPT("position_ids", TL_T(TL_INT64), 0)};
static const tl_param rotary_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec rotary_attribute[] = {OP_INT("interleaved", 0), OP_INT("num_heads", 0),
                                                     OP_INT("rotary_embedding_dim", 0)};

OP_DESCRIPTOR(RotaryEmbedding, 23) = {OP_HEAD(RotaryEmbedding, 23),
                                      OP_PARAMS(input, rotary_input),
                                      OP_PARAMS(output, rotary_output),
                                      OP_PARAMS(attribute, rotary_attribute),
                                      .plan_size = sizeof(rotary_plan),
                                      .reshape = rotary_reshape,
                                      .run = rotary_run};
