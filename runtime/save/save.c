/* The ModelProto, and the file that it goes to. */
#include <sys/stat.h>
#include "load/load.h"
#include "save/edit.h"
#include "save/file.h"

enum { GRAPH_FIELD = 7, IMPORT_FIELD = 8, TRAINING_FIELD = 20, FUNCTION_FIELD = 25 };

/* ---- Functions */

static char *function_key(tl_edit *edit, tl_span function, size_t *size)
{
    static const uint32_t parts[] = {10, 1, 13}; /* domain, name, overload */
    tl_span found[TL_COUNT(parts)];
    *size = 0;
    for (size_t k = 0; k < TL_COUNT(parts); k++) {
        found[k] = tl_field_find(function, parts[k]);
        if (k == 0 && found[k].size == 7 && memcmp(found[k].data, "ai.onnx", 7) == 0)
            found[k].size = 0;
        *size += found[k].size + 1;
    }
    char *key = TL_NEW(edit->maker.arena, char, *size);
    for (size_t k = 0, at = 0; key && k < TL_COUNT(parts); k++) {
        if (found[k].size)
            memcpy(key + at, found[k].data, found[k].size);
        at += found[k].size + 1;
    }
    return key;
}

/* Whether a function, called or not, holds an operator that is decomposed. */
static bool holds_lowered(const tl_edit *edit, tl_span function)
{
    tl_field field;
    while (tl_field_next(&function, &field))
        if (field.number == 7 && tl_save_is_lowered(edit, field.payload))
            return true;
    return false;
}

/* A domain as the graph has it; NULL: memory refused. */
static const char *domain_of(tl_edit *edit, tl_span message, uint32_t number)
{
    tl_span domain = tl_field_find(message, number);
    const char *copy = tl_arena_bytes(edit->maker.arena, (const char *)domain.data, domain.size);
    return copy && strcmp(copy, "ai.onnx") == 0 ? "" : copy;
}

static tl_status read_functions(tl_edit *edit)
{
    tl_span rest = edit->file;
    tl_field field;
    edit->functions = (tl_names){.arena = edit->maker.arena};
    edit->function_domains = (tl_names){.arena = edit->maker.arena};
    while (tl_field_next(&rest, &field)) {
        size_t size;
        if (field.number != FUNCTION_FIELD)
            continue;
        char *key = function_key(edit, field.payload, &size);
        const char *domain = domain_of(edit, field.payload, 10);
        if (!key || !tl_names_add(&edit->functions, key, size, NULL))
            return tl_error_no_memory(edit->error);
        if (!domain || !tl_edit_note(&edit->function_domains, edit->maker.arena, domain))
            return tl_error_no_memory(edit->error);
        if (holds_lowered(edit, field.payload))
            edit->inline_calls = true;
    }
    return TL_OK;
}

/* ---- Imports */

static void add_import(tl_edit *edit, tl_rope *rope, const char *domain, int64_t version)
{
    tl_rope import = {0};
    tl_rope_text(&edit->maker, &import, 1, domain);
    tl_rope_number(&edit->maker, &import, 2, version);
    tl_rope_message(&edit->maker, rope, IMPORT_FIELD, import);
}

static int32_t new_version(const tl_edit *edit, const tl_graph *graph, const char *domain)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_node *node = graph->nodes[i];
        if (strcmp(node->domain, domain) == 0)
            return node->version;
        const tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(node, g)); g++) {
            int32_t version = new_version(edit, inner, domain);
            if (version)
                return version;
        }
    }
    return 0;
}

/* The domains that nodes now have and the file does not import. */
static tl_status add_imports(tl_edit *edit, tl_names *imported, tl_rope *rope)
{
    for (size_t k = 0; k < edit->domains.capacity; k++) {
        const char *domain = edit->domains.entries[k].key;
        if (!domain || tl_edit_has(imported, domain))
            continue;
        int64_t version = tl_model_opset(edit->model, domain);
        if (!version)
            version = new_version(edit, edit->model->graph, domain);
        if (version) /* none: a call of a function, in a domain that the file need not import */
            add_import(edit, rope, domain, version);
    }
    return TL_OK;
}

/* ---- The model */

static tl_status save_model(tl_edit *edit, tl_rope *rope)
{
    edit->domains = (tl_names){.arena = &edit->arena};
    edit->bakes = NULL;
    edit->must_inline = false;
    tl_names imported = {.arena = edit->maker.arena};
    tl_rope graph = {0};
    tl_status status = read_functions(edit);
    if (status == TL_OK)
        status = tl_save_graph(edit, tl_field_find(edit->file, GRAPH_FIELD), edit->model->graph, &graph);
    tl_span rest = edit->file;
    tl_field field;
    while (status == TL_OK && tl_field_next(&rest, &field)) {
        if (field.number == GRAPH_FIELD) {
            tl_rope_message(&edit->maker, rope, GRAPH_FIELD, graph);
            continue;
        }
        if (field.number == FUNCTION_FIELD && edit->inline_calls)
            continue;
        if (field.number == IMPORT_FIELD) {
            const char *domain = domain_of(edit, field.payload, 1);
            if (!domain || !tl_edit_note(&imported, edit->maker.arena, domain))
                return tl_error_no_memory(edit->error);
            bool over = tl_edit_has(&edit->lowered, domain) ||
                        (edit->inline_calls && tl_edit_has(&edit->function_domains, domain));
            if (over && *domain && !tl_edit_has(&edit->domains, domain))
                continue;
        }
        tl_rope_add(&edit->maker, rope, field.whole.data, field.whole.size);
    }
    if (status == TL_OK && rest.size)
        status = tl_error_set(edit->error, TL_IO, "the file changed while it was read");
    return status == TL_OK ? add_imports(edit, &imported, rope) : status;
}

/* ---- The file */

static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static char *folder_of(tl_edit *edit, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return tl_arena_string(&edit->arena, ".");
    return slash == path ? tl_arena_string(&edit->arena, "/")
                         : tl_arena_bytes(&edit->arena, path, (size_t)(slash - path));
}

/* One rope as bytes: only where external tensors must be found in it. */
static tl_status flatten(tl_edit *edit, const tl_rope *rope, tl_span *bytes)
{
    if (rope->size > TL_FILE_MOST)
        return tl_error_set(edit->error, TL_UNSUPPORTED,
                            "it would be larger than the 2 GiB that a model file may have");
    uint8_t *copy = TL_NEW(&edit->arena, uint8_t, (size_t)rope->size + 1);
    if (!copy)
        return tl_error_no_memory(edit->error);
    size_t at = 0;
    for (const tl_piece *piece = rope->first; piece; piece = piece->next) {
        memcpy(copy + at, piece->data, piece->size);
        at += piece->size;
    }
    *bytes = (tl_span){copy, at};
    return TL_OK;
}

/* External tensors are found from the model's folder. */
static tl_status place_external(tl_edit *edit, const char *path, tl_rope *rope)
{
    char *from = folder_of(edit, edit->model->path), *to = folder_of(edit, path);
    if (!from || !to)
        return tl_error_no_memory(edit->error);
    if (!edit->model->mappings->next || same_folder(from, to))
        return TL_OK; /* nothing external, or nothing that moves */
    tl_span bytes = {NULL, 0};
    tl_rope embedded = {0};
    bool changed;
    tl_status status = flatten(edit, rope, &bytes);
    if (status == TL_OK)
        status = tl_save_embed(edit, bytes, from, &embedded, &changed);
    if (status == TL_OK && changed)
        *rope = embedded;
    return status;
}

static tl_status check_lowered(const tl_edit *edit, const tl_graph *graph, tl_error *error)
{
    tl_status status = TL_OK;
    for (size_t i = 0; i < graph->node_count && status == TL_OK; i++) {
        const tl_node *node = graph->nodes[i];
        char where[512];
        if (node->op->decompose && tl_edit_has(&edit->lowered, node->domain))
            return tl_error_set(error, TL_INTERNAL, "%s is left", tl_node_describe(node, where, sizeof where));
        const tl_graph *inner;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(node, g)); g++)
            status = check_lowered(edit, inner, error);
    }
    return status;
}

/* The written file is a model, and none of its nodes is one that was to be decomposed. */
static tl_status verify(void *context, const char *path, tl_error *error)
{
    const tl_edit *edit = context;
    tl_edit *again;
    tl_status status = tl_edit_open(edit->runtime, path, &again, error);
    if (status == TL_OK)
        status = check_lowered(edit, again->model->graph, error);
    tl_edit_close(again);
    return status;
}

tl_status tl_edit_write(tl_edit *edit, const char *path, tl_error *error)
{
    edit->maker = (tl_rope_maker){.arena = &edit->arena};
    edit->error = error;
    tl_rope rope = {0};
    if (!edit->changes && !edit->lowered.count) { /* as it is */
        tl_rope_add(&edit->maker, &rope, edit->file.data, edit->file.size);
    } else {
        tl_status status = save_model(edit, &rope);
        if (status != TL_OK && edit->must_inline) { /* a function must be opened after all */
            edit->inline_calls = true;
            rope = (tl_rope){0};
            status = save_model(edit, &rope);
        }
        if (status != TL_OK) {
            tl_error_prefix(error, "%.300s", edit->model->path);
            return status;
        }
    }
    tl_status status = place_external(edit, path, &rope);
    if (status == TL_OK && edit->maker.failed)
        status = tl_error_no_memory(error);
    return status == TL_OK ? tl_file_replace(path, &rope, verify, edit, error) : status;
}
