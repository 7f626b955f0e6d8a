/* Det: determinants of square matrices, by elimination with the largest pivot of each column. */
#include "onnx/number.h"
#include "onnx/tensor.h"

static const tl_param ins[] = {OP_IN("X", TL_T_FLOATS, 'T')};
static const tl_param outs[] = {OP_IN("Y", TL_T_FLOATS, 'T')};

static tl_status det_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    if (x->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    if (x->rank < 2)
        return tl_fail(call, TL_INVALID_INPUT, "the input has rank %d, but must have 2 or more", x->rank);
    tl_dim rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
    if (rows >= 0 && columns >= 0 && rows != columns)
        return tl_fail(call, TL_INVALID_INPUT, "matrices of %lld by %lld are not square", (long long)rows,
                       (long long)columns);
    out->rank = x->rank - 2;
    memcpy(out->dims, x->dims, (size_t)out->rank * sizeof out->dims[0]);
    size_t elements;
    if (rows >= 0 && (__builtin_mul_overflow((size_t)rows, (size_t)rows, &elements) ||
                      __builtin_mul_overflow(elements, sizeof(double), &call->workspace_size)))
        return tl_fail(call, TL_NO_MEMORY, "the workspace overflows");
    return TL_OK;
}

static double eliminate(double *a, int64_t n)
{
    double det = 1;
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = c;
        for (int64_t r = c + 1; r < n; r++)
            if (fabs(a[r * n + c]) > fabs(a[pivot * n + c]))
                pivot = r;
        for (int64_t k = c; pivot != c && k < n; k++) {
            double swap = a[c * n + k];
            a[c * n + k] = a[pivot * n + k];
            a[pivot * n + k] = swap;
        }
        det *= pivot == c ? a[c * n + c] : -a[c * n + c];
        if (a[c * n + c] == 0)
            return 0;
        for (int64_t r = c + 1; r < n; r++) {
            double factor = a[r * n + c] / a[c * n + c];
            for (int64_t k = c + 1; k < n; k++)
                a[r * n + k] -= factor * a[c * n + k];
        }
    }
    return det;
}

static tl_status det_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *out = call->outputs[0];
    int64_t n = x->dims[x->rank - 1], count = op_elements(out);
    double *a = call->workspace;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = 0; k < n * n; k++)
            a[k] = op_load_number(x, i * n * n + k);
        op_store_number(out, i, eliminate(a, n));
    }
    return TL_OK;
}

OP_DESCRIPTOR(Det, 11) = {OP_HEAD(Det, 11), OP_PARAMS(input, ins), OP_PARAMS(output, outs), .reshape = det_reshape,
                          .run = det_run};
