/* The depthwise stage: one tile of time steps of all channels, into a buffer that stays in the cache.
 *
 *     h[j][t] = sum_k Xpad[(t0 + t)*stride + k*dilation][c] * weights[j][k],   j = m*C + c
 *
 * In both layouts the lanes are channels: what the tile's taps read of VW channels is copied into a window, one vector
 * for each position, and every tap is a vector that begins where a vector begins. Taps that are `period` apart read
 * the same vectors, one further each, so that they share loads when they are next to each other. Where there are few
 * taps in channels_first, or few channels, transposing would cost more than it saves: there the lanes are time steps,
 * and the taps read x, where they do not reach beyond it (depthwise_rows.c).
 *
 * Taps are summed in blocks of TLK_SHARED_TAPS * period; in a block by k mod period; then ascending. The period is 1
 * or K where the stride is 1. So is all ascending there, as it is with lanes of steps: some tiles have those and others
 * windows, and both give the same bits. At a stride of 2 all tiles have the one or the other; with lanes of steps, taps
 * at even positions come before those at odd ones.
 */
#ifndef TLK_DEPTHWISE_H
#define TLK_DEPTHWISE_H

#include "kernels/block.h"
#include "kernels/check.h"
#include "kernels/sepconv.h"
#include "kernels/vreal.h"

/* At most that many taps share their loads. */
#define TLK_SHARED_TAPS 4

/* Output steps that are worked on at a time: a tile, and the sums that stay in registers. */
#define TLK_FIRST_TILE (8 * VW)
#define TLK_LAST_TILE  (8 * TLK_MR)
#if (defined TLK_ISA_AVX512 || defined TLK_ISA_NEON) && !defined TLK_DOUBLE
#define TLK_LANE_STEPS 16
#else
#define TLK_LANE_STEPS 8
#endif

static inline bool is_last(const tlk_sepconv *s)
{
    return s->layout == TLK_CHANNELS_LAST;
}

static inline int64_t tile_steps(const tlk_sepconv *s)
{
    return is_last(s) ? TLK_LAST_TILE : TLK_FIRST_TILE;
}

typedef struct tlk_tap_group {
    int64_t position; /* k * dilation of the first tap */
    int64_t offset;   /* of its data in the window, in elements */
    int64_t taps;     /* 1 to TLK_SHARED_TAPS; each next one's data lies one step further */
} tlk_tap_group;

/* What a run of the stage needs beside the data; lies in the workspace. */
typedef struct tlk_depthwise {
    const tlk_sepconv *sepconv;
    const real *by_lanes;  /* weights [D][C in vectors][K in the order of summation][VW] */
    const real *by_rows;   /* [D][C][K] */
    bool has_rows;         /* whether there are such: the lanes are not always channels */
    tlk_tap_group *groups; /* the taps, in the order of summation */
    int64_t group_count;
    int64_t phase_length; /* the window is [stride][phase_length][VW]; 0 if it would be too large */
    real *window;
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

/* Whether tlk_depthwise_rows has the taps of one step in two vectors; then a tile may reach beyond x, where zeros are.
 */
static inline bool tlk_taps_are_near(const tlk_sepconv *sepconv)
{
#if defined TLK_ISA_AVX512
    return sepconv->stride <= 2 && sepconv->kernel_size - 1 <= VW * sepconv->stride / sepconv->dilation;
#else
    (void)sepconv;
    return false;
#endif
}

/* All outputs of `count` channels from c on, at stride 1 or of near taps. x is channel c's; the first tap of the first
 * step lies at `start`. */
void TLK_REAL_FN(tlk_depthwise_rows)(const tlk_row_tile *tile, const real *x, int64_t length, int64_t start, int64_t c,
                                     int64_t count);

/* TLK_LANE_STEPS steps of VW channels, whose weights these are. The first tap of the first step lies at `window`, or in
 * channels_last at `x`; h has a vector of channels for each step. Turned to channels_first, it has a row of steps for
 * each of `rows` channels from j on; they are the tile's steps from t on, of which `steps` mean something. */
void TLK_REAL_FN(tlk_depthwise_lanes)(const tlk_depthwise *depthwise, const real *window, const real *weights, real *h);
void TLK_REAL_FN(tlk_depthwise_direct)(const tlk_depthwise *depthwise, const real *x, const real *weights, real *h);
void TLK_REAL_FN(tlk_depthwise_steps)(const tlk_depthwise *depthwise, const real *window, const real *weights, int rows,
                                      const tlk_row_tile *tile, int64_t j, int t, int steps);

/* Elements of the packed weights, and bytes of workspace; SIZE_MAX where there is no such size. */
size_t TLK_REAL_FN(tlk_depthwise_weights)(const tlk_sepconv *sepconv);
size_t TLK_REAL_FN(tlk_depthwise_workspace)(const tlk_sepconv *sepconv);

/* Elements of a kernel's packed weights before the bias: those of the stage, to a whole vector. SIZE_MAX stays. */
static inline size_t bias_at(const tlk_sepconv *s)
{
    return tlk_size_round_up(TLK_REAL_FN(tlk_depthwise_weights)(s), VW);
}

/* depthwise is (C*D, 1, K). */
void TLK_REAL_FN(tlk_depthwise_pack)(const tlk_sepconv *sepconv, const real *depthwise, real *weights);

void TLK_REAL_FN(tlk_depthwise_prepare)(tlk_depthwise *depthwise, const tlk_sepconv *sepconv, const real *weights,
                                        void *workspace);

/* channels_first: x is one sample, h is [TLK_FIRST_TILE / TLK_NR][D*C][TLK_NR]; steps <= TLK_FIRST_TILE. */
void TLK_REAL_FN(tlk_depthwise_first)(const tlk_depthwise *depthwise, const real *x, int64_t length, int64_t pad_left,
                                      int64_t t, int steps, real *h);

/* channels_last: x is one sample, h is [D][C in vectors][TLK_LAST_TILE + 1][VW]; steps <= TLK_LAST_TILE. (The odd
 * number of rows keeps the vectors of one step out of each other's cache sets.) */
void TLK_REAL_FN(tlk_depthwise_last)(const tlk_depthwise *depthwise, const real *x, int64_t length, int64_t pad_left,
                                     int64_t t, int steps, real *h);

#endif
