/* The configuration of Keras' layer: what its arguments are, and what its constructor and build() refuse. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "separable_conv1d/keras.h"

const char *const keras_parts[KERAS_PENALTIES] = {"depthwise", "pointwise", "bias", "activity"};

/* What reading a configuration passes around. */
typedef struct reader {
    const cJSON *config;
    keras_layer *layer;
    sepconv_text *why;
} reader;

static const cJSON *find(const reader *r, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(r->config, name);
}

/* Puts the argument in front of what is wrong with it. */
static tl_status blame(const reader *r, tl_status status, const char *argument)
{
    if (status == TL_OK)
        return TL_OK;
    const sepconv_text inner = *r->why;
    snprintf(r->why->line, sizeof r->why->line, "argument '%s': %.400s", argument, inner.line);
    return status;
}

/* ---- Names of arguments */

/* In both versions; then what only one of them knows. tf_keras writes those of its base class Conv, too. */
#define ARGUMENTS                                                                                             \
    "name trainable dtype filters kernel_size strides padding data_format dilation_rate depth_multiplier "    \
    "activation use_bias depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer " \
    "pointwise_regularizer bias_regularizer activity_regularizer depthwise_constraint pointwise_constraint "  \
    "bias_constraint autocast input_shape input_dim"
#define ARGUMENTS_2                                                                                        \
    "groups kernel_initializer kernel_regularizer kernel_constraint batch_input_shape batch_size dynamic " \
    "implementation"

static bool is_policy(const cJSON *dtype, const char *names)
{
    const char *class_name =
        cJSON_IsObject(dtype) ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(dtype, "class_name")) : NULL;
    return class_name != NULL && keras_is_one_of(class_name, names);
}

/* What Keras itself has written shows by whom; for the rest, only tf_keras has causal padding. */
static int find_version(const reader *r)
{
    const cJSON *dtype = find(r, "dtype"), *padding = find(r, "padding");
    if (find(r, "groups") != NULL || find(r, "kernel_initializer") != NULL || find(r, "batch_input_shape") != NULL ||
        is_policy(dtype, "Policy PolicyV1"))
        return KERAS_2;
    if (cJSON_IsObject(dtype))
        return KERAS_3;
    char text[64];
    return strcmp(keras_quote(padding, text), "'causal'") == 0 ? KERAS_2 : KERAS_3;
}

/* ---- Numbers */

/* An integer >= 1; where it is missing, `standard` (0: it must be there). */
static tl_status read_count(const reader *r, const char *name, int64_t standard, int64_t *count)
{
    char text[64];
    const cJSON *item = find(r, name);
    *count = standard;
    if (item == NULL && standard != 0)
        return TL_OK;
    if (keras_is_integer(item, count) && *count >= 1)
        return TL_OK;
    return sepconv_fail(r->why, TL_INVALID_INPUT, "argument '%s' is %s, must be an integer of at least 1", name,
                        keras_quote(item, text));
}

/* The same, or a list of one. */
static tl_status read_tuple(const reader *r, const char *name, int64_t standard, int64_t *number)
{
    char text[64];
    const cJSON *item = find(r, name);
    *number = standard;
    if (item == NULL && standard != 0)
        return TL_OK;
    const int size = cJSON_IsArray(item) ? cJSON_GetArraySize(item) : 1;
    if (size != 1)
        return sepconv_fail(r->why, TL_INVALID_INPUT, "argument '%s' is a list of %d, must be one integer", name, size);
    item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 0) : item;
    if (keras_is_integer(item, number) && *number >= 1)
        return TL_OK;
    return sepconv_fail(r->why, TL_INVALID_INPUT, "argument '%s' is %s, must be one integer above 0", name,
                        keras_quote(item, text));
}

static tl_status read_flag(const reader *r, const char *name, bool *flag)
{
    char text[64];
    const cJSON *item = find(r, name);
    *flag = item == NULL || cJSON_IsTrue(item);
    if (item == NULL || cJSON_IsBool(item))
        return TL_OK;
    return sepconv_fail(r->why, TL_INVALID_INPUT, "argument '%s' is %s, must be true or false", name,
                        keras_quote(item, text));
}

static tl_status read_numbers(const reader *r)
{
    keras_layer *layer = r->layer;
    tl_status status = read_count(r, "filters", 0, &layer->filters);
    if (status == TL_OK)
        status = read_tuple(r, "kernel_size", 0, &layer->kernel_size);
    if (status == TL_OK)
        status = read_tuple(r, "strides", 1, &layer->strides);
    if (status == TL_OK)
        status = read_tuple(r, "dilation_rate", 1, &layer->dilation_rate);
    if (status == TL_OK)
        status = read_count(r, "depth_multiplier", 1, &layer->depth_multiplier);
    if (status == TL_OK)
        status = read_count(r, "groups", 1, &layer->groups);
    if (status == TL_OK)
        status = read_flag(r, "use_bias", &layer->use_bias);
    if (status == TL_OK)
        status = read_flag(r, "trainable", &layer->trainable);
    if (status != TL_OK)
        return status;
    /* Keras 3 has come to compute it on some of its backends; the operator does not have it. */
    if (layer->strides > 1 && layer->dilation_rate > 1)
        return sepconv_fail(
            r->why, TL_INVALID_INPUT,
            "argument 'strides' is %lld and 'dilation_rate' is %lld, at most one of them may be above 1",
            (long long)layer->strides, (long long)layer->dilation_rate);
    if (layer->filters % layer->groups != 0)
        return sepconv_fail(r->why, TL_INVALID_INPUT, "argument 'filters' is %lld, not divisible by 'groups', %lld",
                            (long long)layer->filters, (long long)layer->groups);
    return TL_OK;
}

/* ---- Words */

/* The text is this word, in any letter case. */
static bool is_word(const cJSON *item, const char *word)
{
    const char *text = cJSON_IsString(item) ? item->valuestring : "";
    while (*text && tolower((unsigned char)*text) == *word)
        text++, word++;
    return !*text && !*word;
}

static tl_status read_words(const reader *r)
{
    char text[64];
    keras_layer *layer = r->layer;
    const cJSON *padding = find(r, "padding"), *layout = find(r, "data_format"), *name = find(r, "name");
    layer->padding = SEPCONV_VALID;
    layer->layout = TLK_CHANNELS_LAST;
    if (padding != NULL) {
        int found = SEPCONV_VALID;
        while (found <= SEPCONV_CAUSAL && !is_word(padding, sepconv_padding_name((sepconv_padding)found)))
            found++;
        if (found > (layer->version == KERAS_3 ? SEPCONV_SAME : SEPCONV_CAUSAL))
            return sepconv_fail(r->why, TL_INVALID_INPUT, "argument 'padding' is %s, must be %s in Keras %d",
                                keras_quote(padding, text),
                                layer->version == KERAS_3 ? "valid or same" : "valid, same or causal", layer->version);
        layer->padding = (sepconv_padding)found;
    }
    if (is_word(layout, sepconv_layout_name(TLK_CHANNELS_FIRST)))
        layer->layout = TLK_CHANNELS_FIRST;
    else if (layout != NULL && !cJSON_IsNull(layout) && !is_word(layout, sepconv_layout_name(TLK_CHANNELS_LAST)))
        return sepconv_fail(r->why, TL_INVALID_INPUT,
                            "argument 'data_format' is %s, must be channels_last or channels_first",
                            keras_quote(layout, text));
    layer->name = "separable_conv1d";
    if (name == NULL || cJSON_IsNull(name))
        return TL_OK;
    if (!cJSON_IsString(name) || (layer->version == KERAS_3 && strchr(name->valuestring, '/') != NULL))
        return sepconv_fail(r->why, TL_INVALID_INPUT, "argument 'name' is %s, must be text%s", keras_quote(name, text),
                            layer->version == KERAS_3 ? " without '/'" : "");
    if (*name->valuestring)
        layer->name = name->valuestring;
    return TL_OK;
}

/* ---- Types */

static tl_status read_dtype(const reader *r)
{
    static const struct {
        const char *name;
        tl_type variable, compute;
    } types[] = {
        {"float32", TL_FLOAT, TL_FLOAT},         {"float64", TL_DOUBLE, TL_DOUBLE},
        {"float16", TL_FLOAT16, TL_FLOAT16},     {"bfloat16", TL_BFLOAT16, TL_BFLOAT16},
        {"mixed_float16", TL_FLOAT, TL_FLOAT16}, {"mixed_bfloat16", TL_FLOAT, TL_BFLOAT16},
    };
    char text[64];
    const cJSON *dtype = find(r, "dtype");
    if (is_policy(dtype, "Policy PolicyV1 DTypePolicy FloatDTypePolicy")) {
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(dtype, "config");
        dtype = cJSON_IsObject(config) ? cJSON_GetObjectItemCaseSensitive(config, "name") : NULL;
    }
    r->layer->type = r->layer->variable_type = TL_FLOAT;
    if (dtype == NULL || cJSON_IsNull(dtype))
        return TL_OK;
    for (size_t k = 0; cJSON_IsString(dtype) && k < sizeof types / sizeof *types; k++)
        if (strcmp(dtype->valuestring, types[k].name) == 0) {
            r->layer->variable_type = types[k].variable;
            r->layer->type = types[k].compute;
            return TL_OK;
        }
    return sepconv_fail(r->why, TL_INVALID_INPUT,
                        "argument 'dtype' is %s, must be float32, float64, float16, bfloat16, mixed_float16 or "
                        "mixed_bfloat16",
                        keras_quote(dtype, text));
}

/* ---- The activation */

static tl_status unknown_activation(const reader *r, const char *name)
{
    static const char only_3[] = "celu glu hard_shrink hard_silu hard_swish hard_tanh log_sigmoid soft_shrink "
                                 "sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink threshold";
    if (r->layer->version == KERAS_3 && keras_is_one_of(name, only_3))
        return sepconv_fail(r->why, TL_UNSUPPORTED, "'%.40s' is none of SeparableConv1D's (%s)", name,
                            SEPCONV_ACTIVATIONS);
    return sepconv_fail(r->why, TL_INVALID_INPUT, "the activation '%.60s' is not known in Keras %d", name,
                        r->layer->version);
}

/* `alpha` NULL: the activation has none, or Keras' default is the operator's. */
static tl_status set_activation(const reader *r, const char *name, const double *alpha)
{
    r->layer->activation = name;
    r->layer->has_alpha = alpha != NULL;
    r->layer->alpha = alpha != NULL ? (float)*alpha : 0;
    return TL_OK;
}

static tl_status read_function(const reader *r, const char *name)
{
    /* The operator's gelu_tanh and hard_sigmoid_v3 are no names of Keras'. */
    if (!*name || keras_is_one_of(name, "gelu_tanh hard_sigmoid_v3") ||
        sepconv_activation_find(name, strlen(name)) == NULL)
        return unknown_activation(r, name);
    if (r->layer->version == KERAS_3 && strcmp(name, "hard_sigmoid") == 0)
        name = "hard_sigmoid_v3";
    return set_activation(r, name, NULL);
}

static tl_status read_relu_layer(const reader *r, const keras_object *object)
{
    static const double none = -1, zero = 0;
    double most = none, slope = 0, threshold = 0;
    tl_status status = keras_number(object, "max_value", none, &none, &most, r->why);
    if (status == TL_OK)
        status = keras_number(object, "negative_slope", 0, &zero, &slope, r->why);
    if (status == TL_OK)
        status = keras_number(object, "threshold", 0, &zero, &threshold, r->why);
    if (status != TL_OK)
        return status;
    if (threshold == 0 && slope == 0 && (most == none || most == 6))
        return set_activation(r, most == none ? "relu" : "relu6", NULL);
    if (threshold == 0 && most == none && slope > 0)
        return set_activation(r, "leaky_relu", &slope);
    return sepconv_fail(r->why, TL_UNSUPPORTED,
                        "a ReLU with threshold %g, negative_slope %g and max_value %g is none "
                        "of SeparableConv1D's activations",
                        threshold, slope, most);
}

/* A layer in the activation's place. */
static tl_status read_activation_layer(const reader *r, const keras_object *object)
{
    static const char base[] = "name trainable dtype autocast batch_input_shape";
    const bool leaky = strcmp(object->class_name, "LeakyReLU") == 0;
    const bool old = leaky && object->config != NULL && cJSON_GetObjectItemCaseSensitive(object->config, "alpha");
    double alpha = 0;
    const char *name = NULL;
    tl_status status;
    if (leaky || strcmp(object->class_name, "ELU") == 0) {
        const char *argument = leaky && !old ? "negative_slope" : "alpha";
        status = keras_check_arguments(object, argument, base, r->why);
        if (status == TL_OK)
            status = keras_number(object, argument, leaky ? 0.3 : 1, NULL, &alpha, r->why);
        return status == TL_OK ? set_activation(r, leaky ? "leaky_relu" : "elu", &alpha) : status;
    }
    if (strcmp(object->class_name, "ReLU") == 0) {
        status = keras_check_arguments(object, "max_value negative_slope threshold", base, r->why);
        return status == TL_OK ? read_relu_layer(r, object) : status;
    }
    if (strcmp(object->class_name, "Softmax") == 0) {
        keras_axes axes = {.given = false};
        status = keras_check_arguments(object, "axis", base, r->why);
        if (status == TL_OK)
            status = keras_axes_read(object, "axis", &axes, r->why);
        if (status == TL_OK && axes.given && (axes.count != 1 || (axes.axes[0] != -1 && axes.axes[0] != 2)))
            return sepconv_fail(r->why, TL_UNSUPPORTED, "SeparableConv1D has Softmax over the last axis alone");
        return status == TL_OK ? set_activation(r, "softmax", NULL) : status;
    }
    if (strcmp(object->class_name, "Activation") == 0) {
        status = keras_check_arguments(object, "activation", base, r->why);
        if (status == TL_OK)
            status = keras_text(object, "activation", "linear", &name, r->why);
        return status == TL_OK ? read_function(r, name) : status;
    }
    return unknown_activation(r, object->class_name);
}

static tl_status read_activation(const reader *r)
{
    keras_object object;
    tl_status status = keras_object_read(find(r, "activation"), r->layer->version, &object, r->why);
    if (status == TL_OK && object.class_name == NULL)
        status = set_activation(r, "linear", NULL);
    else if (status == TL_OK && object.config != NULL)
        status = read_activation_layer(r, &object);
    else if (status == TL_OK)
        status = read_function(r, object.class_name);
    return blame(r, status, "activation");
}

/* ---- Initializers, constraints, regularizers */

static tl_status read_parts(const reader *r)
{
    char argument[40];
    keras_object object;
    tl_status status = TL_OK;
    for (int k = 0; k < KERAS_PENALTIES && status == TL_OK; k++) {
        snprintf(argument, sizeof argument, "%s_regularizer", keras_parts[k]);
        status = keras_object_read(find(r, argument), r->layer->version, &object, r->why);
        if (status == TL_OK)
            status = keras_regularizer_read(&object, &r->layer->regularizers[k], r->why);
        if (status != TL_OK || k == KERAS_ACTIVITY)
            break;
        snprintf(argument, sizeof argument, "%s_constraint", keras_parts[k]);
        status = keras_object_read(find(r, argument), r->layer->version, &object, r->why);
        if (status == TL_OK)
            status = keras_constraint_read(&object, &r->layer->constraints[k], r->why);
        if (status != TL_OK)
            break;
        snprintf(argument, sizeof argument, "%s_initializer", keras_parts[k]);
        const cJSON *item = find(r, argument);
        status = keras_object_read(item, r->layer->version, &object, r->why);
        if (item == NULL) /* the constructor's default; null is another one */
            object.class_name = k == KERAS_BIAS ? "zeros" : "glorot_uniform";
        if (status == TL_OK)
            status = keras_initializer_read(&object, &r->layer->initializers[k], r->why);
    }
    return blame(r, status, argument);
}

/* ---- The input's shape, where the configuration has one */

static tl_status read_shape(const reader *r, const cJSON *shape)
{
    char text[64];
    const bool last = r->layer->layout == TLK_CHANNELS_LAST;
    if (shape == NULL || cJSON_IsNull(shape))
        return TL_OK;
    if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) != 3)
        return sepconv_fail(r->why, TL_INVALID_INPUT, "the input shape is %s, must be a list of three",
                            keras_quote(shape, text));
    const cJSON *channels = cJSON_GetArrayItem(shape, last ? 2 : 1), *length = cJSON_GetArrayItem(shape, last ? 1 : 2);
    if (!keras_is_integer(channels, &r->layer->channels) || r->layer->channels < 1)
        return sepconv_fail(r->why, TL_INVALID_INPUT, "the input shape has %s channels, must be a number",
                            keras_quote(channels, text));
    if (!cJSON_IsNull(length) && (!keras_is_integer(length, &r->layer->length) || r->layer->length < 1))
        return sepconv_fail(r->why, TL_INVALID_INPUT, "the input shape has length %s, must be a number or null",
                            keras_quote(length, text));
    return TL_OK;
}

/* ---- The whole */

static tl_status unwrap(reader *r, const cJSON *document, const cJSON **built)
{
    char text[64];
    const cJSON *class_name = cJSON_GetObjectItemCaseSensitive(document, "class_name");
    r->config = document;
    *built = NULL;
    if (class_name != NULL) {
        if (!cJSON_IsString(class_name) ||
            !keras_is_one_of(class_name->valuestring, "SeparableConv1D SeparableConvolution1D"))
            return sepconv_fail(r->why, TL_INVALID_INPUT, "this is the configuration of %s, not of SeparableConv1D",
                                keras_quote(class_name, text));
        const cJSON *build = cJSON_GetObjectItemCaseSensitive(document, "build_config");
        r->config = cJSON_GetObjectItemCaseSensitive(document, "config");
        *built = cJSON_IsObject(build) ? cJSON_GetObjectItemCaseSensitive(build, "input_shape") : NULL;
    }
    if (!cJSON_IsObject(r->config))
        return sepconv_fail(r->why, TL_INVALID_INPUT, "this is no configuration: %s instead of an object",
                            keras_quote(r->config, text));
    return TL_OK;
}

tl_status keras_layer_read(const cJSON *document, int version, keras_layer *layer, sepconv_text *why)
{
    reader r = {.layer = layer, .why = why};
    const cJSON *built = NULL;
    *layer = (keras_layer){.version = version};
    tl_status status = unwrap(&r, document, &built);
    if (status != TL_OK)
        return status;
    if (version == 0)
        layer->version = find_version(&r);
    const keras_object all = {.version = layer->version, .class_name = "SeparableConv1D", .config = r.config};
    status = keras_check_arguments(&all, ARGUMENTS, layer->version == KERAS_2 ? ARGUMENTS_2 : "", why);
    if (status == TL_OK)
        status = read_numbers(&r);
    if (status == TL_OK)
        status = read_words(&r);
    if (status == TL_OK)
        status = read_dtype(&r);
    if (status == TL_OK)
        status = read_activation(&r);
    if (status == TL_OK)
        status = read_parts(&r);
    if (status == TL_OK)
        status = read_shape(&r, find(&r, "batch_input_shape"));
    return status == TL_OK ? read_shape(&r, built) : status;
}

keras_shape keras_weight_shape(const keras_layer *layer, int weight, int64_t channels)
{
    switch (weight) {
    case KERAS_DEPTHWISE:
        return (keras_shape){3, {layer->kernel_size, channels, layer->depth_multiplier}};
    case KERAS_POINTWISE:
        return (keras_shape){3, {1, channels * layer->depth_multiplier, layer->filters}};
    default:
        return (keras_shape){1, {layer->filters}};
    }
}

tl_status keras_check_input(const keras_layer *layer, int64_t channels, int64_t length, sepconv_text *why)
{
    int64_t depthwise = 0, extent = 0;
    if (__builtin_mul_overflow(channels, layer->depth_multiplier, &depthwise) ||
        __builtin_mul_overflow(layer->dilation_rate, layer->kernel_size - 1, &extent))
        return sepconv_fail(why, TL_NO_MEMORY, "the layer's sizes overflow");
    if (layer->padding == SEPCONV_VALID && length > 0 && length <= extent)
        return sepconv_fail(why, TL_INVALID_INPUT,
                            "with padding 'valid' the length must be at least %lld, the extent of the kernel; it is "
                            "%lld, and the output would have no step",
                            (long long)extent + 1, (long long)length);
    return TL_OK;
}
