/* The plugin as a shared object of its own. */
#include "separable_conv1d/plugin.h"

__attribute__((visibility("default"))) tl_status tapline_plugin(const tl_host *host, tl_registrar *registrar);

tl_status tapline_plugin(const tl_host *host, tl_registrar *registrar)
{
    return sepconv_register(host, registrar);
}
