#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "options.h"

static void *field(cli_options *options, const cli_option *option)
{
    return (char *)options + option->offset;
}

static bool texts_add(cli_texts *texts, const char *text)
{
    if (!cli_grow(&texts->items, texts->count, &texts->capacity, sizeof texts->items[0]))
        return false;
    texts->items[texts->count++] = text;
    return true;
}

/* Changes that turn `a` into `b`, counted up to the lengths that option names have. */
static size_t edit_distance(const char *a, size_t length, const char *b)
{
    enum { MOST = 32 };
    size_t row[MOST + 1], n = strlen(b);
    if (length > MOST || n > MOST)
        return MOST;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; i <= length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[n];
}

static int unknown_option(const cli_command *command, const char *name, size_t length)
{
    const char *nearest = NULL;
    size_t distance = 3;
    for (size_t k = 0; k < command->option_count; k++) {
        size_t d = edit_distance(name, length, command->options[k].name);
        if (d < distance) {
            distance = d;
            nearest = command->options[k].name;
        }
    }
    if (nearest)
        return cli_wrong_usage(command->name, "unknown option --%.*s (did you mean --%s?)", (int)length, name, nearest);
    return cli_wrong_usage(command->name, "unknown option --%.*s", (int)length, name);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *c = choices; *c;) {
        size_t n = strcspn(c, "|");
        if (n == length && memcmp(c, text, n) == 0)
            return true;
        c += n + (c[n] == '|');
    }
    return false;
}

static int set_integer(const cli_command *command, const cli_option *option, cli_integer *to, const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)value < option->minimum || (double)value > option->maximum)
        return cli_wrong_usage(command->name, "--%s takes a whole number from %.0f to %.0f, not '%s'", option->name,
                               option->minimum, option->maximum, text);
    *to = (cli_integer){true, value};
    return CLI_OK;
}

static int set_real(const cli_command *command, const cli_option *option, cli_real *to, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < option->minimum || value > option->maximum)
        return cli_wrong_usage(command->name, "--%s takes a number from %g to %g, not '%s'", option->name,
                               option->minimum, option->maximum, text);
    *to = (cli_real){true, value};
    return CLI_OK;
}

static int set_option(cli_options *options, const cli_command *command, const cli_option *option, const char *value)
{
    void *to = field(options, option);
    if (option->kind == CLI_FLAG) {
        *(bool *)to = true;
        return CLI_OK;
    }
    if (option->choices && !is_choice(option->choices, value))
        return cli_wrong_usage(command->name, "--%s takes %s, not '%s'", option->name, option->choices, value);
    if (!*value)
        return cli_wrong_usage(command->name, "--%s has an empty value", option->name);
    switch (option->kind) {
    case CLI_FLAG:
        break;
    case CLI_TEXT:
        *(const char **)to = value;
        return CLI_OK;
    case CLI_TEXTS:
        return texts_add(to, value) ? CLI_OK : cli_fail("out of memory");
    case CLI_INTEGER:
        return set_integer(command, option, to, value);
    case CLI_REAL:
        return set_real(command, option, to, value);
    }
    return CLI_OK;
}

/* "--name", "--name=value", "--name value". */
static int parse_long(cli_options *options, const cli_command *command, int count, char *const *arguments, int *at)
{
    const char *name = arguments[*at] + 2;
    size_t length = strcspn(name, "=");
    const cli_option *option = NULL;
    for (size_t k = 0; k < command->option_count && !option; k++)
        if (strlen(command->options[k].name) == length && memcmp(command->options[k].name, name, length) == 0)
            option = &command->options[k];
    if (!option)
        return unknown_option(command, name, length);
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (option->kind == CLI_FLAG) {
        if (value)
            return cli_wrong_usage(command->name, "--%s takes no value", option->name);
        return set_option(options, command, option, NULL);
    }
    if (!value) {
        if (*at + 1 >= count)
            return cli_wrong_usage(command->name, "--%s needs a value (%s)", option->name, option->argument);
        value = arguments[++*at];
    }
    return set_option(options, command, option, value);
}

/* "-x", "-xyz" for flags, "-xVALUE", "-x VALUE". */
static int parse_letters(cli_options *options, const cli_command *command, int count, char *const *arguments, int *at)
{
    for (const char *c = arguments[*at] + 1; *c; c++) {
        const cli_option *option = NULL;
        for (size_t k = 0; k < command->option_count && !option; k++)
            if (command->options[k].letter == *c)
                option = &command->options[k];
        if (!option)
            return cli_wrong_usage(command->name, "unknown option -%c", *c);
        if (option->kind == CLI_FLAG) {
            set_option(options, command, option, NULL);
            continue;
        }
        if (c[1])
            return set_option(options, command, option, c + 1);
        if (*at + 1 >= count)
            return cli_wrong_usage(command->name, "-%c needs a value (%s)", *c, option->argument);
        return set_option(options, command, option, arguments[++*at]);
    }
    return CLI_OK;
}

static bool asks_for_help(const cli_command *command, int count, char *const *arguments)
{
    for (int k = 0; k < count && strcmp(arguments[k], "--") != 0; k++)
        if (strcmp(arguments[k], "--help") == 0 || strcmp(arguments[k], "-h") == 0)
            for (size_t i = 0; i < command->option_count; i++)
                if (strcmp(command->options[i].name, "help") == 0)
                    return true;
    return false;
}

int cli_options_parse(cli_options *options, const cli_command *command, int count, char *const *arguments)
{
    memset(options, 0, sizeof *options);
    if (asks_for_help(command, count, arguments)) {
        options->help = true;
        return CLI_OK;
    }
    bool only_operands = false;
    for (int at = 0; at < count; at++) {
        const char *argument = arguments[at];
        int code = CLI_OK;
        if (!only_operands && strcmp(argument, "--") == 0)
            only_operands = true;
        else if (!only_operands && argument[0] == '-' && argument[1] == '-')
            code = parse_long(options, command, count, arguments, &at);
        else if (!only_operands && argument[0] == '-' && argument[1])
            code = parse_letters(options, command, count, arguments, &at);
        else if (options->operands.count >= command->most)
            code = cli_wrong_usage(command->name, "'%s' is one argument too many", argument);
        else if (!texts_add(&options->operands, argument))
            code = cli_fail("out of memory");
        if (code != CLI_OK)
            return code;
    }
    if (options->operands.count < command->least)
        return cli_wrong_usage(command->name, "%s is missing", command->operands);
    return CLI_OK;
}

void cli_options_free(cli_options *options)
{
    free(options->operands.items);
    free(options->inputs.items);
    free(options->dims.items);
    free(options->plugins.items);
    free(options->disabled.items);
    memset(options, 0, sizeof *options);
}

void cli_print_wrapped(FILE *file, const char *text, size_t indent, size_t column)
{
    enum { WIDTH = 80 };
    bool first = true;
    while (*text) {
        size_t length = strcspn(text, " \n");
        if (!first && column + 1 + length > WIDTH) {
            fprintf(file, "\n%*s", (int)indent, "");
            column = indent;
            first = true;
        }
        if (!first) {
            fputc(' ', file);
            column++;
        }
        fwrite(text, 1, length, file);
        column += length;
        text += length;
        first = false;
        if (*text == '\n') {
            fprintf(file, "\n%*s", text[1] ? (int)indent : 0, "");
            column = indent;
            first = true;
        }
        if (*text)
            text++;
    }
    if (!first)
        fputc('\n', file);
}

void cli_options_help(const cli_command *command, FILE *file)
{
    enum { INDENT = 28 };
    fprintf(file, "usage: tapline %s%s%s [options]\n\n", command->name, *command->operands ? " " : "",
            command->operands);
    cli_print_wrapped(file, command->summary, 0, 0);
    if (command->details) {
        fputc('\n', file);
        cli_print_wrapped(file, command->details, 0, 0);
    }
    fputs("\noptions:\n", file);
    for (size_t k = 0; k < command->option_count; k++) {
        const cli_option *option = &command->options[k];
        char head[64] = "    ";
        if (option->letter)
            snprintf(head, sizeof head, "-%c, ", option->letter);
        size_t used = strlen(head);
        snprintf(head + used, sizeof head - used, "--%s%s%s", option->name, option->argument ? " " : "",
                 option->argument ? option->argument : "");
        int column = fprintf(file, "  %s", head);
        if (column > INDENT - 2) {
            fputc('\n', file);
            column = 0;
        }
        fprintf(file, "%*s", INDENT - column, "");
        cli_print_wrapped(file, option->help, INDENT, INDENT);
    }
}

bool cli_parse_dim(const char *text, size_t *name_length, int64_t *value)
{
    const char *equals = strrchr(text, '=');
    if (!equals || equals == text || equals[1] < '0' || equals[1] > '9')
        return false;
    char *end;
    errno = 0;
    long long number = strtoll(equals + 1, &end, 10);
    if (*end || errno)
        return false;
    *name_length = (size_t)(equals - text);
    *value = number;
    return true;
}
