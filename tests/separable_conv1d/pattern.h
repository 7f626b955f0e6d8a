/* Graphs in which SeparableConv1D may be recognised, each in a line or two. */
#ifndef TEST_PATTERN_H
#define TEST_PATTERN_H

#include "separable_conv1d/model.h"

/* Nodes of a graph with the float input x and the output y: operator, inputs, outputs, attributes. */
typedef struct step {
    const char *op, *inputs, *outputs, *attributes;
} step;

/* "name dims" of a float constant, or "name [numbers]" of an int64 one. */
typedef struct pattern {
    const char *name;
    const char *x;      /* its dims in the file */
    const char *at_run; /* and in the run */
    int64_t opset;
    int fused;       /* SeparableConv1Ds to be found */
    const char *ops; /* all operators afterwards, NULL: whatever */
    const char *constants[8];
    step steps[14];
} pattern;

/* The two convolutions of a plain one: 4 channels, kernel 3, 5 filters. */
#define DEPTHWISE(pads)                     \
    {                                       \
        "Conv", "x w", "a", "group=4 " pads \
    }
#define POINTWISE              \
    {                          \
        "Conv", "a p", "y", "" \
    }
#define WEIGHTS "w 4,1,3", "p 5,4,1"

model build_pattern(const pattern *p);
/* Numbers that depend on nothing, in `room` for `most` of them. */
tl_tensor input_of(const char *dims, float *room, size_t most);
/* Both ways of running a model agree; returns the rewritten one. */
outcome check_model(const char *name, const model *m, const char *dims);

#endif
