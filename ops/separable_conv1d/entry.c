/* The plugin as it is linked into libtapline. */
#include "tapline/tapline.h"
#include "separable_conv1d/plugin.h"

tl_status tl_plugin_separable_conv1d(const struct tl_host *host, struct tl_registrar *registrar)
{
    return sepconv_register(host, registrar);
}
