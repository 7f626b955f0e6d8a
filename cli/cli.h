/* What the commands of the `tapline` program share: exit codes, messages, progress.
 *
 * A command does its work with functions that return a tl_status and fill a tl_error, and reports at one place, so that
 * standard error gets exactly one line that starts with "error: ". */
#ifndef CLI_H
#define CLI_H

#include <stdio.h>
#include "base/base.h"

enum {
    CLI_OK = 0,
    CLI_FAILED = 1, /* the work failed */
    CLI_USAGE = 2   /* the program was called in a wrong way */
};

/* Prints "error: " and the text as one line on standard error, after all that standard output still holds. Returns
 * CLI_FAILED, or CLI_USAGE. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_report(const tl_error *error);
int cli_wrong_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints text that came from a file or the command line: control characters, which a terminal would obey, become '?'.
 */
void cli_print_clean(FILE *file, const char *text);

/* Writes all of standard output out; a full disk or a closed pipe is a failure like any other. */
int cli_finish(int code);

/* The progress line on a terminal; nothing where standard error is not one, or after cli_progress_off(). Every call
 * replaces the line; cli_progress_clear() removes it before other text is printed. */
void cli_progress_off(void);
void cli_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_progress_clear(void);

/* Seconds of a clock that only goes forward. */
double cli_now(void);

/* Opens a file for writing; where that fails `error` names it. */
FILE *cli_create(const char *path, tl_error *error);
/* Closes a file that was written, and reports what could not be. */
tl_status cli_close(FILE *file, const char *path, tl_error *error);
/* "folder/name" on the heap; NULL: out of memory, said in `error`. */
char *cli_join(const char *folder, const char *name, tl_error *error);

/* An array that grows: makes room for one more element; false where memory is refused. `array` points to a pointer. */
bool cli_grow(void *array, size_t count, size_t *capacity, size_t element_size);

#endif
