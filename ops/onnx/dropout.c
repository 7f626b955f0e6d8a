/* Dropout. As inference has it: the data as it is, and a mask of ones. In training elements are dropped at random, and
 * the others grow, so that their expectation stays. */
#include "onnx/cast.h"
#include "onnx/nn.h"
#include "onnx/number.h"
#include "onnx/random.h"

#define FLOAT8_TYPES  (TL_T(TL_FLOAT8E4M3FN) | TL_T(TL_FLOAT8E4M3FNUZ) | TL_T(TL_FLOAT8E5M2) | TL_T(TL_FLOAT8E5M2FNUZ))
#define DROPOUT_TYPES (TL_T_FLOATS | FLOAT8_TYPES)

enum { IN_DATA, IN_RATIO, IN_TRAINING };

static tl_status dropout_reshape(tl_call *call)
{
    for (size_t k = 0; k < call->output_count; k++)
        if (call->outputs[k])
            op_copy_shape(call->outputs[k], call->inputs[IN_DATA]);
    return TL_OK;
}

/* Whether elements are dropped, and with what probability. From version 12 on inputs tell, in version 6 attributes. */
static tl_status read_mode(const tl_call *call, bool *training, double *ratio)
{
    const int32_t version = call->host->node_version(call->node);
    const tl_tensor *given = op_input(call, IN_RATIO), *mode = op_input(call, IN_TRAINING);
    *ratio = version < 12 ? (double)op_float(call, "ratio") : 0.5;
    *training = version < 7 && op_int(call, "is_test") == 0;
    if (mode && op_elements(mode) > 0)
        *training = *(const uint8_t *)mode->data != 0;
    if (given && op_elements(given) > 0)
        *ratio = (TL_T(given->type) & FLOAT8_TYPES) ? op_small_float(given->type, *(const uint8_t *)given->data)
                                                    : op_load_number(given, 0);
    if (*training && !(*ratio >= 0 && *ratio < 1))
        return tl_fail(call, TL_INVALID_INPUT, "ratio is %g, but must be in [0, 1)", *ratio);
    *training = *training && *ratio > 0;
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

typedef struct dropout_job {
    const tl_tensor *data, *output, *mask;
    uint64_t stream;
    double ratio;
} dropout_job;

/* Number i of the stream decides about element i, however the work is cut. */
static void dropout_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const dropout_job *job = context;
    const tl_type type = job->data->type;
    const double scale = 1 / (1 - job->ratio);
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        const bool keep = random_uniform(job->stream, (uint64_t)i) >= job->ratio;
        if (TL_T(type) & FLOAT8_TYPES) {
            const double value = keep ? scale * op_small_float(type, ((const uint8_t *)job->data->data)[i]) : 0;
            ((uint8_t *)job->output->data)[i] = (uint8_t)op_encode_small(type, value, true, OP_ROUND_NEAREST);
        } else
            op_store_number(job->output, i, keep ? scale * op_load_number(job->data, i) : 0);
        if (job->mask)
            op_store_number(job->mask, i, keep);
    }
}

static tl_status dropout_run(tl_call *call)
{
    const tl_tensor *data = call->inputs[IN_DATA], *output = call->outputs[0], *mask = op_output(call, 1);
    bool training = false;
    double ratio = 0;
    tl_status status = read_mode(call, &training, &ratio);
    if (status != TL_OK)
        return status;
    if (training) {
        const bool seeded = call->host->node_version(call->node) >= 12 && op_given(call, "seed");
        dropout_job job = {data, output, mask, random_stream(seeded, seeded ? (uint64_t)op_int(call, "seed") : 0),
                           ratio};
        call->host->parallel_for(call, dropout_task, &job, op_elements(data), 1 << 12);
        return TL_OK;
    }
    if (output->data != data->data)
        memcpy(output->data, data->data, (size_t)op_elements(data) * nn_type_size(data->type));
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
                             .flags = TL_OP_NONDETERMINISTIC,
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
                              .flags = TL_OP_NONDETERMINISTIC,
                              OP_PARAMS(input, dropout_input_12),
                              OP_PARAMS(output, dropout_output_12),
                              OP_PARAMS(attribute, dropout_attribute_12),
                              .reshape = dropout_reshape,
                              .run = dropout_run};
