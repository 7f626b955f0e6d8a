/* The way of sums to the output tensor, and of elements through a chain of elementwise operators: one pass over the
 * stage for all that is arithmetic, a few vectors at a time, which stay in registers from step to step; one more for
 * each function in between. */
#include "kernels/steps.h"

#include "kernels/isa.h"
#include "kernels/output.h"

#define TILE  512
#define ROWS  (TLK_MR > 8 ? 4 : 2) /* of two vectors: a group, which with operands takes twice as many registers */
#define GROUP (2 * ROWS)

#define EACH(expression)                  \
    do {                                  \
        TLK_UNROLL                        \
        for (int k = 0; k < GROUP; k++) { \
            const vec y = x[k];           \
            x[k] = expression;            \
        }                                 \
    } while (0)

/* Rows of two vectors of `n` elements each; what there is too little of is repeated: vectors and rows. */
typedef struct group {
    int64_t row; /* the first one, counted from that of the pass */
    int rows;    /* of ROWS */
    int lane;    /* of the second vector */
    int n[2];
} group;

/* From row i of a group to the next. */
TLK_INLINE int64_t onward(const group *g, int i, int64_t row_step)
{
    return i + 1 < g->rows ? row_step : 0;
}

static TLK_NOINLINE vec gather(tlk_type type, const elem *from, int64_t step, int n)
{
    real lanes[VW] = {0};
    for (int i = 0; i < n; i++)
        lanes[i] = e_get(type, from + i * step);
    return v_load(lanes);
}

/* n elements that are `step` apart. */
TLK_INLINE vec load_lanes(tlk_type type, const elem *from, int64_t step, int n)
{
    if (step == 1)
        return n == VW ? e_load(type, from) : e_load_n(type, from, n);
    return step == 0 ? v_set1(e_get(type, from)) : gather(type, from, step, n);
}

/* Of an operand whose first element is that of the pass. */
TLK_INLINE void load_operand(tlk_type type, const elem *operand, int64_t row_step, int64_t lane_step, const group *g,
                             vec v[GROUP])
{
    const elem *from = operand + g->row * row_step;
    if (row_step == 0 && lane_step == 0) {
        v[0] = v_set1(e_get(type, operand));
        TLK_UNROLL
        for (int k = 1; k < GROUP; k++)
            v[k] = v[0];
    } else if (lane_step == 1 && g->n[0] == VW && g->n[1] == VW) {
        TLK_UNROLL
        for (int i = 0; i < ROWS; from += onward(g, i++, row_step)) {
            v[2 * i] = e_load(type, from);
            v[2 * i + 1] = e_load(type, from + g->lane);
        }
    } else {
        TLK_UNROLL
        for (int i = 0; i < ROWS; from += onward(g, i++, row_step)) {
            v[2 * i] = load_lanes(type, from, lane_step, g->n[0]);
            v[2 * i + 1] = load_lanes(type, from + g->lane * lane_step, lane_step, g->n[1]);
        }
    }
}

TLK_INLINE void combine(tlk_step_kind kind, const vec v[GROUP], vec x[GROUP])
{
    switch (kind) {
    case TLK_STEP_ADD:
        EACH(y + v[k]);
        break;
    case TLK_STEP_SUB:
        EACH(y - v[k]);
        break;
    case TLK_STEP_SUB_FROM:
        EACH(v[k] - y);
        break;
    case TLK_STEP_MUL:
        EACH(y * v[k]);
        break;
    case TLK_STEP_DIV:
        EACH(y / v[k]);
        break;
    case TLK_STEP_DIV_INTO:
        EACH(v[k] / y);
        break;
    case TLK_STEP_MIN:
        EACH(v_select((y < v[k]) | (y != y), y, v[k]));
        break;
    case TLK_STEP_MAX:
        EACH(v_select((y > v[k]) | (y != y), y, v[k]));
        break;
    case TLK_STEP_PRELU:
        EACH(v_select(y < (real)0, y * v[k], y));
        break;
    default:
        break;
    }
}

/* An activation that is_arithmetic. */
TLK_INLINE void activate(const tlk_activation *activation, vec x[GROUP])
{
    real low;
    real high;
    const vec a = v_set1((real)activation->a);
    const vec b = v_set1((real)activation->b);
    const vec one = v_set1(1);
    switch (activation->kind) {
    case TLK_LINEAR:
        break;
    case TLK_LEAKY_RELU:
        EACH(v_select(y < (real)0, a * y, y));
        break;
    case TLK_HARD_SIGMOID:
        EACH(v_min(one, v_max(v_zero(), a * y + b)));
        break;
    case TLK_HARD_SWISH:
        EACH(y * v_min(one, v_max(v_zero(), (y + (real)3) * (real)(1.0 / 6))));
        break;
    default:
        (void)activation_is_clamp(activation, &low, &high);
        EACH(v_max(v_set1(low), v_min(v_set1(high), y))); /* as tlk_block does it */
        break;
    }
}

static bool is_arithmetic(const tlk_step *step)
{
    return tlk_step_has_operand(step) || (step->kind == TLK_STEP_ACTIVATE && step->activation.kind < TLK_FIRST_VMATH);
}

/* From n elements of x to those of y. Of y whole vectors can be read and written. */
static void apply_function(const tlk_step *step, const real *x, real *y, int64_t n)
{
#if defined TLK_DOUBLE
    if (step->kind == TLK_STEP_ACTIVATE)
        TLK_FN(tlk_activate_f64)(&step->activation, x, y, n);
    else
        TLK_FN(tlk_unary_f64)(step->function, x, y, n);
#else
    if (step->kind == TLK_STEP_ACTIVATE)
        TLK_FN(tlk_activate)(&step->activation, x, y, n);
    else
        TLK_FN(tlk_unary)(step->function, x, y, n);
#endif
}

/* What Gemm asks for behind the product; others have a step for it. */
static void scale_and_add(const tlk_output *output, real *stage, int64_t stage_step, int64_t row, int64_t lane,
                          int rows, int lanes)
{
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < lanes; i += VW) {
            const int n = lanes - i < VW ? lanes - i : VW;
            vec y = v_set1(output->scale) * v_load(stage + r * stage_step + i);
            if (output->add != NULL)
                y = v_fma(
                    v_set1(output->add_scale),
                    load_lanes(output->type,
                               output->add + (row + r) * output->add_row_step + (lane + i) * output->add_lane_step,
                               output->add_lane_step, n),
                    y);
            v_store(stage + r * stage_step + i, y);
        }
}

static TLK_NOINLINE void store_lanes(tlk_type type, elem *y, int64_t step, vec value, int n)
{
    elem lanes[VW];
    if (step == 1) {
        e_store_n(type, y, value, n);
        return;
    }
    e_store(type, lanes, value);
    for (int i = 0; i < n; i++)
        y[i * step] = lanes[i];
}

/* Rows of at most two vectors on the stage, the first element of which is (row, lane) of all tensors. */
typedef struct stage_area {
    tlk_type type;
    real *stage;
    int64_t stage_step;
    int64_t row, lane;
    int64_t rows;
    int lanes;
    bool folded; /* these rows are one row of the tensors */
} stage_area;

static int64_t row_step_of(const stage_area *area, int64_t row_step, int64_t lane_step)
{
    return area->folded ? area->lanes * lane_step : row_step;
}

/* Steps begin <= step < end, all arithmetic: to the output, or in place if there is none. */
static void run_pass(const tlk_output *output, const tlk_step *const *begin, const tlk_step *const *end,
                     const stage_area *area)
{
    const bool wide = area->lanes > VW;
    group places = {.lane = wide ? VW : 0, .n = {wide ? VW : area->lanes, wide ? area->lanes - VW : area->lanes}};
    const group *g = &places;
    for (; places.row < area->rows; places.row += ROWS) {
        vec x[GROUP];
        real *at = area->stage + g->row * area->stage_step;
        places.rows = area->rows - g->row < ROWS ? (int)(area->rows - g->row) : ROWS;
        TLK_UNROLL
        for (int i = 0; i < ROWS; at += onward(g, i++, area->stage_step)) {
            x[2 * i] = v_load(at);
            x[2 * i + 1] = v_load(at + g->lane);
        }
        for (const tlk_step *const *s = begin; s < end; s++) {
            const tlk_step *step = *s;
            if (tlk_step_has_operand(step)) {
                vec v[GROUP];
                load_operand(area->type,
                             (const elem *)step->operand + area->row * step->row_step + area->lane * step->lane_step,
                             row_step_of(area, step->row_step, step->lane_step), step->lane_step, g, v);
                combine(step->kind, v, x);
            } else {
                activate(&step->activation, x);
            }
        }
        if (output == NULL) {
            at = area->stage + g->row * area->stage_step;
            TLK_UNROLL
            for (int i = 0; i < ROWS; at += onward(g, i++, area->stage_step)) {
                v_store(at, x[2 * i]);
                v_store(at + g->lane, x[2 * i + 1]);
            }
            continue;
        }
        const int64_t row_step = row_step_of(area, output->row_step, output->lane_step);
        elem *y = output->y + area->row * output->row_step + area->lane * output->lane_step + g->row * row_step;
        if (output->lane_step == 1 && area->lanes % VW == 0) {
            TLK_UNROLL
            for (int i = 0; i < ROWS; y += onward(g, i++, row_step)) {
                e_store(area->type, y, x[2 * i]);
                e_store(area->type, y + g->lane, x[2 * i + 1]);
            }
        } else {
            TLK_UNROLL
            for (int i = 0; i < ROWS; y += onward(g, i++, row_step)) {
                store_lanes(area->type, y, output->lane_step, x[2 * i], g->n[0]);
                store_lanes(area->type, y + g->lane * output->lane_step, output->lane_step, x[2 * i + 1], g->n[1]);
            }
        }
    }
}

/* Longer rows are cut, or, if they are few, folded. */
static void run_passes(const tlk_output *output, const tlk_step *const *begin, const tlk_step *const *end,
                       stage_area all)
{
    if (all.lanes <= 2 * VW || all.rows >= ROWS) {
        for (int i = 0; i < all.lanes; i += 2 * VW) {
            stage_area part = all;
            part.stage += i;
            part.lane += i;
            part.lanes = all.lanes - i < 2 * VW ? all.lanes - i : 2 * VW;
            run_pass(output, begin, end, &part);
        }
        return;
    }
    for (int64_t r = 0; r < all.rows; r++) {
        const int rest = all.lanes % (2 * VW);
        stage_area part = {all.type, all.stage + r * all.stage_step, 2 * VW, all.row + r,
                           all.lane, all.lanes / (2 * VW),           2 * VW, true};
        run_pass(output, begin, end, &part);
        part.stage += all.lanes - rest;
        part.lane += all.lanes - rest;
        part.rows = 1;
        part.lanes = rest;
        if (rest > 0)
            run_pass(output, begin, end, &part);
    }
}

void TLK_ELEMENT_FN(tlk_output_finish)(const tlk_output *output, real *stage, int64_t stage_step, int64_t row,
                                       int64_t lane, int rows, int lanes)
{
    const tlk_step activation = {.kind = TLK_STEP_ACTIVATE, .activation = *output->activation};
    const tlk_step *program[1 + TLK_MAX_STEPS];
    int count = 0;
    if (activation.activation.kind != TLK_LINEAR)
        program[count++] = &activation;
    for (int s = 0; s < output->steps.count; s++)
        program[count++] = &output->steps.steps[s];
    if (output->add != NULL || output->scale != 1)
        scale_and_add(output, stage, stage_step, row, lane, rows, lanes);
    for (int begin = 0, end = 0;; begin = ++end) {
        while (end < count && is_arithmetic(program[end]))
            end++;
        if (begin < end || end == count)
            run_passes(end == count ? output : NULL, program + begin, program + end,
                       (stage_area){output->type, stage, stage_step, row, lane, rows, lanes, false});
        if (end == count)
            return;
        const bool dense = lanes == stage_step;
        for (int r = 0; r < (dense ? 1 : rows); r++) {
            real *y = stage + r * stage_step;
            apply_function(program[end], y, y, dense ? (int64_t)rows * lanes : lanes);
        }
    }
}

/* Onto the stage: n elements, or the first of them n times. */
static void load_row(tlk_type type, const elem *x, int step, real *stage, int n)
{
    const vec one = v_set1(e_get(type, x));
    for (int k = 0; k < n; k += VW)
        v_store(stage + k, step == 0 ? one : n - k < VW ? e_load_n(type, x + k, n - k) : e_load(type, x + k));
}

/* As many rows at once as the stage has room for. A chain of floats that begins with a function takes them from where
 * they lie. */
static void run(tlk_type type, const tlk_steps *steps, const void *x, int64_t x_row_step, int x_lane_step, void *y,
                int64_t rows, int64_t n)
{
    static const tlk_activation linear = {.kind = TLK_LINEAR};
    const bool direct = type == TLK_F32 && x_lane_step == 1 && steps->count > 0 && !is_arithmetic(&steps->steps[0]);
    const tlk_output output = {.type = type,
                               .y = y,
                               .row_step = n,
                               .lane_step = 1,
                               .scale = 1,
                               .activation = &linear,
                               .steps = {steps->steps + direct, steps->count - direct}};
    const int64_t width = n < TILE ? (n + VW - 1) / VW * VW : TILE;
    real stage[TILE] __attribute__((aligned(64)));
    for (int64_t r = 0, high; n > 0 && r < rows; r += high) {
        high = rows - r < TILE / width ? rows - r : TILE / width;
        for (int64_t i = 0; i < n; i += TILE) {
            const int count = (int)(n - i < TILE ? n - i : TILE);
            for (int64_t k = 0; k < high; k++) {
                const elem *from = (const elem *)x + (r + k) * x_row_step + i * x_lane_step;
                if (direct)
                    apply_function(&steps->steps[0], (const real *)(const void *)from, stage + k * width, count);
                else
                    load_row(type, from, x_lane_step, stage + k * width, count);
            }
            TLK_ELEMENT_FN(tlk_output_finish)(&output, stage, width, r, i, (int)high, count);
        }
    }
}

const tlk_steps_kernel TLK_ELEMENT_FN(tlk_steps) = {run};
