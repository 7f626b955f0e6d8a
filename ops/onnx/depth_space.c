/* DepthToSpace (1; 11 adds mode) and SpaceToDepth (1; 28 adds mode): elements of any type change places. */
#include "onnx/nn.h"

static size_t element_size(tl_type type)
{
    return type == TL_STRING || type == TL_COMPLEX128 ? 16 : nn_type_size(type);
}

/* How both see the larger plane: block row i and column j of channel c lie at depth c * channel + (i * b + j) * offset.
 */
typedef struct space_layout {
    int64_t block, channel, offset;
} space_layout;

static tl_status space_reshape(tl_call *call, bool to_space)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *y = call->outputs[0];
    const int64_t block = op_int(call, "blocksize");
    const bool has_mode = call->host->node_version(call->node) >= (to_space ? 11 : 28);
    const char *mode = has_mode ? op_string(call, "mode") : "DCR";
    int64_t square;
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return tl_fail(call, TL_INVALID_MODEL, "mode is '%s', but must be DCR or CRD", mode);
    if (block < 1 || !nn_mul(block, block, &square))
        return tl_fail(call, TL_INVALID_MODEL, "blocksize is %lld, which is no size for a block", (long long)block);
    tl_status status = nn_check_rank(call, 0, 4, 4);
    if (status != TL_OK || x->rank == TL_RANK_UNKNOWN)
        return status != TL_OK ? status : op_unknown_shape(call);
    op_copy_shape(y, x);
    for (int32_t i = 1; i < 4; i++) {
        const int64_t by = i == 1 ? square : block;
        const bool divides = (i == 1) == to_space;
        if (x->dims[i] < 0)
            y->dims[i] = block == 1 ? x->dims[i] : TL_DIM_UNKNOWN;
        else if (divides && x->dims[i] % by != 0)
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d is %lld, which blocks of %lld do not divide", i,
                           (long long)x->dims[i], (long long)block);
        else if (divides)
            y->dims[i] = x->dims[i] / by;
        else if (!nn_mul(x->dims[i], by, &y->dims[i]))
            return tl_fail(call, TL_INVALID_MODEL, "blocksize is %lld, which is too large", (long long)block);
    }
    return TL_OK;
}

static tl_status to_space_reshape(tl_call *call)
{
    return space_reshape(call, true);
}

static tl_status to_depth_reshape(tl_call *call)
{
    return space_reshape(call, false);
}

typedef struct space_job {
    const tl_tensor *deep, *wide; /* the tensor with the smaller planes, and the one with the larger */
    const char *from;
    char *to;
    bool to_space;
    space_layout layout;
    size_t size;
} space_job;

/* n elements, `from_step` and `to_step` elements apart. */
static void copy_row(const char *from, int64_t from_step, char *to, int64_t to_step, int64_t n, size_t size)
{
    switch (size) {
    case 1:
        for (int64_t i = 0; i < n; i++)
            to[i * to_step] = from[i * from_step];
        break;
    case 4:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * to_step * 4, from + i * from_step * 4, 4);
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            memcpy(to + (size_t)(i * to_step) * size, from + (size_t)(i * from_step) * size, size);
        break;
    }
}

/* Rows of the larger planes. */
static void space_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const space_job *job = context;
    const space_layout *l = &job->layout;
    const int64_t channels = job->wide->dims[1], height = job->wide->dims[2], width = job->deep->dims[3], b = l->block;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        const int64_t n = at / (channels * height), c = at / height % channels, row = at % height;
        for (int64_t j = 0; j < b; j++) {
            int64_t depth = c * l->channel + (row % b * b + j) * l->offset;
            int64_t deep = ((n * job->deep->dims[1] + depth) * job->deep->dims[2] + row / b) * width;
            int64_t wide = at * width * b + j;
            if (job->to_space)
                copy_row(job->from + (size_t)deep * job->size, 1, job->to + (size_t)wide * job->size, b, width,
                         job->size);
            else
                copy_row(job->from + (size_t)wide * job->size, b, job->to + (size_t)deep * job->size, 1, width,
                         job->size);
        }
    }
}

static tl_status space_run(tl_call *call, bool to_space)
{
    const tl_tensor *x = call->inputs[0], *y = call->outputs[0];
    const bool has_mode = call->host->node_version(call->node) >= (to_space ? 11 : 28);
    const int64_t block = op_int(call, "blocksize");
    space_job job = {.deep = to_space ? x : y,
                     .wide = to_space ? y : x,
                     .from = x->data,
                     .to = y->data,
                     .to_space = to_space,
                     .size = element_size(x->type)};
    const bool channel_first = has_mode && strcmp(op_string(call, "mode"), "CRD") == 0;
    job.layout = (space_layout){block, channel_first ? block * block : 1, channel_first ? 1 : job.wide->dims[1]};
    if (op_elements(x) > 0)
        call->host->parallel_for(call, space_task, &job, op_product(job.wide, 0, 3),
                                 nn_grain(job.wide->dims[3], 1 << 14));
    return TL_OK;
}

static tl_status to_space_run(tl_call *call)
{
    return space_run(call, true);
}

static tl_status to_depth_run(tl_call *call)
{
    return space_run(call, false);
}

#define SPACE_TYPES (TL_T_NUMERIC | TL_T(TL_BOOL) | TL_T(TL_STRING) | TL_T(TL_COMPLEX64) | TL_T(TL_COMPLEX128))
static const tl_param space_input[] = {OP_IN("input", SPACE_TYPES, 'T')};
static const tl_param space_output[] = {OP_IN("output", SPACE_TYPES, 'T')};
static const tl_attribute_spec plain_attribute[] = {OP_REQUIRED_INT("blocksize")};
static const tl_attribute_spec mode_attribute[] = {OP_REQUIRED_INT("blocksize"), OP_STRING("mode", "DCR")};

#define SPACE(name, since, steps, attributes_)                                                            \
    {                                                                                                     \
        OP_HEAD(name, since), OP_PARAMS(input, space_input), OP_PARAMS(output, space_output),             \
            OP_PARAMS(attribute, attributes_##_attribute), .reshape = steps##_reshape, .run = steps##_run \
    }
OP_DESCRIPTOR(DepthToSpace, 1) = SPACE(DepthToSpace, 1, to_space, plain);
OP_DESCRIPTOR(DepthToSpace, 11) = SPACE(DepthToSpace, 11, to_space, mode);
OP_DESCRIPTOR(SpaceToDepth, 1) = SPACE(SpaceToDepth, 1, to_depth, plain);
OP_DESCRIPTOR(SpaceToDepth, 28) = SPACE(SpaceToDepth, 28, to_depth, mode);
