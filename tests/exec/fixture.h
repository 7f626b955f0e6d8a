/* A runtime with small operators of the tests' own, models written in a line for each node, and their runs. */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H

#include <check.h>
#undef fail /* Check's old name for ck_abort, and the host's function */

#include "common/memory.h"
#include "common/run.h"
#include "exec/inspect.h"
#include "load/message.h"
#include "tapline/plugin.h"

/* ---- Operators of the domain "test": AddOne, Half, Both, Positive, Flat, Picky, Packed (operators.c) */

tl_status register_operators(const tl_host *host, tl_registrar *registrar);
extern int created, destroyed; /* states of Packed */

/* ---- A model. All values are float[...]; names are separated by spaces, "-" is an absent one. */

void add(const char *op, const char *inputs, const char *outputs);
void input(const char *name, int rank, const int64_t *dims);
void output(const char *name);
void initializer(const char *name, int64_t count, const float *values);
/* y = AddOne(Half(AddOne(x))), of any length. */
void chain(void);
void end_model(void);
extern message graph_message;      /* of it, in the making */
extern message model_message;      /* its file, behind end_model */
extern const int64_t any_length[]; /* one dimension without a number */

/* ---- A run. setup makes the runtime, and begins a model; teardown asserts that all memory has come back. */

extern tl_runtime *runtime;
extern tl_session *session;
extern tl_context *context;
extern tl_error test_error;

void setup(void);
void teardown(void);
/* Ends the model, and makes a session and a context of it. */
void open_with(uint32_t flags);
void set_input(size_t k, float *data, int rank, int64_t a, int64_t b);
void run(void);
tl_tensor result(size_t k);
void expect(tl_tensor t, int64_t count, const float *values);

/* Tests with this fixture. */
Suite *suite_of(const char *name, const TTest *const *tests, size_t count);

#endif
