/* What the tests of loading share. */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <check.h>
#include "load/load.h"
#include "message.h"

extern tl_error test_error;

/* Loads a message as a model; NULL: refused, as test_error says. */
tl_model *load_message(const message *m);
/* Loads one that must be good. */
tl_model *load_good(const message *m);
/* Loads one that must be refused with this status, and words that the message must hold. */
void load_refused(const message *m, tl_status status, const char *words);
/* A graph with the float input x [1], the output y, and these nodes. */
message graph_of(const message *nodes, size_t count);
/* Like model_of, but for a model with functions: IR version 10, and domain "local" imported too. */
message model_with(const message *graph, const message *functions, size_t count);
/* An attribute; `type` is AttributeProto.type, left out if 0. */
message attribute(const char *name, int type);
/* Runs the one test case `tests`; the program's exit status. */
int run_case(TCase *tests, const char *name);

#endif
