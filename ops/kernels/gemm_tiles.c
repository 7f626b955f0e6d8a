/* Matrix product on AMX's tiles. Of the side with fewer lines (A's rows or B's columns) a piece is split into parts
 * that stay in the second-level cache; of the other one 32 lines after the other are, and multiplied by all of the
 * piece. */
#include "kernels/gemm.h"

#include "kernels/isa.h"
#include "kernels/output.h"
#include "kernels/tiles.h"

#define MIN(a, b)   ((a) < (b) ? (a) : (b))
#define LINES       TLK_TILE_LINES
#define SIDE        TLK_GEMM_SIDE
#define MOST_DEPTH  512          /* that is split at a time: 96 KB of 32 lines */
#define PIECE_BYTES (768 * 1024) /* of lines in parts, well inside the cache */
#define MOST_PIECE  (512 / SIDE)
#define MOST_SUMS   64 /* squares that wait for more depth: 256 KB */

/* A promise to those who cut products along the rows: no piece has fewer, or the whole has. */
#define LEAST_ROWS 64
#define FEW        48 /* columns gain too little to waste a part of the last tile */
#define MANY       128

/* Measured. Fewer rows don't pay for splitting the columns, nor do tiles that are half empty along the depth. */
static bool pays(int64_t m, int64_t n, int64_t depth)
{
    const int64_t rest = depth % TLK_TILE_DEPTH, empty = rest == 0 ? 0 : TLK_TILE_DEPTH - rest;
    return m >= LEAST_ROWS && n >= LINES && depth >= TLK_TILE_DEPTH &&
           (empty == 0 || (n >= FEW && depth >= 2 * TLK_TILE_DEPTH && empty * (n < MANY ? 5 : 4) <= depth + empty));
}

static int64_t squares(int64_t lines)
{
    return (lines + SIDE - 1) / SIDE;
}

/* Of a whole product. */
typedef struct sizes {
    int held, streamed; /* sides: 0 is A's rows, 1 B's columns */
    int64_t steps;      /* tiles of a line */
    int64_t most[2];    /* squares of each side that go together */
} sizes;

static sizes sizes_of(int64_t m, int64_t n, int64_t depth)
{
    const bool rows = m <= n && m <= MOST_PIECE * SIDE; /* else long rows of C would be written in short pieces */
    sizes s = {.held = !rows,
               .streamed = rows,
               .steps = tlk_tile_steps(MIN(depth, MOST_DEPTH)),
               .most = {squares(m), squares(n)}};
    const int64_t bytes = s.steps * (SIDE / LINES) * (int64_t)sizeof(tlk_tile);
    s.most[s.held] = MIN(s.most[s.held], MIN(PIECE_BYTES / bytes, MOST_PIECE));
    if (depth > MOST_DEPTH)
        s.most[s.streamed] = MIN(s.most[s.streamed], MOST_SUMS / s.most[s.held]);
    return s;
}

static size_t workspace_size(int64_t m, int64_t n, int64_t depth)
{
    const sizes s = sizes_of(m, n, depth);
    const int64_t sums = depth > MOST_DEPTH ? s.most[0] * s.most[1] * SIDE * SIDE * (int64_t)sizeof(float) : 0;
    return (size_t)(sums + (s.most[s.held] + 1) * (SIDE / LINES) * s.steps * (int64_t)sizeof(tlk_tile) + 64);
}

struct job {
    tlk_gemm gemm;
    const tlk_gemm_lines *lines[2];
    const float *bias; /* where the sums of each column start, or NULL */
    sizes sizes;
    tlk_output output;
    bool plain;         /* the sums are the output */
    tlk_tile *tiles[2]; /* [line / 16][steps] of each side */
    unsigned special[2][MOST_PIECE * SIDE / LINES];
    int64_t k, depth, steps; /* the part of the depth */
    float *deep;             /* sums, [streamed][held][32][32], of a depth in several parts; else NULL */
    float *sums;             /* of two squares */
    tlk_sums last;           /* of a square: go to C while the next one is multiplied */
    tlk_tile_pending pending;
};

static void split(struct job *job, int side, int64_t line, int64_t end)
{
    const tlk_gemm_lines *from = job->lines[side];
    tlk_tile *tiles = job->tiles[side];
    unsigned *special = job->special[side];
    for (; line < end; line += LINES, tiles += job->steps) {
        const tlk_lines lines = {from->data + line / SIDE * from->square_step + line % SIDE * from->line_step +
                                     job->k * from->depth_step,
                                 from->line_step, from->depth_step, LINES * from->depth_step, job->depth};
        *special++ = TLK_FN(tlk_tiles_split)(&lines, side == 0, (int)MIN(LINES, end - line), tiles);
    }
}

/* One square of C, or of its sums so far. `from`: the first of its lines in tiles, in units of 16. */
static void multiply(struct job *job, const int64_t at[2], const int64_t end[2], const int64_t from[2], float *deep)
{
    float start[SIDE * SIDE] __attribute__((aligned(64)));
    const int count[2] = {(int)MIN(SIDE, end[0] - at[0]), (int)MIN(SIDE, end[1] - at[1])};
    const bool last = job->k + job->depth == job->gemm.depth;
    const bool plain = last && job->plain && count[0] % LINES == 0 && count[1] % LINES == 0;
    float *sums = deep != NULL ? deep : job->sums + (job->last.at == job->sums ? SIDE * SIDE : 0);
    tlk_tile_block block = {.steps = job->steps,
                            .start = start,
                            .start_right = LINES,
                            .sums = sums,
                            .pending = &job->pending,
                            .meanwhile = output_quarter,
                            .context = &job->last};
    if (job->k > 0) {
        memcpy(start, deep, sizeof start);
        block.start_row = SIDE;
        block.start_left = LINES * SIDE;
    } else {
        memset(start, 0, SIDE * sizeof *start);
        if (job->bias != NULL)
            memcpy(start, job->bias + at[1], (size_t)count[1] * sizeof *start);
    }
    if (plain) {
        block.sums = job->output.y + at[0] * job->output.row_step + at[1];
        block.sums_row = job->output.row_step;
    }
    for (int side = 0; side < 2; side++)
        for (int i = 0; i * LINES < count[side]; i++) {
            block.lines[side][i] = job->tiles[side] + (from[side] + i) * job->steps;
            block.special[side][i] = job->special[side][from[side] + i];
        }
    TLK_FN(tlk_tiles_multiply)(&block);
    job->last = (tlk_sums){&job->output, sums, SIDE, at[0], at[1], last && !plain ? count[0] : 0, count[1]};
}

/* Lines that go together. */
static void run_piece(struct job *job, const int64_t begin[2], const int64_t end[2])
{
    const int held = job->sizes.held, streamed = job->sizes.streamed;
    for (job->k = 0; job->k < job->gemm.depth; job->k += job->depth) {
        float *deep = job->deep;
        job->depth = MIN(MOST_DEPTH, job->gemm.depth - job->k);
        job->steps = tlk_tile_steps(job->depth);
        split(job, held, begin[held], end[held]);
        int64_t at[2], from[2] = {0, 0};
        for (at[streamed] = begin[streamed]; at[streamed] < end[streamed]; at[streamed] += SIDE) {
            split(job, streamed, at[streamed], MIN(at[streamed] + SIDE, end[streamed]));
            for (at[held] = begin[held]; at[held] < end[held]; at[held] += SIDE) {
                from[held] = (at[held] - begin[held]) / LINES;
                multiply(job, at, end, from, deep);
                deep += deep != NULL ? SIDE * SIDE : 0;
            }
        }
        TLK_FN(tlk_tiles_finish)(&job->pending);
    }
    output_all(&job->last);
    job->last.rows = 0;
}

static void run(const tlk_gemm *gemm, const tlk_gemm_lines *a, const tlk_gemm_lines *b, int64_t row_begin,
                int64_t row_end, int64_t column_begin, int64_t column_end, void *workspace)
{
    float sums[2 * SIDE * SIDE] __attribute__((aligned(64)));
    struct job job = {.gemm = *gemm, .lines = {a, b}, .sizes = sizes_of(gemm->m, gemm->n, gemm->depth), .sums = sums};
    const sizes *s = &job.sizes;
    if (gemm->alpha == 1 && gemm->beta == 1 && gemm->add_row_step == 0 && gemm->add_column_step == 1) {
        job.bias = gemm->add;
        job.gemm.add = NULL;
    }
    job.output = TLK_REAL_FN(tlk_gemm_output)(&job.gemm);
    job.plain = job.output.direct && job.output.low == -(real)INFINITY && job.output.high == (real)INFINITY;
    job.tiles[s->held] = (tlk_tile *)(((uintptr_t)workspace + 63) / 64 * 64);
    job.tiles[s->streamed] = job.tiles[s->held] + s->most[s->held] * (SIDE / LINES) * s->steps;
    if (gemm->depth > MOST_DEPTH)
        job.deep = (float *)(job.tiles[s->streamed] + SIDE / LINES * s->steps);
    TLK_FN(tlk_tiles_begin)();
    for (int64_t i = row_begin; i < row_end; i += s->most[0])
        for (int64_t j = column_begin; j < column_end; j += s->most[1]) {
            const int64_t begin[2] = {i * SIDE, j * SIDE};
            const int64_t end[2] = {MIN(MIN(i + s->most[0], row_end) * SIDE, gemm->m),
                                    MIN(MIN(j + s->most[1], column_end) * SIDE, gemm->n)};
            run_piece(&job, begin, end);
        }
    TLK_FN(tlk_tiles_end)();
}

const tlk_gemm_tiles tlk_gemm_tiles_amx = {pays, workspace_size, run};
