/* NumPy's .npy files (format versions 1.0, 2.0 and 3.0; the format is described in NumPy's NEP 1).
 *
 * Read: little-endian numbers and bool, in C or Fortran order. Not read, and said so: big-endian data, structured
 * types, objects, text. A file is believed only as far as its bytes go: the header's shape never decides how much is
 * allocated. */
#ifndef CLI_NPY_H
#define CLI_NPY_H

#include <stdio.h>
#include "base/base.h"

/* Reads a file. On success tensor->data is the caller's, to free(). Messages begin with the path. */
tl_status cli_npy_read(const char *path, tl_tensor *tensor, tl_error *error);
/* The same from what lies ahead in a stream, to its end; `name` is for messages. */
tl_status cli_npy_read_stream(FILE *file, const char *name, tl_tensor *tensor, tl_error *error);
/* Writes a tensor, version 1.0. Types that NumPy has no name for: TL_UNSUPPORTED. */
tl_status cli_npy_write(const char *path, const tl_tensor *tensor, tl_error *error);
/* NumPy's name of a type ("<f4"), or NULL. */
const char *cli_npy_descr(tl_type type);

#endif
