/* The graph as JSON. */
#include <math.h>
#include "json.h"
#include "program.h"
#include "view.h"

static const char *value_role(const tl_value *value)
{
    return value->flags & TL_VALUE_CONSTANT ? "constant"
           : value->flags & TL_VALUE_INPUT  ? "input"
           : value->flags & TL_VALUE_OUTPUT ? "output"
                                            : "intermediate";
}

static const char *kind_name(tl_kind kind)
{
    return kind == TL_KIND_SEQUENCE   ? "sequence"
           : kind == TL_KIND_OPTIONAL ? "optional"
           : kind == TL_KIND_MAP      ? "map"
                                      : "tensor";
}

/* Numbers, names of symbols, null where nothing is known; null for an unknown rank. */
static void add_shape(cli_json *json, cJSON *to, const cli_view *view, const tl_tensor *tensor)
{
    if (tensor->rank == TL_RANK_UNKNOWN) {
        cli_json_text(json, to, "shape", NULL);
        return;
    }
    cJSON *shape = cli_json_array(json, to, "shape");
    for (int32_t d = 0; d < tensor->rank; d++) {
        if (tensor->dims[d] >= 0)
            cli_json_number(json, shape, NULL, (double)tensor->dims[d]);
        else
            cli_json_text(json, shape, NULL, tl_session_symbol(view->session, tensor->dims[d]));
    }
}

static void add_value(cli_json *json, cJSON *to, const cli_view *view, const tl_value *value)
{
    const tl_tensor *tensor = cli_shape(&view->shown, value);
    cJSON *item = cli_json_object(json, to, NULL);
    cli_json_text(json, item, "name", value->name);
    cli_json_text(json, item, "kind", kind_name(value->kind));
    cli_json_text(json, item, "type", value->kind == TL_KIND_TENSOR ? tl_type_name(tensor->type) : NULL);
    if (value->kind == TL_KIND_TENSOR)
        add_shape(json, item, view, tensor);
    else
        cli_json_text(json, item, "shape", NULL);
    cli_json_text(json, item, "role", value_role(value));
}

static void add_names(cli_json *json, cJSON *to, const char *name, tl_value *const *values, size_t count)
{
    cJSON *list = cli_json_array(json, to, name);
    for (size_t k = 0; k < count; k++)
        cli_json_text(json, list, NULL, values[k] ? values[k]->name : NULL);
}

static void add_attribute(cli_json *json, cJSON *to, const tl_attribute *attribute)
{
    char text[1024];
    cJSON *list = NULL;
    switch (attribute->kind) {
    case TL_ATTR_INT:
        cli_json_number(json, to, attribute->name, (double)attribute->u.i);
        break;
    case TL_ATTR_FLOAT:
        cli_json_number(json, to, attribute->name, (double)attribute->u.f);
        break;
    case TL_ATTR_STRING:
        cli_json_text(json, to, attribute->name, attribute->u.s.data ? attribute->u.s.data : "");
        break;
    case TL_ATTR_INTS:
        list = cli_json_array(json, to, attribute->name);
        for (size_t k = 0; k < attribute->count; k++)
            cli_json_number(json, list, NULL, (double)attribute->u.ints[k]);
        break;
    case TL_ATTR_FLOATS:
        list = cli_json_array(json, to, attribute->name);
        for (size_t k = 0; k < attribute->count; k++)
            cli_json_number(json, list, NULL, (double)attribute->u.floats[k]);
        break;
    default:
        cli_json_text(json, to, attribute->name, cli_view_attribute(attribute, text, sizeof text));
    }
}

static void add_node(cli_json *json, cJSON *to, const cli_view *view, const tl_node *node)
{
    cJSON *item = cli_json_object(json, to, NULL);
    cli_json_text(json, item, "name", node->name);
    cli_json_text(json, item, "op", node->op_type);
    cli_json_text(json, item, "domain", node->domain);
    cli_json_number(json, item, "version", (double)node->version);
    add_names(json, item, "inputs", node->inputs, node->input_count);
    add_names(json, item, "outputs", node->outputs, node->output_count);
    cJSON *attributes = cli_json_object(json, item, "attributes");
    for (size_t k = 0; k < node->attribute_count; k++)
        add_attribute(json, attributes, &node->attributes[k]);
    double flops = cli_node_flops(&view->planned, node);
    cli_json_number(json, item, "parameters", (double)cli_node_parameters(node));
    cli_json_number(json, item, "flops", flops < 0 ? (double)NAN : flops);
}

static void add_model(cli_json *json, const cli_view *view)
{
    const tl_model *model = view->session->model;
    cli_json_text(json, json->root, "model", view->path);
    cli_json_number(json, json->root, "ir_version", (double)model->ir_version);
    cli_json_text(json, json->root, "producer", model->producer_name);
    cJSON *opsets = cli_json_object(json, json->root, "opsets");
    for (size_t k = 0; k < model->opset_count; k++)
        cli_json_number(json, opsets, *model->opsets[k].domain ? model->opsets[k].domain : "ai.onnx",
                        (double)model->opsets[k].version);
}

static void add_strips(cli_json *json, const cli_view *view)
{
    const tl_strips_facts *strips = &view->strips;
    cJSON *item = cli_json_object(json, json->root, "strips");
    cli_json_text(json, item, "input", view->graph->inputs[strips->input]->name);
    cli_json_number(json, item, "axis", strips->axis);
    cli_json_number(json, item, "count", (double)strips->count);
    cli_json_number(json, item, "length", (double)strips->length);
    cli_json_number(json, item, "halo", (double)strips->halo);
    cli_json_number(json, item, "bytes", (double)strips->bytes);
    cli_json_number(json, item, "whole_arena_bytes", (double)view->whole_bytes);
}

static void add_totals(cli_json *json, const cli_view *view)
{
    size_t unknown;
    int64_t bytes = 0;
    double flops = cli_view_flops(view, &unknown);
    cli_json_number(json, json->root, "parameters", (double)cli_graph_parameters(view->graph, &bytes));
    cli_json_number(json, json->root, "parameter_bytes", (double)bytes);
    cli_json_number(json, json->root, "flops", flops);
    cli_json_number(json, json->root, "nodes_without_flops", (double)unknown);
    cli_json_number(json, json->root, "arena_bytes", view->plan ? (double)view->arena_bytes : (double)NAN);
    if (view->strips.count)
        add_strips(json, view);
    if (!view->plan)
        cli_json_text(json, json->root, "no_plan", view->why_no_plan.message);
    cli_json_text(json, json->root, "sizes", view->sizes);
    cJSON *rewrites = cli_json_array(json, json->root, "rewrites");
    for (size_t k = 0; k < view->session->rewrite_count; k++) {
        if (view->session->rewrites[k].count == 0)
            continue;
        cJSON *item = cli_json_object(json, rewrites, NULL);
        cli_json_text(json, item, "rule", view->session->rewrites[k].rule);
        cli_json_number(json, item, "count", (double)view->session->rewrites[k].count);
    }
}

void cli_view_add_json(const cli_view *view, cli_json *json)
{
    add_model(json, view);
    add_names(json, json->root, "inputs", view->graph->inputs, view->graph->input_count);
    add_names(json, json->root, "outputs", view->graph->outputs, view->graph->output_count);
    cJSON *nodes = cli_json_array(json, json->root, "nodes");
    for (size_t i = 0; i < view->graph->node_count; i++)
        add_node(json, nodes, view, view->graph->nodes[i]);
    cJSON *values = cli_json_array(json, json->root, "values");
    for (size_t i = 0; i < view->graph->value_count; i++)
        add_value(json, values, view, view->graph->values[i]);
    add_totals(json, view);
}
