/* ArrayFeatureExtractor: elements along the last axis, by a list of indices. */
#include "onnx_ml/ml.h"

static tl_status extractor_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *indices = call->inputs[1];
    tl_tensor *out = call->outputs[0];
    tl_status status = nn_check_rank(call, 0, 1, TL_MAX_RANK);
    if (status != TL_OK || x->rank == TL_RANK_UNKNOWN)
        return status;
    op_copy_shape(out, x);
    if (x->rank == 1) { /* a vector is one row */
        out->rank = 2;
        out->dims[0] = 1;
    }
    out->dims[out->rank - 1] =
        indices->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : nn_product(indices, 0, indices->rank);
    return TL_OK;
}

#define EXTRACT(type)                                                                             \
    for (int64_t row = 0; row < rows; row++)                                                      \
        for (int64_t j = 0; j < n; j++)                                                           \
            ((type *)out->data)[row * n + j] = ((const type *)x->data)[row * width + indices[j]]; \
    break

static tl_status extractor_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *out = call->outputs[0];
    const int64_t *indices = call->inputs[1]->data;
    const int64_t width = x->dims[x->rank - 1], n = op_elements(call->inputs[1]);
    const int64_t rows = op_elements(out) == 0 ? 0 : op_product(x, 0, x->rank - 1);
    for (int64_t j = 0; j < n; j++)
        if (indices[j] < 0 || indices[j] >= width)
            return tl_fail(call, TL_INVALID_INPUT, "index %lld is %lld, but must be in [0, %lld)", (long long)j,
                           (long long)indices[j], (long long)width);
    switch ((int)x->type) {
    case TL_STRING:
        EXTRACT(tl_string);
    case TL_FLOAT:
    case TL_INT32:
        EXTRACT(uint32_t);
    default:
        EXTRACT(uint64_t);
    }
    return TL_OK;
}

#define TYPES (ML_NUMBERS | TL_T(TL_STRING))
static const tl_param extractor_input[] = {OP_IN("X", TYPES, 'T'), OP_IN("Y", TL_T(TL_INT64), 0)};
static const tl_param extractor_output[] = {OP_IN("Z", TYPES, 'T')};

OP_DESCRIPTOR(ArrayFeatureExtractor, 1) = {ML_HEAD(ArrayFeatureExtractor, 1), OP_PARAMS(input, extractor_input),
                                           OP_PARAMS(output, extractor_output), .reshape = extractor_reshape,
                                           .run = extractor_run};
