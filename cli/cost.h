/* What nodes cost: parameters, floating-point operations. */
#ifndef CLI_COST_H
#define CLI_COST_H

#include "graph/graph.h"

/* Where the shapes of values come from: a plan's slots, by value index, or what is known at load (NULL). */
typedef struct cli_shapes {
    const tl_graph *graph; /* that the slots belong to; other graphs' values are as known at load */
    const tl_tensor *slots;
} cli_shapes;
const tl_tensor *cli_shape(const cli_shapes *shapes, const tl_value *value);

/* Floating-point operations of one node, or -1 where a shape is not known or the operator's count depends on data.
 *
 * A multiplication and an addition are two. Convolutions, matrix products and recurrent operators count exactly; a
 * fused activation or bias, elementwise operators and reductions one per element; pools one per element of a window;
 * BatchNormalization two, Softmax three, other normalizations five per element; moving data nothing. */
double cli_node_flops(const cli_shapes *shapes, const tl_node *node);
/* Bytes of the tensors that one node reads and writes, constants as the graph has them; -1 where a shape is not known.
 */
double cli_node_bytes(const cli_shapes *shapes, const tl_node *node);
/* Elements of the constants that a node reads, as far as they are weights: not int64, bool or strings, which hold
 * shapes and axes. A constant with several readers counts for each; cli_graph_parameters() counts it once. */
int64_t cli_node_parameters(const tl_node *node);
/* The same for a graph and those inside it, in elements and bytes. */
int64_t cli_graph_parameters(const tl_graph *graph, int64_t *bytes);

/* "1.25 M" of a count, "1.25 MFLOP" of operations, "12 KiB" of bytes. Returns buffer. */
char *cli_count_text(double count, char *buffer, size_t size);
char *cli_flops_text(double count, char *buffer, size_t size);
char *cli_bytes_text(double bytes, char *buffer, size_t size);

#endif
