/* Pads in front of a convolution become the convolution's; steps cut off behind it are not computed, though scales,
 * bias and activation be in between. */
#include "onnx/quant.h"
#include "onnx/rules.h"

#define MOST_SPATIAL (TL_MAX_RANK - 2)

typedef struct window_pads {
    int32_t spatial;
    int64_t pads[2 * MOST_SPATIAL]; /* of all beginnings, then of all ends */
} window_pads;

static bool is_quantized(const tl_host *host, const tl_node *conv)
{
    return rules_is(host, conv, "QLinearConv");
}

static tl_value *weights_of(const tl_host *host, const tl_node *conv)
{
    return host->node_input(conv, is_quantized(host, conv) ? 3 : 1);
}

/* What a Conv adds around its input; false: it depends on the input's size. */
static bool read_pads(const tl_host *host, const tl_node *conv, window_pads *w)
{
    const tl_value *weights = weights_of(host, conv);
    const char *automatic = host->attribute_string(conv, "auto_pad", NULL);
    size_t count;
    const int64_t *pads = host->attribute_ints(conv, "pads", &count);
    memset(w, 0, sizeof *w);
    w->spatial = weights ? host->value_tensor(weights)->rank - 2 : -1;
    if (w->spatial < 1 || w->spatial > MOST_SPATIAL || strncmp(automatic, "SAME", 4) == 0)
        return false;
    if (strcmp(automatic, "VALID") == 0 || count == 0)
        return true;
    if (count != 2 * (size_t)w->spatial)
        return false;
    memcpy(w->pads, pads, count * sizeof *pads);
    return true;
}

/* The same convolution of x with these pads, as y (NULL: a new value). */
static tl_node *repeat(const tl_host *host, tl_rewrite *rewrite, const tl_node *conv, tl_value *x, const window_pads *w,
                       tl_value *y)
{
    tl_value *inputs[9] = {x};
    const size_t count = host->node_input_count(conv);
    for (size_t k = 1; k < count && k < sizeof inputs / sizeof inputs[0]; k++)
        inputs[k] = host->node_input(conv, k);
    tl_node *made = host->new_node(rewrite, "", host->node_operator(conv), host->node_name(conv), inputs, count, &y, 1);
    if (!made)
        return NULL;
    host->copy_attributes(rewrite, made, conv);
    host->set_string(rewrite, made, "auto_pad", "NOTSET");
    host->set_ints(rewrite, made, "pads", w->pads, 2 * (size_t)w->spatial);
    return made;
}

/* Whether a Pad adds the same bytes as a QLinearConv: the zero point. */
static bool adds_zero_point(const tl_host *host, const tl_node *pad, const tl_node *conv)
{
    tl_value *added = host->node_input(pad, 2), *zero = host->node_input(conv, 2);
    return added && zero && host->value_is_constant(added) && host->value_is_constant(zero) &&
           op_elements(host->value_tensor(added)) == 1 && op_elements(host->value_tensor(zero)) == 1 &&
           host->value_data(added) && host->value_data(zero) &&
           quant_byte(host->value_tensor(added), 0) == quant_byte(host->value_tensor(zero), 0);
}

/* What a Pad adds, if that is zeros, as `conv` has them; NULL if not. */
static const int64_t *zeros_added(const tl_host *host, const tl_node *pad, const tl_node *conv, size_t *count)
{
    double value = (double)host->attribute_float(pad, "value");
    if (strcmp(host->attribute_string(pad, "mode", NULL), "constant") != 0 || host->node_input(pad, 3))
        return NULL;
    if (is_quantized(host, conv)
            ? !adds_zero_point(host, pad, conv)
            : (host->node_input(pad, 2) && !rules_scalar(host, host->node_input(pad, 2), &value)) || value != 0)
        return NULL;
    return rules_list(host, pad, "pads", count);
}

/* What makes the bytes of a ConvInteger, and its zero point of what stood for 0; NULL, if something else does. */
static const tl_node *dynamic_source(const tl_host *host, const tl_node *conv)
{
    tl_value *x = host->node_input(conv, 0);
    const tl_node *source = host->value_producer(x);
    return rules_is(host, source, "DynamicQuantizeLinear") && host->value_use_count(x) == 1 &&
                   host->node_input(conv, 2) == host->node_output(source, 2)
               ? source
               : NULL;
}

/* x in front of a DynamicQuantizeLinear: zeros are in its range in any case. */
static tl_value *quantize(const tl_host *host, tl_rewrite *rewrite, const tl_node *source, tl_value *x)
{
    tl_value *outputs[] = {NULL, host->node_output(source, 1), host->node_output(source, 2)};
    tl_node *made =
        host->new_node(rewrite, "", host->node_operator(source), host->node_name(source), &x, 1, outputs, 3);
    return made ? host->node_output(made, 0) : NULL;
}

static tl_status pad_into_conv(const tl_host *host, tl_rewrite *rewrite, tl_node *conv)
{
    window_pads w;
    size_t count;
    const bool integer = rules_is(host, conv, "ConvInteger");
    const tl_node *source = integer ? dynamic_source(host, conv) : conv;
    const tl_node *pad = source ? host->value_producer(host->node_input(source, 0)) : NULL, *view = NULL;
    if (rules_is(host, pad, "Unsqueeze")) { /* as in front of a convolution over a plane of height 1 */
        view = pad;
        pad = host->value_producer(host->node_input(view, 0));
    }
    if (!rules_is(host, pad, "Pad") || !read_pads(host, conv, &w))
        return TL_OK;
    const int64_t *added = zeros_added(host, pad, conv, &count), *next = added;
    const size_t rank = (size_t)w.spatial + 2;
    const uint32_t made = view ? rules_axes(host, view, (int32_t)rank) : 0;
    if (!added || count != 2 * (rank - (size_t)__builtin_popcount(made)))
        return TL_OK;
    for (size_t i = 0; i < 2 * rank; i++) {
        const bool spatial = i % rank >= 2;
        const int64_t more = made >> i % rank & 1 ? 0 : *next++;
        if (more < 0 || (!spatial && more != 0))
            return TL_OK;
        int64_t *sum = &w.pads[spatial ? i / rank * (size_t)w.spatial + i % rank - 2 : 0];
        if (spatial && !nn_add(*sum, more, sum))
            return TL_OK;
    }
    tl_value *x = host->node_input(pad, 0);
    if (view) {
        tl_value *inputs[] = {x, host->node_input(view, 1)};
        tl_node *again = host->new_node(rewrite, "", "Unsqueeze", "", inputs, inputs[1] ? 2 : 1, NULL, 1);
        host->copy_attributes(rewrite, again, view);
        x = again ? host->node_output(again, 0) : NULL;
    }
    if (integer && x)
        x = quantize(host, rewrite, source, x);
    return x && repeat(host, rewrite, conv, x, &w, host->node_output(conv, 0)) ? host->commit(rewrite) : TL_OK;
}
RULE(pad_into_conv, TL_PHASE_EPILOGUE, "", "Conv", pad_into_conv);
RULE(pad_into_quantized_conv, TL_PHASE_EPILOGUE, "", "QLinearConv", pad_into_conv);
RULE(pad_into_conv_integer, TL_PHASE_EPILOGUE, "", "ConvInteger", pad_into_conv);

/* What a Slice leaves of one axis of y, and of all others everything: all but the last steps, or as many as a dimension
 * has that is not known but named. */
typedef struct chomp {
    int64_t axis, cut; /* cut: > 0, or -1: see `length` */
    tl_dim length;
} chomp;

static bool read_chomp(const tl_host *host, const tl_node *slice, const tl_tensor *y, chomp *c)
{
    int64_t start, end, step = 1;
    tl_value *last = host->node_input(slice, 2), *steps = host->node_input(slice, 4);
    if (y->rank < 3 || host->node_descriptor(slice)->since_version < 10 || !last ||
        !rules_number(host, host->node_input(slice, 1), &start) ||
        !rules_number(host, host->node_input(slice, 3), &c->axis) || (steps && !rules_number(host, steps, &step)))
        return false;
    if (c->axis < 0)
        c->axis += y->rank;
    if (c->axis < 2 || c->axis >= y->rank || start != 0 || step != 1)
        return false;
    c->cut = -1;
    if (!host->value_is_constant(last)) {
        c->length = rules_dimension(host, last);
        return c->length < TL_DIM_UNKNOWN;
    }
    if (!rules_number(host, last, &end))
        return false;
    if (end >= 0 && end < y->dims[c->axis])
        end -= y->dims[c->axis];
    c->cut = -end;
    return end < 0 && end > -INT32_MAX;
}

/* How many steps all windows along an axis see but their first, and how many pads there are. */
static bool read_window(const tl_host *host, const tl_node *conv, const window_pads *w, int64_t axis, int64_t *reach,
                        int64_t *padding)
{
    size_t count;
    const int64_t *dilations = host->attribute_ints(conv, "dilations", &count);
    const int64_t kernel = host->value_tensor(weights_of(host, conv))->dims[axis], i = axis - 2;
    return kernel >= 1 && (!dilations || count == (size_t)w->spatial) &&
           nn_mul(kernel - 1, dilations ? dilations[i] : 1, reach) &&
           nn_add(w->pads[i], w->pads[w->spatial + i], padding);
}

/* The only way up from a value to a convolution, by what computes each step along `axis` by itself. */
typedef struct way_up {
    tl_value *values[8]; /* the first one is a node's result, the others are inputs of the node before */
    int nodes;
} way_up;

/* Which input of an elementwise node is as long as `y` along `axis`, if the others are not; -1: none. */
static int long_input(const tl_host *host, const tl_node *node, const tl_value *y, int64_t axis)
{
    const tl_tensor *out = host->value_tensor(y);
    int found = -1;
    if (*host->node_domain(node) || host->node_output_count(node) != 1 ||
        !(host->node_descriptor(node)->flags & TL_OP_ELEMENTWISE || rules_is(host, node, "Cast")))
        return -1;
    for (size_t k = 0; k < host->node_input_count(node); k++) {
        const tl_value *value = host->node_input(node, k);
        const tl_tensor *in = value ? host->value_tensor(value) : NULL;
        const int64_t at = in ? axis - (out->rank - in->rank) : -1;
        if (!in || (in->rank >= 0 && (at < 0 || in->dims[at] == 1)))
            continue;
        if (found >= 0 || in->rank != out->rank)
            return -1;
        found = (int)k;
    }
    return found;
}

static const tl_node *climb(const tl_host *host, tl_value *y, int64_t axis, way_up *way)
{
    for (way->nodes = 0; way->nodes < 8; way->nodes++) {
        const tl_node *node = host->value_use_count(y) == 1 ? host->value_producer(y) : NULL;
        way->values[way->nodes] = y;
        if (!node || rules_is(host, node, "Conv") || rules_is(host, node, "ConvInteger") || is_quantized(host, node))
            return node;
        const int k = long_input(host, node, y, axis);
        if (k < 0)
            return NULL;
        y = host->node_input(node, (size_t)k);
    }
    return NULL;
}

/* The nodes below the way's last value once more, of x, to y. */
static bool climb_down(const tl_host *host, tl_rewrite *rewrite, const way_up *way, tl_value *x, tl_value *y)
{
    for (int i = way->nodes - 1; i >= 0; i--) {
        const tl_node *node = host->value_producer(way->values[i]);
        tl_value *inputs[3] = {NULL}, *result = i == 0 ? y : NULL;
        const size_t count = host->node_input_count(node);
        for (size_t k = 0; k < count && k < 3; k++)
            inputs[k] = host->node_input(node, k) == way->values[i + 1] ? x : host->node_input(node, k);
        tl_node *made = count > 3 ? NULL
                                  : host->new_node(rewrite, "", host->node_operator(node), host->node_name(node),
                                                   inputs, count, &result, 1);
        if (!made)
            return false;
        host->copy_attributes(rewrite, made, node);
        x = host->node_output(made, 0);
    }
    return true;
}

/* What is left must be held by pads alone, but for one step of a window, so that any input gives an output. */
static tl_status chomp_conv(const tl_host *host, tl_rewrite *rewrite, tl_node *slice)
{
    window_pads w;
    way_up way;
    chomp c;
    int64_t reach, padding;
    tl_value *y = host->node_input(slice, 0);
    const tl_node *conv = y && read_chomp(host, slice, host->value_tensor(y), &c) ? climb(host, y, c.axis, &way) : NULL;
    size_t count;
    if (!conv || !read_pads(host, conv, &w) || c.axis - 2 >= w.spatial ||
        !read_window(host, conv, &w, c.axis, &reach, &padding))
        return TL_OK;
    const int64_t *strides = host->attribute_ints(conv, "strides", &count);
    if ((strides && count != (size_t)w.spatial) || (strides && strides[c.axis - 2] != 1))
        return TL_OK;
    const tl_tensor *x = host->value_tensor(host->node_input(conv, 0));
    if (c.cut < 0 && x->rank > c.axis && x->dims[c.axis] == c.length)
        c.cut = padding - reach;
    int64_t *end = &w.pads[w.spatial + c.axis - 2];
    if (c.cut < 0 || *end < c.cut || padding - c.cut < reach)
        return TL_OK;
    *end -= c.cut;
    y = host->node_output(slice, 0);
    const tl_node *made = repeat(host, rewrite, conv, host->node_input(conv, 0), &w, way.nodes == 0 ? y : NULL);
    return made && climb_down(host, rewrite, &way, host->node_output(made, 0), y) ? host->commit(rewrite) : TL_OK;
}
RULE(chomp_conv, TL_PHASE_EPILOGUE, "", "Slice", chomp_conv);
