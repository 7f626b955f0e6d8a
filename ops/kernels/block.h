/* The register block: the innermost loops of every matrix product here.
 *
 *     y[r][v] = clamp(bias + sum_j a[j][r] * b[j][v]),   r < rows <= TLK_MR,  v < vectors of VW lanes, vectors <=
 * TLK_NV
 *
 * Each sum runs over j in order, in one register, by one (fused) multiply-add per j, starting from the bias. So a
 * result does not depend on which block, with which neighbours, an element fell into.
 *
 * The rows of b lie in `taps` runs of `depth` rows each: run t begins at b + offsets[t], b_step leads from row to row.
 * A packed panel is one run; a convolution has one for each tap, and reads the data where it is.
 *
 * rows * vectors accumulators, `vectors` registers for b and one for a fill the register file; on AVX-512
 * 14 * 2 + 2 + 1 = 31 of 32, and 16 loads feed 28 multiply-adds. The portable one has no fused multiply-add and needs
 * a register for the product.
 */
#ifndef TLK_BLOCK_H
#define TLK_BLOCK_H

#include "kernels/vreal.h"

#if (defined TLK_ISA_AVX512 || defined TLK_ISA_NEON) && !defined TLK_DOUBLE /* doubles: less code, less speed */
#define TLK_MR 14
#elif defined TLK_ISA_AVX512
#define TLK_MR 7
#elif defined TLK_ISA_AVX2
#define TLK_MR 6
#else
#define TLK_MR 4
#endif
#define TLK_NV 2
#define TLK_NR (TLK_NV * VW)

/* A block of TLK_NV vectors, and of so many rows, takes one column more with it, whose sums are one vector: its lanes
 * are the rows. At each row of a, and at the bias, VW elements can be read then. */
#if defined TLK_ISA_AVX512
#define TLK_COLUMN_ROWS 12
#else
#define TLK_COLUMN_ROWS (TLK_MR + 1)
#endif

/* Vectors of a block of one row, which would otherwise wait for its few sums: this many, or half as many. */
#define TLK_WIDE 8

typedef struct tlk_block {
    int64_t depth;      /* how many j; by rows: in each run */
    const real *a;      /* by rows: [taps * depth][rows]; by lanes: see below */
    int64_t a_stride;   /* by lanes only: from one group of VW j to the next */
    int64_t group_size; /* by lanes only: how many j the last group of every `groups` has; the others have VW */
    int64_t groups;
    const real *b;  /* by lanes: [depth][TLK_NR] */
    int64_t b_step; /* by rows only, and so are the next two */
    int64_t taps;
    const int64_t *offsets;
    const real *bias;   /* by rows: one for each row; by lanes: one for each lane of y */
    const real *ahead;  /* NULL, or what is asked for beside the products: a cache line for every second j */
    const real *column; /* by rows: NULL, or one column more (TLK_COLUMN_ROWS), its elements b_step apart */
    vec *column_sums;   /* its sums; lanes from `rows` on mean nothing */
    real *y;            /* [rows][vectors * VW] */
    int64_t y_stride;
    real low, high; /* the clamp; infinities leave all as it is */
} tlk_block;

/* b is a packed panel, [depth][TLK_NR]. */
static const int64_t tlk_block_no_offset = 0;
#define TLK_BLOCK_PANEL .b_step = TLK_NR, .taps = 1, .offsets = &tlk_block_no_offset

/* Elements that a product of so many j asks for: a cache line for every second one. */
static inline int64_t tlk_block_asked(int64_t depth)
{
    return depth / 2 * (64 / (int64_t)sizeof(real));
}

/* What the i-th product with a block of `size` weights asks for of the `next` block: all of it, after so many products
 * as read most of one. What reads ahead by itself follows weights from the second-level cache, not from memory. */
static inline const real *tlk_block_ahead(const real *next, int64_t size, int64_t depth, int64_t i)
{
    const int64_t each = tlk_block_asked(depth);
    return each * i < size ? next + each * i : NULL;
}

/* a as [depth][rows], a bias for each row: for packed weights times columns. Of one row, up to TLK_WIDE vectors. */
void TLK_REAL_FN(tlk_block_by_rows)(const tlk_block *block, int rows, int vectors);

/* Pooling: the maximum or the sum of the rows of b, from bias[0] on; one row of results. `a` is not looked at. */
void TLK_REAL_FN(tlk_block_maximum)(const tlk_block *block, int rows, int vectors);
void TLK_REAL_FN(tlk_block_sum)(const tlk_block *block, int rows, int vectors);

/* a as [depth / VW][a_stride], in each group [row][VW]: as a vector over j stores it. A bias for each lane. */
void TLK_REAL_FN(tlk_block_by_lanes)(const tlk_block *block, int rows, int vectors);

/* Few columns: the lanes are the rows of neighbouring packed blocks of a (by rows), as many blocks as tlk_few_blocks
 * says for 1 to 8 steps: enough sums that none waits for itself, and all weights are read once. a[i] is the i-th
 * packed block, of rows[i] rows, bias[i] its biases; at each, VW elements can be read. Of `block` what describes b
 * counts. Result: y[s * blocks + i], lanes from rows[i] on mean nothing. */
#define TLK_FEW_STEPS  (VW / 2)
#define TLK_FEW_BLOCKS 5 /* so many make 64 or 128 rows */
static inline int tlk_few_blocks(int steps)
{
    return steps == 1 ? TLK_FEW_BLOCKS : steps <= 4 ? 4 : 2;
}
void TLK_REAL_FN(tlk_block_few_columns)(const tlk_block *block, const real *const a[], const int rows[],
                                        const real *const bias[], int steps, vec y[16]);

#endif
