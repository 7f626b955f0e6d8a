/* Parallel loops, by the application's pool or by one of our own. */
#include "exec/execution.h"

#include <pthread.h>
#include <sched.h>
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
} parallel_loop;

/* The pieces with which one thread begins; after them it takes those of the others. So whoever is late or slow leaves
 * more to the others, and else a thread finds in its cache what it wrote itself in the loop before. */
typedef struct share {
    _Alignas(64) atomic_int_fast64_t next;
    int64_t end;
} share;

typedef struct own_pool own_pool;
typedef struct worker {
    own_pool *pool;
    int32_t thread;
    pthread_t handle;
} worker;

/* Whoever comes in time takes part in a loop: what a late thread would have done, the others do meanwhile, and nobody
 * waits for it. The locks are for sleeping: a thread first says that it will, then looks again whether it must, and
 * whoever changes what it waits for does so first, then looks whether anybody sleeps. */
struct own_pool {
    pthread_mutex_t one_loop; /* loops of several contexts, one after the other */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    worker *workers; /* threads - 1 */
    share *shares;   /* threads, of the loop */
    int32_t threads;
    atomic_bool stop;
    _Atomic(const parallel_loop *) loop; /* the caller's; NULL: over */
    atomic_uint loops;                   /* that there were */
    atomic_uint busy;                    /* workers that may be in the loop */
    atomic_uint sleepers;                /* workers */
    atomic_bool waiting;                 /* the caller sleeps */
    atomic_uint runs;                    /* of contexts, now */
};

static void take_pieces(own_pool *pool, const parallel_loop *loop, int32_t thread)
{
    for (int32_t i = 0; i < pool->threads; i++) {
        share *from = &pool->shares[(thread + i) % pool->threads];
        for (int64_t piece; (piece = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed)) < from->end;) {
            const int64_t begin = piece * loop->grain, left = loop->range - begin;
            loop->task(loop->context, begin, left < loop->grain ? loop->range : begin + loop->grain, thread);
        }
    }
}

/* In a run, what is next mostly comes within microseconds, and to put a thread to sleep and wake it takes tens of them.
 * After the run nobody looks any more. */
#define SPINS 20000

/* What is waited for may need this very core. */
static void spin(int i)
{
    if (i % 128 == 127)
        sched_yield();
    else
        pause_thread();
}

/* Returns how many loops there were by now: more than the thread has seen. */
static unsigned await_loop(own_pool *pool, unsigned seen)
{
    unsigned loops = pool->loops;
    for (int i = 0; i < SPINS && loops == seen && atomic_load_explicit(&pool->runs, memory_order_relaxed) > 0; i++) {
        spin(i);
        loops = pool->loops;
    }
    if (loops != seen)
        return loops;
    pthread_mutex_lock(&pool->lock);
    pool->sleepers++;
    while ((loops = pool->loops) == seen)
        pthread_cond_wait(&pool->work, &pool->lock);
    pool->sleepers--;
    pthread_mutex_unlock(&pool->lock);
    return loops;
}

static void *work(void *argument)
{
    const worker *self = argument;
    own_pool *pool = self->pool;
    for (unsigned seen = 0; !pool->stop;) {
        seen = await_loop(pool, seen);
        pool->busy++;
        const parallel_loop *loop = pool->loop;
        if (loop)
            take_pieces(pool, loop, self->thread);
        if (--pool->busy == 0 && pool->waiting) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
    return NULL;
}

static void announce(own_pool *pool, int64_t wanted)
{
    pool->loops++;
    if (pool->sleepers == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    for (int64_t i = 0; i < wanted && i < pool->threads - 1; i++)
        pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

static void await_workers(own_pool *pool)
{
    for (int i = 0; i < SPINS && pool->busy > 0; i++)
        spin(i);
    if (pool->busy == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->waiting = true;
    while (pool->busy > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pool->waiting = false;
    pthread_mutex_unlock(&pool->lock);
}

static void pool_parallel_for(void *user, piece_task task, void *context, int64_t range, int64_t grain)
{
    own_pool *pool = user;
    const parallel_loop loop = {task, context, range, grain};
    const int64_t pieces = range / grain + (range % grain != 0);
    const int64_t each = pieces / pool->threads, more = pieces % pool->threads;
    pthread_mutex_lock(&pool->one_loop);
    int64_t end = 0;
    for (int32_t i = 0; i < pool->threads; i++) {
        atomic_store_explicit(&pool->shares[i].next, end, memory_order_relaxed);
        end += each + (i < more);
        pool->shares[i].end = end;
    }
    pool->loop = &loop;
    announce(pool, pieces - 1);
    take_pieces(pool, &loop, 0);
    pool->loop = NULL;
    await_workers(pool);
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
    pool->stop = true;
    announce(pool, pool->threads);
    for (int32_t i = 0; i < pool->threads - 1; i++)
        pthread_join(pool->workers[i].handle, NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->one_loop);
    tl_memory_free(&runtime->allocator, pool->shares);
    tl_memory_free(&runtime->allocator, pool->workers);
    tl_memory_free(&runtime->allocator, pool);
}

static own_pool *start_pool(tl_runtime *runtime, int32_t threads)
{
    own_pool *pool = tl_memory_alloc(&runtime->allocator, sizeof *pool, _Alignof(own_pool));
    worker *workers = tl_memory_alloc(&runtime->allocator, (size_t)threads * sizeof *workers, _Alignof(worker));
    share *shares = tl_memory_alloc(&runtime->allocator, (size_t)threads * sizeof *shares, _Alignof(share));
    if (!pool || !workers || !shares) {
        tl_memory_free(&runtime->allocator, pool);
        tl_memory_free(&runtime->allocator, workers);
        tl_memory_free(&runtime->allocator, shares);
        return NULL;
    }
    *pool = (own_pool){.workers = workers, .shares = shares, .threads = threads};
    pthread_mutex_init(&pool->one_loop, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int32_t i = 1; i < threads; i++) {
        workers[i - 1] = (worker){.pool = pool, .thread = i};
        if (pthread_create(&workers[i - 1].handle, NULL, work, &workers[i - 1]) != 0) {
            pool->threads = i;
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
