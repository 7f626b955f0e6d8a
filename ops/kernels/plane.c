#include "kernels/plane.h"

#define ROWS TLK_PLANE_ROWS
#if defined TLK_ISA_AVX512 || defined TLK_ISA_NEON
#define BLOCKS 4 /* of 32 registers, 16 sums */
#else
#define BLOCKS 2
#endif

/* x: the data of each block's first output. */
typedef void sum_function(const tlk_plane *plane, const real *const x[BLOCKS], vec sum[BLOCKS][ROWS]);

TLK_INLINE void sums_begin(int blocks, const tlk_plane *plane, vec sum[BLOCKS][ROWS])
{
    TLK_UNROLL
    for (int b = 0; b < blocks; b++)
        TLK_UNROLL
    for (int r = 0; r < ROWS; r++)
        sum[b][r] = v_set1(plane->bias);
}

/* Any taps. */
TLK_INLINE void sum_taps(int blocks, const tlk_plane *plane, const real *const x[BLOCKS], vec y[BLOCKS][ROWS])
{
    vec sum[BLOCKS][ROWS];
    const real *row[BLOCKS][ROWS];
    sums_begin(blocks, plane, sum);
    TLK_UNROLL
    for (int b = 0; b < blocks; b++)
        TLK_UNROLL
    for (int r = 0; r < ROWS; r++)
        row[b][r] = x[b] + r * plane->pitch;
    const real *weights = plane->weights;
    for (int64_t t = 0; t < plane->taps; t++)
        for (int64_t j = 0, at = plane->offsets[t]; j < plane->depth; j++, at += plane->step) {
            const vec weight = v_set1(*weights++);
            TLK_UNROLL
            for (int b = 0; b < blocks; b++)
                TLK_UNROLL
            for (int r = 0; r < ROWS; r++)
                sum[b][r] = v_fma(weight, v_load(row[b][r] + at), sum[b][r]);
        }
    TLK_UNROLL
    for (int b = 0; b < blocks; b++)
        TLK_UNROLL
    for (int r = 0; r < ROWS; r++)
        y[b][r] = sum[b][r];
}

/* `height` rows of taps, a constant, that neighbouring rows of outputs share: each row of data is loaded once. */
TLK_INLINE void sum_shared(int height, int blocks, const tlk_plane *plane, const real *const x[BLOCKS],
                           vec y[BLOCKS][ROWS])
{
    vec sum[BLOCKS][ROWS];
    sums_begin(blocks, plane, sum);
    TLK_UNROLL
    for (int i = 0; i < ROWS + height - 1; i++)
        for (int64_t j = 0, at = i * plane->pitch; j < plane->depth; j++, at += plane->step) {
            vec data[BLOCKS];
            TLK_UNROLL
            for (int b = 0; b < blocks; b++) {
                data[b] = v_load(x[b] + at);
                if (i > 0 && i < ROWS + height - 2) /* or it would be loaded for each row */
                    TLK_IN_REGISTER(data[b]);
            }
            TLK_UNROLL
            for (int r = 0; r < ROWS; r++) {
                if (r > i || i - r >= height)
                    continue;
                const vec weight = v_set1(plane->weights[(i - r) * plane->depth + j]);
                TLK_UNROLL
                for (int b = 0; b < blocks; b++)
                    sum[b][r] = v_fma(weight, data[b], sum[b][r]);
            }
        }
    TLK_UNROLL
    for (int b = 0; b < blocks; b++)
        TLK_UNROLL
    for (int r = 0; r < ROWS; r++)
        y[b][r] = sum[b][r];
}

#define INSTANCE(name, call)                                                                                  \
    static TLK_NOINLINE void name(const tlk_plane *plane, const real *const x[BLOCKS], vec sum[BLOCKS][ROWS]) \
    {                                                                                                         \
        call;                                                                                                 \
    }
INSTANCE(sum_any, sum_taps(2, plane, x, sum))
INSTANCE(sum_3_few, sum_shared(3, BLOCKS / 2, plane, x, sum))
INSTANCE(sum_3, sum_shared(3, BLOCKS, plane, x, sum))
INSTANCE(sum_5_few, sum_shared(5, BLOCKS / 2, plane, x, sum))
INSTANCE(sum_5, sum_shared(5, BLOCKS, plane, x, sum))

static void store(const tlk_plane *plane, const vec sum[ROWS], real *y)
{
    const vec low = v_set1(plane->low);
    const vec high = v_set1(plane->high);
    for (int r = 0; r < ROWS && r < plane->rows; r++, y += plane->y_pitch) {
        const vec v = v_max(low, v_min(high, sum[r]));
        if (plane->columns >= VW)
            v_store(y, v);
        else
            v_store_n(y, v, (int)plane->columns);
    }
}

void TLK_REAL_FN(tlk_plane_multiply)(const tlk_plane *plane)
{
    /* The last block of a row or a column overlaps with the one before, rather than reaching beyond. */
    const int64_t last_row = plane->rows > ROWS ? plane->rows - ROWS : 0;
    const int64_t last_column = plane->columns > VW ? plane->columns - VW : 0;
    const int64_t across = (plane->columns + VW - 1) / VW;
    const int64_t all = (plane->rows + ROWS - 1) / ROWS * across;
    const bool five = plane->shared && plane->taps == 5;
    const bool three = plane->shared && plane->taps == 3;
    int64_t row = 0;
    int64_t column = 0;
    for (int64_t block = 0; block < all;) {
        const bool many = (three || five) && all - block > BLOCKS / 2;
        const int blocks = many ? BLOCKS : three || five ? BLOCKS / 2 : 2;
        const real *x[BLOCKS];
        real *y[BLOCKS];
        vec sum[BLOCKS][ROWS];
        for (int b = 0; b < blocks; b++) {
            x[b] = plane->data + row * plane->pitch + column;
            y[b] = plane->y + row * plane->y_pitch + column;
            if (column < last_column) {
                column = column + VW < last_column ? column + VW : last_column;
            } else if (row < last_row) { /* behind the last block it comes again */
                row = row + ROWS < last_row ? row + ROWS : last_row;
                column = 0;
            }
        }
        if (five)
            (many ? sum_5 : sum_5_few)(plane, x, sum);
        else if (three)
            (many ? sum_3 : sum_3_few)(plane, x, sum);
        else
            sum_any(plane, x, sum);
        for (int b = 0; b < blocks && block + b < all; b++)
            store(plane, sum[b], y[b]);
        block += blocks;
    }
}
