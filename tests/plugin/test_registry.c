/* Registering, and looking up by the standard's version rules. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/run.h"
#include "plugin/registrar.h"

static tl_allocator c_library;
static tl_host host;
static tl_registry registry;
static tl_error error;

static void set_up(void)
{
    host = (tl_host){.size = sizeof host,
                     .abi_version = TL_ABI_VERSION,
                     .register_operator = tl_registrar_operator,
                     .register_rule = tl_registrar_rule,
                     .register_domain = tl_registrar_domain};
    error = (tl_error){TL_OK, ""};
    ck_assert_int_eq(tl_registry_init(&registry, &c_library, &host, &error), TL_OK);
}
static void tear_down(void)
{
    tl_registry_free(&registry);
}

static tl_status run(tl_call *call)
{
    (void)call;
    return TL_OK;
}
static tl_status apply(const tl_host *h, tl_rewrite *rewrite, tl_node *anchor)
{
    (void)h, (void)rewrite, (void)anchor;
    return TL_UNSUPPORTED;
}

static const tl_param x[] = {{"X", TL_T(TL_FLOAT), 'T', 0}};
static const tl_operator plain = {.size = sizeof plain,
                                  .domain = "test",
                                  .name = "Op",
                                  .since_version = 1,
                                  .inputs = x,
                                  .input_count = 1,
                                  .outputs = x,
                                  .output_count = 1,
                                  .run = run};
static const tl_rule rule = {.size = sizeof rule,
                             .name = "test.rule",
                             .phase = TL_PHASE_PLUGIN,
                             .anchor_domain = "",
                             .anchor_name = "Conv",
                             .apply = apply};

/* What the entry of the moment registers. */
static tl_operator operators[8];
static size_t operator_count;
static tl_rule rules[2];
static size_t rule_count;
static const char *domain;
static int32_t newest;

static tl_status entry(const tl_host *h, tl_registrar *registrar)
{
    tl_status status = domain ? h->register_domain(registrar, domain, newest) : TL_OK;
    for (size_t k = 0; k < operator_count && status == TL_OK; k++)
        status = h->register_operator(registrar, &operators[k]);
    for (size_t k = 0; k < rule_count && status == TL_OK; k++)
        status = h->register_rule(registrar, &rules[k]);
    return status;
}

static tl_operator *add(int32_t since, int32_t until)
{
    operators[operator_count] = plain;
    operators[operator_count].since_version = since;
    operators[operator_count].until_version = until;
    return &operators[operator_count++];
}
static void begin(const char *name, int32_t version)
{
    operator_count = rule_count = 0;
    domain = name;
    newest = version;
}

/* The registration fails with this in its message, and leaves nothing. */
static void refused(const char *expected)
{
    size_t before = registry.operator_count, domains = registry.domain_count, rules_before = registry.rule_count;
    error = (tl_error){TL_OK, ""};
    ck_assert_int_eq(tl_registry_enter(&registry, entry, "the plugin", &host, &error), TL_PLUGIN);
    ck_assert_msg(strstr(error.message, expected) != NULL, "'%s' lacks '%s'", error.message, expected);
    ck_assert_msg(strncmp(error.message, "plugin 'the plugin': ", 21) == 0, "%s", error.message);
    ck_assert_uint_eq(registry.operator_count, before);
    ck_assert_uint_eq(registry.domain_count, domains);
    ck_assert_uint_eq(registry.rule_count, rules_before);
}
static void accepted(void)
{
    ck_assert_msg(tl_registry_enter(&registry, entry, "the plugin", &host, &error) == TL_OK, "%s", error.message);
}

START_TEST(version_rules)
{
    begin("test", 12);
    add(7, 0), add(1, 0), add(9, 11); /* in no order */
    accepted();
    static const struct {
        int64_t version;
        int32_t since; /* 0: none */
    } cases[] = {{0, 0},  {1, 1},  {2, 1},  {6, 1},    {7, 7},         {8, 7}, {9, 9},
                 {10, 9}, {11, 0}, {12, 0}, {1000, 0}, {INT64_MAX, 0}, {-1, 0}};
    for (size_t k = 0; k < TL_COUNT(cases); k++) {
        const tl_operator *found = tl_registry_find(&registry, "test", "Op", cases[k].version, &error);
        ck_assert_int_eq(found ? found->since_version : 0, cases[k].since);
    }
}
END_TEST

START_TEST(names_are_compared_whole)
{
    begin("test", 1);
    add(1, 0);
    accepted();
    static const char *const wrong[][2] = {{"test", "O"}, {"test", "Opp"}, {"tes", "Op"},  {"testOp", ""},
                                           {"", "Op"},    {"test", "op"},  {"", "testOp"}, {"test", ""}};
    for (size_t k = 0; k < TL_COUNT(wrong); k++) {
        ck_assert_ptr_null(tl_registry_find(&registry, wrong[k][0], wrong[k][1], 1, &error));
        ck_assert_int_eq(error.status, TL_UNSUPPORTED);
    }
    ck_assert_ptr_nonnull(tl_registry_find(&registry, "test", "Op", 1, NULL));
}
END_TEST

START_TEST(messages_list_what_exists)
{
    begin("test", 12);
    add(3, 0), add(9, 11);
    accepted();
    ck_assert_ptr_null(tl_registry_find(&registry, "test", "Op", 2, &error));
    ck_assert_str_eq(error.message,
                     "no operator 'Op' in version 2 of domain 'test'; it exists since version 3, 9 (until 11)");
    ck_assert_ptr_null(tl_registry_find(&registry, "test", "Nothing", 2, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "nor in any other version"));
    ck_assert_ptr_null(tl_registry_find(&registry, "elsewhere", "Op", 2, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "is a plugin missing?"));
}
END_TEST

START_TEST(newest_versions)
{
    ck_assert_int_eq(tl_registry_newest(&registry, ""), 28);
    ck_assert_int_eq(tl_registry_newest(&registry, "ai.onnx.ml"), 5);
    ck_assert_int_eq(tl_registry_newest(&registry, "test"), 0);
    begin("test", 3);
    accepted();
    ck_assert_int_eq(tl_registry_newest(&registry, "test"), 3);
    begin("test", 2); /* another plugin of the domain, older: the larger counts */
    accepted();
    ck_assert_int_eq(tl_registry_newest(&registry, "test"), 3);
    begin("test", 5);
    accepted();
    ck_assert_int_eq(tl_registry_newest(&registry, "test"), 5);
}
END_TEST

START_TEST(long_name_of_the_default_domain)
{
    begin(NULL, 0);
    add(1, 0)->domain = "ai.onnx";
    accepted();
    ck_assert_ptr_nonnull(tl_registry_find(&registry, "", "Op", 20, &error));
}
END_TEST

START_TEST(domains_are_guarded)
{
    begin(NULL, 0);
    add(1, 0);
    refused("register_domain");
    begin("", 29);
    refused("is the standard's");
    begin("ai.onnx", 29);
    refused("is the standard's");
    begin("tapline.internal", 2);
    refused("is the standard's");
    begin("test", 0);
    refused("at least 1");
    begin("test", 1);
    add(2, 0);
    refused("lies beyond the domain's newest version 1");
    begin(NULL, 0);
    add(1, 0)->domain = "tapline.internal";
    accepted();
}
END_TEST

START_TEST(duplicates_are_refused)
{
    begin("test", 2);
    add(1, 0), add(2, 0), add(1, 0);
    refused("already registered");
    begin("test", 2);
    add(1, 0);
    accepted();
    begin("test", 2);
    add(2, 0), add(1, 0);
    rules[rule_count++] = rule;
    refused("already registered");
    begin(NULL, 0);
    rules[rule_count++] = rule;
    rules[rule_count++] = rule;
    refused("rule 'test.rule' is already registered");
}
END_TEST

START_TEST(bad_operators_are_refused)
{
    static const tl_param nameless[] = {{NULL, TL_T_ALL, 0, 0}}, typeless[] = {{"X", 0, 0, 0}},
                          strange[] = {{"X", (tl_types)1 << 40, 0, 0}}, flags[] = {{"X", TL_T_ALL, 0, 128}},
                          variadic[] = {{"X", TL_T_ALL, 0, TL_PARAM_VARIADIC}, {"Y", TL_T_ALL, 0, 0}};
    static const tl_attribute_spec no_name[] = {{.name = "", .kind = TL_ATTR_INT}},
                                   graph[] = {{.name = "body", .kind = TL_ATTR_GRAPH}},
                                   no_kind[] = {{.name = "a", .kind = (tl_attribute_kind)77}},
                                   twice[] = {{.name = "a", .kind = TL_ATTR_INT}, {.name = "a", .kind = TL_ATTR_INT}};
    begin("test", 9);
    add(1, 0)->size = 0;
    refused("size 0");
    begin("test", 9);
    add(1, 0)->size = offsetof(tl_operator, since_version);
    refused("must be at least");
#define BAD(change, message)         \
    begin("test", 9);                \
    {                                \
        tl_operator *op = add(1, 0); \
        change;                      \
    }                                \
    refused(message)
    BAD(op->size = offsetof(tl_operator, run), "no run function");
    BAD(op->size = offsetof(tl_operator, outputs), "no run function");
    BAD(op->output_count = 0, "no outputs");
    BAD(op->domain = NULL, "without a domain or name");
    BAD(op->name = NULL, "without a domain or name");
    BAD(op->name = "", "without a domain or name");
    BAD(op->since_version = 0, "since_version is 0");
    BAD(op->until_version = 1, "does not lie after");
    BAD(op->flags = 1u << 30, "unknown flags");
    BAD(op->run = NULL, "no run function");
    BAD((op->flags = TL_OP_VIEW, op->input_count = 0, op->reshape = run), "a view without an input");
    BAD(op->input_count = 0, "no reshape");
    BAD(op->inputs = NULL, "without a table");
    BAD(op->outputs = NULL, "without a table");
    BAD(op->inputs = nameless, "has no name");
    BAD(op->outputs = typeless, "no types");
    BAD(op->inputs = strange, "no types");
    BAD(op->inputs = flags, "unknown flags");
    BAD((op->inputs = variadic, op->input_count = 2), "variadic but not the last");
    BAD(op->attribute_count = 1, "without a table");
    BAD((op->attributes = no_name, op->attribute_count = 1), "has no name");
    BAD((op->attributes = graph, op->attribute_count = 1), "which plugins cannot have");
    BAD((op->attributes = no_kind, op->attribute_count = 1), "which plugins cannot have");
    BAD((op->attributes = twice, op->attribute_count = 2), "stands twice");
#undef BAD
    begin("test", 9);
    tl_operator *view = add(1, 0);
    view->flags = TL_OP_VIEW;
    view->run = NULL;
    accepted();
}
END_TEST

START_TEST(bad_rules_are_refused)
{
#define BAD(change, message)               \
    begin("test", 9);                      \
    {                                      \
        tl_rule *r = &rules[rule_count++]; \
        *r = rule;                         \
        change;                            \
    }                                      \
    refused(message)
    BAD(r->size = 0, "size 0");
    BAD(r->name = "", "without a name");
    BAD(r->phase = (tl_phase)9, "phase 9");
    BAD(r->anchor_domain = NULL, "no anchor");
    BAD(r->anchor_name = "", "no anchor");
    BAD(r->apply = NULL, "no apply");
#undef BAD
    begin("test", 9);
    rules[rule_count++] = rule;
    size_t before = registry.rule_count;
    accepted();
    ck_assert_uint_eq(registry.rule_count, before + 1);
}
END_TEST

START_TEST(null_descriptors_are_refused)
{
    tl_error message = {TL_OK, ""};
    tl_registrar registrar = {.registry = &registry, .error = &message};
    ck_assert_int_eq(tl_registrar_operator(&registrar, NULL), TL_PLUGIN);
    ck_assert_int_eq(tl_registrar_rule(&registrar, &rule), TL_PLUGIN); /* the first failure stays */
    registrar.status = TL_OK;
    ck_assert_int_eq(tl_registrar_rule(&registrar, NULL), TL_PLUGIN);
    registrar.status = TL_OK;
    ck_assert_int_eq(tl_registrar_domain(&registrar, NULL, 1), TL_PLUGIN);
}
END_TEST

/* Every allocation refused once: the registry stays as it was, and nothing leaks. */
START_TEST(no_memory)
{
    tl_registry small;
    for (long at = 0;; at++) {
        refuse_after(at, true);
        tl_status status = tl_registry_init(&small, &test_allocator, &host, &error);
        if (status == TL_OK)
            break;
        ck_assert_int_eq(status, TL_NO_MEMORY);
        ck_assert_int_eq(test_memory.live, 0);
    }
    begin("test", 9);
    for (int32_t k = 1; k <= 8; k++)
        add(k, 0);
    rules[rule_count++] = rule;
    size_t before = small.operator_count;
    for (long at = 0;; at++) {
        refuse_after(at, true);
        tl_status status = tl_registry_enter(&small, entry, "the plugin", &host, &error);
        if (status == TL_OK) {
            ck_assert_int_ge(at, 9);
            break;
        }
        ck_assert_int_eq(status, TL_NO_MEMORY);
        ck_assert_uint_eq(small.operator_count, before);
        ck_assert_ptr_null(tl_registry_find(&small, "test", "Op", 9, NULL));
    }
    ck_assert_uint_eq(small.operator_count, before + 8);
    tl_registry_free(&small);
    ck_assert_int_eq(test_memory.live, 0);
}
END_TEST

/* The standard's own table, held to what is asked of plugins. */
START_TEST(built_in_operators_are_sorted_and_sound)
{
    ck_assert_uint_gt(registry.operator_count, 0);
    for (size_t k = 0; k < registry.operator_count; k++) {
        const tl_operator *op = registry.operators[k], *before = k ? registry.operators[k - 1] : NULL;
        ck_assert_int_le(op->since_version, tl_registry_newest(&registry, op->domain));
        if (before && strcmp(before->domain, op->domain) == 0 && strcmp(before->name, op->name) == 0)
            ck_assert_int_lt(before->since_version, op->since_version);
        ck_assert_ptr_eq(tl_registry_find(&registry, op->domain, op->name, op->since_version, &error), op);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("registry");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, version_rules);
    tcase_add_test(tests, names_are_compared_whole);
    tcase_add_test(tests, messages_list_what_exists);
    tcase_add_test(tests, newest_versions);
    tcase_add_test(tests, long_name_of_the_default_domain);
    tcase_add_test(tests, domains_are_guarded);
    tcase_add_test(tests, duplicates_are_refused);
    tcase_add_test(tests, bad_operators_are_refused);
    tcase_add_test(tests, bad_rules_are_refused);
    tcase_add_test(tests, null_descriptors_are_refused);
    tcase_add_test(tests, no_memory);
    tcase_add_test(tests, built_in_operators_are_sorted_and_sound);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
