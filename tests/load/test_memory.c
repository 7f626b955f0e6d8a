/* Every allocation refused in turn: loading fails cleanly, and gives back all that it took. */
#include <stdlib.h>
#include <string.h>
#include "load/tensor_file.h"
#include "common/memory.h"
#include "support.h"

START_TEST(fails_cleanly_at_every_allocation)
{
    const char *const files[] = {"data/tensors.onnx", "data/sparse.onnx", "data/functions.onnx", "data/bodies.onnx"};
    for (size_t f = 0; f < TL_COUNT(files); f++) {
        size_t failures = 0;
        tl_status status = TL_NO_MEMORY;
        for (long limit = 0; status != TL_OK; limit++) {
            refuse_after(limit, false);
            tl_model *model;
            test_error.message[0] = 0;
            status = tl_load_file(&test_allocator, NULL, files[f], NULL, &model, &test_error);
            if (status != TL_OK) {
                ck_assert_int_eq(status, TL_NO_MEMORY);
                ck_assert_ptr_null(model);
                ck_assert_int_eq(strncmp(test_error.message, files[f], strlen(files[f])), 0);
                ck_assert_ptr_nonnull(strstr(test_error.message, "memory"));
                failures++;
            }
            tl_model_free(model);
            ck_assert_int_eq(test_memory.live, 0);
        }
        ck_assert_uint_gt(failures, 3);
    }
}
END_TEST

START_TEST(fails_cleanly_with_values)
{
    const struct {
        const char *path;
        tl_kind kind;
    } files[] = {{"data/values/tensor.pb", TL_KIND_TENSOR},
                 {"data/values/sequence_of_sequences.pb", TL_KIND_SEQUENCE},
                 {"data/values/map.pb", TL_KIND_MAP},
                 {"data/values/optional_sequence.pb", TL_KIND_OPTIONAL}};
    for (size_t f = 0; f < TL_COUNT(files); f++) {
        tl_status status = TL_NO_MEMORY;
        for (long limit = 0; status != TL_OK; limit++) {
            refuse_after(limit, false);
            tl_tensor_file *file;
            const tl_file_value *value;
            status = tl_tensor_file_read(&test_allocator, files[f].path, files[f].kind, &file, &value, &test_error);
            ck_assert(status == TL_OK || status == TL_NO_MEMORY);
            tl_tensor_file_free(file);
            ck_assert_int_eq(test_memory.live, 0);
            ck_assert_int_lt(limit, 100);
        }
    }
}
END_TEST

/* The arenas hide most allocations behind a few large ones: here each is refused by a limit of its own. */
START_TEST(obeys_limits)
{
    tl_model *model;
    tl_status status = tl_load_file(NULL, NULL, "data/functions.onnx", &(tl_load_options){.max_model_bytes = 100},
                                    &model, &test_error);
    ck_assert_int_eq(status, TL_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(test_error.message, "more than the limit of 100"));
    status =
        tl_load_file(NULL, NULL, "data/tensors.onnx", &(tl_load_options){.max_tensor_bytes = 239}, &model, &test_error);
    ck_assert_int_eq(status, TL_NO_MEMORY); /* complex128[3,5] takes 240 */
    ck_assert_ptr_nonnull(strstr(test_error.message, "initializer 'complex128.typed'"));
    status =
        tl_load_file(NULL, NULL, "data/tensors.onnx", &(tl_load_options){.max_tensor_bytes = 240}, &model, &test_error);
    ck_assert_int_eq(status, TL_OK);
    tl_model_free(model);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("memory");
    tcase_add_test(tests, fails_cleanly_at_every_allocation);
    tcase_add_test(tests, fails_cleanly_with_values);
    tcase_add_test(tests, obeys_limits);
    return run_case(tests, "memory");
}
