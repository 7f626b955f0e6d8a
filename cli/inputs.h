/* A model's inputs, from -i, --random and --dim, bound to a context. */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include "options.h"
#include "value.h"

typedef struct cli_inputs {
    cli_value *values;  /* by input */
    const char **paths; /* by input: the file; NULL: made up */
    size_t count;
} cli_inputs;

/* Reads the files, and makes up what is not given if --random says so. On failure nothing is held. */
tl_status cli_inputs_load(cli_inputs *inputs, const tl_session *session, const cli_options *options, tl_error *error);
/* Values of the right type and shape for every input, without regard to -i; symbols as --dim says, else 1. */
tl_status cli_inputs_make(cli_inputs *inputs, const tl_session *session, const cli_options *options, tl_error *error);
/* Sets them on a context. They must live as long as it runs. */
tl_status cli_inputs_bind(const cli_inputs *inputs, tl_context *context, tl_error *error);
void cli_inputs_free(cli_inputs *inputs);

/* --dim NAME=N against the symbols of a model's inputs: a wrong form is CLI_USAGE (said already), else CLI_OK. */
int cli_dims_check_form(const cli_options *options, const char *command);
/* TL_INVALID_INPUT if --dim names what the model has not. */
tl_status cli_dims_check_names(const cli_options *options, const tl_session *session, tl_error *error);
/* The size that --dim gives a symbol; false if it gives none. */
bool cli_dims_find(const cli_options *options, const char *name, int64_t *size);

#endif
