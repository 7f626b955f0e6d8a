/* Files of one value: what onnx wrote, read; what is written, read back; and rules broken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "load/tensor_file.h"
#include "support.h"

static tl_tensor_file *file;
static const tl_file_value *value;

static void read_good(const char *path, tl_kind kind)
{
    tl_status status = tl_tensor_file_read(NULL, path, kind, &file, &value, &test_error);
    ck_assert_msg(status == TL_OK, "%s", test_error.message);
    ck_assert_int_eq(value->kind, kind);
}

static void check_one(const tl_file_value *v, float first)
{
    ck_assert_int_eq(v->kind, TL_KIND_TENSOR);
    ck_assert_int_eq(v->tensor.type, TL_FLOAT);
    ck_assert_int_eq(v->tensor.rank, 2);
    ck_assert_int_eq(v->tensor.dims[0], 2);
    ck_assert_int_eq(v->tensor.dims[1], 3);
    ck_assert_uint_eq((uintptr_t)v->tensor.data % sizeof(float), 0);
    for (int k = 0; k < 6; k++)
        ck_assert(((const float *)v->tensor.data)[k] == first + (float)k);
}

static void check_sequence(const tl_file_value *v)
{
    ck_assert_uint_eq(v->count, 2);
    check_one(&v->elements[0], 0);
    check_one(&v->elements[1], 1);
}

static void check_map(const tl_file_value *v)
{
    ck_assert_uint_eq(v->count, 2);
    ck_assert_int_eq(v->tensor.type, TL_INT64);
    ck_assert_int_eq(((const int64_t *)v->tensor.data)[0], 3);
    ck_assert_int_eq(((const int64_t *)v->tensor.data)[1], -4);
    check_sequence(v);
}

START_TEST(reads_what_onnx_writes)
{
    read_good("data/values/tensor.pb", TL_KIND_TENSOR);
    ck_assert_str_eq(value->name, "one");
    check_one(value, 0);
    tl_tensor_file_free(file);
    read_good("data/values/sequence.pb", TL_KIND_SEQUENCE);
    ck_assert_str_eq(value->name, "list");
    check_sequence(value);
    tl_tensor_file_free(file);
    read_good("data/values/sequence_of_sequences.pb", TL_KIND_SEQUENCE);
    ck_assert_uint_eq(value->count, 2);
    ck_assert_uint_eq(value->elements[0].count, 1);
    check_one(&value->elements[0].elements[0], 0);
    ck_assert_uint_eq(value->elements[1].count, 2);
    tl_tensor_file_free(file);
    read_good("data/values/empty_sequence.pb", TL_KIND_SEQUENCE);
    ck_assert_uint_eq(value->count, 0);
    tl_tensor_file_free(file);
    read_good("data/values/optional.pb", TL_KIND_OPTIONAL);
    ck_assert_uint_eq(value->count, 1);
    check_one(&value->elements[0], 0);
    tl_tensor_file_free(file);
    read_good("data/values/empty_optional.pb", TL_KIND_OPTIONAL);
    ck_assert_uint_eq(value->count, 0);
    tl_tensor_file_free(file);
    read_good("data/values/optional_sequence.pb", TL_KIND_OPTIONAL);
    ck_assert_int_eq(value->elements[0].kind, TL_KIND_SEQUENCE);
    ck_assert_int_eq(((const int64_t *)value->elements[0].elements[0].tensor.data)[1], -8);
    tl_tensor_file_free(file);
    read_good("data/values/map.pb", TL_KIND_MAP);
    check_map(value);
    tl_tensor_file_free(file);
}
END_TEST

/* Writes *value of `kind` somewhere, and reads it back into another file. */
static tl_tensor_file *round_trip(const tl_file_value *given, const tl_file_value **got)
{
    char name[] = "/tmp/tapline-value-XXXXXX";
    int descriptor = mkstemp(name);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
    tl_status status = tl_tensor_file_write(name, given, &test_error);
    ck_assert_msg(status == TL_OK, "%s", test_error.message);
    tl_tensor_file *back;
    status = tl_tensor_file_read(NULL, name, given->kind, &back, got, &test_error);
    unlink(name);
    ck_assert_msg(status == TL_OK, "%s", test_error.message);
    return back;
}

START_TEST(reads_what_it_writes)
{
    const struct {
        const char *path;
        tl_kind kind;
    } files[] = {{"data/values/sequence.pb", TL_KIND_SEQUENCE},
                 {"data/values/map.pb", TL_KIND_MAP},
                 {"data/values/optional.pb", TL_KIND_OPTIONAL},
                 {"data/values/empty_optional.pb", TL_KIND_OPTIONAL},
                 {"data/values/empty_sequence.pb", TL_KIND_SEQUENCE}};
    for (size_t k = 0; k < TL_COUNT(files); k++) {
        read_good(files[k].path, files[k].kind);
        const tl_file_value *got;
        tl_tensor_file *back = round_trip(value, &got);
        ck_assert_str_eq(got->name, value->name);
        ck_assert_uint_eq(got->count, value->count);
        if (got->count == 2 && got->kind == TL_KIND_MAP)
            check_map(got);
        else if (got->count == 2)
            check_sequence(got);
        else if (got->count == 1)
            check_one(&got->elements[0], 0);
        tl_tensor_file_free(back);
        tl_tensor_file_free(file);
    }
}
END_TEST

/* Kinds inside kinds, and maps by name. */
START_TEST(nests_kinds)
{
    int8_t numbers[] = {-1, 2};
    tl_string names[] = {{"one", 3}, {"t\0o", 3}};
    tl_file_value tensors[2] = {{.kind = TL_KIND_TENSOR, .tensor = {numbers, TL_INT8, 1, {2}}},
                                {.kind = TL_KIND_TENSOR, .tensor = {numbers, TL_INT8, 0, {0}}}};
    tl_file_value maps[2] = {
        {.kind = TL_KIND_MAP, .tensor = {names, TL_STRING, 1, {2}}, .count = 2, .elements = tensors},
        {.kind = TL_KIND_MAP, .tensor = {numbers, TL_INT8, 1, {2}}, .count = 2, .elements = tensors}};
    tl_file_value options[3] = {{.kind = TL_KIND_OPTIONAL, .count = 1, .elements = maps},
                                {.kind = TL_KIND_OPTIONAL, .count = 0},
                                {.kind = TL_KIND_OPTIONAL, .count = 1}};
    tl_file_value list = {.kind = TL_KIND_SEQUENCE, .count = 2, .elements = maps};
    tl_file_value inner = {.kind = TL_KIND_OPTIONAL, .count = 1, .elements = &options[0]};
    options[2].elements = &inner;
    tl_file_value all = {.kind = TL_KIND_SEQUENCE, .count = 3, .elements = options};
    const tl_file_value *got;
    tl_tensor_file *back = round_trip(&list, &got);
    ck_assert_uint_eq(got->count, 2);
    const tl_string *keys = got->elements[0].tensor.data;
    ck_assert_int_eq(got->elements[0].tensor.type, TL_STRING);
    ck_assert_uint_eq(keys[1].size, 3);
    ck_assert_mem_eq(keys[1].data, "t\0o", 3);
    ck_assert_int_eq(got->elements[1].tensor.type, TL_INT8);
    ck_assert_mem_eq(got->elements[1].tensor.data, numbers, 2);
    ck_assert_int_eq(got->elements[1].elements[1].tensor.rank, 0);
    tl_tensor_file_free(back);
    back = round_trip(&all, &got);
    ck_assert_uint_eq(got->count, 3);
    ck_assert_int_eq(got->elements[0].elements[0].kind, TL_KIND_MAP);
    ck_assert_uint_eq(got->elements[1].count, 0);
    ck_assert_int_eq(got->elements[2].elements[0].elements[0].elements[0].kind, TL_KIND_MAP);
    tl_tensor_file_free(back);
    options[1].kind = TL_KIND_SEQUENCE;
    ck_assert_int_eq(tl_tensor_file_write("never.pb", &all, &test_error), TL_INVALID_ARGUMENT);
    maps[0].count = 1;
    ck_assert_int_eq(tl_tensor_file_write("never.pb", &list, &test_error), TL_INVALID_ARGUMENT);
    list.kind = TL_KIND_OPTIONAL;
    ck_assert_int_eq(tl_tensor_file_write("never.pb", &list, &test_error), TL_INVALID_ARGUMENT);
    ck_assert_int_ne(access("never.pb", F_OK), 0);
}
END_TEST

START_TEST(makes_sparse_values_dense)
{
    message sparse = {.size = 0}, values = {.size = 0}, indices = {.size = 0}, m = {.size = 0};
    put_tensor(&values, "s", TL_INT32, (const int64_t[]){1}, 1);
    put_int(&values, 5, -7);
    put_tensor(&indices, NULL, TL_INT64, (const int64_t[]){1}, 1);
    put_int(&indices, 7, 2);
    put_message(&sparse, 1, &values);
    put_message(&sparse, 2, &indices);
    put_int(&sparse, 3, 3);
    put_int(&m, 2, 2);
    put_message(&m, 4, &sparse);
    for (tl_kind kind = TL_KIND_SEQUENCE; kind <= TL_KIND_OPTIONAL; kind++) { /* the same numbers in both */
        tl_status status = tl_tensor_file_parse(NULL, "value", m.bytes, m.size, kind, &file, &value, &test_error);
        ck_assert_msg(status == TL_OK, "%s", test_error.message);
        ck_assert_uint_eq(value->count, 1);
        ck_assert_str_eq(value->elements[0].name, "s");
        const int32_t *dense = value->elements[0].tensor.data;
        ck_assert(dense[0] == 0 && dense[1] == 0 && dense[2] == -7);
        tl_tensor_file_free(file);
    }
}
END_TEST

/* Every type, by way of the tensors that numpy made. */
START_TEST(writes_every_type)
{
    tl_model *model;
    ck_assert_int_eq(tl_load_file(NULL, NULL, "data/tensors.onnx", NULL, &model, &test_error), TL_OK);
    size_t count = 0;
    for (size_t k = 0; k < model->graph->value_count; k++) {
        tl_value *v = model->graph->values[k];
        if (!(v->flags & TL_VALUE_CONSTANT))
            continue;
        tl_value_data(v);
        tl_file_value given = {.kind = TL_KIND_TENSOR, .name = v->name, .tensor = v->tensor};
        const tl_file_value *got;
        tl_tensor_file *back = round_trip(&given, &got);
        ck_assert_str_eq(got->name, v->name);
        ck_assert_int_eq(got->tensor.type, v->tensor.type);
        ck_assert_int_eq(got->tensor.rank, v->tensor.rank);
        int64_t bytes = tl_tensor_bytes(&v->tensor);
        ck_assert_int_eq(tl_tensor_bytes(&got->tensor), bytes);
        if (v->tensor.type == TL_STRING) {
            const tl_string *a = v->tensor.data, *b = got->tensor.data;
            for (int i = 0; i < 4; i++) {
                ck_assert_uint_eq(a[i].size, b[i].size);
                ck_assert(a[i].size == 0 || memcmp(a[i].data, b[i].data, a[i].size) == 0);
            }
        } else if (bytes) {
            ck_assert_mem_eq(got->tensor.data, v->tensor.data, (size_t)bytes);
        }
        tl_tensor_file_free(back);
        count++;
    }
    ck_assert_uint_eq(count, 84);
    tl_model_free(model);
}
END_TEST

/* Longer than what is packed at a time, and no whole groups. */
START_TEST(packs_six_bits)
{
    static uint8_t elements[2050];
    for (size_t i = 0; i < sizeof elements; i++)
        elements[i] = (uint8_t)(i * 37 % 64);
    for (int64_t n = 2046; n <= 2050; n++) {
        const tl_file_value given = {.kind = TL_KIND_TENSOR,
                                     .name = "six",
                                     .tensor = {.data = elements, .type = TL_FLOAT6E2M3, .rank = 1, .dims = {n}}};
        const tl_file_value *got;
        tl_tensor_file *back = round_trip(&given, &got);
        ck_assert_int_eq(tl_tensor_bytes(&got->tensor), n);
        ck_assert_mem_eq(got->tensor.data, elements, (size_t)n);
        tl_tensor_file_free(back);
    }
}
END_TEST

static void refused(const message *m, tl_kind kind, const char *words)
{
    tl_status status = tl_tensor_file_parse(NULL, "value", m->bytes, m->size, kind, &file, &value, &test_error);
    ck_assert_int_ne(status, TL_OK);
    ck_assert_ptr_null(file);
    ck_assert_msg(strstr(test_error.message, words) != NULL, "'%s' does not say '%s'", test_error.message, words);
    ck_assert_int_eq(strncmp(test_error.message, "value: ", 7), 0);
}

START_TEST(refuses_bad_values)
{
    message empty = {.size = 0};
    refused(&empty, TL_KIND_TENSOR, "0 is no element type");
    message m = {.size = 0}, tensor = {.size = 0};
    put_int(&m, 2, 6);
    refused(&m, TL_KIND_SEQUENCE, "6 is no element type of a sequence");
    m.size = 0;
    put_int(&m, 2, -1);
    refused(&m, TL_KIND_OPTIONAL, "-1 is no element type of an optional");
    put_tensor(&tensor, NULL, TL_INT8, (const int64_t[]){2}, 1);
    m.size = 0;
    put_int(&m, 2, 3);
    put_message(&m, 3, &tensor);
    refused(&m, TL_KIND_SEQUENCE, "a sequence of type 3 has elements of type 1");
    refused(&m, TL_KIND_OPTIONAL, "an optional of type 3 has a value of type 1");
    m.size = 0;
    put_int(&m, 2, 1);
    put_message(&m, 3, &tensor);
    refused(&m, TL_KIND_SEQUENCE, "element 0: 0 entries in int32_data");
    m.size = 0;
    put_int(&m, 2, TL_INT8);
    put_int(&m, 3, 128);
    refused(&m, TL_KIND_MAP, "the key 128 does not fit int8");
    m.size = 0;
    put_int(&m, 2, TL_INT8);
    put_int(&m, 3, 127);
    refused(&m, TL_KIND_MAP, "a map of 0 values for 1 keys");
    m.size = 0;
    put_int(&m, 2, TL_FLOAT);
    refused(&m, TL_KIND_MAP, "a map with keys of type float");
    m.size = 0;
    put_int(&m, 2, TL_STRING);
    put_int(&m, 3, 1);
    refused(&m, TL_KIND_MAP, "not of its key_type");
    message external = {.size = 0};
    put_tensor(&external, NULL, TL_INT8, (const int64_t[]){2}, 1);
    message entry = {.size = 0};
    put_text(&entry, 1, "location");
    put_text(&entry, 2, "data.bin");
    put_message(&external, 13, &entry);
    put_int(&external, 14, 1);
    refused(&external, TL_KIND_TENSOR, "external data in 'data.bin', but files of one value have none");
}
END_TEST

START_TEST(says_what_cannot_be_written)
{
    float data[] = {1};
    tl_file_value v = {
        .kind = TL_KIND_TENSOR, .name = "", .tensor = {.data = data, .type = TL_FLOAT, .rank = 1, .dims = {1}}};
    ck_assert_int_eq(tl_tensor_file_write("/nowhere/file.pb", &v, &test_error), TL_IO);
    v.tensor.dims[0] = TL_DIM_UNKNOWN;
    ck_assert_int_eq(tl_tensor_file_write("/nowhere/file.pb", &v, &test_error), TL_INVALID_ARGUMENT);
    if (access("/dev/full", W_OK) == 0) {
        tl_file_value big = {
            .kind = TL_KIND_TENSOR, .name = "", .tensor = {.data = data, .type = TL_FLOAT, .rank = 1, .dims = {1}}};
        char link_name[] = "/tmp/tapline-full-XXXXXX";
        ck_assert_ptr_nonnull(mkdtemp(link_name));
        char name[64];
        snprintf(name, sizeof name, "%s/full", link_name);
        ck_assert_int_eq(symlink("/dev/full", name), 0);
        ck_assert_int_eq(tl_tensor_file_write(name, &big, &test_error), TL_IO);
        ck_assert_int_ne(access(name, F_OK), 0); /* removed */
        rmdir(link_name);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("tensor_file");
    tcase_add_test(tests, reads_what_onnx_writes);
    tcase_add_test(tests, reads_what_it_writes);
    tcase_add_test(tests, nests_kinds);
    tcase_add_test(tests, makes_sparse_values_dense);
    tcase_add_test(tests, writes_every_type);
    tcase_add_test(tests, packs_six_bits);
    tcase_add_test(tests, refuses_bad_values);
    tcase_add_test(tests, says_what_cannot_be_written);
    return run_case(tests, "tensor_file");
}
