/* Temporary files for the tests here. */
#ifndef TEST_FILES_H
#define TEST_FILES_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A new file with these bytes; its name goes to `path` (of 32 bytes at least). */
static inline void write_file(char *path, const void *bytes, size_t size, const char *suffix)
{
    snprintf(path, 32, "/tmp/tapline-XXXXXX%s", suffix);
    int file = mkstemps(path, (int)strlen(suffix));
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, bytes, size), (ssize_t)size);
    close(file);
}

#endif
