/* Parameters and attributes of SeparableConv1D, and the rules between attributes. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "separable_conv1d/separable_conv1d.h"

const tl_param sepconv_inputs[SEPCONV_INPUTS] = {
    {"X", TL_T_FLOATS, 'T', 0},
    {"depthwise_kernel", TL_T_FLOATS, 'T', 0},
    {"pointwise_kernel", TL_T_FLOATS, 'T', 0},
    {"bias", TL_T_FLOATS, 'T', TL_PARAM_OPTIONAL},
};
const tl_param sepconv_fused_inputs[SEPCONV_FUSED_INPUTS] = {
    {"X", TL_T_FLOATS, 'T', 0},
    {"depthwise_kernel", TL_T_FLOATS, 'T', 0},
    {"pointwise_kernel", TL_T_FLOATS, 'T', 0},
    {"bias", TL_T_FLOATS, 'T', TL_PARAM_OPTIONAL},
    {"slope", TL_T_FLOATS, 'T', TL_PARAM_OPTIONAL},
    {"residual", TL_T_FLOATS, 'T', TL_PARAM_OPTIONAL},
};
const tl_param sepconv_outputs[1] = {{"Y", TL_T_FLOATS, 'T', 0}};

const tl_attribute_spec sepconv_attribute_specs[SEPCONV_FUSED_ATTRIBUTES] = {
    {.name = "padding", .kind = TL_ATTR_STRING, .s = "valid"},
    {.name = "strides", .kind = TL_ATTR_INT, .i = 1},
    {.name = "dilation_rate", .kind = TL_ATTR_INT, .i = 1},
    {.name = "data_format", .kind = TL_ATTR_STRING, .s = "channels_last"},
    {.name = "depth_multiplier", .kind = TL_ATTR_INT, .i = 1},
    {.name = "filters", .kind = TL_ATTR_INT},
    {.name = "kernel_size", .kind = TL_ATTR_INT},
    {.name = "use_bias", .kind = TL_ATTR_INT},
    {.name = "activation", .kind = TL_ATTR_STRING, .s = "linear"},
    {.name = "activation_alpha", .kind = TL_ATTR_FLOAT},
    {.name = "last", .kind = TL_ATTR_STRING, .s = "linear"},
};

static const char *const padding_names[] = {
    [SEPCONV_VALID] = "valid", [SEPCONV_SAME] = "same", [SEPCONV_CAUSAL] = "causal"};
static const char *const layout_names[] = {
    [TLK_CHANNELS_FIRST] = "channels_first", [TLK_CHANNELS_LAST] = "channels_last"};

const char *sepconv_padding_name(sepconv_padding padding)
{
    return padding_names[padding];
}

const char *sepconv_layout_name(tlk_layout layout)
{
    return layout_names[layout];
}

tl_status sepconv_fail(sepconv_text *why, tl_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->line, sizeof why->line, format, arguments);
    va_end(arguments);
    return status;
}

/* Not tolower(): the standard's strings are UTF-8, and no locale may change what a model means. */
static bool equal_any_case(tl_string text, const char *name)
{
    if (text.size != strlen(name))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        const char c = text.data[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c) != name[i])
            return false;
    }
    return true;
}

static int find_any_case(tl_string text, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (equal_any_case(text, names[i]))
            return i;
    return -1;
}

/* Text from a file, cut short and with every byte that a terminal could mind replaced. */
static const char *quote(tl_string text, char buffer[48])
{
    size_t n = 0;
    for (; n < text.size && n < 40; n++) {
        const unsigned char c = (unsigned char)text.data[n];
        buffer[n] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    memcpy(buffer + n, n < text.size ? "..." : "", n < text.size ? 4 : 1);
    return buffer;
}

static tl_status check_at_least_one(const char *name, int64_t value, sepconv_text *why)
{
    if (value >= 1)
        return TL_OK;
    return sepconv_fail(why, TL_INVALID_MODEL, "attribute '%s' is %lld, must be at least 1", name, (long long)value);
}

static tl_status parse_activation(const sepconv_attributes *given, sepconv_params *params, sepconv_text *why)
{
    char text[48];
    const sepconv_activation *activation = sepconv_activation_find(given->activation.data, given->activation.size);
    if (activation == NULL)
        return sepconv_fail(why, TL_INVALID_MODEL, "attribute 'activation' is '%s', must be one of %s",
                            quote(given->activation, text), SEPCONV_ACTIVATIONS);
    params->activation = *activation;
    if (!given->has_alpha)
        return TL_OK;
    if (!activation->has_alpha)
        return sepconv_fail(why, TL_INVALID_MODEL,
                            "attribute 'activation_alpha' is %g with activation '%s', allowed only with elu and "
                            "leaky_relu",
                            (double)given->activation_alpha, activation->name);
    params->activation.element.a = given->activation_alpha;
    return TL_OK;
}

sepconv_attributes sepconv_attributes_default(void)
{
    return (sepconv_attributes){.padding = {"valid", 5},
                                .data_format = {"channels_last", 13},
                                .activation = {"linear", 6},
                                .strides = 1,
                                .dilation_rate = 1,
                                .depth_multiplier = 1};
}

tl_status sepconv_parse(const sepconv_attributes *given, sepconv_params *params, sepconv_text *why)
{
    char text[48];
    *params = (sepconv_params){.use_bias = -1};
    const int padding = find_any_case(given->padding, padding_names, 3);
    if (padding < 0)
        return sepconv_fail(why, TL_INVALID_MODEL, "attribute 'padding' is '%s', must be valid, same or causal",
                            quote(given->padding, text));
    const int layout = find_any_case(given->data_format, layout_names, 2);
    if (layout < 0)
        return sepconv_fail(why, TL_INVALID_MODEL,
                            "attribute 'data_format' is '%s', must be channels_last or channels_first",
                            quote(given->data_format, text));
    params->padding = (sepconv_padding)padding;
    params->layout = (tlk_layout)layout;

    tl_status status = check_at_least_one("strides", given->strides, why);
    if (status == TL_OK)
        status = check_at_least_one("dilation_rate", given->dilation_rate, why);
    if (status == TL_OK)
        status = check_at_least_one("depth_multiplier", given->depth_multiplier, why);
    if (status == TL_OK && given->has_filters)
        status = check_at_least_one("filters", given->filters, why);
    if (status == TL_OK && given->has_kernel_size)
        status = check_at_least_one("kernel_size", given->kernel_size, why);
    if (status != TL_OK)
        return status;
    if (given->strides > 1 && given->dilation_rate > 1)
        return sepconv_fail(why, TL_INVALID_MODEL,
                            "attribute 'strides' is %lld and 'dilation_rate' is %lld, at most one of them may be "
                            "above 1",
                            (long long)given->strides, (long long)given->dilation_rate);
    if (given->has_use_bias && given->use_bias != 0 && given->use_bias != 1)
        return sepconv_fail(why, TL_INVALID_MODEL, "attribute 'use_bias' is %lld, must be 0 or 1",
                            (long long)given->use_bias);
    params->strides = given->strides;
    params->dilation_rate = given->dilation_rate;
    params->depth_multiplier = given->depth_multiplier;
    params->filters = given->has_filters ? given->filters : 0;
    params->kernel_size = given->has_kernel_size ? given->kernel_size : 0;
    params->use_bias = given->has_use_bias ? (int)given->use_bias : -1;
    return parse_activation(given, params, why);
}

static tl_string read_string(const tl_host *host, const tl_node *node, const char *name)
{
    tl_string text = {NULL, 0};
    text.data = host->attribute_string(node, name, &text.size);
    return text;
}

tl_status sepconv_read(const tl_host *host, const tl_node *node, sepconv_params *params, sepconv_text *why)
{
    const sepconv_attributes given = {
        .padding = read_string(host, node, "padding"),
        .data_format = read_string(host, node, "data_format"),
        .activation = read_string(host, node, "activation"),
        .strides = host->attribute_int(node, "strides"),
        .dilation_rate = host->attribute_int(node, "dilation_rate"),
        .depth_multiplier = host->attribute_int(node, "depth_multiplier"),
        .has_filters = host->attribute_given(node, "filters"),
        .has_kernel_size = host->attribute_given(node, "kernel_size"),
        .has_use_bias = host->attribute_given(node, "use_bias"),
        .has_alpha = host->attribute_given(node, "activation_alpha"),
        .filters = host->attribute_int(node, "filters"),
        .kernel_size = host->attribute_int(node, "kernel_size"),
        .use_bias = host->attribute_int(node, "use_bias"),
        .activation_alpha = host->attribute_float(node, "activation_alpha"),
    };
    return sepconv_parse(&given, params, why);
}
