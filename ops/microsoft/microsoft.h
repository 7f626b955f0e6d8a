/* What the operators of com.microsoft share: ONNX Runtime writes them into models that it has optimized or quantized.
 * They mean what its documentation, and where that is silent its CPU kernels, say. */
#ifndef TL_MICROSOFT_H
#define TL_MICROSOFT_H

#include "onnx/nn.h"

#define MICROSOFT_HEAD(op, since) OP_HEAD_IN("com.microsoft", op, since)
#define MICROSOFT_FLOATS          (TL_T(TL_FLOAT) | TL_T(TL_DOUBLE) | TL_T_HALFS)

#endif
