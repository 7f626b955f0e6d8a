/* What the forms of attention share: how large it is, where its operands lie, and the run. */
#ifndef TL_ATTENTION_H
#define TL_ATTENTION_H

#include "kernels/kernels.h"
#include "onnx/nn.h"

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_KEY, IN_PAST_VALUE, IN_LENGTHS, IN_HIDDEN = IN_PAST_KEY };
enum { OUT_Y, OUT_KEY, OUT_VALUE, OUT_SCORES };

/* Sizes as far as known, else negative. */
typedef struct attention_sizes {
    bool packed_heads; /* 3-D inputs: (batch, sequence, heads * size) */
    tl_dim batch, query_heads, heads, queries, keys, past, total, size, value_size;
} attention_sizes;

typedef struct attention_plan {
    attention_sizes s;
    size_t key, value;              /* past and new ones under each other, where no output has them */
    int64_t rows;                   /* queries at a time */
    int64_t row_step;               /* of scores: no two rows share a vector, else one waits for the other's store */
    bool score_tiles, result_tiles; /* products on tiles, for which K, V and P are not packed */
    size_t threads;                 /* scratch of each thread: `each` bytes, and offsets in it */
    size_t each, packed_q, packed_k, packed_v, packed_p, scores;
} attention_plan;

/* Queries, keys, values or results: elements from one batch, head, position or feature to the next. */
typedef struct attention_sequence {
    const char *data;
    int64_t batch, head, step, feature;
} attention_sequence;

typedef struct attention_job {
    tl_call *call;
    const attention_plan *plan;
    attention_sequence q, k, v, y;
    double scale, softcap;
    int64_t mode, left, right; /* windows: -1 is none */
    bool causal, is_double;
    bool is_fused, nan_is_zero, clears; /* FusedAttention; see there, also for the next two */
    double fill;
    bool shown; /* what stands in `hidden` where a score stays */
    size_t element;
    int64_t mask_strides[4], hidden_strides[4], mask_width;
    int64_t shares; /* that the queries of a head are cut into */
} attention_job;

static inline const tlk_gemm_kernel *attention_kernel(const tl_tensor *q)
{
    return tlk_get()->gemm[q->type == TL_DOUBLE ? TLK_F64 : TLK_F32];
}

/* In reshape, with a plan whose sizes are known: asks for the scratch of the threads. by_lines: features of a query lie
 * side by side, and features or positions of keys, and of values. */
void attention_place(tl_call *call, attention_plan *plan, bool by_lines);
/* Position `position` of a head. */
const char *attention_at(const attention_job *job, const attention_sequence *from, int64_t b, int64_t h,
                         int64_t position);
/* Writes Y, which must have elements; and there must be keys. */
void attention_attend(attention_job *job);

#endif
