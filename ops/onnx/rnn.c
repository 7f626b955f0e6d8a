/* RNN, GRU and LSTM: versions 1 or 3, 7, 14 (layout) and 22 (bfloat16).
 *
 * For each direction the input's part of all gates is one matrix product over all times; then each time adds the
 * state's part. Weights are packed for the products: at create if they are constants. */
#include <strings.h>

#include "onnx/product.h"
#include "onnx/rnn.h"

typedef enum rnn_kind { RNN_SIMPLE, RNN_GRU, RNN_LSTM } rnn_kind;

typedef enum rnn_function {
    RNN_SIGMOID,
    RNN_TANH,
    RNN_RELU,
    RNN_AFFINE,
    RNN_LEAKY_RELU,
    RNN_THRESHOLDED_RELU,
    RNN_SCALED_TANH,
    RNN_HARD_SIGMOID,
    RNN_ELU,
    RNN_SOFTSIGN,
    RNN_SOFTPLUS
} rnn_function;

typedef struct rnn_activation {
    rnn_function kind;
    float alpha, beta;
} rnn_activation;

typedef struct rnn_attributes {
    rnn_kind kind;
    int64_t gates, directions;
    bool reverse; /* the only direction, or the second of two */
    bool batch_first, clipped, linear_before_reset, input_forget;
    float clip;
    int64_t hidden; /* -1: not given */
    rnn_activation functions[2][3];
    rnn_multiply multiply; /* NULL: the products below */
} rnn_attributes;

/* R multiplies the state in one product; GRU's hidden gate in one of its own, where it reads the reset state. */
enum { PRODUCT_INPUT, PRODUCT_STATE, PRODUCT_HIDDEN, PRODUCTS };

typedef struct rnn_state {
    rnn_attributes attributes;
    product_factor factors[PRODUCTS];
    void *packed[PRODUCTS]; /* constants: every direction's, one after the other; or NULL */
    void *own;              /* what `multiply` needs */
} rnn_state;

typedef struct rnn_plan {
    int64_t time, batch, input, hidden;
    int64_t sums_time, sums_batch, y_time, y_batch, y_direction; /* strides in elements */
    size_t sums, biases, gates, h, c, reset, candidate;
    product_plan products[PRODUCTS];
} rnn_plan;

_Static_assert(sizeof(rnn_plan) <= RNN_PLAN_SIZE, "RNN_PLAN_SIZE");

typedef struct rnn_job {
    const rnn_plan *plan;
    const rnn_attributes *attributes;
    const rnn_activation *functions;
    const int32_t *lengths; /* or NULL */
    /* of this direction */
    int64_t direction;
    const void *bias, *peephole;
    void *sums, *biases, *gates, *h[2], *c, *reset, *candidate, *y;
    int current; /* which h is the state now */
    int64_t time;
    bool is_double;
} rnn_job;

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P };

static const int64_t gates_of[] = {1, 3, 4};
static const int32_t functions_of[] = {1, 2, 3};

/* ---- Attributes */

typedef struct function_name {
    const char *name;
    rnn_function kind;
    bool has_alpha, has_beta;
    float alpha, beta;
} function_name;

static const function_name function_names[] = {
    {"Relu", RNN_RELU, false, false, 0, 0},
    {"Tanh", RNN_TANH, false, false, 0, 0},
    {"Sigmoid", RNN_SIGMOID, false, false, 0, 0},
    {"Affine", RNN_AFFINE, true, true, 1, 0},
    {"LeakyRelu", RNN_LEAKY_RELU, true, false, 0.01F, 0},
    {"ThresholdedRelu", RNN_THRESHOLDED_RELU, true, false, 1, 0},
    {"ScaledTanh", RNN_SCALED_TANH, true, true, 1, 1},
    {"HardSigmoid", RNN_HARD_SIGMOID, true, true, 0.2F, 0.5F},
    {"Elu", RNN_ELU, true, false, 1, 0},
    {"Softsign", RNN_SOFTSIGN, false, false, 0, 0},
    {"Softplus", RNN_SOFTPLUS, false, false, 0, 0},
};

static const function_name *find_function(const tl_string *name)
{
    for (size_t i = 0; i < sizeof function_names / sizeof function_names[0]; i++)
        if (strlen(function_names[i].name) == name->size &&
            strncasecmp(function_names[i].name, name->data, name->size) == 0)
            return &function_names[i];
    return NULL;
}

/* alpha and beta are consumed in order by the functions that have one. */
static tl_status parse_functions(const tl_call *call, rnn_attributes *a)
{
    size_t count, alphas, betas, alpha = 0, beta = 0;
    const tl_string *names = call->host->attribute_strings(call->node, "activations", &count);
    const float *alpha_values = call->host->attribute_floats(call->node, "activation_alpha", &alphas);
    const float *beta_values = call->host->attribute_floats(call->node, "activation_beta", &betas);
    const size_t each = (size_t)functions_of[a->kind];
    for (int d = 0; d < 2; d++)
        for (size_t i = 0; i < 3; i++)
            a->functions[d][i].kind = a->kind == RNN_SIMPLE || i > 0 ? RNN_TANH : RNN_SIGMOID;
    /* The simple one's standard default names two, for both directions. */
    if (count != 0 && count != each * (size_t)a->directions && !(a->kind == RNN_SIMPLE && count == 2))
        return tl_fail(call, TL_INVALID_MODEL, "activations has %zu names, but must have %zu", count,
                       each * (size_t)a->directions);
    for (size_t i = 0; i < count && i < each * (size_t)a->directions; i++) {
        const function_name *f = find_function(&names[i]);
        rnn_activation *to = &a->functions[i / each][i % each];
        if (!f)
            return tl_fail(call, TL_INVALID_MODEL, "activations[%zu] is '%.*s', which is not a function", i,
                           (int)nn_min((int64_t)names[i].size, 40), names[i].data);
        to->kind = f->kind;
        to->alpha = f->has_alpha && alpha < alphas ? alpha_values[alpha++] : f->alpha;
        to->beta = f->has_beta && beta < betas ? beta_values[beta++] : f->beta;
    }
    return TL_OK;
}

static tl_status parse_attributes(const tl_call *call, rnn_kind kind, rnn_attributes *a)
{
    enum { FORWARD, REVERSE, BIDIRECTIONAL };
    int direction = FORWARD;
    const tl_status status = op_word(call, "direction", "forward reverse bidirectional", &direction);
    if (status != TL_OK)
        return status;
    memset(a, 0, sizeof *a);
    a->kind = kind;
    a->gates = gates_of[kind];
    a->directions = direction == BIDIRECTIONAL ? 2 : 1;
    a->reverse = direction != FORWARD;
    a->batch_first = call->host->node_version(call->node) >= 14 && op_int(call, "layout") != 0;
    a->clipped = op_given(call, "clip");
    a->clip = a->clipped ? op_float(call, "clip") : 0;
    a->linear_before_reset = kind == RNN_GRU && op_int(call, "linear_before_reset") != 0;
    a->input_forget = kind == RNN_LSTM && op_int(call, "input_forget") != 0;
    a->hidden = op_given(call, "hidden_size") ? op_int(call, "hidden_size") : -1;
    if (a->clipped && !(a->clip >= 0))
        return tl_fail(call, TL_INVALID_MODEL, "clip is %g, but must not be negative", (double)a->clip);
    if (op_given(call, "hidden_size") && a->hidden < 1)
        return tl_fail(call, TL_INVALID_MODEL, "hidden_size is %lld, but must be at least 1", (long long)a->hidden);
    return parse_functions(call, a);
}

/* ---- Shapes */

static tl_dim dim_of(const tl_tensor *tensor, int32_t axis)
{
    return tensor && tensor->rank > axis ? tensor->dims[axis] : TL_DIM_UNKNOWN;
}

static tl_status check_shape(const tl_call *call, size_t k, int32_t rank, const tl_dim *dims, const char *why)
{
    tl_status status = nn_check_rank(call, k, rank, rank);
    for (int32_t i = 0; i < rank && status == TL_OK; i++)
        status = nn_check_dim(call, k, i, dims[i], why);
    return status;
}

/* Sizes as far as known, and everything that must agree with them. */
static tl_status rnn_sizes(const tl_call *call, const rnn_attributes *a, tl_dim *time, tl_dim *batch, tl_dim *hidden)
{
    const tl_tensor *x = call->inputs[IN_X], *w = call->inputs[IN_W], *r = call->inputs[IN_R];
    tl_status status = nn_check_rank(call, IN_X, 3, 3);
    for (size_t k = IN_W; k <= IN_R && status == TL_OK; k++)
        status = nn_check_rank(call, k, 3, 3);
    if (status != TL_OK)
        return status;
    *time = dim_of(x, a->batch_first ? 1 : 0);
    *batch = dim_of(x, a->batch_first ? 0 : 1);
    *hidden = a->hidden >= 0 ? a->hidden : dim_of(r, 2);
    tl_dim width = TL_DIM_UNKNOWN;
    if (*hidden < 0 && dim_of(w, 1) >= 0)
        *hidden = dim_of(w, 1) / a->gates;
    if (*hidden >= 0 && !nn_mul(*hidden, 2 * a->gates, &width))
        return tl_fail(call, TL_INVALID_MODEL, "hidden_size is %lld, which is too large", (long long)*hidden);
    tl_dim half = width < 0 ? TL_DIM_UNKNOWN : width / 2;
    const tl_dim w_dims[] = {a->directions, half, dim_of(x, 2)}, r_dims[] = {a->directions, half, *hidden};
    const tl_dim b_dims[] = {a->directions, width},
                 p_dims[] = {a->directions, *hidden < 0 ? TL_DIM_UNKNOWN : 3 * *hidden};
    const tl_dim s_dims[] = {a->batch_first ? *batch : a->directions, a->batch_first ? a->directions : *batch, *hidden};
    status = check_shape(call, IN_W, 3, w_dims, "directions, gates of all hidden units, input size");
    if (status == TL_OK)
        status = check_shape(call, IN_R, 3, r_dims, "directions, gates of all hidden units, hidden size");
    if (status == TL_OK)
        status = check_shape(call, IN_B, 2, b_dims, "directions, two biases for each gate");
    if (status == TL_OK)
        status = check_shape(call, IN_LENGTHS, 1, batch, "one length for each sequence");
    for (size_t k = IN_H; k <= IN_C && status == TL_OK; k++)
        status = check_shape(call, k, 3, s_dims, "the state's shape");
    return status == TL_OK ? check_shape(call, IN_P, 2, p_dims, "directions, three weights for each hidden unit")
                           : status;
}

static bool has_product(const rnn_attributes *a, int k)
{
    return k != PRODUCT_HIDDEN || (a->kind == RNN_GRU && !a->linear_before_reset);
}

/* Gates whose state's part comes out of PRODUCT_STATE. */
static int64_t state_gates(const rnn_attributes *a)
{
    return has_product(a, PRODUCT_HIDDEN) ? a->gates - 1 : a->gates;
}

/* The factor of product k: (lines, depth) rows of W or R. */
static product_factor rnn_factor(const rnn_attributes *a, int k, int64_t input, int64_t hidden, tl_type type)
{
    const int64_t gates = k == PRODUCT_HIDDEN ? 1 : k == PRODUCT_STATE ? state_gates(a) : a->gates;
    const tl_tensor view = {.type = type, .rank = 2, .dims = {gates * hidden, k == PRODUCT_INPUT ? input : hidden}};
    return product_factor_b(&view, true, false);
}

static void place_workspace(tl_call *call, const rnn_attributes *a, rnn_plan *plan, tl_type type)
{
    const rnn_state *state = call->state;
    const size_t size = type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    const int64_t width = a->gates * plan->hidden;
    int64_t rows = 0, all = 0, units = 0, wide = 0;
    if (!nn_mul(plan->time, plan->batch, &rows) || !nn_mul(rows, width, &all))
        all = INT64_MAX;
    if (!nn_mul(plan->batch, width, &wide) || !nn_mul(plan->batch, plan->hidden, &units))
        wide = units = INT64_MAX;
    plan->sums = nn_place(call, all, size);
    plan->biases = nn_place(call, width, size);
    plan->gates = nn_place(call, wide, size);
    plan->h = nn_place(call, units, 2 * size);
    plan->c = nn_place(call, units, size);
    plan->reset = nn_place(call, units, size);
    plan->candidate = nn_place(call, units, size);
    for (int k = 0; k < PRODUCTS && has_product(a, k) && !a->multiply; k++) {
        const int64_t depth = k == PRODUCT_INPUT ? plan->input : plan->hidden;
        const tl_tensor view = {.type = type, .rank = 2, .dims = {k == PRODUCT_INPUT ? rows : plan->batch, depth}};
        product_set(&plan->products[k], type, product_factor_a(&view, false),
                    rnn_factor(a, k, plan->input, plan->hidden, type));
        product_place(call, &plan->products[k], state && state->packed[k]);
    }
}

static uint64_t rnn_packed(const tl_call *call)
{
    const rnn_state *state = call->state;
    return !state ? 0 : (state->packed[PRODUCT_INPUT] ? 1 << IN_W : 0) | (state->packed[PRODUCT_STATE] ? 1 << IN_R : 0);
}

static tl_status rnn_reshape(tl_call *call, rnn_kind kind)
{
    rnn_attributes local;
    tl_dim time, batch, hidden;
    tl_status status = TL_OK;
    if (call->state)
        local = ((const rnn_state *)call->state)->attributes;
    else
        status = parse_attributes(call, kind, &local);
    if (status == TL_OK)
        status = rnn_sizes(call, &local, &time, &batch, &hidden);
    if (status != TL_OK)
        return status;
    tl_tensor *y = op_output(call, 0);
    if (y) {
        y->rank = 4;
        y->dims[0] = local.batch_first ? batch : time;
        y->dims[1] = local.batch_first ? time : local.directions;
        y->dims[2] = local.batch_first ? local.directions : batch;
        y->dims[3] = hidden;
    }
    for (size_t k = 1; k < call->output_count; k++)
        if (call->outputs[k]) {
            call->outputs[k]->rank = 3;
            call->outputs[k]->dims[0] = local.batch_first ? batch : local.directions;
            call->outputs[k]->dims[1] = local.batch_first ? local.directions : batch;
            call->outputs[k]->dims[2] = hidden;
        }
    if (!call->plan)
        return TL_OK;
    rnn_plan *plan = call->plan;
    plan->time = time;
    plan->batch = batch;
    plan->hidden = hidden;
    plan->input = call->inputs[IN_X]->dims[2];
    plan->sums_batch = local.gates * hidden * (local.batch_first ? time : 1);
    plan->sums_time = local.gates * hidden * (local.batch_first ? 1 : batch);
    plan->y_time = local.directions * hidden * (local.batch_first ? 1 : batch);
    plan->y_batch = local.batch_first ? time * local.directions * hidden : hidden;
    plan->y_direction = local.batch_first ? hidden : batch * hidden;
    call->workspace_size = 0;
    nn_widen_place(call, rnn_packed(call));
    place_workspace(call, &local, plan, call->inputs[IN_X]->type == TL_DOUBLE ? TL_DOUBLE : TL_FLOAT);
    return TL_OK;
}

/* ---- Run */

static int64_t plan_length(const rnn_job *job, int64_t b)
{
    return job->lengths ? job->lengths[b] : job->plan->time;
}

/* Functions that the kernels have too. */
static bool has_kernel(const rnn_activation *f, tlk_activation *activation)
{
    static const struct {
        bool there;
        tlk_activation_kind kind;
    } kernels[] = {[RNN_RELU] = {true, TLK_RELU},
                   [RNN_SIGMOID] = {true, TLK_SIGMOID},
                   [RNN_TANH] = {true, TLK_TANH},
                   [RNN_LEAKY_RELU] = {true, TLK_LEAKY_RELU},
                   [RNN_HARD_SIGMOID] = {true, TLK_HARD_SIGMOID},
                   [RNN_ELU] = {true, TLK_ELU},
                   [RNN_SOFTSIGN] = {true, TLK_SOFTSIGN},
                   [RNN_SOFTPLUS] = {true, TLK_SOFTPLUS}};
    if ((size_t)f->kind >= sizeof kernels / sizeof kernels[0] || !kernels[f->kind].there)
        return false;
    *activation = (tlk_activation){.kind = kernels[f->kind].kind, .a = f->alpha, .b = f->beta};
    return true;
}

/* x's part of the gates at this time, from a column on. */
static void *sums_at(const rnn_job *job, int64_t column)
{
    const size_t size = job->is_double ? sizeof(double) : sizeof(float);
    return (char *)job->sums + (size_t)(job->time * job->plan->sums_time + column) * size;
}

/* An LSTM as nearly all are, for which there is a kernel; it adds x's part of the gates, too. */
static bool is_usual_lstm(const rnn_job *job)
{
    const rnn_attributes *a = job->attributes;
    const rnn_activation *f = job->functions;
    return a->kind == RNN_LSTM && !a->multiply && !job->is_double && !a->clipped && !a->input_forget &&
           !job->peephole && f[0].kind == RNN_SIGMOID && f[1].kind == RNN_TANH && f[2].kind == RNN_TANH;
}

/* The same of a GRU. */
static bool is_usual_gru(const rnn_job *job)
{
    const rnn_activation *f = job->functions;
    return !job->is_double && !job->attributes->clipped && f[0].kind == RNN_SIGMOID && f[1].kind == RNN_TANH;
}

#define REAL            float
#define KERNEL_ACTIVATE 1
#define MATH(function)  function##f
#define T(name)         name##_f32
#include "onnx/rnn_template.h"

#define REAL            double
#define KERNEL_ACTIVATE 0
#define MATH(function)  function
#define T(name)         name##_f64
#include "onnx/rnn_template.h"

#define UNITS 64 /* hidden units that are computed together */

#define UNIT_TASK(name, function)                                                     \
    static void name(void *context, int64_t begin, int64_t end, int32_t thread)       \
    {                                                                                 \
        const rnn_job *job = context;                                                 \
        (void)thread;                                                                 \
        for (int64_t at = begin; at < end; at++) {                                    \
            int64_t first = at * UNITS, n = nn_min(UNITS, job->plan->hidden - first); \
            if (job->is_double)                                                       \
                function##_f64(job, first, n);                                        \
            else                                                                      \
                function##_f32(job, first, n);                                        \
        }                                                                             \
    }
UNIT_TASK(rnn_task, rnn_units)
UNIT_TASK(lstm_task, lstm_units)
UNIT_TASK(gru_reset_task, gru_reset)
UNIT_TASK(gru_task, gru_units)

/* Direction d's packed weights of product k; NULL: they are packed in the run. */
static const void *packed_weights(const tl_call *call, int k, int64_t d)
{
    const rnn_state *state = call->state;
    return state->packed[k] ? (const char *)state->packed[k] + (size_t)d * state->factors[k].each : NULL;
}

/* Packs run-time weights of direction d into the workspace: they are the same for all times. */
static const void *direction_weights(tl_call *call, int k, int64_t d)
{
    const rnn_plan *plan = call->plan;
    const tl_tensor *in = call->inputs[k == PRODUCT_INPUT ? IN_W : IN_R];
    const size_t size = in->type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    const product_factor *f = &plan->products[k].b;
    const void *packed = packed_weights(call, k, d);
    if (packed || product_is_empty(&plan->products[k]))
        return packed;
    int64_t row = d * in->dims[1] + (k == PRODUCT_HIDDEN ? 2 * plan->hidden : 0);
    if (f->depth > 0)
        product_pack(f, in->type, (const char *)in->data + (size_t)(row * f->depth) * size, 0, f->pieces,
                     nn_at(call, plan->products[k].b_packed));
    else
        memset(nn_at(call, plan->products[k].b_packed), 0, f->each);
    return nn_at(call, plan->products[k].b_packed);
}

/* The state's part of the gates of one time. */
static void multiply_state(tl_call *call, const rnn_job *job, const void *const *packed)
{
    const rnn_plan *plan = job->plan;
    const void *h = job->h[job->current];
    if (job->attributes->multiply) {
        job->attributes->multiply(call, true, job->direction, h, sums_at(job, 0), plan->sums_batch, job->gates);
        return;
    }
    const bool adds_later = job->attributes->kind == RNN_GRU || is_usual_lstm(job);
    const product_result result = {.c = job->gates,
                                   .add = adds_later ? NULL : sums_at(job, 0),
                                   .add_row_step = plan->sums_batch,
                                   .add_column_step = 1,
                                   .alpha = 1,
                                   .beta = 1};
    product_run(call, &plan->products[PRODUCT_STATE], h, NULL, packed[PRODUCT_STATE], &result);
}

/* GRU's hidden gate, where it reads the reset state. */
static void multiply_reset(tl_call *call, const rnn_job *job, const void *const *packed)
{
    const rnn_plan *plan = job->plan;
    const product_result result = {.c = job->candidate, .alpha = 1};
    product_run(call, &plan->products[PRODUCT_HIDDEN], job->reset, NULL, packed[PRODUCT_HIDDEN], &result);
}

static void run_steps(tl_call *call, rnn_job *job, bool reverse, const void *const *packed)
{
    const rnn_plan *plan = job->plan;
    const rnn_kind kind = job->attributes->kind;
    const int64_t blocks = nn_ceil_div(plan->hidden, UNITS), grain = nn_grain(plan->batch * UNITS, 1 << 12);
    for (int64_t step = 0; step < plan->time; step++) {
        job->time = reverse ? plan->time - 1 - step : step;
        multiply_state(call, job, packed);
        if (has_product(job->attributes, PRODUCT_HIDDEN)) {
            call->host->parallel_for(call, gru_reset_task, job, blocks, grain);
            multiply_reset(call, job, packed);
        }
        call->host->parallel_for(call,
                                 kind == RNN_GRU    ? gru_task
                                 : kind == RNN_LSTM ? lstm_task
                                                    : rnn_task,
                                 job, blocks, grain);
        job->current = !job->current;
    }
}

/* Offset, in elements, of direction d and sequence b of a state (dir, b, hidden) or (b, dir, hidden). */
static int64_t state_at(const rnn_job *job, int64_t d, int64_t b)
{
    const rnn_attributes *a = job->attributes;
    return (a->batch_first ? b * a->directions + d : d * job->plan->batch + b) * job->plan->hidden;
}

static void read_state(const rnn_job *job, const tl_tensor *from, int64_t d, char *to, size_t size)
{
    const size_t bytes = (size_t)job->plan->hidden * size;
    for (int64_t b = 0; b < job->plan->batch; b++)
        if (from)
            memcpy(to + (size_t)b * bytes, (const char *)from->data + (size_t)state_at(job, d, b) * size, bytes);
        else
            memset(to + (size_t)b * bytes, 0, bytes);
}

static void write_state(const rnn_job *job, const tl_tensor *to, int64_t d, const char *from, size_t size)
{
    const size_t bytes = (size_t)job->plan->hidden * size;
    for (int64_t b = 0; to && b < job->plan->batch; b++)
        memcpy((char *)to->data + (size_t)state_at(job, d, b) * size, from + (size_t)b * bytes, bytes);
}

static const void *part(const tl_tensor *tensor, int64_t at, size_t size)
{
    return tensor ? (const char *)tensor->data + (size_t)at * size : NULL;
}

static void run_direction(tl_call *call, const rnn_attributes *a, int64_t d)
{
    const rnn_plan *plan = call->plan;
    const tl_tensor *x = call->inputs[IN_X], *lengths = op_input(call, IN_LENGTHS), *y = op_output(call, 0);
    const size_t size = x->type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    const int64_t width = a->gates * plan->hidden;
    const void *packed[PRODUCTS] = {NULL};
    rnn_job job = {.plan = plan,
                   .attributes = a,
                   .functions = a->functions[d],
                   .lengths = lengths ? lengths->data : NULL,
                   .direction = d,
                   .bias = part(op_input(call, IN_B), d * 2 * width, size),
                   .peephole = part(op_input(call, IN_P), d * 3 * plan->hidden, size),
                   .sums = nn_at(call, plan->sums),
                   .biases = nn_at(call, plan->biases),
                   .gates = nn_at(call, plan->gates),
                   .c = nn_at(call, plan->c),
                   .reset = nn_at(call, plan->reset),
                   .candidate = nn_at(call, plan->candidate),
                   .y = y ? (char *)y->data + (size_t)(d * plan->y_direction) * size : NULL,
                   .is_double = size == sizeof(double)};
    job.h[0] = nn_at(call, plan->h);
    job.h[1] = (char *)job.h[0] + (size_t)(plan->batch * plan->hidden) * size;
    read_state(&job, op_input(call, IN_H), d, job.h[0], size);
    read_state(&job, op_input(call, IN_C), d, job.c, size);
    for (int k = 0; k < PRODUCTS && has_product(a, k) && !a->multiply; k++)
        packed[k] = direction_weights(call, k, d);
    if (job.is_double)
        add_biases_f64(&job);
    else
        add_biases_f32(&job);
    const product_result sums = {.c = job.sums, .add = job.biases, .add_column_step = 1, .alpha = 1, .beta = 1};
    if (a->multiply)
        a->multiply(call, false, d, x->data, job.biases, 0, job.sums);
    else
        product_run(call, &plan->products[PRODUCT_INPUT], x->data, NULL, packed[PRODUCT_INPUT], &sums);
    run_steps(call, &job, d == a->directions - 1 && a->reverse, packed);
    write_state(&job, op_output(call, 1), d, job.h[job.current], size);
    write_state(&job, op_output(call, 2), d, job.c, size);
}

static tl_status rnn_real(tl_call *call)
{
    const rnn_state *state = call->state;
    const rnn_plan *plan = call->plan;
    const tl_tensor *lengths = op_input(call, IN_LENGTHS);
    for (int64_t b = 0; lengths && b < plan->batch; b++) {
        int32_t n = ((const int32_t *)lengths->data)[b];
        if (n < 0 || n > plan->time)
            return tl_fail(call, TL_INVALID_INPUT, "sequence_lens[%lld] is %d, but must be in [0, %lld]", (long long)b,
                           n, (long long)plan->time);
    }
    if (plan->batch > 0 && plan->hidden > 0)
        for (int64_t d = 0; d < state->attributes.directions; d++)
            run_direction(call, &state->attributes, d);
    return TL_OK;
}

static tl_status rnn_run(tl_call *call)
{
    return nn_widen_run(call, rnn_packed(call), rnn_real);
}

/* ---- Create */

/* Product k's constant weights, of every direction. Shapes that do not fit each other are not packed: reshape reports
 * them. */
static tl_status pack_weights(const tl_call *call, int k, rnn_state *state)
{
    const rnn_attributes *a = &state->attributes;
    const tl_tensor *in = call->inputs[k == PRODUCT_INPUT ? IN_W : IN_R];
    const tl_type type = in->type == TL_DOUBLE ? TL_DOUBLE : TL_FLOAT;
    float *floats;
    size_t bytes;
    if (!in->data || in->rank != 3 || op_elements(in) == 0 || in->dims[0] != a->directions ||
        in->dims[1] % a->gates != 0)
        return TL_OK;
    const int64_t hidden = in->dims[1] / a->gates, depth = in->dims[2];
    if (k != PRODUCT_INPUT && depth != hidden)
        return TL_OK;
    const product_factor f = rnn_factor(a, k, depth, hidden, type);
    tl_status status = nn_pack_half(call, k == PRODUCT_INPUT ? IN_W : IN_R, &floats);
    if (status != TL_OK)
        return status;
    if (f.each != SIZE_MAX && !__builtin_mul_overflow((size_t)a->directions, f.each, &bytes))
        state->packed[k] = call->host->alloc(call->host, bytes, 64);
    const int64_t size = type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    for (int64_t d = 0; state->packed[k] && d < a->directions; d++) {
        int64_t row = d * in->dims[1] + (k == PRODUCT_HIDDEN ? 2 * hidden : 0);
        product_pack(&f, type, (floats ? (const char *)floats : (const char *)in->data) + row * depth * size, 0,
                     f.pieces, (char *)state->packed[k] + (size_t)d * f.each);
    }
    if (floats)
        call->host->free(call->host, floats);
    state->factors[k] = f;
    return state->packed[k] ? TL_OK : tl_fail(call, TL_NO_MEMORY, "no memory for packed weights");
}

static void rnn_destroy(const tl_host *host, void *memory)
{
    rnn_state *state = memory;
    for (int k = 0; k < PRODUCTS; k++)
        if (state->packed[k])
            host->free(host, state->packed[k]);
    host->free(host, state);
}

static tl_status rnn_create(tl_call *call, rnn_kind kind)
{
    rnn_state *state = nn_new_state(call, sizeof *state);
    if (!state)
        return TL_NO_MEMORY;
    tl_status status = parse_attributes(call, kind, &state->attributes);
    for (int k = 0; k < PRODUCTS && status == TL_OK && has_product(&state->attributes, k); k++)
        status = pack_weights(call, k, state);
    if (status != TL_OK) {
        rnn_destroy(call->host, state);
        return status;
    }
    call->state = state;
    call->packed = rnn_packed(call);
    return TL_OK;
}

tl_status rnn_create_with(tl_call *call, rnn_multiply multiply, void *own)
{
    tl_status status = rnn_create(call, RNN_LSTM);
    if (status == TL_OK) {
        ((rnn_state *)call->state)->attributes.multiply = multiply;
        ((rnn_state *)call->state)->own = own;
    }
    return status;
}

void *rnn_own(const void *state)
{
    return ((const rnn_state *)state)->own;
}

#define RNN_STEPS(name, kind)                      \
    static tl_status name##_create(tl_call *call)  \
    {                                              \
        return rnn_create(call, kind);             \
    }                                              \
    static tl_status name##_reshape(tl_call *call) \
    {                                              \
        return rnn_reshape(call, kind);            \
    }
RNN_STEPS(simple, RNN_SIMPLE)
RNN_STEPS(gru, RNN_GRU)
RNN_STEPS(lstm, RNN_LSTM)

/* ---- Schemas */

#define COMMON_INPUTS                                                                         \
    OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("W", TL_T_FLOATS, 'T'), OP_IN("R", TL_T_FLOATS, 'T'), \
        OP_OPT("B", TL_T_FLOATS, 'T'), OP_OPT("sequence_lens", TL_T(TL_INT32), 0),            \
        OP_OPT("initial_h", TL_T_FLOATS, 'T')
#define COMMON_OUTPUTS OP_OPT("Y", TL_T_FLOATS, 'T'), OP_OPT("Y_h", TL_T_FLOATS, 'T')
#define COMMON_ATTRIBUTES                                                                                            \
    {.name = "activations", .kind = TL_ATTR_STRINGS}, {.name = "activation_alpha", .kind = TL_ATTR_FLOATS},          \
        {.name = "activation_beta", .kind = TL_ATTR_FLOATS}, OP_FLOAT("clip", 0), OP_STRING("direction", "forward"), \
        OP_INT("hidden_size", 0)

static const tl_param rnn_input[] = {COMMON_INPUTS};
static const tl_param rnn_output[] = {COMMON_OUTPUTS};
static const tl_param lstm_input[] = {COMMON_INPUTS, OP_OPT("initial_c", TL_T_FLOATS, 'T'),
                                      OP_OPT("P", TL_T_FLOATS, 'T')};
static const tl_param lstm_output[] = {COMMON_OUTPUTS, OP_OPT("Y_c", TL_T_FLOATS, 'T')};
/* Before version 7, 0 says that Y may be missing, which every output now may. */
#define OUTPUT_SEQUENCE OP_INT("output_sequence", 0)
static const tl_attribute_spec simple_attribute_1[] = {COMMON_ATTRIBUTES, OUTPUT_SEQUENCE};
static const tl_attribute_spec simple_attribute_7[] = {COMMON_ATTRIBUTES};
static const tl_attribute_spec simple_attribute_14[] = {COMMON_ATTRIBUTES, OP_INT("layout", 0)};
static const tl_attribute_spec gru_attribute_3[] = {COMMON_ATTRIBUTES, OP_INT("linear_before_reset", 0),
                                                    OUTPUT_SEQUENCE};
static const tl_attribute_spec gru_attribute_7[] = {COMMON_ATTRIBUTES, OP_INT("linear_before_reset", 0)};
static const tl_attribute_spec gru_attribute_14[] = {COMMON_ATTRIBUTES, OP_INT("linear_before_reset", 0),
                                                     OP_INT("layout", 0)};
static const tl_attribute_spec lstm_attribute_1[] = {COMMON_ATTRIBUTES, OP_INT("input_forget", 0), OUTPUT_SEQUENCE};
static const tl_attribute_spec lstm_attribute_7[] = {COMMON_ATTRIBUTES, OP_INT("input_forget", 0)};
static const tl_attribute_spec lstm_attribute_14[] = {COMMON_ATTRIBUTES, OP_INT("input_forget", 0),
                                                      OP_INT("layout", 0)};

#define RECURRENT(name, since, steps, params)                                                                         \
    {                                                                                                                 \
        OP_HEAD(name, since), OP_PARAMS(input, params##_input), OP_PARAMS(output, params##_output),                   \
            OP_PARAMS(attribute, steps##_attribute_##since), .plan_size = sizeof(rnn_plan), .create = steps##_create, \
                                                             .reshape = steps##_reshape, .run = rnn_run,              \
                                                             .destroy = rnn_destroy                                   \
    }
OP_DESCRIPTOR(RNN, 1) = RECURRENT(RNN, 1, simple, rnn);
OP_DESCRIPTOR(RNN, 7) = RECURRENT(RNN, 7, simple, rnn);
OP_DESCRIPTOR(RNN, 14) = RECURRENT(RNN, 14, simple, rnn);
OP_DESCRIPTOR(GRU, 3) = RECURRENT(GRU, 3, gru, rnn);
OP_DESCRIPTOR(GRU, 7) = RECURRENT(GRU, 7, gru, rnn);
OP_DESCRIPTOR(GRU, 14) = RECURRENT(GRU, 14, gru, rnn);
OP_DESCRIPTOR(LSTM, 1) = RECURRENT(LSTM, 1, lstm, lstm);
OP_DESCRIPTOR(LSTM, 7) = RECURRENT(LSTM, 7, lstm, lstm);
OP_DESCRIPTOR(LSTM, 14) = RECURRENT(LSTM, 14, lstm, lstm);
