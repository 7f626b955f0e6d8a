/* The parts of the plugin, as entry.c registers them. */
#ifndef SEPARABLE_CONV1D_PLUGIN_H
#define SEPARABLE_CONV1D_PLUGIN_H

#include "tapline/plugin.h"

extern const tl_operator sepconv_operator;
extern const tl_operator sepconv_fused_operator;
extern const tl_rule sepconv_finish_rule;
extern const tl_rule sepconv_rules[];
extern const size_t sepconv_rule_count;

/* Rewrites a SeparableConv1D as a grouped Conv, a 1x1 Conv and the activation. */
tl_status sepconv_decompose(const tl_host *host, tl_rewrite *rewrite, tl_node *node);
/* The same on what was there before a Transpose, as tl_operator.permute. */
tl_node *sepconv_permute(const tl_host *host, tl_rewrite *rewrite, const tl_node *node, tl_value *const *inputs,
                         const int32_t *perm, int32_t rank, int32_t *output_perm);

/* Registers everything: what both entries do. */
tl_status sepconv_register(const tl_host *host, tl_registrar *registrar);

#endif
