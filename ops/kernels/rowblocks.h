/* Rows in blocks of at most TLK_MR, as equal as can be; packed, a block is [depth][rows]. */
#ifndef TLK_ROWBLOCKS_H
#define TLK_ROWBLOCKS_H

#include "kernels/block.h"
#include "kernels/isa.h"

static inline int64_t rowblock_count(int64_t rows)
{
    return (rows + TLK_MR - 1) / TLK_MR;
}

/* The first row of a block; of the block behind the last one, `rows`. */
static inline int64_t rowblock_begin(int64_t rows, int64_t block)
{
    const int64_t blocks = rowblock_count(rows);
    const int64_t larger = rows % blocks;
    return rows / blocks * block + (block < larger ? block : larger);
}

/* packed[k][i] = source[i * step + k * depth_step] for i < count, zero up to width. In gemm.c, for all kernels. */
#define pack_lines TLK_REAL_FN(tlk_pack_lines)
void pack_lines(const real *source, int64_t step, int64_t depth_step, int64_t count, int64_t width, int64_t depth,
                real *packed);

/* Neighbouring blocks for tlk_block_few_columns. */
typedef struct rowblock_few {
    int count;                     /* of blocks; those that are not there repeat the last one */
    int64_t begin[TLK_FEW_BLOCKS]; /* the first rows */
    int rows[TLK_FEW_BLOCKS];      /* how many */
    const real *a[TLK_FEW_BLOCKS]; /* packed */
    const real *bias[TLK_FEW_BLOCKS];
} rowblock_few;

/* Of all `rows`, blocks first <= block < end, but no more than `most`, which tlk_few_blocks gives. */
static inline rowblock_few rowblock_gather(int64_t rows, int64_t first, int64_t end, int most, int64_t depth,
                                           const real *packed, const real *bias)
{
    rowblock_few few = {.count = end - first < most ? (int)(end - first) : most};
    int64_t next = rowblock_begin(rows, first);
    for (int i = 0; i < most; i++) {
        const bool there = i < few.count;
        few.begin[i] = there ? next : few.begin[i - 1];
        next = there ? rowblock_begin(rows, first + i + 1) : next;
        few.rows[i] = (int)(next - few.begin[i]);
        few.a[i] = packed + few.begin[i] * depth;
        few.bias[i] = bias + few.begin[i];
    }
    return few;
}

#endif
