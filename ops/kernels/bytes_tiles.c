/* Products of bytes on AMX's tiles, of 16 rows of A by 16 lanes of B, 16 quads deep. A's rows lie in groups of 16, of
 * which each has a square of 16 quads after another, over all taps. B's panels are read in place where they are one
 * run of quads, and copied elsewhere: tiles of rows that begin anywhere take twice as long to load as to multiply. */
#include "kernels/bytes_panel.h"
#include "kernels/check.h"
#include "kernels/isa.h"
#include "kernels/tiles.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

enum {
    LINES = TLK_TILE_LINES,
    SQUARE = LINES * LINES, /* quads of a tile */
    BLOCK = 48,             /* whole groups, and whole blocks of the other kernel */
    CHUNK = 8,              /* squares of B, of each of its halves, that are copied at a time */
    ROWS = 2 * LINES,       /* that are multiplied at a time */
    SHARED = 8,             /* such blocks that a copy is for */
};

static const tlk_bytes_kernel *const other = &TLK_FN(tlk_bytes);

static int64_t squares_of(int64_t quads)
{
    return (quads + LINES - 1) / LINES;
}

/* ---- Packing */

/* What the other kernel does as fast: each group takes tiles some hundred cycles before and after its products, which
 * many rows have time for. */
static bool is_small(int64_t rows, int64_t quads)
{
    const int64_t groups = rows > LINES ? 2 : 1;
    return rows < 4 || quads <= groups * 256 / MIN(rows, 64);
}

static size_t packed_size(int64_t rows, int64_t taps, int64_t depth)
{
    const size_t run = (size_t)depth / TLK_QUAD + (depth % TLK_QUAD != 0), quads = tlk_size_mul((size_t)taps, run);
    if (quads > INT64_MAX || is_small(rows, (int64_t)quads))
        return other->packed_size(rows, taps, depth);
    const size_t lines = tlk_size_mul(tlk_size_round_up((size_t)rows, LINES), tlk_size_round_up(quads, LINES));
    const size_t bytes = tlk_size_mul(lines, TLK_QUAD);
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

/* The next 64 bytes of a row; those that are not there are 0. */
static __m512i load_bytes(const tlk_bytes_left *a, const uint8_t *row, int64_t *tap, int64_t *at)
{
    const int8_t flip = a->is_signed ? 0 : -0x80;
    const int64_t left = a->depth - *at;
    uint8_t bytes[TLK_VBYTES];
    if (a->taps == 1 && a->step == 1) {
        const __mmask64 there = left < TLK_VBYTES ? ~(~(__mmask64)0 << left) : ~(__mmask64)0;
        const __m512i line = _mm512_maskz_loadu_epi8(there, row + *at);
        *at += TLK_VBYTES;
        return _mm512_xor_si512(line, _mm512_maskz_set1_epi8(there, flip));
    }
    for (int i = 0; i < TLK_VBYTES; i++) {
        const bool there = *tap < a->taps && *at < a->depth;
        bytes[i] = there ? row[*tap * a->tap_step + *at * a->step] ^ (uint8_t)flip : 0;
        if (++*at >= a->depth && *at % TLK_QUAD == 0) {
            *at = 0;
            ++*tap;
        }
    }
    return _mm512_loadu_si512(bytes);
}

static void pack(const tlk_bytes_left *a, int64_t begin, int64_t end, void *packed, int32_t *sums)
{
    const int64_t quads = (a->depth + TLK_QUAD - 1) / TLK_QUAD * a->taps, squares = squares_of(quads);
    if (is_small(a->rows, quads)) {
        other->pack(a, begin * (BLOCK / other->block), end * (BLOCK / other->block), packed, sums);
        return;
    }
    for (int64_t row = begin * BLOCK; row < MIN(end * BLOCK, (a->rows + LINES - 1) / LINES * LINES); row++) {
        int32_t *to = (int32_t *)packed + row / LINES * squares * SQUARE + row % LINES * LINES;
        __m512i sum = _mm512_setzero_si512();
        int64_t tap = 0, at = 0;
        for (int64_t s = 0; s < squares; s++, to += SQUARE) {
            const __m512i line = row < a->rows ? load_bytes(a, (const uint8_t *)a->data + row * a->row_step, &tap, &at)
                                               : _mm512_setzero_si512();
            sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), line);
            _mm512_storeu_si512(to, line);
        }
        if (sums != NULL && row < a->rows)
            sums[row] = _mm512_reduce_add_epi32(sum);
    }
}

static void quads(const uint8_t *const rows[TLK_QUAD], int count, bool is_signed, int64_t step, int64_t n, uint32_t *to)
{
    other->quads(rows, count, is_signed, step, n, to);
}

static void pack_panels(const void *b, bool is_signed, int64_t n, int64_t depth, int64_t begin, int64_t end,
                        uint32_t *packed, int32_t *sums)
{
    other->pack_panels(b, is_signed, n, depth, begin, end, packed, sums);
}

/* ---- Products */

/* Sums [ROWS][PANEL] of up to two groups' rows and two tiles' lanes, over squares of B's panel. */
TLK_INLINE void multiply(const int32_t *const rows[2], const uint32_t *b, int64_t squares, bool two_left,
                         bool two_right, const int32_t *start, int64_t start_step, int32_t *sums)
{
    const int64_t right = start_step - LINES, step = start_step * (int64_t)sizeof *start;
    __asm__ volatile("" ::: "memory"); /* the compiler doesn't know what a tile's load reads */
    _tile_loadd(0, start, step);
    if (two_right)
        _tile_loadd(1, start + right, step);
    if (two_left)
        _tile_loadd(2, start + LINES * start_step, step);
    if (two_left && two_right)
        _tile_loadd(3, start + LINES * start_step + right, step);
    for (int64_t s = 0; s < squares; s++, b += LINES * PANEL) {
        _tile_loadd(4, rows[0] + s * SQUARE, LINES * TLK_QUAD);
        _tile_loadd(6, b, PANEL * sizeof *b);
        _tile_dpbsud(0, 4, 6);
        if (two_right) {
            _tile_loadd(7, b + LINES, PANEL * sizeof *b);
            _tile_dpbsud(1, 4, 7);
        }
        if (two_left) {
            _tile_loadd(5, rows[1] + s * SQUARE, LINES * TLK_QUAD);
            _tile_dpbsud(2, 5, 6);
        }
        if (two_left && two_right)
            _tile_dpbsud(3, 5, 7);
        if (s % 16 == 15) /* for nothing, as in tiles.c */
            _tile_stored(4, sums, PANEL * sizeof *sums);
    }
    _tile_stored(0, sums, PANEL * sizeof *sums);
    if (two_right)
        _tile_stored(1, sums + LINES, PANEL * sizeof *sums);
    if (two_left)
        _tile_stored(2, sums + LINES * PANEL, PANEL * sizeof *sums);
    if (two_left && two_right)
        _tile_stored(3, sums + LINES * PANEL + LINES, PANEL * sizeof *sums);
    __asm__ volatile("" ::: "memory");
}

/* Sums begin with those of `start`: [ROWS][LINES], the same for both tiles' lanes, or [ROWS][PANEL]. */
static TLK_NOINLINE void multiply_block(const int32_t *const rows[2], const uint32_t *b, int64_t squares,
                                        bool two_right, const int32_t *start, int64_t start_step, int32_t *sums)
{
    if (rows[1] != NULL && two_right)
        multiply(rows, b, squares, true, true, start, start_step, sums);
    else if (rows[1] != NULL)
        multiply(rows, b, squares, true, false, start, start_step, sums);
    else if (two_right)
        multiply(rows, b, squares, false, true, start, start_step, sums);
    else
        multiply(rows, b, squares, false, false, start, start_step, sums);
}

static bool in_place(const tlk_bytes *p)
{
    return p->taps == 1 && p->b_step == PANEL;
}

/* Up to CHUNK squares of a panel, from quad `at` of all runs on. Returns how many quads. */
static int64_t copy_quads(const tlk_bytes *p, int64_t lane, int64_t at, uint32_t *to)
{
    const int64_t end = MIN(p->taps * p->depth, at + CHUNK * LINES);
    int64_t tap = at / p->depth, q = at % p->depth;
    for (int64_t i = at; i < end; i++, to += PANEL) {
        const int32_t *from = (const int32_t *)p->b + p->offsets[tap] + q * p->b_step + lane * p->b_lane_step;
        vi_store((int32_t *)to, vi_load(from));
        vi_store((int32_t *)to + TLK_W, vi_load(from + TLK_W));
        if (++q == p->depth) {
            q = 0;
            tap++;
        }
    }
    return end - at;
}

/* Sums that are complete are finished while the tiles have the next ones. */
typedef struct unfinished {
    int64_t row;
    int64_t rows; /* or 0 */
    const panel_lanes *lanes;
    int32_t *sums;
} unfinished;

static void finish(const tlk_bytes *p, unfinished *block)
{
    if (block->rows > 0)
        finish_rows(p, block->row, block->rows, block->lanes, block->sums);
    block->rows = 0;
}

/* What a thread has of its own. */
typedef struct space {
    uint32_t copy[CHUNK * LINES * PANEL];
    int32_t sums[SHARED + 1][ROWS * PANEL];
    int32_t starts[SHARED * ROWS * LINES]; /* [][LINES] */
    int next, ring;                        /* of the sums: those that are taken in turn */
    panel_lanes lanes[2];
    unfinished last;
} __attribute__((aligned(64))) space;

static void set_starts(const tlk_bytes *p, int64_t row, int64_t rows, int32_t *starts)
{
    static const int32_t zero;
    const int32_t *start = p->start != NULL ? p->start + row : &zero;
    const int64_t step = p->start != NULL;
    for (int64_t r = 0; r < rows; r++)
        vi_store(starts + r * LINES, vi_set1(start[r * step]));
}

/* Rows up to SHARED blocks against a panel. */
static void run_panel(const tlk_bytes *p, const int32_t *a, int64_t row, int64_t end, const panel_lanes *lanes,
                      space *own)
{
    const int64_t quads = p->taps * p->depth, squares = squares_of(quads);
    const int first_sums = own->next;
    for (int64_t at = 0; at < quads;) {
        const uint32_t *b = own->copy;
        int64_t count = quads - at;
        if (in_place(p) && count >= LINES) { /* but for quads behind the last panel */
            b = (const uint32_t *)p->b + *p->offsets + lanes->lane * p->b_lane_step;
            count = lanes->lane + PANEL < p->lanes ? quads : quads / LINES * LINES;
        } else {
            count = copy_quads(p, lanes->lane, at, own->copy);
        }
        own->next = first_sums;
        for (int64_t i = row; i < end; i += ROWS) {
            const unfinished block = {i, MIN(ROWS, end - i), lanes, own->sums[own->next]};
            const int32_t *group = a + (i / LINES * squares + at / LINES) * SQUARE;
            const int32_t *const groups[2] = {group, block.rows > LINES ? group + squares * SQUARE : NULL};
            const int32_t *start = at == 0 ? own->starts + (i - row) * LINES : block.sums;
            multiply_block(groups, b, squares_of(count), lanes->count > LINES, start, at == 0 ? LINES : PANEL,
                           block.sums);
            finish(p, &own->last);
            if (at + count == quads)
                own->last = block;
            own->next = (own->next + 1) % own->ring;
        }
        at += count;
    }
}

static void run(const tlk_bytes *p, const void *packed_a, int64_t block_begin, int64_t block_end, int64_t lane_begin,
                int64_t lane_end)
{
    enum { CACHED = 1 << 18 }; /* quads of B that stay in the second-level cache */
    const int64_t end = MIN(block_end * BLOCK, p->rows);
    if (is_small(p->rows, p->taps * p->depth)) {
        other->run(p, packed_a, block_begin * (BLOCK / other->block), (end + other->block - 1) / other->block,
                   lane_begin, lane_end);
        return;
    }
    const int64_t panels = MAX(1, CACHED / (p->taps * p->depth * PANEL));
    const int64_t rows = in_place(p) ? ROWS : SHARED * ROWS;
    const int64_t lanes = in_place(p) ? panels * PANEL : lane_end - lane_begin;
    space own;
    int64_t panel = 0;
    own.next = 0;
    own.ring = in_place(p) || p->taps * p->depth <= CHUNK * LINES ? 2 : SHARED + 1;
    own.last.rows = 0;
    TLK_FN(tlk_tiles_begin)();
    for (int64_t first = lane_begin; first < lane_end; first += lanes)
        for (int64_t row = block_begin * BLOCK; row < end; row += rows) {
            const int64_t last = MIN(lane_end, first + lanes);
            int64_t line = first / p->pitch;
            set_starts(p, row, MIN(end - row, rows), own.starts);
            for (int64_t lane = first; lane < last; lane += PANEL) {
                panel_lanes *now = &own.lanes[panel++ % 2];
                now->line = line;
                load_lanes(p, lane, (int)MIN(PANEL, last - lane), now);
                line = now->line;
                run_panel(p, packed_a, row, MIN(end, row + rows), now, &own);
            }
        }
    finish(p, &own.last);
    TLK_FN(tlk_tiles_end)();
}

const tlk_bytes_kernel tlk_bytes_amx = {PANEL, BLOCK, packed_size, pack, quads, pack_panels, run};
