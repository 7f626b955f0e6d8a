/* CumSum, CumProd: running sums and products along an axis. */
#include "onnx/elementwise.h"
#include "onnx/tensor.h"

#define COLUMNS 256  /* of the axes behind, that are computed together */
#define PIECE   8192 /* elements that make a piece of a parallel loop worth it */

static tl_status reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0], *axis = call->inputs[1];
    op_copy_shape(call->outputs[0], x);
    int64_t value = 0, count = 0;
    int32_t checked = 0;
    if (axis->rank > 1 || (axis->rank == 1 && axis->dims[0] >= 0 && axis->dims[0] != 1))
        return tl_fail(call, TL_INVALID_INPUT, "axis must be a scalar");
    if (x->rank == TL_RANK_UNKNOWN)
        return TL_OK;
    tl_status status = op_index_list(call, 1, &value, 1, &count);
    if (!status && count == 1)
        status = op_axis(call, "axis", value, x->rank, &checked);
    if (status || !op_plannable(x))
        return status;
    if (TL_T(x->type) & TL_T_HALFS) /* in float */
        call->workspace_size = 2 * op_staged_bytes(x->type, op_elements(x));
    return TL_OK;
}

typedef struct type {
    tl_task lines;
    op_kernel2 add; /* or multiply: numbers that lie side by side */
    const void *neutral;
    int64_t size;
} type;

typedef struct job {
    const type *type;
    int64_t outer, n, inner;
    const void *x;
    void *y;
    bool exclusive;
    int64_t start, step; /* of the walk along the axis: the first element, and from one to the next */
    int64_t blocks;      /* of columns */
} job;

#define LINES 4
#define LINE(T, combine, r)                                           \
    do {                                                              \
        const T before = total[r];                                    \
        total[r] = before combine((const T *)j->x)[line[r] + at];     \
        ((T *)j->y)[line[r] + at] = j->exclusive ? before : total[r]; \
    } while (0)

/* Along the last axis: LINES at a time, because each waits for its own sums. Beyond the last, it again. */
#define TYPE(name, T, one, combine)                                                               \
    static void name##_lines(void *context, int64_t begin, int64_t end, int32_t thread)           \
    {                                                                                             \
        const job *j = context;                                                                   \
        (void)thread;                                                                             \
        for (int64_t unit = begin; unit < end; unit++) {                                          \
            int64_t line[LINES];                                                                  \
            T total[LINES];                                                                       \
            for (int64_t r = 0; r < LINES; r++) {                                                 \
                line[r] = (unit * LINES + r < j->outer ? unit * LINES + r : j->outer - 1) * j->n; \
                total[r] = (one);                                                                 \
            }                                                                                     \
            for (int64_t k = 0, at = j->start; k < j->n; k++, at += j->step) {                    \
                LINE(T, combine, 0);                                                              \
                LINE(T, combine, 1);                                                              \
                LINE(T, combine, 2);                                                              \
                LINE(T, combine, 3);                                                              \
            }                                                                                     \
        }                                                                                         \
    }                                                                                             \
    static const T name##_neutral = (one);                                                        \
    static const type name = {name##_lines, name##_row, &name##_neutral, sizeof(T)};

#define VECTORS(name, function)                                                               \
    static void name(const void *a, const void *b, void *y, int64_t n, const void *parameter) \
    {                                                                                         \
        (void)parameter;                                                                      \
        tlk_get()->binary(function, a, 1, b, 1, y, n);                                        \
    }
VECTORS(sum_f32_row, TLK_ADD)
VECTORS(product_f32_row, TLK_MUL)
/* Integers are added and multiplied as unsigned numbers, modulo 2^32 or 2^64. */
OP_KERNEL2(sum_f64_row, double, double, u + v)
OP_KERNEL2(sum_u32_row, uint32_t, uint32_t, u + v)
OP_KERNEL2(sum_u64_row, uint64_t, uint64_t, u + v)
OP_KERNEL2(product_f64_row, double, double, u *v)
OP_KERNEL2(product_u32_row, uint32_t, uint32_t, u *v)
OP_KERNEL2(product_u64_row, uint64_t, uint64_t, u *v)
TYPE(sum_f32, float, 0.0F, +)
TYPE(sum_f64, double, 0.0, +)
TYPE(sum_u32, uint32_t, 0, +)
TYPE(sum_u64, uint64_t, 0, +)
TYPE(product_f32, float, 1.0F, *)
TYPE(product_f64, double, 1.0, *)
TYPE(product_u32, uint32_t, 1, *)
TYPE(product_u64, uint64_t, 1, *)

/* Along another axis: each row from the one before it. */
static void rows(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const job *j = context;
    const int64_t size = j->type->size, step = j->step * size;
    (void)thread;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t from = unit % j->blocks * COLUMNS;
        const int64_t width = j->inner - from < COLUMNS ? j->inner - from : COLUMNS;
        const int64_t first = (unit / j->blocks * j->n * j->inner + j->start + from) * size;
        const char *x = (const char *)j->x + first;
        char *y = (char *)j->y + first;
        if (j->exclusive)
            op_fill(y, j->type->neutral, (size_t)size, width);
        else
            memcpy(y, x, (size_t)(width * size));
        for (int64_t k = 1; k < j->n; k++, x += step, y += step)
            j->type->add(y, j->exclusive ? x : x + step, y + step, width, NULL);
    }
}

static tl_status run(tl_call *call, const type *const *types)
{
    const tl_tensor *x = call->inputs[0];
    const tl_tensor *y = call->outputs[0];
    int32_t axis = 0;
    tl_status status = op_axis(call, "axis", op_index(call->inputs[1], 0), x->rank, &axis);
    const int64_t n = op_elements(x);
    if (status || n == 0)
        return status;
    const bool native = !(TL_T(x->type) & TL_T_HALFS);
    void *staged_out = native ? NULL : (char *)call->workspace + op_staged_bytes(x->type, n);
    job j = {
        .type = types[TL_T(x->type) & (TL_T(TL_INT32) | TL_T(TL_UINT32)) ? OP_DOMAIN_COUNT : op_domain_of(x->type)],
        .outer = op_product(x, 0, axis),
        .n = x->dims[axis],
        .inner = op_product(x, axis + 1, x->rank),
        .x = native ? x->data : op_stage(x->type, x->data, n, call->workspace),
        .y = native ? y->data : staged_out,
        .exclusive = op_int(call, "exclusive") != 0,
    };
    const bool reverse = op_int(call, "reverse") != 0, lines = j.inner == 1;
    j.start = reverse ? (j.n - 1) * j.inner : 0;
    j.step = reverse ? -j.inner : j.inner;
    j.blocks = (j.inner + COLUMNS - 1) / COLUMNS;
    const int64_t units = lines ? (j.outer + LINES - 1) / LINES : j.outer * j.blocks;
    const int64_t width = lines ? LINES : j.inner < COLUMNS ? j.inner : COLUMNS;
    const int64_t grain = j.n < PIECE ? PIECE / (j.n * width) + 1 : 1;
    const tl_task task = lines ? j.type->lines : rows;
    if (units <= grain || call->thread_count <= 1)
        task(&j, 0, units, 0);
    else
        call->host->parallel_for(call, task, &j, units, grain);
    if (!native)
        op_unstage(y->type, y->data, n, staged_out);
    return TL_OK;
}

static tl_status run_sum(tl_call *call)
{
    static const type *const types[OP_DOMAIN_COUNT + 1] = {&sum_f32, &sum_f64, &sum_u64, &sum_u64, &sum_u32};
    return run(call, types);
}
static tl_status run_product(tl_call *call)
{
    static const type *const types[OP_DOMAIN_COUNT + 1] = {&product_f32, &product_f64, &product_u64, &product_u64,
                                                           &product_u32};
    return run(call, types);
}

#define T_CUMULATIVE (TL_T_FLOATS | TL_T_INDEX | TL_T(TL_UINT32) | TL_T(TL_UINT64))

static const tl_param ins[] = {OP_IN("x", T_CUMULATIVE, 'T'), OP_IN("axis", TL_T_INDEX, 0)};
static const tl_param outs[] = {OP_IN("y", T_CUMULATIVE, 'T')};
static const tl_attribute_spec attrs[] = {OP_INT("exclusive", 0), OP_INT("reverse", 0)};

#define OPERATOR(name, since, run_function)                                                                    \
    OP_DESCRIPTOR(name, since) = {OP_HEAD(name, since),        OP_PARAMS(input, ins), OP_PARAMS(output, outs), \
                                  OP_PARAMS(attribute, attrs), .reshape = reshape,    .run = (run_function)};
OPERATOR(CumSum, 11, run_sum)
OPERATOR(CumProd, 26, run_product)
