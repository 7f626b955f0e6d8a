#include "load/loader.h"

#define MAX_INLINED ((size_t)1 << 17) /* nodes of all functions together */
#define MAX_STEPS   ((size_t)1 << 24)
#define MAX_IMPORTS 256

tl_status tl_load_charge(tl_loader *loader, size_t nodes, size_t steps)
{
    loader->inlined += nodes;
    loader->steps += nodes + steps;
    if (loader->inlined <= MAX_INLINED && loader->steps <= MAX_STEPS)
        return TL_OK;
    return tl_error_set(loader->error, TL_INVALID_MODEL, "functions, written out, are more than %zu nodes",
                        MAX_INLINED);
}

/* ---- Operator sets */

static tl_status check_import(tl_loader *loader, const Onnx__OperatorSetIdProto *import)
{
    if (import->version >= 1 && import->version <= INT32_MAX)
        return TL_OK;
    return tl_error_set(loader->error, TL_INVALID_MODEL, "the opset import of domain '%.100s' has version %lld",
                        tl_domain(import->domain), (long long)import->version);
}

tl_status tl_load_imports(tl_loader *loader, Onnx__OperatorSetIdProto *const *imports, size_t count, tl_opset **opsets,
                          size_t *opset_count)
{
    tl_arena *arena = &loader->model->arena;
    if (count > MAX_IMPORTS)
        return tl_error_set(loader->error, TL_UNSUPPORTED, "%zu opset imports, more than %d", count, MAX_IMPORTS);
    *opsets = TL_NEW(arena, tl_opset, count);
    if (!*opsets)
        return tl_load_no_memory(loader);
    for (size_t k = 0; k < count; k++) {
        const char *domain = tl_domain(imports[k]->domain);
        tl_status status = check_import(loader, imports[k]);
        if (status != TL_OK)
            return status;
        size_t at = 0;
        while (at < *opset_count && strcmp((*opsets)[at].domain, domain) != 0)
            at++;
        if (at == *opset_count)
            (*opsets)[(*opset_count)++] = (tl_opset){tl_arena_string(arena, domain), 0};
        if (!(*opsets)[at].domain)
            return tl_load_no_memory(loader);
        if ((*opsets)[at].version < imports[k]->version)
            (*opsets)[at].version = imports[k]->version;
    }
    return TL_OK;
}

tl_status tl_load_opsets(tl_loader *loader)
{
    const Onnx__ModelProto *proto = loader->proto;
    if (proto->n_opset_import == 0)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "it imports no operator set");
    return tl_load_imports(loader, proto->opset_import, proto->n_opset_import, &loader->model->opsets,
                           &loader->model->opset_count);
}

tl_status tl_load_version(tl_loader *loader, const tl_scope *scope, const char *domain, int32_t *version)
{
    int64_t found = 0;
    const Onnx__FunctionProto *function = scope->function;
    for (size_t k = 0; function && k < function->n_opset_import; k++) {
        const Onnx__OperatorSetIdProto *import = function->opset_import[k];
        if (strcmp(tl_domain(import->domain), domain) == 0 && import->version > found)
            found = import->version;
    }
    if (!found) /* functions of the first IR versions that have them may leave it to the model */
        found = tl_model_opset(loader->model, domain);
    *version = (int32_t)found;
    if (found)
        return TL_OK;
    return tl_error_set(loader->error, TL_INVALID_MODEL, "the %s imports no operator set of domain '%.100s'",
                        function ? "function" : "model", *domain ? domain : "ai.onnx");
}

/* ---- The table */

/* Domain, name and overload; none of them holds a NUL. */
static char *function_key(char *buffer, size_t room, tl_arena *arena, const char *domain, const char *name,
                          const char *overload, size_t *size)
{
    size_t a = strlen(domain) + 1, b = strlen(name) + 1, c = strlen(overload) + 1;
    *size = a + b + c;
    char *key = *size <= room ? buffer : tl_arena_alloc(arena, *size, 1, 1);
    if (key) {
        memcpy(key, domain, a);
        memcpy(key + a, name, b);
        memcpy(key + a + b, overload, c);
    }
    return key;
}

static tl_status add_function(tl_loader *loader, Onnx__FunctionProto **place)
{
    const Onnx__FunctionProto *function = *place;
    if (!*tl_text(function->name))
        return tl_error_set(loader->error, TL_INVALID_MODEL, "it has no name");
    size_t size;
    char *key = function_key(NULL, 0, loader->scratch, tl_domain(function->domain), function->name,
                             tl_text(function->overload), &size);
    if (!key)
        return tl_load_no_memory(loader);
    if (tl_names_find(&loader->functions, key, size))
        return tl_error_set(loader->error, TL_INVALID_MODEL, "it is defined twice");
    if (function->n_opset_import > MAX_IMPORTS)
        return tl_error_set(loader->error, TL_UNSUPPORTED, "%zu opset imports, more than %d", function->n_opset_import,
                            MAX_IMPORTS);
    for (size_t k = 0; k < function->n_opset_import; k++) {
        tl_status status = check_import(loader, function->opset_import[k]);
        if (status != TL_OK)
            return status;
    }
    return tl_names_add(&loader->functions, key, size, place) ? TL_OK : tl_load_no_memory(loader);
}

tl_status tl_load_functions(tl_loader *loader)
{
    const Onnx__ModelProto *proto = loader->proto;
    if (proto->n_functions && proto->ir_version < ONNX__VERSION__IR_VERSION_2021_7_30)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "functions need IR version 8, and it is of version %lld",
                            (long long)proto->ir_version);
    for (size_t k = 0; k < proto->n_functions; k++) {
        tl_status status = add_function(loader, &proto->functions[k]);
        if (status != TL_OK)
            tl_error_prefix(loader->error, "function %zu '%.100s'", k, tl_text(proto->functions[k]->name));
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

tl_status tl_function_of(tl_loader *loader, const Onnx__NodeProto *node, Onnx__FunctionProto *const **function)
{
    *function = NULL;
    if (!loader->functions.count)
        return TL_OK;
    char buffer[512];
    size_t size;
    char *key = function_key(buffer, sizeof buffer, loader->scratch, tl_domain(node->domain), node->op_type,
                             tl_text(node->overload), &size);
    if (!key)
        return tl_load_no_memory(loader);
    tl_names_entry *entry = tl_names_find(&loader->functions, key, size);
    *function = entry ? entry->value : NULL;
    return TL_OK;
}

/* ---- Inlining */

static tl_status check_call(tl_loader *loader, const tl_frame *frame)
{
    const Onnx__FunctionProto *function = frame->function;
    const Onnx__NodeProto *call = frame->call;
    if (call->n_input > function->n_input || call->n_output > function->n_output)
        return tl_error_set(loader->error, TL_INVALID_MODEL,
                            "%zu inputs and %zu outputs, but the function has %zu and %zu", call->n_input,
                            call->n_output, function->n_input, function->n_output);
    if (frame->depth > TL_MAX_DEPTH)
        return tl_error_set(loader->error, TL_INVALID_MODEL, "more than %d functions inside each other", TL_MAX_DEPTH);
    for (const tl_frame *at = frame->caller->frame; at; at = at->caller->frame)
        if (at->function == function)
            return tl_error_set(loader->error, TL_INVALID_MODEL, "the function calls itself");
    size_t declared = function->n_attribute + function->n_attribute_proto, comparisons;
    if (!tl_mul_size(call->n_attribute, declared, &comparisons) || comparisons > MAX_STEPS)
        comparisons = MAX_STEPS;
    tl_status status =
        tl_load_charge(loader, function->n_node, 1 + function->n_input + function->n_output + comparisons);
    for (size_t k = 0; k < call->n_attribute && status == TL_OK; k++) {
        bool known = false;
        for (size_t i = 0; i < function->n_attribute && !known; i++)
            known = strcmp(function->attribute[i], call->attribute[k]->name) == 0;
        for (size_t i = 0; i < function->n_attribute_proto && !known; i++)
            known = strcmp(tl_text(function->attribute_proto[i]->name), call->attribute[k]->name) == 0;
        if (!known)
            status = tl_error_set(loader->error, TL_INVALID_MODEL, "the function has no attribute '%.100s'",
                                  call->attribute[k]->name);
    }
    return status;
}

static tl_status bind(tl_loader *loader, tl_scope *body)
{
    tl_frame *frame = body->frame;
    for (size_t k = 0; k < frame->function->n_input; k++) {
        const char *name = frame->function->input[k];
        bool given = k < frame->call->n_input && *frame->call->input[k];
        tl_value *value = NULL;
        tl_status status = TL_OK;
        if (given)
            status = tl_scope_find(loader, frame->caller, frame->call->input[k], "input", &value);
        if (status != TL_OK)
            return status;
        if (tl_names_find(&body->values, name, strlen(name)))
            return tl_error_set(loader->error, TL_INVALID_MODEL, "the function has the input '%.100s' twice", name);
        if (!tl_names_add(&body->values, name, strlen(name), value))
            return tl_load_no_memory(loader);
    }
    for (size_t k = 0; k < frame->call->n_output; k++) {
        const char *name = frame->function->output[k];
        tl_value *value = NULL;
        if (!*frame->call->output[k] || tl_names_find(&frame->outputs, name, strlen(name)))
            continue;
        tl_status status = tl_scope_find(loader, frame->caller, frame->call->output[k], "output", &value);
        if (status != TL_OK)
            return status;
        if (!tl_names_add(&frame->outputs, name, strlen(name), value))
            return tl_load_no_memory(loader);
    }
    return TL_OK;
}

/* Outputs that no node of the body makes under their name are its inputs, or an output listed twice. */
static tl_status finish(tl_loader *loader, tl_scope *body)
{
    tl_frame *frame = body->frame;
    for (size_t k = 0; k < frame->function->n_output; k++) {
        const char *name = frame->function->output[k];
        tl_value *made, *wanted = NULL;
        tl_status status = tl_scope_find(loader, body, name, "the function's output", &made);
        if (status == TL_OK && k < frame->call->n_output && *frame->call->output[k])
            status = tl_scope_find(loader, frame->caller, frame->call->output[k], "output", &wanted);
        if (status != TL_OK)
            return status;
        if (!wanted || wanted == made)
            continue;
        if (!made)
            return tl_error_set(loader->error, TL_INVALID_MODEL,
                                "the function gives out its input '%.100s', which the call leaves out", name);
        status = tl_load_identity(loader, body, made, wanted);
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

static const char *make_prefix(tl_loader *loader, const tl_frame *frame)
{
    const char *name = tl_text(frame->call->name);
    if (!*name)
        name = frame->call->op_type;
    const tl_frame *outer = frame->caller->frame;
    return tl_arena_format(&loader->model->arena, "%s%s%s", outer ? outer->prefix : "", outer ? "/" : "", name);
}

tl_status tl_function_inline(tl_loader *loader, tl_scope *scope, const Onnx__NodeProto *call,
                             Onnx__FunctionProto *const *function)
{
    tl_frame frame = {.function = *function, .call = call, .caller = scope};
    frame.depth = scope->frame ? scope->frame->depth + 1 : 1;
    frame.source =
        scope->frame ? scope->frame->source : (int32_t)(TL_SOURCE_FUNCTION - (function - loader->proto->functions));
    tl_status status = check_call(loader, &frame);
    if (status != TL_OK)
        return status;
    frame.prefix = make_prefix(loader, &frame);
    if (!frame.prefix)
        return tl_load_no_memory(loader);
    tl_scope body;
    tl_scope_init(&body, loader, NULL, scope->graph, &frame);
    frame.outputs.arena = &body.arena;
    status = bind(loader, &body);
    if (status == TL_OK)
        status = tl_define_nodes(loader, &body, frame.function->node, frame.function->n_node);
    if (status == TL_OK)
        status = tl_make_nodes(loader, &body, frame.function->node, frame.function->n_node);
    if (status == TL_OK)
        status = finish(loader, &body);
    if (status == TL_OK)
        status = tl_load_note_instance(loader, &body, frame.function);
    tl_scope_free(&body);
    return status;
}
