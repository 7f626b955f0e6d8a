/* pool.c's functions for one type: REAL is the element, T(name) a function's name. */

/* y[t] = expression of y[t] and v = x[at + t * stride], for t in [first, end). */
#define POOL_STEPS_OF(step, expression)     \
    for (int64_t t = first; t < end; t++) { \
        const REAL v = x[at + t * (step)];  \
        y[t] = expression;                  \
    }
/* Steps that the compiler knows become vectors. */
#define POOL_LOOP(expression)                 \
    do {                                      \
        if (stride == 1)                      \
            POOL_STEPS_OF(1, expression)      \
        else if (stride == 2)                 \
            POOL_STEPS_OF(2, expression)      \
        else                                  \
            POOL_STEPS_OF(stride, expression) \
    } while (0)

/* One tap's elements into an output row. NaN wins over every number. */
static void T(pool_tap)(const pool_plan *plan, const REAL *restrict x, int64_t at, int64_t stride, int64_t first,
                        int64_t end, REAL *restrict y)
{
    switch (plan->kind) {
    case POOL_MAX:
        POOL_LOOP(((v > y[t]) | (v != v)) ? v : y[t]);
        break;
    case POOL_AVERAGE:
        POOL_LOOP(y[t] + v);
        break;
    case POOL_LP:
        if (plan->p == 1)
            POOL_LOOP(y[t] + (v < 0 ? -v : v));
        else if (plan->p == 2)
            POOL_LOOP(y[t] + v * v);
        else
            POOL_LOOP(y[t] + (REAL)pow(fabs(v), (double)plan->p));
        break;
    default:
        break;
    }
}

/* One output row: all the taps that lie inside; `index` is the row's position on the outer axes. */
static void T(pool_row)(const pool_plan *plan, const REAL *x, const int64_t *index, REAL *y)
{
    const conv_geometry *g = &plan->g;
    const int32_t last = g->spatial - 1;
    int64_t firsts[CONV_MAX_SPATIAL], counts[CONV_MAX_SPATIAL], tap[CONV_MAX_SPATIAL] = {0}, start, stop;
    for (int32_t i = 0; i < last; i++) {
        conv_taps(index[i] * g->strides[i] - g->pads[i], g->dilations[i], g->kernel[i], g->in_size[i], &firsts[i],
                  &stop);
        counts[i] = stop - firsts[i];
        if (counts[i] == 0)
            return;
    }
    /* Taps before and from these on lie outside for every position of the row. */
    const int64_t reach = (g->out_size[last] - 1) * g->strides[last], dilation = g->dilations[last];
    start = g->pads[last] > reach ? nn_ceil_div(g->pads[last] - reach, dilation) : 0;
    stop = nn_min(g->kernel[last], nn_ceil_div(g->in_size[last] + g->pads[last], dilation));
    do {
        int64_t row = 0;
        for (int32_t i = 0; i < last; i++) {
            int64_t k = firsts[i] + tap[i];
            row = row * g->in_size[i] + index[i] * g->strides[i] + k * g->dilations[i] - g->pads[i];
        }
        for (int64_t k = start; k < stop; k++) {
            int64_t at = k * dilation - g->pads[last], first, end;
            conv_taps(at, g->strides[last], g->out_size[last], g->in_size[last], &first, &end);
            T(pool_tap)(plan, x + row * g->in_size[last], at, g->strides[last], first, end, y);
        }
    } while (conv_step(tap, counts, last));
}

/* An average; of nothing it is 0. */
static inline void T(divide)(REAL *sum, int64_t count)
{
    *sum = count > 0 ? *sum / (REAL)count : 0;
}

/* Sums become averages, or norms. */
static void T(pool_finish)(const pool_plan *plan, const int64_t *index, REAL *y)
{
    const conv_geometry *g = &plan->g;
    const int32_t last = g->spatial - 1;
    const int64_t width = g->out_size[last];
    int64_t others = 1;
    if (plan->kind == POOL_LP) {
        for (int64_t t = 0; t < width && plan->p != 1; t++)
            y[t] = plan->p == 2 ? (REAL)sqrt(y[t]) : (REAL)pow(y[t], 1.0 / (double)plan->p);
        return;
    }
    for (int32_t i = 0; i < last; i++)
        others *= pool_count(plan, i, index[i]);
    /* Whole windows lie between those that are cut off. */
    int64_t begin = 0, end = width;
    while (begin < end && pool_count(plan, last, begin) != g->kernel[last]) {
        T(divide)(&y[begin], others * pool_count(plan, last, begin));
        begin++;
    }
    while (end > begin && pool_count(plan, last, end - 1) != g->kernel[last]) {
        end--;
        T(divide)(&y[end], others * pool_count(plan, last, end));
    }
    const REAL whole = (REAL)(others * g->kernel[last]);
    for (int64_t t = begin; t < end && whole > 0; t++)
        y[t] /= whole;
}

/* What the kernel's sums are to be divided by, for each position: the sum of nothing by 1. */
static void T(pool_counts)(const pool_plan *plan, REAL *counts)
{
    const conv_geometry *g = &plan->g;
    const int64_t width = g->out_size[g->spatial - 1], rows = g->out_area / width;
    for (int64_t t = 0; t < width; t++)
        counts[t] = (REAL)pool_count(plan, g->spatial - 1, t);
    for (int64_t row = rows - 1; row >= 0; row--) {
        const REAL others = g->spatial > 1 ? (REAL)pool_count(plan, 0, row) : 1;
        for (int64_t t = 0; t < width; t++)
            counts[row * width + t] = others * counts[t] > 0 ? others * counts[t] : 1;
    }
}

static void T(pool_channel)(const pool_plan *plan, const REAL *x, REAL *y)
{
    const conv_geometry *g = &plan->g;
    const int64_t width = g->out_size[g->spatial - 1];
    int64_t index[CONV_MAX_SPATIAL] = {0};
    for (int64_t row = 0; row < g->out_area; row += width) {
        for (int64_t t = 0; t < width; t++)
            y[row + t] = plan->kind == POOL_MAX ? -(REAL)INFINITY : 0;
        T(pool_row)(plan, x, index, y + row);
        if (plan->kind != POOL_MAX)
            T(pool_finish)(plan, index, y + row);
        conv_step(index, g->out_size, g->spatial - 1);
    }
}

/* The greatest element of one window and where it is: the first one, in row-major order. */
static REAL T(find_max)(const pool_plan *plan, const REAL *x, const int64_t *index, int64_t *found)
{
    const conv_geometry *g = &plan->g;
    int64_t firsts[CONV_MAX_SPATIAL], counts[CONV_MAX_SPATIAL], tap[CONV_MAX_SPATIAL] = {0}, stop;
    REAL best = -(REAL)INFINITY;
    *found = -1;
    for (int32_t i = 0; i < g->spatial; i++) {
        conv_taps(index[i] * g->strides[i] - g->pads[i], g->dilations[i], g->kernel[i], g->in_size[i], &firsts[i],
                  &stop);
        counts[i] = stop - firsts[i];
        if (counts[i] == 0)
            return best;
    }
    do {
        int64_t at = 0, columns_first = 0;
        for (int32_t i = 0; i < g->spatial; i++) {
            int64_t position = index[i] * g->strides[i] + (firsts[i] + tap[i]) * g->dilations[i] - g->pads[i];
            at = at * g->in_size[i] + position;
            columns_first += position * plan->column_strides[i];
        }
        REAL v = x[at];
        if (*found < 0 || v > best || (v != v && best == best)) {
            best = v;
            *found = plan->column_major ? columns_first : at;
        }
    } while (conv_step(tap, counts, g->spatial));
    return best;
}

static void T(pool_task)(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const pool_job *job = context;
    const conv_geometry *g = &job->plan->g;
    (void)thread;
    for (int64_t channel = begin; channel < end; channel++) {
        const REAL *x = (const REAL *)job->x + channel * g->in_area;
        REAL *y = (REAL *)job->y + channel * g->out_area;
        int64_t index[CONV_MAX_SPATIAL] = {0}, found;
        if (!job->indices) {
            T(pool_channel)(job->plan, x, y);
            continue;
        }
        for (int64_t t = 0; t < g->out_area; t++) {
            y[t] = T(find_max)(job->plan, x, index, &found);
            job->indices[channel * g->out_area + t] = found < 0 ? -1 : channel * g->in_area + found;
            conv_step(index, g->out_size, g->spatial);
        }
    }
}

#undef POOL_LOOP
#undef POOL_STEPS_OF
#undef REAL
#undef T
