/* Reductions, softmax, ArgMax and running sums against their definition, along any axes. */
#include <math.h>
#include <string.h>

#include "../ops_nn/support.h"

/* clang-format never comes to rest on this. */
/* clang-format off */
#define OPERATORS(X) \
    X(ReduceSum_1) X(ReduceSum_13) X(ReduceMean_18) X(ReduceMax_20) X(ReduceMin_20) X(ReduceProd_18) \
    X(ReduceL1_18) X(ReduceL2_18) X(ReduceLogSum_18) X(ReduceLogSumExp_18) X(ReduceSumSquare_18) X(Softmax_1) \
    X(Softmax_13) X(LogSoftmax_13) X(Hardmax_13) X(ArgMax_12) X(ArgMin_12) X(CumSum_11) X(CumProd_26)
/* clang-format on */
#define DECLARE(name) extern const tl_operator tl_op_##name;
OPERATORS(DECLARE)

static const tl_type float_types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};

static tl_tensor random_shape(tl_type type, int64_t longest)
{
    int64_t dims[5];
    const int32_t rank = (int32_t)random_int(0, 5);
    for (int32_t i = 0; i < rank; i++)
        dims[i] = random_int(1, 4);
    if (rank > 0 && random_int(0, 2) == 0) /* one long axis */
        dims[random_int(0, rank - 1)] = random_int(5, longest);
    return random_tensor(type, rank, dims);
}

/* Element i of `x`, as the flat index of what it becomes where the axes of the mask are reduced to 1. */
static int64_t reduced_index(const tl_tensor *x, uint32_t mask, int64_t i)
{
    int64_t at = 0, stride = 1;
    for (int32_t d = x->rank - 1; d >= 0; d--) {
        if (!(mask >> (d & 31) & 1)) {
            at += i % x->dims[d] * stride;
            stride *= x->dims[d];
        }
        i /= x->dims[d];
    }
    return at;
}

enum { SUM, MEAN, MAX, MIN, PROD, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE };

static const struct {
    const tl_operator *op;
    int kind;
} reductions[] = {{&tl_op_ReduceSum_13, SUM},
                  {&tl_op_ReduceMean_18, MEAN},
                  {&tl_op_ReduceMax_20, MAX},
                  {&tl_op_ReduceMin_20, MIN},
                  {&tl_op_ReduceProd_18, PROD},
                  {&tl_op_ReduceL1_18, L1},
                  {&tl_op_ReduceL2_18, L2},
                  {&tl_op_ReduceLogSum_18, LOG_SUM},
                  {&tl_op_ReduceLogSumExp_18, LOG_SUM_EXP},
                  {&tl_op_ReduceSumSquare_18, SUM_SQUARE}};

static double start(int kind)
{
    return kind == MAX ? -INFINITY : kind == MIN ? INFINITY : kind == PROD ? 1 : 0;
}
static double step(int kind, double total, double x)
{
    switch (kind) {
    case MAX:
        return fmax(total, x);
    case MIN:
        return fmin(total, x);
    case PROD:
        return total * x;
    case L1:
        return total + fabs(x);
    case L2:
    case SUM_SQUARE:
        return total + x * x;
    case LOG_SUM_EXP:
        return total + exp(x);
    default:
        return total + x;
    }
}
static double last(int kind, double total, int64_t count)
{
    switch (kind) {
    case MEAN:
        return total / (double)count;
    case L2:
        return sqrt(total);
    case LOG_SUM:
    case LOG_SUM_EXP:
        return log(total);
    default:
        return total;
    }
}

static void check_reduction(size_t k, tl_type type)
{
    const int kind = reductions[k].kind;
    const bool real = (TL_T(type) & TL_T_FLOATS) != 0, extreme = kind == MAX || kind == MIN;
    tl_tensor x = random_shape(type, kind == PROD ? 6 : 700);
    if (type == TL_BOOL) /* of which any number but 0 is true */
        for (int64_t i = 0; i < elements(&x); i++)
            ((uint8_t *)x.data)[i] = (uint8_t)(random_int(0, 3) * 85);
    else if (kind == LOG_SUM || (!real && !extreme)) /* sums that have a logarithm, and whole roots */
        for (int64_t i = 0; i < elements(&x); i++)
            set(&x, i, real ? fabs(get(&x, i)) + 0.125 : (double)random_int(kind == LOG_SUM, 3));
    int64_t axes[5], count = 0;
    uint32_t mask = 0;
    for (int32_t i = 0; i < x.rank; i++)
        if (random_int(0, 1)) {
            axes[count++] = random_int(0, 1) ? i : i - x.rank;
            mask |= 1U << i;
        }
    const int64_t noop = random_int(0, 1), keep = random_int(0, 1);
    if (count == 0 && !noop)
        mask = (1U << x.rank) - 1;
    tl_tensor list = {.data = axes, .type = TL_INT64, .rank = 1, .dims = {count}};
    const fake_attribute attributes[] = {ATTR_I("keepdims", keep), ATTR_I("noop_with_empty_axes", noop)};
    fake_case one = {.op = reductions[k].op,
                     .inputs = {&x, count || random_int(0, 1) ? &list : NULL},
                     .input_count = 2,
                     .attributes = attributes,
                     .attribute_count = 2,
                     .threads = 1};
    fake_case three = one;
    three.threads = 3;
    run_ok(&one);
    run_ok(&three);
    const tl_tensor *out = &one.outputs[0];
    ck_assert_mem_eq(out->data, three.outputs[0].data, fake_bytes(out));
    int64_t shape[5];
    int32_t rank = 0;
    for (int32_t i = 0; i < x.rank; i++)
        if (!(mask >> i & 1))
            shape[rank++] = x.dims[i];
        else if (keep)
            shape[rank++] = 1;
    assert_shape(out, rank, shape);
    double *want = calloc((size_t)elements(out), sizeof *want), size = 0;
    for (int64_t i = 0; i < elements(out); i++)
        want[i] = start(kind);
    for (int64_t i = 0; i < elements(&x); i++) {
        double *total = &want[reduced_index(&x, mask, i)];
        *total = step(kind, *total, type == TL_BOOL ? get(&x, i) != 0 : get(&x, i));
        size = fmax(size, kind == PROD ? fabs(*total) : 0);
    }
    const int64_t of = elements(&x) / elements(out);
    for (int64_t i = 0; i < elements(out); i++)
        want[i] = real || extreme ? last(kind, want[i], of) : trunc(last(kind, want[i], of) + 1e-12);
    /* sums of numbers up to 1 that cancel each other are off by what rounding the largest of them is off */
    assert_near(out, want, kind == SUM ? 1 + sqrt((double)of) : 1 + size, reductions[k].op->name);
    free(want);
    fake_free(&one);
    fake_free(&three);
    free_tensor(&x);
}

START_TEST(any_axes)
{
    random_seed(21);
    for (int round = 0; round < 12; round++)
        for (size_t k = 0; k < sizeof reductions / sizeof reductions[0]; k++) {
            for (size_t t = 0; t < 4; t++)
                check_reduction(k, float_types[t]);
            check_reduction(k, TL_INT32);
            check_reduction(k, TL_UINT64);
            check_reduction(k, TL_INT64);
            static const tl_type bytes[] = {TL_INT8, TL_UINT8, TL_BOOL};
            for (size_t t = 0; t < 3 && (reductions[k].kind == MAX || reductions[k].kind == MIN); t++)
                check_reduction(k, bytes[t]);
        }
}
END_TEST

/* NaN comes through wherever it is, infinities do not make one, and -inf alone stays. */
START_TEST(extremes)
{
    static const int64_t shapes[][2] = {{5, 3}, {7, 70}, {3, 17}, {40, 1}, {1, 33}};
    random_seed(29);
    for (int round = 0; round < 200; round++) {
        const int64_t *shape = shapes[round % 5], axis = round / 5 % 2;
        const bool maximum = random_int(0, 1) != 0;
        tl_tensor x = random_tensor(TL_FLOAT, DIMS(shape[0], shape[1]));
        for (int64_t i = 0; i < elements(&x); i++)
            if (random_int(0, 2) == 0)
                set(&x, i, random_int(0, 9) == 0 ? NAN : random_int(0, 1) ? INFINITY : -INFINITY);
        tl_tensor list = {.data = &(int64_t){axis}, .type = TL_INT64, .rank = 1, .dims = {1}};
        const fake_attribute attributes[] = {ATTR_I("keepdims", 0), ATTR_I("noop_with_empty_axes", 0)};
        fake_case test = {.op = maximum ? &tl_op_ReduceMax_20 : &tl_op_ReduceMin_20,
                          .inputs = {&x, &list},
                          .input_count = 2,
                          .attributes = attributes,
                          .attribute_count = 2};
        run_ok(&test);
        for (int64_t i = 0; i < shape[1 - axis]; i++) {
            double want = maximum ? -INFINITY : INFINITY;
            for (int64_t k = 0; k < shape[axis]; k++) {
                const double u = get(&x, axis == 1 ? i * shape[1] + k : k * shape[1] + i);
                want = isnan(u) || isnan(want) ? NAN : maximum ? fmax(want, u) : fmin(want, u);
            }
            const double got = get(&test.outputs[0], i);
            ck_assert(isnan(want) ? isnan(got) : got == want);
        }
        fake_free(&test);
        free_tensor(&x);
    }
}
END_TEST

/* A number of any bits: the exact one, in 64 bits, signed or not. */
static uint64_t bits_of(const tl_tensor *x, int64_t i)
{
    switch ((int)x->type) {
    case TL_INT8:
        return (uint64_t)((const int8_t *)x->data)[i];
    case TL_UINT8:
        return ((const uint8_t *)x->data)[i];
    case TL_INT32:
        return (uint64_t)((const int32_t *)x->data)[i];
    case TL_UINT32:
        return ((const uint32_t *)x->data)[i];
    default:
        return ((const uint64_t *)x->data)[i];
    }
}

/* Sums and products wrap, means divide the exact sum, and extremes know of signs, in columns and rows of lengths around
 * those of vectors and blocks. */
START_TEST(integers)
{
    static const tl_type types[] = {TL_INT32, TL_UINT32, TL_INT64, TL_UINT64, TL_INT8, TL_UINT8};
    static const int kinds[] = {MAX, MIN, SUM, PROD, MEAN, L1, SUM_SQUARE};
    static const tl_operator *const operators[] = {&tl_op_ReduceMax_20,      &tl_op_ReduceMin_20,  &tl_op_ReduceSum_13,
                                                   &tl_op_ReduceProd_18,     &tl_op_ReduceMean_18, &tl_op_ReduceL1_18,
                                                   &tl_op_ReduceSumSquare_18};
    static const int64_t lengths[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 40, 63, 65, 257, 300};
    random_seed(31);
    for (int round = 0; round < 1500; round++) {
        const tl_type type = types[random_int(0, 5)];
        const size_t bytes = type == TL_INT8 || type == TL_UINT8 ? 1 : type == TL_INT32 || type == TL_UINT32 ? 4 : 8;
        const size_t k = (size_t)random_int(0, bytes == 1 ? 1 : 6);
        const bool is_signed = type == TL_INT8 || type == TL_INT32 || type == TL_INT64;
        const int64_t n = lengths[random_int(0, 13)], inner = lengths[random_int(0, 13)], outer = random_int(1, 4);
        tl_tensor x = new_tensor(type, DIMS(outer, n, inner));
        for (size_t i = 0; i < (size_t)elements(&x) * bytes; i++)
            ((uint8_t *)x.data)[i] = (uint8_t)random_int(0, 255);
        for (int64_t i = 0; i < elements(&x) && type == TL_INT64; i++) /* whose sums fit, for their mean */
            ((int64_t *)x.data)[i] /= 1024;
        for (int64_t i = 0; i < elements(&x) && type == TL_UINT64; i++)
            ((uint64_t *)x.data)[i] /= 1024;
        tl_tensor list = {.data = &(int64_t){1}, .type = TL_INT64, .rank = 1, .dims = {1}};
        const fake_attribute attributes[] = {ATTR_I("keepdims", 0), ATTR_I("noop_with_empty_axes", 0)};
        fake_case test = {.op = operators[k],
                          .inputs = {&x, &list},
                          .input_count = 2,
                          .attributes = attributes,
                          .attribute_count = 2};
        run_ok(&test);
        for (int64_t i = 0; i < outer * inner; i++) {
            uint64_t want = 0;
            for (int64_t j = 0; j < n; j++) {
                const uint64_t u = bits_of(&x, (i / inner * n + j) * inner + i % inner);
                const bool less = is_signed ? (int64_t)u < (int64_t)want : u < want;
                if (kinds[k] == MAX || kinds[k] == MIN)
                    want = j == 0 || less == (kinds[k] == MIN) ? u : want;
                else if (kinds[k] == PROD)
                    want = j == 0 ? u : want * u;
                else if (kinds[k] == L1)
                    want += is_signed && (int64_t)u < 0 ? 0 - u : u;
                else
                    want += kinds[k] == SUM_SQUARE ? u * u : u;
            }
            if (kinds[k] == MEAN)
                want = is_signed ? (uint64_t)((int64_t)want / n) : want / (uint64_t)n;
            ck_assert(memcmp((const char *)test.outputs[0].data + (size_t)i * bytes, &want, bytes) == 0);
        }
        fake_free(&test);
        free_tensor(&x);
    }
}
END_TEST

START_TEST(empty_sets)
{
    static const struct {
        const tl_operator *op;
        tl_type type;
        double want;
    } cases[] = {{&tl_op_ReduceSum_13, TL_FLOAT, 0},
                 {&tl_op_ReduceSum_13, TL_INT32, 0},
                 {&tl_op_ReduceProd_18, TL_FLOAT16, 1},
                 {&tl_op_ReduceProd_18, TL_INT64, 1},
                 {&tl_op_ReduceMax_20, TL_FLOAT, -INFINITY},
                 {&tl_op_ReduceMax_20, TL_INT8, INT8_MIN},
                 {&tl_op_ReduceMax_20, TL_UINT8, 0},
                 {&tl_op_ReduceMax_20, TL_INT32, INT32_MIN},
                 {&tl_op_ReduceMax_20, TL_BOOL, 0},
                 {&tl_op_ReduceMin_20, TL_BOOL, 1},
                 {&tl_op_ReduceMin_20, TL_DOUBLE, INFINITY},
                 {&tl_op_ReduceMin_20, TL_UINT8, UINT8_MAX},
                 {&tl_op_ReduceMin_20, TL_INT32, INT32_MAX},
                 {&tl_op_ReduceMin_20, TL_BFLOAT16, INFINITY},
                 {&tl_op_ReduceLogSum_18, TL_FLOAT, -INFINITY},
                 {&tl_op_ReduceLogSumExp_18, TL_FLOAT, -INFINITY},
                 {&tl_op_ReduceL1_18, TL_FLOAT, 0},
                 {&tl_op_ReduceL2_18, TL_FLOAT, 0},
                 {&tl_op_ReduceSumSquare_18, TL_INT32, 0},
                 {&tl_op_ReduceMean_18, TL_FLOAT, NAN}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        tl_tensor x = new_tensor(cases[k].type, DIMS(3, 0, 2));
        int64_t axis = 1;
        tl_tensor list = {.data = &axis, .type = TL_INT64, .rank = 1, .dims = {1}};
        fake_case test = {.op = cases[k].op, .inputs = {&x, &list}, .input_count = 2};
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(3, 1, 2));
        for (int64_t i = 0; i < 6; i++) {
            const double have = get(&test.outputs[0], i);
            ck_assert_msg(have == cases[k].want || (isnan(have) && isnan(cases[k].want)), "%s of nothing is %g",
                          cases[k].op->name, have);
        }
        fake_free(&test);
        free_tensor(&x);
    }
}
END_TEST

START_TEST(old_axes)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(2, 3, 4));
    const fake_attribute attributes[] = {ATTR_IS("axes", -1, 0), ATTR_I("keepdims", 0)};
    fake_case test = {
        .op = &tl_op_ReduceSum_1, .inputs = {&x}, .input_count = 1, .attributes = attributes, .attribute_count = 2};
    run_ok(&test);
    double want[3] = {0};
    for (int64_t i = 0; i < 24; i++)
        want[i / 4 % 3] += get(&x, i);
    assert_shape(&test.outputs[0], DIMS(3));
    assert_near(&test.outputs[0], want, 1, "ReduceSum 1");
    fake_free(&test);
    const fake_attribute wrong[] = {ATTR_IS("axes", 3)};
    test.attributes = wrong;
    test.attribute_count = 1;
    run_fails(&test, TL_INVALID_MODEL, "axis is 3");
    free_tensor(&x);
}
END_TEST

/* Numbers whose sums of exponentials and squares would overflow. */
START_TEST(large_numbers)
{
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(2, 3));
    memcpy(x.data, (const float[]){1000, 1000, 999, -1e30F, -INFINITY, -3e38F}, 24);
    const fake_attribute attributes[] = {ATTR_I("keepdims", 0)};
    int64_t axis = 1;
    tl_tensor list = {.data = &axis, .type = TL_INT64, .rank = 1, .dims = {1}};
    fake_case test = {.op = &tl_op_ReduceLogSumExp_18,
                      .inputs = {&x, &list},
                      .input_count = 2,
                      .attributes = attributes,
                      .attribute_count = 1};
    run_ok(&test);
    assert_near(&test.outputs[0], (const double[]){1000 + log(2 + exp(-1)), -1e30}, 0, "ReduceLogSumExp");
    fake_free(&test);
    free_tensor(&x);
}
END_TEST

typedef struct lines {
    int64_t outer, n, inner;
} lines;

static lines lines_of(const tl_tensor *x, int32_t axis, bool coerced)
{
    lines l = {1, 1, 1};
    for (int32_t i = 0; i < x->rank; i++)
        *(i < axis ? &l.outer : i == axis || coerced ? &l.n : &l.inner) *= x->dims[i];
    return l;
}

/* x - y as Softmax has it: in half types it is rounded, and so are the steps behind it. */
static double softmax_difference(bool stepwise, tl_type type, double x, double y)
{
    tl_tensor rounded = new_tensor(type, 0, NULL);
    set(&rounded, 0, x - y);
    const double difference = stepwise ? get(&rounded, 0) : x - y;
    free_tensor(&rounded);
    return difference;
}

static void check_softmax(const tl_operator *op, tl_type type, double scale, bool coerced)
{
    tl_tensor x = random_shape(type, 400);
    if (x.rank == 0) {
        free_tensor(&x);
        return;
    }
    for (int64_t i = 0; i < elements(&x); i++)
        set(&x, i, random_real() * scale);
    const int32_t axis = (int32_t)random_int(0, x.rank - 1);
    const lines l = lines_of(&x, axis, coerced);
    const fake_attribute attributes[] = {ATTR_I("axis", random_int(0, 1) ? axis : axis - x.rank)};
    fake_case one = {
        .op = op, .inputs = {&x}, .input_count = 1, .attributes = attributes, .attribute_count = 1, .threads = 1};
    fake_case three = one;
    three.threads = 3;
    run_ok(&one);
    run_ok(&three);
    ck_assert_mem_eq(one.outputs[0].data, three.outputs[0].data, fake_bytes(&x));
    double *want = malloc((size_t)elements(&x) * sizeof *want);
    const bool stepwise =
        (type == TL_FLOAT16 || type == TL_BFLOAT16) && op != &tl_op_LogSoftmax_13 && op != &tl_op_Hardmax_13;
    for (int64_t line = 0; line < l.outer * l.inner; line++) {
        const int64_t base = line / l.inner * l.n * l.inner + line % l.inner;
        double most = -INFINITY, sum = 0;
        int64_t best = 0;
        for (int64_t i = 0; i < l.n; i++)
            if (get(&x, base + i * l.inner) > most) {
                most = get(&x, base + i * l.inner);
                best = i;
            }
        for (int64_t i = 0; i < l.n; i++)
            sum += exp(softmax_difference(stepwise, type, get(&x, base + i * l.inner), most));
        for (int64_t i = 0; i < l.n; i++) {
            const double shifted = softmax_difference(stepwise, type, get(&x, base + i * l.inner), most);
            want[base + i * l.inner] = op == &tl_op_Hardmax_13      ? i == best
                                       : op == &tl_op_LogSoftmax_13 ? shifted - log(sum)
                                                                    : exp(shifted) / sum;
        }
    }
    for (int64_t i = 0; i < elements(&x) && stepwise; i++) /* four roundings instead of one */
        ck_assert_double_eq_tol(get(&one.outputs[0], i), want[i], 4 * tolerance(type) * (1e-3 + want[i]));
    if (!stepwise)
        assert_near(&one.outputs[0], want, op == &tl_op_LogSoftmax_13 ? 1 : 1e-3, op->name);
    free(want);
    fake_free(&one);
    fake_free(&three);
    free_tensor(&x);
}

START_TEST(softmax)
{
    random_seed(22);
    for (int round = 0; round < 15; round++)
        for (size_t t = 0; t < 4; t++) {
            const double scale = round % 3 == 0 ? 1 : round % 3 == 1 ? 30 : t == 2 ? 60000 : 1e38;
            check_softmax(&tl_op_Softmax_13, float_types[t], scale, false);
            check_softmax(&tl_op_Softmax_1, float_types[t], scale, true);
            check_softmax(&tl_op_Hardmax_13, float_types[t], scale, false);
            check_softmax(&tl_op_LogSoftmax_13, float_types[t], fmin(scale, 30), false);
        }
}
END_TEST

START_TEST(arguments_of_extremes)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_INT8, TL_UINT8, TL_INT32, TL_INT64, TL_UINT64};
    random_seed(23);
    for (int round = 0; round < 400; round++) {
        tl_tensor x = random_shape(types[round % 8], 300);
        if (x.rank == 0) {
            free_tensor(&x);
            continue;
        }
        const bool has_nan = (TL_T(x.type) & TL_T_FLOATS) && random_int(0, 1);
        for (int64_t i = 0; i < elements(&x); i++) /* many equal ones */
            set(&x, i, has_nan && random_int(0, 5) == 0 ? NAN : (double)random_int(0, 3));
        const int32_t axis = (int32_t)random_int(0, x.rank - 1);
        const lines l = lines_of(&x, axis, false);
        const bool later = random_int(0, 1) != 0, smallest = random_int(0, 1) != 0;
        const fake_attribute attributes[] = {ATTR_I("axis", axis), ATTR_I("keepdims", random_int(0, 1)),
                                             ATTR_I("select_last_index", later)};
        fake_case test = {.op = smallest ? &tl_op_ArgMin_12 : &tl_op_ArgMax_12,
                          .inputs = {&x},
                          .input_count = 1,
                          .attributes = attributes,
                          .attribute_count = 3};
        run_ok(&test);
        for (int64_t line = 0; line < l.outer * l.inner; line++) {
            const int64_t base = line / l.inner * l.n * l.inner + line % l.inner;
            int64_t best = 0;
            for (int64_t i = 1; i < l.n; i++) {
                const double u = get(&x, base + i * l.inner), v = get(&x, base + best * l.inner);
                const bool equal = u == v || (isnan(u) && isnan(v));
                if (equal ? later : isnan(u) || (smallest ? u < v : u > v))
                    best = i;
            }
            ck_assert_int_eq(((const int64_t *)test.outputs[0].data)[line], best);
        }
        fake_free(&test);
        free_tensor(&x);
    }
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(4, 0));
    const fake_attribute attributes[] = {ATTR_I("axis", 1)};
    fake_case test = {
        .op = &tl_op_ArgMax_12, .inputs = {&x}, .input_count = 1, .attributes = attributes, .attribute_count = 1};
    run_fails(&test, TL_INVALID_INPUT, "no elements");
    free_tensor(&x);
}
END_TEST

START_TEST(running)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_INT32, TL_INT64, TL_UINT32};
    random_seed(24);
    for (int round = 0; round < 300; round++) {
        const bool product = random_int(0, 1) != 0;
        tl_tensor x = random_shape(types[round % 6], product ? 6 : 200);
        if (x.rank == 0) {
            free_tensor(&x);
            continue;
        }
        for (int64_t i = 0; i < elements(&x); i++) /* small whole numbers: exact in every type */
            set(&x, i, (double)random_int(0, 2));
        const int32_t axis = (int32_t)random_int(0, x.rank - 1);
        const lines l = lines_of(&x, axis, false);
        const bool exclusive = random_int(0, 1) != 0, reverse = random_int(0, 1) != 0;
        tl_tensor at = new_tensor(random_int(0, 1) ? TL_INT32 : TL_INT64, 0, NULL);
        set(&at, 0, random_int(0, 1) ? axis : axis - x.rank);
        const fake_attribute attributes[] = {ATTR_I("exclusive", exclusive), ATTR_I("reverse", reverse)};
        fake_case test = {.op = product ? &tl_op_CumProd_26 : &tl_op_CumSum_11,
                          .inputs = {&x, &at},
                          .input_count = 2,
                          .attributes = attributes,
                          .attribute_count = 2};
        run_ok(&test);
        for (int64_t line = 0; line < l.outer * l.inner; line++) {
            const int64_t base = line / l.inner * l.n * l.inner + line % l.inner;
            double total = product ? 1 : 0;
            for (int64_t k = 0; k < l.n; k++) {
                const int64_t i = base + (reverse ? l.n - 1 - k : k) * l.inner;
                const double after = product ? total * get(&x, i) : total + get(&x, i);
                ck_assert(get(&test.outputs[0], i) == (exclusive ? total : after));
                total = after;
            }
        }
        fake_free(&test);
        set(&at, 0, 9);
        run_fails(&test, TL_INVALID_MODEL, "axis is 9");
        free_tensor(&at);
        free_tensor(&x);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reduce");
    ADD_TEST(suite, any_axes);
    ADD_TEST(suite, extremes);
    ADD_TEST(suite, integers);
    ADD_TEST(suite, empty_sets);
    ADD_TEST(suite, old_axes);
    ADD_TEST(suite, large_numbers);
    ADD_TEST(suite, softmax);
    ADD_TEST(suite, arguments_of_extremes);
    ADD_TEST(suite, running);
    return run_suite(suite);
}
