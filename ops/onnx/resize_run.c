/* The arithmetic of Resize. Linear and cubic modes go axis by axis: each element of the result is a weighted sum of a
 * few of the input, its taps, and the weights of several axes multiply. */
#include "onnx/number.h"
#include "onnx/resize.h"

#define PIECE 16384 /* elements that a piece of a parallel loop computes at least */

/* ---- Where an output's coordinate lies in the input */

/* The same place counted from 0 on; what is beyond all reason, NaN too, is held at an edge far out. */
static double source_of(const resize_plan *plan, const resize_axis *axis, int64_t o, bool *outside)
{
    const double far = 4503599627370496.0; /* 2^52 */
    double x = (double)o, in = (double)axis->in, width = axis->scale * in, at;
    *outside = false;
    switch (plan->map) {
    case RESIZE_HALF_PIXEL:
        at = (x + 0.5) / axis->scale - 0.5;
        break;
    case RESIZE_HALF_PIXEL_SYMMETRIC:
        at = in / 2 * (1 - (double)axis->out / width) + (x + 0.5) / axis->scale - 0.5;
        break;
    case RESIZE_PYTORCH_HALF_PIXEL:
        at = width == 1 ? -0.5 : (x + 0.5) / axis->scale - 0.5;
        break;
    case RESIZE_ALIGN_CORNERS:
        at = width == 1 ? 0 : x * (in - 1) / (width - 1);
        break;
    case RESIZE_TF_HALF_PIXEL_FOR_NN:
        at = (x + 0.5) / axis->scale;
        break;
    case RESIZE_ASYMMETRIC:
        at = x / axis->scale;
        break;
    default:
        at = width == 1 ? (axis->end - axis->begin) * (in - 1) / 2
                        : x * (axis->end - axis->begin) * (in - 1) / (width - 1);
        at += axis->begin * (in - 1);
        *outside = !(at >= 0 && at <= in - 1);
        break;
    }
    return at >= -far ? (at <= far ? at : far) : -far;
}

static int64_t clamp_index(int64_t index, int64_t n)
{
    return index < 0 ? 0 : index >= n ? n - 1 : index;
}

static int64_t nearest_of(const resize_plan *plan, const resize_axis *axis, double at)
{
    double low = floor(at), part = at - low;
    int64_t index = (int64_t)low;
    bool up;
    if (plan->simple_nearest)
        up = axis->scale < 1 && part > 0;
    else if (plan->nearest == RESIZE_ROUND_PREFER_FLOOR)
        up = part > 0.5;
    else if (plan->nearest == RESIZE_ROUND_PREFER_CEIL)
        up = part >= 0.5;
    else
        up = plan->nearest == RESIZE_CEIL && part > 0;
    return clamp_index(index + up, axis->in);
}

/* ---- Weights */

static double linear_weight(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys' cubic convolution. */
static double cubic_weight(double x, double a)
{
    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* With antialias, a filter that shrinks is stretched: by how much its argument shrinks. */
static double stretch(const resize_plan *plan, const resize_axis *axis)
{
    return plan->antialias && axis->scale < 1 ? axis->scale : 1;
}

static int64_t count_taps(const resize_plan *plan, const resize_axis *axis)
{
    double support = plan->mode == RESIZE_CUBIC ? 2 : 1;
    return -2 * (int64_t)floor(-support / stretch(plan, axis));
}

/* The index of the first tap (it may lie outside), and all weights. */
static int64_t weigh(const resize_plan *plan, const resize_axis *axis, double at, double *weights)
{
    /* An element that lies exactly at `at` counts as the right one of the middle pair. */
    double low = ceil(at) - 1, ratio = at - low, narrow = stretch(plan, axis), sum = 0;
    int64_t half = axis->taps / 2, first = (int64_t)low - half + 1;
    for (int64_t k = 0; k < axis->taps; k++) {
        double x = ((double)(k - half + 1) - ratio) * narrow;
        weights[k] = plan->mode == RESIZE_CUBIC ? cubic_weight(x, plan->cubic_a) : linear_weight(x);
        if (plan->exclude_outside && (first + k < 0 || first + k >= axis->in))
            weights[k] = 0;
        sum += weights[k];
    }
    if ((plan->antialias || plan->exclude_outside) && sum != 0)
        for (int64_t k = 0; k < axis->taps; k++)
            weights[k] /= sum;
    return first;
}

/* ---- Workspace: tables, then two buffers for the tensors between passes */

tl_type resize_compute_type(tl_type type)
{
    bool small = (TL_T(type) & (TL_T(TL_FLOAT) | TL_T_HALFS)) || op_type_size(type) < 4;
    return small ? TL_FLOAT : TL_DOUBLE;
}

static size_t align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

tl_status resize_prepare(tl_call *call, resize_plan *plan)
{
    tl_type type = call->inputs[0]->type;
    int64_t elements = op_elements(call->inputs[0]), entries = 0;
    size_t size = op_type_size(resize_compute_type(type)), bytes;
    bool fits = true;
    plan->most_elements = elements;
    for (int32_t i = 0; i < plan->rank; i++) {
        resize_axis *axis = &plan->axes[i];
        int64_t table;
        axis->taps = plan->mode == RESIZE_NEAREST ? 1 : count_taps(plan, axis);
        fits = fits && !__builtin_mul_overflow(axis->taps, axis->out, &table);
        if (plan->mode == RESIZE_NEAREST)
            fits = fits && !__builtin_add_overflow(entries, axis->out, &entries);
        else if (fits && entries < table + axis->taps)
            entries = table + axis->taps;
        elements /= axis->in;
        fits = fits && !__builtin_mul_overflow(elements, axis->out, &elements);
        if (elements > plan->most_elements)
            plan->most_elements = elements;
    }
    /* Per entry an index, and a weight as double. */
    fits = fits && !__builtin_mul_overflow((size_t)entries, 16, &plan->tables) && plan->tables < SIZE_MAX / 4;
    plan->tables = align(plan->tables);
    fits = fits && !__builtin_mul_overflow((size_t)plan->most_elements, 2 * size, &bytes) && bytes < SIZE_MAX / 4;
    if (!fits)
        return tl_fail(call, TL_NO_MEMORY, "the workspace overflows");
    call->workspace_size = plan->tables + (plan->mode == RESIZE_NEAREST ? 0 : bytes + 128);
    return TL_OK;
}

/* ---- Nearest: a table of source indices for every axis; -1 where the extrapolation value goes */

typedef struct nearest_job {
    const resize_plan *plan;
    const int64_t *tables[TL_MAX_RANK];
    int64_t strides[TL_MAX_RANK];
    int32_t inner; /* the last axis that changes; what lies behind moves as one unit */
    int64_t unit, element;
    const char *from;
    char *to;
    const void *value;
    bool doubled; /* floats, of which each comes twice along the last axis that changes */
} nearest_job;

static void nearest_rows(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const nearest_job *job = context;
    const resize_axis *axes = job->plan->axes;
    int64_t n = axes[job->inner].out, stride = job->strides[job->inner], unit = job->unit;
    const int64_t *inner = job->tables[job->inner];
    const char *last = NULL; /* the row before came from there */
    int64_t at[TL_MAX_RANK] = {0}, rest = begin;
    (void)thread;
    for (int32_t i = job->inner - 1; i >= 0; i--) {
        at[i] = rest % axes[i].out;
        rest /= axes[i].out;
    }
    for (int64_t row = begin; row < end; row++) {
        const char *from = job->from;
        char *to = job->to + row * n * unit;
        bool outside = false;
        for (int32_t i = job->inner - 1; i >= 0; i--) {
            int64_t source = job->tables[i][at[i]];
            outside = outside || source < 0;
            from += outside ? 0 : source * job->strides[i];
        }
        for (int32_t i = job->inner - 1; i >= 0 && ++at[i] == axes[i].out; i--)
            at[i] = 0;
        if (!outside && from == last) {
            memcpy(to, to - n * unit, (size_t)(n * unit));
            continue;
        }
        last = outside ? NULL : from;
        if (job->doubled && !outside) {
            const uint32_t *restrict x = (const uint32_t *)from;
            uint32_t *restrict y = (uint32_t *)to;
            for (int64_t i = 0; i < n / 2; i++)
                y[2 * i] = y[2 * i + 1] = x[i];
            continue;
        }
        for (int64_t i = 0; i < n; i++, to += unit) {
            if (outside || inner[i] < 0)
                op_fill(to, job->value, (size_t)job->element, unit / job->element);
            else if (unit == 4)
                memcpy(to, from + inner[i] * stride, 4);
            else
                memcpy(to, from + inner[i] * stride, (size_t)unit);
        }
    }
}

static tl_status compute_nearest(tl_call *call, const resize_plan *plan)
{
    const tl_tensor *x = call->inputs[0], *out = call->outputs[0];
    unsigned char value[16] = {0};
    tl_tensor single = {.data = value, .type = x->type};
    int64_t *table = call->workspace;
    nearest_job job = {.plan = plan, .from = x->data, .to = out->data, .value = value};
    op_store_number(&single, 0, plan->extrapolation);
    job.element = (int64_t)op_type_size(x->type);
    op_strides(x, (size_t)job.element, job.strides);
    for (int32_t i = 0; i < plan->rank; i++) {
        const resize_axis *axis = &plan->axes[i];
        job.tables[i] = table;
        for (int64_t o = 0; o < axis->out; o++) {
            bool outside = false;
            *table++ = axis->same ? o : nearest_of(plan, axis, source_of(plan, axis, o, &outside));
            if (outside)
                table[-1] = -1;
        }
        if (!axis->same)
            job.inner = i;
    }
    if (plan->rank == 0) {
        memcpy(out->data, x->data, (size_t)job.element);
        return TL_OK;
    }
    job.unit = op_product(x, job.inner + 1, x->rank) * job.element;
    const resize_axis *last = &plan->axes[job.inner];
    job.doubled = job.unit == 4 && job.element == 4 && last->out == 2 * last->in;
    for (int64_t o = 0; o < last->out; o++)
        job.doubled = job.doubled && job.tables[job.inner][o] == o / 2;
    int64_t rows = op_product(out, 0, job.inner), each = plan->axes[job.inner].out;
    int64_t grain = 1 + PIECE / each;
    if (rows > grain && call->thread_count > 1)
        call->host->parallel_for(call, nearest_rows, &job, rows, op_even_grain(call, rows, grain));
    else
        nearest_rows(&job, 0, rows, 0);
    return TL_OK;
}

/* ---- Linear and cubic: one pass per axis, over rows of what lies behind it */

typedef struct pass_job {
    const resize_axis *axis;
    const int64_t *indices; /* taps of each output coordinate; the first is -1: the extrapolation value goes there */
    const double *weights;  /* as `real`, closely packed */
    int64_t inner;
    const void *from;
    void *to;
    double extrapolation;
} pass_job;

/* A task of the first kind takes rows of what lies behind the axis; one of the second kind, where nothing does, takes
 * whole lines along the axis. */
#define PASS(name, real)                                                                                \
    static void name##_rows(void *context, int64_t begin, int64_t end, int32_t thread)                  \
    {                                                                                                   \
        const pass_job *job = context;                                                                  \
        const resize_axis *axis = job->axis;                                                            \
        int64_t inner = job->inner, taps = axis->taps;                                                  \
        (void)thread;                                                                                   \
        for (int64_t row = begin; row < end; row++) {                                                   \
            int64_t o = row % axis->out;                                                                \
            const real *from = (const real *)job->from + row / axis->out * axis->in * inner;            \
            real *restrict to = (real *)job->to + row * inner;                                          \
            const real *weights = (const real *)(const void *)job->weights + o * taps;                  \
            const int64_t *indices = job->indices + o * taps;                                           \
            bool outside = indices[0] < 0;                                                              \
            for (int64_t i = 0; i < inner; i++)                                                         \
                to[i] = outside ? (real)job->extrapolation : weights[0] * from[indices[0] * inner + i]; \
            for (int64_t k = 1; !outside && k < taps; k++) {                                            \
                const real *source = from + indices[k] * inner;                                         \
                for (int64_t i = 0; i < inner; i++)                                                     \
                    to[i] += weights[k] * source[i];                                                    \
            }                                                                                           \
        }                                                                                               \
    }                                                                                                   \
    static void name##_lines(void *context, int64_t begin, int64_t end, int32_t thread)                 \
    {                                                                                                   \
        const pass_job *job = context;                                                                  \
        const resize_axis *axis = job->axis;                                                            \
        int64_t taps = axis->taps;                                                                      \
        (void)thread;                                                                                   \
        for (int64_t line = begin; line < end; line++) {                                                \
            const real *from = (const real *)job->from + line * axis->in;                               \
            real *restrict to = (real *)job->to + line * axis->out;                                     \
            const real *weights = (const real *)(const void *)job->weights;                             \
            const int64_t *indices = job->indices;                                                      \
            for (int64_t o = 0; o < axis->out; o++, weights += taps, indices += taps) {                 \
                real sum = (real)job->extrapolation;                                                    \
                if (indices[0] >= 0) {                                                                  \
                    sum = weights[0] * from[indices[0]];                                                \
                    for (int64_t k = 1; k < taps; k++)                                                  \
                        sum += weights[k] * from[indices[k]];                                           \
                }                                                                                       \
                to[o] = sum;                                                                            \
            }                                                                                           \
        }                                                                                               \
    }
PASS(pass_float, float)
PASS(pass_double, double)

/* The tables of an axis: indices of all taps, and their weights in the type that the pass computes in. Behind them is
 * room for one row of weights as they are computed. */
static void fill_tables(const resize_plan *plan, const resize_axis *axis, bool wide, int64_t *indices, double *weights)
{
    int64_t taps = axis->taps;
    double *row = weights + axis->out * taps;
    for (int64_t o = 0; o < axis->out; o++) {
        bool outside;
        int64_t first = weigh(plan, axis, source_of(plan, axis, o, &outside), row);
        for (int64_t k = 0; k < taps; k++) {
            indices[o * taps + k] = outside ? -1 : clamp_index(first + k, axis->in);
            if (wide)
                weights[o * taps + k] = row[k];
            else
                ((float *)(void *)weights)[o * taps + k] = (float)row[k];
        }
    }
}

static void run_pass(tl_call *call, const resize_plan *plan, int32_t which, int64_t outer, int64_t inner, bool wide,
                     const void *from, void *to)
{
    const resize_axis *axis = &plan->axes[which];
    int64_t *indices = call->workspace;
    double *weights = (double *)call->workspace + axis->out * axis->taps;
    fill_tables(plan, axis, wide, indices, weights);
    pass_job job = {axis, indices, weights, inner, from, to, plan->extrapolation};
    bool lines = inner == 1;
    tl_task task = lines ? (wide ? pass_double_lines : pass_float_lines) : (wide ? pass_double_rows : pass_float_rows);
    int64_t range = lines ? outer : outer * axis->out, grain = 1 + PIECE / (lines ? axis->out : inner);
    if (range > grain && call->thread_count > 1)
        call->host->parallel_for(call, task, &job, range, op_even_grain(call, range, grain));
    else
        task(&job, 0, range, 0);
}

static void load_all(const tl_tensor *x, bool wide, void *to)
{
    int64_t n = op_elements(x);
    if (!wide && (TL_T(x->type) & TL_T_FLOATS))
        op_load_floats(x->type, x->data, to, n);
    else
        for (int64_t i = 0; i < n; i++) {
            double number = op_load_number(x, i);
            if (wide)
                ((double *)to)[i] = number;
            else
                ((float *)to)[i] = (float)number;
        }
}

/* Integers are rounded to nearest, ties to even, and held in their range. */
static void store_all(const tl_tensor *out, bool wide, const void *from)
{
    int64_t n = op_elements(out);
    if (TL_T(out->type) & TL_T_HALFS)
        op_store_floats(out->type, from, out->data, n);
    else
        for (int64_t i = 0; i < n; i++)
            op_store_number(out, i, rint(wide ? ((const double *)from)[i] : ((const float *)from)[i]));
}

tl_status resize_compute(tl_call *call, const resize_plan *plan)
{
    if (plan->mode == RESIZE_NEAREST)
        return compute_nearest(call, plan);
    const tl_tensor *x = call->inputs[0], *out = call->outputs[0];
    tl_type type = resize_compute_type(x->type);
    bool wide = type == TL_DOUBLE, direct = type == x->type;
    char *memory = (char *)call->workspace + plan->tables;
    char *buffers[2] = {memory, memory + align((size_t)plan->most_elements * op_type_size(type))};
    const void *from = x->data;
    int32_t left = 0, next = 0;
    for (int32_t i = 0; i < plan->rank; i++)
        left += !plan->axes[i].same;
    if (!direct) {
        load_all(x, wide, buffers[next]);
        from = buffers[next];
        next = 1;
    }
    int64_t outer = 1, inner = op_elements(x);
    for (int32_t i = 0; i < plan->rank; i++) {
        const resize_axis *axis = &plan->axes[i];
        inner /= axis->in;
        if (!axis->same) {
            void *to = --left == 0 && direct ? out->data : buffers[next];
            run_pass(call, plan, i, outer, inner, wide, from, to);
            from = to;
            next = 1 - next;
        }
        outer *= axis->out;
    }
    if (!direct)
        store_all(out, wide, from);
    else if (from == x->data)
        op_copy_bytes(call, out->data, from, op_bytes(out->type, op_elements(out)));
    return TL_OK;
}
