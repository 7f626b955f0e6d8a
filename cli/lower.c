/* tapline lower: operators that only Tapline has, as the standard's. */
#include <stdlib.h>
#include "commands.h"
#include "program.h"
#include "save/save.h"

static const cli_option option_table[] = {
    CLI_OPTION('o', "output", CLI_TEXT, output, "OUT", "the model file to write"),
    CLI_OPTION_PLUGINS,
    CLI_OPTION_COMMON,
};

static int run(const cli_options *options)
{
    if (!options->output)
        return cli_wrong_usage("lower", "-o OUT is missing");
    tl_error error;
    tl_runtime *runtime;
    tl_edit *edit = NULL;
    size_t count = 0;
    tl_status status = cli_runtime_create(options, &runtime, &error);
    if (status == TL_OK)
        status = tl_edit_open(runtime, options->operands.items[0], &edit, &error);
    if (status == TL_OK)
        status = tl_edit_lower(edit, &count, &error);
    if (status == TL_OK)
        status = tl_edit_write(edit, options->output, &error);
    tl_edit_close(edit);
    tl_runtime_destroy(runtime);
    if (status != TL_OK)
        return cli_report(&error);
    if (!options->quiet)
        printf("%zu node%s lowered\n", count, count == 1 ? "" : "s");
    return CLI_OK;
}

const cli_command cli_command_lower = {
    .name = "lower",
    .operands = "MODEL",
    .least = 1,
    .most = 1,
    .summary = "Writes every SeparableConv1D of a model as a grouped Conv and a 1x1 Conv.",
    .details = "The written model runs wherever ONNX does. Everything else in it stays as it is, but for functions: "
               "where one of them holds the operator, all are written out where they are called.",
    .options = option_table,
    .option_count = TL_COUNT(option_table),
    .run = run,
};
