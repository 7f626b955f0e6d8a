/* TopK. K was an attribute before version 10. */
#include "onnx/order.h"
#include "onnx/tensor.h"

static const tl_param ins_1[] = {OP_IN("X", TL_T_FLOATS, 'T')};
static const tl_param ins_10[] = {OP_IN("X", TL_T_NUMERIC, 'T'), OP_IN("K", OP_T_INT64, 0)};
static const tl_param outs[] = {OP_IN("Values", TL_T_NUMERIC, 'T'), OP_IN("Indices", OP_T_INT64, 0)};
static const tl_attribute_spec attrs_1[] = {OP_INT("axis", -1), OP_REQUIRED_INT("k")};
static const tl_attribute_spec attrs_10[] = {OP_INT("axis", -1)};
static const tl_attribute_spec attrs_11[] = {OP_INT("axis", -1), OP_INT("largest", 1), OP_INT("sorted", 1)};

typedef struct top_entry {
    uint64_t key;
    int64_t index;
} top_entry;

typedef struct top_plan {
    int32_t axis;
    int64_t n, k;
    int64_t inner;        /* elements between neighbours along the axis */
    int64_t thread_bytes; /* of workspace: n keys, k entries */
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
    plan->thread_bytes = plan->n * (int64_t)sizeof(uint64_t) + k * (int64_t)sizeof(top_entry);
    if (__builtin_mul_overflow((size_t)plan->thread_bytes, (size_t)call->thread_count, &call->workspace_size))
        return tl_fail(call, TL_NO_MEMORY, "the workspace overflows");
    return TL_OK;
}

/* Whether a stands behind b in the result: of equal ones the lower index comes first. */
static inline bool behind(top_entry a, top_entry b)
{
    return a.key < b.key || (a.key == b.key && a.index > b.index);
}

/* Puts `entry` at the root of a heap whose parents stand behind their children. */
static void sift_down(top_entry *heap, int64_t count, top_entry entry)
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

static void sift_up(top_entry *heap, int64_t at, top_entry entry)
{
    while (at > 0 && behind(entry, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = entry;
}

/* The k first of n keys, in order. */
static void select_top(const uint64_t *keys, int64_t n, top_entry *heap, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        sift_up(heap, i, (top_entry){keys[i], i});
    for (int64_t i = k; i < n; i++)
        if (keys[i] > heap[0].key)
            sift_down(heap, k, (top_entry){keys[i], i});
    for (int64_t left = k - 1; left > 0; left--) {
        top_entry last = heap[left];
        heap[left] = heap[0];
        sift_down(heap, left, last);
    }
}

typedef struct top_job {
    const tl_call *call;
    const top_plan *plan;
    bool smallest;
} top_job;

static void top_rows(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const top_job *job = context;
    const top_plan *plan = job->plan;
    const tl_tensor *x = job->call->inputs[0];
    const tl_tensor *values = op_output(job->call, 0), *indices = op_output(job->call, 1);
    size_t size = op_type_size(x->type);
    uint64_t *keys = (uint64_t *)((char *)job->call->workspace + thread * plan->thread_bytes);
    top_entry *heap = (top_entry *)(keys + plan->n);
    for (int64_t row = begin; row < end; row++) {
        int64_t outer = row / plan->inner, inner = row % plan->inner;
        const char *from = (const char *)x->data + (size_t)(outer * plan->n * plan->inner + inner) * size;
        op_order_keys(x->type, from, plan->inner, plan->n, keys);
        for (int64_t i = 0; job->smallest && i < plan->n; i++)
            keys[i] = ~keys[i];
        select_top(keys, plan->n, heap, plan->k);
        int64_t to = outer * plan->k * plan->inner + inner;
        for (int64_t i = 0; i < plan->k; i++, to += plan->inner) {
            if (values)
                memcpy((char *)values->data + (size_t)to * size, from + (size_t)(heap[i].index * plan->inner) * size,
                       size);
            if (indices)
                ((int64_t *)indices->data)[to] = heap[i].index;
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
