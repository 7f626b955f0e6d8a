/* An allocator that counts, and refuses when it is told to. For one thread. */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include "tapline/tapline.h"

typedef struct counted_memory {
    long live;    /* blocks that are out */
    long calls;   /* allocations, since the last refuse_after */
    long refused; /* of these */
    size_t bytes; /* asked for, ever */
} counted_memory;

extern counted_memory test_memory;
extern const tl_allocator test_allocator;

/* Grants so many allocations; refuses the next one alone, or all from there on. */
void refuse_after(long granted, bool once);
/* Grants whatever is asked for, as from the start. */
void refuse_nothing(void);

#endif
