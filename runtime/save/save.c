/* The ModelProto, and the file that it goes to. */
#include <stdio.h>
#include <sys/stat.h>
#include "load/load.h"
#include "save/edit.h"
#include "save/file.h"

enum { GRAPH_FIELD = 7, IMPORT_FIELD = 8, FUNCTION_FIELD = 25 };
enum { FUNCTION_NODE_FIELD = 7, FUNCTION_IMPORT_FIELD = 9 };

/* ---- Imports */

/* A domain that nothing in the file may be of any more: of operators that are decomposed, or of functions that go. */
static bool may_go(const tl_edit *edit, const char *domain)
{
    bool goes = tl_edit_has(&edit->lowered, domain), stays = false;
    for (size_t k = 0; k < edit->function_count; k++)
        if (strcmp(edit->functions[k].key, domain) == 0)
            *(tl_save_is_gone(&edit->functions[k]) ? &goes : &stays) = true;
    return goes && !stays && *domain;
}

/* One of the imports that there were. */
static tl_status save_import(tl_edit *edit, tl_field field, tl_names *imported, tl_rope *rope)
{
    tl_span text = tl_field_find(field.payload, 1);
    const char *domain = tl_arena_bytes(edit->maker.arena, (const char *)text.data, text.size);
    if (domain && strcmp(domain, "ai.onnx") == 0)
        domain = "";
    if (!domain || !tl_edit_note(imported, edit->maker.arena, domain))
        return tl_error_no_memory(edit->error);
    if (!may_go(edit, domain) || tl_edit_has(&edit->domains, domain))
        tl_rope_add(&edit->maker, rope, field.whole.data, field.whole.size);
    return TL_OK;
}

static void add_import(tl_edit *edit, uint32_t number, const char *domain, int64_t version, tl_rope *rope)
{
    tl_rope import = {0};
    tl_rope_text(&edit->maker, &import, 1, domain);
    tl_rope_number(&edit->maker, &import, 2, version);
    tl_rope_message(&edit->maker, rope, number, import);
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
static void add_imports(tl_edit *edit, const tl_graph *graph, uint32_t number, const tl_names *imported, tl_rope *rope)
{
    for (size_t k = 0; k < edit->domains.capacity; k++) {
        const char *domain = edit->domains.entries[k].key;
        if (!domain || tl_edit_has(imported, domain))
            continue;
        int64_t version = tl_graph_opset(graph, domain);
        if (!version)
            version = new_version(edit, graph, domain);
        if (version) /* none: a call of a function, in a domain that the file need not import */
            add_import(edit, number, domain, version, rope);
    }
}

/* ---- Functions */

static tl_status save_function(tl_edit *edit, tl_span message, tl_graph *graph, tl_rope *rope)
{
    tl_names imported = {.arena = edit->maker.arena};
    edit->domains = (tl_names){.arena = edit->maker.arena};
    edit->bakes = NULL;
    tl_status status = tl_save_graph(edit, message, graph, rope);
    tl_field field;
    while (status == TL_OK && tl_field_next(&message, &field))
        if (field.number == FUNCTION_IMPORT_FIELD)
            status = save_import(edit, field, &imported, rope);
    add_imports(edit, graph, FUNCTION_IMPORT_FIELD, &imported, rope);
    return status;
}

static bool is_function_changed(tl_edit *edit, tl_span message, const tl_graph *graph)
{
    return graph && (tl_save_is_changed(edit, graph) || tl_save_goes_inside(edit, message, FUNCTION_NODE_FIELD));
}

/* One rope as bytes: only where it must be loaded, or external tensors found in it. */
static tl_status flatten(tl_edit *edit, const tl_rope *rope, tl_span *bytes)
{
    if (rope->size > TL_FILE_MOST)
        return tl_error_set(edit->error, TL_UNSUPPORTED,
                            "it would be larger than the 2 GiB that a model file may have");
    uint8_t *copy = TL_NEW(&edit->arena, uint8_t, (size_t)rope->size + 1);
    if (!copy || edit->maker.failed)
        return tl_error_no_memory(edit->error);
    size_t at = 0;
    for (const tl_piece *piece = rope->first; piece; piece = piece->next) {
        memcpy(copy + at, piece->data, piece->size);
        at += piece->size;
    }
    *bytes = (tl_span){copy, at};
    return TL_OK;
}

tl_status tl_save_functions(tl_edit *edit, tl_span *file, tl_error *error)
{
    tl_rope rope = {0};
    tl_span rest = edit->file;
    tl_field field;
    tl_status status = TL_OK;
    size_t changed = 0;
    edit->error = error;
    for (size_t k = 0; status == TL_OK && tl_field_next(&rest, &field);) {
        tl_graph *graph = field.number == FUNCTION_FIELD ? edit->model->functions[k++].graph : NULL;
        if (!is_function_changed(edit, field.payload, graph)) {
            tl_rope_add(&edit->maker, &rope, field.whole.data, field.whole.size);
            continue;
        }
        tl_rope function = {0};
        status = save_function(edit, field.payload, graph, &function);
        tl_rope_message(&edit->maker, &rope, FUNCTION_FIELD, function);
        changed++;
    }
    return status == TL_OK && changed ? flatten(edit, &rope, file) : status;
}

/* ---- The model */

static tl_status save_model(tl_edit *edit, tl_rope *rope)
{
    edit->domains = (tl_names){.arena = edit->maker.arena};
    edit->bakes = NULL;
    edit->must_open = 0;
    tl_save_open_functions(edit);
    tl_names imported = {.arena = edit->maker.arena};
    tl_rope graph = {0};
    tl_status status = tl_save_graph(edit, tl_field_find(edit->file, GRAPH_FIELD), edit->model->graph, &graph);
    tl_save_count_calls(edit);
    tl_span rest = edit->file;
    tl_field field;
    for (size_t k = 0; status == TL_OK && tl_field_next(&rest, &field);) {
        if (field.number == GRAPH_FIELD)
            tl_rope_message(&edit->maker, rope, GRAPH_FIELD, graph);
        else if (field.number == IMPORT_FIELD)
            status = save_import(edit, field, &imported, rope);
        else if (field.number != FUNCTION_FIELD || !tl_save_is_gone(&edit->functions[k++]))
            tl_rope_add(&edit->maker, rope, field.whole.data, field.whole.size);
    }
    if (status == TL_OK && rest.size)
        status = tl_error_set(edit->error, TL_IO, "the file changed while it was read");
    add_imports(edit, edit->model->graph, IMPORT_FIELD, &imported, rope);
    return status;
}

/* A new node that reads from a function which is closed is only found while the graph is written. */
static tl_status save_opening(tl_edit *edit, tl_rope *rope)
{
    enum { TRIES = 16 };
    tl_status status = save_model(edit, rope);
    for (int k = 0; status != TL_OK && edit->must_open <= TL_SOURCE_FUNCTION && k < TRIES; k++) {
        tl_edit_open_function(edit, (size_t)(TL_SOURCE_FUNCTION - edit->must_open));
        for (size_t i = 0; k == TRIES - 1 && i < edit->function_count; i++)
            tl_edit_open_function(edit, i);
        *rope = (tl_rope){0};
        status = save_model(edit, rope);
    }
    return status;
}

/* Says which functions could not be rewritten in their own place. */
static void report(const tl_edit *edit)
{
    const tl_runtime *runtime = edit->runtime;
    for (size_t k = 0; runtime->logger && k < edit->function_count; k++) {
        const tl_edit_function *function = &edit->functions[k];
        char line[512];
        snprintf(line, sizeof line,
                 "%.200s: the function '%.100s::%.100s' is written out where it is called: what is to be rewritten in "
                 "it depends on the call",
                 edit->path, function->key, function->key + strlen(function->key) + 1);
        if (function->opened)
            runtime->logger(runtime->logger_user, TL_LOG_WARNING, line);
    }
}

/* ---- The file */

static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* External tensors are found from the model's folder. */
static tl_status place_external(tl_edit *edit, const char *path, tl_rope *rope)
{
    char *from = tl_edit_folder(edit, edit->path), *to = tl_edit_folder(edit, path);
    if (!from || !to)
        return tl_error_no_memory(edit->error);
    if (!edit->external || same_folder(from, to))
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
    tl_rope rope = {0};
    edit->error = error;
    if (!edit->changes && !edit->lowered.count) { /* as it is */
        tl_rope_add(&edit->maker, &rope, edit->file.data, edit->file.size);
    } else {
        tl_status status = save_opening(edit, &rope);
        if (status != TL_OK) {
            tl_error_prefix(error, "%.300s", edit->path);
            return status;
        }
    }
    tl_status status = place_external(edit, path, &rope);
    if (status == TL_OK && edit->maker.failed)
        status = tl_error_no_memory(error);
    if (status == TL_OK)
        status = tl_file_replace(path, &rope, verify, edit, error);
    if (status == TL_OK)
        report(edit);
    return status;
}
