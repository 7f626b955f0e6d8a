/* Dimensions that an exporter reads from a shape at run time. */
#include "onnx/rules.h"

bool rules_number(const tl_host *host, tl_value *list, int64_t *number)
{
    size_t count;
    const int64_t *values = rules_constant_list(host, list, &count);
    if (count == 1)
        *number = values[0];
    return count == 1;
}

tl_dim rules_dimension(const tl_host *host, const tl_value *element)
{
    int64_t at = 0;
    bool picked = false;
    for (const tl_node *node; (node = host->value_producer(element)); element = host->node_input(node, 0)) {
        if (rules_is(host, node, "Shape")) {
            const tl_tensor *x = host->value_tensor(host->node_input(node, 0)), *list = host->value_tensor(element);
            int64_t start = host->node_descriptor(node)->since_version < 15 ? 0 : host->attribute_int(node, "start");
            start = nn_max(start < 0 ? start + x->rank : start, 0);
            if (list->rank != 1 || list->dims[0] < 1 || (!picked && list->dims[0] != 1))
                return TL_DIM_UNKNOWN;
            at += at < 0 ? list->dims[0] : 0;
            return at >= 0 && at < list->dims[0] && start + at < x->rank ? x->dims[start + at] : TL_DIM_UNKNOWN;
        }
        const bool picks = rules_is(host, node, "Gather") || rules_is(host, node, "Slice");
        const tl_tensor *one = host->value_tensor(element);
        if (picks ? picked || one->rank < 0 || one->rank > 1 || (one->rank == 1 && one->dims[0] != 1) ||
                        !rules_number(host, host->node_input(node, 1), &at)
                  : !rules_is(host, node, "Unsqueeze") && !rules_is(host, node, "Squeeze"))
            return TL_DIM_UNKNOWN;
        picked |= picks;
    }
    return TL_DIM_UNKNOWN;
}

/* One that is known, though others of the shape are not: a constant. Folding goes on from there. */
static tl_status known_dimension(const tl_host *host, tl_rewrite *rewrite, tl_node *gather)
{
    tl_value *y = host->node_output(gather, 0);
    int64_t dim = y ? rules_dimension(host, y) : TL_DIM_UNKNOWN;
    if (dim < 0)
        return TL_OK;
    tl_tensor number = *host->value_tensor(y);
    number.data = &dim;
    tl_value *constant = host->new_constant(rewrite, "dimension", &number);
    return constant && host->new_node(rewrite, "", "Identity", host->node_name(gather), &constant, 1, &y, 1)
               ? host->commit(rewrite)
               : TL_OK;
}
RULE(known_dimension, TL_PHASE_QUANTIZED, "", "Gather", known_dimension);
