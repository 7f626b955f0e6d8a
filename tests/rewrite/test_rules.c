/* The standard's rewrite rules, one small graph each: the operators that run with and without them, and the same
 * results. */
#include "separable_conv1d/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct step {
    const char *op, *inputs, *outputs, *attributes;
} step;

typedef struct graph {
    const char *name;
    const char *x;         /* dims of input x; symbols are 5 */
    const char *r;         /* of input r, or NULL */
    const char *constants; /* "name:dims" with arbitrary numbers, "name=number" for a scalar */
    step steps[12];
    const char *ops;   /* what runs */
    const char *extra; /* a value that is an output besides z */
    tl_type type;      /* 0: float */
    int64_t opset;     /* 0: 17 */
} graph;

#define CONV "w:4,3,3 b:4"
#define NORM " scale:4 shift:4 mean:4 var:4"

static const graph graphs[] = {
    /* ---- folded into weights */
    {"batch normalization behind a convolution",
     "2,3,N",
     NULL,
     CONV NORM,
     {{"Conv", "x w b", "y", "pads=[1,1]"},
      {"Abs", "var", "v", ""},
      {"BatchNormalization", "y scale shift mean v", "z", ""}},
     "Conv",
     NULL,
     0,
     0},
    {"the same, without bias",
     "2,3,N",
     NULL,
     CONV NORM,
     {{"Conv", "x w", "y", "strides=[2]"},
      {"Abs", "var", "v", ""},
      {"BatchNormalization", "y scale shift mean v", "z", ""}},
     "Conv",
     NULL,
     0,
     0},
    {"batch normalization in training",
     "2,3,N",
     NULL,
     CONV NORM,
     {{"Conv", "x w", "y", ""},
      {"Abs", "var", "v", ""},
      {"BatchNormalization", "y scale shift mean v", "z m2 v2", "training_mode=1"}},
     "Conv BatchNormalization",
     NULL,
     0,
     0},
    {"a number times, a vector added",
     "2,3,9",
     NULL,
     CONV " k=1.5 v:1,4,1",
     {{"Conv", "x w b", "y", ""}, {"Mul", "k y", "u", ""}, {"Add", "u v", "z", ""}},
     "Conv",
     NULL,
     0,
     0},
    {"subtracted from, divided",
     "2,3,9",
     NULL,
     CONV " k=1.5 v:4,1",
     {{"Conv", "x w b", "y", ""}, {"Sub", "v y", "u", ""}, {"Div", "u k", "z", ""}},
     "Conv",
     NULL,
     0,
     0},
    {"divided into: no scaling",
     "2,3,9",
     NULL,
     CONV " k=1.5",
     {{"Conv", "x w b", "y", ""}, {"Div", "k y", "z", ""}},
     "FusedConv",
     NULL,
     0,
     0},
    {"grouped",
     "1,4,9",
     NULL,
     "w:6,2,3 v:6,1",
     {{"Conv", "x w", "y", "group=2"}, {"Mul", "y v", "u", ""}, {"Add", "u v", "z", ""}},
     "Conv",
     NULL,
     0,
     0},
    {"in front, unpadded",
     "1,4,9",
     NULL,
     "w:6,2,3 v:4,1",
     {{"Mul", "x v", "u", ""}, {"Add", "u v", "t", ""}, {"Conv", "t w", "z", "group=2"}},
     "Conv",
     NULL,
     0,
     0},
    {"in front, padded: only the scale",
     "1,4,9",
     NULL,
     "w:6,2,3 v:4,1",
     {{"Mul", "x v", "u", ""}, {"Conv", "u w", "z", "group=2 pads=[1,1]"}},
     "Conv",
     NULL,
     0,
     0},
    {"in front, padded: not the shift",
     "1,4,9",
     NULL,
     "w:6,2,3 v:4,1",
     {{"Add", "x v", "u", ""}, {"Conv", "u w", "z", "group=2 auto_pad='SAME_UPPER'"}},
     "Add Conv",
     NULL,
     0,
     0},
    {"in front, where it makes x larger",
     "1,1,9",
     NULL,
     "w:6,4,3 v:4,1",
     {{"Mul", "x v", "u", ""}, {"Conv", "u w", "z", ""}},
     "Mul Conv",
     NULL,
     0,
     0},
    {"in front, read twice",
     "1,4,9",
     NULL,
     "w:4,4,1 v:4,1",
     {{"Mul", "x v", "u", ""}, {"Conv", "u w", "y", ""}, {"Add", "y u", "z", ""}},
     "Mul FusedConv",
     NULL,
     0,
     0},
    {"in front, a graph output",
     "1,4,9",
     NULL,
     "w:4,4,1 v:4,1",
     {{"Mul", "x v", "u", ""}, {"Conv", "u w", "z", ""}},
     "Mul Conv",
     "u",
     0,
     0},
    {"a transposed convolution",
     "1,4,9",
     NULL,
     "w:4,3,3 b:6 v:6,1",
     {{"ConvTranspose", "x w b", "y", "group=2 strides=[2]"}, {"Mul", "y v", "u", ""}, {"Add", "u v", "z", ""}},
     "ConvTranspose",
     NULL,
     0,
     0},
    {"a transposed convolution, in front",
     "1,4,9",
     NULL,
     "w:4,3,3 v:4,1",
     {{"Mul", "x v", "u", ""}, {"ConvTranspose", "u w", "z", "group=2"}},
     "ConvTranspose",
     NULL,
     0,
     0},
    {"Gemm",
     "5,4",
     NULL,
     "w:6,4 b:6 v:6 u:4",
     {{"Mul", "x u", "s", ""},
      {"Add", "s u", "t", ""},
      {"Gemm", "t w b", "y", "transB=1"},
      {"Mul", "y v", "p", ""},
      {"Add", "p v", "z", ""}},
     "Gemm",
     NULL,
     0,
     0},
    {"Gemm, scaled by alpha: steps",
     "5,4",
     NULL,
     "w:4,6 b:6 v:6",
     {{"Gemm", "x w b", "y", "alpha=0.5"}, {"Mul", "y v", "z", ""}},
     "FusedGemm",
     NULL,
     0,
     0},
    {"MatMul",
     "2,5,4",
     NULL,
     "w:4,6 v:6 u:4",
     {{"Mul", "x u", "s", ""}, {"MatMul", "s w", "y", ""}, {"Mul", "y v", "z", ""}},
     "MatMul",
     NULL,
     0,
     0},
    {"by the middle axis: not channels",
     "2,3,4",
     NULL,
     "w:4,4 v:3,1",
     {{"MatMul", "x w", "y", ""}, {"Mul", "y v", "z", ""}},
     "MatMul Mul",
     NULL,
     0,
     0},
    {"a scale that is not constant",
     "2,3,9",
     "4,1",
     CONV,
     {{"Conv", "x w b", "y", ""}, {"Mul", "y r", "z", ""}},
     "FusedConv",
     NULL,
     0,
     0},
    {"an old broadcast",
     "2,3,9",
     NULL,
     CONV " v:4",
     {{"Conv", "x w b", "y", ""}, {"Add", "y v", "z", "broadcast=1 axis=1"}},
     "Conv Add",
     NULL,
     0,
     6},
    {"half types stay",
     "2,3,9",
     NULL,
     CONV " k=1.5",
     {{"Conv", "x w b", "y", ""}, {"Mul", "y k", "z", ""}},
     "Conv Mul",
     NULL,
     TL_FLOAT16,
     0},
    {"doubles",
     "2,3,9",
     NULL,
     CONV " k=1.5",
     {{"Conv", "x w b", "y", ""}, {"Mul", "y k", "u", ""}, {"Tanh", "u", "z", ""}},
     "FusedConv",
     NULL,
     TL_DOUBLE,
     0},

    /* ---- pads */
    {"zeros in front",
     "2,3,N",
     NULL,
     CONV,
     {{"Pad", "x", "y", "pads=[0,0,2,0,0,0]"}, {"Conv", "y w b", "z", "pads=[1,0]"}},
     "Conv",
     NULL,
     0,
     10},
    {"zeros in front of a valid one",
     "2,3,N",
     NULL,
     CONV,
     {{"Pad", "x", "y", "pads=[0,0,2,0,0,1]"}, {"Conv", "y w b", "z", "auto_pad='VALID'"}},
     "Conv",
     NULL,
     0,
     10},
    {"not zeros",
     "2,3,N",
     NULL,
     CONV,
     {{"Pad", "x", "y", "pads=[0,0,2,0,0,0] value=1.0"}, {"Conv", "y w b", "z", ""}},
     "Pad Conv",
     NULL,
     0,
     10},
    {"reflected",
     "2,3,N",
     NULL,
     CONV,
     {{"Pad", "x", "y", "pads=[0,0,2,0,0,0] mode='reflect'"}, {"Conv", "y w b", "z", ""}},
     "Pad Conv",
     NULL,
     0,
     10},
    {"more channels",
     "2,2,N",
     NULL,
     CONV,
     {{"Pad", "x", "y", "pads=[0,1,2,0,0,0]"}, {"Conv", "y w b", "z", ""}},
     "Pad Conv",
     NULL,
     0,
     10},
    {"cut in front",
     "2,3,N",
     NULL,
     CONV,
     {{"Pad", "x", "y", "pads=[0,0,-1,0,0,0]"}, {"Conv", "y w b", "z", ""}},
     "Pad Conv",
     NULL,
     0,
     10},
    {"in front of a size that fits",
     "2,3,N",
     NULL,
     CONV,
     {{"Pad", "x", "y", "pads=[0,0,2,0,0,0]"}, {"Conv", "y w b", "z", "auto_pad='SAME_LOWER'"}},
     "Pad Conv",
     NULL,
     0,
     10},
    {"padded in front, given out",
     "2,3,N",
     NULL,
     CONV,
     {{"Pad", "x", "y", "pads=[0,0,2,0,0,0]"}, {"Conv", "y w b", "z", ""}},
     "Pad Conv",
     "y",
     0,
     10},

    {"chomped",
     "2,3,N",
     NULL,
     CONV,
     {{"-", "0", "s", ""},
      {"-", "-2", "e", ""},
      {"-", "2", "a", ""},
      {"Conv", "x w b", "y", "pads=[2,2]"},
      {"Slice", "y s e a", "v", ""},
      {"Relu", "v", "z", ""}},
     "FusedConv",
     NULL,
     0,
     17},
    {"chomped deeper than padded",
     "2,3,N",
     NULL,
     CONV,
     {{"-", "0", "s", ""},
      {"-", "-3", "e", ""},
      {"-", "-1", "a", ""},
      {"Conv", "x w b", "y", "pads=[2,2]"},
      {"Slice", "y s e a", "z", ""}},
     "Conv Slice",
     NULL,
     0,
     17},
    {"chomped at the beginning",
     "2,3,N",
     NULL,
     CONV,
     {{"-", "1", "s", ""},
      {"-", "-1", "e", ""},
      {"-", "2", "a", ""},
      {"Conv", "x w b", "y", "pads=[2,2]"},
      {"Slice", "y s e a", "z", ""}},
     "Conv Slice",
     NULL,
     0,
     17},
    {"chomped with a stride",
     "2,3,9",
     NULL,
     CONV,
     {{"-", "0", "s", ""},
      {"-", "-1", "e", ""},
      {"-", "2", "a", ""},
      {"Conv", "x w b", "y", "pads=[2,2] strides=[2]"},
      {"Slice", "y s e a", "z", ""}},
     "Conv Slice",
     NULL,
     0,
     17},
    {"chomped channels",
     "2,3,9",
     NULL,
     CONV,
     {{"-", "0", "s", ""},
      {"-", "-1", "e", ""},
      {"-", "1", "a", ""},
      {"Conv", "x w b", "y", "pads=[2,2]"},
      {"Slice", "y s e a", "z", ""}},
     "Conv Slice",
     NULL,
     0,
     17},

    /* ---- steps */
    {"activation, residual, activation",
     "2,3,N",
     "2,4,N",
     CONV,
     {{"Conv", "x w b", "y", "pads=[1,1]"},
      {"LeakyRelu", "y", "u", "alpha=0.1"},
      {"Add", "r u", "v", ""},
      {"Relu", "v", "z", ""}},
     "FusedConv",
     NULL,
     0,
     0},
    {"a residual of unknown length",
     "2,3,M",
     "2,4,N",
     CONV,
     {{"Conv", "x w b", "y", "pads=[1,1]"}, {"Add", "r y", "z", ""}},
     "Conv Add",
     NULL,
     0,
     0},
    {"PReLU with slopes of channels",
     "2,3,9",
     NULL,
     CONV " s:4,1",
     {{"Conv", "x w b", "y", ""}, {"PRelu", "y s", "z", ""}},
     "FusedConv",
     NULL,
     0,
     0},
    {"PReLU as the slope of another",
     "2,3,9",
     "2,4,7",
     CONV,
     {{"Conv", "x w b", "y", ""}, {"PRelu", "r y", "z", ""}},
     "Conv PRelu",
     NULL,
     0,
     0},
    {"grouped, by channel and by place",
     "2,4,9",
     "2,6,1",
     "w:6,2,3 p:1,7",
     {{"Conv", "x w", "y", "group=2"}, {"Sigmoid", "y", "u", ""}, {"Mul", "u r", "v", ""}, {"Sub", "p v", "z", ""}},
     "FusedConv",
     NULL,
     0,
     0},
    {"depthwise",
     "2,4,9",
     "2,8,7",
     "w:8,1,3 s:8,1",
     {{"Conv", "x w", "y", "group=4"}, {"Add", "y r", "u", ""}, {"PRelu", "u s", "z", ""}},
     "FusedConv",
     NULL,
     0,
     0},
    {"two axes, partly broadcast",
     "1,2,6,5",
     NULL,
     "w:3,2,3,3 c:1,3,1,3",
     {{"Conv", "x w", "y", ""}, {"Max", "y c", "z", ""}},
     "Conv Max",
     NULL,
     0,
     0},
    {"two axes",
     "1,2,6,5",
     "1,3,4,3",
     "w:3,2,3,3 c:3,1,1",
     {{"Conv", "x w", "y", ""}, {"Max", "y c", "u", ""}, {"Min", "r u", "v", ""}, {"Exp", "v", "z", ""}},
     "FusedConv",
     NULL,
     0,
     0},
    {"three axes",
     "1,2,4,4,4",
     NULL,
     "w:3,2,2,2,2 c:3,1,1,1",
     {{"Conv", "x w", "y", ""}, {"Relu", "y", "u", ""}, {"PRelu", "u c", "v", ""}, {"Tanh", "v", "z", ""}},
     "FusedConv",
     NULL,
     0,
     0},
    {"a middle value read twice",
     "2,3,9",
     NULL,
     CONV,
     {{"Conv", "x w b", "y", ""}, {"Relu", "y", "u", ""}, {"Tanh", "y", "v", ""}, {"Add", "u v", "z", ""}},
     "Conv Tanh Elementwise",
     NULL,
     0,
     0},
    {"a middle value given out",
     "2,3,9",
     NULL,
     CONV,
     {{"Conv", "x w b", "y", ""}, {"Relu", "y", "z", ""}},
     "Conv Relu",
     "y",
     0,
     0},
    {"an operand that makes it larger",
     "1,3,9",
     "2,4,7",
     CONV,
     {{"Conv", "x w b", "y", ""}, {"Add", "y r", "z", ""}},
     "Conv Add",
     NULL,
     0,
     0},
    {"clip",
     "2,3,9",
     NULL,
     CONV " low=-0.5 high=0.25",
     {{"Conv", "x w b", "y", ""}, {"Clip", "y low high", "z", ""}},
     "FusedConv",
     NULL,
     0,
     0},
    {"clip with crossing bounds",
     "2,3,9",
     NULL,
     CONV " low=0.5 high=-0.25",
     {{"Conv", "x w b", "y", ""}, {"Clip", "y low high", "z", ""}},
     "Conv Clip",
     NULL,
     0,
     0},
    {"clip with a computed bound",
     "2,3,9",
     "",
     CONV " low=-0.5",
     {{"Conv", "x w b", "y", ""}, {"Clip", "y low r", "z", ""}},
     "Conv Clip",
     NULL,
     0,
     0},
    {"clip of opset 6",
     "2,3,9",
     NULL,
     CONV,
     {{"Conv", "x w b", "y", ""}, {"Clip", "y", "z", "min=-0.25 max=0.5"}},
     "FusedConv",
     NULL,
     0,
     7},
    {"half types: relu",
     "2,3,9",
     NULL,
     CONV,
     {{"Conv", "x w b", "y", ""}, {"Relu", "y", "z", ""}},
     "FusedConv",
     NULL,
     TL_FLOAT16,
     0},
    {"half types: no more than that",
     "2,3,9",
     NULL,
     CONV,
     {{"Conv", "x w b", "y", ""}, {"Relu", "y", "u", ""}, {"Tanh", "u", "z", ""}},
     "FusedConv Tanh",
     NULL,
     TL_BFLOAT16,
     22},
    {"product, bias, activation",
     "2,5,4",
     "2,5,6",
     "w:4,6 b:6",
     {{"MatMul", "x w", "y", ""}, {"Add", "b y", "u", ""}, {"Gelu", "u", "v", ""}, {"Add", "v r", "z", ""}},
     "FusedMatMul",
     NULL,
     0,
     20},
    {"batched product, scaled",
     "2,3,4,5",
     "2,3,5,4",
     "k=0.5 m:4",
     {{"MatMul", "x r", "y", ""}, {"Div", "y k", "u", ""}, {"Add", "u m", "z", ""}},
     "FusedMatMul",
     NULL,
     0,
     0},
    {"few columns",
     "7,40",
     "7,2",
     "w:40,2 b:2",
     {{"Gemm", "x w b", "y", ""}, {"Relu", "y", "u", ""}, {"Mul", "u r", "v", ""}, {"Sub", "b v", "z", ""}},
     "FusedGemm",
     NULL,
     0,
     0},
    {"a chain",
     "2,3,N",
     "2,1,N",
     "k=2 v:3,1",
     {{"Add", "x k", "a", ""},
      {"Mul", "a v", "b", ""},
      {"Sub", "r b", "c", ""},
      {"Abs", "c", "d", ""},
      {"Sqrt", "d", "e", ""},
      {"Div", "e k", "z", ""}},
     "Elementwise",
     NULL,
     0,
     0},
    {"a chain that reads its input again",
     "2,3,N",
     NULL,
     "k=2",
     {{"Tanh", "x", "a", ""}, {"Add", "a k", "b", ""}, {"Mul", "b x", "z", ""}},
     "Elementwise",
     NULL,
     0,
     0},
    {"no chain of one", "2,3,N", NULL, "k=2", {{"Add", "x k", "z", ""}}, "Add", NULL, 0, 0},
    {"no chain that grows",
     "3,1",
     "2,1,7",
     "k=2",
     {{"Add", "x r", "y", ""}, {"Mul", "y k", "z", ""}},
     "Add Mul",
     NULL,
     0,
     0},

    /* ---- behind SeparableConv1D */
    {"slope, residual, activation",
     "2,3,N",
     "2,4,N",
     "d:3,1,3 p:4,3,1 b:4 s:4,1",
     {{"tapline:SeparableConv1D", "x d p b", "y", "data_format='channels_first' padding='causal'"},
      {"PRelu", "y s", "u", ""},
      {"Add", "r u", "v", ""},
      {"Relu", "v", "z", ""}},
     "SeparableConv1D",
     NULL,
     0,
     0},
    {"the same, channels last",
     "2,N,3",
     "2,N,4",
     "d:3,1,3 p:4,3,1 b:4 s:4",
     {{"tapline:SeparableConv1D", "x d p b", "y", "padding='same'"},
      {"PRelu", "y s", "u", ""},
      {"Add", "u r", "v", ""},
      {"Tanh", "v", "z", ""}},
     "SeparableConv1D",
     NULL,
     0,
     0},
    {"in doubles",
     "2,N,3",
     "2,N,4",
     "d:3,1,3 p:4,3,1 b:4 s:1",
     {{"tapline:SeparableConv1D", "x d p b", "y", "padding='same' activation='elu'"},
      {"PRelu", "y s", "u", ""},
      {"Add", "u r", "v", ""},
      {"Sigmoid", "v", "z", ""}},
     "SeparableConv1D",
     NULL,
     TL_DOUBLE,
     0},
    {"residual of one channel",
     "2,3,N",
     "2,1,N",
     "d:3,1,3 p:4,3,1 b:4",
     {{"tapline:SeparableConv1D", "x d p b", "y", "data_format='channels_first' padding='causal'"},
      {"Add", "r y", "z", ""}},
     "SeparableConv1D Add",
     NULL,
     0,
     0},
    {"residual, a graph output between",
     "2,3,N",
     "2,4,N",
     "d:3,1,3 p:4,3,1 b:4",
     {{"tapline:SeparableConv1D", "x d p b", "y", "data_format='channels_first' padding='causal'"},
      {"Add", "r y", "z", ""}},
     "SeparableConv1D Add",
     "y",
     0,
     0},
    {"slopes of steps",
     "2,3,5",
     NULL,
     "d:3,1,3 p:4,3,1 b:4 s:5",
     {{"tapline:SeparableConv1D", "x d p b", "y", "data_format='channels_first' padding='causal'"},
      {"PRelu", "y s", "z", ""}},
     "SeparableConv1D PRelu",
     NULL,
     0,
     0},
    {"half types behind it",
     "2,3,N",
     "2,4,N",
     "d:3,1,3 p:4,3,1 b:4",
     {{"tapline:SeparableConv1D", "x d p b", "y", "data_format='channels_first' padding='causal'"},
      {"Add", "r y", "z", ""}},
     "SeparableConv1D Add",
     NULL,
     TL_FLOAT16,
     0},

    /* ---- recognized */
    {"swish", "2,3,N", NULL, "", {{"Sigmoid", "x", "s", ""}, {"Mul", "s x", "z", ""}}, "Swish", NULL, 0, 0},
    {"almost swish",
     "2,3,N",
     "2,3,N",
     "",
     {{"Sigmoid", "x", "s", ""}, {"Mul", "s r", "z", ""}},
     "Elementwise",
     NULL,
     0,
     0},
    {"swish of half types",
     "2,3,N",
     NULL,
     "",
     {{"Sigmoid", "x", "s", ""}, {"Mul", "s x", "z", ""}},
     "Sigmoid Mul",
     NULL,
     TL_FLOAT16,
     0},
    {"mish",
     "2,3,N",
     NULL,
     "",
     {{"Softplus", "x", "s", ""}, {"Tanh", "s", "t", ""}, {"Mul", "x t", "z", ""}},
     "Mish",
     NULL,
     0,
     0},
    {"hard swish",
     "2,3,N",
     NULL,
     "",
     {{"HardSigmoid", "x", "s", "alpha=0.16666667 beta=0.5"}, {"Mul", "s x", "z", ""}},
     "HardSwish",
     NULL,
     0,
     0},
    {"hard swish by clip",
     "2,3,N",
     NULL,
     "three=3 six=6 zero=0",
     {{"Add", "x three", "a", ""}, {"Clip", "a zero six", "c", ""}, {"Mul", "x c", "m", ""}, {"Div", "m six", "z", ""}},
     "HardSwish",
     NULL,
     0,
     0},
    {"hard swish by clip, divided first",
     "2,3,N",
     NULL,
     "three=3 six=6 zero=0",
     {{"Add", "three x", "a", ""}, {"Clip", "a zero six", "c", ""}, {"Div", "c six", "m", ""}, {"Mul", "m x", "z", ""}},
     "HardSwish",
     NULL,
     0,
     0},
    {"hard swish with another bound",
     "2,3,N",
     NULL,
     "three=3 six=5 zero=0",
     {{"Add", "x three", "a", ""}, {"Clip", "a zero six", "c", ""}, {"Mul", "x c", "m", ""}, {"Div", "m six", "z", ""}},
     "Elementwise",
     NULL,
     0,
     0},
    {"gelu",
     "2,3,N",
     NULL,
     "root=1.4142135 one=1 half=0.5",
     {{"Div", "x root", "a", ""},
      {"Erf", "a", "e", ""},
      {"Add", "e one", "s", ""},
      {"Mul", "x s", "m", ""},
      {"Mul", "m half", "z", ""}},
     "Gelu",
     NULL,
     0,
     0},
    {"gelu, the half of x",
     "2,3,N",
     NULL,
     "root=0.70710678 one=1 half=0.5",
     {{"Mul", "x root", "a", ""},
      {"Erf", "a", "e", ""},
      {"Add", "one e", "s", ""},
      {"Mul", "x half", "m", ""},
      {"Mul", "m s", "z", ""}},
     "Gelu",
     NULL,
     0,
     0},
    {"gelu, scaled otherwise",
     "2,3,N",
     NULL,
     "root=1.5 one=1 half=0.5",
     {{"Div", "x root", "a", ""},
      {"Erf", "a", "e", ""},
      {"Add", "e one", "s", ""},
      {"Mul", "x s", "m", ""},
      {"Mul", "m half", "z", ""}},
     "Elementwise",
     NULL,
     0,
     0},
    {"layer normalization",
     "2,3,8",
     NULL,
     "two=2 tiny=0.001 g:8 h:8",
     {{"ReduceMean", "x", "m", "axes=[-1]"},
      {"Sub", "x m", "d", ""},
      {"Pow", "d two", "p", ""},
      {"ReduceMean", "p", "v", "axes=[-1]"},
      {"Add", "v tiny", "a", ""},
      {"Sqrt", "a", "s", ""},
      {"Div", "d s", "n", ""},
      {"Mul", "n g", "q", ""},
      {"Add", "q h", "z", ""}},
     "LayerNormalization",
     NULL,
     0,
     0},
    {"normalization over another axis",
     "2,8,8",
     NULL,
     "two=2 tiny=0.001 g:8 h:8",
     {{"ReduceMean", "x", "m", "axes=[1]"},
      {"Sub", "x m", "d", ""},
      {"Pow", "d two", "p", ""},
      {"ReduceMean", "p", "v", "axes=[1]"},
      {"Add", "v tiny", "a", ""},
      {"Sqrt", "a", "s", ""},
      {"Div", "d s", "n", ""},
      {"Mul", "n g", "q", ""},
      {"Add", "q h", "z", ""}},
     NULL,
     NULL,
     0,
     0},
};

static tl_type type_of(const graph *g)
{
    return g->type ? g->type : TL_FLOAT;
}

static void add_numbers_of(model *m, tl_type type, const char *name, const char *dims, double single)
{
    int64_t shape[TL_MAX_RANK], count = 1;
    const int32_t rank = parse_dims(dims, 5, shape);
    for (int32_t i = 0; i < rank; i++)
        count *= shape[i];
    void *data = malloc((size_t)count * size_of(type));
    uint64_t state = 77;
    for (const char *c = name; *c; c++)
        state = state * 31 + (uint64_t)*c;
    for (int64_t i = 0; i < count; i++)
        set_number(type, data, i, isnan(single) ? noise(&state) : single);
    add_constant(m, name, type, dims, data);
    free(data);
}

static void add_constants(model *m, const graph *g)
{
    char text[256];
    snprintf(text, sizeof text, "%s", g->constants);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        char *end = word + strcspn(word, ":=");
        const bool scalar = *end == '=';
        *end = '\0';
        add_numbers_of(m, type_of(g), word, scalar ? "" : end + 1, scalar ? strtod(end + 1, NULL) : (double)NAN);
    }
}

/* Lists of integers: a step "-" with the numbers as input. */
static void add_lists(model *m, const graph *g)
{
    for (size_t i = 0; i < sizeof g->steps / sizeof g->steps[0] && g->steps[i].op; i++)
        if (strcmp(g->steps[i].op, "-") == 0)
            add_numbers(m, g->steps[i].outputs, g->steps[i].inputs);
}

static void add_nodes(model *m, const graph *g)
{
    add_lists(m, g);
    for (size_t i = 0; i < sizeof g->steps / sizeof g->steps[0] && g->steps[i].op; i++)
        if (strcmp(g->steps[i].op, "-") != 0)
            add_node(m, g->steps[i].op, g->steps[i].inputs, g->steps[i].outputs, g->steps[i].attributes);
}

static tl_tensor random_input(const char *dims, tl_type type, uint64_t seed)
{
    tl_tensor t = {.type = type};
    int64_t count = 1;
    t.rank = parse_dims(dims, 5, t.dims);
    for (int32_t i = 0; i < t.rank; i++)
        count *= t.dims[i];
    t.data = malloc((size_t)count * size_of(type));
    for (int64_t i = 0; i < count; i++)
        set_number(type, t.data, i, 4 * noise(&seed));
    return t;
}

static outcome run_graph(const graph *g, bool rewrites)
{
    model m = {.opset = g->opset ? g->opset : 17, .tapline = 1};
    const tl_type type = type_of(g);
    add_input(&m, "x", type, g->x);
    if (g->r)
        add_input(&m, "r", type, g->r);
    add_constants(&m, g);
    add_nodes(&m, g);
    add_output(&m, "z", type);
    if (g->extra)
        add_output(&m, g->extra, type);
    tl_tensor inputs[2] = {random_input(g->x, type, 1), {0}};
    if (g->r)
        inputs[1] = random_input(g->r, type, 2);
    outcome got = run_model_in(runtime_of(1), &m, NULL, rewrites, inputs, g->r ? 2 : 1);
    free(inputs[0].data);
    free(inputs[1].data);
    return got;
}

START_TEST(each_graph)
{
    const graph *g = &graphs[_i];
    outcome off = run_graph(g, false), on = run_graph(g, true);
    ck_assert_msg(off.status == TL_OK, "%s: %s", g->name, off.error.message);
    ck_assert_msg(on.status == TL_OK, "%s: %s", g->name, on.error.message);
    if (g->ops)
        ck_assert_msg(strcmp(on.ops, g->ops) == 0, "%s: runs %s, not %s", g->name, on.ops, g->ops);
    ck_assert_int_eq(on.tensor.rank, off.tensor.rank);
    int64_t count = 1;
    for (int32_t i = 0; i < on.tensor.rank; i++) {
        ck_assert_int_eq(on.tensor.dims[i], off.tensor.dims[i]);
        count *= on.tensor.dims[i];
    }
    const tl_type type = type_of(g);
    const double allowed = type == TL_DOUBLE ? 1e-12 : type == TL_FLOAT ? 1e-5 : 0;
    for (int64_t i = 0; i < count; i++) {
        const double a = get_number(type, off.tensor.data, i), b = get_number(type, on.tensor.data, i);
        ck_assert_msg((isnan(a) && isnan(b)) || fabs(a - b) <= allowed * fmax(1, fabs(a)),
                      "%s: element %lld is %.9g, and %.9g without rules", g->name, (long long)i, b, a);
    }
    free_outcome(&off);
    free_outcome(&on);
}
END_TEST

/* Each rule has its switch. */
START_TEST(switches)
{
    static const char *const names[] = {EPILOGUE_RULES, NULL};
    tl_runtime *runtime = runtime_of(1);
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        const graph *g = &graphs[i];
        model m = {.opset = g->opset ? g->opset : 17, .tapline = 1};
        add_input(&m, "x", type_of(g), g->x);
        if (g->r)
            add_input(&m, "r", type_of(g), g->r);
        add_constants(&m, g);
        add_nodes(&m, g);
        add_output(&m, "z", type_of(g));
        if (g->extra)
            add_output(&m, g->extra, type_of(g));
        outcome got = run_model_in(runtime, &m, names, true, NULL, 0);
        ck_assert_msg(got.loaded, "%s: %s", g->name, got.error.message);
        ck_assert_msg(!strstr(got.ops, "Fused") && !strstr(got.ops, "Elementwise"), "%s: %s", g->name, got.ops);
        free_outcome(&got);
    }
}
END_TEST

/* What only the runtime makes cannot come from a file. */
START_TEST(private_operators_are_refused)
{
    model m = {.opset = 17};
    add_input(&m, "x", TL_FLOAT, "2,3");
    add_node(&m, "tapline.internal:Elementwise", "x", "z", "steps='Relu'");
    add_output(&m, "z", TL_FLOAT);
    outcome got = run_model_in(runtime_of(1), &m, NULL, true, NULL, 0);
    ck_assert(!got.loaded);
    ck_assert_msg(strstr(got.error.message, "tapline.internal") != NULL, "%s", got.error.message);
    free_outcome(&got);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rewrite.rules");
    TCase *cases = tcase_create("rules");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, each_graph, 0, (int)(sizeof graphs / sizeof graphs[0]));
    tcase_add_test(cases, switches);
    tcase_add_test(cases, private_operators_are_refused);
    suite_add_tcase(suite, cases);
    return run_tests(suite);
}
