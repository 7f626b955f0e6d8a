/* A table of small graphs for rewrite rules: the operators that run with them, and the same results without. */
#ifndef TEST_RULES_H
#define TEST_RULES_H

#include "separable_conv1d/model.h"

typedef struct step {
    const char *op, *inputs, *outputs, *attributes;
} step;

typedef struct graph {
    const char *name;
    const char *x;         /* dims of input x; symbols are 5 */
    const char *r;         /* of input r, or NULL */
    const char *constants; /* or NULL; see below */
    step steps[12];        /* z is the output */
    const char *ops;       /* what runs; "*": any; NULL: the graph is refused, with rules and without */
    const char *extra;     /* a value that is an output besides z, of the inputs' type */
    tl_type type;          /* of inputs and constants; 0: float */
    tl_type z;             /* of output z; 0: as the table says, or `type` */
    int64_t opset;         /* 0: as the table says, or 17 */
} graph;

/* Constants are separated by spaces; those that no step reads are left out.
 *   name:dims              arbitrary numbers
 *   name=number            a scalar
 *   name=[1,-2]            a list of int64
 *   name/TYPE/dims/number  of another type: f float, h float16, b int8, u uint8, i int32, s int16; ~: arbitrary */

/* What the graphs of a table have in common. */
typedef struct graph_table {
    const char *constants;
    int64_t opset;
    tl_type z;
    double steps; /* by which integers may differ without rules */
} graph_table;

/* Parameters of a convolution of 3 channels to 4, and those of a normalization behind it. */
#define CONV "w:4,3,3 b:4"
#define NORM " scale:4 shift:4 mean:4 var:4"

/* A test for each graph, which must live on: with and without rules. Without a `table` (NULL), each is opened without
 * the rules of the last phase, too. And one for all, in which memory is refused. */
Suite *suite_of_graphs(const char *name, const graph *graphs, size_t count, const graph_table *table);

#endif
