/* A row of constant weights, [columns][taps] of float or double, and a double for each column. */
#ifndef TL_WEIGHT_ROW_H
#define TL_WEIGHT_ROW_H

#include "tapline/types.h"

/* to[c][k] = from[c][k] * scale[c], rounded once */
void weight_row_scale(tl_type type, const void *from, void *to, int64_t columns, int64_t taps, const double *scale);
/* The sum of row[c][k] * factor[c]. */
double weight_row_sum(tl_type type, const void *row, int64_t columns, int64_t taps, const double *factor);

#endif
