/* Pad. Pads and value were attributes before version 11; axes came with version 18. */
#include "onnx/number.h"
#include "onnx/tensor.h"

static const tl_param ins_11[] = {OP_IN("data", OP_T_WHOLE, 'T'), OP_IN("pads", OP_T_INT64, 0),
                                  OP_OPT("constant_value", OP_T_WHOLE, 'T')};
static const tl_param ins_18[] = {OP_IN("data", TL_T_ALL, 'T'), OP_IN("pads", OP_T_INT64, 0),
                                  OP_OPT("constant_value", TL_T_ALL, 'T'), OP_OPT("axes", TL_T_INDEX, 0)};
static const tl_param ins_2[] = {OP_IN("data", TL_T_FLOATS, 'T')};
static const tl_param outs[] = {OP_IN("output", OP_T_WHOLE, 'T')};
static const tl_param outs_18[] = {OP_IN("output", TL_T_ALL, 'T')};
static const tl_attribute_spec attrs_2[] = {
    OP_STRING("mode", "constant"),
    OP_FLOAT("value", 0),
    {.name = "pads", .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED},
};
static const tl_attribute_spec attrs_11[] = {OP_STRING("mode", "constant")};

typedef enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP } pad_mode;

static tl_status read_mode(const tl_call *call, pad_mode *mode)
{
    const bool wraps = call->host->node_version(call->node) >= 19;
    int which = PAD_CONSTANT;
    const tl_status status =
        op_word(call, "mode", wraps ? "constant reflect edge wrap" : "constant reflect edge", &which);
    *mode = (pad_mode)which;
    return status;
}

/* One axis, or several that lie together. Elements `kept_begin` <= i < `kept_end` of the output are those of the input
 * from `first` on; negative pads leave some of these out. */
typedef struct pad_axis {
    int64_t in, out;
    int64_t kept_begin, kept_end, first;
    int64_t stride; /* of the input, in bytes or packed elements */
} pad_axis;

/* The padded axis that stands last is the inner one; what lies behind it moves as one unit. */
typedef struct pad_plan {
    pad_mode mode;
    int32_t rank;
    pad_axis axes[TL_MAX_RANK];
    int64_t unit;    /* bytes; elements of a packed type */
    int64_t element; /* bytes of what the constant fills; 1 of a packed type */
    int64_t rows;
} pad_plan;

static tl_status pad_axis_init(const tl_call *call, int32_t k, pad_mode mode, int64_t in, int64_t before, int64_t after,
                               pad_axis *axis)
{
    *axis = (pad_axis){.in = in};
    if (__builtin_add_overflow(in, before, &axis->out) || __builtin_add_overflow(axis->out, after, &axis->out))
        return tl_fail(call, TL_NO_MEMORY, "the size of axis %d overflows", k);
    if (axis->out < 0)
        return tl_fail(call, TL_INVALID_INPUT, "pads %lld and %lld leave nothing of axis %d, which has %lld",
                       (long long)before, (long long)after, k, (long long)in);
    axis->kept_begin = before > 0 ? before : 0;
    axis->kept_end = before + in < axis->out ? before + in : axis->out;
    axis->first = axis->kept_begin - before;
    /* What is kept can be nothing, where negative pads meet positive ones. */
    if (axis->kept_end < axis->kept_begin) {
        axis->kept_begin = axis->kept_end = before > 0 ? axis->out : 0;
        axis->first = 0;
    }
    if (mode != PAD_CONSTANT && axis->kept_begin == axis->kept_end && axis->out > 0)
        return tl_fail(call, TL_INVALID_INPUT, "axis %d has no elements to pad with", k);
    return TL_OK;
}

/* The input's index for index i of the output, counted from the first one; -1: the constant. */
static inline int64_t pad_source(const pad_axis *axis, pad_mode mode, int64_t i)
{
    int64_t n = axis->kept_end - axis->kept_begin, j = i - axis->kept_begin;
    if (j >= 0 && j < n)
        return axis->first + j;
    if (mode == PAD_CONSTANT)
        return -1;
    if (mode == PAD_EDGE || n == 1) {
        j = j < 0 ? 0 : n - 1;
    } else if (mode == PAD_WRAP) {
        j %= n;
        j += j < 0 ? n : 0;
    } else {
        const int64_t period = 2 * (n - 1);
        j = j < 0 ? -j : j;
        if (j >= period) /* hardly ever, and a division takes longer than all the rest */
            j %= period;
        j = j < n ? j : period - j;
    }
    return axis->first + j;
}

/* ---- Shapes */

/* Pads per axis, begins in [0..rank), ends in [rank..2 rank). *known is false where they are not known yet. */
static tl_status read_pads(const tl_call *call, int32_t rank, int64_t *pads, bool *known)
{
    int64_t list[2 * TL_MAX_RANK], count, axes[TL_MAX_RANK], axis_count = -1;
    int32_t at[TL_MAX_RANK] = {0};
    tl_status status = TL_OK;
    *known = true;
    if (call->host->node_version(call->node) < 11) {
        size_t n;
        const int64_t *values = op_ints(call, "pads", &n);
        count = (int64_t)n;
        if (n <= 2 * TL_MAX_RANK && n > 0)
            memcpy(list, values, n * sizeof list[0]);
    } else {
        status = op_index_list(call, 1, list, 2 * TL_MAX_RANK, &count);
        bool given = op_input(call, 3) != NULL;
        if (!status && given)
            status = op_index_list(call, 3, axes, TL_MAX_RANK, &axis_count);
        if (status || count < 0 || (given && axis_count < 0)) {
            *known = false;
            return status;
        }
    }
    if (axis_count < 0) {
        axis_count = rank;
        for (int32_t i = 0; i < rank; i++)
            axes[i] = i;
    }
    if (count != 2 * axis_count)
        return tl_fail(call, TL_INVALID_MODEL, "pads has %lld elements for %lld axes", (long long)count,
                       (long long)axis_count);
    status = op_axes(call, axes, axis_count, rank, at);
    memset(pads, 0, 2 * (size_t)rank * sizeof pads[0]);
    for (int64_t k = 0; !status && k < axis_count; k++) {
        pads[at[k]] = list[k];
        pads[rank + at[k]] = list[axis_count + k];
    }
    return status;
}

/* Joins axes that need no padding: with each other, and the last ones into the unit. */
static void join_axes(const tl_tensor *data, const pad_axis *axes, pad_plan *plan)
{
    int32_t last = data->rank - 1;
    plan->unit = plan->element;
    while (last >= 0 && axes[last].in == axes[last].out && axes[last].kept_end - axes[last].kept_begin == axes[last].in)
        plan->unit *= axes[last--].in;
    plan->rank = 0;
    bool joinable = false;
    for (int32_t i = 0; i <= last; i++) {
        bool plain = axes[i].in == axes[i].out && axes[i].kept_end - axes[i].kept_begin == axes[i].in;
        pad_axis *to = &plan->axes[plan->rank > 0 ? plan->rank - 1 : 0];
        if (plain && joinable) {
            to->in *= axes[i].in;
            to->out = to->kept_end = to->in;
        } else {
            plan->axes[plan->rank++] = axes[i];
        }
        joinable = plain;
    }
    if (plan->rank == 0)
        plan->axes[plan->rank++] = (pad_axis){.in = 1, .out = 1, .kept_end = 1};
    int64_t stride = plan->unit;
    plan->rows = 1;
    for (int32_t i = plan->rank - 1; i >= 0; i--) {
        plan->axes[i].stride = stride;
        stride *= plan->axes[i].in;
        plan->rows *= i < plan->rank - 1 ? plan->axes[i].out : 1;
    }
}

static tl_status pad_reshape(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *value = op_input(call, 2);
    tl_tensor *out = call->outputs[0];
    int64_t pads[2 * TL_MAX_RANK] = {0};
    pad_axis axes[TL_MAX_RANK] = {{0}};
    pad_mode mode = PAD_CONSTANT;
    bool known;
    tl_status status = read_mode(call, &mode);
    if (!status && value && op_shape_known(value) && op_elements(value) != 1)
        status = tl_fail(call, TL_INVALID_INPUT, "constant_value has %lld elements, but must have one",
                         (long long)op_elements(value));
    out->rank = data->rank;
    if (status || data->rank == TL_RANK_UNKNOWN)
        return status;
    status = read_pads(call, data->rank, pads, &known);
    for (int32_t i = 0; !status && i < data->rank; i++) {
        out->dims[i] = TL_DIM_UNKNOWN;
        if (known && data->dims[i] >= 0) {
            status = pad_axis_init(call, i, mode, data->dims[i], pads[i], pads[data->rank + i], &axes[i]);
            out->dims[i] = axes[i].out;
        } else if (known && pads[i] == 0 && pads[data->rank + i] == 0) {
            out->dims[i] = data->dims[i];
        }
    }
    if (status || !call->plan || !op_plannable(out) || !op_shape_known(data))
        return status;
    pad_plan *plan = call->plan;
    plan->mode = mode;
    plan->element = op_bytes(data->type, 1);
    join_axes(data, axes, plan);
    return TL_OK;
}

/* ---- Run */

typedef struct pad_job {
    const pad_plan *plan;
    const char *from;
    char *to;
    const void *value;
} pad_job;

static void pad_constant(const pad_job *job, char *to, int64_t units)
{
    op_fill(to, job->value, (size_t)job->plan->element, units * job->plan->unit / job->plan->element);
}

/* Units begin <= i < end of a row, which are not the constant. A single element moves as a number. */
static void pad_around(const pad_axis *axis, pad_mode mode, int64_t unit, char *to, const char *from, int64_t begin,
                       int64_t end)
{
    if (unit == 4)
        for (int64_t i = begin; i < end; i++)
            memcpy(to + i * 4, from + pad_source(axis, mode, i) * 4, 4);
    else
        for (int64_t i = begin; i < end; i++)
            memcpy(to + i * unit, from + pad_source(axis, mode, i) * unit, (size_t)unit);
}

/* One row along the inner axis. */
static void pad_row(const pad_job *job, char *to, const char *from)
{
    const pad_plan *plan = job->plan;
    const pad_axis *axis = &plan->axes[plan->rank - 1];
    int64_t unit = plan->unit;
    if (axis->kept_end > axis->kept_begin)
        memcpy(to + axis->kept_begin * unit, from + axis->first * unit,
               (size_t)((axis->kept_end - axis->kept_begin) * unit));
    if (plan->mode == PAD_CONSTANT) {
        pad_constant(job, to, axis->kept_begin);
        pad_constant(job, to + axis->kept_end * unit, axis->out - axis->kept_end);
        return;
    }
    pad_around(axis, plan->mode, unit, to, from, 0, axis->kept_begin);
    pad_around(axis, plan->mode, unit, to, from, axis->kept_end, axis->out);
}

static void pad_rows(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const pad_job *job = context;
    const pad_plan *plan = job->plan;
    int32_t inner = plan->rank - 1;
    int64_t row_units = plan->axes[inner].out;
    int64_t at[TL_MAX_RANK], rest = begin;
    char *to = job->to + begin * row_units * plan->unit;
    (void)thread;
    for (int32_t i = inner - 1; i >= 0; i--) {
        at[i] = rest % plan->axes[i].out;
        rest /= plan->axes[i].out;
    }
    for (int64_t row = begin; row < end; row++) {
        const char *from = job->from;
        bool constant = false;
        for (int32_t i = 0; i < inner && !constant; i++) {
            int64_t source = pad_source(&plan->axes[i], plan->mode, at[i]);
            constant = source < 0;
            from += constant ? 0 : source * plan->axes[i].stride;
        }
        if (constant)
            pad_constant(job, to, row_units);
        else
            pad_row(job, to, from);
        to += row_units * plan->unit;
        for (int32_t i = inner - 1; i >= 0 && ++at[i] == plan->axes[i].out; i--)
            at[i] = 0;
    }
}

/* The constant: an input, an attribute (floats only), or zero, false, the empty string. */
static const void *pad_value(const tl_call *call, void *memory)
{
    const tl_tensor *value = op_input(call, 2);
    tl_type type = call->inputs[0]->type;
    if (value)
        return value->data;
    memset(memory, 0, 16);
    if (call->host->node_version(call->node) >= 11)
        return memory;
    float number = op_float(call, "value");
    double wide = number;
    if (type == TL_FLOAT)
        memcpy(memory, &number, sizeof number);
    else if (type == TL_DOUBLE)
        memcpy(memory, &wide, sizeof wide);
    else
        op_store_half(type, number, memory);
    return memory;
}

/* Elements that share bytes, one by one. */
static void pad_packed(const pad_job *job, unsigned bits)
{
    const pad_plan *plan = job->plan;
    const uint8_t *from = (const uint8_t *)job->from, *value = job->value;
    const int64_t each = 8 / bits, total = plan->rows * plan->axes[plan->rank - 1].out;
    const unsigned mask = (1U << bits) - 1;
    uint8_t *to = (uint8_t *)job->to;
    for (int64_t i = 0, out = 0; i < total; i++) {
        int64_t start = 0, rest = i;
        for (int32_t k = plan->rank - 1; k >= 0 && start >= 0; k--) {
            int64_t source = pad_source(&plan->axes[k], plan->mode, rest % plan->axes[k].out);
            rest /= plan->axes[k].out;
            start = source < 0 ? -1 : start + source * plan->axes[k].stride;
        }
        for (int64_t u = 0; u < plan->unit; u++, out++) {
            const int64_t at = start < 0 ? 0 : start + u;
            const unsigned element = (start < 0 ? value[0] : from[at / each] >> at % each * bits) & mask;
            const unsigned kept = out % each == 0 ? 0 : to[out / each];
            to[out / each] = (uint8_t)(kept | element << out % each * bits);
        }
    }
}

static tl_status pad_run(tl_call *call)
{
    const pad_plan *plan = call->plan;
    const tl_tensor *out = call->outputs[0];
    unsigned char memory[16];
    if (op_elements(out) == 0)
        return TL_OK;
    pad_job job = {plan, call->inputs[0]->data, out->data, pad_value(call, memory)};
    if (TL_T(out->type) & OP_T_PACKED) {
        pad_packed(&job, op_type_bits(out->type));
        return TL_OK;
    }
    int64_t row_bytes = plan->axes[plan->rank - 1].out * plan->unit;
    int64_t grain = 1 + 65536 / row_bytes;
    if (plan->rows > grain && call->thread_count > 1)
        call->host->parallel_for(call, pad_rows, &job, plan->rows, grain);
    else
        pad_rows(&job, 0, plan->rows, 0);
    return TL_OK;
}

/* What is reflected lies as far inside as the pads go outside, at either end. */
static bool pad_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const tl_tensor *data = call->inputs[0];
    int64_t pads[2 * TL_MAX_RANK] = {0};
    pad_mode mode = PAD_CONSTANT;
    bool known;
    if (k != 0 || read_mode(call, &mode) || read_pads(call, data->rank, pads, &known) || !known)
        return false;
    const int64_t before = pads[axis], after = pads[data->rank + axis];
    *reach = (tl_reach){1, before, -before};
    if (mode == PAD_CONSTANT || (before == 0 && after == 0))
        return true;
    if (mode == PAD_WRAP || before < 0 || after < 0 || before >= data->dims[axis] || after >= data->dims[axis])
        return false;
    *reach = (tl_reach){1, before + 2 * after, before};
    return true;
}

OP_DESCRIPTOR(Pad, 2) = {OP_HEAD(Pad, 2),
                         OP_PARAMS(input, ins_2),
                         OP_PARAMS(output, outs),
                         OP_PARAMS(attribute, attrs_2),
                         .plan_size = sizeof(pad_plan),
                         .reshape = pad_reshape,
                         .run = pad_run,
                         .reach = pad_reach};
OP_DESCRIPTOR(Pad, 11) = {OP_HEAD(Pad, 11),
                          OP_PARAMS(input, ins_11),
                          OP_PARAMS(output, outs),
                          OP_PARAMS(attribute, attrs_11),
                          .plan_size = sizeof(pad_plan),
                          .reshape = pad_reshape,
                          .run = pad_run,
                          .reach = pad_reach};
OP_DESCRIPTOR(Pad, 18) = {OP_HEAD(Pad, 18),
                          OP_PARAMS(input, ins_18),
                          OP_PARAMS(output, outs_18),
                          OP_PARAMS(attribute, attrs_11),
                          .plan_size = sizeof(pad_plan),
                          .reshape = pad_reshape,
                          .run = pad_run,
                          .reach = pad_reach};
