/* An order over the elements of any numeric type, as signed numbers: for TopK and Unique. */
#ifndef TL_OP_ORDER_H
#define TL_OP_ORDER_H

#include "onnx/op.h"

/* Whether a type's keys have 64 bits rather than 32. */
static inline bool op_order_wide(tl_type type)
{
    return type == TL_DOUBLE || type == TL_INT64 || type == TL_UINT64;
}

/* The keys of n elements, int64_t or int32_t. A key is larger where the element is; -0 equals 0; NaN is above all
 * numbers and equals itself; all have the bits `turned` turned. Types: all numeric ones, and bool. */
void op_order_keys(tl_type type, const void *from, int64_t n, void *keys, int64_t turned);

typedef struct op_entry {
    int64_t key, index;
} op_entry;

/* Sorts n entries by key, equal ones as they come; returns which of the two arrays holds the result. */
op_entry *op_sort_entries(op_entry *from, op_entry *to, int64_t n);

#endif
