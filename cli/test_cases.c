#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "program.h"
#include "test_cases.h"
#include "value.h"

/* ---- Finding */

enum { MOST_LEVELS = 64 }; /* of folders in folders */

/* By text, but runs of digits by their number. */
static int natural_order(const void *left, const void *right)
{
    const char *a = *(char *const *)left, *b = *(char *const *)right;
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            while (*a == '0' && isdigit((unsigned char)a[1]))
                a++;
            while (*b == '0' && isdigit((unsigned char)b[1]))
                b++;
            size_t m = strspn(a, "0123456789"), n = strspn(b, "0123456789");
            int order = m != n ? (m > n ? 1 : -1) : memcmp(a, b, m);
            if (order)
                return order;
            a += m;
            b += n;
        } else {
            if (*a != *b)
                return (unsigned char)*a > (unsigned char)*b ? 1 : -1;
            a++;
            b++;
        }
    }
    return (*a != 0) - (*b != 0);
}

static bool fits(const char *name, const char *prefix, const char *suffix)
{
    size_t length = strlen(name), begin = strlen(prefix), end = strlen(suffix);
    return length >= begin + end && memcmp(name, prefix, begin) == 0 && strcmp(name + length - end, suffix) == 0 &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

tl_status cli_names_list(cli_names *names, const char *folder, const char *prefix, const char *suffix, tl_error *error)
{
    *names = (cli_names){0};
    DIR *stream = opendir(folder);
    if (!stream)
        return tl_error_set(error, TL_IO, "%s: cannot be opened: %s", folder, strerror(errno));
    tl_status status = TL_OK;
    for (struct dirent *entry; status == TL_OK && (entry = readdir(stream));) {
        if (!fits(entry->d_name, prefix, suffix))
            continue;
        char *name = strdup(entry->d_name);
        if (name && cli_grow(&names->items, names->count, &names->capacity, sizeof names->items[0])) {
            names->items[names->count++] = name;
        } else {
            free(name);
            status = tl_error_no_memory(error);
        }
    }
    closedir(stream);
    if (status != TL_OK)
        cli_names_free(names);
    else if (names->count)
        qsort(names->items, names->count, sizeof names->items[0], natural_order);
    return status;
}

void cli_names_free(cli_names *names)
{
    for (size_t k = 0; k < names->count; k++)
        free(names->items[k]);
    free(names->items);
    *names = (cli_names){0};
}

static bool has_model(const char *folder, tl_error *error, tl_status *status)
{
    char *path = cli_join(folder, "model.onnx", error);
    *status = path ? TL_OK : TL_NO_MEMORY;
    bool has = path && access(path, F_OK) == 0;
    free(path);
    return has;
}

static tl_status add_case(cli_cases *cases, const char *path, tl_error *error)
{
    char *copy = strdup(path);
    if (!copy || !cli_grow(&cases->items, cases->count, &cases->capacity, sizeof cases->items[0])) {
        free(copy);
        return tl_error_no_memory(error);
    }
    cases->items[cases->count++] = (cli_case){.path = copy};
    return TL_OK;
}

static tl_status find_below(cli_cases *cases, const char *folder, int level, tl_error *error)
{
    tl_status status;
    if (has_model(folder, error, &status))
        return add_case(cases, folder, error);
    if (status != TL_OK)
        return status;
    if (level >= MOST_LEVELS)
        return tl_error_set(error, TL_IO, "%s: more than %d folders deep", folder, MOST_LEVELS);
    cli_names names;
    status = cli_names_list(&names, folder, "", "", error);
    for (size_t k = 0; status == TL_OK && k < names.count; k++) {
        struct stat about;
        char *path = cli_join(folder, names.items[k], error);
        if (!path)
            status = TL_NO_MEMORY;
        else if (lstat(path, &about) == 0 && S_ISDIR(about.st_mode))
            status = find_below(cases, path, level + 1, error);
        free(path);
    }
    cli_names_free(&names);
    return status;
}

tl_status cli_cases_find(cli_cases *cases, const char *root, tl_error *error)
{
    size_t before = cases->count, length = strlen(root);
    char *path = strdup(root);
    if (!path)
        return tl_error_no_memory(error);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = 0;
    tl_status status = find_below(cases, path, 0, error);
    free(path);
    if (status == TL_OK && cases->count == before)
        return tl_error_set(error, TL_IO, "%s: there is no model.onnx in it or below", root);
    return status;
}

void cli_cases_free(cli_cases *cases)
{
    for (size_t k = 0; k < cases->count; k++) {
        free(cases->items[k].path);
        free(cases->items[k].reason);
    }
    free(cases->items);
    *cases = (cli_cases){0};
}

size_t cli_cases_count(const cli_cases *cases, cli_outcome outcome)
{
    size_t count = 0;
    for (size_t k = 0; k < cases->count; k++)
        count += cases->items[k].outcome == outcome;
    return count;
}

/* ---- Running. A failure of the case is TL_OK with a reason; other statuses are the program's own. */

typedef struct data_set {
    tl_session *session;
    tl_context *context;
    const char *folder; /* of the data set */
    cli_tolerance tolerance;
    cli_data_inputs inputs;
    char *reason; /* of 1500 bytes, "" so far */
} data_set;

enum { REASON_SIZE = 1500 };

/* Files are numbered from 0 without a gap. */
static tl_status check_numbers(const char *folder, const cli_names *files, const char *prefix, tl_error *error)
{
    for (size_t k = 0; k < files->count; k++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "%s%zu.pb", prefix, k);
        if (strcmp(files->items[k], wanted) != 0)
            return tl_error_set(error, TL_INVALID_INPUT, "%s: %s is missing, but %s is there", folder, wanted,
                                files->items[k]);
    }
    return TL_OK;
}

static tl_status set_inputs(cli_data_inputs *inputs, tl_context *context, const tl_session *session, const char *folder,
                            const cli_names *files, tl_error *error)
{
    tl_value_info info;
    for (size_t k = 0; k < files->count; k++) {
        if (!tl_session_input(session, k, &info))
            return tl_error_set(error, TL_INVALID_INPUT, "%zu input files, but the model has %zu inputs", files->count,
                                inputs->count);
        char *path = cli_join(folder, files->items[k], error);
        tl_status status = path ? cli_value_read(path, info.kind, &inputs->values[k], error) : TL_NO_MEMORY;
        free(path);
        if (status == TL_OK)
            status = cli_value_set(context, k, &inputs->values[k], error);
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

tl_status cli_data_inputs_set(cli_data_inputs *inputs, tl_context *context, const tl_session *session,
                              const char *folder, tl_error *error)
{
    cli_names files = {0};
    inputs->count = tl_session_input_count(session);
    inputs->values = calloc(inputs->count + 1, sizeof inputs->values[0]);
    tl_status status =
        inputs->values ? cli_names_list(&files, folder, "input_", ".pb", error) : tl_error_no_memory(error);
    if (status == TL_OK)
        status = check_numbers(folder, &files, "input_", error);
    if (status == TL_OK)
        status = set_inputs(inputs, context, session, folder, &files, error);
    cli_names_free(&files);
    return status;
}

void cli_data_inputs_free(cli_data_inputs *inputs)
{
    for (size_t k = 0; inputs->values && k < inputs->count; k++)
        cli_value_free(&inputs->values[k]);
    free(inputs->values);
    *inputs = (cli_data_inputs){0};
}

static tl_status compare_output(data_set *set, size_t k, const char *file, tl_error *error)
{
    tl_value_info info;
    tl_session_output(set->session, k, &info);
    char *path = cli_join(set->folder, file, error);
    cli_value expected = {0}, got = {0};
    tl_status status = path ? cli_value_read(path, info.kind, &expected, error) : TL_NO_MEMORY;
    free(path);
    if (status == TL_OK)
        status = cli_value_output(set->context, k, &got, error);
    char why[1200];
    if (status == TL_OK && !cli_compare_values(&expected.content, &got.content, set->tolerance, why, sizeof why))
        snprintf(set->reason, REASON_SIZE, "output %zu '%.150s': %s", k, info.name, why);
    cli_value_free(&expected);
    cli_value_free(&got);
    return status;
}

static tl_status run_data_set(data_set *set, const cli_names *outputs, tl_error *error)
{
    tl_status status = cli_data_inputs_set(&set->inputs, set->context, set->session, set->folder, error);
    if (status == TL_OK)
        status = tl_context_run(set->context, error);
    size_t count = tl_session_output_count(set->session);
    if (status == TL_OK && outputs->count != count)
        return tl_error_set(error, TL_INVALID_INPUT, "%zu output files, but the model has %zu outputs", outputs->count,
                            count);
    for (size_t k = 0; k < count && status == TL_OK && !*set->reason; k++)
        status = compare_output(set, k, outputs->items[k], error);
    return status;
}

/* Runs one test_data_set_*; a failure is left in `reason`. */
static void try_data_set(tl_session *session, const char *folder, cli_tolerance tolerance, char *reason)
{
    tl_error error = {0};
    cli_names outputs = {0};
    data_set set = {.session = session, .folder = folder, .tolerance = tolerance, .reason = reason};
    tl_status status = cli_names_list(&outputs, folder, "output_", ".pb", &error);
    if (status == TL_OK)
        status = check_numbers(folder, &outputs, "output_", &error);
    if (status == TL_OK)
        status = tl_context_create(session, &set.context, &error);
    if (status == TL_OK)
        status = run_data_set(&set, &outputs, &error);
    if (status != TL_OK)
        snprintf(reason, REASON_SIZE, "%s", error.message);
    tl_context_destroy(set.context);
    cli_data_inputs_free(&set.inputs);
    cli_names_free(&outputs);
}

/* Runs all data sets up to the first that fails. */
static tl_status try_data_sets(cli_case *test, tl_session *session, cli_tolerance tolerance, char *reason,
                               tl_error *error)
{
    cli_names sets;
    tl_status status = cli_names_list(&sets, test->path, "test_data_set_", "", error);
    if (status != TL_OK)
        return status;
    if (sets.count == 0)
        snprintf(reason, REASON_SIZE, "there is no test_data_set_*");
    for (size_t k = 0; k < sets.count && !*reason; k++) {
        char *folder = cli_join(test->path, sets.items[k], error);
        if (!folder) {
            status = TL_NO_MEMORY;
            break;
        }
        try_data_set(session, folder, tolerance, reason);
        if (*reason && sets.count > 1) {
            char why[REASON_SIZE];
            memcpy(why, reason, sizeof why);
            snprintf(reason, REASON_SIZE, "%.60s: %.1400s", sets.items[k], why);
        }
        free(folder);
    }
    cli_names_free(&sets);
    return status;
}

/* The case's folder stands in front of the reason anyway. */
static const char *without_folder(const char *reason, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(reason, folder, length) == 0 && reason[length] == '/' ? reason + length + 1 : reason;
}

tl_status cli_case_run(cli_case *test, tl_runtime *runtime, const cli_options *options, cli_tolerance tolerance,
                       tl_error *error)
{
    char reason[REASON_SIZE] = "";
    tl_error why = {0};
    tl_session *session = NULL;
    double begin = cli_now();
    char *model = cli_join(test->path, "model.onnx", error);
    if (!model)
        return TL_NO_MEMORY;
    tl_status opened = cli_session_open(runtime, model, options, 0, &session, &why), status = TL_OK;
    free(model);
    if (opened == TL_OK)
        status = try_data_sets(test, session, tolerance, reason, error);
    else
        snprintf(reason, sizeof reason, "%s", why.message);
    tl_session_destroy(session);
    test->seconds = cli_now() - begin;
    test->outcome = opened == TL_UNSUPPORTED ? CLI_SKIPPED : *reason ? CLI_NOT_PASSED : CLI_PASSED;
    test->reason = *reason ? strdup(without_folder(reason, test->path)) : NULL;
    if (status == TL_OK && *reason && !test->reason)
        status = tl_error_no_memory(error);
    return status;
}

/* ---- --skips */

static tl_status add_skip(cli_skips *skips, const char *path, size_t line, char *text, tl_error *error)
{
    char *name = text + strspn(text, " \t");
    size_t length = strcspn(name, " \t");
    if (!*name || *name == '#')
        return TL_OK;
    char *reason = name + length + strspn(name + length, " \t");
    if (!*reason)
        return tl_error_set(error, TL_INVALID_INPUT, "%s:%zu: '%.200s' has no reason behind it", path, line, name);
    name[length] = 0;
    char *name_copy = strdup(name), *reason_copy = strdup(reason);
    if (!name_copy || !reason_copy ||
        !cli_grow(&skips->items, skips->count, &skips->capacity, sizeof skips->items[0])) {
        free(name_copy);
        free(reason_copy);
        return tl_error_no_memory(error);
    }
    skips->items[skips->count++] = (cli_skip){.name = name_copy, .reason = reason_copy, .line = line};
    return TL_OK;
}

tl_status cli_skips_read(cli_skips *skips, const char *path, tl_error *error)
{
    *skips = (cli_skips){.path = path};
    FILE *file = fopen(path, "r");
    if (!file)
        return tl_error_set(error, TL_IO, "%s: cannot be opened: %s", path, strerror(errno));
    char *text = NULL;
    size_t capacity = 0, line = 0;
    tl_status status = TL_OK;
    while (status == TL_OK && getline(&text, &capacity, file) >= 0) {
        text[strcspn(text, "\r\n")] = 0;
        status = add_skip(skips, path, ++line, text, error);
    }
    if (status == TL_OK && !feof(file))
        status = tl_error_set(error, TL_IO, "%s: cannot be read: %s", path, strerror(errno));
    free(text);
    fclose(file);
    if (status != TL_OK)
        cli_skips_free(skips);
    return status;
}

const cli_skip *cli_skips_find(cli_skips *skips, const char *path)
{
    size_t length = strlen(path);
    const cli_skip *found = NULL;
    for (size_t k = 0; k < skips->count; k++) {
        cli_skip *skip = &skips->items[k];
        size_t n = strlen(skip->name);
        if (n > length || strcmp(path + length - n, skip->name) != 0 || (n < length && path[length - n - 1] != '/'))
            continue;
        skip->used = true;
        if (!found)
            found = skip;
    }
    return found;
}

void cli_skips_free(cli_skips *skips)
{
    for (size_t k = 0; k < skips->count; k++) {
        free(skips->items[k].name);
        free(skips->items[k].reason);
    }
    free(skips->items);
    *skips = (cli_skips){0};
}
