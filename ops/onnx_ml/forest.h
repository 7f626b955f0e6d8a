/* Ensembles of decision trees, in the form that TreeEnsemble and its two predecessors share. */
#ifndef TL_FOREST_H
#define TL_FOREST_H

#include "onnx_ml/ml.h"

typedef enum forest_mode {
    FOREST_LEQ,
    FOREST_LT,
    FOREST_GTE,
    FOREST_GT,
    FOREST_EQ,
    FOREST_NEQ,
    FOREST_MEMBER, /* one of a set of numbers */
    FOREST_LEAF    /* in files only */
} forest_mode;

/* A node or leaf: node n >= 0, or leaf -1 - n. */
typedef int32_t forest_index;

typedef struct forest_node {
    double split;
    int32_t feature;
    int32_t set; /* FOREST_MEMBER: its members are members[sets[set]..sets[set + 1]) */
    forest_index yes, no;
    uint8_t mode;
    bool missing; /* where NaN goes: to `yes` */
} forest_node;

typedef struct forest_weight {
    int64_t target;
    double weight;
} forest_weight;

typedef struct forest {
    forest_node *nodes;
    int64_t node_count;
    forest_index *roots;
    int64_t root_count;
    int64_t *leaves; /* leaf i has weights[leaves[i]..leaves[i + 1]) */
    int64_t leaf_count;
    forest_weight *weights;
    int64_t *sets;
    double *members;
    int64_t features; /* that X must have at least */
} forest;

/* `count` elements of `size` bytes, zeroed, and never 0 of them; NULL: refused, and the failure is recorded. */
void *forest_array(const tl_call *call, int64_t count, size_t size);
/* Checks what all trees must be, whoever made them: children and roots that exist, features, targets in
 * [0, target_count), and no way back. */
tl_status forest_check(const tl_call *call, forest *trees, int64_t target_count);
/* The trees of the two operators before version 5: nodes_*, and the weights under `prefix` (target or class). */
tl_status forest_read(const tl_call *call, const char *prefix, forest *trees);
void forest_free(const tl_host *host, forest *trees);

/* The leaf where a row of x, which begins at element `at`, ends in a tree. */
int64_t forest_leaf(const forest *trees, forest_index root, const tl_tensor *x, int64_t at);

typedef enum forest_aggregate { FOREST_AVERAGE, FOREST_SUM, FOREST_MIN, FOREST_MAX } forest_aggregate;
/* The targets' scores for that row; `hit` tells which have any, the others are 0. */
void forest_score(const forest *trees, forest_aggregate aggregate, const tl_tensor *x, int64_t at, int64_t target_count,
                  double *scores, uint8_t *hit);

#endif
