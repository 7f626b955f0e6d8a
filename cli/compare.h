/* Expected against computed values, as the standard's test runner compares them. */
#ifndef CLI_COMPARE_H
#define CLI_COMPARE_H

#include "value.h"

typedef struct cli_tolerance {
    double relative, absolute; /* |got - expected| <= absolute + relative * |expected| */
} cli_tolerance;

/* The standard runner's 1e-3 and 1e-7. */
#define CLI_TOLERANCE_DEFAULT ((cli_tolerance){1e-3, 1e-7})

/* The tolerance as it is for a type: float16 and bfloat16 get no less than their own rounding, complex and the larger
 * floats what was asked for, all other types none. */
cli_tolerance cli_tolerance_of(tl_type type, cli_tolerance asked);

/* True if type, shape and all elements agree; NaN agrees with NaN, an infinity with itself alone. Otherwise `reason`
 * is one line: what differs, and for elements how many, and the first one's index, both values and their distance. */
bool cli_compare_tensors(const tl_tensor *expected, const tl_tensor *got, cli_tolerance tolerance, char *reason,
                         size_t size);
/* The same for whatever a value may be: kind, number of elements, and each element. */
bool cli_compare_values(const tl_file_value *expected, const tl_file_value *got, cli_tolerance tolerance, char *reason,
                        size_t size);

#endif
