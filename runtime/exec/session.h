/* A session: a model made ready to run. Immutable once open. */
#ifndef TL_SESSION_H
#define TL_SESSION_H

#include "graph/graph.h"
#include "plugin/runtime.h"

struct tl_session {
    tl_runtime *runtime;
    tl_model *model;
    tl_graph *graph; /* the model's main graph */
    bool keep_values;
    tl_rewrite_log *rewrites;
    size_t rewrite_count;
};

#endif
