/* Plugins in shared objects. */
#include "plugin/registrar.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

void tl_registry_close_libraries(tl_registry *registry)
{
    while (registry->library_count > 0)
        dlclose(registry->libraries[--registry->library_count]);
}

/* dlopen looks for a name without a slash along the library path, where anybody may have put one: never wanted. */
static tl_status open_library(const tl_registry *registry, const char *path, void **library, tl_error *error)
{
    char *here = NULL;
    if (!strchr(path, '/')) {
        size_t size = strlen(path) + sizeof "./";
        here = tl_memory_alloc(registry->allocator, size, 1);
        if (!here)
            return tl_error_no_memory(error);
        snprintf(here, size, "./%s", path);
    }
    *library = dlopen(here ? here : path, RTLD_NOW | RTLD_LOCAL);
    tl_status status = TL_OK;
    if (!*library) {
        const char *reason = dlerror();
        status = tl_error_set(error, TL_PLUGIN, "%s", reason ? reason : "not a shared object");
    }
    tl_memory_free(registry->allocator, here);
    return status;
}

/* The plugin's entry, once its ABI version is seen to be this runtime's. */
static tl_status find_entry(void *library, tl_plugin_entry *entry, tl_error *error)
{
    const uint32_t *abi = dlsym(library, TL_PLUGIN_ABI);
    void *symbol = dlsym(library, TL_PLUGIN_ENTRY);
    if (!symbol || !abi)
        return tl_error_set(error, TL_PLUGIN, "not a Tapline plugin: it does not export '%s'",
                            symbol ? TL_PLUGIN_ABI : TL_PLUGIN_ENTRY);
    if (*abi != TL_ABI_VERSION)
        return tl_error_set(error, TL_PLUGIN, "built for version %u of the plugin ABI, but this runtime has version %d",
                            (unsigned)*abi, TL_ABI_VERSION);
    memcpy(entry, &symbol, sizeof *entry);
    return TL_OK;
}

static tl_status load(tl_registry *registry, const char *path, const tl_host *host, tl_error *error)
{
    if (access(path, R_OK) != 0)
        return tl_error_set(error, TL_IO, "%s", strerror(errno));
    tl_status status = tl_registry_reserve_library(registry, error);
    if (status != TL_OK)
        return status;
    void *library = NULL;
    status = open_library(registry, path, &library, error);
    if (!library)
        return status;
    tl_plugin_entry entry = NULL;
    status = find_entry(library, &entry, error);
    if (status == TL_OK)
        status = tl_registrar_enter(registry, entry, false, host, error);
    if (status == TL_OK)
        registry->libraries[registry->library_count++] = library;
    else
        dlclose(library);
    return status;
}

tl_status tl_registry_load(tl_registry *registry, const char *path, const tl_host *host, tl_error *error)
{
    tl_status status = load(registry, path, host, error);
    if (status != TL_OK)
        tl_error_prefix(error, "plugin '%s'", path);
    return status;
}
