/* Strips against the whole, bit by bit; and what is not cut, because it is not local. */
#include "strips.h"

#include <stdio.h>

/* ---- Runs of x, whole and in strips */

typedef enum expectation { WHOLE, CUT } expectation;

#define STRIP_BYTES (3 << 13)
static size_t strip_bytes = STRIP_BYTES; /* of the next check_cut */

/* Twice in strips: into memory of the context, and into a buffer. */
static void compare(tl_session *session, const tl_tensor *x, expectation expected)
{
    tl_context *whole = open_context(session), *strips = open_context(session);
    tl_tensor a, b;
    tl_context_set_strips(whole, 0);
    tl_context_set_strips(strips, strip_bytes);
    run_once(whole, x, &a);
    ck_assert(!is_cut(whole));
    size_t bytes = (size_t)tl_tensor_bytes(&a);
    void *buffer = aligned_alloc(64, (bytes + 63) / 64 * 64);
    ck_assert_ptr_nonnull(buffer);
    for (int bound = 0; bound < 2; bound++) {
        if (bound)
            ck_assert_int_eq(tl_context_bind_output(strips, 0, buffer, bytes, &test_error), TL_OK);
        run_once(strips, x, &b);
        if (!bound)
            ck_assert_msg(is_cut(strips) == (expected == CUT), "length %lld", (long long)x->dims[x->rank - 1]);
        ck_assert_int_eq(tl_tensor_bytes(&b), tl_tensor_bytes(&a));
        ck_assert(memcmp(a.dims, b.dims, (size_t)a.rank * sizeof a.dims[0]) == 0);
        ck_assert_msg(memcmp(a.data, b.data, bytes) == 0, "other bits");
    }
    tl_context_destroy(whole);
    tl_context_destroy(strips);
    free(buffer);
}

#ifdef __SANITIZE_THREAD__
#define FEWEST_THREADS 2 /* one alone races with nobody */
#else
#define FEWEST_THREADS 1
#endif

/* With 1 and 2 threads, over lengths from that of x on. `axis` is the one that is long. */
static void check_cut(tl_tensor x, int32_t axis, int lengths, expectation expected)
{
    for (int threads = FEWEST_THREADS; threads <= 2; threads++) {
        const tl_runtime_options options = {.size = sizeof options, .threads = threads};
        tl_runtime *runtime = open_runtime(&options);
        ck_assert_int_eq(tl_plugin_register(runtime, tl_plugin_separable_conv1d, &test_error), TL_OK);
        tl_session *session = open_session(runtime, 0);
        for (int i = 0; i < lengths; i++) {
            tl_tensor longer = x;
            longer.dims[axis] += i * (i + 3) / 2;
            longer.data = signal_of(&longer);
            compare(session, &longer, expected);
            free(longer.data);
        }
        tl_session_destroy(session);
        tl_runtime_destroy(runtime);
    }
    strip_bytes = STRIP_BYTES;
}

/* ---- What is cut */

START_TEST(test_causal)
{
    begin();
    conv("x", "a", "w0", 6, 4, 3, "pads=[2,0]");
    add("Relu", "a", "b", "");
    conv("b", "c", "w1", 6, 6, 3, "pads=[8,0] dilations=[4]");
    add("Add", "b c", "d", "");
    conv("d", "e", "w2", 6, 6, 2, "pads=[8,0] dilations=[8]");
    add("Tanh", "e", "f", "");
    add("Add", "d f", "y", "");
    finish("A,B,C");
    check_cut(floats(3, 2, 4, 4000, 0), 2, 12, CUT);
}
END_TEST

/* One network for each stride, and pads that depend on the length. */
START_TEST(test_strides)
{
    static const char *const pads[] = {"pads=[3,3]", "pads=[0,0]", "auto_pad='SAME_UPPER'", "auto_pad='SAME_LOWER'"};
    char attributes[64];
    snprintf(attributes, sizeof attributes, "%s strides=[%d]", pads[_i % 4], _i / 4 + 1);
    begin();
    conv("x", "a", "w0", 5, 3, 7, attributes);
    add("LeakyRelu", "a", "b", "");
    conv("b", "c", "w1", 5, 5, 4, attributes);
    conv("c", "y", "w2", 2, 5, 3, "pads=[1,1]");
    finish("A,B,C");
    check_cut(floats(3, 1, 3, 24000, 0), 2, 10, CUT);
}
END_TEST

START_TEST(test_pools)
{
    static const char *const pools[][2] = {
        {"MaxPool", "kernel_shape=[3] strides=[2] pads=[1,1]"},
        {"MaxPool", "kernel_shape=[3] strides=[3] ceil_mode=1"},
        {"AveragePool", "kernel_shape=[4] strides=[2] pads=[2,1]"},
        {"AveragePool", "kernel_shape=[5] strides=[2] pads=[2,2] count_include_pad=1 ceil_mode=1"},
        {"LpPool", "kernel_shape=[3] auto_pad='SAME_UPPER' strides=[2]"},
    };
    begin();
    conv("x", "a", "w0", 4, 3, 3, "pads=[1,1]");
    add(pools[_i][0], "a", "b", pools[_i][1]);
    conv("b", "c", "w1", 4, 4, 3, "pads=[2,0]");
    add(pools[_i][0], "c", "y", pools[_i][1]);
    finish("A,B,C");
    check_cut(floats(3, 2, 3, 6000, 0), 2, 10, CUT);
}
END_TEST

/* Depthwise and pointwise: the private SeparableConv1D, in both layouts. */
START_TEST(test_separable)
{
    begin();
    if (_i)
        add("Transpose", "x", "x0", "perm=[0,2,1]");
    conv(_i ? "x0" : "x", "a", "w0", 8, 1, 5, "group=8 pads=[4,0]");
    conv("a", "b", "w1", 8, 8, 1, "");
    add("Relu", "b", "c", "");
    conv("c", "d", "w2", 8, 1, 5, "group=8 pads=[4,4] dilations=[2]");
    conv("d", "e", "w3", 8, 8, 1, "");
    add("Add", "c e", "f", "");
    add("Relu", "f", _i ? "g" : "y", "");
    if (_i)
        add("Transpose", "g", "y", "perm=[0,2,1]");
    finish("A,B,C");
    tl_tensor x = _i ? floats(3, 1, 4000, 8, 0) : floats(3, 1, 8, 4000, 0);
    check_cut(x, _i ? 1 : 2, 12, CUT);
    x.dims[0] = 3;
    check_cut(x, _i ? 1 : 2, 3, CUT);
}
END_TEST

/* Time as an axis of batches. */
START_TEST(test_channels_last)
{
    begin();
    add_weights(&network, "w", "6,10");
    add_weights(&network, "c", "10");
    add_weights(&network, "scale", "10");
    add("MatMul", "x w", "a", "");
    add("Add", "a c", "b", "");
    add("LayerNormalization", "b scale", "d", "");
    add("Split", "d", "e f", "axis=-1");
    add("Concat", "f e", "g", "axis=2");
    add("Softmax", "g", "y", "");
    finish("A,B,C");
    check_cut(floats(3, 1, 4000, 6, 0), 1, 4, CUT);
}
END_TEST

START_TEST(test_gated)
{
    begin();
    for (int i = 0; i < 4; i++)
        add_weights(&network, ((const char *[]){"scale", "shift", "mean", "variance"})[i], "4");
    add("Abs", "variance", "positive", "");
    add("BatchNormalization", "x scale shift mean positive", "a", "");
    add("Relu", "a", "b", "");
    conv("b", "c", "w0", 8, 4, 3, "pads=[2,2] dilations=[2]");
    add("Split", "c", "d e", "axis=1");
    add("Tanh", "d", "f", "");
    add("Sigmoid", "e", "g", "");
    add("Mul", "f g", "h", "");
    add("Concat", "h x", "i", "axis=1");
    add("Softmax", "i", "y", "axis=1");
    finish("A,B,C");
    check_cut(floats(3, 2, 4, 4000, 0), 2, 6, CUT);
}
END_TEST

/* Convolutions of images with one row, as Keras exports have them: views, and a shape that is computed. */
START_TEST(test_views)
{
    begin();
    add_numbers(&network, "two", "2");
    add("Unsqueeze", "x two", "a", "");
    add_weights(&network, "w", "4,3,1,3");
    add("Conv", "a w", "b", "pads=[0,1,0,1]");
    add("Shape", "x", "shape", "");
    add("Relu", "b", "c", "");
    add_numbers(&network, "rows", "0,4,-1");
    add("Reshape", "c rows", "d", "");
    add_weights(&network, "w1", "3,4,3");
    add("Conv", "d w1", "e", "pads=[1,1]");
    add("Reshape", "e shape", "y", "");
    finish("A,B,C");
    check_cut(floats(3, 1, 3, 9000, 0), 2, 4, CUT);
}
END_TEST

/* Halves of channels, and all but the first samples of one channel: stretches of what they are taken from. */
START_TEST(test_parts)
{
    begin();
    add_numbers(&network, "halves", "4,4");
    add_numbers(&network, "five", "5");
    add_numbers(&network, "end", "9223372036854775807");
    add_numbers(&network, "time", "2");
    conv("x", "a", "w0", 8, 3, 3, "pads=[2,0]");
    add("Split", "a halves", "b c", "axis=1");
    add("Sigmoid", "c", "d", "");
    add("Mul", "b d", "e", "");
    conv("e", "f", "w1", 1, 4, 3, "pads=[1,1]");
    add("Slice", "f five end time", "g", "");
    conv("g", "y", "w2", 2, 1, 3, "pads=[2,0]");
    finish("A,B,C");
    check_cut(floats(3, 1, 3, 9000, 0), 2, 6, CUT);
}
END_TEST

START_TEST(test_images)
{
    begin();
    add_weights(&network, "w0", "4,3,3,3");
    add_weights(&network, "w1", "4,4,3,3");
    add("Conv", "x w0", "a", "pads=[1,1,1,1] strides=[2,2]");
    add("Relu", "a", "b", "");
    add("Conv", "b w1", "c", "pads=[1,1,1,1]");
    add("Add", "b c", "d", "");
    add("MaxPool", "d", "y", "kernel_shape=[2,2] strides=[2,2]");
    finish("A,B,C,D");
    strip_bytes = 2 * STRIP_BYTES;
    check_cut(floats(4, 1, 3, 5000, 14), 2, 4, CUT);
}
END_TEST

/* Many samples are cut as long ones are. */
START_TEST(test_batches)
{
    begin();
    conv("x", "a", "w0", 4, 3, 3, "pads=[1,1]");
    add("Relu", "a", "b", "");
    conv("b", "c", "w1", 4, 4, 3, "pads=[1,1]");
    add("MaxPool", "c", "y", "kernel_shape=[2] strides=[2]");
    finish("A,B,C");
    check_cut(floats(3, 3000, 3, 16, 0), 0, 4, CUT);
}
END_TEST

/* What is cut off at an end, every other step, and pads that are not a convolution's. */
START_TEST(test_chomp)
{
    static const char *const modes[] = {"", "mode='edge'", "mode='reflect'"};
    begin();
    add_numbers(&network, "first", "0");
    add_numbers(&network, "ends", "-8");
    add_numbers(&network, "two", "2");
    add_numbers(&network, "pads", "0,0,6,0,0,3");
    add_numbers(&network, "odd", "1,1");
    add_numbers(&network, "cropped", "1,-2");
    add_numbers(&network, "axes", "1,2");
    add_numbers(&network, "steps", "1,2");
    conv("x", "a", "w0", 4, 4, 9, "");
    add("Tanh", "x", "b", "");
    add("Slice", "b first ends two", "c", "");
    add("Add", "a c", "e", "");
    add("Pad", "e pads", "f", modes[_i]);
    conv("f", "d", "w2", 6, 4, 4, "dilations=[3]");
    add("Exp", "d", "g", "");
    add("Slice", "g odd cropped axes steps", "y", "");
    finish("A,B,C");
    check_cut(floats(3, 1, 4, 4000, 0), 2, 8, CUT);
}
END_TEST

/* Transposed convolutions: several outputs for each step of the input, and fewer again. */
START_TEST(test_transposed)
{
    static const char *const attributes[] = {"strides=[2]",
                                             "strides=[2] pads=[1,1]",
                                             "strides=[3] pads=[2,0] output_padding=[2]",
                                             "strides=[4] auto_pad='SAME_UPPER'",
                                             "strides=[1] dilations=[3] pads=[1,5]",
                                             "strides=[5] dilations=[2] auto_pad='SAME_LOWER'"};
    begin();
    conv("x", "a", "w0", 6, 4, 3, "strides=[2] pads=[1,1]");
    add("Relu", "a", "b", "");
    add_weights(&network, "w1", "6,4,4");
    add("ConvTranspose", "b w1", "c", attributes[_i]);
    conv("c", "y", "w2", 3, 4, 3, "strides=[2] pads=[1,1]");
    finish("A,B,C");
    strip_bytes = 1 << 15;
    check_cut(floats(3, 2, 4, 24000, 0), 2, 8, CUT);
}
END_TEST

/* A U-Net: a way down and up again, and one beside it. */
START_TEST(test_resized)
{
    static const char *const modes[] = {
        "mode='nearest' coordinate_transformation_mode='asymmetric' nearest_mode='floor'",
        "mode='nearest'",
        "mode='nearest' nearest_mode='ceil'",
        "mode='linear'",
        "mode='linear' coordinate_transformation_mode='pytorch_half_pixel'",
        "mode='cubic' exclude_outside=1"};
    begin();
    add_constant(&network, "scales", TL_FLOAT, "3", (float[]){1, 1, 2});
    conv("x", "a", "w0", 6, 4, 2, "strides=[2]");
    add("Tanh", "a", "b", "");
    conv("b", "c", "w1", 6, 6, 3, "pads=[1,1]");
    add("Resize", "c - scales", "d", modes[_i]);
    conv("x", "e", "w2", 6, 4, 1, "");
    add("Add", "d e", "f", "");
    conv("f", "y", "w3", 3, 6, 3, "pads=[1,1]");
    finish("A,B,C");
    check_cut(floats(3, 1, 4, 12000, 0), 2, 1, CUT);
    check_cut(floats(3, 1, 4, 11996, 0), 2, 1, CUT);
}
END_TEST

/* Lengths that are computed: what is cropped to another's length, resized to it, expanded to it. */
START_TEST(test_computed_lengths)
{
    begin();
    add_numbers(&network, "two", "2");
    add_numbers(&network, "zero", "0");
    add_numbers(&network, "five", "5");
    conv("x", "a", "w0", 6, 4, 4, "strides=[4]");
    add("Shape", "x", "shape", "");
    add("Gather", "shape two", "length", "");
    add("Sub", "length five", "end", "");
    add_weights(&network, "w1", "6,6,4");
    add("ConvTranspose", "a w1", "b", "strides=[4]");
    add("Slice", "b zero end two", "c", "");
    add_numbers(&network, "front", "1,6");
    add("Concat", "front length", "sizes", "axis=0");
    add("Resize", "a - - sizes", "d", "mode='linear'");
    add("Slice", "d five length two", "e", "");
    add("ReduceMax", "x", "f", "axes=[1]");
    add("Expand", "f sizes", "g", "");
    add("Slice", "g zero end two", "h", "");
    add("Sum", "c e h", "y", "");
    finish("A,B,C");
    for (int more = 0; more <= 16; more += 16) {
        strip_bytes = 2 * STRIP_BYTES;
        check_cut(floats(3, 1, 4, 24000 + more, 0), 2, 1, CUT);
    }
}
END_TEST

/* Mel features, as a network begins with them: reflected pads, spectra of frames that overlap, a product. */
START_TEST(test_spectra)
{
    begin();
    add_numbers(&network, "pads", "0,24,0,24");
    add_constant(&network, "step", TL_INT64, "", &(int64_t){16});
    add_numbers(&network, "three", "3");
    add_numbers(&network, "minus_one", "-1");
    add_weights(&network, "window", "48");
    add_weights(&network, "mel", "25,6");
    add("Pad", "x pads", "a", "mode='reflect'");
    add("Unsqueeze", "a minus_one", "b", "");
    add("STFT", "b step window", "c", "");
    add("Mul", "c c", "d", "");
    add("ReduceSum", "d three", "e", "keepdims=0");
    add("MatMul", "e mel", "f", "");
    add("Abs", "f", "g", "");
    add("Sqrt", "g", "y", "");
    finish("A,B");
    check_cut(floats(2, 1, 30000, 0, 0), 1, 8, CUT);
}
END_TEST

/* Frames: several steps become one, and several again. */
START_TEST(test_frames)
{
    begin();
    add_numbers(&network, "frames", "0,-1,24");
    add_numbers(&network, "halves", "0,-1,5");
    add_weights(&network, "w", "24,10");
    add("Reshape", "x frames", "a", "");
    add("MatMul", "a w", "b", "");
    add("Reshape", "b halves", "c", "");
    add("Relu", "c", "y", "");
    finish("A,B,C");
    check_cut(floats(3, 2, 8000, 6, 0), 1, 1, CUT);
    check_cut(floats(3, 1, 8004, 6, 0), 1, 1, CUT);
}
END_TEST

/* What is computed of each step's channels, or of some of them. */
START_TEST(test_channels)
{
    begin();
    add_numbers(&network, "one", "1");
    add_numbers(&network, "chosen", "3,0,-1");
    add_numbers(&network, "twice", "1,2,1");
    add_numbers(&network, "wide", "1,6,1");
    add("ReduceMean", "x", "a", "axes=[1]");
    add("Sub", "x a", "b", "");
    add("Mul", "b b", "c", "");
    add("ReduceSum", "c one", "d", "keepdims=0");
    add("Unsqueeze", "d one", "e", "");
    add("Sqrt", "e", "f", "");
    add("Div", "b f", "g", "");
    add("LRN", "g", "h", "size=3");
    add("LpNormalization", "h", "i", "axis=1");
    add("Gather", "i chosen", "j", "axis=1");
    add("Tile", "j twice", "k", "");
    add("ArgMax", "h", "l", "axis=1");
    add("Cast", "l", "m", "to=1");
    add("Expand", "m wide", "n", "");
    add("Add", "k n", "y", "");
    finish("A,B,C");
    check_cut(floats(3, 2, 4, 4000, 0), 2, 4, CUT);
}
END_TEST

/* To bytes and back; their names are the input's with 'q', and the output's. */
static void quantize(const char *input, const char *output)
{
    char inputs[16], bytes[8];
    snprintf(bytes, sizeof bytes, "%sq", input);
    snprintf(inputs, sizeof inputs, "%s s z", input);
    add("QuantizeLinear", inputs, bytes, "");
    snprintf(inputs, sizeof inputs, "%s s z", bytes);
    add("DequantizeLinear", inputs, output, "");
}

/* A convolution whose weights are bytes. */
static void quantized_conv(const char *input, const char *output, const char *name, const char *dims,
                           const char *attributes)
{
    char inputs[16], weights[8];
    int8_t bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (int8_t)(noise(&seed) * 100);
    snprintf(weights, sizeof weights, "%sq", name);
    add_constant(&network, weights, TL_INT8, dims, bytes);
    snprintf(inputs, sizeof inputs, "%s s zero", weights);
    add("DequantizeLinear", inputs, name, "");
    snprintf(inputs, sizeof inputs, "%s %s", input, name);
    add("Conv", inputs, output, attributes);
}

/* QDQ, of which operators on bytes are made. */
typedef struct bytes_case {
    const char *op, *attributes;
    expectation expected;
} bytes_case;

static const bytes_case on_bytes[] = {
    {"com.microsoft:QLinearAveragePool", "kernel_shape=[4] strides=[2] pads=[2,1]", CUT},
    {"com.microsoft:QLinearAveragePool", "kernel_shape=[5] strides=[2] pads=[2,2] count_include_pad=1 ceil_mode=1",
     CUT},
    {"com.microsoft:QLinearAveragePool", "kernel_shape=[3] auto_pad='SAME_UPPER' strides=[2]", CUT},
    {"com.microsoft:QLinearAveragePool", "kernel_shape=[3] channels_last=1", WHOLE},
    {"com.microsoft:QLinearSoftmax", "axis=1 opset=13", CUT},
    {"com.microsoft:QLinearSoftmax", "axis=-2 opset=13", CUT},
    {"com.microsoft:QLinearSoftmax", "axis=2 opset=13", WHOLE},
    {"com.microsoft:QLinearSoftmax", "axis=-1 opset=12", WHOLE},
    {"com.microsoft:QLinearSoftmax", "axis=1 opset=12", WHOLE},
};

START_TEST(test_on_bytes)
{
    const bytes_case *c = &on_bytes[_i];
    begin();
    add_constant(&network, "s", TL_FLOAT, "", (float[]){0.02F});
    add_constant(&network, "z", TL_UINT8, "", (uint8_t[]){110});
    add("QuantizeLinear", "x s z", "a", "");
    add(c->op, "a s z s z", "b", c->attributes);
    add("DequantizeLinear", "b s z", "y", "");
    finish("A,B,C");
    check_cut(floats(3, 2, 4, 40000, 0), 2, 3, c->expected);
}
END_TEST

START_TEST(test_quantized)
{
    begin();
    add_constant(&network, "s", TL_FLOAT, "", &(float){0.0125F});
    add_constant(&network, "z", TL_UINT8, "", &(uint8_t){120});
    add_constant(&network, "zero", TL_INT8, "", &(int8_t){0});
    quantize("x", "a");
    quantized_conv("a", "b", "w0", "4,4,3", "pads=[4,0] dilations=[2]");
    add("Relu", "b", "c", "");
    quantize("c", "d");
    add("Add", "a d", "e", "");
    quantize("e", "f");
    quantized_conv("f", "g", "w1", "4,1,3", "group=4 strides=[2] pads=[1,1]");
    quantize("g", "h");
    add("Sigmoid", "h", "i", "");
    quantize("i", "j");
    add("Concat", "h j", "k", "axis=1");
    quantize("k", "l");
    add("MaxPool", "l", "m", "kernel_shape=[3]");
    add("Transpose", "m", "n", "perm=[0,2,1]");
    add_constant(&network, "w2q", TL_INT8, "8,2", (int8_t[]){9, -8, 70, 6, 50, 4, -30, 2, 1, 90, 8, -77, 6, 5, 4, 3});
    add("DequantizeLinear", "w2q s zero", "w2", "");
    add("MatMul", "n w2", "o", "");
    quantize("o", "y");
    finish("A,B,C");
    check_cut(floats(3, 2, 4, 6000, 0), 2, 8, CUT);
}
END_TEST

/* The operators that a file has on integers. */
START_TEST(test_integers)
{
    const int8_t bytes[24] = {1, -20, 30, 41, 52, -63, 7, 8, 90, 10, -110, 12, 13, 14, 15, -16, 17, 18, 19, 20};
    begin();
    add_constant(&network, "scale", TL_FLOAT, "", &(float){100});
    add_constant(&network, "w0", TL_INT8, "3,4,2", bytes);
    add_constant(&network, "w1", TL_INT8, "3,2", bytes);
    add("Mul", "x scale", "a", "");
    add("Cast", "a", "b", "to=3");
    add("ConvInteger", "b w0", "c", "strides=[2] pads=[1,0]");
    add("Cast", "c", "d", "to=3");
    add("Transpose", "d", "e", "perm=[0,2,1]");
    add("MatMulInteger", "e w1", "f", "");
    add("Cast", "f", "y", "to=1");
    finish("A,B,C");
    check_cut(floats(3, 2, 4, 6000, 0), 2, 6, CUT);
}
END_TEST

/* All that is over time is local along batches. */
START_TEST(test_many_samples)
{
    begin();
    conv("x", "a", "w0", 4, 3, 3, "pads=[1,1]");
    add("GlobalAveragePool", "a", "b", "");
    add("GlobalMaxPool", "a", "c", "");
    add("Add", "b c", "d", "");
    add("Flatten", "d", "e", "");
    add_weights(&network, "w1", "4,5");
    add("Gemm", "e w1", "f", "");
    add("Softmax", "f", "y", "");
    finish("A,B,C");
    check_cut(floats(3, 4000, 3, 16, 0), 0, 4, CUT);
}
END_TEST

/* ---- What is not */

static void reduced(void)
{
    add("ReduceMean", "x", "a", "axes=[2]");
    add("Sub", "x a", "y", "");
}

static void global(void)
{
    add("GlobalAveragePool", "x", "a", "");
    add("Mul", "x a", "y", "");
}

static void softmax_over_time(void)
{
    add("Softmax", "x", "y", "axis=2");
}

/* SeparableConv1D's activation. */
static void activated_over_time(void)
{
    conv("x", "a", "w0", 3, 1, 5, "group=3 pads=[4,0]");
    conv("a", "b", "w1", 3, 3, 1, "");
    add("Softmax", "b", "y", "axis=2");
}

static void mixed_by_reshape(void)
{
    add_numbers(&network, "shape", "0,-1,3");
    add("Reshape", "x shape", "a", "");
    add("Relu", "a", "y", "");
}

/* The position is added, as attention does it. */
static void positions(void)
{
    add_numbers(&network, "last", "2");
    add("Shape", "x", "shape", "");
    add("Gather", "shape last", "length", "");
    add_numbers(&network, "none", "0");
    add_numbers(&network, "axes", "0");
    add("Squeeze", "length axes", "limit", "");
    add("Squeeze", "none axes", "start", "");
    add("Sign", "limit", "delta", "");
    add("Range", "start limit delta", "range", "");
    add("Cast", "range", "position", "to=1");
    add("Add", "x position", "y", "");
}

static void attention(void)
{
    add("Transpose", "x", "t", "perm=[0,2,1]");
    add("MatMul", "x t", "scores", "");
    add("MatMul", "scores x", "y", "");
}

static void summed_up(void)
{
    add_constant(&network, "axis", TL_INT64, "", &(int64_t){2});
    add("CumSum", "x axis", "y", "");
}

/* Neighbours weigh one and two thirds, rounded otherwise farther along. */
static void thirds(void)
{
    add_constant(&network, "scales", TL_FLOAT, "3", (float[]){1, 1, 3});
    add("Resize", "x - scales", "y", "mode='linear'");
}

static void corners(void)
{
    add_constant(&network, "scales", TL_FLOAT, "3", (float[]){1, 1, 2});
    add("Resize", "x - scales", "y", "mode='linear' coordinate_transformation_mode='align_corners'");
}

static void wrapped(void)
{
    network.opset = 19;
    add_numbers(&network, "pads", "0,0,3,0,0,3");
    add("Pad", "x pads", "y", "mode='wrap'");
}

static void last_steps(void)
{
    add_numbers(&network, "starts", "-4000");
    add_numbers(&network, "ends", "1000000");
    add_numbers(&network, "axes", "2");
    add("Slice", "x starts ends axes", "y", "");
}

static void first_steps(void)
{
    add_numbers(&network, "starts", "0");
    add_numbers(&network, "ends", "4000");
    add_numbers(&network, "axes", "2");
    add("Slice", "x starts ends axes", "y", "");
}

static void gathered(void)
{
    add_numbers(&network, "steps", "0,5,9");
    add("Gather", "x steps", "y", "axis=2");
}

static void maximum_positions(void)
{
    add("MaxPool", "x", "a i", "kernel_shape=[2]");
    add("Cast", "i", "y", "to=1");
}

static void twice(void)
{
    add("Concat", "x x", "y", "axis=2");
}

static void reversed(void)
{
    add_numbers(&network, "starts", "-1");
    add_numbers(&network, "ends", "-1000000");
    add_numbers(&network, "axes", "2");
    add_numbers(&network, "steps", "-1");
    add("Slice", "x starts ends axes steps", "y", "");
}

static void whole_beside(void)
{
    conv("x", "a", "w0", 3, 3, 3, "pads=[1,1]");
    add("Relu", "a", "b", "");
    add("ReduceMean", "b", "c", "axes=[2]");
    add("Add", "b c", "y", "");
}

/* Too far for strips of a sixteenth. */
static void far(void)
{
    conv("x", "a", "w0", 3, 3, 3, "pads=[400,0] dilations=[200]");
    add("Relu", "a", "y", "");
}

static void (*const refused[])(void) = {reduced,          global,    softmax_over_time, activated_over_time,
                                        mixed_by_reshape, positions, attention,         summed_up,
                                        thirds,           corners,   wrapped,           last_steps,
                                        first_steps,      gathered,  maximum_positions, twice,
                                        reversed,         far,       whole_beside};

START_TEST(test_refused)
{
    begin();
    add("Relu", "x0", "x", "");
    refused[_i]();
    finish_from("x0", "A,3,C");
    check_cut(floats(3, 1, 3, 4800, 0), 2, 2, WHOLE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("strips");
    TCase *tcase = tcase_create("strips");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_causal);
    tcase_add_loop_test(tcase, test_strides, 0, 12);
    tcase_add_loop_test(tcase, test_pools, 0, 5);
    tcase_add_loop_test(tcase, test_separable, 0, 2);
    tcase_add_test(tcase, test_channels_last);
    tcase_add_test(tcase, test_gated);
    tcase_add_test(tcase, test_views);
    tcase_add_test(tcase, test_parts);
    tcase_add_test(tcase, test_images);
    tcase_add_test(tcase, test_batches);
    tcase_add_loop_test(tcase, test_chomp, 0, 3);
    tcase_add_loop_test(tcase, test_transposed, 0, 6);
    tcase_add_loop_test(tcase, test_resized, 0, 6);
    tcase_add_test(tcase, test_computed_lengths);
    tcase_add_test(tcase, test_spectra);
    tcase_add_test(tcase, test_frames);
    tcase_add_test(tcase, test_channels);
    tcase_add_loop_test(tcase, test_on_bytes, 0, TL_COUNT(on_bytes));
    tcase_add_test(tcase, test_quantized);
    tcase_add_test(tcase, test_integers);
    tcase_add_test(tcase, test_many_samples);
    tcase_add_loop_test(tcase, test_refused, 0, sizeof refused / sizeof *refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
