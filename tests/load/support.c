#include <stdlib.h>
#include <string.h>
#include "common/run.h"
#include "support.h"

tl_error test_error;

tl_model *load_message(const message *m)
{
    uint8_t *exact = malloc(m->size ? m->size : 1); /* so that AddressSanitizer sees a read beyond */
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, m->bytes, m->size);
    tl_model *model;
    tl_status status = tl_load_memory(NULL, NULL, exact, m->size, NULL, &model, &test_error);
    ck_assert((status == TL_OK) == (model != NULL));
    if (status != TL_OK) {
        ck_assert_int_eq(test_error.status, status);
        ck_assert_ptr_null(strchr(test_error.message, '\n'));
        ck_assert_int_eq(strncmp(test_error.message, "(memory): ", 10), 0);
    }
    if (model) /* constants may lie in it; nobody reads them after this */
        for (size_t k = 0; k < model->graph->value_count; k++)
            if (model->graph->values[k]->constant)
                ck_assert(tl_value_data(model->graph->values[k]) || !model->graph->values[k]->constant->bytes);
    free(exact);
    return model;
}

tl_model *load_good(const message *m)
{
    tl_model *model = load_message(m);
    ck_assert_msg(model != NULL, "%s", test_error.message);
    return model;
}

void load_refused(const message *m, tl_status status, const char *words)
{
    tl_model *model = load_message(m);
    tl_model_free(model);
    ck_assert_msg(!model, "loaded, without saying '%s'", words);
    ck_assert_msg(test_error.status == status, "status %d: %s", (int)test_error.status, test_error.message);
    ck_assert_msg(strstr(test_error.message, words) != NULL, "'%s' does not say '%s'", test_error.message, words);
}

message graph_of(const message *nodes, size_t count)
{
    message graph = {.size = 0};
    const int64_t dims[] = {1};
    message x = value_info("x", 1, dims), y = value_info("y", 1, dims);
    for (size_t k = 0; k < count; k++)
        put_message(&graph, 1, &nodes[k]);
    put_text(&graph, 2, "g");
    put_message(&graph, 11, &x);
    put_message(&graph, 12, &y);
    return graph;
}

message model_with(const message *graph, const message *functions, size_t count)
{
    message m = {.size = 0}, opset = {.size = 0}, local = {.size = 0};
    put_int(&m, 1, 10);
    put_int(&opset, 2, 17);
    put_message(&m, 8, &opset);
    put_text(&local, 1, "local");
    put_int(&local, 2, 1);
    put_message(&m, 8, &local);
    put_message(&m, 7, graph);
    for (size_t k = 0; k < count; k++)
        put_message(&m, 25, &functions[k]);
    return m;
}

message attribute(const char *name, int type)
{
    message m = {.size = 0};
    put_text(&m, 1, name);
    if (type)
        put_int(&m, 20, type);
    return m;
}

int run_case(TCase *tests, const char *name)
{
    Suite *suite = suite_create(name);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
