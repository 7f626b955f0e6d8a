/* Matrix product over packed operands: blocks of at most TLK_MR rows of A against panels of TLK_NR columns of B. */
#include "kernels/gemm.h"

#include "kernels/block.h"
#include "kernels/check.h"
#include "kernels/isa.h"
#include "kernels/output.h"
#include "kernels/rowblocks.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

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

/* packed[k][i] = source[i * step + k * depth_step] for i < count, zero up to width. */
static void pack_lines(const elem *source, int64_t step, int64_t depth_step, int64_t count, int64_t width,
                       int64_t depth, real *packed)
{
    if ((step == 1 || count == 1) && width == TLK_NR) { /* whole vectors */
        for (int64_t k = 0; k < depth; k++, source += depth_step, packed += width)
            for (int64_t i = 0; i < width; i += VW) {
                const int64_t left = count - i;
                v_store(packed + i, left >= VW ? e_load(source + i) : e_load_n(source + i, (int)(left > 0 ? left : 0)));
            }
        return;
    }
    for (int64_t k = 0; k < depth; k++, source += depth_step, packed += width)
        for (int64_t i = 0; i < width; i++)
            packed[i] = i < count ? e_get(source + i * step) : 0;
}

static void pack_a(const void *a, int64_t row_step, int64_t column_step, int64_t m, int64_t depth, int64_t begin,
                   int64_t end, void *packed)
{
    for (int64_t block = begin; block < end; block++) {
        const int64_t row = rowblock_begin(m, block);
        const int64_t rows = rowblock_begin(m, block + 1) - row;
        pack_lines((const elem *)a + row * row_step, row_step, column_step, rows, rows, depth,
                   (real *)packed + row * depth);
    }
}

static void pack_b(const void *b, int64_t row_step, int64_t column_step, int64_t n, int64_t depth, int64_t begin,
                   int64_t end, void *packed)
{
    for (int64_t panel = begin; panel < end; panel++) {
        const int64_t column = panel * TLK_NR;
        pack_lines((const elem *)b + column * column_step, column_step, row_step, MIN(TLK_NR, n - column), TLK_NR,
                   depth, (real *)packed + column * depth);
    }
}

static void run(const tlk_gemm *gemm, const void *packed_a, const void *packed_b, int64_t block_begin,
                int64_t block_end, int64_t panel_begin, int64_t panel_end)
{
    static const real zeros[TLK_MR];
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
    for (int64_t i = block_begin; i < block_end; i++) {
        const int64_t row = rowblock_begin(gemm->m, i);
        const int rows = (int)(rowblock_begin(gemm->m, i + 1) - row);
        for (int64_t column = panel_begin * TLK_NR; column < MIN(panel_end * TLK_NR, gemm->n); column += TLK_NR) {
            tlk_block block = {.depth = gemm->depth,
                               .a = (const real *)packed_a + row * gemm->depth,
                               .b = (const real *)packed_b + column * gemm->depth,
                               TLK_BLOCK_PANEL,
                               .bias = zeros};
            output_block(&output, TLK_REAL_FN(tlk_block_by_rows), &block, row, column, rows,
                         (int)MIN(TLK_NR, gemm->n - column));
        }
    }
}

const tlk_gemm_kernel TLK_ELEMENT_FN(tlk_gemm) = {packed_a_size, packed_b_size, blocks, panels, pack_a, pack_b, run};
