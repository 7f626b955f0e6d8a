#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "base/base.h"

/* ---- The default allocator. Large blocks are maps of their own: a C library that keeps freed ones for later would
 * hold a sixth more than a model's weights. Under a sanitizer everything comes from the heap, where it can watch. */

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define OWN_MAP SIZE_MAX
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OWN_MAP SIZE_MAX
#endif
#endif
#ifndef OWN_MAP
#define OWN_MAP ((size_t)1 << 17)
#endif

#define HUGE_PAGE ((size_t)2 << 20)

/* Stands in front of each block. */
typedef struct block {
    void *base;
    size_t mapped; /* bytes of its own map; 0: from the heap; POOLED: base is a pool's map */
} block;

#define POOLED SIZE_MAX

/* A pool's map: unmapped when neither the pool nor any block is left. */
typedef struct pool_map {
    atomic_size_t holders;
    size_t size;
} pool_map;

static void release_map(pool_map *map)
{
    if (map && atomic_fetch_sub(&map->holders, 1) == 1)
        munmap(map, map->size);
}

static void *system_alloc(size_t size, size_t alignment)
{
    if (alignment < sizeof(block))
        alignment = sizeof(block);
    const size_t room = size + alignment;
    block head = {0};
    if (room >= OWN_MAP) {
        head.mapped = room;
        /* A block of packed weights is written whole, at once: its pages in one call rather than one by one. Larger
         * ones are read faster by huge pages, where the system has any. */
        bool huge = room >= HUGE_PAGE;
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | (huge ? 0 : MAP_POPULATE);
        head.base = mmap(NULL, head.mapped, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (head.base == MAP_FAILED)
            return NULL;
        if (huge)
            madvise(head.base, head.mapped, MADV_HUGEPAGE);
    } else {
        head.base = aligned_alloc(alignment, tl_align_up(room, alignment));
        if (!head.base)
            return NULL;
    }
    char *memory = (char *)head.base + alignment;
    memcpy(memory - sizeof head, &head, sizeof head);
    return memory;
}

static void system_free(void *memory)
{
    block head;
    memcpy(&head, (char *)memory - sizeof head, sizeof head);
    if (head.mapped == POOLED)
        release_map(head.base);
    else if (head.mapped)
        munmap(head.base, head.mapped);
    else
        free(head.base);
}

void *tl_memory_alloc(const tl_allocator *allocator, size_t size, size_t alignment)
{
    if (size == 0)
        size = 1;
    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    if (size > PTRDIFF_MAX / 2)
        return NULL; /* no object is that large, and sanitizers take asking for one amiss */
    if (allocator && allocator->alloc)
        return allocator->alloc(allocator->user, size, alignment);
    return system_alloc(size, alignment);
}

void tl_memory_free(const tl_allocator *allocator, void *memory)
{
    if (!memory)
        return;
    if (allocator && allocator->free)
        allocator->free(allocator->user, memory);
    else
        system_free(memory);
}

/* ---- Pools */

static _Thread_local tl_pool *current_pool;

void tl_pool_begin(tl_pool *pool, const tl_allocator *allocator, size_t expected)
{
    *pool = (tl_pool){.expected = expected};
    if (!(allocator && allocator->alloc) && expected >= HUGE_PAGE && OWN_MAP != SIZE_MAX)
        current_pool = pool;
}

void tl_pool_end(tl_pool *pool)
{
    release_map(pool->map);
    current_pool = NULL;
}

/* One map for all that is expected, from where a huge page may begin; smaller ones for what comes unexpected. */
static bool grow_pool(tl_pool *pool, size_t room)
{
    size_t size = pool->expected > room ? pool->expected : room > HUGE_PAGE / 2 ? room : HUGE_PAGE / 2;
    if (!tl_add_size(size, HUGE_PAGE + sizeof(pool_map), &size))
        return false;
    char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return false;
    madvise(base, size, MADV_HUGEPAGE);
    release_map(pool->map);
    pool->map = memset(base, 0, sizeof(pool_map));
    ((pool_map *)pool->map)->size = size;
    ((pool_map *)pool->map)->holders = 1;
    pool->next = (char *)tl_align_up((uintptr_t)base + sizeof(pool_map), HUGE_PAGE);
    pool->end = base + size;
    pool->expected = 0;
    return true;
}

void *tl_pool_take(size_t size, size_t alignment)
{
    tl_pool *pool = current_pool;
    size_t room;
    if (alignment < sizeof(block))
        alignment = sizeof(block);
    if (!pool || !tl_add_size(size, 2 * alignment, &room) ||
        ((size_t)(pool->end - pool->next) < room && !grow_pool(pool, room)))
        return NULL;
    const block head = {pool->map, POOLED};
    char *memory = (char *)tl_align_up((uintptr_t)pool->next + sizeof head, alignment);
    pool->next = memory + size;
    memcpy(memory - sizeof head, &head, sizeof head);
    ((pool_map *)pool->map)->holders++;
    return memory;
}

/* ---- Arenas */

struct tl_arena_chunk {
    tl_arena_chunk *next;
    size_t size; /* of data */
    size_t used;
    max_align_t data[];
};

void tl_arena_init(tl_arena *arena, const tl_allocator *allocator, size_t limit)
{
    *arena = (tl_arena){.allocator = allocator, .limit = limit};
}

void tl_arena_rewind(tl_arena *arena, const tl_arena *before)
{
    while (arena->chunks != before->chunks) {
        tl_arena_chunk *next = arena->chunks->next;
        tl_memory_free(arena->allocator, arena->chunks);
        arena->chunks = next;
    }
    arena->used = before->used;
}

void tl_arena_free(tl_arena *arena)
{
    tl_arena_rewind(arena, &(tl_arena){.chunks = NULL});
}

static void *take(tl_arena_chunk *chunk, size_t size, size_t alignment)
{
    uintptr_t base = (uintptr_t)chunk->data;
    size_t at = tl_align_up(base + chunk->used, alignment) - base;
    if (at > chunk->size || chunk->size - at < size)
        return NULL;
    chunk->used = at + size;
    return (char *)chunk->data + at;
}

void *tl_arena_alloc(tl_arena *arena, size_t count, size_t size, size_t alignment)
{
    size_t bytes, room, total;
    if (!tl_mul_size(count, size, &bytes) || !tl_add_size(bytes, alignment + sizeof(tl_arena_chunk), &room) ||
        !tl_add_size(arena->used, bytes, &total) || (arena->limit && total > arena->limit))
        return NULL;
    void *memory = arena->chunks ? take(arena->chunks, bytes, alignment) : NULL;
    if (!memory) {
        /* Chunks grow with the arena, so that a big model takes few of them and a small one little. */
        size_t wanted = arena->used / 2 < 4096 ? 4096 : arena->used / 2 > 1 << 20 ? 1 << 20 : arena->used / 2;
        if (room < wanted)
            room = wanted;
        tl_arena_chunk *chunk = tl_memory_alloc(arena->allocator, room, _Alignof(max_align_t));
        if (!chunk)
            return NULL;
        *chunk = (tl_arena_chunk){.next = arena->chunks, .size = room - sizeof *chunk};
        arena->chunks = chunk;
        memory = take(chunk, bytes, alignment);
    }
    arena->used = total;
    return memset(memory, 0, bytes);
}

char *tl_arena_bytes(tl_arena *arena, const char *data, size_t size)
{
    char *copy = size < SIZE_MAX ? tl_arena_alloc(arena, size + 1, 1, 1) : NULL;
    if (copy && size)
        memcpy(copy, data, size);
    return copy;
}

char *tl_arena_string(tl_arena *arena, const char *text)
{
    return tl_arena_bytes(arena, text, strlen(text));
}

char *tl_arena_format(tl_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = size >= 0 ? tl_arena_alloc(arena, (size_t)size + 1, 1, 1) : NULL;
    if (!text)
        return NULL;
    va_start(arguments, format);
    vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return text;
}

bool tl_arena_grow(tl_arena *arena, void **array, size_t count, size_t *capacity, size_t element_size)
{
    if (count < *capacity)
        return true;
    size_t wider = *capacity ? *capacity * 2 : 8;
    void *memory = tl_arena_alloc(arena, wider, element_size, _Alignof(max_align_t));
    if (!memory)
        return false;
    if (count)
        memcpy(memory, *array, count * element_size);
    *array = memory;
    *capacity = wider;
    return true;
}
