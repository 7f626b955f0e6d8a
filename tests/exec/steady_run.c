/* Runs a model on zeros: once to make plans, then between the marks '<' and '>' on standard output a hundred times,
 * with shapes that the context has seen. exec.steady_run looks at the system calls between the marks. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "tapline/tapline.h"

static void check(tl_status status, const tl_error *error)
{
    if (status == TL_OK)
        return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

static void mark(char c)
{
    if (write(STDOUT_FILENO, &c, 1) != 1)
        exit(1);
}

int main(int count, char **arguments)
{
    tl_error error;
    tl_runtime *runtime;
    tl_session *session;
    tl_context *context;
    tl_value_info info;
    if (count != 2)
        return 2;
    check(tl_runtime_create(NULL, &runtime, &error), &error);
    check(tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error), &error);
    check(tl_session_open(runtime, arguments[1], NULL, &session, &error), &error);
    check(tl_context_create(session, &context, &error), &error);
    void *buffers[8] = {NULL};
    for (size_t k = 0; k < 8 && tl_session_input(session, k, &info); k++) {
        for (int32_t i = 0; i < info.tensor.rank; i++)
            if (info.tensor.dims[i] < 0)
                info.tensor.dims[i] = i == 0 ? 1 : 25;
        info.tensor.data = buffers[k] = calloc(1, (size_t)tl_tensor_bytes(&info.tensor));
        check(tl_context_set_input(context, k, &info.tensor, &error), &error);
    }
    check(tl_context_run(context, &error), &error);
    mark('<');
    for (int i = 0; i < 100; i++)
        check(tl_context_run(context, &error), &error);
    mark('>');
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    for (int k = 0; k < 8; k++)
        free(buffers[k]);
    return 0;
}
