/* BatchNormalization, InstanceNormalization, GroupNormalization: (N, C, ...) with a scale and a shift by channel. */
#include "onnx/convert.h"
#include "onnx/norm.h"

/* ---- BatchNormalization. Channels are axis 1; `spatial` 0 (before version 9) makes every feature a channel. */

enum { BATCH_X, BATCH_SCALE, BATCH_SHIFT, BATCH_MEAN, BATCH_VARIANCE };

static bool batch_spatial(const tl_call *call)
{
    return call->host->node_version(call->node) >= 9 || op_int(call, "spatial") != 0;
}

static bool batch_training(const tl_call *call)
{
    return call->host->node_version(call->node) >= 14 && op_int(call, "training_mode") != 0;
}

/* Outputs beyond the first exist in training only; before version 14 asking for them meant training. */
static tl_status batch_check_mode(const tl_call *call)
{
    int32_t version = call->host->node_version(call->node);
    if (version < 7 && op_int(call, "is_test") == 0)
        return tl_fail(call, TL_UNSUPPORTED, "is_test is 0: training is not supported before version 14");
    for (size_t k = 1; k < call->output_count; k++)
        if (call->outputs[k] && !batch_training(call))
            return tl_fail(call, version < 14 ? TL_UNSUPPORTED : TL_INVALID_MODEL,
                           "output %zu exists only in training, which this node does not ask for", k);
    return TL_OK;
}

static tl_status batch_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[BATCH_X];
    tl_status status = batch_check_mode(call);
    op_copy_shape(call->outputs[0], x);
    if (status == TL_OK)
        status = nn_check_rank(call, BATCH_X, 1, TL_MAX_RANK);
    bool spatial = batch_spatial(call);
    tl_dim channels = x->rank == TL_RANK_UNKNOWN || !spatial ? TL_DIM_UNKNOWN : x->rank == 1 ? 1 : x->dims[1];
    for (size_t k = BATCH_SCALE; k <= BATCH_VARIANCE && status == TL_OK && spatial; k++) {
        status = nn_check_rank(call, k, 1, 1);
        if (status == TL_OK)
            status = nn_check_dim(call, k, 0, channels, "one for each channel");
    }
    for (size_t k = BATCH_SCALE; k <= BATCH_VARIANCE && status == TL_OK && !spatial && call->plan; k++)
        if (nn_product(call->inputs[k], 0, call->inputs[k]->rank) != nn_product(x, 1, x->rank))
            status = tl_fail(call, TL_INVALID_INPUT, "input %zu must have one element for each feature of X", k);
    for (size_t k = 1; k < 3 && status == TL_OK; k++)
        if (op_output(call, k))
            op_copy_shape(call->outputs[k], call->inputs[k + 2]);
    call->workspace_size = 0;
    if (status == TL_OK)
        nn_widen_place(call, 0);
    return status;
}

typedef struct batch_job {
    tl_call *call;
    int64_t batch, channels, area;
    double epsilon, momentum;
    bool training;
} batch_job;

/* Mean and variance of a channel over the batch, and the running ones that come of them. */
static void batch_statistics(const batch_job *job, int64_t c, double *mean, double *variance)
{
    const tl_tensor *x = job->call->inputs[BATCH_X];
    *mean = *variance = 0;
    for (int64_t i = 0; i < job->batch; i++) {
        double part_mean, part_variance;
        norm_statistics(x, (i * job->channels + c) * job->area, job->area, true, &part_mean, &part_variance);
        norm_join(1 / (double)(i + 1), part_mean, part_variance, mean, variance);
    }
    const double now[2] = {*mean, *variance};
    for (size_t k = 0; k < 2; k++) {
        const tl_tensor *running = op_output(job->call, k + 1);
        if (running)
            nn_store_real(running, c,
                          op_load_number(job->call->inputs[BATCH_MEAN + k], c) * job->momentum +
                              now[k] * (1 - job->momentum));
    }
}

static double batch_factor(const batch_job *job, int64_t c, double variance)
{
    return op_load_number(job->call->inputs[BATCH_SCALE], c) / sqrt(variance + job->epsilon);
}

/* Channels of one element in each example: rows of channels, FEATURES of them at a time. */
static void batch_features(void *context, int64_t begin, int64_t end, int32_t thread)
{
    enum { FEATURES = 128 };
    const batch_job *job = context;
    const tl_tensor *const *in = job->call->inputs;
    float mean[FEATURES], factor[FEATURES], shift[FEATURES];
    (void)thread;
    for (int64_t c = 0; c < job->channels; c += FEATURES) {
        const int64_t n = nn_min(job->channels - c, FEATURES);
        for (int64_t k = 0; k < n; k++) {
            mean[k] = (float)op_load_number(in[BATCH_MEAN], c + k);
            factor[k] = (float)batch_factor(job, c + k, op_load_number(in[BATCH_VARIANCE], c + k));
            shift[k] = (float)op_load_number(in[BATCH_SHIFT], c + k);
        }
        for (int64_t i = begin; i < end; i++) {
            const float *x = (const float *)in[BATCH_X]->data + i * job->channels + c;
            float *y = (float *)job->call->outputs[0]->data + i * job->channels + c;
            OP_INDEPENDENT for (int64_t k = 0; k < n; k++) y[k] = (x[k] - mean[k]) * factor[k] + shift[k];
        }
    }
}

static void batch_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const batch_job *job = context;
    const tl_tensor *const *in = job->call->inputs;
    (void)thread;
    for (int64_t c = begin; c < end; c++) {
        double mean = op_load_number(in[BATCH_MEAN], c), variance = op_load_number(in[BATCH_VARIANCE], c);
        if (job->training)
            batch_statistics(job, c, &mean, &variance);
        const double factor = batch_factor(job, c, variance);
        for (int64_t i = 0; i < job->batch; i++)
            norm_affine(in[BATCH_X], job->call->outputs[0], (i * job->channels + c) * job->area, job->area, mean,
                        factor, op_load_number(in[BATCH_SHIFT], c));
    }
}

static tl_status batch_real(tl_call *call)
{
    const tl_tensor *x = call->inputs[BATCH_X];
    batch_job job = {.call = call,
                     .batch = x->dims[0],
                     .channels = x->rank > 1 ? x->dims[1] : 1,
                     .area = x->rank > 2 ? op_product(x, 2, x->rank) : 1,
                     .epsilon = op_float(call, "epsilon"),
                     .momentum = op_float(call, "momentum"),
                     .training = batch_training(call)};
    if (!batch_spatial(call)) {
        job.channels *= job.area;
        job.area = 1;
    }
    if (job.area == 1 && !job.training && x->type == TL_FLOAT)
        call->host->parallel_for(call, batch_features, &job, job.batch, nn_grain(job.channels, 1 << 15));
    else
        call->host->parallel_for(call, batch_task, &job, job.channels, nn_grain(job.batch * job.area, 1 << 13));
    return TL_OK;
}

static tl_status batch_run(tl_call *call)
{
    return nn_widen_run(call, 0, batch_real);
}

/* ---- Groups of channels, normalized by themselves; instances are groups of one channel */

typedef struct group_job {
    const tl_call *call;
    int64_t groups, channels, area; /* channels of one group */
    bool by_channel;                /* scale and shift have one element for each channel, else for each group */
    double epsilon;
} group_job;

static void group_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const group_job *job = context;
    const tl_tensor *const *in = job->call->inputs;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        double mean, variance;
        int64_t group = i % job->groups, n = job->channels * job->area;
        norm_statistics(in[0], i * n, n, true, &mean, &variance);
        double inverse = 1 / sqrt(variance + job->epsilon);
        for (int64_t c = 0; c < job->channels; c++) {
            int64_t k = job->by_channel ? group * job->channels + c : group;
            norm_affine(in[0], job->call->outputs[0], i * n + c * job->area, job->area, mean,
                        inverse * op_load_number(in[1], k), op_load_number(in[2], k));
        }
    }
}

static tl_status group_check(tl_call *call, tl_dim parameters, const char *why)
{
    op_copy_shape(call->outputs[0], call->inputs[0]);
    tl_status status = nn_check_rank(call, 0, 2, TL_MAX_RANK);
    for (size_t k = 1; k < 3 && status == TL_OK; k++) {
        status = nn_check_rank(call, k, 1, 1);
        if (status == TL_OK)
            status = nn_check_dim(call, k, 0, parameters, why);
    }
    call->workspace_size = 0;
    if (status == TL_OK)
        nn_widen_place(call, 0);
    return status;
}

static void group_start(tl_call *call, int64_t groups, bool by_channel)
{
    const tl_tensor *x = call->inputs[0];
    group_job job = {.call = call,
                     .groups = groups,
                     .channels = x->dims[1] / nn_max(groups, 1),
                     .area = op_product(x, 2, x->rank),
                     .by_channel = by_channel,
                     .epsilon = op_float(call, "epsilon")};
    if (op_elements(x) > 0)
        call->host->parallel_for(call, group_task, &job, x->dims[0] * groups,
                                 nn_grain(job.channels * job.area, 1 << 13));
}

static tl_status instance_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    return group_check(call, x->rank >= 2 ? x->dims[1] : TL_DIM_UNKNOWN, "one for each channel");
}

static tl_status instance_real(tl_call *call)
{
    group_start(call, call->inputs[0]->dims[1], true);
    return TL_OK;
}

static tl_status instance_run(tl_call *call)
{
    return nn_widen_run(call, 0, instance_real);
}

static bool group_by_channel(const tl_call *call)
{
    return call->host->node_version(call->node) >= 21;
}

static tl_status group_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    int64_t groups = op_int(call, "num_groups");
    tl_dim channels = x->rank >= 2 ? x->dims[1] : TL_DIM_UNKNOWN;
    if (groups < 1)
        return tl_fail(call, TL_INVALID_MODEL, "num_groups is %lld, but must be at least 1", (long long)groups);
    if (channels >= 0 && channels % groups != 0)
        return tl_fail(call, TL_INVALID_INPUT, "%lld channels do not divide into %lld groups", (long long)channels,
                       (long long)groups);
    return group_by_channel(call) ? group_check(call, channels, "one for each channel")
                                  : group_check(call, groups, "one for each group");
}

static tl_status group_real(tl_call *call)
{
    group_start(call, op_int(call, "num_groups"), group_by_channel(call));
    return TL_OK;
}

static tl_status group_run(tl_call *call)
{
    return nn_widen_run(call, 0, group_real);
}

/* ---- Schemas */

static const tl_param batch_input_1[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("scale", TL_T_FLOATS, 'T'),
                                         OP_IN("B", TL_T_FLOATS, 'T'), OP_IN("mean", TL_T_FLOATS, 'T'),
                                         OP_IN("var", TL_T_FLOATS, 'T')};
static const tl_param batch_output_1[] = {OP_IN("Y", TL_T_FLOATS, 'T'), OP_OPT("mean", TL_T_FLOATS, 'T'),
                                          OP_OPT("var", TL_T_FLOATS, 'T'), OP_OPT("saved_mean", TL_T_FLOATS, 'T'),
                                          OP_OPT("saved_var", TL_T_FLOATS, 'T')};
/* Version 15's types; 14 has one for X, scale and B, which is a case of it. */
static const tl_param batch_input_14[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("scale", TL_T_FLOATS, 'S'),
                                          OP_IN("B", TL_T_FLOATS, 'S'), OP_IN("input_mean", TL_T_FLOATS, 'U'),
                                          OP_IN("input_var", TL_T_FLOATS, 'U')};
static const tl_param batch_output_14[] = {OP_IN("Y", TL_T_FLOATS, 'T'), OP_OPT("running_mean", TL_T_FLOATS, 'U'),
                                           OP_OPT("running_var", TL_T_FLOATS, 'U')};
static const tl_attribute_spec batch_attribute_6[] = {OP_FLOAT("epsilon", 1e-5F), OP_FLOAT("momentum", 0.9F),
                                                      OP_INT("is_test", 0), OP_INT("spatial", 1)};
static const tl_attribute_spec batch_attribute_7[] = {OP_FLOAT("epsilon", 1e-5F), OP_FLOAT("momentum", 0.9F),
                                                      OP_INT("spatial", 1)};
static const tl_attribute_spec batch_attribute_9[] = {OP_FLOAT("epsilon", 1e-5F), OP_FLOAT("momentum", 0.9F)};
static const tl_attribute_spec batch_attribute_14[] = {OP_FLOAT("epsilon", 1e-5F), OP_FLOAT("momentum", 0.9F),
                                                       OP_INT("training_mode", 0)};
static const tl_param group_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("scale", TL_T_FLOATS, 'T'),
                                       OP_IN("bias", TL_T_FLOATS, 'T')};
static const tl_param group_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec instance_attribute[] = {OP_FLOAT("epsilon", 1e-5F)};
static const tl_attribute_spec group_attribute_18[] = {OP_FLOAT("epsilon", 1e-5F), OP_REQUIRED_INT("num_groups")};
static const tl_attribute_spec group_attribute_21[] = {OP_FLOAT("epsilon", 1e-5F), OP_REQUIRED_INT("num_groups"),
                                                       OP_INT("stash_type", 1)};

static bool batch_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    (void)axis, (void)reach;
    return k == 0 && !batch_training(call);
}

#define BATCH(since, table)                                                                         \
    {                                                                                               \
        OP_HEAD(BatchNormalization, since), OP_PARAMS(input, batch_input_##table),                  \
            OP_PARAMS(output, batch_output_##table), OP_PARAMS(attribute, batch_attribute_##since), \
            .reshape = batch_reshape, .run = batch_run, .reach = batch_reach                        \
    }
OP_DESCRIPTOR(BatchNormalization, 6) = BATCH(6, 1);
OP_DESCRIPTOR(BatchNormalization, 7) = BATCH(7, 1);
OP_DESCRIPTOR(BatchNormalization, 9) = BATCH(9, 1);
OP_DESCRIPTOR(BatchNormalization, 14) = BATCH(14, 14);

OP_DESCRIPTOR(InstanceNormalization, 6) = {OP_HEAD(InstanceNormalization, 6), OP_PARAMS(input, group_input),
                                           OP_PARAMS(output, group_output),   OP_PARAMS(attribute, instance_attribute),
                                           .reshape = instance_reshape,       .run = instance_run};
OP_DESCRIPTOR(GroupNormalization, 18) = {OP_HEAD(GroupNormalization, 18), OP_PARAMS(input, group_input),
                                         OP_PARAMS(output, group_output), OP_PARAMS(attribute, group_attribute_18),
                                         .reshape = group_reshape,        .run = group_run};
OP_DESCRIPTOR(GroupNormalization, 21) = {OP_HEAD(GroupNormalization, 21), OP_PARAMS(input, group_input),
                                         OP_PARAMS(output, group_output), OP_PARAMS(attribute, group_attribute_21),
                                         .reshape = group_reshape,        .run = group_run};
