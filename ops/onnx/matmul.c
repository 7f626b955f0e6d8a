/* MatMul and Gemm. */
#include "onnx/gemm.h"
#include "onnx/matmul.h"

/* Tiles of the result that are computed one at a time. */
#define TILE_ROWS    32
#define TILE_COLUMNS 256

/* One product for each of `batch` matrices; what differs between them is where A and B begin. */
typedef struct product {
    tl_type type; /* after halves became float */
    const char *a, *b;
    char *c;
    gemm_shape shape; /* of one matrix */
    int64_t row_tiles, column_tiles;
    int64_t batch, batch_rank;
    int64_t batch_dims[TL_MAX_RANK], a_strides[TL_MAX_RANK], b_strides[TL_MAX_RANK]; /* in elements */
} product;

static void run_tile(const product *p, const char *a, const char *b, char *c, int64_t row, int64_t column)
{
    gemm_shape s = p->shape;
    size_t size = nn_type_size(p->type);
    s.m = nn_min(TILE_ROWS, s.m - row);
    s.n = nn_min(TILE_COLUMNS, s.n - column);
    a += row * s.a_row * (int64_t)size;
    b += column * (int64_t)size;
    c += (row * s.c_row + column) * (int64_t)size;
    if (p->type == TL_FLOAT)
        gemm_f32(&s, (const float *)a, (const float *)b, (float *)c);
    else if (p->type == TL_DOUBLE)
        gemm_f64(&s, (const double *)a, (const double *)b, (double *)c);
    else if (size == sizeof(uint32_t))
        gemm_u32(&s, (const uint32_t *)a, (const uint32_t *)b, (uint32_t *)c);
    else
        gemm_u64(&s, (const uint64_t *)a, (const uint64_t *)b, (uint64_t *)c);
}

static void product_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const product *p = context;
    const int64_t size = (int64_t)nn_type_size(p->type), tiles = p->row_tiles * p->column_tiles;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t matrix = at / tiles, tile = at % tiles, a = 0, b = 0;
        for (int64_t rest = matrix, i = p->batch_rank - 1; i >= 0; i--) {
            int64_t index = rest % p->batch_dims[i];
            rest /= p->batch_dims[i];
            a += index * p->a_strides[i];
            b += index * p->b_strides[i];
        }
        run_tile(p, p->a + a * size, p->b + b * size, p->c + matrix * p->shape.m * p->shape.n * size,
                 tile / p->column_tiles * TILE_ROWS, tile % p->column_tiles * TILE_COLUMNS);
    }
}

static void run_product(tl_call *call, product *p)
{
    const gemm_shape *s = &p->shape;
    if (p->batch == 0 || s->m == 0 || s->n == 0)
        return;
    p->row_tiles = nn_ceil_div(s->m, TILE_ROWS);
    p->column_tiles = nn_ceil_div(s->n, TILE_COLUMNS);
    double each = (double)nn_min(s->m, TILE_ROWS) * (double)nn_min(s->n, TILE_COLUMNS) * (double)s->k;
    call->host->parallel_for(call, product_task, p, p->batch * p->row_tiles * p->column_tiles,
                             nn_grain(each > 1e9 ? (int64_t)1e9 : (int64_t)each, 1 << 16));
}

/* ---- A constant half-typed second matrix becomes float once */

typedef struct packed_matrix {
    float *b;
} packed_matrix;

static tl_status matrix_create(tl_call *call)
{
    float *b;
    tl_status status = nn_pack_half(call, 1, &b);
    if (status != TL_OK || !b)
        return status;
    packed_matrix *state = nn_new_state(call, sizeof *state);
    if (!state) {
        call->host->free(call->host, b);
        return TL_NO_MEMORY;
    }
    state->b = b;
    call->state = state;
    call->packed = 1 << 1;
    return TL_OK;
}

static void matrix_destroy(const tl_host *host, void *memory)
{
    packed_matrix *state = memory;
    host->free(host, state->b);
    host->free(host, state);
}

static uint64_t packed_inputs(const tl_call *call)
{
    return call->state ? 1 << 1 : 0;
}

static void *second_matrix(const tl_call *call)
{
    const packed_matrix *state = call->state;
    return state ? state->b : call->inputs[1]->data;
}

/* ---- MatMul: numpy's rules for shapes, in the standard's text since version 1 */

tl_status matmul_output_shape(const tl_call *call, const tl_tensor *a, const tl_tensor *b, tl_tensor *out)
{
    tl_tensor batch_a = *a, batch_b = *b;
    const tl_tensor *batches[2] = {&batch_a, &batch_b};
    tl_call view = *call;
    out->rank = TL_RANK_UNKNOWN;
    if (a->rank == TL_RANK_UNKNOWN || b->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    if (a->rank == 0 || b->rank == 0)
        return tl_fail(call, TL_INVALID_INPUT, "a factor is a scalar, but must be a vector or matrix");
    tl_dim inner_a = a->dims[a->rank - 1], inner_b = b->dims[b->rank == 1 ? 0 : b->rank - 2];
    if (inner_a >= 0 && inner_b >= 0 && inner_a != inner_b)
        return tl_fail(call, TL_INVALID_INPUT, "the factors' inner sizes are %lld and %lld, but must be the same",
                       (long long)inner_a, (long long)inner_b);
    batch_a.rank = a->rank > 2 ? a->rank - 2 : 0;
    batch_b.rank = b->rank > 2 ? b->rank - 2 : 0;
    view.inputs = batches;
    view.input_count = 2;
    tl_status status = op_broadcast(&view, 0, 2, out);
    if (status != TL_OK)
        return status;
    if (a->rank > 1)
        out->dims[out->rank++] = a->dims[a->rank - 2];
    if (b->rank > 1)
        out->dims[out->rank++] = b->dims[b->rank - 1];
    return TL_OK;
}

static tl_status matmul_reshape(tl_call *call)
{
    tl_status status = matmul_output_shape(call, call->inputs[0], call->inputs[1], call->outputs[0]);
    call->workspace_size = 0;
    if (status == TL_OK)
        nn_widen_place(call, packed_inputs(call));
    return status;
}

void matmul_execute(tl_call *call, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out)
{
    tl_tensor batch_a = *a, batch_b = *b;
    product p = {.type = out->type, .a = a->data, .b = b->data, .c = out->data, .batch = 1};
    gemm_shape *s = &p.shape;
    s->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    s->n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    s->k = a->dims[a->rank - 1];
    s->a_row = s->k;
    s->a_step = 1;
    s->b_row = s->c_row = s->n;
    batch_a.rank = a->rank > 2 ? a->rank - 2 : 0;
    batch_b.rank = b->rank > 2 ? b->rank - 2 : 0;
    if (op_elements(out) == 0)
        return;
    if (op_elements(&batch_b) == 1) {
        s->m *= op_elements(&batch_a); /* one B for all: the rows of every A under each other */
    } else {
        p.batch_rank = batch_a.rank > batch_b.rank ? batch_a.rank : batch_b.rank;
        nn_broadcast_strides(&batch_a, (int32_t)p.batch_rank, p.a_strides);
        nn_broadcast_strides(&batch_b, (int32_t)p.batch_rank, p.b_strides);
        for (int64_t i = 0; i < p.batch_rank; i++) {
            p.batch_dims[i] = out->dims[i];
            p.batch *= out->dims[i];
            p.a_strides[i] *= s->m * s->k;
            p.b_strides[i] *= s->k * s->n;
        }
    }
    run_product(call, &p);
}

static tl_status matmul_real(tl_call *call)
{
    tl_tensor b = *call->inputs[1];
    b.data = second_matrix(call);
    matmul_execute(call, call->inputs[0], &b, call->outputs[0]);
    return TL_OK;
}

static tl_status matmul_run(tl_call *call)
{
    return nn_widen_run(call, packed_inputs(call), matmul_real);
}

/* ---- Gemm: alpha * A' * B' + beta * C */

typedef struct gemm_plan {
    size_t transposed; /* of B, in the workspace */
} gemm_plan;

static tl_status check_bias(const tl_call *call, const tl_tensor *out)
{
    const tl_tensor *c = op_input(call, 2);
    if (!c || c->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    for (int32_t i = 0; c->rank <= 2 && i < c->rank; i++) {
        tl_dim have = c->dims[i], want = out->dims[2 - c->rank + i];
        if (have >= 0 && want >= 0 && have != 1 && have != want)
            return tl_fail(call, TL_INVALID_INPUT, "dimension %d of C is %lld, which does not broadcast to %lld", i,
                           (long long)have, (long long)want);
    }
    return nn_check_rank(call, 2, 0, 2);
}

static tl_status gemm_reshape(tl_call *call)
{
    const tl_tensor *a = call->inputs[0], *b = call->inputs[1];
    tl_tensor *out = call->outputs[0];
    bool trans_a = op_int(call, "transA") != 0, trans_b = op_int(call, "transB") != 0;
    tl_status status = nn_check_rank(call, 0, 2, 2);
    if (status == TL_OK)
        status = nn_check_rank(call, 1, 2, 2);
    if (status != TL_OK)
        return status;
    out->rank = 2;
    out->dims[0] = a->rank == 2 ? a->dims[trans_a] : TL_DIM_UNKNOWN;
    out->dims[1] = b->rank == 2 ? b->dims[!trans_b] : TL_DIM_UNKNOWN;
    if (a->rank == 2)
        status = nn_check_dim(call, 1, trans_b, a->dims[!trans_a], "the inner size of A");
    if (status == TL_OK)
        status = check_bias(call, out);
    if (status == TL_OK && call->plan) {
        gemm_plan *plan = call->plan;
        call->workspace_size = 0;
        nn_widen_place(call, packed_inputs(call));
        size_t size = nn_is_half(b->type) ? sizeof(float) : nn_type_size(b->type);
        plan->transposed = nn_place(call, trans_b ? nn_product(b, 0, 2) : 0, size);
    }
    return status;
}

/* The numbers after the product: y = alpha * y + beta * c, where `step` is 0 if c is one number for the whole row. */
#define SCALE(name, type)                                                                    \
    static void name(type *y, const type *c, int64_t step, int64_t n, type alpha, type beta) \
    {                                                                                        \
        if (!c)                                                                              \
            for (int64_t j = 0; alpha != 1 && j < n; j++)                                    \
                y[j] *= alpha;                                                               \
        else if (step == 0)                                                                  \
            for (int64_t j = 0; j < n; j++)                                                  \
                y[j] = alpha * y[j] + beta * c[0];                                           \
        else                                                                                 \
            for (int64_t j = 0; j < n; j++)                                                  \
                y[j] = alpha * y[j] + beta * c[j];                                           \
    }
SCALE(scale_f32, float)
SCALE(scale_f64, double)
SCALE(scale_u32, uint32_t)
SCALE(scale_u64, uint64_t)

static double clamp(double v, double low, double high)
{
    return v >= low ? (v <= high ? v : high) : (v < low ? low : 0); /* NaN gives 0 */
}

/* Integers with factors other than 1: in double, cut off towards zero, kept inside the type. */
static void scale_integers(const tl_tensor *out, int64_t row, const tl_tensor *c, int64_t offset, int64_t step,
                           float alpha, float beta)
{
    int64_t n = out->dims[1];
    for (int64_t j = 0; j < n; j++) {
        int64_t at = row * n + j;
        double v = (double)alpha * nn_element(out, at);
        if (c)
            v += (double)beta * nn_element(c, offset + j * step);
        switch (out->type) {
        case TL_INT32:
            ((int32_t *)out->data)[at] = (int32_t)clamp(v, INT32_MIN, INT32_MAX);
            break;
        case TL_UINT32:
            ((uint32_t *)out->data)[at] = (uint32_t)clamp(v, 0, UINT32_MAX);
            break;
        case TL_INT64: /* the largest doubles below 2^63 and 2^64 */
            ((int64_t *)out->data)[at] = (int64_t)clamp(v, (double)INT64_MIN, 9223372036854774784.0);
            break;
        default:
            ((uint64_t *)out->data)[at] = (uint64_t)clamp(v, 0, 18446744073709549568.0);
            break;
        }
    }
}

typedef struct gemm_epilogue {
    const tl_tensor *out, *c; /* c is NULL where there is none */
    int64_t c_row, c_step;
    float alpha, beta;
} gemm_epilogue;

static void epilogue_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const gemm_epilogue *e = context;
    const int64_t n = e->out->dims[1], size = (int64_t)nn_type_size(e->out->type);
    const bool ones = e->alpha == 1 && (e->beta == 1 || !e->c);
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        void *y = (char *)e->out->data + i * n * size;
        const void *c = e->c ? (const char *)e->c->data + i * e->c_row * size : NULL;
        if (e->out->type == TL_FLOAT)
            scale_f32(y, c, e->c_step, n, e->alpha, e->beta);
        else if (e->out->type == TL_DOUBLE)
            scale_f64(y, c, e->c_step, n, e->alpha, e->beta);
        else if (!ones)
            scale_integers(e->out, i, e->c, i * e->c_row, e->c_step, e->alpha, e->beta);
        else if (size == sizeof(uint32_t))
            scale_u32(y, c, e->c_step, n, 1, 1);
        else
            scale_u64(y, c, e->c_step, n, 1, 1);
    }
}

/* Columns of a k by n matrix out of its transposed form. */
static void transpose(const char *from, char *to, int64_t k, int64_t n, size_t size)
{
    for (int64_t l = 0; l < k; l++)
        for (int64_t j = 0; j < n; j++)
            memcpy(to + (size_t)(l * n + j) * size, from + (size_t)(j * k + l) * size, size);
}

static tl_status gemm_real(tl_call *call)
{
    const tl_tensor *a = call->inputs[0], *c = op_input(call, 2);
    tl_tensor *out = call->outputs[0];
    const gemm_plan *plan = call->plan;
    bool trans_a = op_int(call, "transA") != 0, trans_b = op_int(call, "transB") != 0;
    product p = {.type = out->type, .a = a->data, .b = second_matrix(call), .c = out->data, .batch = 1};
    gemm_epilogue e = {.out = out, .alpha = op_float(call, "alpha"), .beta = op_float(call, "beta")};
    gemm_shape *s = &p.shape;
    s->m = out->dims[0];
    s->n = out->dims[1];
    s->k = a->dims[!trans_a];
    s->a_row = trans_a ? 1 : s->k;
    s->a_step = trans_a ? s->m : 1;
    s->b_row = s->c_row = s->n;
    if (trans_b && s->n > 0 && s->k > 0) {
        transpose(p.b, nn_at(call, plan->transposed), s->k, s->n, nn_type_size(p.type));
        p.b = nn_at(call, plan->transposed);
    }
    run_product(call, &p);
    if (c && e.beta != 0) {
        int64_t strides[2];
        nn_broadcast_strides(c, 2, strides);
        e.c = c;
        e.c_row = strides[0];
        e.c_step = strides[1];
    }
    call->host->parallel_for(call, epilogue_task, &e, s->m, nn_grain(s->n, 1 << 14));
    return TL_OK;
}

static tl_status gemm_run(tl_call *call)
{
    return nn_widen_run(call, packed_inputs(call), gemm_real);
}

/* ---- Schemas */

#define MATRIX_TYPES (TL_T_FLOATS | TL_T(TL_INT32) | TL_T(TL_INT64) | TL_T(TL_UINT32) | TL_T(TL_UINT64))

static const tl_param matmul_input[] = {OP_IN("A", MATRIX_TYPES, 'T'), OP_IN("B", MATRIX_TYPES, 'T')};
static const tl_param matmul_output[] = {OP_IN("Y", MATRIX_TYPES, 'T')};
static const tl_param gemm_input[] = {OP_IN("A", MATRIX_TYPES, 'T'), OP_IN("B", MATRIX_TYPES, 'T'),
                                      OP_OPT("C", MATRIX_TYPES, 'T')};
static const tl_attribute_spec gemm_attribute[] = {OP_FLOAT("alpha", 1), OP_FLOAT("beta", 1), OP_INT("transA", 0),
                                                   OP_INT("transB", 0)};
/* Until version 6 C was broadcast only if the attribute said so; every such model means the same under the later rule.
 */
static const tl_attribute_spec gemm_attribute_1[] = {OP_FLOAT("alpha", 1), OP_FLOAT("beta", 1), OP_INT("transA", 0),
                                                     OP_INT("transB", 0), OP_INT("broadcast", 0)};

OP_DESCRIPTOR(MatMul, 1) = {OP_HEAD(MatMul, 1),       OP_PARAMS(input, matmul_input), OP_PARAMS(output, matmul_output),
                            .create = matrix_create,  .reshape = matmul_reshape,      .run = matmul_run,
                            .destroy = matrix_destroy};

OP_DESCRIPTOR(Gemm, 1) = {OP_HEAD(Gemm, 1),
                          OP_PARAMS(input, gemm_input),
                          OP_PARAMS(output, matmul_output),
                          OP_PARAMS(attribute, gemm_attribute_1),
                          .plan_size = sizeof(gemm_plan),
                          .create = matrix_create,
                          .reshape = gemm_reshape,
                          .run = gemm_run,
                          .destroy = matrix_destroy};

OP_DESCRIPTOR(Gemm, 7) = {OP_HEAD(Gemm, 7),
                          OP_PARAMS(input, gemm_input),
                          OP_PARAMS(output, matmul_output),
                          OP_PARAMS(attribute, gemm_attribute),
                          .plan_size = sizeof(gemm_plan),
                          .create = matrix_create,
                          .reshape = gemm_reshape,
                          .run = gemm_run,
                          .destroy = matrix_destroy};
