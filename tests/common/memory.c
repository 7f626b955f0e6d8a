#include "common/memory.h"

#include <limits.h>
#include <stdlib.h>

counted_memory test_memory;
static long limit = LONG_MAX;
static bool only_one;

static void *count_alloc(void *user, size_t size, size_t alignment)
{
    (void)user;
    const bool refused = only_one ? test_memory.calls == limit : test_memory.calls >= limit;
    void *memory = NULL;
    test_memory.calls++;
    test_memory.refused += refused;
    test_memory.bytes += size;
    if (refused || posix_memalign(&memory, alignment < sizeof memory ? sizeof memory : alignment, size) != 0)
        return NULL;
    test_memory.live++;
    return memory;
}

static void count_free(void *user, void *memory)
{
    (void)user;
    test_memory.live--;
    free(memory);
}

const tl_allocator test_allocator = {count_alloc, count_free, NULL};

void refuse_after(long granted, bool once)
{
    test_memory.calls = test_memory.refused = 0;
    limit = granted;
    only_one = once;
}

void refuse_nothing(void)
{
    limit = LONG_MAX;
}
