/* The model's functions: who calls them, which of them go, and their bodies as graphs with the types of their calls. */
#include "save/edit.h"

enum { NODE_FIELD = 1, FUNCTION_NODE_FIELD = 7, FUNCTION_FIELD = 25 };

/* ---- Nodes inside nodes */

bool tl_save_visit_node(tl_edit *edit, tl_span node, tl_node_visit visit, void *context)
{
    tl_field field, inner;
    if (visit(edit, node, context))
        return true;
    while (tl_field_next(&node, &field)) {
        tl_span attribute = field.payload;
        while (field.number == 5 && tl_field_next(&attribute, &inner))
            if ((inner.number == 6 || inner.number == 11) &&
                tl_save_visit(edit, inner.payload, NODE_FIELD, visit, context))
                return true;
    }
    return false;
}

bool tl_save_visit(tl_edit *edit, tl_span message, uint32_t nodes, tl_node_visit visit, void *context)
{
    tl_field field;
    while (tl_field_next(&message, &field))
        if (field.number == nodes && tl_save_visit_node(edit, field.payload, visit, context))
            return true;
    return false;
}

/* ---- Names */

/* Domain, name and overload, each with a NUL behind; NULL: memory refused. */
static char *make_key(char *buffer, size_t room, tl_arena *arena, tl_span message, const uint32_t *parts, size_t *size)
{
    tl_span found[3];
    *size = 0;
    for (size_t k = 0; k < TL_COUNT(found); k++) {
        found[k] = tl_field_find(message, parts[k]);
        if (k == 0 && found[k].size == 7 && memcmp(found[k].data, "ai.onnx", 7) == 0)
            found[k].size = 0;
        *size += found[k].size + 1;
    }
    char *key = *size <= room ? buffer : tl_arena_alloc(arena, *size, 1, 1);
    for (size_t k = 0, at = 0; key && k < TL_COUNT(found); k++) {
        if (found[k].size)
            memcpy(key + at, found[k].data, found[k].size);
        at += found[k].size;
        key[at++] = 0;
    }
    return key;
}

tl_edit_function *tl_save_called(tl_edit *edit, tl_span node)
{
    static const uint32_t parts[] = {7, 4, 8};
    char buffer[512];
    size_t size;
    if (!edit->function_count)
        return NULL;
    const char *key = make_key(buffer, sizeof buffer, &edit->arena, node, parts, &size);
    const tl_names_entry *entry = key ? tl_names_find(&edit->function_keys, key, size) : NULL;
    edit->maker.failed |= !key;
    return entry ? entry->value : NULL;
}

static bool note_call(tl_edit *edit, tl_span node, void *context)
{
    tl_edit_function *caller = context;
    const tl_edit_function *called = tl_save_called(edit, node);
    if (!called)
        return edit->maker.failed;
    if (!tl_arena_grow(&edit->arena, (void **)&caller->calls, caller->call_count, &caller->call_capacity,
                       sizeof caller->calls[0]))
        return true;
    caller->calls[caller->call_count++] = (size_t)(called - edit->functions);
    return false;
}

tl_status tl_edit_read_functions(tl_edit *edit, tl_error *error)
{
    static const uint32_t parts[] = {10, 1, 13};
    tl_span rest = edit->file;
    tl_field field;
    size_t count = 0;
    while (tl_field_next(&rest, &field))
        count += field.number == FUNCTION_FIELD;
    edit->functions = TL_NEW(&edit->arena, tl_edit_function, count);
    if (!edit->functions)
        return tl_error_no_memory(error);
    edit->function_keys = (tl_names){.arena = &edit->arena};
    edit->function_count = 0;
    rest = edit->file;
    while (edit->function_count < count && tl_field_next(&rest, &field)) {
        size_t size;
        if (field.number != FUNCTION_FIELD)
            continue;
        tl_edit_function *function = &edit->functions[edit->function_count++];
        function->message = field.payload;
        function->key = make_key(NULL, 0, &edit->arena, field.payload, parts, &size);
        if (!function->key || !tl_names_add(&edit->function_keys, function->key, size, function))
            return tl_error_no_memory(error);
    }
    for (size_t k = 0; k < edit->function_count; k++)
        if (tl_save_visit(edit, edit->functions[k].message, FUNCTION_NODE_FIELD, note_call, &edit->functions[k]))
            return tl_error_no_memory(error);
    return TL_OK;
}

/* ---- Which of them go */

static bool is_lowered(tl_edit *edit, tl_span node, void *context)
{
    (void)context;
    tl_span domain = tl_field_find(node, 7);
    return domain.size && tl_names_find(&edit->lowered, (const char *)domain.data, domain.size);
}

static bool goes(tl_edit *edit, tl_span node, void *context)
{
    const tl_edit_function *function = edit->opens ? tl_save_called(edit, node) : NULL;
    return is_lowered(edit, node, context) || (function && function->opened);
}

bool tl_save_goes(tl_edit *edit, tl_span node)
{
    return tl_save_visit_node(edit, node, goes, NULL);
}

bool tl_save_goes_inside(tl_edit *edit, tl_span message, uint32_t nodes)
{
    return tl_save_visit(edit, message, nodes, goes, NULL);
}

void tl_edit_open_function(tl_edit *edit, size_t k)
{
    edit->functions[k].opened = edit->opens = true;
}

/* Takes `step` from function to function until it changes nothing. Calls lead to calls, but no deeper than functions
 * can be inside each other; false: it goes on, which only functions can do that nobody could call. */
static bool spread(tl_edit *edit, bool (*step)(tl_edit *edit, tl_edit_function *function))
{
    bool changes = true;
    for (int turn = 0; changes && turn <= TL_MAX_DEPTH + 1; turn++) {
        changes = false;
        for (size_t k = 0; k < edit->function_count; k++)
            changes |= step(edit, &edit->functions[k]);
    }
    return !changes;
}

static bool hold(tl_edit *edit, tl_edit_function *function)
{
    const bool before = function->holds;
    for (size_t i = 0; i < function->call_count && !function->holds; i++)
        function->holds = edit->functions[function->calls[i]].holds;
    return function->holds != before;
}

void tl_save_open_functions(tl_edit *edit)
{
    for (size_t k = 0; edit->lowered.count && k < edit->function_count; k++)
        if (tl_save_visit(edit, edit->functions[k].message, FUNCTION_NODE_FIELD, is_lowered, NULL))
            edit->functions[k].holds = true;
    const bool all = !spread(edit, hold);
    for (size_t k = 0; k < edit->function_count; k++) {
        edit->functions[k].called = false;
        edit->functions[k].holds |= all;
        if (edit->functions[k].holds)
            tl_edit_open_function(edit, k);
    }
}

bool tl_save_is_gone(const tl_edit_function *function)
{
    return function->holds || (function->opened && !function->called);
}

static bool call(tl_edit *edit, tl_edit_function *function)
{
    bool changes = false;
    for (size_t i = 0; i < function->call_count && !tl_save_is_gone(function); i++) {
        bool *called = &edit->functions[function->calls[i]].called;
        changes |= !*called;
        *called = true;
    }
    return changes;
}

void tl_save_count_calls(tl_edit *edit)
{
    const bool all = !spread(edit, call);
    for (size_t k = 0; k < edit->function_count; k++)
        edit->functions[k].called |= all;
}

/* ---- Bodies */

/* What all calls have in common; `value` is not known yet where its index is -1. */
static void merge(tl_value *value, const tl_value *instance)
{
    tl_tensor *known = &value->tensor;
    const tl_tensor *found = &instance->tensor;
    if (value->index < 0) {
        value->index = 0;
        value->kind = instance->kind;
        value->type = instance->type;
        *known = *found;
        known->data = NULL;
        return;
    }
    if (known->type != found->type || value->kind != instance->kind)
        known->type = TL_UNDEFINED;
    if (known->rank != found->rank)
        known->rank = TL_RANK_UNKNOWN;
    for (int32_t k = 0; k < known->rank; k++)
        if (known->dims[k] != found->dims[k])
            known->dims[k] = TL_DIM_UNKNOWN;
}

void tl_edit_merge_calls(const tl_function *function)
{
    for (size_t k = 0; k < function->instance_count; k++)
        function->instances[k].value->index = -1;
    for (size_t k = 0; k < function->instance_count; k++)
        if (!function->instances[k].value->constant)
            merge(function->instances[k].value, function->instances[k].instance);
}
