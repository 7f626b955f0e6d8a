/* The operators, rules and domains that a runtime knows: built in, registered statically, or loaded. */
#ifndef TL_REGISTRY_H
#define TL_REGISTRY_H

#include "base/base.h"
#include "tapline/plugin.h"

/* Flags beyond the ABI's: an operator knows the graph and the executor; an input may be no tensor. */
#define TL_OP_RUNTIME 0x10000u
#define TL_PARAM_LIST 0x80u

/* Operators that only rules of the last phase make, the runtime's and plugins'; never written to a file. */
#define TL_DOMAIN_INTERNAL "tapline.internal"

typedef struct tl_registry_domain {
    const char *name;
    int32_t newest_version;
} tl_registry_domain;

/* Descriptors are wide copies, normalised when they are registered, so that fields beyond a plugin's `size` read as
 * zero everywhere else. Changed only by the functions below, never while anything else uses it. */
typedef struct tl_registry {
    const tl_allocator *allocator;
    tl_operator **operators; /* sorted by domain, name, since_version */
    size_t operator_count, operator_capacity;
    tl_rule **rules; /* in order of registration */
    size_t rule_count, rule_capacity;
    tl_registry_domain *domains;
    size_t domain_count, domain_capacity;
    void **libraries; /* dlopen handles */
    size_t library_count, library_capacity;
} tl_registry;

/* Registers the standard's operators (ops/onnx/operators.def) too. On failure nothing needs freeing. */
tl_status tl_registry_init(tl_registry *registry, const tl_allocator *allocator, const tl_host *host, tl_error *error);
/* Forgets everything, then unloads the libraries, the last loaded first. */
void tl_registry_free(tl_registry *registry);

/* Runs a plugin's entry; on failure the registry is as before. `what` names the plugin in messages. */
tl_status tl_registry_enter(tl_registry *registry, tl_plugin_entry entry, const char *what, const tl_host *host,
                            tl_error *error);
/* The same for the shared object at `path`, which is never searched for: a bare name means the current folder. */
tl_status tl_registry_load(tl_registry *registry, const char *path, const tl_host *host, tl_error *error);

/* The operator that (domain, name) means at an imported version: the largest since_version <= version, unless it ended
 * (until_version <= version). NULL: none; `error` then lists what exists. */
const tl_operator *tl_registry_find(const tl_registry *registry, const char *domain, const char *name, int64_t version,
                                    tl_error *error);
/* Whether there is a rule of this name. */
bool tl_registry_has_rule(const tl_registry *registry, const char *name);
/* The newest known version of a domain, or 0: unknown domain. */
int32_t tl_registry_newest(const tl_registry *registry, const char *domain);

#endif
