/* Tensors for the tests of operators: random or given elements, and their comparison with references in double. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/half.h"
#include "common/run.h"
#include "fake_host.h"

/* A small generator of its own, so that every machine tests the same numbers. */
uint32_t random_bits(void);
void random_seed(uint32_t seed);
int64_t random_int(int64_t low, int64_t high); /* both inclusive */
double random_real(void);                      /* in [-1, 1), exact in every floating type */

/* Tensors own their data, by malloc. random_tensor fills floats with random_real and integers with their small values.
 */
tl_tensor new_tensor(tl_type type, int32_t rank, const int64_t *dims);
tl_tensor random_tensor(tl_type type, int32_t rank, const int64_t *dims);
#define DIMS(...)                                                              \
    (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) \
    {                                                                          \
        __VA_ARGS__                                                            \
    }
void free_tensor(tl_tensor *tensor);
int64_t elements(const tl_tensor *tensor);
double get(const tl_tensor *tensor, int64_t i);
void set(tl_tensor *tensor, int64_t i, double value); /* rounds to nearest for half types */

/* Largest relative error that a type's results may have against a reference in double. */
double tolerance(tl_type type);
/* Fails the test unless |result - want| <= tolerance * (scale + |want|) for all elements (NaN equals NaN). */
void assert_near(const tl_tensor *result, const double *want, double scale, const char *what);
void assert_shape(const tl_tensor *result, int32_t rank, const int64_t *dims);

/* Runs and expects success. */
void run_ok(fake_case *test);
/* Runs and expects this status and, unless NULL, this text in the message. */
void run_fails(fake_case *test, tl_status status, const char *text);

#define ADD_TEST(suite, test)               \
    do {                                    \
        TCase *added = tcase_create(#test); \
        tcase_set_timeout(added, 120);      \
        tcase_add_test(added, test);        \
        suite_add_tcase(suite, added);      \
    } while (0)

#endif
