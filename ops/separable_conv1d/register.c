/* What the plugin brings. */
#include "separable_conv1d/plugin.h"
#include "separable_conv1d/separable_conv1d.h"

/* The last function of the host's table that the plugin calls: an older host is told so, not called. */
#define LAST_HOST_FUNCTION domain_version

tl_status sepconv_register(const tl_host *host, tl_registrar *registrar)
{
    if (host->abi_version != TL_ABI_VERSION ||
        host->size < offsetof(tl_host, LAST_HOST_FUNCTION) + sizeof host->LAST_HOST_FUNCTION)
        return TL_PLUGIN;
    tl_status status = host->register_domain(registrar, SEPCONV_DOMAIN, SEPCONV_VERSION);
    if (status == TL_OK)
        status = host->register_operator(registrar, &sepconv_operator);
    if (status == TL_OK)
        status = host->register_operator(registrar, &sepconv_fused_operator);
    for (size_t i = 0; i < sepconv_rule_count && status == TL_OK; i++)
        status = host->register_rule(registrar, &sepconv_rules[i]);
    if (status == TL_OK)
        status = host->register_rule(registrar, &sepconv_finish_rule);
    return status;
}
