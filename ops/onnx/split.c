/* Split. The lengths were an attribute before version 13, and are an input since; or the parts are equal. */
#include "onnx/tensor.h"

static const tl_param ins_2[] = {OP_IN("input", OP_T_WHOLE, 'T')};
static const tl_param ins_13[] = {OP_IN("input", OP_T_WHOLE, 'T'), OP_OPT("split", OP_T_INT64, 0)};
static const tl_param outs[] = {OP_VAR("outputs", OP_T_WHOLE, 'T')};
static const tl_attribute_spec attrs_2[] = {OP_INT("axis", 0), OP_INTS("split")};
static const tl_attribute_spec attrs_13[] = {OP_INT("axis", 0)};
static const tl_attribute_spec attrs_18[] = {OP_INT("axis", 0), OP_INT("num_outputs", 0)};

/* How long the parts are: given one by one, or as many elements each as `part` until there are no more. */
typedef struct split_rule {
    const int64_t *lengths;
    int64_t part;
    bool known;
} split_rule;

static tl_status split_lengths(const tl_call *call, split_rule *rule)
{
    const tl_tensor *list = NULL;
    size_t count = 0;
    if (call->host->node_version(call->node) < 13) {
        rule->lengths = op_ints(call, "split", &count);
        rule->known = true;
        if (!op_given(call, "split"))
            rule->lengths = NULL;
    } else if ((list = op_input(call, 1)) != NULL) {
        if (!op_shape_known(list) || !list->data) {
            rule->known = false;
            return TL_OK;
        }
        rule->lengths = list->data;
        count = (size_t)op_elements(list);
    }
    if (rule->lengths && count != call->output_count)
        return tl_fail(call, TL_INVALID_MODEL, "split has %zu elements for %zu outputs", count, call->output_count);
    return TL_OK;
}

/* The rule for a dimension, which may be unknown. */
static tl_status split_rule_for(const tl_call *call, tl_dim dim, split_rule *rule)
{
    *rule = (split_rule){.known = true};
    tl_status status = split_lengths(call, rule);
    if (status || !rule->known)
        return status;
    if (rule->lengths) {
        int64_t sum = 0;
        for (size_t k = 0; k < call->output_count; k++) {
            if (rule->lengths[k] < 0)
                return tl_fail(call, TL_INVALID_INPUT, "split[%zu] is %lld", k, (long long)rule->lengths[k]);
            if (__builtin_add_overflow(sum, rule->lengths[k], &sum))
                return tl_fail(call, TL_INVALID_INPUT, "the sum of split overflows");
        }
        if (dim >= 0 && sum != dim)
            return tl_fail(call, TL_INVALID_INPUT, "the sum of split is %lld, but the dimension is %lld",
                           (long long)sum, (long long)dim);
        return TL_OK;
    }
    int64_t parts = (int64_t)call->output_count;
    bool ragged = call->host->node_version(call->node) >= 18 && op_given(call, "num_outputs");
    if (ragged && op_int(call, "num_outputs") < parts)
        return tl_fail(call, TL_INVALID_MODEL, "num_outputs is %lld, but the node has %lld outputs",
                       (long long)op_int(call, "num_outputs"), (long long)parts);
    if (ragged)
        parts = op_int(call, "num_outputs");
    if (dim < 0) {
        rule->known = false;
        return TL_OK;
    }
    if (parts == 0 || (!ragged && dim % parts != 0))
        return tl_fail(call, TL_INVALID_INPUT, "a dimension of %lld cannot be split into %lld equal parts",
                       (long long)dim, (long long)parts);
    rule->part = dim / parts + (dim % parts != 0);
    return TL_OK;
}

/* The length of part k of a known rule, which begins at `begin`. */
static int64_t part_length(const split_rule *rule, size_t k, int64_t begin, int64_t dim)
{
    if (rule->lengths)
        return rule->lengths[k];
    return dim - begin < rule->part ? dim - begin : rule->part;
}

static tl_status split_reshape(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    split_rule rule;
    int32_t axis;
    if (in->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), in->rank, &axis);
    if (!status)
        status = split_rule_for(call, in->dims[axis], &rule);
    if (status)
        return status;
    int64_t begin = 0;
    call->view = call->parts && rule.known && op_plannable(in) && op_product(in, 0, axis) == 1;
    const int64_t inner =
        call->view ? op_product(in, axis + 1, in->rank) * (int64_t)op_type_size(in->type) : 0; /* bytes */
    for (size_t k = 0; k < call->output_count; k++) {
        int64_t length = rule.known ? part_length(&rule, k, begin, in->dims[axis]) : TL_DIM_UNKNOWN;
        if (call->view)
            call->parts[k] = begin * inner;
        begin += rule.known ? length : 0;
        if (!call->outputs[k])
            continue;
        op_copy_shape(call->outputs[k], in);
        call->outputs[k]->dims[axis] = length;
    }
    return TL_OK;
}

static tl_status split_run(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    split_rule rule;
    int32_t axis;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), in->rank, &axis);
    if (!status)
        status = split_rule_for(call, in->dims[axis], &rule);
    if (status || op_elements(in) == 0)
        return status;
    int64_t rows = op_product(in, 0, axis), begin = 0;
    int64_t inner = op_product(in, axis + 1, in->rank) * (int64_t)op_type_size(in->type);
    for (size_t k = 0; k < call->output_count; k++) {
        int64_t length = part_length(&rule, k, begin, in->dims[axis]);
        tl_tensor *out = call->outputs[k];
        void *to = out ? out->data : NULL;
        if (out && !to && length > 0) {
            int64_t dims[TL_MAX_RANK];
            memcpy(dims, in->dims, sizeof dims);
            dims[axis] = length;
            to = call->host->output(call, k, in->rank, dims);
            if (!to)
                return TL_NO_MEMORY;
        }
        if (to)
            op_copy_rows(call, to, length * inner, (const char *)in->data + begin * inner, in->dims[axis] * inner, rows,
                         length * inner);
        begin += length;
    }
    return TL_OK;
}

OP_DESCRIPTOR(Split, 2) = {
    OP_HEAD(Split, 2),        OP_PARAMS(input, ins_2), OP_PARAMS(output, outs), OP_PARAMS(attribute, attrs_2),
    .reshape = split_reshape, .run = split_run,        .reach = op_reach_beside};
OP_DESCRIPTOR(Split, 13) = {
    OP_HEAD(Split, 13),       OP_PARAMS(input, ins_13), OP_PARAMS(output, outs), OP_PARAMS(attribute, attrs_13),
    .reshape = split_reshape, .run = split_run,         .reach = op_reach_beside};
OP_DESCRIPTOR(Split, 18) = {
    OP_HEAD(Split, 18),       OP_PARAMS(input, ins_13), OP_PARAMS(output, outs), OP_PARAMS(attribute, attrs_18),
    .reshape = split_reshape, .run = split_run,         .reach = op_reach_beside};
