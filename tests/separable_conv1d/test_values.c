/* Values: against a naive reference in double, with unreadable pages right behind every buffer, and the properties that
 * a convolution has. */
#include "separable_conv1d/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PADDING_VALID, PADDING_SAME, PADDING_CAUSAL };

/* One layer. */
typedef struct layer {
    int64_t batch, length, channels, kernel_size, multiplier, filters, strides, dilation_rate;
    int padding;
    bool last; /* channels_last */
    bool has_bias;
    bool computed; /* the weights are inputs of the graph, not initializers */
    tl_type type;
    const char *activation;
    double *x, *depthwise, *pointwise, *bias; /* as the type can hold them; X is (N, L, C) here */
} layer;

/* ---- Buffers that end where the program may not read ----------------------------------------------------------------
 */

typedef struct guarded {
    char *pages, *data;
    size_t size;
} guarded;

static guarded guard(size_t bytes, size_t alignment)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t room = (bytes + page - 1) / page * page;
    guarded g = {.size = room + 2 * page};
    g.pages = mmap(NULL, g.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(g.pages, MAP_FAILED);
    ck_assert_int_eq(mprotect(g.pages, page, PROT_NONE), 0);
    ck_assert_int_eq(mprotect(g.pages + page + room, page, PROT_NONE), 0);
    g.data = g.pages + page + (room - bytes) / alignment * alignment;
    return g;
}

static void unguard(guarded *g)
{
    munmap(g->pages, g->size);
}

/* ---- The reference
 * --------------------------------------------------------------------------------------------------- */

static double activate(const char *name, double x)
{
    const double limited = x > 700 ? 700 : x;
    const double softplus = x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    if (strcmp(name, "relu") == 0)
        return x > 0 ? x : 0;
    if (strcmp(name, "relu6") == 0)
        return x < 0 ? 0 : x > 6 ? 6 : x;
    if (strcmp(name, "leaky_relu") == 0)
        return x < 0 ? 0.2 * x : x;
    if (strcmp(name, "elu") == 0)
        return x < 0 ? expm1(x) : x;
    if (strcmp(name, "selu") == 0)
        return 1.0507009873554804934 * (x < 0 ? 1.6732632423543772848 * expm1(x) : x);
    if (strcmp(name, "exponential") == 0)
        return exp(limited);
    if (strcmp(name, "gelu") == 0)
        return 0.5 * x * erfc(-x / sqrt(2));
    if (strcmp(name, "gelu_tanh") == 0)
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    if (strcmp(name, "hard_sigmoid") == 0)
        return fmin(fmax(0.2 * x + 0.5, 0), 1);
    if (strcmp(name, "hard_sigmoid_v3") == 0)
        return fmin(fmax(x / 6 + 0.5, 0), 1);
    if (strcmp(name, "mish") == 0)
        return x * tanh(softplus);
    if (strcmp(name, "sigmoid") == 0)
        return 1 / (1 + exp(-x));
    if (strcmp(name, "softplus") == 0)
        return softplus;
    if (strcmp(name, "softsign") == 0)
        return x / (1 + fabs(x));
    if (strcmp(name, "swish") == 0 || strcmp(name, "silu") == 0)
        return x / (1 + exp(-x));
    if (strcmp(name, "tanh") == 0)
        return tanh(x);
    ck_assert_str_eq(name, "linear");
    return x;
}

static int64_t output_length(const layer *l, int64_t *left)
{
    const int64_t extent = l->dilation_rate * (l->kernel_size - 1) + 1;
    const int64_t all = (l->length + l->strides - 1) / l->strides;
    const int64_t need = (all - 1) * l->strides + extent - l->length;
    *left = l->padding == PADDING_SAME && need > 0 ? need / 2 : l->padding == PADDING_CAUSAL ? extent - 1 : 0;
    return l->padding == PADDING_VALID ? (l->length - extent) / l->strides + 1 : all;
}

/* Where (n, t, c) lies. */
static int64_t at(bool last, int64_t n, int64_t t, int64_t c, int64_t length, int64_t channels)
{
    return last ? (n * length + t) * channels + c : (n * channels + c) * length + t;
}

/* Y before the activation as (N, L', F), and the sum of the sizes of what was added up for each element. */
static void convolve(const layer *l, int64_t out, int64_t left, double *y, double *sizes)
{
    const int64_t rows = l->channels * l->multiplier;
    for (int64_t i = 0; i < l->batch * out; i++)
        for (int64_t f = 0; f < l->filters; f++) {
            const int64_t n = i / out;
            double sum = l->has_bias ? l->bias[f] : 0;
            double size = fabs(sum);
            for (int64_t j = 0; j < rows; j++)
                for (int64_t k = 0; k < l->kernel_size; k++) {
                    const int64_t t = i % out * l->strides - left + k * l->dilation_rate;
                    if (t < 0 || t >= l->length)
                        continue;
                    const double term = l->x[at(true, n, t, j / l->multiplier, l->length, l->channels)] *
                                        l->depthwise[j * l->kernel_size + k] * l->pointwise[f * rows + j];
                    sum += term;
                    size += fabs(term);
                }
            y[i * l->filters + f] = sum;
            sizes[i * l->filters + f] = size;
        }
}

/* Softmax along an axis: `count` elements, `step` apart. */
static void softmax(double *y, int64_t count, int64_t step, bool logarithm)
{
    double top = -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        top = fmax(top, y[i * step]);
    for (int64_t i = 0; i < count; i++)
        sum += exp(y[i * step] - top);
    for (int64_t i = 0; i < count; i++)
        y[i * step] = logarithm ? y[i * step] - top - log(sum) : exp(y[i * step] - top) / sum;
}

static void apply_activation(const layer *l, int64_t out, double *y)
{
    const bool logarithm = strcmp(l->activation, "log_softmax") == 0;
    if (strcmp(l->activation, "softmax") != 0 && !logarithm) {
        for (int64_t i = 0; i < l->batch * out * l->filters; i++)
            y[i] = activate(l->activation, y[i]);
    } else if (l->last) {
        for (int64_t i = 0; i < l->batch * out; i++)
            softmax(y + i * l->filters, l->filters, 1, logarithm);
    } else {
        for (int64_t i = 0; i < l->batch * l->filters; i++)
            softmax(y + i / l->filters * out * l->filters + i % l->filters, out, l->filters, logarithm);
    }
}

/* ---- Running a layer
 * --------------------------------------------------------------------------------------------------- */

static guarded guard_numbers(tl_type type, const double *numbers, int64_t count)
{
    guarded g = guard((size_t)count * size_of(type), size_of(type));
    for (int64_t i = 0; i < count; i++)
        set_number(type, g.data, i, numbers[i]);
    return g;
}

static void format_dims(char *text, size_t size, int64_t a, int64_t b, int64_t c)
{
    snprintf(text, size, "%lld,%lld,%lld", (long long)a, (long long)b, (long long)c);
}

static const char *const padding_names[] = {"valid", "same", "causal"};

/* The weights, as initializers or as inputs 1 to 3 of the graph. */
static size_t add_layer_weights(model *m, const layer *l, guarded *weights, tl_tensor *inputs)
{
    const int64_t rows = l->channels * l->multiplier;
    const int64_t sizes[3][3] = {{rows, 1, l->kernel_size}, {l->filters, rows, 1}, {l->filters, 0, 0}};
    const double *numbers[] = {l->depthwise, l->pointwise, l->bias};
    const char *const names[] = {"depthwise", "pointwise", "bias"};
    size_t count = 0;
    for (int i = 0; i < (l->has_bias ? 3 : 2); i++) {
        char dims[80];
        const int32_t rank = i == 2 ? 1 : 3;
        int64_t elements = 1;
        for (int32_t k = 0; k < rank; k++)
            elements *= sizes[i][k];
        format_dims(dims, sizeof dims, sizes[i][0], sizes[i][1], sizes[i][2]);
        if (i == 2)
            *strchr(dims, ',') = '\0';
        weights[i] = guard_numbers(l->type, numbers[i], elements);
        if (!l->computed) {
            add_constant(m, names[i], l->type, dims, weights[i].data);
            continue;
        }
        add_input(m, names[i], l->type, i == 2 ? "a" : i == 0 ? "a,b,c" : "d,e,f");
        tl_tensor *tensor = &inputs[++count];
        *tensor = (tl_tensor){.data = weights[i].data, .type = l->type, .rank = rank};
        memcpy(tensor->dims, sizes[i], (size_t)rank * sizeof *tensor->dims);
    }
    return count + 1;
}

static void add_layer_node(model *m, const layer *l)
{
    char attributes[256];
    snprintf(attributes, sizeof attributes,
             "padding='%s' strides=%lld dilation_rate=%lld depth_multiplier=%lld data_format='%s' activation='%s'",
             padding_names[l->padding], (long long)l->strides, (long long)l->dilation_rate, (long long)l->multiplier,
             l->last ? "channels_last" : "channels_first", l->activation);
    add_node(m, "tapline:SeparableConv1D", l->has_bias ? "X depthwise pointwise bias" : "X depthwise pointwise", "Y",
             attributes);
    add_output(m, "Y", l->type);
}

static void run_guarded(const model *m, int threads, const tl_tensor *inputs, size_t count, void *y, size_t bytes,
                        tl_tensor *got)
{
    size_t size = 0;
    void *file = finish_model(m, &size);
    tl_session *session = NULL;
    tl_context *context = NULL;
    tl_error error;
    ck_assert_msg(tl_session_open_memory(runtime_of(threads), file, size, NULL, &session, &error) == TL_OK, "%s",
                  error.message);
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(tl_context_set_input(context, i, &inputs[i], &error) == TL_OK, "%s", error.message);
    ck_assert_msg(tl_context_bind_output(context, 0, y, bytes, &error) == TL_OK, "%s", error.message);
    ck_assert_msg(tl_context_run(context, &error) == TL_OK, "%s", error.message);
    ck_assert_int_eq(tl_context_output(context, 0, got, &error), TL_OK);
    ck_assert_ptr_eq(got->data, y);
    tl_context_destroy(context);
    tl_session_destroy(session);
    free(file);
}

/* Y as numbers in the order of the layer's own layout; the caller frees it. */
static double *run_layer(const layer *l, int threads)
{
    int64_t left = 0;
    const int64_t out = output_length(l, &left);
    const int64_t count = l->batch * out * l->filters;
    const int64_t x_count = l->batch * l->length * l->channels;
    static model m; /* large */
    tl_tensor inputs[4];
    guarded weights[3];
    memset(&m, 0, sizeof m);
    m.opset = 18;
    m.tapline = 1;
    double *x = calloc((size_t)x_count + 1, sizeof *x);
    double *y = calloc((size_t)count + 1, sizeof *y);
    ck_assert(x != NULL && y != NULL);
    for (int64_t i = 0; i < x_count; i++)
        x[at(l->last, i / l->channels / l->length, i / l->channels % l->length, i % l->channels, l->length,
             l->channels)] = l->x[i];
    guarded gx = guard_numbers(l->type, x, x_count);
    guarded gy = guard((size_t)count * size_of(l->type), 16);
    add_input(&m, "X", l->type, l->last ? "N,L,C" : "N,C,L");
    inputs[0] = (tl_tensor){.data = gx.data,
                            .type = l->type,
                            .rank = 3,
                            .dims = {l->batch, l->last ? l->length : l->channels, l->last ? l->channels : l->length}};
    const size_t input_count = add_layer_weights(&m, l, weights, inputs);
    add_layer_node(&m, l);
    tl_tensor got;
    run_guarded(&m, threads, inputs, input_count, gy.data, (size_t)count * size_of(l->type), &got);
    ck_assert_int_eq(got.rank, 3);
    ck_assert_int_eq(got.dims[0], l->batch);
    ck_assert_int_eq(got.dims[l->last ? 1 : 2], out);
    ck_assert_int_eq(got.dims[l->last ? 2 : 1], l->filters);
    for (int64_t i = 0; i < count; i++)
        y[i] = get_number(l->type, gy.data, i);
    unguard(&gx);
    unguard(&gy);
    for (int i = 0; i < (l->has_bias ? 3 : 2); i++)
        unguard(&weights[i]);
    free(x);
    return y;
}

/* ---- Layers at random
 * ---------------------------------------------------------------------------------------------------- */

static int64_t pick(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)((noise(state) + 1) / 2 * 0.999999 * (double)(high - low + 1));
}

static double *random_numbers(uint64_t *state, tl_type type, int64_t count, double size)
{
    double *numbers = calloc((size_t)count + 1, sizeof *numbers);
    double room = 0;
    ck_assert_ptr_nonnull(numbers);
    for (int64_t i = 0; i < count; i++) {
        set_number(type, &room, 0, noise(state) * size);
        numbers[i] = get_number(type, &room, 0);
    }
    return numbers;
}

static void fill_layer(layer *l, uint64_t *state)
{
    const int64_t rows = l->channels * l->multiplier;
    l->x = random_numbers(state, l->type, l->batch * l->length * l->channels, 2);
    l->depthwise = random_numbers(state, l->type, rows * l->kernel_size, 1.5 / sqrt((double)l->kernel_size));
    l->pointwise = random_numbers(state, l->type, rows * l->filters, 1.5 / sqrt((double)rows));
    l->bias = random_numbers(state, l->type, l->filters, 1);
}

static void free_layer(layer *l)
{
    free(l->x);
    free(l->depthwise);
    free(l->pointwise);
    free(l->bias);
}

static const char *const activations[] = {
    "linear",      "relu",      "relu6",        "leaky_relu",      "elu",  "selu",    "exponential",
    "gelu",        "gelu_tanh", "hard_sigmoid", "hard_sigmoid_v3", "mish", "sigmoid", "softmax",
    "log_softmax", "softplus",  "softsign",     "swish",           "silu", "tanh"};
static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};

static layer random_layer(uint64_t *state)
{
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33};
    static const int64_t kernels[] = {1, 2, 3, 4, 5, 7, 9, 16, 33};
    layer l = {
        .batch = pick(state, 1, 3),
        .length = pick(state, 0, 3) == 0 ? pick(state, 1, 200) : pick(state, 1, 40),
        .channels = sizes[pick(state, 0, 12)],
        .kernel_size = kernels[pick(state, 0, 8)],
        .multiplier = pick(state, 0, 2) == 0 ? pick(state, 2, 4) : 1,
        .filters = pick(state, 0, 5) == 0 ? pick(state, 1, 70) : sizes[pick(state, 0, 12)],
        .strides = 1,
        .dilation_rate = 1,
        .padding = (int)pick(state, 0, 2),
        .last = pick(state, 0, 1) == 0,
        .has_bias = pick(state, 0, 1) == 0,
        .computed = pick(state, 0, 2) == 0,
        .type = types[pick(state, 0, 3)],
        .activation = activations[pick(state, 0, 19)],
    };
    const int64_t form = pick(state, 0, 2);
    l.strides = form == 1 ? pick(state, 2, 6) : 1;
    l.dilation_rate = form == 2 ? pick(state, 2, 8) : 1;
    if (l.padding == PADDING_VALID)
        l.length += l.dilation_rate * (l.kernel_size - 1);
    return l;
}

/* ---- The grid
 * -------------------------------------------------------------------------------------------------------------- */

/* Rounding of one result, and of each sum in the type that accumulates. */
static double unit(tl_type type, bool accumulates)
{
    switch (type) {
    case TL_DOUBLE:
        return 0x1p-53;
    case TL_FLOAT16:
        return accumulates ? 0x1p-24 : 0x1p-11;
    case TL_BFLOAT16:
        return accumulates ? 0x1p-24 : 0x1p-8;
    default:
        return 0x1p-24;
    }
}

/* How far a result may be from the exact one: a sum of m terms has an error of about sqrt(m) to m roundings of its
 * terms' sizes, which the activation passes on with its slope; then the result is rounded. */
static double allowed(const layer *l, double size, double before, double exact)
{
    const bool softmax_like = strstr(l->activation, "softmax") != NULL;
    const double terms = (double)(l->channels * l->multiplier + l->kernel_size + 8);
    const double slope = strcmp(l->activation, "exponential") == 0 ? exp(before)
                         : strcmp(l->activation, "selu") == 0      ? 1.8
                         : softmax_like                            ? 4
                                                                   : 1.2;
    const double smallest = l->type == TL_FLOAT16 ? 0x1p-24 : 0;
    const double sum = (size + 1) * unit(l->type, true) * (sqrt(terms) + 4);
    /* What the activations themselves may lose: the vector functions are good to a few units in the last place. */
    const double function = strcmp(l->activation, "linear") == 0 ? 0 : 4 * unit(l->type, true) * (fabs(exact) + 0.5);
    return slope * sum + function + fabs(exact) * unit(l->type, false) + smallest;
}

static double worst[TL_TYPE_COUNT];

static void check_layer(const layer *l, int number)
{
    int64_t left = 0;
    const int64_t out = output_length(l, &left);
    const int64_t count = l->batch * out * l->filters;
    double *before = calloc((size_t)count + 1, sizeof *before);
    double *sizes = calloc((size_t)count + 1, sizeof *sizes);
    double *wanted = calloc((size_t)count + 1, sizeof *wanted);
    ck_assert(before != NULL && sizes != NULL && wanted != NULL);
    convolve(l, out, left, before, sizes);
    memcpy(wanted, before, (size_t)count * sizeof *wanted);
    apply_activation(l, out, wanted);
    double *got = run_layer(l, 1);
    /* A softmax mixes the errors of its whole axis. */
    double largest = 0;
    for (int64_t i = 0; i < count && strstr(l->activation, "softmax") != NULL; i++)
        largest = fmax(largest, sizes[i]);
    for (int64_t i = 0; i < count; i++) {
        const int64_t n = i / l->filters / out;
        const int64_t t = i / l->filters % out;
        const int64_t f = i % l->filters;
        const double y = got[at(l->last, n, t, f, out, l->filters)];
        const double error = fabs(y - wanted[i]);
        const double limit = allowed(l, fmax(sizes[i], largest), before[i], wanted[i]);
        worst[l->type] = fmax(worst[l->type], error / fmax(1, fabs(wanted[i])));
        ck_assert_msg(error <= limit,
                      "case %d: N%lld L%lld C%lld K%lld D%lld F%lld s%lld d%lld %s %s %s %s%s%s at (%lld,%lld,%lld): "
                      "%.9g, not %.9g; off by %g, allowed %g",
                      number, (long long)l->batch, (long long)l->length, (long long)l->channels,
                      (long long)l->kernel_size, (long long)l->multiplier, (long long)l->filters, (long long)l->strides,
                      (long long)l->dilation_rate, padding_names[l->padding], l->last ? "last" : "first",
                      tl_type_name(l->type), l->activation, l->has_bias ? " bias" : "", l->computed ? " computed" : "",
                      (long long)n, (long long)t, (long long)f, y, wanted[i], error, limit);
    }
    free(before);
    free(sizes);
    free(wanted);
    free(got);
}

enum { GRID_CASES = 3000 };

START_TEST(grid)
{
    uint64_t state = 20;
    for (int i = 0; i < GRID_CASES; i++) {
        layer l = random_layer(&state);
        fill_layer(&l, &state);
        check_layer(&l, i);
        free_layer(&l);
    }
    printf("%d layers; largest error against double arithmetic, relative above 1:", GRID_CASES);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        printf(" %s %.2g", tl_type_name(types[i]), worst[types[i]]);
    printf("\n");
}
END_TEST

/* Huge results stay finite or become infinite, but never NaN. */
START_TEST(no_nan_from_finite_input)
{
    uint64_t state = 3;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        for (int type = 0; type < 4; type++)
            for (int sign = 0; sign < 4; sign++) {
                layer l = {.batch = 1,
                           .length = 20,
                           .channels = 1,
                           .kernel_size = 1,
                           .multiplier = 1,
                           .filters = 1,
                           .strides = 1,
                           .dilation_rate = 1,
                           .last = sign % 2 == 0,
                           .type = types[type],
                           .activation = activations[i]};
                const double top = l.type == TL_DOUBLE    ? 0x1.fffffffffffffp1023
                                   : l.type == TL_FLOAT16 ? 65504
                                   : l.type == TL_FLOAT   ? (double)0x1.fffffep127F
                                                          : 0x1.fep127;
                fill_layer(&l, &state);
                l.depthwise[0] = sign < 2 ? 1 : -1;
                l.pointwise[0] = 1;
                for (int t = 0; t < 20; t++)
                    l.x[t] = t == 0 ? 0 : t % 2 == 0 ? top / pow(10, 2 * t - 4) : -top / pow(3, t);
                for (int t = 0; t < 20; t++) { /* as the type can hold them */
                    double room = 0;
                    set_number(l.type, &room, 0, l.x[t]);
                    l.x[t] = get_number(l.type, &room, 0);
                }
                double *y = run_layer(&l, 1);
                for (int t = 0; t < 20; t++)
                    ck_assert_msg(!isnan(y[t]), "%s of %g in %s", l.activation, l.x[t], tl_type_name(l.type));
                free(y);
                free_layer(&l);
            }
}
END_TEST

/* ---- Properties
 * ---------------------------------------------------------------------------------------------------------- */

enum { PROPERTY_CASES = 120 };

static int64_t count_of(const layer *l)
{
    int64_t left = 0;
    return l->batch * output_length(l, &left) * l->filters;
}

static bool same_bits(double a, double b)
{
    uint64_t bits[2];
    memcpy(&bits[0], &a, sizeof a);
    memcpy(&bits[1], &b, sizeof b);
    return bits[0] == bits[1];
}

static void assert_same_bits(const double *a, const double *b, int64_t count, const char *what, int number)
{
    for (int64_t i = 0; i < count; i++)
        ck_assert_msg(same_bits(a[i], b[i]), "%s, case %d, element %lld: %.17g and %.17g", what, number, (long long)i,
                      a[i], b[i]);
}

/* Changing the future changes nothing before it, not one bit. */
START_TEST(causality)
{
    uint64_t state = 5;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        l.padding = PADDING_CAUSAL;
        l.batch = 1;
        if (strstr(l.activation, "softmax") != NULL)
            l.activation = "tanh"; /* channels_first: over time */
        fill_layer(&l, &state);
        int64_t left = 0;
        const int64_t out = output_length(&l, &left);
        double *before = run_layer(&l, 1);
        const int64_t now = pick(&state, 0, l.length - 1);
        for (int64_t k = (now + 1) * l.channels; k < l.length * l.channels; k++)
            l.x[k] = 1 - l.x[k];
        double *after = run_layer(&l, 1);
        for (int64_t t = 0; t < out && t * l.strides <= now; t++)
            for (int64_t f = 0; f < l.filters; f++) {
                const int64_t k = at(l.last, 0, t, f, out, l.filters);
                ck_assert_msg(same_bits(before[k], after[k]), "case %d: output %lld depends on input after %lld", i,
                              (long long)t, (long long)now);
            }
        free(before);
        free(after);
        free_layer(&l);
    }
}
END_TEST

/* Before bias and activation: f(a x + y) = a f(x) + f(y). */
START_TEST(linearity)
{
    uint64_t state = 6;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        l.type = i % 2 == 0 ? TL_FLOAT : TL_DOUBLE;
        l.activation = "linear";
        l.has_bias = false;
        fill_layer(&l, &state);
        const int64_t x_count = l.batch * l.length * l.channels;
        const int64_t count = count_of(&l);
        double *x = l.x;
        double *other = random_numbers(&state, l.type, x_count, 2);
        double *mixed = malloc((size_t)(x_count + 1) * sizeof *mixed);
        ck_assert_ptr_nonnull(mixed);
        for (int64_t k = 0; k < x_count; k++)
            mixed[k] = 0.5 * x[k] + other[k];
        double *fx = run_layer(&l, 1);
        l.x = other;
        double *fy = run_layer(&l, 1);
        l.x = mixed;
        double *both = run_layer(&l, 1);
        for (int64_t k = 0; k < count; k++)
            ck_assert_msg(fabs(both[k] - 0.5 * fx[k] - fy[k]) <= (l.type == TL_FLOAT ? 3e-5 : 1e-12),
                          "case %d: %.17g, not %.17g", i, both[k], 0.5 * fx[k] + fy[k]);
        l.x = x;
        free(other);
        free(mixed);
        free(fx);
        free(fy);
        free(both);
        free_layer(&l);
    }
}
END_TEST

/* X of a layer with `front` zero steps before it and `behind` after it. */
static layer with_zeros(const layer *l, int64_t front, int64_t behind)
{
    layer wide = *l;
    wide.length += front + behind;
    wide.x = calloc((size_t)(wide.batch * wide.length * l->channels) + 1, sizeof *wide.x);
    ck_assert_ptr_nonnull(wide.x);
    for (int64_t n = 0; n < l->batch; n++)
        memcpy(wide.x + (n * wide.length + front) * l->channels, l->x + n * l->length * l->channels,
               (size_t)(l->length * l->channels) * sizeof *wide.x);
    return wide;
}

/* Causal: s steps of silence in front move the output by one step. */
START_TEST(shift_equivariance)
{
    uint64_t state = 7;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        l.padding = PADDING_CAUSAL;
        l.batch = 1;
        if (strstr(l.activation, "softmax") != NULL)
            l.activation = "elu";
        fill_layer(&l, &state);
        int64_t left = 0;
        const int64_t out = output_length(&l, &left);
        layer late = with_zeros(&l, l.strides, 0);
        double *y = run_layer(&l, 1);
        double *moved = run_layer(&late, 1);
        for (int64_t k = 0; k < out * l.filters; k++)
            ck_assert_double_eq(y[at(l.last, 0, k / l.filters, k % l.filters, out, l.filters)],
                                moved[at(l.last, 0, k / l.filters + 1, k % l.filters, out + 1, l.filters)]);
        free(y);
        free(moved);
        free(late.x);
        free_layer(&l);
    }
}
END_TEST

/* same and causal are valid on input with the zeros written out, bit for bit. */
START_TEST(padding_is_zeros)
{
    uint64_t state = 8;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        l.padding = i % 2 == 0 ? PADDING_SAME : PADDING_CAUSAL;
        fill_layer(&l, &state);
        int64_t left = 0;
        const int64_t out = output_length(&l, &left);
        const int64_t need = (out - 1) * l.strides + l.dilation_rate * (l.kernel_size - 1) + 1 - l.length - left;
        layer padded = with_zeros(&l, left, need > 0 ? need : 0);
        padded.padding = PADDING_VALID;
        ck_assert_int_eq(count_of(&padded), count_of(&l));
        double *a = run_layer(&l, 1);
        double *b = run_layer(&padded, 1);
        assert_same_bits(a, b, count_of(&l), "zeros", i);
        free(a);
        free(b);
        free(padded.x);
        free_layer(&l);
    }
}
END_TEST

/* channels_first is channels_last transposed. */
START_TEST(layouts_agree)
{
    uint64_t state = 9;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        if (strstr(l.activation, "softmax") != NULL)
            l.activation = "selu";
        fill_layer(&l, &state);
        int64_t left = 0;
        const int64_t out = output_length(&l, &left);
        l.last = true;
        double *a = run_layer(&l, 1);
        l.last = false;
        double *b = run_layer(&l, 1);
        for (int64_t k = 0; k < count_of(&l); k++) {
            const double other = b[at(false, k / l.filters / out, k / l.filters % out, k % l.filters, out, l.filters)];
            const double size = fabs(a[k]) + 1;
            ck_assert_msg(fabs(a[k] - other) <= size * (2 * unit(l.type, false) + 64 * unit(l.type, true)),
                          "case %d: %.17g and %.17g", i, a[k], other);
        }
        free(a);
        free(b);
        free_layer(&l);
    }
}
END_TEST

/* A batch of n is n runs of one, bit for bit. */
START_TEST(batch_is_single_runs)
{
    uint64_t state = 10;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        l.batch = pick(&state, 2, 5);
        fill_layer(&l, &state);
        double *all = run_layer(&l, 1);
        layer one = l;
        one.batch = 1;
        for (int64_t n = 0; n < l.batch; n++) {
            one.x = l.x + n * l.length * l.channels;
            double *single = run_layer(&one, 1);
            assert_same_bits(all + n * count_of(&one), single, count_of(&one), "batch", i);
            free(single);
        }
        free(all);
        free_layer(&l);
    }
}
END_TEST

/* Any number of threads, bit for bit. */
START_TEST(threads_agree)
{
    uint64_t state = 11;
    for (int i = 0; i < PROPERTY_CASES; i++) {
        layer l = random_layer(&state);
        l.length += pick(&state, 0, 300);
        fill_layer(&l, &state);
        double *one = run_layer(&l, 1);
        for (int threads = 2; threads <= 8; threads += 3) {
            double *more = run_layer(&l, threads);
            assert_same_bits(one, more, count_of(&l), "threads", i);
            free(more);
        }
        free(one);
        free_layer(&l);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("separable_conv1d.values");
    TCase *tests = tcase_create("values");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, grid);
    tcase_add_test(tests, no_nan_from_finite_input);
    tcase_add_test(tests, causality);
    tcase_add_test(tests, linearity);
    tcase_add_test(tests, shift_equivariance);
    tcase_add_test(tests, padding_is_zeros);
    tcase_add_test(tests, layouts_agree);
    tcase_add_test(tests, batch_is_single_runs);
    tcase_add_test(tests, threads_agree);
    suite_add_tcase(suite, tests);
    return run_tests(suite);
}
