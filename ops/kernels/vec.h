/* Vectors of the instruction set that this file is compiled for.
 *
 * Every kernel source is compiled once per instruction set (see CMakeLists.txt), with one of TLK_ISA_AVX512,
 * TLK_ISA_AVX2, TLK_ISA_NEON or TLK_ISA_PORTABLE defined; without any it is the portable one. Arithmetic and
 * comparisons are written with operators (GCC vector extensions); only what these lack is a function here.
 *
 *   vecf  TLK_W floats        veci  TLK_W int32_t: comparisons of vecf give it, all ones is true
 *   vecd  TLK_WD doubles      vecl  TLK_WD int64_t
 *
 * The compiler never fuses on its own (-ffp-contract=off): a * b + c rounds twice, vf_fma(a, b, c) rounds once where
 * TLK_HAS_FMA is 1 and twice elsewhere. So a result depends on the instruction set but not on the compiler.
 *
 * Loads and stores need no alignment. The forms with a count touch only the first n elements (0 <= n <= width), so
 * that tails go through the same code as whole vectors; other lanes load as zero. Functions with `range` touch lanes
 * begin <= lane < end of the vector at p; elements outside need not exist.
 *
 * vf_min and vf_max: NaN in the second operand comes through; keep the data there and the bound first.
 */
#ifndef TLK_VEC_H
#define TLK_VEC_H

#include <stdint.h>
#include <string.h>

#if !defined TLK_ISA_AVX512 && !defined TLK_ISA_AVX2 && !defined TLK_ISA_NEON && !defined TLK_ISA_PORTABLE
#define TLK_ISA_PORTABLE 1
#define TLK_ISA          portable
#endif

#if defined TLK_ISA_AVX512
#include <immintrin.h>
#define TLK_VBYTES  64
#define TLK_HAS_FMA 1
#elif defined TLK_ISA_AVX2
#include <immintrin.h>
#define TLK_VBYTES  32
#define TLK_HAS_FMA 1
#elif defined TLK_ISA_NEON
#include <arm_neon.h>
#define TLK_VBYTES  16
#define TLK_HAS_FMA 1
#else
#if defined __SSE2__
#include <emmintrin.h>
#endif
#define TLK_VBYTES  16
#define TLK_HAS_FMA 0
#endif

#define TLK_W  (TLK_VBYTES / 4) /* floats per vector */
#define TLK_WD (TLK_VBYTES / 8) /* doubles per vector */

#define TLK_JOIN_(a, b) a##_##b
#define TLK_JOIN(a, b)  TLK_JOIN_(a, b)
/* The name of a function in this instruction set: TLK_FN(tlk_x) is tlk_x_avx512 and so on. */
#define TLK_FN(name) TLK_JOIN(name, TLK_ISA)

#define TLK_INLINE   static inline __attribute__((always_inline, unused))
#define TLK_NOINLINE __attribute__((noinline))

/* What takes the portable kernels more than a few instructions is not worth a copy at each place there. */
#if defined TLK_ISA_PORTABLE
#define TLK_LONG static __attribute__((noinline, unused))
#else
#define TLK_LONG TLK_INLINE
#endif

/* Makes the compiler know nothing of a vector but that it is in a register: it neither loads it again at each use,
 * which would cost more than it saves, nor computes anything with it beforehand. */
#if defined __aarch64__
#define TLK_IN_REGISTER(v) __asm__("" : "+w"(v))
#elif defined TLK_ISA_AVX512
#define TLK_IN_REGISTER(v) __asm__("" : "+v"(v))
#elif defined __x86_64__
#define TLK_IN_REGISTER(v) __asm__("" : "+x"(v))
#else
#define TLK_IN_REGISTER(v) ((void)0)
#endif

/* The same for a pointer: addresses near it become constant offsets. */
#define TLK_IN_POINTER(p) __asm__("" : "+r"(p))

/* Before a loop with a constant trip count whose body must end up in registers. */
#if defined __clang__
#define TLK_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TLK_UNROLL _Pragma("GCC unroll 32")
#endif

typedef float vecf __attribute__((vector_size(TLK_VBYTES)));
typedef int32_t veci __attribute__((vector_size(TLK_VBYTES)));
typedef uint32_t vecu __attribute__((vector_size(TLK_VBYTES)));
typedef double vecd __attribute__((vector_size(TLK_VBYTES)));
typedef int64_t vecl __attribute__((vector_size(TLK_VBYTES)));
typedef uint16_t vech __attribute__((vector_size(TLK_VBYTES / 2))); /* TLK_W half-precision bit patterns */

/* The same, at any address and of any declared type. */
typedef vecf vecf_any __attribute__((aligned(4), may_alias));
typedef veci veci_any __attribute__((aligned(4), may_alias));
typedef vecd vecd_any __attribute__((aligned(8), may_alias));
typedef vecl vecl_any __attribute__((aligned(8), may_alias));
typedef vech vech_any __attribute__((aligned(2), may_alias));

/* ---- whole vectors ---- */

TLK_INLINE vecf vf_load(const float *p)
{
    return *(const vecf_any *)p;
}
TLK_INLINE void vf_store(float *p, vecf v)
{
    *(vecf_any *)p = v;
}
TLK_INLINE veci vi_load(const int32_t *p)
{
    return *(const veci_any *)p;
}
TLK_INLINE void vi_store(int32_t *p, veci v)
{
    *(veci_any *)p = v;
}
TLK_INLINE vecd vd_load(const double *p)
{
    return *(const vecd_any *)p;
}
TLK_INLINE void vd_store(double *p, vecd v)
{
    *(vecd_any *)p = v;
}

TLK_INLINE vecf vf_zero(void)
{
    return (vecf){0};
}
TLK_INLINE vecd vd_zero(void)
{
    return (vecd){0};
}

#if defined TLK_ISA_AVX512
TLK_INLINE vecf vf_set1(float x)
{
    return (vecf)_mm512_set1_ps(x);
}
TLK_INLINE vecd vd_set1(double x)
{
    return (vecd)_mm512_set1_pd(x);
}
TLK_INLINE veci vi_set1(int32_t x)
{
    return (veci)_mm512_set1_epi32(x);
}
#elif defined TLK_ISA_AVX2
TLK_INLINE vecf vf_set1(float x)
{
    return (vecf)_mm256_set1_ps(x);
}
TLK_INLINE vecd vd_set1(double x)
{
    return (vecd)_mm256_set1_pd(x);
}
TLK_INLINE veci vi_set1(int32_t x)
{
    return (veci)_mm256_set1_epi32(x);
}
#else
TLK_INLINE vecf vf_set1(float x)
{
    return (vecf){x, x, x, x};
}
TLK_INLINE vecd vd_set1(double x)
{
    return (vecd){x, x};
}
TLK_INLINE veci vi_set1(int32_t x)
{
    return (veci){x, x, x, x};
}
#endif

/* {0, 1, 2, ...} */
TLK_INLINE veci vi_iota(void)
{
    static const int32_t lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return vi_load(lanes);
}

/* mask ? a : b, lane by lane; mask lanes are all ones or zero, as comparisons give them. */
TLK_INLINE vecf vf_select(veci mask, vecf a, vecf b)
{
    return (vecf)((mask & (veci)a) | (~mask & (veci)b));
}
TLK_INLINE veci vi_select(veci mask, veci a, veci b)
{
    return (mask & a) | (~mask & b);
}
TLK_INLINE vecd vd_select(vecl mask, vecd a, vecd b)
{
    return (vecd)((mask & (vecl)a) | (~mask & (vecl)b));
}

#if defined TLK_ISA_AVX512 || defined TLK_ISA_AVX2
/* Lane k is x's lane places[k], of which only so many bits count as lanes need. */
TLK_INLINE vecf vf_permute(vecf x, veci places)
{
#if defined TLK_ISA_AVX512
    return (vecf)_mm512_permutexvar_ps((__m512i)places, (__m512)x);
#else
    return (vecf)_mm256_permutevar8x32_ps((__m256)x, (__m256i)places);
#endif
}
#endif

TLK_INLINE vecf vf_abs(vecf x)
{
    return (vecf)((veci)x & vi_set1(0x7fffffff));
}
TLK_INLINE vecd vd_abs(vecd x)
{
    return (vecd)((vecl)x & INT64_MAX);
}

/* ---- a * b + c, min, max, sqrt, conversion to and from integers ---- */

#if defined TLK_ISA_AVX512
TLK_INLINE vecf vf_fma(vecf a, vecf b, vecf c)
{
    return (vecf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
TLK_INLINE vecd vd_fma(vecd a, vecd b, vecd c)
{
    return (vecd)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
TLK_INLINE vecf vf_min(vecf a, vecf b)
{
    return (vecf)_mm512_min_ps((__m512)a, (__m512)b);
}
TLK_INLINE vecf vf_max(vecf a, vecf b)
{
    return (vecf)_mm512_max_ps((__m512)a, (__m512)b);
}
TLK_INLINE vecd vd_min(vecd a, vecd b)
{
    return (vecd)_mm512_min_pd((__m512d)a, (__m512d)b);
}
TLK_INLINE vecd vd_max(vecd a, vecd b)
{
    return (vecd)_mm512_max_pd((__m512d)a, (__m512d)b);
}
TLK_INLINE vecf vf_sqrt(vecf a)
{
    return (vecf)_mm512_sqrt_ps((__m512)a);
}
TLK_INLINE vecf vf_from_int(veci a)
{
    return (vecf)_mm512_cvtepi32_ps((__m512i)a);
}
TLK_INLINE veci vf_to_int(vecf a)
{
    return (veci)_mm512_cvtps_epi32((__m512)a);
} /* to nearest, ties to even */
#elif defined TLK_ISA_AVX2
TLK_INLINE vecf vf_fma(vecf a, vecf b, vecf c)
{
    return (vecf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
TLK_INLINE vecd vd_fma(vecd a, vecd b, vecd c)
{
    return (vecd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
TLK_INLINE vecf vf_min(vecf a, vecf b)
{
    return (vecf)_mm256_min_ps((__m256)a, (__m256)b);
}
TLK_INLINE vecf vf_max(vecf a, vecf b)
{
    return (vecf)_mm256_max_ps((__m256)a, (__m256)b);
}
TLK_INLINE vecd vd_min(vecd a, vecd b)
{
    return (vecd)_mm256_min_pd((__m256d)a, (__m256d)b);
}
TLK_INLINE vecd vd_max(vecd a, vecd b)
{
    return (vecd)_mm256_max_pd((__m256d)a, (__m256d)b);
}
TLK_INLINE vecf vf_sqrt(vecf a)
{
    return (vecf)_mm256_sqrt_ps((__m256)a);
}
TLK_INLINE vecf vf_from_int(veci a)
{
    return (vecf)_mm256_cvtepi32_ps((__m256i)a);
}
TLK_INLINE veci vf_to_int(vecf a)
{
    return (veci)_mm256_cvtps_epi32((__m256)a);
}
#elif defined TLK_ISA_NEON
TLK_INLINE vecf vf_fma(vecf a, vecf b, vecf c)
{
    return (vecf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
TLK_INLINE vecd vd_fma(vecd a, vecd b, vecd c)
{
    return (vecd)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
TLK_INLINE vecf vf_min(vecf a, vecf b)
{
    return (vecf)vminq_f32((float32x4_t)a, (float32x4_t)b);
}
TLK_INLINE vecf vf_max(vecf a, vecf b)
{
    return (vecf)vmaxq_f32((float32x4_t)a, (float32x4_t)b);
}
TLK_INLINE vecd vd_min(vecd a, vecd b)
{
    return (vecd)vminq_f64((float64x2_t)a, (float64x2_t)b);
}
TLK_INLINE vecd vd_max(vecd a, vecd b)
{
    return (vecd)vmaxq_f64((float64x2_t)a, (float64x2_t)b);
}
TLK_INLINE vecf vf_sqrt(vecf a)
{
    return (vecf)vsqrtq_f32((float32x4_t)a);
}
TLK_INLINE vecf vf_from_int(veci a)
{
    return (vecf)vcvtq_f32_s32((int32x4_t)a);
}
TLK_INLINE veci vf_to_int(vecf a)
{
    return (veci)vcvtnq_s32_f32((float32x4_t)a);
}
#else
TLK_INLINE vecf vf_fma(vecf a, vecf b, vecf c)
{
    return a * b + c;
}
TLK_INLINE vecd vd_fma(vecd a, vecd b, vecd c)
{
    return a * b + c;
}
TLK_INLINE vecf vf_min(vecf a, vecf b)
{
    return vf_select(a < b, a, b);
}
TLK_INLINE vecf vf_max(vecf a, vecf b)
{
    return vf_select(a > b, a, b);
}
TLK_INLINE vecd vd_min(vecd a, vecd b)
{
    return vd_select(a < b, a, b);
}
TLK_INLINE vecd vd_max(vecd a, vecd b)
{
    return vd_select(a > b, a, b);
}
#if defined __SSE2__
TLK_INLINE vecf vf_sqrt(vecf a)
{
    return (vecf)_mm_sqrt_ps((__m128)a);
}
TLK_INLINE vecf vf_from_int(veci a)
{
    return (vecf)_mm_cvtepi32_ps((__m128i)a);
}
TLK_INLINE veci vf_to_int(vecf a)
{
    return (veci)_mm_cvtps_epi32((__m128)a);
}
#else
#include <math.h>
TLK_INLINE vecf vf_sqrt(vecf a)
{
    return (vecf){sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3])};
}
TLK_INLINE vecf vf_from_int(veci a)
{
    return __builtin_convertvector(a, vecf);
}
TLK_INLINE veci vf_to_int(vecf a)
{
    return (veci){(int32_t)rintf(a[0]), (int32_t)rintf(a[1]), (int32_t)rintf(a[2]), (int32_t)rintf(a[3])};
}
#endif
#endif

TLK_INLINE vecd vd_sqrt(vecd a)
{
#if defined TLK_ISA_AVX512
    return (vecd)_mm512_sqrt_pd((__m512d)a);
#elif defined TLK_ISA_AVX2
    return (vecd)_mm256_sqrt_pd((__m256d)a);
#elif defined TLK_ISA_NEON
    return (vecd)vsqrtq_f64((float64x2_t)a);
#elif defined __SSE2__
    return (vecd)_mm_sqrt_pd((__m128d)a);
#else
    return (vecd){sqrt(a[0]), sqrt(a[1])};
#endif
}

/* To whole numbers: vf_floor and vd_floor, and so on. */
#if defined TLK_ISA_AVX512
#define TLK_ROUND(name, function, mode, suffix)                                    \
    TLK_INLINE vecf vf_##name(vecf a)                                              \
    {                                                                              \
        return (vecf)_mm512_roundscale_ps((__m512)a, (mode) | _MM_FROUND_NO_EXC);  \
    }                                                                              \
    TLK_INLINE vecd vd_##name(vecd a)                                              \
    {                                                                              \
        return (vecd)_mm512_roundscale_pd((__m512d)a, (mode) | _MM_FROUND_NO_EXC); \
    }
#elif defined TLK_ISA_AVX2
#define TLK_ROUND(name, function, mode, suffix)                               \
    TLK_INLINE vecf vf_##name(vecf a)                                         \
    {                                                                         \
        return (vecf)_mm256_round_ps((__m256)a, (mode) | _MM_FROUND_NO_EXC);  \
    }                                                                         \
    TLK_INLINE vecd vd_##name(vecd a)                                         \
    {                                                                         \
        return (vecd)_mm256_round_pd((__m256d)a, (mode) | _MM_FROUND_NO_EXC); \
    }
#elif defined TLK_ISA_NEON
#define TLK_ROUND(name, function, mode, suffix)           \
    TLK_INLINE vecf vf_##name(vecf a)                     \
    {                                                     \
        return (vecf)vrnd##suffix##q_f32((float32x4_t)a); \
    }                                                     \
    TLK_INLINE vecd vd_##name(vecd a)                     \
    {                                                     \
        return (vecd)vrnd##suffix##q_f64((float64x2_t)a); \
    }
#else
#include <math.h>
#define TLK_ROUND(name, function, mode, suffix)                                                    \
    TLK_INLINE vecf vf_##name(vecf a)                                                              \
    {                                                                                              \
        return (vecf){function##f(a[0]), function##f(a[1]), function##f(a[2]), function##f(a[3])}; \
    }                                                                                              \
    TLK_INLINE vecd vd_##name(vecd a)                                                              \
    {                                                                                              \
        return (vecd){function(a[0]), function(a[1])};                                             \
    }
#endif
TLK_ROUND(floor, floor, _MM_FROUND_TO_NEG_INF, m)
TLK_ROUND(ceil, ceil, _MM_FROUND_TO_POS_INF, p)
TLK_ROUND(round, rint, _MM_FROUND_TO_NEAREST_INT, n) /* halves to even */

/* The same with the data first, of which NaN becomes the bound. */
TLK_INLINE vecf vf_at_least(vecf v, vecf low)
{
#if defined TLK_ISA_NEON
    return vf_select(v > low, v, low);
#else
    return vf_max(v, low);
#endif
}
TLK_INLINE vecf vf_at_most(vecf v, vecf high)
{
#if defined TLK_ISA_NEON
    return vf_select(v < high, v, high);
#else
    return vf_min(v, high);
#endif
}

/* Even or odd elements of a followed by b. */
#if defined TLK_ISA_AVX512
#define vf_even(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define vf_odd(a, b)  __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#define vd_even(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define vd_odd(a, b)  __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#elif defined TLK_ISA_AVX2
#define vf_even(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define vf_odd(a, b)  __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define vd_even(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define vd_odd(a, b)  __builtin_shufflevector(a, b, 1, 3, 5, 7)
#else
#define vf_even(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define vf_odd(a, b)  __builtin_shufflevector(a, b, 1, 3, 5, 7)
#define vd_even(a, b) __builtin_shufflevector(a, b, 0, 2)
#define vd_odd(a, b)  __builtin_shufflevector(a, b, 1, 3)
#endif

/* ---- part of a vector ---- */

#if defined TLK_ISA_AVX512
#define TLK_MASK16(begin, end) ((__mmask16)(((1U << (end)) - 1U) & ~((1U << (begin)) - 1U)))
#define TLK_MASK8(begin, end)  ((__mmask8)TLK_MASK16(begin, end))
TLK_INLINE vecf vf_load_range(const float *p, int begin, int end)
{
    return (vecf)_mm512_maskz_loadu_ps(TLK_MASK16(begin, end), p);
}
TLK_INLINE void vf_store_n(float *p, vecf v, int n)
{
    _mm512_mask_storeu_ps(p, TLK_MASK16(0, n), (__m512)v);
}
TLK_INLINE vecd vd_load_range(const double *p, int begin, int end)
{
    return (vecd)_mm512_maskz_loadu_pd(TLK_MASK8(begin, end), p);
}
TLK_INLINE void vd_store_n(double *p, vecd v, int n)
{
    _mm512_mask_storeu_pd(p, TLK_MASK8(0, n), (__m512d)v);
}
#elif defined TLK_ISA_AVX2
TLK_INLINE __m256i tlk_mask_range(int begin, int end)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(begin), lane),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lane));
}
TLK_INLINE vecf vf_load_range(const float *p, int begin, int end)
{
    return (vecf)_mm256_maskload_ps(p, tlk_mask_range(begin, end));
}
TLK_INLINE void vf_store_n(float *p, vecf v, int n)
{
    _mm256_maskstore_ps(p, tlk_mask_range(0, n), (__m256)v);
}
TLK_INLINE vecd vd_load_range(const double *p, int begin, int end)
{
    return (vecd)_mm256_maskload_pd(p, tlk_mask_range(2 * begin, 2 * end));
}
TLK_INLINE void vd_store_n(double *p, vecd v, int n)
{
    _mm256_maskstore_pd(p, tlk_mask_range(0, 2 * n), (__m256d)v);
}
#else
TLK_LONG vecf vf_load_range(const float *p, int begin, int end)
{
    float lanes[TLK_W] = {0};
    for (int i = begin; i < end; i++)
        lanes[i] = p[i];
    return vf_load(lanes);
}
TLK_LONG void vf_store_n(float *p, vecf v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}
TLK_LONG vecd vd_load_range(const double *p, int begin, int end)
{
    double lanes[TLK_WD] = {0};
    for (int i = begin; i < end; i++)
        lanes[i] = p[i];
    return vd_load(lanes);
}
TLK_LONG void vd_store_n(double *p, vecd v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = v[i];
}
#endif
TLK_INLINE vecf vf_load_n(const float *p, int n)
{
    return vf_load_range(p, 0, n);
}
TLK_INLINE vecd vd_load_n(const double *p, int n)
{
    return vd_load_range(p, 0, n);
}

/* ---- reductions, always in the same pairwise order: lane i with lane i + width/2, and so on ---- */

#define TLK_REDUCE(name, vec, scalar, width, op)          \
    TLK_INLINE scalar name(vec v)                         \
    {                                                     \
        scalar lanes[width];                              \
        TLK_UNROLL                                        \
        for (int i = 0; i < (width); i++)                 \
            lanes[i] = v[i];                              \
        TLK_UNROLL                                        \
        for (int half = (width) / 2; half > 0; half /= 2) \
            TLK_UNROLL                                    \
        for (int i = 0; i < half; i++)                    \
            lanes[i] = op(lanes[i], lanes[i + half]);     \
        return lanes[0];                                  \
    }
#define TLK_ADD(a, b)  ((a) + (b))
#define TLK_LESS(a, b) ((a) < (b) ? (a) : (b))
#define TLK_MORE(a, b) ((a) > (b) ? (a) : (b))
TLK_REDUCE(vf_sum, vecf, float, TLK_W, TLK_ADD)
TLK_REDUCE(vf_hmin, vecf, float, TLK_W, TLK_LESS)
TLK_REDUCE(vf_hmax, vecf, float, TLK_W, TLK_MORE)
TLK_REDUCE(vd_sum, vecd, double, TLK_WD, TLK_ADD)
TLK_REDUCE(vd_hmin, vecd, double, TLK_WD, TLK_LESS)
TLK_REDUCE(vd_hmax, vecd, double, TLK_WD, TLK_MORE)

/* ---- half types: uint16_t in memory, float in registers; rounding to nearest, ties to even; NaN stays NaN ---- */

TLK_INLINE vech vh_load(const uint16_t *p)
{
    return *(const vech_any *)p;
}
TLK_INLINE void vh_store(uint16_t *p, vech v)
{
    *(vech_any *)p = v;
}
TLK_LONG vech vh_load_range(const uint16_t *p, int begin, int end)
{
#if defined TLK_ISA_AVX512
    return (vech)_mm256_maskz_loadu_epi16(TLK_MASK16(begin, end), p);
#else
    uint16_t lanes[TLK_W] = {0};
    for (int i = begin; i < end; i++)
        lanes[i] = p[i];
    return vh_load(lanes);
#endif
}
TLK_INLINE vech vh_load_n(const uint16_t *p, int n)
{
    return vh_load_range(p, 0, n);
}
TLK_LONG void vh_store_n(uint16_t *p, vech v, int n)
{
#if defined TLK_ISA_AVX512
    _mm256_mask_storeu_epi16(p, TLK_MASK16(0, n), (__m256i)v);
#else
    uint16_t lanes[TLK_W];
    vh_store(lanes, v);
    for (int i = 0; i < n; i++)
        p[i] = lanes[i];
#endif
}

/* to 32 bits and back, of numbers that 16 bits hold */
TLK_INLINE veci vh_widen(vech h)
{
#if defined TLK_ISA_AVX512
    return (veci)_mm512_cvtepu16_epi32((__m256i)h);
#elif defined TLK_ISA_AVX2
    return (veci)_mm256_cvtepu16_epi32((__m128i)h);
#else
    return (veci){h[0], h[1], h[2], h[3]};
#endif
}
TLK_INLINE vech vh_narrow(veci v)
{
#if defined TLK_ISA_AVX512
    return (vech)_mm512_cvtepi32_epi16((__m512i)v);
#elif defined TLK_ISA_AVX2
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32((__m256i)v, (__m256i)v), 0x08);
    return (vech)_mm256_castsi256_si128(packed);
#else
    return (vech){(uint16_t)v[0], (uint16_t)v[1], (uint16_t)v[2], (uint16_t)v[3]};
#endif
}

TLK_INLINE vecf vf_from_bf16(vech h)
{
    return (vecf)(vh_widen(h) << 16);
}
TLK_INLINE vech vf_to_bf16(vecf v)
{
    const vecu bits = (vecu)v;
    const veci rounded = (veci)(bits + 0x7fffU + ((bits >> 16) & 1U));
    const veci quiet = (veci)(bits | 0x400000U);
    return vh_narrow((veci)((vecu)vi_select(v != v, quiet, rounded) >> 16));
}

TLK_LONG vecf vf_from_f16(vech h)
{
#if defined TLK_ISA_AVX512
    return (vecf)_mm512_cvtph_ps((__m256i)h);
#elif defined TLK_ISA_AVX2
    return (vecf)_mm256_cvtph_ps((__m128i)h);
#elif defined TLK_ISA_NEON
    return (vecf)vcvt_f32_f16((float16x4_t)h);
#else
    /* Exponent and fraction move to their place in a float, then the exponent is put right: infinities and NaN
     * get the largest one; subnormals get a leading one that a subtraction takes away again, which normalises. */
    const veci bits = vh_widen(h);
    const veci sign = (bits & 0x8000) << 16;
    const veci body = (bits & 0x7fff) << 13;
    const veci exponent = body & 0x0f800000;
    const veci normal = body + ((127 - 15) << 23);
    const veci special = normal + ((128 - 16) << 23);
    const vecf magic = (vecf)vi_set1(113 << 23);
    const veci subnormal = (veci)((vecf)(body + (113 << 23)) - magic);
    veci result = vi_select(exponent == 0x0f800000, special, normal);
    result = vi_select(exponent == 0, subnormal, result);
    return (vecf)(result | sign);
#endif
}
TLK_LONG vech vf_to_f16(vecf v)
{
#if defined TLK_ISA_AVX512
    return (vech)_mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined TLK_ISA_AVX2
    return (vech)_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT);
#elif defined TLK_ISA_NEON
    return (vech)vcvt_f16_f32((float32x4_t)v);
#else
    /* Normal results: round the fraction by integer addition, a carry goes into the exponent as it should.
     * Subnormal results: adding 0.5 puts the last kept bit at the end of a float's fraction, which rounds. */
    const veci bits = (veci)v;
    const veci sign = (veci)((vecu)bits >> 16) & 0x8000;
    const veci body = bits & 0x7fffffff;
    const veci half = vi_set1((127 - 15 + (23 - 10) + 1) << 23);
    const veci subnormal = (veci)((vecf)body + (vecf)half) - half;
    const veci normal =
        (veci)(((vecu)body - ((127U - 15U) << 23) + 0xfffU + ((vecu)(body >> 13) & 1U)) >> 13); /* NaN wraps */
    const veci special = vi_select(body > 0x7f800000, ((veci)((vecu)body >> 13) & 0x3ff) | 0x7e00, vi_set1(0x7c00));
    veci result = vi_select(body < (113 << 23), subnormal, normal);
    result = vi_select(body >= (143 << 23), special, result);
    return vh_narrow(result | sign);
#endif
}

#endif
