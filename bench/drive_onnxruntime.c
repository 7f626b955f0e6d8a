/* ONNX Runtime, by its C API: inputs and outputs bound once, so that a run is one call without copies. */
#include <dlfcn.h>

#include <onnxruntime_c_api.h>

#include "driver.h"

static const OrtApi *ort;
static OrtEnv *environment;
static OrtSessionOptions *options;
static OrtSession *session;
static OrtIoBinding *binding;
static OrtValue **outputs;
static size_t output_count;

static void check(OrtStatus *status)
{
    if (status != NULL)
        fail("%s", ort->GetErrorMessage(status));
}

static void open_engine(const char *library, int threads)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    const OrtApiBase *(*get_base)(void) = (const OrtApiBase *(*)(void))function_of(handle, "OrtGetApiBase");
    ort = get_base()->GetApi(ORT_API_VERSION);
    if (ort == NULL)
        fail("%s is older than the headers", library);
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "bench", &environment));
    check(ort->CreateSessionOptions(&options));
    check(ort->SetIntraOpNumThreads(options, threads));
    check(ort->SetInterOpNumThreads(options, 1));
}

static void load(const char *model)
{
    check(ort->CreateSession(environment, model, options, &session));
}

/* The first run allocates the outputs; they are bound for all others. */
static void bind_inputs(const tensor *inputs, size_t count)
{
    OrtMemoryInfo *memory = NULL;
    OrtAllocator *allocator = NULL;
    check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    check(ort->CreateIoBinding(session, &binding));
    for (size_t i = 0; i < count; i++) {
        OrtValue *value = NULL;
        check(ort->CreateTensorWithDataAsOrtValue(memory, inputs[i].data, inputs[i].bytes, inputs[i].dims,
                                                  (size_t)inputs[i].rank, (ONNXTensorElementDataType)inputs[i].type,
                                                  &value));
        check(ort->BindInput(binding, inputs[i].name, value));
    }
    char *name = NULL;
    check(ort->SessionGetOutputCount(session, &output_count));
    for (size_t i = 0; i < output_count; i++) {
        check(ort->SessionGetOutputName(session, i, allocator, &name));
        check(ort->BindOutputToDevice(binding, name, memory));
    }
}

static void bind_outputs(void)
{
    OrtAllocator *allocator = NULL;
    char *name = NULL;
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    check(ort->GetBoundOutputValues(binding, allocator, &outputs, &output_count));
    ort->ClearBoundOutputs(binding);
    for (size_t i = 0; i < output_count; i++) {
        check(ort->SessionGetOutputName(session, i, allocator, &name));
        check(ort->BindOutput(binding, name, outputs[i]));
    }
}

static void run(void)
{
    check(ort->RunWithBinding(session, NULL, binding));
    if (outputs == NULL)
        bind_outputs();
}

static void output(const void **data, size_t *bytes)
{
    void *elements = NULL;
    OrtTensorTypeAndShapeInfo *info = NULL;
    check(ort->GetTensorMutableData(outputs[0], &elements));
    check(ort->GetTensorTypeAndShape(outputs[0], &info));
    check(ort->GetTensorShapeElementCount(info, bytes));
    *bytes *= sizeof(float); /* compare.py looks at floats only */
    *data = elements;
}

const engine driven = {open_engine, load, bind_inputs, run, output};
