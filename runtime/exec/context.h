/* A context: one run at a time of a session. */
#ifndef TL_CONTEXT_H
#define TL_CONTEXT_H

#include "exec/executor.h"
#include "exec/session.h"

struct tl_context {
    tl_session *session;
    tl_arena memory;
    tl_run_state run;
    tl_executor *main;
    bool *given;   /* which inputs are set */
    bool finished; /* the last run succeeded */
};

#endif
