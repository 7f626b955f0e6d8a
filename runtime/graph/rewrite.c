/* Rewriting: rules change the graph in attempts that count whole or not at all.
 *
 * An attempt appends its nodes to the graph and lets them take values over; what it must undo, if it comes to nothing,
 * is the end of the list of nodes and who produced the values taken over. */
#include "graph/call.h"

/* Attempts that succeed, for each node there was: far more than rules that lower their measure can need. */
#define MOST_COMMITS 16
/* Times that a phase begins anew, because folding or nodes far away gave rules something more to do. Three are much;
 * each looks at all nodes, so a file must not be able to make it as many as it has nodes. */
#define MOST_ROUNDS 16

typedef struct takeover {
    tl_value *value;
    tl_node *producer;
    size_t output;
    tl_tensor tensor;
} takeover;

struct tl_rewrite {
    tl_runtime *runtime;
    tl_graph *graph;
    tl_phase phase;    /* 0: none of the phases, but a change of the file */
    size_t first_made; /* nodes from here on are the attempt's */
    tl_node_list *touched;
    takeover *taken;
    size_t taken_count, taken_capacity;
    tl_status status; /* of the first thing that went wrong */
    tl_error why;     /* in the rule's own words, if it gave any */
    bool committed;
};

/* ---- Looking */

static const char *node_domain(const tl_node *node)
{
    return node->domain;
}

static const char *node_operator(const tl_node *node)
{
    return node->op_type;
}

static const char *node_name(const tl_node *node)
{
    return node->name;
}

static const tl_operator *node_descriptor(const tl_node *node)
{
    return node->op;
}

static size_t node_input_count(const tl_node *node)
{
    return node->input_count;
}

static tl_value *node_input(const tl_node *node, size_t k)
{
    return k < node->input_count ? node->inputs[k] : NULL;
}

static size_t node_output_count(const tl_node *node)
{
    return node->output_count;
}

static tl_value *node_output(const tl_node *node, size_t k)
{
    return k < node->output_count ? node->outputs[k] : NULL;
}

static tl_node *value_producer(const tl_value *value)
{
    return value->producer;
}

static size_t value_use_count(const tl_value *value)
{
    return value->user_count + (value->flags & TL_VALUE_OUTPUT ? 1 : 0);
}

static tl_node *value_user(const tl_value *value, size_t k)
{
    return tl_value_user((tl_value *)(uintptr_t)value, k);
}

static const tl_tensor *value_tensor(const tl_value *value)
{
    if (value->constant && value->constant->bytes <= 4096)
        tl_value_data((tl_value *)(uintptr_t)value);
    return &value->tensor;
}

static bool value_is_constant(const tl_value *value)
{
    return value->constant != NULL;
}

static const void *value_data(tl_value *value)
{
    return tl_value_data(value);
}

/* ---- Making */

static void *fail(tl_rewrite *rewrite, tl_status status)
{
    if (rewrite->status == TL_OK)
        rewrite->status = status;
    return NULL;
}

static tl_status refuse(tl_rewrite *rewrite, tl_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (rewrite->status == TL_OK)
        tl_error_setv(&rewrite->why, status, format, arguments);
    va_end(arguments);
    fail(rewrite, status);
    return status;
}

static tl_value *new_constant(tl_rewrite *rewrite, const char *name, const tl_tensor *tensor)
{
    const tl_allocator *allocator = rewrite->graph->model->allocator;
    int64_t bytes = tensor ? tl_tensor_bytes(tensor) : -1;
    if (bytes < 0)
        return fail(rewrite, TL_INVALID_ARGUMENT);
    void *data = tl_memory_alloc(allocator, (size_t)bytes, TL_ALIGNMENT);
    tl_value *value = tl_graph_add_unique(rewrite->graph, name ? name : "");
    if (!data || !value || !tl_value_take_constant(value, tensor, data)) {
        tl_memory_free(allocator, data);
        return fail(rewrite, TL_NO_MEMORY);
    }
    if (bytes && tensor->data)
        memcpy(data, tensor->data, (size_t)bytes);
    return value;
}

static bool take_over(tl_rewrite *rewrite, tl_value *value, tl_node *by)
{
    tl_node *old = value->producer;
    if (!old || value->graph != rewrite->graph) {
        fail(rewrite, TL_INVALID_ARGUMENT);
        return false;
    }
    if (!tl_arena_grow(&rewrite->graph->model->arena, (void **)&rewrite->taken, rewrite->taken_count,
                       &rewrite->taken_capacity, sizeof *rewrite->taken)) {
        fail(rewrite, TL_NO_MEMORY);
        return false;
    }
    size_t k = 0;
    while (old->outputs[k] != value)
        k++;
    rewrite->taken[rewrite->taken_count++] = (takeover){value, old, k, value->tensor};
    old->outputs[k] = NULL;
    value->producer = by;
    return true;
}

/* The version that a new node of a domain resolves at: the model's import, or what is newest, for domains that the
 * file need not know of. */
static int32_t domain_version(const tl_rewrite *rewrite, const char *domain)
{
    return (int32_t)tl_graph_opset(rewrite->graph, domain);
}

static tl_node *new_node(tl_rewrite *rewrite, const char *domain, const char *op, const char *name,
                         tl_value *const *inputs, size_t input_count, tl_value *const *outputs, size_t output_count)
{
    if (rewrite->status != TL_OK)
        return NULL;
    tl_node *node = tl_graph_add_node(rewrite->graph, name ? name : "", domain, op, input_count, output_count, 0);
    if (!node)
        return fail(rewrite, TL_NO_MEMORY);
    node->version = domain_version(rewrite, node->domain);
    if (!node->version)
        node->version = tl_registry_newest(&rewrite->runtime->registry, node->domain);
    for (size_t k = 0; k < input_count; k++)
        node->inputs[k] = inputs[k];
    for (size_t k = 0; k < output_count; k++) {
        tl_value *value = outputs ? outputs[k] : NULL;
        if (value) {
            if (!take_over(rewrite, value, node))
                return NULL;
        } else {
            value = tl_graph_add_unique(rewrite->graph, name ? name : "");
            if (!value)
                return fail(rewrite, TL_NO_MEMORY);
            value->producer = node;
        }
        node->outputs[k] = value;
    }
    tl_error why;
    const tl_registry *registry = &rewrite->runtime->registry;
    node->op = tl_registry_find(registry, node->domain, op, node->version, &why);
    if (!node->op && (rewrite->phase == TL_PHASE_EPILOGUE || rewrite->phase == TL_PHASE_QUANTIZED)) {
        /* never written to a file */
        node->version = tl_registry_newest(registry, node->domain);
        node->op = tl_registry_find(registry, node->domain, op, node->version, &why);
    }
    return node->op ? node : fail(rewrite, TL_UNSUPPORTED);
}

/* An attribute of this name, new or to be written over; NULL: refused. A node that the graph has already, and so has a
 * position, would keep it when the attempt comes to nothing. */
static tl_attribute *attribute(tl_rewrite *rewrite, tl_node *node, const char *name, int kind)
{
    if (!node || rewrite->status != TL_OK)
        return NULL;
    if (node->position) {
        refuse(rewrite, TL_INVALID_ARGUMENT, "attribute '%.100s' of a node that the attempt did not make", name);
        return NULL;
    }
    tl_attribute *found = (tl_attribute *)(uintptr_t)tl_node_attribute(node, name);
    if (!found) {
        tl_arena *arena = &rewrite->graph->model->arena;
        tl_attribute *wider = TL_NEW(arena, tl_attribute, node->attribute_count + 1);
        char *copy = tl_arena_string(arena, name);
        if (!wider || !copy)
            return fail(rewrite, TL_NO_MEMORY);
        if (node->attribute_count)
            memcpy(wider, node->attributes, node->attribute_count * sizeof *wider);
        node->attributes = wider;
        found = &wider[node->attribute_count++];
        found->name = copy;
    }
    found->kind = kind;
    return found;
}

static tl_status copy_attributes(tl_rewrite *rewrite, tl_node *node, const tl_node *from)
{
    for (size_t k = 0; node && k < from->attribute_count; k++) {
        tl_attribute *copy = attribute(rewrite, node, from->attributes[k].name, from->attributes[k].kind);
        if (!copy)
            return rewrite->status;
        const char *name = copy->name;
        *copy = from->attributes[k];
        copy->name = name;
    }
    if (node && !tl_node_list_graphs(node))
        fail(rewrite, TL_NO_MEMORY);
    return rewrite->status;
}

static tl_status set_int(tl_rewrite *rewrite, tl_node *node, const char *name, int64_t value)
{
    tl_attribute *a = attribute(rewrite, node, name, TL_ATTR_INT);
    if (a)
        a->u.i = value;
    return rewrite->status;
}

static tl_status set_float(tl_rewrite *rewrite, tl_node *node, const char *name, float value)
{
    tl_attribute *a = attribute(rewrite, node, name, TL_ATTR_FLOAT);
    if (a)
        a->u.f = value;
    return rewrite->status;
}

static tl_status set_string(tl_rewrite *rewrite, tl_node *node, const char *name, const char *value)
{
    tl_attribute *a = attribute(rewrite, node, name, TL_ATTR_STRING);
    char *copy = tl_arena_string(&rewrite->graph->model->arena, value);
    if (!copy)
        fail(rewrite, TL_NO_MEMORY);
    else if (a)
        a->u.s = (tl_string){copy, strlen(copy)};
    return rewrite->status;
}

static tl_status set_ints(tl_rewrite *rewrite, tl_node *node, const char *name, const int64_t *values, size_t count)
{
    tl_attribute *a = attribute(rewrite, node, name, TL_ATTR_INTS);
    int64_t *copy = TL_NEW(&rewrite->graph->model->arena, int64_t, count);
    if (!copy) {
        fail(rewrite, TL_NO_MEMORY);
    } else if (a) {
        if (count)
            memcpy(copy, values, count * sizeof *copy);
        a->u.ints = copy;
        a->count = count;
    }
    return rewrite->status;
}

/* ---- Ending an attempt */

static bool compatible(const tl_tensor *before, const tl_tensor *after)
{
    if (before->rank == TL_RANK_UNKNOWN || after->rank == TL_RANK_UNKNOWN)
        return true;
    bool same = before->rank == after->rank;
    for (int32_t i = 0; same && i < before->rank; i++)
        same = before->dims[i] < 0 || after->dims[i] < 0 || before->dims[i] == after->dims[i];
    return same;
}

/* New nodes stand where the first of what they replace stood. Should that be in front of something that they read, all
 * nodes are put in order anew; then it shows whether the attempt made a cycle. */
static tl_status put_in_order(const tl_rewrite *rewrite)
{
    int64_t before = INT64_MAX;
    for (size_t i = 0; i < rewrite->taken_count; i++)
        if (rewrite->taken[i].producer->position < before)
            before = rewrite->taken[i].producer->position;
    tl_error why;
    return tl_graph_place(rewrite->graph, rewrite->first_made, before) ? TL_OK : tl_graph_order(rewrite->graph, &why);
}

static bool list_made(tl_rewrite *rewrite)
{
    bool added = true;
    for (size_t i = rewrite->first_made; i < rewrite->graph->node_count && added; i++)
        added = tl_node_list_add(rewrite->touched, rewrite->graph->nodes[i]);
    return added;
}

static bool relink(tl_rewrite *rewrite, size_t first, size_t made)
{
    bool added = true;
    for (size_t i = 0; i < rewrite->taken_count && added; i++)
        added = tl_node_list_add(rewrite->touched, rewrite->taken[i].producer);
    return added && tl_graph_relink(rewrite->touched, first, made);
}

static tl_status commit(tl_rewrite *rewrite)
{
    tl_graph *graph = rewrite->graph;
    if (rewrite->committed)
        return fail(rewrite, TL_INVALID_ARGUMENT), rewrite->status;
    tl_error why;
    tl_status status = rewrite->status;
    const size_t made = graph->node_count - rewrite->first_made, first = rewrite->touched->count;
    for (size_t i = 0; i < made && status == TL_OK; i++) {
        tl_node *node = graph->nodes[rewrite->first_made + i];
        status = tl_node_resolve(node, &rewrite->runtime->registry, &why);
        if (status == TL_OK)
            status = tl_node_infer(node, &rewrite->runtime->host, &why);
    }
    for (size_t i = 0; i < rewrite->taken_count && status == TL_OK; i++)
        if (!compatible(&rewrite->taken[i].tensor, &rewrite->taken[i].value->tensor))
            status = TL_INVALID_MODEL;
    if (status == TL_OK && !list_made(rewrite))
        status = TL_NO_MEMORY;
    if (status == TL_OK)
        status = put_in_order(rewrite); /* leaves the order as it was if this attempt made a cycle */
    if (status == TL_OK) {
        rewrite->committed = true;
        if (!relink(rewrite, first, made))
            status = TL_NO_MEMORY;
    } else {
        rewrite->touched->count = first;
    }
    if (status != TL_OK)
        fail(rewrite, status);
    return status;
}

/* What was new disappears by itself when the graph is next linked: nobody uses it. */
static void roll_back(tl_rewrite *rewrite)
{
    tl_graph *graph = rewrite->graph;
    for (size_t i = rewrite->first_made; i < graph->node_count; i++) {
        tl_node *node = graph->nodes[i];
        for (size_t k = 0; k < node->output_count; k++)
            if (node->outputs[k] && node->outputs[k]->producer == node)
                node->outputs[k]->producer = NULL;
    }
    graph->node_count = rewrite->first_made;
    while (rewrite->taken_count) {
        const takeover *t = &rewrite->taken[--rewrite->taken_count];
        t->value->producer = t->producer;
        t->value->tensor = t->tensor;
        t->producer->outputs[t->output] = t->value;
    }
}

void tl_host_init_rewrite(tl_host *host)
{
    host->node_domain = node_domain;
    host->node_operator = node_operator;
    host->node_name = node_name;
    host->node_descriptor = node_descriptor;
    host->node_input_count = node_input_count;
    host->node_input = node_input;
    host->node_output_count = node_output_count;
    host->node_output = node_output;
    host->value_producer = value_producer;
    host->value_use_count = value_use_count;
    host->value_user = value_user;
    host->value_tensor = value_tensor;
    host->value_is_constant = value_is_constant;
    host->value_data = value_data;
    host->new_constant = new_constant;
    host->new_node = new_node;
    host->copy_attributes = copy_attributes;
    host->set_int = set_int;
    host->set_float = set_float;
    host->set_string = set_string;
    host->set_ints = set_ints;
    host->refuse = refuse;
    host->commit = commit;
    host->domain_version = domain_version;
}

/* ---- The rules, in order */

typedef struct driver {
    tl_runtime *runtime;
    tl_graph *graph;
    const char *const *disabled;
    size_t *counts; /* commits by rule */
    size_t budget;
    tl_node_list list; /* all nodes, then what commits touched */
    tl_error *error;
} driver;

static bool is_disabled(const char *const *disabled, const char *name)
{
    for (; disabled && *disabled; disabled++)
        if (strcmp(*disabled, name) == 0)
            return true;
    return false;
}

static tl_status attempt(tl_graph *graph, const tl_host *host, tl_phase phase, tl_apply apply, tl_node *node,
                         tl_node_list *touched, bool *changed, tl_error *error)
{
    tl_rewrite rewrite = {.runtime = tl_host_runtime(host),
                          .graph = graph,
                          .phase = phase,
                          .first_made = graph->node_count,
                          .touched = touched};
    tl_status status = apply(host, &rewrite, node);
    *changed = rewrite.committed;
    if (!rewrite.committed)
        roll_back(&rewrite);
    if (rewrite.committed ? rewrite.status == TL_OK : phase != 0)
        return TL_OK; /* a rule that does not fit leaves the graph as it was */
    if (rewrite.status == TL_OK)
        rewrite.status = status;
    if (rewrite.why.message[0])
        return tl_error_set(error, rewrite.status, "%s", rewrite.why.message);
    return tl_error_set(error, rewrite.status, "the rewrite fails: %s", tl_status_name(rewrite.status));
}

tl_status tl_graph_settle(tl_graph *graph, tl_error *error)
{
    tl_status status = tl_graph_order(graph, error);
    return status == TL_OK && !tl_graph_link(graph, false) ? tl_error_no_memory(error) : status;
}

tl_status tl_graph_attempt(tl_graph *graph, const tl_host *host, tl_phase phase, tl_apply apply, tl_node *node,
                           bool *changed, tl_error *error)
{
    tl_node_list touched = {.arena = &graph->model->arena};
    return attempt(graph, host, phase, apply, node, &touched, changed, error);
}

/* Tries a rule on the nodes of the list from number `first` on, and on those that its own commits add, at once: what
 * moves along a chain arrives before the next one there begins. */
static tl_status apply_rule(driver *d, size_t r, size_t first)
{
    const tl_rule *rule = d->runtime->registry.rules[r];
    const bool any_operator = strcmp(rule->anchor_name, "*") == 0;
    const size_t tries = ++d->graph->tries;
    const size_t end = d->list.count;
    for (size_t i = first, added = end; (i < end || added < d->list.count) && d->budget;) {
        tl_node *node = d->list.nodes[added < d->list.count ? added++ : i++];
        if (node->removed || node->tried == tries || !(any_operator || strcmp(node->op_type, rule->anchor_name) == 0) ||
            strcmp(node->domain, rule->anchor_domain) != 0)
            continue;
        node->tried = tries;
        tl_error why;
        bool changed;
        tl_status status =
            attempt(d->graph, &d->runtime->host, rule->phase, rule->apply, node, &d->list, &changed, &why);
        if (!changed)
            continue;
        d->counts[r]++;
        d->budget--;
        if (status != TL_OK) {
            if (d->error)
                *d->error = why;
            return status;
        }
    }
    return TL_OK;
}

/* All rules on all nodes, then again on what they touched, and so on: a node whose surroundings stay as they are is
 * looked at once by each, however many others change. */
static tl_status apply_rules(driver *d, tl_phase phase)
{
    const tl_registry *registry = &d->runtime->registry;
    d->list.count = 0;
    for (size_t i = 0; i < d->graph->node_count; i++)
        if (!tl_node_list_add(&d->list, d->graph->nodes[i]))
            return tl_error_no_memory(d->error);
    tl_status status = TL_OK;
    for (size_t first = 0, end; first < d->list.count && status == TL_OK; first = end) {
        end = d->list.count;
        for (size_t r = 0; r < registry->rule_count && status == TL_OK; r++)
            if (registry->rules[r]->phase == phase && !is_disabled(d->disabled, registry->rules[r]->name))
                status = apply_rule(d, r, first);
    }
    return status;
}

static tl_status fold(tl_graph *graph, const tl_host *host, uint32_t keep, tl_error *error)
{
    const tl_status status = tl_graph_fold(graph, host, keep, error);
    return status == TL_OK && !tl_graph_link(graph, false) ? tl_error_no_memory(error) : status;
}

static tl_status run_phase(driver *d, tl_phase phase)
{
    tl_status status = TL_OK;
    bool changed = true;
    for (int round = 0; round < MOST_ROUNDS && changed && status == TL_OK; round++) {
        const size_t before = d->budget;
        status = apply_rules(d, phase);
        changed = d->budget != before;
        if (status == TL_OK && changed)
            status = tl_graph_settle(d->graph, d->error);
        if (status == TL_OK && changed)
            status = fold(d->graph, &d->runtime->host, phase == TL_PHASE_QUANTIZED ? TL_OP_EXPANDS : 0, d->error);
    }
    return status;
}

static tl_status run_phases(tl_graph *graph, const driver *outer, tl_phase first, tl_phase last)
{
    driver d = *outer;
    tl_status status = TL_OK;
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_graph *inner;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            status = run_phases(inner, outer, first, last);
    }
    d.graph = graph;
    d.budget = MOST_COMMITS * (graph->node_count + 1);
    tl_arena lists;
    tl_arena_init(&lists, graph->model->allocator, 0);
    d.list = (tl_node_list){.arena = &lists};
    for (tl_phase phase = first; phase <= last && status == TL_OK; phase++)
        status = run_phase(&d, phase);
    tl_arena_free(&lists);
    return status;
}

tl_status tl_graph_rewrite(tl_graph *graph, const tl_host *host, const char *const *disabled, tl_rewrite_log **log,
                           size_t *log_count, tl_error *error)
{
    const tl_registry *registry = &tl_host_runtime(host)->registry;
    tl_arena *arena = &graph->model->arena;
    size_t *counts = TL_NEW(arena, size_t, registry->rule_count);
    tl_rewrite_log *made = TL_NEW(arena, tl_rewrite_log, registry->rule_count);
    if (!counts || !made)
        return tl_error_no_memory(error);
    const driver d = {.runtime = tl_host_runtime(host), .disabled = disabled, .counts = counts, .error = error};
    tl_status status = run_phases(graph, &d, TL_PHASE_QUANTIZED, TL_PHASE_QUANTIZED);
    if (status == TL_OK)
        status = fold(graph, host, 0, error);
    if (status == TL_OK)
        status = run_phases(graph, &d, TL_PHASE_LAYOUT, TL_PHASE_EPILOGUE);
    for (size_t r = 0; r < registry->rule_count; r++)
        made[r] = (tl_rewrite_log){registry->rules[r]->name, counts[r]};
    *log = made;
    *log_count = registry->rule_count;
    return status;
}
