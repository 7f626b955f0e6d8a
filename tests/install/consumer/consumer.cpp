// The same from C++: the headers compile, the names link, and an error comes back as a status, not as an exception.
#include <tapline/plugin.h>
#include <tapline/tapline.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

namespace
{
struct destroyer {
    void operator()(tl_runtime *runtime) const
    {
        tl_runtime_destroy(runtime);
    }
    void operator()(tl_session *session) const
    {
        tl_session_destroy(session);
    }
    void operator()(tl_context *context) const
    {
        tl_context_destroy(context);
    }
};

template <typename T> using owned = std::unique_ptr<T, destroyer>;

int give_up(const tl_error &error)
{
    std::fprintf(stderr, "error: %s\n", error.message);
    return 1;
}
} // namespace

int main(int argc, char **argv)
{
    tl_error error = {};
    tl_runtime *runtime = nullptr;
    tl_session *session = nullptr;
    tl_context *context = nullptr;
    if (argc < 2)
        return 2;
    tl_runtime_options options = {};
    options.size = sizeof options;
    options.threads = 2;
    if (tl_runtime_create(&options, &runtime, &error) != TL_OK)
        return give_up(error);
    owned<tl_runtime> keep_runtime(runtime);
    if (tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error) != TL_OK ||
        (argc > 2 && tl_plugin_load(runtime, argv[2], &error) != TL_OK))
        return give_up(error);
    if (tl_session_open(runtime, "/there/is/no/model", nullptr, &session, &error) == TL_OK || session)
        return 2;
    if (tl_session_open(runtime, argv[1], nullptr, &session, &error) != TL_OK)
        return give_up(error);
    owned<tl_session> keep_session(session);
    if (tl_context_create(session, &context, &error) != TL_OK)
        return give_up(error);
    owned<tl_context> keep_context(context);
    tl_value_info info = {};
    if (!tl_session_input(session, 0, &info) || info.tensor.type != TL_FLOAT)
        return 2;
    tl_tensor input = info.tensor, output = {};
    for (int32_t i = 0; i < input.rank; i++)
        if (input.dims[i] < 0)
            input.dims[i] = i == 0 ? 2 : 50;
    std::vector<float> signal(static_cast<size_t>(tl_tensor_elements(&input)));
    for (size_t i = 0; i < signal.size(); i++)
        signal[i] = std::sin(static_cast<float>(i));
    input.data = signal.data();
    if (tl_context_set_input(context, 0, &input, &error) != TL_OK || tl_context_run(context, &error) != TL_OK ||
        tl_context_output(context, 0, &output, &error) != TL_OK)
        return give_up(error);
    std::printf("%s:", tl_version());
    for (int64_t i = 0; i < tl_tensor_elements(&output) && i < 8; i++)
        std::printf(" %.4f", static_cast<double>(static_cast<const float *>(output.data)[i]));
    std::printf("\n");
    return 0;
}
