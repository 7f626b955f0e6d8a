#include "onnx/cast.h"

float op_odd_float(double x)
{
    float f = (float)x;
    if ((double)f == x || x != x)
        return f;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (fabs((double)f) > fabs(x)) /* rounded away from 0, perhaps to infinity */
        bits--;
    bits |= 1;
    memcpy(&f, &bits, sizeof f);
    return f;
}

double op_odd_double(uint64_t magnitude, bool negative)
{
    double d = (double)magnitude;
    if (magnitude >> 53) /* 11 bits too many: what is cut off is kept in the lowest bit */
        d = (double)(magnitude >> 11 | ((magnitude & 0x7ff) != 0)) * 0x1p11;
    return negative ? -d : d;
}

static unsigned encode_e8m0(double x, bool saturate, op_round round)
{
    if (x != x)
        return 0xff;
    x = fabs(x);
    if (x == 0.0)
        return saturate ? 0 : 0xff;
    if (isinf(x))
        return saturate ? 0xfe : 0xff;
    int exponent = 0;
    const double fraction = frexp(x, &exponent); /* in [0.5, 1), of 2^exponent */
    exponent--;
    if (round == OP_ROUND_UP ? fraction > 0.5 : round == OP_ROUND_NEAREST && fraction >= 0.75)
        exponent++;
    const int bits = exponent + 127;
    if (bits < 0)
        return saturate ? 0 : 0xff;
    if (bits > 0xfe)
        return saturate ? 0xfe : 0xff;
    return (unsigned)bits;
}

typedef struct layout {
    int fraction_bits, least_exponent; /* of normal numbers */
    unsigned sign, largest;            /* bits */
    unsigned nan, infinity;            /* bits; sign is added to them where `signed_special` */
    bool signed_special, has_nan, negative_zero;
} layout;

static layout layout_of(tl_type type)
{
    switch (type) {
    case TL_FLOAT8E4M3FN:
        return (layout){3, -6, 0x80, 0x7e, 0x7f, 0x7f, true, true, true};
    case TL_FLOAT8E4M3FNUZ:
        return (layout){3, -7, 0x80, 0x7f, 0x80, 0x80, false, true, false};
    case TL_FLOAT8E5M2:
        return (layout){2, -14, 0x80, 0x7b, 0x7e, 0x7c, true, true, true};
    case TL_FLOAT8E5M2FNUZ:
        return (layout){2, -15, 0x80, 0x7f, 0x80, 0x80, false, true, false};
    case TL_FLOAT6E2M3: /* here and below no specials; NaN becomes a zero */
        return (layout){3, 0, 0x20, 0x1f, 0, 0x1f, true, false, true};
    case TL_FLOAT6E3M2:
        return (layout){2, -2, 0x20, 0x1f, 0, 0x1f, true, false, true};
    default: /* TL_FLOAT4E2M1 */
        return (layout){1, 0, 0x8, 0x7, 0, 0x7, true, false, true};
    }
}

unsigned op_encode_small(tl_type type, double x, bool saturate, op_round round)
{
    if (type == TL_FLOAT8E8M0)
        return encode_e8m0(x, saturate, round);
    const layout l = layout_of(type);
    const unsigned sign = signbit(x) ? l.sign : 0, special_sign = l.signed_special ? sign : 0;
    if (x != x)
        return l.nan | special_sign;
    if (isinf(x))
        return saturate || !l.has_nan ? l.largest | sign : l.infinity | special_sign;
    int exponent = 0;
    (void)frexp(x, &exponent);
    exponent--;
    if (exponent < l.least_exponent || x == 0.0)
        exponent = l.least_exponent;
    if (exponent > 64) /* far too large */
        return saturate || !l.has_nan ? l.largest | sign : l.infinity | special_sign;
    /* in units of the last fraction bit; a carry moves on to the next exponent by itself */
    const double units = rint(ldexp(fabs(x), l.fraction_bits - exponent));
    const unsigned bits = ((unsigned)(exponent - l.least_exponent) << l.fraction_bits) + (unsigned)units;
    if (bits > l.largest)
        return saturate || !l.has_nan ? l.largest | sign : l.infinity | special_sign;
    return bits == 0 && !l.negative_zero ? 0 : bits | sign;
}
