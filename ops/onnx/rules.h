/* What rewrite rules of the standard's operators share. */
#ifndef TL_RULES_H
#define TL_RULES_H

#include "onnx/steps.h"

/* A rule of the standard's domain: RULE(name, phase, anchor, apply). */
#define RULE(NAME, PHASE, DOMAIN, ANCHOR, APPLY)             \
    extern const tl_rule tl_rule_##NAME;                     \
    const tl_rule tl_rule_##NAME = {.size = sizeof(tl_rule), \
                                    .name = "onnx." #NAME,   \
                                    .phase = PHASE,          \
                                    .anchor_domain = DOMAIN, \
                                    .anchor_name = ANCHOR,   \
                                    .apply = APPLY}

#define RULES_ANY_OPERATOR "*"

/* An operator of the standard's domain. */
bool rules_is(const tl_host *host, const tl_node *node, const char *op);
/* The one node that reads a value, if it does so once and the graph does not give the value out; else NULL. */
tl_node *rules_only_user(const tl_host *host, const tl_value *value);
/* A constant of a floating type with one element: its value. */
bool rules_scalar(const tl_host *host, tl_value *value, double *number);
/* A Clip with constant bounds, infinite where it has none: these. */
bool rules_clip(const tl_host *host, const tl_node *node, double bounds[2]);
/* The elements of a constant list of int64; NULL: it is none. */
const int64_t *rules_constant_list(const tl_host *host, tl_value *value, size_t *count);
/* A list that is the attribute `name` or, where there is one, input 1 (axes, pads); NULL: it is not known. */
const int64_t *rules_list(const tl_host *host, const tl_node *node, const char *name, size_t *count);
/* The element of a constant list that has one. */
bool rules_number(const tl_host *host, tl_value *list, int64_t *number);
/* The dimension that the one element of a value is, as Shape and what picks from it tell; TL_DIM_UNKNOWN: another one.
 */
tl_dim rules_dimension(const tl_host *host, const tl_value *element);
/* The axes of a Squeeze or Unsqueeze, as bits; `rank`: that of what has them. 0: they are not known. */
uint32_t rules_axes(const tl_host *host, const tl_node *node, int32_t rank);
/* The number of the input of an operator with two that is not `value`; -1: `value` is neither or both. */
int rules_other_input(const tl_host *host, const tl_node *node, const tl_value *value);

/* ---- Steps that a rule gathers */

typedef struct steps_found {
    const tl_host *host;
    tl_type type;
    int count;
    char text[TLK_MAX_STEPS * 16];
    int64_t parameters[2 * TLK_MAX_STEPS];
    size_t parameter_count;
    tl_value *operands[TLK_MAX_STEPS];
    size_t operand_count, most_operands;
    tl_value *y; /* what comes out behind them */
} steps_found;

/* Which operands an operator's steps can have, by their shape. */
typedef enum steps_reach {
    STEPS_CHANNELS, /* axis 1 makes the rows, those behind it the lanes */
    STEPS_COLUMNS,  /* the last axis makes the lanes, all others the rows */
    STEPS_ANY       /* whatever broadcasts */
} steps_reach;

/* Nothing yet; false: x is not of a floating type. */
bool steps_begin(const tl_host *host, const tl_value *x, steps_found *found);
/* Takes `node`, which reads x once, if it does to x what a step does and what comes out is shaped like x. */
bool steps_append(steps_found *found, const tl_node *node, const tl_value *x, steps_reach reach);
/* Takes the only readers of each value, from `x` on. */
void steps_follow(steps_found *found, tl_value *x, steps_reach reach);
/* Sets the attributes. */
void steps_write(const steps_found *found, tl_rewrite *rewrite, tl_node *node);

#endif
