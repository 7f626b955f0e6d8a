/* RNN, GRU and LSTM: versions 7, 14 (layout) and 22 (bfloat16).
 *
 * For each direction the input's part of all gates is one matrix product over all times; then each time adds the
 * state's part. Weights are transposed, so that products read rows: at create if they are constants. */
#include <strings.h>

#include "onnx/gemm.h"
#include "onnx/nn.h"

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
} rnn_attributes;

typedef struct rnn_state {
    rnn_attributes attributes;
    void *w, *r; /* transposed constants, in float or double; or NULL */
} rnn_state;

typedef struct rnn_plan {
    int64_t time, batch, input, hidden;
    int64_t sums_time, sums_batch, y_time, y_batch, y_direction; /* strides in elements */
    size_t sums, h, c, reset, w, r;
} rnn_plan;

typedef struct rnn_job {
    const rnn_plan *plan;
    const rnn_attributes *attributes;
    const rnn_activation *functions;
    const int32_t *lengths; /* or NULL */
    /* of this direction */
    const void *x, *w, *r, *bias, *reset_bias, *peephole;
    void *sums, *h[2], *c, *reset, *y;
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
    const char *direction = op_string(call, "direction");
    memset(a, 0, sizeof *a);
    a->kind = kind;
    a->gates = gates_of[kind];
    a->directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1;
    a->reverse = strcmp(direction, "forward") != 0;
    if (a->reverse && a->directions == 1 && strcmp(direction, "reverse") != 0)
        return tl_fail(call, TL_INVALID_MODEL, "direction is '%s', but must be forward, reverse or bidirectional",
                       direction);
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

static void place_workspace(tl_call *call, const rnn_attributes *a, rnn_plan *plan, tl_type type)
{
    const rnn_state *state = call->state;
    const size_t size = type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    int64_t rows = 0, all = 0, units = 0, width = a->gates * plan->hidden, weights = 0, twice = 0;
    if (!nn_mul(plan->time, plan->batch, &rows) || !nn_mul(rows, width, &all))
        all = INT64_MAX;
    if (!nn_mul(plan->batch, plan->hidden, &units) || !nn_mul(units, 2, &twice))
        twice = INT64_MAX;
    plan->sums = nn_place(call, all, size);
    plan->h = nn_place(call, twice, size);
    plan->c = nn_place(call, units, size);
    plan->reset = nn_place(call, units, size);
    if (!state || !state->w)
        plan->w = nn_place(call, nn_mul(width, plan->input, &weights) ? weights : INT64_MAX, size);
    if (!state || !state->r)
        plan->r = nn_place(call, nn_mul(width, plan->hidden, &weights) ? weights : INT64_MAX, size);
}

static uint64_t rnn_packed(const tl_call *call)
{
    const rnn_state *state = call->state;
    return !state ? 0 : (state->w ? 1 << IN_W : 0) | (state->r ? 1 << IN_R : 0);
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
    place_workspace(call, &local, plan, call->inputs[IN_X]->type);
    return TL_OK;
}

/* ---- Run */

static int64_t plan_length(const rnn_job *job, int64_t b)
{
    return job->lengths ? job->lengths[b] : job->plan->time;
}

#define REAL           float
#define REAL_GEMM      gemm_f32
#define MATH(function) function##f
#define T(name)        name##_f32
#include "onnx/rnn_template.h"

#define REAL           double
#define REAL_GEMM      gemm_f64
#define MATH(function) function
#define T(name)        name##_f64
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
UNIT_TASK(gru_gates_task, gru_gates)
UNIT_TASK(gru_task, gru_units)

static void run_steps(tl_call *call, rnn_job *job, bool reverse)
{
    const rnn_plan *plan = job->plan;
    const int64_t blocks = nn_ceil_div(plan->hidden, UNITS);
    const double cost = (double)plan->batch * (double)job->attributes->gates * UNITS * (double)plan->hidden;
    const int64_t grain = nn_grain(cost > 1e9 ? (int64_t)1e9 : (int64_t)cost, 1 << 15);
    for (int64_t step = 0; step < plan->time; step++) {
        job->time = reverse ? plan->time - 1 - step : step;
        if (job->attributes->kind == RNN_GRU)
            call->host->parallel_for(call, gru_gates_task, job, blocks, grain);
        call->host->parallel_for(call,
                                 job->attributes->kind == RNN_GRU    ? gru_task
                                 : job->attributes->kind == RNN_LSTM ? lstm_task
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

/* Direction d's weights, transposed; `packed` holds all directions if they were constant. */
static const void *weights(const tl_call *call, size_t k, const void *packed, int64_t d, size_t offset)
{
    const tl_tensor *in = call->inputs[k];
    const int64_t rows = in->dims[1], columns = in->dims[2], at = d * rows * columns;
    const bool is_double = call->inputs[IN_X]->type == TL_DOUBLE;
    if (packed)
        return is_double ? (const void *)((const double *)packed + at) : (const void *)((const float *)packed + at);
    if (is_double)
        transpose_weights_f64((const double *)in->data + at, nn_at(call, offset), rows, columns);
    else
        transpose_weights_f32((const float *)in->data + at, nn_at(call, offset), rows, columns);
    return nn_at(call, offset);
}

static const void *part(const tl_tensor *tensor, int64_t at, size_t size)
{
    return tensor ? (const char *)tensor->data + (size_t)at * size : NULL;
}

static void run_direction(tl_call *call, const rnn_attributes *a, int64_t d)
{
    const rnn_plan *plan = call->plan;
    const rnn_state *state = call->state;
    const tl_tensor *x = call->inputs[IN_X], *lengths = op_input(call, IN_LENGTHS), *y = op_output(call, 0);
    const size_t size = x->type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    const int64_t width = a->gates * plan->hidden;
    rnn_job job = {.plan = plan,
                   .attributes = a,
                   .functions = a->functions[d],
                   .lengths = lengths ? lengths->data : NULL,
                   .x = x->data,
                   .w = weights(call, IN_W, state ? state->w : NULL, d, plan->w),
                   .r = weights(call, IN_R, state ? state->r : NULL, d, plan->r),
                   .bias = part(op_input(call, IN_B), d * 2 * width, size),
                   .peephole = part(op_input(call, IN_P), d * 3 * plan->hidden, size),
                   .sums = nn_at(call, plan->sums),
                   .c = nn_at(call, plan->c),
                   .reset = nn_at(call, plan->reset),
                   .y = y ? (char *)y->data + (size_t)(d * plan->y_direction) * size : NULL,
                   .is_double = size == sizeof(double)};
    job.reset_bias = job.bias ? (const char *)job.bias + (size_t)(width + 2 * plan->hidden) * size : NULL;
    job.h[0] = nn_at(call, plan->h);
    job.h[1] = (char *)job.h[0] + (size_t)(plan->batch * plan->hidden) * size;
    read_state(&job, op_input(call, IN_H), d, job.h[0], size);
    read_state(&job, op_input(call, IN_C), d, job.c, size);
    call->host->parallel_for(call, job.is_double ? input_task_f64 : input_task_f32, &job, plan->time * plan->batch,
                             nn_max(16, nn_grain(nn_max(1, plan->input) * width, 1 << 16)));
    run_steps(call, &job, d == a->directions - 1 && a->reverse);
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

/* A constant W or R of all directions, transposed; NULL where input k is not constant. */
static tl_status pack_weights(const tl_call *call, size_t k, void **packed)
{
    const tl_tensor *in = call->inputs[k];
    float *floats;
    *packed = NULL;
    if (!in->data || in->rank != 3)
        return TL_OK; /* not known, or an error that reshape reports */
    tl_status status = nn_pack_half(call, k, &floats);
    if (status != TL_OK)
        return status;
    const size_t size = in->type == TL_DOUBLE ? sizeof(double) : sizeof(float);
    const int64_t each = in->dims[1] * in->dims[2];
    *packed = call->host->alloc(call->host, (size_t)op_elements(in) * size, 64);
    for (int64_t d = 0; *packed && d < in->dims[0]; d++)
        if (in->type == TL_DOUBLE)
            transpose_weights_f64((const double *)in->data + d * each, (double *)*packed + d * each, in->dims[1],
                                  in->dims[2]);
        else
            transpose_weights_f32((floats ? floats : (const float *)in->data) + d * each, (float *)*packed + d * each,
                                  in->dims[1], in->dims[2]);
    if (floats)
        call->host->free(call->host, floats);
    return *packed ? TL_OK : tl_fail(call, TL_NO_MEMORY, "no memory for packed weights");
}

static void rnn_destroy(const tl_host *host, void *memory)
{
    rnn_state *state = memory;
    if (state->w)
        host->free(host, state->w);
    if (state->r)
        host->free(host, state->r);
    host->free(host, state);
}

static tl_status rnn_create(tl_call *call, rnn_kind kind)
{
    rnn_state *state = nn_new_state(call, sizeof *state);
    if (!state)
        return TL_NO_MEMORY;
    tl_status status = parse_attributes(call, kind, &state->attributes);
    if (status == TL_OK)
        status = pack_weights(call, IN_W, &state->w);
    if (status == TL_OK)
        status = pack_weights(call, IN_R, &state->r);
    if (status != TL_OK) {
        rnn_destroy(call->host, state);
        return status;
    }
    call->state = state;
    call->packed = rnn_packed(call);
    return TL_OK;
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
static const tl_attribute_spec simple_attribute_7[] = {COMMON_ATTRIBUTES};
static const tl_attribute_spec simple_attribute_14[] = {COMMON_ATTRIBUTES, OP_INT("layout", 0)};
static const tl_attribute_spec gru_attribute_7[] = {COMMON_ATTRIBUTES, OP_INT("linear_before_reset", 0)};
static const tl_attribute_spec gru_attribute_14[] = {COMMON_ATTRIBUTES, OP_INT("linear_before_reset", 0),
                                                     OP_INT("layout", 0)};
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
OP_DESCRIPTOR(RNN, 7) = RECURRENT(RNN, 7, simple, rnn);
OP_DESCRIPTOR(RNN, 14) = RECURRENT(RNN, 14, simple, rnn);
OP_DESCRIPTOR(GRU, 7) = RECURRENT(GRU, 7, gru, rnn);
OP_DESCRIPTOR(GRU, 14) = RECURRENT(GRU, 14, gru, rnn);
OP_DESCRIPTOR(LSTM, 7) = RECURRENT(LSTM, 7, lstm, lstm);
OP_DESCRIPTOR(LSTM, 14) = RECURRENT(LSTM, 14, lstm, lstm);
