/* tapline inspect: what a model is, for people, programs and pictures. */
#include <inttypes.h>
#include "commands.h"
#include "inputs.h"
#if TAPLINE_LAYER
#include "layer.h"
#endif
#include "program.h"
#include "view.h"

static const cli_option option_table[] = {
    CLI_OPTION(0, "dim", CLI_TEXTS, dims, "NAME=N",
               "size of the symbolic dimension NAME in shapes, FLOPs and memory; 1 if not given"),
#if TAPLINE_LAYER
    CLI_OPTION_INPUT,
    CLI_OPTION_RANDOM,
#endif
    CLI_OPTION(0, "svg", CLI_TEXT, svg, "FILE", "draw the graph, with Graphviz"),
    CLI_OPTION_JSON,
    CLI_OPTION_PLUGINS,
    CLI_OPTION_REWRITES,
    CLI_OPTION_COMMON,
};

static void print_padded(const char *text, size_t width)
{
    cli_print_clean(stdout, text);
    for (size_t used = strlen(text); used < width; used++)
        putchar(' ');
}

static void print_model(const cli_view *view)
{
    const tl_model *model = view->session->model;
    cli_print_clean(stdout, view->path);
    printf("\n  IR version %" PRId64, model->ir_version);
    for (size_t k = 0; k < model->opset_count; k++) {
        printf(", %s", *model->opsets[k].domain ? "" : "opset");
        cli_print_clean(stdout, model->opsets[k].domain);
        printf(" %" PRId64, model->opsets[k].version);
    }
    if (model->producer_name && *model->producer_name) {
        printf(", by ");
        cli_print_clean(stdout, model->producer_name);
        if (model->producer_version && *model->producer_version) {
            putchar(' ');
            cli_print_clean(stdout, model->producer_version);
        }
    }
    putchar('\n');
}

static size_t widest(tl_value *const *values, size_t count)
{
    size_t width = 0;
    for (size_t k = 0; k < count; k++)
        if (values[k] && strlen(values[k]->name) > width)
            width = strlen(values[k]->name);
    return width < 40 ? width : 40;
}

static void print_values(const cli_view *view, const char *label, tl_value *const *values, size_t count, size_t width)
{
    char type[400];
    for (size_t k = 0; k < count; k++) {
        printf("  %-4s", k ? "" : label);
        if (!values[k]) {
            printf("(none)\n");
            continue;
        }
        print_padded(values[k]->name, width);
        printf("  %s%s\n", cli_view_type(view, values[k], type, sizeof type),
               values[k]->flags & TL_VALUE_CONSTANT  ? "  constant"
               : values[k]->flags & TL_VALUE_CAPTURE ? "  from outside"
                                                     : "");
    }
}

static void print_attributes(const tl_node *node)
{
    char text[700];
    size_t column = 0;
    for (size_t k = 0; k < node->attribute_count; k++) {
        const tl_attribute *attribute = &node->attributes[k];
        cli_view_attribute(attribute, text, sizeof text);
        size_t length = strlen(attribute->name) + 1 + strlen(text);
        if (column && column + 1 + length > 100) {
            putchar('\n');
            column = 0;
        }
        column += (size_t)printf("%s", column ? " " : "      ");
        cli_print_clean(stdout, attribute->name);
        putchar('=');
        cli_print_clean(stdout, text);
        column += length;
    }
    if (column)
        putchar('\n');
}

static void print_node(const cli_view *view, const tl_node *node, size_t number)
{
    char text[400], count[40];
    printf("\n%zu ", number);
    cli_print_clean(stdout, cli_view_operator(node, text, sizeof text));
    printf("  ");
    cli_print_clean(stdout, node->name);
    putchar('\n');
    size_t width = widest(node->inputs, node->input_count), other = widest(node->outputs, node->output_count);
    width = width > other ? width : other;
    print_values(view, "in", node->inputs, node->input_count, width);
    print_values(view, "out", node->outputs, node->output_count, width);
    print_attributes(node);
    int64_t parameters = cli_node_parameters(node);
    double flops = cli_node_flops(&view->planned, node);
    if (parameters)
        printf("      %s parameters", cli_count_text((double)parameters, count, sizeof count));
    if (flops > 0)
        printf("%s%s", parameters ? ", " : "      ", cli_flops_text(flops, count, sizeof count));
    if (parameters || flops > 0)
        putchar('\n');
}

static void print_nodes(const cli_view *view, const tl_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_node *node = graph->nodes[i];
        print_node(view, node, i);
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(node, g)); g++) {
            printf("\n  graph %zu of node %zu:\n", g, i);
            print_nodes(view, inner);
            printf("\n  end of graph %zu of node %zu\n", g, i);
        }
    }
}

static void print_rewrites(const tl_session *session)
{
    const char *label = "rewrites";
    for (size_t k = 0; k < session->rewrite_count; k++) {
        if (session->rewrites[k].count == 0)
            continue;
        printf("%-12s%s: %zu\n", label, session->rewrites[k].rule, session->rewrites[k].count);
        label = "";
    }
    if (*label)
        printf("%-12snone\n", label);
}

static void print_strips(const cli_view *view)
{
    char text[40], more[40];
    const tl_strips_facts *strips = &view->strips;
    printf("%-12s%" PRId64 " along axis %d of ", "strips", strips->count, strips->axis);
    cli_print_clean(stdout, view->graph->inputs[strips->input]->name);
    printf(": %" PRId64 " samples with a halo of %" PRId64 ", in %s; the whole would take %s\n", strips->length,
           strips->halo, cli_bytes_text((double)strips->bytes, text, sizeof text),
           cli_bytes_text((double)view->whole_bytes, more, sizeof more));
}

static void print_totals(const cli_view *view)
{
    char text[40], more[40];
    size_t unknown;
    int64_t bytes = 0;
    double flops = cli_view_flops(view, &unknown);
    int64_t parameters = cli_graph_parameters(view->graph, &bytes);
    printf("\n%-12s%zu\n", "nodes", view->graph->node_count);
    printf("%-12s%s (%s)\n", "parameters", cli_count_text((double)parameters, text, sizeof text),
           cli_bytes_text((double)bytes, more, sizeof more));
    printf("%-12s%s", "one run", cli_flops_text(flops, text, sizeof text));
    if (unknown)
        printf(", without %zu node%s whose work is not known", unknown, unknown == 1 ? "" : "s");
    if (*view->sizes) {
        printf(", for ");
        cli_print_clean(stdout, view->sizes);
    }
    putchar('\n');
    if (view->plan)
        printf("%-12s%s\n", "arena", cli_bytes_text((double)view->arena_bytes, text, sizeof text));
    else {
        printf("%-12snot planned: ", "arena");
        cli_print_clean(stdout, view->why_no_plan.message);
        printf("; sizes come from --dim\n");
    }
    if (view->strips.count)
        print_strips(view);
    print_rewrites(view->session);
}

static void print_view(const cli_view *view)
{
    const tl_graph *graph = view->graph;
    print_model(view);
    size_t width = widest(graph->inputs, graph->input_count), other = widest(graph->outputs, graph->output_count);
    width = width > other ? width : other;
    print_values(view, "in", graph->inputs, graph->input_count, width);
    print_values(view, "out", graph->outputs, graph->output_count, width);
    print_nodes(view, graph);
    print_totals(view);
}

#if TAPLINE_LAYER
/* The Keras layers that `tapline layer` put into the model. */
static tl_status show_layers(const cli_options *options, tl_session *session, bool text, cli_json *json,
                             tl_error *error)
{
    cli_kept_layers layers;
    tl_status status = cli_kept_layers_load(&layers, session->runtime, options->operands.items[0], error);
    if (status == TL_OK)
        status = cli_kept_layers_compute(&layers, session, options, error);
    if (status == TL_OK && text)
        cli_kept_layers_print(&layers);
    if (status == TL_OK)
        cli_kept_layers_add_json(&layers, json);
    cli_kept_layers_free(&layers);
    return status;
}
#endif

static tl_status show(const cli_view *view, const cli_options *options, tl_session *session, tl_error *error)
{
    const bool text = !options->quiet && !(options->json && strcmp(options->json, "-") == 0);
    tl_status status = TL_OK;
    cli_json json = cli_json_new();
    if (text)
        print_view(view);
    if (options->json)
        cli_view_add_json(view, &json);
#if TAPLINE_LAYER
    status = show_layers(options, session, text, &json, error);
#else
    (void)session;
#endif
    if (status == TL_OK && options->json)
        status = cli_json_write(&json, options->json, error);
    cli_json_free(&json);
    return status;
}

static int run(const cli_options *options)
{
    int code = cli_dims_check_form(options, "inspect");
    if (code != CLI_OK)
        return code;
    tl_error error;
    cli_program program;
    cli_view view = {0};
    tl_status status = cli_program_open(&program, options, 0, &error);
    if (status == TL_OK)
        status = cli_view_open(&view, program.session, options, &error);
    if (status == TL_OK)
        status = show(&view, options, program.session, &error);
    if (status == TL_OK && options->svg)
        status = cli_view_write_svg(&view, options->svg, &error);
    cli_view_close(&view);
    cli_program_close(&program);
    return status == TL_OK ? CLI_OK : cli_report(&error);
}

const cli_command cli_command_inspect = {
    .name = "inspect",
    .operands = "MODEL",
    .least = 1,
    .most = 1,
    .summary = "Shows a model's graph with shapes, parameters, FLOPs, memory, strips of long signals, and rewrites.",
    .options = option_table,
    .option_count = TL_COUNT(option_table),
    .run = run,
};
