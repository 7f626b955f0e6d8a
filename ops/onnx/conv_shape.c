#include "onnx/conv_shape.h"

static tl_status parse_auto_pad(const tl_call *call, conv_auto_pad *auto_pad)
{
    const char *text = op_string(call, "auto_pad");
    int which = CONV_NOTSET;
    tl_status status = TL_OK;
    if (text && text[0])
        status = op_word(call, "auto_pad", "NOTSET VALID SAME_UPPER SAME_LOWER", &which);
    *auto_pad = (conv_auto_pad)which;
    return status;
}

/* A list of one number for each spatial axis, all >= least; `per_axis` is 2 for pads. */
static tl_status parse_list(const tl_call *call, const char *name, int64_t least, size_t per_axis, conv_window *window,
                            const int64_t **values)
{
    size_t count;
    *values = op_ints(call, name, &count);
    if (!op_given(call, name) || count == 0) {
        *values = NULL;
        return TL_OK;
    }
    if (count % per_axis != 0 || count / per_axis > CONV_MAX_SPATIAL)
        return tl_fail(call, TL_INVALID_MODEL, "%s has %zu numbers, which no number of spatial axes needs", name,
                       count);
    int32_t spatial = (int32_t)(count / per_axis);
    if (window->spatial >= 0 && window->spatial != spatial)
        return tl_fail(call, TL_INVALID_MODEL, "%s is for %d spatial axes, but another attribute for %d", name, spatial,
                       window->spatial);
    window->spatial = spatial;
    for (size_t i = 0; i < count; i++)
        if ((*values)[i] < least)
            return tl_fail(call, TL_INVALID_MODEL, "%s[%zu] is %lld, but must be at least %lld", name, i,
                           (long long)(*values)[i], (long long)least);
    return TL_OK;
}

static void take_list(const int64_t *values, int64_t *to, int32_t spatial, int64_t otherwise)
{
    for (int32_t i = 0; i < CONV_MAX_SPATIAL; i++)
        to[i] = values && i < spatial ? values[i] : otherwise;
}

tl_status conv_window_parse(const tl_call *call, uint32_t has, conv_window *window)
{
    const int64_t *kernel = NULL, *strides, *dilations = NULL, *pads;
    memset(window, 0, sizeof *window);
    window->spatial = -1;
    tl_status status = has & CONV_NO_AUTO_PAD ? TL_OK : parse_auto_pad(call, &window->auto_pad);
    if (status == TL_OK && !(has & CONV_NO_KERNEL))
        status = parse_list(call, "kernel_shape", 1, 1, window, &kernel);
    if (status == TL_OK)
        status = parse_list(call, "strides", 1, 1, window, &strides);
    if (status == TL_OK && (has & CONV_DILATIONS))
        status = parse_list(call, "dilations", 1, 1, window, &dilations);
    if (status == TL_OK)
        status = parse_list(call, "pads", 0, 2, window, &pads);
    if (status != TL_OK)
        return status;
    int32_t spatial = window->spatial;
    window->kernel_given = kernel != NULL;
    window->ceil_mode = (has & CONV_CEIL_MODE) && op_int(call, "ceil_mode") != 0;
    take_list(kernel, window->kernel, spatial, 1);
    take_list(strides, window->strides, spatial, 1);
    take_list(dilations, window->dilations, spatial, 1);
    if (window->auto_pad != CONV_NOTSET)
        pads = NULL;
    take_list(pads, window->pads_begin, spatial, 0);
    take_list(pads ? pads + spatial : NULL, window->pads_end, spatial, 0);
    return TL_OK;
}

tl_status conv_window_check(const tl_call *call, const conv_window *window, int32_t spatial)
{
    if (window->spatial >= 0 && window->spatial != spatial)
        return tl_fail(call, TL_INVALID_MODEL, "the attributes are for %d spatial axes, but the input has %d",
                       window->spatial, spatial);
    return TL_OK;
}

tl_status conv_extent(const tl_call *call, const conv_window *window, int32_t i, int64_t *extent)
{
    if (!nn_mul(window->kernel[i] - 1, window->dilations[i], extent) || !nn_add(*extent, 1, extent))
        return tl_fail(call, TL_INVALID_MODEL, "kernel size %lld with dilation %lld is too large",
                       (long long)window->kernel[i], (long long)window->dilations[i]);
    return TL_OK;
}

static tl_status too_large(const tl_call *call, int32_t i)
{
    return tl_fail(call, TL_INVALID_MODEL, "sizes along spatial axis %d are too large", i);
}

static tl_status same_axis(const tl_call *call, const conv_window *window, int32_t i, int64_t in, int64_t extent,
                           tl_dim *out, int64_t *begin, int64_t *end)
{
    int64_t needed;
    *out = nn_ceil_div(in, window->strides[i]);
    if (*out == 0)
        return TL_OK;
    if (!nn_mul(*out - 1, window->strides[i], &needed) || !nn_add(needed, extent, &needed))
        return too_large(call, i);
    int64_t total = nn_max(needed - in, 0); /* the standard pads; it leaves nothing out where strides are larger */
    *begin = window->auto_pad == CONV_SAME_UPPER ? total / 2 : total - total / 2;
    *end = total - *begin;
    return TL_OK;
}

tl_status conv_axis(const tl_call *call, const conv_window *window, int32_t i, tl_dim in, tl_dim *out, int64_t *begin,
                    int64_t *end)
{
    int64_t extent, padding, padded, stride = window->strides[i];
    tl_status status = conv_extent(call, window, i, &extent);
    if (status != TL_OK)
        return status;
    bool same = window->auto_pad == CONV_SAME_UPPER || window->auto_pad == CONV_SAME_LOWER;
    if (!nn_add(window->pads_begin[i], window->pads_end[i], &padding))
        return too_large(call, i);
    *begin = *end = 0;
    if (in < 0) {
        *out = stride == 1 && (same || padding == extent - 1) ? in : TL_DIM_UNKNOWN;
        return TL_OK;
    }
    if (same)
        return same_axis(call, window, i, in, extent, out, begin, end);
    *begin = window->pads_begin[i];
    *end = window->pads_end[i];
    if (!nn_add(in, padding, &padded))
        return too_large(call, i);
    if (padded < extent)
        return tl_fail(call, TL_INVALID_INPUT, "spatial axis %d has size %lld with its pads, but the window spans %lld",
                       i, (long long)padded, (long long)extent);
    *out = (padded - extent) / stride + 1;
    /* Rounding up adds a window that hangs over the end; then a last window that would start in the pads at the end
     * does not count. With auto_pad VALID the standard's formula gives the same number as rounding down. */
    if (window->ceil_mode && window->auto_pad == CONV_NOTSET) {
        int64_t start, reach, last = *out - ((padded - extent) % stride == 0);
        bool inside = nn_mul(last, stride, &start) && start < in + *begin;
        if (inside && !nn_add(start, extent, &reach))
            return too_large(call, i);
        *out = inside ? last + 1 : last;
    }
    return TL_OK;
}

bool conv_reach_axis(const tl_call *call, const conv_window *window, int64_t kernel, int32_t axis, tl_reach *reach)
{
    const int32_t i = axis - 2;
    conv_window here = *window;
    int64_t extent, end;
    tl_dim out;
    here.kernel[i] = kernel;
    if (conv_extent(call, &here, i, &extent) != TL_OK ||
        conv_axis(call, &here, i, call->inputs[0]->dims[axis], &out, &reach->before, &end) != TL_OK)
        return false;
    reach->stride = here.strides[i];
    reach->after = extent - 1 - reach->before;
    return true;
}
