/* Making nodes and constants inside a rewrite. Every function passes a NULL operand on as a NULL result, so that one
 * check at the end (or the host's, at the commit) covers a chain of them. */
#ifndef SEPARABLE_CONV1D_BUILD_H
#define SEPARABLE_CONV1D_BUILD_H

#include "separable_conv1d/separable_conv1d.h"

typedef struct sepconv_builder {
    const tl_host *host;
    tl_rewrite *rewrite;
    const char *name; /* of the node that is replaced; new names begin with it */
    tl_type type;     /* of constants */
    int32_t opset;    /* of the default domain */
} sepconv_builder;

/* Fills the builder; the type is X's. */
void sepconv_builder_init(sepconv_builder *builder, const tl_host *host, tl_rewrite *rewrite, const tl_node *node);
/* A node of the default domain, called "name/suffix". `output` is the value it takes over, or NULL for a new one.
 * inputs[k] may be NULL where the operator's input is optional, and `required` of them must not be. */
tl_node *sepconv_add_node(const sepconv_builder *builder, const char *op, const char *suffix, tl_value *const *inputs,
                          size_t required, size_t count, tl_value *output);
/* Its output 0. */
tl_value *sepconv_result(const sepconv_builder *builder, const tl_node *node);
tl_value *sepconv_unary(const sepconv_builder *builder, const char *op, tl_value *x, tl_value *output);
tl_value *sepconv_binary(const sepconv_builder *builder, const char *op, tl_value *x, tl_value *y, tl_value *output);
tl_value *sepconv_transpose(const sepconv_builder *builder, tl_value *x, tl_value *output);
/* A scalar of the builder's type. */
tl_value *sepconv_scalar(const sepconv_builder *builder, const char *name, double value);
tl_value *sepconv_cast(const sepconv_builder *builder, tl_value *x, tl_type to, tl_value *output);

/* The activation of each element in operators of the default domain; it must be one of SEPCONV_ELEMENT, and not
 * linear. */
tl_value *sepconv_expand_activation(const sepconv_builder *builder, const tlk_activation *activation, tl_value *x,
                                    tl_value *output);

/* One element of a tensor of type float, double, float16 or bfloat16. */
double sepconv_get_element(const tl_tensor *tensor, int64_t i);
void sepconv_set_element(tl_tensor *tensor, int64_t i, double value);

#endif
