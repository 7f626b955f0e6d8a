/* Keras' initializers: the numbers that a weight begins with. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "separable_conv1d/keras.h"

/* Standard deviation of the standard normal distribution cut off at two of them. */
#define TRUNCATED_DEVIATION 0.87962566103423978

/* ---- Reading */

/* Names in both versions, in tf_keras 2 alone, in Keras 3 alone; arguments, and up to two that are numbers. */
static const struct kind {
    const char *names, *only_2, *only_3, *arguments;
    keras_random kind;
    struct {
        const char *name;
        double standard;
    } numbers[2];
    keras_fan mode;
    keras_random distribution;
} kinds[] = {
    {"Zeros zeros zero", "ZerosV2", "", "", KERAS_CONSTANT, {{NULL, 0}}, 0, 0},
    {"Ones ones one", "OnesV2", "", "", KERAS_CONSTANT, {{NULL, 1}}, 0, 0},
    {"Constant constant", "ConstantV2", "", "value", KERAS_CONSTANT, {{"value", 0}}, 0, 0},
    {"RandomNormal random_normal normal",
     "RandomNormalV2",
     "",
     "mean stddev seed",
     KERAS_NORMAL,
     {{"mean", 0}, {"stddev", 0.05}},
     0,
     0},
    {"TruncatedNormal truncated_normal",
     "TruncatedNormalV2",
     "",
     "mean stddev seed",
     KERAS_TRUNCATED_NORMAL,
     {{"mean", 0}, {"stddev", 0.05}},
     0,
     0},
    {"RandomUniform random_uniform uniform",
     "RandomUniformV2",
     "",
     "minval maxval seed",
     KERAS_UNIFORM,
     {{"minval", -0.05}, {"maxval", 0.05}},
     0,
     0},
    {"VarianceScaling variance_scaling",
     "VarianceScalingV2",
     "",
     "scale mode distribution seed",
     KERAS_SCALED,
     {{"scale", 1}},
     KERAS_FAN_IN,
     KERAS_TRUNCATED_NORMAL},
    {"GlorotUniform glorot_uniform",
     "GlorotUniformV2 glorot_uniformV2",
     "",
     "seed",
     KERAS_SCALED,
     {{NULL, 1}},
     KERAS_FAN_AVG,
     KERAS_UNIFORM},
    {"GlorotNormal glorot_normal",
     "GlorotNormalV2 glorot_normalV2",
     "",
     "seed",
     KERAS_SCALED,
     {{NULL, 1}},
     KERAS_FAN_AVG,
     KERAS_TRUNCATED_NORMAL},
    {"LecunUniform lecun_uniform",
     "LecunUniformV2 lecun_uniformV2",
     "",
     "seed",
     KERAS_SCALED,
     {{NULL, 1}},
     KERAS_FAN_IN,
     KERAS_UNIFORM},
    {"LecunNormal lecun_normal",
     "LecunNormalV2 lecun_normalV2",
     "",
     "seed",
     KERAS_SCALED,
     {{NULL, 1}},
     KERAS_FAN_IN,
     KERAS_TRUNCATED_NORMAL},
    {"HeUniform he_uniform",
     "HeUniformV2 he_uniformV2",
     "",
     "seed",
     KERAS_SCALED,
     {{NULL, 2}},
     KERAS_FAN_IN,
     KERAS_UNIFORM},
    {"HeNormal he_normal",
     "HeNormalV2 he_normalV2",
     "",
     "seed",
     KERAS_SCALED,
     {{NULL, 2}},
     KERAS_FAN_IN,
     KERAS_TRUNCATED_NORMAL},
    {"Orthogonal orthogonal",
     "OrthogonalV2",
     "OrthogonalInitializer",
     "gain seed",
     KERAS_ORTHOGONAL,
     {{"gain", 1}},
     0,
     0},
    {"Identity identity", "IdentityV2", "IdentityInitializer", "gain", KERAS_IDENTITY, {{"gain", 1}}, 0, 0},
};

static const struct kind *find_kind(const keras_object *object)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (keras_is_one_of(object->class_name, kinds[k].names) ||
            keras_is_one_of(object->class_name, object->version == KERAS_2 ? kinds[k].only_2 : kinds[k].only_3))
            return &kinds[k];
    return NULL;
}

/* A number, null, or a generator of seeds that has one. */
static tl_status read_seed(const keras_object *object, keras_initializer *initializer, sepconv_text *why)
{
    char text[64];
    int64_t seed = 0;
    const cJSON *item = object->config != NULL ? cJSON_GetObjectItemCaseSensitive(object->config, "seed") : NULL;
    if (cJSON_IsObject(item) && object->version == KERAS_3) {
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(item, "config");
        item = cJSON_IsObject(config) ? cJSON_GetObjectItemCaseSensitive(config, "seed") : NULL;
    }
    if (item == NULL || cJSON_IsNull(item))
        return TL_OK;
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble))
        return sepconv_fail(why, TL_INVALID_INPUT, "'seed' of %.40s is %s, must be an integer or a SeedGenerator",
                            object->class_name, keras_quote(item, text));
    initializer->seeded = true;
    if (keras_is_integer(item, &seed))
        initializer->seed = (uint64_t)seed;
    else /* beyond what a double counts exactly: still a seed */
        memcpy(&initializer->seed, &item->valuedouble, sizeof initializer->seed);
    return TL_OK;
}

static tl_status read_scaling(const keras_object *object, keras_initializer *initializer, sepconv_text *why)
{
    static const char *const modes[] = {[KERAS_FAN_IN] = "fan_in", "fan_out", "fan_avg"};
    const char *mode = NULL, *given = NULL;
    char distribution[24] = "";
    if (!(initializer->a > 0))
        return sepconv_fail(why, TL_INVALID_INPUT, "'scale' of %.40s is %g, must be positive", object->class_name,
                            initializer->a);
    tl_status status = keras_text(object, "mode", modes[initializer->mode], &mode, why);
    if (status == TL_OK)
        status = keras_text(object, "distribution", "truncated_normal", &given, why);
    if (status != TL_OK)
        return status;
    for (size_t k = 0; given[k] && k + 1 < sizeof distribution; k++)
        distribution[k] = (char)tolower((unsigned char)given[k]);
    size_t m = 0;
    while (m < 3 && strcmp(mode, modes[m]) != 0)
        m++;
    if (m == 3)
        return sepconv_fail(why, TL_INVALID_INPUT, "'mode' of %.40s is '%.40s', must be fan_in, fan_out or fan_avg",
                            object->class_name, mode);
    initializer->mode = (keras_fan)m;
    if (keras_is_one_of(distribution, "truncated_normal normal"))
        initializer->distribution = KERAS_TRUNCATED_NORMAL;
    else if (strcmp(distribution, "untruncated_normal") == 0)
        initializer->distribution = KERAS_NORMAL;
    else if (strcmp(distribution, "uniform") == 0)
        initializer->distribution = KERAS_UNIFORM;
    else
        return sepconv_fail(why, TL_INVALID_INPUT,
                            "'distribution' of %.40s is '%.40s', must be uniform, truncated_normal or "
                            "untruncated_normal",
                            object->class_name, given);
    return TL_OK;
}

tl_status keras_initializer_read(const keras_object *object, keras_initializer *initializer, sepconv_text *why)
{
    /* Where Keras gets no initializer for a weight of floats, it takes this one. */
    const keras_object standard = {.version = object->version, .class_name = "GlorotUniform"};
    const keras_object *given = object->class_name != NULL ? object : &standard;
    const struct kind *kind = find_kind(given);
    if (kind == NULL)
        return sepconv_fail(why, TL_INVALID_INPUT, "the initializer '%.60s' is not known in Keras %d",
                            given->class_name, given->version);
    *initializer = (keras_initializer){.kind = kind->kind, .mode = kind->mode, .distribution = kind->distribution};
    double *const numbers[] = {&initializer->a, &initializer->b};
    /* tf_keras takes a dtype and drops it; Keras 3 lets the caller say which axes are inputs and outputs. */
    const char *more = given->version == KERAS_2 ? "dtype" : kind->kind == KERAS_SCALED ? "input_axes output_axes" : "";
    tl_status status = keras_check_arguments(given, kind->arguments, more, why);
    for (size_t k = 0; k < 2 && status == TL_OK; k++) {
        *numbers[k] = kind->numbers[k].standard;
        if (kind->numbers[k].name != NULL)
            status = keras_number(given, kind->numbers[k].name, *numbers[k], NULL, numbers[k], why);
    }
    if (status == TL_OK)
        status = read_seed(given, initializer, why);
    if (status == TL_OK && kind->kind == KERAS_SCALED && kind->numbers[0].name != NULL)
        status = read_scaling(given, initializer, why);
    if (status == TL_OK && kind->kind == KERAS_SCALED)
        status = keras_axes_read(given, "input_axes", &initializer->input_axes, why);
    if (status == TL_OK && kind->kind == KERAS_SCALED)
        status = keras_axes_read(given, "output_axes", &initializer->output_axes, why);
    return status;
}

/* ---- Random numbers */

/* SplitMix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014. */
static uint64_t next_bits(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 <= x < 1. */
static double next_uniform(uint64_t *state)
{
    return (double)(next_bits(state) >> 11) * 0x1p-53;
}

/* By Box and Muller. */
static double next_normal(uint64_t *state)
{
    const double radius = sqrt(-2 * log(1 - next_uniform(state)));
    return radius * cos(6.283185307179586476925 * next_uniform(state));
}

/* TensorFlow draws again what lies beyond two standard deviations. */
static double next_truncated(uint64_t *state)
{
    double z = next_normal(state);
    while (fabs(z) > 2)
        z = next_normal(state);
    return z;
}

/* ---- Values */

static int64_t count_values(const keras_shape *shape)
{
    int64_t count = 1;
    for (int32_t d = 0; d < shape->rank; d++)
        count *= shape->dims[d];
    return count;
}

static tl_status fan_of_axes(const keras_axes *axes, const keras_shape *shape, double *fan, sepconv_text *why)
{
    *fan = 1;
    for (size_t k = 0; k < axes->count; k++) {
        const int64_t axis = axes->axes[k] < 0 ? axes->axes[k] + shape->rank : axes->axes[k];
        if (axis < 0 || axis >= shape->rank)
            return sepconv_fail(why, TL_INVALID_INPUT, "axis %lld does not exist, the weight has rank %d",
                                (long long)axes->axes[k], shape->rank);
        *fan *= (double)shape->dims[axis];
    }
    return TL_OK;
}

/* How many values a unit of the layer sees and how many see it, as Keras counts them: for a kernel, all axes but the
 * last two are the receptive field. */
static tl_status find_fans(const keras_initializer *initializer, const keras_shape *shape, double *in, double *out,
                           sepconv_text *why)
{
    const int32_t rank = shape->rank;
    if (initializer->input_axes.given && initializer->output_axes.given) {
        tl_status status = fan_of_axes(&initializer->input_axes, shape, in, why);
        return status == TL_OK ? fan_of_axes(&initializer->output_axes, shape, out, why) : status;
    }
    double field = 1;
    for (int32_t d = 0; d < rank - 2; d++)
        field *= (double)shape->dims[d];
    *in = field * (double)shape->dims[rank > 1 ? rank - 2 : 0];
    *out = field * (double)shape->dims[rank - 1];
    return TL_OK;
}

/* A distribution with its parameters: of a normal one mean and standard deviation, of a uniform one the bounds. */
static void fill(keras_random kind, double a, double b, uint64_t *state, double *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (kind == KERAS_NORMAL)
            values[i] = a + b * next_normal(state);
        else if (kind == KERAS_TRUNCATED_NORMAL)
            values[i] = a + b * next_truncated(state);
        else if (kind == KERAS_UNIFORM)
            values[i] = a + (b - a) * next_uniform(state);
        else
            values[i] = a;
    }
}

static tl_status fill_scaled(const keras_initializer *initializer, const keras_shape *shape, uint64_t *state,
                             double *values, sepconv_text *why)
{
    double in = 0, out = 0;
    const keras_random kind = initializer->distribution;
    tl_status status = find_fans(initializer, shape, &in, &out, why);
    if (status != TL_OK)
        return status;
    const double fan = initializer->mode == KERAS_FAN_IN    ? in
                       : initializer->mode == KERAS_FAN_OUT ? out
                                                            : (in + out) / 2;
    const double deviation = sqrt(initializer->a / fmax(1, fan));
    const double width = kind == KERAS_UNIFORM            ? sqrt(3) * deviation
                         : kind == KERAS_TRUNCATED_NORMAL ? deviation / TRUNCATED_DEVIATION
                                                          : deviation;
    fill(kind, kind == KERAS_UNIFORM ? -width : 0, width, state, values, count_values(shape));
    return TL_OK;
}

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Random vectors, made orthonormal one after the other, each twice against those before it, so that rounding does not
 * show. That is the Q of the QR decomposition with a positive diagonal of R, as Keras wants it. */
static void fill_orthonormal(double *vectors, int64_t count, int64_t length, uint64_t *state)
{
    for (int64_t k = 0; k < count; k++) {
        double *vector = vectors + k * length;
        double norm = 0;
        while (!(norm > 1e-6)) { /* a vector in the span of the others is drawn again */
            fill(KERAS_NORMAL, 0, 1, state, vector, length);
            for (int64_t pass = 0; pass < 2; pass++)
                for (int64_t j = 0; j < k; j++) {
                    const double part = dot(vectors + j * length, vector, length);
                    for (int64_t i = 0; i < length; i++)
                        vector[i] -= part * vectors[j * length + i];
                }
            norm = sqrt(dot(vector, vector, length));
        }
        for (int64_t i = 0; i < length; i++)
            vector[i] /= norm;
    }
}

static tl_status fill_orthogonal(const keras_initializer *initializer, const keras_shape *shape, uint64_t *state,
                                 double *values, sepconv_text *why)
{
    if (shape->rank < 2)
        return sepconv_fail(why, TL_INVALID_INPUT,
                            "the orthogonal initializer needs a weight of two dimensions or more, this one has %d",
                            shape->rank);
    const int64_t columns = shape->dims[shape->rank - 1], rows = count_values(shape) / columns;
    if (rows < columns) { /* the rows are the vectors */
        fill_orthonormal(values, rows, columns, state);
    } else {
        double *vectors = calloc((size_t)(rows * columns), sizeof *vectors);
        if (vectors == NULL)
            return sepconv_fail(why, TL_NO_MEMORY, "out of memory");
        fill_orthonormal(vectors, columns, rows, state);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < columns; c++)
                values[r * columns + c] = vectors[c * rows + r];
        free(vectors);
    }
    for (int64_t i = 0; i < rows * columns; i++)
        values[i] *= initializer->a;
    return TL_OK;
}

tl_status keras_initialize(const keras_initializer *initializer, const keras_shape *shape, uint64_t seed,
                           uint64_t stream, double *values, sepconv_text *why)
{
    uint64_t state = initializer->seeded ? initializer->seed : seed;
    state = next_bits(&state) + stream * UINT64_C(0xd1342543de82ef95);
    state = next_bits(&state);
    switch (initializer->kind) {
    case KERAS_SCALED:
        return fill_scaled(initializer, shape, &state, values, why);
    case KERAS_ORTHOGONAL:
        return fill_orthogonal(initializer, shape, &state, values, why);
    case KERAS_IDENTITY:
        return sepconv_fail(why, TL_INVALID_INPUT,
                            "the identity initializer is for matrices, of rank 2; this weight has rank %d",
                            shape->rank);
    default:
        fill(initializer->kind, initializer->a, initializer->b, &state, values, count_values(shape));
        return TL_OK;
    }
}
