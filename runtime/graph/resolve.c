/* Gives every node its operator, and checks it against the operator's schema: arity and attributes. Element types are
 * checked where they become known, in infer.c. */
#include "graph/graph.h"

#include <limits.h>

typedef struct resolver {
    const tl_model *model;
    const tl_registry *registry;
    tl_error *error;
} resolver;

static tl_status resolve_graph(const resolver *r, tl_graph *graph, int depth);

static const char *domain_name(const char *domain)
{
    return *domain ? domain : "ai.onnx";
}

/* ---- Versions */

static tl_status check_version(const resolver *r, const char *domain, int64_t version)
{
    int32_t newest = tl_registry_newest(r->registry, domain);
    if (newest > 0 && version > newest)
        return tl_error_set(r->error, TL_UNSUPPORTED,
                            "the model imports version %lld of domain '%s', but the newest known here is %d",
                            (long long)version, domain_name(domain), newest);
    if (version < 1 || version > INT32_MAX)
        return tl_error_set(r->error, TL_INVALID_MODEL, "version %lld of domain '%s' cannot exist", (long long)version,
                            domain_name(domain));
    return TL_OK;
}

/* A node made by a function carries the function's import; any other the model's. */
static tl_status find_version(const resolver *r, tl_node *node)
{
    if (node->version == 0) {
        int64_t version = tl_model_opset(r->model, node->domain);
        if (version == 0 && *node->domain == '\0' && r->model->ir_version < 3)
            version = 1; /* files from before imports existed */
        if (version == 0)
            return tl_error_set(r->error, TL_INVALID_MODEL, "its domain '%s' is not imported by the model",
                                domain_name(node->domain));
        if (version < 1 || version > INT32_MAX)
            return check_version(r, node->domain, version);
        node->version = (int32_t)version;
    }
    return check_version(r, node->domain, node->version);
}

/* ---- Arity */

/* Checks the values of a node against the schema's parameters: one rule for inputs and outputs, but that an output
 * which nobody wants may be absent among the variadic ones. An optional variadic one may have none, but no gaps. */
static tl_status check_arity(const resolver *r, const char *what, tl_value *const *values, size_t count,
                             const tl_param *params, size_t param_count, bool gaps)
{
    bool variadic = param_count > 0 && (params[param_count - 1].flags & TL_PARAM_VARIADIC);
    while (count > 0 && !values[count - 1])
        count--;
    if (count > param_count && !variadic)
        return tl_error_set(r->error, TL_INVALID_MODEL, "%zu %ss, but the operator has at most %zu", count, what,
                            param_count);
    for (size_t k = 0; k < count || k < param_count; k++) {
        const tl_param *param = &params[k < param_count ? k : param_count - 1];
        bool between = k < count && (param->flags & TL_PARAM_VARIADIC);
        bool may_miss = between ? gaps && k >= param_count : (param->flags & TL_PARAM_OPTIONAL) != 0;
        if ((k >= count || !values[k]) && !may_miss)
            return tl_error_set(r->error, TL_INVALID_MODEL, "%s %zu ('%s') is absent, but required", what, k,
                                param->name);
    }
    return TL_OK;
}

/* ---- Attributes */

static const char *kind_name(int kind)
{
    static const char *const names[] = {"undefined",      "float", "int",     "string",  "tensor", "graph",
                                        "floats",         "ints",  "strings", "tensors", "graphs", "sparse tensor",
                                        "sparse tensors", "type",  "types"};
    return kind >= 0 && (size_t)kind < TL_COUNT(names) ? names[kind] : "unknown";
}

static tl_status check_given(const resolver *r, const tl_node *node, size_t k)
{
    const tl_attribute *attribute = &node->attributes[k];
    const tl_attribute_spec *spec = tl_node_attribute_spec(node, attribute->name);
    for (size_t j = 0; j < k; j++)
        if (strcmp(node->attributes[j].name, attribute->name) == 0)
            return tl_error_set(r->error, TL_INVALID_MODEL, "attribute '%s' is given twice", attribute->name);
    if (!spec)
        return tl_error_set(r->error, TL_INVALID_MODEL, "the operator has no attribute '%s'", attribute->name);
    if ((int)spec->kind != attribute->kind)
        return tl_error_set(r->error, TL_INVALID_MODEL, "attribute '%s' is of kind %s, but must be of kind %s",
                            attribute->name, kind_name(attribute->kind), kind_name((int)spec->kind));
    return TL_OK;
}

static tl_status check_attributes(const resolver *r, const tl_node *node)
{
    for (size_t k = 0; k < node->attribute_count; k++) {
        tl_status status = check_given(r, node, k);
        if (status != TL_OK)
            return status;
    }
    for (size_t k = 0; k < node->op->attribute_count; k++) {
        const tl_attribute_spec *spec = &node->op->attributes[k];
        if ((spec->flags & TL_ATTR_REQUIRED) && !tl_node_attribute(node, spec->name))
            return tl_error_set(r->error, TL_INVALID_MODEL, "attribute '%s' is required", spec->name);
    }
    return TL_OK;
}

/* ---- Nodes */

/* A file need not name an output that it doesn't use; the operator writes it all the same if it is a required one. */
static tl_status name_required_outputs(const resolver *r, tl_node *node)
{
    for (size_t k = 0; k < node->output_count && k < node->op->output_count; k++) {
        if (node->outputs[k] || node->op->outputs[k].flags & (TL_PARAM_OPTIONAL | TL_PARAM_VARIADIC))
            continue;
        node->outputs[k] = tl_graph_add_unique(node->graph, "unused");
        if (!node->outputs[k])
            return tl_error_no_memory(r->error);
        node->outputs[k]->producer = node;
    }
    return TL_OK;
}

static tl_status resolve_node(const resolver *r, tl_node *node)
{
    tl_status status = find_version(r, node);
    if (status != TL_OK)
        return status;
    tl_error missing = {TL_OK, ""};
    node->op = tl_registry_find(r->registry, node->domain, node->op_type, node->version, &missing);
    if (!node->op)
        return tl_error_set(r->error, missing.status, "%s", missing.message);
    const tl_operator *op = node->op;
    /* An empty name at the end is an input that is not there: what counts inputs shall not count it. */
    while (node->input_count > 0 && !node->inputs[node->input_count - 1])
        node->input_count--;
    status = name_required_outputs(r, node);
    if (status != TL_OK)
        return status;
    status = check_arity(r, "input", node->inputs, node->input_count, op->inputs, op->input_count, false);
    if (status == TL_OK)
        status = check_arity(r, "output", node->outputs, node->output_count, op->outputs, op->output_count, true);
    return status == TL_OK ? check_attributes(r, node) : status;
}

tl_status tl_node_resolve(tl_node *node, const tl_registry *registry, tl_error *error)
{
    const resolver r = {.model = node->graph->model, .registry = registry, .error = error};
    char where[512];
    tl_status status = resolve_node(&r, node);
    if (status != TL_OK)
        tl_error_prefix(error, "%s", tl_node_describe(node, where, sizeof where));
    return status;
}

static tl_status resolve_graph(const resolver *r, tl_graph *graph, int depth)
{
    if (depth > TL_MAX_DEPTH)
        return tl_error_set(r->error, TL_UNSUPPORTED, "subgraphs are nested deeper than %d", TL_MAX_DEPTH);
    for (size_t k = 0; k < graph->node_count; k++) {
        char where[512];
        if (graph->nodes[k]->op) /* opaque */
            continue;
        if (strcmp(graph->nodes[k]->domain, TL_DOMAIN_INTERNAL) == 0)
            return tl_error_set(r->error, TL_INVALID_MODEL, "%s: the domain '%s' never stands in a file",
                                tl_node_describe(graph->nodes[k], where, sizeof where), TL_DOMAIN_INTERNAL);
        tl_status status = tl_node_resolve(graph->nodes[k], r->registry, r->error);
        if (status != TL_OK)
            return status;
        tl_graph *inner;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(graph->nodes[k], g)); g++)
            status = resolve_graph(r, inner, depth + 1);
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

tl_status tl_graph_resolve(tl_graph *graph, const tl_registry *registry, tl_error *error)
{
    const resolver r = {.model = graph->model, .registry = registry, .error = error};
    for (size_t k = 0; k < r.model->opset_count; k++) {
        const tl_opset *opset = &r.model->opsets[k];
        if (tl_registry_newest(registry, opset->domain) > 0) {
            tl_status status = check_version(&r, opset->domain, opset->version);
            if (status != TL_OK)
                return status;
        }
    }
    return resolve_graph(&r, graph, 0);
}
