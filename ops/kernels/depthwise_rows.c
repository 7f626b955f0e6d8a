/* The depthwise stage of channels_first, from data that holds all that the taps read: lanes are time steps. */
#include "kernels/depthwise_taps.h"

/* Rows j, j + j_step... of h; data is where the first tap of the tile's first step lies. */
TLK_INLINE void whole_vectors(bool same, int rows, int vectors, const tlk_row_tile *tile, const real *data,
                              int64_t data_step, int64_t j, int64_t j_step)
{
    const int64_t taps = tile->depthwise->sepconv->kernel_size;
    const struct rows at = {
        .data_step = data_step, .weights_step = j_step * taps, .vector_step = VW, .lanes = VW, .same = same};
    vec sum[MAX_ROWS][MAX_VECTORS];
    sum_taps(false, rows, vectors, &at, tile->depthwise, data, tile->depthwise->weights + j * taps, sum);
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        v_store(tlk_h_vector(tile, j + r * j_step, v), sum[r][v]);
}

TLK_INLINE void whole_rows(bool same, int rows, const tlk_row_tile *tile, const real *data, int64_t data_step,
                           int64_t j, int64_t j_step)
{
    if (tile->vectors == 8)
        whole_vectors(same, rows, 8, tile, data, data_step, j, j_step);
    else if (tile->vectors == 4)
        whole_vectors(same, rows, 4, tile, data, data_step, j, j_step);
    else
        whole_vectors(same, rows, 1, tile, data, data_step, j, j_step);
}

static TLK_NOINLINE void one_row(const tlk_row_tile *tile, const real *data, int64_t j)
{
    whole_rows(false, 1, tile, data, 0, j, 0);
}

static TLK_NOINLINE void two_channels(const tlk_row_tile *tile, const real *data, int64_t data_step, int64_t j)
{
    whole_rows(false, MAX_ROWS, tile, data, data_step, j, 1);
}

static TLK_NOINLINE void two_outputs(const tlk_row_tile *tile, const real *data, int64_t j)
{
    whole_rows(true, MAX_ROWS, tile, data, 0, j, tile->depthwise->sepconv->channels);
}

void TLK_REAL_FN(tlk_depthwise_rows)(const tlk_row_tile *tile, const real *data, int64_t data_step, int64_t c,
                                     int64_t count)
{
    const tlk_sepconv *s = tile->depthwise->sepconv;
    int64_t m = 0;
    for (; MAX_ROWS > 1 && m + 2 <= s->multiplier; m += 2)
        for (int64_t i = 0; i < count; i++)
            two_outputs(tile, data + i * data_step, m * s->channels + c + i);
    for (; m < s->multiplier; m++) {
        int64_t i = 0;
        for (; MAX_ROWS > 1 && i + 2 <= count; i += 2)
            two_channels(tile, data + i * data_step, data_step, m * s->channels + c + i);
        for (; i < count; i++)
            one_row(tile, data + i * data_step, m * s->channels + c + i);
    }
}
