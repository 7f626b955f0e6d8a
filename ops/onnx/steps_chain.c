/* A chain of elementwise operators as one pass. */
#include "onnx/elementwise.h"
#include "onnx/steps.h"

static tl_status create(tl_call *call)
{
    steps_program *program = nn_new_state(call, sizeof *program);
    if (!program)
        return TL_NO_MEMORY;
    tl_status status = steps_parse(call, 1, program);
    if (status == TL_OK && call->input_count > OP_MAP_INPUTS)
        status = tl_fail(call, TL_INVALID_MODEL, "%zu inputs, but at most %d can be", call->input_count, OP_MAP_INPUTS);
    if (status == TL_OK)
        call->state = program;
    else
        call->host->free(call->host, program);
    return status;
}

static tl_status reshape(tl_call *call)
{
    tl_tensor *out = call->outputs[0];
    tl_status status = op_broadcast(call, call->inputs, call->input_count, out);
    if (status == TL_OK && call->plan)
        op_map_init(call->plan, out, call->inputs, (int32_t)call->input_count, 4);
    return status;
}

typedef struct chain {
    const tl_call *call;
    const steps_program *program;
    tlk_type type;
    int64_t size; /* of an element */
} chain;

static void chain_rows(const void *context, const int64_t *in, int64_t at, int64_t rows, int64_t n)
{
    const chain *c = context;
    const op_map *map = c->call->plan;
    tlk_step steps[TLK_MAX_STEPS];
    int input = 0;
    for (int s = 0; s < c->program->count; s++) {
        steps[s] = c->program->steps[s];
        if (!tlk_step_has_operand(&steps[s]))
            continue;
        input++;
        steps[s].operand = (const char *)c->call->inputs[input]->data + in[input] * c->size;
        steps[s].row_step = map->next[input];
        steps[s].lane_step = map->step[input];
    }
    const tlk_steps bound = {steps, c->program->count};
    tlk_get()->steps[c->type]->run(c->type, &bound, (const char *)c->call->inputs[0]->data + in[0] * c->size,
                                   map->next[0], map->step[0], (char *)c->call->outputs[0]->data + at * c->size, rows,
                                   n);
}

static tl_status run(tl_call *call)
{
    const tl_type type = call->outputs[0]->type;
    const chain c = {call, call->state, nn_kernel_type(type), (int64_t)nn_type_size(type)};
    op_map_run_rows(call, call->plan, chain_rows, &c);
    return TL_OK;
}

static const tl_param ins[] = {OP_IN("X", TL_T_FLOATS, 'T'), STEPS_OPERANDS(TL_T_FLOATS)};
static const tl_param outs[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec attrs[] = {STEPS_ATTRIBUTES};

OP_DESCRIPTOR(Elementwise, 1) = {.size = sizeof(tl_operator),
                                 .domain = STEPS_DOMAIN,
                                 .name = "Elementwise",
                                 .since_version = 1,
                                 .flags = TL_OP_ELEMENTWISE,
                                 OP_PARAMS(input, ins),
                                 OP_PARAMS(output, outs),
                                 OP_PARAMS(attribute, attrs),
                                 .plan_size = sizeof(op_map),
                                 .create = create,
                                 .reshape = reshape,
                                 .run = run,
                                 .destroy = op_free_state};
