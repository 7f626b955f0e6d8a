/* Builds the graphs of a table, runs them, and compares. */
#include "rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const graph *graphs; /* those of the program */
static size_t graph_count;

static tl_type type_of(const graph *g)
{
    return g->type ? g->type : TL_FLOAT;
}

static void add_random(model *m, tl_type type, const char *name, const char *dims, double single)
{
    int64_t shape[TL_MAX_RANK], count = 1;
    const int32_t rank = parse_dims(dims, 5, shape);
    for (int32_t i = 0; i < rank; i++)
        count *= shape[i];
    void *data = malloc((size_t)count * size_of(type));
    uint64_t state = 77;
    for (const char *c = name; *c; c++)
        state = state * 31 + (uint64_t)*c;
    for (int64_t i = 0; i < count; i++)
        set_number(type, data, i, isnan(single) ? noise(&state) : single);
    add_constant(m, name, type, dims, data);
    free(data);
}

static void add_constants(model *m, const graph *g)
{
    char text[256];
    snprintf(text, sizeof text, "%s", g->constants ? g->constants : "");
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        char *end = word + strcspn(word, ":=");
        const bool scalar = *end == '=';
        *end = '\0';
        add_random(m, type_of(g), word, scalar ? "" : end + 1, scalar ? strtod(end + 1, NULL) : (double)NAN);
    }
}

static model model_of_graph(const graph *g)
{
    model m = {.opset = g->opset ? g->opset : 17, .tapline = 1};
    add_input(&m, "x", type_of(g), g->x);
    if (g->r)
        add_input(&m, "r", type_of(g), g->r);
    add_constants(&m, g);
    for (const step *s = g->steps; s < g->steps + sizeof g->steps / sizeof *s && s->op; s++)
        if (strcmp(s->op, "-") == 0)
            add_numbers(&m, s->outputs, s->inputs);
        else
            add_node(&m, s->op, s->inputs, s->outputs, s->attributes);
    add_output(&m, "z", type_of(g));
    if (g->extra)
        add_output(&m, g->extra, type_of(g));
    return m;
}

static tl_tensor random_input(const char *dims, tl_type type, uint64_t seed)
{
    tl_tensor t = {.type = type};
    int64_t count = 1;
    t.rank = parse_dims(dims, 5, t.dims);
    for (int32_t i = 0; i < t.rank; i++)
        count *= t.dims[i];
    t.data = malloc((size_t)count * size_of(type));
    for (int64_t i = 0; i < count; i++)
        set_number(type, t.data, i, 4 * noise(&seed));
    return t;
}

static outcome run_graph(const graph *g, bool rewrites)
{
    const model m = model_of_graph(g);
    tl_tensor inputs[2] = {random_input(g->x, type_of(g), 1), {0}};
    if (g->r)
        inputs[1] = random_input(g->r, type_of(g), 2);
    outcome got = run_model_in(runtime_of(1), &m, NULL, rewrites, inputs, g->r ? 2 : 1);
    free(inputs[0].data);
    free(inputs[1].data);
    return got;
}

START_TEST(each_graph)
{
    const graph *g = &graphs[_i];
    outcome off = run_graph(g, false), on = run_graph(g, true);
    ck_assert_msg(off.status == TL_OK, "%s: %s", g->name, off.error.message);
    ck_assert_msg(on.status == TL_OK, "%s: %s", g->name, on.error.message);
    if (g->ops)
        ck_assert_msg(strcmp(on.ops, g->ops) == 0, "%s: runs %s, not %s", g->name, on.ops, g->ops);
    ck_assert_int_eq(on.tensor.rank, off.tensor.rank);
    int64_t count = 1;
    for (int32_t i = 0; i < on.tensor.rank; i++) {
        ck_assert_int_eq(on.tensor.dims[i], off.tensor.dims[i]);
        count *= on.tensor.dims[i];
    }
    const tl_type type = type_of(g);
    const double allowed = type == TL_DOUBLE ? 1e-12 : type == TL_FLOAT ? 1e-5 : 0;
    for (int64_t i = 0; i < count; i++) {
        const double a = get_number(type, off.tensor.data, i), b = get_number(type, on.tensor.data, i);
        ck_assert_msg((isnan(a) && isnan(b)) || fabs(a - b) <= allowed * fmax(1, fabs(a)),
                      "%s: element %lld is %.9g, and %.9g without rules", g->name, (long long)i, b, a);
    }
    free_outcome(&off);
    free_outcome(&on);
}
END_TEST

/* Each rule has its switch. */
START_TEST(switches)
{
    static const char *const names[] = {EPILOGUE_RULES, NULL};
    for (size_t i = 0; i < graph_count; i++) {
        const graph *g = &graphs[i];
        const model m = model_of_graph(g);
        outcome got = run_model_in(runtime_of(1), &m, names, true, NULL, 0);
        ck_assert_msg(got.loaded, "%s: %s", g->name, got.error.message);
        ck_assert_msg(!strstr(got.ops, "Fused") && !strstr(got.ops, "Elementwise"), "%s: %s", g->name, got.ops);
        free_outcome(&got);
    }
}
END_TEST

Suite *suite_of_graphs(const char *name, const graph *given, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create("graphs");
    graphs = given;
    graph_count = count;
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, each_graph, 0, (int)count);
    tcase_add_test(cases, switches);
    suite_add_tcase(suite, cases);
    return suite;
}
