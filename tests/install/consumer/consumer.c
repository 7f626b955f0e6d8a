/* consumer MODEL [PLUGIN]: runs a model of one float input on a signal and prints what comes out. */
#include <tapline/tapline.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A name that the library has inside, too: the static library must not mind. */
int onnx__model_proto__unpack(void);
int onnx__model_proto__unpack(void)
{
    return 1;
}

static int give_up(const tl_error *error)
{
    fprintf(stderr, "error: %s\n", error->message);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    tl_error error = {TL_OK, ""};
    tl_runtime *runtime = NULL;
    tl_session *session = NULL;
    tl_context *context = NULL;
    tl_value_info info;
    tl_tensor input, output;
    if (argc < 2 || onnx__model_proto__unpack() != 1)
        return 2;
    if (tl_runtime_create(NULL, &runtime, &error) != TL_OK ||
        tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error) != TL_OK ||
        (argc > 2 && tl_plugin_load(runtime, argv[2], &error) != TL_OK) ||
        tl_session_open(runtime, argv[1], NULL, &session, &error) != TL_OK ||
        tl_context_create(session, &context, &error) != TL_OK)
        return give_up(&error);
    if (tl_session_input_count(session) != 1 || !tl_session_input(session, 0, &info))
        return 2;
    input = info.tensor;
    for (int32_t i = 0; i < input.rank; i++)
        if (input.dims[i] < 0)
            input.dims[i] = i == 0 ? 2 : 50;
    int64_t count = tl_tensor_elements(&input);
    if (count <= 0 || input.type != TL_FLOAT)
        return 2;
    float *signal = malloc((size_t)count * sizeof *signal);
    if (!signal)
        return 2;
    for (int64_t i = 0; i < count; i++)
        signal[i] = sinf((float)i);
    input.data = signal;
    if (tl_context_set_input(context, 0, &input, &error) != TL_OK || tl_context_run(context, &error) != TL_OK ||
        tl_context_output(context, 0, &output, &error) != TL_OK)
        return give_up(&error);
    printf("%s:", tl_version());
    for (int64_t i = 0; i < tl_tensor_elements(&output) && i < 8; i++)
        printf(" %.4f", (double)((const float *)output.data)[i]);
    printf("\n");
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    free(signal);
    return EXIT_SUCCESS;
}
