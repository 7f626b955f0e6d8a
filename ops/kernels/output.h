/* From sums to the output tensor:
 *
 *     y = activation(scale * sum + add_scale * add)
 *
 * and then the steps, if there are any.
 * Blocks of whole vectors that need no more than a clamp go from the registers straight to y; all others by way of a
 * stage that stays in the first-level cache (steps.c). Both give the same bits. */
#ifndef TLK_OUTPUT_H
#define TLK_OUTPUT_H

#include <math.h>

#include "kernels/block.h"
#include "kernels/isa.h"
#include "kernels/velem.h"

typedef struct tlk_output {
    tlk_type type; /* of half types: which one */
    elem *y;
    int64_t row_step;  /* elements of y from row to row of a block */
    int64_t lane_step; /* and from lane to lane */
    real scale;
    const elem *add; /* NULL, or what is added */
    real add_scale;
    int64_t add_row_step, add_lane_step;
    const tlk_activation *activation;
    tlk_steps steps; /* behind it all */
    bool direct;     /* set by output_prepare, like the rest: there is nothing but a clamp */
    real low, high;
} tlk_output;

/* The bounds of an activation that is a clamp; false if it isn't. */
TLK_INLINE bool activation_is_clamp(const tlk_activation *activation, real *low, real *high)
{
    *low = -(real)INFINITY;
    *high = (real)INFINITY;
    if (activation->kind == TLK_RELU)
        *low = 0;
    if (activation->kind == TLK_CLIP) {
        *low = (real)activation->a;
        *high = (real)activation->b;
    }
    return activation->kind <= TLK_CLIP;
}

/* To be called once the other fields are set. An activation in front of all steps is taken from them. */
static inline void output_prepare(tlk_output *output)
{
    tlk_steps *steps = &output->steps;
    if (output->activation->kind == TLK_LINEAR && steps->count > 0 && steps->steps[0].kind == TLK_STEP_ACTIVATE) {
        output->activation = &steps->steps[0].activation;
        *steps = (tlk_steps){steps->steps + 1, steps->count - 1};
    }
    output->direct = activation_is_clamp(output->activation, &output->low, &output->high) && steps->count == 0 &&
                     E_IS_REAL && output->add == NULL && output->lane_step == 1 && output->scale == 1;
}

/* Of a convolution: the lanes are neighbours in y, and rows lie row_step apart. */
static inline tlk_output output_rows(elem *y, int64_t row_step, const tlk_activation *activation, tlk_steps steps)
{
    tlk_output output = {
        .y = y, .row_step = row_step, .lane_step = 1, .scale = 1, .activation = activation, .steps = steps};
    output_prepare(&output);
    return output;
}

/* Of a matrix product; in gemm.c. */
tlk_output TLK_REAL_FN(tlk_gemm_output)(const tlk_gemm *gemm);

/* rows * lanes sums on the stage, [rows][stage_step], to y from (row, lane) on. Whole vectors can be read and are
 * written over; there are at most 1024 elements in them. */
void TLK_ELEMENT_FN(tlk_output_finish)(const tlk_output *output, real *stage, int64_t stage_step, int64_t row,
                                       int64_t lane, int rows, int lanes);

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
        TLK_ELEMENT_FN(tlk_output_finish)(output, stage, TLK_NR, row, lane, rows, lanes);
}

/* rows * lanes sums, [rows][step] with whole vectors readable, to y from (row, lane) on. They may be changed. */
static inline void output_sums(const tlk_output *output, real *sums, int64_t step, int64_t row, int64_t lane, int rows,
                               int lanes)
{
#if E_IS_REAL
    if (output->direct) {
        const vec low = v_set1(output->low), high = v_set1(output->high);
        const int whole = lanes / VW * VW;
        elem *y = output->y + row * output->row_step + lane;
        if (lanes == 2 * VW) { /* the usual, in a third of the instructions */
            TLK_UNROLL
            for (int r = 0; r < rows; r++, sums += step, y += output->row_step) {
                v_store(y, v_max(low, v_min(high, v_load(sums))));
                v_store(y + VW, v_max(low, v_min(high, v_load(sums + VW))));
            }
            return;
        }
        for (int r = 0; r < rows; r++, sums += step, y += output->row_step) {
            for (int i = 0; i < whole; i += VW)
                v_store(y + i, v_max(low, v_min(high, v_load(sums + i))));
            if (whole < lanes)
                v_store_n(y + whole, v_max(low, v_min(high, v_load(sums + whole))), lanes - whole);
        }
        return;
    }
#endif
    TLK_ELEMENT_FN(tlk_output_finish)(output, sums, step, row, lane, rows, lanes);
}

/* Sums of a block of at most 32 rows, [rows][step] with whole vectors readable, that go to y from (row, lane) on. */
typedef struct tlk_sums {
    const tlk_output *output;
    real *at;
    int64_t step, row, lane;
    int rows, lanes;
} tlk_sums;

static inline void output_all(const tlk_sums *sums)
{
    if (sums->rows > 0)
        output_sums(sums->output, sums->at, sums->step, sums->row, sums->lane, sums->rows, sums->lanes);
}

/* A quarter of the rows, 0 to 3: work for the time in which tiles multiply. */
static inline void output_quarter(const void *context, int quarter)
{
    tlk_sums sums = *(const tlk_sums *)context;
    const int begin = 8 * quarter;
    sums.at += begin * sums.step;
    sums.row += begin;
    sums.rows = sums.rows - begin < 8 ? sums.rows - begin : 8;
    output_all(&sums);
}

#endif
