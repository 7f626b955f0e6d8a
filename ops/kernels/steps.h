/* What happens to results on their way out, element by element: a short program that runs over a tile while it is in
 * the first-level cache. Matrix products and convolutions end in one; a chain of elementwise operators is nothing else.
 *
 *     y = step[count - 1]( ... step[0](x) )
 */
#ifndef TLK_STEPS_H
#define TLK_STEPS_H

#include "kernels/types.h"
#include "kernels/vmath_list.h"

#define TLK_MAX_STEPS 16

typedef enum tlk_step_kind {
    TLK_STEP_ACTIVATE, /* x -> activation(x) */
    TLK_STEP_UNARY,    /* x -> function(x) */
    /* from here on with an operand v */
    TLK_STEP_ADD,      /* x + v */
    TLK_STEP_SUB,      /* x - v */
    TLK_STEP_SUB_FROM, /* v - x */
    TLK_STEP_MUL,      /* x * v */
    TLK_STEP_DIV,      /* x / v */
    TLK_STEP_DIV_INTO, /* v / x */
    TLK_STEP_MIN,      /* NaN where either is NaN */
    TLK_STEP_MAX,
    TLK_STEP_PRELU /* x < 0 ? v x : x */
} tlk_step_kind;

typedef struct tlk_step {
    tlk_step_kind kind;
    tlk_activation activation;
    tlk_unary function;
    const void
        *operand; /* elements of the tensors' type; the one of (row, lane) is at row * row_step + lane * lane_step
                   */
    int64_t row_step, lane_step;
} tlk_step;

static inline int tlk_step_has_operand(const tlk_step *step)
{
    return step->kind >= TLK_STEP_ADD;
}

typedef struct tlk_steps {
    const tlk_step *steps;
    int count; /* <= TLK_MAX_STEPS */
} tlk_steps;

typedef struct tlk_steps_kernel {
    /* `rows` rows of n elements, of tensors of one type. Those of y follow each other; x has them x_row_step apart, and
     * x_lane_step is 1, or 0 where all elements of a row are its first. y may be x, or an operand, where that moves
     * along with y everywhere. */
    void (*run)(tlk_type type, const tlk_steps *steps, const void *x, int64_t x_row_step, int x_lane_step, void *y,
                int64_t rows, int64_t n);
} tlk_steps_kernel;

#endif
