/* The standard's matrix products, shared by MatMul, Gemm and the quantized forms. */
#ifndef TL_MATMUL_H
#define TL_MATMUL_H

#include "onnx/nn.h"

/* The shape of A times B, by numpy's rules: vectors count as a row or a column, whose axis then goes again. */
tl_status matmul_output_shape(const tl_call *call, const tl_tensor *a, const tl_tensor *b, tl_tensor *out);

/* In run: all of one type out of the 32 and 64-bit integers, which wrap. */
void matmul_integers(tl_call *call, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out);

typedef struct gemm_factors {
    const tl_tensor *a, *b, *c; /* c may be NULL */
    bool trans_a, trans_b;
    float alpha, beta;
    void *transposed; /* room for B's elements, with trans_b */
} gemm_factors;
/* alpha * A' * B' + beta * C. With both factors 1 it is exact and wraps; else the sum of the two products goes through
 * double, is cut off towards zero, and stays inside the type. */
void gemm_integers(tl_call *call, const gemm_factors *factors, const tl_tensor *out);

#endif
