/* Elementwise operators move in front of a Squeeze that stands behind a convolution, as Keras' Conv1D is exported: over
 * a plane of height 1; and in front of a Concat of what convolutions made. There they are steps of the convolution, or
 * go into its weights. */
#include "onnx/rules.h"

enum { MOST_INPUTS = 5 };

typedef struct squeezing {
    const tl_host *host;
    tl_rewrite *rewrite;
    const tl_node *node;
    int32_t rank;  /* of what is squeezed */
    uint32_t axes; /* that are dropped, as bits */
} squeezing;

/* Of a Squeeze; false: its axes or the rank are not known. */
static bool read_squeeze(const tl_host *host, const tl_node *node, squeezing *s)
{
    if (!rules_is(host, node, "Squeeze"))
        return false;
    s->node = node;
    s->rank = host->value_tensor(host->node_input(node, 0))->rank;
    s->axes = rules_axes(host, node, s->rank);
    return s->axes != 0;
}

/* Squeeze or Unsqueeze, along the axes of `s`; `y`: the value to take over, or NULL. */
static tl_value *add_view(const squeezing *s, const char *op, tl_value *x, tl_value *y)
{
    const tl_host *host = s->host;
    tl_value *inputs[] = {x, host->node_input(s->node, 1)};
    tl_node *made = host->new_node(s->rewrite, "", op, host->node_name(s->node), inputs, inputs[1] ? 2 : 1, &y, 1);
    host->copy_attributes(s->rewrite, made, s->node);
    return made ? host->node_output(made, 0) : NULL;
}

/* An operand of what is behind the Squeeze, as one of what is in front; NULL: it cannot be had for free. */
static tl_value *unsqueezed(const squeezing *s, tl_value *operand)
{
    const tl_host *host = s->host;
    squeezing other;
    if (read_squeeze(host, host->value_producer(operand), &other) && other.rank == s->rank && other.axes == s->axes)
        return host->node_input(other.node, 0);
    const tl_tensor *tensor = host->value_tensor(operand);
    tl_tensor wide = {.type = tensor->type, .rank = s->rank};
    int32_t to = s->rank, from = tensor->rank;
    while (from > 0 && to-- > 0)
        wide.dims[to] = s->axes >> to & 1 ? 1 : tensor->dims[--from];
    if (from != 0)
        return NULL; /* of unknown rank, or a higher one */
    wide.rank -= to;
    if (wide.rank == tensor->rank)
        return operand;
    memmove(wide.dims, wide.dims + to, (size_t)wide.rank * sizeof wide.dims[0]);
    wide.data = host->value_is_constant(operand) ? (void *)(uintptr_t)host->value_data(operand) : NULL;
    if (wide.data)
        return host->new_constant(s->rewrite, "operand", &wide);
    return wide.rank == s->rank ? add_view(s, "Unsqueeze", operand, NULL) : NULL;
}

static bool is_product(const tl_host *host, const tl_node *node)
{
    static const char *const names[] = {"Conv", "ConvTranspose", "ConvInteger", "MatMul", "MatMulInteger", "Gemm"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (rules_is(host, node, names[i]))
            return true;
    return false;
}

/* Whether x is a product's result, or made of it elementwise, and nobody else reads what is between. */
static bool is_behind_product(const tl_host *host, const tl_value *x)
{
    for (int i = 0; i <= TLK_MAX_STEPS && x && host->value_use_count(x) == 1; i++) {
        const tl_node *node = host->value_producer(x);
        if (is_product(host, node))
            return true;
        if (!node || !(host->node_descriptor(node)->flags & TL_OP_ELEMENTWISE || rules_is(host, node, "Cast") ||
                       rules_is(host, node, "Squeeze")))
            return false;
        x = host->node_input(node, 0);
        const tl_node *first = host->value_producer(x);
        if (!first || (host->node_descriptor(first)->flags & TL_OP_VIEW && !rules_is(host, first, "Squeeze")))
            x = host->node_input(node, 1);
    }
    return false;
}

/* U(Squeeze(x)) -> Squeeze(U(x)), where U is all that reads it. */
static tl_status sink_squeeze(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    squeezing s = {.host = host, .rewrite = rewrite};
    tl_value *x = host->node_input(node, 0), *inputs[MOST_INPUTS];
    const tl_value *between = host->node_output(node, 0);
    const tl_node *user = rules_only_user(host, between);
    if (!user || !read_squeeze(host, node, &s) || !is_behind_product(host, x))
        return TL_OK;
    const tl_operator *op = host->node_descriptor(user);
    const bool norm = rules_is(host, user, "BatchNormalization") && op->since_version >= 9 && !(s.axes & 3);
    const size_t count = host->node_input_count(user);
    if (!(norm || op->flags & TL_OP_ELEMENTWISE) || host->node_output_count(user) != 1 || count > MOST_INPUTS)
        return TL_OK;
    for (size_t k = 0; k < count; k++) {
        tl_value *operand = host->node_input(user, k);
        inputs[k] = operand == between ? x : norm || !operand ? operand : unsqueezed(&s, operand);
        if (operand && !inputs[k])
            return TL_OK;
    }
    tl_node *made = host->new_node(rewrite, host->node_domain(user), host->node_operator(user), host->node_name(user),
                                   inputs, count, NULL, 1);
    host->copy_attributes(rewrite, made, user);
    if (made && add_view(&s, "Squeeze", host->node_output(made, 0), host->node_output(user, 0)))
        host->commit(rewrite);
    return TL_OK;
}
RULE(sink_squeeze, TL_PHASE_EPILOGUE, "", "Squeeze", sink_squeeze);

/* ---- Concat */

/* What of a constant, one number or a vector along its axis `at`, meets `count` elements from `begin` on. */
static tl_value *part_of(const tl_host *host, tl_rewrite *rewrite, tl_value *constant, int32_t at, int64_t begin,
                         int64_t count)
{
    const char *data = constant && host->value_is_constant(constant) ? host->value_data(constant) : NULL;
    if (!data)
        return NULL;
    tl_tensor part = *host->value_tensor(constant);
    if (op_elements(&part) == 1)
        return constant;
    if (at < 0 || at >= part.rank || op_elements(&part) != part.dims[at] || begin + count > part.dims[at])
        return NULL;
    part.dims[at] = count;
    part.data = (void *)(uintptr_t)(data + begin * (int64_t)nn_type_size(part.type));
    return host->new_constant(rewrite, "part", &part);
}

/* Whether products made all that is joined along `axis`, and how much each has of it is known. */
static bool joins_products(const tl_host *host, const tl_node *concat, int32_t axis)
{
    for (size_t k = 0; k < host->node_input_count(concat); k++) {
        const tl_value *x = host->node_input(concat, k);
        if (!x || !is_behind_product(host, x) || host->value_tensor(x)->rank <= axis ||
            host->value_tensor(x)->dims[axis] < 1)
            return false;
    }
    return true;
}

/* U(Concat(x, y)) -> Concat(U(x), U(y)), where U is all that reads it, an elementwise operator or a normalization of
 * channels, and its other operands are constants. */
static tl_status sink_concat(const tl_host *host, tl_rewrite *rewrite, tl_node *concat)
{
    enum { MOST_PARTS = 16 };
    const size_t parts = host->node_input_count(concat);
    const tl_value *between = host->node_output(concat, 0);
    const tl_node *user = rules_only_user(host, between);
    const int32_t rank = host->value_tensor(between)->rank;
    int32_t axis = (int32_t)host->attribute_int(concat, "axis"); /* in range, as inference has checked */
    axis += axis < 0 ? rank : 0;
    if (!user || *host->node_domain(user) || host->node_output_count(user) != 1 || parts > MOST_PARTS || rank < 1 ||
        !joins_products(host, concat, axis))
        return TL_OK;
    const tl_operator *op = host->node_descriptor(user);
    const size_t count = host->node_input_count(user);
    const bool norm = rules_is(host, user, "BatchNormalization") && op->since_version >= 9 && axis == 1;
    if (!(norm || (op->flags & TL_OP_ELEMENTWISE && (count == 1 || op->since_version >= 7))) || count > MOST_INPUTS)
        return TL_OK;
    tl_value *made[MOST_PARTS], *y = host->node_output(user, 0);
    int64_t begin = 0;
    for (size_t i = 0; i < parts; i++) {
        tl_value *inputs[MOST_INPUTS];
        const int64_t length = host->value_tensor(host->node_input(concat, i))->dims[axis];
        for (size_t k = 0; k < count; k++) {
            tl_value *input = host->node_input(user, k);
            const int32_t at = norm || !input ? 0 : axis - (rank - host->value_tensor(input)->rank);
            inputs[k] = input == between ? host->node_input(concat, i)
                        : input          ? part_of(host, rewrite, input, at, begin, length)
                                         : NULL;
            if (input && (!inputs[k] || host->value_tensor(input)->rank > rank))
                return TL_OK;
        }
        tl_node *node =
            host->new_node(rewrite, "", host->node_operator(user), host->node_name(user), inputs, count, NULL, 1);
        if (!node)
            return TL_OK;
        host->copy_attributes(rewrite, node, user);
        made[i] = host->node_output(node, 0);
        begin += length;
    }
    tl_node *joined = host->new_node(rewrite, "", "Concat", host->node_name(concat), made, parts, &y, 1);
    if (!joined)
        return TL_OK;
    host->copy_attributes(rewrite, joined, concat);
    return host->commit(rewrite);
}
RULE(sink_concat, TL_PHASE_EPILOGUE, "", "Concat", sink_concat);
