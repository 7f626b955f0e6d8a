/* tapline operators: what this program has. */
#include "commands.h"
#include "program.h"

static const cli_option option_table[] = {
    CLI_OPTION_PLUGINS,
    CLI_OPTION_COMMON,
};

/* One line per operator: domain, name, and the versions at which it changed. */
static size_t print_operators(const tl_runtime *runtime)
{
    tl_operator_info info, last = {0};
    size_t count = 0;
    for (size_t k = 0; tl_runtime_operator(runtime, k, &info); k++) {
        bool same = last.name && strcmp(last.name, info.name) == 0 && strcmp(last.domain, info.domain) == 0;
        if (same) {
            printf(", %d", (int)info.since_version);
        } else {
            if (count++)
                putchar('\n');
            printf("%s::%s  %d", *info.domain ? info.domain : "ai.onnx", info.name, (int)info.since_version);
        }
        if (info.until_version)
            printf(" (until %d)", (int)info.until_version - 1);
        last = info;
    }
    if (count)
        putchar('\n');
    return count;
}

static int run(const cli_options *options)
{
    tl_error error;
    tl_runtime *runtime;
    if (cli_runtime_create(options, &runtime, &error) != TL_OK)
        return cli_report(&error);
    size_t count = print_operators(runtime);
    if (!options->quiet)
        printf("%zu operators\n", count);
    tl_runtime_destroy(runtime);
    return CLI_OK;
}

const cli_command cli_command_operators = {
    .name = "operators",
    .operands = "",
    .least = 0,
    .most = 0,
    .summary = "Lists the operators that models can use, with the versions at which they changed.",
    .options = option_table,
    .option_count = TL_COUNT(option_table),
    .run = run,
};
