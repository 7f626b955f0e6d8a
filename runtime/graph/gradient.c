/* Gradient (ai.onnx.preview.training 1): written out, when a session opens or by `tapline lower`, as the operators that
 * compute it, from the last operator of its function back to the first.
 *
 * Its attributes name values: y, and xs and zs, of which y is a function; its inputs say at which xs and zs. Check
 * makes the named ones inputs, too, so that they live as long and stand before it. Where the given values are the named
 * ones, what the graph computes anyway is used; else the function's nodes are copied. */
#include "graph/gradient.h"
#include "graph/call.h"
#include "onnx/op.h"

typedef struct gradient {
    const tl_host *host;
    tl_rewrite *rewrite;
    tl_graph *graph;
    tl_value **at;      /* what stands for a value of the graph: itself, or its copy for other xs and zs */
    tl_value **adjoint; /* the derivative of y by a value, as far as it is gathered */
    bool *wanted;       /* y depends on it */
    bool *moves;        /* depends on one of xs, in a way that has a derivative */
    bool *fixed;        /* one of xs or zs */
} gradient;

/* One node, on the way back. */
typedef struct step {
    gradient *d;
    const tl_node *node;
    size_t k; /* the input by which to differentiate */
    tl_value *g;
} step;

/* By input k: a formula in prefix notation, or a function. NULL: the derivative is 0 wherever there is one. The last
 * counts for all further inputs. */
typedef struct rule {
    const char *op;
    const char *by[2]; /* a, b: the inputs; y: the output; g: its adjoint, G: with the reduced axes; 1: one. Reshape and
                          Expand: to the shape of the second */
    tl_value *(*compute)(const step *s);
} rule;

/* ---- Making nodes. NULL where something went wrong, which the attempt remembers. */

static tl_value *infer(gradient *d, tl_node *node)
{
    tl_error why = {TL_OK, ""};
    tl_status status = node ? tl_node_infer(node, d->host, &why) : TL_OK;
    if (status != TL_OK)
        d->host->refuse(d->rewrite, status, "%s", why.message);
    return node && status == TL_OK ? node->outputs[0] : NULL;
}

static tl_node *begin(gradient *d, const char *op, tl_value *a, tl_value *b, size_t count)
{
    tl_value *inputs[] = {a, b};
    return a && (b || count < 2) ? d->host->new_node(d->rewrite, "", op, op, inputs, count, NULL, 1) : NULL;
}

static tl_value *make(gradient *d, const char *op, tl_value *a, tl_value *b, size_t count)
{
    return infer(d, begin(d, op, a, b, count));
}

static tl_value *cast(gradient *d, tl_value *x, tl_type type)
{
    if (!x || x->tensor.type == type)
        return x;
    tl_node *node = begin(d, "Cast", x, NULL, 1);
    if (node)
        d->host->set_int(d->rewrite, node, "to", type);
    return infer(d, node);
}

static tl_value *number(gradient *d, float value, tl_type type)
{
    const tl_tensor tensor = {.data = &value, .type = TL_FLOAT};
    return cast(d, d->host->new_constant(d->rewrite, "number", &tensor), type);
}

static tl_value *integers(gradient *d, const int64_t *values, int32_t count)
{
    const tl_tensor tensor = {(void *)(uintptr_t)values, TL_INT64, 1, {count}};
    return d->host->new_constant(d->rewrite, "integers", &tensor);
}

/* Expand or Reshape to the shape of `like`, symbols included. */
static tl_value *shaped(gradient *d, const char *op, tl_value *x, tl_value *like)
{
    tl_value *result = make(d, op, x, like ? make(d, "Shape", like, NULL, 1) : NULL, 2);
    if (result)
        op_copy_shape(&result->tensor, &like->tensor);
    return result;
}

static tl_value *filled(gradient *d, float value, tl_value *like)
{
    return shaped(d, "Expand", number(d, value, like->tensor.type), like);
}

static tl_value *unknown(const gradient *d, const tl_value *x)
{
    d->host->refuse(d->rewrite, TL_UNSUPPORTED, "which sizes of '%.200s' are 1 must be known", x->name);
    return NULL;
}

/* Back over broadcasting: the sum of x over the axes along which `like` was repeated. */
static tl_value *sum_to(gradient *d, tl_value *x, tl_value *like)
{
    if (!x || x->tensor.rank < like->tensor.rank || like->tensor.rank < 0)
        return x ? unknown(d, like) : NULL;
    int64_t axes[TL_MAX_RANK];
    int32_t count = 0;
    const int32_t extra = x->tensor.rank - like->tensor.rank;
    for (int32_t i = 0; i < x->tensor.rank; i++) {
        const tl_dim from = x->tensor.dims[i], to = i < extra ? 1 : like->tensor.dims[i - extra];
        if (i >= extra && to < 0 && from != to)
            return unknown(d, like);
        if (i < extra || (to == 1 && from != 1))
            axes[count++] = i;
    }
    if (count == 0)
        return x;
    const bool as_input = d->host->domain_version(d->rewrite, "") >= 13;
    tl_node *node = begin(d, "ReduceSum", x, as_input ? integers(d, axes, count) : NULL, as_input ? 2 : 1);
    if (node && !as_input)
        d->host->set_ints(d->rewrite, node, "axes", axes, (size_t)count);
    tl_value *sum = infer(d, node);
    return extra ? shaped(d, "Reshape", sum, like) : sum;
}

/* ---- Formulas */

static tl_value *input_at(const step *s, size_t k)
{
    return k < s->node->input_count && s->node->inputs[k] ? s->d->at[s->node->inputs[k]->index] : NULL;
}

/* The same operator once more, with other inputs. */
static tl_node *copy_node(gradient *d, const tl_node *node, tl_value *const *inputs)
{
    tl_node *copy = d->host->new_node(d->rewrite, node->domain, node->op_type, node->name, inputs, node->input_count,
                                      NULL, node->output_count);
    if (!copy || d->host->copy_attributes(d->rewrite, copy, node) != TL_OK)
        return NULL;
    copy->version = node->version;
    copy->op = node->op;
    return copy;
}

/* The adjoint of a reduction with the axes of length 1 that it may have left out. */
static tl_value *with_axes(const step *s)
{
    gradient *d = s->d;
    if (d->host->attribute_int(s->node, "keepdims"))
        return s->g;
    tl_value *inputs[2] = {input_at(s, 0), input_at(s, 1)};
    tl_node *kept = copy_node(d, s->node, inputs);
    if (kept)
        d->host->set_int(d->rewrite, kept, "keepdims", 1);
    return shaped(d, "Reshape", s->g, infer(d, kept));
}

static tl_value *formula(const step *s, const char **text)
{
    static const char binary[] = " Add Sub Mul Div Pow Reshape Expand ", shapes[] = " Reshape Expand ";
    char word[16] = " ";
    gradient *d = s->d;
    const size_t size = strcspn(*text, " ");
    memcpy(word + 1, *text, size);
    memcpy(word + 1 + size, " ", 2);
    *text += size + ((*text)[size] == ' ');
    if (size == 1)
        switch (word[1]) {
        case 'a':
        case 'b':
            return input_at(s, word[1] == 'b');
        case 'y':
            return d->at[s->node->outputs[0]->index];
        case 'g':
            return s->g;
        case 'G':
            return with_axes(s);
        default:
            return number(d, 1, s->g->tensor.type);
        }
    const bool two = strstr(binary, word), is_shape = strstr(shapes, word), is_cast = strcmp(word, " Cast ") == 0;
    word[1 + size] = 0;
    tl_value *x = formula(s, text), *y = two ? formula(s, text) : NULL;
    if (is_shape)
        return shaped(d, word + 1, x, y);
    return is_cast ? cast(d, x, input_at(s, s->k)->tensor.type) : make(d, word + 1, x, y, two ? 2 : 1);
}

static tl_value *transposed(gradient *d, tl_value *x, const int64_t *perm, size_t count)
{
    tl_node *node = begin(d, "Transpose", x, NULL, 1);
    if (node && count)
        d->host->set_ints(d->rewrite, node, "perm", perm, count);
    return infer(d, node);
}

static tl_value *transpose(const step *s)
{
    int64_t back[TL_MAX_RANK];
    size_t count;
    const int64_t *perm = s->d->host->attribute_ints(s->node, "perm", &count);
    const int32_t rank = input_at(s, 0)->tensor.rank; /* inference has checked perm against it, if it is known */
    if (count && rank != (int32_t)count)
        return unknown(s->d, input_at(s, 0));
    for (size_t i = 0; i < count; i++)
        back[perm[i]] = (int64_t)i;
    return transposed(s->d, s->g, back, count);
}

static tl_value *swapped(gradient *d, tl_value *x)
{
    int64_t perm[TL_MAX_RANK];
    const int32_t rank = x ? x->tensor.rank : 0;
    if (rank < 2)
        return x ? unknown(d, x) : NULL;
    for (int32_t i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return transposed(d, x, perm, (size_t)rank);
}

/* A vector in a product is a matrix of one row or column. */
static tl_value *matmul(const step *s)
{
    gradient *d = s->d;
    tl_value *in[2] = {input_at(s, 0), input_at(s, 1)}, *g = s->g;
    if (!in[0] || !in[1])
        return NULL;
    const int32_t ranks[2] = {in[0]->tensor.rank, in[1]->tensor.rank};
    if (ranks[0] < 1 || ranks[1] < 1)
        return unknown(d, in[ranks[0] >= 1]);
    static const int64_t row[] = {1, -1}, column[] = {-1, 1};
    for (int k = 0; k < 2; k++)
        if (ranks[k] == 1)
            in[k] = make(d, "Reshape", in[k], integers(d, k ? column : row, 2), 2);
    if (ranks[0] == 1 || ranks[1] == 1) {
        int64_t shape[TL_MAX_RANK] = {0}; /* 0: as it is */
        int32_t rank = g->tensor.rank;
        if (rank < 0 || rank > TL_MAX_RANK - 2)
            return unknown(d, g);
        if (ranks[0] == 1) {
            shape[rank ? rank - 1 : 0] = 1;
            shape[rank ? rank : 1] = ranks[1] == 1 ? 1 : -1;
            rank = rank ? rank + 1 : 2;
        } else
            shape[rank++] = 1;
        g = make(d, "Reshape", g, integers(d, shape, rank), 2);
    }
    if (s->k == 0)
        return make(d, "MatMul", g, swapped(d, in[1]), 2);
    return ranks[1] == 1 ? make(d, "MatMul", swapped(d, g), in[0], 2) : make(d, "MatMul", swapped(d, in[0]), g, 2);
}

static tl_value *gemm(const step *s)
{
    gradient *d = s->d;
    const bool trans_a = d->host->attribute_int(s->node, "transA"), trans_b = d->host->attribute_int(s->node, "transB");
    const float factor = d->host->attribute_float(s->node, s->k == 2 ? "beta" : "alpha");
    tl_value *a = input_at(s, 0), *b = input_at(s, 1), *result = s->g;
    if (s->k == 0) /* of the transposed: the transposed product */
        result = trans_a ? make(d, "MatMul", trans_b ? swapped(d, b) : b, swapped(d, s->g), 2)
                         : make(d, "MatMul", s->g, trans_b ? b : swapped(d, b), 2);
    else if (s->k == 1)
        result = trans_b ? make(d, "MatMul", swapped(d, s->g), trans_a ? swapped(d, a) : a, 2)
                         : make(d, "MatMul", trans_a ? a : swapped(d, a), s->g, 2);
    return factor == 1 ? result : make(d, "Mul", result, number(d, factor, s->g->tensor.type), 2);
}

#define SAME_ELEMENTS {"Reshape g a"}, NULL

static const rule rules[] = {
    {"Abs", {"Mul g Sign a"}, NULL},
    {"Add", {"g", "g"}, NULL},
    {"Cast", {"Cast g"}, NULL},
    {"ConstantOfShape", {NULL}, NULL},
    {"Cos", {"Neg Mul g Sin a"}, NULL},
    {"Div", {"Div g b", "Neg Mul g Div y b"}, NULL},
    {"Exp", {"Mul g y"}, NULL},
    {"Expand", {"g"}, NULL},
    {"Flatten", SAME_ELEMENTS},
    {"Gemm", {NULL}, gemm},
    {"Identity", {"g"}, NULL},
    {"Log", {"Div g a"}, NULL},
    {"MatMul", {NULL}, matmul},
    {"Mul", {"Mul g b", "Mul g a"}, NULL},
    {"Neg", {"Neg g"}, NULL},
    {"Pow", {"Mul g Mul Cast b Pow a Sub Cast b 1", "Cast Mul g Mul y Log a"}, NULL},
    {"Reciprocal", {"Neg Mul g Mul y y"}, NULL},
    {"ReduceMean", {"Mul Expand G a Div Cast Size y Cast Size a"}, NULL},
    {"ReduceSum", {"Expand G a"}, NULL},
    {"Relu", {"Mul g Sign y"}, NULL},
    {"Reshape", SAME_ELEMENTS},
    {"Shape", {NULL}, NULL},
    {"Sigmoid", {"Mul g Sub y Mul y y"}, NULL},
    {"Sign", {NULL}, NULL},
    {"Sin", {"Mul g Cos a"}, NULL},
    {"Size", {NULL}, NULL},
    {"Softplus", {"Mul g Sigmoid a"}, NULL},
    {"Sqrt", {"Div g Add y y"}, NULL},
    {"Squeeze", SAME_ELEMENTS},
    {"Sub", {"g", "Neg g"}, NULL},
    {"Sum", {"g", "g"}, NULL},
    {"Tanh", {"Sub g Mul g Mul y y"}, NULL},
    {"Transpose", {NULL}, transpose},
    {"Unsqueeze", SAME_ELEMENTS},
};

static const rule *find_rule(const tl_node *node)
{
    for (size_t k = 0; k < TL_COUNT(rules) && !*node->domain; k++)
        if (strcmp(rules[k].op, node->op_type) == 0)
            return &rules[k];
    return NULL;
}

static bool has_derivative(const rule *found, size_t k)
{
    return found->compute || found->by[k < 2 ? k : 1];
}

/* ---- The function, forwards and back */

static bool is_wanted(const gradient *d, const tl_node *node)
{
    bool wanted = false;
    for (size_t k = 0; k < node->output_count; k++) {
        const tl_value *value = node->outputs[k];
        wanted |= value && d->wanted[value->index] && !d->fixed[value->index];
    }
    return wanted;
}

/* What depends on xs; and copies of what is to be computed at other values. */
static tl_status forward(gradient *d, const tl_node *node)
{
    const rule *found = find_rule(node);
    bool moves = false, other = false;
    char where[300];
    tl_value **inputs = TL_NEW(&d->graph->model->arena, tl_value *, node->input_count + 1);
    if (!inputs)
        return TL_NO_MEMORY;
    for (size_t k = 0; k < node->input_count; k++) {
        const tl_value *value = node->inputs[k];
        inputs[k] = value ? d->at[value->index] : NULL;
        other |= inputs[k] != value;
        if (!value || !d->moves[value->index])
            continue;
        if (!found)
            return d->host->refuse(d->rewrite, TL_UNSUPPORTED, "%s: there is no derivative of this operator here",
                                   tl_node_describe(node, where, sizeof where));
        moves |= has_derivative(found, k);
    }
    if (tl_node_subgraph(node, 0))
        return d->host->refuse(d->rewrite, TL_UNSUPPORTED, "%s: there are no derivatives of what holds a graph",
                               tl_node_describe(node, where, sizeof where));
    tl_node *copy = other ? copy_node(d, node, inputs) : NULL;
    if (other && !infer(d, copy))
        return TL_UNSUPPORTED;
    for (size_t k = 0; k < node->output_count; k++) {
        const tl_value *value = node->outputs[k];
        if (!value || d->fixed[value->index])
            continue;
        d->at[value->index] = other ? copy->outputs[k] : d->at[value->index];
        d->moves[value->index] = moves && k == 0;
    }
    return TL_OK;
}

static tl_status backward(gradient *d, const tl_node *node)
{
    const rule *found = find_rule(node);
    const tl_value *y = node->outputs[0];
    for (size_t k = 0; k < node->input_count; k++) {
        const tl_value *x = node->inputs[k];
        if (!x || !d->moves[x->index] || !has_derivative(found, k))
            continue;
        step s = {d, node, k, d->adjoint[y->index]};
        const char *text = found->by[k < 2 ? k : 1];
        tl_value *part = sum_to(d, found->compute ? found->compute(&s) : formula(&s, &text), d->at[x->index]);
        tl_value **sum = &d->adjoint[x->index];
        *sum = *sum && part ? make(d, "Add", *sum, part, 2) : part;
        if (!*sum)
            return TL_UNSUPPORTED;
    }
    return TL_OK;
}

static tl_status write_out(gradient *d, tl_node *node, size_t named, size_t x_count)
{
    tl_graph *graph = d->graph;
    const size_t node_count = graph->node_count; /* more are made here */
    const tl_value *y = node->inputs[2 * named];
    for (size_t i = 0; i < graph->value_count; i++)
        d->at[i] = graph->values[i];
    for (size_t k = 0; k < named; k++) {
        const int32_t index = node->inputs[named + k]->index;
        d->fixed[index] = true;
        d->moves[index] |= k < x_count;
        d->at[index] = node->inputs[k];
    }
    d->wanted[y->index] = true;
    for (size_t i = node_count; i-- > 0;)
        for (size_t k = 0; is_wanted(d, graph->nodes[i]) && k < graph->nodes[i]->input_count; k++)
            if (graph->nodes[i]->inputs[k])
                d->wanted[graph->nodes[i]->inputs[k]->index] = true;
    tl_status status = TL_OK;
    for (size_t i = 0; i < node_count && status == TL_OK; i++)
        if (is_wanted(d, graph->nodes[i]))
            status = forward(d, graph->nodes[i]);
    if (status == TL_OK && !(d->adjoint[y->index] = filled(d, 1, d->at[y->index])))
        status = TL_UNSUPPORTED;
    for (size_t i = node_count; i-- > 0 && status == TL_OK;) {
        const tl_node *at = graph->nodes[i];
        if (is_wanted(d, at) && at->outputs[0] && d->moves[at->outputs[0]->index] && d->adjoint[at->outputs[0]->index])
            status = backward(d, at);
    }
    for (size_t k = 0; k < x_count && k < node->output_count && status == TL_OK; k++) {
        tl_value *out = node->outputs[k], *x = node->inputs[named + k], *result = d->adjoint[x->index];
        if (out && !result)
            result = filled(d, 0, d->at[x->index]);
        if (out && (!result || !d->host->new_node(d->rewrite, "", "Identity", out->name, &result, 1, &out, 1)))
            status = TL_UNSUPPORTED;
    }
    return status == TL_OK ? d->host->commit(d->rewrite) : status;
}

static tl_status decompose(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    tl_graph *graph = node->graph;
    tl_arena scratch;
    size_t x_count, z_count;
    host->attribute_strings(node, "xs", &x_count);
    host->attribute_strings(node, "zs", &z_count);
    if (!tl_graph_link(graph, true))
        return TL_NO_MEMORY;
    for (size_t k = 0; k < node->input_count; k++)
        if (!node->inputs[k] || node->inputs[k]->kind != TL_KIND_TENSOR ||
            (k < x_count && !(TL_T(node->inputs[k]->tensor.type) & TL_T_FLOATS)))
            return host->refuse(rewrite, TL_INVALID_MODEL, "input %zu is no tensor of floats", k);
    tl_arena_init(&scratch, graph->model->allocator, 0);
    const size_t count = graph->value_count;
    gradient d = {host,
                  rewrite,
                  graph,
                  TL_NEW(&scratch, tl_value *, count),
                  TL_NEW(&scratch, tl_value *, count),
                  TL_NEW(&scratch, bool, count),
                  TL_NEW(&scratch, bool, count),
                  TL_NEW(&scratch, bool, count)};
    tl_status status = d.at && d.adjoint && d.wanted && d.moves && d.fixed
                           ? write_out(&d, node, x_count + z_count, x_count)
                           : TL_NO_MEMORY;
    tl_arena_free(&scratch);
    return status;
}

/* ---- Where the stages meet it */

static bool is_gradient(const tl_node *node)
{
    return strcmp(node->op_type, "Gradient") == 0 && strcmp(node->domain, "ai.onnx.preview.training") == 0;
}

static tl_status bind_name(tl_node *node, tl_value **input, tl_string name, tl_error *error)
{
    *input = name.data ? tl_graph_find(node->graph, name.data) : NULL;
    if (*input)
        return TL_OK;
    char where[300];
    return tl_error_set(error, TL_INVALID_MODEL, "%s: '%.200s' is no value of its graph",
                        tl_node_describe(node, where, sizeof where), name.data ? name.data : "");
}

tl_status tl_gradient_bind(tl_node *node, tl_error *error)
{
    const tl_attribute *const lists[] = {tl_node_attribute(node, "xs"), tl_node_attribute(node, "zs")};
    const tl_attribute *y = tl_node_attribute(node, "y");
    size_t named = 0, at = 0;
    char where[300];
    if (!is_gradient(node) || !y || y->kind != TL_ATTR_STRING)
        return TL_OK; /* resolve says so */
    for (int l = 0; l < 2; l++)
        named += lists[l] && lists[l]->kind == TL_ATTR_STRINGS ? lists[l]->count : 0;
    if (named && node->input_count == 2 * named + 1)
        return TL_OK; /* has been here before */
    if (named != node->input_count || node->output_count > named)
        return tl_error_set(error, TL_INVALID_MODEL, "%s: %zu inputs and %zu outputs, but xs and zs name %zu values",
                            tl_node_describe(node, where, sizeof where), node->input_count, node->output_count, named);
    tl_value **inputs = TL_NEW(&node->graph->model->arena, tl_value *, 2 * named + 1);
    if (!inputs)
        return tl_error_no_memory(error);
    memcpy(inputs, node->inputs, named * sizeof(tl_value *));
    tl_status status = bind_name(node, &inputs[2 * named], y->u.s, error);
    for (int l = 0; l < 2; l++)
        for (size_t k = 0; lists[l] && k < lists[l]->count && status == TL_OK; k++)
            status = bind_name(node, &inputs[named + at++], lists[l]->u.strings[k], error);
    node->inputs = inputs;
    node->input_count = 2 * named + 1;
    return status;
}

#define MAX_WRITTEN_OUT 4096 /* nodes of a graph before one more Gradient: each one of a chain triples them */
#define MAX_LOOKED_AT   ((size_t)1 << 24) /* by the Gradients of a graph, of which each looks at all of it */

/* Nodes and values, of the graphs inside, too. */
static size_t size_of(const tl_graph *graph)
{
    size_t size = graph->node_count + graph->value_count;
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            size += size_of(inner);
    }
    return size;
}

tl_status tl_graph_write_out(tl_graph *graph, const tl_host *host, tl_error *error)
{
    size_t looked_at = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_node *node = graph->nodes[i];
        tl_graph *inner;
        tl_status status = TL_OK;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(node, g)); g++)
            status = tl_graph_write_out(inner, host, error);
        if (status == TL_OK && !node->removed && !node->op->run && node->op->decompose) {
            char where[300];
            bool changed;
            tl_node_describe(node, where, sizeof where);
            if (graph->node_count > MAX_WRITTEN_OUT)
                return tl_error_set(error, TL_UNSUPPORTED, "%s: its graph has %zu nodes, more than %d", where,
                                    graph->node_count, MAX_WRITTEN_OUT);
            if (looked_at > MAX_LOOKED_AT)
                return tl_error_set(error, TL_UNSUPPORTED, "%s: too many of them in so large a graph", where);
            looked_at += size_of(graph);
            status = tl_graph_attempt(graph, host, 0, node->op->decompose, node, &changed, error);
            if (status == TL_OK)
                status = tl_graph_settle(graph, error);
            if (status != TL_OK)
                tl_error_prefix(error, "%s", where);
            i = (size_t)-1; /* the list is another now */
        }
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

static tl_status reshape(tl_call *call)
{
    for (size_t k = 0; k < call->output_count && k < call->input_count; k++)
        if (call->outputs[k] && call->inputs[k]) {
            call->outputs[k]->type = call->inputs[k]->type;
            op_copy_shape(call->outputs[k], call->inputs[k]);
        }
    return TL_OK;
}

static const tl_param ins[] = {{"Inputs", TL_T_ALL, 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED}};
static const tl_param outs[] = {{"Outputs", TL_T_FLOATS, 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED}};
static const tl_attribute_spec attrs[] = {
    {.name = "xs", .kind = TL_ATTR_STRINGS, .flags = TL_ATTR_REQUIRED},
    {.name = "y", .kind = TL_ATTR_STRING, .flags = TL_ATTR_REQUIRED},
    {.name = "zs", .kind = TL_ATTR_STRINGS},
};

OP_DESCRIPTOR(Gradient, 1) = {OP_HEAD_IN("ai.onnx.preview.training", Gradient, 1),
                              OP_PARAMS(input, ins),
                              OP_PARAMS(output, outs),
                              OP_PARAMS(attribute, attrs),
                              .flags = TL_OP_RUNTIME,
                              .reshape = reshape,
                              .decompose = decompose};
