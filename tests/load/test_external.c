/* External tensor data: found beside the model, and never anywhere else. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "support.h"

/* A folder of its own for each test:  models/model.onnx  models/data.bin  models/sub/data.bin  outside.bin */
static char folder[64];
static char path[128];

static void write_file(const char *name, const void *bytes, size_t size)
{
    char full[192];
    snprintf(full, sizeof full, "%s/%s", folder, name);
    FILE *file = fopen(full, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void make_folder(const char *name)
{
    char full[192];
    snprintf(full, sizeof full, "%s/%s", folder, name);
    ck_assert_int_eq(mkdir(full, 0700), 0);
}

/* Stands before the C library's: some file systems cannot map. */
static bool refuse_maps;
void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
    if (refuse_maps && file >= 0) {
        errno = ENODEV;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, file, offset);
}

static const float numbers[] = {1, 2, 3, 4};

static void setup(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/tapline-XXXXXX", base && strlen(base) <= 40 ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    make_folder("models");
    make_folder("models/sub");
    write_file("outside.bin", numbers, sizeof numbers);
    write_file("models/data.bin", numbers, sizeof numbers);
    write_file("models/sub/data.bin", numbers, sizeof numbers);
    snprintf(path, sizeof path, "%s/models/model.onnx", folder);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c): a folder that this test made */
}

static void put_entry(message *tensor, const char *key, const char *value)
{
    message entry = {.size = 0};
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_message(tensor, 13, &entry);
}

/* An external float[2] "w"; NULL: without that key. */
static message external(const char *location, const char *offset, const char *length)
{
    message m = {.size = 0};
    put_tensor(&m, "w", TL_FLOAT, (const int64_t[]){2}, 1);
    if (location)
        put_entry(&m, "location", location);
    if (offset)
        put_entry(&m, "offset", offset);
    if (length)
        put_entry(&m, "length", length);
    put_int(&m, 14, 1);
    return m;
}

static message model_of_tensor(const message *tensor)
{
    message add = node("Add", NULL, "x w", "y"), graph = graph_of(&add, 1);
    put_message(&graph, 5, tensor);
    return model_of(&graph);
}

static tl_model *load_with(const message *tensor, const tl_load_options *options)
{
    message m = model_of_tensor(tensor);
    write_file("models/model.onnx", m.bytes, m.size);
    tl_model *model;
    tl_status status = tl_load_file(NULL, NULL, path, options, &model, &test_error);
    ck_assert((status == TL_OK) == (model != NULL));
    return model;
}

static void good(const message *tensor, float first)
{
    tl_model *model = load_with(tensor, NULL);
    ck_assert_msg(model != NULL, "%s", test_error.message);
    tl_value *w = tl_graph_find(model->graph, "w");
    float got[2];
    memcpy(got, tl_value_data(w), sizeof got);
    ck_assert(got[0] == first && got[1] == first + 1);
    ck_assert(w->constant->mapped);
    tl_model_free(model);
}

static void refused_with(const message *tensor, const tl_load_options *options, tl_status status, const char *words)
{
    tl_model *model = load_with(tensor, options);
    tl_model_free(model);
    ck_assert_msg(!model, "loaded, without saying '%s'", words);
    ck_assert_msg(test_error.status == status, "status %d: %s", (int)test_error.status, test_error.message);
    ck_assert_msg(strstr(test_error.message, words) != NULL, "'%s' does not say '%s'", test_error.message, words);
    ck_assert_ptr_nonnull(strstr(test_error.message, "initializer 'w'"));
    ck_assert_int_eq(strncmp(test_error.message, path, strlen(path)), 0);
}

static void refused(const char *location, tl_status status, const char *words)
{
    message tensor = external(location, NULL, NULL);
    refused_with(&tensor, NULL, status, words);
}

START_TEST(finds_data)
{
    message m = external("data.bin", NULL, NULL);
    good(&m, 1);
    m = external("data.bin", "0", "8");
    good(&m, 1);
    m = external("data.bin", "8", "8");
    good(&m, 3);
    m = external("data.bin", "4", NULL);
    good(&m, 2);
    m = external("sub/data.bin", NULL, NULL);
    good(&m, 1);
    m = external("./sub//./data.bin", NULL, NULL);
    good(&m, 1);
    put_entry(&m, "checksum", "ignored");
    put_entry(&m, "other", "ignored");
    good(&m, 1);
}
END_TEST

/* Packed in the file, a byte for each in memory: five elements in four bytes. */
START_TEST(unpacks_six_bits)
{
    write_file("models/six.bin", "\x55\x81\x30\x10\xc5", 5);
    for (int short_by = 0; short_by < 2; short_by++) {
        message m = {.size = 0};
        put_tensor(&m, "w", TL_FLOAT6E3M2, (const int64_t[]){5}, 1);
        put_entry(&m, "location", "six.bin");
        put_entry(&m, "offset", short_by ? "2" : "1");
        put_int(&m, 14, 1);
        tl_model *model = load_with(&m, NULL);
        if (short_by) {
            ck_assert_ptr_null(model);
            ck_assert_ptr_nonnull(strstr(test_error.message, "has 5 bytes, too few for 4 at offset 2"));
            break;
        }
        ck_assert_msg(model != NULL, "%s", test_error.message);
        tl_value *w = tl_graph_find(model->graph, "w");
        ck_assert_mem_eq(tl_value_data(w), "\1\2\3\4\5", 5);
        ck_assert(!w->constant->mapped);
        tl_model_free(model);
    }
}
END_TEST

START_TEST(maps_a_file_once)
{
    message tensors[2] = {external("data.bin", "0", NULL), {.size = 0}};
    put_tensor(&tensors[1], "v", TL_FLOAT, (const int64_t[]){2}, 1);
    put_entry(&tensors[1], "location", "data.bin");
    put_entry(&tensors[1], "offset", "8");
    put_int(&tensors[1], 14, 1);
    message add = node("Add", NULL, "v w", "y"), graph = graph_of(&add, 1);
    put_message(&graph, 5, &tensors[0]);
    put_message(&graph, 5, &tensors[1]);
    message m = model_of(&graph);
    write_file("models/model.onnx", m.bytes, m.size);
    tl_model *model;
    ck_assert_int_eq(tl_load_file(NULL, NULL, path, NULL, &model, &test_error), TL_OK);
    size_t count = 0;
    for (const tl_mapping *at = model->mappings; at; at = at->next)
        count++;
    ck_assert_uint_eq(count, 2); /* the model and the data */
    tl_model_free(model);
}
END_TEST

START_TEST(reads_what_cannot_be_mapped)
{
    message m = external("data.bin", "4", NULL);
    refuse_maps = true;
    tl_model *model = load_with(&m, NULL);
    refuse_maps = false;
    ck_assert_msg(model != NULL, "%s", test_error.message);
    tl_value *w = tl_graph_find(model->graph, "w");
    ck_assert(!w->constant->mapped);
    ck_assert(((const float *)tl_value_data(w))[1] == 3);
    tl_model_free(model);
}
END_TEST

START_TEST(refuses_paths_out_of_the_folder)
{
    char absolute[192];
    snprintf(absolute, sizeof absolute, "%s/models/data.bin", folder);
    refused(absolute, TL_INVALID_MODEL, "is an absolute path");
    refused("../outside.bin", TL_INVALID_MODEL, "leaves the model's folder by \"..\"");
    refused("sub/../data.bin", TL_INVALID_MODEL, "\"..\"");
    refused("sub/../../outside.bin", TL_INVALID_MODEL, "\"..\"");
    refused("..", TL_INVALID_MODEL, "\"..\"");
    refused("sub/..", TL_INVALID_MODEL, "\"..\"");
    refused("", TL_INVALID_MODEL, "external data has no location");
    refused(".", TL_INVALID_MODEL, "names no file");
    refused("./", TL_INVALID_MODEL, "names no file");
    refused("nowhere.bin", TL_IO, "external file 'nowhere.bin': cannot be opened");
    char longer[300];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = 0;
    refused(longer, TL_IO, "more than 255 bytes");
}
END_TEST

START_TEST(refuses_links)
{
    char from[192], to[192];
    snprintf(from, sizeof from, "%s/models/link.bin", folder);
    ck_assert_int_eq(symlink("../outside.bin", from), 0);
    refused("link.bin", TL_IO, "'link.bin' is a symbolic link");
    snprintf(from, sizeof from, "%s/models/inside.bin", folder);
    ck_assert_int_eq(symlink("data.bin", from), 0);
    refused("inside.bin", TL_IO, "symbolic link");
    snprintf(from, sizeof from, "%s/models/up", folder);
    ck_assert_int_eq(symlink("..", from), 0);
    refused("up/outside.bin", TL_IO, "'up' is a symbolic link");
    snprintf(from, sizeof from, "%s/outside.bin", folder);
    snprintf(to, sizeof to, "%s/models/hard.bin", folder);
    ck_assert_int_eq(link(from, to), 0);
    refused("hard.bin", TL_IO, "has 2 hard links");
}
END_TEST

START_TEST(refuses_what_is_no_file)
{
    char name[192];
    refused("sub", TL_IO, "is not a regular file");
    snprintf(name, sizeof name, "%s/models/fifo", folder);
    ck_assert_int_eq(mkfifo(name, 0600), 0);
    refused("fifo", TL_IO, "is not a regular file"); /* and nobody waits for a writer */
    refused("data.bin/more", TL_IO, "external file 'data.bin/more': 'data.bin': cannot be opened");
}
END_TEST

START_TEST(refuses_places_out_of_the_file)
{
    const struct {
        const char *offset, *length, *words;
    } cases[] = {
        {"9", NULL, "has 16 bytes, too few for 8 at offset 9"},
        {"16", NULL, "too few"},
        {"17", NULL, "too few"},
        {"18446744073709551615", NULL, "too few"},
        {"18446744073709551616", NULL, "which is no size"},
        {"-1", NULL, "the offset '-1', which is no size"},
        {"", NULL, "which is no size"},
        {" 8", NULL, "which is no size"},
        {"0x8", NULL, "which is no size"},
        {"0", "7", "external data of 7 bytes where type and shape take 8"},
        {"0", "16", "external data of 16 bytes"},
        {"0", "eight", "the length 'eight'"},
    };
    for (size_t k = 0; k < TL_COUNT(cases); k++) {
        message m = external("data.bin", cases[k].offset, cases[k].length);
        refused_with(&m, NULL, TL_INVALID_MODEL, cases[k].words);
    }
    write_file("models/empty.bin", "", 0);
    refused("empty.bin", TL_INVALID_MODEL, "has 0 bytes");
    message m = external(NULL, "0", NULL);
    refused_with(&m, NULL, TL_INVALID_MODEL, "no location");
    m = external("data.bin", NULL, NULL);
    put_entry(&m, "location", "data.bin");
    refused_with(&m, NULL, TL_INVALID_MODEL, "'location' twice");
    message strings = {.size = 0};
    put_tensor(&strings, "w", TL_STRING, (const int64_t[]){1}, 1);
    put_entry(&strings, "location", "data.bin");
    put_int(&strings, 14, 1);
    refused_with(&strings, NULL, TL_INVALID_MODEL, "strings cannot be external data");
    m = external("data.bin", NULL, NULL);
    put_blob(&m, 9, "12345678", 8);
    refused_with(&m, NULL, TL_INVALID_MODEL, "elements both in external_data and in raw_data");
}
END_TEST

START_TEST(obeys_options)
{
    message m = external("data.bin", NULL, NULL);
    refused_with(&m, &(tl_load_options){.no_external_data = true}, TL_UNSUPPORTED, "external data is turned off");
    char sub[128], linked[192];
    snprintf(sub, sizeof sub, "%s/models/sub", folder);
    write_file("models/sub/only.bin", &numbers[2], 8);
    message only = external("only.bin", NULL, NULL);
    refused_with(&only, NULL, TL_IO, "cannot be opened");
    tl_model *model = load_with(&only, &(tl_load_options){.external_data_path = sub});
    ck_assert_msg(model != NULL, "%s", test_error.message);
    tl_model_free(model);
    snprintf(linked, sizeof linked, "%s/linked", folder); /* the caller's own folder may be a link */
    ck_assert_int_eq(symlink(sub, linked), 0);
    model = load_with(&only, &(tl_load_options){.external_data_path = linked});
    ck_assert_msg(model != NULL, "%s", test_error.message);
    tl_model_free(model);
    message memory = model_of_tensor(&only);
    load_refused(&memory, TL_UNSUPPORTED, "the model comes from memory and no folder is given");
    tl_status status = tl_load_memory(NULL, NULL, memory.bytes, memory.size,
                                      &(tl_load_options){.external_data_path = sub}, &model, &test_error);
    ck_assert_int_eq(status, TL_OK);
    tl_model_free(model);
}
END_TEST

/* A cache of downloads: beside the model are links into a folder of blobs. */
START_TEST(follows_links_into_the_callers_folder)
{
    char blobs[128], from[192];
    snprintf(blobs, sizeof blobs, "%s/models/sub", folder);
    write_file("models/sub/blob", &numbers[2], 8);
    snprintf(from, sizeof from, "%s/models/snapshot.bin", folder);
    ck_assert_int_eq(symlink("sub/blob", from), 0);
    message m = external("snapshot.bin", NULL, NULL);
    refused_with(&m, NULL, TL_IO, "symbolic link");
    test_error.status = TL_OK;
    tl_model *model = load_with(&m, &(tl_load_options){.external_data_path = blobs});
    ck_assert_msg(model != NULL && test_error.status == TL_OK, "%s", test_error.message);
    tl_model_free(model);
    snprintf(from, sizeof from, "%s/models/sub/outside.bin", folder);
    ck_assert_int_eq(symlink("../../outside.bin", from), 0);
    message out = external("outside.bin", NULL, NULL);
    refused_with(&out, &(tl_load_options){.external_data_path = blobs}, TL_IO, "outside the folder");
    message up = external("../outside.bin", NULL, NULL);
    refused_with(&up, &(tl_load_options){.external_data_path = blobs}, TL_INVALID_MODEL, "leaves the model's folder");
}
END_TEST

/* A path without a folder means the current one. */
START_TEST(looks_in_the_current_folder)
{
    message m = external("data.bin", NULL, NULL);
    tl_model_free(load_with(&m, NULL));
    char before[512], inside[128];
    ck_assert_ptr_nonnull(getcwd(before, sizeof before));
    snprintf(inside, sizeof inside, "%s/models", folder);
    ck_assert_int_eq(chdir(inside), 0);
    tl_model *model;
    tl_status status = tl_load_file(NULL, NULL, "model.onnx", NULL, &model, &test_error);
    ck_assert_int_eq(chdir(before), 0);
    ck_assert_msg(status == TL_OK, "%s", test_error.message);
    tl_model_free(model);
    refused_with(&m, &(tl_load_options){.external_data_path = "/nowhere"}, TL_IO, "the folder '/nowhere'");
}
END_TEST

START_TEST(refuses_models_that_are_no_files)
{
    tl_model *model;
    char name[192];
    snprintf(name, sizeof name, "%s/nowhere.onnx", folder);
    ck_assert_int_eq(tl_load_file(NULL, NULL, name, NULL, &model, &test_error), TL_IO);
    ck_assert_ptr_nonnull(strstr(test_error.message, "cannot be opened"));
    ck_assert_int_eq(tl_load_file(NULL, NULL, folder, NULL, &model, &test_error), TL_IO);
    ck_assert_ptr_nonnull(strstr(test_error.message, "is not a regular file"));
    snprintf(name, sizeof name, "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(name, 0600), 0);
    ck_assert_int_eq(tl_load_file(NULL, NULL, name, NULL, &model, &test_error), TL_IO);
    ck_assert_ptr_nonnull(strstr(test_error.message, "is not a regular file"));
    ck_assert_ptr_null(model);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("external");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, finds_data);
    tcase_add_test(tests, unpacks_six_bits);
    tcase_add_test(tests, maps_a_file_once);
    tcase_add_test(tests, reads_what_cannot_be_mapped);
    tcase_add_test(tests, refuses_paths_out_of_the_folder);
    tcase_add_test(tests, refuses_links);
    tcase_add_test(tests, refuses_what_is_no_file);
    tcase_add_test(tests, refuses_places_out_of_the_file);
    tcase_add_test(tests, obeys_options);
    tcase_add_test(tests, follows_links_into_the_callers_folder);
    tcase_add_test(tests, looks_in_the_current_folder);
    tcase_add_test(tests, refuses_models_that_are_no_files);
    return run_case(tests, "external");
}
