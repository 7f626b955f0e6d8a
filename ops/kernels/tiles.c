/* Products of floats on AMX's tiles: operands into parts, parts into sums. */
#include "kernels/tiles.h"

#include <math.h>

#include "kernels/vreal.h"

/* ---- operands ---- */

/* Numbers from row to row of a part, and from part to part. */
#define ROW_STEP(left)  ((left) ? 3 * 16 : 16)
#define PART_STEP(left) ((left) ? 16 : 16 * 16)

/* x and y into one row of each part; the result has a NaN where one of them is infinite or NaN. */
TLK_INLINE vec split(vec x, vec y, int32_t *row, int part_step)
{
    const veci upper = vi_set1((int32_t)0xffff0000), half = vi_set1(0x8000);
    const vec x0 = (vec)((veci)x & upper), y0 = (vec)((veci)y & upper);
    const vec x12 = x - x0, y12 = y - y0;
    const vec x1 = (vec)(((veci)x12 + half) & upper), y1 = (vec)(((veci)y12 + half) & upper);
    const vec x2 = x12 - x1, y2 = y12 - y1;
    vi_store(row, (veci)((vecu)x >> 16) | (veci)y0);
    vi_store(row + part_step, (veci)((vecu)x1 >> 16) | (veci)y1);
    vi_store(row + 2 * part_step, (veci)((vecu)x2 >> 16) | (veci)y2);
    return x2 + y2;
}

/* A square of up to 16 vectors of memory, in which elements of a line, or the lines' elements, follow each other. */
struct square {
    const float *at;
    int64_t step;
    int rows;
    __mmask16 lanes;
};

/* Zero beyond. */
TLK_INLINE vec row_of(const struct square *square, int i)
{
    return (vec)_mm512_maskz_loadu_ps(i < square->rows ? square->lanes : 0, v_outside(square->at, i * square->step));
}

static TLK_NOINLINE void turn(const struct square *square, vec rows[VW])
{
    vec turned[VW];
    TLK_UNROLL
    for (int i = 0; i < VW; i++)
        turned[i] = row_of(square, i);
    v_transpose(turned);
    TLK_UNROLL
    for (int i = 0; i < VW; i++)
        rows[i] = turned[i];
}

TLK_INLINE vec split_square(const struct square squares[2], bool left, tlk_tile *tile)
{
    vec special = v_zero();
    for (int i = 0; i < VW; i += 4) /* more at once is more code and no faster */
        TLK_UNROLL
    for (int k = i; k < i + 4; k++)
        special += split(row_of(&squares[0], k), row_of(&squares[1], k), (int32_t *)tile->numbers + k * ROW_STEP(left),
                         PART_STEP(left));
    return special;
}

static TLK_NOINLINE vec split_turned(const struct square squares[2], bool left, tlk_tile *tile)
{
    vec special = v_zero();
    vec x[VW], y[VW];
    turn(&squares[0], x);
    turn(&squares[1], y);
    for (int i = 0; i < VW; i++)
        special += split(x[i], y[i], (int32_t *)tile->numbers + i * ROW_STEP(left), PART_STEP(left));
    return special;
}

/* Places of element k of a line, and which half of the number there it is. */
static uint32_t *place_of(tlk_tile *tile, bool left, int part, int line, int k)
{
    const int row = left ? line : k % VW;
    return &tile->numbers[part * PART_STEP(left) + row * ROW_STEP(left) + (left ? k % VW : line)];
}

/* An infinity or NaN is all in part 0. */
static unsigned split_special(const tlk_lines *lines, bool left, int count, tlk_tile *tiles)
{
    unsigned special = 0;
    for (int line = 0; line < count; line++)
        for (int64_t k = 0; k < lines->depth; k++) {
            const float x =
                lines->at[line * lines->line_step + k / VW * lines->group_step + k % VW * lines->depth_step];
            if (isfinite(x))
                continue;
            const int in_step = (int)(k % TLK_TILE_DEPTH);
            const uint32_t bits = isnan(x) ? 0x7fc0 : x > 0 ? 0x7f80 : 0xff80;
            const int shift = in_step < VW ? 0 : 16;
            special |= 1U << line;
            for (int p = 0; p < 3; p++) {
                uint32_t *place = place_of(tiles + k / TLK_TILE_DEPTH, left, p, line, in_step);
                *place = (*place & ~(0xffffU << shift)) | (p == 0 ? bits << shift : 0);
            }
        }
    return special;
}

/* 16 elements of all lines, from element 16 * group on. */
TLK_INLINE struct square square_of(const tlk_lines *lines, bool by_depth, int count, int64_t group)
{
    const int64_t left_over = lines->depth - group * VW;
    const int depth = left_over <= 0 ? 0 : left_over < VW ? (int)left_over : VW;
    return (struct square){v_outside(lines->at, group * lines->group_step),
                           by_depth ? lines->line_step : lines->depth_step, by_depth ? count : depth,
                           TLK_MASK16(0, by_depth ? depth : count)};
}

unsigned TLK_FN(tlk_tiles_split)(const tlk_lines *lines, bool left, int count, tlk_tile *tiles)
{
    const bool by_depth = lines->depth_step == 1;
    const int64_t steps = tlk_tile_steps(lines->depth);
    vec special = v_zero();
    for (int64_t s = 0; s < steps; s++) {
        const struct square squares[2] = {square_of(lines, by_depth, count, 2 * s),
                                          square_of(lines, by_depth, count, 2 * s + 1)};
        special += by_depth != left ? split_turned(squares, left, tiles + s)
                   : left           ? split_square(squares, true, tiles + s)
                                    : split_square(squares, false, tiles + s);
    }
    return _mm512_cmpneq_ps_mask((__m512)special, (__m512)special) == 0 ? 0 : split_special(lines, left, count, tiles);
}

/* ---- products ---- */

/* Eight tiles of 16 rows of 64 bytes. */
void TLK_FN(tlk_tiles_begin)(void)
{
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } configuration = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&configuration);
}

void TLK_FN(tlk_tiles_end)(void)
{
    _tile_release();
}

/* 16 left lines of one step. */
TLK_INLINE const tlk_tile *left_step(const tlk_tile_block *block, int lines, int64_t s)
{
    const tlk_tile *first = block->lines[0][lines];
    return block->offsets == NULL ? first + s
                                  : (const tlk_tile *)(const void *)((const char *)first + block->offsets[s]);
}

/* Tiles 0 to 3 are sums of left[0] right[0], left[0] right[1], left[1] right[0], left[1] right[1]; 4 and 5 left parts,
 * 6 and 7 right ones. Each part is in a tile for as long as a product after another needs it. */
#define LOAD_FIRST(p) _tile_loadd(4, left_step(block, 0, s)->numbers + (p)*PART_STEP(true), TLK_LINE_BYTES)
#define LOAD_SECOND(p)                                                                             \
    do {                                                                                           \
        if (two_left)                                                                              \
            _tile_loadd(5, left_step(block, 1, s)->numbers + (p)*PART_STEP(true), TLK_LINE_BYTES); \
    } while (0)
#define LOAD_RIGHT(p)                                                                 \
    do {                                                                              \
        _tile_loadd(6, block->lines[1][0][s].numbers + (p)*PART_STEP(false), 64);     \
        if (two_right)                                                                \
            _tile_loadd(7, block->lines[1][1][s].numbers + (p)*PART_STEP(false), 64); \
    } while (0)
#define MULTIPLY_FIRST()             \
    do {                             \
        _tile_dpbf16ps(0, 4, 6);     \
        if (two_right)               \
            _tile_dpbf16ps(1, 4, 7); \
    } while (0)
#define MULTIPLY_SECOND()            \
    do {                             \
        if (two_left)                \
            _tile_dpbf16ps(2, 5, 6); \
        if (two_left && two_right)   \
            _tile_dpbf16ps(3, 5, 7); \
    } while (0)
#define LOAD_LEFT(p)    \
    do {                \
        LOAD_FIRST(p);  \
        LOAD_SECOND(p); \
    } while (0)
#define MULTIPLY()         \
    do {                   \
        MULTIPLY_FIRST();  \
        MULTIPLY_SECOND(); \
    } while (0)

static int64_t sums_step(const tlk_tile_block *block)
{
    return block->sums_row == 0 ? 32 : block->sums_row;
}

/* A quarter of what vectors do; more at once would fill the processor's window, and the next products wait. */
TLK_INLINE void meanwhile(const tlk_tile_block *block, int64_t step, int quarter)
{
    if (step == 0 && block->meanwhile != NULL)
        block->meanwhile(block->context, quarter);
}

TLK_INLINE void store_pending(const tlk_tile_pending *pending)
{
    if (pending->sums == NULL)
        return;
    _tile_stored(2, pending->sums, pending->sums_row * (int64_t)sizeof(float));
    if (pending->two_right)
        _tile_stored(3, pending->sums + 16, pending->sums_row * (int64_t)sizeof(float));
    __asm__ volatile("" ::: "memory");
}

/* The sums of the second lines lag behind: those of the first ones are stored while they finish, and they themselves
 * when the next block has begun. Else its products would wait for the stores of this one's sums. */
TLK_INLINE void multiply(const tlk_tile_block *block, bool two_left, bool two_right)
{
    const float *start = block->start;
    float *sums = block->sums;
    const int64_t sums_row = sums_step(block), sums_bytes = sums_row * (int64_t)sizeof(float);
    const int64_t start_bytes = block->start_row * (int64_t)sizeof(float);
    __asm__ volatile("" ::: "memory"); /* the compiler doesn't know what a tile's load reads */
    _tile_loadd(0, start, start_bytes);
    if (two_right)
        _tile_loadd(1, start + block->start_right, start_bytes);
    for (int64_t s = 0; s < block->steps; s++) {
        LOAD_LEFT(0);
        LOAD_RIGHT(2);
        MULTIPLY_FIRST();
        if (s == 0) {
            store_pending(block->pending);
            if (two_left)
                _tile_loadd(2, start + block->start_left, start_bytes);
            if (two_left && two_right)
                _tile_loadd(3, start + block->start_left + block->start_right, start_bytes);
        }
        MULTIPLY_SECOND();
        meanwhile(block, s, 0);
        LOAD_RIGHT(1);
        MULTIPLY();
        meanwhile(block, s, 1);
        LOAD_LEFT(1);
        MULTIPLY();
        meanwhile(block, s, 2);
        LOAD_RIGHT(0);
        MULTIPLY();
        meanwhile(block, s, 3);
        LOAD_LEFT(2);
        MULTIPLY_FIRST();
        if (s < block->steps - 1)
            MULTIPLY_SECOND();
        LOAD_FIRST(0);
        MULTIPLY_FIRST();
        if (s == block->steps - 1) {
            _tile_stored(0, sums, sums_bytes);
            if (two_right)
                _tile_stored(1, sums + 16, sums_bytes);
            MULTIPLY_SECOND();
        } else if (s % 4 == 3) /* for nothing: after some 128 products without a store, the next takes as long as 30 */
            _tile_stored(4, sums, sums_bytes);
        LOAD_SECOND(0);
        MULTIPLY_SECOND();
    }
    *block->pending = (tlk_tile_pending){two_left ? sums + 16 * sums_row : NULL, sums_row, two_right};
    __asm__ volatile("" ::: "memory");
}

void TLK_FN(tlk_tiles_finish)(tlk_tile_pending *pending)
{
    store_pending(pending);
    pending->sums = NULL;
}

/* The element of a line as it was. */
static float element(const tlk_tile *tile, bool left, int line, int k)
{
    float sum = 0;
    for (int p = 2; p >= 0; p--) {
        uint32_t bits = *place_of((tlk_tile *)tile, left, p, line, k);
        float part;
        bits = k < VW ? bits << 16 : bits & 0xffff0000;
        memcpy(&part, &bits, sizeof part);
        sum += part;
    }
    return sum;
}

/* Sums of special lines, by multiply-adds. */
static TLK_NOINLINE void multiply_special(const tlk_tile_block *block, int l, int r)
{
    const float *start = block->start + l * block->start_left + r * block->start_right;
    float *sums = block->sums + l * 16 * sums_step(block) + r * 16;
    for (int row = 0; row < TLK_TILE_LINES; row++) {
        const unsigned columns = block->special[0][l] >> row & 1 ? 0xffff : block->special[1][r];
        float line[TLK_TILE_LINES] = {0};
        for (int column = 0; column < TLK_TILE_LINES; column++)
            if (columns >> column & 1)
                line[column] = start[row * block->start_row + column];
        for (int64_t s = 0; columns != 0 && s < block->steps; s++)
            for (int k = 0; k < TLK_TILE_DEPTH; k++) {
                const float left = element(left_step(block, l, s), true, row, k);
                for (int column = 0; column < TLK_TILE_LINES; column++)
                    line[column] = fmaf(left, element(&block->lines[1][r][s], false, column, k), line[column]);
            }
        for (int column = 0; column < TLK_TILE_LINES; column++)
            if (columns >> column & 1)
                sums[row * sums_step(block) + column] = line[column];
    }
}

void TLK_FN(tlk_tiles_multiply)(const tlk_tile_block *block)
{
    const unsigned special = block->special[0][0] | block->special[0][1] | block->special[1][0] | block->special[1][1];
    if (block->lines[0][1] != NULL && block->lines[1][1] != NULL)
        multiply(block, true, true);
    else if (block->lines[0][1] != NULL)
        multiply(block, true, false);
    else if (block->lines[1][1] != NULL)
        multiply(block, false, true);
    else
        multiply(block, false, false);
    if (special == 0)
        return;
    TLK_FN(tlk_tiles_finish)(block->pending);
    for (int l = 0; l < 2 && block->lines[0][l] != NULL; l++)
        for (int r = 0; r < 2 && block->lines[1][r] != NULL; r++)
            if ((block->special[0][l] | block->special[1][r]) != 0)
                multiply_special(block, l, r);
}
