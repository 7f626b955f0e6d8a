/* Errors from a plugin's callbacks, by the public interface: each comes back as its status, with the node's name and
 * the plugin's own words, and the session and context can be used again. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/run.h"
#include "tapline/tapline.h"

static const char *folder;
static tl_runtime *runtime;
static tl_error error;

/* ---- A model of one node, in protobuf's wire format */

typedef struct writer {
    unsigned char bytes[1000];
    size_t size;
} writer;

static void put(writer *w, unsigned char byte)
{
    ck_assert_uint_lt(w->size, sizeof w->bytes);
    w->bytes[w->size++] = byte;
}
static void put_number(writer *w, int field, unsigned char value)
{
    put(w, (unsigned char)(field << 3));
    put(w, value);
}
static void put_bytes(writer *w, int field, const void *bytes, size_t size)
{
    ck_assert_uint_lt(size, 128);
    put(w, (unsigned char)(field << 3 | 2));
    put(w, (unsigned char)size);
    for (size_t k = 0; k < size; k++)
        put(w, ((const unsigned char *)bytes)[k]);
}
static void put_text(writer *w, int field, const char *text)
{
    put_bytes(w, field, text, strlen(text));
}
static void put_message(writer *w, int field, const writer *message)
{
    put_bytes(w, field, message->bytes, message->size);
}

/* x or y: float, of one dimension, "N" */
static writer value_info(const char *name)
{
    writer dim = {.size = 0}, shape = dim, tensor = dim, type = dim, info = dim;
    put_text(&dim, 2, "N");
    put_message(&shape, 1, &dim);
    put_number(&tensor, 1, TL_FLOAT);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &type);
    return info;
}

static writer model(const char *op)
{
    writer node = {.size = 0}, graph = node, import = node, result = node;
    writer x = value_info("x"), y = value_info("y");
    put_text(&node, 1, "x");
    put_text(&node, 2, "y");
    put_text(&node, 3, "the node");
    put_text(&node, 4, op);
    put_text(&node, 7, "test");
    put_message(&graph, 1, &node);
    put_text(&graph, 2, "g");
    put_message(&graph, 11, &x);
    put_message(&graph, 12, &y);
    put_text(&import, 1, "test");
    put_number(&import, 2, 1);
    put_number(&result, 1, 8); /* ir_version */
    put_message(&result, 7, &graph);
    put_message(&result, 8, &import);
    return result;
}

/* ---- Fixture */

static void set_up(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/failing.so", folder);
    error = (tl_error){TL_OK, ""};
    ck_assert_msg(tl_runtime_create(NULL, &runtime, &error) == TL_OK, "%s", error.message);
    ck_assert_msg(tl_plugin_load(runtime, path, &error) == TL_OK, "%s", error.message);
}
static void tear_down(void)
{
    tl_runtime_destroy(runtime);
}

static void says(tl_status status, tl_status expected, const char *words)
{
    ck_assert_msg(status == expected && error.status == expected, "%d: %s", (int)status, error.message);
    ck_assert_msg(strstr(error.message, words) != NULL, "'%s' lacks '%s'", error.message, words);
    ck_assert_msg(strstr(error.message, "the node") != NULL, "'%s' does not name the node", error.message);
    ck_assert_ptr_null(strchr(error.message, '\n'));
}

static tl_session *open_session(const writer *bytes)
{
    tl_session *session = NULL;
    tl_status status = tl_session_open_memory(runtime, bytes->bytes, bytes->size, NULL, &session, &error);
    ck_assert_msg(status == TL_OK, "%s", error.message);
    return session;
}

static tl_status run(tl_context *context, float first, int64_t count, tl_tensor *output)
{
    static float values[8];
    values[0] = first;
    const tl_tensor input = {.data = values, .type = TL_FLOAT, .rank = 1, .dims = {count}};
    tl_status status = tl_context_set_input(context, 0, &input, &error);
    if (status == TL_OK)
        status = tl_context_run(context, &error);
    return status == TL_OK ? tl_context_output(context, 0, output, &error) : status;
}

/* ---- Tests */

START_TEST(at_load)
{
    tl_session *session = NULL;
    writer bytes = model("FailCreate");
    says(tl_session_open_memory(runtime, bytes.bytes, bytes.size, NULL, &session, &error), TL_INVALID_MODEL,
         "create says 11");
    ck_assert_ptr_null(session);
    bytes = model("FailReshape");
    says(tl_session_open_memory(runtime, bytes.bytes, bytes.size, NULL, &session, &error), TL_INVALID_MODEL,
         "reshape says 22");
    ck_assert_ptr_null(session);
    bytes = model("Nothing");
    says(tl_session_open_memory(runtime, bytes.bytes, bytes.size, NULL, &session, &error), TL_UNSUPPORTED,
         "no operator 'Nothing'");
    ck_assert_ptr_null(session);
    bytes = model("Copy"); /* after all that */
    tl_session_destroy(open_session(&bytes));
}
END_TEST

/* Fails in the operator for the first value, works for the second, in the same context. */
static void fails_then_works(const char *op, float first, int64_t count, tl_status status, const char *words)
{
    writer bytes = model(op);
    tl_session *session = open_session(&bytes);
    tl_context *context = NULL;
    tl_tensor output;
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    for (int k = 0; k < 3; k++) {
        says(run(context, first, count, &output), status, words);
        ck_assert_msg(run(context, 5.0f, 2, &output) == TL_OK, "%s", error.message);
        ck_assert_int_eq(output.dims[0], 2);
        ck_assert(((const float *)output.data)[0] == 5.0f);
    }
    tl_context_destroy(context);
    tl_session_destroy(session);
}

START_TEST(while_planning)
{
    fails_then_works("FailPlan", 1.0f, 3, TL_INVALID_INPUT, "plan says 33");
}
END_TEST

START_TEST(while_running)
{
    fails_then_works("FailRun", -1.0f, 4, TL_INVALID_INPUT, "run says 44");
}
END_TEST

/* A callback that fails and says nothing is not taken for success, and its status is put into words. */
START_TEST(without_a_word)
{
    writer bytes = model("MuteRun");
    tl_session *session = open_session(&bytes);
    tl_context *context = NULL;
    tl_tensor output;
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    error = (tl_error){TL_UNSUPPORTED, "something old"};
    says(run(context, 1.0f, 2, &output), TL_UNSUPPORTED, "the operator says no more than 'unsupported'");
    ck_assert_ptr_null(strstr(error.message, "something old"));
    ck_assert_int_ne(tl_context_output(context, 0, &output, &error), TL_OK);
    tl_context_destroy(context);
    tl_session_destroy(session);
}
END_TEST

/* What fails must not stop others: two contexts of one session. */
START_TEST(other_contexts)
{
    writer bytes = model("FailRun");
    tl_session *session = open_session(&bytes);
    tl_context *one = NULL, *other = NULL;
    tl_tensor output;
    ck_assert_int_eq(tl_context_create(session, &one, &error), TL_OK);
    ck_assert_int_eq(tl_context_create(session, &other, &error), TL_OK);
    ck_assert_int_eq(run(other, 3.0f, 4, &output), TL_OK);
    says(run(one, -1.0f, 4, &output), TL_INVALID_INPUT, "run says 44");
    ck_assert_int_eq(tl_context_output(other, 0, &output, &error), TL_OK);
    ck_assert(((const float *)output.data)[0] == 3.0f);
    tl_context_destroy(one);
    tl_context_destroy(other);
    tl_session_destroy(session);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER_OF_PLUGINS\n", argv[0]);
        return EXIT_FAILURE;
    }
    folder = argv[1];
    Suite *suite = suite_create("callbacks");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, at_load);
    tcase_add_test(tests, while_planning);
    tcase_add_test(tests, while_running);
    tcase_add_test(tests, without_a_word);
    tcase_add_test(tests, other_contexts);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
