/* LayerNormalization and RMSNormalization: over the axes from `axis` on, then scaled and shifted. Everything is
 * computed in float (double for double) and rounded once, which is at least as exact as any stash_type asks for. */
#include "onnx/norm.h"

typedef struct layer_plan {
    int32_t axis, rank;
    int64_t rows, width; /* elements before and from the axis on */
    int64_t dims[TL_MAX_RANK];
    /* How scale and shift are read along X. Beside `run` elements, of the axes from `inner` on, those of both lie one
     * after the other, too, or are the same one. */
    int64_t strides[2][TL_MAX_RANK];
    bool varies[2]; /* from row to row */
    int32_t inner;
    int64_t run;
    bool level; /* the same one */
} layer_plan;

static tl_status check_parameter(const tl_call *call, size_t k)
{
    const tl_tensor *x = call->inputs[0], *in = op_input(call, k);
    if (!in || in->rank == TL_RANK_UNKNOWN || x->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    for (int32_t i = 0; i < in->rank && in->rank <= x->rank; i++) {
        tl_dim have = in->dims[i], want = x->dims[x->rank - in->rank + i];
        if (have >= 0 && want >= 0 && have != 1 && have != want)
            return tl_fail(call, TL_INVALID_INPUT,
                           "dimension %d of input %zu is %lld, which does not broadcast to %lld", i, k, (long long)have,
                           (long long)want);
    }
    return nn_check_rank(call, k, 0, x->rank);
}

static void layer_make_plan(const tl_call *call, layer_plan *plan, int32_t axis)
{
    const tl_tensor *x = call->inputs[0];
    plan->axis = axis;
    plan->rank = x->rank;
    plan->rows = op_product(x, 0, axis);
    plan->width = op_product(x, axis, x->rank);
    memcpy(plan->dims, x->dims, sizeof plan->dims);
    for (size_t k = 0; k < 2; k++)
        if (op_input(call, k + 1))
            nn_broadcast_strides(op_input(call, k + 1), x->rank, plan->strides[k]);
    for (int32_t i = 0; i < 2 * axis; i++)
        plan->varies[i % 2] |= plan->strides[i % 2][i / 2] != 0;
    const bool shifted = op_input(call, 2) != NULL;
    plan->run = 1;
    for (plan->inner = x->rank; plan->inner > axis; plan->run *= x->dims[plan->inner]) {
        const int32_t i = plan->inner - 1;
        if (x->dims[i] != 1 && (plan->strides[0][i] != plan->run || (shifted && plan->strides[1][i] != plan->run)))
            break;
        plan->inner = i;
    }
    int32_t i = x->rank;
    int64_t level = 1;
    while (i > axis && plan->strides[0][i - 1] == 0 && plan->strides[1][i - 1] == 0)
        level *= x->dims[--i];
    plan->level = level > plan->run;
    if (plan->level) {
        plan->inner = i;
        plan->run = level;
    }
}

/* Where row `row` begins in scale (0) or shift (1). */
static int64_t row_offset(const layer_plan *plan, int which, int64_t row)
{
    int64_t at = 0;
    for (int32_t i = plan->axis - 1; i >= 0 && plan->varies[which]; i--) {
        at += row % plan->dims[i] * plan->strides[which][i];
        row /= plan->dims[i];
    }
    return at;
}

static tl_status layer_shape(tl_call *call, bool centred)
{
    const tl_tensor *x = call->inputs[0];
    int32_t axis;
    op_copy_shape(call->outputs[0], x);
    if (x->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), x->rank, &axis);
    for (size_t k = 1; k <= (centred ? 2 : 1) && status == TL_OK; k++)
        status = check_parameter(call, k);
    if (status != TL_OK)
        return status;
    for (size_t k = 1; k < call->output_count; k++)
        if (call->outputs[k]) {
            op_copy_shape(call->outputs[k], x);
            for (int32_t i = axis; i < x->rank; i++)
                call->outputs[k]->dims[i] = 1;
        }
    if (call->plan)
        layer_make_plan(call, call->plan, axis);
    call->workspace_size = 0;
    nn_widen_place(call, 0);
    return TL_OK;
}

static tl_status layer_reshape(tl_call *call)
{
    int64_t stash = op_int(call, "stash_type");
    if (stash != TL_FLOAT && stash != TL_BFLOAT16)
        return tl_fail(call, TL_INVALID_MODEL, "stash_type is %lld, but must be 1 (float) or 16 (bfloat16)",
                       (long long)stash);
    for (size_t k = 1; k < call->output_count; k++)
        if (call->outputs[k])
            call->outputs[k]->type = (tl_type)stash;
    return layer_shape(call, true);
}

typedef struct layer_job {
    const tl_call *call;
    const layer_plan *plan;
    double epsilon;
    bool centred;
} layer_job;

/* Elements from `at` on, with scale and shift (or NULL) beside them, one after the other. */
static void layer_run_f64(const tl_tensor *x, const tl_tensor *y, int64_t at, int64_t n, const double *scale,
                          const double *shift, double mean, double inverse)
{
    const double *from = (const double *)x->data + at;
    double *to = (double *)y->data + at;
    for (int64_t i = 0; i < n; i++)
        to[i] = (from[i] - mean) * inverse * scale[i] + (shift ? shift[i] : 0);
}

static inline void layer_run_f32(const tl_tensor *x, const tl_tensor *y, int64_t at, int64_t n, const float *scale,
                                 const float *shift, double mean, double inverse)
{
    tlk_get()->normalize((const float *)x->data + at, (float *)y->data + at, n, (float)mean, (float)inverse, scale,
                         shift, 0);
}

/* The same for any mixture of types. */
static void layer_run_any(const tl_call *call, int64_t at, int64_t n, const int64_t *beside, double mean,
                          double inverse)
{
    const tl_tensor *x = call->inputs[0], *shift = op_input(call, 2);
    for (int64_t i = 0; i < n; i++)
        nn_store_real(call->outputs[0], at + i,
                      (op_load_number(x, at + i) - mean) * inverse * op_load_number(call->inputs[1], beside[0] + i) +
                          (shift ? op_load_number(shift, beside[1] + i) : 0));
}

static void layer_row(const layer_job *job, int64_t row, double mean, double inverse)
{
    const layer_plan *plan = job->plan;
    const tl_tensor *x = job->call->inputs[0], *y = job->call->outputs[0];
    const tl_tensor *scale = job->call->inputs[1], *shift = op_input(job->call, 2);
    const bool same = scale->type == x->type;
    int64_t index[TL_MAX_RANK] = {0};
    int64_t beside[2] = {row_offset(plan, 0, row), row_offset(plan, 1, row)};
    for (int64_t at = row * plan->width, end = at + plan->width; at < end; at += plan->run) {
        if (plan->level)
            norm_affine(x, y, at, plan->run, mean, inverse * op_load_number(scale, beside[0]),
                        shift ? op_load_number(shift, beside[1]) : 0);
        else if (same && x->type == TL_FLOAT && plan->run > 1)
            layer_run_f32(x, y, at, plan->run, (const float *)scale->data + beside[0],
                          shift ? (const float *)shift->data + beside[1] : NULL, mean, inverse);
        else if (same && x->type == TL_DOUBLE)
            layer_run_f64(x, y, at, plan->run, (const double *)scale->data + beside[0],
                          shift ? (const double *)shift->data + beside[1] : NULL, mean, inverse);
        else
            layer_run_any(job->call, at, plan->run, beside, mean, inverse);
        for (int32_t d = plan->inner - 1; d >= plan->axis; d--) {
            beside[0] += plan->strides[0][d];
            beside[1] += plan->strides[1][d];
            if (++index[d] < plan->dims[d])
                break;
            beside[0] -= plan->strides[0][d] * index[d];
            beside[1] -= plan->strides[1][d] * index[d];
            index[d] = 0;
        }
    }
}

static void layer_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const layer_job *job = context;
    const layer_plan *plan = job->plan;
    const tl_tensor *x = job->call->inputs[0], *scale = job->call->inputs[1], *shift = op_input(job->call, 2);
    const tl_tensor *means = op_output(job->call, 1), *inverses = op_output(job->call, 2);
    const bool plain = plan->run == plan->width && !plan->level && x->type == TL_FLOAT && scale->type == TL_FLOAT;
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        double mean, variance;
        norm_statistics(x, row * plan->width, plan->width, job->centred, &mean, &variance);
        const double inverse = 1 / sqrt(variance + job->epsilon);
        if (plain)
            layer_run_f32(x, job->call->outputs[0], row * plan->width, plan->width,
                          (const float *)scale->data + row_offset(plan, 0, row),
                          shift ? (const float *)shift->data + row_offset(plan, 1, row) : NULL, mean, inverse);
        else
            layer_row(job, row, mean, inverse);
        if (means)
            nn_store_real(means, row, mean);
        if (inverses)
            nn_store_real(inverses, row, inverse);
    }
}

static tl_status layer_start(tl_call *call, bool centred)
{
    const layer_plan *plan = call->plan;
    layer_job job = {call, plan, op_float(call, "epsilon"), centred};
    call->host->parallel_for(call, layer_task, &job, plan->rows, nn_grain(plan->width, 1 << 13));
    return TL_OK;
}

static tl_status layer_real(tl_call *call)
{
    return layer_start(call, true);
}

static tl_status layer_run(tl_call *call)
{
    return nn_widen_run(call, 0, layer_real);
}

static tl_status rms_reshape(tl_call *call)
{
    return layer_shape(call, false);
}

static tl_status rms_real(tl_call *call)
{
    return layer_start(call, false);
}

static tl_status rms_run(tl_call *call)
{
    return nn_widen_run(call, 0, rms_real);
}

/* ---- Schemas */

#define STASH_TYPES (TL_T(TL_FLOAT) | TL_T(TL_BFLOAT16))
static const tl_param layer_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("Scale", TL_T_FLOATS, 'T'),
                                       OP_OPT("B", TL_T_FLOATS, 'T')};
static const tl_param layer_output[] = {OP_IN("Y", TL_T_FLOATS, 'T'), OP_OPT("Mean", STASH_TYPES, 'U'),
                                        OP_OPT("InvStdDev", STASH_TYPES, 'U')};
static const tl_param rms_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("scale", TL_T_FLOATS, 'V')};
static const tl_param rms_output[] = {OP_IN("Y", TL_T_FLOATS, 'V')};
static bool layer_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    (void)reach;
    return k == 0 && axis < ((const layer_plan *)call->plan)->axis;
}

static const tl_attribute_spec layer_attribute[] = {OP_INT("axis", -1), OP_FLOAT("epsilon", 1e-5F),
                                                    OP_INT("stash_type", 1)};

#define LAYER_NORMALIZATION(since)                                                     \
    OP_DESCRIPTOR(LayerNormalization, since) = {OP_HEAD(LayerNormalization, since),    \
                                                OP_PARAMS(input, layer_input),         \
                                                OP_PARAMS(output, layer_output),       \
                                                OP_PARAMS(attribute, layer_attribute), \
                                                .plan_size = sizeof(layer_plan),       \
                                                .reshape = layer_reshape,              \
                                                .run = layer_run,                      \
                                                .reach = layer_reach}
LAYER_NORMALIZATION(1); /* not the standard's: ONNX Runtime writes it into models of older versions that it optimizes */
LAYER_NORMALIZATION(17);
OP_DESCRIPTOR(RMSNormalization, 23) = {OP_HEAD(RMSNormalization, 23),
                                       OP_PARAMS(input, rms_input),
                                       OP_PARAMS(output, rms_output),
                                       OP_PARAMS(attribute, layer_attribute),
                                       .plan_size = sizeof(layer_plan),
                                       .reshape = rms_reshape,
                                       .run = rms_run,
                                       .reach = layer_reach};
