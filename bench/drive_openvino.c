/* OpenVINO, by its C API. Its Python package has the library but no headers: the few declarations that are needed are
 * here, as its reference manual has them. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"

typedef struct ov_shape {
    int64_t rank;
    int64_t *dims;
} ov_shape;

static struct {
    int (*core_create)(void **core);
    int (*compile)(const void *core, const char *model, const char *device, size_t arguments, void **compiled, ...);
    int (*create_request)(const void *compiled, void **request);
    int (*get_tensor)(const void *request, const char *name, void **tensor);
    int (*get_output)(const void *request, size_t index, void **tensor);
    int (*set_shape)(void *tensor, ov_shape shape);
    int (*data)(const void *tensor, void **data);
    int (*byte_size)(const void *tensor, size_t *bytes);
    int (*infer)(void *request);
    const char *(*last_error)(void);
} ov;
static void *core;
static void *request;
static int thread_count;

static void check(int status)
{
    if (status != 0)
        fail("OpenVINO says %d: %s", status, ov.last_error == NULL ? "" : ov.last_error());
}

static void open_engine(const char *library, int threads)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
    *(void **)&ov.core_create = function_of(handle, "ov_core_create");
    *(void **)&ov.compile = function_of(handle, "ov_core_compile_model_from_file");
    *(void **)&ov.create_request = function_of(handle, "ov_compiled_model_create_infer_request");
    *(void **)&ov.get_tensor = function_of(handle, "ov_infer_request_get_tensor");
    *(void **)&ov.get_output = function_of(handle, "ov_infer_request_get_output_tensor_by_index");
    *(void **)&ov.set_shape = function_of(handle, "ov_tensor_set_shape");
    *(void **)&ov.data = function_of(handle, "ov_tensor_data");
    *(void **)&ov.byte_size = function_of(handle, "ov_tensor_get_byte_size");
    *(void **)&ov.infer = function_of(handle, "ov_infer_request_infer");
    *(void **)&ov.last_error = dlsym(handle, "ov_get_last_err_msg");
    check(ov.core_create(&core));
    thread_count = threads;
}

/* In float, as the others compute: on some machines its own choice would be bfloat16. */
static void load(const char *model)
{
    char threads[16];
    void *compiled = NULL;
    snprintf(threads, sizeof threads, "%d", thread_count);
    check(ov.compile(core, model, "CPU", 6, &compiled, "INFERENCE_NUM_THREADS", threads, "PERFORMANCE_HINT", "LATENCY",
                     "INFERENCE_PRECISION_HINT", "f32"));
    check(ov.create_request(compiled, &request));
}

static void bind_inputs(const tensor *inputs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *input = NULL;
        void *data = NULL;
        size_t bytes = 0;
        int64_t dims[MAX_RANK];
        memcpy(dims, inputs[i].dims, sizeof dims);
        check(ov.get_tensor(request, inputs[i].name, &input));
        check(ov.set_shape(input, (ov_shape){inputs[i].rank, dims}));
        check(ov.data(input, &data));
        check(ov.byte_size(input, &bytes));
        if (bytes != inputs[i].bytes)
            fail("%s: OpenVINO wants %zu bytes", inputs[i].name, bytes);
        memcpy(data, inputs[i].data, bytes);
    }
}

static void run(void)
{
    check(ov.infer(request));
}

static void output(const void **data, size_t *bytes)
{
    void *first = NULL;
    void *elements = NULL;
    check(ov.get_output(request, 0, &first));
    check(ov.data(first, &elements));
    check(ov.byte_size(first, bytes));
    *data = elements;
}

const engine driven = {open_engine, load, bind_inputs, run, output};
