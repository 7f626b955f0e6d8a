/* How sums, products, minimum and maximum are gathered. The order is fixed by the shape alone. */
#include "kernels/kernels.h"
#include "onnx/reduce.h"

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

/* The same for floats that lie one behind the other. A float's quotient is the double's, rounded. */
static void finish_floats(const op_reduce_job *j, float *y, int64_t n, const float *bounds)
{
    const float count = (float)j->plan->count;
    if (j->kind == OP_REDUCE_MEAN && j->plan->count <= 1 << 24)
        tlk_get()->binary(TLK_DIV, y, 1, &count, 0, y, n);
    else if (j->kind == OP_REDUCE_MEAN || j->kind == OP_REDUCE_L2 || j->kind == OP_REDUCE_LOG_SUM ||
             j->kind == OP_REDUCE_LOG_SUM_EXP)
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

/* ---- the other domains: one output at a time */

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

static __attribute__((noinline)) double line_f64(const op_reduce_plan *p, op_reduce_kind kind, const double *x)
{
    double total = 0.0, bound = 0.0;
    switch (kind) {
    case OP_REDUCE_L1:
        FOR_EACH(double, total += fabs(u));
        break;
    case OP_REDUCE_L2:
    case OP_REDUCE_SUM_SQUARE:
        FOR_EACH(double, total += u * u);
        break;
    case OP_REDUCE_LOG_SUM_EXP:
        bound = -INFINITY;
        FOR_EACH(double, bound = join(TLK_MAXIMUM, bound, u));
        bound = isfinite(bound) ? bound : 0.0;
        FOR_EACH(double, total += exp(u - bound));
        break;
    case OP_REDUCE_PRODUCT:
        total = 1.0;
        FOR_EACH(double, total *= u);
        break;
    case OP_REDUCE_MIN:
        total = INFINITY;
        FOR_EACH(double, total = join(TLK_MINIMUM, total, u));
        break;
    case OP_REDUCE_MAX:
        total = -INFINITY;
        FOR_EACH(double, total = join(TLK_MAXIMUM, total, u));
        break;
    default:
        FOR_EACH(double, total += u);
        break;
    }
    return finish(kind, total, p->count, bound);
}

/* Sums and products of integers wrap. What has roots and logarithms is cut to whole. */
#define LINE(name, T, lowest, highest, negative, to_integer)                                          \
    static __attribute__((noinline)) T name(const op_reduce_plan *p, op_reduce_kind kind, const T *x) \
    {                                                                                                 \
        uint64_t total = 0;                                                                           \
        double real = 0.0, bound = 0.0;                                                               \
        T extreme = (lowest);                                                                         \
        switch (kind) {                                                                               \
        case OP_REDUCE_L1:                                                                            \
            FOR_EACH(T, total += (negative) ? 0 - (uint64_t)u : (uint64_t)u);                         \
            return (T)total;                                                                          \
        case OP_REDUCE_SUM_SQUARE:                                                                    \
            FOR_EACH(T, total += (uint64_t)u * (uint64_t)u);                                          \
            return (T)total;                                                                          \
        case OP_REDUCE_PRODUCT:                                                                       \
            total = 1;                                                                                \
            FOR_EACH(T, total *= (uint64_t)u);                                                        \
            return (T)total;                                                                          \
        case OP_REDUCE_MAX:                                                                           \
            FOR_EACH(T, extreme = u > extreme ? u : extreme);                                         \
            return extreme;                                                                           \
        case OP_REDUCE_MIN:                                                                           \
            extreme = (highest);                                                                      \
            FOR_EACH(T, extreme = u < extreme ? u : extreme);                                         \
            return extreme;                                                                           \
        case OP_REDUCE_LOG_SUM_EXP:                                                                   \
            FOR_EACH(T, extreme = u > extreme ? u : extreme);                                         \
            bound = (double)extreme;                                                                  \
            FOR_EACH(T, real += exp((double)u - bound));                                              \
            return to_integer(finish(kind, real, p->count, bound));                                   \
        case OP_REDUCE_L2:                                                                            \
            FOR_EACH(T, real += (double)u * (double)u);                                               \
            return to_integer(finish(kind, real, p->count, bound));                                   \
        case OP_REDUCE_LOG_SUM:                                                                       \
            FOR_EACH(T, real += (double)u);                                                           \
            return to_integer(finish(kind, real, p->count, bound));                                   \
        case OP_REDUCE_MEAN:                                                                          \
            FOR_EACH(T, total += (uint64_t)u);                                                        \
            return p->count ? (T)total / (T)p->count : 0;                                             \
        case OP_REDUCE_SUM:                                                                           \
            break;                                                                                    \
        }                                                                                             \
        FOR_EACH(T, total += (uint64_t)u);                                                            \
        return (T)total;                                                                              \
    }
LINE(line_i64, int64_t, INT64_MIN, INT64_MAX, u < 0, op_to_int64)
LINE(line_u64, uint64_t, 0, UINT64_MAX, false, op_to_uint64)

#define TASK(name, T, line)                                                                                       \
    void name(void *job, int64_t begin, int64_t end, int32_t thread)                                              \
    {                                                                                                             \
        const op_reduce_job *j = job;                                                                             \
        const op_reduce_plan *p = j->plan;                                                                        \
        (void)thread;                                                                                             \
        for (int64_t unit = begin; unit < end; unit++) {                                                          \
            const int64_t row = unit / j->blocks, first = unit % j->blocks * OP_REDUCE_COLUMNS;                   \
            const int64_t last = p->columns - first < OP_REDUCE_COLUMNS ? p->columns : first + OP_REDUCE_COLUMNS; \
            const T *x = (const T *)j->x + op_reduce_row(p, row);                                                 \
            T *y = (T *)j->y + row * p->columns;                                                                  \
            for (int64_t c = first; c < last; c++)                                                                \
                y[c] = line(p, j->kind, x + c);                                                                   \
        }                                                                                                         \
    }
TASK(op_reduce_f64, double, line_f64)
TASK(op_reduce_i64, int64_t, line_i64)
TASK(op_reduce_u64, uint64_t, line_u64)

/* ---- bytes where they lie: of a row all columns at a time */

void op_reduce_bytes(void *job, int64_t begin, int64_t end, int32_t thread)
{
    const op_reduce_job *j = job;
    const op_reduce_plan *p = j->plan;
    const uint8_t turned = j->turned;
    const int64_t n = p->n, columns = p->columns;
    (void)thread;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t row = unit / j->blocks, first = unit % j->blocks * OP_REDUCE_COLUMNS;
        const int64_t width = columns - first < OP_REDUCE_COLUMNS ? columns - first : OP_REDUCE_COLUMNS;
        const uint8_t *x = (const uint8_t *)j->x + op_reduce_row(p, row) + first;
        uint8_t *y = (uint8_t *)j->y + row * columns + first;
        uint8_t most[OP_REDUCE_COLUMNS];
        int64_t index[TL_MAX_RANK] = {0}, at = 0;
        memset(most, 0, (size_t)width);
        do {
            const uint8_t *line = x + at;
            uint8_t alone = 0; /* of one column */
            for (int64_t i = 0; i < n && columns == 1; i++) {
                const uint8_t u = line[i] ^ turned;
                alone = u > alone ? u : alone;
            }
            most[0] = alone > most[0] ? alone : most[0];
            for (int64_t i = 0; i < n && columns > 1; i++, line += columns)
                for (int64_t c = 0; c < width; c++) {
                    const uint8_t u = line[c] ^ turned;
                    most[c] = u > most[c] ? u : most[c];
                }
        } while (next_line(p, index, &at));
        for (int64_t c = 0; c < width; c++)
            y[c] = most[c] ^ turned;
    }
}
