/* A long signal, strip by strip. Where every operator of a graph is local along an axis, the graph runs over slices of
 * its input, and what no cut edge reaches is put together: bit by bit what one run over all of it gives, but the values
 * in between are a strip's, which the second-level cache holds. */
#ifndef TL_STRIPS_H
#define TL_STRIPS_H

#include "exec/executor.h"

/* Half of a second-level cache; and what the caches of a core, and memory fetched ahead of it, serve as fast. */
#define TL_STRIP_BYTES  ((size_t)1 << 20)
#define TL_STRIPS_ABOVE ((size_t)24 << 20)

/* If the plan of the executor's graph takes more than executor->strips_above, is worth it, and can be cut: writes
 * plan->strips, and takes the plan's own steps and arena away, but for the outputs. Else nothing. */
tl_status tl_strips_plan(tl_executor *executor, tl_plan *plan, tl_error *error);
/* What such a plan's strips are. */
typedef struct tl_strips_facts {
    size_t input;
    int32_t axis;
    int64_t count, length; /* strips; samples of each */
    int64_t halo;          /* samples at both ends of a strip that it computes for nothing */
    size_t bytes;          /* its arena, and its copy of the input */
} tl_strips_facts;

tl_strips_facts tl_strips_describe(const tl_executor *executor, const tl_plan *plan);
/* Runs such a plan. */
tl_status tl_strips_run(tl_executor *executor, const tl_plan *plan, tl_error *error);

#endif
