/* Loops over all weights of a model, while it is loaded. */
#include "onnx/weight_row.h"

#define ROWS(REAL)                                                                                           \
    static void scale_##REAL(const REAL *from, REAL *to, int64_t columns, int64_t taps, const double *scale) \
    {                                                                                                        \
        for (int64_t c = 0; taps == 1 && c < columns; c++)                                                   \
            to[c] = (REAL)((double)from[c] * scale[c]);                                                      \
        for (int64_t c = 0; taps > 1 && c < columns; c++, from += taps, to += taps)                          \
            for (int64_t k = 0; k < taps; k++)                                                               \
                to[k] = (REAL)((double)from[k] * scale[c]);                                                  \
    }                                                                                                        \
    static double sum_##REAL(const REAL *row, int64_t columns, int64_t taps, const double *factor)           \
    {                                                                                                        \
        double sums[4] = {0};                                                                                \
        int64_t c = 0;                                                                                       \
        for (; taps == 1 && c + 4 <= columns; c += 4)                                                        \
            for (int64_t i = 0; i < 4; i++)                                                                  \
                sums[i] += (double)row[c + i] * factor[c + i];                                               \
        for (; c < columns; c++)                                                                             \
            for (int64_t k = 0; k < taps; k++)                                                               \
                sums[0] += (double)row[c * taps + k] * factor[c];                                            \
        return sums[0] + sums[1] + (sums[2] + sums[3]);                                                      \
    }
ROWS(float)
ROWS(double)

void weight_row_scale(tl_type type, const void *from, void *to, int64_t columns, int64_t taps, const double *scale)
{
    if (type == TL_DOUBLE)
        scale_double(from, to, columns, taps, scale);
    else
        scale_float(from, to, columns, taps, scale);
}

double weight_row_sum(tl_type type, const void *row, int64_t columns, int64_t taps, const double *factor)
{
    return type == TL_DOUBLE ? sum_double(row, columns, taps, factor) : sum_float(row, columns, taps, factor);
}
