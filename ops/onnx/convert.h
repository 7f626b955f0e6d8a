/* Blocks of elements, converted to and from the few types that operators compute in. An operator with one kernel for
 * each of these serves all element types. */
#ifndef TL_OP_CONVERT_H
#define TL_OP_CONVERT_H

#include "onnx/op.h"

/* What a kernel computes in. */
typedef enum op_domain {
    OP_F32, /* float; of all floating types up to it */
    OP_F64, /* double */
    OP_I64, /* int64_t; of all integers that it holds, and bool. Arithmetic modulo 2^64 is right for narrower types */
    OP_U64, /* uint64_t; of uint64 */
    OP_DOMAIN_COUNT
} op_domain;

/* Elements that are converted at a time; buffers for them stand on the stack. */
#define OP_BLOCK 512
typedef union op_block {
    float f32[OP_BLOCK];
    double f64[OP_BLOCK];
    int64_t i64[OP_BLOCK];
    uint64_t u64[OP_BLOCK];
} op_block;

/* Cases of a switch, CASE(type, element) each, for the integers that int32_t holds. */
/* clang-format off */
#define OP_CASES_INT32(CASE)  \
    CASE(TL_INT8, int8_t)     \
    CASE(TL_UINT8, uint8_t)   \
    CASE(TL_INT16, int16_t)   \
    CASE(TL_UINT16, uint16_t) \
    CASE(TL_INT32, int32_t)
/* clang-format on */

/* Before a loop whose iterations do not depend on each other even where the output lies over an input. */
#if defined __clang__
#define OP_INDEPENDENT
#else
#define OP_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* The domain of a numeric or bool type; of strings and complex numbers it means nothing. */
op_domain op_domain_of(tl_type type);

/* Whether elements of a type stand in memory as the domain has them. */
bool op_is_native(tl_type type);

/* Elements at .. at + n of `data`, n <= OP_BLOCK, in the type's domain: converted into `buffer`, or where they are. */
const void *op_load_block(tl_type type, const void *data, int64_t at, int64_t n, op_block *buffer);
/* As the type's domain has it, element `at` n times. */
const void *op_fill_block(tl_type type, const void *data, int64_t at, int64_t n, op_block *buffer);

/* Where a kernel may write n results of the type's domain: the elements themselves if native, else `buffer`; then
 * op_store_block converts them. Integers lose high bits, halves are rounded to nearest even; bool is != 0. Not for the
 * types below 16 bits other than int8, uint8 and bool. */
void *op_result_block(tl_type type, void *data, int64_t at, op_block *buffer);
void op_store_block(tl_type type, void *data, int64_t at, int64_t n, const void *results);

/* What the kernels of whole.h call a type that they know, but for int32 and uint32. */
extern const uint8_t op_number_of[TL_TYPE_COUNT];

/* Whole tensors, for operators that want all of their input at once. Bytes of `n` elements in the type's domain. */
static inline size_t op_staged_bytes(tl_type type, int64_t n)
{
    return (size_t)n * (op_domain_of(type) == OP_F32 ? sizeof(float) : sizeof(double));
}
/* All n elements, converted into `memory` of that size, aligned to 8; where they are if native. */
const void *op_stage(tl_type type, const void *data, int64_t n, void *memory);
/* And back from `memory` (not for native types). */
void op_unstage(tl_type type, void *data, int64_t n, const void *memory);

/* A floating number to an integer: towards 0, NaN as 0, the nearest where it is out of range. */
static inline int64_t op_to_int64(double x)
{
    if (fabs(x) < 0x1p63)
        return (int64_t)x;
    return x != x ? 0 : x < 0.0 ? INT64_MIN : INT64_MAX;
}
static inline uint64_t op_to_uint64(double x)
{
    if (x >= 0x1p64)
        return UINT64_MAX;
    if (x < 0.0)
        return (uint64_t)op_to_int64(x);
    return x == x ? (uint64_t)x : 0;
}

/* The value of a number of 8 bits or less, given its bits. */
float op_small_float(tl_type type, unsigned bits);

#endif
