/* Parallel loops, by the application's pool or by one of our own. */
#include "exec/execution.h"

#include <pthread.h>
#include <stdatomic.h>

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

static void pause_thread(void)
{
    _mm_pause();
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

static void pause_thread(void)
{
    __asm__ volatile("yield");
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

static void pause_thread(void)
{
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

typedef struct parallel_loop {
    piece_task task;
    void *context;
    int64_t range, grain;
    atomic_int_fast64_t next;
} parallel_loop;

typedef struct own_pool own_pool;
typedef struct worker {
    own_pool *pool;
    int32_t thread;
    pthread_t handle;
} worker;

/* Whoever comes in time takes part in a loop: what a late thread would have done, the others do meanwhile, and nobody
 * waits for it. Atomic is what is looked at without the lock, too. */
struct own_pool {
    pthread_mutex_t one_loop; /* loops of several contexts, one after the other */
    pthread_mutex_t lock;     /* of everything below */
    pthread_cond_t work, done;
    worker *workers; /* threads - 1 */
    int32_t threads;
    bool stop;
    parallel_loop *loop; /* the caller's; NULL: over */
    atomic_uint loops;   /* that there were */
    atomic_uint busy;    /* workers in the loop */
    atomic_uint runs;    /* of contexts, now */
};

static void take_pieces(parallel_loop *loop, int32_t thread)
{
    for (;;) {
        int64_t begin = atomic_fetch_add_explicit(&loop->next, loop->grain, memory_order_relaxed);
        if (begin >= loop->range)
            return;
        loop->task(loop->context, begin, loop->range - begin < loop->grain ? loop->range : begin + loop->grain, thread);
    }
}

/* In a run, what is next mostly comes within microseconds, before the system would have put a thread to sleep and woken
 * it. After the run nobody looks any more. */
#define SPINS 1000

static void *work(void *argument)
{
    const worker *self = argument;
    own_pool *pool = self->pool;
    unsigned seen = 0;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stop) {
        if (pool->loops == seen) {
            pthread_mutex_unlock(&pool->lock);
            for (int i = 0; i < SPINS && atomic_load_explicit(&pool->runs, memory_order_relaxed) > 0 &&
                            atomic_load_explicit(&pool->loops, memory_order_relaxed) == seen;
                 i++)
                pause_thread();
            pthread_mutex_lock(&pool->lock);
            while (pool->loops == seen)
                pthread_cond_wait(&pool->work, &pool->lock);
            continue;
        }
        seen = pool->loops;
        parallel_loop *loop = pool->loop;
        if (!loop)
            continue;
        pool->busy++;
        pthread_mutex_unlock(&pool->lock);
        take_pieces(loop, self->thread);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0)
            pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void pool_parallel_for(void *user, piece_task task, void *context, int64_t range, int64_t grain)
{
    own_pool *pool = user;
    parallel_loop loop = {.task = task, .context = context, .range = range, .grain = grain};
    int64_t pieces = range / grain + (range % grain != 0);
    pthread_mutex_lock(&pool->one_loop);
    pthread_mutex_lock(&pool->lock);
    pool->loop = &loop;
    pool->loops++;
    pthread_mutex_unlock(&pool->lock);
    for (int64_t i = 1; i < pieces && i < pool->threads; i++)
        pthread_cond_signal(&pool->work);
    take_pieces(&loop, 0);
    for (int i = 0; i < SPINS && atomic_load_explicit(&pool->busy, memory_order_relaxed) > 0; i++)
        pause_thread();
    pthread_mutex_lock(&pool->lock);
    pool->loop = NULL;
    while (pool->busy > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_unlock(&pool->one_loop);
}

void tl_threads_begin_run(const tl_runtime *runtime)
{
    own_pool *pool = runtime->own_pool;
    if (pool)
        atomic_fetch_add_explicit(&pool->runs, 1, memory_order_relaxed);
}

void tl_threads_end_run(const tl_runtime *runtime)
{
    own_pool *pool = runtime->own_pool;
    if (pool)
        atomic_fetch_sub_explicit(&pool->runs, 1, memory_order_relaxed);
}

static void stop_pool(tl_runtime *runtime, own_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pool->loops++;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int32_t i = 0; i < pool->threads - 1; i++)
        pthread_join(pool->workers[i].handle, NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->one_loop);
    tl_memory_free(&runtime->allocator, pool->workers);
    tl_memory_free(&runtime->allocator, pool);
}

static own_pool *start_pool(tl_runtime *runtime, int32_t threads)
{
    own_pool *pool = tl_memory_alloc(&runtime->allocator, sizeof *pool, _Alignof(own_pool));
    worker *workers = tl_memory_alloc(&runtime->allocator, (size_t)threads * sizeof *workers, _Alignof(worker));
    if (!pool || !workers) {
        tl_memory_free(&runtime->allocator, pool);
        tl_memory_free(&runtime->allocator, workers);
        return NULL;
    }
    *pool = (own_pool){.workers = workers, .threads = 1};
    pthread_mutex_init(&pool->one_loop, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int32_t i = 1; i < threads; i++, pool->threads++) {
        workers[i - 1] = (worker){.pool = pool, .thread = i};
        if (pthread_create(&workers[i - 1].handle, NULL, work, &workers[i - 1]) != 0) {
            stop_pool(runtime, pool);
            return NULL;
        }
    }
    return pool;
}

tl_status tl_threads_start(tl_runtime *runtime, int32_t threads, tl_error *error)
{
    runtime->pool = (tl_thread_pool){.thread_count = 1};
    if (threads <= 1)
        return TL_OK;
    runtime->own_pool = start_pool(runtime, threads);
    if (!runtime->own_pool)
        return tl_error_set(error, TL_NO_MEMORY, "cannot start %d threads", threads);
    runtime->pool = (tl_thread_pool){pool_parallel_for, threads, runtime->own_pool};
    return TL_OK;
}

void tl_threads_stop(tl_runtime *runtime)
{
    if (runtime->own_pool)
        stop_pool(runtime, runtime->own_pool);
    runtime->own_pool = NULL;
}
