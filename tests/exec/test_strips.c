/* Strips against the whole, bit by bit; and what is not cut, because it is not local. */
#include <check.h>
#undef fail /* Check's old name for ck_abort */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/run.h"
#include "exec/inspect.h"
#include "load/message.h"

static tl_error error;
static message graph;
static unsigned seed;

static float draw(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / (1 << 23) - 1;
}

/* ---- Networks */

static void begin(void)
{
    memset(&graph, 0, sizeof graph);
    put_text(&graph, 2, "strips");
    seed = 1;
}

static void weights(const char *name, size_t rank, const int64_t *dims)
{
    static float data[4096];
    message m = {0};
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    ck_assert_uint_le(count, 4096);
    for (size_t i = 0; i < count; i++)
        data[i] = draw();
    put_tensor(&m, name, TL_FLOAT, dims, rank);
    put_blob(&m, 9, data, count * sizeof data[0]);
    put_message(&graph, 5, &m);
}
#define WEIGHTS(name, ...) \
    weights(name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

static void indices(const char *name, size_t count, const int64_t *values)
{
    message m = {0};
    put_tensor(&m, name, TL_INT64, (const int64_t[]){(int64_t)count}, 1);
    put_blob(&m, 9, values, count * sizeof *values);
    put_message(&graph, 5, &m);
}

/* Attributes by words: "pads=4,0 auto_pad=SAME_UPPER group=2"; a single number is an int, with a comma behind it a
 * list.
 */
static void attribute(message *node, char *word)
{
    message a = {0};
    char *value = strchr(word, '=');
    *value++ = '\0';
    put_text(&a, 1, word);
    if (!strchr("-0123456789", *value)) {
        put_text(&a, 4, value);
        put_int(&a, 20, TL_ATTR_STRING);
    } else if (!strchr(value, ',')) {
        put_int(&a, 3, atoll(value));
        put_int(&a, 20, TL_ATTR_INT);
    } else {
        for (char *end; *value; value = *end ? end + 1 : end) {
            int64_t number = strtoll(value, &end, 10);
            put_tag(&a, 8, 0);
            put_varint(&a, (uint64_t)number);
        }
        put_int(&a, 20, TL_ATTR_INTS);
    }
    put_message(node, 5, &a);
}

static void add(const char *op, const char *inputs, const char *outputs, const char *attributes)
{
    message n = node(op, "", inputs, outputs);
    char words[256], *rest = NULL;
    snprintf(words, sizeof words, "%s", attributes);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        attribute(&n, word);
    put_message(&graph, 1, &n);
}

static void conv(const char *inputs, const char *outputs, const char *name, int64_t filters, int64_t channels,
                 int64_t kernel, const char *attributes)
{
    char all[64];
    weights(name, 3, (const int64_t[]){filters, channels, kernel});
    snprintf(all, sizeof all, "%s %s", inputs, name);
    add("Conv", all, outputs, attributes);
}

static void end(int input_rank, const int64_t *input_dims)
{
    message in = value_info("x", input_rank, input_dims), out = value_info("y", -1, NULL);
    put_message(&graph, 11, &in);
    put_message(&graph, 12, &out);
}

/* ---- Runs of x, whole and in strips */

typedef enum expectation { WHOLE, CUT } expectation;

static float *signal_of(const tl_tensor *x)
{
    int64_t count = tl_tensor_elements(x);
    float *data = malloc((size_t)count * sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (int64_t i = 0; i < count; i++)
        data[i] = draw();
    return data;
}

static tl_session *open_session(tl_runtime *runtime, uint32_t flags)
{
    const tl_session_options options = {.size = sizeof options, .flags = flags};
    static message model; /* for as long as the session */
    tl_session *session;
    model = model_of(&graph);
    ck_assert_msg(tl_session_open_memory(runtime, model.bytes, model.size, &options, &session, &error) == TL_OK, "%s",
                  error.message);
    return session;
}

static void run_once(tl_context *context, const tl_tensor *x, tl_tensor *y)
{
    ck_assert_msg(tl_context_set_input(context, 0, x, &error) == TL_OK, "%s", error.message);
    ck_assert_msg(tl_context_run(context, &error) == TL_OK, "%s", error.message);
    ck_assert_msg(tl_context_output(context, 0, y, &error) == TL_OK, "%s", error.message);
}

static bool is_cut(const tl_context *context)
{
    return tl_context_last_plan(context)->strips != NULL;
}

/* Twice in strips: into memory of the context, and into a buffer. */
static void compare(tl_session *session, const tl_tensor *x, expectation expected)
{
    tl_context *whole, *strips;
    tl_tensor a, b;
    ck_assert_int_eq(tl_context_create(session, &whole, &error), TL_OK);
    ck_assert_int_eq(tl_context_create(session, &strips, &error), TL_OK);
    tl_context_set_strips(whole, 0);
    tl_context_set_strips(strips, 1 << 14);
    run_once(whole, x, &a);
    ck_assert(!is_cut(whole));
    size_t bytes = (size_t)tl_tensor_bytes(&a);
    void *buffer = aligned_alloc(64, (bytes + 63) / 64 * 64);
    ck_assert_ptr_nonnull(buffer);
    for (int bound = 0; bound < 2; bound++) {
        if (bound)
            ck_assert_int_eq(tl_context_bind_output(strips, 0, buffer, bytes, &error), TL_OK);
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

/* With 1 and 2 threads, over lengths from `length` on. `axis` is the one that is long. */
static void check_cut(tl_tensor x, int32_t axis, int lengths, expectation expected)
{
    for (int threads = 1; threads <= 2; threads++) {
        const tl_runtime_options options = {.size = sizeof options, .threads = threads};
        tl_runtime *runtime;
        ck_assert_int_eq(tl_runtime_create(&options, &runtime, &error), TL_OK);
        ck_assert_int_eq(tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error), TL_OK);
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
}

static tl_tensor floats(int32_t rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (tl_tensor){.type = TL_FLOAT, .rank = rank, .dims = {a, b, c, d}};
}

static const int64_t free_dims[] = {-1, -1, -1, -1};

/* ---- What is cut */

START_TEST(test_causal)
{
    begin();
    conv("x", "a", "w0", 6, 4, 3, "pads=2,0");
    add("Relu", "a", "b", "");
    conv("b", "c", "w1", 6, 6, 3, "pads=8,0 dilations=4,");
    add("Add", "b c", "d", "");
    conv("d", "e", "w2", 6, 6, 2, "pads=8,0 dilations=8,");
    add("Tanh", "e", "f", "");
    add("Add", "d f", "y", "");
    end(3, free_dims);
    check_cut(floats(3, 2, 4, 4000, 0), 2, 12, CUT);
}
END_TEST

/* One network for each stride, and pads that depend on the length. */
START_TEST(test_strides)
{
    static const char *const pads[] = {"pads=3,3", "pads=0,0", "auto_pad=SAME_UPPER", "auto_pad=SAME_LOWER"};
    char attributes[64];
    snprintf(attributes, sizeof attributes, "%s strides=%d,", pads[_i % 4], _i / 4 + 1);
    begin();
    conv("x", "a", "w0", 5, 3, 7, attributes);
    add("LeakyRelu", "a", "b", "");
    conv("b", "c", "w1", 5, 5, 4, attributes);
    conv("c", "y", "w2", 2, 5, 3, "pads=1,1");
    end(3, free_dims);
    check_cut(floats(3, 1, 3, 24000, 0), 2, 10, CUT);
}
END_TEST

START_TEST(test_pools)
{
    static const char *const pools[][2] = {
        {"MaxPool", "kernel_shape=3, strides=2, pads=1,1"},
        {"MaxPool", "kernel_shape=3, strides=3, ceil_mode=1"},
        {"AveragePool", "kernel_shape=4, strides=2, pads=2,1"},
        {"AveragePool", "kernel_shape=5, strides=2, pads=2,2 count_include_pad=1 ceil_mode=1"},
        {"LpPool", "kernel_shape=3, auto_pad=SAME_UPPER strides=2,"},
    };
    begin();
    conv("x", "a", "w0", 4, 3, 3, "pads=1,1");
    add(pools[_i][0], "a", "b", pools[_i][1]);
    conv("b", "c", "w1", 4, 4, 3, "pads=2,0");
    add(pools[_i][0], "c", "y", pools[_i][1]);
    end(3, free_dims);
    check_cut(floats(3, 2, 3, 6000, 0), 2, 10, CUT);
}
END_TEST

/* Depthwise and pointwise: the private SeparableConv1D, in both layouts. */
START_TEST(test_separable)
{
    begin();
    if (_i)
        add("Transpose", "x", "x0", "perm=0,2,1");
    conv(_i ? "x0" : "x", "a", "w0", 8, 1, 5, "group=8 pads=4,0");
    conv("a", "b", "w1", 8, 8, 1, "");
    add("Relu", "b", "c", "");
    conv("c", "d", "w2", 8, 1, 5, "group=8 pads=4,4 dilations=2,");
    conv("d", "e", "w3", 8, 8, 1, "");
    add("Add", "c e", "f", "");
    add("Relu", "f", _i ? "g" : "y", "");
    if (_i)
        add("Transpose", "g", "y", "perm=0,2,1");
    end(3, free_dims);
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
    WEIGHTS("w", 6, 10);
    WEIGHTS("c", 10);
    WEIGHTS("scale", 10);
    add("MatMul", "x w", "a", "");
    add("Add", "a c", "b", "");
    add("LayerNormalization", "b scale", "d", "");
    add("Split", "d", "e f", "axis=-1");
    add("Concat", "f e", "g", "axis=2");
    add("Softmax", "g", "y", "");
    end(3, free_dims);
    check_cut(floats(3, 1, 4000, 6, 0), 1, 4, CUT);
}
END_TEST

START_TEST(test_gated)
{
    begin();
    for (int i = 0; i < 4; i++)
        WEIGHTS(((const char *[]){"scale", "shift", "mean", "variance"})[i], 4);
    add("Abs", "variance", "positive", "");
    add("BatchNormalization", "x scale shift mean positive", "a", "");
    add("Relu", "a", "b", "");
    conv("b", "c", "w0", 8, 4, 3, "pads=2,2 dilations=2,");
    add("Split", "c", "d e", "axis=1");
    add("Tanh", "d", "f", "");
    add("Sigmoid", "e", "g", "");
    add("Mul", "f g", "h", "");
    add("Concat", "h x", "i", "axis=1");
    add("Softmax", "i", "y", "axis=1");
    end(3, free_dims);
    check_cut(floats(3, 2, 4, 4000, 0), 2, 6, CUT);
}
END_TEST

/* Convolutions of images with one row, as Keras exports have them: views, and a shape that is computed. */
START_TEST(test_views)
{
    begin();
    indices("two", 1, (const int64_t[]){2});
    add("Unsqueeze", "x two", "a", "");
    WEIGHTS("w", 4, 3, 1, 3);
    add("Conv", "a w", "b", "pads=0,1,0,1");
    add("Shape", "x", "shape", "");
    add("Relu", "b", "c", "");
    indices("rows", 3, (const int64_t[]){0, 4, -1});
    add("Reshape", "c rows", "d", "");
    WEIGHTS("w1", 3, 4, 3);
    add("Conv", "d w1", "e", "pads=1,1");
    add("Reshape", "e shape", "y", "");
    end(3, free_dims);
    check_cut(floats(3, 1, 3, 9000, 0), 2, 4, CUT);
}
END_TEST

START_TEST(test_images)
{
    begin();
    WEIGHTS("w0", 4, 3, 3, 3);
    WEIGHTS("w1", 4, 4, 3, 3);
    add("Conv", "x w0", "a", "pads=1,1,1,1 strides=2,2");
    add("Relu", "a", "b", "");
    add("Conv", "b w1", "c", "pads=1,1,1,1");
    add("Add", "b c", "d", "");
    add("MaxPool", "d", "y", "kernel_shape=2,2 strides=2,2");
    end(4, free_dims);
    check_cut(floats(4, 1, 3, 3000, 14), 2, 4, CUT);
}
END_TEST

/* Many samples are cut as long ones are. */
START_TEST(test_batches)
{
    begin();
    conv("x", "a", "w0", 4, 3, 3, "pads=1,1");
    add("Relu", "a", "b", "");
    conv("b", "c", "w1", 4, 4, 3, "pads=1,1");
    add("MaxPool", "c", "y", "kernel_shape=2, strides=2,");
    end(3, free_dims);
    check_cut(floats(3, 3000, 3, 16, 0), 0, 4, CUT);
}
END_TEST

/* ---- What is not */

static void reduced(void)
{
    add("ReduceMean", "x", "a", "axes=2,");
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
    conv("x", "a", "w0", 3, 1, 5, "group=3 pads=4,0");
    conv("a", "b", "w1", 3, 3, 1, "");
    add("Softmax", "b", "y", "axis=2");
}

static void mixed_by_reshape(void)
{
    indices("shape", 3, (const int64_t[]){0, -1, 3});
    add("Reshape", "x shape", "a", "");
    add("Relu", "a", "y", "");
}

/* The position is added, as attention does it. */
static void positions(void)
{
    indices("last", 1, (const int64_t[]){2});
    add("Shape", "x", "shape", "");
    add("Gather", "shape last", "length", "");
    indices("none", 1, (const int64_t[]){0});
    indices("axes", 1, (const int64_t[]){0});
    add("Squeeze", "length axes", "limit", "");
    add("Squeeze", "none axes", "start", "");
    add("Sign", "limit", "delta", "");
    add("Range", "start limit delta", "range", "");
    add("Cast", "range", "position", "to=1");
    add("Add", "x position", "y", "");
}

static void attention(void)
{
    add("Transpose", "x", "t", "perm=0,2,1");
    add("MatMul", "x t", "scores", "");
    add("MatMul", "scores x", "y", "");
}

static void summed_up(void)
{
    message m = {0};
    put_tensor(&m, "axis", TL_INT64, NULL, 0);
    put_blob(&m, 9, &(int64_t){2}, sizeof(int64_t));
    put_message(&graph, 5, &m);
    add("CumSum", "x axis", "y", "");
}

static void transposed_convolution(void)
{
    WEIGHTS("w", 3, 4, 2);
    add("ConvTranspose", "x w", "y", "strides=2,");
}

static void maximum_positions(void)
{
    add("MaxPool", "x", "a i", "kernel_shape=2,");
    add("Cast", "i", "y", "to=1");
}

static void twice(void)
{
    add("Concat", "x x", "y", "axis=2");
}

static void reversed(void)
{
    indices("starts", 1, (const int64_t[]){-1});
    indices("ends", 1, (const int64_t[]){-1000000});
    indices("axes", 1, (const int64_t[]){2});
    indices("steps", 1, (const int64_t[]){-1});
    add("Slice", "x starts ends axes steps", "y", "");
}

static void whole_beside(void)
{
    conv("x", "a", "w0", 3, 3, 3, "pads=1,1");
    add("Relu", "a", "b", "");
    add("ReduceMean", "b", "c", "axes=2,");
    add("Add", "b c", "y", "");
}

/* Too far for strips of a sixteenth. */
static void far(void)
{
    conv("x", "a", "w0", 3, 3, 3, "pads=400,0 dilations=200,");
    add("Relu", "a", "y", "");
}

static void (*const refused[])(void) = {reduced,
                                        global,
                                        softmax_over_time,
                                        activated_over_time,
                                        mixed_by_reshape,
                                        positions,
                                        attention,
                                        summed_up,
                                        transposed_convolution,
                                        maximum_positions,
                                        twice,
                                        reversed,
                                        far,
                                        whole_beside};

START_TEST(test_refused)
{
    begin();
    add("Relu", "x0", "x", "");
    refused[_i]();
    message in = value_info("x0", 3, (const int64_t[]){-1, 3, -1}), out = value_info("y", -1, NULL);
    put_message(&graph, 11, &in);
    put_message(&graph, 12, &out);
    check_cut(floats(3, 1, 3, 4800, 0), 2, 2, WHOLE);
}
END_TEST

static void small_network(void)
{
    begin();
    conv("x", "a", "w0", 4, 4, 3, "pads=2,0");
    add("Relu", "a", "b", "");
    conv("b", "c", "w1", 4, 4, 3, "pads=2,0");
    add("Tanh", "c", "y", "");
    end(3, free_dims);
}

/* An output in the input's buffer; values that are kept; short signals, as everything was before. */
START_TEST(test_left_alone)
{
    tl_runtime *runtime;
    tl_context *context;
    small_network();
    ck_assert_int_eq(tl_runtime_create(NULL, &runtime, &error), TL_OK);
    tl_tensor x = floats(3, 1, 4, 4000, 0), y, z;
    x.data = aligned_alloc(64, (size_t)tl_tensor_bytes(&x));
    ck_assert_ptr_nonnull(x.data);
    for (int64_t i = 0; i < 16000; i++)
        ((float *)x.data)[i] = draw();
    tl_session *session = open_session(runtime, 0), *keeping = open_session(runtime, TL_SESSION_KEEP_VALUES);
    ck_assert_int_eq(tl_context_create(keeping, &context, &error), TL_OK);
    run_once(context, &x, &y);
    ck_assert(!is_cut(context));
    tl_context_destroy(context);
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    run_once(context, &x, &y);
    ck_assert(!is_cut(context));
    float *before = malloc((size_t)tl_tensor_bytes(&y));
    ck_assert_ptr_nonnull(before);
    memcpy(before, y.data, (size_t)tl_tensor_bytes(&y));
    tl_context_destroy(context);
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    tl_context_set_strips(context, 4096);
    ck_assert_int_eq(tl_context_bind_output(context, 0, x.data, (size_t)tl_tensor_bytes(&x), &error), TL_OK);
    run_once(context, &x, &z);
    ck_assert(!is_cut(context));
    ck_assert_ptr_eq(z.data, x.data);
    ck_assert(memcmp(z.data, before, (size_t)tl_tensor_bytes(&y)) == 0);
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_session_destroy(keeping);
    tl_runtime_destroy(runtime);
    free(before);
    free(x.data);
}
END_TEST

static long allocations;

static void *count_alloc(void *user, size_t size, size_t alignment)
{
    (void)user;
    allocations++;
    return aligned_alloc(alignment < 16 ? 16 : alignment, (size + 4095) / 4096 * 4096);
}

static void count_free(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static tl_context *cancelled;
static int traced;

static void cancel_soon(void *user, const tl_node *node, bool begins)
{
    (void)user, (void)node;
    if (begins && ++traced == 5)
        tl_context_cancel(cancelled);
}

/* Nothing is allocated from the second run on; the whole signal's values never are. A run can be cancelled between
 * strips, and the next one is right. */
START_TEST(test_steady)
{
    const tl_runtime_options options = {
        .size = sizeof options, .threads = 1, .allocator = {count_alloc, count_free, NULL}};
    tl_runtime *runtime;
    tl_tensor x = floats(3, 1, 4, 40000, 0), y, again;
    small_network();
    ck_assert_int_eq(tl_runtime_create(&options, &runtime, &error), TL_OK);
    tl_session *session = open_session(runtime, 0);
    ck_assert_int_eq(tl_context_create(session, &cancelled, &error), TL_OK);
    tl_context_set_strips(cancelled, 4096);
    x.data = signal_of(&x);
    run_once(cancelled, &x, &y);
    ck_assert(is_cut(cancelled));
    ck_assert_uint_le(tl_context_last_plan(cancelled)->arena_bytes, (size_t)tl_tensor_bytes(&y));
    float *first = malloc((size_t)tl_tensor_bytes(&y));
    ck_assert_ptr_nonnull(first);
    memcpy(first, y.data, (size_t)tl_tensor_bytes(&y));
    long before = allocations;
    run_once(cancelled, &x, &again);
    ck_assert_int_eq(allocations, before);
    tl_context_set_trace(cancelled, cancel_soon, NULL);
    ck_assert_int_eq(tl_context_run(cancelled, &error), TL_CANCELLED);
    ck_assert_int_eq(traced, 5);
    run_once(cancelled, &x, &again);
    ck_assert_int_gt(traced, 50);
    ck_assert(memcmp(again.data, first, (size_t)tl_tensor_bytes(&y)) == 0);
    tl_context_destroy(cancelled);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    free(first);
    free(x.data);
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
    tcase_add_test(tcase, test_images);
    tcase_add_test(tcase, test_batches);
    tcase_add_loop_test(tcase, test_refused, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tcase, test_left_alone);
    tcase_add_test(tcase, test_steady);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
