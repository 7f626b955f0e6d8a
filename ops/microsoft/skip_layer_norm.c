/* SkipLayerNormalization and SkipSimplifiedLayerNormalization of com.microsoft: the normalized sum of two tensors and a
 * bias; the simplified one without a mean. Computed in float (double for double) and rounded once. */
#include "microsoft/microsoft.h"
#include "onnx/norm.h"

/* Where the two operators have their parameters; 0: not at all. */
typedef struct skip_layout {
    size_t beta, bias;
    bool centred;
} skip_layout;
static const skip_layout plain = {.beta = 3, .bias = 4, .centred = true}, simplified = {.bias = 3};

enum { IN_X, IN_SKIP, IN_GAMMA };
enum { OUT_Y, OUT_MEAN, OUT_INVERSE, OUT_SUM };

/* Skip is X's shape, or repeated along the first dimension of X. */
static tl_status check_skip(const tl_call *call)
{
    const tl_tensor *x = call->inputs[IN_X], *skip = call->inputs[IN_SKIP];
    if (skip->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    tl_status status = nn_check_rank(call, IN_SKIP, x->rank == 3 ? 2 : x->rank, x->rank);
    for (int32_t i = 0; i < skip->rank && status == TL_OK; i++) {
        const int32_t at = i + x->rank - skip->rank;
        if (at > 0 || skip->dims[i] != 1 || x->rank != 3)
            status = nn_check_dim(call, IN_SKIP, i, x->dims[at], "as X has it");
    }
    return status;
}

static tl_status skip_reshape(tl_call *call, const skip_layout *layout)
{
    const tl_tensor *x = call->inputs[IN_X];
    const size_t rows[] = {IN_GAMMA, layout->bias, layout->beta};
    tl_status status = nn_check_rank(call, IN_X, 2, 3);
    if (status != TL_OK || x->rank == TL_RANK_UNKNOWN)
        return status != TL_OK ? status : op_unknown_shape(call);
    status = check_skip(call);
    for (size_t k = 0; k < 3 && rows[k] && status == TL_OK; k++) {
        status = nn_check_rank(call, rows[k], 1, 1);
        if (status == TL_OK)
            status = nn_check_dim(call, rows[k], 0, x->dims[x->rank - 1], "the last dimension of X");
    }
    for (size_t k = 0; k < call->output_count; k++)
        if (call->outputs[k]) {
            op_copy_shape(call->outputs[k], x);
            if (k == OUT_MEAN || k == OUT_INVERSE)
                call->outputs[k]->dims[x->rank - 1] = 1;
        }
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    return status;
}

typedef struct skip_job {
    const tl_call *call;
    const skip_layout *layout;
    int64_t width, skip_rows;
    double epsilon;
} skip_job;

#define SKIP_ROW(name, type)                                                                                    \
    static void name##_sum(const type *x, const type *skip, const type *bias, type *to, int64_t n)              \
    {                                                                                                           \
        for (int64_t i = 0; i < n; i++)                                                                         \
            to[i] = x[i] + skip[i];                                                                             \
        for (int64_t i = 0; bias && i < n; i++)                                                                 \
            to[i] += bias[i];                                                                                   \
    }                                                                                                           \
    static void name##_scale(const type *x, const type *gamma, const type *beta, type *y, int64_t n, type mean, \
                             type inverse)                                                                      \
    {                                                                                                           \
        for (int64_t i = 0; i < n; i++)                                                                         \
            y[i] = (x[i] - mean) * inverse * gamma[i];                                                          \
        for (int64_t i = 0; beta && i < n; i++)                                                                 \
            y[i] += beta[i];                                                                                    \
    }
SKIP_ROW(row_f32, float)
SKIP_ROW(row_f64, double)

static const void *row_of(const tl_tensor *tensor, int64_t row, int64_t width)
{
    return tensor ? (const char *)tensor->data + (size_t)(row * width) * nn_type_size(tensor->type) : NULL;
}

static void skip_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const skip_job *job = context;
    const tl_call *call = job->call;
    const skip_layout *l = job->layout;
    const int64_t n = job->width;
    const tl_tensor *y = call->outputs[OUT_Y], *sum = op_output(call, OUT_SUM) ? call->outputs[OUT_SUM] : y;
    const void *gamma = call->inputs[IN_GAMMA]->data, *bias = row_of(op_input(call, l->bias), 0, n);
    const void *beta = l->beta ? row_of(op_input(call, l->beta), 0, n) : NULL;
    const bool is_double = y->type == TL_DOUBLE;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const void *x = row_of(call->inputs[IN_X], row, n),
                   *skip = row_of(call->inputs[IN_SKIP], row % job->skip_rows, n);
        void *to = (void *)(uintptr_t)row_of(sum, row, n), *out = (void *)(uintptr_t)row_of(y, row, n);
        double mean, variance;
        if (is_double)
            row_f64_sum(x, skip, bias, to, n);
        else
            row_f32_sum(x, skip, bias, to, n);
        norm_statistics(sum, row * n, n, l->centred, &mean, &variance);
        const double inverse = 1 / sqrt(variance + job->epsilon);
        if (is_double)
            row_f64_scale(to, gamma, beta, out, n, mean, inverse);
        else
            row_f32_scale(to, gamma, beta, out, n, (float)mean, (float)inverse);
        if (op_output(call, OUT_MEAN))
            nn_store_real(call->outputs[OUT_MEAN], row, mean);
        if (op_output(call, OUT_INVERSE))
            nn_store_real(call->outputs[OUT_INVERSE], row, inverse);
    }
}

static tl_status skip_start(tl_call *call, const skip_layout *layout)
{
    const tl_tensor *x = call->inputs[IN_X], *skip = call->inputs[IN_SKIP];
    skip_job job = {.call = call,
                    .layout = layout,
                    .width = x->dims[x->rank - 1],
                    .skip_rows = op_product(skip, 0, skip->rank - 1),
                    .epsilon = op_float(call, "epsilon")};
    if (op_elements(x) > 0)
        call->host->parallel_for(call, skip_task, &job, op_product(x, 0, x->rank - 1), nn_grain(job.width, 1 << 13));
    return TL_OK;
}

#define SKIP(name, layout)                         \
    static tl_status name##_reshape(tl_call *call) \
    {                                              \
        return skip_reshape(call, &(layout));      \
    }                                              \
    static tl_status name##_real(tl_call *call)    \
    {                                              \
        return skip_start(call, &(layout));        \
    }                                              \
    static tl_status name##_run(tl_call *call)     \
    {                                              \
        return nn_widen_run(call, 0, name##_real); \
    }
SKIP(plain, plain)
SKIP(simplified, simplified)

#define FLOATS MICROSOFT_FLOATS
static const tl_param plain_input[] = {OP_IN("input", FLOATS, 'T'), OP_IN("skip", FLOATS, 'T'),
                                       OP_IN("gamma", FLOATS, 'T'), OP_OPT("beta", FLOATS, 'T'),
                                       OP_OPT("bias", FLOATS, 'T')};
static const tl_param simplified_input[] = {OP_IN("input", FLOATS, 'T'), OP_IN("skip", FLOATS, 'T'),
                                            OP_IN("gamma", FLOATS, 'T'), OP_OPT("bias", FLOATS, 'T')};
static const tl_param skip_output[] = {OP_IN("output", FLOATS, 'T'), OP_OPT("mean", TL_T(TL_FLOAT), 0),
                                       OP_OPT("inv_std_var", TL_T(TL_FLOAT), 0),
                                       OP_OPT("input_skip_bias_sum", FLOATS, 'T')};
static const tl_attribute_spec skip_attribute[] = {OP_FLOAT("epsilon", 1e-12F)};

#define SKIP_NORMALIZATION(op, steps)                                                             \
    OP_DESCRIPTOR(op, 1) = {MICROSOFT_HEAD(op, 1),          OP_PARAMS(input, steps##_input),      \
                            OP_PARAMS(output, skip_output), OP_PARAMS(attribute, skip_attribute), \
                            .reshape = steps##_reshape,     .run = steps##_run}
SKIP_NORMALIZATION(SkipLayerNormalization, plain);
SKIP_NORMALIZATION(SkipSimplifiedLayerNormalization, simplified);
