/* The depthwise stage of channels_first straight from x: lanes are time steps, a tap is one number for all of them. */
#include "kernels/depthwise.h"

#if TLK_LANE_STEPS == 16
#define MAX_ROWS 2 /* of 32 registers, 16 sums */
#else
#define MAX_ROWS 1
#endif

/* Rows j, j + j_step... of h, whose data lies data_step apart. The sums of all of them stay in registers; there are
 * enough of them to hide the latency of a multiply-add. */
TLK_INLINE void sum_rows(int rows, int vectors, const tlk_row_tile *tile, const real *data, int64_t data_step,
                         int64_t j, int64_t j_step)
{
    const tlk_sepconv *s = tile->depthwise->sepconv;
    const real *weights = tile->depthwise->by_rows + j * s->kernel_size;
    vec sum[MAX_ROWS][8];
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[r][v] = v_zero();
    for (int64_t k = 0; k < s->kernel_size; k++, data += s->dilation)
        TLK_UNROLL
    for (int r = 0; r < rows; r++) {
        const vec weight = v_set1(weights[r * j_step * s->kernel_size + k]);
        TLK_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[r][v] = v_fma(v_load(data + r * data_step + v * VW), weight, sum[r][v]);
    }
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        v_store(tlk_h_vector(tile, j + r * j_step, v), sum[r][v]);
}

TLK_INLINE void some_rows(int rows, const tlk_row_tile *tile, const real *data, int64_t data_step, int64_t j,
                          int64_t j_step)
{
    if (tile->vectors == 8)
        sum_rows(rows, 8, tile, data, data_step, j, j_step);
    else if (tile->vectors == 4)
        sum_rows(rows, 4, tile, data, data_step, j, j_step);
    else
        sum_rows(rows, 1, tile, data, data_step, j, j_step);
}

static TLK_NOINLINE void one_row(const tlk_row_tile *tile, const real *data, int64_t j)
{
    some_rows(1, tile, data, 0, j, 0);
}

static TLK_NOINLINE void two_rows(const tlk_row_tile *tile, const real *data, int64_t data_step, int64_t j,
                                  int64_t j_step)
{
    some_rows(MAX_ROWS, tile, data, data_step, j, j_step);
}

void TLK_REAL_FN(tlk_depthwise_rows)(const tlk_row_tile *tile, const real *data, int64_t data_step, int64_t c,
                                     int64_t count)
{
    const tlk_sepconv *s = tile->depthwise->sepconv;
    int64_t m = 0;
    for (; MAX_ROWS > 1 && m + 2 <= s->multiplier; m += 2) /* two outputs of one channel, */
        for (int64_t i = 0; i < count; i++)
            two_rows(tile, data + i * data_step, 0, m * s->channels + c + i, s->channels);
    for (; m < s->multiplier; m++) {
        int64_t i = 0;
        for (; MAX_ROWS > 1 && i + 2 <= count; i += 2) /* or of two channels */
            two_rows(tile, data + i * data_step, data_step, m * s->channels + c + i, 1);
        for (; i < count; i++)
            one_row(tile, data + i * data_step, m * s->channels + c + i);
    }
}
