/* FusedAttention, as exporters write attention out:
 *
 *     Y = Softmax(Where(hidden, fill, scale * Q K^T + mask)) V
 *
 * as MatMul, Mul, Add, Where and Softmax compute it: all broadcast as there, the scores too, and a row of nothing but
 * -inf is NaN, or zeros if nan_is_zero. What is hidden is zero behind the Softmax, too, if `clears`. Of `hidden` false
 * hides if is_seen. Q, K, V and Y have the same rank, 2 to 4, and are [batch][head][position][feature] from
 * the right; `axes` says at which axis of Q, of K, of V and of Y these are. `scale` and `fill` are the bits of doubles.
 */
#include "onnx/attention.h"

enum { BATCH, HEAD, POSITION, FEATURE, AXES };
enum { OPERANDS = IN_HIDDEN + 1 };

typedef struct operand {
    tl_dim dims[AXES];
    int64_t steps[AXES]; /* 0 where it broadcasts; only with a plan */
} operand;

static bool agree(tl_dim a, tl_dim b)
{
    return a < 0 || b < 0 || a == b;
}

/* Of input k, or of the output: k is 3. NULL: they are none. */
static const int64_t *axes_of(const tl_call *call, size_t k, int32_t rank)
{
    size_t count;
    const int64_t *axes = call->host->attribute_ints(call->node, "axes", &count);
    uint32_t seen = 0;
    if (rank < 2 || rank > AXES || count != AXES * (size_t)rank)
        return NULL;
    axes += k * (size_t)rank;
    for (int32_t i = 0; i < rank; i++)
        seen |= axes[i] >= 0 && axes[i] < rank ? 1u << axes[i] : 0;
    return seen == (1u << rank) - 1 ? axes : NULL;
}

static operand operand_of(const tl_call *call, const tl_tensor *tensor, const int64_t *axes)
{
    operand o = {.dims = {1, 1, 1, 1}};
    int64_t steps[AXES] = {0};
    if (call->plan)
        nn_broadcast_strides(tensor, tensor->rank, steps);
    for (int32_t i = 0, at = AXES - tensor->rank; i < tensor->rank; i++, at++) {
        o.dims[at] = tensor->dims[axes[i]];
        o.steps[at] = steps[axes[i]];
    }
    return o;
}

static tl_status fused_reshape(tl_call *call)
{
    static const int64_t in_order[] = {0, 1, 2, 3};
    const int32_t rank = call->inputs[IN_Q]->rank;
    const int64_t *y_axes = axes_of(call, 3, rank);
    tl_tensor *y = call->outputs[OUT_Y], scores, parts[OPERANDS];
    const tl_tensor *all[OPERANDS];
    operand o[OPERANDS] = {{.dims = {0}}};
    for (size_t k = 0; k < OPERANDS; k++) {
        const tl_tensor *in = call->inputs[k];
        if (in && in->rank == TL_RANK_UNKNOWN)
            return op_unknown_shape(call);
        const int64_t *axes = k >= IN_MASK ? in_order : axes_of(call, k, rank);
        if (in && (!axes || !y_axes || (k >= IN_MASK ? in->rank > rank : in->rank != rank)))
            return tl_fail(call, TL_INVALID_INPUT, "input %zu has rank %d, which does not fit", k, in->rank);
        if (in)
            o[k] = operand_of(call, in, axes);
        parts[k] = (tl_tensor){.rank = AXES};
        memcpy(parts[k].dims, o[k].dims, sizeof o[k].dims);
        all[k] = in ? &parts[k] : NULL;
    }
    parts[IN_Q].dims[FEATURE] = parts[IN_V].dims[FEATURE] = parts[IN_V].dims[POSITION] = 1;
    parts[IN_K].dims[FEATURE] = o[IN_K].dims[POSITION];
    parts[IN_K].dims[POSITION] = 1;
    tl_status status = op_broadcast(call, all, OPERANDS, &scores);
    if (status != TL_OK)
        return status;
    const attention_sizes s = {.batch = scores.dims[BATCH],
                               .query_heads = scores.dims[HEAD],
                               .heads = scores.dims[HEAD],
                               .queries = scores.dims[POSITION],
                               .keys = scores.dims[FEATURE],
                               .total = scores.dims[FEATURE],
                               .size = o[IN_Q].dims[FEATURE],
                               .value_size = o[IN_V].dims[FEATURE]};
    const tl_dim shape[] = {s.batch, s.query_heads, s.queries, s.value_size};
    for (int32_t i = 0; i < rank; i++)
        y->dims[y_axes[i]] = shape[AXES - rank + i];
    y->rank = rank;
    if (!agree(s.size, o[IN_K].dims[FEATURE]) || !agree(s.total, o[IN_V].dims[POSITION]))
        return tl_fail(call, TL_INVALID_INPUT, "sizes of queries, keys and values do not fit each other");
    if (call->plan) {
        call->workspace_size = 0;
        *(attention_plan *)call->plan = (attention_plan){.s = s};
        ((attention_plan *)call->plan)->s.size = nn_max(s.size, 1);
        attention_place(call, call->plan,
                        o[IN_Q].steps[FEATURE] == 1 && (o[IN_K].steps[FEATURE] == 1 || o[IN_K].steps[POSITION] == 1) &&
                            (o[IN_V].steps[FEATURE] == 1 || o[IN_V].steps[POSITION] == 1));
    }
    return TL_OK;
}

/* A product over a depth of 0 is one over a depth of 1 with zeros. */
static attention_sequence fused_sequence(const tl_call *call, const tl_tensor *tensor, size_t k)
{
    static const double zero = 0;
    const operand o = operand_of(call, tensor, axes_of(call, k, tensor->rank));
    if (o.dims[FEATURE] == 0)
        return (attention_sequence){.data = (const char *)&zero};
    return (attention_sequence){tensor->data, o.steps[BATCH], o.steps[HEAD], o.steps[POSITION], o.steps[FEATURE]};
}

static tl_status fused_run(tl_call *call)
{
    const tl_tensor *mask = op_input(call, IN_MASK), *hidden = op_input(call, IN_HIDDEN), *y = call->outputs[OUT_Y];
    const int64_t scale = op_int(call, "scale"), fill = op_int(call, "fill");
    attention_job job = {.call = call,
                         .plan = call->plan,
                         .left = -1,
                         .right = -1,
                         .is_double = y->type == TL_DOUBLE,
                         .is_fused = true,
                         .nan_is_zero = op_int(call, "nan_is_zero") != 0,
                         .clears = op_int(call, "clears") != 0,
                         .shown = op_int(call, "is_seen") != 0,
                         .q = fused_sequence(call, call->inputs[IN_Q], 0),
                         .k = fused_sequence(call, call->inputs[IN_K], 1),
                         .v = fused_sequence(call, call->inputs[IN_V], 2),
                         .y = fused_sequence(call, y, 3)};
    memcpy(&job.scale, &scale, sizeof scale);
    memcpy(&job.fill, &fill, sizeof fill);
    job.element = job.is_double ? sizeof(double) : sizeof(float);
    if (mask)
        nn_broadcast_strides(mask, AXES, job.mask_strides);
    if (hidden)
        nn_broadcast_strides(hidden, AXES, job.hidden_strides);
    job.mask_width = job.plan->s.total;
    if (job.plan->s.total == 0)
        memset(y->data, 0, (size_t)op_elements(y) * job.element);
    else if (op_elements(y) > 0)
        attention_attend(&job);
    return TL_OK;
}

#define FUSED_TYPES (TL_T(TL_FLOAT) | TL_T(TL_DOUBLE))
static const tl_param fused_input[] = {OP_IN("Q", FUSED_TYPES, 'T'), OP_IN("K", FUSED_TYPES, 'T'),
                                       OP_IN("V", FUSED_TYPES, 'T'), OP_OPT("mask", FUSED_TYPES, 'T'),
                                       OP_OPT("hidden", TL_T(TL_BOOL), 0)};
static const tl_param fused_output[] = {OP_IN("Y", FUSED_TYPES, 'T')};
static const tl_attribute_spec fused_attribute[] = {OP_INTS("axes"),    OP_INT("nan_is_zero", 0), OP_INT("clears", 0),
                                                    OP_INT("scale", 0), OP_INT("fill", 0),        OP_INT("is_seen", 0)};
OP_DESCRIPTOR(FusedAttention, 1) = {OP_HEAD_IN("tapline.internal", FusedAttention, 1),
                                    OP_PARAMS(input, fused_input),
                                    OP_PARAMS(output, fused_output),
                                    OP_PARAMS(attribute, fused_attribute),
                                    .flags = TL_OP_LONG,
                                    .plan_size = sizeof(attention_plan),
                                    .reshape = fused_reshape,
                                    .run = fused_run};
