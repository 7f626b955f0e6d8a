/* Time and memory to open, plan and run grow with a file, not with its square: models of one kind of thing, and of
 * sixteen times as many. What grows with the square takes 256 times as long. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/memory.h"
#include "common/run.h"
#include "common/share.h"
#include "exec/inspect.h"
#include "load/message.h"

#define FEW   (2000 / TEST_SHARE)
#define MANY  (16 * FEW)
#define MOST  48  /* times as long for MANY as for FEW */
#define NOISE 0.1 /* seconds */

/* ---- Files larger than a `message` */

typedef struct file {
    unsigned char *bytes;
    size_t size, room;
} file;

static void append(file *f, const void *bytes, size_t size)
{
    if (!f->bytes || f->size + size > f->room) {
        f->room = 2 * (f->size + size) + 1;
        f->bytes = realloc(f->bytes, f->room);
        ck_assert_ptr_nonnull(f->bytes);
    }
    memcpy(f->bytes + f->size, bytes, size);
    f->size += size;
}

static void append_field(file *f, unsigned field, const void *bytes, size_t size)
{
    message head;
    head.size = 0;
    put_tag(&head, field, 2);
    put_varint(&head, size);
    append(f, head.bytes, head.size);
    append(f, bytes, size);
}

/* Empties `inner`. */
static void append_file(file *f, unsigned field, file *inner)
{
    append_field(f, field, inner->bytes, inner->size);
    free(inner->bytes);
    *inner = (file){NULL, 0, 0};
}

static void append_int(file *f, unsigned field, int64_t value)
{
    message m;
    m.size = 0;
    put_int(&m, field, value);
    append(f, m.bytes, m.size);
}

/* ---- Nodes: NodeProto's inputs and outputs by number, behind a letter */

enum { INPUT = 1, OUTPUT = 2, OP = 4, ATTRIBUTE = 5 };         /* of a NodeProto */
enum { NODE = 1, INITIALIZER = 5, INPUTS = 11, OUTPUTS = 12 }; /* of a GraphProto */

static void append_text(file *f, unsigned field, const char *text)
{
    append_field(f, field, text, strlen(text));
}

static const char *numbered(char letter, size_t number)
{
    static char names[4][32];
    static int turn;
    char *name = names[turn++ % 4];
    snprintf(name, sizeof names[0], "%c%zu", letter, number);
    return name;
}

static void simple_node(file *graph, const char *op, const char *in, const char *other, const char *out)
{
    file node = {NULL, 0, 0};
    append_text(&node, INPUT, in);
    if (other)
        append_text(&node, INPUT, other);
    append_text(&node, OUTPUT, out);
    append_text(&node, OP, op);
    append_file(graph, NODE, &node);
}

static void declare(file *graph, unsigned field, const char *name, tl_type type, bool vector)
{
    message tensor = {.size = 0}, kind = tensor, info = tensor, shape = tensor, dim = tensor;
    put_int(&dim, 1, 4);
    if (vector)
        put_message(&shape, 1, &dim);
    put_int(&tensor, 1, type);
    put_message(&tensor, 2, &shape);
    put_message(&kind, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &kind);
    append_field(graph, field, info.bytes, info.size);
}

static void name_output(file *graph, const char *name)
{
    file info = {NULL, 0, 0};
    append_text(&info, 1, name);
    append_file(graph, OUTPUTS, &info);
}

static void append_attribute(file *node, const char *name, int kind, unsigned field, file *value)
{
    file attribute = {NULL, 0, 0};
    append_text(&attribute, 1, name);
    append_int(&attribute, 20, kind);
    append_file(&attribute, field, value);
    append_file(node, ATTRIBUTE, &attribute);
}

/* ---- The models: main graphs with `count` of something */

static void chain(file *graph, size_t count, const char *op, const char *other)
{
    declare(graph, INPUTS, "x0", TL_FLOAT, true);
    for (size_t i = 0; i < count; i++)
        simple_node(graph, op, numbered('x', i), other, numbered('x', i + 1));
    name_output(graph, numbered('x', count));
}

static void additions(file *graph, size_t count)
{
    declare(graph, INPUTS, "c", TL_FLOAT, true);
    chain(graph, count, "Add", "c");
}

static void softmaxes(file *graph, size_t count)
{
    chain(graph, count, "Softmax", NULL);
}

/* Each moves through all that is behind it, unless they meet. */
static void transposes(file *graph, size_t count)
{
    message x = value_info("x0", 2, (const int64_t[]){2, 3});
    append_field(graph, INPUTS, x.bytes, x.size);
    for (size_t i = 0; i < count; i++)
        simple_node(graph, i % 2 ? "Sin" : "Transpose", numbered('x', i), NULL, numbered('x', i + 1));
    name_output(graph, numbered('x', count));
}

/* All are needed at once. */
static void fan(file *graph, size_t count)
{
    file concat = {NULL, 0, 0}, axis = {NULL, 0, 0};
    declare(graph, INPUTS, "x", TL_FLOAT, true);
    for (size_t i = 0; i < count; i++) {
        simple_node(graph, "Softmax", "x", NULL, numbered('y', i));
        append_text(&concat, INPUT, numbered('y', i));
    }
    append_text(&concat, OUTPUT, "z");
    append_text(&concat, OP, "Concat");
    append_text(&axis, 1, "axis");
    append_int(&axis, 3, 0);
    append_int(&axis, 20, 2);
    append_file(&concat, ATTRIBUTE, &axis);
    append_file(graph, NODE, &concat);
    name_output(graph, "z");
}

/* Of one weight, with other pads each: nodes that might share a state, and do not. */
static void convolutions(file *graph, size_t count)
{
    message x = value_info("x", 3, (const int64_t[]){1, 1, 1}), w = {.size = 0};
    append_field(graph, INPUTS, x.bytes, x.size);
    put_tensor(&w, "w", TL_FLOAT, (const int64_t[]){1, 1, 1}, 3);
    put_blob(&w, 9, &(float){2}, sizeof(float));
    append_field(graph, INITIALIZER, w.bytes, w.size);
    for (size_t i = 0; i < count; i++) {
        file node = {NULL, 0, 0}, pads = {NULL, 0, 0};
        append_text(&node, INPUT, "x");
        append_text(&node, INPUT, "w");
        append_text(&node, OUTPUT, numbered('y', i));
        append_text(&node, OP, "Conv");
        append_text(&pads, 1, "pads");
        append_int(&pads, 8, (int64_t)(i % 256));
        append_int(&pads, 8, (int64_t)(i / 256));
        append_int(&pads, 20, 7);
        append_file(&node, ATTRIBUTE, &pads);
        append_file(graph, NODE, &node);
        name_output(graph, numbered('y', i));
    }
}

/* In a graph of its own: sin(x). */
static file inner_graph(void)
{
    file graph = {NULL, 0, 0};
    simple_node(&graph, "Sin", "x", NULL, "z");
    name_output(&graph, "z");
    return graph;
}

/* Attributes of one node, which no operator has. */
static void graphs(file *graph, size_t count)
{
    file node = {NULL, 0, 0};
    declare(graph, INPUTS, "x", TL_FLOAT, true);
    append_text(&node, INPUT, "x");
    append_text(&node, OUTPUT, "y");
    append_text(&node, OP, "Relu");
    for (size_t i = 0; i < count; i++) {
        file inner = inner_graph();
        append_attribute(&node, numbered('a', i), TL_ATTR_GRAPH, 6, &inner);
    }
    append_file(graph, NODE, &node);
    name_output(graph, "y");
}

static void captures(file *graph, size_t count)
{
    file node = {NULL, 0, 0}, inner = {NULL, 0, 0}, sum = {NULL, 0, 0};
    declare(graph, INPUTS, "c", TL_BOOL, false);
    for (size_t i = 0; i < count; i++) {
        declare(graph, INPUTS, numbered('x', i), TL_FLOAT, true);
        append_text(&sum, INPUT, numbered('x', i));
    }
    declare(graph, INPUTS, "x", TL_FLOAT, true);
    append_text(&sum, OUTPUT, "z");
    append_text(&sum, OP, "Sum");
    append_file(&inner, NODE, &sum);
    name_output(&inner, "z");
    append_text(&node, INPUT, "c");
    append_text(&node, OUTPUT, "y");
    append_text(&node, OP, "If");
    append_attribute(&node, "then_branch", TL_ATTR_GRAPH, 6, &inner);
    inner = inner_graph();
    append_attribute(&node, "else_branch", TL_ATTR_GRAPH, 6, &inner);
    append_file(graph, NODE, &node);
    name_output(graph, "y");
}

/* States of a loop, which all give out what the first one is behind as many Identities. */
static void states(file *graph, size_t count)
{
    file loop = {NULL, 0, 0}, body = {NULL, 0, 0};
    declare(graph, INPUTS, "m", TL_INT64, false);
    append_text(&loop, INPUT, "m");
    append_text(&loop, INPUT, "");
    declare(&body, INPUTS, "i", TL_INT64, false);
    declare(&body, INPUTS, "c", TL_BOOL, false);
    simple_node(&body, "Identity", "c", NULL, "d");
    declare(&body, OUTPUTS, "d", TL_BOOL, false);
    for (size_t k = 0; k < count; k++) {
        declare(graph, INPUTS, numbered('x', k), TL_FLOAT, true);
        append_text(&loop, INPUT, numbered('x', k));
        append_text(&loop, OUTPUT, numbered('y', k));
        declare(&body, INPUTS, numbered('s', k), TL_FLOAT, true);
        simple_node(&body, "Identity", k ? numbered('t', k) : "s0", NULL, numbered('t', k + 1));
    }
    for (size_t k = 0; k < count; k++)
        name_output(&body, numbered('t', count));
    append_text(&loop, OP, "Loop");
    append_attribute(&loop, "body", TL_ATTR_GRAPH, 6, &body);
    append_file(graph, NODE, &loop);
    name_output(graph, "y1");
}

/* At the end, or where an input says, which is 0: in front. */
static void insertions_at(file *graph, size_t count, const char *position)
{
    file empty = {NULL, 0, 0};
    declare(graph, INPUTS, "x", TL_FLOAT, true);
    append_text(&empty, OUTPUT, "q0");
    append_text(&empty, OP, "SequenceEmpty");
    append_file(graph, NODE, &empty);
    if (position)
        declare(graph, INPUTS, position, TL_INT64, false);
    for (size_t i = 0; i < count; i++) {
        file insert = {NULL, 0, 0};
        append_text(&insert, INPUT, numbered('q', i));
        append_text(&insert, INPUT, "x");
        if (position)
            append_text(&insert, INPUT, position);
        append_text(&insert, OUTPUT, numbered('q', i + 1));
        append_text(&insert, OP, "SequenceInsert");
        append_file(graph, NODE, &insert);
    }
    simple_node(graph, "SequenceLength", numbered('q', count), NULL, "y");
    name_output(graph, "y");
}
static void insertions(file *graph, size_t count)
{
    insertions_at(graph, count, NULL);
}
static void insertions_in_front(file *graph, size_t count)
{
    insertions_at(graph, count, "p");
}

/* Constants that are compared with as many others. */
static void stop_words(file *graph, size_t count)
{
    file node = {NULL, 0, 0}, words = {NULL, 0, 0}, attribute = {NULL, 0, 0};
    append_int(&words, 1, (int64_t)count);
    append_int(&words, 2, TL_STRING);
    append_text(&words, 8, "x");
    append_text(&attribute, 1, "stopwords");
    append_int(&attribute, 20, TL_ATTR_STRINGS);
    for (size_t i = 0; i < count; i++) {
        append_text(&words, 6, numbered('X', i));
        append_text(&attribute, 9, numbered('y', i));
    }
    append_file(graph, INITIALIZER, &words);
    append_text(&node, INPUT, "x");
    append_text(&node, OUTPUT, "y");
    append_text(&node, OP, "StringNormalizer");
    append_file(&node, ATTRIBUTE, &attribute);
    append_file(graph, NODE, &node);
    name_output(graph, "y");
}

/* ---- */

static const struct kind {
    const char *name;
    void (*fill)(file *graph, size_t count);
    tl_status opens;
} kinds[] = {
    {"additions", additions, TL_OK},       {"softmaxes", softmaxes, TL_OK},
    {"transposes", transposes, TL_OK},     {"fan", fan, TL_OK},
    {"convolutions", convolutions, TL_OK}, {"graphs", graphs, TL_INVALID_MODEL},
    {"captures", captures, TL_OK},         {"states", states, TL_OK},
    {"insertions", insertions, TL_OK},     {"insertions in front", insertions_in_front, TL_OK},
    {"stop words", stop_words, TL_OK},
};

static tl_error error;

static void run(tl_session *session)
{
    static const float zeros[6];
    tl_context *context;
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    tl_value_info info;
    for (size_t k = 0; tl_session_input(session, k, &info); k++) {
        info.tensor.data = (void *)(uintptr_t)zeros;
        ck_assert_msg(tl_context_set_input(context, k, &info.tensor, &error) == TL_OK, "%s", error.message);
    }
    ck_assert_msg(tl_context_run(context, &error) == TL_OK, "%s", error.message);
    tl_context_destroy(context);
}

static file file_of(file *graph, int64_t version)
{
    file model = {NULL, 0, 0};
    message opset = {.size = 0};
    put_int(&opset, 2, version);
    append_int(&model, 1, 8);
    append_field(&model, 8, opset.bytes, opset.size);
    append_file(&model, 7, graph);
    return model;
}

static double seconds(const struct kind *kind, size_t count)
{
    file graph = {NULL, 0, 0};
    kind->fill(&graph, count);
    file model = file_of(&graph, 17);
    const clock_t begin = clock();
    tl_runtime *runtime;
    tl_session *session;
    ck_assert_int_eq(tl_runtime_create(NULL, &runtime, &error), TL_OK);
    tl_status status = tl_session_open_memory(runtime, model.bytes, model.size, NULL, &session, &error);
    ck_assert_msg(status == kind->opens, "%s: %s", kind->name, error.message);
    if (status == TL_OK)
        run(session);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    free(model.bytes);
    return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

START_TEST(time_grows_with_the_file)
{
    const struct kind *kind = &kinds[_i];
    double few = 1e9;
    for (int turn = 0; turn < 3; turn++) {
        const double time = seconds(kind, FEW);
        few = time < few ? time : few;
    }
    const double many = seconds(kind, MANY);
    ck_assert_msg(many < MOST * few + NOISE, "%s: %g s for %d, %g s for %d", kind->name, few, FEW, many, MANY);
}
END_TEST

/* Opens a model that is right, and frees all. */
static void opens(file *graph, int64_t opset, const tl_runtime_options *options)
{
    file model = file_of(graph, opset);
    tl_runtime *runtime;
    tl_session *session;
    ck_assert_int_eq(tl_runtime_create(options, &runtime, &error), TL_OK);
    tl_status status = tl_session_open_memory(runtime, model.bytes, model.size, NULL, &session, &error);
    ck_assert_msg(status == TL_OK, "%s", error.message);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    free(model.bytes);
}

/* ---- Strings that are folded count as other constants do, and leave nothing where they are too long */

START_TEST(strings_are_not_doubled_without_end)
{
    file graph = {NULL, 0, 0}, word = {NULL, 0, 0};
    append_int(&word, 2, TL_STRING);
    append_text(&word, 6, "word");
    append_text(&word, 8, "x0");
    append_file(&graph, INITIALIZER, &word);
    for (size_t i = 0; i < 30; i++)
        simple_node(&graph, "StringConcat", numbered('x', i), numbered('x', i), numbered('x', i + 1));
    name_output(&graph, "x30");
    const tl_runtime_options options = {.size = sizeof options, .allocator = test_allocator};
    opens(&graph, 20, &options);
    ck_assert_uint_lt(test_memory.bytes, (size_t)16 << 20);
}
END_TEST

/* ---- What a file asks for in few bytes is left to the run: this would not end before the tests' time is over */

START_TEST(long_work_is_not_folded)
{
    file graph = {NULL, 0, 0}, shape = {NULL, 0, 0}, pool = {NULL, 0, 0}, kernel = {NULL, 0, 0};
    const int64_t dims[] = {1, 1, 1 << 18};
    append_int(&shape, 1, TL_COUNT(dims));
    append_int(&shape, 2, TL_INT64);
    append_text(&shape, 8, "x0");
    append_field(&shape, 9, dims, sizeof dims);
    append_file(&graph, INITIALIZER, &shape);
    simple_node(&graph, "ConstantOfShape", "x0", NULL, "x1");
    append_text(&pool, INPUT, "x1");
    append_text(&pool, OUTPUT, "x2");
    append_text(&pool, OP, "LpPool");
    append_text(&kernel, 1, "kernel_shape");
    append_int(&kernel, 8, 1 << 17);
    append_int(&kernel, 20, TL_ATTR_INTS);
    append_file(&pool, ATTRIBUTE, &kernel);
    append_file(&graph, NODE, &pool);
    name_output(&graph, "x2");
    opens(&graph, 17, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("growth");
    TCase *cases = tcase_create("growth");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, strings_are_not_doubled_without_end);
    tcase_add_test(cases, long_work_is_not_folded);
    tcase_add_loop_test(cases, time_grows_with_the_file, 0, (int)(sizeof kinds / sizeof kinds[0]));
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
