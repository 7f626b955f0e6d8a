/* What one plugin registers, gathered until its entry has returned: the registry changes only if all went well. */
#ifndef TL_REGISTRAR_H
#define TL_REGISTRAR_H

#include "plugin/registry.h"

struct tl_registrar {
    const tl_registry *registry; /* as it was before this plugin */
    tl_registry staged;          /* in order of registration; no libraries */
    bool built_in;    /* may use what the ABI keeps for the runtime: any domain, attributes that are graphs */
    tl_status status; /* of the first registration that failed: the plugin may not have looked */
    tl_error *error;  /* its message; never NULL */
};

/* Wide copies of what a plugin registers, checked; NULL with `error` set when refused. */
tl_operator *tl_operator_normalize(const tl_registrar *registrar, const tl_operator *op, tl_error *error);
tl_rule *tl_rule_normalize(const tl_registrar *registrar, const tl_rule *rule, tl_error *error);

/* The host's functions. */
tl_status tl_registrar_operator(tl_registrar *registrar, const tl_operator *op);
tl_status tl_registrar_rule(tl_registrar *registrar, const tl_rule *rule);
tl_status tl_registrar_domain(tl_registrar *registrar, const char *domain, int32_t newest_version);

/* Runs an entry, and adopts all that it registered or nothing. */
tl_status tl_registrar_enter(tl_registry *registry, tl_plugin_entry entry, bool built_in, const tl_host *host,
                             tl_error *error);

/* Room for one more handle; and unloading them all, the last loaded first. */
tl_status tl_registry_reserve_library(tl_registry *registry, tl_error *error);
void tl_registry_close_libraries(tl_registry *registry);

/* "ai.onnx" is the long name of the default domain "". */
const char *tl_domain_canonical(const char *domain);

#endif
