/* rnn.c's functions for one type: REAL is the element, T(name) a function's name, MATH(f) libm's f for it, REAL_GEMM
 * the matrix product. */

static void T(activate)(const rnn_activation *f, const rnn_attributes *attributes, REAL *x, int64_t n)
{
    const REAL alpha = (REAL)f->alpha, beta = (REAL)f->beta, limit = (REAL)attributes->clip;
    for (int64_t i = 0; attributes->clipped && i < n; i++)
        x[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
    switch (f->kind) {
    case RNN_SIGMOID:
        for (int64_t i = 0; i < n; i++)
            x[i] = 1 / (1 + MATH(exp)(-x[i]));
        break;
    case RNN_TANH:
        for (int64_t i = 0; i < n; i++)
            x[i] = MATH(tanh)(x[i]);
        break;
    case RNN_RELU:
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] < 0 ? 0 : x[i];
        break;
    case RNN_AFFINE:
        for (int64_t i = 0; i < n; i++)
            x[i] = alpha * x[i] + beta;
        break;
    case RNN_LEAKY_RELU:
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] < 0 ? alpha * x[i] : x[i];
        break;
    case RNN_THRESHOLDED_RELU:
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] < alpha ? 0 : x[i];
        break;
    case RNN_SCALED_TANH:
        for (int64_t i = 0; i < n; i++)
            x[i] = alpha * MATH(tanh)(beta * x[i]);
        break;
    case RNN_HARD_SIGMOID:
        for (int64_t i = 0; i < n; i++) {
            REAL v = alpha * x[i] + beta;
            x[i] = v < 0 ? 0 : v > 1 ? 1 : v;
        }
        break;
    case RNN_ELU:
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] < 0 ? alpha * MATH(expm1)(x[i]) : x[i];
        break;
    case RNN_SOFTSIGN:
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] / (1 + MATH(fabs)(x[i]));
        break;
    case RNN_SOFTPLUS:
        for (int64_t i = 0; i < n; i++)
            x[i] = (x[i] > 0 ? x[i] : 0) + MATH(log1p)(MATH(exp)(-MATH(fabs)(x[i])));
        break;
    }
}

/* The gates' columns [first, first + n) of the hidden units, for every batch: sums += state * R'. */
static void T(recur)(const rnn_job *job, int64_t gate, int64_t first, int64_t n, const REAL *state, REAL *sums,
                     int64_t sums_row)
{
    const rnn_plan *plan = job->plan;
    const int64_t width = job->attributes->gates * plan->hidden;
    gemm_shape s = {.m = plan->batch,
                    .n = n,
                    .k = plan->hidden,
                    .a_row = plan->hidden,
                    .a_step = 1,
                    .b_row = width,
                    .c_row = sums_row,
                    .add = true};
    REAL_GEMM(&s, state, (const REAL *)job->r + gate * plan->hidden + first, sums);
}

/* What a finished unit leaves: the output, and the next state; zero and the old state behind a sequence's end. */
static void T(leave)(const rnn_job *job, int64_t b, int64_t first, int64_t n, const REAL *values)
{
    const rnn_plan *plan = job->plan;
    const bool active = job->time < plan_length(job, b);
    const REAL *old = (const REAL *)job->h[job->current] + b * plan->hidden + first;
    REAL *next = (REAL *)job->h[!job->current] + b * plan->hidden + first;
    memcpy(next, active ? values : old, (size_t)n * sizeof(REAL));
    if (!job->y)
        return;
    REAL *y = (REAL *)job->y + job->time * plan->y_time + b * plan->y_batch + first;
    if (active)
        memcpy(y, values, (size_t)n * sizeof(REAL));
    else
        memset(y, 0, (size_t)n * sizeof(REAL));
}

static void T(rnn_units)(const rnn_job *job, int64_t first, int64_t n)
{
    const rnn_plan *plan = job->plan;
    REAL *sums = (REAL *)job->sums + job->time * plan->sums_time + first;
    T(recur)(job, 0, first, n, job->h[job->current], sums, plan->sums_batch);
    for (int64_t b = 0; b < plan->batch; b++) {
        T(activate)(&job->functions[0], job->attributes, sums + b * plan->sums_batch, n);
        T(leave)(job, b, first, n, sums + b * plan->sums_batch);
    }
}

/* One batch's cell: gates i, o, f, c lie `hidden` apart. */
static void T(lstm_cell)(const rnn_job *job, int64_t b, int64_t first, int64_t n, REAL *gates)
{
    const rnn_plan *plan = job->plan;
    const int64_t hidden = plan->hidden;
    const REAL *p = job->peephole ? (const REAL *)job->peephole + first : NULL;
    REAL *i = gates, *o = gates + hidden, *f = gates + 2 * hidden, *c = gates + 3 * hidden;
    REAL *cell = (REAL *)job->c + b * hidden + first;
    for (int64_t j = 0; p && j < n; j++) {
        i[j] += p[j] * cell[j];
        f[j] += p[2 * hidden + j] * cell[j];
    }
    T(activate)(&job->functions[0], job->attributes, i, n);
    T(activate)(&job->functions[0], job->attributes, f, n);
    T(activate)(&job->functions[1], job->attributes, c, n);
    for (int64_t j = 0; j < n; j++)
        c[j] = (job->attributes->input_forget ? 1 - i[j] : f[j]) * cell[j] + i[j] * c[j];
    for (int64_t j = 0; p && j < n; j++)
        o[j] += p[hidden + j] * c[j];
    T(activate)(&job->functions[0], job->attributes, o, n);
    if (job->time < plan_length(job, b))
        memcpy(cell, c, (size_t)n * sizeof(REAL));
    T(activate)(&job->functions[2], job->attributes, c, n);
    for (int64_t j = 0; j < n; j++)
        c[j] *= o[j];
    T(leave)(job, b, first, n, c);
}

static void T(lstm_units)(const rnn_job *job, int64_t first, int64_t n)
{
    const rnn_plan *plan = job->plan;
    REAL *sums = (REAL *)job->sums + job->time * plan->sums_time + first;
    for (int64_t gate = 0; gate < 4; gate++)
        T(recur)(job, gate, first, n, job->h[job->current], sums + gate * plan->hidden, plan->sums_batch);
    for (int64_t b = 0; b < plan->batch; b++)
        T(lstm_cell)(job, b, first, n, sums + b * plan->sums_batch);
}

/* The update and reset gates; and what the hidden gate reads: the reset state, or the product before the reset. */
static void T(gru_gates)(const rnn_job *job, int64_t first, int64_t n)
{
    const rnn_plan *plan = job->plan;
    const int64_t hidden = plan->hidden;
    const REAL *h = job->h[job->current];
    REAL *sums = (REAL *)job->sums + job->time * plan->sums_time + first, *reset = (REAL *)job->reset + first;
    const REAL *bias = job->reset_bias ? (const REAL *)job->reset_bias + first : NULL;
    T(recur)(job, 0, first, n, h, sums, plan->sums_batch);
    T(recur)(job, 1, first, n, h, sums + hidden, plan->sums_batch);
    for (int64_t b = 0; b < plan->batch; b++) {
        REAL *z = sums + b * plan->sums_batch, *r = z + hidden;
        T(activate)(&job->functions[0], job->attributes, z, n);
        T(activate)(&job->functions[0], job->attributes, r, n);
        for (int64_t j = 0; j < n; j++)
            reset[b * hidden + j] = !job->attributes->linear_before_reset ? r[j] * h[b * hidden + first + j]
                                    : bias                                ? bias[j]
                                                                          : 0;
    }
    if (job->attributes->linear_before_reset)
        T(recur)(job, 2, first, n, h, reset, hidden);
}

static void T(gru_units)(const rnn_job *job, int64_t first, int64_t n)
{
    const rnn_plan *plan = job->plan;
    const int64_t hidden = plan->hidden;
    REAL *sums = (REAL *)job->sums + job->time * plan->sums_time + first;
    if (!job->attributes->linear_before_reset)
        T(recur)(job, 2, first, n, job->reset, sums + 2 * hidden, plan->sums_batch);
    for (int64_t b = 0; b < plan->batch; b++) {
        REAL *z = sums + b * plan->sums_batch, *r = z + hidden, *c = r + hidden;
        const REAL *reset = (const REAL *)job->reset + b * hidden + first;
        const REAL *h = (const REAL *)job->h[job->current] + b * hidden + first;
        for (int64_t j = 0; job->attributes->linear_before_reset && j < n; j++)
            c[j] += r[j] * reset[j];
        T(activate)(&job->functions[1], job->attributes, c, n);
        for (int64_t j = 0; j < n; j++)
            c[j] = (1 - z[j]) * c[j] + z[j] * h[j];
        T(leave)(job, b, first, n, c);
    }
}

/* The input's part of all gates, for rows [begin, end) of X: bias + X * W'. */
static void T(input_task)(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const rnn_job *job = context;
    const rnn_plan *plan = job->plan;
    const int64_t width = job->attributes->gates * plan->hidden;
    REAL *sums = (REAL *)job->sums + begin * width;
    const REAL *bias = job->bias;
    gemm_shape s = {.m = end - begin,
                    .n = width,
                    .k = plan->input,
                    .a_row = plan->input,
                    .a_step = 1,
                    .b_row = width,
                    .c_row = width,
                    .add = true};
    (void)thread;
    for (int64_t row = 0; row < s.m; row++)
        for (int64_t j = 0; j < width; j++)
            /* The hidden gate's recurrent bias waits for the reset where that comes after the product. */
            sums[row * width + j] = !bias ? 0
                                    : job->attributes->linear_before_reset && j >= 2 * plan->hidden
                                        ? bias[j]
                                        : bias[j] + bias[width + j];
    REAL_GEMM(&s, (const REAL *)job->x + begin * plan->input, job->w, sums);
}

/* columns by rows -> rows by columns, of each direction's weights */
static void T(transpose_weights)(const REAL *from, REAL *to, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            to[j * rows + i] = from[i * columns + j];
}

#undef REAL
#undef REAL_GEMM
#undef MATH
#undef T
