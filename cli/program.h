/* What the commands that load a model have in common: runtime, plugins, session. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include "options.h"

/* A runtime with --threads, --plugin and --no-plugins as the options say. The caller destroys it. */
tl_status cli_runtime_create(const cli_options *options, tl_runtime **runtime, tl_error *error);

/* A model and its runtime. All zero: nothing is open. */
typedef struct cli_program {
    tl_runtime *runtime;
    tl_session *session;
} cli_program;

/* Opens the command's MODEL. `flags` are TL_SESSION_..., --no-rewrites and --disable come on top. */
tl_status cli_program_open(cli_program *program, const cli_options *options, uint32_t flags, tl_error *error);
void cli_program_close(cli_program *program);

/* The same for a model at `path` in a runtime that is there already. */
tl_status cli_session_open(tl_runtime *runtime, const char *path, const cli_options *options, uint32_t flags,
                           tl_session **session, tl_error *error);

/* Where the shipped plugin `file` lies for a program in `folder`: beside it in plugins/, as built, or where it is
 * installed. NULL: not there, or out of memory. On the heap. */
char *cli_plugin_find(const char *folder, const char *file);

/* "float[1,N,?]" with a session's symbols. Returns buffer. */
char *cli_describe(const tl_session *session, const tl_tensor *tensor, char *buffer, size_t size);
/* The same for a value that may be no tensor: "sequence of float[N]". */
char *cli_describe_info(const tl_session *session, const tl_value_info *info, char *buffer, size_t size);

#endif
