/* sample.h's functions for one type: REAL is the element, T(name) a function's name. */

typedef REAL T(pair) __attribute__((vector_size(2 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
typedef REAL T(quad) __attribute__((vector_size(4 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

REAL T(sample_inside)(const sample_axis *axis, REAL at)
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

void T(sample_begin)(T(sample_taps) * taps, const sample_axis *axes, int32_t spatial)
{
    taps->axes = axes;
    taps->spatial = spatial;
    taps->paired = spatial - 1;
    while (taps->paired > 0 && axes[taps->paired].size == 1)
        taps->paired--;
    for (int32_t i = 0; i < spatial; i++)
        taps->counts[i] = sample_taps_of[axes[i].mode] / (i == taps->paired ? 2 : 1);
}

static void T(cubic)(REAL t, REAL *weights)
{
    const REAL a = (REAL)-0.75, s = 1 - t, far = t + 1, end = s + 1;
    weights[0] = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a;
    weights[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    weights[2] = ((a + 2) * s - (a + 3)) * s * s + 1;
    weights[3] = ((a * end - 5 * a) * end + 8 * a) * end - 4 * a;
}

/* Two taps that are at the same element, at neighbours or nowhere (-1), as those of a pair of neighbours; returns where
 * it begins. */
static int64_t T(join)(const int64_t *index, REAL *weights, int64_t size)
{
    const int64_t at = index[0] < 0 ? index[1] : index[1] < 0 ? index[0] : nn_min(index[0], index[1]);
    const int64_t begin = nn_max(nn_min(at, size - 2), 0);
    const REAL one = weights[0], other = weights[1];
    weights[0] = (index[0] == begin ? one : 0) + (index[1] == begin ? other : 0);
    weights[1] = (index[0] > begin ? one : 0) + (index[1] > begin ? other : 0);
    return begin;
}

/* The taps of position p, wherever it is. */
static void T(place_one)(T(sample_taps) * taps, int32_t i, REAL at, int64_t p)
{
    const sample_axis *axis = &taps->axes[i];
    const REAL position = T(sample_inside)(axis, at);
    const bool reached = position > -4 && position < (REAL)axis->size + 4;
    const int64_t low = reached ? (int64_t)position - (position < (REAL)(int64_t)position) : 0;
    const int64_t first = low - (axis->mode == SAMPLE_CUBIC);
    const REAL t = reached ? position - (REAL)low : 0;
    REAL weights[SAMPLE_TAPS] = {1 - t, t};
    int64_t index[SAMPLE_TAPS];
    if (axis->mode == SAMPLE_CUBIC)
        T(cubic)(t, weights);
    for (int64_t k = 0; k < sample_taps_of[axis->mode]; k++) {
        index[k] = reached ? sample_index(axis, first + k) : -1;
        if (i != taps->paired)
            taps->offsets[i][k][p] = nn_max(index[k], 0) * axis->stride;
        else if (k % 2 == 1)
            taps->offsets[i][k / 2][p] = T(join)(index + k - 1, weights + k - 1, axis->size);
    }
    for (int64_t k = 0; k < sample_taps_of[axis->mode]; k++)
        taps->weights[i][k][p] = i != taps->paired && index[k] < 0 ? 0 : weights[k];
}

void T(sample_place)(T(sample_taps) * taps, int32_t i, const REAL *at, int64_t step, int64_t n)
{
    const sample_axis *axis = &taps->axes[i];
    const REAL last = axis->mode == SAMPLE_LINEAR ? (REAL)(axis->size - 1) : 0;
    for (int64_t p = 0; p < n; p++) {
        const REAL position = at[p * step];
        if (!(position >= 0 && position < last)) {
            T(place_one)(taps, i, position, p);
            continue;
        }
        const int64_t low = (int64_t)position;
        taps->offsets[i][0][p] = low * axis->stride;
        taps->offsets[i][1][p] = (low + 1) * axis->stride;
        taps->weights[i][0][p] = 1 - (position - (REAL)low);
        taps->weights[i][1][p] = position - (REAL)low;
    }
}

/* Offsets of one tap or pair on all axes for each position, and in weights[4 p] and behind those of the pair. */
static void T(combine)(const T(sample_taps) * taps, const int64_t *tap, int64_t n, const REAL *scale, int64_t *offsets,
                       REAL *weights)
{
    const int32_t paired = taps->paired;
    REAL factors[SAMPLE_BLOCK];
    for (int64_t p = 0; p < n; p++) {
        factors[p] = scale ? scale[p] : 1;
        offsets[p] = taps->offsets[paired][tap[paired]][p];
    }
    for (int32_t i = 0; i < taps->spatial; i++)
        for (int64_t p = 0; i != paired && p < n; p++) {
            factors[p] *= taps->weights[i][tap[i]][p];
            offsets[p] += taps->offsets[i][tap[i]][p];
        }
    for (int64_t p = 0; p < n; p++)
        for (int k = 0; k < 2; k++)
            weights[4 * p + k] = factors[p] * taps->weights[paired][2 * tap[paired] + k][p];
}

#define JOIN __builtin_shufflevector
/* What the four taps of a position add up to; those of weight 0 are not to be seen. */
#define PAIR(k, p) (*(const T(pair) *)(from + offsets[k][p]))
#define TAPS(p)                                                                                                      \
    ((T(quad))((__typeof__(weights[0] != weights[0]))JOIN(PAIR(0, p), PAIR(1, p), 0, 1, 2, 3) & (weights[p] != 0)) * \
     weights[p])

void T(sample_read)(const T(sample_taps) * taps, int64_t n, const REAL *scale, int64_t channels, const REAL *x,
                    int64_t x_step, REAL *y, int64_t y_step)
{
    int64_t tap[CONV_MAX_SPATIAL] = {0}, offsets[2][SAMPLE_BLOCK];
    T(quad) weights[SAMPLE_BLOCK], sums[SAMPLE_BLOCK / 4];
    bool more = true;
    for (bool first = true; more; first = false) { /* two pairs at a time */
        memset(offsets, 0, sizeof offsets);
        memset(weights, 0, sizeof weights);
        for (int k = 0; k < 2 && more; k++) {
            T(combine)(taps, tap, n, scale, offsets[k], (REAL *)weights + 2 * k);
            more = conv_step(tap, taps->counts, taps->spatial);
        }
        for (int64_t c = 0; c < channels; c++) {
            const REAL lone[2] = {x[c * x_step], 0}; /* a plane of one element has no pairs */
            const REAL *from = taps->axes[taps->paired].size == 1 ? lone : x + c * x_step;
            REAL *to = y + c * y_step;
            for (int64_t p = 0; p < n; p += 4) {
                const T(quad) u0 = TAPS(p), u1 = TAPS(p + 1), u2 = TAPS(p + 2), u3 = TAPS(p + 3);
                const T(quad) v0 = JOIN(u0, u1, 0, 4, 1, 5) + JOIN(u0, u1, 2, 6, 3, 7);
                const T(quad) v2 = JOIN(u2, u3, 0, 4, 1, 5) + JOIN(u2, u3, 2, 6, 3, 7);
                sums[p / 4] = JOIN(v0, v2, 0, 1, 4, 5) + JOIN(v0, v2, 2, 3, 6, 7);
            }
            for (int64_t p = 0; p < n && !first; p++)
                to[p] += sums[p / 4][p % 4];
            if (first)
                memcpy(to, sums, (size_t)n * sizeof *to);
        }
    }
}

#undef TAPS
#undef PAIR
#undef JOIN
#undef REAL
#undef T
