/* Rows in blocks of at most TLK_MR, as equal as can be; packed, a block is [depth][rows]. */
#ifndef TLK_ROWBLOCKS_H
#define TLK_ROWBLOCKS_H

#include "kernels/block.h"

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

#endif
