/* What ONNX Runtime calls when the library is registered with a session's options.
 *
 * What ONNX Runtime's API does not let a library see: attributes that the operator does not know, and the version of
 * the domain that a model imports. And what it does by itself: releases up to 1.22 crash in their own code while
 * inferring shapes if a model names an absent bias "" instead of leaving it out; 1.32 does not. */
#include <pthread.h>
#include <stdio.h>
#include "onnxruntime/ort.h"

__attribute__((visibility("default"))) OrtStatus *ORT_API_CALL RegisterCustomOps(OrtSessionOptions *options,
                                                                                 const OrtApiBase *base);

OrtStatus *ort_fail(const OrtApi *api, tl_status status, const char *node, const char *text)
{
    char line[800];
    const OrtErrorCode code = status == TL_INVALID_MODEL   ? ORT_INVALID_GRAPH
                              : status == TL_INVALID_INPUT ? ORT_INVALID_ARGUMENT
                                                           : ORT_FAIL;
    snprintf(line, sizeof line, "%s%s%s%s: %s", SEPCONV_NAME, node[0] != '\0' ? " '" : "", node,
             node[0] != '\0' ? "'" : "", text);
    return api->CreateStatus(code, line);
}

static const char *ORT_API_CALL get_name(const OrtCustomOp *op)
{
    (void)op;
    return SEPCONV_NAME;
}

static const char *ORT_API_CALL get_provider(const OrtCustomOp *op)
{
    (void)op;
    return NULL; /* the CPU */
}

/* ONNX Runtime merges operators of one name that differ in their types. Its numbers of types are the standard's. */
typedef struct typed_op {
    OrtCustomOp op;
    ONNXTensorElementDataType type;
} typed_op;

static ONNXTensorElementDataType ORT_API_CALL get_type(const OrtCustomOp *op, size_t k)
{
    (void)k;
    return ((const typed_op *)op)->type;
}

static size_t ORT_API_CALL count_inputs(const OrtCustomOp *op)
{
    (void)op;
    return SEPCONV_INPUTS;
}

static size_t ORT_API_CALL count_outputs(const OrtCustomOp *op)
{
    (void)op;
    return 1;
}

static OrtCustomOpInputOutputCharacteristic ORT_API_CALL get_input_form(const OrtCustomOp *op, size_t k)
{
    (void)op;
    return k == SEPCONV_BIAS ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
}

static OrtCustomOpInputOutputCharacteristic ORT_API_CALL get_output_form(const OrtCustomOp *op, size_t k)
{
    (void)op;
    (void)k;
    return INPUT_OUTPUT_REQUIRED;
}

static OrtMemType ORT_API_CALL get_memory(const OrtCustomOp *op, size_t k)
{
    (void)op;
    (void)k;
    return OrtMemTypeDefault;
}

static int ORT_API_CALL get_arity(const OrtCustomOp *op)
{
    (void)op;
    return 0;
}

static int ORT_API_CALL get_version(const OrtCustomOp *op)
{
    (void)op;
    return SEPCONV_VERSION;
}

#define TYPED_OP(TYPE)                                      \
    {                                                       \
        .op =                                               \
            {                                               \
                .version = ORT_API_NEEDED,                  \
                .GetName = get_name,                        \
                .GetExecutionProviderType = get_provider,   \
                .GetInputType = get_type,                   \
                .GetInputTypeCount = count_inputs,          \
                .GetOutputType = get_type,                  \
                .GetOutputTypeCount = count_outputs,        \
                .KernelDestroy = ort_destroy,               \
                .GetInputCharacteristic = get_input_form,   \
                .GetOutputCharacteristic = get_output_form, \
                .GetInputMemoryType = get_memory,           \
                .GetVariadicInputMinArity = get_arity,      \
                .GetVariadicInputHomogeneity = get_arity,   \
                .GetVariadicOutputMinArity = get_arity,     \
                .GetVariadicOutputHomogeneity = get_arity,  \
                .CreateKernelV2 = ort_create,               \
                .KernelComputeV2 = ort_compute,             \
                .InferOutputShapeFn = ort_infer,            \
                .GetStartVersion = get_version,             \
                .GetEndVersion = get_version,               \
            },                                              \
        .type = TYPE                                        \
    }

static const typed_op custom_ops[] = {
    TYPED_OP(ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT),
    TYPED_OP(ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE),
    TYPED_OP(ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16),
    TYPED_OP(ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16),
};

/* One domain for the whole process: sessions refer to it, and nothing tells when the last of them is gone. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static OrtCustomOpDomain *domain;

static OrtStatus *make_domain(const OrtApi *api)
{
    OrtCustomOpDomain *made = NULL;
    OrtStatus *error = NULL;
    pthread_mutex_lock(&lock);
    if (domain == NULL) {
        ort_infer_api = api;
        error = api->CreateCustomOpDomain(SEPCONV_DOMAIN, &made);
        for (size_t i = 0; i < sizeof custom_ops / sizeof *custom_ops && error == NULL; i++)
            error = api->CustomOpDomain_Add(made, &custom_ops[i].op);
        if (error == NULL)
            domain = made;
        else if (made != NULL)
            api->ReleaseCustomOpDomain(made);
    }
    pthread_mutex_unlock(&lock);
    return error;
}

/* The same options, registered again, would make ONNX Runtime refuse the session: an entry in them remembers. */
#define REGISTERED "tapline.registered"

OrtStatus *ORT_API_CALL RegisterCustomOps(OrtSessionOptions *options, const OrtApiBase *base)
{
    char line[160];
    int registered = 0;
    const OrtApi *api = base->GetApi(ORT_API_NEEDED);
    if (api == NULL) {
        api = base->GetApi(1);
        if (api == NULL)
            return NULL; /* no function to make a status with; the model's operator will be found missing */
        snprintf(line, sizeof line, "libtapline_onnxruntime needs ONNX Runtime 1.%d or newer, this is %s",
                 ORT_API_NEEDED, base->GetVersionString());
        return api->CreateStatus(ORT_NOT_IMPLEMENTED, line);
    }
    OrtStatus *error = make_domain(api);
    if (error == NULL)
        error = api->HasSessionConfigEntry(options, REGISTERED, &registered);
    if (error != NULL || registered != 0)
        return error;
    error = api->AddCustomOpDomain(options, domain);
    return error != NULL ? error : api->AddSessionConfigEntry(options, REGISTERED, "1");
}
