/* Plugins that break the ABI's promises: shapes, types and memory that are not what they said, rules that leave
 * nonsense behind. Each ends in an error that names the node, or in a rule that comes to nothing. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define LARGE ((int64_t)1 << 62)

static tl_status copy(tl_call *call)
{
    const tl_tensor *in = call->inputs[0], *out = call->outputs[0];
    const int64_t bytes = tl_tensor_bytes(in);
    if (bytes > 0 && bytes == tl_tensor_bytes(out))
        memcpy(out->data, in->data, (size_t)bytes);
    return TL_OK;
}

static bool at_load(const tl_call *call)
{
    return !call->plan;
}

/* ---- reshape */

static tl_status shape(const tl_call *call, int32_t rank, int64_t dim)
{
    call->outputs[0]->rank = rank;
    call->outputs[0]->dims[0] = dim;
    return TL_OK;
}

static tl_status rank_17(tl_call *call)
{
    return shape(call, TL_MAX_RANK + 1, 1);
}

static tl_status rank_below_unknown(tl_call *call)
{
    return shape(call, -7, 1);
}

static tl_status rank_17_in_the_plan(tl_call *call)
{
    return shape(call, at_load(call) ? 1 : TL_MAX_RANK + 1, 4);
}

static tl_status too_large(tl_call *call)
{
    return shape(call, 1, at_load(call) ? TL_DIM_UNKNOWN : LARGE);
}

static tl_status no_type(tl_call *call)
{
    call->outputs[0]->type = (tl_type)99;
    return shape(call, 1, 4);
}

static tl_status another_type_in_the_plan(tl_call *call)
{
    call->outputs[0]->type = at_load(call) ? TL_FLOAT : TL_UINT8;
    return shape(call, 1, 4);
}

static tl_status as_input(tl_call *call)
{
    return shape(call, 1, call->inputs[0]->rank == 1 ? call->inputs[0]->dims[0] : TL_DIM_UNKNOWN);
}

static tl_status view_of_more(tl_call *call)
{
    call->view = true;
    return shape(call, 1, at_load(call) ? TL_DIM_UNKNOWN : 100000);
}

static tl_status view_of_what_lies_behind(tl_call *call)
{
    call->view = true;
    if (call->parts)
        call->parts[0] = (int64_t)sizeof(float);
    return as_input(call);
}

static tl_status view_of_what_lies_before(tl_call *call)
{
    call->view = true;
    if (call->parts)
        call->parts[0] = -(int64_t)sizeof(float);
    return as_input(call);
}

static tl_status view_of_another_type(tl_call *call)
{
    call->view = true;
    call->outputs[0]->type = TL_DOUBLE;
    return as_input(call);
}

static tl_status endless_workspace(tl_call *call)
{
    call->workspace_size = SIZE_MAX;
    return shape(call, 1, 4);
}

static tl_status known_in_the_run(tl_call *call)
{
    return shape(call, 1, TL_DIM_UNKNOWN);
}

/* ---- run */

static tl_status give(tl_call *call, size_t k, int32_t rank, int64_t dim)
{
    const int64_t dims[TL_MAX_RANK + 1] = {dim, 1};
    call->host->output(call, k, rank, dims);
    return TL_OK; /* whatever that said */
}

static tl_status forgets_the_output(tl_call *call)
{
    (void)call;
    return TL_OK;
}

static tl_status gives_rank_17(tl_call *call)
{
    return give(call, 0, TL_MAX_RANK + 1, 1);
}

static tl_status gives_less_than_none(tl_call *call)
{
    return give(call, 0, 1, -5);
}

static tl_status gives_too_much(tl_call *call)
{
    return give(call, 0, 1, LARGE);
}

static tl_status gives_what_nobody_has(tl_call *call)
{
    return give(call, 77, 1, 1);
}

static tl_status gives_again(tl_call *call)
{
    give(call, 0, 1, 100000);
    return copy(call);
}

static tl_status says_nonsense(tl_call *call)
{
    (void)call;
    return (tl_status)1234;
}

static tl_status fails_with_success(tl_call *call)
{
    return tl_fail(call, TL_OK, "two\nlines");
}

static tl_status endless_string(tl_call *call)
{
    return call->host->string(call, SIZE_MAX) ? TL_OK : TL_NO_MEMORY;
}

static void count(void *user, int64_t begin, int64_t end, int32_t thread)
{
    *(int64_t *)user += thread == 0 ? end - begin : LARGE;
}

static void loop_inside(void *user, int64_t begin, int64_t end, int32_t thread)
{
    tl_call *call = user;
    int64_t visited = 0;
    (void)thread;
    call->host->parallel_for(call, count, &visited, 10, 3);
    for (int64_t i = begin; i < end; i++)
        ((float *)call->outputs[0]->data)[i] = (float)visited;
}

/* Odd loops, which are none or one: not a lie, but as odd. */
static tl_status odd_loops(tl_call *call)
{
    int64_t visited = 0;
    call->host->parallel_for(call, count, &visited, -3, 1);
    call->host->parallel_for(call, count, &visited, 0, 0);
    call->host->parallel_for(call, count, &visited, 5, 0);
    call->host->parallel_for(call, count, &visited, 5, -1);
    call->host->parallel_for(call, count, &visited, 5, INT64_MAX);
    if (visited != 15)
        return tl_fail(call, TL_INTERNAL, "visited %lld", (long long)visited);
    call->host->parallel_for(call, loop_inside, call, 4, 1);
    return ((float *)call->outputs[0]->data)[3] == 10 ? TL_OK : tl_fail(call, TL_INTERNAL, "a loop in a loop");
}

/* ---- create, and what hosts give to callbacks */

static tl_status packs_everything(tl_call *call)
{
    call->packed = UINT64_MAX;
    return TL_OK;
}

static tl_status asks_oddly(tl_call *call)
{
    const tl_host *host = call->host;
    size_t size = 1;
    bool odd = host->alloc(host, SIZE_MAX / 2, 64) || host->alloc(host, 8, 0) || host->alloc(host, 8, 3) ||
               host->alloc(host, 8, 8192);
    odd |= host->attribute_given(call->node, "nobody") || host->attribute_int(call->node, "nobody") ||
           host->attribute_string(call->node, "nobody", &size) || size != 0 ||
           host->attribute_ints(call->node, "nobody", NULL) || host->attribute_tensor(call->node, "nobody");
    odd |= host->node_input(call->node, 99) || host->node_output(call->node, 99);
    host->free(host, NULL);
    return odd ? tl_fail(call, TL_INTERNAL, "something came of nothing") : TL_OK;
}

/* ---- The operators */

static const tl_param one[] = {{"X", TL_T(TL_FLOAT), 'T', 0}};
static const tl_param maybe[] = {{"X", TL_T(TL_FLOAT), 'T', TL_PARAM_OPTIONAL}};
static const tl_param any[] = {{"Y", TL_T_ALL, 0, 0}};

typedef struct lie {
    tl_status status; /* TL_OK: harmless */
    const char *words;
    tl_operator op;
} lie;

#define OP(NAME, OUTPUTS, ...)                                                                          \
    {                                                                                                   \
        .size = sizeof(tl_operator), .domain = "test", .name = NAME, .since_version = 1, .inputs = one, \
        .input_count = 1, .outputs = OUTPUTS, .output_count = 1, __VA_ARGS__                            \
    }
#define RESHAPED(NAME) OP(#NAME, one, .plan_size = 1, .reshape = NAME, .run = copy)
#define TYPED(NAME)    OP(#NAME, any, .plan_size = 1, .reshape = NAME, .run = copy)
#define RUN(NAME)      OP(#NAME, one, .reshape = as_input, .run = NAME)
#define GIVEN(NAME)    OP(#NAME, one, .reshape = known_in_the_run, .run = NAME)

/* For outputs of any type. */
static const tl_operator add_any = {.size = sizeof add_any,
                                    .domain = "test",
                                    .name = "AddAny",
                                    .since_version = 1,
                                    .inputs = any,
                                    .input_count = 1,
                                    .outputs = one,
                                    .output_count = 1,
                                    .run = copy};

static const lie lies[] = {
    {TL_UNSUPPORTED, "rank 17", RESHAPED(rank_17)},
    {TL_UNSUPPORTED, "rank -7", RESHAPED(rank_below_unknown)},
    {TL_UNSUPPORTED, "rank 17", RESHAPED(rank_17_in_the_plan)},
    {TL_NO_MEMORY, "", RESHAPED(too_large)},
    {TL_PLUGIN, "type", TYPED(no_type)},
    {TL_PLUGIN, "type", TYPED(another_type_in_the_plan)},
    {TL_PLUGIN, "view", RESHAPED(view_of_more)},
    {TL_PLUGIN, "view", RESHAPED(view_of_what_lies_behind)},
    {TL_PLUGIN, "view", RESHAPED(view_of_what_lies_before)},
    {TL_PLUGIN, "view", TYPED(view_of_another_type)},
    {TL_PLUGIN, "view", OP("static_view", one, .plan_size = 1, .flags = TL_OP_VIEW, .reshape = view_of_more)},
    {TL_NO_MEMORY, "", RESHAPED(endless_workspace)},
    {TL_NO_MEMORY, "", OP("endless_plan", one, .plan_size = SIZE_MAX - 64, .run = copy)},
    {TL_PLUGIN, "output 0", GIVEN(forgets_the_output)},
    {TL_PLUGIN, "output 0", GIVEN(gives_rank_17)},
    {TL_PLUGIN, "output 0", GIVEN(gives_less_than_none)},
    {TL_PLUGIN, "output 0", GIVEN(gives_too_much)},
    {TL_PLUGIN, "output 0", GIVEN(gives_what_nobody_has)},
    {TL_OK, "", RUN(gives_again)},
    {(tl_status)1234, "unknown", RUN(says_nonsense)},
    {TL_PLUGIN, "two", RUN(fails_with_success)},
    {TL_NO_MEMORY, "", RUN(endless_string)},
    {TL_OK, "", RUN(odd_loops)},
    {TL_OK, "", OP("packs_everything", one, .create = packs_everything, .run = copy)},
    {TL_OK, "", OP("asks_oddly", one, .create = asks_oddly, .run = copy)},
    {TL_PLUGIN,
     "view",
     {.size = sizeof(tl_operator),
      .domain = "test",
      .name = "view_of_nothing",
      .since_version = 1,
      .flags = TL_OP_VIEW,
      .inputs = maybe,
      .input_count = 1,
      .outputs = one,
      .output_count = 1,
      .reshape = known_in_the_run}},
};

static tl_status register_lies(const tl_host *host, tl_registrar *registrar)
{
    tl_status status = host->register_operator(registrar, &add_any);
    for (size_t i = 0; i < TL_COUNT(lies) && status == TL_OK; i++)
        status = host->register_operator(registrar, &lies[i].op);
    return status;
}

/* Between two that would not survive what they are told, twice, and bound to a buffer as well. */
START_TEST(lies_are_errors)
{
    const lie *l = &lies[_i];
    ck_assert_msg(tl_plugin_register(runtime, register_lies, &test_error) == TL_OK, "%s", test_error.message);
    input("x", 1, any_length);
    output("y");
    output("z");
    add("AddOne", "x", "a");
    add(l->op.name, l->op.inputs == maybe ? "-" : "a", "b");
    add(l->op.outputs == any ? "AddAny" : "AddOne", "b", "c");
    add("Half", "c", "y");
    add("Positive", l->op.outputs == any ? "c" : "b", "z");
    end_model();
    tl_status status =
        tl_session_open_memory(runtime, model_message.bytes, model_message.size, NULL, &session, &test_error);
    if (status == TL_OK)
        ck_assert_int_eq(tl_context_create(session, &context, &test_error), TL_OK);
    float x[] = {1, 2, 3, 4};
    _Alignas(16) float y[4];
    for (int turn = 0; turn < 3 && context; turn++) {
        set_input(0, x, 1, 4, 0);
        if (turn == 2)
            ck_assert_int_eq(tl_context_bind_output(context, 0, y, sizeof y, &test_error), TL_OK);
        status = tl_context_run(context, &test_error);
        ck_assert_msg(status == l->status, "%s: %d, %s", l->op.name, (int)status, test_error.message);
    }
    ck_assert_msg(status == l->status, "%s: %d, %s", l->op.name, (int)status, test_error.message);
    if (status != TL_OK)
        ck_assert_msg((status == TL_NO_MEMORY || strstr(test_error.message, l->op.name)) &&
                          strstr(test_error.message, l->words) && !strchr(test_error.message, '\n'),
                      "%s", test_error.message);
}
END_TEST

/* ---- Rules, on Half of AddOne, with AddOne behind it */

static tl_node *make(const tl_host *host, tl_rewrite *rewrite, const char *op, tl_value *in, tl_value *out)
{
    return host->new_node(rewrite, "test", op, "made", &in, 1, &out, 1);
}

#define APPLY(NAME) static tl_status NAME(const tl_host *host, tl_rewrite *rewrite, tl_node *anchor)
#define IN          host->node_input(anchor, 0)
#define OUT         host->node_output(anchor, 0)

APPLY(knows_no_operator)
{
    make(host, rewrite, "Nobody", IN, OUT);
    return host->commit(rewrite);
}

APPLY(knows_no_domain)
{
    tl_value *in = IN, *out = OUT;
    host->new_node(rewrite, "nobody", "AddOne", NULL, &in, 1, &out, 1);
    host->commit(rewrite);
    return TL_OK;
}

APPLY(goes_round)
{
    tl_value *last = host->node_output(host->value_user(OUT, 0), 0);
    make(host, rewrite, "AddOne", last, OUT);
    host->commit(rewrite);
    return TL_OK;
}

APPLY(takes_an_input)
{
    const tl_node *before = host->value_producer(IN);
    make(host, rewrite, "AddOne", IN, host->node_input(before, 0));
    host->commit(rewrite);
    return TL_OK;
}

APPLY(takes_twice)
{
    make(host, rewrite, "AddOne", IN, OUT);
    make(host, rewrite, "Half", IN, OUT);
    host->refuse(rewrite, TL_UNSUPPORTED, "in two\nlines");
    return host->commit(rewrite);
}

APPLY(makes_no_constant)
{
    const tl_tensor wrong[] = {{NULL, TL_FLOAT, 1, {-1}},
                               {NULL, TL_FLOAT, 17, {1}},
                               {NULL, (tl_type)99, 1, {1}},
                               {NULL, TL_FLOAT, 2, {LARGE, LARGE}}};
    bool made = host->new_constant(rewrite, "c", NULL) != NULL;
    for (size_t i = 0; i < TL_COUNT(wrong); i++)
        made |= host->new_constant(rewrite, NULL, &wrong[i]) != NULL;
    make(host, rewrite, made ? "Half" : "AddOne", IN, OUT);
    host->commit(rewrite);
    return TL_OK;
}

APPLY(never_ends)
{
    make(host, rewrite, "Half", IN, OUT);
    return host->commit(rewrite);
}

APPLY(commits_twice)
{
    make(host, rewrite, "Half", IN, OUT);
    host->commit(rewrite);
    return host->commit(rewrite);
}

APPLY(commits_never)
{
    make(host, rewrite, "AddOne", IN, OUT);
    return TL_OK;
}

APPLY(gives_too_many)
{
    tl_value *in[] = {IN, IN, NULL}, *out = OUT;
    host->new_node(rewrite, "test", "AddOne", "made", in, 3, &out, 1);
    host->commit(rewrite);
    return TL_OK;
}

APPLY(gives_nothing)
{
    make(host, rewrite, "AddOne", NULL, OUT);
    host->commit(rewrite);
    return TL_OK;
}

APPLY(has_no_such_attribute)
{
    tl_node *made = make(host, rewrite, "AddOne", IN, OUT);
    host->set_int(rewrite, made, "nobody", 1);
    host->set_ints(rewrite, NULL, "nobody", NULL, 0);
    host->commit(rewrite);
    return TL_OK;
}

APPLY(changes_another_node)
{
    host->set_int(rewrite, anchor, "nobody", 1);
    make(host, rewrite, "AddOne", IN, OUT);
    host->commit(rewrite);
    return TL_OK;
}

APPLY(makes_integers)
{
    tl_value *in = IN, *out = OUT;
    tl_node *made = host->new_node(rewrite, "", "Cast", "made", &in, 1, &out, 1);
    host->set_int(rewrite, made, "to", TL_INT64);
    host->commit(rewrite);
    return TL_OK;
}

APPLY(looks_beyond)
{
    if (host->node_input(anchor, 99) || host->node_output(anchor, 99) || host->value_user(OUT, 99) ||
        host->value_data(IN) || host->value_is_constant(IN) || host->domain_version(rewrite, "nobody"))
        make(host, rewrite, "AddOne", IN, OUT);
    host->commit(rewrite);
    return TL_OK;
}

static const tl_rule rules[] = {
#define RULE(NAME)                                                                                         \
    {                                                                                                      \
        .size = sizeof(tl_rule), .name = "test." #NAME, .phase = TL_PHASE_PLUGIN, .anchor_domain = "test", \
        .anchor_name = "Half", .apply = NAME                                                               \
    }
    RULE(knows_no_operator), RULE(knows_no_domain),       RULE(goes_round),
    RULE(takes_an_input),    RULE(takes_twice),           RULE(makes_no_constant),
    RULE(never_ends),        RULE(commits_never),         RULE(gives_too_many),
    RULE(gives_nothing),     RULE(has_no_such_attribute), RULE(changes_another_node),
    RULE(makes_integers),    RULE(looks_beyond),
};
static const tl_rule second_commit = RULE(commits_twice);
static const tl_rule *rule;

static tl_status register_rule(const tl_host *host, tl_registrar *registrar)
{
    return host->register_rule(registrar, rule);
}

/* Whatever the rule does, the results are the same. */
START_TEST(wrong_rules_come_to_nothing)
{
    rule = &rules[_i];
    ck_assert_msg(tl_plugin_register(runtime, register_rule, &test_error) == TL_OK, "%s", test_error.message);
    chain();
    open_with(0);
    float x[] = {1, 3, 5};
    set_input(0, x, 1, 3, 0);
    run();
    expect(result(0), 3, (float[]){2, 3, 4});
}
END_TEST

/* By then it is too late for nothing. */
START_TEST(a_second_commit_is_an_error)
{
    rule = &second_commit;
    ck_assert_int_eq(tl_plugin_register(runtime, register_rule, &test_error), TL_OK);
    input("x", 1, any_length);
    output("y");
    add("AddOne", "x", "a");
    add("Half", "a", "y");
    end_model();
    ck_assert_int_eq(
        tl_session_open_memory(runtime, model_message.bytes, model_message.size, NULL, &session, &test_error),
        TL_INVALID_ARGUMENT);
    ck_assert_ptr_null(session);
}
END_TEST

/* Integers, of one dimension or of unknown rank. */
static message integers(const char *name, const int64_t *length)
{
    message dim = {.size = 0}, dims = {.size = 0}, tensor = {.size = 0}, type = {.size = 0}, info = {.size = 0};
    put_int(&tensor, 1, TL_INT64);
    if (length != NULL) {
        put_int(&dim, 1, *length);
        put_message(&dims, 1, &dim);
        put_message(&tensor, 2, &dims);
    }
    put_message(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &type);
    return info;
}

/* A file says that a shape has more dimensions than its tensor. */
START_TEST(shapes_of_shapes_may_be_wrong)
{
    const int64_t lengths[] = {5, 1000, INT64_C(1) << 40}, length = lengths[_i], last = length - 1;
    message shape = node("Shape", "", "a", "s"), gather = node("Gather", "", "s i", "y");
    message list = integers("s", &length), y = integers("y", NULL), index = {.size = 0};
    input("x", -1, NULL);
    put_message(&graph_message, 12, &y);
    add("AddOne", "x", "a");
    put_message(&graph_message, 1, &shape);
    put_message(&graph_message, 1, &gather);
    put_message(&graph_message, 13, &list);
    put_tensor(&index, "i", TL_INT64, &length, 0);
    put_blob(&index, 9, &last, sizeof last);
    put_message(&graph_message, 5, &index);
    open_with(0);
    float x[6] = {0};
    set_input(0, x, 2, 2, 3);
    ck_assert_int_ne(tl_context_run(context, &test_error), TL_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lies");
    TCase *cases = tcase_create("lies");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, lies_are_errors, 0, TL_COUNT(lies));
    tcase_add_loop_test(cases, wrong_rules_come_to_nothing, 0, TL_COUNT(rules));
    tcase_add_test(cases, a_second_commit_is_an_error);
    tcase_add_loop_test(cases, shapes_of_shapes_may_be_wrong, 0, 3);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
