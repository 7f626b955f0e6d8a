/* The host's functions that belong neither to a run nor to rewriting. */
#include "plugin/host.h"

#include "exec/runtime.h"
#include "graph/graph.h"
#include "plugin/registrar.h"

#include <stdarg.h>

static void *host_alloc(const tl_host *host, size_t size, size_t alignment)
{
    if (alignment == 0 || alignment > 4096 || (alignment & (alignment - 1)))
        return NULL;
    void *pooled = tl_pool_take(size, alignment);
    return pooled ? pooled : tl_memory_alloc(&tl_host_runtime(host)->allocator, size, alignment);
}

static void host_free(const tl_host *host, void *memory)
{
    if (memory)
        tl_memory_free(&tl_host_runtime(host)->allocator, memory);
}

static tl_status host_fail(const tl_call *call, tl_status status, const char *format, ...)
{
    /* Failing with success would let a half-made result through. */
    if (status == TL_OK)
        status = TL_PLUGIN;
    va_list arguments;
    va_start(arguments, format);
    tl_error_setv(tl_call_frame_of(call)->error, status, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- Attributes */

const tl_attribute_spec *tl_node_attribute_spec(const tl_node *node, const char *name)
{
    for (size_t k = 0; node->op && k < node->op->attribute_count; k++)
        if (strcmp(node->op->attributes[k].name, name) == 0)
            return &node->op->attributes[k];
    return NULL;
}

static const tl_attribute *find(const tl_node *node, const char *name, int kind)
{
    const tl_attribute *attribute = tl_node_attribute(node, name);
    return attribute && attribute->kind == kind ? attribute : NULL;
}

static const tl_attribute_spec *find_default(const tl_node *node, const char *name, tl_attribute_kind kind)
{
    const tl_attribute_spec *spec = tl_node_attribute_spec(node, name);
    return spec && spec->kind == kind ? spec : NULL;
}

static bool attribute_given(const tl_node *node, const char *name)
{
    return tl_node_attribute(node, name) != NULL;
}

static int64_t attribute_int(const tl_node *node, const char *name)
{
    const tl_attribute *given = find(node, name, TL_ATTR_INT);
    const tl_attribute_spec *spec = given ? NULL : find_default(node, name, TL_ATTR_INT);
    return given ? given->u.i : spec ? spec->i : 0;
}

static float attribute_float(const tl_node *node, const char *name)
{
    const tl_attribute *given = find(node, name, TL_ATTR_FLOAT);
    const tl_attribute_spec *spec = given ? NULL : find_default(node, name, TL_ATTR_FLOAT);
    return given ? given->u.f : spec ? spec->f : 0.0f;
}

static const char *attribute_string(const tl_node *node, const char *name, size_t *size)
{
    const tl_attribute *given = find(node, name, TL_ATTR_STRING);
    const tl_attribute_spec *spec = given ? NULL : find_default(node, name, TL_ATTR_STRING);
    const char *text = given ? given->u.s.data : spec ? spec->s : NULL;
    if (size)
        *size = given ? given->u.s.size : text ? strlen(text) : 0;
    return text;
}

static const void *attribute_list(const tl_node *node, const char *name, int kind, size_t *count)
{
    const tl_attribute *given = find(node, name, kind);
    if (count)
        *count = given ? given->count : 0;
    return given ? (kind == TL_ATTR_INTS     ? (const void *)given->u.ints
                    : kind == TL_ATTR_FLOATS ? (const void *)given->u.floats
                                             : (const void *)given->u.strings)
                 : NULL;
}

static const int64_t *attribute_ints(const tl_node *node, const char *name, size_t *count)
{
    return attribute_list(node, name, TL_ATTR_INTS, count);
}

static const float *attribute_floats(const tl_node *node, const char *name, size_t *count)
{
    return attribute_list(node, name, TL_ATTR_FLOATS, count);
}

static const tl_string *attribute_strings(const tl_node *node, const char *name, size_t *count)
{
    return attribute_list(node, name, TL_ATTR_STRINGS, count);
}

static const tl_tensor *attribute_tensor(const tl_node *node, const char *name)
{
    const tl_attribute *given = find(node, name, TL_ATTR_TENSOR);
    return given ? given->u.tensor : NULL;
}

static int32_t node_version(const tl_node *node)
{
    return node->version;
}

void tl_host_init(tl_host *host)
{
    *host = (tl_host){
        .size = sizeof *host,
        .abi_version = TL_ABI_VERSION,
        .register_operator = tl_registrar_operator,
        .register_rule = tl_registrar_rule,
        .register_domain = tl_registrar_domain,
        .alloc = host_alloc,
        .free = host_free,
        .fail = host_fail,
        .attribute_given = attribute_given,
        .attribute_int = attribute_int,
        .attribute_float = attribute_float,
        .attribute_string = attribute_string,
        .attribute_ints = attribute_ints,
        .attribute_floats = attribute_floats,
        .attribute_strings = attribute_strings,
        .attribute_tensor = attribute_tensor,
        .node_version = node_version,
    };
    tl_host_init_exec(host);
    tl_host_init_rewrite(host);
}
