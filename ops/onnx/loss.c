/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss (12). Sums in double, in order. */
#include "onnx/nn.h"

enum { IN_SCORES, IN_LABELS, IN_WEIGHTS };

typedef enum loss_reduction { LOSS_NONE, LOSS_SUM, LOSS_MEAN } loss_reduction;

static tl_status parse_reduction(const tl_call *call, loss_reduction *reduction)
{
    int which = LOSS_NONE;
    const tl_status status = op_word(call, "reduction", "none sum mean", &which);
    *reduction = (loss_reduction)which;
    return status;
}

static tl_status loss_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[IN_SCORES], *labels = call->inputs[IN_LABELS];
    tl_tensor *y = call->outputs[0], *log_prob = op_output(call, 1);
    loss_reduction reduction = LOSS_NONE;
    tl_status status = parse_reduction(call, &reduction);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_SCORES, 2, TL_MAX_RANK);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_WEIGHTS, 1, 1);
    if (status != TL_OK)
        return status;
    if (log_prob)
        op_copy_shape(log_prob, x);
    y->rank = reduction == LOSS_NONE ? TL_RANK_UNKNOWN : 0;
    if (reduction == LOSS_NONE)
        op_copy_shape(y, labels);
    if (x->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    status = nn_check_rank(call, IN_LABELS, x->rank - 1, x->rank - 1);
    for (int32_t i = 0; i < x->rank - 1 && status == TL_OK; i++)
        status = nn_check_dim(call, IN_LABELS, i, x->dims[i == 0 ? 0 : i + 1], "as the scores have it");
    if (status == TL_OK)
        status = nn_check_dim(call, IN_WEIGHTS, 0, x->dims[1], "one for each class");
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    return status;
}

/* log(sum of exp) over the classes of one element; classes lie `area` apart. */
static double log_sum(const tl_tensor *x, int64_t at, int64_t classes, int64_t area)
{
    double greatest = -INFINITY, sum = 0;
    for (int64_t c = 0; c < classes; c++)
        greatest = fmax(greatest, op_load_number(x, at + c * area));
    for (int64_t c = 0; c < classes; c++)
        sum += exp(op_load_number(x, at + c * area) - greatest);
    return greatest + log(sum);
}

static tl_status run_loss(tl_call *call, bool softmax)
{
    const tl_tensor *x = call->inputs[IN_SCORES], *labels = call->inputs[IN_LABELS],
                    *weights = op_input(call, IN_WEIGHTS);
    const tl_tensor *y = call->outputs[0], *log_prob = op_output(call, 1);
    const int64_t classes = x->dims[1], area = op_product(x, 2, x->rank), n = op_elements(labels);
    const bool ignores = op_given(call, "ignore_index");
    const int64_t ignored = ignores ? op_int(call, "ignore_index") : 0;
    loss_reduction reduction = LOSS_NONE;
    double sum = 0, weight_sum = 0;
    tl_status status = parse_reduction(call, &reduction);
    for (int64_t i = 0; i < n && status == TL_OK; i++) {
        const int64_t at = i / area * classes * area + i % area;
        const int64_t label =
            labels->type == TL_INT64 ? ((const int64_t *)labels->data)[i] : ((const int32_t *)labels->data)[i];
        const bool counts = !ignores || label != ignored;
        if (counts && (label < 0 || label >= classes))
            return tl_fail(call, TL_INVALID_INPUT, "label %lld is %lld, but must be in [0, %lld)", (long long)i,
                           (long long)label, (long long)classes);
        const double shift = softmax ? log_sum(x, at, classes, area) : 0;
        for (int64_t c = 0; log_prob && c < classes; c++)
            nn_store_real(log_prob, at + c * area, op_load_number(x, at + c * area) - shift);
        const double weight = !counts ? 0 : weights ? op_load_number(weights, label) : 1;
        const double loss = counts ? -(op_load_number(x, at + label * area) - shift) * weight : 0;
        sum += loss;
        weight_sum += weight;
        if (reduction == LOSS_NONE)
            nn_store_real(y, i, loss);
    }
    if (status == TL_OK && reduction != LOSS_NONE)
        nn_store_real(y, 0, reduction == LOSS_SUM ? sum : sum / weight_sum);
    return status;
}

static tl_status likelihood_real(tl_call *call)
{
    return run_loss(call, false);
}

static tl_status likelihood_run(tl_call *call)
{
    return nn_widen_run(call, 0, likelihood_real);
}

static tl_status entropy_real(tl_call *call)
{
    return run_loss(call, true);
}

static tl_status entropy_run(tl_call *call)
{
    return nn_widen_run(call, 0, entropy_real);
}

static const tl_param likelihood_input[] = {OP_IN("input", TL_T_FLOATS, 'T'), OP_IN("target", TL_T_INDEX, 'I'),
                                            OP_OPT("weight", TL_T_FLOATS, 'T')};
static const tl_param likelihood_output[] = {OP_IN("loss", TL_T_FLOATS, 'T')};
static const tl_param entropy_input[] = {OP_IN("scores", TL_T_FLOATS, 'T'), OP_IN("labels", TL_T_INDEX, 'I'),
                                         OP_OPT("weights", TL_T_FLOATS, 'T')};
static const tl_param entropy_output[] = {OP_IN("output", TL_T_FLOATS, 'T'), OP_OPT("log_prob", TL_T_FLOATS, 'T')};
static const tl_attribute_spec loss_attribute[] = {OP_INT("ignore_index", 0), OP_STRING("reduction", "mean")};

OP_DESCRIPTOR(NegativeLogLikelihoodLoss, 12) = {OP_HEAD(NegativeLogLikelihoodLoss, 12),
                                                OP_PARAMS(input, likelihood_input),
                                                OP_PARAMS(output, likelihood_output),
                                                OP_PARAMS(attribute, loss_attribute),
                                                .reshape = loss_reshape,
                                                .run = likelihood_run};
OP_DESCRIPTOR(SoftmaxCrossEntropyLoss, 12) = {
    OP_HEAD(SoftmaxCrossEntropyLoss, 12), OP_PARAMS(input, entropy_input), OP_PARAMS(output, entropy_output),
    OP_PARAMS(attribute, loss_attribute), .reshape = loss_reshape,         .run = entropy_run};
