/* The batch of numpy's product of two tensors: which matrix of A meets which of B. */
#ifndef TL_MATRIX_BATCH_H
#define TL_MATRIX_BATCH_H

#include "onnx/op.h"

typedef struct matrix_batch {
    int64_t count; /* of products */
    int32_t rank;
    int64_t dims[TL_MAX_RANK], a_steps[TL_MAX_RANK], b_steps[TL_MAX_RANK]; /* steps in matrices */
} matrix_batch;

/* One product. */
static inline matrix_batch matrix_batch_one(void)
{
    return (matrix_batch){.count = 1};
}

/* That of a * b = out, whose shapes are known. False: there is one B for all, and so one product, in which the rows of
 * every A lie under each other. */
bool matrix_batch_set(matrix_batch *batch, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out);
/* The matrices of A and B that product number `index` is of. */
void matrix_batch_at(const matrix_batch *batch, int64_t index, int64_t *a, int64_t *b);

#endif
