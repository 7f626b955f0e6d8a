/* Elementwise functions, bytes and softmax against the C library's double, next to forbidden pages. How many units in
 * the last place they may be off is bench/vmath_ulp.c's to say; here they may not be far off at any length. */
#include <check.h>
#include <math.h>

#include "common/run.h"
#include "element.h"
#include "guard.h"
#include "kernels/kernels.h"

#define MOST 70 /* elements; more than four vectors, and every tail */

static guarded floats(int64_t n, int before, uint32_t *state)
{
    guarded memory = guarded_alloc((size_t)n * sizeof(float), before);
    for (int64_t i = 0; i < n; i++)
        ((float *)memory.data)[i] = (float)(random_number(state) * 3);
    return memory;
}

/* Calls check(kernels, n, before, state) for every instruction set, length, and side of the forbidden page. */
static void for_all(void (*check)(const tlk_kernels *kernels, int64_t n, int before, uint32_t *state))
{
    uint32_t state = 5;
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (int64_t n = 1; n <= MOST && kernels != NULL; n++)
            for (int before = 0; before < 2; before++)
                check(kernels, n, before, &state);
    }
}

static double exact(tlk_activation_kind kind, double x)
{
    return kind == TLK_SIGMOID ? 1 / (1 + exp(-x)) : kind == TLK_TANH ? tanh(x) : x / (1 + exp(-x));
}

static void check_activations(const tlk_kernels *kernels, int64_t n, int before, uint32_t *state)
{
    static const tlk_activation_kind kinds[] = {TLK_SIGMOID, TLK_TANH, TLK_SWISH};
    guarded x = floats(n, before, state);
    guarded y = guarded_alloc(x.size, before);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const tlk_activation activation = {.kind = kinds[k]};
        kernels->activate(&activation, x.data, y.data, n);
        for (int64_t i = 0; i < n; i++) {
            const double expected = exact(kinds[k], (double)((float *)x.data)[i]);
            ck_assert_double_le(fabs((double)((float *)y.data)[i] - expected), 0x1p-21 * fabs(expected));
        }
    }
    guarded_free(&x);
    guarded_free(&y);
}

START_TEST(test_activations)
{
    for_all(check_activations);
}
END_TEST

/* tanh(x) * v + 2: what begins a chain is read where it lies, tile by tile. */
static void check_chain(const tlk_kernels *kernels, int64_t n, int before, uint32_t *state)
{
    const float two = 2;
    n += n % 2 * 480; /* some are longer than a tile */
    guarded x = floats(n, before, state);
    guarded v = floats(n, before, state);
    guarded y = guarded_alloc(x.size, before);
    const tlk_step steps[] = {{.kind = TLK_STEP_ACTIVATE, .activation = {.kind = TLK_TANH}},
                              {.kind = TLK_STEP_MUL, .operand = v.data, .lane_step = 1},
                              {.kind = TLK_STEP_ADD, .operand = &two}};
    kernels->steps[TLK_F32]->run(TLK_F32, &(tlk_steps){steps, 3}, x.data, 0, 1, y.data, 1, n);
    for (int64_t i = 0; i < n; i++) {
        const double expected = tanh((double)((float *)x.data)[i]) * (double)((float *)v.data)[i] + 2;
        ck_assert_double_le(fabs((double)((float *)y.data)[i] - expected), 1e-5);
    }
    guarded_free(&x);
    guarded_free(&v);
    guarded_free(&y);
}

/* tanh(x) * u + v + w, or x * u + v + w, for several rows: x and v move along a row or stand still, u has a number for
 * each row, and w is what lies where the result will. */
static void check_rows(const tlk_kernels *kernels, int64_t n, int before, uint32_t *state)
{
    enum { MOST_ROWS = 18 };
    const int64_t rows = 1 + (int64_t)random_below(state, MOST_ROWS);
    const int x_step = (int)random_below(state, 2);
    const int function = (int)random_below(state, 2);
    const int64_t x_row = x_step ? n : 1;
    guarded x = floats(rows * x_row, before, state);
    guarded u = floats(rows, before, state);
    guarded v = floats(n, before, state);
    guarded y = floats(rows * n, before, state);
    double expected[MOST_ROWS * MOST];
    for (int64_t i = 0; i < rows * n; i++) {
        const double at = (double)((float *)x.data)[i / n * x_row + i % n * x_step];
        expected[i] = (function ? tanh(at) : at) * (double)((float *)u.data)[i / n] + (double)((float *)v.data)[i % n] +
                      (double)((float *)y.data)[i];
    }
    const tlk_step steps[] = {{.kind = TLK_STEP_ACTIVATE, .activation = {.kind = TLK_TANH}},
                              {.kind = TLK_STEP_MUL, .operand = u.data, .row_step = 1},
                              {.kind = TLK_STEP_ADD, .operand = v.data, .lane_step = 1},
                              {.kind = TLK_STEP_ADD, .operand = y.data, .row_step = n, .lane_step = 1}};
    const tlk_steps bound = {steps + !function, 3 + function};
    kernels->steps[TLK_F32]->run(TLK_F32, &bound, x.data, x_row, x_step, y.data, rows, n);
    for (int64_t i = 0; i < rows * n; i++)
        ck_assert_double_le(fabs((double)((float *)y.data)[i] - expected[i]), 1e-5);
    guarded_free(&x);
    guarded_free(&u);
    guarded_free(&v);
    guarded_free(&y);
}

START_TEST(test_chains)
{
    for_all(check_chain);
    for_all(check_rows);
}
END_TEST

static int64_t integer_at(const void *integers, int size, int is_signed, int64_t i)
{
    switch (size) {
    case 1:
        return is_signed ? ((const int8_t *)integers)[i] : ((const uint8_t *)integers)[i];
    case 2:
        return is_signed ? ((const int16_t *)integers)[i] : ((const uint16_t *)integers)[i];
    default:
        return ((const int32_t *)integers)[i];
    }
}

static void check_quantized(const tlk_kernels *kernels, int64_t n, int before, uint32_t *state)
{
    guarded x = floats(n, before, state);
    guarded whole = guarded_alloc(x.size, before);
    guarded back = guarded_alloc(x.size, before);
    float *from = x.data;
    from[random_below(state, n)] = random_below(state, 2) == 0 ? INFINITY : -3e38F;
    const int64_t nan = random_below(state, n);
    from[nan] = NAN;
    for (int k = 0; k < 4; k++) {
        const int size = 1 + k / 2, is_signed = k % 2;
        const int32_t count = 1 << 8 * size, low = is_signed ? -count / 2 : 0, high = low + count - 1;
        const int32_t zero = low + (int32_t)random_below(state, count);
        const float scale = size == 1 ? 0.03125F : 0.03125F / 256;
        guarded y = guarded_alloc((size_t)(n * size), before);
        kernels->quantize(from, y.data, size, n, scale, zero, low, high);
        kernels->dequantize(y.data, size, is_signed, back.data, n, n, (float[]){0.5F}, (float[]){(float)zero});
        for (int64_t i = 0; i < n; i++) {
            const int64_t got = integer_at(y.data, size, is_signed, i);
            double expected = rint((double)from[i] / (double)scale) + zero;
            expected = i == nan ? low : fmin(fmax(expected, low), high);
            ck_assert_int_eq(got, (int64_t)expected);
            ck_assert_float_eq(((float *)back.data)[i], (float)(got - zero) * 0.5F);
        }
        guarded_free(&y);
    }
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)whole.data)[i] = i == nan ? INT32_MIN : (int32_t)(random_below(state, INT32_MAX) - (1 << 30));
    for (int64_t row = 1; row <= n; row = row * 3 / 2 + 1) {
        guarded scales = floats((n + row - 1) / row, before, state), zeros = floats((n + row - 1) / row, before, state);
        kernels->dequantize(whole.data, 4, 1, back.data, n, row, scales.data, zeros.data);
        for (int64_t i = 0; i < n; i++) {
            const float scale = ((float *)scales.data)[i / row], zero = ((float *)zeros.data)[i / row];
            ck_assert_float_eq(((float *)back.data)[i], ((float)integer_at(whole.data, 4, 1, i) - zero) * scale);
        }
        guarded_free(&scales);
        guarded_free(&zeros);
    }
    guarded_free(&x);
    guarded_free(&whole);
    guarded_free(&back);
}

START_TEST(test_quantized)
{
    for_all(check_quantized);
}
END_TEST

/* Next to the middle between two whole numbers, and with scales whose reciprocal no float holds. */
static void check_quotients(const tlk_kernels *kernels, int64_t n, int before, uint32_t *state)
{
    static const float odd_scales[] = {1e-45F, 1e-39F, 0x1p-100F, 0x1p101F, 3e38F, -0.37F, INFINITY};
    guarded x = guarded_alloc((size_t)n * sizeof(float), before);
    float *from = x.data;
    for (int round = 0; round < 40; round++) {
        const int size = 1 + round % 2, most = size == 1 ? 255 : 65535;
        const float scale = round < 14 ? odd_scales[round / 2] : (float)(1 + random_below(state, 1 << 20)) * 0x1p-19F;
        const int32_t zero = (int32_t)random_below(state, most + 1);
        guarded y = guarded_alloc((size_t)(n * size), before);
        for (int64_t i = 0; i < n; i++) {
            from[i] = ((float)random_below(state, most + most / 4) - (float)(most / 8) - 0.5F) * scale;
            from[i] = random_below(state, 3) == 0 ? nextafterf(from[i], 0) : from[i];
        }
        kernels->quantize(from, y.data, size, n, scale, zero, 0, most);
        for (int64_t i = 0; i < n; i++) {
            const float whole = rintf(from[i] / scale) + (float)zero;
            ck_assert_int_eq(integer_at(y.data, size, 0, i),
                             isnan(whole) ? 0 : (int)fminf(fmaxf(whole, 0), (float)most));
        }
        guarded_free(&y);
    }
    guarded_free(&x);
}

static void check_lookup(const tlk_kernels *kernels, int64_t n, int before, uint32_t *state)
{
    enum { ROWS = 3 };
    guarded table = guarded_alloc(256, before), x = guarded_alloc((size_t)(ROWS * n), before);
    const int64_t step = n + random_below(state, 20);
    guarded y = guarded_alloc((size_t)((ROWS - 1) * step + n), before);
    for (int i = 0; i < 256; i++)
        ((uint8_t *)table.data)[i] = (uint8_t)random_below(state, 256);
    for (int64_t i = 0; i < ROWS * n; i++)
        ((uint8_t *)x.data)[i] = (uint8_t)(n < 256 ? random_below(state, 256) : i);
    memset(y.data, 0x5a, y.size);
    kernels->lookup(table.data, x.data, ROWS, n, y.data, step);
    for (int64_t i = 0; i < (ROWS - 1) * step + n; i++)
        ck_assert_int_eq(((uint8_t *)y.data)[i],
                         i % step < n ? ((uint8_t *)table.data)[((uint8_t *)x.data)[i / step * n + i % step]] : 0x5a);
    guarded_free(&table);
    guarded_free(&x);
    guarded_free(&y);
}

START_TEST(test_lookup)
{
    for_all(check_lookup);
}
END_TEST

START_TEST(test_quotients)
{
    for_all(check_quotients);
}
END_TEST

static void check_softmax(const tlk_kernels *kernels, int64_t n, int before, uint32_t *state)
{
    enum { ROWS = 18 };
    guarded x = floats(ROWS * n, before, state);
    guarded y = guarded_alloc(x.size, before);
    const int64_t nan = random_below(state, 4) == 0 ? random_below(state, n) : -1; /* in the last row */
    if (nan >= 0)
        ((float *)x.data)[(ROWS - 1) * n + nan] = NAN;
    for (int logarithm = 0; logarithm < 2; logarithm++) {
        kernels->softmax(x.data, y.data, ROWS, n, logarithm);
        for (int64_t row = 0; row < ROWS; row++) {
            const float *from = (const float *)x.data + row * n;
            double sum = 0;
            for (int64_t i = 0; i < n; i++)
                sum += exp((double)from[i]);
            for (int64_t i = 0; i < n; i++) {
                const double got = (double)((float *)y.data)[row * n + i];
                const double expected = logarithm ? (double)from[i] - log(sum) : exp((double)from[i]) / sum;
                ck_assert(isnan(sum) ? isnan(got) : fabs(got - expected) <= 0x1p-19 * fmax(fabs(expected), logarithm));
            }
        }
    }
    guarded_free(&x);
    guarded_free(&y);
}

START_TEST(test_softmax)
{
    for_all(check_softmax);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vmath");
    TCase *tests = tcase_create("vmath");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, test_activations);
    tcase_add_test(tests, test_chains);
    tcase_add_test(tests, test_quantized);
    tcase_add_test(tests, test_quotients);
    tcase_add_test(tests, test_lookup);
    tcase_add_test(tests, test_softmax);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
