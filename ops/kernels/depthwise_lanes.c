/* The depthwise stage with lanes of channels: each tap is a vector of weights. */
#include "kernels/depthwise.h"

/* Taps that read the same vectors, which lie `step` apart: each vector is loaded once for all of them. */
TLK_INLINE void shared_taps(int steps, int taps, const real *data, int64_t step, const real *weights, vec *sum)
{
    vec weight[TLK_SHARED_TAPS];
    TLK_UNROLL
    for (int q = 0; q < taps; q++)
        weight[q] = v_load(weights + q * VW);
    TLK_UNROLL
    for (int u = 0; u < steps + taps - 1; u++) {
        vec x = v_load(data);
        data += step;
        if (taps > 1)
            TLK_IN_REGISTER(x);
        TLK_UNROLL
        for (int q = 0; q < taps; q++)
            if (u - q >= 0 && u - q < steps)
                sum[u - q] = v_fma(x, weight[q], sum[u - q]);
    }
}

/* From the window, or straight from x. */
TLK_INLINE void sum_taps(int steps, bool windowed, const tlk_depthwise *depthwise, const real *data,
                         const real *weights, vec *sum)
{
    TLK_UNROLL
    for (int i = 0; i < steps; i++)
        sum[i] = v_zero();
    const tlk_sepconv *s = depthwise->sepconv;
    const int64_t step = windowed ? VW : s->stride * s->channels;
    const tlk_tap_group *group = depthwise->groups;
    const tlk_tap_group *const end = group + depthwise->group_count;
    TLK_UNROLL
    for (int taps = TLK_SHARED_TAPS; taps > 0; taps--) /* no group is larger than the one before */
        for (; group < end && group->taps == taps; group++, weights += taps * VW) {
            const int64_t offset = windowed ? group->offset : group->position * s->channels;
            shared_taps(steps, taps, data + offset, step, weights, sum);
        }
}

TLK_INLINE void lanes(bool windowed, const tlk_depthwise *depthwise, const real *data, const real *weights, real *h)
{
    vec sum[TLK_LANE_STEPS];
    sum_taps(TLK_LANE_STEPS, windowed, depthwise, data, weights, sum);
    TLK_UNROLL
    for (int i = 0; i < TLK_LANE_STEPS; i++)
        v_store(h + i * VW, sum[i]);
}

void TLK_REAL_FN(tlk_depthwise_lanes)(const tlk_depthwise *depthwise, const real *window, const real *weights, real *h)
{
    lanes(true, depthwise, window, weights, h);
}

void TLK_REAL_FN(tlk_depthwise_direct)(const tlk_depthwise *depthwise, const real *x, const real *weights, real *h)
{
    lanes(false, depthwise, x, weights, h);
}

TLK_INLINE void turned(int steps, const tlk_depthwise *depthwise, const real *window, const real *weights, int rows,
                       const tlk_row_tile *tile, int64_t j, int v)
{
    vec sum[TLK_LANE_STEPS];
    sum_taps(steps, true, depthwise, window, weights, sum);
    TLK_UNROLL
    for (int i = steps; i < (steps + VW - 1) / VW * VW; i++)
        sum[i] = v_zero();
    TLK_UNROLL
    for (int i = 0; i < (steps + VW - 1) / VW; i++) {
        v_transpose(sum + i * VW);
        real *h = tlk_h_vector(tile, j, v + i);
        if (rows == VW) {
            TLK_UNROLL
            for (int r = 0; r < VW; r++)
                v_store(h + r * TLK_NR, sum[i * VW + r]);
        } else {
            TLK_UNROLL
            for (int r = 0; r < VW - 1; r++)
                if (r < rows)
                    v_store(h + r * TLK_NR, sum[i * VW + r]);
        }
    }
}

void TLK_REAL_FN(tlk_depthwise_steps)(const tlk_depthwise *depthwise, const real *window, const real *weights, int rows,
                                      const tlk_row_tile *tile, int64_t j, int t, int steps)
{
    if (steps > 4)
        turned(TLK_LANE_STEPS, depthwise, window, weights, rows, tile, j, t / VW);
    else
        turned(4, depthwise, window, weights, rows, tile, j, t / VW);
}
