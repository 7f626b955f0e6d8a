/* Inside the kernels: steps on results that are still numbers to compute with. */
#ifndef TLK_STEPS_STAGE_H
#define TLK_STEPS_STAGE_H

#include "kernels/steps.h"
#include "kernels/velem.h"

/* In place, on rows * lanes elements [rows][stage_step], of which whole vectors can be read and written; the first one
 * is (row, lane) of the operands. */
void TLK_ELEMENT_FN(tlk_steps_stage)(const tlk_steps *steps, real *stage, int64_t stage_step, int64_t row, int64_t lane,
                                     int rows, int lanes);

#endif
