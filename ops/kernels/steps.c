/* Programs of elementwise steps over a tile. */
#include "kernels/steps_stage.h"

#include "kernels/finish.h"
#include "kernels/isa.h"

#define TILE 512

TLK_INLINE vec combine(tlk_step_kind kind, vec x, vec v)
{
    switch (kind) {
    case TLK_STEP_ADD:
        return x + v;
    case TLK_STEP_SUB:
        return x - v;
    case TLK_STEP_SUB_FROM:
        return v - x;
    case TLK_STEP_MUL:
        return x * v;
    case TLK_STEP_DIV:
        return x / v;
    case TLK_STEP_DIV_INTO:
        return v / x;
    case TLK_STEP_MIN:
        return v_select((x < v) | (x != x), x, v);
    case TLK_STEP_MAX:
        return v_select((x > v) | (x != x), x, v);
    case TLK_STEP_PRELU:
        return v_select(x < (real)0, x * v, x);
    default:
        return x;
    }
}

/* One row; `kind` is a constant. */
TLK_INLINE void combine_row(tlk_step_kind kind, const elem *operand, int64_t step, real *y, int lanes)
{
    const vec one = v_set1(e_get(operand));
    for (int i = 0; i < lanes; i += VW) {
        const int n = lanes - i < VW ? lanes - i : VW;
        vec v = one;
        if (step == 1) {
            v = n == VW ? e_load(operand + i) : e_load_n(operand + i, n);
        } else if (step != 0) {
            real gathered[VW] = {0};
            for (int k = 0; k < n; k++)
                gathered[k] = e_get(operand + (i + k) * step);
            v = v_load(gathered);
        }
        v_store(y + i, combine(kind, v_load(y + i), v));
    }
}

#define COMBINE(kind)                                                                                        \
    case kind:                                                                                               \
        for (int r = 0; r < rows; r++)                                                                       \
            combine_row(kind, operand + r * step->row_step, step->lane_step, stage + r * stage_step, lanes); \
        break

static void combine_rows(const tlk_step *step, real *stage, int64_t stage_step, int64_t row, int64_t lane, int rows,
                         int lanes)
{
    const elem *operand = (const elem *)step->operand + row * step->row_step + lane * step->lane_step;
    if (step->row_step == 0 && step->lane_step == 0 && lanes == stage_step) { /* one number: the rows are one */
        lanes *= rows;
        rows = 1;
    }
    switch (step->kind) {
        COMBINE(TLK_STEP_ADD);
        COMBINE(TLK_STEP_SUB);
        COMBINE(TLK_STEP_SUB_FROM);
        COMBINE(TLK_STEP_MUL);
        COMBINE(TLK_STEP_DIV);
        COMBINE(TLK_STEP_DIV_INTO);
        COMBINE(TLK_STEP_MIN);
        COMBINE(TLK_STEP_MAX);
        COMBINE(TLK_STEP_PRELU);
    default:
        break;
    }
}

static void apply_function(tlk_unary function, real *y, int64_t n)
{
#if defined TLK_DOUBLE
    tlk_unary_f64(function, y, n);
#else
    TLK_FN(tlk_unary)(function, y, y, n);
#endif
}

void TLK_ELEMENT_FN(tlk_steps_stage)(const tlk_steps *steps, real *stage, int64_t stage_step, int64_t row, int64_t lane,
                                     int rows, int lanes)
{
    for (int s = 0; s < steps->count; s++) {
        const tlk_step *step = &steps->steps[s];
        if (tlk_step_has_operand(step)) {
            combine_rows(step, stage, stage_step, row, lane, rows, lanes);
            continue;
        }
        const bool dense = lanes == stage_step;
        const int64_t n = dense ? (int64_t)rows * lanes : lanes;
        for (int r = 0; r < (dense ? 1 : rows); r++)
            if (step->kind == TLK_STEP_ACTIVATE)
                activate(&step->activation, stage + r * stage_step, n);
            else
                apply_function(step->function, stage + r * stage_step, n);
    }
}

static void run(const tlk_steps *steps, const void *x, int x_step, void *y, int64_t n)
{
    real stage[TILE] __attribute__((aligned(64)));
    const vec one = v_set1(n > 0 ? e_get(x) : 0);
    for (int64_t i = 0; i < n; i += TILE) {
        const int count = (int)(n - i < TILE ? n - i : TILE);
        const elem *from = (const elem *)x + i * x_step;
        for (int k = 0; k < count; k += VW)
            v_store(stage + k, x_step == 0 ? one : count - k < VW ? e_load_n(from + k, count - k) : e_load(from + k));
        TLK_ELEMENT_FN(tlk_steps_stage)(steps, stage, TILE, 0, i, 1, count);
        for (int k = 0; k < count; k += VW)
            e_store_n((elem *)y + i + k, v_load(stage + k), count - k < VW ? count - k : VW);
    }
}

const tlk_steps_kernel TLK_ELEMENT_FN(tlk_steps) = {run};
