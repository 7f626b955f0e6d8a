#include "load/loader.h"

void tl_scope_init(tl_scope *scope, const tl_loader *loader, tl_scope *parent, tl_graph *graph, tl_frame *frame)
{
    *scope = (tl_scope){.parent = parent, .graph = graph, .frame = frame};
    scope->function = frame ? frame->function : parent ? parent->function : NULL;
    tl_arena_init(&scope->arena, loader->model->allocator, 0);
    scope->values.arena = &scope->arena;
}

void tl_scope_free(tl_scope *scope)
{
    tl_arena_free(&scope->arena);
}

/* In a function body a name can be anything that nobody has; the frame may have a value waiting for it. */
static tl_value *make_value(tl_loader *loader, tl_scope *scope, const char *name)
{
    tl_frame *frame = scope->frame;
    if (!frame)
        return tl_graph_add_value(scope->graph, name);
    tl_names_entry *bound = scope->parent ? NULL : tl_names_find(&frame->outputs, name, strlen(name));
    if (bound)
        return bound->value;
    const char *base = tl_arena_format(&loader->model->arena, "%s/%s", frame->prefix, name);
    return base ? tl_graph_add_unique(scope->graph, base) : NULL;
}

tl_status tl_scope_define(tl_loader *loader, tl_scope *scope, const char *name, tl_value **value)
{
    if (tl_names_find(&scope->values, name, strlen(name)))
        return tl_error_set(loader->error, TL_INVALID_MODEL, "the value '%.200s' is made twice", name);
    *value = make_value(loader, scope, name);
    if (!*value || !tl_names_add(&scope->values, name, strlen(name), *value))
        return tl_load_no_memory(loader);
    return TL_OK;
}

/* The value of a graph around as seen from `graph`. */
static tl_value *capture(tl_graph *graph, tl_value *outer)
{
    if (outer->graph == graph)
        return outer;
    outer = capture(graph->parent, outer);
    if (!outer)
        return NULL;
    tl_value *value = tl_graph_add_unique(graph, outer->name);
    if (!value || !tl_arena_grow(&graph->model->arena, (void **)&graph->captures, graph->capture_count,
                                 &graph->capture_capacity, sizeof(tl_value *)))
        return NULL;
    value->flags |= TL_VALUE_CAPTURE;
    value->outer = outer;
    value->kind = outer->kind;
    value->type = outer->type;
    value->tensor = outer->tensor;
    value->tensor.data = NULL;
    graph->captures[graph->capture_count++] = value;
    return value;
}

/* Each scope on the way keeps what it found, so that a graph captures a value once, whoever inside it asks. */
static tl_status resolve(tl_loader *loader, tl_scope *scope, const char *name, bool *found, tl_value **value)
{
    size_t size = strlen(name);
    const tl_names_entry *entry = tl_names_find(&scope->values, name, size);
    *found = entry != NULL;
    *value = entry ? entry->value : NULL;
    if (entry || !scope->parent)
        return TL_OK;
    tl_status status = resolve(loader, scope->parent, name, found, value);
    if (status != TL_OK || !*found)
        return status;
    if (*value) {
        *value = capture(scope->graph, *value);
        if (!*value)
            return tl_load_no_memory(loader);
    }
    return tl_names_add(&scope->values, name, size, *value) ? TL_OK : tl_load_no_memory(loader);
}

tl_status tl_scope_find(tl_loader *loader, tl_scope *scope, const char *name, const char *what, tl_value **value)
{
    bool found;
    tl_status status = resolve(loader, scope, name, &found, value);
    if (status == TL_OK && !found)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "%s '%.200s' is made by no node, input or initializer",
                            what, name);
    return status;
}
