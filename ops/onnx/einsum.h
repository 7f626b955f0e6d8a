/* What Einsum's two files share: einsum.c reads the equation, einsum_run.c computes. */
#ifndef TL_OP_EINSUM_H
#define TL_OP_EINSUM_H

#include "onnx/tensor.h"

#define EINSUM_MAX_OPERANDS 16
#define EINSUM_MAX_RANK     OP_COPY_RANK /* labels of one term, and of what lies between two contractions */
#define EINSUM_LETTERS      52
#define EINSUM_LABELS       (EINSUM_LETTERS + EINSUM_MAX_RANK)
#define EINSUM_NO_SIZE      INT64_MIN /* of a label that no operand has */

typedef struct einsum_term {
    int rank;
    int8_t labels[EINSUM_MAX_RANK];
} einsum_term;

typedef struct einsum_plan {
    int count; /* of operands */
    int dots;  /* axes that an ellipsis stands for */
    bool unknown;
    einsum_term terms[EINSUM_MAX_OPERANDS], output;
    tl_dim sizes[EINSUM_LABELS];
} einsum_plan;

/* Asks for the workspace. All dimensions are known. */
tl_status einsum_prepare(tl_call *call, const einsum_plan *plan);
tl_status einsum_compute(tl_call *call, const einsum_plan *plan);

#endif
