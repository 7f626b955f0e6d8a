/* The ModelProto of one layer. */
#include <stdlib.h>
#include "element.h"
#include "layer.h"
#include "save/file.h"

/* Metadata of nodes came with this version. */
enum { IR_VERSION = 10, STANDARD_OPSET = 18 };
/* onnx.proto's AttributeProto.AttributeType. */
enum { FLOAT_ATTRIBUTE = 1, INT_ATTRIBUTE = 2, STRING_ATTRIBUTE = 3 };

static const char *const weight_names[KERAS_WEIGHTS] = {"depthwise_kernel", "pointwise_kernel", "bias"};

typedef struct writer {
    tl_rope_maker maker;
    tl_arena arena;
    const cli_layer *layer;
} writer;

/* ---- The node */

static void add_attribute(writer *w, tl_rope *node, const char *name, int kind, tl_rope value)
{
    tl_rope attribute = {0};
    tl_rope_text(&w->maker, &attribute, 1, name);
    tl_rope_join(&attribute, value);
    tl_rope_number(&w->maker, &attribute, 20, kind);
    tl_rope_message(&w->maker, node, 5, attribute);
}

static void add_int(writer *w, tl_rope *node, const char *name, int64_t number)
{
    tl_rope value = {0};
    tl_rope_number(&w->maker, &value, 3, number);
    add_attribute(w, node, name, INT_ATTRIBUTE, value);
}

static void add_text(writer *w, tl_rope *node, const char *name, const char *text)
{
    tl_rope value = {0};
    tl_rope_text(&w->maker, &value, 4, text);
    add_attribute(w, node, name, STRING_ATTRIBUTE, value);
}

static void add_metadata(writer *w, tl_rope *node, const char *key, const char *value)
{
    tl_rope entry = {0};
    tl_rope_text(&w->maker, &entry, 1, key);
    tl_rope_text(&w->maker, &entry, 2, value);
    tl_rope_message(&w->maker, node, 9, entry);
}

static void add_node(writer *w, tl_rope *graph)
{
    const keras_layer *layer = w->layer->layer;
    tl_rope node = {0}, alpha = {0};
    tl_rope_text(&w->maker, &node, 1, "X");
    for (int k = 0; k < KERAS_WEIGHTS; k++)
        if (w->layer->weights[k])
            tl_rope_text(&w->maker, &node, 1, weight_names[k]);
    tl_rope_text(&w->maker, &node, 2, "Y");
    tl_rope_text(&w->maker, &node, 3, layer->name);
    tl_rope_text(&w->maker, &node, 4, SEPCONV_NAME);
    tl_rope_text(&w->maker, &node, 7, SEPCONV_DOMAIN);
    add_int(w, &node, "filters", layer->filters);
    add_int(w, &node, "kernel_size", layer->kernel_size);
    add_int(w, &node, "strides", layer->strides);
    add_text(w, &node, "padding", sepconv_padding_name(layer->padding));
    add_text(w, &node, "data_format", sepconv_layout_name(layer->layout));
    add_int(w, &node, "dilation_rate", layer->dilation_rate);
    add_int(w, &node, "depth_multiplier", layer->depth_multiplier);
    add_text(w, &node, "activation", layer->activation);
    if (layer->has_alpha) {
        tl_rope_float(&w->maker, &alpha, 2, layer->alpha);
        add_attribute(w, &node, "activation_alpha", FLOAT_ATTRIBUTE, alpha);
    }
    add_int(w, &node, "use_bias", layer->use_bias);
    add_metadata(w, &node, CLI_LAYER_CONFIG, w->layer->config);
    add_metadata(w, &node, CLI_LAYER_VERSION, layer->version == KERAS_2 ? "2" : "3");
    tl_rope_message(&w->maker, graph, 1, node);
}

/* ---- Weights */

/* Keras' (K, C, D) -> (C*D, 1, K); (1, C*D, F) -> (F, C*D, 1). */
static tl_tensor onnx_shape(int weight, const keras_shape *shape)
{
    const int64_t *dims = shape->dims;
    if (weight == KERAS_DEPTHWISE)
        return (tl_tensor){.rank = 3, .dims = {dims[1] * dims[2], 1, dims[0]}};
    if (weight == KERAS_POINTWISE)
        return (tl_tensor){.rank = 3, .dims = {dims[2], dims[1], 1}};
    return (tl_tensor){.rank = 1, .dims = {dims[0]}};
}

/* Rows and columns change places: (K, C*D) -> (C*D, K), and (C*D, F) -> (F, C*D). The values are rounded as Keras does,
 * to the type of its variable and then to that of the computation. */
static void convert(const keras_layer *layer, const double *from, int64_t rows, int64_t columns, void *to)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            double value = from[r * columns + c];
            if (layer->variable_type != layer->type) {
                uint64_t rounded = 0;
                cli_element_set_real(layer->variable_type, &rounded, 0, value);
                value = cli_element_real(layer->variable_type, &rounded, 0);
            }
            cli_element_set_real(layer->type, to, c * rows + r, value);
        }
}

static void add_weight(writer *w, tl_rope *graph, int weight)
{
    const keras_layer *layer = w->layer->layer;
    const keras_shape shape = keras_weight_shape(layer, weight, w->layer->channels);
    const int64_t rows = weight == KERAS_DEPTHWISE ? shape.dims[0] : weight == KERAS_POINTWISE ? shape.dims[1] : 1;
    tl_tensor tensor = onnx_shape(weight, &shape);
    tensor.type = layer->type;
    const int64_t bytes = tl_tensor_bytes(&tensor);
    tensor.data = TL_NEW(&w->arena, char, (size_t)bytes);
    if (!tensor.data) {
        w->maker.failed = true;
        return;
    }
    convert(layer, w->layer->weights[weight], rows, tl_tensor_elements(&tensor) / rows, tensor.data);
    tl_rope proto = {0};
    for (int32_t d = 0; d < tensor.rank; d++)
        tl_rope_number(&w->maker, &proto, 1, tensor.dims[d]);
    tl_rope_number(&w->maker, &proto, 2, tensor.type);
    tl_rope_text(&w->maker, &proto, 8, weight_names[weight]);
    tl_rope_bytes(&w->maker, &proto, 9, tensor.data, (size_t)bytes);
    tl_rope_message(&w->maker, graph, 5, proto);
}

/* ---- Input and output */

/* A size, or else a name, or neither. */
static void add_dim(writer *w, tl_rope *shape, int64_t size, const char *name)
{
    tl_rope dim = {0};
    if (size > 0)
        tl_rope_number(&w->maker, &dim, 1, size);
    else if (name)
        tl_rope_text(&w->maker, &dim, 2, name);
    tl_rope_message(&w->maker, shape, 1, dim);
}

static void add_info(writer *w, tl_rope *graph, uint32_t field, const char *name, int64_t length, const char *symbol,
                     int64_t channels)
{
    const bool last = w->layer->layer->layout == TLK_CHANNELS_LAST;
    tl_rope shape = {0}, tensor = {0}, type = {0}, info = {0};
    add_dim(w, &shape, 0, "N");
    if (!last)
        add_dim(w, &shape, channels, NULL);
    add_dim(w, &shape, length, symbol);
    if (last)
        add_dim(w, &shape, channels, NULL);
    tl_rope_number(&w->maker, &tensor, 1, w->layer->layer->type);
    tl_rope_message(&w->maker, &tensor, 2, shape);
    tl_rope_message(&w->maker, &type, 1, tensor);
    tl_rope_text(&w->maker, &info, 1, name);
    tl_rope_message(&w->maker, &info, 2, type);
    tl_rope_message(&w->maker, graph, field, info);
}

static void add_infos(writer *w, tl_rope *graph)
{
    const keras_layer *layer = w->layer->layer;
    int64_t length = 0, left, right;
    const int64_t extent = layer->dilation_rate * (layer->kernel_size - 1) + 1; /* keras_check_input() has seen it */
    if (w->layer->length)
        sepconv_pad(layer->padding, w->layer->length, extent, layer->strides, &length, &left, &right);
    add_info(w, graph, 11, "X", w->layer->length, "L", w->layer->channels);
    add_info(w, graph, 12, "Y", length, layer->padding != SEPCONV_VALID && layer->strides == 1 ? "L" : NULL,
             layer->filters);
}

/* ---- The model */

static void add_import(writer *w, tl_rope *model, const char *domain, int64_t version)
{
    tl_rope import = {0};
    tl_rope_text(&w->maker, &import, 1, domain);
    tl_rope_number(&w->maker, &import, 2, version);
    tl_rope_message(&w->maker, model, 8, import);
}

static tl_rope make_model(writer *w)
{
    tl_rope model = {0}, graph = {0};
    add_node(w, &graph);
    tl_rope_text(&w->maker, &graph, 2, w->layer->layer->name);
    for (int k = 0; k < KERAS_WEIGHTS; k++)
        if (w->layer->weights[k])
            add_weight(w, &graph, k);
    add_infos(w, &graph);
    tl_rope_number(&w->maker, &model, 1, IR_VERSION);
    tl_rope_text(&w->maker, &model, 2, "tapline");
    tl_rope_text(&w->maker, &model, 3, tl_version());
    tl_rope_message(&w->maker, &model, 7, graph);
    add_import(w, &model, "", STANDARD_OPSET);
    add_import(w, &model, SEPCONV_DOMAIN, SEPCONV_VERSION);
    return model;
}

/* The operator itself has the last word on attributes and shapes. */
static tl_status check(void *context, const char *path, tl_error *error)
{
    tl_session *session = NULL;
    tl_status status = tl_session_open(context, path, NULL, &session, error);
    tl_session_destroy(session);
    return status;
}

tl_status cli_layer_write(const cli_layer *layer, const char *path, tl_error *error)
{
    static const tl_allocator standard;
    writer w = {.layer = layer};
    tl_runtime *runtime = NULL;
    tl_arena_init(&w.arena, &standard, 0);
    w.maker.arena = &w.arena;
    const tl_rope model = make_model(&w);
    tl_status status = w.maker.failed ? tl_error_no_memory(error) : tl_runtime_create(NULL, &runtime, error);
    if (status == TL_OK)
        status = tl_plugin_register(runtime, tl_plugin_separable_conv1d, error);
    if (status == TL_OK)
        status = tl_file_replace(path, &model, check, runtime, error);
    tl_runtime_destroy(runtime);
    tl_arena_free(&w.arena);
    return status;
}
