/* RoiAlign: averages, or maxima, of a grid of samples between the elements, in each bin of each region. */
#include "onnx/nn.h"

#define MAX_SAMPLING 4096 /* samples along an axis of a bin; more than the elements there are make no difference */

typedef struct roi_plan {
    int64_t batch, channels, height, width, rows, columns; /* of the input; of bins */
    int64_t sampling;                                      /* 0: as many as a bin has elements */
    double scale, offset;
    bool maximum;
    size_t weights, weights_each; /* of rows and columns, for every thread; in the workspace, behind the widened */
} roi_plan;

static tl_status roi_parse(const tl_call *call, roi_plan *plan)
{
    const bool has_map = call->host->node_version(call->node) >= 16;
    int maximum = 0, whole_pixel = 1;
    tl_status status = op_word(call, "mode", "avg max", &maximum);
    if (status == TL_OK && has_map)
        status = op_word(call, "coordinate_transformation_mode", "half_pixel output_half_pixel", &whole_pixel);
    if (status != TL_OK)
        return status;
    *plan = (roi_plan){.rows = op_int(call, "output_height"), .columns = op_int(call, "output_width")};
    plan->sampling = op_int(call, "sampling_ratio");
    plan->scale = op_float(call, "spatial_scale");
    plan->maximum = maximum != 0;
    plan->offset = whole_pixel ? 0 : 0.5;
    if (plan->rows < 1 || plan->columns < 1)
        return tl_fail(call, TL_INVALID_MODEL, "the output is %lld by %lld, but must be at least 1 by 1",
                       (long long)plan->rows, (long long)plan->columns);
    if (plan->sampling < 0 || plan->sampling > MAX_SAMPLING)
        return tl_fail(call, TL_INVALID_MODEL, "sampling_ratio is %lld, but must be in [0, %d]",
                       (long long)plan->sampling, MAX_SAMPLING);
    return TL_OK;
}

enum { IN_X, IN_ROIS, IN_IMAGES };

static tl_status roi_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[IN_X], *rois = call->inputs[IN_ROIS], *images = call->inputs[IN_IMAGES];
    tl_tensor *y = call->outputs[0];
    roi_plan plan;
    tl_status status = roi_parse(call, &plan);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_X, 4, 4);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_ROIS, 2, 2);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_IMAGES, 1, 1);
    if (status == TL_OK)
        status = nn_check_dim(call, IN_ROIS, 1, 4, "the coordinates of two corners");
    if (status != TL_OK)
        return status;
    const tl_dim count = rois->rank == 2 ? rois->dims[0] : TL_DIM_UNKNOWN;
    const tl_dim other = images->rank == 1 ? images->dims[0] : TL_DIM_UNKNOWN;
    status = nn_check_dim(call, IN_IMAGES, 0, count, "the number of regions");
    if (status != TL_OK)
        return status;
    y->rank = 4;
    y->dims[0] = count >= 0 ? count : other;
    y->dims[1] = x->rank == 4 ? x->dims[1] : TL_DIM_UNKNOWN;
    y->dims[2] = plan.rows;
    y->dims[3] = plan.columns;
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    if (!call->plan)
        return TL_OK;
    plan.batch = x->dims[0];
    plan.channels = x->dims[1];
    plan.height = x->dims[2];
    plan.width = x->dims[3];
    const size_t size = x->type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    int64_t weights, all;
    if (!nn_add(plan.height, plan.width, &weights) || !nn_mul(weights, call->thread_count, &all))
        return tl_fail(call, TL_NO_MEMORY, "the workspace overflows");
    plan.weights_each = (size_t)weights * size;
    plan.weights = nn_place(call, all, size);
    *(roi_plan *)call->plan = plan;
    return TL_OK;
}

/* ---- Run */

/* The samples of a bin along one axis: sample k lies at base + (k + 0.5) * step, and those before `first` and from
 * `end` on lie outside, where all is 0. */
typedef struct roi_samples {
    double base, step;
    int64_t size;       /* of the axis */
    double count;       /* of all samples */
    int64_t first, end; /* of those inside */
} roi_samples;

static roi_samples find_samples(double start, double bin, int64_t index, int64_t sampling, int64_t size)
{
    roi_samples s = {.size = size, .count = sampling > 0 ? (double)sampling : fmax(ceil(bin), 0)};
    s.base = start + (double)index * bin;
    s.step = s.count > 0 ? bin / s.count : 0;
    if (s.count == 0 || size == 0)
        return s;
    double first = 0, end = s.count;
    if (s.step != 0) { /* negative for a region that is turned around */
        const double a = (-1 - s.base) / s.step - 0.5, b = ((double)size - s.base) / s.step - 0.5;
        first = fmax(first, floor(fmin(a, b)) - 1);
        end = fmin(end, ceil(fmax(a, b)) + 2);
    }
    /* Inside there are at most two samples for each element, or `sampling`. */
    if (!(first < end) || end - first > 4.0 * ((double)size + 4) + (double)sampling || first > 0x1p60)
        return s;
    s.first = (int64_t)first;
    s.end = (int64_t)end;
    return s;
}

/* The two elements that sample k lies between, and the weight of the second; false: outside. */
static bool find_elements(const roi_samples *s, int64_t k, int64_t *low, int64_t *high, double *weight)
{
    double at = s->base + ((double)k + 0.5) * s->step;
    if (!(at >= -1 && at <= (double)s->size))
        return false;
    at = fmax(at, 0);
    *low = nn_min((int64_t)at, s->size - 1);
    *high = nn_min(*low + 1, s->size - 1);
    *weight = *high == *low ? 0 : at - (double)*low;
    return true;
}

typedef struct roi_job {
    const roi_plan *plan;
    const tl_tensor *rois, *images;
    const void *x;
    void *y;
    char *weights;
} roi_job;

/* A region in elements. */
typedef struct roi_box {
    double top, left, bin_height, bin_width;
    int64_t image;
} roi_box;

static roi_box find_box(const roi_job *job, int64_t roi)
{
    const roi_plan *plan = job->plan;
    double corners[4];
    for (int i = 0; i < 4; i++)
        corners[i] = op_load_number(job->rois, roi * 4 + i) * plan->scale - plan->offset;
    double width = corners[2] - corners[0], height = corners[3] - corners[1];
    if (plan->offset == 0) { /* as it was before version 16: no region is smaller than an element */
        width = fmax(width, 1);
        height = fmax(height, 1);
    }
    return (roi_box){corners[1], corners[0], height / (double)plan->rows, width / (double)plan->columns,
                     ((const int64_t *)job->images->data)[roi]};
}

#define REAL    float
#define T(name) name##_f32
#include "onnx/roi_align_template.h"
#define REAL    double
#define T(name) name##_f64
#include "onnx/roi_align_template.h"

static tl_status roi_real(tl_call *call)
{
    const roi_plan *plan = call->plan;
    roi_job job = {plan,
                   call->inputs[IN_ROIS],
                   call->inputs[IN_IMAGES],
                   call->inputs[IN_X]->data,
                   call->outputs[0]->data,
                   nn_at(call, plan->weights)};
    const int64_t count = job.images->dims[0];
    for (int64_t roi = 0; roi < count; roi++) {
        const int64_t image = ((const int64_t *)job.images->data)[roi];
        if (image < 0 || image >= plan->batch)
            return tl_fail(call, TL_INVALID_INPUT, "batch_indices[%lld] is %lld, but there are %lld images",
                           (long long)roi, (long long)image, (long long)plan->batch);
        for (int64_t i = roi * 4; i < roi * 4 + 4; i++)
            if (!isfinite(op_load_number(job.rois, i)))
                return tl_fail(call, TL_INVALID_INPUT, "region %lld has a coordinate that is not finite",
                               (long long)roi);
    }
    const int64_t each = nn_min(plan->columns * plan->channels, 1 << 20) * 32;
    if (op_elements(call->outputs[0]) > 0)
        call->host->parallel_for(call, call->inputs[IN_X]->type == TL_DOUBLE ? roi_task_f64 : roi_task_f32, &job,
                                 count * plan->rows, nn_grain(each, 1 << 15));
    return TL_OK;
}

static tl_status roi_run(tl_call *call)
{
    return nn_widen_run(call, 0, roi_real);
}

static const tl_param roi_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("rois", TL_T_FLOATS, 'T'),
                                     OP_IN("batch_indices", TL_T(TL_INT64), 0)};
static const tl_param roi_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
#define ROI_ATTRIBUTES                                                                                            \
    OP_STRING("mode", "avg"), OP_INT("output_height", 1), OP_INT("output_width", 1), OP_INT("sampling_ratio", 0), \
        OP_FLOAT("spatial_scale", 1)
static const tl_attribute_spec roi_attribute_10[] = {ROI_ATTRIBUTES};
static const tl_attribute_spec roi_attribute_16[] = {ROI_ATTRIBUTES,
                                                     OP_STRING("coordinate_transformation_mode", "half_pixel")};

OP_DESCRIPTOR(RoiAlign, 10) = {OP_HEAD(RoiAlign, 10),         OP_PARAMS(input, roi_input),
                               OP_PARAMS(output, roi_output), OP_PARAMS(attribute, roi_attribute_10),
                               .flags = TL_OP_LONG,           .plan_size = sizeof(roi_plan),
                               .reshape = roi_reshape,        .run = roi_run};
OP_DESCRIPTOR(RoiAlign, 16) = {OP_HEAD(RoiAlign, 16),         OP_PARAMS(input, roi_input),
                               OP_PARAMS(output, roi_output), OP_PARAMS(attribute, roi_attribute_16),
                               .flags = TL_OP_LONG,           .plan_size = sizeof(roi_plan),
                               .reshape = roi_reshape,        .run = roi_run};
