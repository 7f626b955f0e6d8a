/* Memory whose neighbours cannot be touched: whoever reads or writes one byte beyond it crashes. */
#ifndef TLK_TEST_GUARD_H
#define TLK_TEST_GUARD_H

#include <stddef.h>

typedef struct guarded {
    void *data; /* `size` bytes, filled with 0xff: NaN in every floating-point type */
    size_t size;
    void *map;
    size_t map_size;
} guarded;

/* The forbidden page begins right behind the data, or ends right before it. Ends the test when there is no memory. */
guarded guarded_alloc(size_t size, int before);
void guarded_free(guarded *memory);

#endif
