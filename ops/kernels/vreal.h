/* One name for the vectors that a source computes with: float, or double where TLK_DOUBLE is defined.
 *
 * Sources named in TLK_REAL_SOURCES (CMakeLists.txt) are compiled for both; TLK_REAL_FN(tlk_x) is then
 * tlk_x_f32_avx512, tlk_x_f64_avx512 and so on. */
#ifndef TLK_VREAL_H
#define TLK_VREAL_H

#include "kernels/types.h"
#include "kernels/vec.h"

#if defined TLK_DOUBLE
typedef double real;
typedef vecd vec;
typedef vecl vec_mask;
#define VW           TLK_WD
#define TLK_REAL_TAG f64
#define v_load       vd_load
#define v_store      vd_store
#define v_load_range vd_load_range
#define v_load_n     vd_load_n
#define v_store_n    vd_store_n
#define v_zero       vd_zero
#define v_set1       vd_set1
#define v_fma        vd_fma
#define v_min        vd_min
#define v_max        vd_max
#define v_select     vd_select
#define v_even       vd_even
#define v_odd        vd_odd
#else
typedef float real;
typedef vecf vec;
typedef veci vec_mask;
#define VW           TLK_W
#define TLK_REAL_TAG f32
#define v_load       vf_load
#define v_store      vf_store
#define v_load_range vf_load_range
#define v_load_n     vf_load_n
#define v_store_n    vf_store_n
#define v_zero       vf_zero
#define v_set1       vf_set1
#define v_fma        vf_fma
#define v_min        vf_min
#define v_max        vf_max
#define v_select     vf_select
#define v_even       vf_even
#define v_odd        vf_odd
#endif

#define TLK_REAL_FN(name) TLK_FN(TLK_JOIN(name, TLK_REAL_TAG))

#if defined TLK_ISA_AVX512
#define V_X86(name) _mm512_##name
#elif defined TLK_ISA_AVX2
#define V_X86(name) _mm256_##name
#endif

/* v[i][j] and v[j][i] change places. */
TLK_INLINE void v_transpose(vec v[VW])
{
#if (defined TLK_ISA_AVX2 || defined TLK_ISA_AVX512) && !defined TLK_DOUBLE
    /* Squares of 4 in each 128 bits: what lies outside of these is expensive to reach. Then the squares change places.
     * No instruction needs a vector of indices, or overwrites one that is read again. */
    TLK_UNROLL
    for (int i = 0; i < VW; i += 4) {
        const vec low[2] = {V_X86(unpacklo_ps)(v[i], v[i + 1]), V_X86(unpacklo_ps)(v[i + 2], v[i + 3])};
        const vec high[2] = {V_X86(unpackhi_ps)(v[i], v[i + 1]), V_X86(unpackhi_ps)(v[i + 2], v[i + 3])};
        v[i] = V_X86(shuffle_ps)(low[0], low[1], 0x44);
        v[i + 1] = V_X86(shuffle_ps)(low[0], low[1], 0xee);
        v[i + 2] = V_X86(shuffle_ps)(high[0], high[1], 0x44);
        v[i + 3] = V_X86(shuffle_ps)(high[0], high[1], 0xee);
    }
    TLK_UNROLL
    for (int i = 0; i < 4; i++) {
#if defined TLK_ISA_AVX2
        const vec low = v[i];
        v[i] = _mm256_permute2f128_ps(low, v[i + 4], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(low, v[i + 4], 0x31);
#else
        const vec low[2] = {_mm512_shuffle_f32x4(v[i], v[i + 4], 0x44),
                            _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0x44)};
        const vec high[2] = {_mm512_shuffle_f32x4(v[i], v[i + 4], 0xee),
                             _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0xee)};
        v[i] = _mm512_shuffle_f32x4(low[0], low[1], 0x88);
        v[i + 4] = _mm512_shuffle_f32x4(low[0], low[1], 0xdd);
        v[i + 8] = _mm512_shuffle_f32x4(high[0], high[1], 0x88);
        v[i + 12] = _mm512_shuffle_f32x4(high[0], high[1], 0xdd);
#endif
    }
#else
    /* Each stage moves the lowest bit of the column to the top of the row's bits, and the row's lowest to the top of
     * the column's. */
    TLK_UNROLL
    for (int stage = VW; stage > 1; stage /= 2) {
        vec next[VW];
        TLK_UNROLL
        for (int i = 0; i < VW / 2; i++) {
            next[i] = v_even(v[2 * i], v[2 * i + 1]);
            next[i + VW / 2] = v_odd(v[2 * i], v[2 * i + 1]);
        }
        TLK_UNROLL
        for (int i = 0; i < VW; i++)
            v[i] = next[i];
    }
#endif
}

/* p + offset where the sum may lie outside the array, for loads whose lanes all lie inside. */
TLK_INLINE const real *v_outside(const real *p, int64_t offset)
{
    return (const real *)((uintptr_t)p + (uintptr_t)offset * sizeof(real));
}

#endif
