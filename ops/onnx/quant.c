/* MatMulInteger, QLinearMatMul, ConvInteger and QLinearConv: 8-bit factors become 32-bit integers without their zero
 * points, are multiplied exactly (sums wrap), and, in the QLinear forms, are scaled back to 8 bits. Where a factor is a
 * float of 8 bits both become float. */
#include "onnx/cast.h"
#include "onnx/conv.h"
#include "onnx/matmul.h"
#include "onnx/product.h"
#include "onnx/tensor.h"

#define BYTE_TYPES (TL_T(TL_INT8) | TL_T(TL_UINT8))

/* ---- Parameters: zero points and scales that broadcast to a tensor */

/* The parameter with its rank made such that numpy's rules place it: a vector goes along `axis` of a tensor of `rank`
 * dimensions; what has one element is a scalar. */
static tl_tensor place_parameter(const tl_tensor *parameter, int32_t rank, int32_t axis)
{
    tl_tensor placed = *parameter;
    if (op_elements(parameter) == 1) {
        placed.rank = 0;
    } else if (parameter->rank == 1) {
        placed.rank = rank - axis;
        for (int32_t i = 1; i < placed.rank; i++)
            placed.dims[i] = 1;
    }
    return placed;
}

static tl_status check_parameter(const tl_call *call, size_t k, const tl_tensor *to, int32_t axis)
{
    const tl_tensor *in = op_input(call, k);
    if (!in || nn_product(in, 0, in->rank) < 0 || in->rank == TL_RANK_UNKNOWN || nn_product(to, 0, to->rank) < 0)
        return TL_OK;
    tl_tensor placed = place_parameter(in, to->rank, axis);
    for (int32_t i = 0; i < placed.rank; i++) {
        int32_t at = to->rank - placed.rank + i;
        if (at < 0 || (placed.dims[i] != 1 && placed.dims[i] != to->dims[at]))
            return tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld elements, which fit neither all nor one axis", k,
                           (long long)op_elements(in));
    }
    return TL_OK;
}

/* Where a placed parameter is read while its tensor is walked through. */
typedef struct walk {
    const tl_tensor *shape;
    int64_t index[TL_MAX_RANK], strides[TL_MAX_RANK], at;
} walk;

static walk walk_begin(const tl_tensor *parameter, const tl_tensor *shape, int32_t axis)
{
    walk w = {.shape = shape};
    if (parameter) {
        tl_tensor placed = place_parameter(parameter, shape->rank, axis);
        nn_broadcast_strides(&placed, shape->rank, w.strides);
    }
    return w;
}

/* Moves over one row: elements along the last axis. */
static void walk_row(walk *w)
{
    for (int32_t d = w->shape->rank - 2; d >= 0; d--) {
        w->at += w->strides[d];
        if (++w->index[d] < w->shape->dims[d])
            return;
        w->at -= w->strides[d] * w->index[d];
        w->index[d] = 0;
    }
}

static int32_t byte_at(const tl_tensor *t, int64_t i)
{
    return t->type == TL_INT8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

static bool is_float8(const tl_tensor *t)
{
    return (TL_T(t->type) & OP_T_FLOAT8) != 0;
}

static double element_at(const tl_tensor *t, int64_t i)
{
    return is_float8(t) ? (double)op_small_float(t->type, ((const uint8_t *)t->data)[i]) : nn_element(t, i);
}

/* The same as below, in float. */
static void remove_real_zero_point(const tl_tensor *x, const tl_tensor *zero, int32_t axis, float *to)
{
    const int64_t width = x->rank > 0 ? x->dims[x->rank - 1] : 1, n = op_elements(x);
    walk w = walk_begin(zero, x, axis);
    const int64_t step = x->rank > 0 ? w.strides[x->rank - 1] : 0;
    for (int64_t row = 0; row < n; row += width, walk_row(&w))
        for (int64_t i = 0; i < width; i++)
            to[row + i] = (float)(element_at(x, row + i) - element_at(zero, w.at + i * step));
}

/* x minus its zero point (NULL: 0), in 32 bits. */
static void remove_zero_point(const tl_tensor *x, const tl_tensor *zero, int32_t axis, int32_t *to)
{
    const int64_t width = x->rank > 0 ? x->dims[x->rank - 1] : 1, n = op_elements(x);
    walk w = walk_begin(zero, x, axis);
    const int64_t step = x->rank > 0 ? w.strides[x->rank - 1] : 0;
    for (int64_t row = 0; row < n; row += width, walk_row(&w))
        for (int64_t i = 0; i < width; i++)
            to[row + i] = byte_at(x, row + i) - (zero ? byte_at(zero, w.at + i * step) : 0);
}

/* y = saturate(round(sums * scale_a * scale_b / scale_y) + zero_y), ties to even. The sums are float if `real`. */
static void requantize(const void *sums, bool real, const tl_tensor *const parameters[4], const int32_t axes[4],
                       const tl_tensor *y)
{
    const int64_t width = y->rank > 0 ? y->dims[y->rank - 1] : 1, n = op_elements(y);
    const double low = y->type == TL_INT8 ? -128 : 0, high = y->type == TL_INT8 ? 127 : 255;
    walk w[4];
    int64_t steps[4];
    for (int k = 0; k < 4; k++) {
        w[k] = walk_begin(parameters[k], y, axes[k]);
        steps[k] = y->rank > 0 ? w[k].strides[y->rank - 1] : 0;
    }
    for (int64_t row = 0; row < n; row += width) {
        for (int64_t i = 0; i < width; i++) {
            double scale = nn_element(parameters[0], w[0].at + i * steps[0]) *
                           nn_element(parameters[1], w[1].at + i * steps[1]) /
                           nn_element(parameters[2], w[2].at + i * steps[2]);
            const double zero = element_at(parameters[3], w[3].at + i * steps[3]);
            const double sum = real ? (double)((const float *)sums)[row + i] : (double)((const int32_t *)sums)[row + i];
            if (is_float8(y)) {
                ((uint8_t *)y->data)[row + i] =
                    (uint8_t)op_encode_small(y->type, sum * scale + zero, true, OP_ROUND_NEAREST);
                continue;
            }
            double v = rint(sum * scale) + zero;
            v = v >= low ? (v <= high ? v : high) : low; /* NaN gives the lowest */
            if (y->type == TL_INT8)
                ((int8_t *)y->data)[row + i] = (int8_t)v;
            else
                ((uint8_t *)y->data)[row + i] = (uint8_t)v;
        }
        for (int k = 0; k < 4; k++)
            walk_row(&w[k]);
    }
}

/* ---- Matrix products */

typedef struct quant_plan {
    conv_plan conv;    /* convolutions only */
    product_plan real; /* factors that are floats */
    size_t a, b, sums;
} quant_plan;

enum { INTEGER_A, INTEGER_B, INTEGER_A_ZERO, INTEGER_B_ZERO };
enum {
    LINEAR_A,
    LINEAR_A_SCALE,
    LINEAR_A_ZERO,
    LINEAR_B,
    LINEAR_B_SCALE,
    LINEAR_B_ZERO,
    LINEAR_Y_SCALE,
    LINEAR_Y_ZERO,
    LINEAR_BIAS
};

/* Rows of A are the last axis but one; of a vector, the only axis. */
static int32_t row_axis(const tl_tensor *a)
{
    return a->rank > 1 ? a->rank - 2 : 0;
}

static tl_status place_product(tl_call *call, size_t a, size_t b, bool sums)
{
    quant_plan *plan = call->plan;
    if (!plan)
        return TL_OK;
    call->workspace_size = 0;
    plan->a = nn_place(call, nn_product(call->inputs[a], 0, call->inputs[a]->rank), sizeof(int32_t));
    plan->b = nn_place(call, nn_product(call->inputs[b], 0, call->inputs[b]->rank), sizeof(int32_t));
    if (sums)
        plan->sums = nn_place(call, nn_product(call->outputs[0], 0, call->outputs[0]->rank), sizeof(int32_t));
    return TL_OK;
}

static tl_status matmul_integer_reshape(tl_call *call)
{
    const tl_tensor *a = call->inputs[INTEGER_A], *b = call->inputs[INTEGER_B];
    tl_status status = matmul_output_shape(call, a, b, call->outputs[0]);
    if (status == TL_OK)
        status = check_parameter(call, INTEGER_A_ZERO, a, row_axis(a));
    if (status == TL_OK)
        status = check_parameter(call, INTEGER_B_ZERO, b, b->rank - 1);
    return status == TL_OK ? place_product(call, INTEGER_A, INTEGER_B, false) : status;
}

/* The product of two inputs, into `sums`. */
static void multiply(tl_call *call, size_t a, size_t a_zero, size_t b, size_t b_zero, void *sums)
{
    const quant_plan *plan = call->plan;
    tl_tensor left = *call->inputs[a], right = *call->inputs[b], out = *call->outputs[0];
    remove_zero_point(&left, op_input(call, a_zero), row_axis(&left), nn_at(call, plan->a));
    remove_zero_point(&right, op_input(call, b_zero), right.rank - 1, nn_at(call, plan->b));
    left.data = nn_at(call, plan->a);
    right.data = nn_at(call, plan->b);
    out.data = sums;
    left.type = right.type = out.type = TL_INT32;
    matmul_integers(call, &left, &right, &out);
}

static tl_status matmul_integer_run(tl_call *call)
{
    multiply(call, INTEGER_A, INTEGER_A_ZERO, INTEGER_B, INTEGER_B_ZERO, call->outputs[0]->data);
    return TL_OK;
}

static int32_t column_axis(const tl_tensor *y)
{
    return y->rank > 0 ? y->rank - 1 : 0;
}

static tl_status linear_matmul_reshape(tl_call *call)
{
    const tl_tensor *a = call->inputs[LINEAR_A], *b = call->inputs[LINEAR_B], *y = call->outputs[0];
    tl_status status = matmul_output_shape(call, a, b, call->outputs[0]);
    if (status == TL_OK)
        status = check_parameter(call, LINEAR_A_ZERO, a, row_axis(a));
    if (status == TL_OK)
        status = check_parameter(call, LINEAR_B_ZERO, b, b->rank - 1);
    const size_t by_row[] = {LINEAR_A_SCALE, LINEAR_Y_SCALE, LINEAR_Y_ZERO};
    for (size_t i = 0; i < 3 && status == TL_OK; i++)
        status = check_parameter(call, by_row[i], y, row_axis(y));
    if (status == TL_OK)
        status = check_parameter(call, LINEAR_B_SCALE, y, column_axis(y));
    if (status == TL_OK)
        status = place_product(call, LINEAR_A, LINEAR_B, true);
    if (status == TL_OK && call->plan && (is_float8(a) || is_float8(b))) {
        tl_tensor left = *a, right = *b;
        product_plan *real = &((quant_plan *)call->plan)->real;
        left.type = right.type = TL_FLOAT;
        product_set(real, TL_FLOAT, product_factor_a(&left, false), product_factor_b(&right, false));
        product_batch(real, &left, &right, y);
        product_place(call, real, false);
    }
    return status;
}

static void multiply_real(tl_call *call, void *sums)
{
    const quant_plan *plan = call->plan;
    const tl_tensor *a = call->inputs[LINEAR_A], *b = call->inputs[LINEAR_B];
    const product_result result = {.c = sums, .alpha = 1};
    remove_real_zero_point(a, call->inputs[LINEAR_A_ZERO], row_axis(a), nn_at(call, plan->a));
    remove_real_zero_point(b, call->inputs[LINEAR_B_ZERO], b->rank - 1, nn_at(call, plan->b));
    product_run(call, &plan->real, nn_at(call, plan->a), nn_at(call, plan->b), NULL, &result);
}

static tl_status linear_matmul_run(tl_call *call)
{
    const quant_plan *plan = call->plan;
    const tl_tensor *y = call->outputs[0];
    const tl_tensor *const parameters[4] = {call->inputs[LINEAR_A_SCALE], call->inputs[LINEAR_B_SCALE],
                                            call->inputs[LINEAR_Y_SCALE], call->inputs[LINEAR_Y_ZERO]};
    const int32_t axes[4] = {row_axis(y), column_axis(y), row_axis(y), row_axis(y)};
    const bool real = is_float8(call->inputs[LINEAR_A]) || is_float8(call->inputs[LINEAR_B]);
    void *sums = nn_at(call, plan->sums);
    if (op_elements(y) == 0)
        return TL_OK;
    if (real)
        multiply_real(call, sums);
    else
        multiply(call, LINEAR_A, LINEAR_A_ZERO, LINEAR_B, LINEAR_B_ZERO, sums);
    requantize(sums, real, parameters, axes, y);
    return TL_OK;
}

/* ---- Convolutions. Zero points and scales are one for X and Y, and one for each filter of W. */

static tl_status check_single(const tl_call *call, size_t k, int64_t most)
{
    const tl_tensor *in = op_input(call, k);
    int64_t n = in ? nn_product(in, 0, in->rank) : 1;
    if (n < 0 || most < 0 || n == 1 || (n == most && in->rank == 1))
        return TL_OK;
    return tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld elements, but must have one%s", k, (long long)n,
                   most > 1 ? ", or one for each filter" : "");
}

static tl_status conv_shape(tl_call *call, size_t x, size_t w, bool sums)
{
    int64_t pads[CONV_MAX_SPATIAL] = {0}, group = op_int(call, "group");
    conv_window window;
    tl_status status = conv_window_parse(call, CONV_DILATIONS, &window);
    if (status == TL_OK)
        status = conv_output_shape(call, &window, group, call->inputs[x], call->inputs[w], call->outputs[0], pads);
    if (status != TL_OK || !call->plan)
        return status;
    quant_plan *plan = call->plan;
    place_product(call, x, w, sums);
    conv_geometry_set(&plan->conv.g, &window, call->inputs[x], call->inputs[w], call->outputs[0], group, pads);
    conv_make_plan(call, &plan->conv, CONV_U32);
    return TL_OK;
}

static void convolve(tl_call *call, size_t x, size_t x_zero, size_t w, size_t w_zero, const void *bias, void *sums)
{
    const quant_plan *plan = call->plan;
    remove_zero_point(call->inputs[x], op_input(call, x_zero), 0, nn_at(call, plan->a));
    remove_zero_point(call->inputs[w], op_input(call, w_zero), 0, nn_at(call, plan->b));
    conv_execute(call, &plan->conv, CONV_U32, nn_at(call, plan->a), nn_at(call, plan->b), bias, sums);
}

static int64_t filters_of(const tl_tensor *w)
{
    return w->rank > 0 ? w->dims[0] : -1;
}

static tl_status conv_integer_reshape(tl_call *call)
{
    tl_status status = check_single(call, INTEGER_A_ZERO, 1);
    if (status == TL_OK)
        status = check_single(call, INTEGER_B_ZERO, filters_of(call->inputs[INTEGER_B]));
    return status == TL_OK ? conv_shape(call, INTEGER_A, INTEGER_B, false) : status;
}

static tl_status conv_integer_run(tl_call *call)
{
    convolve(call, INTEGER_A, INTEGER_A_ZERO, INTEGER_B, INTEGER_B_ZERO, NULL, call->outputs[0]->data);
    return TL_OK;
}

static tl_status linear_conv_reshape(tl_call *call)
{
    const size_t single[] = {LINEAR_A_SCALE, LINEAR_A_ZERO, LINEAR_Y_SCALE, LINEAR_Y_ZERO};
    const int64_t filters = filters_of(call->inputs[LINEAR_B]);
    tl_status status = TL_OK;
    for (size_t i = 0; i < sizeof single / sizeof single[0] && status == TL_OK; i++)
        status = check_single(call, single[i], 1);
    if (status == TL_OK)
        status = check_single(call, LINEAR_B_SCALE, filters);
    if (status == TL_OK)
        status = check_single(call, LINEAR_B_ZERO, filters);
    if (status == TL_OK)
        status = nn_check_rank(call, LINEAR_BIAS, 1, 1);
    if (status == TL_OK)
        status = nn_check_dim(call, LINEAR_BIAS, 0, filters, "one bias for each filter");
    return status == TL_OK ? conv_shape(call, LINEAR_A, LINEAR_B, true) : status;
}

static tl_status linear_conv_run(tl_call *call)
{
    const quant_plan *plan = call->plan;
    const tl_tensor *y = call->outputs[0], *bias = op_input(call, LINEAR_BIAS);
    const tl_tensor *const parameters[4] = {call->inputs[LINEAR_A_SCALE], call->inputs[LINEAR_B_SCALE],
                                            call->inputs[LINEAR_Y_SCALE], call->inputs[LINEAR_Y_ZERO]};
    const int32_t axes[4] = {1, 1, 1, 1};
    int32_t *sums = nn_at(call, plan->sums);
    if (op_elements(y) == 0)
        return TL_OK;
    convolve(call, LINEAR_A, LINEAR_A_ZERO, LINEAR_B, LINEAR_B_ZERO, bias ? bias->data : NULL, sums);
    requantize(sums, false, parameters, axes, y);
    return TL_OK;
}

/* ---- Schemas */

#define SCALE_TYPES (TL_T(TL_FLOAT) | TL_T_HALFS)
static const tl_param matmul_integer_input[] = {OP_IN("A", BYTE_TYPES, 'A'), OP_IN("B", BYTE_TYPES, 'B'),
                                                OP_OPT("a_zero_point", BYTE_TYPES, 'A'),
                                                OP_OPT("b_zero_point", BYTE_TYPES, 'B')};
static const tl_param integer_output[] = {OP_IN("Y", TL_T(TL_INT32), 0)};
#define MATMUL_TYPES (BYTE_TYPES | OP_T_FLOAT8)
#define LINEAR_MATMUL(bytes)                                                                           \
    OP_IN("a", bytes, 'A'), OP_IN("a_scale", SCALE_TYPES, 'S'), OP_IN("a_zero_point", bytes, 'A'),     \
        OP_IN("b", bytes, 'B'), OP_IN("b_scale", SCALE_TYPES, 'S'), OP_IN("b_zero_point", bytes, 'B'), \
        OP_IN("y_scale", SCALE_TYPES, 'S'), OP_IN("y_zero_point", bytes, 'Y')
static const tl_param linear_matmul_input_10[] = {LINEAR_MATMUL(BYTE_TYPES)};
static const tl_param linear_matmul_input_21[] = {LINEAR_MATMUL(MATMUL_TYPES)};
static const tl_param linear_matmul_output_21[] = {OP_IN("y", MATMUL_TYPES, 'Y')};
static const tl_param linear_conv_input[] = {
    OP_IN("x", BYTE_TYPES, 'A'),         OP_IN("x_scale", TL_T(TL_FLOAT), 0),    OP_IN("x_zero_point", BYTE_TYPES, 'A'),
    OP_IN("w", BYTE_TYPES, 'B'),         OP_IN("w_scale", TL_T(TL_FLOAT), 0),    OP_IN("w_zero_point", BYTE_TYPES, 'B'),
    OP_IN("y_scale", TL_T(TL_FLOAT), 0), OP_IN("y_zero_point", BYTE_TYPES, 'Y'), OP_OPT("B", TL_T(TL_INT32), 0)};
static const tl_param linear_output[] = {OP_IN("y", BYTE_TYPES, 'Y')};
static const tl_attribute_spec conv_attribute[] = {
    OP_STRING("auto_pad", "NOTSET"), OP_INTS("dilations"), OP_INT("group", 1),
    OP_INTS("kernel_shape"),         OP_INTS("pads"),      OP_INTS("strides")};

OP_DESCRIPTOR(MatMulInteger, 10) = {OP_HEAD(MatMulInteger, 10),        OP_PARAMS(input, matmul_integer_input),
                                    OP_PARAMS(output, integer_output), .plan_size = sizeof(quant_plan),
                                    .reshape = matmul_integer_reshape, .run = matmul_integer_run};
OP_DESCRIPTOR(QLinearMatMul, 10) = {OP_HEAD(QLinearMatMul, 10),       OP_PARAMS(input, linear_matmul_input_10),
                                    OP_PARAMS(output, linear_output), .plan_size = sizeof(quant_plan),
                                    .reshape = linear_matmul_reshape, .run = linear_matmul_run};
OP_DESCRIPTOR(QLinearMatMul, 21) = {OP_HEAD(QLinearMatMul, 21),
                                    OP_PARAMS(input, linear_matmul_input_21),
                                    OP_PARAMS(output, linear_matmul_output_21),
                                    .plan_size = sizeof(quant_plan),
                                    .reshape = linear_matmul_reshape,
                                    .run = linear_matmul_run};
OP_DESCRIPTOR(ConvInteger, 10) = {OP_HEAD(ConvInteger, 10),
                                  OP_PARAMS(input, matmul_integer_input),
                                  OP_PARAMS(output, integer_output),
                                  OP_PARAMS(attribute, conv_attribute),
                                  .plan_size = sizeof(quant_plan),
                                  .reshape = conv_integer_reshape,
                                  .run = conv_integer_run};
OP_DESCRIPTOR(QLinearConv, 10) = {OP_HEAD(QLinearConv, 10),
                                  OP_PARAMS(input, linear_conv_input),
                                  OP_PARAMS(output, linear_output),
                                  OP_PARAMS(attribute, conv_attribute),
                                  .plan_size = sizeof(quant_plan),
                                  .reshape = linear_conv_reshape,
                                  .run = linear_conv_run};
