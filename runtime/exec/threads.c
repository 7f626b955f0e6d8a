/* Parallel loops: pthreadpool, the application's pool, or, for ThreadSanitizer, which cannot see through pthreadpool's
 * futexes, plain pthreads. */
#include "exec/execution.h"

#if defined __x86_64__
#include <xmmintrin.h>
#define FLUSH_BITS 0x8040u /* flush to zero, denormals are zero */

uint64_t tl_denormals_flush(void)
{
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | FLUSH_BITS);
    return before;
}

void tl_denormals_restore(uint64_t before)
{
    _mm_setcsr((_mm_getcsr() & ~FLUSH_BITS) | ((unsigned)before & FLUSH_BITS));
}
#elif defined __aarch64__
#define FLUSH_BIT ((uint64_t)1 << 24)

uint64_t tl_denormals_flush(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | FLUSH_BIT));
    return before;
}

void tl_denormals_restore(uint64_t before)
{
    uint64_t now;
    __asm__ volatile("mrs %0, fpcr" : "=r"(now));
    __asm__ volatile("msr fpcr, %0" : : "r"((now & ~FLUSH_BIT) | (before & FLUSH_BIT)));
}
#else
uint64_t tl_denormals_flush(void)
{
    return 0;
}

void tl_denormals_restore(uint64_t before)
{
    (void)before;
}
#endif

/* A piece on a thread that the run did not set up itself. */
typedef struct guarded {
    tl_task task;
    void *context;
} guarded;

static void run_guarded(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const guarded *g = context;
    uint64_t before = tl_denormals_flush();
    g->task(g->context, begin, end, thread);
    tl_denormals_restore(before);
}

void tl_parallel_for(tl_call *call, tl_task task, void *context, int64_t range, int64_t grain)
{
    const tl_thread_pool *pool = &tl_host_runtime(call->host)->pool;
    if (grain < 1)
        grain = 1;
    if (pool->thread_count <= 1 || range <= grain) {
        for (int64_t i = 0; i < range; i += grain)
            task(context, i, range - i < grain ? range : i + grain, 0);
        return;
    }
    guarded g = {task, context};
    pool->parallel_for(pool->user, run_guarded, &g, range, grain);
}

typedef void (*piece_task)(void *context, int64_t begin, int64_t end, int32_t thread);

#ifndef TAPLINE_PTHREADS
#include <pthreadpool.h>
#include <stdatomic.h>

typedef struct loop {
    piece_task task;
    void *context;
    int64_t range, grain;
    atomic_int_fast64_t next;
} loop;

/* pthreadpool does not say which of its threads calls. So each gets a number to work under, and takes pieces until
 * there are none. */
static void take_pieces(void *context, size_t thread)
{
    loop *l = context;
    for (;;) {
        int64_t begin = atomic_fetch_add_explicit(&l->next, l->grain, memory_order_relaxed);
        if (begin >= l->range)
            return;
        l->task(l->context, begin, l->range - begin < l->grain ? l->range : begin + l->grain, (int32_t)thread);
    }
}

static void pool_parallel_for(void *user, piece_task task, void *context, int64_t range, int64_t grain)
{
    loop l = {.task = task, .context = context, .range = range, .grain = grain};
    size_t pieces = (size_t)(range / grain + (range % grain != 0)), threads = pthreadpool_get_threads_count(user);
    pthreadpool_parallelize_1d(user, take_pieces, &l, pieces < threads ? pieces : threads,
                               PTHREADPOOL_FLAG_YIELD_WORKERS);
}

static void *start_pool(tl_runtime *runtime, int32_t threads)
{
    (void)runtime;
    return pthreadpool_create((size_t)threads);
}

static void stop_pool(tl_runtime *runtime)
{
    pthreadpool_destroy(runtime->own_pool);
}

static int32_t pool_threads(const void *pool)
{
    return (int32_t)pthreadpool_get_threads_count((pthreadpool_t)(uintptr_t)pool);
}
#else
#include <pthread.h>

typedef struct pool_state pool_state;
typedef struct worker {
    pool_state *pool;
    int32_t thread;
    pthread_t handle;
} worker;

struct pool_state {
    pthread_mutex_t lock;    /* of everything below */
    pthread_mutex_t one_run; /* loops of several contexts, one after the other */
    pthread_cond_t work, done;
    worker *workers; /* threads - 1 */
    int32_t threads, busy;
    uint64_t generation;
    bool stop;
    piece_task task;
    void *context;
    int64_t range, grain, next;
};

static void take_pieces(pool_state *pool, int32_t thread)
{
    while (pool->next < pool->range) {
        int64_t begin = pool->next;
        int64_t end = pool->range - begin < pool->grain ? pool->range : begin + pool->grain;
        pool->next = end;
        pthread_mutex_unlock(&pool->lock);
        pool->task(pool->context, begin, end, thread);
        pthread_mutex_lock(&pool->lock);
    }
}

static void *work(void *argument)
{
    worker *self = argument;
    pool_state *pool = self->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->stop && pool->generation == seen)
            pthread_cond_wait(&pool->work, &pool->lock);
        if (pool->stop)
            break;
        seen = pool->generation;
        take_pieces(pool, self->thread);
        if (--pool->busy == 0)
            pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void pool_parallel_for(void *user, piece_task task, void *context, int64_t range, int64_t grain)
{
    pool_state *pool = user;
    pthread_mutex_lock(&pool->one_run);
    pthread_mutex_lock(&pool->lock);
    pool->task = task;
    pool->context = context;
    pool->range = range;
    pool->grain = grain;
    pool->next = 0;
    pool->busy = pool->threads - 1;
    pool->generation++;
    pthread_cond_broadcast(&pool->work);
    take_pieces(pool, 0);
    while (pool->busy)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_unlock(&pool->one_run);
}

static void stop_workers(tl_runtime *runtime, pool_state *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int32_t i = 0; i < pool->threads - 1; i++)
        pthread_join(pool->workers[i].handle, NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->one_run);
    tl_memory_free(&runtime->allocator, pool->workers);
    tl_memory_free(&runtime->allocator, pool);
}

static void *start_pool(tl_runtime *runtime, int32_t threads)
{
    pool_state *pool = tl_memory_alloc(&runtime->allocator, sizeof *pool, _Alignof(pool_state));
    worker *workers = tl_memory_alloc(&runtime->allocator, (size_t)threads * sizeof *workers, _Alignof(worker));
    if (!pool || !workers) {
        tl_memory_free(&runtime->allocator, pool);
        tl_memory_free(&runtime->allocator, workers);
        return NULL;
    }
    *pool = (pool_state){.workers = workers, .threads = 1};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->one_run, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int32_t i = 1; i < threads; i++, pool->threads++) {
        workers[i - 1] = (worker){.pool = pool, .thread = i};
        if (pthread_create(&workers[i - 1].handle, NULL, work, &workers[i - 1]) != 0) {
            stop_workers(runtime, pool);
            return NULL;
        }
    }
    return pool;
}

static void stop_pool(tl_runtime *runtime)
{
    stop_workers(runtime, runtime->own_pool);
}

static int32_t pool_threads(const void *pool)
{
    return ((const pool_state *)pool)->threads;
}
#endif

tl_status tl_threads_start(tl_runtime *runtime, int32_t threads, tl_error *error)
{
    runtime->pool = (tl_thread_pool){.thread_count = 1};
    if (threads <= 1)
        return TL_OK;
    runtime->own_pool = start_pool(runtime, threads);
    if (!runtime->own_pool)
        return tl_error_set(error, TL_NO_MEMORY, "cannot start %d threads", threads);
    runtime->pool = (tl_thread_pool){pool_parallel_for, pool_threads(runtime->own_pool), runtime->own_pool};
    return TL_OK;
}

void tl_threads_stop(tl_runtime *runtime)
{
    if (runtime->own_pool)
        stop_pool(runtime);
    runtime->own_pool = NULL;
}
