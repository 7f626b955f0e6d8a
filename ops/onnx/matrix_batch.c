#include "onnx/matrix_batch.h"
#include "onnx/nn.h"

bool matrix_batch_set(matrix_batch *batch, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out)
{
    tl_tensor batch_a = *a, batch_b = *b;
    batch_a.rank = a->rank > 2 ? a->rank - 2 : 0;
    batch_b.rank = b->rank > 2 ? b->rank - 2 : 0;
    *batch = matrix_batch_one();
    if (batch_a.rank >= batch_b.rank && op_product(b, 0, batch_b.rank) == 1)
        return false;
    batch->rank = batch_a.rank > batch_b.rank ? batch_a.rank : batch_b.rank;
    nn_broadcast_strides(&batch_a, batch->rank, batch->a_steps);
    nn_broadcast_strides(&batch_b, batch->rank, batch->b_steps);
    for (int32_t i = 0; i < batch->rank; i++) {
        batch->dims[i] = out->dims[i];
        batch->count *= out->dims[i];
    }
    return true;
}

void matrix_batch_at(const matrix_batch *batch, int64_t index, int64_t *a, int64_t *b)
{
    *a = *b = 0;
    for (int32_t i = batch->rank - 1; i >= 0; i--) {
        const int64_t at = index % batch->dims[i];
        index /= batch->dims[i];
        *a += at * batch->a_steps[i];
        *b += at * batch->b_steps[i];
    }
}
