/* TopK. K was an attribute before version 10. */
#include "kernels/kernels.h"
#include "onnx/order.h"
#include "onnx/tensor.h"

static const tl_param ins_1[] = {OP_IN("X", TL_T_FLOATS, 'T')};
static const tl_param ins_10[] = {OP_IN("X", TL_T_NUMERIC, 'T'), OP_IN("K", OP_T_INT64, 0)};
static const tl_param outs[] = {OP_IN("Values", TL_T_NUMERIC, 'T'), OP_IN("Indices", OP_T_INT64, 0)};
static const tl_attribute_spec attrs_1[] = {OP_INT("axis", -1), OP_REQUIRED_INT("k")};
static const tl_attribute_spec attrs_10[] = {OP_INT("axis", -1)};
static const tl_attribute_spec attrs_11[] = {OP_INT("axis", -1), OP_INT("largest", 1), OP_INT("sorted", 1)};

#define COLUMNS  64                    /* rows that are not contiguous are turned so many at a time, */
#define KEYS     16384                 /* but as far as there are no more keys than this */
#define FEW      128                   /* keys whose places are found by counting the lower ones */
#define SORTS(p) ((p)->k > (p)->n / 8) /* all, rather than gather the k first in a heap */

typedef struct top_plan {
    int32_t axis;
    int64_t n, k;
    int64_t inner;        /* elements between neighbours along the axis */
    int64_t columns;      /* rows that a thread takes at a time */
    int64_t thread_bytes; /* of workspace: entries, and n keys for each of these rows */
    int64_t entries;      /* k, or twice n to sort */
} top_plan;

/* K, or -1 where it is not known yet. */
static tl_status read_k(const tl_call *call, int64_t *k)
{
    int64_t count = 1;
    if (call->host->node_version(call->node) < 10) {
        *k = op_int(call, "k");
    } else {
        tl_status status = op_index_list(call, 1, k, 1, &count);
        if (status)
            return status;
        if (count == 0)
            return tl_fail(call, TL_INVALID_INPUT, "K has no element");
        if (count < 0) {
            *k = -1;
            return TL_OK;
        }
    }
    return *k < 0 ? tl_fail(call, TL_INVALID_INPUT, "K is %lld", (long long)*k) : TL_OK;
}

static tl_status top_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    int32_t axis;
    int64_t k;
    tl_status status = read_k(call, &k);
    if (status || x->rank == TL_RANK_UNKNOWN)
        return status ? status : op_unknown_shape(call);
    status = op_axis(call, "axis", op_int(call, "axis"), x->rank, &axis);
    if (status)
        return status;
    if (x->dims[axis] >= 0 && k > x->dims[axis])
        return tl_fail(call, TL_INVALID_INPUT, "K is %lld, but the axis has %lld elements", (long long)k,
                       (long long)x->dims[axis]);
    for (size_t i = 0; i < call->output_count; i++) {
        if (!call->outputs[i])
            continue;
        op_copy_shape(call->outputs[i], x);
        call->outputs[i]->dims[axis] = k < 0 ? TL_DIM_UNKNOWN : k;
    }
    if (!call->plan || k <= 0 || !op_plannable(x))
        return TL_OK;
    top_plan *plan = call->plan;
    *plan = (top_plan){.axis = axis, .n = x->dims[axis], .k = k, .inner = op_product(x, axis + 1, x->rank)};
    plan->columns = KEYS / (plan->n + 1) > COLUMNS ? COLUMNS : KEYS / (plan->n + 1) > 4 ? KEYS / (plan->n + 1) : 4;
    plan->columns = plan->columns < plan->inner ? plan->columns : plan->inner;
    plan->entries = SORTS(plan) ? 2 * plan->n : k;
    plan->thread_bytes =
        plan->n * plan->columns * (int64_t)(op_order_wide(x->type) ? sizeof(int64_t) : sizeof(int32_t)) +
        plan->entries * (int64_t)sizeof(op_entry);
    plan->thread_bytes = (plan->thread_bytes + 63) / 64 * 64;
    if (__builtin_mul_overflow((size_t)plan->thread_bytes, (size_t)call->thread_count, &call->workspace_size))
        return tl_fail(call, TL_NO_MEMORY, "the workspace overflows");
    return TL_OK;
}

/* Whether a stands behind b in the result: of equal ones the lower index comes first. */
static inline bool behind(op_entry a, op_entry b)
{
    return a.key > b.key || (a.key == b.key && a.index > b.index);
}

/* Puts `entry` at the root of a heap whose parents stand behind their children. */
static void sift_down(op_entry *heap, int64_t count, op_entry entry)
{
    int64_t at = 0;
    for (int64_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && behind(heap[child + 1], heap[child]))
            child++;
        if (!behind(heap[child], entry))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = entry;
}

static void sift_up(op_entry *heap, int64_t at, op_entry entry)
{
    while (at > 0 && behind(entry, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = entry;
}

/* The k lowest of n keys into a heap; of many keys most are passed over. */
static void select_wide(const int64_t *keys, int64_t n, op_entry *heap, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        sift_up(heap, i, (op_entry){keys[i], i});
    for (int64_t i = k; i < n; i++)
        if (keys[i] < heap[0].key)
            sift_down(heap, k, (op_entry){keys[i], i});
}
static void select_narrow(const int32_t *keys, int64_t n, op_entry *heap, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        sift_up(heap, i, (op_entry){keys[i], i});
    for (int64_t i = k; i < n;) {
        i += tlk_get()->whole->find_below(keys + i, n - i, (int32_t)heap[0].key);
        for (const int64_t end = n - i < TLK_SCAN ? n : i + TLK_SCAN; i < end; i++)
            if (keys[i] < heap[0].key)
                sift_down(heap, k, (op_entry){keys[i], i});
    }
}

/* Each of a few keys goes behind the lower ones, and behind equal ones that are there. */
static void place(const int32_t *keys, int64_t n, op_entry *entries)
{
    for (int64_t i = 0; i < n; i++)
        entries[i].index = -1;
    for (int64_t i = 0; i < n; i++) {
        const int32_t key = keys[i];
        int32_t lower = 0;
        for (int64_t j = 0; j < n; j++)
            lower += keys[j] < key;
        while (entries[lower].index >= 0)
            lower++;
        entries[lower] = (op_entry){key, i};
    }
}

/* The k lowest of n keys in order. */
static const op_entry *first_entries(const top_plan *plan, const void *keys, bool wide, op_entry *entries)
{
    const int64_t n = plan->n, k = plan->k;
    if (SORTS(plan) && n > FEW) {
        for (int64_t i = 0; i < n; i++)
            entries[i] = (op_entry){wide ? ((const int64_t *)keys)[i] : ((const int32_t *)keys)[i], i};
        return op_sort_entries(entries, entries + n, n);
    }
    if (SORTS(plan) && !wide) {
        place(keys, n, entries);
        return entries;
    }
    if (wide)
        select_wide(keys, n, entries, k);
    else
        select_narrow(keys, n, entries, k);
    for (int64_t left = k - 1; left > 0; left--) {
        const op_entry last = entries[left];
        entries[left] = entries[0];
        sift_down(entries, left, last);
    }
    return entries;
}

typedef struct top_job {
    const tl_call *call;
    const top_plan *plan;
    bool smallest;
} top_job;

/* The keys of `columns` rows beside each other, one row after the other; the lower, the earlier in the result. */
static void rank(const top_job *job, const char *from, int64_t columns, void *keys)
{
    const tl_tensor *x = job->call->inputs[0];
    const top_plan *plan = job->plan;
    const int64_t n = plan->n, step = plan->inner * (int64_t)op_type_size(x->type);
    const int64_t turned = job->smallest ? 0 : -1;
    const bool wide = op_order_wide(x->type);
    union {
        int64_t wide[COLUMNS];
        int32_t narrow[COLUMNS];
    } line;
    if (plan->inner == 1)
        op_order_keys(x->type, from, n, keys, turned);
    for (int64_t i = 0; i < n && plan->inner > 1; i++, from += step) {
        op_order_keys(x->type, from, columns, &line, turned);
        for (int64_t c = 0; c < columns; c++)
            if (wide)
                ((int64_t *)keys)[c * n + i] = line.wide[c];
            else
                ((int32_t *)keys)[c * n + i] = line.narrow[c];
    }
}

static void top_rows(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const top_job *job = context;
    const top_plan *plan = job->plan;
    const tl_tensor *x = job->call->inputs[0];
    const tl_tensor *values = op_output(job->call, 0), *indices = op_output(job->call, 1);
    const int64_t size = (int64_t)op_type_size(x->type);
    const bool wide = op_order_wide(x->type);
    op_entry *entries = (op_entry *)(void *)((char *)job->call->workspace + thread * plan->thread_bytes);
    char *keys = (char *)(entries + plan->entries);
    for (int64_t row = begin, columns; row < end; row += columns) {
        const int64_t outer = row / plan->inner, inner = row % plan->inner, left = plan->inner - inner;
        columns = left < plan->columns ? left : plan->columns;
        columns = columns < end - row ? columns : end - row;
        const char *from = (const char *)x->data + (outer * plan->n * plan->inner + inner) * size;
        rank(job, from, columns, keys);
        for (int64_t c = 0; c < columns; c++) {
            const op_entry *first = first_entries(plan, keys + c * plan->n * (wide ? 8 : 4), wide, entries);
            int64_t to = outer * plan->k * plan->inner + inner + c;
            for (int64_t i = 0; i < plan->k; i++, to += plan->inner) {
                const char *value = from + (first[i].index * plan->inner + c) * size;
                if (values && size == 4)
                    memcpy((char *)values->data + to * size, value, 4);
                else if (values)
                    memcpy((char *)values->data + to * size, value, (size_t)size);
                if (indices)
                    ((int64_t *)indices->data)[to] = first[i].index;
            }
        }
    }
}

static tl_status top_run(tl_call *call)
{
    const top_plan *plan = call->plan;
    if (plan->k <= 0)
        return TL_OK;
    bool smallest = call->host->node_version(call->node) >= 11 && op_int(call, "largest") == 0;
    top_job job = {call, plan, smallest};
    int64_t rows = op_elements(call->inputs[0]) / plan->n;
    int64_t grain = 1 + 8192 / plan->n;
    if (rows > grain && call->thread_count > 1)
        call->host->parallel_for(call, top_rows, &job, rows, grain);
    else
        top_rows(&job, 0, rows, 0);
    return TL_OK;
}

OP_DESCRIPTOR(TopK, 1) = {OP_HEAD(TopK, 1),
                          OP_PARAMS(input, ins_1),
                          OP_PARAMS(output, outs),
                          OP_PARAMS(attribute, attrs_1),
                          .plan_size = sizeof(top_plan),
                          .reshape = top_reshape,
                          .run = top_run};
OP_DESCRIPTOR(TopK, 10) = {OP_HEAD(TopK, 10),
                           OP_PARAMS(input, ins_10),
                           OP_PARAMS(output, outs),
                           OP_PARAMS(attribute, attrs_10),
                           .plan_size = sizeof(top_plan),
                           .reshape = top_reshape,
                           .run = top_run};
OP_DESCRIPTOR(TopK, 11) = {OP_HEAD(TopK, 11),
                           OP_PARAMS(input, ins_10),
                           OP_PARAMS(output, outs),
                           OP_PARAMS(attribute, attrs_11),
                           .plan_size = sizeof(top_plan),
                           .reshape = top_reshape,
                           .run = top_run};
