/* ScatterElements, Scatter, ScatterND, TensorScatter: a copy of the data with elements replaced. Indices count from the
 * end if negative, and are all checked before anything is written; they are taken in order, so that the result does
 * not depend on threads even where one place is named twice. */
#include "onnx/reduction.h"
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("data", OP_T_WHOLE, 'T'), OP_IN("indices", TL_T_INDEX, 0),
                               OP_IN("updates", OP_T_WHOLE, 'T')};
static const tl_param ins_nd[] = {OP_IN("data", OP_T_WHOLE, 'T'), OP_IN("indices", OP_T_INT64, 0),
                                  OP_IN("updates", OP_T_WHOLE, 'T')};
static const tl_param outs[] = {OP_IN("output", OP_T_WHOLE, 'T')};
static const tl_attribute_spec axis_attrs[] = {OP_INT("axis", 0)};
static const tl_attribute_spec reduction_attrs[] = {OP_INT("axis", 0), OP_STRING("reduction", "none")};
static const tl_attribute_spec nd_attrs[] = {OP_STRING("reduction", "none")};

/* What an update does with the element that is there; version 16 brought add and mul, version 18 max and min. */
static tl_status read_reduction(const tl_call *call, op_combine *combine)
{
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    int32_t version = call->host->node_version(call->node);
    int count = version >= 18 ? 5 : 3;
    *combine = NULL;
    if (version < 16)
        return TL_OK;
    const char *text = op_string(call, "reduction");
    for (int k = 0; k < count; k++) {
        if (strcmp(text, names[k]) != 0)
            continue;
        if (k == 0)
            return TL_OK;
        *combine = op_combine_for((op_reduction)(k - 1), call->inputs[0]->type);
        return *combine ? TL_OK
                        : tl_fail(call, TL_INVALID_MODEL, "reduction '%s' is not defined for this element type", text);
    }
    return tl_fail(call, TL_INVALID_MODEL, "reduction is '%.40s', which version %d does not have", text, version);
}

static tl_status data_shaped(tl_call *call)
{
    op_combine combine;
    op_copy_shape(call->outputs[0], call->inputs[0]);
    return read_reduction(call, &combine);
}

static inline void put(op_combine combine, char *to, const char *from, int64_t count, int64_t size)
{
    if (combine)
        combine(to, from, count);
    else if (count * size == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, (size_t)(count * size));
}

static void copy_data(tl_call *call)
{
    const tl_tensor *data = call->inputs[0];
    op_copy_bytes(call, call->outputs[0]->data, data->data, op_bytes(data->type, op_elements(data)));
}

/* ---- ScatterElements, and Scatter, as it was called before version 11 */

static tl_status elements_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *indices = call->inputs[1], *updates = call->inputs[2];
    int32_t axis;
    tl_status status = data_shaped(call);
    if (status || data->rank == TL_RANK_UNKNOWN)
        return status;
    status = op_axis(call, "axis", op_int(call, "axis"), data->rank, &axis);
    for (size_t k = 1; !status && k <= 2; k++)
        if (call->inputs[k]->rank != TL_RANK_UNKNOWN && call->inputs[k]->rank != data->rank)
            status =
                tl_fail(call, TL_INVALID_INPUT, "input %zu has rank %d, data %d", k, call->inputs[k]->rank, data->rank);
    if (status || indices->rank == TL_RANK_UNKNOWN)
        return status;
    for (int32_t i = 0; i < data->rank; i++) {
        if (i != axis && data->dims[i] >= 0 && indices->dims[i] > data->dims[i])
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of indices is %lld, of data %lld", i,
                           (long long)indices->dims[i], (long long)data->dims[i]);
        if (updates->rank != TL_RANK_UNKNOWN && indices->dims[i] >= 0 && updates->dims[i] >= 0 &&
            indices->dims[i] != updates->dims[i])
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of indices is %lld, of updates %lld", i,
                           (long long)indices->dims[i], (long long)updates->dims[i]);
    }
    return TL_OK;
}

static tl_status elements_run(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *indices = call->inputs[1];
    int64_t size = (int64_t)op_type_size(data->type), strides[TL_MAX_RANK], at[TL_MAX_RANK] = {0};
    int32_t axis, last = data->rank - 1;
    op_combine combine;
    tl_status status = read_reduction(call, &combine);
    if (!status)
        status = op_axis(call, "axis", op_int(call, "axis"), data->rank, &axis);
    if (!status)
        status = op_check_indices(call, indices, data->dims[axis]);
    if (status || op_elements(data) == 0)
        return status;
    copy_data(call);
    op_strides(data, (size_t)size, strides);
    int64_t axis_stride = strides[axis], dim = data->dims[axis], n = op_elements(indices);
    strides[axis] = 0;
    char *to = call->outputs[0]->data;
    const char *from = call->inputs[2]->data;
    for (int64_t i = 0; i < n; i++) {
        int64_t index = op_index(indices, i);
        put(combine, to + (index < 0 ? index + dim : index) * axis_stride, from + i * size, 1, size);
        for (int32_t k = last; k >= 0; k--) {
            to += strides[k];
            if (++at[k] < indices->dims[k])
                break;
            to -= at[k] * strides[k];
            at[k] = 0;
        }
    }
    return TL_OK;
}

OP_DESCRIPTOR(Scatter, 9) = {OP_HEAD(Scatter, 9),
                             .until_version = 11,
                             OP_PARAMS(input, ins),
                             OP_PARAMS(output, outs),
                             OP_PARAMS(attribute, axis_attrs),
                             .reshape = elements_reshape,
                             .run = elements_run};
OP_DESCRIPTOR(ScatterElements, 11) = {OP_HEAD(ScatterElements, 11), OP_PARAMS(input, ins),
                                      OP_PARAMS(output, outs),      OP_PARAMS(attribute, axis_attrs),
                                      .reshape = elements_reshape,  .run = elements_run};
OP_DESCRIPTOR(ScatterElements, 16) = {OP_HEAD(ScatterElements, 16), OP_PARAMS(input, ins),
                                      OP_PARAMS(output, outs),      OP_PARAMS(attribute, reduction_attrs),
                                      .reshape = elements_reshape,  .run = elements_run};

/* ---- ScatterND: slices behind index tuples */

static tl_status nd_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *indices = call->inputs[1], *updates = call->inputs[2];
    tl_status status = data_shaped(call);
    if (status || data->rank == TL_RANK_UNKNOWN || indices->rank == TL_RANK_UNKNOWN)
        return status;
    if (data->rank < 1 || indices->rank < 1)
        return tl_fail(call, TL_INVALID_INPUT, "data of rank %d and indices of rank %d; both must be 1 or more",
                       data->rank, indices->rank);
    int64_t tuple = indices->dims[indices->rank - 1];
    if (tuple > data->rank)
        return tl_fail(call, TL_INVALID_INPUT, "tuples of %lld indices for data of rank %d", (long long)tuple,
                       data->rank);
    if (tuple < 0 || updates->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    int32_t outer = indices->rank - 1, rank = outer + data->rank - (int32_t)tuple;
    if (updates->rank != rank)
        return tl_fail(call, TL_INVALID_INPUT, "updates have rank %d, but must have %d", updates->rank, rank);
    for (int32_t i = 0; i < rank; i++) {
        tl_dim dim = i < outer ? indices->dims[i] : data->dims[i - outer + tuple];
        if (dim >= 0 && updates->dims[i] >= 0 && dim != updates->dims[i])
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of updates is %lld, but must be %lld", i,
                           (long long)updates->dims[i], (long long)dim);
    }
    return TL_OK;
}

static tl_status nd_run(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *indices = call->inputs[1];
    int64_t tuple = indices->dims[indices->rank - 1], strides[TL_MAX_RANK], size = (int64_t)op_type_size(data->type);
    op_combine combine;
    tl_status status = read_reduction(call, &combine);
    if (!status)
        status = op_check_tuples(call, indices, data->dims, tuple);
    if (status || op_elements(data) == 0)
        return status;
    copy_data(call);
    if (op_elements(call->inputs[2]) == 0)
        return TL_OK;
    op_strides(data, (size_t)size, strides);
    int64_t slice = op_product(data, (int32_t)tuple, data->rank);
    int64_t count = op_product(indices, 0, indices->rank - 1);
    const int64_t *index = indices->data;
    const char *from = call->inputs[2]->data;
    for (int64_t i = 0; i < count; i++, index += tuple, from += slice * size) {
        char *to = call->outputs[0]->data;
        for (int64_t k = 0; k < tuple; k++)
            to += (index[k] + (index[k] < 0 ? data->dims[k] : 0)) * strides[k];
        put(combine, to, from, slice, size);
    }
    return TL_OK;
}

OP_DESCRIPTOR(ScatterND, 11) = {OP_HEAD(ScatterND, 11), OP_PARAMS(input, ins_nd), OP_PARAMS(output, outs),
                                .reshape = nd_reshape, .run = nd_run};
OP_DESCRIPTOR(ScatterND, 16) = {OP_HEAD(ScatterND, 16),         OP_PARAMS(input, ins_nd), OP_PARAMS(output, outs),
                                OP_PARAMS(attribute, nd_attrs), .reshape = nd_reshape,    .run = nd_run};

/* ---- TensorScatter: new steps into a cache, one place per batch item */

#define CACHE_TYPES (OP_T_WHOLE | TL_T(TL_UINT4) | TL_T(TL_INT4) | TL_T(TL_FLOAT4E2M1))
static const tl_param cache_ins[] = {OP_IN("past_cache", CACHE_TYPES, 'T'), OP_IN("update", CACHE_TYPES, 'T'),
                                     OP_OPT("write_indices", OP_T_INT64, 0)};
static const tl_param cache_outs[] = {OP_IN("present_cache", CACHE_TYPES, 'T')};
static const tl_attribute_spec cache_attrs[] = {OP_INT("axis", -2), OP_STRING("mode", "linear")};

static tl_status cache_axis(const tl_call *call, int32_t rank, int32_t *axis, bool *circular)
{
    const char *mode = op_string(call, "mode");
    *circular = strcmp(mode, "circular") == 0;
    if (!*circular && strcmp(mode, "linear") != 0)
        return tl_fail(call, TL_INVALID_MODEL, "mode is '%.40s', but must be linear or circular", mode);
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), rank, axis);
    if (!status && *axis == 0)
        status = tl_fail(call, TL_INVALID_MODEL, "axis is 0, which is the batch's");
    return status;
}

static tl_status cache_reshape(tl_call *call)
{
    const tl_tensor *past = call->inputs[0], *update = call->inputs[1], *places = op_input(call, 2);
    int32_t axis = 0;
    bool circular;
    op_copy_shape(call->outputs[0], past);
    if (past->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    tl_status status = cache_axis(call, past->rank, &axis, &circular);
    if (status || update->rank == TL_RANK_UNKNOWN)
        return status;
    if (update->rank != past->rank)
        return tl_fail(call, TL_INVALID_INPUT, "update has rank %d, past_cache %d", update->rank, past->rank);
    for (int32_t i = 0; i < past->rank; i++) {
        tl_dim a = past->dims[i], b = update->dims[i];
        if (a >= 0 && b >= 0 && (i == axis ? b > a : a != b))
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of update is %lld, of past_cache %lld", i,
                           (long long)b, (long long)a);
    }
    if (places && places->rank != TL_RANK_UNKNOWN &&
        (places->rank != 1 || (places->dims[0] >= 0 && past->dims[0] >= 0 && places->dims[0] != past->dims[0])))
        return tl_fail(call, TL_INVALID_INPUT, "write_indices must have one element per batch item");
    return TL_OK;
}

/* Copies n elements of a type between places counted in elements; two of 4 bits share a byte. */
static void copy_elements(tl_type type, void *to, int64_t to_at, const void *from, int64_t from_at, int64_t n)
{
    if (op_type_bits(type) >= 8 || (to_at % 2 == 0 && from_at % 2 == 0 && n % 2 == 0)) {
        if (n > 0)
            memcpy((char *)to + op_bytes(type, to_at), (const char *)from + op_bytes(type, from_at),
                   (size_t)op_bytes(type, n));
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const unsigned element = ((const uint8_t *)from)[(from_at + i) / 2] >> (from_at + i) % 2 * 4 & 15U;
        uint8_t *byte = (uint8_t *)to + (to_at + i) / 2;
        *byte = (uint8_t)((to_at + i) % 2 ? (*byte & 15U) | element << 4 : (*byte & 0xf0U) | element);
    }
}

static tl_status cache_run(tl_call *call)
{
    const tl_tensor *past = call->inputs[0], *update = call->inputs[1], *places = op_input(call, 2);
    int32_t axis = 0;
    bool circular;
    tl_status status = cache_axis(call, past->rank, &axis, &circular);
    if (status || op_elements(past) == 0)
        return status;
    int64_t batch = past->dims[0], length = past->dims[axis], steps = update->dims[axis];
    for (int64_t n = 0; places && n < batch; n++) {
        int64_t at = ((const int64_t *)places->data)[n];
        if (at < 0 || (!circular && at > length - steps))
            return tl_fail(call, TL_INVALID_INPUT, "write_indices[%lld] is %lld for %lld steps into %lld", (long long)n,
                           (long long)at, (long long)steps, (long long)length);
    }
    copy_data(call);
    const int64_t unit = op_product(past, axis + 1, past->rank), rows = op_product(past, 1, axis);
    void *to = call->outputs[0]->data;
    for (int64_t n = 0; n < batch; n++) {
        int64_t at = places ? ((const int64_t *)places->data)[n] % length : 0;
        int64_t first = steps < length - at ? steps : length - at;
        for (int64_t row = n * rows; row < (n + 1) * rows; row++) {
            const int64_t begin = row * length * unit, from = row * steps * unit;
            copy_elements(past->type, to, begin + at * unit, update->data, from, first * unit);
            copy_elements(past->type, to, begin, update->data, from + first * unit, (steps - first) * unit);
        }
    }
    return TL_OK;
}

OP_DESCRIPTOR(TensorScatter, 24) = {OP_HEAD(TensorScatter, 24),    OP_PARAMS(input, cache_ins),
                                    OP_PARAMS(output, cache_outs), OP_PARAMS(attribute, cache_attrs),
                                    .reshape = cache_reshape,      .run = cache_run};
