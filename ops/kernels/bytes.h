/* Products of matrices of bytes, signed or not, exact: sums are of 32 bits and wrap.
 *
 *     C[i][j] = start[i] + sum_k A[i][k] * B[k][j] + sum_t terms[t].row[i] * terms[t].lane[j]    i < rows, j < lanes
 *
 * The instructions for this multiply signed bytes by unsigned ones, in quads of four neighbours in k, whose products go
 * into one sum. So both operands are packed: A into blocks of rows, as signed bytes (unsigned ones less 128), B into
 * rows of quads, a quad for each lane, as unsigned ones (signed ones plus 128). What that adds to the sums is the same
 * as what zero points do, and undone with them: for zero points a of A and b of B, as packed,
 *
 *     sum_k (A[i][k] - a[i]) * (B[k][j] - b[j]) = sum_k A[i][k] * B[k][j] - a[i] * (sum_k B[k][j] - depth * b[j])
 *                                                                        - b[j] * sum_k A[i][k]
 *
 * which two terms are for; a bias is one more. The depth is cut into `taps` runs of as many quads: a matrix product has
 * one, a convolution one for each tap of its window, and reads the data where it is. */
#ifndef TLK_BYTES_H
#define TLK_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/steps.h"

#define TLK_QUAD        4
#define TLK_BYTES_TERMS 3

/* Bytes of A: number k of run t of row i is at i * row_step + t * tap_step + k * step. */
typedef struct tlk_bytes_left {
    const void *data;
    bool is_signed;
    int64_t rows, taps, depth; /* bytes in each run */
    int64_t row_step, tap_step, step;
} tlk_bytes_left;

/* How C is stored. Floats: sum * scale + add, in float, and the steps behind it. Bytes: sum * scale in float, rounded
 * to the nearest integer, ties to even, plus `zero`, held in [low, high]; NaN gives `low`. */
typedef enum tlk_bytes_form { TLK_BYTES_SUMS, TLK_BYTES_FLOATS, TLK_BYTES_BYTES } tlk_bytes_form;

typedef struct tlk_bytes {
    int64_t rows, lanes;
    int64_t depth, taps; /* quads in each run */
    const void *b;       /* quad q of run t for lane j is at offsets[t] + q * b_step + j * b_lane_step */
    bool narrow;      /* B has bytes, and a quad for each tap; C has one row, no summands of lanes, and no terms but: */
    const void *ones; /* NULL, or an A of ones, packed, whose results are the lanes of term 0 */
    uint32_t quad;    /* how far behind the quad's beginning its bytes are, at most 12: as four bytes itself */
    int64_t follow;   /* of so many quads each one's bytes follow those of the one before; divides `taps` */
    const int64_t *offsets;
    int64_t b_step, b_lane_step;
    const int32_t *start; /* NULL: 0 */
    struct {
        const int32_t *row, *lane; /* row NULL: 1; lane NULL: no such term */
    } terms[TLK_BYTES_TERMS];
    tlk_bytes_form form;
    void *c; /* int32_t, float or bytes */
    int64_t c_row_step;
    /* Lane j of a row is at j / pitch * width + j % pitch, and is not stored where j % pitch >= width: lanes of a
     * convolution go over the edge of the data's rows. */
    int64_t pitch, width;
    const float *scale;
    int64_t scale_row_step, scale_lane_step;
    const float *add; /* NULL: nothing is added; else one number for each row, or for each lane of each row, too */
    int64_t add_row_step, add_lane_step;
    tlk_steps steps;
    int32_t zero, low, high;
} tlk_bytes;

/* A panel of B is [depth][panel] quads. Lanes of a convolution have a step of 1, and rows of data, which lanes are read
 * from in whole panels, end in room for one: as many bytes as one has where B has bytes, too. */
typedef struct tlk_bytes_kernel {
    int64_t panel; /* lanes that are computed together */
    int64_t block; /* rows that are */

    /* Bytes of a packed A; SIZE_MAX if a size_t cannot say it. */
    size_t (*packed_size)(int64_t rows, int64_t taps, int64_t depth);
    /* Packs blocks begin <= i < end, and sums[i] = sum of row i as packed, if it is not NULL. */
    void (*pack)(const tlk_bytes_left *a, int64_t begin, int64_t end, void *packed, int32_t *sums);
    /* n quads to[i] of rows[k][i * step], k < count; the others are 0. Neither `rows` nor `to` need be aligned. */
    void (*quads)(const uint8_t *const rows[TLK_QUAD], int count, bool is_signed, int64_t step, int64_t n,
                  uint32_t *to);
    /* Packs panels begin <= i < end of a B of `depth` rows of n bytes, and their columns' sums as packed. */
    void (*pack_panels)(const void *b, bool is_signed, int64_t n, int64_t depth, int64_t begin, int64_t end,
                        uint32_t *packed, int32_t *sums);
    /* Blocks block_begin <= i < block_end of rows, lanes lane_begin <= j < lane_end; lane_begin is a multiple of
     * `panel`. */
    void (*run)(const tlk_bytes *product, const void *packed_a, int64_t block_begin, int64_t block_end,
                int64_t lane_begin, int64_t lane_end);
} tlk_bytes_kernel;

#endif
