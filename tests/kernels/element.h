/* Elements of every type, written independently of the kernels. */
#ifndef TLK_TEST_ELEMENT_H
#define TLK_TEST_ELEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/share.h"
#include "guard.h"
#include "kernels/types.h"

size_t element_size(tlk_type type);
double element_get(tlk_type type, const void *data, int64_t i);

/* Rounds x as coarsely as the type can hold; test data is made of numbers that every type holds exactly. */
void element_set(tlk_type type, void *data, int64_t i, double x);

/* Distance of a number of this size to the next one the type can hold. */
double element_ulp(tlk_type type, double x);

const char *element_name(tlk_type type);

/* What an element must be, and how far from it it may be. A reference is computed once for all instruction sets. */
typedef struct wanted {
    double value, allowed;
} wanted;

/* Room for n of them; free() it. */
wanted *new_wanted(int64_t n);
/* The first of n elements that is not as wanted; -1: all are. */
int64_t first_wrong(tlk_type type, const void *data, const wanted *want, int64_t n);

/* Numbers k/16 with |k| <= 32 from a generator with a seed of its own: the same on every machine. */
double random_number(uint32_t *state);
int64_t random_below(uint32_t *state, int64_t limit);
/* n of these numbers, between forbidden pages as in guard.h. */
guarded filled(tlk_type type, int64_t n, int before, uint32_t *state);

#endif
