/* Attention (23; 24 adds nonpad_kv_seqlen; 25 windows). Scores, softmax and result are computed in float (double for
 * double) and rounded once, whatever softmax_precision says. */
#include "kernels/kernels.h"
#include "onnx/nn.h"

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_KEY, IN_PAST_VALUE, IN_LENGTHS };
enum { OUT_Y, OUT_KEY, OUT_VALUE, OUT_SCORES };

#define ROWS 84 /* queries at a time: whole blocks of any kernel, and their scores stay in the second-level cache */
#define FAR  (INT64_C(1) << 40)

/* Sizes as far as known, else negative. */
typedef struct attention_sizes {
    bool packed_heads; /* 3-D inputs: (batch, sequence, heads * size) */
    tl_dim batch, query_heads, heads, queries, keys, past, total, size, value_size;
} attention_sizes;

typedef struct attention_plan {
    attention_sizes s;
    size_t key, value; /* past and new ones under each other, where no output has them */
    size_t threads;    /* scratch of each thread */
    size_t each, packed_q, packed_k, packed_v, packed_p, scores; /* offsets in it */
} attention_plan;

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

static const tlk_gemm_kernel *kernel_of(const tl_tensor *q)
{
    return tlk_get()->gemm[q->type == TL_DOUBLE ? TLK_F64 : TLK_F32];
}

/* Lays the scratch of a thread out; more than anybody has, where it does not fit a size. */
static void place_scratch(tl_call *call, attention_plan *plan)
{
    const attention_sizes *s = &plan->s;
    const tlk_gemm_kernel *kernel = kernel_of(call->inputs[IN_Q]);
    const size_t element = call->inputs[IN_Q]->type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    const int64_t rows = nn_min(ROWS, s->queries), total = nn_max(s->total, 1);
    size_t score_bytes;
    if (__builtin_mul_overflow((size_t)rows * element, (size_t)total, &score_bytes))
        score_bytes = SIZE_MAX;
    const size_t parts[] = {kernel->packed_a_size(rows, s->size), kernel->packed_b_size(total, s->size),
                            kernel->packed_b_size(s->value_size, total), kernel->packed_a_size(rows, total),
                            score_bytes};
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
    place_scratch(call, plan);
    return TL_OK;
}

/* ---- Run */

/* Keys or values: `step` elements from one position to the next, `head` from head to head, `batch` likewise. */
typedef struct sequence {
    const char *data;
    int64_t step, head, batch;
} sequence;

typedef struct attention_job {
    tl_call *call;
    const attention_plan *plan;
    sequence q, k, v;
    double scale, softcap;
    int64_t mode, left, right; /* windows: -1 is none */
    bool causal, is_double;
    size_t element;
    int64_t mask_strides[4], mask_width;
} attention_job;

static sequence input_sequence(const tl_tensor *t, const attention_sizes *s, int64_t heads, int64_t positions,
                               int64_t size)
{
    return s->packed_heads ? (sequence){t->data, heads * size, size, positions * heads * size}
                           : (sequence){t->data, size, positions * size, heads * positions * size};
}

/* Past and new positions under each other, in the output if somebody wants it. */
static sequence joined_sequence(const attention_job *job, size_t in, size_t past_in, size_t out, size_t offset,
                                int64_t size)
{
    const attention_sizes *s = &job->plan->s;
    const tl_tensor *past = op_input(job->call, past_in), *present = op_output(job->call, out);
    const sequence from = input_sequence(job->call->inputs[in], s, s->heads, s->keys, size);
    if (!past && !present)
        return from;
    char *to = present ? present->data : nn_at(job->call, offset);
    const size_t row = (size_t)size * job->element;
    for (int64_t i = 0; i < s->batch * s->heads; i++) {
        if (past && s->past > 0)
            memcpy(to, (const char *)past->data + (size_t)(i * s->past) * row, (size_t)s->past * row);
        to += (size_t)s->past * row;
        for (int64_t t = 0; t < s->keys; t++, to += row)
            memcpy(to,
                   from.data +
                       (size_t)(i / s->heads * from.batch + i % s->heads * from.head + t * from.step) * job->element,
                   row);
    }
    to = present ? present->data : nn_at(job->call, offset);
    return (sequence){to, size, s->total * size, s->heads * s->total * size};
}

static double mask_value(const tl_tensor *mask, int64_t i)
{
    if (mask->type == TL_BOOL)
        return ((const uint8_t *)mask->data)[i] ? 0 : -INFINITY;
    return mask->type == TL_FLOAT ? ((const float *)mask->data)[i] : op_load_number(mask, i);
}

/* The keys [*first, *last) that query i of batch b may see by position; offset is what precedes the queries. */
static void visible_keys(const attention_job *job, int64_t b, int64_t i, int64_t *first, int64_t *last)
{
    const attention_sizes *s = &job->plan->s;
    const tl_tensor *lengths = op_input(job->call, IN_LENGTHS);
    const int64_t length = lengths ? ((const int64_t *)lengths->data)[b] : s->total;
    const int64_t position = i + (lengths ? length - s->queries : s->past);
    *first = job->left < 0 ? 0 : nn_max(0, position - job->left);
    *last = nn_min(s->total, length);
    if (job->causal)
        *last = nn_min(*last, position + 1);
    if (job->right >= 0)
        *last = nn_min(*last, position + job->right + 1);
    *last = nn_max(*last, 0);
    *first = nn_min(*first, *last);
}

/* One row of scores, from products to probabilities; and the optional output. */
#define SCORE_ROW(name, type, exponential)                                                                    \
    static void name(const attention_job *job, int64_t b, int64_t h, int64_t i, type *row)                    \
    {                                                                                                         \
        const attention_sizes *s = &job->plan->s;                                                             \
        const tl_tensor *mask = op_input(job->call, IN_MASK), *out = op_output(job->call, OUT_SCORES);        \
        type *copy = out ? (type *)out->data + ((b * s->query_heads + h) * s->queries + i) * s->total : NULL; \
        const int64_t at = b * job->mask_strides[0] + h * job->mask_strides[1] + i * job->mask_strides[2];    \
        int64_t first, last;                                                                                  \
        if (copy && job->mode == 0)                                                                           \
            memcpy(copy, row, (size_t)s->total * sizeof(type));                                               \
        for (int64_t j = 0; job->softcap > 0 && j < s->total; j++)                                            \
            row[j] = (type)(job->softcap * tanh((double)row[j] / job->softcap));                              \
        if (copy && job->mode == 1)                                                                           \
            memcpy(copy, row, (size_t)s->total * sizeof(type));                                               \
        visible_keys(job, b, i, &first, &last);                                                               \
        type greatest = (type)-INFINITY;                                                                      \
        for (int64_t j = 0; j < s->total; j++) {                                                              \
            bool seen = j >= first && j < last && (!mask || j < job->mask_width);                             \
            double bias = !seen ? -INFINITY : mask ? mask_value(mask, at + j) : 0;                            \
            row[j] = bias == -INFINITY ? (type)-INFINITY : row[j] + (type)bias;                               \
            greatest = ((row[j] > greatest) | (row[j] != row[j])) ? row[j] : greatest;                        \
        }                                                                                                     \
        if (copy && job->mode == 2)                                                                           \
            memcpy(copy, row, (size_t)s->total * sizeof(type));                                               \
        double sum = 0;                                                                                       \
        for (int64_t j = 0; j < s->total; j++)                                                                \
            row[j] -= greatest == (type)-INFINITY ? 0 : greatest;                                             \
        exponential(row, s->total);                                                                           \
        for (int64_t j = 0; j < s->total; j++)                                                                \
            sum += (double)row[j];                                                                            \
        for (int64_t j = 0; j < s->total; j++)                                                                \
            row[j] = sum == 0 ? 0 : (type)((double)row[j] / sum);                                             \
        if (copy && job->mode == 3)                                                                           \
            memcpy(copy, row, (size_t)s->total * sizeof(type));                                               \
    }

static void exponential_f32(float *row, int64_t n)
{
    tlk_get()->unary(TLK_EXP, row, row, n);
}

static void exponential_f64(double *row, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        row[i] = exp(row[i]);
}

SCORE_ROW(score_row_any_f32, float, exponential_f32)
SCORE_ROW(score_row_f64, double, exponential_f64)

/* The same, by the kernels where nothing rare is asked for. */
static void score_row_f32(const attention_job *job, int64_t b, int64_t h, int64_t i, float *row)
{
    const tl_tensor *mask = op_input(job->call, IN_MASK);
    const int64_t total = job->plan->s.total;
    int64_t first, last;
    if (job->softcap > 0 || op_output(job->call, OUT_SCORES) || (mask && mask->type != TL_FLOAT)) {
        score_row_any_f32(job, b, h, i, row);
        return;
    }
    visible_keys(job, b, i, &first, &last);
    if (mask) {
        const float *bias =
            (const float *)mask->data + b * job->mask_strides[0] + h * job->mask_strides[1] + i * job->mask_strides[2];
        last = nn_min(last, job->mask_width);
        first = nn_min(first, last);
        for (int64_t j = first; j < last; j++)
            row[j] = bias[j] == -INFINITY ? -INFINITY : row[j] + bias[j];
    }
    memset(row, 0, (size_t)first * sizeof row[0]);
    memset(row + last, 0, (size_t)(total - last) * sizeof row[0]);
    if (tlk_get()->reduce(TLK_MAXIMUM, row + first, last - first, 0) == -INFINITY) /* none is seen */
        memset(row + first, 0, (size_t)(last - first) * sizeof row[0]);
    else
        tlk_get()->softmax(row + first, row + first, 1, last - first, 0);
}

/* Here, on n packed queries, the scale costs less than on the scores. */
static void scale_queries(const attention_job *job, void *packed, int64_t n)
{
    const float scale = (float)job->scale;
    if (!job->is_double)
        tlk_get()->binary(TLK_MUL, packed, 1, &scale, 0, packed, n);
    for (int64_t i = 0; job->is_double && i < n; i++)
        ((double *)packed)[i] *= job->scale;
}

/* Queries [first, first + rows) of one head, whose keys and values are packed in the scratch. */
static void attend_rows(const attention_job *job, int64_t b, int64_t h, int64_t first, int64_t rows, char *scratch)
{
    const attention_plan *plan = job->plan;
    const attention_sizes *s = &plan->s;
    const tlk_gemm_kernel *kernel = kernel_of(job->call->inputs[IN_Q]);
    const char *q = job->q.data + (size_t)(b * job->q.batch + h * job->q.head + first * job->q.step) * job->element;
    const int64_t y_step = s->packed_heads ? s->query_heads * s->value_size : s->value_size;
    const int64_t y_at = s->packed_heads ? (b * s->queries + first) * y_step + h * s->value_size
                                         : ((b * s->query_heads + h) * s->queries + first) * y_step;
    tlk_gemm scores = {.m = rows,
                       .n = s->total,
                       .depth = s->size,
                       .c = scratch + plan->scores,
                       .c_row_step = s->total,
                       .c_column_step = 1,
                       .alpha = 1,
                       .activation = {.kind = TLK_LINEAR}};
    tlk_gemm result = {.m = rows,
                       .n = s->value_size,
                       .depth = s->total,
                       .c = (char *)job->call->outputs[OUT_Y]->data + (size_t)y_at * job->element,
                       .c_row_step = y_step,
                       .c_column_step = 1,
                       .alpha = 1,
                       .activation = {.kind = TLK_LINEAR}};
    kernel->pack_a(q, job->q.step, 1, rows, s->size, 0, kernel->blocks(rows), scratch + plan->packed_q);
    scale_queries(job, scratch + plan->packed_q, rows * s->size);
    kernel->run(&scores, scratch + plan->packed_q, scratch + plan->packed_k, 0, kernel->blocks(rows), 0,
                kernel->panels(s->total));
    for (int64_t i = 0; i < rows; i++) {
        char *row = scratch + plan->scores + (size_t)(i * s->total) * job->element;
        if (job->is_double)
            score_row_f64(job, b, h, first + i, (double *)row);
        else
            score_row_f32(job, b, h, first + i, (float *)row);
    }
    kernel->pack_a(scratch + plan->scores, s->total, 1, rows, s->total, 0, kernel->blocks(rows),
                   scratch + plan->packed_p);
    kernel->run(&result, scratch + plan->packed_p, scratch + plan->packed_v, 0, kernel->blocks(rows), 0,
                kernel->panels(s->value_size));
}

static void attention_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const attention_job *job = context;
    const attention_plan *plan = job->plan;
    const attention_sizes *s = &plan->s;
    const tlk_gemm_kernel *kernel = kernel_of(job->call->inputs[IN_Q]);
    char *scratch = (char *)nn_at(job->call, plan->threads) + (size_t)thread * plan->each;
    for (int64_t at = begin; at < end; at++) {
        const int64_t b = at / s->query_heads, h = at % s->query_heads, kv = h / (s->query_heads / s->heads);
        kernel->pack_b(job->k.data + (size_t)(b * job->k.batch + kv * job->k.head) * job->element, 1, job->k.step,
                       s->total, s->size, 0, kernel->panels(s->total), scratch + plan->packed_k);
        kernel->pack_b(job->v.data + (size_t)(b * job->v.batch + kv * job->v.head) * job->element, job->v.step, 1,
                       s->value_size, s->total, 0, kernel->panels(s->value_size), scratch + plan->packed_v);
        for (int64_t first = 0; first < s->queries; first += ROWS)
            attend_rows(job, b, h, first, nn_min(ROWS, s->queries - first), scratch);
    }
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
    job.q = input_sequence(call->inputs[IN_Q], s, s->query_heads, s->queries, s->size);
    job.k = joined_sequence(&job, IN_K, IN_PAST_KEY, OUT_KEY, plan->key, s->size);
    job.v = joined_sequence(&job, IN_V, IN_PAST_VALUE, OUT_VALUE, plan->value, s->value_size);
    if (mask) {
        nn_broadcast_strides(mask, 4, job.mask_strides);
        job.mask_width = mask->dims[mask->rank - 1];
    }
    if (s->total == 0)
        memset(y->data, 0, (size_t)op_elements(y) * job.element);
    else if (op_elements(y) > 0)
        call->host->parallel_for(call, attention_task, &job, s->batch * s->query_heads,
                                 nn_grain(s->queries * s->total, 1 << 10));
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
            .plan_size = sizeof(attention_plan), .reshape = attention_reshape, .run = attention_run                  \
    }
OP_DESCRIPTOR(Attention, 23) = ATTENTION(23, 23, 23);
OP_DESCRIPTOR(Attention, 24) = ATTENTION(24, 24, 23);
OP_DESCRIPTOR(Attention, 25) = ATTENTION(25, 24, 25);
