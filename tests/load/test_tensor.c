/* Tensors: every element type in every field against numpy (data/, by make_models.py), and every rule broken. */
#include <stdio.h>
#include <string.h>
#include "support.h"

/* A model with one initializer, "w", of the given fields. */
static message model_of_tensor(const message *tensor)
{
    message copy = node("Add", NULL, "x w", "y");
    message graph = graph_of(&copy, 1);
    put_message(&graph, 5, tensor);
    return model_of(&graph);
}

static message tensor_of(int type, const int64_t *dims, size_t rank)
{
    message m = {.size = 0};
    put_tensor(&m, "w", type, dims, rank);
    return m;
}

static void refused(const message *tensor, tl_status status, const char *words)
{
    message m = model_of_tensor(tensor);
    load_refused(&m, status, words);
    ck_assert_ptr_nonnull(strstr(test_error.message, "initializer 'w'"));
}

static void accepted(const message *tensor)
{
    message m = model_of_tensor(tensor);
    tl_model_free(load_good(&m));
}

static tl_value *value_of(const tl_model *model, const char *type, const char *how)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", type, how);
    tl_value *value = tl_graph_find(model->graph, name);
    ck_assert_msg(value != NULL, "%s is missing", name);
    ck_assert_ptr_nonnull(tl_value_data(value));
    return value;
}

START_TEST(reads_what_numpy_reads)
{
    tl_model *model;
    tl_status status = tl_load_file(NULL, NULL, "data/tensors.onnx", NULL, &model, &test_error);
    ck_assert_msg(status == TL_OK, "%s", test_error.message);
    size_t types = 0;
    for (int type = 1; type < TL_TYPE_COUNT; type++) {
        if (type == TL_STRING)
            continue;
        const char *name = tl_type_name((tl_type)type);
        tl_value *bytes = value_of(model, name, "bytes");
        const char *const stored[] = {"typed", "raw"};
        for (size_t k = 0; k < 2; k++) {
            tl_value *value = value_of(model, name, stored[k]);
            ck_assert_int_eq(value->tensor.type, type);
            ck_assert_int_eq(value->tensor.rank, 2);
            ck_assert_int_eq(value->tensor.dims[0], 3);
            ck_assert_int_eq(value->tensor.dims[1], 5);
            ck_assert_int_eq(tl_tensor_bytes(&value->tensor), bytes->tensor.dims[0]);
            ck_assert_msg(memcmp(tl_value_data(value), tl_value_data(bytes), (size_t)bytes->tensor.dims[0]) == 0,
                          "%s.%s differs", name, stored[k]);
        }
        types++;
    }
    ck_assert_uint_eq(types, 27);
    tl_model_free(model);
}
END_TEST

START_TEST(reads_strings_scalars_and_empty_tensors)
{
    tl_model *model;
    ck_assert_int_eq(tl_load_file(NULL, NULL, "data/tensors.onnx", NULL, &model, &test_error), TL_OK);
    const tl_value *empty = tl_graph_find(model->graph, "empty");
    ck_assert_int_eq(tl_tensor_elements(&empty->tensor), 0);
    ck_assert_int_eq(empty->tensor.dims[1], 7);
    tl_value *scalar = tl_graph_find(model->graph, "scalar");
    ck_assert_int_eq(scalar->tensor.rank, 0);
    ck_assert(*(const float *)tl_value_data(scalar) == 2.5f);
    tl_value *value = tl_graph_find(model->graph, "strings");
    const tl_string *strings = tl_value_data(value);
    ck_assert_uint_eq(strings[0].size, 0);
    ck_assert_mem_eq(strings[1].data, "plain", 5);
    ck_assert_uint_eq(strings[2].size, 13);
    ck_assert_mem_eq(strings[2].data, "with \0 inside", 13);
    ck_assert_uint_eq(strings[3].size, 8);
    tl_model_free(model);
}
END_TEST

START_TEST(keeps_raw_data_in_the_file)
{
    tl_model *model;
    ck_assert_int_eq(tl_load_file(NULL, NULL, "data/tensors.onnx", NULL, &model, &test_error), TL_OK);
    const tl_mapping *file = model->mappings;
    const tl_constant *raw = tl_graph_find(model->graph, "float.raw")->constant;
    const uint8_t *at = raw->source;
    ck_assert(at >= (const uint8_t *)file->data && at + raw->bytes <= (const uint8_t *)file->data + file->size);
    ck_assert(raw->mapped);
    ck_assert(!tl_graph_find(model->graph, "float.typed")->constant->mapped);
    tl_model_free(model);
}
END_TEST

START_TEST(makes_sparse_tensors_dense)
{
    tl_model *model;
    ck_assert_int_eq(tl_load_file(NULL, NULL, "data/sparse.onnx", NULL, &model, &test_error), TL_OK);
    const char *const names[] = {"pairs", "flat"};
    for (size_t k = 0; k < 2; k++) {
        tl_value *value = tl_graph_find(model->graph, names[k]), *bytes = value_of(model, names[k], "bytes");
        ck_assert_int_eq(value->tensor.type, TL_FLOAT);
        ck_assert_int_eq(value->tensor.dims[0], 3);
        ck_assert_int_eq(value->tensor.dims[1], 4);
        ck_assert_mem_eq(tl_value_data(value), tl_value_data(bytes), 48);
    }
    tl_model_free(model);
}
END_TEST

START_TEST(refuses_wrong_sizes)
{
    const int64_t dims[] = {2, 2};
    const uint8_t bytes[32] = {0};
    for (size_t size = 0; size < sizeof bytes; size++) {
        message m = tensor_of(TL_FLOAT, dims, 2);
        put_blob(&m, 9, bytes, size);
        if (size == 16)
            accepted(&m);
        else
            refused(&m, TL_INVALID_MODEL, "take");
    }
    for (size_t count = 0; count < 8; count++) {
        message m = tensor_of(TL_FLOAT, dims, 2);
        put_blob(&m, 4, bytes, 4 * count);
        if (count == 4)
            accepted(&m);
        else
            refused(&m, TL_INVALID_MODEL, "float_data");
    }
    message packed = tensor_of(TL_INT4, (const int64_t[]){3}, 1); /* three elements, two bytes */
    put_int(&packed, 5, 7);
    refused(&packed, TL_INVALID_MODEL, "1 entries in int32_data where type and shape take 2");
}
END_TEST

/* Four in three bytes, the first in the lowest bits: any count, and no other size. What is behind the last means
 * nothing. */
START_TEST(unpacks_six_bits)
{
    static const uint8_t packed[] = {0x81, 0x30, 0x10, 0xc5, 0x71, 0xf4, 0xff};
    static const uint8_t elements[] = {1, 2, 3, 4, 5, 7, 7, 61, 63};
    for (int64_t n = 0; n <= 9; n++)
        for (size_t size = 0; size <= sizeof packed; size++) {
            message m = tensor_of(n % 2 ? TL_FLOAT6E2M3 : TL_FLOAT6E3M2, &n, 1);
            put_blob(&m, 9, packed, size);
            if (size != (size_t)(6 * n + 7) / 8) {
                refused(&m, TL_INVALID_MODEL, "where type and shape take");
                continue;
            }
            message whole = model_of_tensor(&m);
            tl_model *model = load_good(&whole);
            const tl_value *value = tl_graph_find(model->graph, "w");
            ck_assert_int_eq(tl_tensor_bytes(&value->tensor), n);
            if (n)
                ck_assert_mem_eq(value->constant->source, elements, (size_t)n);
            tl_model_free(model);
        }
    message typed = tensor_of(TL_FLOAT6E3M2, (const int64_t[]){3}, 1); /* an entry for each */
    put_blob(&typed, 5, "\x3f\0", 2);
    refused(&typed, TL_INVALID_MODEL, "2 entries in int32_data where type and shape take 3");
}
END_TEST

START_TEST(refuses_bad_dimensions)
{
    message negative = tensor_of(TL_FLOAT, (const int64_t[]){2, -1}, 2);
    refused(&negative, TL_INVALID_MODEL, "dimension 1 is -1");
    message overflow = tensor_of(TL_FLOAT, (const int64_t[]){INT64_C(1) << 32, INT64_C(1) << 32}, 2);
    refused(&overflow, TL_INVALID_MODEL, "overflows");
    message bytes_overflow = tensor_of(TL_DOUBLE, (const int64_t[]){INT64_MAX / 4}, 1);
    refused(&bytes_overflow, TL_INVALID_MODEL, "overflows");
    message wraps = tensor_of(TL_FLOAT, (const int64_t[]){INT64_C(1) << 62, 4, 4}, 3); /* 2^64 * 4: 0 when wrapped */
    refused(&wraps, TL_INVALID_MODEL, "overflows");
    message big = tensor_of(TL_FLOAT, (const int64_t[]){INT64_C(1) << 40}, 1);
    refused(&big, TL_NO_MEMORY, "more than the limit");
    message rank = tensor_of(TL_FLOAT, (const int64_t[17]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 17);
    put_float(&rank, 4, 1);
    refused(&rank, TL_UNSUPPORTED, "rank 17");
    message empty = tensor_of(TL_FLOAT, (const int64_t[]){1 << 14, 0, 1 << 14}, 3);
    accepted(&empty);
    message endless = tensor_of(TL_FLOAT, (const int64_t[]){1 << 15, 0, 1 << 14}, 3);
    refused(&endless, TL_INVALID_MODEL, "overflows");
}
END_TEST

START_TEST(refuses_bad_types)
{
    const int64_t dims[] = {1};
    const int bad[] = {0, -1, 29, INT32_MAX, INT32_MIN};
    for (size_t k = 0; k < TL_COUNT(bad); k++) {
        message m = tensor_of(bad[k], dims, 1);
        put_blob(&m, 9, "1234", 4);
        refused(&m, TL_INVALID_MODEL, "is no element type");
    }
    message segment = tensor_of(TL_FLOAT, dims, 1), range = {.size = 0};
    put_int(&range, 1, 0);
    put_message(&segment, 3, &range);
    refused(&segment, TL_UNSUPPORTED, "segments");
}
END_TEST

START_TEST(refuses_wrong_fields)
{
    const int64_t dims[] = {1};
    for (int type = 1; type < TL_TYPE_COUNT; type++) {
        const unsigned fields[] = {4, 5, 6, 7, 10, 11};
        size_t fitting = 0;
        for (size_t k = 0; k < TL_COUNT(fields); k++) {
            message m = tensor_of(type, dims, 1);
            if (fields[k] == 4)
                put_blob(&m, 4, "\0\0\0\0\0\0\0", type == TL_COMPLEX64 ? 8 : 4);
            else if (fields[k] == 10)
                put_blob(&m, 10, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", type == TL_COMPLEX128 ? 16 : 8);
            else if (fields[k] == 6)
                put_blob(&m, 6, "s", 1);
            else
                put_int(&m, fields[k], 1);
            message model = model_of_tensor(&m);
            tl_model *loaded = load_message(&model);
            fitting += loaded != NULL;
            if (!loaded)
                ck_assert_ptr_nonnull(strstr(test_error.message, "elements in"));
            tl_model_free(loaded);
        }
        ck_assert_uint_eq(fitting, 1);
    }
    message both = tensor_of(TL_FLOAT, dims, 1);
    put_blob(&both, 9, "1234", 4);
    put_float(&both, 4, 1);
    refused(&both, TL_INVALID_MODEL, "elements both in raw_data and in float_data");
    message raw_string = tensor_of(TL_STRING, dims, 1);
    put_blob(&raw_string, 9, "1234567890123456", 16);
    refused(&raw_string, TL_INVALID_MODEL, "strings cannot be raw_data");
    message location = tensor_of(TL_FLOAT, dims, 1);
    put_blob(&location, 9, "1234", 4);
    put_int(&location, 14, 2);
    refused(&location, TL_INVALID_MODEL, "2 is no data_location");
}
END_TEST

START_TEST(refuses_values_out_of_range)
{
    const struct {
        int type;
        int64_t least, most;
    } ranges[] = {{TL_INT8, -128, 127},    {TL_UINT8, 0, 255},        {TL_INT16, -32768, 32767},
                  {TL_UINT16, 0, 65535},   {TL_BOOL, 0, 1},           {TL_FLOAT16, 0, 65535},
                  {TL_BFLOAT16, 0, 65535}, {TL_FLOAT8E4M3FN, 0, 255}, {TL_FLOAT8E8M0, 0, 255},
                  {TL_FLOAT6E2M3, 0, 63},  {TL_FLOAT6E3M2, 0, 63},    {TL_INT32, INT32_MIN, INT32_MAX}};
    const int64_t dims[] = {1};
    for (size_t k = 0; k < TL_COUNT(ranges); k++) {
        for (int at = 0; at < 4; at++) {
            int64_t value = at == 0   ? ranges[k].least
                            : at == 1 ? ranges[k].most
                            : at == 2 ? ranges[k].least - 1
                                      : ranges[k].most + 1;
            if (ranges[k].type == TL_INT32 && at >= 2)
                continue;
            message m = tensor_of(ranges[k].type, dims, 1);
            put_int(&m, 5, value);
            if (at < 2)
                accepted(&m);
            else
                refused(&m, TL_INVALID_MODEL, "does not fit");
        }
    }
    message wide = tensor_of(TL_UINT32, dims, 1);
    put_int(&wide, 11, INT64_C(1) << 32);
    refused(&wide, TL_INVALID_MODEL, "does not fit uint32");
    message truth = tensor_of(TL_BOOL, (const int64_t[]){3}, 1);
    put_blob(&truth, 9, "\0\1\2", 3);
    refused(&truth, TL_INVALID_MODEL, "element 2 of a bool tensor is the byte 2");
}
END_TEST

/* ---- Sparse */

static message sparse_model(const int64_t *dims, size_t rank, const int64_t *indices, const int64_t *index_dims,
                            size_t index_rank, int64_t count)
{
    message sparse = {.size = 0}, values = {.size = 0}, index = {.size = 0};
    put_tensor(&values, "w", TL_FLOAT, &count, 1);
    for (int64_t k = 0; k < count; k++)
        put_float(&values, 4, 1);
    put_tensor(&index, NULL, TL_INT64, index_dims, index_rank);
    int64_t total = 1;
    for (size_t k = 0; k < index_rank; k++)
        total *= index_dims[k];
    for (int64_t k = 0; k < total; k++)
        put_int(&index, 7, indices[k]);
    put_message(&sparse, 1, &values);
    put_message(&sparse, 2, &index);
    for (size_t k = 0; k < rank; k++)
        put_int(&sparse, 3, dims[k]);
    message add = node("Add", NULL, "x w", "y");
    message graph = graph_of(&add, 1);
    put_message(&graph, 15, &sparse);
    return model_of(&graph);
}

START_TEST(refuses_bad_sparse_tensors)
{
    const int64_t shape[] = {2, 3}, two[] = {2}, three[] = {3}, pairs[] = {2, 2}, triples[] = {2, 3};
    message good = sparse_model(shape, 2, (const int64_t[]){1, 5}, two, 1, 2);
    tl_model_free(load_good(&good));
    message beyond = sparse_model(shape, 2, (const int64_t[]){1, 6}, two, 1, 2);
    load_refused(&beyond, TL_INVALID_MODEL, "sparse index 1 lies outside");
    message below = sparse_model(shape, 2, (const int64_t[]){-1, 5}, two, 1, 2);
    load_refused(&below, TL_INVALID_MODEL, "outside");
    message column = sparse_model(shape, 2, (const int64_t[]){0, 1, 0, 3}, pairs, 2, 2);
    load_refused(&column, TL_INVALID_MODEL, "outside");
    message huge = sparse_model(shape, 2, (const int64_t[]){0, 1, INT64_MAX, INT64_MAX}, pairs, 2, 2);
    load_refused(&huge, TL_INVALID_MODEL, "outside");
    message order = sparse_model(shape, 2, (const int64_t[]){5, 1}, two, 1, 2);
    load_refused(&order, TL_INVALID_MODEL, "not above");
    message twice = sparse_model(shape, 2, (const int64_t[]){5, 5}, two, 1, 2);
    load_refused(&twice, TL_INVALID_MODEL, "not above");
    message fewer = sparse_model(shape, 2, (const int64_t[]){1, 2, 5}, three, 1, 2);
    load_refused(&fewer, TL_INVALID_MODEL, "as many as values");
    message wide = sparse_model(shape, 2, (const int64_t[]){0, 0, 0, 0, 0, 0}, triples, 2, 2);
    load_refused(&wide, TL_INVALID_MODEL, "as many as values");
    const int64_t nothing[] = {0, 3}, bomb[] = {INT64_C(1) << 30};
    message empty = sparse_model(nothing, 2, (const int64_t[]){0, 1}, two, 1, 2);
    load_refused(&empty, TL_INVALID_MODEL, "empty tensor");
    message grows = sparse_model(bomb, 1, (const int64_t[]){0, 1}, two, 1, 2);
    load_refused(&grows, TL_NO_MEMORY, "sparse tensors grow");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("tensor");
    tcase_add_test(tests, reads_what_numpy_reads);
    tcase_add_test(tests, reads_strings_scalars_and_empty_tensors);
    tcase_add_test(tests, keeps_raw_data_in_the_file);
    tcase_add_test(tests, makes_sparse_tensors_dense);
    tcase_add_test(tests, refuses_wrong_sizes);
    tcase_add_test(tests, unpacks_six_bits);
    tcase_add_test(tests, refuses_bad_dimensions);
    tcase_add_test(tests, refuses_bad_types);
    tcase_add_test(tests, refuses_wrong_fields);
    tcase_add_test(tests, refuses_values_out_of_range);
    tcase_add_test(tests, refuses_bad_sparse_tensors);
    return run_case(tests, "tensor");
}
