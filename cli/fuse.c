/* tapline fuse: depthwise and pointwise convolutions, however an exporter wrote them, as one operator. */
#include <stdlib.h>
#include "commands.h"
#include "program.h"
#include "save/save.h"

#define RULE "separable_conv1d.fuse"

static const cli_option option_table[] = {
    CLI_OPTION('o', "output", CLI_TEXT, output, "OUT", "the model file to write"),
    CLI_OPTION_PLUGINS,
    CLI_OPTION_COMMON,
};

static int run(const cli_options *options)
{
    if (!options->output)
        return cli_wrong_usage("fuse", "-o OUT is missing");
    tl_error error;
    tl_runtime *runtime;
    tl_edit *edit = NULL;
    size_t count = 0;
    tl_status status = cli_runtime_create(options, &runtime, &error);
    if (status == TL_OK)
        status = tl_edit_open(runtime, options->operands.items[0], &edit, &error);
    if (status == TL_OK)
        status = tl_edit_apply(edit, RULE, &count, &error);
    if (status == TL_OK)
        status = tl_edit_write(edit, options->output, &error);
    tl_edit_close(edit);
    tl_runtime_destroy(runtime);
    if (status != TL_OK)
        return cli_report(&error);
    if (!options->quiet)
        printf("%zu SeparableConv1D\n", count);
    return CLI_OK;
}

const cli_command cli_command_fuse = {
    .name = "fuse",
    .operands = "MODEL",
    .least = 1,
    .most = 1,
    .summary = "Writes every depthwise and pointwise convolution over time as one SeparableConv1D; prints how many.",
    .details = "What belongs to the pair goes into the operator: padding, bias, batch normalization, activation. "
               "'tapline lower' is the reverse.",
    .options = option_table,
    .option_count = TL_COUNT(option_table),
    .run = run,
};
