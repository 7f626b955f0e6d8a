/* The pair of convolutions, what lies between them, and the ways from them to an input and an output of rank 3. */
#include <string.h>
#include "separable_conv1d/match.h"

tl_node *sepconv_only_user(const tl_host *host, const tl_value *value)
{
    return host->value_use_count(value) == 1 ? host->value_user(value, 0) : NULL;
}

static tl_value *get_input(const tl_host *host, const tl_node *node, size_t k)
{
    return k < host->node_input_count(node) ? host->node_input(node, k) : NULL;
}

int sepconv_other_input(const tl_host *host, const tl_node *node, const tl_value *value)
{
    if (host->node_input_count(node) != 2)
        return -1;
    const bool first = host->node_input(node, 0) == value;
    const bool second = host->node_input(node, 1) == value;
    return first == second ? -1 : first;
}

static bool all_known(const tl_tensor *tensor)
{
    bool known = tensor->rank != TL_RANK_UNKNOWN;
    for (int32_t i = 0; known && i < tensor->rank; i++)
        known = tensor->dims[i] > 0;
    return known;
}

bool sepconv_scalar_input(const tl_host *host, const tl_node *node, size_t k, double *value)
{
    const tl_value *input = get_input(host, node, k);
    const tl_tensor *tensor = input != NULL ? host->value_tensor(input) : NULL;
    if (tensor == NULL || tensor->data == NULL || !all_known(tensor) || !(TL_T_FLOATS & TL_T(tensor->type)))
        return false;
    for (int32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] != 1)
            return false;
    float wide = 0;
    switch (tensor->type) {
    case TL_DOUBLE:
        *value = *(const double *)tensor->data;
        return true;
    case TL_FLOAT16:
        tlk_get()->f16_to_f32(tensor->data, &wide, 1);
        break;
    case TL_BFLOAT16:
        tlk_get()->bf16_to_f32(tensor->data, &wide, 1);
        break;
    default:
        wide = *(const float *)tensor->data;
        break;
    }
    *value = (double)wide;
    return true;
}

/* ---- Conv -------------------------------------------------------------------------------------------------------- */

/* strides or dilations along time; 1 where the attribute is absent. */
static bool read_along(const tl_host *host, const sepconv_conv *conv, const char *name, size_t spatial, int64_t *value)
{
    int64_t numbers[TL_MAX_RANK];
    size_t count = 0;
    *value = 1;
    if (!host->attribute_given(conv->node, name))
        return true;
    if (!sepconv_numbers(host, conv->node, name, -1, numbers, &count) || count != spatial)
        return false;
    *value = numbers[conv->time - 2];
    return *value >= 1;
}

static bool read_pads(const tl_host *host, sepconv_conv *conv, size_t spatial)
{
    int64_t pads[TL_MAX_RANK];
    size_t count = 0;
    size_t size = 0;
    const char *automatic = host->attribute_string(conv->node, "auto_pad", &size);
    if (automatic != NULL && size > 0 && strcmp(automatic, "NOTSET") != 0) {
        conv->same_upper = strcmp(automatic, "SAME_UPPER") == 0;
        conv->same_lower = strcmp(automatic, "SAME_LOWER") == 0;
        return conv->same_upper || conv->same_lower || strcmp(automatic, "VALID") == 0;
    }
    if (!host->attribute_given(conv->node, "pads"))
        return true;
    if (!sepconv_numbers(host, conv->node, "pads", -1, pads, &count) || count != 2 * spatial)
        return false;
    const size_t time = (size_t)conv->time - 2;
    conv->left = pads[time];
    conv->right = pads[spatial + time];
    for (size_t i = 0; i < count; i++)
        if (pads[i] < 0 || (pads[i] > 0 && i % spatial != time))
            return false;
    return true;
}

bool sepconv_read_conv(const tl_host *host, const tl_node *node, sepconv_conv *conv)
{
    if (!sepconv_is(host, node, "Conv") || get_input(host, node, 0) == NULL || get_input(host, node, 1) == NULL)
        return false;
    *conv = (sepconv_conv){.node = node,
                           .x = get_input(host, node, 0),
                           .weights = get_input(host, node, 1),
                           .bias = get_input(host, node, 2),
                           .y = host->node_output(node, 0),
                           .time = 2};
    const tl_tensor *weights = host->value_tensor(conv->weights);
    const tl_tensor *x = host->value_tensor(conv->x);
    if (conv->y == NULL || !all_known(weights) || (weights->rank != 3 && weights->rank != 4) ||
        x->rank != weights->rank)
        return false;
    /* In two dimensions one must not count: a kernel of size 1 over an axis of size 1. */
    if (weights->rank == 4) {
        const bool height_is_unit = weights->dims[2] == 1 && x->dims[2] == 1;
        const bool width_is_unit = weights->dims[3] == 1 && x->dims[3] == 1;
        if (!height_is_unit && !width_is_unit)
            return false;
        conv->time = height_is_unit ? 3 : 2;
    }
    const size_t spatial = (size_t)weights->rank - 2;
    conv->rows = weights->dims[0];
    conv->per_group = weights->dims[1];
    conv->kernel = weights->dims[conv->time];
    conv->group = host->attribute_int(node, "group");
    return conv->group >= 1 && read_along(host, conv, "strides", spatial, &conv->strides) &&
           read_along(host, conv, "dilations", spatial, &conv->dilation_rate) && read_pads(host, conv, spatial);
}

static bool is_pointwise(const sepconv_conv *conv)
{
    /* With one tap and one step, SAME pads nothing. */
    return conv->kernel == 1 && conv->strides == 1 && conv->group == 1 && conv->left == 0 && conv->right == 0;
}

static bool is_depthwise(const sepconv_conv *conv)
{
    return conv->per_group == 1 && conv->rows % conv->group == 0;
}

/* ---- Nodes on the way -------------------------------------------------------------------------------------------- */

/* A BatchNormalization that only scales and shifts by constants. */
static bool is_inference(const tl_host *host, const tl_node *node, int64_t channels)
{
    if (host->node_input_count(node) != 5 || host->attribute_int(node, "training_mode") != 0 ||
        (host->attribute_given(node, "spatial") && host->attribute_int(node, "spatial") != 1) ||
        (host->node_version(node) < 7 && host->attribute_int(node, "is_test") == 0))
        return false;
    for (size_t k = 1; k < host->node_output_count(node); k++)
        if (host->node_output(node, k) != NULL)
            return false;
    for (size_t k = 1; k < 5; k++) {
        const tl_value *value = host->node_input(node, k);
        const tl_tensor *tensor = value != NULL ? host->value_tensor(value) : NULL;
        if (tensor == NULL || !host->value_is_constant(value) || tensor->rank != 1 || tensor->dims[0] != channels ||
            !(TL_T_FLOATS & TL_T(tensor->type)))
            return false;
    }
    return true;
}

/* Add, Sub, Mul, Div by a constant of each channel, or a BatchNormalization; `channels` are the values' channels. */
static bool read_affine(const tl_host *host, const tl_node *node, const tl_value *value, const sepconv_view *view,
                        int64_t channels, sepconv_affine *affine)
{
    *affine = (sepconv_affine){.node = node};
    if (sepconv_is(host, node, "BatchNormalization"))
        return get_input(host, node, 0) == value && view->rank >= 2 &&
               (view->axes[1] == AXIS_CHANNEL || (channels == 1 && view->axes[1] == AXIS_UNIT)) &&
               is_inference(host, node, channels);
    const bool commutes = sepconv_is(host, node, "Add") || sepconv_is(host, node, "Mul");
    if (!commutes && !sepconv_is(host, node, "Sub") && !sepconv_is(host, node, "Div"))
        return false;
    const int other = sepconv_other_input(host, node, value);
    if (other < 0 || (!commutes && other != 1) || host->attribute_given(node, "axis") ||
        host->attribute_int(node, "broadcast") != 0) /* what opset 6 means by those is not what came after it */
        return false;
    tl_value *value_of_constant = host->node_input(node, (size_t)other);
    if (value_of_constant == NULL || !host->value_is_constant(value_of_constant))
        return false;
    const tl_tensor *constant = host->value_tensor(value_of_constant);
    if (!all_known(constant) || constant->rank > view->rank)
        return false;
    for (int32_t i = 0; i < constant->rank; i++) {
        const sepconv_axis axis = view->axes[view->rank - constant->rank + i];
        if (constant->dims[i] != 1 && (axis != AXIS_CHANNEL || constant->dims[i] != channels))
            return false;
    }
    affine->constant = value_of_constant;
    return true;
}

/* A Slice along time: how many steps it takes off either end. */
static bool read_slice(const tl_host *host, const tl_node *node, const sepconv_view *view, int64_t *left,
                       int64_t *right)
{
    int64_t starts[TL_MAX_RANK];
    int64_t ends[TL_MAX_RANK];
    int64_t axes[TL_MAX_RANK];
    int64_t steps[TL_MAX_RANK];
    size_t counts[4] = {0};
    const int32_t time = sepconv_view_find(view, AXIS_TIME);
    if (!sepconv_is(host, node, "Slice") || !sepconv_numbers(host, node, "starts", 1, starts, &counts[0]) ||
        !sepconv_numbers(host, node, "ends", 2, ends, &counts[1]) || counts[0] != 1 || counts[1] != 1)
        return false;
    axes[0] = 0;
    if ((host->attribute_given(node, "axes") || get_input(host, node, 3) != NULL) &&
        (!sepconv_axes(host, node, "axes", 3, view->rank, axes, &counts[2]) || counts[2] != 1))
        return false;
    if (get_input(host, node, 4) != NULL &&
        (!sepconv_numbers(host, node, "steps", 4, steps, &counts[3]) || counts[3] != 1 || steps[0] != 1))
        return false;
    if (axes[0] != time || starts[0] < 0)
        return false;
    const tl_tensor *tensor = host->value_tensor(host->node_input(node, 0));
    const tl_dim length = tensor->rank == view->rank ? tensor->dims[time] : TL_DIM_UNKNOWN;
    if (ends[0] < 0 && ends[0] > -INT32_MAX)
        *right = -ends[0];
    else if (ends[0] >= INT32_MAX)
        *right = 0;
    else if (length >= 0)
        *right = ends[0] < length ? length - ends[0] : 0;
    else
        return false;
    *left = starts[0];
    return *left < INT32_MAX && *right < INT32_MAX && (length < 0 || *left + *right <= length);
}

/* A Pad of zeros along time. */
static bool read_pad(const tl_host *host, const tl_node *node, const sepconv_view *view, int64_t *left, int64_t *right)
{
    int64_t pads[2 * TL_MAX_RANK];
    int64_t axes[TL_MAX_RANK];
    size_t count = 0;
    size_t axis_count = (size_t)view->rank;
    size_t size = 0;
    double value = 0;
    if (!sepconv_is(host, node, "Pad"))
        return false;
    const char *mode = host->attribute_string(node, "mode", &size);
    if (mode != NULL && size > 0 && strcmp(mode, "constant") != 0)
        return false;
    if (get_input(host, node, 2) != NULL && !sepconv_scalar_input(host, node, 2, &value))
        return false;
    if (host->attribute_given(node, "value"))
        value = (double)host->attribute_float(node, "value");
    if (!(value == 0) || !sepconv_numbers(host, node, "pads", 1, pads, &count))
        return false;
    for (size_t i = 0; i < axis_count; i++)
        axes[i] = (int64_t)i;
    if (get_input(host, node, 3) != NULL && !sepconv_axes(host, node, "axes", 3, view->rank, axes, &axis_count))
        return false;
    if (count != 2 * axis_count)
        return false;
    *left = *right = 0;
    for (size_t i = 0; i < axis_count; i++) {
        if (pads[i] == 0 && pads[axis_count + i] == 0)
            continue;
        if (view->axes[axes[i]] != AXIS_TIME || pads[i] < 0 || pads[axis_count + i] < 0)
            return false;
        *left += pads[i];
        *right += pads[axis_count + i];
    }
    return *left < INT32_MAX && *right < INT32_MAX;
}

/* ---- The ways ---------------------------------------------------------------------------------------------------- */

static tl_dim time_of(const tl_host *host, const tl_value *value, const sepconv_view *view)
{
    const int32_t time = sepconv_view_find(view, AXIS_TIME);
    const tl_tensor *tensor = host->value_tensor(value);
    if (time < 0)
        return 1;
    return tensor->rank == view->rank ? tensor->dims[time] : TL_DIM_UNKNOWN;
}

/* From the depthwise convolution back towards the graph's inputs. */
static void find_inputs(const tl_host *host, sepconv_match *match)
{
    sepconv_view view;
    sepconv_end end = {.value = match->depthwise.x};
    bool alone = true; /* nobody else needs the nodes passed so far */
    if (!sepconv_view_of(host, end.value, match->depthwise.time, &view))
        return;
    for (;;) {
        end.layouts = sepconv_view_layouts(&view);
        end.length = time_of(host, end.value, &view);
        if (end.layouts != 0)
            match->inputs[match->input_count++] = end;
        const tl_node *node = host->value_producer(end.value);
        int64_t left = 0;
        int64_t right = 0;
        if (node == NULL || match->input_count == MOST_STEPS || end.removed == MOST_STEPS)
            return;
        if (sepconv_is_view(host, node)) {
            if (!sepconv_view_back(host, node, &view))
                return;
        } else if (sepconv_is(host, node, "Pad") && get_input(host, node, 0) != NULL) {
            if (!read_pad(host, node, &view, &left, &right))
                return;
            end.left += left;
            end.right += right;
            sepconv_view_normalize(host, get_input(host, node, 0), &view);
        } else
            return;
        alone = alone && host->value_use_count(end.value) == 1;
        end.removed += alone;
        end.value = get_input(host, node, 0);
    }
}

/* From the pointwise convolution towards the graph's outputs. */
static void find_outputs(const tl_host *host, sepconv_match *match)
{
    sepconv_view view;
    sepconv_end end = {.value = match->pointwise.y};
    if (!sepconv_view_of(host, end.value, match->pointwise.time, &view))
        return;
    for (int steps = 0; match->output_count < MOST_STEPS && steps < MOST_STEPS; steps++) {
        int removed = 0;
        int64_t left = 0;
        int64_t right = 0;
        tl_value *next = NULL;
        end.layouts = sepconv_view_layouts(&view);
        end.length = time_of(host, end.value, &view);
        const bool softmax = end.activated && match->activation.over != SEPCONV_ELEMENT;
        if (softmax) /* the operator's runs over the last axis */
            end.layouts &= match->softmax_axis == AXIS_CHANNEL ? LAYOUT_CHANNELS_LAST : LAYOUT_CHANNELS_FIRST;
        if (end.layouts != 0)
            match->outputs[match->output_count++] = end;
        if (!end.activated && sepconv_match_activation(host, end.value, &view, &match->activation, &match->softmax_axis,
                                                       &next, &removed)) {
            end.activated = true;
        } else {
            const tl_node *node = sepconv_only_user(host, end.value);
            if (node == NULL || host->node_output(node, 0) == NULL)
                return;
            next = host->node_output(node, 0);
            removed = 1;
            if (sepconv_is_view(host, node) && host->node_input(node, 0) == end.value) {
                if (!sepconv_view_forward(host, node, &view))
                    return;
            } else if (!end.activated && end.affines < MOST_FACTORS &&
                       read_affine(host, node, end.value, &view, match->pointwise.rows, &match->behind[end.affines])) {
                end.affines++;
            } else if (!(softmax && match->softmax_axis == AXIS_TIME) && get_input(host, node, 0) == end.value &&
                       read_slice(host, node, &view, &left, &right)) {
                end.left += left;
                end.right += right;
            } else
                return;
        }
        sepconv_view_normalize(host, next, &view);
        end.value = next;
        end.removed += removed;
    }
}

/* From the pointwise convolution back to the depthwise one. */
static bool find_middle(const tl_host *host, sepconv_match *match)
{
    sepconv_view view;
    sepconv_view target;
    tl_value *value = match->pointwise.x;
    if (!sepconv_view_of(host, value, match->pointwise.time, &view))
        return false;
    for (int steps = 0; steps < MOST_STEPS; steps++) {
        const tl_node *node = host->value_producer(value);
        int64_t left = 0;
        int64_t right = 0;
        if (node == NULL || host->value_use_count(value) != 1)
            return false;
        if (sepconv_is(host, node, "Conv")) {
            sepconv_conv *depthwise = &match->depthwise;
            return sepconv_read_conv(host, node, depthwise) && is_depthwise(depthwise) &&
                   depthwise->rows == match->pointwise.per_group &&
                   sepconv_view_of(host, value, depthwise->time, &target) && sepconv_view_equal(&view, &target);
        }
        tl_value *before = get_input(host, node, 0);
        if (sepconv_is_view(host, node)) {
            if (!sepconv_view_back(host, node, &view))
                return false;
        } else if (before != NULL && sepconv_is(host, node, "Slice")) {
            sepconv_view_normalize(host, before, &view);
            if (!read_slice(host, node, &view, &left, &right))
                return false;
            match->middle_left += left;
            match->middle_right += right;
        } else {
            /* The operand that is not the constant. */
            if (before != NULL && host->value_is_constant(before))
                before = get_input(host, node, 1);
            if (before == NULL || match->middle_count == MOST_FACTORS ||
                !read_affine(host, node, before, &view, match->pointwise.per_group,
                             &match->middle[match->middle_count]))
                return false;
            match->middle_count++;
        }
        match->middle_removed++;
        value = before;
    }
    return false;
}

bool sepconv_find_pair(const tl_host *host, const tl_node *anchor, sepconv_match *match)
{
    memset(match, 0, sizeof *match);
    if (!sepconv_read_conv(host, anchor, &match->pointwise) || !is_pointwise(&match->pointwise) ||
        !find_middle(host, match))
        return false;
    find_inputs(host, match);
    find_outputs(host, match);
    return match->input_count > 0 && match->output_count > 0;
}
