/* Single elements of tensors: as numbers, as text, made up. For printing and comparing, where speed does not count. */
#ifndef CLI_ELEMENT_H
#define CLI_ELEMENT_H

#include "base/base.h"

typedef enum cli_class {
    CLI_CLASS_FLOAT, /* every floating-point type, the 8-bit and 4-bit ones too */
    CLI_CLASS_SIGNED,
    CLI_CLASS_UNSIGNED,
    CLI_CLASS_BOOL,
    CLI_CLASS_COMPLEX,
    CLI_CLASS_STRING,
    CLI_CLASS_NONE
} cli_class;

cli_class cli_type_class(tl_type type);

/* Element `index` of `data`, which holds elements of `type` as a tl_tensor does. The right class only: */
double cli_element_real(tl_type type, const void *data, int64_t index);    /* FLOAT */
int64_t cli_element_signed(tl_type type, const void *data, int64_t index); /* SIGNED */
uint64_t cli_element_bits(tl_type type, const void *data, int64_t index);  /* all up to 64 bits: as they lie there */
void cli_element_complex(tl_type type, const void *data, int64_t index, double parts[2]); /* COMPLEX */

/* Writes the nearest representable value (floats up to double; the 8-bit types and below are not for this). */
void cli_element_set_real(tl_type type, void *data, int64_t index, double value);
/* Writes the low bits of `bits`; every type but strings and complex128. */
void cli_element_set_bits(tl_type type, void *data, int64_t index, uint64_t bits);

/* The distance of two floats in units of the last place: how many representable values lie between them, plus one;
 * 0 for +0 and -0. UINT64_MAX where one is NaN or the type is none of float16, bfloat16, float, double. */
uint64_t cli_element_ulps(tl_type type, const void *a, const void *b, int64_t index);

/* An element as text; `exact` gives as many digits as tell any two values apart, otherwise a handful. Strings are
 * quoted, escaped, and cut where the buffer ends. Returns buffer. */
char *cli_element_text(tl_type type, const void *data, int64_t index, bool exact, char *buffer, size_t size);
/* Bytes in quotes, control characters escaped. */
char *cli_quote(const char *bytes, size_t count, char *buffer, size_t size);

/* Pseudo-random numbers, the same everywhere for the same seed. */
typedef struct cli_random {
    uint64_t state;
} cli_random;
uint64_t cli_random_bits(cli_random *random);
/* Fills `count` elements: floats in [-1, 1), integers and bool 0 or 1, strings of one letter. */
void cli_random_fill(cli_random *random, tl_type type, void *data, int64_t count);

#endif
