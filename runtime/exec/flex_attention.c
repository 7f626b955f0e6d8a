/* FlexAttention (ai.onnx.preview 1): attention with a graph between product and softmax, and one behind the softmax.
 *
 * Query heads that share keys and values are neighbours, so that they count as more queries of one head, and both
 * products are numpy's of (batch, heads, ...). */
#include "exec/executor.h"
#include "onnx/op.h"
#include "onnx/product.h"

enum { IN_Q, IN_K, IN_V };

typedef struct flex_plan {
    product_plan scores, result;
    tl_type precision;        /* of the graphs' values */
    tl_type product, softmax; /* of the scores, as they are computed and as softmax is: float or double */
    int64_t rows, keys;       /* of all scores */
    size_t scores_at, softmax_at, half_at;
} flex_plan;

static tl_graph *graph_of(const tl_call *call, const char *name)
{
    const tl_attribute *attribute = tl_node_attribute(call->node, name);
    return attribute ? attribute->u.graph : NULL;
}

/* ---- Shapes */

static tl_status check_graph(const tl_call *call, const char *name, tl_type precision)
{
    tl_graph *graph = graph_of(call, name);
    if (!graph)
        return TL_OK;
    if (graph->input_count != 1 || graph->output_count != 1)
        return tl_fail(call, TL_INVALID_MODEL, "%s has %zu inputs and %zu outputs, but must have one of each", name,
                       graph->input_count, graph->output_count);
    tl_value *in = graph->inputs[0];
    const tl_value *out = graph->outputs[0];
    if (in->kind == TL_KIND_TENSOR && in->tensor.type == TL_UNDEFINED)
        in->tensor.type = precision;
    if (in->kind != TL_KIND_TENSOR || out->kind != TL_KIND_TENSOR || in->tensor.type != precision ||
        (out->tensor.type != TL_UNDEFINED && out->tensor.type != precision))
        return tl_fail(call, TL_INVALID_MODEL, "%s must take and give a tensor of %s, as softmax_precision has it",
                       name, tl_type_name(precision));
    return TL_OK;
}

static tl_status check_inputs(const tl_call *call)
{
    const tl_tensor *q = call->inputs[IN_Q], *k = call->inputs[IN_K];
    tl_status status = TL_OK;
    for (size_t i = IN_Q; i <= IN_V && status == TL_OK; i++)
        status = nn_check_rank(call, i, 4, 4);
    for (size_t i = IN_K; i <= IN_V && status == TL_OK && q->rank == 4; i++)
        status = nn_check_dim(call, i, 0, q->dims[0], "the batch of Q");
    if (status == TL_OK && q->rank == 4)
        status = nn_check_dim(call, IN_K, 3, q->dims[3], "the head size of Q");
    if (status != TL_OK || k->rank != 4)
        return status;
    const tl_dim heads = k->dims[1], query_heads = q->rank == 4 ? q->dims[1] : TL_DIM_UNKNOWN;
    if (query_heads >= 0 && (heads == 0 ? query_heads > 0 : heads > 0 && query_heads % heads != 0))
        return tl_fail(call, TL_INVALID_INPUT, "%lld query heads do not divide among %lld", (long long)query_heads,
                       (long long)heads);
    status = nn_check_dim(call, IN_V, 1, heads, "the heads of K");
    return status == TL_OK ? nn_check_dim(call, IN_V, 2, k->dims[2], "the sequence of K") : status;
}

/* A tensor under the shape (batch, heads, rows, columns). */
static tl_tensor matrices(tl_type type, const tl_tensor *k, int64_t rows, int64_t columns)
{
    return (tl_tensor){.type = type, .rank = 4, .dims = {k->dims[0], k->dims[1], rows, columns}};
}

static tl_status make_plan(tl_call *call, flex_plan *plan, tl_type precision)
{
    const tl_tensor *q = call->inputs[IN_Q], *k = call->inputs[IN_K], *v = call->inputs[IN_V];
    const bool modified = graph_of(call, "score_mod") || graph_of(call, "prob_mod");
    int64_t rows, count;
    plan->precision = precision;
    plan->product = q->type == TL_DOUBLE ? TL_DOUBLE : TL_FLOAT;
    plan->softmax = precision == TL_DOUBLE ? TL_DOUBLE : TL_FLOAT;
    plan->keys = k->dims[2];
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    if (op_elements(call->outputs[0]) == 0)
        return TL_OK;
    rows = q->dims[1] / k->dims[1] * q->dims[2];
    if (!nn_mul(k->dims[0] * k->dims[1], rows, &plan->rows) || !nn_mul(plan->rows, plan->keys, &count))
        return tl_fail(call, TL_NO_MEMORY, "the scores' size overflows");
    const tl_tensor a = matrices(plan->product, k, rows, q->dims[3]),
                    b = matrices(plan->product, k, plan->keys, q->dims[3]);
    const tl_tensor p = matrices(plan->product, k, rows, plan->keys),
                    w = matrices(plan->product, k, plan->keys, v->dims[3]);
    const tl_tensor y = matrices(plan->product, k, rows, v->dims[3]);
    product_set(&plan->scores, plan->product, product_factor_a(&a, false), product_factor_b(&b, true, false));
    product_batch(&plan->scores, &a, &b, &p);
    product_place(call, &plan->scores, false);
    product_set(&plan->result, plan->product, product_factor_a(&p, false), product_factor_b(&w, false, false));
    product_batch(&plan->result, &p, &w, &y);
    product_place(call, &plan->result, false);
    plan->scores_at = nn_place(call, count, nn_type_size(plan->product));
    plan->softmax_at = plan->scores_at;
    if (plan->softmax != plan->product)
        plan->softmax_at = nn_place(call, count, nn_type_size(plan->softmax));
    if (modified && precision != plan->softmax)
        plan->half_at = nn_place(call, count, nn_type_size(precision));
    return TL_OK;
}

static tl_status flex_reshape(tl_call *call)
{
    const tl_tensor *q = call->inputs[IN_Q], *v = call->inputs[IN_V];
    tl_tensor *y = call->outputs[0];
    tl_type precision = (tl_type)op_int(call, "softmax_precision");
    if (!op_given(call, "softmax_precision"))
        precision = q->type == TL_DOUBLE ? TL_DOUBLE : TL_FLOAT;
    if (op_given(call, "softmax_precision") &&
        (op_int(call, "softmax_precision") < 0 || op_int(call, "softmax_precision") >= TL_TYPE_COUNT ||
         !(TL_T(precision) & TL_T_FLOATS)))
        return tl_fail(call, TL_INVALID_MODEL, "softmax_precision is %lld, which is no floating type for it",
                       (long long)op_int(call, "softmax_precision"));
    tl_status status = check_inputs(call);
    if (status == TL_OK && tl_call_frame_of(call)->ahead)
        status = check_graph(call, "score_mod", precision);
    if (status == TL_OK && tl_call_frame_of(call)->ahead)
        status = check_graph(call, "prob_mod", precision);
    if (status != TL_OK)
        return status;
    y->rank = 4;
    for (int32_t i = 0; i < 3; i++)
        y->dims[i] = q->rank == 4 ? q->dims[i] : TL_DIM_UNKNOWN;
    y->dims[3] = v->rank == 4 ? v->dims[3] : TL_DIM_UNKNOWN;
    return call->plan ? make_plan(call, call->plan, precision) : TL_OK;
}

/* ---- Run */

typedef struct conversion {
    tl_tensor from, to;
} conversion;

static void convert_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const conversion *c = context;
    (void)thread;
    if (c->to.type == TL_FLOAT)
        op_load_floats(c->from.type, (char *)c->from.data + (size_t)begin * nn_type_size(c->from.type),
                       (float *)c->to.data + begin, end - begin);
    else
        op_store_floats(c->to.type, (const float *)c->from.data + begin,
                        (char *)c->to.data + (size_t)begin * nn_type_size(c->to.type), end - begin);
}

/* The scores as another type, in the workspace at `offset`; *at moves there. */
static void convert(tl_call *call, const flex_plan *plan, const void **at, tl_type from, tl_type to, size_t offset)
{
    conversion c = {{.data = (void *)(uintptr_t)*at, .type = from}, {.data = nn_at(call, offset), .type = to}};
    if (from == to)
        return;
    call->host->parallel_for(call, convert_task, &c, plan->rows * plan->keys, 1 << 14);
    *at = c.to.data;
}

/* Runs a graph on the scores at *at, of the softmax's type, which moves to what it gives out. */
static tl_status modify(tl_call *call, const flex_plan *plan, const char *name, const void **at)
{
    tl_error *error = tl_call_frame_of(call)->error;
    tl_graph *graph = graph_of(call, name);
    const tl_tensor *q = call->inputs[IN_Q];
    tl_executor *inner;
    if (!graph)
        return TL_OK;
    tl_status status = tl_executor_inner(tl_executor_of(call), graph, &inner, error);
    if (status != TL_OK)
        return status;
    convert(call, plan, at, plan->softmax, plan->precision, plan->half_at);
    inner->given[0] = (tl_tensor){.data = (void *)(uintptr_t)*at,
                                  .type = plan->precision,
                                  .rank = 4,
                                  .dims = {q->dims[0], q->dims[1], q->dims[2], plan->keys}};
    const tl_tensor given = inner->given[0];
    status = tl_executor_run(inner, error);
    if (status != TL_OK)
        return status;
    const tl_tensor *result = &inner->outputs[0].result;
    bool same = result->type == given.type && result->rank == given.rank;
    for (int32_t i = 0; same && i < given.rank; i++)
        same = result->dims[i] == given.dims[i];
    if (!same)
        return tl_fail(call, TL_INVALID_MODEL, "%s changes the type or the shape of what it is given", name);
    *at = result->data;
    convert(call, plan, at, plan->precision, plan->softmax, plan->softmax_at);
    return TL_OK;
}

typedef struct softmax_job {
    const void *from;
    void *to;
    int64_t width;
    tl_type type;
} softmax_job;

static void softmax_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const softmax_job *job = context;
    (void)thread;
    if (job->type == TL_FLOAT) {
        tlk_get()->softmax((const float *)job->from + begin * job->width, (float *)job->to + begin * job->width,
                           end - begin, job->width, 0);
        return;
    }
    for (int64_t row = begin; row < end; row++) {
        const double *x = (const double *)job->from + row * job->width;
        double *y = (double *)job->to + row * job->width, greatest = x[0], sum = 0;
        for (int64_t i = 1; i < job->width; i++)
            greatest = x[i] > greatest ? x[i] : greatest;
        for (int64_t i = 0; i < job->width; i++) {
            y[i] = exp(x[i] - greatest);
            sum += y[i];
        }
        for (int64_t i = 0; i < job->width; i++)
            y[i] /= sum;
    }
}

static tl_status flex_real(tl_call *call)
{
    const flex_plan *plan = call->plan;
    const tl_tensor *q = call->inputs[IN_Q], *y = call->outputs[0];
    const double scale = op_given(call, "scale") ? (double)op_float(call, "scale") : 1 / sqrt((double)q->dims[3]);
    const product_result scores = {.c = nn_at(call, plan->scores_at), .alpha = scale};
    const product_result result = {.c = y->data, .alpha = 1};
    if (op_elements(y) == 0)
        return TL_OK;
    if (plan->keys == 0) { /* a sum of nothing */
        memset(y->data, 0, (size_t)op_elements(y) * nn_type_size(y->type));
        return TL_OK;
    }
    product_run(call, &plan->scores, q->data, call->inputs[IN_K]->data, NULL, &scores);
    const void *at = scores.c;
    convert(call, plan, &at, plan->product, plan->softmax, plan->softmax_at);
    tl_status status = modify(call, plan, "score_mod", &at);
    if (status != TL_OK)
        return status;
    softmax_job job = {at, nn_at(call, plan->softmax_at), plan->keys, plan->softmax};
    call->host->parallel_for(call, softmax_task, &job, plan->rows, nn_grain(plan->keys, 1 << 12));
    at = job.to;
    status = modify(call, plan, "prob_mod", &at);
    if (status != TL_OK)
        return status;
    convert(call, plan, &at, plan->softmax, plan->product, plan->scores_at);
    product_run(call, &plan->result, at, call->inputs[IN_V]->data, NULL, &result);
    return TL_OK;
}

static tl_status flex_run(tl_call *call)
{
    return nn_widen_run(call, 0, flex_real);
}

static const tl_param flex_input[] = {OP_IN("Q", TL_T_FLOATS, 'T'), OP_IN("K", TL_T_FLOATS, 'T'),
                                      OP_IN("V", TL_T_FLOATS, 'T')};
static const tl_param flex_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec flex_attribute[] = {{.name = "prob_mod", .kind = TL_ATTR_GRAPH},
                                                   OP_FLOAT("scale", 0),
                                                   {.name = "score_mod", .kind = TL_ATTR_GRAPH},
                                                   OP_INT("softmax_precision", 0)};

OP_DESCRIPTOR(FlexAttention, 1) = {OP_HEAD_IN("ai.onnx.preview", FlexAttention, 1),
                                   .flags = TL_OP_RUNTIME,
                                   OP_PARAMS(input, flex_input),
                                   OP_PARAMS(output, flex_output),
                                   OP_PARAMS(attribute, flex_attribute),
                                   .plan_size = sizeof(flex_plan),
                                   .reshape = flex_reshape,
                                   .run = flex_run};
