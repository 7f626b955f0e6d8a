/* Keras layers in model files: made from a configuration, and found again by the metadata of their nodes. */
#ifndef CLI_LAYER_H
#define CLI_LAYER_H

#include "json.h"
#include "graph/graph.h"
#include "options.h"
#include "separable_conv1d/keras.h"

/* A model of one layer, to be written. */
typedef struct cli_layer {
    const keras_layer *layer;
    const char *config;                   /* its configuration: JSON on one line */
    int64_t channels, length;             /* of the input; length 0: any */
    const double *weights[KERAS_WEIGHTS]; /* in Keras' layout; NULL: no bias */
} cli_layer;

/* layer_model.c: writes the model. What the runtime refuses is not written. */
tl_status cli_layer_write(const cli_layer *layer, const char *path, tl_error *error);
/* layer_weights.c: fills arrays of the shapes that the layer wants from an .npz file: by name, or in the order of
 * layer.get_weights(). */
tl_status cli_layer_load_weights(const char *path, const keras_layer *layer, int64_t channels,
                                 double *const weights[KERAS_WEIGHTS], tl_error *error);

/* layer_metadata.c: the layers of a model file. */

/* A node with a configuration. */
typedef struct cli_kept_layer {
    const tl_node *node;
    const char *config;
    cJSON *document;
    keras_layer layer; /* where `why` is empty */
    sepconv_text why;  /* the configuration cannot be read */
    bool has_penalty[KERAS_PENALTIES];
    double penalties[KERAS_PENALTIES];
    sepconv_text no_penalty[KERAS_PENALTIES]; /* a regularizer without a number: why */
} cli_kept_layer;

typedef struct cli_kept_layers {
    tl_model *model;
    cli_kept_layer *items;
    size_t count, capacity;
} cli_kept_layers;

/* Finds them, in subgraphs too. */
tl_status cli_kept_layers_load(cli_kept_layers *layers, const tl_runtime *runtime, const char *path, tl_error *error);
void cli_kept_layers_free(cli_kept_layers *layers);
/* Computes the penalties of weights; and of the output, if it is one of the model's, by a run with -i or --random. */
tl_status cli_kept_layers_compute(cli_kept_layers *layers, tl_session *session, const cli_options *options,
                                  tl_error *error);
void cli_kept_layers_print(const cli_kept_layers *layers);
void cli_kept_layers_add_json(const cli_kept_layers *layers, cli_json *json);

/* The keys of the metadata. */
#define CLI_LAYER_CONFIG  "keras_config"
#define CLI_LAYER_VERSION "keras_version" /* "2" or "3": whose meaning the configuration has */

#endif
