/* The QLinear operators of com.microsoft on elements, against what they stand for in double; FeatureVectorizer; and
 * what both refuse. */
#include <math.h>
#include "tensors.h"

OPERATOR(QLinearAdd, 1);
OPERATOR(QLinearMul, 1);
OPERATOR(QLinearSigmoid, 1);
OPERATOR(QLinearLeakyRelu, 1);
OPERATOR(QLinearConcat, 1);
OPERATOR(QLinearWhere, 1);
OPERATOR(QLinearSoftmax, 1);
OPERATOR(QLinearAveragePool, 1);
OPERATOR(QLinearGlobalAveragePool, 1);
OPERATOR(FeatureVectorizer, 1);

static const tl_type bytes[] = {TL_UINT8, TL_INT8};
#define HUGE_DIM (INT64_C(1) << 61)

/* A tensor of bytes with its scale and zero point. */
typedef struct quantity {
    tl_tensor x, scale, zero;
} quantity;

static quantity make(tl_type type, double scale, int32_t rank, const int64_t *dims)
{
    quantity q = {random_tensor(type, rank, dims), new_tensor(TL_FLOAT, 0, NULL), new_tensor(type, 0, NULL)};
    set(&q.scale, 0, scale);
    set(&q.zero, 0, type == TL_INT8 ? -3 : 120);
    return q;
}

static void unmake(quantity *q)
{
    free_tensor(&q->x);
    free_tensor(&q->scale);
    free_tensor(&q->zero);
}

static double real(const quantity *q, int64_t i)
{
    return (get(&q->x, i) - get(&q->zero, 0)) * get(&q->scale, 0);
}

/* At most one step away: the operators compute in float. */
static void assert_stands_for(const tl_tensor *y, int64_t i, const quantity *as, double want)
{
    const double low = y->type == TL_INT8 ? -128 : 0, step = want / get(&as->scale, 0) + get(&as->zero, 0);
    const double nearest = fmin(fmax(rint(step), low), low + 255);
    ck_assert_msg(fabs(get(y, i) - nearest) <= 1, "element %lld is %g, expected %g", (long long)i, get(y, i), nearest);
}

/* Where element k of `out` comes from, under broadcasting. */
static int64_t source(const tl_tensor *x, int32_t rank, const int64_t *out, int64_t k)
{
    int64_t at = 0, step = 1;
    for (int32_t i = x->rank - 1; i >= 0; i--) {
        const int64_t dim = out[rank - x->rank + i];
        if (x->dims[i] > 1)
            at += k % dim * step;
        step *= x->dims[i];
        k /= dim;
    }
    return at;
}

/* The sum or product of random bytes of two shapes. */
static void check_pair(tl_type type, bool product, int32_t a_rank, const int64_t *a_dims, int32_t b_rank,
                       const int64_t *b_dims, int32_t rank, const int64_t *dims)
{
    quantity a = make(type, 0.03, a_rank, a_dims), b = make(type, 0.02, b_rank, b_dims), y = make(type, 0.05, 0, NULL);
    fake_case test = PLAIN_CASE(product ? &tl_op_QLinearMul_1 : &tl_op_QLinearAdd_1, &a.x, &a.scale, &a.zero, &b.x,
                                &b.scale, &b.zero, &y.scale, &y.zero);
    run_ok(&test);
    assert_shape(&test.outputs[0], rank, dims);
    for (int64_t k = 0; k < elements(&test.outputs[0]); k++) {
        const double u = real(&a, source(&a.x, rank, dims, k)), v = real(&b, source(&b.x, rank, dims, k));
        assert_stands_for(&test.outputs[0], k, &y, product ? u * v : u + v);
    }
    fake_free(&test);
    unmake(&a);
    unmake(&b);
    unmake(&y);
}

START_TEST(pairs)
{
    random_seed(21);
    for (int i = 0; i < 32; i++) {
        const bool broadcast = i / 4 % 2;
        const int64_t dims[] = {random_int(0, 3), random_int(1, 5), random_int(1, 70)};
        check_pair(bytes[i % 2], i / 2 % 2, 3, dims, broadcast ? 1 : 3, broadcast ? dims + 2 : dims, 3, dims);
    }
}
END_TEST

/* Each operand has any axes, or stands still along them: short rows go together, long ones in parts. */
START_TEST(broadcast_rows)
{
    static const int64_t rows[] = {1, 2, 3, 16, 300, 1500};
    random_seed(22);
    for (int i = 0; i < 200; i++) {
        const int64_t dims[] = {random_int(1, 3), random_int(1, 40), random_int(1, 5), rows[i % 6]};
        int64_t sides[2][4], out[4];
        for (int k = 0; k < 4; k++) {
            sides[0][k] = random_int(0, 2) ? dims[k] : 1;
            sides[1][k] = random_int(0, 2) ? dims[k] : 1;
            out[k] = sides[0][k] > sides[1][k] ? sides[0][k] : sides[1][k];
        }
        check_pair(bytes[i / 2 % 2], i % 2, 4, sides[0], 4, sides[1], 4, out);
    }
}
END_TEST

START_TEST(functions)
{
    const fake_attribute alpha[] = {ATTR_F("alpha", 0.25F)};
    for (int i = 0; i < 8; i++) {
        const tl_type type = bytes[i % 2];
        const bool leaky = i / 2 % 2;
        quantity x = make(type, 0.04, DIMS(256)), y = make(type, leaky ? 0.03 : 1.0 / 128, 0, NULL);
        for (int64_t k = 0; k < 256; k++)
            set(&x.x, k, (double)k - (type == TL_INT8 ? 128 : 0));
        fake_case test = PLAIN_CASE(leaky ? &tl_op_QLinearLeakyRelu_1 : &tl_op_QLinearSigmoid_1, &x.x, &x.scale,
                                    i / 4 ? NULL : &x.zero, &y.scale, &y.zero);
        test.attributes = alpha;
        test.attribute_count = leaky;
        if (i / 4) /* an absent zero point is 0 */
            set(&x.zero, 0, 0);
        run_ok(&test);
        for (int64_t k = 0; k < 256; k++) {
            const double v = real(&x, k);
            assert_stands_for(&test.outputs[0], k, &y, !leaky ? 1 / (1 + exp(-v)) : v < 0 ? 0.25 * v : v);
        }
        fake_free(&test);
        unmake(&x);
        unmake(&y);
    }
}
END_TEST

START_TEST(parts)
{
    const fake_attribute axis[] = {ATTR_I("axis", -2)};
    for (int i = 0; i < 2; i++) {
        quantity a = make(bytes[i], 0.5, DIMS(2, 3, 4)), b = make(bytes[i], 0.25, DIMS(2, 0, 4)),
                 c = make(bytes[i], 0.125, DIMS(2, 2, 4)), y = make(bytes[i], 0.5, 0, NULL);
        fake_case test = CASE(&tl_op_QLinearConcat_1, axis, &y.scale, &y.zero, &a.x, &a.scale, &a.zero, &b.x, &b.scale,
                              &b.zero, &c.x, &c.scale, &c.zero);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(2, 5, 4));
        for (int64_t k = 0; k < 40; k++) {
            const int64_t batch = k / 20, row = k / 4 % 5, column = k % 4;
            assert_stands_for(&test.outputs[0], k, &y,
                              row < 3 ? real(&a, batch * 12 + row * 4 + column)
                                      : real(&c, batch * 8 + (row - 3) * 4 + column));
        }
        fake_free(&test);
        unmake(&a);
        unmake(&b);
        unmake(&c);
        unmake(&y);
    }
}
END_TEST

START_TEST(mean)
{
    for (int i = 0; i < 4; i++) {
        const bool last = i / 2;
        const fake_attribute layout[] = {ATTR_I("channels_last", last)};
        quantity x = make(bytes[i % 2], 0.1, DIMS(2, 5, 7)), y = make(bytes[i % 2], 0.05, 0, NULL);
        const int64_t channels = last ? 7 : 5, length = last ? 5 : 7;
        fake_case test = CASE(&tl_op_QLinearGlobalAveragePool_1, layout, &x.x, &x.scale, &x.zero, &y.scale, &y.zero);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(2, last ? 1 : 5, last ? 7 : 1));
        for (int64_t k = 0; k < 2 * channels; k++) {
            double sum = 0;
            for (int64_t t = 0; t < length; t++)
                sum += real(&x, k / channels * 35 + (last ? t * 7 + k % 7 : k % 5 * 7 + t));
            assert_stands_for(&test.outputs[0], k, &y, sum / (double)length);
        }
        fake_free(&test);
        unmake(&x);
        unmake(&y);
    }
}
END_TEST

START_TEST(choices)
{
    random_seed(22);
    for (int i = 0; i < 16; i++) {
        const bool broadcast = i / 2 % 2;
        const int64_t dims[] = {random_int(0, 3), random_int(1, 5), random_int(1, 70)};
        quantity a = make(bytes[i % 2], 0.03, 3, dims),
                 b = make(bytes[i % 2], 0.02, broadcast ? 1 : 3, broadcast ? dims + 2 : dims),
                 z = make(bytes[i % 2], 0.05, 0, NULL);
        tl_tensor condition = random_tensor(TL_BOOL, i / 4 % 2 ? 2 : 0, dims + 1);
        fake_case test = PLAIN_CASE(&tl_op_QLinearWhere_1, &condition, &a.x, &a.scale, &a.zero, &b.x, &b.scale, &b.zero,
                                    &z.scale, &z.zero);
        run_ok(&test);
        assert_shape(&test.outputs[0], 3, dims);
        for (int64_t k = 0; k < elements(&a.x); k++) {
            const bool first = get(&condition, condition.rank ? k % (dims[1] * dims[2]) : 0) != 0;
            assert_stands_for(&test.outputs[0], k, &z, first ? real(&a, k) : real(&b, broadcast ? k % dims[2] : k));
        }
        fake_free(&test);
        free_tensor(&condition);
        unmake(&a);
        unmake(&b);
        unmake(&z);
    }
}
END_TEST

/* Before version 13 of the standard's Softmax it goes over all axes from one on. */
START_TEST(softmax)
{
    for (int i = 0; i < 12; i++) {
        const int axis = i / 2 % 3;
        const bool old = i / 6;
        const fake_attribute attributes[] = {ATTR_I("axis", i % 2 ? axis - 3 : axis), ATTR_I("opset", old ? 11 : 13)};
        quantity x = make(bytes[i % 2], 0.02, DIMS(3, 4, 5)), y = make(bytes[i % 2], 1.0 / 256, 0, NULL);
        fake_case test = CASE(&tl_op_QLinearSoftmax_1, attributes, &x.x, &x.scale, &x.zero, &y.scale, &y.zero);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(3, 4, 5));
        for (int64_t k = 0; k < 60; k++) {
            double sum = 0;
            int64_t at[3], other[3];
            coordinates(&x.x, k, at);
            for (int64_t l = 0; l < 60; l++) {
                bool together = true;
                coordinates(&x.x, l, other);
                for (int d = 0; d < 3; d++)
                    together &= at[d] == other[d] || d == axis || (old && d > axis);
                sum += together ? exp(real(&x, l)) : 0;
            }
            assert_stands_for(&test.outputs[0], k, &y, exp(real(&x, k)) / sum);
        }
        fake_free(&test);
        unmake(&x);
        unmake(&y);
    }
}
END_TEST

START_TEST(average)
{
    for (int i = 0; i < 8; i++) {
        const bool last = i / 2 % 2, count_pads = i / 4;
        const fake_attribute window[] = {ATTR_IS("kernel_shape", 4), ATTR_IS("strides", 2), ATTR_IS("pads", 2, 1),
                                         ATTR_I("count_include_pad", count_pads), ATTR_I("channels_last", last)};
        quantity x = make(bytes[i % 2], 0.1, DIMS(2, last ? 7 : 3, last ? 3 : 7)),
                 y = make(bytes[i % 2], 0.06, 0, NULL);
        fake_case test = CASE(&tl_op_QLinearAveragePool_1, window, &x.x, &x.scale, &x.zero, &y.scale, &y.zero);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(2, last ? 4 : 3, last ? 3 : 4));
        for (int64_t k = 0; k < 24; k++) {
            int64_t at[3];
            coordinates(&test.outputs[0], k, at);
            double sum = 0, count = 0;
            for (int64_t t = at[last ? 1 : 2] * 2 - 2, end = t + 4; t < end; t++) {
                const bool inside = t >= 0 && t < 7;
                const int64_t from[] = {at[0], last ? t : at[1], last ? at[2] : t};
                count += inside || count_pads;
                sum += inside ? real(&x, index_of(&x.x, from)) : 0;
            }
            assert_stands_for(&test.outputs[0], k, &y, sum / count);
        }
        fake_free(&test);
        unmake(&x);
        unmake(&y);
    }
}
END_TEST

/* Scales of 0, infinity and NaN give some bytes; scales and zero points that are no single number are refused. */
START_TEST(hostile_scales)
{
    static const tl_operator *const all[] = {&tl_op_QLinearAdd_1,
                                             &tl_op_QLinearMul_1,
                                             &tl_op_QLinearSigmoid_1,
                                             &tl_op_QLinearLeakyRelu_1,
                                             &tl_op_QLinearGlobalAveragePool_1,
                                             &tl_op_QLinearSoftmax_1,
                                             &tl_op_QLinearAveragePool_1};
    const fake_attribute opset[] = {ATTR_I("axis", -1), ATTR_I("opset", 13)}, window[] = {ATTR_IS("kernel_shape", 2)};
    const double scales[] = {0, INFINITY, NAN, -1e38, 1e-45};
    tl_tensor none = new_tensor(TL_FLOAT, DIMS(0)), two = new_tensor(TL_FLOAT, DIMS(2)),
              two_bytes = new_tensor(TL_INT8, DIMS(2));
    for (size_t k = 0; k < COUNT(all); k++) {
        quantity x = make(TL_INT8, 1, DIMS(1, 2, 3)), y = make(TL_INT8, 1, 0, NULL);
        fake_case test = PLAIN_CASE(all[k], &x.x, &x.scale, &x.zero, &y.scale, &y.zero);
        if (k < 2)
            test = PLAIN_CASE(all[k], &x.x, &x.scale, &x.zero, &x.x, &x.scale, &x.zero, &y.scale, &y.zero);
        test.attributes = k == 5 ? opset : window;
        test.attribute_count = k == 5 ? COUNT(opset) : k == 6 ? COUNT(window) : 0;
        for (size_t i = 0; i < COUNT(scales); i++)
            for (size_t j = 0; j < COUNT(scales); j++) {
                set(&x.scale, 0, scales[i]);
                set(&y.scale, 0, scales[j]);
                run_ok(&test);
                fake_free(&test);
            }
        for (size_t input = 1; input < test.input_count; input++) {
            if (input == 3 && k < 2)
                continue;
            const tl_tensor *kept = test.inputs[input];
            test.inputs[input] = kept->type == TL_FLOAT ? &none : &two_bytes;
            run_fails(&test, TL_INVALID_INPUT, "has not one element");
            test.inputs[input] = kept->type == TL_FLOAT ? &two : &two_bytes;
            run_fails(&test, TL_INVALID_INPUT, "has not one element");
            test.inputs[input] = kept;
        }
        unmake(&x);
        unmake(&y);
    }
    free_tensor(&none);
    free_tensor(&two);
    free_tensor(&two_bytes);
}
END_TEST

START_TEST(hostile_shapes)
{
    quantity x = make(TL_UINT8, 1, DIMS(2, 3)), other = make(TL_UINT8, 1, DIMS(2, 4)),
             no_time = make(TL_UINT8, 1, DIMS(2, 3, 0)), no_channels = make(TL_UINT8, 1, DIMS(1, 0, HUGE_DIM, 16));
    fake_case add = PLAIN_CASE(&tl_op_QLinearAdd_1, &x.x, &x.scale, &x.zero, &other.x, &other.scale, &other.zero,
                               &x.scale, &x.zero);
    run_fails(&add, TL_INVALID_INPUT, NULL);
    const struct {
        quantity *q;
        tl_status status;
        const char *says;
    } pools[] = {{&x, TL_INVALID_INPUT, "rank"},
                 {&no_time, TL_INVALID_INPUT, "nothing to take a mean of"},
                 {&no_channels, TL_OK, NULL}};
    for (size_t k = 0; k < COUNT(pools); k++) {
        quantity *q = pools[k].q;
        fake_case pool = PLAIN_CASE(&tl_op_QLinearGlobalAveragePool_1, &q->x, &q->scale, &q->zero, &q->scale, &q->zero);
        if (pools[k].status == TL_OK)
            run_ok(&pool);
        else
            run_fails(&pool, pools[k].status, pools[k].says);
        fake_free(&pool);
    }
    unmake(&x);
    unmake(&other);
    unmake(&no_time);
    unmake(&no_channels);
}
END_TEST

START_TEST(hostile_windows)
{
    quantity x = make(TL_UINT8, 1, DIMS(2, 3, 5)), flat = make(TL_UINT8, 1, DIMS(2, 3)),
             no_time = make(TL_INT8, 1, DIMS(2, 3, 0));
    const fake_attribute wrong[][3] = {{{.name = "kernel_shape", .kind = TL_ATTR_INTS}},
                                       {ATTR_IS("kernel_shape", 0)},
                                       {ATTR_IS("kernel_shape", 6)},
                                       {ATTR_IS("kernel_shape", 2, 2)},
                                       {ATTR_IS("kernel_shape", INT64_MAX)},
                                       {ATTR_IS("kernel_shape", 2), ATTR_IS("strides", 0)},
                                       {ATTR_IS("kernel_shape", 2), ATTR_IS("pads", -1, 0)},
                                       {ATTR_IS("kernel_shape", 2), ATTR_IS("pads", INT64_MAX, INT64_MAX)},
                                       {ATTR_IS("kernel_shape", 2), ATTR_S("auto_pad", "WIDE")}};
    const fake_attribute outside[] = {ATTR_I("axis", 3), ATTR_I("opset", 13)},
                         pads_alone[] = {ATTR_IS("kernel_shape", 2), ATTR_IS("pads", 2, 2)};
    fake_case test = CASE(&tl_op_QLinearAveragePool_1, wrong[0], &x.x, &x.scale, &x.zero, &x.scale, &x.zero);
    for (size_t k = 0; k < COUNT(wrong); k++) {
        test.attributes = wrong[k];
        test.attribute_count = wrong[k][1].name ? 2 : 1;
        ck_assert_msg(fake_run(&test) != TL_OK, "window %zu is taken", k);
    }
    fake_case shallow = CASE(&tl_op_QLinearAveragePool_1, pads_alone, &flat.x, &x.scale, &x.zero, &x.scale, &x.zero);
    run_fails(&shallow, TL_INVALID_INPUT, "rank");
    fake_case empty = CASE(&tl_op_QLinearAveragePool_1, pads_alone, &no_time.x, &no_time.scale, &no_time.zero,
                           &no_time.scale, &no_time.zero);
    run_ok(&empty); /* the mean of pads alone is 0 */
    for (int64_t k = 0; k < elements(&empty.outputs[0]); k++)
        ck_assert(get(&empty.outputs[0], k) == get(&no_time.zero, 0));
    fake_free(&empty);
    fake_case axis = CASE(&tl_op_QLinearSoftmax_1, outside, &x.x, &x.scale, &x.zero, &x.scale, &x.zero);
    run_fails(&axis, TL_INVALID_MODEL, "axis");
    unmake(&x);
    unmake(&flat);
    unmake(&no_time);
}
END_TEST

START_TEST(hostile_concat)
{
    fake_attribute axis[] = {ATTR_I("axis", 0)};
    quantity x = make(TL_UINT8, 1, DIMS(2, 3)), other = make(TL_UINT8, 1, DIMS(2, 4)),
             deep = make(TL_UINT8, 1, DIMS(2, 3, 1)), is_signed = make(TL_INT8, 1, DIMS(2, 3)),
             number = make(TL_UINT8, 1, 0, NULL), endless = make(TL_UINT8, 1, DIMS(0, HUGE_DIM));
    tl_tensor floats = new_tensor(TL_FLOAT, DIMS(2, 3));
    fake_case test =
        CASE(&tl_op_QLinearConcat_1, axis, &x.scale, &x.zero, &x.x, &x.scale, &x.zero, &x.x, &x.scale, &x.zero);
    const struct {
        size_t input;
        const tl_tensor *to;
        const char *says;
    } wrong[] = {{2, &floats, "bytes of one type"},        {5, &floats, "bytes of one type"},
                 {2, &is_signed.x, "bytes of one type"},   {5, &is_signed.x, "bytes of one type"},
                 {3, &x.zero, "bytes of one type"},        {4, &x.scale, "bytes of one type"},
                 {7, &is_signed.zero, "bytes of one type"}};
    for (size_t k = 0; k < COUNT(wrong); k++) {
        const tl_tensor *kept = test.inputs[wrong[k].input];
        test.inputs[wrong[k].input] = wrong[k].to;
        run_fails(&test, TL_INVALID_MODEL, wrong[k].says);
        test.inputs[wrong[k].input] = kept;
    }
    const tl_tensor *const shapes[] = {&other.x, &deep.x, &number.x};
    for (size_t k = 0; k < COUNT(shapes); k++) {
        test.inputs[5] = shapes[k];
        run_fails(&test, TL_INVALID_INPUT, NULL);
    }
    test.inputs[5] = &x.x;
    for (test.input_count = 3; test.input_count < 8; test.input_count++)
        if (test.input_count != 5)
            run_fails(&test, TL_INVALID_MODEL, "which are not two and three for each part");
    for (int64_t outside = -3; outside <= 2; outside += 5) {
        axis[0].i = outside;
        run_fails(&test, TL_INVALID_MODEL, "axis");
    }
    axis[0].i = INT64_MIN;
    run_fails(&test, TL_INVALID_MODEL, "axis");
    axis[0].i = 1;
    for (size_t k = 2; k < 14; k += 3) {
        test.inputs[k] = &endless.x;
        test.inputs[k + 1] = &x.scale;
        test.inputs[k + 2] = &x.zero;
    }
    test.input_count = 14;
    run_fails(&test, TL_NO_MEMORY, "too long");
    free_tensor(&floats);
    quantity *const all[] = {&x, &other, &deep, &is_signed, &number, &endless};
    for (size_t k = 0; k < COUNT(all); k++)
        unmake(all[k]);
}
END_TEST

START_TEST(feature_vectorizer)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_INT32, TL_INT64};
    const fake_attribute widths[] = {ATTR_IS("inputdimensions", 2, 0, 4)};
    for (size_t t = 0; t < COUNT(types); t++) {
        tl_tensor a = random_tensor(types[t], DIMS(5, 3)), b = random_tensor(types[t], DIMS(5, 3));
        fake_case test = CASE(&tl_op_FeatureVectorizer_1, widths, &a, &b, &b);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(5, 6));
        for (int64_t i = 0; i < 30; i++) {
            const int64_t row = i / 6, f = i % 6;
            ck_assert(get(&test.outputs[0], i) == (f < 2   ? get(&a, row * 3 + f)
                                                   : f < 5 ? get(&b, row * 3 + f - 2)
                                                           : 0));
        }
        fake_free(&test);
        free_tensor(&a);
        free_tensor(&b);
    }
}
END_TEST

START_TEST(hostile_features)
{
    tl_tensor a = random_tensor(TL_FLOAT, DIMS(5, 3)), short_one = random_tensor(TL_FLOAT, DIMS(4, 3)),
              row = random_tensor(TL_FLOAT, DIMS(3)), number = new_tensor(TL_FLOAT, 0, NULL),
              cube = random_tensor(TL_FLOAT, DIMS(5, 3, 1)), empty = new_tensor(TL_FLOAT, DIMS(0, 3));
    const fake_attribute fine[] = {ATTR_IS("inputdimensions", 3, 3)}, one[] = {ATTR_IS("inputdimensions", 3)},
                         negative[] = {ATTR_IS("inputdimensions", 3, -1)},
                         endless[] = {ATTR_IS("inputdimensions", INT64_MAX, 1)},
                         wide[] = {ATTR_IS("inputdimensions", HUGE_DIM, 1)};
    const struct {
        const fake_attribute *attributes;
        const tl_tensor *a, *b;
        tl_status status;
        const char *says;
    } wrong[] = {{fine, &a, &short_one, TL_INVALID_INPUT, "4 rows, but input 0 has 5"},
                 {fine, &a, &row, TL_INVALID_INPUT, "1 rows"},
                 {fine, &a, &number, TL_INVALID_INPUT, "rank"},
                 {fine, &cube, &a, TL_INVALID_INPUT, "rank"},
                 {NULL, &a, &a, TL_INVALID_MODEL, "0 elements for 2 inputs"},
                 {one, &a, &a, TL_INVALID_MODEL, "1 elements for 2 inputs"},
                 {negative, &a, &a, TL_INVALID_MODEL, "is -1"},
                 {endless, &a, &a, TL_INVALID_MODEL, "element 1"},
                 {wide, &a, &a, TL_NO_MEMORY, NULL}};
    for (size_t k = 0; k < COUNT(wrong); k++) {
        fake_case test = PLAIN_CASE(&tl_op_FeatureVectorizer_1, wrong[k].a, wrong[k].b);
        test.attributes = wrong[k].attributes;
        test.attribute_count = wrong[k].attributes != NULL;
        run_fails(&test, wrong[k].status, wrong[k].says);
    }
    fake_case none = CASE(&tl_op_FeatureVectorizer_1, fine, &empty, &empty);
    run_ok(&none);
    assert_shape(&none.outputs[0], DIMS(0, 6));
    fake_free(&none);
    tl_tensor *const all[] = {&a, &short_one, &row, &number, &cube, &empty};
    for (size_t k = 0; k < COUNT(all); k++)
        free_tensor(all[k]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qlinear");
    ADD_TEST(suite, pairs);
    ADD_TEST(suite, broadcast_rows);
    ADD_TEST(suite, functions);
    ADD_TEST(suite, parts);
    ADD_TEST(suite, mean);
    ADD_TEST(suite, choices);
    ADD_TEST(suite, softmax);
    ADD_TEST(suite, average);
    ADD_TEST(suite, hostile_scales);
    ADD_TEST(suite, hostile_shapes);
    ADD_TEST(suite, hostile_windows);
    ADD_TEST(suite, hostile_concat);
    ADD_TEST(suite, feature_vectorizer);
    ADD_TEST(suite, hostile_features);
    return run_suite(suite);
}
