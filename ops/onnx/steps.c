#include "onnx/steps.h"

/* ---- Names */

typedef struct step_name {
    const char *name;
    tlk_step_kind kind;
    tlk_activation activation; /* its numbers are the defaults of its parameters */
    tlk_unary function;
    size_t parameters;
} step_name;

#define ACTIVATION(NAME, KIND, A, B, COUNT)                                                      \
    {                                                                                            \
        .name = NAME, .kind = TLK_STEP_ACTIVATE, .activation = {KIND, A, B}, .parameters = COUNT \
    }
#define FUNCTION(NAME, FUNCTION_OF)                                   \
    {                                                                 \
        .name = NAME, .kind = TLK_STEP_UNARY, .function = FUNCTION_OF \
    }
#define PAIR(NAME, KIND)            \
    {                               \
        .name = NAME, .kind = KIND, \
    }

static const step_name names[] = {
    PAIR("Add", TLK_STEP_ADD),
    PAIR("Sub", TLK_STEP_SUB),
    PAIR("SubFrom", TLK_STEP_SUB_FROM),
    PAIR("Mul", TLK_STEP_MUL),
    PAIR("Div", TLK_STEP_DIV),
    PAIR("DivInto", TLK_STEP_DIV_INTO),
    PAIR("Min", TLK_STEP_MIN),
    PAIR("Max", TLK_STEP_MAX),
    PAIR("PRelu", TLK_STEP_PRELU),
    ACTIVATION("Relu", TLK_RELU, 0, 0, 0),
    ACTIVATION("Clip", TLK_CLIP, -(double)INFINITY, (double)INFINITY, 2),
    ACTIVATION("LeakyRelu", TLK_LEAKY_RELU, (double)0.01F, 0, 1),
    ACTIVATION("HardSigmoid", TLK_HARD_SIGMOID, (double)0.2F, 0.5, 2),
    ACTIVATION("HardSwish", TLK_HARD_SWISH, 0, 0, 0),
    ACTIVATION("Elu", TLK_ELU, 1, 0, 1),
    ACTIVATION("Selu", TLK_SELU, (double)1.67326319217681884765625F, (double)1.05070102214813232421875F, 2),
    ACTIVATION("Exp", TLK_EXPONENTIAL, 0, 0, 0),
    ACTIVATION("Gelu", TLK_GELU, 0, 0, 0),
    ACTIVATION("GeluTanh", TLK_GELU_TANH, 0, 0, 0),
    ACTIVATION("Mish", TLK_MISH, 0, 0, 0),
    ACTIVATION("Sigmoid", TLK_SIGMOID, 0, 0, 0),
    ACTIVATION("Softplus", TLK_SOFTPLUS, 0, 0, 0),
    ACTIVATION("Softsign", TLK_SOFTSIGN, 0, 0, 0),
    ACTIVATION("Swish", TLK_SWISH, 0, 0, 0),
    ACTIVATION("Tanh", TLK_TANH, 0, 0, 0),
    FUNCTION("Abs", TLK_ABS),
    FUNCTION("Neg", TLK_NEG),
    FUNCTION("Sqrt", TLK_SQRT),
    FUNCTION("Reciprocal", TLK_RECIPROCAL),
    FUNCTION("Log", TLK_LOG),
    FUNCTION("Erf", TLK_ERF),
};

static const step_name *find_name(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i].name) == size && memcmp(names[i].name, name, size) == 0)
            return &names[i];
    return NULL;
}

static bool append(steps_program *program, const step_name *found, const double *parameters, size_t count)
{
    if (!found || program->count == TLK_MAX_STEPS || count > found->parameters)
        return false;
    tlk_step *step = &program->steps[program->count++];
    *step = (tlk_step){.kind = found->kind, .activation = found->activation, .function = found->function};
    if (count > 0)
        step->activation.a = parameters[0];
    if (count > 1)
        step->activation.b = parameters[1];
    return true;
}

bool steps_add_activation(steps_program *program, const char *name, size_t size, const double *parameters, size_t count)
{
    const step_name *found = find_name(name, size);
    return found && found->kind == TLK_STEP_ACTIVATE && append(program, found, parameters, count);
}

tl_status steps_parse(const tl_call *call, size_t first, steps_program *program)
{
    size_t bits_count, operands = 0;
    const int64_t *bits = op_ints(call, "parameters", &bits_count), *end = bits + bits_count;
    memset(program, 0, sizeof *program);
    for (const char *at = op_string(call, "steps"); *at;) {
        const size_t size = strcspn(at, " ");
        const step_name *found = find_name(at, size);
        double parameters[2] = {0, 0};
        if (!found || found->parameters > (size_t)(end - bits) || program->count == TLK_MAX_STEPS)
            return tl_fail(call, TL_INVALID_MODEL, "steps: '%.40s' cannot be done", at);
        memcpy(parameters, bits, found->parameters * sizeof parameters[0]);
        bits += found->parameters;
        append(program, found, parameters, found->parameters);
        operands += found->kind >= TLK_STEP_ADD;
        at += size + (at[size] == ' ');
    }
    size_t given = call->input_count;
    while (given > first && !call->inputs[given - 1])
        given--;
    if (operands != (given > first ? given - first : 0))
        return tl_fail(call, TL_INVALID_MODEL, "the steps need %zu operands, but have %zu", operands,
                       given > first ? given - first : 0);
    return TL_OK;
}

/* ---- Operands */

/* Axes [begin, end) of `out` against those of the operand, aligned at the last axis: 1 if the operand moves along with
 * them, 0 if it stands still, -1 if neither. */
static int axes_move(const tl_tensor *out, const tl_tensor *operand, int32_t begin, int32_t end)
{
    const int32_t shift = out->rank - operand->rank;
    bool same = true, still = true;
    for (int32_t i = begin; i < end; i++) {
        const tl_dim dim = i >= shift ? operand->dims[i - shift] : 1;
        same &= dim == out->dims[i];
        still &= dim == 1;
    }
    return still ? 0 : same ? 1 : -1;
}

tl_status steps_set_places(const tl_call *call, const steps_program *program, size_t first, const tl_tensor *out,
                           int32_t rows, int32_t lanes, steps_place *places)
{
    for (int s = 0; s < program->count; s++) {
        if (!tlk_step_has_operand(&program->steps[s]))
            continue;
        const tl_tensor *operand = call->inputs[first++];
        const bool fits = operand && operand->rank <= out->rank;
        const int batch = fits ? axes_move(out, operand, 0, rows) : -1;
        const int row = fits ? axes_move(out, operand, rows, lanes) : -1;
        const int lane = fits ? axes_move(out, operand, lanes, out->rank) : -1;
        if (batch < 0 || row < 0 || lane < 0)
            return tl_fail(call, TL_INVALID_INPUT, "input %zu, an operand of the steps, does not fit the output",
                           first - 1);
        places[s].lane = lane;
        places[s].row = row ? (lane ? op_product(out, lanes, out->rank) : 1) : 0;
        places[s].batch =
            batch ? (lane ? op_product(out, lanes, out->rank) : 1) * (row ? op_product(out, rows, lanes) : 1) : 0;
    }
    return TL_OK;
}

tlk_steps steps_bind(const tl_call *call, const steps_program *program, size_t first, const steps_place *places,
                     int64_t batch, int64_t row, bool transposed, tlk_step *steps)
{
    for (int s = 0; s < program->count; s++) {
        steps[s] = program->steps[s];
        if (!tlk_step_has_operand(&steps[s]))
            continue;
        const tl_tensor *operand = call->inputs[first++];
        const int64_t at = batch * places[s].batch + row * places[s].row;
        steps[s].operand = (const char *)operand->data + at * (int64_t)nn_type_size(operand->type);
        steps[s].row_step = transposed ? places[s].lane : places[s].row;
        steps[s].lane_step = transposed ? places[s].row : places[s].lane;
    }
    return (tlk_steps){steps, program->count};
}

typedef struct steps_job {
    const tl_call *call;
    const steps_program *program;
    size_t first;
    const steps_place *places;
    int64_t rows, lanes;
} steps_job;

static void run_rows(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const steps_job *job = context;
    const tl_tensor *out = job->call->outputs[0];
    const tlk_type type = nn_kernel_type(out->type);
    (void)thread;
    for (int64_t r = begin; r < end; r++) {
        tlk_step steps[TLK_MAX_STEPS];
        const tlk_steps bound =
            steps_bind(job->call, job->program, job->first, job->places, r / job->rows, r % job->rows, false, steps);
        char *y = (char *)out->data + r * job->lanes * (int64_t)nn_type_size(out->type);
        tlk_get()->steps[type]->run(type, &bound, y, 0, 1, y, 1, job->lanes);
    }
}

void steps_run(tl_call *call, const steps_program *program, size_t first, const steps_place *places, int32_t rows,
               int32_t lanes)
{
    const tl_tensor *out = call->outputs[0];
    steps_job job = {call, program, first, places, op_product(out, rows, lanes), op_product(out, lanes, out->rank)};
    if (program->count > 0 && op_elements(out) > 0)
        call->host->parallel_for(call, run_rows, &job, op_product(out, 0, lanes), nn_grain(job.lanes, 1 << 15));
}
