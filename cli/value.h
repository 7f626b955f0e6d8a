/* What goes into a model and comes out: a tensor, a sequence, an optional. */
#ifndef CLI_VALUE_H
#define CLI_VALUE_H

#include <stdio.h>
#include "load/tensor_file.h"

typedef struct cli_value {
    tl_file_value content;
    tl_tensor_file *file; /* what the content lies in, where it came from a .pb file */
    void *memory;         /* what else there is to free() */
    tl_arena arena;       /* what a run and a file see differently: lists of either kind */
} cli_value;

/* Reads FILE.npy or FILE.pb; a .pb file does not say what kind of value it holds, so `kind` does. Messages begin with
 * the path. */
tl_status cli_value_read(const char *path, tl_kind kind, cli_value *value, tl_error *error);
/* Writes one file, as .pb or else .npy; the content's name is written into a .pb. */
tl_status cli_value_write(const char *path, bool pb, const cli_value *value, tl_error *error);
/* TL_UNSUPPORTED and a message that names --format pb, if a value of this kind and type cannot be a .npy file. */
tl_status cli_value_check_npy(const char *name, tl_kind kind, tl_type type, tl_error *error);
void cli_value_free(cli_value *value); /* leaves it empty; an empty one is fine */

/* Input `index` of a context becomes this value, which must live as long as the context runs. */
tl_status cli_value_set(tl_context *context, size_t index, cli_value *value, tl_error *error);
/* Output `index` of the last run, as a view: cli_value_free() frees only what is around it. */
tl_status cli_value_output(tl_context *context, size_t index, cli_value *value, tl_error *error);

/* "float[1,9]", "sequence of 3", "empty optional". Returns buffer. */
char *cli_value_describe(const tl_file_value *value, char *buffer, size_t size);
/* A short summary: name, type, shape, the first elements (or, for `more`, up to a hundred), the range of numbers. */
void cli_value_print(FILE *file, const char *name, const tl_file_value *value, bool more);

#endif
