/* The graph as a picture, laid out by Graphviz. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli.h"
#include "json.h"
#include "view.h"

extern char **environ;

/* Text inside a quoted string of the DOT language, cut at 120 bytes. */
static void print_quoted(FILE *file, const char *text)
{
    char clean[120];
    for (const char *c = cli_utf8(text, clean, sizeof clean); *c; c++) {
        if (*c == '"' || *c == '\\')
            fputc('\\', file);
        fputc((unsigned char)*c < ' ' || *c == 127 ? '?' : *c, file);
    }
}

static void print_end(FILE *file, const cli_view *view, const tl_value *value, const char *side, size_t k)
{
    char type[300];
    fprintf(file, "  %s%zu [shape=oval, style=filled, fillcolor=\"#e8f0e8\", label=\"", side, k);
    print_quoted(file, value->name);
    fputs("\\n", file);
    print_quoted(file, cli_view_type(view, value, type, sizeof type));
    fputs("\"];\n", file);
}

static void print_node(FILE *file, const cli_view *view, const tl_node *node, size_t number)
{
    char text[300], count[40];
    fprintf(file, "  n%zu [label=\"", number);
    print_quoted(file, cli_view_operator(node, text, sizeof text));
    for (size_t k = 0; k < node->attribute_count && k < 6; k++) {
        fprintf(file, "\\n");
        print_quoted(file, node->attributes[k].name);
        fprintf(file, " = ");
        print_quoted(file, cli_view_attribute(&node->attributes[k], text, sizeof text));
    }
    int64_t parameters = cli_node_parameters(node);
    if (parameters)
        fprintf(file, "\\n%s parameters", cli_count_text((double)parameters, count, sizeof count));
    double flops = cli_node_flops(&view->planned, node);
    if (flops > 0)
        fprintf(file, "\\n%s", cli_flops_text(flops, count, sizeof count));
    fputs("\", tooltip=\"", file);
    print_quoted(file, node->name);
    fputs("\"];\n", file);
}

static void print_edge(FILE *file, const cli_view *view, const tl_value *value, size_t from, const char *to,
                       size_t number)
{
    char type[300];
    bool given = value->flags & TL_VALUE_INPUT;
    fprintf(file, "  %s%zu -> %s%zu [label=\"", given ? "in" : "n", from, to, number);
    if (!given) /* an input's own oval has it */
        print_quoted(file, cli_view_type(view, value, type, sizeof type));
    fputs("\"];\n", file);
}

/* Where a value comes from: the number of its node, or of the input; false: a constant or a value from outside. */
static bool find_source(const cli_view *view, const size_t *numbers, const tl_value *value, size_t *source)
{
    if (value->producer)
        *source = numbers[value->index];
    for (size_t k = 0; !value->producer && k < view->graph->input_count; k++)
        if (view->graph->inputs[k] == value) {
            *source = k;
            return true;
        }
    return value->producer != NULL;
}

static tl_status print_graph(FILE *file, const cli_view *view, tl_error *error)
{
    const tl_graph *graph = view->graph;
    size_t *numbers = calloc(graph->value_count + 1, sizeof numbers[0]); /* of the producing node, by value */
    if (!numbers)
        return tl_error_no_memory(error);
    fputs(
        "digraph model {\n  node [shape=box, style=\"rounded,filled\", fillcolor=\"#eef2fa\", fontname=\"Helvetica\", "
        "fontsize=11];\n  edge [fontname=\"Helvetica\", fontsize=9];\n",
        file);
    for (size_t k = 0; k < graph->input_count; k++)
        print_end(file, view, graph->inputs[k], "in", k);
    for (size_t i = 0; i < graph->node_count; i++) {
        print_node(file, view, graph->nodes[i], i);
        for (size_t k = 0; k < graph->nodes[i]->output_count; k++)
            if (graph->nodes[i]->outputs[k])
                numbers[graph->nodes[i]->outputs[k]->index] = i;
    }
    size_t source;
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t k = 0; k < graph->nodes[i]->input_count; k++) {
            const tl_value *value = graph->nodes[i]->inputs[k];
            if (value && find_source(view, numbers, value, &source))
                print_edge(file, view, value, source, "n", i);
        }
    for (size_t k = 0; k < graph->output_count; k++) {
        print_end(file, view, graph->outputs[k], "out", k);
        if (find_source(view, numbers, graph->outputs[k], &source))
            print_edge(file, view, graph->outputs[k], source, "out", k);
    }
    fputs("}\n", file);
    free(numbers);
    return TL_OK;
}

/* Starts `dot`, which reads the graph from the pipe's end *input. */
static tl_status start_dot(const char *path, pid_t *process, int *input, tl_error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return tl_error_set(error, TL_IO, "no pipe to Graphviz: %s", strerror(errno));
    char *arguments[] = {"dot", "-Tsvg", NULL};
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (!failed) {
        failed = posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
        if (!failed)
            failed =
                posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
        if (!failed)
            failed = posix_spawnp(process, "dot", &actions, NULL, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[0]);
    *input = ends[1];
    if (!failed)
        return TL_OK;
    close(ends[1]);
    return tl_error_set(error, TL_IO,
                        "--svg needs Graphviz: its program 'dot' cannot be run: %s (Debian package graphviz)",
                        strerror(failed));
}

tl_status cli_view_write_svg(const cli_view *view, const char *path, tl_error *error)
{
    FILE *probe = cli_create(path, error); /* so that a bad path is not taken for a lack of Graphviz */
    if (!probe)
        return TL_IO;
    fclose(probe);
    pid_t process = 0;
    int input = -1, result = 0;
    tl_status status = start_dot(path, &process, &input, error);
    if (status != TL_OK) {
        unlink(path);
        return status;
    }
    FILE *file = fdopen(input, "w");
    if (file) {
        status = print_graph(file, view, error);
        fclose(file); /* a dot that died shows in its exit status */
    } else {
        status = tl_error_no_memory(error);
        close(input);
    }
    while (waitpid(process, &result, 0) < 0 && errno == EINTR)
        ;
    if (status == TL_OK && (!WIFEXITED(result) || WEXITSTATUS(result) != 0))
        status = tl_error_set(error, TL_IO, "%s: Graphviz failed to draw it (dot, exit status %d)", path,
                              WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result));
    if (status != TL_OK)
        unlink(path);
    return status;
}
