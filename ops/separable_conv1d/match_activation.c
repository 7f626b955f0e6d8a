/* Recognising activations: one operator, or the several that exporters write for one. */
#include <math.h>
#include <string.h>
#include "separable_conv1d/match.h"

/* A walk along nodes that nobody else needs. */
typedef struct sepconv_walk {
    const tl_host *host;
    int removed;
} sepconv_walk;

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fabs(b);
}

static tl_value *result_of(const tl_host *host, const tl_node *node)
{
    return host->node_output_count(node) == 1 ? host->node_output(node, 0) : NULL;
}

/* The node `op` among those that read a value; NULL: none. */
static tl_node *find_user(const tl_host *host, const tl_value *value, const char *op)
{
    const size_t count = host->value_use_count(value);
    for (size_t k = 0; k < count && k < 8; k++) {
        tl_node *user = host->value_user(value, k);
        if (user != NULL && sepconv_is(host, user, op))
            return user;
    }
    return NULL;
}

/* A binary operator of a value and a scalar constant. */
static bool scalar_of(const tl_host *host, const tl_node *node, const char *op, const tl_value *value, double *scalar)
{
    if (!sepconv_is(host, node, op))
        return false;
    const int other = sepconv_other_input(host, node, value);
    return other >= 0 && (other == 1 || strcmp(op, "Div") != 0) &&
           sepconv_scalar_input(host, node, (size_t)other, scalar);
}

/* The only user of a value, if it is the operator with this scalar; its result, else NULL. */
static tl_value *then_scalar(sepconv_walk *walk, tl_value *value, const char *op, double wanted)
{
    double scalar = 0;
    const tl_node *node = value != NULL ? sepconv_only_user(walk->host, value) : NULL;
    if (node == NULL || !scalar_of(walk->host, node, op, value, &scalar) || !is_near(scalar, wanted))
        return NULL;
    walk->removed++;
    return result_of(walk->host, node);
}

static tl_value *then_op(sepconv_walk *walk, tl_value *value, const char *op)
{
    const tl_node *node = value != NULL ? sepconv_only_user(walk->host, value) : NULL;
    if (node == NULL || !sepconv_is(walk->host, node, op) || walk->host->node_input_count(node) != 1)
        return NULL;
    walk->removed++;
    return result_of(walk->host, node);
}

/* The only user of a value, if it multiplies it with another one; its result. */
static tl_value *then_mul(sepconv_walk *walk, tl_value *value, const tl_value *other)
{
    const tl_node *node = value != NULL ? sepconv_only_user(walk->host, value) : NULL;
    if (node == NULL || !sepconv_is(walk->host, node, "Mul"))
        return NULL;
    const int k = sepconv_other_input(walk->host, node, value);
    if (k < 0 || walk->host->node_input(node, (size_t)k) != other)
        return NULL;
    walk->removed++;
    return result_of(walk->host, node);
}

/* ---- Clamps ------------------------------------------------------------------------------------------------------ */

static bool clip_bounds(const tl_host *host, const tl_node *node, double *low, double *high)
{
    const char *const names[] = {"min", "max"};
    double *const bounds[] = {low, high};
    for (size_t i = 0; i < 2; i++) {
        if (host->attribute_given(node, names[i]))
            *bounds[i] = (double)host->attribute_float(node, names[i]);
        else if (i + 1 < host->node_input_count(node) && host->node_input(node, i + 1) != NULL &&
                 !sepconv_scalar_input(host, node, i + 1, bounds[i]))
            return false;
    }
    return true;
}

/* At most two of Relu, Clip, Min, Max in a row: what they clamp to. */
static tl_value *then_clamp(sepconv_walk *walk, tl_value *value, double *low, double *high)
{
    const tl_host *host = walk->host;
    *low = -INFINITY;
    *high = INFINITY;
    for (int i = 0; i < 2 && value != NULL; i++) {
        const tl_node *node = sepconv_only_user(host, value);
        double a = -INFINITY;
        double b = INFINITY;
        if (node == NULL)
            return value;
        if (sepconv_is(host, node, "Relu"))
            a = 0;
        else if (sepconv_is(host, node, "Clip") && host->node_input(node, 0) == value) {
            if (!clip_bounds(host, node, &a, &b))
                return value;
        } else if (!scalar_of(host, node, "Max", value, &a) && !scalar_of(host, node, "Min", value, &b))
            return value;
        /* The later bound wins where the two do not overlap; that is no activation of ours. */
        if (!(a <= b) || b < *low || a > *high)
            return value;
        *low = fmax(*low, a);
        *high = fmin(*high, b);
        walk->removed++;
        value = result_of(host, node);
    }
    return value;
}

/* clip(0.2 x + 0.5, 0, 1), and relu6(x + 3) / 6. */
static const char *match_hard_sigmoid(sepconv_walk *walk, tl_value *x, tl_value **result)
{
    double low = 0;
    double high = 0;
    tl_value *sum = then_scalar(walk, then_scalar(walk, x, "Mul", 0.2), "Add", 0.5);
    if (sum != NULL) {
        *result = then_clamp(walk, sum, &low, &high);
        return *result != NULL && low == 0 && high == 1 ? "hard_sigmoid" : NULL;
    }
    walk->removed = 0;
    tl_value *clamped = then_clamp(walk, then_scalar(walk, x, "Add", 3), &low, &high);
    if (clamped == NULL || low != 0 || high != 6)
        return NULL;
    *result = then_scalar(walk, clamped, "Div", 6);
    if (*result == NULL)
        *result = then_scalar(walk, clamped, "Mul", 1.0 / 6);
    return *result != NULL ? "hard_sigmoid_v3" : NULL;
}

/* ---- x times a function of x ------------------------------------------------------------------------------------- */

static const char *match_gate(sepconv_walk *walk, tl_value *x, tl_value **result)
{
    const tl_host *host = walk->host;
    if (host->value_use_count(x) != 2)
        return NULL;
    const tl_node *first = find_user(host, x, "Sigmoid");
    const bool swish = first != NULL;
    if (!swish)
        first = find_user(host, x, "Softplus");
    tl_value *inner = first != NULL ? result_of(host, first) : NULL;
    walk->removed = 1;
    if (!swish)
        inner = then_op(walk, inner, "Tanh");
    *result = then_mul(walk, inner, x);
    return *result == NULL ? NULL : swish ? "swish" : "mish";
}

/* From sum = 1 + erf(...) or 1 + tanh(...): x * sum * 0.5, in any order. */
static tl_value *finish_gelu(sepconv_walk *walk, tl_value *x, tl_value *sum)
{
    const tl_host *host = walk->host;
    const int removed = walk->removed;
    if (sum == NULL)
        return NULL;
    tl_value *product = then_scalar(walk, then_mul(walk, sum, x), "Mul", 0.5);
    if (product != NULL)
        return product;
    walk->removed = removed;
    product = then_mul(walk, then_scalar(walk, sum, "Mul", 0.5), x);
    if (product != NULL)
        return product;
    /* (x * 0.5) * sum */
    for (size_t k = 0; k < host->value_use_count(x) && k < 8; k++) {
        const tl_node *node = host->value_user(x, k);
        double half = 0;
        if (node == NULL || !scalar_of(host, node, "Mul", x, &half) || half != 0.5)
            continue;
        tl_value *scaled = result_of(host, node);
        walk->removed = removed + 1;
        product = then_mul(walk, sum, scaled);
        if (product != NULL && host->value_use_count(scaled) == 1)
            return product;
    }
    return NULL;
}

/* A user of x that multiplies or divides it by a scalar: its result. */
static tl_value *find_scaled(const tl_host *host, const tl_value *x, const char *op, double wanted)
{
    for (size_t k = 0; k < host->value_use_count(x) && k < 8; k++) {
        const tl_node *node = host->value_user(x, k);
        double scalar = 0;
        if (node != NULL && scalar_of(host, node, op, x, &scalar) && is_near(scalar, wanted))
            return result_of(host, node);
    }
    return NULL;
}

static const char *match_gelu(sepconv_walk *walk, tl_value *x, tl_value **result)
{
    const tl_host *host = walk->host;
    if (host->value_use_count(x) != 2)
        return NULL;
    tl_value *scaled = find_scaled(host, x, "Div", 1.41421356237309504880);
    if (scaled == NULL)
        scaled = find_scaled(host, x, "Mul", 0.70710678118654752440);
    walk->removed = 1;
    *result = finish_gelu(walk, x, then_scalar(walk, then_op(walk, scaled, "Erf"), "Add", 1));
    return *result != NULL ? "gelu" : NULL;
}

/* x^3, as Pow or as two Muls; *uses is how often that reads x. */
static tl_value *find_cube(sepconv_walk *walk, const tl_value *x, size_t *uses)
{
    const tl_host *host = walk->host;
    double exponent = 0;
    const tl_node *power = find_user(host, x, "Pow");
    if (power != NULL && host->node_input(power, 0) == x && sepconv_scalar_input(host, power, 1, &exponent) &&
        exponent == 3) {
        walk->removed++;
        *uses = 1;
        return result_of(host, power);
    }
    for (size_t k = 0; k < host->value_use_count(x) && k < 8; k++) {
        const tl_node *node = host->value_user(x, k);
        if (node == NULL || !sepconv_is(host, node, "Mul") || host->node_input_count(node) != 2 ||
            host->node_input(node, 0) != x || host->node_input(node, 1) != x)
            continue;
        walk->removed++;
        *uses = 3;
        return then_mul(walk, result_of(host, node), x);
    }
    return NULL;
}

static const char *match_gelu_tanh(sepconv_walk *walk, tl_value *x, tl_value **result)
{
    const tl_host *host = walk->host;
    size_t uses = 0;
    if (host->value_use_count(x) < 3)
        return NULL;
    tl_value *small = then_scalar(walk, find_cube(walk, x, &uses), "Mul", 0.044715);
    const tl_node *add = small != NULL ? sepconv_only_user(host, small) : NULL;
    if (add == NULL || !sepconv_is(host, add, "Add") || host->value_use_count(x) != uses + 2)
        return NULL;
    const int other = sepconv_other_input(host, add, small);
    if (other < 0 || host->node_input(add, (size_t)other) != x)
        return NULL;
    walk->removed++;
    tl_value *scaled = then_scalar(walk, result_of(host, add), "Mul", 0.79788456080286535588);
    *result = finish_gelu(walk, x, then_scalar(walk, then_op(walk, scaled, "Tanh"), "Add", 1));
    return *result != NULL ? "gelu_tanh" : NULL;
}

/* ---- One operator ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *op, *name;
} plain[] = {
    {"Exp", "exponential"}, {"Sigmoid", "sigmoid"}, {"Softplus", "softplus"}, {"Softsign", "softsign"},
    {"Tanh", "tanh"},       {"Mish", "mish"},       {"Elu", "elu"},           {"LeakyRelu", "leaky_relu"},
};

static const char *match_hard_sigmoid_op(const tl_host *host, const tl_node *node)
{
    const double alpha = (double)host->attribute_float(node, "alpha");
    if (!is_near((double)host->attribute_float(node, "beta"), 0.5))
        return NULL;
    return is_near(alpha, 0.2) ? "hard_sigmoid" : is_near(alpha, 1.0 / 6) ? "hard_sigmoid_v3" : NULL;
}

/* Over channels or time, wherever that axis is by now. Before opset 13 all axes from `axis` on are one. */
static const char *match_softmax(const tl_host *host, const tl_node *node, const sepconv_view *view, sepconv_axis *over)
{
    const bool logarithm = sepconv_is(host, node, "LogSoftmax");
    if (!logarithm && !sepconv_is(host, node, "Softmax"))
        return NULL;
    int64_t axis = host->attribute_int(node, "axis");
    if (axis < 0)
        axis += view->rank;
    if (axis < 0 || axis >= view->rank || (host->node_version(node) < 13 && axis != view->rank - 1))
        return NULL;
    *over = view->axes[axis];
    if (*over != AXIS_CHANNEL && *over != AXIS_TIME)
        return NULL;
    return logarithm ? "log_softmax" : "softmax";
}

/* The activation that one node is; *alpha where it has one. */
static const char *match_one(const tl_host *host, const tl_node *node, const sepconv_view *view, float *alpha,
                             sepconv_axis *axis)
{
    double slope = 0;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (sepconv_is(host, node, plain[i].op)) {
            *alpha = host->attribute_float(node, "alpha");
            return plain[i].name;
        }
    if (sepconv_is(host, node, "Selu"))
        return is_near((double)host->attribute_float(node, "alpha"), 1.67326324) &&
                       is_near((double)host->attribute_float(node, "gamma"), 1.05070099)
                   ? "selu"
                   : NULL;
    if (sepconv_is(host, node, "HardSigmoid"))
        return match_hard_sigmoid_op(host, node);
    if (sepconv_is(host, node, "Gelu")) {
        size_t size = 0;
        const char *form = host->attribute_string(node, "approximate", &size);
        return form != NULL && strcmp(form, "tanh") == 0 ? "gelu_tanh" : "gelu";
    }
    if (sepconv_is(host, node, "Swish") && host->attribute_float(node, "alpha") == 1)
        return "swish";
    if (sepconv_is(host, node, "PRelu") && sepconv_scalar_input(host, node, 1, &slope)) {
        *alpha = (float)slope;
        return "leaky_relu";
    }
    return match_softmax(host, node, view, axis);
}

bool sepconv_match_activation(const tl_host *host, tl_value *x, const sepconv_view *view,
                              sepconv_activation *activation, sepconv_axis *axis, tl_value **result, int *removed)
{
    typedef const char *(*matcher)(sepconv_walk *, tl_value *, tl_value **);
    static const matcher several[] = {match_hard_sigmoid, match_gate, match_gelu, match_gelu_tanh};
    const char *name = NULL;
    float alpha = 0;
    *result = NULL;
    for (size_t i = 0; i < sizeof several / sizeof *several && name == NULL; i++) {
        sepconv_walk walk = {host, 0};
        name = several[i](&walk, x, result);
        *removed = walk.removed;
    }
    const tl_node *node = name == NULL ? sepconv_only_user(host, x) : NULL;
    if (node != NULL && host->node_input(node, 0) == x) {
        name = match_one(host, node, view, &alpha, axis);
        *result = result_of(host, node);
        *removed = 1;
    }
    if (name == NULL) {
        sepconv_walk walk = {host, 0};
        double low = 0;
        double high = 0;
        *result = then_clamp(&walk, x, &low, &high);
        *removed = walk.removed;
        if (*result == NULL || low != 0)
            return false;
        name = high == 6 ? "relu6" : "relu";
        /* Relu alone, or what follows it is a clamp that the operator doesn't have. */
        if (high != 6) {
            node = sepconv_only_user(host, x);
            if (node == NULL || !sepconv_is(host, node, "Relu"))
                return false;
            *result = result_of(host, node);
            *removed = 1;
        }
    }
    if (*result == NULL)
        return false;
    *activation = *sepconv_activation_find(name, strlen(name));
    if (activation->has_alpha)
        activation->element.a = alpha;
    return true;
}
