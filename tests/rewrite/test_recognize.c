/* What exporters write as several operators, and becomes one. */
#include "rules.h"

/* d is x without its mean over some axes, v the mean of its squares over some. */
#define CENTERED(AXES, SQUARES)                                                         \
    {"ReduceMean", "x", "m", AXES}, {"Sub", "x m", "d", ""}, {"Pow", "d two", "p", ""}, \
    {                                                                                   \
        "ReduceMean", "p", "v", SQUARES                                                 \
    }

/* Normalized over some axes, as one wrote it before there was an operator. */
#define NORMALIZED(AXES)                                                                               \
    CENTERED(AXES, AXES), {"Add", "v tiny", "a", ""}, {"Sqrt", "a", "s", ""}, {"Div", "d s", "n", ""}, \
        {"Mul", "n g", "q", ""},                                                                       \
    {                                                                                                  \
        "Add", "q h", "z", ""                                                                          \
    }

static const graph graphs[] = {
    {"swish", "2,3,N", .steps = {{"Sigmoid", "x", "s", ""}, {"Mul", "s x", "z", ""}}, .ops = "Swish"},
    {"almost swish", "2,3,N", .r = "2,3,N", .steps = {{"Sigmoid", "x", "s", ""}, {"Mul", "s r", "z", ""}},
     .ops = "Elementwise"},
    {"swish of half types", "2,3,N", .steps = {{"Sigmoid", "x", "s", ""}, {"Mul", "s x", "z", ""}},
     .ops = "Sigmoid Mul", .type = TL_FLOAT16},
    {"mish", "2,3,N", .steps = {{"Softplus", "x", "s", ""}, {"Tanh", "s", "t", ""}, {"Mul", "x t", "z", ""}},
     .ops = "Mish"},
    {"hard swish", "2,3,N", .steps = {{"HardSigmoid", "x", "s", "alpha=0.16666667 beta=0.5"}, {"Mul", "s x", "z", ""}},
     .ops = "HardSwish"},
    {"hard swish by clip", "2,3,N", .constants = "three=3 six=6 zero=0",
     .steps = {{"Add", "x three", "a", ""},
               {"Clip", "a zero six", "c", ""},
               {"Mul", "x c", "m", ""},
               {"Div", "m six", "z", ""}},
     .ops = "HardSwish"},
    {"hard swish by clip, divided first", "2,3,N", .constants = "three=3 six=6 zero=0",
     .steps = {{"Add", "three x", "a", ""},
               {"Clip", "a zero six", "c", ""},
               {"Div", "c six", "m", ""},
               {"Mul", "m x", "z", ""}},
     .ops = "HardSwish"},
    {"hard swish with another bound", "2,3,N", .constants = "three=3 six=5 zero=0",
     .steps = {{"Add", "x three", "a", ""},
               {"Clip", "a zero six", "c", ""},
               {"Mul", "x c", "m", ""},
               {"Div", "m six", "z", ""}},
     .ops = "Elementwise"},
    {"gelu", "2,3,N", .constants = "root=1.4142135 one=1 half=0.5",
     .steps = {{"Div", "x root", "a", ""},
               {"Erf", "a", "e", ""},
               {"Add", "e one", "s", ""},
               {"Mul", "x s", "m", ""},
               {"Mul", "m half", "z", ""}},
     .ops = "Gelu"},
    {"gelu, the half of x", "2,3,N", .constants = "root=0.70710678 one=1 half=0.5",
     .steps = {{"Mul", "x root", "a", ""},
               {"Erf", "a", "e", ""},
               {"Add", "one e", "s", ""},
               {"Mul", "x half", "m", ""},
               {"Mul", "m s", "z", ""}},
     .ops = "Gelu"},
    {"gelu, scaled otherwise", "2,3,N", .constants = "root=1.5 one=1 half=0.5",
     .steps = {{"Div", "x root", "a", ""},
               {"Erf", "a", "e", ""},
               {"Add", "e one", "s", ""},
               {"Mul", "x s", "m", ""},
               {"Mul", "m half", "z", ""}},
     .ops = "Elementwise"},
    {"layer normalization", "2,3,8", .constants = "two=2 tiny=0.001 g:8 h:8", .steps = {NORMALIZED("axes=[-1]")},
     .ops = "LayerNormalization"},
    {"layer normalization with an epsilon that is no float", "2,3,8", .constants = "two=2 tiny=0.001 g:8 h:8",
     .steps = {NORMALIZED("axes=[-1]")}, .ops = "*", .type = TL_DOUBLE},
    {"layer normalization over all but samples", "2,3,N", .constants = "two=2 tiny=0.001 g:3,1 h:1,3,1",
     .steps = {NORMALIZED("axes=[-1,1]")}, .ops = "LayerNormalization"},
    {"layer normalization, scaled in front of the division, with no epsilon", "2,3,N", .constants = "two=2 g:3,1",
     .steps = {CENTERED("axes=[1,2]", "axes=[1,2]"),
               {"Sqrt", "v", "s", ""},
               {"Mul", "g d", "q", ""},
               {"Div", "q s", "z", ""}},
     .ops = "LayerNormalization"},
    {"normalization whose scale makes it larger", "2,3,1", .constants = "two=2 tiny=0.001 g:3,4 h:1",
     .steps = {NORMALIZED("axes=[1,2]")}, .ops = "*"},
    {"normalization by the variance over other axes", "2,3,4", .constants = "two=2 g:4",
     .steps =
         {CENTERED("axes=[1,2]", "axes=[2]"), {"Sqrt", "v", "s", ""}, {"Div", "d s", "n", ""}, {"Mul", "n g", "z", ""}},
     .ops = "*"},
    {"deviation divided by what is centered", "2,3,4", .constants = "two=2 g:4",
     .steps =
         {CENTERED("axes=[2]", "axes=[2]"), {"Sqrt", "v", "s", ""}, {"Div", "s d", "n", ""}, {"Mul", "n g", "z", ""}},
     .ops = "*"},
    {"normalization over another axis", "2,8,8", .constants = "two=2 tiny=0.001 g:8 h:8",
     .steps = {NORMALIZED("axes=[1]")}, .ops = "*"},
};

int main(void)
{
    return run_suite(suite_of_graphs("rewrite.recognize", graphs, sizeof graphs / sizeof graphs[0], NULL));
}
