#include "onnx_ml/ml.h"

/* ---- Lists */

tl_tensor ml_list(const tl_call *call, const char *name, tl_attribute_kind kind)
{
    const tl_host *host = call->host;
    tl_tensor list = {.type = TL_UNDEFINED, .rank = 1};
    const void *data;
    size_t count = 0;
    if (!host->attribute_given(call->node, name))
        return list;
    if (kind == TL_ATTR_TENSOR)
        return *host->attribute_tensor(call->node, name);
    if (kind == TL_ATTR_INTS) {
        data = host->attribute_ints(call->node, name, &count);
        list.type = TL_INT64;
    } else if (kind == TL_ATTR_FLOATS) {
        data = host->attribute_floats(call->node, name, &count);
        list.type = TL_FLOAT;
    } else {
        data = host->attribute_strings(call->node, name, &count);
        list.type = TL_STRING;
    }
    list.data = (void *)(uintptr_t)data;
    list.dims[0] = (int64_t)count;
    return list;
}

tl_status ml_one_list(const tl_call *call, const ml_source *sources, size_t count, tl_tensor *list)
{
    const char *given = NULL;
    *list = (tl_tensor){.type = TL_UNDEFINED, .rank = 1};
    for (size_t k = 0; k < count; k++) {
        if (!call->host->attribute_given(call->node, sources[k].name))
            continue;
        if (given)
            return tl_fail(call, TL_INVALID_MODEL, "has both %s and %s", given, sources[k].name);
        given = sources[k].name;
        *list = ml_list(call, given, sources[k].kind);
    }
    return TL_OK;
}

/* ---- Post-transforms */

tl_status ml_find_transform(const tl_call *call, ml_transform *transform)
{
    int which = ML_NONE;
    const tl_status status = op_word(call, "post_transform", "NONE SOFTMAX LOGISTIC SOFTMAX_ZERO PROBIT", &which);
    *transform = (ml_transform)which;
    return status;
}

/* Winitzki's approximation of the inverse error function, good to 2e-3: what everybody computes here, so that models
 * are trained and tested with it. */
static double probit(double p)
{
    const double x = 2 * p - 1, a = 0.147, pi = 3.14159265358979323846;
    const double logarithm = log((1 - x) * (1 + x));
    if ((1 - x) * (1 + x) == 0)
        return 0;
    const double v = 2 / (pi * a) + logarithm / 2;
    const double y = sqrt(sqrt(v * v - logarithm / a) - v);
    return 1.41421356 * (x < 0 ? -y : y);
}

/* Scores that are 0 stay out of the sum, and stay 0. */
static void softmax(double *scores, int64_t n, bool keep_zeros)
{
    const double greatest = n > 0 ? scores[ml_greatest(scores, n)] : 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const bool zero = keep_zeros && fabs(scores[i]) <= 1e-7;
        scores[i] = zero ? scores[i] * exp(-greatest) : exp(scores[i] - greatest);
        sum += scores[i];
    }
    for (int64_t i = 0; i < n; i++)
        scores[i] = sum == 0 ? 0.5 : scores[i] / sum;
}

void ml_apply(ml_transform transform, double *scores, int64_t n)
{
    if (transform == ML_SOFTMAX || transform == ML_SOFTMAX_ZERO)
        softmax(scores, n, transform == ML_SOFTMAX_ZERO);
    for (int64_t i = 0; i < n && (transform == ML_LOGISTIC || transform == ML_PROBIT); i++)
        scores[i] = transform == ML_LOGISTIC ? op_logistic(scores[i]) : probit(scores[i]);
}

/* ---- Tables and labels */

tl_status ml_check_table(const tl_call *call)
{
    return nn_check_rank(call, 0, 1, 2);
}

tl_status ml_labels(const tl_call *call, const char *ints, const char *strings, tl_tensor *labels)
{
    const ml_source sources[] = {{ints, TL_ATTR_INTS}, {strings, TL_ATTR_STRINGS}};
    return ml_one_list(call, sources, 2, labels);
}

void ml_put_label(const tl_tensor *out, int64_t i, const tl_tensor *labels, int64_t index)
{
    if (out->type == TL_STRING)
        ((tl_string *)out->data)[i] = ((const tl_string *)labels->data)[index];
    else
        ((int64_t *)out->data)[i] = ml_count(labels) > 0 ? ml_int(labels, index) : index;
}

int64_t ml_greatest(const double *scores, int64_t n)
{
    int64_t at = 0;
    for (int64_t i = 1; i < n; i++)
        if (scores[i] > scores[at])
            at = i;
    return at;
}
