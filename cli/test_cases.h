/* Test cases: folders in the ONNX backend-test layout, and what came of them. */
#ifndef CLI_TEST_CASES_H
#define CLI_TEST_CASES_H

#include "compare.h"
#include "options.h"

typedef enum cli_outcome { CLI_NOT_RUN, CLI_PASSED, CLI_NOT_PASSED, CLI_SKIPPED } cli_outcome;

typedef struct cli_case {
    char *path; /* of the folder, as it was found */
    cli_outcome outcome;
    char *reason; /* NULL where passed */
    double seconds;
} cli_case;

typedef struct cli_cases {
    cli_case *items;
    size_t count, capacity;
} cli_cases;

/* Adds all folders at or under `root` that hold a model.onnx, in the order of their names. Symbolic links to folders
 * are followed for the root alone. A root without a case is an error. */
tl_status cli_cases_find(cli_cases *cases, const char *root, tl_error *error);
void cli_cases_free(cli_cases *cases);

/* Names in `folder` that begin with `prefix` and end with `suffix`, sorted so that _2 comes before _10. */
typedef struct cli_names {
    char **items;
    size_t count, capacity;
} cli_names;
tl_status cli_names_list(cli_names *names, const char *folder, const char *prefix, const char *suffix, tl_error *error);
void cli_names_free(cli_names *names);

/* Runs a case: outcome and reason are set. TL_NO_MEMORY only if not even that could be done. */
tl_status cli_case_run(cli_case *test, tl_runtime *runtime, const cli_options *options, cli_tolerance tolerance,
                       tl_error *error);

/* The inputs of a test_data_set_* folder, read and set on a context. They must live as long as it runs. */
typedef struct cli_data_inputs {
    cli_value *values;
    size_t count;
} cli_data_inputs;
tl_status cli_data_inputs_set(cli_data_inputs *inputs, tl_context *context, const tl_session *session,
                              const char *folder, tl_error *error);
void cli_data_inputs_free(cli_data_inputs *inputs);

/* test_bisect.c: runs a case's first data set and names the first node whose value is not that of the reference. */
int cli_bisect(const cli_options *options, const cli_case *test, tl_runtime *runtime, cli_tolerance tolerance);

/* The list of --skips: one case per line, "NAME REASON", where NAME is the folder's path or the end of it; '#' begins
 * a comment line. */
typedef struct cli_skip {
    char *name, *reason;
    size_t line;
    bool used;
} cli_skip;
typedef struct cli_skips {
    const char *path; /* the caller's; NULL: there is no list */
    cli_skip *items;
    size_t count, capacity;
} cli_skips;
tl_status cli_skips_read(cli_skips *skips, const char *path, tl_error *error);
/* The entry for a case, marked as used, or NULL. */
const cli_skip *cli_skips_find(cli_skips *skips, const char *path);
void cli_skips_free(cli_skips *skips);

/* test_report.c: the JSON and JUnit forms of the results. */
tl_status cli_cases_write_json(const cli_cases *cases, const char *path, tl_error *error);
tl_status cli_cases_write_junit(const cli_cases *cases, const char *path, tl_error *error);
size_t cli_cases_count(const cli_cases *cases, cli_outcome outcome);

#endif
