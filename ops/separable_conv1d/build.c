/* Nodes, constants and activations for decomposition and recognition. */
#include <stdio.h>
#include "separable_conv1d/build.h"

double sepconv_get_element(const tl_tensor *tensor, int64_t i)
{
    float wide = 0;
    switch (tensor->type) {
    case TL_DOUBLE:
        return ((const double *)tensor->data)[i];
    case TL_FLOAT16:
        tlk_get()->f16_to_f32((const uint16_t *)tensor->data + i, &wide, 1);
        return (double)wide;
    case TL_BFLOAT16:
        tlk_get()->bf16_to_f32((const uint16_t *)tensor->data + i, &wide, 1);
        return (double)wide;
    default:
        return (double)((const float *)tensor->data)[i];
    }
}

void sepconv_set_element(tl_tensor *tensor, int64_t i, double value)
{
    const float rounded = (float)value;
    switch (tensor->type) {
    case TL_DOUBLE:
        ((double *)tensor->data)[i] = value;
        break;
    case TL_FLOAT16:
        tlk_get()->f32_to_f16(&rounded, (uint16_t *)tensor->data + i, 1);
        break;
    case TL_BFLOAT16:
        tlk_get()->f32_to_bf16(&rounded, (uint16_t *)tensor->data + i, 1);
        break;
    default:
        ((float *)tensor->data)[i] = rounded;
        break;
    }
}

void sepconv_builder_init(sepconv_builder *builder, const tl_host *host, tl_rewrite *rewrite, const tl_node *node)
{
    const int32_t opset = host->domain_version(rewrite, "");
    const char *name = host->node_name(node);
    const tl_value *x = host->node_input(node, 0);
    *builder = (sepconv_builder){
        .host = host,
        .rewrite = rewrite,
        .name = name != NULL && name[0] != '\0' ? name : SEPCONV_NAME,
        .type = x != NULL ? host->value_tensor(x)->type : TL_UNDEFINED,
        .opset = opset > 0 ? opset : 18,
    };
}

tl_node *sepconv_add_node(const sepconv_builder *builder, const char *op, const char *suffix, tl_value *const *inputs,
                          size_t required, size_t count, tl_value *output)
{
    char name[256];
    for (size_t k = 0; k < required; k++)
        if (inputs[k] == NULL)
            return NULL;
    while (count > required && inputs[count - 1] == NULL)
        count--;
    snprintf(name, sizeof name, "%.200s/%s", builder->name, suffix);
    return builder->host->new_node(builder->rewrite, "", op, name, inputs, count, &output, 1);
}

tl_value *sepconv_result(const sepconv_builder *builder, const tl_node *node)
{
    return node != NULL ? builder->host->node_output(node, 0) : NULL;
}

tl_value *sepconv_unary(const sepconv_builder *builder, const char *op, tl_value *x, tl_value *output)
{
    return sepconv_result(builder, sepconv_add_node(builder, op, op, &x, 1, 1, output));
}

tl_value *sepconv_binary(const sepconv_builder *builder, const char *op, tl_value *x, tl_value *y, tl_value *output)
{
    tl_value *inputs[] = {x, y};
    return sepconv_result(builder, sepconv_add_node(builder, op, op, inputs, 2, 2, output));
}

tl_value *sepconv_transpose(const sepconv_builder *builder, tl_value *x, tl_value *output)
{
    static const int64_t perm[] = {0, 2, 1};
    tl_node *node = sepconv_add_node(builder, "Transpose", "Transpose", &x, 1, 1, output);
    if (node == NULL || builder->host->set_ints(builder->rewrite, node, "perm", perm, 3) != TL_OK)
        return NULL;
    return sepconv_result(builder, node);
}

tl_value *sepconv_scalar(const sepconv_builder *builder, const char *name, double value)
{
    char full[256];
    double room = 0;
    tl_tensor tensor = {.data = &room, .type = builder->type, .rank = 0};
    sepconv_set_element(&tensor, 0, value);
    snprintf(full, sizeof full, "%.200s/%s", builder->name, name);
    return builder->host->new_constant(builder->rewrite, full, &tensor);
}

tl_value *sepconv_cast(const sepconv_builder *builder, tl_value *x, tl_type to, tl_value *output)
{
    tl_node *node = sepconv_add_node(builder, "Cast", "Cast", &x, 1, 1, output);
    if (node == NULL || builder->host->set_int(builder->rewrite, node, "to", to) != TL_OK)
        return NULL;
    return sepconv_result(builder, node);
}

/* ---- Activations ------------------------------------------------------------------------------------------------- */

/* A unary operator with float attributes. */
static tl_value *with_floats(const sepconv_builder *builder, const char *op, tl_value *x, const char *first,
                             double first_value, const char *second, double second_value, tl_value *output)
{
    const tl_host *host = builder->host;
    tl_node *node = sepconv_add_node(builder, op, op, &x, 1, 1, output);
    if (node == NULL || host->set_float(builder->rewrite, node, first, (float)first_value) != TL_OK ||
        (second != NULL && host->set_float(builder->rewrite, node, second, (float)second_value) != TL_OK))
        return NULL;
    return sepconv_result(builder, node);
}

/* x op scalar. Before opset 7 operators broadcast only when told to. */
static tl_value *with_scalar(const sepconv_builder *builder, const char *op, tl_value *x, const char *name,
                             double value)
{
    tl_value *inputs[] = {x, sepconv_scalar(builder, name, value)};
    tl_node *node = sepconv_add_node(builder, op, op, inputs, 2, 2, NULL);
    if (node == NULL || (builder->opset < 7 && builder->host->set_int(builder->rewrite, node, "broadcast", 1) != TL_OK))
        return NULL;
    return sepconv_result(builder, node);
}

static tl_value *clip(const sepconv_builder *builder, tl_value *x, double low, double high, tl_value *output)
{
    if (builder->opset < 11)
        return with_floats(builder, "Clip", x, "min", low, "max", high, output);
    tl_value *inputs[] = {x, sepconv_scalar(builder, "min", low), sepconv_scalar(builder, "max", high)};
    return sepconv_result(builder, sepconv_add_node(builder, "Clip", "Clip", inputs, 3, 3, output));
}

/* x/2 * (1 + inner) */
static tl_value *half_times_one_plus(const sepconv_builder *builder, tl_value *x, tl_value *inner, tl_value *output)
{
    tl_value *sum = with_scalar(builder, "Add", inner, "one", 1);
    tl_value *half = with_scalar(builder, "Mul", x, "half", 0.5);
    return sepconv_binary(builder, "Mul", half, sum, output);
}

static tl_value *gelu(const sepconv_builder *builder, bool by_tanh, tl_value *x, tl_value *output)
{
    if (builder->opset >= 20) {
        tl_node *node = sepconv_add_node(builder, "Gelu", "Gelu", &x, 1, 1, output);
        if (node == NULL ||
            builder->host->set_string(builder->rewrite, node, "approximate", by_tanh ? "tanh" : "none") != TL_OK)
            return NULL;
        return sepconv_result(builder, node);
    }
    if (!by_tanh) {
        if (builder->opset < 9) {
            builder->host->refuse(builder->rewrite, TL_UNSUPPORTED,
                                  "the model imports opset %d, and gelu needs 9, which has Erf", builder->opset);
            return NULL;
        }
        tl_value *scaled = with_scalar(builder, "Mul", x, "sqrt_half", 0.70710678118654752440);
        return half_times_one_plus(builder, x, sepconv_unary(builder, "Erf", scaled, NULL), output);
    }
    tl_value *square = sepconv_binary(builder, "Mul", x, x, NULL);
    tl_value *cube = sepconv_binary(builder, "Mul", square, x, NULL);
    tl_value *small = with_scalar(builder, "Mul", cube, "cubic", 0.044715);
    tl_value *sum = sepconv_binary(builder, "Add", x, small, NULL);
    tl_value *scaled = with_scalar(builder, "Mul", sum, "sqrt_2_pi", 0.79788456080286535588);
    return half_times_one_plus(builder, x, sepconv_unary(builder, "Tanh", scaled, NULL), output);
}

tl_value *sepconv_expand_activation(const sepconv_builder *builder, const tlk_activation *activation, tl_value *x,
                                    tl_value *output)
{
    const double a = (double)activation->a;
    const double b = (double)activation->b;
    switch (activation->kind) {
    case TLK_RELU:
        return sepconv_unary(builder, "Relu", x, output);
    case TLK_CLIP:
        return clip(builder, x, a, b, output);
    case TLK_LEAKY_RELU:
        return with_floats(builder, "LeakyRelu", x, "alpha", a, NULL, 0, output);
    case TLK_HARD_SIGMOID:
        return with_floats(builder, "HardSigmoid", x, "alpha", a, "beta", b, output);
    case TLK_ELU:
        return with_floats(builder, "Elu", x, "alpha", a, NULL, 0, output);
    case TLK_SELU:
        return with_floats(builder, "Selu", x, "alpha", a, "gamma", b, output);
    case TLK_EXPONENTIAL:
        return sepconv_unary(builder, "Exp", x, output);
    case TLK_GELU:
        return gelu(builder, false, x, output);
    case TLK_GELU_TANH:
        return gelu(builder, true, x, output);
    case TLK_MISH: {
        tl_value *inner = sepconv_unary(builder, "Tanh", sepconv_unary(builder, "Softplus", x, NULL), NULL);
        return sepconv_binary(builder, "Mul", x, inner, output);
    }
    case TLK_SIGMOID:
        return sepconv_unary(builder, "Sigmoid", x, output);
    case TLK_SOFTPLUS:
        return sepconv_unary(builder, "Softplus", x, output);
    case TLK_SOFTSIGN:
        return sepconv_unary(builder, "Softsign", x, output);
    case TLK_SWISH:
        return sepconv_binary(builder, "Mul", x, sepconv_unary(builder, "Sigmoid", x, NULL), output);
    case TLK_TANH:
        return sepconv_unary(builder, "Tanh", x, output);
    default:
        return NULL;
    }
}
