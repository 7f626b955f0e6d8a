/* The rule that takes PReLU, a residual and an activation behind a SeparableConv1D into the private form. */
#include <string.h>
#include "separable_conv1d/match.h"
#include "separable_conv1d/plugin.h"

/* As many elements in one axis: where the value's shape is (F) or (F, 1) below Y's channels, as they lie. */
static bool is_slope(const tl_host *host, const tl_value *slope, const tl_tensor *y, int32_t channel_axis)
{
    const tl_tensor *tensor = host->value_tensor(slope);
    if (!host->value_is_constant(slope) || tensor->type != y->type || tensor->rank < 0 || tensor->rank > y->rank)
        return false;
    for (int32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] != 1 &&
            (i + y->rank - tensor->rank != channel_axis || tensor->dims[i] != y->dims[channel_axis]))
            return false;
    return true;
}

/* Every dimension is the same number or symbol. */
static bool is_same_shape(const tl_tensor *a, const tl_tensor *b)
{
    bool same = a->type == b->type && a->rank == b->rank && a->rank >= 0;
    for (int32_t i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i] && a->dims[i] != TL_DIM_UNKNOWN;
    return same;
}

static tl_value *flat_slope(const tl_host *host, tl_rewrite *rewrite, tl_value *slope)
{
    if (host->value_data(slope) == NULL)
        return NULL;
    tl_tensor flat = *host->value_tensor(slope);
    int64_t count = 1;
    for (int32_t i = 0; i < flat.rank; i++)
        count *= flat.dims[i];
    flat.rank = 1;
    flat.dims[0] = count;
    return host->new_constant(rewrite, "slope", &flat);
}

static const char *activation_name(const tl_host *host, const tl_node *node)
{
    return sepconv_is(host, node, "Relu")      ? "relu"
           : sepconv_is(host, node, "Sigmoid") ? "sigmoid"
           : sepconv_is(host, node, "Tanh")    ? "tanh"
                                               : NULL;
}

static tl_status apply(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    sepconv_params params;
    sepconv_text why;
    tl_value *y = host->node_output(node, 0), *slope = NULL, *residual = NULL;
    const char *last = NULL;
    const tl_tensor shape = *host->value_tensor(y);
    if (sepconv_read(host, node, &params, &why) != TL_OK || params.activation.over != SEPCONV_ELEMENT ||
        (shape.type != TL_FLOAT && shape.type != TL_DOUBLE) || shape.rank != 3)
        return TL_OK;
    const tl_node *user = sepconv_only_user(host, y);
    if (user != NULL && sepconv_is(host, user, "PRelu") && host->node_descriptor(user)->since_version >= 7 &&
        host->node_input(user, 0) == y &&
        is_slope(host, host->node_input(user, 1), &shape, params.layout == TLK_CHANNELS_LAST ? 2 : 1)) {
        slope = host->node_input(user, 1);
        y = host->node_output(user, 0);
        user = sepconv_only_user(host, y);
    }
    const int other = user != NULL && sepconv_is(host, user, "Add") && host->node_descriptor(user)->since_version >= 7
                          ? sepconv_other_input(host, user, y)
                          : -1;
    if (other >= 0 && is_same_shape(&shape, host->value_tensor(host->node_input(user, (size_t)other)))) {
        residual = host->node_input(user, (size_t)other);
        y = host->node_output(user, 0);
        user = sepconv_only_user(host, y);
    }
    if (user != NULL && (slope != NULL || residual != NULL) && (last = activation_name(host, user)) != NULL)
        y = host->node_output(user, 0);
    if (slope == NULL && residual == NULL)
        return TL_OK;
    if (slope != NULL && (slope = flat_slope(host, rewrite, slope)) == NULL)
        return TL_NO_MEMORY;
    tl_value *inputs[SEPCONV_FUSED_INPUTS] = {NULL};
    for (size_t k = 0; k < SEPCONV_INPUTS; k++)
        inputs[k] = host->node_input(node, k);
    inputs[SEPCONV_SLOPE] = slope;
    inputs[SEPCONV_RESIDUAL] = residual;
    tl_node *made = host->new_node(rewrite, SEPCONV_INTERNAL, SEPCONV_NAME, host->node_name(node), inputs,
                                   SEPCONV_FUSED_INPUTS, &y, 1);
    if (made == NULL)
        return TL_OK;
    host->copy_attributes(rewrite, made, node);
    if (last != NULL)
        host->set_string(rewrite, made, "last", last);
    return host->commit(rewrite);
}

const tl_rule sepconv_finish_rule = {
    .size = sizeof(tl_rule),
    .name = "separable_conv1d.finish",
    .phase = TL_PHASE_PLUGIN, /* before the standard's rules take what stands behind it for something else */
    .anchor_domain = SEPCONV_DOMAIN,
    .anchor_name = SEPCONV_NAME,
    .apply = apply,
};
