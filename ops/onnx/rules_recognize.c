/* What exporters wrote as several operators, because the opset had none for it, as the one that it is. */
#include "onnx/rules.h"

static bool is_near(double x, double y)
{
    return fabs(x - y) <= 1e-4 * fabs(y);
}

/* Whether `node` is op(value, number) or, where the order does not matter, op(number, value), and gives `value`'s
 * shape; *other is the operand that is not the number. */
static bool is_with_number(const tl_host *host, const tl_node *node, const char *op, double number, tl_value **other)
{
    if (!rules_is(host, node, op) || host->node_descriptor(node)->since_version < 7)
        return false;
    for (size_t k = 0; k < 2; k++) {
        tl_value *constant = host->node_input(node, 1 - k), *value = host->node_input(node, k);
        double found;
        if (k == 1 && strcmp(op, "Div") == 0)
            break;
        if (!rules_scalar(host, constant, &found) || !is_near(found, number) || host->value_is_constant(value))
            continue;
        const int32_t rank = host->value_tensor(value)->rank, own = host->value_tensor(constant)->rank;
        if (own > 0 && own > rank)
            continue;
        *other = value;
        return true;
    }
    return false;
}

/* value / number, or value * (1 / number). */
static bool is_divided(const tl_host *host, const tl_node *node, double number, tl_value **value)
{
    return is_with_number(host, node, "Div", number, value) || is_with_number(host, node, "Mul", 1 / number, value);
}

/* The only reader of `y`, if it multiplies it with `x`. */
static const tl_node *times(const tl_host *host, const tl_value *y, const tl_value *x)
{
    const tl_node *user = rules_only_user(host, y);
    if (!rules_is(host, user, "Mul") || host->node_descriptor(user)->since_version < 7)
        return NULL;
    const int other = rules_other_input(host, user, y);
    return other >= 0 && host->node_input(user, (size_t)other) == x ? user : NULL;
}

/* The only reader of `y`, if it divides it by `number`. */
static const tl_node *divided(const tl_host *host, const tl_value *y, double number)
{
    const tl_node *user = rules_only_user(host, y);
    tl_value *value;
    return user && is_divided(host, user, number, &value) && value == y ? user : NULL;
}

static tl_value *output(const tl_host *host, const tl_node *node)
{
    return host->node_output(node, 0);
}

/* Half types are rounded behind each operator: they stay as they are. */
static bool is_wide(const tl_host *host, const tl_value *x)
{
    const tl_type type = host->value_tensor(x)->type;
    return type == TL_FLOAT || type == TL_DOUBLE;
}

static tl_status replace(const tl_host *host, tl_rewrite *rewrite, const tl_node *last, const char *op, tl_value *x)
{
    tl_value *y = last ? output(host, last) : NULL;
    if (y && x && is_wide(host, x) && host->new_node(rewrite, "", op, host->node_name(last), &x, 1, &y, 1))
        return host->commit(rewrite);
    return TL_OK;
}

/* x * sigmoid(x) */
static tl_status swish(const tl_host *host, tl_rewrite *rewrite, tl_node *sigmoid)
{
    tl_value *x = host->node_input(sigmoid, 0);
    return replace(host, rewrite, times(host, output(host, sigmoid), x), "Swish", x);
}
RULE(swish, TL_PHASE_EPILOGUE, "", "Sigmoid", swish);

/* x * tanh(softplus(x)) */
static tl_status mish(const tl_host *host, tl_rewrite *rewrite, tl_node *softplus)
{
    tl_value *x = host->node_input(softplus, 0);
    const tl_node *tanh_of = rules_only_user(host, output(host, softplus));
    if (!rules_is(host, tanh_of, "Tanh"))
        return TL_OK;
    return replace(host, rewrite, times(host, output(host, tanh_of), x), "Mish", x);
}
RULE(mish, TL_PHASE_EPILOGUE, "", "Softplus", mish);

/* x * hard_sigmoid(x), with its slope and offset */
static tl_status hard_swish(const tl_host *host, tl_rewrite *rewrite, tl_node *sigmoid)
{
    tl_value *x = host->node_input(sigmoid, 0);
    if (!is_near((double)host->attribute_float(sigmoid, "alpha"), 1 / 6.0) ||
        !is_near((double)host->attribute_float(sigmoid, "beta"), 0.5))
        return TL_OK;
    return replace(host, rewrite, times(host, output(host, sigmoid), x), "HardSwish", x);
}
RULE(hard_swish, TL_PHASE_EPILOGUE, "", "HardSigmoid", hard_swish);

/* x * clip(x + 3, 0, 6) / 6, in either order */
static tl_status hard_swish_by_clip(const tl_host *host, tl_rewrite *rewrite, tl_node *clip)
{
    const tl_value *sum = host->node_input(clip, 0), *y = output(host, clip);
    const tl_node *add = sum && host->value_use_count(sum) == 1 ? host->value_producer(sum) : NULL;
    tl_value *x;
    double bounds[2];
    if (!add || !is_with_number(host, add, "Add", 3, &x) || !rules_clip(host, clip, bounds) || bounds[0] != 0 ||
        bounds[1] != 6)
        return TL_OK;
    const tl_node *last = times(host, y, x);
    if (last)
        last = divided(host, output(host, last), 6);
    else if ((last = divided(host, y, 6)))
        last = times(host, output(host, last), x);
    return replace(host, rewrite, last, "HardSwish", x);
}
RULE(hard_swish_by_clip, TL_PHASE_EPILOGUE, "", "Clip", hard_swish_by_clip);

/* x / 2 * (1 + erf(x / sqrt(2))), the half taken of x, of the sum or of the product */
static tl_status gelu(const tl_host *host, tl_rewrite *rewrite, tl_node *erf_of)
{
    const tl_value *scaled = host->node_input(erf_of, 0);
    const tl_node *first = scaled && host->value_use_count(scaled) == 1 ? host->value_producer(scaled) : NULL;
    tl_value *x, *inner;
    if (!first || !is_divided(host, first, 1.41421356237309504880, &x))
        return TL_OK;
    const tl_node *sum = rules_only_user(host, output(host, erf_of));
    if (!sum || !is_with_number(host, sum, "Add", 1, &inner))
        return TL_OK;
    const tl_node *last = times(host, output(host, sum), x);
    if (last)
        return replace(host, rewrite, divided(host, output(host, last), 2), "Gelu", x);
    if ((last = divided(host, output(host, sum), 2)))
        return replace(host, rewrite, times(host, output(host, last), x), "Gelu", x);
    last = rules_only_user(host, output(host, sum));
    const int other = rules_is(host, last, "Mul") ? rules_other_input(host, last, output(host, sum)) : -1;
    const tl_value *half = other >= 0 ? host->node_input(last, (size_t)other) : NULL;
    const tl_node *halving = half && host->value_use_count(half) == 1 ? host->value_producer(half) : NULL;
    if (halving && is_divided(host, halving, 2, &inner) && inner == x)
        return replace(host, rewrite, last, "Gelu", x);
    return TL_OK;
}
RULE(gelu, TL_PHASE_EPILOGUE, "", "Erf", gelu);

/* ---- Layer normalization */

/* A ReduceMean over all axes from one on, that keeps them: its input, and that axis; else NULL. */
static tl_value *mean_of(const tl_host *host, const tl_node *node, int32_t *axis)
{
    if (!rules_is(host, node, "ReduceMean") || host->attribute_int(node, "keepdims") != 1)
        return NULL;
    tl_value *x = host->node_input(node, 0);
    const int32_t rank = host->value_tensor(x)->rank;
    const uint32_t axes = rules_axes(host, node, rank);
    for (*axis = rank; *axis > 0 && axes >> (*axis - 1) & 1;)
        --*axis;
    return *axis < rank && axes >> *axis << *axis == axes ? x : NULL;
}

/* Whether `value` broadcasts to x without enlarging it: scales or shifts. */
static bool is_beside(const tl_host *host, const tl_value *x, const tl_value *value)
{
    const tl_tensor *tensor = host->value_tensor(value), *under = host->value_tensor(x);
    if (tensor->rank < 1 || tensor->rank > under->rank || tensor->type != under->type)
        return false;
    for (int32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] != 1 &&
            (tensor->dims[i] < 1 || tensor->dims[i] != under->dims[under->rank - tensor->rank + i]))
            return false;
    return true;
}

/* If `node` is op(y, operand), the operand, with which y keeps its shape; else NULL. */
static tl_value *operand_beside(const tl_host *host, const tl_node *node, const char *op, const tl_value *y)
{
    const int other = rules_is(host, node, op) ? rules_other_input(host, node, y) : -1;
    tl_value *operand = other >= 0 ? host->node_input(node, (size_t)other) : NULL;
    return operand && is_beside(host, y, operand) ? operand : NULL;
}

/* The value whose square this is. */
static tl_value *square_of(const tl_host *host, const tl_node *node)
{
    double exponent;
    if (rules_is(host, node, "Pow") && rules_scalar(host, host->node_input(node, 1), &exponent) && exponent == 2)
        return host->node_input(node, 0);
    if (rules_is(host, node, "Mul") && host->node_input(node, 0) == host->node_input(node, 1))
        return host->node_input(node, 0);
    return NULL;
}

typedef struct centered {
    tl_value *x, *d; /* d = x - mean(x) */
    int32_t axis;    /* from which on the mean is taken */
    double epsilon;
} centered;

/* `root` is sqrt(mean(d^2) + epsilon). */
static bool find_centered(const tl_host *host, const tl_node *root, centered *c)
{
    const tl_node *mean = host->value_producer(host->node_input(root, 0));
    c->epsilon = 0;
    if (rules_is(host, mean, "Add")) {
        const size_t at = rules_scalar(host, host->node_input(mean, 1), &c->epsilon) ? 0 : 1;
        if (at == 1 && !rules_scalar(host, host->node_input(mean, 0), &c->epsilon))
            return false;
        mean = host->value_producer(host->node_input(mean, at));
    }
    int32_t axis = -1;
    const tl_value *squares = mean ? mean_of(host, mean, &c->axis) : NULL;
    if (!squares)
        return false;
    const tl_node *square = host->value_producer(squares);
    c->d = square ? square_of(host, square) : NULL;
    const tl_node *sub = c->d ? host->value_producer(c->d) : NULL;
    if (!rules_is(host, sub, "Sub"))
        return false;
    c->x = host->node_input(sub, 0);
    mean = host->value_producer(host->node_input(sub, 1));
    return mean && mean_of(host, mean, &axis) == c->x && axis == c->axis && is_wide(host, c->x);
}

/* (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias, scaled in front of the division or behind it */
static tl_status layer_norm(const tl_host *host, tl_rewrite *rewrite, tl_node *root)
{
    centered c;
    if (!find_centered(host, root, &c) || c.epsilon != (double)(float)c.epsilon)
        return TL_OK;
    const tl_node *last = rules_only_user(host, output(host, root));
    if (!rules_is(host, last, "Div") || host->node_input(last, 1) != output(host, root))
        return TL_OK;
    const tl_value *numerator = host->node_input(last, 0);
    tl_value *scale;
    if (numerator == c.d) {
        const tl_node *mul = rules_only_user(host, output(host, last));
        scale = operand_beside(host, mul, "Mul", output(host, last));
        last = mul;
    } else {
        scale = operand_beside(host, host->value_producer(numerator), "Mul", c.d);
    }
    if (!scale)
        return TL_OK;
    const tl_node *add = rules_only_user(host, output(host, last));
    tl_value *inputs[] = {c.x, scale, operand_beside(host, add, "Add", output(host, last))};
    if (inputs[2])
        last = add;
    tl_value *y = output(host, last);
    tl_node *made =
        host->new_node(rewrite, "", "LayerNormalization", host->node_name(last), inputs, inputs[2] ? 3 : 2, &y, 1);
    if (!made)
        return TL_OK;
    host->set_int(rewrite, made, "axis", c.axis);
    host->set_float(rewrite, made, "epsilon", (float)c.epsilon);
    return host->commit(rewrite);
}
RULE(layer_norm, TL_PHASE_EPILOGUE, "", "Sqrt", layer_norm);
