/* tl_graph_resolve on graphs made by hand: versions, arity, attributes, subgraphs. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/run.h"
#include "graph/graph.h"
#include "plugin/registrar.h"

static tl_allocator c_library;
static tl_host host;
static tl_registry registry;
static tl_error error;
static tl_model *model;
static tl_graph *graph;

static tl_status run(tl_call *call)
{
    (void)call;
    return TL_OK;
}

static const tl_param x[] = {{"X", TL_T(TL_FLOAT), 'T', 0}};
static const tl_param three[] = {
    {"A", TL_T_ALL, 0, 0}, {"B", TL_T_ALL, 0, TL_PARAM_OPTIONAL}, {"C", TL_T_ALL, 0, TL_PARAM_OPTIONAL}};
static const tl_param some[] = {{"A", TL_T_ALL, 0, 0}, {"Rest", TL_T_ALL, 0, TL_PARAM_VARIADIC}};
static const tl_param any[] = {{"All", TL_T_ALL, 0, TL_PARAM_VARIADIC | TL_PARAM_OPTIONAL}};
static const tl_attribute_spec attributes[] = {
    {.name = "axis", .kind = TL_ATTR_INT, .i = -1},
    {.name = "to", .kind = TL_ATTR_INT, .flags = TL_ATTR_REQUIRED},
    {.name = "pads", .kind = TL_ATTR_INTS},
};

#define OP(op, since, until, ins, in_n, outs, out_n)                                                               \
    {                                                                                                              \
        .size = sizeof(tl_operator), .domain = "test", .name = op, .since_version = since, .until_version = until, \
        .inputs = ins, .input_count = in_n, .outputs = outs, .output_count = out_n, .reshape = run, .run = run     \
    }
static const tl_operator operators[] = {
    OP("One", 1, 0, x, 1, x, 1),        OP("One", 5, 8, x, 1, x, 1),   OP("Three", 1, 0, three, 3, three, 3),
    OP("Some", 1, 0, some, 2, some, 2), OP("Any", 1, 0, any, 1, x, 1),
};
static const tl_operator with_attributes = {.size = sizeof(tl_operator),
                                            .domain = "test",
                                            .name = "Attributes",
                                            .since_version = 1,
                                            .inputs = x,
                                            .input_count = 1,
                                            .outputs = x,
                                            .output_count = 1,
                                            .attributes = attributes,
                                            .attribute_count = TL_COUNT(attributes),
                                            .run = run};

static tl_status entry(const tl_host *h, tl_registrar *registrar)
{
    tl_status status = h->register_domain(registrar, "test", 9);
    for (size_t k = 0; k < TL_COUNT(operators) && status == TL_OK; k++)
        status = h->register_operator(registrar, &operators[k]);
    return status == TL_OK ? h->register_operator(registrar, &with_attributes) : status;
}

static tl_opset imports[2];

static void set_up(void)
{
    host = (tl_host){.size = sizeof host,
                     .register_operator = tl_registrar_operator,
                     .register_rule = tl_registrar_rule,
                     .register_domain = tl_registrar_domain};
    error = (tl_error){TL_OK, ""};
    ck_assert_int_eq(tl_registry_init(&registry, &c_library, &host, &error), TL_OK);
    ck_assert_int_eq(tl_registry_enter(&registry, entry, "test", &host, &error), TL_OK);
    model = tl_model_new(&c_library, &registry);
    ck_assert_ptr_nonnull(model);
    model->ir_version = 8;
    imports[0] = (tl_opset){"", 17};
    imports[1] = (tl_opset){"test", 4};
    model->opsets = imports;
    model->opset_count = 2;
    model->graph = graph = tl_graph_new(model, NULL, "g");
    ck_assert_ptr_nonnull(graph);
}
static void tear_down(void)
{
    tl_model_free(model);
    tl_registry_free(&registry);
}

/* A node whose inputs and outputs are there where `ins` and `outs` hold an 'x'. */
static tl_node *node(tl_graph *in, const char *op, const char *ins, const char *outs, size_t attribute_count)
{
    tl_node *n = tl_graph_add_node(in, "n", "test", op, strlen(ins), strlen(outs), attribute_count);
    ck_assert_ptr_nonnull(n);
    for (size_t k = 0; ins[k]; k++)
        n->inputs[k] = ins[k] == 'x' ? tl_graph_add_unique(in, "in") : NULL;
    for (size_t k = 0; outs[k]; k++)
        n->outputs[k] = outs[k] == 'x' ? tl_graph_add_unique(in, "out") : NULL;
    return n;
}
static void good(void)
{
    tl_status status = tl_graph_resolve(graph, &registry, &error);
    ck_assert_msg(status == TL_OK, "%s", error.message);
    graph->node_count = 0;
}
static void bad(tl_status status, const char *expected)
{
    ck_assert_int_eq(tl_graph_resolve(graph, &registry, &error), status);
    ck_assert_msg(strstr(error.message, expected) != NULL, "'%s' lacks '%s'", error.message, expected);
    graph->node_count = 0;
}

START_TEST(versions)
{
    tl_node *n = node(graph, "One", "x", "x", 0);
    good();
    ck_assert_int_eq(n->op->since_version, 1);
    ck_assert_int_eq(n->version, 4);
    imports[1].version = 6;
    n = node(graph, "One", "x", "x", 0);
    good();
    ck_assert_int_eq(n->op->since_version, 5);
    imports[1].version = 8; /* it ended */
    node(graph, "One", "x", "x", 0);
    bad(TL_UNSUPPORTED,
        "node 'n' (test::One): no operator 'One' in version 8 of domain 'test'; it exists since version 1, 5 "
        "(until 8)");
    n = node(graph, "One", "x", "x", 0);
    n->version = 7; /* of a function that imports another version than the model */
    good();
    ck_assert_int_eq(n->op->since_version, 5);
}
END_TEST

START_TEST(imports_are_checked)
{
    imports[1].version = 10;
    bad(TL_UNSUPPORTED, "imports version 10 of domain 'test', but the newest known here is 9");
    imports[1].version = 0;
    bad(TL_INVALID_MODEL, "version 0 of domain 'test' cannot exist");
    imports[1].version = INT64_MAX;
    bad(TL_UNSUPPORTED, "newest known");
    imports[1].version = 9;
    imports[0].version = 29;
    bad(TL_UNSUPPORTED, "domain 'ai.onnx', but the newest known here is 28");
    imports[0].version = 28;
    good();
    imports[0] = (tl_opset){"somebody.else", 77}; /* unknown, but not used */
    good();
    tl_node *n = node(graph, "One", "x", "x", 0);
    n->domain = "somebody.else";
    bad(TL_UNSUPPORTED, "nothing is known of its domain 'somebody.else' (version 77)");
    n = node(graph, "One", "x", "x", 0);
    n->domain = "never.imported";
    bad(TL_INVALID_MODEL, "is not imported");
    node(graph, "Two", "x", "x", 0);
    bad(TL_UNSUPPORTED, "no operator 'Two' in domain 'test' (version 9), nor in any other version of it");
}
END_TEST

START_TEST(arity)
{
    static const struct {
        const char *op, *inputs, *outputs, *message; /* NULL: fine, and no absent input stays at the end */
    } cases[] = {
        {"One", "x", "x", NULL},
        {"One", "", "x", "input 0 ('X') is absent, but required"},
        {"One", "-", "x", "input 0 ('X') is absent"},
        {"One", "x", "", "output 0 ('X') is absent"},
        {"One", "x-", "x", NULL},
        {"One", "xx", "x", "2 inputs, but the operator has at most 1"},
        {"One", "x", "x-x", "3 outputs, but the operator has at most 1"},
        {"Three", "x", "x", NULL},
        {"Three", "x-x", "x-x", NULL},
        {"Three", "-xx", "x", "input 0 ('A')"},
        {"Three", "xxxx", "x", "at most 3"},
        {"Some", "xx", "xx", NULL},
        {"Some", "x", "xx", "input 1 ('Rest') is absent"},
        {"Some", "xxxxx", "xx", NULL},
        {"Some", "xx-x", "xx", "input 2 ('Rest') is absent"},
        {"Some", "xx--", "xx", NULL},
        {"Some", "xx", "xx-x", NULL},
        {"Some", "xx", "x", "output 1 ('Rest')"},
        {"Any", "", "x", NULL},
        {"Any", "xxxx", "x", NULL},
        {"Any", "--", "x", NULL},
        {"Any", "x-x", "x", "input 1 ('All') is absent"},
        {"Any", "-x", "x", "input 0 ('All') is absent"},
    };
    for (size_t k = 0; k < TL_COUNT(cases); k++) {
        const tl_node *n = node(graph, cases[k].op, cases[k].inputs, cases[k].outputs, 0);
        if (cases[k].message) {
            bad(TL_INVALID_MODEL, cases[k].message);
            continue;
        }
        good();
        ck_assert(n->input_count == 0 || n->inputs[n->input_count - 1]);
    }
}
END_TEST

START_TEST(attribute_rules)
{
    const tl_attribute to = {.name = "to", .kind = TL_ATTR_INT, .count = 1, .u.i = 1},
                       axis = {.name = "axis", .kind = TL_ATTR_INT, .count = 1, .u.i = 2},
                       float_axis = {.name = "axis", .kind = TL_ATTR_FLOAT, .count = 1, .u.f = 2},
                       tensors = {.name = "pads", .kind = 9}, odd = {.name = "pads", .kind = 99},
                       other = {.name = "other", .kind = TL_ATTR_INT};
    const struct {
        size_t count;
        tl_attribute given[3];
        const char *message;
    } cases[] = {
        {1, {to}, NULL},
        {2, {to, axis}, NULL},
        {0, {{0}}, "attribute 'to' is required"},
        {1, {axis}, "attribute 'to' is required"},
        {2, {to, float_axis}, "attribute 'axis' is of kind float, but must be of kind int"},
        {2, {to, tensors}, "attribute 'pads' is of kind tensors, but must be of kind ints"},
        {2, {to, odd}, "attribute 'pads' is of kind unknown"},
        {2, {to, other}, "the operator has no attribute 'other'"},
        {3, {to, axis, axis}, "attribute 'axis' is given twice"},
    };
    for (size_t k = 0; k < TL_COUNT(cases); k++) {
        tl_node *n = node(graph, "Attributes", "x", "x", cases[k].count);
        if (cases[k].count > 0)
            memcpy(n->attributes, cases[k].given, cases[k].count * sizeof n->attributes[0]);
        if (cases[k].message)
            bad(TL_INVALID_MODEL, cases[k].message);
        else
            good();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolve");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, versions);
    tcase_add_test(tests, imports_are_checked);
    tcase_add_test(tests, arity);
    tcase_add_test(tests, attribute_rules);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
