/* Products of bytes: blocks of at most BLOCK rows of A against PANEL lanes of B. */
#include "kernels/bytes.h"

#include "kernels/check.h"
#include "kernels/isa.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

#define VECTORS 2
#define PANEL   (VECTORS * TLK_W)
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
TLK_INLINE quads_b load_quads(const uint32_t *b)
{
    return vi_load((const int32_t *)b);
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
TLK_INLINE quads_b load_quads(const uint32_t *b)
{
    const vecus quads = (vecus)vi_load((const int32_t *)b);
    return (quads_b){(vecs)(quads & 0xff), (vecs)(quads >> 8)};
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
    const size_t bytes =
        tlk_size_mul(tlk_size_mul(tlk_size_round_up((size_t)rows, BLOCK), quads), WORDS * sizeof(int32_t));
    return bytes > INT64_MAX ? SIZE_MAX : bytes;
}

static void pack(const tlk_bytes_left *a, int64_t begin, int64_t end, void *packed, int32_t *sums)
{
    const int64_t quads = (a->depth + TLK_QUAD - 1) / TLK_QUAD;
    const uint32_t flip = a->is_signed ? 0 : 0x80808080;
    for (int64_t row = begin * BLOCK; row < MIN(end * BLOCK, a->rows); row++) {
        const int64_t first = row / BLOCK * BLOCK;
        const int64_t width = padded(MIN(BLOCK, a->rows - first));
        int32_t *to = (int32_t *)packed + (first * quads * a->taps + (row - first)) * WORDS;
        uint32_t sum = 0;
        for (int64_t t = 0; t < a->taps; t++) {
            const uint8_t *from = (const uint8_t *)a->data + row * a->row_step + t * a->tap_step;
            for (int64_t k = 0; k < a->depth; k += TLK_QUAD, to += width * WORDS) {
                const int64_t count = MIN(TLK_QUAD, a->depth - k);
                uint8_t bytes[TLK_QUAD] = {0};
                uint32_t quad;
                if (a->step == 1 && count == TLK_QUAD) {
                    quad = load_quad(from + k) ^ flip;
                } else {
                    for (int64_t i = 0; i < count; i++)
                        bytes[i] = (uint8_t)(from[(k + i) * a->step] ^ (flip & 0xff));
                    quad = load_quad(bytes);
                }
                store_quad(quad, to);
                for (int i = 0; sums != NULL && i < TLK_QUAD; i++)
                    sum += (uint32_t)(int8_t)(quad >> (8 * i));
            }
        }
        if (sums != NULL)
            sums[row] = (int32_t)sum;
    }
    /* Rows that pad the last block. */
    const int64_t first = a->rows / BLOCK * BLOCK;
    const int64_t rows = a->rows - first;
    if (end * BLOCK <= a->rows || rows == padded(rows))
        return;
    for (int64_t q = 0; q < quads * a->taps; q++)
        memset((int32_t *)packed + (first * quads * a->taps + q * padded(rows) + rows) * WORDS, 0,
               (size_t)(padded(rows) - rows) * WORDS * sizeof(int32_t));
}

static void quads(const uint8_t *const rows[TLK_QUAD], int count, bool is_signed, int64_t step, int64_t n, uint32_t *to)
{
    const uint32_t mask = (uint32_t)((UINT64_C(1) << (8 * count)) - 1);
    const uint32_t flip = is_signed ? 0x80808080 : 0;
    const uint8_t *restrict a = rows[0];
    const uint8_t *restrict b = rows[count > 1 ? 1 : 0];
    const uint8_t *restrict c = rows[count > 2 ? 2 : 0];
    const uint8_t *restrict d = rows[count > 3 ? 3 : 0];
    uint32_t *restrict y = to;
#define QUAD(i) (a[i] | (uint32_t)b[i] << 8 | (uint32_t)c[i] << 16 | (uint32_t)d[i] << 24)
    if (step == 1)
        for (int64_t i = 0; i < n; i++)
            y[i] = (QUAD(i) ^ flip) & mask;
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = (QUAD(i * step) ^ flip) & mask;
#undef QUAD
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

/* Few rows would wait for their sums: they have `phases` of them, which are added at the end. */
TLK_INLINE void multiply(int rows, int phases, const tlk_bytes *p, const int32_t *a, const uint32_t *b,
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
                for (int v = 0; v < VECTORS; v++)
                    columns[v] = load_quads(at + f * p->b_step + v * TLK_W);
                TLK_UNROLL
                for (int r = 0; r < rows; r++)
                    TLK_UNROLL
                for (int v = 0; v < VECTORS; v++) {
                    veci *to = f == 0 ? &sum[r][v] : &phase[f - 1][r][v];
                    *to = multiply_add(a + (f * rows + r) * WORDS, columns[v], *to);
                }
            }
        }
        for (; phases > 1 && q > 0; q--, a += rows * WORDS, at += p->b_step)
            TLK_UNROLL
        for (int r = 0; r < rows; r++)
            TLK_UNROLL
        for (int v = 0; v < VECTORS; v++)
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

#define INSTANCE(rows, phases)                                                                        \
    static TLK_NOINLINE void multiply_##rows(const tlk_bytes *p, const int32_t *a, const uint32_t *b, \
                                             const int32_t *start, int32_t *y)                        \
    {                                                                                                 \
        multiply(rows, phases, p, a, b, start, y);                                                    \
    }
INSTANCE(1, 4)
INSTANCE(2, 2)
INSTANCE(4, 1)
#if BLOCK >= 8
INSTANCE(8, 1)
#endif
#if BLOCK == 12
INSTANCE(12, 1)
#endif

static void multiply_block(int64_t rows, const tlk_bytes *p, const int32_t *a, const uint32_t *b, const int32_t *start,
                           int32_t *y)
{
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
        multiply_12(p, a, b, start, y);
        break;
#endif
    default:
        multiply_4(p, a, b, start, y);
        break;
    }
}

/* ---- What comes out */

typedef int32_t vec_half __attribute__((vector_size(TLK_VBYTES / 2)));

/* What the lanes of a panel bring with them, as whole panels; and where they go: runs of neighbours. */
typedef struct panel_lanes {
    int64_t lane;
    int count;
    const int32_t *terms[TLK_BYTES_TERMS]; /* NULL: no such term */
    const void *scale;                     /* NULL: one for each row */
    int32_t padded_terms[TLK_BYTES_TERMS][PANEL];
    double padded_scale[PANEL];
    int runs;
    struct {
        int begin, end;
        int64_t to;
    } run[PANEL];
} panel_lanes;

static const void *whole_panel(const void *from, int64_t lane, int count, size_t size, void *padded)
{
    if (from == NULL || count == PANEL)
        return from == NULL ? NULL : (const char *)from + (size_t)lane * size;
    memset(padded, 0, PANEL * size);
    return memcpy(padded, (const char *)from + (size_t)lane * size, (size_t)count * size);
}

static void load_lanes(const tlk_bytes *p, int64_t lane, int count, panel_lanes *lanes)
{
    lanes->lane = lane;
    lanes->count = count;
    for (int t = 0; t < TLK_BYTES_TERMS; t++)
        lanes->terms[t] = whole_panel(p->terms[t].lane, lane, count, sizeof(int32_t), lanes->padded_terms[t]);
    lanes->scale = whole_panel(p->scale_lane_step != 0 ? p->scale : NULL, lane, count,
                               p->form == TLK_BYTES_FLOATS ? sizeof(float) : sizeof(double), lanes->padded_scale);
    lanes->runs = 0;
    int64_t line = lane < p->pitch ? 0 : lane / p->pitch;
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
}

static void to_floats(const tlk_bytes *p, int64_t row, const panel_lanes *lanes, int32_t *sums)
{
    const float *add = p->add == NULL ? NULL : p->add + row * p->add_row_step + lanes->lane;
    for (int i = 0; i < PANEL; i += TLK_W) {
        const vecf scale = lanes->scale != NULL ? vf_load((const float *)lanes->scale + i)
                                                : vf_set1(((const float *)p->scale)[row * p->scale_row_step]);
        vecf x = vf_from_int(vi_load(sums + i)) * scale;
        if (add != NULL && i < lanes->count)
            x = x + vf_load_n(add + i, MIN(TLK_W, lanes->count - i));
        memcpy(sums + i, &x, sizeof x);
    }
}

/* The larger one; NaN in x gives the bound. */
TLK_INLINE vecd more(vecd x, vecd bound)
{
#if defined TLK_ISA_NEON
    return vd_select(x > bound, x, bound);
#else
    return vd_max(x, bound);
#endif
}

/* At the front of the sums. */
static void to_bytes(const tlk_bytes *p, int64_t row, const panel_lanes *lanes, int32_t *sums)
{
    const double magic = 6755399441055744; /* 1.5 * 2^52: adding it leaves the whole number in the lowest bits */
    const vecd low = vd_set1(p->low - p->zero);
    const vecd high = vd_set1(p->high - p->zero);
    uint8_t bytes[PANEL];
    for (int i = 0; i < PANEL; i += TLK_WD) {
        vec_half numbers;
        memcpy(&numbers, sums + i, sizeof numbers);
        const vecd scale = lanes->scale != NULL ? vd_load((const double *)lanes->scale + i)
                                                : vd_set1(((const double *)p->scale)[row * p->scale_row_step]);
        const vecd x = __builtin_convertvector(numbers, vecd) * scale;
        const vecd held = vd_min(high, more(x, low));
        numbers = __builtin_convertvector((vecl)(held + vd_set1(magic)), vec_half) + p->zero;
        memcpy(sums + i, &numbers, sizeof numbers);
    }
    for (int j = 0; j < PANEL; j++)
        bytes[j] = (uint8_t)sums[j];
    memcpy(sums, bytes, sizeof bytes);
}

static void finish_row(const tlk_bytes *p, int64_t row, const panel_lanes *lanes, int32_t *sums)
{
    for (int t = 0; t < TLK_BYTES_TERMS; t++) {
        if (lanes->terms[t] == NULL)
            continue;
        const vecu factor = (vecu)vi_set1(p->terms[t].row != NULL ? p->terms[t].row[row] : 1);
        for (int v = 0; v < VECTORS; v++) {
            const vecu sum = (vecu)vi_load(sums + v * TLK_W) + factor * (vecu)vi_load(lanes->terms[t] + v * TLK_W);
            vi_store(sums + v * TLK_W, (veci)sum);
        }
    }
    if (p->form == TLK_BYTES_FLOATS)
        to_floats(p, row, lanes, sums);
    if (p->form == TLK_BYTES_BYTES)
        to_bytes(p, row, lanes, sums);
    const size_t size = p->form == TLK_BYTES_BYTES ? 1 : sizeof(int32_t);
    char *c = (char *)p->c + (size_t)(row * p->c_row_step) * size;
    for (int i = 0; i < lanes->runs; i++) {
        const int begin = lanes->run[i].begin;
        char *to = c + (size_t)lanes->run[i].to * size;
        if (lanes->run[i].end - begin < PANEL)
            memcpy(to, (char *)sums + (size_t)begin * size, (size_t)(lanes->run[i].end - begin) * size);
        else if (size == 1)
            memcpy(to, sums, PANEL);
        else
            memcpy(to, sums, PANEL * sizeof *sums);
    }
}

static void run(const tlk_bytes *p, const void *packed_a, int64_t block_begin, int64_t block_end, int64_t lane_begin,
                int64_t lane_end)
{
    int32_t sums[BLOCK * PANEL];
    panel_lanes lanes;
    for (int64_t i = block_begin; i < block_end; i++) {
        const int64_t row = i * BLOCK;
        const int64_t rows = MIN(BLOCK, p->rows - row);
        const int32_t *a = (const int32_t *)packed_a + row * p->depth * p->taps * WORDS;
        int32_t start[BLOCK] = {0};
        if (p->start != NULL)
            memcpy(start, p->start + row, (size_t)rows * sizeof *start);
        for (int64_t lane = lane_begin; lane < lane_end; lane += PANEL) {
            load_lanes(p, lane, (int)MIN(PANEL, lane_end - lane), &lanes);
            multiply_block(rows, p, a, p->b + lane * p->b_lane_step, start, sums);
            for (int64_t r = 0; r < rows; r++)
                finish_row(p, row + r, &lanes, sums + r * PANEL);
        }
    }
}

const tlk_bytes_kernel TLK_FN(tlk_bytes) = {PANEL, BLOCK, packed_size, pack, quads, pack_panels, run};
