/* What the operators on quantized numbers share. */
#ifndef TL_QUANT_H
#define TL_QUANT_H

#include "onnx/nn.h"

#define QUANT_BYTES (TL_T(TL_INT8) | TL_T(TL_UINT8))

enum { INTEGER_A, INTEGER_B, INTEGER_A_ZERO, INTEGER_B_ZERO };
enum {
    LINEAR_A,
    LINEAR_A_SCALE,
    LINEAR_A_ZERO,
    LINEAR_B,
    LINEAR_B_SCALE,
    LINEAR_B_ZERO,
    LINEAR_Y_SCALE,
    LINEAR_Y_ZERO,
    LINEAR_BIAS
};

static inline int32_t quant_byte(const tl_tensor *t, int64_t i)
{
    return t->type == TL_INT8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

/* The bytes that a type holds. */
static inline int32_t quant_low(tl_type type)
{
    return type == TL_INT8 ? INT8_MIN : 0;
}
static inline int32_t quant_high(tl_type type)
{
    return type == TL_INT8 ? INT8_MAX : UINT8_MAX;
}

/* A parameter must fit `to` when it is broadcast to it: a vector goes along `axis`; unknown shapes pass. */
tl_status quant_check(const tl_call *call, size_t k, const tl_tensor *to, int32_t axis);
/* A zero point (NULL: 0) for each element of a shape, or one for all; returns the step from one to the next, 0 or 1. */
int64_t quant_zeros(const tl_tensor *zero, const tl_tensor *shape, int32_t axis, int32_t *to);

/* A matrix product's factor with an axis for each zero point and none other: A without its columns, B without rows. */
tl_tensor quant_rows(const tl_tensor *a);
tl_tensor quant_columns(const tl_tensor *b);

#endif
