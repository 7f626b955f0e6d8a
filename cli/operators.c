/* tapline operators: what this program has. */
#include "commands.h"
#include "plugin/runtime.h"
#include "program.h"

static const cli_option option_table[] = {
    CLI_OPTION(0, "markdown", CLI_FLAG, markdown, NULL, "as a table with element types (docs/operators.md)"),
    CLI_OPTION_PLUGINS,
    CLI_OPTION_COMMON,
};

/* One line per operator: domain, name, and the versions at which it changed. */
static size_t print_operators(const tl_runtime *runtime)
{
    tl_operator_info info, last = {0};
    size_t count = 0;
    for (size_t k = 0; tl_runtime_operator(runtime, k, &info); k++) {
        if (strcmp(info.domain, TL_DOMAIN_INTERNAL) == 0) /* refused in files */
            continue;
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

/* The names of a set of types, the usual sets in one word. */
static void print_types(tl_types types)
{
    static const struct {
        tl_types types;
        const char *name;
    } sets[] = {
        {TL_T_ALL, "all"},           {TL_T_NUMERIC, "numeric"}, {TL_T_FLOATS, "floats"},
        {TL_T_INTEGERS, "integers"}, {TL_T_SIGNED, "signed"},   {TL_T_UNSIGNED, "unsigned"},
    };
    const char *comma = "";
    for (size_t k = 0; k < TL_COUNT(sets); k++)
        if ((types & sets[k].types) == sets[k].types) {
            printf("%s%s", comma, sets[k].name);
            types &= ~sets[k].types;
            comma = ", ";
        }
    for (int type = 1; type < TL_TYPE_COUNT; type++)
        if (types & TL_T(type)) {
            printf("%s%s", comma, tl_type_name((tl_type)type));
            comma = ", ";
        }
}

static void print_params(const tl_param *params, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        printf("%s%s%s: ", k ? "; " : "", params[k].name,
               params[k].flags & TL_PARAM_VARIADIC   ? "..."
               : params[k].flags & TL_PARAM_OPTIONAL ? "?"
                                                     : "");
        print_types(params[k].types);
    }
}

static void print_markdown(const tl_runtime *runtime)
{
    printf("# Operators\n\n"
           "Made by `tapline operators --markdown`. A row holds from its version on, up to the next row of the name.\n"
           "`floats`: float, double, float16, bfloat16; `?`: optional; `...`: any number.\n\n"
           "| operator | from | inputs | outputs |\n|---|---|---|---|\n");
    for (size_t k = 0; k < runtime->registry.operator_count; k++) {
        const tl_operator *op = runtime->registry.operators[k];
        if (strcmp(op->domain, TL_DOMAIN_INTERNAL) == 0)
            continue;
        printf("| %s%s%s | %d", op->domain, *op->domain ? "::" : "", op->name, (int)op->since_version);
        if (op->until_version)
            printf(" to %d", (int)op->until_version - 1);
        printf(" | ");
        print_params(op->inputs, op->input_count);
        printf(" | ");
        print_params(op->outputs, op->output_count);
        printf(" |\n");
    }
}

static int run(const cli_options *options)
{
    tl_error error;
    tl_runtime *runtime;
    if (cli_runtime_create(options, &runtime, &error) != TL_OK)
        return cli_report(&error);
    if (options->markdown) {
        print_markdown(runtime);
    } else {
        size_t count = print_operators(runtime);
        if (!options->quiet)
            printf("%zu operators\n", count);
    }
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
