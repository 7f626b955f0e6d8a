#include "load/names.h"

/* The key's entry, or the free one where it belongs. The table is never full. */
static tl_names_entry *slot(const tl_names *names, const char *key, size_t size)
{
    size_t at = (size_t)tl_hash((uintptr_t)names->arena, key, size);
    for (;; at++) {
        tl_names_entry *entry = &names->entries[at & (names->capacity - 1)];
        if (!entry->key || (entry->size == size && memcmp(entry->key, key, size) == 0))
            return entry;
    }
}

tl_names_entry *tl_names_find(const tl_names *names, const char *key, size_t size)
{
    if (names->count == 0)
        return NULL;
    tl_names_entry *entry = slot(names, key, size);
    return entry->key ? entry : NULL;
}

static bool widen(tl_names *names)
{
    tl_names wider = {.arena = names->arena, .count = names->count};
    wider.capacity = names->capacity ? names->capacity * 4 : 16;
    wider.entries = TL_NEW(names->arena, tl_names_entry, wider.capacity);
    if (!wider.entries)
        return false;
    for (size_t k = 0; k < names->capacity; k++)
        if (names->entries[k].key)
            *slot(&wider, names->entries[k].key, names->entries[k].size) = names->entries[k];
    *names = wider;
    return true;
}

bool tl_names_add(tl_names *names, const char *key, size_t size, void *value)
{
    if (names->count * 2 >= names->capacity && !widen(names))
        return false;
    *slot(names, key, size) = (tl_names_entry){key, size, value};
    names->count++;
    return true;
}
