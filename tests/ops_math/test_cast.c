/* Cast against rounding from first principles: every float8, every half, integers at their limits, text. */
#include <math.h>
#include <string.h>

#include "../ops_nn/support.h"
#include "onnx/cast.h"

extern const tl_operator tl_op_Cast_19, tl_op_Cast_24, tl_op_CastLike_19, tl_op_BitCast_26;

static void cast_to(fake_case *test, const tl_tensor *x, tl_type type, int64_t saturate)
{
    static fake_attribute attributes[2];
    attributes[0] = (fake_attribute)ATTR_I("to", type);
    attributes[1] = (fake_attribute)ATTR_I("saturate", saturate);
    *test = (fake_case){
        .op = &tl_op_Cast_19, .inputs = {x}, .input_count = 1, .attributes = attributes, .attribute_count = 2};
    run_ok(test);
    ck_assert_int_eq(test->outputs[0].type, type);
}

static const tl_type small_types[] = {TL_FLOAT8E4M3FN, TL_FLOAT8E4M3FNUZ, TL_FLOAT8E5M2, TL_FLOAT8E5M2FNUZ};

/* The values that the standard gives for a few patterns, so that the decoder itself is not taken on trust. */
START_TEST(known_patterns)
{
    static const struct {
        tl_type type;
        unsigned bits;
        double value;
    } known[] = {{TL_FLOAT8E4M3FN, 0x7e, 448},    {TL_FLOAT8E4M3FN, 0x01, 0x1p-9},  {TL_FLOAT8E4M3FN, 0x38, 1},
                 {TL_FLOAT8E4M3FN, 0xff, NAN},    {TL_FLOAT8E4M3FNUZ, 0x7f, 240},   {TL_FLOAT8E4M3FNUZ, 0x01, 0x1p-10},
                 {TL_FLOAT8E4M3FNUZ, 0x80, NAN},  {TL_FLOAT8E4M3FNUZ, 0x40, 1},     {TL_FLOAT8E5M2, 0x7b, 57344},
                 {TL_FLOAT8E5M2, 0x7c, INFINITY}, {TL_FLOAT8E5M2, 0xfc, -INFINITY}, {TL_FLOAT8E5M2, 0x7d, NAN},
                 {TL_FLOAT8E5M2, 0x01, 0x1p-16},  {TL_FLOAT8E5M2FNUZ, 0x7f, 57344}, {TL_FLOAT8E5M2FNUZ, 0x01, 0x1p-17},
                 {TL_FLOAT8E5M2FNUZ, 0x80, NAN},  {TL_FLOAT4E2M1, 0x7, 6},          {TL_FLOAT4E2M1, 0x1, 0.5},
                 {TL_FLOAT4E2M1, 0xb, -1.5},      {TL_FLOAT8E8M0, 127, 1},          {TL_FLOAT8E8M0, 0, 0x1p-127},
                 {TL_FLOAT8E8M0, 0xff, NAN},      {TL_FLOAT8E8M0, 0xfe, 0x1p127}};
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        const double have = (double)op_small_float(known[k].type, known[k].bits);
        ck_assert_msg(have == known[k].value || (isnan(have) && isnan(known[k].value)), "type %d, 0x%02x: %g",
                      known[k].type, known[k].bits, have);
    }
}
END_TEST

/* Nearest, ties to the even pattern: found by looking at all patterns. */
static unsigned nearest(tl_type type, unsigned patterns, double x)
{
    unsigned best = 0;
    double distance = INFINITY;
    for (unsigned bits = 0; bits < patterns / 2; bits++) {
        const double value = (double)op_small_float(type, bits);
        if (!isfinite(value))
            continue;
        const double d = fabs(value - fabs(x));
        if (d < distance || (d == distance && !(bits & 1))) {
            best = bits;
            distance = d;
        }
    }
    return best;
}

START_TEST(small_floats)
{
    random_seed(31);
    static const tl_type finite_types[] = {TL_FLOAT4E2M1, TL_FLOAT6E2M3, TL_FLOAT6E3M2};
    for (size_t t = 0; t < 7; t++) {
        const tl_type type = t < 4 ? small_types[t] : finite_types[t - 4];
        const unsigned patterns = t < 4 ? 256 : t == 4 ? 16 : 64, sign = patterns / 2;
        const bool unsigned_zero = type == TL_FLOAT8E4M3FNUZ || type == TL_FLOAT8E5M2FNUZ;
        for (unsigned bits = 0; bits < patterns; bits++) {
            const double value = (double)op_small_float(type, bits);
            if (!isnan(value) && !isinf(value))
                ck_assert_uint_eq(op_encode_small(type, value, true, OP_ROUND_UP), bits);
        }
        for (int i = 0; i < 20000; i++) {
            double x = ldexp(random_real(), (int)random_int(-24, 22));
            if (i % 2) /* near ties */
                x = ((double)op_small_float(type, (unsigned)random_int(0, (int64_t)sign - 3)) +
                     (double)op_small_float(type, (unsigned)random_int(0, (int64_t)sign - 3))) /
                    2;
            if (isnan(x) || isinf(x))
                continue;
            const unsigned magnitude = nearest(type, patterns, x);
            const unsigned want = magnitude == 0 && unsigned_zero ? 0 : magnitude | (signbit(x) ? sign : 0);
            ck_assert_msg(op_encode_small(type, x, true, OP_ROUND_UP) == want, "type %d: %.17g", type, x);
        }
        /* beyond the largest */
        const double huge = 1e30;
        ck_assert_double_eq((double)op_small_float(type, op_encode_small(type, huge, true, OP_ROUND_UP)),
                            (double)op_small_float(type, op_encode_small(type, INFINITY, true, OP_ROUND_UP)));
        if (t < 4) {
            const double over = (double)op_small_float(type, op_encode_small(type, -huge, false, OP_ROUND_UP));
            ck_assert(type == TL_FLOAT8E5M2 ? over == -INFINITY : isnan(over));
            ck_assert(isnan(op_small_float(type, op_encode_small(type, (double)NAN, true, OP_ROUND_UP))));
        }
    }
}
END_TEST

/* What ml_dtypes says of the patterns 0 to 31; those from 32 on are the same with a minus. */
static const struct six {
    tl_type type;
    double values[32];
} sixes[] = {
    {TL_FLOAT6E2M3, {0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875,
                     2, 2.25,  2.5,  2.75,  3,   3.25,  3.5,  3.75,  4, 4.5,   5,    5.5,   6,   6.5,   7,    7.5}},
    {TL_FLOAT6E3M2,
     {0, 0.0625, 0.125, 0.1875, 0.25, 0.3125, 0.375, 0.4375, 0.5, 0.625, 0.75, 0.875, 1,  1.25, 1.5, 1.75,
      2, 2.5,    3,     3.5,    4,    5,      6,     7,      8,   10,    12,   14,    16, 20,   24,  28}}};

/* Any value, saturated or not: these types have neither infinity nor NaN. */
static void encodes(tl_type type, double x, unsigned want)
{
    for (int saturate = 0; saturate < 2; saturate++) {
        const unsigned have = op_encode_small(type, x, saturate, OP_ROUND_UP);
        ck_assert_msg(have == want, "type %d: %.17g is 0x%02x, not 0x%02x", type, x, have, want);
    }
}

START_TEST(six_bits)
{
    for (size_t t = 0; t < 2; t++) {
        const tl_type type = sixes[t].type;
        const double *values = sixes[t].values, top = values[31], half_step = (top - values[30]) / 2;
        for (unsigned bits = 0; bits < 64; bits++) {
            const double want = bits < 32 ? values[bits] : -values[bits - 32];
            for (unsigned spare = 0; spare < 256; spare += 64) { /* two bits of the byte mean nothing */
                const double have = (double)op_small_float(type, bits | spare);
                ck_assert(have == want && !signbit(have) == !signbit(want));
            }
            encodes(type, want, bits);
        }
        for (unsigned bits = 0; bits < 31; bits++) { /* half way to the next: to the even one */
            const double tie = (values[bits] + values[bits + 1]) / 2, least = values[1] * 0x1p-30;
            encodes(type, tie, bits + (bits & 1));
            encodes(type, -tie, 32 | (bits + (bits & 1)));
            encodes(type, tie + least, bits + 1);
            encodes(type, tie - least, bits);
        }
        const double large[] = {top + half_step, top + half_step * 1.5, top * 2, 1e300, INFINITY};
        for (size_t k = 0; k < sizeof large / sizeof large[0]; k++) {
            encodes(type, large[k], 31);
            encodes(type, -large[k], 63);
        }
        ck_assert_double_eq((double)op_small_float(type, op_encode_small(type, (double)NAN, true, OP_ROUND_UP)), 0);
    }
}
END_TEST

/* By the operator, there and back by way of other types; 5000 elements are several pieces of its loop. */
START_TEST(six_bits_cast)
{
    static const tl_type others[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    static const int64_t n = 5000;
    for (size_t t = 0; t < 2; t++) {
        tl_tensor x = new_tensor(sixes[t].type, 1, &n);
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)x.data)[i] = (uint8_t)(i % 64);
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
            fake_case wide, back;
            cast_to(&wide, &x, others[k], 1);
            for (int64_t i = 0; i < n; i++)
                ck_assert(get(&wide.outputs[0], i) == sixes[t].values[i % 32] * (i % 64 < 32 ? 1 : -1));
            cast_to(&back, &wide.outputs[0], sixes[t].type, 0);
            ck_assert_mem_eq(back.outputs[0].data, x.data, (size_t)n);
            fake_free(&wide);
            fake_free(&back);
        }
        fake_case integers, other;
        cast_to(&integers, &x, TL_INT8, 1);
        for (int64_t i = 0; i < n; i++) /* towards 0 */
            ck_assert(get(&integers.outputs[0], i) == trunc(sixes[t].values[i % 32]) * (i % 64 < 32 ? 1 : -1));
        fake_free(&integers);
        cast_to(&other, &x, sixes[1 - t].type, 1);
        for (int64_t i = 0; i < n; i++)
            ck_assert_uint_eq(((const uint8_t *)other.outputs[0].data)[i],
                              op_encode_small(sixes[1 - t].type, (double)op_small_float(x.type, (unsigned)(i % 64)),
                                              true, OP_ROUND_UP));
        fake_free(&other);
        free_tensor(&x);
    }
    /* numbers that no float holds, and text */
    tl_tensor whole = new_tensor(TL_INT64, DIMS(3));
    memcpy(whole.data, (const int64_t[]){9, -11, INT64_MIN}, 24);
    fake_case test;
    cast_to(&test, &whole, TL_FLOAT6E3M2, 1);
    ck_assert_mem_eq(test.outputs[0].data, ((const uint8_t[]){0x18, 0x3a, 0x3f}), 3); /* ties: 8, -12; -28 */
    fake_free(&test);
    free_tensor(&whole);
    tl_string words[] = {{"-2.25", 5}, {"INF", 3}, {"0.06", 4}};
    tl_tensor text = {.data = words, .type = TL_STRING, .rank = 1, .dims = {3}};
    cast_to(&test, &text, TL_FLOAT6E2M3, 1);
    ck_assert_mem_eq(test.outputs[0].data, ((const uint8_t[]){0x31, 0x1f, 0}), 3);
    fake_free(&test);
}
END_TEST

START_TEST(exponents_only)
{
    static const struct {
        double x;
        unsigned up, down, nearest;
    } cases[] = {{1, 127, 127, 127},          {1.25, 128, 127, 127},     {1.5, 128, 127, 128},
                 {3, 129, 128, 129},          {0x1p-127, 0, 0, 0},       {0x1.8p-127, 1, 0, 1},
                 {0x1.fp127, 254, 254, 254},  {INFINITY, 254, 254, 254}, {0, 0, 0, 0},
                 {(double)NAN, 255, 255, 255}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        ck_assert_uint_eq(op_encode_small(TL_FLOAT8E8M0, cases[k].x, true, OP_ROUND_UP), cases[k].up);
        ck_assert_uint_eq(op_encode_small(TL_FLOAT8E8M0, cases[k].x, true, OP_ROUND_DOWN), cases[k].down);
        ck_assert_uint_eq(op_encode_small(TL_FLOAT8E8M0, cases[k].x, true, OP_ROUND_NEAREST), cases[k].nearest);
    }
    ck_assert_uint_eq(op_encode_small(TL_FLOAT8E8M0, 0, false, OP_ROUND_NEAREST), 255);
    ck_assert_uint_eq(op_encode_small(TL_FLOAT8E8M0, INFINITY, false, OP_ROUND_NEAREST), 255);
    ck_assert_uint_eq(op_encode_small(TL_FLOAT8E8M0, 0x1.fp127, false, OP_ROUND_NEAREST), 255);
}
END_TEST

/* double and int64 to halves round once: the cases where a stop at float would tip the tie. */
START_TEST(halves_round_once)
{
    static const double reals[] = {1 + 0x1p-11 + 0x1p-30,
                                   1 + 0x1p-11 - 0x1p-30,
                                   1 + 0x1p-11,
                                   1 + 0x1p-8 + 0x1p-40,
                                   1e-300,
                                   5e-8,
                                   0x1p-25,
                                   0x1.0000001p-25,
                                   -0.0,
                                   (double)INFINITY,
                                   (double)NAN,
                                   0x1.ff5p14,
                                   0x1.ff2p14,
                                   0x1.ff2000001p14,
                                   -0x1.ff1ffffffp14};
    const int64_t n = sizeof reals / sizeof reals[0];
    tl_tensor x = new_tensor(TL_DOUBLE, 1, &n);
    memcpy(x.data, reals, sizeof reals);
    for (int t = 0; t < 2; t++) {
        const tl_type type = t ? TL_BFLOAT16 : TL_FLOAT16;
        tl_tensor want = new_tensor(type, 1, &n);
        for (int64_t i = 0; i < n; i++)
            set(&want, i, reals[i]);
        fake_case test;
        cast_to(&test, &x, type, 1);
        for (int64_t i = 0; i < n; i++)
            ck_assert_msg(isnan(reals[i]) ? isnan(get(&test.outputs[0], i))
                                          : memcmp((const uint16_t *)test.outputs[0].data + i,
                                                   (const uint16_t *)want.data + i, 2) == 0,
                          "%.17g to type %d is %.9g", reals[i], type, get(&test.outputs[0], i));
        fake_free(&test);
        free_tensor(&want);
    }
    free_tensor(&x);
    /* what rounds to beyond the largest is infinite */
    tl_tensor large = new_tensor(TL_DOUBLE, DIMS(4));
    memcpy(large.data, (const double[]){65519.999999999, 65520, 1e300, -1e300}, 32);
    fake_case edge;
    cast_to(&edge, &large, TL_FLOAT16, 1);
    assert_near(&edge.outputs[0], (const double[]){65504, INFINITY, INFINITY, -INFINITY}, 0, "large float16");
    fake_free(&edge);
    free_tensor(&large);
    /* half way between two bfloat16 numbers, and just above: 2^60 + 2^52 and one more */
    tl_tensor whole = new_tensor(TL_INT64, DIMS(3));
    memcpy(whole.data,
           (const int64_t[]){(INT64_C(1) << 60) + (INT64_C(1) << 52), (INT64_C(1) << 60) + (INT64_C(1) << 52) + 1,
                             -(INT64_C(1) << 60) - (INT64_C(1) << 52) - 1},
           24);
    fake_case test;
    cast_to(&test, &whole, TL_BFLOAT16, 1);
    ck_assert(get(&test.outputs[0], 0) == 0x1p60);
    ck_assert(get(&test.outputs[0], 1) == 0x1.02p60);
    ck_assert(get(&test.outputs[0], 2) == -0x1.02p60);
    fake_free(&test);
    free_tensor(&whole);
}
END_TEST

START_TEST(between_numbers)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16, TL_INT8, TL_UINT8,
                                    TL_INT32, TL_UINT32, TL_INT64,   TL_UINT64,   TL_BOOL};
    random_seed(32);
    for (size_t a = 0; a < 11; a++)
        for (size_t b = 0; b < 11; b++)
            for (int64_t n = 0; n < 20000; n = n * 29 + 1) {
                tl_tensor x = new_tensor(types[a], 1, &n);
                for (int64_t i = 0; i < n; i++) /* whole numbers that all types hold */
                    set(&x, i, (double)random_int(0, types[a] == TL_BOOL ? 1 : 127));
                fake_case test;
                cast_to(&test, &x, types[b], 1);
                for (int64_t i = 0; i < n; i++)
                    ck_assert(get(&test.outputs[0], i) == (types[b] == TL_BOOL ? get(&x, i) != 0 : get(&x, i)));
                fake_free(&test);
                free_tensor(&x);
            }
}
END_TEST

/* A number that is out of range, anywhere in a block or none. */
START_TEST(floats_cut)
{
    static const tl_type types[] = {TL_INT8, TL_UINT8, TL_INT32, TL_UINT32, TL_INT64};
    static const float odd[] = {0x1p31F, -0x1p31F,         0x1.fffffep30F,  -0x1.000002p31F, 5e9F,  -5e9F,
                                1e30F,   (float)-INFINITY, (float)INFINITY, (float)NAN,      0.99F, -2.5F};
    enum { ODD = sizeof odd / sizeof odd[0], COUNT = 1100 };
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (int k = 0; k < ODD; k++)
            for (int64_t n = 1; n <= COUNT; n = n < 70 ? n + 1 : n + 343) {
                tl_tensor x = new_tensor(TL_FLOAT, 1, &n);
                float *values = x.data;
                for (int64_t i = 0; i < n; i++)
                    values[i] = (float)(i * 7 - 300) + 0.75F;
                values[n * 2 / 3] = odd[k];
                fake_case test;
                cast_to(&test, &x, types[t], 1);
                for (int64_t i = 0; i < n; i++) {
                    const double v = (double)values[i];
                    const int64_t whole = isnan(v) ? 0 : v >= 0x1p63 ? INT64_MAX : v < -0x1p63 ? INT64_MIN : (int64_t)v;
                    const double low_bits = types[t] == TL_INT8     ? (double)(int8_t)whole
                                            : types[t] == TL_UINT8  ? (double)(uint8_t)whole
                                            : types[t] == TL_INT32  ? (double)(int32_t)whole
                                            : types[t] == TL_UINT32 ? (double)(uint32_t)whole
                                                                    : (double)whole;
                    ck_assert(get(&test.outputs[0], i) == low_bits);
                }
                fake_free(&test);
                free_tensor(&x);
            }
}
END_TEST

START_TEST(integers)
{
    tl_tensor x = new_tensor(TL_INT64, DIMS(4));
    memcpy(x.data, (const int64_t[]){200, -1, INT64_MIN, INT64_C(0x123456789)}, 32);
    fake_case test;
    cast_to(&test, &x, TL_INT8, 1);
    ck_assert_mem_eq(test.outputs[0].data, ((const int8_t[]){-56, -1, 0, (int8_t)0x89}), 4);
    fake_free(&test);
    cast_to(&test, &x, TL_UINT32, 1);
    ck_assert_mem_eq(test.outputs[0].data, ((const uint32_t[]){200, UINT32_MAX, 0, 0x23456789}), 16);
    fake_free(&test);
    cast_to(&test, &x, TL_UINT64, 1);
    ck_assert_mem_eq(test.outputs[0].data, x.data, 32);
    fake_free(&test);
    cast_to(&test, &x, TL_INT4, 1);
    ck_assert_mem_eq(test.outputs[0].data, "\xf8\x90", 2);
    fake_free(&test);
    cast_to(&test, &x, TL_UINT2, 1);
    ck_assert_mem_eq(test.outputs[0].data, "\x4c", 1);
    fake_free(&test);
    free_tensor(&x);
    /* out of range is no undefined behaviour, and NaN is 0 */
    tl_tensor real = new_tensor(TL_DOUBLE, DIMS(5));
    memcpy(real.data, (const double[]){1e300, -1e300, (double)NAN, 2.9, -2.9}, 40);
    cast_to(&test, &real, TL_INT64, 1);
    ck_assert_mem_eq(test.outputs[0].data, ((const int64_t[]){INT64_MAX, INT64_MIN, 0, 2, -2}), 40);
    fake_free(&test);
    cast_to(&test, &real, TL_BOOL, 1);
    ck_assert_mem_eq(test.outputs[0].data, "\1\1\1\1\1", 5);
    fake_free(&test);
    free_tensor(&real);
}
END_TEST

/* All patterns of the packed types survive the way to int8 and back, whatever the count. */
START_TEST(packed)
{
    static const tl_type types[] = {TL_INT4, TL_UINT4, TL_INT2, TL_UINT2, TL_FLOAT4E2M1};
    for (size_t t = 0; t < 5; t++)
        for (int64_t n = 1; n < 2000; n = n * 3 + 1) {
            tl_tensor x = new_tensor(types[t], 1, &n);
            const size_t bytes = fake_bytes(&x);
            for (size_t i = 0; i < bytes; i++)
                ((uint8_t *)x.data)[i] = (uint8_t)random_bits();
            const unsigned per_byte = t == 2 || t == 3 ? 4 : 2, bits = 8 / per_byte;
            if (n % per_byte) /* what is behind the last element is 0 */
                ((uint8_t *)x.data)[bytes - 1] &= (uint8_t)((1U << (bits * (unsigned)(n % per_byte))) - 1);
            fake_case wide, back;
            cast_to(&wide, &x, t == 4 ? TL_FLOAT : TL_INT8, 1);
            cast_to(&back, &wide.outputs[0], types[t], 1);
            ck_assert_mem_eq(back.outputs[0].data, x.data, bytes);
            fake_free(&wide);
            fake_free(&back);
            free_tensor(&x);
        }
}
END_TEST

static void check_text(const char *text, bool valid, double real, uint64_t integer)
{
    double have = 0;
    uint64_t whole = 0;
    ck_assert_msg(op_text_number((tl_string){text, strlen(text)}, &have, &whole) == valid, "\"%s\"", text);
    if (!valid)
        return;
    ck_assert_msg(have == real || (isnan(have) && isnan(real)), "\"%s\" is %.17g", text, have);
    ck_assert_msg(whole == integer, "\"%s\" is %lld", text, (long long)whole);
}

START_TEST(text_to_numbers)
{
    check_text("3.14", true, 3.14, 3);
    check_text(" -2e3\n", true, -2000, (uint64_t)-2000);
    check_text("1E8", true, 1e8, 100000000);
    check_text("+INF", true, INFINITY, INT64_MAX);
    check_text("-inf", true, -INFINITY, (uint64_t)INT64_MIN);
    check_text("NaN", true, NAN, 0);
    check_text(".5", true, 0.5, 0);
    check_text("5.", true, 5, 5);
    check_text("-0", true, 0, 0);
    check_text("0000000000000000000000000000000000012.50", true, 12.5, 12);
    check_text("9223372036854775807", true, 0x1p63, INT64_MAX);
    check_text("18446744073709551615", true, 0x1p64, UINT64_MAX);
    check_text("-9223372036854775808", true, -0x1p63, (uint64_t)INT64_MIN);
    check_text("1e-400", true, 0, 0);
    check_text("1e99999999999999999999", true, INFINITY, UINT64_MAX);
    check_text("0.1000000000000000055511151231257827021181583404541015625", true, 0.1, 0);
    check_text("True", true, 1, 1);
    check_text("", false, 0, 0);
    check_text(" ", false, 0, 0);
    check_text("-", false, 0, 0);
    check_text(".", false, 0, 0);
    check_text("1e", false, 0, 0);
    check_text("1.2.3", false, 0, 0);
    check_text("12a", false, 0, 0);
    check_text("0x10", false, 0, 0);
    check_text("Hello World!", false, 0, 0);
    char digits[3000];
    memset(digits, '9', sizeof digits);
    digits[1] = '.';
    digits[sizeof digits - 1] = '\0';
    check_text(digits, true, 10, 10);
}
END_TEST

START_TEST(numbers_to_text)
{
    static const struct {
        tl_type type;
        double value;
        const char *text;
    } cases[] = {{TL_FLOAT, 3.14159274101257324, "3.1415927"},
                 {TL_FLOAT, 1, "1.0"},
                 {TL_FLOAT, -0.5, "-0.5"},
                 {TL_DOUBLE, 0.1, "0.1"},
                 {TL_DOUBLE, 1e22, "1e+22"},
                 {TL_DOUBLE, 1.5e-7, "1.5e-07"},
                 {TL_FLOAT16, 0.0999755859375, "0.1"},
                 {TL_FLOAT, 1e15, "1000000000000000.0"},
                 {TL_FLOAT, 123456, "123456.0"},
                 {TL_FLOAT, 0.0001, "0.0001"},
                 {TL_FLOAT, INFINITY, "INF"},
                 {TL_FLOAT, -INFINITY, "-INF"},
                 {TL_FLOAT, NAN, "NaN"},
                 {TL_INT64, -42, "-42"},
                 {TL_UINT8, 255, "255"},
                 {TL_BOOL, 1, "True"},
                 {TL_BFLOAT16, 3.140625, "3.14"}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        tl_tensor x = new_tensor(cases[k].type, DIMS(1));
        set(&x, 0, cases[k].value);
        char text[OP_TEXT_SIZE];
        const size_t size = op_number_text(cases[k].type, &x, 0, text);
        ck_assert_msg(size == strlen(cases[k].text) && memcmp(text, cases[k].text, size) == 0, "%s, not %.*s",
                      cases[k].text, (int)size, text);
        free_tensor(&x);
    }
}
END_TEST

/* Any double and float comes back from its text. */
START_TEST(text_round_trip)
{
    random_seed(33);
    for (int i = 0; i < 20000; i++) {
        tl_tensor x = new_tensor(i % 2 ? TL_DOUBLE : TL_FLOAT, DIMS(1));
        const uint32_t bits[2] = {random_bits(), random_bits()};
        memcpy(x.data, bits, fake_bytes(&x));
        char text[OP_TEXT_SIZE];
        const size_t size = op_number_text(x.type, &x, 0, text);
        ck_assert_uint_lt(size, OP_TEXT_SIZE);
        double real = 0;
        uint64_t whole = 0;
        ck_assert(op_text_number((tl_string){text, size}, &real, &whole));
        const double want = get(&x, 0);
        ck_assert((i % 2 ? real : (double)(float)real) == want || (isnan(real) && isnan(want)));
        free_tensor(&x);
    }
}
END_TEST

START_TEST(text_tensors)
{
    tl_string words[] = {{"1.5", 3}, {"-7", 2}, {"NaN", 3}};
    tl_tensor x = {.data = words, .type = TL_STRING, .rank = 1, .dims = {3}};
    fake_case test;
    cast_to(&test, &x, TL_FLOAT16, 1);
    assert_near(&test.outputs[0], (const double[]){1.5, -7, (double)NAN}, 0, "text to float16");
    fake_free(&test);
    cast_to(&test, &x, TL_INT32, 1);
    assert_near(&test.outputs[0], (const double[]){1, -7, 0}, 0, "text to int32");
    fake_free(&test);
    words[1] = (tl_string){"Hello", 5};
    test.outputs[0].data = NULL;
    const fake_attribute attributes[] = {ATTR_I("to", TL_FLOAT)};
    fake_case fails = {
        .op = &tl_op_Cast_19, .inputs = {&x}, .input_count = 1, .attributes = attributes, .attribute_count = 1};
    run_fails(&fails, TL_INVALID_INPUT, "\"Hello\"");
}
END_TEST

START_TEST(wrong_types)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(2));
    for (int64_t to = -3; to < 100; to++) {
        const fake_attribute attributes[] = {ATTR_I("to", to)};
        fake_case test = {
            .op = &tl_op_Cast_19, .inputs = {&x}, .input_count = 1, .attributes = attributes, .attribute_count = 1};
        if (to == TL_COMPLEX64 || to == TL_COMPLEX128 || to <= 0 || to >= TL_TYPE_COUNT)
            run_fails(&test, to > 0 && to <= 64 ? TL_UNSUPPORTED : TL_INVALID_MODEL, "no type to cast to");
        test.op = &tl_op_BitCast_26;
        if (to == TL_DOUBLE || to == TL_UINT8)
            run_fails(&test, TL_INVALID_MODEL, "32 bits");
        if (to == TL_STRING || to < 1)
            run_fails(&test, TL_INVALID_MODEL, "no type");
        if (to == TL_FLOAT6E2M3 || to == TL_FLOAT6E3M2) /* not a type of BitCast's */
            run_fails(&test, TL_UNSUPPORTED, "no type");
    }
    free_tensor(&x);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cast");
    ADD_TEST(suite, known_patterns);
    ADD_TEST(suite, small_floats);
    ADD_TEST(suite, six_bits);
    ADD_TEST(suite, six_bits_cast);
    ADD_TEST(suite, exponents_only);
    ADD_TEST(suite, halves_round_once);
    ADD_TEST(suite, between_numbers);
    ADD_TEST(suite, floats_cut);
    ADD_TEST(suite, integers);
    ADD_TEST(suite, packed);
    ADD_TEST(suite, text_to_numbers);
    ADD_TEST(suite, numbers_to_text);
    ADD_TEST(suite, text_round_trip);
    ADD_TEST(suite, text_tensors);
    ADD_TEST(suite, wrong_types);
    return run_suite(suite);
}
