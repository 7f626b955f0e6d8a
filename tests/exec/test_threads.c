/* The runtime's own pool: what a loop promises, to one caller and to several. */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "exec/threads.h"

enum { MOST_THREADS = 5, MOST = 1000 };

typedef struct loop {
    int64_t range, grain;
    atomic_int visits[MOST];         /* of each index */
    atomic_int inside[MOST_THREADS]; /* tasks that run with this thread's number */
    atomic_int wrong;
} loop;

static void task(void *user, int64_t begin, int64_t end, int32_t thread)
{
    loop *l = user;
    const bool fits = begin >= 0 && begin % l->grain == 0 && end - begin <= l->grain && end <= l->range &&
                      thread >= 0 && thread < MOST_THREADS;
    if (!fits || l->inside[thread]++ != 0) {
        l->wrong++;
        return;
    }
    for (int64_t i = begin; i < end; i++)
        l->visits[i]++;
    l->inside[thread]--;
}

/* NULL, or what was wrong. */
static const char *loop_once(const tl_thread_pool *pool, int64_t range, int64_t grain)
{
    loop l = {.range = range, .grain = grain};
    pool->parallel_for(pool->user, task, &l, range, grain);
    for (int64_t i = 0; i < MOST; i++)
        if (l.visits[i] != (i < range))
            return "an index was not visited once";
    return l.wrong ? "a piece or a thread's number" : NULL;
}

static const char *loop_often(const tl_runtime *of)
{
    static const int64_t ranges[] = {0, 1, 2, 3, 7, 64, 1000}, grains[] = {1, 2, 3, 63, 1000};
    const char *wrong = NULL;
    for (size_t i = 0; i < TL_COUNT(ranges); i++)
        for (size_t k = 0; k < TL_COUNT(grains) && !wrong; k++)
            wrong = loop_once(&of->pool, ranges[i], grains[k]);
    return wrong;
}

static void start(int32_t threads)
{
    tl_runtime_destroy(runtime); /* its counting allocator is not for several threads */
    const tl_runtime_options options = {.size = sizeof options, .threads = threads};
    ck_assert_int_eq(tl_runtime_create(&options, &runtime, &test_error), TL_OK);
}

START_TEST(every_index_is_visited_once)
{
    for (int32_t threads = 2; threads <= MOST_THREADS; threads++) {
        start(threads);
        for (int i = 0; i < 100; i++) {
            if (i % 2) /* the threads look for work; else they sleep */
                tl_threads_begin_run(runtime);
            const char *wrong = loop_often(runtime);
            ck_assert_msg(!wrong, "%s", wrong);
            if (i % 2)
                tl_threads_end_run(runtime);
            if (i % 10 == 0)
                usleep(1000);
        }
    }
}
END_TEST

static void *loop_beside_others(void *unused)
{
    const char *wrong = NULL;
    for (int i = 0; i < 50 && !wrong; i++) {
        tl_threads_begin_run(runtime);
        wrong = loop_often(runtime);
        tl_threads_end_run(runtime);
    }
    (void)unused;
    return (void *)(uintptr_t)wrong;
}

START_TEST(several_callers_share_the_threads)
{
    start(3);
    pthread_t callers[4];
    for (size_t i = 0; i < TL_COUNT(callers); i++)
        ck_assert_int_eq(pthread_create(&callers[i], NULL, loop_beside_others, NULL), 0);
    for (size_t i = 0; i < TL_COUNT(callers); i++) {
        void *wrong;
        pthread_join(callers[i], &wrong);
        ck_assert_msg(!wrong, "%s", (char *)wrong);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {every_index_is_visited_once, several_callers_share_the_threads};
    return run_suite(suite_of("threads", tests, TL_COUNT(tests)));
}
