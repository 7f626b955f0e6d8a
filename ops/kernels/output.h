/* From sums to the output tensor:
 *
 *     y = activation(scale * sum + add_scale * add)
 *
 * and then the steps, if there are any.
 * Blocks of whole vectors that need no more than a clamp go from the registers straight to y; all others by way of a
 * stage that stays in the first-level cache, in one pass if the activation is a clamp. All give the same bits. */
#ifndef TLK_OUTPUT_H
#define TLK_OUTPUT_H

#include "kernels/block.h"
#include "kernels/finish.h"
#include "kernels/steps_stage.h"

typedef struct tlk_output {
    elem *y;
    int64_t row_step;  /* elements of y from row to row of a block */
    int64_t lane_step; /* and from lane to lane */
    real scale;
    const elem *add; /* NULL, or what is added */
    real add_scale;
    int64_t add_row_step, add_lane_step;
    const tlk_activation *activation;
    tlk_steps steps; /* behind it all */
    bool clamp;      /* set by output_prepare, like the rest: the activation is one, and no steps are behind it */
    bool direct;     /* and nothing is in front of it */
    real low, high;
} tlk_output;

/* To be called once the other fields are set. What the graph adds behind a product, a residual mostly, and an
 * activation behind that come as steps; they are taken from there where they fit. */
static inline void output_prepare(tlk_output *output)
{
    tlk_steps *steps = &output->steps;
    if (output->add == NULL && output->activation->kind == TLK_LINEAR && steps->count > 0 &&
        steps->steps[0].kind == TLK_STEP_ADD) {
        output->add = steps->steps[0].operand;
        output->add_scale = 1;
        output->add_row_step = steps->steps[0].row_step;
        output->add_lane_step = steps->steps[0].lane_step;
        *steps = (tlk_steps){steps->steps + 1, steps->count - 1};
    }
    if (output->activation->kind == TLK_LINEAR && steps->count > 0 && steps->steps[0].kind == TLK_STEP_ACTIVATE) {
        output->activation = &steps->steps[0].activation;
        *steps = (tlk_steps){steps->steps + 1, steps->count - 1};
    }
    output->clamp = activation_is_clamp(output->activation, &output->low, &output->high) && steps->count == 0;
    output->direct = output->clamp && E_IS_REAL && output->add == NULL && output->lane_step == 1 && output->scale == 1;
}

/* Lanes of `add`, zero beyond n. */
TLK_INLINE vec output_load_add(const tlk_output *output, int64_t row, int64_t lane, int n)
{
    const elem *add = output->add + row * output->add_row_step + lane * output->add_lane_step;
    if (output->add_lane_step == 1)
        return n == VW ? e_load(add) : e_load_n(add, n);
    real lanes[VW] = {0};
    for (int i = 0; i < n; i++)
        lanes[i] = e_get(add + i * output->add_lane_step);
    return v_load(lanes);
}

TLK_INLINE void output_store(const tlk_output *output, int64_t row, int64_t lane, vec value, int n)
{
    elem *y = output->y + row * output->row_step + lane * output->lane_step;
    if (output->lane_step == 1) {
        if (n == VW)
            e_store(y, value);
        else
            e_store_n(y, value, n);
        return;
    }
    elem lanes[VW];
    e_store(lanes, value);
    for (int i = 0; i < n; i++)
        y[i * output->lane_step] = lanes[i];
}

/* rows * lanes sums on the stage, [rows][stage_step] with whole vectors readable, to y from (row, lane) on. */
static TLK_NOINLINE void output_finish(const tlk_output *output, real *stage, int64_t stage_step, int64_t row,
                                       int64_t lane, int rows, int lanes)
{
    const vec scale = v_set1(output->scale);
    const vec add_scale = v_set1(output->add_scale);
    const vec low = v_set1(output->low);
    const vec high = v_set1(output->high);
    const bool first_pass = output->clamp || output->add != NULL || output->scale != 1;
    for (int r = 0; r < rows && first_pass; r++)
        for (int i = 0; i < lanes; i += VW) {
            const int n = lanes - i < VW ? lanes - i : VW;
            vec y = scale * v_load(stage + r * stage_step + i);
            if (output->add != NULL)
                y = v_fma(add_scale, output_load_add(output, row + r, lane + i, n), y);
            if (output->clamp)
                output_store(output, row + r, lane + i, v_max(low, v_min(high, y)), n);
            else
                v_store(stage + r * stage_step + i, y);
        }
    if (output->clamp)
        return;
    if (lanes == stage_step)
        activate(output->activation, stage, (int64_t)rows * lanes);
    for (int r = 0; r < rows && lanes != stage_step; r++)
        activate(output->activation, stage + r * stage_step, lanes);
    if (output->steps.count > 0)
        TLK_ELEMENT_FN(tlk_steps_stage)(&output->steps, stage, stage_step, row, lane, rows, lanes);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < lanes; i += VW)
            output_store(output, row + r, lane + i, v_load(stage + r * stage_step + i),
                         lanes - i < VW ? lanes - i : VW);
}

typedef void tlk_block_function(const tlk_block *block, int rows, int vectors);

/* Multiplies one block whose a, b, bias and depth are set, into y from (row, lane) on. */
static inline void output_block(const tlk_output *output, tlk_block_function *multiply, tlk_block *block, int64_t row,
                                int64_t lane, int rows, int lanes)
{
    real stage[TLK_MR * TLK_NR] __attribute__((aligned(64)));
    const int vectors = (lanes + VW - 1) / VW;
    const bool direct = output->direct && lanes == vectors * VW;
    block->y = stage;
    block->y_stride = TLK_NR;
    block->low = direct ? output->low : -(real)INFINITY;
    block->high = direct ? output->high : (real)INFINITY;
#if E_IS_REAL
    if (direct) {
        block->y = output->y + row * output->row_step + lane;
        block->y_stride = output->row_step;
    }
#endif
    multiply(block, rows, vectors);
    block->y = NULL;
    if (!direct)
        output_finish(output, stage, TLK_NR, row, lane, rows, lanes);
}

#endif
