/* HannWindow, HammingWindow, BlackmanWindow and MelWeightMatrix: tables out of a few scalars, in any numeric type. */
#include "onnx/nn.h"

#define TABLE_TYPES TL_T_NUMERIC

static tl_status table_type(tl_call *call)
{
    int64_t type = op_int(call, "output_datatype");
    if (type <= 0 || type >= TL_TYPE_COUNT || !(TL_T(type) & TABLE_TYPES))
        return tl_fail(call, TL_INVALID_MODEL, "output_datatype is %lld, which is not a numeric type", (long long)type);
    call->outputs[0]->type = (tl_type)type;
    return TL_OK;
}

/* Scalar input k as an integer; *value is -1 while not known. */
static tl_status table_size(const tl_call *call, size_t k, const char *name, int64_t *value)
{
    int64_t count;
    tl_status status = op_index_list(call, k, value, 1, &count);
    if (status != TL_OK)
        return status;
    if (count < 0)
        *value = -1;
    else if (count == 0 || *value < 0)
        return tl_fail(call, TL_INVALID_INPUT, "%s is %lld, but must not be negative", name,
                       count == 0 ? -1LL : (long long)*value);
    return TL_OK;
}

/* ---- Windows: a0 - a1 cos(x) + a2 cos(2x) */

static tl_status window_reshape(tl_call *call)
{
    int64_t size;
    tl_status status = table_type(call);
    if (status == TL_OK)
        status = table_size(call, 0, "size", &size);
    if (status != TL_OK)
        return status;
    call->outputs[0]->rank = 1;
    call->outputs[0]->dims[0] = size < 0 ? TL_DIM_UNKNOWN : size;
    return TL_OK;
}

/* The output's memory, where its shape was not known before the run. */
static tl_status table_output(tl_call *call, int32_t rank, const int64_t *dims)
{
    if (!call->outputs[0]->data && !call->host->output(call, 0, rank, dims))
        return TL_NO_MEMORY;
    return TL_OK;
}

static tl_status window_fill(tl_call *call, double a0, double a1, double a2)
{
    int64_t size;
    tl_status status = table_size(call, 0, "size", &size);
    if (status == TL_OK)
        status = table_output(call, 1, &size);
    if (status != TL_OK)
        return status;
    const double turn = 6.283185307179586476925286766559;
    const double n = (double)(op_int(call, "periodic") != 0 ? size : size - 1);
    for (int64_t i = 0; i < size; i++) {
        double x = turn * (double)i / n;
        op_store_number(call->outputs[0], i, size == 1 ? 1 : a0 - a1 * cos(x) + a2 * cos(2 * x));
    }
    return TL_OK;
}

static tl_status hann_run(tl_call *call)
{
    return window_fill(call, 0.5, 0.5, 0);
}

static tl_status hamming_run(tl_call *call)
{
    return window_fill(call, 25.0 / 46.0, 21.0 / 46.0, 0);
}

static tl_status blackman_run(tl_call *call)
{
    return window_fill(call, 0.42, 0.5, 0.08);
}

/* ---- MelWeightMatrix: (dft_length / 2 + 1, num_mel_bins), a triangle in each column */

enum { MEL_BINS, MEL_LENGTH, MEL_RATE, MEL_LOWER, MEL_UPPER };

static tl_status mel_reshape(tl_call *call)
{
    int64_t bins, length;
    tl_status status = table_type(call);
    if (status == TL_OK)
        status = table_size(call, MEL_BINS, "num_mel_bins", &bins);
    if (status == TL_OK)
        status = table_size(call, MEL_LENGTH, "dft_length", &length);
    if (status != TL_OK)
        return status;
    call->outputs[0]->rank = 2;
    call->outputs[0]->dims[0] = length < 0 ? TL_DIM_UNKNOWN : length / 2 + 1;
    call->outputs[0]->dims[1] = bins < 0 ? TL_DIM_UNKNOWN : bins;
    return TL_OK;
}

static double mel_of(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

/* The spectrum's bin in which edge `edge` of the triangles lies. */
static int64_t mel_edge(double low, double step, int64_t edge, int64_t length, int64_t rate)
{
    double hertz = 700 * (pow(10, (low + (double)edge * step) / 2595) - 1);
    double bin = floor((double)(length + 1) * hertz / (double)rate);
    return bin < -1e15 ? (int64_t)-1e15 : bin > 1e15 ? (int64_t)1e15 : (int64_t)bin;
}

/* Column `c`: rises from `lower` to `center`, falls to `higher`. Edges outside the spectrum are cut off. */
static void mel_triangle(const tl_tensor *y, int64_t c, int64_t lower, int64_t center, int64_t higher)
{
    const int64_t rows = y->dims[0], columns = y->dims[1];
    for (int64_t j = nn_max(lower, 0); j <= center && j < rows; j++)
        op_store_number(y, j * columns + c, center == lower ? 1 : (double)(j - lower) / (double)(center - lower));
    for (int64_t j = nn_max(center, 0); j < higher && j < rows; j++)
        op_store_number(y, j * columns + c, (double)(higher - j) / (double)(higher - center));
}

static tl_status mel_run(tl_call *call)
{
    int64_t bins, length, rate;
    tl_status status = table_size(call, MEL_BINS, "num_mel_bins", &bins);
    if (status == TL_OK)
        status = table_size(call, MEL_LENGTH, "dft_length", &length);
    if (status == TL_OK)
        status = table_size(call, MEL_RATE, "sample_rate", &rate);
    if (status != TL_OK)
        return status;
    for (size_t k = MEL_LOWER; k <= MEL_UPPER; k++)
        if (op_elements(call->inputs[k]) != 1)
            return tl_fail(call, TL_INVALID_INPUT, "input %zu must be a scalar", k);
    double low = mel_of(op_load_number(call->inputs[MEL_LOWER], 0)),
           high = mel_of(op_load_number(call->inputs[MEL_UPPER], 0));
    if (!isfinite(low) || !isfinite(high) || low > high)
        return tl_fail(call, TL_INVALID_INPUT, "the edges must be frequencies, the lower one first");
    if (rate < 1)
        return tl_fail(call, TL_INVALID_INPUT, "sample_rate is %lld, but must be at least 1", (long long)rate);
    const int64_t dims[] = {length / 2 + 1, bins};
    status = table_output(call, 2, dims);
    if (status != TL_OK)
        return status;
    const tl_tensor *y = call->outputs[0];
    memset(y->data, 0, (size_t)op_elements(y) * nn_type_size(y->type));
    /* The standard's definition divides the range by all edges, not by the gaps between them. */
    const double step = (high - low) / (double)(bins + 2);
    for (int64_t c = 0; c < bins; c++)
        mel_triangle(y, c, mel_edge(low, step, c, length, rate), mel_edge(low, step, c + 1, length, rate),
                     mel_edge(low, step, c + 2, length, rate));
    return TL_OK;
}

/* ---- Schemas */

static const tl_param window_input[] = {OP_IN("size", TL_T_INDEX, 0)};
static const tl_param table_output_params[] = {OP_IN("output", TABLE_TYPES, 0)};
static const tl_attribute_spec window_attribute[] = {OP_INT("output_datatype", TL_FLOAT), OP_INT("periodic", 1)};
static const tl_param mel_input[] = {OP_IN("num_mel_bins", TL_T_INDEX, 'I'), OP_IN("dft_length", TL_T_INDEX, 'I'),
                                     OP_IN("sample_rate", TL_T_INDEX, 'I'), OP_IN("lower_edge_hertz", TL_T_FLOATS, 'F'),
                                     OP_IN("upper_edge_hertz", TL_T_FLOATS, 'F')};
static const tl_attribute_spec mel_attribute[] = {OP_INT("output_datatype", TL_FLOAT)};

#define WINDOW(name, steps)                                                                                   \
    {                                                                                                         \
        OP_HEAD(name, 17), OP_PARAMS(input, window_input), .outputs = table_output_params, .output_count = 1, \
                                                           OP_PARAMS(attribute, window_attribute),            \
                                                           .reshape = window_reshape, .run = steps##_run      \
    }
OP_DESCRIPTOR(HannWindow, 17) = WINDOW(HannWindow, hann);
OP_DESCRIPTOR(HammingWindow, 17) = WINDOW(HammingWindow, hamming);
OP_DESCRIPTOR(BlackmanWindow, 17) = WINDOW(BlackmanWindow, blackman);
OP_DESCRIPTOR(MelWeightMatrix, 17) = {OP_HEAD(MelWeightMatrix, 17),
                                      OP_PARAMS(input, mel_input),
                                      .outputs = table_output_params,
                                      .output_count = 1,
                                      OP_PARAMS(attribute, mel_attribute),
                                      .reshape = mel_reshape,
                                      .run = mel_run};
