/* Resize, and Upsample, as it was called before version 10. */
#include "onnx/resize.h"
#include "onnx/number.h"

#define X(types) OP_IN("X", types, 'T')
#define SCALES   OP_IN("scales", TL_T(TL_FLOAT), 0)
static const tl_param upsample_ins_7[] = {X(OP_T_CLASSIC)};
static const tl_param resize_ins_10[] = {X(OP_T_CLASSIC), SCALES};
static const tl_param resize_ins_11[] = {X(OP_T_CLASSIC), OP_OPT("roi", TL_T_FLOATS, 0),
                                         OP_OPT("scales", TL_T(TL_FLOAT), 0),
                                         OP_SHAPE("sizes", OP_T_INT64, 0, TL_PARAM_OPTIONAL)};
static const tl_param outs[] = {OP_IN("Y", OP_T_CLASSIC, 'T')};

#define RESIZE_11_ATTRS                                                                                 \
    OP_STRING("coordinate_transformation_mode", "half_pixel"), OP_FLOAT("cubic_coeff_a", -0.75f),       \
        OP_INT("exclude_outside", 0), OP_FLOAT("extrapolation_value", 0), OP_STRING("mode", "nearest"), \
        OP_STRING("nearest_mode", "round_prefer_floor")
static const tl_attribute_spec upsample_attrs_1[] = {
    OP_STRING("mode", "nearest"),
    {.name = "height_scale", .kind = TL_ATTR_FLOAT, .flags = TL_ATTR_REQUIRED},
    {.name = "width_scale", .kind = TL_ATTR_FLOAT, .flags = TL_ATTR_REQUIRED},
};
static const tl_attribute_spec upsample_attrs_7[] = {
    OP_STRING("mode", "nearest"), {.name = "scales", .kind = TL_ATTR_FLOATS, .flags = TL_ATTR_REQUIRED}};
static const tl_attribute_spec resize_attrs_10[] = {OP_STRING("mode", "nearest")};
static const tl_attribute_spec resize_attrs_11[] = {RESIZE_11_ATTRS};
static const tl_attribute_spec resize_attrs_18[] = {RESIZE_11_ATTRS, OP_INT("antialias", 0), OP_INTS("axes"),
                                                    OP_STRING("keep_aspect_ratio_policy", "stretch")};

/* ---- Attributes */

#define MODES   "nearest linear"
#define NEAREST "round_prefer_floor round_prefer_ceil floor ceil"
#define MAPS    "half_pixel half_pixel_symmetric pytorch_half_pixel align_corners asymmetric tf_crop_and_resize"

static tl_status read_attributes(const tl_call *call, resize_plan *plan)
{
    int32_t version = call->host->node_version(call->node);
    int choice = 0;
    *plan = (resize_plan){.map = RESIZE_ASYMMETRIC, .simple_nearest = version < 11, .cubic_a = -0.75};
    tl_status status = op_word(call, "mode",
                               version < 7    ? "nearest bilinear"
                               : version < 11 ? MODES
                                              : MODES " cubic",
                               &choice);
    plan->mode = (resize_mode)choice;
    if (status || version < 11)
        return status;
    status = op_word(call, "nearest_mode", NEAREST, &choice);
    plan->nearest = (resize_nearest)choice;
    if (!status)
        status = op_word(call, "coordinate_transformation_mode", version < 13 ? MAPS " tf_half_pixel_for_nn" : MAPS,
                         &choice);
    plan->map = (resize_map)choice;
    plan->exclude_outside = op_int(call, "exclude_outside") != 0;
    plan->cubic_a = op_float(call, "cubic_coeff_a");
    plan->extrapolation = op_float(call, "extrapolation_value");
    plan->antialias = version >= 18 && op_int(call, "antialias") != 0 && plan->mode != RESIZE_NEAREST;
    return status;
}

/* The axes that scales, sizes and roi speak of. */
static tl_status read_resized_axes(const tl_call *call, int32_t rank, int32_t *axes, int32_t *count)
{
    size_t n = 0;
    const int64_t *list = NULL;
    if (call->host->node_version(call->node) >= 18 && op_given(call, "axes")) {
        list = op_ints(call, "axes", &n);
        *count = (int32_t)n;
        if (n > TL_MAX_RANK)
            return tl_fail(call, TL_INVALID_MODEL, "axes has %zu elements for an input of rank %d", n, rank);
        return op_axes(call, list, (int64_t)n, rank, axes);
    }
    *count = rank;
    for (int32_t i = 0; i < rank; i++)
        axes[i] = i;
    return TL_OK;
}

/* ---- Sizes */

static bool empty(const tl_tensor *tensor)
{
    return !tensor || (op_shape_known(tensor) && op_elements(tensor) == 0);
}

static tl_status by_scales(const tl_call *call, const float *scales, int64_t count, const int32_t *axes,
                           int32_t axis_count, resize_plan *plan)
{
    if (count != axis_count)
        return tl_fail(call, TL_INVALID_INPUT, "scales has %lld elements for %d axes", (long long)count, axis_count);
    for (int32_t k = 0; k < axis_count; k++) {
        resize_axis *axis = &plan->axes[axes[k]];
        float scale = scales[k];
        if (!(scale > 0) || !isfinite(scale))
            return tl_fail(call, TL_INVALID_INPUT, "scales[%d] is %g, but must be above 0", k, (double)scale);
        axis->scale = scale;
        if (axis->in < 0) {
            axis->out = scale == 1 ? axis->in : TL_DIM_UNKNOWN;
            continue;
        }
        /* In float, as the standard's own shape inference computes it: 10 * 0.7f is 7. */
        float size = floorf((float)axis->in * scale);
        if (size > 9e18f)
            return tl_fail(call, TL_NO_MEMORY, "axis %d would get %g elements", axes[k], (double)size);
        axis->out = (int64_t)size;
    }
    return TL_OK;
}

static tl_status keep_aspect(const tl_call *call, const int32_t *axes, int32_t axis_count, resize_plan *plan)
{
    int policy = 0;
    tl_status status = op_word(call, "keep_aspect_ratio_policy", "stretch not_larger not_smaller", &policy);
    if (status || policy == 0 || axis_count == 0)
        return status;
    double scale = plan->axes[axes[0]].scale;
    for (int32_t k = 1; k < axis_count; k++) {
        double other = plan->axes[axes[k]].scale;
        scale = policy == 1 ? fmin(scale, other) : fmax(scale, other);
    }
    for (int32_t k = 0; k < axis_count; k++) {
        resize_axis *axis = &plan->axes[axes[k]];
        double size = floor(scale * (double)axis->in + 0.5);
        if (size > 9e18)
            return tl_fail(call, TL_NO_MEMORY, "axis %d would get %g elements", axes[k], size);
        axis->scale = scale;
        axis->out = (int64_t)size;
    }
    return TL_OK;
}

static tl_status by_sizes(const tl_call *call, const int64_t *sizes, int64_t count, const int32_t *axes,
                          int32_t axis_count, resize_plan *plan)
{
    bool known = true;
    if (count != axis_count)
        return tl_fail(call, TL_INVALID_INPUT, "sizes has %lld elements for %d axes", (long long)count, axis_count);
    for (int32_t k = 0; k < axis_count; k++) {
        resize_axis *axis = &plan->axes[axes[k]];
        if (sizes[k] < 0)
            return tl_fail(call, TL_INVALID_INPUT, "sizes[%d] is %lld", k, (long long)sizes[k]);
        axis->out = sizes[k];
        known = known && axis->in >= 0;
        if (axis->in == 0 && sizes[k] > 0)
            return tl_fail(call, TL_INVALID_INPUT, "axis %d has no elements to make %lld of", axes[k],
                           (long long)sizes[k]);
        axis->scale = axis->in > 0 ? (double)sizes[k] / (double)axis->in : 1;
    }
    if (call->host->node_version(call->node) < 18)
        return TL_OK;
    if (known)
        return keep_aspect(call, axes, axis_count, plan);
    if (strcmp(op_string(call, "keep_aspect_ratio_policy"), "stretch") != 0)
        for (int32_t k = 0; k < axis_count; k++)
            plan->axes[axes[k]].out = TL_DIM_UNKNOWN;
    return TL_OK;
}

/* Output sizes, TL_DIM_UNKNOWN where they cannot be known yet. */
static tl_status find_sizes(const tl_call *call, const int32_t *axes, int32_t axis_count, resize_plan *plan)
{
    int32_t version = call->host->node_version(call->node);
    const tl_tensor *scales = op_input(call, version >= 11 ? 2 : 1), *sizes = op_input(call, 3);
    if (version < 7) {
        const float list[] = {1, 1, op_float(call, "height_scale"), op_float(call, "width_scale")};
        return by_scales(call, list, 4, axes, axis_count, plan);
    }
    if (version < 9) {
        size_t n;
        const float *list = call->host->attribute_floats(call->node, "scales", &n);
        return by_scales(call, list, (int64_t)n, axes, axis_count, plan);
    }
    if (empty(scales) && empty(sizes) && axis_count > 0)
        return tl_fail(call, TL_INVALID_MODEL, "has neither scales nor sizes");
    if (!empty(scales) && op_shape_known(scales) && !empty(sizes) && op_shape_known(sizes))
        return tl_fail(call, TL_INVALID_MODEL, "has both scales and sizes");
    if (!empty(scales) && op_data_known(scales))
        return by_scales(call, scales->data, op_elements(scales), axes, axis_count, plan);
    if (!empty(sizes)) {
        int64_t list[TL_MAX_RANK], count;
        tl_status status = op_index_list(call, 3, list, TL_MAX_RANK, &count);
        if (status || count >= 0)
            return status ? status : by_sizes(call, list, count, axes, axis_count, plan);
    }
    for (int32_t k = 0; k < axis_count; k++)
        plan->axes[axes[k]].out = TL_DIM_UNKNOWN;
    return TL_OK;
}

static tl_status resize_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    resize_plan plan;
    int32_t axes[TL_MAX_RANK] = {0}, axis_count;
    tl_status status = read_attributes(call, &plan);
    out->rank = x->rank;
    if (status || x->rank == TL_RANK_UNKNOWN)
        return status;
    status = read_resized_axes(call, x->rank, axes, &axis_count);
    if (status)
        return status;
    plan.rank = x->rank;
    for (int32_t i = 0; i < x->rank; i++)
        plan.axes[i] = (resize_axis){.in = x->dims[i], .out = x->dims[i], .scale = 1, .end = 1, .same = true};
    for (int32_t k = 0; k < axis_count; k++)
        plan.axes[axes[k]].same = false;
    status = find_sizes(call, axes, axis_count, &plan);
    for (int32_t i = 0; !status && i < x->rank; i++)
        out->dims[i] = plan.axes[i].out;
    if (status || !call->plan || !op_plannable(out) || !op_plannable(x))
        return status;
    if (plan.mode != RESIZE_NEAREST && !(TL_T(x->type) & TL_T_NUMERIC))
        return tl_fail(call, TL_UNSUPPORTED, "only mode nearest can resize this element type");
    memcpy(call->plan, &plan, sizeof plan);
    return resize_prepare(call, call->plan);
}

/* The region of interest is read when it runs: it may be computed, and does not change any size. */
static tl_status read_region(const tl_call *call, resize_plan *plan)
{
    const tl_tensor *roi = op_input(call, 1);
    int32_t axes[TL_MAX_RANK] = {0}, count;
    tl_status status = read_resized_axes(call, plan->rank, axes, &count);
    if (status)
        return status;
    if (!roi || op_elements(roi) != 2 * (int64_t)count)
        return tl_fail(call, TL_INVALID_INPUT, "roi must have %d elements", 2 * count);
    for (int32_t k = 0; k < count; k++) {
        plan->axes[axes[k]].begin = op_load_number(roi, k);
        plan->axes[axes[k]].end = op_load_number(roi, count + k);
    }
    return TL_OK;
}

static tl_status resize_run(tl_call *call)
{
    if (op_elements(call->outputs[0]) == 0)
        return TL_OK;
    resize_plan plan;
    memcpy(&plan, call->plan, sizeof plan);
    if (plan.map == RESIZE_TF_CROP_AND_RESIZE) {
        tl_status status = read_region(call, &plan);
        if (status)
            return status;
    }
    for (int32_t i = 0; i < plan.rank; i++) {
        resize_axis *axis = &plan.axes[i];
        bool whole = plan.map != RESIZE_TF_CROP_AND_RESIZE || (axis->begin == 0 && axis->end == 1);
        axis->same = axis->same || (axis->in == axis->out && axis->scale == 1 && whole);
    }
    return resize_compute(call, &plan);
}

/* Along what is not resized, or grows by a whole factor, at which a place lies the same between its neighbours all
 * along: weights of others than powers of two are not rounded alike everywhere. */
static bool resize_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const resize_plan *plan = call->plan;
    const resize_axis *a = &plan->axes[axis];
    const int64_t factor = a->in > 0 ? a->out / a->in : 0;
    if (k != 0 || plan->map == RESIZE_TF_CROP_AND_RESIZE)
        return false;
    if (a->same || (a->in == a->out && a->scale == 1))
        return true;
    const int64_t far = (plan->mode == RESIZE_CUBIC ? 3 : 2) * factor;
    *reach = (tl_reach){-factor, far, far};
    return factor > 0 && factor < 1 << 20 && (double)factor == a->scale && plan->map != RESIZE_ALIGN_CORNERS &&
           (plan->mode == RESIZE_NEAREST || (factor & (factor - 1)) == 0);
}

#define RESIZE(name, since, ins, attrs)                                                                \
    OP_HEAD(name, since), OP_PARAMS(input, ins), OP_PARAMS(output, outs), OP_PARAMS(attribute, attrs), \
        .plan_size = sizeof(resize_plan), .reshape = resize_reshape, .run = resize_run, .reach = resize_reach

OP_DESCRIPTOR(Upsample, 1) = {RESIZE(Upsample, 1, upsample_ins_7, upsample_attrs_1)};
OP_DESCRIPTOR(Upsample, 7) = {RESIZE(Upsample, 7, upsample_ins_7, upsample_attrs_7)};
OP_DESCRIPTOR(Upsample, 9) = {RESIZE(Upsample, 9, resize_ins_10, resize_attrs_10), .until_version = 10};
OP_DESCRIPTOR(Resize, 10) = {RESIZE(Resize, 10, resize_ins_10, resize_attrs_10)};
OP_DESCRIPTOR(Resize, 11) = {RESIZE(Resize, 11, resize_ins_11, resize_attrs_11)};
OP_DESCRIPTOR(Resize, 18) = {RESIZE(Resize, 18, resize_ins_11, resize_attrs_18)};
