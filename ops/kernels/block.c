/* The register block, one instance for each number of rows and vectors. */
#include "kernels/block.h"

#include <math.h>
#include <stdbool.h>

TLK_INLINE void multiply_add(int rows, int vectors, const real *a, int a_row, const real *b, vec sum[TLK_MR][TLK_NV])
{
    vec columns[TLK_NV];
    TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        columns[v] = v_load(b + v * VW);
    TLK_UNROLL
    for (int r = 0; r < rows; r++) {
        const vec row = v_set1(a[r * a_row]);
        TLK_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[r][v] = v_fma(row, columns[v], sum[r][v]);
    }
}

/* Only the largest blocks, which do most of the work, are worth the code; of 7 rows, none gains. */
#define UNROLLED(rows, vectors) ((vectors) == TLK_NV && (rows) > TLK_MR / 2 && TLK_MR != 7)

/* The next line of what the block asks for, into the second-level cache. */
TLK_INLINE const real *ask(const real *ahead)
{
    __builtin_prefetch(ahead, 0, 2);
    return ahead + 64 / sizeof(real);
}

TLK_INLINE void finish(int rows, int vectors, const tlk_block *block, vec sum[TLK_MR][TLK_NV])
{
    const vec low = v_set1(block->low);
    real *y = block->y;
    const int64_t y_stride = block->y_stride; /* a copy stays in a register, whatever is stored to y */
    if (block->high < (real)INFINITY) {
        const vec high = v_set1(block->high);
        TLK_UNROLL
        for (int r = 0; r < rows; r++)
            TLK_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[r][v] = v_min(high, sum[r][v]);
    }
    TLK_UNROLL
    for (int r = 0; r < rows; r++, y += y_stride)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        v_store(y + v * VW, v_max(low, sum[r][v]));
}

TLK_INLINE void by_rows(int rows, int vectors, bool column, const tlk_block *block)
{
    vec column_sum = column ? v_load(block->bias) : v_zero();
    const int64_t column_offset = column ? block->column - block->b : 0;
    vec sum[TLK_MR][TLK_NV];
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[r][v] = v_set1(block->bias[r]);
    const real *a = block->a;
    const real *ahead = block->ahead != NULL ? block->ahead : a;
    for (int64_t t = 0; t < block->taps; t++) {
        const real *b = block->b + block->offsets[t];
        int64_t j = block->depth;
        /* Two at a time leave more of the ports that multiply to multiplications. */
        for (; UNROLLED(rows, vectors) && !column && j >= 2; j -= 2, a += 2 * rows, b += 2 * block->b_step) {
            ahead = ask(ahead);
            multiply_add(rows, vectors, a, 1, b, sum);
            multiply_add(rows, vectors, a + rows, 1, b + block->b_step, sum);
        }
        for (; j > 0; j--, a += rows, b += block->b_step) {
            multiply_add(rows, vectors, a, 1, b, sum);
            if (column)
                column_sum = v_fma(v_load(a), v_set1(b[column_offset]), column_sum);
        }
    }
    finish(rows, vectors, block, sum);
    if (column)
        *block->column_sums = column_sum;
}

/* One row. */
TLK_INLINE void wide(int vectors, const tlk_block *block)
{
    const vec low = v_set1(block->low);
    const vec high = v_set1(block->high);
    vec sum[TLK_WIDE];
    TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[v] = v_set1(block->bias[0]);
    const real *a = block->a;
    for (int64_t t = 0; t < block->taps; t++) {
        const real *b = block->b + block->offsets[t];
        for (int64_t j = 0; j < block->depth; j++, a++, b += block->b_step) {
            const vec row = v_set1(*a);
            TLK_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[v] = v_fma(row, v_load(b + v * VW), sum[v]);
        }
    }
    TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        v_store(block->y + v * VW, v_max(low, v_min(high, sum[v])));
}

TLK_INLINE void by_lanes(int rows, int vectors, const tlk_block *block)
{
    vec sum[TLK_MR][TLK_NV];
    TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[0][v] = v_load(block->bias + v * VW);
    TLK_UNROLL
    for (int r = 1; r < rows; r++)
        TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        sum[r][v] = sum[0][v];
    const real *group = block->a;
    const real *b = block->b;
    const real *ahead = block->ahead != NULL ? block->ahead : b;
    int64_t in_row = 0;
    for (int64_t left = block->depth; left > 0; group += block->a_stride) {
        int64_t count = VW;
        if (++in_row == block->groups) {
            count = block->group_size;
            in_row = 0;
        }
        left -= count;
        const real *a = group;
        for (; UNROLLED(rows, vectors) && count >= 2; count -= 2, a += 2, b += 2 * TLK_NR) {
            ahead = ask(ahead);
            multiply_add(rows, vectors, a, VW, b, sum);
            multiply_add(rows, vectors, a + 1, VW, b + TLK_NR, sum);
        }
        for (; count > 0; count--, a++, b += TLK_NR)
            multiply_add(rows, vectors, a, VW, b, sum);
    }
    finish(rows, vectors, block, sum);
}

typedef void block_function(const tlk_block *block);

#define INSTANCE(rows)                                                   \
    static TLK_NOINLINE void by_rows_##rows##_1(const tlk_block *block)  \
    {                                                                    \
        by_rows(rows, 1, false, block);                                  \
    }                                                                    \
    static TLK_NOINLINE void by_rows_##rows##_2(const tlk_block *block)  \
    {                                                                    \
        by_rows(rows, 2, false, block);                                  \
    }                                                                    \
    static TLK_NOINLINE void by_lanes_##rows##_1(const tlk_block *block) \
    {                                                                    \
        by_lanes(rows, 1, block);                                        \
    }                                                                    \
    static TLK_NOINLINE void by_lanes_##rows##_2(const tlk_block *block) \
    {                                                                    \
        by_lanes(rows, 2, block);                                        \
    }
#if TLK_MR == 14
#define FOR_EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif TLK_MR == 7
#define FOR_EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#elif TLK_MR == 6
#define FOR_EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#else
#define FOR_EACH_ROWS(X) X(1) X(2) X(3) X(4)
#endif
FOR_EACH_ROWS(INSTANCE)

#if TLK_COLUMN_ROWS <= TLK_MR
#define WITH_COLUMN(rows)                                                      \
    static TLK_NOINLINE void by_rows_and_column_##rows(const tlk_block *block) \
    {                                                                          \
        by_rows(rows, TLK_NV, true, block);                                    \
    }
WITH_COLUMN(12)
WITH_COLUMN(13)
WITH_COLUMN(14)
static block_function *const all_and_column[] = {by_rows_and_column_12, by_rows_and_column_13, by_rows_and_column_14};
#endif

static TLK_NOINLINE void wide_half(const tlk_block *block)
{
    wide(TLK_WIDE / 2, block);
}
static TLK_NOINLINE void wide_whole(const tlk_block *block)
{
    wide(TLK_WIDE, block);
}

#define BY_ROWS(rows)  {by_rows_##rows##_1, by_rows_##rows##_2},
#define BY_LANES(rows) {by_lanes_##rows##_1, by_lanes_##rows##_2},
static block_function *const all_by_rows[TLK_MR][TLK_NV] = {FOR_EACH_ROWS(BY_ROWS)};
static block_function *const all_by_lanes[TLK_MR][TLK_NV] = {FOR_EACH_ROWS(BY_LANES)};

void TLK_REAL_FN(tlk_block_by_rows)(const tlk_block *block, int rows, int vectors)
{
#if TLK_COLUMN_ROWS <= TLK_MR
    if (block->column) {
        all_and_column[rows - TLK_COLUMN_ROWS](block);
        return;
    }
#endif
    if (vectors <= TLK_NV)
        all_by_rows[rows - 1][vectors - 1](block);
    else if (vectors == TLK_WIDE)
        wide_whole(block);
    else
        wide_half(block);
}

void TLK_REAL_FN(tlk_block_by_lanes)(const tlk_block *block, int rows, int vectors)
{
    all_by_lanes[rows - 1][vectors - 1](block);
}

TLK_INLINE void pool(bool maximum, int vectors, const tlk_block *block, int64_t lane)
{
    vec part[TLK_WIDE / 2];
    vec_mask nan[TLK_WIDE / 2] = {0}; /* the maximum of NaN and a number is either one */
    TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        part[v] = v_set1(block->bias[0]);
    for (int64_t t = 0; t < block->taps; t++) {
        const real *b = block->b + block->offsets[t] + lane;
        for (int64_t j = 0; j < block->depth; j++, b += block->b_step)
            TLK_UNROLL
        for (int v = 0; v < vectors; v++) {
            const vec x = v_load(b + v * VW);
            part[v] = maximum ? v_max(part[v], x) : part[v] + x;
            nan[v] |= x != x;
        }
    }
    TLK_UNROLL
    for (int v = 0; v < vectors; v++)
        v_store(block->y + lane + v * VW, maximum ? v_select(nan[v], v_set1((real)NAN), part[v]) : part[v]);
}

TLK_INLINE void pool_all(bool maximum, int vectors, const tlk_block *block)
{
    int v = 0;
    for (; v + TLK_WIDE / 2 <= vectors; v += TLK_WIDE / 2)
        pool(maximum, TLK_WIDE / 2, block, (int64_t)v * VW);
    for (; v < vectors; v++)
        pool(maximum, 1, block, (int64_t)v * VW);
}

void TLK_REAL_FN(tlk_block_maximum)(const tlk_block *block, int rows, int vectors)
{
    (void)rows;
    pool_all(true, vectors, block);
}

void TLK_REAL_FN(tlk_block_sum)(const tlk_block *block, int rows, int vectors)
{
    (void)rows;
    pool_all(false, vectors, block);
}

TLK_INLINE void few_columns(int blocks, int steps, const tlk_block *block, const real *const a[], const int rows[],
                            const real *const bias[], vec y[16])
{
    vec sum[16];
    const real *next[TLK_FEW_BLOCKS];
    TLK_UNROLL
    for (int i = 0; i < blocks; i++) {
        next[i] = a[i];
        TLK_UNROLL
        for (int s = 0; s < steps; s++)
            sum[s * blocks + i] = v_load(bias[i]);
    }
    for (int64_t t = 0; t < block->taps; t++) {
        const real *b = block->b + block->offsets[t];
        for (int64_t k = 0; k < block->depth; k++, b += block->b_step)
            TLK_UNROLL
        for (int i = 0; i < blocks; i++) {
            vec weights = v_load(next[i]);
            TLK_IN_REGISTER(weights); /* rows of 14 begin anywhere: loaded once, not by each multiply-add */
            next[i] += rows[i];
            TLK_UNROLL
            for (int s = 0; s < steps; s++)
                sum[s * blocks + i] = v_fma(weights, v_set1(b[s]), sum[s * blocks + i]);
        }
    }
    TLK_UNROLL
    for (int i = 0; i < steps * blocks; i++)
        y[i] = sum[i];
}

void TLK_REAL_FN(tlk_block_few_columns)(const tlk_block *block, const real *const a[], const int rows[],
                                        const real *const bias[], int steps, vec y[16])
{
#define FEW(n)                                                      \
    case n:                                                         \
        few_columns(tlk_few_blocks(n), n, block, a, rows, bias, y); \
        break
    switch (steps <= TLK_FEW_STEPS ? steps : 0) {
        FEW(1);
        FEW(2);
        FEW(3);
        FEW(4);
#if TLK_FEW_STEPS > 4
        FEW(5);
        FEW(6);
        FEW(7);
        FEW(8);
#endif
    default:
        break;
    }
#undef FEW
}
