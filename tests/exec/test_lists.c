/* Sequences, optionals and maps: in graphs that say wrong things of them each is refused, or the run fails; lists that
 * share their memory stay what they were; and maps become the rows that the standard says. What Loop and Scan gather of
 * no rounds, and rounds of nothing. */
#include <check.h>
#undef fail /* Check's old name for ck_abort */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/run.h"
#include "exec/inspect.h"
#include "load/message.h"
#include "tapline/tapline.h"

/* ---- Messages: types, attributes, graphs */

enum { ATTR_INT = 2, ATTR_GRAPH = 5, ATTR_INTS = 7, ATTR_STRINGS = 8, ATTR_TYPE = 13 };
enum { TYPE_TENSOR = 1, TYPE_SEQUENCE = 4, TYPE_MAP = 5, TYPE_OPTIONAL = 9 };

static message tensor(tl_type type)
{
    message m = {.size = 0}, inner = {.size = 0};
    put_int(&inner, 1, type);
    put_message(&m, TYPE_TENSOR, &inner);
    return m;
}

/* A sequence or an optional. */
static message list_of(unsigned field, message element)
{
    message m = {.size = 0}, inner = {.size = 0};
    put_message(&inner, 1, &element);
    put_message(&m, field, &inner);
    return m;
}

static message map_of(tl_type key, tl_type value)
{
    message m = {.size = 0}, inner = {.size = 0}, values = tensor(value);
    put_int(&inner, 1, key);
    put_message(&inner, 2, &values);
    put_message(&m, TYPE_MAP, &inner);
    return m;
}

static message attribute(const char *name, int kind)
{
    message m = {.size = 0};
    put_text(&m, 1, name);
    put_int(&m, 20, kind);
    return m;
}

static message with_ints(message to, const char *name, size_t count)
{
    message a = attribute(name, ATTR_INTS);
    for (size_t k = 1; k <= count; k++)
        put_int(&a, 8, (int64_t)k);
    put_message(&to, 5, &a);
    return to;
}

static message with_message(message to, const char *name, int kind, unsigned field, message value)
{
    message a = attribute(name, kind);
    put_message(&a, field, &value);
    put_message(&to, 5, &a);
    return to;
}

static message with_graph(message to, const char *name, message graph)
{
    return with_message(to, name, ATTR_GRAPH, 6, graph);
}

static void put_value(message *graph, unsigned field, const char *name, message type)
{
    message info = {.size = 0};
    put_text(&info, 1, name);
    put_message(&info, 2, &type);
    put_message(graph, field, &info);
}

enum { GRAPH_NODE = 1, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12, GRAPH_VALUE = 13 };

/* The inputs of all models: x float [2, 3], flag bool, number int64, both 0; and the output y, of whatever kind. */
static message graph;

static void add(message n)
{
    put_message(&graph, GRAPH_NODE, &n);
}

static message ml(const char *op, const char *inputs, const char *outputs)
{
    return node(op, "ai.onnx.ml", inputs, outputs);
}

static message zip_map(const char *x, const char *maps)
{
    return with_ints(ml("ZipMap", x, maps), "classlabels_int64s", 3);
}

static message vectorizer(const char *map)
{
    return with_ints(ml("DictVectorizer", map, "y"), "int64_vocabulary", 2);
}

static message plain(const char *op, const char *inputs, const char *outputs)
{
    return node(op, NULL, inputs, outputs);
}

/* A graph that gives out one value. */
static message branch(message first, message second, const char *output, message type)
{
    message g = {.size = 0};
    put_message(&g, GRAPH_NODE, &first);
    put_message(&g, GRAPH_NODE, &second);
    put_value(&g, GRAPH_OUTPUT, output, type);
    return g;
}

static message optional_map(void)
{
    return list_of(TYPE_OPTIONAL, map_of(TL_INT64, TL_FLOAT));
}

static message sequence(void)
{
    return list_of(TYPE_SEQUENCE, tensor(TL_FLOAT));
}

static message maps(void)
{
    return list_of(TYPE_SEQUENCE, map_of(TL_INT64, TL_FLOAT));
}

static message floats(void)
{
    return tensor(TL_FLOAT);
}

/* ---- Graphs */

static void map_of_tensor(void)
{
    add(vectorizer("x"));
}
static void map_of_sequence(void)
{
    add(zip_map("x", "maps"));
    add(vectorizer("maps"));
}
static void zip_of_sequence(void)
{
    add(plain("SequenceConstruct", "x", "s"));
    add(zip_map("s", "y"));
}
static void zip_without_labels(void)
{
    add(ml("ZipMap", "x", "y"));
}
static void zip_with_both_labels(void)
{
    message a = attribute("classlabels_strings", ATTR_STRINGS), n = zip_map("x", "y");
    put_text(&a, 9, "one");
    put_message(&n, 5, &a);
    add(n);
}
static void zip_of_other_width(void)
{
    add(with_ints(ml("ZipMap", "x", "y"), "classlabels_int64s", 4));
}
static void zip_of_rank_3(void)
{
    put_value(&graph, GRAPH_VALUE, "deep", tensor(TL_FLOAT));
    add(plain("Unsqueeze", "x axis", "deep"));
    add(zip_map("deep", "y"));
}
static void zip_of_integers(void)
{
    add(zip_map("number", "y"));
}
/* The else branch, which runs, holds a sequence; the other says that it is a map. */
static void other_list_in_optional(void)
{
    const message empty = with_message(plain("Optional", "", "p"), "type", ATTR_TYPE, 14, map_of(TL_INT64, TL_FLOAT));
    const message a = branch(empty, plain("Identity", "p", "q"), "q", optional_map());
    const message b = branch(plain("SequenceConstruct", "x", "t"), plain("Optional", "t", "u"), "u",
                             list_of(TYPE_OPTIONAL, sequence()));
    add(with_graph(with_graph(plain("If", "flag", "o"), "then_branch", a), "else_branch", b));
    add(plain("OptionalGetElement", "o", "m"));
    add(vectorizer("m"));
}
/* A body that never runs says that the sequence is a map. */
static void other_list_in_state(void)
{
    message body = {.size = 0};
    const message keep = plain("Identity", "go", "on"), get = plain("OptionalGetElement", "state", "map");
    put_message(&body, GRAPH_NODE, &keep);
    put_message(&body, GRAPH_NODE, &get);
    put_value(&body, GRAPH_INPUT, "round", tensor(TL_INT64));
    put_value(&body, GRAPH_INPUT, "go", tensor(TL_BOOL));
    put_value(&body, GRAPH_INPUT, "state", optional_map());
    put_value(&body, GRAPH_OUTPUT, "on", tensor(TL_BOOL));
    put_value(&body, GRAPH_OUTPUT, "map", map_of(TL_INT64, TL_FLOAT));
    add(plain("SequenceConstruct", "x", "s"));
    add(plain("Optional", "s", "o"));
    add(with_graph(plain("Loop", "number - o", "m"), "body", body));
    add(vectorizer("m"));
}
/* The file says of a value that it is a map. */
static void other_type_of_value(void)
{
    put_value(&graph, GRAPH_VALUE, "p", optional_map());
    add(plain("SequenceConstruct", "x", "s"));
    add(plain("Optional", "s", "o"));
    add(plain("Identity", "o", "p"));
    add(plain("OptionalGetElement", "p", "m"));
    add(vectorizer("m"));
}
static void empty_optional(void)
{
    add(with_message(plain("Optional", "", "o"), "type", ATTR_TYPE, 14, map_of(TL_INT64, TL_FLOAT)));
    add(plain("OptionalGetElement", "o", "m"));
    add(vectorizer("m"));
}
static void words_for_numbers(void)
{
    message n = ml("DictVectorizer", "m", "y"), a = attribute("string_vocabulary", ATTR_STRINGS);
    put_text(&a, 9, "one");
    put_message(&n, 5, &a);
    add(with_message(plain("Optional", "", "o"), "type", ATTR_TYPE, 14, map_of(TL_INT64, TL_FLOAT)));
    add(plain("OptionalGetElement", "o", "m"));
    add(n);
}
static void elements_that_are_maps(void)
{
    add(zip_map("x", "maps"));
    add(plain("SequenceAt", "maps number", "y"));
}
static void tensor_among_maps(void)
{
    add(zip_map("x", "maps"));
    add(plain("SequenceInsert", "maps x", "y"));
}
static void map_among_tensors(void)
{
    add(zip_map("x", "maps"));
    add(plain("SequenceConstruct", "x maps", "y"));
}
static void other_type_in_sequence(void)
{
    add(plain("SequenceConstruct", "x", "s"));
    add(plain("SequenceInsert", "s number", "y"));
}
static void position_that_is_a_list(void)
{
    add(plain("SequenceConstruct", "x", "s"));
    add(plain("SequenceAt", "s s", "y"));
}
static void shape_that_is_a_list(void)
{
    put_value(&graph, GRAPH_VALUE, "v", tensor(TL_FLOAT));
    add(plain("SequenceConstruct", "x", "s"));
    add(plain("Reshape", "x s", "v"));
    add(plain("Relu", "v", "y"));
}
static void view_of_a_list(void)
{
    add(plain("SequenceConstruct", "x", "s"));
    add(plain("Flatten", "s", "y"));
}
static void condition_that_is_a_list(void)
{
    const message give = branch(plain("Relu", "x", "a"), plain("Identity", "a", "b"), "b", tensor(TL_FLOAT));
    add(plain("SequenceConstruct", "x", "s"));
    add(with_graph(with_graph(plain("If", "s", "y"), "then_branch", give), "else_branch", give));
}
static void scanned_list(void)
{
    message body = {.size = 0}, count = attribute("num_scan_inputs", ATTR_INT), scan = plain("Scan", "s", "y");
    const message relu = plain("Relu", "e", "r");
    put_message(&body, GRAPH_NODE, &relu);
    put_value(&body, GRAPH_INPUT, "e", tensor(TL_FLOAT));
    put_value(&body, GRAPH_OUTPUT, "r", tensor(TL_FLOAT));
    put_int(&count, 3, 1);
    put_message(&scan, 5, &count);
    add(plain("SequenceConstruct", "x", "s"));
    add(with_graph(scan, "body", body));
}
static void state_that_is_absent(void)
{
    message body = {.size = 0};
    const message keep = plain("Identity", "go", "on"), relu = plain("Relu", "a", "b");
    put_message(&body, GRAPH_NODE, &keep);
    put_message(&body, GRAPH_NODE, &relu);
    put_value(&body, GRAPH_INPUT, "round", tensor(TL_INT64));
    put_value(&body, GRAPH_INPUT, "go", tensor(TL_BOOL));
    put_value(&body, GRAPH_INPUT, "a", tensor(TL_FLOAT));
    put_value(&body, GRAPH_OUTPUT, "on", tensor(TL_BOOL));
    put_value(&body, GRAPH_OUTPUT, "b", tensor(TL_FLOAT));
    add(with_graph(plain("Loop", "number - -", "y"), "body", body));
}
/* No round tells that the result is not as large as that. */
static void result_of_no_rounds(void)
{
    message body = {.size = 0}, dim = {.size = 0}, shape = {.size = 0}, huge = {.size = 0}, type = {.size = 0};
    const message keep = plain("Identity", "go", "on"), relu = plain("Relu", "x", "r");
    put_int(&dim, 1, INT64_C(1) << 40);
    put_message(&shape, 1, &dim);
    put_message(&shape, 1, &dim);
    put_int(&huge, 1, TL_FLOAT);
    put_message(&huge, 2, &shape);
    put_message(&type, TYPE_TENSOR, &huge);
    put_message(&body, GRAPH_NODE, &keep);
    put_message(&body, GRAPH_NODE, &relu);
    put_value(&body, GRAPH_INPUT, "round", tensor(TL_INT64));
    put_value(&body, GRAPH_INPUT, "go", tensor(TL_BOOL));
    put_value(&body, GRAPH_OUTPUT, "on", tensor(TL_BOOL));
    put_value(&body, GRAPH_OUTPUT, "r", type);
    add(with_graph(plain("Loop", "number -", "y"), "body", body));
}

/* What is shaped during the run would take so little memory as the list's type says. */
static void tensor_called_a_list(void)
{
    add(plain("NonZero", "x", "y"));
}
static void length_called_a_list(void)
{
    add(plain("SequenceConstruct", "x", "s"));
    add(plain("SequenceLength", "s", "y"));
}

static message shared_byte(void)
{
    return tensor(TL_INT4);
}

static message shared_bytes(void)
{
    return list_of(TYPE_SEQUENCE, shared_byte());
}

/* Five elements, of which two share a byte. */
static void add_shared(void)
{
    static message x;
    const int64_t five = 5;
    x.size = 0;
    put_tensor(&x, "shared", TL_INT4, &five, 1);
    put_blob(&x, 9, "123", 3);
    put_message(&graph, 5, &x);
}
static void split_of_shared_bytes(void)
{
    add_shared();
    add(plain("SplitToSequence", "shared", "y"));
}
static void join_of_shared_bytes(void)
{
    message join = plain("ConcatFromSequence", "s", "y"), axis = attribute("axis", ATTR_INT);
    add_shared();
    put_message(&join, 5, &axis);
    add(plain("SequenceConstruct", "shared shared", "s"));
    add(join);
}

static const struct {
    void (*build)(void);
    message (*type)(void); /* of y */
    tl_status status;
    const char *says;
} cases[] = {
    {map_of_tensor, floats, TL_INVALID_MODEL, "is no map"},
    {map_of_sequence, floats, TL_INVALID_MODEL, "is no map"},
    {zip_of_sequence, maps, TL_INVALID_MODEL, "input 's' is no tensor"},
    {zip_without_labels, maps, TL_INVALID_MODEL, "must be given"},
    {zip_with_both_labels, maps, TL_INVALID_MODEL, "must be given"},
    {zip_of_other_width, maps, TL_INVALID_INPUT, "3 columns, but there are 4 labels"},
    {zip_of_rank_3, maps, TL_INVALID_INPUT, "rank 3"},
    {zip_of_integers, maps, TL_UNSUPPORTED, "int64"},
    {other_list_in_optional, floats, TL_INVALID_INPUT, "something else"},
    {other_list_in_state, floats, TL_INVALID_INPUT, "something else"},
    {other_type_of_value, floats, TL_INVALID_MODEL, "is no map"},
    {empty_optional, floats, TL_INVALID_INPUT, "is empty"},
    {words_for_numbers, floats, TL_INVALID_MODEL, "vocabulary is of string"},
    {elements_that_are_maps, floats, TL_INVALID_MODEL, "no sequence of tensors"},
    {tensor_among_maps, maps, TL_INVALID_MODEL, "no sequence of tensors"},
    {map_among_tensors, sequence, TL_INVALID_MODEL, "input 'maps' is no tensor"},
    {other_type_in_sequence, sequence, TL_INVALID_MODEL, "is int64, but the sequence has float"},
    {position_that_is_a_list, floats, TL_INVALID_MODEL, "input 's' is no tensor"},
    {shape_that_is_a_list, floats, TL_INVALID_MODEL, "input 's' is no tensor"},
    {view_of_a_list, sequence, TL_INVALID_MODEL, "input 's' is no tensor"},
    {condition_that_is_a_list, floats, TL_INVALID_MODEL, "input 's' is no tensor"},
    {scanned_list, floats, TL_INVALID_MODEL, "input 's' is no tensor"},
    {state_that_is_absent, floats, TL_INVALID_MODEL, "the body takes 3 values, but gets 2"},
    {split_of_shared_bytes, shared_bytes, TL_UNSUPPORTED, "int4"},
    {join_of_shared_bytes, shared_byte, TL_UNSUPPORTED, "int4"},
    {tensor_called_a_list, sequence, TL_INVALID_MODEL, "is a tensor"},
    {tensor_called_a_list, maps, TL_INVALID_MODEL, "is a tensor"},
    {length_called_a_list, maps, TL_INVALID_MODEL, "is a tensor"},
    {result_of_no_rounds, floats, TL_NO_MEMORY, "no memory"},
};

/* The graph, with the operators of ai.onnx.ml. */
static message model_of_graph(void)
{
    static message m, opset;
    opset.size = 0;
    m = model_of(&graph);
    put_text(&opset, 1, "ai.onnx.ml");
    put_int(&opset, 2, 1);
    put_message(&m, 8, &opset);
    return m;
}

static message model(message type)
{
    static message axis;
    const int64_t one = 1, zero = 0;
    axis.size = 0;
    put_tensor(&axis, "axis", TL_INT64, &one, 1);
    put_blob(&axis, 9, &zero, sizeof zero);
    put_message(&graph, 5, &axis);
    put_value(&graph, GRAPH_INPUT, "x", floats());
    put_value(&graph, GRAPH_INPUT, "flag", tensor(TL_BOOL));
    put_value(&graph, GRAPH_INPUT, "number", tensor(TL_INT64));
    put_value(&graph, GRAPH_OUTPUT, "y", type);
    return model_of_graph();
}

static tl_status run(tl_session *session, tl_context **context, tl_error *error)
{
    float numbers[6] = {0};
    bool flag = false;
    int64_t number = 0;
    const tl_tensor inputs[] = {
        {numbers, TL_FLOAT, 2, {2, 3}}, {.data = &flag, .type = TL_BOOL}, {.data = &number, .type = TL_INT64}};
    tl_status status = tl_context_create(session, context, error);
    for (size_t k = 0; k < sizeof inputs / sizeof *inputs && status == TL_OK; k++)
        status = tl_context_set_input(*context, k, &inputs[k], error);
    return status == TL_OK ? tl_context_run(*context, error) : status;
}

START_TEST(refused)
{
    static message m;
    tl_runtime *runtime;
    tl_session *session = NULL;
    tl_context *context = NULL;
    tl_error error = {TL_OK, ""};
    graph.size = 0;
    cases[_i].build();
    m = model(cases[_i].type());
    ck_assert_int_eq(tl_runtime_create(NULL, &runtime, &error), TL_OK);
    tl_status status = tl_session_open_memory(runtime, m.bytes, m.size, NULL, &session, &error);
    if (status == TL_OK)
        status = run(session, &context, &error);
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    ck_assert_msg(status == cases[_i].status, "case %d: %s, '%s'", _i, tl_status_name(status), error.message);
    ck_assert_msg(strstr(error.message, cases[_i].says), "case %d: '%s' lacks '%s'", _i, error.message, cases[_i].says);
}
END_TEST

/* ---- Elements that share bytes */

enum { ROWS_OF_X = 3, PIECES = 5, COLUMNS = 3, ELEMENTS = ROWS_OF_X * PIECES * COLUMNS };

static message with_entry(message to, const char *name, int64_t value)
{
    message a = attribute(name, ATTR_INTS);
    put_int(&a, 8, value);
    put_message(&to, 5, &a);
    return to;
}

static unsigned bits_at(const uint8_t *data, int bits, int at)
{
    return data[at * bits / 8] >> at * bits % 8 & ((1u << bits) - 1);
}

/* Pieces of odd numbers of elements, along the middle axis of x, which go to another axis of y; from the last one on,
 * if the test is odd. */
START_TEST(pieces_of_bytes)
{
    static const struct {
        tl_type type;
        int bits;
    } types[] = {{TL_INT4, 4}, {TL_UINT2, 2}, {TL_UINT8, 8}};
    const int bits = types[_i / 6].bits, axis = _i / 2 % 3, reversed = _i % 2;
    const int64_t dims[] = {ROWS_OF_X, PIECES, COLUMNS};
    static message m, x;
    uint8_t bytes[ELEMENTS];
    message body = {.size = 0}, count = attribute("num_scan_inputs", ATTR_INT), scan = plain("Scan", "x", "y");
    const message keep = plain("Identity", "piece", "same");
    tl_runtime *runtime;
    tl_session *session;
    tl_context *context;
    tl_tensor y;
    tl_error error;
    for (int i = 0; i < ELEMENTS; i++)
        bytes[i] = (uint8_t)(37 * i + i / 7);
    put_message(&body, GRAPH_NODE, &keep);
    put_value(&body, GRAPH_INPUT, "piece", tensor(types[_i / 6].type));
    put_value(&body, GRAPH_OUTPUT, "same", tensor(types[_i / 6].type));
    put_int(&count, 3, 1);
    put_message(&scan, 5, &count);
    scan = with_entry(with_entry(scan, "scan_input_axes", 1), "scan_output_axes", axis);
    scan = with_entry(with_graph(scan, "body", body), "scan_input_directions", reversed);
    graph.size = x.size = 0;
    add(scan);
    put_tensor(&x, "x", types[_i / 6].type, dims, 3);
    put_blob(&x, 9, bytes, (size_t)(ELEMENTS * bits + 7) / 8);
    put_message(&graph, 5, &x);
    put_value(&graph, GRAPH_OUTPUT, "y", tensor(types[_i / 6].type));
    m = model_of(&graph);
    ck_assert_int_eq(tl_runtime_create(NULL, &runtime, &error), TL_OK);
    ck_assert_msg(tl_session_open_memory(runtime, m.bytes, m.size, NULL, &session, &error) == TL_OK, "%s",
                  error.message);
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    ck_assert_msg(tl_context_run(context, &error) == TL_OK, "%s", error.message);
    ck_assert_int_eq(tl_context_output(context, 0, &y, &error), TL_OK);
    ck_assert(y.rank == 3 && y.dims[axis] == PIECES && tl_tensor_elements(&y) == ELEMENTS);
    for (int i = 0; i < ELEMENTS; i++) {
        const int piece = reversed ? PIECES - 1 - i / COLUMNS % PIECES : i / COLUMNS % PIECES;
        const int row = i / COLUMNS / PIECES, column = i % COLUMNS;
        const int to = axis == 0   ? (piece * ROWS_OF_X + row) * COLUMNS + column
                       : axis == 1 ? (row * PIECES + piece) * COLUMNS + column
                                   : (row * COLUMNS + column) * PIECES + piece;
        ck_assert_uint_eq(bits_at(y.data, bits, to), bits_at(bytes, bits, i));
    }
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
}
END_TEST

static void cancel(void *user, const tl_node *node, bool begins)
{
    (void)node, (void)begins;
    tl_context_cancel(user);
}

/* A cancelled run splits nothing: it would find that the pieces do not fit. */
START_TEST(pieces_of_nothing)
{
    static message m;
    const int64_t lengths[] = {3, 3};
    const tl_tensor whole = {NULL, TL_FLOAT, 2, {5, 0}}, split = {(void *)(uintptr_t)lengths, TL_INT64, 1, {2}};
    tl_runtime *runtime;
    tl_session *session;
    tl_context *context;
    tl_error error;
    graph.size = 0;
    add(plain("SplitToSequence", "x split", "pieces"));
    add(plain("SequenceLength", "pieces", "y"));
    put_value(&graph, GRAPH_INPUT, "x", floats());
    put_value(&graph, GRAPH_INPUT, "split", tensor(TL_INT64));
    put_value(&graph, GRAPH_OUTPUT, "y", tensor(TL_INT64));
    m = model_of(&graph);
    ck_assert_int_eq(tl_runtime_create(NULL, &runtime, &error), TL_OK);
    ck_assert_msg(tl_session_open_memory(runtime, m.bytes, m.size, NULL, &session, &error) == TL_OK, "%s",
                  error.message);
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    ck_assert_int_eq(tl_context_set_input(context, 0, &whole, &error), TL_OK);
    ck_assert_int_eq(tl_context_set_input(context, 1, &split, &error), TL_OK);
    ck_assert_int_eq(tl_context_run(context, &error), TL_INVALID_INPUT);
    tl_context_set_trace(context, cancel, context);
    ck_assert_int_eq(tl_context_run(context, &error), TL_CANCELLED);
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
}
END_TEST

/* A Scan over so many pieces without an element, by a body that has nothing to do, is cancelled between two of them. */
START_TEST(rounds_of_nothing)
{
    static message m;
    const tl_tensor pieces = {NULL, TL_FLOAT, 2, {1 << 28, 0}};
    message body = {.size = 0}, count = attribute("num_scan_inputs", ATTR_INT), scan = plain("Scan", "x", "y");
    const message keep = plain("Identity", "piece", "same");
    tl_runtime *runtime;
    tl_session *session;
    tl_context *context;
    tl_error error;
    put_message(&body, GRAPH_NODE, &keep);
    put_value(&body, GRAPH_INPUT, "piece", floats());
    put_value(&body, GRAPH_OUTPUT, "same", floats());
    put_int(&count, 3, 1);
    put_message(&scan, 5, &count);
    graph.size = 0;
    add(with_graph(scan, "body", body));
    put_value(&graph, GRAPH_INPUT, "x", floats());
    put_value(&graph, GRAPH_OUTPUT, "y", floats());
    m = model_of(&graph);
    ck_assert_int_eq(tl_runtime_create(NULL, &runtime, &error), TL_OK);
    ck_assert_msg(tl_session_open_memory(runtime, m.bytes, m.size, NULL, &session, &error) == TL_OK, "%s",
                  error.message);
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    ck_assert_int_eq(tl_context_set_input(context, 0, &pieces, &error), TL_OK);
    tl_context_set_trace(context, cancel, context);
    ck_assert_int_eq(tl_context_run(context, &error), TL_CANCELLED);
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
}
END_TEST

/* Lists, each made of an earlier one by inserting a number at an end or erasing what is there. */
static const struct change {
    int from, number; /* 0: the empty list; 0: erase */
    bool front;
    const char *list;
} changes[] = {
    {0, 1, false, "1"},      {1, 2, false, "12"},      {1, 3, false, "13"},    {2, 4, true, "412"},
    {2, 5, true, "512"},     {4, 0, true, "12"},       {4, 0, false, "41"},    {7, 3, false, "413"},
    {6, 3, false, "123"},    {6, 5, true, "512"},      {10, 6, true, "6512"},  {11, 7, true, "76512"},
    {11, 8, true, "86512"},  {12, 9, false, "765129"}, {14, 0, true, "65129"}, {15, 1, false, "651291"},
    {15, 2, true, "265129"}, {0, 2, true, "2"},        {18, 0, true, ""},      {19, 4, true, "4"},
    {19, 5, false, "5"},
};
enum { CHANGES = sizeof changes / sizeof *changes };

static void add_change(int i, message *all)
{
    const struct change *change = &changes[i];
    char inputs[32], list[8], number[8], joined[8];
    const char *position = change->front ? "number" : "";
    snprintf(list, sizeof list, "q%d", i + 1);
    snprintf(number, sizeof number, "n%d", i + 1);
    snprintf(joined, sizeof joined, "j%d", i + 1);
    if (change->number) {
        message constant = plain("Constant", "", number), value = attribute("value_int", ATTR_INT);
        put_int(&value, 3, change->number);
        put_message(&constant, 5, &value);
        add(constant);
        snprintf(inputs, sizeof inputs, "q%d %s %s", change->from, number, position);
        add(plain("SequenceInsert", inputs, list));
    } else {
        snprintf(inputs, sizeof inputs, "q%d %s", change->from, position);
        add(plain("SequenceErase", inputs, list));
    }
    if (change->list[0] == '\0')
        return;
    message join = plain("ConcatFromSequence", list, joined), axis = attribute("axis", ATTR_INT),
            new_axis = attribute("new_axis", ATTR_INT);
    put_int(&new_axis, 3, 1);
    put_message(&join, 5, &axis);
    put_message(&join, 5, &new_axis);
    add(join);
    put_text(all, 1, joined);
}

START_TEST(ends)
{
    static message m;
    tl_runtime *runtime;
    tl_session *session = NULL;
    tl_context *context;
    tl_tensor out;
    tl_error error = {TL_OK, ""};
    message all = {.size = 0}, type = attribute("dtype", ATTR_INT), axis = attribute("axis", ATTR_INT),
            empty = plain("SequenceEmpty", "", "q0");
    graph.size = 0;
    put_int(&type, 3, TL_INT64);
    put_message(&empty, 5, &type);
    add(empty);
    for (int i = 0; i < CHANGES; i++)
        add_change(i, &all);
    put_text(&all, 2, "y");
    put_text(&all, 4, "Concat");
    put_message(&all, 5, &axis);
    add(all);
    m = model(tensor(TL_INT64));
    ck_assert_int_eq(tl_runtime_create(NULL, &runtime, &error), TL_OK);
    tl_status status = tl_session_open_memory(runtime, m.bytes, m.size, NULL, &session, &error);
    ck_assert_msg(status == TL_OK, "%s", error.message);
    ck_assert_msg(run(session, &context, &error) == TL_OK, "%s", error.message);
    ck_assert_int_eq(tl_context_output(context, 0, &out, &error), TL_OK);
    const int64_t *y = out.data;
    for (int i = 0; i < CHANGES; i++)
        for (const char *digit = changes[i].list; *digit; digit++)
            ck_assert_msg(*y++ == *digit - '0', "list %d: %d, not %c", i + 1, (int)y[-1], *digit);
    ck_assert_int_eq(y - (const int64_t *)out.data, out.dims[0]);
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
}
END_TEST

/* Maps from a word to its position, from 1 on, and what a vocabulary makes of them. Words are strings, or the int64
 * they write. */
static const struct row {
    const char *keys, *vocabulary;
    float y[7];
} rows[] = {
    {"1 2 3", "1 2 3", {1, 2, 3}},
    {"7 -3 12 5", "12 7 99 -3 12 -30", {3, 1, 0, 2, 3, 0}}, /* absent keys, repeated words; 5 is no word */
    {"300 2 256 1 -1", "1 -1 2 256 3 300 30", {4, 5, 2, 3, 0, 1, 0}},
    {"4 7 4", "7 4", {2, 3}}, /* the last one of a key */
    {"5", "6 4", {0, 0}},
    {"5", "5", {1}},
    {"-9223372036854775808 0 9223372036854775807", "9223372036854775807 -9223372036854775808 1", {3, 1, 0}},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* With the words between the spaces as an attribute. */
static message with_words(message to, const char *name, bool strings, const char *words)
{
    message a = attribute(name, strings ? ATTR_STRINGS : ATTR_INTS);
    while (*words) {
        char word[32];
        int length = 0;
        ck_assert_int_eq(sscanf(words, "%31s%n", word, &length), 1);
        if (strings)
            put_text(&a, 9, word);
        else
            put_int(&a, 8, strtoll(word, NULL, 10));
        words += length + (words[length] == ' ');
    }
    put_message(&to, 5, &a);
    return to;
}

/* A graph of one node, in a context that waits for its input. */
static tl_context *context_of(tl_runtime *runtime, message only, message in, message out, tl_session **session)
{
    static message m;
    tl_context *context;
    tl_error error = {TL_OK, ""};
    graph.size = 0;
    add(only);
    put_value(&graph, GRAPH_INPUT, "x", in);
    put_value(&graph, GRAPH_OUTPUT, "y", out);
    m = model_of_graph();
    tl_status status = tl_session_open_memory(runtime, m.bytes, m.size, NULL, session, &error);
    if (status == TL_OK)
        status = tl_context_create(*session, &context, &error);
    ck_assert_msg(status == TL_OK, "%s", error.message);
    return context;
}

/* The second row of what ZipMap gets, as DictVectorizer gives it back. */
START_TEST(vectors)
{
    const struct row *row = &rows[_i / 2];
    const bool strings = _i % 2 == 1;
    const message map = map_of(strings ? TL_STRING : TL_INT64, TL_FLOAT);
    tl_runtime *runtime;
    tl_session *zip_session, *session;
    tl_tensor out;
    tl_error error = {TL_OK, ""};
    int64_t keys = 1, words = 1;
    float x[16];
    for (const char *c = row->keys; *c; c++)
        keys += *c == ' ';
    for (const char *c = row->vocabulary; *c; c++)
        words += *c == ' ';
    for (int64_t i = 0; i < 2 * keys; i++)
        x[i] = (float)(i - keys + 1);
    ck_assert_int_eq(tl_runtime_create(NULL, &runtime, &error), TL_OK);
    tl_context *zip = context_of(
        runtime,
        with_words(ml("ZipMap", "x", "y"), strings ? "classlabels_strings" : "classlabels_int64s", strings, row->keys),
        floats(), list_of(TYPE_SEQUENCE, map), &zip_session);
    tl_context *context =
        context_of(runtime,
                   with_words(ml("DictVectorizer", "x", "y"), strings ? "string_vocabulary" : "int64_vocabulary",
                              strings, row->vocabulary),
                   map, floats(), &session);
    const tl_tensor input = {x, TL_FLOAT, 2, {2, keys}};
    tl_status status = tl_context_set_input(zip, 0, &input, &error);
    if (status == TL_OK)
        status = tl_context_run(zip, &error);
    ck_assert_msg(status == TL_OK, "%s", error.message);
    const tl_list *maps = tl_context_output_list(zip, 0);
    ck_assert_uint_eq(maps->count, 2);
    status = tl_context_set_list(context, 0, maps->items[1]->list, &error);
    if (status == TL_OK)
        status = tl_context_run(context, &error);
    if (status == TL_OK)
        status = tl_context_output(context, 0, &out, &error);
    ck_assert_msg(status == TL_OK, "%s", error.message);
    ck_assert(out.type == TL_FLOAT && out.rank == 2 && out.dims[0] == 1);
    ck_assert_int_eq(out.dims[1], words);
    for (int64_t i = 0; i < words; i++)
        ck_assert_float_eq(((const float *)out.data)[i], row->y[i]);
    tl_context_destroy(context);
    tl_context_destroy(zip);
    tl_session_destroy(session);
    tl_session_destroy(zip_session);
    tl_runtime_destroy(runtime);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lists");
    TCase *tests = tcase_create("refused");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, refused, 0, (int)(sizeof cases / sizeof *cases));
    suite_add_tcase(suite, tests);
    TCase *shared = tcase_create("shared");
    tcase_add_test(shared, ends);
    tcase_add_test(shared, rounds_of_nothing);
    tcase_add_test(shared, pieces_of_nothing);
    tcase_add_loop_test(shared, pieces_of_bytes, 0, 18);
    suite_add_tcase(suite, shared);
    TCase *made = tcase_create("maps");
    tcase_add_loop_test(made, vectors, 0, 2 * ROWS);
    suite_add_tcase(suite, made);
    return run_suite(suite);
}
