/* MatMulInteger and QLinearMatMul: products of bytes less their zero points, exact (sums wrap), and, in the QLinear
 * form, scaled back to bytes; or, in the private form, floats with steps behind them. Where a factor is a float of 8
 * bits both become float. */
#include "onnx/byte_product.h"
#include "onnx/cast.h"
#include "onnx/matmul.h"
#include "onnx/product.h"
#include "onnx/quant.h"
#include "onnx/tensor.h"

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

tl_status quant_check(const tl_call *call, size_t k, const tl_tensor *to, int32_t axis)
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

int64_t quant_zeros(const tl_tensor *zero, const tl_tensor *shape, int32_t axis, int32_t *to)
{
    if (!zero || op_elements(zero) == 1) {
        to[0] = zero ? quant_byte(zero, 0) : 0;
        return 0;
    }
    const int64_t width = shape->rank > 0 ? shape->dims[shape->rank - 1] : 1, n = op_elements(shape);
    walk w = walk_begin(zero, shape, axis);
    const int64_t step = shape->rank > 0 ? w.strides[shape->rank - 1] : 0;
    for (int64_t row = 0; row < n; row += width, walk_row(&w))
        for (int64_t i = 0; i < width; i++)
            to[row + i] = quant_byte(zero, w.at + i * step);
    return 1;
}

tl_tensor quant_rows(const tl_tensor *a)
{
    tl_tensor shape = *a;
    if (shape.rank > 0)
        shape.dims[shape.rank - 1] = 1;
    return shape;
}

tl_tensor quant_columns(const tl_tensor *b)
{
    tl_tensor shape = *b;
    if (shape.rank > 0)
        shape.dims[shape.rank > 1 ? shape.rank - 2 : 0] = 1;
    return shape;
}

static bool is_float8(const tl_tensor *t)
{
    return (TL_T(t->type) & OP_T_FLOAT8) != 0;
}

static double element_at(const tl_tensor *t, int64_t i)
{
    return is_float8(t) ? (double)op_small_float(t->type, ((const uint8_t *)t->data)[i]) : op_load_number(t, i);
}

/* x minus its zero point, in float. */
static void remove_real_zero_point(const tl_tensor *x, const tl_tensor *zero, int32_t axis, float *to)
{
    const int64_t width = x->rank > 0 ? x->dims[x->rank - 1] : 1, n = op_elements(x);
    walk w = walk_begin(zero, x, axis);
    const int64_t step = x->rank > 0 ? w.strides[x->rank - 1] : 0;
    for (int64_t row = 0; row < n; row += width, walk_row(&w))
        for (int64_t i = 0; i < width; i++)
            to[row + i] = (float)(element_at(x, row + i) - element_at(zero, w.at + i * step));
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
            double scale = op_load_number(parameters[0], w[0].at + i * steps[0]) *
                           op_load_number(parameters[1], w[1].at + i * steps[1]) /
                           op_load_number(parameters[2], w[2].at + i * steps[2]);
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
    byte_plan bytes;
    product_plan real;       /* factors that are floats */
    size_t a, b;             /* their values */
    size_t a_zeros, b_zeros; /* of factors that are bytes */
    size_t scales;
    size_t sums; /* where the result is not stored as it comes out */
} quant_plan;

/* Rows of A are the last axis but one. */
static int32_t row_axis(const tl_tensor *a)
{
    return a->rank > 1 ? a->rank - 2 : 0;
}

static int32_t column_axis(const tl_tensor *y)
{
    return y->rank > 0 ? y->rank - 1 : 0;
}

static tl_status create(tl_call *call, size_t a, size_t b)
{
    return is_float8(call->inputs[a]) || is_float8(call->inputs[b]) ? TL_OK : byte_create(call, b);
}

static tl_status integer_create(tl_call *call)
{
    return create(call, INTEGER_A, INTEGER_B);
}

static tl_status linear_create(tl_call *call)
{
    return create(call, LINEAR_A, LINEAR_B);
}

static tl_status check_zeros(const tl_call *call, size_t a, size_t a_zero, size_t b, size_t b_zero)
{
    const tl_tensor rows = quant_rows(call->inputs[a]), columns = quant_columns(call->inputs[b]);
    tl_status status = quant_check(call, a_zero, &rows, row_axis(&rows));
    return status == TL_OK ? quant_check(call, b_zero, &columns, columns.rank - 1) : status;
}

static void plan_bytes(tl_call *call, quant_plan *plan, size_t a, size_t b)
{
    const tl_tensor rows = quant_rows(call->inputs[a]), columns = quant_columns(call->inputs[b]);
    byte_plan_product(call, &plan->bytes, call->inputs[a], call->inputs[b], call->outputs[0], call->state != NULL);
    plan->a_zeros = nn_place(call, nn_max(1, op_elements(&rows)), sizeof(int32_t));
    plan->b_zeros = nn_place(call, nn_max(1, op_elements(&columns)), sizeof(int32_t));
}

/* The product of two inputs. `result` has everything but the zero points. */
static void multiply(tl_call *call, size_t a, size_t a_zero, size_t b, size_t b_zero, byte_result *result)
{
    const quant_plan *plan = call->plan;
    const tl_tensor rows = quant_rows(call->inputs[a]), columns = quant_columns(call->inputs[b]);
    if (op_elements(call->outputs[0]) == 0)
        return;
    result->a_zeros = nn_at(call, plan->a_zeros);
    result->b_zeros = nn_at(call, plan->b_zeros);
    result->a_zero_step = quant_zeros(op_input(call, a_zero), &rows, row_axis(&rows), nn_at(call, plan->a_zeros));
    result->b_zero_step = quant_zeros(op_input(call, b_zero), &columns, columns.rank - 1, nn_at(call, plan->b_zeros));
    byte_product_run(call, &plan->bytes, call->inputs[a]->data, call->inputs[b]->data, call->state, result);
}

static tl_status matmul_integer_reshape(tl_call *call)
{
    tl_status status = matmul_output_shape(call, call->inputs[INTEGER_A], call->inputs[INTEGER_B], call->outputs[0]);
    if (status == TL_OK)
        status = check_zeros(call, INTEGER_A, INTEGER_A_ZERO, INTEGER_B, INTEGER_B_ZERO);
    if (status != TL_OK || !call->plan)
        return status;
    call->workspace_size = 0;
    plan_bytes(call, call->plan, INTEGER_A, INTEGER_B);
    return TL_OK;
}

static tl_status matmul_integer_run(tl_call *call)
{
    byte_result result = {.form = TLK_BYTES_SUMS, .c = call->outputs[0]->data};
    multiply(call, INTEGER_A, INTEGER_A_ZERO, INTEGER_B, INTEGER_B_ZERO, &result);
    return TL_OK;
}

/* ---- MatMulInteger, a Cast to float, and steps */

enum { INTEGER_OPERANDS = 4 };

typedef struct float_plan {
    quant_plan quant; /* first: MatMulInteger's functions find theirs here */
    steps_program steps;
    steps_place places[TLK_MAX_STEPS];
} float_plan;

static tl_status fused_integer_reshape(tl_call *call)
{
    float_plan *plan = call->plan;
    const tl_tensor *y = call->outputs[0];
    tl_status status = matmul_integer_reshape(call);
    if (status != TL_OK || !plan)
        return status;
    if (y->rank < 2)
        return tl_fail(call, TL_INVALID_INPUT, "the output has rank %d, but must have 2 or more", y->rank);
    status = steps_parse(call, INTEGER_OPERANDS, &plan->steps);
    return status == TL_OK ? steps_set_places(call, &plan->steps, INTEGER_OPERANDS, y, 0, y->rank - 1, plan->places)
                           : status;
}

static bool fused_integer_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    return k >= INTEGER_OPERANDS || op_reach_rows(call, k, axis, reach);
}

static tl_status fused_integer_run(tl_call *call)
{
    const float_plan *plan = call->plan;
    byte_result result = {.form = TLK_BYTES_FLOATS,
                          .c = call->outputs[0]->data,
                          .steps = &plan->steps,
                          .places = plan->places,
                          .first_operand = INTEGER_OPERANDS};
    multiply(call, INTEGER_A, INTEGER_A_ZERO, INTEGER_B, INTEGER_B_ZERO, &result);
    return TL_OK;
}

/* ---- QLinearMatMul */

/* What the kernel scales by itself: a scale for all or for each column, and one zero point. */
static bool is_plain(const tl_call *call)
{
    const tl_tensor *b_scale = call->inputs[LINEAR_B_SCALE], *y = call->outputs[0];
    const int64_t n = op_elements(b_scale);
    return op_elements(call->inputs[LINEAR_A_SCALE]) == 1 && op_elements(call->inputs[LINEAR_Y_SCALE]) == 1 &&
           op_elements(call->inputs[LINEAR_Y_ZERO]) == 1 && !is_float8(y) &&
           (n == 1 || (b_scale->dims[b_scale->rank - 1] == n && y->rank > 0 && y->dims[y->rank - 1] == n));
}

static bool is_real(const tl_call *call)
{
    return is_float8(call->inputs[LINEAR_A]) || is_float8(call->inputs[LINEAR_B]);
}

static void plan_linear(tl_call *call, quant_plan *plan)
{
    const tl_tensor *a = call->inputs[LINEAR_A], *b = call->inputs[LINEAR_B], *y = call->outputs[0];
    call->workspace_size = 0;
    if (is_real(call)) {
        tl_tensor left = *a, right = *b;
        left.type = right.type = TL_FLOAT;
        plan->a = nn_place(call, nn_product(a, 0, a->rank), sizeof(float));
        plan->b = nn_place(call, nn_product(b, 0, b->rank), sizeof(float));
        product_set(&plan->real, TL_FLOAT, product_factor_a(&left, false), product_factor_b(&right, false, false));
        product_batch(&plan->real, &left, &right, y);
        product_place(call, &plan->real, false);
    } else {
        plan_bytes(call, plan, LINEAR_A, LINEAR_B);
        plan->scales = nn_place(call, op_elements(call->inputs[LINEAR_B_SCALE]), sizeof(float));
    }
    if (is_real(call) || !is_plain(call))
        plan->sums = nn_place(call, nn_product(y, 0, y->rank), sizeof(int32_t));
}

static tl_status linear_matmul_reshape(tl_call *call)
{
    const tl_tensor *a = call->inputs[LINEAR_A], *b = call->inputs[LINEAR_B], *y = call->outputs[0];
    tl_status status = matmul_output_shape(call, a, b, call->outputs[0]);
    if (status == TL_OK)
        status = check_zeros(call, LINEAR_A, LINEAR_A_ZERO, LINEAR_B, LINEAR_B_ZERO);
    const size_t by_row[] = {LINEAR_A_SCALE, LINEAR_Y_SCALE, LINEAR_Y_ZERO};
    for (size_t i = 0; i < 3 && status == TL_OK; i++)
        status = quant_check(call, by_row[i], y, row_axis(y));
    if (status == TL_OK)
        status = quant_check(call, LINEAR_B_SCALE, y, column_axis(y));
    if (status == TL_OK)
        status = nn_check_rank(call, LINEAR_BIAS, 1, 1);
    if (status == TL_OK)
        status = nn_check_dim(call, LINEAR_BIAS, 0, y->rank > 0 ? y->dims[y->rank - 1] : -1, "one for each column");
    if (status == TL_OK && call->plan)
        plan_linear(call, call->plan);
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

static const int32_t *bias_of(const tl_call *call)
{
    const tl_tensor *bias = op_input(call, LINEAR_BIAS);
    return bias ? bias->data : NULL;
}

/* Bytes as the kernel leaves them. */
static void multiply_plain(tl_call *call)
{
    const quant_plan *plan = call->plan;
    const tl_tensor *y = call->outputs[0], *b_scale = call->inputs[LINEAR_B_SCALE];
    float *scales = nn_at(call, plan->scales);
    const int64_t n = op_elements(b_scale);
    for (int64_t j = 0; j < n; j++)
        scales[j] = (float)op_load_number(call->inputs[LINEAR_A_SCALE], 0) * (float)op_load_number(b_scale, j) /
                    (float)op_load_number(call->inputs[LINEAR_Y_SCALE], 0);
    byte_result result = {.form = TLK_BYTES_BYTES,
                          .c = y->data,
                          .scale = scales,
                          .scale_step = n > 1,
                          .bias = bias_of(call),
                          .zero = quant_byte(call->inputs[LINEAR_Y_ZERO], 0),
                          .low = quant_low(y->type),
                          .high = quant_high(y->type)};
    multiply(call, LINEAR_A, LINEAR_A_ZERO, LINEAR_B, LINEAR_B_ZERO, &result);
}

static tl_status linear_matmul_run(tl_call *call)
{
    const quant_plan *plan = call->plan;
    const tl_tensor *y = call->outputs[0];
    const tl_tensor *const parameters[4] = {call->inputs[LINEAR_A_SCALE], call->inputs[LINEAR_B_SCALE],
                                            call->inputs[LINEAR_Y_SCALE], call->inputs[LINEAR_Y_ZERO]};
    const int32_t axes[4] = {row_axis(y), column_axis(y), row_axis(y), row_axis(y)};
    void *sums = nn_at(call, plan->sums);
    byte_result result = {.form = TLK_BYTES_SUMS, .c = sums, .bias = bias_of(call)};
    if (op_elements(y) == 0)
        return TL_OK;
    if (is_real(call)) {
        multiply_real(call, sums);
    } else if (is_plain(call)) {
        multiply_plain(call);
        return TL_OK;
    } else {
        multiply(call, LINEAR_A, LINEAR_A_ZERO, LINEAR_B, LINEAR_B_ZERO, &result);
    }
    requantize(sums, is_real(call), parameters, axes, y);
    return TL_OK;
}

/* ---- Schemas */

#define SCALE_TYPES (TL_T(TL_FLOAT) | TL_T_HALFS)
static const tl_param matmul_integer_input[] = {OP_IN("A", QUANT_BYTES, 'A'), OP_IN("B", QUANT_BYTES, 'B'),
                                                OP_OPT("a_zero_point", QUANT_BYTES, 'A'),
                                                OP_OPT("b_zero_point", QUANT_BYTES, 'B')};
static const tl_param integer_output[] = {OP_IN("Y", TL_T(TL_INT32), 0)};
#define MATMUL_TYPES (QUANT_BYTES | OP_T_FLOAT8)
#define LINEAR_MATMUL(bytes)                                                                           \
    OP_IN("a", bytes, 'A'), OP_IN("a_scale", SCALE_TYPES, 'S'), OP_IN("a_zero_point", bytes, 'A'),     \
        OP_IN("b", bytes, 'B'), OP_IN("b_scale", SCALE_TYPES, 'S'), OP_IN("b_zero_point", bytes, 'B'), \
        OP_IN("y_scale", SCALE_TYPES, 'S'), OP_IN("y_zero_point", bytes, 'Y')
static const tl_param linear_matmul_input_10[] = {LINEAR_MATMUL(QUANT_BYTES)};
static const tl_param linear_matmul_input_21[] = {LINEAR_MATMUL(MATMUL_TYPES)};
static const tl_param linear_matmul_output_21[] = {OP_IN("y", MATMUL_TYPES, 'Y')};
static const tl_param linear_output[] = {OP_IN("y", QUANT_BYTES, 'Y')};
static const tl_param fused_matmul_input[] = {LINEAR_MATMUL(QUANT_BYTES), OP_OPT("bias", TL_T(TL_INT32), 0)};

static const tl_param fused_integer_input[] = {
    OP_IN("A", QUANT_BYTES, 'A'), OP_IN("B", QUANT_BYTES, 'B'), OP_OPT("a_zero_point", QUANT_BYTES, 'A'),
    OP_OPT("b_zero_point", QUANT_BYTES, 'B'), STEPS_OPERANDS(TL_T(TL_FLOAT))};
static const tl_param float_output[] = {OP_IN("Y", TL_T(TL_FLOAT), 'T')};
static const tl_attribute_spec steps_attributes[] = {STEPS_ATTRIBUTES};

OP_DESCRIPTOR(FusedMatMulInteger, 1) = {OP_HEAD_IN(STEPS_DOMAIN, FusedMatMulInteger, 1),
                                        OP_PARAMS(input, fused_integer_input),
                                        OP_PARAMS(output, float_output),
                                        OP_PARAMS(attribute, steps_attributes),
                                        .plan_size = sizeof(float_plan),
                                        .create = integer_create,
                                        .destroy = op_free_state,
                                        .reshape = fused_integer_reshape,
                                        .run = fused_integer_run,
                                        .reach = fused_integer_reach};
OP_DESCRIPTOR(MatMulInteger, 10) = {OP_HEAD(MatMulInteger, 10),
                                    OP_PARAMS(input, matmul_integer_input),
                                    OP_PARAMS(output, integer_output),
                                    .plan_size = sizeof(quant_plan),
                                    .create = integer_create,
                                    .destroy = op_free_state,
                                    .reshape = matmul_integer_reshape,
                                    .run = matmul_integer_run,
                                    .reach = op_reach_rows};
#define LINEAR_MATMUL_OPERATOR(head, in, out)                                                   \
    {                                                                                           \
        head, OP_PARAMS(input, in), OP_PARAMS(output, out),                                     \
            .plan_size = sizeof(quant_plan), .create = linear_create, .destroy = op_free_state, \
            .reshape = linear_matmul_reshape, .run = linear_matmul_run, .reach = op_reach_rows  \
    }
OP_DESCRIPTOR(QLinearMatMul, 10) = LINEAR_MATMUL_OPERATOR(OP_HEAD(QLinearMatMul, 10), linear_matmul_input_10,
                                                          linear_output);
OP_DESCRIPTOR(QLinearMatMul, 21) = LINEAR_MATMUL_OPERATOR(OP_HEAD(QLinearMatMul, 21), linear_matmul_input_21,
                                                          linear_matmul_output_21);
/* The same with a bias, in units of the sums, as rules_quantized.c makes it of Gemm. */
OP_DESCRIPTOR(FusedQLinearMatMul, 1) = LINEAR_MATMUL_OPERATOR(OP_HEAD_IN(STEPS_DOMAIN, FusedQLinearMatMul, 1),
                                                              fused_matmul_input, linear_output);
