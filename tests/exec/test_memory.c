/* Memory refused at every allocation there is, once and from there on: whatever is done with a model ends in its result
 * or in "no memory", nothing is half-made, and all memory comes back. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "save/save.h"

static void check(tl_status status, const char *path)
{
    ck_assert_msg(status == TL_OK || status == TL_NO_MEMORY, "%s: %d, %s", path, (int)status, test_error.message);
    ck_assert_msg(status == TL_OK || (test_error.status == status && *test_error.message), "%s: no reason", path);
}

/* ---- Opening and running */

/* What the model leaves open is 3; zeros are good for indices and conditions as well. */
static tl_status set_zeros(tl_context *of, size_t k, tl_value_info info)
{
    static _Alignas(64) char zeros[1 << 16];
    tl_tensor tensor = info.tensor;
    for (int32_t i = 0; i < tensor.rank; i++)
        tensor.dims[i] = tensor.dims[i] < 0 ? 3 : tensor.dims[i];
    ck_assert(tl_tensor_bytes(&tensor) <= (int64_t)sizeof zeros);
    tensor.data = zeros;
    return tl_context_set_input(of, k, &tensor, &test_error);
}

static tl_status open_and_run(const char *path)
{
    tl_session *opened = NULL;
    tl_context *made = NULL;
    tl_value_info info;
    tl_status status = tl_session_open(runtime, path, NULL, &opened, &test_error);
    if (status == TL_OK)
        status = tl_context_create(opened, &made, &test_error);
    for (size_t k = 0; status == TL_OK && tl_session_input(opened, k, &info); k++)
        status = set_zeros(made, k, info);
    for (int runs = 0; runs < 2 && status == TL_OK; runs++)
        status = tl_context_run(made, &test_error);
    if (status != TL_OK && made) { /* it can be used again */
        tl_error why;
        refuse_nothing();
        ck_assert_msg(tl_context_run(made, &why) == TL_OK, "%s: %s", path, why.message);
    }
    tl_context_destroy(made);
    tl_session_destroy(opened);
    return status;
}

/* ---- Rewriting */

static char written[100];

static tl_status edit(const char *path, const char *rule)
{
    tl_edit *opened = NULL;
    size_t count;
    tl_status status = tl_edit_open(runtime, path, &opened, &test_error);
    if (status == TL_OK)
        status = rule ? tl_edit_apply(opened, rule, &count, &test_error) : tl_edit_lower(opened, &count, &test_error);
    if (status == TL_OK)
        status = tl_edit_write(opened, written, &test_error);
    ck_assert_msg((access(written, F_OK) == 0) == (status == TL_OK), "%s: a file and no success, or none", path);
    unlink(written);
    tl_edit_close(opened);
    return status;
}

static tl_status lower(const char *path)
{
    return edit(path, NULL);
}

static tl_status fuse(const char *path)
{
    return edit(path, "separable_conv1d.fuse");
}

/* ---- The models */

typedef struct subject {
    tl_status (*work)(const char *path);
    const char *path;
} subject;

static const subject subjects[] = {
    {open_and_run, "../load/data/functions.onnx"},
    {open_and_run, "../load/data/bodies.onnx"}, /* If, Scan */
    {open_and_run, "../cli/models/sequence.onnx"},
    {open_and_run, "../cli/models/separable.onnx"}, /* an operator of a plugin */
    {open_and_run, "../quantized/cases/keyword_s8s8_by_channel/model.onnx"},
    {open_and_run, "../quantized/cases/plane_dynamic_u8/model.onnx"},
    {open_and_run, "../quantized/cases/pool_operators_u8s8_by_channel/model.onnx"},
    {open_and_run, "../save/data/fuse/pair_in_loop/model.onnx"},
    {open_and_run, "../save/data/lower/nested_functions/model.onnx"},
    {open_and_run, "../../models/exporters/keras_jax/gru_default_dynamic/model.onnx"}, /* Loop */
    {open_and_run, "../../models/exporters/dynamo/attention_18_fixed/model.onnx"},
    {open_and_run, "../../models/exporters/dynamo/gru_18_fixed/model.onnx"},
    {lower, "../save/data/lower/nested_functions/model.onnx"},
    {lower, "../save/data/lower/channels_disagree/model.onnx"},
    {lower, "../save/data/lower/branches_deep/model.onnx"},
    {fuse, "../save/data/fuse/split_pair/model.onnx"},
    {fuse, "../save/data/fuse/pair_in_loop/model.onnx"},
    {fuse, "../save/data/fuse/pair_with_constants/model.onnx"},
};

START_TEST(refused_at_any_moment)
{
    const subject *s = &subjects[_i];
    ck_assert_int_eq(tl_plugin_register(runtime, tl_plugin_separable_conv1d, &test_error), TL_OK);
    char folder[] = P_tmpdir "/tapline-test-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(written, sizeof written, "%s/model.onnx", folder);
    for (int once = 0; once < 2; once++) {
        long most = 0;
        do {
            ck_assert_int_lt(most, 100000);
            const long before = test_memory.live;
            refuse_after(most++, once);
            check(s->work(s->path), s->path);
            ck_assert_msg(test_memory.live == before, "%s: %ld allocations are left", s->path,
                          test_memory.live - before);
        } while (test_memory.refused);
        ck_assert_int_gt(most, 10);
    }
    refuse_nothing();
    rmdir(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *cases = tcase_create("memory");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_loop_test(cases, refused_at_any_moment, 0, TL_COUNT(subjects));
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
