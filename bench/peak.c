/* What the machine can do at most: multiply-adds on registers alone, on as many threads as asked for.
 *
 * Linked with driver.c it takes its turns among the engines, so that a clock that sinks meanwhile, or a neighbour on
 * the same core, shows in the peak as well. Model and inputs are ignored; the output is the number of floating-point
 * operations of one run, as a double. */
#include <pthread.h>

#include "driver.h"
#include "kernels/kernels.h"

#define MOST 64

static int thread_count;
static int64_t rounds;
static double flops;

static void open_engine(const char *library, int threads)
{
    (void)library;
    if (threads < 1 || threads > MOST)
        fail("1 to %d threads", MOST);
    thread_count = threads;
    rounds = threads == 1 ? 40000 : 2000000; /* so many that making threads does not count */
}

static void load(const char *model)
{
    (void)model;
}

static void bind_inputs(const tensor *inputs, size_t count)
{
    (void)inputs;
    (void)count;
}

static void *work(void *unused)
{
    (void)tlk_get()->multiply_adds(rounds);
    return unused;
}

static void run(void)
{
    const int count = thread_count;
    pthread_t others[MOST];
    for (int i = 1; i < count; i++)
        if (pthread_create(&others[i], NULL, work, NULL) != 0)
            fail("no thread");
    flops = tlk_get()->multiply_adds(rounds) * count;
    for (int i = 1; i < count; i++)
        pthread_join(others[i], NULL);
}

static void output(const void **data, size_t *bytes)
{
    *data = &flops;
    *bytes = sizeof flops;
}

const engine driven = {open_engine, load, bind_inputs, run, output};
