/* Moving elements without computing on them: what Transpose, Slice, Concat, Pad, Gather and their kin share. */
#ifndef TL_OP_TENSOR_H
#define TL_OP_TENSOR_H

#include "onnx/op.h"

/* Types whose elements share a byte with others, and all the rest. */
#define OP_T_PACKED (TL_T(TL_UINT4) | TL_T(TL_INT4) | TL_T(TL_FLOAT4E2M1) | TL_T(TL_UINT2) | TL_T(TL_INT2))
#define OP_T_WHOLE  (TL_T_ALL & ~OP_T_PACKED)
#define OP_T_STRING TL_T(TL_STRING)
#define OP_T_BOOL   TL_T(TL_BOOL)
#define OP_T_INT64  TL_T(TL_INT64)
#define OP_T_FLOAT8 (TL_T(TL_FLOAT8E4M3FN) | TL_T(TL_FLOAT8E4M3FNUZ) | TL_T(TL_FLOAT8E5M2) | TL_T(TL_FLOAT8E5M2FNUZ))
#define OP_T_FLOAT6 (TL_T(TL_FLOAT6E2M3) | TL_T(TL_FLOAT6E3M2))
/* The types of the standard's long lists: all that it had up to version 13. */
#define OP_T_CLASSIC (TL_T_NUMERIC | OP_T_STRING | OP_T_BOOL | TL_T(TL_COMPLEX64) | TL_T(TL_COMPLEX128))

/* Bits of an element; 0 for a type that does not exist. */
unsigned op_type_bits(tl_type type);
/* Bytes of an element; 0 for the packed types. */
static inline size_t op_type_size(tl_type type)
{
    return op_type_bits(type) / 8;
}
/* Bytes of `elements` of a type, whose count the runtime has checked. */
static inline int64_t op_bytes(tl_type type, int64_t elements)
{
    unsigned bits = op_type_bits(type);
    return bits >= 8 ? elements * (int64_t)(bits / 8) : (elements * (int64_t)bits + 7) / 8;
}

/* Element i of an int32 or int64 tensor. */
static inline int64_t op_index(const tl_tensor *tensor, int64_t i)
{
    return tensor->type == TL_INT64 ? ((const int64_t *)tensor->data)[i] : ((const int32_t *)tensor->data)[i];
}

/* Whether every dimension of a tensor is known, and whether its elements are (of no elements they always are). */
bool op_shape_known(const tl_tensor *tensor);
static inline bool op_data_known(const tl_tensor *tensor)
{
    return op_shape_known(tensor) && (tensor->data || op_elements(tensor) == 0);
}

/* Checks the (constant or given) list of axes, each counted from the end if negative, for range and repetition, and
 * writes them as 0..rank-1. */
tl_status op_axes(const tl_call *call, const int64_t *axes, int64_t count, int32_t rank, int32_t *result);

/* For a list input whose elements are not known now: an output of `more` dimensions beyond the list's length, all
 * unknown; of unknown rank if the length is not known, or makes too many. */
void op_rank_from_list(const tl_tensor *list, int32_t more, tl_tensor *out);

/* Whether all elements of an index tensor lie in [-limit, limit); else an error that names the first that doesn't. */
tl_status op_check_indices(const tl_call *call, const tl_tensor *indices, int64_t limit);
/* The same for tuples of indices along the last axis of int64 `indices`: index k of a tuple is one of dims[k]. */
tl_status op_check_tuples(const tl_call *call, const tl_tensor *indices, const tl_dim *dims, int64_t tuple);

/* Whether a tensor has elements, and their size fits: only then does a plan make sense. (The runtime refuses what does
 * not fit, but only after reshape.) */
bool op_plannable(const tl_tensor *tensor);
/* Strides of a dense tensor in bytes. Of a tensor that is not plannable they are of no use, but do no harm. */
void op_strides(const tl_tensor *tensor, size_t element, int64_t *strides);

/* ---- Copies between strided boxes */

#define OP_COPY_RANK (2 * TL_MAX_RANK)

/* Which loop does the copying; internal to tensor.c. */
typedef enum op_copy_kind {
    OP_COPY_NOTHING,
    OP_COPY_ROWS,      /* the inner axis is dense on both sides */
    OP_COPY_STRIDED,   /* it is not */
    OP_COPY_TRANSPOSED /* it is dense in the target, and another axis in the source */
} op_copy_kind;

/* A copy, prepared for its shape: may stand in a plan. Strides are in bytes. */
typedef struct op_copy {
    op_copy_kind kind;
    int32_t rank; /* of the outer loop */
    int64_t dims[OP_COPY_RANK], to[OP_COPY_RANK], from[OP_COPY_RANK];
    int64_t element;       /* bytes that move together: 1, 2, 4, 8, 16 */
    int64_t row, row_from; /* inner axis: elements (ROWS: bytes), source stride */
    int64_t row_to;        /* STRIDED: target stride */
    int64_t columns;       /* TRANSPOSED: length of the axis that is dense in the source */
    int64_t column_to;     /* and its stride in the target */
    int64_t strip, strips; /* the inner work is cut into `strips` of `strip` each */
    int64_t units;         /* outer iterations times strips */
    int64_t grain;         /* units that one piece of a parallel loop should have at least */
} op_copy;

/* Prepares the copy of dims[0..rank) elements of `element` bytes (1, 2, 4, 8 or 16) from one box to another. Strides
 * of the source may be 0 or negative; those of the target must fall from the first axis to the last. rank is at most
 * OP_COPY_RANK. */
void op_copy_init(op_copy *copy, size_t element, int32_t rank, const int64_t *dims, const int64_t *to,
                  const int64_t *from);
/* Copies, in parallel where it is worth it. The boxes must not overlap. */
void op_copy_run(tl_call *call, const op_copy *copy, void *to, const void *from);
/* Copies `rows` rows of `bytes` bytes. */
void op_copy_rows(tl_call *call, void *to, int64_t to_stride, const void *from, int64_t from_stride, int64_t rows,
                  int64_t bytes);
/* Copies one run of bytes, in parallel where it is worth it. */
void op_copy_bytes(tl_call *call, void *to, const void *from, int64_t bytes);
/* Copies elements of a packed type (2 or 4 bits): `to` is dense with these dims, strides of `from` are in elements. */
void op_copy_packed(unsigned bits, int32_t rank, const int64_t *dims, uint8_t *to, const uint8_t *from,
                    const int64_t *from_strides);
/* Writes n elements of 1, 2, 4, 8 or 16 bytes that all equal the one at `value`. */
void op_fill(void *to, const void *value, size_t element, int64_t n);

#endif
