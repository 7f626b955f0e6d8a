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

/* packed[k * pitch + i] = rows[i * row_step + k * step], for all k < depth of a few rows at a time, so that neither
 * side leaves the first-level cache. */
static inline void rowblock_pack(const elem *rows, int64_t count, int64_t row_step, int64_t step, int64_t depth,
                                 int64_t pitch, real *packed)
{
    for (int64_t begin = 0; begin < depth; begin += 16) {
        const int64_t end = depth - begin < 16 ? depth : begin + 16;
        for (int64_t i = 0; i < count; i++)
            for (int64_t k = begin; k < end; k++)
                packed[k * pitch + i] = e_get(rows + i * row_step + k * step);
    }
}

#endif
