#include "onnx/op.h"

void op_free_state(const tl_host *host, void *state)
{
    host->free(host, state);
}

int op_compare_strings(const tl_string *a, const tl_string *b)
{
    const size_t common = a->size < b->size ? a->size : b->size;
    const int order = common > 0 ? memcmp(a->data, b->data, common) : 0;
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

tl_status op_word(const tl_call *call, const char *attribute, const char *words, int *which)
{
    const char *given = op_string(call, attribute), *word = words;
    for (int k = 0; *word; k++) {
        const size_t length = strcspn(word, " ");
        if (strncmp(given, word, length) == 0 && !given[length]) {
            *which = k;
            return TL_OK;
        }
        word += length + strspn(word + length, " ");
    }
    return tl_fail(call, TL_INVALID_MODEL, "%s is '%.40s', but must be one of: %s", attribute, given, words);
}

tl_status op_axis(const tl_call *call, const char *what, int64_t axis, int32_t rank, int32_t *result)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return tl_fail(call, TL_INVALID_MODEL, "%s is %lld, but must be in [%d, %d] for rank %d", what, (long long)axis,
                       -rank, rank - 1, rank);
    *result = (int32_t)(axis < 0 ? axis + rank : axis);
    return TL_OK;
}

bool op_reach_all(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    (void)call, (void)k, (void)axis, (void)reach;
    return true;
}

bool op_reach_first(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    (void)call, (void)axis, (void)reach;
    return k == 0;
}

bool op_reach_rows(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    (void)reach;
    return k == 0 && axis < call->inputs[0]->rank - 1;
}

bool op_reach_beside(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const int64_t own = op_int(call, "axis");
    (void)reach;
    return axis != (own < 0 ? own + call->inputs[k]->rank : own);
}

/* One dimension against another: 1 gives way; an unknown one gives way to a known one above 1. */
static bool merge_dims(tl_dim a, tl_dim b, tl_dim *merged)
{
    if (a >= 0 && b >= 0 && a != b && a != 1 && b != 1)
        return false;
    if (a == 1)
        *merged = b;
    else if (b == 1 || a == b || a >= 0)
        *merged = a;
    else
        *merged = b >= 0 ? b : TL_DIM_UNKNOWN;
    return true;
}

tl_status op_broadcast(const tl_call *call, const tl_tensor *const *inputs, size_t count, tl_tensor *out)
{
    int32_t rank = 0;
    for (size_t k = 0; k < count; k++) {
        const tl_tensor *in = inputs[k];
        if (in && in->rank == TL_RANK_UNKNOWN) {
            out->rank = TL_RANK_UNKNOWN;
            return TL_OK;
        }
        if (in && in->rank > rank)
            rank = in->rank;
    }
    out->rank = rank;
    for (int32_t i = 0; i < rank; i++)
        out->dims[i] = 1;
    for (size_t k = 0; k < count; k++) {
        const tl_tensor *in = inputs[k];
        for (int32_t i = 0; in && i < in->rank; i++) {
            int32_t at = rank - in->rank + i;
            tl_dim before = out->dims[at];
            if (!merge_dims(before, in->dims[i], &out->dims[at]))
                return tl_fail(call, TL_INVALID_INPUT,
                               "dimension %d of input %zu is %lld, which does not broadcast "
                               "with %lld",
                               i, k, (long long)in->dims[i], (long long)before);
        }
    }
    return TL_OK;
}

tl_status op_index_list(const tl_call *call, size_t k, int64_t *values, int64_t capacity, int64_t *count)
{
    const tl_tensor *in = op_input(call, k);
    *count = -1;
    if (!in || in->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    if (in->rank > 1)
        return tl_fail(call, TL_INVALID_MODEL, "input %zu has rank %d, but must be a list", k, in->rank);
    int64_t n = in->rank == 0 ? 1 : in->dims[0];
    if (n > capacity)
        return tl_fail(call, TL_INVALID_MODEL, "input %zu has %lld elements, but at most %lld make sense here", k,
                       (long long)n, (long long)capacity);
    if (n < 0 || (n > 0 && !in->data))
        return TL_OK;
    for (int64_t i = 0; i < n; i++)
        values[i] = in->type == TL_INT64 ? ((const int64_t *)in->data)[i] : ((const int32_t *)in->data)[i];
    *count = n;
    return TL_OK;
}
