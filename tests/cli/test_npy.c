/* .npy files: what NumPy writes, what it could write, and what nobody should. */
#include <string.h>
#include "common/run.h"
#include "files.h"
#include "npy.h"

static tl_error error;

/* Builds a file from its header's text (padding is not needed to read one) and data, and reads it. */
static tl_status read_version(int major, const char *header, const void *data, size_t size, tl_tensor *tensor)
{
    char bytes[70000], path[32];
    size_t length = strlen(header), used = 6;
    memcpy(bytes, "\x93NUMPY", used);
    bytes[used++] = (char)major;
    bytes[used++] = 0;
    for (int k = 0; k < (major == 1 ? 2 : 4); k++)
        bytes[used++] = (char)(length >> (8 * k) & 255);
    memcpy(bytes + used, header, length);
    used += length;
    if (size)
        memcpy(bytes + used, data, size);
    write_file(path, bytes, used + size, ".npy");
    error.message[0] = 0;
    tl_status status = cli_npy_read(path, tensor, &error);
    unlink(path);
    if (status != TL_OK) {
        ck_assert_ptr_null(tensor->data);
        ck_assert_msg(strncmp(error.message, path, strlen(path)) == 0, "%s", error.message);
        ck_assert_ptr_null(strchr(error.message, '\n'));
    }
    return status;
}

static tl_status read_header(const char *header, const void *data, size_t size, tl_tensor *tensor)
{
    return read_version(1, header, data, size, tensor);
}

#define assert_said(part) ck_assert_msg(strstr(error.message, part) != NULL, "%s", error.message)

START_TEST(reads_plain_arrays)
{
    static const float data[6] = {1, 2, 3, 4, 5, 6};
    for (int major = 1; major <= 3; major++) {
        tl_tensor t;
        const char *header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n";
        ck_assert_int_eq(read_version(major, header, data, sizeof data, &t), TL_OK);
        ck_assert_int_eq(t.type, TL_FLOAT);
        ck_assert_int_eq(t.rank, 2);
        ck_assert_int_eq(t.dims[0], 2);
        ck_assert_int_eq(t.dims[1], 3);
        ck_assert_mem_eq(t.data, data, sizeof data);
        free(t.data);
    }
}
END_TEST

START_TEST(reads_other_spellings)
{
    static const unsigned char data[8] = {1, 0, 1};
    tl_tensor t;
    /* Keys in another order, double quotes, no spaces, Python 2's long numbers, no comma behind the last. */
    ck_assert_int_eq(read_header("{\"shape\":(3L,),\"fortran_order\":False,\"descr\":\"|b1\"}", data, 3, &t), TL_OK);
    ck_assert_int_eq(t.type, TL_BOOL);
    ck_assert_int_eq(t.rank, 1);
    free(t.data);
    ck_assert_int_eq(read_header("{'descr': '=i4', 'fortran_order': False, 'shape': (2,)}", data, 8, &t), TL_OK);
    ck_assert_int_eq(t.type, TL_INT32);
    free(t.data);
    /* One byte has no order. */
    ck_assert_int_eq(read_header("{'descr': '<u1', 'fortran_order': False, 'shape': ()}", data, 1, &t), TL_OK);
    ck_assert_int_eq(t.type, TL_UINT8);
    ck_assert_int_eq(t.rank, 0);
    free(t.data);
}
END_TEST

START_TEST(reads_fortran_order)
{
    static const int16_t data[24] = {0, 12, 4, 16, 8,  20, 1, 13, 5, 17, 9,  21,
                                     2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23};
    tl_tensor t;
    ck_assert_int_eq(
        read_header("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3, 4), }", data, sizeof data, &t), TL_OK);
    for (int16_t i = 0; i < 24; i++)
        ck_assert_int_eq(((const int16_t *)t.data)[i], i);
    free(t.data);
    ck_assert_int_eq(read_header("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 0), }", NULL, 0, &t), TL_OK);
    free(t.data);
}
END_TEST

START_TEST(empty_arrays_have_dimensions_within_bounds)
{
    tl_tensor t;
    ck_assert_int_eq(read_header("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 16384, 16384), }", NULL, 0, &t),
                     TL_OK);
    ck_assert_int_eq(tl_tensor_elements(&t), 0);
    free(t.data);
    ck_assert_int_ne(
        read_header(
            "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4611686018427387904, 4611686018427387904), }", NULL,
            0, &t),
        TL_OK);
}
END_TEST

static const struct {
    const char *header, *said;
} refused[] = {
    {"", "not a dictionary"},
    {"{", "not a dictionary of strings"},
    {"{}", "lacks one of"},
    {"{'descr': '<f4', 'fortran_order': False, }", "lacks one of"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}", "a key other than"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "a key twice"},
    {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}", "neither True nor False"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': 1}", "no tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,", "whole numbers"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1", "not closed"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}", "not closed"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "whole numbers"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,)}", "not closed"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", "whole numbers"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999999,)}", "whole numbers"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 2)}", "overflows"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,)}", "overflows"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}", "more than 16"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", "goes on"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", "not closed"},
    {"{'descr: '<f4'}", "not a dictionary of strings"},
    {"{'descr': \"<f4', 'fortran_order': False, 'shape': (1,)}", "no string as 'descr'"},
    {"{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (1,)}", "no string as 'descr'"},
    {"{'descr': '', 'fortran_order': False, 'shape': (1,)}", "element type ''"},
    {"{'descr': 'f', 'fortran_order': False, 'shape': (1,)}", "element type 'f'"},
    {"{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}", "element type '<f3'"},
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", "big-endian"},
    {"{'descr': '<U3', 'fortran_order': False, 'shape': (1,)}", "text"},
    {"{'descr': '|S3', 'fortran_order': False, 'shape': (1,)}", "text"},
    {"{'descr': '|V2', 'fortran_order': False, 'shape': (1,)}", "raw bytes"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "Python objects"},
    {"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,)}", "element type '<M8[ns]'"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "structured"},
    {"{'descr': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'fortran_order': False, 'shape': (1,)}",
     "no string as 'descr'"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", "ends after 4 of 4000000000000 bytes"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "ends after 4 of 8 bytes"},
    {"{'descr': '<u2', 'fortran_order': False, 'shape': (1,)}", "goes on behind its 2 bytes"},
    {"{'descr': '|b1', 'fortran_order': False, 'shape': (4,)}", "element 1 of type bool is 2"},
};

START_TEST(refuses_with_a_reason)
{
    static const unsigned char data[4] = {1, 2, 3, 4};
    tl_tensor t;
    tl_status status = read_header(refused[_i].header, data, sizeof data, &t);
    ck_assert_msg(status != TL_OK, "%s", refused[_i].header);
    assert_said(refused[_i].said);
}
END_TEST

START_TEST(refuses_what_is_no_npy_file)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *said;
    } files[] = {
        {"", 0, "not a .npy file"},
        {"\x93NUMP", 5, "not a .npy file"},
        {"PK\3\4abcdefgh", 12, "not a .npy file"},
        {"\x93NUMPY\0\0\0\0\0\0", 12, "version 0.0"},
        {"\x93NUMPY\4\0\0\0\0\0", 12, "version 4.0"},
        {"\x93NUMPY\1\1\0\0\0\0", 12, "version 1.1"},
        {"\x93NUMPY\1\0\1", 9, "ends inside"},
        {"\x93NUMPY\1\0\xff\xff{", 11, "ends inside"},
        {"\x93NUMPY\2\0\xff\xff\xff\xff{", 13, "has 4294967295 bytes"},
        {"\x93NUMPY\2\0\1\0\1\0{", 13, "has 65537 bytes"},
    };
    char path[32];
    tl_tensor t;
    for (size_t k = 0; k < TL_COUNT(files); k++) {
        write_file(path, files[k].bytes, files[k].size, ".npy");
        ck_assert_int_ne(cli_npy_read(path, &t, &error), TL_OK);
        assert_said(files[k].said);
        unlink(path);
    }
    ck_assert_int_eq(cli_npy_read("/nowhere/x.npy", &t, &error), TL_IO);
    assert_said("/nowhere/x.npy: cannot be opened");
    ck_assert_int_ne(cli_npy_read("/tmp", &t, &error), TL_OK);
}
END_TEST

/* Every prefix of a file is refused; no change of one byte of the header does harm. */
START_TEST(survives_damage)
{
    const char *header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
    char bytes[256], path[32];
    size_t length = strlen(header), size = 10 + length + 24;
    memcpy(bytes, "\x93NUMPY\1\0", 8);
    bytes[8] = (char)length;
    bytes[9] = 0;
    memcpy(bytes + 10, header, length);
    memset(bytes + 10 + length, 0, 24);
    tl_tensor t;
    for (size_t cut = 0; cut < size; cut++) {
        write_file(path, bytes, cut, ".npy");
        ck_assert_int_ne(cli_npy_read(path, &t, &error), TL_OK);
        unlink(path);
    }
    static const unsigned char changes[] = {0, 1, 9, ' ', '\'', '(', ')', ',', '9', '{', '}', 0x7f, 0x80, 0xff};
    for (size_t at = 0; at < 10 + length; at++)
        for (size_t k = 0; k < sizeof changes; k++) {
            char old = bytes[at];
            bytes[at] = (char)changes[k];
            write_file(path, bytes, size, ".npy");
            if (cli_npy_read(path, &t, &error) == TL_OK)
                free(t.data);
            unlink(path);
            bytes[at] = old;
        }
}
END_TEST

START_TEST(writes_what_it_reads)
{
    unsigned char data[96];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i & 1);
    char path[32];
    for (int type = 1; type < TL_TYPE_COUNT; type++)
        for (int32_t rank = 0; rank <= 3; rank++) {
            tl_tensor t = {.data = data, .type = (tl_type)type, .rank = rank, .dims = {1, 2, 3}}, back;
            write_file(path, "", 0, ".npy");
            tl_status status = cli_npy_write(path, &t, &error);
            if (!cli_npy_descr(t.type)) {
                ck_assert_int_eq(status, TL_UNSUPPORTED);
                assert_said("--format pb");
            } else {
                ck_assert_int_eq(status, TL_OK);
                ck_assert_int_eq(cli_npy_read(path, &back, &error), TL_OK);
                ck_assert_int_eq(back.type, t.type);
                ck_assert_int_eq(back.rank, rank);
                ck_assert_mem_eq(back.dims, t.dims, (size_t)rank * sizeof t.dims[0]);
                ck_assert_mem_eq(back.data, data, (size_t)tl_tensor_bytes(&t));
                free(back.data);
            }
            unlink(path);
        }
}
END_TEST

START_TEST(writes_the_format_numpy_wants)
{
    static const float data[3] = {1, 2, 3};
    tl_tensor t = {.data = (void *)(uintptr_t)data, .type = TL_FLOAT, .rank = 1, .dims = {3}};
    char path[32], bytes[256];
    write_file(path, "", 0, ".npy");
    ck_assert_int_eq(cli_npy_write(path, &t, &error), TL_OK);
    FILE *file = fopen(path, "rb");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    unlink(path);
    ck_assert_uint_eq(size, 128 + sizeof data);
    ck_assert_mem_eq(bytes, "\x93NUMPY\1\0\x76\0{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 67);
    ck_assert_int_eq(bytes[127], '\n');
    ck_assert_mem_eq(bytes + 128, data, sizeof data);
    ck_assert_int_eq(cli_npy_write("/nowhere/x.npy", &t, &error), TL_IO);
    ck_assert_int_eq(cli_npy_write("/dev/full", &t, &error), TL_IO);
    assert_said("/dev/full: cannot be written");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("npy");
    TCase *tests = tcase_create("npy");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, reads_plain_arrays);
    tcase_add_test(tests, reads_other_spellings);
    tcase_add_test(tests, reads_fortran_order);
    tcase_add_test(tests, empty_arrays_have_dimensions_within_bounds);
    tcase_add_loop_test(tests, refuses_with_a_reason, 0, (int)TL_COUNT(refused));
    tcase_add_test(tests, refuses_what_is_no_npy_file);
    tcase_add_test(tests, survives_damage);
    tcase_add_test(tests, writes_what_it_reads);
    tcase_add_test(tests, writes_the_format_numpy_wants);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
