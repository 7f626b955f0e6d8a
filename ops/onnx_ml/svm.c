/* SVMRegressor: a sum of kernels of the row and the support vectors; without these, of a linear model. */
#include "onnx_ml/ml.h"

typedef enum svm_kernel { SVM_LINEAR, SVM_POLY, SVM_RBF, SVM_SIGMOID } svm_kernel;

typedef struct svm {
    tl_tensor coefficients, vectors;
    int64_t supports; /* 0: the coefficients are the features' */
    svm_kernel kernel;
    double gamma, shift, degree, rho;
    ml_transform transform;
    bool one_class;
} svm;

static tl_status read_kernel(const tl_call *call, svm *s)
{
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    const tl_tensor params = ml_list(call, "kernel_params", TL_ATTR_FLOATS);
    const char *given = op_string(call, "kernel_type");
    int found = -1;
    for (int k = SVM_LINEAR; k <= SVM_SIGMOID; k++)
        if (strcmp(given, names[k]) == 0)
            found = k;
    if (found < 0)
        return tl_fail(call, TL_INVALID_MODEL, "kernel_type is \"%s\", but must be LINEAR, POLY, RBF or SIGMOID",
                       given);
    if (ml_count(&params) != 0 && ml_count(&params) != 3)
        return tl_fail(call, TL_INVALID_MODEL, "kernel_params has %lld elements, but must have 3",
                       (long long)ml_count(&params));
    s->kernel = (svm_kernel)found;
    if (ml_count(&params) == 3) {
        s->gamma = op_load_number(&params, 0);
        s->shift = op_load_number(&params, 1);
        s->degree = op_load_number(&params, 2);
    }
    return TL_OK;
}

static tl_status read_svm(const tl_call *call, svm *s)
{
    const tl_tensor rho = ml_list(call, "rho", TL_ATTR_FLOATS);
    const tl_dim features = ml_features(call->inputs[0]);
    int64_t wanted;
    *s = (svm){.supports = op_int(call, "n_supports"), .one_class = op_int(call, "one_class") != 0};
    s->coefficients = ml_list(call, "coefficients", TL_ATTR_FLOATS);
    s->vectors = ml_list(call, "support_vectors", TL_ATTR_FLOATS);
    tl_status status = read_kernel(call, s);
    if (status == TL_OK)
        status = ml_find_transform(call, &s->transform);
    if (status == TL_OK)
        status = ml_check_table(call);
    if (status != TL_OK)
        return status;
    if (ml_count(&rho) != 1)
        return tl_fail(call, TL_INVALID_MODEL, "rho has %lld elements, but must have one", (long long)ml_count(&rho));
    s->rho = op_load_number(&rho, 0);
    if (s->supports < 0 || (s->supports > 0 && ml_count(&s->coefficients) != s->supports))
        return tl_fail(call, TL_INVALID_MODEL, "coefficients has %lld elements for %lld support vectors",
                       (long long)ml_count(&s->coefficients), (long long)s->supports);
    if (features < 0)
        return TL_OK;
    const tl_tensor *by_feature = s->supports > 0 ? &s->vectors : &s->coefficients;
    if (!nn_mul(nn_max(s->supports, 1), features, &wanted) || wanted != ml_count(by_feature))
        return tl_fail(call, TL_INVALID_INPUT, "%s has %lld elements, which do not fit %lld features",
                       s->supports > 0 ? "support_vectors" : "coefficients", (long long)ml_count(by_feature),
                       (long long)features);
    return TL_OK;
}

static tl_status svm_reshape(tl_call *call)
{
    svm s;
    tl_status status = read_svm(call, &s);
    call->outputs[0]->rank = 2;
    call->outputs[0]->dims[0] = ml_rows(call->inputs[0]);
    call->outputs[0]->dims[1] = 1;
    return status;
}

/* The kernel of features [at, at + n) of x, and n numbers. */
static double kernel_of(const svm *s, svm_kernel kernel, const tl_tensor *x, int64_t at, const float *vector, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double a = ml_number(x, at + i), b = (double)vector[i];
        sum += kernel == SVM_RBF ? (a - b) * (a - b) : a * b;
    }
    switch (kernel) {
    case SVM_POLY:
        return pow(s->gamma * sum + s->shift, s->degree);
    case SVM_RBF:
        return exp(-s->gamma * sum);
    case SVM_SIGMOID:
        return tanh(s->gamma * sum + s->shift);
    default:
        return sum;
    }
}

typedef struct svm_job {
    const tl_call *call;
    svm s;
} svm_job;

static void svm_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const svm_job *job = context;
    const svm *s = &job->s;
    const tl_tensor *x = job->call->inputs[0];
    const int64_t n = ml_features(x);
    const float *coefficients = s->coefficients.data, *vectors = s->vectors.data;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        double score = s->rho;
        for (int64_t k = 0; k < s->supports; k++)
            score += (double)coefficients[k] * kernel_of(s, s->kernel, x, row * n, vectors + k * n, n);
        if (s->supports == 0)
            score += kernel_of(s, SVM_LINEAR, x, row * n, coefficients, n);
        if (s->one_class)
            score = score > 0 ? 1 : -1;
        else
            ml_apply(s->transform, &score, 1);
        ((float *)job->call->outputs[0]->data)[row] = (float)score;
    }
}

static tl_status svm_run(tl_call *call)
{
    svm_job job = {.call = call};
    tl_status status = read_svm(call, &job.s);
    if (status == TL_OK)
        call->host->parallel_for(call, svm_task, &job, ml_rows(call->inputs[0]),
                                 nn_grain(nn_max(ml_count(&job.s.vectors), 1), 1 << 13));
    return status;
}

static const tl_param svm_input[] = {OP_IN("X", ML_NUMBERS, 0)};
static const tl_param svm_output[] = {OP_IN("Y", TL_T(TL_FLOAT), 0)};
static const tl_attribute_spec svm_attribute[] = {
    ML_FLOATS("coefficients"), ML_FLOATS("kernel_params"),  OP_STRING("kernel_type", "LINEAR"),
    OP_INT("n_supports", 0),   OP_INT("one_class", 0),      OP_STRING("post_transform", "NONE"),
    ML_FLOATS("rho"),          ML_FLOATS("support_vectors")};

OP_DESCRIPTOR(SVMRegressor, 1) = {ML_HEAD(SVMRegressor, 1),      OP_PARAMS(input, svm_input),
                                  OP_PARAMS(output, svm_output), OP_PARAMS(attribute, svm_attribute),
                                  .reshape = svm_reshape,        .run = svm_run};
