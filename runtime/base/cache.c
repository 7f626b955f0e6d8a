#include "base/base.h"

#ifdef __x86_64__
#include <cpuid.h>

/* The processor's own description: leaf 4, Intel's, which AMD has as 0x8000001d; one cache in each subleaf, until the
 * type is 0. The C library's sysconf() knows only some processors, and of others makes up sizes. */
size_t tl_last_cache_bytes(void)
{
    enum { MOST_CACHES = 8 };
    static const unsigned leaves[] = {0x8000001d, 4};
    size_t largest = 0;
    for (size_t l = 0; l < TL_COUNT(leaves) && !largest; l++)
        for (unsigned k = 0; k < MOST_CACHES; k++) {
            unsigned type, line, sets, rest;
            if (!__get_cpuid_count(leaves[l], k, &type, &line, &sets, &rest) || (type & 31) == 0)
                break;
            size_t ways = (line >> 22) + 1, partitions = (line >> 12 & 1023) + 1, bytes = (line & 4095) + 1;
            size_t size = ways * partitions * bytes * ((size_t)sets + 1);
            largest = size > largest ? size : largest;
        }
    return largest;
}
#else
size_t tl_last_cache_bytes(void)
{
    return 0;
}
#endif
