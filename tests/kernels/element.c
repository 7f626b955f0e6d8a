#include "element.h"

#include <math.h>
#include <stdlib.h>

#include "common/half.h"

size_t element_size(tlk_type type)
{
    return type == TLK_F32 ? 4 : type == TLK_F64 ? 8 : 2;
}

double element_get(tlk_type type, const void *data, int64_t i)
{
    switch (type) {
    case TLK_F32:
        return ((const float *)data)[i];
    case TLK_F64:
        return ((const double *)data)[i];
    case TLK_F16:
        return half_value(((const uint16_t *)data)[i], 5, 10);
    default:
        return half_value(((const uint16_t *)data)[i], 8, 7);
    }
}

void element_set(tlk_type type, void *data, int64_t i, double x)
{
    switch (type) {
    case TLK_F32:
        ((float *)data)[i] = (float)x;
        break;
    case TLK_F64:
        ((double *)data)[i] = x;
        break;
    case TLK_F16:
        ((uint16_t *)data)[i] = half_bits(x, 5, 10);
        break;
    default:
        ((uint16_t *)data)[i] = half_bits(x, 8, 7);
        break;
    }
}

double element_ulp(tlk_type type, double x)
{
    static const int digits[] = {[TLK_F32] = 23, [TLK_F64] = 52, [TLK_F16] = 10, [TLK_BF16] = 7};
    int exponent = 0;
    frexp(x, &exponent);
    return ldexp(1.0, (exponent < -13 ? -13 : exponent) - 1 - digits[type]);
}

const char *element_name(tlk_type type)
{
    static const char *const names[] = {[TLK_F32] = "f32", [TLK_F64] = "f64", [TLK_F16] = "f16", [TLK_BF16] = "bf16"};
    return names[type];
}

wanted *new_wanted(int64_t n)
{
    wanted *want = malloc((size_t)(n + 1) * sizeof *want);
    if (want == NULL)
        abort();
    return want;
}

int64_t first_wrong(tlk_type type, const void *data, const wanted *want, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double got = element_get(type, data, i);
        if (!(got == want[i].value || fabs(got - want[i].value) <= want[i].allowed))
            return i;
    }
    return -1;
}

static uint32_t random_bits(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

double random_number(uint32_t *state)
{
    return ((double)(random_bits(state) % 65) - 32) / 16;
}

int64_t random_below(uint32_t *state, int64_t limit)
{
    return (int64_t)(random_bits(state) % (uint32_t)limit);
}

guarded filled(tlk_type type, int64_t n, int before, uint32_t *state)
{
    guarded memory = guarded_alloc((size_t)n * element_size(type), before);
    for (int64_t i = 0; i < n; i++)
        element_set(type, memory.data, i, random_number(state));
    return memory;
}
