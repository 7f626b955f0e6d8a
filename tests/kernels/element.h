/* Elements of every type, written independently of the kernels. */
#ifndef TLK_TEST_ELEMENT_H
#define TLK_TEST_ELEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "guard.h"
#include "kernels/types.h"

/* Of the random shapes that a test tries, one in so many: those who look at each access take their time. */
#ifndef TEST_SHARE
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define TEST_SHARE 3
#else
#define TEST_SHARE 1
#endif
#endif

size_t element_size(tlk_type type);
double element_get(tlk_type type, const void *data, int64_t i);

/* Rounds x as coarsely as the type can hold; test data is made of numbers that every type holds exactly. */
void element_set(tlk_type type, void *data, int64_t i, double x);

/* Distance of a number of this size to the next one the type can hold. */
double element_ulp(tlk_type type, double x);

const char *element_name(tlk_type type);

/* Numbers k/16 with |k| <= 32 from a generator with a seed of its own: the same on every machine. */
double random_number(uint32_t *state);
int64_t random_below(uint32_t *state, int64_t limit);
/* n of these numbers, between forbidden pages as in guard.h. */
guarded filled(tlk_type type, int64_t n, int before, uint32_t *state);

#endif
