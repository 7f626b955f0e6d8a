#include "onnx/conv_batch.h"

#define FEW     8                  /* outputs of a sample: half a vector of AVX-512 */
#define COLUMNS ((int64_t)1 << 18) /* elements, at most: they are to stay in the second-level cache */

static tlk_conv_data batch_data(const conv_geometry *g, int64_t samples)
{
    return (tlk_conv_data){
        .size = {1, samples * g->out_area}, .out_size = {1, samples * g->out_area}, .by_vectors = true};
}

void conv_batch_plan(tl_call *call, conv_batch *batch, const conv_geometry *g, const tlk_conv_kernel *kernel,
                     const tlk_conv *conv)
{
    const int64_t depth = g->channels * g->taps; /* fits: the weights do */
    *batch = (conv_batch){0};
    if (g->group != 1 || g->out_area > FEW || g->filters <= 2 || depth > COLUMNS / 2 / g->out_area)
        return;
    const int64_t samples = nn_min(g->batch, COLUMNS / (depth * g->out_area));
    if (samples < 2)
        return;
    batch->conv = *conv;
    batch->conv.channels = depth;
    for (int i = 0; i < 2; i++)
        batch->conv.kernel[i] = batch->conv.stride[i] = batch->conv.dilation[i] = 1;
    const tlk_conv_data data = batch_data(g, samples);
    batch->scratch_size = (kernel->workspace_size(&batch->conv, &data) + 63) & ~(size_t)63;
    batch->columns = nn_place(call, depth * samples * g->out_area, sizeof(float));
    batch->results = nn_place(call, g->filters * samples, (size_t)g->out_area * sizeof(float));
    batch->scratch = nn_place(call, call->thread_count, batch->scratch_size);
    batch->samples = samples;
}

typedef struct batch_job {
    const conv_batch *batch;
    const conv_geometry *g;
    const tlk_conv_kernel *kernel;
    const void *packed;
    const float *x; /* of the first sample at hand */
    float *y;
    float *columns, *results;
    char *scratch;
    int64_t samples;
    tlk_conv_data data;
} batch_job;

/* One tap's input for each output of a sample, as an index into a channel; -1: padding. */
static void tap_positions(const conv_geometry *g, int64_t tap, int64_t *at)
{
    int64_t k[CONV_MAX_SPATIAL], out[CONV_MAX_SPATIAL] = {0};
    for (int32_t i = g->spatial - 1; i >= 0; i--) {
        k[i] = tap % g->kernel[i];
        tap /= g->kernel[i];
    }
    for (int64_t p = 0; p < g->out_area; p++) {
        at[p] = 0;
        for (int32_t i = 0; i < g->spatial; i++) {
            const int64_t in = out[i] * g->strides[i] - g->pads[i] + k[i] * g->dilations[i];
            at[p] = at[p] < 0 || in < 0 || in >= g->in_size[i] ? -1 : at[p] * g->in_size[i] + in;
        }
        conv_step(out, g->out_size, g->spatial);
    }
}

/* Rows of the columns: begin <= tap < end, all channels of each. */
static void gather_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const batch_job *job = context;
    const conv_geometry *g = job->g;
    int64_t at[FEW];
    (void)thread;
    float *to = job->columns + begin * g->channels * job->samples * g->out_area;
    for (int64_t tap = begin; tap < end; tap++) {
        tap_positions(g, tap, at);
        for (int64_t c = 0; c < g->channels; c++) {
            const float *from = job->x + c * g->in_area;
            for (int64_t n = 0; n < job->samples; n++, from += g->channels * g->in_area)
                for (int64_t p = 0; p < g->out_area; p++)
                    *to++ = at[p] < 0 ? 0 : from[at[p]];
        }
    }
}

static void multiply_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const batch_job *job = context;
    job->kernel->run(&job->batch->conv, job->packed, &job->data, begin, end,
                     job->scratch + (size_t)thread * job->batch->scratch_size);
}

/* [filter][sample][output] to [sample][filter][output]. */
static void scatter_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const batch_job *job = context;
    const int64_t filters = job->g->filters, area = job->g->out_area;
    (void)thread;
    for (int64_t n = begin; n < end; n++)
        for (int64_t f = 0; f < filters; f++) {
            const float *from = job->results + (f * job->samples + n) * area;
            float *to = job->y + (n * filters + f) * area;
            for (int64_t p = 0; p < area; p++)
                to[p] = from[p];
        }
}

void conv_batch_run(tl_call *call, const conv_batch *batch, const conv_geometry *g, const tlk_conv_kernel *kernel,
                    const void *packed, const float *x, float *y)
{
    batch_job job = {.batch = batch,
                     .g = g,
                     .kernel = kernel,
                     .packed = packed,
                     .columns = nn_at(call, batch->columns),
                     .results = nn_at(call, batch->results),
                     .scratch = nn_at(call, batch->scratch)};
    for (int64_t n = 0; n < g->batch; n += job.samples) {
        job.samples = nn_min(batch->samples, g->batch - n);
        job.x = x + n * g->channels * g->in_area;
        job.y = y + n * g->filters * g->out_area;
        job.data = batch_data(g, job.samples);
        job.data.x = job.columns;
        job.data.y = job.results;
        const int64_t row = g->channels * job.samples * g->out_area;
        const int64_t pieces = kernel->pieces(&batch->conv, &job.data);
        call->host->parallel_for(call, gather_task, &job, g->taps, nn_grain(row, 1 << 14));
        call->host->parallel_for(call, multiply_task, &job, pieces,
                                 nn_grain(nn_max(1, row * g->taps / pieces) * g->filters, 1 << 18));
        call->host->parallel_for(call, scatter_task, &job, job.samples, nn_grain(g->filters * g->out_area, 1 << 14));
    }
}
