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

/* From element `at` on: how many neighbours (at most `n`) have scales `*scale`, `*scale` + *step, ...; step is 0 or 1.
 */
int64_t quantize_run(const quantize_plan *plan, int64_t at, int64_t n, int64_t *scale, int64_t *step);

/* Elements at, at + step, ... of any type that these operators have, as float; n <= OP_BLOCK. */
void quantize_load(const tl_tensor *from, int64_t at, int64_t step, int64_t n, float *to);

/* The bits of a packed element, into a tensor whose bytes were 0 before. */
static inline void quantize_put_packed(unsigned bits, uint8_t *to, int64_t i, unsigned element)
{
    int64_t per_byte = 8 / bits;
    to[i / per_byte] |= (uint8_t)((element & ((1u << bits) - 1)) << (unsigned)(i % per_byte) * bits);
}

#endif
