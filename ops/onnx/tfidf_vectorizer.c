/* TfIdfVectorizer: how often the n-grams of a pool occur in each row. */
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("X", OP_T_STRING | TL_T_INDEX, 0)};
static const tl_param outs[] = {OP_IN("Y", TL_T(TL_FLOAT), 0)};
#define REQUIRED_INTS(label)                                           \
    {                                                                  \
        .name = label, .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED \
    }
static const tl_attribute_spec attrs[] = {
    OP_REQUIRED_INT("max_gram_length"),
    OP_REQUIRED_INT("max_skip_count"),
    OP_REQUIRED_INT("min_gram_length"),
    {.name = "mode", .kind = TL_ATTR_STRING, .flags = TL_ATTR_REQUIRED},
    REQUIRED_INTS("ngram_counts"),
    REQUIRED_INTS("ngram_indexes"),
    OP_INTS("pool_int64s"),
    {.name = "pool_strings", .kind = TL_ATTR_STRINGS},
    {.name = "weights", .kind = TL_ATTR_FLOATS},
};

/* A token of the pool or of the input: a string, or a number. */
typedef struct tfidf_tokens {
    const tl_string *strings;
    const int64_t *int64s;
    const int32_t *int32s;
} tfidf_tokens;

typedef struct tfidf_gram {
    int64_t first;  /* token of the pool */
    int64_t length; /* in tokens */
    int64_t number; /* in the pool: of equal ones the last counts */
    int64_t column; /* of the output */
} tfidf_gram;

typedef struct tfidf_state {
    tfidf_tokens pool;
    int64_t shortest, longest, skips;
    int64_t columns;
    const float *weights; /* one for each column, NULL: all 1 */
    bool once;            /* IDF: a count above 1 is 1 */
    int64_t count;
    tfidf_gram grams[]; /* sorted by length, tokens, number */
} tfidf_state;

static int64_t number_at(const tfidf_tokens *tokens, int64_t i)
{
    if (tokens->int64s)
        return tokens->int64s[i];
    return tokens->int32s ? tokens->int32s[i] : 0;
}

static int compare_tokens(const tfidf_tokens *a, int64_t i, const tfidf_tokens *b, int64_t k)
{
    if (a->strings && b->strings)
        return op_compare_strings(&a->strings[i], &b->strings[k]);
    int64_t x = number_at(a, i), y = number_at(b, k);
    return (x > y) - (x < y);
}

/* ---- Create */

static int compare_grams(const tfidf_tokens *pool, const tfidf_gram *a, const tfidf_gram *b)
{
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    for (int64_t i = 0; i < a->length; i++) {
        int order = compare_tokens(pool, a->first + i, pool, b->first + i);
        if (order)
            return order;
    }
    return (a->number > b->number) - (a->number < b->number);
}

static void sift(const tfidf_tokens *pool, tfidf_gram *heap, int64_t at, int64_t count)
{
    tfidf_gram gram = heap[at];
    for (int64_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && compare_grams(pool, &heap[child], &heap[child + 1]) < 0)
            child++;
        if (compare_grams(pool, &heap[child], &gram) <= 0)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = gram;
}

static void sort_grams(tfidf_state *state)
{
    for (int64_t i = state->count / 2; i-- > 0;)
        sift(&state->pool, state->grams, i, state->count);
    for (int64_t end = state->count - 1; end > 0; end--) {
        tfidf_gram last = state->grams[end];
        state->grams[end] = state->grams[0];
        state->grams[0] = last;
        sift(&state->pool, state->grams, 0, end);
    }
}

static tl_status count_columns(const tl_call *call, int64_t *columns)
{
    size_t n;
    const int64_t *indexes = op_ints(call, "ngram_indexes", &n);
    *columns = 0;
    for (size_t i = 0; i < n; i++) {
        if (indexes[i] < 0 || indexes[i] == INT64_MAX)
            return tl_fail(call, TL_INVALID_MODEL, "ngram_indexes[%zu] is %lld", i, (long long)indexes[i]);
        *columns = indexes[i] + 1 > *columns ? indexes[i] + 1 : *columns;
    }
    return TL_OK;
}

/* Lists the pool's n-grams; those of lengths that are not asked for only count. */
static tl_status list_grams(const tl_call *call, int64_t pool_size, tfidf_state *state)
{
    size_t sections, n;
    const int64_t *begins = op_ints(call, "ngram_counts", &sections);
    const int64_t *indexes = op_ints(call, "ngram_indexes", &n);
    int64_t number = 0;
    for (size_t s = 0; s < sections; s++) {
        int64_t begin = begins[s], end = s + 1 < sections ? begins[s + 1] : pool_size, length = (int64_t)s + 1;
        if (begin < 0 || end < begin || end > pool_size || (end - begin) % length != 0)
            return tl_fail(call, TL_INVALID_MODEL, "ngram_counts[%zu] is %lld, which does not fit a pool of %lld", s,
                           (long long)begin, (long long)pool_size);
        for (int64_t first = begin; first < end; first += length, number++) {
            if (number >= (int64_t)n)
                return tl_fail(call, TL_INVALID_MODEL, "the pool has more n-grams than ngram_indexes, %zu", n);
            if (length >= state->shortest && length <= state->longest)
                state->grams[state->count++] = (tfidf_gram){first, length, number, indexes[number]};
        }
    }
    return TL_OK;
}

static tl_status read_settings(const tl_call *call, tfidf_state *state)
{
    enum { TF, IDF, TFIDF };
    int mode = TF;
    size_t n;
    state->shortest = op_int(call, "min_gram_length");
    state->longest = op_int(call, "max_gram_length");
    state->skips = op_int(call, "max_skip_count");
    if (state->shortest < 1 || state->longest < state->shortest || state->skips < 0)
        return tl_fail(call, TL_INVALID_MODEL, "lengths %lld to %lld with skips to %lld make no sense",
                       (long long)state->shortest, (long long)state->longest, (long long)state->skips);
    const tl_status status = op_word(call, "mode", "TF IDF TFIDF", &mode);
    if (status != TL_OK)
        return status;
    state->once = mode == IDF;
    const float *weights = call->host->attribute_floats(call->node, "weights", &n);
    if (mode == TF || n == 0)
        return TL_OK;
    if ((int64_t)n < state->columns)
        return tl_fail(call, TL_INVALID_MODEL, "weights has %zu elements for %lld columns", n,
                       (long long)state->columns);
    state->weights = weights;
    return TL_OK;
}

static tl_status tfidf_create(tl_call *call)
{
    size_t ints, strings, grams, bytes;
    const int64_t *int64s = op_ints(call, "pool_int64s", &ints);
    const tl_string *texts = call->host->attribute_strings(call->node, "pool_strings", &strings);
    if ((ints > 0) == (strings > 0))
        return tl_fail(call, TL_INVALID_MODEL, "needs one of pool_int64s and pool_strings");
    if ((call->inputs[0]->type == TL_STRING) != (strings > 0))
        return tl_fail(call, TL_INVALID_MODEL, "the pool and the input have different types");
    op_ints(call, "ngram_indexes", &grams);
    if (__builtin_mul_overflow(grams, sizeof(tfidf_gram), &bytes) ||
        __builtin_add_overflow(bytes, sizeof(tfidf_state), &bytes))
        return tl_fail(call, TL_NO_MEMORY, "ngram_indexes is too long");
    tfidf_state *state = call->host->alloc(call->host, bytes, 64);
    if (!state)
        return tl_fail(call, TL_NO_MEMORY, "no memory for %zu n-grams", grams);
    *state = (tfidf_state){.pool = {.strings = strings > 0 ? texts : NULL, .int64s = strings > 0 ? NULL : int64s}};
    tl_status status = count_columns(call, &state->columns);
    if (!status)
        status = read_settings(call, state);
    if (!status)
        status = list_grams(call, (int64_t)(strings > 0 ? strings : ints), state);
    if (status) {
        call->host->free(call->host, state);
        return status;
    }
    sort_grams(state);
    int64_t longest = state->count > 0 ? state->grams[state->count - 1].length : 0;
    state->longest = longest < state->longest ? longest : state->longest;
    call->state = state;
    return TL_OK;
}

static tl_status tfidf_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *y = call->outputs[0];
    int64_t columns;
    tl_status status = count_columns(call, &columns);
    if (status || x->rank == TL_RANK_UNKNOWN)
        return status ? status : op_unknown_shape(call);
    if (x->rank > 2)
        return tl_fail(call, TL_INVALID_INPUT, "the input has rank %d, but must be [C] or [N, C]", x->rank);
    y->rank = x->rank == 2 ? 2 : 1;
    y->dims[0] = x->dims[0];
    y->dims[y->rank - 1] = columns;
    return TL_OK;
}

/* ---- Run */

/* The n-gram of `length` tokens of x from `first` on, `step` apart, or NULL. */
static const tfidf_gram *find_gram(const tfidf_state *state, const tfidf_tokens *x, int64_t first, int64_t step,
                                   int64_t length)
{
    int64_t low = 0, high = state->count;
    /* The last gram that is not above the one looked for. */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        const tfidf_gram *gram = &state->grams[middle];
        int order = gram->length < length ? -1 : gram->length > length;
        for (int64_t i = 0; order == 0 && i < length; i++)
            order = compare_tokens(&state->pool, gram->first + i, x, first + i * step);
        if (order <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || state->grams[low - 1].length != length)
        return NULL;
    for (int64_t i = 0; i < length; i++)
        if (compare_tokens(&state->pool, state->grams[low - 1].first + i, x, first + i * step) != 0)
            return NULL;
    return &state->grams[low - 1];
}

static void count_row(const tfidf_state *state, const tfidf_tokens *x, int64_t begin, int64_t n, float *to)
{
    int64_t skips = state->skips < n ? state->skips : n; /* larger steps meet nothing */
    int64_t longest = state->longest < n ? state->longest : n;
    for (int64_t step = 1; step <= skips + 1; step++) {
        /* Single tokens count once only. */
        int64_t shortest = step > 1 && state->shortest == 1 ? 2 : state->shortest;
        for (int64_t length = shortest; length <= longest && (length - 1) * step < n; length++)
            for (int64_t first = 0; first + (length - 1) * step < n; first++) {
                const tfidf_gram *gram = find_gram(state, x, begin + first, step, length);
                if (gram)
                    to[gram->column] += 1;
            }
    }
}

static tl_status tfidf_run(tl_call *call)
{
    const tfidf_state *state = call->state;
    const tl_tensor *x = call->inputs[0];
    float *to = call->outputs[0]->data;
    int64_t rows = x->rank == 2 ? x->dims[0] : 1, n = x->rank == 0 ? 1 : x->dims[x->rank - 1];
    tfidf_tokens tokens = {.strings = x->type == TL_STRING ? x->data : NULL,
                           .int64s = x->type == TL_INT64 ? x->data : NULL,
                           .int32s = x->type == TL_INT32 ? x->data : NULL};
    if (op_elements(call->outputs[0]) == 0)
        return TL_OK;
    memset(to, 0, (size_t)(rows * state->columns) * sizeof *to);
    if (op_elements(x) == 0)
        return TL_OK;
    for (int64_t row = 0; row < rows; row++, to += state->columns) {
        count_row(state, &tokens, row * n, n, to);
        for (int64_t c = 0; c < state->columns; c++) {
            if (state->once && to[c] > 1)
                to[c] = 1;
            if (state->weights)
                to[c] *= state->weights[c];
        }
    }
    return TL_OK;
}

OP_DESCRIPTOR(TfIdfVectorizer, 9) = {OP_HEAD(TfIdfVectorizer, 9), OP_PARAMS(input, ins), OP_PARAMS(output, outs),
                                     OP_PARAMS(attribute, attrs), .flags = TL_OP_LONG,   .create = tfidf_create,
                                     .reshape = tfidf_reshape,    .run = tfidf_run,      .destroy = op_free_state};
