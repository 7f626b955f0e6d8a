/* Concat. */
#include "onnx/tensor.h"

#define BLOCK_BYTES 16384 /* of whole rows: so few that no copy is cut for threads once more */

static const tl_param ins[] = {OP_VAR("inputs", OP_T_WHOLE, 'T')};
static const tl_param outs[] = {OP_IN("concat_result", OP_T_WHOLE, 'T')};
static const tl_attribute_spec attrs[] = {OP_REQUIRED_INT("axis")};

/* Takes over one input's dimensions: they add up along the axis, and must agree along the others. */
static tl_status add_input(const tl_call *call, size_t k, int32_t axis, tl_tensor *out)
{
    const tl_tensor *in = call->inputs[k];
    if (in->rank != out->rank)
        return tl_fail(call, TL_INVALID_INPUT, "input %zu has rank %d, another one %d", k, in->rank, out->rank);
    for (int32_t i = 0; i < out->rank; i++) {
        tl_dim *dim = &out->dims[i];
        if (i == axis) {
            if (*dim < 0 || in->dims[i] < 0)
                *dim = TL_DIM_UNKNOWN;
            else if (__builtin_add_overflow(*dim, in->dims[i], dim))
                return tl_fail(call, TL_NO_MEMORY, "the sum of the dimensions along axis %d overflows", axis);
        } else if (*dim < 0) {
            *dim = in->dims[i] >= 0 || in->dims[i] == *dim ? in->dims[i] : *dim;
        } else if (in->dims[i] >= 0 && in->dims[i] != *dim) {
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of input %zu is %lld, of another one %lld", i, k,
                           (long long)in->dims[i], (long long)*dim);
        }
    }
    return TL_OK;
}

static tl_status concat_reshape(tl_call *call)
{
    tl_tensor *out = call->outputs[0];
    bool first = true, all_known = true;
    int32_t axis = 0;
    out->rank = TL_RANK_UNKNOWN;
    for (size_t k = 0; k < call->input_count; k++) {
        const tl_tensor *in = call->inputs[k];
        tl_status status = TL_OK;
        if (!in || in->rank == TL_RANK_UNKNOWN) {
            all_known = false;
        } else if (first) {
            first = false;
            status = op_axis(call, "axis", op_int(call, "axis"), in->rank, &axis);
            op_copy_shape(out, in);
        } else {
            status = add_input(call, k, axis, out);
        }
        if (status)
            return status;
    }
    if (!all_known && out->rank != TL_RANK_UNKNOWN)
        out->dims[axis] = TL_DIM_UNKNOWN;
    return TL_OK;
}

typedef struct concat_job {
    tl_call *call;
    int32_t axis;
    int64_t inner, stride; /* bytes of one index along the axis, and of a row */
    int64_t together;      /* rows */
} concat_job;

/* All inputs of some rows: what of them lies between each other goes to memory together. */
static void concat_rows(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const concat_job *job = context;
    (void)thread;
    for (int64_t row = begin, rows; row < end; row += rows) {
        char *to = (char *)job->call->outputs[0]->data + row * job->stride;
        rows = end - row < job->together ? end - row : job->together;
        for (size_t k = 0; k < job->call->input_count; k++) {
            const tl_tensor *in = job->call->inputs[k];
            const int64_t bytes = in->dims[job->axis] * job->inner;
            op_copy_rows(job->call, to, job->stride, (const char *)in->data + row * bytes, bytes, rows, bytes);
            to += bytes;
        }
    }
}

static tl_status concat_run(tl_call *call)
{
    const tl_tensor *out = call->outputs[0];
    int32_t axis;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), out->rank, &axis);
    if (status || op_elements(out) == 0)
        return status;
    const int64_t rows = op_product(out, 0, axis);
    concat_job job = {.call = call, .axis = axis, .together = rows};
    job.inner = op_product(out, axis + 1, out->rank) * (int64_t)op_type_size(out->type);
    job.stride = out->dims[axis] * job.inner;
    if (job.stride > 2 * BLOCK_BYTES) { /* each copy is cut */
        concat_rows(&job, 0, rows, 0);
        return TL_OK;
    }
    job.together = BLOCK_BYTES / job.stride + 1;
    call->host->parallel_for(call, concat_rows, &job, rows, op_even_grain(call, rows, 4 * BLOCK_BYTES / job.stride));
    return TL_OK;
}

OP_DESCRIPTOR(Concat, 4) = {OP_HEAD(Concat, 4),          OP_PARAMS(input, ins),     OP_PARAMS(output, outs),
                            OP_PARAMS(attribute, attrs), .reshape = concat_reshape, .run = concat_run,
                            .reach = op_reach_beside};
