/* Vectors of as many bytes as a vector of floats has lanes. */
#ifndef TLK_VBYTES_H
#define TLK_VBYTES_H

#include "kernels/vec.h"

typedef uint8_t vecb __attribute__((vector_size(TLK_W)));

/* The compiler would do some of these element by element. */
TLK_INLINE veci bytes_widen(vecb bytes, int is_signed)
{
    typedef int8_t vecsb __attribute__((vector_size(TLK_W)));
#if defined TLK_ISA_AVX512
    return (veci)(is_signed ? _mm512_cvtepi8_epi32((__m128i)bytes) : _mm512_cvtepu8_epi32((__m128i)bytes));
#elif defined TLK_ISA_AVX2
    const __m128i low = _mm_cvtsi64_si128((int64_t)bytes);
    return (veci)(is_signed ? _mm256_cvtepi8_epi32(low) : _mm256_cvtepu8_epi32(low));
#endif
    return is_signed ? __builtin_convertvector((vecsb)bytes, veci) : __builtin_convertvector(bytes, veci);
}

TLK_INLINE vecb bytes_narrow(veci v)
{
#if defined TLK_ISA_AVX2
    const __m256i lowest = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12,
                                            -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i halves = _mm256_shuffle_epi8((__m256i)v, lowest);
    return (vecb)_mm_cvtsi128_si64(
        _mm_unpacklo_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
#endif
    return __builtin_convertvector(v, vecb);
}

/* To the nearest whole number, ties to even, held in [low, high]; NaN gives `low`. All less `zero`, which is added. */
TLK_INLINE vecb bytes_from_floats(vecf quotient, float low, float high, int32_t zero)
{
    const vecf bottom = vf_set1(low);
    const vecf held = vf_min(vf_set1(high), vf_select(quotient > bottom, quotient, bottom));
    return bytes_narrow(vf_to_int(held) + zero);
}

#endif
