/* Floating types of 16 bits, bit by bit and apart from the kernels' conversions: float16 has 5 bits of exponent and 10
 * of fraction, bfloat16 8 and 7. */
#ifndef TEST_HALF_H
#define TEST_HALF_H

#include <stdint.h>

double half_value(uint16_t bits, int exponent_bits, int fraction_bits);
/* The nearest, ties to even. */
uint16_t half_bits(double value, int exponent_bits, int fraction_bits);

#endif
