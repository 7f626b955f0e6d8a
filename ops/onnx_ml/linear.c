/* LinearRegressor and LinearClassifier: scores are products of a row with coefficients, summed up in double. */
#include "onnx_ml/ml.h"

typedef struct linear {
    tl_tensor coefficients, intercepts; /* (targets, features) and (targets) */
    int64_t targets;
    ml_transform transform;
} linear;

/* What the attributes say; `targets` as far as it is known without them. */
static tl_status read_linear(const tl_call *call, int64_t targets, linear *l)
{
    const tl_dim features = ml_features(call->inputs[0]);
    int64_t wanted;
    *l = (linear){.targets = targets};
    l->coefficients = ml_list(call, "coefficients", TL_ATTR_FLOATS);
    l->intercepts = ml_list(call, "intercepts", TL_ATTR_FLOATS);
    tl_status status = ml_find_transform(call, &l->transform);
    if (status == TL_OK)
        status = ml_check_table(call);
    if (status != TL_OK)
        return status;
    if (targets < 1)
        return tl_fail(call, TL_INVALID_MODEL, "it has %lld targets", (long long)targets);
    if (ml_count(&l->intercepts) != 0 && ml_count(&l->intercepts) != targets)
        return tl_fail(call, TL_INVALID_MODEL, "intercepts has %lld elements for %lld targets",
                       (long long)ml_count(&l->intercepts), (long long)targets);
    if (features >= 0 && (!nn_mul(targets, features, &wanted) || wanted != ml_count(&l->coefficients)))
        return tl_fail(call, TL_INVALID_INPUT, "coefficients has %lld elements for %lld targets and %lld features",
                       (long long)ml_count(&l->coefficients), (long long)targets, (long long)features);
    return TL_OK;
}

static double score(const linear *l, const tl_tensor *x, int64_t row, int64_t target)
{
    const int64_t features = ml_features(x);
    const float *coefficients = (const float *)l->coefficients.data + target * features;
    double sum = ml_count(&l->intercepts) > 0 ? (double)((const float *)l->intercepts.data)[target] : 0;
    for (int64_t f = 0; f < features; f++)
        sum += ml_number(x, row * features + f) * (double)coefficients[f];
    return sum;
}

/* Room for one row of scores for each thread. */
static void place_scores(tl_call *call, int64_t scores)
{
    call->workspace_size = 0;
    nn_place(call, scores, sizeof(double) * (size_t)call->thread_count);
}

static void shape_scores(const tl_call *call, tl_tensor *out, int64_t scores)
{
    out->rank = 2;
    out->dims[0] = ml_rows(call->inputs[0]);
    out->dims[1] = scores;
}

typedef struct linear_job {
    const tl_call *call;
    linear l;
    tl_tensor labels;
    int64_t classes;
} linear_job;

/* ---- LinearRegressor */

static tl_status regressor_reshape(tl_call *call)
{
    linear l;
    tl_status status = read_linear(call, op_int(call, "targets"), &l);
    if (status != TL_OK)
        return status;
    shape_scores(call, call->outputs[0], l.targets);
    place_scores(call, l.targets);
    return TL_OK;
}

static void regressor_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const linear_job *job = context;
    const linear *l = &job->l;
    double *scores = (double *)job->call->workspace + thread * l->targets;
    float *y = job->call->outputs[0]->data;
    for (int64_t row = begin; row < end; row++) {
        for (int64_t t = 0; t < l->targets; t++)
            scores[t] = score(l, job->call->inputs[0], row, t);
        ml_apply(l->transform, scores, l->targets);
        for (int64_t t = 0; t < l->targets; t++)
            y[row * l->targets + t] = (float)scores[t];
    }
}

static tl_status regressor_run(tl_call *call)
{
    linear_job job = {.call = call};
    tl_status status = read_linear(call, op_int(call, "targets"), &job.l);
    if (status == TL_OK)
        call->host->parallel_for(call, regressor_task, &job, ml_rows(call->inputs[0]),
                                 nn_grain(ml_count(&job.l.coefficients), 1 << 14));
    return status;
}

/* ---- LinearClassifier: a score for each class; of two classes one score may stand for both */

static tl_status read_classifier(const tl_call *call, linear_job *job)
{
    const tl_tensor coefficients = ml_list(call, "coefficients", TL_ATTR_FLOATS);
    const tl_dim features = ml_features(call->inputs[0]);
    tl_status status = ml_labels(call, "classlabels_ints", "classlabels_strings", &job->labels);
    if (status != TL_OK)
        return status;
    job->classes = ml_count(&job->labels);
    if (job->classes == 0)
        return tl_fail(call, TL_INVALID_MODEL, "has no class labels");
    const bool single = job->classes == 2 && features > 0 && ml_count(&coefficients) == features;
    return read_linear(call, features < 0 || single ? 1 : job->classes, &job->l);
}

static tl_status classifier_reshape(tl_call *call)
{
    linear_job job = {.call = call};
    tl_tensor *y = call->outputs[0];
    if (ml_features(call->inputs[0]) < 0) { /* nothing about coefficients can be checked yet */
        tl_status status = ml_labels(call, "classlabels_ints", "classlabels_strings", &job.labels);
        job.classes = ml_count(&job.labels);
        if (status != TL_OK)
            return status;
    } else {
        tl_status status = read_classifier(call, &job);
        if (status != TL_OK)
            return status;
    }
    y->type = job.labels.type == TL_STRING ? TL_STRING : TL_INT64;
    y->rank = 1;
    y->dims[0] = ml_rows(call->inputs[0]);
    shape_scores(call, call->outputs[1], job.classes);
    place_scores(call, job.classes);
    return TL_OK;
}

static void classifier_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const linear_job *job = context;
    const linear *l = &job->l;
    double *scores = (double *)job->call->workspace + thread * job->classes;
    float *z = job->call->outputs[1]->data;
    for (int64_t row = begin; row < end; row++) {
        for (int64_t t = 0; t < l->targets; t++)
            scores[t] = score(l, job->call->inputs[0], row, t);
        if (l->targets < job->classes) {
            scores[1] = scores[0];
            scores[0] = -scores[1];
        }
        ml_put_label(job->call->outputs[0], row, &job->labels, ml_greatest(scores, job->classes));
        ml_apply(l->transform, scores, job->classes);
        for (int64_t t = 0; t < job->classes; t++)
            z[row * job->classes + t] = (float)scores[t];
    }
}

static tl_status classifier_run(tl_call *call)
{
    linear_job job = {.call = call};
    tl_status status = read_classifier(call, &job);
    if (status == TL_OK)
        call->host->parallel_for(call, classifier_task, &job, ml_rows(call->inputs[0]),
                                 nn_grain(ml_count(&job.l.coefficients), 1 << 14));
    return status;
}

static const tl_param linear_input[] = {OP_IN("X", ML_NUMBERS, 0)};
static const tl_param regressor_output[] = {OP_IN("Y", TL_T(TL_FLOAT), 0)};
static const tl_param classifier_output[] = {OP_IN("Y", ML_LABELS, 0), OP_IN("Z", TL_T(TL_FLOAT), 0)};
static const tl_attribute_spec regressor_attribute[] = {ML_FLOATS("coefficients"), ML_FLOATS("intercepts"),
                                                        OP_STRING("post_transform", "NONE"), OP_INT("targets", 1)};
static const tl_attribute_spec classifier_attribute[] = {
    OP_INTS("classlabels_ints"),
    ML_STRINGS("classlabels_strings"),
    {.name = "coefficients", .kind = TL_ATTR_FLOATS, .flags = TL_ATTR_REQUIRED},
    ML_FLOATS("intercepts"),
    OP_INT("multi_class", 0),
    OP_STRING("post_transform", "NONE")};

#define LINEAR(op, stem)                                            \
    OP_DESCRIPTOR(op, 1) = {ML_HEAD(op, 1),                         \
                            OP_PARAMS(input, linear_input),         \
                            OP_PARAMS(output, stem##_output),       \
                            OP_PARAMS(attribute, stem##_attribute), \
                            .reshape = stem##_reshape,              \
                            .run = stem##_run}
LINEAR(LinearRegressor, regressor);
LINEAR(LinearClassifier, classifier);
