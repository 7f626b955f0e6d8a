#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "element.h"
#include "inputs.h"
#include "program.h"
#include "view.h"

/* ---- Planning without data */

/* Notes "NAME=size" once for each symbol. */
static void note_size(cli_view *view, const char *name, int64_t size)
{
    char item[300];
    snprintf(item, sizeof item, "%.200s=%" PRId64, name, size);
    size_t length = strlen(item), used = strlen(view->sizes);
    for (const char *c = view->sizes; (c = strstr(c, item)); c += length)
        if ((c == view->sizes || c[-1] == ' ') && (c[length] == ',' || !c[length]))
            return;
    if (used + length + 3 < sizeof view->sizes)
        snprintf(view->sizes + used, sizeof view->sizes - used, "%s%s", used ? ", " : "", item);
}

static bool choose_shapes(cli_view *view, tl_tensor *inputs, const cli_options *options)
{
    tl_value_info info;
    for (size_t i = 0; tl_session_input(view->session, i, &info); i++) {
        if (info.kind != TL_KIND_TENSOR) { /* a list has no shape */
            inputs[i] = view->graph->inputs[i]->tensor;
            inputs[i].data = NULL;
            continue;
        }
        inputs[i] = info.tensor;
        if (info.tensor.rank == TL_RANK_UNKNOWN || info.tensor.type == TL_UNDEFINED) {
            tl_error_set(&view->why_no_plan, TL_INVALID_INPUT, "the shape of input '%.200s' is not known", info.name);
            return false;
        }
        for (int32_t d = 0; d < info.tensor.rank; d++) {
            if (info.tensor.dims[d] >= 0)
                continue;
            const char *name = tl_session_symbol(view->session, info.tensor.dims[d]);
            int64_t size = 1;
            cli_dims_find(options, name, &size);
            inputs[i].dims[d] = size;
            note_size(view, name ? name : "?", size);
        }
    }
    return true;
}

/* As a context's run would plan, but with no memory for it. */
static tl_status plan_run(cli_view *view, tl_executor *executor)
{
    tl_error *error = &view->why_no_plan;
    tl_status status = tl_plan_create(view->session->runtime, view->session->graph, executor->given, executor->modes,
                                      false, &view->plan, error);
    if (status != TL_OK) {
        view->plan = NULL;
        return status;
    }
    view->arena_bytes = view->whole_bytes = view->plan->arena_bytes;
    status = tl_strips_plan(executor, view->plan, error);
    if (status != TL_OK) {
        cli_view_close(view);
    } else if (view->plan->strips) {
        view->strips = tl_strips_describe(executor, view->plan);
        view->arena_bytes = view->plan->arena_bytes + view->strips.bytes;
    }
    return status;
}

static tl_status make_plan(cli_view *view, const cli_options *options, tl_error *error)
{
    tl_context *context;
    tl_status status = tl_context_create(view->session, &context, error);
    if (status != TL_OK)
        return status;
    if (choose_shapes(view, context->main->given, options) && plan_run(view, context->main) == TL_NO_MEMORY && error) {
        *error = view->why_no_plan;
        status = TL_NO_MEMORY;
    }
    tl_context_destroy(context);
    return status;
}

tl_status cli_view_open(cli_view *view, tl_session *session, const cli_options *options, tl_error *error)
{
    *view = (cli_view){.path = options->operands.items[0], .session = session, .graph = tl_session_graph(session)};
    tl_status status = cli_dims_check_names(options, session, error);
    if (status == TL_OK)
        status = make_plan(view, options, error);
    if (status != TL_OK)
        return status;
    view->planned = view->shown = (cli_shapes){view->graph, view->plan ? view->plan->slots : NULL};
    if (options->dims.count == 0 && *view->sizes)
        view->shown.slots = NULL;
    return TL_OK;
}

void cli_view_close(cli_view *view)
{
    if (view->plan)
        tl_plan_destroy(view->plan, &view->session->runtime->allocator, view->graph->value_count);
    view->plan = NULL;
}

double cli_view_flops(const cli_view *view, size_t *unknown)
{
    double total = 0;
    *unknown = 0;
    for (size_t i = 0; i < view->graph->node_count; i++) {
        double flops = cli_node_flops(&view->planned, view->graph->nodes[i]);
        if (flops < 0)
            ++*unknown;
        else
            total += flops;
    }
    return total;
}

/* ---- Text */

char *cli_view_operator(const tl_node *node, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s%s%s", node->domain, *node->domain ? "::" : "", node->op_type);
    return buffer;
}

char *cli_view_type(const cli_view *view, const tl_value *value, char *buffer, size_t size)
{
    static const char *const kinds[] = {
        [TL_KIND_SEQUENCE] = "sequence", [TL_KIND_OPTIONAL] = "optional", [TL_KIND_MAP] = "map"};
    if (value->kind == TL_KIND_TENSOR)
        return cli_describe(view->session, cli_shape(&view->shown, value), buffer, size);
    snprintf(buffer, size, "%s", kinds[value->kind]);
    return buffer;
}

/* Appends the elements of a list, cut after the first 16. */
typedef void (*print_item)(const tl_attribute *attribute, size_t k, char *buffer, size_t size);

static void print_list(const tl_attribute *attribute, print_item print, char *buffer, size_t size)
{
    size_t used = (size_t)snprintf(buffer, size, "[");
    for (size_t k = 0; k < attribute->count && used < size; k++) {
        char item[100] = "...";
        if (k < 16)
            print(attribute, k, item, sizeof item);
        used += (size_t)snprintf(buffer + used, size - used, "%s%s", k ? "," : "", item);
        if (k == 16)
            break;
    }
    if (used < size)
        snprintf(buffer + used, size - used, "]");
}

static void print_int(const tl_attribute *attribute, size_t k, char *buffer, size_t size)
{
    snprintf(buffer, size, "%" PRId64, attribute->u.ints[k]);
}

static void print_float(const tl_attribute *attribute, size_t k, char *buffer, size_t size)
{
    snprintf(buffer, size, "%g", (double)attribute->u.floats[k]);
}

static void print_string(const tl_attribute *attribute, size_t k, char *buffer, size_t size)
{
    cli_quote(attribute->u.strings[k].data, attribute->u.strings[k].size, buffer, size);
}

char *cli_view_attribute(const tl_attribute *attribute, char *buffer, size_t size)
{
    switch (attribute->kind) {
    case TL_ATTR_INT:
        snprintf(buffer, size, "%" PRId64, attribute->u.i);
        break;
    case TL_ATTR_FLOAT:
        snprintf(buffer, size, "%g", (double)attribute->u.f);
        break;
    case TL_ATTR_STRING:
        cli_quote(attribute->u.s.data, attribute->u.s.size, buffer, size);
        break;
    case TL_ATTR_INTS:
        print_list(attribute, print_int, buffer, size);
        break;
    case TL_ATTR_FLOATS:
        print_list(attribute, print_float, buffer, size);
        break;
    case TL_ATTR_STRINGS:
        print_list(attribute, print_string, buffer, size);
        break;
    case TL_ATTR_TENSOR:
        tl_tensor_describe(attribute->u.tensor, NULL, NULL, buffer, size);
        break;
    case TL_ATTR_GRAPH:
        snprintf(buffer, size, "graph of %zu nodes", attribute->u.graph->node_count);
        break;
    default:
        snprintf(buffer, size, "(%zu)", attribute->count);
    }
    return buffer;
}
