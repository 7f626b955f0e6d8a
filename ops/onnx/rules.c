#include "onnx/rules.h"

bool rules_is(const tl_host *host, const tl_node *node, const char *op)
{
    return node && *host->node_domain(node) == '\0' && strcmp(host->node_operator(node), op) == 0;
}

tl_node *rules_only_user(const tl_host *host, const tl_value *value)
{
    return host->value_use_count(value) == 1 ? host->value_user(value, 0) : NULL;
}

bool rules_scalar(const tl_host *host, tl_value *value, double *number)
{
    const tl_tensor *tensor = value ? host->value_tensor(value) : NULL;
    if (!tensor || !host->value_is_constant(value) || !(TL_T(tensor->type) & TL_T_FLOATS) || tensor->rank < 0)
        return false;
    for (int32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] != 1)
            return false;
    if (!host->value_data(value))
        return false;
    *number = op_load_number(host->value_tensor(value), 0);
    return true;
}

bool rules_clip(const tl_host *host, const tl_node *node, double bounds[2])
{
    if (!rules_is(host, node, "Clip"))
        return false;
    if (host->node_descriptor(node)->since_version < 11) {
        bounds[0] = (double)host->attribute_float(node, "min");
        bounds[1] = (double)host->attribute_float(node, "max");
        return true;
    }
    for (size_t k = 0; k < 2; k++) {
        bounds[k] = k ? (double)INFINITY : -(double)INFINITY;
        if (host->node_input(node, k + 1) && !rules_scalar(host, host->node_input(node, k + 1), &bounds[k]))
            return false;
    }
    return true;
}

const int64_t *rules_constant_list(const tl_host *host, tl_value *value, size_t *count)
{
    *count = 0;
    if (!value || !host->value_is_constant(value) || host->value_tensor(value)->type != TL_INT64 ||
        host->value_tensor(value)->rank > 1)
        return NULL;
    const int64_t *data = host->value_data(value);
    *count = data ? (size_t)op_elements(host->value_tensor(value)) : 0;
    return data;
}

const int64_t *rules_list(const tl_host *host, const tl_node *node, const char *name, size_t *count)
{
    tl_value *given = host->node_input(node, 1);
    return given ? rules_constant_list(host, given, count) : host->attribute_ints(node, name, count);
}

uint32_t rules_axes(const tl_host *host, const tl_node *node, int32_t rank)
{
    size_t count;
    const int64_t *axes = rules_list(host, node, "axes", &count);
    uint32_t bits = 0;
    for (size_t i = 0; i < count && rank > 0; i++) /* that they are in range, inference has checked */
        bits |= 1u << (axes[i] < 0 ? axes[i] + rank : axes[i]);
    return bits;
}

int rules_other_input(const tl_host *host, const tl_node *node, const tl_value *value)
{
    if (host->node_input_count(node) != 2)
        return -1;
    const bool first = host->node_input(node, 0) == value, second = host->node_input(node, 1) == value;
    return first == second ? -1 : first ? 1 : 0;
}
