/* Slice. Bounds were attributes before version 10; steps came with the inputs. */
#include "onnx/tensor.h"

static const tl_param ins_1[] = {OP_IN("data", OP_T_WHOLE, 'T')};
static const tl_param ins_10[] = {OP_IN("data", OP_T_WHOLE, 'T'), OP_IN("starts", TL_T_INDEX, 'I'),
                                  OP_SHAPE("ends", TL_T_INDEX, 'I', 0), OP_OPT("axes", TL_T_INDEX, 'I'),
                                  OP_OPT("steps", TL_T_INDEX, 'I')};
static const tl_param outs[] = {OP_IN("output", OP_T_WHOLE, 'T')};
static const tl_attribute_spec attrs_1[] = {
    {.name = "starts", .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED},
    {.name = "ends", .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED},
    OP_INTS("axes"),
};

/* A list of the node: count -1 where it is not known now. */
typedef struct slice_list {
    int64_t at[TL_MAX_RANK];
    int64_t count;
    bool given;
} slice_list;

static tl_status read_list(const tl_call *call, size_t k, const char *name, slice_list *list)
{
    *list = (slice_list){.given = true};
    if (call->host->node_version(call->node) >= 10) {
        list->given = op_input(call, k) != NULL;
        return list->given ? op_index_list(call, k, list->at, TL_MAX_RANK, &list->count) : TL_OK;
    }
    list->given = k <= 3 && op_given(call, name);
    if (!list->given)
        return TL_OK;
    size_t n;
    const int64_t *values = op_ints(call, name, &n);
    if (n > TL_MAX_RANK)
        return tl_fail(call, TL_INVALID_MODEL, "%s has %zu elements, but at most %d make sense here", name, n,
                       TL_MAX_RANK);
    list->count = (int64_t)n;
    if (n > 0)
        memcpy(list->at, values, n * sizeof values[0]);
    return TL_OK;
}

typedef struct slice_lists {
    slice_list starts, ends, axes, steps;
} slice_lists;

static tl_status read_lists(const tl_call *call, slice_lists *lists)
{
    tl_status status = read_list(call, 1, "starts", &lists->starts);
    if (!status)
        status = read_list(call, 2, "ends", &lists->ends);
    if (!status)
        status = read_list(call, 3, "axes", &lists->axes);
    if (!status)
        status = read_list(call, 4, "steps", &lists->steps);
    if (status)
        return status;
    int64_t n = lists->starts.count;
    const slice_list *others[] = {&lists->ends, &lists->axes, &lists->steps};
    for (size_t k = 0; k < 3; k++)
        if (n >= 0 && others[k]->given && others[k]->count >= 0 && others[k]->count != n)
            return tl_fail(call, TL_INVALID_MODEL, "starts has %lld elements, but %s has %lld", (long long)n,
                           k == 0   ? "ends"
                           : k == 1 ? "axes"
                                    : "steps",
                           (long long)others[k]->count);
    for (int64_t k = 0; lists->steps.given && k < lists->steps.count; k++)
        if (lists->steps.at[k] == 0)
            return tl_fail(call, TL_INVALID_MODEL, "steps[%lld] is 0", (long long)k);
    return TL_OK;
}

/* Where a slice of a dimension begins, and how many elements it has. */
static int64_t slice_count(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *begin)
{
    start += start < 0 ? dim : 0;
    end += end < 0 ? dim : 0;
    if (step > 0) {
        start = start < 0 ? 0 : start > dim ? dim : start;
        end = end < 0 ? 0 : end > dim ? dim : end;
        *begin = start;
        return end > start ? (end - start - 1) / step + 1 : 0;
    }
    start = start < 0 ? (dim > 0 ? 0 : -1) : start > dim - 1 ? dim - 1 : start;
    end = end < -1 ? -1 : end > dim - 1 ? dim - 1 : end;
    *begin = start;
    return start > end ? (int64_t)((uint64_t)(start - end - 1) / (0 - (uint64_t)step)) + 1 : 0;
}

/* All elements of a dimension that need not be known. */
static bool whole(int64_t start, int64_t end, int64_t step)
{
    return start == 0 && step == 1 && end == INT64_MAX;
}

static void unknown_dims(const slice_lists *lists, const int32_t *axes, int64_t count, tl_tensor *out)
{
    bool all = lists->axes.given && lists->axes.count < 0;
    for (int32_t i = 0; all && i < out->rank; i++)
        out->dims[i] = TL_DIM_UNKNOWN;
    for (int64_t k = 0; !all && k < count; k++)
        out->dims[axes[k]] = TL_DIM_UNKNOWN;
}

static tl_status read_slice_axes(const tl_call *call, const slice_lists *lists, int32_t rank, int32_t *axes,
                                 int64_t *count)
{
    /* Without axes the first ones are meant; of how many, any of the lists tells. */
    *count = lists->axes.given          ? lists->axes.count
             : lists->starts.count >= 0 ? lists->starts.count
             : lists->ends.count >= 0   ? lists->ends.count
                                        : rank;
    if (*count < 0)
        return TL_OK;
    if (lists->axes.given)
        return op_axes(call, lists->axes.at, *count, rank, axes);
    if (*count > rank)
        return tl_fail(call, TL_INVALID_MODEL, "starts has %lld elements for an input of rank %d", (long long)*count,
                       rank);
    for (int32_t i = 0; i < *count; i++)
        axes[i] = i;
    return TL_OK;
}

/* The copy that a slice is, from `offset` bytes on. */
typedef struct slice_plan {
    int64_t offset;
    op_copy copy;
} slice_plan;

static void prepare(slice_plan *plan, const tl_tensor *data, const tl_tensor *out, const int64_t *begin,
                    const int64_t *step)
{
    size_t size = op_type_size(data->type);
    int64_t from[TL_MAX_RANK], to[TL_MAX_RANK];
    plan->offset = 0;
    op_strides(data, size, from);
    op_strides(out, size, to);
    for (int32_t i = 0; i < data->rank; i++) {
        plan->offset += out->dims[i] > 0 ? begin[i] * from[i] : 0;
        /* Where more than one element is taken, the step is shorter than the dimension. */
        from[i] = out->dims[i] > 1 ? from[i] * step[i] : 0;
    }
    op_copy_init(&plan->copy, size, out->rank, out->dims, to, from);
}

static void slice_dims(const slice_lists *lists, const int32_t *axes, int64_t count, const tl_tensor *data,
                       tl_tensor *out, int64_t *begin, int64_t *step)
{
    for (int32_t i = 0; i < data->rank; i++) {
        begin[i] = 0;
        step[i] = 1;
    }
    for (int64_t k = 0; k < count; k++) {
        int32_t axis = axes[k];
        int64_t start = lists->starts.at[k], end = lists->ends.at[k];
        step[axis] = lists->steps.given ? lists->steps.at[k] : 1;
        if (data->dims[axis] >= 0)
            out->dims[axis] = slice_count(data->dims[axis], start, end, step[axis], &begin[axis]);
        else if (!whole(start, end, step[axis]))
            out->dims[axis] = TL_DIM_UNKNOWN;
    }
}

/* Whether the elements lie side by side: behind the first axis that has several, all are taken as they come. */
static bool is_stretch(const tl_tensor *data, const tl_tensor *out, const int64_t *step)
{
    bool several = false;
    for (int32_t i = 0; i < out->rank; i++) {
        if ((several && out->dims[i] != data->dims[i]) || (out->dims[i] > 1 && step[i] != 1))
            return false;
        several |= out->dims[i] > 1;
    }
    return true;
}

static tl_status slice_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    slice_lists lists;
    int32_t axes[TL_MAX_RANK] = {0};
    int64_t count, begin[TL_MAX_RANK], step[TL_MAX_RANK];
    tl_status status = read_lists(call, &lists);
    op_copy_shape(out, data);
    if (status || data->rank == TL_RANK_UNKNOWN)
        return status;
    status = read_slice_axes(call, &lists, data->rank, axes, &count);
    if (status)
        return status;
    if (count < 0 || lists.starts.count < 0 || lists.ends.count < 0 || lists.steps.count < 0) {
        unknown_dims(&lists, axes, count, out);
        return TL_OK;
    }
    slice_dims(&lists, axes, count, data, out, begin, step);
    slice_plan *plan = call->plan;
    if (!plan || !op_plannable(out))
        return TL_OK;
    prepare(plan, data, out, begin, step);
    call->view = call->parts && is_stretch(data, out, step);
    if (call->view)
        call->parts[0] = plan->offset;
    return TL_OK;
}

static tl_status slice_run(tl_call *call)
{
    const slice_plan *plan = call->plan;
    if (op_elements(call->outputs[0]) > 0)
        op_copy_run(call, &plan->copy, call->outputs[0]->data, (const char *)call->inputs[0]->data + plan->offset);
    return TL_OK;
}

/* Where a slice begins is counted from the beginning; an end that is not is seen by its length. */
static bool slice_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    slice_lists lists;
    int32_t axes[TL_MAX_RANK] = {0};
    int64_t count;
    if (k != 0 || read_lists(call, &lists) || lists.starts.count < 0 || lists.steps.count < 0 ||
        read_slice_axes(call, &lists, call->inputs[0]->rank, axes, &count))
        return false;
    for (int64_t i = 0; i < count; i++)
        if (axes[i] == axis) {
            const int64_t step = lists.steps.given ? lists.steps.at[i] : 1, start = lists.starts.at[i];
            if (step < 0 || start < 0)
                return false;
            *reach = (tl_reach){step, -start, start};
        }
    return true;
}

OP_DESCRIPTOR(Slice, 1) = {OP_HEAD(Slice, 1),
                           OP_PARAMS(input, ins_1),
                           OP_PARAMS(output, outs),
                           OP_PARAMS(attribute, attrs_1),
                           .plan_size = sizeof(slice_plan),
                           .reshape = slice_reshape,
                           .run = slice_run,
                           .reach = slice_reach};
OP_DESCRIPTOR(Slice, 10) = {
    OP_HEAD(Slice, 10),       OP_PARAMS(input, ins_10), OP_PARAMS(output, outs), .plan_size = sizeof(slice_plan),
    .reshape = slice_reshape, .run = slice_run,         .reach = slice_reach};
