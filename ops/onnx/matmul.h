/* The standard's matrix product of any ranks, shared by MatMul and the integer products. */
#ifndef TL_MATMUL_H
#define TL_MATMUL_H

#include "onnx/nn.h"

/* The shape of A times B, by numpy's rules: vectors count as a row or a column, whose axis then goes again. */
tl_status matmul_output_shape(const tl_call *call, const tl_tensor *a, const tl_tensor *b, tl_tensor *out);
/* In run: all of one type out of float, double, and 32 and 64-bit integers, which wrap. */
void matmul_execute(tl_call *call, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out);

#endif
