/* A Transpose that swaps time and channels, on its way through the operator: the same in the other data_format. */
#include <string.h>
#include "separable_conv1d/match.h"
#include "separable_conv1d/plugin.h"

/* Every activation but a softmax, which runs over the last axis, does the same in both. */
static bool has_both_layouts(const tl_host *host, const tl_node *node, sepconv_params *params)
{
    sepconv_text why;
    return sepconv_read(host, node, params, &why) == TL_OK && params->activation.over == SEPCONV_ELEMENT;
}

static bool swaps(const tl_host *host, const tl_node *transpose)
{
    static const int64_t swap[] = {0, 2, 1};
    size_t count = 0;
    const int64_t *perm = host->attribute_ints(transpose, "perm", &count);
    return count == 3 && memcmp(perm, swap, sizeof swap) == 0;
}

/* Behind the value, and operators that let it through, comes the Transpose back. A single one is better left in front:
 * there are often fewer channels there. */
static bool will_cancel(const tl_host *host, const tl_value *value)
{
    sepconv_params params;
    for (int steps = 0; steps < MOST_STEPS; steps++) {
        const tl_node *node = sepconv_only_user(host, value);
        if (node == NULL || host->node_output_count(node) != 1)
            return false;
        if (sepconv_is(host, node, "Transpose"))
            return swaps(host, node);
        const tl_operator *op = host->node_descriptor(node);
        const bool passes = op->permute == sepconv_permute
                                ? host->node_input(node, 0) == value && has_both_layouts(host, node, &params)
                                : (op->flags & TL_OP_ELEMENTWISE) != 0;
        if (!passes)
            return false;
        value = host->node_output(node, 0);
    }
    return false;
}

tl_node *sepconv_permute(const tl_host *host, tl_rewrite *rewrite, const tl_node *node, tl_value *const *inputs,
                         const int32_t *perm, int32_t rank, int32_t *output_perm)
{
    static const int32_t swap[] = {0, 2, 1};
    sepconv_params params;
    const size_t count = host->node_input_count(node);
    if (rank != 3 || memcmp(perm, swap, sizeof swap) != 0 || !has_both_layouts(host, node, &params) ||
        !will_cancel(host, host->node_output(node, 0)))
        return NULL;
    for (size_t k = 0; k < count; k++) /* of X alone */
        if ((inputs[k] == host->node_input(node, k)) == (k == 0))
            return NULL;
    tl_node *made =
        host->new_node(rewrite, SEPCONV_DOMAIN, SEPCONV_NAME, host->node_name(node), inputs, count, NULL, 1);
    const tlk_layout other = params.layout == TLK_CHANNELS_LAST ? TLK_CHANNELS_FIRST : TLK_CHANNELS_LAST;
    if (made == NULL || host->copy_attributes(rewrite, made, node) != TL_OK ||
        host->set_string(rewrite, made, "data_format", sepconv_layout_name(other)) != TL_OK)
        return NULL;
    memcpy(output_perm, swap, sizeof swap);
    return made;
}
