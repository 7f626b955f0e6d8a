#include "element.h"

#include <math.h>
#include <string.h>

size_t element_size(tlk_type type)
{
    return type == TLK_F32 ? 4 : type == TLK_F64 ? 8 : 2;
}

static double half_to_double(uint16_t bits, int fraction_bits, int bias)
{
    const int exponent_bits = 15 - fraction_bits;
    const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    const int fraction = bits & ((1 << fraction_bits) - 1);
    double x = 0;
    if (exponent == (1 << exponent_bits) - 1)
        x = fraction != 0 ? NAN : INFINITY;
    else if (exponent == 0)
        x = ldexp(fraction, 1 - bias - fraction_bits);
    else
        x = ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
    return bits & 0x8000 ? -x : x;
}

/* Of numbers that the type can hold, and that are no subnormals. */
static uint16_t half_from_double(double x, int fraction_bits, int bias)
{
    if (x == 0)
        return 0;
    int exponent = 0;
    const double fraction = frexp(fabs(x), &exponent) * 2 - 1;
    const unsigned bits = (unsigned)(exponent - 1 + bias) << fraction_bits | (unsigned)ldexp(fraction, fraction_bits);
    return (uint16_t)(bits | (x < 0 ? 0x8000U : 0U));
}

double element_get(tlk_type type, const void *data, int64_t i)
{
    switch (type) {
    case TLK_F32:
        return ((const float *)data)[i];
    case TLK_F64:
        return ((const double *)data)[i];
    case TLK_F16:
        return half_to_double(((const uint16_t *)data)[i], 10, 15);
    default:
        return half_to_double(((const uint16_t *)data)[i], 7, 127);
    }
}

void element_set(tlk_type type, void *data, int64_t i, double x)
{
    switch (type) {
    case TLK_F32:
        ((float *)data)[i] = (float)x;
        break;
    case TLK_F64:
        ((double *)data)[i] = x;
        break;
    case TLK_F16:
        ((uint16_t *)data)[i] = half_from_double(x, 10, 15);
        break;
    default:
        ((uint16_t *)data)[i] = half_from_double(x, 7, 127);
        break;
    }
}

double element_ulp(tlk_type type, double x)
{
    static const int digits[] = {[TLK_F32] = 23, [TLK_F64] = 52, [TLK_F16] = 10, [TLK_BF16] = 7};
    int exponent = 0;
    frexp(x, &exponent);
    return ldexp(1.0, (exponent < -13 ? -13 : exponent) - 1 - digits[type]);
}

const char *element_name(tlk_type type)
{
    static const char *const names[] = {[TLK_F32] = "f32", [TLK_F64] = "f64", [TLK_F16] = "f16", [TLK_BF16] = "bf16"};
    return names[type];
}

static uint32_t random_bits(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

double random_number(uint32_t *state)
{
    return ((double)(random_bits(state) % 65) - 32) / 16;
}

int64_t random_below(uint32_t *state, int64_t limit)
{
    return (int64_t)(random_bits(state) % (uint32_t)limit);
}
