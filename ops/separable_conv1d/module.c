/* The plugin as a shared object of its own. */
#include "separable_conv1d/plugin.h"

TL_PLUGIN_EXPORT(sepconv_register);
