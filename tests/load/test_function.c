/* Model-local functions: written out in place, with their attributes; recursion and explosion refused. */
#include <stdio.h>
#include <string.h>
#include "support.h"

/* A FunctionProto of domain "local" with the input x and the output y, and these nodes. */
static message function_of(const char *name, const message *nodes, size_t count)
{
    message m = {.size = 0}, opset = {.size = 0};
    put_text(&m, 1, name);
    put_text(&m, 4, "x");
    put_text(&m, 5, "y");
    for (size_t k = 0; k < count; k++)
        put_message(&m, 7, &nodes[k]);
    put_int(&opset, 2, 18);
    put_message(&m, 9, &opset);
    put_text(&m, 10, "local");
    return m;
}

/* A model whose one node calls the first function. */
static message model_calling(const char *name, const message *functions, size_t count)
{
    message call = node(name, "local", "x", "y");
    message graph = graph_of(&call, 1);
    return model_with(&graph, functions, count);
}

START_TEST(inlines_as_the_reference_does)
{
    tl_model *model;
    tl_status status = tl_load_file(NULL, NULL, "data/functions.onnx", NULL, &model, &test_error);
    ck_assert_msg(status == TL_OK, "%s", test_error.message);
    FILE *file = fopen("data/functions.txt", "r"); /* operators, as onnx.inliner has them */
    ck_assert_ptr_nonnull(file);
    char line[64];
    size_t count = 0;
    /* Of the slopes: the call's attribute, the default, and twice the default because the call around gives none. */
    const float slopes[] = {0.5f, 0.25f, 0.25f, 0.25f};
    size_t leaky = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        ck_assert_uint_lt(count, model->graph->node_count);
        const tl_node *n = model->graph->nodes[count++];
        ck_assert_str_eq(n->op_type, line);
        ck_assert_int_eq(n->version, 22);
        if (strcmp(line, "LeakyRelu") == 0)
            ck_assert(tl_node_attribute(n, "alpha")->u.f == slopes[leaky++]);
    }
    fclose(file);
    ck_assert_uint_eq(count, model->graph->node_count);
    ck_assert_uint_eq(leaky, 4);
    const tl_node *clip = model->graph->nodes[4]; /* of call A, which leaves `most` out */
    ck_assert_str_eq(clip->op_type, "Clip");
    ck_assert_ptr_null(clip->inputs[1]);
    ck_assert_ptr_null(clip->inputs[2]);
    ck_assert_ptr_eq(clip->outputs[0], tl_graph_find(model->graph, "p"));
    ck_assert_ptr_eq(model->graph->nodes[9]->inputs[2], tl_graph_find(model->graph, "six"));
    ck_assert_str_eq(model->graph->nodes[0]->name, "A/first/leaky");
    /* Names made for inner values are all different. */
    for (size_t i = 0; i < model->graph->value_count; i++)
        ck_assert_ptr_eq(tl_graph_find(model->graph, model->graph->values[i]->name), model->graph->values[i]);
    tl_model_free(model);
}
END_TEST

START_TEST(prefers_the_models_function)
{
    message relu = node("Neg", NULL, "x", "y"), function = {.size = 0}, opset = {.size = 0};
    put_text(&function, 1, "Relu"); /* in the default domain */
    put_text(&function, 4, "x");
    put_text(&function, 5, "y");
    put_message(&function, 7, &relu);
    put_int(&opset, 2, 18);
    put_message(&function, 9, &opset);
    message call = node("Relu", "ai.onnx", "x", "y"), graph = graph_of(&call, 1);
    message m = model_with(&graph, &function, 1);
    tl_model *model = load_good(&m);
    ck_assert_uint_eq(model->graph->node_count, 1);
    ck_assert_str_eq(model->graph->nodes[0]->op_type, "Neg");
    ck_assert_int_eq(model->graph->nodes[0]->version, 18); /* the function's import, not the model's */
    tl_model_free(model);
}
END_TEST

START_TEST(tells_overloads_apart)
{
    message neg = node("Neg", NULL, "x", "y"), abs_node = node("Abs", NULL, "x", "y");
    message functions[] = {function_of("F", &neg, 1), function_of("F", &abs_node, 1)};
    put_text(&functions[1], 13, "other");
    message calls[] = {node("F", "local", "x", "m"), node("F", "local", "m", "y")};
    put_text(&calls[1], 8, "other");
    message graph = graph_of(calls, 2), m = model_with(&graph, functions, 2);
    tl_model *model = load_good(&m);
    ck_assert_str_eq(model->graph->nodes[0]->op_type, "Neg");
    ck_assert_str_eq(model->graph->nodes[1]->op_type, "Abs");
    tl_model_free(model);
    message same[] = {functions[0], functions[0]};
    m = model_with(&graph, same, 2);
    load_refused(&m, TL_INVALID_MODEL, "function 1 'F': it is defined twice");
}
END_TEST

START_TEST(passes_inputs_through)
{
    message neg = node("Neg", NULL, "x", "unused"), function = {.size = 0};
    put_text(&function, 1, "F");
    put_text(&function, 4, "x");
    put_text(&function, 5, "x"); /* an input as the output */
    put_message(&function, 7, &neg);
    put_text(&function, 10, "local");
    message m = model_calling("F", &function, 1);
    tl_model *model = load_good(&m);
    ck_assert_uint_eq(model->graph->node_count, 2);
    const tl_node *identity = model->graph->nodes[1];
    ck_assert_str_eq(identity->op_type, "Identity");
    ck_assert_ptr_eq(identity->inputs[0], tl_graph_find(model->graph, "x"));
    ck_assert_ptr_eq(identity->outputs[0], model->graph->outputs[0]);
    ck_assert_ptr_eq(model->graph->outputs[0]->producer, identity);
    tl_model_free(model);
}
END_TEST

/* A body inside a function sees the function's names, and a body that is passed in sees the caller's. */
START_TEST(scopes_bodies)
{
    message body = {.size = 0}, inner = node("Add", NULL, "x x", "b"), out = {.size = 0};
    put_message(&body, 1, &inner);
    put_text(&out, 1, "b");
    put_message(&body, 12, &out);
    message own = attribute("own", TL_ATTR_GRAPH);
    put_message(&own, 6, &body);
    message given = attribute("given", TL_ATTR_GRAPH);
    put_text(&given, 21, "passed");
    message op = node("Op", NULL, "x", "y");
    put_message(&op, 5, &own);
    put_message(&op, 5, &given);
    message function = function_of("F", &op, 1);
    put_text(&function, 6, "passed");
    message passed = attribute("passed", TL_ATTR_GRAPH);
    put_message(&passed, 6, &body);
    message nodes[] = {node("Neg", NULL, "x", "m"), node("F", "local", "m", "y")};
    put_message(&nodes[1], 5, &passed);
    message graph = graph_of(nodes, 2), m = model_with(&graph, &function, 1);
    tl_model *model = load_good(&m);
    const tl_node *n = model->graph->nodes[1];
    const tl_graph *own_graph = tl_node_attribute(n, "own")->u.graph;
    const tl_graph *given_graph = tl_node_attribute(n, "given")->u.graph;
    ck_assert_ptr_eq(own_graph->nodes[0]->inputs[0]->outer, tl_graph_find(model->graph, "m"));
    ck_assert_ptr_eq(given_graph->nodes[0]->inputs[0]->outer, tl_graph_find(model->graph, "x"));
    tl_model_free(model);
}
END_TEST

START_TEST(refuses_recursion)
{
    message self = node("F", "local", "x", "y");
    message function = function_of("F", &self, 1);
    message m = model_calling("F", &function, 1);
    load_refused(&m, TL_INVALID_MODEL, "node 0 '' (local::F): the function calls itself");
    message to_g = node("G", "local", "x", "y"), to_f = node("F", "local", "x", "y");
    message pair[] = {function_of("F", &to_g, 1), function_of("G", &to_f, 1)};
    m = model_calling("F", pair, 2);
    load_refused(&m, TL_INVALID_MODEL, "the function calls itself");
    message in_body = {.size = 0}, out = {.size = 0}, a = attribute("body", TL_ATTR_GRAPH);
    put_message(&in_body, 1, &self);
    put_text(&out, 1, "y");
    put_message(&in_body, 12, &out);
    put_message(&a, 6, &in_body);
    message op = node("If", NULL, "x", "y");
    put_message(&op, 5, &a);
    function = function_of("F", &op, 1);
    m = model_calling("F", &function, 1);
    load_refused(&m, TL_INVALID_MODEL, "the function calls itself");
}
END_TEST

/* Functions F0, F1, ...: each calls the next `calls` times, once or twice; the last is a node. */
static message chain(int functions, int calls)
{
    static message all[64];
    char name[16], next[16];
    for (int k = 0; k < functions; k++) {
        snprintf(name, sizeof name, "F%d", k);
        snprintf(next, sizeof next, "F%d", k + 1);
        message nodes[2];
        for (int c = 0; c < calls; c++)
            nodes[c] = node(k + 1 < functions ? next : "Neg", k + 1 < functions ? "local" : NULL, c ? "m" : "x",
                            c == calls - 1 ? "y" : "m");
        all[k] = function_of(name, nodes, (size_t)calls);
    }
    return model_calling("F0", all, (size_t)functions);
}

START_TEST(limits_depth_and_number)
{
    message deep = chain(TL_MAX_DEPTH, 1);
    tl_model_free(load_good(&deep));
    message deeper = chain(TL_MAX_DEPTH + 1, 1);
    load_refused(&deeper, TL_INVALID_MODEL, "more than 32 functions inside each other");
    message some = chain(10, 2);
    tl_model *model = load_good(&some);
    ck_assert_uint_eq(model->graph->node_count, 1024);
    tl_model_free(model);
    message bomb = chain(30, 2);
    load_refused(&bomb, TL_INVALID_MODEL, "functions, written out, are more than 131072 nodes");
}
END_TEST

START_TEST(refuses_bad_calls)
{
    message neg = node("Neg", NULL, "x", "y"), function = function_of("F", &neg, 1);
    message call = node("F", "local", "x x", "y"), graph = graph_of(&call, 1), m = model_with(&graph, &function, 1);
    load_refused(&m, TL_INVALID_MODEL, "2 inputs and 1 outputs, but the function has 1 and 1");
    call = node("F", "local", "x", "y z");
    graph = graph_of(&call, 1);
    m = model_with(&graph, &function, 1);
    load_refused(&m, TL_INVALID_MODEL, "1 inputs and 2 outputs");
    call = node("F", "local", "x", "y");
    message a = attribute("a", TL_ATTR_INT);
    put_message(&call, 5, &a);
    graph = graph_of(&call, 1);
    m = model_with(&graph, &function, 1);
    load_refused(&m, TL_INVALID_MODEL, "the function has no attribute 'a'");
    message absent = node("F", "local", "-", "y");
    graph = graph_of(&absent, 1);
    m = model_with(&graph, &function, 1); /* an absent argument is absent inside, and Neg's business */
    tl_model *model = load_good(&m);
    ck_assert_ptr_null(model->graph->nodes[0]->inputs[0]);
    tl_model_free(model);
}
END_TEST

START_TEST(refuses_bad_functions)
{
    message neg = node("Neg", NULL, "x", "z");
    message no_output = function_of("F", &neg, 1);
    message m = model_calling("F", &no_output, 1);
    load_refused(&m, TL_INVALID_MODEL, "the function's output 'y'");
    message outer = node("Neg", NULL, "outside", "y"), sees_out = function_of("F", &outer, 1);
    message first = node("Abs", NULL, "x", "outside"), call = node("F", "local", "x", "y");
    message nodes[] = {first, call}, graph = graph_of(nodes, 2);
    m = model_with(&graph, &sees_out, 1); /* a function does not see the graph that calls it */
    load_refused(&m, TL_INVALID_MODEL, "input 'outside'");
    message nodes2[] = {node("Neg", NULL, "x", "y"), node("Abs", NULL, "x", "y")};
    message twice = function_of("F", nodes2, 2);
    m = model_calling("F", &twice, 1);
    load_refused(&m, TL_INVALID_MODEL, "the value 'y' is made twice");
    message good = node("Neg", NULL, "x", "y"), doubled = function_of("F", &good, 1);
    put_text(&doubled, 4, "x");
    m = model_calling("F", &doubled, 1);
    load_refused(&m, TL_INVALID_MODEL, "the function has the input 'x' twice");
    message unnamed = function_of("", &good, 1);
    m = model_calling("F", &unnamed, 1);
    load_refused(&m, TL_INVALID_MODEL, "function 0 '': it has no name");
    message op = node("Op", NULL, "x", "y"), a = attribute("a", TL_ATTR_INT);
    put_text(&a, 21, "nothing");
    put_message(&op, 5, &a);
    message undeclared = function_of("F", &op, 1);
    m = model_calling("F", &undeclared, 1);
    load_refused(&m, TL_INVALID_MODEL, "declares no attribute 'nothing'");
    message wrong = function_of("F", &op, 1), standard = attribute("nothing", TL_ATTR_FLOAT);
    put_message(&wrong, 11, &standard);
    m = model_calling("F", &wrong, 1);
    load_refused(&m, TL_INVALID_MODEL, "it is of type 2, the attribute 'nothing' of type 1");
    message refers = function_of("F", &op, 1), again = attribute("nothing", TL_ATTR_INT);
    put_text(&again, 21, "other");
    put_message(&refers, 11, &again);
    m = model_calling("F", &refers, 1);
    load_refused(&m, TL_INVALID_MODEL, "the default of 'nothing' refers to an attribute");
    message pass = node("F", "local", "-", "- y");
    graph = graph_of(&pass, 1);
    message made = node("Neg", NULL, "x", "y"), both = function_of("F", &made, 1);
    put_text(&both, 5, "x");
    m = model_with(&graph, &both, 1);
    load_refused(&m, TL_INVALID_MODEL, "the function gives out its input 'x', which the call leaves out");
    message foreign_node = node("Neg", "far", "x", "y"), foreign = function_of("F", &foreign_node, 1);
    m = model_calling("F", &foreign, 1);
    load_refused(&m, TL_INVALID_MODEL, "the function imports no operator set of domain 'far'");
    message old = {.size = 0}, opset = {.size = 0}, function = function_of("F", &good, 1);
    put_int(&old, 1, 7);
    put_int(&opset, 2, 12);
    put_message(&old, 8, &opset);
    graph = graph_of(&call, 1);
    put_message(&old, 7, &graph);
    put_message(&old, 25, &function);
    load_refused(&old, TL_INVALID_MODEL, "functions need IR version 8");
}
END_TEST

START_TEST(limits_bodies_in_functions)
{
    static message functions[2];
    char name[16], next[16];
    for (int k = 0; k < 2; k++) { /* functions of 20 bodies inside each other: 40 in all */
        snprintf(name, sizeof name, "F%d", k);
        snprintf(next, sizeof next, "F%d", k + 1);
        message inner = node(k ? "Neg" : next, k ? NULL : "local", "x", "y");
        for (int level = 0; level < 20; level++) {
            message body = {.size = 0}, out = {.size = 0}, a = attribute("body", TL_ATTR_GRAPH);
            put_message(&body, 1, &inner);
            put_text(&out, 1, "y");
            put_message(&body, 12, &out);
            put_message(&a, 6, &body);
            inner = node("Op", NULL, "x", "y");
            put_message(&inner, 5, &a);
        }
        functions[k] = function_of(name, &inner, 1);
    }
    message m = model_calling("F0", functions, 2);
    load_refused(&m, TL_INVALID_MODEL, "more than 32 subgraphs inside each other");
    m = model_calling("F1", functions, 2);
    tl_model_free(load_good(&m));
}
END_TEST

/* A tensor in a function is read once, however often the function is called. */
START_TEST(reads_tensors_once)
{
    message op = node("Constant", NULL, "", "c"), a = attribute("value", TL_ATTR_TENSOR), w = {.size = 0};
    put_tensor(&w, NULL, TL_FLOAT, (const int64_t[]){2}, 1);
    put_float(&w, 4, 1);
    put_float(&w, 4, 2);
    put_message(&a, 5, &w);
    put_message(&op, 5, &a);
    message nodes[] = {op, node("Add", NULL, "x c", "y")}, function = function_of("F", nodes, 2);
    message calls[] = {node("F", "local", "x", "m"), node("F", "local", "m", "y")};
    message graph = graph_of(calls, 2), m = model_with(&graph, &function, 1);
    tl_model *model = load_good(&m);
    const tl_tensor *one = tl_node_attribute(model->graph->nodes[0], "value")->u.tensor;
    const tl_tensor *two = tl_node_attribute(model->graph->nodes[2], "value")->u.tensor;
    ck_assert_ptr_eq(one->data, two->data);
    ck_assert(((const float *)one->data)[1] == 2);
    tl_model_free(model);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("function");
    tcase_add_test(tests, inlines_as_the_reference_does);
    tcase_add_test(tests, prefers_the_models_function);
    tcase_add_test(tests, tells_overloads_apart);
    tcase_add_test(tests, passes_inputs_through);
    tcase_add_test(tests, scopes_bodies);
    tcase_add_test(tests, refuses_recursion);
    tcase_add_test(tests, limits_depth_and_number);
    tcase_add_test(tests, refuses_bad_calls);
    tcase_add_test(tests, refuses_bad_functions);
    tcase_add_test(tests, limits_bodies_in_functions);
    tcase_add_test(tests, reads_tensors_once);
    return run_case(tests, "function");
}
