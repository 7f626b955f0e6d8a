#include "onnx/nn.h"
#include "kernels/kernels.h"

#define MAX_WIDENED 24 /* inputs, and outputs, of an operator that computes other types in float */

size_t nn_place(tl_call *call, int64_t count, size_t size)
{
    const size_t most = (size_t)1 << 62;
    size_t bytes;
    size_t offset = call->workspace_size;
    if (count <= 0)
        return offset;
    if (offset >= most || __builtin_mul_overflow((size_t)count, size, &bytes) || bytes >= most - offset - 64) {
        call->workspace_size = most;
        return 0;
    }
    call->workspace_size = (offset + bytes + 63) & ~(size_t)63;
    return offset;
}

int64_t nn_product(const tl_tensor *tensor, int32_t begin, int32_t end)
{
    int64_t n = 1;
    for (int32_t i = begin; i < end; i++)
        if (tensor->dims[i] < 0 || !nn_mul(n, tensor->dims[i], &n))
            return -1;
    return n;
}

int64_t nn_even_grain(int32_t threads, int64_t range, double cost)
{
    static const int8_t pieces_each[] = {4, 5, 6, 7, 8, 16, 3, 2};
    const int64_t least = nn_grain(cost > 1e9 ? (int64_t)1e9 : (int64_t)cost, 1 << 18);
    if (threads <= 1 || range <= least)
        return nn_max(range, 1);
    const int64_t each = nn_ceil_div(range, threads);
    for (size_t i = 0; i < sizeof pieces_each; i++) {
        const int64_t grain = nn_ceil_div(range, (int64_t)pieces_each[i] * threads);
        const int64_t most = nn_ceil_div(nn_ceil_div(range, grain), threads) * grain; /* of one thread */
        if (grain >= least && most - each <= each / 16)
            return grain;
    }
    return each;
}

/* ---- Halves and bytes computed in float */

static bool is_widened(const tl_tensor *tensor, size_t k, uint64_t skip)
{
    if (!tensor || (skip >> k & 1))
        return false;
    return nn_is_half(tensor->type) ||
           ((skip & NN_WIDEN_BYTES) && (tensor->type == TL_INT8 || tensor->type == TL_UINT8));
}

void nn_widen_place(tl_call *call, uint64_t skip)
{
    for (size_t k = 0; k < call->input_count && k < MAX_WIDENED; k++)
        if (is_widened(call->inputs[k], k, skip))
            nn_place(call, nn_product(call->inputs[k], 0, call->inputs[k]->rank), sizeof(float));
    for (size_t k = 0; k < call->output_count && k < MAX_WIDENED; k++)
        if (is_widened(call->outputs[k], k, skip & NN_WIDEN_BYTES))
            nn_place(call, nn_product(call->outputs[k], 0, call->outputs[k]->rank), sizeof(float));
}

typedef struct widening {
    tl_type type;
    void *data; /* of that type */
    float *real;
} widening;

static void widen_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const widening *w = context;
    (void)thread;
    op_load_floats(w->type, (const char *)w->data + begin * nn_type_size(w->type), w->real + begin, end - begin);
}

static void narrow_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const widening *w = context;
    (void)thread;
    op_store_floats(w->type, w->real + begin, (char *)w->data + begin * nn_type_size(w->type), end - begin);
}

/* The copy of a tensor at *offset of the workspace, which moves on as nn_place did. */
static widening take_copy(const tl_call *call, const tl_tensor *from, tl_tensor *copy, size_t *offset)
{
    int64_t n = op_elements(from);
    widening w = {from->type, from->data, nn_at(call, *offset)};
    *copy = *from;
    copy->type = TL_FLOAT;
    copy->data = w.real;
    *offset = (*offset + (size_t)n * sizeof(float) + 63) & ~(size_t)63;
    return w;
}

tl_status nn_widen_run(tl_call *call, uint64_t skip, tl_status (*run)(tl_call *call))
{
    tl_tensor copies[2 * MAX_WIDENED];
    const tl_tensor *inputs[MAX_WIDENED];
    tl_tensor *outputs[MAX_WIDENED];
    widening results[MAX_WIDENED];
    const tl_tensor *const *own_inputs = call->inputs;
    tl_tensor *const *own_outputs = call->outputs;
    size_t offset = 0, used = 0;
    for (size_t k = 0; k < call->input_count && k < MAX_WIDENED; k++) {
        inputs[k] = own_inputs[k];
        if (is_widened(own_inputs[k], k, skip)) {
            widening w = take_copy(call, own_inputs[k], &copies[used], &offset);
            call->host->parallel_for(call, widen_task, &w, op_elements(own_inputs[k]), 1 << 15);
            inputs[k] = &copies[used++];
        }
    }
    for (size_t k = 0; k < call->output_count && k < MAX_WIDENED; k++) {
        outputs[k] = own_outputs[k];
        if (is_widened(own_outputs[k], k, skip & NN_WIDEN_BYTES)) {
            results[k] = take_copy(call, own_outputs[k], &copies[used], &offset);
            outputs[k] = &copies[used++];
        }
    }
    if (used == 0)
        return run(call);
    call->inputs = inputs;
    call->outputs = outputs;
    tl_status status = run(call);
    call->inputs = own_inputs;
    call->outputs = own_outputs;
    for (size_t k = 0; status == TL_OK && k < call->output_count && k < MAX_WIDENED; k++)
        if (is_widened(own_outputs[k], k, skip & NN_WIDEN_BYTES))
            call->host->parallel_for(call, narrow_task, &results[k], op_elements(own_outputs[k]), 1 << 15);
    return status;
}

tl_status nn_pack_half(const tl_call *call, size_t k, float **floats)
{
    const tl_tensor *in = op_input(call, k);
    *floats = NULL;
    if (!in || !in->data || !nn_is_half(in->type))
        return TL_OK;
    int64_t n = op_elements(in);
    size_t bytes;
    if (!__builtin_mul_overflow((size_t)n, sizeof(float), &bytes))
        *floats = call->host->alloc(call->host, bytes, 64);
    if (!*floats)
        return tl_fail(call, TL_NO_MEMORY, "no memory for %lld packed weights", (long long)n);
    op_load_floats(in->type, in->data, *floats, n);
    return TL_OK;
}

void *nn_new_state(const tl_call *call, size_t size)
{
    void *state = call->host->alloc(call->host, size, _Alignof(max_align_t));
    if (state)
        memset(state, 0, size);
    else
        tl_fail(call, TL_NO_MEMORY, "no memory for the operator's state");
    return state;
}

/* ---- Checks */

tl_status nn_check_rank(const tl_call *call, size_t k, int32_t low, int32_t high)
{
    const tl_tensor *in = op_input(call, k);
    if (!in || in->rank == TL_RANK_UNKNOWN || (in->rank >= low && in->rank <= high))
        return TL_OK;
    if (low == high)
        return tl_fail(call, TL_INVALID_INPUT, "input %zu has rank %d, but must have rank %d", k, in->rank, low);
    return tl_fail(call, TL_INVALID_INPUT, "input %zu has rank %d, but must have a rank in [%d, %d]", k, in->rank, low,
                   high);
}

tl_status nn_check_dim(const tl_call *call, size_t k, int32_t axis, tl_dim want, const char *why)
{
    const tl_tensor *in = op_input(call, k);
    if (!in || in->rank == TL_RANK_UNKNOWN || want < 0 || in->dims[axis] < 0 || in->dims[axis] == want)
        return TL_OK;
    return tl_fail(call, TL_INVALID_INPUT, "dimension %d of input %zu is %lld, but must be %lld: %s", axis, k,
                   (long long)in->dims[axis], (long long)want, why);
}

void nn_broadcast_strides(const tl_tensor *from, int32_t rank, int64_t *strides)
{
    int64_t stride = 1;
    for (int32_t i = rank - 1; i >= 0; i--) {
        int32_t at = i - (rank - from->rank);
        bool repeated = at < 0 || from->dims[at] == 1;
        strides[i] = repeated ? 0 : stride;
        if (at >= 0)
            stride *= from->dims[at];
    }
}
