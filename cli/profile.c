#include <stdlib.h>
#include "cli.h"
#include "kernels/kernels.h"
#include "profile.h"
#include "view.h"

enum { MOST_CALLS = 20000 }; /* in a trace */

/* Entry number of a node: nodes run in the graph's order, so the next is mostly the one after the last. */
static size_t find_entry(const cli_profile *profile, const tl_node *node, size_t from)
{
    for (size_t k = 0; k < profile->count; k++) {
        size_t at = (from + k) % profile->count;
        if (profile->entries[at].node == node)
            return at;
    }
    return SIZE_MAX;
}

typedef struct tracer {
    cli_profile *profile;
    size_t next; /* entry that is expected */
} tracer;

static void trace(void *user, const tl_node *node, bool begin)
{
    tracer *t = user;
    cli_profile *profile = t->profile;
    double now = cli_now();
    if (begin) {
        profile->began = now;
        return;
    }
    size_t at = find_entry(profile, node, t->next);
    if (at == SIZE_MAX)
        return;
    cli_profile_entry *entry = &profile->entries[at];
    entry->seconds += now - profile->began;
    entry->calls++;
    t->next = at + 1;
    if (profile->call_count >= MOST_CALLS)
        return;
    if (!cli_grow(&profile->calls, profile->call_count, &profile->call_capacity, sizeof profile->calls[0])) {
        profile->failed = true;
        return;
    }
    profile->calls[profile->call_count++] =
        (cli_profile_call){at, profile->began - profile->start, now - profile->start};
}

/* Operations a second of one core: the best of some short runs, which a busy machine lets through. */
static double measure_peak(void)
{
    const double end = cli_now() + 0.02;
    double best = 0;
    do {
        const double begin = cli_now();
        const double flops = tlk_get()->multiply_adds(2000);
        const double seconds = cli_now() - begin;
        if (seconds > 0 && flops / seconds > best)
            best = flops / seconds;
    } while (cli_now() < end);
    return best;
}

tl_status cli_profile_run(cli_profile *profile, tl_context *context, int threads, double seconds, tl_error *error)
{
    const tl_graph *graph = tl_session_graph(context->session);
    *profile = (cli_profile){.count = graph->node_count};
    profile->entries = calloc(profile->count + 1, sizeof profile->entries[0]);
    if (!profile->entries)
        return tl_error_no_memory(error);
    for (size_t i = 0; i < profile->count; i++)
        profile->entries[i].node = graph->nodes[i];
    tracer t = {.profile = profile};
    tl_context_set_trace(context, trace, &t);
    profile->start = cli_now();
    tl_status status = TL_OK;
    do {
        t.next = 0;
        status = tl_context_run(context, error);
        profile->runs++;
    } while (status == TL_OK && cli_now() - profile->start < seconds);
    tl_context_set_trace(context, NULL, NULL);
    if (status == TL_OK && profile->failed)
        status = tl_error_no_memory(error);
    const tl_plan *plan = tl_context_last_plan(context);
    cli_shapes shapes = {graph, plan ? plan->slots : NULL};
    for (size_t i = 0; i < profile->count; i++) {
        profile->entries[i].flops = cli_node_flops(&shapes, graph->nodes[i]);
        profile->entries[i].bytes = cli_node_bytes(&shapes, graph->nodes[i]);
    }
    profile->peak = measure_peak() * threads;
    return status;
}

void cli_profile_free(cli_profile *profile)
{
    free(profile->entries);
    free(profile->calls);
    *profile = (cli_profile){0};
}

double cli_profile_flops(const cli_profile *profile)
{
    double flops = 0;
    for (size_t k = 0; k < profile->count; k++)
        if (profile->entries[k].calls && profile->entries[k].flops > 0)
            flops += profile->entries[k].flops;
    return flops;
}

/* ---- Tables */

typedef struct row {
    const tl_node *node;          /* of the operator, or the node itself */
    double seconds, flops, bytes; /* of one run */
    size_t nodes;
} row;

static int by_seconds(const void *a, const void *b)
{
    double x = ((const row *)a)->seconds, y = ((const row *)b)->seconds;
    return (x < y) - (x > y);
}

static bool same_operator(const tl_node *a, const tl_node *b)
{
    return strcmp(a->op_type, b->op_type) == 0 && strcmp(a->domain, b->domain) == 0;
}

#define TABLE_HEAD "\n  %10s  %7s  %8s  %7s  %9s", "us", "share", "GFLOP/s", "of peak", "bytes"

static void print_row(const row *r, double total, double peak)
{
    char speed[32] = "", part[32] = "", bytes[32] = "";
    if (r->flops > 0 && r->seconds > 0) {
        snprintf(speed, sizeof speed, "%.2f", r->flops / r->seconds * 1e-9);
        snprintf(part, sizeof part, "%.1f %%", 100 * r->flops / r->seconds / peak);
    }
    if (r->bytes > 0)
        cli_bytes_text(r->bytes, bytes, sizeof bytes);
    printf("  %10.1f  %5.1f %%  %8s  %7s  %9s", r->seconds * 1e6, total > 0 ? 100 * r->seconds / total : 0, speed, part,
           bytes);
}

/* Fills rows, one per node or one per operator; returns how many. */
static size_t make_rows(const cli_profile *profile, row *rows, bool by_operator)
{
    size_t count = 0;
    for (size_t k = 0; k < profile->count; k++) {
        const cli_profile_entry *entry = &profile->entries[k];
        if (!entry->calls)
            continue;
        size_t at = by_operator ? 0 : count;
        while (at < count && !same_operator(rows[at].node, entry->node))
            at++;
        if (at == count)
            rows[count++] = (row){.node = entry->node};
        rows[at].seconds += entry->seconds / (double)profile->runs;
        rows[at].flops += entry->flops > 0 ? entry->flops : 0;
        rows[at].bytes += entry->bytes > 0 ? entry->bytes : 0;
        rows[at].nodes++;
    }
    if (count)
        qsort(rows, count, sizeof rows[0], by_seconds);
    return count;
}

void cli_profile_print(const cli_profile *profile, bool more)
{
    char text[300];
    row *rows = calloc(profile->count + 1, sizeof rows[0]);
    if (!rows)
        return;
    double total = 0;
    size_t count = make_rows(profile, rows, true);
    for (size_t k = 0; k < count; k++)
        total += rows[k].seconds;
    printf(TABLE_HEAD);
    printf("  %5s  operator\n", "nodes");
    for (size_t k = 0; k < count; k++) {
        print_row(&rows[k], total, profile->peak);
        printf("  %5zu  ", rows[k].nodes);
        cli_print_clean(stdout, cli_view_operator(rows[k].node, text, sizeof text));
        putchar('\n');
    }
    memset(rows, 0, (profile->count + 1) * sizeof rows[0]);
    count = make_rows(profile, rows, false);
    size_t shown = more || count < 10 ? count : 10;
    printf(TABLE_HEAD);
    printf("  node\n");
    for (size_t k = 0; k < shown; k++) {
        print_row(&rows[k], total, profile->peak);
        printf("  ");
        cli_print_clean(stdout, cli_view_operator(rows[k].node, text, sizeof text));
        printf("  ");
        cli_print_clean(stdout, rows[k].node->name);
        putchar('\n');
    }
    if (shown < count)
        printf("  ... and %zu more; -v shows all\n", count - shown);
    free(rows);
}

/* ---- For programs */

void cli_profile_add_json(const cli_profile *profile, cli_json *json, cJSON *to)
{
    cJSON *list = cli_json_array(json, to, "operators");
    for (size_t k = 0; k < profile->count; k++) {
        const cli_profile_entry *entry = &profile->entries[k];
        if (!entry->calls)
            continue;
        double seconds = entry->seconds / (double)profile->runs;
        cJSON *item = cli_json_object(json, list, NULL);
        cli_json_text(json, item, "name", entry->node->name);
        cli_json_text(json, item, "op", entry->node->op_type);
        cli_json_text(json, item, "domain", entry->node->domain);
        cli_json_seconds(json, item, "us", seconds);
        cli_json_number(json, item, "flops", entry->flops < 0 ? 0 : entry->flops);
        cli_json_number(json, item, "bytes", entry->bytes < 0 ? 0 : entry->bytes);
    }
}

tl_status cli_profile_write_trace(const cli_profile *profile, const char *path, tl_error *error)
{
    char text[300];
    cli_json json = cli_json_new();
    cli_json_text(&json, json.root, "displayTimeUnit", "ms");
    cJSON *events = cli_json_array(&json, json.root, "traceEvents");
    for (size_t k = 0; k < profile->call_count; k++) {
        const cli_profile_call *call = &profile->calls[k];
        const cli_profile_entry *entry = &profile->entries[call->entry];
        cJSON *event = cli_json_object(&json, events, NULL);
        cli_json_text(&json, event, "name", *entry->node->name ? entry->node->name : entry->node->op_type);
        cli_json_text(&json, event, "cat", cli_view_operator(entry->node, text, sizeof text));
        cli_json_text(&json, event, "ph", "X");
        cli_json_seconds(&json, event, "ts", call->begin);
        cli_json_seconds(&json, event, "dur", call->end - call->begin);
        cli_json_number(&json, event, "pid", 1);
        cli_json_number(&json, event, "tid", 1);
        cJSON *arguments = cli_json_object(&json, event, "args");
        cli_json_text(&json, arguments, "op", cli_view_operator(entry->node, text, sizeof text));
        if (entry->flops > 0)
            cli_json_number(&json, arguments, "flops", entry->flops);
        if (entry->bytes > 0)
            cli_json_number(&json, arguments, "bytes", entry->bytes);
    }
    tl_status status = cli_json_write(&json, path, error);
    cli_json_free(&json);
    return status;
}
