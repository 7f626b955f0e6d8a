/* Sequences and optionals: the lists themselves, and the operators on them. */
#include "exec/executor.h"
#include "exec/list.h"
#include "onnx/op.h"
#include "onnx/tensor.h"

tl_list *tl_list_new(tl_arena *heap, tl_kind kind, size_t count)
{
    tl_list *list = TL_NEW(heap, tl_list, 1);
    if (!list)
        return NULL;
    *list = (tl_list){kind, count, TL_NEW(heap, const tl_item *, count), NULL};
    return list->items ? list : NULL;
}

const tl_item *tl_item_tensor(tl_arena *heap, const tl_tensor *tensor)
{
    int64_t bytes = tl_tensor_bytes(tensor);
    tl_item *item = TL_NEW(heap, tl_item, 1);
    if (!item || bytes < 0)
        return NULL;
    item->tensor = *tensor;
    item->tensor.data = tl_arena_alloc(heap, 1, (size_t)bytes, TL_ALIGNMENT);
    if (!item->tensor.data)
        return NULL;
    if (bytes > 0)
        memcpy(item->tensor.data, tensor->data, (size_t)bytes);
    return item;
}

const tl_item *tl_item_list(tl_arena *heap, const tl_list *list)
{
    tl_item *item = TL_NEW(heap, tl_item, 1);
    if (item)
        item->list = list;
    return item;
}

const tl_item *tl_optional_item(const tl_list *optional, tl_kind kind)
{
    const tl_item *item = optional->count ? optional->items[0] : NULL;
    return item && kind == (item->list ? item->list->kind : TL_KIND_TENSOR) ? item : NULL;
}

/* ---- Kinds, at load */

static bool ahead(const tl_call *call)
{
    return tl_call_frame_of(call)->ahead;
}

tl_arena *tl_list_heap(const tl_call *call)
{
    return tl_call_frame_of(call)->execution->heap;
}

tl_status tl_list_set_kind(tl_call *call, tl_kind kind, const tl_type_info *element)
{
    tl_value *out = call->node->outputs[0];
    tl_type_info *type = TL_NEW(&call->node->graph->model->arena, tl_type_info, 1);
    if (!type)
        return tl_fail(call, TL_NO_MEMORY, "out of memory");
    *type = (tl_type_info){.kind = kind, .element = element};
    out->kind = kind;
    out->type = type;
    return TL_OK;
}

/* The type of a value, whatever its kind. */
static const tl_type_info *type_of(tl_call *call, const tl_value *value)
{
    if (value->kind != TL_KIND_TENSOR)
        return value->type;
    tl_type_info *type = TL_NEW(&call->node->graph->model->arena, tl_type_info, 1);
    if (type)
        *type = (tl_type_info){.kind = TL_KIND_TENSOR, .tensor = {.type = value->tensor.type, .rank = TL_RANK_UNKNOWN}};
    return type;
}

/* Input 0 must be a sequence of tensors, as far as is known. */
static tl_status wants_sequence(const tl_call *call)
{
    const tl_value *value = call->node->inputs[0];
    const tl_type_info *element = value->type ? value->type->element : NULL;
    if (value->kind != TL_KIND_SEQUENCE || (element && element->kind != TL_KIND_TENSOR))
        return tl_fail(call, TL_INVALID_MODEL, "input 0 is no sequence of tensors");
    return TL_OK;
}

static tl_status no_memory(const tl_call *call)
{
    return tl_fail(call, TL_NO_MEMORY, "no memory for a list");
}

tl_status tl_list_give(tl_call *call, const tl_list *list)
{
    tl_tensor *out = call->outputs[0];
    out->rank = TL_RANK_UNKNOWN;
    out->data = (void *)(uintptr_t)list;
    return TL_OK;
}

static tl_status give_tensor(tl_call *call, const tl_tensor *tensor)
{
    tl_tensor *out = call->outputs[0];
    if (out->type != tensor->type)
        return tl_fail(call, TL_INVALID_INPUT, "the element is %s, but %s was expected", tl_type_name(tensor->type),
                       tl_type_name(out->type));
    void *data = call->host->output(call, 0, tensor->rank, tensor->dims);
    if (!data)
        return TL_NO_MEMORY;
    int64_t bytes = tl_tensor_bytes(tensor);
    if (bytes > 0)
        memcpy(data, tensor->data, (size_t)bytes);
    return TL_OK;
}

/* A scalar int32 or int64 input. */
static tl_status read_index(const tl_call *call, size_t k, int64_t *index)
{
    const tl_tensor *in = call->inputs[k];
    if (tl_tensor_elements(in) != 1)
        return tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld elements, but must have one", k,
                       (long long)tl_tensor_elements(in));
    *index = op_index(in, 0);
    return TL_OK;
}

/* A position in a list of `count`, counted from the end if negative. */
static tl_status position(const tl_call *call, size_t k, size_t count, bool behind, size_t *at)
{
    int64_t index = 0;
    tl_status status = read_index(call, k, &index);
    if (status != TL_OK)
        return status;
    int64_t most = (int64_t)count - !behind;
    if (index < -(int64_t)count || index > most)
        return tl_fail(call, TL_INVALID_INPUT, "position %lld is not in a sequence of %zu", (long long)index, count);
    *at = (size_t)(index < 0 ? index + (int64_t)count : index);
    return TL_OK;
}

#define LIST_IN(name)                    \
    {                                    \
        name, TL_T_ALL, 0, TL_PARAM_LIST \
    }
#define SEQUENCE_OP(op, since, ins, outs, ...)                                                     \
    OP_DESCRIPTOR(op, since) = {OP_HEAD(op, since), .flags = TL_OP_RUNTIME, OP_PARAMS(input, ins), \
                                OP_PARAMS(output, outs), __VA_ARGS__}

static const tl_param list_out[] = {OP_IN("output", TL_T_ALL, 0)};
static const tl_param tensor_out[] = {OP_IN("tensor", TL_T_ALL, 0)};

/* ---- SequenceEmpty, SequenceConstruct */

static tl_status empty_reshape(tl_call *call)
{
    op_unknown_shape(call);
    if (!ahead(call))
        return TL_OK;
    tl_type_info *element = TL_NEW(&call->node->graph->model->arena, tl_type_info, 1);
    if (!element)
        return no_memory(call);
    int64_t type = op_int(call, "dtype");
    if (type <= 0 || type >= TL_TYPE_COUNT)
        return tl_fail(call, TL_INVALID_MODEL, "dtype is %lld, which is no element type", (long long)type);
    *element = (tl_type_info){.kind = TL_KIND_TENSOR, .tensor = {.type = (tl_type)type, .rank = TL_RANK_UNKNOWN}};
    return tl_list_set_kind(call, TL_KIND_SEQUENCE, element);
}

static tl_status empty_run(tl_call *call)
{
    const tl_list *list = tl_list_new(tl_list_heap(call), TL_KIND_SEQUENCE, 0);
    return list ? tl_list_give(call, list) : no_memory(call);
}

static const tl_attribute_spec empty_attrs[] = {OP_INT("dtype", TL_FLOAT)};
OP_DESCRIPTOR(SequenceEmpty, 11) = {OP_HEAD(SequenceEmpty, 11),  .flags = TL_OP_RUNTIME | TL_OP_NONDETERMINISTIC,
                                    OP_PARAMS(output, list_out), OP_PARAMS(attribute, empty_attrs),
                                    .reshape = empty_reshape,    .run = empty_run};

static tl_status construct_reshape(tl_call *call)
{
    op_unknown_shape(call);
    if (!ahead(call))
        return TL_OK;
    return tl_list_set_kind(call, TL_KIND_SEQUENCE, type_of(call, call->node->inputs[0]));
}

static tl_status construct_run(tl_call *call)
{
    tl_list *list = tl_list_new(tl_list_heap(call), TL_KIND_SEQUENCE, call->input_count);
    for (size_t k = 0; list && k < call->input_count; k++)
        if (!(list->items[k] = tl_item_tensor(tl_list_heap(call), call->inputs[k])))
            return no_memory(call);
    return list ? tl_list_give(call, list) : no_memory(call);
}

static const tl_param construct_ins[] = {OP_VAR("inputs", TL_T_ALL, 'T')};
SEQUENCE_OP(SequenceConstruct, 11, construct_ins, list_out, .reshape = construct_reshape, .run = construct_run);

/* ---- SequenceInsert, SequenceErase */

static tl_status change_reshape(tl_call *call)
{
    op_unknown_shape(call);
    if (!ahead(call))
        return TL_OK;
    tl_status status = wants_sequence(call);
    if (status == TL_OK)
        tl_value_copy_kind(call->node->outputs[0], call->node->inputs[0]);
    return status;
}

static tl_status insert_reshape(tl_call *call)
{
    const tl_type held = tl_value_element_type(call->node->inputs[0]), added = call->inputs[1]->type;
    if (held != added && held != TL_UNDEFINED && added != TL_UNDEFINED)
        return tl_fail(call, TL_INVALID_MODEL, "the tensor is %s, but the sequence has %s", tl_type_name(added),
                       tl_type_name(held));
    return change_reshape(call);
}

/* `from` with one item more at an end, in the same array if no list there goes further: a loop that gathers its results
 * would else copy, and keep, all lists on the way. */
static tl_list *extend(tl_arena *heap, const tl_list *from, const tl_item *item, bool front)
{
    tl_list *to = TL_NEW(heap, tl_list, 1);
    if (!to)
        return NULL;
    *to = *from;
    struct tl_room *room = from->room;
    if (!room || (front ? room->begin != from->items || room->before == 0
                        : room->end != from->items + from->count || room->behind == 0)) {
        const size_t left = from->count + 2;
        const tl_item **items = TL_NEW(heap, const tl_item *, from->count + 2 * left);
        room = TL_NEW(heap, struct tl_room, 1);
        if (!items || !room)
            return NULL;
        *room = (struct tl_room){items + left, items + left + from->count, left, left};
        if (from->count)
            memcpy(room->begin, from->items, from->count * sizeof *items);
        to->items = room->begin;
        to->room = room;
    }
    if (front) {
        room->before--;
        *--room->begin = item;
        to->items--;
    } else {
        room->behind--;
        *room->end++ = item;
    }
    to->count++;
    return to;
}

static tl_status insert_run(tl_call *call)
{
    tl_arena *heap = tl_list_heap(call);
    const tl_list *from = tl_slot_list(call->inputs[0]);
    size_t at = from->count;
    tl_status status = op_input(call, 2) ? position(call, 2, from->count, true, &at) : TL_OK;
    if (status != TL_OK)
        return status;
    const tl_item *item = tl_item_tensor(heap, call->inputs[1]);
    const bool at_end = at == 0 || at == from->count;
    tl_list *to = !item    ? NULL
                  : at_end ? extend(heap, from, item, at < from->count)
                           : tl_list_new(heap, TL_KIND_SEQUENCE, from->count + 1);
    if (!to)
        return no_memory(call);
    for (size_t i = 0; !at_end && i < to->count; i++)
        to->items[i] = i < at ? from->items[i] : i == at ? item : from->items[i - 1];
    return tl_list_give(call, to);
}

static tl_status erase_run(tl_call *call)
{
    const tl_list *from = tl_slot_list(call->inputs[0]);
    if (from->count == 0)
        return tl_fail(call, TL_INVALID_INPUT, "an empty sequence has nothing to erase");
    const size_t last = from->count - 1;
    size_t at = last;
    tl_status status = op_input(call, 1) ? position(call, 1, from->count, false, &at) : TL_OK;
    if (status != TL_OK)
        return status;
    tl_list *to = at == 0 || at == last ? TL_NEW(tl_list_heap(call), tl_list, 1)
                                        : tl_list_new(tl_list_heap(call), TL_KIND_SEQUENCE, last);
    if (!to)
        return no_memory(call);
    if (at == 0 || at == last)
        *to = (tl_list){from->kind, last, from->items + (at < last), from->room};
    else
        for (size_t i = 0; i < last; i++)
            to->items[i] = from->items[i < at ? i : i + 1];
    return tl_list_give(call, to);
}

static const tl_param insert_ins[] = {LIST_IN("input_sequence"), OP_IN("tensor", TL_T_ALL, 0),
                                      OP_OPT("position", TL_T_INDEX, 0)};
static const tl_param erase_ins[] = {LIST_IN("input_sequence"), OP_OPT("position", TL_T_INDEX, 0)};
SEQUENCE_OP(SequenceInsert, 11, insert_ins, list_out, .reshape = insert_reshape, .run = insert_run);
SEQUENCE_OP(SequenceErase, 11, erase_ins, list_out, .reshape = change_reshape, .run = erase_run);

/* ---- SequenceAt, SequenceLength */

static tl_status at_reshape(tl_call *call)
{
    op_unknown_shape(call);
    if (!ahead(call))
        return TL_OK;
    tl_status status = wants_sequence(call);
    if (status == TL_OK)
        call->outputs[0]->type = tl_value_element_type(call->node->inputs[0]);
    return status;
}

static tl_status at_run(tl_call *call)
{
    const tl_list *list = tl_slot_list(call->inputs[0]);
    size_t at = 0;
    tl_status status = position(call, 1, list->count, false, &at);
    if (status != TL_OK)
        return status;
    if (list->items[at]->list)
        return tl_fail(call, TL_UNSUPPORTED, "the element is no tensor");
    return give_tensor(call, &list->items[at]->tensor);
}

static const tl_param at_ins[] = {LIST_IN("input_sequence"), OP_IN("position", TL_T_INDEX, 0)};
SEQUENCE_OP(SequenceAt, 11, at_ins, tensor_out, .reshape = at_reshape, .run = at_run);

static tl_status length_reshape(tl_call *call)
{
    call->outputs[0]->rank = 0;
    return ahead(call) ? wants_sequence(call) : TL_OK;
}

static tl_status length_run(tl_call *call)
{
    *(int64_t *)call->outputs[0]->data = (int64_t)tl_slot_list(call->inputs[0])->count;
    return TL_OK;
}

static const tl_param length_ins[] = {LIST_IN("input_sequence")};
static const tl_param length_outs[] = {OP_IN("length", TL_T(TL_INT64), 0)};
SEQUENCE_OP(SequenceLength, 11, length_ins, length_outs, .reshape = length_reshape, .run = length_run);

/* ---- ConcatFromSequence */

static tl_status concat_plan(const tl_call *call, const tl_list *list, bool stacked, tl_tensor *shape, int32_t *axis)
{
    if (list->count == 0)
        return tl_fail(call, TL_INVALID_INPUT, "an empty sequence cannot be joined");
    *shape = list->items[0]->tensor;
    if (TL_T(shape->type) & OP_T_PACKED)
        return tl_fail(call, TL_UNSUPPORTED, "the elements are %s, which cannot be joined", tl_type_name(shape->type));
    int32_t rank = shape->rank + stacked;
    if (rank > TL_MAX_RANK)
        return tl_fail(call, TL_UNSUPPORTED, "the result has rank %d, but %d is the most", rank, TL_MAX_RANK);
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), rank, axis);
    int64_t along = 0;
    for (size_t i = 0; i < list->count && status == TL_OK; i++) {
        const tl_tensor *t = &list->items[i]->tensor;
        bool fits = !list->items[i]->list && t->type == shape->type && t->rank == shape->rank;
        for (int32_t d = 0; fits && d < t->rank; d++)
            fits = t->dims[d] == shape->dims[d] || (d == *axis && !stacked);
        if (!fits || !tl_add(along, stacked ? 1 : t->dims[*axis], &along))
            status = tl_fail(call, TL_INVALID_INPUT, "element %zu does not fit the others", i);
    }
    if (status != TL_OK)
        return status;
    if (stacked)
        memmove(shape->dims + *axis + 1, shape->dims + *axis, (size_t)(shape->rank - *axis) * sizeof shape->dims[0]);
    shape->rank = rank;
    shape->dims[*axis] = along;
    return TL_OK;
}

static tl_status concat_run(tl_call *call)
{
    const tl_list *list = tl_slot_list(call->inputs[0]);
    tl_tensor shape = {.type = TL_UNDEFINED};
    int32_t axis = 0;
    tl_status status = concat_plan(call, list, op_int(call, "new_axis") != 0, &shape, &axis);
    if (status != TL_OK)
        return status;
    if (shape.type != call->outputs[0]->type)
        return tl_fail(call, TL_INVALID_INPUT, "the elements are %s, but %s was expected", tl_type_name(shape.type),
                       tl_type_name(call->outputs[0]->type));
    char *to = call->host->output(call, 0, shape.rank, shape.dims);
    if (!to)
        return TL_NO_MEMORY;
    int64_t outer = op_product(&shape, 0, axis), row = tl_type_bytes(shape.type, op_product(&shape, axis, shape.rank));
    for (size_t i = 0; i < list->count && outer > 0; i++) {
        const tl_tensor *t = &list->items[i]->tensor;
        int64_t piece = tl_tensor_bytes(t) / outer;
        for (int64_t o = 0; o < outer && piece > 0; o++)
            memcpy(to + o * row, (const char *)t->data + o * piece, (size_t)piece);
        to += piece;
    }
    return TL_OK;
}

static const tl_attribute_spec concat_attrs[] = {OP_REQUIRED_INT("axis"), OP_INT("new_axis", 0)};
static const tl_param concat_ins[] = {LIST_IN("input_sequence")};
SEQUENCE_OP(ConcatFromSequence, 11, concat_ins, tensor_out, OP_PARAMS(attribute, concat_attrs), .reshape = at_reshape,
            .run = concat_run);

/* ---- SplitToSequence */

static tl_status split_reshape(tl_call *call)
{
    op_unknown_shape(call);
    if (!ahead(call))
        return TL_OK;
    return tl_list_set_kind(call, TL_KIND_SEQUENCE, type_of(call, call->node->inputs[0]));
}

/* How long piece i is; the pieces' number. */
static tl_status split_count(const tl_call *call, int64_t length, int64_t *count, int64_t *each)
{
    const tl_tensor *split = op_input(call, 1);
    *each = 1;
    *count = length;
    if (!split)
        return TL_OK;
    if (split->rank > 1)
        return tl_fail(call, TL_INVALID_INPUT, "split has rank %d, but must be a number or a list", split->rank);
    if (split->rank == 1) {
        *each = 0;
        *count = split->dims[0];
        return TL_OK;
    }
    tl_status status = read_index(call, 1, each);
    if (status != TL_OK)
        return status;
    if (*each < 1)
        return tl_fail(call, TL_INVALID_INPUT, "split is %lld, but must be positive", (long long)*each);
    *count = length / *each + (length % *each != 0);
    return TL_OK;
}

static int64_t split_length(const tl_call *call, int64_t i, int64_t each, int64_t rest)
{
    const tl_tensor *split = call->inputs[1];
    return each || !split ? (each < rest ? each : rest) : op_index(split, i);
}

static const tl_item *cut(tl_call *call, int32_t axis, int64_t from, int64_t length, bool keep)
{
    const tl_tensor *whole = call->inputs[0];
    tl_tensor shape = *whole;
    shape.dims[axis] = length;
    int64_t outer = op_product(whole, 0, axis), bytes = tl_tensor_bytes(&shape);
    int64_t step = tl_type_bytes(whole->type, op_product(whole, axis + 1, whole->rank));
    tl_item *item = TL_NEW(tl_list_heap(call), tl_item, 1);
    char *to = bytes >= 0 ? tl_arena_alloc(tl_list_heap(call), 1, (size_t)bytes, TL_ALIGNMENT) : NULL;
    if (!item || !to)
        return NULL;
    for (int64_t o = 0; o < outer && step * length > 0; o++)
        memcpy(to + o * step * length, (const char *)whole->data + (o * whole->dims[axis] + from) * step,
               (size_t)(step * length));
    if (!keep) {
        shape.rank--;
        memmove(shape.dims + axis, shape.dims + axis + 1, (size_t)(shape.rank - axis) * sizeof shape.dims[0]);
    }
    item->tensor = shape;
    item->tensor.data = to;
    return item;
}

static tl_status split_run(tl_call *call)
{
    const tl_tensor *whole = call->inputs[0];
    int32_t axis;
    int64_t count, each, from = 0;
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), whole->rank, &axis);
    if (status == TL_OK)
        status = split_count(call, whole->dims[axis], &count, &each);
    if (status != TL_OK)
        return status;
    tl_list *list = tl_list_new(tl_list_heap(call), TL_KIND_SEQUENCE, (size_t)count);
    if (!list)
        return no_memory(call);
    bool keep = op_input(call, 1) || op_int(call, "keepdims") != 0;
    for (int64_t i = 0, before = -1, length; i < count; i++, from += length, before = length) {
        if (i % 4096 == 0 && (status = tl_executor_go_on(tl_executor_of(call), tl_call_frame_of(call)->error)) != TL_OK)
            return status;
        length = split_length(call, i, each, whole->dims[axis] - from);
        if (length < 0 || length > whole->dims[axis] - from)
            return tl_fail(call, TL_INVALID_INPUT, "piece %lld is %lld long, but %lld are left", (long long)i,
                           (long long)length, (long long)(whole->dims[axis] - from));
        /* A few bytes of a file can ask for 2^28 pieces without an element: those are one. */
        const bool again = length == before && tl_tensor_bytes(&list->items[i - 1]->tensor) == 0;
        if (!(list->items[i] = again ? list->items[i - 1] : cut(call, axis, from, length, keep)))
            return no_memory(call);
    }
    if (from != whole->dims[axis])
        return tl_fail(call, TL_INVALID_INPUT, "the pieces are %lld long together, but the axis has %lld",
                       (long long)from, (long long)whole->dims[axis]);
    return tl_list_give(call, list);
}

static const tl_attribute_spec split_attrs[] = {OP_INT("axis", 0), OP_INT("keepdims", 1)};
static const tl_param split_ins[] = {OP_IN("input", OP_T_WHOLE, 0), OP_OPT("split", TL_T_INDEX, 0)};
SEQUENCE_OP(SplitToSequence, 11, split_ins, list_out, OP_PARAMS(attribute, split_attrs), .reshape = split_reshape,
            .run = split_run);

/* ---- Optionals */

static tl_status optional_reshape(tl_call *call)
{
    op_unknown_shape(call);
    if (!ahead(call))
        return TL_OK;
    const tl_attribute *type = tl_node_attribute(call->node, "type");
    const tl_value *in = call->node->input_count ? call->node->inputs[0] : NULL;
    if (!in && !type)
        return tl_fail(call, TL_INVALID_MODEL, "neither an input nor the attribute 'type' is given");
    return tl_list_set_kind(call, TL_KIND_OPTIONAL, in ? type_of(call, in) : type->u.type);
}

static tl_status optional_run(tl_call *call)
{
    const tl_tensor *in = op_input(call, 0);
    tl_list *list = tl_list_new(tl_list_heap(call), TL_KIND_OPTIONAL, in != NULL);
    if (!list)
        return no_memory(call);
    if (in) {
        bool tensor = call->node->inputs[0]->kind == TL_KIND_TENSOR;
        list->items[0] =
            tensor ? tl_item_tensor(tl_list_heap(call), in) : tl_item_list(tl_list_heap(call), tl_slot_list(in));
        if (!list->items[0])
            return no_memory(call);
    }
    return tl_list_give(call, list);
}

static const tl_param optional_ins[] = {{"input", TL_T_ALL, 0, TL_PARAM_LIST | TL_PARAM_OPTIONAL}};
static const tl_attribute_spec optional_attrs[] = {{.name = "type", .kind = (tl_attribute_kind)TL_ATTR_TYPE_PROTO}};
OP_DESCRIPTOR(Optional, 15) = {OP_HEAD(Optional, 15),
                               .flags = TL_OP_RUNTIME | TL_OP_NONDETERMINISTIC,
                               OP_PARAMS(input, optional_ins),
                               OP_PARAMS(output, list_out),
                               OP_PARAMS(attribute, optional_attrs),
                               .reshape = optional_reshape,
                               .run = optional_run};

static tl_status has_reshape(tl_call *call)
{
    call->outputs[0]->rank = 0;
    return TL_OK;
}

static tl_status has_run(tl_call *call)
{
    bool given = call->node->input_count && call->node->inputs[0];
    bool optional = given && call->node->inputs[0]->kind == TL_KIND_OPTIONAL;
    *(uint8_t *)call->outputs[0]->data = optional ? tl_slot_list(call->inputs[0])->count > 0 : given;
    return TL_OK;
}

static const tl_param bool_out[] = {OP_IN("output", TL_T(TL_BOOL), 0)};
OP_DESCRIPTOR(OptionalHasElement,
              15) = {OP_HEAD(OptionalHasElement, 15), .flags = TL_OP_RUNTIME | TL_OP_NONDETERMINISTIC,
                     OP_PARAMS(input, optional_ins),  OP_PARAMS(output, bool_out),
                     .reshape = has_reshape,          .run = has_run};

static tl_status get_reshape(tl_call *call)
{
    op_unknown_shape(call);
    if (!ahead(call))
        return TL_OK;
    const tl_value *in = call->node->inputs[0];
    tl_value *out = call->node->outputs[0];
    if (in->kind != TL_KIND_OPTIONAL) {
        tl_value_copy_kind(out, in);
        call->outputs[0]->type = in->kind == TL_KIND_TENSOR ? in->tensor.type : TL_UNDEFINED;
        return TL_OK;
    }
    const tl_type_info *element = in->type ? in->type->element : NULL;
    if (!element)
        return tl_fail(call, TL_INVALID_MODEL, "what the optional holds is not known");
    out->kind = element->kind;
    if (element->kind == TL_KIND_TENSOR)
        call->outputs[0]->type = element->tensor.type;
    else
        out->type = element;
    return TL_OK;
}

static tl_status get_run(tl_call *call)
{
    const tl_value *in = call->node->inputs[0];
    if (in->kind == TL_KIND_TENSOR)
        return give_tensor(call, call->inputs[0]);
    const tl_list *list = tl_slot_list(call->inputs[0]);
    if (in->kind != TL_KIND_OPTIONAL)
        return tl_list_give(call, list);
    if (list->count == 0)
        return tl_fail(call, TL_INVALID_INPUT, "the optional is empty");
    const tl_item *item = tl_optional_item(list, call->node->outputs[0]->kind);
    if (!item)
        return tl_fail(call, TL_INVALID_INPUT, "the optional holds something else than its type says");
    return item->list ? tl_list_give(call, item->list) : give_tensor(call, &item->tensor);
}

static const tl_param get_ins[] = {LIST_IN("input")};
SEQUENCE_OP(OptionalGetElement, 15, get_ins, list_out, .reshape = get_reshape, .run = get_run);
