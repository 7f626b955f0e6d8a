/* Matrix product over packed operands: blocks of at most TLK_MR rows of A against panels of TLK_NR columns of B. */
#include "kernels/gemm.h"

#include <string.h>

#include "kernels/block.h"
#include "kernels/check.h"
#include "kernels/isa.h"
#include "kernels/output.h"
#include "kernels/rowblocks.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define CACHED    (131072 / (int64_t)sizeof(real)) /* elements of panels, roughly, that all blocks go over together */

TLK_INLINE vec load_some(const real *from, int64_t n)
{
    return n >= VW ? v_load(from) : v_load_n(from, (int)(n > 0 ? n : 0));
}

/* A square of up to `count` lines and `n` elements of each; `lanes` of each vector of lines are stored. */
static TLK_NOINLINE void pack_square(const real *source, int64_t step, int64_t count, int64_t n, real *packed,
                                     int64_t width, int64_t lanes)
{
    vec square[VW];
    TLK_UNROLL
    for (int j = 0; j < VW; j++)
        square[j] = j < count ? load_some(source + j * step, n) : v_zero();
    v_transpose(square);
    TLK_UNROLL
    for (int j = 0; j < VW; j++)
        if (j < n && lanes >= VW)
            v_store(packed + j * width, square[j]);
        else if (j < n)
            v_store_n(packed + j * width, square[j], (int)lanes);
}

void pack_lines(const real *source, int64_t step, int64_t depth_step, int64_t count, int64_t width, int64_t depth,
                real *packed)
{
    if ((step == 1 || count == 1) && width == TLK_NR) { /* whole vectors */
        for (int64_t k = 0; k < depth; k++, source += depth_step, packed += width)
            for (int64_t i = 0; i < width; i += VW)
                v_store(packed + i, load_some(source + i, count - i));
        return;
    }
    if (depth_step == 1 && count > 1) { /* squares of VW lines */
        for (int64_t i = 0; i < width; i += VW)
            for (int64_t k = 0; k < depth; k += VW)
                pack_square(source + i * step + k, step, count - i, depth - k, packed + k * width + i, width,
                            width - i);
        return;
    }
    for (int64_t k = 0; k < depth; k++, source += depth_step, packed += width)
        for (int64_t i = 0; i < width; i++)
            packed[i] = i < count ? source[i * step] : 0;
}

static int64_t blocks(int64_t m)
{
    return rowblock_count(m);
}

static int64_t panels(int64_t n)
{
    return (n + TLK_NR - 1) / TLK_NR;
}

static size_t packed_a_size(int64_t m, int64_t depth)
{
    const size_t bytes = tlk_size_mul(tlk_size_mul((size_t)m, (size_t)depth), sizeof(real));
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

static size_t packed_b_size(int64_t n, int64_t depth)
{
    const size_t columns = tlk_size_round_up((size_t)n, TLK_NR);
    const size_t bytes = tlk_size_mul(tlk_size_mul(columns, (size_t)depth), sizeof(real));
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

static void pack_a(const void *a, int64_t row_step, int64_t column_step, int64_t m, int64_t depth, int64_t begin,
                   int64_t end, void *packed)
{
    for (int64_t block = begin; block < end; block++) {
        const int64_t row = rowblock_begin(m, block);
        const int64_t rows = rowblock_begin(m, block + 1) - row;
        pack_lines((const real *)a + row * row_step, row_step, column_step, rows, rows, depth,
                   (real *)packed + row * depth);
    }
}

static void pack_b(const void *b, int64_t row_step, int64_t column_step, int64_t n, int64_t depth, int64_t begin,
                   int64_t end, void *packed)
{
    for (int64_t panel = begin; panel < end; panel++) {
        const int64_t column = panel * TLK_NR;
        pack_lines((const real *)b + column * column_step, column_step, row_step, MIN(TLK_NR, n - column), TLK_NR,
                   depth, (real *)packed + column * depth);
    }
}

tlk_output TLK_REAL_FN(tlk_gemm_output)(const tlk_gemm *gemm)
{
    tlk_output output = {.y = gemm->c,
                         .row_step = gemm->c_row_step,
                         .lane_step = gemm->c_column_step,
                         .scale = (real)gemm->alpha,
                         .add = gemm->add,
                         .add_scale = (real)gemm->beta,
                         .add_row_step = gemm->add_row_step,
                         .add_lane_step = gemm->add_column_step,
                         .activation = &gemm->activation,
                         .steps = gemm->steps};
    output_prepare(&output);
    return output;
}

static void run_panels(const tlk_gemm *gemm, const tlk_output *output, const real *packed_a, const real *packed_b,
                       int64_t block_begin, int64_t block_end, int64_t column_begin, int64_t column_end)
{
    static const real zeros[TLK_MR];
    const int64_t in_place = gemm->b_in_place ? gemm->n / TLK_NR * TLK_NR : 0; /* columns */
    for (int64_t i = block_begin; i < block_end; i++) {
        const int64_t row = rowblock_begin(gemm->m, i);
        const int rows = (int)(rowblock_begin(gemm->m, i + 1) - row);
        const int64_t next = rowblock_begin(gemm->m, i + 1 < block_end ? i + 1 : block_begin);
        int64_t lanes;
        for (int64_t column = column_begin; column < column_end; column += lanes) {
            tlk_block block = {.depth = gemm->depth,
                               .a = packed_a + row * gemm->depth,
                               .b = packed_b + (column - in_place) * gemm->depth,
                               TLK_BLOCK_PANEL,
                               .bias = zeros,
                               .ahead = tlk_block_ahead(packed_a + next * gemm->depth, rows * gemm->depth, gemm->depth,
                                                        (column - column_begin) / TLK_NR)};
            lanes = MIN(TLK_NR, column_end - column);
            if (column < in_place) {
                block.b = (const real *)gemm->b_in_place + column;
                block.b_step = gemm->b_row_step;
                if (rows == 1 && column + TLK_WIDE * VW <= MIN(in_place, column_end))
                    lanes = TLK_WIDE * VW;
            }
            output_block(output, TLK_REAL_FN(tlk_block_by_rows), &block, row, column, rows, (int)lanes);
        }
    }
}

static void run(const tlk_gemm *gemm, const void *packed_a, const void *packed_b, int64_t block_begin,
                int64_t block_end, int64_t panel_begin, int64_t panel_end)
{
    const tlk_output output = TLK_REAL_FN(tlk_gemm_output)(gemm);
    const int64_t columns_end = MIN(panel_end * TLK_NR, gemm->n);
    const int64_t together = block_end - block_begin > 1 ? (CACHED / gemm->depth / TLK_NR + 1) * TLK_NR : gemm->n;
    for (int64_t column = panel_begin * TLK_NR; column < columns_end; column += together)
        run_panels(gemm, &output, packed_a, packed_b, block_begin, block_end, column,
                   MIN(column + together, columns_end));
}

#define run_few TLK_REAL_FN(tlk_gemm_few)
void run_few(const tlk_gemm *gemm, const void *a, int64_t a_row_step, const void *b, int64_t b_column_step,
             int64_t column_begin, int64_t column_end);

#if !defined TLK_DOUBLE || !defined TLK_ISA_AVX512 /* isa.h */
/* Adds the products of n <= VW elements from k on; sum[r * (VW / rows) + c] belongs to row r and column c. */
TLK_INLINE void dot_add(int rows, const real *const *a, const real *const *b, int64_t k, bool whole, int n, vec sum[VW])
{
    const int columns = VW / rows;
    vec row[TLK_FEW];
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        row[r] = whole ? v_load(a[r] + k) : v_load_n(a[r] + k, n);
    TLK_UNROLL
    for (int c = 0; c < columns; c++) {
        const vec column = whole ? v_load(b[c] + k) : v_load_n(b[c] + k, n);
        TLK_UNROLL
        for (int r = 0; r < rows; r++)
            sum[r * columns + c] = v_fma(row[r], column, sum[r * columns + c]);
    }
}

/* A vector's worth of sums, of rows a[r] times columns b[c]. */
TLK_INLINE vec dot(int rows, const real *const *a, const real *const *b, int64_t depth)
{
    vec sum[VW] = {0};
    int64_t k = 0;
    for (; k + VW <= depth; k += VW)
        dot_add(rows, a, b, k, true, VW, sum);
    if (k < depth)
        dot_add(rows, a, b, k, false, (int)(depth - k), sum);
    TLK_UNROLL
    for (int left = VW; left > 1; left /= 2) /* neighbouring lanes, of all sums at once */
        TLK_UNROLL
    for (int i = 0; i < left / 2; i++)
        sum[i] = v_even(sum[2 * i], sum[2 * i + 1]) + v_odd(sum[2 * i], sum[2 * i + 1]);
    return sum[0];
}

static TLK_NOINLINE void dot_one(const real *const *a, const real *const *b, int64_t depth, real *stage)
{
    v_store(stage, dot(1, a, b, depth));
}

/* As many rows at once as leave a column for each of the sums. */
#define DOT_ROWS MIN(TLK_FEW, VW)

static TLK_NOINLINE void dot_few(const real *const *a, const real *const *b, int64_t depth, real *stage)
{
    const int columns = VW / DOT_ROWS;
    for (int row = 0; row < TLK_FEW; row += DOT_ROWS)
        for (int first = 0; first < VW; first += columns) {
            real lanes[VW];
            v_store(lanes, dot(DOT_ROWS, a + row, b + first, depth));
            for (int r = 0; r < DOT_ROWS; r++)
                memcpy(stage + (row + r) * VW + first, lanes + r * columns, (size_t)columns * sizeof(real));
        }
}

void run_few(const tlk_gemm *gemm, const void *a, int64_t a_row_step, const void *b, int64_t b_column_step,
             int64_t column_begin, int64_t column_end)
{
    const tlk_output output = TLK_REAL_FN(tlk_gemm_output)(gemm);
    const int rows = (int)gemm->m;
    const real *a_rows[TLK_FEW], *b_columns[VW]; /* what is too many repeats the last one */
    real stage[TLK_FEW * VW] __attribute__((aligned(64)));
    for (int r = 0; r < TLK_FEW; r++)
        a_rows[r] = (const real *)a + MIN(r, rows - 1) * a_row_step;
    for (int64_t column = column_begin; column < column_end; column += VW) {
        const int columns = (int)MIN(VW, column_end - column);
        for (int c = 0; c < VW; c++)
            b_columns[c] = (const real *)b + (column + MIN(c, columns - 1)) * b_column_step;
        (rows == 1 ? dot_one : dot_few)(a_rows, b_columns, gemm->depth, stage);
        TLK_ELEMENT_FN(tlk_output_finish)(&output, stage, VW, 0, column, rows, columns);
    }
}

#endif

const tlk_gemm_kernel TLK_REAL_FN(tlk_gemm) = {packed_a_size, packed_b_size, TLK_NR, blocks, panels,
                                               pack_a,        pack_b,        run,    run_few};
