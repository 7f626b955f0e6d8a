#include "tensors.h"

const tl_type sized_types[5] = {TL_BOOL, TL_FLOAT16, TL_FLOAT, TL_INT64, TL_STRING};

size_t element_size(tl_type type)
{
    tl_tensor one = {.type = type};
    return fake_bytes(&one);
}

tl_tensor random_bytes(tl_type type, int32_t rank, const int64_t *dims)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog and back again, time after time after time";
    tl_tensor tensor = new_tensor(type, rank, dims);
    int64_t n = elements(&tensor);
    for (int64_t i = 0; i < n; i++) {
        if (type == TL_STRING)
            ((tl_string *)tensor.data)[i] =
                (tl_string){text + random_int(0, 70), (size_t)random_int(0, (int64_t)sizeof text - 72)};
        else if (type == TL_BOOL)
            ((uint8_t *)tensor.data)[i] = random_bits() & 1;
        else
            for (size_t k = 0; k < element_size(type); k++)
                ((uint8_t *)tensor.data)[(size_t)i * element_size(type) + k] = (uint8_t)random_bits();
    }
    return tensor;
}

tl_tensor int64_list(int64_t count, const int64_t *values)
{
    tl_tensor list = new_tensor(TL_INT64, 1, &count);
    if (count > 0)
        memcpy(list.data, values, (size_t)count * sizeof values[0]);
    return list;
}

tl_tensor int64_scalar(int64_t value)
{
    tl_tensor scalar = new_tensor(TL_INT64, 0, NULL);
    *(int64_t *)scalar.data = value;
    return scalar;
}

tl_tensor float_list(int64_t count, const float *values)
{
    tl_tensor list = new_tensor(TL_FLOAT, 1, &count);
    memcpy(list.data, values, (size_t)count * sizeof values[0]);
    return list;
}

void coordinates(const tl_tensor *tensor, int64_t i, int64_t *at)
{
    for (int32_t k = tensor->rank - 1; k >= 0; k--) {
        at[k] = i % tensor->dims[k];
        i /= tensor->dims[k];
    }
}

int64_t index_of(const tl_tensor *tensor, const int64_t *at)
{
    int64_t i = 0;
    for (int32_t k = 0; k < tensor->rank; k++)
        i = i * tensor->dims[k] + at[k];
    return i;
}

bool same_element(const tl_tensor *a, int64_t i, const tl_tensor *b, int64_t k)
{
    static const uint8_t zero[16];
    size_t size = element_size(a->type);
    const uint8_t *left = (const uint8_t *)a->data + (size_t)i * size;
    return memcmp(left, k < 0 ? zero : (const uint8_t *)b->data + (size_t)k * size, size) == 0;
}

void random_dims(int32_t rank, int64_t low, int64_t high, int64_t *dims)
{
    for (int32_t i = 0; i < rank; i++)
        dims[i] = random_int(low, high);
}

fake_case new_case(const tl_operator *op, const fake_attribute *attributes, size_t attribute_count,
                   const tl_tensor *const *inputs, size_t input_count)
{
    fake_case test = {.op = op,
                      .attributes = attributes,
                      .attribute_count = attribute_count,
                      .input_count = input_count,
                      .constant = UINT64_MAX};
    for (size_t k = 0; k < input_count; k++)
        test.inputs[k] = inputs[k];
    return test;
}
