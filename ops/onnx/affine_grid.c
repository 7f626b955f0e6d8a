/* AffineGrid: the places that an affine map moves the elements of an image or a volume to, for GridSample. */
#include "onnx/nn.h"
#include "onnx/number.h"

#define MAX_SPATIAL 3

/* The sizes of the spatial axes as far as known; *spatial is -1 if not even their number is. */
static tl_status grid_sizes(const tl_call *call, int32_t *spatial, tl_dim *sizes)
{
    const tl_tensor *theta = call->inputs[0], *size = call->inputs[1];
    int64_t values[MAX_SPATIAL + 2], count, axes = -1;
    *spatial = -1;
    tl_status status = nn_check_rank(call, 0, 3, 3);
    if (status == TL_OK)
        status = nn_check_rank(call, 1, 1, 1);
    if (status == TL_OK)
        status = op_index_list(call, 1, values, MAX_SPATIAL + 2, &count);
    if (status != TL_OK)
        return status;
    if (theta->rank == 3 && theta->dims[1] >= 0)
        axes = theta->dims[1];
    else if (size->rank == 1 && size->dims[0] >= 0)
        axes = size->dims[0] - 2;
    else
        return TL_OK;
    if (axes < 2 || axes > MAX_SPATIAL)
        return tl_fail(call, TL_INVALID_INPUT, "a grid has 2 or 3 spatial axes, not %lld", (long long)axes);
    *spatial = (int32_t)axes;
    status = nn_check_dim(call, 0, 1, axes, "a row for each coordinate");
    if (status == TL_OK)
        status = nn_check_dim(call, 0, 2, axes + 1, "a row has the factors of all coordinates, and an offset");
    if (status == TL_OK)
        status = nn_check_dim(call, 1, 0, axes + 2, "N, C and the spatial sizes");
    if (status == TL_OK && count >= 0)
        status = nn_check_dim(call, 0, 0, values[0], "N of size");
    for (int64_t i = 0; i < axes && status == TL_OK; i++) {
        sizes[i] = count < 0 ? TL_DIM_UNKNOWN : values[i + 2];
        if (count >= 0 && sizes[i] < 0)
            return tl_fail(call, TL_INVALID_INPUT, "size[%lld] is %lld", (long long)i + 2, (long long)sizes[i]);
    }
    return status;
}

static tl_status affine_reshape(tl_call *call)
{
    tl_tensor *grid = call->outputs[0];
    int32_t spatial = -1;
    tl_status status = grid_sizes(call, &spatial, grid->dims + 1);
    grid->rank = spatial < 0 ? TL_RANK_UNKNOWN : spatial + 2;
    if (status != TL_OK || spatial < 0)
        return status;
    grid->dims[0] = call->inputs[0]->rank == 3 ? call->inputs[0]->dims[0] : TL_DIM_UNKNOWN;
    grid->dims[spatial + 1] = spatial;
    return TL_OK;
}

typedef struct affine_job {
    const tl_tensor *theta, *grid;
    bool align_corners;
} affine_job;

/* Element i of n in [-1, 1]: from centre to centre, or edge to edge. A single element is at the beginning if aligned,
 * as the standard's function has it for the depth. */
static double place(bool align_corners, int64_t i, int64_t n)
{
    if (align_corners)
        return n == 1 ? -1 : -1 + (double)i * (2 / (double)(n - 1));
    return -1 + (2 * (double)i + 1) / (double)n;
}

/* A task takes rows: everything but the innermost axis stands still. */
static void affine_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const affine_job *job = context;
    const tl_tensor *grid = job->grid;
    const int32_t spatial = grid->rank - 2;
    const int64_t width = grid->dims[spatial];
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        double theta[MAX_SPATIAL][MAX_SPATIAL + 1], base[MAX_SPATIAL], at[MAX_SPATIAL];
        int64_t image = row;
        for (int32_t i = spatial - 2; i >= 0; i--) {
            at[i] = place(job->align_corners, image % grid->dims[i + 1], grid->dims[i + 1]);
            image /= grid->dims[i + 1];
        }
        for (int32_t k = 0; k < spatial; k++) {
            for (int32_t j = 0; j <= spatial; j++)
                theta[k][j] = op_load_number(job->theta, (image * spatial + k) * (spatial + 1) + j);
            base[k] = theta[k][spatial];
            for (int32_t i = 0; i < spatial - 1; i++)
                base[k] += theta[k][spatial - 1 - i] * at[i];
        }
        for (int64_t x = 0; x < width; x++) {
            const double position = place(job->align_corners, x, width);
            for (int32_t k = 0; k < spatial; k++)
                op_store_number(grid, (row * width + x) * spatial + k, theta[k][0] * position + base[k]);
        }
    }
}

static tl_status affine_run(tl_call *call)
{
    const tl_tensor *grid = call->outputs[0];
    affine_job job = {call->inputs[0], grid, op_int(call, "align_corners") != 0};
    const int64_t width = grid->dims[grid->rank - 2];
    if (op_elements(grid) > 0)
        call->host->parallel_for(call, affine_task, &job, op_product(grid, 0, grid->rank - 2),
                                 nn_grain(16 * width, 1 << 15));
    return TL_OK;
}

static const tl_param affine_input[] = {OP_IN("theta", TL_T_FLOATS, 'T'), OP_IN("size", TL_T(TL_INT64), 0)};
static const tl_param affine_output[] = {OP_IN("grid", TL_T_FLOATS, 'T')};
static const tl_attribute_spec affine_attribute[] = {OP_INT("align_corners", 0)};

OP_DESCRIPTOR(AffineGrid, 20) = {OP_HEAD(AffineGrid, 20),          OP_PARAMS(input, affine_input),
                                 OP_PARAMS(output, affine_output), OP_PARAMS(attribute, affine_attribute),
                                 .reshape = affine_reshape,        .run = affine_run};
