/* DynamicQuantizeLSTM of com.microsoft: LSTM with weights of 8 bits, whose other factors, the input and the state, are
 * rounded to 8 bits before each product. */
#include "microsoft/microsoft.h"
#include "onnx/byte_product.h"
#include "onnx/quant.h"
#include "onnx/rnn.h"

enum { IN_X, IN_W, IN_R, IN_LENGTHS = 4, LSTM_INPUTS = 8, IN_W_SCALE = 8, IN_W_ZERO, IN_R_SCALE, IN_R_ZERO };
enum { FACTORS = 2 }; /* W and R */

typedef struct dynamic_plan {
    _Alignas(64) unsigned char lstm[RNN_PLAN_SIZE]; /* first: LSTM's functions find theirs here */
    const tl_tensor *const *inputs;                 /* this operator's, while LSTM has its own */
    byte_plan products[FACTORS];
    size_t weights[FACTORS], zeros[FACTORS], rows[FACTORS], scales; /* in the workspace */
    float row_scale[FACTORS];                                       /* of X, and of the state */
    int32_t row_zero[FACTORS];
} dynamic_plan;

/* Constant weights, packed, or NULL: every direction's. */
typedef struct dynamic_weights {
    void *packed[FACTORS];
} dynamic_weights;

/* LSTM's inputs in the place of this operator's. */
typedef struct lstm_inputs {
    tl_tensor weights[FACTORS];
    const tl_tensor *list[LSTM_INPUTS], *const *own;
    size_t own_count;
} lstm_inputs;

/* (directions, inputs, gates) becomes LSTM's (directions, gates, inputs), of floats that are not there. */
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

/* One direction's weights. */
static byte_right right_of(const tl_tensor *w)
{
    const tl_tensor matrix = {.type = w->type, .rank = 2, .dims = {w->dims[1], w->dims[2]}};
    return byte_right_of(&matrix);
}

static void pack_weights(const tl_tensor *w, void *packed)
{
    const byte_right right = right_of(w);
    for (int64_t d = 0; d < w->dims[0]; d++)
        byte_pack_matrix(&right, 0, (const char *)w->data + d * right.depth * right.n,
                         (char *)packed + (size_t)d * right.size);
}

static void free_weights(const tl_host *host, dynamic_weights *weights)
{
    for (int k = 0; k < FACTORS; k++)
        if (weights->packed[k])
            host->free(host, weights->packed[k]);
    host->free(host, weights);
}

static tl_status pack_constants(const tl_call *call, dynamic_weights *weights)
{
    for (int k = 0; k < FACTORS; k++) {
        const tl_tensor *w = call->inputs[IN_W + k];
        size_t bytes;
        if (!w->data || op_elements(w) == 0)
            continue;
        if (!__builtin_mul_overflow(right_of(w).size, (size_t)w->dims[0], &bytes) && bytes < SIZE_MAX / 2)
            weights->packed[k] = call->host->alloc(call->host, bytes, 64);
        if (!weights->packed[k])
            return tl_fail(call, TL_NO_MEMORY, "no memory for packed weights");
        pack_weights(w, weights->packed[k]);
    }
    return TL_OK;
}

/* ---- Products */

static void multiply(tl_call *call, bool state, int64_t direction, const float *rows, const float *add,
                     int64_t add_row_step, float *c)
{
    dynamic_plan *plan = call->plan;
    const dynamic_weights *weights = rnn_own(call->state);
    const int k = state ? 1 : 0;
    const byte_plan *product = &plan->products[k];
    const int64_t gates = product->right.n, n = product->rows * product->right.depth;
    const tl_tensor *scale = plan->inputs[state ? IN_R_SCALE : IN_W_SCALE];
    const int64_t scale_step = scale->rank == 2;
    const float *factors = (const float *)scale->data + (scale_step ? direction * gates : direction);
    float *scales = nn_at(call, plan->scales);
    const char *packed = weights->packed[k] ? weights->packed[k] : nn_at(call, plan->weights[k]);
    if (state)
        byte_quantize(rows, nn_at(call, plan->rows[k]), n, &plan->row_scale[k], &plan->row_zero[k]);
    for (int64_t j = 0; j < (scale_step ? gates : 1); j++)
        scales[j] = plan->row_scale[k] * factors[j];
    const byte_result result = {.form = TLK_BYTES_FLOATS,
                                .c = c,
                                .a_zeros = &plan->row_zero[k],
                                .b_zeros = (const int32_t *)nn_at(call, plan->zeros[k]) +
                                           (scale_step ? direction * gates : direction),
                                .b_zero_step = scale_step,
                                .scale = scales,
                                .scale_step = scale_step,
                                .add = add,
                                .add_row_step = add_row_step};
    byte_product_run(call, product, nn_at(call, plan->rows[k]), NULL, packed + (size_t)direction * product->right.size,
                     &result);
}

/* ---- Create, shapes and run */

static tl_status check_all_scales(const tl_call *call)
{
    tl_status status = check_scales(call, IN_W, IN_W_SCALE);
    return status == TL_OK ? check_scales(call, IN_R, IN_R_SCALE) : status;
}

static tl_status dynamic_create(tl_call *call)
{
    tl_status status = check_all_scales(call);
    if (status != TL_OK)
        return status;
    dynamic_weights *weights = nn_new_state(call, sizeof *weights);
    if (!weights)
        return TL_NO_MEMORY;
    lstm_inputs inputs;
    status = pack_constants(call, weights);
    if (status == TL_OK) {
        begin_lstm(call, &inputs);
        status = rnn_create_with(call, multiply, weights);
        end_lstm(call, &inputs);
    }
    if (status != TL_OK) {
        free_weights(call->host, weights);
        return status;
    }
    call->packed = 0;
    for (int k = 0; k < FACTORS; k++)
        if (weights->packed[k])
            call->packed |= (uint64_t)1 << (IN_W + k);
    return TL_OK;
}

static void plan_product(tl_call *call, dynamic_plan *plan, int k, int64_t rows)
{
    const dynamic_weights *weights = rnn_own(call->state);
    const tl_tensor *w = call->inputs[IN_W + k];
    const int64_t depth = w->dims[1], gates = w->dims[2];
    const tl_tensor a = {.type = TL_UINT8, .rank = 2, .dims = {rows, depth}},
                    b = {.type = w->type, .rank = 2, .dims = {depth, gates}}, c = {.rank = 2, .dims = {rows, gates}};
    byte_plan_product(call, &plan->products[k], &a, &b, &c, true);
    if (!weights->packed[k])
        plan->weights[k] = nn_place(call, w->dims[0], right_of(w).size);
    plan->zeros[k] = nn_place(call, op_elements(call->inputs[k == 0 ? IN_W_ZERO : IN_R_ZERO]), sizeof(int32_t));
    int64_t bytes;
    plan->rows[k] = nn_place(call, nn_mul(rows, depth, &bytes) ? bytes : INT64_MAX, 1);
}

static tl_status dynamic_reshape(tl_call *call)
{
    lstm_inputs inputs;
    dynamic_plan *plan = call->plan;
    tl_status status = check_all_scales(call);
    if (status != TL_OK)
        return status;
    begin_lstm(call, &inputs);
    status = tl_op_LSTM_7.reshape(call);
    end_lstm(call, &inputs);
    if (status != TL_OK || !plan)
        return status;
    const tl_tensor *x = call->inputs[IN_X];
    int64_t rows;
    plan_product(call, plan, 0, nn_mul(x->dims[0], x->dims[1], &rows) ? rows : INT64_MAX);
    plan_product(call, plan, 1, x->dims[1]);
    plan->scales = nn_place(call, call->inputs[IN_W]->dims[2], sizeof(float));
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
    dynamic_plan *plan = call->plan;
    const dynamic_weights *weights = rnn_own(call->state);
    lstm_inputs inputs;
    const int64_t used = used_elements(call), all = op_elements(call->inputs[IN_X]);
    uint8_t *x = nn_at(call, plan->rows[0]);
    for (int k = 0; k < FACTORS; k++) {
        const tl_tensor *zeros = call->inputs[k == 0 ? IN_W_ZERO : IN_R_ZERO];
        if (!weights->packed[k] && plan->products[k].batch.count > 0)
            pack_weights(call->inputs[IN_W + k], nn_at(call, plan->weights[k]));
        for (int64_t i = 0; i < op_elements(zeros); i++)
            ((int32_t *)nn_at(call, plan->zeros[k]))[i] = quant_byte(zeros, i);
    }
    byte_quantize(call->inputs[IN_X]->data, x, used, &plan->row_scale[0], &plan->row_zero[0]);
    if (used < all)
        memset(x + used, plan->row_zero[0], (size_t)(all - used));
    plan->inputs = call->inputs;
    begin_lstm(call, &inputs);
    tl_status status = tl_op_LSTM_7.run(call);
    end_lstm(call, &inputs);
    return status;
}

static void dynamic_destroy(const tl_host *host, void *state)
{
    free_weights(host, rnn_own(state));
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
