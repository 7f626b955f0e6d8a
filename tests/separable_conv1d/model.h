/* Small models written in a line or two, and running them through the public API. */
#ifndef TEST_MODEL_H
#define TEST_MODEL_H

#include <check.h>
#include "common/run.h"
#include "load/message.h"
#include "tapline/tapline.h"

/* A model under construction. */
typedef struct model {
    message graph;
    int64_t opset, tapline; /* imported versions; 0: not imported */
} model;

/* A runtime with SeparableConv1D and this many threads; it lives until the program ends. */
tl_runtime *runtime_of(int threads);

/* dims: "N,7,3": numbers, symbols, or "" for rank 0. NULL: without a shape. */
void add_input(model *m, const char *name, tl_type type, const char *dims);
void add_output(model *m, const char *name, tl_type type);
void add_constant(model *m, const char *name, tl_type type, const char *dims, const void *elements);
/* A float constant with numbers between -1 and 1 that depend on its name alone; an int64 one with these numbers. */
void add_weights(model *m, const char *name, const char *dims);
void add_numbers(model *m, const char *name, const char *numbers);
/* attributes: "group=4 pads=[0,3] mode='edge' alpha=0.5", values by their form an int, ints, a string or a float.
 * inputs and outputs: names separated by spaces, "-" for an absent one. An operator "tapline:Name" is of that domain.
 */
void add_node(model *m, const char *op, const char *inputs, const char *outputs, const char *attributes);
/* The file's bytes; free() them. */
void *finish_model(const model *m, size_t *size);

typedef struct outcome {
    tl_status status; /* of loading or running */
    bool loaded;
    tl_error error;
    tl_tensor tensor;   /* output 0; free() its data */
    int fused;          /* SeparableConv1D nodes in the graph that ran */
    int nodes;          /* all nodes of it */
    char ops[1024];     /* their operators, in order, separated by spaces */
    tl_tensor inferred; /* output 0 as known before the run */
} outcome;

/* Names of rules, NULL-terminated: those that would hide what the plugin does, which are the runtime's of the last
 * phase and the plugin's own finish, and `also`, unless NULL. They live until the next call. */
const char *const *rules_to_disable(const tl_runtime *runtime, const char *also);

/* Loads and runs a model without those that hide; inputs in order. `rewrites` false: as the file has it. */
outcome run_model(const model *m, int threads, bool rewrites, const tl_tensor *inputs, size_t count);
/* The same in a runtime of the caller's, without the `disabled` rules (NULL-terminated). */
outcome run_model_in(tl_runtime *runtime, const model *m, const char *const *disabled, bool rewrites,
                     const tl_tensor *inputs, size_t count);
void free_outcome(outcome *r);

/* A number between -1 and 1 from a counter. */
double noise(uint64_t *state);
/* "1,3,x" and a number for each symbol -> dims; returns the rank. */
int32_t parse_dims(const char *text, int64_t symbol, int64_t *dims);

/* Conversions that share nothing with the kernels. */
double get_number(tl_type type, const void *data, int64_t i);
void set_number(tl_type type, void *data, int64_t i, double value);
size_t size_of(tl_type type);

#endif
