#include "common/half.h"
#include "separable_conv1d/model.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/inspect.h"

tl_runtime *runtime_of(int threads)
{
    static tl_runtime *runtimes[9];
    tl_error error;
    if (runtimes[threads] == NULL) {
        const tl_runtime_options options = {.size = sizeof options, .threads = threads};
        ck_assert_msg(tl_runtime_create(&options, &runtimes[threads], &error) == TL_OK, "%s", error.message);
        ck_assert_msg(tl_plugin_register(runtimes[threads], tl_plugin_separable_conv1d, &error) == TL_OK, "%s",
                      error.message);
    }
    return runtimes[threads];
}

int32_t parse_dims(const char *text, int64_t symbol, int64_t *dims)
{
    int32_t rank = 0;
    while (*text != '\0') {
        dims[rank++] = isdigit((unsigned char)*text) ? strtoll(text, NULL, 10) : symbol;
        text += strcspn(text, ",");
        text += *text == ',';
    }
    return rank;
}

size_t size_of(tl_type type)
{
    return tl_type_bits(type) / 8;
}

double noise(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (double)(int32_t)(*state >> 32) / 2147483648.0;
}

/* ---- Numbers of a tensor */

double get_number(tl_type type, const void *data, int64_t i)
{
    switch (type) {
    case TL_DOUBLE:
        return ((const double *)data)[i];
    case TL_FLOAT16:
        return half_value(((const uint16_t *)data)[i], 5, 10);
    case TL_BFLOAT16:
        return half_value(((const uint16_t *)data)[i], 8, 7);
    case TL_INT8:
        return ((const int8_t *)data)[i];
    case TL_UINT8:
        return ((const uint8_t *)data)[i];
    case TL_INT16:
        return ((const int16_t *)data)[i];
    case TL_INT32:
        return ((const int32_t *)data)[i];
    default:
        return (double)((const float *)data)[i];
    }
}

void set_number(tl_type type, void *data, int64_t i, double value)
{
    switch (type) {
    case TL_DOUBLE:
        ((double *)data)[i] = value;
        break;
    case TL_FLOAT16:
        ((uint16_t *)data)[i] = half_bits(value, 5, 10);
        break;
    case TL_BFLOAT16:
        ((uint16_t *)data)[i] = half_bits(value, 8, 7);
        break;
    case TL_INT8:
        ((int8_t *)data)[i] = (int8_t)value;
        break;
    case TL_UINT8:
        ((uint8_t *)data)[i] = (uint8_t)value;
        break;
    case TL_INT16:
        ((int16_t *)data)[i] = (int16_t)value;
        break;
    case TL_INT32:
        ((int32_t *)data)[i] = (int32_t)value;
        break;
    default:
        ((float *)data)[i] = (float)value;
        break;
    }
}

/* ---- Building ---------------------------------------------------------------------------------------------------- */

static message describe(const char *name, tl_type type, const char *dims)
{
    message info = {.size = 0};
    message outer = {.size = 0};
    message tensor = {.size = 0};
    message shape = {.size = 0};
    for (const char *at = dims; at != NULL && *at != '\0';) {
        message dim = {.size = 0};
        const size_t size = strcspn(at, ",");
        if (isdigit((unsigned char)*at))
            put_int(&dim, 1, strtoll(at, NULL, 10));
        else
            put_blob(&dim, 2, at, size);
        put_message(&shape, 1, &dim);
        at += size + (at[size] == ',');
    }
    put_int(&tensor, 1, type);
    if (dims != NULL)
        put_message(&tensor, 2, &shape);
    put_message(&outer, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &outer);
    return info;
}

void add_input(model *m, const char *name, tl_type type, const char *dims)
{
    const message info = describe(name, type, dims);
    put_message(&m->graph, 11, &info);
}

void add_output(model *m, const char *name, tl_type type)
{
    const message info = describe(name, type, NULL);
    put_message(&m->graph, 12, &info);
}

void add_constant(model *m, const char *name, tl_type type, const char *dims, const void *elements)
{
    message tensor = {.size = 0};
    int64_t sizes[TL_MAX_RANK];
    const int32_t rank = parse_dims(dims, 1, sizes);
    int64_t count = 1;
    for (int32_t i = 0; i < rank; i++)
        count *= sizes[i];
    put_tensor(&tensor, name, type, sizes, (size_t)rank);
    put_blob(&tensor, 9, elements, (size_t)count * size_of(type));
    put_message(&m->graph, 5, &tensor);
}

void add_weights(model *m, const char *name, const char *dims)
{
    static float elements[8192];
    int64_t sizes[TL_MAX_RANK];
    const int32_t rank = parse_dims(dims, 1, sizes);
    int64_t count = 1;
    uint64_t state = 0;
    for (const char *c = name; *c != '\0'; c++)
        state = state * 31 + (unsigned char)*c;
    for (int32_t i = 0; i < rank; i++)
        count *= sizes[i];
    for (int64_t i = 0; i < count; i++)
        elements[i] = (float)noise(&state);
    add_constant(m, name, TL_FLOAT, dims, elements);
}

void add_numbers(model *m, const char *name, const char *numbers)
{
    int64_t values[64];
    char dims[24];
    int count = 0;
    for (char *at = (char *)(uintptr_t)numbers; *at != '\0' && *at != ']'; at += *at == ',')
        values[count++] = strtoll(at, &at, 10);
    snprintf(dims, sizeof dims, "%d", count);
    add_constant(m, name, TL_INT64, dims, values);
}

static void put_attribute(message *m, const char *name, size_t name_size, const char *value, size_t size)
{
    message attribute = {.size = 0};
    put_blob(&attribute, 1, name, name_size);
    if (value[0] == '\'') {
        put_blob(&attribute, 4, value + 1, size - 2);
        put_int(&attribute, 20, 3);
    } else if (value[0] == '[') {
        for (char *at = (char *)(uintptr_t)value + 1; *at != ']'; at += *at == ',')
            put_int(&attribute, 8, strtoll(at, &at, 10));
        put_int(&attribute, 20, 7);
    } else if (memchr(value, '.', size) != NULL) {
        put_float(&attribute, 2, strtof(value, NULL));
        put_int(&attribute, 20, 1);
    } else {
        put_int(&attribute, 3, strtoll(value, NULL, 10));
        put_int(&attribute, 20, 2);
    }
    put_message(m, 5, &attribute);
}

void add_node(model *m, const char *op, const char *inputs, const char *outputs, const char *attributes)
{
    const char *colon = strchr(op, ':');
    char domain[32] = "";
    if (colon != NULL)
        snprintf(domain, sizeof domain, "%.*s", (int)(colon - op), op);
    message one = node(colon != NULL ? colon + 1 : op, colon != NULL ? domain : NULL, inputs, outputs);
    while (*attributes != '\0') {
        const size_t name = strcspn(attributes, "=");
        const size_t value = strcspn(attributes + name + 1, " ");
        put_attribute(&one, attributes, name, attributes + name + 1, value);
        attributes += name + 1 + value;
        attributes += *attributes == ' ';
    }
    put_message(&m->graph, 1, &one);
}

static void import(message *file, const char *domain, int64_t version)
{
    message opset = {.size = 0};
    if (version == 0)
        return;
    if (domain[0] != '\0')
        put_text(&opset, 1, domain);
    put_int(&opset, 2, version);
    put_message(file, 8, &opset);
}

void *finish_model(const model *m, size_t *size)
{
    message file = {.size = 0};
    put_int(&file, 1, 8);
    import(&file, "", m->opset);
    import(&file, "tapline", m->tapline);
    import(&file, "com.microsoft", 1);
    put_message(&file, 7, &m->graph);
    void *bytes = malloc(file.size);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, file.bytes, file.size);
    *size = file.size;
    return bytes;
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static void count_nodes(const tl_session *session, outcome *r)
{
    const tl_graph *graph = tl_session_graph(session);
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_node *one = graph->nodes[i];
        const size_t used = strlen(r->ops);
        r->fused += strcmp(one->op_type, "SeparableConv1D") == 0 && strcmp(one->domain, "tapline") == 0;
        snprintf(r->ops + used, sizeof r->ops - used, "%s%s", used > 0 ? " " : "", one->op_type);
        r->nodes++;
    }
}

static tl_status run_session(tl_session *session, const tl_tensor *inputs, size_t count, outcome *r)
{
    tl_context *context = NULL;
    tl_tensor view;
    tl_status status = tl_context_create(session, &context, &r->error);
    for (size_t i = 0; i < count && status == TL_OK; i++)
        status = tl_context_set_input(context, i, &inputs[i], &r->error);
    if (status == TL_OK)
        status = tl_context_run(context, &r->error);
    if (status == TL_OK)
        status = tl_context_output(context, 0, &view, &r->error);
    if (status == TL_OK) {
        const size_t bytes = (size_t)tl_tensor_bytes(&view);
        r->tensor = view;
        r->tensor.data = malloc(bytes + 1);
        ck_assert_ptr_nonnull(r->tensor.data);
        if (bytes > 0)
            memcpy(r->tensor.data, view.data, bytes);
    }
    tl_context_destroy(context);
    return status;
}

const char *const *rules_to_disable(const tl_runtime *runtime, const char *also)
{
    static const char *names[256];
    size_t count = 0;
    for (size_t k = 0; k < runtime->registry.rule_count; k++)
        if (runtime->registry.rules[k]->phase == TL_PHASE_EPILOGUE)
            names[count++] = runtime->registry.rules[k]->name;
    names[count++] = "separable_conv1d.finish";
    names[count++] = also;
    names[count] = NULL;
    ck_assert_uint_lt(count, TL_COUNT(names));
    return names;
}

outcome run_model(const model *m, int threads, bool rewrites, const tl_tensor *inputs, size_t count)
{
    tl_runtime *runtime = runtime_of(threads);
    return run_model_in(runtime, m, rules_to_disable(runtime, NULL), rewrites, inputs, count);
}

outcome run_model_in(tl_runtime *runtime, const model *m, const char *const *disabled, bool rewrites,
                     const tl_tensor *inputs, size_t count)
{
    const tl_session_options options = {
        .size = sizeof options, .flags = rewrites ? 0 : TL_SESSION_NO_REWRITES, .disabled_rules = disabled};
    outcome r = {.status = TL_OK};
    tl_session *session = NULL;
    tl_value_info info;
    size_t size = 0;
    void *bytes = finish_model(m, &size);
    r.status = tl_session_open_memory(runtime, bytes, size, &options, &session, &r.error);
    r.loaded = r.status == TL_OK;
    if (r.loaded) {
        if (tl_session_output(session, 0, &info))
            r.inferred = info.tensor;
        count_nodes(session, &r);
        if (inputs != NULL)
            r.status = run_session(session, inputs, count, &r);
        tl_session_destroy(session);
    }
    free(bytes);
    return r;
}

void free_outcome(outcome *r)
{
    free(r->tensor.data);
    r->tensor.data = NULL;
}
