/* Col2Im: adds up blocks that overlap, what a convolution's gradient does; for any number of spatial axes. */
#include <complex.h>

#include "onnx/conv.h"
#include "onnx/tensor.h"

enum { IN_COLUMNS, IN_IMAGE, IN_BLOCK };

typedef struct col2im_shape {
    int32_t spatial;
    int64_t taps; /* of a block */
    int64_t image[CONV_MAX_SPATIAL], blocks[CONV_MAX_SPATIAL], pads[CONV_MAX_SPATIAL];
    conv_window window;
} col2im_shape;

/* Blocks along all axes, which must be as many as the input has; needs image and block shapes. */
static tl_status count_blocks(const tl_call *call, col2im_shape *s)
{
    int64_t total = 1, unused;
    s->taps = 1;
    for (int32_t i = 0; i < s->spatial; i++) {
        if (s->image[i] < 0 || s->window.kernel[i] < 1)
            return tl_fail(call, TL_INVALID_INPUT, "image_shape[%d] is %lld and block_shape[%d] is %lld", i,
                           (long long)s->image[i], i, (long long)s->window.kernel[i]);
        tl_status status = conv_axis(call, &s->window, i, s->image[i], &s->blocks[i], &s->pads[i], &unused);
        if (status != TL_OK)
            return status;
        if (!nn_mul(total, s->blocks[i], &total) || !nn_mul(s->taps, s->window.kernel[i], &s->taps))
            return tl_fail(call, TL_INVALID_INPUT, "image_shape or block_shape is too large");
    }
    return nn_check_dim(call, IN_COLUMNS, 2, total, "the number of blocks in the image");
}

/* Fills in what is known, and the output's shape. */
static tl_status col2im_sizes(const tl_call *call, col2im_shape *s, int32_t *rank, tl_dim *dims)
{
    const tl_tensor *columns = call->inputs[IN_COLUMNS];
    int64_t count[2], lists[2][CONV_MAX_SPATIAL];
    *rank = TL_RANK_UNKNOWN;
    s->spatial = -1;
    tl_status status = conv_window_parse(call, CONV_DILATIONS | CONV_NO_AUTO_PAD | CONV_NO_KERNEL, &s->window);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_COLUMNS, 3, 3);
    for (size_t k = 0; k < 2 && status == TL_OK; k++) {
        const tl_tensor *list = call->inputs[IN_IMAGE + k];
        status = op_index_list(call, IN_IMAGE + k, lists[k], CONV_MAX_SPATIAL, &count[k]);
        if (status != TL_OK || list->rank != 1 || list->dims[0] < 0)
            continue;
        if (list->dims[0] == 0 || (s->spatial >= 0 && s->spatial != list->dims[0]))
            return tl_fail(call, TL_INVALID_INPUT,
                           "image_shape and block_shape must have a number for each spatial axis");
        s->spatial = (int32_t)list->dims[0];
    }
    if (status != TL_OK || s->spatial < 0)
        return status;
    status = conv_window_check(call, &s->window, s->spatial);
    if (status != TL_OK)
        return status;
    *rank = s->spatial + 2;
    dims[0] = columns->rank == 3 ? columns->dims[0] : TL_DIM_UNKNOWN;
    dims[1] = TL_DIM_UNKNOWN;
    for (int32_t i = 0; i < s->spatial; i++) {
        dims[i + 2] = s->image[i] = count[0] < 0 ? TL_DIM_UNKNOWN : lists[0][i];
        if (count[1] >= 0)
            s->window.kernel[i] = lists[1][i];
    }
    if (count[0] >= 0 && count[1] >= 0)
        status = count_blocks(call, s);
    if (status != TL_OK || count[0] < 0 || count[1] < 0 || columns->rank != 3 || columns->dims[1] < 0)
        return status;
    if (columns->dims[1] % s->taps != 0)
        return tl_fail(call, TL_INVALID_INPUT, "dimension 1 is %lld, which is no multiple of a block's %lld elements",
                       (long long)columns->dims[1], (long long)s->taps);
    dims[1] = columns->dims[1] / s->taps;
    return TL_OK;
}

static tl_status col2im_reshape(tl_call *call)
{
    col2im_shape shape;
    tl_tensor *y = call->outputs[0];
    tl_status status = col2im_sizes(call, &shape, &y->rank, y->dims);
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    return status;
}

/* ---- Run */

typedef struct col2im_job {
    const col2im_shape *shape;
    const void *x;
    void *y;
    int64_t blocks, area; /* of a plane */
} col2im_job;

/* Whether a row of blocks, at `block` on the outer axes, lies in the image with this tap; *row is where. */
static bool find_row(const col2im_shape *s, const int64_t *tap, const int64_t *block, int64_t *row)
{
    *row = 0;
    for (int32_t i = 0; i < s->spatial - 1; i++) {
        const int64_t at = block[i] * s->window.strides[i] + tap[i] * s->window.dilations[i] - s->pads[i];
        if (at < 0 || at >= s->image[i])
            return false;
        *row = *row * s->image[i] + at;
    }
    *row *= s->image[s->spatial - 1];
    return true;
}

/* A task takes planes: images of one channel. */
#define COL2IM_TASK(name, type, operation)                                                        \
    static void col2im_task_##name(void *context, int64_t begin, int64_t end, int32_t thread)     \
    {                                                                                             \
        const col2im_job *job = context;                                                          \
        const col2im_shape *s = job->shape;                                                       \
        const int32_t last = s->spatial - 1;                                                      \
        const int64_t stride = s->window.strides[last], width = s->blocks[last];                  \
        (void)thread;                                                                             \
        for (int64_t plane = begin; plane < end; plane++) {                                       \
            const type *restrict x = (const type *)job->x + plane * s->taps * job->blocks;        \
            type *restrict y = (type *)job->y + plane * job->area;                                \
            int64_t tap[CONV_MAX_SPATIAL] = {0}, block[CONV_MAX_SPATIAL] = {0}, row, first, stop; \
            memset(y, 0, (size_t)job->area * sizeof *y);                                          \
            do {                                                                                  \
                const int64_t at = tap[last] * s->window.dilations[last] - s->pads[last];         \
                conv_taps(at, stride, width, s->image[last], &first, &stop);                      \
                do {                                                                              \
                    type *to = y + at;                                                            \
                    if (find_row(s, tap, block, &row)) {                                          \
                        to += row;                                                                \
                        if (stride == 1)                                                          \
                            for (int64_t l = first; l < stop; l++)                                \
                                to[l] = (type)(to[l] operation x[l]);                             \
                        else                                                                      \
                            for (int64_t l = first; l < stop; l++)                                \
                                to[l * stride] = (type)(to[l * stride] operation x[l]);           \
                    }                                                                             \
                    x += width;                                                                   \
                } while (conv_step(block, s->blocks, last));                                      \
            } while (conv_step(tap, s->window.kernel, s->spatial));                               \
        }                                                                                         \
    }
COL2IM_TASK(f32, float, +)
COL2IM_TASK(f64, double, +)
COL2IM_TASK(c64, float complex, +)
COL2IM_TASK(c128, double complex, +)
COL2IM_TASK(u8, uint8_t, +)
COL2IM_TASK(u16, uint16_t, +)
COL2IM_TASK(u32, uint32_t, +)
COL2IM_TASK(u64, uint64_t, +)
COL2IM_TASK(bool, uint8_t, |)

static tl_task task_for(tl_type type)
{
    switch ((int)type) {
    case TL_FLOAT:
        return col2im_task_f32;
    case TL_DOUBLE:
        return col2im_task_f64;
    case TL_COMPLEX64:
        return col2im_task_c64;
    case TL_COMPLEX128:
        return col2im_task_c128;
    case TL_BOOL:
        return col2im_task_bool;
    case TL_INT8:
    case TL_UINT8:
        return col2im_task_u8;
    case TL_INT16:
    case TL_UINT16:
        return col2im_task_u16;
    case TL_INT32:
    case TL_UINT32:
        return col2im_task_u32;
    default:
        return col2im_task_u64;
    }
}

static tl_status col2im_real(tl_call *call)
{
    col2im_shape shape;
    tl_dim dims[TL_MAX_RANK];
    int32_t rank;
    tl_tensor *y = call->outputs[0];
    tl_status status = col2im_sizes(call, &shape, &rank, dims);
    if (status != TL_OK || op_elements(y) == 0)
        return status;
    col2im_job job = {&shape, call->inputs[IN_COLUMNS]->data, y->data, call->inputs[IN_COLUMNS]->dims[2],
                      op_product(y, 2, y->rank)};
    call->host->parallel_for(call, task_for(y->type), &job, y->dims[0] * y->dims[1],
                             nn_grain(shape.taps * job.blocks, 1 << 15));
    return TL_OK;
}

static tl_status col2im_run(tl_call *call)
{
    return nn_widen_run(call, 0, col2im_real);
}

#define COL2IM_TYPES (OP_T_CLASSIC & ~OP_T_STRING)
static const tl_param col2im_input[] = {OP_IN("input", COL2IM_TYPES, 'T'), OP_IN("image_shape", OP_T_INT64, 0),
                                        OP_IN("block_shape", OP_T_INT64, 0)};
static const tl_param col2im_output[] = {OP_IN("output", COL2IM_TYPES, 'T')};
static const tl_attribute_spec col2im_attribute[] = {OP_INTS("dilations"), OP_INTS("pads"), OP_INTS("strides")};

OP_DESCRIPTOR(Col2Im, 18) = {OP_HEAD(Col2Im, 18),
                             OP_PARAMS(input, col2im_input),
                             OP_PARAMS(output, col2im_output),
                             OP_PARAMS(attribute, col2im_attribute),
                             .reshape = col2im_reshape,
                             .run = col2im_run};
