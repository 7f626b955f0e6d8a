/* How sums, products, minimum and maximum are gathered. The order is fixed by the shape alone. */
#include "kernels/kernels.h"
#include "onnx/reduce.h"
#include "onnx/tensor.h"

/* Steps through the reduced axes around the kernels' loops, last axis fastest: false after the last step. `index` is
 * zero at first, `at` changes by what the step moves. */
static __attribute__((noinline)) bool next_line(const op_reduce_plan *plan, int64_t *index, int64_t *at)
{
    for (int32_t i = plan->reduced - 1; i >= 0; i--) {
        *at += plan->reduced_strides[i];
        if (++index[i] < plan->reduced_dims[i])
            return true;
        *at -= plan->reduced_dims[i] * plan->reduced_strides[i];
        index[i] = 0;
    }
    return false;
}

/* ---- float: vectors do the inner loops, double joins their results */

static double join(tlk_reduction what, double a, double b)
{
    switch (what) {
    case TLK_PRODUCT:
        return a * b;
    case TLK_MINIMUM:
        return a < b || a != a ? a : b;
    case TLK_MAXIMUM:
        return a > b || a != a ? a : b;
    default:
        return a + b;
    }
}

/* Of `columns` columns; or of so many rows that lie side by side, if there are none. */
static __attribute__((noinline)) void gather(const op_reduce_plan *p, tlk_reduction what, const float *x,
                                             int64_t columns, const float *bounds, double *result)
{
    int64_t index[TL_MAX_RANK] = {0}, at = 0;
    bool first = true;
    do {
        float part[OP_REDUCE_COLUMNS];
        memset(part, 0, (size_t)columns * sizeof part[0]);
        if (p->columns == 1)
            tlk_get()->reduce_rows(what, x + at, part, columns, p->n, bounds);
        else
            tlk_get()->reduce_strided(what, x + at, part, p->n, p->columns, columns, bounds);
        for (int64_t c = 0; c < columns; c++)
            result[c] = first ? (double)part[c] : join(what, result[c], (double)part[c]);
        first = false;
    } while (next_line(p, index, &at));
}

static tlk_reduction vector_reduction(op_reduce_kind kind)
{
    switch (kind) {
    case OP_REDUCE_L1:
        return TLK_SUM_ABS;
    case OP_REDUCE_L2:
    case OP_REDUCE_SUM_SQUARE:
        return TLK_SUM_SQUARE;
    case OP_REDUCE_LOG_SUM_EXP:
        return TLK_SUM_EXP;
    case OP_REDUCE_PRODUCT:
        return TLK_PRODUCT;
    case OP_REDUCE_MIN:
        return TLK_MINIMUM;
    case OP_REDUCE_MAX:
        return TLK_MAXIMUM;
    default:
        return TLK_SUM;
    }
}

/* The last step, from what was gathered. */
static double finish(op_reduce_kind kind, double gathered, int64_t count, double bound)
{
    switch (kind) {
    case OP_REDUCE_MEAN:
        return gathered / (double)count;
    case OP_REDUCE_L2:
        return sqrt(gathered);
    case OP_REDUCE_LOG_SUM:
        return log(gathered);
    case OP_REDUCE_LOG_SUM_EXP:
        return log(gathered) + bound;
    default:
        return gathered;
    }
}

static bool finish_changes(op_reduce_kind kind)
{
    return kind == OP_REDUCE_MEAN || kind == OP_REDUCE_L2 || kind == OP_REDUCE_LOG_SUM || kind == OP_REDUCE_LOG_SUM_EXP;
}

/* The same for floats that lie one behind the other. A float's quotient is the double's, rounded. */
static void finish_floats(const op_reduce_job *j, float *y, int64_t n, const float *bounds)
{
    const float count = (float)j->plan->count;
    if (j->kind == OP_REDUCE_MEAN && j->plan->count <= 1 << 24)
        tlk_get()->binary(TLK_DIV, y, 1, &count, 0, y, n);
    else if (finish_changes(j->kind))
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)finish(j->kind, (double)y[i], j->plan->count, (double)bounds[i]);
}

/* Rows that lie one behind the other: a kernel for many at a time. */
static void contiguous_rows(const op_reduce_job *j, int64_t begin, int64_t end)
{
    const op_reduce_plan *p = j->plan;
    for (int64_t row = begin; row < end; row += OP_REDUCE_COLUMNS) {
        const int64_t rows = end - row < OP_REDUCE_COLUMNS ? end - row : OP_REDUCE_COLUMNS;
        const float *x = (const float *)j->x + row * p->n;
        float *y = (float *)j->y + row;
        float bounds[OP_REDUCE_COLUMNS];
        memset(bounds, 0, (size_t)rows * sizeof bounds[0]);
        if (j->kind == OP_REDUCE_LOG_SUM_EXP) {
            tlk_get()->reduce_rows(TLK_MAXIMUM, x, bounds, rows, p->n, NULL);
            for (int64_t i = 0; i < rows; i++)
                bounds[i] = isfinite(bounds[i]) ? bounds[i] : 0.0F;
        }
        tlk_get()->reduce_rows(vector_reduction(j->kind), x, y, rows, p->n, bounds);
        finish_floats(j, y, rows, bounds);
    }
}

/* How many of `most` rows from `row` on lie one behind the other, up to a block. */
static int64_t rows_beside(const op_reduce_plan *p, int64_t row, int64_t most)
{
    if (p->kept == 0 || p->kept_strides[p->kept - 1] != p->n)
        return 1;
    const int64_t left = p->kept_dims[p->kept - 1] - row % p->kept_dims[p->kept - 1];
    const int64_t rows = left < most ? left : most;
    return rows < OP_REDUCE_COLUMNS ? rows : OP_REDUCE_COLUMNS;
}

void op_reduce_f32(void *job, int64_t begin, int64_t end, int32_t thread)
{
    const op_reduce_job *j = job;
    const op_reduce_plan *p = j->plan;
    (void)thread;
    if (p->columns == 1 && p->reduced == 0) { /* then the kept axes are one, with rows side by side */
        contiguous_rows(j, begin, end);
        return;
    }
    int64_t rows = 1;
    for (int64_t unit = begin; unit < end; unit += rows) {
        const int64_t row = unit / j->blocks, column = unit % j->blocks * OP_REDUCE_COLUMNS;
        int64_t columns = p->columns - column < OP_REDUCE_COLUMNS ? p->columns - column : OP_REDUCE_COLUMNS;
        if (p->columns == 1)
            columns = rows = rows_beside(p, row, end - row);
        const float *x = (const float *)j->x + op_reduce_row(p, row) + column;
        float *y = (float *)j->y + row * p->columns + column;
        double total[OP_REDUCE_COLUMNS];
        float bounds[OP_REDUCE_COLUMNS];
        memset(bounds, 0, (size_t)columns * sizeof bounds[0]);
        if (p->reduced == 0 && j->kind != OP_REDUCE_LOG_SUM_EXP) { /* one line: nothing to join */
            tlk_get()->reduce_strided(vector_reduction(j->kind), x, y, p->n, p->columns, columns, bounds);
            finish_floats(j, y, columns, bounds);
            continue;
        }
        if (j->kind == OP_REDUCE_LOG_SUM_EXP) { /* relative to the largest, so that nothing overflows */
            gather(p, TLK_MAXIMUM, x, columns, bounds, total);
            for (int64_t c = 0; c < columns; c++)
                bounds[c] = isfinite(total[c]) ? (float)total[c] : 0.0F;
        }
        gather(p, vector_reduction(j->kind), x, columns, bounds, total);
        for (int64_t c = 0; c < columns; c++)
            y[c] =
                (float)finish(j->kind, total[c], p->count, j->kind == OP_REDUCE_LOG_SUM_EXP ? (double)bounds[c] : 0.0);
    }
}

/* ---- double */

#define EXPONENTIALS 256 /* that are summed at a time */

/* Sums of exp(x - bound), for the rows or columns of one line. */
static __attribute__((noinline)) void sum_exp_f64(const op_reduce_plan *p, const double *x, int64_t columns,
                                                  const double *bounds, double *sums)
{
    const bool rows = p->columns == 1;
    const int64_t length = rows ? p->n : columns, lines = rows ? columns : p->n; /* of what lies side by side */
    double e[EXPONENTIALS];
    memset(sums, 0, (size_t)columns * sizeof *sums);
    for (int64_t line = 0; line < lines; line++, x += rows ? p->n : p->columns)
        for (int64_t i = 0; i < length; i += EXPONENTIALS) {
            const int64_t n = length - i < EXPONENTIALS ? length - i : EXPONENTIALS;
            double sum;
            for (int64_t k = 0; k < n; k++)
                e[k] = x[i + k] - bounds[rows ? line : i + k];
            tlk_get()->doubles->unary(TLK_EXP, e, e, n);
            if (rows)
                tlk_get()->doubles->reduce_rows(TLK_SUM, e, &sum, 1, n);
            for (int64_t k = 0; k < n && !rows; k++)
                sums[i + k] += e[k];
            if (rows)
                sums[line] += sum;
        }
}

/* Of `columns` columns; or of so many rows that lie side by side, if there are none. */
static __attribute__((noinline)) void gather_f64(const op_reduce_plan *p, tlk_reduction what, const double *x,
                                                 int64_t columns, const double *bounds, double *result)
{
    const tlk_doubles_kernel *doubles = tlk_get()->doubles;
    int64_t index[TL_MAX_RANK] = {0}, at = 0;
    double part[OP_REDUCE_COLUMNS], *to = result;
    do {
        if (what == TLK_SUM_EXP)
            sum_exp_f64(p, x + at, columns, bounds, to);
        else if (p->columns == 1)
            doubles->reduce_rows(what, x + at, to, columns, p->n);
        else
            doubles->reduce_strided(what, x + at, to, p->n, p->columns, columns);
        for (int64_t c = 0; to == part && c < columns; c++)
            result[c] = join(what, result[c], part[c]);
        to = part;
    } while (next_line(p, index, &at));
}

void op_reduce_f64(void *job, int64_t begin, int64_t end, int32_t thread)
{
    const op_reduce_job *j = job;
    const op_reduce_plan *p = j->plan;
    (void)thread;
    int64_t rows = 1;
    for (int64_t unit = begin; unit < end; unit += rows) {
        const int64_t row = unit / j->blocks, first = unit % j->blocks * OP_REDUCE_COLUMNS;
        int64_t columns = p->columns - first < OP_REDUCE_COLUMNS ? p->columns - first : OP_REDUCE_COLUMNS;
        if (p->columns == 1)
            columns = rows = rows_beside(p, row, end - row);
        const double *x = (const double *)j->x + op_reduce_row(p, row) + first;
        double *y = (double *)j->y + row * p->columns + first;
        double bounds[OP_REDUCE_COLUMNS];
        if (j->kind == OP_REDUCE_LOG_SUM_EXP) { /* relative to the largest, so that nothing overflows */
            gather_f64(p, TLK_MAXIMUM, x, columns, NULL, bounds);
            for (int64_t c = 0; c < columns; c++)
                bounds[c] = isfinite(bounds[c]) ? bounds[c] : 0;
        }
        gather_f64(p, vector_reduction(j->kind), x, columns, bounds, y);
        for (int64_t c = 0; c < columns && finish_changes(j->kind); c++)
            y[c] = finish(j->kind, y[c], p->count, j->kind == OP_REDUCE_LOG_SUM_EXP ? bounds[c] : 0);
    }
}

/* ---- integers */

/* Calls STEP with every element u of the output at `x`. */
#define FOR_EACH(T, STEP)                         \
    do {                                          \
        int64_t index[TL_MAX_RANK] = {0}, at = 0; \
        do {                                      \
            const T *line = x + at;               \
            for (int64_t i = 0; i < p->n; i++) {  \
                const T u = line[i * p->columns]; \
                STEP;                             \
            }                                     \
        } while (next_line(p, index, &at));       \
    } while (0)

/* What no kernel has: squares and magnitudes wrap, and what has roots and logarithms is cut to whole. */
#define LINE(name, T, lowest, negative, to_integer)                                                   \
    static __attribute__((noinline)) T name(const op_reduce_plan *p, op_reduce_kind kind, const T *x) \
    {                                                                                                 \
        uint64_t total = 0;                                                                           \
        double real = 0.0, bound = 0.0;                                                               \
        T most = (lowest);                                                                            \
        switch (kind) {                                                                               \
        case OP_REDUCE_L1:                                                                            \
            FOR_EACH(T, total += (negative) ? 0 - (uint64_t)u : (uint64_t)u);                         \
            return (T)total;                                                                          \
        case OP_REDUCE_SUM_SQUARE:                                                                    \
            FOR_EACH(T, total += (uint64_t)u * (uint64_t)u);                                          \
            return (T)total;                                                                          \
        case OP_REDUCE_LOG_SUM_EXP:                                                                   \
            FOR_EACH(T, most = u > most ? u : most);                                                  \
            bound = (double)most;                                                                     \
            FOR_EACH(T, real += exp((double)u - bound));                                              \
            break;                                                                                    \
        case OP_REDUCE_L2:                                                                            \
            FOR_EACH(T, real += (double)u * (double)u);                                               \
            break;                                                                                    \
        default: /* OP_REDUCE_LOG_SUM */                                                              \
            FOR_EACH(T, real += (double)u);                                                           \
            break;                                                                                    \
        }                                                                                             \
        return (T)to_integer(finish(kind, real, p->count, bound));                                    \
    }
LINE(line_i32, int32_t, INT32_MIN, u < 0, op_to_int64)
LINE(line_u32, uint32_t, 0, false, op_to_int64)
LINE(line_i64, int64_t, INT64_MIN, u < 0, op_to_int64)
LINE(line_u64, uint64_t, 0, false, op_to_uint64)

/* Sums and products, which wrap, and extremes, by the kernel: of `rows` rows or of `columns` columns. The minimum is
 * the maximum with all bits turned; unsigned numbers order as signed ones with the highest turned. */
static void gather_integers(const op_reduce_job *j, const char *x, int64_t rows, int64_t columns, void *y)
{
    const op_reduce_plan *p = j->plan;
    const size_t size = op_type_size(j->type);
    const bool extreme = j->kind == OP_REDUCE_MAX || j->kind == OP_REDUCE_MIN, mean = j->kind == OP_REDUCE_MEAN;
    const bool is_unsigned = (TL_T(j->type) & (TL_T_UNSIGNED | OP_T_BOOL)) != 0;
    const int64_t lowest = INT64_MIN >> (64 - 8 * size), n = rows * columns;
    int64_t turned = is_unsigned && (extreme || (mean && size == 4)) ? lowest : 0;
    turned = j->kind == OP_REDUCE_MIN ? ~turned : turned;
    const int64_t neutral = extreme ? lowest ^ turned : j->kind == OP_REDUCE_PRODUCT;
    int64_t totals[OP_REDUCE_COLUMNS], index[TL_MAX_RANK] = {0}, at = 0;
    op_fill(extreme ? y : totals, &neutral, extreme ? size : sizeof totals[0], n);
    do {
        tlk_get()->whole->reduce(extreme ? TLK_MAXIMUM : vector_reduction(j->kind), (int)size, x + at * (int64_t)size,
                                 rows, p->n, p->columns, columns, turned, extreme ? y : totals);
    } while (next_line(p, index, &at));
    for (int64_t i = 0; i < n && !extreme; i++) {
        int64_t total = totals[i];
        if (mean && is_unsigned) /* less 2^31 for each of 32 bits */
            total = (int64_t)(((uint64_t)total + (turned ? (uint64_t)p->count << 31 : 0)) / (uint64_t)p->count);
        else if (mean)
            total /= p->count;
        if (size == 4)
            ((int32_t *)y)[i] = (int32_t)total;
        else
            ((int64_t *)y)[i] = total;
    }
}

void op_reduce_integers(void *job, int64_t begin, int64_t end, int32_t thread)
{
    const op_reduce_job *j = job;
    const op_reduce_plan *p = j->plan;
    const int64_t size = (int64_t)op_type_size(j->type);
    const op_reduce_kind kind = j->kind;
    const bool by_line = kind == OP_REDUCE_L1 || kind == OP_REDUCE_L2 || kind == OP_REDUCE_SUM_SQUARE ||
                         kind == OP_REDUCE_LOG_SUM || kind == OP_REDUCE_LOG_SUM_EXP;
    (void)thread;
    int64_t rows = 1;
    for (int64_t unit = begin; unit < end; unit += rows) {
        const int64_t row = unit / j->blocks, first = unit % j->blocks * OP_REDUCE_COLUMNS;
        const int64_t columns = p->columns - first < OP_REDUCE_COLUMNS ? p->columns - first : OP_REDUCE_COLUMNS;
        rows = p->columns == 1 && !by_line ? rows_beside(p, row, end - row) : 1;
        const char *x = (const char *)j->x + (op_reduce_row(p, row) + first) * size;
        char *y = (char *)j->y + (row * p->columns + first) * size;
        if (!by_line)
            gather_integers(j, x, rows, columns, y);
        for (int64_t c = 0; c < columns && by_line; c++, x += size, y += size)
            if (j->type == TL_INT32)
                *(int32_t *)(void *)y = line_i32(p, kind, (const int32_t *)(const void *)x);
            else if (j->type == TL_UINT32)
                *(uint32_t *)(void *)y = line_u32(p, kind, (const uint32_t *)(const void *)x);
            else if (j->type == TL_INT64)
                *(int64_t *)(void *)y = line_i64(p, kind, (const int64_t *)(const void *)x);
            else
                *(uint64_t *)(void *)y = line_u64(p, kind, (const uint64_t *)(const void *)x);
    }
}
