/* Bytes of files, mapped where that is possible. */
#ifndef TL_LOAD_SOURCE_H
#define TL_LOAD_SOURCE_H

#include "graph/graph.h"

/* A file's bytes, in a list of tl_model.mappings. */
typedef struct tl_source {
    tl_mapping mapping;
    const tl_allocator *allocator; /* of `data`, where it was copied; may be NULL: the C library's */
    bool copied;                   /* the file could not be mapped and was read */
} tl_source;

/* Opens a regular file and maps it, read-only and private; reads it where it cannot be mapped. */
tl_status tl_source_open(tl_source *source, const tl_allocator *allocator, const char *path, tl_error *error);
/* Opens `location`, relative to `folder`, for external tensor data. Nothing outside the folder can be reached: no
 * absolute location, no "..", no symlink in any component, no file with a second hard link, only regular files.
 * `folder` itself may be any path that the caller trusts. */
tl_status tl_source_open_inside(tl_source *source, const tl_allocator *allocator, const char *folder,
                                const char *location, tl_error *error);
/* The same for a cache in which files are symlinks: links are followed from `base`/`location`, but the file that they
 * end at must lie inside `folder`. `location` itself stays relative and without "..". */
tl_status tl_source_open_linked(tl_source *source, const tl_allocator *allocator, const char *base, const char *folder,
                                const char *location, tl_error *error);
bool tl_source_is_mapped(const tl_source *source);
/* Gives the bytes back; for tl_model.unmap. The tl_source itself is the caller's. */
void tl_source_close(tl_mapping *mapping);

#endif
