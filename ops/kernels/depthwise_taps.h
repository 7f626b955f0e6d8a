/* The register block of the depthwise stage: sums over all taps, of several rows and vectors at once. */
#ifndef TLK_DEPTHWISE_TAPS_H
#define TLK_DEPTHWISE_TAPS_H

#include "kernels/depthwise.h"

#define MAX_VECTORS 8
#if (defined TLK_ISA_AVX512 || defined TLK_ISA_NEON) && !defined TLK_DOUBLE
#define MAX_ROWS 2 /* of 32 registers, 16 sums, 8 weights and the data */
#else
#define MAX_ROWS 1
#endif

/* In channels_first the lanes are steps, a tap is one number for all of them, and data is `real` already; in
 * channels_last (`last`) the lanes are channels, each with a tap of its own, and data is as stored. */
TLK_INLINE const void *data_at(bool last, const void *x, int64_t offset)
{
    return last ? (const void *)((const elem *)x + offset) : (const void *)((const real *)x + offset);
}

TLK_INLINE vec load_data(bool last, const void *x, int lanes)
{
    if (!last)
        return v_load(x);
    return lanes == VW ? e_load(x) : e_load_n(x, lanes);
}

TLK_INLINE vec load_weight(bool last, const real *weights, int64_t tap)
{
    return last ? v_load(weights + tap * VW) : v_set1(weights[tap]);
}

/* Where the rows of a register block lie: neighbouring channels, or outputs of the same channel (`same`). */
struct rows {
    int64_t data_step; /* from row to row in the data, and in the weights */
    int64_t weights_step;
    int64_t vector_step; /* from vector to vector in the data */
    int lanes;
    bool same; /* all rows read the same data */
};

/* Taps that read the same vectors, each one vector further than the one before: every vector is loaded once. */
TLK_INLINE void shared_taps(bool last, int rows, int vectors, int taps, const struct rows *at, const void *x,
                            int64_t offset, const real *weights, vec sum[MAX_ROWS][MAX_VECTORS])
{
    vec weight[MAX_ROWS][TLK_SHARED_TAPS];
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int q = 0; q < taps; q++)
        weight[r][q] = load_weight(last, weights + r * at->weights_step, q);
    const void *row[MAX_ROWS];
    TLK_UNROLL
    for (int r = 0; r < rows; r++) {
        row[r] = data_at(last, x, offset + r * at->data_step);
        TLK_IN_POINTER(row[r]);
    }
    TLK_UNROLL
    for (int u = 0; u < vectors + taps - 1; u++) {
        vec data = v_zero();
        TLK_UNROLL
        for (int r = 0; r < rows; r++) {
            if (r == 0 || !at->same)
                data = load_data(last, row[r], at->lanes);
            row[r] = data_at(last, row[r], at->vector_step);
            if (taps > 1)
                TLK_IN_REGISTER(data);
            TLK_UNROLL
            for (int q = 0; q < taps; q++)
                if (u - q >= 0 && u - q < vectors)
                    sum[r][u - q] = v_fma(data, weight[r][q], sum[r][u - q]);
        }
    }
}

/* All taps: rows * vectors sums in registers, enough of them to hide the latency of a multiply-add. */
TLK_INLINE void sum_taps(bool last, int rows, int vectors, const struct rows *at, const tlk_depthwise *depthwise,
                         const void *x, const real *weights, vec sum[MAX_ROWS][MAX_VECTORS])
{
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[r][v] = v_zero();
    const tlk_tap_group *group = depthwise->groups;
    const tlk_tap_group *const end = group + depthwise->group_count;
    TLK_UNROLL
    for (int taps = last ? TLK_SHARED_TAPS_LAST : TLK_SHARED_TAPS; taps > 0;
         taps--) /* no group is larger than the one before */
        for (; group < end && group->taps == taps; group++, weights += taps * (last ? VW : 1))
            shared_taps(last, rows, vectors, taps, at, x, group->offset, weights, sum);
}

#endif
