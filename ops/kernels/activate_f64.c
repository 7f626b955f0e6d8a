#include "kernels/activate_f64.h"

#include <math.h>

static double clamp(double low, double high, double x)
{
    return x < low ? low : x > high ? high : x; /* NaN stays */
}

/* log(1 + exp(x)) without overflow */
static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double gelu_tanh(double x)
{
    const double sqrt_2_over_pi = 0.79788456080286535588;
    if (fabs(x) > 1e6) /* its cube may overflow */
        return x > 0 ? x : 0;
    return 0.5 * x * (1 + tanh(sqrt_2_over_pi * (x + 0.044715 * x * x * x)));
}

static double activate(const tlk_activation *activation, double x)
{
    const double a = activation->a;
    const double b = activation->b;
    switch (activation->kind) {
    case TLK_LINEAR:
        return x;
    case TLK_RELU:
        return x < 0 ? 0 : x;
    case TLK_CLIP:
        return clamp(a, b, x);
    case TLK_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case TLK_HARD_SIGMOID:
        return clamp(0, 1, a * x + b);
    case TLK_HARD_SWISH:
        return x * clamp(0, 1, x / 6 + 0.5);
    case TLK_ELU:
        return x < 0 ? a * expm1(x) : x;
    case TLK_SELU:
        return b * (x < 0 ? a * expm1(x) : x);
    case TLK_EXPONENTIAL:
        return exp(x);
    case TLK_GELU:
        return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case TLK_GELU_TANH:
        return gelu_tanh(x);
    case TLK_MISH:
        return x * tanh(softplus(x));
    case TLK_SIGMOID:
        return 1 / (1 + exp(-x));
    case TLK_SOFTPLUS:
        return softplus(x);
    case TLK_SOFTSIGN:
        return x / (1 + fabs(x));
    case TLK_SWISH:
        return x / (1 + exp(-x));
    case TLK_TANH:
        return tanh(x);
    }
    return x;
}

void tlk_activate_f64(const tlk_activation *activation, double *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = activate(activation, y[i]);
}

static double unary(tlk_unary function, double x)
{
    switch (function) {
    case TLK_ABS:
        return fabs(x);
    case TLK_NEG:
        return -x;
    case TLK_SQRT:
        return sqrt(x);
    case TLK_RECIPROCAL:
        return 1 / x;
    case TLK_FLOOR:
        return floor(x);
    case TLK_CEIL:
        return ceil(x);
    case TLK_ROUND:
        return rint(x);
    case TLK_EXP:
        return exp(x);
    case TLK_EXPM1:
        return expm1(x);
    case TLK_LOG:
        return log(x);
    case TLK_ERF:
        return erf(x);
    case TLK_ATAN:
        return atan(x);
    case TLK_ASIN:
        return asin(x);
    case TLK_ACOS:
        return acos(x);
    }
    return x;
}

void tlk_unary_f64(tlk_unary function, double *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = unary(function, y[i]);
}
