/* Parallel loops, by the application's pool or by one of our own. */
#include "exec/threads.h"

#include <limits.h>
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
    if (pool->thread_count <= 1 || range <= grain || range / grain > INT_MAX) {
        for (int64_t i = 0; i < range; i += grain)
            task(context, i, range - i < grain ? range : i + grain, 0);
        return;
    }
    guarded g = {task, context};
    pool->parallel_for(pool->user, run_guarded, &g, range, grain);
}

typedef void (*piece_task)(void *context, int64_t begin, int64_t end, int32_t thread);

/* The pieces with which one thread begins; after them it takes those of the others. So whoever is late or slow leaves
 * more to the others, and else a thread finds in its cache what it wrote itself in the loop before. */
typedef struct share {
    _Alignas(64) atomic_uint_fast64_t taken; /* high half: in which loop; low half: how many of its pieces */
    atomic_bool busy;                        /* the share's own thread, a worker, may be in the loop */
} share;

typedef struct own_pool own_pool;
typedef struct worker {
    own_pool *pool;
    int32_t thread;
    pthread_t handle;
} worker;

/* Whoever comes in time takes part in a loop: what a late thread would have done, the others do meanwhile, and nobody
 * waits for it. A line of a cache takes tenths of a microsecond from one core to another, so a worker learns all of a
 * loop from one, and what it takes from its own share it notes in one that is its own.
 * The locks are for sleeping: a thread first says that it will, then looks again whether it must, and whoever changes
 * what it waits for does so first, then looks whether anybody sleeps. */
struct own_pool {
    struct {
        _Alignas(64) atomic_uint number; /* two more for each; odd: being written */
        _Atomic(piece_task) task;
        _Atomic(void *) context;
        _Atomic int64_t range, grain;
    } loop;
    _Alignas(64) pthread_mutex_t one_loop; /* loops of several contexts, one after the other */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    worker *workers; /* threads - 1 */
    share *shares;   /* threads */
    int32_t threads;
    atomic_bool stop;
    atomic_uint sleepers; /* workers */
    atomic_bool waiting;  /* the caller sleeps */
    atomic_uint runs;     /* of contexts, now */
};

/* A loop as a thread has read it. */
typedef struct parallel_loop {
    unsigned number;
    piece_task task;
    void *context;
    int64_t range, grain;
} parallel_loop;

static unsigned loop_of(uint64_t taken)
{
    return (unsigned)(taken >> 32);
}

static uint64_t nothing_of(unsigned loop)
{
    return (uint64_t)loop << 32;
}

/* Takes the next of the share's pieces. While there are any the loop is not over; once there are none, `taken` tells of
 * this loop or one after it, so that a thread which comes late takes nothing. */
static bool take_piece(share *from, unsigned loop, int64_t pieces, int64_t *piece)
{
    uint64_t taken = atomic_load_explicit(&from->taken, memory_order_acquire);
    for (;;) {
        const int age = (int)(loop - loop_of(taken));
        const uint64_t before = age > 0 ? nothing_of(loop) : taken;
        *piece = (int64_t)(before - nothing_of(loop));
        if (age < 0 || *piece >= pieces)
            return false;
        if (atomic_compare_exchange_weak(&from->taken, &taken, before + 1))
            return true;
    }
}

static void take_pieces(own_pool *pool, const parallel_loop *loop, int32_t thread)
{
    const int64_t pieces = loop->range / loop->grain + (loop->range % loop->grain != 0);
    const int64_t each = pieces / pool->threads, more = pieces % pool->threads;
    for (int32_t i = 0; i < pool->threads; i++) {
        const int32_t from = (thread + i) % pool->threads;
        const int64_t first = from * each + (from < more ? from : more);
        for (int64_t piece; take_piece(&pool->shares[from], loop->number, each + (from < more), &piece);) {
            const int64_t begin = (first + piece) * loop->grain, left = loop->range - begin;
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

/* Returns the number of a loop that the thread has not seen. */
static unsigned await_loop(own_pool *pool, unsigned seen)
{
    unsigned number = pool->loop.number;
    for (int i = 0; i < SPINS && number == seen && atomic_load_explicit(&pool->runs, memory_order_relaxed) > 0; i++) {
        spin(i);
        number = pool->loop.number;
    }
    if (number != seen)
        return number;
    pthread_mutex_lock(&pool->lock);
    pool->sleepers++;
    while ((number = pool->loop.number) == seen)
        pthread_cond_wait(&pool->work, &pool->lock);
    pool->sleepers--;
    pthread_mutex_unlock(&pool->lock);
    return number;
}

/* False if it was written meanwhile. */
static bool read_loop(own_pool *pool, parallel_loop *loop)
{
    loop->task = atomic_load_explicit(&pool->loop.task, memory_order_acquire);
    loop->context = atomic_load_explicit(&pool->loop.context, memory_order_acquire);
    loop->range = atomic_load_explicit(&pool->loop.range, memory_order_acquire);
    loop->grain = atomic_load_explicit(&pool->loop.grain, memory_order_acquire);
    return loop->number % 2 == 0 && pool->loop.number == loop->number;
}

static void *work(void *argument)
{
    const worker *self = argument;
    own_pool *pool = self->pool;
    share *own = &pool->shares[self->thread];
    unsigned seen = 0;
    while (seen = await_loop(pool, seen), !pool->stop) {
        parallel_loop loop = {.number = seen};
        if (!read_loop(pool, &loop))
            continue;
        atomic_store_explicit(&own->busy, true, memory_order_relaxed);
        take_pieces(pool, &loop, self->thread);
        own->busy = false;
        if (pool->waiting) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
    return NULL;
}

static parallel_loop begin_loop(own_pool *pool, piece_task task, void *context, int64_t range, int64_t grain)
{
    const unsigned before = atomic_load_explicit(&pool->loop.number, memory_order_relaxed);
    const parallel_loop loop = {before + 2, task, context, range, grain};
    atomic_store_explicit(&pool->loop.number, before + 1, memory_order_relaxed);
    atomic_store_explicit(&pool->loop.task, task, memory_order_release);
    atomic_store_explicit(&pool->loop.context, context, memory_order_release);
    atomic_store_explicit(&pool->loop.range, range, memory_order_release);
    atomic_store_explicit(&pool->loop.grain, grain, memory_order_release);
    pool->loop.number = before + 2;
    return loop;
}

static void wake(own_pool *pool, int64_t wanted)
{
    if (pool->sleepers == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    for (int64_t i = 0; i < wanted && i < pool->threads - 1; i++)
        pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

static bool is_busy(own_pool *pool)
{
    bool busy = false;
    for (int32_t i = 1; i < pool->threads; i++)
        busy = busy || pool->shares[i].busy;
    return busy;
}

static void await_workers(own_pool *pool)
{
    for (int i = 0; i < SPINS && is_busy(pool); i++)
        spin(i);
    if (!is_busy(pool))
        return;
    pthread_mutex_lock(&pool->lock);
    pool->waiting = true;
    while (is_busy(pool))
        pthread_cond_wait(&pool->done, &pool->lock);
    pool->waiting = false;
    pthread_mutex_unlock(&pool->lock);
}

/* Numbers come around, and a share without pieces still has its last loop's: it must not look like one to come. */
static void renew_shares(own_pool *pool, unsigned loop)
{
    for (int32_t i = 0; i < pool->threads; i++)
        if (loop - loop_of(atomic_load_explicit(&pool->shares[i].taken, memory_order_relaxed)) > INT_MAX / 2)
            pool->shares[i].taken = nothing_of(loop);
}

static void pool_parallel_for(void *user, piece_task task, void *context, int64_t range, int64_t grain)
{
    own_pool *pool = user;
    pthread_mutex_lock(&pool->one_loop);
    const parallel_loop loop = begin_loop(pool, task, context, range, grain);
    wake(pool, range / grain);
    take_pieces(pool, &loop, 0);
    await_workers(pool);
    renew_shares(pool, loop.number);
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
    pool->loop.number += 2;
    wake(pool, pool->threads);
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
    for (int32_t i = 0; i < threads; i++)
        shares[i] = (share){0};
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
