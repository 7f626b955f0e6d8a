/* Scaled dot-product attention, which exporters write out: Softmax(Where(hidden, fill, scale * Q K^T + mask)) V. The
 * products are MatMul, or Einsum with any order of axes. */
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

typedef struct chain {
    const tl_node *scores, *result; /* the products */
    const tl_value *probabilities;
    tl_value *mask, *hidden; /* or NULL */
    double scale, mask_scale, fill;
    bool is_seen; /* hidden is false where it hides */
    bool nan_is_zero, clears;
} chain;

static bool is_product(const tl_host *host, const tl_node *node)
{
    return rules_is(host, node, "MatMul") || rules_is(host, node, "Einsum");
}

/* The product whose result, scaled, `scores` are; NULL: none, or somebody else reads it. */
static const tl_node *product_of(const tl_host *host, tl_value *scores, double *scale)
{
    for (;;) {
        const tl_node *node = host->value_use_count(scores) == 1 ? host->value_producer(scores) : NULL;
        if (!node || is_product(host, node))
            return node;
        if (!take_scale(host, node, &scores, scale))
            return NULL;
    }
}

/* Where(condition, number, *value) or Where(condition, *value, number). */
static bool read_where(const tl_host *host, const tl_node *node, tl_value **condition, double *number, bool *is_seen,
                       tl_value **value)
{
    for (size_t k = 1; k < 3 && rules_is(host, node, "Where"); k++) {
        tl_value *constant = host->node_input(node, k);
        if (!rules_scalar(host, constant, number) ||
            tensor_of(host, constant)->rank > tensor_of(host, host->node_input(node, 3 - k))->rank)
            continue;
        *condition = host->node_input(node, 0);
        *is_seen = k == 2;
        for (const tl_node *cast; (cast = host->value_producer(*condition)) && rules_is(host, cast, "Cast") &&
                                  tensor_of(host, host->node_input(cast, 0))->type == TL_BOOL;)
            *condition = host->node_input(cast, 0); /* from one boolean to another */
        *value = host->node_input(node, 3 - k);
        return true;
    }
    return false;
}

static bool find_scores(const tl_host *host, tl_value *x, chain *c)
{
    const bool once = host->value_use_count(x) == 1;
    if (once)
        read_where(host, host->value_producer(x), &c->hidden, &c->fill, &c->is_seen, &x);
    c->mask_scale = 1;
    while (host->value_use_count(x) == 1 && take_scale(host, host->value_producer(x), &x, &c->mask_scale))
        continue;
    const tl_node *add = host->value_producer(x);
    const bool added =
        rules_is(host, add, "Add") && host->node_descriptor(add)->since_version >= 7 && host->value_use_count(x) == 1;
    for (size_t k = 0; k < (added ? 2 : 1) && !c->scores; k++) {
        c->scale = c->mask_scale;
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
        tl_value *condition, *value;
        double zero;
        bool is_seen;
        if (where && read_where(host, where, &condition, &zero, &is_seen, &value) && condition == output(host, test) &&
            value == p && zero == 0 && !is_seen)
            return output(host, where);
    }
    return NULL;
}

/* Where(hidden, 0, p), by what hid the scores, too. */
static tl_value *cleared(const tl_host *host, const tl_value *p, const chain *c)
{
    const tl_node *where = c->hidden ? rules_only_user(host, p) : NULL;
    tl_value *condition, *value;
    double zero;
    bool is_seen;
    return where && read_where(host, where, &condition, &zero, &is_seen, &value) && condition == c->hidden &&
                   value == p && zero == 0 && is_seen == c->is_seen
               ? output(host, where)
               : NULL;
}

/* A Dropout that drops nothing. */
static bool is_dropout(const tl_host *host, const tl_node *node)
{
    return rules_is(host, node, "Dropout") && host->node_descriptor(node)->since_version >= 7 &&
           !host->node_input(node, 2) && !host->node_output(node, 1);
}

static bool find_result(const tl_host *host, tl_value *p, chain *c)
{
    tl_value *next = without_nan(host, p);
    c->nan_is_zero = next != NULL;
    p = next ? next : p;
    next = cleared(host, p, c);
    c->clears = next != NULL;
    p = next ? next : p;
    const tl_node *user = rules_only_user(host, p);
    if (is_dropout(host, user)) {
        p = output(host, user);
        user = rules_only_user(host, p);
    }
    c->result = user;
    c->probabilities = p;
    return user && is_product(host, user) && (!rules_is(host, user, "MatMul") || host->node_input(user, 0) == p);
}

/* ---- Axes of the products' factors */

enum { TERMS = 3 };

/* The terms of an Einsum of two operands, each of `rank` letters; false: it has others. */
static bool read_terms(const tl_host *host, const tl_node *node, int32_t rank, char terms[TERMS][AXES + 1])
{
    const char *at = host->attribute_string(node, "equation", NULL);
    for (size_t k = 0; k < TERMS; k++) {
        int32_t count = 0;
        for (; *at && *at != ',' && *at != '-'; at++) {
            if (*at == ' ')
                continue;
            if (*at == '.' || count == rank)
                return false;
            terms[k][count++] = *at;
        }
        terms[k][count] = '\0';
        if (count != rank)
            return false;
        at += strncmp(at, "->", 2) == 0 ? 2 : *at == ',';
    }
    return *at == '\0';
}

/* Axis i is where the i-th of `labels` stands in the term; false: it has others. */
static bool place(const char *term, const char *labels, int32_t rank, factor *f)
{
    uint32_t seen = 0;
    for (int32_t i = 0; i < rank; i++) {
        const char *found = strchr(term, labels[i]);
        f->axes[i] = found ? found - term : rank;
        seen |= 1u << f->axes[i];
    }
    return seen == (1u << rank) - 1;
}

/* The other two of an Einsum's three terms, of which number `square` is that of the scores, [...][query][key]: what has
 * the queries is `near` (Q or Y), what has the keys is `far` (K or V), and both have the features. */
static bool place_letters(const tl_host *host, const tl_node *node, size_t square, int32_t rank, factor *near,
                          factor *far)
{
    char terms[TERMS][AXES + 1], labels[AXES];
    if (!read_terms(host, node, rank, terms))
        return false;
    const char *scores = terms[square];
    size_t n = (square + 1) % TERMS;
    if (!strchr(terms[n], scores[rank - 2]))
        n = (n + 1) % TERMS;
    const size_t rest = TERMS - square - n;
    memcpy(labels, scores, sizeof labels);
    labels[rank - 1] = terms[n][strspn(terms[n], scores)]; /* the end of the term if there is none: placed nowhere */
    if (!place(terms[n], labels, rank, near))
        return false;
    labels[rank - 2] = scores[rank - 1];
    near->value = n == 2 ? output(host, node) : host->node_input(node, n);
    far->value = host->node_input(node, rest);
    return rest < 2 && place(terms[rest], labels, rank, far);
}

static bool place_factors(const tl_host *host, const chain *c, int32_t rank, factor f[4])
{
    const tl_node *nodes[] = {c->scores, c->result};
    for (size_t k = 0; k < 2; k++) {
        factor *near = &f[k ? 3 : 0], *far = &f[k ? 2 : 1];
        if (rules_is(host, nodes[k], "Einsum")) {
            const size_t square = k == 0 ? 2 : host->node_input(nodes[k], 0) == c->probabilities ? 0 : 1;
            if (!place_letters(host, nodes[k], square, rank, near, far))
                return false;
            continue;
        }
        near->value = k ? output(host, nodes[k]) : host->node_input(nodes[k], 0);
        far->value = host->node_input(nodes[k], 1);
        for (int32_t i = 0; i < rank; i++)
            near->axes[i] = far->axes[i] = i;
        if (k == 0) { /* its columns are the keys */
            far->axes[rank - 2] = rank - 1;
            far->axes[rank - 1] = rank - 2;
        }
    }
    return true;
}

/* The four operands' axes one behind the other: see FusedAttention. */
static void write_axes(tl_rewrite *rewrite, const tl_host *host, tl_node *made, const factor *f, int32_t rank)
{
    int64_t axes[AXES * AXES];
    for (int32_t k = 0; k < 4; k++)
        memcpy(axes + k * rank, f[k].axes, (size_t)rank * sizeof axes[0]);
    host->set_ints(rewrite, made, "axes", axes, AXES * (size_t)rank);
}

static void set_double(tl_rewrite *rewrite, const tl_host *host, tl_node *made, const char *name, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    host->set_int(rewrite, made, name, bits);
}

static bool fits(const tl_host *host, const tl_value *mask, int32_t rank)
{
    return !mask || (tensor_of(host, mask)->rank >= 0 && tensor_of(host, mask)->rank <= rank);
}

/* A mask that is scaled with the scores. */
static tl_value *times(const tl_host *host, tl_rewrite *rewrite, tl_value *mask, double scale)
{
    const float single = (float)scale;
    const tl_type type = tensor_of(host, mask)->type;
    const tl_tensor number = {.type = type, .data = type == TL_FLOAT ? (void *)(uintptr_t)&single : &scale};
    tl_value *inputs[] = {mask, host->new_constant(rewrite, "scale", &number)};
    tl_node *made = host->new_node(rewrite, "", "Mul", "", inputs, 2, NULL, 1);
    return made ? output(host, made) : NULL;
}

static tl_status attention(const tl_host *host, tl_rewrite *rewrite, tl_node *softmax)
{
    chain c = {0};
    const tl_tensor *x = tensor_of(host, host->node_input(softmax, 0));
    const int64_t axis = host->attribute_int(softmax, "axis");
    if ((x->type != TL_FLOAT && x->type != TL_DOUBLE) || x->rank < 2 || x->rank > AXES ||
        (axis != -1 && axis != x->rank - 1) || !find_scores(host, host->node_input(softmax, 0), &c) ||
        !find_result(host, output(host, softmax), &c))
        return TL_OK;
    const int32_t rank = x->rank;
    factor f[4] = {{.scale = &c.scale}, {.scale = &c.scale}};
    if (!place_factors(host, &c, rank, f))
        return TL_OK;
    for (size_t k = 0; k < 4; k++)
        if (tensor_of(host, f[k].value)->rank != rank)
            return TL_OK;
    if (!fits(host, c.mask, rank) || !fits(host, c.hidden, rank))
        return TL_OK;
    for (size_t k = 0; k < 3; k++)
        follow(host, rank, k == 0, &f[k]);
    const tl_node *last = rules_only_user(host, f[3].value);
    const int64_t *perm = transpose_axes(host, last, rank);
    if (perm && perm[rank - 1] == rank - 1) {
        int64_t at[AXES];
        for (int32_t i = 0; i < rank; i++)
            at[perm[i]] = i;
        for (int32_t i = 0; i < rank; i++)
            f[3].axes[i] = at[f[3].axes[i]];
        f[3].value = output(host, last);
    }
    /* Queries are scaled, not scores: they must not under- or overflow where these do not. */
    if (!(fabs(c.scale) >= 1e-6 && fabs(c.scale) <= 1e6))
        return TL_OK;
    if (c.mask && c.mask_scale != 1)
        c.mask = times(host, rewrite, c.mask, c.mask_scale);
    tl_value *inputs[] = {f[0].value, f[1].value, f[2].value, c.mask, c.hidden};
    tl_node *made =
        host->new_node(rewrite, STEPS_DOMAIN, "FusedAttention", host->node_name(softmax), inputs, 5, &f[3].value, 1);
    if (!made)
        return TL_OK;
    write_axes(rewrite, host, made, f, rank);
    set_double(rewrite, host, made, "scale", c.scale);
    set_double(rewrite, host, made, "fill", c.fill);
    host->set_int(rewrite, made, "is_seen", c.is_seen);
    host->set_int(rewrite, made, "clears", c.clears);
    host->set_int(rewrite, made, "nan_is_zero", c.nan_is_zero);
    return host->commit(rewrite);
}
RULE(attention, TL_PHASE_EPILOGUE, "", "Softmax", attention);
