/* Names that kernels and their callers share. */
#ifndef TLK_TYPES_H
#define TLK_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* How elements are stored. Half types are computed in float and rounded once, when they are stored. */
typedef enum tlk_type { TLK_F32, TLK_F64, TLK_F16, TLK_BF16 } tlk_type;

typedef enum tlk_layout {
    TLK_CHANNELS_FIRST, /* (N, C, L) */
    TLK_CHANNELS_LAST   /* (N, L, C) */
} tlk_layout;

/* Element-wise activations. a and b are tlk_activation's parameters. */
typedef enum tlk_activation_kind {
    TLK_LINEAR,                /* x */
    TLK_RELU,                  /* max(x, 0) */
    TLK_CLIP,                  /* min(max(x, a), b); relu6 has a = 0, b = 6 */
    TLK_LEAKY_RELU,            /* x < 0 ? a x : x */
    TLK_HARD_SIGMOID,          /* min(max(a x + b, 0), 1) */
    TLK_HARD_SWISH,            /* x min(max(x / 6 + 1/2, 0), 1) */
    TLK_FIRST_VMATH,           /* from here on they need the functions of vmath.h */
    TLK_ELU = TLK_FIRST_VMATH, /* x < 0 ? a (exp(x) - 1) : x */
    TLK_SELU,                  /* b (x < 0 ? a (exp(x) - 1) : x) */
    TLK_EXPONENTIAL,           /* exp(x) */
    TLK_GELU,                  /* x/2 (1 + erf(x / sqrt(2))) */
    TLK_GELU_TANH,             /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    TLK_MISH,                  /* x tanh(log(1 + exp(x))) */
    TLK_SIGMOID,               /* 1 / (1 + exp(-x)) */
    TLK_SOFTPLUS,              /* log(1 + exp(x)) */
    TLK_SOFTSIGN,              /* x / (1 + |x|) */
    TLK_SWISH,                 /* x / (1 + exp(-x)) */
    TLK_TANH
} tlk_activation_kind;

typedef struct tlk_activation {
    tlk_activation_kind kind;
    double a, b; /* the float types round them */
} tlk_activation;

#endif
