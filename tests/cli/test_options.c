/* The command line: every form of an option, every mistake. What it prints is tested with the program itself. */
#include <check.h>
#include <stdlib.h>
#include "common/run.h"
#include "options.h"

static const cli_option table[] = {
    CLI_OPTION_INPUT,
    CLI_OPTION_RANDOM,
    CLI_OPTION_THREADS,
    {.name = "format",
     .kind = CLI_TEXT,
     .offset = offsetof(cli_options, format),
     .argument = "F",
     .help = "",
     .choices = "npy|pb"},
    {.name = "rtol",
     .kind = CLI_REAL,
     .offset = offsetof(cli_options, rtol),
     .argument = "R",
     .help = "",
     .minimum = 0,
     .maximum = 10},
    CLI_OPTION_COMMON,
};
static const cli_command command = {.name = "x",
                                    .operands = "FILE",
                                    .least = 1,
                                    .most = 2,
                                    .summary = "",
                                    .options = table,
                                    .option_count = TL_COUNT(table)};

static cli_options options;

static int parse(const char *line)
{
    static char text[200];
    char *arguments[20];
    int count = 0;
    ck_assert_uint_lt(strlen(line), sizeof text);
    memcpy(text, line, strlen(line) + 1);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        arguments[count++] = strcmp(word, "''") == 0 ? word + 2 : word;
    cli_options_free(&options);
    return cli_options_parse(&options, &command, count, arguments);
}

START_TEST(forms)
{
    ck_assert_int_eq(parse("m -i a --input b --input=c=d -ie -qv --threads 3 --random=5 --format pb --rtol 1e-3 n"),
                     CLI_OK);
    ck_assert_uint_eq(options.operands.count, 2);
    ck_assert_str_eq(options.operands.items[0], "m");
    ck_assert_str_eq(options.operands.items[1], "n");
    ck_assert_uint_eq(options.inputs.count, 4);
    ck_assert_str_eq(options.inputs.items[2], "c=d");
    ck_assert_str_eq(options.inputs.items[3], "e");
    ck_assert(options.quiet && options.verbose && !options.help);
    ck_assert_int_eq(options.threads.value, 3);
    ck_assert(options.random.given);
    ck_assert_int_eq(options.random.value, 5);
    ck_assert_str_eq(options.format, "pb");
    ck_assert(options.rtol.value == 1e-3);
}
END_TEST

START_TEST(operands_behind_two_dashes)
{
    ck_assert_int_eq(parse("-- -i --quiet"), CLI_OK);
    ck_assert_uint_eq(options.operands.count, 2);
    ck_assert_str_eq(options.operands.items[0], "-i");
    ck_assert(!options.quiet);
    ck_assert_int_eq(parse("-"), CLI_OK);
    ck_assert_str_eq(options.operands.items[0], "-");
}
END_TEST

START_TEST(help_wins)
{
    ck_assert_int_eq(parse("--nonsense -h"), CLI_OK);
    ck_assert(options.help);
    ck_assert_int_eq(parse("m -- --help"), CLI_OK);
    ck_assert(!options.help);
}
END_TEST

static const char *const wrong[] = {
    "",
    "a b c",
    "m --nonsense",
    "m --thread 1",
    "m -z",
    "m -qz",
    "m --input",
    "m -i",
    "m --threads 0",
    "m --threads 1.5",
    "m --threads 99999",
    "m --threads x",
    "m --threads=",
    "m --random -1",
    "m --random 99999999999999999999",
    "m --rtol nan",
    "m --rtol inf",
    "m --rtol -1",
    "m --rtol 11",
    "m --rtol 1x",
    "m --format",
    "m --format onnx",
    "m --format np",
    "m --format npy|pb",
    "m --quiet=1",
    "m --input ''",
};

START_TEST(mistakes)
{
    ck_assert_msg(parse(wrong[_i]) == CLI_USAGE, "%s", wrong[_i]);
}
END_TEST

START_TEST(dimensions)
{
    size_t length;
    int64_t value;
    ck_assert(cli_parse_dim("N=3", &length, &value) && length == 1 && value == 3);
    ck_assert(cli_parse_dim("a=b=0", &length, &value) && length == 3 && value == 0);
    ck_assert(cli_parse_dim("N=9223372036854775807", &length, &value) && value == INT64_MAX);
    static const char *const bad[] = {"N", "N=", "=3", "N=-1", "N=x", "N=3x", "N= 3", "N=9223372036854775808", ""};
    for (size_t k = 0; k < TL_COUNT(bad); k++)
        ck_assert_msg(!cli_parse_dim(bad[k], &length, &value), "%s", bad[k]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tests = tcase_create("options");
    tcase_add_test(tests, forms);
    tcase_add_test(tests, operands_behind_two_dashes);
    tcase_add_test(tests, help_wins);
    tcase_add_loop_test(tests, mistakes, 0, (int)TL_COUNT(wrong));
    tcase_add_test(tests, dimensions);
    suite_add_tcase(suite, tests);
    const int status = run_suite(suite);
    cli_options_free(&options);
    return status;
}
