/* The public face of a run: bindings checked, the executor called, results handed out. */
#include "exec/context.h"
#include "exec/inspect.h"
#include "exec/strips.h"
#include "exec/threads.h"

static tl_status check_binding(const tl_context *context, size_t index, size_t count, const char *what, tl_error *error)
{
    if (context && index < count)
        return TL_OK;
    if (context)
        tl_error_set(error, TL_INVALID_ARGUMENT, "there is no %s %zu: the model has %zu", what, index, count);
    else
        tl_error_set(error, TL_INVALID_ARGUMENT, "the context is NULL");
    return TL_INVALID_ARGUMENT;
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
    *made = (tl_context){.session = session, .run = {.runtime = session->runtime}};
    tl_arena_init(&made->memory, allocator, 0);
    tl_arena_init(&made->run.heap, allocator, 0);
    atomic_init(&made->run.cancelled, false);
    made->run.inner_count = session->model->graph_count;
    made->run.inner = TL_NEW(&made->memory, tl_executor *, made->run.inner_count);
    made->given = TL_NEW(&made->memory, bool, session->graph->input_count);
    tl_status status = made->run.inner && made->given ? TL_OK : tl_error_no_memory(error);
    if (status == TL_OK)
        status = tl_executor_create(&made->run, session->graph, session->keep_values, &made->main, error);
    if (status != TL_OK) {
        tl_context_destroy(made);
        return status;
    }
    made->main->strip_bytes = session->keep_values ? 0 : TL_STRIP_BYTES;
    made->main->strips_above = TL_STRIPS_ABOVE;
    *context = made;
    return status;
}

void tl_context_destroy(tl_context *context)
{
    if (!context)
        return;
    const tl_allocator *allocator = &context->session->runtime->allocator;
    for (size_t i = 0; context->run.inner && i < context->run.inner_count; i++)
        tl_executor_destroy(context->run.inner[i]);
    tl_executor_destroy(context->main);
    tl_arena_free(&context->run.heap);
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
    context->main->given[index] = *tensor;
    if (!tensor->data) /* no bytes lie anywhere: operators may add offsets to it */
        context->main->given[index].data = context->given;
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
    context->main->outputs[index].buffer = buffer;
    context->main->outputs[index].capacity = capacity;
    return TL_OK;
}

tl_status tl_context_set_list(tl_context *context, size_t index, const tl_list *list, tl_error *error)
{
    tl_status status =
        check_binding(context, index, context ? context->session->graph->input_count : 0, "input", error);
    if (status != TL_OK)
        return status;
    const tl_value *value = context->session->graph->inputs[index];
    if (!list || value->kind != list->kind)
        return tl_error_set(error, TL_INVALID_INPUT, "input '%.200s' is given another kind of value than it takes",
                            value->name);
    context->main->given[index] = (tl_tensor){.data = (void *)(uintptr_t)list, .rank = TL_RANK_UNKNOWN};
    context->given[index] = true;
    return TL_OK;
}

/* ---- The run */

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

tl_status tl_context_plan(tl_context *context, tl_error *error)
{
    tl_status status = check_given(context, error);
    return status == TL_OK ? tl_executor_plan(context->main, error) : status;
}

tl_status tl_context_run(tl_context *context, tl_error *error)
{
    if (!context)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "the context is NULL");
    tl_error own;
    if (!error)
        error = &own;
    *error->message = '\0'; /* what an earlier call left there is no reason of this one's */
    context->finished = false;
    tl_status status = check_given(context, error);
    if (status == TL_OK) {
        if (context->run.heap.used)
            tl_arena_free(&context->run.heap);
        uint64_t before = tl_denormals_flush();
        tl_threads_begin_run(context->run.runtime);
        status = tl_executor_run(context->main, error);
        tl_threads_end_run(context->run.runtime);
        tl_denormals_restore(before);
    }
    atomic_store_explicit(&context->run.cancelled, false, memory_order_relaxed);
    context->finished = status == TL_OK;
    return status;
}

void tl_context_cancel(tl_context *context)
{
    if (context)
        atomic_store_explicit(&context->run.cancelled, true, memory_order_relaxed);
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
    const tl_value *value = context->session->graph->outputs[index];
    if (value->kind != TL_KIND_TENSOR)
        return tl_error_set(error, TL_UNSUPPORTED, "output '%.200s' is no tensor", value->name);
    *tensor = context->main->outputs[index].result;
    return TL_OK;
}

const tl_list *tl_context_output_list(const tl_context *context, size_t index)
{
    const tl_graph *graph = context->session->graph;
    bool is_list = context->finished && index < graph->output_count && graph->outputs[index]->kind != TL_KIND_TENSOR;
    return is_list ? tl_slot_list(&context->main->outputs[index].result) : NULL;
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
    if (value->kind != TL_KIND_TENSOR)
        return tl_error_set(error, TL_UNSUPPORTED, "value '%.200s' is no tensor", name);
    if (!context->session->keep_values && !(value->flags & (TL_VALUE_INPUT | TL_VALUE_CONSTANT)))
        return tl_error_set(error, TL_INVALID_ARGUMENT,
                            "value '%.200s' is not kept: open the session with TL_SESSION_KEEP_VALUES", name);
    *tensor = context->main->plans->slots[value->index];
    if (!tensor->data && tl_tensor_elements(tensor) != 0)
        return tl_error_set(error, TL_INVALID_ARGUMENT,
                            "value '%.200s' is packed into an operator: open the session "
                            "with TL_SESSION_KEEP_VALUES",
                            name);
    return TL_OK;
}
