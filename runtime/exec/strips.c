/* Finds out how far a graph's outputs see along one axis of its input, cuts, and puts together.
 *
 * All strips have the same length n, so that one plan serves them all; the last one begins earlier than its turn. And
 * n differs from the whole length by a multiple of all strides: whatever depends on the remainder (pads of SAME at a
 * stride, windows that hang over the end) is then the same in a strip as in the whole, and every value of the strip is
 * a slice of the same value of the whole. Which axis of a value that is, is seen by comparing the plans of both. */
#include "exec/strips.h"
#include "exec/threads.h"

#include <stddef.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Strides must divide the first trial's cut to be seen: a multiple of this, or of a sixteenth of it. */
#define TRIAL_CUT 15360
/* A strip is at least this many times what it computes in vain. */
#define LEAST_HALOS 16
/* Steps of a value that is cut: kernels choose how they sum by whether there is a vector or a tile of outputs, and must
 * choose for a strip as for the whole. */
#define LEAST_STEPS 96
/* Values of so many bytes a sample lie in hundreds of rows, which no processor fetches ahead. The fewer rows there are,
 * the more of the memory's time it hides, while copying the outputs takes the same: measured, strips then begin to be
 * worth it at lengths that grow with the inverse, as long as the last cache holds them. */
#define MANY_BYTES 1024.0
/* Bounds of what operators may answer, and of signals: sums of products of one each fit an int64. */
#define FARTHEST ((int64_t)1 << 40)
#define STEEPEST ((int64_t)1 << 20)

typedef struct tl_strip_output {
    int32_t axis;
    int64_t stride, steps; /* samples of the input for so many steps of the output; lowest terms */
    int64_t begin, end;    /* steps of a strip's output that no cut edge reaches */
    size_t offset;         /* of the whole output in the arena, where no buffer is bound */
} tl_strip_output;

struct tl_strips {
    size_t input;
    int32_t axis;
    int64_t length, step; /* of a strip; from one's beginning to the next's */
    tl_strip_output *outputs;
};

/* ---- Analysis */

enum { SAME = -1, SHAPED = -2 }; /* instead of an axis: the same in each strip; known from shapes alone, but no slice */

/* How a value of a strip lies in the same value of the whole. */
typedef struct extent {
    int32_t axis;
    int64_t lacks;      /* steps, for the input's cut */
    int64_t begin, end; /* what no cut edge reaches, if both are cut */
} extent;

typedef struct analysis {
    const tl_graph *graph;
    const tl_tensor *whole, *strip; /* slots of both plans, which have no memory yet */
    int64_t cut;                    /* samples that the strip lacks */
    int64_t period;                 /* common multiple of all strides */
    extent *extents;                /* by value index */
} analysis;

static bool same_shape(const tl_tensor *a, const tl_tensor *b)
{
    return a->rank == b->rank && (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0);
}

static bool same_tensor(const tl_tensor *a, const tl_tensor *b)
{
    return same_shape(a, b) && a->data && b->data && memcmp(a->data, b->data, (size_t)tl_tensor_bytes(a)) == 0;
}

static int64_t inner_elements(const tl_tensor *tensor, int32_t axis)
{
    int64_t n = 1;
    for (int32_t i = axis + 1; i < tensor->rank; i++)
        n *= tensor->dims[i];
    return n;
}

/* The one axis along which the value is shorter in the strip, and by how much; false: it is not so. */
static bool find_cut(const analysis *a, size_t value, int32_t *axis, int64_t *lacks)
{
    const tl_tensor *whole = &a->whole[value], *strip = &a->strip[value];
    *axis = SAME;
    for (int32_t i = 0; i < whole->rank && whole->rank == strip->rank; i++) {
        int64_t less = whole->dims[i] - strip->dims[i];
        if (less == 0)
            continue;
        if (*axis != SAME || less < 0 || whole->dims[i] >= FARTHEST || strip->dims[i] < LEAST_STEPS)
            return false;
        *axis = i;
        *lacks = less;
    }
    return *axis != SAME;
}

static bool is_between(int64_t x, int64_t limit)
{
    return x > -limit && x < limit;
}

/* Whether the step does nothing but to see the same elements, all of them, under another shape. */
static bool is_view(const tl_step *step)
{
    return step->frame.call.view &&
           tl_tensor_bytes(step->frame.call.inputs[0]) == tl_tensor_bytes(step->frame.call.outputs[0]);
}

/* How the node reads input k, whose cut axis is `in`, for an output whose cut axis is `out`. */
static bool find_reach(const analysis *a, const tl_node *node, const tl_step *step, size_t k, int32_t in, int32_t out,
                       tl_reach *reach)
{
    const tl_operator *op = node->op;
    const tl_tensor *x = &a->strip[node->inputs[k]->index], *y = &a->strip[node->outputs[0]->index];
    *reach = (tl_reach){1, 0, 0};
    if (is_view(step)) { /* a step of one is several of the other */
        const int64_t from = inner_elements(x, in), to = inner_elements(y, out);
        if (k != 0 || !from || !to || (from % to && to % from))
            return false;
        *reach = from < to ? (tl_reach){to / from, 0, to / from - 1} : (tl_reach){-(from / to), from / to - 1, 0};
        return is_between(reach->stride, STEEPEST);
    }
    bool aligned = x->rank - in == y->rank - out;
    if (op->flags & TL_OP_ELEMENTWISE)
        return aligned;
    return op->size > offsetof(tl_operator, reach) && op->reach && (k == 0 || aligned) &&
           op->reach(&step->frame.call, k, in, reach) && reach->stride && is_between(reach->stride, STEEPEST) &&
           is_between(reach->before, FARTHEST) && is_between(reach->after, FARTHEST);
}

/* Narrows an extent to what can be computed from input k. */
static bool narrow(const analysis *a, const tl_node *node, const tl_step *step, size_t k, extent *out)
{
    const extent *in = &a->extents[node->inputs[k]->index];
    tl_reach reach;
    if (!find_reach(a, node, step, k, in->axis, out->axis, &reach))
        return false;
    const int64_t stride = reach.stride > 0 ? reach.stride : 1, steps = reach.stride > 0 ? 1 : -reach.stride;
    if (in->lacks * steps != out->lacks * stride)
        return false;
    /* Steps t of the output with (begin - 1) * steps < t * stride - before and t * stride + after < end * steps. */
    int64_t begin = (in->begin - 1) * steps + reach.before + 1, end = in->end * steps - 1 - reach.after;
    begin = begin > 0 ? (begin + stride - 1) / stride : 0;
    end = end < 0 ? 0 : end / stride + 1;
    if (begin > out->begin)
        out->begin = begin;
    if (end < out->end)
        out->end = end;
    return out->begin < out->end;
}

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Whether the node reads of input k more than the shape of what it makes. */
static bool reads(const tl_node *node, size_t k)
{
    return k >= node->op->input_count || !(node->op->inputs[k].flags & TL_PARAM_SHAPE);
}

/* What the node makes of slices is slices. `step` is the strip's; NULL: computed while planning. */
static bool follow(analysis *a, const tl_node *node, const tl_step *step)
{
    bool varies = false, shaped = false;
    if (tl_node_subgraph(node, 0) || node->op->flags & TL_OP_NONDETERMINISTIC || (step && step->dynamic) ||
        !node->output_count || !node->outputs[0])
        return false;
    for (size_t k = 0; k < node->input_count; k++)
        if (node->inputs[k]) {
            int32_t axis = a->extents[node->inputs[k]->index].axis;
            varies |= axis >= 0;
            shaped |= axis == SHAPED && (step && !is_view(step) ? reads(node, k) : k == 0);
        }
    extent out = {.axis = SAME};
    const tl_tensor *first = &a->strip[node->outputs[0]->index];
    const bool ahead = !step;
    if (varies && !ahead) {
        if (shaped || !find_cut(a, node->outputs[0]->index, &out.axis, &out.lacks))
            return false;
        const int64_t stride = a->cut / greatest_divisor(a->cut, out.lacks);
        a->period *= stride / greatest_divisor(a->period, stride);
        out.end = first->dims[out.axis];
        for (size_t k = 0; k < node->input_count; k++)
            if (node->inputs[k] && a->extents[node->inputs[k]->index].axis >= 0 && !narrow(a, node, step, k, &out))
                return false;
    } else if (shaped && !ahead) {
        return false;
    }
    for (size_t k = 0; k < node->output_count; k++) {
        if (!node->outputs[k])
            continue;
        size_t value = node->outputs[k]->index;
        extent *made = &a->extents[value];
        *made = out;
        if (ahead)
            made->axis = same_tensor(&a->whole[value], &a->strip[value]) ? SAME : SHAPED;
        else if (out.axis == SAME ? !same_shape(&a->whole[value], &a->strip[value])
                                  : !find_cut(a, value, &made->axis, &made->lacks) || made->axis != out.axis ||
                                        made->lacks != out.lacks)
            return false;
    }
    return true;
}

/* Compares a strip's plan with that of the whole; false: the graph is not local. */
static bool analyse(analysis *a, const tl_plan *strip, size_t input, int32_t axis, tl_strip_output *outputs)
{
    const tl_graph *graph = a->graph;
    size_t s = 0;
    a->period = 1;
    for (size_t i = 0; i < graph->value_count; i++)
        a->extents[i] = (extent){.axis = SAME};
    size_t first = graph->inputs[input]->index;
    a->extents[first] = (extent){axis, a->cut, 0, strip->slots[first].dims[axis]};
    for (size_t i = 0; i < graph->node_count; i++) {
        const tl_node *node = graph->nodes[i];
        const tl_step *step = s < strip->step_count && strip->steps[s].node == node ? &strip->steps[s++] : NULL;
        if (!follow(a, node, step))
            return false;
    }
    for (size_t k = 0; k < graph->output_count; k++) {
        const extent *e = &a->extents[graph->outputs[k]->index];
        if (e->axis < 0 || tl_type_bits(strip->slots[graph->outputs[k]->index].type) % 8)
            return false;
        const int64_t common = greatest_divisor(a->cut, e->lacks);
        outputs[k] = (tl_strip_output){e->axis, a->cut / common, e->lacks / common, e->begin, e->end, 0};
        if (outputs[k].stride >= STEEPEST || outputs[k].steps >= STEEPEST)
            return false;
    }
    return graph->output_count > 0;
}

/* ---- Planning */

/* The longest axis of the largest input. */
static bool choose_axis(const tl_executor *executor, size_t *input, int32_t *axis)
{
    const tl_graph *graph = executor->graph;
    int64_t most = 0;
    for (size_t i = 0; i < graph->input_count; i++) {
        int64_t bytes = graph->inputs[i]->kind == TL_KIND_TENSOR ? tl_tensor_bytes(&executor->given[i]) : 0;
        if (bytes > most && tl_type_bits(executor->given[i].type) % 8 == 0) {
            most = bytes;
            *input = i;
        }
    }
    *axis = 0;
    const tl_tensor *x = most ? &executor->given[*input] : NULL;
    for (int32_t i = 1; x && i < x->rank; i++)
        if (x->dims[i] > x->dims[*axis])
            *axis = i;
    return x && x->rank > 0;
}

/* Analyses a plan for strips of strips->length. */
static bool try_length(const tl_executor *executor, const tl_plan *whole, const tl_strips *strips, analysis *a)
{
    tl_executor *runner = executor->runner;
    tl_plan *plan = NULL;
    tl_error why;
    int64_t length = executor->given[strips->input].dims[strips->axis];
    memcpy(runner->given, executor->given, tl_graph_given_count(runner->graph) * sizeof *runner->given);
    runner->given[strips->input].dims[strips->axis] = strips->length;
    bool fine = tl_plan_shapes(runner->run->runtime, runner->graph, runner->given, runner->modes, &plan, &why) == TL_OK;
    if (fine) {
        a->whole = whole->slots;
        a->strip = plan->slots;
        a->cut = length - strips->length;
        fine = analyse(a, plan, strips->input, strips->axis, strips->outputs);
    }
    tl_plan_destroy(plan, &runner->run->runtime->allocator, runner->graph->value_count);
    return fine;
}

/* Samples at both ends of a strip that it computes for nothing. */
static int64_t halo(const tl_strips *strips, size_t outputs)
{
    int64_t before = 0, after = 0;
    for (size_t k = 0; k < outputs; k++) {
        const tl_strip_output *out = &strips->outputs[k];
        if (out->begin * out->stride > before * out->steps)
            before = (out->begin * out->stride + out->steps - 1) / out->steps;
        if (strips->length - out->end * out->stride / out->steps > after)
            after = strips->length - out->end * out->stride / out->steps;
    }
    return before + after;
}

/* The length of strips that fill the arena's share, and are not too short; false: few of them would do. */
static bool choose_length(const tl_executor *executor, const tl_plan *whole, tl_strips *strips, const analysis *a)
{
    int64_t length = executor->given[strips->input].dims[strips->axis];
    double each = (double)whole->arena_bytes / (double)length;
    double share = (double)executor->strip_bytes * executor->run->runtime->pool.thread_count;
    int64_t least = LEAST_HALOS * halo(strips, executor->graph->output_count) + LEAST_STEPS * a->period;
    strips->length = (int64_t)(share / each);
    if (strips->length < least)
        strips->length = least;
    /* Rows that lie a multiple of a page apart would push each other out of the first-level cache. */
    if (strips->length >= 512)
        strips->length = strips->length / 512 * 512 + 272;
    strips->length += (length - strips->length) % a->period;
    return strips->length <= length / 4 && (double)strips->length * each <= 4 * share;
}

/* Strips of equal steps, which overlap enough. */
static bool choose_step(tl_strips *strips, size_t outputs, int64_t length, int64_t period)
{
    int64_t most = INT64_MAX;
    for (size_t k = 0; k < outputs; k++) {
        const tl_strip_output *out = &strips->outputs[k];
        if ((out->end - out->begin) * out->stride / out->steps < most)
            most = (out->end - out->begin) * out->stride / out->steps;
    }
    most -= most % period;
    if (most <= 0)
        return false;
    int64_t way = length - strips->length, count = (way + most - 1) / most;
    strips->step = (way / period + count - 1) / count * period;
    return true;
}

/* Whether what is fetched ahead, from a cache that all cores share or from memory, makes a run of the whole as fast. */
static bool memory_hides(const tl_executor *executor, const tl_plan *whole, int64_t length)
{
    const size_t cache = tl_last_cache_bytes();
    if (cache > 0 && whole->arena_bytes > cache / 2) /* the other half: inputs, outputs, and who else shares it */
        return false;
    double arena = (double)whole->arena_bytes / executor->run->runtime->pool.thread_count;
    double each = (double)whole->arena_bytes / (double)length;
    return arena * (each < MANY_BYTES ? each / MANY_BYTES : 1) < (double)executor->strips_above;
}

static bool find_strips(tl_executor *executor, const tl_plan *whole, tl_strips *strips, analysis *a)
{
    size_t outputs = executor->graph->output_count;
    if (!choose_axis(executor, &strips->input, &strips->axis))
        return false;
    int64_t length = executor->given[strips->input].dims[strips->axis];
    if (memory_hides(executor, whole, length))
        return false;
    const int64_t unit = length < 2 * TRIAL_CUT ? TRIAL_CUT / 16 : TRIAL_CUT;
    strips->length = length - length / 2 / unit * unit;
    return strips->length < length && length < FARTHEST && try_length(executor, whole, strips, a) &&
           choose_length(executor, whole, strips, a) && try_length(executor, whole, strips, a) &&
           choose_step(strips, outputs, length, a->period);
}

/* Leaves of the plan the shapes, and places for outputs. */
static bool keep_outputs(const tl_executor *executor, tl_plan *plan, tl_strips *strips)
{
    const tl_graph *graph = executor->graph;
    size_t bytes = 0;
    for (size_t k = 0; k < graph->output_count; k++) {
        strips->outputs[k].offset = bytes;
        size_t own =
            executor->modes[k] == TL_OUTPUT_OWN ? (size_t)tl_tensor_bytes(&plan->slots[graph->outputs[k]->index]) : 0;
        if (!tl_add_size(bytes, tl_align_up(own, TL_ALIGNMENT), &bytes))
            return false;
    }
    for (size_t i = 0; i < graph->value_count; i++)
        plan->offsets[i] = SIZE_MAX;
    plan->step_count = plan->copy_count = 0;
    plan->arena_bytes = bytes;
    plan->strips = strips;
    return true;
}

tl_status tl_strips_plan(tl_executor *executor, tl_plan *plan, tl_error *error)
{
    const tl_graph *graph = executor->graph;
    if (!executor->strip_bytes || plan->arena_bytes <= executor->strips_above || graph->capture_count)
        return TL_OK;
    for (size_t k = 0; k < graph->output_count; k++)
        if (executor->modes[k] == TL_OUTPUT_STATE)
            return TL_OK;
    if (!executor->runner) {
        tl_status status = tl_executor_create(executor->run, executor->graph, false, &executor->runner, error);
        if (status != TL_OK)
            return status;
    }
    tl_arena scratch;
    tl_arena_init(&scratch, plan->memory.allocator, 0);
    analysis a = {.graph = graph, .extents = TL_NEW(&scratch, extent, graph->value_count)};
    tl_strips *strips = TL_NEW(&plan->memory, tl_strips, 1);
    tl_status status = TL_OK;
    if (strips)
        strips->outputs = TL_NEW(&plan->memory, tl_strip_output, graph->output_count);
    if (!a.extents || !strips || !strips->outputs)
        status = tl_error_no_memory(error);
    else if (find_strips(executor, plan, strips, &a) && keep_outputs(executor, plan, strips))
        status = tl_executor_plan(executor->runner, error);
    tl_arena_free(&scratch);
    return status;
}

tl_strips_facts tl_strips_describe(const tl_executor *executor, const tl_plan *plan)
{
    const tl_strips *strips = plan->strips;
    const tl_tensor *whole = &executor->given[strips->input], *strip = &executor->runner->given[strips->input];
    const int64_t way = whole->dims[strips->axis] - strips->length;
    tl_strips_facts facts = {.input = strips->input,
                             .axis = strips->axis,
                             .count = 1 + (way + strips->step - 1) / strips->step,
                             .length = strips->length,
                             .halo = halo(strips, executor->graph->output_count),
                             .bytes = executor->runner->plans->arena_bytes};
    if (inner_elements(whole, -1) != inner_elements(whole, strips->axis - 1)) /* it is not one slice of the input */
        facts.bytes += (size_t)tl_tensor_bytes(strip);
    return facts;
}

/* ---- Running */

/* Steps [begin, begin + count) of an axis: rows of bytes, as far apart as the axis is long. */
typedef struct slice {
    char *at;
    size_t apart, bytes;
    int64_t rows;
} slice;

static slice slice_of(const tl_tensor *tensor, int32_t axis, int64_t begin, int64_t count)
{
    size_t each = (size_t)inner_elements(tensor, axis) * (tl_type_bits(tensor->type) / 8);
    slice s = {(char *)tensor->data + (size_t)begin * each, (size_t)tensor->dims[axis] * each, (size_t)count * each, 1};
    for (int32_t i = 0; i < axis; i++)
        s.rows *= tensor->dims[i];
    return s;
}

typedef struct copying {
    slice to, from;
    int64_t pieces; /* of a row */
    bool past;      /* write past the caches, in which the next strip works */
} copying;

enum { PIECE = 1 << 16 };

static void copy_bytes(char *to, const char *from, size_t bytes, bool past)
{
    size_t i = 0;
#ifdef __SSE2__
    size_t ahead = (size_t)(-(uintptr_t)to % 16);
    if (past && ahead < bytes) {
        memcpy(to, from, ahead);
        for (i = ahead; i + 16 <= bytes; i += 16)
            _mm_stream_si128((__m128i *)(void *)(to + i), _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
        _mm_sfence();
    }
#endif
    (void)past;
    memcpy(to + i, from + i, bytes - i);
}

static void copy_pieces(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const copying *c = context;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        size_t row = (size_t)(i / c->pieces), at = (size_t)(i % c->pieces) * PIECE, left = c->to.bytes - at;
        copy_bytes(c->to.at + row * c->to.apart + at, c->from.at + row * c->from.apart + at,
                   left < PIECE ? left : PIECE, c->past);
    }
}

static void copy_slice(const tl_executor *executor, slice to, slice from, bool past)
{
    tl_call call = {.size = sizeof call, .host = &executor->run->runtime->host};
    copying c = {to, from, (int64_t)((to.bytes + PIECE - 1) / PIECE), past};
    if (to.bytes)
        tl_parallel_for(&call, copy_pieces, &c, to.rows * c.pieces, (int64_t)(PIECE / to.bytes) + 1);
}

/* Hands the runner a strip of the input: as it lies, or copied together. */
static bool set_strip(const tl_executor *executor, const tl_strips *strips, int64_t at)
{
    tl_executor *runner = executor->runner;
    tl_tensor *strip = &runner->given[strips->input];
    slice from = slice_of(&executor->given[strips->input], strips->axis, at, strips->length);
    strip->data = from.at;
    if (from.rows == 1)
        return true;
    strip->data = tl_reserve_bytes(runner, &runner->buffers[0], (size_t)tl_tensor_bytes(strip));
    if (strip->data)
        copy_slice(executor, slice_of(strip, strips->axis, 0, strips->length), from, false);
    return strip->data;
}

/* Copies to the outputs what is right of a strip's. */
static void keep_strip(const tl_executor *executor, const tl_strips *strips, int64_t at, bool last)
{
    for (size_t k = 0; k < executor->graph->output_count; k++) {
        const tl_strip_output *out = &strips->outputs[k];
        const tl_tensor *part = &executor->runner->outputs[k].result;
        int64_t begin = at ? out->begin : 0, end = last ? part->dims[out->axis] : out->end;
        copy_slice(
            executor,
            slice_of(&executor->outputs[k].result, out->axis, at / out->stride * out->steps + begin, end - begin),
            slice_of(part, out->axis, begin, end - begin), true);
    }
}

tl_status tl_strips_run(tl_executor *executor, const tl_plan *plan, tl_error *error)
{
    const tl_strips *strips = plan->strips;
    tl_executor *runner = executor->runner;
    int64_t last = executor->given[strips->input].dims[strips->axis] - strips->length, at = 0;
    memcpy(runner->given, executor->given, tl_graph_given_count(runner->graph) * sizeof *runner->given);
    runner->given[strips->input].dims[strips->axis] = strips->length;
    for (size_t k = 0; k < executor->graph->output_count; k++) {
        tl_bound_output *out = &executor->outputs[k];
        out->result = plan->slots[executor->graph->outputs[k]->index];
        out->result.data = out->buffer ? out->buffer : (char *)executor->arena + strips->outputs[k].offset;
    }
    for (;; at = at + strips->step < last ? at + strips->step : last) {
        if (!set_strip(executor, strips, at))
            return tl_error_no_memory(error);
        tl_status status = tl_executor_run(runner, error);
        if (status != TL_OK)
            return status;
        keep_strip(executor, strips, at, at == last);
        if (at == last)
            return TL_OK;
    }
}
