/* The run of attention: a head's queries in blocks, whose scores never leave the cache. */
#include "onnx/attention.h"

/* Up to so many blocks of queries, packing keys or values costs more than it gains. */
#define IN_PLACE_BLOCKS 8

const char *attention_at(const attention_job *job, const attention_sequence *from, int64_t b, int64_t h,
                         int64_t position)
{
    return from->data + (size_t)(b * from->batch + h * from->head + position * from->step) * job->element;
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

static double score(const attention_job *job, const char *row, int64_t j)
{
    return job->is_double ? ((const double *)row)[j] : (double)((const float *)row)[j];
}

static void set_score(const attention_job *job, char *row, int64_t j, double value)
{
    if (job->is_double)
        ((double *)row)[j] = value;
    else
        ((float *)row)[j] = (float)value;
}

/* Where the row's part of `hidden` begins; NULL: there is none. */
static const uint8_t *hidden_at(const attention_job *job, int64_t b, int64_t h, int64_t i)
{
    const tl_tensor *hidden = job->is_fused ? op_input(job->call, IN_HIDDEN) : NULL;
    const int64_t *strides = job->hidden_strides;
    return hidden ? (const uint8_t *)hidden->data + b * strides[0] + h * strides[1] + i * strides[2] : NULL;
}

static bool is_hidden(const attention_job *job, const uint8_t *hidden, int64_t j)
{
    return hidden && (hidden[j * job->hidden_strides[3]] != 0) != job->shown;
}

/* One row of scores, from products to probabilities; and the optional output. */
static void score_row(const attention_job *job, int64_t b, int64_t h, int64_t i, char *row)
{
    const attention_sizes *s = &job->plan->s;
    const tl_tensor *mask = op_input(job->call, IN_MASK), *out = op_output(job->call, OUT_SCORES);
    const int64_t at = b * job->mask_strides[0] + h * job->mask_strides[1] + i * job->mask_strides[2];
    const size_t bytes = (size_t)s->total * job->element;
    char *copy = out ? (char *)out->data + (size_t)((b * s->query_heads + h) * s->queries + i) * bytes : NULL;
    const uint8_t *hidden = hidden_at(job, b, h, i);
    int64_t first, last;
    if (copy && job->mode == 0)
        memcpy(copy, row, bytes);
    for (int64_t j = 0; job->softcap > 0 && j < s->total; j++)
        set_score(job, row, j, job->softcap * tanh(score(job, row, j) / job->softcap));
    if (copy && job->mode == 1)
        memcpy(copy, row, bytes);
    visible_keys(job, b, i, &first, &last);
    double greatest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < s->total; j++) {
        const bool seen = j >= first && j < last && (!mask || j < job->mask_width);
        const double bias = !seen ? -INFINITY : mask ? mask_value(mask, at + j * job->mask_strides[3]) : 0;
        const double sc = is_hidden(job, hidden, j)             ? job->fill
                          : bias == -INFINITY && !job->is_fused ? -INFINITY
                                                                : score(job, row, j) + bias;
        set_score(job, row, j, sc);
        greatest = sc > greatest || isnan(sc) ? sc : greatest;
    }
    if (copy && job->mode == 2)
        memcpy(copy, row, bytes);
    for (int64_t j = 0; j < s->total; j++) {
        const double e = exp(score(job, row, j) - (!job->is_fused && greatest == -INFINITY ? 0 : greatest));
        set_score(job, row, j, e);
        sum += e;
    }
    for (int64_t j = 0; j < s->total; j++)
        set_score(job, row, j,
                  sum == 0 || (job->nan_is_zero && isnan(sum)) || (job->clears && is_hidden(job, hidden, j))
                      ? 0
                      : score(job, row, j) / sum);
    if (copy && job->mode == 3)
        memcpy(copy, row, bytes);
}

/* The same, by the kernels where nothing rare is asked for. */
static void score_row_f32(const attention_job *job, int64_t b, int64_t h, int64_t i, float *row)
{
    const tl_tensor *mask = op_input(job->call, IN_MASK);
    const int64_t total = job->plan->s.total;
    int64_t first, last;
    if (job->softcap > 0 || op_output(job->call, OUT_SCORES) ||
        (mask && mask->type != TL_FLOAT && mask->type != TL_BOOL)) {
        score_row(job, b, h, i, (char *)row);
        return;
    }
    const tlk_kernels *kernels = tlk_get();
    float greatest = 0;
    visible_keys(job, b, i, &first, &last);
    if (mask) {
        const int64_t at = b * job->mask_strides[0] + h * job->mask_strides[1] + i * job->mask_strides[2];
        const float *bias = (const float *)mask->data + at;
        const uint8_t *seen = (const uint8_t *)mask->data + at;
        last = nn_min(last, job->mask_width);
        first = nn_min(first, last);
        for (int64_t j = first; j < last && mask->type == TL_BOOL; j++)
            row[j] = seen[j] ? row[j] : -INFINITY;
        if (mask->type == TL_FLOAT)
            kernels->binary(TLK_ADD, row + first, 1, bias + first, 1, row + first, last - first);
        greatest = kernels->reduce(TLK_MAXIMUM, row + first, last - first, 0);
        if (isnan(greatest) && mask->type == TL_FLOAT) { /* what is masked does not count, whatever it is */
            for (int64_t j = first; j < last; j++)
                row[j] = bias[j] == -INFINITY ? -INFINITY : row[j];
            greatest = kernels->reduce(TLK_MAXIMUM, row + first, last - first, 0);
        }
    }
    memset(row, 0, (size_t)first * sizeof row[0]);
    memset(row + last, 0, (size_t)(total - last) * sizeof row[0]);
    if (first < last && greatest != -INFINITY)
        kernels->softmax(row + first, row + first, 1, last - first, 0);
    else /* none is seen */
        memset(row + first, 0, (size_t)(last - first) * sizeof row[0]);
}

static void hide_f32(const attention_job *job, const uint8_t *hidden, float number, float *row)
{
    const int64_t total = job->plan->s.total;
    const bool shown = job->shown;
    for (int64_t j = 0; hidden && job->hidden_strides[3] && j < total; j++)
        row[j] = (hidden[j] != 0) != shown ? number : row[j];
    for (int64_t j = 0; !job->hidden_strides[3] && is_hidden(job, hidden, j) && j < total; j++)
        row[j] = number;
}

/* As Add, Where and Softmax have them, in the private form, and of the standard's what has no more than that. All rows
 * get their mask before one is read again, because what was stored by parts of a vector is not there at once. */
static void fused_rows_f32(const attention_job *job, int64_t b, int64_t h, int64_t first, int64_t rows, float *scores)
{
    const tl_tensor *mask = op_input(job->call, IN_MASK);
    const int64_t *strides = job->mask_strides, total = job->plan->s.total, step = job->plan->row_step;
    const tlk_kernels *kernels = tlk_get();
    for (int64_t i = 0; i < rows; i++) {
        float *row = scores + i * step;
        if (mask)
            kernels->binary(TLK_ADD, row, 1,
                            (const float *)mask->data + b * strides[0] + h * strides[1] + (first + i) * strides[2],
                            strides[3], row, total);
        hide_f32(job, hidden_at(job, b, h, first + i), (float)job->fill, row);
        for (int64_t j = total; j < step; j++)
            row[j] = -INFINITY;
    }
    kernels->softmax(scores, scores, rows, step, 0);
    for (int64_t i = 0; i < rows && job->nan_is_zero; i++)
        if (isnan(scores[i * step])) /* so are the others */
            memset(scores + i * step, 0, (size_t)total * sizeof *scores);
    for (int64_t i = 0; i < rows && job->clears; i++)
        hide_f32(job, hidden_at(job, b, h, first + i), 0, scores + i * step);
}

/* Whether every query sees every key, and nobody asks for scores. */
static bool is_plain(const attention_job *job)
{
    return job->softcap == 0 && job->left < 0 && job->right < 0 && !job->causal && !op_input(job->call, IN_MASK) &&
           !op_input(job->call, IN_LENGTHS) && !op_output(job->call, OUT_SCORES);
}

static void score_rows(const attention_job *job, int64_t b, int64_t h, int64_t first, int64_t rows, char *scores)
{
    if ((job->is_fused || is_plain(job)) && !job->is_double) {
        fused_rows_f32(job, b, h, first, rows, (float *)scores);
        return;
    }
    for (int64_t i = 0; i < rows; i++, scores += (size_t)job->plan->row_step * job->element)
        if (job->is_double)
            score_row(job, b, h, first + i, scores);
        else
            score_row_f32(job, b, h, first + i, (float *)scores);
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

/* The right operand of a product: read where it is if its columns lie there side by side, and few blocks of queries
 * read it; else packed. */
static void place_right(const attention_job *job, const char *data, int64_t depth_step, int64_t column_step,
                        tlk_gemm *gemm, char *packed)
{
    const tlk_gemm_kernel *kernel = attention_kernel(job->call->inputs[IN_Q]);
    const int64_t rest = gemm->n % kernel->panel_columns;
    if (column_step != 1 || kernel->blocks(job->plan->s.queries) > IN_PLACE_BLOCKS) {
        kernel->pack_b(data, depth_step, column_step, gemm->n, gemm->depth, 0, kernel->panels(gemm->n), packed);
        return;
    }
    gemm->b_in_place = data;
    gemm->b_row_step = depth_step;
    if (rest > 0)
        kernel->pack_b(data + (size_t)(gemm->n - rest) * job->element, depth_step, 1, rest, gemm->depth, 0, 1, packed);
}

/* Rows that lie one behind the other times columns, on tiles. */
static void run_tiles(const tlk_gemm *gemm, const char *rows, int64_t row_step, const tlk_gemm_lines *columns,
                      void *workspace)
{
    const tlk_gemm_lines lines = {(const float *)rows, row_step, 1, TLK_GEMM_SIDE * row_step};
    tlk_get()->gemm_tiles->run(gemm, &lines, columns, 0, nn_ceil_div(gemm->m, TLK_GEMM_SIDE), 0,
                               nn_ceil_div(gemm->n, TLK_GEMM_SIDE), workspace);
}

typedef struct attention_head {
    int64_t b, h;
    tlk_gemm scores, result;     /* of any queries */
    tlk_gemm_lines keys, values; /* for tiles */
} attention_head;

/* Queries [first, first + rows) of one head. */
static void attend_rows(const attention_job *job, attention_head *head, int64_t first, int64_t rows, char *scratch)
{
    const attention_plan *plan = job->plan;
    const attention_sizes *s = &plan->s;
    const tlk_gemm_kernel *kernel = attention_kernel(job->call->inputs[IN_Q]);
    const int64_t blocks = kernel->blocks(rows);
    const float scale = (float)job->scale;
    head->scores.m = head->result.m = rows;
    head->result.c =
        (char *)job->call->outputs[OUT_Y]->data + (attention_at(job, &job->y, head->b, head->h, first) - job->y.data);
    if (plan->score_tiles) {
        for (int64_t i = 0; i < rows; i++)
            tlk_get()->binary(TLK_MUL, (const float *)attention_at(job, &job->q, head->b, head->h, first + i), 1,
                              &scale, 0, (float *)(scratch + plan->packed_q) + i * s->size, s->size);
        run_tiles(&head->scores, scratch + plan->packed_q, s->size, &head->keys, scratch + plan->packed_k);
    } else {
        kernel->pack_a(attention_at(job, &job->q, head->b, head->h, first), job->q.step, job->q.feature, rows, s->size,
                       0, blocks, scratch + plan->packed_q);
        scale_queries(job, scratch + plan->packed_q, rows * s->size);
        kernel->run(&head->scores, scratch + plan->packed_q, scratch + plan->packed_k, 0, blocks, 0,
                    kernel->panels(s->total));
    }
    score_rows(job, head->b, head->h, first, rows, scratch + plan->scores);
    if (plan->result_tiles) {
        run_tiles(&head->result, scratch + plan->scores, plan->row_step, &head->values, scratch + plan->packed_v);
    } else {
        kernel->pack_a(scratch + plan->scores, plan->row_step, 1, rows, s->total, 0, blocks, scratch + plan->packed_p);
        kernel->run(&head->result, scratch + plan->packed_p, scratch + plan->packed_v, 0, blocks, 0,
                    kernel->panels(s->value_size));
    }
}

static void attend_share(const attention_job *job, int64_t b, int64_t h, int64_t first, int64_t last, char *scratch)
{
    const attention_plan *plan = job->plan;
    const attention_sizes *s = &plan->s;
    const int64_t kv = h / (s->query_heads / s->heads);
    attention_head head = {.b = b,
                           .h = h,
                           .scores = {.n = s->total,
                                      .depth = s->size,
                                      .c = scratch + plan->scores,
                                      .c_row_step = plan->row_step,
                                      .c_column_step = 1,
                                      .alpha = 1,
                                      .activation = {.kind = TLK_LINEAR}},
                           .result = {.n = s->value_size,
                                      .depth = s->total,
                                      .c_row_step = job->y.step,
                                      .c_column_step = job->y.feature,
                                      .alpha = 1,
                                      .activation = {.kind = TLK_LINEAR}}};
    const char *keys = attention_at(job, &job->k, b, kv, 0), *values = attention_at(job, &job->v, b, kv, 0);
    if (plan->score_tiles)
        head.keys = (tlk_gemm_lines){(const float *)keys, job->k.step, job->k.feature, TLK_GEMM_SIDE * job->k.step};
    else
        place_right(job, keys, job->k.feature, job->k.step, &head.scores, scratch + plan->packed_k);
    if (plan->result_tiles)
        head.values =
            (tlk_gemm_lines){(const float *)values, job->v.feature, job->v.step, TLK_GEMM_SIDE * job->v.feature};
    else
        place_right(job, values, job->v.step, job->v.feature, &head.result, scratch + plan->packed_v);
    for (; first < last; first += plan->rows)
        attend_rows(job, &head, first, nn_min(plan->rows, last - first), scratch);
}

static void attention_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const attention_job *job = context;
    const attention_sizes *s = &job->plan->s;
    char *scratch = (char *)nn_at(job->call, job->plan->threads) + (size_t)thread * job->plan->each;
    for (int64_t i = begin; i < end; i++) {
        const int64_t share = i % job->shares, head = i / job->shares;
        attend_share(job, head / s->query_heads, head % s->query_heads, s->queries * share / job->shares,
                     s->queries * (share + 1) / job->shares, scratch);
    }
}

/* Cuts the queries of a head where threads would have nothing to do; each share packs keys and values anew. */
void attention_attend(attention_job *job)
{
    const attention_sizes *s = &job->plan->s;
    const int64_t heads = s->batch * s->query_heads, threads = job->call->thread_count;
    const int64_t most = attention_kernel(job->call->inputs[IN_Q])->blocks(s->queries);
    job->shares = 1;
    while (job->shares < most && heads * job->shares % threads != 0 && heads * job->shares < 4 * threads)
        job->shares++;
    job->call->host->parallel_for(job->call, attention_task, job, heads * job->shares,
                                  nn_grain(s->queries * s->total / job->shares, 1 << 10));
}
