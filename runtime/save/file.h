/* Writing a model file so that there is never half of one. */
#ifndef TL_SAVE_FILE_H
#define TL_SAVE_FILE_H

#include "save/rope.h"

/* Protobuf's own limit. */
#define TL_FILE_MOST ((uint64_t)INT32_MAX)

/* Looks at a file that was written; whatever is not TL_OK undoes it. */
typedef tl_status (*tl_file_check)(void *context, const char *path, tl_error *error);

/* Writes the bytes to a new file beside `path`, which takes the place of `path` once `check` finds it right. */
tl_status tl_file_replace(const char *path, const tl_rope *rope, tl_file_check check, void *context, tl_error *error);

#endif
