/* QGemm of com.microsoft: alpha * (A' * B' + C) of what bytes A and B stand for, to bytes, or to floats where no zero
 * point of Y is given. C counts in units of the sums of (a - zero point of A) * (b - zero point of B). */
#include "microsoft/microsoft.h"
#include "onnx/byte_product.h"
#include "onnx/quant.h"

enum { IN_A, IN_A_SCALE, IN_A_ZERO, IN_B, IN_B_SCALE, IN_B_ZERO, IN_C, IN_Y_SCALE, IN_Y_ZERO };

typedef struct gemm_plan {
    byte_plan bytes;
    size_t a, b, b_zeros, scales, bias, sums; /* in the workspace; A and B: where they are transposed */
} gemm_plan;

/* A tensor of rank 2, with its axes exchanged or not. */
static tl_tensor matrix(const tl_tensor *t, bool turned)
{
    tl_tensor m = *t;
    m.dims[0] = t->dims[turned];
    m.dims[1] = t->dims[!turned];
    return m;
}

/* Row i of `to`, an m, is column i of the bytes. */
static void transpose(const uint8_t *from, const tl_tensor *m, uint8_t *to)
{
    for (int64_t i = 0; i < m->dims[0]; i++)
        for (int64_t j = 0; j < m->dims[1]; j++)
            to[i * m->dims[1] + j] = from[j * m->dims[0] + i];
}

static tl_status create(tl_call *call)
{
    const tl_tensor *b = call->inputs[IN_B];
    if (!b->data || b->rank != 2 || op_elements(b) == 0)
        return TL_OK;
    if (op_int(call, "transB") == 0)
        return byte_create(call, IN_B);
    tl_tensor turned = matrix(b, true);
    const tl_tensor *inputs[] = {[IN_B] = &turned}, *const *const own = call->inputs;
    turned.data = call->host->alloc(call->host, (size_t)op_elements(b), 64);
    if (!turned.data)
        return tl_fail(call, TL_NO_MEMORY, "no memory for transposed weights");
    transpose(b->data, &turned, turned.data);
    call->inputs = inputs;
    tl_status status = byte_create(call, IN_B);
    call->inputs = own;
    call->host->free(call->host, turned.data);
    return status;
}

/* Scales and zero points: one, and of B also one for each column. C as it broadcasts to Y. */
static tl_status check_parameters(const tl_call *call)
{
    static const uint8_t parameters[] = {IN_A_SCALE, IN_A_ZERO, IN_B_SCALE, IN_B_ZERO, IN_Y_SCALE, IN_Y_ZERO};
    tl_status status = quant_check(call, IN_C, call->outputs[0], 1);
    for (size_t i = 0; i < sizeof parameters && status == TL_OK; i++) {
        const size_t k = parameters[i];
        const tl_tensor *in = op_input(call, k);
        status = nn_check_rank(call, k, 0, 1);
        if (status != TL_OK || !in || in->rank == TL_RANK_UNKNOWN)
            continue;
        const int64_t n = nn_product(in, 0, in->rank);
        if (k == IN_B_SCALE || k == IN_B_ZERO)
            status = quant_check(call, k, call->outputs[0], 1);
        else if (n >= 0 && n != 1)
            return tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld elements, but must have one", k, (long long)n);
    }
    return status;
}

/* Whether C is one number, or one for each column. */
static bool is_row(const tl_tensor *c, int64_t n)
{
    const int64_t elements = op_elements(c);
    return elements == 1 || (elements == n && c->dims[c->rank - 1] == n);
}

static tl_status reshape(tl_call *call)
{
    const tl_tensor *a = call->inputs[IN_A], *b = call->inputs[IN_B], *c = op_input(call, IN_C);
    const tl_tensor *zero = op_input(call, IN_Y_ZERO);
    tl_tensor *y = call->outputs[0];
    const bool trans_a = op_int(call, "transA") != 0, trans_b = op_int(call, "transB") != 0;
    y->type = zero ? zero->type : TL_FLOAT;
    tl_status status = nn_check_rank(call, IN_A, 2, 2);
    if (status == TL_OK)
        status = nn_check_rank(call, IN_B, 2, 2);
    if (status != TL_OK)
        return status;
    y->rank = 2;
    y->dims[0] = a->rank == 2 ? a->dims[trans_a] : TL_DIM_UNKNOWN;
    y->dims[1] = b->rank == 2 ? b->dims[!trans_b] : TL_DIM_UNKNOWN;
    if (a->rank == 2)
        status = nn_check_dim(call, IN_B, trans_b, a->dims[!trans_a], "the inner size of A");
    if (status == TL_OK)
        status = check_parameters(call);
    if (status != TL_OK || !call->plan)
        return status;
    gemm_plan *plan = call->plan;
    const tl_tensor left = matrix(a, trans_a), right = matrix(b, trans_b);
    const bool packed = call->state != NULL, row = !c || is_row(c, y->dims[1]);
    call->workspace_size = 0;
    byte_plan_product(call, &plan->bytes, &left, &right, y, packed);
    plan->a = nn_place(call, trans_a ? op_elements(a) : 0, 1);
    plan->b = nn_place(call, trans_b && !packed ? op_elements(b) : 0, 1);
    plan->b_zeros = nn_place(call, nn_max(1, y->dims[1]), sizeof(int32_t));
    plan->scales = nn_place(call, op_elements(call->inputs[IN_B_SCALE]), sizeof(float));
    plan->bias = nn_place(call, c && row ? y->dims[1] : 0, sizeof(int32_t));
    plan->sums = nn_place(call, !row && zero ? op_elements(y) : 0, sizeof(int32_t));
    return TL_OK;
}

/* The rest where C is no row: what it adds to the sums, and how they are stored. */
static void store(const tl_call *call, const byte_result *result, void *sums)
{
    const tl_tensor *y = call->outputs[0], *c = call->inputs[IN_C];
    const int64_t n = y->dims[1], row_step = c->dims[0] > 1 ? c->dims[1] : 0, step = c->dims[1] > 1;
    for (int64_t i = 0; i < y->dims[0]; i++) {
        const int32_t *add = (const int32_t *)c->data + i * row_step, *row = (const int32_t *)sums + i * n;
        float *values = (float *)sums + i * n;
        for (int64_t j = 0; j < n; j++)
            values[j] =
                (float)(int32_t)((uint32_t)row[j] + (uint32_t)add[j * step]) * result->scale[j * result->scale_step];
        if (y->type != TL_FLOAT)
            tlk_get()->quantize(values, (uint8_t *)y->data + i * n, 1, n, 1, result->zero, result->low, result->high);
    }
}

static tl_status run(tl_call *call)
{
    const gemm_plan *plan = call->plan;
    const tl_tensor *b_scale = call->inputs[IN_B_SCALE], *y_scale = op_input(call, IN_Y_SCALE);
    const tl_tensor *c = op_input(call, IN_C), *zero = op_input(call, IN_Y_ZERO), *y = call->outputs[0];
    const bool trans_a = op_int(call, "transA") != 0, trans_b = op_int(call, "transB") != 0;
    const tl_tensor a = matrix(call->inputs[IN_A], trans_a), b = matrix(call->inputs[IN_B], trans_b);
    const int32_t a_zero = quant_byte(call->inputs[IN_A_ZERO], 0);
    const tl_tensor columns = quant_columns(&b);
    const int64_t n = y->dims[1], scale_count = op_elements(b_scale);
    int32_t *b_zeros = nn_at(call, plan->b_zeros), *bias = nn_at(call, plan->bias);
    float *scales = nn_at(call, plan->scales);
    void *sums = zero ? nn_at(call, plan->sums) : y->data;
    const bool row = !c || op_elements(y) == 0 || is_row(c, n);
    byte_result result = {.form = row ? zero ? TLK_BYTES_BYTES : TLK_BYTES_FLOATS : TLK_BYTES_SUMS,
                          .c = row ? y->data : sums,
                          .a_zeros = &a_zero,
                          .b_zeros = b_zeros,
                          .b_zero_step = quant_zeros(call->inputs[IN_B_ZERO], &columns, 1, b_zeros),
                          .scale = scales,
                          .scale_step = scale_count > 1,
                          .bias = row && c ? bias : NULL,
                          .zero = zero ? quant_byte(zero, 0) : 0,
                          .low = quant_low(y->type),
                          .high = quant_high(y->type)};
    if (op_elements(y) == 0)
        return TL_OK;
    const float scale = op_float(call, "alpha") * *(const float *)call->inputs[IN_A_SCALE]->data;
    for (int64_t j = 0; j < scale_count; j++) {
        scales[j] = scale * ((const float *)b_scale->data)[j];
        if (y_scale)
            scales[j] /= *(const float *)y_scale->data;
    }
    for (int64_t j = 0; result.bias && j < n; j++)
        bias[j] = ((const int32_t *)c->data)[op_elements(c) > 1 ? j : 0];
    if (trans_a)
        transpose(a.data, &a, nn_at(call, plan->a));
    if (trans_b && !call->state)
        transpose(b.data, &b, nn_at(call, plan->b));
    byte_product_run(call, &plan->bytes, trans_a ? nn_at(call, plan->a) : a.data,
                     trans_b ? nn_at(call, plan->b) : b.data, call->state, &result);
    if (!row)
        store(call, &result, sums);
    return TL_OK;
}

/* Along A's rows. */
static bool reach(const tl_call *call, size_t k, int32_t axis, tl_reach *seen)
{
    (void)seen;
    return k == IN_A && axis == 0 && op_int(call, "transA") == 0;
}

#define FLOAT TL_T(TL_FLOAT)
static const tl_param input[] = {
    OP_IN("A", QUANT_BYTES, 'A'),   OP_IN("a_scale", FLOAT, 0),  OP_IN("a_zero_point", QUANT_BYTES, 'A'),
    OP_IN("B", QUANT_BYTES, 'B'),   OP_IN("b_scale", FLOAT, 0),  OP_IN("b_zero_point", QUANT_BYTES, 'B'),
    OP_OPT("C", TL_T(TL_INT32), 0), OP_OPT("y_scale", FLOAT, 0), OP_OPT("y_zero_point", QUANT_BYTES, 0)};
static const tl_param output[] = {OP_IN("Y", FLOAT | QUANT_BYTES, 0)};
static const tl_attribute_spec attribute[] = {OP_FLOAT("alpha", 1), OP_INT("transA", 0), OP_INT("transB", 0)};

OP_DESCRIPTOR(QGemm, 1) = {
    MICROSOFT_HEAD(QGemm, 1),       OP_PARAMS(input, input), OP_PARAMS(output, output), OP_PARAMS(attribute, attribute),
    .plan_size = sizeof(gemm_plan), .create = create,        .reshape = reshape,        .run = run,
    .destroy = op_free_state,       .reach = reach};
