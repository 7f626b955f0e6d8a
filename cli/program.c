#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "exec/inspect.h"
#include "program.h"

/* The plugins that come with the program, by the names of their files; set by the build. */
static const char *const shipped[] = {TAPLINE_SHIPPED_PLUGINS, NULL};

static void log_line(void *user, tl_log_level level, const char *message)
{
    const cli_options *options = user;
    if (options->quiet || (level >= TL_LOG_INFO && !options->verbose))
        return;
    cli_progress_clear();
    fprintf(stderr, "%s: %s\n", level >= TL_LOG_INFO ? "note" : "warning", message);
}

/* Times and results of other instructions than those that were asked for would mislead. */
static void check_isa(const cli_options *options)
{
    const char *asked = getenv("TAPLINE_ISA");
    tl_error note;
    if (!asked || !*asked || strcmp(asked, tl_isa()) == 0)
        return;
    tl_error_set(&note, TL_OK, "TAPLINE_ISA is '%.40s', which is not to be had here: %s is used", asked, tl_isa());
    log_line((void *)(uintptr_t)options, TL_LOG_WARNING, note.message);
}

/* The folder that the program itself lies in, on the heap; NULL where the system does not say. */
static char *own_folder(void)
{
    size_t size = 4096;
    char *path = malloc(size);
    ssize_t length = path ? readlink("/proc/self/exe", path, size - 1) : -1;
    if (length <= 0 || (size_t)length >= size - 1) {
        free(path);
        return NULL;
    }
    path[length] = 0;
    char *slash = strrchr(path, '/');
    if (slash)
        *(slash == path ? slash + 1 : slash) = 0;
    return path;
}

char *cli_plugin_find(const char *folder, const char *file)
{
    static const char *const places[] = {"plugins", TAPLINE_PLUGIN_FOLDER};
    for (size_t k = 0; k < TL_COUNT(places); k++) {
        char *inner = cli_join(folder, places[k], NULL);
        char *path = inner ? cli_join(inner, file, NULL) : NULL;
        free(inner);
        if (path && access(path, F_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A shipped plugin that --plugin names as well is loaded once. */
static bool is_named(const cli_options *options, const char *path)
{
    for (size_t k = 0; k < options->plugins.count; k++)
        if (same_file(options->plugins.items[k], path))
            return true;
    return false;
}

static tl_status load_shipped(tl_runtime *runtime, const cli_options *options, tl_error *error)
{
    char *folder = own_folder();
    tl_status status = TL_OK;
    for (size_t k = 0; folder && shipped[k] && status == TL_OK; k++) {
        char *path = cli_plugin_find(folder, shipped[k]);
        if (!path && options->verbose)
            fprintf(stderr, "note: the plugin %s is not beside the program\n", shipped[k]);
        if (path && !is_named(options, path))
            status = tl_plugin_load(runtime, path, error);
        if (path && status == TL_OK && options->verbose)
            fprintf(stderr, "note: plugin %s\n", path);
        free(path);
    }
    free(folder);
    return status;
}

static tl_status load_named(tl_runtime *runtime, const cli_options *options, tl_error *error)
{
    for (size_t k = 0; k < options->plugins.count; k++) {
        const char *path = options->plugins.items[k];
        bool again = false;
        for (size_t j = 0; j < k && !again; j++)
            again = same_file(options->plugins.items[j], path);
        tl_status status = again ? TL_OK : tl_plugin_load(runtime, path, error);
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

tl_status cli_runtime_create(const cli_options *options, tl_runtime **runtime, tl_error *error)
{
    tl_runtime_options settings = {
        .size = sizeof settings,
        .logger = log_line,
        .logger_user = (void *)(uintptr_t)options,
        .threads = options->threads.given ? (int32_t)options->threads.value : 1,
    };
    *runtime = NULL;
    check_isa(options);
    tl_status status = tl_runtime_create(&settings, runtime, error);
    if (status == TL_OK && !options->no_plugins)
        status = load_shipped(*runtime, options, error);
    if (status == TL_OK)
        status = load_named(*runtime, options, error);
    if (status != TL_OK) {
        tl_runtime_destroy(*runtime);
        *runtime = NULL;
    }
    return status;
}

tl_status cli_session_open(tl_runtime *runtime, const char *path, const cli_options *options, uint32_t flags,
                           tl_session **session, tl_error *error)
{
    const char **disabled = calloc(options->disabled.count + 1, sizeof disabled[0]); /* NULL at the end */
    if (!disabled)
        return tl_error_no_memory(error);
    if (options->disabled.count)
        memcpy(disabled, options->disabled.items, options->disabled.count * sizeof disabled[0]);
    tl_session_options settings = {
        .size = sizeof settings,
        .flags = flags | (options->no_rewrites ? TL_SESSION_NO_REWRITES : 0),
        .disabled_rules = disabled,
    };
    tl_status status = tl_session_open(runtime, path, &settings, session, error);
    free(disabled);
    return status;
}

tl_status cli_program_open(cli_program *program, const cli_options *options, uint32_t flags, tl_error *error)
{
    *program = (cli_program){0};
    tl_status status = cli_runtime_create(options, &program->runtime, error);
    if (status == TL_OK)
        status =
            cli_session_open(program->runtime, options->operands.items[0], options, flags, &program->session, error);
    if (status != TL_OK)
        cli_program_close(program);
    return status;
}

void cli_program_close(cli_program *program)
{
    tl_session_destroy(program->session);
    tl_runtime_destroy(program->runtime);
    *program = (cli_program){0};
}

static const char *symbol_name(const void *session, tl_dim dim)
{
    return tl_session_symbol(session, dim);
}

char *cli_describe(const tl_session *session, const tl_tensor *tensor, char *buffer, size_t size)
{
    return tl_tensor_describe(tensor, symbol_name, session, buffer, size);
}

char *cli_describe_info(const tl_session *session, const tl_value_info *info, char *buffer, size_t size)
{
    static const char *const kinds[] = {[TL_KIND_SEQUENCE] = "sequence of ", [TL_KIND_OPTIONAL] = "optional "};
    if (info->kind == TL_KIND_MAP) {
        snprintf(buffer, size, "map");
        return buffer;
    }
    const char *kind = (size_t)info->kind < TL_COUNT(kinds) && kinds[info->kind] ? kinds[info->kind] : "";
    int used = snprintf(buffer, size, "%s", kind);
    if (used >= 0 && (size_t)used < size)
        cli_describe(session, &info->tensor, buffer + used, size - (size_t)used);
    return buffer;
}
