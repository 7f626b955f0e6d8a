/* Bytes that stand for floats: plain loops, which the compiler turns into vectors. */
#include <string.h>
#include "kernels/isa.h"

/* Rounds to nearest even and holds the sum in range. NaN becomes the lowest. In terms of integers, because comparisons
 * of floats may trap, and then a loop of them is not vectorised. */
TLK_INLINE int32_t to_integer(float quotient, int32_t zero, int32_t low, int32_t high)
{
    const int32_t bound = 0x48800000, infinity = 0x7f800000, sign_bit = INT32_MIN; /* bound: 2^18, beyond all ranges */
    const float magic = 12582912; /* 1.5 * 2^23: adding it leaves the whole number in the lowest bits */
    int32_t bits, sign;
    memcpy(&bits, &quotient, sizeof bits);
    sign = bits & sign_bit;
    bits &= INT32_MAX;
    sign = bits > infinity ? sign_bit : sign;
    bits = bits > bound ? bound : bits;
    bits |= sign;
    memcpy(&quotient, &bits, sizeof bits);
    quotient += magic;
    memcpy(&bits, &quotient, sizeof bits);
    bits = bits - 0x4b400000 + zero; /* the bits of magic */
    bits = bits > low ? bits : low;
    return bits < high ? bits : high;
}

void TLK_FN(tlk_quantize_byte)(const float *restrict x, float scale, int32_t zero, int is_signed, uint8_t *restrict y,
                               int64_t n)
{
    const int32_t low = is_signed ? -128 : 0;
    for (int64_t i = 0; i < n; i++)
        y[i] = (uint8_t)to_integer(x[i] / scale, zero, low, low + 255);
}

void TLK_FN(tlk_dequantize_byte)(const uint8_t *restrict x, float scale, int32_t zero, int is_signed, float *restrict y,
                                 int64_t n)
{
    const int32_t flip = is_signed ? 128 : 0; /* x ^ 128 is the signed byte plus 128 */
    zero += flip;
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((x[i] ^ flip) - zero) * scale;
}
