#include "plugin/registrar.h"

#include <stdio.h>

/* Versions of the standard that these sources know (ONNX 1.23), and of what ONNX Runtime adds to it. */
static const tl_registry_domain standard_domains[] = {
    {"", 28},
    {"ai.onnx.ml", 5},
    {"ai.onnx.preview", 1},
    {"ai.onnx.preview.training", 1},
    {"com.microsoft", 1},
    {TL_DOMAIN_INTERNAL, 1},
};

#define TL_OPERATOR(name, since) extern const tl_operator tl_op_##name##_##since;
#include "operators.inc"
#undef TL_OPERATOR

static const tl_operator *const built_in_operators[] = {
#define TL_OPERATOR(name, since) &tl_op_##name##_##since,
#include "operators.inc"
#undef TL_OPERATOR
    NULL};

#define TL_RULE(name) extern const tl_rule tl_rule_##name;
#include "onnx/rules.def"
#undef TL_RULE

static const tl_rule *const built_in_rules[] = {
#define TL_RULE(name) &tl_rule_##name,
#include "onnx/rules.def"
#undef TL_RULE
    NULL};

/* ---- Arrays */

static tl_status reserve(const tl_allocator *allocator, void **array, size_t count, size_t more, size_t *capacity,
                         size_t element_size, tl_error *error)
{
    size_t needed, bytes;
    if (!tl_add_size(count, more, &needed))
        return tl_error_no_memory(error);
    if (needed <= *capacity)
        return TL_OK;
    size_t wanted = needed < 8 ? 8 : needed + needed / 2;
    void *larger =
        tl_mul_size(wanted, element_size, &bytes) ? tl_memory_alloc(allocator, bytes, _Alignof(max_align_t)) : NULL;
    if (!larger)
        return tl_error_no_memory(error);
    if (count > 0)
        memcpy(larger, *array, count * element_size);
    tl_memory_free(allocator, *array);
    *array = larger;
    *capacity = wanted;
    return TL_OK;
}

#define RESERVE(registry, field, more, error)                                                         \
    reserve((registry)->allocator, (void **)&(registry)->field##s, (registry)->field##_count, (more), \
            &(registry)->field##_capacity, sizeof *(registry)->field##s, (error))

/* ---- Looking things up */

/* Order of (domain, name), then of since_version. */
static int compare_names(const tl_operator *op, const char *domain, const char *name)
{
    int order = strcmp(op->domain, domain);
    return order != 0 ? order : strcmp(op->name, name);
}

static int compare(const tl_operator *a, const tl_operator *b)
{
    int order = compare_names(a, b->domain, b->name);
    return order != 0 ? order : (a->since_version > b->since_version) - (a->since_version < b->since_version);
}

/* The first operator of a sorted registry that is not before this one. */
static size_t place_of(const tl_registry *registry, const tl_operator *op)
{
    size_t low = 0, high = registry->operator_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(registry->operators[middle], op) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first operator of this name, of whatever version. */
static size_t lower_bound(const tl_registry *registry, const char *domain, const char *name)
{
    const tl_operator first = {.domain = domain, .name = name, .since_version = INT32_MIN};
    return place_of(registry, &first);
}

static void list_versions(const tl_registry *registry, const char *domain, const char *name, int64_t version,
                          tl_error *error)
{
    char list[200] = "";
    size_t used = 0;
    for (size_t k = lower_bound(registry, domain, name); k < registry->operator_count; k++) {
        const tl_operator *op = registry->operators[k];
        if (compare_names(op, domain, name) != 0 || used + 48 > sizeof list)
            break;
        int n = snprintf(list + used, sizeof list - used, used ? ", %d" : "%d", op->since_version);
        if (op->until_version)
            n += snprintf(list + used + n, sizeof list - used - (size_t)n, " (until %d)", op->until_version);
        used += (size_t)n;
    }
    if (used)
        tl_error_set(error, TL_UNSUPPORTED,
                     "no operator '%s' in version %lld of domain '%s'; it exists since version %s", name,
                     (long long)version, domain, list);
    else if (tl_registry_newest(registry, domain) > 0)
        tl_error_set(error, TL_UNSUPPORTED,
                     "no operator '%s' in domain '%s' (version %lld), nor in any other version of it", name, domain,
                     (long long)version);
    else
        tl_error_set(error, TL_UNSUPPORTED,
                     "no operator '%s': nothing is known of its domain '%s' (version %lld); is a plugin missing?", name,
                     domain, (long long)version);
}

const tl_operator *tl_registry_find(const tl_registry *registry, const char *domain, const char *name, int64_t version,
                                    tl_error *error)
{
    const tl_operator *found = NULL;
    for (size_t k = lower_bound(registry, domain, name); k < registry->operator_count; k++) {
        const tl_operator *op = registry->operators[k];
        if (compare_names(op, domain, name) != 0 || op->since_version > version)
            break;
        found = op;
    }
    if (found && (found->until_version == 0 || found->until_version > version))
        return found;
    list_versions(registry, domain, name, version, error);
    return NULL;
}

static tl_registry_domain *find_domain(const tl_registry *registry, const char *name)
{
    for (size_t k = 0; k < registry->domain_count; k++)
        if (strcmp(registry->domains[k].name, name) == 0)
            return &registry->domains[k];
    return NULL;
}

int32_t tl_registry_newest(const tl_registry *registry, const char *domain)
{
    const tl_registry_domain *found = find_domain(registry, domain);
    return found ? found->newest_version : 0;
}

/* ---- Registering */

/* The first refusal stays: everything that the plugin registers after it is refused for the same reason. */
static tl_status refuse(tl_registrar *registrar, tl_status status)
{
    registrar->status = status;
    return status;
}

static bool has_operator(const tl_registry *registry, const tl_operator *op)
{
    size_t place = place_of(registry, op);
    return place < registry->operator_count && compare(registry->operators[place], op) == 0;
}

/* Into room that is there. */
static void insert(tl_registry *registry, tl_operator *op)
{
    size_t place = place_of(registry, op);
    memmove(&registry->operators[place + 1], &registry->operators[place],
            (registry->operator_count - place) * sizeof *registry->operators);
    registry->operators[place] = op;
    registry->operator_count++;
}

bool tl_registry_has_rule(const tl_registry *registry, const char *name)
{
    for (size_t k = 0; k < registry->rule_count; k++)
        if (strcmp(registry->rules[k]->name, name) == 0)
            return true;
    return false;
}

static tl_status check_against_registry(const tl_registrar *registrar, const tl_operator *op, tl_error *error)
{
    int32_t newest = tl_registry_newest(registrar->registry, op->domain);
    int32_t staged = tl_registry_newest(&registrar->staged, op->domain);
    if (staged > newest)
        newest = staged;
    if (newest == 0)
        return tl_error_set(error, TL_PLUGIN, "register_domain must name the domain's newest version first");
    if (op->since_version > newest)
        return tl_error_set(error, TL_PLUGIN, "since_version %d lies beyond the domain's newest version %d",
                            op->since_version, newest);
    if (has_operator(registrar->registry, op) || has_operator(&registrar->staged, op))
        return tl_error_set(error, TL_PLUGIN, "version %d is already registered", op->since_version);
    return TL_OK;
}

tl_status tl_registrar_operator(tl_registrar *registrar, const tl_operator *op)
{
    tl_registry *staged = &registrar->staged;
    if (registrar->status != TL_OK)
        return registrar->status;
    tl_operator *wide = tl_operator_normalize(registrar, op, registrar->error);
    if (!wide)
        return refuse(registrar, registrar->error->status);
    tl_status status = check_against_registry(registrar, wide, registrar->error);
    if (status != TL_OK)
        tl_error_prefix(registrar->error, "operator '%s' of domain '%s'", wide->name, wide->domain);
    else
        status = RESERVE(staged, operator, 1, registrar->error);
    if (status != TL_OK) {
        tl_memory_free(staged->allocator, wide);
        return refuse(registrar, status);
    }
    insert(staged, wide);
    return TL_OK;
}

tl_status tl_registrar_rule(tl_registrar *registrar, const tl_rule *rule)
{
    tl_registry *staged = &registrar->staged;
    if (registrar->status != TL_OK)
        return registrar->status;
    tl_rule *wide = tl_rule_normalize(registrar, rule, registrar->error);
    if (!wide)
        return refuse(registrar, registrar->error->status);
    tl_status status = TL_OK;
    if (tl_registry_has_rule(registrar->registry, wide->name) || tl_registry_has_rule(staged, wide->name))
        status = tl_error_set(registrar->error, TL_PLUGIN, "rule '%s' is already registered", wide->name);
    else
        status = RESERVE(staged, rule, 1, registrar->error);
    if (status != TL_OK) {
        tl_memory_free(staged->allocator, wide);
        return refuse(registrar, status);
    }
    staged->rules[staged->rule_count++] = wide;
    return TL_OK;
}

static bool is_standard(const char *domain)
{
    for (size_t k = 0; k < TL_COUNT(standard_domains); k++)
        if (strcmp(standard_domains[k].name, domain) == 0)
            return true;
    return false;
}

tl_status tl_registrar_domain(tl_registrar *registrar, const char *domain, int32_t newest_version)
{
    tl_registry *staged = &registrar->staged;
    if (registrar->status != TL_OK)
        return registrar->status;
    if (!domain || newest_version < 1)
        return refuse(registrar,
                      tl_error_set(registrar->error, TL_PLUGIN,
                                   "domain '%s' of version %d: a name and a version of at least 1 are needed",
                                   domain ? domain : "(none)", newest_version));
    domain = tl_domain_canonical(domain);
    if (!registrar->built_in && is_standard(domain))
        return refuse(registrar,
                      tl_error_set(registrar->error, TL_PLUGIN,
                                   "domain '%s' is the standard's; its newest version is not a plugin's to say",
                                   domain));
    tl_registry_domain *known = find_domain(staged, domain);
    if (known) {
        if (newest_version > known->newest_version)
            known->newest_version = newest_version;
        return TL_OK;
    }
    tl_status status = RESERVE(staged, domain, 1, registrar->error);
    if (status != TL_OK || !staged->domains)
        return refuse(registrar, status);
    staged->domains[staged->domain_count++] = (tl_registry_domain){domain, newest_version};
    return TL_OK;
}

/* ---- Entering */

/* Takes over what was staged; fails before the first change or not at all. */
static tl_status adopt(tl_registry *registry, tl_registry *staged, tl_error *error)
{
    tl_status status = RESERVE(registry, operator, staged->operator_count, error);
    if (status == TL_OK)
        status = RESERVE(registry, rule, staged->rule_count, error);
    if (status == TL_OK)
        status = RESERVE(registry, domain, staged->domain_count, error);
    if (status != TL_OK)
        return status;
    for (size_t k = 0; k < staged->operator_count; k++)
        insert(registry, staged->operators[k]);
    for (size_t k = 0; k < staged->rule_count; k++)
        registry->rules[registry->rule_count++] = staged->rules[k];
    for (size_t k = 0; k < staged->domain_count; k++) {
        tl_registry_domain *known = find_domain(registry, staged->domains[k].name);
        if (!known)
            registry->domains[registry->domain_count++] = staged->domains[k];
        else if (known->newest_version < staged->domains[k].newest_version)
            known->newest_version = staged->domains[k].newest_version;
    }
    staged->operator_count = staged->rule_count = staged->domain_count = 0;
    return TL_OK;
}

tl_status tl_registrar_enter(tl_registry *registry, tl_plugin_entry entry, bool built_in, const tl_host *host,
                             tl_error *error)
{
    tl_error own = {TL_OK, ""};
    tl_registrar registrar = {.registry = registry, .built_in = built_in, .error = &own};
    registrar.staged.allocator = registry->allocator;
    tl_status status = entry(host, &registrar);
    if (registrar.status != TL_OK)
        status = registrar.status;
    else if (status != TL_OK)
        status = tl_error_set(&own, status, "its entry function gave up: %s", tl_status_name(status));
    else
        status = adopt(registry, &registrar.staged, &own);
    tl_registry_free(&registrar.staged);
    if (status != TL_OK)
        tl_error_set(error, status, "%s", own.message);
    return status;
}

tl_status tl_registry_enter(tl_registry *registry, tl_plugin_entry entry, const char *what, const tl_host *host,
                            tl_error *error)
{
    tl_status status = tl_registrar_enter(registry, entry, false, host, error);
    if (status != TL_OK)
        tl_error_prefix(error, "plugin '%s'", what);
    return status;
}

static tl_status register_built_in(const tl_host *host, tl_registrar *registrar)
{
    (void)host;
    tl_status status = TL_OK;
    for (size_t k = 0; k < TL_COUNT(standard_domains) && status == TL_OK; k++)
        status = tl_registrar_domain(registrar, standard_domains[k].name, standard_domains[k].newest_version);
    for (size_t k = 0; built_in_operators[k] && status == TL_OK; k++)
        status = tl_registrar_operator(registrar, built_in_operators[k]);
    for (size_t k = 0; built_in_rules[k] && status == TL_OK; k++)
        status = tl_registrar_rule(registrar, built_in_rules[k]);
    return status;
}

tl_status tl_registry_init(tl_registry *registry, const tl_allocator *allocator, const tl_host *host, tl_error *error)
{
    *registry = (tl_registry){.allocator = allocator};
    tl_status status = tl_registrar_enter(registry, register_built_in, true, host, error);
    if (status != TL_OK)
        tl_registry_free(registry);
    return status;
}

tl_status tl_registry_reserve_library(tl_registry *registry, tl_error *error)
{
    return reserve(registry->allocator, (void **)&registry->libraries, registry->library_count, 1,
                   &registry->library_capacity, sizeof *registry->libraries, error);
}

void tl_registry_free(tl_registry *registry)
{
    for (size_t k = 0; k < registry->operator_count; k++)
        tl_memory_free(registry->allocator, registry->operators[k]);
    for (size_t k = 0; k < registry->rule_count; k++)
        tl_memory_free(registry->allocator, registry->rules[k]);
    tl_memory_free(registry->allocator, registry->operators);
    tl_memory_free(registry->allocator, registry->rules);
    tl_memory_free(registry->allocator, registry->domains);
    tl_registry_close_libraries(registry);
    tl_memory_free(registry->allocator, registry->libraries);
    *registry = (tl_registry){.allocator = registry->allocator};
}
