/* Binarizer: 1 above a threshold, else 0. */
#include "onnx/elementwise.h"
#include "onnx_ml/ml.h"

#define KERNEL(name, type)                                                       \
    static void name(const void *px, void *py, int64_t n, const void *parameter) \
    {                                                                            \
        const double threshold = (double)*(const float *)parameter;              \
        const type *x = px;                                                      \
        type *y = py;                                                            \
        for (int64_t i = 0; i < n; i++)                                          \
            y[i] = (double)x[i] > threshold;                                     \
    }
KERNEL(binarize_f32, float)
KERNEL(binarize_f64, double)
KERNEL(binarize_i64, int64_t)

static tl_status binarizer_run(tl_call *call)
{
    static const op_unary binarizer = {.kernels = {binarize_f32, binarize_f64, binarize_i64}};
    const float threshold = op_float(call, "threshold");
    return op_unary_run(call, &binarizer, &threshold);
}

static const tl_param binarizer_input[] = {OP_IN("X", ML_NUMBERS, 'T')};
static const tl_param binarizer_output[] = {OP_IN("Y", ML_NUMBERS, 'T')};
static const tl_attribute_spec binarizer_attribute[] = {OP_FLOAT("threshold", 0)};

OP_DESCRIPTOR(Binarizer, 1) = {ML_HEAD(Binarizer, 1),
                               .flags = TL_OP_ELEMENTWISE,
                               OP_PARAMS(input, binarizer_input),
                               OP_PARAMS(output, binarizer_output),
                               OP_PARAMS(attribute, binarizer_attribute),
                               .run = binarizer_run};
