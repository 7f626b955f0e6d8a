/* DFT (17, and 20 with the axis as an input) and STFT. Computed in double and rounded once; but complex float signals
 * so short that two passes do are transformed in float, because the standard's cases hold the rounding errors of that
 * where the exact result is 0. Longer ones would lose accuracy. */
#include "onnx/fft.h"
#include "onnx/nn.h"

/* Lengths beyond this have no memory anywhere, and their sizes below fit an int64. */
#define MAX_LENGTH (INT64_C(1) << 40)

/* A scalar int32 or int64 input: *known says whether its value is there yet. */
static tl_status read_scalar(const tl_call *call, size_t k, int64_t *value, bool *known)
{
    int64_t count;
    tl_status status = op_index_list(call, k, value, 1, &count);
    *known = count == 1;
    if (status == TL_OK && count == 0)
        return tl_fail(call, TL_INVALID_INPUT, "input %zu is empty, but must be a scalar", k);
    return status;
}

/* Memory that every thread has for itself: a signal in, a spectrum out, and the transform's own. */
typedef struct dft_memory {
    fft_plan fft;
    size_t table, threads;
    int64_t each; /* complex numbers for one thread */
} dft_memory;

static void place_memory(tl_call *call, dft_memory *memory, int64_t n, bool real)
{
    int64_t all;
    fft_plan_set(&memory->fft, n, real);
    memory->table = nn_place(call, fft_table_size(&memory->fft), sizeof(fft_complex));
    memory->each = 2 * n + 2 + fft_scratch_size(&memory->fft);
    if (!nn_mul(memory->each, call->thread_count, &all))
        all = INT64_MAX;
    memory->threads = nn_place(call, all, sizeof(fft_complex));
}

/* ---- DFT */

enum { DFT_INPUT, DFT_LENGTH, DFT_AXIS };

typedef struct dft_plan {
    dft_memory memory;
    bool inverse, onesided, real; /* real input */
    int64_t n, read, written;     /* the transform's length, elements along the axis that are read and written */
    int64_t size, inner, outer;   /* X's along, after (without the complex axis) and before the axis */
} dft_plan;

/* The axis, or -1 while it is not known. */
static tl_status dft_axis(const tl_call *call, int32_t rank, int32_t *axis)
{
    int64_t value = -2;
    bool known = true;
    tl_status status = TL_OK;
    *axis = -1;
    if (call->host->node_version(call->node) < 20)
        value = op_int(call, "axis");
    else if (op_input(call, DFT_AXIS))
        status = read_scalar(call, DFT_AXIS, &value, &known);
    if (status != TL_OK || !known)
        return status;
    status = op_axis(call, "axis", value, rank, axis);
    if (status == TL_OK && *axis == rank - 1)
        return tl_fail(call, TL_INVALID_MODEL, "axis is %lld, but the last axis holds the parts of complex numbers",
                       (long long)value);
    return status;
}

/* The transform's length for `size` elements along the axis; -1 while it is not known. */
static tl_status dft_length(const tl_call *call, tl_dim size, bool irfft, int64_t *n)
{
    bool known = true;
    tl_status status = TL_OK;
    *n = size < 0 ? -1 : irfft ? 2 * (size - 1) : size;
    if (op_input(call, DFT_LENGTH))
        status = read_scalar(call, DFT_LENGTH, n, &known);
    if (!known)
        *n = -1;
    else if (status == TL_OK && op_input(call, DFT_LENGTH) && (*n < 1 || *n > MAX_LENGTH))
        return tl_fail(call, TL_INVALID_INPUT, "dft_length is %lld, but must be in [1, 2^40]", (long long)*n);
    else if (status == TL_OK && size >= 0 && (*n < 1 || *n > MAX_LENGTH))
        return tl_fail(call, TL_INVALID_INPUT, "the signal has %lld elements, which is no length for a transform",
                       (long long)size);
    return status;
}

static tl_status dft_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[DFT_INPUT];
    tl_tensor *y = call->outputs[0];
    const bool inverse = op_int(call, "inverse") != 0, onesided = op_int(call, "onesided") != 0;
    int32_t axis;
    int64_t n = -1;
    if (x->rank == TL_RANK_UNKNOWN)
        return op_unknown_shape(call);
    tl_status status = nn_check_rank(call, DFT_INPUT, 2, TL_MAX_RANK);
    if (status == TL_OK)
        status = dft_axis(call, x->rank, &axis);
    if (status != TL_OK)
        return status;
    const int32_t last = x->rank - 1;
    if (x->dims[last] >= 0 && x->dims[last] != 1 && x->dims[last] != 2)
        return tl_fail(call, TL_INVALID_INPUT, "the last dimension is %lld, but must be 1 (real) or 2 (complex)",
                       (long long)x->dims[last]);
    if (onesided && x->dims[last] >= 0 && x->dims[last] != (inverse ? 2 : 1))
        return tl_fail(call, TL_INVALID_INPUT, "onesided needs a %s input here", inverse ? "complex" : "real");
    op_copy_shape(y, x);
    y->dims[last] = onesided && inverse ? 1 : 2;
    for (int32_t i = 0; i < last && axis < 0; i++)
        y->dims[i] = TL_DIM_UNKNOWN;
    if (axis < 0)
        return TL_OK;
    status = dft_length(call, x->dims[axis], onesided && inverse, &n);
    if (status != TL_OK)
        return status;
    if (n >= 0)
        y->dims[axis] = onesided && !inverse ? n / 2 + 1 : n;
    else if (onesided || op_input(call, DFT_LENGTH))
        y->dims[axis] = TL_DIM_UNKNOWN;
    if (!call->plan || n < 0)
        return TL_OK;
    dft_plan *plan = call->plan;
    plan->inverse = inverse;
    plan->onesided = onesided;
    plan->real = x->dims[last] == 1;
    plan->n = n;
    plan->size = x->dims[axis];
    plan->read = nn_min(plan->size, onesided && inverse ? n / 2 + 1 : n);
    plan->written = y->dims[axis];
    plan->outer = op_product(x, 0, axis);
    plan->inner = op_product(x, axis + 1, last);
    call->workspace_size = 0;
    nn_widen_place(call, (1 << DFT_LENGTH) | (1 << DFT_AXIS));
    place_memory(call, &plan->memory, n, plan->real && !inverse);
    const fft_plan *fft = &plan->memory.fft;
    plan->memory.fft.single =
        x->type != TL_DOUBLE && !(plan->real && !inverse) && fft->core.count <= 2 && fft->core.largest <= 5;
    return TL_OK;
}

typedef struct dft_job {
    const tl_call *call;
    const dft_plan *plan;
    const void *table;
} dft_job;

/* One signal: outer index o, inner index i. */
static void dft_one(const dft_job *job, int64_t o, int64_t i, fft_complex *memory)
{
    const dft_plan *plan = job->plan;
    const tl_tensor *x = job->call->inputs[DFT_INPUT], *y = job->call->outputs[0];
    const int64_t parts = plan->real ? 1 : 2, step = plan->inner, n = plan->n;
    fft_complex *in = memory, *out = in + n, *scratch = out + n + 2;
    const int64_t from = (o * plan->size * step + i) * parts;
    if (plan->real && !plan->inverse) {
        double *signal = (double *)in;
        for (int64_t k = 0; k < n; k++)
            signal[k] = k < plan->read ? nn_load_real(x, from + k * step) : 0;
        fft_real_run(&plan->memory.fft, job->table, signal, out, scratch);
        for (int64_t k = n / 2 + 1; k < plan->written; k++)
            out[k] = (fft_complex){out[n - k].re, -out[n - k].im};
    } else {
        for (int64_t k = 0; k < n; k++) {
            int64_t at = from + k * step * parts;
            bool there = k < plan->read;
            in[k] = (fft_complex){there ? nn_load_real(x, at) : 0, there && parts == 2 ? nn_load_real(x, at + 1) : 0};
        }
        for (int64_t k = n / 2 + 1; k < n && plan->onesided; k++)
            in[k] = (fft_complex){in[n - k].re, -in[n - k].im};
        out = fft_complex_run(&plan->memory.fft, job->table, plan->inverse, in, out, scratch);
    }
    double scale = plan->inverse ? 1 / (double)n : 1;
    scale = plan->memory.fft.single ? (float)scale : scale;
    const int64_t results = plan->onesided && plan->inverse ? 1 : 2, to = (o * plan->written * step + i) * results;
    for (int64_t k = 0; k < plan->written; k++) {
        nn_store_real(y, to + k * step * results, out[k].re * scale);
        if (results == 2)
            nn_store_real(y, to + k * step * results + 1, out[k].im * scale);
    }
}

static void dft_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const dft_job *job = context;
    fft_complex *memory = (fft_complex *)nn_at(job->call, job->plan->memory.threads) + thread * job->plan->memory.each;
    for (int64_t at = begin; at < end; at++)
        dft_one(job, at / job->plan->inner, at % job->plan->inner, memory);
}

static tl_status dft_real(tl_call *call)
{
    const dft_plan *plan = call->plan;
    dft_job job = {call, plan, nn_at(call, plan->memory.table)};
    if (op_elements(call->outputs[0]) == 0)
        return TL_OK;
    fft_table_set(&plan->memory.fft, nn_at(call, plan->memory.table), nn_at(call, plan->memory.threads));
    call->host->parallel_for(call, dft_task, &job, plan->outer * plan->inner, nn_grain(plan->n, 1 << 10));
    return TL_OK;
}

/* Shapes may have been open until now: then the lengths have come with the data, but no workspace. */
static tl_status check_planned(tl_call *call, const dft_memory *memory)
{
    if (memory->fft.n == 0)
        return tl_fail(call, TL_UNSUPPORTED, "lengths and axis must be known before the run");
    return TL_OK;
}

static tl_status dft_run(tl_call *call)
{
    const dft_plan *plan = call->plan;
    tl_status status = check_planned(call, &plan->memory);
    return status == TL_OK ? nn_widen_run(call, (1 << DFT_LENGTH) | (1 << DFT_AXIS), dft_real) : status;
}

/* ---- STFT */

enum { STFT_SIGNAL, STFT_STEP, STFT_WINDOW, STFT_LENGTH };

typedef struct stft_plan {
    dft_memory memory;
    bool real;
    int64_t n, step, frames, bins, length; /* length of the signal */
} stft_plan;

/* Frame length and step, -1 while not known. */
static tl_status stft_sizes(const tl_call *call, int64_t *n, int64_t *step)
{
    const tl_tensor *x = call->inputs[STFT_SIGNAL], *window = op_input(call, STFT_WINDOW);
    bool known = true;
    tl_status status = read_scalar(call, STFT_STEP, step, &known);
    if (status != TL_OK)
        return status;
    if (!known)
        *step = -1;
    else if (*step < 1)
        return tl_fail(call, TL_INVALID_INPUT, "frame_step is %lld, but must be at least 1", (long long)*step);
    *n = x->rank >= 2 ? x->dims[1] : -1;
    status = nn_check_rank(call, STFT_WINDOW, 1, 1);
    if (window)
        *n = window->rank == 1 ? window->dims[0] : -1;
    if (status == TL_OK && op_input(call, STFT_LENGTH)) {
        int64_t given;
        status = read_scalar(call, STFT_LENGTH, &given, &known);
        if (status == TL_OK && known && window && *n >= 0 && *n != given)
            return tl_fail(call, TL_INVALID_INPUT, "the window has %lld elements, but frame_length is %lld",
                           (long long)*n, (long long)given);
        if (status == TL_OK && known && (given < 1 || given > MAX_LENGTH))
            return tl_fail(call, TL_INVALID_INPUT, "frame_length is %lld, but must be in [1, 2^40]", (long long)given);
        if (known)
            *n = given;
        else if (!window)
            *n = -1;
    }
    *n = *n < 0 ? -1 : *n;
    return status;
}

static tl_status stft_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[STFT_SIGNAL];
    tl_tensor *y = call->outputs[0];
    const bool onesided = op_int(call, "onesided") != 0;
    int64_t n = -1, step = -1;
    /* The text says [batch, length, 1 or 2]; PyTorch's exporter writes real signals without the last. */
    tl_status status = nn_check_rank(call, STFT_SIGNAL, 2, 3);
    if (status == TL_OK)
        status = stft_sizes(call, &n, &step);
    if (status != TL_OK)
        return status;
    const tl_dim parts = x->rank == 3   ? x->dims[2]
                         : x->rank == 2 ? 1
                                        : TL_DIM_UNKNOWN,
                 length = x->rank >= 2 ? x->dims[1] : TL_DIM_UNKNOWN;
    if (parts >= 0 && parts != 1 && (parts != 2 || onesided))
        return tl_fail(call, TL_INVALID_INPUT, "the signal's last dimension is %lld, but must be 1 (real)%s",
                       (long long)parts, onesided ? " for onesided" : " or 2 (complex)");
    if (length >= 0 && n >= 0 && (n > length || n < 1))
        return tl_fail(call, TL_INVALID_INPUT, "frames have %lld elements, but the signal has %lld", (long long)n,
                       (long long)length);
    y->rank = 4;
    y->dims[0] = x->rank >= 2 ? x->dims[0] : TL_DIM_UNKNOWN;
    y->dims[1] = length >= 0 && n >= 0 && step >= 0 ? (length - n) / step + 1 : TL_DIM_UNKNOWN;
    y->dims[2] = n < 0 ? TL_DIM_UNKNOWN : onesided ? n / 2 + 1 : n;
    y->dims[3] = 2;
    if (!call->plan || y->dims[1] < 0)
        return TL_OK;
    stft_plan *plan = call->plan;
    plan->real = parts == 1;
    plan->n = n;
    plan->step = step;
    plan->frames = y->dims[1];
    plan->bins = y->dims[2];
    plan->length = length;
    call->workspace_size = 0;
    nn_widen_place(call, (1 << STFT_STEP) | (1 << STFT_LENGTH));
    place_memory(call, &plan->memory, n, plan->real);
    return TL_OK;
}

typedef struct stft_job {
    const tl_call *call;
    const stft_plan *plan;
    const void *table;
} stft_job;

static void stft_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const stft_job *job = context;
    const stft_plan *plan = job->plan;
    const tl_tensor *x = job->call->inputs[STFT_SIGNAL], *window = op_input(job->call, STFT_WINDOW);
    const tl_tensor *y = job->call->outputs[0];
    const int64_t n = plan->n;
    fft_complex *in = (fft_complex *)nn_at(job->call, plan->memory.threads) + thread * plan->memory.each;
    fft_complex *out = in + n, *scratch = out + n + 2;
    for (int64_t frame = begin; frame < end; frame++) {
        const fft_complex *spectrum = out;
        int64_t from = frame / plan->frames * plan->length + frame % plan->frames * plan->step;
        for (int64_t k = 0; k < n; k++) {
            double factor = window ? nn_load_real(window, k) : 1;
            if (plan->real)
                ((double *)in)[k] = factor * nn_load_real(x, from + k);
            else
                in[k] = (fft_complex){factor * nn_load_real(x, 2 * (from + k)),
                                      factor * nn_load_real(x, 2 * (from + k) + 1)};
        }
        if (plan->real) {
            fft_real_run(&plan->memory.fft, job->table, (const double *)in, out, scratch);
            for (int64_t k = n / 2 + 1; k < plan->bins; k++)
                out[k] = (fft_complex){out[n - k].re, -out[n - k].im};
        } else
            spectrum = fft_complex_run(&plan->memory.fft, job->table, false, in, out, scratch);
        for (int64_t k = 0; k < plan->bins; k++) {
            nn_store_real(y, 2 * (frame * plan->bins + k), spectrum[k].re);
            nn_store_real(y, 2 * (frame * plan->bins + k) + 1, spectrum[k].im);
        }
    }
}

static tl_status stft_real(tl_call *call)
{
    const stft_plan *plan = call->plan;
    stft_job job = {call, plan, nn_at(call, plan->memory.table)};
    if (op_elements(call->outputs[0]) == 0)
        return TL_OK;
    fft_table_set(&plan->memory.fft, nn_at(call, plan->memory.table), nn_at(call, plan->memory.threads));
    call->host->parallel_for(call, stft_task, &job, call->outputs[0]->dims[0] * plan->frames,
                             nn_grain(plan->n, 1 << 10));
    return TL_OK;
}

static tl_status stft_run(tl_call *call)
{
    const stft_plan *plan = call->plan;
    tl_status status = check_planned(call, &plan->memory);
    return status == TL_OK ? nn_widen_run(call, (1 << STFT_STEP) | (1 << STFT_LENGTH), stft_real) : status;
}

static bool stft_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const stft_plan *plan = call->plan;
    if (axis == 1)
        *reach = (tl_reach){plan->step, 0, plan->n - 1};
    return k == STFT_SIGNAL && axis < 2;
}

/* ---- Schemas */

static const tl_param dft_input_17[] = {OP_IN("input", TL_T_FLOATS, 'T'), OP_OPT("dft_length", TL_T_INDEX, 'L')};
static const tl_param dft_input_20[] = {OP_IN("input", TL_T_FLOATS, 'T'), OP_OPT("dft_length", TL_T_INDEX, 'L'),
                                        OP_OPT("axis", TL_T(TL_INT64), 0)};
static const tl_param dft_output[] = {OP_IN("output", TL_T_FLOATS, 'T')};
static const tl_attribute_spec dft_attribute_17[] = {OP_INT("axis", 1), OP_INT("inverse", 0), OP_INT("onesided", 0)};
static const tl_attribute_spec dft_attribute_20[] = {OP_INT("inverse", 0), OP_INT("onesided", 0)};
static const tl_param stft_input[] = {OP_IN("signal", TL_T_FLOATS, 'T'), OP_IN("frame_step", TL_T_INDEX, 'I'),
                                      OP_OPT("window", TL_T_FLOATS, 'T'), OP_OPT("frame_length", TL_T_INDEX, 'I')};
static const tl_attribute_spec stft_attribute[] = {OP_INT("onesided", 1)};

OP_DESCRIPTOR(DFT, 17) = {OP_HEAD(DFT, 17),
                          OP_PARAMS(input, dft_input_17),
                          OP_PARAMS(output, dft_output),
                          OP_PARAMS(attribute, dft_attribute_17),
                          .flags = TL_OP_LONG,
                          .plan_size = sizeof(dft_plan),
                          .reshape = dft_reshape,
                          .run = dft_run};
OP_DESCRIPTOR(DFT, 20) = {OP_HEAD(DFT, 20),
                          OP_PARAMS(input, dft_input_20),
                          OP_PARAMS(output, dft_output),
                          OP_PARAMS(attribute, dft_attribute_20),
                          .flags = TL_OP_LONG,
                          .plan_size = sizeof(dft_plan),
                          .reshape = dft_reshape,
                          .run = dft_run};
OP_DESCRIPTOR(STFT, 17) = {OP_HEAD(STFT, 17),
                           OP_PARAMS(input, stft_input),
                           OP_PARAMS(output, dft_output),
                           OP_PARAMS(attribute, stft_attribute),
                           .flags = TL_OP_LONG,
                           .plan_size = sizeof(stft_plan),
                           .reshape = stft_reshape,
                           .run = stft_run,
                           .reach = stft_reach};
