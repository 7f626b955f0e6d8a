/* The way of sums to the output tensor, and of elements through a chain of elementwise operators: one step after the
 * other goes over a stage that stays in the first-level cache. So what is to be done is decided once for a stage, and a
 * vector takes little more than its loads, its arithmetic and its store. */
#include "kernels/steps.h"

#include "kernels/isa.h"
#include "kernels/output.h"

#define TILE 1024 /* elements; tlk_output_finish gets no more */

/* Rows on the stage, of whole vectors. */
typedef struct stage_area {
    tlk_type type;
    real *stage;
    int64_t stage_step;
    int64_t row, lane; /* of the tensors: the first element */
    int rows, lanes;
} stage_area;

/* Where the vectors of an operand, or of results, are: from row to row and from vector to vector. */
typedef struct vectors_at {
    real *at;
    int64_t step, next;
} vectors_at;

/* `expression` of y, on the stage, and of the operand's v, for all vectors. */
#define EACH(expression)                                           \
    do {                                                           \
        const int lanes = area->lanes;                             \
        const int64_t next = operand->next;                        \
        for (int r = 0; r < area->rows; r++) {                     \
            const real *from = area->stage + r * area->stage_step; \
            const real *with = operand->at + r * operand->step;    \
            real *to = out->at + r * out->step;                    \
            for (int i = 0; i < lanes; i += VW, with += next) {    \
                const vec y = v_load(from + i), v = v_load(with);  \
                (void)v;                                           \
                v_store(to + i, expression);                       \
            }                                                      \
        }                                                          \
    } while (0)

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

static void combine(tlk_step_kind kind, const stage_area *area, const vectors_at *operand, const vectors_at *out)
{
    switch (kind) {
    case TLK_STEP_ADD:
        EACH(y + v);
        break;
    case TLK_STEP_SUB:
        EACH(y - v);
        break;
    case TLK_STEP_SUB_FROM:
        EACH(v - y);
        break;
    case TLK_STEP_MUL:
        EACH(y * v);
        break;
    case TLK_STEP_DIV:
        EACH(y / v);
        break;
    case TLK_STEP_DIV_INTO:
        EACH(v / y);
        break;
    case TLK_STEP_MIN:
        EACH(v_select((y < v) | (y != y), y, v));
        break;
    case TLK_STEP_MAX:
        EACH(v_select((y > v) | (y != y), y, v));
        break;
    case TLK_STEP_PRELU:
        EACH(v_select(y < (real)0, y * v, y));
        break;
    default:
        break;
    }
}

/* An activation that is_arithmetic. */
static void activate(const tlk_activation *activation, const stage_area *area, const vectors_at *out)
{
    const vectors_at *operand = &(vectors_at){area->stage, 0, 0}; /* none */
    real low;
    real high;
    const vec a = v_set1((real)activation->a);
    const vec b = v_set1((real)activation->b);
    const vec one = v_set1(1);
    switch (activation->kind) {
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
        const vec lowest = v_set1(low), highest = v_set1(high);
        EACH(v_max(lowest, v_min(highest, y))); /* as tlk_block does it */
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

/* A step's operand: where it is, if all that is in its vectors is its own, or on `stage`. */
static vectors_at load_operand(const tlk_step *step, const stage_area *area, real *stage)
{
    const elem *from = (const elem *)step->operand + area->row * step->row_step + area->lane * step->lane_step;
#if E_IS_REAL
    if (step->lane_step == 1 && area->lanes % VW == 0)
        return (vectors_at){(real *)from, step->row_step, VW}; /* which is only read */
#endif
    const int lanes = step->lane_step == 0 ? 1 : area->lanes;
    const int64_t row = (lanes + VW - 1) / VW * VW;
    for (int r = 0; r < (step->row_step == 0 ? 1 : area->rows); r++)
        for (int i = 0; i < lanes; i += VW)
            v_store(stage + r * row + i, load_lanes(area->type, from + r * step->row_step + i * step->lane_step,
                                                    step->lane_step, lanes - i < VW ? lanes - i : VW));
    return (vectors_at){stage, step->row_step == 0 ? 0 : row, step->lane_step == 0 ? 0 : VW};
}

/* To the output, whatever its steps. */
static void store_rows(const tlk_output *output, const stage_area *area, elem *y)
{
    const real *from = area->stage;
    const int lanes = area->lanes, whole = output->lane_step == 1 ? lanes / VW * VW : 0;
    for (int r = 0; r < area->rows; r++, from += area->stage_step, y += output->row_step) {
        for (int i = 0; i < whole; i += VW)
            e_store(area->type, y + i, v_load(from + i));
        for (int i = whole; i < lanes; i += VW)
            store_lanes(area->type, y + i * output->lane_step, output->lane_step, v_load(from + i),
                        lanes - i < VW ? lanes - i : VW);
    }
}

/* Steps begin <= step < end, all arithmetic: to the output, or in place if there is none. */
static void run_pass(const tlk_output *output, const tlk_step *const *begin, const tlk_step *const *end,
                     const stage_area *area)
{
    real operands[TILE] __attribute__((aligned(64)));
    vectors_at out = {area->stage, area->stage_step, VW};
    elem *y = output == NULL ? NULL : output->y + area->row * output->row_step + area->lane * output->lane_step;
    for (const tlk_step *const *s = begin; s < end; s++) {
#if E_IS_REAL
        if (y != NULL && s + 1 == end && output->lane_step == 1 && area->lanes % VW == 0) {
            out = (vectors_at){y, output->row_step, VW};
            y = NULL;
        }
#endif
        if (tlk_step_has_operand(*s)) {
            const vectors_at operand = load_operand(*s, area, operands);
            combine((*s)->kind, area, &operand, &out);
        } else {
            activate(&(*s)->activation, area, &out);
        }
    }
    if (y != NULL)
        store_rows(output, area, y);
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
            run_pass(end == count ? output : NULL, program + begin, program + end,
                     &(stage_area){output->type, stage, stage_step, row, lane, rows, lanes});
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
