#include "load/source.h"
#include "load/tensor.h"
#include "load/wire.h"

typedef struct place {
    const char *location;
    uint64_t offset, length;
    bool has_length;
} place;

/* Decimal digits and nothing else. */
static bool parse_number(const char *text, uint64_t *number)
{
    *number = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(*number, 10u, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*text - '0'), number))
            return false;
    }
    return true;
}

/* Keys besides these, checksum among them, say nothing that is needed to read. */
static tl_status parse_place(const Onnx__TensorProto *proto, place *where, tl_error *error)
{
    *where = (place){.location = NULL};
    bool has_offset = false;
    for (size_t k = 0; k < proto->n_external_data; k++) {
        const char *key = proto->external_data[k]->key ? proto->external_data[k]->key : "";
        const char *value = proto->external_data[k]->value ? proto->external_data[k]->value : "";
        bool twice = false, valid = true;
        if (strcmp(key, "location") == 0) {
            twice = where->location != NULL;
            where->location = value;
        } else if (strcmp(key, "offset") == 0) {
            twice = has_offset;
            valid = parse_number(value, &where->offset);
            has_offset = true;
        } else if (strcmp(key, "length") == 0) {
            twice = where->has_length;
            valid = parse_number(value, &where->length);
            where->has_length = true;
        }
        if (twice)
            return tl_error_set(error, TL_INVALID_MODEL, "external data has '%s' twice", key);
        if (!valid)
            return tl_error_set(error, TL_INVALID_MODEL, "external data has the %s '%.40s', which is no size", key,
                                value);
    }
    if (!where->location || !*where->location)
        return tl_error_set(error, TL_INVALID_MODEL, "external data has no location");
    return TL_OK;
}

/* Beside the model; or, if the caller named a folder, in that, by links from beside the model too. */
static tl_status open_source(const tl_tensor_reader *reader, const char *location, tl_source *source)
{
    const tl_allocator *allocator = reader->arena->allocator;
    if (!reader->cache)
        return tl_source_open_inside(source, allocator, reader->folder, location, reader->error);
    tl_error why;
    tl_status status = tl_source_open_linked(source, allocator, reader->cache, reader->cache, location, &why);
    if (status == TL_IO && strcmp(reader->folder, reader->cache) != 0 &&
        tl_source_open_linked(source, allocator, reader->folder, reader->cache, location, NULL) == TL_OK)
        return TL_OK;
    return status == TL_OK ? status : tl_error_set(reader->error, status, "%s", why.message);
}

static tl_status open_file(tl_tensor_reader *reader, const char *location, tl_source **source)
{
    tl_names_entry *known = tl_names_find(&reader->files, location, strlen(location));
    if (known) {
        *source = known->value;
        return TL_OK;
    }
    tl_source *opened = TL_NEW(reader->arena, tl_source, 1);
    const char *name = tl_arena_string(reader->arena, location);
    if (!opened || !name)
        return tl_error_no_memory(reader->error);
    tl_status status = open_source(reader, location, opened);
    if (status != TL_OK) {
        tl_error_prefix(reader->error, "external file '%.200s'", location);
        return status;
    }
    opened->mapping.next = *reader->mappings;
    *reader->mappings = &opened->mapping;
    if (!tl_names_add(&reader->files, name, strlen(name), opened))
        return tl_error_no_memory(reader->error);
    *source = opened;
    return TL_OK;
}

tl_status tl_external_find(tl_tensor_reader *reader, const Onnx__TensorProto *proto, int64_t bytes, const void **data,
                           bool *mapped)
{
    place where;
    tl_status status = parse_place(proto, &where, reader->error);
    if (status != TL_OK || !where.location)
        return status;
    if (!reader->folder)
        return tl_error_set(reader->error, TL_UNSUPPORTED, "external data in '%.200s', but %s", where.location,
                            reader->no_folder);
    if (where.has_length && where.length != (uint64_t)bytes)
        return tl_error_set(reader->error, TL_INVALID_MODEL,
                            "external data of %llu bytes where type and shape take %lld",
                            (unsigned long long)where.length, (long long)bytes);
    tl_source *source = NULL;
    status = open_file(reader, where.location, &source);
    if (status != TL_OK || !source)
        return status;
    if (where.offset > source->mapping.size || (uint64_t)bytes > source->mapping.size - where.offset)
        return tl_error_set(reader->error, TL_INVALID_MODEL,
                            "external file '%.200s' has %zu bytes, too few for %lld at offset %llu", where.location,
                            source->mapping.size, (long long)bytes, (unsigned long long)where.offset);
    *data = bytes ? (const uint8_t *)source->mapping.data + where.offset : NULL;
    *mapped = tl_source_is_mapped(source);
    return TL_OK;
}
