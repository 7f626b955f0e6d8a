/* One SeparableConv1D block per line, one thread: time, GFLOP/s, and the share of what this core can do at most.
 *
 * usage: kernels [seconds per block] [name of one block]
 *
 * The peak is measured here, next to each block, as multiply-adds on registers alone: a clock that sinks while the
 * program runs, or a neighbour on the same core, moves both. Times are the least over many runs. The median is of
 * rounds in which peak and block follow each other within milliseconds: the share when the clock does not stand still.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/kernels.h"

#define ROUNDS 25

typedef struct block {
    const char *name;
    int64_t batch, channels, length, kernel_size, dilation, stride, filters, multiplier;
} block;

static const block blocks[] = {
    {"kws-dscnn", 1, 64, 49, 3, 1, 1, 64, 1},     {"matchbox", 1, 64, 128, 17, 1, 1, 64, 1},
    {"quartz256", 1, 256, 800, 33, 1, 1, 256, 1}, {"quartz512", 1, 512, 800, 63, 1, 1, 512, 1},
    {"tcn128-d8", 1, 128, 4000, 3, 8, 1, 128, 1}, {"ecg32-s2", 1, 32, 5000, 15, 1, 2, 64, 1},
    {"batch32", 32, 64, 256, 9, 1, 1, 128, 1},    {"dm2", 1, 64, 1000, 9, 1, 1, 128, 2},
};

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *checked_alloc(size_t bytes)
{
    void *p = bytes == SIZE_MAX ? NULL : aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (p == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

static float *random_floats(int64_t n)
{
    static uint32_t state = 1;
    float *p = checked_alloc((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525U + 1013904223U;
        p[i] = (float)(state >> 8) / (1 << 23) - 1.0F;
    }
    return p;
}

/* GFLOP/s of the fastest of some runs of about 30 microseconds. */
static double measure_peak(const tlk_kernels *kernels, double seconds)
{
    const int64_t rounds = 8000;
    double best = 1e9;
    double flops = 0;
    const double end = now() + seconds;
    do {
        const double start = now();
        flops = kernels->multiply_adds(rounds);
        const double time = now() - start;
        best = time < best ? time : best;
    } while (now() < end);
    return flops / best * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The kernel with all that it works on. */
typedef struct job {
    const block *block;
    tlk_sepconv sepconv;
    const tlk_sepconv_kernel *kernel;
    tlk_sepconv_data data;
    void *packed, *workspace;
    double flops; /* of all samples */
} job;

/* Seconds of the fastest of some packings. */
static double time_packing(const job *j, const float *depthwise, const float *pointwise, const float *bias)
{
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        const double start = now();
        j->kernel->pack(&j->sepconv, depthwise, pointwise, bias, j->packed);
        const double time = now() - start;
        best = time < best ? time : best;
    }
    return best;
}

/* Seconds of the fastest run over all samples within `seconds`. */
static double time_runs(const job *j, double seconds)
{
    const int repeats = 1 + (int)(4e6 / j->flops); /* the clock is too coarse for the small ones */
    const double end = now() + seconds;
    double best = 1e9;
    do {
        const double start = now();
        for (int i = 0; i < repeats; i++)
            for (int64_t n = 0; n < j->block->batch; n++)
                j->kernel->run(&j->sepconv, j->packed, &j->data, n, 0, j->data.out_length, j->workspace);
        const double time = (now() - start) / repeats;
        best = time < best ? time : best;
    } while (now() < end);
    return best;
}

/* Peak and kernel in turns; the share of the peak is that of a round, whose clock is the same. */
static void report(const tlk_kernels *kernels, const job *j, double pack_time, double seconds)
{
    double best = 1e9;
    double peak = 0;
    double shares[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        const double peak_now = measure_peak(kernels, seconds / ROUNDS * 0.4);
        const double best_now = time_runs(j, seconds / ROUNDS * 0.6);
        shares[round] = j->flops / best_now * 1e-7 / peak_now;
        peak = peak_now > peak ? peak_now : peak;
        best = best_now < best ? best_now : best;
    }
    qsort(shares, ROUNDS, sizeof shares[0], ascending);
    printf("%-10s %-14s %8.2f us %6.1f GFLOP/s %5.1f%% of %.1f (median of rounds %.1f%%), packing %.1f us\n",
           j->block->name, j->sepconv.layout == TLK_CHANNELS_LAST ? "channels_last" : "channels_first", best * 1e6,
           j->flops / best * 1e-9, j->flops / best * 1e-7 / peak, peak, shares[ROUNDS / 2], pack_time * 1e6);
    fflush(stdout);
}

static void run_block(const tlk_kernels *kernels, const block *b, tlk_layout layout, double seconds)
{
    const int64_t out_length = (b->length + b->stride - 1) / b->stride;
    const int64_t depth = b->channels * b->multiplier;
    float *x = random_floats(b->batch * b->channels * b->length);
    float *depthwise = random_floats(depth * b->kernel_size);
    float *pointwise = random_floats(depth * b->filters);
    float *bias = random_floats(b->filters);
    float *y = checked_alloc((size_t)(b->batch * b->filters * out_length) * sizeof(float));
    job j = {.block = b,
             .sepconv = {.type = TLK_F32,
                         .layout = layout,
                         .channels = b->channels,
                         .multiplier = b->multiplier,
                         .filters = b->filters,
                         .kernel_size = b->kernel_size,
                         .stride = b->stride,
                         .dilation = b->dilation,
                         .activation = {.kind = TLK_RELU}},
             .kernel = kernels->sepconv[TLK_F32],
             .data = {.x = x,
                      .length = b->length,
                      .pad_left = (b->kernel_size - 1) * b->dilation,
                      .y = y,
                      .out_length = out_length},
             .flops = 2.0 * (double)(b->batch * out_length * depth * (b->kernel_size + b->filters))};
    j.packed = checked_alloc(j.kernel->packed_size(&j.sepconv));
    j.workspace = checked_alloc(j.kernel->workspace_size(&j.sepconv));
    report(kernels, &j, time_packing(&j, depthwise, pointwise, bias), seconds);
    free(x);
    free(depthwise);
    free(pointwise);
    free(bias);
    free(y);
    free(j.packed);
    free(j.workspace);
}

int main(int argc, char **argv)
{
    const tlk_kernels *kernels = tlk_get();
    const double seconds = argc > 1 ? atof(argv[1]) : 1.0;
    printf("%s\n", tlk_isa_name());
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        for (int layout = TLK_CHANNELS_FIRST; layout <= TLK_CHANNELS_LAST; layout++)
            if (argc < 3 || strcmp(argv[2], blocks[i].name) == 0)
                run_block(kernels, &blocks[i], (tlk_layout)layout, seconds);
    return 0;
}
