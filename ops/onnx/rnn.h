/* What DynamicQuantizeLSTM takes from LSTM: everything but the products with the weights. */
#ifndef TL_RNN_H
#define TL_RNN_H

#include "onnx/op.h"

extern const tl_operator tl_op_LSTM_7; /* its reshape, run and destroy serve both */

#define RNN_PLAN_SIZE 4096 /* of tl_op_LSTM_7, at most */

/* c = rows * weights of a direction + add, for the rows of X (all times) or of the state (one time): c has a row for
 * each, of all gates; add is read `add_row_step` further on for each, 0: the same. */
typedef void (*rnn_multiply)(tl_call *call, bool state, int64_t direction, const float *rows, const float *add,
                             int64_t add_row_step, float *c);

/* LSTM's create, with products by `multiply` from inputs W and R that have no data; `own` is what it needs: rnn_own
 * gives it back. */
tl_status rnn_create_with(tl_call *call, rnn_multiply multiply, void *own);
void *rnn_own(const void *state);

#endif
