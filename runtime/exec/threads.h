/* Threads of a run, and how they round. */
#ifndef TL_THREADS_H
#define TL_THREADS_H

#include "plugin/runtime.h"

/* Makes runtime->pool one of its own threads, the caller's among them; 1: none are made. On failure nothing needs
 * stopping. */
tl_status tl_threads_start(tl_runtime *runtime, int32_t threads, tl_error *error);
/* Waits for the threads that were started, if any; no run may go on. */
void tl_threads_stop(tl_runtime *runtime);
/* Around a context's run, of several at once: between them idle threads look for work before they sleep. */
void tl_threads_begin_run(const tl_runtime *runtime);
void tl_threads_end_run(const tl_runtime *runtime);
/* The host's parallel_for, on the runtime's pool. */
void tl_parallel_for(tl_call *call, tl_task task, void *context, int64_t range, int64_t grain);
/* Flushes denormals to zero on this thread; gives back what tl_denormals_restore() needs. */
uint64_t tl_denormals_flush(void);
void tl_denormals_restore(uint64_t before);

#endif
