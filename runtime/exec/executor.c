/* Runs a graph: finds or makes the plan, walks its steps, delivers the outputs. Whatever can be done before a run is
 * done in the plan. */
#include "exec/executor.h"
#include "exec/strips.h"

/* Plans kept for input shapes that come back. */
#define KEPT_PLANS 4

static void *allocate_output(tl_execution *execution, const tl_call *call, size_t k, size_t bytes);

tl_status tl_executor_create(tl_run_state *run, tl_graph *graph, bool keep, tl_executor **executor, tl_error *error)
{
    const tl_allocator *allocator = &run->runtime->allocator;
    *executor = NULL;
    tl_executor *made = tl_memory_alloc(allocator, sizeof *made, _Alignof(tl_executor));
    if (!made)
        return tl_error_no_memory(error);
    *made = (tl_executor){
        .execution = {.runtime = run->runtime, .heap = &run->heap, .allocate = allocate_output},
        .run = run,
        .graph = graph,
        .keep = keep,
    };
    tl_arena_init(&made->memory, allocator, 0);
    made->given = TL_NEW(&made->memory, tl_tensor, tl_graph_given_count(graph));
    made->outputs = TL_NEW(&made->memory, tl_bound_output, graph->output_count);
    made->modes = TL_NEW(&made->memory, tl_output_mode, graph->output_count);
    made->buffer_count = 3 * (graph->input_count + graph->output_count);
    made->buffers = TL_NEW(&made->memory, tl_reserve, made->buffer_count);
    if (!made->given || !made->outputs || !made->modes || !made->buffers) {
        tl_executor_destroy(made);
        return tl_error_no_memory(error);
    }
    *executor = made;
    return TL_OK;
}

void tl_executor_destroy(tl_executor *executor)
{
    if (!executor)
        return;
    const tl_allocator *allocator = &executor->run->runtime->allocator;
    tl_executor_destroy(executor->runner);
    while (executor->plans) {
        tl_plan *next = executor->plans->next;
        tl_plan_destroy(executor->plans, allocator, executor->graph->value_count);
        executor->plans = next;
    }
    for (size_t i = 0; executor->buffers && i < executor->buffer_count; i++)
        tl_memory_free(allocator, executor->buffers[i].data);
    tl_memory_free(allocator, executor->arena);
    tl_arena_free(&executor->memory);
    tl_memory_free(allocator, executor);
}

/* ---- Plans */

static bool same_shape(const tl_tensor *a, const tl_tensor *b)
{
    return a->type == b->type && a->rank == b->rank &&
           (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0);
}

static bool plan_fits(const tl_executor *executor, const tl_plan *plan)
{
    const tl_graph *graph = executor->graph;
    for (size_t i = 0; i < tl_graph_given_count(graph); i++)
        if (!same_shape(&plan->given[i], &executor->given[i]))
            return false;
    return graph->output_count == 0 ||
           memcmp(plan->modes, executor->modes, graph->output_count * sizeof *executor->modes) == 0;
}

static void choose_modes(tl_executor *executor)
{
    const tl_graph *graph = executor->graph;
    for (size_t k = 0; k < graph->output_count; k++) {
        const void *buffer = executor->outputs[k].buffer;
        executor->modes[k] = buffer ? TL_OUTPUT_BOUND : TL_OUTPUT_OWN;
        for (size_t i = 0; buffer && i < graph->input_count; i++)
            if (executor->given[i].data == buffer)
                executor->modes[k] = TL_OUTPUT_STATE;
    }
}

/* Drops the plan that was used longest ago, when there are enough. */
static void trim_plans(tl_executor *executor)
{
    tl_plan **link = &executor->plans;
    for (int i = 0; *link && i < KEPT_PLANS - 1; i++)
        link = &(*link)->next;
    if (*link) {
        tl_plan_destroy(*link, &executor->run->runtime->allocator, executor->graph->value_count);
        *link = NULL;
    }
}

static tl_status place(tl_executor *executor, tl_plan *plan, tl_error *error)
{
    if (plan->arena_bytes > executor->arena_bytes || !executor->arena) {
        const tl_allocator *allocator = &executor->run->runtime->allocator;
        void *wider = tl_memory_alloc(allocator, plan->arena_bytes, plan->arena_bytes >= 1 << 21 ? 4096 : TL_ALIGNMENT);
        if (!wider)
            return tl_error_set(error, TL_NO_MEMORY, "no memory for %zu bytes of intermediate values",
                                plan->arena_bytes);
        tl_memory_free(allocator, executor->arena);
        executor->arena = wider;
        executor->arena_bytes = plan->arena_bytes;
        for (tl_plan *p = executor->plans; p; p = p->next)
            p->base = NULL;
    }
    if (plan->base != executor->arena)
        tl_plan_place(plan, executor->graph, executor->arena);
    return TL_OK;
}

tl_status tl_executor_plan(tl_executor *executor, tl_error *error)
{
    choose_modes(executor);
    for (tl_plan **link = &executor->plans; *link; link = &(*link)->next) {
        tl_plan *plan = *link;
        if (!plan_fits(executor, plan))
            continue;
        *link = plan->next;
        plan->next = executor->plans;
        executor->plans = plan;
        return place(executor, plan, error);
    }
    tl_plan *plan;
    tl_status status = tl_plan_create(executor->run->runtime, executor->graph, executor->given, executor->modes,
                                      executor->keep, &plan, error);
    if (status == TL_OK && (status = tl_strips_plan(executor, plan, error)) != TL_OK)
        tl_plan_destroy(plan, &executor->run->runtime->allocator, executor->graph->value_count);
    if (status != TL_OK)
        return status;
    trim_plans(executor);
    plan->next = executor->plans;
    executor->plans = plan;
    return place(executor, plan, error);
}

/* ---- Steps whose shapes come out during the run */

void *tl_reserve_bytes(const tl_executor *executor, tl_reserve *reserve, size_t bytes)
{
    if (bytes > reserve->capacity || !reserve->data) {
        const tl_allocator *allocator = &executor->run->runtime->allocator;
        size_t wanted = bytes > SIZE_MAX / 2 ? bytes : bytes + bytes / 4;
        void *wider = tl_memory_alloc(allocator, wanted, TL_ALIGNMENT);
        if (!wider)
            return NULL;
        tl_memory_free(allocator, reserve->data);
        *reserve = (tl_reserve){wider, wanted};
    }
    return reserve->data;
}

static void *allocate_output(tl_execution *execution, const tl_call *call, size_t k, size_t bytes)
{
    tl_executor *executor = (tl_executor *)execution;
    return tl_reserve_bytes(executor, &executor->plans->reserves[call->node->outputs[k]->index], bytes);
}

static tl_status run_dynamic(tl_executor *executor, tl_plan *plan, tl_step *step)
{
    tl_call *call = &step->frame.call;
    tl_error *error = step->frame.error;
    const tl_operator *op = step->node->op;
    if (op->plan_size)
        memset(call->plan, 0, op->plan_size);
    tl_status status = tl_call_reshape(&step->frame, step->node);
    if (status != TL_OK)
        return status;
    if (call->view) {
        for (size_t k = 0; k < call->output_count; k++)
            if (call->outputs[k])
                call->outputs[k]->data =
                    call->parts[k] ? (char *)call->inputs[0]->data + call->parts[k] : call->inputs[0]->data;
        return TL_OK;
    }
    for (size_t k = 0; k < call->output_count; k++) {
        tl_tensor *out = call->outputs[k];
        if (!out)
            continue;
        out->data = NULL;
        int64_t bytes = tl_tensor_bytes(out);
        if (bytes >= 0 && !(out->data = allocate_output(&executor->execution, call, k, (size_t)bytes)))
            return tl_error_set(error, TL_NO_MEMORY, "no memory for output %zu of %lld bytes", k, (long long)bytes);
    }
    if (call->workspace_size && !(call->workspace = tl_reserve_bytes(executor, &plan->workspace, call->workspace_size)))
        return tl_error_set(error, TL_NO_MEMORY, "no memory for a workspace of %zu bytes", call->workspace_size);
    return tl_call_run(&step->frame, step->node);
}

/* ---- The run */

static void link_buffers(tl_executor *executor, tl_plan *plan)
{
    for (size_t i = 0; i < plan->link_count; i++) {
        const tl_link *link = &plan->links[i];
        char *buffer = link->output ? executor->outputs[link->index].buffer : executor->given[link->index].data;
        link->slot->data = buffer ? buffer + link->offset : NULL;
    }
}

static tl_status check_capacity(const tl_executor *executor, const tl_plan *plan, tl_error *error)
{
    const tl_graph *graph = executor->graph;
    for (size_t k = 0; k < graph->output_count; k++) {
        if (!executor->outputs[k].buffer)
            continue;
        int64_t bytes = tl_tensor_bytes(&plan->slots[graph->outputs[k]->index]);
        if (bytes >= 0 && (uint64_t)bytes > executor->outputs[k].capacity)
            return tl_error_set(error, TL_INVALID_ARGUMENT,
                                "output '%.200s' has %lld bytes, but its buffer has room for %zu",
                                graph->outputs[k]->name, (long long)bytes, executor->outputs[k].capacity);
    }
    return TL_OK;
}

tl_status tl_executor_go_on(const tl_executor *executor, tl_error *error)
{
    const bool cancelled = atomic_load_explicit(&executor->run->cancelled, memory_order_relaxed);
    return cancelled ? tl_error_set(error, TL_CANCELLED, "the run was cancelled") : TL_OK;
}

static tl_status run_steps(tl_executor *executor, tl_plan *plan, tl_error *error)
{
    for (size_t s = 0; s < plan->step_count; s++) {
        tl_step *step = &plan->steps[s];
        step->frame.error = error;
        step->frame.execution = &executor->execution;
        tl_status status = tl_executor_go_on(executor, error);
        if (status != TL_OK)
            return status;
        if (executor->run->trace)
            executor->run->trace(executor->run->trace_user, step->node, true);
        status = step->dynamic ? run_dynamic(executor, plan, step) : step->node->op->run(&step->frame.call);
        if (executor->run->trace)
            executor->run->trace(executor->run->trace_user, step->node, false);
        if (status != TL_OK)
            return tl_node_blame(step->node, status, error);
    }
    return TL_OK;
}

static tl_status deliver(tl_executor *executor, tl_plan *plan, tl_error *error)
{
    /* First out of the inputs' buffers, which the second pass may overwrite. */
    for (size_t i = 0; i < plan->copy_count; i++) {
        const tl_copy *copy = &plan->copies[i];
        int64_t bytes = tl_tensor_bytes(copy->slot);
        if (copy->spare != SIZE_MAX && bytes > 0)
            memcpy((char *)executor->arena + copy->spare, copy->slot->data, (size_t)bytes);
    }
    tl_status status = check_capacity(executor, plan, error);
    if (status != TL_OK)
        return status;
    for (size_t k = 0; k < executor->graph->output_count; k++)
        executor->outputs[k].result = plan->slots[executor->graph->outputs[k]->index];
    for (size_t i = 0; i < plan->copy_count; i++) {
        const tl_copy *copy = &plan->copies[i];
        tl_bound_output *out = &executor->outputs[copy->output];
        if (copy->spare != SIZE_MAX)
            out->result.data = (char *)executor->arena + copy->spare;
        if (!out->buffer)
            continue;
        int64_t bytes = tl_tensor_bytes(copy->slot);
        if (bytes > 0)
            memmove(out->buffer, out->result.data, (size_t)bytes);
        out->result.data = out->buffer;
    }
    return TL_OK;
}

tl_status tl_executor_run(tl_executor *executor, tl_error *error)
{
    tl_status status = tl_executor_go_on(executor, error);
    if (status == TL_OK)
        status = tl_executor_plan(executor, error);
    if (status != TL_OK)
        return status;
    tl_plan *plan = executor->plans;
    status = check_capacity(executor, plan, error);
    if (status != TL_OK)
        return status;
    link_buffers(executor, plan);
    if (plan->strips)
        return tl_strips_run(executor, plan, error);
    status = run_steps(executor, plan, error);
    return status == TL_OK ? deliver(executor, plan, error) : status;
}

/* ---- Graphs inside */

tl_status tl_executor_inner(tl_executor *outer, tl_graph *graph, tl_executor **inner, tl_error *error)
{
    tl_executor **place_of = &outer->run->inner[graph->number];
    if (!*place_of) {
        tl_status status = tl_executor_create(outer->run, graph, false, place_of, error);
        if (!*place_of)
            return status;
    }
    for (size_t k = 0; k < graph->capture_count; k++)
        (*place_of)->given[graph->input_count + k] = outer->plans->slots[graph->captures[k]->outer->index];
    *inner = *place_of;
    return TL_OK;
}
