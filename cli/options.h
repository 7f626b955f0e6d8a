/* Options of the commands, in tables: the parser, the checks and --help all read the same table. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli.h"

typedef enum cli_option_kind {
    CLI_FLAG,    /* bool */
    CLI_TEXT,    /* const char *, NULL where not given */
    CLI_TEXTS,   /* cli_texts, may come several times */
    CLI_INTEGER, /* cli_integer */
    CLI_REAL     /* cli_real */
} cli_option_kind;

typedef struct cli_texts {
    const char **items;
    size_t count, capacity;
} cli_texts;

typedef struct cli_integer {
    bool given;
    int64_t value;
} cli_integer;

typedef struct cli_real {
    bool given;
    double value;
} cli_real;

/* What the command line said; a command reads the fields that its table names. Texts are the command line's own. */
typedef struct cli_options {
    cli_texts operands;
    bool help, quiet, verbose, no_plugins, markdown, no_rewrites, optimize, show;
    cli_texts inputs, dims, plugins, disabled;
    const char *output, *format, *json, *junit, *skips, *svg, *profile, *bisect, *weights;
    cli_integer threads, random, channels, length, keras;
    cli_real seconds, rtol, atol;
} cli_options;

typedef struct cli_option {
    const char *name;
    size_t offset; /* in cli_options */
    cli_option_kind kind;
    char letter;          /* 0: none */
    const char *argument; /* its name in --help; NULL: a flag */
    const char *help;
    const char *choices; /* "npy|pb": nothing else is taken; NULL: anything */
    double minimum, maximum;
} cli_option;

typedef struct cli_command {
    const char *name;
    const char *operands; /* "MODEL", for --help */
    size_t least, most;   /* number of operands */
    const char *summary;  /* one line */
    const char *details;  /* a paragraph for --help, or NULL */
    const cli_option *options;
    size_t option_count;
    int (*run)(const cli_options *options); /* an exit code */
} cli_command;

#define CLI_OPTION(letter_, name_, kind_, field, argument_, help_)                               \
    {                                                                                            \
        .letter = letter_, .name = name_, .kind = kind_, .offset = offsetof(cli_options, field), \
        .argument = argument_, .help = help_                                                     \
    }

/* Options that more than one command has. */
#define CLI_OPTION_INPUT                                                                                              \
    CLI_OPTION('i', "input", CLI_TEXTS, inputs, "[NAME=]FILE",                                                        \
               "an input: .npy, or .pb with an ONNX tensor, sequence, optional or map; without NAME files go to the " \
               "graph's inputs in order")
#define CLI_OPTION_RANDOM                                                                                      \
    {                                                                                                          \
        .name = "random", .kind = CLI_INTEGER, .offset = offsetof(cli_options, random), .argument = "SEED",    \
        .help = "fill inputs that are not given with random values, the same for the same SEED", .minimum = 0, \
        .maximum = 9e15                                                                                        \
    }
#define CLI_OPTION_DIM \
    CLI_OPTION(0, "dim", CLI_TEXTS, dims, "NAME=N", "size of the symbolic dimension NAME; 1 if not given")
#define CLI_OPTION_THREADS                                                                               \
    {                                                                                                    \
        .letter = 't', .name = "threads", .kind = CLI_INTEGER, .offset = offsetof(cli_options, threads), \
        .argument = "N", .help = "threads to run on (default 1)", .minimum = 1, .maximum = 1024          \
    }
#define CLI_OPTION_JSON CLI_OPTION(0, "json", CLI_TEXT, json, "FILE", "write the results as JSON; - is standard output")
#define CLI_OPTION_PLUGINS                                                                      \
    CLI_OPTION(0, "plugin", CLI_TEXTS, plugins, "LIB",                                          \
               "load operators from the shared object LIB, which is code and must be trusted"), \
        CLI_OPTION(0, "no-plugins", CLI_FLAG, no_plugins, NULL, "leave out the plugins that come with the program")
#define CLI_OPTION_REWRITES                                                                        \
    CLI_OPTION(0, "no-rewrites", CLI_FLAG, no_rewrites, NULL, "run the graph as the file has it"), \
        CLI_OPTION(0, "disable", CLI_TEXTS, disabled, "RULE",                                      \
                   "leave out one rewrite by its name, as inspect prints it")
#define CLI_OPTION_COMMON                                                                         \
    CLI_OPTION('q', "quiet", CLI_FLAG, quiet, NULL, "print only what was asked for, and errors"), \
        CLI_OPTION('v', "verbose", CLI_FLAG, verbose, NULL, "print more"),                        \
        CLI_OPTION('h', "help", CLI_FLAG, help, NULL, "print this help")

/* Reads the arguments after the command's name. Options and operands may be mixed; "--" ends the options; values come
 * as "--name VALUE", "--name=VALUE", "-x VALUE" or "-xVALUE". Returns CLI_OK, or an exit code after saying what is
 * wrong. With --help nothing else is checked. */
int cli_options_parse(cli_options *options, const cli_command *command, int count, char *const *arguments);
void cli_options_free(cli_options *options);

/* The help of one command, from its table. */
void cli_options_help(const cli_command *command, FILE *file);
/* Prints text broken into lines of at most 80 columns; lines after the first begin at column `indent`, and the first
 * goes on at column `column`. */
void cli_print_wrapped(FILE *file, const char *text, size_t indent, size_t column);

/* "NAME=N" with N >= 0: the length of NAME and N; false if it is something else. */
bool cli_parse_dim(const char *text, size_t *name_length, int64_t *value);

#endif
