/* tapline lower: operators that only Tapline has, as the standard's. tapline fuse: depthwise and pointwise
 * convolutions, however an exporter wrote them, as one of those operators. */
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

/* Lowers, or applies the rule; *count is how often. */
static tl_status rewrite(const cli_options *options, const char *rule, size_t *count, tl_error *error)
{
    tl_runtime *runtime;
    tl_edit *edit = NULL;
    tl_status status = cli_runtime_create(options, &runtime, error);
    if (status == TL_OK)
        status = tl_edit_open(runtime, options->operands.items[0], &edit, error);
    if (status == TL_OK)
        status = rule ? tl_edit_apply(edit, rule, count, error) : tl_edit_lower(edit, count, error);
    if (status == TL_OK)
        status = tl_edit_write(edit, options->output, error);
    tl_edit_close(edit);
    tl_runtime_destroy(runtime);
    return status;
}

static int run(const cli_options *options, const char *rule)
{
    if (!options->output)
        return cli_wrong_usage(rule ? "fuse" : "lower", "-o OUT is missing");
    tl_error error;
    size_t count = 0;
    if (rewrite(options, rule, &count, &error) != TL_OK)
        return cli_report(&error);
    if (!options->quiet && rule)
        printf("%zu SeparableConv1D\n", count);
    else if (!options->quiet)
        printf("%zu node%s lowered\n", count, count == 1 ? "" : "s");
    return CLI_OK;
}

static int lower(const cli_options *options)
{
    return run(options, NULL);
}

static int fuse(const cli_options *options)
{
    return run(options, RULE);
}

const cli_command cli_command_lower = {
    .name = "lower",
    .operands = "MODEL",
    .least = 1,
    .most = 1,
    .summary = "Writes every SeparableConv1D of a model as a grouped Conv and a 1x1 Conv.",
    .details = "The written model runs wherever ONNX does. Everything else in it stays as it is. The operator in a "
               "function is written there, unless its calls disagree in what that needs: then the function is written "
               "out where it is called, with a warning.",
    .options = option_table,
    .option_count = TL_COUNT(option_table),
    .run = lower,
};

const cli_command cli_command_fuse = {
    .name = "fuse",
    .operands = "MODEL",
    .least = 1,
    .most = 1,
    .summary = "Writes every depthwise and pointwise convolution over time as one SeparableConv1D; prints how many.",
    .details = "What belongs to the pair goes into the operator: padding, bias, batch normalization, activation. A "
               "function that only one side of a pair is in is written out where it is called, with a warning. "
               "'tapline lower' is the reverse.",
    .options = option_table,
    .option_count = TL_COUNT(option_table),
    .run = fuse,
};
