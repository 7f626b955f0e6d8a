/* What operators ask the host about a node: its attributes, with the schema's defaults. */
#include "graph/graph.h"
#include "plugin/runtime.h"

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

void tl_host_init_attributes(tl_host *host)
{
    host->attribute_given = attribute_given;
    host->attribute_int = attribute_int;
    host->attribute_float = attribute_float;
    host->attribute_string = attribute_string;
    host->attribute_ints = attribute_ints;
    host->attribute_floats = attribute_floats;
    host->attribute_strings = attribute_strings;
    host->attribute_tensor = attribute_tensor;
    host->node_version = node_version;
}
