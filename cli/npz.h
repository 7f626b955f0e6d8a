/* NumPy's .npz files: a zip archive with a .npy file for each array. Read by libzip, where the build found it. */
#ifndef CLI_NPZ_H
#define CLI_NPZ_H

#include "base/base.h"

typedef struct cli_npz cli_npz;

/* Without libzip: TL_UNSUPPORTED, and a message that names it. Messages begin with the path. */
tl_status cli_npz_open(const char *path, cli_npz **npz, tl_error *error);
void cli_npz_close(cli_npz *npz); /* NULL: nothing */

/* The number of arrays, and an array's name, as NumPy shows it: without ".npy". NULL: no array has this number. */
const char *cli_npz_name(const cli_npz *npz, size_t index);
/* Reads an array; one of more than `most` bytes in the archive is refused before it is unpacked. On success
 * tensor->data is the caller's, to free(). */
tl_status cli_npz_read(cli_npz *npz, size_t index, int64_t most, tl_tensor *tensor, tl_error *error);

#endif
