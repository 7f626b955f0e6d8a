/* The depthwise stage of channels_last: lanes are channels. */
#include "kernels/check.h"
#include "kernels/depthwise_taps.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

/* One tile of one sample. */
struct tile {
    const tlk_depthwise *depthwise;
    const elem *x;
    int64_t length;
    int64_t start; /* where in x the first tap of the first step lies; may be negative */
};

/* MAX_VECTORS steps whose taps all lie inside x, of one or two vectors of channels; x is where the first tap of the
 * first step lies, h_step leads from one vector of channels to the next. */
TLK_INLINE void whole_steps(int columns, const tlk_depthwise *depthwise, const elem *x, int lanes, const real *weights,
                            real *h)
{
    const tlk_sepconv *s = depthwise->sepconv;
    const struct rows at = {
        .data_step = VW, .weights_step = s->kernel_size * VW, .vector_step = s->stride * s->channels, .lanes = lanes};
    vec sum[MAX_ROWS][MAX_VECTORS];
    sum_taps(true, columns, MAX_VECTORS, &at, depthwise, x, weights, sum);
    TLK_UNROLL
    for (int r = 0; r < columns; r++)
        TLK_UNROLL
    for (int i = 0; i < MAX_VECTORS; i++)
        v_store(h + (r * (TLK_LAST_TILE + 1) + i) * VW, sum[r][i]);
}

/* Steps at the edges: taps outside x read zeros. */
static void edge_steps(int steps, const struct tile *tile, int64_t start, int64_t c, int lanes, const real *weights,
                       real *h)
{
    static const elem zeros[VW];
    const tlk_sepconv *s = tile->depthwise->sepconv;
    vec sum[8];
    TLK_UNROLL
    for (int i = 0; i < 8; i++)
        sum[i] = v_zero();
    for (int64_t k = 0; k < s->kernel_size; k++) {
        const vec weight = v_load(weights + k * VW);
        const int64_t from = start + tile->depthwise->positions[k];
        TLK_UNROLL
        for (int i = 0; i < 8; i++) {
            const int64_t row = tlk_wrapping_at(from, i, s->stride);
            const bool inside = i < steps && row >= 0 && row < tile->length;
            const elem *data = inside ? tile->x + row * s->channels + c : zeros;
            sum[i] = v_fma(lanes == VW ? e_load(data) : e_load_n(data, lanes), weight, sum[i]);
        }
    }
    for (int i = 0; i < steps; i++)
        v_store(h + i * VW, sum[i]);
}

/* One or two vectors of channels from c on, all steps of the tile. */
TLK_INLINE void last_columns(int columns, bool full, const struct tile *tile, int64_t c, int steps, const real *weights,
                             real *h)
{
    const tlk_depthwise *depthwise = tile->depthwise;
    const tlk_sepconv *s = depthwise->sepconv;
    const int lanes = full ? VW : (int)(s->channels - c);
    const int64_t reach = (s->kernel_size - 1) * s->dilation;
    for (int t = 0, count; t < steps; t += count) {
        count = MIN(MAX_VECTORS, steps - t);
        const int64_t start = tile->start + t * s->stride;
        const elem *x = e_outside(tile->x, start * s->channels + c);
        if (count == MAX_VECTORS && start >= 0 && start + (MAX_VECTORS - 1) * s->stride + reach < tile->length)
            whole_steps(columns, depthwise, x, lanes, weights, h + t * VW);
        else
            for (int r = 0; r < columns; r++)
                edge_steps(count, tile, start, c + r * VW, lanes, weights + r * s->kernel_size * VW,
                           h + (r * (TLK_LAST_TILE + 1) + t) * VW);
    }
}

static TLK_NOINLINE void two_columns(const struct tile *tile, int64_t c, int steps, const real *weights, real *h)
{
    last_columns(MAX_ROWS, true, tile, c, steps, weights, h);
}

static TLK_NOINLINE void one_column(const struct tile *tile, int64_t c, int steps, const real *weights, real *h)
{
    last_columns(1, true, tile, c, steps, weights, h);
}

static TLK_NOINLINE void part_column(const struct tile *tile, int64_t c, int steps, const real *weights, real *h)
{
    last_columns(1, false, tile, c, steps, weights, h);
}

void TLK_ELEMENT_FN(tlk_depthwise_last)(const tlk_depthwise *depthwise, const elem *x, int64_t length, int64_t pad_left,
                                        int64_t t, int steps, real *h)
{
    const tlk_sepconv *s = depthwise->sepconv;
    const real *weights = depthwise->weights;
    const struct tile tile = {.depthwise = depthwise, .x = x, .length = length, .start = t * s->stride - pad_left};
    for (int64_t m = 0; m < s->multiplier; m++)
        for (int64_t c = 0, columns; c < s->channels; c += columns * VW) {
            columns = s->channels - c >= MAX_ROWS * VW ? MAX_ROWS : 1;
            if (columns == 2)
                two_columns(&tile, c, steps, weights, h);
            else if (s->channels - c >= VW)
                one_column(&tile, c, steps, weights, h);
            else
                part_column(&tile, c, steps, weights, h);
            weights += columns * s->kernel_size * VW;
            h += columns * (TLK_LAST_TILE + 1) * VW;
        }
}
