/* Recognizing elementwise operators as steps. */
#include "onnx/rules.h"

#include <stdio.h>

static bool is_scalar(const tl_tensor *tensor)
{
    for (int32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] != 1)
            return false;
    return tensor->rank >= 0;
}

/* Whether `operand` broadcasts to the shape of `y` without making it larger, as far as can be seen: each axis is 1, or
 * the same number or symbol. */
static bool spreads(const tl_tensor *y, const tl_tensor *operand)
{
    if (y->rank < 0 || operand->rank < 0 || operand->rank > y->rank)
        return false;
    const int32_t shift = y->rank - operand->rank;
    for (int32_t i = 0; i < operand->rank; i++)
        if (operand->dims[i] != 1 && (operand->dims[i] == TL_DIM_UNKNOWN || operand->dims[i] != y->dims[i + shift]))
            return false;
    return true;
}

/* In axes [begin, end) of y the operand moves along in all or in none. */
static bool moves_as_one(const tl_tensor *y, const tl_tensor *operand, int32_t begin, int32_t end)
{
    const int32_t shift = y->rank - operand->rank;
    bool still = true, same = true;
    for (int32_t i = begin; i < end; i++) {
        const tl_dim dim = i >= shift ? operand->dims[i - shift] : 1;
        still &= dim == 1;
        same &= dim != 1 || y->dims[i] == 1;
    }
    return still || same;
}

static bool is_reached(const tl_tensor *y, const tl_tensor *operand, steps_reach reach)
{
    if (!spreads(y, operand))
        return false;
    if (reach == STEPS_ANY || is_scalar(operand))
        return true;
    if (reach == STEPS_COLUMNS)
        return y->rank >= 2 && moves_as_one(y, operand, 0, y->rank - 1);
    return y->rank >= 3 && moves_as_one(y, operand, 2, y->rank);
}

typedef struct named_step {
    const char *op, *step, *reversed; /* reversed: NULL if it does not matter which operand comes first */
    const char *attributes[2];        /* its parameters */
} named_step;

static const named_step unary_steps[] = {
    {"Relu", "Relu", NULL, {NULL, NULL}},
    {"LeakyRelu", "LeakyRelu", NULL, {"alpha", NULL}},
    {"HardSigmoid", "HardSigmoid", NULL, {"alpha", "beta"}},
    {"HardSwish", "HardSwish", NULL, {NULL, NULL}},
    {"Elu", "Elu", NULL, {"alpha", NULL}},
    {"Selu", "Selu", NULL, {"alpha", "gamma"}},
    {"Exp", "Exp", NULL, {NULL, NULL}},
    {"Mish", "Mish", NULL, {NULL, NULL}},
    {"Sigmoid", "Sigmoid", NULL, {NULL, NULL}},
    {"Softplus", "Softplus", NULL, {NULL, NULL}},
    {"Softsign", "Softsign", NULL, {NULL, NULL}},
    {"Tanh", "Tanh", NULL, {NULL, NULL}},
    {"Abs", "Abs", NULL, {NULL, NULL}},
    {"Neg", "Neg", NULL, {NULL, NULL}},
    {"Sqrt", "Sqrt", NULL, {NULL, NULL}},
    {"Reciprocal", "Reciprocal", NULL, {NULL, NULL}},
    {"Log", "Log", NULL, {NULL, NULL}},
    {"Erf", "Erf", NULL, {NULL, NULL}},
};
static const named_step binary_steps[] = {
    {"Add", "Add", "Add", {NULL, NULL}},    {"Sub", "Sub", "SubFrom", {NULL, NULL}},
    {"Mul", "Mul", "Mul", {NULL, NULL}},    {"Div", "Div", "DivInto", {NULL, NULL}},
    {"PRelu", "PRelu", NULL, {NULL, NULL}}, {"Min", "Min", "Min", {NULL, NULL}},
    {"Max", "Max", "Max", {NULL, NULL}},
};

static void append(steps_found *found, const char *name)
{
    const size_t used = strlen(found->text);
    snprintf(found->text + used, sizeof found->text - used, used ? " %s" : "%s", name); /* all are shorter than 16 */
    found->count++;
}

static void append_parameter(steps_found *found, double value)
{
    memcpy(&found->parameters[found->parameter_count++], &value, sizeof value);
}

/* Clip's bounds; false: they are computed. */
static bool find_clip(steps_found *found, const tl_node *node)
{
    double bounds[2];
    if (!rules_clip(found->host, node, bounds) || !(bounds[0] <= bounds[1]))
        return false; /* where they cross, or are NaN, orders differ */
    append(found, "Clip");
    append_parameter(found, bounds[0]);
    append_parameter(found, bounds[1]);
    return true;
}

static bool find_unary(steps_found *found, const tl_node *node)
{
    const tl_host *host = found->host;
    const char *op = host->node_operator(node);
    if (strcmp(op, "Clip") == 0)
        return find_clip(found, node);
    if (strcmp(op, "Gelu") == 0) {
        append(found, strcmp(host->attribute_string(node, "approximate", NULL), "tanh") == 0 ? "GeluTanh" : "Gelu");
        return true;
    }
    if (strcmp(op, "Swish") == 0) {
        if (host->attribute_float(node, "alpha") != 1.0F)
            return false;
        append(found, "Swish");
        return true;
    }
    for (size_t i = 0; i < sizeof unary_steps / sizeof unary_steps[0]; i++) {
        if (strcmp(op, unary_steps[i].op) != 0)
            continue;
        append(found, unary_steps[i].step);
        for (size_t k = 0; k < 2 && unary_steps[i].attributes[k]; k++)
            append_parameter(found, (double)host->attribute_float(node, unary_steps[i].attributes[k]));
        return true;
    }
    return false;
}

static bool find_binary(steps_found *found, const tl_node *node, const tl_value *x, steps_reach reach)
{
    const tl_host *host = found->host;
    const char *op = host->node_operator(node);
    if (host->node_input_count(node) != 2 || host->node_descriptor(node)->since_version < 7)
        return false; /* before version 7 broadcasting was another */
    const size_t at = host->node_input(node, 0) == x ? 0 : 1;
    tl_value *operand = host->node_input(node, 1 - at);
    if (!operand || operand == x || found->operand_count == found->most_operands ||
        host->value_tensor(operand)->type != found->type ||
        !is_reached(host->value_tensor(x), host->value_tensor(operand), reach))
        return false;
    for (size_t i = 0; i < sizeof binary_steps / sizeof binary_steps[0]; i++) {
        if (strcmp(op, binary_steps[i].op) != 0)
            continue;
        if (at == 1 && !binary_steps[i].reversed)
            return false;
        append(found, at ? binary_steps[i].reversed : binary_steps[i].step);
        found->operands[found->operand_count++] = operand;
        return true;
    }
    return false;
}

/* Half types are rounded behind each operator: only what a rounding more does not change may run in float. */
static bool is_exact(const tl_host *host, const tl_node *node)
{
    const char *op = host->node_operator(node);
    return strcmp(op, "Relu") == 0 || strcmp(op, "Clip") == 0;
}

bool steps_append(steps_found *found, const tl_node *node, const tl_value *x, steps_reach reach)
{
    const tl_host *host = found->host;
    if (*host->node_domain(node) || host->node_output_count(node) != 1 || !host->node_output(node, 0) ||
        found->count == TLK_MAX_STEPS || (nn_is_half(found->type) && !is_exact(host, node)))
        return false;
    if (!find_unary(found, node) && !find_binary(found, node, x, reach))
        return false;
    found->y = host->node_output(node, 0);
    return true;
}

bool steps_begin(const tl_host *host, const tl_value *x, steps_found *found)
{
    memset(found, 0, sizeof *found);
    found->host = host;
    found->most_operands = TLK_MAX_STEPS;
    found->type = x ? host->value_tensor(x)->type : TL_UNDEFINED;
    return (TL_T(found->type) & TL_T_FLOATS) != 0;
}

void steps_follow(steps_found *found, tl_value *x, steps_reach reach)
{
    const tl_host *host = found->host;
    found->y = x;
    for (const tl_node *user; (user = rules_only_user(host, found->y)) && steps_append(found, user, found->y, reach);)
        continue;
}

void steps_write(const steps_found *found, tl_rewrite *rewrite, tl_node *node)
{
    if (!node)
        return;
    found->host->set_string(rewrite, node, "steps", found->text);
    found->host->set_ints(rewrite, node, "parameters", found->parameters, found->parameter_count);
}
