/* tapline bench: how long a model takes, and where the time goes. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "commands.h"
#include "inputs.h"
#include "profile.h"
#include "program.h"

static const cli_option option_table[] = {
    CLI_OPTION_INPUT,
    CLI_OPTION_RANDOM,
    CLI_OPTION_DIM,
    CLI_OPTION_THREADS,
    {.letter = 's',
     .name = "seconds",
     .kind = CLI_REAL,
     .offset = offsetof(cli_options, seconds),
     .argument = "S",
     .help = "how long to measure (default 2); at least three runs are made",
     .minimum = 0,
     .maximum = 86400},
    CLI_OPTION(0, "profile", CLI_TEXT, profile, "FILE",
               "write the profiled runs as a trace for chrome://tracing or Perfetto"),
    CLI_OPTION_JSON,
    CLI_OPTION_PLUGINS,
    CLI_OPTION_REWRITES,
    CLI_OPTION_COMMON,
};

enum { LEAST_RUNS = 3, MOST_RUNS = 1000000 };

typedef struct timing {
    double load, first; /* seconds */
    double *runs;       /* seconds each, sorted after measure() */
    size_t count, capacity;
} timing;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest run that at least this part of the runs does not exceed. */
static double percentile(const timing *times, double part)
{
    size_t rank = (size_t)(part * (double)times->count + 0.999999);
    return times->runs[rank ? rank - 1 : 0];
}

static double median(const timing *times)
{
    size_t half = times->count / 2;
    return times->count % 2 ? times->runs[half] : (times->runs[half - 1] + times->runs[half]) / 2;
}

/* Runs until `seconds` are over. */
static tl_status measure(tl_context *context, timing *times, double seconds, tl_error *error)
{
    double begin = cli_now(), shown = begin, now = begin;
    while (times->count < LEAST_RUNS || (now - begin < seconds && times->count < MOST_RUNS)) {
        if (!cli_grow(&times->runs, times->count, &times->capacity, sizeof times->runs[0]))
            return tl_error_no_memory(error);
        double before = cli_now();
        tl_status status = tl_context_run(context, error);
        now = cli_now();
        if (status != TL_OK)
            return status;
        times->runs[times->count++] = now - before;
        if (now - shown > 0.2) {
            cli_progress("measuring: %zu runs, %.0f of %.0f s", times->count, now - begin, seconds);
            shown = now;
        }
    }
    qsort(times->runs, times->count, sizeof times->runs[0], by_value);
    return TL_OK;
}

/* The most memory that the process ever had in use, in bytes. */
static double peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss * 1024 : 0;
}

/* ---- Results */

typedef struct results {
    const cli_options *options;
    const cli_program *program;
    const timing *times;
    const cli_profile *profile;
    double peak;
} results;

static int thread_count(const cli_options *options)
{
    return options->threads.given ? (int)options->threads.value : 1;
}

static char *time_text(double seconds, char *buffer, size_t size)
{
    if (seconds < 1e-3)
        snprintf(buffer, size, "%.1f us", seconds * 1e6);
    else if (seconds < 1)
        snprintf(buffer, size, "%.3f ms", seconds * 1e3);
    else
        snprintf(buffer, size, "%.3f s", seconds);
    return buffer;
}

static void print_results(const results *r)
{
    char a[32], b[32], c[32];
    const timing *times = r->times;
    printf("%-12s%s\n", "model", r->options->operands.items[0]);
    printf("%-12s%s, %d thread%s\n", "on", tl_isa(), thread_count(r->options),
           thread_count(r->options) == 1 ? "" : "s");
    printf("%-12s%s\n", "load", time_text(times->load, a, sizeof a));
    printf("%-12s%s\n", "first run", time_text(times->first, a, sizeof a));
    printf("%-12s%s median, %s min, %s p99 (%zu runs)\n", "run", time_text(median(times), a, sizeof a),
           time_text(times->runs[0], b, sizeof b), time_text(percentile(times, 0.99), c, sizeof c), times->count);
    double flops = cli_profile_flops(r->profile);
    if (flops > 0)
        printf("%-12s%s each, %.1f GFLOP/s, %.0f %% of %.0f\n", "work", cli_flops_text(flops, a, sizeof a),
               flops / median(times) * 1e-9, 100 * flops / median(times) / r->profile->peak, r->profile->peak * 1e-9);
    printf("%-12s%s at most\n", "memory", cli_bytes_text(r->peak, a, sizeof a));
    cli_profile_print(r->profile, r->options->verbose);
}

static tl_status write_json(const results *r, const char *path, tl_error *error)
{
    cli_json json = cli_json_new();
    const timing *times = r->times;
    cli_json_text(&json, json.root, "model", r->options->operands.items[0]);
    cli_json_text(&json, json.root, "version", tl_version());
    cli_json_text(&json, json.root, "isa", tl_isa());
    cli_json_number(&json, json.root, "threads", thread_count(r->options));
    cli_json_seconds(&json, json.root, "load_us", times->load);
    cli_json_seconds(&json, json.root, "first_run_us", times->first);
    cJSON *run = cli_json_object(&json, json.root, "run_us");
    cli_json_seconds(&json, run, "min", times->runs[0]);
    cli_json_seconds(&json, run, "median", median(times));
    cli_json_seconds(&json, run, "p99", percentile(times, 0.99));
    cli_json_number(&json, run, "count", (double)times->count);
    cli_json_number(&json, json.root, "peak_bytes", r->peak);
    cli_json_number(&json, json.root, "flops", cli_profile_flops(r->profile));
    cli_json_number(&json, json.root, "peak_flops_per_second", r->profile->peak);
    cli_profile_add_json(r->profile, &json, json.root);
    tl_status status = cli_json_write(&json, path, error);
    cli_json_free(&json);
    return status;
}

static tl_status report(const results *r, tl_error *error)
{
    const cli_options *options = r->options;
    tl_status status = TL_OK;
    cli_progress_clear();
    if (!options->quiet && !(options->json && strcmp(options->json, "-") == 0))
        print_results(r);
    if (options->json)
        status = write_json(r, options->json, error);
    if (status == TL_OK && options->profile)
        status = cli_profile_write_trace(r->profile, options->profile, error);
    return status;
}

/* ---- The work */

/* The peak is taken before profiling, which has memory of its own. */
static tl_status bench(results *r, timing *times, tl_context *context, tl_error *error)
{
    double before = cli_now();
    tl_status status = tl_context_run(context, error);
    times->first = cli_now() - before;
    double seconds = r->options->seconds.given ? r->options->seconds.value : 2;
    if (status == TL_OK)
        status = measure(context, times, seconds, error);
    r->peak = peak_memory();
    cli_profile profile = {0};
    if (status == TL_OK)
        status = cli_profile_run(&profile, context, thread_count(r->options), seconds / 4, error);
    r->profile = &profile;
    if (status == TL_OK)
        status = report(r, error);
    r->profile = NULL;
    cli_profile_free(&profile);
    return status;
}

static int run(const cli_options *options)
{
    int code = cli_dims_check_form(options, "bench");
    if (code != CLI_OK)
        return code;
    tl_error error;
    cli_program program = {0};
    cli_inputs inputs = {0};
    timing times = {0};
    tl_context *context = NULL;
    results r = {.options = options, .program = &program, .times = &times};
    tl_status status = cli_runtime_create(options, &program.runtime, &error);
    double before = cli_now();
    if (status == TL_OK)
        status = cli_session_open(program.runtime, options->operands.items[0], options, 0, &program.session, &error);
    times.load = cli_now() - before;
    if (status == TL_OK)
        status = cli_inputs_load(&inputs, program.session, options, &error);
    if (status == TL_OK)
        status = tl_context_create(program.session, &context, &error);
    if (status == TL_OK)
        status = cli_inputs_bind(&inputs, context, &error);
    if (status == TL_OK)
        status = bench(&r, &times, context, &error);
    tl_context_destroy(context);
    cli_inputs_free(&inputs);
    cli_program_close(&program);
    free(times.runs);
    return status == TL_OK ? CLI_OK : cli_report(&error);
}

const cli_command cli_command_bench = {
    .name = "bench",
    .operands = "MODEL",
    .least = 1,
    .most = 1,
    .summary = "Measures load time, first run, runs, memory, and the time of each operator.",
    .details = "The times of whole runs are taken without profiling; the operators' in runs of their own afterwards. "
               "The peak is what the threads do in multiply-adds on registers alone, which products on tiles (AMX) "
               "exceed; bytes are those of the tensors that a node reads and writes.",
    .options = option_table,
    .option_count = TL_COUNT(option_table),
    .run = run,
};
