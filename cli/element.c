#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include "element.h"

/* How a small float is laid out. Those without infinities use their codes for numbers. */
typedef struct small_float {
    int exponent_bits, mantissa_bits, bias;
    enum { IEEE, FN, FNUZ, FINITE, SCALE } specials;
} small_float;

static const small_float *small_float_of(tl_type type)
{
    static const small_float layouts[TL_TYPE_COUNT] = {
        [TL_FLOAT16] = {5, 10, 15, IEEE},    [TL_BFLOAT16] = {8, 7, 127, IEEE},
        [TL_FLOAT8E4M3FN] = {4, 3, 7, FN},   [TL_FLOAT8E4M3FNUZ] = {4, 3, 8, FNUZ},
        [TL_FLOAT8E5M2] = {5, 2, 15, IEEE},  [TL_FLOAT8E5M2FNUZ] = {5, 2, 16, FNUZ},
        [TL_FLOAT4E2M1] = {2, 1, 1, FINITE}, [TL_FLOAT8E8M0] = {8, 0, 127, SCALE},
        [TL_FLOAT6E2M3] = {2, 3, 1, FINITE}, [TL_FLOAT6E3M2] = {3, 2, 3, FINITE},
    };
    return &layouts[type];
}

cli_class cli_type_class(tl_type type)
{
    switch (type) {
    case TL_FLOAT:
    case TL_DOUBLE:
    case TL_FLOAT16:
    case TL_BFLOAT16:
    case TL_FLOAT8E4M3FN:
    case TL_FLOAT8E4M3FNUZ:
    case TL_FLOAT8E5M2:
    case TL_FLOAT8E5M2FNUZ:
    case TL_FLOAT8E8M0:
    case TL_FLOAT4E2M1:
    case TL_FLOAT6E2M3:
    case TL_FLOAT6E3M2:
        return CLI_CLASS_FLOAT;
    case TL_INT8:
    case TL_INT16:
    case TL_INT32:
    case TL_INT64:
    case TL_INT4:
    case TL_INT2:
        return CLI_CLASS_SIGNED;
    case TL_UINT8:
    case TL_UINT16:
    case TL_UINT32:
    case TL_UINT64:
    case TL_UINT4:
    case TL_UINT2:
        return CLI_CLASS_UNSIGNED;
    case TL_BOOL:
        return CLI_CLASS_BOOL;
    case TL_COMPLEX64:
    case TL_COMPLEX128:
        return CLI_CLASS_COMPLEX;
    case TL_STRING:
        return CLI_CLASS_STRING;
    default:
        return CLI_CLASS_NONE;
    }
}

uint64_t cli_element_bits(tl_type type, const void *data, int64_t index)
{
    size_t bits = tl_type_bits(type);
    const unsigned char *bytes = data;
    if (bits < 8) {
        int64_t in_a_byte = (int64_t)(8 / bits);
        return (uint64_t)(bytes[index / in_a_byte] >> (bits * (size_t)(index % in_a_byte))) & ((1U << bits) - 1);
    }
    uint64_t value = 0;
    memcpy(&value, bytes + (size_t)index * (bits / 8), bits / 8);
    return value;
}

void cli_element_set_bits(tl_type type, void *data, int64_t index, uint64_t value)
{
    size_t bits = tl_type_bits(type);
    unsigned char *bytes = data;
    if (bits < 8) {
        int64_t in_a_byte = (int64_t)(8 / bits);
        size_t shift = bits * (size_t)(index % in_a_byte);
        unsigned mask = ((1U << bits) - 1) << shift;
        unsigned char *byte = &bytes[index / in_a_byte];
        *byte = (unsigned char)((*byte & ~mask) | ((unsigned)(value << shift) & mask));
        return;
    }
    memcpy(bytes + (size_t)index * (bits / 8), &value, bits / 8);
}

int64_t cli_element_signed(tl_type type, const void *data, int64_t index)
{
    size_t shift = 64 - tl_type_bits(type);
    return (int64_t)(cli_element_bits(type, data, index) << shift) >>
           shift; /* arithmetic on every compiler we build with */
}

static double small_float_value(const small_float *layout, uint64_t bits)
{
    int mantissa_bits = layout->mantissa_bits, exponent_bits = layout->exponent_bits;
    uint64_t mantissa = bits & ((1U << mantissa_bits) - 1);
    uint64_t most = (1U << exponent_bits) - 1, exponent = (bits >> mantissa_bits) & most;
    if (layout->specials == SCALE) /* only an exponent */
        return exponent == most ? NAN : ldexp(1, (int)exponent - layout->bias);
    uint64_t sign = bits >> (mantissa_bits + exponent_bits) & 1;
    if (layout->specials == FNUZ && sign && exponent == 0 && mantissa == 0)
        return NAN;
    if (layout->specials == FN && exponent == most && mantissa == (1U << mantissa_bits) - 1)
        return NAN;
    double value;
    if (layout->specials == IEEE && exponent == most)
        value = mantissa ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp((double)mantissa, 1 - layout->bias - mantissa_bits);
    else
        value = ldexp((double)(mantissa | 1U << mantissa_bits), (int)exponent - layout->bias - mantissa_bits);
    return sign ? -value : value;
}

double cli_element_real(tl_type type, const void *data, int64_t index)
{
    uint64_t bits = cli_element_bits(type, data, index);
    if (type == TL_FLOAT) {
        uint32_t low = (uint32_t)bits;
        float value;
        memcpy(&value, &low, sizeof value);
        return (double)value;
    }
    if (type == TL_DOUBLE) {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    return small_float_value(small_float_of(type), bits);
}

void cli_element_complex(tl_type type, const void *data, int64_t index, double parts[2])
{
    tl_type part = type == TL_COMPLEX64 ? TL_FLOAT : TL_DOUBLE;
    parts[0] = cli_element_real(part, data, 2 * index);
    parts[1] = cli_element_real(part, data, 2 * index + 1);
}

/* The bits of an IEEE-like half type, rounded to nearest, ties to even. */
static uint64_t small_float_bits(const small_float *layout, double value)
{
    int mantissa_bits = layout->mantissa_bits;
    uint64_t sign = signbit(value) ? 1U << (mantissa_bits + layout->exponent_bits) : 0;
    uint64_t infinity = (uint64_t)((1U << layout->exponent_bits) - 1) << mantissa_bits;
    value = fabs(value);
    if (isnan(value))
        return sign | infinity | infinity >> 1;
    if (isinf(value))
        return sign | infinity;
    int exponent;
    frexp(value, &exponent); /* value < 2^exponent */
    exponent = value == 0 || exponent < 2 - layout->bias ? 2 - layout->bias : exponent;
    int scale = mantissa_bits + 1 - exponent; /* to whole units of the last place */
    uint64_t units = (uint64_t)nearbyint(ldexp(value, scale));
    uint64_t bits = units + ((uint64_t)(exponent - 2 + layout->bias) << mantissa_bits);
    return sign | (bits < infinity ? bits : infinity);
}

void cli_element_set_real(tl_type type, void *data, int64_t index, double value)
{
    uint64_t bits = 0;
    if (type == TL_FLOAT) {
        float narrow = (float)value;
        uint32_t low;
        memcpy(&low, &narrow, sizeof low);
        bits = low;
    } else if (type == TL_DOUBLE) {
        memcpy(&bits, &value, sizeof bits);
    } else {
        bits = small_float_bits(small_float_of(type), value);
    }
    cli_element_set_bits(type, data, index, bits);
}

uint64_t cli_element_ulps(tl_type type, const void *a, const void *b, int64_t index)
{
    if (type != TL_FLOAT && type != TL_DOUBLE && type != TL_FLOAT16 && type != TL_BFLOAT16)
        return UINT64_MAX;
    if (isnan(cli_element_real(type, a, index)) || isnan(cli_element_real(type, b, index)))
        return UINT64_MAX;
    uint64_t top = (uint64_t)1 << (tl_type_bits(type) - 1);
    uint64_t x = cli_element_bits(type, a, index), y = cli_element_bits(type, b, index);
    uint64_t magnitude_x = x & (top - 1), magnitude_y = y & (top - 1);
    if ((x & top) != (y & top))
        return magnitude_x + magnitude_y;
    return magnitude_x > magnitude_y ? magnitude_x - magnitude_y : magnitude_y - magnitude_x;
}

char *cli_quote(const char *bytes, size_t count, char *buffer, size_t size)
{
    size_t used = 0;
    if (size < 8) {
        if (size)
            buffer[0] = 0;
        return buffer;
    }
    buffer[used++] = '"';
    for (size_t k = 0; k < count; k++) {
        unsigned char c = (unsigned char)bytes[k];
        if (used + 8 > size) { /* room for an escape, the dots and the end */
            memcpy(buffer + used, "...", 3);
            used += 3;
            break;
        }
        if (c == '"' || c == '\\') {
            buffer[used++] = '\\';
            buffer[used++] = (char)c;
        } else if (c < ' ' || c == 127) {
            used += (size_t)snprintf(buffer + used, size - used, "\\x%02x", c);
        } else {
            buffer[used++] = (char)c;
        }
    }
    buffer[used++] = '"';
    buffer[used] = 0;
    return buffer;
}

static int digits_of(tl_type type, bool exact)
{
    if (!exact)
        return 6;
    return type == TL_DOUBLE || type == TL_COMPLEX128 ? 17 : type == TL_FLOAT || type == TL_COMPLEX64 ? 9 : 5;
}

char *cli_element_text(tl_type type, const void *data, int64_t index, bool exact, char *buffer, size_t size)
{
    int digits = digits_of(type, exact);
    double parts[2];
    tl_string string;
    if (size)
        buffer[0] = 0;
    switch (cli_type_class(type)) {
    case CLI_CLASS_FLOAT:
        parts[0] = cli_element_real(type, data, index);
        if (isnan(parts[0])) /* printf may show its sign */
            snprintf(buffer, size, "nan");
        else
            snprintf(buffer, size, "%.*g", digits, parts[0]);
        break;
    case CLI_CLASS_SIGNED:
        snprintf(buffer, size, "%" PRId64, cli_element_signed(type, data, index));
        break;
    case CLI_CLASS_UNSIGNED:
        snprintf(buffer, size, "%" PRIu64, cli_element_bits(type, data, index));
        break;
    case CLI_CLASS_BOOL:
        snprintf(buffer, size, "%s", cli_element_bits(type, data, index) ? "true" : "false");
        break;
    case CLI_CLASS_COMPLEX:
        cli_element_complex(type, data, index, parts);
        snprintf(buffer, size, "%.*g%+.*gi", digits, parts[0], digits, parts[1]);
        break;
    case CLI_CLASS_STRING:
        memcpy(&string, (const char *)data + (size_t)index * sizeof string, sizeof string);
        cli_quote(string.data, string.size, buffer, size);
        break;
    case CLI_CLASS_NONE:
        break;
    }
    return buffer;
}

/* splitmix64 (Steele, Lea, Flood 2014): one addition and a mix, good enough for test data. */
uint64_t cli_random_bits(cli_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double random_unit(cli_random *random)
{
    return ldexp((double)(cli_random_bits(random) >> 11), -52) - 1;
}

/* A code of a float of 8 bits or less whose value is within [-1, 1]. */
static uint64_t random_small_float(cli_random *random, tl_type type)
{
    const small_float *layout = small_float_of(type);
    int code_bits = layout->exponent_bits + layout->mantissa_bits + (layout->specials != SCALE);
    for (;;) {
        uint64_t bits = cli_random_bits(random) & ((1U << code_bits) - 1);
        double value = small_float_value(layout, bits);
        if (fabs(value) <= 1) /* false for NaN */
            return bits;
    }
}

void cli_random_fill(cli_random *random, tl_type type, void *data, int64_t count)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    cli_class class = cli_type_class(type);
    for (int64_t i = 0; i < count; i++) {
        if (class == CLI_CLASS_STRING) {
            tl_string string = {&letters[cli_random_bits(random) % 26], 1};
            memcpy((char *)data + (size_t)i * sizeof string, &string, sizeof string);
        } else if (class == CLI_CLASS_COMPLEX) {
            tl_type part = type == TL_COMPLEX64 ? TL_FLOAT : TL_DOUBLE;
            cli_element_set_real(part, data, 2 * i, random_unit(random));
            cli_element_set_real(part, data, 2 * i + 1, random_unit(random));
        } else if (class == CLI_CLASS_FLOAT && tl_type_bits(type) > 8) {
            cli_element_set_real(type, data, i, random_unit(random));
        } else if (class == CLI_CLASS_FLOAT) {
            cli_element_set_bits(type, data, i, random_small_float(random, type));
        } else {
            cli_element_set_bits(type, data, i, cli_random_bits(random) & 1);
        }
    }
}
