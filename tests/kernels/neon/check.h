/* As much of Check as the kernels' tests use, for a machine that is only emulated: in one process, and the first
 * failure ends it. */
#ifndef NEON_CHECK_H
#define NEON_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Suite {
    int tests;
} Suite;
typedef Suite TCase;
typedef Suite SRunner;
typedef struct TTest {
    const char *name;
    void (*run)(int i);
} TTest;
enum { CK_ENV };

#define START_TEST(name)                                  \
    static void name##_run(int _i);                       \
    static const TTest name##_test = {#name, name##_run}; \
    static const TTest *const name = &name##_test;        \
    static void name##_run(__attribute__((unused)) int _i)
#define END_TEST

static inline Suite *suite_create(const char *name)
{
    static Suite suite;
    printf("suite: %s\n", name);
    return &suite;
}
static inline TCase *tcase_create(const char *name)
{
    (void)name;
    return suite_create("aarch64");
}
static inline void tcase_add_loop_test(TCase *tests, const TTest *test, int begin, int end)
{
    for (int i = begin; i < end; i++, tests->tests++) {
        printf("%s, %d\n", test->name, i);
        fflush(stdout);
        test->run(i);
    }
}
#define tcase_add_test(tests, test)   tcase_add_loop_test(tests, test, 0, 1)
#define tcase_set_timeout(tests, s)   ((void)(tests))
#define suite_add_tcase(suite, tests) ((void)(tests))
#define srunner_create(suite)         (suite)
#define srunner_run_all(runner, how)  printf("%d tests passed\n", (runner)->tests)
#define srunner_ntests_failed(runner) ((runner)->tests > 0 ? 0 : 1)
#define srunner_free(runner)          ((void)(runner))

#define ck_abort_msg(...)                               \
    do {                                                \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
        fprintf(stderr, __VA_ARGS__);                   \
        fputc('\n', stderr);                            \
        exit(1);                                        \
    } while (0)
#define ck_assert_msg(condition, ...)  \
    do {                               \
        if (!(condition))              \
            ck_abort_msg(__VA_ARGS__); \
    } while (0)
#define ck_assert(condition)         ck_assert_msg(condition, "%s", #condition)
#define ck_assert_ptr_nonnull(p)     ck_assert((p) != NULL)
#define ck_assert_mem_eq(a, b, size) ck_assert(memcmp(a, b, size) == 0)
#define ck_assert_compare(a, op, b, type, format) \
    ck_assert_msg((type)(a)op(type)(b), "%s is %" format ", %s is %" format, #a, (type)(a), #b, (type)(b))
#define ck_assert_int_eq(a, b)    ck_assert_compare(a, ==, b, intmax_t, PRIdMAX)
#define ck_assert_uint_eq(a, b)   ck_assert_compare(a, ==, b, uintmax_t, PRIuMAX)
#define ck_assert_uint_lt(a, b)   ck_assert_compare(a, <, b, uintmax_t, PRIuMAX)
#define ck_assert_double_le(a, b) ck_assert_compare(a, <=, b, double, ".17g")
#define ck_assert_float_eq(a, b)  ck_assert_compare(a, ==, b, float, ".9g")

#endif
