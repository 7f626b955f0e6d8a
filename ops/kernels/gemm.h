/* Matrix product, with either operand packed ahead.
 *
 *     C[i][j] = activation(alpha * sum_k A[i][k] * B[k][j] + beta * add[i][j])          i < m, j < n, k < depth
 *
 * Operands have a step for each index, so that transposed ones are read in place: element [i][k] of A is at
 * i * a_row_step + k * a_column_step. `add` may have steps of 0, as a bias has.
 *
 * Both operands are packed, A into blocks of rows and B into panels of columns; one that is constant, once. Then any
 * thread takes any range of blocks and panels. Each sum runs over k in order: a result does not depend on the
 * other rows and columns, nor on how the work is cut.
 *
 * A B whose columns have a step of 1 can be read where it is, which pays if there are few rows: a packed one would be
 * read but once.
 *
 * With few columns (less than a vector has lanes) and many rows most of a panel is empty. It is then better to compute
 * the transposed product: swap A with B, m with n, and each pair of steps. The bits are the same. With TLK_FEW of them
 * or less, `run_few` reads both operands along the depth and packs none; its sums run over lanes first.
 */
#ifndef TLK_GEMM_H
#define TLK_GEMM_H

#include <stdbool.h>

#include "kernels/steps.h"

typedef struct tlk_gemm {
    int64_t m, n, depth; /* >= 1; a depth of 0 is the caller's to treat */
    void *c;
    int64_t c_row_step, c_column_step; /* fastest with a column step of 1 */
    const void *add;                   /* NULL: nothing is added */
    int64_t add_row_step, add_column_step;
    double alpha, beta;
    tlk_activation activation;
    tlk_steps steps; /* behind the activation; rows are C's, lanes its columns */

    const void *b_in_place; /* NULL, or B with a column step of 1 and this row step: */
    int64_t b_row_step;     /* then packed_b holds only the columns behind the last whole panel */
} tlk_gemm;

#define TLK_FEW 4

typedef struct tlk_gemm_kernel {
    /* Bytes of packed operands; SIZE_MAX if a size_t cannot say it. */
    size_t (*packed_a_size)(int64_t m, int64_t depth);
    size_t (*packed_b_size)(int64_t n, int64_t depth);
    int64_t panel_columns;
    int64_t (*blocks)(int64_t m);
    int64_t (*panels)(int64_t n);

    /* Packs blocks or panels begin <= i < end; disjoint ranges may be packed by different threads. */
    void (*pack_a)(const void *a, int64_t row_step, int64_t column_step, int64_t m, int64_t depth, int64_t begin,
                   int64_t end, void *packed);
    void (*pack_b)(const void *b, int64_t row_step, int64_t column_step, int64_t n, int64_t depth, int64_t begin,
                   int64_t end, void *packed);

    /* The blocks of C that these blocks of A and panels of B make. C overlaps nothing else. */
    void (*run)(const tlk_gemm *gemm, const void *packed_a, const void *packed_b, int64_t block_begin,
                int64_t block_end, int64_t panel_begin, int64_t panel_end);

    /* Columns of C for m <= TLK_FEW: element [i][k] of A is at i * a_row_step + k, element [k][j] of B at
     * j * b_column_step + k. */
    void (*run_few)(const tlk_gemm *gemm, const void *a, int64_t a_row_step, const void *b, int64_t b_column_step,
                    int64_t column_begin, int64_t column_end);
} tlk_gemm_kernel;

/* The same product where a processor multiplies tiles: it packs nothing, but splits what it reads into a workspace.
 * Rows and columns are counted in squares of TLK_GEMM_SIDE. */
#define TLK_GEMM_SIDE 32

/* A's rows or B's columns: element k of line i is data[i / 32 * square_step + i % 32 * line_step + k * depth_step], and
 * one of the latter two steps is 1. So it reads a matrix as well as floats that tlk_gemm_kernel's pack_b has packed. */
typedef struct tlk_gemm_lines {
    const float *data;
    int64_t line_step, depth_step, square_step;
} tlk_gemm_lines;

typedef struct tlk_gemm_tiles {
    /* Whether it is faster, to be asked with the sizes of a whole product: the bits are others. */
    bool (*pays)(int64_t m, int64_t n, int64_t depth);
    size_t (*workspace_size)(int64_t m, int64_t n, int64_t depth); /* bytes, of each thread */
    /* Squares row_begin <= i < row_end, column_begin <= j < column_end of C; any cut makes the same bits. Of `gemm`
     * b_in_place is not looked at. */
    void (*run)(const tlk_gemm *gemm, const tlk_gemm_lines *a, const tlk_gemm_lines *b, int64_t row_begin,
                int64_t row_end, int64_t column_begin, int64_t column_end, void *workspace);
} tlk_gemm_tiles;

#endif
