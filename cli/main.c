/* The program: finds the command, reads its options, runs it. */
#include <signal.h>
#include "commands.h"

static const cli_command *const commands[] = {&cli_command_run,      &cli_command_test,  &cli_command_inspect,
                                              &cli_command_bench,    &cli_command_lower, &cli_command_fuse,
#if TAPLINE_LAYER
                                              &cli_command_layer,
#endif
                                              &cli_command_operators};

static int print_help(void)
{
    printf("usage: tapline COMMAND ...\n\nRuns exported ONNX models.\n\ncommands:\n");
    for (size_t k = 0; k < TL_COUNT(commands); k++) {
        int column = printf("  %s %s", commands[k]->name, commands[k]->operands);
        printf("%*s", 22 - column, "");
        cli_print_wrapped(stdout, commands[k]->summary, 22, 22);
    }
    printf("\n'tapline COMMAND --help' tells more. 'tapline --version' prints versions.\n");
    return cli_finish(CLI_OK);
}

static int print_version(void)
{
    printf("tapline %s (%s)\n", tl_version(), tl_isa());
    return cli_finish(CLI_OK);
}

static int run_command(const cli_command *command, int count, char **arguments)
{
    cli_options options;
    int code = cli_options_parse(&options, command, count, arguments);
    if (code == CLI_OK && options.help)
        cli_options_help(command, stdout);
    else if (code == CLI_OK) {
        if (options.quiet)
            cli_progress_off();
        code = command->run(&options);
    }
    cli_options_free(&options);
    return cli_finish(code);
}

int main(int count, char **arguments)
{
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write that fails */
    if (count < 2)
        return cli_wrong_usage("", "no command is given");
    const char *name = arguments[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return print_help();
    if (strcmp(name, "--version") == 0)
        return print_version();
    for (size_t k = 0; k < TL_COUNT(commands); k++)
        if (strcmp(commands[k]->name, name) == 0)
            return run_command(commands[k], count - 2, arguments + 2);
    return cli_wrong_usage("", "there is no command '%s'", name);
}
