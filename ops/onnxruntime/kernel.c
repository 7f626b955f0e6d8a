/* The operator's kernel inside ONNX Runtime: made once for a node, run by any number of threads. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "onnxruntime/ort.h"

enum {
    ALIGNMENT = 64,
    MOST_SHARES = 64,
    SMALL = 1 << 16 /* multiplications below which other threads only cost time */
};

typedef struct ort_kernel {
    const OrtApi *api;
    OrtMemoryInfo *memory;
    sepconv_params params;
    void *packed; /* the weights in the kernels' own order, or NULL: each run packs */
    char name[128];
} ort_kernel;

/* ---- Making
 * ------------------------------------------------------------------------------------------------------------ */

void ORT_API_CALL ort_destroy(void *kernel)
{
    ort_kernel *own = kernel;
    if (own == NULL)
        return;
    if (own->memory != NULL)
        own->api->ReleaseMemoryInfo(own->memory);
    free(own->packed);
    free(own);
}

static bool succeeds(const OrtApi *api, OrtStatus *status)
{
    if (status != NULL)
        api->ReleaseStatus(status);
    return status == NULL;
}

/* Type and shape of input k as the graph knows it; false: it is not there. */
static bool known_input(const OrtApi *api, const OrtKernelInfo *info, size_t k, tl_tensor *tensor)
{
    OrtTypeInfo *type = NULL;
    const OrtTensorTypeAndShapeInfo *shape = NULL;
    *tensor = (tl_tensor){.rank = TL_RANK_UNKNOWN};
    if (!succeeds(api, api->KernelInfo_GetInputTypeInfo(info, k, &type)))
        return false;
    if (!succeeds(api, api->CastTypeInfoToTensorInfo(type, &shape)) || shape == NULL ||
        !ort_tensor(api, shape, tensor) || tensor->rank == 0)
        tensor->rank = TL_RANK_UNKNOWN;
    api->ReleaseTypeInfo(type);
    return true;
}

/* A constant input's elements; NULL: it is computed. Its shape is surely known. */
static const void *constant_input(const OrtApi *api, const OrtKernelInfo *info, size_t k, tl_tensor *tensor)
{
    const OrtValue *value = NULL;
    OrtTensorTypeAndShapeInfo *shape = NULL;
    void *data = NULL;
    int constant = 0;
    if (!succeeds(api, api->KernelInfoGetConstantInput_tensor(info, k, &constant, &value)) || constant == 0 ||
        value == NULL || !succeeds(api, api->GetTensorTypeAndShape(value, &shape)))
        return NULL;
    const bool good = ort_tensor(api, shape, tensor);
    api->ReleaseTensorTypeAndShapeInfo(shape);
    if (!good || !succeeds(api, api->GetTensorMutableData((OrtValue *)(uintptr_t)value, &data)))
        return NULL;
    return data;
}

static tl_status pack(ort_kernel *kernel, const sepconv_shape *shape, tl_type type, const sepconv_weights *weights,
                      sepconv_text *why)
{
    sepconv_engine engine;
    sepconv_engine_init(&engine, &kernel->params, shape, type);
    const sepconv_size packed = sepconv_packed_size(&engine);
    const sepconv_size packing = sepconv_packing_size(&engine);
    if (packed.overflow || packing.overflow)
        return sepconv_fail(why, TL_NO_MEMORY, "the size of the packed weights overflows");
    void *scratch = packing.bytes > 0 ? aligned_alloc(ALIGNMENT, packing.bytes) : NULL;
    kernel->packed = aligned_alloc(ALIGNMENT, packed.bytes);
    const bool refused = kernel->packed == NULL || (packing.bytes > 0 && scratch == NULL);
    if (!refused)
        sepconv_pack(&engine, weights, kernel->packed, scratch);
    free(scratch);
    return refused ? sepconv_fail(why, TL_NO_MEMORY, "no memory for %zu bytes of packed weights", packed.bytes) : TL_OK;
}

static tl_status fill(ort_kernel *kernel, const OrtKernelInfo *info, sepconv_text *why)
{
    const OrtApi *api = kernel->api;
    ort_texts texts;
    sepconv_attributes attributes;
    sepconv_shape shape;
    tl_tensor tensors[SEPCONV_INPUTS];
    const tl_tensor *inputs[SEPCONV_INPUTS] = {NULL};
    const void *data[SEPCONV_INPUTS] = {NULL};
    size_t count = 0;
    if (!succeeds(api, api->KernelInfo_GetInputCount(info, &count)))
        return sepconv_fail(why, TL_INTERNAL, "ONNX Runtime does not tell the number of inputs");
    if (count < SEPCONV_BIAS || count > SEPCONV_INPUTS)
        return sepconv_fail(why, TL_INVALID_MODEL, "%zu inputs, must be 3 or 4", count);
    for (size_t k = 0; k < count; k++) {
        if (known_input(api, info, k, &tensors[k]))
            inputs[k] = &tensors[k];
        else if (k != SEPCONV_BIAS)
            return sepconv_fail(why, TL_INVALID_MODEL, "input '%s' is absent", sepconv_inputs[k].name);
        if (k != SEPCONV_X && inputs[k] != NULL)
            data[k] = constant_input(api, info, k, &tensors[k]);
    }
    tl_status status = ort_check_types(inputs, why);
    if (status == TL_OK)
        status = ort_kernel_attributes(api, info, &texts, &attributes, why);
    if (status == TL_OK)
        status = sepconv_parse(&attributes, &kernel->params, why);
    if (status == TL_OK)
        status = sepconv_shape_find(&kernel->params, inputs, TL_INVALID_MODEL, &shape, why);
    const bool constant = data[SEPCONV_DEPTHWISE] != NULL && data[SEPCONV_POINTWISE] != NULL &&
                          (inputs[SEPCONV_BIAS] == NULL || data[SEPCONV_BIAS] != NULL);
    if (status != TL_OK || !constant || tensors[SEPCONV_X].type == TL_UNDEFINED)
        return status;
    const sepconv_weights weights = {data[SEPCONV_DEPTHWISE], data[SEPCONV_POINTWISE], data[SEPCONV_BIAS]};
    return pack(kernel, &shape, tensors[SEPCONV_X].type, &weights, why);
}

OrtStatus *ORT_API_CALL ort_create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **kernel)
{
    sepconv_text why = {""};
    (void)op;
    *kernel = NULL;
    ort_kernel *made = calloc(1, sizeof *made);
    if (made == NULL)
        return ort_fail(api, TL_NO_MEMORY, "", "no memory for the kernel");
    made->api = api;
    size_t size = sizeof made->name;
    if (!succeeds(api, api->KernelInfo_GetNodeName(info, made->name, &size)))
        made->name[0] = '\0';
    OrtStatus *error = api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &made->memory);
    if (error == NULL) {
        const tl_status status = fill(made, info, &why);
        if (status != TL_OK)
            error = ort_fail(api, status, made->name, why.line);
    }
    if (error != NULL)
        ort_destroy(made);
    else
        *kernel = made;
    return error;
}

/* ---- Running
 * ----------------------------------------------------------------------------------------------------------- */

/* One run's way to ONNX Runtime's threads: they are not numbered, so that each share of the work has a number. */
typedef struct ort_run {
    const OrtApi *api;
    OrtKernelContext *context;
    int32_t shares;
    tl_task task;
    void *task_context;
    int64_t range, grain;
    atomic_bool failed;
} ort_run;

static void do_share(void *context, size_t number)
{
    const ort_run *run = context;
    const int64_t pieces = (run->range - 1) / run->grain + 1;
    const int64_t begin = pieces * (int64_t)number / run->shares * run->grain;
    int64_t end = pieces * ((int64_t)number + 1) / run->shares * run->grain;
    if (end > run->range)
        end = run->range;
    for (int64_t i = begin; i < end; i += run->grain)
        run->task(run->task_context, i, end - i < run->grain ? end : i + run->grain, (int32_t)number);
}

static void parallel(void *host, tl_task task, void *context, int64_t range, int64_t grain)
{
    ort_run *run = host;
    run->task = task;
    run->task_context = context;
    run->range = range;
    run->grain = grain;
    if (run->shares == 1) {
        do_share(run, 0);
        return;
    }
    if (!succeeds(run->api, run->api->KernelContext_ParallelFor(run->context, do_share, (size_t)run->shares,
                                                                (size_t)run->shares, run)))
        atomic_store(&run->failed, true);
}

/* Shares of the work: as many as there are processors, as the API does not tell how many threads a session has. */
static int32_t count_shares(const sepconv_params *params, const sepconv_shape *shape)
{
    const double work = (double)shape->batch * (double)shape->output_length * (double)shape->depthwise_channels *
                        (double)(shape->kernel_size + shape->filters);
    (void)params;
    if (work < SMALL)
        return 1;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors > MOST_SHARES ? MOST_SHARES : (int32_t)processors;
}

/* The inputs of a run; `values` NULL where absent. */
static OrtStatus *get_inputs(const ort_kernel *kernel, const OrtKernelContext *context,
                             tl_tensor tensors[SEPCONV_INPUTS], const tl_tensor *inputs[SEPCONV_INPUTS])
{
    const OrtApi *api = kernel->api;
    size_t count = 0;
    OrtStatus *error = api->KernelContext_GetInputCount(context, &count);
    for (size_t k = 0; k < SEPCONV_INPUTS && error == NULL; k++) {
        const OrtValue *value = NULL;
        OrtTensorTypeAndShapeInfo *shape = NULL;
        inputs[k] = NULL;
        if (k < count)
            error = api->KernelContext_GetInput(context, k, &value);
        if (error != NULL || value == NULL)
            continue;
        error = api->GetTensorTypeAndShape(value, &shape);
        if (error != NULL)
            break;
        const bool good = ort_tensor(api, shape, &tensors[k]);
        api->ReleaseTensorTypeAndShapeInfo(shape);
        if (!good)
            return ort_fail(api, TL_INTERNAL, kernel->name, "ONNX Runtime does not tell an input's shape");
        error = api->GetTensorMutableData((OrtValue *)(uintptr_t)value, &tensors[k].data);
        inputs[k] = &tensors[k];
    }
    for (size_t k = 0; k < SEPCONV_BIAS && error == NULL; k++)
        if (inputs[k] == NULL)
            return ort_fail(api, TL_INVALID_INPUT, kernel->name, "an input is absent");
    return error;
}

static OrtStatus *compute(const ort_kernel *kernel, OrtKernelContext *context, const sepconv_shape *shape,
                          const tl_tensor *const inputs[SEPCONV_INPUTS], void *y)
{
    const OrtApi *api = kernel->api;
    sepconv_engine engine;
    OrtAllocator *allocator = NULL;
    void *room = NULL;
    ort_run run = {.api = api, .context = context, .shares = count_shares(&kernel->params, shape)};
    sepconv_engine_init(&engine, &kernel->params, shape, inputs[SEPCONV_X]->type);
    const sepconv_size size = sepconv_workspace_size(&engine, shape, run.shares, kernel->packed != NULL);
    if (size.overflow || size.bytes > SIZE_MAX - ALIGNMENT)
        return ort_fail(api, TL_NO_MEMORY, kernel->name, "the size of the working memory overflows");
    OrtStatus *error = api->KernelContext_GetAllocator(context, kernel->memory, &allocator);
    if (error != NULL)
        return error;
    error = api->AllocatorAlloc(allocator, size.bytes + ALIGNMENT, &room);
    if (error == NULL && room == NULL)
        error = ort_fail(api, TL_NO_MEMORY, kernel->name, "no working memory");
    if (error == NULL) {
        const sepconv_job job = {
            .engine = &engine,
            .shape = shape,
            .packed = kernel->packed,
            .weights = {inputs[SEPCONV_DEPTHWISE]->data, inputs[SEPCONV_POINTWISE]->data,
                        inputs[SEPCONV_BIAS] != NULL ? inputs[SEPCONV_BIAS]->data : NULL},
            .x = inputs[SEPCONV_X]->data,
            .y = y,
            .workspace = (void *)(((uintptr_t)room + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT),
            .threads = run.shares,
        };
        sepconv_compute(&job, parallel, &run);
        error = api->AllocatorFree(allocator, room);
    }
    api->ReleaseAllocator(allocator);
    if (error == NULL && atomic_load(&run.failed))
        error = ort_fail(api, TL_INTERNAL, kernel->name, "ONNX Runtime's threads refuse the work");
    return error;
}

OrtStatus *ORT_API_CALL ort_compute(void *kernel, OrtKernelContext *context)
{
    const ort_kernel *own = kernel;
    const OrtApi *api = own->api;
    tl_tensor tensors[SEPCONV_INPUTS];
    const tl_tensor *inputs[SEPCONV_INPUTS];
    tl_tensor y;
    OrtValue *output = NULL;
    sepconv_shape shape;
    sepconv_text why = {""};
    void *data = NULL;
    OrtStatus *error = get_inputs(own, context, tensors, inputs);
    if (error != NULL)
        return error;
    tl_status status = ort_check_types(inputs, &why);
    if (status == TL_OK)
        status = sepconv_shape_find(&own->params, inputs, TL_INVALID_INPUT, &shape, &why);
    if (status != TL_OK)
        return ort_fail(api, status, own->name, why.line);
    sepconv_output(&own->params, &shape, &y);
    error = api->KernelContext_GetOutput(context, 0, y.dims, 3, &output);
    if (error == NULL)
        error = api->GetTensorMutableData(output, &data);
    if (error != NULL || shape.batch == 0 || shape.output_length == 0)
        return error;
    return compute(own, context, &shape, inputs, data);
}
