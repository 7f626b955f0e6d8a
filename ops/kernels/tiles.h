/* Products of floats on the tiles of AMX, which multiply bfloat16 and sum in float.
 *
 * A float has 24 significant bits, so it is the sum of three bfloat16 of 8, exactly:
 *
 *     x = x0 + x1 + x2      x0: x without its lower 16 bits; x1: the rest, rounded to nearest; x2: what is left
 *
 * Of the nine products of two floats' parts six matter, since |x1| < 2^-7 |x| and |x2| <= 2^-16 |x|:
 *
 *     x y ~ x0 y2 + x1 y1 + x2 y0 + x0 y1 + x1 y0 + x0 y0
 *
 * The others are less than what float rounds off. These six are exact in float, and 16 or 32 of them are summed by
 * themselves before they are added to the sum so far, which is rounded once for all: results are at least as close to
 * the exact ones as those of fused multiply-adds, of which such a machine does less than half as many. What is smaller
 * than 2^-126 counts as zero. A line with an infinity or NaN is computed by multiply-adds of floats.
 *
 * Operands are sets of *lines* along the depth: rows of the left one, columns of the right one. A tile has 16 lines
 * and 32 elements of each; elements i and i + 16 share one 32-bit number. Each sum goes over its tiles in order, from
 * `start` on: like any product here, it does not depend on its neighbours. */
#ifndef TLK_TILES_H
#define TLK_TILES_H

#include <stdbool.h>

#include "kernels/vec.h"

#define TLK_TILE_LINES 16
#define TLK_TILE_DEPTH 32

/* Left: [line][part][number], so that lines go on from tile to tile; right: [part][number][line]. */
typedef struct tlk_tile {
    uint32_t numbers[3 * 16 * 16];
} __attribute__((aligned(64))) tlk_tile;

#define TLK_LINE_BYTES 192 /* of a left tile */

static inline int64_t tlk_tile_steps(int64_t depth)
{
    return (depth + TLK_TILE_DEPTH - 1) / TLK_TILE_DEPTH;
}

/* Element k of line i is at[i * line_step + k / 16 * group_step + k % 16 * depth_step]. */
typedef struct tlk_lines {
    const float *at;
    int64_t line_step, depth_step; /* one of them is best 1 */
    int64_t group_step;
    int64_t depth;
} tlk_lines;

/* Up to 16 lines into tlk_tile_steps(depth) tiles, left or right ones; what is not there is zero. Returns the lines
 * that have an infinity or NaN, a bit for each. */
unsigned TLK_FN(tlk_tiles_split)(const tlk_lines *lines, bool left, int count, tlk_tile *tiles);

/* Sums of a block's second left lines, that are still in the tiles. */
typedef struct tlk_tile_pending {
    float *sums; /* where they go to, or NULL */
    int64_t sums_row;
    bool two_right;
} tlk_tile_pending;

typedef struct tlk_tile_block {
    int64_t steps;
    const int64_t *offsets;                     /* of each step's left lines, in bytes; NULL: a tile after the other */
    const tlk_tile *lines[2][2];                /* left ones, right ones: 16 each; the second ones may be NULL */
    unsigned special[2][2];                     /* those of them with infinities or NaN */
    const float *start;                         /* where the sums start: 16 columns of a row */
    int64_t start_row, start_left, start_right; /* from row to row, and to the second lines */
    float *sums;                                /* [32][sums_row] */
    int64_t sums_row;                           /* 0: 32 */
    tlk_tile_pending *pending;                  /* the block before's, then this one's */
    void (*meanwhile)(const void *context, int quarter); /* NULL, or what vectors do while the first tiles multiply, in
                                                          * quarters 0 to 3; the block before's sums are there */
    const void *context;
} tlk_tile_block;

/* Each thread does its products in between. */
void TLK_FN(tlk_tiles_begin)(void);
void TLK_FN(tlk_tiles_end)(void);

void TLK_FN(tlk_tiles_multiply)(const tlk_tile_block *block);

/* All sums are in memory then. To be called before what was multiplied last is read, but in `meanwhile`. */
void TLK_FN(tlk_tiles_finish)(tlk_tile_pending *pending);

#endif
