/* Unique: the different elements, or slices along an axis, sorted or in order of first occurrence. */
#include "onnx/order.h"
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("X", OP_T_CLASSIC, 'T')};
static const tl_param outs[] = {OP_IN("Y", OP_T_CLASSIC, 'T'), OP_OPT("indices", OP_T_INT64, 0),
                                OP_OPT("inverse_indices", OP_T_INT64, 0), OP_OPT("counts", OP_T_INT64, 0)};
static const tl_attribute_spec attrs[] = {OP_INT("axis", 0), OP_INT("sorted", 1)};

/* Slices i = 0..n-1; slice i holds, for each of `outer` blocks, `inner` neighbouring elements. */
typedef struct unique_slices {
    const tl_tensor *x;
    int64_t n, outer, inner;
} unique_slices;

static tl_status unique_slices_of(const tl_call *call, unique_slices *slices)
{
    const tl_tensor *x = call->inputs[0];
    int32_t axis;
    *slices = (unique_slices){.x = x, .n = op_elements(x), .outer = 1, .inner = 1};
    if (!op_given(call, "axis"))
        return TL_OK;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), x->rank, &axis);
    if (status)
        return status;
    slices->n = x->dims[axis];
    slices->outer = op_product(x, 0, axis);
    slices->inner = op_product(x, axis + 1, x->rank);
    return TL_OK;
}

static tl_status unique_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *y = op_output(call, 0);
    unique_slices slices;
    for (size_t k = 0; k < call->output_count; k++)
        if (call->outputs[k]) {
            call->outputs[k]->rank = 1;
            call->outputs[k]->dims[0] = TL_DIM_UNKNOWN;
        }
    if (x->rank == TL_RANK_UNKNOWN) {
        if (y && op_given(call, "axis"))
            y->rank = TL_RANK_UNKNOWN;
        return TL_OK;
    }
    if (op_given(call, "axis")) {
        int32_t axis;
        tl_status status = op_axis(call, "axis", op_int(call, "axis"), x->rank, &axis);
        if (status)
            return status;
        if (y) {
            op_copy_shape(y, x);
            y->dims[axis] = TL_DIM_UNKNOWN;
        }
    }
    if (!op_shape_known(x))
        return TL_OK;
    tl_status status = unique_slices_of(call, &slices);
    /* Two arrays of entries to sort in, groups, first occurrences, counts, new numbers. */
    if (!status && __builtin_mul_overflow((size_t)slices.n, 8 * sizeof(int64_t), &call->workspace_size))
        status = tl_fail(call, TL_NO_MEMORY, "the workspace overflows");
    return status;
}

static int64_t key_at(tl_type type, const void *data, int64_t i)
{
    int64_t wide = 0;
    int32_t narrow = 0;
    const void *from = (const char *)data + op_bytes(type, i);
    op_order_keys(type, from, 1, op_order_wide(type) ? (void *)&wide : &narrow, 0);
    return op_order_wide(type) ? wide : narrow;
}

static int compare_elements(const tl_tensor *x, int64_t a, int64_t b)
{
    tl_type type = x->type;
    int64_t key_a, key_b;
    int64_t parts = 1;
    if (type == TL_STRING)
        return op_compare_strings((const tl_string *)x->data + a, (const tl_string *)x->data + b);
    if (type == TL_COMPLEX64 || type == TL_COMPLEX128) {
        type = type == TL_COMPLEX64 ? TL_FLOAT : TL_DOUBLE;
        parts = 2;
    }
    for (int64_t p = 0; p < parts; p++) {
        key_a = key_at(type, x->data, a * parts + p);
        key_b = key_at(type, x->data, b * parts + p);
        if (key_a != key_b)
            return key_a < key_b ? -1 : 1;
    }
    return 0;
}

static int compare_slices(const unique_slices *slices, int64_t a, int64_t b)
{
    int64_t block = slices->n * slices->inner;
    for (int64_t o = 0; o < slices->outer; o++)
        for (int64_t i = 0; i < slices->inner; i++) {
            int64_t at = o * block + i;
            int order = compare_elements(slices->x, at + a * slices->inner, at + b * slices->inner);
            if (order)
                return order;
        }
    return 0;
}

/* Sorts 0..n-1 by their slices, equal ones by number; returns which of the two arrays holds the result. */
static int64_t *sort_slices(const unique_slices *slices, int64_t *from, int64_t *to)
{
    int64_t n = slices->n;
    for (int64_t i = 0; i < n; i++)
        from[i] = i;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t begin = 0; begin < n; begin += 2 * width) {
            int64_t middle = begin + width < n ? begin + width : n;
            int64_t end = middle + width < n ? middle + width : n;
            int64_t a = begin, b = middle;
            for (int64_t i = begin; i < end; i++) {
                bool left = a < middle && (b >= end || compare_slices(slices, from[a], from[b]) <= 0);
                to[i] = from[left ? a++ : b++];
            }
        }
        int64_t *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* The same of single numbers, by their keys; `memory` is for 4 n, and entries come back in it. */
static op_entry *sort_numbers(const unique_slices *slices, int64_t *memory)
{
    const int64_t n = slices->n;
    op_entry *entries = (op_entry *)(void *)memory;
    for (int64_t i = 0; i < n; i++)
        entries[i] = (op_entry){key_at(slices->x->type, slices->x->data, i), i};
    return op_sort_entries(entries, entries + n, n);
}

typedef struct unique_groups {
    int64_t count;
    int64_t *of;    /* slice -> group */
    int64_t *first; /* group -> slice */
    int64_t *size;
} unique_groups;

static void group_slices(const unique_slices *slices, int64_t *memory, bool sorted, unique_groups *groups)
{
    int64_t n = slices->n;
    const bool numbers =
        slices->outer == 1 && slices->inner == 1 && (TL_T(slices->x->type) & (TL_T_NUMERIC | OP_T_BOOL));
    const op_entry *entries = numbers ? sort_numbers(slices, memory) : NULL;
    const int64_t *order = numbers ? NULL : sort_slices(slices, memory, memory + n);
    *groups = (unique_groups){.of = memory + 4 * n, .first = memory + 5 * n, .size = memory + 6 * n};
    int64_t *renumbered = memory + 7 * n;
    for (int64_t i = 0; i < n; i++) {
        const int64_t slice = numbers ? entries[i].index : order[i];
        if (i == 0 ||
            (numbers ? entries[i - 1].key != entries[i].key : compare_slices(slices, order[i - 1], order[i]) != 0)) {
            groups->first[groups->count] = slice;
            groups->size[groups->count] = 0;
            renumbered[groups->count++] = -1;
        }
        groups->of[slice] = groups->count - 1;
        groups->size[groups->count - 1]++;
    }
    if (sorted)
        return;
    /* By first occurrence: number the groups anew as they come up, over what sorting no longer needs. */
    int64_t next = 0, *first = memory, *size = memory + n;
    for (int64_t i = 0; i < n; i++) {
        int64_t group = groups->of[i];
        if (renumbered[group] < 0) {
            first[next] = groups->first[group];
            size[next] = groups->size[group];
            renumbered[group] = next++;
        }
        groups->of[i] = renumbered[group];
    }
    groups->first = first;
    groups->size = size;
}

static tl_status give_list(tl_call *call, size_t k, const int64_t *list, int64_t n)
{
    if (!op_output(call, k))
        return TL_OK;
    void *to = call->host->output(call, k, 1, &n);
    if (!to)
        return TL_NO_MEMORY;
    if (n > 0)
        memcpy(to, list, (size_t)n * sizeof list[0]);
    return TL_OK;
}

static tl_status give_slices(tl_call *call, const unique_slices *slices, const unique_groups *groups)
{
    const tl_tensor *x = slices->x;
    int64_t dims[TL_MAX_RANK] = {groups->count};
    int32_t rank = 1, axis;
    if (op_given(call, "axis")) {
        tl_status status = op_axis(call, "axis", op_int(call, "axis"), x->rank, &axis);
        if (status)
            return status;
        rank = x->rank;
        memcpy(dims, x->dims, (size_t)rank * sizeof dims[0]);
        dims[axis] = groups->count;
    }
    char *to = call->host->output(call, 0, rank, dims);
    if (!to)
        return TL_NO_MEMORY;
    if (op_elements(x) == 0)
        return TL_OK;
    size_t bytes = (size_t)slices->inner * op_type_size(x->type);
    for (int64_t o = 0; o < slices->outer; o++)
        for (int64_t g = 0; g < groups->count; g++, to += bytes)
            memcpy(to, (const char *)x->data + (size_t)(o * slices->n + groups->first[g]) * bytes, bytes);
    return TL_OK;
}

static tl_status unique_run(tl_call *call)
{
    unique_slices slices;
    unique_groups groups;
    tl_status status = unique_slices_of(call, &slices);
    if (status)
        return status;
    if (op_elements(slices.x) == 0)
        slices.outer = slices.inner = 0; /* slices without elements are all equal */
    group_slices(&slices, call->workspace, op_int(call, "sorted") != 0, &groups);
    if (op_output(call, 0))
        status = give_slices(call, &slices, &groups);
    if (!status)
        status = give_list(call, 1, groups.first, groups.count);
    if (!status)
        status = give_list(call, 2, groups.of, slices.n);
    if (!status)
        status = give_list(call, 3, groups.size, groups.count);
    return status;
}

OP_DESCRIPTOR(Unique, 11) = {OP_HEAD(Unique, 11),         OP_PARAMS(input, ins),     OP_PARAMS(output, outs),
                             OP_PARAMS(attribute, attrs), .reshape = unique_reshape, .run = unique_run};
