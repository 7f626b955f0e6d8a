/* Softmax, LogSoftmax, Hardmax: over one axis; before version 13 over all axes from one on.
 *
 * The standard defines Softmax by a body of operators. So in float16 and bfloat16 the differences from the maximum,
 * their exponentials, the sum and the quotients are each rounded, as where an exporter has written the body out. */
#include "kernels/kernels.h"
#include "onnx/convert.h"
#include "onnx/tensor.h"

typedef enum kind { SOFTMAX, LOG_SOFTMAX, HARDMAX } kind;

/* The tensor is outer x n x inner. */
typedef struct plan {
    int64_t outer, n, inner;
} plan;

#define COLUMNS 64   /* of `inner`, that are computed together */
#define PIECE   4096 /* elements that make a piece of a parallel loop worth it */

static tl_status shape(tl_call *call, bool coerced)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    op_copy_shape(out, x);
    if (x->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    int32_t axis = 0;
    /* a scalar is a row of one element */
    tl_status status = op_axis(call, "axis", op_int(call, "axis"), x->rank ? x->rank : 1, &axis);
    if (status || !call->plan || !op_plannable(x))
        return status;
    plan *p = call->plan;
    p->outer = op_product(x, 0, axis);
    p->n = x->rank == 0 ? 1 : coerced ? op_product(x, axis, x->rank) : x->dims[axis];
    p->inner = x->rank == 0 || coerced ? 1 : op_product(x, axis + 1, x->rank);
    /* half types are computed in a copy in float */
    const bool half = x->type == TL_FLOAT16 || x->type == TL_BFLOAT16;
    call->workspace_size = half ? (size_t)op_elements(x) * sizeof(float) : 0;
    return TL_OK;
}

static tl_status reshape(tl_call *call)
{
    return shape(call, false);
}
static tl_status reshape_coerced(tl_call *call)
{
    return shape(call, true);
}

/* Of `count` <= COLUMNS rows of n neighbours, and of as many columns of n elements that lie `stride` apart: 1 at the
 * first of the greatest, to y, which x may be. */
#define HARDMAX_OF(label, T, REDUCE_ROWS, REDUCE_STRIDED)                                           \
    OP_FIND(find_##label, T)                                                                        \
    static void hardmax_rows_##label(const T *x, T *y, int64_t n, int64_t count)                    \
    {                                                                                               \
        T top[COLUMNS];                                                                             \
        REDUCE_ROWS;                                                                                \
        for (int64_t i = 0; i < count; i++, x += n, y += n) {                                       \
            const int64_t best = find_##label(x, n, top[i], false);                                 \
            memset(y, 0, (size_t)n * sizeof *y);                                                    \
            y[best] = 1;                                                                            \
        }                                                                                           \
    }                                                                                               \
    static void hardmax_columns_##label(const T *x, T *y, int64_t n, int64_t stride, int64_t count) \
    {                                                                                               \
        T top[COLUMNS], left[COLUMNS]; /* 1 until it is found */                                    \
        REDUCE_STRIDED;                                                                             \
        for (int64_t k = 0; k < count; k++)                                                         \
            left[k] = 1;                                                                            \
        for (int64_t i = 0; i < n; i++, x += stride, y += stride)                                   \
            OP_INDEPENDENT for (int64_t k = 0; k < count; k++)                                      \
            {                                                                                       \
                const T u = x[k], t = top[k], hit = (u == t) | ((u != u) & (t != t)) ? left[k] : 0; \
                y[k] = hit;                                                                         \
                left[k] -= hit;                                                                     \
            }                                                                                       \
    }
HARDMAX_OF(f32, float, tlk_get()->reduce_rows(TLK_MAXIMUM, x, top, count, n, NULL),
           tlk_get()->reduce_strided(TLK_MAXIMUM, x, top, n, stride, count, NULL))
HARDMAX_OF(f64, double, tlk_get()->doubles->reduce_rows(TLK_MAXIMUM, x, top, count, n),
           tlk_get()->doubles->reduce_strided(TLK_MAXIMUM, x, top, n, stride, count))

/* exp(x - top) to y, which is summed; a line of columns, or of a row with one top and one sum. */
static __attribute__((noinline)) void exponentials_f64(const double *x, const double *top, double *y, double *sum,
                                                       int64_t n, bool row)
{
    const tlk_doubles_kernel *doubles = tlk_get()->doubles;
    double part;
    for (int64_t k = 0; k < n; k++)
        y[k] = x[k] - top[row ? 0 : k];
    doubles->unary(TLK_EXP, y, y, n);
    if (row) {
        doubles->reduce_rows(TLK_SUM, y, &part, 1, n);
        *sum += part;
    }
    for (int64_t k = 0; k < n && !row; k++)
        sum[k] += y[k];
}

/* Of `columns` <= COLUMNS columns; or of one row of n neighbours, if `stride` is 1. */
static void softmax_f64(const double *x, double *y, int64_t n, int64_t stride, int64_t columns, bool logarithm)
{
    const bool row = stride == 1;
    const int64_t lines = row ? 1 : n, width = row ? n : columns; /* of what lies side by side */
    double top[COLUMNS], sum[COLUMNS] = {0}, e[COLUMNS];
    if (row)
        tlk_get()->doubles->reduce_rows(TLK_MAXIMUM, x, top, 1, n);
    else
        tlk_get()->doubles->reduce_strided(TLK_MAXIMUM, x, top, n, stride, columns);
    for (int64_t line = 0; line < lines; line++)
        for (int64_t i = 0; i < width; i += COLUMNS) {
            const int64_t at = line * stride + i;
            exponentials_f64(x + at, top, logarithm ? e : y + at, sum, width - i < COLUMNS ? width - i : COLUMNS, row);
        }
    for (int64_t k = 0; k < (row ? 1 : columns) && logarithm; k++)
        sum[k] = log(sum[k]);
    for (int64_t line = 0; line < lines; line++)
        for (int64_t k = 0; k < width; k++) {
            const int64_t at = line * stride + k, c = row ? 0 : k;
            y[at] = logarithm ? x[at] - top[c] - sum[c] : y[at] / sum[c];
        }
}

typedef struct job {
    plan p;
    kind what;
    tl_type type;
    const void *x;
    void *y;
    int64_t blocks; /* of columns */
} job;

static void hardmax_rows(const job *j, int64_t begin, int64_t end)
{
    for (int64_t row = begin; row < end; row += COLUMNS) {
        const int64_t at = row * j->p.n, rows = end - row < COLUMNS ? end - row : COLUMNS;
        if (j->type == TL_DOUBLE)
            hardmax_rows_f64((const double *)j->x + at, (double *)j->y + at, j->p.n, rows);
        else
            hardmax_rows_f32((const float *)j->x + at, (float *)j->y + at, j->p.n, rows);
    }
}

static void lines_f64(const job *j, int64_t outer, int64_t from, int64_t to)
{
    const int64_t base = outer * j->p.n * j->p.inner;
    const double *x = (const double *)j->x + base;
    double *y = (double *)j->y + base;
    if (j->what == HARDMAX)
        hardmax_columns_f64(x + from, y + from, j->p.n, j->p.inner, to - from);
    else
        softmax_f64(x + from, y + from, j->p.n, j->p.inner, to - from, j->what == LOG_SOFTMAX);
}

static void lines_f32(const job *j, int64_t outer, int64_t from, int64_t to)
{
    const int64_t base = outer * j->p.n * j->p.inner;
    const float *x = (const float *)j->x + base;
    float *y = (float *)j->y + base;
    if (j->what == HARDMAX)
        hardmax_columns_f32(x + from, y + from, j->p.n, j->p.inner, to - from);
    else
        tlk_get()->softmax_strided(x + from, y + from, j->p.n, j->p.inner, to - from, j->what == LOG_SOFTMAX);
}

#define HALVES 512 /* that are rounded at a time */

/* To the values that `type` has; n <= HALVES. */
static void round_to(tl_type type, float *x, int64_t n)
{
    const tlk_kernels *kernels = tlk_get();
    uint16_t half[HALVES];
    if (type == TL_FLOAT16) {
        kernels->f32_to_f16(x, half, n);
        kernels->f16_to_f32(half, x, n);
    } else {
        kernels->f32_to_bf16(x, half, n);
        kernels->bf16_to_f32(half, x, n);
    }
}

static void rounded_exponentials(tl_type type, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += HALVES) {
        const int64_t count = n - i < HALVES ? n - i : HALVES;
        round_to(type, x + i, count);
        tlk_get()->unary(TLK_EXP, x + i, x + i, count);
        round_to(type, x + i, count);
    }
}

/* Softmax of at most COLUMNS lines of values of a half type: columns, or rows one behind the other. The quotients are
 * the caller's to round. */
static void softmax_half(const job *j, float *y, int64_t lines)
{
    const tlk_kernels *kernels = tlk_get();
    const bool rows = j->p.inner == 1;
    const int64_t count = rows ? lines : j->p.n, width = rows ? j->p.n : lines; /* of what lies side by side */
    const int64_t step = rows ? width : j->p.inner;
    float top[COLUMNS], sum[COLUMNS];
    if (rows)
        kernels->reduce_rows(TLK_MAXIMUM, y, top, lines, width, NULL);
    else
        kernels->reduce_strided(TLK_MAXIMUM, y, top, count, step, lines, NULL);
    for (int64_t i = 0; i < count; i++)
        kernels->binary(TLK_SUB, y + i * step, 1, rows ? top + i : top, !rows, y + i * step, width);
    if (step == width)
        rounded_exponentials(j->type, y, count * width);
    for (int64_t i = 0; i < count && step != width; i++)
        rounded_exponentials(j->type, y + i * step, width);
    if (rows)
        kernels->reduce_rows(TLK_SUM, y, sum, lines, width, NULL);
    else
        kernels->reduce_strided(TLK_SUM, y, sum, count, step, lines, NULL);
    round_to(j->type, sum, lines);
    for (int64_t i = 0; i < count; i++)
        kernels->binary(TLK_DIV, y + i * step, 1, rows ? sum + i : sum, !rows, y + i * step, width);
}

static void units(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const job *j = context;
    (void)thread;
    const bool stepwise = j->what == SOFTMAX && (j->type == TL_FLOAT16 || j->type == TL_BFLOAT16);
    if (j->p.inner == 1 && j->what == HARDMAX) {
        hardmax_rows(j, begin, end);
        return;
    }
    if (j->p.inner == 1 && j->type != TL_DOUBLE && !stepwise) { /* rows one behind the other */
        const int64_t at = begin * j->p.n;
        tlk_get()->softmax((const float *)j->x + at, (float *)j->y + at, end - begin, j->p.n, j->what == LOG_SOFTMAX);
        return;
    }
    if (j->p.inner == 1 && stepwise) {
        int64_t lines = PIECE / j->p.n; /* rows that stay in the first-level cache */
        lines = lines < 1 ? 1 : lines < COLUMNS ? lines : COLUMNS;
        for (int64_t unit = begin; unit < end; unit += lines)
            softmax_half(j, (float *)j->y + unit * j->p.n, end - unit < lines ? end - unit : lines);
        return;
    }
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t outer = unit / j->blocks, from = unit % j->blocks * COLUMNS;
        const int64_t to = j->p.inner - from < COLUMNS ? j->p.inner : from + COLUMNS;
        if (stepwise)
            softmax_half(j, (float *)j->y + outer * j->p.n * j->p.inner + from, to - from);
        else if (j->type == TL_DOUBLE)
            lines_f64(j, outer, from, to);
        else
            lines_f32(j, outer, from, to);
    }
}

static void run_floats(tl_call *call, job *j)
{
    const int64_t columns = j->p.inner < COLUMNS ? j->p.inner : COLUMNS;
    j->blocks = (j->p.inner + COLUMNS - 1) / COLUMNS;
    const int64_t count = j->p.outer * j->blocks;
    const int64_t grain = PIECE / (j->p.n < PIECE ? j->p.n * columns : PIECE) + 1;
    if (count <= grain || call->thread_count <= 1)
        units(j, 0, count, 0);
    else
        call->host->parallel_for(call, units, j, count, op_even_grain(call, count, grain));
}

static tl_status run(tl_call *call, kind what)
{
    const plan *p = call->plan;
    const tl_tensor *x = call->inputs[0];
    const tl_tensor *y = call->outputs[0];
    if (p->n == 0) /* there are no elements */
        return TL_OK;
    job j = {.p = *p, .what = what, .type = x->type, .x = x->data, .y = y->data};
    const bool half = x->type == TL_FLOAT16 || x->type == TL_BFLOAT16;
    if (half) {
        const tlk_kernels *kernels = tlk_get();
        const int64_t n = op_elements(x);
        float *copy = call->workspace;
        j.x = j.y = copy;
        (x->type == TL_FLOAT16 ? kernels->f16_to_f32 : kernels->bf16_to_f32)(x->data, copy, n);
        run_floats(call, &j);
        (x->type == TL_FLOAT16 ? kernels->f32_to_f16 : kernels->f32_to_bf16)(copy, y->data, n);
    } else {
        run_floats(call, &j);
    }
    return TL_OK;
}

static tl_status run_softmax(tl_call *call)
{
    return run(call, SOFTMAX);
}
static tl_status run_log_softmax(tl_call *call)
{
    return run(call, LOG_SOFTMAX);
}
static tl_status run_hardmax(tl_call *call)
{
    return run(call, HARDMAX);
}

/* Along the axes in front of the one from which on all are one. */
static bool reach_coerced(const tl_call *call, size_t k, int32_t axis, tl_reach *reach)
{
    const int64_t own = op_int(call, "axis");
    (void)reach;
    return axis < (own < 0 ? own + call->inputs[k]->rank : own);
}

static const tl_param ins[] = {OP_IN("input", TL_T_FLOATS, 'T')};
static const tl_param outs[] = {OP_IN("output", TL_T_FLOATS, 'T')};
static const tl_attribute_spec attrs_1[] = {OP_INT("axis", 1)};
static const tl_attribute_spec attrs_13[] = {OP_INT("axis", -1)};

#define BOTH(name, run_function)                                                                                       \
    OP_DESCRIPTOR(name, 1) = {                                                                                         \
        OP_HEAD(name, 1),          OP_PARAMS(input, ins),      OP_PARAMS(output, outs), OP_PARAMS(attribute, attrs_1), \
        .plan_size = sizeof(plan), .reshape = reshape_coerced, .run = (run_function),   .reach = reach_coerced};       \
    OP_DESCRIPTOR(name, 13) = {                                                                                        \
        OP_HEAD(name, 13),         OP_PARAMS(input, ins), OP_PARAMS(output, outs), OP_PARAMS(attribute, attrs_13),     \
        .plan_size = sizeof(plan), .reshape = reshape,    .run = (run_function),   .reach = op_reach_beside};

BOTH(Softmax, run_softmax)
BOTH(LogSoftmax, run_log_softmax)
BOTH(Hardmax, run_hardmax)
