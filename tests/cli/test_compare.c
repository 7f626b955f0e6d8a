/* Elements of every type, and comparing them. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include "common/run.h"
#include "compare.h"
#include "element.h"

static uint16_t half(double value, tl_type type)
{
    uint16_t bits = 0;
    cli_element_set_real(type, &bits, 0, value);
    return bits;
}

START_TEST(halves_go_round)
{
    static const tl_type types[] = {TL_FLOAT16, TL_BFLOAT16};
    for (size_t k = 0; k < TL_COUNT(types); k++)
        for (uint32_t bits = 0; bits < 65536; bits++) {
            uint16_t code = (uint16_t)bits;
            double value = cli_element_real(types[k], &code, 0);
            if (isnan(value))
                ck_assert(isnan(cli_element_real(types[k], &(uint16_t){half(value, types[k])}, 0)));
            else
                ck_assert_uint_eq(half(value, types[k]), code);
        }
}
END_TEST

START_TEST(halves_round_to_even)
{
    ck_assert_uint_eq(half(1, TL_FLOAT16), 0x3c00);
    ck_assert_uint_eq(half(1 + 0x1p-11, TL_FLOAT16), 0x3c00);     /* a tie */
    ck_assert_uint_eq(half(1 + 3 * 0x1p-11, TL_FLOAT16), 0x3c02); /* a tie */
    ck_assert_uint_eq(half(1 + 0x1.01p-11, TL_FLOAT16), 0x3c01);
    ck_assert_uint_eq(half(65504, TL_FLOAT16), 0x7bff);
    ck_assert_uint_eq(half(65519.9, TL_FLOAT16), 0x7bff);
    ck_assert_uint_eq(half(65520, TL_FLOAT16), 0x7c00);
    ck_assert_uint_eq(half(-1e300, TL_FLOAT16), 0xfc00);
    ck_assert_uint_eq(half(0x1p-24, TL_FLOAT16), 1);
    ck_assert_uint_eq(half(0x1p-25, TL_FLOAT16), 0);
    ck_assert_uint_eq(half(-0.0, TL_FLOAT16), 0x8000);
    ck_assert_uint_eq(half(1, TL_BFLOAT16), 0x3f80);
}
END_TEST

/* Values by the OCP 8-bit and microscaling formats and the standard's FNUZ ones. */
START_TEST(small_floats)
{
    static const struct {
        tl_type type;
        uint8_t code;
        double value;
    } known[] = {
        {TL_FLOAT8E4M3FN, 0x7e, 448},     {TL_FLOAT8E4M3FN, 0x7f, NAN},   {TL_FLOAT8E4M3FN, 0x01, 0x1p-9},
        {TL_FLOAT8E4M3FN, 0xb8, -1},      {TL_FLOAT8E4M3FNUZ, 0x7f, 240}, {TL_FLOAT8E4M3FNUZ, 0x80, NAN},
        {TL_FLOAT8E4M3FNUZ, 0x40, 1},     {TL_FLOAT8E5M2, 0x7b, 57344},   {TL_FLOAT8E5M2, 0x7c, INFINITY},
        {TL_FLOAT8E5M2, 0xfc, -INFINITY}, {TL_FLOAT8E5M2, 0x7d, NAN},     {TL_FLOAT8E5M2, 0x3c, 1},
        {TL_FLOAT8E5M2FNUZ, 0x7f, 57344}, {TL_FLOAT8E5M2FNUZ, 0x80, NAN}, {TL_FLOAT8E5M2FNUZ, 0x40, 1},
        {TL_FLOAT8E8M0, 127, 1},          {TL_FLOAT8E8M0, 0, 0x1p-127},   {TL_FLOAT8E8M0, 255, NAN},
        {TL_FLOAT4E2M1, 0x07, 6},         {TL_FLOAT4E2M1, 0x01, 0.5},     {TL_FLOAT4E2M1, 0x0f, -6},
        {TL_FLOAT4E2M1, 0x02, 1},         {TL_FLOAT6E2M3, 0x1f, 7.5},     {TL_FLOAT6E2M3, 0x21, -0.125},
        {TL_FLOAT6E2M3, 0x08, 1},         {TL_FLOAT6E3M2, 0x3f, -28},     {TL_FLOAT6E3M2, 0x01, 0.0625},
        {TL_FLOAT6E3M2, 0x0c, 1},
    };
    for (size_t k = 0; k < TL_COUNT(known); k++) {
        double value = cli_element_real(known[k].type, &known[k].code, 0);
        ck_assert_msg(isnan(known[k].value) ? isnan(value) : value == known[k].value, "%s %#x: %g",
                      tl_type_name(known[k].type), known[k].code, value);
    }
}
END_TEST

START_TEST(packed_integers)
{
    uint8_t data[2] = {0xf8, 0x01};
    ck_assert_int_eq(cli_element_signed(TL_INT4, data, 0), -8);
    ck_assert_int_eq(cli_element_signed(TL_INT4, data, 1), -1);
    ck_assert_uint_eq(cli_element_bits(TL_UINT4, data, 1), 15);
    ck_assert_int_eq(cli_element_signed(TL_INT4, data, 2), 1);
    ck_assert_int_eq(cli_element_signed(TL_INT2, data, 3), -1);
    cli_element_set_bits(TL_UINT2, data, 5, 3);
    ck_assert_uint_eq(data[1], 0x0d);
    int64_t wide = INT64_MIN;
    ck_assert_int_eq(cli_element_signed(TL_INT64, &wide, 0), INT64_MIN);
}
END_TEST

START_TEST(distance_in_ulps)
{
    float a[] = {1, 1, -0.0F, -0x1p-149F, NAN, INFINITY}, b[] = {1, 0x1.000004p0F, 0.0F, 0x1p-149F, 1, 0x1.fffffep127F};
    static const uint64_t expected[] = {0, 2, 0, 2, UINT64_MAX, 1};
    for (int64_t i = 0; i < 6; i++)
        ck_assert_uint_eq(cli_element_ulps(TL_FLOAT, a, b, i), expected[i]);
    ck_assert_uint_eq(cli_element_ulps(TL_INT8, a, b, 0), UINT64_MAX);
}
END_TEST

START_TEST(text_of_elements)
{
    char text[32];
    float third = 1.0F / 3;
    ck_assert_str_eq(cli_element_text(TL_FLOAT, &third, 0, false, text, sizeof text), "0.333333");
    ck_assert_str_eq(cli_element_text(TL_FLOAT, &third, 0, true, text, sizeof text), "0.333333343");
    float none = -NAN;
    ck_assert_str_eq(cli_element_text(TL_FLOAT, &none, 0, true, text, sizeof text), "nan");
    uint64_t large = UINT64_MAX;
    ck_assert_str_eq(cli_element_text(TL_UINT64, &large, 0, true, text, sizeof text), "18446744073709551615");
    ck_assert_str_eq(cli_element_text(TL_BOOL, &large, 0, true, text, sizeof text), "true");
    float complex[2] = {1, -2};
    ck_assert_str_eq(cli_element_text(TL_COMPLEX64, complex, 0, false, text, sizeof text), "1-2i");
    tl_string string = {"a\"\n\0b", 5};
    ck_assert_str_eq(cli_element_text(TL_STRING, &string, 0, false, text, sizeof text), "\"a\\\"\\x0a\\x00b\"");
    string = (tl_string){"0123456789012345678901234567890123456789", 40};
    ck_assert_str_eq(cli_element_text(TL_STRING, &string, 0, false, text, sizeof text),
                     "\"012345678901234567890123...\"");
}
END_TEST

START_TEST(random_elements)
{
    union {
        uint8_t bytes[1600];
        double align;
    } data, again;
    for (int t = 1; t < TL_TYPE_COUNT; t++) {
        tl_type type = (tl_type)t;
        cli_random random = {7}, same = {7};
        memset(&data, 0, sizeof data);
        memset(&again, 0, sizeof again);
        cli_random_fill(&random, type, data.bytes, 100);
        cli_random_fill(&same, type, again.bytes, 100);
        bool zero = true;
        for (int64_t i = 0; i < 100; i++) {
            if (cli_type_class(type) == CLI_CLASS_FLOAT)
                ck_assert(fabs(cli_element_real(type, data.bytes, i)) <= 1);
            else if (cli_type_class(type) == CLI_CLASS_BOOL)
                ck_assert_uint_le(data.bytes[i], 1);
            if (type != TL_COMPLEX128 && type != TL_STRING)
                zero &= cli_element_bits(type, data.bytes, i) == 0;
        }
        ck_assert(!zero || type == TL_COMPLEX128 || type == TL_STRING);
        ck_assert_mem_eq(data.bytes, again.bytes, sizeof data);
    }
}
END_TEST

/* ---- Comparing */

static char reason[1024];

static bool agree(tl_type type, const void *expected, const void *got, int64_t count, double rtol, double atol)
{
    tl_tensor a = {.data = (void *)(uintptr_t)expected, .type = type, .rank = 1, .dims = {count}}, b = a;
    b.data = (void *)(uintptr_t)got;
    return cli_compare_tensors(&a, &b, (cli_tolerance){rtol, atol}, reason, sizeof reason);
}

START_TEST(floats_by_tolerance)
{
    float a[] = {1, 2, NAN, INFINITY, 0}, b[] = {1.0009F, 2, NAN, INFINITY, 1e-8F};
    ck_assert(agree(TL_FLOAT, a, b, 5, 1e-3, 1e-7));
    b[4] = 2e-7F;
    ck_assert(!agree(TL_FLOAT, a, b, 5, 1e-3, 1e-7));
    ck_assert_ptr_nonnull(strstr(reason, "1 of 5 elements differ, the first at [4]: expected 0, got 2"));
    ck_assert_ptr_nonnull(strstr(reason, "ulps"));
    b[4] = 0;
    b[3] = -INFINITY;
    ck_assert(!agree(TL_FLOAT, a, b, 5, 1e30, 1e30));
    b[3] = 3e38F; /* an infinity is not near anything */
    ck_assert(!agree(TL_FLOAT, a, b, 5, 1e30, 1e30));
    b[3] = INFINITY;
    b[2] = 1;
    ck_assert(!agree(TL_FLOAT, a, b, 5, 1e30, 1e30));
    ck_assert_ptr_nonnull(strstr(reason, "at [2]: expected nan, got 1"));
    b[2] = NAN;
    b[1] = NAN;
    ck_assert(!agree(TL_FLOAT, a, b, 5, 1e30, 1e30));
}
END_TEST

START_TEST(halves_by_their_rounding)
{
    uint16_t a[] = {0x3c00}, b[] = {0x3c01};
    ck_assert(agree(TL_FLOAT16, a, b, 1, 0, 0)); /* one unit of the last place */
    b[0] = 0x3c02;
    ck_assert(!agree(TL_FLOAT16, a, b, 1, 0, 0));
    a[0] = 0x3f80;
    b[0] = 0x3f82;
    ck_assert(agree(TL_BFLOAT16, a, b, 1, 0, 0));
    b[0] = 0x3f83;
    ck_assert(!agree(TL_BFLOAT16, a, b, 1, 0, 0));
    ck_assert_ptr_nonnull(strstr(reason, "(3 ulps)"));
}
END_TEST

START_TEST(the_rest_exactly)
{
    int64_t a = INT64_C(1) << 60, b = a + 1;
    ck_assert(agree(TL_INT64, &a, &a, 1, 0, 0));
    ck_assert(!agree(TL_INT64, &a, &b, 1, 1, 1));
    ck_assert_ptr_nonnull(strstr(reason, "expected 1152921504606846976, got 1152921504606846977"));
    uint8_t e = 0x38, f = 0x39, nan = 0x7f, other_nan = 0xff;
    ck_assert(!agree(TL_FLOAT8E4M3FN, &e, &f, 1, 1, 1));
    ck_assert(agree(TL_FLOAT8E4M3FN, &nan, &other_nan, 1, 0, 0));
    uint8_t four = 0xa1, padded = 0xb1; /* the second half of the byte is no element */
    ck_assert(agree(TL_INT4, &four, &padded, 1, 0, 0));
    ck_assert(!agree(TL_INT4, &four, &padded, 2, 0, 0));
    tl_string s[] = {{"ab\0c", 4}, {NULL, 0}}, t[] = {{"ab\0d", 4}, {"", 0}};
    ck_assert(!agree(TL_STRING, s, t, 2, 1, 1));
    ck_assert_ptr_nonnull(strstr(reason, "expected \"ab\\x00c\", got \"ab\\x00d\""));
    ck_assert(agree(TL_STRING, s + 1, t + 1, 1, 0, 0));
}
END_TEST

START_TEST(complex_by_distance)
{
    double a[] = {1000, 0}, b[] = {1000, 0.9};
    ck_assert(agree(TL_COMPLEX128, a, b, 1, 1e-3, 0));
    b[1] = 1.1;
    ck_assert(!agree(TL_COMPLEX128, a, b, 1, 1e-3, 0));
    double c[] = {NAN, 1}, d[] = {NAN, 1};
    ck_assert(agree(TL_COMPLEX128, c, d, 1, 0, 0));
}
END_TEST

START_TEST(type_and_shape_always)
{
    float data[6] = {0};
    tl_tensor a = {.data = data, .type = TL_FLOAT, .rank = 2, .dims = {2, 3}}, b = a;
    b.dims[0] = 3;
    b.dims[1] = 2;
    ck_assert(!cli_compare_tensors(&a, &b, CLI_TOLERANCE_DEFAULT, reason, sizeof reason));
    ck_assert_str_eq(reason, "expected float[2,3], got float[3,2]");
    b = a;
    b.type = TL_INT32;
    ck_assert(!cli_compare_tensors(&a, &b, CLI_TOLERANCE_DEFAULT, reason, sizeof reason));
    b = a;
    b.rank = 1;
    ck_assert(!cli_compare_tensors(&a, &b, CLI_TOLERANCE_DEFAULT, reason, sizeof reason));
    a.dims[0] = 0;
    b = a;
    a.data = b.data = NULL;
    ck_assert(cli_compare_tensors(&a, &b, CLI_TOLERANCE_DEFAULT, reason, sizeof reason));
}
END_TEST

START_TEST(index_of_the_first)
{
    float a[24] = {0}, b[24] = {0};
    b[17] = 1;
    b[20] = 2;
    tl_tensor x = {.data = a, .type = TL_FLOAT, .rank = 3, .dims = {2, 3, 4}}, y = x;
    y.data = b;
    ck_assert(!cli_compare_tensors(&x, &y, CLI_TOLERANCE_DEFAULT, reason, sizeof reason));
    ck_assert_ptr_nonnull(strstr(reason, "2 of 24 elements differ, the first at [1,1,1]: expected 0, got 1"));
    ck_assert_ptr_nonnull(strstr(reason, "largest difference 2"));
    ck_assert_ptr_null(strchr(reason, '\n'));
}
END_TEST

START_TEST(sequences)
{
    float one = 1, two = 2;
    tl_file_value items[2] = {{.kind = TL_KIND_TENSOR, .name = "", .tensor = {.data = &one, .type = TL_FLOAT}},
                              {.kind = TL_KIND_TENSOR, .name = "", .tensor = {.data = &one, .type = TL_FLOAT}}};
    tl_file_value others[2] = {items[0], items[1]};
    tl_file_value a = {.kind = TL_KIND_SEQUENCE, .name = "", .count = 2, .elements = items}, b = a;
    b.elements = others;
    ck_assert(cli_compare_values(&a, &b, CLI_TOLERANCE_DEFAULT, reason, sizeof reason));
    others[1].tensor.data = &two;
    ck_assert(!cli_compare_values(&a, &b, CLI_TOLERANCE_DEFAULT, reason, sizeof reason));
    ck_assert_ptr_nonnull(strstr(reason, "element 1: 1 of 1 elements differ"));
    b.count = 1;
    ck_assert(!cli_compare_values(&a, &b, CLI_TOLERANCE_DEFAULT, reason, sizeof reason));
    ck_assert_str_eq(reason, "expected sequence of 2, got sequence of 1");
    ck_assert(!cli_compare_values(&a, &items[0], CLI_TOLERANCE_DEFAULT, reason, sizeof reason));
    ck_assert_str_eq(reason, "expected sequence of 2, got float[]");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compare");
    TCase *tests = tcase_create("compare");
    tcase_add_test(tests, halves_go_round);
    tcase_add_test(tests, halves_round_to_even);
    tcase_add_test(tests, small_floats);
    tcase_add_test(tests, packed_integers);
    tcase_add_test(tests, distance_in_ulps);
    tcase_add_test(tests, text_of_elements);
    tcase_add_test(tests, random_elements);
    tcase_add_test(tests, floats_by_tolerance);
    tcase_add_test(tests, halves_by_their_rounding);
    tcase_add_test(tests, the_rest_exactly);
    tcase_add_test(tests, complex_by_distance);
    tcase_add_test(tests, type_and_shape_always);
    tcase_add_test(tests, index_of_the_first);
    tcase_add_test(tests, sequences);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
