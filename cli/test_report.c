/* The results of `tapline test` for other programs. */
#include <stdlib.h>
#include "cli.h"
#include "json.h"
#include "test_cases.h"

static const char *outcome_name(cli_outcome outcome)
{
    static const char *const names[] = {
        [CLI_NOT_RUN] = "not run", [CLI_PASSED] = "passed", [CLI_NOT_PASSED] = "failed", [CLI_SKIPPED] = "skipped"};
    return names[outcome];
}

tl_status cli_cases_write_json(const cli_cases *cases, const char *path, tl_error *error)
{
    cli_json json = cli_json_new();
    cli_json_number(&json, json.root, "passed", (double)cli_cases_count(cases, CLI_PASSED));
    cli_json_number(&json, json.root, "failed", (double)cli_cases_count(cases, CLI_NOT_PASSED));
    cli_json_number(&json, json.root, "skipped", (double)cli_cases_count(cases, CLI_SKIPPED));
    cJSON *list = cli_json_array(&json, json.root, "cases");
    for (size_t k = 0; k < cases->count; k++) {
        const cli_case *test = &cases->items[k];
        cJSON *item = cli_json_object(&json, list, NULL);
        cli_json_text(&json, item, "name", test->path);
        cli_json_text(&json, item, "status", outcome_name(test->outcome));
        cli_json_text(&json, item, "reason", test->reason);
        cli_json_seconds(&json, item, "us", test->seconds);
    }
    tl_status status = cli_json_write(&json, path, error);
    cli_json_free(&json);
    return status;
}

/* An attribute's value; XML has no control characters at all. */
static void print_xml(FILE *file, const char *text)
{
    char clean[4096];
    for (const char *c = cli_utf8(text, clean, sizeof clean); *c; c++) {
        switch (*c) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            fputc((unsigned char)*c < ' ' || *c == 127 ? '?' : *c, file);
        }
    }
}

static void print_case(FILE *file, const cli_case *test)
{
    const char *slash = strrchr(test->path, '/');
    fputs("  <testcase classname=\"", file);
    if (slash) {
        char folder[4096];
        size_t length = (size_t)(slash - test->path);
        snprintf(folder, sizeof folder, "%.*s", (int)(length < sizeof folder ? length : sizeof folder - 1), test->path);
        print_xml(file, folder);
    }
    fputs("\" name=\"", file);
    print_xml(file, slash ? slash + 1 : test->path);
    fprintf(file, "\" time=\"%.6f\"", test->seconds);
    if (test->outcome == CLI_PASSED) {
        fputs("/>\n", file);
        return;
    }
    fprintf(file, ">\n    <%s message=\"", test->outcome == CLI_SKIPPED ? "skipped" : "failure");
    print_xml(file, test->reason ? test->reason : "");
    fputs("\"/>\n  </testcase>\n", file);
}

tl_status cli_cases_write_junit(const cli_cases *cases, const char *path, tl_error *error)
{
    FILE *file = cli_create(path, error);
    if (!file)
        return TL_IO;
    double seconds = 0;
    for (size_t k = 0; k < cases->count; k++)
        seconds += cases->items[k].seconds;
    fprintf(
        file,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuite name=\"tapline test\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" time=\"%.6f\">\n",
        cases->count, cli_cases_count(cases, CLI_NOT_PASSED), cli_cases_count(cases, CLI_SKIPPED), seconds);
    for (size_t k = 0; k < cases->count; k++)
        print_case(file, &cases->items[k]);
    fputs("</testsuite>\n", file);
    return cli_close(file, path, error);
}
