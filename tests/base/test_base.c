/* What everything stands on: memory, arenas, sizes, errors. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/run.h"
#include "base/base.h"

/* Small blocks come from the heap, large ones are maps of their own: both are aligned, whole, and given back. */
START_TEST(blocks_of_any_size_and_alignment)
{
    const size_t sizes[] = {0, 1, 63, 4096, (1 << 17) - 64, 1 << 17, (1 << 22) - 4096, (5 << 20) + 3};
    for (size_t s = 0; s < TL_COUNT(sizes); s++) {
        for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
            unsigned char *block = tl_memory_alloc(NULL, sizes[s], alignment);
            ck_assert_ptr_nonnull(block);
            ck_assert_uint_eq((uintptr_t)block % alignment, 0);
            memset(block, 0xa5, sizes[s]);
            tl_memory_free(NULL, block);
        }
    }
    tl_memory_free(NULL, NULL);
}
END_TEST

START_TEST(sizes_that_overflow_are_refused)
{
    for (size_t less = 0; less < 10000; less += 7)
        for (size_t alignment = 1; alignment <= 4096; alignment *= 8)
            ck_assert_ptr_null(tl_memory_alloc(NULL, SIZE_MAX - less, alignment));

    tl_arena arena;
    tl_arena_init(&arena, NULL, 0);
    ck_assert_ptr_null(tl_arena_alloc(&arena, SIZE_MAX / 2, 3, 1));
    ck_assert_ptr_null(tl_arena_alloc(&arena, SIZE_MAX, 1, 64));
    ck_assert_ptr_nonnull(tl_arena_alloc(&arena, 1, 1, 1));
    tl_arena_free(&arena);
}
END_TEST

START_TEST(an_arena_is_zeroed_aligned_and_limited)
{
    tl_arena arena;
    tl_arena_init(&arena, NULL, 100000);
    size_t given = 0;
    for (size_t k = 1; given + k <= 100000; given += k++) {
        size_t alignment = (size_t)1 << k % 7;
        unsigned char *memory = tl_arena_alloc(&arena, k, 1, alignment);
        ck_assert_ptr_nonnull(memory);
        ck_assert_uint_eq((uintptr_t)memory % alignment, 0);
        for (size_t i = 0; i < k; i++)
            ck_assert_uint_eq(memory[i], 0);
        memset(memory, 0xff, k);
    }
    ck_assert_uint_eq(arena.used, given);
    ck_assert_ptr_null(tl_arena_alloc(&arena, 100001 - given, 1, 1));
    tl_arena_free(&arena);
    ck_assert_uint_eq(arena.used, 0);
    ck_assert_ptr_nonnull(tl_arena_alloc(&arena, 100000, 1, 1));
    tl_arena_free(&arena);
}
END_TEST

START_TEST(bytes_of_every_element_type)
{
    ck_assert_int_eq(tl_type_bytes(TL_FLOAT, 3), 12);
    ck_assert_int_eq(tl_type_bytes(TL_INT4, 3), 2);
    ck_assert_int_eq(tl_type_bytes(TL_UINT2, 5), 2);
    ck_assert_int_eq(tl_type_bytes(TL_FLOAT, 0), 0);
    for (int type = 1; type < TL_TYPE_COUNT; type++)
        ck_assert_int_eq(tl_type_bytes((tl_type)type, 0), 0);
    ck_assert_int_eq(tl_type_bytes(TL_DOUBLE, INT64_MAX / 4), -1);
    ck_assert_int_eq(tl_type_bytes(TL_FLOAT6E2M3, 5), 5);
    ck_assert_int_eq(tl_stored_bytes(TL_FLOAT6E3M2, 5), 4);
    ck_assert_int_eq(tl_stored_bytes(TL_FLOAT6E3M2, INT64_MAX), INT64_MAX / 4 * 3 + 3);
    ck_assert_int_eq(tl_stored_bytes(TL_FLOAT6E3M2, -1), -1);
    ck_assert_int_eq(tl_stored_bytes(TL_INT4, 5), 3);
}
END_TEST

/* Bit by bit: bit k of element i is bit 6i + k of the file. */
START_TEST(six_bits_are_packed)
{
    uint8_t elements[64 + 13], back[sizeof elements], packed[sizeof elements];
    for (size_t i = 0; i < sizeof elements; i++)
        elements[i] = (uint8_t)(i * 29 % 64);
    for (int64_t n = 0; n <= (int64_t)sizeof elements; n++) {
        const int64_t bytes = tl_stored_bytes(TL_FLOAT6E2M3, n);
        ck_assert_int_eq(bytes, (6 * n + 7) / 8);
        memset(packed, 0xa5, sizeof packed);
        memset(back, 0xa5, sizeof back);
        tl_pack_six(elements, n, packed);
        for (int64_t bit = 0; bit < 8 * bytes; bit++)
            ck_assert_int_eq(packed[bit / 8] >> bit % 8 & 1, bit < 6 * n ? elements[bit / 6] >> bit % 6 & 1 : 0);
        tl_unpack_six(packed, n, back);
        ck_assert(memcmp(back, elements, (size_t)n) == 0);
        for (int64_t i = n; i < (int64_t)sizeof back; i++) /* not beyond the end */
            ck_assert(back[i] == 0xa5 && (i < bytes || packed[i] == 0xa5));
    }
}
END_TEST

START_TEST(a_message_is_one_line_and_cut)
{
    tl_error error;
    ck_assert_int_eq(tl_error_set(NULL, TL_NO_MEMORY, "nobody listens"), TL_NO_MEMORY);
    char huge[4000];
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    ck_assert_int_eq(tl_error_set(&error, TL_INVALID_MODEL, "%s", huge), TL_INVALID_MODEL);
    ck_assert_uint_lt(strlen(error.message), sizeof error.message);
    tl_error_prefix(&error, "file '%s'", "model.onnx");
    ck_assert_ptr_nonnull(strstr(error.message, "model.onnx"));
    ck_assert_uint_lt(strlen(error.message), sizeof error.message);
}
END_TEST

/* What it is differs from machine to machine; valgrind invents one. */
START_TEST(the_last_cache_is_none_or_one_that_is_built)
{
    const size_t bytes = tl_last_cache_bytes();
    ck_assert(bytes == 0 || (bytes >= (size_t)1 << 14 && bytes <= (size_t)1 << 34));
    ck_assert_uint_eq(tl_last_cache_bytes(), bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, blocks_of_any_size_and_alignment);
    tcase_add_test(tests, sizes_that_overflow_are_refused);
    tcase_add_test(tests, an_arena_is_zeroed_aligned_and_limited);
    tcase_add_test(tests, bytes_of_every_element_type);
    tcase_add_test(tests, six_bits_are_packed);
    tcase_add_test(tests, a_message_is_one_line_and_cut);
    tcase_add_test(tests, the_last_cache_is_none_or_one_that_is_built);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
