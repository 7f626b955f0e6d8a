/* The operators that reduce a tensor along axes: which axes, and how the result is gathered. */
#ifndef TL_OP_REDUCE_H
#define TL_OP_REDUCE_H

#include "onnx/convert.h"

/* The input's axes, sorted into those that are kept and those that are reduced, neighbours of a kind joined. The
 * innermost two kinds make the loops that kernels run: `n` reduced elements that lie `columns` apart, for each of
 * `columns` kept ones beside each other (1 if the innermost axis is reduced). */
typedef struct op_reduce_plan {
    int64_t n, columns;
    int32_t kept, reduced; /* axes around these loops, */
    int64_t kept_dims[TL_MAX_RANK], kept_strides[TL_MAX_RANK];
    int64_t reduced_dims[TL_MAX_RANK], reduced_strides[TL_MAX_RANK];
    int64_t rows;  /* product of kept_dims; 0 if there is no output */
    int64_t count; /* elements that make one of the output */
} op_reduce_plan;

/* Elements of the input where row `row` of the output begins. */
static inline int64_t op_reduce_row(const op_reduce_plan *plan, int64_t row)
{
    int64_t at = 0;
    for (int32_t i = plan->kept - 1; i >= 0; i--) {
        at += row % plan->kept_dims[i] * plan->kept_strides[i];
        row /= plan->kept_dims[i];
    }
    return at;
}

typedef enum op_reduce_kind {
    OP_REDUCE_SUM,
    OP_REDUCE_MEAN,
    OP_REDUCE_L1,
    OP_REDUCE_L2,
    OP_REDUCE_SUM_SQUARE,
    OP_REDUCE_LOG_SUM,
    OP_REDUCE_LOG_SUM_EXP,
    OP_REDUCE_PRODUCT,
    OP_REDUCE_MIN,
    OP_REDUCE_MAX
} op_reduce_kind;

/* What the kernels see of a run: input and output, dense; half types in float. In reduce_kernels.c. */
typedef struct op_reduce_job {
    const op_reduce_plan *plan;
    op_reduce_kind kind;
    const void *x;
    void *y;
    int64_t blocks; /* that a row's columns are cut into */
    tl_type type;
} op_reduce_job;

#define OP_REDUCE_COLUMNS 256 /* of a block */

/* Tasks of parallel loops over rows * blocks. */
void op_reduce_f32(void *job, int64_t begin, int64_t end, int32_t thread);
void op_reduce_f64(void *job, int64_t begin, int64_t end, int32_t thread);
void op_reduce_integers(void *job, int64_t begin, int64_t end, int32_t thread); /* where they lie */

#endif
