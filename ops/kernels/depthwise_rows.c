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

/* sum[v] += step v * VW on, and its neighbours, of one tap `shift` steps later. */
TLK_INLINE void add_shifted(int vectors, const vec *x, int64_t shift, real weight, vec *sum)
{
    const vec_mask lanes = LANES + (int)shift;
    TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[v] = v_fma(SELECT_LANES(x[v], lanes, x[v + 1]), v_set1(weight), sum[v]);
}

/* Taps that are near: x is loaded once, and a tap has the lanes of two neighbouring vectors. Loads at a tap would
 * nearly all cross a cache line, and take twice as long as selecting lanes does. At stride 2, even and odd steps of x
 * are apart. */
TLK_INLINE void sum_near_rows(int vectors, int stride, const struct rows *rows)
{
    const tlk_row_tile *tile = rows->tile;
    const tlk_sepconv *s = tile->depthwise->sepconv;
    const real *data = rows->data;
    unsigned masks[18];
    for (int v = 0; v < (vectors + 1) * stride; v++) {
        const int64_t at = rows->start + v * VW;
        const int begin = (int)CLAMP(-at, 0, VW);
        masks[v] = (1U << CLAMP(rows->length - at, begin, VW)) - (1U << begin);
    }
    for (int64_t c = rows->c; c < rows->c + rows->count; c++, data = e_outside(data, rows->length)) {
        vec x[9];
        vec odd[9];
        TLK_UNROLL
        for (int v = 0; v <= vectors; v++) {
            x[v] = LOAD_MASKED(masks[v * stride], e_outside(data, v * stride * VW));
            if (stride == 2) {
                const vec more = LOAD_MASKED(masks[v * 2 + 1], e_outside(data, (v * 2 + 1) * VW));
                odd[v] = v_odd(x[v], more);
                x[v] = v_even(x[v], more);
            }
        }
        for (int64_t j = c; j < s->channels * s->multiplier; j += s->channels) {
            const real *weights = tile->depthwise->by_rows + j * s->kernel_size;
            vec sum[8];
            TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[v] = v_fma(x[v], v_set1(weights[0]), v_zero());
            int64_t at = s->dilation;
            for (int64_t k = 1; k < s->kernel_size; k++, at += s->dilation)
                if (stride == 2 && at % 2 != 0)
                    add_shifted(vectors, odd, at / 2, weights[k], sum);
                else
                    add_shifted(vectors, x, at / stride, weights[k], sum);
            TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                v_store(tlk_h_vector(tile, j, v), sum[v]);
        }
    }
}

#define INSTANCE(vectors)                                            \
    static TLK_NOINLINE void rows_##vectors(const struct rows *rows) \
    {                                                                \
        const tlk_sepconv *s = rows->tile->depthwise->sepconv;       \
        if (!tlk_taps_are_near(s))                                   \
            sum_rows(vectors, rows);                                 \
        else if (s->stride == 1)                                     \
            sum_near_rows(vectors, 1, rows);                         \
        else                                                         \
            sum_near_rows(vectors, 2, rows);                         \
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
