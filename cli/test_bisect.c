/* tapline test --bisect: where a model first goes another way than a reference run of it. */
#include <stdlib.h>
#include "exec/inspect.h"
#include "program.h"
#include "test_cases.h"

typedef struct references {
    cli_value *values; /* tensors; content.name tells which */
    size_t count, capacity;
} references;

static tl_status read_references(references *all, const char *folder, tl_error *error)
{
    cli_names names;
    tl_status status = cli_names_list(&names, folder, "", ".pb", error);
    for (size_t k = 0; status == TL_OK && k < names.count; k++) {
        cli_value value = {0};
        char *path = cli_join(folder, names.items[k], error);
        status = path ? cli_value_read(path, TL_KIND_TENSOR, &value, error) : TL_NO_MEMORY;
        free(path);
        if (status == TL_OK && !cli_grow(&all->values, all->count, &all->capacity, sizeof all->values[0]))
            status = tl_error_no_memory(error);
        if (status == TL_OK)
            all->values[all->count++] = value;
        else
            cli_value_free(&value);
    }
    cli_names_free(&names);
    if (status == TL_OK && all->count == 0)
        return tl_error_set(error, TL_INVALID_INPUT, "%s: there are no .pb files in it", folder);
    return status;
}

static void free_references(references *all)
{
    for (size_t k = 0; k < all->count; k++)
        cli_value_free(&all->values[k]);
    free(all->values);
}

static const tl_tensor *find_reference(const references *all, const char *name)
{
    for (size_t k = 0; k < all->count; k++)
        if (strcmp(all->values[k].content.name, name) == 0)
            return &all->values[k].content.tensor;
    return NULL;
}

/* Runs the first data set with every value kept. */
static tl_status run_case(tl_context *context, const tl_session *session, cli_data_inputs *inputs, const char *path,
                          tl_error *error)
{
    cli_names sets;
    tl_status status = cli_names_list(&sets, path, "test_data_set_", "", error);
    if (status == TL_OK && sets.count == 0)
        status = tl_error_set(error, TL_IO, "%s: there is no test_data_set_*", path);
    char *folder = status == TL_OK ? cli_join(path, sets.items[0], error) : NULL;
    if (status == TL_OK)
        status = folder ? cli_data_inputs_set(inputs, context, session, folder, error) : TL_NO_MEMORY;
    if (status == TL_OK)
        status = tl_context_run(context, error);
    free(folder);
    cli_names_free(&sets);
    return status;
}

/* Compares node by node, in running order; TL_INVALID_MODEL names the first that departs. */
static tl_status compare_nodes(tl_context *context, const tl_graph *graph, const references *all,
                               cli_tolerance tolerance, size_t *compared, tl_error *error)
{
    *compared = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_node *node = graph->nodes[i];
        for (size_t k = 0; k < node->output_count; k++) {
            const tl_value *value = node->outputs[k];
            const tl_tensor *expected = value ? find_reference(all, value->name) : NULL;
            if (!expected || value->kind != TL_KIND_TENSOR)
                continue;
            tl_tensor got;
            char why[1000], where[300];
            tl_status status = tl_context_value(context, value->name, &got, error);
            if (status != TL_OK)
                return status;
            if (!cli_compare_tensors(expected, &got, tolerance, why, sizeof why))
                return tl_error_set(error, TL_INVALID_MODEL,
                                    "%s is the first to depart (values that agree before it: %zu): '%.150s': %s",
                                    tl_node_describe(node, where, sizeof where), *compared, value->name, why);
            ++*compared;
        }
    }
    return TL_OK;
}

int cli_bisect(const cli_options *options, const cli_case *test, tl_runtime *runtime, cli_tolerance tolerance)
{
    tl_error error;
    tl_session *session = NULL;
    tl_context *context = NULL;
    references all = {0};
    cli_data_inputs inputs = {0};
    size_t compared = 0;
    char *model = cli_join(test->path, "model.onnx", &error);
    tl_status status = model ? read_references(&all, options->bisect, &error) : TL_NO_MEMORY;
    if (status == TL_OK)
        status = cli_session_open(runtime, model, options, TL_SESSION_KEEP_VALUES, &session, &error);
    if (status == TL_OK)
        status = tl_context_create(session, &context, &error);
    if (status == TL_OK)
        status = run_case(context, session, &inputs, test->path, &error);
    if (status == TL_OK)
        status = compare_nodes(context, tl_session_graph(session), &all, tolerance, &compared, &error);
    if (status == TL_OK && compared == 0)
        status = tl_error_set(&error, TL_INVALID_INPUT, "%s: none of its %zu values is a node's", options->bisect,
                              all.count);
    if (status == TL_OK)
        printf(
            "all %zu values agree, with the graph as the file has it; what departs with rewrites on comes from them\n",
            compared);
    tl_context_destroy(context);
    cli_data_inputs_free(&inputs);
    tl_session_destroy(session);
    free_references(&all);
    free(model);
    return status == TL_OK ? CLI_OK : cli_report(&error);
}
