/* Single numbers of any element type, where no kernel is worth it. */
#ifndef TL_OP_NUMBER_H
#define TL_OP_NUMBER_H

#include <math.h>

#include "kernels/kernels.h"
#include "onnx/op.h"

/* A float16 or bfloat16 number as float, and back: rounded to nearest, ties to even. */
static inline float op_load_half(tl_type type, const void *from)
{
    float number;
    if (type == TL_FLOAT16)
        tlk_get()->f16_to_f32(from, &number, 1);
    else
        tlk_get()->bf16_to_f32(from, &number, 1);
    return number;
}
static inline void op_store_half(tl_type type, float number, void *to)
{
    if (type == TL_FLOAT16)
        tlk_get()->f32_to_f16(&number, to, 1);
    else
        tlk_get()->f32_to_bf16(&number, to, 1);
}

/* n numbers of any of the four float types, int8 or uint8 as float, and back: bytes are rounded to even and held in
 * range, NaN is the lowest. */
void op_load_floats(tl_type type, const void *from, float *to, int64_t n);
void op_store_floats(tl_type type, const float *from, void *to, int64_t n);

/* Element i of a numeric or bool tensor as a double: exact but for large 64-bit integers. */
double op_load_number(const tl_tensor *tensor, int64_t i);
/* Writes a double as an element: rounded once for floats; for integers cut to whole, NaN as 0, and out of range as the
 * nearest. For bool: anything but 0 is true. */
void op_store_number(const tl_tensor *tensor, int64_t i, double number);

/* 1 / (1 + exp(-x)), where exp does not overflow. */
static inline double op_logistic(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

#endif
