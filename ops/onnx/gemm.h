/* Products of matrices for every type that the standard multiplies: plain loops, for what ops/kernels has no kernel
 * for.
 *
 *     C[i][j] = (add ? C[i][j] : 0) + sum over l of A[i][l] * B[l][j]
 *
 * for 0 <= i < m, 0 <= j < n, 0 <= l < k, in the order of l, so that the result does not depend on how m and n are cut.
 * Rows of A are `a_row` elements apart and its columns `a_step`; rows of B and C are contiguous, `b_row` and `c_row`
 * apart. Integers wrap: signed ones use the unsigned function of their size. */
#ifndef TL_GEMM_H
#define TL_GEMM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct gemm_shape {
    int64_t m, n, k;
    int64_t a_row, a_step, b_row, c_row;
    bool add;
} gemm_shape;

void gemm_f32(const gemm_shape *shape, const float *a, const float *b, float *c);
void gemm_f64(const gemm_shape *shape, const double *a, const double *b, double *c);
void gemm_u32(const gemm_shape *shape, const uint32_t *a, const uint32_t *b, uint32_t *c);
void gemm_u64(const gemm_shape *shape, const uint64_t *a, const uint64_t *b, uint64_t *c);

#endif
