/* If, Loop and Scan: operators with graphs inside, which executors of their own run. */
#include "exec/executor.h"
#include "exec/list.h"
#include "onnx/op.h"
#include "onnx/tensor.h"

static tl_graph *graph_attribute(const tl_call *call, const char *name)
{
    const tl_attribute *attribute = tl_node_attribute(call->node, name);
    return attribute && attribute->kind == TL_ATTR_GRAPH ? attribute->u.graph : NULL;
}

static tl_error *error_of(const tl_call *call)
{
    return tl_call_frame_of(call)->error;
}

/* Ahead of the run (no state to look at, the schema's default types only) a value that an inner graph gives out tells
 * what the node's output is. */
static void take_kind(const tl_call *call, size_t k, const tl_value *from, bool shape)
{
    tl_value *to = k < call->node->output_count ? call->node->outputs[k] : NULL;
    tl_tensor *out = op_output(call, k);
    if (!to || !out)
        return;
    tl_value_copy_kind(to, from);
    out->type = from->kind == TL_KIND_TENSOR ? from->tensor.type : TL_UNDEFINED;
    out->rank = TL_RANK_UNKNOWN;
    if (shape && from->kind == TL_KIND_TENSOR && from->tensor.rank != TL_RANK_UNKNOWN)
        op_copy_shape(out, &from->tensor);
}

static tl_status unplanned(tl_call *call)
{
    return op_unknown_shape(call);
}

/* An inner graph's result becomes the node's output k. */
static tl_status give_out(tl_call *call, size_t k, const tl_tensor *result)
{
    tl_tensor *out = op_output(call, k);
    if (!out)
        return TL_OK;
    if (call->node->outputs[k]->kind != TL_KIND_TENSOR) {
        *out = *result;
        return TL_OK;
    }
    if (out->type == TL_UNDEFINED)
        out->type = result->type;
    if (out->type != result->type)
        return tl_fail(call, TL_INVALID_MODEL, "output %zu is %s now, but %s elsewhere", k, tl_type_name(result->type),
                       tl_type_name(out->type));
    void *data = call->host->output(call, k, result->rank, result->dims);
    if (!data)
        return TL_NO_MEMORY;
    int64_t bytes = tl_tensor_bytes(result);
    if (bytes > 0)
        memcpy(data, result->data, (size_t)bytes);
    return TL_OK;
}

static bool read_bool(const tl_tensor *tensor)
{
    return tensor->data && *(const uint8_t *)tensor->data;
}

static tl_status check_scalar(const tl_call *call, const char *what, const tl_tensor *tensor)
{
    if (tl_tensor_elements(tensor) != 1)
        return tl_fail(call, TL_INVALID_INPUT, "%s has %lld elements, but must have one", what,
                       (long long)tl_tensor_elements(tensor));
    return TL_OK;
}

/* ---- If */

static tl_status if_infer(tl_call *call)
{
    const tl_graph *branches[] = {graph_attribute(call, "then_branch"), graph_attribute(call, "else_branch")};
    if (!branches[0] || !branches[1])
        return TL_INVALID_MODEL; /* not so after the schema's check */
    for (int b = 0; b < 2; b++)
        if (branches[b]->output_count != call->node->output_count)
            return tl_fail(call, TL_INVALID_MODEL, "%s gives out %zu values, but the node has %zu outputs",
                           b ? "else_branch" : "then_branch", branches[b]->output_count, call->node->output_count);
    for (size_t k = 0; k < call->node->output_count; k++) {
        const tl_value *yes = branches[0]->outputs[k], *no = branches[1]->outputs[k];
        if (!tl_value_matches(yes, no))
            return tl_fail(call, TL_INVALID_MODEL,
                           "output %zu is of another kind or type in one branch than in the other", k);
        const tl_tensor *a = &yes->tensor, *b = &no->tensor;
        bool same = a->rank == b->rank && a->rank != TL_RANK_UNKNOWN;
        take_kind(call, k, yes->tensor.type != TL_UNDEFINED || yes->kind != TL_KIND_TENSOR ? yes : no, same);
        for (int32_t i = 0; same && op_output(call, k) && i < a->rank; i++)
            if (a->dims[i] != b->dims[i])
                call->outputs[k]->dims[i] = TL_DIM_UNKNOWN;
    }
    return TL_OK;
}

static tl_status if_reshape(tl_call *call)
{
    return tl_call_frame_of(call)->ahead ? if_infer(call) : unplanned(call);
}

static tl_status if_run(tl_call *call)
{
    tl_status status = check_scalar(call, "cond", call->inputs[0]);
    if (status != TL_OK)
        return status;
    tl_graph *graph = graph_attribute(call, read_bool(call->inputs[0]) ? "then_branch" : "else_branch");
    tl_executor *inner;
    status = tl_executor_inner(tl_executor_of(call), graph, &inner, error_of(call));
    if (status == TL_OK)
        status = tl_executor_run(inner, error_of(call));
    for (size_t k = 0; k < call->output_count && status == TL_OK; k++)
        status = give_out(call, k, &inner->outputs[k].result);
    return status;
}

static const tl_param if_ins[] = {OP_IN("cond", TL_T(TL_BOOL), 0)};
static const tl_param any_outs[] = {{"outputs", TL_T_ALL, 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED}};
static const tl_attribute_spec if_attrs[] = {
    {.name = "then_branch", .kind = TL_ATTR_GRAPH, .flags = TL_ATTR_REQUIRED},
    {.name = "else_branch", .kind = TL_ATTR_GRAPH, .flags = TL_ATTR_REQUIRED},
};

OP_DESCRIPTOR(If, 1) = {OP_HEAD(If, 1),
                        .flags = TL_OP_RUNTIME,
                        OP_PARAMS(input, if_ins),
                        OP_PARAMS(output, any_outs),
                        OP_PARAMS(attribute, if_attrs),
                        .reshape = if_reshape,
                        .run = if_run};

/* ---- What Loop and Scan share: values that go round, and results that are stacked */

/* A state that began as an optional and goes on as what it holds. */
static tl_status wrap_optional(const tl_call *call, const tl_executor *inner, const tl_value *from,
                               const tl_tensor *result, tl_tensor *kept)
{
    tl_arena *heap = &inner->run->heap;
    tl_list *list = tl_list_new(heap, TL_KIND_OPTIONAL, 1);
    if (list)
        list->items[0] =
            from->kind == TL_KIND_TENSOR ? tl_item_tensor(heap, result) : tl_item_list(heap, tl_slot_list(result));
    if (!list || !list->items[0])
        return tl_fail(call, TL_NO_MEMORY, "no memory for an optional");
    *kept = (tl_tensor){.data = list, .rank = TL_RANK_UNKNOWN};
    return TL_OK;
}

/* Keeps the elements of a result, which lie in the inner graph's memory, where the next round does not overwrite them.
 */
static tl_status keep_state(const tl_call *call, const tl_executor *inner, tl_reserve *buffer, const tl_value *from,
                            const tl_value *to, const tl_tensor *result, tl_tensor *kept)
{
    *kept = *result;
    if (to->kind == TL_KIND_OPTIONAL && from->kind != TL_KIND_OPTIONAL)
        return wrap_optional(call, inner, from, result, kept);
    if (from->kind != TL_KIND_TENSOR)
        return TL_OK;
    int64_t bytes = tl_tensor_bytes(result);
    kept->data = tl_reserve_bytes(inner, buffer, (size_t)bytes);
    if (!kept->data)
        return tl_fail(call, TL_NO_MEMORY, "no memory for %lld bytes that go round", (long long)bytes);
    if (bytes > 0)
        memcpy(kept->data, result->data, (size_t)bytes);
    return TL_OK;
}

/* Puts one round's result behind the others. */
static tl_status stack(const tl_call *call, const tl_executor *inner, tl_reserve *buffer, int64_t round, size_t k,
                       const tl_tensor *result, tl_tensor *shape)
{
    if (round == 0)
        *shape = *result;
    bool same = shape->type == result->type && shape->rank == result->rank;
    for (int32_t i = 0; same && i < result->rank; i++)
        same = shape->dims[i] == result->dims[i];
    if (!same)
        return tl_fail(call, TL_INVALID_INPUT, "scan output %zu changes its shape or type in round %lld", k,
                       (long long)round);
    int64_t bytes = tl_tensor_bytes(result), used, needed;
    if (!tl_mul(bytes, round, &used) || !tl_add(used, bytes, &needed))
        return tl_fail(call, TL_NO_MEMORY, "scan output %zu overflows", k);
    if ((size_t)needed > buffer->capacity) {
        tl_reserve wider = {NULL, 0};
        if (!tl_reserve_bytes(inner, &wider, needed < INT64_MAX / 2 ? (size_t)needed * 2 : (size_t)needed))
            return tl_fail(call, TL_NO_MEMORY, "no memory for scan output %zu of %lld bytes", k, (long long)needed);
        if (used > 0)
            memcpy(wider.data, buffer->data, (size_t)used);
        tl_memory_free(&inner->run->runtime->allocator, buffer->data);
        *buffer = wider;
    }
    if (bytes > 0)
        memcpy((char *)buffer->data + used, result->data, (size_t)bytes);
    return TL_OK;
}

/* Copies n elements, from number `from_at` of one buffer to number `to_at` of another. Where several share a byte, it
 * must be 0 there. */
static void copy_elements(tl_type type, char *to, int64_t to_at, const char *from, int64_t from_at, int64_t n)
{
    const int64_t bits = (int64_t)tl_type_bits(type), size = bits / 8, in_a_byte = size ? 1 : 8 / bits;
    if (size && n > 0)
        memcpy(to + to_at * size, from + from_at * size, (size_t)(n * size));
    for (const int64_t end = to_at + n; !size && to_at < end; to_at++, from_at++) {
        const int64_t element = (uint8_t)from[from_at / in_a_byte] >> from_at % in_a_byte * bits & ((1 << bits) - 1);
        to[to_at / in_a_byte] = (char)(to[to_at / in_a_byte] | element << to_at % in_a_byte * bits);
    }
}

/* Makes `out`, as (outer, count, inner), of (count, outer, inner), last piece first if reversed. Each piece begins with
 * a byte of its own. There are elements. */
static void unstack(const tl_tensor *out, const char *from, int32_t axis, bool reversed)
{
    const int64_t outer = op_product(out, 0, axis), count = out->dims[axis];
    const int64_t inner = op_product(out, axis + 1, out->rank), piece = tl_type_bytes(out->type, outer * inner);
    if (TL_T(out->type) & OP_T_PACKED)
        memset(out->data, 0, (size_t)tl_tensor_bytes(out));
    for (int64_t i = 0; i < count; i++)
        for (int64_t o = 0; o < outer; o++)
            copy_elements(out->type, out->data, (o * count + (reversed ? count - 1 - i : i)) * inner, from + i * piece,
                          o * inner, inner);
}

/* Hands out `rounds` stacked results, with the new axis at `axis`. */
static tl_status give_stacked(tl_call *call, size_t k, const tl_tensor *shape, int64_t rounds, const void *stacked,
                              int64_t axis, bool reversed)
{
    tl_tensor *out = op_output(call, k);
    if (!out)
        return TL_OK;
    int64_t dims[TL_MAX_RANK + 1];
    int32_t rank = shape->rank == TL_RANK_UNKNOWN ? 1 : shape->rank + 1;
    if (axis < 0)
        axis += rank;
    if (rank > TL_MAX_RANK || axis < 0 || axis >= rank)
        return tl_fail(call, TL_INVALID_MODEL, "output %zu cannot be stacked at axis %lld of rank %d", k,
                       (long long)axis, rank);
    for (int32_t i = 0; i < rank; i++) {
        const int64_t dim = i == axis ? rounds : shape->dims[i - (i > axis)];
        dims[i] = dim < 0 ? 0 : dim; /* no round has told how large it is */
    }
    if (out->type == TL_UNDEFINED)
        out->type = shape->type;
    if (out->type != shape->type)
        return tl_fail(call, TL_INVALID_MODEL, "output %zu is %s now, but %s elsewhere", k, tl_type_name(shape->type),
                       tl_type_name(out->type));
    void *data = call->host->output(call, k, rank, dims);
    if (!data)
        return TL_NO_MEMORY;
    if (tl_tensor_elements(out) > 0)
        unstack(out, stacked, (int32_t)axis, reversed);
    return TL_OK;
}

/* A body's input or output must be of the kind of what it is given or gives. */
static tl_status match_body(const tl_call *call, const tl_value *from, tl_value *to, const char *what, size_t k)
{
    if (to->kind == TL_KIND_TENSOR && to->tensor.type == TL_UNDEFINED)
        tl_value_copy_kind(to, from);
    if (tl_value_matches(from, to) || to->kind == TL_KIND_OPTIONAL)
        return TL_OK;
    return tl_fail(call, TL_INVALID_MODEL, "%s %zu of the body is of another kind or type than what goes there", what,
                   k);
}

/* ---- Loop */

enum { LOOP_FIXED = 2 /* iteration number and condition, before the states */ };

static size_t loop_states(const tl_call *call)
{
    return call->node->input_count > LOOP_FIXED ? call->node->input_count - LOOP_FIXED : 0;
}

static tl_status loop_infer(tl_call *call)
{
    tl_graph *body = graph_attribute(call, "body");
    size_t states = loop_states(call);
    if (body->input_count != states + LOOP_FIXED)
        return tl_fail(call, TL_INVALID_MODEL, "the body takes %zu values, but gets %zu", body->input_count,
                       states + LOOP_FIXED);
    if (body->output_count < 1 + states || call->node->output_count > body->output_count - 1)
        return tl_fail(call, TL_INVALID_MODEL, "the body gives out %zu values for %zu states and %zu outputs",
                       body->output_count, states, call->node->output_count);
    for (size_t k = 0; k < states; k++) {
        const tl_value *given = call->node->inputs[LOOP_FIXED + k];
        tl_status status = match_body(call, given, body->inputs[LOOP_FIXED + k], "input", LOOP_FIXED + k);
        if (status == TL_OK && body->inputs[LOOP_FIXED + k]->kind != TL_KIND_OPTIONAL)
            status = match_body(call, body->inputs[LOOP_FIXED + k], body->outputs[1 + k], "output", 1 + k);
        if (status != TL_OK)
            return status;
    }
    for (size_t k = 0; k < call->node->output_count; k++) {
        const tl_value *from = body->outputs[1 + k];
        if (k >= states && from->kind != TL_KIND_TENSOR)
            return tl_fail(call, TL_INVALID_MODEL, "scan output %zu is no tensor", k - states);
        take_kind(call, k, from, false);
        if (k >= states && op_output(call, k) && from->tensor.rank >= 0 && from->tensor.rank < TL_MAX_RANK) {
            tl_tensor *out = call->outputs[k];
            out->rank = from->tensor.rank + 1;
            out->dims[0] = TL_DIM_UNKNOWN;
            for (int32_t i = 0; i < from->tensor.rank; i++)
                out->dims[i + 1] = from->tensor.dims[i];
        }
    }
    return TL_OK;
}

static tl_status loop_reshape(tl_call *call)
{
    return tl_call_frame_of(call)->ahead ? loop_infer(call) : unplanned(call);
}

typedef struct loop {
    tl_call *call;
    tl_executor *inner;
    size_t states, scans;
    int64_t round;
    uint8_t condition;
    tl_tensor *shapes; /* of scan outputs, in the run's heap */
} loop;

static tl_status loop_round(loop *l)
{
    tl_graph *body = l->inner->graph;
    l->inner->given[0] = (tl_tensor){.data = &l->round, .type = TL_INT64};
    l->inner->given[1] = (tl_tensor){.data = &l->condition, .type = TL_BOOL};
    for (size_t i = 0; i < LOOP_FIXED; i++)
        if (body->inputs[i]->tensor.rank == 1) { /* the standard allows both */
            l->inner->given[i].rank = 1;
            l->inner->given[i].dims[0] = 1;
        }
    tl_status status = tl_executor_run(l->inner, error_of(l->call));
    if (status != TL_OK)
        return status;
    status = check_scalar(l->call, "the body's condition", &l->inner->outputs[0].result);
    if (status != TL_OK)
        return status;
    uint8_t next = read_bool(&l->inner->outputs[0].result);
    for (size_t k = 0; k < l->scans && status == TL_OK; k++)
        status = stack(l->call, l->inner, &l->inner->buffers[2 * l->states + k], l->round, k,
                       &l->inner->outputs[1 + l->states + k].result, &l->shapes[k]);
    for (size_t k = 0; k < l->states && status == TL_OK; k++)
        status = keep_state(l->call, l->inner, &l->inner->buffers[2 * k + (size_t)(l->round & 1)], body->outputs[1 + k],
                            body->inputs[LOOP_FIXED + k], &l->inner->outputs[1 + k].result,
                            &l->inner->given[LOOP_FIXED + k]);
    l->condition = next;
    return status;
}

/* What a state ended as. One that began as an optional may leave as what it holds. */
static tl_status give_state(tl_call *call, const loop *l, size_t k)
{
    const tl_tensor *state = &l->inner->given[LOOP_FIXED + k];
    const tl_value *out = k < call->node->output_count ? call->node->outputs[k] : NULL;
    bool wrapped = l->inner->graph->inputs[LOOP_FIXED + k]->kind == TL_KIND_OPTIONAL;
    if (!out || !wrapped || out->kind == TL_KIND_OPTIONAL)
        return give_out(call, k, state);
    const tl_item *item = tl_optional_item(tl_slot_list(state), out->kind);
    if (!item)
        return tl_fail(call, TL_INVALID_INPUT, "state %zu ends as an optional that is empty or holds something else",
                       k);
    tl_tensor list = {.data = (void *)(uintptr_t)item->list, .rank = TL_RANK_UNKNOWN};
    return give_out(call, k, item->list ? &list : &item->tensor);
}

static tl_status loop_run(tl_call *call)
{
    const tl_tensor *trips = op_input(call, 0), *condition = op_input(call, 1);
    loop l = {.call = call, .states = loop_states(call), .condition = condition ? read_bool(condition) : 1};
    tl_graph *body = graph_attribute(call, "body");
    tl_status status = trips ? check_scalar(call, "M", trips) : TL_OK;
    if (status == TL_OK && condition)
        status = check_scalar(call, "cond", condition);
    if (status == TL_OK)
        status = tl_executor_inner(tl_executor_of(call), body, &l.inner, error_of(call));
    if (status != TL_OK)
        return status;
    l.scans = body->output_count - 1 - l.states;
    l.shapes = TL_NEW(&l.inner->run->heap, tl_tensor, l.scans);
    if (!l.shapes)
        return tl_fail(call, TL_NO_MEMORY, "no memory for %zu scan outputs", l.scans);
    for (size_t k = 0; k < l.scans; k++)
        l.shapes[k] = body->outputs[1 + l.states + k]->tensor;
    for (size_t k = 0; k < l.states && status == TL_OK; k++) {
        const tl_value *from = call->node->inputs[LOOP_FIXED + k], *to = body->inputs[LOOP_FIXED + k];
        l.inner->given[LOOP_FIXED + k] = *call->inputs[LOOP_FIXED + k];
        if (to->kind == TL_KIND_OPTIONAL && from->kind != TL_KIND_OPTIONAL)
            status = wrap_optional(call, l.inner, from, call->inputs[LOOP_FIXED + k], &l.inner->given[LOOP_FIXED + k]);
    }
    int64_t most = trips ? *(const int64_t *)trips->data : INT64_MAX;
    for (; l.round < most && l.condition && status == TL_OK; l.round++)
        status = loop_round(&l);
    for (size_t k = 0; k < l.states && status == TL_OK; k++)
        status = give_state(call, &l, k);
    for (size_t k = 0; k < l.scans && status == TL_OK; k++)
        status =
            give_stacked(call, l.states + k, &l.shapes[k], l.round, l.inner->buffers[2 * l.states + k].data, 0, false);
    return status;
}

static const tl_param loop_ins[] = {
    OP_OPT("M", TL_T(TL_INT64), 0),
    OP_OPT("cond", TL_T(TL_BOOL), 0),
    {"v_initial", TL_T_ALL, 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED | TL_PARAM_OPTIONAL | TL_PARAM_LIST},
};
static const tl_attribute_spec body_attrs[] = {{.name = "body", .kind = TL_ATTR_GRAPH, .flags = TL_ATTR_REQUIRED}};

OP_DESCRIPTOR(Loop, 1) = {OP_HEAD(Loop, 1),
                          .flags = TL_OP_RUNTIME,
                          OP_PARAMS(input, loop_ins),
                          OP_PARAMS(output, any_outs),
                          OP_PARAMS(attribute, body_attrs),
                          .reshape = loop_reshape,
                          .run = loop_run};

/* ---- Scan. Version 8 has sequence lengths before the states, and a batch as the first axis of everything; later
 * versions have other axes instead. */

typedef struct scan {
    tl_call *call;
    tl_executor *inner;
    size_t states, inputs, outputs;
    int64_t rounds;
    tl_tensor *shapes; /* of scan outputs */
    int64_t *axes;     /* of scan inputs */
} scan;

static int64_t list_entry(const tl_call *call, const char *name, size_t k)
{
    size_t count;
    const int64_t *list = op_ints(call, name, &count);
    return k < count ? list[k] : 0;
}

/* Inputs of the node before the states. */
static size_t scan_first(const tl_call *call)
{
    return call->host->node_version(call->node) < 9 ? 1 : 0;
}

static tl_status scan_count(const tl_call *call, size_t *states, size_t *inputs)
{
    int64_t count = op_int(call, "num_scan_inputs");
    size_t first = scan_first(call), most = call->node->input_count > first ? call->node->input_count - first : 0;
    if (count < 1 || (uint64_t)count > most)
        return tl_fail(call, TL_INVALID_MODEL, "num_scan_inputs is %lld, but must be in [1, %zu]", (long long)count,
                       most);
    *inputs = (size_t)count;
    *states = most - *inputs;
    return TL_OK;
}

static tl_status scan_infer(tl_call *call)
{
    tl_graph *body = graph_attribute(call, "body");
    const size_t first = scan_first(call);
    size_t states = 0, inputs = 0;
    tl_status status = scan_count(call, &states, &inputs);
    if (status != TL_OK)
        return status;
    if (body->input_count != states + inputs)
        return tl_fail(call, TL_INVALID_MODEL, "the body takes %zu values, but gets %zu", body->input_count,
                       states + inputs);
    if (body->output_count < states || call->node->output_count > body->output_count)
        return tl_fail(call, TL_INVALID_MODEL, "the body gives out %zu values for %zu states and %zu outputs",
                       body->output_count, states, call->node->output_count);
    for (size_t k = 0; k < body->input_count && status == TL_OK; k++) {
        const tl_value *given = call->node->inputs[first + k];
        status = match_body(call, given, body->inputs[k], "input", k);
        if (status == TL_OK && k < states)
            status = match_body(call, given, body->outputs[k], "output", k);
    }
    for (size_t k = 0; k < body->output_count && status == TL_OK; k++)
        if (body->outputs[k]->kind != TL_KIND_TENSOR)
            status = tl_fail(call, TL_INVALID_MODEL, "output %zu of the body is no tensor", k);
    for (size_t k = 0; k < call->node->output_count && status == TL_OK; k++)
        take_kind(call, k, body->outputs[k], first == 0 && k < states);
    return status;
}

static tl_status scan_reshape(tl_call *call)
{
    return tl_call_frame_of(call)->ahead ? scan_infer(call) : unplanned(call);
}

/* One piece of a scan input: the whole without its scan axis. */
static tl_status scan_piece(const scan *s, size_t k, int64_t round)
{
    const tl_tensor *whole = s->call->inputs[s->states + k];
    tl_tensor *piece = &s->inner->given[s->states + k];
    int64_t axis = s->axes[k], outer = 1, inner = 1;
    *piece = (tl_tensor){.type = whole->type, .rank = whole->rank - 1};
    for (int32_t i = 0, to = 0; i < whole->rank; i++) {
        if (i == axis)
            continue;
        *(i < axis ? &outer : &inner) *= whole->dims[i];
        piece->dims[to++] = whole->dims[i];
    }
    const int64_t bytes = tl_tensor_bytes(piece);
    const bool packed = TL_T(whole->type) & OP_T_PACKED;
    int64_t at = list_entry(s->call, "scan_input_directions", k) ? s->rounds - 1 - round : round;
    if (outer == 1 && !packed) {
        piece->data = (char *)whole->data + at * bytes;
        return TL_OK;
    }
    char *to = tl_reserve_bytes(s->inner, &s->inner->buffers[2 * s->states + s->outputs + k], (size_t)bytes);
    if (!to)
        return tl_fail(s->call, TL_NO_MEMORY, "no memory for a piece of scan input %zu", k);
    if (packed)
        memset(to, 0, (size_t)bytes);
    for (int64_t o = 0; o < outer && inner > 0; o++)
        copy_elements(whole->type, to, o * inner, whole->data, (o * s->rounds + at) * inner, inner);
    piece->data = to;
    return TL_OK;
}

static tl_status scan_round(const scan *s, int64_t round)
{
    tl_status status = TL_OK;
    for (size_t k = 0; k < s->inputs && status == TL_OK; k++)
        status = scan_piece(s, k, round);
    if (status == TL_OK)
        status = tl_executor_run(s->inner, error_of(s->call));
    for (size_t k = 0; k < s->outputs && status == TL_OK; k++)
        status = stack(s->call, s->inner, &s->inner->buffers[2 * s->states + k], round, k,
                       &s->inner->outputs[s->states + k].result, &s->shapes[k]);
    for (size_t k = 0; k < s->states && status == TL_OK; k++)
        status =
            keep_state(s->call, s->inner, &s->inner->buffers[2 * k + (size_t)(round & 1)], s->inner->graph->outputs[k],
                       s->inner->graph->inputs[k], &s->inner->outputs[k].result, &s->inner->given[k]);
    return status;
}

static tl_status scan_axes(scan *s)
{
    for (size_t k = 0; k < s->inputs; k++) {
        const tl_tensor *whole = s->call->inputs[s->states + k];
        int64_t axis = list_entry(s->call, "scan_input_axes", k);
        if (axis < -(int64_t)whole->rank || axis >= whole->rank)
            return tl_fail(s->call, TL_INVALID_MODEL, "scan_input_axes[%zu] is %lld for an input of rank %d", k,
                           (long long)axis, whole->rank);
        s->axes[k] = axis < 0 ? axis + whole->rank : axis;
        int64_t length = whole->dims[s->axes[k]];
        if (k > 0 && length != s->rounds)
            return tl_fail(s->call, TL_INVALID_INPUT, "scan input %zu has %lld pieces, but the first one has %lld", k,
                           (long long)length, (long long)s->rounds);
        s->rounds = length;
    }
    return TL_OK;
}

static tl_status scan_run(tl_call *call)
{
    scan s = {.call = call};
    tl_graph *body = graph_attribute(call, "body");
    tl_status status = scan_count(call, &s.states, &s.inputs);
    if (status == TL_OK)
        status = tl_executor_inner(tl_executor_of(call), body, &s.inner, error_of(call));
    if (status != TL_OK)
        return status;
    s.outputs = body->output_count - s.states;
    s.shapes = TL_NEW(&s.inner->run->heap, tl_tensor, s.outputs);
    s.axes = TL_NEW(&s.inner->run->heap, int64_t, s.inputs);
    if (!s.shapes || !s.axes)
        return tl_fail(call, TL_NO_MEMORY, "no memory for %zu scan outputs", s.outputs);
    status = scan_axes(&s);
    for (size_t k = 0; k < s.outputs; k++)
        s.shapes[k] = body->outputs[s.states + k]->tensor;
    for (size_t k = 0; k < s.states; k++)
        s.inner->given[k] = *call->inputs[k];
    for (int64_t round = 0; round < s.rounds && status == TL_OK; round++)
        status = scan_round(&s, round);
    for (size_t k = 0; k < s.states && status == TL_OK; k++)
        status = give_out(call, k, &s.inner->given[k]);
    for (size_t k = 0; k < s.outputs && status == TL_OK; k++)
        status = give_stacked(call, s.states + k, &s.shapes[k], s.rounds, s.inner->buffers[2 * s.states + k].data,
                              list_entry(call, "scan_output_axes", k), list_entry(call, "scan_output_directions", k));
    return status;
}

/* Element `at` of the first `axes` axes of a tensor, as they lie in memory. */
static tl_tensor element_of(const tl_tensor *whole, int32_t axes, int64_t at)
{
    tl_tensor element = {.type = whole->type, .rank = whole->rank - axes};
    for (int32_t i = 0; i < element.rank; i++)
        element.dims[i] = whole->dims[axes + i];
    element.data = (char *)whole->data + at * tl_tensor_bytes(&element);
    return element;
}

/* Copies a result, unless it has no data, to place `at` of output k, which has `axes` axes of these sizes before the
 * result's own. The first one makes the output, full of zeros. */
static tl_status put(tl_call *call, size_t k, const tl_tensor *result, int32_t axes, const int64_t *sizes, int64_t at)
{
    tl_tensor *out = op_output(call, k);
    if (!out)
        return TL_OK;
    if (!out->data) {
        int64_t dims[TL_MAX_RANK];
        if (result->rank > TL_MAX_RANK - axes)
            return tl_fail(call, TL_UNSUPPORTED, "output %zu has more than %d dimensions", k, TL_MAX_RANK);
        memcpy(dims, sizes, (size_t)axes * sizeof dims[0]);
        for (int32_t i = 0; i < result->rank; i++)
            dims[axes + i] = result->dims[i] < 0 ? 0 : result->dims[i]; /* no round has told how large it is */
        if (out->type == TL_UNDEFINED)
            out->type = result->type;
        void *data = call->host->output(call, k, axes + result->rank, dims);
        if (!data)
            return TL_NO_MEMORY;
        if (tl_tensor_bytes(out) > 0)
            memset(data, 0, (size_t)tl_tensor_bytes(out));
    }
    if (TL_T(result->type) & OP_T_PACKED)
        return tl_fail(call, TL_UNSUPPORTED, "output %zu is %s, which this version of Scan has not", k,
                       tl_type_name(result->type));
    bool same = out->type == result->type && out->rank == axes + result->rank;
    for (int32_t i = 0; same && i < result->rank; i++)
        same = out->dims[axes + i] == result->dims[i];
    if (!same)
        return tl_fail(call, TL_INVALID_INPUT, "output %zu changes its shape or type", k);
    int64_t bytes = tl_tensor_bytes(result);
    if (bytes > 0 && result->data && out->data)
        memcpy((char *)out->data + at * bytes, result->data, (size_t)bytes);
    return TL_OK;
}

/* The sizes of the batch and of the sequence axis, which all inputs share. */
static tl_status batch_sizes(const tl_call *call, const scan *s, int64_t *sizes)
{
    const tl_tensor *lengths = call->inputs[0];
    for (size_t k = s->states + s->inputs; k > 0; k--) {
        const tl_tensor *in = call->inputs[k];
        const bool scanned = k > s->states, last = k == s->states + s->inputs;
        if (in->rank < (scanned ? 2 : 1))
            return tl_fail(call, TL_INVALID_INPUT, "input %zu has rank %d, but must have a batch%s", k, in->rank,
                           scanned ? " and a sequence" : "");
        if (last)
            memcpy(sizes, in->dims, 2 * sizeof sizes[0]);
        if (in->dims[0] != sizes[0] || (scanned && in->dims[1] != sizes[1]))
            return tl_fail(call, TL_INVALID_INPUT, "input %zu has another batch or sequence than the others", k);
    }
    if (lengths && (lengths->rank != 1 || lengths->dims[0] != sizes[0]))
        return tl_fail(call, TL_INVALID_INPUT, "sequence_lens must have %lld elements", (long long)sizes[0]);
    for (int64_t b = 0; lengths && b < sizes[0]; b++) {
        const int64_t length = ((const int64_t *)lengths->data)[b];
        if (length < 0 || length > sizes[1])
            return tl_fail(call, TL_INVALID_INPUT, "sequence_lens[%lld] is %lld, but must be in [0, %lld]",
                           (long long)b, (long long)length, (long long)sizes[1]);
    }
    return TL_OK;
}

/* One sequence of the batch. */
static tl_status scan_sequence(const scan *s, const int64_t *sizes, int64_t b)
{
    tl_call *call = s->call;
    tl_executor *inner = s->inner;
    tl_status status = tl_executor_go_on(inner, error_of(call)); /* there may be no rounds */
    for (size_t k = 0; k < s->states; k++)
        inner->given[k] = element_of(call->inputs[1 + k], 1, b);
    for (int64_t round = 0; round < s->rounds && status == TL_OK; round++) {
        for (size_t k = 0; k < s->inputs; k++) {
            const int64_t at = list_entry(call, "directions", k) ? s->rounds - 1 - round : round;
            inner->given[s->states + k] = element_of(call->inputs[1 + s->states + k], 2, b * sizes[1] + at);
        }
        status = tl_executor_run(inner, error_of(call));
        for (size_t k = 0; k < s->outputs && status == TL_OK; k++)
            status = put(call, s->states + k, &inner->outputs[s->states + k].result, 2, sizes, b * sizes[1] + round);
        for (size_t k = 0; k < s->states && status == TL_OK; k++)
            status = keep_state(call, inner, &inner->buffers[2 * k + (size_t)(round & 1)], inner->graph->outputs[k],
                                inner->graph->inputs[k], &inner->outputs[k].result, &inner->given[k]);
    }
    for (size_t k = 0; k < s->states && status == TL_OK; k++)
        status = put(call, k, &inner->given[k], 1, sizes, b);
    return status;
}

static tl_status scan_batch_run(tl_call *call)
{
    scan s = {.call = call};
    int64_t sizes[2] = {0, 0};
    tl_graph *body = graph_attribute(call, "body");
    tl_status status = scan_count(call, &s.states, &s.inputs);
    if (status == TL_OK)
        status = batch_sizes(call, &s, sizes);
    if (status == TL_OK)
        status = tl_executor_inner(tl_executor_of(call), body, &s.inner, error_of(call));
    if (status != TL_OK)
        return status;
    s.outputs = body->output_count - s.states;
    for (int64_t b = 0; b < sizes[0] && status == TL_OK; b++) {
        s.rounds = call->inputs[0] ? ((const int64_t *)call->inputs[0]->data)[b] : sizes[1];
        status = scan_sequence(&s, sizes, b);
    }
    /* Where nothing came out, there are shapes at least. */
    for (size_t k = 0; k < s.states + s.outputs && status == TL_OK; k++) {
        tl_tensor none = k < s.states ? element_of(call->inputs[1 + k], 1, 0) : body->outputs[k]->tensor;
        const tl_tensor *out = op_output(call, k);
        if (!out || out->data)
            continue;
        none.data = NULL;
        none.rank = none.rank == TL_RANK_UNKNOWN ? 0 : none.rank;
        for (int32_t i = 0; i < none.rank; i++)
            none.dims[i] = none.dims[i] < 0 ? 0 : none.dims[i];
        status = put(call, k, &none, k < s.states ? 1 : 2, sizes, 0);
    }
    return status;
}

static const tl_param scan_ins[] = {{"initial_state_and_scan_inputs", TL_T_ALL, 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED}};
static const tl_attribute_spec scan_attrs[] = {
    {.name = "body", .kind = TL_ATTR_GRAPH, .flags = TL_ATTR_REQUIRED},
    OP_REQUIRED_INT("num_scan_inputs"),
    OP_INTS("scan_input_axes"),
    OP_INTS("scan_input_directions"),
    OP_INTS("scan_output_axes"),
    OP_INTS("scan_output_directions"),
};

static const tl_param scan_ins_8[] = {
    OP_OPT("sequence_lens", TL_T(TL_INT64), 0),
    {"initial_state_and_scan_inputs", OP_T_WHOLE, 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED},
};
static const tl_attribute_spec scan_attrs_8[] = {
    {.name = "body", .kind = TL_ATTR_GRAPH, .flags = TL_ATTR_REQUIRED},
    OP_REQUIRED_INT("num_scan_inputs"),
    OP_INTS("directions"),
};

OP_DESCRIPTOR(Scan, 8) = {OP_HEAD(Scan, 8),
                          .flags = TL_OP_RUNTIME,
                          OP_PARAMS(input, scan_ins_8),
                          OP_PARAMS(output, any_outs),
                          OP_PARAMS(attribute, scan_attrs_8),
                          .reshape = scan_reshape,
                          .run = scan_batch_run};
OP_DESCRIPTOR(Scan, 9) = {OP_HEAD(Scan, 9),
                          .flags = TL_OP_RUNTIME,
                          OP_PARAMS(input, scan_ins),
                          OP_PARAMS(output, any_outs),
                          OP_PARAMS(attribute, scan_attrs),
                          .reshape = scan_reshape,
                          .run = scan_run};
