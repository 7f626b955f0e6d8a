/* The depthwise stage of channels_first straight from x: lanes are time steps, a tap is one number for all of them. */
#include "kernels/depthwise.h"

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
    const tlk_row_tile tile = *rows->tile; /* what is copied stays in registers, whatever is stored to h */
    const tlk_sepconv *s = tile.depthwise->sepconv;
    const real *by_rows = tile.depthwise->by_rows;
    const int64_t taps = s->kernel_size;
    const int64_t dilation = s->dilation;
    const real *x = rows->data;
    for (int64_t c = rows->c; c < rows->c + rows->count; c++, x += rows->length)
        for (int64_t j = c; j < s->channels * s->multiplier; j += s->channels) {
            const real *weights = by_rows + j * taps;
            const real *data = x;
            vec sum[8];
            TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[v] = v_zero();
            for (int64_t k = 0; k < taps; k++, data += dilation)
                TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[v] = v_fma(v_load(data + v * VW), v_set1(weights[k]), sum[v]);
            TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                v_store(tlk_h_vector(&tile, j, v), sum[v]);
        }
}

#if defined TLK_ISA_AVX512
#define CLAMP(x, lo, hi)          ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))
#define LANES                     ((vec_mask){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
#define LOAD_MASKED(mask, p)      ((vec)_mm512_maskz_loadu_ps(mask, p))
#define SELECT_LANES(a, lanes, b) ((vec)_mm512_permutex2var_ps((__m512)(a), (__m512i)(lanes), (__m512)(b)))

/* sum[v] += weight * what `lanes` select from x[v] and its neighbour, for each of some outputs. */
TLK_INLINE void add_selected(int vectors, const vec *x, vec_mask lanes, int outputs, const real *weights,
                             int64_t next_output, vec sum[][8])
{
    TLK_UNROLL
    for (int v = 0; v < vectors; v++) {
        vec selected = SELECT_LANES(x[v], lanes, x[v + 1]);
        if (outputs > 1)
            TLK_IN_REGISTER(selected);
        TLK_UNROLL
        for (int i = 0; i < outputs; i++)
            sum[i][v] = v_fma(selected, v_set1(weights[i * next_output]), sum[i][v]);
    }
}

TLK_INLINE void add_all(int vectors, const vec *x, int outputs, const real *weights, int64_t next_output, vec sum[][8])
{
    TLK_UNROLL
    for (int i = 0; i < outputs; i++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[i][v] = v_fma(x[v], v_set1(weights[i * next_output]), sum[i][v]);
}

/* Vector v of a row, of which masks[v] lies in x. */
TLK_INLINE vec load_row(bool inside, const __mmask16 *masks, const real *row, int v)
{
    return inside ? v_load(row + v * VW) : LOAD_MASKED(masks[v], v_outside(row, v * VW));
}

/* Row j of h, and maybe the next output's of the same channel: what is selected serves both. */
TLK_INLINE void sum_near_outputs(int vectors, int outputs, const tlk_row_tile *tile, const tlk_sepconv *s, int apart,
                                 vec_mask step, const vec x[9], const vec odd[9], int64_t j)
{
    const int64_t taps = s->kernel_size;
    const int64_t next_output = s->channels * taps;
    const real *weights = tile->depthwise->by_rows + j * taps;
    vec sum[2][8];
    TLK_UNROLL
    for (int i = 0; i < outputs; i++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[i][v] = v_zero();
    add_all(vectors, x, outputs, weights, next_output, sum);
    vec_mask lanes = LANES;
    for (int64_t k = apart; k < taps; k += apart) {
        lanes += step;
        add_selected(vectors, x, lanes, outputs, weights + k, next_output, sum);
    }
    if (apart == 2 && taps > 1) {
        int64_t k = 1;
        lanes = LANES + (int)s->dilation / 2;
        if (s->dilation == 1) {
            add_all(vectors, odd, outputs, weights + 1, next_output, sum);
            lanes += step;
            k = 3;
        }
        for (; k < taps; k += 2, lanes += step)
            add_selected(vectors, odd, lanes, outputs, weights + k, next_output, sum);
    }
    TLK_UNROLL
    for (int i = 0; i < outputs; i++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        v_store(tlk_h_vector(tile, j + i * s->channels, v), sum[i][v]);
}

/* Taps that are near: x is loaded once, and a tap has the lanes of two neighbouring vectors. Loads at a tap would
 * nearly all cross a cache line, and take twice as long as selecting lanes does. At stride 2, even and odd steps of x
 * are apart, and so are the taps of either. */
TLK_INLINE void sum_near_rows(bool inside, int vectors, int stride, const struct rows *rows)
{
    const tlk_row_tile tile = *rows->tile; /* what is copied stays in registers, whatever is stored to h */
    const tlk_sepconv *s = tile.depthwise->sepconv;
    const int apart = stride == 2 && s->dilation % 2 != 0 ? 2 : 1;
    const vec_mask step = (vec_mask){0} + (int)(s->dilation * apart / stride);
    const real *data = rows->data;
    __mmask16 masks[18];
    const int begin = (int)CLAMP(-rows->start, 0, 18 * VW);
    const int count = (int)CLAMP(rows->length - rows->start, begin, 18 * VW) - begin;
    if (!inside) {
        TLK_UNROLL
        for (int v = 0; v < (vectors + 1) * stride; v++)
            masks[v] = _mm512_cmplt_epu32_mask((__m512i)(LANES + (v * VW - begin)), _mm512_set1_epi32(count));
    }
    for (int64_t c = rows->c; c < rows->c + rows->count; c++, data = v_outside(data, rows->length)) {
        const real *from = data;
        real copy[18 * VW] __attribute__((aligned(64)));
        if (inside && stride == 2) {
            /* What selects from a load that crosses a cache line is begun too soon, and then again. */
            TLK_UNROLL
            for (int v = 0; v < (vectors + 1) * stride; v++)
                v_store(copy + v * VW, v_load(data + v * VW));
            __asm__("" ::: "memory"); /* or the compiler leaves the copy out */
            from = copy;
        }
        vec x[9];
        vec odd[9];
        TLK_UNROLL
        for (int v = 0; v <= vectors; v++) {
            x[v] = load_row(inside, masks, from, v * stride);
            if (stride == 2) {
                const vec more = load_row(inside, masks, from, v * 2 + 1);
                odd[v] = v_odd(x[v], more);
                x[v] = v_even(x[v], more);
            }
        }
        int64_t j = c;
        for (; stride == 1 && vectors > 1 && j + s->channels < s->channels * s->multiplier; j += 2 * s->channels)
            sum_near_outputs(vectors, 2, &tile, s, apart, step, x, odd, j);
        for (; j < s->channels * s->multiplier; j += s->channels)
            sum_near_outputs(vectors, 1, &tile, s, apart, step, x, odd, j);
    }
}

#define INSTANCE(vectors)                                                                             \
    static TLK_NOINLINE void rows_##vectors(const struct rows *rows)                                  \
    {                                                                                                 \
        const tlk_sepconv *s = rows->tile->depthwise->sepconv;                                        \
        const int64_t read = ((vectors) + 1) * VW * s->stride;                                        \
        const bool inside = (vectors) == 8 && rows->start >= 0 && rows->start + read <= rows->length; \
        if (!tlk_taps_are_near(s))                                                                    \
            sum_rows(vectors, rows);                                                                  \
        else if (s->stride == 1 && inside)                                                            \
            sum_near_rows(true, vectors, 1, rows);                                                    \
        else if (s->stride == 1)                                                                      \
            sum_near_rows(false, vectors, 1, rows);                                                   \
        else if (inside)                                                                              \
            sum_near_rows(true, vectors, 2, rows);                                                    \
        else                                                                                          \
            sum_near_rows(false, vectors, 2, rows);                                                   \
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
    const struct rows rows = {tile, v_outside(x, start), length, start, c, count};
    (tile->vectors == 1 ? rows_1 : tile->vectors == 4 ? rows_4 : rows_8)(&rows);
}
