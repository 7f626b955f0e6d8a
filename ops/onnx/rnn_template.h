/* rnn.c's functions for one type: REAL is the element, T(name) a function's name, MATH(f) libm's f for it;
 * KERNEL_ACTIVATE is 1 where ops/kernels has activations for it. */

static void T(activate)(const rnn_activation *f, const rnn_attributes *attributes, REAL *x, int64_t n)
{
    const REAL alpha = (REAL)f->alpha, beta = (REAL)f->beta, limit = (REAL)attributes->clip;
    for (int64_t i = 0; attributes->clipped && i < n; i++)
        x[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
#if KERNEL_ACTIVATE
    tlk_activation activation;
    if (has_kernel(f, &activation)) {
        tlk_get()->activate(&activation, x, x, n);
        return;
    }
#endif
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
    for (int64_t b = 0; b < job->plan->batch; b++) {
        REAL *gates = (REAL *)job->gates + b * job->plan->hidden + first;
        T(activate)(&job->functions[0], job->attributes, gates, n);
        T(leave)(job, b, first, n, gates);
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
#if KERNEL_ACTIVATE
    if (is_usual_lstm(job)) {
        if (job->time < plan_length(job, b))
            tlk_get()->lstm(gates, (const float *)sums_at(job, first) + b * plan->sums_batch, hidden, cell, c, n);
        T(leave)(job, b, first, n, c);
        return;
    }
#endif
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
    for (int64_t b = 0; b < job->plan->batch; b++)
        T(lstm_cell)(job, b, first, n, (REAL *)job->gates + b * 4 * job->plan->hidden + first);
}

/* The reset gate, where the hidden gate's product waits for it: the reset state. */
static void T(gru_reset)(const rnn_job *job, int64_t first, int64_t n)
{
    const int64_t hidden = job->plan->hidden;
    for (int64_t b = 0; b < job->plan->batch; b++) {
        REAL *z = (REAL *)job->gates + b * 2 * hidden + first, *r = z + hidden;
        const REAL *x = (const REAL *)sums_at(job, first) + b * job->plan->sums_batch;
        const REAL *h = (const REAL *)job->h[job->current] + b * hidden + first;
        REAL *reset = (REAL *)job->reset + b * hidden + first;
#if KERNEL_ACTIVATE
        if (is_usual_gru(job)) {
            tlk_get()->gru(TLK_GRU_RESET, z, NULL, NULL, x, hidden, h, reset, n);
            continue;
        }
#endif
        for (int64_t j = 0; j < n; j++)
            r[j] += x[hidden + j];
        T(activate)(&job->functions[0], job->attributes, r, n);
        for (int64_t j = 0; j < n; j++)
            reset[j] = r[j] * h[j];
    }
}

static void T(gru_units)(const rnn_job *job, int64_t first, int64_t n)
{
    const rnn_plan *plan = job->plan;
    const int64_t hidden = plan->hidden, width = state_gates(job->attributes) * hidden;
    const bool linear = job->attributes->linear_before_reset;
    const REAL *bias = linear && job->bias ? (const REAL *)job->bias + 5 * hidden + first : NULL;
    for (int64_t b = 0; b < plan->batch; b++) {
        REAL *z = (REAL *)job->gates + b * width + first, *r = z + hidden;
        REAL *c = linear ? r + hidden : (REAL *)job->candidate + b * hidden + first; /* the state's part */
        const REAL *x = (const REAL *)sums_at(job, first) + b * plan->sums_batch;
        const REAL *h = (const REAL *)job->h[job->current] + b * hidden + first;
#if KERNEL_ACTIVATE
        if (is_usual_gru(job)) {
            tlk_get()->gru(linear ? TLK_GRU_LINEAR : TLK_GRU_AFTER_RESET, z, c, bias, x, hidden, h, c, n);
            T(leave)(job, b, first, n, c);
            continue;
        }
#endif
        for (int64_t j = 0; j < n; j++) {
            z[j] += x[j];
            r[j] = linear ? r[j] + x[hidden + j] : 1; /* c has been reset already */
        }
        T(activate)(&job->functions[0], job->attributes, z, n);
        if (linear)
            T(activate)(&job->functions[0], job->attributes, r, n);
        for (int64_t j = 0; j < n; j++)
            c[j] = x[2 * hidden + j] + r[j] * (c[j] + (bias ? bias[j] : 0));
        T(activate)(&job->functions[1], job->attributes, c, n);
        for (int64_t j = 0; j < n; j++)
            c[j] = (1 - z[j]) * c[j] + z[j] * h[j];
        T(leave)(job, b, first, n, c);
    }
}

/* What every time's gates begin with: both biases. The hidden gate's recurrent one waits for the reset where that comes
 * after the product. */
static void T(add_biases)(const rnn_job *job)
{
    const int64_t hidden = job->plan->hidden, width = job->attributes->gates * hidden;
    const REAL *from = job->bias;
    REAL *to = job->biases;
    for (int64_t j = 0; j < width; j++)
        to[j] = !from                                                     ? 0
                : job->attributes->linear_before_reset && j >= 2 * hidden ? from[j]
                                                                          : from[j] + from[width + j];
}

#undef REAL
#undef MATH
#undef KERNEL_ACTIVATE
#undef T
