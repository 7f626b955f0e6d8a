/* A plan: everything about a run that the inputs' shapes decide.
 *
 * Values become slots (type, shape, data), nodes become steps. A slot's data lies in a storage; several slots share one
 * where an operator is a view, of all or of a stretch, or works in place. Storages are in the context's arena, at
 * offsets by liveness, or are an input's or output's buffer, which every run may move. */
#ifndef TL_PLAN_H
#define TL_PLAN_H

#include <stdatomic.h>
#include "graph/call.h"

/* How output k of a run leaves. */
typedef enum tl_output_mode {
    TL_OUTPUT_OWN,   /* in the context's memory */
    TL_OUTPUT_BOUND, /* in the caller's buffer, directly if possible */
    TL_OUTPUT_STATE  /* in a buffer that an input has too: copied there when all is read */
} tl_output_mode;

typedef struct tl_step {
    tl_node *node;
    tl_call_frame frame;
    size_t workspace; /* offset in the arena */
    bool dynamic;     /* shaped during the run */
} tl_step;

/* A slot whose data moves from run to run. */
typedef struct tl_link {
    tl_tensor *slot;
    size_t offset; /* in the buffer */
    size_t index;  /* of the input or output */
    bool output;
} tl_link;

/* An output that is copied at the end of a run: from a slot to the caller's buffer, or first out of an input's buffer,
 * that another output may be about to overwrite, to `spare` in the arena. */
typedef struct tl_copy {
    size_t output;
    const tl_tensor *slot;
    size_t spare; /* offset in the arena, SIZE_MAX: none */
} tl_copy;

/* Memory of a value that is shaped during the run; grows, never shrinks. */
typedef struct tl_reserve {
    void *data;
    size_t capacity;
} tl_reserve;

typedef struct tl_strips tl_strips;

typedef struct tl_plan {
    struct tl_plan *next; /* the context's list, last used first */
    tl_arena memory;      /* of everything here */
    tl_tensor *given;     /* the key: types and shapes of inputs and captures */
    tl_output_mode *modes;
    tl_tensor *slots; /* by value index */
    size_t *offsets;  /* by value index: place in the arena, SIZE_MAX: not there */
    bool *dynamic;    /* by value index */
    tl_reserve *reserves;
    tl_reserve workspace; /* of dynamic steps */
    tl_step *steps;
    size_t step_count;
    tl_link *links;
    size_t link_count;
    tl_copy *copies;
    size_t copy_count;
    size_t arena_bytes;
    const void *base; /* the arena that the slots point into */
    void **computed;  /* results computed while planning, freed with the plan */
    size_t computed_count;
    tl_strips *strips; /* strips.c; NULL: the steps are run as they stand */
} tl_plan;

/* The first half of tl_plan_create: shapes and steps, among them those of views, and no places. */
tl_status tl_plan_shapes(tl_runtime *runtime, tl_graph *graph, const tl_tensor *given, const tl_output_mode *modes,
                         tl_plan **plan, tl_error *error);
/* Makes a plan of `graph` for inputs and captures of these types and shapes. `keep` gives every value a place of its
 * own. */
tl_status tl_plan_create(tl_runtime *runtime, tl_graph *graph, const tl_tensor *given, const tl_output_mode *modes,
                         bool keep, tl_plan **plan, tl_error *error);
void tl_plan_destroy(tl_plan *plan, const tl_allocator *allocator, size_t value_count);
/* Points the slots into an arena of plan->arena_bytes. */
void tl_plan_place(tl_plan *plan, const tl_graph *graph, void *base);

/* layout.c: storages, offsets, links and copies, for the steps as they are. */
tl_status tl_plan_layout(tl_plan *plan, const tl_graph *graph, bool keep, tl_error *error);

#endif
