/* ConvTranspose: versions 1, 11 and 22 say the same; 22 adds bfloat16. The matrix product of the filters with the input
 * gives what each input position adds to each tap of the output; then the taps are added where they lie. */
#include "onnx/conv.h"
#include "onnx/product.h"

typedef struct transpose_state {
    conv_window window;
    int64_t group;
    bool shape_given;
    int64_t shape[CONV_MAX_SPATIAL];   /* output_shape */
    int64_t padding[CONV_MAX_SPATIAL]; /* output_padding */
    product_factor factor;             /* of a constant W, one matrix for each group */
    void *packed;
} transpose_state;

/* `filters` and `channels` are those of one group; kernel, strides, dilations and pads those of the output's side. */
typedef struct transpose_plan {
    conv_geometry g;
    size_t columns; /* filters * taps rows of in_area */
    product_plan product;
} transpose_plan;

/* W of one group as a factor: its lines are taps of filters, over the channels. */
static product_factor weight_factor(int64_t channels, int64_t lines, int64_t groups, tl_type type)
{
    product_factor f = {.lines = lines, .depth = channels, .line_step = 1, .depth_step = lines, .matrices = groups};
    product_factor_side(&f, type, PRODUCT_LEFT);
    return f;
}

static tl_type product_type(tl_type type)
{
    return type == TL_DOUBLE ? TL_DOUBLE : TL_FLOAT; /* halves are widened */
}

/* ---- Attributes */

static tl_status parse_numbers(const tl_call *call, const char *name, conv_window *window, int64_t *to, bool *given)
{
    size_t count;
    const int64_t *values = op_ints(call, name, &count);
    *given = op_given(call, name) && count > 0;
    if (!*given)
        return TL_OK;
    if (count > CONV_MAX_SPATIAL || (window->spatial >= 0 && (size_t)window->spatial != count))
        return tl_fail(call, TL_INVALID_MODEL, "%s has %zu numbers, but must have one for each spatial axis", name,
                       count);
    window->spatial = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (values[i] < 0)
            return tl_fail(call, TL_INVALID_MODEL, "%s[%zu] is %lld, but must be at least 0", name, i,
                           (long long)values[i]);
        to[i] = values[i];
    }
    return TL_OK;
}

static tl_status transpose_parse(const tl_call *call, transpose_state *state)
{
    bool padded;
    memset(state, 0, sizeof *state);
    state->group = op_int(call, "group");
    tl_status status = conv_window_parse(call, CONV_DILATIONS, &state->window);
    if (status == TL_OK)
        status = parse_numbers(call, "output_shape", &state->window, state->shape, &state->shape_given);
    if (status == TL_OK)
        status = parse_numbers(call, "output_padding", &state->window, state->padding, &padded);
    if (status == TL_OK && state->group < 1)
        return tl_fail(call, TL_INVALID_MODEL, "group is %lld, but must be at least 1", (long long)state->group);
    return status;
}

/* Shapes that do not fit each other are not packed: reshape reports them. */
static tl_status transpose_pack(tl_call *call, transpose_state *state)
{
    const tl_tensor *w = call->inputs[1];
    float *floats;
    size_t bytes;
    if (!w->data || w->rank < 3 || op_elements(w) == 0 || w->dims[0] % state->group != 0)
        return TL_OK;
    tl_status status = nn_pack_half(call, 1, &floats);
    if (status != TL_OK)
        return status;
    const tl_type type = product_type(w->type);
    state->factor = weight_factor(w->dims[0] / state->group, op_product(w, 1, w->rank), state->group, type);
    const product_factor *f = &state->factor;
    if (f->each != SIZE_MAX && !__builtin_mul_overflow((size_t)f->matrices, f->each, &bytes))
        state->packed = call->host->alloc(call->host, bytes, 64);
    if (state->packed)
        product_pack(f, type, floats ? floats : w->data, 0, f->matrices * f->pieces, state->packed);
    if (floats)
        call->host->free(call->host, floats);
    if (!state->packed)
        return tl_fail(call, TL_NO_MEMORY, "no memory for packed weights");
    call->packed = 1 << 1;
    return TL_OK;
}

static tl_status transpose_create(tl_call *call)
{
    transpose_state *state = nn_new_state(call, sizeof *state);
    if (!state)
        return TL_NO_MEMORY;
    tl_status status = transpose_parse(call, state);
    if (status == TL_OK)
        status = transpose_pack(call, state);
    if (status != TL_OK)
        call->host->free(call->host, state);
    else
        call->state = state;
    return status;
}

static void transpose_destroy(const tl_host *host, void *memory)
{
    transpose_state *state = memory;
    if (state->packed)
        host->free(host, state->packed);
    host->free(host, state);
}

static uint64_t transpose_packed(const tl_call *call)
{
    const transpose_state *state = call->state;
    return state && state->packed ? 1 << 1 : 0;
}

/* ---- Shapes */

static tl_status too_large(const tl_call *call, int32_t i)
{
    return tl_fail(call, TL_INVALID_MODEL, "sizes along spatial axis %d are too large", i);
}

/* The output size of axis i, and the pad at its beginning. */
static tl_status transpose_axis(const tl_call *call, const transpose_state *state, int32_t i, tl_dim in, tl_dim *out,
                                int64_t *begin)
{
    const conv_window *w = &state->window;
    const bool same = w->auto_pad == CONV_SAME_UPPER || w->auto_pad == CONV_SAME_LOWER;
    int64_t extent, full, pads;
    tl_status status = conv_extent(call, w, i, &extent);
    if (status != TL_OK)
        return status;
    *begin = w->pads_begin[i];
    if (!nn_add(w->pads_begin[i], w->pads_end[i], &pads))
        return too_large(call, i);
    if (in < 0) {
        bool keeps = w->strides[i] == 1 && (same || (state->padding[i] == 0 && pads == extent - 1));
        *out = state->shape_given ? state->shape[i] : keeps ? in : TL_DIM_UNKNOWN;
        return TL_OK;
    }
    /* What the input reaches without pads; every position on the output's side is below. */
    if (!nn_mul(w->strides[i], in - 1, &full) || !nn_add(full, extent, &full) ||
        !nn_add(full, state->padding[i], &full))
        return too_large(call, i);
    if (!state->shape_given && !same) {
        if (!nn_add(full, -pads, out) || *out < 0)
            return tl_fail(call, TL_INVALID_INPUT, "spatial axis %d has size %lld, which the pads cut away", i,
                           (long long)in);
        return TL_OK;
    }
    if (state->shape_given)
        *out = state->shape[i];
    else if (!nn_mul(in, w->strides[i], out))
        return too_large(call, i);
    int64_t total = nn_max(nn_max(full, 0) - *out, 0);
    *begin = w->auto_pad == CONV_SAME_UPPER ? total / 2 : total - total / 2;
    return TL_OK;
}

static tl_status transpose_channels(const tl_call *call, int64_t group, const tl_tensor *x, const tl_tensor *w,
                                    tl_dim *out)
{
    *out = TL_DIM_UNKNOWN;
    if (w->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    if (w->dims[0] >= 0 && w->dims[0] % group != 0)
        return tl_fail(call, TL_INVALID_MODEL, "%lld channels do not divide into %lld groups", (long long)w->dims[0],
                       (long long)group);
    if (x->rank != TL_RANK_UNKNOWN) {
        tl_status status = nn_check_dim(call, 1, 0, x->dims[1], "the channels of X");
        if (status != TL_OK)
            return status;
    }
    if (w->dims[1] >= 0 && !nn_mul(w->dims[1], group, out))
        return tl_fail(call, TL_INVALID_MODEL, "group is %lld, which is too large", (long long)group);
    if (w->dims[1] < 0 && group == 1)
        *out = w->dims[1];
    return TL_OK;
}

static tl_status transpose_shape(const tl_call *call, transpose_state *state, tl_tensor *y, int64_t *begin)
{
    const tl_tensor *x = call->inputs[0], *w = call->inputs[1];
    int32_t rank = x->rank != TL_RANK_UNKNOWN ? x->rank : w->rank;
    y->rank = rank;
    if (rank == TL_RANK_UNKNOWN)
        return TL_OK;
    if (rank < 3 || (w->rank != TL_RANK_UNKNOWN && w->rank != rank))
        return tl_fail(call, TL_INVALID_INPUT, "X has rank %d and W rank %d, but they must have the same, at least 3",
                       x->rank, w->rank);
    tl_status status = conv_window_check(call, &state->window, rank - 2);
    y->dims[0] = x->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : x->dims[0];
    if (status == TL_OK)
        status = transpose_channels(call, state->group, x, w, &y->dims[1]);
    for (int32_t i = 0; i < rank - 2 && status == TL_OK; i++) {
        tl_dim size = w->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : w->dims[i + 2];
        y->dims[i + 2] = state->shape_given ? state->shape[i] : TL_DIM_UNKNOWN;
        if (size >= 0 && state->window.kernel_given && size != state->window.kernel[i])
            return tl_fail(call, TL_INVALID_MODEL, "kernel_shape[%d] is %lld, but W's kernel has size %lld there", i,
                           (long long)state->window.kernel[i], (long long)size);
        if (size == 0)
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of W is 0, but a kernel has at least one tap", i + 2);
        if (size > 0)
            state->window.kernel[i] = size;
        if (size > 0 || state->window.kernel_given)
            status = transpose_axis(call, state, i, x->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : x->dims[i + 2],
                                    &y->dims[i + 2], &begin[i]);
    }
    return status;
}

static tl_status transpose_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *w = call->inputs[1];
    tl_tensor *y = call->outputs[0];
    int64_t begin[CONV_MAX_SPATIAL] = {0}, rows;
    transpose_state local;
    tl_status status = TL_OK;
    if (call->state)
        local = *(const transpose_state *)call->state;
    else
        status = transpose_parse(call, &local);
    if (status == TL_OK)
        status = transpose_shape(call, &local, y, begin);
    if (status == TL_OK)
        status = nn_check_rank(call, 2, 1, 1);
    if (status == TL_OK && y->rank != TL_RANK_UNKNOWN)
        status = nn_check_dim(call, 2, 0, y->dims[1], "one bias for each filter");
    if (status != TL_OK || !call->plan)
        return status;
    transpose_plan *plan = call->plan;
    conv_geometry *g = &plan->g;
    conv_geometry_set(g, &local.window, x, w, y, local.group, begin);
    g->channels = w->dims[0] / local.group;
    g->filters = w->dims[1];
    call->workspace_size = 0;
    nn_widen_place(call, transpose_packed(call));
    if (!nn_mul(g->filters, g->taps, &rows) || !nn_mul(rows, g->in_area, &rows))
        rows = INT64_MAX;
    plan->columns = nn_place(call, rows, x->type == TL_DOUBLE ? sizeof(double) : sizeof(float));
    const tl_type type = product_type(x->type);
    const product_factor input = {
        .lines = g->in_area, .depth = g->channels, .line_step = 1, .depth_step = g->in_area, .matrices = 1};
    product_factor weights = weight_factor(g->channels, g->filters * g->taps, local.group, type);
    product_set(&plan->product, type, input, weights);
    product_place(call, &plan->product, local.packed != NULL);
    return TL_OK;
}

/* ---- Run */

typedef struct transpose_job {
    const conv_geometry *g;
    const void *bias; /* of the current group */
    void *y, *columns;
    int64_t bands; /* of y's first axis, for each thread one, as it computed the product */
    bool is_double;
} transpose_job;

/* Adds what one row of the input gives to one tap: y[at + i * stride] += a[i] where that exists. With a stride of 2
 * also what it gives to the next tap, b, unless that is NULL: both together are dense. */
#define ADD_ROW(name, type)                                                                                      \
    static void name(const type *a, const type *b, int64_t n, int64_t at, int64_t stride, int64_t size, type *y) \
    {                                                                                                            \
        int64_t first, last, next, end;                                                                          \
        conv_taps(at, stride, n, size, &first, &last);                                                           \
        if (b) {                                                                                                 \
            conv_taps(at + 1, stride, n, size, &next, &end);                                                     \
            if (next < first && next < end) /* b begins and ends at most one earlier */                          \
                y[at + 1 + 2 * next] += b[next];                                                                 \
            for (; first < end; first++) {                                                                       \
                y[at + 2 * first] += a[first];                                                                   \
                y[at + 1 + 2 * first] += b[first];                                                               \
            }                                                                                                    \
        }                                                                                                        \
        if (stride == 1)                                                                                         \
            for (int64_t i = first; i < last; i++)                                                               \
                y[at + i] += a[i];                                                                               \
        else                                                                                                     \
            for (int64_t i = first; i < last; i++)                                                               \
                y[at + i * stride] += a[i];                                                                      \
    }
ADD_ROW(add_row_f32, float)
ADD_ROW(add_row_f64, double)

static int64_t band_begin(const transpose_job *job, int64_t band)
{
    const int64_t size = job->g->out_size[0];
    return band * (size / job->bands) + nn_min(band, size % job->bands);
}

/* One tap, or with `two` also the next on the last axis. */
static void add_tap(const transpose_job *job, const int64_t *tap, int64_t column, int64_t filter, int64_t band,
                    bool two)
{
    const conv_geometry *g = job->g;
    const int32_t last = g->spatial - 1;
    const int64_t n = g->in_size[last], size = g->out_size[last], at = tap[last] * g->dilations[last] - g->pads[last];
    const int64_t slice = g->in_area / g->in_size[0], begin = band_begin(job, band);
    int64_t index[CONV_MAX_SPATIAL] = {0}, end = g->in_size[0];
    if (last > 0)
        conv_taps(tap[0] * g->dilations[0] - g->pads[0] - begin, g->strides[0], end, band_begin(job, band + 1) - begin,
                  &index[0], &end);
    for (int64_t i = index[0] * slice; i < end * slice; i += n, conv_step(index, g->in_size, last)) {
        int64_t row = 0;
        bool inside = true;
        for (int32_t d = 0; d < last && inside; d++) {
            int64_t position = index[d] * g->strides[d] + tap[d] * g->dilations[d] - g->pads[d];
            inside = position >= 0 && position < g->out_size[d];
            row = row * g->out_size[d] + position;
        }
        if (!inside)
            continue;
        int64_t to = filter * g->out_area + row * size;
        if (job->is_double) {
            const double *a = (const double *)job->columns + column + i;
            add_row_f64(a, two ? a + g->in_area : NULL, n, at, g->strides[last], size, (double *)job->y + to);
        } else {
            const float *a = (const float *)job->columns + column + i;
            add_row_f32(a, two ? a + g->in_area : NULL, n, at, g->strides[last], size, (float *)job->y + to);
        }
    }
}

static void add_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const transpose_job *job = context;
    const conv_geometry *g = job->g;
    const int32_t last = g->spatial - 1;
    const bool pairs = g->strides[last] == 2 && g->dilations[last] == 1;
    (void)thread;
    const int64_t slice = g->out_area / g->out_size[0];
    for (int64_t piece = begin; piece < end; piece++) {
        const int64_t filter = piece % g->filters, band = piece / g->filters;
        const int64_t behind = filter * g->out_area + band_begin(job, band + 1) * slice;
        int64_t tap[CONV_MAX_SPATIAL] = {0};
        for (int64_t i = filter * g->out_area + band_begin(job, band) * slice; i < behind; i++)
            if (job->is_double)
                ((double *)job->y)[i] = job->bias ? ((const double *)job->bias)[filter] : 0;
            else
                ((float *)job->y)[i] = job->bias ? ((const float *)job->bias)[filter] : 0;
        for (int64_t k = 0; k < g->taps && g->in_area > 0; k++, conv_step(tap, g->kernel, g->spatial)) {
            const bool two = pairs && tap[last] + 1 < g->kernel[last];
            add_tap(job, tap, (filter * g->taps + k) * g->in_area, filter, band, two);
            if (two) {
                k++;
                conv_step(tap, g->kernel, g->spatial);
            }
        }
    }
}

/* The packed weights of every group. */
static const char *packed_weights(tl_call *call)
{
    const transpose_plan *plan = call->plan;
    const transpose_state *state = call->state;
    const product_factor *f = &plan->product.b;
    if (state->packed)
        return state->packed;
    if (!product_is_empty(&plan->product) && f->depth > 0)
        product_pack(f, plan->product.type, call->inputs[1]->data, 0, f->matrices * f->pieces,
                     nn_at(call, plan->product.b_packed));
    else if (!product_is_empty(&plan->product))
        memset(nn_at(call, plan->product.b_packed), 0, (size_t)f->matrices * f->each);
    return nn_at(call, plan->product.b_packed);
}

static tl_status transpose_real(tl_call *call)
{
    const transpose_plan *plan = call->plan;
    const conv_geometry *g = &plan->g;
    const tl_tensor *bias = op_input(call, 2);
    const bool is_double = call->inputs[0]->type == TL_DOUBLE;
    const int64_t size = is_double ? sizeof(double) : sizeof(float);
    if (op_elements(call->outputs[0]) == 0)
        return TL_OK;
    const char *weights = packed_weights(call);
    const product_result columns = {.c = nn_at(call, plan->columns), .transposed = true, .alpha = 1};
    for (int64_t i = 0; i < g->batch * g->group; i++) {
        const int64_t group = i % g->group;
        transpose_job job = {.g = g,
                             .bias = bias ? (const char *)bias->data + group * g->filters * size : NULL,
                             .y = (char *)call->outputs[0]->data + i * g->filters * g->out_area * size,
                             .columns = columns.c,
                             .bands = g->spatial > 1 ? nn_min(call->thread_count, g->out_size[0]) : 1,
                             .is_double = is_double};
        product_run(call, &plan->product, (const char *)call->inputs[0]->data + i * g->channels * g->in_area * size,
                    NULL, weights + (size_t)group * plan->product.b.each, &columns);
        call->host->parallel_for(call, add_task, &job, g->filters * job.bands,
                                 nn_grain(g->taps * g->in_area / job.bands, 1 << 14));
    }
    return TL_OK;
}

static tl_status transpose_run(tl_call *call)
{
    return nn_widen_run(call, transpose_packed(call), transpose_real);
}

/* An output reads inputs where taps lie, counted in outputs. */
static bool transpose_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const conv_geometry *g = &((const transpose_plan *)call->plan)->g;
    const int32_t i = axis - 2;
    if (i >= 0)
        *reach = (tl_reach){-g->strides[i], (g->kernel[i] - 1) * g->dilations[i] - g->pads[i], g->pads[i]};
    return k == 0 && axis != 1;
}

/* ---- Schema */

static const tl_param transpose_input[] = {OP_IN("X", TL_T_FLOATS, 'T'), OP_IN("W", TL_T_FLOATS, 'T'),
                                           OP_OPT("B", TL_T_FLOATS, 'T')};
static const tl_param transpose_output[] = {OP_IN("Y", TL_T_FLOATS, 'T')};
static const tl_attribute_spec transpose_attribute[] = {
    OP_STRING("auto_pad", "NOTSET"), OP_INTS("dilations"),    OP_INT("group", 1), OP_INTS("kernel_shape"),
    OP_INTS("output_padding"),       OP_INTS("output_shape"), OP_INTS("pads"),    OP_INTS("strides")};

OP_DESCRIPTOR(ConvTranspose, 1) = {OP_HEAD(ConvTranspose, 1),
                                   OP_PARAMS(input, transpose_input),
                                   OP_PARAMS(output, transpose_output),
                                   OP_PARAMS(attribute, transpose_attribute),
                                   .flags = TL_OP_LONG,
                                   .plan_size = sizeof(transpose_plan),
                                   .create = transpose_create,
                                   .reshape = transpose_reshape,
                                   .run = transpose_run,
                                   .destroy = transpose_destroy,
                                   .reach = transpose_reach};
