/* Dropout, as inference has it: the data as it is, and a mask of ones. */
#include "onnx/nn.h"

#define FLOAT8_TYPES  (TL_T(TL_FLOAT8E4M3FN) | TL_T(TL_FLOAT8E4M3FNUZ) | TL_T(TL_FLOAT8E5M2) | TL_T(TL_FLOAT8E5M2FNUZ))
#define DROPOUT_TYPES (TL_T_FLOATS | FLOAT8_TYPES)

static tl_status dropout_reshape(tl_call *call)
{
    for (size_t k = 0; k < call->output_count; k++)
        if (call->outputs[k])
            op_copy_shape(call->outputs[k], call->inputs[0]);
    if (call->host->node_version(call->node) < 7 && op_int(call, "is_test") == 0)
        return tl_fail(call, TL_UNSUPPORTED, "is_test is 0: training is not supported");
    return TL_OK;
}

/* Training drops elements at random, unless the ratio is 0. */
static tl_status check_inference(const tl_call *call)
{
    const tl_tensor *ratio = op_input(call, 1), *training = op_input(call, 2);
    if (!training || op_elements(training) == 0 || *(const uint8_t *)training->data == 0)
        return TL_OK;
    bool zero = false; /* the default is one half */
    if (ratio && op_elements(ratio) > 0)
        zero = (TL_T(ratio->type) & FLOAT8_TYPES) ? *(const uint8_t *)ratio->data == 0 : nn_element(ratio, 0) == 0;
    if (!zero)
        return tl_fail(call, TL_UNSUPPORTED,
                       "training_mode is true with a ratio other than 0: training is not supported");
    return TL_OK;
}

static void fill_ones(const tl_tensor *mask)
{
    static const uint16_t half_one = 0x3C00, bfloat_one = 0x3F80;
    static const float float_one = 1;
    static const double double_one = 1;
    static const uint8_t byte_one = 1;
    const void *one = mask->type == TL_FLOAT      ? (const void *)&float_one
                      : mask->type == TL_DOUBLE   ? (const void *)&double_one
                      : mask->type == TL_FLOAT16  ? (const void *)&half_one
                      : mask->type == TL_BFLOAT16 ? (const void *)&bfloat_one
                                                  : (const void *)&byte_one;
    size_t size = nn_type_size(mask->type);
    for (int64_t i = 0, n = op_elements(mask); i < n; i++)
        memcpy((char *)mask->data + (size_t)i * size, one, size);
}

static tl_status dropout_run(tl_call *call)
{
    const tl_tensor *data = call->inputs[0], *mask = op_output(call, 1);
    tl_status status = check_inference(call);
    if (status != TL_OK)
        return status;
    if (call->outputs[0]->data != data->data)
        memcpy(call->outputs[0]->data, data->data, (size_t)op_elements(data) * nn_type_size(data->type));
    if (mask)
        fill_ones(mask);
    return TL_OK;
}

static const tl_param dropout_input_1[] = {OP_IN("data", TL_T_FLOATS, 'T')};
static const tl_param dropout_output_1[] = {OP_IN("output", TL_T_FLOATS, 'T'), OP_OPT("mask", TL_T_FLOATS, 'T')};
static const tl_param dropout_output_10[] = {OP_IN("output", TL_T_FLOATS, 'T'), OP_OPT("mask", TL_T(TL_BOOL), 0)};
static const tl_param dropout_input_12[] = {OP_IN("data", DROPOUT_TYPES, 'T'), OP_OPT("ratio", DROPOUT_TYPES, 'R'),
                                            OP_OPT("training_mode", TL_T(TL_BOOL), 0)};
static const tl_param dropout_output_12[] = {OP_IN("output", DROPOUT_TYPES, 'T'), OP_OPT("mask", TL_T(TL_BOOL), 0)};
static const tl_attribute_spec dropout_attribute_6[] = {OP_FLOAT("ratio", 0.5F), OP_INT("is_test", 0)};
static const tl_attribute_spec dropout_attribute_7[] = {OP_FLOAT("ratio", 0.5F)};
static const tl_attribute_spec dropout_attribute_12[] = {OP_INT("seed", 0)};

OP_DESCRIPTOR(Dropout, 6) = {OP_HEAD(Dropout, 6),
                             OP_PARAMS(input, dropout_input_1),
                             OP_PARAMS(output, dropout_output_1),
                             OP_PARAMS(attribute, dropout_attribute_6),
                             .reshape = dropout_reshape,
                             .run = dropout_run};
OP_DESCRIPTOR(Dropout, 7) = {OP_HEAD(Dropout, 7),
                             OP_PARAMS(input, dropout_input_1),
                             OP_PARAMS(output, dropout_output_1),
                             OP_PARAMS(attribute, dropout_attribute_7),
                             .reshape = dropout_reshape,
                             .run = dropout_run};
OP_DESCRIPTOR(Dropout, 10) = {OP_HEAD(Dropout, 10),
                              OP_PARAMS(input, dropout_input_1),
                              OP_PARAMS(output, dropout_output_10),
                              OP_PARAMS(attribute, dropout_attribute_7),
                              .reshape = dropout_reshape,
                              .run = dropout_run};
OP_DESCRIPTOR(Dropout, 12) = {OP_HEAD(Dropout, 12),
                              OP_PARAMS(input, dropout_input_12),
                              OP_PARAMS(output, dropout_output_12),
                              OP_PARAMS(attribute, dropout_attribute_12),
                              .reshape = dropout_reshape,
                              .run = dropout_run};
