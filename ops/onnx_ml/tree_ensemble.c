/* TreeEnsemble (5), and what it replaced: TreeEnsembleRegressor and TreeEnsembleClassifier (1, 3). Scores are summed up
 * in double, and rounded once. */
#include "onnx_ml/forest.h"

typedef struct ensemble {
    forest trees;
    forest_aggregate aggregate;
    ml_transform transform;
    int64_t targets;
    tl_tensor base, labels; /* the node's lists */
    bool binary;            /* two classes, of which all weights are for one */
    bool positive;          /* no weight is negative */
} ensemble;

/* ---- Reading */

static tl_status refuse_counts(const tl_call *call, const char *name, int64_t have, int64_t want)
{
    return tl_fail(call, TL_INVALID_MODEL, "%s has %lld elements, but must have %lld", name, (long long)have,
                   (long long)want);
}

static int64_t count_sets(const forest *trees)
{
    int64_t sets = 0;
    for (int64_t i = 0; i < trees->node_count; i++)
        sets += trees->nodes[i].mode == FOREST_MEMBER;
    return sets;
}

/* Sets stand one after the other, each ended by a NaN, in the order of the nodes that use them. */
static tl_status read_sets(const tl_call *call, forest *trees)
{
    const tl_tensor list = ml_list(call, "membership_values", TL_ATTR_TENSOR);
    const int64_t n = ml_count(&list), sets = count_sets(trees);
    int64_t set = 0, used = 0;
    trees->sets = forest_array(call, sets + 1, sizeof *trees->sets);
    trees->members = trees->sets ? forest_array(call, n, sizeof *trees->members) : NULL;
    if (!trees->members)
        return TL_NO_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        const double value = op_load_number(&list, i);
        if (value == value)
            trees->members[used++] = value;
        else if (++set <= sets)
            trees->sets[set] = used;
    }
    if (set != sets)
        return tl_fail(call, TL_INVALID_MODEL, "membership_values has %lld sets for %lld nodes", (long long)set,
                       (long long)sets);
    set = 0;
    for (int64_t i = 0; i < trees->node_count; i++)
        if (trees->nodes[i].mode == FOREST_MEMBER)
            trees->nodes[i].set = (int32_t)set++;
    return TL_OK;
}

static forest_index place(bool is_leaf, int64_t at)
{
    if (at < 0 || at >= INT32_MAX)
        return INT32_MAX; /* which does not exist */
    return is_leaf ? (forest_index)(-1 - at) : (forest_index)at;
}

static tl_status read_nodes(const tl_call *call, forest *trees)
{
    static const char *const names[] = {"nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids",
                                        "nodes_trueleafs",  "nodes_falseleafs",  "nodes_missing_value_tracks_true"};
    enum { FEATURE, YES, NO, YES_LEAF, NO_LEAF, MISSING, LISTS };
    const tl_tensor modes = ml_list(call, "nodes_modes", TL_ATTR_TENSOR);
    const tl_tensor splits = ml_list(call, "nodes_splits", TL_ATTR_TENSOR);
    const int64_t n = ml_count(&modes);
    tl_tensor lists[LISTS];
    for (int k = 0; k < LISTS; k++) {
        lists[k] = ml_list(call, names[k], TL_ATTR_INTS);
        if (ml_count(&lists[k]) != n && (k != MISSING || ml_count(&lists[k]) != 0))
            return refuse_counts(call, names[k], ml_count(&lists[k]), n);
    }
    if (ml_count(&splits) != n)
        return refuse_counts(call, "nodes_splits", ml_count(&splits), n);
    if (n >= INT32_MAX)
        return tl_fail(call, TL_UNSUPPORTED, "%lld nodes are too many", (long long)n);
    trees->nodes = forest_array(call, n, sizeof *trees->nodes);
    if (!trees->nodes)
        return TL_NO_MEMORY;
    trees->node_count = n;
    for (int64_t i = 0; i < n; i++) {
        const int64_t feature = ml_int(&lists[FEATURE], i);
        const double mode = op_load_number(&modes, i);
        if (!(mode >= FOREST_LEQ && mode <= FOREST_MEMBER))
            return tl_fail(call, TL_INVALID_MODEL, "nodes_modes[%lld] is %g, which there is not", (long long)i, mode);
        trees->nodes[i] = (forest_node){.split = op_load_number(&splits, i),
                                        .feature = feature < 0 ? -1 : (int32_t)nn_min(feature, INT32_MAX - 1),
                                        .yes = place(ml_int(&lists[YES_LEAF], i) != 0, ml_int(&lists[YES], i)),
                                        .no = place(ml_int(&lists[NO_LEAF], i) != 0, ml_int(&lists[NO], i)),
                                        .mode = (uint8_t)mode,
                                        .missing = ml_count(&lists[MISSING]) > 0 && ml_int(&lists[MISSING], i) != 0};
    }
    return read_sets(call, trees);
}

static tl_status read_leaves(const tl_call *call, forest *trees)
{
    const tl_tensor targets = ml_list(call, "leaf_targetids", TL_ATTR_INTS);
    const tl_tensor weights = ml_list(call, "leaf_weights", TL_ATTR_TENSOR);
    const tl_tensor roots = ml_list(call, "tree_roots", TL_ATTR_INTS);
    const int64_t n = ml_count(&targets);
    if (ml_count(&weights) != n)
        return refuse_counts(call, "leaf_weights", ml_count(&weights), n);
    trees->leaves = forest_array(call, n + 1, sizeof *trees->leaves);
    trees->weights = trees->leaves ? forest_array(call, n, sizeof *trees->weights) : NULL;
    trees->roots = trees->weights ? forest_array(call, ml_count(&roots), sizeof *trees->roots) : NULL;
    if (!trees->roots)
        return TL_NO_MEMORY;
    trees->leaf_count = n;
    trees->root_count = ml_count(&roots);
    for (int64_t i = 0; i < n; i++) {
        trees->leaves[i + 1] = i + 1;
        trees->weights[i] = (forest_weight){ml_int(&targets, i), op_load_number(&weights, i)};
    }
    for (int64_t i = 0; i < trees->root_count; i++)
        trees->roots[i] = place(false, ml_int(&roots, i));
    return TL_OK;
}

static tl_status check_tensors(const tl_call *call)
{
    static const char *const names[] = {"nodes_splits", "leaf_weights", "membership_values"};
    const tl_type type = call->inputs[0]->type;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        const tl_tensor list = ml_list(call, names[k], TL_ATTR_TENSOR);
        if (list.type != TL_UNDEFINED && list.type != type)
            return tl_fail(call, TL_INVALID_MODEL, "%s has elements of type %d, but X of type %d", names[k],
                           (int)list.type, (int)type);
    }
    const tl_tensor modes = ml_list(call, "nodes_modes", TL_ATTR_TENSOR);
    if (modes.type != TL_UINT8)
        return tl_fail(call, TL_INVALID_MODEL, "nodes_modes must have elements of uint8");
    return TL_OK;
}

static tl_status read_5(const tl_call *call, ensemble *e)
{
    const int64_t aggregate = op_int(call, "aggregate_function"), transform = op_int(call, "post_transform");
    if (aggregate < FOREST_AVERAGE || aggregate > FOREST_MAX)
        return tl_fail(call, TL_INVALID_MODEL, "aggregate_function is %lld, but must be in [0, 3]",
                       (long long)aggregate);
    if (transform < ML_NONE || transform > ML_PROBIT)
        return tl_fail(call, TL_INVALID_MODEL, "post_transform is %lld, but must be in [0, 4]", (long long)transform);
    e->aggregate = (forest_aggregate)aggregate;
    e->transform = (ml_transform)transform;
    tl_status status = check_tensors(call);
    if (status == TL_OK)
        status = read_nodes(call, &e->trees);
    return status == TL_OK ? read_leaves(call, &e->trees) : status;
}

static tl_status read_base(const tl_call *call, ensemble *e)
{
    static const ml_source sources[] = {{"base_values", TL_ATTR_FLOATS}, {"base_values_as_tensor", TL_ATTR_TENSOR}};
    tl_status status = ml_one_list(call, sources, ml_has_tensors(call) ? 2 : 1, &e->base);
    const int64_t n = ml_count(&e->base);
    if (status == TL_OK && n > 0 && !(TL_T(e->base.type) & TL_T_FLOATS))
        return tl_fail(call, TL_INVALID_MODEL, "base_values_as_tensor must have floating elements");
    if (status == TL_OK && n > 0 && n != e->targets && !(n == 1 && e->binary))
        return refuse_counts(call, "base_values", n, e->targets);
    return status;
}

static tl_status read_regressor(const tl_call *call, ensemble *e)
{
    int aggregate = FOREST_AVERAGE;
    tl_status status = op_word(call, "aggregate_function", "AVERAGE SUM MIN MAX", &aggregate);
    e->aggregate = (forest_aggregate)aggregate;
    if (status == TL_OK)
        status = ml_find_transform(call, &e->transform);
    if (status == TL_OK)
        status = forest_read(call, "target", &e->trees);
    return status == TL_OK ? read_base(call, e) : status;
}

static tl_status read_classifier(const tl_call *call, ensemble *e)
{
    tl_status status = ml_find_transform(call, &e->transform);
    e->aggregate = FOREST_SUM;
    if (status == TL_OK)
        status = forest_read(call, "class", &e->trees);
    if (status != TL_OK)
        return status;
    const tl_tensor ids = ml_list(call, "class_ids", TL_ATTR_INTS);
    const int64_t weights = e->trees.leaf_count > 0 ? e->trees.leaves[e->trees.leaf_count] : 0;
    e->binary = e->targets == 2;
    e->positive = true;
    for (int64_t i = 1; i < ml_count(&ids); i++)
        e->binary = e->binary && ml_int(&ids, i) == ml_int(&ids, 0);
    for (int64_t i = 0; i < weights; i++)
        e->positive = e->positive && !(e->trees.weights[i].weight < 0);
    return read_base(call, e);
}

/* ---- State and shapes */

static void ensemble_destroy(const tl_host *host, void *state)
{
    ensemble *e = state;
    forest_free(host, &e->trees);
    host->free(host, e);
}

static tl_status make(tl_call *call, int64_t targets, tl_status (*read)(const tl_call *call, ensemble *e))
{
    ensemble *e = nn_new_state(call, sizeof *e);
    if (!e)
        return TL_NO_MEMORY;
    e->targets = targets;
    tl_status status = read(call, e);
    if (status == TL_OK)
        status = forest_check(call, &e->trees, targets);
    if (status == TL_OK)
        call->state = e;
    else
        ensemble_destroy(call->host, e);
    return status;
}

static tl_status targets_of(const tl_call *call, int64_t *targets)
{
    *targets = op_int(call, "n_targets");
    if (*targets < 1)
        return tl_fail(call, TL_INVALID_MODEL, "n_targets is %lld, but must be 1 at least", (long long)*targets);
    return TL_OK;
}

static tl_status ensemble_create(tl_call *call)
{
    int64_t targets;
    tl_status status = targets_of(call, &targets);
    return status == TL_OK ? make(call, targets, read_5) : status;
}

static tl_status regressor_create(tl_call *call)
{
    int64_t targets;
    tl_status status = targets_of(call, &targets);
    return status == TL_OK ? make(call, targets, read_regressor) : status;
}

static tl_status class_labels(const tl_call *call, tl_tensor *labels)
{
    tl_status status = ml_labels(call, "classlabels_int64s", "classlabels_strings", labels);
    if (status == TL_OK && ml_count(labels) == 0)
        return tl_fail(call, TL_INVALID_MODEL, "has no class labels");
    return status;
}

static tl_status classifier_create(tl_call *call)
{
    tl_tensor labels;
    tl_status status = class_labels(call, &labels);
    if (status == TL_OK)
        status = make(call, ml_count(&labels), read_classifier);
    if (status == TL_OK)
        ((ensemble *)call->state)->labels = labels;
    return status;
}

/* Rows by targets; each thread has scores of its own in the workspace, and marks of those that are hit. */
static tl_status shape_scores(tl_call *call, tl_tensor *out, int64_t targets)
{
    const tl_tensor *x = call->inputs[0];
    const ensemble *e = call->state;
    tl_status status = ml_check_table(call);
    if (status != TL_OK)
        return status;
    out->rank = 2;
    out->dims[0] = ml_rows(x);
    out->dims[1] = targets;
    if (e && ml_features(x) >= 0 && ml_features(x) < e->trees.features)
        return tl_fail(call, TL_INVALID_INPUT, "X has %lld features, but the trees look at %lld",
                       (long long)ml_features(x), (long long)e->trees.features);
    if (targets >= INT64_MAX / 64)
        return tl_fail(call, TL_NO_MEMORY, "%lld targets are too many", (long long)targets);
    call->workspace_size = 0;
    nn_place(call, targets + targets / 8 + 1, sizeof(double) * (size_t)call->thread_count);
    return TL_OK;
}

static tl_status ensemble_reshape(tl_call *call)
{
    int64_t targets;
    tl_status status = targets_of(call, &targets);
    return status == TL_OK ? shape_scores(call, call->outputs[0], targets) : status;
}

static tl_status classifier_reshape(tl_call *call)
{
    tl_tensor labels, unused, *y = call->outputs[0];
    tl_status status = class_labels(call, &labels);
    if (status != TL_OK)
        return status;
    y->type = labels.type;
    y->rank = 1;
    y->dims[0] = ml_rows(call->inputs[0]);
    return shape_scores(call, op_output(call, 1) ? call->outputs[1] : &unused, ml_count(&labels));
}

/* ---- Run */

typedef struct ensemble_job {
    const tl_call *call;
    const ensemble *e;
} ensemble_job;

/* Two classes, but weights for one of them alone: the score of the second class, which is a probability, or says how
 * far it is from the border. The standard leaves this open; it is what ONNX Runtime does, for which models are made. */
static int64_t finish_binary(const ensemble *e, double *scores, const uint8_t *hit)
{
    const int64_t bases = ml_count(&e->base);
    const double base = bases > 0 ? op_load_number(&e->base, bases - 1) : 0;
    const double score = scores[hit[1] ? 1 : 0] + base;
    scores[1] = score;
    if (!hit[1])
        scores[0] = e->transform == ML_LOGISTIC || !e->positive ? -score : 1 - score;
    if (hit[1] || e->transform == ML_LOGISTIC || e->transform == ML_PROBIT)
        ml_apply(e->transform, scores, 2);
    return score > (e->positive ? 0.5 : 0);
}

/* What a row's scores become, and (classifiers) which class wins. */
static int64_t finish(const ensemble *e, double *scores, const uint8_t *hit)
{
    if (e->binary)
        return finish_binary(e, scores, hit);
    for (int64_t k = 0; k < ml_count(&e->base); k++)
        scores[k] += op_load_number(&e->base, k);
    const int64_t best = ml_greatest(scores, e->targets);
    ml_apply(e->transform, scores, e->targets);
    return best;
}

static void ensemble_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const ensemble_job *job = context;
    const ensemble *e = job->e;
    const tl_call *call = job->call;
    const bool classifies = e->labels.type != TL_UNDEFINED;
    const tl_tensor *x = call->inputs[0], *out = op_output(call, classifies ? 1 : 0);
    const int64_t features = ml_features(x);
    double *scores = (double *)call->workspace + thread * (e->targets + e->targets / 8 + 1);
    uint8_t *hit = (uint8_t *)(scores + e->targets);
    for (int64_t row = begin; row < end; row++) {
        forest_score(&e->trees, e->aggregate, x, row * features, e->targets, scores, hit);
        const int64_t best = finish(e, scores, hit);
        if (classifies)
            ml_put_label(call->outputs[0], row, &e->labels, best);
        for (int64_t k = 0; out && k < e->targets; k++)
            op_store_number(out, row * e->targets + k, scores[k]);
    }
}

static tl_status ensemble_run(tl_call *call)
{
    const ensemble_job job = {call, call->state};
    call->host->parallel_for(call, ensemble_task, (void *)(uintptr_t)&job, ml_rows(call->inputs[0]),
                             nn_grain(job.e->trees.root_count * 16, 1 << 12));
    return TL_OK;
}

/* ---- Schemas */

#define ENSEMBLE_TYPES (TL_T(TL_FLOAT) | TL_T(TL_DOUBLE) | TL_T(TL_FLOAT16))
#define REQUIRED_INTS(label)                                           \
    {                                                                  \
        .name = label, .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED \
    }
#define REQUIRED_TENSOR(label)                                           \
    {                                                                    \
        .name = label, .kind = TL_ATTR_TENSOR, .flags = TL_ATTR_REQUIRED \
    }
static const tl_param ensemble_input[] = {OP_IN("X", ENSEMBLE_TYPES, 'T')};
static const tl_param ensemble_output[] = {OP_IN("Y", ENSEMBLE_TYPES, 'T')};
static const tl_param old_input[] = {OP_IN("X", ML_NUMBERS, 0)};
static const tl_param regressor_output[] = {OP_IN("Y", TL_T(TL_FLOAT), 0)};
static const tl_param classifier_output[] = {OP_IN("Y", ML_LABELS, 0), OP_IN("Z", TL_T(TL_FLOAT), 0)};

static const tl_attribute_spec ensemble_attribute[] = {OP_INT("aggregate_function", FOREST_SUM),
                                                       REQUIRED_INTS("leaf_targetids"),
                                                       REQUIRED_TENSOR("leaf_weights"),
                                                       ML_TENSOR("membership_values"),
                                                       OP_INT("n_targets", 0),
                                                       REQUIRED_INTS("nodes_falseleafs"),
                                                       REQUIRED_INTS("nodes_falsenodeids"),
                                                       REQUIRED_INTS("nodes_featureids"),
                                                       ML_TENSOR("nodes_hitrates"),
                                                       OP_INTS("nodes_missing_value_tracks_true"),
                                                       REQUIRED_TENSOR("nodes_modes"),
                                                       REQUIRED_TENSOR("nodes_splits"),
                                                       REQUIRED_INTS("nodes_trueleafs"),
                                                       REQUIRED_INTS("nodes_truenodeids"),
                                                       OP_INT("post_transform", ML_NONE),
                                                       REQUIRED_INTS("tree_roots")};

#define OLD_NODES                                                                                                    \
    OP_INTS("nodes_falsenodeids"), OP_INTS("nodes_featureids"), ML_FLOATS("nodes_hitrates"),                         \
        OP_INTS("nodes_missing_value_tracks_true"), ML_STRINGS("nodes_modes"), OP_INTS("nodes_nodeids"),             \
        OP_INTS("nodes_treeids"), OP_INTS("nodes_truenodeids"), ML_FLOATS("nodes_values"), ML_FLOATS("base_values"), \
        OP_STRING("post_transform", "NONE")
#define OLD_TENSORS \
    ML_TENSOR("base_values_as_tensor"), ML_TENSOR("nodes_hitrates_as_tensor"), ML_TENSOR("nodes_values_as_tensor")
#define REGRESSOR                                                                                                     \
    OP_STRING("aggregate_function", "SUM"), OP_INT("n_targets", 0), OP_INTS("target_ids"), OP_INTS("target_nodeids"), \
        OP_INTS("target_treeids"), ML_FLOATS("target_weights")
#define CLASSIFIER                                                                                        \
    OP_INTS("class_ids"), OP_INTS("class_nodeids"), OP_INTS("class_treeids"), ML_FLOATS("class_weights"), \
        OP_INTS("classlabels_int64s"), ML_STRINGS("classlabels_strings")
static const tl_attribute_spec regressor_attribute_1[] = {OLD_NODES, REGRESSOR};
static const tl_attribute_spec regressor_attribute_3[] = {OLD_NODES, REGRESSOR, OLD_TENSORS,
                                                          ML_TENSOR("target_weights_as_tensor")};
static const tl_attribute_spec classifier_attribute_1[] = {OLD_NODES, CLASSIFIER};
static const tl_attribute_spec classifier_attribute_3[] = {OLD_NODES, CLASSIFIER, OLD_TENSORS,
                                                           ML_TENSOR("class_weights_as_tensor")};

OP_DESCRIPTOR(TreeEnsemble, 5) = {ML_HEAD(TreeEnsemble, 5),
                                  OP_PARAMS(input, ensemble_input),
                                  OP_PARAMS(output, ensemble_output),
                                  OP_PARAMS(attribute, ensemble_attribute),
                                  .flags = TL_OP_LONG,
                                  .create = ensemble_create,
                                  .reshape = ensemble_reshape,
                                  .run = ensemble_run,
                                  .destroy = ensemble_destroy};

/* Both are deprecated from version 5 on, and mean there what they meant before. */
#define OLD(op, since, stem)                                                    \
    OP_DESCRIPTOR(op, since) = {ML_HEAD(op, since),                             \
                                OP_PARAMS(input, old_input),                    \
                                OP_PARAMS(output, stem##_output),               \
                                OP_PARAMS(attribute, stem##_attribute_##since), \
                                .flags = TL_OP_LONG,                            \
                                .create = stem##_create,                        \
                                .reshape = stem##_reshape,                      \
                                .run = ensemble_run,                            \
                                .destroy = ensemble_destroy}
#define regressor_reshape ensemble_reshape
OLD(TreeEnsembleRegressor, 1, regressor);
OLD(TreeEnsembleRegressor, 3, regressor);
OLD(TreeEnsembleClassifier, 1, classifier);
OLD(TreeEnsembleClassifier, 3, classifier);
