/* Real files: every separable pair of the models is found, and every exported layer becomes one operator. */
#include "separable_conv1d/model.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include "exec/inspect.h"

/* MODELS is the folder, from the build. */
static const struct {
    const char *name;
    int pairs;
} models[] = {
    {"japanesevowels_causal", 4},     {"japanesevowels_same", 2},
    {"matchboxnet_3x2x64_dynamo", 8}, {"matchboxnet_3x2x64_torchscript", 8},
    {"quartznet_mini_dynamo", 6},     {"quartznet_mini_torchscript", 6},
    {"tcn_chomp_dynamo", 5},          {"tcn_chomp_torchscript", 5},
};

/* SeparableConv1Ds in the graph that runs; *nodes: all of its nodes. */
static int count_in(const char *path, int *nodes)
{
    tl_session *session = NULL;
    tl_error error;
    int found = 0;
    ck_assert_msg(tl_session_open(runtime_of(1), path, NULL, &session, &error) == TL_OK, "%s", error.message);
    const tl_graph *graph = tl_session_graph(session);
    for (size_t i = 0; i < graph->node_count; i++)
        found += strcmp(graph->nodes[i]->op_type, "SeparableConv1D") == 0;
    *nodes = (int)graph->node_count;
    tl_session_destroy(session);
    return found;
}

START_TEST(every_pair)
{
    char path[512];
    int nodes = 0;
    snprintf(path, sizeof path, "%s/%s/model.onnx", MODELS, models[_i].name);
    ck_assert_int_eq(count_in(path, &nodes), models[_i].pairs);
}
END_TEST

/* With its activation, and with no Transpose, Squeeze or Pad left around it. */
START_TEST(every_exported_layer)
{
    DIR *folder = opendir(MODELS "/separable_conv1d/exported");
    ck_assert_ptr_nonnull(folder);
    int cases = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[512];
        int nodes = 0;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/separable_conv1d/exported/%.200s/model.onnx", MODELS, entry->d_name);
        ck_assert_msg(count_in(path, &nodes) == 1 && nodes == 1, "%s: %d nodes", entry->d_name, nodes);
        cases++;
    }
    closedir(folder);
    ck_assert_int_ge(cases, 40);
    printf("%d exported layers\n", cases);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("separable_conv1d.models");
    TCase *tests = tcase_create("models");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, every_pair, 0, (int)(sizeof models / sizeof *models));
    tcase_add_test(tests, every_exported_layer);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
