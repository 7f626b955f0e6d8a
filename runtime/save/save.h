/* Rewriting a model file: rules or decompositions change the graph, and the file is written anew with everything that
 * they did not touch as it was, byte for byte.
 *
 * A node that is new is written from the graph; of the file's own, those stay whose results are still needed, or were
 * never needed. What folding computed ahead is not written, unless a new node reads it.
 *
 * The model's functions are rewritten in their own places, by what their values have in common at all calls; calls stay
 * calls. A function is opened, which is written out where it is called, only if a rewrite needs what the calls disagree
 * in, or if it takes something from both sides of a call. */
#ifndef TL_SAVE_SAVE_H
#define TL_SAVE_SAVE_H

#include "graph/graph.h"
#include "plugin/runtime.h"

typedef struct tl_edit tl_edit;

/* Loads a model file for rewriting; nothing is changed yet. On success *edit is the caller's. Messages begin with the
 * path. */
tl_status tl_edit_open(tl_runtime *runtime, const char *path, tl_edit **edit, tl_error *error);
void tl_edit_close(tl_edit *edit); /* NULL: nothing */

/* Rewrites every node whose operator knows how it is made of simpler ones; *count is how many. All or an error, which
 * names the node. */
tl_status tl_edit_lower(tl_edit *edit, size_t *count, tl_error *error);
/* Applies one rule wherever it fits, in all graphs and functions; *count is how often it did. The rule's nodes must be
 * ones that a file may have. */
tl_status tl_edit_apply(tl_edit *edit, const char *rule, size_t *count, tl_error *error);

/* Writes the model to `path`, and tells the logger which functions are opened: first to a new file beside it, which is
 * read back, and takes the place of `path` only if it is a valid model. External tensors stay where they are if `path`
 * is in the model's folder, else they are taken into the file. */
tl_status tl_edit_write(tl_edit *edit, const char *path, tl_error *error);

#endif
