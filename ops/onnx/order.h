/* An order over the elements of any numeric type, as unsigned numbers: for TopK and Unique. */
#ifndef TL_OP_ORDER_H
#define TL_OP_ORDER_H

#include "onnx/op.h"

/* The keys of n elements that lie `step` elements apart. A key is larger where the element is; -0 equals 0; NaN is
 * above all numbers and equals itself. Types: all numeric ones, and bool. */
void op_order_keys(tl_type type, const void *from, int64_t step, int64_t n, uint64_t *keys);

#endif
