/* Layers of model files: their configurations, and what their regularizers cost. */
#include <stdlib.h>
#include "element.h"
#include "plugin/runtime.h"
#include "inputs.h"
#include "layer.h"
#include "load/load.h"

/* ---- Finding them */

static const char *find_text(const tl_node *node, const char *key)
{
    for (size_t k = 0; k < node->metadata_count; k++)
        if (strcmp(node->metadata[k].key, key) == 0)
            return node->metadata[k].value;
    return NULL;
}

static tl_status add(cli_kept_layers *layers, const tl_node *node, const char *config, tl_error *error)
{
    const char *version = find_text(node, CLI_LAYER_VERSION);
    if (!cli_grow(&layers->items, layers->count, &layers->capacity, sizeof layers->items[0]))
        return tl_error_no_memory(error);
    cli_kept_layer *kept = &layers->items[layers->count++];
    *kept = (cli_kept_layer){.node = node, .config = config, .document = cJSON_Parse(config)};
    if (!kept->document)
        sepconv_fail(&kept->why, TL_INVALID_MODEL, "it is no JSON");
    else
        keras_layer_read(kept->document, version ? (*version == '2' ? KERAS_2 : KERAS_3) : 0, &kept->layer, &kept->why);
    return TL_OK;
}

static tl_status find(cli_kept_layers *layers, const tl_graph *graph, tl_error *error)
{
    tl_status status = TL_OK;
    for (size_t i = 0; i < graph->node_count && status == TL_OK; i++) {
        const tl_node *node = graph->nodes[i];
        const char *config = find_text(node, CLI_LAYER_CONFIG);
        if (config && strcmp(node->op_type, SEPCONV_NAME) == 0)
            status = add(layers, node, config, error);
        const tl_graph *inner;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(node, g)); g++)
            status = find(layers, inner, error);
    }
    return status;
}

tl_status cli_kept_layers_load(cli_kept_layers *layers, const tl_runtime *runtime, const char *path, tl_error *error)
{
    const tl_load_options options = {.node_metadata = true};
    *layers = (cli_kept_layers){0};
    tl_status status = tl_load_file(&runtime->allocator, &runtime->registry, path, &options, &layers->model, error);
    if (status == TL_OK)
        status = find(layers, layers->model->graph, error);
    if (status != TL_OK)
        cli_kept_layers_free(layers);
    return status;
}

void cli_kept_layers_free(cli_kept_layers *layers)
{
    for (size_t k = 0; k < layers->count; k++)
        cJSON_Delete(layers->items[k].document);
    free(layers->items);
    tl_model_free(layers->model);
    *layers = (cli_kept_layers){0};
}

/* ---- Penalties */

static tl_status penalty_of(cli_kept_layer *kept, int part, const tl_tensor *tensor, tl_error *error)
{
    const int64_t count = tl_tensor_elements(tensor);
    double *values = malloc(((size_t)count + 1) * sizeof *values);
    if (!values)
        return tl_error_no_memory(error);
    for (int64_t i = 0; i < count; i++)
        values[i] = cli_element_real(tensor->type, tensor->data, i);
    kept->has_penalty[part] = keras_penalty(&kept->layer.regularizers[part], tensor->rank, values, count,
                                            &kept->penalties[part], &kept->no_penalty[part]) == TL_OK;
    free(values);
    return TL_OK;
}

static tl_status weight_penalty(cli_kept_layer *kept, int weight, tl_error *error)
{
    const size_t input = (size_t)weight + SEPCONV_DEPTHWISE;
    tl_value *value = input < kept->node->input_count ? kept->node->inputs[input] : NULL;
    if (weight == KERAS_BIAS && !kept->layer.use_bias) /* nothing to regularize */
        return TL_OK;
    if (kept->layer.version == KERAS_3 && !kept->layer.trainable) {
        sepconv_fail(&kept->no_penalty[weight], TL_OK, "Keras 3 counts it only for a layer that is trainable");
        return TL_OK;
    }
    value = value ? tl_value_origin(value) : NULL;
    if (!value || !(value->flags & TL_VALUE_CONSTANT) || cli_type_class(value->tensor.type) != CLI_CLASS_FLOAT) {
        sepconv_fail(&kept->no_penalty[weight], TL_OK, "the weight is not a constant of the model");
        return TL_OK;
    }
    tl_tensor tensor = value->tensor;
    tensor.data = (void *)(uintptr_t)tl_value_data(value);
    return tensor.data ? penalty_of(kept, weight, &tensor, error) : tl_error_no_memory(error);
}

/* The number of the model's output that the layer makes; false: none. */
static bool find_output(const cli_kept_layer *kept, const tl_session *session, size_t *index)
{
    tl_value_info info;
    const char *name = kept->node->output_count && kept->node->outputs[0] ? kept->node->outputs[0]->name : "";
    for (*index = 0; kept->node->graph->parent == NULL && tl_session_output(session, *index, &info); ++*index)
        if (strcmp(info.name, name) == 0)
            return true;
    return false;
}

/* Keras divides the penalty of the output by the batch size. */
static tl_status activity_penalty(cli_kept_layer *kept, tl_context *context, const tl_session *session, tl_error *error)
{
    size_t index;
    tl_tensor tensor;
    sepconv_text *why = &kept->no_penalty[KERAS_ACTIVITY];
    if (!find_output(kept, session, &index)) {
        sepconv_fail(why, TL_OK, "the layer's output is not one of the model's");
        return TL_OK;
    }
    if (!context) {
        sepconv_fail(why, TL_OK, "it depends on the input: give one with -i or --random");
        return TL_OK;
    }
    tl_status status = tl_context_output(context, index, &tensor, error);
    if (status == TL_OK)
        status = penalty_of(kept, KERAS_ACTIVITY, &tensor, error);
    if (status == TL_OK && tensor.dims[0] > 0)
        kept->penalties[KERAS_ACTIVITY] /= (double)tensor.dims[0];
    return status;
}

static tl_status run(tl_session *session, const cli_options *options, cli_inputs *inputs, tl_context **context,
                     tl_error *error)
{
    tl_status status = cli_inputs_load(inputs, session, options, error);
    if (status == TL_OK)
        status = tl_context_create(session, context, error);
    if (status == TL_OK)
        status = cli_inputs_bind(inputs, *context, error);
    return status == TL_OK ? tl_context_run(*context, error) : status;
}

tl_status cli_kept_layers_compute(cli_kept_layers *layers, tl_session *session, const cli_options *options,
                                  tl_error *error)
{
    cli_inputs inputs = {0};
    tl_context *context = NULL;
    tl_status status = TL_OK;
    if (layers->count && (options->inputs.count || options->random.given))
        status = run(session, options, &inputs, &context, error);
    for (size_t k = 0; k < layers->count && status == TL_OK; k++) {
        cli_kept_layer *kept = &layers->items[k];
        for (int part = 0; part < KERAS_PENALTIES && status == TL_OK && !*kept->why.line; part++)
            if (kept->layer.regularizers[part].class_name)
                status = part == KERAS_ACTIVITY ? activity_penalty(kept, context, session, error)
                                                : weight_penalty(kept, part, error);
    }
    tl_context_destroy(context);
    cli_inputs_free(&inputs);
    return status;
}

/* ---- Showing them */

static void print_layer(const cli_kept_layer *kept)
{
    const keras_layer *layer = &kept->layer;
    printf("%-12s", "keras");
    cli_print_clean(stdout, *kept->node->name ? kept->node->name : kept->node->op_type);
    if (*kept->why.line) {
        printf(": its configuration cannot be used: ");
        cli_print_clean(stdout, kept->why.line);
        putchar('\n');
        return;
    }
    printf(": of Keras %d, %s\n", layer->version, layer->trainable ? "trainable" : "not trainable");
    for (int part = 0; part < KERAS_PENALTIES; part++) {
        const char *name = layer->regularizers[part].class_name;
        if (name) {
            printf("  %s_regularizer %s: ", keras_parts[part], name);
            if (kept->has_penalty[part])
                printf("penalty %.9g\n", kept->penalties[part]);
            else
                printf("no penalty%s%s\n", *kept->no_penalty[part].line ? ": " : "", kept->no_penalty[part].line);
        }
        if (part < KERAS_WEIGHTS && layer->constraints[part].class_name)
            printf("  %s_constraint %s\n", keras_parts[part], layer->constraints[part].class_name);
    }
}

void cli_kept_layers_print(const cli_kept_layers *layers)
{
    for (size_t k = 0; k < layers->count; k++)
        print_layer(&layers->items[k]);
}

static void add_penalties(const cli_kept_layer *kept, cli_json *json, cJSON *to)
{
    for (int part = 0; part < KERAS_PENALTIES; part++) {
        if (!kept->layer.regularizers[part].class_name)
            continue;
        if (kept->has_penalty[part])
            cli_json_number(json, to, keras_parts[part], kept->penalties[part]);
        else
            cli_json_text(json, to, keras_parts[part], NULL);
    }
}

void cli_kept_layers_add_json(const cli_kept_layers *layers, cli_json *json)
{
    cJSON *list = layers->count ? cli_json_array(json, json->root, "keras") : NULL;
    for (size_t k = 0; k < layers->count; k++) {
        const cli_kept_layer *kept = &layers->items[k];
        cJSON *item = cli_json_object(json, list, NULL);
        cli_json_text(json, item, "node", kept->node->name);
        if (*kept->why.line) {
            cli_json_text(json, item, "unusable", kept->why.line);
            continue;
        }
        cli_json_number(json, item, "version", kept->layer.version);
        add_penalties(kept, json, cli_json_object(json, item, "penalties"));
        cJSON *config = cJSON_Duplicate(kept->document, true);
        if (!config || !cJSON_AddItemToObject(item, "config", config)) {
            cJSON_Delete(config);
            json->failed = true;
        }
    }
}
