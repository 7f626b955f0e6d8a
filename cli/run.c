/* tapline run: one run of a model. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "commands.h"
#include "inputs.h"
#include "program.h"

static const cli_option option_table[] = {
    CLI_OPTION_INPUT,
    CLI_OPTION('o', "output", CLI_TEXT, output, "DIR", "write output k to DIR/output_k.npy (or .pb)"),
    {.name = "format",
     .kind = CLI_TEXT,
     .offset = offsetof(cli_options, format),
     .argument = "npy|pb",
     .help = "format of -o: NumPy's (default), or ONNX protobuf, which has every type",
     .choices = "npy|pb"},
    CLI_OPTION_RANDOM,
    CLI_OPTION_DIM,
    CLI_OPTION_THREADS,
    CLI_OPTION_PLUGINS,
    CLI_OPTION_REWRITES,
    CLI_OPTION_COMMON,
};

/* Makes a folder and those around it. */
static tl_status make_folder(const char *path, tl_error *error)
{
    char *copy = strdup(path);
    if (!copy)
        return tl_error_no_memory(error);
    tl_status status = TL_OK;
    for (char *c = copy + 1; status == TL_OK; c++) {
        bool end = *c == 0;
        if (!end && *c != '/')
            continue;
        *c = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            status = tl_error_set(error, TL_IO, "%s: the folder cannot be made: %s", copy, strerror(errno));
        if (end)
            break;
        *c = '/';
    }
    struct stat about;
    if (status == TL_OK && (stat(copy, &about) != 0 || !S_ISDIR(about.st_mode)))
        status = tl_error_set(error, TL_IO, "%s: not a folder", copy);
    free(copy);
    return status;
}

static bool wants_pb(const cli_options *options)
{
    return options->format && strcmp(options->format, "pb") == 0;
}

/* Whether the outputs can be written as asked, as far as that is known ahead of the run. */
static tl_status check_format(const tl_session *session, const cli_options *options, tl_error *error)
{
    tl_value_info info;
    for (size_t k = 0; options->output && !wants_pb(options) && tl_session_output(session, k, &info); k++) {
        tl_status status = cli_value_check_npy(info.name, info.kind, info.tensor.type, error);
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

static tl_status save(tl_context *context, const tl_session *session, const cli_options *options, tl_error *error)
{
    tl_value_info info;
    tl_status status = make_folder(options->output, error);
    for (size_t k = 0; status == TL_OK && tl_session_output(session, k, &info); k++) {
        cli_value value = {0};
        char name[64];
        snprintf(name, sizeof name, "output_%zu.%s", k, wants_pb(options) ? "pb" : "npy");
        char *path = cli_join(options->output, name, error);
        status = path ? cli_value_output(context, k, &value, error) : TL_NO_MEMORY;
        value.content.name = info.name;
        if (status == TL_OK)
            status = cli_value_write(path, wants_pb(options), &value, error);
        if (status == TL_OK && options->verbose)
            printf("%s  %s\n", path, info.name);
        cli_value_free(&value);
        free(path);
    }
    return status;
}

static tl_status summarize(tl_context *context, const tl_session *session, const cli_options *options, tl_error *error)
{
    tl_value_info info;
    tl_status status = TL_OK;
    for (size_t k = 0; status == TL_OK && !options->quiet && tl_session_output(session, k, &info); k++) {
        cli_value value;
        status = cli_value_output(context, k, &value, error);
        if (status == TL_OK)
            cli_value_print(stdout, info.name, &value.content, options->verbose);
        cli_value_free(&value);
    }
    return status;
}

static int run(const cli_options *options)
{
    int code = cli_dims_check_form(options, "run");
    if (code != CLI_OK)
        return code;
    if (options->format && !options->output)
        return cli_wrong_usage("run", "--format says how -o writes, but there is no -o");
    tl_error error;
    cli_program program;
    cli_inputs inputs = {0};
    tl_context *context = NULL;
    tl_status status = cli_program_open(&program, options, 0, &error);
    if (status == TL_OK)
        status = check_format(program.session, options, &error);
    if (status == TL_OK)
        status = cli_inputs_load(&inputs, program.session, options, &error);
    if (status == TL_OK)
        status = tl_context_create(program.session, &context, &error);
    if (status == TL_OK)
        status = cli_inputs_bind(&inputs, context, &error);
    if (status == TL_OK)
        status = tl_context_run(context, &error);
    if (status == TL_OK)
        status = options->output ? save(context, program.session, options, &error)
                                 : summarize(context, program.session, options, &error);
    tl_context_destroy(context);
    cli_inputs_free(&inputs);
    cli_program_close(&program);
    return status == TL_OK ? CLI_OK : cli_report(&error);
}

const cli_command cli_command_run = {
    .name = "run",
    .operands = "MODEL",
    .least = 1,
    .most = 1,
    .summary = "Runs a model once and prints its outputs, or writes them to files.",
    .options = option_table,
    .option_count = TL_COUNT(option_table),
    .run = run,
};
