#include "onnx/conv_batch.h"

#include "onnx/tensor.h"

#define LANES   16                 /* of AVX-512 */
#define FEW     8                  /* outputs of a sample: half a vector */
#define COLUMNS ((int64_t)1 << 18) /* elements, at most: they are to stay in the second-level cache */

/* Samples with those that fill the last vector of a row, so that every row begins where a vector does: as many as fit
 * there whole. */
static int64_t fill_vectors(const conv_geometry *g, int64_t samples)
{
    const int64_t row = nn_ceil_div(samples * g->out_area, LANES) * LANES;
    return row % g->out_area == 0 ? row / g->out_area : samples;
}

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
    const int64_t sample = g->channels * g->in_area;
    const int64_t samples = nn_min(g->batch, COLUMNS / nn_max(depth * g->out_area, sample));
    if (samples < 2)
        return;
    batch->conv = *conv;
    batch->conv.channels = depth;
    for (int i = 0; i < 2; i++)
        batch->conv.kernel[i] = batch->conv.stride[i] = batch->conv.dilation[i] = 1;
    const int64_t all = fill_vectors(g, samples);
    const tlk_conv_data data = batch_data(g, all);
    batch->scratch_size = (kernel->workspace_size(&batch->conv, &data) + 63) & ~(size_t)63;
    batch->lanes = nn_place(call, sample * all, sizeof(float));
    batch->columns = nn_place(call, depth * all * g->out_area, sizeof(float));
    batch->results = nn_place(call, g->filters * all, (size_t)g->out_area * sizeof(float));
    batch->scratch = nn_place(call, call->thread_count, batch->scratch_size);
    batch->samples = samples;
}

typedef struct batch_job {
    const conv_batch *batch;
    const conv_geometry *g;
    const tlk_conv_kernel *kernel;
    const void *packed;
    float *lanes, *columns, *results;
    char *scratch;
    int64_t samples; /* with those that fill vectors */
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
    const size_t row = (size_t)job->samples * sizeof(float);
    int64_t at[FEW];
    (void)thread;
    float *to = job->columns + begin * g->channels * g->out_area * job->samples;
    for (int64_t tap = begin; tap < end; tap++) {
        tap_positions(g, tap, at);
        for (int64_t c = 0; c < g->channels; c++)
            for (int64_t p = 0; p < g->out_area; p++, to += job->samples)
                if (at[p] < 0)
                    memset(to, 0, row);
                else
                    memcpy(to, job->lanes + (c * g->in_area + at[p]) * job->samples, row);
    }
}

static void multiply_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const batch_job *job = context;
    job->kernel->run(&job->batch->conv, job->packed, &job->data, begin, end,
                     job->scratch + (size_t)thread * job->batch->scratch_size);
}

/* [rows][columns], with `step` elements from row to row, to [columns][to_step]. */
static void transpose(tl_call *call, const float *from, int64_t rows, int64_t columns, int64_t step, float *to,
                      int64_t to_step)
{
    const int64_t size = sizeof(float);
    op_copy copy;
    op_copy_init(&copy, sizeof(float), 2, (const int64_t[]){columns, rows}, (const int64_t[]){to_step * size, size},
                 (const int64_t[]){size, step * size});
    op_copy_run(call, &copy, to, from);
}

void conv_batch_run(tl_call *call, const conv_batch *batch, const conv_geometry *g, const tlk_conv_kernel *kernel,
                    const void *packed, const float *x, float *y)
{
    const int64_t in = g->channels * g->in_area, out = g->filters * g->out_area;
    batch_job job = {.batch = batch,
                     .g = g,
                     .kernel = kernel,
                     .packed = packed,
                     .lanes = nn_at(call, batch->lanes),
                     .columns = nn_at(call, batch->columns),
                     .results = nn_at(call, batch->results),
                     .scratch = nn_at(call, batch->scratch)};
    for (int64_t n = 0; n < g->batch; n += batch->samples) {
        const int64_t samples = nn_min(batch->samples, g->batch - n);
        job.samples = fill_vectors(g, samples);
        job.data = batch_data(g, job.samples);
        job.data.x = job.columns;
        job.data.y = job.results;
        const int64_t row = g->channels * job.samples * g->out_area;
        const int64_t pieces = kernel->pieces(&batch->conv, &job.data);
        if (job.samples > samples)
            memset(job.lanes, 0, (size_t)(in * job.samples) * sizeof(float));
        transpose(call, x + n * in, samples, in, in, job.lanes, job.samples);
        call->host->parallel_for(call, gather_task, &job, g->taps, nn_grain(row, 1 << 14));
        call->host->parallel_for(call, multiply_task, &job, pieces,
                                 nn_grain(nn_max(1, row * g->taps / pieces) * g->filters, 1 << 18));
        transpose(call, job.results, out, samples, job.samples, y + n * out, out);
    }
}
