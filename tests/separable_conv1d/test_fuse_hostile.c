/* Recognising SeparableConv1D in files with numbers that nothing may be made of, and where memory is refused. */
#include "separable_conv1d/pattern.h"

#include <stdlib.h>

/* Numbers from a file that no sum or product may be made of: refused or left alone, but never a crash. */
static const pattern hostile[] = {
    {"largest pads",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {DEPTHWISE("pads=[9223372036854775807,9223372036854775807]"), POINTWISE}},
    {"largest dilation",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {DEPTHWISE("dilations=[9223372036854775807]"), POINTWISE}},
    {"largest stride",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {DEPTHWISE("strides=[9223372036854775807]"), POINTWISE}},
    {"least end",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "s [0]", "e [-9223372036854775808]", "i [2]"},
     {{"Conv", "x w", "b", "group=4 pads=[2,2]"}, {"Slice", "b s e i", "a", ""}, POINTWISE}},
    {"least start",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "s [-9223372036854775808]", "e [9223372036854775807]", "i [2]"},
     {{"Conv", "x w", "b", "group=4 pads=[2,2]"}, {"Slice", "b s e i", "a", ""}, POINTWISE}},
    {"largest Pad",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "q [0,0,9223372036854775807,0,0,9223372036854775807]"},
     {{"Pad", "x q", "u", ""}, {"Conv", "u w", "a", "group=4"}, POINTWISE}},
    {"axes out of range",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS, "s [0]", "e [-1]", "i [9223372036854775807]"},
     {{"Conv", "x w", "b", "group=4 pads=[2,2]"}, {"Slice", "b s e i", "a", ""}, POINTWISE}},
    {"group 0", "N,4,T", "2,4,9", 17, 0, NULL, {WEIGHTS}, {{"Conv", "x w", "a", "group=0"}, POINTWISE}},
    {"perm out of range",
     "N,4,T",
     "2,4,9",
     17,
     0,
     NULL,
     {WEIGHTS},
     {{"Conv", "x w", "b", "group=4"}, {"Transpose", "b", "a", "perm=[0,7,-1]"}, POINTWISE}},
};

START_TEST(each_number)
{
    const model m = build_pattern(&hostile[_i]);
    float room[128];
    const tl_tensor x = input_of(hostile[_i].at_run, room, 128);
    for (int rewrites = 0; rewrites < 2; rewrites++) {
        outcome got = run_model(&m, 1, rewrites != 0, &x, 1);
        ck_assert_msg(got.status == TL_OK || got.error.message[0] != '\0', "%s: no message", hostile[_i].name);
        free_outcome(&got);
    }
}
END_TEST

/* ---- Memory
 * ------------------------------------------------------------------------------------------------------------- */

/* Refuses from the `left`-th request on, and counts what is out. */
typedef struct purse {
    long left, out;
} purse;

static void *spend(void *user, size_t size, size_t alignment)
{
    purse *p = user;
    if (p->left-- <= 0)
        return NULL;
    void *memory = aligned_alloc(alignment < 64 ? 64 : alignment, (size + 4095) / 4096 * 4096 + (size == 0 ? 4096 : 0));
    p->out += memory != NULL;
    return memory;
}

static void give_back(void *user, void *memory)
{
    purse *p = user;
    p->out -= memory != NULL;
    free(memory);
}

/* Loads and runs with at most `left` requests. */
static tl_status run_within(purse *p, const void *bytes, size_t size, const tl_tensor *x)
{
    const tl_runtime_options options = {.size = sizeof options, .allocator = {spend, give_back, p}};
    tl_runtime *runtime = NULL;
    tl_session *session = NULL;
    tl_context *context = NULL;
    tl_error error;
    tl_status status = tl_runtime_create(&options, &runtime, &error);
    if (status == TL_OK)
        status = tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error);
    if (status == TL_OK)
        status = tl_session_open_memory(runtime, bytes, size, NULL, &session, &error);
    if (status == TL_OK)
        status = tl_context_create(session, &context, &error);
    if (status == TL_OK)
        status = tl_context_set_input(context, 0, x, &error);
    if (status == TL_OK)
        status = tl_context_run(context, &error);
    ck_assert_msg(status == TL_OK || error.message[0] != '\0', "no message");
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    return status;
}

/* Weights are scaled, and so made anew. */
static const pattern folded = {"BatchNormalization behind",
                               "N,4,T",
                               "2,4,9",
                               17,
                               1,
                               "SeparableConv1D",
                               {WEIGHTS, "g 5", "b 5", "m 5"},
                               {DEPTHWISE(""),
                                {"Conv", "a p", "c", ""},
                                {"Abs", "g", "v", ""},
                                {"BatchNormalization", "c g b m v", "d", ""},
                                {"Relu", "d", "y", ""}}};

/* Whichever request is refused, nothing is left behind; with enough of them it works. */
START_TEST(every_refusal)
{
    float room[128];
    size_t size = 0;
    const model m = build_pattern(&folded);
    const tl_tensor x = input_of(folded.at_run, room, 128);
    void *bytes = finish_model(&m, &size);
    long left = 0;
    for (tl_status status = TL_NO_MEMORY; status != TL_OK; left++) {
        purse money = {left, 0};
        ck_assert_int_lt(left, 100000);
        status = run_within(&money, bytes, size, &x);
        ck_assert_msg(money.out == 0, "%ld pieces of memory left behind after %ld requests", money.out, left);
    }
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("separable_conv1d.fuse_hostile");
    TCase *tests = tcase_create("fuse_hostile");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each_number, 0, (int)(sizeof hostile / sizeof *hostile));
    tcase_add_test(tests, every_refusal);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
