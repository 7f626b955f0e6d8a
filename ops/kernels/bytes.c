/* Products of bytes: blocks of at most BLOCK rows of A against PANEL lanes of B. */
#include "kernels/bytes_panel.h"
#include "kernels/check.h"
#include "kernels/isa.h"
#include "kernels/output.h"
#include "kernels/vbytes.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#if defined __clang__
#define ONE_COPY __attribute__((noinline))
#else
#define ONE_COPY __attribute__((noinline, noclone))
#endif

#if defined TLK_ISA_AVX512 /* 12 * 2 sums, 2 vectors of B and one of A in 32 registers */
#define BLOCK 12
#elif defined TLK_ISA_NEON
#define BLOCK 8
#else
#define BLOCK 4
#endif

/* ---- Four products of bytes, added to a sum. Without an instruction for it the bytes become numbers of 16 bits, the
 * even ones in one vector and the odd ones in another; A's are packed so, as two words. */

typedef int16_t vecs __attribute__((vector_size(TLK_VBYTES)));
typedef uint16_t vecus __attribute__((vector_size(TLK_VBYTES)));

#if defined TLK_ISA_AVX512
#define WORDS 1
typedef veci quads_b;
TLK_INLINE quads_b split_quads(veci quads)
{
    return quads;
}
TLK_INLINE veci multiply_add(const int32_t *a, quads_b b, veci sum)
{
    return (veci)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)b, _mm512_set1_epi32(*a));
}
#else
#define WORDS 2
typedef struct quads_b {
    vecs even, odd;
} quads_b;
TLK_INLINE quads_b split_quads(veci quads)
{
    return (quads_b){(vecs)((vecus)quads & 0xff), (vecs)((vecus)quads >> 8)};
}
/* The sums of two neighbouring products. */
TLK_INLINE veci pairs(vecs a, vecs b)
{
#if defined TLK_ISA_AVX2
    return (veci)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined TLK_ISA_NEON
    return (veci)vpaddq_s32(vmull_s16(vget_low_s16((int16x8_t)a), vget_low_s16((int16x8_t)b)),
                            vmull_high_s16((int16x8_t)a, (int16x8_t)b));
#elif defined __SSE2__
    return (veci)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    const veci u = (veci)a;
    const veci v = (veci)b;
    return ((veci)((vecu)u << 16) >> 16) * ((veci)((vecu)v << 16) >> 16) + (u >> 16) * (v >> 16);
#endif
}
TLK_INLINE veci multiply_add(const int32_t *a, quads_b b, veci sum)
{
    const vecu products = (vecu)pairs((vecs)vi_set1(a[0]), b.even) + (vecu)pairs((vecs)vi_set1(a[1]), b.odd);
    return (veci)((vecu)sum + products);
}
#endif

TLK_INLINE quads_b load_quads(const uint32_t *b)
{
    return split_quads(vi_load((const int32_t *)b));
}

static uint32_t load_quad(const void *p)
{
    uint32_t quad;
    memcpy(&quad, p, sizeof quad);
    return quad;
}

static void store_quad(uint32_t quad, int32_t *to)
{
#if WORDS == 1
    memcpy(to, &quad, sizeof quad);
#else
    for (int odd = 0; odd < 2; odd++) {
        const uint32_t low = (quad >> (8 * odd) & 0xff) ^ 0x80;
        const uint32_t high = (quad >> (16 + 8 * odd) & 0xff) ^ 0x80;
        to[odd] = (int32_t)(((low - 0x80) & 0xffff) | (high - 0x80) << 16);
    }
#endif
}

/* ---- Packing */

/* Rows of the instance that computes these. */
static int64_t padded(int64_t rows)
{
    return rows < 3 ? rows : rows <= 4 ? 4 : rows <= 8 ? 8 : BLOCK;
}

static size_t packed_size(int64_t rows, int64_t taps, int64_t depth)
{
    const size_t quads = tlk_size_mul((size_t)taps, (size_t)depth / TLK_QUAD + (depth % TLK_QUAD != 0));
    const size_t bytes = tlk_size_mul(tlk_size_mul((size_t)(rows / BLOCK * BLOCK + padded(rows % BLOCK)), quads),
                                      WORDS * sizeof(int32_t));
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

/* The sum of n bytes as packed. */
static int32_t sum_bytes(const uint8_t *from, int64_t step, int64_t n, uint8_t flip)
{
    int32_t sum = 0;
    if (step == 1)
        for (int64_t i = 0; i < n; i++)
            sum += (int8_t)(from[i] ^ flip);
    else
        for (int64_t i = 0; i < n; i++)
            sum += (int8_t)(from[i * step] ^ flip);
    return sum;
}

#if WORDS == 1
/* A block of rows whose bytes are neighbours, by squares of quads. */
static void pack_rows(const tlk_bytes_left *a, int64_t first, int64_t rows, int32_t *to, int32_t *sums)
{
    const uint8_t *from = (const uint8_t *)a->data + first * a->row_step;
    const int64_t width = padded(rows);
    veci sum = {0};
    for (int64_t k = 0; k < a->depth; k += TLK_VBYTES) {
        const int64_t count = MIN(TLK_VBYTES, a->depth - k);
        const __mmask64 there = ~(__mmask64)0 >> (TLK_VBYTES - count);
        const __m512i flip = _mm512_maskz_set1_epi8(there, a->is_signed ? 0 : -0x80);
        vecf square[TLK_W] = {0};
        for (int64_t r = 0; r < rows; r++)
            square[r] = (vecf)_mm512_xor_si512(_mm512_maskz_loadu_epi8(there, from + r * a->row_step + k), flip);
        v_transpose(square);
        for (int64_t q = 0; q * TLK_QUAD < count; q++, to += width) {
            _mm512_mask_storeu_epi32(to, (__mmask16)((1 << width) - 1), (__m512i)square[q]);
            sum = (veci)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi8(1), (__m512i)square[q]);
        }
    }
    if (sums != NULL)
        memcpy(sums + first, &sum, (size_t)rows * sizeof *sums);
}
#endif

static void pack(const tlk_bytes_left *a, int64_t begin, int64_t end, void *packed, int32_t *sums)
{
    const int64_t quads = (a->depth + TLK_QUAD - 1) / TLK_QUAD;
    const uint32_t flip = a->is_signed ? 0 : 0x80808080;
    for (int64_t first = begin * BLOCK; first < MIN(end * BLOCK, a->rows); first += BLOCK) {
        const int64_t rows = MIN(BLOCK, a->rows - first);
        const int64_t width = padded(rows);
        int32_t *to = (int32_t *)packed + first * quads * a->taps * WORDS;
#if WORDS == 1
        if (rows > 2 && a->step == 1 && a->taps == 1) {
            pack_rows(a, first, rows, to, sums);
            continue;
        }
#endif
        for (int64_t t = 0; t < a->taps; t++) {
            const uint8_t *block = (const uint8_t *)a->data + first * a->row_step + t * a->tap_step;
            for (int64_t k = 0; k < a->depth; k += TLK_QUAD, to += width * WORDS) {
                const int64_t count = MIN(TLK_QUAD, a->depth - k);
                for (int64_t r = 0; r < rows; r++) {
                    const uint8_t *from = block + r * a->row_step + k * a->step;
                    uint8_t bytes[TLK_QUAD] = {0};
                    for (int64_t i = 0; i < count && (a->step != 1 || count < TLK_QUAD); i++)
                        bytes[i] = (uint8_t)(from[i * a->step] ^ (flip & 0xff));
                    const bool whole = a->step == 1 && count == TLK_QUAD;
                    store_quad(whole ? load_quad(from) ^ flip : load_quad(bytes), to + r * WORDS);
                }
                if (width > rows)
                    memset(to + rows * WORDS, 0, (size_t)(width - rows) * WORDS * sizeof *to);
            }
            for (int64_t r = 0; sums != NULL && r < rows; r++)
                sums[first + r] = (t == 0 ? 0 : sums[first + r]) +
                                  sum_bytes(block + r * a->row_step, a->step, a->depth, (uint8_t)flip);
        }
    }
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t words8 __attribute__((vector_size(16)));

/* Every byte, or every second one of what may be one byte longer. */
TLK_INLINE bytes16 load_bytes(const uint8_t *p, int64_t step)
{
    bytes16 v[2];
    memcpy(v, p, sizeof *v);
    if (step == 1)
        return v[0];
    memcpy(v + 1, p + sizeof *v, sizeof *v);
    return __builtin_shufflevector(v[0], v[1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}

/* By 16; the last go over those before. Returns how many quads at the front it could not do. */
static int64_t quads_by_vectors(const uint8_t *const rows[TLK_QUAD], int count, uint8_t flip, int64_t step, int64_t n,
                                uint32_t *to)
{
    const int64_t end = n - (step - 1); /* what is read behind the last byte is the caller's */
    for (int64_t at = 0; end >= 16 && at < end; at += 16) {
        const int64_t i = MIN(at, end - 16);
        bytes16 row[TLK_QUAD] = {0};
        words8 pair[TLK_QUAD];
        TLK_UNROLL
        for (int k = 0; k < TLK_QUAD; k++)
            if (k < count)
                row[k] = load_bytes(rows[k] + i * step, step) ^ flip;
        TLK_UNROLL
        for (int k = 0; k < TLK_QUAD; k += 2) {
            pair[k] = (words8)__builtin_shufflevector(row[k], row[k + 1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6,
                                                      22, 7, 23);
            pair[k + 1] = (words8)__builtin_shufflevector(row[k], row[k + 1], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                                          29, 14, 30, 15, 31);
        }
        TLK_UNROLL
        for (int k = 0; k < 2; k++) {
            const words8 low = __builtin_shufflevector(pair[k], pair[k + 2], 0, 8, 1, 9, 2, 10, 3, 11);
            const words8 high = __builtin_shufflevector(pair[k], pair[k + 2], 4, 12, 5, 13, 6, 14, 7, 15);
            memcpy(to + i + 8 * k, &low, sizeof low);
            memcpy(to + i + 8 * k + 4, &high, sizeof high);
        }
    }
    return end >= 16 ? end : 0;
}

static ONE_COPY void quads(const uint8_t *const rows[TLK_QUAD], int count, bool is_signed, int64_t step, int64_t n,
                           uint32_t *to)
{
    const uint8_t flip = is_signed ? 0x80 : 0;
    for (int64_t i = step <= 2 ? quads_by_vectors(rows, count, flip, step, n, to) : 0; i < n; i++) {
        uint8_t bytes[TLK_QUAD] = {0};
        for (int k = 0; k < count; k++)
            bytes[k] = rows[k][i * step] ^ flip;
        to[i] = load_quad(bytes);
    }
}

static void pack_panels(const void *b, bool is_signed, int64_t n, int64_t depth, int64_t begin, int64_t end,
                        uint32_t *packed, int32_t *sums)
{
    int32_t ones[2] = {WORDS == 1 ? 0x01010101 : 0x00010001, 0x00010001};
    for (int64_t column = begin * PANEL; column < MIN(end * PANEL, n); column += PANEL) {
        uint32_t *to = packed + column * ((depth + TLK_QUAD - 1) / TLK_QUAD);
        const int64_t count = MIN(PANEL, n - column);
        veci sum[VECTORS] = {0};
        for (int64_t k = 0; k < depth; k += TLK_QUAD, to += PANEL) {
            const uint8_t *rows[TLK_QUAD] = {0};
            for (int64_t i = 0; i < MIN(TLK_QUAD, depth - k); i++)
                rows[i] = (const uint8_t *)b + (k + i) * n + column;
            quads(rows, (int)MIN(TLK_QUAD, depth - k), is_signed, 1, count, to);
            memset(to + count, 0, (size_t)(PANEL - count) * sizeof *to);
            for (int v = 0; v < VECTORS; v++)
                sum[v] = multiply_add(ones, load_quads(to + v * TLK_W), sum[v]);
        }
        memcpy(sums + column, sum, (size_t)count * sizeof *sums);
    }
}

/* ---- Products */

/* Few rows would wait for their sums: they have `phases` of them, which are added at the end. Of a panel only the first
 * `vectors` are of use. */
TLK_INLINE void multiply(int rows, int vectors, int phases, const tlk_bytes *p, const int32_t *a, const uint32_t *b,
                         const int32_t *start, int32_t *y)
{
    veci sum[BLOCK][VECTORS];
    veci phase[3][2][VECTORS];
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int v = 0; v < VECTORS; v++)
        sum[r][v] = vi_set1(start[r]);
    memset(phase, 0, sizeof phase);
    for (int64_t t = 0; t < p->taps; t++) {
        const uint32_t *at = b + p->offsets[t];
        int64_t q = p->depth;
        for (; q >= phases; q -= phases, a += phases * rows * WORDS, at += phases * p->b_step) {
            quads_b columns[VECTORS];
            TLK_UNROLL
            for (int f = 0; f < phases; f++) {
                TLK_UNROLL
                for (int v = 0; v < vectors; v++)
                    columns[v] = load_quads(at + f * p->b_step + v * TLK_W);
                TLK_UNROLL
                for (int r = 0; r < rows; r++)
                    TLK_UNROLL
                for (int v = 0; v < vectors; v++) {
                    veci *to = f == 0 ? &sum[r][v] : &phase[f - 1][r][v];
                    *to = multiply_add(a + (f * rows + r) * WORDS, columns[v], *to);
                }
            }
        }
        for (; phases > 1 && q > 0; q--, a += rows * WORDS, at += p->b_step)
            TLK_UNROLL
        for (int r = 0; r < rows; r++)
            TLK_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[r][v] = multiply_add(a + r * WORDS, load_quads(at + v * TLK_W), sum[r][v]);
    }
    TLK_UNROLL
    for (int r = 0; r < rows; r++)
        TLK_UNROLL
    for (int v = 0; v < VECTORS; v++) {
        TLK_UNROLL
        for (int f = 1; f < phases; f++)
            sum[r][v] = (veci)((vecu)sum[r][v] + (vecu)phase[f - 1][r][v]);
        vi_store(y + r * PANEL + v * TLK_W, sum[r][v]);
    }
}

#define INSTANCE(name, rows, vectors, phases)                                                         \
    static TLK_NOINLINE void multiply_##name(const tlk_bytes *p, const int32_t *a, const uint32_t *b, \
                                             const int32_t *start, int32_t *y)                        \
    {                                                                                                 \
        multiply(rows, vectors, phases, p, a, b, start, y);                                           \
    }
INSTANCE(1, 1, VECTORS, 4)
INSTANCE(2, 2, VECTORS, 2)
INSTANCE(4, 4, VECTORS, 1)
#if BLOCK >= 8
INSTANCE(8, 8, VECTORS, 1)
#endif
#if BLOCK == 12
INSTANCE(12, 12, VECTORS, 1)
INSTANCE(half, 12, 1, 1) /* where a panel is wide */
#endif

static void multiply_block(int64_t rows, int lanes, const tlk_bytes *p, const int32_t *a, const uint32_t *b,
                           const int32_t *start, int32_t *y)
{
    (void)lanes;
    switch (padded(rows)) {
    case 1:
        multiply_1(p, a, b, start, y);
        break;
    case 2:
        multiply_2(p, a, b, start, y);
        break;
#if BLOCK >= 8
    case 8:
        multiply_8(p, a, b, start, y);
        break;
#endif
#if BLOCK == 12
    case 12:
        (lanes <= TLK_W ? multiply_half : multiply_12)(p, a, b, start, y);
        break;
#endif
    default:
        multiply_4(p, a, b, start, y);
        break;
    }
}

/* ---- What comes out */

static const void *whole_panel(const void *from, int64_t lane, int count, size_t size, void *padded)
{
    if (from == NULL || count == PANEL)
        return from == NULL ? NULL : (const char *)from + (size_t)lane * size;
    memset(padded, 0, PANEL * size);
    return memcpy(padded, (const char *)from + (size_t)lane * size, (size_t)count * size);
}

void load_lanes(const tlk_bytes *p, int64_t lane, int count, panel_lanes *lanes)
{
    lanes->lane = lane;
    lanes->count = count;
    for (int t = 0; t < TLK_BYTES_TERMS; t++)
        lanes->terms[t] = whole_panel(p->terms[t].lane, lane, count, sizeof(int32_t), lanes->padded_terms[t]);
    lanes->scale =
        whole_panel(p->scale_lane_step != 0 ? p->scale : NULL, lane, count, sizeof(float), lanes->padded_scale);
    lanes->runs = 0;
    int64_t line = lanes->line;
    int64_t inside = lane - line * p->pitch;
    for (int at = 0; at < count; line++, inside = 0) {
        const int stored = (int)MIN(count, at + p->width - inside);
        if (stored > at) {
            lanes->run[lanes->runs].begin = at;
            lanes->run[lanes->runs].end = stored;
            lanes->run[lanes->runs++].to = line * p->width + inside;
        }
        at = (int)MIN(count, at + p->pitch - inside);
    }
    lanes->line = lane + count < line * p->pitch ? line - 1 : line;
}

/* Fewer bytes than a panel has, without a call: what is left goes over what is done. */
TLK_INLINE void copy_some(char *to, const char *from, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        memcpy(to + i, from + i, 16);
    if (i > 0)
        memcpy(to + n - 16, from + n - 16, 16);
    else if (n >= 4)
        for (; i < n; i += 4)
            memcpy(to + MIN(i, n - 4), from + MIN(i, n - 4), 4);
    else
        for (; i < n; i++)
            to[i] = from[i];
}

#define finish_output TLK_ELEMENT_FN(tlk_output_finish)

/* The steps behind floats. */
TLK_INLINE tlk_output output_of(const tlk_bytes *p)
{
    static const tlk_activation linear = {.kind = TLK_LINEAR};
    return (tlk_output){
        .y = p->c, .row_step = p->c_row_step, .lane_step = 1, .scale = 1, .activation = &linear, .steps = p->steps};
}

/* Floats [rows][PANEL] to where they go. What is behind a run on the stage is written over. */
static ONE_COPY void finish_steps(const tlk_bytes *p, int64_t row, int64_t rows, const panel_lanes *lanes, float *sums)
{
    const tlk_output output = output_of(p);
    float stage[BLOCK * PANEL];
    for (int i = 0; i < lanes->runs; i++) {
        const int begin = lanes->run[i].begin;
        const bool last = begin == 0 && lanes->runs == 1;
        if (!last)
            memcpy(stage, sums + begin, (size_t)(rows * PANEL - begin) * sizeof *sums);
        finish_output(&output, last ? sums : stage, PANEL, row, lanes->run[i].to, (int)rows, lanes->run[i].end - begin);
    }
}

/* What all rows need is read once, here: for the compiler, any store of bytes might change it. */
void finish_rows(const tlk_bytes *p, int64_t row, int64_t rows, const panel_lanes *lanes, int32_t *sums)
{
    static const int32_t one = 1;
    const tlk_bytes_form form = p->form;
    const size_t size = form == TLK_BYTES_BYTES ? 1 : sizeof(int32_t);
    const float low = (float)(p->low - p->zero);
    const float high = (float)(p->high - p->zero);
    const int32_t zero = p->zero;
    const int64_t c_step = p->c_row_step * (int64_t)size;
    const int64_t scale_step = p->scale_row_step;
    const float *scales = form != TLK_BYTES_SUMS && lanes->scale == NULL ? p->scale + row * scale_step : NULL;
    const float *add = form == TLK_BYTES_FLOATS ? p->add : NULL;
    const int64_t add_step = p->add_lane_step;
    const bool steps = form == TLK_BYTES_FLOATS && p->steps.count > 0;
    const bool whole = lanes->runs == 1 && lanes->run[0].end - lanes->run[0].begin == PANEL && !steps;
    const int64_t first = whole ? lanes->run[0].to * (int64_t)size : 0;
    char *const block = (char *)p->c + row * c_step;
    struct {
        const int32_t *row, *lanes;
        int64_t step;
    } terms[TLK_BYTES_TERMS];
    int count = 0;
    for (int t = 0; t < TLK_BYTES_TERMS; t++) {
        const int32_t *factors = p->terms[t].row;
        if (lanes->terms[t] == NULL)
            continue;
        terms[count].lanes = lanes->terms[t];
        terms[count].row = factors != NULL ? factors + row : &one;
        terms[count++].step = factors != NULL;
    }
    for (int64_t r = 0; r < rows; r++) {
        int32_t *stage = sums + r * PANEL;
        char *c = block + r * c_step;
        const float *summands = add == NULL ? NULL : add + (row + r) * p->add_row_step + lanes->lane * add_step;
        char *to = whole ? c + first : (char *)stage;
        veci x[VECTORS];
        TLK_UNROLL
        for (int v = 0; v < VECTORS; v++)
            x[v] = vi_load(stage + v * TLK_W);
        for (int t = 0; t < count; t++) {
            const vecu factor = (vecu)vi_set1(terms[t].row[r * terms[t].step]);
            TLK_UNROLL
            for (int v = 0; v < VECTORS; v++)
                x[v] = (veci)((vecu)x[v] + factor * (vecu)vi_load(terms[t].lanes + v * TLK_W));
        }
        if (form != TLK_BYTES_SUMS)
            TLK_UNROLL
        for (int v = 0; v < VECTORS; v++) {
            const vecf scale = scales == NULL ? vf_load(lanes->scale + v * TLK_W) : vf_set1(scales[r * scale_step]);
            vecf y = vf_from_int(x[v]) * scale;
            if (form == TLK_BYTES_BYTES) {
                const vecb bytes = bytes_from_floats(y, low, high, zero);
                memcpy(to + v * TLK_W, &bytes, sizeof bytes);
                continue;
            }
            if (add != NULL && add_step == 0)
                y = y + vf_set1(*summands);
            else if (add != NULL && v * TLK_W < lanes->count)
                y = y + vf_load_n(summands + v * TLK_W, MIN(TLK_W, lanes->count - v * TLK_W));
            x[v] = (veci)y;
        }
        if (form != TLK_BYTES_BYTES)
            TLK_UNROLL
        for (int v = 0; v < VECTORS; v++)
            memcpy(to + v * TLK_VBYTES, &x[v], sizeof x[v]);
        for (int i = 0; i < lanes->runs && !whole && !steps; i++) {
            const size_t begin = (size_t)lanes->run[i].begin;
            copy_some(c + (size_t)lanes->run[i].to * size, (char *)stage + begin * size,
                      ((size_t)lanes->run[i].end - begin) * size);
        }
    }
    for (int64_t r = 0; steps && r < rows; r += BLOCK)
        finish_steps(p, row + r, MIN(BLOCK, rows - r), lanes, (float *)(void *)(sums + r * PANEL));
}

/* The only row of a whole panel, all of whose lanes are neighbours: floats without steps, as finish_rows makes them, at
 * less cost. */
static void finish_row(const tlk_bytes *p, int64_t row, int64_t lane, const int32_t *sums)
{
    const float *scale = p->scale + row * p->scale_row_step + lane * p->scale_lane_step;
    const float *add = p->add == NULL ? NULL : p->add + row * p->add_row_step + lane * p->add_lane_step;
    float *c = (float *)p->c + row * p->c_row_step + lane;
    TLK_UNROLL
    for (int i = 0; i < PANEL; i += TLK_W) {
        vecu sum = (vecu)vi_load(sums + i);
        for (int t = 0; t < TLK_BYTES_TERMS; t++)
            if (p->terms[t].lane != NULL)
                sum += (vecu)vi_set1(p->terms[t].row != NULL ? p->terms[t].row[row] : 1) *
                       (vecu)vi_load(p->terms[t].lane + lane + i);
        vecf x = vf_from_int((veci)sum) * (p->scale_lane_step != 0 ? vf_load(scale + i) : vf_set1(*scale));
        if (add != NULL)
            x = x + (p->add_lane_step != 0 ? vf_load(add + i) : vf_set1(*add));
        memcpy(c + i, &x, sizeof x);
    }
}

/* ---- One row, and bytes for quads. A shuffle within each 16 bytes of a vector makes quads of them for four lanes, and
 * of those 4, 8 and 12 further on for the next ones: four groups, whose sums are in order again when they are packed to
 * bytes, within each 16 as well. */

#define GROUPS 4

/* Quads of the lanes that each 16 bytes begin with. */
TLK_INLINE quads_b shuffle_bytes(const uint8_t *b, uint32_t quad)
{
#if defined TLK_ISA_PORTABLE
    uint8_t bytes[16];
    for (int i = 0; i < 16; i++, quad = quad >> 8 | quad << 24)
        bytes[i] = b[i / TLK_QUAD + (quad & 0xff)];
    return split_quads(vi_load((const int32_t *)(const void *)bytes));
#else
    const vecu from = quad + (vecu)(vi_iota() & 3) * 0x01010101;
#if defined TLK_ISA_AVX512
    return split_quads((veci)_mm512_shuffle_epi8(_mm512_loadu_si512(b), (__m512i)from));
#elif defined TLK_ISA_AVX2
    return split_quads((veci)_mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)b), (__m256i)from));
#else
    return split_quads((veci)vqtbl1q_u8(vld1q_u8(b), (uint8x16_t)from));
#endif
#endif
}

/* Sums of the row, of even quads and of odd ones, which need not wait for each other; and of the ones. */
typedef struct narrow_sums {
    veci row[2][GROUPS], ones[GROUPS];
} narrow_sums;

/* `count` quads, of which each one's bytes follow those of the one before: then a group's bytes are those of the next
 * group at the quad before, and are shuffled once. */
TLK_INLINE void add_quads(const uint8_t *b, uint32_t quad, const int32_t *a, const int32_t *ones, int count,
                          narrow_sums *sums)
{
    TLK_UNROLL
    for (int at = 0; at < count + GROUPS - 1; at++) {
        const quads_b quads = shuffle_bytes(b + at * TLK_QUAD, quad);
        TLK_UNROLL
        for (int g = 0; g < GROUPS; g++) {
            const int t = at - g;
            if (t < 0 || t >= count)
                continue;
            sums->row[t % 2][g] = multiply_add(a + t * WORDS, quads, sums->row[t % 2][g]);
            if (ones != NULL)
                sums->ones[g] = multiply_add(ones + t * WORDS, quads, sums->ones[g]);
        }
    }
}

TLK_LONG void multiply_narrow(const tlk_bytes *p, const int32_t *a, const int32_t *ones, const uint8_t *b, veci *sum)
{
#if defined TLK_ISA_PORTABLE
    enum { MANY = 1 };
#else
    enum { MANY = 4 };
#endif
    const int64_t *offsets = p->offsets;
    const int64_t taps = p->taps, follow = p->follow;
    const vecu start = (vecu)vi_set1(p->start != NULL ? *p->start : 0);
    narrow_sums sums;
    TLK_UNROLL
    for (int g = 0; g < GROUPS; g++)
        sums.row[0][g] = sums.row[1][g] = sums.ones[g] = (veci){0};
    for (int64_t t = 0, left = follow; t < taps;) {
        const int count = MANY > 1 && ones == NULL && left >= MANY ? MANY : 1;
        if (count > 1)
            add_quads(b + offsets[t], p->quad, a, NULL, MANY, &sums);
        else
            add_quads(b + offsets[t], p->quad, a, ones, 1, &sums);
        a += count * WORDS;
        ones += ones == NULL ? 0 : WORDS;
        t += count;
        left -= count;
        if (left == 0)
            left = follow;
    }
    TLK_UNROLL
    for (int g = 0; g < GROUPS; g++) {
        vecu x = start + (vecu)sums.row[0][g] + (vecu)sums.row[1][g];
        if (ones != NULL)
            x += (vecu)sums.ones[g] * (vecu)vi_set1(*p->terms[0].row);
        sum[g] = (veci)x;
    }
}

/* The sums in order. */
TLK_INLINE void order_sums(const veci *unordered, int32_t *to)
{
    veci sum[GROUPS]; /* the others may stay in registers */
    memcpy(sum, unordered, sizeof sum);
    for (int i = 0; i < TLK_VBYTES; i += 16)
        for (int g = 0; g < GROUPS; g++)
            memcpy((char *)to + GROUPS * i + g * 16, (const char *)&sum[g] + i, 16);
}

/* Lines fill vectors together; but not long ones in front of steps, which take each line by itself. */
static ONE_COPY void run_narrow(const tlk_bytes *p, const int32_t *a, int64_t lane, int64_t lane_end)
{
    enum { LANES = GROUPS * TLK_W };
    const size_t size = p->form == TLK_BYTES_BYTES ? 1 : sizeof(int32_t);
    const tlk_output output = output_of(p);
    const bool floats = p->form == TLK_BYTES_FLOATS;
    const bool steps = floats && p->steps.count > 0;
    const vecf scale = vf_set1(p->form == TLK_BYTES_SUMS ? 0 : *p->scale);
    const vecf add = vf_set1(floats && p->add != NULL ? *p->add : -0.0F);
    const float low = (float)(p->low - p->zero);
    const float high = (float)(p->high - p->zero);
    const int64_t width = p->width, pitch = p->pitch;
    const int64_t most = steps && width >= LANES / 4 * 3 ? 0 : LANES; /* that lines have together */
    int64_t line = lane > 0 ? lane / pitch : 0;
    int64_t inside = lane - line * pitch;
    while (lane < lane_end) {
        const int64_t count = MIN(MIN(LANES, lane_end - lane), MAX(most, width - inside));
        int32_t stage[LANES];
        char *to = (char *)p->c + (size_t)(line * width + inside) * size;
        const bool whole = !steps && MIN(count, width - inside) == LANES;
        veci sum[GROUPS];
        if (inside >= width) {
            lane += pitch - inside;
            inside = 0;
            line++;
            continue;
        }
        if (p->ones == NULL)
            multiply_narrow(p, a, NULL, (const uint8_t *)p->b + lane, sum);
        else
            multiply_narrow(p, a, p->ones, (const uint8_t *)p->b + lane, sum);
        if (p->form != TLK_BYTES_SUMS)
            TLK_UNROLL
        for (int g = 0; g < GROUPS; g++) {
            const vecf x = vf_from_int(sum[g]) * scale;
            sum[g] = floats ? (veci)(x + add) : ints_from_floats(x, low, high, p->zero);
        }
        if (p->form == TLK_BYTES_BYTES)
            bytes_pack(sum, whole ? to : (char *)stage);
        else
            order_sums(sum, whole ? (int32_t *)(void *)to : stage);
        lane += count;
        if (whole) {
            inside += LANES;
            continue;
        }
        for (int64_t at = 0; at < count;) {
            const int64_t n = MIN(count - at, width - inside), next = MIN(count - at, pitch - inside);
            const char *from = (const char *)stage + (size_t)at * size;
            const int64_t index = line * width + inside;
            float some[LANES];
            if (n > 0 && n < count && steps) /* what is behind the n is written over */
                finish_output(&output, memcpy(some, from, (size_t)(LANES - at) * size), LANES, 0, index, 1, (int)n);
            else if (n > 0 && steps)
                finish_output(&output, (float *)(void *)stage, LANES, 0, index, 1, (int)n);
            else if (n > 0)
                copy_some((char *)p->c + (size_t)index * size, from, (size_t)n * size);
            at += next;
            inside += next;
            if (inside == pitch) {
                inside = 0;
                line++;
            }
        }
    }
}

static void run(const tlk_bytes *p, const void *packed_a, int64_t block_begin, int64_t block_end, int64_t lane_begin,
                int64_t lane_end)
{
    int32_t sums[BLOCK * PANEL];
    panel_lanes lanes;
    if (p->narrow) {
        run_narrow(p, packed_a, lane_begin, lane_end);
        return;
    }
    for (int64_t i = block_begin; i < block_end; i++) {
        const int64_t row = i * BLOCK;
        const int64_t rows = MIN(BLOCK, p->rows - row);
        const int32_t *a = (const int32_t *)packed_a + row * p->depth * p->taps * WORDS;
        int32_t start[BLOCK] = {0};
        if (p->start != NULL)
            memcpy(start, p->start + row, (size_t)rows * sizeof *start);
        int64_t lane = lane_begin;
        if (rows == 1 && p->form == TLK_BYTES_FLOATS && p->steps.count == 0 && p->pitch >= p->lanes)
            for (; lane + PANEL <= lane_end; lane += PANEL) {
                multiply_1(p, a, (const uint32_t *)p->b + lane * p->b_lane_step, start, sums);
                finish_row(p, row, lane, sums);
            }
        lanes.line = lane / p->pitch;
        for (; lane < lane_end; lane += PANEL) {
            load_lanes(p, lane, (int)MIN(PANEL, lane_end - lane), &lanes);
            multiply_block(rows, lanes.count, p, a, (const uint32_t *)p->b + lane * p->b_lane_step, start, sums);
            finish_rows(p, row, rows, &lanes, sums);
        }
    }
}

const tlk_bytes_kernel TLK_FN(tlk_bytes) = {PANEL, BLOCK, packed_size, pack, quads, pack_panels, run};
