/* Builds the graphs of a table, runs them, and compares. */
#include "rules.h"
#include "common/memory.h"
#include "tapline/plugin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const graph *graphs; /* those of the program */
static size_t graph_count;
static graph_table table;

static tl_type type_of(const graph *g)
{
    return g->type ? g->type : TL_FLOAT;
}

static tl_type type_of_z(const graph *g)
{
    return g->z ? g->z : table.z ? table.z : type_of(g);
}

static int64_t count_of(const tl_tensor *t)
{
    int64_t count = 1;
    for (int32_t i = 0; i < t->rank; i++)
        count *= t->dims[i];
    return count;
}

static tl_type type_named(char letter)
{
    static const struct {
        char letter;
        tl_type type;
    } types[] = {{'h', TL_FLOAT16}, {'b', TL_INT8}, {'u', TL_UINT8}, {'i', TL_INT32}, {'s', TL_INT16}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].letter == letter)
            return types[i].type;
    return TL_FLOAT;
}

/* `single`: all its numbers; NULL: arbitrary ones. */
static void add_filled(model *m, tl_type type, const char *name, const char *dims, const char *single)
{
    tl_tensor t = {.type = type};
    t.rank = parse_dims(dims, 5, t.dims);
    const int64_t count = count_of(&t);
    void *data = malloc((size_t)count * size_of(type) + 1);
    uint64_t state = 77;
    for (const char *c = name; *c; c++)
        state = state * 31 + (uint64_t)*c;
    const bool integer = (TL_T(type) & TL_T_INTEGERS) != 0;
    for (int64_t i = 0; i < count; i++) {
        const double any = noise(&state) * (integer ? 100 : 1) + (type == TL_UINT8 ? 100 : 0);
        set_number(type, data, i, single ? strtod(single, NULL) : any);
    }
    add_constant(m, name, type, dims, data);
    free(data);
}

static void add_one(model *m, const graph *g, char *word)
{
    char *end = word + strcspn(word, ":=/");
    const char kind = *end;
    *end++ = '\0';
    if (kind == '/') {
        char *dims = strchr(end, '/') + 1, *number = strchr(dims, '/');
        *number++ = '\0';
        add_filled(m, type_named(*end), word, dims, *number == '~' ? NULL : number);
    } else if (*end == '[') {
        end[strlen(end) - 1] = '\0';
        add_numbers(m, word, end + 1);
    } else {
        add_filled(m, type_of(g), word, kind == '=' ? "" : end, kind == '=' ? end : NULL);
    }
}

static bool reads(const graph *g, const char *word)
{
    const size_t length = strcspn(word, ":=/");
    for (const step *s = g->steps; s < g->steps + sizeof g->steps / sizeof *s && s->op; s++)
        for (const char *at = s->inputs; *at; at += strspn(at, " ")) {
            const size_t n = strcspn(at, " ");
            if (n == length && strncmp(at, word, n) == 0)
                return true;
            at += n;
        }
    return false;
}

static void add_constants(model *m, const graph *g, const char *constants)
{
    char text[2048];
    snprintf(text, sizeof text, "%s", constants ? constants : "");
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        if (reads(g, word))
            add_one(m, g, word);
}

/* To be freed. */
static model *model_of_graph(const graph *g)
{
    model *m = calloc(1, sizeof *m);
    m->opset = g->opset ? g->opset : table.opset ? table.opset : 17;
    m->tapline = 1;
    add_input(m, "x", type_of(g), g->x);
    if (g->r)
        add_input(m, "r", type_of(g), g->r);
    add_constants(m, g, table.constants);
    add_constants(m, g, g->constants);
    for (const step *s = g->steps; s < g->steps + sizeof g->steps / sizeof *s && s->op; s++)
        add_node(m, s->op, s->inputs, s->outputs, s->attributes);
    add_output(m, "z", type_of_z(g));
    if (g->extra)
        add_output(m, g->extra, type_of(g));
    return m;
}

static tl_tensor random_input(const char *dims, tl_type type, uint64_t seed)
{
    tl_tensor t = {.type = type};
    t.rank = parse_dims(dims, 5, t.dims);
    t.data = malloc((size_t)count_of(&t) * size_of(type) + 1);
    for (int64_t i = 0; i < count_of(&t); i++)
        set_number(type, t.data, i, 4 * noise(&seed));
    return t;
}

static outcome run_graph(const graph *g, bool rewrites)
{
    model *m = model_of_graph(g);
    tl_tensor inputs[2] = {random_input(g->x, type_of(g), 1), {0}};
    if (g->r)
        inputs[1] = random_input(g->r, type_of(g), 2);
    outcome got = run_model_in(runtime_of(1), m, NULL, rewrites, inputs, g->r ? 2 : 1);
    free(inputs[0].data);
    free(inputs[1].data);
    free(m);
    return got;
}

static double allowed(tl_type type, double size)
{
    if (TL_T(type) & TL_T_INTEGERS)
        return table.steps;
    return (type == TL_DOUBLE ? 1e-12 : type == TL_FLOAT ? 1e-5 : 0) * fmax(1, fabs(size));
}

START_TEST(each_graph)
{
    const graph *g = &graphs[_i];
    outcome off = run_graph(g, false), on = run_graph(g, true);
    ck_assert_msg(on.status == off.status, "%s: %s; without rules %s", g->name, on.error.message, off.error.message);
    ck_assert_msg((on.status == TL_OK) == (g->ops != NULL), "%s: %s", g->name, on.error.message);
    if (g->ops && *g->ops != '*')
        ck_assert_msg(strcmp(on.ops, g->ops) == 0, "%s: runs %s, not %s", g->name, on.ops, g->ops);
    ck_assert_int_eq(on.tensor.rank, off.tensor.rank);
    for (int32_t i = 0; i < on.tensor.rank; i++)
        ck_assert_int_eq(on.tensor.dims[i], off.tensor.dims[i]);
    const tl_type type = type_of_z(g);
    for (int64_t i = 0; on.status == TL_OK && i < count_of(&on.tensor); i++) {
        const double a = get_number(type, off.tensor.data, i), b = get_number(type, on.tensor.data, i);
        ck_assert_msg((isnan(a) && isnan(b)) || fabs(a - b) <= allowed(type, a),
                      "%s: element %lld is %.9g, and %.9g without rules", g->name, (long long)i, b, a);
    }
    free_outcome(&off);
    free_outcome(&on);
}
END_TEST

/* Each rule has its switch. */
START_TEST(switches)
{
    const char *const *names = rules_to_disable(runtime_of(1), NULL);
    for (size_t i = 0; i < graph_count; i++) {
        const graph *g = &graphs[i];
        model *m = model_of_graph(g);
        outcome got = run_model_in(runtime_of(1), m, names, true, NULL, 0);
        ck_assert_msg(got.loaded, "%s: %s", g->name, got.error.message);
        ck_assert_msg(!strstr(got.ops, "Fused") && !strstr(got.ops, "Elementwise"), "%s: %s", g->name, got.ops);
        free_outcome(&got);
        free(m);
    }
}
END_TEST

/* ---- Memory */

/* Whichever one allocation is refused while rules look and change: the graph opens or there is no memory, and none is
 * left. */
START_TEST(refusals)
{
    const tl_runtime_options options = {.size = sizeof options, .allocator = test_allocator};
    tl_runtime *runtime;
    tl_error error;
    ck_assert_int_eq(tl_runtime_create(&options, &runtime, &error), TL_OK);
    ck_assert_int_eq(tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error), TL_OK);
    for (const graph *g = graphs; g < graphs + graph_count; g++) {
        model *m = model_of_graph(g);
        size_t size;
        void *file = finish_model(m, &size);
        const long before = test_memory.live;
        bool refused = g->ops != NULL;
        for (long k = 0; refused; k++) {
            tl_session *session = NULL;
            refuse_after(k, true);
            const tl_status status = tl_session_open_memory(runtime, file, size, NULL, &session, &error);
            refused = test_memory.refused > 0;
            ck_assert_msg(status == TL_OK || (refused && status == TL_NO_MEMORY), "%s, allocation %ld: %s", g->name, k,
                          error.message);
            tl_session_destroy(session);
            ck_assert_msg(test_memory.live == before, "%s, allocation %ld: %ld are left", g->name, k,
                          test_memory.live - before);
        }
        free(file);
        free(m);
    }
    refuse_nothing();
    tl_runtime_destroy(runtime);
    ck_assert_int_eq(test_memory.live, 0);
}
END_TEST

Suite *suite_of_graphs(const char *name, const graph *given, size_t count, const graph_table *own)
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create("graphs");
    graphs = given;
    graph_count = count;
    if (own)
        table = *own;
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, each_graph, 0, (int)count);
    tcase_add_test(cases, refusals);
    if (!own)
        tcase_add_test(cases, switches);
    suite_add_tcase(suite, cases);
    return suite;
}
