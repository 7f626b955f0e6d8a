/* SeparableConv1D in the standard's operators: a grouped Conv, a 1x1 Conv, the activation, and Transposes around them
 * for channels_last. */
#include <string.h>
#include "separable_conv1d/build.h"
#include "separable_conv1d/plugin.h"

/* What the parts of one decomposition share. */
typedef struct sepconv_lowering {
    sepconv_builder builder;
    sepconv_params params;
    sepconv_shape shape;
    bool cast; /* bfloat16 came to Conv with opset 22: before it, the work is done in float */
    tl_value *inputs[SEPCONV_INPUTS];
} sepconv_lowering;

static tl_status read_node(sepconv_lowering *lowering, const tl_node *node)
{
    const tl_host *host = lowering->builder.host;
    const tl_tensor *tensors[SEPCONV_INPUTS];
    sepconv_text why = {""};
    const size_t count = host->node_input_count(node);
    for (size_t k = 0; k < SEPCONV_INPUTS; k++) {
        lowering->inputs[k] = k < count ? host->node_input(node, k) : NULL;
        tensors[k] = lowering->inputs[k] != NULL ? host->value_tensor(lowering->inputs[k]) : NULL;
    }
    tl_status status = sepconv_read(host, node, &lowering->params, &why);
    if (status == TL_OK)
        status = sepconv_shape_find(&lowering->params, tensors, TL_INVALID_MODEL, &lowering->shape, &why);
    if (status != TL_OK)
        return host->refuse(lowering->builder.rewrite, status, "%s", why.line);
    if (lowering->shape.channels < 0)
        return host->refuse(lowering->builder.rewrite, TL_UNSUPPORTED,
                            "Conv's attribute group is the number of channels, which is not known ahead of the run");
    if (tensors[SEPCONV_X]->type == TL_BFLOAT16 && lowering->builder.opset < 22) {
        if (lowering->builder.opset < 13)
            return host->refuse(lowering->builder.rewrite, TL_UNSUPPORTED,
                                "the model imports opset %d, and bfloat16 needs 13, which has a Cast from it",
                                lowering->builder.opset);
        lowering->cast = true;
        lowering->builder.type = TL_FLOAT;
    }
    return TL_OK;
}

static void cast_inputs(sepconv_lowering *lowering)
{
    for (size_t k = 0; k < SEPCONV_INPUTS && lowering->cast; k++)
        if (lowering->inputs[k] != NULL)
            lowering->inputs[k] = sepconv_cast(&lowering->builder, lowering->inputs[k], TL_FLOAT, NULL);
}

/* Pads are numbers wherever they can be; else the Conv finds them by the same rule when it knows the length. */
static tl_status set_padding(const sepconv_lowering *lowering, tl_node *conv)
{
    const tl_host *host = lowering->builder.host;
    const int64_t pads[] = {lowering->shape.left, lowering->shape.right};
    if (pads[0] >= 0 && pads[1] >= 0)
        return host->set_ints(lowering->builder.rewrite, conv, "pads", pads, 2);
    if (lowering->params.padding == SEPCONV_SAME)
        return host->set_string(lowering->builder.rewrite, conv, "auto_pad", "SAME_UPPER");
    return host->refuse(lowering->builder.rewrite, TL_UNSUPPORTED,
                        "Conv's attribute pads depends on the size of the depthwise kernel, which is computed during "
                        "the run");
}

static tl_value *add_depthwise(const sepconv_lowering *lowering, tl_value *x)
{
    const sepconv_builder *builder = &lowering->builder;
    const tl_host *host = builder->host;
    tl_value *inputs[] = {x, lowering->inputs[SEPCONV_DEPTHWISE]};
    tl_node *conv = sepconv_add_node(builder, "Conv", "depthwise", inputs, 2, 2, NULL);
    if (conv == NULL)
        return NULL;
    tl_status status = host->set_int(builder->rewrite, conv, "group", lowering->shape.channels);
    if (status == TL_OK)
        status = host->set_ints(builder->rewrite, conv, "strides", &lowering->params.strides, 1);
    if (status == TL_OK)
        status = host->set_ints(builder->rewrite, conv, "dilations", &lowering->params.dilation_rate, 1);
    if (status == TL_OK && lowering->shape.kernel_size >= 0)
        status = host->set_ints(builder->rewrite, conv, "kernel_shape", &lowering->shape.kernel_size, 1);
    if (status == TL_OK)
        status = set_padding(lowering, conv);
    return status == TL_OK ? sepconv_result(builder, conv) : NULL;
}

static tl_value *add_pointwise(const sepconv_lowering *lowering, tl_value *middle, tl_value *output)
{
    static const int64_t one = 1;
    const sepconv_builder *builder = &lowering->builder;
    tl_value *inputs[] = {middle, lowering->inputs[SEPCONV_POINTWISE], lowering->inputs[SEPCONV_BIAS]};
    tl_node *conv = sepconv_add_node(builder, "Conv", "pointwise", inputs, 2, 3, output);
    if (conv == NULL || builder->host->set_ints(builder->rewrite, conv, "kernel_shape", &one, 1) != TL_OK)
        return NULL;
    return sepconv_result(builder, conv);
}

static tl_value *add_softmax(const sepconv_lowering *lowering, tl_value *x, tl_value *output)
{
    const sepconv_builder *builder = &lowering->builder;
    const char *op = lowering->params.activation.over == SEPCONV_SOFTMAX ? "Softmax" : "LogSoftmax";
    tl_node *node = sepconv_add_node(builder, op, op, &x, 1, 1, output);
    if (node == NULL || builder->host->set_int(builder->rewrite, node, "axis", 2) != TL_OK)
        return NULL;
    return sepconv_result(builder, node);
}

tl_status sepconv_decompose(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    sepconv_lowering lowering = {.cast = false};
    sepconv_builder_init(&lowering.builder, host, rewrite, node);
    const tl_status status = read_node(&lowering, node);
    if (status != TL_OK)
        return status;
    const sepconv_builder *builder = &lowering.builder;
    const sepconv_activation *activation = &lowering.params.activation;
    const bool last = lowering.params.layout == TLK_CHANNELS_LAST;
    const bool element = activation->over == SEPCONV_ELEMENT && activation->element.kind != TLK_LINEAR;
    const bool softmax = activation->over != SEPCONV_ELEMENT;
    /* Whichever step is the last takes over the node's output. */
    tl_value *output = host->node_output(node, 0);
    tl_value *after_softmax = lowering.cast ? NULL : output;
    tl_value *after_transpose = softmax ? NULL : after_softmax;
    tl_value *after_element = last ? NULL : after_transpose;

    cast_inputs(&lowering);
    tl_value *x = lowering.inputs[SEPCONV_X];
    if (last)
        x = sepconv_transpose(builder, x, NULL);
    x = add_depthwise(&lowering, x);
    x = add_pointwise(&lowering, x, element ? NULL : after_element);
    if (element)
        x = sepconv_expand_activation(builder, &activation->element, x, after_element);
    if (last)
        x = sepconv_transpose(builder, x, after_transpose);
    if (softmax)
        x = add_softmax(&lowering, x, after_softmax);
    if (lowering.cast)
        x = sepconv_cast(builder, x, TL_BFLOAT16, output);
    return x != NULL ? host->commit(rewrite) : TL_UNSUPPORTED;
}
