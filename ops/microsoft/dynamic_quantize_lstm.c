/* DynamicQuantizeLSTM of com.microsoft: LSTM with weights of 8 bits, whose other factors, the input and the state, are
 * rounded to 8 bits before each product. A product of such numbers is the same in float as it is in integers, but for
 * rounding, so that this is LSTM with rounded factors. */
#include "microsoft/microsoft.h"
#include "onnx/rnn.h"

enum { IN_X, IN_W, IN_R, IN_LENGTHS = 4, LSTM_INPUTS = 8, IN_W_SCALE = 8, IN_W_ZERO, IN_R_SCALE, IN_R_ZERO };

typedef struct dynamic_plan {
    _Alignas(64) unsigned char lstm[RNN_PLAN_SIZE]; /* first: LSTM's functions find theirs here */
    size_t x, w, r;                                 /* in the workspace */
} dynamic_plan;

/* LSTM's inputs in the place of this operator's. */
typedef struct lstm_inputs {
    tl_tensor x, weights[2];
    const tl_tensor *list[LSTM_INPUTS], *const *own;
    size_t own_count;
} lstm_inputs;

/* (directions, inputs, gates) becomes LSTM's (directions, gates, inputs), in float. */
static tl_tensor transposed(const tl_tensor *w)
{
    tl_tensor t = {.type = TL_FLOAT, .rank = w->rank};
    if (w->rank == 3) {
        t.dims[0] = w->dims[0];
        t.dims[1] = w->dims[2];
        t.dims[2] = w->dims[1];
    }
    return t;
}

static void begin_lstm(tl_call *call, lstm_inputs *inputs)
{
    inputs->own = call->inputs;
    inputs->own_count = call->input_count;
    for (size_t k = 0; k < LSTM_INPUTS; k++)
        inputs->list[k] = op_input(call, k);
    inputs->x = *call->inputs[IN_X];
    inputs->list[IN_X] = &inputs->x;
    for (size_t k = IN_W; k <= IN_R; k++) {
        inputs->weights[k - IN_W] = transposed(call->inputs[k]);
        inputs->list[k] = &inputs->weights[k - IN_W];
    }
    call->inputs = inputs->list;
    call->input_count = LSTM_INPUTS;
}

static void end_lstm(tl_call *call, const lstm_inputs *inputs)
{
    call->inputs = inputs->own;
    call->input_count = inputs->own_count;
}

/* ---- Weights */

/* Input `scale` and the zero point behind it: one for each direction, or for each direction and gate. */
static tl_status check_scales(const tl_call *call, size_t weights, size_t scale)
{
    const tl_tensor *w = call->inputs[weights], *s = call->inputs[scale];
    tl_status status = nn_check_rank(call, weights, 3, 3);
    for (size_t k = scale; k <= scale + 1 && status == TL_OK; k++) {
        status = nn_check_rank(call, k, 1, 2);
        if (status == TL_OK && w->rank == 3)
            status = nn_check_dim(call, k, 0, w->dims[0], "one for each direction");
        if (status == TL_OK && w->rank == 3 && call->inputs[k]->rank == 2)
            status = nn_check_dim(call, k, 1, w->dims[2], "one for each gate of each unit");
    }
    return status == TL_OK && s->rank > 0 ? nn_check_rank(call, scale + 1, s->rank, s->rank) : status;
}

/* Input k in float, in LSTM's order. */
static void dequantize(const tl_call *call, size_t k, float *to)
{
    const size_t scale = k == IN_W ? IN_W_SCALE : IN_R_SCALE;
    const tl_tensor *w = call->inputs[k], *scales = call->inputs[scale], *zeros = call->inputs[scale + 1];
    const int64_t rows = w->dims[1], columns = w->dims[2];
    for (int64_t d = 0; d < w->dims[0]; d++)
        for (int64_t j = 0; j < columns; j++) {
            const int64_t at = scales->rank == 2 ? d * columns + j : d;
            const float factor = ((const float *)scales->data)[at];
            const double zero = nn_element(zeros, at);
            for (int64_t i = 0; i < rows; i++)
                to[(d * columns + j) * rows + i] = (float)(nn_element(w, (d * rows + i) * columns + j) - zero) * factor;
        }
}

static bool is_constant(const tl_call *call, size_t k)
{
    const size_t scale = k == IN_W ? IN_W_SCALE : IN_R_SCALE;
    return call->inputs[k]->data && call->inputs[scale]->data && call->inputs[scale + 1]->data;
}

/* Memory for input k in float; NULL where it is no constant, or is refused, which *status then says. */
static float *constant_weights(const tl_call *call, size_t k, tl_status *status)
{
    size_t bytes;
    float *floats = NULL;
    if (*status != TL_OK || !is_constant(call, k))
        return NULL;
    if (!__builtin_mul_overflow((size_t)nn_max(op_elements(call->inputs[k]), 1), sizeof(float), &bytes))
        floats = call->host->alloc(call->host, bytes, 64);
    if (floats)
        dequantize(call, k, floats);
    else
        *status = tl_fail(call, TL_NO_MEMORY, "no memory for weights");
    return floats;
}

static tl_status dynamic_create(tl_call *call)
{
    tl_status status = check_scales(call, IN_W, IN_W_SCALE);
    if (status == TL_OK)
        status = check_scales(call, IN_R, IN_R_SCALE);
    lstm_inputs inputs;
    float *w = constant_weights(call, IN_W, &status), *r = constant_weights(call, IN_R, &status);
    if (status == TL_OK) {
        begin_lstm(call, &inputs);
        inputs.weights[0].data = w;
        inputs.weights[1].data = r;
        status = rnn_quantized_create(call);
        end_lstm(call, &inputs);
    }
    if (w)
        call->host->free(call->host, w);
    if (r)
        call->host->free(call->host, r);
    return status;
}

/* ---- Shapes and run */

static tl_status dynamic_reshape(tl_call *call)
{
    lstm_inputs inputs;
    dynamic_plan *plan = call->plan;
    tl_status status = check_scales(call, IN_W, IN_W_SCALE);
    if (status == TL_OK)
        status = check_scales(call, IN_R, IN_R_SCALE);
    if (status != TL_OK)
        return status;
    begin_lstm(call, &inputs);
    status = tl_op_LSTM_7.reshape(call);
    end_lstm(call, &inputs);
    if (status != TL_OK || !plan)
        return status;
    const uint64_t packed = rnn_packed(call);
    plan->x = nn_place(call, nn_product(call->inputs[IN_X], 0, 3), sizeof(float));
    if (!(packed >> IN_W & 1))
        plan->w = nn_place(call, nn_product(call->inputs[IN_W], 0, 3), sizeof(float));
    if (!(packed >> IN_R & 1))
        plan->r = nn_place(call, nn_product(call->inputs[IN_R], 0, 3), sizeof(float));
    return TL_OK;
}

/* Elements of X up to the end of the longest sequence: only these are looked at, and span the range to round to. */
static int64_t used_elements(const tl_call *call)
{
    const tl_tensor *x = call->inputs[IN_X], *lengths = op_input(call, IN_LENGTHS);
    int64_t longest = lengths ? 0 : x->dims[0];
    for (int64_t b = 0; lengths && b < op_elements(lengths); b++)
        longest = nn_max(longest, nn_min(((const int32_t *)lengths->data)[b], x->dims[0]));
    return longest * op_product(x, 1, 3);
}

static tl_status dynamic_run(tl_call *call)
{
    const dynamic_plan *plan = call->plan;
    const uint64_t packed = rnn_packed(call);
    lstm_inputs inputs;
    const int64_t used = used_elements(call), all = op_elements(call->inputs[IN_X]);
    rnn_round(call->inputs[IN_X]->data, nn_at(call, plan->x), used);
    if (used < all)
        memset((float *)nn_at(call, plan->x) + used, 0, (size_t)(all - used) * sizeof(float));
    if (!(packed >> IN_W & 1))
        dequantize(call, IN_W, nn_at(call, plan->w));
    if (!(packed >> IN_R & 1))
        dequantize(call, IN_R, nn_at(call, plan->r));
    begin_lstm(call, &inputs);
    inputs.x.data = nn_at(call, plan->x);
    inputs.weights[0].data = nn_at(call, plan->w);
    inputs.weights[1].data = nn_at(call, plan->r);
    tl_status status = tl_op_LSTM_7.run(call);
    end_lstm(call, &inputs);
    return status;
}

static void dynamic_destroy(const tl_host *host, void *state)
{
    tl_op_LSTM_7.destroy(host, state);
}

#define BYTES TL_T(TL_INT8) | TL_T(TL_UINT8)
#define FLOAT TL_T(TL_FLOAT)
static const tl_param dynamic_input[] = {OP_IN("X", FLOAT, 0),
                                         OP_IN("W", BYTES, 'W'),
                                         OP_IN("R", BYTES, 'R'),
                                         OP_OPT("B", FLOAT, 0),
                                         OP_OPT("sequence_lens", TL_T(TL_INT32), 0),
                                         OP_OPT("initial_h", FLOAT, 0),
                                         OP_OPT("initial_c", FLOAT, 0),
                                         OP_OPT("P", FLOAT, 0),
                                         OP_IN("W_scale", FLOAT, 0),
                                         OP_IN("W_zero_point", BYTES, 'W'),
                                         OP_IN("R_scale", FLOAT, 0),
                                         OP_IN("R_zero_point", BYTES, 'R')};
static const tl_param dynamic_output[] = {OP_OPT("Y", FLOAT, 0), OP_OPT("Y_h", FLOAT, 0), OP_OPT("Y_c", FLOAT, 0)};
static const tl_attribute_spec dynamic_attribute[] = {{.name = "activations", .kind = TL_ATTR_STRINGS},
                                                      {.name = "activation_alpha", .kind = TL_ATTR_FLOATS},
                                                      {.name = "activation_beta", .kind = TL_ATTR_FLOATS},
                                                      OP_FLOAT("clip", 0),
                                                      OP_STRING("direction", "forward"),
                                                      OP_INT("hidden_size", 0),
                                                      OP_INT("input_forget", 0)};

OP_DESCRIPTOR(DynamicQuantizeLSTM, 1) = {MICROSOFT_HEAD(DynamicQuantizeLSTM, 1),
                                         OP_PARAMS(input, dynamic_input),
                                         OP_PARAMS(output, dynamic_output),
                                         OP_PARAMS(attribute, dynamic_attribute),
                                         .plan_size = sizeof(dynamic_plan),
                                         .create = dynamic_create,
                                         .reshape = dynamic_reshape,
                                         .run = dynamic_run,
                                         .destroy = dynamic_destroy};
