/* A table of small graphs for rewrite rules: the operators that run with them, and the same results without. */
#ifndef TEST_RULES_H
#define TEST_RULES_H

#include "separable_conv1d/model.h"

typedef struct step {
    const char *op, *inputs, *outputs, *attributes; /* op "-": the output is a constant list of these integers */
} step;

typedef struct graph {
    const char *name;
    const char *x;         /* dims of input x; symbols are 5 */
    const char *r;         /* of input r, or NULL */
    const char *constants; /* "name:dims" with arbitrary numbers, "name=number" for a scalar; or NULL */
    step steps[12];        /* z is the output */
    const char *ops;       /* what runs; NULL: any */
    const char *extra;     /* a value that is an output besides z */
    tl_type type;          /* 0: float */
    int64_t opset;         /* 0: 17 */
} graph;

/* Parameters of a convolution of 3 channels to 4, and those of a normalization behind it. */
#define CONV "w:4,3,3 b:4"
#define NORM " scale:4 shift:4 mean:4 var:4"

/* Two tests for each graph, which must live on: with and without rules, and with those of the last phase off. */
Suite *suite_of_graphs(const char *name, const graph *graphs, size_t count);

#endif
