/* Per-channel scalings and shifts (BatchNormalization, Mul, Div, Add, Sub by constants) go into the constant weights of
 * the convolution or product next to them. */
#include "onnx/rules.h"
#include "onnx/weight_row.h"

/* A node that makes scale[c] * x + shift[c] of x. */
typedef struct affine {
    const tl_host *host;
    const tl_node *node;
    tl_value *x, *constant; /* constant: NULL for BatchNormalization */
    bool reversed;          /* the constant is the first operand */
    int64_t channels;
    double *scale, *shift; /* of each channel; scale is all of the memory */
    bool scales, shifts;   /* anything at all */
} affine;

/* Weights and bias around which an affine is folded. */
typedef struct linear {
    const tl_node *node;
    tl_value *weights, *bias; /* bias: or NULL */
    int32_t bias_input;       /* where the operator takes a bias; -1: it doesn't */
    int32_t rank;             /* of what comes in and out; its channels are on axis `axis` */
    int32_t axis;
    int64_t inputs, outputs; /* channels */
    int64_t group;
    bool transposed; /* W is [inputs][outputs / group]..., not [outputs][inputs / group]... */
    int64_t taps;
    bool padded; /* what is outside of the input counts as 0 */
} linear;

/* ---- Reading */

static bool is_float_constant(const tl_host *host, const tl_value *value, tl_type type)
{
    return value && host->value_is_constant(value) && host->value_tensor(value)->type == type;
}

static bool is_padded(const tl_host *host, const tl_node *node)
{
    size_t count;
    const int64_t *pads = host->attribute_ints(node, "pads", &count);
    const char *automatic = host->attribute_string(node, "auto_pad", NULL);
    bool padded = strncmp(automatic, "SAME", 4) == 0;
    for (size_t i = 0; i < count; i++)
        padded |= pads[i] != 0;
    return padded;
}

static bool read_conv(const tl_host *host, const tl_node *node, linear *l)
{
    const tl_tensor *w = host->value_tensor(l->weights);
    l->group = host->attribute_int(node, "group");
    l->transposed = rules_is(host, node, "ConvTranspose");
    l->bias = host->node_input(node, 2);
    l->bias_input = 2;
    l->axis = 1;
    l->rank = w->rank;
    l->padded = l->transposed || is_padded(host, node);
    if (w->rank < 3 || l->group < 1 || w->dims[0] % l->group != 0)
        return false;
    l->inputs = l->transposed ? w->dims[0] : w->dims[1] * l->group;
    l->outputs = l->transposed ? w->dims[1] * l->group : w->dims[0];
    l->taps = op_product(w, 2, w->rank);
    return true;
}

static bool read_product(const tl_host *host, const tl_node *node, linear *l)
{
    const tl_tensor *b = host->value_tensor(l->weights), *a = host->value_tensor(host->node_input(node, 0));
    const bool gemm = rules_is(host, node, "Gemm");
    const bool turned = gemm && host->attribute_int(node, "transB") != 0;
    if (b->rank != 2 || a->rank < 2 ||
        (gemm && (host->node_descriptor(node)->since_version < 7 || host->attribute_int(node, "transA") != 0 ||
                  host->attribute_float(node, "alpha") != 1.0F || host->attribute_float(node, "beta") != 1.0F)))
        return false;
    l->bias = gemm ? host->node_input(node, 2) : NULL;
    l->bias_input = gemm ? 2 : -1;
    l->transposed = !turned;
    l->rank = a->rank;
    l->axis = a->rank - 1;
    l->inputs = b->dims[turned];
    l->outputs = b->dims[!turned];
    l->group = l->taps = 1;
    return true;
}

static bool read_linear(const tl_host *host, const tl_node *node, linear *l)
{
    const bool conv = rules_is(host, node, "Conv") || rules_is(host, node, "ConvTranspose");
    *l = (linear){.node = node};
    if (!conv && !rules_is(host, node, "Gemm") && !rules_is(host, node, "MatMul"))
        return false;
    l->weights = host->node_input(node, 1);
    const tl_value *y = host->node_output(node, 0);
    if (!y || !l->weights || !host->value_is_constant(l->weights))
        return false;
    const tl_type type = host->value_tensor(l->weights)->type;
    if ((type != TL_FLOAT && type != TL_DOUBLE) || !(conv ? read_conv(host, node, l) : read_product(host, node, l)) ||
        l->inputs < 1 || l->outputs < 1 || l->taps < 1)
        return false;
    if (!l->bias)
        return true;
    const tl_tensor *bias = host->value_tensor(l->bias);
    return is_float_constant(host, l->bias, type) && bias->rank == 1 && bias->dims[0] == l->outputs;
}

/* A constant that is one number, or one for each channel, of a value of `rank` with channels on `axis`. */
static bool is_per_channel(const tl_tensor *tensor, int32_t rank, int32_t axis, int64_t channels)
{
    if (tensor->rank < 0 || tensor->rank > rank)
        return false;
    for (int32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] != 1 && (i + rank - tensor->rank != axis || tensor->dims[i] != channels))
            return false;
    return true;
}

static bool read_batch_norm(const tl_host *host, const tl_node *node, tl_type type, affine *a)
{
    const int32_t version = host->node_descriptor(node)->since_version;
    if (version < 7 || (version < 9 && host->attribute_int(node, "spatial") != 1) ||
        (version >= 14 && host->attribute_int(node, "training_mode") != 0))
        return false;
    for (size_t k = 1; k < 5; k++) {
        const tl_value *value = host->node_input(node, k);
        if (!is_float_constant(host, value, type) || host->value_tensor(value)->rank != 1 ||
            host->value_tensor(value)->dims[0] != a->channels)
            return false;
    }
    for (size_t k = 1; k < host->node_output_count(node); k++)
        if (host->node_output(node, k))
            return false;
    a->x = host->node_input(node, 0);
    return true;
}

/* Reads `node` as an affine of a value with so many channels; allocates. x NULL: whichever operand it is. */
static bool read_affine(const tl_host *host, const tl_node *node, const tl_value *x, int32_t rank, int32_t axis,
                        int64_t channels, tl_type type, affine *a)
{
    *a = (affine){.host = host, .node = node, .channels = channels};
    if (rules_is(host, node, "BatchNormalization")) {
        if (axis != 1 || !read_batch_norm(host, node, type, a))
            return false;
        return !x || a->x == x;
    }
    if (!(rules_is(host, node, "Mul") || rules_is(host, node, "Div") || rules_is(host, node, "Add") ||
          rules_is(host, node, "Sub")) ||
        host->node_descriptor(node)->since_version < 7)
        return false;
    a->reversed = is_float_constant(host, host->node_input(node, 0), type);
    a->constant = host->node_input(node, !a->reversed);
    a->x = host->node_input(node, a->reversed);
    if (a->reversed && rules_is(host, node, "Div"))
        return false;
    return a->x && (!x || a->x == x) && !host->value_is_constant(a->x) && is_float_constant(host, a->constant, type) &&
           is_per_channel(host->value_tensor(a->constant), rank, axis, channels);
}

static bool fill_batch_norm(affine *a)
{
    const tl_host *host = a->host;
    for (size_t k = 1; k < 5; k++)
        if (!host->value_data(host->node_input(a->node, k)))
            return false;
    const double epsilon = (double)host->attribute_float(a->node, "epsilon");
    for (int64_t c = 0; c < a->channels; c++) {
        double v[4];
        for (size_t k = 0; k < 4; k++)
            v[k] = op_load_number(host->value_tensor(host->node_input(a->node, k + 1)), c);
        a->scale[c] = v[0] / sqrt(v[3] + epsilon);
        a->shift[c] = v[1] - v[2] * a->scale[c];
    }
    return true;
}

/* Computes scale and shift; false: no memory, or numbers with which the order of operations matters. */
static bool fill_affine(affine *a)
{
    const tl_host *host = a->host;
    a->scale = host->alloc(host, 2 * (size_t)a->channels * sizeof *a->scale, 64);
    if (!a->scale)
        return false;
    a->shift = a->scale + a->channels;
    if (a->constant) {
        if (!host->value_data(a->constant))
            return false;
        const tl_tensor *constant = host->value_tensor(a->constant);
        const bool one = op_elements(constant) == 1;
        for (int64_t c = 0; c < a->channels; c++) {
            const double v = op_load_number(constant, one ? 0 : c);
            const char *op = host->node_operator(a->node);
            a->scale[c] = *op == 'M' ? v : *op == 'D' ? 1 / v : *op == 'S' && a->reversed ? -1 : 1;
            a->shift[c] = *op == 'A' || (*op == 'S' && a->reversed) ? v : *op == 'S' ? -v : 0;
        }
    } else if (!fill_batch_norm(a)) {
        return false;
    }
    bool finite = true;
    for (int64_t c = 0; c < a->channels; c++) {
        finite &= isfinite(a->scale[c]) && isfinite(a->shift[c]);
        a->scales |= a->scale[c] != 1;
        a->shifts |= a->shift[c] != 0;
    }
    return finite;
}

/* ---- Folding */

/* The weights as [rows][columns][taps]: outputs by inputs, or, transposed, inputs by outputs; the columns of a row are
 * those of its group. */
typedef struct matrix {
    int64_t rows, columns, group_rows;
} matrix;

static matrix matrix_of(const linear *l)
{
    const int64_t rows = l->transposed ? l->inputs : l->outputs;
    return (matrix){rows, (l->transposed ? l->outputs : l->inputs) / l->group, rows / l->group};
}

static tl_value *scaled_weights(const affine *a, const linear *l, bool behind, tl_rewrite *rewrite)
{
    const tl_host *host = a->host;
    if (!a->scales)
        return l->weights;
    tl_tensor tensor = *host->value_tensor(l->weights);
    const char *from = tensor.data;
    tensor.data = NULL;
    tl_value *value = host->new_constant(rewrite, "weights", &tensor);
    char *to = value ? (char *)(uintptr_t)host->value_data(value) : NULL;
    const matrix m = matrix_of(l);
    const bool by_row = behind != l->transposed;
    const int64_t columns = by_row ? 1 : m.columns, taps = by_row ? m.columns * l->taps : l->taps;
    const size_t row_bytes = (size_t)(m.columns * l->taps) * nn_type_size(tensor.type);
    for (int64_t row = 0; to && row < m.rows; row++, from += row_bytes, to += row_bytes)
        weight_row_scale(tensor.type, from, to, columns, taps,
                         a->scale + (by_row ? row : row / m.group_rows * m.columns));
    return value;
}

/* bias' = scale * bias + shift behind, or bias + weights * shift in front. */
static void fold_bias(const affine *a, const linear *l, bool behind, double *bias)
{
    const tl_host *host = a->host;
    const tl_tensor *weights = host->value_tensor(l->weights);
    for (int64_t f = 0; f < l->outputs; f++) {
        bias[f] = l->bias ? op_load_number(host->value_tensor(l->bias), f) : 0;
        if (behind)
            bias[f] = bias[f] * a->scale[f] + a->shift[f];
    }
    if (behind || !a->shifts)
        return;
    const matrix m = matrix_of(l);
    const int64_t columns = l->transposed ? 1 : m.columns; /* that go into one sum */
    const size_t bytes = (size_t)(columns * l->taps) * nn_type_size(weights->type);
    const char *from = weights->data;
    for (int64_t row = 0; row < m.rows; row++) {
        const int64_t first = row / m.group_rows * m.columns;
        const double *shift = a->shift + (l->transposed ? row : first);
        for (int64_t c = 0; c < m.columns; c += columns, from += bytes)
            bias[l->transposed ? first + c : row] += weight_row_sum(weights->type, from, columns, l->taps, shift);
    }
}

static tl_value *folded_bias(const affine *a, const linear *l, bool behind, tl_rewrite *rewrite)
{
    const tl_host *host = a->host;
    if (!a->shifts && (!l->bias || !behind))
        return l->bias;
    tl_tensor tensor = {.type = host->value_tensor(l->weights)->type, .rank = 1, .dims = {l->outputs}};
    double *bias = host->alloc(host, (size_t)l->outputs * sizeof *bias, 64);
    if (!bias)
        return NULL;
    fold_bias(a, l, behind, bias);
    if (tensor.type == TL_FLOAT)
        for (int64_t f = 0; f < l->outputs; f++) { /* a number never lies before where it is read */
            const float rounded = (float)bias[f];
            memcpy((char *)bias + (size_t)f * sizeof rounded, &rounded, sizeof rounded);
        }
    tensor.data = bias;
    tl_value *value = host->new_constant(rewrite, "bias", &tensor);
    host->free(host, bias);
    return value;
}

static tl_status fold(affine *a, const linear *l, bool behind, tl_rewrite *rewrite)
{
    const tl_host *host = a->host;
    const bool loaded = fill_affine(a) && host->value_data(l->weights) && (!l->bias || host->value_data(l->bias));
    if (loaded && !(a->shifts && (l->bias_input < 0 || (!behind && l->padded)))) {
        tl_value *inputs[3] = {behind ? host->node_input(l->node, 0) : a->x, scaled_weights(a, l, behind, rewrite),
                               folded_bias(a, l, behind, rewrite)};
        tl_value *y = host->node_output(behind ? a->node : l->node, 0);
        const size_t count = inputs[2] ? 3 : 2;
        tl_node *made = inputs[1] && (inputs[2] || (!a->shifts && !l->bias))
                            ? host->new_node(rewrite, "", host->node_operator(l->node), host->node_name(l->node),
                                             inputs, count, &y, 1)
                            : NULL;
        host->copy_attributes(rewrite, made, l->node);
        if (made)
            host->commit(rewrite);
    }
    if (a->scale)
        host->free(host, a->scale);
    return TL_OK;
}

static tl_status fold_affine(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    linear l;
    affine a;
    if (!read_linear(host, node, &l))
        return TL_OK;
    const tl_type type = host->value_tensor(l.weights)->type;
    const tl_value *y = host->node_output(node, 0);
    const tl_node *after = rules_only_user(host, y);
    if (after && read_affine(host, after, y, l.rank, l.axis, l.outputs, type, &a))
        return fold(&a, &l, true, rewrite);
    tl_value *x = host->node_input(node, 0);
    const tl_node *before = host->value_use_count(x) == 1 ? host->value_producer(x) : NULL;
    if (before && read_affine(host, before, NULL, l.rank, l.axis, l.inputs, type, &a) &&
        host->value_tensor(a.x)->rank == l.rank && host->value_tensor(a.x)->dims[l.axis] == l.inputs)
        return fold(&a, &l, false, rewrite);
    return TL_OK;
}

/* What no weights took becomes a Mul and an Add, if an operator next to it has steps, of which they become some. */
static bool is_beside_steps(const tl_host *host, const tl_node *norm)
{
    const tl_value *x = host->node_input(norm, 0);
    const tl_node *nodes[] = {host->value_use_count(x) == 1 ? host->value_producer(x) : NULL,
                              rules_only_user(host, host->node_output(norm, 0))};
    for (size_t k = 0; k < 2; k++)
        if (nodes[k] && !*host->node_domain(nodes[k]) &&
            (host->node_descriptor(nodes[k])->flags & TL_OP_ELEMENTWISE ||
             (k == 0 && rules_is(host, nodes[k], "Conv"))))
            return true;
    return false;
}

static tl_value *vector_of(const affine *a, const double *numbers, const tl_tensor *x, tl_rewrite *rewrite)
{
    tl_tensor tensor = {.type = x->type, .rank = x->rank - 1, .dims = {a->channels}};
    for (int32_t i = 1; i < tensor.rank; i++)
        tensor.dims[i] = 1;
    tl_value *value = a->host->new_constant(rewrite, "norm", &tensor);
    void *to = value ? (void *)(uintptr_t)a->host->value_data(value) : NULL;
    for (int64_t c = 0; to && c < a->channels; c++)
        if (x->type == TL_FLOAT)
            ((float *)to)[c] = (float)numbers[c];
        else
            ((double *)to)[c] = numbers[c];
    return to ? value : NULL;
}

static tl_status norm_to_steps(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    affine a;
    tl_value *y = host->node_output(node, 0);
    const tl_tensor *x = host->value_tensor(host->node_input(node, 0));
    if (!y || x->rank < 2 || x->dims[1] < 1 || (x->type != TL_FLOAT && x->type != TL_DOUBLE) ||
        !is_beside_steps(host, node) || !read_affine(host, node, NULL, x->rank, 1, x->dims[1], x->type, &a))
        return TL_OK;
    if (fill_affine(&a)) {
        tl_value *scaling[] = {a.x, vector_of(&a, a.scale, x, rewrite)};
        tl_value *shifting[] = {NULL, vector_of(&a, a.shift, x, rewrite)};
        tl_node *mul = scaling[1] && shifting[1]
                           ? host->new_node(rewrite, "", "Mul", host->node_name(node), scaling, 2, NULL, 1)
                           : NULL;
        shifting[0] = mul ? host->node_output(mul, 0) : NULL;
        if (mul && host->new_node(rewrite, "", "Add", host->node_name(node), shifting, 2, &y, 1))
            host->commit(rewrite);
    }
    if (a.scale)
        host->free(host, a.scale);
    return TL_OK;
}

RULE(norm_to_steps, TL_PHASE_EPILOGUE, "", "BatchNormalization", norm_to_steps);
RULE(fold_into_conv, TL_PHASE_EPILOGUE, "", "Conv", fold_affine);
RULE(fold_into_conv_transpose, TL_PHASE_EPILOGUE, "", "ConvTranspose", fold_affine);
RULE(fold_into_gemm, TL_PHASE_EPILOGUE, "", "Gemm", fold_affine);
RULE(fold_into_matmul, TL_PHASE_EPILOGUE, "", "MatMul", fold_affine);
