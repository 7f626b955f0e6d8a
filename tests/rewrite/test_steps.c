/* Elementwise operators that become steps of what stands in front of them, or of each other. */
#include "rules.h"

#include <string.h>

static const graph graphs[] = {
    /* ---- behind convolutions, products and each other */
    {"activation, residual, activation", "2,3,N", .r = "2,4,N", .constants = CONV,
     .steps = {{"Conv", "x w b", "y", "pads=[1,1]"},
               {"LeakyRelu", "y", "u", "alpha=0.1"},
               {"Add", "r u", "v", ""},
               {"Relu", "v", "z", ""}},
     .ops = "FusedConv"},
    {"a residual of unknown length", "2,3,M", .r = "2,4,N", .constants = CONV,
     .steps = {{"Conv", "x w b", "y", "pads=[1,1]"}, {"Add", "r y", "z", ""}}, .ops = "Conv Add"},
    {"PReLU with slopes of channels", "2,3,9", .constants = CONV " s:4,1",
     .steps = {{"Conv", "x w b", "y", ""}, {"PRelu", "y s", "z", ""}}, .ops = "FusedConv"},
    {"PReLU as the slope of another", "2,3,9", .r = "2,4,7", .constants = CONV,
     .steps = {{"Conv", "x w b", "y", ""}, {"PRelu", "r y", "z", ""}}, .ops = "Conv PRelu"},
    {"grouped, by channel and by place", "2,4,9", .r = "2,6,1", .constants = "w:6,2,3 p:1,7",
     .steps =
         {{"Conv", "x w", "y", "group=2"}, {"Sigmoid", "y", "u", ""}, {"Mul", "u r", "v", ""}, {"Sub", "p v", "z", ""}},
     .ops = "FusedConv"},
    {"depthwise", "2,4,9", .r = "2,8,7", .constants = "w:8,1,3 s:8,1",
     .steps = {{"Conv", "x w", "y", "group=4"}, {"Add", "y r", "u", ""}, {"PRelu", "u s", "z", ""}},
     .ops = "FusedConv"},
    {"two axes, partly broadcast", "1,2,6,5", .constants = "w:3,2,3,3 c:1,3,1,3",
     .steps = {{"Conv", "x w", "y", ""}, {"Max", "y c", "z", ""}}, .ops = "Conv Max"},
    {"two axes", "1,2,6,5", .r = "1,3,4,3", .constants = "w:3,2,3,3 c:3,1,1",
     .steps = {{"Conv", "x w", "y", ""}, {"Max", "y c", "u", ""}, {"Min", "r u", "v", ""}, {"Exp", "v", "z", ""}},
     .ops = "FusedConv"},
    {"three axes", "1,2,4,4,4", .constants = "w:3,2,2,2,2 c:3,1,1,1",
     .steps = {{"Conv", "x w", "y", ""}, {"Relu", "y", "u", ""}, {"PRelu", "u c", "v", ""}, {"Tanh", "v", "z", ""}},
     .ops = "FusedConv"},
    {"a middle value read twice", "2,3,9", .constants = CONV,
     .steps = {{"Conv", "x w b", "y", ""}, {"Relu", "y", "u", ""}, {"Tanh", "y", "v", ""}, {"Add", "u v", "z", ""}},
     .ops = "Conv Tanh Elementwise"},
    {"a middle value given out", "2,3,9", .constants = CONV,
     .steps = {{"Conv", "x w b", "y", ""}, {"Relu", "y", "z", ""}}, .ops = "Conv Relu", .extra = "y"},
    {"an operand that makes it larger", "1,3,9", .r = "2,4,7", .constants = CONV,
     .steps = {{"Conv", "x w b", "y", ""}, {"Add", "y r", "z", ""}}, .ops = "Conv Add"},
    {"clip", "2,3,9", .constants = CONV " low=-0.5 high=0.25",
     .steps = {{"Conv", "x w b", "y", ""}, {"Clip", "y low high", "z", ""}}, .ops = "FusedConv"},
    {"clip with crossing bounds", "2,3,9", .constants = CONV " low=0.5 high=-0.25",
     .steps = {{"Conv", "x w b", "y", ""}, {"Clip", "y low high", "z", ""}}, .ops = "Conv Clip"},
    {"clip with a computed bound", "2,3,9", .r = "", .constants = CONV " low=-0.5",
     .steps = {{"Conv", "x w b", "y", ""}, {"Clip", "y low r", "z", ""}}, .ops = "Conv Clip"},
    {"clip of opset 6", "2,3,9", .constants = CONV,
     .steps = {{"Conv", "x w b", "y", ""}, {"Clip", "y", "z", "min=-0.25 max=0.5"}}, .ops = "FusedConv", .opset = 7},
    {"half types: relu", "2,3,9", .constants = CONV, .steps = {{"Conv", "x w b", "y", ""}, {"Relu", "y", "z", ""}},
     .ops = "FusedConv", .type = TL_FLOAT16},
    {"half types: no more than that", "2,3,9", .constants = CONV,
     .steps = {{"Conv", "x w b", "y", ""}, {"Relu", "y", "u", ""}, {"Tanh", "u", "z", ""}}, .ops = "FusedConv Tanh",
     .type = TL_BFLOAT16, .opset = 22},
    {"product, bias, activation", "2,5,4", .r = "2,5,6", .constants = "w:4,6 b:6",
     .steps = {{"MatMul", "x w", "y", ""}, {"Add", "b y", "u", ""}, {"Gelu", "u", "v", ""}, {"Add", "v r", "z", ""}},
     .ops = "FusedMatMul", .opset = 20},
    {"batched product, scaled", "2,3,4,5", .r = "2,3,5,4", .constants = "k=0.5 m:4",
     .steps = {{"MatMul", "x r", "y", ""}, {"Div", "y k", "u", ""}, {"Add", "u m", "z", ""}}, .ops = "FusedMatMul"},
    {"batched product, tile by tile", "2,860,160", .r = "2,860,17", .constants = "w:2,160,17",
     .steps = {{"MatMul", "x w", "y", ""}, {"Add", "y r", "u", ""}, {"Relu", "u", "z", ""}}, .ops = "FusedMatMul"},
    {"a product with a vector, whose result has no columns", "2,3,4", .constants = "w:4 b:3 m:2,1",
     .steps = {{"MatMul", "x w", "y", ""}, {"Add", "y b", "u", ""}, {"Mul", "m u", "z", ""}},
     .ops = "MatMul Elementwise"},
    {"a vector's product", "4", .constants = "w:2,4,3 b:3 m:2,1",
     .steps = {{"MatMul", "x w", "y", ""}, {"Add", "y b", "u", ""}, {"Mul", "m u", "z", ""}},
     .ops = "MatMul Elementwise"},
    {"no rows", "0,40", .constants = "w:40,2 b:2",
     .steps = {{"Gemm", "x w b", "y", ""}, {"Relu", "y", "u", ""}, {"Sub", "b u", "z", ""}}, .ops = "FusedGemm"},
    {"few columns", "7,40", .r = "7,2", .constants = "w:40,2 b:2",
     .steps = {{"Gemm", "x w b", "y", ""}, {"Relu", "y", "u", ""}, {"Mul", "u r", "v", ""}, {"Sub", "b v", "z", ""}},
     .ops = "FusedGemm"},
    {"a chain", "2,3,N", .r = "2,1,N", .constants = "k=2 v:3,1",
     .steps = {{"Add", "x k", "a", ""},
               {"Mul", "a v", "b", ""},
               {"Sub", "r b", "c", ""},
               {"Abs", "c", "d", ""},
               {"Sqrt", "d", "e", ""},
               {"Div", "e k", "z", ""}},
     .ops = "Elementwise"},
    {"a chain that reads its input again", "2,3,N", .constants = "k=2",
     .steps = {{"Tanh", "x", "a", ""}, {"Add", "a k", "b", ""}, {"Mul", "b x", "z", ""}}, .ops = "Elementwise"},
    {"no chain of one", "2,3,N", .constants = "k=2", .steps = {{"Add", "x k", "z", ""}}, .ops = "Add"},
    {"no chain that grows", "3,1", .r = "2,1,7", .constants = "k=2",
     .steps = {{"Add", "x r", "y", ""}, {"Mul", "y k", "z", ""}}, .ops = "Add Mul"},

    /* ---- behind SeparableConv1D */
    {"slope, residual, activation", "2,3,N", .r = "2,4,N", .constants = "d:3,1,3 p:4,3,1 b:4 s:4,1",
     .steps = {{"tapline:SeparableConv1D", "x d p b", "y", "data_format='channels_first' padding='causal'"},
               {"PRelu", "y s", "u", ""},
               {"Add", "r u", "v", ""},
               {"Relu", "v", "z", ""}},
     .ops = "SeparableConv1D"},
    {"the same, channels last", "2,N,3", .r = "2,N,4", .constants = "d:3,1,3 p:4,3,1 b:4 s:4",
     .steps = {{"tapline:SeparableConv1D", "x d p b", "y", "padding='same'"},
               {"PRelu", "y s", "u", ""},
               {"Add", "u r", "v", ""},
               {"Tanh", "v", "z", ""}},
     .ops = "SeparableConv1D"},
    {"in doubles", "2,N,3", .r = "2,N,4", .constants = "d:3,1,3 p:4,3,1 b:4 s:1",
     .steps = {{"tapline:SeparableConv1D", "x d p b", "y", "padding='same' activation='elu'"},
               {"PRelu", "y s", "u", ""},
               {"Add", "u r", "v", ""},
               {"Sigmoid", "v", "z", ""}},
     .ops = "SeparableConv1D", .type = TL_DOUBLE},
    {"residual of one channel", "2,3,N", .r = "2,1,N", .constants = "d:3,1,3 p:4,3,1 b:4",
     .steps = {{"tapline:SeparableConv1D", "x d p b", "y", "data_format='channels_first' padding='causal'"},
               {"Add", "r y", "z", ""}},
     .ops = "SeparableConv1D Add"},
    {"residual, a graph output between", "2,3,N", .r = "2,4,N", .constants = "d:3,1,3 p:4,3,1 b:4",
     .steps = {{"tapline:SeparableConv1D", "x d p b", "y", "data_format='channels_first' padding='causal'"},
               {"Add", "r y", "z", ""}},
     .ops = "SeparableConv1D Add", .extra = "y"},
    {"slopes of steps", "2,3,5", .constants = "d:3,1,3 p:4,3,1 b:4 s:5",
     .steps = {{"tapline:SeparableConv1D", "x d p b", "y", "data_format='channels_first' padding='causal'"},
               {"PRelu", "y s", "z", ""}},
     .ops = "SeparableConv1D PRelu"},
    {"half types behind it", "2,3,N", .r = "2,4,N", .constants = "d:3,1,3 p:4,3,1 b:4",
     .steps = {{"tapline:SeparableConv1D", "x d p b", "y", "data_format='channels_first' padding='causal'"},
               {"Add", "r y", "z", ""}},
     .ops = "SeparableConv1D Add", .type = TL_FLOAT16},
};

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
    Suite *suite = suite_of_graphs("rewrite.steps", graphs, sizeof graphs / sizeof graphs[0], NULL);
    TCase *file = tcase_create("file");
    tcase_add_test(file, private_operators_are_refused);
    suite_add_tcase(suite, file);
    return run_suite(suite);
}
