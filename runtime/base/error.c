#include <stdio.h>
#include "base/base.h"

tl_status tl_error_setv(tl_error *error, tl_status status, const char *format, va_list arguments)
{
    if (!error)
        return status;
    error->status = status;
    vsnprintf(error->message, sizeof error->message, format, arguments);
    for (char *c = error->message; *c; c++) /* names in files may hold anything; a message is one line of text */
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    return status;
}

tl_status tl_error_set(tl_error *error, tl_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tl_error_setv(error, status, format, arguments);
    va_end(arguments);
    return status;
}

void tl_error_prefix(tl_error *error, const char *format, ...)
{
    if (!error)
        return;
    tl_error rest = *error;
    va_list arguments;
    va_start(arguments, format);
    tl_error_setv(error, rest.status, format, arguments);
    va_end(arguments);
    size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof error->message - used, ": %s", rest.message);
}

tl_status tl_error_no_memory(tl_error *error)
{
    return tl_error_set(error, TL_NO_MEMORY, "out of memory");
}

const char *tl_status_name(tl_status status)
{
    static const char *const names[] = {
        "ok",           "invalid argument", "invalid model", "unsupported", "invalid input", "out of memory",
        "input/output", "plugin",           "cancelled",     "internal"};
    return (size_t)status < TL_COUNT(names) ? names[status] : "unknown status";
}
