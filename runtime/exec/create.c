/* Making the operators' states: constants are packed here, once each. */
#include "exec/create.h"
#include "graph/call.h"

/* Nodes that were given the same attributes and the same constants share one state: a recurrent network that its
 * exporter has unrolled has its weights in memory once. */
typedef struct maker {
    const tl_node *node; /* NULL: free */
    uint64_t packed;
} maker;

typedef struct creation {
    const tl_host *host;
    tl_error *error;
    tl_arena arena;
    maker *makers; /* by hash */
    size_t capacity;
} creation;

/* Adds up the nodes, and the bytes of their constants, of which they pack about as many. */
static void measure(const tl_graph *graph, size_t *nodes, size_t *bytes)
{
    *nodes += graph->node_count;
    for (size_t i = 0; i < graph->value_count; i++)
        if (graph->values[i]->constant)
            *bytes += (size_t)graph->values[i]->constant->bytes;
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            measure(inner, nodes, bytes);
    }
}

static const tl_constant *input_constant(const tl_node *node, size_t k)
{
    return node->inputs[k] ? tl_value_origin(node->inputs[k])->constant : NULL;
}

/* Of what are_twins() compares: a file may have thousands of nodes that differ in but one thing. */
static uint64_t hash_attribute(uint64_t hash, const tl_attribute *a)
{
    switch (a->kind) {
    case TL_ATTR_FLOAT:
        return tl_hash(hash, &a->u.f, sizeof a->u.f);
    case TL_ATTR_STRING:
        return tl_hash(hash, a->u.s.data, a->u.s.size);
    case TL_ATTR_INTS:
        return tl_hash(hash, a->u.ints, a->count * sizeof *a->u.ints);
    case TL_ATTR_FLOATS:
        return tl_hash(hash, a->u.floats, a->count * sizeof *a->u.floats);
    case TL_ATTR_STRINGS:
        for (size_t i = 0; i < a->count; i++)
            hash = tl_hash(hash, a->u.strings[i].data, a->u.strings[i].size);
        return hash;
    default: /* a number, or an address */
        return tl_hash(hash, &a->u.i, sizeof a->u.i);
    }
}

/* 0: no constants, so that there is nothing to share. */
static uint64_t hash_of(const tl_node *node)
{
    uint64_t hash = (uintptr_t)node->op;
    bool any = false;
    for (size_t k = 0; k < node->input_count; k++) {
        const tl_constant *constant = input_constant(node, k);
        const tl_tensor *x = node->inputs[k] && !constant ? &node->inputs[k]->tensor : NULL;
        any = any || constant;
        hash = tl_hash(hash, &constant, sizeof constant);
        if (x) {
            hash = tl_hash(hash, &x->type, sizeof x->type);
            hash = tl_hash(hash, x->dims, x->rank > 0 ? (size_t)x->rank * sizeof *x->dims : 0);
        }
    }
    for (size_t k = 0; k < node->attribute_count; k++)
        hash = hash_attribute(hash, &node->attributes[k]);
    return any ? hash | 1 : 0;
}

static bool same_bytes(const void *a, const void *b, size_t size)
{
    return size == 0 || memcmp(a, b, size) == 0;
}

static bool same_strings(const tl_string *a, const tl_string *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (a[i].size != b[i].size || !same_bytes(a[i].data, b[i].data, a[i].size))
            return false;
    return true;
}

/* Tensors and graphs are never the same. */
static bool same_attribute(const tl_attribute *a, const tl_attribute *b)
{
    if (a->kind != b->kind || a->count != b->count || strcmp(a->name, b->name) != 0)
        return false;
    switch (a->kind) {
    case TL_ATTR_INT:
        return a->u.i == b->u.i;
    case TL_ATTR_FLOAT:
        return same_bytes(&a->u.f, &b->u.f, sizeof a->u.f);
    case TL_ATTR_STRING:
        return same_strings(&a->u.s, &b->u.s, 1);
    case TL_ATTR_INTS:
        return same_bytes(a->u.ints, b->u.ints, a->count * sizeof *a->u.ints);
    case TL_ATTR_FLOATS:
        return same_bytes(a->u.floats, b->u.floats, a->count * sizeof *a->u.floats);
    case TL_ATTR_STRINGS:
        return same_strings(a->u.strings, b->u.strings, a->count);
    default:
        return false;
    }
}

static bool same_input(const tl_node *a, const tl_node *b, size_t k)
{
    if (!a->inputs[k] || !b->inputs[k])
        return a->inputs[k] == b->inputs[k];
    if (input_constant(a, k) != input_constant(b, k))
        return false;
    const tl_tensor *x = &a->inputs[k]->tensor;
    const tl_tensor *y = &b->inputs[k]->tensor;
    return input_constant(a, k) || (x->type == y->type && x->rank == y->rank &&
                                    (x->rank <= 0 || memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) == 0));
}

/* All that a create sees is the same. */
static bool are_twins(const tl_node *a, const tl_node *b)
{
    if (a->op != b->op || a->version != b->version || a->input_count != b->input_count ||
        a->output_count != b->output_count || a->attribute_count != b->attribute_count)
        return false;
    for (size_t k = 0; k < a->input_count; k++)
        if (!same_input(a, b, k))
            return false;
    for (size_t k = 0; k < a->attribute_count; k++)
        if (!same_attribute(&a->attributes[k], &b->attributes[k]))
            return false;
    return true;
}

/* The entry of a node's twin, or the free one for the node itself; NULL: it has nothing to share. */
static maker *find_maker(const creation *c, const tl_node *node)
{
    uint64_t hash = node->op->create ? hash_of(node) : 0;
    if (!hash)
        return NULL;
    size_t at = (size_t)hash & (c->capacity - 1);
    while (c->makers[at].node && !are_twins(c->makers[at].node, node))
        at = (at + 1) & (c->capacity - 1);
    return &c->makers[at];
}

static tl_status call_create(creation *c, tl_node *node, uint64_t *packed)
{
    tl_arena scratch;
    tl_arena_init(&scratch, node->graph->model->allocator, 0);
    const tl_tensor **inputs = tl_node_known_inputs(node, INT64_MAX, &scratch);
    tl_status status = inputs ? tl_node_create(node, c->host, inputs, packed, c->error) : tl_error_no_memory(c->error);
    tl_arena_free(&scratch);
    return status;
}

/* What every user has packed is not needed again; what this node needs at each run is. */
static void let_go(const tl_node *node, uint64_t packed)
{
    for (size_t k = 0; k < node->input_count; k++) {
        tl_value *value = node->inputs[k] ? tl_value_origin(node->inputs[k]) : NULL;
        if (!value || !value->constant)
            continue;
        if (k >= 64 || !(packed >> k & 1))
            value->constant->needed = true;
        else if (value == node->inputs[k] && value->user_count == 1 && !(value->flags & TL_VALUE_OUTPUT))
            tl_value_drop(value);
        else if (!value->constant->needed)
            tl_value_release(value);
    }
}

static tl_status create_state(creation *c, tl_node *node)
{
    uint64_t packed = 0;
    maker *made = find_maker(c, node);
    if (made && made->node) {
        node->twin = made->node;
        node->state = made->node->state;
        packed = made->packed;
    } else {
        tl_status status = call_create(c, node, &packed);
        if (status != TL_OK)
            return status;
        if (made) {
            made->node = node;
            made->packed = packed;
        }
    }
    let_go(node, packed);
    return TL_OK;
}

/* The inner graphs' first. */
static tl_status create_graph(creation *c, tl_graph *graph)
{
    tl_status status = TL_OK;
    for (size_t i = 0; i < graph->node_count && status == TL_OK; i++) {
        tl_graph *inner;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            status = create_graph(c, inner);
        if (status == TL_OK)
            status = create_state(c, graph->nodes[i]);
    }
    return status;
}

tl_status tl_graph_create_states(tl_graph *graph, const tl_host *host, tl_error *error)
{
    creation c = {.host = host, .error = error, .capacity = 8};
    tl_arena_init(&c.arena, graph->model->allocator, 0);
    size_t nodes = 0, bytes = 0;
    measure(graph, &nodes, &bytes);
    while (c.capacity / 2 < nodes)
        c.capacity *= 2;
    c.makers = TL_NEW(&c.arena, maker, c.capacity);
    tl_pool pool;
    tl_pool_begin(&pool, graph->model->allocator, bytes + bytes / 32);
    tl_status status = c.makers ? create_graph(&c, graph) : tl_error_no_memory(error);
    tl_pool_end(&pool);
    tl_model_drop_spare(graph->model);
    tl_arena_free(&c.arena);
    return status;
}

void tl_graph_destroy_states(tl_graph *graph, const tl_host *host)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            tl_graph_destroy_states(inner, host);
        tl_node_destroy(graph->nodes[i], host);
    }
}
