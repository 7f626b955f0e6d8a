/* What QuantizeLinear and DequantizeLinear share: which scale belongs to which element. */
#ifndef TL_OP_QUANTIZE_H
#define TL_OP_QUANTIZE_H

#include "onnx/convert.h"
#include "onnx/tensor.h"

/* The input as [outer][length][inner] around the axis. Element (o, a, i) has scale 0 if there is only one; else a;
 * else, in blocks, (o * blocks + a / block) * inner + i. */
typedef struct quantize_plan {
    int64_t length, inner;
    int64_t block, blocks; /* 0: none */
    bool single;
} quantize_plan;

/* Checks the shapes of inputs 1 (scale) and 2 (zero point, optional) as far as known, and fills the plan. `axis` is the
 * attribute, block_size 0 where the version has none. */
tl_status quantize_shapes(const tl_call *call, int64_t axis, int64_t block_size, quantize_plan *plan);

/* Whether the type is one of the integers of 8, 16 and 32 bits that these operators have. */
static inline bool quantize_is_whole(tl_type type)
{
    return (TL_T(type) & (TL_T(TL_INT8) | TL_T(TL_UINT8) | TL_T(TL_INT16) | TL_T(TL_UINT16) | TL_T(TL_INT32))) != 0;
}

/* Of those, (x - zero[i / row]) * scale[i / row] of n elements from `at` on. */
void quantize_back(const tl_tensor *from, int64_t at, int64_t n, int64_t row, const float *scale, const float *zero,
                   float *to);

/* n <= OP_BLOCK elements from `at` on, of any type that these operators have, as float: converted into `buffer`, or
 * where they are. */
const float *quantize_load(const tl_tensor *from, int64_t at, int64_t n, float *buffer);

/* A walk over elements in runs, whose scales are neighbours. */
typedef struct quantize_walk {
    const quantize_plan *plan;
    const tl_tensor *scale, *zero; /* zero: NULL if there is none */
    int64_t outer, a, inside;      /* where the next element lies */
    int64_t first, count;          /* of the scales at hand */
    const float *scales, *zeros;
    float buffers[2][OP_BLOCK];
} quantize_walk;

typedef struct quantize_run {
    int64_t n, row;
    const float *scale, *zero; /* element i has number i / row; a last row may be cut off */
} quantize_run;

/* Begins at element `at`. */
void quantize_start(quantize_walk *walk, const quantize_plan *plan, const tl_tensor *scale, const tl_tensor *zero,
                    int64_t at);
/* The next run, of at most n > 0 elements; what it points at holds until the next call. It has no more than
 * OP_BLOCK scales. */
quantize_run quantize_next(quantize_walk *walk, int64_t n);

/* The bits of a packed element, into a tensor whose bytes were 0 before. */
static inline void quantize_put_packed(unsigned bits, uint8_t *to, int64_t i, unsigned element)
{
    int64_t per_byte = 8 / bits;
    to[i / per_byte] |= (uint8_t)((element & ((1u << bits) - 1)) << (unsigned)(i % per_byte) * bits);
}

#endif
