/* A GraphProto, rewritten: which nodes stay, which come, in which order; what goes with those that go.
 *
 * All is done by names, as the file has it: the file's nodes, calls of functions among them, are only looked into as
 * far as their inputs, outputs and subgraphs. */
#include "save/edit.h"

enum { NODE_FIELD = 1, OUTPUT_FIELD = 12 };

/* Numbers of fields that mean the same in a GraphProto and a FunctionProto; 0: none. */
typedef struct layout {
    uint32_t node, initializer, sparse, input, output, info, annotation, import;
} layout;

static const layout graph_layout = {NODE_FIELD, 5, 15, 11, OUTPUT_FIELD, 13, 14, 0};
static const layout function_layout = {7, 0, 0, 4, 5, 12, 0, 9};

/* A name that is read; by a new node: the value. */
typedef struct reading {
    const char *name;
    tl_value *value;
    bool maybe; /* found somewhere in a subgraph: it may be one of that graph's own */
} reading;

typedef struct readings {
    reading *list;
    size_t count, capacity;
} readings;

typedef struct item {
    tl_span message;     /* of the file's node */
    const tl_node *node; /* of a new one */
    tl_rope attributes;  /* rewritten, if some subgraph is */
    bool has_attributes;
    bool dropped;           /* a call whose function is written out */
    readings before, after; /* what it reads: as it was, as it will be */
    const char **outputs;
    size_t output_count, output_capacity;
    bool was_needed, is_needed, is_written;
    size_t next; /* of `after`, while nodes are put in order */
    bool open;
} item;

/* What a name means. */
typedef struct entry {
    item *was_made, *is_made; /* by these nodes */
    bool input, initializer;
    bool was_used, is_used;
    tl_value *baked; /* a new initializer */
} entry;

typedef struct plan {
    tl_edit *edit;
    tl_graph *graph;
    const layout *fields;
    tl_span message;
    tl_node **by_position; /* nodes of the graph by their position in the file; NULL: gone */
    item **items;          /* the file's, then the new ones */
    size_t item_count, item_capacity, file_count;
    tl_names names; /* entry * */
    readings outputs;
    readings around; /* names that come from the graphs around */
    entry **baked;
    size_t baked_count, baked_capacity;
    item **ordered;
    size_t ordered_count;
} plan;

static tl_status no_memory(const tl_edit *edit)
{
    return tl_error_no_memory(edit->error);
}

static bool add_copy(tl_edit *edit, readings *all, reading r)
{
    if (!r.name || !tl_arena_grow(edit->maker.arena, (void **)&all->list, all->count, &all->capacity, sizeof(reading)))
        return false;
    all->list[all->count++] = r;
    return true;
}

static bool add_reading(tl_edit *edit, readings *all, const char *name, tl_value *value)
{
    return add_copy(edit, all, (reading){.name = name, .value = value});
}

static bool add_maybe(tl_edit *edit, readings *all, const char *name)
{
    return add_copy(edit, all, (reading){.name = name, .maybe = true});
}

static char *copy_text(tl_edit *edit, tl_span text)
{
    return tl_arena_bytes(edit->maker.arena, (const char *)text.data, text.size);
}

static entry *find_entry(const plan *p, const char *name)
{
    tl_names_entry *found = tl_names_find(&p->names, name, strlen(name));
    return found ? found->value : NULL;
}

/* The entry of a name, new if need be; NULL: memory refused. */
static entry *make_entry(plan *p, const char *name)
{
    entry *known = name ? find_entry(p, name) : NULL;
    if (known || !name)
        return known;
    entry *made = TL_NEW(p->edit->maker.arena, entry, 1);
    return made && tl_names_add(&p->names, name, strlen(name), made) ? made : NULL;
}

/* ---- Reading the file's nodes */

/* Every name that nodes of a subgraph read, and its outputs; names of its own among them do no harm. */
static bool read_subgraph(tl_edit *edit, tl_span graph, readings *all);

static bool read_subgraph_node(tl_edit *edit, tl_span node, readings *all)
{
    tl_field field, inner;
    while (tl_field_next(&node, &field)) {
        if (field.number == 1 && !add_maybe(edit, all, copy_text(edit, field.payload)))
            return false;
        tl_span attribute = field.payload;
        while (field.number == 5 && tl_field_next(&attribute, &inner))
            if ((inner.number == 6 || inner.number == 11) && !read_subgraph(edit, inner.payload, all))
                return false;
    }
    return true;
}

static bool read_subgraph(tl_edit *edit, tl_span graph, readings *all)
{
    tl_field field;
    while (tl_field_next(&graph, &field)) {
        if (field.number == NODE_FIELD && !read_subgraph_node(edit, field.payload, all))
            return false;
        if (field.number == OUTPUT_FIELD && !add_maybe(edit, all, copy_text(edit, tl_field_find(field.payload, 1))))
            return false;
    }
    return true;
}

/* What a node that is written as it was needs: its domain, a function. True: memory refused. */
static bool note(tl_edit *edit, tl_span node, void *context)
{
    (void)context;
    tl_edit_function *function = tl_save_called(edit, node);
    if (function)
        function->called = true;
    const char *domain = copy_text(edit, tl_field_find(node, 7));
    return !domain || !tl_edit_note(&edit->domains, &edit->arena, strcmp(domain, "ai.onnx") == 0 ? "" : domain);
}

static tl_status save_graph(tl_edit *edit, tl_span message, tl_graph *graph, readings *around, tl_rope *rope);

/* Of a function that is written out here. */
static bool is_opened(const tl_edit *edit, const tl_node *node)
{
    return node->source <= TL_SOURCE_FUNCTION && edit->functions[TL_SOURCE_FUNCTION - node->source].opened;
}

bool tl_save_is_changed(const tl_edit *edit, const tl_graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_node *node = graph->nodes[i];
        if (node->source == TL_SOURCE_NEW || is_opened(edit, node))
            return true;
        const tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(node, g)); g++)
            if (tl_save_is_changed(edit, inner))
                return true;
    }
    return false;
}

/* An attribute with the subgraphs in it, as they are now. */
static tl_status save_attribute(tl_edit *edit, tl_span message, const tl_node *node, readings *after, tl_rope *rope)
{
    const char *name = copy_text(edit, tl_field_find(message, 1));
    if (!name)
        return no_memory(edit);
    const tl_attribute *attribute = node ? tl_node_attribute(node, name) : NULL;
    size_t k = 0;
    tl_field field;
    tl_status status = TL_OK;
    while (status == TL_OK && tl_field_next(&message, &field)) {
        tl_graph *inner = NULL;
        if (field.number == 6 && attribute && attribute->kind == TL_ATTR_GRAPH)
            inner = attribute->u.graph;
        if (field.number == 11 && attribute && attribute->kind == TL_ATTR_GRAPHS && k < attribute->count)
            inner = attribute->u.graphs[k++];
        if (inner && (tl_save_is_changed(edit, inner) || tl_save_goes_inside(edit, field.payload, NODE_FIELD))) {
            tl_rope graph = {0};
            status = save_graph(edit, field.payload, inner, after, &graph);
            tl_rope_message(&edit->maker, rope, field.number, graph);
            continue;
        }
        bool verbatim = field.number == 6 || field.number == 11;
        if (verbatim &&
            (!read_subgraph(edit, field.payload, after) || tl_save_visit(edit, field.payload, NODE_FIELD, note, NULL)))
            return no_memory(edit);
        tl_rope_add(&edit->maker, rope, field.whole.data, field.whole.size);
    }
    return status;
}

static bool is_changed_inside(const tl_edit *edit, const tl_node *node)
{
    const tl_graph *inner;
    for (size_t g = 0; node && (inner = tl_node_subgraph(node, g)); g++)
        if (tl_save_is_changed(edit, inner))
            return true;
    return false;
}

static item *new_item(plan *p)
{
    item *made = TL_NEW(p->edit->maker.arena, item, 1);
    if (!made ||
        !tl_arena_grow(p->edit->maker.arena, (void **)&p->items, p->item_count, &p->item_capacity, sizeof(item *)))
        return NULL;
    p->items[p->item_count++] = made;
    return made;
}

static bool add_output(plan *p, item *it, const char *name)
{
    if (!name || !tl_arena_grow(p->edit->maker.arena, (void **)&it->outputs, it->output_count, &it->output_capacity,
                                sizeof it->outputs[0]))
        return false;
    it->outputs[it->output_count++] = name;
    if (!*name)
        return true;
    entry *e = make_entry(p, name);
    if (!e)
        return false;
    e->is_made = it;
    if (!it->node)
        e->was_made = it;
    return true;
}

static tl_status read_attributes(plan *p, item *it, const tl_node *node)
{
    tl_edit *edit = p->edit;
    tl_span rest = it->message;
    tl_field field, inner;
    tl_status status = TL_OK;
    it->has_attributes = is_changed_inside(edit, node) || (node && tl_save_goes(edit, it->message));
    while (status == TL_OK && tl_field_next(&rest, &field)) {
        tl_span attribute = field.payload;
        if (field.number != 5)
            continue;
        while (tl_field_next(&attribute, &inner))
            if ((inner.number == 6 || inner.number == 11) && !read_subgraph(edit, inner.payload, &it->before))
                return no_memory(edit);
        if (it->has_attributes) {
            tl_rope message = {0};
            status = save_attribute(edit, field.payload, node, &it->after, &message);
            tl_rope_message(&edit->maker, &it->attributes, 5, message);
        }
    }
    for (size_t k = 0; !it->has_attributes && k < it->before.count; k++)
        if (!add_copy(edit, &it->after, it->before.list[k]))
            return no_memory(edit);
    return status;
}

static tl_status read_node(plan *p, tl_span message, size_t position)
{
    tl_edit *edit = p->edit;
    item *it = new_item(p);
    if (!it)
        return no_memory(edit);
    it->message = message;
    const tl_edit_function *function = edit->opens ? tl_save_called(edit, message) : NULL;
    it->dropped = function && function->opened;
    tl_status status = read_attributes(p, it, p->by_position[position]);
    tl_field field;
    while (status == TL_OK && tl_field_next(&message, &field)) {
        if (field.number != 1 && field.number != 2)
            continue;
        const char *name = copy_text(edit, field.payload);
        bool fine = name != NULL;
        if (fine && field.number == 2)
            fine = add_output(p, it, name);
        else if (fine && *name)
            fine = add_reading(edit, &it->before, name, NULL) && add_reading(edit, &it->after, name, NULL);
        if (!fine)
            status = no_memory(edit);
    }
    return status;
}

static tl_status read_name(plan *p, tl_span text, entry **e)
{
    char *name = copy_text(p->edit, text);
    *e = make_entry(p, name);
    return *e ? TL_OK : no_memory(p->edit);
}

/* A sparse initializer has its name in its values; a function's inputs and outputs are names. */
static tl_span name_of(const plan *p, tl_field field)
{
    if (field.number == p->fields->sparse)
        return tl_field_find(tl_field_find(field.payload, 1), 8);
    if (p->fields == &function_layout && field.number != p->fields->info)
        return field.payload;
    return tl_field_find(field.payload, field.number == p->fields->initializer ? 8 : 1);
}

static tl_status read_field(plan *p, tl_field field)
{
    const layout *fields = p->fields;
    const bool initializer = field.number == fields->initializer || field.number == fields->sparse;
    if (field.number == fields->node)
        return read_node(p, field.payload, p->file_count++);
    if (field.number == fields->output)
        return add_reading(p->edit, &p->outputs, copy_text(p->edit, name_of(p, field)), NULL) ? TL_OK
                                                                                              : no_memory(p->edit);
    if (!initializer && field.number != fields->input)
        return TL_OK;
    entry *e;
    tl_status status = read_name(p, name_of(p, field), &e);
    if (status == TL_OK)
        *(initializer ? &e->initializer : &e->input) = true;
    return status;
}

/* ---- New nodes */

static tl_status add_new_node(plan *p, const tl_node *node)
{
    item *it = new_item(p);
    if (!it)
        return no_memory(p->edit);
    it->node = node;
    tl_value *value;
    for (tl_dependency at = {0}; tl_node_dependency(node, &at, &value);) {
        value = value ? tl_value_origin(value) : NULL;
        if (value && !add_reading(p->edit, &it->after, value->name, value))
            return no_memory(p->edit);
    }
    for (size_t k = 0; k < node->output_count; k++)
        if (!add_output(p, it, node->outputs[k] ? node->outputs[k]->name : ""))
            return no_memory(p->edit);
    return TL_OK;
}

static tl_status add_new_nodes(plan *p)
{
    tl_status status = TL_OK;
    for (size_t i = 0; i < p->graph->node_count && status == TL_OK; i++) {
        const tl_node *node = p->graph->nodes[i];
        if (node->source == TL_SOURCE_NEW || is_opened(p->edit, node))
            status = add_new_node(p, node);
    }
    return status;
}

/* ---- Constants that become initializers */

static tl_status bake(plan *p, tl_value *value)
{
    tl_edit *edit = p->edit;
    entry *e = make_entry(p, value->name);
    if (!e)
        return no_memory(edit);
    bool in_file = e->initializer || (e->was_made && !e->was_made->dropped && !edit->keep_folded);
    if (in_file || e->baked)
        return TL_OK;
    if (!tl_arena_grow(edit->maker.arena, (void **)&p->baked, p->baked_count, &p->baked_capacity, sizeof(entry *)))
        return no_memory(edit);
    p->baked[p->baked_count++] = e;
    e->baked = value;
    e->is_made = NULL;
    return TL_OK;
}

static tl_status bake_constants(plan *p)
{
    tl_edit *edit = p->edit;
    tl_status status = TL_OK;
    for (const tl_bake *b = edit->bakes; b && status == TL_OK; b = b->next)
        if (b->value->graph == p->graph)
            status = bake(p, b->value);
    for (size_t i = p->file_count; i < p->item_count; i++)
        for (size_t k = 0; k < p->items[i]->after.count && status == TL_OK; k++) {
            tl_value *value = p->items[i]->after.list[k].value;
            if (!value->constant)
                continue;
            if (value->graph == p->graph) {
                status = bake(p, value);
                continue;
            }
            tl_bake *b = TL_NEW(edit->maker.arena, tl_bake, 1);
            if (!b)
                return no_memory(edit);
            *b = (tl_bake){value, edit->bakes};
            edit->bakes = b;
        }
    return status;
}

/* ---- What is needed */

/* The entry that a name means; NULL: it comes from around. */
static tl_status find_reading(plan *p, reading r, entry **found)
{
    *found = r.value && r.value->graph != p->graph ? NULL : find_entry(p, r.name);
    tl_edit *edit = p->edit;
    const item *maker = *found ? (*found)->is_made : NULL;
    if (maker && maker->dropped) {
        /* What an opened function's call made may be folded: there is no node for it any more. */
        tl_value *value = r.value ? r.value : tl_graph_find(p->graph, r.name);
        if (value && value->constant && !(value->flags & TL_VALUE_CAPTURE)) {
            tl_status status = bake(p, value);
            *found = find_entry(p, r.name);
            return status;
        }
    }
    bool own = r.value && r.value->graph == p->graph;
    if (!*found && !r.maybe && (own || !p->graph->parent)) {
        edit->must_open = own && r.value->producer ? r.value->producer->source : 0;
        return tl_error_set(edit->error, TL_INTERNAL, "the value '%.200s' would be made by no node", r.name);
    }
    return TL_OK;
}

typedef struct marking {
    plan *p;
    item **stack;
    size_t count;
    bool before;
} marking;

static tl_status mark(marking *m, const readings *all)
{
    plan *p = m->p;
    for (size_t k = 0; k < all->count; k++) {
        entry *e;
        if (m->before) {
            e = find_entry(p, all->list[k].name);
        } else {
            tl_status status = find_reading(p, all->list[k], &e);
            if (status != TL_OK)
                return status;
            if (!e && !add_copy(p->edit, &p->around, all->list[k]))
                return no_memory(p->edit);
        }
        if (!e)
            continue;
        *(m->before ? &e->was_used : &e->is_used) = true;
        item *maker = m->before ? e->was_made : e->is_made;
        bool *needed = maker ? (m->before ? &maker->was_needed : &maker->is_needed) : NULL;
        if (needed && !*needed) {
            *needed = true;
            m->stack[m->count++] = maker;
        }
    }
    return TL_OK;
}

static tl_status find_needed(plan *p, bool before)
{
    marking m = {.p = p, .stack = TL_NEW(p->edit->maker.arena, item *, p->item_count + 1), .before = before};
    if (!m.stack)
        return no_memory(p->edit);
    tl_status status = mark(&m, &p->outputs);
    while (m.count && status == TL_OK) {
        const item *it = m.stack[--m.count];
        status = mark(&m, before ? &it->before : &it->after);
    }
    return status;
}

static bool is_available(const plan *p, const char *name)
{
    const entry *e = find_entry(p, name);
    if (!e)
        return p->graph->parent != NULL; /* may come from around */
    return e->baked || e->input || e->initializer || (e->is_made && e->is_made->is_written);
}

/* Nodes whose results nobody ever needed stay too, as long as there is what they read. */
static void keep_dead(plan *p)
{
    for (size_t i = 0; i < p->item_count; i++) {
        item *it = p->items[i];
        it->is_written = it->is_needed;
    }
    for (size_t i = 0; i < p->file_count; i++) {
        item *it = p->items[i];
        if (it->is_needed || it->was_needed || it->dropped)
            continue;
        bool keep = !tl_save_goes(p->edit, it->message);
        for (size_t k = 0; k < it->after.count && keep; k++)
            keep = it->after.list[k].maybe || is_available(p, it->after.list[k].name);
        it->is_written = keep;
        for (size_t k = 0; k < it->after.count; k++) {
            entry *e = find_entry(p, it->after.list[k].name);
            if (e)
                *(keep ? &e->is_used : &e->was_used) = true;
        }
    }
}

/* ---- Order: depth first, in the file's order where that is one. */

static tl_status order(plan *p)
{
    tl_arena *arena = p->edit->maker.arena;
    item **stack = TL_NEW(arena, item *, p->item_count + 1);
    p->ordered = TL_NEW(arena, item *, p->item_count + 1);
    if (!stack || !p->ordered)
        return no_memory(p->edit);
    for (size_t i = 0; i < p->item_count; i++) {
        size_t top = 0;
        if (p->items[i]->is_written && !p->items[i]->open) {
            p->items[i]->open = true;
            stack[top++] = p->items[i];
        }
        while (top) {
            item *it = stack[top - 1];
            if (it->next == it->after.count) {
                p->ordered[p->ordered_count++] = it;
                top--;
                continue;
            }
            const reading *r = &it->after.list[it->next++];
            const entry *e = r->value && r->value->graph != p->graph ? NULL : find_entry(p, r->name);
            item *maker = e ? e->is_made : NULL;
            if (maker && maker->is_written && !maker->open) {
                maker->open = true;
                stack[top++] = maker;
            }
        }
    }
    return TL_OK;
}

/* ---- Writing */

/* An output that something else makes now. */
static bool is_taken(const plan *p, const item *it, const char *name)
{
    const entry *e = *name ? find_entry(p, name) : NULL;
    return e && e->is_made != it;
}

static tl_status save_item(plan *p, item *it, tl_rope *rope)
{
    tl_edit *edit = p->edit;
    if (it->node)
        return tl_save_node(edit, it->node, rope);
    bool taken = false;
    for (size_t k = 0; k < it->output_count; k++)
        taken |= is_taken(p, it, it->outputs[k]);
    if (it->has_attributes ? note(edit, it->message, NULL) : tl_save_visit_node(edit, it->message, note, NULL))
        return no_memory(edit);
    if (!taken && !it->has_attributes) {
        tl_rope_add(&edit->maker, rope, it->message.data, it->message.size);
        return TL_OK;
    }
    tl_span rest = it->message;
    tl_field field;
    size_t output = 0;
    while (tl_field_next(&rest, &field)) {
        if (field.number == 5 && it->has_attributes) {
            tl_rope_join(rope, it->attributes);
            it->attributes = (tl_rope){0};
        } else if (field.number == 2) {
            const char *name = it->outputs[output++];
            tl_rope_text(&edit->maker, rope, 2, is_taken(p, it, name) ? "" : name);
        } else {
            tl_rope_add(&edit->maker, rope, field.whole.data, field.whole.size);
        }
    }
    return TL_OK;
}

/* Functions have no initializers, and before IR version 4 one had to be an input as well: there constants are nodes. */
static bool bakes_nodes(const plan *p)
{
    return p->fields == &function_layout || p->edit->model->ir_version < 4;
}

static tl_status save_nodes(plan *p, tl_rope *rope)
{
    tl_status status = TL_OK;
    for (size_t k = 0; bakes_nodes(p) && k < p->baked_count && status == TL_OK; k++) {
        tl_rope node = {0};
        status = tl_save_constant_node(p->edit, p->baked[k]->baked, &node);
        tl_rope_message(&p->edit->maker, rope, p->fields->node, node);
    }
    for (size_t k = 0; k < p->ordered_count && status == TL_OK; k++) {
        tl_rope node = {0};
        status = save_item(p, p->ordered[k], &node);
        tl_rope_message(&p->edit->maker, rope, p->fields->node, node);
    }
    return status;
}

/* Whether a field of the graph that is about a name goes with it. */
static tl_status is_gone(const plan *p, tl_field field, bool *gone)
{
    const layout *fields = p->fields;
    *gone = field.number == fields->import;
    bool initializer = field.number == fields->initializer || field.number == fields->sparse;
    bool info = field.number == fields->info || field.number == fields->annotation;
    if (!initializer && !info && field.number != fields->input)
        return TL_OK;
    char *name = copy_text(p->edit, name_of(p, field));
    if (!name)
        return no_memory(p->edit);
    const entry *e = find_entry(p, name);
    bool unused = e && e->initializer && e->was_used && !e->is_used;
    *gone = info ? !e || unused || !is_available(p, name) : unused;
    return TL_OK;
}

static tl_status write_graph(plan *p, tl_rope *rope)
{
    tl_edit *edit = p->edit;
    tl_span rest = p->message;
    tl_field field;
    bool nodes = false;
    tl_status status = TL_OK;
    while (status == TL_OK && tl_field_next(&rest, &field)) {
        bool gone;
        if (field.number == p->fields->node) {
            if (!nodes)
                status = save_nodes(p, rope);
            nodes = true;
            continue;
        }
        status = is_gone(p, field, &gone);
        if (status == TL_OK && !gone)
            tl_rope_add(&edit->maker, rope, field.whole.data, field.whole.size);
    }
    if (status == TL_OK && !nodes)
        status = save_nodes(p, rope);
    for (size_t k = 0; !bakes_nodes(p) && k < p->baked_count && status == TL_OK; k++) {
        tl_rope tensor = {0};
        status = tl_save_constant(edit, p->baked[k]->baked, &tensor);
        tl_rope_message(&edit->maker, rope, p->fields->initializer, tensor);
    }
    return status;
}

static tl_status find_positions(plan *p)
{
    size_t count = 0;
    tl_span rest = p->message;
    tl_field field;
    while (tl_field_next(&rest, &field))
        count += field.number == p->fields->node;
    if (rest.size)
        return tl_error_set(p->edit->error, TL_IO, "the file changed while it was read");
    p->by_position = TL_NEW(p->edit->maker.arena, tl_node *, count + 1);
    if (!p->by_position)
        return no_memory(p->edit);
    for (size_t i = 0; i < p->graph->node_count; i++) {
        tl_node *node = p->graph->nodes[i];
        if (node->source >= 0 && (size_t)node->source < count)
            p->by_position[node->source] = node;
    }
    return TL_OK;
}

static tl_status save_graph(tl_edit *edit, tl_span message, tl_graph *graph, readings *around, tl_rope *rope)
{
    plan p = {.edit = edit, .graph = graph, .message = message};
    p.fields = graph->function && !graph->parent ? &function_layout : &graph_layout;
    p.names.arena = edit->maker.arena;
    tl_status status = find_positions(&p);
    tl_span rest = message;
    tl_field field;
    while (status == TL_OK && tl_field_next(&rest, &field))
        status = read_field(&p, field);
    if (status == TL_OK)
        status = add_new_nodes(&p);
    if (status == TL_OK)
        status = bake_constants(&p);
    if (status == TL_OK)
        status = find_needed(&p, true);
    if (status == TL_OK)
        status = find_needed(&p, false);
    if (status != TL_OK)
        return status;
    keep_dead(&p);
    status = order(&p);
    for (size_t k = 0; around && k < p.around.count && status == TL_OK; k++)
        if (!add_copy(edit, around, p.around.list[k]))
            status = no_memory(edit);
    return status == TL_OK ? write_graph(&p, rope) : status;
}

tl_status tl_save_graph(tl_edit *edit, tl_span message, tl_graph *graph, tl_rope *rope)
{
    return save_graph(edit, message, graph, NULL, rope);
}
