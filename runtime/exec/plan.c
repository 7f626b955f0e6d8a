/* From shapes of inputs to the steps of a run. */
#include "exec/plan.h"

/* Results of at most this size are computed while planning, if shapes alone decide them. */
#define AHEAD_LIMIT ((size_t)64 << 10)

typedef struct planner {
    tl_runtime *runtime;
    tl_graph *graph;
    tl_plan *plan;
    tl_error *error;
} planner;

static bool is_shaped(const tl_tensor *tensor)
{
    return tensor->rank != TL_RANK_UNKNOWN && tl_tensor_elements(tensor) >= 0;
}

static tl_status init_step(const planner *p, tl_step *step, tl_node *node)
{
    tl_arena *memory = &p->plan->memory;
    const tl_tensor **inputs = TL_NEW(memory, const tl_tensor *, tl_node_call_inputs(node) + 1);
    tl_tensor **outputs = TL_NEW(memory, tl_tensor *, tl_node_call_outputs(node) + 1);
    void *plan_data = node->op->plan_size ? tl_arena_alloc(memory, 1, node->op->plan_size, TL_ALIGNMENT) : NULL;
    int64_t *parts = TL_NEW(memory, int64_t, tl_node_call_outputs(node) + 1);
    if (!inputs || !outputs || !parts || (node->op->plan_size && !plan_data))
        return tl_error_no_memory(p->error);
    for (size_t k = 0; k < node->input_count; k++)
        if (node->inputs[k])
            inputs[k] = &p->plan->slots[node->inputs[k]->index];
    for (size_t k = 0; k < node->output_count; k++)
        if (node->outputs[k])
            outputs[k] = &p->plan->slots[node->outputs[k]->index];
    *step = (tl_step){.node = node, .frame = tl_call_frame_for(node, &p->runtime->host, inputs, outputs, p->error)};
    step->frame.call.state = node->state;
    step->frame.call.plan = plan_data;
    step->frame.call.parts = parts;
    step->frame.call.thread_count = p->runtime->pool.thread_count;
    return TL_OK;
}

/* Of a value that the run will compute. Where there are no elements all is known, and lies anywhere. */
static void *data_ahead(tl_plan *plan, const tl_tensor *slot)
{
    return tl_tensor_elements(slot) == 0 ? plan->slots : NULL;
}

static bool has_dynamic_input(const planner *p, const tl_node *node)
{
    for (size_t k = 0; k < node->input_count; k++)
        if (node->inputs[k] && p->plan->dynamic[node->inputs[k]->index])
            return true;
    return false;
}

/* Whether the inputs' shapes alone decide the node's results. */
static bool is_decided(const tl_step *step)
{
    const tl_operator *op = step->node->op;
    if (op->flags & (TL_OP_NONDETERMINISTIC | TL_OP_RUNTIME | TL_OP_LONG) || step->node->input_count == 0)
        return false;
    for (size_t k = 0; k < step->node->input_count; k++) {
        const tl_tensor *in = step->frame.call.inputs[k];
        if (in && !in->data && !(op->flags & TL_OP_SHAPE_ONLY) && tl_tensor_elements(in) != 0)
            return false;
        if (in && tl_tensor_bytes(in) > (int64_t)AHEAD_LIMIT && !(op->flags & TL_OP_SHAPE_ONLY))
            return false;
    }
    return true;
}

/* Computes the node now. Results are kept only if all of them are small; false: it stays a step. */
static bool compute_ahead(planner *p, tl_step *step)
{
    tl_plan *plan = p->plan;
    tl_node *node = step->node;
    tl_error why;
    if (tl_evaluate(node, p->runtime, step->frame.call.inputs, step->frame.call.outputs, &plan->memory, AHEAD_LIMIT,
                    &why) != TL_OK)
        return false;
    for (size_t k = 0; k < node->output_count; k++)
        if (node->outputs[k])
            plan->computed[plan->computed_count++] = plan->slots[node->outputs[k]->index].data;
    return true;
}

static tl_status plan_node(planner *p, tl_node *node)
{
    tl_plan *plan = p->plan;
    tl_step *step = &plan->steps[plan->step_count];
    tl_status status = init_step(p, step, node);
    if (status != TL_OK)
        return status;
    step->dynamic = has_dynamic_input(p, node);
    if (!step->dynamic) {
        if (is_decided(step) && compute_ahead(p, step))
            return TL_OK;
        status = tl_call_reshape(&step->frame, node);
        if (status != TL_OK)
            return tl_node_blame(node, status, p->error);
    }
    for (size_t k = 0; k < node->output_count; k++)
        if (node->outputs[k])
            step->dynamic |= !is_shaped(step->frame.call.outputs[k]);
    for (size_t k = 0; k < node->output_count; k++)
        if (node->outputs[k]) {
            plan->dynamic[node->outputs[k]->index] = step->dynamic;
            step->frame.call.outputs[k]->data = data_ahead(plan, step->frame.call.outputs[k]);
        }
    plan->step_count++;
    return TL_OK;
}

static bool allocate_tables(planner *p, const tl_tensor *given, const tl_output_mode *modes)
{
    const tl_graph *graph = p->graph;
    tl_plan *plan = p->plan;
    tl_arena *memory = &plan->memory;
    size_t outputs = 0;
    for (size_t i = 0; i < graph->node_count; i++)
        outputs += graph->nodes[i]->output_count;
    plan->given = TL_NEW(memory, tl_tensor, tl_graph_given_count(graph));
    plan->modes = TL_NEW(memory, tl_output_mode, graph->output_count);
    plan->slots = TL_NEW(memory, tl_tensor, graph->value_count);
    plan->offsets = TL_NEW(memory, size_t, graph->value_count);
    plan->dynamic = TL_NEW(memory, bool, graph->value_count);
    plan->reserves = TL_NEW(memory, tl_reserve, graph->value_count);
    plan->steps = TL_NEW(memory, tl_step, graph->node_count + 1);
    plan->computed = TL_NEW(memory, void *, outputs);
    if (!plan->given || !plan->modes || !plan->slots || !plan->offsets || !plan->dynamic || !plan->reserves ||
        !plan->steps || !plan->computed)
        return false;
    size_t given_count = tl_graph_given_count(graph);
    if (given_count)
        memcpy(plan->given, given, given_count * sizeof *given);
    if (graph->output_count)
        memcpy(plan->modes, modes, graph->output_count * sizeof *modes);
    for (size_t i = 0; i < graph->value_count; i++) {
        plan->slots[i] = graph->values[i]->tensor;
        if (!(graph->values[i]->flags & TL_VALUE_CONSTANT))
            plan->slots[i].data = NULL;
    }
    for (size_t i = 0; i < given_count; i++) {
        tl_value *value = tl_graph_given(graph, i);
        const tl_value *origin = tl_value_origin(value);
        tl_tensor *slot = &plan->slots[value->index];
        *slot = given[i];
        slot->data = origin->constant ? origin->tensor.data : data_ahead(plan, slot);
        plan->given[i].data = NULL;
        /* Sequences and the like, and what an inner graph captures of them, have no shape to plan with. */
        plan->dynamic[value->index] = tl_tensor_elements(slot) < 0;
    }
    return true;
}

/* Operators were chosen for the types that inference found. */
static tl_status check_given(const tl_graph *graph, const tl_tensor *given, tl_error *error)
{
    for (size_t i = 0; i < tl_graph_given_count(graph); i++) {
        const tl_value *value = tl_graph_given(graph, i);
        if (value->kind == TL_KIND_TENSOR && value->tensor.type != given[i].type)
            return tl_error_set(error, TL_INVALID_INPUT, "'%.200s' is %s, but %s was expected", value->name,
                                tl_type_name(given[i].type), tl_type_name(value->tensor.type));
    }
    return TL_OK;
}

tl_status tl_plan_shapes(tl_runtime *runtime, tl_graph *graph, const tl_tensor *given, const tl_output_mode *modes,
                         tl_plan **plan, tl_error *error)
{
    *plan = NULL;
    tl_plan *made = tl_memory_alloc(&runtime->allocator, sizeof *made, _Alignof(tl_plan));
    if (!made)
        return tl_error_no_memory(error);
    *made = (tl_plan){0};
    tl_arena_init(&made->memory, &runtime->allocator, 0);
    planner p = {runtime, graph, made, error};
    tl_status status = check_given(graph, given, error);
    if (status == TL_OK && !allocate_tables(&p, given, modes))
        status = tl_error_no_memory(error);
    for (size_t i = 0; i < graph->node_count && status == TL_OK; i++)
        status = plan_node(&p, graph->nodes[i]);
    if (status == TL_OK)
        *plan = made;
    else
        tl_plan_destroy(made, &runtime->allocator, graph->value_count);
    return status;
}

tl_status tl_plan_create(tl_runtime *runtime, tl_graph *graph, const tl_tensor *given, const tl_output_mode *modes,
                         bool keep, tl_plan **plan, tl_error *error)
{
    tl_status status = tl_plan_shapes(runtime, graph, given, modes, plan, error);
    if (status == TL_OK && (status = tl_plan_layout(*plan, graph, keep, error)) != TL_OK) {
        tl_plan_destroy(*plan, &runtime->allocator, graph->value_count);
        *plan = NULL;
    }
    return status;
}

void tl_plan_destroy(tl_plan *plan, const tl_allocator *allocator, size_t value_count)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->computed_count; i++)
        tl_memory_free(allocator, plan->computed[i]);
    for (size_t i = 0; plan->reserves && i < value_count; i++)
        tl_memory_free(allocator, plan->reserves[i].data);
    tl_memory_free(allocator, plan->workspace.data);
    tl_arena_free(&plan->memory);
    tl_memory_free(allocator, plan);
}

void tl_plan_place(tl_plan *plan, const tl_graph *graph, void *base)
{
    plan->base = base;
    for (size_t i = 0; i < graph->value_count; i++)
        if (plan->offsets[i] != SIZE_MAX)
            plan->slots[i].data = (char *)base + plan->offsets[i];
    for (size_t i = 0; i < plan->step_count; i++) /* one of no bytes lies anywhere: offsets may be added to it */
        plan->steps[i].frame.call.workspace =
            (char *)base + (plan->steps[i].workspace == SIZE_MAX ? 0 : plan->steps[i].workspace);
}
