/* SequenceMap: a graph for each element of a sequence. */
#include "exec/executor.h"
#include "exec/list.h"
#include "onnx/op.h"

static tl_graph *body_of(const tl_call *call)
{
    return tl_node_attribute(call->node, "body")->u.graph;
}

static tl_status map_infer(tl_call *call)
{
    tl_node *node = (tl_node *)(uintptr_t)call->node;
    tl_graph *body = body_of(call);
    if (body->input_count != node->input_count || body->output_count != node->output_count)
        return tl_fail(call, TL_INVALID_MODEL, "the body has %zu inputs and %zu outputs, but the node %zu and %zu",
                       body->input_count, body->output_count, node->input_count, node->output_count);
    if (node->inputs[0]->kind != TL_KIND_SEQUENCE)
        return tl_fail(call, TL_INVALID_MODEL, "input 0 is no sequence");
    for (size_t k = 0; k < node->input_count; k++) {
        const tl_value *from = node->inputs[k];
        const tl_type_info *type = from->kind == TL_KIND_SEQUENCE && from->type ? from->type->element : NULL;
        tl_type element = from->kind == TL_KIND_TENSOR           ? from->tensor.type
                          : type && type->kind == TL_KIND_TENSOR ? type->tensor.type
                                                                 : TL_UNDEFINED;
        tl_value *to = body->inputs[k];
        if (to->tensor.type == TL_UNDEFINED)
            to->tensor.type = element;
        if (to->kind != TL_KIND_TENSOR || to->tensor.type != element)
            return tl_fail(call, TL_INVALID_MODEL, "input %zu of the body is of another type than what goes there", k);
    }
    for (size_t k = 0; k < node->output_count; k++) {
        tl_type_info *types = TL_NEW(&node->graph->model->arena, tl_type_info, 2);
        if (!types)
            return tl_fail(call, TL_NO_MEMORY, "out of memory");
        types[0] = (tl_type_info){.kind = TL_KIND_SEQUENCE, .element = &types[1]};
        types[1] = (tl_type_info){.kind = TL_KIND_TENSOR, .tensor = body->outputs[k]->tensor};
        if (body->outputs[k]->kind != TL_KIND_TENSOR)
            return tl_fail(call, TL_INVALID_MODEL, "output %zu of the body is no tensor", k);
        if (node->outputs[k]) {
            node->outputs[k]->kind = TL_KIND_SEQUENCE;
            node->outputs[k]->type = types;
        }
    }
    return TL_OK;
}

static tl_status map_reshape(tl_call *call)
{
    op_unknown_shape(call);
    return tl_call_frame_of(call)->ahead ? map_infer(call) : TL_OK;
}

/* Input k of the body for element i. */
static tl_status give_element(const tl_call *call, tl_executor *inner, size_t k, size_t i)
{
    if (call->node->inputs[k]->kind == TL_KIND_TENSOR) {
        inner->given[k] = *call->inputs[k];
        return TL_OK;
    }
    const tl_list *list = tl_slot_list(call->inputs[k]);
    if (i >= list->count || list->items[i]->list)
        return tl_fail(call, TL_INVALID_INPUT, "sequence %zu has no tensor %zu", k, i);
    inner->given[k] = list->items[i]->tensor;
    return TL_OK;
}

static tl_status map_run(tl_call *call)
{
    tl_error *error = tl_call_frame_of(call)->error;
    tl_executor *inner;
    tl_status status = tl_executor_inner(tl_executor_of(call), body_of(call), &inner, error);
    if (status != TL_OK)
        return status;
    tl_arena *heap = &inner->run->heap;
    size_t count = tl_slot_list(call->inputs[0])->count;
    for (size_t k = 0; k < call->output_count; k++)
        if (call->outputs[k] && !(call->outputs[k]->data = tl_list_new(heap, TL_KIND_SEQUENCE, count)))
            return tl_fail(call, TL_NO_MEMORY, "no memory for a sequence");
    for (size_t i = 0; i < count && status == TL_OK; i++) {
        for (size_t k = 0; k < call->input_count && status == TL_OK; k++)
            status = give_element(call, inner, k, i);
        if (status == TL_OK)
            status = tl_executor_run(inner, error);
        for (size_t k = 0; k < call->output_count && status == TL_OK; k++) {
            tl_list *list = call->outputs[k] ? call->outputs[k]->data : NULL;
            if (list && !(list->items[i] = tl_item_tensor(heap, &inner->outputs[k].result)))
                status = tl_fail(call, TL_NO_MEMORY, "no memory for element %zu", i);
        }
    }
    return status;
}

static const tl_param map_ins[] = {
    {"input_sequence", TL_T_ALL, 0, TL_PARAM_LIST},
    {"additional_inputs", TL_T_ALL, 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED | TL_PARAM_OPTIONAL | TL_PARAM_LIST}};
static const tl_param map_outs[] = {{"out_sequence", TL_T_ALL, 0, TL_PARAM_VARIADIC | TL_PARAM_MIXED}};
static const tl_attribute_spec map_attrs[] = {{.name = "body", .kind = TL_ATTR_GRAPH, .flags = TL_ATTR_REQUIRED}};

OP_DESCRIPTOR(SequenceMap, 17) = {OP_HEAD(SequenceMap, 17),
                                  .flags = TL_OP_RUNTIME,
                                  OP_PARAMS(input, map_ins),
                                  OP_PARAMS(output, map_outs),
                                  OP_PARAMS(attribute, map_attrs),
                                  .reshape = map_reshape,
                                  .run = map_run};
