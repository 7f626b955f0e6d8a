// A plugin can be written in C++: the macro exports the entry with C linkage.
#include <tapline/plugin.h>

static tl_status enter(const tl_host *host, tl_registrar *registrar)
{
    return host->register_domain(registrar, "from.cpp", 1);
}

TL_PLUGIN_EXPORT(enter);
