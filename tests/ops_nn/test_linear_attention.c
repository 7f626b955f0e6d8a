/* LinearAttention and SwiGLU. */
#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_LinearAttention_27, tl_op_SwiGLU_28;

enum { Q, K, V, PAST, DECAY, BETA, TENSORS };

typedef struct problem {
    tl_type type, state_type;
    int64_t batch, length, heads, each, key_size, value_size;
    bool decays, by_row, delta, past, one_beta;
    float scale;
} problem;

/* One head's state and results, token by token, as the standard's text has them. */
static void naive(const problem *p, const tl_tensor *x, int64_t b, int64_t h, double *state, double *y)
{
    const int64_t dk = p->key_size, dv = p->value_size;
    for (int64_t i = 0; i < dk * dv; i++)
        state[i] = p->past ? get(&x[PAST], (b * p->heads + h) * dk * dv + i) : 0;
    for (int64_t t = 0; t < p->length; t++) {
        const int64_t token = b * p->length + t;
        double u[80];
        for (int64_t d = 0; p->decays && d < dk; d++)
            for (int64_t c = 0; c < dv; c++)
                state[d * dv + c] *= exp(p->by_row ? get(&x[DECAY], (token * p->heads + h) * dk + d)
                                                   : get(&x[DECAY], token * p->heads + h));
        for (int64_t c = 0; c < dv; c++) {
            u[c] = get(&x[V], (token * p->heads + h) * dv + c);
            for (int64_t d = 0; p->delta && d < dk; d++)
                u[c] -= state[d * dv + c] * get(&x[K], (token * p->heads + h) * dk + d);
            if (p->delta)
                u[c] *= get(&x[BETA], p->one_beta ? token : token * p->heads + h);
        }
        for (int64_t d = 0; d < dk; d++)
            for (int64_t c = 0; c < dv; c++)
                state[d * dv + c] += get(&x[K], (token * p->heads + h) * dk + d) * u[c];
        for (int64_t g = 0; g < p->each; g++)
            for (int64_t c = 0; c < dv; c++) {
                double sum = 0;
                for (int64_t d = 0; d < dk; d++)
                    sum += get(&x[Q], ((token * p->heads + h) * p->each + g) * dk + d) * state[d * dv + c];
                y[(g * p->length + t) * dv + c] = sum * (p->scale != 0 ? (double)p->scale : 1 / sqrt((double)dk));
            }
    }
}

static void check_problem(const problem *p)
{
    const char *rule = p->decays ? (p->delta ? "gated_delta" : "gated") : p->delta ? "delta" : "linear";
    const fake_attribute a[] = {ATTR_S("update_rule", rule), ATTR_I("q_num_heads", p->heads * p->each),
                                ATTR_I("kv_num_heads", p->heads), ATTR_F("scale", p->scale)};
    const int64_t shapes[TENSORS][4] = {{p->batch, p->length, p->heads * p->each * p->key_size},
                                        {p->batch, p->length, p->heads * p->key_size},
                                        {p->batch, p->length, p->heads * p->value_size},
                                        {p->batch, p->heads, p->key_size, p->value_size},
                                        {p->batch, p->length, p->heads * (p->by_row ? p->key_size : 1)},
                                        {p->batch, p->length, p->one_beta ? 1 : p->heads}};
    const bool there[TENSORS] = {true, true, true, p->past, p->decays, p->delta};
    const tl_type state_type = p->past ? p->state_type : p->type;
    tl_tensor x[TENSORS];
    fake_case test = {.op = &tl_op_LinearAttention_27, .attributes = a, .attribute_count = 4, .input_count = TENSORS};
    for (int k = 0; k < TENSORS; k++) {
        x[k] = random_tensor(k == PAST ? state_type : p->type, k == PAST ? 4 : 3, shapes[k]);
        for (int64_t i = 0; i < elements(&x[k]); i++)
            set(&x[k], i, k == DECAY || k == BETA ? -fabs(get(&x[k], i)) : get(&x[k], i) / 4);
        test.inputs[k] = there[k] ? &x[k] : NULL;
    }
    run_ok(&test);
    ck_assert_int_eq(test.outputs[1].type, state_type);
    assert_shape(&test.outputs[0], DIMS(p->batch, p->length, p->heads * p->each * p->value_size));
    assert_shape(&test.outputs[1], 4, shapes[PAST]);
    double *state = calloc((size_t)(p->key_size * p->value_size) + 1, sizeof *state);
    double *y = calloc((size_t)(p->each * p->length * p->value_size) + 1, sizeof *y);
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads; h++) {
            naive(p, x, b, h, state, y);
            for (int64_t i = 0; i < p->key_size * p->value_size; i++)
                ck_assert_double_eq_tol(get(&test.outputs[1], (b * p->heads + h) * p->key_size * p->value_size + i),
                                        state[i], 4 * tolerance(state_type) * (1 + fabs(state[i])));
            for (int64_t g = 0; g < p->each; g++)
                for (int64_t t = 0; t < p->length; t++)
                    for (int64_t c = 0; c < p->value_size; c++) {
                        const double want = y[(g * p->length + t) * p->value_size + c];
                        const int64_t row = ((b * p->length + t) * p->heads + h) * p->each + g;
                        ck_assert_double_eq_tol(get(&test.outputs[0], row * p->value_size + c), want,
                                                4 * tolerance(p->type) * (1 + fabs(want)));
                    }
        }
    free(state);
    free(y);
    fake_free(&test);
    for (int k = 0; k < TENSORS; k++)
        free_tensor(&x[k]);
}

START_TEST(linear_attention)
{
    static const tl_type types[] = {TL_FLOAT, TL_FLOAT16, TL_BFLOAT16};
    random_seed(3);
    for (int i = 0; i < 200; i++) {
        problem p = {.type = types[random_int(0, 2)],
                     .state_type = types[random_int(0, 2)],
                     .batch = random_int(0, 2),
                     .length = random_int(0, 7),
                     .heads = random_int(1, 3),
                     .each = random_int(1, 3),
                     .key_size = random_int(1, 9),
                     .value_size = random_int(0, 3) ? random_int(1, 9) : random_int(63, 70),
                     .decays = random_int(0, 1) != 0,
                     .by_row = random_int(0, 1) != 0,
                     .delta = random_int(0, 1) != 0,
                     .past = random_int(0, 1) != 0,
                     .one_beta = random_int(0, 1) != 0,
                     .scale = random_int(0, 1) ? 0.5F : 0};
        check_problem(&p);
    }
}
END_TEST

START_TEST(linear_attention_refuses)
{
    tl_tensor q = new_tensor(TL_FLOAT, DIMS(1, 2, 8)), k = new_tensor(TL_FLOAT, DIMS(1, 2, 4)),
              gate = new_tensor(TL_FLOAT, DIMS(1, 2, 3)), state = new_tensor(TL_FLOAT, DIMS(1, 1, 4, 5)),
              odd = new_tensor(TL_FLOAT, DIMS(1, 2, 7)), late = new_tensor(TL_FLOAT, DIMS(1, 3, 4));
    fake_attribute a[] = {ATTR_I("q_num_heads", 2), ATTR_I("kv_num_heads", 1), ATTR_S("update_rule", "linear")};
    fake_case test = {.op = &tl_op_LinearAttention_27,
                      .attributes = a,
                      .attribute_count = 3,
                      .inputs = {&q, &k, &k},
                      .input_count = TENSORS};
    run_ok(&test);
    fake_free(&test);
    test.inputs[PAST] = &state;
    run_fails(&test, TL_INVALID_INPUT, "input 3");
    test.inputs[PAST] = NULL;
    test.inputs[K] = &late;
    run_fails(&test, TL_INVALID_INPUT, "length of query");
    test.inputs[K] = &k;
    test.inputs[Q] = &odd;
    run_fails(&test, TL_INVALID_INPUT, "do not divide");
    test.inputs[Q] = &q;
    test.inputs[DECAY] = &gate;
    run_fails(&test, TL_INVALID_MODEL, "without decay");
    a[2].s = "gated";
    run_fails(&test, TL_INVALID_INPUT, "must be 1 or 4");
    a[2].s = "delta_gated";
    run_fails(&test, TL_INVALID_MODEL, "update_rule");
    a[2].s = "delta";
    test.inputs[DECAY] = NULL;
    run_fails(&test, TL_INVALID_MODEL, "with beta");
    a[0].i = INT64_MAX;
    run_fails(&test, TL_INVALID_MODEL, NULL);
    a[2].s = "linear";
    a[1].i = 0;
    run_fails(&test, TL_INVALID_MODEL, "kv_num_heads");
    tl_tensor *all[] = {&q, &k, &gate, &state, &odd, &late};
    for (size_t i = 0; i < 6; i++)
        free_tensor(all[i]);
}
END_TEST

START_TEST(swiglu)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    random_seed(4);
    for (int i = 0; i < 40; i++) {
        const double alpha = i % 3 ? 1 : -0.75;
        const fake_attribute a[] = {ATTR_F("alpha", (float)alpha)};
        const int64_t dims[] = {random_int(0, 3), random_int(1, 900)};
        tl_tensor x = random_tensor(types[i % 4], 2, dims), v = random_tensor(types[i % 4], 2, dims);
        double *want = calloc((size_t)elements(&x) + 1, sizeof *want);
        for (int64_t k = 0; k < elements(&x); k++) {
            set(&x, k, 8 * get(&x, k));
            want[k] = get(&x, k) / (1 + exp(-alpha * get(&x, k))) * get(&v, k);
        }
        fake_case test = {
            .op = &tl_op_SwiGLU_28, .attributes = a, .attribute_count = 1, .inputs = {&x, &v}, .input_count = 2};
        run_ok(&test);
        assert_shape(&test.outputs[0], 2, dims);
        assert_near(&test.outputs[0], want, 1, "swiglu");
        fake_free(&test);
        free(want);
        free_tensor(&v);
        v = new_tensor(types[i % 4], DIMS(1));
        run_fails(&test, TL_INVALID_INPUT, "rank");
        free_tensor(&x);
        free_tensor(&v);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("linear_attention");
    ADD_TEST(suite, linear_attention);
    ADD_TEST(suite, linear_attention_refuses);
    ADD_TEST(suite, swiglu);
    return run_suite(suite);
}
