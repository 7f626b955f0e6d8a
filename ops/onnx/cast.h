/* Numbers to and from the types that Cast knows and nothing else computes in. */
#ifndef TL_OP_CAST_H
#define TL_OP_CAST_H

#include "onnx/convert.h"

typedef enum op_round { OP_ROUND_UP, OP_ROUND_DOWN, OP_ROUND_NEAREST } op_round;

/* ---- cast_small.c: floats of 8, 6 and 4 bits, and rounding once */

/* A double cut to float so that rounding it again to a type of 22 or less bits gives what rounding the double would:
 * if it is not exact, towards 0 and made odd. */
float op_odd_float(double x);
/* Likewise 64-bit integers as double, which for most is exact. */
double op_odd_double(uint64_t magnitude, bool negative);

/* The bits of a number rounded to a float of 8, 6 or 4 bits, ties to even (FLOAT8E8M0: as `round` says). Out of range:
 * the largest if `saturate`, else infinity or NaN if the type has it. */
unsigned op_encode_small(tl_type type, double x, bool saturate, op_round round);

/* ---- cast_string.c: text */

#define OP_TEXT_SIZE 48

/* A number of a numeric type or bool as text, in `text` of OP_TEXT_SIZE; returns its length. Floats have the fewest
 * digits that give them back. */
size_t op_number_text(tl_type type, const tl_tensor *tensor, int64_t i, char *text);

/* Text as a number: false if it is none. Spaces around it, INF and NaN in any case, and an exponent are allowed.
 * *integer is the number cut to whole, exact where the text has no point and no exponent. */
bool op_text_number(tl_string text, double *real, uint64_t *integer);

#endif
