/* The plugin ABI, version 1, as it is laid out on 64-bit machines. Compiling this file is the test: a line that stands
 * here never changes, and a new field gets one of its own behind the last of its struct. */
#include "tapline/plugin.h"

#define AT(type, field, offset) \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved: the ABI is broken")
#define SIZE_AT_LEAST(type, size) _Static_assert(sizeof(type) >= (size), #type " has shrunk: the ABI is broken")
/* Passed in arrays, or without a size: these can never change. */
#define SIZE_IS(type, size) _Static_assert(sizeof(type) == (size), #type " has changed its size: the ABI is broken")

#if UINTPTR_MAX == UINT64_MAX

AT(tl_tensor, data, 0);
AT(tl_tensor, type, 8);
AT(tl_tensor, rank, 12);
AT(tl_tensor, dims, 16);
SIZE_IS(tl_tensor, 144);

AT(tl_string, data, 0);
AT(tl_string, size, 8);
SIZE_IS(tl_string, 16);

AT(tl_param, name, 0);
AT(tl_param, types, 8);
AT(tl_param, type_variable, 16);
AT(tl_param, flags, 17);
SIZE_IS(tl_param, 24);

AT(tl_attribute_spec, name, 0);
AT(tl_attribute_spec, kind, 8);
AT(tl_attribute_spec, flags, 12);
AT(tl_attribute_spec, i, 16);
AT(tl_attribute_spec, f, 24);
AT(tl_attribute_spec, s, 32);
SIZE_IS(tl_attribute_spec, 40);

AT(tl_call, size, 0);
AT(tl_call, host, 8);
AT(tl_call, node, 16);
AT(tl_call, inputs, 24);
AT(tl_call, input_count, 32);
AT(tl_call, outputs, 40);
AT(tl_call, output_count, 48);
AT(tl_call, state, 56);
AT(tl_call, plan, 64);
AT(tl_call, workspace, 72);
AT(tl_call, workspace_size, 80);
AT(tl_call, thread_count, 88);
AT(tl_call, packed, 96);
AT(tl_call, view, 104);
AT(tl_call, parts, 112);
SIZE_AT_LEAST(tl_call, 112);

AT(tl_reach, stride, 0);
AT(tl_reach, before, 8);
AT(tl_reach, after, 16);
SIZE_IS(tl_reach, 24);

AT(tl_operator, size, 0);
AT(tl_operator, domain, 8);
AT(tl_operator, name, 16);
AT(tl_operator, since_version, 24);
AT(tl_operator, until_version, 28);
AT(tl_operator, flags, 32);
AT(tl_operator, inputs, 40);
AT(tl_operator, input_count, 48);
AT(tl_operator, outputs, 56);
AT(tl_operator, output_count, 64);
AT(tl_operator, attributes, 72);
AT(tl_operator, attribute_count, 80);
AT(tl_operator, plan_size, 88);
AT(tl_operator, create, 96);
AT(tl_operator, reshape, 104);
AT(tl_operator, run, 112);
AT(tl_operator, destroy, 120);
AT(tl_operator, decompose, 128);
AT(tl_operator, permute, 136);
AT(tl_operator, reach, 144);
SIZE_AT_LEAST(tl_operator, 152);

AT(tl_rule, size, 0);
AT(tl_rule, name, 8);
AT(tl_rule, phase, 16);
AT(tl_rule, anchor_domain, 24);
AT(tl_rule, anchor_name, 32);
AT(tl_rule, apply, 40);
SIZE_AT_LEAST(tl_rule, 48);

AT(tl_host, size, 0);
AT(tl_host, abi_version, 8);
AT(tl_host, register_operator, 16);
AT(tl_host, register_rule, 24);
AT(tl_host, register_domain, 32);
AT(tl_host, alloc, 40);
AT(tl_host, free, 48);
AT(tl_host, fail, 56);
AT(tl_host, attribute_given, 64);
AT(tl_host, attribute_int, 72);
AT(tl_host, attribute_float, 80);
AT(tl_host, attribute_string, 88);
AT(tl_host, attribute_ints, 96);
AT(tl_host, attribute_floats, 104);
AT(tl_host, attribute_strings, 112);
AT(tl_host, attribute_tensor, 120);
AT(tl_host, node_version, 128);
AT(tl_host, output, 136);
AT(tl_host, string, 144);
AT(tl_host, parallel_for, 152);
AT(tl_host, node_domain, 160);
AT(tl_host, node_operator, 168);
AT(tl_host, node_name, 176);
AT(tl_host, node_descriptor, 184);
AT(tl_host, node_input_count, 192);
AT(tl_host, node_input, 200);
AT(tl_host, node_output_count, 208);
AT(tl_host, node_output, 216);
AT(tl_host, value_producer, 224);
AT(tl_host, value_use_count, 232);
AT(tl_host, value_user, 240);
AT(tl_host, value_tensor, 248);
AT(tl_host, value_is_constant, 256);
AT(tl_host, value_data, 264);
AT(tl_host, new_constant, 272);
AT(tl_host, new_node, 280);
AT(tl_host, copy_attributes, 288);
AT(tl_host, set_int, 296);
AT(tl_host, set_float, 304);
AT(tl_host, set_string, 312);
AT(tl_host, set_ints, 320);
AT(tl_host, refuse, 328);
AT(tl_host, commit, 336);
AT(tl_host, domain_version, 344);
SIZE_AT_LEAST(tl_host, 352);

#endif
