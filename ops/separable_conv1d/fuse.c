/* The rule that makes a SeparableConv1D of a depthwise Conv and a pointwise Conv. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "separable_conv1d/build.h"
#include "separable_conv1d/match.h"
#include "separable_conv1d/plugin.h"

/* What is chosen of a match. */
typedef struct sepconv_choice {
    const sepconv_end *input, *output;
    tlk_layout layout;
    sepconv_padding padding;
    int64_t left, right; /* zeros that a Pad in front must add: padding is valid then */
    bool pad, transpose; /* nodes to be put in front */
    int gain;            /* nodes that go, less those that come */
} sepconv_choice;

/* Weights as they will be. A NULL pointer: the Conv's own value serves as it is. */
typedef struct sepconv_folded {
    double *depthwise_scale; /* of each depthwise channel */
    double *scale;           /* of each filter */
    double *bias;            /* of each filter */
    bool scales_depthwise, scales_pointwise, has_bias, changes_bias;
} sepconv_folded;

typedef struct sepconv_fusion {
    sepconv_builder builder;
    sepconv_match match;
    sepconv_choice choice;
    sepconv_folded folded;
} sepconv_fusion;

/* ---- Choosing ---------------------------------------------------------------------------------------------------- */

/* The zeros around the input that the whole match amounts to; false: what is cut off is not zeros. */
static bool total_padding(const sepconv_match *match, const sepconv_end *input, const sepconv_end *output,
                          int64_t *left, int64_t *right)
{
    const sepconv_conv *conv = &match->depthwise;
    const int64_t cut_left = match->middle_left + output->left;
    const int64_t cut_right = match->middle_right + output->right;
    if ((cut_left | cut_right) != 0 && (conv->strides != 1 || conv->same_upper || conv->same_lower))
        return false;
    return !__builtin_add_overflow(input->left, conv->left - cut_left, left) &&
           !__builtin_add_overflow(input->right, conv->right - cut_right, right) && *left >= 0 && *right >= 0 &&
           *left < INT64_MAX / 4 && *right < INT64_MAX / 4;
}

/* Which of the operator's paddings (left, right) is. */
static bool name_padding(const sepconv_match *match, const sepconv_end *input, int64_t extent, int64_t left,
                         int64_t right, sepconv_padding *padding)
{
    const sepconv_conv *conv = &match->depthwise;
    int64_t length = 0;
    int64_t wanted[2] = {0, 0};
    if (conv->same_upper || conv->same_lower) {
        if (input->left != 0 || input->right != 0)
            return false;
        *padding = SEPCONV_SAME;
        if (conv->same_upper || (conv->strides == 1 && extent % 2 == 1))
            return true;
        return input->length >= 0 &&
               sepconv_pad(SEPCONV_SAME, input->length, extent, conv->strides, &length, &wanted[0], &wanted[1]) &&
               wanted[0] == wanted[1];
    }
    if (left == 0 && right == 0) {
        *padding = SEPCONV_VALID;
        return true;
    }
    if (left == extent - 1 && right == 0) {
        *padding = SEPCONV_CAUSAL;
        return true;
    }
    *padding = SEPCONV_SAME;
    if (conv->strides == 1)
        return left + right == extent - 1 && left == right - (extent - 1) % 2;
    return input->length > 0 &&
           sepconv_pad(SEPCONV_SAME, input->length, extent, conv->strides, &length, &wanted[0], &wanted[1]) &&
           left == wanted[0] && right == wanted[1];
}

static bool is_half(tl_type type)
{
    return type == TL_FLOAT16 || type == TL_BFLOAT16;
}

static bool is_constant(const tl_host *host, const tl_value *value)
{
    return host->value_is_constant(value);
}

/* What folding needs: constants, and a type in which the product of two weights may be rounded once more. */
static bool can_fold(const sepconv_fusion *fusion, const sepconv_end *output)
{
    const tl_host *host = fusion->builder.host;
    const sepconv_match *match = &fusion->match;
    const sepconv_conv *depthwise = &match->depthwise;
    const sepconv_conv *pointwise = &match->pointwise;
    const bool nothing = match->middle_count == 0 && depthwise->bias == NULL && output->affines == 0;
    if (host->value_tensor(depthwise->weights)->rank == 4 &&
        (!is_constant(host, depthwise->weights) || !is_constant(host, pointwise->weights)))
        return false;
    if (nothing)
        return true;
    if (is_half(fusion->builder.type))
        return match->middle_count == 0 && depthwise->bias == NULL && pointwise->bias == NULL && output->affines == 1 &&
               sepconv_is(host, match->behind[0].node, "Add") && is_constant(host, pointwise->weights);
    return is_constant(host, depthwise->weights) && is_constant(host, pointwise->weights) &&
           (depthwise->bias == NULL || is_constant(host, depthwise->bias)) &&
           (pointwise->bias == NULL || is_constant(host, pointwise->bias));
}

static bool choose(const sepconv_fusion *fusion, const sepconv_end *input, const sepconv_end *output,
                   sepconv_choice *choice)
{
    const sepconv_match *match = &fusion->match;
    const sepconv_conv *conv = &match->depthwise;
    int64_t extent = 0;
    if (__builtin_mul_overflow(conv->kernel - 1, conv->dilation_rate, &extent) || extent >= INT64_MAX / 4)
        return false;
    extent++;
    *choice = (sepconv_choice){.input = input, .output = output};
    if (!can_fold(fusion, output) || !total_padding(match, input, output, &choice->left, &choice->right))
        return false;
    if (!name_padding(match, input, extent, choice->left, choice->right, &choice->padding)) {
        if (conv->same_upper || conv->same_lower)
            return false;
        choice->padding = SEPCONV_VALID;
        choice->pad = true;
    }
    const unsigned both = input->layouts & output->layouts;
    const unsigned layouts = both != 0 ? both : output->layouts;
    choice->transpose = both == 0;
    choice->layout = (layouts & LAYOUT_CHANNELS_FIRST) != 0 ? TLK_CHANNELS_FIRST : TLK_CHANNELS_LAST;
    choice->gain = input->removed + output->removed - choice->pad - choice->transpose;
    return true;
}

/* The pair of ends that leaves the fewest nodes; among equals one that needs no new ones. */
static bool choose_best(sepconv_fusion *fusion)
{
    const sepconv_match *match = &fusion->match;
    bool found = false;
    for (size_t i = 0; i < match->input_count; i++)
        for (size_t k = 0; k < match->output_count; k++) {
            sepconv_choice choice;
            sepconv_choice *best = &fusion->choice;
            if (!choose(fusion, &match->inputs[i], &match->outputs[k], &choice))
                continue;
            const int extra = choice.pad + choice.transpose;
            if (!found || choice.gain > best->gain ||
                (choice.gain == best->gain && extra < best->pad + best->transpose))
                *best = choice;
            found = true;
        }
    return found;
}

/* ---- Folding ----------------------------------------------------------------------------------------------------- */

static double broadcast_element(const tl_tensor *tensor, int64_t channel)
{
    int64_t elements = 1;
    for (int32_t i = 0; i < tensor->rank; i++)
        elements *= tensor->dims[i];
    return sepconv_get_element(tensor, elements == 1 ? 0 : channel);
}

/* value * scale + shift of a channel. */
static void read_factor(const tl_host *host, const sepconv_affine *affine, int64_t channel, double *scale,
                        double *shift)
{
    *scale = 1;
    *shift = 0;
    if (affine->constant == NULL) {
        double numbers[4];
        for (size_t k = 0; k < 4; k++)
            numbers[k] = sepconv_get_element(host->value_tensor(host->node_input(affine->node, k + 1)), channel);
        *scale = numbers[0] / sqrt(numbers[3] + (double)host->attribute_float(affine->node, "epsilon"));
        *shift = numbers[1] - numbers[2] * *scale;
        return;
    }
    const double constant = broadcast_element(host->value_tensor(affine->constant), channel);
    if (sepconv_is(host, affine->node, "Add"))
        *shift = constant;
    else if (sepconv_is(host, affine->node, "Sub"))
        *shift = -constant;
    else if (sepconv_is(host, affine->node, "Mul"))
        *scale = constant;
    else
        *scale = 1 / constant;
}

static bool scales(const tl_host *host, const sepconv_affine *affine)
{
    return !sepconv_is(host, affine->node, "Add") && !sepconv_is(host, affine->node, "Sub");
}

/* Depthwise channel j: what stands between the convolutions, nearest to the depthwise one first. */
static void fold_middle(const sepconv_fusion *fusion, int64_t channel, double *scale, double *shift)
{
    const tl_host *host = fusion->builder.host;
    const sepconv_match *match = &fusion->match;
    const tl_value *bias = match->depthwise.bias;
    *scale = 1;
    *shift = bias != NULL ? sepconv_get_element(host->value_tensor(bias), channel) : 0;
    for (size_t i = match->middle_count; i-- > 0;) {
        double a = 1;
        double b = 0;
        read_factor(host, &match->middle[i], channel, &a, &b);
        *scale *= a;
        *shift = *shift * a + b;
    }
}

/* bias' = behind(bias + P * shift), and the scale that P gets. */
static void fold_filters(sepconv_fusion *fusion, const double *shifts)
{
    const tl_host *host = fusion->builder.host;
    const sepconv_match *match = &fusion->match;
    sepconv_folded *folded = &fusion->folded;
    const tl_tensor *kernel = host->value_tensor(match->pointwise.weights);
    const tl_value *bias = match->pointwise.bias;
    const int64_t columns = match->pointwise.per_group;
    for (int64_t f = 0; f < match->pointwise.rows; f++) {
        double sum = bias != NULL ? sepconv_get_element(host->value_tensor(bias), f) : 0;
        double scale = 1;
        for (int64_t j = 0; j < columns && shifts != NULL; j++)
            sum += sepconv_get_element(kernel, f * columns + j) * shifts[j];
        for (size_t i = 0; i < fusion->choice.output->affines; i++) {
            double a = 1;
            double b = 0;
            read_factor(host, &match->behind[i], f, &a, &b);
            scale *= a;
            sum = sum * a + b;
        }
        folded->scale[f] = scale;
        folded->bias[f] = sum;
    }
}

static bool load(const tl_host *host, tl_value *value)
{
    return value == NULL || host->value_data(value) != NULL;
}

static bool load_affines(const tl_host *host, const sepconv_affine *affines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!load(host, affines[i].constant))
            return false;
        for (size_t k = 1; k < 5 && affines[i].constant == NULL; k++)
            if (!load(host, host->node_input(affines[i].node, k)))
                return false;
    }
    return true;
}

/* Asks for the constants that folding, or a change of a kernel's shape, reads; from then on the tensors have data. */
static bool load_constants(const sepconv_fusion *fusion)
{
    const tl_host *host = fusion->builder.host;
    const sepconv_match *match = &fusion->match;
    const size_t behind = fusion->choice.output->affines;
    const bool folds = match->middle_count > 0 || match->depthwise.bias != NULL || behind > 0;
    if ((folds || host->value_tensor(match->depthwise.weights)->rank == 4) &&
        (!load(host, match->depthwise.weights) || !load(host, match->pointwise.weights)))
        return false;
    return !folds ||
           (load(host, match->depthwise.bias) && load(host, match->pointwise.bias) &&
            load_affines(host, match->middle, match->middle_count) && load_affines(host, match->behind, behind));
}

/* What changes, as the Convs' own values serve where nothing does. */
static void plan_folding(sepconv_fusion *fusion)
{
    const sepconv_match *match = &fusion->match;
    sepconv_folded *folded = &fusion->folded;
    folded->changes_bias =
        match->middle_count > 0 || match->depthwise.bias != NULL || fusion->choice.output->affines > 0;
    folded->has_bias = folded->changes_bias || match->pointwise.bias != NULL;
}

/* `room` holds 2 * (depthwise channels + filters) numbers. */
static void fold(sepconv_fusion *fusion, double *room)
{
    const tl_host *host = fusion->builder.host;
    const sepconv_match *match = &fusion->match;
    sepconv_folded *folded = &fusion->folded;
    const int64_t channels = match->pointwise.per_group;
    const bool shifted = match->middle_count > 0 || match->depthwise.bias != NULL;
    double *shifts = room + channels;
    folded->depthwise_scale = room;
    folded->scale = shifts + channels;
    folded->bias = folded->scale + match->pointwise.rows;
    for (size_t i = 0; i < match->middle_count; i++)
        folded->scales_depthwise |= scales(host, &match->middle[i]);
    for (size_t i = 0; i < fusion->choice.output->affines; i++)
        folded->scales_pointwise |= scales(host, &match->behind[i]);
    for (int64_t j = 0; j < channels; j++)
        fold_middle(fusion, j, &folded->depthwise_scale[j], &shifts[j]);
    fold_filters(fusion, shifted ? shifts : NULL);
}

/* ---- Building ---------------------------------------------------------------------------------------------------- */

/* A kernel of rank 3, its rows scaled where row_scale is not NULL. */
static tl_value *new_kernel(const sepconv_fusion *fusion, const char *name, const sepconv_conv *conv,
                            const double *row_scale)
{
    const sepconv_builder *builder = &fusion->builder;
    const tl_host *host = builder->host;
    const tl_tensor *old = host->value_tensor(conv->weights);
    const int64_t columns = conv->per_group * conv->kernel;
    tl_tensor tensor = {.type = old->type, .rank = 3, .dims = {conv->rows, conv->per_group, conv->kernel}};
    if (row_scale == NULL && old->rank == 3)
        return conv->weights;
    tensor.data = old->data;
    double *room = NULL;
    if (row_scale != NULL) {
        room = host->alloc(host, (size_t)(conv->rows * columns) * sizeof *room, 64);
        if (room == NULL)
            return NULL;
        tensor.data = room;
        for (int64_t i = 0; i < conv->rows; i++)
            for (int64_t k = 0; k < columns; k++)
                sepconv_set_element(&tensor, i * columns + k, sepconv_get_element(old, i * columns + k) * row_scale[i]);
    }
    tl_value *value = host->new_constant(builder->rewrite, name, &tensor);
    if (room != NULL)
        host->free(host, room);
    return value;
}

static tl_value *new_bias(const sepconv_fusion *fusion)
{
    const sepconv_builder *builder = &fusion->builder;
    const tl_host *host = builder->host;
    const int64_t filters = fusion->match.pointwise.rows;
    if (!fusion->folded.changes_bias)
        return fusion->match.pointwise.bias;
    double *room = host->alloc(host, (size_t)filters * sizeof *room, 64);
    if (room == NULL)
        return NULL;
    tl_tensor tensor = {.data = room, .type = builder->type, .rank = 1, .dims = {filters}};
    for (int64_t f = 0; f < filters; f++)
        sepconv_set_element(&tensor, f, fusion->folded.bias[f]);
    tl_value *value = host->new_constant(builder->rewrite, "bias", &tensor);
    host->free(host, room);
    return value;
}

static tl_value *new_pad(const sepconv_fusion *fusion, tl_value *x)
{
    const sepconv_builder *builder = &fusion->builder;
    const tl_host *host = builder->host;
    const int axis = fusion->choice.layout == TLK_CHANNELS_LAST ? 1 : 2;
    int64_t pads[6] = {0};
    pads[axis] = fusion->choice.left;
    pads[3 + axis] = fusion->choice.right;
    if (builder->opset < 11) {
        tl_node *node = sepconv_add_node(builder, "Pad", "Pad", &x, 1, 1, NULL);
        if (node == NULL || host->set_ints(builder->rewrite, node, "pads", pads, 6) != TL_OK)
            return NULL;
        return sepconv_result(builder, node);
    }
    const tl_tensor tensor = {.data = pads, .type = TL_INT64, .rank = 1, .dims = {6}};
    tl_value *inputs[] = {x, host->new_constant(builder->rewrite, "pads", &tensor)};
    return sepconv_result(builder, sepconv_add_node(builder, "Pad", "Pad", inputs, 2, 2, NULL));
}

static tl_status set_attributes(const sepconv_fusion *fusion, tl_node *node)
{
    const tl_host *host = fusion->builder.host;
    tl_rewrite *rewrite = fusion->builder.rewrite;
    const sepconv_conv *depthwise = &fusion->match.depthwise;
    const sepconv_activation *linear = sepconv_activation_find("", 0);
    const sepconv_activation *activation = fusion->choice.output->activated ? &fusion->match.activation : linear;
    const sepconv_activation *usual = sepconv_activation_find(activation->name, strlen(activation->name));
    tl_status status = host->set_string(rewrite, node, "padding", sepconv_padding_name(fusion->choice.padding));
    if (status == TL_OK)
        status = host->set_int(rewrite, node, "strides", depthwise->strides);
    if (status == TL_OK)
        status = host->set_int(rewrite, node, "dilation_rate", depthwise->dilation_rate);
    if (status == TL_OK)
        status = host->set_string(rewrite, node, "data_format", sepconv_layout_name(fusion->choice.layout));
    if (status == TL_OK)
        status = host->set_int(rewrite, node, "depth_multiplier", depthwise->rows / depthwise->group);
    if (status == TL_OK)
        status = host->set_int(rewrite, node, "filters", fusion->match.pointwise.rows);
    if (status == TL_OK)
        status = host->set_int(rewrite, node, "kernel_size", depthwise->kernel);
    if (status == TL_OK)
        status = host->set_string(rewrite, node, "activation", activation->name);
    if (status == TL_OK && (float)activation->element.a != (float)usual->element.a)
        status = host->set_float(rewrite, node, "activation_alpha", (float)activation->element.a);
    return status;
}

static tl_status build(sepconv_fusion *fusion)
{
    const sepconv_builder *builder = &fusion->builder;
    const tl_host *host = builder->host;
    const sepconv_match *match = &fusion->match;
    const sepconv_folded *folded = &fusion->folded;
    tl_value *output = fusion->choice.output->value;
    tl_value *x = fusion->choice.input->value;
    if (fusion->choice.transpose)
        x = sepconv_transpose(builder, x, NULL);
    if (fusion->choice.pad && x != NULL)
        x = new_pad(fusion, x);
    tl_value *inputs[SEPCONV_INPUTS] = {
        x,
        new_kernel(fusion, "depthwise_kernel", &match->depthwise,
                   folded->scales_depthwise ? folded->depthwise_scale : NULL),
        new_kernel(fusion, "pointwise_kernel", &match->pointwise, folded->scales_pointwise ? folded->scale : NULL),
        new_bias(fusion),
    };
    for (size_t k = 0; k < SEPCONV_BIAS; k++)
        if (inputs[k] == NULL)
            return TL_NO_MEMORY;
    if (fusion->folded.has_bias && inputs[SEPCONV_BIAS] == NULL)
        return TL_NO_MEMORY;
    tl_node *node = host->new_node(builder->rewrite, SEPCONV_DOMAIN, SEPCONV_NAME, builder->name, inputs,
                                   fusion->folded.has_bias ? 4 : 3, &output, 1);
    if (node == NULL)
        return TL_NO_MEMORY;
    const tl_status status = set_attributes(fusion, node);
    return status == TL_OK ? host->commit(builder->rewrite) : status;
}

/* A pair that a decomposition made has its names: without what that added, so that they do not grow. */
static void shorten_name(sepconv_fusion *fusion, char *room, size_t size)
{
    static const char suffix[] = "/pointwise";
    const size_t length = strlen(fusion->builder.name);
    if (length < sizeof suffix || strcmp(fusion->builder.name + length - (sizeof suffix - 1), suffix) != 0)
        return;
    snprintf(room, size, "%.*s", (int)(length - (sizeof suffix - 1)), fusion->builder.name);
    fusion->builder.name = room;
}

static tl_status apply(const tl_host *host, tl_rewrite *rewrite, tl_node *anchor)
{
    char name[256];
    sepconv_fusion fusion;
    memset(&fusion, 0, sizeof fusion);
    if (!sepconv_find_pair(host, anchor, &fusion.match))
        return TL_OK;
    sepconv_builder_init(&fusion.builder, host, rewrite, anchor);
    shorten_name(&fusion, name, sizeof name);
    const sepconv_conv *depthwise = &fusion.match.depthwise;
    if (!(TL_T_FLOATS & TL_T(fusion.builder.type)) || (depthwise->strides > 1 && depthwise->dilation_rate > 1) ||
        !choose_best(&fusion))
        return TL_OK;
    plan_folding(&fusion);
    if (!load_constants(&fusion))
        return TL_NO_MEMORY;
    if (!fusion.folded.changes_bias)
        return build(&fusion);
    /* Both sizes are those of constants here, which are in memory. */
    const size_t count = 2 * (size_t)(fusion.match.pointwise.per_group + fusion.match.pointwise.rows);
    double *room = host->alloc(host, count * sizeof *room, 64);
    if (room == NULL)
        return TL_NO_MEMORY;
    fold(&fusion, room);
    const tl_status status = build(&fusion);
    host->free(host, room);
    return status;
}

const tl_rule sepconv_rules[] = {
    {.size = sizeof(tl_rule),
     .name = "separable_conv1d.fuse",
     .phase = TL_PHASE_PLUGIN,
     .anchor_domain = "",
     .anchor_name = "Conv",
     .apply = apply},
};
const size_t sepconv_rule_count = sizeof sepconv_rules / sizeof *sepconv_rules;
