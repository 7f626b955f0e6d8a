/* Momentum, Adagrad and Adam of ai.onnx.preview.training: one step of an optimiser, for any number of tensors.
 *
 * The inputs are R (learning rate), T (steps so far), then all tensors X, all gradients G, and each optimiser's states
 * in the same order; the outputs are the new X and the new states. */
#include "onnx/nn.h"

typedef enum optimiser { MOMENTUM, ADAGRAD, ADAM } optimiser;

enum { IN_RATE, IN_STEPS, IN_FIRST };

static const size_t states_of[] = {1, 1, 2};

typedef struct step {
    double rate; /* with everything that T does to it */
    double norm, epsilon, alpha, beta, post;
    bool nesterov;
} step;

static tl_status training_reshape(tl_call *call, optimiser kind)
{
    const size_t each = states_of[kind] + 2, groups = call->input_count - IN_FIRST, count = groups / each;
    if (groups == 0 || groups % each != 0 || call->output_count > count * (each - 1))
        return tl_fail(call, TL_INVALID_MODEL,
                       "there must be %zu inputs for each tensor after R and T, and %zu outputs", each, each - 1);
    int mode;
    tl_status status = kind == MOMENTUM ? op_word(call, "mode", "nesterov standard", &mode) : TL_OK;
    if (status != TL_OK)
        return status;
    for (size_t k = IN_RATE; k <= IN_STEPS; k++)
        if (call->inputs[k]->rank != TL_RANK_UNKNOWN && nn_product(call->inputs[k], 0, call->inputs[k]->rank) > 1)
            return tl_fail(call, TL_INVALID_INPUT, "input %zu must be a scalar", k);
    for (size_t k = IN_FIRST; k < call->input_count; k++)
        if (!call->inputs[k])
            return tl_fail(call, TL_INVALID_MODEL, "input %zu is missing", k);
    for (size_t k = IN_FIRST; k < call->input_count; k++) {
        const tl_tensor *x = call->inputs[IN_FIRST + (k - IN_FIRST) % count];
        if (call->inputs[k]->type != x->type)
            return tl_fail(call, TL_INVALID_MODEL, "input %zu has another type than its tensor", k);
        if (x->rank == TL_RANK_UNKNOWN)
            continue;
        status = nn_check_rank(call, k, x->rank, x->rank);
        for (int32_t i = 0; i < x->rank && status == TL_OK; i++)
            status = nn_check_dim(call, k, i, x->dims[i], "the shape of its tensor");
        if (status != TL_OK)
            return status;
    }
    for (size_t k = 0; k < call->output_count; k++)
        if (call->outputs[k]) {
            op_copy_shape(call->outputs[k], call->inputs[IN_FIRST + k % count]);
            call->outputs[k]->type = call->inputs[IN_FIRST + k % count]->type;
        }
    return TL_OK;
}

/* Everything but the elements: scalars and attributes. */
static step make_step(const tl_call *call, optimiser kind)
{
    const int64_t t = *(const int64_t *)call->inputs[IN_STEPS]->data;
    step s = {.rate = op_load_number(call->inputs[IN_RATE], 0), .norm = op_float(call, "norm_coefficient")};
    if (kind == ADAGRAD)
        s.rate /= 1 + (double)t * (double)op_float(call, "decay_factor");
    else {
        s.alpha = op_float(call, "alpha");
        s.beta = op_float(call, "beta");
    }
    if (kind == MOMENTUM) {
        s.nesterov = strcmp(op_string(call, "mode"), "nesterov") == 0;
        s.beta = t > 0 ? s.beta : 1;
    } else
        s.epsilon = op_float(call, "epsilon");
    if (kind == ADAM) {
        s.post = 1 - (double)op_float(call, "norm_coefficient_post");
        if (t > 0)
            s.rate *= sqrt(1 - pow(s.beta, (double)t)) / (1 - pow(s.alpha, (double)t));
    }
    return s;
}

typedef struct training_job {
    optimiser kind;
    step step;
    const void *x, *g, *states[2];
    void *new_x, *new_states[2]; /* NULL: nobody wants it */
} training_job;

/* Elements are computed in blocks, so that outputs which nobody wants have a place. */
#define BLOCK 256

#define TRAINING_TASK(real, root)                                                                                 \
    static void momentum_##real(const step *s, int64_t n, const real *x, const real *g, const real *v,            \
                                real *restrict new_x, real *restrict new_v)                                       \
    {                                                                                                             \
        const real norm = (real)s->norm, alpha = (real)s->alpha, beta = (real)s->beta, rate = (real)s->rate;      \
        for (int64_t i = 0; i < n; i++) {                                                                         \
            const real slope = norm * x[i] + g[i];                                                                \
            new_v[i] = alpha * v[i] + beta * slope;                                                               \
            new_x[i] = x[i] - rate * (s->nesterov ? slope + alpha * new_v[i] : new_v[i]);                         \
        }                                                                                                         \
    }                                                                                                             \
    static void adagrad_##real(const step *s, int64_t n, const real *x, const real *g, const real *h,             \
                               real *restrict new_x, real *restrict new_h)                                        \
    {                                                                                                             \
        const real norm = (real)s->norm, epsilon = (real)s->epsilon, rate = (real)s->rate;                        \
        for (int64_t i = 0; i < n; i++) {                                                                         \
            const real slope = norm * x[i] + g[i];                                                                \
            new_h[i] = h[i] + slope * slope;                                                                      \
            new_x[i] = x[i] - rate * slope / (root(new_h[i]) + epsilon);                                          \
        }                                                                                                         \
    }                                                                                                             \
    static void adam_##real(const step *s, int64_t n, const real *x, const real *g, const real *v, const real *h, \
                            real *restrict new_x, real *restrict new_v, real *restrict new_h)                     \
    {                                                                                                             \
        const real norm = (real)s->norm, alpha = (real)s->alpha, beta = (real)s->beta, rate = (real)s->rate;      \
        const real epsilon = (real)s->epsilon, post = (real)s->post;                                              \
        const real rest_alpha = (real)(1 - s->alpha), rest_beta = (real)(1 - s->beta);                            \
        for (int64_t i = 0; i < n; i++) {                                                                         \
            const real slope = norm * x[i] + g[i];                                                                \
            new_v[i] = alpha * v[i] + rest_alpha * slope;                                                         \
            new_h[i] = beta * h[i] + rest_beta * (slope * slope);                                                 \
            new_x[i] = post * (x[i] - rate * (new_v[i] / (root(new_h[i]) + epsilon)));                            \
        }                                                                                                         \
    }                                                                                                             \
    static void training_task_##real(void *context, int64_t begin, int64_t end, int32_t thread)                   \
    {                                                                                                             \
        const training_job *job = context;                                                                        \
        (void)thread;                                                                                             \
        for (int64_t at = begin; at < end; at += BLOCK) {                                                         \
            const int64_t n = nn_min(BLOCK, end - at);                                                            \
            real unwanted[3][BLOCK];                                                                              \
            const real *x = (const real *)job->x + at, *g = (const real *)job->g + at;                            \
            const real *a = (const real *)job->states[0] + at;                                                    \
            real *new_x = job->new_x ? (real *)job->new_x + at : unwanted[0];                                     \
            real *new_a = job->new_states[0] ? (real *)job->new_states[0] + at : unwanted[1];                     \
            if (job->kind == MOMENTUM)                                                                            \
                momentum_##real(&job->step, n, x, g, a, new_x, new_a);                                            \
            else if (job->kind == ADAGRAD)                                                                        \
                adagrad_##real(&job->step, n, x, g, a, new_x, new_a);                                             \
            else                                                                                                  \
                adam_##real(&job->step, n, x, g, a, (const real *)job->states[1] + at, new_x, new_a,              \
                            job->new_states[1] ? (real *)job->new_states[1] + at : unwanted[2]);                  \
        }                                                                                                         \
    }
TRAINING_TASK(float, sqrtf)
TRAINING_TASK(double, sqrt)

static tl_status training_run(tl_call *call, optimiser kind)
{
    const size_t states = states_of[kind], count = (call->input_count - IN_FIRST) / (states + 2);
    for (size_t k = IN_RATE; k <= IN_STEPS; k++)
        if (op_elements(call->inputs[k]) != 1)
            return tl_fail(call, TL_INVALID_INPUT, "input %zu must be a scalar", k);
    training_job job = {.kind = kind, .step = make_step(call, kind)};
    for (size_t i = 0; i < count; i++) {
        const tl_tensor *const *in = call->inputs + IN_FIRST + i;
        const tl_tensor *out = op_output(call, i);
        job.x = in[0]->data;
        job.g = in[count]->data;
        job.new_x = out ? out->data : NULL;
        for (size_t k = 0; k < states; k++) {
            out = op_output(call, (k + 1) * count + i);
            job.states[k] = in[(k + 2) * count]->data;
            job.new_states[k] = out ? out->data : NULL;
        }
        if (op_elements(in[0]) > 0)
            call->host->parallel_for(call, in[0]->type == TL_DOUBLE ? training_task_double : training_task_float, &job,
                                     op_elements(in[0]), 1 << 13);
    }
    return TL_OK;
}

#define TRAINING_STEPS(name, kind)                 \
    static tl_status name##_reshape(tl_call *call) \
    {                                              \
        return training_reshape(call, kind);       \
    }                                              \
    static tl_status name##_run(tl_call *call)     \
    {                                              \
        return training_run(call, kind);           \
    }
TRAINING_STEPS(momentum, MOMENTUM)
TRAINING_STEPS(adagrad, ADAGRAD)
TRAINING_STEPS(adam, ADAM)

#define TRAINING_TYPES (TL_T(TL_FLOAT) | TL_T(TL_DOUBLE))
#define REQUIRED_FLOAT(label)                                           \
    {                                                                   \
        .name = label, .kind = TL_ATTR_FLOAT, .flags = TL_ATTR_REQUIRED \
    }
static const tl_param training_input[] = {OP_IN("R", TRAINING_TYPES, 0),
                                          OP_IN("T", TL_T(TL_INT64), 0),
                                          {"inputs", TRAINING_TYPES, 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED}};
static const tl_param training_output[] = {{"outputs", TRAINING_TYPES, 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED}};
static const tl_attribute_spec momentum_attribute[] = {
    REQUIRED_FLOAT("alpha"),
    REQUIRED_FLOAT("beta"),
    {.name = "mode", .kind = TL_ATTR_STRING, .flags = TL_ATTR_REQUIRED},
    REQUIRED_FLOAT("norm_coefficient")};
static const tl_attribute_spec adagrad_attribute[] = {OP_FLOAT("decay_factor", 0), OP_FLOAT("epsilon", 1e-6F),
                                                      OP_FLOAT("norm_coefficient", 0)};
static const tl_attribute_spec adam_attribute[] = {OP_FLOAT("alpha", 0.9F), OP_FLOAT("beta", 0.999F),
                                                   OP_FLOAT("epsilon", 1e-6F), OP_FLOAT("norm_coefficient", 0),
                                                   OP_FLOAT("norm_coefficient_post", 0)};

#define TRAINING(op, steps)                                                                                            \
    {                                                                                                                  \
        .size = sizeof(tl_operator), .domain = "ai.onnx.preview.training", .name = #op, .since_version = 1,            \
        OP_PARAMS(input, training_input), OP_PARAMS(output, training_output), OP_PARAMS(attribute, steps##_attribute), \
        .reshape = steps##_reshape, .run = steps##_run                                                                 \
    }
OP_DESCRIPTOR(Momentum, 1) = TRAINING(Momentum, momentum);
OP_DESCRIPTOR(Adagrad, 1) = TRAINING(Adagrad, adagrad);
OP_DESCRIPTOR(Adam, 1) = TRAINING(Adam, adam);
