/* Sizes that cannot be said: SIZE_MAX stands for "too large" and stays what it is. */
#ifndef TLK_CHECK_H
#define TLK_CHECK_H

#include <stddef.h>
#include <stdint.h>

static inline size_t tlk_size_mul(size_t a, size_t b)
{
    size_t product = 0;
    if (a == SIZE_MAX || b == SIZE_MAX || __builtin_mul_overflow(a, b, &product))
        return SIZE_MAX;
    return product;
}

static inline size_t tlk_size_add(size_t a, size_t b)
{
    size_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

static inline size_t tlk_size_round_up(size_t a, size_t multiple)
{
    const size_t sum = tlk_size_add(a, multiple - 1);
    return sum == SIZE_MAX ? SIZE_MAX : sum / multiple * multiple;
}

/* start + i * step, for lanes beyond the last output: there it may wrap, and its value does not matter. */
static inline int64_t tlk_wrapping_at(int64_t start, int64_t i, int64_t step)
{
    return (int64_t)((uint64_t)start + (uint64_t)i * (uint64_t)step);
}

#endif
