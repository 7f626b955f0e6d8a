/* TreeEnsemble and the two operators that it replaced: trees worked out by hand, and files that lie. */
#include <math.h>
#include "tensors.h"

OPERATOR(TreeEnsemble, 5);
OPERATOR(TreeEnsembleRegressor, 3);
OPERATOR(TreeEnsembleClassifier, 1);

#define TEXTS(label, list)                                                            \
    {                                                                                 \
        .name = label, .kind = TL_ATTR_STRINGS, .strings = list, .count = COUNT(list) \
    }
#define TENSOR(label, value)                                   \
    {                                                          \
        .name = label, .kind = TL_ATTR_TENSOR, .tensor = value \
    }
#define LEQ              \
    {                    \
        "BRANCH_LEQ", 10 \
    }
#define GT             \
    {                  \
        "BRANCH_GT", 9 \
    }
#define END       \
    {             \
        "LEAF", 4 \
    }

/* x0 <= 1 ? (x1 > 0 ? 1 : 2) : 4; NaN goes to the second leaf; and a tree of one leaf, of target 1. */
static const tl_string modes[] = {LEQ, GT, END, END, END, END};
static fake_attribute old_trees[] = {ATTR_IS("nodes_treeids", 0, 0, 0, 0, 0, 7),
                                     ATTR_IS("nodes_nodeids", 0, 1, 2, 3, 4, 0),
                                     ATTR_IS("nodes_featureids", 0, 1, 0, 0, 0, 0),
                                     ATTR_IS("nodes_truenodeids", 1, 3, 0, 0, 0, 0),
                                     ATTR_IS("nodes_falsenodeids", 2, 4, 0, 0, 0, 0),
                                     ATTR_IS("nodes_missing_value_tracks_true", 1, 0, 0, 0, 0, 0),
                                     ATTR_FS("nodes_values", 1, 0, 0, 0, 0, 0),
                                     TEXTS("nodes_modes", modes),
                                     ATTR_IS("target_treeids", 0, 0, 0, 7),
                                     ATTR_IS("target_nodeids", 2, 3, 4, 0),
                                     ATTR_IS("target_ids", 0, 0, 0, 1),
                                     ATTR_FS("target_weights", 4, 1, 2, 8),
                                     ATTR_I("n_targets", 2),
                                     ATTR_S("aggregate_function", "SUM"),
                                     ATTR_FS("base_values", 0.5F, -1)};
enum {
    TREES,
    NODES,
    FEATURES,
    YES,
    NO,
    MISSING,
    VALUES,
    MODES,
    OF_TREE,
    OF_NODE,
    TARGETS,
    WEIGHTS,
    COUNTED,
    HOW,
    BASE
};

static const float samples[] = {1, 1, 1, 0, 2, 9, NAN, NAN, NAN, 3};
static const double sums[] = {1, 2, 4, 2, 1};

START_TEST(regressor)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE};
    for (size_t t = 0; t < 2; t++) {
        tl_tensor x = new_tensor(types[t], DIMS(5, 2));
        for (int64_t i = 0; i < 10; i++)
            set(&x, i, (double)samples[i]);
        fake_case test = CASE(&tl_op_TreeEnsembleRegressor_3, old_trees, &x);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(5, 2));
        for (int64_t i = 0; i < 5; i++) {
            ck_assert(get(&test.outputs[0], 2 * i) == sums[i] + 0.5);
            ck_assert(get(&test.outputs[0], 2 * i + 1) == 7);
        }
        fake_free(&test);
        free_tensor(&x);
    }
}
END_TEST

START_TEST(regressor_refuses)
{
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(5, 2)), narrow = new_tensor(TL_FLOAT, DIMS(5, 1));
    static const tl_string strange[] = {LEQ, GT, END, END, {"LEAVE", 5}, END};
    const struct {
        size_t at;
        fake_attribute instead;
        const char *says;
    } lies[] = {
        {YES, ATTR_IS("nodes_truenodeids", 0, 3, 0, 0, 0, 0), "lead back"},
        {YES, ATTR_IS("nodes_truenodeids", 1, 0, 0, 0, 0, 0), "lead back"},
        {NO, ATTR_IS("nodes_falsenodeids", 9, 4, 0, 0, 0, 0), "does not exist"},
        {NODES, ATTR_IS("nodes_nodeids", 0, 1, 2, 3, 3, 0), "two nodes"},
        {FEATURES, ATTR_IS("nodes_featureids", -1, 1, 0, 0, 0, 0), "feature -1"},
        {FEATURES, ATTR_IS("nodes_featureids", INT64_MAX, 1, 0, 0, 0, 0), "the trees look at"},
        {MODES, TEXTS("nodes_modes", strange), "LEAVE"},
        {TREES, ATTR_IS("nodes_treeids", 0, 0, 0), "elements"},
        {VALUES, ATTR_FS("nodes_values", 1), "elements"},
        {TARGETS, ATTR_IS("target_ids", 0, 0, 2, 1), "target 2"},
        {TARGETS, ATTR_IS("target_ids", 0, 0, -1, 1), "target -1"},
        {OF_NODE, ATTR_IS("target_nodeids", 2, 3, 5, 0), "does not exist"},
        {COUNTED, ATTR_I("n_targets", 0), "n_targets"},
        {COUNTED, ATTR_I("n_targets", INT64_MAX), NULL},
        {HOW, ATTR_S("aggregate_function", "MEDIAN"), "MEDIAN"},
        {BASE, ATTR_FS("base_values", 1, 2, 3), "base_values"},
    };
    for (size_t k = 0; k < COUNT(lies); k++) {
        const fake_attribute before = old_trees[lies[k].at];
        old_trees[lies[k].at] = lies[k].instead;
        fake_case test = CASE(&tl_op_TreeEnsembleRegressor_3, old_trees, &x);
        tl_status status = fake_run(&test);
        ck_assert_msg(status != TL_OK, "lie %zu", k);
        ck_assert_msg(!lies[k].says || strstr(test.message, lies[k].says), "lie %zu: %s", k, test.message);
        fake_free(&test);
        old_trees[lies[k].at] = before;
    }
    fake_case test = CASE(&tl_op_TreeEnsembleRegressor_3, old_trees, &narrow);
    run_fails(&test, TL_INVALID_INPUT, "1 features");
    free_tensor(&x);
    free_tensor(&narrow);
}
END_TEST

START_TEST(classifier)
{
    static const tl_string labels[] = {{"low", 3}, {"high", 4}};
    fake_attribute a[COUNT(old_trees)];
    memcpy(a, old_trees, sizeof a);
    const char *const renamed[] = {"class_treeids", "class_nodeids", "class_ids", "class_weights"};
    for (size_t k = 0; k < 4; k++)
        a[OF_TREE + k].name = renamed[k];
    a[COUNTED] = (fake_attribute)TEXTS("classlabels_strings", labels);
    a[HOW] = (fake_attribute)ATTR_S("post_transform", "SOFTMAX");
    a[BASE] = (fake_attribute)ATTR_FS("base_values", 3, -4.5F);
    tl_tensor x = float_list(10, samples);
    x.rank = 2;
    x.dims[0] = 5;
    x.dims[1] = 2;
    fake_case test = CASE(&tl_op_TreeEnsembleClassifier_1, a, &x);
    run_ok(&test);
    ck_assert_int_eq(test.outputs[0].type, TL_STRING);
    for (int64_t i = 0; i < 5; i++) {
        const double low = exp(sums[i] + 3), high = exp(3.5);
        const tl_string *label = &((const tl_string *)test.outputs[0].data)[i];
        ck_assert_mem_eq(label->data, low >= high ? "low" : "high", 3);
        ck_assert_double_eq_tol(get(&test.outputs[1], 2 * i), low / (low + high), 1e-6);
        ck_assert_double_eq_tol(get(&test.outputs[1], 2 * i + 1), high / (low + high), 1e-6);
    }
    fake_free(&test);
    a[COUNTED] = (fake_attribute)ATTR_I("n_targets", 2);
    a[COUNTED].name = "classlabels";
    run_fails(&test, TL_INVALID_MODEL, "labels");
    free_tensor(&x);
}
END_TEST

/* x0 in {1, 3} ? 10 : (x1 < 2 ? 20 : 30), and a second tree of one node that leads to one leaf. */
START_TEST(ensemble)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16};
    static const double inputs[] = {1, 0, 3, 9, 2, 1, 2, 2, NAN, 0}, want[] = {11, 11, 21, 31, 21};
    for (size_t t = 0; t < 3; t++)
        for (int64_t how = 0; how < 4; how++) {
            tl_tensor x = new_tensor(types[t], DIMS(5, 2)), splits = new_tensor(types[t], DIMS(3));
            tl_tensor weights = new_tensor(types[t], DIMS(4)), members = new_tensor(types[t], DIMS(3));
            tl_tensor kinds = new_tensor(TL_UINT8, DIMS(3));
            const double all_weights[] = {10, 20, 30, 1}, all_members[] = {1, 3, NAN}, all_kinds[] = {6, 1, 0};
            for (int64_t i = 0; i < 10; i++)
                set(&x, i, inputs[i]);
            for (int64_t i = 0; i < 4; i++)
                set(&weights, i, all_weights[i]);
            for (int64_t i = 0; i < 3; i++) {
                set(&members, i, all_members[i]);
                set(&kinds, i, all_kinds[i]);
            }
            set(&splits, 1, 2);
            fake_attribute a[] = {ATTR_I("n_targets", 1),
                                  ATTR_I("aggregate_function", how),
                                  ATTR_IS("nodes_featureids", 0, 1, 0),
                                  ATTR_IS("nodes_truenodeids", 0, 1, 3),
                                  ATTR_IS("nodes_falsenodeids", 1, 2, 3),
                                  ATTR_IS("nodes_trueleafs", 1, 1, 1),
                                  ATTR_IS("nodes_falseleafs", 0, 1, 1),
                                  ATTR_IS("leaf_targetids", 0, 0, 0, 0),
                                  ATTR_IS("tree_roots", 0, 2),
                                  TENSOR("nodes_splits", &splits),
                                  TENSOR("leaf_weights", &weights),
                                  TENSOR("membership_values", &members),
                                  TENSOR("nodes_modes", &kinds)};
            fake_case test = CASE(&tl_op_TreeEnsemble_5, a, &x);
            run_ok(&test);
            ck_assert_int_eq(test.outputs[0].type, types[t]);
            for (int64_t i = 0; i < 5; i++)
                ck_assert(get(&test.outputs[0], i) == (how == 0   ? want[i] / 2
                                                       : how == 1 ? want[i]
                                                       : how == 2 ? 1
                                                                  : want[i] - 1));
            fake_free(&test);
            a[8] = (fake_attribute)ATTR_IS("tree_roots", 0, 3);
            run_fails(&test, TL_INVALID_MODEL, "root 1");
            a[8] = (fake_attribute)ATTR_IS("tree_roots", INT64_MIN, 2);
            run_fails(&test, TL_INVALID_MODEL, "root 0");
            a[3] = (fake_attribute)ATTR_IS("nodes_truenodeids", 0, 1, 4);
            run_fails(&test, TL_INVALID_MODEL, "node 2");
            set(&members, 2, 5);
            run_fails(&test, TL_INVALID_MODEL, "0 sets");
            set(&kinds, 0, 7);
            run_fails(&test, TL_INVALID_MODEL, "nodes_modes[0] is 7");
            tl_tensor *all[] = {&x, &splits, &weights, &members, &kinds};
            for (size_t k = 0; k < COUNT(all); k++)
                free_tensor(all[k]);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trees");
    ADD_TEST(suite, regressor);
    ADD_TEST(suite, regressor_refuses);
    ADD_TEST(suite, classifier);
    ADD_TEST(suite, ensemble);
    return run_suite(suite);
}
