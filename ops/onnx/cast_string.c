#include <stdio.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "onnx/cast.h"
#include "onnx/tensor.h"

/* ---- Numbers to text */

/* Whether a double, rounded to a type, is `exact`, which is a number of that type. */
static bool gives_back(tl_type type, double x, double exact)
{
    if (type == TL_DOUBLE)
        return x == exact;
    if (type == TL_FLOAT)
        return (float)x == (float)exact;
    if (type == TL_FLOAT16 || type == TL_BFLOAT16) {
        const float f[2] = {op_odd_float(x), (float)exact};
        uint16_t half[2];
        (type == TL_FLOAT16 ? tlk_get()->f32_to_f16 : tlk_get()->f32_to_bf16)(f, half, 2);
        return half[0] == half[1];
    }
    return op_encode_small(type, x, true, OP_ROUND_NEAREST) == op_encode_small(type, exact, true, OP_ROUND_NEAREST);
}

static size_t put(char *text, size_t at, const char *from, size_t n)
{
    memcpy(text + at, from, n);
    return at + n;
}
static size_t zeros(char *text, size_t at, int n)
{
    for (int i = 0; i < n; i++)
        text[at++] = '0';
    return at;
}

/* The digits of d.ddde+x as a plain number, or with an exponent if that were long. */
static size_t layout_digits(const char *digits, size_t count, int exponent, char *text, size_t at)
{
    if (exponent < -4 || exponent >= 16) {
        at = put(text, at, digits, 1);
        if (count > 1) {
            at = put(text, at, ".", 1);
            at = put(text, at, digits + 1, count - 1);
        }
        return at + (size_t)snprintf(text + at, OP_TEXT_SIZE - at, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    }
    if (exponent < 0) {
        at = put(text, at, "0.", 2);
        at = zeros(text, at, -exponent - 1);
        return put(text, at, digits, count);
    }
    const size_t whole = (size_t)exponent + 1;
    if (count <= whole) {
        at = put(text, at, digits, count);
        at = zeros(text, at, (int)(whole - count));
        return put(text, at, ".0", 2);
    }
    at = put(text, at, digits, whole);
    at = put(text, at, ".", 1);
    return put(text, at, digits + whole, count - whole);
}

static size_t real_text(tl_type type, double x, char *text)
{
    if (x != x)
        return put(text, 0, "NaN", 3);
    if (isinf(x))
        return x < 0.0 ? put(text, 0, "-INF", 4) : put(text, 0, "INF", 3);
    char scientific[OP_TEXT_SIZE];
    for (int precision = 0; precision <= 17; precision++) {
        snprintf(scientific, sizeof scientific, "%.*e", precision, fabs(x));
        if (gives_back(type, strtod(scientific, NULL), fabs(x)))
            break;
    }
    char digits[OP_TEXT_SIZE];
    size_t count = 0;
    const char *p = scientific;
    for (; *p && *p != 'e'; p++) /* what separates the fraction is a matter of the locale */
        if (*p >= '0' && *p <= '9')
            digits[count++] = *p;
    const int exponent = *p ? (int)strtol(p + 1, NULL, 10) : 0;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return layout_digits(digits, count, exponent, text, signbit(x) ? put(text, 0, "-", 1) : 0);
}

size_t op_number_text(tl_type type, const tl_tensor *tensor, int64_t i, char *text)
{
    op_block block;
    const void *value = op_load_block(type, tensor->data, i, 1, &block);
    if (type == TL_BOOL)
        return *(const int64_t *)value ? put(text, 0, "True", 4) : put(text, 0, "False", 5);
    switch (op_domain_of(type)) {
    case OP_F32:
        return real_text(type, (double)*(const float *)value, text);
    case OP_F64:
        return real_text(type, *(const double *)value, text);
    case OP_U64:
        return (size_t)snprintf(text, OP_TEXT_SIZE, "%llu", (unsigned long long)*(const uint64_t *)value);
    default:
        return (size_t)snprintf(text, OP_TEXT_SIZE, "%lld", (long long)*(const int64_t *)value);
    }
}

/* ---- Text to numbers */

static bool same_word(const char *text, size_t size, const char *word)
{
    if (size != strlen(word))
        return false;
    for (size_t i = 0; i < size; i++)
        if ((text[i] | 0x20) != word[i])
            return false;
    return true;
}

static bool word_number(const char *text, size_t size, double *real)
{
    if (same_word(text, size, "inf") || same_word(text, size, "infinity"))
        *real = INFINITY;
    else if (same_word(text, size, "nan"))
        *real = NAN;
    else if (same_word(text, size, "true"))
        *real = 1.0;
    else if (same_word(text, size, "false"))
        *real = 0.0;
    else
        return false;
    return true;
}

#define MOST_DIGITS 800 /* more cannot matter, beyond whether they are all 0 */

/* What has been read of a decimal number. */
typedef struct decimal {
    char digits[MOST_DIGITS + 32]; /* without leading zeros */
    size_t count;
    int64_t exponent; /* of 10, for the digits as a whole number */
    bool any, plain;  /* there was a digit; there was neither point nor exponent */
} decimal;

static void add_digit(decimal *d, char digit, bool fraction)
{
    d->any = true;
    if (d->count == 0 && digit == '0') {
        d->exponent -= fraction;
        return;
    }
    if (d->count < MOST_DIGITS) {
        d->digits[d->count++] = digit;
        d->exponent -= fraction;
    } else {
        d->exponent += !fraction;
        if (digit != '0')
            d->digits[MOST_DIGITS - 1] = '1';
    }
}

/* Reads [digits][.digits][e[sign]digits] up to `end`. */
static bool read_decimal(const char *p, const char *end, decimal *d)
{
    bool fraction = false;
    d->count = 0;
    d->exponent = 0;
    d->any = false;
    d->plain = true;
    for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !fraction)); p++) {
        if (*p == '.') {
            fraction = true;
            d->plain = false;
        } else {
            add_digit(d, *p, fraction);
        }
    }
    if (!d->any)
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        d->plain = false;
        p++;
        const bool negative = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        if (p == end)
            return false;
        int64_t exponent = 0;
        for (; p < end && *p >= '0' && *p <= '9'; p++)
            exponent = exponent < 1000000 ? exponent * 10 + (*p - '0') : exponent;
        d->exponent += negative ? -exponent : exponent;
    }
    return p == end;
}

/* Modulo 2^64 beyond the range. */
static uint64_t plain_integer(const decimal *d)
{
    uint64_t n = 0;
    for (size_t i = 0; i < d->count; i++)
        n = n * 10 + (uint64_t)(d->digits[i] - '0');
    return n;
}

bool op_text_number(tl_string text, double *real, uint64_t *integer)
{
    const char *p = text.data, *end = text.size ? text.data + text.size : text.data;
    while (p < end && op_is_space(*p))
        p++;
    while (p < end && op_is_space(end[-1]))
        end--;
    if (p == end)
        return false;
    const bool negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    decimal d;
    if (word_number(p, (size_t)(end - p), real)) {
        *real = negative ? -*real : *real;
        *integer = (uint64_t)op_to_int64(*real);
        return true;
    }
    if (!read_decimal(p, end, &d))
        return false;
    /* without a point the text means the same in every locale */
    const int64_t exponent = d.exponent < -100000 ? -100000 : d.exponent > 100000 ? 100000 : d.exponent;
    if (d.count == 0)
        d.digits[d.count++] = '0';
    snprintf(d.digits + d.count, 32, "e%lld", (long long)exponent);
    const double magnitude = strtod(d.digits, NULL);
    *real = negative ? -magnitude : magnitude;
    if (d.plain)
        *integer = negative ? 0 - plain_integer(&d) : plain_integer(&d);
    else
        *integer = negative ? (uint64_t)op_to_int64(*real) : op_to_uint64(*real);
    return true;
}
