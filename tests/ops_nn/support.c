#include "support.h"

#include <math.h>
#include <string.h>

static uint32_t generator = 1;

void random_seed(uint32_t seed)
{
    generator = seed * 2654435761U + 1;
}

uint32_t random_bits(void)
{
    generator ^= generator << 13;
    generator ^= generator >> 17;
    generator ^= generator << 5;
    return generator;
}

int64_t random_int(int64_t low, int64_t high)
{
    return low + (int64_t)(random_bits() % (uint32_t)(high - low + 1));
}

double random_real(void)
{
    return (double)random_int(-64, 63) / 64.0;
}

tl_tensor new_tensor(tl_type type, int32_t rank, const int64_t *dims)
{
    tl_tensor tensor = {.type = type, .rank = rank};
    for (int32_t i = 0; i < rank; i++)
        tensor.dims[i] = dims[i];
    size_t bytes = fake_bytes(&tensor);
    tensor.data = calloc(1, bytes ? bytes : 1);
    ck_assert_ptr_nonnull(tensor.data);
    return tensor;
}

tl_tensor random_tensor(tl_type type, int32_t rank, const int64_t *dims)
{
    tl_tensor tensor = new_tensor(type, rank, dims);
    bool real = (TL_T(type) & TL_T_FLOATS) != 0, is_signed = (TL_T(type) & TL_T_SIGNED) != 0;
    for (int64_t i = 0; i < elements(&tensor); i++)
        set(&tensor, i, real ? random_real() : (double)random_int(is_signed ? -100 : 0, 100));
    return tensor;
}

void free_tensor(tl_tensor *tensor)
{
    free(tensor->data);
    tensor->data = NULL;
}

int64_t elements(const tl_tensor *tensor)
{
    int64_t n = 1;
    for (int32_t i = 0; i < tensor->rank; i++)
        n *= tensor->dims[i];
    return n;
}

double get(const tl_tensor *tensor, int64_t i)
{
    switch (tensor->type) {
    case TL_FLOAT:
        return ((const float *)tensor->data)[i];
    case TL_DOUBLE:
        return ((const double *)tensor->data)[i];
    case TL_FLOAT16:
        return half_value(((const uint16_t *)tensor->data)[i], 5, 10);
    case TL_BFLOAT16:
        return half_value(((const uint16_t *)tensor->data)[i], 8, 7);
    case TL_INT8:
        return ((const int8_t *)tensor->data)[i];
    case TL_UINT8:
    case TL_BOOL:
        return ((const uint8_t *)tensor->data)[i];
    case TL_INT16:
        return ((const int16_t *)tensor->data)[i];
    case TL_UINT16:
        return ((const uint16_t *)tensor->data)[i];
    case TL_INT32:
        return ((const int32_t *)tensor->data)[i];
    case TL_UINT32:
        return ((const uint32_t *)tensor->data)[i];
    case TL_INT64:
        return (double)((const int64_t *)tensor->data)[i];
    case TL_UINT64:
        return (double)((const uint64_t *)tensor->data)[i];
    default:
        ck_abort_msg("no such type in the tests: %d", tensor->type);
        return 0;
    }
}

void set(tl_tensor *tensor, int64_t i, double value)
{
    switch (tensor->type) {
    case TL_FLOAT:
        ((float *)tensor->data)[i] = (float)value;
        break;
    case TL_DOUBLE:
        ((double *)tensor->data)[i] = value;
        break;
    case TL_FLOAT16:
        ((uint16_t *)tensor->data)[i] = half_bits(value, 5, 10);
        break;
    case TL_BFLOAT16:
        ((uint16_t *)tensor->data)[i] = half_bits(value, 8, 7);
        break;
    case TL_INT8:
        ((int8_t *)tensor->data)[i] = (int8_t)value;
        break;
    case TL_UINT8:
    case TL_BOOL:
        ((uint8_t *)tensor->data)[i] = (uint8_t)value;
        break;
    case TL_INT16:
        ((int16_t *)tensor->data)[i] = (int16_t)value;
        break;
    case TL_UINT16:
        ((uint16_t *)tensor->data)[i] = (uint16_t)value;
        break;
    case TL_INT32:
        ((int32_t *)tensor->data)[i] = (int32_t)value;
        break;
    case TL_UINT32:
        ((uint32_t *)tensor->data)[i] = (uint32_t)value;
        break;
    case TL_INT64:
        ((int64_t *)tensor->data)[i] = (int64_t)value;
        break;
    case TL_UINT64:
        ((uint64_t *)tensor->data)[i] = (uint64_t)value;
        break;
    default:
        ck_abort_msg("no such type in the tests: %d", tensor->type);
    }
}

double tolerance(tl_type type)
{
    switch (type) {
    case TL_FLOAT:
        return 2e-6;
    case TL_DOUBLE:
        return 1e-13;
    case TL_FLOAT16:
        return 6e-4;
    case TL_BFLOAT16:
        return 5e-3;
    default:
        return 0;
    }
}

void assert_near(const tl_tensor *result, const double *want, double scale, const char *what)
{
    double allowed = tolerance(result->type);
    for (int64_t i = 0; i < elements(result); i++) {
        double have = get(result, i);
        if ((isnan(have) && isnan(want[i])) || have == want[i])
            continue;
        ck_assert_msg(fabs(have - want[i]) <= allowed * (scale + fabs(want[i])),
                      "%s (type %d): element %lld is %.9g, but the reference says %.9g", what, result->type,
                      (long long)i, have, want[i]);
    }
}

void assert_shape(const tl_tensor *result, int32_t rank, const int64_t *dims)
{
    ck_assert_int_eq(result->rank, rank);
    for (int32_t i = 0; i < rank; i++)
        ck_assert_msg(result->dims[i] == dims[i], "dimension %d is %lld, not %lld", i, (long long)result->dims[i],
                      (long long)dims[i]);
}

void run_ok(fake_case *test)
{
    tl_status status = fake_run(test);
    ck_assert_msg(status == TL_OK, "%s failed with %d: %s", test->op->name, status, test->message);
}

void run_fails(fake_case *test, tl_status status, const char *text)
{
    tl_status got = fake_run(test);
    ck_assert_msg(got == status, "%s gave status %d, not %d: %s", test->op->name, got, status, test->message);
    ck_assert_msg(!text || strstr(test->message, text), "the message '%s' lacks '%s'", test->message, text);
    if (got == TL_OK)
        fake_free(test);
}
