/* Scaled dot-product attention, which exporters write out: Softmax(scale * Q K^T + mask) V. */
#include "onnx/rules.h"

enum { AXES = 4 };

/* A factor, as it is followed towards the inputs: axis axes[i] of `value` is the one that the product has at i. */
typedef struct factor {
    tl_value *value;
    int64_t axes[AXES];
    double *scale; /* what the factor is multiplied by goes here; NULL: then only axes are followed */
} factor;

static tl_value *output(const tl_host *host, const tl_node *node)
{
    return host->node_output(node, 0);
}

static const tl_tensor *tensor_of(const tl_host *host, const tl_value *value)
{
    return host->value_tensor(value);
}

/* The same number or symbol. */
static bool is_same(tl_dim a, tl_dim b)
{
    return a == b && a != TL_DIM_UNKNOWN;
}

static bool same_dims(const tl_tensor *a, const tl_tensor *b, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        if (!is_same(a->dims[i], b->dims[i]))
            return false;
    return true;
}

static bool is_view(const tl_host *host, const tl_node *node)
{
    return node && host->node_descriptor(node)->flags & TL_OP_VIEW;
}

/* x times a number, or divided by one: then *value becomes x, and *scale includes the number. */
static bool take_scale(const tl_host *host, const tl_node *node, tl_value **value, double *scale)
{
    const bool divides = rules_is(host, node, "Div");
    if ((!divides && !rules_is(host, node, "Mul")) || host->node_descriptor(node)->since_version < 7)
        return false;
    for (size_t k = 0; k < (divides ? 1 : 2); k++) {
        tl_value *x = host->node_input(node, k), *constant = host->node_input(node, 1 - k);
        double number;
        if (host->value_is_constant(x) || !rules_scalar(host, constant, &number) ||
            tensor_of(host, constant)->rank > tensor_of(host, x)->rank)
            continue;
        *value = x;
        *scale *= divides ? 1 / number : number;
        return true;
    }
    return false;
}

/* The axes of a Transpose of this rank; NULL: it is none. */
static const int64_t *transpose_axes(const tl_host *host, const tl_node *node, int32_t rank)
{
    size_t count;
    const int64_t *perm = rules_is(host, node, "Transpose") ? host->attribute_ints(node, "perm", &count) : NULL;
    return perm && count == (size_t)rank ? perm : NULL;
}

static bool take_transpose(const tl_host *host, const tl_node *node, int32_t rank, factor *f)
{
    const int64_t *perm = transpose_axes(host, node, rank);
    for (int32_t i = 0; perm && i < rank; i++)
        f->axes[i] = perm[f->axes[i]];
    f->value = perm ? host->node_input(node, 0) : f->value;
    return perm != NULL;
}

/* Matrices that are transposed in a tensor of another rank: Reshape(Transpose(Reshape(x))). */
static bool take_reshaped(const tl_host *host, const tl_node *last, int32_t rank, factor *f)
{
    const tl_node *transpose = is_view(host, last) ? host->value_producer(host->node_input(last, 0)) : NULL;
    const tl_value *narrow = rules_is(host, transpose, "Transpose") ? host->node_input(transpose, 0) : NULL;
    const tl_node *first = narrow ? host->value_producer(narrow) : NULL;
    if (!is_view(host, first))
        return false;
    tl_value *x = host->node_input(first, 0);
    const tl_tensor *in = tensor_of(host, x), *between = tensor_of(host, narrow), *out = tensor_of(host, f->value);
    const int32_t own = between->rank;
    const int64_t *perm = transpose_axes(host, transpose, own);
    if (!perm || own < 2 || in->rank != rank || !same_dims(in, out, rank - 2))
        return false;
    for (int32_t i = 0; i < own; i++)
        if (perm[i] != (i < own - 2 ? i : 2 * own - 3 - i))
            return false;
    for (int32_t i = 1; i <= 2; i++)
        if (!is_same(in->dims[rank - i], between->dims[own - i]) ||
            !is_same(in->dims[rank - i], out->dims[rank - 3 + i]))
            return false;
    for (int32_t i = 0; i < rank; i++)
        f->axes[i] = f->axes[i] < rank - 2 ? f->axes[i] : 2 * rank - 3 - f->axes[i];
    f->value = x;
    return true;
}

/* Goes up as far as only axes move and numbers are multiplied. The kernel wants the features of queries side by side:
 * if `rows`, the last axis stays where it is. */
static void follow(const tl_host *host, int32_t rank, bool rows, factor *f)
{
    for (;;) {
        factor next = *f;
        const tl_node *node = host->value_producer(f->value);
        if (!node ||
            !((f->scale && take_scale(host, node, &next.value, f->scale)) || take_transpose(host, node, rank, &next) ||
              take_reshaped(host, node, rank, &next)) ||
            (rows && next.axes[rank - 1] != rank - 1))
            return;
        *f = next;
    }
}

/* The MatMul whose result, scaled, `scores` are; NULL: none, or somebody else reads it. */
static const tl_node *product_of(const tl_host *host, tl_value *scores, double *scale)
{
    for (;;) {
        const tl_node *node = host->value_use_count(scores) == 1 ? host->value_producer(scores) : NULL;
        if (!node || rules_is(host, node, "MatMul"))
            return node;
        if (!take_scale(host, node, &scores, scale))
            return NULL;
    }
}

typedef struct chain {
    const tl_node *scores, *result; /* the products */
    tl_value *mask;                 /* or NULL */
    double scale;
    bool nan_is_zero;
} chain;

static bool find_scores(const tl_host *host, tl_value *x, chain *c)
{
    const tl_node *add = host->value_producer(x);
    const bool added =
        rules_is(host, add, "Add") && host->node_descriptor(add)->since_version >= 7 && host->value_use_count(x) == 1;
    for (size_t k = 0; k < (added ? 2 : 1) && !c->scores; k++) {
        c->scale = 1;
        c->scores = product_of(host, added ? host->node_input(add, k) : x, &c->scale);
        c->mask = added ? host->node_input(add, 1 - k) : NULL;
    }
    return c->scores != NULL;
}

/* Where(IsNaN(p), 0, p), if that is all that reads p: what comes out. */
static tl_value *without_nan(const tl_host *host, const tl_value *p)
{
    for (size_t k = 0; k < 2 && host->value_use_count(p) == 2; k++) {
        const tl_node *test = host->value_user(p, k);
        const tl_node *where = rules_is(host, test, "IsNaN") ? rules_only_user(host, output(host, test)) : NULL;
        double zero;
        if (rules_is(host, where, "Where") && host->node_input(where, 0) == output(host, test) &&
            host->node_input(where, 2) == p && rules_scalar(host, host->node_input(where, 1), &zero) && zero == 0 &&
            tensor_of(host, host->node_input(where, 1))->rank <= tensor_of(host, p)->rank)
            return output(host, where);
    }
    return NULL;
}

/* A Dropout that drops nothing. */
static bool is_dropout(const tl_host *host, const tl_node *node)
{
    return rules_is(host, node, "Dropout") && host->node_descriptor(node)->since_version >= 7 &&
           !host->node_input(node, 2) && !host->node_output(node, 1);
}

static bool find_result(const tl_host *host, tl_value *p, chain *c)
{
    tl_value *clean = without_nan(host, p);
    c->nan_is_zero = clean != NULL;
    p = clean ? clean : p;
    const tl_node *user = rules_only_user(host, p);
    if (is_dropout(host, user)) {
        p = output(host, user);
        user = rules_only_user(host, p);
    }
    c->result = user;
    return rules_is(host, user, "MatMul") && host->node_input(user, 0) == p;
}

/* The four operands' axes one behind the other: see FusedAttention. */
static void write_axes(tl_rewrite *rewrite, const tl_host *host, tl_node *made, const factor *f, int32_t rank)
{
    int64_t axes[AXES * AXES];
    for (int32_t k = 0; k < 4; k++)
        memcpy(axes + k * rank, f[k].axes, (size_t)rank * sizeof axes[0]);
    host->set_ints(rewrite, made, "axes", axes, AXES * (size_t)rank);
}

static tl_status attention(const tl_host *host, tl_rewrite *rewrite, tl_node *softmax)
{
    chain c = {0};
    const tl_tensor *x = tensor_of(host, host->node_input(softmax, 0));
    const int64_t axis = host->attribute_int(softmax, "axis");
    if ((x->type != TL_FLOAT && x->type != TL_DOUBLE) || x->rank < 2 || (axis != -1 && axis != x->rank - 1) ||
        !find_scores(host, host->node_input(softmax, 0), &c) || !find_result(host, output(host, softmax), &c))
        return TL_OK;
    const int32_t rank = tensor_of(host, output(host, c.result))->rank;
    factor f[] = {{.value = host->node_input(c.scores, 0), .axes = {0, 1, 2, 3}, .scale = &c.scale},
                  {.value = host->node_input(c.scores, 1), .axes = {0, 1, 2, 3}, .scale = &c.scale},
                  {.value = host->node_input(c.result, 1), .axes = {0, 1, 2, 3}},
                  {.value = output(host, c.result), .axes = {0, 1, 2, 3}}};
    for (size_t k = 0; k < 3; k++)
        if (rank < 2 || rank > AXES || tensor_of(host, f[k].value)->rank != rank)
            return TL_OK;
    if (c.mask && (tensor_of(host, c.mask)->rank < 0 || tensor_of(host, c.mask)->rank > rank))
        return TL_OK;
    f[1].axes[rank - 2] = rank - 1; /* its columns are the keys */
    f[1].axes[rank - 1] = rank - 2;
    for (size_t k = 0; k < 3; k++)
        follow(host, rank, k == 0, &f[k]);
    const tl_node *last = rules_only_user(host, f[3].value);
    const int64_t *perm = transpose_axes(host, last, rank);
    if (perm && perm[rank - 1] == rank - 1) {
        for (int32_t i = 0; i < rank; i++)
            f[3].axes[perm[i]] = i;
        f[3].value = output(host, last);
    }
    /* Queries are scaled, not scores: they must not under- or overflow where these do not. */
    if (!(fabs(c.scale) >= 1e-6 && fabs(c.scale) <= 1e6))
        return TL_OK;
    tl_value *inputs[] = {f[0].value, f[1].value, f[2].value, c.mask};
    tl_node *made = host->new_node(rewrite, STEPS_DOMAIN, "FusedAttention", host->node_name(softmax), inputs,
                                   c.mask ? 4 : 3, &f[3].value, 1);
    if (!made)
        return TL_OK;
    int64_t bits;
    memcpy(&bits, &c.scale, sizeof bits);
    write_axes(rewrite, host, made, f, rank);
    host->set_int(rewrite, made, "scale", bits);
    host->set_int(rewrite, made, "nan_is_zero", c.nan_is_zero);
    return host->commit(rewrite);
}
RULE(attention, TL_PHASE_EPILOGUE, "", "Softmax", attention);
