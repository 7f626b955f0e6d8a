/* ConvInteger and QLinearConv, and a private form with steps, over any number of axes: the data is laid out once as
 * quads of four channels for each pixel, padded with its zero point, so that every tap of the window is a run of the
 * kernels' product (kernels/bytes.h) that reads it in place. Where a stride leads over pixels, those of each remainder
 * lie together. A channel that has a filter of its own stays bytes; quads are what neighbouring taps of a remainder
 * read. A single channel, as recordings have, would fill a quarter of each quad: four neighbouring taps become
 * channels, each of which has the data from its tap on. */
#include "onnx/byte_product.h"
#include "onnx/conv.h"
#include "onnx/quant.h"

static const tlk_bytes_kernel *kernel(void)
{
    return tlk_get_bytes(tlk_get());
}

typedef struct quant_conv {
    size_t x, x_zero, w, w_zero;
    tlk_bytes_form form; /* ConvInteger's is sums, QLinearConv's bytes; that with steps has floats */
} quant_conv;
static const quant_conv integer_conv = {INTEGER_A, INTEGER_A_ZERO, INTEGER_B, INTEGER_B_ZERO, TLK_BYTES_SUMS};
static const quant_conv fused_conv = {INTEGER_A, INTEGER_A_ZERO, INTEGER_B, INTEGER_B_ZERO, TLK_BYTES_FLOATS};
static const quant_conv linear_conv = {LINEAR_A, LINEAR_A_ZERO, LINEAR_B, LINEAR_B_ZERO, TLK_BYTES_BYTES};
enum { FUSED_OPERANDS = 4 };

static bool is_linear(const quant_conv *c)
{
    return c->form == TLK_BYTES_BYTES;
}

/* Filters as the kernel packs them, group after group, and the sum of each. */
typedef struct quant_filters {
    int64_t groups, filters, channels, taps; /* of one group */
    int narrow;                              /* taps of a quad, where a channel has a filter of its own, or 0 */
    int64_t remainders, apart;               /* then: of the last axis; how far apart such neighbours are */
    int64_t runs, depth;                     /* as the kernel takes them */
    int64_t tap_step, step;                  /* in a filter: from tap to tap, and from channel to channel */
    size_t each, size; /* bytes of one packed group, and of all with the sums; SIZE_MAX: too many */
} quant_filters;

typedef struct quant_plan {
    conv_geometry given, g; /* g: as it is computed, perhaps of folded taps */
    int64_t shift;          /* in the data, from channel to channel */
    size_t line;            /* in the workspace, where taps are folded: the data with what is outside */
    quant_filters filters;
    int64_t phases[CONV_MAX_SPATIAL]; /* remainders of pixels by the stride that some tap reads */
    int64_t sizes[CONV_MAX_SPATIAL];  /* pixels of each remainder */
    int64_t area, plane;              /* pixels of one remainder of all axes, and of all */
    size_t pixel;                     /* bytes of one */
    bool whole;                       /* the pixels are the data in their order */
    int64_t slabs, lanes;             /* the last two axes at a time; their lanes, from the first to the last result */
    int64_t tile, tiles;              /* of lanes */
    size_t packed, pixels, ones, window_sums, offsets, terms; /* in the workspace */
    steps_place places[TLK_MAX_STEPS];
} quant_plan;

/* What comes of each filter's zero point, scale and bias. */
typedef struct filter_terms {
    bool window_sums; /* some filter's zero point is not 0 */
    int32_t *starts;  /* what its sums begin with */
    int32_t *factors; /* of the window's sum */
    float *scales;
} filter_terms;

typedef struct quant_state {
    void *packed; /* constant filters, or NULL */
    bool folded;  /* four taps of their one channel are channels */
    void *memory; /* of the terms, where all inputs but the data are constant, or NULL */
    filter_terms terms;
    steps_program steps;
} quant_state;

/* ---- Filters */

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Whether tap k of the last axis is a quad's first. */
static bool begins_quad(const quant_filters *f, int64_t k)
{
    return f->narrow == 0 || k / f->remainders % f->narrow == 0;
}

static quant_filters filters_of(const tl_tensor *w, int64_t groups, const conv_window *window, bool folded)
{
    quant_filters f = {.groups = groups,
                       .filters = w->dims[0] / groups,
                       .channels = w->dims[1],
                       .taps = op_product(w, 2, w->rank),
                       .size = SIZE_MAX};
    if (folded) {
        f.channels = TLK_QUAD;
        f.taps = nn_ceil_div(f.taps, TLK_QUAD);
    }
    f.runs = f.taps;
    f.depth = f.channels;
    f.tap_step = folded ? TLK_QUAD : 1;
    f.step = folded ? 1 : f.taps;
    if (f.filters == 1 && f.channels == 1 && f.taps > 0) {
        enum { REACH = 12 }; /* of a quad; kernels/bytes.h */
        const int64_t size = w->dims[w->rank - 1], stride = window->strides[w->rank - 3];
        const int64_t common = common_divisor(stride, window->dilations[w->rank - 3]);
        f.remainders = nn_min(size, stride / common);
        f.apart = window->dilations[w->rank - 3] / common;
        f.narrow = (int)nn_min(TLK_QUAD, 1 + REACH / f.apart);
        const int64_t cycle = f.remainders * f.narrow;
        f.runs = f.taps / size * (size / cycle * f.remainders + nn_min(size % cycle, f.remainders));
        f.depth = TLK_QUAD;
    }
    f.each = kernel()->packed_size(f.filters, f.runs, f.depth);
    size_t all;
    if (f.each < SIZE_MAX / 4 && !__builtin_mul_overflow(f.each, (size_t)groups, &all) && all < SIZE_MAX / 4)
        f.size = all + (size_t)w->dims[0] * sizeof(int32_t);
    return f;
}

static int32_t *filter_sums(const quant_filters *f, const void *packed)
{
    return (int32_t *)((char *)packed + (size_t)f->groups * f->each);
}

/* Quad by quad a filter that is the only one of its channel, with taps along a last axis of `size`, `step` apart. */
static void pack_narrow(const quant_filters *f, const void *data, bool is_signed, int64_t size, int64_t step,
                        char *packed, int32_t *sum)
{
    for (int64_t t = 0; t < f->taps; t++) {
        const int64_t left = nn_ceil_div(size - t % size, f->remainders);
        const tlk_bytes_left quad = {.data = (const char *)data + t * step,
                                     .is_signed = is_signed,
                                     .rows = 1,
                                     .taps = 1,
                                     .depth = nn_min(f->narrow, left),
                                     .step = f->remainders * step};
        int32_t part;
        if (!begins_quad(f, t % size))
            continue;
        kernel()->pack(&quad, 0, 1, packed, &part);
        packed += kernel()->packed_size(1, 1, TLK_QUAD);
        *sum = (int32_t)((uint32_t)*sum + (uint32_t)part);
    }
}

static void pack_filters(const quant_filters *f, const tl_tensor *w, void *packed)
{
    const int64_t row = f->channels * f->taps;
    for (int64_t g = 0; g < f->groups; g++) {
        const tlk_bytes_left left = {.data = (const char *)w->data + g * f->filters * row,
                                     .is_signed = w->type == TL_INT8,
                                     .rows = f->filters,
                                     .taps = f->taps,
                                     .depth = f->channels,
                                     .row_step = row,
                                     .tap_step = f->tap_step,
                                     .step = f->step};
        char *to = (char *)packed + (size_t)g * f->each;
        int32_t *sums = filter_sums(f, packed) + g * f->filters;
        *sums = 0;
        if (f->narrow > 0)
            pack_narrow(f, left.data, left.is_signed, w->dims[w->rank - 1], 1, to, sums);
        else
            kernel()->pack(&left, 0, nn_ceil_div(f->filters, kernel()->block), to, sums);
    }
}

/* Taps missing for folded ones are 0. */
static tl_status pack_constant(const tl_call *call, const quant_filters *f, const tl_tensor *w, bool folded,
                               void *packed)
{
    if (!folded) {
        pack_filters(f, w, packed);
        return TL_OK;
    }
    const size_t row = (size_t)(f->channels * f->taps), taps = (size_t)w->dims[2];
    tl_tensor whole = *w;
    char *data = call->host->alloc(call->host, (size_t)w->dims[0] * row, 64);
    if (!data)
        return TL_NO_MEMORY;
    memset(data, 0, (size_t)w->dims[0] * row);
    for (size_t i = 0; i < (size_t)w->dims[0]; i++)
        memcpy(data + i * row, (const char *)w->data + i * taps, taps);
    whole.data = data;
    pack_filters(f, &whole, packed);
    call->host->free(call->host, data);
    return TL_OK;
}

/* One filter of ones: its results are the sums of what the window covers. */
static void pack_ones(const quant_filters *f, int64_t size, void *packed)
{
    static const int8_t one = 1;
    const tlk_bytes_left left = {.data = &one, .is_signed = true, .rows = 1, .taps = f->taps, .depth = f->channels};
    int32_t unused = 0;
    if (f->narrow > 0)
        pack_narrow(f, &one, true, size, 0, packed, &unused);
    else
        kernel()->pack(&left, 0, 1, packed, NULL);
}

/* ---- Zero points, scales and bias: zero points and scales are one for X and Y, and one for each filter of W. */

static tl_status check_single(const tl_call *call, size_t k, int64_t most)
{
    const tl_tensor *in = op_input(call, k);
    int64_t n = in ? nn_product(in, 0, in->rank) : 1;
    if (n < 0 || most < 0 || n == 1 || (n == most && in->rank == 1))
        return TL_OK;
    return tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld elements, but must have one%s", k, (long long)n,
                   most > 1 ? ", or one for each filter" : "");
}

static tl_status check_parameters(const tl_call *call, const quant_conv *c)
{
    static const size_t single[] = {LINEAR_A_SCALE, LINEAR_Y_SCALE, LINEAR_Y_ZERO};
    const tl_tensor *w = call->inputs[c->w];
    const int64_t filters = w->rank > 0 ? w->dims[0] : -1;
    tl_status status = check_single(call, c->x_zero, 1);
    if (status == TL_OK)
        status = check_single(call, c->w_zero, filters);
    if (!is_linear(c))
        return status;
    for (size_t i = 0; i < sizeof single / sizeof single[0] && status == TL_OK; i++)
        status = check_single(call, single[i], 1);
    if (status == TL_OK)
        status = check_single(call, LINEAR_B_SCALE, filters);
    if (status == TL_OK)
        status = nn_check_rank(call, LINEAR_BIAS, 1, 1);
    if (status == TL_OK)
        status = nn_check_dim(call, LINEAR_BIAS, 0, filters, "one bias for each filter");
    return status;
}

/* The data's zero point as packed. */
static int32_t packed_zero(const tl_call *call, const quant_conv *c)
{
    const tl_tensor *zero = op_input(call, c->x_zero);
    return (zero ? quant_byte(zero, 0) : 0) + (call->inputs[c->x]->type == TL_INT8 ? 128 : 0);
}

enum { TERMS_SIZE = 3 * sizeof(int32_t) }; /* of each filter */

static filter_terms prepare_terms(const tl_call *call, const quant_conv *c, const quant_filters *f, const void *packed,
                                  void *memory)
{
    const int64_t filters = f->groups * f->filters;
    const int32_t *sums = filter_sums(f, packed);
    filter_terms terms = {false, memory, (int32_t *)memory + filters, (float *)memory + 2 * filters};
    const tl_tensor *zero = op_input(call, c->w_zero), *bias = is_linear(c) ? op_input(call, LINEAR_BIAS) : NULL;
    const int32_t w_shift = call->inputs[c->w]->type == TL_INT8 ? 0 : 128;
    const uint32_t x_zero = (uint32_t)packed_zero(call, c), depth = (uint32_t)(f->channels * f->taps);
    const int64_t zero_step = zero && op_elements(zero) > 1;
    for (int64_t i = 0; i < filters; i++) {
        const uint32_t from = bias ? (uint32_t)((const int32_t *)bias->data)[i] : 0;
        terms.factors[i] = w_shift - (zero ? quant_byte(zero, i * zero_step) : 0);
        terms.starts[i] = (int32_t)(from - x_zero * ((uint32_t)sums[i] + depth * (uint32_t)terms.factors[i]));
        terms.window_sums |= terms.factors[i] != 0;
    }
    if (!is_linear(c))
        return terms;
    const float *x_scale = call->inputs[LINEAR_A_SCALE]->data, *w_scale = call->inputs[LINEAR_B_SCALE]->data,
                *y_scale = call->inputs[LINEAR_Y_SCALE]->data;
    const int64_t step = op_elements(call->inputs[LINEAR_B_SCALE]) > 1;
    for (int64_t i = 0; i < filters; i++)
        terms.scales[i] = x_scale[0] * w_scale[i * step] / y_scale[0];
    return terms;
}

/* ---- State */

static void destroy(const tl_host *host, void *memory)
{
    quant_state *state = memory;
    if (state->packed)
        host->free(host, state->packed);
    if (state->memory)
        host->free(host, state->memory);
    host->free(host, state);
}

static bool all_constant_but(const tl_call *call, size_t x)
{
    for (size_t k = 0; k < call->input_count; k++)
        if (k != x && call->inputs[k] && !call->inputs[k]->data)
            return false;
    return true;
}

/* Several filters of one channel with a single axis, without zero points: those would ask for sums of windows. */
static bool can_fold(const tl_call *call, const quant_conv *c, int64_t groups)
{
    const tl_tensor *w = call->inputs[c->w], *zero = op_input(call, c->w_zero);
    if (zero && !zero->data)
        return false;
    for (int64_t i = 0; zero && i < op_elements(zero); i++)
        if (quant_byte(zero, i) != 0)
            return false;
    return w->type == TL_INT8 && w->rank == 3 && groups == 1 && w->dims[1] == 1 && w->dims[0] > 1 && w->dims[2] > 1;
}

static tl_status create(tl_call *call, const quant_conv *c)
{
    const tl_tensor *w = call->inputs[c->w];
    const int64_t groups = op_int(call, "group");
    const bool constant = all_constant_but(call, c->x);
    conv_window window;
    steps_program steps = {.count = 0};
    tl_status status = conv_window_parse(call, CONV_DILATIONS, &window);
    if (status == TL_OK)
        status = check_parameters(call, c);
    if (status == TL_OK && c->form == TLK_BYTES_FLOATS)
        status = steps_parse(call, FUSED_OPERANDS, &steps);
    if (status != TL_OK)
        return status;
    quant_state *state = nn_new_state(call, sizeof *state);
    if (!state)
        return TL_NO_MEMORY;
    call->state = state;
    state->steps = steps;
    /* Shapes that do not fit are not packed: reshape reports them. */
    if (!w->data || w->rank < 3 || (window.spatial >= 0 && window.spatial != w->rank - 2) || groups < 1 ||
        w->dims[0] % groups != 0 || op_elements(w) == 0)
        return TL_OK;
    state->folded = can_fold(call, c, groups);
    const quant_filters f = filters_of(w, groups, &window, state->folded);
    if (f.size != SIZE_MAX)
        state->packed = call->host->alloc(call->host, f.size, 64);
    if (state->packed && constant)
        state->memory = call->host->alloc(call->host, (size_t)w->dims[0] * TERMS_SIZE, 64);
    if (!state->packed || (constant && !state->memory) ||
        pack_constant(call, &f, w, state->folded, state->packed) != TL_OK) {
        destroy(call->host, state);
        call->state = NULL;
        return tl_fail(call, TL_NO_MEMORY, "no memory for packed weights");
    }
    call->packed = (uint64_t)1 << c->w;
    if (constant)
        state->terms = prepare_terms(call, c, &f, state->packed, state->memory);
    return TL_OK;
}

/* ---- Shapes and plan */

/* Taps k and k + period read the same remainder of pixels. */
static int64_t period(const conv_geometry *g, int32_t i)
{
    return g->strides[i] / common_divisor(g->strides[i], g->dilations[i]);
}

/* Pixels behind the last plane, which the kernel may read. */
static int64_t room(void)
{
    return kernel()->panel * TLK_QUAD;
}

/* Sizes of the data as quads; false: they do not fit. */
static bool plan_pixels(quant_plan *plan)
{
    const conv_geometry *g = &plan->g;
    int64_t phases = 1;
    plan->area = plan->slabs = plan->lanes = 1;
    for (int32_t i = 0; i < g->spatial; i++) {
        plan->phases[i] = nn_min(g->kernel[i], period(g, i));
        if (!nn_add(g->out_size[i], (g->kernel[i] - 1) * g->dilations[i] / g->strides[i], &plan->sizes[i]) ||
            !nn_mul(plan->area, plan->sizes[i], &plan->area) || !nn_mul(phases, plan->phases[i], &phases))
            return false;
        if (i < g->spatial - 2)
            plan->slabs *= g->out_size[i];
    }
    plan->whole = plan->area == g->in_area;
    for (int32_t i = 0; i < g->spatial; i++)
        plan->whole = plan->whole && g->strides[i] == 1 && g->pads[i] == 0 && plan->sizes[i] == g->in_size[i];
    const int32_t last = g->spatial - 1;
    plan->lanes = (last > 0 ? (g->out_size[last - 1] - 1) * plan->sizes[last] : 0) + g->out_size[last];
    return nn_mul(plan->area, phases, &plan->plane);
}

/* Four neighbouring taps as channels, of the data with what is outside of it. */
static void fold_taps(tl_call *call, quant_plan *plan)
{
    conv_geometry *g = &plan->g;
    int64_t reach, length = INT64_MAX;
    plan->shift = g->dilations[0];
    g->channels = TLK_QUAD;
    g->kernel[0] = g->taps = nn_ceil_div(g->kernel[0], TLK_QUAD);
    g->pads[0] = 0;
    if (nn_mul(plan->shift, TLK_QUAD, &g->dilations[0]) && nn_mul(g->taps, g->dilations[0], &reach) &&
        nn_add(reach, (g->out_size[0] - 1) * g->strides[0] + 1, &length)) {
        length -= plan->shift;
        g->in_size[0] = g->in_area = length - (TLK_QUAD - 1) * plan->shift;
    }
    plan->line = nn_place(call, length, 1);
}

static void make_plan(tl_call *call, const quant_conv *c, const conv_window *window, quant_plan *plan)
{
    const conv_geometry *g = &plan->g;
    const quant_state *state = call->state;
    const bool folded = state && state->folded;
    plan->given = plan->g;
    plan->shift = g->in_area;
    if (folded)
        fold_taps(call, plan);
    const int64_t panel = kernel()->panel;
    int64_t quads = g->group * nn_ceil_div(g->channels, TLK_QUAD), sums = INT64_MAX;
    plan->filters = filters_of(call->inputs[c->w], g->group, window, folded);
    plan->pixel = plan->filters.narrow > 0 ? 1 : sizeof(uint32_t);
    if (!plan_pixels(plan) || !nn_mul(quads, plan->plane, &quads) || !nn_add(quads, room(), &quads) ||
        !nn_mul(g->group * plan->slabs, plan->filters.narrow > 0 ? 0 : plan->lanes, &sums))
        quads = sums = INT64_MAX;
    /* Tiles whose data stays in the second-level cache while all filters go over it; enough of them for all threads,
     * each large enough for the filters to come from further away. */
    const int64_t panels = nn_ceil_div(plan->lanes, panel), depth = nn_max(nn_ceil_div(g->channels, TLK_QUAD), 1);
    plan->tile = nn_min(panels, nn_max(16, (1 << 17) / depth / panel));
    if (call->thread_count > 1)
        plan->tile = nn_min(plan->tile, nn_max(nn_min(panels, 4), panels / (2 * call->thread_count)));
    plan->tile *= panel;
    plan->tiles = nn_ceil_div(plan->lanes, plan->tile);
    plan->pixels = nn_place(call, quads, plan->pixel);
    plan->window_sums = nn_place(call, sums, sizeof(int32_t));
    if (!state || !state->packed)
        plan->packed = nn_place(call, 1, plan->filters.size);
    plan->ones = nn_place(call, 1, kernel()->packed_size(1, plan->filters.runs, plan->filters.depth));
    plan->offsets = nn_place(call, plan->filters.runs, sizeof(int64_t));
    if (!state || !state->memory)
        plan->terms = nn_place(call, g->group * g->filters, TERMS_SIZE);
}

static tl_status reshape(tl_call *call, const quant_conv *c)
{
    const tl_tensor *x = call->inputs[c->x], *w = call->inputs[c->w];
    const int64_t group = op_int(call, "group");
    int64_t pads[CONV_MAX_SPATIAL] = {0};
    conv_window window;
    tl_status status = check_parameters(call, c);
    if (status == TL_OK)
        status = conv_window_parse(call, CONV_DILATIONS, &window);
    if (status == TL_OK)
        status = conv_output_shape(call, &window, group, x, w, call->outputs[0], pads);
    if (status != TL_OK || !call->plan)
        return status;
    quant_plan *plan = call->plan;
    call->workspace_size = 0;
    if (op_elements(call->outputs[0]) == 0)
        return TL_OK;
    conv_geometry_set(&plan->g, &window, x, w, call->outputs[0], group, pads);
    make_plan(call, c, &window, plan);
    return steps_set_places(call, &((const quant_state *)call->state)->steps, FUSED_OPERANDS, call->outputs[0], 1, 2,
                            plan->places);
}

/* ---- Run */

typedef struct conv_job {
    const tl_call *call;
    const quant_plan *plan;
    int64_t sample;
    const uint8_t *x; /* of this sample */
    const tlk_bytes_kernel *kernel;
    bool x_signed;
    int32_t x_zero; /* as packed */
    char *pixels;
    const char *packed;
    filter_terms terms;
    tlk_bytes product; /* all but what depends on group, slab and tile */
    size_t y_size;
} conv_job;

/* n pixels that are outside of the data. */
static void fill_outside(const conv_job *job, char *to, int64_t n)
{
    memset(to, job->x_zero, (size_t)n * job->plan->pixel);
}

/* n pixels, by the stride, of up to four channels from `from` on. */
static void fill_inside(const conv_job *job, const uint8_t *from, int count, int64_t stride, int64_t n, char *to)
{
    const uint8_t flip = job->x_signed ? 0x80 : 0;
    const uint8_t *rows[TLK_QUAD];
    for (int k = 0; k < TLK_QUAD; k++)
        rows[k] = from + (k < count ? k : 0) * job->plan->shift;
    if (job->plan->pixel != 1)
        job->kernel->quads(rows, count, job->x_signed, stride, n, (uint32_t *)(void *)to);
    else if (stride == 1)
        for (int64_t i = 0; i < n; i++)
            to[i] = (char)(from[i] ^ flip);
    else if (stride == 2)
        for (int64_t i = 0; i < n; i++)
            to[i] = (char)(from[i * 2] ^ flip);
    else
        for (int64_t i = 0; i < n; i++)
            to[i] = (char)(from[i * stride] ^ flip);
}

/* The last digit of a number whose digits have `n` values, which leaves it; most often there is but one value. */
static int64_t take_digit(int64_t *number, int64_t n)
{
    const int64_t digit = n > 1 ? *number % n : 0;
    *number = n > 1 ? *number / n : *number;
    return digit;
}

/* A row of pixels of planes begin <= at < end, from each plane's pixel `to` on: `left` outside of the data, those of
 * the data from its pixel `from` on up to `right`, and again some outside, n in all. */
static void fill_rows(const conv_job *job, int64_t begin, int64_t end, int64_t from, int64_t stride, int64_t left,
                      int64_t right, int64_t n, int64_t to)
{
    const quant_plan *plan = job->plan;
    const conv_geometry *g = &plan->g;
    const int64_t quads = nn_ceil_div(g->channels, TLK_QUAD);
    for (int64_t at = begin; at < end; at++) {
        int64_t group = at;
        const int64_t first = take_digit(&group, quads) * TLK_QUAD;
        char *pixels = job->pixels + (size_t)(at * plan->plane + to) * plan->pixel;
        if (plan->pixel > 1)
            fill_outside(job, pixels, left);
        if (right > left)
            fill_inside(job, job->x + (group * g->channels + first) * g->in_area + from,
                        (int)nn_min(TLK_QUAD, g->channels - first), stride, right - left,
                        pixels + (size_t)left * plan->pixel);
        if (plan->pixel > 1)
            fill_outside(job, pixels + (size_t)right * plan->pixel, n - right);
    }
}

/* Planes of up to four channels each. */
static void fill_planes(const conv_job *job, int64_t begin, int64_t end)
{
    const quant_plan *plan = job->plan;
    const conv_geometry *g = &plan->g;
    const int32_t last = g->spatial - 1;
    const int64_t stride = g->strides[last], n = plan->sizes[last];
    int64_t phase[CONV_MAX_SPATIAL], index[CONV_MAX_SPATIAL], to = 0;
    if (plan->whole) {
        fill_rows(job, begin, end, 0, 1, 0, g->in_area, g->in_area, 0);
        return;
    }
    if (plan->pixel == 1) /* at once: rows may be short */
        fill_outside(job, job->pixels + begin * plan->plane, (end - begin) * plan->plane);
    for (int32_t i = 0; i <= last; i++)
        phase[i] = index[i] = 0;
    do {
        int64_t offset[CONV_MAX_SPATIAL], left, right;
        for (int32_t i = 0; i <= last; i++)
            offset[i] = (g->strides[i] > 1 ? phase[i] * g->dilations[i] % g->strides[i] : 0) - g->pads[i];
        conv_taps(offset[last], stride, n, g->in_size[last], &left, &right);
        do {
            int64_t row = 0;
            bool inside = right > left;
            for (int32_t i = 0; i < last; i++) {
                const int64_t at = index[i] * g->strides[i] + offset[i];
                inside = inside && at >= 0 && at < g->in_size[i];
                row = inside ? row * g->in_size[i] + at : 0;
            }
            fill_rows(job, begin, end, row * g->in_size[last] + offset[last] + left * stride, stride, inside ? left : n,
                      inside ? right : n, n, to);
            to += n;
        } while (conv_step(index, plan->sizes, last));
    } while (conv_step(phase, plan->phases, g->spatial));
}

static void fill_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    enum { PLANES = 16 }; /* whose rows are near each other */
    (void)thread;
    for (; begin < end; begin += PLANES)
        fill_planes(context, begin, nn_min(begin + PLANES, end));
}

/* Where the windows of a slab begin: its indices of all axes but the last two. */
static int64_t slab_offset(const quant_plan *plan, int64_t slab)
{
    int64_t offset = 0, step = plan->area;
    for (int32_t i = 0; i < plan->g.spatial - 2; i++)
        step /= plan->sizes[i];
    for (int32_t i = plan->g.spatial - 3; i >= 0; i--) {
        offset += slab % plan->g.out_size[i] * step;
        slab /= plan->g.out_size[i];
        step *= plan->sizes[i];
    }
    return offset;
}

static void product_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const conv_job *job = context;
    const quant_plan *plan = job->plan;
    const conv_geometry *g = &plan->g;
    const int64_t quads = nn_ceil_div(g->channels, TLK_QUAD), slab_area = g->out_area / plan->slabs;
    const int64_t blocks = nn_ceil_div(g->filters, job->kernel->block);
    (void)thread;
    tlk_bytes product = job->product;
    tlk_step steps[TLK_MAX_STEPS];
    for (int64_t at = begin; at < end; at++) {
        int64_t group = at;
        const int64_t tile = take_digit(&group, plan->tiles), slab = take_digit(&group, plan->slabs),
                      first = tile * plan->tile, last = nn_min(first + plan->tile, plan->lanes),
                      filter = group * g->filters;
        product.b = job->pixels + (size_t)(group * quads * plan->plane + slab_offset(plan, slab)) * plan->pixel;
        if (job->terms.window_sums && product.narrow) {
            product.ones = nn_at(job->call, plan->ones);
            product.terms[0].row = job->terms.factors + filter;
        } else if (job->terms.window_sums) {
            int32_t *sums = (int32_t *)nn_at(job->call, plan->window_sums) + (group * plan->slabs + slab) * plan->lanes;
            tlk_bytes window = job->product;
            window.b = product.b;
            window.rows = 1;
            window.form = TLK_BYTES_SUMS;
            window.c = sums;
            window.pitch = window.width = plan->lanes;
            job->kernel->run(&window, nn_at(job->call, plan->ones), 0, 1, first, last);
            product.terms[0].row = job->terms.factors + filter;
            product.terms[0].lane = sums;
        }
        product.start = job->terms.starts + filter;
        product.scale = job->terms.scales + filter;
        if (product.form == TLK_BYTES_FLOATS)
            byte_set_steps(&product, steps_bind(job->call, &((const quant_state *)job->call->state)->steps,
                                                FUSED_OPERANDS, plan->places, job->sample, filter, false, steps));
        product.c = (char *)job->product.c + (size_t)(filter * g->out_area + slab * slab_area) * job->y_size;
        job->kernel->run(&product, job->packed + (size_t)group * plan->filters.each, 0, blocks, first, last);
    }
}

static void set_offsets(const quant_plan *plan, int64_t *offsets)
{
    const conv_geometry *g = &plan->g;
    int64_t tap[CONV_MAX_SPATIAL] = {0};
    do {
        int64_t phase = 0, at = 0;
        for (int32_t i = 0; i < g->spatial; i++) {
            phase = phase * plan->phases[i] + tap[i] % plan->phases[i];
            at = at * plan->sizes[i] + tap[i] * g->dilations[i] / g->strides[i];
        }
        if (begins_quad(&plan->filters, tap[g->spatial - 1]))
            *offsets++ = phase * plan->area + at;
    } while (conv_step(tap, g->kernel, g->spatial));
}

/* How far behind the first of its taps each one of a quad is. */
static uint32_t quad_of(const quant_filters *f)
{
    uint32_t quad = 0;
    for (int k = 1; k < f->narrow; k++)
        quad |= (uint32_t)(k * f->apart) << 8 * k;
    return quad;
}

/* Neighbouring quads along a last axis of `size` taps. */
static int64_t following(const quant_filters *f, int64_t size)
{
    return f->remainders == 1 && f->apart == 1 ? nn_ceil_div(size, TLK_QUAD) : 1;
}

/* One channel of the data with its zero point around it. */
static const uint8_t *fill_line(const conv_job *job)
{
    const quant_plan *plan = job->plan;
    uint8_t *line = nn_at(job->call, plan->line);
    const int zero = job->x_zero - (job->x_signed ? 128 : 0);
    const int64_t length = plan->g.in_area + (TLK_QUAD - 1) * plan->shift;
    const int64_t left = nn_min(plan->given.pads[0], length), count = nn_min(plan->given.in_area, length - left);
    memset(line, zero, (size_t)left);
    memcpy(line + left, job->x, (size_t)count);
    memset(line + left + count, zero, (size_t)(length - left - count));
    return line;
}

static tl_status run(tl_call *call, const quant_conv *c)
{
    const quant_plan *plan = call->plan;
    const quant_state *state = call->state;
    const conv_geometry *g = &plan->g;
    const tl_tensor *x = call->inputs[c->x], *y = call->outputs[0];
    const int64_t quads = nn_ceil_div(g->channels, TLK_QUAD), last = g->spatial - 1;
    if (op_elements(y) == 0)
        return TL_OK;
    const bool lines = plan->sizes[last] > g->out_size[last]; /* whose ends are left out */
    conv_job job = {.call = call,
                    .plan = plan,
                    .kernel = kernel(),
                    .x_signed = x->type == TL_INT8,
                    .x_zero = packed_zero(call, c),
                    .pixels = nn_at(call, plan->pixels),
                    .packed = state->packed,
                    .terms = state->terms,
                    .y_size = is_linear(c) ? 1 : sizeof(int32_t),
                    .product = {.rows = g->filters,
                                .lanes = plan->lanes,
                                .depth = quads,
                                .taps = plan->filters.runs,
                                .offsets = nn_at(call, plan->offsets),
                                .b_step = plan->plane,
                                .b_lane_step = 1,
                                .narrow = plan->filters.narrow > 0,
                                .quad = quad_of(&plan->filters),
                                .follow = following(&plan->filters, g->kernel[last]),
                                .form = c->form,
                                .c_row_step = g->out_area,
                                .pitch = lines ? plan->sizes[last] : plan->lanes,
                                .width = lines ? g->out_size[last] : plan->lanes,
                                .scale_row_step = 1,
                                .zero = is_linear(c) ? quant_byte(call->inputs[LINEAR_Y_ZERO], 0) : 0,
                                .low = quant_low(y->type),
                                .high = quant_high(y->type)}};
    if (!job.packed) {
        job.packed = nn_at(call, plan->packed);
        pack_filters(&plan->filters, call->inputs[c->w], nn_at(call, plan->packed));
    }
    set_offsets(plan, nn_at(call, plan->offsets));
    if (!state->memory)
        job.terms = prepare_terms(call, c, &plan->filters, job.packed, nn_at(call, plan->terms));
    /* What the last panel reads beyond goes nowhere; valgrind, which takes neighbours together, is to see that. */
    memset(job.pixels + (size_t)(g->group * quads * plan->plane) * plan->pixel, 0, (size_t)room() * plan->pixel);
    if (job.terms.window_sums)
        pack_ones(&plan->filters, g->kernel[last], nn_at(call, plan->ones));
    const double cost = (double)g->filters * (double)plan->tile * (double)g->channels * (double)g->taps;
    for (int64_t b = 0; b < g->batch; b++) {
        job.sample = b;
        job.x = (const uint8_t *)x->data + b * g->group * plan->given.channels * plan->given.in_area;
        if (state->folded)
            job.x = fill_line(&job);
        job.product.c = (char *)y->data + (size_t)(b * g->group * g->filters * g->out_area) * job.y_size;
        call->host->parallel_for(call, fill_task, &job, g->group * quads, nn_grain(plan->plane, 1 << 14));
        call->host->parallel_for(call, product_task, &job, g->group * plan->slabs * plan->tiles,
                                 nn_grain(cost > 1e9 ? (int64_t)1e9 : (int64_t)cost, 1 << 18));
    }
    return TL_OK;
}

/* ---- Schemas */

static const tl_param integer_input[] = {OP_IN("x", QUANT_BYTES, 'A'), OP_IN("w", QUANT_BYTES, 'B'),
                                         OP_OPT("x_zero_point", QUANT_BYTES, 'A'),
                                         OP_OPT("w_zero_point", QUANT_BYTES, 'B')};
static const tl_param integer_output[] = {OP_IN("y", TL_T(TL_INT32), 0)};
static const tl_param fused_input[] = {OP_IN("x", QUANT_BYTES, 'A'), OP_IN("w", QUANT_BYTES, 'B'),
                                       OP_OPT("x_zero_point", QUANT_BYTES, 'A'),
                                       OP_OPT("w_zero_point", QUANT_BYTES, 'B'), STEPS_OPERANDS(TL_T(TL_FLOAT))};
static const tl_param fused_output[] = {OP_IN("y", TL_T(TL_FLOAT), 'T')};
static const tl_param linear_input[] = {OP_IN("x", QUANT_BYTES, 'A'),
                                        OP_IN("x_scale", TL_T(TL_FLOAT), 0),
                                        OP_IN("x_zero_point", QUANT_BYTES, 'A'),
                                        OP_IN("w", QUANT_BYTES, 'B'),
                                        OP_IN("w_scale", TL_T(TL_FLOAT), 0),
                                        OP_IN("w_zero_point", QUANT_BYTES, 'B'),
                                        OP_IN("y_scale", TL_T(TL_FLOAT), 0),
                                        OP_IN("y_zero_point", QUANT_BYTES, 'Y'),
                                        OP_OPT("B", TL_T(TL_INT32), 0)};
static const tl_param linear_output[] = {OP_IN("y", QUANT_BYTES, 'Y')};
#define ATTRIBUTES                                                                                      \
    OP_STRING("auto_pad", "NOTSET"), OP_INTS("dilations"), OP_INT("group", 1), OP_INTS("kernel_shape"), \
        OP_INTS("pads"), OP_INTS("strides")
static const tl_attribute_spec attributes[] = {ATTRIBUTES};
static const tl_attribute_spec fused_attributes[] = {ATTRIBUTES, STEPS_ATTRIBUTES};

/* Along batches, and under the window; operands of the steps are added where they lie. */
static bool quant_conv_reach(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const conv_geometry *g = &((const quant_plan *)call->plan)->given;
    const int32_t i = axis - 2;
    if (k == 0 && i >= 0)
        *reach = (tl_reach){g->strides[i], g->pads[i], (g->kernel[i] - 1) * g->dilations[i] - g->pads[i]};
    return k == 0 ? axis != 1 : k >= FUSED_OPERANDS;
}

#define CONV_STEPS(name)                           \
    static tl_status name##_create(tl_call *call)  \
    {                                              \
        return create(call, &name##_conv);         \
    }                                              \
    static tl_status name##_reshape(tl_call *call) \
    {                                              \
        return reshape(call, &name##_conv);        \
    }                                              \
    static tl_status name##_run(tl_call *call)     \
    {                                              \
        return run(call, &name##_conv);            \
    }
CONV_STEPS(integer)
CONV_STEPS(fused)
CONV_STEPS(linear)

#define QUANT_CONV(head, name, attribute_list)                                                                        \
    {                                                                                                                 \
        head, OP_PARAMS(input, name##_input), OP_PARAMS(output, name##_output), OP_PARAMS(attribute, attribute_list), \
            .flags = TL_OP_LONG, .plan_size = sizeof(quant_plan), .create = name##_create, .reshape = name##_reshape, \
            .run = name##_run, .destroy = destroy, .reach = quant_conv_reach                                          \
    }
OP_DESCRIPTOR(ConvInteger, 10) = QUANT_CONV(OP_HEAD(ConvInteger, 10), integer, attributes);
OP_DESCRIPTOR(FusedConvInteger, 1) = QUANT_CONV(OP_HEAD_IN(STEPS_DOMAIN, FusedConvInteger, 1), fused, fused_attributes);
OP_DESCRIPTOR(QLinearConv, 10) = QUANT_CONV(OP_HEAD(QLinearConv, 10), linear, attributes);
