/* libFuzzer: whatever the bytes are, opening them as a model ends in a session, folded, rewritten and packed, or in one
 * line of error, and leaks nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "tapline/tapline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tl_runtime *runtime;
    tl_error error;
    if (!runtime) {
        check(tl_runtime_create(NULL, &runtime, &error) == TL_OK);
        check(tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error) == TL_OK);
    }
    const tl_session_options options = {
        .size = sizeof options, .max_tensor_bytes = (size_t)1 << 20, .fold_limit = (size_t)1 << 20};
    tl_session *session;
    tl_status status = tl_session_open_memory(runtime, data, size, &options, &session, &error);
    if (status != TL_OK) {
        check(!session && error.status == status && error.message[0] && !strchr(error.message, '\n'));
        return 0;
    }
    tl_value_info info;
    for (size_t k = 0; k < tl_session_input_count(session); k++)
        check(tl_session_input(session, k, &info) && info.name[0]);
    for (size_t k = 0; k < tl_session_output_count(session); k++)
        check(tl_session_output(session, k, &info) && info.name[0]);
    tl_session_destroy(session);
    return 0;
}
