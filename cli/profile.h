/* The time that each operator of a model takes. */
#ifndef CLI_PROFILE_H
#define CLI_PROFILE_H

#include "cost.h"
#include "exec/inspect.h"
#include "json.h"

/* One node, over all profiled runs. */
typedef struct cli_profile_entry {
    const tl_node *node;
    double flops, bytes; /* of one run; -1: not known */
    double seconds;
    size_t calls;
} cli_profile_entry;

/* One call, for the trace. */
typedef struct cli_profile_call {
    size_t entry;
    double begin, end; /* seconds since the first run's begin */
} cli_profile_call;

typedef struct cli_profile {
    cli_profile_entry *entries; /* by the graph's order of nodes; those that never ran have no calls */
    size_t count;
    cli_profile_call *calls; /* of the first runs, up to a limit */
    size_t call_count, call_capacity;
    size_t runs;
    double peak; /* operations a second that the threads do in multiply-adds on registers alone */
    /* while it is taken */
    double start, began;
    bool failed;
} cli_profile;

/* Runs the context, at least once and for about `seconds`, and times every operator; then the peak of so many threads,
 * each taken to do what one does alone. */
tl_status cli_profile_run(cli_profile *profile, tl_context *context, int threads, double seconds, tl_error *error);
void cli_profile_free(cli_profile *profile);

/* Operations of one run, as far as known. */
double cli_profile_flops(const cli_profile *profile);
/* Tables for people: by operator, and the nodes that take longest (all for `more`). */
void cli_profile_print(const cli_profile *profile, bool more);
/* "operators": [{name, op, us, ...}], one per node that runs, in order. */
void cli_profile_add_json(const cli_profile *profile, cli_json *json, cJSON *to);
/* Chrome's trace event format. */
tl_status cli_profile_write_trace(const cli_profile *profile, const char *path, tl_error *error);

#endif
