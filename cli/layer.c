/* tapline layer: from a Keras configuration to a model file, and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "commands.h"
#include "layer.h"

enum { MOST_JSON = 16 << 20 };

static const cli_option option_table[] = {
    CLI_OPTION('o', "output", CLI_TEXT, output, "OUT", "the model file to write"),
    {.name = "channels",
     .kind = CLI_INTEGER,
     .offset = offsetof(cli_options, channels),
     .argument = "C",
     .help = "channels of the input; needed unless the configuration has the shape that the layer was built with",
     .minimum = 1,
     .maximum = INT32_MAX},
    {.name = "length",
     .kind = CLI_INTEGER,
     .offset = offsetof(cli_options, length),
     .argument = "L",
     .help = "length of the input; any if not given",
     .minimum = 1,
     .maximum = INT32_MAX},
    {.name = "seed",
     .kind = CLI_INTEGER,
     .offset = offsetof(cli_options, random),
     .argument = "S",
     .help = "seed of initializers that have none in the configuration (default 0)",
     .minimum = 0,
     .maximum = 9e15},
    CLI_OPTION(0, "weights", CLI_TEXT, weights, "FILE.npz",
               "take the weights from this file, as numpy.savez(FILE, *layer.get_weights()) writes it, or with arrays "
               "named depthwise_kernel, pointwise_kernel and bias; they are not projected by constraints"),
    {.name = "keras",
     .kind = CLI_INTEGER,
     .offset = offsetof(cli_options, keras),
     .argument = "V",
     .help = "read the configuration as tf_keras 2 or as Keras 3 does; as a rule it shows by whom it was written",
     .minimum = KERAS_2,
     .maximum = KERAS_3},
    CLI_OPTION(0, "show", CLI_FLAG, show, NULL, "print the configurations in a model, one a line"),
    CLI_OPTION_COMMON,
};

/* ---- Reading the configuration */

static tl_status read_text(const char *path, char **text, tl_error *error)
{
    FILE *file = fopen(path, "rb");
    *text = file ? malloc(MOST_JSON + 1) : NULL;
    if (!file)
        return tl_error_set(error, TL_IO, "%.300s: cannot be opened: %s", path, strerror(errno));
    if (!*text) {
        fclose(file);
        return tl_error_no_memory(error);
    }
    size_t size = fread(*text, 1, MOST_JSON + 1, file);
    tl_status status = TL_OK;
    if (ferror(file))
        status = tl_error_set(error, TL_IO, "%.300s: cannot be read: %s", path, strerror(errno));
    else if (size > MOST_JSON)
        status = tl_error_set(error, TL_INVALID_INPUT, "%.300s: more than 16 MiB: no configuration", path);
    else if (memchr(*text, 0, size))
        status = tl_error_set(error, TL_INVALID_INPUT, "%.300s: it is no JSON: it has a NUL", path);
    else
        (*text)[size] = 0;
    fclose(file);
    return status;
}

static tl_status read_config(const char *path, char **text, cJSON **document, tl_error *error)
{
    const char *end = NULL;
    tl_status status = read_text(path, text, error);
    if (status != TL_OK)
        return status;
    *document = cJSON_ParseWithOpts(*text, &end, true);
    if (!*document)
        return tl_error_set(error, TL_INVALID_INPUT, "%.300s: it is no JSON, at byte %td", path,
                            end ? end - *text : (ptrdiff_t)0);
    cJSON_Minify(*text);
    return TL_OK;
}

/* A size from the command line and one from the configuration must not differ. */
static tl_status choose(const cli_integer *given, int64_t built, const char *what, int64_t *size, tl_error *error)
{
    *size = given->given ? given->value : built;
    if (given->given && built && built != given->value)
        return tl_error_set(error, TL_INVALID_INPUT, "--%s is %lld, but the layer was built for %lld", what,
                            (long long)given->value, (long long)built);
    return TL_OK;
}

/* ---- Weights */

/* The weights together must fit into a model file; this also keeps every later product from overflowing. */
static tl_status count_values(const keras_layer *layer, int64_t channels, int64_t counts[KERAS_WEIGHTS],
                              tl_error *error)
{
    int64_t total = 0;
    for (int k = 0; k < KERAS_WEIGHTS; k++) {
        const keras_shape shape = keras_weight_shape(layer, k, channels);
        counts[k] = 1;
        for (int32_t d = 0; d < shape.rank; d++)
            if (!tl_mul(counts[k], shape.dims[d], &counts[k]))
                return tl_error_set(error, TL_INVALID_INPUT, "the layer's weights are too large");
        if (!tl_add(total, counts[k], &total) || total > INT32_MAX / (int64_t)(tl_type_bits(layer->type) / 8))
            return tl_error_set(error, TL_INVALID_INPUT,
                                "the layer's weights are larger than the 2 GiB that a model file may have");
    }
    return TL_OK;
}

static tl_status initialize(const keras_layer *layer, int64_t channels, uint64_t seed,
                            double *const weights[KERAS_WEIGHTS], tl_error *error)
{
    sepconv_text why = {""};
    for (int k = 0; k < KERAS_WEIGHTS; k++) {
        const keras_shape shape = keras_weight_shape(layer, k, channels);
        if (!weights[k])
            continue;
        tl_status status = keras_initialize(&layer->initializers[k], &shape, seed, (uint64_t)k, weights[k], &why);
        if (status != TL_OK)
            return tl_error_set(error, status, "argument '%s_initializer': %s", keras_parts[k], why.line);
        status = keras_constrain(&layer->constraints[k], &shape, weights[k], &why);
        if (status != TL_OK)
            return tl_error_set(error, status, "argument '%s_constraint': %s", keras_parts[k], why.line);
    }
    return TL_OK;
}

static tl_status write_layer(const keras_layer *layer, const char *config, const cli_options *options, tl_error *error)
{
    cli_layer made = {.layer = layer, .config = config};
    double *weights[KERAS_WEIGHTS] = {NULL};
    int64_t counts[KERAS_WEIGHTS] = {0};
    sepconv_text why = {""};
    tl_status status = choose(&options->channels, layer->channels, "channels", &made.channels, error);
    if (status == TL_OK)
        status = choose(&options->length, layer->length, "length", &made.length, error);
    if (status == TL_OK && !made.channels)
        status = tl_error_set(error, TL_INVALID_INPUT, "the number of channels is needed: --channels C");
    if (status == TL_OK && keras_check_input(layer, made.channels, made.length, &why) != TL_OK)
        status = tl_error_set(error, TL_INVALID_INPUT, "%s", why.line);
    if (status == TL_OK)
        status = count_values(layer, made.channels, counts, error);
    for (int k = 0; k < (layer->use_bias ? 3 : 2) && status == TL_OK; k++) {
        made.weights[k] = weights[k] = malloc(((size_t)counts[k] + 1) * sizeof(double));
        if (!weights[k])
            status = tl_error_no_memory(error);
    }
    if (status == TL_OK)
        status = options->weights ? cli_layer_load_weights(options->weights, layer, made.channels, weights, error)
                                  : initialize(layer, made.channels, (uint64_t)options->random.value, weights, error);
    if (status == TL_OK)
        status = cli_layer_write(&made, options->output, error);
    for (int k = 0; k < KERAS_WEIGHTS; k++)
        free(weights[k]);
    return status;
}

static tl_status make(const cli_options *options, tl_error *error)
{
    const char *path = options->operands.items[0];
    char *text = NULL;
    cJSON *document = NULL;
    keras_layer layer;
    sepconv_text why = {""};
    tl_status status = read_config(path, &text, &document, error);
    if (status == TL_OK) {
        status = keras_layer_read(document, options->keras.given ? (int)options->keras.value : 0, &layer, &why);
        if (status != TL_OK)
            tl_error_set(error, status, "%.300s: %s", path, why.line);
    }
    if (status == TL_OK)
        status = write_layer(&layer, text, options, error);
    cJSON_Delete(document);
    free(text);
    return status;
}

/* ---- Back */

static tl_status show(const char *path, tl_error *error)
{
    cli_kept_layers layers = {0};
    tl_runtime *runtime = NULL;
    tl_status status = tl_runtime_create(NULL, &runtime, error);
    if (status == TL_OK)
        status = cli_kept_layers_load(&layers, runtime, path, error);
    if (status == TL_OK && !layers.count)
        status = tl_error_set(error, TL_INVALID_INPUT, "%.300s: no node of it has a Keras configuration", path);
    for (size_t k = 0; k < layers.count && status == TL_OK; k++) {
        cli_print_clean(stdout, layers.items[k].config);
        putchar('\n');
    }
    cli_kept_layers_free(&layers);
    tl_runtime_destroy(runtime);
    return status;
}

static int run(const cli_options *options)
{
    tl_error error;
    if (options->show && (options->output || options->weights || options->channels.given || options->length.given ||
                          options->random.given || options->keras.given))
        return cli_wrong_usage("layer", "--show goes with no other option");
    if (!options->show && !options->output)
        return cli_wrong_usage("layer", "-o OUT is missing");
    tl_status status = options->show ? show(options->operands.items[0], &error) : make(options, &error);
    return status == TL_OK ? CLI_OK : cli_report(&error);
}

const cli_command cli_command_layer = {
    .name = "layer",
    .operands = "FILE",
    .least = 1,
    .most = 1,
    .summary = "Makes a model of one layer from the configuration of Keras' SeparableConv1D.",
    .details = "FILE is the JSON of layer.get_config() or of layers.serialize(layer), by tf_keras 2 or Keras 3; with "
               "--show it is a model, whose configurations are printed. What Keras refuses is refused.\n"
               "Initializers give weights with Keras' distributions, but not TensorFlow's numbers: SplitMix64, "
               "Box-Muller and Gram-Schmidt make them, the same for the same seed. Constraints project them. The whole "
               "configuration goes into the node's metadata, and 'tapline inspect' reports what the regularizers cost.",
    .options = option_table,
    .option_count = TL_COUNT(option_table),
    .run = run,
};
