#include "load/load.h"
#include "load/loader.h"
#include "load/source.h"
#include "load/wire.h"

#define FIRST_IR           3
#define LAST_IR            ONNX__VERSION__IR_VERSION
#define DEFAULT_MAX_TENSOR ((size_t)16 << 30)

/* What a model may take beside the tensors that its file holds as they are: a constant, and a multiple of the unpacked
 * message, which is itself a multiple of the file without tensors. An ordinary model takes about twice the message. */
#define MEMORY_CONSTANT ((size_t)256 << 20)
#define MEMORY_FACTOR   16
/* Sparse tensors may grow to this multiple of the file. */
#define DENSE_CONSTANT ((int64_t)64 << 20)
#define DENSE_FACTOR   1000

static tl_status copy_text(tl_loader *loader, const char *text, const char **copy)
{
    *copy = tl_arena_string(&loader->model->arena, tl_text(text));
    return *copy ? TL_OK : tl_load_no_memory(loader);
}

tl_status tl_load_metadata(tl_loader *loader, Onnx__StringStringEntryProto *const *entries, size_t count,
                           const tl_text_pair **pairs)
{
    tl_text_pair *made = TL_NEW(&loader->model->arena, tl_text_pair, count);
    tl_status status = made ? TL_OK : tl_load_no_memory(loader);
    for (size_t k = 0; k < count && status == TL_OK; k++) {
        status = copy_text(loader, entries[k]->key, &made[k].key);
        if (status == TL_OK)
            status = copy_text(loader, entries[k]->value, &made[k].value);
    }
    *pairs = made;
    return status;
}

static tl_status load_header(tl_loader *loader)
{
    const Onnx__ModelProto *proto = loader->proto;
    tl_model *model = loader->model;
    if (!proto->has_ir_version || proto->ir_version < 1)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "it has no IR version: not an ONNX model?");
    if (proto->ir_version < FIRST_IR || proto->ir_version > LAST_IR)
        return tl_error_set(loader->error, TL_UNSUPPORTED, "IR version %lld; versions %d to %d can be read",
                            (long long)proto->ir_version, FIRST_IR, LAST_IR);
    if (!proto->graph)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "it has no graph");
    model->ir_version = proto->ir_version;
    model->model_version = proto->model_version;
    tl_status status = copy_text(loader, proto->producer_name, &model->producer_name);
    if (status == TL_OK)
        status = copy_text(loader, proto->producer_version, &model->producer_version);
    if (status == TL_OK)
        status = copy_text(loader, proto->domain, &model->domain);
    if (status == TL_OK)
        status = copy_text(loader, proto->doc_string, &model->doc_string);
    if (status == TL_OK)
        status = tl_load_metadata(loader, proto->metadata_props, proto->n_metadata_props, &model->metadata);
    if (status == TL_OK)
        model->metadata_count = proto->n_metadata_props;
    return status == TL_OK ? tl_load_opsets(loader) : status;
}

static tl_status load_main(tl_loader *loader)
{
    tl_model *model = loader->model;
    tl_status status = load_header(loader);
    if (status == TL_OK)
        status = tl_load_functions(loader);
    if (status != TL_OK)
        return status;
    model->graph = tl_graph_new(model, NULL, tl_text(loader->proto->graph->name));
    if (!model->graph)
        return tl_load_no_memory(loader);
    if (loader->with_bodies && tl_load_bodies(loader) != TL_OK)
        return TL_NO_MEMORY;
    tl_scope scope;
    tl_scope_init(&scope, loader, NULL, model->graph, NULL);
    status = tl_load_graph(loader, &scope, loader->proto->graph);
    tl_scope_free(&scope);
    return status;
}

static void set_limits(tl_loader *loader)
{
    size_t limit;
    if (!tl_mul_size(loader->scratch->used, MEMORY_FACTOR, &limit) || !tl_add_size(limit, MEMORY_CONSTANT, &limit))
        limit = SIZE_MAX;
    loader->model->arena.limit = limit;
    loader->scratch->limit = limit;
    int64_t dense;
    if (!tl_mul((int64_t)loader->tensors.size, DENSE_FACTOR, &dense) || !tl_add(dense, DENSE_CONSTANT, &dense))
        dense = INT64_MAX;
    loader->tensors.dense_budget = dense;
}

/* Turns bytes into `model`, whose mappings keep them. */
static tl_status load_bytes(tl_model *model, const tl_tensor_reader *reader, const tl_load_options *options,
                            tl_error *error)
{
    tl_arena scratch;
    tl_arena_init(&scratch, model->allocator, 0);
    tl_loader loader = {.model = model,
                        .scratch = &scratch,
                        .tensors = *reader,
                        .node_metadata = options->node_metadata,
                        .with_bodies = options->functions,
                        .error = error};
    loader.functions.arena = loader.symbols.arena = loader.read.arena = loader.bodies.arena = &scratch;
    loader.tensors.files.arena = &scratch;
    ProtobufCMessage *message;
    tl_status status = tl_wire_unpack(reader->bytes, reader->size, &onnx__model_proto__descriptor,
                                      options->max_model_bytes, &scratch, &message, error);
    if (status == TL_INVALID_MODEL)
        tl_error_prefix(error, "no ONNX model, or a damaged one");
    if (status == TL_OK) {
        loader.proto = (const Onnx__ModelProto *)(void *)message;
        set_limits(&loader);
        status = load_main(&loader);
        model->arena.limit = 0;
    }
    tl_arena_free(&scratch);
    return status;
}

/* The folder that external tensors are looked for in. NULL: memory refused. */
static const char *folder_of(tl_model *model, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    return slash == path ? "/" : tl_arena_bytes(&model->arena, path, (size_t)(slash - path));
}

static tl_status load(tl_model *model, const char *path, const void *data, size_t size, const tl_load_options *options,
                      tl_error *error)
{
    static const tl_load_options defaults;
    if (!options)
        options = &defaults;
    model->unmap = tl_source_close;
    model->max_tensor_bytes = options->max_tensor_bytes ? options->max_tensor_bytes : DEFAULT_MAX_TENSOR;
    tl_tensor_reader reader = {.arena = &model->arena,
                               .bytes = data,
                               .size = size,
                               .max_bytes = model->max_tensor_bytes,
                               .no_folder = "the model comes from memory and no folder is given",
                               .mappings = &model->mappings,
                               .error = error};
    if (path) {
        tl_source *source = TL_NEW(&model->arena, tl_source, 1);
        reader.folder = folder_of(model, path);
        if (!source || !reader.folder)
            return tl_error_no_memory(error);
        tl_status status = tl_source_open(source, model->allocator, path, error);
        if (status != TL_OK)
            return status;
        model->mappings = &source->mapping;
        reader.bytes = source->mapping.data;
        reader.size = source->mapping.size;
        reader.mapped = tl_source_is_mapped(source);
    }
    reader.cache = options->external_data_path;
    if (!path)
        reader.folder = options->external_data_path;
    if (options->no_external_data) {
        reader.folder = NULL;
        reader.no_folder = "external data is turned off";
    }
    if (reader.size == 0)
        return tl_error_set(error, TL_INVALID_MODEL, "it is empty");
    return load_bytes(model, &reader, options, error);
}

static tl_status load_model(const tl_allocator *allocator, const tl_registry *registry, const char *path,
                            const void *data, size_t size, const tl_load_options *options, tl_model **out,
                            tl_error *error)
{
    *out = NULL;
    tl_status status = TL_NO_MEMORY;
    tl_model *model = tl_model_new(allocator, registry);
    if (!model) {
        tl_error_no_memory(error);
    } else {
        if (path)
            model->path = tl_arena_string(&model->arena, path);
        status = model->path ? load(model, path, data, size, options, error) : tl_error_no_memory(error);
    }
    if (status == TL_OK) {
        *out = model;
        return TL_OK;
    }
    tl_error_prefix(error, "%.300s", path ? path : "(memory)");
    tl_model_free(model);
    return status;
}

tl_status tl_load_file(const tl_allocator *allocator, const tl_registry *registry, const char *path,
                       const tl_load_options *options, tl_model **model, tl_error *error)
{
    return load_model(allocator, registry, path, NULL, 0, options, model, error);
}

tl_status tl_load_memory(const tl_allocator *allocator, const tl_registry *registry, const void *data, size_t size,
                         const tl_load_options *options, tl_model **model, tl_error *error)
{
    return load_model(allocator, registry, NULL, data, size, options, model, error);
}
