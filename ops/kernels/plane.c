/* The register block of one channel: taps that rows share, and any. */
#include "kernels/plane.h"

#if TLK_PLANES

#define ROWS TLK_PLANE_ROWS
#if defined TLK_ISA_AVX512 || defined TLK_ISA_NEON
#define BLOCKS 4 /* of 32 registers, 16 sums */
#else
#define BLOCKS 2
#endif
#define VECTORS 8 /* a sum and a pointer each */

/* Any taps: a sum for each vector of outputs whose data begins at x[v]. */
static TLK_NOINLINE void sum_any(const tlk_plane *plane, const real *const x[VECTORS], vec y[VECTORS])
{
    vec sum[VECTORS];
    TLK_UNROLL
    for (int v = 0; v < VECTORS; v++)
        sum[v] = v_set1(plane->bias);
    const real *weights = plane->weights;
    for (int64_t t = 0; t < plane->taps; t++)
        for (int64_t j = 0, at = plane->offsets[t]; j < plane->depth; j++, at += plane->step) {
            const vec weight = v_set1(*weights++);
            TLK_UNROLL
            for (int v = 0; v < VECTORS; v++)
                sum[v] = v_fma(weight, v_load(x[v] + at), sum[v]);
        }
    TLK_UNROLL
    for (int v = 0; v < VECTORS; v++)
        y[v] = sum[v];
}

typedef void sum_function(const tlk_plane *plane, const real *const x[BLOCKS], vec sum[BLOCKS][ROWS]);

/* `height` rows of taps, a constant, that neighbouring rows of outputs share: each row of data is loaded once. */
TLK_INLINE void sum_shared(int height, int blocks, const tlk_plane *plane, const real *const x[BLOCKS],
                           vec y[BLOCKS][ROWS])
{
    vec sum[BLOCKS][ROWS];
    TLK_UNROLL
    for (int b = 0; b < blocks; b++)
        TLK_UNROLL
    for (int r = 0; r < ROWS; r++)
        sum[b][r] = v_set1(plane->bias);
    TLK_UNROLL
    for (int i = 0; i < ROWS + height - 1; i++)
        for (int64_t j = 0, at = i * plane->pitch; j < plane->depth; j++, at += plane->step) {
            vec data[BLOCKS];
            TLK_UNROLL
            for (int b = 0; b < blocks; b++) {
                data[b] = v_load(x[b] + at);
                if (i > 0 && i < ROWS + height - 2) /* or it would be loaded for each row */
                    TLK_IN_REGISTER(data[b]);
            }
            TLK_UNROLL
            for (int r = 0; r < ROWS; r++) {
                if (r > i || i - r >= height)
                    continue;
                const vec weight = v_set1(plane->weights[(i - r) * plane->depth + j]);
                TLK_UNROLL
                for (int b = 0; b < blocks; b++)
                    sum[b][r] = v_fma(weight, data[b], sum[b][r]);
            }
        }
    TLK_UNROLL
    for (int b = 0; b < blocks; b++)
        TLK_UNROLL
    for (int r = 0; r < ROWS; r++)
        y[b][r] = sum[b][r];
}

#define INSTANCE(name, call)                                                                                  \
    static TLK_NOINLINE void name(const tlk_plane *plane, const real *const x[BLOCKS], vec sum[BLOCKS][ROWS]) \
    {                                                                                                         \
        call;                                                                                                 \
    }
INSTANCE(sum_3_few, sum_shared(3, BLOCKS / 2, plane, x, sum))
INSTANCE(sum_3, sum_shared(3, BLOCKS, plane, x, sum))
INSTANCE(sum_5_few, sum_shared(5, BLOCKS / 2, plane, x, sum))
INSTANCE(sum_5, sum_shared(5, BLOCKS, plane, x, sum))

/* The way over the outputs, a row of blocks after the other. The last block of a row or a column overlaps with the one
 * before, rather than reaching beyond. */
typedef struct walk {
    const tlk_plane *plane;
    int64_t height, last_row, last_column;
    int64_t row, column, left; /* blocks */
} walk;

static walk walk_of(const tlk_plane *plane, int64_t height)
{
    return (walk){.plane = plane,
                  .height = height,
                  .last_row = plane->rows > height ? plane->rows - height : 0,
                  .last_column = plane->columns > VW ? plane->columns - VW : 0,
                  .left = (plane->rows + height - 1) / height * ((plane->columns + VW - 1) / VW)};
}

/* The data and the outputs of the next `count` blocks; those that are not there repeat the last one. */
static void walk_on(walk *w, int count, const real *x[], real *y[])
{
    for (int i = 0; i < count; i++) {
        x[i] = w->plane->data + w->row * w->plane->pitch + w->column;
        y[i] = w->plane->y + w->row * w->plane->y_pitch + w->column;
        if (--w->left <= 0)
            continue;
        if (w->column < w->last_column) {
            w->column = w->column + VW < w->last_column ? w->column + VW : w->last_column;
        } else {
            w->row = w->row + w->height < w->last_row ? w->row + w->height : w->last_row;
            w->column = 0;
        }
    }
}

static void store(const tlk_plane *plane, vec sum, real *y)
{
    const vec v = v_max(v_set1(plane->low), v_min(v_set1(plane->high), sum));
    if (plane->columns >= VW)
        v_store(y, v);
    else
        v_store_n(y, v, (int)plane->columns);
}

static void multiply_any(const tlk_plane *plane)
{
    for (walk w = walk_of(plane, 1); w.left > 0;) {
        const real *x[VECTORS];
        real *y[VECTORS];
        vec sum[VECTORS];
        walk_on(&w, VECTORS, x, y);
        sum_any(plane, x, sum);
        for (int v = 0; v < VECTORS; v++)
            store(plane, sum[v], y[v]);
    }
}

static void multiply_shared(const tlk_plane *plane)
{
    sum_function *const many = plane->taps == 3 ? sum_3 : sum_5;
    sum_function *const few = plane->taps == 3 ? sum_3_few : sum_5_few;
    for (walk w = walk_of(plane, ROWS); w.left > 0;) {
        const int blocks = w.left > BLOCKS / 2 ? BLOCKS : BLOCKS / 2;
        const real *x[BLOCKS];
        real *y[BLOCKS];
        vec sum[BLOCKS][ROWS];
        walk_on(&w, blocks, x, y);
        (blocks == BLOCKS ? many : few)(plane, x, sum);
        for (int b = 0; b < blocks; b++)
            for (int r = 0; r < ROWS && r < plane->rows; r++)
                store(plane, sum[b][r], y[b] + r * plane->y_pitch);
    }
}

void TLK_FN(tlk_plane_multiply)(const tlk_plane *plane)
{
    if (plane->shared && (plane->taps == 3 || plane->taps == 5))
        multiply_shared(plane);
    else
        multiply_any(plane);
}
#endif
