/* A network with one input and one output, in the making, and sessions and runs of it. */
#ifndef TEST_STRIPS_H
#define TEST_STRIPS_H

#include <check.h>
#undef fail /* Check's old name for ck_abort */
#include <stdlib.h>
#include <string.h>

#include "exec/inspect.h"
#include "separable_conv1d/model.h"

extern tl_error test_error;
extern model network;
extern uint64_t seed; /* of signals; each network begins anew */

void begin(void);
void add(const char *op, const char *inputs, const char *outputs, const char *attributes);
/* Adds the weights `name`, too. */
void conv(const char *inputs, const char *outputs, const char *name, int filters, int channels, int kernel,
          const char *attributes);
/* The output is y, the input x or another. */
void finish(const char *dims);
void finish_from(const char *input, const char *dims);

tl_tensor floats(int32_t rank, int64_t a, int64_t b, int64_t c, int64_t d);
/* Noise for all elements of x; free() it. */
float *signal_of(const tl_tensor *x);

tl_runtime *open_runtime(const tl_runtime_options *options);
/* Of the network that was finished last. */
tl_status try_session(tl_runtime *runtime, uint32_t flags, tl_session **session);
tl_session *open_session(tl_runtime *runtime, uint32_t flags);
tl_context *open_context(tl_session *session);
void run_once(tl_context *context, const tl_tensor *x, tl_tensor *y);
/* Whether the last run went in strips. */
bool is_cut(const tl_context *context);

#endif
