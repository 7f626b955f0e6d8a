/* A context: bindings, plans, memory, and the run itself. Whatever can be done before a run is done in the plan. */
#include <stdatomic.h>
#include "exec/context.h"
#include "exec/inspect.h"

/* Plans kept for input shapes that come back. */
#define KEPT_PLANS 4

static tl_status check_binding(const tl_context *context, size_t index, size_t count, const char *what, tl_error *error)
{
    if (!context)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "the context is NULL");
    if (index >= count)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "there is no %s %zu: the model has %zu", what, index, count);
    return TL_OK;
}

tl_status tl_context_create(tl_session *session, tl_context **context, tl_error *error)
{
    if (!session || !context)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "tl_context_create: session or context is NULL");
    *context = NULL;
    const tl_allocator *allocator = &session->runtime->allocator;
    tl_context *made = tl_memory_alloc(allocator, sizeof *made, _Alignof(tl_context));
    if (!made)
        return tl_error_no_memory(error);
    *made = (tl_context){.session = session};
    tl_arena_init(&made->memory, allocator, 0);
    tl_arena_init(&made->execution.strings, allocator, 0);
    made->execution.runtime = session->runtime;
    made->inputs = TL_NEW(&made->memory, tl_tensor, session->graph->input_count);
    made->given = TL_NEW(&made->memory, bool, session->graph->input_count);
    made->outputs = TL_NEW(&made->memory, tl_bound_output, session->graph->output_count);
    made->modes = TL_NEW(&made->memory, tl_output_mode, session->graph->output_count);
    if (!made->inputs || !made->given || !made->outputs || !made->modes) {
        tl_context_destroy(made);
        return tl_error_no_memory(error);
    }
    atomic_init(&made->cancelled, false);
    *context = made;
    return TL_OK;
}

void tl_context_destroy(tl_context *context)
{
    if (!context)
        return;
    const tl_allocator *allocator = &context->session->runtime->allocator;
    while (context->plans) {
        tl_plan *next = context->plans->next;
        tl_plan_destroy(context->plans, allocator, context->session->graph->value_count);
        context->plans = next;
    }
    tl_memory_free(allocator, context->arena);
    tl_arena_free(&context->execution.strings);
    tl_arena_free(&context->memory);
    tl_memory_free(allocator, context);
}

/* ---- Bindings */

/* Does a tensor fit what the model says of an input? */
static tl_status check_input(const tl_context *context, size_t index, const tl_tensor *tensor, tl_error *error)
{
    const tl_value *value = context->session->graph->inputs[index];
    const tl_tensor *wanted = &value->tensor;
    bool fits = (wanted->type == TL_UNDEFINED || wanted->type == tensor->type) &&
                (wanted->rank == TL_RANK_UNKNOWN || wanted->rank == tensor->rank);
    for (int32_t i = 0; fits && wanted->rank != TL_RANK_UNKNOWN && i < wanted->rank; i++)
        fits = wanted->dims[i] < 0 || wanted->dims[i] == tensor->dims[i];
    if (fits)
        return TL_OK;
    char has[512], needs[512];
    return tl_error_set(error, TL_INVALID_INPUT, "input '%.200s' is %s, but the model wants %s", value->name,
                        tl_tensor_describe(tensor, NULL, NULL, has, sizeof has),
                        tl_tensor_describe(wanted, tl_model_symbol_name, context->session->model, needs, sizeof needs));
}

tl_status tl_context_set_input(tl_context *context, size_t index, const tl_tensor *tensor, tl_error *error)
{
    tl_status status =
        check_binding(context, index, context ? context->session->graph->input_count : 0, "input", error);
    if (status != TL_OK)
        return status;
    const char *name = context->session->graph->inputs[index]->name;
    if (!tensor)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "input '%.200s': the tensor is NULL", name);
    if (context->session->graph->inputs[index]->kind != TL_KIND_TENSOR)
        return tl_error_set(error, TL_UNSUPPORTED, "input '%.200s' is no tensor", name);
    int64_t bytes = tl_tensor_bytes(tensor);
    if (bytes < 0)
        return tl_error_set(error, TL_INVALID_INPUT,
                            "input '%.200s': the type, rank or a dimension is out of range, or the size overflows",
                            name);
    if (bytes > 0 && !tensor->data)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "input '%.200s': the data is NULL", name);
    status = check_input(context, index, tensor, error);
    if (status != TL_OK)
        return status;
    context->inputs[index] = *tensor;
    context->given[index] = true;
    return TL_OK;
}

tl_status tl_context_bind_output(tl_context *context, size_t index, void *buffer, size_t capacity, tl_error *error)
{
    tl_status status =
        check_binding(context, index, context ? context->session->graph->output_count : 0, "output", error);
    if (status != TL_OK)
        return status;
    if (buffer && (uintptr_t)buffer % 16)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "output '%.200s': the buffer is not aligned to 16 bytes",
                            context->session->graph->outputs[index]->name);
    context->outputs[index].buffer = buffer;
    context->outputs[index].capacity = capacity;
    return TL_OK;
}

/* ---- Plans */

static bool same_shape(const tl_tensor *a, const tl_tensor *b)
{
    return a->type == b->type && a->rank == b->rank &&
           (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0);
}

static bool plan_fits(const tl_context *context, const tl_plan *plan)
{
    const tl_graph *graph = context->session->graph;
    for (size_t i = 0; i < graph->input_count; i++)
        if (!same_shape(&plan->inputs[i], &context->inputs[i]))
            return false;
    return graph->output_count == 0 ||
           memcmp(plan->modes, context->modes, graph->output_count * sizeof *context->modes) == 0;
}

static tl_status check_given(const tl_context *context, tl_error *error)
{
    const tl_graph *graph = context->session->graph;
    for (size_t i = 0; i < graph->input_count; i++) {
        if (context->given[i])
            continue;
        char wants[512];
        return tl_error_set(error, TL_INVALID_INPUT, "input '%.200s' is missing: %s", graph->inputs[i]->name,
                            tl_tensor_describe(&graph->inputs[i]->tensor, tl_model_symbol_name, context->session->model,
                                               wants, sizeof wants));
    }
    return TL_OK;
}

static void choose_modes(tl_context *context)
{
    const tl_graph *graph = context->session->graph;
    for (size_t k = 0; k < graph->output_count; k++) {
        const void *buffer = context->outputs[k].buffer;
        context->modes[k] = buffer ? TL_OUTPUT_BOUND : TL_OUTPUT_OWN;
        for (size_t i = 0; buffer && i < graph->input_count; i++)
            if (context->inputs[i].data == buffer)
                context->modes[k] = TL_OUTPUT_STATE;
    }
}

/* Drops the plan that was used longest ago, when there are enough. */
static void trim_plans(tl_context *context)
{
    tl_plan **link = &context->plans;
    for (int i = 0; *link && i < KEPT_PLANS - 1; i++)
        link = &(*link)->next;
    if (*link) {
        tl_plan_destroy(*link, &context->session->runtime->allocator, context->session->graph->value_count);
        *link = NULL;
    }
}

static tl_status place(tl_context *context, tl_plan *plan, tl_error *error)
{
    if (plan->arena_bytes > context->arena_bytes || !context->arena) {
        const tl_allocator *allocator = &context->session->runtime->allocator;
        void *wider = tl_memory_alloc(allocator, plan->arena_bytes, plan->arena_bytes >= 1 << 21 ? 4096 : TL_ALIGNMENT);
        if (!wider)
            return tl_error_set(error, TL_NO_MEMORY, "no memory for %zu bytes of intermediate values",
                                plan->arena_bytes);
        tl_memory_free(allocator, context->arena);
        context->arena = wider;
        context->arena_bytes = plan->arena_bytes;
        for (tl_plan *p = context->plans; p; p = p->next)
            p->base = NULL;
    }
    if (plan->base != context->arena)
        tl_plan_place(plan, context->session->graph, context->arena);
    return TL_OK;
}

static tl_status choose_plan(tl_context *context, tl_error *error)
{
    choose_modes(context);
    for (tl_plan **link = &context->plans; *link; link = &(*link)->next) {
        tl_plan *plan = *link;
        if (!plan_fits(context, plan))
            continue;
        *link = plan->next;
        plan->next = context->plans;
        context->plans = plan;
        return place(context, plan, error);
    }
    tl_session *session = context->session;
    tl_plan *plan;
    tl_status status = tl_plan_create(session->runtime, session->graph, context->inputs, context->modes,
                                      session->keep_values, &plan, error);
    if (status != TL_OK)
        return status;
    trim_plans(context);
    plan->next = context->plans;
    context->plans = plan;
    return place(context, plan, error);
}

tl_status tl_context_plan(tl_context *context, tl_error *error)
{
    tl_status status = check_given(context, error);
    return status == TL_OK ? choose_plan(context, error) : status;
}

/* ---- Steps whose shapes come out during the run */

static void *reserve(tl_context *context, tl_reserve *r, size_t bytes)
{
    if (bytes > r->capacity || !r->data) {
        const tl_allocator *allocator = &context->session->runtime->allocator;
        size_t wanted = bytes > SIZE_MAX / 2 ? bytes : bytes + bytes / 4;
        void *wider = tl_memory_alloc(allocator, wanted, TL_ALIGNMENT);
        if (!wider)
            return NULL;
        tl_memory_free(allocator, r->data);
        *r = (tl_reserve){wider, wanted};
    }
    return r->data;
}

static void *allocate_output(tl_execution *execution, const tl_call *call, size_t k, size_t bytes)
{
    tl_context *context = (tl_context *)((char *)execution - offsetof(tl_context, execution));
    return reserve(context, &context->plans->reserves[call->node->outputs[k]->index], bytes);
}

static tl_status run_dynamic(tl_context *context, tl_plan *plan, tl_step *step)
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
        call->outputs[0]->data = call->inputs[0]->data;
        if (tl_tensor_elements(call->outputs[0]) != tl_tensor_elements(call->inputs[0]))
            return tl_error_set(error, TL_INTERNAL, "a view changes the number of elements");
        return TL_OK;
    }
    for (size_t k = 0; k < call->output_count; k++) {
        tl_tensor *out = call->outputs[k];
        if (!out)
            continue;
        out->data = NULL;
        int64_t bytes = tl_tensor_bytes(out);
        if (bytes >= 0 && !(out->data = allocate_output(&context->execution, call, k, (size_t)bytes)))
            return tl_error_set(error, TL_NO_MEMORY, "no memory for output %zu of %lld bytes", k, (long long)bytes);
    }
    if (call->workspace_size && !(call->workspace = reserve(context, &plan->workspace, call->workspace_size)))
        return tl_error_set(error, TL_NO_MEMORY, "no memory for a workspace of %zu bytes", call->workspace_size);
    return op->run(call);
}

/* ---- The run */

static void link_buffers(tl_context *context, tl_plan *plan)
{
    for (size_t i = 0; i < plan->link_count; i++) {
        const tl_link *link = &plan->links[i];
        link->slot->data = link->output ? context->outputs[link->index].buffer : context->inputs[link->index].data;
    }
}

static tl_status check_capacity(const tl_context *context, const tl_plan *plan, tl_error *error)
{
    const tl_graph *graph = context->session->graph;
    for (size_t k = 0; k < graph->output_count; k++) {
        if (!context->outputs[k].buffer)
            continue;
        int64_t bytes = tl_tensor_bytes(&plan->slots[graph->outputs[k]->index]);
        if (bytes >= 0 && (uint64_t)bytes > context->outputs[k].capacity)
            return tl_error_set(error, TL_INVALID_ARGUMENT,
                                "output '%.200s' has %lld bytes, but its buffer has room for %zu",
                                graph->outputs[k]->name, (long long)bytes, context->outputs[k].capacity);
    }
    return TL_OK;
}

static tl_status run_steps(tl_context *context, tl_plan *plan, tl_error *error)
{
    for (size_t s = 0; s < plan->step_count; s++) {
        tl_step *step = &plan->steps[s];
        step->frame.error = error;
        step->frame.execution = &context->execution;
        if (atomic_load_explicit(&context->cancelled, memory_order_relaxed))
            return tl_error_set(error, TL_CANCELLED, "the run was cancelled");
        if (context->trace)
            context->trace(context->trace_user, step->node, true);
        tl_status status = step->dynamic ? run_dynamic(context, plan, step) : step->node->op->run(&step->frame.call);
        if (context->trace)
            context->trace(context->trace_user, step->node, false);
        if (status != TL_OK)
            return tl_node_blame(step->node, status, error);
    }
    return TL_OK;
}

static tl_status deliver(tl_context *context, tl_plan *plan, tl_error *error)
{
    /* First out of the inputs' buffers, which the second pass may overwrite. */
    for (size_t i = 0; i < plan->copy_count; i++) {
        const tl_copy *copy = &plan->copies[i];
        int64_t bytes = tl_tensor_bytes(copy->slot);
        if (copy->spare != SIZE_MAX && bytes > 0)
            memcpy((char *)context->arena + copy->spare, copy->slot->data, (size_t)bytes);
    }
    tl_status status = check_capacity(context, plan, error);
    if (status != TL_OK)
        return status;
    for (size_t k = 0; k < context->session->graph->output_count; k++)
        context->outputs[k].result = plan->slots[context->session->graph->outputs[k]->index];
    for (size_t i = 0; i < plan->copy_count; i++) {
        const tl_copy *copy = &plan->copies[i];
        tl_bound_output *out = &context->outputs[copy->output];
        if (copy->spare != SIZE_MAX)
            out->result.data = (char *)context->arena + copy->spare;
        if (!out->buffer)
            continue;
        int64_t bytes = tl_tensor_bytes(copy->slot);
        if (bytes > 0)
            memmove(out->buffer, out->result.data, (size_t)bytes);
        out->result.data = out->buffer;
    }
    return TL_OK;
}

tl_status tl_context_run(tl_context *context, tl_error *error)
{
    if (!context)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "the context is NULL");
    tl_error own;
    if (!error)
        error = &own;
    context->finished = false;
    tl_status status = check_given(context, error);
    if (status == TL_OK)
        status = choose_plan(context, error);
    if (status == TL_OK)
        status = check_capacity(context, context->plans, error);
    if (status == TL_OK) {
        if (context->execution.strings.used)
            tl_arena_free(&context->execution.strings);
        context->execution.allocate = allocate_output;
        link_buffers(context, context->plans);
        uint64_t before = tl_denormals_flush();
        status = run_steps(context, context->plans, error);
        tl_denormals_restore(before);
    }
    if (status == TL_OK)
        status = deliver(context, context->plans, error);
    atomic_store_explicit(&context->cancelled, false, memory_order_relaxed);
    context->finished = status == TL_OK;
    return status;
}

void tl_context_cancel(tl_context *context)
{
    if (context)
        atomic_store_explicit(&context->cancelled, true, memory_order_relaxed);
}

/* ---- Results */

tl_status tl_context_output(const tl_context *context, size_t index, tl_tensor *tensor, tl_error *error)
{
    tl_status status =
        check_binding(context, index, context ? context->session->graph->output_count : 0, "output", error);
    if (status != TL_OK)
        return status;
    if (!tensor || !context->finished)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "output %zu: %s", index,
                            tensor ? "there was no successful run" : "tensor is NULL");
    *tensor = context->outputs[index].result;
    return TL_OK;
}

tl_status tl_context_value(const tl_context *context, const char *name, tl_tensor *tensor, tl_error *error)
{
    if (!context || !name || !tensor)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "tl_context_value: context, name or tensor is NULL");
    if (!context->finished)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "value '%.200s': there was no successful run", name);
    const tl_graph *graph = context->session->graph;
    const tl_value *value = tl_graph_find(graph, name);
    if (!value)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "there is no value '%.200s'", name);
    for (size_t k = 0; k < graph->output_count; k++)
        if (graph->outputs[k] == value)
            return tl_context_output(context, k, tensor, error);
    if (!context->session->keep_values && !(value->flags & (TL_VALUE_INPUT | TL_VALUE_CONSTANT)))
        return tl_error_set(error, TL_INVALID_ARGUMENT,
                            "value '%.200s' is not kept: open the session with TL_SESSION_KEEP_VALUES", name);
    *tensor = context->plans->slots[value->index];
    if (!tensor->data && tl_tensor_elements(tensor) != 0)
        return tl_error_set(error, TL_INVALID_ARGUMENT,
                            "value '%.200s' is packed into an operator: open the session "
                            "with TL_SESSION_KEEP_VALUES",
                            name);
    return TL_OK;
}
