/* Gather, GatherElements, GatherND: elements by index. Indices count from the end if negative, and are checked before
 * an element is read. */
#include <stdatomic.h>

#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("data", OP_T_WHOLE, 'T'), OP_IN("indices", TL_T_INDEX, 0)};
static const tl_param ins_nd[] = {OP_IN("data", OP_T_WHOLE, 'T'), OP_IN("indices", OP_T_INT64, 0)};
static const tl_param outs[] = {OP_IN("output", OP_T_WHOLE, 'T')};
static const tl_attribute_spec axis_attrs[] = {OP_INT("axis", 0)};
static const tl_attribute_spec nd_attrs[] = {OP_INT("batch_dims", 0)};

#define PIECE_BYTES 32768 /* a piece of a parallel loop moves about this much */

static int64_t grain_for(int64_t bytes)
{
    return bytes >= PIECE_BYTES ? 1 : PIECE_BYTES / (bytes > 0 ? bytes : 1);
}

static void parallel(tl_call *call, tl_task task, void *job, int64_t range, int64_t bytes_each)
{
    int64_t grain = grain_for(bytes_each);
    if (range > grain && call->thread_count > 1)
        call->host->parallel_for(call, task, job, range, grain);
    else
        task(job, 0, range, 0);
}

/* Copies one run of bytes; the lengths of single elements without a call. */
static inline void move(char *to, const char *from, int64_t bytes)
{
    if (bytes == 4)
        memcpy(to, from, 4);
    else if (bytes == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, (size_t)bytes);
}

/* ---- Gather: whole slices of one axis */

static tl_status gather_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *indices = call->inputs[1];
    tl_tensor *out = call->outputs[0];
    int32_t axis;
    out->rank = TL_RANK_UNKNOWN;
    if (data->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), data->rank, &axis);
    if (status || indices->rank == TL_RANK_UNKNOWN)
        return status;
    if (data->rank - 1 + indices->rank > TL_MAX_RANK)
        return tl_fail(call, TL_UNSUPPORTED, "the result has rank %d, but at most %d is supported",
                       data->rank - 1 + indices->rank, TL_MAX_RANK);
    out->rank = 0;
    for (int32_t i = 0; i < axis; i++)
        out->dims[out->rank++] = data->dims[i];
    for (int32_t i = 0; i < indices->rank; i++)
        out->dims[out->rank++] = indices->dims[i];
    for (int32_t i = axis + 1; i < data->rank; i++)
        out->dims[out->rank++] = data->dims[i];
    return TL_OK;
}

typedef struct gather_job {
    const tl_tensor *indices;
    char *to;
    const char *from;
    int64_t count; /* of indices */
    int64_t dim;   /* of the axis */
    int64_t bytes; /* of a slice */
} gather_job;

static void gather_slices(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const gather_job *job = context;
    int64_t outer = begin / job->count, k = begin % job->count;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        int64_t index = op_index(job->indices, k);
        index += index < 0 ? job->dim : 0;
        move(job->to + i * job->bytes, job->from + (outer * job->dim + index) * job->bytes, job->bytes);
        if (++k == job->count) {
            k = 0;
            outer++;
        }
    }
}

static tl_status gather_run(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *indices = call->inputs[1], *out = call->outputs[0];
    int32_t axis;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), data->rank, &axis);
    if (!status)
        status = op_check_indices(call, indices, data->dims[axis]);
    if (status || op_elements(out) == 0)
        return status;
    int64_t outer = op_product(data, 0, axis);
    gather_job job = {.indices = indices,
                      .to = out->data,
                      .from = data->data,
                      .count = op_elements(indices),
                      .dim = data->dims[axis],
                      .bytes = op_product(data, axis + 1, data->rank) * (int64_t)op_type_size(data->type)};
    parallel(call, gather_slices, &job, outer * job.count, job.bytes);
    return TL_OK;
}

OP_DESCRIPTOR(Gather, 1) = {
    OP_HEAD(Gather, 1),        OP_PARAMS(input, ins), OP_PARAMS(output, outs), OP_PARAMS(attribute, axis_attrs),
    .reshape = gather_reshape, .run = gather_run,     .reach = op_reach_first};

/* ---- GatherElements: for every index one element, at the index's own place along the other axes */

static tl_status elements_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *indices = call->inputs[1];
    int32_t axis;
    op_copy_shape(call->outputs[0], indices);
    if (data->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), data->rank, &axis);
    if (status || indices->rank == TL_RANK_UNKNOWN)
        return status;
    if (indices->rank != data->rank)
        return tl_fail(call, TL_INVALID_INPUT, "indices have rank %d, data %d", indices->rank, data->rank);
    for (int32_t i = 0; i < data->rank; i++)
        if (i != axis && data->dims[i] >= 0 && indices->dims[i] > data->dims[i])
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of indices is %lld, of data %lld", i,
                           (long long)indices->dims[i], (long long)data->dims[i]);
    return TL_OK;
}

typedef struct elements_job {
    const tl_tensor *data, *indices;
    char *to;
    bool last; /* axis */
    int64_t size, row;
    int64_t strides[TL_MAX_RANK]; /* of data, in elements; that of the axis 0 */
    int64_t axis_stride, dim;
    atomic_bool outside; /* an index was out of range */
} elements_job;

/* A row of n elements for as many indices, until one is out of range, which gives false. Along the last axis an index
 * alone says where an element lies, along another the place in the row does as well. */
#define PICK(next, move)                      \
    for (int64_t k = 0; k < n; k++) {         \
        int64_t index = (next);               \
        if (index < 0)                        \
            index += dim;                     \
        if ((uint64_t)index >= (uint64_t)dim) \
            return false;                     \
        move;                                 \
    }                                         \
    break
#define FAST(T)                                                 \
    if (job->last) {                                            \
        PICK(wide[k], ((T *)to)[k] = ((const T *)from)[index]); \
    }                                                           \
    PICK(wide[k], ((T *)to)[k] = ((const T *)from)[k + index * axis_stride])

static bool pick(const elements_job *job, int64_t row, const char *from)
{
    const int64_t n = job->row, axis_stride = job->axis_stride, size = job->size, dim = job->dim;
    const int64_t *wide = (const int64_t *)job->indices->data + row * n;
    char *to = job->to + row * n * size;
    switch (job->indices->type == TL_INT64 ? size : 0) {
    case 4:
        FAST(uint32_t);
    case 8:
        FAST(uint64_t);
    default:
        PICK(op_index(job->indices, row * n + k),
             move(to + k * size, from + ((job->last ? 0 : k) + index * axis_stride) * size, size));
    }
    return true;
}

/* Rows of the last axis. */
static void gather_rows(void *context, int64_t begin, int64_t end, int32_t thread)
{
    elements_job *job = context;
    const tl_tensor *indices = job->indices;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        int64_t at = 0, rest = row;
        for (int32_t i = indices->rank - 2; i >= 0 && rest > 0; i--) {
            at += rest % indices->dims[i] * job->strides[i];
            rest /= indices->dims[i];
        }
        if (!pick(job, row, (const char *)job->data->data + at * job->size))
            atomic_store_explicit(&job->outside, true, memory_order_relaxed);
    }
}

static tl_status elements_run(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *indices = call->inputs[1];
    elements_job job = {.data = data, .indices = indices, .to = call->outputs[0]->data};
    int32_t axis;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), data->rank, &axis);
    if (status || op_elements(indices) == 0)
        return status;
    job.size = (int64_t)op_type_size(data->type);
    job.dim = data->dims[axis];
    op_strides(data, 1, job.strides);
    job.axis_stride = job.strides[axis];
    job.strides[axis] = 0;
    job.last = axis == data->rank - 1;
    job.row = indices->dims[indices->rank - 1];
    parallel(call, gather_rows, &job, op_elements(indices) / job.row, job.row * job.size);
    return job.outside ? op_check_indices(call, indices, job.dim) : TL_OK; /* which says what is wrong */
}

OP_DESCRIPTOR(GatherElements, 11) = {OP_HEAD(GatherElements, 11), OP_PARAMS(input, ins),
                                     OP_PARAMS(output, outs),     OP_PARAMS(attribute, axis_attrs),
                                     .reshape = elements_reshape, .run = elements_run};

/* ---- GatherND: slices behind index tuples */

static tl_status nd_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *indices = call->inputs[1];
    tl_tensor *out = call->outputs[0];
    int64_t batch = call->host->node_version(call->node) >= 12 ? op_int(call, "batch_dims") : 0;
    out->rank = TL_RANK_UNKNOWN;
    if (batch < 0)
        return tl_fail(call, TL_INVALID_MODEL, "batch_dims is %lld", (long long)batch);
    if (data->rank == TL_RANK_UNKNOWN || indices->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    if (data->rank < 1 || indices->rank < 1)
        return tl_fail(call, TL_INVALID_INPUT, "data of rank %d and indices of rank %d; both must be 1 or more",
                       data->rank, indices->rank);
    if (batch >= data->rank || batch >= indices->rank)
        return tl_fail(call, TL_INVALID_MODEL, "batch_dims is %lld for data of rank %d and indices of rank %d",
                       (long long)batch, data->rank, indices->rank);
    int64_t tuple = indices->dims[indices->rank - 1];
    if (tuple < 0)
        return TL_OK;
    if (tuple > data->rank - batch)
        return tl_fail(call, TL_INVALID_INPUT, "tuples of %lld indices for data of rank %d with batch_dims %lld",
                       (long long)tuple, data->rank, (long long)batch);
    for (int32_t i = 0; i < batch; i++)
        if (data->dims[i] >= 0 && indices->dims[i] >= 0 && data->dims[i] != indices->dims[i])
            return tl_fail(call, TL_INVALID_INPUT, "batch dimension %d is %lld in data, %lld in indices", i,
                           (long long)data->dims[i], (long long)indices->dims[i]);
    int32_t kept = (int32_t)(batch + tuple);
    if (indices->rank - 1 + data->rank - kept > TL_MAX_RANK)
        return tl_fail(call, TL_UNSUPPORTED, "the result has rank %d, but at most %d is supported",
                       indices->rank - 1 + data->rank - kept, TL_MAX_RANK);
    out->rank = 0;
    for (int32_t i = 0; i < indices->rank - 1; i++)
        out->dims[out->rank++] = indices->dims[i];
    for (int32_t i = kept; i < data->rank; i++)
        out->dims[out->rank++] = data->dims[i];
    return TL_OK;
}

typedef struct nd_job {
    const int64_t *indices;
    char *to;
    const char *from;
    int64_t batch_count; /* tuples per batch */
    int64_t batch_bytes;
    int64_t tuple, bytes; /* of a slice */
    const int64_t *dims;  /* of the indexed axes */
    const int64_t *strides;
} nd_job;

static void gather_tuples(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const nd_job *job = context;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        const char *from = job->from + i / job->batch_count * job->batch_bytes;
        const int64_t *index = job->indices + i * job->tuple;
        for (int64_t k = 0; k < job->tuple; k++)
            from += (index[k] + (index[k] < 0 ? job->dims[k] : 0)) * job->strides[k];
        move(job->to + i * job->bytes, from, job->bytes);
    }
}

static tl_status nd_run(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *indices = call->inputs[1], *out = call->outputs[0];
    int32_t batch = call->host->node_version(call->node) >= 12 ? (int32_t)op_int(call, "batch_dims") : 0;
    int64_t tuple = indices->dims[indices->rank - 1], strides[TL_MAX_RANK];
    tl_status status = op_check_tuples(call, indices, data->dims + batch, tuple);
    if (status || op_elements(out) == 0)
        return status;
    int64_t size = (int64_t)op_type_size(data->type), count = op_product(indices, 0, indices->rank - 1);
    op_strides(data, (size_t)size, strides);
    nd_job job = {.indices = indices->data,
                  .to = out->data,
                  .from = data->data,
                  .batch_count = op_product(indices, batch, indices->rank - 1),
                  .batch_bytes = op_product(data, batch, data->rank) * size,
                  .tuple = tuple,
                  .bytes = op_product(data, batch + (int32_t)tuple, data->rank) * size,
                  .dims = data->dims + batch,
                  .strides = strides + batch};
    parallel(call, gather_tuples, &job, count, job.bytes);
    return TL_OK;
}

OP_DESCRIPTOR(GatherND, 11) = {OP_HEAD(GatherND, 11), OP_PARAMS(input, ins_nd), OP_PARAMS(output, outs),
                               .reshape = nd_reshape, .run = nd_run};
OP_DESCRIPTOR(GatherND, 12) = {OP_HEAD(GatherND, 12),          OP_PARAMS(input, ins_nd), OP_PARAMS(output, outs),
                               OP_PARAMS(attribute, nd_attrs), .reshape = nd_reshape,    .run = nd_run};
