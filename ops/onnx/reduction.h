/* Combining elements in place, for the scatters. */
#ifndef TL_OP_REDUCTION_H
#define TL_OP_REDUCTION_H

#include "onnx/op.h"

typedef enum op_reduction { OP_ADD, OP_MUL, OP_MAX, OP_MIN } op_reduction;

/* to[i] = to[i] op from[i], for n elements of a type. Integers wrap; of a NaN and a number the NaN is both the larger
 * and the smaller; half types round every step. */
typedef void (*op_combine)(void *to, const void *from, int64_t n);

/* The function for a reduction and a type; NULL where the two make no sense (strings; an order of complex numbers). For
 * bool, add and max are "or", mul and min are "and". */
op_combine op_combine_for(op_reduction reduction, tl_type type);

#endif
