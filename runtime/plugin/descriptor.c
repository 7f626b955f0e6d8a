/* Descriptors as plugins hand them over, made wide and checked, so that the rest of the runtime can trust them. */
#include "plugin/registrar.h"

const char *tl_domain_canonical(const char *domain)
{
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

/* The descriptor's fields up to its size; what lies beyond counts as zero. NULL: refused. */
static void *widen(const tl_registrar *registrar, const void *descriptor, size_t least, size_t wide, const char *what,
                   tl_error *error)
{
    size_t size = 0;
    if (descriptor)
        memcpy(&size, descriptor, sizeof size);
    if (size < least) {
        tl_error_set(error, TL_PLUGIN, "%s descriptor of size %zu, which must be at least %zu", what, size, least);
        return NULL;
    }
    void *copy = tl_memory_alloc(registrar->registry->allocator, wide, _Alignof(max_align_t));
    if (!copy) {
        tl_error_no_memory(error);
        return NULL;
    }
    memset(copy, 0, wide);
    memcpy(copy, descriptor, size < wide ? size : wide);
    memcpy(copy, &wide, sizeof wide);
    return copy;
}

static tl_status check_params(const tl_registrar *registrar, const char *what, const tl_param *params, size_t count,
                              tl_error *error)
{
    if (count > 0 && !params)
        return tl_error_set(error, TL_PLUGIN, "%zu %ss without a table", count, what);
    for (size_t k = 0; k < count; k++) {
        const tl_param *param = &params[k];
        if (!param->name || !*param->name)
            return tl_error_set(error, TL_PLUGIN, "%s %zu has no name", what, k);
        if (!registrar->built_in && (param->types == 0 || (param->types & ~TL_T_ALL)))
            return tl_error_set(error, TL_PLUGIN, "%s '%s' has no types, or types that do not exist", what,
                                param->name);
        const unsigned known = TL_PARAM_OPTIONAL | TL_PARAM_VARIADIC | TL_PARAM_MIXED | TL_PARAM_SHAPE;
        if (param->flags & ~(registrar->built_in ? known | TL_PARAM_LIST : known))
            return tl_error_set(error, TL_PLUGIN, "%s '%s' has unknown flags %#x", what, param->name, param->flags);
        if ((param->flags & TL_PARAM_VARIADIC) && k + 1 < count)
            return tl_error_set(error, TL_PLUGIN, "%s '%s' is variadic but not the last", what, param->name);
    }
    return TL_OK;
}

static tl_status check_attributes(const tl_registrar *registrar, const tl_operator *op, tl_error *error)
{
    if (op->attribute_count > 0 && !op->attributes)
        return tl_error_set(error, TL_PLUGIN, "%zu attributes without a table", op->attribute_count);
    for (size_t k = 0; k < op->attribute_count; k++) {
        const tl_attribute_spec *spec = &op->attributes[k];
        if (!spec->name || !*spec->name)
            return tl_error_set(error, TL_PLUGIN, "attribute %zu has no name", k);
        bool known = spec->kind >= TL_ATTR_FLOAT && spec->kind <= TL_ATTR_STRINGS && spec->kind != TL_ATTR_GRAPH;
        if (!known && !registrar->built_in)
            return tl_error_set(error, TL_PLUGIN, "attribute '%s' is of kind %d, which plugins cannot have", spec->name,
                                (int)spec->kind);
        for (size_t j = 0; j < k; j++)
            if (strcmp(op->attributes[j].name, spec->name) == 0)
                return tl_error_set(error, TL_PLUGIN, "attribute '%s' stands twice", spec->name);
    }
    return TL_OK;
}

static tl_status check_operator(const tl_registrar *registrar, const tl_operator *op, tl_error *error)
{
    if (op->since_version < 1)
        return tl_error_set(error, TL_PLUGIN, "since_version is %d, but must be at least 1", op->since_version);
    if (op->until_version != 0 && op->until_version <= op->since_version)
        return tl_error_set(error, TL_PLUGIN, "until_version %d does not lie after since_version %d", op->until_version,
                            op->since_version);
    /* A flag that this runtime has never heard of may change what run means. */
    uint32_t known =
        TL_OP_VIEW | TL_OP_ELEMENTWISE | TL_OP_NONDETERMINISTIC | TL_OP_SHAPE_ONLY | TL_OP_EXPANDS | TL_OP_LONG;
    if (op->flags & ~(registrar->built_in ? known | TL_OP_RUNTIME : known))
        return tl_error_set(error, TL_PLUGIN, "unknown flags %#x", (unsigned)op->flags);
    if (!op->run && !(op->flags & TL_OP_VIEW) && !(registrar->built_in && op->decompose))
        return tl_error_set(error, TL_PLUGIN, "no run function, and not a view");
    if (op->destroy && !op->create)
        return tl_error_set(error, TL_PLUGIN, "destroy without create");
    if (op->output_count == 0)
        return tl_error_set(error, TL_PLUGIN, "no outputs");
    if (!op->reshape && op->input_count == 0)
        return tl_error_set(error, TL_PLUGIN, "no reshape, and no input whose shape would serve");
    if ((op->flags & TL_OP_VIEW) && op->input_count == 0)
        return tl_error_set(error, TL_PLUGIN, "a view without an input");
    tl_status status = check_params(registrar, "input", op->inputs, op->input_count, error);
    if (status == TL_OK)
        status = check_params(registrar, "output", op->outputs, op->output_count, error);
    return status == TL_OK ? check_attributes(registrar, op, error) : status;
}

tl_operator *tl_operator_normalize(const tl_registrar *registrar, const tl_operator *op, tl_error *error)
{
    size_t least = offsetof(tl_operator, since_version) + sizeof op->since_version;
    tl_operator *wide = widen(registrar, op, least, sizeof *wide, "operator", error);
    if (!wide)
        return NULL;
    tl_status status;
    if (!wide->domain || !wide->name || !*wide->name) {
        status = tl_error_set(error, TL_PLUGIN, "operator descriptor without a domain or name");
    } else {
        wide->domain = tl_domain_canonical(wide->domain);
        status = check_operator(registrar, wide, error);
        if (status != TL_OK)
            tl_error_prefix(error, "operator '%s' of domain '%s'", wide->name, wide->domain);
    }
    if (status == TL_OK)
        return wide;
    tl_memory_free(registrar->registry->allocator, wide);
    return NULL;
}

static tl_status check_rule(const tl_rule *rule, tl_error *error)
{
    if (rule->phase < TL_PHASE_LAYOUT || rule->phase > TL_PHASE_QUANTIZED)
        return tl_error_set(error, TL_PLUGIN, "phase %d does not exist", (int)rule->phase);
    if (!rule->anchor_domain || !rule->anchor_name || !*rule->anchor_name)
        return tl_error_set(error, TL_PLUGIN, "no anchor");
    if (!rule->apply)
        return tl_error_set(error, TL_PLUGIN, "no apply function");
    return TL_OK;
}

tl_rule *tl_rule_normalize(const tl_registrar *registrar, const tl_rule *rule, tl_error *error)
{
    tl_rule *wide = widen(registrar, rule, offsetof(tl_rule, phase), sizeof *wide, "rule", error);
    if (!wide)
        return NULL;
    tl_status status;
    if (!wide->name || !*wide->name) {
        status = tl_error_set(error, TL_PLUGIN, "rule descriptor without a name");
    } else {
        status = check_rule(wide, error);
        if (status != TL_OK)
            tl_error_prefix(error, "rule '%s'", wide->name);
        else
            wide->anchor_domain = tl_domain_canonical(wide->anchor_domain);
    }
    if (status == TL_OK)
        return wide;
    tl_memory_free(registrar->registry->allocator, wide);
    return NULL;
}
