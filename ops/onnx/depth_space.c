/* DepthToSpace (1; 11 adds mode) and SpaceToDepth (1; 28 adds mode): elements of any type change places. */
#include "onnx/nn.h"
#include "onnx/tensor.h"

static tl_status space_reshape(tl_call *call, bool to_space)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *y = call->outputs[0];
    const int64_t block = op_int(call, "blocksize");
    const bool has_mode = call->host->node_version(call->node) >= (to_space ? 11 : 28);
    int64_t square;
    int mode;
    tl_status status = has_mode ? op_word(call, "mode", "DCR CRD", &mode) : TL_OK;
    if (status != TL_OK)
        return status;
    if (block < 1 || !nn_mul(block, block, &square))
        return tl_fail(call, TL_INVALID_MODEL, "blocksize is %lld, which is no size for a block", (long long)block);
    status = nn_check_rank(call, 0, 4, 4);
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

static tl_status space_run(tl_call *call, bool to_space)
{
    const tl_tensor *x = call->inputs[0], *y = call->outputs[0];
    const tl_tensor *deep = to_space ? x : y, *wide = to_space ? y : x;
    const bool has_mode = call->host->node_version(call->node) >= (to_space ? 11 : 28);
    const bool channel_first = has_mode && strcmp(op_string(call, "mode"), "CRD") == 0;
    const size_t size = op_type_size(x->type);
    const int64_t block = op_int(call, "blocksize"), channels = wide->dims[1];
    int64_t in_deep[4], in_wide[4];
    op_copy copy;
    if (op_elements(x) == 0)
        return TL_OK;
    op_strides(deep, size, in_deep);
    op_strides(wide, size, in_wide);
    /* Block row i and column j of channel c lie at depth c * channel + (i * block + j) * offset. */
    const int64_t channel = in_deep[1] * (channel_first ? block * block : 1);
    const int64_t offset = in_deep[1] * (channel_first ? 1 : channels);
    enum { BATCH, CHANNEL, BLOCK_ROW, BLOCK_COLUMN, ROW, COLUMN, AXES };
    static const int8_t orders[3][AXES] = {{BATCH, CHANNEL, ROW, BLOCK_ROW, COLUMN, BLOCK_COLUMN},
                                           {BATCH, BLOCK_ROW, BLOCK_COLUMN, CHANNEL, ROW, COLUMN},
                                           {BATCH, CHANNEL, BLOCK_ROW, BLOCK_COLUMN, ROW, COLUMN}};
    const int8_t *order = orders[to_space ? 0 : channel_first ? 2 : 1]; /* of the target */
    const int64_t dims[AXES] = {wide->dims[0], channels, block, block, deep->dims[2], deep->dims[3]};
    const int64_t deeps[AXES] = {in_deep[0], channel, offset * block, offset, in_deep[2], in_deep[3]};
    const int64_t wides[AXES] = {in_wide[0], in_wide[1],         in_wide[2],
                                 in_wide[3], in_wide[2] * block, in_wide[3] * block};
    int64_t ordered[AXES], to[AXES], from[AXES];
    for (int32_t i = 0; i < AXES; i++) {
        ordered[i] = dims[order[i]];
        to[i] = (to_space ? wides : deeps)[order[i]];
        from[i] = (to_space ? deeps : wides)[order[i]];
    }
    op_copy_init(&copy, size, AXES, ordered, to, from);
    op_copy_run(call, &copy, y->data, x->data);
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
