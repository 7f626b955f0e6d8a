/* tapline test: conformance cases, each a model with inputs and the outputs that it must give. */
#include <stdlib.h>
#include "commands.h"
#include "program.h"
#include "test_cases.h"

static const cli_option option_table[] = {
    {.name = "rtol",
     .kind = CLI_REAL,
     .offset = offsetof(cli_options, rtol),
     .argument = "R",
     .help = "relative tolerance of floats (default 1e-3); float16 and bfloat16 get at least their own rounding",
     .minimum = 0,
     .maximum = 1e30},
    {.name = "atol",
     .kind = CLI_REAL,
     .offset = offsetof(cli_options, atol),
     .argument = "A",
     .help = "absolute tolerance of floats (default 1e-7)",
     .minimum = 0,
     .maximum = 1e30},
    CLI_OPTION(
        0, "skips", CLI_TEXT, skips, "FILE",
        "the cases that do not pass, one per line: the folder's name, a space, and the reason; '#' begins a "
        "comment. One that passes all the same is a failure, and so is one that lacks something and is not here"),
    CLI_OPTION(0, "bisect", CLI_TEXT, bisect, "DIR",
               "of one case, name the first node whose value is not that of the reference run in DIR: .pb tensors, "
               "which carry the values' names (reference_values.py makes them with ONNX Runtime)"),
    CLI_OPTION_JSON,
    CLI_OPTION(0, "junit", CLI_TEXT, junit, "FILE", "write the results as JUnit XML"),
    CLI_OPTION_THREADS,
    CLI_OPTION_PLUGINS,
    CLI_OPTION_REWRITES,
    CLI_OPTION_COMMON,
};

/* JSON on standard output stands alone. */
static bool has_text(const cli_options *options)
{
    return !options->quiet && !(options->json && strcmp(options->json, "-") == 0);
}

static void print_case(const cli_case *test, const cli_options *options)
{
    if (!has_text(options) || (test->outcome == CLI_PASSED && !options->verbose))
        return;
    cli_progress_clear();
    fputs(test->outcome == CLI_PASSED ? "passed  " : test->outcome == CLI_SKIPPED ? "skipped " : "failed  ", stdout);
    cli_print_clean(stdout, test->path);
    if (test->outcome == CLI_PASSED)
        printf("  %.1f ms", test->seconds * 1e3);
    else
        fputs(": ", stdout);
    cli_print_clean(stdout, test->reason ? test->reason : "");
    putchar('\n');
    fflush(stdout);
}

static cli_tolerance asked_tolerance(const cli_options *options)
{
    cli_tolerance tolerance = CLI_TOLERANCE_DEFAULT;
    if (options->rtol.given)
        tolerance.relative = options->rtol.value;
    if (options->atol.given)
        tolerance.absolute = options->atol.value;
    return tolerance;
}

/* With a list, exactly what it names is not passed: so that a list which is no longer true comes out. */
static tl_status judge(cli_case *test, cli_skips *skips, tl_error *error)
{
    const cli_skip *skip = cli_skips_find(skips, test->path);
    const bool passed = test->outcome == CLI_PASSED;
    if (skip) {
        size_t size = strlen(skips->path) + strlen(skip->reason) + 64;
        free(test->reason);
        test->reason = malloc(size);
        if (!test->reason)
            return tl_error_no_memory(error);
        snprintf(test->reason, size, passed ? "passes, but is listed: %s (%s:%zu)" : "%s (%s:%zu)", skip->reason,
                 skips->path, skip->line);
        test->outcome = passed ? CLI_NOT_PASSED : CLI_SKIPPED;
    } else if (!passed) {
        test->outcome = CLI_NOT_PASSED;
    }
    return TL_OK;
}

static tl_status run_cases(cli_cases *cases, cli_skips *skips, tl_runtime *runtime, const cli_options *options,
                           tl_error *error)
{
    cli_tolerance tolerance = asked_tolerance(options);
    for (size_t k = 0; k < cases->count; k++) {
        cli_case *test = &cases->items[k];
        cli_progress("[%zu/%zu, %zu failed] %s", k + 1, cases->count, cli_cases_count(cases, CLI_NOT_PASSED),
                     test->path);
        tl_status status = cli_case_run(test, runtime, options, tolerance, error);
        if (status == TL_OK && skips->path)
            status = judge(test, skips, error);
        if (status != TL_OK)
            return status;
        print_case(test, options);
    }
    return TL_OK;
}

/* The list shall only hold what is needed. */
static void print_unused(const cli_skips *skips, const cli_options *options)
{
    for (size_t k = 0; has_text(options) && k < skips->count; k++)
        if (!skips->items[k].used) {
            cli_progress_clear();
            printf("unused  %s:%zu: ", options->skips, skips->items[k].line);
            cli_print_clean(stdout, skips->items[k].name);
            puts(" is not among the cases");
        }
}

static tl_status write_reports(const cli_cases *cases, const cli_options *options, tl_error *error)
{
    tl_status status = TL_OK;
    if (options->json)
        status = cli_cases_write_json(cases, options->json, error);
    if (status == TL_OK && options->junit)
        status = cli_cases_write_junit(cases, options->junit, error);
    return status;
}

/* Everything but bisecting: runs, reports, counts. */
static int run_and_report(cli_cases *cases, tl_runtime *runtime, const cli_options *options)
{
    tl_error error;
    cli_skips skips = {0};
    tl_status status = options->skips ? cli_skips_read(&skips, options->skips, &error) : TL_OK;
    if (status == TL_OK)
        status = run_cases(cases, &skips, runtime, options, &error);
    if (status == TL_OK) {
        print_unused(&skips, options);
        status = write_reports(cases, options, &error);
    }
    cli_skips_free(&skips);
    if (status != TL_OK)
        return cli_report(&error);
    int code = CLI_OK;
    size_t failed = cli_cases_count(cases, CLI_NOT_PASSED);
    if (failed) /* first this, so that the counts are the last line of both streams */
        code = cli_fail("%zu of %zu cases failed", failed, cases->count);
    if (!(options->json && strcmp(options->json, "-") == 0))
        printf("%zu passed, %zu failed, %zu skipped\n", cli_cases_count(cases, CLI_PASSED), failed,
               cli_cases_count(cases, CLI_SKIPPED));
    return code;
}

static int run(const cli_options *options)
{
    tl_error error;
    tl_runtime *runtime = NULL;
    cli_cases cases = {0};
    tl_status status = TL_OK;
    for (size_t k = 0; k < options->operands.count && status == TL_OK; k++)
        status = cli_cases_find(&cases, options->operands.items[k], &error);
    if (status == TL_OK && options->bisect && cases.count != 1)
        status =
            tl_error_set(&error, TL_INVALID_ARGUMENT, "--bisect looks at one case, but there are %zu", cases.count);
    if (status == TL_OK)
        status = cli_runtime_create(options, &runtime, &error);
    int code = status != TL_OK   ? cli_report(&error)
               : options->bisect ? cli_bisect(options, &cases.items[0], runtime, asked_tolerance(options))
                                 : run_and_report(&cases, runtime, options);
    tl_runtime_destroy(runtime);
    cli_cases_free(&cases);
    return code;
}

const cli_command cli_command_test = {
    .name = "test",
    .operands = "DIR...",
    .least = 1,
    .most = SIZE_MAX,
    .summary = "Runs conformance cases and says which pass.",
    .details =
        "A case is a folder in the layout of ONNX's backend tests: model.onnx, and folders test_data_set_* with "
        "input_0.pb, input_1.pb, ... and output_0.pb, ...; DIR is one or holds some at any depth. Types, shapes, "
        "integers and strings must agree exactly, floats by tolerance. A case is skipped if this program lacks an "
        "operator or type; with --skips, if the list has it.",
    .options = option_table,
    .option_count = TL_COUNT(option_table),
    .run = run,
};
