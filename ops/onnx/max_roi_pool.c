/* MaxRoiPool: the greatest element of each bin of each region, both cut to whole elements. */
#include "onnx/nn.h"

enum { IN_X, IN_ROIS, ROI_NUMBERS = 5 /* image, x1, y1, x2, y2 */ };

static tl_status roi_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[IN_X], *rois = call->inputs[IN_ROIS];
    tl_tensor *y = call->outputs[0];
    size_t count;
    const int64_t *shape = op_ints(call, "pooled_shape", &count);
    if (count != 2 || shape[0] < 1 || shape[1] < 1)
        return tl_fail(call, TL_INVALID_MODEL, "pooled_shape must be two numbers, each at least 1");
    tl_status status = nn_check_rank(call, IN_X, 4, 4);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_ROIS, 2, 2);
    if (status == TL_OK)
        status = nn_check_dim(call, IN_ROIS, 1, ROI_NUMBERS, "an image and the coordinates of two corners");
    if (status != TL_OK)
        return status;
    y->rank = 4;
    y->dims[0] = rois->rank == 2 ? rois->dims[0] : TL_DIM_UNKNOWN;
    y->dims[1] = x->rank == 4 ? x->dims[1] : TL_DIM_UNKNOWN;
    y->dims[2] = shape[0];
    y->dims[3] = shape[1];
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    return TL_OK;
}

typedef struct roi_job {
    const tl_tensor *x, *rois, *y;
    double scale;
} roi_job;

/* Elements [begin, end) of an axis of `size` that bin k of `bins` has, of a region from `low` to `high`, inclusive. */
static void find_bin(double low, double high, double scale, int64_t k, int64_t bins, int64_t size, int64_t *begin,
                     int64_t *end)
{
    const double start = round(low * scale), length = fmax(round(high * scale) - start + 1, 1);
    const double each = length / (double)bins;
    *begin = (int64_t)fmin(fmax(floor((double)k * each) + start, 0), (double)size);
    *end = (int64_t)fmin(fmax(ceil((double)(k + 1) * each) + start, 0), (double)size);
}

/* A task takes rows of bins, of all channels. */
#define ROI_TASK(real)                                                                                                 \
    static real roi_max_##real(const real *x, int64_t width, int64_t top, int64_t bottom, int64_t left, int64_t right) \
    {                                                                                                                  \
        real best = top < bottom && left < right ? x[top * width + left] : 0;                                          \
        for (int64_t i = top; i < bottom; i++)                                                                         \
            for (int64_t j = left; j < right; j++) {                                                                   \
                const real v = x[i * width + j];                                                                       \
                best = v > best || v != v ? v : best;                                                                  \
            }                                                                                                          \
        return best;                                                                                                   \
    }                                                                                                                  \
    static void roi_task_##real(void *context, int64_t begin, int64_t end, int32_t thread)                             \
    {                                                                                                                  \
        const roi_job *job = context;                                                                                  \
        const int64_t channels = job->x->dims[1], height = job->x->dims[2], width = job->x->dims[3];                   \
        const int64_t rows = job->y->dims[2], columns = job->y->dims[3];                                               \
        (void)thread;                                                                                                  \
        for (int64_t task = begin; task < end; task++) {                                                               \
            const int64_t roi = task / rows, row = task % rows;                                                        \
            const real *box = (const real *)job->rois->data + roi * ROI_NUMBERS;                                       \
            const real *x = (const real *)job->x->data + (int64_t)box[0] * channels * height * width;                  \
            real *y = (real *)job->y->data + (roi * channels * rows + row) * columns;                                  \
            int64_t top, bottom, left, right;                                                                          \
            find_bin(box[2], box[4], job->scale, row, rows, height, &top, &bottom);                                    \
            for (int64_t column = 0; column < columns; column++) {                                                     \
                find_bin(box[1], box[3], job->scale, column, columns, width, &left, &right);                           \
                for (int64_t c = 0; c < channels; c++)                                                                 \
                    y[c * rows * columns + column] =                                                                   \
                        roi_max_##real(x + c * height * width, width, top, bottom, left, right);                       \
            }                                                                                                          \
        }                                                                                                              \
    }
ROI_TASK(float)
ROI_TASK(double)

static tl_status roi_real(tl_call *call)
{
    roi_job job = {call->inputs[IN_X], call->inputs[IN_ROIS], call->outputs[0], op_float(call, "spatial_scale")};
    for (int64_t i = 0, n = op_elements(job.rois); i < n; i++) {
        const double v = op_load_number(job.rois, i);
        if (!isfinite(v))
            return tl_fail(call, TL_INVALID_INPUT, "region %lld has a number that is not finite",
                           (long long)(i / ROI_NUMBERS));
        if (i % ROI_NUMBERS == 0 && !(v > -1 && v < (double)job.x->dims[0]))
            return tl_fail(call, TL_INVALID_INPUT, "region %lld is of image %g, but there are %lld",
                           (long long)(i / ROI_NUMBERS), v, (long long)job.x->dims[0]);
    }
    const int64_t rows = job.rois->dims[0] * job.y->dims[2], each = nn_min(job.x->dims[1], 1 << 20) * job.x->dims[3];
    if (op_elements(job.y) > 0)
        call->host->parallel_for(call, job.x->type == TL_DOUBLE ? roi_task_double : roi_task_float, &job, rows,
                                 nn_grain(each, 1 << 15));
    return TL_OK;
}

static tl_status roi_run(tl_call *call)
{
    return nn_widen_run(call, 0, roi_real);
}

static const tl_param roi_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("rois", TL_T_FLOATS, 'T')};
static const tl_param roi_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec roi_attribute[] = {
    OP_FLOAT("spatial_scale", 1), {.name = "pooled_shape", .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED}};

OP_DESCRIPTOR(MaxRoiPool, 1) = {OP_HEAD(MaxRoiPool, 1),
                                OP_PARAMS(input, roi_input),
                                OP_PARAMS(output, roi_output),
                                OP_PARAMS(attribute, roi_attribute),
                                .flags = TL_OP_LONG,
                                .reshape = roi_reshape,
                                .run = roi_run};
