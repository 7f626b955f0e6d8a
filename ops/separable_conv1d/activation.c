/* The table of activations: tf_keras 2's definitions where it has them. */
#include <string.h>
#include "separable_conv1d/separable_conv1d.h"

#define ELEMENT(NAME, KIND, A, B)                                        \
    {                                                                    \
        .name = NAME, .over = SEPCONV_ELEMENT, .element = { KIND, A, B } \
    }

/* Selu's constants: Klambauer et al., Self-Normalizing Neural Networks, 2017. */
static const sepconv_activation activations[] = {
    ELEMENT("linear", TLK_LINEAR, 0, 0),
    ELEMENT("relu", TLK_RELU, 0, 0),
    ELEMENT("relu6", TLK_CLIP, 0, 6),
    {.name = "leaky_relu", .has_alpha = true, .element = {TLK_LEAKY_RELU, 0.2, 0}},
    {.name = "elu", .has_alpha = true, .element = {TLK_ELU, 1, 0}},
    ELEMENT("selu", TLK_SELU, 1.6732632423543772848, 1.0507009873554804934),
    ELEMENT("exponential", TLK_EXPONENTIAL, 0, 0),
    ELEMENT("gelu", TLK_GELU, 0, 0),
    ELEMENT("gelu_tanh", TLK_GELU_TANH, 0, 0),
    ELEMENT("hard_sigmoid", TLK_HARD_SIGMOID, 0.2, 0.5),
    ELEMENT("hard_sigmoid_v3", TLK_HARD_SIGMOID, 1 / 6.0, 0.5),
    ELEMENT("mish", TLK_MISH, 0, 0),
    ELEMENT("sigmoid", TLK_SIGMOID, 0, 0),
    {.name = "softmax", .over = SEPCONV_SOFTMAX},
    {.name = "log_softmax", .over = SEPCONV_LOG_SOFTMAX},
    ELEMENT("softplus", TLK_SOFTPLUS, 0, 0),
    ELEMENT("softsign", TLK_SOFTSIGN, 0, 0),
    ELEMENT("swish", TLK_SWISH, 0, 0),
    ELEMENT("silu", TLK_SWISH, 0, 0),
    ELEMENT("tanh", TLK_TANH, 0, 0),
};

const sepconv_activation *sepconv_activation_find(const char *name, size_t size)
{
    if (size == 0)
        return &activations[0];
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strlen(activations[i].name) == size && memcmp(activations[i].name, name, size) == 0)
            return &activations[i];
    return NULL;
}
