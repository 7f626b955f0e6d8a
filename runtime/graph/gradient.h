/* Gradient of ai.onnx.preview.training: an operator that is written out before a session runs. */
#ifndef TL_GRADIENT_H
#define TL_GRADIENT_H

#include "graph/graph.h"

/* Part of the check. If the node is a Gradient: what its attributes name becomes inputs, behind those that it has. */
tl_status tl_gradient_bind(tl_node *node, tl_error *error);
/* After inference: nodes whose operator has no run function are decomposed, in the graphs inside, too. */
tl_status tl_graph_write_out(tl_graph *graph, const tl_host *host, tl_error *error);

#endif
