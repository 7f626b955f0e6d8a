#include <stdio.h>
#include <stdlib.h>
#include "base/base.h"

void *tl_memory_alloc(const tl_allocator *allocator, size_t size, size_t alignment)
{
    if (size == 0)
        size = 1;
    if (alignment < sizeof(void *))
        alignment = sizeof(void *);
    if (allocator && allocator->alloc)
        return allocator->alloc(allocator->user, size, alignment);
    if (size > SIZE_MAX - alignment)
        return NULL;
    return aligned_alloc(alignment, tl_align_up(size, alignment));
}

void tl_memory_free(const tl_allocator *allocator, void *memory)
{
    if (!memory)
        return;
    if (allocator && allocator->free)
        allocator->free(allocator->user, memory);
    else
        free(memory);
}

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

void tl_arena_free(tl_arena *arena)
{
    while (arena->chunks) {
        tl_arena_chunk *next = arena->chunks->next;
        tl_memory_free(arena->allocator, arena->chunks);
        arena->chunks = next;
    }
    arena->used = 0;
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
