/* Random numbers without a state: number i of a stream is a hash of (stream, i). */
#ifndef TL_RANDOM_H
#define TL_RANDOM_H

#include "onnx/op.h"

static inline uint64_t random_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The stream of a seed; without one, a stream that no call had before. In random.c. */
uint64_t random_stream(bool seeded, uint64_t seed);

/* Number i of a stream: 53 random bits as a double in [0, 1). */
static inline double random_uniform(uint64_t stream, uint64_t i)
{
    uint64_t bits = random_mix(stream + (i + 1) * 0x9e3779b97f4a7c15u);
    return (double)(bits >> 11) * 0x1p-53;
}

#endif
