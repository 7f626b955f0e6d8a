/* Layout rules: transposes move towards the outputs, through whatever lets them, until they meet and cancel. Each step
 * lowers how many nodes lie behind a transpose, so that this ends. */
#include "onnx/rules.h"

typedef struct permutation {
    int32_t rank;
    int32_t axes[TL_MAX_RANK];
} permutation;

/* The axes of a Transpose, with its default filled in; false where they are not known or wrong. */
static bool read_permutation(const tl_host *host, const tl_node *node, permutation *p)
{
    const tl_value *x = host->node_input(node, 0);
    int32_t rank = x ? host->value_tensor(x)->rank : TL_RANK_UNKNOWN;
    size_t count;
    const int64_t *axes = host->attribute_ints(node, "perm", &count);
    if (rank == TL_RANK_UNKNOWN || (host->attribute_given(node, "perm") && count != (size_t)rank))
        return false;
    uint32_t seen = 0;
    p->rank = rank;
    for (int32_t i = 0; i < rank; i++) {
        int64_t axis = host->attribute_given(node, "perm") ? axes[i] : rank - 1 - i;
        if (axis < 0 || axis >= rank || seen >> axis & 1)
            return false;
        seen |= 1u << axis;
        p->axes[i] = (int32_t)axis;
    }
    return true;
}

static bool is_transpose_by(const tl_host *host, const tl_node *node, const permutation *axes)
{
    permutation p;
    return rules_is(host, node, "Transpose") && read_permutation(host, node, &p) && p.rank == axes->rank &&
           memcmp(p.axes, axes->axes, (size_t)p.rank * sizeof p.axes[0]) == 0;
}

static bool is_identity(const permutation *p)
{
    for (int32_t i = 0; i < p->rank; i++)
        if (p->axes[i] != i)
            return false;
    return true;
}

/* Makes a Transpose, or Identity where it does nothing. `y` is the value to take over, or NULL. */
static tl_node *add_transpose(const tl_host *host, tl_rewrite *rewrite, const char *name, tl_value *x,
                              const permutation *p, tl_value *y)
{
    if (is_identity(p))
        return host->new_node(rewrite, "", "Identity", name, &x, 1, &y, 1);
    tl_node *made = host->new_node(rewrite, "", "Transpose", name, &x, 1, &y, 1);
    int64_t axes[TL_MAX_RANK];
    for (int32_t i = 0; i < p->rank; i++)
        axes[i] = p->axes[i];
    if (made)
        host->set_ints(rewrite, made, "perm", axes, (size_t)p->rank);
    return made;
}

/* Transpose(Transpose(x)) -> Transpose(x), or x. */
static tl_status join(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    tl_value *between = host->node_input(node, 0);
    tl_node *before = between ? host->value_producer(between) : NULL;
    permutation first, second, both;
    if (!rules_is(host, before, "Transpose") || !read_permutation(host, before, &first) ||
        !read_permutation(host, node, &second) || first.rank != second.rank)
        return TL_OK;
    both.rank = first.rank;
    for (int32_t i = 0; i < both.rank; i++)
        both.axes[i] = first.axes[second.axes[i]];
    if (add_transpose(host, rewrite, host->node_name(node), host->node_input(before, 0), &both,
                      host->node_output(node, 0)))
        return host->commit(rewrite);
    return TL_OK;
}

RULE(join_transposes, TL_PHASE_LAYOUT, "", "Transpose", join);

/* ---- Sinking */

typedef struct sinking {
    const tl_host *host;
    tl_rewrite *rewrite;
    tl_node *transpose, *user;
    permutation axes;
} sinking;

/* An operand of an elementwise operator as it was before the transpose: its source, if the same transpose made it; a
 * scalar as it is; a constant transposed back (folding computes it). NULL: it cannot be had for free. */
static tl_value *untransposed(const sinking *s, tl_value *operand)
{
    const tl_host *host = s->host;
    tl_node *producer = host->value_producer(operand);
    if (is_transpose_by(host, producer, &s->axes))
        return host->node_input(producer, 0);
    const tl_tensor *tensor = host->value_tensor(operand);
    bool scalar = tensor->rank >= 0;
    for (int32_t i = 0; i < tensor->rank; i++)
        scalar &= tensor->dims[i] == 1;
    if (scalar && tensor->rank <= 1)
        return operand;
    if (!host->value_is_constant(operand) || tensor->rank > s->axes.rank)
        return NULL;
    /* The operand, widened to the rank with ones in front, with axis axes[i] in place of i. */
    permutation back = {.rank = s->axes.rank};
    for (int32_t i = 0; i < back.rank; i++)
        back.axes[s->axes.axes[i]] = i;
    if (tensor->rank < back.rank) {
        int64_t shape[TL_MAX_RANK];
        for (int32_t i = 0; i < back.rank; i++) {
            int32_t from = i - (back.rank - tensor->rank);
            shape[i] = from < 0 ? 1 : tensor->dims[from];
        }
        const tl_tensor list = {.data = shape, .type = TL_INT64, .rank = 1, .dims = {back.rank}};
        tl_value *inputs[] = {operand, host->new_constant(s->rewrite, "shape", &list)};
        tl_node *wide = inputs[1] ? host->new_node(s->rewrite, "", "Reshape", "", inputs, 2, NULL, 1) : NULL;
        operand = wide ? host->node_output(wide, 0) : NULL;
    }
    tl_node *turned = operand ? add_transpose(host, s->rewrite, "", operand, &back, NULL) : NULL;
    return turned ? host->node_output(turned, 0) : NULL;
}

static tl_node *sink_elementwise(const sinking *s, permutation *after)
{
    const tl_host *host = s->host;
    tl_value *inputs[TL_MAX_RANK];
    size_t count = host->node_input_count(s->user);
    if (count > TL_MAX_RANK || host->node_output_count(s->user) != 1)
        return NULL;
    for (size_t k = 0; k < count; k++) {
        tl_value *operand = host->node_input(s->user, k);
        inputs[k] = operand ? untransposed(s, operand) : NULL;
        if (operand && !inputs[k])
            return NULL;
    }
    tl_node *made = host->new_node(s->rewrite, host->node_domain(s->user), host->node_operator(s->user),
                                   host->node_name(s->user), inputs, count, NULL, 1);
    if (made)
        host->copy_attributes(s->rewrite, made, s->user);
    *after = s->axes;
    return made;
}

static tl_node *sink_by_operator(const sinking *s, const tl_operator *op, permutation *after)
{
    const tl_host *host = s->host;
    tl_value *inputs[TL_MAX_RANK];
    size_t count = host->node_input_count(s->user);
    if (count > TL_MAX_RANK)
        return NULL;
    for (size_t k = 0; k < count; k++) {
        tl_value *operand = host->node_input(s->user, k);
        bool same = operand && is_transpose_by(host, host->value_producer(operand), &s->axes);
        if (operand && !same && host->value_tensor(operand)->rank == s->axes.rank && !host->value_is_constant(operand))
            return NULL;
        inputs[k] = same ? host->node_input(host->value_producer(operand), 0) : operand;
    }
    int32_t out[TL_MAX_RANK];
    tl_node *made = op->permute(host, s->rewrite, s->user, inputs, s->axes.axes, s->axes.rank, out);
    const tl_value *y = made ? host->node_output(s->user, 0) : NULL;
    after->rank = y ? host->value_tensor(y)->rank : TL_RANK_UNKNOWN;
    if (after->rank == TL_RANK_UNKNOWN)
        return NULL;
    memcpy(after->axes, out, (size_t)after->rank * sizeof out[0]);
    return made;
}

/* U(Transpose(x)) -> Transpose(U'(x)), where U is all that reads the transpose. One behind another waits for it to be
 * joined: in a long chain they would all move through each other's nodes. */
static tl_status sink(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    sinking s = {.host = host, .rewrite = rewrite, .transpose = node};
    tl_value *between = host->node_output(node, 0);
    const tl_value *x = host->node_input(node, 0);
    if (host->value_use_count(between) != 1 || !(s.user = host->value_user(between, 0)) ||
        rules_is(host, s.user, "Transpose") || (x && rules_is(host, host->value_producer(x), "Transpose")) ||
        !read_permutation(host, node, &s.axes))
        return TL_OK;
    const tl_operator *op = host->node_descriptor(s.user);
    permutation after;
    tl_node *made = op->permute                     ? sink_by_operator(&s, op, &after)
                    : op->flags & TL_OP_ELEMENTWISE ? sink_elementwise(&s, &after)
                                                    : NULL;
    if (made && add_transpose(host, rewrite, host->node_name(node), host->node_output(made, 0), &after,
                              host->node_output(s.user, 0)))
        return host->commit(rewrite);
    return TL_OK;
}

RULE(sink_transpose, TL_PHASE_LAYOUT, "", "Transpose", sink);

/* ---- Cancelling through what pads, drops and inserts axes */

enum { MOST_BETWEEN = 3 };

static bool is_between(const tl_host *host, const tl_node *node)
{
    return rules_is(host, node, "Pad") || rules_is(host, node, "Squeeze") || rules_is(host, node, "Unsqueeze");
}

/* What the list of such a node is called. */
static const char *list_name(const tl_host *host, const tl_node *node)
{
    return *host->node_operator(node) == 'P' ? "pads" : "axes";
}

/* A node like `like`, of x and another list; `y` as above. */
static tl_value *add_like(const tl_host *host, tl_rewrite *rewrite, const tl_node *like, tl_value *x,
                          const int64_t *list, size_t count, tl_value *y)
{
    const tl_tensor tensor = {.data = (void *)(uintptr_t)list, .type = TL_INT64, .rank = 1, .dims = {(tl_dim)count}};
    const bool given = host->node_input(like, 1) != NULL;
    tl_value *inputs[] = {x, given ? host->new_constant(rewrite, "list", &tensor) : NULL, host->node_input(like, 2)};
    tl_node *made = host->new_node(rewrite, "", host->node_operator(like), host->node_name(like), inputs,
                                   inputs[2] ? 3
                                   : given   ? 2
                                             : 1,
                                   &y, 1);
    host->copy_attributes(rewrite, made, like);
    if (made && !given)
        host->set_ints(rewrite, made, list_name(host, like), list, count);
    return made ? host->node_output(made, 0) : NULL;
}

/* Follows a node from a value whose axis i is to[i] of x: `list` becomes the pads or axes that do the same to x. Those
 * that it inserts, which are -1 then, are `last` transposed: they come where that puts them. 0: it cannot be. */
static size_t follow(const tl_host *host, const tl_node *node, const permutation *last, permutation *to, int64_t *list)
{
    size_t count, n = 0;
    const int64_t *own = rules_list(host, node, list_name(host, node), &count);
    const char kind = *host->node_operator(node);
    const int32_t rank = kind == 'U' ? last->rank : to->rank;
    if (!own || count == 0 || count > 2 * TL_MAX_RANK || (kind == 'U' && (size_t)to->rank + count != (size_t)rank))
        return 0;
    if (kind == 'P') {
        for (int32_t i = 0; i < rank && count == 2 * (size_t)rank; i++) {
            list[to->axes[i]] = own[i];
            list[rank + to->axes[i]] = own[rank + i];
        }
        return count == 2 * (size_t)rank && !host->node_input(node, 3) ? count : 0;
    }
    permutation next = {.rank = 0};
    uint32_t chosen = 0, dropped = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t axis = own[i] < 0 ? own[i] + rank : own[i];
        if (axis < 0 || axis >= rank || chosen >> axis & 1)
            return 0;
        chosen |= 1u << axis;
    }
    for (int32_t i = 0, from = 0; i < rank; i++)
        if (kind == 'U') {
            next.axes[next.rank++] = chosen >> i & 1 ? -1 : to->axes[from++];
            if (chosen >> last->axes[i] & 1)
                list[n++] = i;
        } else if (chosen >> i & 1) {
            dropped |= 1u << to->axes[i];
            list[n++] = to->axes[i];
        }
    for (int32_t i = 0; i < rank && kind == 'S'; i++)
        if (!(chosen >> i & 1))
            next.axes[next.rank++] = to->axes[i] - __builtin_popcount(dropped & ((1u << to->axes[i]) - 1));
    *to = next;
    return n;
}

static bool is_in_order(const permutation *last, const permutation *to)
{
    int32_t n = 0;
    for (int32_t i = 0; i < last->rank; i++)
        if (to->axes[last->axes[i]] >= 0 && to->axes[last->axes[i]] != n++)
            return false;
    return last->rank == to->rank;
}

/* Transpose(V(Transpose(x))) -> V'(x), where V is what is_between, and the transposes cancel. The first stays for those
 * that read it, too. */
static tl_status cancel(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    const tl_node *path[MOST_BETWEEN];
    int count = 0;
    tl_value *x = host->node_input(node, 0);
    const tl_node *producer;
    while (!rules_is(host, producer = host->value_producer(x), "Transpose")) {
        if (count == MOST_BETWEEN || host->value_use_count(x) != 1 || !is_between(host, producer) ||
            (count > 0 && *host->node_operator(producer) == 'U'))
            return TL_OK;
        path[count++] = producer;
        x = host->node_input(producer, 0);
    }
    permutation last, to = {.rank = 0};
    if (count == 0 || !read_permutation(host, node, &last) || !read_permutation(host, producer, &to))
        return TL_OK;
    x = host->node_input(producer, 0);
    while (x && count-- > 0) {
        int64_t list[2 * TL_MAX_RANK];
        const size_t n = follow(host, path[count], &last, &to, list);
        if (n == 0 || (count == 0 && !is_in_order(&last, &to)))
            return TL_OK;
        x = add_like(host, rewrite, path[count], x, list, n, count == 0 ? host->node_output(node, 0) : NULL);
    }
    return x ? host->commit(rewrite) : TL_OK;
}

RULE(cancel_transposes, TL_PHASE_LAYOUT, "", "Transpose", cancel);
