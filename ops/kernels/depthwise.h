/* The depthwise stage: one tile of time steps of all channels, into a buffer that stays in the cache.
 *
 *     h[j][t] = sum_k Xpad[(t0 + t)*stride + k*dilation][c] * weights[j][k],   j = m*C + c
 *
 * Taps are not summed in the order k = 0, 1, 2...: taps `period` apart read the same data, shifted by one vector
 * (channels_first) or one output step (channels_last), so that they share loads when they are next to each other.
 * The order is: blocks of TLK_SHARED_TAPS * period taps; in a block by k mod period; then ascending. It depends on the
 * attributes and the width of a vector only.
 */
#ifndef TLK_DEPTHWISE_H
#define TLK_DEPTHWISE_H

#include "kernels/block.h"
#include "kernels/sepconv.h"
#include "kernels/velem.h"

/* At most that many taps share their loads. */
#define TLK_SHARED_TAPS 4
#if E_IS_REAL
#define TLK_SHARED_TAPS_LAST 4
#else
#define TLK_SHARED_TAPS_LAST 1 /* in channels_last; conversions at each load would make for a lot of code */
#endif

/* Output steps that are worked on at a time. */
#define TLK_FIRST_TILE (8 * VW)
#define TLK_LAST_TILE  (8 * TLK_MR)

typedef struct tlk_tap_group {
    int64_t offset; /* of the first tap's data, in elements */
    int64_t taps;   /* 1 to TLK_SHARED_TAPS; each next one's data lies one vector or one step further */
} tlk_tap_group;

/* What a run of the stage needs beside the data; lies in the workspace. */
typedef struct tlk_depthwise {
    const tlk_sepconv *sepconv;
    const real *weights;
    int64_t *positions;    /* k * dilation of each tap, in the order of summation */
    tlk_tap_group *groups; /* the same taps */
    int64_t group_count;
    int64_t phase_length; /* channels_first: the window of one channel is [stride][phase_length] */
    real *windows;        /* some of them */
    real *line;           /* as many elements as one window */
} tlk_depthwise;

/* One tile of channels_first; see tlk_depthwise_first for h. */
typedef struct tlk_row_tile {
    const tlk_depthwise *depthwise;
    real *h;
    int64_t panel; /* from one panel of h to the next */
    int vectors;   /* 1, 4 or 8, at least as many as hold the steps */
} tlk_row_tile;

TLK_INLINE real *tlk_h_vector(const tlk_row_tile *tile, int64_t j, int v)
{
    return tile->h + v / TLK_NV * tile->panel + j * TLK_NR + v % TLK_NV * VW;
}

/* All outputs of `count` channels from c on. data is where the first tap of the first step lies, data_step leads from
 * channel to channel. */
void TLK_REAL_FN(tlk_depthwise_rows)(const tlk_row_tile *tile, const real *data, int64_t data_step, int64_t c,
                                     int64_t count);

/* Elements of the packed weights, and bytes of workspace; SIZE_MAX where there is no such size. */
size_t TLK_ELEMENT_FN(tlk_depthwise_weights)(const tlk_sepconv *sepconv);
size_t TLK_ELEMENT_FN(tlk_depthwise_workspace)(const tlk_sepconv *sepconv);

void TLK_ELEMENT_FN(tlk_depthwise_pack)(const tlk_sepconv *sepconv, const elem *depthwise, real *weights);
void TLK_ELEMENT_FN(tlk_depthwise_prepare)(tlk_depthwise *depthwise, const tlk_sepconv *sepconv, const real *weights,
                                           void *workspace);

/* channels_first: x is one sample, h is [panel of TLK_NR steps][C*D][TLK_NR]; steps <= TLK_FIRST_TILE. Whole vectors,
 * of up to TLK_FIRST_TILE steps, are written; lanes from `steps` on mean nothing. */
void TLK_ELEMENT_FN(tlk_depthwise_first)(const tlk_depthwise *depthwise, const elem *x, int64_t length,
                                         int64_t pad_left, int64_t t, int steps, real *h);

/* channels_last: x is one sample, h is [D][C in vectors][TLK_LAST_TILE + 1][VW]; steps <= TLK_LAST_TILE. (The odd
 * number of rows keeps the vectors of one step out of each other's cache sets.) */
void TLK_ELEMENT_FN(tlk_depthwise_last)(const tlk_depthwise *depthwise, const elem *x, int64_t length, int64_t pad_left,
                                        int64_t t, int steps, real *h);

#endif
