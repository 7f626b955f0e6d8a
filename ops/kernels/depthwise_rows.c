/* The depthwise stage of channels_first straight from x: lanes are time steps, a tap is one number for all of them. */
#include "kernels/depthwise.h"

#include "kernels/kernels.h"

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

/* b behind a, and of both together VW lanes from lane n on; or of each 4 of both 4. */
#define SHIFT(n, a, b) ((vec)_mm512_alignr_epi32((__m512i)(b), (__m512i)(a), n))
#define SHIFT_FOURS(n, a, b)                                           \
    ((n) == 2 ? (vec)_mm512_shuffle_ps((__m512)(a), (__m512)(b), 0x4e) \
              : (vec)_mm512_alignr_epi8((__m512i)(b), (__m512i)(a), 4 * (n)))

/* Taps 0, apart, 2 apart, ... of `taps` weights (at least one) that are one lane apart, in rounds of 4: as many
 * shuffles as selecting takes, but none needs a vector of lanes, or a copy of what it would overwrite. Leaves x
 * shifted. */
TLK_INLINE void add_neighbours(int vectors, int64_t taps, const real *weights, int apart, vec x[9], vec sum[8])
{
    int64_t k = 0;
    for (; k + 4 * apart < taps; k += 4 * apart) {
        vec weight[4];
        TLK_UNROLL
        for (int i = 0; i < 4; i++)
            weight[i] = v_set1(weights[k + i * apart]);
        TLK_UNROLL
        for (int v = 0; v < vectors; v++) {
            const vec next = SHIFT(4, x[v], x[v + 1]);
            sum[v] = v_fma(x[v], weight[0], sum[v]);
            sum[v] = v_fma(SHIFT_FOURS(1, x[v], next), weight[1], sum[v]);
            sum[v] = v_fma(SHIFT_FOURS(2, x[v], next), weight[2], sum[v]);
            sum[v] = v_fma(SHIFT_FOURS(3, x[v], next), weight[3], sum[v]);
            x[v] = next;
        }
        x[vectors] = SHIFT(4, x[vectors], x[vectors]);
    }
    for (;;) {
        const vec weight = v_set1(weights[k]);
        TLK_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[v] = v_fma(x[v], weight, sum[v]);
        k += apart;
        if (k >= taps)
            break;
        TLK_UNROLL
        for (int v = 0; v < vectors; v++)
            x[v] = SHIFT(1, x[v], x[v + 1]);
        x[vectors] = SHIFT(1, x[vectors], x[vectors]);
    }
}

/* The same of one or two outputs, and any lanes apart: what is selected serves both outputs. The first tap's lanes
 * begin at lane `first` of x, each next one's `step` further. */
TLK_INLINE void add_near(int vectors, int outputs, int64_t taps, const real *weights, int64_t next_output, int apart,
                         int first, int step, const vec x[9], vec sum[][8])
{
    int64_t k = 0;
    vec_mask lanes = LANES + first;
    if (first == 0) {
        add_all(vectors, x, outputs, weights, next_output, sum);
        lanes += step;
        k += apart;
    }
    for (; k < taps; k += apart, lanes += step)
        add_selected(vectors, x, lanes, outputs, weights + k, next_output, sum);
}

TLK_INLINE void set_zero(int vectors, int outputs, vec sum[][8])
{
    TLK_UNROLL
    for (int i = 0; i < outputs; i++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[i][v] = v_zero();
}

TLK_INLINE void store_rows(int vectors, int outputs, const tlk_row_tile *tile, int64_t j, vec sum[][8])
{
    TLK_UNROLL
    for (int i = 0; i < outputs; i++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        v_store(tlk_h_vector(tile, j + i * tile->depthwise->sepconv->channels, v), sum[i][v]);
}

/* Rows j of h and, for a second output, j + channels, at stride 1. */
TLK_INLINE void sum_outputs(int vectors, int outputs, bool neighbours, const tlk_row_tile *tile, vec x[9], int64_t j)
{
    const tlk_sepconv *s = tile->depthwise->sepconv;
    const int64_t taps = s->kernel_size;
    const real *weights = tile->depthwise->by_rows + j * taps;
    vec sum[2][8];
    set_zero(vectors, outputs, sum);
    if (neighbours)
        add_neighbours(vectors, taps, weights, 1, x, sum[0]);
    else
        add_near(vectors, outputs, taps, weights, s->channels * taps, 1, 0, (int)s->dilation, x, sum);
    store_rows(vectors, outputs, tile, j, sum);
}

/* Every second element of a row, as `places` of two vectors. */
TLK_INLINE void load_parted(int vectors, const real *row, vec_mask places, vec x[9])
{
    TLK_UNROLL
    for (int v = 0; v <= vectors; v++) {
        x[v] = SELECT_LANES(v_load(row + 2 * v * VW), places, v_load(row + (2 * v + 1) * VW));
        TLK_IN_REGISTER(x[v]); /* now, or both it comes from stay in registers */
    }
}

/* Row j of h, at stride 2. */
TLK_INLINE void sum_parted(int vectors, bool neighbours, const tlk_row_tile *tile, const real *row, int64_t j)
{
    const tlk_sepconv *s = tile->depthwise->sepconv;
    const int64_t taps = s->kernel_size;
    const int dilation = (int)s->dilation;
    const bool odd = neighbours || dilation % 2 != 0; /* every second tap is at an odd step */
    const real *weights = tile->depthwise->by_rows + j * taps;
    vec x[9];
    vec sum[1][8];
    set_zero(vectors, 1, sum);
    load_parted(vectors, row, LANES * 2, x);
    if (neighbours)
        add_neighbours(vectors, taps, weights, 2, x, sum[0]);
    else
        add_near(vectors, 1, taps, weights, 0, odd ? 2 : 1, 0, odd ? dilation : dilation / 2, x, sum);
    if (odd && taps > 1) {
        load_parted(vectors, row, LANES * 2 + 1, x);
        if (neighbours)
            add_neighbours(vectors, taps - 1, weights + 1, 2, x, sum[0]);
        else
            add_near(vectors, 1, taps - 1, weights + 1, 0, 2, dilation / 2, dilation, x, sum);
    }
    store_rows(vectors, 1, tile, j, sum);
}

/* Which lanes of a row of `vectors` lie in x, of which the row begins at `start`. */
TLK_INLINE void mask_lanes(int vectors, int64_t start, int64_t length, __mmask16 *masks)
{
    const int begin = (int)CLAMP(-start, 0, vectors * VW);
    const int count = (int)CLAMP(length - start, begin, vectors * VW) - begin;
    TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        masks[v] = _mm512_cmplt_epu32_mask((__m512i)(LANES + (v * VW - begin)), _mm512_set1_epi32(count));
}

/* Vector v of a row of them, of which all but the first and the last `ends` lie in x as a whole. */
TLK_INLINE vec load_masked(int vectors, int ends, const __mmask16 *masks, const real *row, int v)
{
    const real *at = v_outside(row, v * VW);
    return v >= ends && v < vectors - ends ? v_load(at) : LOAD_MASKED(masks[v], at);
}

/* `loads` vectors of a row, zero where they lie outside x. */
static TLK_NOINLINE void copy_row(const struct rows *rows, const real *row, int loads, real *copy)
{
    for (int v = 0; v < loads; v++) {
        const int64_t at = rows->start + v * VW;
        const real *data = v_outside(row, v * VW);
        if (at >= 0 && at + VW <= rows->length)
            v_store(copy + v * VW, v_load(data));
        else if (at + VW > 0 && at < rows->length)
            v_store(copy + v * VW, v_load_range(data, (int)CLAMP(-at, 0, VW), (int)CLAMP(rows->length - at, 0, VW)));
        else
            v_store(copy + v * VW, v_zero());
    }
}

/* Taps that are near: x is loaded once, and a tap has the lanes of two neighbouring vectors. Loads at a tap would
 * nearly all cross a cache line, and take twice as long as selecting lanes does. At stride 2, even steps of x are
 * loaded and summed, then odd ones: both do not fit in registers. */
TLK_INLINE void sum_near_rows(int vectors, int stride, bool neighbours, const struct rows *rows)
{
    const tlk_row_tile tile = *rows->tile; /* what is copied stays in registers, whatever is stored to h */
    const tlk_sepconv *s = tile.depthwise->sepconv;
    const int loads = (vectors + 1) * stride;
    const int ends = stride == 2 ? 0 : vectors == 8 ? 1 : loads; /* loads at either end that are always masked */
    const bool inside = rows->start >= -ends * VW && rows->start + (loads - ends) * VW <= rows->length;
    /* Many masks do not fit in registers. At stride 2, what selects from a load that crosses a cache line is begun too
     * soon, and then again, for which only some have pipes to spare. */
    const bool copied = stride == 2 ? !inside || !tlk_shuffles_apart() : !inside && vectors == 8;
    const real *data = rows->data;
    real copy[18 * VW] __attribute__((aligned(64)));
    __mmask16 masks[9];
    if (stride == 1)
        mask_lanes(loads, rows->start, rows->length, masks);
    for (int64_t c = rows->c; c < rows->c + rows->count; c++, data = v_outside(data, rows->length)) {
        const real *row = data;
        if (copied) {
            copy_row(rows, data, loads, copy);
            row = copy;
        }
        int64_t j = c;
        if (stride == 2) {
            for (; j < s->channels * s->multiplier; j += s->channels)
                sum_parted(vectors, neighbours, &tile, row, j);
            continue;
        }
        vec x[9];
        TLK_UNROLL
        for (int v = 0; v < loads; v++)
            x[v] = copied ? v_load(row + v * VW) : load_masked(loads, ends, masks, row, v);
        for (; !neighbours && vectors > 1 && j + s->channels < s->channels * s->multiplier; j += 2 * s->channels)
            sum_outputs(vectors, 2, false, &tile, x, j);
        for (; j < s->channels * s->multiplier; j += s->channels)
            sum_outputs(vectors, 1, neighbours, &tile, x, j);
    }
}

#define INSTANCE(vectors)                                                                            \
    static TLK_NOINLINE void rows_##vectors(const struct rows *rows)                                 \
    {                                                                                                \
        const tlk_sepconv *s = rows->tile->depthwise->sepconv;                                       \
        if (!tlk_taps_are_near(s))                                                                   \
            sum_rows(vectors, rows);                                                                 \
        else if (s->stride == 1)                                                                     \
            sum_near_rows(vectors, 1, vectors == 8 && s->dilation == 1 && s->multiplier == 1, rows); \
        else if (vectors == 8 && s->dilation == 1)                                                   \
            sum_near_rows(vectors, 2, true, rows);                                                   \
        else                                                                                         \
            sum_near_rows(vectors, 2, false, rows);                                                  \
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
