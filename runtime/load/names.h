/* A map from names (any bytes) to pointers, in an arena. */
#ifndef TL_LOAD_NAMES_H
#define TL_LOAD_NAMES_H

#include "base/base.h"

typedef struct tl_names_entry {
    const char *key;
    size_t size;
    void *value;
} tl_names_entry;

/* All zero but for the arena: an empty map. */
typedef struct tl_names {
    tl_arena *arena;
    tl_names_entry *entries; /* capacity a power of two; key NULL: free */
    size_t count, capacity;
} tl_names;

/* The entry of a key, or NULL. */
tl_names_entry *tl_names_find(const tl_names *names, const char *key, size_t size);
/* Adds a key that is not there yet; it is not copied. False: memory refused. */
bool tl_names_add(tl_names *names, const char *key, size_t size, void *value);

#endif
