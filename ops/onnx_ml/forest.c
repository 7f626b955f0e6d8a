#include "onnx_ml/forest.h"

#include <stdio.h>
#include <stdlib.h>

void *forest_array(const tl_call *call, int64_t count, size_t size)
{
    size_t bytes;
    void *array = NULL;
    if (!__builtin_mul_overflow((size_t)nn_max(count, 1), size, &bytes))
        array = call->host->alloc(call->host, bytes, 64);
    if (array)
        memset(array, 0, bytes);
    else
        tl_fail(call, TL_NO_MEMORY, "no memory for trees of %lld elements", (long long)count);
    return array;
}

void forest_free(const tl_host *host, forest *trees)
{
    void *const arrays[] = {trees->nodes, trees->roots, trees->leaves, trees->weights, trees->sets, trees->members};
    for (size_t k = 0; k < sizeof arrays / sizeof arrays[0]; k++)
        if (arrays[k])
            host->free(host, arrays[k]);
}

/* ---- Checks */

static bool exists(const forest *trees, forest_index at)
{
    return at >= 0 ? at < trees->node_count : -1 - (int64_t)at < trees->leaf_count;
}

/* Takes nodes away that nobody leads to, again and again: what is left leads back to itself. */
static tl_status check_cycles(const tl_call *call, const forest *trees)
{
    int64_t *parents = forest_array(call, trees->node_count, sizeof *parents);
    int64_t *free_nodes = parents ? forest_array(call, trees->node_count, sizeof *free_nodes) : NULL;
    int64_t done = 0, found = 0;
    for (int64_t i = 0; free_nodes && i < trees->node_count; i++) {
        if (trees->nodes[i].yes >= 0)
            parents[trees->nodes[i].yes]++;
        if (trees->nodes[i].no >= 0)
            parents[trees->nodes[i].no]++;
    }
    for (int64_t i = 0; free_nodes && i < trees->node_count; i++)
        if (parents[i] == 0)
            free_nodes[found++] = i;
    for (; free_nodes && done < found; done++) {
        const forest_index children[] = {trees->nodes[free_nodes[done]].yes, trees->nodes[free_nodes[done]].no};
        for (int k = 0; k < 2; k++)
            if (children[k] >= 0 && --parents[children[k]] == 0)
                free_nodes[found++] = children[k];
    }
    tl_status status = TL_OK;
    if (!free_nodes)
        status = TL_NO_MEMORY;
    else if (found < trees->node_count)
        status = tl_fail(call, TL_INVALID_MODEL, "%lld nodes lead back to themselves",
                         (long long)(trees->node_count - found));
    if (free_nodes)
        call->host->free(call->host, free_nodes);
    if (parents)
        call->host->free(call->host, parents);
    return status;
}

tl_status forest_check(const tl_call *call, forest *trees, int64_t target_count)
{
    for (int64_t i = 0; i < trees->node_count; i++) {
        const forest_node *node = &trees->nodes[i];
        if (!exists(trees, node->yes) || !exists(trees, node->no))
            return tl_fail(call, TL_INVALID_MODEL, "node %lld leads to one that does not exist", (long long)i);
        if (node->feature < 0)
            return tl_fail(call, TL_INVALID_MODEL, "node %lld looks at feature %d", (long long)i, node->feature);
        trees->features = nn_max(trees->features, (int64_t)node->feature + 1);
    }
    for (int64_t i = 0; i < trees->root_count; i++)
        if (!exists(trees, trees->roots[i]))
            return tl_fail(call, TL_INVALID_MODEL, "root %lld does not exist", (long long)i);
    const int64_t weights = trees->leaf_count > 0 ? trees->leaves[trees->leaf_count] : 0;
    for (int64_t i = 0; i < weights; i++)
        if (trees->weights[i].target < 0 || trees->weights[i].target >= target_count)
            return tl_fail(call, TL_INVALID_MODEL, "weight %lld is for target %lld, but must be for one in [0, %lld)",
                           (long long)i, (long long)trees->weights[i].target, (long long)target_count);
    return check_cycles(call, trees);
}

/* ---- Files of versions 1 and 3: nodes are named by tree and number, and leaves are nodes */

typedef struct named {
    int64_t tree, node, index;
} named;

typedef struct reader {
    const tl_call *call;
    const char *prefix;
    tl_tensor trees, ids, modes, features, values, yes, no, missing;
    tl_tensor weight_trees, weight_nodes, targets, weights;
    named *names;         /* of nodes, sorted */
    named *weight_names;  /* of weights, sorted */
    forest_index *places; /* node of the file -> node or leaf here */
    uint8_t *is_child;
} reader;

static int compare_named(const void *a, const void *b)
{
    const named *x = a, *y = b;
    if (x->tree != y->tree)
        return x->tree < y->tree ? -1 : 1;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* The first of sorted names that is not before (tree, node). */
static int64_t lower_bound(const named *names, int64_t count, int64_t tree, int64_t node)
{
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const named *at = &names[middle];
        if (at->tree < tree || (at->tree == tree && at->node < node))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t find_node(const reader *r, int64_t tree, int64_t node)
{
    const int64_t count = ml_count(&r->trees), at = lower_bound(r->names, count, tree, node);
    return at < count && r->names[at].tree == tree && r->names[at].node == node ? r->names[at].index : -1;
}

/* A list of floats, or of any numbers in a tensor. */
static tl_status read_numbers(const tl_call *call, const char *prefix, const char *name, tl_tensor *list)
{
    char plain[64], tensor[64];
    snprintf(plain, sizeof plain, "%s_%s", prefix, name);
    snprintf(tensor, sizeof tensor, "%s_%s_as_tensor", prefix, name);
    const ml_source sources[] = {{plain, TL_ATTR_FLOATS}, {tensor, TL_ATTR_TENSOR}};
    tl_status status = ml_one_list(call, sources, ml_has_tensors(call) ? 2 : 1, list);
    if (status == TL_OK && list->type != TL_UNDEFINED && !(TL_T(list->type) & TL_T_FLOATS))
        return tl_fail(call, TL_INVALID_MODEL, "%s must have floating elements", tensor);
    return status;
}

static tl_tensor read_ints(const tl_call *call, const char *prefix, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "%s_%s", prefix, name);
    return ml_list(call, full, TL_ATTR_INTS);
}

static tl_status read_lists(reader *r)
{
    const tl_call *call = r->call;
    r->trees = read_ints(call, "nodes", "treeids");
    r->ids = read_ints(call, "nodes", "nodeids");
    r->features = read_ints(call, "nodes", "featureids");
    r->yes = read_ints(call, "nodes", "truenodeids");
    r->no = read_ints(call, "nodes", "falsenodeids");
    r->missing = read_ints(call, "nodes", "missing_value_tracks_true");
    r->modes = ml_list(call, "nodes_modes", TL_ATTR_STRINGS);
    r->weight_trees = read_ints(call, r->prefix, "treeids");
    r->weight_nodes = read_ints(call, r->prefix, "nodeids");
    r->targets = read_ints(call, r->prefix, "ids");
    tl_status status = read_numbers(call, "nodes", "values", &r->values);
    if (status == TL_OK)
        status = read_numbers(call, r->prefix, "weights", &r->weights);
    if (status != TL_OK)
        return status;
    const int64_t n = ml_count(&r->trees), m = ml_count(&r->weight_trees);
    const tl_tensor *const nodes[] = {&r->ids, &r->features, &r->yes, &r->no, &r->modes, &r->values};
    const tl_tensor *const weights[] = {&r->weight_nodes, &r->targets, &r->weights};
    for (size_t k = 0; k < sizeof nodes / sizeof nodes[0]; k++)
        if (ml_count(nodes[k]) != n)
            return tl_fail(call, TL_INVALID_MODEL, "the lists nodes_* have %lld and %lld elements", (long long)n,
                           (long long)ml_count(nodes[k]));
    for (size_t k = 0; k < sizeof weights / sizeof weights[0]; k++)
        if (ml_count(weights[k]) != m)
            return tl_fail(call, TL_INVALID_MODEL, "the lists %s_* have %lld and %lld elements", r->prefix,
                           (long long)m, (long long)ml_count(weights[k]));
    if (ml_count(&r->missing) != 0 && ml_count(&r->missing) != n)
        return tl_fail(call, TL_INVALID_MODEL, "nodes_missing_value_tracks_true has %lld elements for %lld nodes",
                       (long long)ml_count(&r->missing), (long long)n);
    return n < INT32_MAX ? TL_OK : tl_fail(call, TL_UNSUPPORTED, "%lld nodes are too many", (long long)n);
}

static bool same_text(const tl_string *text, const char *word)
{
    return text->size == strlen(word) && memcmp(text->data, word, text->size) == 0;
}

static tl_status read_mode(const reader *r, int64_t i, uint8_t *mode)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE", "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", "",           "LEAF"};
    const tl_string *text = &((const tl_string *)r->modes.data)[i];
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (*names[k] && same_text(text, names[k])) {
            *mode = (uint8_t)k;
            return TL_OK;
        }
    return tl_fail(r->call, TL_INVALID_MODEL, "node %lld has the mode \"%.*s\", which there is not", (long long)i,
                   (int)nn_min((int64_t)text->size, 40), text->size ? text->data : "");
}

/* Sorts names, and gives nodes and leaves their places. */
static tl_status place_nodes(reader *r, forest *trees)
{
    const int64_t n = ml_count(&r->trees), m = ml_count(&r->weight_trees);
    for (int64_t i = 0; i < n; i++)
        r->names[i] = (named){ml_int(&r->trees, i), ml_int(&r->ids, i), i};
    for (int64_t i = 0; i < m; i++)
        r->weight_names[i] = (named){ml_int(&r->weight_trees, i), ml_int(&r->weight_nodes, i), i};
    qsort(r->names, (size_t)n, sizeof(named), compare_named);
    qsort(r->weight_names, (size_t)m, sizeof(named), compare_named);
    for (int64_t i = 1; i < n; i++)
        if (r->names[i].tree == r->names[i - 1].tree && r->names[i].node == r->names[i - 1].node)
            return tl_fail(r->call, TL_INVALID_MODEL, "tree %lld has two nodes %lld", (long long)r->names[i].tree,
                           (long long)r->names[i].node);
    for (int64_t i = 0; i < m; i++)
        if (find_node(r, r->weight_names[i].tree, r->weight_names[i].node) < 0)
            return tl_fail(r->call, TL_INVALID_MODEL, "a weight is for node %lld of tree %lld, which does not exist",
                           (long long)r->weight_names[i].node, (long long)r->weight_names[i].tree);
    for (int64_t i = 0; i < n; i++) {
        uint8_t mode = FOREST_LEAF;
        tl_status status = read_mode(r, i, &mode);
        if (status != TL_OK)
            return status;
        r->places[i] =
            mode == FOREST_LEAF ? (forest_index)(-1 - trees->leaf_count++) : (forest_index)trees->node_count++;
    }
    return TL_OK;
}

static tl_status read_child(reader *r, int64_t i, const tl_tensor *children, forest_index *child)
{
    const int64_t at = find_node(r, ml_int(&r->trees, i), ml_int(children, i));
    if (at < 0)
        return tl_fail(r->call, TL_INVALID_MODEL, "node %lld leads to node %lld of tree %lld, which does not exist",
                       (long long)i, (long long)ml_int(children, i), (long long)ml_int(&r->trees, i));
    *child = r->places[at];
    r->is_child[at] = 1;
    return TL_OK;
}

static tl_status read_node(reader *r, int64_t i, forest_node *node)
{
    const int64_t feature = ml_int(&r->features, i);
    tl_status status = read_mode(r, i, &node->mode);
    node->split = op_load_number(&r->values, i);
    node->feature = feature < 0 ? -1 : (int32_t)nn_min(feature, INT32_MAX - 1);
    node->missing = ml_count(&r->missing) > 0 && ml_int(&r->missing, i) != 0;
    if (status == TL_OK)
        status = read_child(r, i, &r->yes, &node->yes);
    return status == TL_OK ? read_child(r, i, &r->no, &node->no) : status;
}

/* The weights of each leaf, one leaf after the other. Those of other nodes count for nothing. */
static void read_weights(const reader *r, forest *trees)
{
    const int64_t n = ml_count(&r->trees), m = ml_count(&r->weight_trees);
    int64_t used = 0, leaf = 0;
    for (int64_t i = 0; i < n; i++) {
        if (r->places[i] >= 0)
            continue;
        const int64_t tree = ml_int(&r->trees, i), node = ml_int(&r->ids, i);
        for (int64_t at = lower_bound(r->weight_names, m, tree, node);
             at < m && r->weight_names[at].tree == tree && r->weight_names[at].node == node; at++) {
            const int64_t from = r->weight_names[at].index;
            trees->weights[used++] = (forest_weight){ml_int(&r->targets, from), op_load_number(&r->weights, from)};
        }
        trees->leaves[++leaf] = used;
    }
}

static tl_status fill(reader *r, forest *trees)
{
    const int64_t n = ml_count(&r->trees), m = ml_count(&r->weight_trees);
    tl_status status = place_nodes(r, trees);
    if (status != TL_OK)
        return status;
    trees->nodes = forest_array(r->call, trees->node_count, sizeof *trees->nodes);
    trees->leaves = trees->nodes ? forest_array(r->call, trees->leaf_count + 1, sizeof *trees->leaves) : NULL;
    trees->weights = trees->leaves ? forest_array(r->call, m, sizeof *trees->weights) : NULL;
    trees->roots = trees->weights ? forest_array(r->call, n, sizeof *trees->roots) : NULL;
    if (!trees->roots)
        return TL_NO_MEMORY;
    for (int64_t i = 0; i < n && status == TL_OK; i++)
        if (r->places[i] >= 0)
            status = read_node(r, i, &trees->nodes[r->places[i]]);
    if (status != TL_OK)
        return status;
    read_weights(r, trees);
    for (int64_t i = 0; i < n; i++)
        if (!r->is_child[i])
            trees->roots[trees->root_count++] = r->places[i];
    return TL_OK;
}

tl_status forest_read(const tl_call *call, const char *prefix, forest *trees)
{
    reader r = {.call = call, .prefix = prefix};
    tl_status status = read_lists(&r);
    if (status != TL_OK)
        return status;
    const int64_t n = ml_count(&r.trees), m = ml_count(&r.weight_trees);
    r.names = forest_array(call, n, sizeof *r.names);
    r.weight_names = r.names ? forest_array(call, m, sizeof *r.weight_names) : NULL;
    r.places = r.weight_names ? forest_array(call, n, sizeof *r.places) : NULL;
    r.is_child = r.places ? forest_array(call, n, 1) : NULL;
    status = r.is_child ? fill(&r, trees) : TL_NO_MEMORY;
    void *const arrays[] = {r.names, r.weight_names, r.places, r.is_child};
    for (size_t k = 0; k < sizeof arrays / sizeof arrays[0]; k++)
        if (arrays[k])
            call->host->free(call->host, arrays[k]);
    return status;
}

/* ---- Walking */

static bool is_member(const forest *trees, int32_t set, double x)
{
    for (int64_t i = trees->sets[set]; i < trees->sets[set + 1]; i++)
        if (trees->members[i] == x)
            return true;
    return false;
}

static bool decide(const forest *trees, const forest_node *node, double x)
{
    if (x != x)
        return node->missing;
    switch ((forest_mode)node->mode) {
    case FOREST_LEQ:
        return x <= node->split;
    case FOREST_LT:
        return x < node->split;
    case FOREST_GTE:
        return x >= node->split;
    case FOREST_GT:
        return x > node->split;
    case FOREST_EQ:
        return x == node->split;
    case FOREST_NEQ:
        return x != node->split;
    default:
        return is_member(trees, node->set, x);
    }
}

int64_t forest_leaf(const forest *trees, forest_index root, const tl_tensor *x, int64_t at)
{
    while (root >= 0) {
        const forest_node *node = &trees->nodes[root];
        root = decide(trees, node, ml_number(x, at + node->feature)) ? node->yes : node->no;
    }
    return -1 - (int64_t)root;
}

void forest_score(const forest *trees, forest_aggregate aggregate, const tl_tensor *x, int64_t at, int64_t target_count,
                  double *scores, uint8_t *hit)
{
    memset(scores, 0, (size_t)target_count * sizeof scores[0]);
    memset(hit, 0, (size_t)target_count);
    for (int64_t i = 0; i < trees->root_count; i++) {
        const int64_t leaf = forest_leaf(trees, trees->roots[i], x, at);
        for (int64_t k = trees->leaves[leaf]; k < trees->leaves[leaf + 1]; k++) {
            const double weight = trees->weights[k].weight;
            double *score = &scores[trees->weights[k].target];
            const bool first = !hit[trees->weights[k].target];
            hit[trees->weights[k].target] = 1;
            if (aggregate == FOREST_MIN || aggregate == FOREST_MAX)
                *score = first || (aggregate == FOREST_MIN ? weight < *score : weight > *score) ? weight : *score;
            else
                *score += weight;
        }
    }
    for (int64_t k = 0; k < target_count && aggregate == FOREST_AVERAGE; k++)
        scores[k] /= (double)trees->root_count;
}
