/* Functions of many floats at once: the functions of vmath.h, two-operand arithmetic, softmax. */
#include <math.h>

#include "kernels/isa.h"
#include "kernels/vbytes.h"
#include "kernels/vmath.h"

/* Elements ahead at which data are asked for: far enough for a page that is not in the TLB. */
#define AHEAD 512

/* Of whole vectors */
#define MAP(expression)                           \
    do {                                          \
        for (int64_t i = 0; i < n; i += TLK_W) {  \
            const vecf v = vf_load(x + i);        \
            __builtin_prefetch(x + i + AHEAD);    \
            __builtin_prefetch(y + i + AHEAD, 1); \
            vf_store(y + i, expression);          \
        }                                         \
    } while (0)

/* Tails go through the same instructions as whole vectors, so that a result does not depend on where it lies. */
#define WITH_TAIL(function, what)                          \
    do {                                                   \
        const int left = (int)(n % TLK_W);                 \
        float tail[TLK_W];                                 \
        function(what, x, y, n - left);                    \
        if (left > 0) {                                    \
            vf_store(tail, vf_load_n(x + n - left, left)); \
            function(what, tail, tail, TLK_W);             \
            vf_store_n(y + n - left, vf_load(tail), left); \
        }                                                  \
    } while (0)

static TLK_NOINLINE void unary(tlk_unary function, const float *x, float *y, int64_t n)
{
    switch (function) {
    case TLK_ABS:
        MAP(vf_abs(v));
        break;
    case TLK_NEG:
        MAP(-v);
        break;
    case TLK_SQRT:
        MAP(vf_sqrt(v));
        break;
    case TLK_RECIPROCAL:
        MAP(1.0F / v);
        break;
    case TLK_FLOOR:
        MAP(vf_floor(v));
        break;
    case TLK_CEIL:
        MAP(vf_ceil(v));
        break;
    case TLK_ROUND:
        MAP(vf_round(v));
        break;
    case TLK_EXP:
        MAP(vf_exp(v));
        break;
    case TLK_EXPM1:
        MAP(vf_expm1(v));
        break;
    case TLK_LOG:
        MAP(vf_log(v));
        break;
    case TLK_ERF:
        MAP(vf_erf(v));
        break;
    case TLK_ATAN:
        MAP(vf_atan(v));
        break;
    case TLK_ASIN:
        MAP(vf_asin(v, 0));
        break;
    case TLK_ACOS:
        MAP(vf_asin(v, 1));
        break;
    }
}

void TLK_FN(tlk_unary)(tlk_unary function, const float *x, float *y, int64_t n)
{
    WITH_TAIL(unary, function);
}

#define ACTIVATE(kind)                   \
    case kind:                           \
        MAP(vf_activate(kind, a, b, v)); \
        break

static TLK_NOINLINE void activate(const tlk_activation *activation, const float *x, float *y, int64_t n)
{
    const float a = (float)activation->a;
    const float b = (float)activation->b;
    switch (activation->kind) {
        ACTIVATE(TLK_LINEAR);
        ACTIVATE(TLK_RELU);
        ACTIVATE(TLK_CLIP);
        ACTIVATE(TLK_LEAKY_RELU);
        ACTIVATE(TLK_HARD_SIGMOID);
        ACTIVATE(TLK_HARD_SWISH);
        ACTIVATE(TLK_ELU);
        ACTIVATE(TLK_SELU);
        ACTIVATE(TLK_GELU);
        ACTIVATE(TLK_GELU_TANH);
        ACTIVATE(TLK_MISH);
        ACTIVATE(TLK_SIGMOID);
        ACTIVATE(TLK_SOFTPLUS);
        ACTIVATE(TLK_SOFTSIGN);
        ACTIVATE(TLK_SWISH);
        ACTIVATE(TLK_TANH);
    case TLK_EXPONENTIAL:
        unary(TLK_EXP, x, y, n);
        break;
    }
}

void TLK_FN(tlk_activate)(const tlk_activation *activation, const float *x, float *y, int64_t n)
{
    WITH_TAIL(activate, activation);
}

/* ---- two operands ---- */

TLK_INLINE vecf less_or_nan(vecf a, vecf b)
{
    return vf_select((a < b) | (a != a), a, b);
}
TLK_INLINE vecf more_or_nan(vecf a, vecf b)
{
    return vf_select((a > b) | (a != a), a, b);
}

/* A row; an operand that stands still is a vector of itself. */
#define BINARY(expression)                                                               \
    do {                                                                                 \
        for (; i + TLK_W <= n; i += TLK_W, first += first_step, second += second_step) { \
            const vecf u = vf_load(first);                                               \
            const vecf v = vf_load(second);                                              \
            vf_store(y + i, expression);                                                 \
        }                                                                                \
        if (i < n) {                                                                     \
            const int rest = (int)(n - i);                                               \
            const vecf u = vf_load_n(first, rest);                                       \
            const vecf v = vf_load_n(second, rest);                                      \
            vf_store_n(y + i, expression, rest);                                         \
        }                                                                                \
    } while (0)

void TLK_FN(tlk_binary_rows)(tlk_binary function, const float *a, int64_t a_row_step, int a_step, const float *b,
                             int64_t b_row_step, int b_step, float *y, int64_t rows, int64_t n)
{
    const int64_t first_step = a_step ? TLK_W : 0;
    const int64_t second_step = b_step ? TLK_W : 0;
    float one_a[TLK_W];
    float one_b[TLK_W];
    for (int64_t r = 0; n > 0 && r < rows; r++, a += a_row_step, b += b_row_step, y += n) {
        const float *first = a_step ? a : one_a;
        const float *second = b_step ? b : one_b;
        int64_t i = 0;
        if (!a_step)
            vf_store(one_a, vf_set1(*a));
        if (!b_step)
            vf_store(one_b, vf_set1(*b));
        switch (function) {
        case TLK_ADD:
            BINARY(u + v);
            break;
        case TLK_SUB:
            BINARY(u - v);
            break;
        case TLK_MUL:
            BINARY(u * v);
            break;
        case TLK_DIV:
            BINARY(u / v);
            break;
        case TLK_MIN:
            BINARY(less_or_nan(u, v));
            break;
        case TLK_MAX:
            BINARY(more_or_nan(u, v));
            break;
        case TLK_PRELU:
            BINARY(vf_select(u < 0.0F, u * v, u));
            break;
        }
    }
}

void TLK_FN(tlk_binary)(tlk_binary function, const float *a, int a_step, const float *b, int b_step, float *y,
                        int64_t n)
{
    TLK_FN(tlk_binary_rows)(function, a, 0, a_step, b, 0, b_step, y, 1, n);
}

/* ---- recurrence ---- */

#define GATE(g) (vf_load_n(state + (g)*step + k, left) + vf_load_n(x + (g)*step + k, left))

void TLK_FN(tlk_lstm)(const float *state, const float *x, int64_t step, float *cell, float *h, int64_t n)
{
    for (int64_t k = 0; k < n; k += TLK_W) {
        const int left = n - k < TLK_W ? (int)(n - k) : TLK_W;
        const vecf i = vf_sigmoid(GATE(0));
        const vecf o = vf_sigmoid(GATE(1));
        const vecf f = vf_sigmoid(GATE(2));
        const vecf candidate = vf_tanh(GATE(3));
        const vecf c = vf_fma(f, vf_load_n(cell + k, left), i * candidate);
        vf_store_n(cell + k, c, left);
        vf_store_n(h + k, o * vf_tanh(c), left);
    }
}

void TLK_FN(tlk_gru)(tlk_gru part, const float *state, const float *hidden, const float *bias, const float *x,
                     int64_t step, const float *h, float *next, int64_t n)
{
    for (int64_t k = 0; k < n; k += TLK_W) {
        const int left = n - k < TLK_W ? (int)(n - k) : TLK_W;
        const vecf old = vf_load_n(h + k, left);
        const vecf r = part == TLK_GRU_AFTER_RESET ? vf_set1(1.0F) : vf_sigmoid(GATE(1));
        vecf result = r * old;
        if (part != TLK_GRU_RESET) {
            const vecf z = vf_sigmoid(GATE(0));
            const vecf sum = vf_load_n(hidden + k, left) + (bias ? vf_load_n(bias + k, left) : vf_zero());
            const vecf candidate = vf_tanh(vf_fma(r, sum, vf_load_n(x + 2 * step + k, left)));
            result = vf_fma(z, old - candidate, candidate);
        }
        vf_store_n(next + k, result, left);
    }
}

/* ---- functions that leave rare arguments to the C library ---- */

/* Of the lanes that are not `usual`, from the arguments at `u` and `v`. */
static TLK_NOINLINE vecf unusual(float (*function)(float, float), vecf u, vecf v, veci usual, vecf result)
{
    for (int i = 0; i < TLK_W; i++)
        if (!usual[i])
            result[i] = function(u[i], v[i]);
    return result;
}

/* Of finite numbers, the base not zero. */
TLK_INLINE vecf power(vecf base, vecf exponent)
{
    const vecf a = vf_abs(base);
    const vecf p = vf_from_halves(vd_power(vd_from_low(a), vd_from_low(exponent)),
                                  vd_power(vd_from_high(a), vd_from_high(exponent)));
    /* from 2^24 on, all floats are even numbers */
    const vecf held = vf_min(vf_set1(0x1p24f), vf_max(vf_set1(-0x1p24f), exponent));
    const veci whole = vf_to_int(held);
    const vecf negative = (vecf)((vecu)p ^ (vecu)whole << 31);
    return vf_select(base < 0.0F, vf_select(vf_from_int(whole) == held, negative, vf_set1(__builtin_nanf(""))), p);
}

void TLK_FN(tlk_power)(const float *a, int a_step, const float *b, int b_step, float *y, int64_t n)
{
    const vecf one_a = vf_set1(n > 0 ? a[0] : 1.0F);
    const vecf one_b = vf_set1(n > 0 ? b[0] : 1.0F);
    const vecf inf = vf_set1(__builtin_inff());
    for (int64_t i = 0; i < n; i += TLK_W) {
        const int left = n - i < TLK_W ? (int)(n - i) : TLK_W;
        const vecf u = a_step ? vf_load_n(a + i, left) : one_a;
        const vecf v = b_step ? vf_load_n(b + i, left) : one_b;
        const veci usual = ((u != 0.0F) & (vf_abs(u) < inf) & (vf_abs(v) < inf)) | (vi_iota() >= left);
        vecf result = power(u, v);
        if (vf_any_nan((vecf)~usual))
            result = unusual(powf, u, v, usual, result);
        result = vf_select(v == 2.0F, u * u, vf_select(v == 3.0F, u * u * u, result));
        vf_store_n(y + i, result, left);
    }
}

static float sine_of(float x, float cosine)
{
    return cosine > 0.0F ? cosf(x) : sinf(x);
}

void TLK_FN(tlk_sine)(const float *x, float *y, int64_t n, int cosine)
{
    for (int64_t i = 0; i < n; i += TLK_W) {
        const int left = n - i < TLK_W ? (int)(n - i) : TLK_W;
        const vecf v = vf_load_n(x + i, left);
        const veci usual = vf_abs(v) <= 0x1p19f;
        vecf result = vf_from_halves(vd_sine(vd_from_low(v), cosine), vd_sine(vd_from_high(v), cosine));
        if (vf_any_nan((vecf)~usual))
            result = unusual(sine_of, v, vf_set1((float)cosine), usual, result);
        vf_store_n(y + i, result, left);
    }
}

/* ---- quantized numbers ---- */

/* x / scale, as far as rounding it to a whole number below 2^17 can tell: with all scales, the floats were tried that
 * lie next to where the quotient would be rounded to the middle between two whole numbers. It takes a multiply-add that
 * rounds once. */
TLK_INLINE vecf quotient(vecf x, vecf scale, vecf inverse)
{
    const vecf product = x * inverse;
    return vf_fma(vf_fma(-product, scale, x), inverse, product);
}

/* Where the vector for elements i and behind begins: the last one goes over elements that are done. */
TLK_INLINE int64_t vector_at(int64_t i, int64_t n)
{
    return i + TLK_W < n || n < TLK_W ? i : n - TLK_W;
}

/* A constant size. */
TLK_INLINE void quantize(const float *x, char *y, int64_t size, int64_t n, float scale, int32_t zero, int32_t low,
                         int32_t high)
{
    const int usual = TLK_HAS_FMA && scale > 0x1p-100F && scale < 0x1p100F;
    const float unit = usual ? scale : 1;
    const vecf bottom = vf_set1((float)(low - zero) * unit);
    const vecf top = vf_set1((float)(high - zero) * unit);
    const vecf inverse = vf_set1(1 / scale);
    for (int64_t i = 0; i < n; i += TLK_W) {
        const int64_t at = vector_at(i, n);
        vecf v = n < TLK_W ? vf_load_n(x, (int)n) : vf_load(x + at);
        if (!usual)
            v = v / scale;
        v = vf_min(top, vf_at_least(v, bottom));
        if (usual)
            v = quotient(v, vf_set1(scale), inverse);
        const veci whole = vf_to_int(v) + zero;
        const vecb bytes = bytes_narrow(whole);
        const vech shorts = vh_narrow(whole & 0xffff);
        if (n < TLK_W)
            memcpy(y, size == 1 ? (const void *)&bytes : &shorts, (size_t)(n * size));
        else
            memcpy(y + at * size, size == 1 ? (const void *)&bytes : &shorts, (size_t)(TLK_W * size));
    }
}

void TLK_FN(tlk_quantize)(const float *x, void *y, int size, int64_t n, float scale, int32_t zero, int32_t low,
                          int32_t high)
{
    if (size == 1)
        quantize(x, y, 1, n, scale, zero, low, high);
    else
        quantize(x, y, 2, n, scale, zero, low, high);
}

/* Integers of a constant size. */
TLK_INLINE veci widen(const char *x, int64_t size, int is_signed)
{
    vecb bytes;
    if (size == 4)
        return vi_load((const int32_t *)(const void *)x);
    if (size == 2) {
        const int sign = is_signed ? 16 : 0;
        return vh_widen(vh_load((const uint16_t *)(const void *)x)) << sign >> sign;
    }
    memcpy(&bytes, x, sizeof bytes);
    return bytes_widen(bytes, is_signed);
}

/* What is written over the end of a row, the next one writes again. */
TLK_INLINE void dequantize(const char *x, int64_t size, int is_signed, float *y, int64_t n, int64_t row,
                           const float *scale, const float *zero)
{
    for (int64_t first = 0; first < n; first += row) {
        const int64_t end = row < n - first ? first + row : n;
        const vecf factor = vf_set1(*scale++);
        const vecf shift = vf_set1(*zero++);
        for (int64_t i = first; i < end; i += TLK_W) {
            char few[TLK_VBYTES];
            const int left = n - i < TLK_W ? (int)(n - i) : TLK_W;
            const char *from = x + i * size;
            if (left < TLK_W)
                from = memcpy(few, from, (size_t)(left * size));
            const vecf v = (vf_from_int(widen(from, size, is_signed)) - shift) * factor;
            if (left < TLK_W)
                vf_store_n(y + i, v, left);
            else
                vf_store(y + i, v);
        }
    }
}

void TLK_FN(tlk_dequantize)(const void *x, int size, int is_signed, float *y, int64_t n, int64_t row,
                            const float *scale, const float *zero)
{
    if (size == 1 && is_signed)
        dequantize(x, 1, 1, y, n, row, scale, zero);
    else if (size == 1)
        dequantize(x, 1, 0, y, n, row, scale, zero);
    else if (size == 2)
        dequantize(x, 2, is_signed, y, n, row, scale, zero);
    else
        dequantize(x, 4, 1, y, n, row, scale, zero);
}

#if defined TLK_ISA_AVX512
/* Of 32 bytes as 16 bits each. An instruction chooses from two vectors of 16 bits by 6 bits; the table's 256 bytes are
 * 128 times 16 bits. */
TLK_INLINE __m512i look_up_words(const __m512i table[4], __m512i x)
{
    const __m512i pair = _mm512_srli_epi16(x, 1);
    const __m512i low = _mm512_permutex2var_epi16(table[0], pair, table[1]);
    const __m512i high = _mm512_permutex2var_epi16(table[2], pair, table[3]);
    const __m512i both = _mm512_mask_blend_epi16(_mm512_test_epi16_mask(x, _mm512_set1_epi16(0x80)), low, high);
    const __m512i odd = _mm512_and_si512(_mm512_slli_epi16(x, 3), _mm512_set1_epi16(8));
    return _mm512_and_si512(_mm512_srlv_epi16(both, odd), _mm512_set1_epi16(0xff));
}

/* Of 64 bytes. */
TLK_INLINE __m512i look_up(const __m512i table[4], __m512i x)
{
    const __m512i even = look_up_words(table, _mm512_and_si512(x, _mm512_set1_epi16(0xff)));
    const __m512i odd = look_up_words(table, _mm512_srli_epi16(x, 8));
    return _mm512_or_si512(even, _mm512_slli_epi16(odd, 8));
}

static void lookup_row(const uint8_t *table, const uint8_t *x, int64_t n, uint8_t *y)
{
    __m512i vectors[4];
    for (int v = 0; v < 4; v++)
        vectors[v] = _mm512_loadu_si512(table + v * 64);
    int64_t i = 0;
    for (; i + 64 <= n; i += 64)
        _mm512_storeu_si512(y + i, look_up(vectors, _mm512_loadu_si512(x + i)));
    const __mmask64 rest = i < n ? UINT64_MAX >> (64 - (n - i)) : 0;
    _mm512_mask_storeu_epi8(y + i, rest, look_up(vectors, _mm512_maskz_loadu_epi8(rest, x + i)));
}
#endif

void TLK_FN(tlk_lookup)(const uint8_t *restrict table, const uint8_t *restrict x, int64_t rows, int64_t n,
                        uint8_t *restrict y, int64_t y_row_step)
{
    for (int64_t r = 0; r < rows; r++, x += n, y += y_row_step) {
#if defined TLK_ISA_AVX512
        if (n >= 16) {
            lookup_row(table, x, n, y);
            continue;
        }
#endif
#pragma GCC unroll 8
        for (int64_t i = 0; i < n; i++) {
            int found = table[x[i]];
            TLK_IN_POINTER(found); /* or vectors would be put together byte by byte */
            y[i] = (uint8_t)found;
        }
    }
}

void TLK_FN(tlk_extremes)(const float *x, int64_t n, float *low, float *high)
{
    vecf lows[4] = {vf_zero()};
    vecf highs[4] = {vf_zero()};
    int64_t i = 0;
    for (; i + 4 * TLK_W <= n; i += 4 * TLK_W)
        TLK_UNROLL
    for (int k = 0; k < 4; k++) {
        lows[k] = vf_at_most(vf_load(x + i + k * TLK_W), lows[k]);
        highs[k] = vf_at_least(vf_load(x + i + k * TLK_W), highs[k]);
    }
    for (; i < n; i += TLK_W) {
        const vecf v = vf_load_n(x + i, n - i < TLK_W ? (int)(n - i) : TLK_W);
        lows[0] = vf_at_most(v, lows[0]);
        highs[0] = vf_at_least(v, highs[0]);
    }
    for (int k = 1; k < 4; k++) {
        lows[0] = vf_min(lows[0], lows[k]);
        highs[0] = vf_max(highs[0], highs[k]);
    }
    *low = vf_hmin(lows[0]);
    *high = vf_hmax(highs[0]);
}

/* ---- whole numbers ---- */

int TLK_FN(tlk_truncate)(const float *x, int32_t *y, int64_t n)
{
    veci outside = vi_set1(0);
    for (int64_t i = 0; i < n; i += TLK_W) {
        const int left = n - i < TLK_W ? (int)(n - i) : TLK_W;
        const vecf v = left == TLK_W ? vf_load(x + i) : vf_load_n(x + i, left);
        const vecf held = vf_max(vf_set1(-0x1p31F), vf_min(vf_set1(0x1.fffffep30F), v));
        const veci whole = __builtin_convertvector(held, veci);
        outside |= held != v;
        if (left == TLK_W)
            memcpy(y + i, &whole, sizeof whole);
        else
            memcpy(y + i, &whole, (size_t)left * sizeof *y);
    }
    return !vf_any_nan((vecf)outside);
}

/* ---- softmax: exp(x - max) / sum, so that nothing overflows ---- */

#define LOAD(p)     (whole ? vf_load(p) : vf_load_n((p), width))
#define STORE(p, v) (whole ? vf_store((p), (v)) : vf_store_n((p), (v), width))

/* Columns column..column + width */
TLK_INLINE void softmax_columns(const float *x, float *y, int64_t n, int64_t stride, int whole, int width,
                                int logarithm)
{
    vecf top = vf_set1(-__builtin_inff());
    for (int64_t i = 0; i < n; i++)
        top = more_or_nan(top, LOAD(x + i * stride));
    vecf sum = vf_zero();
    for (int64_t i = 0; i < n; i++) {
        const vecf e = vf_exp(LOAD(x + i * stride) - top);
        sum = sum + e;
        if (!logarithm)
            STORE(y + i * stride, e);
    }
    const vecf shift = vf_log(sum);
    const vecf scale = 1.0F / sum;
    for (int64_t i = 0; i < n; i++) {
        if (logarithm)
            STORE(y + i * stride, (LOAD(x + i * stride) - top) - shift);
        else
            STORE(y + i * stride, LOAD(y + i * stride) * scale);
    }
}

void TLK_FN(tlk_softmax_strided)(const float *x, float *y, int64_t n, int64_t stride, int64_t columns, int logarithm)
{
    int64_t column = 0;
    for (; column + TLK_W <= columns; column += TLK_W)
        softmax_columns(x + column, y + column, n, stride, 1, TLK_W, logarithm);
    if (column < columns)
        softmax_columns(x + column, y + column, n, stride, 0, (int)(columns - column), logarithm);
}
