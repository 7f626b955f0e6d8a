/* Random numbers: RandomUniform, RandomNormal, their Like forms, Bernoulli, Multinomial.
 *
 * A node with a seed has one stream, and every run gives the same numbers; one without takes a new stream each time. */
#include "onnx/random.h"

#include <stdatomic.h>
#include "onnx/number.h"
#include "onnx/tensor.h"

#define RANDOM_TYPES TL_T_FLOATS
static const tl_param float_outs[] = {OP_IN("output", RANDOM_TYPES, 0)};

/* ---- The generator */

uint64_t random_stream(bool seeded, uint64_t seed)
{
    static atomic_uint_fast64_t runs;
    return random_mix(seeded ? seed + 1 : atomic_fetch_add(&runs, 1) + 0x5bf0363546f5b0a9u);
}

static uint64_t new_stream(const tl_call *call)
{
    float seed = op_float(call, "seed");
    uint32_t bits;
    memcpy(&bits, &seed, sizeof bits);
    return random_stream(op_given(call, "seed"), bits);
}

/* Number i of a stream of normal numbers, by Box and Muller's transform of two uniform ones. */
static double normal(uint64_t stream, uint64_t i)
{
    double radius = sqrt(-2 * log(1 - random_uniform(stream, 2 * i)));
    return radius * cos(6.283185307179586 * random_uniform(stream, 2 * i + 1));
}

/* ---- Types and shapes */

static tl_status set_type(const tl_call *call, tl_type fallback, tl_types allowed)
{
    int64_t type = op_given(call, "dtype") ? op_int(call, "dtype") : (int64_t)fallback;
    if (type < 0 || type >= TL_TYPE_COUNT || (type > 0 && !(TL_T(type) & allowed)))
        return tl_fail(call, TL_INVALID_MODEL, "type %lld is not one of this operator's", (long long)type);
    call->outputs[0]->type = (tl_type)type;
    return TL_OK;
}

static tl_status shape_of_attribute(tl_call *call)
{
    tl_tensor *out = call->outputs[0];
    size_t rank;
    const int64_t *shape = op_ints(call, "shape", &rank);
    if (rank > TL_MAX_RANK)
        return tl_fail(call, TL_UNSUPPORTED, "shape has %zu dimensions, but at most %d are supported", rank,
                       TL_MAX_RANK);
    out->rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        if (shape[i] < 0)
            return tl_fail(call, TL_INVALID_MODEL, "shape[%zu] is %lld", i, (long long)shape[i]);
        out->dims[i] = shape[i];
    }
    return set_type(call, TL_FLOAT, RANDOM_TYPES);
}

static tl_status shape_of_input(tl_call *call)
{
    op_copy_shape(call->outputs[0], call->inputs[0]);
    return set_type(call, call->inputs[0]->type, RANDOM_TYPES);
}

/* ---- RandomUniform, RandomUniformLike, RandomNormal, RandomNormalLike */

static tl_status uniform_run(tl_call *call)
{
    const tl_tensor *out = call->outputs[0];
    double low = op_float(call, "low"), high = op_float(call, "high");
    uint64_t stream = new_stream(call), n = (uint64_t)op_elements(out);
    for (uint64_t i = 0; i < n; i++)
        op_store_number(out, (int64_t)i, low + (high - low) * random_uniform(stream, i));
    return TL_OK;
}

static tl_status normal_run(tl_call *call)
{
    const tl_tensor *out = call->outputs[0];
    double mean = op_float(call, "mean"), scale = op_float(call, "scale");
    uint64_t stream = new_stream(call), n = (uint64_t)op_elements(out);
    for (uint64_t i = 0; i < n; i++)
        op_store_number(out, (int64_t)i, mean + scale * normal(stream, i));
    return TL_OK;
}

#define SEED                                  \
    {                                         \
        .name = "seed", .kind = TL_ATTR_FLOAT \
    }
#define SHAPE                                                            \
    {                                                                    \
        .name = "shape", .kind = TL_ATTR_INTS, .flags = TL_ATTR_REQUIRED \
    }
#define LOW_HIGH   OP_FLOAT("low", 0), OP_FLOAT("high", 1)
#define MEAN_SCALE OP_FLOAT("mean", 0), OP_FLOAT("scale", 1)
static const tl_param like_ins[] = {OP_IN("input", TL_T_ALL, 0)};
static const tl_attribute_spec uniform_attrs[] = {SHAPE, OP_INT("dtype", TL_FLOAT), SEED, LOW_HIGH};
static const tl_attribute_spec uniform_like_attrs[] = {OP_INT("dtype", 0), SEED, LOW_HIGH};
static const tl_attribute_spec normal_attrs[] = {SHAPE, OP_INT("dtype", TL_FLOAT), SEED, MEAN_SCALE};
static const tl_attribute_spec normal_like_attrs[] = {OP_INT("dtype", 0), SEED, MEAN_SCALE};

OP_DESCRIPTOR(RandomUniform, 1) = {OP_HEAD(RandomUniform, 1),     .flags = TL_OP_NONDETERMINISTIC,
                                   OP_PARAMS(output, float_outs), OP_PARAMS(attribute, uniform_attrs),
                                   .reshape = shape_of_attribute, .run = uniform_run};
OP_DESCRIPTOR(RandomNormal, 1) = {OP_HEAD(RandomNormal, 1),      .flags = TL_OP_NONDETERMINISTIC,
                                  OP_PARAMS(output, float_outs), OP_PARAMS(attribute, normal_attrs),
                                  .reshape = shape_of_attribute, .run = normal_run};
OP_DESCRIPTOR(RandomUniformLike, 1) = {OP_HEAD(RandomUniformLike, 1),
                                       .flags = TL_OP_NONDETERMINISTIC,
                                       OP_PARAMS(input, like_ins),
                                       OP_PARAMS(output, float_outs),
                                       OP_PARAMS(attribute, uniform_like_attrs),
                                       .reshape = shape_of_input,
                                       .run = uniform_run};
OP_DESCRIPTOR(RandomNormalLike, 1) = {OP_HEAD(RandomNormalLike, 1),
                                      .flags = TL_OP_NONDETERMINISTIC,
                                      OP_PARAMS(input, like_ins),
                                      OP_PARAMS(output, float_outs),
                                      OP_PARAMS(attribute, normal_like_attrs),
                                      .reshape = shape_of_input,
                                      .run = normal_run};

/* ---- Bernoulli: 1 with the probability that the input says */

#define BERNOULLI_TYPES (TL_T_NUMERIC | OP_T_BOOL)
static const tl_param bernoulli_ins[] = {OP_IN("input", TL_T_FLOATS, 0)};
static const tl_param bernoulli_outs[] = {OP_IN("output", BERNOULLI_TYPES, 0)};
static const tl_attribute_spec bernoulli_attrs[] = {OP_INT("dtype", 0), SEED};

static tl_status bernoulli_reshape(tl_call *call)
{
    op_copy_shape(call->outputs[0], call->inputs[0]);
    return set_type(call, call->inputs[0]->type, BERNOULLI_TYPES);
}

static tl_status bernoulli_run(tl_call *call)
{
    uint64_t stream = new_stream(call), n = (uint64_t)op_elements(call->inputs[0]);
    for (uint64_t i = 0; i < n; i++)
        op_store_number(call->outputs[0], (int64_t)i,
                        random_uniform(stream, i) < op_load_number(call->inputs[0], (int64_t)i));
    return TL_OK;
}

OP_DESCRIPTOR(Bernoulli, 15) = {OP_HEAD(Bernoulli, 15),
                                .flags = TL_OP_NONDETERMINISTIC,
                                OP_PARAMS(input, bernoulli_ins),
                                OP_PARAMS(output, bernoulli_outs),
                                OP_PARAMS(attribute, bernoulli_attrs),
                                .reshape = bernoulli_reshape,
                                .run = bernoulli_run};

/* ---- Multinomial: classes drawn by their log-probabilities, which need not sum to 1 */

static const tl_param multinomial_ins[] = {OP_IN("input", TL_T_FLOATS, 0)};
static const tl_param multinomial_outs[] = {OP_IN("output", TL_T_INDEX, 0)};
static const tl_attribute_spec multinomial_attrs[] = {OP_INT("dtype", TL_INT32), OP_INT("sample_size", 1), SEED};

static tl_status multinomial_reshape(tl_call *call)
{
    const tl_tensor *in = call->inputs[0];
    tl_tensor *out = call->outputs[0];
    int64_t samples = op_int(call, "sample_size");
    if (samples < 0)
        return tl_fail(call, TL_INVALID_MODEL, "sample_size is %lld", (long long)samples);
    if (in->rank != TL_RANK_UNKNOWN && in->rank != 2)
        return tl_fail(call, TL_INVALID_INPUT, "the input has rank %d, but must have 2", in->rank);
    out->rank = 2;
    out->dims[0] = in->rank == 2 ? in->dims[0] : TL_DIM_UNKNOWN;
    out->dims[1] = samples;
    if (in->rank == 2 && in->dims[1] == 0 && samples > 0 && in->dims[0] != 0)
        return tl_fail(call, TL_INVALID_INPUT, "there are no classes to draw from");
    if (in->rank == 2 && in->dims[1] >= 0 &&
        __builtin_mul_overflow((size_t)in->dims[1], sizeof(double), &call->workspace_size))
        return tl_fail(call, TL_NO_MEMORY, "the workspace overflows");
    return set_type(call, TL_INT32, TL_T_INDEX);
}

/* The class whose share of the cumulative sums holds `at`. */
static int64_t find_class(const double *sums, int64_t classes, double at)
{
    int64_t low = 0, high = classes - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (at < sums[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static tl_status multinomial_run(tl_call *call)
{
    const tl_tensor *in = call->inputs[0], *out = call->outputs[0];
    if (op_elements(out) == 0)
        return TL_OK;
    uint64_t stream = new_stream(call);
    int64_t classes = in->dims[1], samples = out->dims[1];
    double *sums = call->workspace;
    for (int64_t n = 0; n < in->dims[0]; n++) {
        double highest = -INFINITY, sum = 0;
        for (int64_t c = 0; c < classes; c++)
            highest = fmax(highest, op_load_number(in, n * classes + c));
        for (int64_t c = 0; c < classes; c++) {
            double share = exp(op_load_number(in, n * classes + c) - highest);
            sum += share > 0 ? share : 0;
            sums[c] = sum;
        }
        for (int64_t s = 0; s < samples; s++) {
            int64_t i = n * samples + s;
            op_store_number(out, i, (double)find_class(sums, classes, sum * random_uniform(stream, (uint64_t)i)));
        }
    }
    return TL_OK;
}

OP_DESCRIPTOR(Multinomial, 7) = {OP_HEAD(Multinomial, 7),
                                 .flags = TL_OP_NONDETERMINISTIC,
                                 OP_PARAMS(input, multinomial_ins),
                                 OP_PARAMS(output, multinomial_outs),
                                 OP_PARAMS(attribute, multinomial_attrs),
                                 .reshape = multinomial_reshape,
                                 .run = multinomial_run};
