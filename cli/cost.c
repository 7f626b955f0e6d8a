#include <math.h>
#include <stdio.h>
#include "cost.h"

const tl_tensor *cli_shape(const cli_shapes *shapes, const tl_value *value)
{
    if (shapes->slots && value->graph == shapes->graph && value->index >= 0)
        return &shapes->slots[value->index];
    return &value->tensor;
}

static const tl_tensor *input(const cli_shapes *shapes, const tl_node *node, size_t k)
{
    return k < node->input_count && node->inputs[k] ? cli_shape(shapes, node->inputs[k]) : NULL;
}

static const tl_tensor *output(const cli_shapes *shapes, const tl_node *node, size_t k)
{
    return k < node->output_count && node->outputs[k] ? cli_shape(shapes, node->outputs[k]) : NULL;
}

/* Elements of a tensor as a number; -1: not known, or there is no tensor. */
static double elements(const tl_tensor *tensor)
{
    return tensor ? (double)tl_tensor_elements(tensor) : -1;
}

/* dims[begin] * dims[begin + 1] * ...; -1 if one is not known. */
static double product(const tl_tensor *tensor, int32_t begin)
{
    double result = 1;
    for (int32_t d = begin; d < tensor->rank; d++) {
        if (tensor->dims[d] < 0)
            return -1;
        result *= (double)tensor->dims[d];
    }
    return result;
}

static int64_t int_attribute(const tl_node *node, const char *name, int64_t otherwise)
{
    const tl_attribute *attribute = tl_node_attribute(node, name);
    return attribute && attribute->kind == TL_ATTR_INT ? attribute->u.i : otherwise;
}

/* Each element of Y needs the elements of one filter: W is (filters, channels of a group, kernel...). */
static double conv_flops(const cli_shapes *shapes, const tl_node *node, size_t weights, size_t bias)
{
    const tl_tensor *w = input(shapes, node, weights);
    double y = elements(output(shapes, node, 0)), filter = w && w->rank >= 2 ? product(w, 1) : -1;
    if (y < 0 || filter < 0)
        return -1;
    return y * 2 * filter + (input(shapes, node, bias) ? y : 0);
}

/* Each element of X goes to one filter: W is (channels, filters of a group, kernel...). */
static double conv_transpose_flops(const cli_shapes *shapes, const tl_node *node)
{
    const tl_tensor *w = input(shapes, node, 1);
    double x = elements(input(shapes, node, 0)), y = elements(output(shapes, node, 0));
    double filter = w && w->rank >= 2 ? product(w, 1) : -1;
    if (x < 0 || y < 0 || filter < 0)
        return -1;
    return x * 2 * filter + (input(shapes, node, 2) ? y : 0);
}

/* A depthwise convolution (C*D, 1, K) over time, a pointwise one (F, C*D, 1), bias, activation. */
static double separable_flops(const cli_shapes *shapes, const tl_node *node)
{
    const tl_tensor *depthwise = input(shapes, node, 1), *pointwise = input(shapes, node, 2);
    double y = elements(output(shapes, node, 0));
    if (y < 0 || !depthwise || !pointwise || depthwise->rank != 3 || pointwise->rank != 3 || pointwise->dims[0] <= 0)
        return -1;
    double kernel = elements(depthwise), mixed = product(pointwise, 1);
    if (kernel < 0 || mixed < 0)
        return -1;
    const tl_attribute *activation = tl_node_attribute(node, "activation");
    bool active = activation && activation->kind == TL_ATTR_STRING && activation->u.s.size > 0 &&
                  !(activation->u.s.size == 6 && memcmp(activation->u.s.data, "linear", 6) == 0);
    double steps = y / (double)pointwise->dims[0]; /* batch times output length */
    return steps * 2 * kernel + y * 2 * mixed + (input(shapes, node, 3) ? y : 0) + (active ? y : 0);
}

/* A (..., M, K) times B (..., K, N). */
static double matmul_flops(const cli_shapes *shapes, const tl_node *node)
{
    const tl_tensor *a = input(shapes, node, 0);
    double y = elements(output(shapes, node, 0));
    if (y < 0 || !a || a->rank < 1 || a->dims[a->rank - 1] < 0)
        return -1;
    return y * 2 * (double)a->dims[a->rank - 1];
}

static double gemm_flops(const cli_shapes *shapes, const tl_node *node, size_t bias)
{
    const tl_tensor *a = input(shapes, node, 0);
    double y = elements(output(shapes, node, 0));
    if (y < 0 || !a || a->rank != 2)
        return -1;
    tl_dim k = a->dims[int_attribute(node, "transA", 0) ? 0 : 1];
    return k < 0 ? -1 : y * 2 * (double)k + (input(shapes, node, bias) ? y : 0);
}

/* X (T, N, I), W (directions, gates * H, I), R (directions, gates * H, H); gates: 1, 3 or 4. */
static double recurrent_flops(const cli_shapes *shapes, const tl_node *node)
{
    const tl_tensor *x = input(shapes, node, 0), *w = input(shapes, node, 1), *r = input(shapes, node, 2);
    if (!x || x->rank != 3 || !w || !r)
        return -1;
    double steps = x->dims[0] < 0 || x->dims[1] < 0 ? -1 : (double)x->dims[0] * (double)x->dims[1];
    double weights = elements(w), recurrent = elements(r);
    return steps < 0 || weights < 0 || recurrent < 0 ? -1 : steps * 2 * (weights + recurrent);
}

static double pool_flops(const cli_shapes *shapes, const tl_node *node)
{
    const tl_attribute *kernel = tl_node_attribute(node, "kernel_shape");
    double y = elements(output(shapes, node, 0)), window = 1;
    if (y < 0 || !kernel || kernel->kind != TL_ATTR_INTS)
        return -1;
    for (size_t k = 0; k < kernel->count; k++)
        window *= (double)kernel->u.ints[k];
    return y * window;
}

static double in_proportion(double count, double each)
{
    return count < 0 ? -1 : count * each;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

double cli_node_flops(const cli_shapes *shapes, const tl_node *node)
{
    static const char *const convolutions[] = {
        "Conv", "FusedConv", "ConvInteger", "FusedConvInteger", "CausalConvWithState", NULL};
    static const char *const products[] = {"MatMul", "MatMulInteger", "FusedMatMulInteger", NULL};
    static const char *const recurrent[] = {"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM", NULL};
    static const char *const pools[] = {"AveragePool", "MaxPool", "LpPool", NULL};
    static const char *const softmax[] = {"Softmax", "LogSoftmax", NULL};
    static const char *const normalizations[] = {"InstanceNormalization",
                                                 "LayerNormalization",
                                                 "GroupNormalization",
                                                 "RMSNormalization",
                                                 "LpNormalization",
                                                 "MeanVarianceNormalization",
                                                 NULL};
    static const char *const copies[] = {"Cast", "CastLike", "Identity", NULL};
    static const char *const by_data[] = {"If", "Loop", "Scan", "Einsum", "SequenceMap", NULL};
    const char *name = node->op_type;
    double x = elements(input(shapes, node, 0)), y = elements(output(shapes, node, 0));
    if (is_one_of(name, convolutions))
        return conv_flops(shapes, node, 1, 2);
    if (strcmp(name, "QLinearConv") == 0)
        return conv_flops(shapes, node, 3, 8);
    if (strcmp(name, "ConvTranspose") == 0)
        return conv_transpose_flops(shapes, node);
    if (strcmp(name, "SeparableConv1D") == 0)
        return separable_flops(shapes, node);
    if (is_one_of(name, products) || strcmp(name, "QLinearMatMul") == 0)
        return matmul_flops(shapes, node);
    if (strcmp(name, "Gemm") == 0)
        return gemm_flops(shapes, node, 2);
    if (strcmp(name, "QGemm") == 0)
        return gemm_flops(shapes, node, 6);
    if (is_one_of(name, recurrent))
        return recurrent_flops(shapes, node);
    if (is_one_of(name, pools))
        return pool_flops(shapes, node);
    if (strcmp(name, "BatchNormalization") == 0)
        return in_proportion(y, 2);
    if (is_one_of(name, softmax))
        return in_proportion(y, 3);
    if (is_one_of(name, normalizations))
        return in_proportion(y, 5);
    if (strncmp(name, "Reduce", 6) == 0 || strncmp(name, "Global", 6) == 0 || strncmp(name, "Arg", 3) == 0)
        return x;
    if (is_one_of(name, by_data))
        return -1;
    if (node->op && node->op->flags & TL_OP_ELEMENTWISE && !is_one_of(name, copies))
        return y;
    return 0;
}

/* Of those of `count` values that are there and hold tensors. */
static double bytes_of(const cli_shapes *shapes, tl_value *const *values, size_t count)
{
    double bytes = 0;
    for (size_t k = 0; k < count; k++) {
        if (!values[k] || values[k]->kind != TL_KIND_TENSOR)
            continue;
        const int64_t each = tl_tensor_bytes(cli_shape(shapes, values[k]));
        if (each < 0)
            return -1;
        bytes += (double)each;
    }
    return bytes;
}

double cli_node_bytes(const cli_shapes *shapes, const tl_node *node)
{
    const double read = bytes_of(shapes, node->inputs, node->input_count);
    const double written = bytes_of(shapes, node->outputs, node->output_count);
    return read < 0 || written < 0 ? -1 : read + written;
}

static bool is_weight(const tl_value *value)
{
    return value->constant && value->kind == TL_KIND_TENSOR && value->tensor.type != TL_INT64 &&
           value->tensor.type != TL_BOOL && value->tensor.type != TL_STRING;
}

int64_t cli_node_parameters(const tl_node *node)
{
    int64_t count = 0;
    for (size_t k = 0; k < node->input_count; k++)
        if (node->inputs[k] && is_weight(node->inputs[k]))
            count += tl_tensor_elements(&node->inputs[k]->tensor);
    return count;
}

int64_t cli_graph_parameters(const tl_graph *graph, int64_t *bytes)
{
    int64_t count = 0;
    for (size_t i = 0; i < graph->value_count; i++)
        if (is_weight(graph->values[i])) {
            count += tl_tensor_elements(&graph->values[i]->tensor);
            *bytes += tl_tensor_bytes(&graph->values[i]->tensor);
        }
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(graph->nodes[i], g)); g++)
            count += cli_graph_parameters(inner, bytes);
    }
    return count;
}

static char *scaled(double value, double step, const char *const *units, size_t unit_count, char *buffer, size_t size)
{
    size_t k = 0;
    for (; k + 1 < unit_count && fabs(value) >= 0.9995 * step; k++)
        value /= step;
    if (k == 0)
        snprintf(buffer, size, "%.0f%s", value, units[k]);
    else
        snprintf(buffer, size, "%.*f%s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[k]);
    return buffer;
}

char *cli_count_text(double count, char *buffer, size_t size)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    return scaled(count, 1000, units, TL_COUNT(units), buffer, size);
}

char *cli_flops_text(double count, char *buffer, size_t size)
{
    static const char *const units[] = {" FLOP", " kFLOP", " MFLOP", " GFLOP", " TFLOP", " PFLOP"};
    return scaled(count, 1000, units, TL_COUNT(units), buffer, size);
}

char *cli_bytes_text(double bytes, char *buffer, size_t size)
{
    static const char *const units[] = {" bytes", " KiB", " MiB", " GiB", " TiB"};
    return scaled(bytes, 1024, units, TL_COUNT(units), buffer, size);
}
