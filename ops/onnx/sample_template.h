/* sample.h's functions for one type: REAL is the element, T(name) a function's name. */

typedef struct T(sample_taps) {
    int32_t spatial;
    int64_t counts[CONV_MAX_SPATIAL];
    int64_t offsets[CONV_MAX_SPATIAL][SAMPLE_TAPS][SAMPLE_BLOCK];
    REAL weights[CONV_MAX_SPATIAL][SAMPLE_TAPS][SAMPLE_BLOCK]; /* 0: the tap is not read */
} T(sample_taps);

/* A position that may lie outside, moved to where the padding has it. What is not a number lies before the first
 * element. */
static REAL T(sample_inside)(const sample_axis *axis, REAL at)
{
    const double low = axis->align_corners ? 0 : -0.5, high = (double)(axis->size - 1) - low;
    if ((double)at >= low && (double)at <= high)
        return at;
    if (axis->padding == SAMPLE_ZEROS)
        return at;
    /* Taps of a cubic reach in from beyond the border, as PyTorch and ONNX Runtime have it. */
    if (axis->mode == SAMPLE_CUBIC && axis->padding == SAMPLE_BORDER && at == at)
        return (REAL)fmin(fmax((double)at, -3), (double)axis->size + 2);
    if (!isfinite(at) || high <= low)
        return at > 0 && axis->padding == SAMPLE_BORDER ? (REAL)(axis->size - 1) : 0;
    if (axis->padding == SAMPLE_BORDER)
        return (double)at < low ? 0 : (REAL)(axis->size - 1);
    const double range = high - low, over = (double)at < low ? low - (double)at : (double)at - high;
    const double turns = floor(over / range), rest = fmin(fmax(over - turns * range, 0), range);
    const bool from_low = ((double)at < low) == (fmod(turns, 2) == 0);
    return (REAL)(from_low ? low + rest : high - rest);
}

static void T(sample_cubic)(REAL t, REAL *weights)
{
    const REAL a = (REAL)-0.75, s = 1 - t, far = t + 1, end = s + 1;
    weights[0] = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a;
    weights[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    weights[2] = ((a + 2) * s - (a + 3)) * s * s + 1;
    weights[3] = ((a * end - 5 * a) * end + 8 * a) * end - 4 * a;
}

/* The taps along axis i for positions at[0], at[step], ..., of which there are n. */
static void T(sample_place)(T(sample_taps) * taps, int32_t i, const sample_axis *axis, const REAL *at, int64_t step,
                            int64_t n)
{
    const int64_t count = sample_taps_of[axis->mode];
    taps->counts[i] = count;
    for (int64_t p = 0; p < n; p++) {
        const REAL position = T(sample_inside)(axis, at[p * step]);
        const bool reached = position > -4 && position < (REAL)axis->size + 4;
        const int64_t towards_zero = reached ? (int64_t)position : 0;
        const int64_t low = towards_zero - (reached && position < (REAL)towards_zero);
        const int64_t first = low - (axis->mode == SAMPLE_CUBIC);
        const REAL t = reached ? position - (REAL)low : 0;
        REAL weights[SAMPLE_TAPS] = {1 - t, t};
        if (axis->mode == SAMPLE_CUBIC)
            T(sample_cubic)(t, weights);
        for (int64_t k = 0; k < count; k++) {
            const int64_t index = reached ? sample_index(axis, first + k) : -1;
            taps->offsets[i][k][p] = index < 0 ? 0 : index * axis->stride;
            taps->weights[i][k][p] = index < 0 ? 0 : weights[k];
        }
    }
}

/* Offsets and weights of one tap on all axes for each position. */
static void T(sample_tap)(const T(sample_taps) * taps, const int64_t *tap, int64_t n, const REAL *scale,
                          int64_t *offsets, REAL *weights)
{
    for (int64_t p = 0; p < n; p++) {
        offsets[p] = 0;
        weights[p] = scale ? scale[p] : 1;
    }
    for (int32_t i = 0; i < taps->spatial; i++)
        for (int64_t p = 0; p < n; p++) {
            offsets[p] += taps->offsets[i][tap[i]][p];
            weights[p] *= taps->weights[i][tap[i]][p];
        }
}

/* y[c * y_step + p] = scale[p] times what planes x + c * x_step hold at position p, for all channels c. `scale` may be
 * NULL. Some taps are read at a time; those that are too many weigh 0. */
static void T(sample_read)(const T(sample_taps) * taps, int64_t n, const REAL *scale, int64_t channels, const REAL *x,
                           int64_t x_step, REAL *y, int64_t y_step)
{
    int64_t tap[CONV_MAX_SPATIAL] = {0}, offsets[SAMPLE_TAPS][SAMPLE_BLOCK];
    REAL weights[SAMPLE_TAPS][SAMPLE_BLOCK];
    _Static_assert(SAMPLE_TAPS == 4, "as many parts below");
    bool more = true;
    for (bool first = true; more; first = false) {
        for (int k = 0; k < SAMPLE_TAPS; k++) {
            if (more) {
                T(sample_tap)(taps, tap, n, scale, offsets[k], weights[k]);
                more = conv_step(tap, taps->counts, taps->spatial);
            } else {
                memset(offsets[k], 0, sizeof offsets[k]);
                memset(weights[k], 0, sizeof weights[k]);
            }
        }
        for (int64_t c = 0; c < channels; c++) {
            const REAL *restrict from = x + c * x_step;
            REAL *restrict to = y + c * y_step;
            for (int64_t p = 0; p < n; p++) {
#define PART(k) (weights[k][p] == 0 ? 0 : weights[k][p] * from[offsets[k][p]])
                to[p] = (first ? 0 : to[p]) + PART(0) + PART(1) + PART(2) + PART(3);
#undef PART
            }
        }
    }
}

#undef REAL
#undef T
