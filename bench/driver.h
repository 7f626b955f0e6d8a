/* What a driver of one engine consists of: driver.c does the talking and the timing, the engine is one struct.
 *
 * A driver is a program of its own for each engine, so that no engine's memory, threads or settings touch another's.
 * Whatever fails ends the program by fail(): a benchmark has nothing to save. */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_RANK 8

typedef struct tensor {
    const char *name;
    int type; /* the standard's number of the element type: 1 is float */
    int rank;
    int64_t dims[MAX_RANK];
    void *data; /* aligned to 64 */
    size_t bytes;
} tensor;

/* The functions are called in this order, run() any number of times. */
typedef struct engine {
    void (*open)(const char *library, int threads); /* whatever does not depend on the model; not timed */
    void (*load)(const char *model);
    void (*bind)(const tensor *inputs, size_t count); /* `inputs` stay where they are */
    void (*run)(void);
    void (*output)(const void **data, size_t *bytes); /* the first output of the last run */
} engine;

/* The engine of this program. */
extern const engine driven;

/* Says why on standard error, and ends the program. */
#define fail(...) (fputs("error: ", stderr), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(1))

/* A function of a library that open() loaded. */
void *function_of(void *library, const char *name);

#endif
