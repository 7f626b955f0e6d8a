/* SVMRegressor: a sum of kernels of the row and the support vectors; without these, of a linear model. SVMClassifier:
 * such sums for each two classes, and their votes. */
#include "onnx_ml/ml.h"

typedef enum svm_kernel { SVM_LINEAR, SVM_POLY, SVM_RBF, SVM_SIGMOID } svm_kernel;

typedef struct svm {
    const tl_call *call;
    tl_tensor coefficients, vectors;
    int64_t supports; /* 0: the coefficients are the features' */
    svm_kernel kernel;
    double gamma, shift, degree, rho;
    ml_transform transform;
    bool one_class;
} svm;

static tl_status read_kernel(const tl_call *call, svm *s)
{
    const tl_tensor params = ml_list(call, "kernel_params", TL_ATTR_FLOATS);
    int kernel = SVM_LINEAR;
    const tl_status status = op_word(call, "kernel_type", "LINEAR POLY RBF SIGMOID", &kernel);
    if (status != TL_OK)
        return status;
    if (ml_count(&params) != 0 && ml_count(&params) != 3)
        return tl_fail(call, TL_INVALID_MODEL, "kernel_params has %lld elements, but must have 3",
                       (long long)ml_count(&params));
    s->kernel = (svm_kernel)kernel;
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
    *s = (svm){.call = call, .supports = op_int(call, "n_supports"), .one_class = op_int(call, "one_class") != 0};
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

static void svm_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const svm *s = context;
    const tl_tensor *x = s->call->inputs[0];
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
        ((float *)s->call->outputs[0]->data)[row] = (float)score;
    }
}

/* A row costs as much as all support vectors. */
static void for_rows(tl_call *call, const svm *s, tl_task task, void *context)
{
    const int64_t each = nn_max(ml_count(&s->vectors), 1);
    call->host->parallel_for(call, task, context, ml_rows(call->inputs[0]), nn_grain(each, 1 << 13));
}

static tl_status svm_run(tl_call *call)
{
    svm s;
    tl_status status = read_svm(call, &s);
    if (status == TL_OK)
        for_rows(call, &s, svm_task, &s);
    return status;
}

static const tl_param svm_input[] = {OP_IN("X", ML_NUMBERS, 0)};
static const tl_param svm_output[] = {OP_IN("Y", TL_T(TL_FLOAT), 0)};
static const tl_attribute_spec svm_attribute[] = {
    ML_FLOATS("coefficients"), ML_FLOATS("kernel_params"),  OP_STRING("kernel_type", "LINEAR"),
    OP_INT("n_supports", 0),   OP_INT("one_class", 0),      OP_STRING("post_transform", "NONE"),
    ML_FLOATS("rho"),          ML_FLOATS("support_vectors")};

OP_DESCRIPTOR(SVMRegressor, 1) = {ML_HEAD(SVMRegressor, 1),
                                  OP_PARAMS(input, svm_input),
                                  OP_PARAMS(output, svm_output),
                                  OP_PARAMS(attribute, svm_attribute),
                                  .flags = TL_OP_LONG,
                                  .reshape = svm_reshape,
                                  .run = svm_run};

/* ---- SVMClassifier: one against one, for each two classes; without support vectors a linear model for each class */

typedef struct svc {
    svm s;
    tl_tensor labels, per_class, rho, prob_a, prob_b;
    int64_t classes, pairs, vectors; /* vectors: 0 of linear models */
} svc;

static bool has_probabilities(const svc *c)
{
    return c->vectors > 0 && ml_count(&c->prob_a) > 0;
}

/* Columns of Z: probabilities, or scores of the pairs; of one pair, for each of its classes. */
static int64_t score_count(const svc *c)
{
    return c->vectors == 0 || c->classes == 2 || has_probabilities(c) ? c->classes : c->pairs;
}

static tl_status check_count(const tl_call *call, const char *name, const tl_tensor *list, int64_t wanted)
{
    return ml_count(list) == wanted ? TL_OK
                                    : tl_fail(call, TL_INVALID_MODEL, "%s has %lld elements, but must have %lld", name,
                                              (long long)ml_count(list), (long long)wanted);
}

/* How many support vectors there are, and whether the lists about pairs fit. */
static tl_status read_pairs(const tl_call *call, svc *c)
{
    int64_t wanted;
    if (ml_count(&c->per_class) == 0)
        return TL_OK;
    tl_status status = check_count(call, "vectors_per_class", &c->per_class, c->classes);
    for (int64_t k = 0; status == TL_OK && k < c->classes; k++)
        if (ml_int(&c->per_class, k) < 0 || !nn_add(c->vectors, ml_int(&c->per_class, k), &c->vectors))
            return tl_fail(call, TL_INVALID_MODEL, "vectors_per_class has %lld", (long long)ml_int(&c->per_class, k));
    if (status != TL_OK || c->vectors == 0)
        return status;
    if (!nn_mul(c->vectors, c->classes - 1, &wanted))
        wanted = -1;
    status = check_count(call, "coefficients", &c->s.coefficients, wanted);
    if (status == TL_OK)
        status = check_count(call, "rho", &c->rho, c->pairs);
    if (status == TL_OK && ml_count(&c->prob_a) > 0)
        status = check_count(call, "prob_a", &c->prob_a, c->pairs);
    return status == TL_OK ? check_count(call, "prob_b", &c->prob_b, ml_count(&c->prob_a)) : status;
}

static tl_status read_svc(const tl_call *call, svc *c)
{
    const tl_dim features = ml_features(call->inputs[0]);
    int64_t wanted;
    *c = (svc){.s.call = call,
               .per_class = ml_list(call, "vectors_per_class", TL_ATTR_INTS),
               .rho = ml_list(call, "rho", TL_ATTR_FLOATS),
               .prob_a = ml_list(call, "prob_a", TL_ATTR_FLOATS),
               .prob_b = ml_list(call, "prob_b", TL_ATTR_FLOATS)};
    c->s.coefficients = ml_list(call, "coefficients", TL_ATTR_FLOATS);
    c->s.vectors = ml_list(call, "support_vectors", TL_ATTR_FLOATS);
    tl_status status = ml_labels(call, "classlabels_ints", "classlabels_strings", &c->labels);
    if (status == TL_OK)
        status = read_kernel(call, &c->s);
    if (status == TL_OK)
        status = ml_find_transform(call, &c->s.transform);
    if (status == TL_OK)
        status = ml_check_table(call);
    if (status != TL_OK)
        return status;
    c->classes = ml_count(&c->labels);
    if (c->classes < 2)
        return tl_fail(call, TL_INVALID_MODEL, "has %lld class labels, but must have two at least",
                       (long long)c->classes);
    if (ml_count(&c->rho) == 0)
        return tl_fail(call, TL_INVALID_MODEL, "has no rho");
    if (!nn_mul(c->classes, c->classes - 1, &c->pairs))
        return tl_fail(call, TL_NO_MEMORY, "has %lld class labels", (long long)c->classes);
    c->pairs /= 2;
    status = read_pairs(call, c);
    if (status != TL_OK || features < 0)
        return status;
    const bool linear = c->vectors == 0;
    const tl_tensor *by_feature = linear ? &c->s.coefficients : &c->s.vectors;
    if (!nn_mul(linear ? c->classes : c->vectors, features, &wanted) || wanted != ml_count(by_feature))
        return tl_fail(call, TL_INVALID_INPUT, "%s has %lld elements, which do not fit %lld features",
                       linear ? "coefficients" : "support_vectors", (long long)ml_count(by_feature),
                       (long long)features);
    return TL_OK;
}

/* What one row needs; all but the scores only with support vectors. The lists of the file are about as long. */
static int64_t row_doubles(const svc *c)
{
    const int64_t scores = nn_max(c->vectors > 0 ? c->pairs : 0, c->classes);
    const int64_t coupling = has_probabilities(c) ? 2 * c->classes * (c->classes + 1) : 0;
    return scores + c->vectors + c->classes + coupling;
}

static tl_status svc_reshape(tl_call *call)
{
    tl_tensor *y = call->outputs[0], *z = call->outputs[1];
    svc c;
    tl_status status = read_svc(call, &c);
    if (status != TL_OK)
        return status;
    y->type = c.labels.type == TL_STRING ? TL_STRING : TL_INT64;
    y->rank = 1;
    z->rank = 2;
    y->dims[0] = z->dims[0] = ml_rows(call->inputs[0]);
    z->dims[1] = score_count(&c);
    call->workspace_size = 0;
    nn_place(call, row_doubles(&c), sizeof(double) * (size_t)call->thread_count);
    return TL_OK;
}

/* Scores of the pairs (0, 1), (0, 2), ... (1, 2), ..., and a vote of each. */
static void score_pairs(const svc *c, const double *kernels, double *scores, double *votes)
{
    const float *coefficients = c->s.coefficients.data, *rho = c->rho.data;
    int64_t pair = 0, begin = 0;
    for (int64_t i = 0; i < c->classes; i++)
        votes[i] = 0;
    for (int64_t i = 0; i < c->classes; i++) {
        const int64_t end = begin + ml_int(&c->per_class, i);
        int64_t other = end;
        for (int64_t j = i + 1; j < c->classes; j++) {
            const int64_t other_end = other + ml_int(&c->per_class, j);
            double sum = (double)rho[pair];
            for (int64_t k = begin; k < end; k++)
                sum += (double)coefficients[(j - 1) * c->vectors + k] * kernels[k];
            for (int64_t k = other; k < other_end; k++)
                sum += (double)coefficients[i * c->vectors + k] * kernels[k];
            votes[sum > 0 ? i : j] += 1;
            scores[pair++] = sum;
            other = other_end;
        }
        begin = end;
    }
}

/* Probabilities p of the classes from those of pairs (Wu, Lin and Weng, "Probability estimates for multi-class
 * classification by pairwise coupling", 2004, algorithm 2): the least p' Q p among those whose sum is 1. Stops where
 * libsvm does, whose results people compare with. */
static void couple(int64_t n, const double *r, double *q, double *qp, double *p)
{
    for (int64_t t = 0; t < n; t++) {
        p[t] = 1 / (double)n;
        q[t * n + t] = 0;
        for (int64_t j = 0; j < n; j++)
            if (j != t) {
                q[t * n + t] += r[j * n + t] * r[j * n + t];
                q[t * n + j] = -r[j * n + t] * r[t * n + j];
            }
    }
    for (int64_t round = nn_max(100, n); round > 0; round--) {
        double pqp = 0, error = 0;
        for (int64_t t = 0; t < n; t++) {
            qp[t] = 0;
            for (int64_t j = 0; j < n; j++)
                qp[t] += q[t * n + j] * p[j];
            pqp += p[t] * qp[t];
        }
        for (int64_t t = 0; t < n; t++)
            error = fmax(error, fabs(qp[t] - pqp));
        if (error < 0.005 / (double)n)
            return;
        for (int64_t t = 0; t < n; t++) {
            const double step = (pqp - qp[t]) / q[t * n + t];
            p[t] += step;
            pqp = (pqp + step * (step * q[t * n + t] + 2 * qp[t])) / ((1 + step) * (1 + step));
            for (int64_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + step * q[t * n + j]) / (1 + step);
                p[j] /= 1 + step;
            }
        }
    }
}

/* The classes' probabilities in place of the pairs' scores. */
static void find_probabilities(const svc *c, double *scores, double *room)
{
    const int64_t n = c->classes;
    const float *a = c->prob_a.data, *b = c->prob_b.data;
    double *r = room, *q = r + n * n, *qp = q + n * n, *p = qp + n;
    int64_t pair = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++, pair++) {
            const double x = op_logistic(-(scores[pair] * (double)a[pair] + (double)b[pair]));
            r[i * n + j] = fmin(fmax(x, 1e-7), 1 - 1e-7);
            r[j * n + i] = 1 - r[i * n + j];
        }
    couple(n, r, q, qp, p);
    memcpy(scores, p, (size_t)n * sizeof *p);
}

static void svc_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const svc *c = context;
    const tl_call *call = c->s.call;
    const tl_tensor *x = call->inputs[0];
    const int64_t n = ml_features(x), columns = score_count(c);
    const float *coefficients = c->s.coefficients.data, *vectors = c->s.vectors.data;
    double *kernels = (double *)call->workspace + thread * row_doubles(c), *votes = kernels + c->vectors;
    double *scores = votes + c->classes;
    float *z = call->outputs[1]->data;
    for (int64_t row = begin; row < end; row++) {
        if (c->vectors == 0) {
            for (int64_t k = 0; k < c->classes; k++)
                scores[k] = (double)*(const float *)c->rho.data +
                            kernel_of(&c->s, SVM_LINEAR, x, row * n, coefficients + k * n, n);
        } else {
            for (int64_t k = 0; k < c->vectors; k++)
                kernels[k] = kernel_of(&c->s, c->s.kernel, x, row * n, vectors + k * n, n);
            score_pairs(c, kernels, scores, votes);
        }
        ml_put_label(call->outputs[0], row, &c->labels, ml_greatest(c->vectors == 0 ? scores : votes, c->classes));
        if (has_probabilities(c)) {
            find_probabilities(c, scores, scores + nn_max(c->pairs, c->classes));
        } else if (c->vectors > 0 && c->classes == 2) {
            scores[1] = scores[0];
            scores[0] = -scores[1];
        }
        ml_apply(c->s.transform, scores, columns);
        for (int64_t k = 0; k < columns; k++)
            z[row * columns + k] = (float)scores[k];
    }
}

static tl_status svc_run(tl_call *call)
{
    svc c;
    tl_status status = read_svc(call, &c);
    if (status == TL_OK)
        for_rows(call, &c.s, svc_task, &c);
    return status;
}

static const tl_param svc_output[] = {OP_IN("Y", ML_LABELS, 0), OP_IN("Z", TL_T(TL_FLOAT), 0)};
static const tl_attribute_spec svc_attribute[] = {OP_INTS("classlabels_ints"),
                                                  ML_STRINGS("classlabels_strings"),
                                                  ML_FLOATS("coefficients"),
                                                  ML_FLOATS("kernel_params"),
                                                  OP_STRING("kernel_type", "LINEAR"),
                                                  OP_STRING("post_transform", "NONE"),
                                                  ML_FLOATS("prob_a"),
                                                  ML_FLOATS("prob_b"),
                                                  ML_FLOATS("rho"),
                                                  ML_FLOATS("support_vectors"),
                                                  OP_INTS("vectors_per_class")};

OP_DESCRIPTOR(SVMClassifier, 1) = {ML_HEAD(SVMClassifier, 1),
                                   OP_PARAMS(input, svm_input),
                                   OP_PARAMS(output, svc_output),
                                   OP_PARAMS(attribute, svc_attribute),
                                   .flags = TL_OP_LONG,
                                   .reshape = svc_reshape,
                                   .run = svc_run};
