/* Products of integer matrices, by plain loops. Sums wrap. */
#include "onnx/gemm.h"
#include "onnx/matmul.h"
#include "onnx/matrix_batch.h"

/* Tiles of the result that are computed one at a time. */
#define TILE_ROWS    32
#define TILE_COLUMNS 256

/* What differs between the products of a batch is where A and B begin. */
typedef struct product {
    tl_type type;
    const char *a, *b;
    char *c;
    gemm_shape shape; /* of one matrix */
    int64_t row_tiles, column_tiles;
    matrix_batch batch;
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
    if (size == sizeof(uint32_t))
        gemm_u32(&s, (const uint32_t *)a, (const uint32_t *)b, (uint32_t *)c);
    else
        gemm_u64(&s, (const uint64_t *)a, (const uint64_t *)b, (uint64_t *)c);
}

static void product_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const product *p = context;
    const gemm_shape *s = &p->shape;
    const int64_t size = (int64_t)nn_type_size(p->type), tiles = p->row_tiles * p->column_tiles;
    (void)thread;
    for (int64_t at = begin; at < end; at++) {
        int64_t matrix = at / tiles, tile = at % tiles, a, b;
        matrix_batch_at(&p->batch, matrix, &a, &b);
        run_tile(p, p->a + a * s->m * s->k * size, p->b + b * s->k * s->n * size, p->c + matrix * s->m * s->n * size,
                 tile / p->column_tiles * TILE_ROWS, tile % p->column_tiles * TILE_COLUMNS);
    }
}

static void run_product(tl_call *call, product *p)
{
    const gemm_shape *s = &p->shape;
    if (p->batch.count == 0 || s->m == 0 || s->n == 0)
        return;
    p->row_tiles = nn_ceil_div(s->m, TILE_ROWS);
    p->column_tiles = nn_ceil_div(s->n, TILE_COLUMNS);
    double each = (double)nn_min(s->m, TILE_ROWS) * (double)nn_min(s->n, TILE_COLUMNS) * (double)s->k;
    call->host->parallel_for(call, product_task, p, p->batch.count * p->row_tiles * p->column_tiles,
                             nn_grain(each > 1e9 ? (int64_t)1e9 : (int64_t)each, 1 << 16));
}

void matmul_integers(tl_call *call, const tl_tensor *a, const tl_tensor *b, const tl_tensor *out)
{
    product p = {.type = out->type, .a = a->data, .b = b->data, .c = out->data};
    gemm_shape *s = &p.shape;
    s->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    s->n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    s->k = a->dims[a->rank - 1];
    s->a_row = s->k;
    s->a_step = 1;
    s->b_row = s->c_row = s->n;
    if (op_elements(out) == 0)
        return;
    if (!matrix_batch_set(&p.batch, a, b, out))
        s->m *= op_product(a, 0, a->rank - 2);
    run_product(call, &p);
}

/* ---- Gemm */

/* y += c, where c is NULL for nothing and `step` is 0 if it is one number for the whole row. */
#define ADD(name, type)                                               \
    static void name(type *y, const type *c, int64_t step, int64_t n) \
    {                                                                 \
        for (int64_t j = 0; c && j < n; j++)                          \
            y[j] += c[j * step];                                      \
    }
ADD(add_u32, uint32_t)
ADD(add_u64, uint64_t)

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
        double v = (double)alpha * op_load_number(out, at);
        if (c)
            v += (double)beta * op_load_number(c, offset + j * step);
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
        if (!ones)
            scale_integers(e->out, i, e->c, i * e->c_row, e->c_step, e->alpha, e->beta);
        else if (size == sizeof(uint32_t))
            add_u32(y, c, e->c_step, n);
        else
            add_u64(y, c, e->c_step, n);
    }
}

/* Columns of a k by n matrix out of its transposed form. */
static void transpose(const char *from, char *to, int64_t k, int64_t n, size_t size)
{
    for (int64_t l = 0; l < k; l++)
        for (int64_t j = 0; j < n; j++)
            memcpy(to + (size_t)(l * n + j) * size, from + (size_t)(j * k + l) * size, size);
}

void gemm_integers(tl_call *call, const gemm_factors *f, const tl_tensor *out)
{
    product p = {.type = out->type, .a = f->a->data, .b = f->b->data, .c = out->data, .batch = matrix_batch_one()};
    gemm_epilogue e = {.out = out, .alpha = f->alpha, .beta = f->beta};
    gemm_shape *s = &p.shape;
    s->m = out->dims[0];
    s->n = out->dims[1];
    s->k = f->a->dims[!f->trans_a];
    s->a_row = f->trans_a ? 1 : s->k;
    s->a_step = f->trans_a ? s->m : 1;
    s->b_row = s->c_row = s->n;
    if (f->trans_b && s->n > 0 && s->k > 0) {
        transpose(p.b, f->transposed, s->k, s->n, nn_type_size(p.type));
        p.b = f->transposed;
    }
    run_product(call, &p);
    if (f->c && e.beta != 0) {
        int64_t strides[2];
        nn_broadcast_strides(f->c, 2, strides);
        e.c = f->c;
        e.c_row = strides[0];
        e.c_step = strides[1];
    }
    call->host->parallel_for(call, epilogue_task, &e, s->m, nn_grain(s->n, 1 << 14));
}
