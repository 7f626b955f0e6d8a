/* What DynamicQuantizeLSTM takes from LSTM: everything but the weights' form, and rounded factors. */
#ifndef TL_RNN_H
#define TL_RNN_H

#include "onnx/op.h"

extern const tl_operator tl_op_LSTM_7; /* its reshape, run and destroy serve both */

#define RNN_PLAN_SIZE 4096 /* of tl_op_LSTM_7, at most */

/* LSTM's create, for a state that is rounded by rnn_round before each product. */
tl_status rnn_quantized_create(tl_call *call);
/* The inputs, of W and R, that are packed in the state. */
uint64_t rnn_packed(const tl_call *call);
/* n numbers to the nearest of 256 that span their range and 0. */
void rnn_round(const float *from, float *to, int64_t n);

#endif
