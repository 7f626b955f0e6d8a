/* The operators of com.microsoft: Gelu and its kin, SkipLayerNormalization, FusedMatMul, DynamicQuantizeLSTM, and
 * products of bytes to floats. */
#include <math.h>
#include "tensors.h"

OPERATOR(Gelu, 1);
OPERATOR(QuickGelu, 1);
OPERATOR(BiasGelu, 1);
OPERATOR(FastGelu, 1);
OPERATOR(SkipLayerNormalization, 1);
OPERATOR(SkipSimplifiedLayerNormalization, 1);
OPERATOR(MicrosoftFusedMatMul, 1);
OPERATOR(DynamicQuantizeLSTM, 1);
OPERATOR(DynamicQuantizeMatMul, 1);
OPERATOR(MatMulIntegerToFloat, 1);
OPERATOR(LSTM, 7);

static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};

static double gelu(double x)
{
    return x / 2 * (1 + erf(x / sqrt(2.0)));
}
static double fast_gelu(double x)
{
    return x / 2 * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}
static double quick_gelu(double x)
{
    return x / (1 + exp(-0.5 * x));
}

START_TEST(gelus)
{
    static const struct {
        const tl_operator *op;
        double (*function)(double);
        int bias; /* 1: may be there, 2: must be */
    } all[] = {{&tl_op_Gelu_1, gelu, 0},
               {&tl_op_QuickGelu_1, quick_gelu, 0},
               {&tl_op_BiasGelu_1, gelu, 2},
               {&tl_op_FastGelu_1, fast_gelu, 1}};
    const fake_attribute a[] = {ATTR_F("alpha", 0.5F)};
    random_seed(6);
    for (int i = 0; i < 96; i++) {
        const size_t which = (size_t)i % 4;
        const tl_type type = types[i / 4 % 4];
        const int64_t width = random_int(1, 700), dims[] = {random_int(0, 3), random_int(1, 3), width};
        const bool bias = all[which].bias == 2 || (all[which].bias == 1 && i / 16 % 2);
        tl_tensor x = random_tensor(type, 3, dims), b = random_tensor(type, 1, &width);
        double *want = calloc((size_t)elements(&x) + 1, sizeof *want);
        for (int64_t k = 0; k < elements(&x); k++) {
            set(&x, k, 4 * get(&x, k));
            want[k] = all[which].function(get(&x, k) + (bias ? get(&b, k % width) : 0));
        }
        fake_case test = CASE(all[which].op, a, &x, bias ? &b : NULL);
        test.attribute_count = which == 1;
        test.input_count = all[which].bias ? 2 : 1;
        run_ok(&test);
        assert_shape(&test.outputs[0], 3, dims);
        assert_near(&test.outputs[0], want, 1, all[which].op->name);
        fake_free(&test);
        if (bias) {
            tl_tensor wrong = new_tensor(type, DIMS(width + 1));
            test.inputs[1] = &wrong;
            run_fails(&test, TL_INVALID_INPUT, "last dimension");
            free_tensor(&wrong);
        }
        free(want);
        free_tensor(&x);
        free_tensor(&b);
    }
}
END_TEST

START_TEST(skip_normalization)
{
    const fake_attribute a[] = {ATTR_F("epsilon", 0.01F)};
    random_seed(7);
    for (int i = 0; i < 64; i++) {
        const bool simple = i % 2, centred = !simple;
        const tl_type type = types[i / 2 % 4];
        const int64_t dims[] = {random_int(1, 3), random_int(1, 4), random_int(1, 40)}, width = dims[2];
        const int form = i / 8 % 3; /* of skip: whole, one for all of the first dimension, without that */
        const int64_t skip_dims[] = {form ? 1 : dims[0], dims[1], width};
        tl_tensor x = random_tensor(type, 3, dims),
                  skip = random_tensor(type, form == 2 ? 2 : 3, skip_dims + (form == 2)),
                  gamma = random_tensor(type, 1, &width), beta = random_tensor(type, 1, &width),
                  bias = random_tensor(type, 1, &width);
        const bool with_beta = !simple && i & 8, with_bias = i & 16;
        fake_case plain = CASE(&tl_op_SkipLayerNormalization_1, a, &x, &skip, &gamma, with_beta ? &beta : NULL,
                               with_bias ? &bias : NULL);
        fake_case simplified =
            CASE(&tl_op_SkipSimplifiedLayerNormalization_1, a, &x, &skip, &gamma, with_bias ? &bias : NULL);
        fake_case test = simple ? simplified : plain;
        test.absent = i & 32 ? 14 : 0;
        run_ok(&test);
        double *want = calloc((size_t)elements(&x), sizeof *want), *sums = calloc((size_t)elements(&x), sizeof *sums);
        for (int64_t row = 0; row < dims[0] * dims[1]; row++) {
            double mean = 0, square = 0;
            for (int64_t k = 0; k < width; k++) {
                const int64_t at = row * width + k;
                sums[at] = get(&x, at) + get(&skip, at % elements(&skip)) + (with_bias ? get(&bias, k) : 0);
                mean += centred ? sums[at] / (double)width : 0;
            }
            for (int64_t k = 0; k < width; k++)
                square += (sums[row * width + k] - mean) * (sums[row * width + k] - mean) / (double)width;
            for (int64_t k = 0; k < width; k++)
                want[row * width + k] = (sums[row * width + k] - mean) / sqrt(square + (double)0.01F) * get(&gamma, k) +
                                        (with_beta ? get(&beta, k) : 0);
            if (!test.absent)
                ck_assert_double_eq_tol(get(&test.outputs[2], row), 1 / sqrt(square + (double)0.01F), 1e-4);
        }
        assert_near(&test.outputs[0], want, 1, "normalized");
        if (!test.absent)
            assert_near(&test.outputs[3], sums, 1, "sum");
        fake_free(&test);
        test.inputs[2] = &x;
        run_fails(&test, TL_INVALID_INPUT, "input 2");
        free(want);
        free(sums);
        tl_tensor *all[] = {&x, &skip, &gamma, &beta, &bias};
        for (size_t k = 0; k < COUNT(all); k++)
            free_tensor(all[k]);
    }
}
END_TEST

/* Where the element (batch, row, column) of a factor as it is multiplied is stored. */
static double factor(const tl_tensor *x, bool trans, bool trans_batch, const int64_t *batch, int32_t batch_rank,
                     int64_t row, int64_t column)
{
    int64_t at[4];
    if (trans) {
        const int64_t swap = row;
        row = column;
        column = swap;
    }
    for (int32_t i = 0; i < batch_rank; i++)
        at[i + (trans_batch ? 1 : 0)] = batch[i];
    at[trans_batch ? 0 : batch_rank] = row;
    at[batch_rank + 1] = column;
    return get(x, index_of(x, at));
}

static tl_tensor make_factor(tl_type type, bool trans, bool trans_batch, const int64_t *batch, int32_t batch_rank,
                             int64_t rows, int64_t columns)
{
    int64_t dims[4];
    for (int32_t i = 0; i < batch_rank; i++)
        dims[i + (trans_batch ? 1 : 0)] = batch[i];
    dims[trans_batch ? 0 : batch_rank] = trans ? columns : rows;
    dims[batch_rank + 1] = trans ? rows : columns;
    return random_tensor(type, batch_rank + 2, dims);
}

START_TEST(fused_matmul)
{
    random_seed(8);
    for (int i = 0; i < 256; i++) {
        const bool trans_a = i & 1, trans_b = i & 2, batch_a = i & 4, batch_b = i & 8;
        const int32_t rank = i / 16 % 3;
        const bool shared = rank > 0 && i / 48 % 2; /* one B for all */
        const int64_t m = random_int(1, 9), n = random_int(1, 9), depth = random_int(0, 9);
        const int64_t batch[] = {random_int(1, 3), random_int(1, 3)};
        const tl_type type = types[random_int(0, 3)];
        const int32_t b_rank = shared ? 0 : rank;
        tl_tensor a = make_factor(type, trans_a, rank && batch_a, batch, rank, m, depth),
                  b = make_factor(type, trans_b, b_rank && batch_b, batch, b_rank, depth, n);
        const fake_attribute attributes[] = {ATTR_F("alpha", 0.5F), ATTR_I("transA", trans_a),
                                             ATTR_I("transB", trans_b), ATTR_I("transBatchA", batch_a),
                                             ATTR_I("transBatchB", batch_b)};
        fake_case test = CASE(&tl_op_MicrosoftFusedMatMul_1, attributes, &a, &b);
        run_ok(&test);
        const tl_tensor *y = &test.outputs[0];
        double *want = calloc((size_t)elements(y) + 1, sizeof *want);
        for (int64_t k = 0; k < elements(y); k++) {
            int64_t at[4];
            coordinates(y, k, at);
            for (int64_t l = 0; l < depth; l++)
                want[k] += 0.5 * factor(&a, trans_a, rank && batch_a, at, rank, at[rank], l) *
                           factor(&b, trans_b, b_rank && batch_b, at, b_rank, l, at[rank + 1]);
        }
        ck_assert_int_eq(y->rank, rank + 2);
        assert_near(y, want, 4, "product");
        fake_free(&test);
        free(want);
        free_tensor(&a);
        free_tensor(&b);
    }
}
END_TEST

enum { X, W, R, B, LENGTHS, H, C, P, W_SCALE, W_ZERO, R_SCALE, R_ZERO, LSTM_INPUTS };

/* Weights as LSTM has them: what the quantized ones stand for, with the last two axes exchanged. */
static tl_tensor plain_weights(const tl_tensor *w, const tl_tensor *scale, const tl_tensor *zero)
{
    tl_tensor to = new_tensor(TL_FLOAT, DIMS(w->dims[0], w->dims[2], w->dims[1]));
    for (int64_t i = 0; i < elements(w); i++) {
        int64_t at[3];
        coordinates(w, i, at);
        const int64_t p = scale->rank == 2 ? at[0] * w->dims[2] + at[2] : at[0];
        set(&to, index_of(&to, (const int64_t[]){at[0], at[2], at[1]}),
            (double)((float)(get(w, i) - get(zero, p)) * (float)get(scale, p)));
    }
    return to;
}

/* With a single step, no state and an input that 8 bits hold exactly, nothing is rounded: it is LSTM. Weights that are
 * no constants give the same bits, for any number of steps. */
START_TEST(dynamic_lstm)
{
    random_seed(10);
    for (int i = 0; i < 48; i++) {
        const bool two = i % 2, per_gate = i / 2 % 2, one_step = i / 4 % 2;
        const tl_type type = i / 8 % 2 ? TL_INT8 : TL_UINT8;
        const int64_t d = two ? 2 : 1, hidden = random_int(1, 9), size = random_int(1, 7), batch = random_int(1, 3);
        const int64_t time = one_step ? 1 : random_int(0, 4), p_dims[] = {d, 4 * hidden};
        const int32_t p_rank = per_gate ? 2 : 1;
        const fake_attribute a[] = {ATTR_S("direction", two ? "bidirectional" : "forward"),
                                    ATTR_I("hidden_size", hidden)};
        tl_tensor t[LSTM_INPUTS] = {[X] = random_tensor(TL_FLOAT, DIMS(time, batch, size)),
                                    [W] = random_tensor(type, DIMS(d, size, 4 * hidden)),
                                    [R] = random_tensor(type, DIMS(d, hidden, 4 * hidden)),
                                    [B] = random_tensor(TL_FLOAT, DIMS(d, 8 * hidden)),
                                    [W_SCALE] = random_tensor(TL_FLOAT, p_rank, p_dims),
                                    [W_ZERO] = random_tensor(type, p_rank, p_dims),
                                    [R_SCALE] = random_tensor(TL_FLOAT, p_rank, p_dims),
                                    [R_ZERO] = random_tensor(type, p_rank, p_dims)};
        for (int64_t k = 0; k < elements(&t[X]); k++) /* multiples of 1/64 from -2 to 127/64: exact in 8 bits */
            set(&t[X], k, k == 0 ? -2 : k == 1 ? 127.0 / 64 : get(&t[X], k));
        for (int k = W_SCALE; k <= R_SCALE; k += 2)
            for (int64_t j = 0; j < elements(&t[k]); j++)
                set(&t[k], j, 0.001 * (1 + fabs(get(&t[k], j))));
        fake_case test = CASE(&tl_op_DynamicQuantizeLSTM_1, a, &t[X], &t[W], &t[R], &t[B], NULL, NULL, NULL, NULL,
                              &t[W_SCALE], &t[W_ZERO], &t[R_SCALE], &t[R_ZERO]);
        fake_case fresh = test;
        fresh.constant = 0;
        run_ok(&test);
        run_ok(&fresh);
        for (int k = 0; k < 3; k++)
            ck_assert_mem_eq(test.outputs[k].data, fresh.outputs[k].data, fake_bytes(&test.outputs[k]));
        tl_tensor w = plain_weights(&t[W], &t[W_SCALE], &t[W_ZERO]), r = plain_weights(&t[R], &t[R_SCALE], &t[R_ZERO]);
        fake_case same = CASE(&tl_op_LSTM_7, a, &t[X], &w, &r, &t[B]);
        run_ok(&same);
        for (int64_t k = 0; one_step && elements(&t[X]) > 1 && k < elements(&test.outputs[0]); k++)
            ck_assert_double_eq_tol(get(&test.outputs[0], k), get(&same.outputs[0], k), 2e-6);
        fake_free(&test);
        fake_free(&fresh);
        fake_free(&same);
        test.inputs[W_ZERO] = &t[B];
        run_fails(&test, TL_INVALID_INPUT, NULL);
        free_tensor(&w);
        free_tensor(&r);
        for (int k = 0; k < LSTM_INPUTS; k++)
            free_tensor(&t[k]);
    }
}
END_TEST

/* A as floats that 8 bits hold exactly, multiples of 1/64 from -2 to 127/64, is A as bytes with the scale 1/64 and the
 * zero point 128. */
START_TEST(byte_matmul)
{
    random_seed(11);
    for (int i = 0; i < 64; i++) {
        const bool dynamic = i % 2, per_column = i / 2 % 2, has_bias = i / 4 % 2;
        const tl_type type = i / 8 % 2 ? TL_INT8 : TL_UINT8;
        const int64_t m = random_int(1, 20), depth = random_int(1, 40), n = random_int(1, 40), one = 1;
        tl_tensor a = new_tensor(dynamic ? TL_FLOAT : TL_UINT8, DIMS(2, m, depth)),
                  b = random_tensor(type, DIMS(depth, n)), scale = random_tensor(TL_FLOAT, 1, per_column ? &n : &one),
                  b_zero = random_tensor(type, 1, per_column ? &n : &one), bias = random_tensor(TL_FLOAT, 1, &n),
                  a_scale = new_tensor(TL_FLOAT, 0, NULL), a_zero = new_tensor(TL_UINT8, 0, NULL);
        set(&a_scale, 0, 1.0 / 64);
        set(&a_zero, 0, 128);
        double *want = calloc((size_t)(2 * m * n), sizeof *want);
        for (int64_t k = 0; k < elements(&a); k++) {
            const int64_t byte = k == 0 ? 0 : k == 1 ? 255 : random_int(0, 255);
            set(&a, k, dynamic ? (double)(byte - 128) / 64 : (double)byte);
            for (int64_t j = 0; j < n; j++)
                want[k / depth * n + j] +=
                    (double)(byte - 128) / 64 * (get(&b, k % depth * n + j) - get(&b_zero, per_column ? j : 0));
        }
        for (int64_t k = 0; k < 2 * m * n; k++)
            want[k] = want[k] * get(&scale, per_column ? k % n : 0) + (has_bias ? get(&bias, k % n) : 0);
        tl_tensor *last = has_bias ? &bias : NULL;
        fake_case test = PLAIN_CASE(&tl_op_MatMulIntegerToFloat_1, &a, &b, &a_scale, &scale, &a_zero, &b_zero, last);
        fake_case rounded = PLAIN_CASE(&tl_op_DynamicQuantizeMatMul_1, &a, &b, &scale, &b_zero, last);
        if (dynamic)
            test = rounded;
        test.constant = i / 16 % 2 ? 2 : 0; /* B */
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(2, m, n));
        assert_near(&test.outputs[0], want, (double)depth, "product");
        fake_free(&test);
        test.inputs[dynamic ? 2 : 3] = &a;
        run_fails(&test, TL_INVALID_INPUT, NULL);
        tl_tensor *const all[] = {&a, &b, &scale, &b_zero, &bias, &a_scale, &a_zero};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            free_tensor(all[k]);
        free(want);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("microsoft");
    ADD_TEST(suite, gelus);
    ADD_TEST(suite, skip_normalization);
    ADD_TEST(suite, fused_matmul);
    ADD_TEST(suite, dynamic_lstm);
    ADD_TEST(suite, byte_matmul);
    return run_suite(suite);
}
