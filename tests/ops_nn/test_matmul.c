#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_MatMul_1, tl_op_Gemm_1, tl_op_Gemm_7, tl_op_MatMulInteger_10, tl_op_QLinearMatMul_10;

static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16, TL_INT32, TL_INT64, TL_UINT32, TL_UINT64};

typedef struct shapes {
    int32_t a_rank, b_rank, y_rank;
    int64_t a[4], b[4], y[4];
} shapes;

static const shapes cases[] = {
    {2, 2, 2, {3, 4}, {4, 5}, {3, 5}},
    {2, 2, 2, {37, 21}, {21, 300}, {37, 300}},
    {2, 2, 2, {1, 64}, {64, 19}, {1, 19}},
    {2, 2, 2, {1, 70}, {70, 301}, {1, 301}},
    {2, 2, 2, {5, 33}, {33, 64}, {5, 64}},
    {3, 3, 3, {3, 2, 40}, {3, 40, 67}, {3, 2, 67}},
    {2, 2, 2, {61, 45}, {45, 1}, {61, 1}},
    {2, 2, 2, {35, 17}, {17, 3}, {35, 3}},
    {3, 3, 3, {2, 19, 50}, {2, 50, 4}, {2, 19, 4}},
    {2, 2, 2, {40, 30}, {30, 5}, {40, 5}},
    {2, 2, 2, {2, 0}, {0, 40}, {2, 40}},
    {1, 1, 0, {7}, {7}, {0}},
    {1, 2, 1, {7}, {7, 3}, {3}},
    {2, 1, 1, {3, 7}, {7}, {3}},
    {3, 2, 3, {2, 3, 4}, {4, 5}, {2, 3, 5}},
    {2, 3, 3, {3, 4}, {2, 4, 5}, {2, 3, 5}},
    {3, 3, 3, {2, 3, 4}, {2, 4, 5}, {2, 3, 5}},
    {4, 3, 4, {2, 1, 3, 4}, {5, 4, 2}, {2, 5, 3, 2}},
    {4, 4, 4, {1, 3, 2, 4}, {2, 1, 4, 6}, {2, 3, 2, 6}},
    {1, 3, 2, {4}, {2, 4, 6}, {2, 6}},
    {3, 1, 2, {2, 3, 4}, {4}, {2, 3}},
    {2, 2, 2, {0, 4}, {4, 3}, {0, 3}},
    {2, 2, 2, {2, 0}, {0, 3}, {2, 3}},
    {3, 3, 3, {0, 2, 3}, {1, 3, 2}, {0, 2, 2}},
    {4, 4, 4, {2, 4, 200, 170}, {2, 4, 170, 17}, {2, 4, 200, 17}}, /* A is packed tile by tile */
    {2, 2, 2, {40, 80}, {80, 300}, {40, 300}},                     /* threads share columns, */
    {3, 3, 3, {1, 40, 60}, {3, 60, 100}, {3, 40, 100}},
    {2, 2, 2, {200, 90}, {90, 40}, {200, 40}}, /* or rows */
    {3, 3, 3, {3, 90, 50}, {3, 50, 60}, {3, 90, 60}},
    {3, 3, 3, {1, 150, 40}, {3, 40, 50}, {3, 150, 50}},
};

/* Element of a product with numpy's rules: a's and b's elements less their zero points. */
static double naive(const shapes *s, const tl_tensor *a, const tl_tensor *b, int64_t at, const tl_tensor *a_zero,
                    const tl_tensor *b_zero)
{
    const int64_t n = s->b_rank > 1 ? s->b[s->b_rank - 1] : 1, m = s->a_rank > 1 ? s->a[s->a_rank - 2] : 1;
    const int64_t k = s->a[s->a_rank - 1], column = at % n, row = at / n % m, batch = at / n / m;
    int64_t a_batch = 0, b_batch = 0, rest = batch, a_stride = 1, b_stride = 1;
    const int32_t batches = s->y_rank - (s->a_rank > 1) - (s->b_rank > 1);
    for (int32_t d = 0; d < batches; d++) { /* from the last batch axis on */
        int64_t index = rest % s->y[batches - 1 - d];
        rest /= s->y[batches - 1 - d];
        if (d < s->a_rank - 2) {
            int64_t size = s->a[s->a_rank - 3 - d];
            a_batch += (size == 1 ? 0 : index) * a_stride;
            a_stride *= size;
        }
        if (d < s->b_rank - 2) {
            int64_t size = s->b[s->b_rank - 3 - d];
            b_batch += (size == 1 ? 0 : index) * b_stride;
            b_stride *= size;
        }
    }
    double sum = 0;
    for (int64_t l = 0; l < k; l++) {
        double za = a_zero ? get(a_zero, elements(a_zero) > 1 ? row : 0) : 0;
        double zb = b_zero ? get(b_zero, elements(b_zero) > 1 ? column : 0) : 0;
        sum += (get(a, (a_batch * m + row) * k + l) - za) * (get(b, (b_batch * k + l) * n + column) - zb);
    }
    return sum;
}

START_TEST(products)
{
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
            for (uint64_t constant = 0; constant < 4; constant += 2) {
                const shapes *s = &cases[c];
                tl_tensor a = random_tensor(types[t], s->a_rank, s->a), b = random_tensor(types[t], s->b_rank, s->b);
                fake_case test = {.op = &tl_op_MatMul_1, .inputs = {&a, &b}, .input_count = 2, .constant = constant};
                run_ok(&test);
                assert_shape(&test.outputs[0], s->y_rank, s->y);
                double *want = malloc((size_t)elements(&test.outputs[0]) * sizeof *want + 1);
                for (int64_t i = 0; i < elements(&test.outputs[0]); i++)
                    want[i] = naive(s, &a, &b, i, NULL, NULL);
                assert_near(&test.outputs[0], want, 4, "MatMul");
                free(want);
                fake_free(&test);
                free_tensor(&a);
                free_tensor(&b);
            }
}
END_TEST

/* sizes: m, n, k */
static void check_gemm(tl_type type, const int64_t *sizes, int transposed, int32_t c_rank, const int64_t *c_dims,
                       float alpha, float beta)
{
    const int64_t m = sizes[0], n = sizes[1], k = sizes[2];
    bool ta = (transposed & 1) != 0, tb = (transposed & 2) != 0, integer = (TL_T(type) & TL_T_INTEGERS) != 0;
    tl_tensor a = random_tensor(type, DIMS(ta ? k : m, ta ? m : k)),
              b = random_tensor(type, DIMS(tb ? n : k, tb ? k : n));
    tl_tensor c = c_rank >= 0 ? random_tensor(type, c_rank, c_dims) : (tl_tensor){0};
    const fake_attribute attributes[] = {ATTR_F("alpha", alpha), ATTR_F("beta", beta), ATTR_I("transA", ta),
                                         ATTR_I("transB", tb)};
    fake_case test = {.op = &tl_op_Gemm_7,
                      .attributes = attributes,
                      .attribute_count = 4,
                      .inputs = {&a, &b, c_rank >= 0 ? &c : NULL},
                      .input_count = 3,
                      .constant = transposed % 2 ? 2 : 0};
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(m, n));
    double *want = malloc((size_t)(m * n) * sizeof *want);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < k; l++)
                sum += get(&a, ta ? l * m + i : i * k + l) * get(&b, tb ? j * k + l : l * n + j);
            sum *= (double)alpha;
            if (c_rank >= 0) {
                int64_t rows = c_rank == 2 ? c_dims[0] : 1, columns = c_rank > 0 ? c_dims[c_rank - 1] : 1;
                sum += (double)beta * get(&c, (rows > 1 ? i : 0) * columns + (columns > 1 ? j : 0));
            }
            want[i * n + j] = !integer ? sum : sum < 0 && !(TL_T(type) & TL_T_SIGNED) ? 0 : trunc(sum);
        }
    assert_near(&test.outputs[0], want, 4, "Gemm");
    free(want);
    fake_free(&test);
    free_tensor(&a);
    free_tensor(&b);
    free_tensor(&c);
}

START_TEST(gemms)
{
    static const float factors[][2] = {{1, 1}, {0.5F, 0.25F}, {2, 0}};
    static const int64_t small[] = {5, 9, 7}, tiles[] = {1400, 17, 190}; /* A is packed tile by tile */
    for (int transposed = 0; transposed < 4; transposed++)
        check_gemm(TL_FLOAT, tiles, transposed, DIMS(1400, 1), 0.5F, 0.25F);
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (int transposed = 0; transposed < 4; transposed++)
            for (int f = 0; f < 3; f++) {
                check_gemm(types[t], small, transposed, -1, NULL, factors[f][0], factors[f][1]);
                check_gemm(types[t], small, transposed, 0, NULL, factors[f][0], factors[f][1]);
                check_gemm(types[t], small, transposed, DIMS(1), factors[f][0], factors[f][1]);
                check_gemm(types[t], small, transposed, DIMS(9), factors[f][0], factors[f][1]);
                check_gemm(types[t], small, transposed, DIMS(5, 1), factors[f][0], factors[f][1]);
                check_gemm(types[t], small, transposed, DIMS(1, 9), factors[f][0], factors[f][1]);
                check_gemm(types[t], small, transposed, DIMS(5, 9), factors[f][0], factors[f][1]);
            }
}
END_TEST

/* Sums that overflow wrap, and scaled integers stay inside their type, without undefined behaviour. */
START_TEST(integers_wrap)
{
    tl_tensor a = new_tensor(TL_INT32, DIMS(1, 2)), b = new_tensor(TL_INT32, DIMS(2, 1));
    for (int i = 0; i < 2; i++) {
        set(&a, i, INT32_MAX);
        set(&b, i, INT32_MAX);
    }
    fake_case test = {.op = &tl_op_MatMul_1, .inputs = {&a, &b}, .input_count = 2};
    run_ok(&test);
    ck_assert(get(&test.outputs[0], 0) == 2);
    fake_free(&test);
    const fake_attribute attributes[] = {ATTR_F("alpha", 2e9F)};
    test = (fake_case){
        .op = &tl_op_Gemm_7, .attributes = attributes, .attribute_count = 1, .inputs = {&a, &b}, .input_count = 3};
    run_ok(&test);
    ck_assert(get(&test.outputs[0], 0) == INT32_MAX);
    fake_free(&test);
    free_tensor(&a);
    free_tensor(&b);
}
END_TEST

START_TEST(bytes)
{
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int kind = 0; kind < 4; kind++) { /* with signs or without, zero points for all or for rows and columns */
            const shapes *s = &cases[c];
            const tl_type ta = kind & 1 ? TL_INT8 : TL_UINT8, tb = kind & 1 ? TL_UINT8 : TL_INT8;
            const int64_t m = s->a_rank > 1 ? s->a[s->a_rank - 2] : 1, n = s->b_rank > 1 ? s->b[s->b_rank - 1] : 1;
            bool vectors = (kind & 2) && s->a_rank == 2 && s->b_rank == 2;
            tl_tensor a = random_tensor(ta, s->a_rank, s->a), b = random_tensor(tb, s->b_rank, s->b);
            tl_tensor az = random_tensor(ta, DIMS(vectors ? m : 1)), bz = random_tensor(tb, DIMS(vectors ? n : 1));
            fake_case test = {.op = &tl_op_MatMulInteger_10, .inputs = {&a, &b, &az, &bz}, .input_count = 4};
            run_ok(&test);
            assert_shape(&test.outputs[0], s->y_rank, s->y);
            tl_tensor as = random_tensor(TL_FLOAT, DIMS(vectors ? m : 1)),
                      bs = random_tensor(TL_FLOAT, DIMS(vectors ? n : 1));
            tl_tensor ys = new_tensor(TL_FLOAT, DIMS(1)), yz = random_tensor(ta, DIMS(1));
            set(&ys, 0, 37.5);
            fake_case linear = {
                .op = &tl_op_QLinearMatMul_10, .inputs = {&a, &as, &az, &b, &bs, &bz, &ys, &yz}, .input_count = 8};
            run_ok(&linear);
            assert_shape(&linear.outputs[0], s->y_rank, s->y);
            for (int64_t i = 0; i < elements(&test.outputs[0]); i++) {
                double sum = naive(s, &a, &b, i, &az, &bz);
                ck_assert(get(&test.outputs[0], i) == sum);
                double v = sum * (get(&as, vectors ? i / n % m : 0) * get(&bs, vectors ? i % n : 0) / get(&ys, 0));
                v = rint(v) + get(&yz, 0);
                v = fmin(fmax(v, ta == TL_INT8 ? -128 : 0), ta == TL_INT8 ? 127 : 255);
                ck_assert_msg(get(&linear.outputs[0], i) == v, "%g, not %g", get(&linear.outputs[0], i), v);
            }
            fake_free(&test);
            fake_free(&linear);
            tl_tensor *all[] = {&a, &b, &az, &bz, &as, &bs, &ys, &yz};
            for (size_t i = 0; i < 8; i++)
                free_tensor(all[i]);
        }
}
END_TEST

START_TEST(wrong_shapes)
{
    tl_tensor a = new_tensor(TL_FLOAT, DIMS(3, 4)), b = new_tensor(TL_FLOAT, DIMS(5, 4)),
              one = new_tensor(TL_FLOAT, 0, NULL);
    tl_tensor c = new_tensor(TL_FLOAT, DIMS(4)), batch = new_tensor(TL_FLOAT, DIMS(2, 4, 4)),
              other = new_tensor(TL_FLOAT, DIMS(3, 4, 4));
    fake_case matmul = {.op = &tl_op_MatMul_1, .inputs = {&a, &b}, .input_count = 2};
    run_fails(&matmul, TL_INVALID_INPUT, "inner sizes are 4 and 5");
    matmul.inputs[1] = &one;
    run_fails(&matmul, TL_INVALID_INPUT, "scalar");
    matmul.inputs[0] = &batch;
    matmul.inputs[1] = &other;
    run_fails(&matmul, TL_INVALID_INPUT, "broadcast");
    const fake_attribute transposed[] = {ATTR_I("transB", 1)};
    fake_case gemm = {.op = &tl_op_Gemm_1, .inputs = {&a, &b, &c}, .input_count = 3};
    run_fails(&gemm, TL_INVALID_INPUT, "inner size");
    gemm.attributes = transposed;
    gemm.attribute_count = 1;
    run_fails(&gemm, TL_INVALID_INPUT, "does not broadcast");
    gemm.inputs[0] = &batch;
    run_fails(&gemm, TL_INVALID_INPUT, "rank 3");
    tl_tensor *all[] = {&a, &b, &one, &c, &batch, &other};
    for (size_t i = 0; i < 6; i++)
        free_tensor(all[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Matrix products");
    ADD_TEST(suite, products);
    ADD_TEST(suite, gemms);
    ADD_TEST(suite, integers_wrap);
    ADD_TEST(suite, bytes);
    ADD_TEST(suite, wrong_shapes);
    return run_suite(suite);
}
