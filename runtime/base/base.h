/* The ground everything stands on: errors, checked sizes, memory. */
#ifndef TL_BASE_H
#define TL_BASE_H

#include <stdarg.h>
#include <string.h>
#include "tapline/tapline.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Tapline reads and writes the little-endian layout of ONNX tensors in place"
#endif

#define TL_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TL_ALIGNMENT    64 /* of tensors in the arena, and of packed weights: one cache line, one AVX-512 register */

/* ---- Errors. `error` may be NULL everywhere. Each returns the status, so that callers write `return
 * tl_error_set(..)`. */

tl_status tl_error_set(tl_error *error, tl_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
tl_status tl_error_setv(tl_error *error, tl_status status, const char *format, va_list arguments);
/* Puts "text: " in front of the message that `error` holds. */
void tl_error_prefix(tl_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
tl_status tl_error_no_memory(tl_error *error);

/* ---- Checked sizes: false on overflow, and *result is then not to be used. */

static inline bool tl_mul(int64_t a, int64_t b, int64_t *result)
{
    return !__builtin_mul_overflow(a, b, result);
}
static inline bool tl_add(int64_t a, int64_t b, int64_t *result)
{
    return !__builtin_add_overflow(a, b, result);
}
static inline bool tl_mul_size(size_t a, size_t b, size_t *result)
{
    return !__builtin_mul_overflow(a, b, result);
}
static inline bool tl_add_size(size_t a, size_t b, size_t *result)
{
    return !__builtin_add_overflow(a, b, result);
}
static inline size_t tl_align_up(size_t size, size_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}
/* Bytes that `elements` of `type` take (sub-byte types are packed); -1 on overflow. */
int64_t tl_type_bytes(tl_type type, int64_t elements);
/* The types whose elements have a byte each in memory, in its low bits, and in files (TensorProto.raw_data, external
 * data) are packed: four in three bytes, the first in the lowest bits, the last byte filled up with zeros. */
static inline bool tl_is_six_bits(tl_type type)
{
    return type == TL_FLOAT6E2M3 || type == TL_FLOAT6E3M2;
}
/* Bytes that elements take in files: of all other types as many as in memory. */
int64_t tl_stored_bytes(tl_type type, int64_t elements);
/* Elements of six bits to the bytes of a file and back. */
void tl_pack_six(const uint8_t *elements, int64_t count, uint8_t *packed);
void tl_unpack_six(const uint8_t *packed, int64_t count, uint8_t *elements);

/* ---- Memory. An allocator with both functions NULL is the C library. */

void *tl_memory_alloc(const tl_allocator *allocator, size_t size, size_t alignment); /* size 0 counts as 1 */
void tl_memory_free(const tl_allocator *allocator, void *memory);

/* A pool: blocks that are made one after the other, each freed by itself, and together given back when all are. Side by
 * side they lie in huge pages, which the system makes in less than half the time of small ones: a model's packed
 * weights. */
typedef struct tl_pool {
    void *map;
    char *next, *end;
    size_t expected; /* bytes, before there is a map */
} tl_pool;

/* Until tl_pool_end, tl_pool_take gives this thread memory, if the allocator is the default one and the pool will be
 * worth it; else NULL, as it does when the system refuses. tl_memory_free frees. */
void tl_pool_begin(tl_pool *pool, const tl_allocator *allocator, size_t expected);
void tl_pool_end(tl_pool *pool);
void *tl_pool_take(size_t size, size_t alignment);

/* An arena: many small allocations, freed together. Not thread-safe. */
typedef struct tl_arena_chunk tl_arena_chunk;
typedef struct tl_arena {
    const tl_allocator *allocator;
    tl_arena_chunk *chunks;
    size_t used;  /* bytes given out */
    size_t limit; /* most bytes given out; 0: none */
} tl_arena;

void tl_arena_init(tl_arena *arena, const tl_allocator *allocator, size_t limit);
void tl_arena_free(tl_arena *arena); /* everything; the arena can be used again */
/* What it got since `before`, a copy of it, but for the rest of the chunk that it had. */
void tl_arena_rewind(tl_arena *arena, const tl_arena *before);
/* Zeroed memory, or NULL: refused, over the limit, or count * size overflows. */
void *tl_arena_alloc(tl_arena *arena, size_t count, size_t size, size_t alignment);
#define TL_NEW(arena, type, count) ((type *)tl_arena_alloc((arena), (count), sizeof(type), _Alignof(type)))
/* Copies of text, NUL behind the end. */
char *tl_arena_string(tl_arena *arena, const char *text);
char *tl_arena_bytes(tl_arena *arena, const char *data, size_t size);
char *tl_arena_format(tl_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for one more in a growing array inside an arena: capacities double, old arrays stay until the end. */
bool tl_arena_grow(tl_arena *arena, void **array, size_t count, size_t *capacity, size_t element_size);

/* ---- Hashes: FNV-1a, its high bits folded into the low ones that tables look at. It starts from any number, another
 * hash, or an address: that differs from run to run, so that no file can be made whose names all meet in one place. */

uint64_t tl_hash(uint64_t start, const void *bytes, size_t size);

/* ---- The processor: bytes of its largest cache, of which threads and other processes may have a part each; 0: not
 * known. Asks the processor each time, which under a hypervisor takes some microseconds. */

size_t tl_last_cache_bytes(void);

/* ---- Text */

/* "float[1,N,?]" into `buffer`; symbol names through `symbol` (may be NULL: numbers only). Returns buffer. */
typedef const char *(*tl_symbol_name)(const void *context, tl_dim dim);
char *tl_tensor_describe(const tl_tensor *tensor, tl_symbol_name symbol, const void *context, char *buffer,
                         size_t size);

#endif
