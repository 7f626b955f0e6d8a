/* Matrices by their diagonals: Trilu, EyeLike. */
#include "onnx/number.h"
#include "onnx/tensor.h"

/* ---- Trilu: one triangle kept, the other zero */

static const tl_param trilu_ins[] = {OP_IN("input", OP_T_CLASSIC, 'T'), OP_OPT("k", OP_T_INT64, 0)};
static const tl_param trilu_outs[] = {OP_IN("output", OP_T_CLASSIC, 'T')};
static const tl_attribute_spec trilu_attrs[] = {OP_INT("upper", 1)};

static tl_status trilu_reshape(tl_call *call)
{
    const tl_tensor *in = call->inputs[0], *k = op_input(call, 1);
    op_copy_shape(call->outputs[0], in);
    if (in->rank != TL_RANK_UNKNOWN && in->rank < 2)
        return tl_fail(call, TL_INVALID_INPUT, "the input has rank %d, but must have 2 or more", in->rank);
    if (k && op_shape_known(k) && op_elements(k) != 1)
        return tl_fail(call, TL_INVALID_INPUT, "k has %lld elements, but must be a scalar", (long long)op_elements(k));
    return TL_OK;
}

static tl_status trilu_run(tl_call *call)
{
    const tl_tensor *in = call->inputs[0], *k = op_input(call, 1);
    if (op_elements(in) == 0)
        return TL_OK;
    int64_t rows = in->dims[in->rank - 2], columns = in->dims[in->rank - 1];
    int64_t matrices = op_product(in, 0, in->rank - 2), diagonal = k ? *(const int64_t *)k->data : 0;
    int64_t size = (int64_t)op_type_size(in->type);
    bool upper = op_int(call, "upper") != 0;
    /* Beyond these nothing changes, and below nothing overflows. */
    diagonal = diagonal > columns ? columns : diagonal < -rows ? -rows : diagonal;
    for (int64_t row = 0; row < matrices * rows; row++) {
        /* Up to `split` lies the lower triangle, from it on the upper one. */
        int64_t split = row % rows + diagonal + (upper ? 0 : 1);
        split = (split < 0 ? 0 : split > columns ? columns : split) * size;
        const char *from = (const char *)in->data + row * columns * size;
        char *to = (char *)call->outputs[0]->data + row * columns * size;
        size_t low = (size_t)split, high = (size_t)(columns * size - split);
        if (upper) {
            memset(to, 0, low);
            memcpy(to + low, from + low, high);
        } else {
            memcpy(to, from, low);
            memset(to + low, 0, high);
        }
    }
    return TL_OK;
}

OP_DESCRIPTOR(Trilu, 14) = {OP_HEAD(Trilu, 14),
                            OP_PARAMS(input, trilu_ins),
                            OP_PARAMS(output, trilu_outs),
                            OP_PARAMS(attribute, trilu_attrs),
                            .reshape = trilu_reshape,
                            .run = trilu_run};

/* ---- EyeLike */

#define EYE_TYPES (TL_T_NUMERIC | OP_T_BOOL)
static const tl_param eye_ins[] = {OP_IN("input", EYE_TYPES, 0)};
static const tl_param eye_outs[] = {OP_IN("output", EYE_TYPES, 0)};
static const tl_attribute_spec eye_attrs[] = {OP_INT("dtype", 0), OP_INT("k", 0)};

static tl_status eye_reshape(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int64_t type = op_given(call, "dtype") ? op_int(call, "dtype") : (int64_t)in->type;
    if (type < 0 || type >= TL_TYPE_COUNT || (type > 0 && !(TL_T(type) & EYE_TYPES)))
        return tl_fail(call, TL_INVALID_MODEL, "dtype is %lld, which EyeLike does not have", (long long)type);
    out->type = (tl_type)type;
    op_copy_shape(out, in);
    if (in->rank != TL_RANK_UNKNOWN && in->rank != 2)
        return tl_fail(call, TL_INVALID_INPUT, "the input has rank %d, but must have 2", in->rank);
    return TL_OK;
}

static tl_status eye_run(tl_call *call)
{
    const tl_tensor *out = call->outputs[0];
    int64_t rows = out->dims[0], columns = out->dims[1], k = op_int(call, "k");
    if (op_elements(out) == 0)
        return TL_OK;
    memset(out->data, 0, (size_t)op_bytes(out->type, op_elements(out)));
    if (k >= columns || k <= -rows)
        return TL_OK;
    for (int64_t row = k < 0 ? -k : 0; row < rows && row + k < columns; row++)
        op_store_number(out, row * columns + row + k, 1);
    return TL_OK;
}

OP_DESCRIPTOR(EyeLike, 9) = {OP_HEAD(EyeLike, 9),
                             .flags = TL_OP_SHAPE_ONLY,
                             OP_PARAMS(input, eye_ins),
                             OP_PARAMS(output, eye_outs),
                             OP_PARAMS(attribute, eye_attrs),
                             .reshape = eye_reshape,
                             .run = eye_run};
