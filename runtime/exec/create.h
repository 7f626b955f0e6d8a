/* The operators' states. */
#ifndef TL_CREATE_H
#define TL_CREATE_H

#include "graph/graph.h"

/* Makes the states of a linked graph's nodes, and of the graphs inside. Constants that nobody reads again are given
 * back as soon as they are packed. What failed half-way is tl_graph_destroy_states()'s to free. */
tl_status tl_graph_create_states(tl_graph *graph, const tl_host *host, tl_error *error);
void tl_graph_destroy_states(tl_graph *graph, const tl_host *host);

#endif
