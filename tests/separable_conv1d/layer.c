#include "layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int64_t output_length(const layer *l, int64_t *left)
{
    const int64_t extent = l->dilation_rate * (l->kernel_size - 1) + 1;
    const int64_t all = (l->length + l->strides - 1) / l->strides;
    const int64_t need = (all - 1) * l->strides + extent - l->length;
    *left = l->padding == PADDING_SAME && need > 0 ? need / 2 : l->padding == PADDING_CAUSAL ? extent - 1 : 0;
    return l->padding == PADDING_VALID ? (l->length - extent) / l->strides + 1 : all;
}

int64_t at(bool last, int64_t n, int64_t t, int64_t c, int64_t length, int64_t channels)
{
    return last ? (n * length + t) * channels + c : (n * channels + c) * length + t;
}

/* ---- Buffers that end where the program may not read */

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

/* ---- Running a layer */

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

const char *const padding_names[3] = {"valid", "same", "causal"};

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

double *run_layer(const layer *l, int threads)
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

/* ---- Layers at random */

int64_t pick(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)((noise(state) + 1) / 2 * 0.999999 * (double)(high - low + 1));
}

double *random_numbers(uint64_t *state, tl_type type, int64_t count, double size)
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

void fill_layer(layer *l, uint64_t *state)
{
    const int64_t rows = l->channels * l->multiplier;
    l->x = random_numbers(state, l->type, l->batch * l->length * l->channels, 2);
    l->depthwise = random_numbers(state, l->type, rows * l->kernel_size, 1.5 / sqrt((double)l->kernel_size));
    l->pointwise = random_numbers(state, l->type, rows * l->filters, 1.5 / sqrt((double)rows));
    l->bias = random_numbers(state, l->type, l->filters, 1);
}

void free_layer(layer *l)
{
    free(l->x);
    free(l->depthwise);
    free(l->pointwise);
    free(l->bias);
}

const char *const activations[20] = {
    "linear",      "relu",      "relu6",        "leaky_relu",      "elu",  "selu",    "exponential",
    "gelu",        "gelu_tanh", "hard_sigmoid", "hard_sigmoid_v3", "mish", "sigmoid", "softmax",
    "log_softmax", "softplus",  "softsign",     "swish",           "silu", "tanh"};
const tl_type types[4] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};

layer random_layer(uint64_t *state)
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

double unit(tl_type type, bool accumulates)
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
