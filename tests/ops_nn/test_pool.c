#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_MaxPool_10, tl_op_AveragePool_19, tl_op_LpPool_18;
extern const tl_operator tl_op_GlobalAveragePool_1, tl_op_GlobalMaxPool_1, tl_op_GlobalLpPool_2;

enum { MAX, AVERAGE, LP };

typedef struct problem {
    int kind;
    tl_type type;
    int32_t spatial;
    int64_t dims[5], kernel[3], strides[3], dilations[3], pads[6];
    const char *auto_pad;
    bool ceil_mode, count_pads, column_major;
    int64_t p;
} problem;

/* Output size and pads of an axis, by the standard's formulas; -1: the window does not fit. */
static int64_t axis_size(const problem *p, int i, int64_t *begin, int64_t *end)
{
    int64_t in = p->dims[i + 2], s = p->strides[i], extent = (p->kernel[i] - 1) * p->dilations[i] + 1;
    *begin = *end = 0;
    if (strncmp(p->auto_pad, "SAME", 4) == 0) {
        int64_t out = (in + s - 1) / s, total = (out - 1) * s + extent - in;
        total = total > 0 ? total : 0;
        *begin = strcmp(p->auto_pad, "SAME_UPPER") == 0 ? total / 2 : (total + 1) / 2;
        *end = total - *begin;
        return out;
    }
    if (strcmp(p->auto_pad, "VALID") == 0)
        return in < extent ? -1 : (int64_t)ceil((double)(in - extent + 1) / (double)s);
    *begin = p->pads[i];
    *end = p->pads[p->spatial + i];
    double steps = (double)(in + *begin + *end - extent) / (double)s;
    if (steps < 0)
        return -1;
    int64_t out = (int64_t)(p->ceil_mode ? ceil(steps) : floor(steps)) + 1;
    return p->ceil_mode && (out - 1) * s >= in + *begin ? out - 1 : out;
}

typedef struct window_result {
    double value;
    int64_t index;
} window_result;

static window_result naive_window(const problem *p, const tl_tensor *x, int64_t channel, const int64_t *at,
                                  const int64_t *begin, const int64_t *end)
{
    int64_t in[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, start[3] = {0}, dilation[3] = {1, 1, 1}, before[3] = {0},
            after[3] = {0}, count = 0;
    window_result r = {p->kind == MAX ? -INFINITY : 0, -1};
    for (int i = 0; i < p->spatial; i++) {
        in[i] = p->dims[i + 2], kernel[i] = p->kernel[i], start[i] = at[i] * p->strides[i] - begin[i];
        dilation[i] = p->dilations[i], before[i] = begin[i], after[i] = end[i];
    }
    for (int64_t k0 = 0; k0 < kernel[0]; k0++)
        for (int64_t k1 = 0; k1 < kernel[1]; k1++)
            for (int64_t k2 = 0; k2 < kernel[2]; k2++) {
                int64_t i0 = start[0] + k0 * dilation[0], i1 = start[1] + k1 * dilation[1],
                        i2 = start[2] + k2 * dilation[2];
                bool inside = i0 >= 0 && i0 < in[0] && i1 >= 0 && i1 < in[1] && i2 >= 0 && i2 < in[2];
                bool in_pads = i0 >= -before[0] && i0 < in[0] + after[0] && i1 >= -before[1] && i1 < in[1] + after[1] &&
                               i2 >= -before[2] && i2 < in[2] + after[2];
                count += inside || (p->count_pads && in_pads);
                if (!inside)
                    continue;
                double v = get(x, ((channel * in[0] + i0) * in[1] + i1) * in[2] + i2);
                int64_t index = p->column_major ? i0 + in[0] * (i1 + in[1] * i2) : (i0 * in[1] + i1) * in[2] + i2;
                if (p->kind == MAX && v > r.value) {
                    r.value = v;
                    r.index = channel * in[0] * in[1] * in[2] + index;
                }
                if (p->kind != MAX)
                    r.value += p->kind == AVERAGE ? v : pow(fabs(v), (double)p->p);
            }
    if (p->kind == AVERAGE)
        r.value = count ? r.value / (double)count : 0;
    if (p->kind == LP)
        r.value = pow(r.value, 1.0 / (double)p->p);
    return r;
}

static size_t fill_attributes(const problem *p, fake_attribute *a)
{
    size_t count = 0, n = (size_t)p->spatial;
    a[count++] = (fake_attribute){.name = "kernel_shape", .kind = TL_ATTR_INTS, .ints = p->kernel, .count = n};
    a[count++] = (fake_attribute){.name = "strides", .kind = TL_ATTR_INTS, .ints = p->strides, .count = n};
    a[count++] = (fake_attribute){.name = "dilations", .kind = TL_ATTR_INTS, .ints = p->dilations, .count = n};
    a[count++] = (fake_attribute)ATTR_I("ceil_mode", p->ceil_mode);
    if (strcmp(p->auto_pad, "NOTSET") == 0)
        a[count++] = (fake_attribute){.name = "pads", .kind = TL_ATTR_INTS, .ints = p->pads, .count = 2 * n};
    else
        a[count++] = (fake_attribute)ATTR_S("auto_pad", p->auto_pad);
    if (p->kind == MAX)
        a[count++] = (fake_attribute)ATTR_I("storage_order", p->column_major);
    if (p->kind == AVERAGE)
        a[count++] = (fake_attribute)ATTR_I("count_include_pad", p->count_pads);
    if (p->kind == LP)
        a[count++] = (fake_attribute)ATTR_I("p", p->p);
    return count;
}

static void check_problem(const problem *p, bool indices)
{
    static const tl_operator *const operators[] = {&tl_op_MaxPool_10, &tl_op_AveragePool_19, &tl_op_LpPool_18};
    int64_t out[5] = {p->dims[0], p->dims[1]}, begin[3] = {0}, end[3] = {0};
    for (int i = 0; i < p->spatial; i++)
        if ((out[i + 2] = axis_size(p, i, &begin[i], &end[i])) < 0)
            return;
    fake_attribute attributes[8];
    tl_tensor x = random_tensor(p->type, p->spatial + 2, p->dims);
    fake_case test = {.op = operators[p->kind],
                      .attributes = attributes,
                      .attribute_count = fill_attributes(p, attributes),
                      .inputs = {&x},
                      .input_count = 1,
                      .output_count = indices ? 2 : 1};
    run_ok(&test);
    assert_shape(&test.outputs[0], p->spatial + 2, out);
    int64_t total = elements(&test.outputs[0]);
    double *want = malloc((size_t)total * sizeof *want + 1);
    for (int64_t i = 0; i < total; i++) {
        int64_t at[3] = {0}, rest = i;
        for (int d = p->spatial - 1; d >= 0; d--) {
            at[d] = rest % out[d + 2];
            rest /= out[d + 2];
        }
        window_result r = naive_window(p, &x, rest, at, begin, end);
        want[i] = r.value;
        if (p->kind == MAX && r.index < 0 && (TL_T(p->type) & TL_T_INTEGERS)) /* only pads */
            want[i] = p->type == TL_INT8 ? INT8_MIN : 0;
        if (indices)
            ck_assert_msg((int64_t)get(&test.outputs[1], i) == r.index, "index %lld is %lld, not %lld", (long long)i,
                          (long long)get(&test.outputs[1], i), (long long)r.index);
    }
    assert_near(&test.outputs[0], want, 4, test.op->name);
    free(want);
    fake_free(&test);
    free_tensor(&x);
}

static problem random_problem(int32_t spatial)
{
    static const char *const auto_pads[] = {"NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16, TL_INT8, TL_UINT8};
    problem p = {.kind = (int)random_int(0, 2),
                 .spatial = spatial,
                 .dims = {random_int(0, 12) == 0 ? 0 : random_int(1, 2), random_int(1, 3)},
                 .auto_pad = auto_pads[random_int(0, 5)],
                 .ceil_mode = random_int(0, 1) != 0,
                 .count_pads = random_int(0, 1) != 0,
                 .column_major = random_int(0, 1) != 0,
                 .p = random_int(1, 3)};
    p.type = types[random_int(0, p.kind == MAX ? 5 : 3)];
    for (int i = 0; i < spatial; i++) {
        p.dims[i + 2] = random_int(1, spatial == 1 ? 100 : spatial == 2 ? 20 : 9);
        p.kernel[i] = random_int(1, spatial == 1 ? 9 : 4);
        p.strides[i] = random_int(1, 4);
        p.dilations[i] = random_int(0, 1) ? 1 : random_int(1, 3);
        p.pads[i] = random_int(0, 1) ? 0 : random_int(0, 5);
        p.pads[spatial + i] = random_int(0, 1) ? 0 : random_int(0, 5);
    }
    return p;
}

START_TEST(random_problems)
{
    random_seed(11);
    for (int i = 0; i < 1500; i++) {
        problem p = random_problem(1 + i % 3);
        check_problem(&p, p.kind == MAX && random_int(0, 1));
    }
}
END_TEST

START_TEST(nan_wins)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(1, 1, 9));
    set(&x, 4, NAN);
    const fake_attribute attributes[] = {ATTR_IS("kernel_shape", 3)};
    for (size_t outputs = 1; outputs <= 2; outputs++) {
        fake_case test = {.op = &tl_op_MaxPool_10,
                          .attributes = attributes,
                          .attribute_count = 1,
                          .inputs = {&x},
                          .input_count = 1,
                          .output_count = outputs};
        run_ok(&test);
        for (int64_t i = 0; i < 7; i++)
            ck_assert_int_eq(isnan(get(&test.outputs[0], i)) != 0, i >= 2 && i <= 4);
        fake_free(&test);
    }
    free_tensor(&x);
}
END_TEST

static void fails(const tl_operator *op, tl_status status, const char *text, const fake_attribute *attributes,
                  size_t count)
{
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(1, 2, 5));
    fake_case test = {.op = op, .attributes = attributes, .attribute_count = count, .inputs = {&x}, .input_count = 1};
    run_fails(&test, status, text);
    free_tensor(&x);
}
#define FAILS(op, status, text, ...) fails(&(op), status, text, ATTRIBUTES(__VA_ARGS__))

START_TEST(hostile_attributes)
{
    FAILS(tl_op_MaxPool_10, TL_INVALID_MODEL, "kernel_shape[0]", ATTR_IS("kernel_shape", 0));
    FAILS(tl_op_MaxPool_10, TL_INVALID_MODEL, "spatial axes", ATTR_IS("kernel_shape", 2, 2));
    FAILS(tl_op_MaxPool_10, TL_INVALID_MODEL, "too large", ATTR_IS("kernel_shape", INT64_MAX), ATTR_IS("dilations", 2));
    FAILS(tl_op_MaxPool_10, TL_INVALID_INPUT, "spans", ATTR_IS("kernel_shape", INT64_MAX));
    FAILS(tl_op_MaxPool_10, TL_INVALID_MODEL, "too large", ATTR_IS("kernel_shape", 2), ATTR_IS("pads", INT64_MAX, 1));
    FAILS(tl_op_LpPool_18, TL_INVALID_MODEL, "p is 0", ATTR_IS("kernel_shape", 2), ATTR_I("p", 0));
}
END_TEST

static void check_global(const tl_operator *op, tl_type type, const tl_tensor *x, int p)
{
    const fake_attribute attributes[] = {ATTR_I("p", p)};
    fake_case test = {.op = op, .attributes = attributes, .attribute_count = p != 0, .inputs = {x}, .input_count = 1};
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(2, 3, 1, 1));
    int64_t area = elements(x) / 6;
    for (int64_t i = 0; i < 6; i++) {
        double sum = 0, greatest = -INFINITY, norm = 0;
        for (int64_t j = 0; j < area; j++) {
            double v = get(x, i * area + j);
            sum += v;
            greatest = v > greatest ? v : greatest;
            norm += pow(fabs(v), p);
        }
        double want = p ? pow(norm, 1.0 / p) : op == &tl_op_GlobalMaxPool_1 ? greatest : sum / (double)area;
        double have = get(&test.outputs[0], i);
        ck_assert_msg(fabs(have - want) <= tolerance(type) * (1 + fabs(want)), "%s: %g, not %g", op->name, have, want);
    }
    fake_free(&test);
}

START_TEST(global_pools)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    for (int t = 0; t < 4; t++)
        for (int64_t width = 1; width < 40; width += 6) {
            tl_tensor x = random_tensor(types[t], DIMS(2, 3, 3, width));
            check_global(&tl_op_GlobalAveragePool_1, types[t], &x, 0);
            check_global(&tl_op_GlobalMaxPool_1, types[t], &x, 0);
            for (int p = 1; p <= 3; p++)
                check_global(&tl_op_GlobalLpPool_2, types[t], &x, p);
            free_tensor(&x);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Pools");
    ADD_TEST(suite, random_problems);
    ADD_TEST(suite, nan_wins);
    ADD_TEST(suite, hostile_attributes);
    ADD_TEST(suite, global_pools);
    return run_suite(suite);
}
