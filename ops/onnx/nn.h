/* What the neural-network operators share: pieces of workspace, half types computed in float, products of matrices. */
#ifndef TL_NN_H
#define TL_NN_H

#include "onnx/number.h"

/* ---- Workspace, laid out in reshape */

/* Asks for `count` elements of `size` bytes, aligned to 64; returns their offset. A count that is not known yet asks
 * for nothing. What does not fit a size asks for more than anybody has, so that the runtime refuses it. */
size_t nn_place(tl_call *call, int64_t count, size_t size);

static inline void *nn_at(const tl_call *call, size_t offset)
{
    return (char *)call->workspace + offset;
}

/* ---- Checked arithmetic on sizes */

static inline bool nn_mul(int64_t a, int64_t b, int64_t *result)
{
    return !__builtin_mul_overflow(a, b, result);
}
static inline bool nn_add(int64_t a, int64_t b, int64_t *result)
{
    return !__builtin_add_overflow(a, b, result);
}
/* Product of dims[begin..end), -1 where one is unknown or the product does not fit. */
int64_t nn_product(const tl_tensor *tensor, int32_t begin, int32_t end);

static inline int64_t nn_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t nn_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A loop over the same number of pieces of each of several samples (or products), cut where one ends: while (begin <
 * end) take pieces run.first to run.last of run.sample. */
typedef struct nn_run {
    int64_t sample, first, last;
} nn_run;
static inline nn_run nn_take_run(int64_t *begin, int64_t end, int64_t pieces)
{
    const int64_t first = *begin % pieces;
    const nn_run run = {*begin / pieces, first, nn_min(pieces, first + end - *begin)};
    *begin += run.last - first;
    return run;
}
/* a / b rounded up, for a >= 0, b >= 1. */
static inline int64_t nn_ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}
/* Pieces of a parallel loop, so that each has about `cost` basic operations when one index costs `each`. */
static inline int64_t nn_grain(int64_t each, int64_t cost)
{
    return nn_max(1, cost / nn_max(each, 1));
}

/* The same for `range` indices of `cost` multiply-adds each, so that threads get equally much, and mostly more pieces
 * than one: who is late leaves some to the others. */
int64_t nn_even_grain(int32_t threads, int64_t range, double cost);

/* ---- Half types */

static inline bool nn_is_half(tl_type type)
{
    return type == TL_FLOAT16 || type == TL_BFLOAT16;
}
static inline size_t nn_type_size(tl_type type)
{
    switch (type) {
    case TL_DOUBLE:
    case TL_INT64:
    case TL_UINT64:
    case TL_COMPLEX64:
        return 8;
    case TL_FLOAT:
    case TL_INT32:
    case TL_UINT32:
        return 4;
    case TL_FLOAT16:
    case TL_BFLOAT16:
    case TL_INT16:
    case TL_UINT16:
        return 2;
    default:
        return 1;
    }
}
/* How the kernels name a floating type. */
static inline tlk_type nn_kernel_type(tl_type type)
{
    return type == TL_DOUBLE ? TLK_F64 : type == TL_FLOAT16 ? TLK_F16 : type == TL_BFLOAT16 ? TLK_BF16 : TLK_F32;
}
/* Element i of a float or double tensor, which costs less than one of any type. */
static inline double nn_load_real(const tl_tensor *x, int64_t i)
{
    return x->type == TL_DOUBLE ? ((const double *)x->data)[i] : ((const float *)x->data)[i];
}
static inline void nn_store_real(const tl_tensor *y, int64_t i, double value)
{
    if (y->type == TL_DOUBLE)
        ((double *)y->data)[i] = value;
    else
        ((float *)y->data)[i] = (float)value;
}

/* Room in the workspace for float copies of the half-typed inputs and outputs of a call; first thing in reshape. Bit k
 * of `skip`: input k stays as it is (packed, or not read by the inner run). With NN_WIDEN_BYTES in it also for those of
 * int8 and uint8, which results are rounded to and held in. */
#define NN_WIDEN_BYTES ((uint64_t)1 << 63)
void nn_widen_place(tl_call *call, uint64_t skip);
/* Runs `run` with those copies in the place of inputs and outputs, so that it sees float where there is such a type. */
tl_status nn_widen_run(tl_call *call, uint64_t skip, tl_status (*run)(tl_call *call));

/* In create: *floats becomes a copy of input k in float, where it is a constant of a half type; else NULL. The caller
 * frees it by host->free, and sets the input's bit of call->packed. */
tl_status nn_pack_half(const tl_call *call, size_t k, float **floats);
/* Memory for an operator's state, zeroed; NULL when refused, and then the failure is recorded. */
void *nn_new_state(const tl_call *call, size_t size);

/* ---- Errors that many share */

/* The rank of input k must lie in [low, high]; unknown ranks pass. */
tl_status nn_check_rank(const tl_call *call, size_t k, int32_t low, int32_t high);
/* A dimension that must be `want`: unknown sizes pass. */
tl_status nn_check_dim(const tl_call *call, size_t k, int32_t axis, tl_dim want, const char *why);

/* ---- Broadcasting: strides, in elements, at which `from` is read along the dims of a shape of `rank`; 0 where it is
 * repeated. `from` must broadcast to the shape. */
void nn_broadcast_strides(const tl_tensor *from, int32_t rank, int64_t *strides);

#endif
