/* Recognising SeparableConv1D: what becomes one, what must not, and that values stay. */
#include "separable_conv1d/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nodes of a graph with the float input x and the output y: operator, inputs, outputs, attributes. */
typedef struct step {
    const char *op, *inputs, *outputs, *attributes;
} step;

/* "name dims" of a float constant, or "name [numbers]" of an int64 one. */
typedef struct pattern {
    const char *name;
    const char *x;      /* its dims in the file */
    const char *at_run; /* and in the run */
    int64_t opset;
    int fused;       /* SeparableConv1Ds to be found */
    const char *ops; /* all operators afterwards, NULL: whatever */
    const char *constants[8];
    step steps[14];
} pattern;

/* ---- What becomes one operator
 * --------------------------------------------------------------------------------------- */

#define DEPTHWISE(pads)                     \
    {                                       \
        "Conv", "x w", "a", "group=4 " pads \
    }
#define POINTWISE              \
    {                          \
        "Conv", "a p", "y", "" \
    }
#define WEIGHTS "w 4,1,3", "p 5,4,1"
#define ONE     "SeparableConv1D"

static const pattern patterns[] = {
    {"two Convs, valid", "N,4,T", "2,4,9", 17, 1, ONE, {WEIGHTS}, {DEPTHWISE("pads=[0,0]"), POINTWISE}},
    {"same", "N,4,T", "2,4,9", 17, 1, ONE, {WEIGHTS}, {DEPTHWISE("pads=[1,1]"), POINTWISE}},
    {"causal", "N,4,T", "2,4,9", 17, 1, ONE, {WEIGHTS}, {DEPTHWISE("pads=[2,0]"), POINTWISE}},
    {"causal, dilated", "N,4,T", "2,4,9", 17, 1, ONE, {WEIGHTS}, {DEPTHWISE("pads=[6,0] dilations=[3]"), POINTWISE}},
    {"causal, stride", "N,4,T", "2,4,9", 17, 1, ONE, {WEIGHTS}, {DEPTHWISE("pads=[2,0] strides=[2]"), POINTWISE}},
    {"auto_pad, stride",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS},
     {DEPTHWISE("auto_pad='SAME_UPPER' strides=[2]"), POINTWISE}},
    {"auto_pad lower, odd kernel",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS},
     {DEPTHWISE("auto_pad='SAME_LOWER'"), POINTWISE}},
    {"same by known length", "2,4,9", "2,4,9", 17, 1, ONE, {WEIGHTS}, {DEPTHWISE("pads=[1,1] strides=[2]"), POINTWISE}},
    {"other padding", "N,4,T", "2,4,9", 17, 1, "Pad " ONE, {WEIGHTS}, {DEPTHWISE("pads=[2,1]"), POINTWISE}},
    {"other padding, opset 10", "N,4,T", "2,4,9", 10, 1, "Pad " ONE, {WEIGHTS}, {DEPTHWISE("pads=[0,1]"), POINTWISE}},
    {"symmetric, stride",
     "N,4,T",
     "2,4,8",
     17,
     1,
     "Pad " ONE,
     {WEIGHTS},
     {DEPTHWISE("pads=[1,1] strides=[2]"), POINTWISE}},
    {"biases",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS, "b 4", "c 5"},
     {{"Conv", "x w b", "a", "group=4"}, {"Conv", "a p c", "y", ""}}},
    {"multiplier", "N,4,T", "2,4,9", 17, 1, ONE, {"w 12,1,3", "p 5,12,1"}, {DEPTHWISE("pads=[1,1]"), POINTWISE}},
    {"one channel", "N,1,T", "2,1,9", 17, 1, ONE, {"w 6,1,3", "p 5,6,1"}, {{"Conv", "x w", "a", ""}, POINTWISE}},
    {"one channel, one filter",
     "N,1,T",
     "2,1,9",
     17,
     1,
     ONE,
     {"w 1,1,3", "p 1,1,1", "b 1,1,1"},
     {{"Conv", "x w", "a", ""}, {"Conv", "a p", "c", ""}, {"Add", "c b", "y", ""}}},
    {"two dimensions, height 1",
     "N,4,1,T",
     "2,4,1,9",
     17,
     1,
     NULL,
     {"w 4,1,1,3", "p 5,4,1,1", "i [2]"},
     {{"Squeeze", "x i", "s", ""},
      {"Unsqueeze", "s i", "u", ""},
      {"Conv", "u w", "a", "group=4 pads=[0,1,0,1]"},
      {"Conv", "a p", "b", ""},
      {"Squeeze", "b i", "y", ""}}},
    {"two dimensions, width 1",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {"w 4,1,3,1", "p 5,4,1,1", "i [3]"},
     {{"Unsqueeze", "x i", "u", ""},
      {"Conv", "u w", "a", "group=4 pads=[2,0,0,0]"},
      {"Conv", "a p", "b", ""},
      {"Squeeze", "b i", "y", ""}}},
    {"axes as attributes",
     "N,T,4",
     "2,9,4",
     11,
     1,
     ONE,
     {"w 4,1,1,3", "p 5,4,1,1"},
     {{"Unsqueeze", "x", "u", "axes=[1]"},
      {"Transpose", "u", "t", "perm=[0,3,1,2]"},
      {"Conv", "t w", "a", "group=4 strides=[2,2] pads=[0,2,0,0]"},
      {"Conv", "a p", "b", ""},
      {"Squeeze", "b", "c", "axes=[2]"},
      {"Transpose", "c", "d", "perm=[0,2,1]"},
      {"Relu", "d", "y", ""}}},
    {"negative axes",
     "N,T,4",
     "2,9,4",
     17,
     1,
     ONE,
     {"w 4,1,1,3", "p 5,4,1,1", "i [-3]", "j [-2]"},
     {{"Unsqueeze", "x i", "u", ""},
      {"Transpose", "u", "t", "perm=[0,3,1,2]"},
      {"Conv", "t w", "a", "group=4"},
      {"Conv", "a p", "b", ""},
      {"Squeeze", "b j", "c", ""},
      {"Transpose", "c", "y", "perm=[0,2,1]"}}},
    {"Pad in front",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS, "q [0,0,2,0,0,0]"},
     {{"Pad", "x q", "u", "mode='constant'"}, {"Conv", "u w", "a", "group=4"}, POINTWISE}},
    {"Pad and pads",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS, "q [0,0,1,0,0,0]"},
     {{"Pad", "x q", "u", ""}, {"Conv", "u w", "a", "group=4 pads=[1,0]"}, POINTWISE}},
    {"Pad with axes",
     "N,4,T",
     "2,4,9",
     18,
     1,
     ONE,
     {WEIGHTS, "q [2,0]", "i [-1]"},
     {{"Pad", "x q - i", "u", ""}, {"Conv", "u w", "a", "group=4"}, POINTWISE}},
    {"Pad of an old version",
     "N,4,T",
     "2,4,9",
     10,
     1,
     ONE,
     {WEIGHTS},
     {{"Pad", "x", "u", "pads=[0,0,2,0,0,0] value=0.0"}, {"Conv", "u w", "a", "group=4"}, POINTWISE}},
    {"computed pads",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS, "q [0,0,2]", "r [0,0,0]"},
     {{"Concat", "q r", "z", "axis=0"}, {"Pad", "x z", "u", ""}, {"Conv", "u w", "a", "group=4"}, POINTWISE}},
    {"chomped",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS, "s [0]", "e [-2]", "i [2]", "o [1]"},
     {{"Conv", "x w", "c", "group=4 pads=[2,2]"}, {"Slice", "c s e i o", "a", ""}, POINTWISE}},
    {"chomped after the pointwise one",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS, "s [0]", "e [-2]", "i [-1]"},
     {DEPTHWISE("pads=[2,2]"), {"Conv", "a p", "c", ""}, {"Slice", "c s e i", "y", ""}}},
    {"chomped, old version",
     "N,4,T",
     "2,4,9",
     9,
     1,
     ONE,
     {WEIGHTS},
     {{"Conv", "x w", "c", "group=4 pads=[2,2]"}, {"Slice", "c", "a", "starts=[0] ends=[-2] axes=[2]"}, POINTWISE}},
    {"BatchNormalization between",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS, "g 4", "b 4", "m 4", "v 1"},
     {{"Conv", "x w", "c", "group=4"},
      {"Abs", "g", "v4", ""},
      {"BatchNormalization", "c g b m v4", "a", "epsilon=0.01"},
      POINTWISE}},
    {"BatchNormalization behind",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS, "g 5", "b 5", "m 5"},
     {DEPTHWISE(""),
      {"Conv", "a p", "c", ""},
      {"Abs", "g", "v", ""},
      {"BatchNormalization", "c g b m v", "d", ""},
      {"Relu", "d", "y", ""}}},
    {"scaling and shift behind",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS, "g 1,5,1", "b 5,1", "h 1", "k 5,1"},
     {DEPTHWISE(""),
      {"Conv", "a p", "c", ""},
      {"Mul", "g c", "d", ""},
      {"Add", "d b", "e", ""},
      {"Sub", "e h", "f", ""},
      {"Div", "f k", "y", ""}}},
    {"Transposes between",
     "N,T,4",
     "2,9,4",
     17,
     1,
     ONE,
     {WEIGHTS},
     {{"Transpose", "x", "u", "perm=[0,2,1]"},
      {"Conv", "u w", "a1", "group=4 dilations=[2]"},
      {"Transpose", "a1", "a2", "perm=[0,2,1]"},
      {"Transpose", "a2", "a3", "perm=[0,2,1]"},
      {"Conv", "a3 p", "b", "dilations=[2]"},
      {"Transpose", "b", "y", "perm=[0,2,1]"}}},
    {"weights behind operators",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {"w 3,1,4", "p 5,4", "i [5,4,1]"},
     {{"Transpose", "w", "w1", "perm=[2,1,0]"},
      {"Identity", "w1", "w2", ""},
      {"Reshape", "p i", "p1", ""},
      {"Conv", "x w2", "a", "group=4"},
      {"Conv", "a p1", "y", ""}}},
    {"one layout in, another out",
     "N,T,4",
     "2,9,4",
     17,
     1,
     "Transpose " ONE,
     {"w 4,1,1,3", "p 5,4,1,1", "i [1]", "j [2]"},
     {{"Unsqueeze", "x i", "u", ""},
      {"Transpose", "u", "t", "perm=[0,3,1,2]"},
      {"Conv", "t w", "a", "group=4"},
      {"Conv", "a p", "b", ""},
      {"Squeeze", "b j", "y", ""}}},
    {"residual",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE " Add",
     {"w 4,1,3", "p 4,4,1"},
     {DEPTHWISE("pads=[1,1]"), {"Conv", "a p", "b", ""}, {"Add", "b x", "y", ""}}},
    {"two in a row",
     "N,4,T",
     "2,4,9",
     17,
     2,
     ONE " " ONE,
     {"w 4,1,3", "p 4,4,1"},
     {DEPTHWISE("pads=[1,1]"),
      {"Conv", "a p", "b", ""},
      {"Relu", "b", "c", ""},
      {"Conv", "c w", "d", "group=4 pads=[2,0]"},
      {"Conv", "d p", "y", ""}}},
    {"softmax over channels",
     "N,T,4",
     "2,9,4",
     17,
     1,
     ONE,
     {WEIGHTS},
     {{"Transpose", "x", "u", "perm=[0,2,1]"},
      {"Conv", "u w", "a", "group=4"},
      {"Conv", "a p", "b", ""},
      {"Transpose", "b", "c", "perm=[0,2,1]"},
      {"Softmax", "c", "y", "axis=-1"}}},
    {"softmax over time",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS},
     {DEPTHWISE(""), {"Conv", "a p", "b", ""}, {"LogSoftmax", "b", "y", "axis=2"}}},
    {"other softmax",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE " Softmax",
     {WEIGHTS},
     {DEPTHWISE(""), {"Conv", "a p", "b", ""}, {"Softmax", "b", "y", "axis=1"}}},
    {"PRelu of one slope",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE,
     {WEIGHTS, "s 1,1"},
     {DEPTHWISE(""), {"Conv", "a p", "b", ""}, {"PRelu", "b s", "y", ""}}},
    {"PRelu of many slopes",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE " PRelu",
     {WEIGHTS, "s 5,1"},
     {DEPTHWISE(""), {"Conv", "a p", "b", ""}, {"PRelu", "b s", "y", ""}}},
    {"bias of another shape",
     "N,4,T",
     "2,4,9",
     17,
     1,
     ONE " Add",
     {WEIGHTS, "b 7"},
     {DEPTHWISE(""), {"Conv", "a p", "c", ""}, {"Add", "c b", "y", ""}}},

    /* ---- What must stay ---- */
    {"second consumer in the middle",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "r 5,4,1"},
     {DEPTHWISE(""), {"Conv", "a p", "b", ""}, {"Conv", "a r", "c", ""}, {"Add", "b c", "y", ""}}},
    {"pad value",
     "N,4,T",
     "2,4,9",
     17,
     1,
     "Pad " ONE,
     {WEIGHTS, "q [0,0,2,0,0,0]", "v 1"},
     {{"Pad", "x q v", "u", ""}, {"Conv", "u w", "a", "group=4"}, POINTWISE}},
    {"reflected padding",
     "N,4,T",
     "2,4,9",
     17,
     1,
     "Pad " ONE,
     {WEIGHTS, "q [0,0,2,0,0,0]"},
     {{"Pad", "x q", "u", "mode='reflect'"}, {"Conv", "u w", "a", "group=4"}, POINTWISE}},
    {"padding of channels",
     "N,2,T",
     "2,2,9",
     17,
     1,
     "Pad " ONE,
     {WEIGHTS, "q [0,1,2,0,1,0]"},
     {{"Pad", "x q", "u", ""}, {"Conv", "u w", "a", "group=4"}, POINTWISE}},
    {"negative padding",
     "N,4,T",
     "2,4,9",
     17,
     1,
     "Pad " ONE,
     {WEIGHTS, "q [0,0,-1,0,0,0]"},
     {{"Pad", "x q", "u", ""}, {"Conv", "u w", "a", "group=4"}, POINTWISE}},
    {"grouped pointwise",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {"w 4,1,3", "p 6,2,1"},
     {DEPTHWISE(""), {"Conv", "a p", "y", "group=2"}}},
    {"padded pointwise", "N,4,T", "2,4,9", 17, 0, NULL, {WEIGHTS}, {DEPTHWISE(""), {"Conv", "a p", "y", "pads=[1,1]"}}},
    {"strided pointwise",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {DEPTHWISE(""), {"Conv", "a p", "y", "strides=[2]"}}},
    {"wide pointwise", "N,4,T", "2,4,9", 17, 0, NULL, {"w 4,1,3", "p 5,4,3"}, {DEPTHWISE(""), POINTWISE}},
    {"group not depthwise",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {"w 4,2,3", "p 5,4,1"},
     {{"Conv", "x w", "a", "group=2"}, POINTWISE}},
    {"stride with dilation",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {DEPTHWISE("strides=[2] dilations=[2]"), POINTWISE}},
    {"unequal dilations",
     "N,4,5,T",
     "2,4,5,9",
     17,
     0,
     NULL,
     {"w 4,1,2,3", "p 5,4,1,1"},
     {{"Conv", "x w", "a", "group=4 dilations=[1,2]"}, POINTWISE}},
    {"two true dimensions",
     "N,4,5,T",
     "2,4,5,9",
     17,
     0,
     NULL,
     {"w 4,1,3,3", "p 5,4,1,1"},
     {{"Conv", "x w", "a", "group=4"}, POINTWISE}},
    {"flat kernel over a true height",
     "N,4,5,T",
     "2,4,5,9",
     17,
     0,
     NULL,
     {"w 4,1,1,3", "p 5,4,1,1"},
     {{"Conv", "x w", "a", "group=4"}, POINTWISE}},
    {"padded height",
     "N,4,1,T",
     "2,4,1,9",
     17,
     0,
     NULL,
     {"w 4,1,1,3", "p 5,4,1,1"},
     {{"Conv", "x w", "a", "group=4 pads=[1,0,1,0]"}, POINTWISE}},
    {"activation in the middle",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {{"Conv", "x w", "b", "group=4"}, {"Relu", "b", "a", ""}, POINTWISE}},
    {"addition in the middle",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {{"Conv", "x w", "b", "group=4 pads=[1,1]"}, {"Add", "b x", "a", ""}, POINTWISE}},
    {"reversed in the middle",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "s [-1]", "e [-100]", "i [2]", "o [-1]"},
     {{"Conv", "x w", "b", "group=4"}, {"Slice", "b s e i o", "a", ""}, POINTWISE}},
    {"channels cut in the middle",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {"w 4,1,3", "p 5,3,1", "s [0]", "e [-1]", "i [1]"},
     {{"Conv", "x w", "b", "group=4"}, {"Slice", "b s e i", "a", ""}, POINTWISE}},
    {"cut into the input",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "s [0]", "e [-3]", "i [2]"},
     {{"Conv", "x w", "b", "group=4 pads=[2,2]"}, {"Slice", "b s e i", "a", ""}, POINTWISE}},
    {"time and channels exchanged",
     "N,4,4",
     "2,4,4",
     17,
     0,
     NULL,
     {WEIGHTS},
     {{"Conv", "x w", "b", "group=4 pads=[1,1]"}, {"Transpose", "b", "a", "perm=[0,2,1]"}, POINTWISE}},
    {"reshaped across axes",
     "N,4,6",
     "2,4,6",
     17,
     0,
     NULL,
     {"w 4,1,3", "p 5,6,1", "i [-1,6,4]"},
     {{"Conv", "x w", "b", "group=4 pads=[1,1]"}, {"Reshape", "b i", "a", ""}, POINTWISE}},
    {"even kernel, lower padding",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {"w 4,1,4", "p 5,4,1"},
     {DEPTHWISE("auto_pad='SAME_LOWER'"), POINTWISE}},
};

static double next_gap(const outcome *a, const outcome *b)
{
    double worst = 0;
    const int64_t count = tl_tensor_elements(&a->tensor);
    ck_assert_int_eq(a->tensor.rank, b->tensor.rank);
    for (int32_t i = 0; i < a->tensor.rank; i++)
        ck_assert_int_eq(a->tensor.dims[i], b->tensor.dims[i]);
    for (int64_t i = 0; i < count; i++) {
        const double x = get_number(a->tensor.type, a->tensor.data, i);
        const double y = get_number(b->tensor.type, b->tensor.data, i);
        worst = fmax(worst, fabs(x - y) / fmax(1, fabs(x)));
        ck_assert(!isnan(x) && !isnan(y));
    }
    return worst;
}

static void add_named(model *m, const char *text)
{
    char name[16];
    const size_t size = strcspn(text, " ");
    snprintf(name, sizeof name, "%.*s", (int)size, text);
    if (text[size + 1] == '[')
        add_numbers(m, name, text + size + 2);
    else
        add_weights(m, name, text + size + 1);
}

static model build(const pattern *p)
{
    model m = {.opset = p->opset};
    add_input(&m, "x", TL_FLOAT, p->x);
    for (int i = 0; i < 8 && p->constants[i] != NULL; i++)
        add_named(&m, p->constants[i]);
    for (int i = 0; i < 14 && p->steps[i].op != NULL; i++)
        add_node(&m, p->steps[i].op, p->steps[i].inputs, p->steps[i].outputs, p->steps[i].attributes);
    add_output(&m, "y", TL_FLOAT);
    return m;
}

static tl_tensor input_of(const char *dims, float *room, size_t most)
{
    tl_tensor x = {.data = room, .type = TL_FLOAT};
    uint64_t state = 77;
    x.rank = parse_dims(dims, 0, x.dims);
    ck_assert_int_le(tl_tensor_elements(&x), (int64_t)most);
    for (int64_t i = 0; i < tl_tensor_elements(&x); i++)
        room[i] = (float)(2 * noise(&state));
    return x;
}

/* Both ways of running a model agree; returns the rewritten one. */
static outcome check_model(const char *name, const model *m, const char *dims)
{
    float room[2048];
    const tl_tensor x = input_of(dims, room, 2048);
    outcome plain = run_model(m, 1, false, &x, 1);
    ck_assert_msg(plain.status == TL_OK, "%s: %s", name, plain.error.message);
    outcome fused = run_model(m, 1, true, &x, 1);
    ck_assert_msg(fused.status == TL_OK, "%s, rewritten: %s", name, fused.error.message);
    const double gap = next_gap(&plain, &fused);
    ck_assert_msg(gap <= 1e-5, "%s: values differ by %g", name, gap);
    free_outcome(&plain);
    return fused;
}

START_TEST(each_pattern)
{
    const pattern *p = &patterns[_i];
    const model m = build(p);
    outcome got = check_model(p->name, &m, p->at_run);
    ck_assert_msg(got.fused == p->fused, "%s: %d instead of %d: %s", p->name, got.fused, p->fused, got.ops);
    ck_assert_msg(p->ops == NULL || strcmp(got.ops, p->ops) == 0, "%s: %s left, not %s", p->name, got.ops, p->ops);
    free_outcome(&got);
}
END_TEST

/* Numbers from a file that no sum or product may be made of: refused or left alone, but never a crash. */
static const pattern hostile[] = {
    {"largest pads",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {DEPTHWISE("pads=[9223372036854775807,9223372036854775807]"), POINTWISE}},
    {"largest dilation",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {DEPTHWISE("dilations=[9223372036854775807]"), POINTWISE}},
    {"largest stride",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {DEPTHWISE("strides=[9223372036854775807]"), POINTWISE}},
    {"least end",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "s [0]", "e [-9223372036854775808]", "i [2]"},
     {{"Conv", "x w", "b", "group=4 pads=[2,2]"}, {"Slice", "b s e i", "a", ""}, POINTWISE}},
    {"least start",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "s [-9223372036854775808]", "e [9223372036854775807]", "i [2]"},
     {{"Conv", "x w", "b", "group=4 pads=[2,2]"}, {"Slice", "b s e i", "a", ""}, POINTWISE}},
    {"largest Pad",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "q [0,0,9223372036854775807,0,0,9223372036854775807]"},
     {{"Pad", "x q", "u", ""}, {"Conv", "u w", "a", "group=4"}, POINTWISE}},
    {"axes out of range",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "s [0]", "e [-1]", "i [9223372036854775807]"},
     {{"Conv", "x w", "b", "group=4 pads=[2,2]"}, {"Slice", "b s e i", "a", ""}, POINTWISE}},
    {"group 0", "N,4,T", "2,4,9", 17, 0, NULL, {WEIGHTS}, {{"Conv", "x w", "a", "group=0"}, POINTWISE}},
    {"perm out of range",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {{"Conv", "x w", "b", "group=4"}, {"Transpose", "b", "a", "perm=[0,7,-1]"}, POINTWISE}},
};

START_TEST(each_hostile)
{
    const model m = build(&hostile[_i]);
    float room[128];
    const tl_tensor x = input_of(hostile[_i].at_run, room, 128);
    for (int rewrites = 0; rewrites < 2; rewrites++) {
        outcome got = run_model(&m, 1, rewrites != 0, &x, 1);
        ck_assert_msg(got.status == TL_OK || got.error.message[0] != '\0', "%s: no message", hostile[_i].name);
        free_outcome(&got);
    }
}
END_TEST

/* A value in the middle that the graph gives out. */
START_TEST(output_in_the_middle)
{
    model m = build(&(pattern){.opset = 17, .x = "N,4,T", .constants = {WEIGHTS}, .steps = {DEPTHWISE(""), POINTWISE}});
    add_output(&m, "a", TL_FLOAT);
    outcome got = check_model("output in the middle", &m, "2,4,9");
    ck_assert_int_eq(got.fused, 0);
    free_outcome(&got);
}
END_TEST

/* The activation's input is given out: the operator ends before it. */
START_TEST(output_before_the_activation)
{
    model m = build(&(pattern){.opset = 17,
                               .x = "N,4,T",
                               .constants = {WEIGHTS},
                               .steps = {DEPTHWISE(""), {"Conv", "a p", "b", ""}, {"Relu", "b", "y", ""}}});
    add_output(&m, "b", TL_FLOAT);
    outcome got = check_model("output before the activation", &m, "2,4,9");
    ck_assert_str_eq(got.ops, "SeparableConv1D Relu");
    free_outcome(&got);
}
END_TEST

/* ---- Activations
 * -------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int64_t opset;
    const char *constants[4];
    step steps[8];
    int left; /* nodes besides the operator */
} activations[] = {
    {"Relu", 17, {NULL}, {{"Relu", "c", "y", ""}}, 0},
    {"Elu", 17, {NULL}, {{"Elu", "c", "y", "alpha=0.7"}}, 0},
    {"LeakyRelu", 17, {NULL}, {{"LeakyRelu", "c", "y", ""}}, 0},
    {"Selu", 17, {NULL}, {{"Selu", "c", "y", ""}}, 0},
    {"Selu of other numbers", 17, {NULL}, {{"Selu", "c", "y", "alpha=1.5"}}, 1},
    {"Exp", 17, {NULL}, {{"Exp", "c", "y", ""}}, 0},
    {"Sigmoid", 17, {NULL}, {{"Sigmoid", "c", "y", ""}}, 0},
    {"Softplus", 17, {NULL}, {{"Softplus", "c", "y", ""}}, 0},
    {"Softsign", 17, {NULL}, {{"Softsign", "c", "y", ""}}, 0},
    {"Tanh", 17, {NULL}, {{"Tanh", "c", "y", ""}}, 0},
    {"HardSigmoid", 17, {NULL}, {{"HardSigmoid", "c", "y", ""}}, 0},
    {"HardSigmoid of a sixth", 17, {NULL}, {{"HardSigmoid", "c", "y", "alpha=0.16666667"}}, 0},
    {"HardSigmoid of a third", 17, {NULL}, {{"HardSigmoid", "c", "y", "alpha=0.33333333"}}, 1},
    {"Mish", 18, {NULL}, {{"Mish", "c", "y", ""}}, 0},
    {"Gelu", 20, {NULL}, {{"Gelu", "c", "y", ""}}, 0},
    {"Gelu by tanh", 20, {NULL}, {{"Gelu", "c", "y", "approximate='tanh'"}}, 0},
    {"Clip to 6", 17, {"l=0", "h=6"}, {{"Clip", "c l h", "y", ""}}, 0},
    {"Clip to 5", 17, {"l=0", "h=5"}, {{"Clip", "c l h", "y", ""}}, 1},
    {"Clip of an old version", 10, {NULL}, {{"Clip", "c", "y", "min=0.0 max=6.0"}}, 0},
    {"Relu and Min", 17, {"h=6"}, {{"Relu", "c", "d", ""}, {"Min", "d h", "y", ""}}, 0},
    {"Relu and another Min", 17, {"h=2"}, {{"Relu", "c", "d", ""}, {"Min", "d h", "y", ""}}, 1},
    {"Max and Min", 17, {"l=0", "h=6"}, {{"Max", "c l", "d", ""}, {"Min", "h d", "y", ""}}, 0},
    {"swish", 17, {NULL}, {{"Sigmoid", "c", "d", ""}, {"Mul", "d c", "y", ""}}, 0},
    {"almost swish", 17, {NULL}, {{"Sigmoid", "c", "d", ""}, {"Add", "d c", "y", ""}}, 2},
    {"mish", 17, {NULL}, {{"Softplus", "c", "d", ""}, {"Tanh", "d", "e", ""}, {"Mul", "c e", "y", ""}}, 0},
    {"hard_sigmoid",
     17,
     {"a=0.2", "b=0.5", "l=0", "h=1"},
     {{"Mul", "c a", "d", ""}, {"Add", "d b", "e", ""}, {"Min", "e h", "f", ""}, {"Max", "f l", "y", ""}},
     0},
    {"hard_sigmoid by Clip",
     17,
     {"a=0.2", "b=0.5", "l=0", "h=1"},
     {{"Mul", "a c", "d", ""}, {"Add", "b d", "e", ""}, {"Clip", "e l h", "y", ""}},
     0},
    {"hard_sigmoid of 3",
     17,
     {"a=3", "b=6", "l=0"},
     {{"Add", "c a", "d", ""}, {"Clip", "d l b", "e", ""}, {"Div", "e b", "y", ""}},
     0},
    {"gelu by Erf",
     17,
     {"a=1.41421356", "b=1", "h=0.5"},
     {{"Div", "c a", "d", ""},
      {"Erf", "d", "e", ""},
      {"Add", "e b", "f", ""},
      {"Mul", "c f", "g", ""},
      {"Mul", "g h", "y", ""}},
     0},
    {"gelu by Erf, halved first",
     17,
     {"a=0.70710678", "b=1", "h=0.5"},
     {{"Mul", "c a", "d", ""},
      {"Erf", "d", "e", ""},
      {"Add", "e b", "f", ""},
      {"Mul", "c h", "g", ""},
      {"Mul", "g f", "y", ""}},
     0},
    {"gelu by Erf, scaled wrong",
     17,
     {"a=1.5", "b=1", "h=0.5"},
     {{"Div", "c a", "d", ""},
      {"Erf", "d", "e", ""},
      {"Add", "e b", "f", ""},
      {"Mul", "c f", "g", ""},
      {"Mul", "g h", "y", ""}},
     5},
    {"gelu by Tanh",
     17,
     {"a=0.044715", "b=1", "h=0.5", "s=0.79788456"},
     {{"Mul", "c c", "d", ""},
      {"Mul", "d c", "e", ""},
      {"Mul", "e a", "f", ""},
      {"Add", "c f", "g", ""},
      {"Mul", "g s", "i", ""},
      {"Tanh", "i", "j", ""},
      {"Add", "j b", "k", ""},
      {"Mul", "c k", "q", ""}},
     1},
};

static void add_scalar(model *m, const char *text)
{
    const char name[2] = {text[0], '\0'};
    const float value = strtof(text + 2, NULL);
    add_constant(m, name, TL_FLOAT, "", &value);
}

START_TEST(each_activation)
{
    model m = {.opset = activations[_i].opset};
    add_input(&m, "x", TL_FLOAT, "N,4,T");
    add_weights(&m, "w", "4,1,3");
    add_weights(&m, "p", "5,4,1");
    for (int i = 0; i < 4 && activations[_i].constants[i] != NULL; i++)
        add_scalar(&m, activations[_i].constants[i]);
    add_node(&m, "Conv", "x w", "z", "group=4");
    add_node(&m, "Conv", "z p", "c", "");
    bool ends = false;
    for (int i = 0; i < 8 && activations[_i].steps[i].op != NULL; i++) {
        const step *s = &activations[_i].steps[i];
        add_node(&m, s->op, s->inputs, s->outputs, s->attributes);
        ends = strcmp(s->outputs, "y") == 0;
    }
    if (!ends) { /* the longest one is a node longer than the table: x k / 2 */
        add_node(&m, "Mul", "q h", "y", "");
    }
    add_output(&m, "y", TL_FLOAT);
    outcome got = check_model(activations[_i].name, &m, "2,4,9");
    const int left = ends ? activations[_i].left : 0;
    ck_assert_msg(got.fused == 1 && got.nodes == 1 + left, "%s: %s", activations[_i].name, got.ops);
    free_outcome(&got);
}
END_TEST

/* ---- Memory
 * ------------------------------------------------------------------------------------------------------------- */

/* Refuses from the `left`-th request on, and counts what is out. */
typedef struct purse {
    long left, out;
} purse;

static void *spend(void *user, size_t size, size_t alignment)
{
    purse *p = user;
    if (p->left-- <= 0)
        return NULL;
    void *memory = aligned_alloc(alignment < 64 ? 64 : alignment, (size + 4095) / 4096 * 4096 + (size == 0 ? 4096 : 0));
    p->out += memory != NULL;
    return memory;
}

static void give_back(void *user, void *memory)
{
    purse *p = user;
    p->out -= memory != NULL;
    free(memory);
}

/* Loads and runs with at most `left` requests. */
static tl_status run_within(purse *p, const void *bytes, size_t size, const tl_tensor *x)
{
    const tl_runtime_options options = {.size = sizeof options, .allocator = {spend, give_back, p}};
    tl_runtime *runtime = NULL;
    tl_session *session = NULL;
    tl_context *context = NULL;
    tl_error error;
    tl_status status = tl_runtime_create(&options, &runtime, &error);
    if (status == TL_OK)
        status = tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error);
    if (status == TL_OK)
        status = tl_session_open_memory(runtime, bytes, size, NULL, &session, &error);
    if (status == TL_OK)
        status = tl_context_create(session, &context, &error);
    if (status == TL_OK)
        status = tl_context_set_input(context, 0, x, &error);
    if (status == TL_OK)
        status = tl_context_run(context, &error);
    ck_assert_msg(status == TL_OK || error.message[0] != '\0', "no message");
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    return status;
}

/* Whichever request is refused, nothing is left behind; with enough of them it works. */
START_TEST(every_refusal)
{
    float room[128];
    size_t size = 0;
    const pattern *p = NULL;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (strcmp(patterns[i].name, "BatchNormalization behind") == 0)
            p = &patterns[i];
    ck_assert_ptr_nonnull(p);
    const model m = build(p);
    const tl_tensor x = input_of(p->at_run, room, 128);
    void *bytes = finish_model(&m, &size);
    long left = 0;
    for (tl_status status = TL_NO_MEMORY; status != TL_OK; left++) {
        purse money = {left, 0};
        ck_assert_int_lt(left, 100000);
        status = run_within(&money, bytes, size, &x);
        ck_assert_msg(money.out == 0, "%ld pieces of memory left behind after %ld requests", money.out, left);
    }
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("separable_conv1d.fuse");
    TCase *tests = tcase_create("fuse");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each_pattern, 0, (int)(sizeof patterns / sizeof *patterns));
    tcase_add_loop_test(tests, each_activation, 0, (int)(sizeof activations / sizeof *activations));
    tcase_add_loop_test(tests, each_hostile, 0, (int)(sizeof hostile / sizeof *hostile));
    tcase_add_test(tests, every_refusal);
    tcase_add_test(tests, output_in_the_middle);
    tcase_add_test(tests, output_before_the_activation);
    suite_add_tcase(suite, tests);
    return run_tests(suite);
}
