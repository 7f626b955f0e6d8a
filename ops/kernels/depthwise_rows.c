/* The depthwise stage of channels_first straight from x: lanes are time steps, a tap is one number for all of them. */
#include "kernels/depthwise.h"

#define CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))

/* What is to be summed: all outputs of some channels from c on. data is where the first one's first tap of the first
 * step lies, or would, if x began sooner. */
struct rows {
    const tlk_row_tile *tile;
    const real *data;
    int64_t length; /* of x; from channel to channel */
    int64_t start;  /* of data in x */
    int64_t c, count;
};

TLK_INLINE void sum_rows(int vectors, const struct rows *rows)
{
    const tlk_row_tile *tile = rows->tile;
    const tlk_sepconv *s = tile->depthwise->sepconv;
    const real *x = rows->data;
    for (int64_t c = rows->c; c < rows->c + rows->count; c++, x += rows->length)
        for (int64_t j = c; j < s->channels * s->multiplier; j += s->channels) {
            const real *weights = tile->depthwise->by_rows + j * s->kernel_size;
            const real *data = x;
            vec sum[8];
            TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[v] = v_zero();
            for (int64_t k = 0; k < s->kernel_size; k++, data += s->dilation)
                TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[v] = v_fma(v_load(data + v * VW), v_set1(weights[k]), sum[v]);
            TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                v_store(tlk_h_vector(tile, j, v), sum[v]);
        }
}

#if defined TLK_ISA_AVX512
#if defined TLK_DOUBLE
#define LANES                     ((vec_mask){0, 1, 2, 3, 4, 5, 6, 7})
#define LOAD_MASKED(mask, p)      ((vec)_mm512_maskz_loadu_pd((__mmask8)(mask), p))
#define SELECT_LANES(a, lanes, b) ((vec)_mm512_permutex2var_pd((__m512d)(a), (__m512i)(lanes), (__m512d)(b)))
#else
#define LANES                     ((vec_mask){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
#define LOAD_MASKED(mask, p)      ((vec)_mm512_maskz_loadu_ps((__mmask16)(mask), p))
#define SELECT_LANES(a, lanes, b) ((vec)_mm512_permutex2var_ps((__m512)(a), (__m512i)(lanes), (__m512)(b)))
#endif

/* Taps that are near: x is loaded once, and a tap has the lanes of two neighbouring vectors. Loads at
 * a tap would nearly all cross a cache line, and take twice as long as selecting lanes does. */
TLK_INLINE void sum_near_rows(int vectors, const struct rows *rows)
{
    const tlk_row_tile *tile = rows->tile;
    const tlk_sepconv *s = tile->depthwise->sepconv;
    const real *data = rows->data;
    unsigned masks[9];
    for (int v = 0; v <= vectors; v++) {
        const int64_t at = rows->start + v * VW;
        const int begin = (int)CLAMP(-at, 0, VW);
        masks[v] = (1U << CLAMP(rows->length - at, begin, VW)) - (1U << begin);
    }
    for (int64_t c = rows->c; c < rows->c + rows->count; c++, data = e_outside(data, rows->length)) {
        vec x[9];
        TLK_UNROLL
        for (int v = 0; v <= vectors; v++)
            x[v] = LOAD_MASKED(masks[v], e_outside(data, v * VW));
        for (int64_t j = c; j < s->channels * s->multiplier; j += s->channels) {
            const real *weights = tile->depthwise->by_rows + j * s->kernel_size;
            vec_mask lanes = LANES;
            vec sum[8];
            TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[v] = v_fma(x[v], v_set1(weights[0]), v_zero());
            for (int64_t k = 1; k < s->kernel_size; k++) {
                const vec weight = v_set1(weights[k]);
                lanes += (int)s->dilation;
                TLK_UNROLL
                for (int v = 0; v < vectors; v++)
                    sum[v] = v_fma(SELECT_LANES(x[v], lanes, x[v + 1]), weight, sum[v]);
            }
            TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                v_store(tlk_h_vector(tile, j, v), sum[v]);
        }
    }
}

#define INSTANCE(vectors)                                            \
    static TLK_NOINLINE void rows_##vectors(const struct rows *rows) \
    {                                                                \
        if (tlk_taps_are_near(rows->tile->depthwise->sepconv))       \
            sum_near_rows(vectors, rows);                            \
        else                                                         \
            sum_rows(vectors, rows);                                 \
    }
#else
#define INSTANCE(vectors)                                            \
    static TLK_NOINLINE void rows_##vectors(const struct rows *rows) \
    {                                                                \
        sum_rows(vectors, rows);                                     \
    }
#endif
INSTANCE(1)
INSTANCE(4)
INSTANCE(8)

void TLK_REAL_FN(tlk_depthwise_rows)(const tlk_row_tile *tile, const real *x, int64_t length, int64_t start, int64_t c,
                                     int64_t count)
{
    const struct rows rows = {tile, e_outside(x, start), length, start, c, count};
    (tile->vectors == 1 ? rows_1 : tile->vectors == 4 ? rows_4 : rows_8)(&rows);
}
