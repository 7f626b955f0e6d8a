/* One engine with one model, driven by lines on standard input, so that whoever drives several of them can take turns.
 *
 *     drive_ENGINE LIBRARY THREADS MODEL [NAME TYPE DIMS FILE]...
 *
 * LIBRARY is the engine's shared object (Tapline is linked: ignored). Each input is a name, the standard's number of
 * the element type, dimensions like 1x64x128 (`-` for a scalar) and a file of raw elements.
 *
 *     out: loaded LOAD_US FIRST_RUN_US LOADED_KIB RUN_KIB    resident memory on top of what it was before loading
 *     in:  run MILLISECONDS        out: ran MIN_US MEDIAN_US COUNT
 *     in:  output FILE             out: wrote BYTES          the first output, raw
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"

enum { LEAST_RUNS = 3, MOST_RUNS = 100000, MAX_INPUTS = 32 };

void *function_of(void *library, const char *name)
{
    void *function = library == NULL ? NULL : dlsym(library, name);
    if (function == NULL)
        fail("%s", dlerror());
    return function;
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1)
        fail("no /proc/self/statm");
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void read_input(tensor *input, char **arguments)
{
    *input = (tensor){.name = arguments[0], .type = atoi(arguments[1])};
    for (char *dims = arguments[2]; *dims != '\0' && *dims != '-'; dims += *dims == 'x') {
        if (input->rank == MAX_RANK)
            fail("%s: more than %d dimensions", input->name, MAX_RANK);
        char *end = dims;
        input->dims[input->rank++] = strtoll(dims, &end, 10);
        if (end == dims)
            fail("%s: no dimensions: %s", input->name, arguments[2]);
        dims = end;
    }
    FILE *file = fopen(arguments[3], "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        fail("%s: cannot be read", arguments[3]);
    input->bytes = (size_t)ftell(file);
    rewind(file);
    input->data = aligned_alloc(64, (input->bytes + 64) / 64 * 64);
    if (input->data == NULL || fread(input->data, 1, input->bytes, file) != input->bytes)
        fail("%s: cannot be read", arguments[3]);
    fclose(file);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run_for(double milliseconds)
{
    static double times[MOST_RUNS];
    size_t count = 0;
    const double end = now_us() + milliseconds * 1e3;
    double now = 0;
    do {
        const double before = now_us();
        driven.run();
        now = now_us();
        times[count++] = now - before;
    } while (count < LEAST_RUNS || (now < end && count < MOST_RUNS));
    qsort(times, count, sizeof times[0], ascending);
    printf("ran %.3f %.3f %zu\n", times[0], times[count / 2], count);
}

static void write_output(const char *path)
{
    const void *data = NULL;
    size_t bytes = 0;
    driven.output(&data, &bytes);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0)
        fail("%s: cannot be written", path);
    printf("wrote %zu\n", bytes);
}

int main(int count, char **arguments)
{
    static tensor inputs[MAX_INPUTS];
    static char line[4096];
    if (count < 4 || (count - 4) % 4 != 0 || (count - 4) / 4 > MAX_INPUTS)
        fail("usage: %s LIBRARY THREADS MODEL [NAME TYPE DIMS FILE]...", arguments[0]);
    const size_t input_count = (size_t)(count - 4) / 4;
    for (size_t i = 0; i < input_count; i++)
        read_input(&inputs[i], arguments + 4 + 4 * i);

    driven.open(arguments[1], atoi(arguments[2]));
    const long before = resident_kib();
    const double start = now_us();
    driven.load(arguments[3]);
    const double loaded = now_us();
    const long loaded_kib = resident_kib();
    driven.bind(inputs, input_count);
    const double bound = now_us();
    driven.run();
    printf("loaded %.1f %.1f %ld %ld\n", loaded - start, now_us() - bound, loaded_kib - before,
           resident_kib() - before);
    fflush(stdout);

    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "run ", 4) == 0)
            run_for(atof(line + 4));
        else if (strncmp(line, "output ", 7) == 0)
            write_output(line + 7);
        else
            fail("unknown command: %s", line);
        fflush(stdout);
    }
    return 0;
}
