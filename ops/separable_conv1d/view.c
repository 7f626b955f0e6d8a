/* Follows the axes of values through Identity, Transpose, Squeeze, Unsqueeze and Reshape. */
#include <string.h>
#include "separable_conv1d/view.h"

bool sepconv_is(const tl_host *host, const tl_node *node, const char *op)
{
    return node != NULL && host->node_domain(node)[0] == '\0' && strcmp(host->node_operator(node), op) == 0;
}

bool sepconv_is_view(const tl_host *host, const tl_node *node)
{
    static const char *const names[] = {"Identity", "Transpose", "Squeeze", "Unsqueeze", "Reshape"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sepconv_is(host, node, names[i]))
            return host->node_input_count(node) > 0 && host->node_input(node, 0) != NULL &&
                   host->node_output(node, 0) != NULL;
    return false;
}

bool sepconv_numbers(const tl_host *host, const tl_node *node, const char *attribute, int input, int64_t *numbers,
                     size_t *count)
{
    const int64_t *given = host->attribute_ints(node, attribute, count);
    if (given != NULL) {
        if (*count > TL_MAX_RANK)
            return false;
        memcpy(numbers, given, *count * sizeof *numbers);
        return true;
    }
    if (input < 0 || (size_t)input >= host->node_input_count(node) || host->node_input(node, (size_t)input) == NULL)
        return false;
    const tl_tensor *tensor = host->value_tensor(host->node_input(node, (size_t)input));
    if (tensor->data == NULL || tensor->rank < 0 || tensor->rank > 1 ||
        (tensor->rank == 1 && tensor->dims[0] > TL_MAX_RANK))
        return false;
    *count = tensor->rank == 0 ? 1 : (size_t)tensor->dims[0];
    for (size_t i = 0; i < *count; i++)
        if (tensor->type == TL_INT64)
            numbers[i] = ((const int64_t *)tensor->data)[i];
        else if (tensor->type == TL_INT32)
            numbers[i] = ((const int32_t *)tensor->data)[i];
        else
            return false;
    return true;
}

bool sepconv_axes(const tl_host *host, const tl_node *node, const char *attribute, int input, int32_t rank,
                  int64_t *axes, size_t *count)
{
    if (!sepconv_numbers(host, node, attribute, input, axes, count))
        return false;
    for (size_t i = 0; i < *count; i++) {
        if (axes[i] < 0)
            axes[i] += rank;
        if (axes[i] < 0 || axes[i] >= rank)
            return false;
    }
    return true;
}

void sepconv_view_normalize(const tl_host *host, const tl_value *value, sepconv_view *view)
{
    const tl_tensor *tensor = host->value_tensor(value);
    if (tensor->rank != view->rank)
        return;
    for (int32_t i = 0; i < view->rank; i++)
        if (tensor->dims[i] == 1)
            view->axes[i] = AXIS_UNIT;
}

bool sepconv_view_of(const tl_host *host, const tl_value *value, int32_t time, sepconv_view *view)
{
    const tl_tensor *tensor = host->value_tensor(value);
    const int32_t other = 5 - time; /* of 2 and 3 */
    if (tensor->rank != 3 && tensor->rank != 4)
        return false;
    if (time < 2 || time >= tensor->rank || (tensor->rank == 4 && tensor->dims[other] != 1))
        return false;
    *view = (sepconv_view){.rank = tensor->rank, .axes = {AXIS_BATCH, AXIS_CHANNEL}};
    view->axes[time] = AXIS_TIME;
    sepconv_view_normalize(host, value, view);
    return true;
}

bool sepconv_view_equal(const sepconv_view *a, const sepconv_view *b)
{
    bool equal = a->rank == b->rank;
    for (int32_t i = 0; equal && i < a->rank; i++)
        equal = a->axes[i] == b->axes[i];
    return equal;
}

unsigned sepconv_view_layouts(const sepconv_view *view)
{
    unsigned layouts = 0;
    if (view->rank != 3 || (view->axes[0] != AXIS_BATCH && view->axes[0] != AXIS_UNIT))
        return 0;
    const sepconv_axis a = view->axes[1];
    const sepconv_axis b = view->axes[2];
    if ((a == AXIS_CHANNEL || a == AXIS_UNIT) && (b == AXIS_TIME || b == AXIS_UNIT))
        layouts |= LAYOUT_CHANNELS_FIRST;
    if ((a == AXIS_TIME || a == AXIS_UNIT) && (b == AXIS_CHANNEL || b == AXIS_UNIT))
        layouts |= LAYOUT_CHANNELS_LAST;
    return layouts;
}

int32_t sepconv_view_find(const sepconv_view *view, sepconv_axis axis)
{
    for (int32_t i = 0; i < view->rank; i++)
        if (view->axes[i] == axis)
            return i;
    return -1;
}

/* Adds `count` unit axes, whose numbers count in the result. */
static bool insert_axes(sepconv_view *view, const int64_t *axes, size_t count)
{
    sepconv_view wide = {.rank = view->rank + (int32_t)count};
    bool unit[TL_MAX_RANK] = {false};
    int32_t from = 0;
    if (count > TL_MAX_RANK || wide.rank > TL_MAX_RANK)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (unit[axes[i]])
            return false;
        unit[axes[i]] = true;
    }
    for (int32_t i = 0; i < wide.rank; i++)
        wide.axes[i] = unit[i] ? AXIS_UNIT : view->axes[from++];
    *view = wide;
    return true;
}

/* Takes unit axes away. */
static bool remove_axes(sepconv_view *view, const int64_t *axes, size_t count)
{
    sepconv_view narrow = {.rank = 0};
    bool gone[TL_MAX_RANK] = {false};
    for (size_t i = 0; i < count; i++) {
        if (view->axes[axes[i]] != AXIS_UNIT || gone[axes[i]])
            return false;
        gone[axes[i]] = true;
    }
    for (int32_t i = 0; i < view->rank; i++)
        if (!gone[i])
            narrow.axes[narrow.rank++] = view->axes[i];
    *view = narrow;
    return true;
}

static bool transpose(const tl_host *host, const tl_node *node, bool back, sepconv_view *view)
{
    int64_t perm[TL_MAX_RANK];
    size_t count = 0;
    bool seen[TL_MAX_RANK] = {false};
    sepconv_view moved = {.rank = view->rank};
    if (!host->attribute_given(node, "perm"))
        for (count = 0; count < (size_t)view->rank; count++)
            perm[count] = view->rank - 1 - (int64_t)count;
    else if (!sepconv_numbers(host, node, "perm", -1, perm, &count))
        return false;
    if (count != (size_t)view->rank)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (perm[i] < 0 || perm[i] >= view->rank || seen[perm[i]])
            return false;
        seen[perm[i]] = true;
        if (back)
            moved.axes[perm[i]] = view->axes[i];
        else
            moved.axes[i] = view->axes[perm[i]];
    }
    *view = moved;
    return true;
}

/* Sizes that are surely equal: numbers, or the same symbol. */
static bool surely_equal(tl_dim a, tl_dim b)
{
    return a == b && a != TL_DIM_UNKNOWN;
}

/* A change of shape that keeps the axes: those that are not of size 1 stay the same in the same order. As the product
 * stays, one pair of sizes need not be known. */
static bool reshape(const tl_tensor *from, const tl_tensor *to, sepconv_view *view)
{
    sepconv_view other = {.rank = to->rank};
    int unsure = 0;
    int32_t k = 0;
    if (from->rank != view->rank || to->rank < 0)
        return false;
    for (int32_t i = 0; i < from->rank; i++) {
        if (view->axes[i] == AXIS_UNIT)
            continue;
        while (k < to->rank && to->dims[k] == 1)
            k++;
        if (k == to->rank)
            return false;
        if (!surely_equal(from->dims[i], to->dims[k])) {
            if ((from->dims[i] >= 0 && to->dims[k] >= 0) || ++unsure > 1)
                return false;
        }
        other.axes[k++] = view->axes[i];
    }
    for (; k < to->rank; k++)
        if (to->dims[k] != 1)
            return false;
    *view = other;
    return true;
}

static bool step(const tl_host *host, const tl_node *node, bool back, sepconv_view *view)
{
    const tl_value *input = host->node_input(node, 0);
    const tl_value *output = host->node_output(node, 0);
    const tl_tensor *from = host->value_tensor(back ? output : input);
    const tl_tensor *to = host->value_tensor(back ? input : output);
    int64_t axes[TL_MAX_RANK];
    size_t count = 0;
    if (sepconv_is(host, node, "Identity"))
        return true;
    if (sepconv_is(host, node, "Transpose"))
        return transpose(host, node, back, view);
    const bool squeeze = sepconv_is(host, node, "Squeeze");
    if (squeeze || sepconv_is(host, node, "Unsqueeze")) {
        /* The axes count in the shape that has them: a Squeeze's input, an Unsqueeze's output. */
        const bool wide_here = squeeze != back;
        const int32_t wide = wide_here ? view->rank : to->rank;
        if (sepconv_axes(host, node, "axes", 1, wide, axes, &count))
            return wide_here ? remove_axes(view, axes, count)
                             : wide == view->rank + (int32_t)count && insert_axes(view, axes, count);
        if (!squeeze || host->attribute_given(node, "axes") || host->node_input_count(node) > 1)
            return false;
    }
    return reshape(from, to, view); /* a Squeeze of every axis of size 1 is one too */
}

bool sepconv_view_back(const tl_host *host, const tl_node *node, sepconv_view *view)
{
    if (!step(host, node, true, view))
        return false;
    sepconv_view_normalize(host, host->node_input(node, 0), view);
    return true;
}

bool sepconv_view_forward(const tl_host *host, const tl_node *node, sepconv_view *view)
{
    if (!step(host, node, false, view))
        return false;
    sepconv_view_normalize(host, host->node_output(node, 0), view);
    return true;
}
