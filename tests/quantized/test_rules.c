/* The rules for quantized networks: what they make of graphs that fit and of graphs that nearly do, and that results
 * stay within a step, which most graphs here have at 1 / 16. */
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
    const char *x, *constants; /* dims of x, which is float; constants besides the common ones: NAME/TYPE/DIMS/NUMBER */
    step steps[12];
    tl_type type;      /* of output z; 0: uint8 */
    const char *ops;   /* what runs; NULL: it is refused, with rules and without */
    const char *r;     /* another float input's dims */
    const char *extra; /* a float output besides z */
    int64_t opset;     /* 0: 21 */
} graph;

/* TYPE: f float, h float16, b int8, u uint8, i int32, s int16. NUMBER ~: arbitrary ones. */
#define COMMON                                                                                                 \
    "s/f//0.0625 t/f//0.03125 zu/u//128 zb/b//0 z3/u//3 low/u//0 w/b/4,3,3/~ u/u/4,3,3/~ d/b/3,1,3/~ "         \
    "si/f//0.001953125 "                                                                                       \
    "bi/i/4/~ bf/f/4/~ c/f/4/0.0078125 zc/b/4/0 m/b/3,5/~ n/b/5,3/~ c5/f/5/0.015625 c3/f/3/0.015625 b5/f/5/~ " \
    "b3/f/3/~ "

#define QX                                     \
    {"QuantizeLinear", "x s zu", "q", ""},     \
    {                                          \
        "DequantizeLinear", "q s zu", "x1", "" \
    }
#define W                                      \
    {                                          \
        "DequantizeLinear", "w t zb", "w1", "" \
    }
#define QY(y)                                \
    {                                        \
        "QuantizeLinear", y " s z3", "z", "" \
    }
#define CONVOLVED "QuantizeLinear QLinearConv"

static const graph graphs[] = {
    {"convolution", "2,3,9", "", .steps = {QX, W, {"Conv", "x1 w1", "y", "pads=[1,1] strides=[2]"}, QY("y")},
     .ops = CONVOLVED},
    {"bias of integers", "2,3,9", "",
     .steps = {QX, W, {"DequantizeLinear", "bi si", "b1", ""}, {"Conv", "x1 w1 b1", "y", ""}, QY("y")},
     .ops = CONVOLVED},
    {"bias of floats", "2,3,9", "", .steps = {QX, W, {"Conv", "x1 w1 bf", "y", "dilations=[2]"}, QY("y")},
     .ops = CONVOLVED},
    {"unsigned weights, no zero points", "2,3,9", "",
     .steps = {{"QuantizeLinear", "x s", "q", ""},
               {"DequantizeLinear", "q s", "x1", ""},
               {"DequantizeLinear", "u t", "w1", ""},
               {"Conv", "x1 w1", "y", ""},
               {"QuantizeLinear", "y s", "z", ""}},
     .ops = CONVOLVED},
    {"a scale for each filter", "2,3,9", "",
     .steps = {QX, {"DequantizeLinear", "w c zc", "w1", "axis=0"}, {"Conv", "x1 w1 bf", "y", ""}, QY("y")},
     .ops = CONVOLVED},
    {"a scale for each input channel", "2,3,9", "",
     .steps = {QX, {"DequantizeLinear", "w c3", "w1", "axis=1"}, {"Conv", "x1 w1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Conv QuantizeLinear"},
    {"depthwise, with Relu", "2,3,9", "",
     .steps = {QX,
               {"DequantizeLinear", "d t", "w1", ""},
               {"Conv", "x1 w1", "y", "group=3"},
               {"Relu", "y", "a", ""},
               {"QuantizeLinear", "a s low", "z", ""}},
     .ops = CONVOLVED},
    {"depthwise, strides and dilations", "2,3,37", "pair/b/3,1,4/~",
     .steps = {QX,
               {"DequantizeLinear", "pair t", "w1", ""},
               {"Conv", "x1 w1", "y", "group=3 strides=[2] dilations=[3] pads=[5,4]"},
               QY("y")},
     .ops = CONVOLVED},
    {"depthwise of a plane of signed bytes", "1,3,19,23", "square/u/3,1,3,3/~",
     .steps = {{"QuantizeLinear", "x t zb", "q", ""},
               {"DequantizeLinear", "q t zb", "x1", ""},
               {"DequantizeLinear", "square t z3", "w1", ""},
               {"Conv", "x1 w1", "y", "group=3 strides=[3,2] pads=[1,1,1,1]"},
               QY("y")},
     .ops = CONVOLVED},
    {"two filters for each channel, short rows", "1,3,6,5", "square/b/6,1,3,2/~",
     .steps =
         {QX, {"DequantizeLinear", "square t", "w1", ""}, {"Conv", "x1 w1", "y", "group=3 strides=[1,2]"}, QY("y")},
     .ops = CONVOLVED},
    {"rows of every length", "1,7,5,18", "square/b/2,7,1,1/~",
     .steps = {QX, {"DequantizeLinear", "square t", "w1", ""}, {"Conv", "x1 w1", "y", "strides=[1,2]"}, QY("y")},
     .ops = CONVOLVED},
    {"bounds that bytes do not have", "2,3,9", "one/f//-1 six/f//6",
     .steps =
         {QX, W, {"Conv", "x1 w1", "y", ""}, {"Clip", "y one six", "a", ""}, {"QuantizeLinear", "a s zu", "z", ""}},
     .ops = CONVOLVED " Clip"},
    {"bounds that cross", "2,3,9", "one/f//1 six/f//-6",
     .steps =
         {QX, W, {"Conv", "x1 w1", "y", ""}, {"Clip", "y one six", "a", ""}, {"QuantizeLinear", "a s zu", "z", ""}},
     .ops = "*"},
    {"padded before", "2,3,9", "pads=0,0,2,0,0,0",
     .steps = {QX,
               {"Pad", "x1 pads", "p", ""},
               {"QuantizeLinear", "p s zu", "p1", ""},
               {"DequantizeLinear", "p1 s zu", "p2", ""},
               W,
               {"Conv", "p2 w1", "y", ""},
               QY("y")},
     .ops = CONVOLVED},
    {"padded with something else", "2,3,9", "pads=0,0,2,0,0,0 one/f//1",
     .steps = {QX, {"Pad", "x1 pads one", "p", ""}, {"QuantizeLinear", "p s zu", "z", ""}},
     .ops = "QuantizeLinear DequantizeLinear Pad QuantizeLinear"},
    {"no result of bytes", "2,3,9", "", .steps = {QX, W, {"Conv", "x1 w1", "z", ""}}, .type = TL_FLOAT,
     .ops = "QuantizeLinear DequantizeLinear Conv"},
    {"a result that is given out", "2,3,9", "", .steps = {QX, W, {"Conv", "x1 w1", "y", ""}, QY("y")}, .extra = "y",
     .ops = "QuantizeLinear DequantizeLinear Conv QuantizeLinear"},
    {"weights that are shared", "2,3,9", "",
     .steps = {QX,
               W,
               {"Conv", "x1 w1", "y", ""},
               {"Conv", "x1 w1", "v", "dilations=[2] pads=[1,1]"},
               {"QuantizeLinear", "y s z3", "y1", ""},
               {"DequantizeLinear", "y1 s z3", "y2", ""},
               {"QuantizeLinear", "v s z3", "v1", ""},
               {"DequantizeLinear", "v1 s z3", "v2", ""},
               {"Concat", "y2 v2", "e", "axis=2"},
               QY("e")},
     .ops = "QuantizeLinear QLinearConv QLinearConv Concat Identity"},
    {"weights that are computed", "4,3,3", "", .steps = {QX, {"Conv", "x1 x1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Conv QuantizeLinear"},
    {"a scale that is computed", "2,3,9", "", .r = "1",
     .steps = {{"QuantizeLinear", "x r zu", "q", ""},
               {"DequantizeLinear", "q r zu", "x1", ""},
               W,
               {"Conv", "x1 w1", "y", ""},
               QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Conv QuantizeLinear"},
    {"weights of rank 2", "2,3,9", "",
     .steps = {QX, {"DequantizeLinear", "m t", "w1", ""}, {"Conv", "x1 w1", "y", ""}, QY("y")}, .ops = NULL},
    {"a bias of another length", "2,3,9", "", .steps = {QX, W, {"Conv", "x1 w1 b5", "y", ""}, QY("y")}, .ops = NULL},
    {"a bias beyond all integers", "2,3,9", "big/f/4/3e30", .steps = {QX, W, {"Conv", "x1 w1 big", "y", ""}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Conv QuantizeLinear"},
    {"a bias that is no number", "2,3,9", "big/f/4/nan", .steps = {QX, W, {"Conv", "x1 w1 big", "y", ""}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Conv QuantizeLinear"},
    {"a scale of rank 2", "2,3,9", "s2/f/1,1/0.5", .steps = {{"QuantizeLinear", "x s2 zu", "z", ""}}, .ops = NULL},
    {"a list of one scale", "2,3,9", "s2/f/1/0.0625 z2/u/1/128",
     .steps = {{"QuantizeLinear", "x s2 z2", "q", ""},
               {"DequantizeLinear", "q s2 z2", "x1", ""},
               W,
               {"Conv", "x1 w1", "y", ""},
               QY("y")},
     .ops = CONVOLVED},
    {"a zero point of another length", "2,3,9", "s2/f/1/0.5",
     .steps = {QX, {"DequantizeLinear", "w s2 zc", "w1", "axis=0"}, {"Conv", "x1 w1", "y", ""}, QY("y")}, .ops = NULL},
    {"a zero point of another type", "2,3,9", "",
     .steps = {QX, {"DequantizeLinear", "w t zu", "w1", ""}, {"Conv", "x1 w1", "y", ""}, QY("y")}, .ops = NULL},
    {"an axis that is none", "2,3,9", "",
     .steps = {QX, {"DequantizeLinear", "w c", "w1", "axis=7"}, {"Conv", "x1 w1", "y", ""}, QY("y")}, .ops = NULL},
    {"no scale", "2,3,9", "zero/f//0",
     .steps = {QX, {"DequantizeLinear", "w zero", "w1", ""}, {"Conv", "x1 w1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Conv QuantizeLinear"},
    {"a negative scale", "2,3,9", "minus/f//-0.0625",
     .steps = {{"QuantizeLinear", "x minus zu", "q", ""},
               {"DequantizeLinear", "q minus zu", "x1", ""},
               {"Relu", "x1", "y", ""},
               {"QuantizeLinear", "y minus zu", "z", ""}},
     .ops = "QuantizeLinear DequantizeLinear Relu QuantizeLinear"},
    {"an infinite scale", "2,3,9", "inf/f//inf",
     .steps = {QX, {"DequantizeLinear", "w inf", "w1", ""}, {"Conv", "x1 w1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Conv QuantizeLinear"},
    {"scales in blocks", "2,3,8", "sb/f/2,3,2/0.0625",
     .steps = {{"QuantizeLinear", "x sb", "q", "axis=2 block_size=4"},
               {"DequantizeLinear", "q sb", "x1", "axis=2 block_size=4"},
               W,
               {"Conv", "x1 w1", "y", ""},
               QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Conv QuantizeLinear"},
    {"nothing to convolve", "0,3,9", "", .steps = {QX, W, {"Conv", "x1 w1", "y", ""}, QY("y")}, .ops = CONVOLVED},
    {"matrices", "2,7,3", "",
     .steps = {QX, {"DequantizeLinear", "m t", "m1", ""}, {"MatMul", "x1 m1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear QLinearMatMul"},
    {"a scale for each column", "2,7,3", "",
     .steps = {QX, {"DequantizeLinear", "m c5", "m1", "axis=1"}, {"MatMul", "x1 m1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear QLinearMatMul"},
    {"a scale for each row", "2,7,3", "",
     .steps = {QX, {"DequantizeLinear", "m c3", "m1", "axis=0"}, {"MatMul", "x1 m1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear MatMul QuantizeLinear"},
    {"transposed weights", "2,7,3", "",
     .steps = {QX,
               {"DequantizeLinear", "n c5", "n1", "axis=0"},
               {"Transpose", "n1", "m1", "perm=[1,0]"},
               {"MatMul", "x1 m1", "y", ""},
               QY("y")},
     .ops = "QuantizeLinear QLinearMatMul"},
    {"two computed factors", "2,3,3", "", .steps = {QX, {"MatMul", "x1 x1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear QLinearMatMul"},
    {"a vector", "3", "", .steps = {QX, {"DequantizeLinear", "m t", "m1", ""}, {"MatMul", "x1 m1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear MatMul QuantizeLinear"},
    {"matrices to floats", "2,7,3", "",
     .steps = {QX, {"DequantizeLinear", "m c5", "m1", "axis=-1"}, {"MatMul", "x1 m1", "z", ""}}, .type = TL_FLOAT,
     .ops = "QuantizeLinear MatMulIntegerToFloat"},
    {"Gemm", "7,3", "",
     .steps = {QX, {"DequantizeLinear", "n c5", "n1", "axis=0"}, {"Gemm", "x1 n1 b5", "y", "transB=1"}, QY("y")},
     .ops = "QuantizeLinear FusedQLinearMatMul"},
    {"Gemm to floats", "7,3", "", .steps = {QX, {"DequantizeLinear", "m t", "m1", ""}, {"Gemm", "x1 m1 b5", "z", ""}},
     .type = TL_FLOAT, .ops = "QuantizeLinear MatMulIntegerToFloat"},
    {"Gemm with factors", "7,3", "",
     .steps = {QX, {"DequantizeLinear", "m t", "m1", ""}, {"Gemm", "x1 m1 b5", "y", "alpha=0.5"}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Gemm QuantizeLinear"},
    {"sums that 32 bits do not hold", "1,33000", "long/u/33000,1/255",
     .steps = {QX, {"DequantizeLinear", "long t", "m1", ""}, {"MatMul", "x1 m1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear MatMul QuantizeLinear"},
    {"moves", "2,4,6", "shape=2,6,4",
     .steps = {QX,
               {"Reshape", "x1 shape", "a", ""},
               {"QuantizeLinear", "a s zu", "a1", ""},
               {"DequantizeLinear", "a1 s zu", "a2", ""},
               {"Transpose", "a2", "b", "perm=[0,2,1]"},
               {"MaxPool", "b", "y", "kernel_shape=[3]"},
               {"QuantizeLinear", "y s zu", "z", ""}},
     .ops = "QuantizeLinear Reshape Identity Transpose MaxPool Identity"},
    {"parts", "2,4,6", "",
     .steps = {QX,
               {"Split", "x1", "a b", "axis=1 num_outputs=2"},
               {"Concat", "b a", "y", "axis=1"},
               {"QuantizeLinear", "y s zu", "z", ""}},
     .ops = "QuantizeLinear Split Concat Identity"},
    {"parts of several scales", "2,4,6", "",
     .steps = {QX,
               {"QuantizeLinear", "x t zu", "q2", ""},
               {"DequantizeLinear", "q2 t zu", "x2", ""},
               {"Concat", "x1 x2", "y", "axis=-1"},
               QY("y")},
     .ops = "QuantizeLinear QuantizeLinear QLinearConcat"},
    {"a part of floats", "2,4,6", "", .steps = {QX, {"Concat", "x1 x", "y", "axis=-1"}, QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Concat QuantizeLinear"},
    {"indices of a maximum", "2,4,6", "",
     .steps = {QX,
               {"MaxPool", "x1", "y i", "kernel_shape=[2]"},
               {"QuantizeLinear", "y s zu", "z", ""},
               {"Cast", "i", "f", "to=1"}},
     .extra = "f", .ops = "*"},
    {"sums and products", "2,4,6", "", .r = "2,1,6",
     .steps = {QX,
               {"QuantizeLinear", "r t z3", "p", ""},
               {"DequantizeLinear", "p t z3", "r1", ""},
               {"Add", "x1 r1", "a", ""},
               {"QuantizeLinear", "a s zu", "a1", ""},
               {"DequantizeLinear", "a1 s zu", "a2", ""},
               {"Mul", "a2 r1", "y", ""},
               QY("y")},
     .ops = "QuantizeLinear QuantizeLinear QLinearAdd QLinearMul"},
    {"sums of two types", "2,4,6", "",
     .steps = {QX,
               {"QuantizeLinear", "x t zb", "p", ""},
               {"DequantizeLinear", "p t zb", "r1", ""},
               {"Add", "x1 r1", "y", ""},
               QY("y")},
     .ops = "*"},
    {"mean", "2,4,6", "", .steps = {QX, {"GlobalAveragePool", "x1", "y", ""}, QY("y")},
     .ops = "QuantizeLinear QLinearGlobalAveragePool"},
    {"functions", "2,4,6", "half/f/1,1/0.5",
     .steps = {QX,
               {"Mul", "x1 half", "a", ""},
               {"Tanh", "a", "b", ""},
               {"Mul", "b x1", "e", ""},
               {"Exp", "e", "y", ""},
               QY("y")},
     .ops = "QuantizeLinear Lookup"},
    {"functions to signed bytes", "2,4,6", "",
     .steps = {QX, {"Sigmoid", "x1", "y", ""}, {"QuantizeLinear", "y t zb", "z", ""}}, .type = TL_INT8,
     .ops = "QuantizeLinear Lookup"},
    {"a function that adds axes", "6", "half/f/1,1/0.5", .steps = {QX, {"Mul", "x1 half", "a", ""}, QY("a")},
     .ops = "QuantizeLinear DequantizeLinear Mul QuantizeLinear"},
    {"other bytes for the same", "2,4,6", "", .steps = {QX, QY("x1")}, .ops = "QuantizeLinear Lookup"},
    {"the same again", "2,4,6", "", .steps = {QX, {"QuantizeLinear", "x1 s zu", "z", ""}},
     .ops = "QuantizeLinear Identity"},
    {"half floats", "2,4,6", "sh/h//0.0625", .steps = {QX, {"QuantizeLinear", "x sh zu", "z", ""}}, .ops = "*"},
    {"16 bits", "2,3,9", "zs/s//0",
     .steps = {{"QuantizeLinear", "x s zs", "q", ""},
               {"DequantizeLinear", "q s zs", "x1", ""},
               W,
               {"Conv", "x1 w1", "y", ""},
               QY("y")},
     .ops = "QuantizeLinear DequantizeLinear Conv QuantizeLinear"},
    {"before there were axes", "2,3,9", "",
     .steps = {QX, W, {"Conv", "x1 w1 bf", "y", ""}, {"Relu", "y", "a", ""}, {"QuantizeLinear", "a s low", "z", ""}},
     .opset = 10, .ops = CONVOLVED},
    {"rows of a table", "4", "index=2,0,1",
     .steps = {{"DequantizeLinear", "m t", "m1", ""},
               {"Gather", "m1 index", "y", ""},
               {"QuantizeLinear", "x s zu", "q", ""},
               {"QuantizeLinear", "y s z3", "z", ""}},
     .ops = ""},
};

static tl_type type_named(char name)
{
    switch (name) {
    case 'h':
        return TL_FLOAT16;
    case 'b':
        return TL_INT8;
    case 'u':
        return TL_UINT8;
    case 'i':
        return TL_INT32;
    case 's':
        return TL_INT16;
    default:
        return TL_FLOAT;
    }
}

static int64_t count_of(const tl_tensor *t)
{
    int64_t count = 1;
    for (int32_t i = 0; i < t->rank; i++)
        count *= t->dims[i];
    return count;
}

static void add_one(model *m, char *word)
{
    char *list = strchr(word, '=');
    if (list) {
        *list = '\0';
        add_numbers(m, word, list + 1);
        return;
    }
    char *type = strchr(word, '/'), *dims = strchr(type + 1, '/'), *number = strchr(dims + 1, '/');
    *type = *dims = *number = '\0';
    tl_tensor t = {.type = type_named(type[1])};
    t.rank = parse_dims(dims + 1, 1, t.dims);
    const int64_t count = count_of(&t);
    void *data = malloc((size_t)count * size_of(t.type));
    uint64_t state = 5;
    for (int64_t i = 0; i < count; i++) {
        const double any = noise(&state) * (t.type == TL_FLOAT ? 1 : 100) + (t.type == TL_UINT8 ? 100 : 0);
        set_number(t.type, data, i, number[1] == '~' ? any : strtod(number + 1, NULL));
    }
    add_constant(m, word, t.type, dims + 1, data);
    free(data);
}

/* Of the constants only those that some step reads. */
static bool reads(const graph *g, const char *word)
{
    const size_t length = strcspn(word, "/=");
    for (const step *s = g->steps; s < g->steps + sizeof g->steps / sizeof *s && s->op; s++)
        for (const char *at = s->inputs; *at; at += strspn(at, " ")) {
            const size_t n = strcspn(at, " ");
            if (n == length && strncmp(at, word, n) == 0)
                return true;
            at += n;
        }
    return false;
}

static model *model_of_graph(const graph *g)
{
    model *m = calloc(1, sizeof *m);
    char text[2048];
    m->opset = g->opset ? g->opset : 21;
    add_input(m, "x", TL_FLOAT, g->x);
    if (g->r)
        add_input(m, "r", TL_FLOAT, g->r);
    snprintf(text, sizeof text, COMMON "%s", g->constants ? g->constants : "");
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        if (reads(g, word))
            add_one(m, word);
    for (const step *s = g->steps; s < g->steps + sizeof g->steps / sizeof *s && s->op; s++)
        add_node(m, s->op, s->inputs, s->outputs, s->attributes);
    add_output(m, "z", g->type ? g->type : TL_UINT8);
    if (g->extra)
        add_output(m, g->extra, TL_FLOAT);
    return m;
}

static tl_tensor random_input(const char *dims, uint64_t seed)
{
    tl_tensor t = {.type = TL_FLOAT};
    t.rank = parse_dims(dims, 5, t.dims);
    const int64_t count = count_of(&t);
    t.data = malloc((size_t)(count + 1) * sizeof(float));
    for (int64_t i = 0; i < count; i++)
        ((float *)t.data)[i] = (float)(6 * noise(&seed));
    return t;
}

static outcome run_graph(const graph *g, bool rewrites)
{
    model *m = model_of_graph(g);
    tl_tensor inputs[2] = {random_input(g->x, 1), {0}};
    if (g->r)
        inputs[1] = random_input(g->r, 2);
    for (int64_t i = 0; i < (g->r ? count_of(&inputs[1]) : 0); i++)
        ((float *)inputs[1].data)[i] = fabsf(((float *)inputs[1].data)[i]) + 0.125F;
    outcome got = run_model_in(runtime_of(1), m, NULL, rewrites, inputs, g->r ? 2 : 1);
    free(inputs[0].data);
    free(inputs[1].data);
    free(m);
    return got;
}

START_TEST(each_graph)
{
    const graph *g = &graphs[_i];
    outcome off = run_graph(g, false), on = run_graph(g, true);
    ck_assert_msg(on.status == off.status, "%s: %s; without rules %s", g->name, on.error.message, off.error.message);
    ck_assert_msg((on.status == TL_OK) == (g->ops != NULL), "%s: %s", g->name, on.error.message);
    if (g->ops && *g->ops != '*')
        ck_assert_msg(strcmp(on.ops, g->ops) == 0, "%s: runs %s, not %s", g->name, on.ops, g->ops);
    ck_assert_int_eq(on.tensor.rank, off.tensor.rank);
    ck_assert_int_eq(count_of(&on.tensor), count_of(&off.tensor));
    const tl_type type = g->type ? g->type : TL_UINT8;
    for (int64_t i = 0; on.status == TL_OK && i < count_of(&on.tensor); i++) {
        const double a = get_number(type, off.tensor.data, i), b = get_number(type, on.tensor.data, i);
        ck_assert_msg(fabs(a - b) <= (type == TL_FLOAT ? 1e-4 : 1), "%s: element %lld is %g, and %g without rules",
                      g->name, (long long)i, b, a);
    }
    free_outcome(&off);
    free_outcome(&on);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantized.rules");
    TCase *cases = tcase_create("graphs");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, each_graph, 0, (int)(sizeof graphs / sizeof graphs[0]));
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
