/* Steps behind an operator, as the private fused operators have them: the attribute `steps` is names of the standard's
 * elementwise operators, such as "Add LeakyRelu Mul"; `parameters` their numbers, as the bits of doubles. The operands
 * of those that have two are the node's last inputs, in order. */
#ifndef TL_STEPS_H
#define TL_STEPS_H

#include "kernels/kernels.h"
#include "onnx/nn.h"

/* How an operand lies under an output whose axes are taken as (batch, rows, lanes): elements from one to the next. */
typedef struct steps_place {
    int64_t batch, row, lane;
} steps_place;

typedef struct steps_program {
    int count;
    tlk_step steps[TLK_MAX_STEPS]; /* without operands and where these lie */
} steps_program;

#define STEPS_CHAIN_OPERANDS 8 /* X among them */
#define STEPS_DOMAIN         "tapline.internal"
#define STEPS_ATTRIBUTES     OP_STRING("steps", ""), OP_INTS("parameters")
#define STEPS_OPERANDS(types)                                         \
    {                                                                 \
        "operands", types, 'T', TL_PARAM_OPTIONAL | TL_PARAM_VARIADIC \
    }

/* Reads the node's attributes; its inputs from `first` on must be as many as the steps need. */
tl_status steps_parse(const tl_call *call, size_t first, steps_program *program);
/* Appends an activation of the standard by its name, with the parameters that it has; false: there is none, or no room.
 */
bool steps_add_activation(steps_program *program, const char *name, size_t size, const double *parameters,
                          size_t count);
/* In reshape, with a plan: where operand inputs from `first` on lie under `out`, whose axes [rows, lanes) are the rows,
 * those behind them the lanes. Each operand must be as long as these or stand still. places: one for each step. */
tl_status steps_set_places(const tl_call *call, const steps_program *program, size_t first, const tl_tensor *out,
                           int32_t rows, int32_t lanes, steps_place *places);
/* In run: the program for rows from `row` on of element `batch`, into `steps`, which has room for TLK_MAX_STEPS.
 * transposed: the kernel's rows are the lanes. */
tlk_steps steps_bind(const tl_call *call, const steps_program *program, size_t first, const steps_place *places,
                     int64_t batch, int64_t row, bool transposed, tlk_step *steps);
/* In run: all of the program over output 0 as it stands, for kernels that have no steps. */
void steps_run(tl_call *call, const steps_program *program, size_t first, const steps_place *places, int32_t rows,
               int32_t lanes);

#endif
