/* QLinearMatMul with floats of 8 bits: their values, and the nearest of them, worked out from their definition. */
#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_QLinearMatMul_21;

static const struct {
    tl_type type;
    int fraction_bits, bias;
    bool infinities, unsigned_zero;
} formats[] = {{TL_FLOAT8E4M3FN, 3, 7, false, false},
               {TL_FLOAT8E4M3FNUZ, 3, 8, false, true},
               {TL_FLOAT8E5M2, 2, 15, true, false},
               {TL_FLOAT8E5M2FNUZ, 2, 16, false, true}};

static double value_of(tl_type type, uint8_t bits)
{
    size_t f = 0;
    if (type == TL_INT8)
        return (int8_t)bits;
    if (type == TL_UINT8)
        return bits;
    while (formats[f].type != type)
        f++;
    const int fraction_bits = formats[f].fraction_bits, exponent = (bits & 0x7f) >> fraction_bits;
    const double fraction = ldexp(bits & ((1 << fraction_bits) - 1), -fraction_bits);
    if ((formats[f].unsigned_zero && bits == 0x80) || (type == TL_FLOAT8E4M3FN && (bits & 0x7f) == 0x7f) ||
        (formats[f].infinities && exponent == 31))
        return NAN; /* infinities are none that saturation gives, either */
    const double magnitude =
        exponent ? ldexp(1 + fraction, exponent - formats[f].bias) : ldexp(fraction, 1 - formats[f].bias);
    return bits & 0x80 ? -magnitude : magnitude;
}

/* The difference to the nearest value there is. */
static double nearest(tl_type type, double x)
{
    double best = INFINITY;
    for (int bits = 0; bits < 256; bits++) {
        const double distance = fabs(value_of(type, (uint8_t)bits) - x);
        best = distance < best ? distance : best;
    }
    return best;
}

static tl_type random_type(void)
{
    const int64_t k = random_int(0, 5);
    return k < 4 ? formats[k].type : k == 4 ? TL_INT8 : TL_UINT8;
}

/* Bits of numbers of a middle size, never NaN. */
static tl_tensor random_codes(tl_type type, int32_t rank, const int64_t *dims)
{
    tl_tensor t = new_tensor(TL_UINT8, rank, dims);
    const bool is_float = type != TL_INT8 && type != TL_UINT8;
    t.type = type;
    for (int64_t i = 0; i < elements(&t); i++)
        ((uint8_t *)t.data)[i] = (uint8_t)(is_float ? random_int(40, 72) | random_int(0, 1) << 7 : random_int(0, 20));
    return t;
}

START_TEST(float8)
{
    random_seed(11);
    for (int i = 0; i < 300; i++) {
        tl_type types[] = {random_type(), random_type(), random_type()};
        const int64_t m = random_int(1, 6), n = random_int(1, 6), depth = random_int(1, 9), batch = random_int(1, 2);
        const bool by_axis = i % 2;
        const int64_t one[] = {1}, rows[] = {m}, columns[] = {n};
        tl_tensor a = random_codes(types[0], 3, (const int64_t[]){batch, m, depth}),
                  b = random_codes(types[1], 2, (const int64_t[]){depth, n}),
                  a_zero = random_codes(types[0], by_axis, by_axis ? rows : one),
                  b_zero = random_codes(types[1], by_axis, by_axis ? columns : one),
                  y_zero = random_codes(types[2], 0, NULL);
        tl_tensor a_scale = random_tensor(TL_FLOAT, by_axis, rows), b_scale = random_tensor(TL_FLOAT, by_axis, columns),
                  y_scale = random_tensor(TL_FLOAT, 0, NULL);
        tl_tensor *const scales[] = {&a_scale, &b_scale, &y_scale};
        for (size_t k = 0; k < 3; k++)
            for (int64_t j = 0; j < elements(scales[k]); j++)
                set(scales[k], j, 0.5 + fabs(get(scales[k], j)));
        fake_case test = {.op = &tl_op_QLinearMatMul_21,
                          .inputs = {&a, &a_scale, &a_zero, &b, &b_scale, &b_zero, &y_scale, &y_zero},
                          .input_count = 8};
        run_ok(&test);
        ck_assert_int_eq(test.outputs[0].type, types[2]);
        assert_shape(&test.outputs[0], DIMS(batch, m, n));
        for (int64_t k = 0; k < batch * m * n; k++) {
            const int64_t row = k / n, column = k % n, r = by_axis ? row % m : 0, c = by_axis ? column : 0;
            double sum = 0;
            for (int64_t l = 0; l < depth; l++)
                sum += (value_of(types[0], ((uint8_t *)a.data)[row * depth + l]) -
                        value_of(types[0], ((uint8_t *)a_zero.data)[r])) *
                       (value_of(types[1], ((uint8_t *)b.data)[l * n + column]) -
                        value_of(types[1], ((uint8_t *)b_zero.data)[c]));
            sum = sum * get(&a_scale, r) * get(&b_scale, c) / get(&y_scale, 0) +
                  value_of(types[2], *(uint8_t *)y_zero.data);
            const double have = value_of(types[2], ((uint8_t *)test.outputs[0].data)[k]);
            ck_assert_msg(fabs(have - sum) <= nearest(types[2], sum) + 1e-5 * (1 + fabs(sum)),
                          "type %d times %d to %d: %g for %g", (int)types[0], (int)types[1], (int)types[2], have, sum);
        }
        fake_free(&test);
        tl_tensor *all[] = {&a, &b, &a_zero, &b_zero, &y_zero, &a_scale, &b_scale, &y_scale};
        for (size_t k = 0; k < 8; k++)
            free_tensor(all[k]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("float8_matmul");
    ADD_TEST(suite, float8);
    return run_suite(suite);
}
