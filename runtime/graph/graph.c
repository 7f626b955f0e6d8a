#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "graph/graph.h"

/* ---- Model */

tl_model *tl_model_new(const tl_allocator *allocator, const tl_registry *registry)
{
    tl_model *model = tl_memory_alloc(allocator, sizeof *model, _Alignof(tl_model));
    if (!model)
        return NULL;
    *model = (tl_model){.allocator = allocator, .registry = registry, .path = "(memory)"};
    tl_arena_init(&model->arena, allocator, 0);
    return model;
}

void tl_model_free(tl_model *model)
{
    if (!model)
        return;
    for (tl_constant *c = model->constants; c; c = c->next)
        tl_memory_free(model->allocator, c->copied);
    tl_model_drop_spare(model);
    for (tl_mapping *m = model->mappings; m; m = m->next)
        model->unmap(m);
    tl_arena_free(&model->arena);
    tl_memory_free(model->allocator, model);
}

tl_dim tl_model_symbol(tl_model *model, const char *name)
{
    if (!tl_arena_grow(&model->arena, (void **)&model->symbols, model->symbol_count, &model->symbol_capacity,
                       sizeof *model->symbols))
        return TL_DIM_UNKNOWN;
    const char *copy = name ? tl_arena_string(&model->arena, name) : NULL;
    if (name && !copy)
        return TL_DIM_UNKNOWN;
    model->symbols[model->symbol_count] = copy;
    return -2 - (tl_dim)model->symbol_count++;
}

const char *tl_model_symbol_name(const void *context, tl_dim dim)
{
    const tl_model *model = context;
    const size_t index = (size_t)-2 - (size_t)dim;
    return dim < TL_DIM_UNKNOWN && index < model->symbol_count ? model->symbols[index] : NULL;
}

static int64_t find_opset(const tl_opset *opsets, size_t count, const char *domain)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(opsets[i].domain, domain) == 0)
            return opsets[i].version;
    return 0;
}

int64_t tl_model_opset(const tl_model *model, const char *domain)
{
    return find_opset(model->opsets, model->opset_count, domain);
}

int64_t tl_graph_opset(const tl_graph *graph, const char *domain)
{
    const tl_function *function = graph->function;
    int64_t version = function ? find_opset(function->opsets, function->opset_count, domain) : 0;
    return version ? version : tl_model_opset(graph->model, domain);
}

/* ---- Graph */

tl_graph *tl_graph_new(tl_model *model, tl_graph *parent, const char *name)
{
    tl_graph *graph = TL_NEW(&model->arena, tl_graph, 1);
    const char *copy = tl_arena_string(&model->arena, name);
    if (!graph || !copy)
        return NULL;
    *graph = (tl_graph){.name = copy,
                        .model = model,
                        .parent = parent,
                        .function = parent ? parent->function : NULL,
                        .depth = parent ? parent->depth + 1 : 0,
                        .number = model->graph_count++};
    return graph;
}

static tl_value **bucket_of(const tl_graph *graph, const char *name)
{
    const uint64_t hash = tl_hash((uintptr_t)graph->model, name, strlen(name));
    return &graph->buckets[hash & (graph->bucket_count - 1)];
}

tl_value *tl_graph_find(const tl_graph *graph, const char *name)
{
    if (!graph->bucket_count)
        return NULL;
    tl_value *value = *bucket_of(graph, name);
    while (value && strcmp(value->name, name) != 0)
        value = value->next_by_name;
    return value;
}

void tl_graph_index(tl_graph *graph, tl_value *value)
{
    tl_value **bucket = bucket_of(graph, value->name);
    value->next_by_name = *bucket;
    *bucket = value;
}

static bool grow_buckets(tl_graph *graph)
{
    if (graph->value_count < graph->bucket_count)
        return true;
    size_t count = graph->bucket_count ? graph->bucket_count * 4 : 64;
    tl_value **buckets = TL_NEW(&graph->model->arena, tl_value *, count);
    if (!buckets)
        return false;
    graph->buckets = buckets;
    graph->bucket_count = count;
    for (size_t i = 0; i < graph->value_count; i++)
        tl_graph_index(graph, graph->values[i]);
    return true;
}

tl_value *tl_graph_add_value(tl_graph *graph, const char *name)
{
    tl_arena *arena = &graph->model->arena;
    tl_value *value = TL_NEW(arena, tl_value, 1);
    const char *copy = tl_arena_string(arena, name);
    if (!value || !copy || !grow_buckets(graph) ||
        !tl_arena_grow(arena, (void **)&graph->values, graph->value_count, &graph->value_capacity, sizeof(tl_value *)))
        return NULL;
    value->name = copy;
    value->graph = graph;
    value->kind = TL_KIND_TENSOR;
    value->tensor.rank = TL_RANK_UNKNOWN;
    value->index = (int32_t)graph->value_count;
    graph->values[graph->value_count++] = value;
    tl_graph_index(graph, value);
    return value;
}

tl_value *tl_graph_add_unique(tl_graph *graph, const char *base)
{
    if (*base && !tl_graph_find(graph, base))
        return tl_graph_add_value(graph, base);
    for (;;) {
        char *name = tl_arena_format(&graph->model->arena, "%s_%lld", base, (long long)++graph->model->unique);
        if (!name)
            return NULL;
        if (!tl_graph_find(graph, name))
            return tl_graph_add_value(graph, name);
    }
}

bool tl_graph_add_input(tl_graph *graph, tl_value *value)
{
    if (!tl_arena_grow(&graph->model->arena, (void **)&graph->inputs, graph->input_count, &graph->input_capacity,
                       sizeof(tl_value *)))
        return false;
    value->flags |= TL_VALUE_INPUT;
    graph->inputs[graph->input_count++] = value;
    return true;
}

bool tl_graph_add_output(tl_graph *graph, tl_value *value)
{
    if (!tl_arena_grow(&graph->model->arena, (void **)&graph->outputs, graph->output_count, &graph->output_capacity,
                       sizeof(tl_value *)))
        return false;
    value->flags |= TL_VALUE_OUTPUT;
    graph->outputs[graph->output_count++] = value;
    return true;
}

/* ---- Nodes */

tl_node *tl_graph_add_node(tl_graph *graph, const char *name, const char *domain, const char *op_type,
                           size_t input_count, size_t output_count, size_t attribute_count)
{
    tl_arena *arena = &graph->model->arena;
    tl_node *node = TL_NEW(arena, tl_node, 1);
    if (!node ||
        !tl_arena_grow(arena, (void **)&graph->nodes, graph->node_count, &graph->node_capacity, sizeof(tl_node *)))
        return NULL;
    *node = (tl_node){
        .name = tl_arena_string(arena, name),
        .domain = tl_arena_string(arena, strcmp(domain, "ai.onnx") == 0 ? "" : domain),
        .op_type = tl_arena_string(arena, op_type),
        .graph = graph,
        .inputs = TL_NEW(arena, tl_value *, input_count),
        .input_count = input_count,
        .outputs = TL_NEW(arena, tl_value *, output_count),
        .output_count = output_count,
        .attributes = TL_NEW(arena, tl_attribute, attribute_count),
        .attribute_count = attribute_count,
        .source = TL_SOURCE_NEW,
    };
    if (!node->name || !node->domain || !node->op_type || !node->inputs || !node->outputs || !node->attributes)
        return NULL;
    graph->nodes[graph->node_count++] = node;
    return node;
}

const tl_attribute *tl_node_attribute(const tl_node *node, const char *name)
{
    for (size_t i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].name, name) == 0)
            return &node->attributes[i];
    return NULL;
}

bool tl_node_list_graphs(tl_node *node)
{
    size_t count = 0;
    for (size_t i = 0; i < node->attribute_count; i++) {
        const tl_attribute *a = &node->attributes[i];
        count += a->kind == TL_ATTR_GRAPH ? 1 : a->kind == TL_ATTR_GRAPHS ? a->count : 0;
    }
    node->graph_count = 0;
    node->graphs = TL_NEW(&node->graph->model->arena, tl_graph *, count);
    for (size_t i = 0; node->graphs && i < node->attribute_count; i++) {
        const tl_attribute *a = &node->attributes[i];
        if (a->kind == TL_ATTR_GRAPH)
            node->graphs[node->graph_count++] = a->u.graph;
        for (size_t k = 0; a->kind == TL_ATTR_GRAPHS && k < a->count; k++)
            node->graphs[node->graph_count++] = a->u.graphs[k];
    }
    return node->graphs != NULL;
}

char *tl_node_describe(const tl_node *node, char *buffer, size_t size)
{
    const char *dot = *node->domain ? "::" : "";
    if (*node->name) {
        snprintf(buffer, size, "node '%.200s' (%.60s%s%.100s)", node->name, node->domain, dot, node->op_type);
        return buffer;
    }
    const char *output = "";
    for (size_t i = 0; i < node->output_count && !*output; i++)
        if (node->outputs[i])
            output = node->outputs[i]->name;
    snprintf(buffer, size, "node making '%.200s' (%.60s%s%.100s)", output, node->domain, dot, node->op_type);
    return buffer;
}

/* ---- Kinds */

tl_type tl_value_element_type(const tl_value *value)
{
    if (value->kind == TL_KIND_TENSOR)
        return value->tensor.type;
    const tl_type_info *type = value->type;
    while (type && type->kind != TL_KIND_TENSOR)
        type = type->element;
    return type ? type->tensor.type : TL_UNDEFINED;
}

bool tl_value_matches(const tl_value *from, const tl_value *to)
{
    if (from->kind != to->kind)
        return false;
    const tl_type a = tl_value_element_type(from), b = tl_value_element_type(to);
    return a == b || a == TL_UNDEFINED || b == TL_UNDEFINED;
}

void tl_value_copy_kind(tl_value *to, const tl_value *from)
{
    to->kind = from->kind;
    if (from->kind == TL_KIND_TENSOR) {
        if (from->tensor.type != TL_UNDEFINED)
            to->tensor.type = from->tensor.type;
    } else if (tl_value_element_type(to) == TL_UNDEFINED) {
        to->type = from->type;
    }
}

/* ---- Constants */

static tl_constant *new_constant(tl_value *value, const tl_tensor *tensor)
{
    tl_model *model = value->graph->model;
    tl_constant *constant = TL_NEW(&model->arena, tl_constant, 1);
    if (!constant)
        return NULL;
    constant->bytes = tl_tensor_bytes(tensor);
    constant->next = model->constants;
    model->constants = constant;
    value->kind = TL_KIND_TENSOR;
    value->tensor = *tensor;
    value->tensor.data = NULL;
    value->constant = constant;
    value->flags |= TL_VALUE_CONSTANT;
    value->producer = NULL;
    return constant;
}

bool tl_value_set_constant(tl_value *value, const tl_tensor *tensor, const void *source, bool mapped)
{
    tl_constant *constant = new_constant(value, tensor);
    if (!constant)
        return false;
    constant->source = source;
    constant->mapped = mapped;
    return true;
}

bool tl_value_take_constant(tl_value *value, const tl_tensor *tensor, void *data)
{
    tl_constant *constant = new_constant(value, tensor);
    if (!constant)
        return false;
    constant->aligned = constant->copied = data;
    value->tensor.data = data;
    return true;
}

tl_value *tl_value_origin(tl_value *value)
{
    while (value->flags & TL_VALUE_CAPTURE)
        value = value->outer;
    return value;
}

/* Gives back the pages of the file's map from byte `begin` to byte `end` of a constant: they come back by themselves
 * if someone reads them again. */
static void forget_pages(const tl_constant *constant, int64_t begin, int64_t end)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)constant->source + (uintptr_t)begin + page - 1) & ~(page - 1);
    uintptr_t last = ((uintptr_t)constant->source + (uintptr_t)end) & ~(page - 1);
    if (constant->mapped && first < last)
        madvise((void *)first, last - first, MADV_DONTNEED);
}

/* Maps the pages of a constant that is about to be read in one call, rather than one by one. */
static void fetch_pages(const tl_constant *constant, int64_t begin, int64_t end)
{
#ifdef MADV_POPULATE_READ
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)constant->source + (uintptr_t)begin) & ~(page - 1);
    if (constant->mapped)
        madvise((void *)first, (uintptr_t)constant->source + (uintptr_t)end - first, MADV_POPULATE_READ);
#endif
}

/* A piece at a time, so that a large constant is not in memory twice. */
static void copy_source(const tl_constant *constant, char *copy)
{
    const int64_t piece = 1 << 18;
    for (int64_t begin = 0; constant->source && begin < constant->bytes; begin += piece) {
        int64_t end = constant->bytes - begin < piece ? constant->bytes : begin + piece;
        fetch_pages(constant, begin, end);
        memcpy(copy + begin, (const char *)constant->source + begin, (size_t)(end - begin));
        if (constant->bytes > piece)
            forget_pages(constant, begin, end);
    }
}

/* Weights of one size follow each other: the memory of one's copy, which the system has filled in already, becomes the
 * next one's. */
#define LEAST_SPARE ((int64_t)1 << 16)
#define MOST_SPARE  ((int64_t)2 << 20)

static void *take_copy(tl_model *model, int64_t bytes)
{
    void *spare = model->spare;
    if (!spare || model->spare_bytes != bytes)
        return tl_memory_alloc(model->allocator, (size_t)bytes, TL_ALIGNMENT);
    model->spare = NULL;
    return spare;
}

static void free_copy(tl_model *model, tl_constant *constant)
{
    if (constant->copied && constant->bytes >= LEAST_SPARE && constant->bytes <= MOST_SPARE) {
        tl_model_drop_spare(model);
        model->spare = constant->copied;
        model->spare_bytes = constant->bytes;
    } else {
        tl_memory_free(model->allocator, constant->copied);
    }
    constant->copied = constant->aligned = NULL;
}

void tl_model_drop_spare(tl_model *model)
{
    tl_memory_free(model->allocator, model->spare);
    model->spare = NULL;
}

const void *tl_value_data(tl_value *value)
{
    tl_constant *constant = value->constant;
    if (!constant)
        return NULL;
    if (!constant->aligned) {
        /* Kernels read vectors at any address, but C wants elements where their type may stand. */
        size_t alignment = value->tensor.type == TL_STRING ? _Alignof(tl_string) : tl_type_bits(value->tensor.type) / 8;
        if (constant->source && (alignment <= 1 || (uintptr_t)constant->source % alignment == 0)) {
            constant->aligned = (void *)(uintptr_t)constant->source;
        } else {
            void *copy = take_copy(value->graph->model, constant->bytes);
            if (!copy)
                return NULL;
            copy_source(constant, copy);
            constant->aligned = constant->copied = copy;
        }
    }
    value->tensor.data = constant->aligned;
    return constant->aligned;
}

void tl_value_release(tl_value *value)
{
    tl_constant *constant = value->constant;
    if (!constant)
        return;
    if (constant->bytes >= 1 << 16)
        forget_pages(constant, 0, constant->bytes);
    if (constant->copied && !constant->source)
        return; /* computed: there is nowhere to read it from again */
    free_copy(value->graph->model, constant);
    value->tensor.data = NULL;
}

void tl_value_drop(tl_value *value)
{
    tl_constant *constant = value->constant;
    tl_value_release(value);
    if (!constant)
        return;
    free_copy(value->graph->model, constant);
    value->tensor.data = NULL;
}
