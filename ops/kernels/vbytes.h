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

/* Four vectors of numbers, of which each 16 bytes of one go in front of those of the next. */
TLK_INLINE void bytes_pack(const veci *v, void *to)
{
#if defined TLK_ISA_AVX512
    const __m512i low = _mm512_packs_epi32((__m512i)v[0], (__m512i)v[1]);
    const __m512i high = _mm512_packs_epi32((__m512i)v[2], (__m512i)v[3]);
    const __m512i mask = _mm512_set1_epi16(0xff);
    _mm512_storeu_si512(to, _mm512_packus_epi16(_mm512_and_si512(low, mask), _mm512_and_si512(high, mask)));
#elif defined TLK_ISA_AVX2
    const __m256i low = _mm256_packs_epi32((__m256i)v[0], (__m256i)v[1]);
    const __m256i high = _mm256_packs_epi32((__m256i)v[2], (__m256i)v[3]);
    const __m256i mask = _mm256_set1_epi16(0xff);
    _mm256_storeu_si256(to, _mm256_packus_epi16(_mm256_and_si256(low, mask), _mm256_and_si256(high, mask)));
#else
    for (int g = 0; g < 4; g++) {
        const vecb bytes = bytes_narrow(v[g]);
        memcpy((uint8_t *)to + g * TLK_W, &bytes, sizeof bytes);
    }
#endif
}

/* To the nearest whole number, ties to even, held in [low, high]; NaN gives `low`. All less `zero`, which is added. */
TLK_INLINE veci ints_from_floats(vecf quotient, float low, float high, int32_t zero)
{
    return vf_to_int(vf_min(vf_set1(high), vf_at_least(quotient, vf_set1(low)))) + zero;
}

TLK_INLINE vecb bytes_from_floats(vecf quotient, float low, float high, int32_t zero)
{
    return bytes_narrow(ints_from_floats(quotient, low, high, zero));
}

#endif
