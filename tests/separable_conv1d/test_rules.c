/* The contract's rules, one line each: what is refused, when, and in which words; and shape inference. */
#include "separable_conv1d/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A model of one node. NULL stands for what is usual: X (2,8,3) of float, D = 1, K = 3, F = 4, no bias. */
typedef struct rule {
    const char *name;
    const char *attributes;
    const char *x, *depthwise, *pointwise, *bias; /* dims */
    const char *inputs;                           /* names, if not the usual */
    tl_type x_type;
    bool computed;      /* the weights are inputs of the graph */
    const char *at_run; /* X's dims in the run, where the file leaves them open */
    int64_t version;
    tl_status status;
    const char *words[4]; /* that the message must hold */
} rule;

static const rule rules[] = {
    {"stride with dilation", "strides=2 dilation_rate=2", .status = TL_INVALID_MODEL,
     .words = {"'strides' is 2", "'dilation_rate' is 2", "at most one"}},
    {"strides 0", "strides=0", .status = TL_INVALID_MODEL, .words = {"'strides' is 0", "at least 1"}},
    {"strides negative", "strides=-3", .status = TL_INVALID_MODEL, .words = {"'strides' is -3", "at least 1"}},
    {"dilation_rate 0", "dilation_rate=0", .status = TL_INVALID_MODEL, .words = {"'dilation_rate' is 0", "at least 1"}},
    {"depth_multiplier 0", "depth_multiplier=0", .status = TL_INVALID_MODEL,
     .words = {"'depth_multiplier' is 0", "at least 1"}},
    {"filters 0", "filters=0", .status = TL_INVALID_MODEL, .words = {"'filters' is 0", "at least 1"}},
    {"kernel_size 0", "kernel_size=0", .status = TL_INVALID_MODEL, .words = {"'kernel_size' is 0", "at least 1"}},
    {"strides a float", "strides=2.0", .status = TL_INVALID_MODEL, .words = {"strides", "kind float"}},
    {"strides a list", "strides=[2]", .status = TL_INVALID_MODEL, .words = {"strides", "kind ints"}},
    {"padding an int", "padding=1", .status = TL_INVALID_MODEL, .words = {"padding", "kind int"}},
    {"activation_alpha an int", "activation='elu' activation_alpha=1", .status = TL_INVALID_MODEL,
     .words = {"activation_alpha", "kind int"}},
    {"unknown padding", "padding='full'", .status = TL_INVALID_MODEL,
     .words = {"'padding' is 'full'", "valid, same or causal"}},
    {"empty padding", "padding=''", .status = TL_INVALID_MODEL, .words = {"'padding' is ''"}},
    {"long padding",
     "padding='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
     .status = TL_INVALID_MODEL, .words = {"'padding' is 'aaaa", "..."}},
    {"unknown data_format", "data_format='NCHW'", .status = TL_INVALID_MODEL,
     .words = {"'data_format' is 'NCHW'", "channels_last or channels_first"}},
    {"unknown activation", "activation='relu7'", .status = TL_INVALID_MODEL,
     .words = {"'activation' is 'relu7'", "must be one of linear, relu"}},
    {"activation in capitals", "activation='Relu'", .status = TL_INVALID_MODEL, .words = {"'activation' is 'Relu'"}},
    {"alpha with relu", "activation='relu' activation_alpha=0.5", .status = TL_INVALID_MODEL,
     .words = {"'activation_alpha' is 0.5", "'relu'", "only with elu and leaky_relu"}},
    {"alpha without activation", "activation_alpha=0.5", .status = TL_INVALID_MODEL,
     .words = {"'activation_alpha'", "only with elu"}},
    {"unknown attribute", "groups=1", .status = TL_INVALID_MODEL, .words = {"groups"}},
    {"use_bias 2", "use_bias=2", .status = TL_INVALID_MODEL, .words = {"'use_bias' is 2", "0 or 1"}},
    {"use_bias without bias", "use_bias=1", .status = TL_INVALID_MODEL, .words = {"'use_bias' is 1", "absent"}},
    {"bias without use_bias", "use_bias=0", .bias = "4", .status = TL_INVALID_MODEL,
     .words = {"'use_bias' is 0", "given"}},
    {"filters disagrees", "filters=5", .status = TL_INVALID_MODEL,
     .words = {"'filters' is 5", "'pointwise_kernel' has 4", "agree"}},
    {"kernel_size disagrees", "kernel_size=5", .status = TL_INVALID_MODEL,
     .words = {"'kernel_size' is 5", "'depthwise_kernel' has 3", "agree"}},
    {"X of rank 2", "", .x = "8,3", .status = TL_INVALID_MODEL, .words = {"'X' has rank 2", "(N, L, C)"}},
    {"X of rank 4", "data_format='channels_first'", .x = "2,3,1,8", .status = TL_INVALID_MODEL,
     .words = {"'X' has rank 4", "(N, C, L)"}},
    {"depthwise of rank 2", "", .depthwise = "3,3", .status = TL_INVALID_MODEL,
     .words = {"'depthwise_kernel' has rank 2", "(C*D, 1, K)"}},
    {"depthwise not 1", "", .depthwise = "3,2,3", .status = TL_INVALID_MODEL,
     .words = {"'depthwise_kernel' has 2 as dimension 1", "must be 1"}},
    {"depthwise without taps", "", .depthwise = "3,1,0", .status = TL_INVALID_MODEL,
     .words = {"'depthwise_kernel' has 0", "at least 1"}},
    {"pointwise of rank 4", "", .pointwise = "4,3,1,1", .status = TL_INVALID_MODEL,
     .words = {"'pointwise_kernel' has rank 4", "(F, C*D, 1)"}},
    {"pointwise not 1", "", .pointwise = "4,3,2", .status = TL_INVALID_MODEL,
     .words = {"'pointwise_kernel' has 2 as dimension 2", "must be 1"}},
    {"pointwise without filters", "", .pointwise = "0,3,1", .status = TL_INVALID_MODEL,
     .words = {"'pointwise_kernel' has 0", "at least 1"}},
    {"kernels disagree", "", .pointwise = "4,5,1", .status = TL_INVALID_MODEL,
     .words = {"'pointwise_kernel' has 5", "must be 3", "'depthwise_kernel'"}},
    {"bias of rank 2", "", .bias = "1,4", .status = TL_INVALID_MODEL, .words = {"'bias' has rank 2", "(F)"}},
    {"bias of wrong size", "", .bias = "3", .status = TL_INVALID_MODEL,
     .words = {"'bias' has 3 elements", "must have 4"}},
    {"channels disagree", "", .x = "2,8,5", .status = TL_INVALID_MODEL,
     .words = {"'depthwise_kernel' has 3", "X has 5 channels", "product"}},
    {"channels and multiplier", "depth_multiplier=2", .depthwise = "6,1,3", .pointwise = "4,6,1", .x = "2,8,2",
     .status = TL_INVALID_MODEL, .words = {"'depthwise_kernel' has 6", "2 channels", "'depth_multiplier' is 2"}},
    {"multiplier does not divide", "depth_multiplier=2", .x = "2,8,C", .status = TL_INVALID_MODEL,
     .words = {"'depthwise_kernel' has 3", "multiple", "2"}},
    {"channels disagree, first", "data_format='channels_first'", .x = "2,8,3", .status = TL_INVALID_MODEL,
     .words = {"X has 8 channels"}},
    {"no channels", "", .x = "2,8,0", .status = TL_INVALID_MODEL, .words = {"0 channels", "at least 1"}},
    {"valid too short", "", .x = "2,2,3", .status = TL_INVALID_MODEL, .words = {"length 2", "'valid'", "at least 3"}},
    {"valid too short, dilated", "dilation_rate=4", .x = "2,8,3", .status = TL_INVALID_MODEL,
     .words = {"length 8", "at least 9"}},
    {"valid and empty", "", .x = "2,0,3", .status = TL_INVALID_MODEL, .words = {"length 0", "at least 3"}},
    {"valid too short in the run", "", .x = "N,L,3", .at_run = "2,2,3", .status = TL_INVALID_INPUT,
     .words = {"length 2", "at least 3"}},
    {"channels in the run", "", .x = "N,L,C", .at_run = "2,8,5", .status = TL_INVALID_INPUT,
     .words = {"X has 5 channels"}},
    {"type of X", "", .x_type = TL_INT32, .status = TL_UNSUPPORTED, .words = {"X", "int32"}},
    {"mixed types", "", .x_type = TL_DOUBLE, .status = TL_INVALID_MODEL, .words = {"float", "double"}},
    {"too few inputs", "", .inputs = "X depthwise", .status = TL_INVALID_MODEL, .words = {"2", "input"}},
    {"pointwise absent", "", .inputs = "X depthwise - bias", .bias = "4", .status = TL_INVALID_MODEL,
     .words = {"pointwise_kernel"}},
    {"too many inputs", "", .inputs = "X depthwise pointwise bias X", .bias = "4", .status = TL_INVALID_MODEL,
     .words = {"5", "input"}},
    {"extent overflows", "padding='same' dilation_rate=9223372036854775807", .status = TL_NO_MEMORY,
     .words = {"dilation_rate 9223372036854775807", "too much"}},
    {"X overflows", "padding='same'", .x = "3037000500,3037000500,3", .status = TL_NO_MEMORY, .words = {"overflow"}},
    {"version 2", "", .version = 2, .status = TL_UNSUPPORTED, .words = {"tapline", "2", "1"}},
};

static const char *pick(const char *given, const char *usual)
{
    return given != NULL ? given : usual;
}

static model build(const rule *r)
{
    model m = {.opset = 18, .tapline = r->version != 0 ? r->version : 1};
    const char *names = r->bias != NULL ? "X depthwise pointwise bias" : "X depthwise pointwise";
    add_input(&m, "X", r->x_type != TL_UNDEFINED ? r->x_type : TL_FLOAT, pick(r->x, "2,8,3"));
    if (r->computed) {
        add_input(&m, "depthwise", TL_FLOAT, pick(r->depthwise, "3,1,3"));
        add_input(&m, "pointwise", TL_FLOAT, pick(r->pointwise, "4,3,1"));
    } else {
        add_weights(&m, "depthwise", pick(r->depthwise, "3,1,3"));
        add_weights(&m, "pointwise", pick(r->pointwise, "4,3,1"));
    }
    if (r->bias != NULL)
        add_weights(&m, "bias", r->bias);
    add_node(&m, "tapline:SeparableConv1D", pick(r->inputs, names), "Y", r->attributes);
    add_output(&m, "Y", TL_FLOAT);
    return m;
}

static void check_words(const rule *r, const outcome *got)
{
    ck_assert_msg(got->status == r->status, "%s: status %s, not %s (%s)", r->name, tl_status_name(got->status),
                  tl_status_name(r->status), got->status != TL_OK ? got->error.message : "");
    for (int i = 0; i < 4 && r->words[i] != NULL; i++)
        ck_assert_msg(strstr(got->error.message, r->words[i]) != NULL, "%s: \"%s\" is not in \"%s\"", r->name,
                      r->words[i], got->error.message);
    ck_assert_msg(strchr(got->error.message, '\n') == NULL, "%s: more than one line", r->name);
    ck_assert_msg(r->version != 0 || strstr(got->error.message, "SeparableConv1D") != NULL,
                  "%s: the operator is not named in \"%s\"", r->name, got->error.message);
}

START_TEST(each_rule)
{
    const rule *r = &rules[_i];
    const model m = build(r);
    float room[512] = {0};
    tl_tensor x = {.data = room, .type = TL_FLOAT};
    if (r->at_run != NULL)
        x.rank = parse_dims(r->at_run, 0, x.dims);
    outcome got = run_model(&m, 1, true, r->at_run != NULL ? &x : NULL, 1);
    ck_assert_msg(got.loaded == (r->at_run != NULL), "%s: %s", r->name, got.loaded ? "loaded" : got.error.message);
    check_words(r, &got);
    free_outcome(&got);
}
END_TEST

/* The context goes on after a run that failed. */
START_TEST(usable_after_an_error)
{
    const rule r = {.name = "", .attributes = "", .x = "N,L,3"};
    const model m = build(&r);
    size_t size = 0;
    void *bytes = finish_model(&m, &size);
    tl_session *session = NULL;
    tl_context *context = NULL;
    tl_error error;
    float room[64] = {0};
    tl_tensor x = {.data = room, .type = TL_FLOAT, .rank = 3, .dims = {1, 2, 3}};
    tl_tensor y;
    ck_assert_int_eq(tl_session_open_memory(runtime_of(1), bytes, size, NULL, &session, &error), TL_OK);
    ck_assert_int_eq(tl_context_create(session, &context, &error), TL_OK);
    for (int i = 0; i < 3; i++) {
        x.dims[1] = 2;
        ck_assert_int_eq(tl_context_set_input(context, 0, &x, &error), TL_OK);
        ck_assert_int_eq(tl_context_run(context, &error), TL_INVALID_INPUT);
        x.dims[1] = 7;
        ck_assert_int_eq(tl_context_set_input(context, 0, &x, &error), TL_OK);
        ck_assert_msg(tl_context_run(context, &error) == TL_OK, "%s", error.message);
        ck_assert_int_eq(tl_context_output(context, 0, &y, &error), TL_OK);
        ck_assert_int_eq(y.dims[1], 5);
        ck_assert_int_eq(y.dims[2], 4);
    }
    tl_context_destroy(context);
    tl_session_destroy(session);
    free(bytes);
}
END_TEST

/* What is taken, in spite of looking odd. */
static const rule accepted[] = {
    {.name = "capitals", .attributes = "padding='SaMe' data_format='CHANNELS_LAST'"},
    {.name = "causal in capitals", .attributes = "padding='CAUSAL'"},
    {.name = "no activation", .attributes = "activation=''"},
    {.name = "alpha with elu", .attributes = "activation='elu' activation_alpha=0.3"},
    {.name = "alpha with leaky_relu", .attributes = "activation='leaky_relu' activation_alpha=-0.3"},
    {.name = "all claims", .attributes = "filters=4 kernel_size=3 use_bias=1 depth_multiplier=1", .bias = "4"},
    {.name = "no bias by an empty name", .attributes = "use_bias=0", .inputs = "X depthwise pointwise -"},
    {.name = "empty batch", .attributes = "", .x = "0,8,3"},
    {.name = "empty length", .attributes = "padding='same'", .x = "2,0,3"},
    {.name = "empty length, causal", .attributes = "padding='causal'", .x = "2,0,3"},
    {.name = "exactly the extent", .attributes = "dilation_rate=2", .x = "2,5,3"},
};

START_TEST(each_accepted)
{
    const rule *r = &accepted[_i];
    const model m = build(r);
    float room[64] = {0};
    tl_tensor x = {.data = room, .type = TL_FLOAT};
    x.rank = parse_dims(pick(r->x, "2,8,3"), 0, x.dims);
    outcome got = run_model(&m, 1, true, &x, 1);
    ck_assert_msg(got.status == TL_OK, "%s: %s", r->name, got.error.message);
    free_outcome(&got);
}
END_TEST

/* ---- Shape inference --------------------------------------------------------------------------------------------- */

/* X's dims in the file, and Y's as inferred: numbers, N or L for the symbol as it came, ? for unknown. */
static const struct {
    const char *attributes, *x, *y;
    bool computed;
} shapes[] = {
    {"padding='same'", "N,L,3", "N,L,4", false},
    {"padding='causal'", "N,L,3", "N,L,4", false},
    {"padding='valid'", "N,L,3", "N,?,4", false},
    {"padding='same' strides=2", "N,L,3", "N,?,4", false},
    {"padding='same' strides=2", "N,7,3", "N,4,4", false},
    {"padding='causal' strides=3", "5,7,3", "5,3,4", false},
    {"padding='valid' strides=2", "N,8,3", "N,3,4", false},
    {"padding='valid' dilation_rate=3", "N,8,3", "N,2,4", false},
    {"padding='causal' data_format='channels_first'", "N,3,L", "N,4,L", false},
    {"padding='valid' data_format='channels_first'", "2,3,8", "2,4,6", false},
    {"padding='same'", "N,L,C", "N,L,4", false},
    {"padding='same'", NULL, "?,?,4", false},
    {"padding='same'", "N,L,3", "N,L,d", true},
    {"padding='same' filters=9", "N,L,3", "N,L,9", true},
    {"padding='valid' filters=9", "N,8,3", "N,?,9", true},
    {"padding='valid' filters=9 kernel_size=4", "N,8,3", "N,5,9", true},
    {"padding='same' strides=3", "N,8,3", "N,3,d", true},
    {"padding='same'", "0,0,3", "0,0,4", false},
};

START_TEST(each_shape)
{
    model m = {.opset = 18, .tapline = 1};
    add_input(&m, "X", TL_FLOAT, shapes[_i].x);
    if (shapes[_i].computed) {
        add_input(&m, "depthwise", TL_FLOAT, "a,b,c");
        add_input(&m, "pointwise", TL_FLOAT, "d,e,f");
    } else {
        add_weights(&m, "depthwise", "3,1,3");
        add_weights(&m, "pointwise", "4,3,1");
    }
    add_node(&m, "tapline:SeparableConv1D", "X depthwise pointwise", "Y", shapes[_i].attributes);
    add_output(&m, "Y", TL_FLOAT);
    size_t size = 0;
    void *bytes = finish_model(&m, &size);
    tl_session *session = NULL;
    tl_error error;
    tl_value_info info;
    char text[128] = "";
    ck_assert_msg(tl_session_open_memory(runtime_of(1), bytes, size, NULL, &session, &error) == TL_OK, "%s",
                  error.message);
    ck_assert(tl_session_output(session, 0, &info));
    ck_assert_int_eq(info.tensor.rank, 3);
    for (int i = 0; i < 3; i++) {
        const tl_dim dim = info.tensor.dims[i];
        const char *symbol = dim < 0 ? tl_session_symbol(session, dim) : NULL;
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)dim);
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? "," : "",
                 dim >= 0         ? number
                 : symbol != NULL ? symbol
                                  : "?");
    }
    ck_assert_str_eq(text, shapes[_i].y);
    tl_session_destroy(session);
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("separable_conv1d.rules");
    TCase *tests = tcase_create("rules");
    tcase_add_loop_test(tests, each_rule, 0, (int)(sizeof rules / sizeof *rules));
    tcase_add_loop_test(tests, each_accepted, 0, (int)(sizeof accepted / sizeof *accepted));
    tcase_add_loop_test(tests, each_shape, 0, (int)(sizeof shapes / sizeof *shapes));
    tcase_add_test(tests, usable_after_an_error);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
