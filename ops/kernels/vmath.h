/* Mathematical functions of float vectors, for the instruction set that this is compiled for.
 *
 * Each result is within 2 units in the last place of the exact value, for every float, and the same in every lane.
 * NaN gives NaN, infinities give the limit, subnormal numbers are as exact as their spacing allows (unless the caller
 * flushes them). bench/vmath_ulp.c measures all of this over all floats.
 *
 * The constants are this project's own minimax fits, by Lawson's iteration over Chebyshev nodes, in each case of the
 * function's relative error on the interval that the comment names. Range reduction and polynomials are arranged so
 * that they also hold without a fused multiply-add. Where float arithmetic cannot keep the bound, a function goes
 * through double and rounds once. */
#ifndef TLK_VMATH_H
#define TLK_VMATH_H

#include "kernels/types.h"
#include "kernels/vec.h"

/* ---- helpers ---- */

TLK_INLINE vecf vf_copysign(vecf magnitude, vecf sign)
{
    return (vecf)(((veci)magnitude & vi_set1(0x7fffffff)) | ((veci)sign & vi_set1(INT32_MIN)));
}
/* a < b ? u : v, where the compiler makes more than a blend of it */
TLK_INLINE vecf vf_if_less(vecf a, vecf b, vecf u, vecf v)
{
#if defined TLK_ISA_AVX512
    return (vecf)_mm512_mask_blend_ps(_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ), (__m512)v, (__m512)u);
#else
    return vf_select(a < b, u, v);
#endif
}
/* 2^n for -126 <= n <= 127 */
TLK_INLINE vecf vf_pow2(veci n)
{
    return (vecf)(((vecu)n + 127U) << 23);
}
/* Any NaN stays one; all else as it is */
TLK_INLINE vecf vf_keep_nan(vecf x, vecf result)
{
    return vf_select(x != x, x, result);
}

/* 1 / x for 1 <= x < 2^100: as a division gives it, or nearly so; and a rougher one, of 14 bits at least */
TLK_INLINE vecf vf_inverse_estimate(vecf x)
{
#if defined TLK_ISA_AVX512
    return (vecf)_mm512_rcp14_ps((__m512)x);
#else
    return 1.0F / x;
#endif
}
TLK_INLINE vecf vf_inverse(vecf x)
{
#if defined TLK_ISA_AVX512
    const vecf estimate = vf_inverse_estimate(x);
    return vf_fma(vf_fma(-x, estimate, vf_set1(1.0F)), estimate, estimate);
#else
    return 1.0F / x;
#endif
}

#define VF_LOG2E  0x1.715476p+0f
#define VF_LN2_HI 0x1.62e400p-1f /* 15 bits: a product with |n| < 512 is exact */
#define VF_LN2_LO 0x1.7f7d1cp-20f

/* x log2(e), or a multiple of it, as the whole number next to it: as float, as integer, and what x is away from
 * k log(2), for |x| < 2^20 */
typedef struct vf_reduced {
    vecf k;
    veci n;
    vecf r;
} vf_reduced;

TLK_INLINE vf_reduced vf_reduce_exp(vecf x)
{
    const vecf magic = vf_set1(0x1.8p23f); /* adding it rounds to an integer, which the lowest bits then hold */
    const vecf shifted = vf_fma(x, vf_set1(VF_LOG2E), magic);
    const vecf k = shifted - magic;
    const vecf r = vf_fma(k, vf_set1(-VF_LN2_HI), x);
    return (vf_reduced){k, (veci)((vecu)shifted - (vecu)magic), vf_fma(k, vf_set1(-VF_LN2_LO), r)};
}

/* v * 2^n, rounded once */
TLK_INLINE vecf vf_scale(vecf v, vf_reduced by)
{
#if defined TLK_ISA_AVX512
    return (vecf)_mm512_scalef_ps((__m512)v, (__m512)by.k);
#else
    const veci half = by.n >> 1; /* two steps, as 2^n alone may be out of range */
    return v * vf_pow2(half) * vf_pow2((veci)((vecu)by.n - (vecu)half));
#endif
}

/* exp(r) for |r| <= 0.3475 */
TLK_INLINE vecf vf_exp_reduced(vecf r)
{
    /* 1 + r + r^2 q(r) */
    vecf q = vf_set1(0x1.6a3fb6p-10f);
    q = vf_fma(q, r, vf_set1(0x1.1239e0p-7f));
    q = vf_fma(q, r, vf_set1(0x1.5558bep-5f));
    q = vf_fma(q, r, vf_set1(0x1.555492p-3f));
    q = vf_fma(q, r, vf_set1(0x1.fffffcp-2f));
    return vf_fma(r * r, q, r) + 1.0F;
}

/* exp(x) for -125 <= x <= 89 or NaN */
TLK_INLINE vecf vf_exp_bounded(vecf x)
{
    const vf_reduced by = vf_reduce_exp(x);
    return vf_scale(vf_exp_reduced(by.r), by);
}

TLK_INLINE vecf vf_exp(vecf x)
{
    return vf_exp_bounded(vf_max(vf_set1(-104.0F), vf_min(vf_set1(89.0F), x)));
}

/* exp(r) - 1 for |r| <= 0.3475 */
TLK_INLINE vecf vf_expm1_reduced(vecf r)
{
    /* r + r^2 q(r) */
    vecf q = vf_set1(0x1.9e7d64p-13f);
    q = vf_fma(q, r, vf_set1(0x1.6d3aa0p-10f));
    q = vf_fma(q, r, vf_set1(0x1.1112d4p-7f));
    q = vf_fma(q, r, vf_set1(0x1.5554f8p-5f));
    q = vf_fma(q, r, vf_set1(0x1.555554p-3f));
    q = vf_fma(q, r, vf_set1(0x1.000000p-1f));
    return vf_fma(r * r, q, r);
}

/* exp(x) - 1 */
TLK_INLINE vecf vf_expm1(vecf x)
{
    const vecf b = vf_max(vf_set1(-20.0F), vf_min(vf_set1(89.0F), x));
    const vf_reduced by = vf_reduce_exp(b);
    const vecf p = vf_expm1_reduced(by.r);
    const vecf half = vf_pow2((veci)((vecu)by.n - 1U)); /* half of 2^n, which may be out of range */
    const vecf sum = vf_fma(half, p, half - 0.5F);
    /* for n = 0 the sum is p / 2 exactly, unless that is subnormal */
    return vf_select(by.n == 0, vf_select(x == 0.0F, x, p), sum + sum);
}

/* log(1 + f) - f on [sqrt(1/2) - 1, sqrt(2) - 1] */
TLK_INLINE vecf vf_log1p_tail(vecf f)
{
    vecf p = vf_set1(0x1.148adap-4f);
    p = vf_fma(p, f, vf_set1(-0x1.de1b38p-4f));
    p = vf_fma(p, f, vf_set1(0x1.e6c3aap-4f));
    p = vf_fma(p, f, vf_set1(-0x1.fc256ep-4f));
    p = vf_fma(p, f, vf_set1(0x1.233b38p-3f));
    p = vf_fma(p, f, vf_set1(-0x1.555c52p-3f));
    p = vf_fma(p, f, vf_set1(0x1.99a47ap-3f));
    p = vf_fma(p, f, vf_set1(-0x1.000006p-2f));
    p = vf_fma(p, f, vf_set1(0x1.555548p-2f));
    const vecf square = f * f;
    return vf_fma(square * f, p, square * -0.5F);
}

TLK_INLINE vecf vf_log(vecf x)
{
    const veci tiny = x < 0x1p-126f;
    const vecf scaled = vf_select(tiny, x * 0x1p23f, x);
    /* scaled = 2^e * m with m in [sqrt(1/2), sqrt(2)) */
    const veci bits = (veci)((vecu)scaled - 0x3f3504f3U);
    const veci e = (bits >> 23) - (tiny & 23);
    const vecf m = (vecf)((bits & 0x7fffff) + 0x3f3504f3);
    const vecf f = m - 1.0F;
    const vecf k = vf_from_int(e);
    const vecf tail = vf_fma(k, vf_set1(VF_LN2_LO), vf_log1p_tail(f));
    vecf result = vf_fma(k, vf_set1(VF_LN2_HI), f + tail);
    result = vf_select(x == 0.0F, vf_set1(-__builtin_inff()), result);
    result = vf_select(x == __builtin_inff(), x, result);
    result = vf_select(x < 0.0F, vf_set1(__builtin_nanf("")), result);
    return vf_keep_nan(x, result);
}

/* log(1 + x) for 0 <= x <= 1 or NaN */
TLK_INLINE vecf vf_log1p_unit(vecf x)
{
    const veci upper = x > 0.5F; /* then as log(2) + log((1 + x) / 2) */
    const vecf f = vf_select(upper, (x - 1.0F) * 0.5F, x);
    /* log(1 + f) = f - f^2/2 + f^3 p(f) on [-0.25, 0.5] */
    vecf p = vf_set1(0x1.34440ap-5f);
    p = vf_fma(p, f, vf_set1(-0x1.752250p-4f));
    p = vf_fma(p, f, vf_set1(0x1.df2730p-4f));
    p = vf_fma(p, f, vf_set1(-0x1.04ac9ep-3f));
    p = vf_fma(p, f, vf_set1(0x1.2462f4p-3f));
    p = vf_fma(p, f, vf_set1(-0x1.5519d2p-3f));
    p = vf_fma(p, f, vf_set1(0x1.999768p-3f));
    p = vf_fma(p, f, vf_set1(-0x1.00006ep-2f));
    p = vf_fma(p, f, vf_set1(0x1.55555ap-2f));
    const vecf square = f * f;
    const vecf log2 = (vecf)(upper & (veci)vf_set1(0x1.62e430p-1f));
    return log2 + (f + vf_fma(square * f, p, square * -0.5F));
}

#if defined TLK_ISA_AVX512
/* The polynomial around the multiple of `width` that is next to t >= 0, one of 16, in what t is away from it. A
 * register holds one coefficient for all of them, lowest degree first. Far beyond the last one what comes out means
 * nothing. */
#define VF_LOOK_UP(coefficients, t, width) \
    vf_look_up((coefficients), (int)(sizeof(coefficients) / sizeof *(coefficients)) - 1, (t), (width))
TLK_INLINE vecf vf_look_up(const float (*coefficients)[TLK_W], int degree, vecf t, float width)
{
    const vecf magic = vf_set1(0x1.8p23f); /* adding it rounds to an integer, which the lowest bits then hold */
    const vecf shifted = vf_fma(t, vf_set1(1 / width), magic);
    const vecf r = vf_fma(shifted - magic, vf_set1(-width), t);
    vecf q = vf_permute(vf_load(coefficients[degree]), (veci)shifted);
    TLK_UNROLL
    for (int k = degree - 1; k >= 0; k--)
        q = vf_fma(q, r, vf_permute(vf_load(coefficients[k]), (veci)shifted));
    return q;
}
/* `near`, and where t is not less than the bound, or NaN, `far`: an expression that is computed only where it is asked
 * for. Ends the function. */
#define VF_RETURN(near, t, bound, far)                                                            \
    const __mmask16 is_far = _mm512_cmp_ps_mask((__m512)(t), _mm512_set1_ps(bound), _CMP_NLT_UQ); \
    return __builtin_expect(is_far == 0, 1) ? (near) : (vecf)_mm512_mask_mov_ps((__m512)(near), is_far, (__m512)(far))

TLK_INLINE vecf vf_tanh(vecf x)
{
    static const float coefficients[][TLK_W] __attribute__((aligned(64))) = {
        {0.0f, 0x1.1bf47ep-1f, 0x1.b2523cp-1f, 0x1.e8789ep-1f, 0x1.f92582p-1f, 0x1.fe06ecp-1f, 0x1.ff6f18p-1f,
         0x1.ffd678p-1f, 0x1.fff41ap-1f, 0x1.fffc98p-1f, 0x1.ffff06p-1f, 0x1.ffffb8p-1f, 0x1.ffffecp-1f, 0x1.fffffap-1f,
         0x1.fffffep-1f, 0x1.000000p+0f},
        {0x1.000000p+0f, 0x1.6284c2p-1f, 0x1.1f2514p-2f, 0x1.6fcfa6p-4f, 0x1.b3afe2p-6f, 0x1.f81bdap-8f, 0x1.21a7aep-9f,
         0x1.4c3652p-11f, 0x1.7ccec2p-13f, 0x1.b470eep-15f, 0x1.f42de0p-17f, 0x1.1e9be8p-18f, 0x1.4875bep-20f,
         0x1.786beap-22f, 0x1.af62e8p-24f, 0x1.ee6084p-26f},
        {-0x1.72e4bcp-23f, -0x1.893a9ap-2f, -0x1.e729fep-3f, -0x1.5ee3dep-4f, -0x1.add246p-6f, -0x1.f6835cp-8f,
         -0x1.2194dap-9f, -0x1.4d756ap-11f, -0x1.839998p-13f, -0x1.dd2406p-15f, -0x1.02561ep-16f, -0x1.3fcabap-19f,
         -0x1.12d2acp-18f, 0x1.3a15e6p-22f, 0x1.b01b3cp-20f, -0x1.63c6ccp-19f},
        {-0x1.55529cp-2f, -0x1.2417dcp-6f, 0x1.bba30ap-4f, 0x1.a85c82p-5f, 0x1.16df64p-6f, 0x1.4c3110p-8f,
         0x1.80ed1ep-10f, 0x1.ba871ep-12f, 0x1.fb9a26p-14f, 0x1.22efc8p-15f, 0x1.4d71e4p-17f, 0x1.7e2484p-19f,
         0x1.b5f14ap-21f, 0x1.f5e4e6p-23f, 0x1.1f9752p-24f, 0x1.499616p-26f},
        {-0x1.b07a46p-13f, 0x1.1a4d52p-3f, -0x1.9abb08p-7f, -0x1.57e70ap-6f, -0x1.098d2cp-7f, -0x1.3424e0p-9f,
         -0x1.645358p-11f, -0x1.26aac6p-13f, 0x1.d8d8e2p-16f, 0x1.e1b9d0p-14f, 0x1.1aa6eep-17f, -0x1.bb5ec4p-15f,
         0x1.465abap-14f, -0x1.27d6d6p-16f, -0x1.8709cap-15f, 0x1.2b8218p-14f},
        {0x1.14d846p-3f, -0x1.c409a4p-5f, -0x1.3a5608p-6f, 0x1.2efba0p-8f, 0x1.766776p-9f, 0x1.fb9918p-11f,
         0x1.2fe824p-12f, 0x1.60c9aap-14f, 0x1.95f092p-16f, 0x1.d1b46ep-18f, 0x1.0ac328p-19f, 0x1.31aa2cp-21f,
         0x1.5ea388p-23f, 0x1.918b60p-25f, 0x1.cc08b0p-27f, 0x1.079954p-28f},
        {-0x1.048a44p-7f, -0x1.8a0e18p-6f, 0x1.e231c0p-7f, 0x1.9a6bcep-10f, -0x1.5b7dbcp-12f, -0x1.51528ap-10f,
         -0x1.d30148p-12f, -0x1.09d450p-11f, -0x1.413f18p-11f, -0x1.d9c928p-11f, -0x1.81cd90p-14f, 0x1.6f824cp-12f,
         -0x1.17a424p-11f, 0x1.f4e25cp-14f, 0x1.4d0a72p-12f, -0x1.fe9dc0p-12f},
        {-0x1.44b372p-5f, 0x1.db813ep-6f, -0x1.27b938p-8f, -0x1.2a9978p-10f, 0x1.576d30p-14f, 0x1.15a7c6p-14f,
         0x1.b14968p-16f, 0x1.034a90p-17f, 0x1.25f840p-19f, 0x1.4fee96p-21f, 0x1.9631bcp-23f, 0x1.dc2606p-25f,
         0x1.fcc27ep-27f, 0x1.33d24ap-28f, 0x1.68054cp-30f, 0x1.9695f4p-32f},
    };
    return vf_copysign(VF_LOOK_UP(coefficients, vf_min(vf_set1(9.5F), vf_abs(x)), 0.625F), x); /* NaN comes through */
}
#else
TLK_INLINE vecf vf_tanh(vecf x)
{
    const vecf a = vf_min(vf_set1(10.0F), vf_abs(x)); /* NaN comes through */
#if TLK_HAS_FMA
    /* With h = (exp(2 |x|) - 1) / 2: h / (1 + h). The sum's rounding is of no matter to what the quotient misses. */
    const vecf magic = vf_set1(0x1.8p23f);
    const vecf shifted = vf_fma(a, vf_set1(2 * VF_LOG2E), magic);
    const vecf power = (vecf)(((vecu)shifted << 23) + 0x3f800000U);      /* 2^k: of the magic number nothing is left */
    const vecf r = vf_fma(shifted - magic, vf_set1(-0x1.62e430p-2f), a); /* log(2) / 2: as exact as is of use */
    /* (exp(2 r) - 1) / 2 = r + r^2 q(r) on |r| <= 0.174 */
    vecf q = vf_set1(0x1.6bebcap-5f);
    q = vf_fma(q, r, vf_set1(0x1.1228e6p-3f));
    q = vf_fma(q, r, vf_set1(0x1.555676p-2f));
    q = vf_fma(q, r, vf_set1(0x1.5554aep-1f));
    q = vf_fma(q, r, vf_set1(0x1.fffffep-1f));
    const vecf h = vf_fma(power, vf_fma(r * r, q, r), vf_fma(power, vf_set1(0.5F), vf_set1(-0.5F)));
    const vecf inverse = vf_inverse_estimate(1.0F + h);
    const vecf quotient = h * inverse;
    const vecf missing = vf_fma(-quotient, h, h - quotient);
    return vf_copysign(vf_fma(missing, inverse, quotient), x);
#else
    /* tanh(x) = x + x^3 p(x^2) on |x| <= 0.63 */
    const vecf square = x * x;
    vecf p = vf_set1(-0x1.734388p-8f);
    p = vf_fma(p, square, vf_set1(0x1.519498p-6f));
    p = vf_fma(p, square, vf_set1(-0x1.b826a4p-5f));
    p = vf_fma(p, square, vf_set1(0x1.110686p-3f));
    p = vf_fma(p, square, vf_set1(-0x1.555530p-2f));
    const vecf small = vf_fma(x * square, p, x);
    /* else 1 - 2 / (exp(2 |x|) + 1), which is 1 from 9.02 on */
    const vecf large = 1.0F - 2.0F / (vf_exp_bounded(a + a) + 1.0F);
    return vf_copysign(vf_select(a < 0.625F, small, large), x);
#endif
}
#endif

/* x + x^3 p(x^2) - rest: atan for 0 <= x <= 1 */
TLK_INLINE vecf vf_atan_unit(vecf x, vecf rest)
{
    const vecf square = x * x;
    vecf p = vf_set1(-0x1.d62e0cp-10f);
    p = vf_fma(p, square, vf_set1(0x1.65a54ep-7f));
    p = vf_fma(p, square, vf_set1(-0x1.fed064p-6f));
    p = vf_fma(p, square, vf_set1(0x1.dac964p-5f));
    p = vf_fma(p, square, vf_set1(-0x1.58346cp-4f));
    p = vf_fma(p, square, vf_set1(0x1.c099f2p-4f));
    p = vf_fma(p, square, vf_set1(-0x1.2421b4p-3f));
    p = vf_fma(p, square, vf_set1(0x1.9991fep-3f));
    p = vf_fma(p, square, vf_set1(-0x1.55553ep-2f));
    return x + vf_fma(x * square, p, rest);
}

#define VF_HALF_PI_HI 0x1.921fb6p+0f
#define VF_HALF_PI_LO -0x1.777a5cp-25f

TLK_INLINE vecf vf_atan(vecf x)
{
    const vecf a = vf_min(vf_set1(0x1p60f), vf_abs(x)); /* NaN comes through */
    const veci large = a > 1.0F;                        /* then as pi / 2 - atan(1 / x) */
    const vecf u = vf_atan_unit(vf_select(large, vf_inverse(a), a), (vecf)(large & (veci)vf_set1(-VF_HALF_PI_LO)));
    return vf_copysign(vf_select(large, VF_HALF_PI_HI - u, u), x);
}

/* asin, and acos as pi / 2 less that */
TLK_INLINE vecf vf_asin(vecf x, int complement)
{
    const vecf a = vf_abs(x);
    const veci large = a > 0.5F; /* then as pi / 2 - 2 asin(sqrt((1 - x) / 2)), NaN beyond 1 */
    const vecf square = vf_select(large, (1.0F - a) * 0.5F, a * a);
    const vecf root = vf_select(large, vf_sqrt(square), a);
    /* asin(x) = x + x^3 p(x^2) on [0, 0.5] */
    vecf p = vf_set1(0x1.59b824p-5f);
    p = vf_fma(p, square, vf_set1(0x1.8bd5a2p-6f));
    p = vf_fma(p, square, vf_set1(0x1.74860ap-5f));
    p = vf_fma(p, square, vf_set1(0x1.33019cp-4f));
    p = vf_fma(p, square, vf_set1(0x1.5555cap-3f));
    const vecf tail = root * square * p;
    const vecf s = root + tail;
    if (!complement) {
        const vecf twice = root + root;
        const vecf rest = VF_HALF_PI_HI - twice;
        const vecf rest_low = (VF_HALF_PI_HI - rest) - twice;
        return vf_copysign(vf_select(large, rest + (rest_low - (tail + tail - VF_HALF_PI_LO)), s), x);
    }
    const vecf half = VF_HALF_PI_HI - (vf_copysign(s, x) - VF_HALF_PI_LO);
    const vecf whole = vf_select(x < 0.0F, 2 * VF_HALF_PI_HI - (s + s - 2 * VF_HALF_PI_LO), s + s);
    return vf_select(large, whole, half);
}

/* log(1 + exp(x)) */
TLK_INLINE vecf vf_softplus(vecf x)
{
    const vecf e = vf_exp_bounded(vf_max(vf_set1(-104.0F), -vf_abs(x)));
    return vf_max(vf_zero(), x) + vf_log1p_unit(e);
}

TLK_INLINE vecf vf_softsign(vecf x)
{
    const vecf a = vf_abs(x);
    return vf_select(a == __builtin_inff(), vf_copysign(vf_set1(1.0F), x), x / (1.0F + a));
}

TLK_INLINE vecf vf_erf(vecf x)
{
    const vecf a = vf_abs(x);
    /* erf(x) = x + x p(x^2) on |x| <= 0.93 */
    const vecf square = x * x;
    vecf p = vf_set1(0x1.4f6760p-14f);
    p = vf_fma(p, square, vf_set1(-0x1.a60a2ep-11f));
    p = vf_fma(p, square, vf_set1(0x1.544a1ap-8f));
    p = vf_fma(p, square, vf_set1(-0x1.b8011ap-6f));
    p = vf_fma(p, square, vf_set1(0x1.ce2d64p-4f));
    p = vf_fma(p, square, vf_set1(-0x1.812740p-2f));
    p = vf_fma(p, square, vf_set1(0x1.06eba8p-3f));
    const vecf small = vf_fma(x, p, x);
    /* 1 - exp(-q(|x|)) on [0.9, 4]; 1 beyond */
    const vecf b = vf_min(vf_set1(4.0F), a);
    vecf q = vf_set1(0x1.5d5bf8p-16f);
    q = vf_fma(q, b, vf_set1(-0x1.c44bd0p-12f));
    q = vf_fma(q, b, vf_set1(0x1.105f16p-8f));
    q = vf_fma(q, b, vf_set1(-0x1.9aea12p-6f));
    q = vf_fma(q, b, vf_set1(0x1.bb44d8p-4f));
    q = vf_fma(q, b, vf_set1(0x1.444d26p-1f));
    q = vf_fma(q, b, vf_set1(0x1.212626p+0f));
    q = vf_fma(q, b, vf_set1(-0x1.62d8cep-13f));
    const vecf large = vf_copysign(1.0F - vf_exp_bounded(-q), x); /* NaN comes through */
    return vf_if_less(a, vf_set1(0.92F), small, large);
}

/* ---- through double ---- */

/* The two halves of a vector as double, and back. */
TLK_INLINE vecd vd_from_low(vecf x)
{
#if defined TLK_ISA_AVX512
    return (vecd)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)x));
#elif defined TLK_ISA_AVX2
    return (vecd)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x));
#elif defined TLK_ISA_NEON
    return (vecd)vcvt_f64_f32(vget_low_f32((float32x4_t)x));
#elif defined __SSE2__
    return (vecd)_mm_cvtps_pd((__m128)x);
#else
    return (vecd){(double)x[0], (double)x[1]};
#endif
}
TLK_INLINE vecd vd_from_high(vecf x)
{
#if defined TLK_ISA_AVX512
    return (vecd)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)x, 1));
#elif defined TLK_ISA_AVX2
    return (vecd)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1));
#elif defined TLK_ISA_NEON
    return (vecd)vcvt_high_f64_f32((float32x4_t)x);
#elif defined __SSE2__
    return (vecd)_mm_cvtps_pd(_mm_movehl_ps((__m128)x, (__m128)x));
#else
    return (vecd){(double)x[2], (double)x[3]};
#endif
}
TLK_INLINE vecf vf_from_halves(vecd low, vecd high)
{
#if defined TLK_ISA_AVX512
    return (vecf)_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)low)),
                                    _mm512_cvtpd_ps((__m512d)high), 1);
#elif defined TLK_ISA_AVX2
    return (vecf)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps((__m256d)low)),
                                      _mm256_cvtpd_ps((__m256d)high), 1);
#elif defined TLK_ISA_NEON
    return (vecf)vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)low), (float64x2_t)high);
#elif defined __SSE2__
    return (vecf)_mm_movelh_ps(_mm_cvtpd_ps((__m128d)low), _mm_cvtpd_ps((__m128d)high));
#else
    return (vecf){(float)low[0], (float)low[1], (float)high[0], (float)high[1]};
#endif
}

/* exp(x) for |x| <= 700 to 2^-34 */
TLK_INLINE vecd vd_exp_bounded(vecd x)
{
    const vecd magic = vd_set1(0x1.8p52); /* adding it rounds to an integer, which the lowest bits then hold */
    const vecd shifted = vd_fma(x, vd_set1(0x1.71547652b82fep+0), magic);
    const vecd k = shifted - magic;
    const vecd r = vd_fma(k, vd_set1(-0x1.62e42fefa39efp-1), x);
    vecd q = vd_set1(0x1.9f0716a66b4a6p-13);
    q = vd_fma(q, r, vd_set1(0x1.6d8eed1cd5df1p-10));
    q = vd_fma(q, r, vd_set1(0x1.11127462a9f9cp-7));
    q = vd_fma(q, r, vd_set1(0x1.55548bbfaa7f7p-5));
    q = vd_fma(q, r, vd_set1(0x1.5555543ef3dabp-3));
    q = vd_fma(q, r, vd_set1(0x1.0000003b039a4p-1));
    const vecd power = vd_fma(r * r, q, r) + 1.0;
    typedef uint64_t lanes __attribute__((vector_size(TLK_VBYTES)));
    return (vecd)((lanes)power + ((lanes)shifted << 52));
}

/* log(x) for normal x > 0, to 2^-42: that of the fraction by the series of atanh, which needs no fit. */
TLK_INLINE vecd vd_log_positive(vecd x)
{
    typedef uint64_t lanes __attribute__((vector_size(TLK_VBYTES)));
    /* x = 2^e * m with m in [sqrt(1/2), sqrt(2)); e + 1023, in place of a fraction's last bits, is a double's */
    const lanes exponent = ((lanes)x + (0x3ff0000000000000U - 0x3fe6a09e667f3bcdU)) >> 52;
    const vecd e = (vecd)(exponent | 0x4330000000000000U) - (0x1p52 + 1023);
    const vecd m = (vecd)((lanes)x - (exponent << 52) + 0x3ff0000000000000U);
    const vecd s = (m - 1.0) / (m + 1.0);
    const vecd square = s * s;
    vecd p = vd_set1(1.0 / 17);
    TLK_UNROLL
    for (int k = 15; k > 1; k -= 2)
        p = vd_fma(p, square, vd_set1(1.0 / k));
    return vd_fma(e, vd_set1(0x1.62e42fefa39efp-1), vd_fma(p * square, s + s, s + s));
}

/* x^y for finite x > 0 and finite y */
TLK_INLINE vecd vd_power(vecd x, vecd y)
{
    return vd_exp_bounded(vd_min(vd_set1(200.0), vd_max(vd_set1(-200.0), y * vd_log_positive(x))));
}

/* sin(x), or cos(x), for |x| <= 2^19 */
TLK_INLINE vecd vd_sine(vecd x, int cosine)
{
    typedef uint64_t lanes __attribute__((vector_size(TLK_VBYTES)));
    const vecd magic = vd_set1(0x1.8p52);
    const vecd shifted = x * 0x1.45f306dc9c883p-1 + magic; /* the quadrant, in the lowest bits */
    const vecd k = shifted - magic;
    const lanes quadrant = (lanes)shifted + (uint64_t)cosine;
    /* pi / 2 in three parts, of which the first two have 33 bits: their products are exact */
    const vecd r = ((x - k * 0x1.921fb544p+0) - k * 0x1.0b4611a6p-34) - k * 0x1.3198a2e03707p-69;
    const vecd square = r * r;
    vecd s = vd_set1(-1.0 / 39916800);
    s = vd_fma(s, square, vd_set1(1.0 / 362880));
    s = vd_fma(s, square, vd_set1(-1.0 / 5040));
    s = vd_fma(s, square, vd_set1(1.0 / 120));
    s = vd_fma(s, square, vd_set1(-1.0 / 6));
    s = r * vd_fma(s, square, vd_set1(1.0));
    vecd c = vd_set1(-1.0 / 3628800);
    c = vd_fma(c, square, vd_set1(1.0 / 40320));
    c = vd_fma(c, square, vd_set1(-1.0 / 720));
    c = vd_fma(c, square, vd_set1(1.0 / 24));
    c = vd_fma(c, square, vd_set1(-0.5));
    c = vd_fma(c, square, vd_set1(1.0));
    const vecd result = vd_select((vecl)(0 - (quadrant & 1)), c, s);
    return (vecd)((lanes)result ^ (quadrant & 2) << 62);
}

/* 1 / (1 + exp(-x)), and x times it, or nearly so */
#if TLK_HAS_FMA
#if defined TLK_ISA_AVX512
/* 2^n: at once, by an instruction that rounds once */
typedef struct vf_scaling {
    vecf n;
} vf_scaling;

TLK_INLINE vf_scaling vf_scaling_of(vf_reduced by)
{
    return (vf_scaling){by.k};
}
TLK_INLINE vecf vf_scale_first(vecf v, vf_scaling scaling)
{
    (void)scaling;
    return v;
}
TLK_INLINE vecf vf_scale_last(vecf v, vf_scaling scaling)
{
    return (vecf)_mm512_scalef_ps((__m512)v, (__m512)scaling.n);
}
TLK_INLINE vf_scaling vf_scaling_where(veci mask, vf_scaling scaling)
{
    return (vf_scaling){(vecf)(mask & (veci)scaling.n)};
}
#else
/* 2^n as a product: the first factor leaves no subnormal behind, the last may */
typedef struct vf_scaling {
    vecf first, last;
} vf_scaling;

TLK_INLINE vf_scaling vf_scaling_of(vf_reduced by)
{
    const veci half = by.n >> 1;
    return (vf_scaling){vf_pow2(half), vf_pow2((veci)((vecu)by.n - (vecu)half))};
}
TLK_INLINE vecf vf_scale_first(vecf v, vf_scaling scaling)
{
    return v * scaling.first;
}
TLK_INLINE vecf vf_scale_last(vecf v, vf_scaling scaling)
{
    return v * scaling.last;
}
TLK_INLINE vf_scaling vf_scaling_where(veci mask, vf_scaling scaling)
{
    return (vf_scaling){scaling.first, vf_select(mask, scaling.last, vf_set1(1.0F))};
}
#endif

/* x times the logistic function of y, for |y| <= 125, where `by` and its r are of -|y| */
TLK_INLINE vecf vf_gated(vecf x, vecf y, vf_reduced by)
{
    /* With e = exp(-|y|): e / (1 + e) for y < 0, else 1 / (1 + e). What the quotient misses is known, so that it need
     * not be exact. The last step of scaling follows the product, which rounds once where it is subnormal. */
    const vf_scaling scaling = vf_scaling_of(by);
    const vecf power = vf_scale_first(vf_expm1_reduced(by.r) + 1.0F, scaling);
    const vecf e = vf_scale_last(power, scaling);
    const vecf numerator = vf_if_less(y, vf_zero(), power, vf_set1(1.0F));
    const vecf inverse = vf_inverse_estimate(1.0F + e);
    const vecf quotient = numerator * inverse;
    const vecf missing = vf_fma(-quotient, e, numerator - quotient);
    const vecf product = vf_fma(x, quotient, x * (missing * inverse));
    return vf_copysign(vf_scale_last(product, vf_scaling_where(y < 0.0F, scaling)), x); /* of -0, too */
}
TLK_INLINE vecf vf_sigmoid_any(vecf x)
{
    const vecf e = vf_exp_bounded(vf_max(vf_set1(-104.0F), -vf_abs(x)));
    const vecf numerator = vf_if_less(x, vf_zero(), e, vf_set1(1.0F));
    const vecf inverse = vf_inverse_estimate(1.0F + e);
    const vecf quotient = numerator * inverse;
    return vf_fma(vf_fma(-quotient, e, numerator - quotient), inverse, quotient);
}
TLK_INLINE vecf vf_negative(vecf x)
{
    return (vecf)((veci)x | vi_set1(INT32_MIN));
}
TLK_INLINE vecf vf_swish_any(vecf x)
{
    const vecf b = vf_max(vf_set1(-120.0F), vf_min(vf_set1(120.0F), x));
    return vf_if_less(vf_set1(120.0F), x, x, vf_gated(b, b, vf_reduce_exp(vf_negative(b))));
}
/* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), which is x / (1 + exp(-u)), u = 2 sqrt(2/pi) (x + 0.044715 x^3) */
TLK_INLINE vecf vf_gelu_tanh_any(vecf x)
{
    const vecf first = vf_set1(0x1.98845p+0f); /* its low bits are 0, so that what the sum loses is exact */
    const vecf third = vf_set1(0x1.2444f2p-4f);
    const vecf b = vf_max(vf_set1(-11.0F), vf_min(vf_set1(11.0F), x));
    const vecf square = b * b;
    const vecf factor = vf_fma(third, square, first);
    const vecf lost =
        vf_fma(third, square, first - factor) +
        vf_fma(third, vf_fma(b, b, -square), vf_fma(vf_set1(0x1.49b16ap-29f), square, vf_set1(0x1.9ea1b2p-23f)));
    const vecf u = vf_negative(b * factor);
    vf_reduced by = vf_reduce_exp(u);
    /* |b| factor + u is what the product lost */
    by.r = by.r - vf_fma(vf_abs(b), lost, vf_fma(vf_abs(b), factor, u));
    return vf_if_less(vf_set1(11.0F), x, x, vf_gated(b, b, by));
}
/* x/2 (1 + erf(x / sqrt(2))), which is x less t exp(-t^2 / 2) r(t) for x > 0, else 0 less that, with t = |x| */
TLK_INLINE vecf vf_gelu_any(vecf x)
{
    const float pole = 3.125F;
    const vecf t = vf_min(vf_set1(15.0F), vf_abs(x)); /* NaN comes through */
    const vecf half = t * -0.5F;
    const vecf power = half * t;
    const vf_reduced by = vf_reduce_exp(power);
    /* The same with what the power lost, rounded but once */
    const vecf low = vf_fma(by.k, vf_set1(-VF_LN2_LO), vf_fma(half, t, -power));
    const vecf q = vf_expm1_reduced(vf_fma(by.k, vf_set1(-VF_LN2_HI), power) + low);
    /* r(t) = v g(v) on [0, 14.7], with v = 1 / (t + pole) */
    const vecf sum = t + pole;
    const vecf v = vf_inverse(sum);
    vecf p = vf_set1(-0x1.6c966p+10f);
    p = vf_fma(p, v, vf_set1(0x1.f988f4p+10f));
    p = vf_fma(p, v, vf_set1(-0x1.a42388p+9f));
    p = vf_fma(p, v, vf_set1(-0x1.1defdap+3f));
    p = vf_fma(p, v, vf_set1(0x1.465c62p+5f));
    p = vf_fma(p, v, vf_set1(0x1.33dcd0p+3f));
    p = vf_fma(p, v, vf_set1(0x1.2562d8p+3f));
    p = vf_fma(p, v, vf_set1(0x1.b98128p+1f));
    p = vf_fma(p, v, vf_set1(0x1.3f938ap+0f));
    const vecf first = vf_set1(0x1.987e2p-2f); /* its low bits are 0, so that what g loses is exact */
    const vecf g = vf_fma(p, v, first);
    const vecf r = v * g;
    /* What r lost, in itself and in g; and what v is away from the inverse, times how that changes r */
    const vecf excess = vf_fma(v, t - (sum - pole), vf_fma(v, sum, vf_set1(-1.0F)));
    vecf lost = vf_fma(v, vf_fma(p, v, first - g), vf_fma(v, g, -r));
    lost = vf_fma(r * excess, vf_fma(v, vf_set1(-5.1488F), vf_set1(-0.8956F)), lost);
    const vecf product = t * r;
    lost = vf_fma(t, lost, vf_fma(t, r, -product));
    const vecf tail = vf_scale(product + vf_fma(product, q, vf_fma(lost, q, lost)), by);
    return vf_max(vf_set1(-0.0F), x) - tail;
}
#if defined TLK_ISA_AVX512
/* The same by polynomials, in a third of the instructions. Lanes that are too far from 0, if there are any, are
 * computed as above. */

/* 1 / (1 + exp(t)) for 0 <= t < 7.75 */
TLK_INLINE vecf vf_sigmoid_tail(vecf t)
{
    static const float coefficients[][TLK_W] __attribute__((aligned(64))) = {
        {0x1.000000p-1f, 0x1.829a06p-2f, 0x1.136562p-2f, 0x1.759b84p-3f, 0x1.e84152p-4f, 0x1.36b710p-4f, 0x1.848344p-5f,
         0x1.e04068p-6f, 0x1.26afa2p-6f, 0x1.680528p-7f, 0x1.b69f68p-8f, 0x1.0abd94p-8f, 0x1.441778p-9f,
         0x1.8986a4p-10f, 0x1.dda738p-11f, 0x1.21d0b2p-11f},
        {-0x1.000000p-2f, -0x1.e149a2p-3f, -0x1.92a948p-3f, -0x1.3173b2p-3f, -0x1.ae0dc0p-4f, -0x1.1f2512p-4f,
         -0x1.721654p-5f, -0x1.d22ca2p-6f, -0x1.2162c2p-6f, -0x1.64108ap-7f, -0x1.b3afe2p-8f, -0x1.09a7a6p-8f,
         -0x1.434a52p-9f, -0x1.88ef68p-10f, -0x1.dd37d0p-11f, -0x1.21a7aep-11f},
        {-0x1.80838cp-24f, 0x1.d77910p-6f, 0x1.7422f6p-5f, 0x1.840276p-5f, 0x1.4787fap-5f, 0x1.e72c3ep-6f,
         0x1.4efc16p-6f, 0x1.b6d8a2p-7f, 0x1.16f9b2p-7f, 0x1.5c3d0ap-8f, 0x1.adda84p-9f, 0x1.077e1cp-9f,
         0x1.41afe4p-10f, 0x1.87bfbcp-11f, 0x1.dc592ep-12f, 0x1.2154b4p-12f},
        {0x1.555f4ep-6f, 0x1.072350p-6f, 0x1.81eddcp-8f, -0x1.566f6cp-9f, -0x1.a8640cp-8f, -0x1.bbad7ap-8f,
         -0x1.67af94p-8f, -0x1.01ba00p-8f, -0x1.58f582p-9f, -0x1.bbcd2ep-10f, -0x1.16df94p-10f, -0x1.59985ap-11f,
         -0x1.a8a9b4p-12f, -0x1.039782p-12f, -0x1.3c6a5ap-13f, -0x1.80ebd8p-14f},
        {-0x1.5abc54p-16f, -0x1.19ca32p-8f, -0x1.4d80bep-8f, -0x1.972468p-9f, -0x1.cfb566p-11f, 0x1.88187ep-12f,
         0x1.96c38ap-11f, 0x1.8094e8p-11f, 0x1.254bb4p-11f, 0x1.94ae3ep-12f, 0x1.083e58p-12f, 0x1.4eba52p-13f,
         0x1.a2237ap-14f, 0x1.01cc4ep-14f, 0x1.3abd1ap-15f, 0x1.810022p-16f},
        {-0x1.08c116p-9f, -0x1.2c1592p-10f, 0x1.a252bep-12f, 0x1.028e92p-10f, 0x1.7e619cp-11f, 0x1.4504c0p-12f,
         0x1.562a74p-15f, -0x1.e04ad6p-15f, -0x1.382430p-14f, -0x1.0570a6p-14f, -0x1.75f1cap-15f, -0x1.f1155cp-16f,
         -0x1.430f6ap-16f, -0x1.95b0c0p-17f, -0x1.ec6d2ap-18f, -0x1.320f92p-18f},
    };
    return VF_LOOK_UP(coefficients, t, 0.5F);
}
TLK_INLINE vecf vf_sigmoid(vecf x)
{
    const vecf t = vf_abs(x);
    const vecf tail = vf_sigmoid_tail(t);
    VF_RETURN(vf_if_less(x, vf_zero(), tail, 1.0F - tail), t, 7.75F, vf_sigmoid_any(x));
}
TLK_INLINE vecf vf_swish(vecf x)
{
    const vecf t = vf_abs(x);
    const vecf near = vf_fma(-t, vf_sigmoid_tail(t), vf_max(vf_set1(-0.0F), x));
    VF_RETURN(near, t, 7.75F, vf_swish_any(x));
}
TLK_INLINE vecf vf_gelu_tanh(vecf x)
{
    static const float coefficients[][TLK_W] __attribute__((aligned(64))) = {
        {0x1.000000p-1f, 0x1.9aee04p-2f, 0x1.3bfa4cp-2f, 0x1.d05230p-3f, 0x1.453d22p-3f, 0x1.b1795ep-4f, 0x1.123c8ep-4f,
         0x1.48a34ap-5f, 0x1.73ef8ap-6f, 0x1.8c25e8p-7f, 0x1.8b6cccp-8f, 0x1.701acep-9f, 0x1.3dd716p-10f,
         0x1.fa1996p-12f, 0x1.71379ap-13f, 0x1.ea7566p-15f},
        {-0x1.988454p-2f, -0x1.8be3b0p-2f, -0x1.685438p-2f, -0x1.341904p-2f, -0x1.ef2634p-3f, -0x1.7614e2p-3f,
         -0x1.09c7acp-3f, -0x1.6318e4p-4f, -0x1.bda580p-5f, -0x1.06289ap-5f, -0x1.204310p-6f, -0x1.26ffdap-7f,
         -0x1.178bf2p-8f, -0x1.e7bfcap-10f, -0x1.8546c2p-11f, -0x1.1a5e3cp-12f},
        {0x1.55c2cep-20f, 0x1.8dd166p-5f, 0x1.6973fep-4f, 0x1.ceb2c8p-4f, 0x1.ee62b4p-4f, 0x1.d18892p-4f,
         0x1.8c0bd6p-4f, 0x1.34901ap-4f, 0x1.bbbf1cp-5f, 0x1.279bdcp-5f, 0x1.6d2526p-6f, 0x1.a178e8p-7f, 0x1.b82adap-8f,
         0x1.a9d814p-9f, 0x1.77c79cp-10f, 0x1.2c81b4p-11f},
        {0x1.118072p-4f, 0x1.f06afep-5f, 0x1.678f16p-5f, 0x1.6128fcp-6f, -0x1.b2ab9ap-12f, -0x1.1a9638p-6f,
         -0x1.b5e718p-6f, -0x1.de44ecp-6f, -0x1.b3e93ap-6f, -0x1.5dfbb0p-6f, -0x1.fa6a66p-7f, -0x1.4d692ep-7f,
         -0x1.906d0ep-8f, -0x1.b5dddep-9f, -0x1.b2120ap-10f, -0x1.83e90ap-11f},
        {0x1.8754e4p-11f, -0x1.e0da2ep-7f, -0x1.273d2ep-6f, -0x1.797186p-6f, -0x1.4be868p-6f, -0x1.c0476cp-7f,
         -0x1.8528d4p-8f, 0x1.15bb62p-11f, 0x1.1fd504p-8f, 0x1.7d5ef2p-8f, 0x1.78c164p-8f, 0x1.356cc4p-8f,
         0x1.be3ab8p-9f, 0x1.1db5c8p-9f, 0x1.46e370p-10f, 0x1.4d73cap-11f},
        {-0x1.007a8cp-6f, -0x1.f24e34p-8f, -0x1.54b638p-8f, 0x1.174628p-11f, 0x1.26f27ap-8f, 0x1.9369e0p-8f,
         0x1.8514a4p-8f, 0x1.095ebcp-8f, 0x1.0b123ep-9f, 0x1.17c6fap-11f, -0x1.251a28p-11f, -0x1.058238p-10f,
         -0x1.1545cep-10f, -0x1.caf55ap-11f, -0x1.421140p-11f, -0x1.86c20ep-12f},
        {0x1.ec595cp-7f, 0x1.b8727ap-4f, -0x1.944252p-4f, 0x1.1767ccp-12f, 0x1.7dec08p-7f, 0x1.0789e6p-6f,
         0x1.c0bc52p-8f, -0x1.159262p-8f, -0x1.3a9136p-8f, 0x1.921376p-12f, -0x1.49a97cp-11f, -0x1.757146p-13f,
         -0x1.1fe4b2p-13f, 0x1.892b2cp-14f, 0x1.420d3cp-13f, 0x1.21cdbap-13f},
    };
    const vecf t = vf_abs(x);
    const vecf near = vf_fma(-t, VF_LOOK_UP(coefficients, t, 0.25F), vf_max(vf_set1(-0.0F), x));
    VF_RETURN(near, t, 3.875F, vf_gelu_tanh_any(x));
}
TLK_INLINE vecf vf_gelu(vecf x)
{
    static const float coefficients[][TLK_W] __attribute__((aligned(64))) = {
        {0x1.000000p-1f, 0x1.9aecbap-2f, 0x1.3bf144p-2f, 0x1.d02200p-3f, 0x1.44ed0cp-3f, 0x1.b0bdd2p-4f, 0x1.11a46ep-4f,
         0x1.482a24p-5f, 0x1.74bcf8p-6f, 0x1.909250p-7f, 0x1.96f4e6p-8f, 0x1.869044p-9f, 0x1.61de20p-10f,
         0x1.2e86fep-11f, 0x1.e7dbcap-13f, 0x1.72d956p-14f},
        {-0x1.988454p-2f, -0x1.8bf2bap-2f, -0x1.6883d0p-2f, -0x1.345d5ep-2f, -0x1.ef8e5ap-3f, -0x1.7610bap-3f,
         -0x1.094086p-3f, -0x1.616454p-4f, -0x1.ba4b44p-5f, -0x1.0402e0p-5f, -0x1.1f2f06p-6f, -0x1.29fa56p-7f,
         -0x1.227214p-8f, -0x1.09f38ep-9f, -0x1.c9897ep-11f, -0x1.71b92ep-12f},
        {0x1.d45bdap-20f, 0x1.8c0896p-5f, 0x1.687eeap-4f, 0x1.ce8f18p-4f, 0x1.ef8bd4p-4f, 0x1.d39132p-4f,
         0x1.8ddeb6p-4f, 0x1.3537f8p-4f, 0x1.ba4ba8p-5f, 0x1.248242p-5f, 0x1.66fa34p-6f, 0x1.99b766p-7f, 0x1.b3aaa8p-8f,
         0x1.b02b30p-9f, 0x1.9057d4p-10f, 0x1.5a9dc8p-11f},
        {0x1.0ffa3cp-4f, 0x1.eee10ap-5f, 0x1.688954p-5f, 0x1.679efap-6f, 0x1.7fa002p-18f, -0x1.1872bcp-6f,
         -0x1.ba04a6p-6f, -0x1.e5e750p-6f, -0x1.ba4aaap-6f, -0x1.601572p-6f, -0x1.f68e22p-7f, -0x1.45e646p-7f,
         -0x1.8341ccp-8f, -0x1.a7db00p-9f, -0x1.acef0ap-10f, -0x1.9276aap-11f},
        {0x1.15e400p-9f, -0x1.bddc22p-7f, -0x1.3d6deap-6f, -0x1.7feb32p-6f, -0x1.43a844p-6f, -0x1.ac5168p-7f,
         -0x1.77c8aap-8f, 0x1.7c88f2p-12f, 0x1.24c1b4p-8f, 0x1.976d4ap-8f, 0x1.866e5ap-8f, 0x1.38a43ep-8f,
         0x1.b44a00p-9f, 0x1.10c18ap-9f, 0x1.34eb60p-10f, 0x1.3f6b54p-11f},
        {-0x1.21a62cp-5f, -0x1.d1b2a2p-8f, -0x1.54cc58p-8f, 0x1.539f8cp-10f, 0x1.a1e270p-9f, 0x1.43f6a2p-8f,
         0x1.53747ap-8f, 0x1.17abccp-8f, 0x1.287e38p-9f, 0x1.2fcfeep-12f, -0x1.85fc8ep-11f, -0x1.3704eap-10f,
         -0x1.258c4ep-10f, -0x1.c9ca64p-11f, -0x1.31c7dep-11f, -0x1.654eeap-12f},
        {0x1.3270f6p-3f, 0x1.3dc294p-4f, -0x1.f9dc80p-6f, 0x1.8b5a84p-6f, -0x1.fad1b8p-7f, -0x1.9ca3f4p-6f,
         -0x1.ed0afcp-7f, -0x1.4ffd18p-18f, 0x1.d1a0fap-16f, -0x1.2049e0p-8f, -0x1.8de6cap-10f, -0x1.b2ae7cp-11f,
         -0x1.869784p-14f, 0x1.fd9d06p-15f, 0x1.0c33a8p-13f, 0x1.29fae0p-13f},
        {-0x1.602a1ep-2f, -0x1.f2918ep-5f, 0x1.e5e59cp-6f, -0x1.691d3cp-5f, 0x1.0d497ep-5f, 0x1.653f3ap-5f,
         0x1.d10530p-6f, 0x1.0a03a8p-11f, -0x1.1d238ap-10f, 0x1.043b0ep-7f, 0x1.c23b70p-9f, 0x1.684d56p-9f,
         0x1.47be4cp-11f, 0x1.822d5cp-12f, 0x1.6d8364p-13f, -0x1.47978ap-14f},
    };
    const vecf t = vf_abs(x);
    const vecf near = vf_fma(-t, VF_LOOK_UP(coefficients, t, 0.25F), vf_max(vf_set1(-0.0F), x));
    VF_RETURN(near, t, 3.875F, vf_gelu_any(x));
}
#else
#define vf_sigmoid   vf_sigmoid_any
#define vf_swish     vf_swish_any
#define vf_gelu_tanh vf_gelu_tanh_any
#define vf_gelu      vf_gelu_any
#endif
#else
TLK_INLINE vecd vd_sigmoid(vecd x)
{
    return 1.0 / (1.0 + vd_exp_bounded(vd_min(vd_set1(150.0), vd_max(vd_set1(-150.0), -x))));
}
TLK_INLINE vecd vd_swish(vecd x)
{
    const vecd b = vd_max(vd_set1(-150.0), x);
    return b / (1.0 + vd_exp_bounded(vd_max(vd_set1(-150.0), -b)));
}
TLK_INLINE vecf vf_sigmoid(vecf x)
{
    return vf_keep_nan(x, vf_from_halves(vd_sigmoid(vd_from_low(x)), vd_sigmoid(vd_from_high(x))));
}
TLK_INLINE vecf vf_swish(vecf x)
{
    return vf_keep_nan(x, vf_from_halves(vd_swish(vd_from_low(x)), vd_swish(vd_from_high(x))));
}
TLK_INLINE vecd vd_gelu_tanh(vecd x)
{
    const vecd b = vd_max(vd_set1(-20.0), x);
    const vecd c = vd_min(vd_set1(20.0), b);
    const vecd u = vd_fma(c * c * c, vd_set1(-2 * 0.7978845608028654 * 0.044715), c * (-2 * 0.7978845608028654));
    return b / (1.0 + vd_exp_bounded(u));
}
TLK_INLINE vecf vf_gelu_tanh(vecf x)
{
    return vf_keep_nan(x, vf_from_halves(vd_gelu_tanh(vd_from_low(x)), vd_gelu_tanh(vd_from_high(x))));
}
/* x/2 (1 + erf(x / sqrt(2))) */
TLK_INLINE vecd vd_gelu(vecd x)
{
    const vecd b = vd_max(vd_set1(-14.6), x);
    const vecd t = vd_min(vd_set1(14.6), vd_max(-b, b));
    /* erfc(t / sqrt(2)) / 2 = exp(-t^2/2) r(s), s = (t - 3.5) / (t + 3.5), on 0 <= t <= 14.6 */
    const vecd s = (t - 3.5) / (t + 3.5);
    vecd r = vd_set1(-0x1.48dbe1436eebap-16);
    r = vd_fma(r, s, vd_set1(-0x1.a27fdae50a20fp-15));
    r = vd_fma(r, s, vd_set1(0x1.18275052c9ff3p-13));
    r = vd_fma(r, s, vd_set1(0x1.972160cecf05dp-12));
    r = vd_fma(r, s, vd_set1(-0x1.6a389a71dabbdp-10));
    r = vd_fma(r, s, vd_set1(-0x1.992c51f70d6e4p-10));
    r = vd_fma(r, s, vd_set1(0x1.385f58991b332p-6));
    r = vd_fma(r, s, vd_set1(-0x1.f8f360a1b820bp-5));
    r = vd_fma(r, s, vd_set1(0x1.01c0655b1f519p-3));
    r = vd_fma(r, s, vd_set1(-0x1.7f4318e7741bep-3));
    r = vd_fma(r, s, vd_set1(0x1.b396f9d1daaf1p-4));
    const vecd tail = vd_exp_bounded(t * t * -0.5) * r;
    return b * vd_select(b < 0.0, tail, 1.0 - tail);
}
TLK_INLINE vecf vf_gelu(vecf x)
{
    return vf_keep_nan(x, vf_from_halves(vd_gelu(vd_from_low(x)), vd_gelu(vd_from_high(x))));
}
#endif

/* x tanh(log(1 + exp(x))), which is x w / (w + 2) with w = e (e + 2), e = exp(x) */
TLK_INLINE vecd vd_mish(vecd x)
{
    const vecd b = vd_max(vd_set1(-150.0), x);
    const vecd e = vd_exp_bounded(vd_min(vd_set1(40.0), b));
    const vecd w = e * (e + 2.0);
    return b * (w / (w + 2.0));
}

TLK_INLINE vecf vf_mish(vecf x)
{
    return vf_keep_nan(x, vf_from_halves(vd_mish(vd_from_low(x)), vd_mish(vd_from_high(x))));
}

/* ---- across lanes: as vf_sum and its kin, in the same order, without a way through memory ---- */

#if defined TLK_ISA_AVX512 || defined TLK_ISA_AVX2 || defined __SSE2__
#if defined TLK_ISA_AVX512
#define VF_QUARTER(v, op256, op128)                                                                         \
    const __m256 half = op256(_mm512_castps512_ps256((__m512)(v)), _mm512_extractf32x8_ps((__m512)(v), 1)); \
    const __m128 quarter = op128(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1))
#elif defined TLK_ISA_AVX2
#define VF_QUARTER(v, op256, op128) \
    const __m128 quarter = op128(_mm256_castps256_ps128((__m256)(v)), _mm256_extractf128_ps((__m256)(v), 1))
#else
#define VF_QUARTER(v, op256, op128) const __m128 quarter = (__m128)(v)
#endif
#define VF_ACROSS(name, op256, op128)                                       \
    TLK_INLINE float name(vecf v)                                           \
    {                                                                       \
        VF_QUARTER(v, op256, op128);                                        \
        const __m128 two = op128(quarter, _mm_movehl_ps(quarter, quarter)); \
        return _mm_cvtss_f32(op128(two, _mm_shuffle_ps(two, two, 1)));      \
    }
VF_ACROSS(vf_sum_across, _mm256_add_ps, _mm_add_ps)
VF_ACROSS(vf_min_across, _mm256_min_ps, _mm_min_ps)
VF_ACROSS(vf_max_across, _mm256_max_ps, _mm_max_ps)
TLK_INLINE int vf_any_nan(vecf v)
{
#if defined TLK_ISA_AVX512
    return _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q) != 0;
#elif defined TLK_ISA_AVX2
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)v, (__m256)v, _CMP_UNORD_Q)) != 0;
#else
    return _mm_movemask_ps(_mm_cmpunord_ps((__m128)v, (__m128)v)) != 0;
#endif
}
#else
TLK_INLINE float vf_sum_across(vecf v)
{
    return vf_sum(v);
}
TLK_INLINE float vf_min_across(vecf v)
{
    return vf_hmin(v);
}
TLK_INLINE float vf_max_across(vecf v)
{
    return vf_hmax(v);
}
TLK_INLINE int vf_any_nan(vecf v)
{
    int any = 0;
    for (int i = 0; i < TLK_W; i++)
        any |= v[i] != v[i];
    return any;
}
#endif

/* ---- activations ---- */

/* What tlk_activation_kind says. Meant for a constant `kind`, one loop for each. */
TLK_INLINE vecf vf_activate(tlk_activation_kind kind, float a, float b, vecf x)
{
    const vecf va = vf_set1(a);
    const vecf vb = vf_set1(b);
    switch (kind) {
    case TLK_LINEAR:
        return x;
    case TLK_RELU:
        return vf_max(vf_zero(), x);
    case TLK_CLIP:
        return vf_min(vb, vf_max(va, x));
    case TLK_LEAKY_RELU:
        return vf_select(x < 0.0F, va * x, x);
    case TLK_HARD_SIGMOID:
        return vf_min(vf_set1(1.0F), vf_max(vf_zero(), va * x + vb));
    case TLK_HARD_SWISH:
        return x * vf_min(vf_set1(1.0F), vf_max(vf_zero(), (x + 3.0F) * vf_set1(1.0F / 6.0F)));
    case TLK_ELU:
        return vf_select(x < 0.0F, va * vf_expm1(x), x);
    case TLK_SELU:
        return vb * vf_select(x < 0.0F, va * vf_expm1(x), x);
    case TLK_EXPONENTIAL:
        return vf_exp(x);
    case TLK_GELU:
        return vf_gelu(x);
    case TLK_GELU_TANH:
        return vf_gelu_tanh(x);
    case TLK_MISH:
        return vf_mish(x);
    case TLK_SIGMOID:
        return vf_sigmoid(x);
    case TLK_SOFTPLUS:
        return vf_softplus(x);
    case TLK_SOFTSIGN:
        return vf_softsign(x);
    case TLK_SWISH:
        return vf_swish(x);
    case TLK_TANH:
        return vf_tanh(x);
    }
    return x;
}

#endif
