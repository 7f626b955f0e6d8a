/* QGemm of com.microsoft, bit by bit against plain loops, and what it refuses. */
#include <math.h>
#include "tensors.h"

OPERATOR(QGemm, 1);

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, C, Y_SCALE, Y_ZERO, INPUTS };

static const tl_type bytes[] = {TL_UINT8, TL_INT8};

static tl_tensor random_scales(int32_t rank, int64_t n)
{
    tl_tensor scales = new_tensor(TL_FLOAT, rank, &n);
    for (int64_t i = 0; i < elements(&scales); i++)
        set(&scales, i, 0.001 * (double)random_int(1, 40));
    return scales;
}

/* C in all shapes that broadcast: none, one number, one for each column, for each row, for each element. */
static tl_tensor random_bias(int shape, int64_t m, int64_t n)
{
    static const int32_t ranks[] = {0, 1, 1, 2, 2, 2, 2};
    const int64_t dims[][2] = {{0}, {1}, {n}, {1, 1}, {1, n}, {m, 1}, {m, n}};
    tl_tensor c = new_tensor(TL_INT32, ranks[shape], dims[shape]);
    for (int64_t i = 0; i < elements(&c); i++)
        set(&c, i, (double)(random_int(0, 3) ? random_int(-9999, 9999) : random_int(0, 1) ? INT32_MAX : INT32_MIN));
    return c;
}

static double at(const tl_tensor *matrix, bool turned, int64_t row, int64_t column)
{
    return get(matrix, turned ? column * matrix->dims[1] + row : row * matrix->dims[1] + column);
}

/* The parameter of a column. */
static double of(const tl_tensor *parameter, int64_t column)
{
    return get(parameter, elements(parameter) > 1 ? column : 0);
}

static double expected(const tl_tensor *t, const fake_case *test, bool trans_a, bool trans_b, int64_t i, int64_t j)
{
    const int64_t depth = t[A].dims[!trans_a];
    const tl_tensor *c = test->inputs[C];
    double sum = 0;
    for (int64_t k = 0; k < depth; k++)
        sum += (at(&t[A], trans_a, i, k) - get(&t[A_ZERO], 0)) * (at(&t[B], trans_b, k, j) - of(&t[B_ZERO], j));
    if (c) {
        const int64_t width = c->rank > 0 ? c->dims[c->rank - 1] : 1;
        const int64_t row = c->rank == 2 && c->dims[0] > 1 ? i : 0;
        sum += get(c, row * width + (width > 1 ? j : 0));
    }
    sum -= sum > INT32_MAX ? 0x1p32 : sum < INT32_MIN ? -0x1p32 : 0; /* it wraps */
    float scale = 0.75F * (float)get(&t[A_SCALE], 0) * (float)of(&t[B_SCALE], j);
    if (test->inputs[Y_SCALE])
        scale /= (float)get(&t[Y_SCALE], 0);
    const float value = (float)sum * scale;
    if (!test->inputs[Y_ZERO])
        return (double)value;
    const double low = t[Y_ZERO].type == TL_INT8 ? -128 : 0;
    return fmin(fmax((double)rintf(value) + get(&t[Y_ZERO], 0), low), low + 255);
}

START_TEST(products)
{
    random_seed(31);
    for (int i = 0; i < 448; i++) {
        const bool trans_a = i & 1, trans_b = i & 2, by_column = i & 4;
        const int bias = i / 8 % 8;
        const tl_type a_type = bytes[random_int(0, 1)], b_type = bytes[random_int(0, 1)];
        const bool empty = random_int(0, 15) == 0;
        const int64_t m = random_int(!empty, 20), n = random_int(!empty, 40), depth = random_int(0, 40);
        tl_tensor t[INPUTS] = {[A] = random_bytes(a_type, DIMS(trans_a ? depth : m, trans_a ? m : depth)),
                               [A_SCALE] = random_scales(0, 1),
                               [A_ZERO] = random_bytes(a_type, 0, NULL),
                               [B] = random_bytes(b_type, DIMS(trans_b ? n : depth, trans_b ? depth : n)),
                               [B_SCALE] = random_scales(by_column, n),
                               [B_ZERO] = random_bytes(b_type, by_column, &n),
                               [C] = random_bias(bias % 7, m, n),
                               [Y_SCALE] = random_scales(1, 1),
                               [Y_ZERO] = random_bytes(bytes[random_int(0, 1)], 0, NULL)};
        const fake_attribute a[] = {ATTR_F("alpha", 0.75F), ATTR_I("transA", trans_a), ATTR_I("transB", trans_b)};
        const bool scaled = random_int(0, 1), to_bytes = random_int(0, 1);
        fake_case test = CASE(&tl_op_QGemm_1, a, &t[A], &t[A_SCALE], &t[A_ZERO], &t[B], &t[B_SCALE], &t[B_ZERO],
                              bias == 7 ? NULL : &t[C], scaled ? &t[Y_SCALE] : NULL, to_bytes ? &t[Y_ZERO] : NULL);
        if (random_int(0, 1))
            test.constant = 0;
        run_ok(&test);
        const tl_tensor *y = &test.outputs[0];
        ck_assert_int_eq(y->type, to_bytes ? t[Y_ZERO].type : TL_FLOAT);
        assert_shape(y, DIMS(m, n));
        for (int64_t k = 0; k < elements(y); k++) {
            const double want = expected(t, &test, trans_a, trans_b, k / n, k % n);
            ck_assert_msg(get(y, k) == want, "case %d: element %lld is %.9g, expected %.9g", i, (long long)k, get(y, k),
                          want);
        }
        fake_free(&test);
        for (int k = 0; k < INPUTS; k++)
            free_tensor(&t[k]);
    }
}
END_TEST

/* Factors of 0, infinity and NaN give some bytes; shapes that do not fit are refused. */
START_TEST(hostile)
{
    const float factors[] = {0, INFINITY, NAN, -1e38F, 1e-45F};
    fake_attribute a[] = {ATTR_F("alpha", 1), ATTR_I("transA", 0), ATTR_I("transB", INT64_MIN)};
    tl_tensor t[INPUTS] = {random_bytes(TL_UINT8, DIMS(3, 4)),
                           random_scales(0, 1),
                           random_bytes(TL_UINT8, 0, NULL),
                           random_bytes(TL_INT8, DIMS(5, 4)),
                           random_scales(1, 5),
                           random_bytes(TL_INT8, DIMS(5)),
                           random_bias(6, 3, 5),
                           random_scales(0, 1),
                           random_bytes(TL_INT8, 0, NULL)};
    fake_case test = CASE(&tl_op_QGemm_1, a, &t[A], &t[A_SCALE], &t[A_ZERO], &t[B], &t[B_SCALE], &t[B_ZERO], &t[C],
                          &t[Y_SCALE], &t[Y_ZERO]);
    for (size_t i = 0; i < COUNT(factors); i++)
        for (size_t j = 0; j < COUNT(factors); j++)
            for (int bias = 0; bias < 2; bias++) {
                a[0].f = factors[i];
                set(&t[Y_SCALE], 0, (double)factors[j]);
                test.inputs[C] = bias ? &t[C] : NULL;
                run_ok(&test);
                fake_free(&test);
            }
    tl_tensor deep = random_bytes(TL_UINT8, DIMS(3, 4, 1)), deep_b = random_bytes(TL_INT8, DIMS(5, 4, 1)),
              inner = random_bytes(TL_INT8, DIMS(5, 3)), scales = random_scales(1, 2), none = random_scales(1, 0),
              square = new_tensor(TL_FLOAT, DIMS(3, 5)), zeros = random_bytes(TL_UINT8, DIMS(2)),
              b_zeros = random_bytes(TL_INT8, DIMS(3)), rows = new_tensor(TL_INT32, DIMS(3)),
              cube = new_tensor(TL_INT32, DIMS(2, 3, 5)), nothing = new_tensor(TL_INT32, DIMS(0));
    const struct {
        size_t input;
        const tl_tensor *to;
    } wrong[] = {{A, &deep},         {B, &deep_b},       {B, &inner},        {A_SCALE, &scales},
                 {A_SCALE, &none},   {A_ZERO, &zeros},   {B_SCALE, &scales}, {B_SCALE, &none},
                 {B_SCALE, &square}, {B_ZERO, &b_zeros}, {C, &rows},         {C, &cube},
                 {C, &nothing},      {Y_SCALE, &scales}, {Y_SCALE, &none},   {Y_ZERO, &zeros}};
    for (size_t k = 0; k < COUNT(wrong); k++) {
        const tl_tensor *kept = test.inputs[wrong[k].input];
        test.inputs[wrong[k].input] = wrong[k].to;
        run_fails(&test, TL_INVALID_INPUT, NULL);
        test.inputs[wrong[k].input] = kept;
    }
    tl_tensor *const all[] = {&deep,  &deep_b,  &inner, &scales, &none,   &square,
                              &zeros, &b_zeros, &rows,  &cube,   &nothing};
    for (size_t k = 0; k < COUNT(all); k++)
        free_tensor(all[k]);
    for (int k = 0; k < INPUTS; k++)
        free_tensor(&t[k]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qgemm");
    ADD_TEST(suite, products);
    ADD_TEST(suite, hostile);
    return run_suite(suite);
}
