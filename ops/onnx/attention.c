/* Attention (23; 24 adds nonpad_kv_seqlen; 25 windows). Scores, softmax and result are computed in float (double for
 * double) and rounded once, whatever softmax_precision says. */
#include "onnx/attention.h"

/* Queries at a time, so that their scores stay in the second-level cache: whole blocks of any kernel; or squares. */
#define ROWS       84
#define TILES_ROWS 256

#define FAR (INT64_C(1) << 40)

/* ---- Shapes */

static tl_dim dim(const tl_tensor *t, int32_t axis)
{
    return t && t->rank > axis ? t->dims[axis] : TL_DIM_UNKNOWN;
}

static tl_status split_heads(const tl_call *call, size_t k, const char *name, int64_t heads, tl_dim *size)
{
    const tl_dim hidden = dim(call->inputs[k], 2);
    if (heads < 1)
        return tl_fail(call, TL_INVALID_MODEL, "%s is %lld, but 3-D inputs need at least 1", name, (long long)heads);
    if (hidden >= 0 && hidden % heads != 0)
        return tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld features, which do not divide into %lld heads", k,
                       (long long)hidden, (long long)heads);
    *size = hidden < 0 ? TL_DIM_UNKNOWN : hidden / heads;
    return TL_OK;
}

static tl_status read_sizes(const tl_call *call, attention_sizes *s)
{
    const tl_tensor *q = call->inputs[IN_Q], *k = call->inputs[IN_K], *v = call->inputs[IN_V];
    const tl_tensor *past = op_input(call, IN_PAST_KEY);
    tl_status status = TL_OK;
    s->packed_heads = q->rank == 3;
    s->batch = q->dims[0];
    if (s->packed_heads) {
        s->query_heads = op_int(call, "q_num_heads");
        s->heads = op_int(call, "kv_num_heads");
        s->queries = q->dims[1];
        s->keys = dim(k, 1);
        tl_dim key_size = TL_DIM_UNKNOWN;
        status = split_heads(call, IN_Q, "q_num_heads", s->query_heads, &s->size);
        if (status == TL_OK)
            status = split_heads(call, IN_K, "kv_num_heads", s->heads, &key_size);
        if (status == TL_OK)
            status = split_heads(call, IN_V, "kv_num_heads", s->heads, &s->value_size);
        if (status == TL_OK && s->size >= 0 && key_size >= 0 && s->size != key_size)
            return tl_fail(call, TL_INVALID_INPUT, "the heads of Q have size %lld, those of K %lld", (long long)s->size,
                           (long long)key_size);
    } else {
        s->query_heads = q->dims[1];
        s->heads = dim(k, 1);
        s->queries = q->dims[2];
        s->keys = dim(k, 2);
        s->size = q->dims[3];
        s->value_size = dim(v, 3);
        status = nn_check_dim(call, IN_K, 3, s->size, "the head size of Q");
    }
    s->past = past ? dim(past, 2) : 0;
    s->total = past ? TL_DIM_UNKNOWN : s->keys;
    if (past && s->past >= 0 && s->keys >= 0 && !nn_add(s->past, s->keys, &s->total))
        return tl_fail(call, TL_INVALID_INPUT, "the sequence is too long");
    return status;
}

static tl_status check_sizes(const tl_call *call, const attention_sizes *s)
{
    const int32_t sequence = s->packed_heads ? 1 : 2;
    const bool past = op_input(call, IN_PAST_KEY) != NULL;
    if (past != (op_input(call, IN_PAST_VALUE) != NULL))
        return tl_fail(call, TL_INVALID_MODEL, "past_key and past_value go together");
    if (past && op_input(call, IN_LENGTHS))
        return tl_fail(call, TL_INVALID_MODEL, "nonpad_kv_seqlen does not go with past_key");
    if (s->heads == 0 || (s->heads > 0 && s->query_heads >= 0 && s->query_heads % s->heads != 0))
        return tl_fail(call, TL_INVALID_INPUT, "%lld query heads do not divide among %lld", (long long)s->query_heads,
                       (long long)s->heads);
    if (s->size == 0 || s->value_size == 0)
        return tl_fail(call, TL_INVALID_INPUT, "a head has size 0");
    const tl_dim key[] = {s->batch, s->heads, TL_DIM_UNKNOWN, s->size};
    const tl_dim value[] = {s->batch, s->heads, s->past, s->value_size};
    tl_status status = TL_OK;
    for (size_t k = IN_K; k <= IN_V && status == TL_OK; k++)
        status = nn_check_dim(call, k, 0, s->batch, "the batch of Q");
    if (status == TL_OK)
        status = nn_check_dim(call, IN_V, sequence, s->keys, "the sequence of K");
    if (status == TL_OK && !s->packed_heads)
        status = nn_check_dim(call, IN_V, 1, s->heads, "the heads of K");
    if (status == TL_OK)
        status = nn_check_rank(call, IN_PAST_KEY, 4, 4);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_PAST_VALUE, 4, 4);
    for (int32_t i = 0; i < 4 && status == TL_OK; i++) {
        status = nn_check_dim(call, IN_PAST_KEY, i, key[i], "as Q and K have it");
        if (status == TL_OK)
            status = nn_check_dim(call, IN_PAST_VALUE, i, value[i], "as Q, V and past_key have it");
    }
    if (status == TL_OK)
        status = nn_check_rank(call, IN_LENGTHS, 1, 1);
    return status == TL_OK ? nn_check_dim(call, IN_LENGTHS, 0, s->batch, "the batch of Q") : status;
}

/* The mask broadcasts to (batch, query heads, queries, total); its last axis may be shorter, and then hides the rest.
 */
static tl_status check_mask(const tl_call *call, const attention_sizes *s)
{
    const tl_tensor *mask = op_input(call, IN_MASK);
    const tl_dim want[] = {s->batch, s->query_heads, s->queries, s->total};
    tl_status status = nn_check_rank(call, IN_MASK, 1, 4);
    if (!mask || mask->rank == TL_RANK_UNKNOWN)
        return status;
    for (int32_t i = 0; i < mask->rank && status == TL_OK; i++) {
        const tl_dim have = mask->dims[i], to = want[4 - mask->rank + i];
        const bool last = i == mask->rank - 1;
        if (have >= 0 && to >= 0 && have != to && (last ? have > to : have != 1))
            return tl_fail(call, TL_INVALID_INPUT,
                           "dimension %d of attn_mask is %lld, which does not broadcast to %lld", i, (long long)have,
                           (long long)to);
    }
    return status;
}

static void set_shape(tl_tensor *t, tl_dim a, tl_dim b, tl_dim c, tl_dim d)
{
    if (!t)
        return;
    t->rank = 4;
    t->dims[0] = a;
    t->dims[1] = b;
    t->dims[2] = c;
    t->dims[3] = d;
}

static tl_status set_outputs(tl_call *call, const attention_sizes *s)
{
    tl_tensor *y = call->outputs[OUT_Y];
    set_shape(y, s->batch, s->query_heads, s->queries, s->value_size);
    if (s->packed_heads) {
        y->rank = 3;
        y->dims[1] = s->queries;
        if (s->value_size < 0)
            y->dims[2] = TL_DIM_UNKNOWN;
        else if (!nn_mul(s->query_heads, s->value_size, &y->dims[2]))
            return tl_fail(call, TL_INVALID_MODEL, "q_num_heads is %lld, which is too large",
                           (long long)s->query_heads);
    }
    set_shape(op_output(call, OUT_KEY), s->batch, s->heads, s->total, s->size);
    set_shape(op_output(call, OUT_VALUE), s->batch, s->heads, s->total, s->value_size);
    set_shape(op_output(call, OUT_SCORES), s->batch, s->query_heads, s->queries, s->total);
    return TL_OK;
}

/* Lays the scratch of a thread out; more than anybody has, where it does not fit a size. */
void attention_place(tl_call *call, attention_plan *plan, bool by_lines)
{
    const attention_sizes *s = &plan->s;
    const tlk_gemm_kernel *kernel = attention_kernel(call->inputs[IN_Q]);
    const tlk_gemm_tiles *tiles = tlk_get()->gemm_tiles;
    const bool is_double = call->inputs[IN_Q]->type == TL_DOUBLE, usable = tiles && by_lines && !is_double;
    const size_t element = is_double ? sizeof(double) : sizeof(float);
    const int64_t total = nn_max(s->total, 1);
    size_t score_bytes;
    plan->row_step = (int64_t)(((uint64_t)total + 15) & ~(uint64_t)15);
    plan->score_tiles = usable && tiles->pays(s->queries, s->total, s->size);
    plan->result_tiles = usable && tiles->pays(s->queries, s->value_size, s->total);
    plan->rows = ROWS;
    if (plan->score_tiles || plan->result_tiles)
        plan->rows = (nn_ceil_div(s->queries, nn_ceil_div(s->queries, TILES_ROWS)) + TLK_GEMM_SIDE - 1) /
                     TLK_GEMM_SIDE * TLK_GEMM_SIDE;
    const int64_t rows = plan->rows = nn_min(plan->rows, nn_max(s->queries, 1));
    if (__builtin_mul_overflow((size_t)rows * element, (size_t)plan->row_step, &score_bytes))
        score_bytes = SIZE_MAX;
    const size_t parts[] = {kernel->packed_a_size(rows, s->size),
                            plan->score_tiles ? tiles->workspace_size(rows, total, s->size)
                                              : kernel->packed_b_size(total, s->size),
                            plan->result_tiles ? tiles->workspace_size(rows, s->value_size, total)
                                               : kernel->packed_b_size(s->value_size, total),
                            plan->result_tiles ? 0 : kernel->packed_a_size(rows, total), score_bytes};
    size_t *const offsets[] = {&plan->packed_q, &plan->packed_k, &plan->packed_v, &plan->packed_p, &plan->scores};
    plan->each = 0;
    for (size_t i = 0; i < 5; i++) {
        *offsets[i] = plan->each;
        if (parts[i] > SIZE_MAX / 16 || plan->each > SIZE_MAX / 16)
            plan->each = SIZE_MAX / 16 + 1;
        else
            plan->each += (parts[i] + 63) & ~(size_t)63;
    }
    plan->threads = nn_place(call, call->thread_count, plan->each);
}

static tl_status attention_reshape(tl_call *call)
{
    const tl_tensor *q = call->inputs[IN_Q];
    attention_sizes s = {0};
    tl_status status = TL_OK;
    for (size_t k = IN_Q; k <= IN_V && status == TL_OK; k++)
        status = q->rank == TL_RANK_UNKNOWN ? nn_check_rank(call, k, 3, 4) : nn_check_rank(call, k, q->rank, q->rank);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_Q, 3, 4);
    if (status != TL_OK || q->rank == TL_RANK_UNKNOWN)
        return status != TL_OK ? status : op_unknown_shape(call);
    const tl_type other = call->inputs[IN_V]->type;
    if ((q->type == TL_DOUBLE) != (other == TL_DOUBLE))
        return tl_fail(call, TL_UNSUPPORTED, "double together with another type is not supported");
    int64_t mode = op_int(call, "qk_matmul_output_mode");
    if (mode < 0 || mode > 3)
        return tl_fail(call, TL_INVALID_MODEL, "qk_matmul_output_mode is %lld, but must be in [0, 3]", (long long)mode);
    if (op_given(call, "scale") && !(op_float(call, "scale") >= 0))
        return tl_fail(call, TL_INVALID_MODEL, "scale is %g, but must not be negative",
                       (double)op_float(call, "scale"));
    status = read_sizes(call, &s);
    if (status == TL_OK)
        status = check_sizes(call, &s);
    if (status == TL_OK)
        status = check_mask(call, &s);
    if (status == TL_OK)
        status = set_outputs(call, &s);
    if (status != TL_OK || !call->plan)
        return status;
    attention_plan *plan = call->plan;
    plan->s = s;
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    const size_t element = q->type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    int64_t keys, values;
    if (!nn_mul(s.batch * s.heads, s.total, &keys) || !nn_mul(keys, s.value_size, &values) ||
        !nn_mul(keys, s.size, &keys))
        keys = values = INT64_MAX;
    if (op_input(call, IN_PAST_KEY) && !op_output(call, OUT_KEY))
        plan->key = nn_place(call, keys, element);
    if (op_input(call, IN_PAST_VALUE) && !op_output(call, OUT_VALUE))
        plan->value = nn_place(call, values, element);
    attention_place(call, plan, true);
    return TL_OK;
}

/* ---- Run */

static attention_sequence sequence_of(const tl_tensor *t, const attention_sizes *s, int64_t heads, int64_t positions,
                                      int64_t size)
{
    return s->packed_heads ? (attention_sequence){t->data, positions * heads * size, size, heads * size, 1}
                           : (attention_sequence){t->data, heads * positions * size, positions * size, size, 1};
}

/* Past and new positions under each other, in the output if somebody wants it. */
static attention_sequence joined_sequence(const attention_job *job, size_t in, size_t past_in, size_t out,
                                          size_t offset, int64_t size)
{
    const attention_sizes *s = &job->plan->s;
    const tl_tensor *past = op_input(job->call, past_in), *present = op_output(job->call, out);
    const attention_sequence from = sequence_of(job->call->inputs[in], s, s->heads, s->keys, size);
    if (!past && !present)
        return from;
    char *to = present ? present->data : nn_at(job->call, offset);
    const size_t row = (size_t)size * job->element;
    for (int64_t i = 0; i < s->batch * s->heads; i++) {
        if (past && s->past > 0)
            memcpy(to, (const char *)past->data + (size_t)(i * s->past) * row, (size_t)s->past * row);
        to += (size_t)s->past * row;
        for (int64_t t = 0; t < s->keys; t++, to += row)
            memcpy(to, attention_at(job, &from, i / s->heads, i % s->heads, t), row);
    }
    to = present ? present->data : nn_at(job->call, offset);
    return (attention_sequence){to, s->heads * s->total * size, s->total * size, size, 1};
}

static tl_status check_lengths(const tl_call *call, const attention_sizes *s)
{
    const tl_tensor *lengths = op_input(call, IN_LENGTHS);
    for (int64_t b = 0; lengths && b < s->batch; b++) {
        int64_t n = ((const int64_t *)lengths->data)[b];
        if (n < 0 || n > s->total)
            return tl_fail(call, TL_INVALID_INPUT, "nonpad_kv_seqlen[%lld] is %lld, but must be in [0, %lld]",
                           (long long)b, (long long)n, (long long)s->total);
    }
    return TL_OK;
}

static tl_status attention_real(tl_call *call)
{
    const attention_plan *plan = call->plan;
    const attention_sizes *s = &plan->s;
    const tl_tensor *mask = op_input(call, IN_MASK), *y = call->outputs[OUT_Y];
    const bool windows = call->host->node_version(call->node) >= 25;
    attention_job job = {.call = call,
                         .plan = plan,
                         .scale = op_given(call, "scale") ? op_float(call, "scale") : 1 / sqrt((double)s->size),
                         .softcap = op_float(call, "softcap"),
                         .mode = op_int(call, "qk_matmul_output_mode"),
                         .left = windows ? nn_min(op_int(call, "left_window_size"), FAR) : -1,
                         .right = windows ? nn_min(op_int(call, "right_window_size"), FAR) : -1,
                         .causal = op_int(call, "is_causal") != 0,
                         .is_double = call->inputs[IN_Q]->type == TL_DOUBLE};
    job.element = job.is_double ? sizeof(double) : sizeof(float);
    tl_status status = check_lengths(call, s);
    if (status != TL_OK)
        return status;
    job.q = sequence_of(call->inputs[IN_Q], s, s->query_heads, s->queries, s->size);
    job.y = sequence_of(y, s, s->query_heads, s->queries, s->value_size);
    job.k = joined_sequence(&job, IN_K, IN_PAST_KEY, OUT_KEY, plan->key, s->size);
    job.v = joined_sequence(&job, IN_V, IN_PAST_VALUE, OUT_VALUE, plan->value, s->value_size);
    if (mask) {
        nn_broadcast_strides(mask, 4, job.mask_strides);
        job.mask_width = mask->dims[mask->rank - 1];
    }
    if (s->total == 0)
        memset(y->data, 0, (size_t)op_elements(y) * job.element);
    else if (op_elements(y) > 0)
        attention_attend(&job);
    return TL_OK;
}

static tl_status attention_run(tl_call *call)
{
    return nn_widen_run(call, 0, attention_real);
}

/* ---- Schemas */

#define COMMON_INPUTS                                                                                 \
    OP_IN("Q", TL_T_FLOATS, 'T'), OP_IN("K", TL_T_FLOATS, 'T'), OP_IN("V", TL_T_FLOATS, 'V'),         \
        OP_OPT("attn_mask", TL_T_NUMERIC | TL_T(TL_BOOL), 'U'), OP_OPT("past_key", TL_T_FLOATS, 'T'), \
        OP_OPT("past_value", TL_T_FLOATS, 'V')
#define COMMON_ATTRIBUTES                                                                                            \
    OP_INT("is_causal", 0), OP_INT("kv_num_heads", 0), OP_INT("q_num_heads", 0), OP_INT("qk_matmul_output_mode", 0), \
        OP_FLOAT("scale", 0), OP_FLOAT("softcap", 0), OP_INT("softmax_precision", 0)

static const tl_param attention_input_23[] = {COMMON_INPUTS};
static const tl_param attention_input_24[] = {COMMON_INPUTS, OP_OPT("nonpad_kv_seqlen", TL_T(TL_INT64), 0)};
static const tl_param attention_output[] = {OP_IN("Y", TL_T_FLOATS, 'T'), OP_OPT("present_key", TL_T_FLOATS, 'T'),
                                            OP_OPT("present_value", TL_T_FLOATS, 'V'),
                                            OP_OPT("qk_matmul_output", TL_T_FLOATS, 'T')};
static const tl_attribute_spec attention_attribute_23[] = {COMMON_ATTRIBUTES};
static const tl_attribute_spec attention_attribute_25[] = {COMMON_ATTRIBUTES, OP_INT("left_window_size", -1),
                                                           OP_INT("right_window_size", -1)};

#define ATTENTION(since, inputs_, attributes_)                                                                       \
    {                                                                                                                \
        OP_HEAD(Attention, since), OP_PARAMS(input, attention_input_##inputs_), OP_PARAMS(output, attention_output), \
            OP_PARAMS(attribute, attention_attribute_##attributes_),                                                 \
            .flags = TL_OP_LONG, .plan_size = sizeof(attention_plan), .reshape = attention_reshape,                  \
            .run = attention_run                                                                                     \
    }
OP_DESCRIPTOR(Attention, 23) = ATTENTION(23, 23, 23);
OP_DESCRIPTOR(Attention, 24) = ATTENTION(24, 24, 23);
OP_DESCRIPTOR(Attention, 25) = ATTENTION(25, 24, 25);
