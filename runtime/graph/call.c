#include "graph/call.h"

tl_status tl_node_blame(const tl_node *node, tl_status status, tl_error *error)
{
    char where[512];
    if (error && (error->status != status || !*error->message)) /* a callback failed and gave no reason */
        tl_error_set(error, status, "the operator says no more than '%s'", tl_status_name(status));
    tl_error_prefix(error, "%s", tl_node_describe(node, where, sizeof where));
    return status;
}

/* ---- The host's part in a call */

static tl_status fail(const tl_call *call, tl_status status, const char *format, ...)
{
    /* Failing with success would let a half-made result through. */
    if (status == TL_OK)
        status = TL_PLUGIN;
    va_list arguments;
    va_start(arguments, format);
    tl_error_setv(tl_call_frame_of(call)->error, status, format, arguments);
    va_end(arguments);
    return status;
}

static void *output_memory(tl_call *call, size_t k, int32_t rank, const int64_t *dims)
{
    const tl_call_frame *frame = tl_call_frame_of(call);
    tl_tensor *out = k < call->output_count ? call->outputs[k] : NULL;
    if (!out || out->data || rank < 0 || rank > TL_MAX_RANK) {
        tl_error_set(frame->error, TL_INTERNAL, "no output %zu, or rank %d", k, rank);
        return NULL;
    }
    out->rank = rank;
    for (int32_t i = 0; i < rank; i++)
        out->dims[i] = dims[i];
    int64_t bytes = tl_tensor_bytes(out);
    out->data = bytes < 0 ? NULL : frame->execution->allocate(frame->execution, call, k, (size_t)bytes);
    if (!out->data)
        tl_error_set(frame->error, TL_NO_MEMORY, "no memory for output %zu of %lld bytes", k, (long long)bytes);
    return out->data;
}

static char *string_memory(tl_call *call, size_t size)
{
    const tl_call_frame *frame = tl_call_frame_of(call);
    char *bytes = tl_arena_alloc(frame->execution->heap, size + (size == 0), 1, 1);
    if (!bytes)
        tl_error_no_memory(frame->error);
    return bytes;
}

void tl_host_init_calls(tl_host *host)
{
    host->fail = fail;
    host->output = output_memory;
    host->string = string_memory;
}

/* ---- The callbacks */

const tl_tensor **tl_node_known_inputs(const tl_node *node, int64_t most, tl_arena *arena)
{
    const tl_tensor **inputs = TL_NEW(arena, const tl_tensor *, tl_node_call_inputs(node) + 1);
    for (size_t k = 0; inputs && k < node->input_count; k++) {
        tl_value *value = node->inputs[k] ? tl_value_origin(node->inputs[k]) : NULL;
        if (!value)
            continue;
        inputs[k] = value->constant ? &value->tensor : &node->inputs[k]->tensor;
        if (value->constant && value->constant->bytes <= most && !tl_value_data(value))
            return NULL;
    }
    return inputs;
}

tl_status tl_node_create(tl_node *node, const tl_host *host, const tl_tensor *const *inputs, uint64_t *packed,
                         tl_error *error)
{
    *packed = 0;
    if (node->created || !node->op->create)
        return TL_OK;
    tl_call_frame frame = tl_call_frame_for(node, host, inputs, NULL, error);
    tl_status status = node->op->create(&frame.call);
    if (status != TL_OK) {
        if (frame.call.state && node->op->destroy)
            node->op->destroy(host, frame.call.state);
        return tl_node_blame(node, status, error);
    }
    node->state = frame.call.state;
    node->created = true;
    *packed = frame.call.packed;
    return TL_OK;
}

void tl_node_destroy(tl_node *node, const tl_host *host)
{
    if (node->state && !node->twin && node->op && node->op->destroy)
        node->op->destroy(host, node->state);
    node->state = NULL;
    node->twin = NULL;
    node->created = false;
}

static tl_status check_output(const tl_call_frame *frame, size_t k)
{
    const tl_tensor *out = frame->call.outputs[k];
    const tl_type type = frame->call.node->outputs[k]->tensor.type; /* others have relied on it since */
    if ((unsigned)out->type >= TL_TYPE_COUNT || (!frame->ahead && type != TL_UNDEFINED && out->type != type))
        return tl_error_set(frame->error, TL_PLUGIN, "output %zu has another type, %d", k, (int)out->type);
    if (out->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    bool known = out->rank >= 0 && out->rank <= TL_MAX_RANK;
    if (!known)
        return tl_error_set(frame->error, TL_UNSUPPORTED, "output %zu has rank %d, but %d is the most", k, out->rank,
                            TL_MAX_RANK);
    for (int32_t i = 0; i < out->rank; i++)
        known &= out->dims[i] >= 0;
    if (known && tl_tensor_bytes(out) < 0)
        return tl_error_set(frame->error, TL_NO_MEMORY, "the size of output %zu overflows", k);
    return TL_OK;
}

/* The outputs of a view must lie inside input 0, or be all of it where there are no parts. */
static tl_status check_view(const tl_call_frame *frame)
{
    const tl_call *call = &frame->call;
    const int64_t whole = call->input_count && call->inputs[0] ? tl_tensor_bytes(call->inputs[0]) : -1;
    for (size_t k = 0; k < call->output_count; k++) {
        const int64_t bytes = call->outputs[k] ? tl_tensor_bytes(call->outputs[k]) : -1; /* -1: of no shape, a list */
        const int64_t part = call->parts ? call->parts[k] : 0;
        const bool fine = bytes < 0 ? part == 0 : part >= 0 && part <= whole && bytes <= whole - part;
        if (!call->input_count || !call->inputs[0] || !fine || (!call->parts && bytes >= 0 && bytes != whole))
            return tl_error_set(frame->error, TL_PLUGIN, "output %zu is no view of input 0", k);
    }
    return TL_OK;
}

static tl_status check_outputs(const tl_call_frame *frame)
{
    const tl_call *call = &frame->call;
    tl_status status = TL_OK;
    for (size_t k = 0; k < call->output_count && status == TL_OK; k++)
        if (call->outputs[k])
            status = check_output(frame, k);
    if (status != TL_OK || !call->view || frame->ahead)
        return status;
    return check_view(frame);
}

tl_status tl_call_reshape(tl_call_frame *frame, tl_node *node)
{
    tl_call *call = &frame->call;
    tl_status status = TL_OK;
    call->workspace_size = 0;
    call->view = false;
    if (call->parts)
        memset(call->parts, 0, call->output_count * sizeof *call->parts);
    if (node->op->reshape) {
        for (size_t k = 0; k < call->output_count; k++)
            if (call->outputs[k])
                call->outputs[k]->rank = TL_RANK_UNKNOWN;
        status = node->op->reshape(call);
    } else if (call->input_count && call->inputs[0]) {
        for (size_t k = 0; k < call->output_count; k++)
            if (call->outputs[k]) {
                call->outputs[k]->rank = call->inputs[0]->rank;
                memcpy(call->outputs[k]->dims, call->inputs[0]->dims, sizeof call->inputs[0]->dims);
            }
    }
    call->view |= (node->op->flags & TL_OP_VIEW) != 0;
    return status == TL_OK ? check_outputs(frame) : status;
}

tl_status tl_call_run(tl_call_frame *frame, const tl_node *node)
{
    const tl_call *call = &frame->call;
    tl_status status = node->op->run(&frame->call);
    for (size_t k = 0; k < call->output_count && status == TL_OK; k++)
        if (call->outputs[k] && !call->outputs[k]->data)
            status = tl_error_set(frame->error, TL_PLUGIN, "output %zu has no memory", k);
    return status;
}

/* ---- A node on its own */

typedef struct evaluation {
    tl_execution execution;
    size_t limit;
    const tl_allocator *allocator;
} evaluation;

static void *allocate_output(tl_execution *execution, const tl_call *call, size_t k, size_t bytes)
{
    evaluation *e = (evaluation *)execution;
    (void)call;
    (void)k;
    return bytes > e->limit ? NULL : tl_memory_alloc(e->allocator, bytes, TL_ALIGNMENT);
}

static bool is_known(const tl_tensor *tensor)
{
    return tensor->rank != TL_RANK_UNKNOWN && tl_tensor_elements(tensor) >= 0;
}

static tl_status run_once(tl_call_frame *frame, tl_node *node, evaluation *e)
{
    tl_call *call = &frame->call;
    const tl_operator *op = node->op;
    if (op->plan_size && !(call->plan = tl_memory_alloc(e->allocator, op->plan_size, TL_ALIGNMENT)))
        return tl_error_no_memory(frame->error);
    if (call->plan)
        memset(call->plan, 0, op->plan_size);
    tl_status status = tl_call_reshape(frame, node);
    if (status != TL_OK)
        return status;
    for (size_t k = 0; k < call->output_count; k++) {
        tl_tensor *out = call->outputs[k];
        if (!out || !is_known(out))
            continue;
        int64_t bytes = tl_tensor_bytes(out);
        if (bytes < 0 || !(out->data = allocate_output(&e->execution, call, k, (size_t)bytes)))
            return tl_error_set(frame->error, TL_NO_MEMORY, "no memory for output %zu", k);
    }
    if (call->view) {
        const tl_tensor *in = call->inputs[0];
        for (size_t k = 0; k < call->output_count; k++) /* without parts each is all of it */
            if (call->outputs[k] && call->outputs[k]->data && in->data)
                memcpy(call->outputs[k]->data, in->data, (size_t)tl_tensor_bytes(in));
        return TL_OK;
    }
    if (!(call->workspace = tl_memory_alloc(e->allocator, call->workspace_size, TL_ALIGNMENT)))
        return tl_error_no_memory(frame->error);
    return tl_call_run(frame, node);
}

tl_status tl_evaluate(tl_node *node, tl_runtime *runtime, const tl_tensor *const *inputs, tl_tensor *const *outputs,
                      tl_arena *heap, size_t limit, tl_error *error)
{
    uint64_t packed;
    tl_status status = tl_node_create(node, &runtime->host, inputs, &packed, error);
    if (status != TL_OK)
        return status;
    evaluation e = {{.runtime = runtime, .heap = heap, .allocate = allocate_output}, limit, &runtime->allocator};
    const tl_arena before = *heap;
    if (!tl_add_size(heap->used, limit, &heap->limit))
        heap->limit = SIZE_MAX;
    tl_call_frame frame = tl_call_frame_for(node, &runtime->host, inputs, outputs, error);
    frame.call.state = node->state;
    frame.call.thread_count = runtime->pool.thread_count;
    frame.execution = &e.execution;
    for (size_t k = 0; k < node->output_count; k++)
        if (outputs[k])
            outputs[k]->data = NULL;
    status = run_once(&frame, node, &e);
    heap->limit = before.limit;
    if (status != TL_OK)
        tl_arena_rewind(heap, &before);
    tl_memory_free(&runtime->allocator, frame.call.plan);
    tl_memory_free(&runtime->allocator, frame.call.workspace);
    for (size_t k = 0; k < node->output_count && status != TL_OK; k++)
        if (outputs[k]) {
            tl_memory_free(&runtime->allocator, outputs[k]->data);
            outputs[k]->data = NULL;
        }
    return status == TL_OK ? TL_OK : tl_node_blame(node, status, error);
}
