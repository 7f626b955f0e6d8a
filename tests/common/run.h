/* What every program of Check tests ends with. */
#ifndef TEST_RUN_H
#define TEST_RUN_H

#include <check.h>

/* Runs the tests and frees them, as verbosely as Check's environment says. Returns the program's exit status. */
int run_suite(Suite *suite);

#endif
