/* Quantized networks as most tools write them: operators on floats between DequantizeLinear and QuantizeLinear. They
 * become the operators on bytes that are meant. docs/design.md says what each rule rests on. */
#include "onnx/quant.h"
#include "onnx/rules.h"

#define MICROSOFT "com.microsoft"

/* What a DequantizeLinear reads, or a QuantizeLinear makes: numbers that stand for (number - zero point) * scale. */
typedef struct quantized {
    tl_node *node;
    tl_value *numbers;
    tl_value *scale, *zero; /* constants; zero: or NULL */
    tl_type type;
    int64_t count; /* scales */
    int32_t axis;  /* along which they lie, if there are several */
} quantized;

static tl_value *output(const tl_host *host, const tl_node *node)
{
    return host->node_output(node, 0);
}

/* Scales that no product of three takes out of a float's range. */
static bool are_moderate(const float *scales, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!(scales[i] >= 0x1p-40F && scales[i] <= 0x1p40F))
            return false;
    return true;
}

static bool read_scales(const tl_host *host, quantized *q)
{
    if (!q->scale || !host->value_is_constant(q->scale) || (q->zero && !host->value_is_constant(q->zero)))
        return false;
    const tl_tensor *scale = host->value_tensor(q->scale), *zero = q->zero ? host->value_tensor(q->zero) : NULL;
    if (scale->type != TL_FLOAT || scale->rank > 1 || (zero && (zero->rank > 1 || zero->type != q->type)))
        return false;
    q->count = op_elements(scale);
    return q->count > 0 && (!zero || op_elements(zero) == q->count) && host->value_data(q->scale) &&
           (!q->zero || host->value_data(q->zero)) && are_moderate(host->value_tensor(q->scale)->data, q->count);
}

/* Whether `node` is DequantizeLinear or QuantizeLinear, of floats, with constant parameters for the whole or an axis.
 */
static bool read_quantized(const tl_host *host, tl_node *node, const char *op, quantized *q)
{
    if (!rules_is(host, node, op))
        return false;
    const bool from_float = *op == 'Q';
    const int32_t version = host->node_descriptor(node)->since_version;
    const tl_value *floats = from_float ? host->node_input(node, 0) : output(host, node);
    *q = (quantized){.node = node,
                     .numbers = from_float ? output(host, node) : host->node_input(node, 0),
                     .scale = host->node_input(node, 1),
                     .zero = host->node_input(node, 2)};
    if (!floats || host->value_tensor(floats)->type != TL_FLOAT || !q->numbers ||
        host->attribute_int(node, "block_size") != 0 || host->attribute_int(node, "precision") > TL_FLOAT)
        return false;
    const tl_tensor *numbers = host->value_tensor(q->numbers);
    q->type = numbers->type;
    if (!read_scales(host, q))
        return false;
    if (q->count > 1) {
        const int64_t axis = version >= 13 ? host->attribute_int(node, "axis") : TL_MAX_RANK;
        if (numbers->rank < 0 || axis < -numbers->rank || axis >= numbers->rank)
            return false;
        q->axis = (int32_t)(axis < 0 ? axis + numbers->rank : axis);
    }
    return true;
}

static bool is_bytes(const quantized *q)
{
    return (TL_T(q->type) & QUANT_BYTES) != 0;
}

/* What a DequantizeLinear made `value` of. */
static bool read_input(const tl_host *host, tl_value *value, quantized *q)
{
    return value && read_quantized(host, host->value_producer(value), "DequantizeLinear", q);
}

/* The same of bytes with one scale. */
static bool read_bytes(const tl_host *host, tl_value *value, quantized *q)
{
    return read_input(host, value, q) && is_bytes(q) && q->count == 1;
}

/* The bytes with one scale that a value becomes, and nothing else. */
static bool read_result(const tl_host *host, const tl_value *value, quantized *q)
{
    tl_node *user = value ? rules_only_user(host, value) : NULL;
    return user && read_quantized(host, user, "QuantizeLinear", q) && is_bytes(q) && q->count == 1;
}

static float scale_at(const tl_host *host, const quantized *q, int64_t i)
{
    return ((const float *)host->value_tensor(q->scale)->data)[q->count > 1 ? i : 0];
}

static int32_t zero_of(const tl_host *host, const quantized *q)
{
    return q->zero ? quant_byte(host->value_tensor(q->zero), 0) : 0;
}

/* Both of one scale, and the same. */
static bool are_alike(const tl_host *host, const quantized *a, const quantized *b)
{
    return a->type == b->type && a->count == 1 && b->count == 1 && scale_at(host, a, 0) == scale_at(host, b, 0) &&
           zero_of(host, a) == zero_of(host, b);
}

static tl_value *byte_constant(const tl_host *host, tl_rewrite *rewrite, tl_type type, int32_t number)
{
    const int8_t byte = (int8_t)(uint8_t)number;
    const tl_tensor scalar = {.data = (void *)(uintptr_t)&byte, .type = type};
    return host->new_constant(rewrite, "zero_point", &scalar);
}

static tl_value *zero_point(const tl_host *host, tl_rewrite *rewrite, const quantized *q)
{
    return q->zero ? q->zero : byte_constant(host, rewrite, q->type, 0);
}

/* A copy of `node` with another input 0, as y (NULL: a new value). */
static tl_node *copy_node(const tl_host *host, tl_rewrite *rewrite, const tl_node *node, tl_value *x, tl_value *y)
{
    tl_value *inputs[] = {x, host->node_input(node, 1), host->node_input(node, 2)};
    tl_node *made = host->new_node(rewrite, "", host->node_operator(node), host->node_name(node), inputs,
                                   host->node_input_count(node), &y, 1);
    if (made)
        host->copy_attributes(rewrite, made, node);
    return made;
}

/* ---- Operators that only move elements take them as bytes */

typedef struct move {
    const char *op;
    bool all;   /* every input is data */
    bool rises; /* as many elements as before: QuantizeLinear is as fast in front of it */
} move;

static const move moves[] = {
    {"Reshape", false, true}, {"Transpose", false, true}, {"Squeeze", false, true},       {"Unsqueeze", false, true},
    {"Flatten", false, true}, {"Identity", false, true},  {"DepthToSpace", false, false}, {"Slice", false, false},
    {"Gather", false, false}, {"MaxPool", false, false},  {"Split", false, false},        {"Concat", true, false},
    {"Pad", false, false},
};

static const move *find_move(const tl_host *host, const tl_node *node)
{
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
        if (rules_is(host, node, moves[i].op))
            return &moves[i];
    return NULL;
}

/* The axis of scales behind a Transpose; -1: not known. */
static int32_t transposed_axis(const tl_host *host, const tl_node *node, const quantized *q)
{
    const int32_t rank = host->value_tensor(q->numbers)->rank;
    size_t count;
    const int64_t *axes = host->attribute_ints(node, "perm", &count);
    if (!rules_is(host, node, "Transpose") || (axes && count != (size_t)rank))
        return -1;
    for (int32_t i = 0; i < rank; i++)
        if ((axes ? axes[i] : rank - 1 - i) == q->axis)
            return i;
    return -1;
}

/* Whether others than `node` need what was dequantized, so that it would be done twice. */
static bool is_shared(const tl_host *host, const tl_node *node, const quantized *q)
{
    quantized y;
    if (host->value_use_count(output(host, q->node)) == 1 || host->value_is_constant(q->numbers))
        return false;
    for (size_t k = 0; k < host->node_output_count(node); k++)
        if (host->node_output(node, k) && !read_result(host, host->node_output(node, k), &y))
            return true;
    return false;
}

/* Pads with 0, which becomes the zero point. */
static bool pads_with_zero(const tl_host *host, const tl_node *node)
{
    double value = 0;
    return host->node_descriptor(node)->since_version >= 11 &&
           (!host->node_input(node, 2) || (rules_scalar(host, host->node_input(node, 2), &value) && value == 0));
}

/* move(dequantize(x)) -> dequantize(move(x)) */
static tl_status quantized_move(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    enum { MOST = 64 };
    const move *m = find_move(host, node);
    const size_t count = host->node_input_count(node), outputs = host->node_output_count(node);
    tl_value *inputs[MOST];
    quantized x, other;
    int32_t axis = 0;
    if (!m || count == 0 || count > MOST || outputs > MOST || !read_input(host, host->node_input(node, 0), &x) ||
        !is_bytes(&x) || is_shared(host, node, &x) || (x.count > 1 && (axis = transposed_axis(host, node, &x)) < 0) ||
        (rules_is(host, node, "MaxPool") && outputs > 1))
        return TL_OK;
    for (size_t k = 0; k < count; k++) {
        inputs[k] = host->node_input(node, k);
        if (k == 0 || m->all) {
            if (!read_input(host, inputs[k], &other) || (k > 0 && !are_alike(host, &x, &other)))
                return TL_OK;
            inputs[k] = other.numbers;
        }
    }
    const bool pad = rules_is(host, node, "Pad");
    if (pad && !pads_with_zero(host, node))
        return TL_OK;
    if (pad)
        inputs[2] = zero_point(host, rewrite, &x);
    tl_node *made =
        host->new_node(rewrite, "", m->op, host->node_name(node), inputs, pad && count < 3 ? 3 : count, NULL, outputs);
    if (!made)
        return TL_OK;
    host->copy_attributes(rewrite, made, node);
    for (size_t k = 0; k < outputs; k++) {
        tl_value *y = host->node_output(node, k);
        tl_node *floats = y ? copy_node(host, rewrite, x.node, host->node_output(made, k), y) : NULL;
        if (floats && x.count > 1)
            host->set_int(rewrite, floats, "axis", axis);
    }
    return host->commit(rewrite);
}
RULE(quantized_move, TL_PHASE_QUANTIZED, "", RULES_ANY_OPERATOR, quantized_move);

/* quantize(move(x)) -> move(quantize(x)) */
static tl_status move_quantized(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    quantized q;
    if (!read_quantized(host, node, "QuantizeLinear", &q) || q.count > 1)
        return TL_OK;
    const tl_value *moved = host->node_input(node, 0);
    const tl_node *mover = host->value_use_count(moved) == 1 ? host->value_producer(moved) : NULL;
    const move *m = mover ? find_move(host, mover) : NULL;
    tl_value *x = m && m->rises ? host->node_input(mover, 0) : NULL;
    if (!x || host->value_is_constant(x))
        return TL_OK;
    tl_node *made = copy_node(host, rewrite, node, x, NULL);
    if (made && copy_node(host, rewrite, mover, output(host, made), q.numbers))
        return host->commit(rewrite);
    return TL_OK;
}
RULE(move_quantized, TL_PHASE_QUANTIZED, "", "QuantizeLinear", move_quantized);

/* dequantize(quantize(dequantize(x))) -> dequantize(x) */
static tl_status quantized_again(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    quantized last, middle, x;
    if (!read_quantized(host, node, "DequantizeLinear", &last) ||
        !read_quantized(host, host->value_producer(last.numbers), "QuantizeLinear", &middle) ||
        !read_input(host, host->node_input(middle.node, 0), &x) || !are_alike(host, &last, &middle) ||
        !are_alike(host, &middle, &x))
        return TL_OK;
    return copy_node(host, rewrite, node, x.numbers, output(host, node)) ? host->commit(rewrite) : TL_OK;
}
RULE(quantized_again, TL_PHASE_QUANTIZED, "", "DequantizeLinear", quantized_again);

/* ---- Bounds in front of a QuantizeLinear are bounds of its bytes, because it is monotonic */

static int32_t to_byte(const tl_host *host, const quantized *q, double number)
{
    const double low = quant_low(q->type), high = quant_high(q->type);
    const double byte = (double)rintf((float)number / scale_at(host, q, 0)) + zero_of(host, q);
    return (int32_t)(byte < low ? low : byte > high ? high : byte);
}

static tl_status quantized_clip(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    quantized q;
    double bounds[2] = {0, (double)INFINITY};
    if (!read_quantized(host, node, "QuantizeLinear", &q) || q.count > 1 || !is_bytes(&q))
        return TL_OK;
    const tl_value *clipped = host->node_input(node, 0);
    const tl_node *clip = host->value_use_count(clipped) == 1 ? host->value_producer(clipped) : NULL;
    if (!clip || (!rules_is(host, clip, "Relu") && !rules_clip(host, clip, bounds)))
        return TL_OK;
    const int32_t low = to_byte(host, &q, bounds[0]), high = to_byte(host, &q, bounds[1]);
    const bool needed = low > quant_low(q.type) || high < quant_high(q.type);
    tl_node *made = copy_node(host, rewrite, node, host->node_input(clip, 0), needed ? NULL : q.numbers);
    if (made && needed) {
        tl_value *inputs[] = {output(host, made), byte_constant(host, rewrite, q.type, low),
                              byte_constant(host, rewrite, q.type, high)};
        host->new_node(rewrite, "", "Clip", host->node_name(clip), inputs, 3, &q.numbers, 1);
    }
    return made ? host->commit(rewrite) : TL_OK;
}
RULE(quantized_clip, TL_PHASE_QUANTIZED, "", "QuantizeLinear", quantized_clip);

/* ---- Functions of one byte become tables */

/* Elementwise operators from a DequantizeLinear, and constant scalars, to a QuantizeLinear. */
typedef struct cone {
    const tl_host *host;
    tl_rewrite *rewrite; /* NULL: nothing is made yet */
    quantized x;         /* node NULL: not met yet */
    tl_value *floats;    /* what all bytes stand for */
    int visits;
} cone;

/* What all bytes x become on the way to `numbers`, if that is a Lookup; else NULL. */
static tl_value *table_of(const tl_host *host, const tl_value *numbers, const tl_value *x)
{
    const tl_node *node = host->value_producer(numbers);
    const bool found = node && strcmp(host->node_operator(node), "Lookup") == 0 &&
                       strcmp(host->node_domain(node), STEPS_DOMAIN) == 0 && host->node_input(node, 0) == x;
    return found ? host->node_input(node, 1) : NULL;
}

/* `value` as a function of x, for all 256 bytes; not NULL, while nothing is made, if it is one. */
static tl_value *evaluate(cone *c, tl_value *value) // NOLINT(misc-no-recursion): at most `visits` deep
{
    enum { MOST_VISITS = 48, MOST_INPUTS = 3 };
    const tl_host *host = c->host;
    tl_node *node = value ? host->value_producer(value) : NULL;
    tl_value *inputs[MOST_INPUTS];
    quantized x;
    if (!value || ++c->visits > MOST_VISITS)
        return NULL;
    if (host->value_is_constant(value) || (read_bytes(host, value, &x) && host->value_is_constant(x.numbers))) {
        const tl_tensor *tensor = host->value_tensor(value);
        return tensor->rank >= 0 && op_elements(tensor) == 1 && tensor->rank <= host->value_tensor(c->x.numbers)->rank
                   ? value
                   : NULL;
    }
    if (!node)
        return NULL;
    if (read_bytes(host, value, &x)) {
        if (x.numbers == c->x.numbers && are_alike(host, &x, &c->x))
            return c->rewrite ? c->floats : value;
        tl_value *table = table_of(host, x.numbers, c->x.numbers);
        tl_node *made = table && c->rewrite ? copy_node(host, c->rewrite, node, table, NULL) : NULL;
        return made ? output(host, made) : table && !c->rewrite ? value : NULL;
    }
    const size_t count = host->node_input_count(node);
    if (!(host->node_descriptor(node)->flags & TL_OP_ELEMENTWISE) || *host->node_domain(node) || count > MOST_INPUTS ||
        host->node_output_count(node) != 1)
        return NULL;
    for (size_t k = 0; k < count; k++) {
        inputs[k] = host->node_input(node, k);
        if (inputs[k] && !(inputs[k] = evaluate(c, inputs[k])))
            return NULL;
    }
    if (!c->rewrite)
        return value;
    tl_node *made = host->new_node(c->rewrite, "", host->node_operator(node), "", inputs, count, NULL, 1);
    if (!made)
        return NULL;
    host->copy_attributes(c->rewrite, made, node);
    return output(host, made);
}

/* The first DequantizeLinear on the way up that has no constant behind it. */
static bool find_source(const tl_host *host, tl_value *value, quantized *x)
{
    for (int depth = 0; value && depth < 16; depth++) {
        if (read_bytes(host, value, x))
            return !host->value_is_constant(x->numbers) && host->value_tensor(x->numbers)->rank >= 0;
        const tl_node *node = host->value_producer(value);
        tl_value *next = node ? host->node_input(node, 0) : NULL;
        value = next && host->value_is_constant(next) ? host->node_input(node, 1) : next;
    }
    return false;
}

/* Whether `value` is a function of one byte, which may be what any input of its node comes from. */
static bool find_cone(cone *c, tl_value *value)
{
    const tl_node *node = c->host->value_producer(value);
    const size_t count = node ? c->host->node_input_count(node) : 0;
    for (size_t k = 0; k < (count > 0 ? count : 1); k++) {
        tl_value *from = k == 0 ? value : c->host->node_input(node, k);
        c->visits = 0;
        if (from && find_source(c->host, from, &c->x) && evaluate(c, value))
            return true;
    }
    return false;
}

static tl_status quantized_table(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    quantized y;
    cone c = {.host = host};
    tl_value *value = host->node_input(node, 0);
    if (!read_quantized(host, node, "QuantizeLinear", &y) || y.count > 1 || !is_bytes(&y) || !find_cone(&c, value) ||
        (host->value_use_count(value) > 1 && value != output(host, c.x.node)))
        return TL_OK;
    if (value == output(host, c.x.node) && are_alike(host, &c.x, &y)) {
        host->new_node(rewrite, "", "Identity", host->node_name(node), &c.x.numbers, 1, &y.numbers, 1);
        return host->commit(rewrite);
    }
    uint8_t bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    const tl_tensor all = {.data = bytes, .type = c.x.type, .rank = 1, .dims = {256}};
    tl_value *numbers = host->new_constant(rewrite, "bytes", &all);
    tl_node *floats = numbers ? copy_node(host, rewrite, c.x.node, numbers, NULL) : NULL;
    if (!floats)
        return TL_OK;
    c.rewrite = rewrite;
    c.floats = output(host, floats);
    c.visits = 0;
    value = evaluate(&c, value);
    tl_node *table = value ? copy_node(host, rewrite, node, value, NULL) : NULL;
    if (!table)
        return TL_OK;
    tl_value *inputs[] = {c.x.numbers, output(host, table)};
    if (host->new_node(rewrite, STEPS_DOMAIN, "Lookup", host->node_name(node), inputs, 2, &y.numbers, 1))
        return host->commit(rewrite);
    return TL_OK;
}
RULE(quantized_table, TL_PHASE_QUANTIZED, "", "QuantizeLinear", quantized_table);

/* ---- Convolutions and products */

/* The largest sum that wraps nowhere: depth products of bytes, less their zero points, and a bias. */
static bool fits_integers(int64_t depth, double bias)
{
    return depth >= 0 && depth <= 32000 && (double)depth * 255 * 255 + fabs(bias) <= (double)INT32_MAX;
}

/* A list of n floats, which may be a row: constant, or dequantized from constant integers. */
static bool read_bias(const tl_host *host, tl_value *value, int64_t n, quantized *q)
{
    *q = (quantized){.numbers = value};
    if (!value || (!host->value_is_constant(value) && (!read_input(host, value, q) || q->type != TL_INT32)) ||
        !host->value_is_constant(q->numbers))
        return false;
    const tl_tensor *tensor = host->value_tensor(q->numbers);
    return (tensor->type == TL_FLOAT || tensor->type == TL_INT32) && tensor->rank >= 1 && tensor->rank <= 2 &&
           tensor->dims[tensor->rank - 1] == n && op_elements(tensor) == n && host->value_data(q->numbers) &&
           (q->count < 2 || q->count == n);
}

static double bias_at(const tl_host *host, const quantized *q, int64_t i)
{
    const double number = op_load_number(host->value_tensor(q->numbers), i);
    if (q->count == 0)
        return number;
    const int64_t at = q->count > 1 ? i : 0;
    const double zero = q->zero ? op_load_number(host->value_tensor(q->zero), at) : 0;
    return (number - zero) * (double)scale_at(host, q, i);
}

/* A bias in the units of the sums, for factors x and w; or in float. *ok: it fits. NULL, if there is none. */
static tl_value *make_bias(const tl_host *host, tl_rewrite *rewrite, tl_value *value, const quantized *x,
                           const quantized *w, int64_t n, int64_t depth, bool integers, bool *ok)
{
    quantized bias;
    *ok = fits_integers(depth, 0);
    if (!value || !*ok)
        return NULL;
    *ok = false;
    if (n < 1 || n > INT32_MAX || !read_bias(host, value, n, &bias))
        return NULL;
    int32_t *list = host->alloc(host, (size_t)n * sizeof *list, 64);
    if (!list)
        return NULL;
    *ok = true;
    for (int64_t i = 0; i < n && *ok; i++) {
        const double number = bias_at(host, &bias, i),
                     sum = rint(number / ((double)scale_at(host, x, 0) * (double)scale_at(host, w, i)));
        const float rounded = (float)number;
        *ok = fits_integers(depth, sum);
        if (integers && *ok)
            list[i] = (int32_t)sum;
        else
            memcpy(list + i, &rounded, sizeof rounded);
    }
    const tl_tensor tensor = {.data = list, .type = integers ? TL_INT32 : TL_FLOAT, .rank = 1, .dims = {n}};
    tl_value *made = *ok ? host->new_constant(rewrite, "bias", &tensor) : NULL;
    host->free(host, list);
    *ok = made != NULL;
    return made;
}

static tl_status quantized_conv(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    quantized x, w, y;
    bool ok;
    if (!read_bytes(host, host->node_input(node, 0), &x) || !read_input(host, host->node_input(node, 1), &w) ||
        !is_bytes(&w) || (w.count > 1 && w.axis != 0) || !read_result(host, output(host, node), &y))
        return TL_OK;
    const tl_tensor *weights = host->value_tensor(w.numbers);
    if (!host->value_is_constant(w.numbers) || weights->rank < 3 || weights->dims[0] < 1)
        return TL_OK;
    tl_value *bias = make_bias(host, rewrite, host->node_input(node, 2), &x, &w, weights->dims[0],
                               op_product(weights, 1, weights->rank), true, &ok);
    tl_value *inputs[] = {x.numbers,
                          x.scale,
                          zero_point(host, rewrite, &x),
                          w.numbers,
                          w.scale,
                          zero_point(host, rewrite, &w),
                          y.scale,
                          zero_point(host, rewrite, &y),
                          bias};
    tl_node *made =
        ok ? host->new_node(rewrite, "", "QLinearConv", host->node_name(node), inputs, bias ? 9 : 8, &y.numbers, 1)
           : NULL;
    if (!made)
        return TL_OK;
    host->copy_attributes(rewrite, made, node);
    return host->commit(rewrite);
}
RULE(quantized_conv, TL_PHASE_QUANTIZED, "", "Conv", quantized_conv);

/* Whether a Gemm does nothing besides a product and a bias. */
static bool is_plain_gemm(const tl_host *host, const tl_node *gemm)
{
    return host->attribute_int(gemm, "transA") == 0 && host->attribute_float(gemm, "alpha") == 1.0F &&
           host->attribute_float(gemm, "beta") == 1.0F;
}

/* The right factor's bytes, (..., depth, columns). */
static tl_value *right_factor(const tl_host *host, tl_rewrite *rewrite, tl_value *bytes, bool turned)
{
    static const int64_t perm[] = {1, 0};
    tl_node *made = turned ? host->new_node(rewrite, "", "Transpose", "", &bytes, 1, NULL, 1) : NULL;
    if (made)
        host->set_ints(rewrite, made, "perm", perm, 2);
    return made ? output(host, made) : turned ? NULL : bytes;
}

/* MatMul and Gemm: to bytes, or to floats where no QuantizeLinear is behind. */
static tl_status quantized_product(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    quantized a, b, y;
    bool ok;
    const bool gemm = rules_is(host, node, "Gemm"), turned = gemm && host->attribute_int(node, "transB") != 0;
    if ((gemm && !is_plain_gemm(host, node)) || !read_bytes(host, host->node_input(node, 0), &a) ||
        !read_input(host, host->node_input(node, 1), &b) || !is_bytes(&b))
        return TL_OK;
    const tl_tensor *left = host->value_tensor(a.numbers), *right = host->value_tensor(b.numbers);
    if (right->rank < 2 || left->rank < 2 || (b.count > 1 && b.axis != (turned ? 0 : right->rank - 1)))
        return TL_OK;
    const int64_t n = right->dims[turned ? 0 : right->rank - 1];
    const int64_t depth = nn_max(left->dims[left->rank - 1], right->dims[turned ? 1 : right->rank - 2]);
    const bool to_bytes = read_result(host, output(host, node), &y);
    tl_value *given = gemm ? host->node_input(node, 2) : NULL;
    tl_value *bias = make_bias(host, rewrite, given, &a, &b, n, depth, to_bytes, &ok);
    tl_value *factor = ok ? right_factor(host, rewrite, b.numbers, turned) : NULL;
    tl_value *result = to_bytes ? y.numbers : output(host, node);
    tl_value *a_zero = zero_point(host, rewrite, &a), *b_zero = zero_point(host, rewrite, &b);
    if (!factor)
        return TL_OK;
    if (to_bytes) {
        tl_value *inputs[] = {
            a.numbers, a.scale, a_zero, factor, b.scale, b_zero, y.scale, zero_point(host, rewrite, &y), bias};
        host->new_node(rewrite, bias ? STEPS_DOMAIN : "", bias ? "FusedQLinearMatMul" : "QLinearMatMul",
                       host->node_name(node), inputs, bias ? 9 : 8, &result, 1);
    } else {
        tl_value *inputs[] = {a.numbers, factor, a.scale, b.scale, a_zero, b_zero, bias};
        host->new_node(rewrite, MICROSOFT, "MatMulIntegerToFloat", host->node_name(node), inputs, bias ? 7 : 6, &result,
                       1);
    }
    return host->commit(rewrite);
}
RULE(quantized_matmul, TL_PHASE_QUANTIZED, "", "MatMul", quantized_product);
RULE(quantized_gemm, TL_PHASE_QUANTIZED, "", "Gemm", quantized_product);

/* ---- Operators that com.microsoft has for bytes: three inputs for each one, and the result's scale and zero point */

static tl_status quantized_operator(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    static const char *const names[][2] = {{"Add", "QLinearAdd"},
                                           {"Mul", "QLinearMul"},
                                           {"Concat", "QLinearConcat"},
                                           {"GlobalAveragePool", "QLinearGlobalAveragePool"}};
    enum { MOST = 16 };
    tl_value *inputs[2 + 3 * MOST];
    quantized x, y;
    const size_t count = host->node_input_count(node);
    const char *op = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (rules_is(host, node, names[i][0]))
            op = names[i][1];
    cone c = {.host = host};
    if (!op || count > MOST || host->node_output_count(node) != 1 || !read_result(host, output(host, node), &y) ||
        find_cone(&c, output(host, node))) /* that becomes a table */
        return TL_OK;
    const bool in_front = rules_is(host, node, "Concat");
    size_t at = in_front ? 2 : 0;
    for (size_t k = 0; k < count; k++) {
        if (!read_bytes(host, host->node_input(node, k), &x) || x.type != y.type)
            return TL_OK;
        inputs[at++] = x.numbers;
        inputs[at++] = x.scale;
        inputs[at++] = zero_point(host, rewrite, &x);
    }
    tl_value **own = inputs + (in_front ? 0 : at);
    own[0] = y.scale;
    own[1] = zero_point(host, rewrite, &y);
    tl_node *made = host->new_node(rewrite, MICROSOFT, op, host->node_name(node), inputs, 2 + 3 * count, &y.numbers, 1);
    if (!made)
        return TL_OK;
    host->copy_attributes(rewrite, made, node);
    return host->commit(rewrite);
}
RULE(quantized_operator, TL_PHASE_QUANTIZED, "", RULES_ANY_OPERATOR, quantized_operator);
