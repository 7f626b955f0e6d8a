/* Constant folding: nodes whose results the file decides are computed at load. */
#include "graph/call.h"

/* A result may have so many bytes for each of those that it is made of (int4 weights become float), and as many more.
 */
#define FOLD_RATIO 8
#define FOLD_SLACK ((int64_t)1 << 20)
/* All results together may have so many more than the ratio allows for the file's constants. */
#define FOLD_TOTAL_SLACK ((int64_t)16 << 20)

static bool can_fold(const tl_node *node, uint32_t keep)
{
    if (node->op->flags & (TL_OP_NONDETERMINISTIC | TL_OP_RUNTIME | TL_OP_LONG | keep) || tl_node_subgraph(node, 0) ||
        (!node->op->run && !(node->op->flags & TL_OP_VIEW)))
        return false;
    for (size_t k = 0; k < node->input_count; k++) {
        const tl_value *value = node->inputs[k];
        if (!value)
            continue;
        if (value->kind != TL_KIND_TENSOR)
            return false;
        if (tl_value_origin(node->inputs[k])->constant)
            continue;
        if (!(node->op->flags & TL_OP_SHAPE_ONLY) || tl_tensor_elements(&value->tensor) < 0)
            return false;
    }
    for (size_t k = 0; k < node->output_count; k++)
        if (node->outputs[k] &&
            (node->outputs[k]->kind != TL_KIND_TENSOR || node->outputs[k]->tensor.type == TL_UNDEFINED))
            return false;
    return true;
}

static int64_t add_scaled(int64_t limit, int64_t bytes)
{
    int64_t scaled;
    return tl_mul(bytes, FOLD_RATIO, &scaled) && tl_add(limit, scaled, &limit) ? limit : INT64_MAX;
}

void tl_model_limit_folding(tl_model *model, size_t limit)
{
    model->fold_budget = FOLD_TOTAL_SLACK;
    for (const tl_constant *c = model->constants; c; c = c->next)
        model->fold_budget = add_scaled(model->fold_budget, c->bytes);
    if (limit)
        model->fold_budget = limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
}

/* Most bytes of a result that is worth keeping instead of computing. */
static int64_t fold_limit(const tl_node *node)
{
    int64_t budget = node->graph->model->fold_budget;
    int64_t limit = FOLD_SLACK;
    for (size_t k = 0; k < node->input_count; k++) {
        const tl_constant *constant = node->inputs[k] ? tl_value_origin(node->inputs[k])->constant : NULL;
        if (constant)
            limit = add_scaled(limit, constant->bytes);
    }
    return limit < budget ? limit : budget > 0 ? budget : 0;
}

static bool fits(const tl_node *node, int64_t limit)
{
    for (size_t k = 0; k < node->output_count; k++)
        if (node->outputs[k]) {
            int64_t bytes = tl_tensor_bytes(&node->outputs[k]->tensor);
            if (bytes > limit)
                return false;
        }
    return true;
}

static tl_status evaluate(tl_node *node, tl_runtime *runtime, tl_arena *scratch, int64_t limit, tl_error *error)
{
    tl_model *model = node->graph->model;
    const tl_tensor **inputs = tl_node_known_inputs(node, INT64_MAX, scratch);
    tl_tensor **outputs = TL_NEW(scratch, tl_tensor *, tl_node_call_outputs(node) + 1);
    tl_tensor *results = TL_NEW(scratch, tl_tensor, node->output_count + 1);
    if (!inputs || !outputs || !results)
        return tl_error_no_memory(error);
    for (size_t k = 0; k < node->output_count; k++)
        if (node->outputs[k]) {
            results[k].type = node->outputs[k]->tensor.type;
            outputs[k] = &results[k];
        }
    tl_error why;
    const size_t used = model->arena.used;
    /* What fails here may sit in a branch that never runs, or be too large to keep: then it stays a node. */
    if (tl_evaluate(node, runtime, inputs, outputs, &model->arena, (size_t)limit, &why) != TL_OK)
        return TL_OK;
    tl_status status = TL_OK;
    model->fold_budget -= (int64_t)(model->arena.used - used);
    for (size_t k = 0; k < node->output_count; k++) {
        if (!outputs[k])
            continue;
        if (status != TL_OK || !tl_value_take_constant(node->outputs[k], outputs[k], outputs[k]->data)) {
            status = tl_error_no_memory(error);
            tl_memory_free(model->allocator, outputs[k]->data);
        } else {
            model->fold_budget -= node->outputs[k]->constant->bytes;
        }
    }
    return status;
}

static tl_status fold_node(tl_node *node, tl_runtime *runtime, tl_error *error)
{
    int64_t limit = fold_limit(node);
    if (!fits(node, limit))
        return TL_OK;
    tl_arena scratch;
    tl_arena_init(&scratch, &runtime->allocator, 0);
    tl_status status = evaluate(node, runtime, &scratch, limit, error);
    tl_arena_free(&scratch);
    tl_node_destroy(node, &runtime->host);
    for (size_t k = 0; k < node->input_count; k++)
        if (node->inputs[k])
            tl_value_release(tl_value_origin(node->inputs[k]));
    return status;
}

static bool is_tensor(const tl_node *node, const tl_attribute **tensor)
{
    if (*node->domain || strcmp(node->op_type, "Constant") != 0 || node->attribute_count != 1 || !node->outputs[0])
        return false;
    *tensor = tl_node_attribute(node, "value");
    return *tensor && (*tensor)->kind == TL_ATTR_TENSOR;
}

/* A Constant's tensor serves as it stands, at any size: nothing is computed or copied. */
static bool take_tensor(tl_value *value, const tl_attribute *a)
{
    tl_model *model = value->graph->model;
    if (!tl_value_set_constant(value, a->u.tensor, a->u.tensor->data, a->mapped))
        return false;
    model->fold_budget = add_scaled(model->fold_budget, value->constant->bytes);
    return true;
}

tl_status tl_graph_fold(tl_graph *graph, const tl_host *host, uint32_t keep, tl_error *error)
{
    tl_runtime *runtime = tl_host_runtime(host);
    for (size_t i = 0; i < graph->node_count; i++) {
        tl_node *node = graph->nodes[i];
        /* Constants that were computed so far tell more about the shapes of this one. */
        tl_status status = tl_node_infer(node, host, error);
        tl_graph *inner;
        for (size_t g = 0; status == TL_OK && (inner = tl_node_subgraph(node, g)); g++)
            status = tl_graph_fold(inner, host, keep, error);
        const tl_attribute *tensor;
        if (status == TL_OK && is_tensor(node, &tensor))
            status = take_tensor(node->outputs[0], tensor) ? TL_OK : tl_error_no_memory(error);
        else if (status == TL_OK && can_fold(node, keep))
            status = fold_node(node, runtime, error);
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}
