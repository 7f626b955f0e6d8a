#include "base/base.h"

uint64_t tl_hash(uint64_t start, const void *bytes, size_t size)
{
    uint64_t hash = 14695981039346656037u ^ start * 0x9e3779b97f4a7c15u;
    for (size_t k = 0; k < size; k++)
        hash = (hash ^ ((const uint8_t *)bytes)[k]) * 1099511628211u;
    return hash ^ hash >> 32;
}
