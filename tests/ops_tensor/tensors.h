/* What these tests share beyond ops_nn's support: whole elements compared byte by byte, coordinates, short cases. */
#ifndef TENSORS_H
#define TENSORS_H

#include <string.h>
#include "support.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Types with elements of 1, 2, 4, 8 and 16 bytes. */
extern const tl_type sized_types[5];
size_t element_size(tl_type type);

/* Random bytes; strings are different pieces of one text, bools are 0 or 1. */
tl_tensor random_bytes(tl_type type, int32_t rank, const int64_t *dims);
/* A list of int64, or one number as a scalar. Owned as all tensors here. */
tl_tensor int64_list(int64_t count, const int64_t *values);
tl_tensor int64_scalar(int64_t value);
tl_tensor float_list(int64_t count, const float *values);

/* Coordinates of element i, and the index of an element by coordinates. */
void coordinates(const tl_tensor *tensor, int64_t i, int64_t *at);
int64_t index_of(const tl_tensor *tensor, const int64_t *at);
/* Whether element i of a is element k of b; k < 0: all bytes 0 (an empty string). */
bool same_element(const tl_tensor *a, int64_t i, const tl_tensor *b, int64_t k);
/* Random dims in [low, high]. */
void random_dims(int32_t rank, int64_t low, int64_t high, int64_t *dims);

/* A case of op with these inputs (NULL: absent), all of them constants. */
fake_case new_case(const tl_operator *op, const fake_attribute *attributes, size_t attribute_count,
                   const tl_tensor *const *inputs, size_t input_count);
#define CASE(op, attributes, ...)                                                        \
    new_case(op, attributes, COUNT(attributes), (const tl_tensor *const[]){__VA_ARGS__}, \
             COUNT(((const tl_tensor *const[]){__VA_ARGS__})))
#define PLAIN_CASE(op, ...) \
    new_case(op, NULL, 0, (const tl_tensor *const[]){__VA_ARGS__}, COUNT(((const tl_tensor *const[]){__VA_ARGS__})))

#define OPERATOR(name, since) extern const tl_operator tl_op_##name##_##since

#endif
