/* QLinearAdd, QLinearMul, QLinearSigmoid, QLinearLeakyRelu, QLinearConcat, QLinearWhere, QLinearSoftmax,
 * QLinearAveragePool and QLinearGlobalAveragePool of com.microsoft: on bytes that stand for (byte - zero point) *
 * scale. A byte has 256 values, so tables have what each stands for. */
#include "microsoft/microsoft.h"
#include "onnx/conv.h"
#include "onnx/elementwise.h"
#include "onnx/quant.h"

typedef struct quantity {
    float scale;
    int32_t zero;
} quantity;

static int32_t number(tl_type type, int byte)
{
    return type == TL_INT8 ? (int8_t)byte : byte;
}

/* The scale at input k, and the zero point behind it, which is 0 where it is absent. */
static tl_status read_quantity(const tl_call *call, size_t k, quantity *q)
{
    const tl_tensor *scale = call->inputs[k], *zero = op_input(call, k + 1);
    if (op_elements(scale) != 1 || (zero && op_elements(zero) != 1))
        return tl_fail(call, TL_INVALID_INPUT, "input %zu or %zu has not one element", k, k + 1);
    q->scale = *(const float *)scale->data;
    q->zero = zero ? quant_byte(zero, 0) : 0;
    return TL_OK;
}

static uint8_t to_byte(tl_type type, float x, int32_t zero)
{
    const float low = (float)quant_low(type), high = (float)quant_high(type), y = rintf(x) + (float)zero;
    return (uint8_t)(int32_t)(y >= high ? high : y > low ? y : low); /* NaN: the lowest */
}

/* ---- Two operands, under broadcasting */

typedef struct pairs {
    const uint8_t *in[2];
    uint8_t *y;
    const op_map *map;
    tlk_binary function;
    int32_t is_signed, zeros[2], zero, low, high;
    float units[2]; /* what a step of each operand is, in steps of the result, together */
} pairs;

/* What n elements of each of `rows` rows of operand k stand for, and how far apart the rows are then: a row that all
 * share is there once, and so is an element that all of a row share. */
static int64_t load_rows(const pairs *p, int k, int64_t at, int64_t rows, int64_t n, float *values)
{
    const float zero = (float)p->zeros[k];
    const int64_t next = p->map->next[k], each = p->map->step[k] ? n : 1;
    const int64_t together = next == each ? rows : 1, calls = next == 0 ? 1 : rows / together;
    for (int64_t i = 0; i < calls; i++)
        tlk_get()->dequantize(p->in[k] + at + i * next, 1, p->is_signed, values + i * each, together * each,
                              together * each, &p->units[k], &zero);
    return next == 0 ? 0 : each;
}

static void pair_rows(const void *context, const int64_t *in, int64_t at, int64_t rows, int64_t n)
{
    enum { BLOCK = 1024 };
    const pairs *p = context;
    const int32_t *step = p->map->step;
    const int64_t high = n < BLOCK ? BLOCK / n : 1, wide = nn_min(n, BLOCK);
    float values[2][BLOCK], results[BLOCK];
    for (int64_t r = 0; r < rows; r += high)
        for (int64_t i = 0; i < n; i += wide) {
            const int64_t h = nn_min(rows - r, high), w = nn_min(n - i, wide);
            int64_t next[2];
            for (int k = 0; k < 2; k++)
                next[k] = load_rows(p, k, in[k] + r * p->map->next[k] + i * step[k], h, w, values[k]);
            tlk_get()->binary_rows(p->function, values[0], next[0], step[0], values[1], next[1], step[1], results, h,
                                   w);
            tlk_get()->quantize(results, p->y + at + r * n + i, 1, h * w, 1, p->zero, p->low, p->high);
        }
}

static tl_status pair_reshape(tl_call *call)
{
    const tl_tensor *const inputs[] = {call->inputs[0], call->inputs[3]};
    tl_status status = op_broadcast(call, inputs, 2, call->outputs[0]);
    if (status == TL_OK && call->plan)
        op_map_init(call->plan, call->outputs[0], inputs, 2, 4);
    return status;
}

static tl_status pair_run(tl_call *call, tlk_binary function)
{
    quantity a = {0}, b = {0}, y = {0};
    const tl_type type = call->inputs[0]->type;
    tl_status status = read_quantity(call, 1, &a);
    if (status == TL_OK)
        status = read_quantity(call, 4, &b);
    if (status == TL_OK)
        status = read_quantity(call, 6, &y);
    if (status != TL_OK)
        return status;
    const pairs p = {.in = {call->inputs[0]->data, call->inputs[3]->data},
                     .y = call->outputs[0]->data,
                     .map = call->plan,
                     .function = function,
                     .is_signed = type == TL_INT8,
                     .zeros = {a.zero, b.zero},
                     .zero = y.zero,
                     .low = quant_low(type),
                     .high = quant_high(type),
                     .units = {function == TLK_MUL ? 1 : a.scale / y.scale,
                               function == TLK_MUL ? a.scale * b.scale / y.scale : b.scale / y.scale}};
    op_map_run_rows(call, p.map, pair_rows, &p);
    return TL_OK;
}

static tl_status add_run(tl_call *call)
{
    return pair_run(call, TLK_ADD);
}

static tl_status mul_run(tl_call *call)
{
    return pair_run(call, TLK_MUL);
}

/* ---- One operand */

typedef float (*function)(float x, float parameter);

/* What each byte of `from` becomes. */
static void make_table(uint8_t *table, tl_type type, quantity from, quantity to, function f, float parameter)
{
    const float zero = (float)from.zero;
    uint8_t bytes[256];
    float values[256];
    for (int k = 0; k < 256; k++)
        bytes[k] = (uint8_t)k;
    tlk_get()->dequantize(bytes, 1, type == TL_INT8, values, 256, 256, &from.scale, &zero);
    for (int k = 0; f && k < 256; k++)
        values[k] = f(values[k], parameter);
    tlk_get()->quantize(values, table, 1, 256, to.scale, to.zero, quant_low(type), quant_high(type));
}

static tl_status one_run(tl_call *call, function f, float parameter)
{
    quantity from = {0}, to = {0};
    uint8_t table[256];
    const uint8_t *x = call->inputs[0]->data;
    uint8_t *y = call->outputs[0]->data;
    tl_status status = read_quantity(call, 1, &from);
    if (status == TL_OK)
        status = read_quantity(call, 3, &to);
    if (status != TL_OK)
        return status;
    make_table(table, call->inputs[0]->type, from, to, f, parameter);
    tlk_get()->lookup(table, x, 1, op_elements(call->inputs[0]), y, 0);
    return TL_OK;
}

static float leaky(float x, float alpha)
{
    return x < 0 ? alpha * x : x;
}

static float logistic(float x, float unused)
{
    (void)unused;
    return 1 / (1 + expf(-x));
}

static tl_status leaky_run(tl_call *call)
{
    return one_run(call, leaky, op_float(call, "alpha"));
}

static tl_status sigmoid_run(tl_call *call)
{
    return one_run(call, logistic, 0);
}

/* ---- Concat: the result's scale and zero point, then three inputs for each part */

static tl_status concat_axis(const tl_call *call, int32_t rank, int32_t *axis)
{
    return op_axis(call, "axis", op_int(call, "axis"), rank, axis);
}

static tl_status concat_reshape(tl_call *call)
{
    tl_tensor *y = call->outputs[0];
    int32_t axis = 0;
    if (call->input_count % 3 != 2 || call->input_count < 5)
        return tl_fail(call, TL_INVALID_MODEL, "%zu inputs, which are not two and three for each part",
                       call->input_count);
    for (size_t k = 2; k < call->input_count; k += 3) {
        const tl_tensor *x = call->inputs[k];
        if (x->type != y->type || call->inputs[k + 1]->type != TL_FLOAT || call->inputs[k + 2]->type != y->type)
            return tl_fail(call, TL_INVALID_MODEL,
                           "inputs %zu to %zu are not bytes of one type, their scale, and their zero point", k, k + 2);
        if (x->rank == TL_RANK_UNKNOWN)
            return op_unknown_shape(call);
        if (k == 2)
            op_copy_shape(y, x);
        tl_status status = k == 2 ? concat_axis(call, x->rank, &axis) : nn_check_rank(call, k, y->rank, y->rank);
        for (int32_t i = 0; i < y->rank && status == TL_OK; i++)
            if (i != axis)
                status = nn_check_dim(call, k, i, y->dims[i], "as the first part has it");
        if (status != TL_OK)
            return status;
        if (k == 2)
            continue;
        if (x->dims[axis] < 0 || y->dims[axis] < 0)
            y->dims[axis] = TL_DIM_UNKNOWN;
        else if (!nn_add(y->dims[axis], x->dims[axis], &y->dims[axis]))
            return tl_fail(call, TL_NO_MEMORY, "the parts are too long");
    }
    return TL_OK;
}

static tl_status concat_run(tl_call *call)
{
    const tl_tensor *y = call->outputs[0];
    quantity from = {0}, to = {0};
    uint8_t table[256], *data = y->data;
    int32_t axis;
    tl_status status = read_quantity(call, 0, &to);
    if (status == TL_OK)
        status = concat_axis(call, y->rank, &axis);
    if (status != TL_OK || op_elements(y) == 0)
        return status;
    const int64_t outer = op_product(y, 0, axis), stride = op_product(y, axis, y->rank);
    for (size_t k = 2; k < call->input_count && status == TL_OK; k += 3) {
        const tl_tensor *x = call->inputs[k];
        const int64_t row = op_product(x, axis, x->rank);
        status = read_quantity(call, k + 1, &from);
        if (status != TL_OK)
            break;
        make_table(table, y->type, from, to, NULL, 0);
        tlk_get()->lookup(table, x->data, outer, row, data, stride);
        data += row;
    }
    return status;
}

/* ---- Where: the condition, then three inputs for each choice, then the result's scale and zero point */

typedef struct choice {
    const uint8_t *condition, *in[2];
    uint8_t *y, tables[2][256];
    const int32_t *step;
} choice;

static void where_row(const void *context, const int64_t *in, int64_t at, int64_t n)
{
    const choice *c = context;
    for (int64_t i = 0; i < n; i++) {
        const int k = !c->condition[in[0] + i * c->step[0]];
        c->y[at + i] = c->tables[k][c->in[k][in[k + 1] + i * c->step[k + 1]]];
    }
}

static tl_status where_reshape(tl_call *call)
{
    const tl_tensor *const inputs[] = {call->inputs[0], call->inputs[1], call->inputs[4]};
    tl_status status = op_broadcast(call, inputs, 3, call->outputs[0]);
    if (status == TL_OK && call->plan)
        op_map_init(call->plan, call->outputs[0], inputs, 3, 4);
    return status;
}

static tl_status where_run(tl_call *call)
{
    const op_map *map = call->plan;
    quantity from = {0}, to = {0};
    choice c = {.condition = call->inputs[0]->data, .y = call->outputs[0]->data, .step = map->step};
    tl_status status = read_quantity(call, 7, &to);
    for (size_t k = 0; k < 2 && status == TL_OK; k++) {
        status = read_quantity(call, 2 + 3 * k, &from);
        c.in[k] = call->inputs[1 + 3 * k]->data;
        make_table(c.tables[k], call->outputs[0]->type, from, to, NULL, 0);
    }
    if (status == TL_OK)
        op_map_run(call, map, where_row, &c);
    return status;
}

/* ---- Softmax: along one axis, or before version 13 of the standard's, which an attribute tells, along all from it on.
 * One over the result's scale is cut to a whole number, as ONNX Runtime does. */

static tl_status softmax_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    int32_t axis;
    op_copy_shape(call->outputs[0], x);
    return x->rank == TL_RANK_UNKNOWN ? TL_OK : op_axis(call, "axis", op_int(call, "axis"), x->rank, &axis);
}

static tl_status softmax_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    quantity from = {0}, to = {0};
    float powers[256];
    int32_t axis = 0;
    tl_status status = read_quantity(call, 1, &from);
    if (status == TL_OK)
        status = read_quantity(call, 3, &to);
    if (status == TL_OK)
        status = op_axis(call, "axis", op_int(call, "axis"), x->rank, &axis);
    if (status != TL_OK || op_elements(x) == 0)
        return status;
    const int32_t behind = op_int(call, "opset") < 13 ? x->rank : axis + 1;
    const int64_t length = op_product(x, axis, behind), step = op_product(x, behind, x->rank);
    const float units = floorf(1 / to.scale);
    for (int k = 0; k < 256; k++)
        powers[k] = (float)exp(-k * (double)from.scale);
    for (int64_t i = 0, n = op_elements(x) / length; i < n; i++) {
        const uint8_t *in = (const uint8_t *)x->data + i / step * step * length + i % step;
        uint8_t *y = (uint8_t *)call->outputs[0]->data + (in - (const uint8_t *)x->data);
        int32_t most = INT32_MIN;
        float sum = 0;
        for (int64_t t = 0; t < length; t++)
            most = number(x->type, in[t * step]) > most ? number(x->type, in[t * step]) : most;
        for (int64_t t = 0; t < length; t++)
            sum += powers[most - number(x->type, in[t * step])];
        for (int64_t t = 0; t < length; t++)
            y[t * step] = to_byte(x->type, powers[most - number(x->type, in[t * step])] * units / sum, to.zero);
    }
    return TL_OK;
}

static bool softmax_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    int32_t own;
    (void)reach;
    return k == 0 && op_axis(call, "axis", op_int(call, "axis"), call->inputs[0]->rank, &own) == TL_OK &&
           (axis < own || (axis > own && op_int(call, "opset") >= 13));
}

/* ---- Average pooling */

typedef struct average_plan {
    conv_window window;
    int64_t pads[CONV_MAX_SPATIAL]; /* at the beginning */
} average_plan;

static tl_status average_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    const int32_t first = op_int(call, "channels_last") != 0 ? 1 : 2;
    average_plan plan = {0};
    int64_t end;
    tl_status status = conv_window_parse(call, CONV_CEIL_MODE, &plan.window);
    if (status == TL_OK && !plan.window.kernel_given)
        return tl_fail(call, TL_INVALID_MODEL, "kernel_shape is empty");
    op_copy_shape(call->outputs[0], x);
    if (status != TL_OK || x->rank == TL_RANK_UNKNOWN)
        return status;
    status = nn_check_rank(call, 0, 3, TL_MAX_RANK);
    if (status == TL_OK)
        status = conv_window_check(call, &plan.window, x->rank - 2);
    for (int32_t i = 0; i < x->rank - 2 && status == TL_OK; i++)
        status = conv_axis(call, &plan.window, i, x->dims[i + first], &call->outputs[0]->dims[i + first], &plan.pads[i],
                           &end);
    if (status == TL_OK && call->plan)
        *(average_plan *)call->plan = plan;
    return status;
}

/* Bytes less 0 or, with `flip` 128, signed ones less -128. */
static int64_t sum_of(const uint8_t *x, int64_t n, int64_t step, int flip)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i * step] ^ flip;
    return sum;
}

static int flip_of(tl_type type)
{
    return type == TL_INT8 ? 128 : 0;
}

/* The mean at one place of a plane of bytes less their zero point. Where pads count, the whole window does. */
static double mean_at(const average_plan *plan, bool count_pads, const int64_t *sizes, const int64_t *place,
                      const uint8_t *plane, int64_t step, tl_type type, int32_t zero)
{
    int64_t starts[CONV_MAX_SPATIAL], counts[CONV_MAX_SPATIAL], tap[CONV_MAX_SPATIAL] = {0}, first, last, sum = 0;
    const int32_t rows = plan->window.spatial - 1; /* axes that rows go along */
    int64_t taps = 1;
    double count = 1;
    for (int32_t i = 0; i <= rows; i++) {
        const int64_t kernel = plan->window.kernel[i], at = place[i] * plan->window.strides[i] - plan->pads[i];
        conv_taps(at, 1, kernel, sizes[i], &first, &last);
        starts[i] = at + first;
        counts[i] = last - first;
        taps *= counts[i];
        count *= (double)kernel;
    }
    if (rows < 0 || taps == 0)
        return 0;
    do {
        int64_t at = 0;
        for (int32_t i = 0; i <= rows; i++)
            at = at * sizes[i] + starts[i] + tap[i];
        sum += sum_of(plane + at * step, counts[rows], step, flip_of(type));
    } while (conv_step(tap, counts, rows));
    return (double)(sum - taps * (flip_of(type) + zero)) / (count_pads ? count : (double)taps);
}

static tl_status average_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *y = call->outputs[0];
    const bool last = op_int(call, "channels_last") != 0, count_pads = op_int(call, "count_include_pad") != 0;
    const int32_t spatial = x->rank - 2, first = last ? 1 : 2;
    const int64_t channels = x->dims[last ? x->rank - 1 : 1], step = last ? channels : 1;
    const int64_t area = op_product(x, first, first + spatial), out_area = op_product(y, first, first + spatial);
    quantity from = {0}, to = {0};
    tl_status status = read_quantity(call, 1, &from);
    if (status == TL_OK)
        status = read_quantity(call, 3, &to);
    if (status != TL_OK || op_elements(y) == 0)
        return status;
    for (int64_t i = 0; i < x->dims[0] * channels; i++) {
        int64_t place[CONV_MAX_SPATIAL] = {0};
        const int64_t sample = last ? i / channels * channels : i, channel = last ? i % channels : 0;
        const uint8_t *plane = (const uint8_t *)x->data + sample * area + channel;
        uint8_t *out = (uint8_t *)y->data + sample * out_area + channel;
        do {
            const double mean =
                mean_at(call->plan, count_pads, x->dims + first, place, plane, step, x->type, from.zero);
            *out = to_byte(x->type, (float)(mean * (double)from.scale / (double)to.scale), to.zero);
            out += step;
        } while (conv_step(place, y->dims + first, spatial));
    }
    return TL_OK;
}

static bool average_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const conv_window *window = &((const average_plan *)call->plan)->window;
    return k == 0 && op_int(call, "channels_last") == 0 &&
           (axis < 2 || conv_reach_axis(call, window, window->kernel[axis - 2], axis, reach));
}

/* ---- Global average pooling */

static tl_status pool_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    const bool last = op_int(call, "channels_last") != 0;
    tl_status status = nn_check_rank(call, 0, 3, TL_MAX_RANK);
    op_copy_shape(call->outputs[0], x);
    for (int32_t i = last ? 1 : 2; i < x->rank - last; i++)
        call->outputs[0]->dims[i] = 1;
    return status;
}

static tl_status pool_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    const bool last = op_int(call, "channels_last") != 0;
    const int64_t channels = x->dims[last ? x->rank - 1 : 1], area = op_product(x, last ? 1 : 2, x->rank - last);
    const int64_t step = last ? channels : 1;
    uint8_t *y = call->outputs[0]->data;
    quantity from = {0}, to = {0};
    tl_status status = read_quantity(call, 1, &from);
    if (status == TL_OK)
        status = read_quantity(call, 3, &to);
    if (status == TL_OK && area == 0 && op_elements(call->outputs[0]) > 0)
        return tl_fail(call, TL_INVALID_INPUT, "there is nothing to take a mean of");
    for (int64_t i = 0; i < op_elements(call->outputs[0]) && status == TL_OK; i++) {
        const uint8_t *at =
            (const uint8_t *)x->data + (last ? i / channels * channels * area + i % channels : i * area);
        const int64_t sum = sum_of(at, area, step, flip_of(x->type)) - area * (flip_of(x->type) + from.zero);
        y[i] = to_byte(x->type, (float)((double)sum * from.scale / ((double)area * to.scale)), to.zero);
    }
    return status;
}

#define BYTES            (TL_T(TL_UINT8) | TL_T(TL_INT8))
#define SCALE(name)      OP_IN(name, TL_T(TL_FLOAT), 0)
#define ZERO(name)       OP_OPT(name, BYTES, 'T')
#define QUANTIFIED(name) OP_IN(name, BYTES, 'T'), SCALE(name "_scale"), ZERO(name "_zero_point")

static const tl_param pair_in[] = {QUANTIFIED("A"), QUANTIFIED("B"), SCALE("C_scale"), ZERO("C_zero_point")};
static const tl_param one_in[] = {QUANTIFIED("X"), SCALE("Y_scale"), ZERO("Y_zero_point")};
static const tl_param concat_in[] = {SCALE("Y_scale"),
                                     OP_IN("Y_zero_point", BYTES, 'T'),
                                     {"inputs", BYTES | TL_T(TL_FLOAT), 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED}};
static const tl_param where_in[] = {OP_IN("condition", TL_T(TL_BOOL), 0), QUANTIFIED("X"), QUANTIFIED("Y"),
                                    SCALE("Z_scale"), ZERO("Z_zero_point")};
static const tl_param out[] = {OP_IN("Y", BYTES, 'T')};
static const tl_attribute_spec leaky_attrs[] = {OP_FLOAT("alpha", 0.01F)};
static const tl_attribute_spec concat_attrs[] = {OP_REQUIRED_INT("axis")};
static const tl_attribute_spec softmax_attrs[] = {OP_INT("axis", -1), OP_REQUIRED_INT("opset")};
static const tl_attribute_spec average_attrs[] = {
    OP_STRING("auto_pad", "NOTSET"),
    {.name = "kernel_shape", .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED},
    OP_INTS("pads"),
    OP_INTS("strides"),
    OP_INT("ceil_mode", 0),
    OP_INT("count_include_pad", 0),
    OP_INT("channels_last", 0)};
static const tl_attribute_spec pool_attrs[] = {OP_INT("channels_last", 0)};

#define QLINEAR(op, ins, ...) \
    OP_DESCRIPTOR(op, 1) = {MICROSOFT_HEAD(op, 1), OP_PARAMS(input, ins), OP_PARAMS(output, out), __VA_ARGS__}
QLINEAR(QLinearAdd, pair_in, .plan_size = sizeof(op_map), .reshape = pair_reshape, .run = add_run,
        .reach = op_reach_all);
QLINEAR(QLinearMul, pair_in, .plan_size = sizeof(op_map), .reshape = pair_reshape, .run = mul_run,
        .reach = op_reach_all);
QLINEAR(QLinearLeakyRelu, one_in, OP_PARAMS(attribute, leaky_attrs), .run = leaky_run, .reach = op_reach_first);
QLINEAR(QLinearSigmoid, one_in, .run = sigmoid_run, .reach = op_reach_first);
QLINEAR(QLinearConcat, concat_in, OP_PARAMS(attribute, concat_attrs), .reshape = concat_reshape, .run = concat_run,
        .reach = op_reach_beside);
QLINEAR(QLinearGlobalAveragePool, one_in, OP_PARAMS(attribute, pool_attrs), .reshape = pool_reshape, .run = pool_run,
        .reach = op_reach_first);
QLINEAR(QLinearWhere, where_in, .plan_size = sizeof(op_map), .reshape = where_reshape, .run = where_run,
        .reach = op_reach_all);
QLINEAR(QLinearSoftmax, one_in, OP_PARAMS(attribute, softmax_attrs), .reshape = softmax_reshape, .run = softmax_run,
        .reach = softmax_reach);
QLINEAR(QLinearAveragePool, one_in, OP_PARAMS(attribute, average_attrs), .flags = TL_OP_LONG,
        .plan_size = sizeof(average_plan), .reshape = average_reshape, .run = average_run, .reach = average_reach);
