/* Activations and functions of doubles: the C library's functions, one by one. Doubles are for checking, not for speed.
 */
#ifndef TLK_ACTIVATE_F64_H
#define TLK_ACTIVATE_F64_H

#include "kernels/vmath_list.h"

/* n elements in place. None gives NaN for a finite number. */
void tlk_activate_f64(const tlk_activation *activation, double *y, int64_t n);
void tlk_unary_f64(tlk_unary function, double *y, int64_t n);

#endif
