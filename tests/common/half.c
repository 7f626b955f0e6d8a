#include "half.h"

#include <math.h>

double half_value(uint16_t bits, int exponent_bits, int fraction_bits)
{
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
    const double fraction = (double)(bits & ((1 << fraction_bits) - 1)) / (double)(1 << fraction_bits);
    const double sign = bits >> 15 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1)
        return fraction != 0 ? NAN : sign * INFINITY;
    return sign * (exponent == 0 ? ldexp(fraction, 1 - bias) : ldexp(1 + fraction, exponent - bias));
}

/* Searches the patterns of one sign, whose order is that of their values. */
uint16_t half_bits(double value, int exponent_bits, int fraction_bits)
{
    const int sign = signbit(value) ? 0x8000 : 0, infinity = ((1 << exponent_bits) - 1) << fraction_bits;
    const double size = fabs(value);
    int low = 0, high = infinity;
    if (isnan(value))
        return (uint16_t)(infinity | 1);
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (half_value((uint16_t)middle, exponent_bits, fraction_bits) <= size)
            low = middle;
        else
            high = middle;
    }
    const double below = half_value((uint16_t)low, exponent_bits, fraction_bits);
    double above = half_value((uint16_t)high, exponent_bits, fraction_bits);
    if (high == infinity) /* rounds as if there were one more number */
        above = 2 * below - half_value((uint16_t)(low - 1), exponent_bits, fraction_bits);
    if (size - below < above - size || (size - below == above - size && low % 2 == 0))
        high = low;
    return (uint16_t)(sign | high);
}
