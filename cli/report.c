#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "cli.h"

static bool progress_off;
static bool progress_shown;

void cli_print_clean(FILE *file, const char *text)
{
    for (const char *c = text; *c; c++)
        fputc((unsigned char)*c < ' ' || *c == 127 ? '?' : *c, file);
}

static void print_error_line(const char *text)
{
    cli_progress_clear();
    fflush(stdout);
    fputs("error: ", stderr);
    cli_print_clean(stderr, text);
    fputc('\n', stderr);
}

int cli_fail(const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_error_line(text);
    return CLI_FAILED;
}

int cli_report(const tl_error *error)
{
    print_error_line(error->message);
    return CLI_FAILED;
}

int cli_wrong_usage(const char *command, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (used >= 0 && (size_t)used < sizeof text)
        snprintf(text + used, sizeof text - (size_t)used, "; see 'tapline %s%s--help'", command, *command ? " " : "");
    print_error_line(text);
    return CLI_USAGE;
}

int cli_finish(int code)
{
    cli_progress_clear();
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (failed && code == CLI_OK && errno == EPIPE) /* whoever read it has enough, as `head` */
        return CLI_FAILED;
    if (failed && code == CLI_OK)
        return cli_fail("standard output cannot be written: %s", strerror(errno ? errno : EIO));
    return code;
}

void cli_progress_off(void)
{
    progress_off = true;
}

void cli_progress(const char *format, ...)
{
    static int terminal = -1;
    if (terminal < 0)
        terminal = isatty(STDERR_FILENO);
    if (!terminal || progress_off)
        return;
    struct winsize window;
    size_t width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col - 1U : 79;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (width < sizeof text)
        text[width] = 0;
    for (char *c = text; *c; c++) /* escape sequences in names must not reach the terminal */
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    fprintf(stderr, "\r\033[K%s", text);
    fflush(stderr);
    progress_shown = true;
}

void cli_progress_clear(void)
{
    if (progress_shown)
        fputs("\r\033[K", stderr);
    progress_shown = false;
}

double cli_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

FILE *cli_create(const char *path, tl_error *error)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        tl_error_set(error, TL_IO, "%s: cannot be written: %s", path, strerror(errno));
    return file;
}

tl_status cli_close(FILE *file, const char *path, tl_error *error)
{
    bool failed = fflush(file) != 0 || ferror(file);
    int reason = errno;
    if (fclose(file) != 0 && !failed) {
        failed = true;
        reason = errno;
    }
    return failed ? tl_error_set(error, TL_IO, "%s: cannot be written: %s", path, strerror(reason ? reason : EIO))
                  : TL_OK;
}

char *cli_join(const char *folder, const char *name, tl_error *error)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (!path) {
        tl_error_no_memory(error);
        return NULL;
    }
    size_t length = strlen(folder);
    snprintf(path, size, "%s%s%s", folder, length && folder[length - 1] == '/' ? "" : "/", name);
    return path;
}

bool cli_grow(void *array, size_t count, size_t *capacity, size_t element_size)
{
    if (count < *capacity)
        return true;
    size_t wanted = *capacity ? *capacity * 2 : 8, bytes;
    if (wanted < *capacity || !tl_mul_size(wanted, element_size, &bytes))
        return false;
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = realloc(old, bytes);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}
